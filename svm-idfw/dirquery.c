/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirquery.c - one question of an operator to a directory: the parent of the child that asks
 *
 * Runs in svm-idfw's loop. The child is an ordinary directory child (dirchild.c), so a lookup by
 * hand is what a login's lookup is. It says how it is each poll_ms, and while it reads for long at
 * least once a second: silent for longer than the deadline (and QUERY_SILENT_ADD_MS for connecting)
 * means SIGKILL, as a TLS handshake or a name service that stalls is ended by nothing else. What it
 * sends is checked like any other message: it speaks to a server, and may be the server's by now.
 */
#include "svm-idfw/dirquery.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "lib/base/log.h"
#include "lib/io/chan.h"
#include "lib/io/child.h"
#include "lib/io/sock.h"

#define QUERY_SILENT_ADD_MS 2000
#define QUERY_QUEUE_MAX (8u << 20) /* references of the largest policy, several times */
#define QUERY_ARGV 6

struct dir_query {
	struct io_loop *loop;
	struct dir_queries *all;
	struct dir_query *prev, *next; /* in all->dying */
	bool freed;
	struct dir_query_ops ops;
	void *arg;
	struct io_child child;
	struct io_chan *chan; /* NULL: it is over */
	struct io_timer silent;
	uint64_t silent_ms;
	bool paused, ready;
};

static void query_frame(void *arg, struct io_chan *c, const uint8_t *buf, size_t len);
static void query_closed(void *arg, struct io_chan *c, int err, const char *why);
static void query_exited(struct io_child *c, int status);
static void query_silent_cb(struct io_timer *w);
static int query_send(struct dir_query *q, const Idfw__Envelope *e);
static void query_fail(struct dir_query *q, const char *why);

void dir_queries_init(struct dir_queries *all, struct io_loop *l)
{
	*all = (struct dir_queries){ .loop = l };
}

void dir_queries_fini(struct dir_queries *all)
{
	struct dir_query *q, *next;

	DL_FOREACH_SAFE (all->dying, q, next) {
		io_child_stop(all->loop, &q->child);
		free(q);
	}
	*all = (struct dir_queries){ .loop = all->loop };
}

/* whoever may use the control socket may ask, and again at once */
static bool queries_full(struct dir_queries *all)
{
	uint64_t now = io_clock_mono_ms();

	if (now - all->second_ms >= 1000) {
		all->second_ms = now;
		all->started = 0;
	}
	return all->n >= DIR_QUERIES_MAX || all->started >= DIR_QUERIES_SECOND;
}

int dir_query_new(struct dir_queries *all, const struct idfw_dir_place *place,
	const struct dir_query_ops *ops, void *arg, struct dir_query **ret)
{
	static const struct io_chan_ops chan_ops = { .frame = query_frame, .closed = query_closed };
	static const struct io_chan_conf chan = { .max_frame = WIRE_FRAME_MAX,
		.max_queue = QUERY_QUEUE_MAX };
	const char *const words[QUERY_ARGV] = { "svm-idfw", "--directory-query", place->label, "-c",
		place->conf_file, place->uri };
	char *argv[QUERY_ARGV + 1] = { NULL };
	struct dir_query *q;
	size_t i;
	int err, fd;

	if (queries_full(all))
		return -EBUSY;
	q = calloc(1, sizeof(*q));
	if (!q)
		return -ENOMEM;
	for (i = 0; i < QUERY_ARGV; i++) /* not written to: execv(3) */
		argv[i] = (char *)(uintptr_t)words[i];
	q->loop = all->loop;
	q->all = all;
	q->ops = *ops;
	q->arg = arg;
	q->silent_ms = place->deadline_ms + QUERY_SILENT_ADD_MS;
	err = io_child_start(q->loop, &q->child, argv, SOCK_STREAM, query_exited, q);
	if (err < 0) {
		free(q);
		return err;
	}
	all->n++;
	all->started++;
	fd = q->child.fd;
	q->child.fd = -1;
	err = io_chan_new(q->loop, fd, NULL, &chan, &chan_ops, q, &q->chan);
	if (err < 0) {
		dir_query_free(q);
		return err;
	}
	io_timer_start(q->loop, &q->silent, q->silent_ms, 0, query_silent_cb, q);
	*ret = q;
	return 0;
}

