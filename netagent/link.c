/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * link.c - the connection to the mux, see link.h; the order of things is in linkstate.c
 */
#include "netagent/link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/io/chan.h"
#include "netagent/events.h"
#include "netagent/linkstate.h"

struct na_link {
	struct io_loop *loop;
	struct na_link_conf conf;
	struct io_spool *spool;
	const struct na_link_ops *ops;
	void *arg;
	enum na_link_state state;
	struct io_chan *chan; /* NULL: not connected */
	struct io_backoff backoff;
	struct io_timer timer; /* DOWN: backoff; before REPLAY: deadline; else ping */
	struct io_idle round;  /* pump, once a round */
	uint64_t heard_ms;     /* last frame of the peer */
	uint64_t acked;	       /* HelloAck's number */
	uint64_t moved_ms;     /* when an acknowledgement last got us further */
	bool drained;	       /* was told */
	struct io_spool_cursor cursor;
	struct gi_buf event;  /* scratch: one event */
	struct gi_buf outbox; /* frames that go before the next event */
	size_t outbox_at;
};

static void link_input(struct na_link *k, enum na_link_input in, const char *why);
static void link_pump(struct na_link *k);

static void drain_done(struct na_link *k, bool all)
{
	if (k->drained)
		return;
	k->drained = true;
	k->ops->drained(k->arg, all);
}

/* nothing is left to be sent; is anything left to be acknowledged? */
static void drain_check(struct na_link *k)
{
	struct io_spool_stats st;

	io_spool_stats(k->spool, &st);
	if (st.acked_seq >= st.last_seq)
		drain_done(k, true);
}

static void timer_cb(struct io_timer *t)
{
	struct na_link *k = t->arg;
	Idfw__Envelope env = IDFW__ENVELOPE__INIT;
	Idfw__Ping ping = IDFW__PING__INIT;
	uint64_t now = io_clock_mono_ms();

	if (k->state == NA_LINK_DOWN) {
		link_input(k, NA_LINK_IN_TIMER, "");
		return;
	}
	if (k->state < NA_LINK_REPLAY) {
		link_input(k, NA_LINK_IN_DEADLINE, "no HelloAck in time");
		return;
	}
	if (now - k->heard_ms > NA_LINK_SILENCE_MS) {
		link_input(k, NA_LINK_IN_DEADLINE, "peer is silent");
		return;
	}
	io_timer_start(k->loop, &k->timer, NA_LINK_PING_MS, 0, timer_cb, k);
	if (k->conf.drain && now - k->moved_ms > NA_LINK_DRAIN_MS) {
		drain_done(k, false);
		return;
	}
	ping.token = now;
	env.body_case = IDFW__ENVELOPE__BODY_PING;
	env.ping = &ping;
	(void)!na_link_send(k, &env); /* not open yet, or full: then something else is moving */
}

static int chan_send(struct na_link *k, const Idfw__Envelope *e)
{
	struct gi_buf b;
	int err;

	gi_buf_init(&b, WIRE_FRAME_MAX);
	err = wire_envelope_encode(e, &b);
	if (err == 0)
		err = io_chan_send(k->chan, b.data, b.len);
	gi_buf_fini(&b);
	return err;
}

static int send_hello(struct na_link *k)
{
	Idfw__Envelope env = IDFW__ENVELOPE__INIT;
	Idfw__Hello h = IDFW__HELLO__INIT;

	h.version_min = WIRE_VERSION_MIN;
	h.version_max = WIRE_VERSION_MAX;
	h.software = (char *)k->conf.software; /* protobuf-c has no const */
	h.boot_id.data = k->conf.boot_id;
	h.boot_id.len = sizeof(k->conf.boot_id);
	h.last_seq = io_spool_last_seq(k->spool);
	env.body_case = IDFW__ENVELOPE__BODY_HELLO;
	env.hello = &h;
	return chan_send(k, &env);
}

/* ---- what the peer says ---- */

static void take_hello_ack(struct na_link *k, const Idfw__HelloAck *a)
{
	if (a->version < WIRE_VERSION_MIN || a->version > WIRE_VERSION_MAX) {
		link_input(
			k, NA_LINK_IN_CLOSED, "peer chose a protocol version that we do not speak");
		return;
	}
	k->acked = a->acked_seq;
	link_input(k, NA_LINK_IN_HELLO_ACK, "");
}

static void take_message(struct na_link *k, const Idfw__Envelope *e)
{
	Idfw__Envelope env = IDFW__ENVELOPE__INIT;
	Idfw__Pong pong = IDFW__PONG__INIT;

	switch (e->body_case) {
	case IDFW__ENVELOPE__BODY_PING:
		pong.token = e->ping->token;
		env.body_case = IDFW__ENVELOPE__BODY_PONG;
		env.pong = &pong;
		(void)!chan_send(k, &env);
		return;
	case IDFW__ENVELOPE__BODY_PONG:
		return;
	case IDFW__ENVELOPE__BODY_EVENT_ACK:
		if (e->event_ack->seq > k->cursor.seq)
			link_input(k, NA_LINK_IN_CLOSED,
				"peer acknowledged an event that it was not sent");
		else
			io_spool_ack(k->spool, e->event_ack->seq);
		k->moved_ms = k->heard_ms;
		na_link_wake(k);
		return;
	default:
		k->ops->message(k->arg, e);
	}
}

