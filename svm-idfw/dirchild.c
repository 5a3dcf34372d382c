/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirchild.c - the directory child: one blocking call after another, for the engine's process
 *
 * Runs as `svm-idfw --directory LABEL`, started by dir.c, which kills it when it is late. It speaks
 * to one server as long as it lives; of several, the parent chooses.
 * Everything here blocks and that is its purpose: nothing but a process of its own bounds a stalled
 * TLS handshake. Lookups are dirwork.c's; every poll_ms it looks for changes and says how it is
 * (DirState), which also tells the parent that it lives. Invariant: nothing is executed and no
 * capability is held. Source: docs/directory.md, lib/wire/idfw.proto.
 */
#include "svm-idfw/dirchild.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/text.h"
#include "lib/io/child.h"
#include "lib/io/priv.h"
#include "svm-idfw/dirserver.h"

#define CHILD_PAGE 500
#define CHILD_BACKOFF_MAX_MS 5000
#define CHILD_TOLD_GAP_MS 50 /* between two looks that the server asked for */

static void child_frame(void *arg, struct io_chan *c, const uint8_t *buf, size_t len);
static void child_closed(void *arg, struct io_chan *c, int err, const char *why);
static void child_poll_cb(struct io_timer *w);
static unsigned int child_timeout(const struct child *s);
static void child_watch_cb(struct io_fd *w, unsigned int events);
static void child_told_cb(struct io_timer *w);
static void child_look(struct child *s);
static void child_send_changes(struct child *s, const struct dir_changes *c);

int idfw_dir_child_main(const struct idfw_dir_conf *conf, const char *uri)
{
	static const struct io_chan_ops ops = { .frame = child_frame, .closed = child_closed };
	static const struct io_chan_conf chan = { .max_frame = WIRE_FRAME_MAX,
		.max_queue = 16u << 20 };
	struct child *s = calloc(1, sizeof(*s));
	int err = -ENOMEM;

	if (!s)
		goto out;
	s->conf = *conf;
	s->conf.uri = uri ? uri : conf->uris.items[0];
	s->several = conf->uris.n > 1;
	s->back.conf = &s->conf;
	s->back.ops = strcmp(conf->type, "ad") == 0 ? &dir_back_ad : &dir_back_openldap;
	s->back.page = CHILD_PAGE;
	io_backoff_init(&s->backoff, CHILD_BACKOFF_MAX_MS);
	/* before libldap's first call: no ldap.conf, no .ldaprc, no LDAP* variables */
	if (setenv("LDAPNOINIT", "1", 1) < 0)
		goto out;
	err = dir_cache_new(DIR_CACHE_MAX, &s->back.cache);
	if (err == 0)
		err = io_priv_drop(NULL, 0);
	if (err == 0)
		err = io_priv_seccomp_parser();
	if (err == 0)
		err = io_loop_new(&s->loop);
	if (err == 0)
		err = io_chan_new(s->loop, IO_CHILD_FD, NULL, &chan, &ops, s, &s->chan);
	if (err < 0)
		goto out;
	io_timer_start(s->loop, &s->poll, 0, conf->poll_ms, child_poll_cb, s);
	io_loop_run(s->loop);
out:
	if (err < 0)
		gi_err("directory: cannot start: %s", gi_strerror(err));
	if (s) {
		child_disconnect(s);
		child_work_fini(s);
		while (s->back.n_nc)
			free(s->back.nc[--s->back.n_nc]);
		dir_cache_free(s->back.cache);
		io_chan_free(s->chan);
		io_loop_free(s->loop);
		err = err < 0 ? 1 : s->exit_code;
	}
	free(s);
	return err < 0 ? 1 : err;
}

/* ---- from the parent ---- */

static void child_frame(void *arg, struct io_chan *c, const uint8_t *buf, size_t len)
{
	struct child *s = arg;
	Idfw__Envelope *e = NULL;
	const char *why = "too many lookups at once";
	int err = wire_envelope_decode(buf, len, WIRE_SVM_TO_DIR, WIRE_OPEN, &e, &why);

	(void)c;
	if (err == 0 && e->body_case == IDFW__ENVELOPE__BODY_DIR_LOOKUP && child_work_put(s, e))
		return;
	wire_envelope_free(e);
	gi_err("directory: bad message from the parent: %s", why);
	s->exit_code = 1;
	io_loop_stop(s->loop);
}

static void child_closed(void *arg, struct io_chan *c, int err, const char *why)
{
	struct child *s = arg;

	(void)c;
	(void)err;
	(void)why;
	io_loop_stop(s->loop); /* the parent is gone */
}

/* ---- the server ---- */

static void child_poll_cb(struct io_timer *w)
{
	child_look(w->arg);
}

static void child_told_cb(struct io_timer *w)
{
	struct child *s = w->arg;

	s->told_ms = io_clock_mono_ms();
	child_look(s);
}

