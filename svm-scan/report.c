/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * report.c - the link to svm-idfw: what is in the outbox goes up, acknowledgements come down
 *
 *   WAITING --timer--> CONNECTING --TLS done, Hello sent--> GREETING --HelloAck--> OPEN
 *      ^------------------ any error, refusal, deadline ---------------------------'
 *
 * Bare Envelopes. Runs in the main thread; other threads only add to the outbox and wake it.
 * Invariants: exactly one timer is set in each state; what is sent lies behind what HelloAck or a
 * ScanAck of this connection said; a record leaves the disk when it was acknowledged.
 */
#include "config.h"

#include "svm-scan/report.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "lib/base/log.h"
#include "lib/io/chan.h"
#include "lib/io/sock.h"

#define LINK_QUEUE_MAX (1u << 20)
#define LINK_HIGH (LINK_QUEUE_MAX / 2 + LINK_QUEUE_MAX / 8) /* drained() comes below half */
#define LINK_SETTLED_MS 10000
#define FLUSH_MS 5000 /* what the disk did not take is tried again */

enum link_state { LINK_NONE, LINK_WAITING, LINK_CONNECTING, LINK_GREETING, LINK_OPEN };

struct held { /* an agent's report that waits for room in the outbox */
	struct held *prev, *next;
	char vm[EPS_VM_MAX + 1];
	uint8_t boot[WIRE_BOOT_ID_LEN];
	uint64_t agent_seq;
	size_t len;
	uint8_t packed[]; /* ScanRecord */
};

struct scan_report {
	struct io_loop *loop;
	struct scan_report_conf conf;
	struct io_endpoint endpoint;
	struct scan_outbox *box; /* NULL: no svm-idfw */
	struct io_wake wake;
	struct io_timer timer, flush;
	struct io_backoff backoff;
	struct io_chan *chan; /* owned; NULL while waiting */
	enum link_state state;
	struct io_spool_cursor cursor;
	uint64_t heard_ms, asked_ms, opened_ms, last_token;
	uint64_t sent_seq;
	bool quiet;	       /* the failure was logged, its repetitions are not */
	atomic_bool full_said; /* records were lost: said once, until one is taken again */
	char why[WIRE_TEXT_MAX + 64];
	struct gi_buf buf;
	pthread_mutex_t lock; /* of the next two */
	struct held *held;    /* oldest first */
	size_t held_bytes;
};

static void held_drop(struct scan_report *r, struct held *h);
static void held_drain(struct scan_report *r);
static void ask_again(struct scan_report *r);
static void link_connect(struct scan_report *r);
static void link_lost(struct scan_report *r, const char *why);
static void link_drop(struct scan_report *r, const char *why);
static void link_pump(struct scan_report *r);
static void link_retry_cb(struct io_timer *w);
static void link_deadline_cb(struct io_timer *w);
static void link_idle_cb(struct io_timer *w);
static void link_ready(void *arg, struct io_chan *c);
static void link_frame(void *arg, struct io_chan *c, const uint8_t *buf, size_t len);
static void link_closed(void *arg, struct io_chan *c, int err, const char *why);
static void link_drained(void *arg, struct io_chan *c);

static const struct io_chan_ops link_ops = {
	.ready = link_ready, .frame = link_frame, .closed = link_closed, .drained = link_drained
};

/* ---- life ---- */

static void wake_cb(struct io_wake *w)
{
	link_pump(w->arg);
}

static void flush_cb(struct io_timer *w)
{
	struct scan_report *r = w->arg;
	struct scan_outbox_stats st;

	scan_outbox_stats(r->box, &st);
	if (st.disk_err) {
		scan_outbox_flush(r->box);
		held_drain(r);
		ask_again(r);
	}
}

int scan_report_new(struct io_loop *l, const struct scan_report_conf *conf, char ret_why[256],
	struct scan_report **ret)
{
	struct scan_report *r = calloc(1, sizeof(*r));
	int err = 0;