static void frame_cb(void *arg, struct io_chan *c, const uint8_t *buf, size_t len)
{
	struct na_link *k = arg;
	enum wire_state ws = k->state == NA_LINK_HELLO ? WIRE_NEW : WIRE_OPEN;
	Idfw__Envelope *e;
	const char *why;
	char text[WIRE_TEXT_MAX + 32];

	(void)c;
	k->heard_ms = io_clock_mono_ms();
	if (wire_envelope_decode(buf, len, WIRE_SVM_TO_AGENT, ws, &e, &why) < 0) {
		link_input(k, NA_LINK_IN_CLOSED, why);
		return;
	}
	if (e->body_case == IDFW__ENVELOPE__BODY_HELLO_ACK) {
		take_hello_ack(k, e->hello_ack);
	} else if (e->body_case == IDFW__ENVELOPE__BODY_REFUSED) {
		snprintf(text, sizeof(text), "peer refused us: %s", e->refused->text);
		link_input(k, NA_LINK_IN_REFUSED, text);
	} else if (na_link_step(k->state, NA_LINK_IN_MESSAGE).actions & NA_LINK_HANDLE) {
		take_message(k, e);
	} else {
		link_input(k, NA_LINK_IN_MESSAGE, "message before HelloAck");
	}
	wire_envelope_free(e);
}

static void ready_cb(void *arg, struct io_chan *c)
{
	(void)c;
	link_input(arg, NA_LINK_IN_READY, "");
}

static void closed_cb(void *arg, struct io_chan *c, int err, const char *why)
{
	(void)c;
	link_input(arg, NA_LINK_IN_CLOSED, why && why[0] ? why : gi_strerror(err));
}

static void drained_cb(void *arg, struct io_chan *c)
{
	(void)c;
	link_pump(arg);
}

static const struct io_chan_ops chan_ops = {
	.ready = ready_cb,
	.frame = frame_cb,
	.closed = closed_cb,
	.drained = drained_cb,
};

/* ---- what we send ---- */

/* false: no room now; drained_cb() comes back */
static bool has_room(const struct na_link *k)
{
	return io_chan_queued(k->chan) + WIRE_FRAME_MAX + 16 <= NA_LINK_QUEUE;
}

static bool pump_outbox(struct na_link *k)
{
	const void *frame;
	size_t len, at = k->outbox_at;

	while (has_room(k) && na_frames_next(&k->outbox, &at, &frame, &len)) {
		if (io_chan_send(k->chan, frame, len) < 0)
			return false;
		k->outbox_at = at;
	}
	if (k->outbox_at < k->outbox.len)
		return false;
	gi_buf_fini(&k->outbox); /* gives the memory back */
	k->outbox_at = 0;
	return true;
}

static void pump_events(struct na_link *k)
{
	uint64_t seq;
	int n;

	while (has_room(k)) {
		n = io_spool_next(k->spool, &k->cursor, &seq, &k->event);
		if (n == 0 && k->conf.drain)
			drain_check(k);
		else if (n == 0)
			link_input(k, NA_LINK_IN_DRY, "");
		if (n <= 0)
			return; /* out of memory: the next event or ping tries again */
		if (io_chan_send(k->chan, k->event.data, k->event.len) < 0) {
			/* there was room, so the channel is dead; the cursor has moved already */
			link_input(k, NA_LINK_IN_CLOSED, "event could not be queued");
			return;
		}
	}
}

static void link_pump(struct na_link *k)
{
	if (k->state < NA_LINK_REPLAY || !k->chan || !pump_outbox(k))
		return;
	pump_events(k);
}

static void round_cb(struct io_idle *w)
{
	link_pump(w->arg);
}

static void send_snapshot(struct na_link *k)
{
	uint64_t seq = io_spool_last_seq(k->spool);
	int err;

	gi_buf_fini(&k->outbox);
	k->outbox_at = 0;
	k->cursor.seq = seq; /* numbers that were lost are behind us as well */
	err = k->ops->snapshot(k->arg, &k->outbox, seq);
	if (err < 0) {
		link_input(k, NA_LINK_IN_CLOSED, gi_strerror(err));
		return;
	}
	k->ops->opened(k->arg);
}

/* ---- the table's actions ---- */