static void child_look(struct child *s)
{
	struct dir_changes ch = { .sids = s->changed };

	int err;

	if (!s->up) {
		if (io_clock_mono_ms() >= s->retry_ms)
			child_connect(s);
		child_send_state(s);
		return;
	}
	err = s->back.ops->poll(&s->back, &ch, s->why);
	if (err == 0) {
		child_send_changes(s, &ch);
	} else if (err == -ETIMEDOUT && s->several) {
		child_disconnect(s); /* it stands still: another server can be had sooner */
	} else {
		child_reconnect(s); /* servers close idle connections: that alone is no outage */
		return;
	}
	child_send_state(s);
}

/*
 * In the next round: first the parent hears that we connect (down, and no reason), so that it knows
 * which limit counts if we never come back from it.
 */
void child_reconnect(struct child *s)
{
	child_disconnect(s);
	s->why[0] = '\0';
	s->retry_ms = 0;
	child_send_state(s);
	io_timer_start(s->loop, &s->poll, 0, s->conf.poll_ms, child_poll_cb, s);
}

/* libldap's own limits come first, so that the parent has to kill only what has none */
static unsigned int child_timeout(const struct child *s)
{
	uint64_t ms = s->conf.deadline_ms * 2 / 5;

	return (unsigned int)(s->several && ms > DIR_CONNECT_MS ? DIR_CONNECT_MS : ms);
}

/* the server has something to tell: once at once, then not too often */
static void child_watch_cb(struct io_fd *w, unsigned int events)
{
	struct child *s = w->arg;
	uint64_t now = io_clock_mono_ms(), next = s->told_ms + CHILD_TOLD_GAP_MS;
	bool moved = s->back.ops->told(&s->back);

	(void)events;
	if (!s->back.told_by_fd)
		io_fd_stop(s->loop, w);
	if (moved)
		io_timer_start(s->loop, &s->told, next > now ? next - now : 0, 0, child_told_cb, s);
}

void child_connect(struct child *s)
{
	const struct idfw_dir_conf *c = s->back.conf;
	const struct dldap_conf conf = { .uri = c->uri,
		.bind_user = c->bind_user,
		.ca_file = c->ca_file,
		.password_file = c->password_file,
		.timeout_ms = child_timeout(s) };
	struct dir_changes ch = { .sids = s->changed };
	int err;

	err = dldap_open(&conf, s->why, &s->back.look);
	if (err == 0)
		err = dldap_open(&conf, s->why, &s->back.watch);
	if (err == 0)
		err = s->back.ops->begin(&s->back, &ch, s->why);
	if (err < 0) {
		if (s->why[0] == '\0')
			dir_why(s->why, "%s: %s", c->uri, gi_strerror(err));
		child_disconnect(s);
		s->retry_ms = io_clock_mono_ms() + io_backoff_next(&s->backoff);
		return;
	}
	s->up = true;
	if (s->back.told_by_fd)
		io_fd_start(
			s->loop, &s->watch, dldap_fd(s->back.watch), IO_READ, child_watch_cb, s);
	s->why[0] = '\0';
	io_backoff_init(&s->backoff, CHILD_BACKOFF_MAX_MS);
	child_send_state(s); /* first: who hears of changes asks at once */
	child_send_changes(s, &ch);
}

void child_disconnect(struct child *s)
{
	if (s->loop) {
		io_fd_stop(s->loop, &s->watch);
		io_timer_stop(s->loop, &s->told);
	}
	dldap_close(s->back.look);
	dldap_close(s->back.watch);
	s->back.look = s->back.watch = NULL;
	s->up = false;
}

/* ---- to the parent ---- */

void child_send(struct child *s, const Idfw__Envelope *e)
{
	struct gi_buf out;
	int err;

	gi_buf_init(&out, WIRE_FRAME_MAX);
	err = wire_envelope_encode(e, &out);
	if (err == 0)
		err = io_chan_send(s->chan, out.data, out.len);
	gi_buf_fini(&out);
	if (err == 0)
		return;
	/* half an answer must not stay: the parent starts us again and tells the engine */
	gi_err("directory: cannot answer: %s", gi_strerror(err));
	s->exit_code = 1;
	io_loop_stop(s->loop);
}

void child_send_state(struct child *s)
{
	Idfw__DirState st = IDFW__DIR_STATE__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	char empty[] = "";

	st.up = s->up;
	st.server = s->back.server;
	st.text = s->up ? empty : s->why;
	st.usn = s->back.usn;
	e.body_case = IDFW__ENVELOPE__BODY_DIR_STATE;
	e.dir_state = &st;
	child_send(s, &e);
}

static void child_send_changes(struct child *s, const struct dir_changes *c)
{
	ProtobufCBinaryData sid[WIRE_DIR_SIDS_MAX];
	Idfw__DirChanged ch = IDFW__DIR_CHANGED__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	size_t at = 0;

	if (!c->all && c->n_sids == 0)
		return;
	e.body_case = IDFW__ENVELOPE__BODY_DIR_CHANGED;
	e.dir_changed = &ch;
	ch.all = c->all;
	ch.sid = sid;
	do {
		ch.n_sid = 0;
		while (!c->all && at < c->n_sids && ch.n_sid < WIRE_DIR_SIDS_MAX) {
			sid[ch.n_sid++] = (ProtobufCBinaryData){ .len = c->sids[at].len,
				.data = c->sids[at].bytes };
			at++;
		}
		child_send(s, &e);
	} while (!c->all && at < c->n_sids);
}