	if (!r)
		return -ENOMEM;
	r->loop = l;
	r->conf = *conf;
	gi_buf_init(&r->buf, IO_SPOOL_EVENT_MAX);
	(void)pthread_mutex_init(&r->lock, NULL); /* Linux: cannot fail */
	if (conf->endpoint) {
		err = io_endpoint_parse(conf->endpoint, &r->endpoint);
		if (err < 0)
			(void)snprintf(ret_why, 256, "%s: %s", conf->endpoint, gi_strerror(err));
		else
			err = scan_outbox_open(conf->dir, conf->max_bytes, ret_why, &r->box);
	}
	if (err < 0) {
		(void)pthread_mutex_destroy(&r->lock);
		gi_buf_fini(&r->buf);
		free(r);
		return err;
	}
	if (r->box) {
		io_backoff_init(&r->backoff, conf->retry_ms);
		io_wake_start(l, &r->wake, wake_cb, r);
		io_timer_start(l, &r->flush, FLUSH_MS, FLUSH_MS, flush_cb, r);
		(void)snprintf(r->why, sizeof(r->why), "not connected yet");
		r->state = LINK_WAITING;
		io_timer_start(l, &r->timer, 0, 0, link_retry_cb, r);
	}
	*ret = r;
	return 0;
}

void scan_report_free(struct scan_report *r)
{
	if (!r)
		return;
	if (r->box) {
		io_wake_stop(r->loop, &r->wake);
		io_timer_stop(r->loop, &r->timer);
		io_timer_stop(r->loop, &r->flush);
		io_chan_free(r->chan);
		scan_outbox_flush(r->box);
		scan_outbox_free(r->box);
	}
	while (r->held)
		held_drop(r, r->held);
	(void)pthread_mutex_destroy(&r->lock);
	gi_buf_fini(&r->buf);
	free(r);
}

/* ---- records, from any thread ---- */

static void report_log(const Idfw__ScanRecord *rec)
{
	gi_notice("record %d of %s: %.*s %s%s%s %s", rec->kind, rec->vm, (int)rec->path.len,
		rec->path.data ? (const char *)rec->path.data : "", rec->engine,
		*rec->engine ? ": " : "", rec->signature, rec->text);
}

int scan_report_add(struct scan_report *r, const Idfw__ScanRecord *rec)
{
	Idfw__ScanRecord copy = *rec;
	int err;

	if (!r->box) {
		report_log(rec);
		return 0;
	}
	err = scan_outbox_add(r->box, &copy);
	if (err == 0) {
		atomic_store(&r->full_said, false);
		io_wake_send(r->loop, &r->wake);
	} else if (!atomic_exchange(&r->full_said, true)) {
		gi_err("the outbox takes no more records (%s): this one, of %s, is not for the "
		       "audit",
			gi_strerror(err), rec->vm);
	}
	if (err < 0)
		report_log(rec);
	return err;
}

void scan_report_note(struct scan_report *r, const char *vm, const char *text)
{
	Idfw__ScanRecord rec = IDFW__SCAN_RECORD__INIT;
	char clean[WIRE_TEXT_MAX + 1];

	(void)snprintf(clean, sizeof(clean), "%s", text);
	wire_text_sanitize(clean, WIRE_TEXT_MAX);
	gi_notice("%s%s%s", vm, *vm ? ": " : "", clean);
	rec.kind = IDFW__SCAN_RECORD__KIND__SERVICE;
	rec.time_ms = io_clock_real_ms();
	rec.vm = (char *)(uintptr_t)vm;
	rec.text = clean;
	(void)!scan_report_add(r, &rec); /* counts and says what it loses */
}

/* locked */
static int held_add(struct scan_report *r, const char *vm, const uint8_t *boot, uint64_t agent_seq,
	const Idfw__ScanRecord *rec)
{
	size_t len = idfw__scan_record__get_packed_size(rec);
	struct held *h;

	if (r->held_bytes + sizeof(*h) + len > SCAN_HELD_MAX)
		return -GI_EFULL;
	h = calloc(1, sizeof(*h) + len);
	if (!h)
		return -GI_EFULL;
	(void)snprintf(h->vm, sizeof(h->vm), "%s", vm);
	memcpy(h->boot, boot, sizeof(h->boot));
	h->agent_seq = agent_seq;
	h->len = idfw__scan_record__pack(rec, h->packed);
	DL_APPEND(r->held, h);
	r->held_bytes += sizeof(*h) + len;
	return 0;
}

static void held_drop(struct scan_report *r, struct held *h)
{
	DL_DELETE(r->held, h);
	r->held_bytes -= sizeof(*h) + h->len;
	free(h);
}