static void do_connect(struct na_link *k)
{
	static const struct io_chan_conf conf = { .max_frame = WIRE_FRAME_MAX,
		.max_queue = NA_LINK_QUEUE };
	int fd, err = io_sock_connect(&k->conf.mux, &fd);

	if (err == 0)
		err = io_chan_new(k->loop, fd, NULL, &conf, &chan_ops, k, &k->chan);
	if (err < 0) {
		k->chan = NULL;
		link_input(k, NA_LINK_IN_CLOSED, gi_strerror(err));
		return;
	}
	io_timer_start(k->loop, &k->timer, NA_LINK_HELLO_MS, 0, timer_cb, k);
}

static void do_close(struct na_link *k, unsigned int actions, const char *why)
{
	uint64_t ms =
		actions & NA_LINK_BACKOFF_LONG ? NA_LINK_REFUSED_MS : io_backoff_next(&k->backoff);

	io_chan_free(k->chan);
	k->chan = NULL;
	gi_buf_fini(&k->outbox);
	k->outbox_at = 0;
	io_timer_start(k->loop, &k->timer, ms, 0, timer_cb, k);
	k->ops->down(k->arg, why);
}

static void do_acked(struct na_link *k)
{
	io_spool_skip_to(k->spool, k->acked);
	io_spool_ack(k->spool, k->acked);
	k->cursor = (struct io_spool_cursor){ .seq = k->acked };
	k->moved_ms = k->heard_ms;
	io_timer_start(k->loop, &k->timer, NA_LINK_PING_MS, 0, timer_cb, k);
}

static void link_input(struct na_link *k, enum na_link_input in, const char *why)
{
	struct na_link_step step = na_link_step(k->state, in);

	k->state = step.next;
	if (step.actions & NA_LINK_CONNECT)
		do_connect(k);
	if ((step.actions & NA_LINK_SEND_HELLO) && send_hello(k) < 0)
		link_input(k, NA_LINK_IN_CLOSED, "Hello could not be sent");
	if (step.actions & NA_LINK_ACKED)
		do_acked(k);
	if (step.actions & NA_LINK_SEND_SNAPSHOT)
		send_snapshot(k);
	if (step.actions & NA_LINK_BACKOFF_RESET)
		io_backoff_init(&k->backoff, NA_LINK_BACKOFF_MAX_MS);
	if (step.actions & NA_LINK_CLOSE)
		do_close(k, step.actions, why);
	if (step.actions & NA_LINK_PUMP)
		na_link_wake(k);
}

int na_link_new(struct io_loop *l, const struct na_link_conf *conf, struct io_spool *spool,
	const struct na_link_ops *ops, void *arg, struct na_link **ret)
{
	struct na_link *k = calloc(1, sizeof(*k));

	if (!k)
		return -ENOMEM;
	k->loop = l;
	k->conf = *conf;
	k->spool = spool;
	k->ops = ops;
	k->arg = arg;
	gi_buf_init(&k->event, IO_SPOOL_EVENT_MAX);
	gi_buf_init(&k->outbox, NA_LINK_OUTBOX);
	io_backoff_init(&k->backoff, NA_LINK_BACKOFF_MAX_MS);
	io_timer_start(l, &k->timer, 0, 0, timer_cb, k);
	*ret = k;
	return 0;
}

void na_link_free(struct na_link *k)
{
	if (!k)
		return;
	io_chan_free(k->chan);
	io_timer_stop(k->loop, &k->timer);
	io_idle_stop(k->loop, &k->round);
	gi_buf_fini(&k->event);
	gi_buf_fini(&k->outbox);
	free(k);
}

bool na_link_is_open(const struct na_link *k)
{
	return k && k->state == NA_LINK_OPEN;
}

void na_link_wake(struct na_link *k)
{
	if (k->state >= NA_LINK_REPLAY)
		io_idle_once(k->loop, &k->round, round_cb, k);
}

void na_link_resync(struct na_link *k)
{
	link_input(k, NA_LINK_IN_RESYNC, "an event was lost, a new Snapshot is needed");
}

void na_link_fail(struct na_link *k, const char *why)
{
	link_input(k, NA_LINK_IN_CLOSED, why);
}

int na_link_send_frame(struct na_link *k, const void *buf, size_t len)
{
	uint32_t len32 = (uint32_t)len;
	int err;

	if (!na_link_is_open(k))
		return -ENOTCONN;
	gi_buf_append(&k->outbox, &len32, sizeof(len32));
	gi_buf_append(&k->outbox, buf, len);
	err = gi_buf_error(&k->outbox);
	if (err == 0)
		na_link_wake(k);
	else
		link_input(k, NA_LINK_IN_CLOSED, "too much waits to be sent");
	return err;
}

int na_link_send(struct na_link *k, const Idfw__Envelope *e)
{
	struct gi_buf one;
	int err;

	gi_buf_init(&one, WIRE_FRAME_MAX);
	err = wire_envelope_encode(e, &one);
	if (err == 0)
		err = na_link_send_frame(k, one.data, one.len);
	gi_buf_fini(&one);
	return err;
}
