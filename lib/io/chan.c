/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * chan.c - framed, bounded, non-blocking channel over a connected stream socket or TLS
 *
 * Every stream between idfw's processes and machines is one of these: guest to mux, mux to
 * svm-idfw, parent to child, idfwctl. Bytes are read in gulps of at least IO_LOOP_GULP into the
 * loop's buffer, and frames handed out in place; a part of a frame moves into a buffer of the
 * channel's own, that exists only while it holds something. What is sent in one round goes out in
 * one write at its end. OpenSSL reads ahead: what it holds back is asked for (unread).
 * Invariants: callbacks run only from the loop, never from inside io_chan_send(), _new() or
 * _free(); closed() is the last one. Source: docs/wire.md "Frames".
 */
#include "lib/io/chan.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "lib/io/bytes.h"
#include "lib/io/frame.h"
#include "lib/io/tls_ops.h"

#define CHAN_TLS_RECORD (16u << 10) /* most payload bytes of a record, RFC 8446 5.1 */
#define CHAN_REST_GULPS 16
#define CHAN_FLUSH_BYTES (64u << 10) /* written in one round: others wait for their turn */
#define CHAN_KEEP_BYTES (16u << 10)  /* an empty send queue keeps at most this much memory */

enum chan_state { CHAN_CONNECTING, CHAN_HANDSHAKE, CHAN_OPEN, CHAN_CLOSED };

struct io_chan {
	struct io_loop *loop;
	struct io_tls *tls; /* owned, or NULL */
	const struct io_chan_ops *ops;
	void *arg;
	struct io_chan_conf conf;
	struct io_fd watch;
	struct io_idle round; /* flush, and delivery after a resume */
	struct io_timer more; /* what TLS holds back, when others had their turn */
	struct io_bytes in, out;
	uint64_t frames_in, frames_out;
	enum chan_state state;
	int fd;
	unsigned int busy; /* depth of our functions that still need the struct */
	bool paused, was_full, freed;
	bool unread;	 /* TLS holds back what could be read: poll does not tell */
	bool want_write; /* the last write or TLS step waits for the socket to take bytes */
};

static void chan_enter(struct io_chan *c);
static void chan_leave(struct io_chan *c);
static void chan_fd_cb(struct io_fd *w, unsigned int events);
static void chan_round_cb(struct io_idle *w);
static void chan_more(struct io_chan *c);
static void chan_more_cb(struct io_timer *w);
static void chan_connect_step(struct io_chan *c);
static void chan_handshake_step(struct io_chan *c);
static void chan_open(struct io_chan *c);
static bool chan_read(struct io_chan *c);
static void chan_read_rest(struct io_chan *c);
static void chan_deliver(struct io_chan *c);
static void chan_flush(struct io_chan *c);
static void chan_watch(struct io_chan *c);
static void chan_fail(struct io_chan *c, int err, const char *why);
static void chan_destroy(struct io_chan *c);
static int chan_write_some(struct io_chan *c, size_t max);

static bool chan_live(const struct io_chan *c)
{
	return !c->freed && c->state != CHAN_CLOSED;
}

int io_chan_new(struct io_loop *l, int fd, struct io_tls *tls, const struct io_chan_conf *conf,
	const struct io_chan_ops *ops, void *arg, struct io_chan **ret)
{
	struct io_chan *c = calloc(1, sizeof(*c));
	int err = -ENOMEM, flags;

	if (!c)
		goto out;
	err = -EINVAL;
	if (conf->max_frame == 0 || conf->max_frame > INT32_MAX || conf->max_queue == 0)
		goto out;
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
		err = -errno;
		goto out;
	}
	c->loop = l;
	c->fd = fd;
	c->tls = tls;
	c->conf = *conf;
	c->ops = ops;
	c->arg = arg;
	/* a connected socket is writable at once, one that still connects when it is done */
	io_fd_start(l, &c->watch, fd, IO_WRITE, chan_fd_cb, c);
	*ret = c;
	return 0;
out:
	free(c);
	if (tls)
		tls->ops->free(tls);
	(void)close(fd);
	return err;
}

