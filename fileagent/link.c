/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * link.c - the file lane to the mux, see link.h
 *
 *   DOWN -timer-> CONNECTING -connected, Hello-> HELLO -HelloAck-> UP -any end-> DOWN
 *
 * Runs in the worker. Whatever is malformed or not allowed now ends the connection: wire.h's
 * decoder knows who may send what when.
 */
#include "fileagent/link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/io/chan.h"

enum state { DOWN, CONNECTING, HELLO, UP };

struct fa_link {
	struct io_loop *loop;
	struct fa_link_conf conf;
	const struct fa_link_ops *ops;
	void *arg;
	enum state state;
	struct io_chan *chan;
	struct io_backoff backoff;
	struct io_timer timer; /* DOWN: backoff; until UP: deadline; then ping */
	uint64_t heard_ms;
	struct gi_buf scratch; /* one packed message */
	struct io_idle room;   /* has_room() said no: room() is owed */
};

static void timer_cb(struct io_timer *t);

static void go_down(struct fa_link *k, bool refused, const char *why)
{
	uint64_t ms = refused ? FA_LINK_REFUSED_MS : io_backoff_next(&k->backoff);

	if (k->state == DOWN)
		return;
	io_chan_free(k->chan);
	k->chan = NULL;
	k->state = DOWN;
	io_idle_stop(k->loop, &k->room);
	io_timer_start(k->loop, &k->timer, ms, 0, timer_cb, k);
	k->ops->down(k->arg, why);
}

static int send_now(struct fa_link *k, const Idfw__Envelope *e)
{
	int err;

	gi_buf_reset(&k->scratch);
	err = wire_envelope_encode(e, &k->scratch);
	return err < 0 ? err : io_chan_send(k->chan, k->scratch.data, k->scratch.len);
}

static void send_hello(struct fa_link *k)
{
	Idfw__Envelope env = IDFW__ENVELOPE__INIT;
	Idfw__Hello h = IDFW__HELLO__INIT;

	h.version_min = WIRE_VERSION_MIN;
	h.version_max = WIRE_VERSION_MAX;
	h.software = (char *)k->conf.software; /* protobuf-c has no const */
	h.boot_id.data = k->conf.boot_id;
	h.boot_id.len = sizeof(k->conf.boot_id);
	h.last_seq = k->ops->last_seq(k->arg);
	env.body_case = IDFW__ENVELOPE__BODY_HELLO;
	env.hello = &h;
	if (send_now(k, &env) < 0)
		go_down(k, false, "Hello could not be sent");
}

static void take_hello_ack(struct fa_link *k, const Idfw__HelloAck *a)
{
	if (a->version < WIRE_VERSION_MIN || a->version > WIRE_VERSION_MAX) {
		go_down(k, true, "peer chose a protocol version that we do not speak");
		return;
	}
	k->state = UP;
	io_backoff_init(&k->backoff, FA_LINK_BACKOFF_MAX_MS);
	io_timer_start(k->loop, &k->timer, FA_LINK_PING_MS, 0, timer_cb, k);
	k->ops->up(k->arg, a->acked_seq);
}

static void take_message(struct fa_link *k, const Idfw__Envelope *e)
{
	Idfw__Envelope env = IDFW__ENVELOPE__INIT;
	Idfw__Pong pong = IDFW__PONG__INIT;
	char text[WIRE_TEXT_MAX + 32];

	switch (e->body_case) {
	case IDFW__ENVELOPE__BODY_HELLO_ACK:
		take_hello_ack(k, e->hello_ack);
		return;
	case IDFW__ENVELOPE__BODY_REFUSED:
		(void)snprintf(text, sizeof(text), "peer refused us: %s", e->refused->text);
		go_down(k, true, text);
		return;
	case IDFW__ENVELOPE__BODY_PING:
		pong.token = e->ping->token;
		env.body_case = IDFW__ENVELOPE__BODY_PONG;
		env.pong = &pong;
		(void)!send_now(k, &env);
		return;
	case IDFW__ENVELOPE__BODY_PONG:
		return;
	default:
		k->ops->message(k->arg, e);
	}
}

static void frame_cb(void *arg, struct io_chan *c, const uint8_t *buf, size_t len)
{
	struct fa_link *k = arg;
	Idfw__Envelope *e;
	const char *why;

	(void)c;
	k->heard_ms = io_clock_mono_ms();
	if (wire_envelope_decode(buf, len, WIRE_SCAN_TO_AGENT,
		    k->state == UP ? WIRE_OPEN : WIRE_NEW, &e, &why) < 0) {
		go_down(k, true, why);
		return;
	}
	take_message(k, e);
	wire_envelope_free(e);
}