/* there may be room again: the oldest first, so that each agent's stay in order */
static void held_drain(struct scan_report *r)
{
	struct held *h;
	int err = 0;

	(void)pthread_mutex_lock(&r->lock);
	while (err != -GI_EFULL && (h = r->held)) {
		Idfw__ScanRecord *rec = idfw__scan_record__unpack(NULL, h->len, h->packed);

		if (!rec)
			break; /* no memory: later */
		err = scan_outbox_report(r->box, h->vm, h->boot, h->agent_seq, rec);
		idfw__scan_record__free_unpacked(rec, NULL);
		if (err != -GI_EFULL) {
			scan_outbox_hold(r->box, h->vm, h->boot, h->agent_seq, SCAN_OUTBOX_UNHELD);
			held_drop(r, h);
		}
		if (err == 0)
			io_wake_send(r->loop, &r->wake);
	}
	(void)pthread_mutex_unlock(&r->lock);
}

/* for what was refused, once nothing is held any more that would have to go in before it */
static void ask_again(struct scan_report *r)
{
	bool room;

	(void)pthread_mutex_lock(&r->lock);
	room = r->held == NULL;
	(void)pthread_mutex_unlock(&r->lock);
	if (room)
		scan_outbox_again(r->box, r->conf.reported, r->conf.arg);
}

int scan_report_agent(struct scan_report *r, const char *vm, const uint8_t boot[WIRE_BOOT_ID_LEN],
	uint64_t agent_seq, Idfw__ScanRecord *rec, bool *ret_done)
{
	int err;

	*ret_done = !r->box;
	if (!r->box) {
		report_log(rec);
		return 0;
	}
	(void)pthread_mutex_lock(&r->lock);
	err = scan_outbox_admit(r->box, vm, boot, agent_seq);
	if (err == 0)
		err = r->held ? -GI_EFULL : scan_outbox_report(r->box, vm, boot, agent_seq, rec);
	if (err == -GI_EFULL) {
		err = held_add(r, vm, boot, agent_seq, rec);
		scan_outbox_hold(r->box, vm, boot, agent_seq,
			err == 0 ? SCAN_OUTBOX_HELD : SCAN_OUTBOX_REFUSED);
	}
	(void)pthread_mutex_unlock(&r->lock);
	if (err == 0)
		io_wake_send(r->loop, &r->wake);
	return err;
}

int scan_report_skip(struct scan_report *r, const char *vm, const uint8_t boot[WIRE_BOOT_ID_LEN],
	uint64_t agent_seq, bool *ret_done)
{
	int err = 0;

	*ret_done = !r->box;
	(void)pthread_mutex_lock(&r->lock);
	if (r->box)
		err = scan_outbox_skip(r->box, vm, boot, agent_seq, ret_done);
	(void)pthread_mutex_unlock(&r->lock);
	return err;
}

uint64_t scan_report_reported(
	struct scan_report *r, const char *vm, const uint8_t boot[WIRE_BOOT_ID_LEN])
{
	return r->box ? scan_outbox_reported(r->box, vm, boot) : 0;
}

void scan_report_stats(struct scan_report *r, struct scan_report_stats *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->configured = r->box != NULL;
	ret->up = r->state == LINK_OPEN;
	if (!r->box)
		return;
	if (!ret->up)
		memcpy(ret->why, r->why, sizeof(ret->why));
	scan_outbox_stats(r->box, &ret->box);
}

/* ---- the connection ---- */

static void link_retry_cb(struct io_timer *w)
{
	link_connect(w->arg);
}

static void link_connect(struct scan_report *r)
{
	const struct io_chan_conf conf = { .max_frame = WIRE_FRAME_MAX,
		.max_queue = LINK_QUEUE_MAX };
	struct io_tls *tls = NULL;
	int fd = -1, err;

	r->state = LINK_CONNECTING;
	r->asked_ms = 0;
	err = io_sock_connect(&r->endpoint, &fd);
	if (err == 0) {
		err = io_tls_new(r->conf.tls, r->conf.server_name, &tls);
		if (err < 0)
			(void)close(fd);
		else
			err = io_chan_new(r->loop, fd, tls, &conf, &link_ops, r, &r->chan);
	}
	if (err < 0) {
		link_lost(r, gi_strerror(err));
		return;
	}
	io_timer_start(r->loop, &r->timer, r->conf.deadline_ms, 0, link_deadline_cb, r);
}