void io_chan_free(struct io_chan *c)
{
	if (!c || c->freed)
		return;
	if (c->state == CHAN_OPEN && c->out.end > c->out.at)
		(void)chan_write_some(c, SIZE_MAX); /* a last word, if the socket takes it now */
	c->freed = true;
	io_fd_stop(c->loop, &c->watch);
	io_idle_stop(c->loop, &c->round);
	io_timer_stop(c->loop, &c->more);
	if (c->tls)
		c->tls->ops->free(c->tls);
	c->tls = NULL;
	(void)close(c->fd);
	c->fd = -1;
	if (c->busy == 0)
		chan_destroy(c);
}

int io_chan_send(struct io_chan *c, const void *buf, size_t len)
{
	return io_chan_send2(c, NULL, 0, buf, len);
}

int io_chan_send2(struct io_chan *c, const void *head, size_t head_len, const void *buf, size_t len)
{
	size_t total = len + head_len + IO_FRAME_HEAD;
	uint8_t *at;
	int err;

	if (!chan_live(c))
		return -ENOTCONN;
	if (len == 0 || len > c->conf.max_frame || head_len > c->conf.max_frame - len)
		return -GI_ELIMIT;
	if (total > c->conf.max_queue || io_chan_queued(c) > c->conf.max_queue - total)
		return -GI_EFULL;
	err = io_bytes_out_room(&c->out, total);
	if (err < 0)
		return err;
	at = c->out.data + c->out.end;
	io_frame_head(at, head_len + len);
	at += IO_FRAME_HEAD;
	if (head_len)
		memcpy(at, head, head_len);
	memcpy(at + head_len, buf, len);
	c->out.end += total;
	c->frames_out++;
	if (io_chan_queued(c) > c->conf.max_queue / 2)
		c->was_full = true;
	if (c->state == CHAN_OPEN && !c->want_write)
		io_idle_once(c->loop, &c->round, chan_round_cb, c);
	return 0;
}

size_t io_chan_queued(const struct io_chan *c)
{
	return c->out.end - c->out.at;
}

void io_chan_read_pause(struct io_chan *c)
{
	if (!chan_live(c))
		return;
	c->paused = true;
	chan_watch(c);
}

void io_chan_read_resume(struct io_chan *c)
{
	if (!chan_live(c) || !c->paused)
		return;
	c->paused = false;
	chan_watch(c);
	if (c->state != CHAN_OPEN)
		return;
	/* what already lies here is not announced by poll */
	io_idle_once(c->loop, &c->round, chan_round_cb, c);
	chan_more(c);
}

int io_chan_fd(const struct io_chan *c)
{
	return c->fd;
}

struct io_tls *io_chan_tls(const struct io_chan *c)
{
	return c->tls;
}

uint64_t io_chan_frames_in(const struct io_chan *c)
{
	return c->frames_in;
}

uint64_t io_chan_frames_out(const struct io_chan *c)
{
	return c->frames_out;
}

static void chan_enter(struct io_chan *c)
{
	c->busy++;
}

static void chan_leave(struct io_chan *c)
{
	c->busy--;
	if (c->busy == 0 && c->freed)
		chan_destroy(c);
}

static void chan_fd_cb(struct io_fd *w, unsigned int events)
{
	struct io_chan *c = w->arg;

	chan_enter(c);
	switch (c->state) {
	case CHAN_CONNECTING:
		chan_connect_step(c);
		break;
	case CHAN_HANDSHAKE:
		chan_handshake_step(c);
		break;
	case CHAN_OPEN:
		if ((events & IO_WRITE) && c->want_write) {
			c->want_write = false;
			chan_flush(c);
			/* a TLS read may have been the one that waited */
			if (c->tls)
				events |= IO_READ;
		}
		if ((events & IO_READ) && chan_live(c) && !c->paused)
			(void)chan_read(c);
		break;
	case CHAN_CLOSED:
		break;
	}
	if (chan_live(c))
		chan_watch(c);
	chan_leave(c);
}

/*
 * End of the round: frames that lie here after a resume, then everything that was queued. It must
 * not read: what is read is answered, which asks for another end of the round before all others.
 */
static void chan_round_cb(struct io_idle *w)
{
	struct io_chan *c = w->arg;

	chan_enter(c);
	chan_deliver(c);
	if (chan_live(c) && !c->want_write)
		chan_flush(c);
	if (chan_live(c))
		chan_watch(c);
	chan_leave(c);
}

/* what TLS holds back is read in the next round */
static void chan_more(struct io_chan *c)
{
	if (c->unread && !c->paused)
		io_timer_start(c->loop, &c->more, 0, 0, chan_more_cb, c);
}