static void ready_cb(void *arg, struct io_chan *c)
{
	struct fa_link *k = arg;

	(void)c;
	k->state = HELLO;
	send_hello(k);
}

static void closed_cb(void *arg, struct io_chan *c, int err, const char *why)
{
	(void)c;
	go_down(arg, false, why && why[0] ? why : gi_strerror(err));
}

static const struct io_chan_ops chan_ops = {
	.ready = ready_cb,
	.frame = frame_cb,
	.closed = closed_cb,
};

static void do_connect(struct fa_link *k)
{
	static const struct io_chan_conf conf = { .max_frame = WIRE_FRAME_MAX,
		.max_queue = FA_LINK_QUEUE };
	int fd, err = io_sock_connect(&k->conf.mux, &fd);

	k->state = CONNECTING;
	if (err == 0)
		err = io_chan_new(k->loop, fd, NULL, &conf, &chan_ops, k, &k->chan);
	if (err < 0) {
		k->chan = NULL;
		go_down(k, false, gi_strerror(err));
		return;
	}
	io_timer_start(k->loop, &k->timer, FA_LINK_HELLO_MS, 0, timer_cb, k);
}

static void timer_cb(struct io_timer *t)
{
	struct fa_link *k = t->arg;
	Idfw__Envelope env = IDFW__ENVELOPE__INIT;
	Idfw__Ping ping = IDFW__PING__INIT;
	uint64_t now = io_clock_mono_ms();

	if (k->state == DOWN) {
		do_connect(k);
	} else if (k->state != UP) {
		go_down(k, false, "no HelloAck in time");
	} else if (now - k->heard_ms > FA_LINK_SILENCE_MS) {
		go_down(k, false, "peer is silent");
	} else {
		io_timer_start(k->loop, &k->timer, FA_LINK_PING_MS, 0, timer_cb, k);
		ping.token = now;
		env.body_case = IDFW__ENVELOPE__BODY_PING;
		env.ping = &ping;
		(void)!send_now(k, &env);
	}
}

int fa_link_new(struct io_loop *l, const struct fa_link_conf *conf, const struct fa_link_ops *ops,
	void *arg, struct fa_link **ret)
{
	struct fa_link *k = calloc(1, sizeof(*k));

	if (!k)
		return -ENOMEM;
	k->loop = l;
	k->conf = *conf;
	k->ops = ops;
	k->arg = arg;
	gi_buf_init(&k->scratch, WIRE_FRAME_MAX);
	io_backoff_init(&k->backoff, FA_LINK_BACKOFF_MAX_MS);
	io_timer_start(l, &k->timer, 0, 0, timer_cb, k);
	*ret = k;
	return 0;
}

void fa_link_free(struct fa_link *k)
{
	if (!k)
		return;
	io_chan_free(k->chan);
	io_timer_stop(k->loop, &k->timer);
	io_idle_stop(k->loop, &k->room);
	gi_buf_fini(&k->scratch);
	free(k);
}

bool fa_link_is_up(const struct fa_link *k)
{
	return k && k->state == UP;
}

static bool has_room(const struct fa_link *k)
{
	return io_chan_queued(k->chan) + WIRE_FRAME_MAX + 16 <= FA_LINK_QUEUE - FA_LINK_RESERVE;
}

/* runs after each round of events, so after each in which the socket took something */
static void room_cb(struct io_idle *w)
{
	struct fa_link *k = w->arg;

	if (has_room(k))
		k->ops->room(k->arg);
	else
		io_idle_once(k->loop, &k->room, room_cb, k);
}

bool fa_link_has_room(const struct fa_link *k)
{
	struct fa_link *owed =
		(struct fa_link *)(uintptr_t)k; /* the caller's question changes nothing */

	if (!fa_link_is_up(k))
		return false;
	if (has_room(k))
		return true;
	io_idle_once(k->loop, &owed->room, room_cb, owed);
	return false;
}

int fa_link_send_frame(struct fa_link *k, const void *buf, size_t len)
{
	return fa_link_is_up(k) ? io_chan_send(k->chan, buf, len) : -ENOTCONN;
}

int fa_link_send(struct fa_link *k, const Idfw__Envelope *e)
{
	return fa_link_is_up(k) ? send_now(k, e) : -ENOTCONN;
}

void fa_link_fail(struct fa_link *k, const char *why)
{
	go_down(k, true, why);
}

void fa_link_move(struct fa_link *k, const struct io_endpoint *mux)
{
	k->conf.mux = *mux;
	go_down(k, false, "the configuration names another mux");
	io_backoff_init(&k->backoff, FA_LINK_BACKOFF_MAX_MS);
	io_timer_start(k->loop, &k->timer, 0, 0, timer_cb, k);
}
