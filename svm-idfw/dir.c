/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dir.c - the directory, seen from the engine's process: starts, feeds and kills the child
 *
 * Runs in svm-idfw's loop. Lookups wait in a bounded queue, DIR_INFLIGHT_MAX of them at the child.
 * The child works on one after the other, so a lookup is late when nothing was answered for
 * deadline_ms; without lookups its DirState every poll_ms is what must come. Late means SIGKILL:
 * whatever runs is answered UNAVAILABLE, and the child starts again after a backoff. While the
 * directory is down every lookup is answered UNAVAILABLE from here (the engine asks again when
 * state() says up); before the first state lookups wait.
 * Invariants: one principal() for each lookup taken, never from within idfw_dir_lookup(); state()
 * only when it changed, or the reason did. Source: docs/directory.md.
 */
#include "svm-idfw/dir.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "lib/base/log.h"
#include "lib/base/text.h"
#include "lib/io/chan.h"
#include "lib/io/child.h"
#include "lib/io/sock.h"
#include "svm-idfw/dirqueue.h"
#include "svm-idfw/sid.h"

#define DIR_BACKOFF_MAX_MS 5000
#define DIR_CHANGED_MAX 512 /* SIDs in one DirChanged, as on the wire */

enum dir_state { DIR_UNKNOWN, DIR_UP, DIR_DOWN };

struct idfw_dir {
	struct io_loop *loop;
	const struct idfw_dir_conf *conf; /* borrowed */
	struct idfw_dir_ops ops;
	void *arg;
	char *argv[6]; /* owned texts */
	struct io_child child;
	struct io_chan *chan; /* NULL: no child */
	struct io_backoff backoff;
	struct io_timer restart, watchdog;
	struct io_idle pump;
	struct dir_queue queue;
	enum dir_state state;
	char why[256];	      /* as last reported */
	uint64_t heard_ms;    /* last message, monotonic */
	uint64_t progress_ms; /* last answer, or the first lookup after idling */
	bool killed;	      /* by us, for being late */
};

static void dir_child_start(struct idfw_dir *d);
static void dir_child_exited(struct io_child *c, int status);
static void dir_restart_cb(struct io_timer *w);
static void dir_watchdog_cb(struct io_timer *w);
static void dir_pump_cb(struct io_idle *w);
static void dir_frame(void *arg, struct io_chan *c, const uint8_t *buf, size_t len);
static void dir_closed(void *arg, struct io_chan *c, int err, const char *why);
static void dir_on_result(struct idfw_dir *d, const Idfw__DirResult *r);
static void dir_on_changed(struct idfw_dir *d, const Idfw__DirChanged *c);
static void dir_on_state(struct idfw_dir *d, const Idfw__DirState *s);
static void dir_lost(struct idfw_dir *d, const char *why);
static void dir_set_state(struct idfw_dir *d, enum dir_state state, const char *why);
static void dir_answer_rest(struct idfw_dir *d, size_t n);
static int dir_ask_send(struct idfw_dir *d, const struct dir_ask *a);

int idfw_dir_new(struct io_loop *l, const char *conf_file, const struct idfw_dir_conf *conf,
	const struct idfw_dir_ops *ops, void *arg, struct idfw_dir **ret)
{
	const char *const argv[] = { "svm-idfw", "--directory", conf->label, "-c", conf_file };
	struct idfw_dir *d;
	size_t i;

	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	for (i = 0; i < GI_ARRAY_SIZE(argv); i++) {
		d->argv[i] = strdup(argv[i]);
		if (!d->argv[i]) {
			idfw_dir_free(d);
			return -ENOMEM;
		}
	}
	d->loop = l;
	d->conf = conf;
	d->ops = *ops;
	d->arg = arg;
	dir_queue_init(&d->queue, DIR_QUEUE_MAX);
	io_backoff_init(&d->backoff, DIR_BACKOFF_MAX_MS);
	dir_child_start(d);
	*ret = d;
	return 0;
}

void idfw_dir_free(struct idfw_dir *d)
{
	size_t i;

	if (!d)
		return;
	if (d->loop) {
		io_timer_stop(d->loop, &d->restart);
		io_timer_stop(d->loop, &d->watchdog);
		io_idle_stop(d->loop, &d->pump);
		io_chan_free(d->chan);
		io_child_stop(d->loop, &d->child);
		dir_queue_fini(&d->queue);
	}
	for (i = 0; i < GI_ARRAY_SIZE(d->argv); i++)
		free(d->argv[i]);
	free(d);
}

int idfw_dir_lookup(struct idfw_dir *d, const char *key, const char *name, const char *sid)
{
	int err = dir_queue_put(&d->queue, key, name, sid);

	if (err == 0)
		io_idle_once(d->loop, &d->pump, dir_pump_cb, d);
	return err;
}

/* ---- the child's life ---- */