static void chan_more_cb(struct io_timer *w)
{
	struct io_chan *c = w->arg;

	chan_enter(c);
	if (c->unread && !c->paused)
		(void)chan_read(c);
	if (chan_live(c))
		chan_watch(c);
	chan_leave(c);
}

static void chan_connect_step(struct io_chan *c)
{
	int err = 0;
	socklen_t len = sizeof(err);

	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
		err = errno;
	if (err) {
		chan_fail(c, -err, gi_strerror(-err));
		return;
	}
	if (!c->tls) {
		chan_open(c);
		return;
	}
	c->state = CHAN_HANDSHAKE;
	chan_handshake_step(c);
}

static void chan_handshake_step(struct io_chan *c)
{
	int err = c->tls->ops->handshake(c->tls, c->fd);

	if (err == -EAGAIN) {
		c->want_write = c->tls->ops->wants_write(c->tls);
		return;
	}
	if (err < 0) {
		chan_fail(c, err, c->tls->ops->why(c->tls));
		return;
	}
	c->want_write = false;
	chan_open(c);
}

static void chan_open(struct io_chan *c)
{
	c->state = CHAN_OPEN;
	c->unread = c->tls && c->tls->ops->holds_back(c->tls); /* came with the handshake's end */
	chan_more(c);
	if (c->ops->ready)
		c->ops->ready(c->arg, c);
	if (chan_live(c) && io_chan_queued(c) > 0)
		chan_flush(c);
}

/* one step of reading; 0 (*ret_len 0: end of stream), -EAGAIN, other negative */
static int chan_read_some(struct io_chan *c, size_t *ret_len, const char **ret_why)
{
	struct io_bytes *b = &c->in;
	ssize_t n;
	int err;

	if (c->tls) {
		err = c->tls->ops->read(c->tls, b->data + b->end, b->cap - b->end, ret_len);
		if (err == -GI_ECLOSED) {
			*ret_len = 0;
			return 0;
		}
		if (err < 0)
			*ret_why = c->tls->ops->why(c->tls);
		if (err == -EAGAIN && c->tls->ops->wants_write(c->tls))
			c->want_write = true;
		return err;
	}
	do
		n = recv(c->fd, b->data + b->end, b->cap - b->end, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0) {
		err = errno == EWOULDBLOCK ? -EAGAIN : -errno;
		*ret_why = gi_strerror(err);
		return err;
	}
	*ret_len = (size_t)n;
	return 0;
}

/* after a record of @n bytes, @sum in all: there may be another one */
static bool chan_tls_more(const struct io_chan *c, size_t n, size_t sum)
{
	return chan_live(c) && !c->paused && c->tls && sum < IO_LOOP_GULP &&
	       (n == CHAN_TLS_RECORD || c->tls->ops->holds_back(c->tls));
}

/* what is left of a gulp stays, in memory of our own */
static void chan_in_settle(struct io_chan *c)
{
	int err = 0;

	if (chan_live(c) && c->in.at < c->in.end)
		err = io_bytes_in_keep(&c->in, c->loop, c->conf.max_frame);
	else
		io_bytes_drop(&c->in, c->loop);
	if (err < 0) {
		io_bytes_drop(&c->in, c->loop);
		chan_fail(c, err, gi_strerror(err));
	}
}

/*
 * One gulp: plain one read; TLS record by record, as long as they are full ones or OpenSSL has
 * more. What it still has then is read in a later round, so that others have theirs; a part of a
 * record (EAGAIN) is announced by poll. True when bytes came in.
 */
static bool chan_read(struct io_chan *c)
{
	const char *why = NULL;
	size_t n, sum = 0;
	int err;

	c->unread = false;
	do {
		n = 0;
		err = io_bytes_in_room(&c->in, c->loop, c->conf.max_frame);
		if (err == 0)
			err = chan_read_some(c, &n, &why);
		if (err == -EAGAIN)
			break;
		if (err == 0 && n == 0) {
			err = c->in.end > c->in.at ? -GI_EPROTO : -GI_ECLOSED;
			why = err == -GI_EPROTO ? "closed in the middle of a frame"
						: "closed by the peer";
		}
		if (err < 0) {
			io_bytes_drop(&c->in, c->loop);
			chan_fail(c, err, why ? why : gi_strerror(err));
			return false;
		}
		sum += n;
		c->in.end += n;
		chan_deliver(c);
	} while (chan_tls_more(c, n, sum));
	chan_in_settle(c);
	c->unread = err == 0 && chan_live(c) && c->tls && c->tls->ops->holds_back(c->tls);
	chan_more(c);
	return sum > 0;
}