/* from any state but WAITING: says so, tries again later */
static void link_lost(struct scan_report *r, const char *why)
{
	bool was_open = r->state == LINK_OPEN;
	uint32_t wait;

	if (was_open && io_clock_mono_ms() - r->opened_ms >= LINK_SETTLED_MS)
		io_backoff_init(&r->backoff, r->conf.retry_ms);
	wait = io_backoff_next(&r->backoff);
	(void)snprintf(r->why, sizeof(r->why), "%s", why);
	if (was_open || !r->quiet)
		gi_warn("svm-idfw %s: %s; trying again until it answers", r->endpoint.text, r->why);
	else
		gi_debug("svm-idfw %s: %s; next try in %" PRIu32 " ms", r->endpoint.text, r->why,
			wait);
	r->quiet = true;
	r->state = LINK_WAITING;
	io_timer_start(r->loop, &r->timer, wait, 0, link_retry_cb, r);
	if (was_open)
		r->conf.acked(r->conf.arg);
}

/* for our own decisions; @why may live in the message that is being handled */
static void link_drop(struct scan_report *r, const char *why)
{
	struct io_chan *c = r->chan;

	r->chan = NULL;
	link_lost(r, why);
	io_chan_free(c);
}

static void link_closed(void *arg, struct io_chan *c, int err, const char *why)
{
	(void)c;
	(void)err;
	link_drop(arg, why);
}

static void link_deadline_cb(struct io_timer *w)
{
	struct scan_report *r = w->arg;

	link_drop(r, r->state == LINK_CONNECTING ? "no connection within the deadline"
						 : "no answer to our Hello within the deadline");
}

/* 0, or it was dropped */
static int link_send(struct scan_report *r, const Idfw__Envelope *e)
{
	int err;

	gi_buf_reset(&r->buf);
	err = wire_envelope_encode(e, &r->buf);
	if (err == 0)
		err = io_chan_send(r->chan, r->buf.data, r->buf.len);
	if (err == -GI_EFULL) /* it does not read: the keepalive decides */
		err = 0;
	if (err < 0)
		link_drop(r, gi_strerror(err));
	return err;
}

static void link_ready(void *arg, struct io_chan *c)
{
	struct scan_report *r = arg;
	Idfw__Hello h = IDFW__HELLO__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	uint8_t id[WIRE_BOOT_ID_LEN];
	struct scan_outbox_stats st;

	(void)c;
	scan_outbox_id(r->box, id);
	scan_outbox_stats(r->box, &st);
	h.version_min = WIRE_VERSION_MIN;
	h.version_max = WIRE_VERSION_MAX;
	h.software = (char *)(uintptr_t)r->conf.software; /* encoding does not write */
	h.boot_id = (ProtobufCBinaryData){ .len = sizeof(id), .data = id };
	h.last_seq = st.last_seq;
	e.body_case = IDFW__ENVELOPE__BODY_HELLO;
	e.hello = &h;
	r->state = LINK_GREETING; /* the deadline of the connection goes on */
	(void)link_send(r, &e);
}

static void link_acked(struct scan_report *r, uint64_t seq)
{
	scan_outbox_ack(r->box, seq, r->conf.reported, r->conf.arg);
	held_drain(r);
	ask_again(r);
	r->conf.acked(r->conf.arg);
}

static void link_open(struct scan_report *r, const Idfw__HelloAck *a)
{
	struct scan_outbox_stats st;

	scan_outbox_stats(r->box, &st);
	if (a->version < WIRE_VERSION_MIN || a->version > WIRE_VERSION_MAX) {
		link_drop(r, "it chose a protocol version that we did not offer");
		return;
	}
	if (a->acked_seq > st.last_seq) {
		gi_err("svm-idfw has record %" PRIu64 " of this outbox, which ends at %" PRIu64
		       ": its files were lost or are old; what waits gets a new id",
			a->acked_seq, st.last_seq);
		link_drop(r, scan_outbox_new_id(r->box) < 0 ? "the outbox's id cannot be written"
							    : "the outbox has a new id");
		return;
	}
	r->state = LINK_OPEN;
	r->opened_ms = r->heard_ms = io_clock_mono_ms();
	r->quiet = false;
	r->cursor = (struct io_spool_cursor){ .seq = a->acked_seq };
	r->sent_seq = a->acked_seq;
	gi_notice("svm-idfw %s: connected, %s, has our records up to %" PRIu64 " of %" PRIu64,
		r->endpoint.text, a->software, a->acked_seq, st.last_seq);
	io_timer_start(r->loop, &r->timer, r->conf.idle_ms, 0, link_idle_cb, r);
	link_acked(r, a->acked_seq);
	link_pump(r);
}