static void dir_child_start(struct idfw_dir *d)
{
	static const struct io_chan_ops ops = { .frame = dir_frame, .closed = dir_closed };
	static const struct io_chan_conf conf = { .max_frame = WIRE_FRAME_MAX,
		.max_queue = DIR_INFLIGHT_MAX * 1024u };
	uint64_t look_ms = d->conf->deadline_ms / 10 < 20 ? 20 : d->conf->deadline_ms / 10;
	int err = io_child_start(d->loop, &d->child, d->argv, SOCK_STREAM, dir_child_exited, d);

	d->killed = false;
	if (err == 0) {
		int fd = d->child.fd;

		d->child.fd = -1;
		err = io_chan_new(d->loop, fd, NULL, &conf, &ops, d, &d->chan);
		if (err < 0)
			io_child_kill(&d->child); /* exited() starts it again */
	} else {
		io_timer_start(
			d->loop, &d->restart, io_backoff_next(&d->backoff), 0, dir_restart_cb, d);
	}
	if (err < 0) {
		gi_err("directory %s: cannot start the child: %s", d->conf->label,
			gi_strerror(err));
		dir_set_state(d, DIR_DOWN, "the directory child cannot be started; see the log");
		return;
	}
	d->heard_ms = d->progress_ms = io_clock_mono_ms();
	io_timer_start(d->loop, &d->watchdog, look_ms, look_ms, dir_watchdog_cb, d);
}

