/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirpost.c - the directory child's channel to its parent, in a thread of its own
 *
 * Senders encode, append to a list under a lock and wake this thread's loop; it alone touches the
 * channel. Invariant: at most max_bytes wait here, and as many at the channel. Source:
 * lib/wire/idfw.proto.
 */
#include "svm-idfw/dirpost.h"

#include <pthread.h>
#include <stdlib.h>
#include <utlist.h>

#include "lib/base/log.h"
#include "lib/io/chan.h"

#define POST_TICK_MS 10
#define POST_ROOM_BYTES (2u << 20) /* who can wait does so with more than that */

struct post_frame {
	struct post_frame *next;
	size_t len;
	uint8_t bytes[];
};

struct dir_post {
	struct io_loop *loop; /* the thread's */
	struct io_chan *chan;
	struct io_wake wake;
	struct io_timer tick; /* while much is at the channel: who waits for room hears of less */
	pthread_t thread;
	const struct dir_post_ops *ops;
	void *arg;
	bool ended;		 /* said so */
	size_t max;		 /* bytes that wait */
	pthread_mutex_t lock;	 /* of the rest */
	pthread_cond_t room;	 /* there is less to send, or nothing will be sent any more */
	size_t queued;		 /* at the channel */
	bool over;		 /* there is no channel */
	struct post_frame *out;	 /* owned, oldest first */
	struct post_frame *last; /* of it */
	size_t bytes;
	bool stop, failed;
};

static void *post_main(void *arg);
static void post_wake_cb(struct io_wake *w);
static void post_frame(void *arg, struct io_chan *c, const uint8_t *buf, size_t len);
static void post_closed(void *arg, struct io_chan *c, int err, const char *why);
static void post_drained(void *arg, struct io_chan *c);
static void post_queued(struct dir_post *p);
static void post_end(struct dir_post *p, bool failed);

int dir_post_new(int fd, const struct dir_post_ops *ops, void *arg, struct dir_post **ret)
{
	static const struct io_chan_ops chan_ops = {
		.frame = post_frame, .closed = post_closed, .drained = post_drained
	};
	const struct io_chan_conf conf = { .max_frame = WIRE_FRAME_MAX,
		.max_queue = ops->max_bytes ? ops->max_bytes : DIR_POST_BYTES_MAX };
	struct dir_post *p = calloc(1, sizeof(*p));
	int err;

	if (!p || pthread_mutex_init(&p->lock, NULL) != 0) {
		free(p);
		return -ENOMEM;
	}
	(void)pthread_cond_init(&p->room, NULL);
	p->ops = ops;
	p->arg = arg;
	p->max = conf.max_queue;
	err = io_loop_new(&p->loop);
	if (err == 0)
		err = io_chan_new(p->loop, fd, NULL, &conf, &chan_ops, p, &p->chan);
	if (err == 0) {
		io_wake_start(p->loop, &p->wake, post_wake_cb, p);
		err = -pthread_create(&p->thread, NULL, post_main, p);
	}
	if (err < 0) {
		io_chan_free(p->chan);
		io_loop_free(p->loop);
		(void)pthread_cond_destroy(&p->room);
		(void)pthread_mutex_destroy(&p->lock);
		free(p);
		return err;
	}
	*ret = p;
	return 0;
}

void dir_post_free(struct dir_post *p)
{
	struct post_frame *f, *next;

	if (!p)
		return;
	(void)pthread_mutex_lock(&p->lock);
	p->stop = true;
	(void)pthread_mutex_unlock(&p->lock);
	io_wake_send(p->loop, &p->wake);
	(void)pthread_join(p->thread, NULL);
	io_wake_stop(p->loop, &p->wake);
	io_timer_stop(p->loop, &p->tick);
	io_chan_free(p->chan);
	io_loop_free(p->loop);
	LL_FOREACH_SAFE (p->out, f, next)
		free(f);
	(void)pthread_cond_destroy(&p->room);
	(void)pthread_mutex_destroy(&p->lock);
	free(p);
}

void dir_post_room(struct dir_post *p)
{
	(void)pthread_mutex_lock(&p->lock);
	while (!p->over && p->bytes + p->queued > POST_ROOM_BYTES)
		(void)pthread_cond_wait(&p->room, &p->lock);
	(void)pthread_mutex_unlock(&p->lock);
}