/* as much as there is room for */
static void link_pump(struct scan_report *r)
{
	uint64_t seq;
	int n, err;

	while (r->state == LINK_OPEN && io_chan_queued(r->chan) < LINK_HIGH) {
		n = scan_outbox_next(r->box, &r->cursor, &seq, &r->buf);
		if (n == 0)
			return;
		err = n < 0 ? n : io_chan_send(r->chan, r->buf.data, r->buf.len);
		if (err < 0) {
			link_drop(r, gi_strerror(err));
			return;
		}
		r->sent_seq = seq;
	}
}

/* silence: ask; silence after that: gone */
static void link_idle_cb(struct io_timer *w)
{
	struct scan_report *r = w->arg;
	uint64_t now = io_clock_mono_ms(), silent = now - r->heard_ms;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	Idfw__Ping ping = IDFW__PING__INIT;

	if (r->asked_ms && r->heard_ms < r->asked_ms) {
		link_drop(r, "no sign of life within the deadline");
		return;
	}
	r->asked_ms = 0;
	if (silent < r->conf.idle_ms) {
		io_timer_start(r->loop, &r->timer, r->conf.idle_ms - silent, 0, link_idle_cb, r);
		return;
	}
	r->asked_ms = now;
	ping.token = ++r->last_token;
	e.body_case = IDFW__ENVELOPE__BODY_PING;
	e.ping = &ping;
	if (link_send(r, &e) == 0)
		io_timer_start(r->loop, &r->timer, r->conf.deadline_ms, 0, link_idle_cb, r);
}

static void link_pong(struct scan_report *r, const Idfw__Ping *ping)
{
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	Idfw__Pong pong = IDFW__PONG__INIT;

	pong.token = ping->token;
	e.body_case = IDFW__ENVELOPE__BODY_PONG;
	e.pong = &pong;
	(void)link_send(r, &e);
}

static void link_message(struct scan_report *r, const Idfw__Envelope *e)
{
	char why[WIRE_TEXT_MAX + 32];

	switch (e->body_case) {
	case IDFW__ENVELOPE__BODY_HELLO_ACK:
		link_open(r, e->hello_ack);
		break;
	case IDFW__ENVELOPE__BODY_SCAN_ACK:
		if (e->scan_ack->seq > r->sent_seq)
			link_drop(r, "it acknowledged what was not sent");
		else
			link_acked(r, e->scan_ack->seq);
		break;
	case IDFW__ENVELOPE__BODY_REFUSED:
		(void)snprintf(why, sizeof(why), "refused us: %s", e->refused->text);
		r->backoff.next_ms = r->backoff.max_ms; /* it will not change its mind soon */
		link_drop(r, why);
		break;
	case IDFW__ENVELOPE__BODY_PING:
		link_pong(r, e->ping);
		break;
	default: /* Pong: heard_ms is all we wanted; others do not pass the rights table */
		break;
	}
}

static void link_frame(void *arg, struct io_chan *c, const uint8_t *buf, size_t len)
{
	struct scan_report *r = arg;
	Idfw__Envelope *e = NULL;
	const char *why = "";
	int err;

	(void)c;
	r->heard_ms = io_clock_mono_ms();
	err = wire_envelope_decode(
		buf, len, WIRE_SVM_TO_SCAN, r->state == LINK_OPEN ? WIRE_OPEN : WIRE_NEW, &e, &why);
	if (err < 0) {
		link_drop(r, why);
		return;
	}
	link_message(r, e);
	wire_envelope_free(e);
}

static void link_drained(void *arg, struct io_chan *c)
{
	(void)c;
	link_pump(arg);
}