static void dir_child_exited(struct io_child *c, int status)
{
	struct idfw_dir *d = c->arg;

	if (!d->killed)
		gi_err("directory %s: child ended unexpectedly (%s %d)", d->conf->label,
			WIFSIGNALED(status) ? "signal" : "exit code",
			WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	dir_lost(d, d->killed ? d->why : "the directory child ended; it is started again");
	io_timer_start(d->loop, &d->restart, io_backoff_next(&d->backoff), 0, dir_restart_cb, d);
}

static void dir_restart_cb(struct io_timer *w)
{
	dir_child_start(w->arg);
}

static void dir_watchdog_cb(struct io_timer *w)
{
	struct idfw_dir *d = w->arg;
	uint64_t now = io_clock_mono_ms();
	bool late = d->queue.n_running && now - d->progress_ms > d->conf->deadline_ms;
	bool silent = now - d->heard_ms > d->conf->deadline_ms + d->conf->poll_ms;
	char why[256];

	if (d->killed || (!late && !silent))
		return;
	(void)snprintf(why, sizeof(why),
		"%.100s did not answer within %llu ms (stalled server, TLS "
		"handshake or name service?); the child is started again",
		d->conf->uri, (unsigned long long)d->conf->deadline_ms);
	gi_warn("directory %s: %s", d->conf->label, why);
	d->killed = true;
	io_child_kill(&d->child);
	dir_lost(d, why);
}

/* nothing comes from this child any more */
static void dir_lost(struct idfw_dir *d, const char *why)
{
	io_timer_stop(d->loop, &d->watchdog);
	io_chan_free(d->chan);
	d->chan = NULL;
	dir_set_state(d, DIR_DOWN, why);
	dir_answer_rest(d, d->queue.n_running);
	io_idle_once(d->loop, &d->pump, dir_pump_cb, d);
}

/* ---- lookups ---- */

/* at the end of a loop round: what can be sent is sent; while down all is answered here */
static void dir_pump_cb(struct io_idle *w)
{
	struct idfw_dir *d = w->arg;
	struct dir_ask *a;

	if (d->state == DIR_DOWN) {
		dir_answer_rest(d, d->queue.n_running + d->queue.n_waiting);
		return;
	}
	while (d->state == DIR_UP && d->chan && d->queue.n_running < DIR_INFLIGHT_MAX) {
		if (d->queue.n_running == 0)
			d->progress_ms = io_clock_mono_ms();
		a = dir_queue_start(&d->queue);
		if (!a)
			break;
		if (dir_ask_send(d, a) < 0) {
			gi_err("directory %s: cannot ask for \"%s\"", d->conf->label, a->name);
			a->again = false;
			(void)!dir_queue_finish(&d->queue, a);
			a->found.presence = IDFW_P_UNAVAILABLE;
			d->ops.principal(d->arg, a->key, &a->found);
			dir_ask_free(a);
		}
	}
}

static int dir_ask_send(struct idfw_dir *d, const struct dir_ask *a)
{
	Idfw__DirLookup l = IDFW__DIR_LOOKUP__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	uint8_t sid[SID_BYTES_MAX];
	size_t sid_len = 0;
	struct gi_buf out;
	int err;

	if (a->sid[0] && sid_from_text(a->sid, sid, &sid_len) < 0)
		sid_len = 0;
	l.id = a->id;
	l.name = a->name;
	l.sid = (ProtobufCBinaryData){ .len = sid_len, .data = sid };
	e.body_case = IDFW__ENVELOPE__BODY_DIR_LOOKUP;
	e.dir_lookup = &l;
	gi_buf_init(&out, WIRE_FRAME_MAX);
	err = wire_envelope_encode(&e, &out);
	if (err == 0)
		err = io_chan_send(d->chan, out.data, out.len);
	gi_buf_fini(&out);
	return err;
}

/* the next @n are answered UNAVAILABLE; the engine may ask again from within: those wait their turn
 */
static void dir_answer_rest(struct idfw_dir *d, size_t n)
{
	struct dir_ask *a;

	while (n-- && (a = dir_queue_take(&d->queue)) != NULL) {
		struct idfw_principal none = { .presence = IDFW_P_UNAVAILABLE };

		none.key = a->key;
		none.name = none.upn = none.dn = none.sid = (char *)(uintptr_t) "";
		d->ops.principal(d->arg, a->key, &none);
		dir_ask_free(a);
	}
}

/* ---- from the child ---- */

static void dir_frame(void *arg, struct io_chan *c, const uint8_t *buf, size_t len)
{
	struct idfw_dir *d = arg;
	Idfw__Envelope *e = NULL;
	const char *why = "";

	(void)c;
	if (d->killed)
		return;
	if (wire_envelope_decode(buf, len, WIRE_DIR_CHILD, WIRE_OPEN, &e, &why) < 0) {
		gi_err("directory %s: bad message from the child: %s; killed", d->conf->label, why);
		d->killed = true;
		io_child_kill(&d->child);
		dir_lost(d, "the directory child sent garbage; it is started again");
		return;
	}
	d->heard_ms = io_clock_mono_ms();
	if (e->body_case == IDFW__ENVELOPE__BODY_DIR_RESULT)
		dir_on_result(d, e->dir_result);
	else if (e->body_case == IDFW__ENVELOPE__BODY_DIR_CHANGED)
		dir_on_changed(d, e->dir_changed);
	else if (e->body_case == IDFW__ENVELOPE__BODY_DIR_STATE)
		dir_on_state(d, e->dir_state);
	wire_envelope_free(e);
}

static void dir_closed(void *arg, struct io_chan *c, int err, const char *why)
{
	struct idfw_dir *d = arg;

	(void)c;
	(void)err;
	(void)why;
	io_chan_free(d->chan);
	d->chan = NULL;
	io_child_kill(&d->child); /* exited() does the rest */
}

static void dir_on_result(struct idfw_dir *d, const Idfw__DirResult *r)
{
	struct dir_ask *a = dir_queue_running(&d->queue, r->id);
	int err;

	d->progress_ms = d->heard_ms;
	if (!a)
		return; /* answered UNAVAILABLE meanwhile */
	err = dir_ask_part(a, r);
	if (err == 0 && !r->last)
		return;
	if (err < 0) {
		gi_err("directory %s: answer for \"%s\" is refused: %s", d->conf->label, a->name,
			gi_strerror(err));
		a->found.presence = IDFW_P_UNAVAILABLE;
	} else if (r->status == IDFW__DIR_RESULT__STATUS__AMBIGUOUS) {
		gi_warn("directory %s: %s: treated as unknown", d->conf->label, r->text);
	} else if (r->status == IDFW__DIR_RESULT__STATUS__UNAVAILABLE) {
		gi_warn("directory %s: lookup of \"%s\": %s", d->conf->label, a->name, r->text);
	}
	err = dir_queue_finish(&d->queue, a);
	if (err < 0)
		gi_err("directory %s: \"%s\" is not looked up again: %s", d->conf->label, a->name,
			gi_strerror(err));
	d->ops.principal(d->arg, a->key, &a->found);
	dir_ask_free(a);
	io_idle_once(d->loop, &d->pump, dir_pump_cb, d);
}

static void dir_on_changed(struct idfw_dir *d, const Idfw__DirChanged *c)
{
	char text[DIR_CHANGED_MAX][SID_TEXT_MAX]; /* 96 KiB of stack */
	const char *list[DIR_CHANGED_MAX];
	size_t i, n = 0;

	for (i = 0; i < c->n_sid && n < DIR_CHANGED_MAX; i++) {
		if (sid_to_text(c->sid[i].data, c->sid[i].len, text[n]) < 0)
			continue;
		list[n] = text[n];
		n++;
	}
	if (c->all || n)
		d->ops.changed(d->arg, c->all, list, n);
}

static void dir_on_state(struct idfw_dir *d, const Idfw__DirState *s)
{
	if (s->up)
		io_backoff_init(&d->backoff, DIR_BACKOFF_MAX_MS);
	dir_set_state(d, s->up ? DIR_UP : DIR_DOWN, s->text);
	io_idle_once(d->loop, &d->pump, dir_pump_cb, d);
}

static void dir_set_state(struct idfw_dir *d, enum dir_state state, const char *why)
{
	/* another reason is news as well: the first fault mended, the next one shows */
	if (d->state == state && (state == DIR_UP || strcmp(d->why, why) == 0))
		return;
	d->state = state;
	(void)snprintf(d->why, sizeof(d->why), "%s", why); /* differs from d->why here */
	if (state == DIR_UP)
		gi_notice("directory %s: up (%s)", d->conf->label, d->conf->uri);
	else
		gi_err("directory %s: down: %s", d->conf->label, why);
	d->ops.state(d->arg, state == DIR_UP, why);
}