void dir_query_free(struct dir_query *q)
{
	if (!q)
		return;
	io_timer_stop(q->loop, &q->silent);
	io_chan_free(q->chan);
	q->chan = NULL;
	if (q->child.pid <= 0) { /* reaped */
		free(q);
		return;
	}
	io_child_kill(&q->child);
	q->freed = true;
	DL_APPEND(q->all->dying, q);
}

int dir_query_lookup(struct dir_query *q, const char *name)
{
	Idfw__DirLookup l = IDFW__DIR_LOOKUP__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;

	l.id = 1;
	l.name = (char *)(uintptr_t)name;
	e.body_case = IDFW__ENVELOPE__BODY_DIR_LOOKUP;
	e.dir_lookup = &l;
	return query_send(q, &e);
}

int dir_query_ask(struct dir_query *q, const Idfw__DirQuery *ask)
{
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;

	e.body_case = IDFW__ENVELOPE__BODY_DIR_QUERY;
	e.dir_query = (Idfw__DirQuery *)(uintptr_t)ask; /* encoding does not write */
	return query_send(q, &e);
}

void dir_query_pause(struct dir_query *q, bool pause)
{
	if (!q->chan || q->paused == pause)
		return;
	q->paused = pause;
	if (pause) {
		io_chan_read_pause(q->chan);
		io_timer_stop(q->loop, &q->silent);
	} else {
		io_chan_read_resume(q->chan);
		io_timer_start(q->loop, &q->silent, q->silent_ms, 0, query_silent_cb, q);
	}
}

static int query_send(struct dir_query *q, const Idfw__Envelope *e)
{
	struct gi_buf out;
	int err;

	gi_buf_init(&out, WIRE_FRAME_MAX);
	err = wire_envelope_encode(e, &out);
	if (err == 0)
		err = q->chan ? io_chan_send(q->chan, out.data, out.len) : -ENOTCONN;
	gi_buf_fini(&out);
	return err;
}

/* the owner may free @q in each call of its ops: nothing of it is touched afterwards */
static void query_frame(void *arg, struct io_chan *c, const uint8_t *buf, size_t len)
{
	struct dir_query *q = arg;
	const Idfw__DirState *st;
	Idfw__Envelope *e = NULL;
	const char *why = "";

	(void)c;
	if (wire_envelope_decode(buf, len, WIRE_DIR_CHILD, WIRE_OPEN, &e, &why) < 0) {
		gi_err("directory query: bad message from the child: %s; killed", why);
		query_fail(q, "the process that asks the directory sent garbage");
		return;
	}
	if (!q->paused)
		io_timer_start(q->loop, &q->silent, q->silent_ms, 0, query_silent_cb, q);
	st = e->body_case == IDFW__ENVELOPE__BODY_DIR_STATE ? e->dir_state : NULL;
	if (e->body_case == IDFW__ENVELOPE__BODY_DIR_RESULT)
		q->ops.result(q->arg, e->dir_result);
	else if (e->body_case == IDFW__ENVELOPE__BODY_DIR_REPORT)
		q->ops.report(q->arg, e->dir_report);
	else if (st && !st->up && st->text[0]) /* without a text it connects */
		query_fail(q, st->text);
	else if (st && st->up && !q->ready) {
		q->ready = true;
		q->ops.ready(q->arg);
	}
	wire_envelope_free(e);
}

static void query_fail(struct dir_query *q, const char *why)
{
	io_timer_stop(q->loop, &q->silent);
	io_chan_free(q->chan);
	q->chan = NULL;
	io_child_kill(&q->child);
	q->ops.failed(q->arg, why);
}

static void query_closed(void *arg, struct io_chan *c, int err, const char *why)
{
	(void)c;
	(void)err;
	(void)why;
	query_fail(arg, "the process that asks the directory ended; see svm-idfw's log");
}

static void query_exited(struct io_child *c, int status)
{
	struct dir_query *q = c->arg;

	(void)status;
	q->all->n--;
	if (!q->freed) /* the channel's end is what counts: what came before it is still read */
		return;
	DL_DELETE(q->all->dying, q);
	free(q);
}

static void query_silent_cb(struct io_timer *w)
{
	struct dir_query *q = w->arg;
	char why[128];

	(void)snprintf(why, sizeof(why),
		"no answer within %llu ms (stalled server, TLS handshake or name service?)",
		(unsigned long long)q->silent_ms);
	query_fail(q, why);
}
