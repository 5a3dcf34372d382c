/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * upstream.c - one connection to a service: connect, handshake, keep alive, try again
 *
 *   WAITING --timer--> CONNECTING --TLS done, Hello sent--> GREETING --HelloAck--> OPEN
 *      ^------------------ any error, refusal, deadline ---------------------------'
 *
 * Runs in gi-mux. Invariants: exactly one timer is set in each state (retry, deadline, deadline,
 * keepalive); down() is called once for each up(). The wait grows with each failure and is
 * jittered, so that a hundred hosts do not knock at a restarted service VM at once.
 */
#include "config.h"

#include "mux/upstream.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <netinet/tcp.h>
#include "lib/base/log.h"
#include "lib/io/chan.h"

#define UP_NOTSENT_BYTES (64 << 10)
#define UP_SNDBUF_BYTES (512 << 10)
#define UP_SETTLED_MS 10000 /* a link that lived so long ended a series of failures */

enum up_state { UP_WAITING, UP_CONNECTING, UP_GREETING, UP_OPEN };

struct mux_upstream {
	struct io_loop *loop;
	struct mux_upstream_conf conf;
	const struct mux_upstream_ops *ops;
	void *arg;
	struct io_chan *chan; /* owned; NULL while waiting */
	enum up_state state;
	struct io_timer timer;
	struct io_backoff backoff;
	uint64_t heard_ms, asked_ms, opened_ms; /* monotonic; asked_ms 0: no Ping is out */
	uint64_t last_token;
	bool quiet; /* the failure was logged, its repetitions are not */
	struct gi_buf buf;
	struct mux_upstream_stats stats;
};

static void up_connect(struct mux_upstream *u);
static void up_lost(struct mux_upstream *u, const char *why);
static void up_retry_cb(struct io_timer *w);
static void up_deadline_cb(struct io_timer *w);
static void up_idle_cb(struct io_timer *w);
static void up_ready(void *arg, struct io_chan *c);
static void up_frame(void *arg, struct io_chan *c, const uint8_t *buf, size_t len);
static void up_closed(void *arg, struct io_chan *c, int err, const char *why);
static void up_drained(void *arg, struct io_chan *c);

static const struct io_chan_ops up_chan_ops = {
	.ready = up_ready,
	.frame = up_frame,
	.closed = up_closed,
	.drained = up_drained,
};

int mux_upstream_new(struct io_loop *l, const struct mux_upstream_conf *conf,
	const struct mux_upstream_ops *ops, void *arg, struct mux_upstream **ret)
{
	struct mux_upstream *u = calloc(1, sizeof(*u));

	if (!u)
		return -ENOMEM;
	u->loop = l;
	u->conf = *conf;
	u->ops = ops;
	u->arg = arg;
	io_backoff_init(&u->backoff, conf->retry_ms);
	gi_buf_init(&u->buf, WIRE_ROUTED_MAX);
	io_timer_start(l, &u->timer, 0, 0, up_retry_cb, u);
	*ret = u;
	return 0;
}

void mux_upstream_free(struct mux_upstream *u)
{
	if (!u)
		return;
	io_timer_stop(u->loop, &u->timer);
	io_chan_free(u->chan);
	gi_buf_fini(&u->buf);
	free(u);
}

bool mux_upstream_is_up(const struct mux_upstream *u)
{
	return u->state == UP_OPEN;
}

/* the channel's ceiling is twice the window, so drained() comes when it is under the window */
bool mux_upstream_room(const struct mux_upstream *u)
{
	return u->state == UP_OPEN && io_chan_queued(u->chan) <= MUX_UP_WINDOW;
}

int mux_upstream_send(struct mux_upstream *u, const uint8_t *head, size_t head_len,
	const uint8_t *buf, size_t len)
{
	int err;

	if (u->state != UP_OPEN)
		return -ENOTCONN;
	err = io_chan_send2(u->chan, head, head_len, buf, len);
	if (err)
		return err;
	u->stats.frames_out++;
	u->stats.bytes_out += head_len + len;
	return 0;
}

void mux_upstream_stats(const struct mux_upstream *u, struct mux_upstream_stats *ret)
{
	*ret = u->stats;
	ret->up = u->state == UP_OPEN;
}

static void up_retry_cb(struct io_timer *w)
{
	up_connect(w->arg);
}