/* after a failed write: what the peer said before it went is still worth reading, bounded */
static void chan_read_rest(struct io_chan *c)
{
	int gulps = CHAN_REST_GULPS;

	while (gulps-- > 0 && chan_live(c) && !c->paused && chan_read(c))
		;
}

static void chan_deliver(struct io_chan *c)
{
	const uint8_t *frame;
	size_t len;
	int err;

	while (chan_live(c) && c->state == CHAN_OPEN && !c->paused && c->in.end > c->in.at) {
		frame = c->in.data + c->in.at;
		err = io_frame_next(frame, c->in.end - c->in.at, c->conf.max_frame, &len);
		if (err == -EAGAIN)
			return;
		if (err < 0) {
			chan_fail(c, err, "frame length out of range");
			return;
		}
		c->in.at += IO_FRAME_HEAD + len;
		c->frames_in++;
		c->ops->frame(c->arg, c, frame + IO_FRAME_HEAD, len);
	}
}

/*
 * As much as the socket takes, and no more once @max bytes are written: 0, -EAGAIN, other negative.
 * Whatever is left (want_write) goes on when poll says so.
 */
static int chan_write_some(struct io_chan *c, size_t max)
{
	struct io_bytes *b = &c->out;
	size_t begin = b->at;
	ssize_t n = 0;
	size_t done;
	int err = 0;

	while (b->at < b->end && b->at - begin < max) {
		size_t len = b->end - b->at;

		if (len > max - (b->at - begin))
			len = max - (b->at - begin);
		done = 0;
		if (c->tls) {
			err = c->tls->ops->write(c->tls, b->data + b->at, len, &done);
		} else {
			n = send(c->fd, b->data + b->at, len, MSG_NOSIGNAL);
			err = n < 0 ? (errno == EWOULDBLOCK ? -EAGAIN : -errno) : 0;
			done = n < 0 ? 0 : (size_t)n;
		}
		if (err == -EINTR)
			continue;
		if (err < 0)
			break;
		b->at += done;
	}
	c->want_write = err == -EAGAIN || (err == 0 && b->at < b->end);
	if (b->at == b->end) {
		b->at = b->end = 0;
		if (b->cap > CHAN_KEEP_BYTES) {
			free(b->data);
			*b = (struct io_bytes){ 0 };
		}
	}
	return err;
}

static void chan_flush(struct io_chan *c)
{
	int err = chan_write_some(c, CHAN_FLUSH_BYTES);

	if (err < 0 && err != -EAGAIN) {
		chan_read_rest(c);
		if (chan_live(c))
			chan_fail(c, err, c->tls ? c->tls->ops->why(c->tls) : gi_strerror(err));
		return;
	}
	if (c->was_full && io_chan_queued(c) < c->conf.max_queue / 2) {
		c->was_full = false;
		if (c->ops->drained)
			c->ops->drained(c->arg, c);
	}
}

static void chan_watch(struct io_chan *c)
{
	unsigned int events = 0;

	if (!chan_live(c))
		return;
	if (c->state == CHAN_CONNECTING)
		events = IO_WRITE;
	else if (c->state == CHAN_HANDSHAKE)
		events = c->want_write ? IO_WRITE : IO_READ;
	else
		events = (c->paused ? 0 : IO_READ) | (c->want_write ? IO_WRITE : 0);
	io_fd_set(c->loop, &c->watch, events);
}

static void chan_fail(struct io_chan *c, int err, const char *why)
{
	if (!chan_live(c))
		return;
	c->state = CHAN_CLOSED;
	io_fd_stop(c->loop, &c->watch);
	io_idle_stop(c->loop, &c->round);
	io_timer_stop(c->loop, &c->more);
	c->ops->closed(c->arg, c, err, why);
}

static void chan_destroy(struct io_chan *c)
{
	io_bytes_drop(&c->in, c->loop);
	io_bytes_drop(&c->out, c->loop);
	free(c);
}