void dir_post_send(struct dir_post *p, const Idfw__Envelope *e)
{
	struct post_frame *f = NULL;
	bool told = false;
	struct gi_buf out;
	int err;

	gi_buf_init(&out, WIRE_FRAME_MAX);
	err = wire_envelope_encode(e, &out);
	if (err == 0) {
		f = malloc(sizeof(*f) + out.len);
		err = f ? 0 : -ENOMEM;
	}
	if (err == 0) {
		f->next = NULL;
		f->len = out.len;
		memcpy(f->bytes, out.data, out.len);
	}
	gi_buf_fini(&out);
	(void)pthread_mutex_lock(&p->lock);
	if (err == 0 && p->bytes + f->len > p->max)
		err = -GI_EFULL;
	if (err == 0) {
		if (p->out)
			p->last->next = f;
		else
			p->out = f;
		p->last = f;
		p->bytes += f->len;
		f = NULL;
	} else {
		told = p->failed;
		p->failed = true; /* the parent starts us again and tells the engine */
	}
	(void)pthread_mutex_unlock(&p->lock);
	free(f);
	if (err < 0 && !told)
		gi_err("directory: cannot answer: %s", gi_strerror(err));
	io_wake_send(p->loop, &p->wake);
}

/* ---- the thread ---- */

static void *post_main(void *arg)
{
	struct dir_post *p = arg;

	(void)pthread_setname_np(pthread_self(), "dir-post");
	io_loop_run(p->loop);
	return NULL;
}

static void post_wake_cb(struct io_wake *w)
{
	struct dir_post *p = w->arg;
	struct post_frame *f, *next;
	bool stop, failed;
	int err = 0;

	(void)pthread_mutex_lock(&p->lock);
	f = p->out;
	p->out = NULL;
	p->bytes = 0;
	stop = p->stop;
	failed = p->failed;
	(void)pthread_mutex_unlock(&p->lock);
	for (; f; f = next) {
		next = f->next;
		if (err == 0 && p->chan)
			err = io_chan_send(p->chan, f->bytes, f->len);
		free(f);
	}
	if (err < 0 && !failed)
		gi_err("directory: cannot answer: %s", gi_strerror(err));
	if (err < 0 || failed)
		post_end(p, true);
	post_queued(p);
	if (stop)
		io_loop_stop(p->loop);
}

static void post_frame(void *arg, struct io_chan *c, const uint8_t *buf, size_t len)
{
	struct dir_post *p = arg;
	Idfw__Envelope *e = NULL;
	const char *why = "too many lookups at once";

	(void)c;
	if (wire_envelope_decode(buf, len, WIRE_SVM_TO_DIR, WIRE_OPEN, &e, &why) == 0 &&
		p->ops->message(p->arg, e))
		return;
	wire_envelope_free(e);
	gi_err("directory: bad message from the parent: %s", why);
	post_end(p, true);
}

static void post_closed(void *arg, struct io_chan *c, int err, const char *why)
{
	(void)c;
	(void)err;
	(void)why;
	post_end(arg, false); /* the parent is gone */
}

static void post_drained(void *arg, struct io_chan *c)
{
	(void)c;
	post_queued(arg);
}

static void post_tick_cb(struct io_timer *w)
{
	post_queued(w->arg);
}

static void post_queued(struct dir_post *p)
{
	size_t queued = p->chan ? io_chan_queued(p->chan) : 0;

	/* drained() comes at half of max_bytes only */
	if (queued > POST_ROOM_BYTES)
		io_timer_start(p->loop, &p->tick, POST_TICK_MS, 0, post_tick_cb, p);
	(void)pthread_mutex_lock(&p->lock);
	p->queued = queued;
	p->over = !p->chan;
	(void)pthread_cond_broadcast(&p->room);
	(void)pthread_mutex_unlock(&p->lock);
}

/* nothing comes any more; what is sent is dropped */
static void post_end(struct dir_post *p, bool failed)
{
	io_chan_free(p->chan);
	p->chan = NULL;
	post_queued(p);
	if (!p->ended)
		p->ops->ended(p->arg, failed);
	p->ended = true;
}