/* frames of quiet guests must not wait in the kernel behind megabytes of a loud one */
static void up_shorten_kernel_queue(int fd, const struct io_endpoint *e)
{
	int notsent = UP_NOTSENT_BYTES, sndbuf = UP_SNDBUF_BYTES;

	/* best effort: a kernel that refuses costs latency, nothing else */
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &sndbuf, sizeof(sndbuf));
	if (e->u.sa.sa_family == AF_INET || e->u.sa.sa_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &notsent, sizeof(notsent));
}

static void up_connect(struct mux_upstream *u)
{
	const struct io_chan_conf conf = { .max_frame = WIRE_ROUTED_MAX,
		.max_queue = 2 * MUX_UP_WINDOW };
	struct io_tls *tls = NULL;
	int fd = -1, err;

	u->state = UP_CONNECTING;
	u->asked_ms = 0;
	err = io_sock_connect(&u->conf.endpoint, &fd);
	if (err) {
		up_lost(u, gi_strerror(err));
		return;
	}
	up_shorten_kernel_queue(fd, &u->conf.endpoint);
	err = io_tls_new(u->conf.tls, u->conf.server_name, &tls);
	if (err) {
		(void)close(fd);
		up_lost(u, gi_strerror(err));
		return;
	}
	err = io_chan_new(u->loop, fd, tls, &conf, &up_chan_ops, u, &u->chan);
	if (err) {
		up_lost(u, gi_strerror(err));
		return;
	}
	io_timer_start(u->loop, &u->timer, u->conf.deadline_ms, 0, up_deadline_cb, u);
}

/* from any state but WAITING: says so, tells the owner, tries again later */
static void up_lost(struct mux_upstream *u, const char *why)
{
	bool was_open = u->state == UP_OPEN;
	uint32_t wait;

	if (was_open && io_clock_mono_ms() - u->opened_ms >= UP_SETTLED_MS)
		io_backoff_init(&u->backoff, u->conf.retry_ms);
	wait = io_backoff_next(&u->backoff);
	if (was_open || !u->quiet)
		gi_warn("%s %s: %s; trying again until it answers", u->conf.service,
			u->conf.endpoint.text, why);
	else
		gi_debug("%s %s: %s; next try in %" PRIu32 " ms", u->conf.service,
			u->conf.endpoint.text, why, wait);
	u->quiet = true;
	u->state = UP_WAITING;
	io_timer_start(u->loop, &u->timer, wait, 0, up_retry_cb, u);
	if (was_open) {
		u->stats.losses++;
		u->ops->down(u->arg, why);
	}
}

/* for our own decisions; @why may live in the message that is being handled */
static void up_drop(struct mux_upstream *u, const char *why)
{
	struct io_chan *c = u->chan;

	u->chan = NULL;
	up_lost(u, why);
	io_chan_free(c);
}

static void up_closed(void *arg, struct io_chan *c, int err, const char *why)
{
	(void)c;
	(void)err;
	up_drop(arg, why);
}

static int up_send_own(struct mux_upstream *u, const Idfw__Routed *r)
{
	int err;

	gi_buf_reset(&u->buf);
	err = wire_routed_encode(r, &u->buf);
	if (err)
		return err;
	err = io_chan_send(u->chan, u->buf.data, u->buf.len);
	if (!err) {
		u->stats.frames_out++;
		u->stats.bytes_out += u->buf.len;
	}
	return err;
}

static void up_ready(void *arg, struct io_chan *c)
{
	struct mux_upstream *u = arg;
	Idfw__Hello h = IDFW__HELLO__INIT;
	Idfw__Routed r;
	int err;

	(void)c;
	idfw__routed__init(&r);
	h.version_min = WIRE_VERSION_MIN;
	h.version_max = WIRE_VERSION_MAX;
	h.software = (char *)(uintptr_t)u->conf.software; /* encoding does not write */
	r.body_case = IDFW__ROUTED__BODY_HELLO;
	r.hello = &h;
	u->state = UP_GREETING; /* the deadline of the connection goes on */
	err = up_send_own(u, &r);
	if (err)
		up_drop(u, gi_strerror(err));
}

static void up_deadline_cb(struct io_timer *w)
{
	struct mux_upstream *u = w->arg;

	up_drop(u, u->state == UP_CONNECTING ? "no connection within the deadline"
					     : "no answer to our Hello within the deadline");
}

static void up_open(struct mux_upstream *u, const Idfw__HelloAck *a)
{
	if (a->version < WIRE_VERSION_MIN || a->version > WIRE_VERSION_MAX) {
		up_drop(u, "it chose a protocol version that we did not offer");
		return;
	}
	u->state = UP_OPEN;
	u->opened_ms = u->heard_ms = io_clock_mono_ms();
	u->quiet = false;
	u->stats.connects++;
	gi_notice("%s %s: connected, %s, protocol version %" PRIu32, u->conf.service,
		u->conf.endpoint.text, a->software, a->version);
	io_timer_start(u->loop, &u->timer, u->conf.idle_ms, 0, up_idle_cb, u);
	u->ops->up(u->arg);
}

static void up_refused(struct mux_upstream *u, const Idfw__Refused *m)
{
	char why[WIRE_TEXT_MAX + 64];

	u->stats.refusals++;
	(void)snprintf(why, sizeof(why), "refused us: %s", m->text);
	/* it will not change its mind soon */
	u->backoff.next_ms = u->backoff.max_ms;
	up_drop(u, why);
}

/* silence: ask; silence after that: gone */
static void up_idle_cb(struct io_timer *w)
{
	struct mux_upstream *u = w->arg;
	uint64_t now = io_clock_mono_ms(), silent = now - u->heard_ms;
	struct wire_routed m;
	int err;

	if (u->asked_ms && u->heard_ms < u->asked_ms) {
		up_drop(u, "no sign of life within the deadline");
		return;
	}
	u->asked_ms = 0;
	if (silent < u->conf.idle_ms) {
		io_timer_start(u->loop, &u->timer, u->conf.idle_ms - silent, 0, up_idle_cb, u);
		return;
	}
	u->asked_ms = now;
	err = up_send_own(u, wire_routed_ping(&m, ++u->last_token));
	if (err == -GI_EFULL)
		err = 0; /* it does not read: the deadline decides */
	if (err) {
		up_drop(u, gi_strerror(err));
		return;
	}
	io_timer_start(u->loop, &u->timer, u->conf.deadline_ms, 0, up_idle_cb, u);
}

static void up_pong(struct mux_upstream *u, const Idfw__Ping *ping)
{
	struct wire_routed m;
	int err = up_send_own(u, wire_routed_pong(&m, ping->token));

	if (err && err != -GI_EFULL)
		up_drop(u, gi_strerror(err));
}

static void up_message(struct mux_upstream *u, const Idfw__Routed *r)
{
	switch (r->body_case) {
	case IDFW__ROUTED__BODY_ENVELOPE:
		u->ops->envelope(u->arg, r->vm, r->envelope.data, r->envelope.len);
		break;
	case IDFW__ROUTED__BODY_CLOSE:
		u->ops->close(u->arg, r->vm, r->close->why);
		break;
	case IDFW__ROUTED__BODY_HELLO_ACK:
		up_open(u, r->hello_ack);
		break;
	case IDFW__ROUTED__BODY_REFUSED:
		up_refused(u, r->refused);
		break;
	case IDFW__ROUTED__BODY_PING:
		up_pong(u, r->ping);
		break;
	default: /* Pong: heard_ms is all we wanted; others do not pass the rights table */
		break;
	}
}

static void up_frame(void *arg, struct io_chan *c, const uint8_t *buf, size_t len)
{
	struct mux_upstream *u = arg;
	char vm[GI_NAME_MAX + 1];
	const uint8_t *inner;
	Idfw__Routed *r = NULL;
	const char *why = "";
	int err;

	(void)c;
	u->stats.frames_in++;
	u->stats.bytes_in += len;
	u->heard_ms = io_clock_mono_ms();
	if (u->state == UP_OPEN && wire_routed_unwrap(buf, len, vm, &inner, &len)) {
		u->ops->envelope(u->arg, vm, inner, len);
		return;
	}
	err = wire_routed_decode(
		buf, len, false, u->state == UP_OPEN ? WIRE_OPEN : WIRE_NEW, &r, &why);
	if (err) {
		u->stats.bad_frames++;
		up_drop(u, why);
		return;
	}
	up_message(u, r);
	wire_routed_free(r);
}

static void up_drained(void *arg, struct io_chan *c)
{
	struct mux_upstream *u = arg;

	(void)c;
	if (u->state == UP_OPEN)
		u->ops->writable(u->arg);
}
