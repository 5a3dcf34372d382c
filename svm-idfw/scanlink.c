/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * scanlink.c - svm-scan's connection (scanlink.h)
 *
 * Runs in svm-idfw's main process. Records are acknowledged when they are on disk, as a number of
 * their outbox. One that the database does not take now ends the link: svm-scan keeps it and comes
 * again, and so does one that does not follow its predecessor. While the database is only slow, the
 * link is not read (glue.c). Source: docs/wire.md, "Records".
 */
#include "config.h"

#include "svm-idfw/scanlink.h"

#include <stdio.h>
#include <string.h>

static void scan_send(struct guest_link *l, const Idfw__Envelope *e)
{
	struct gi_buf *b = &l->owner->inner;
	int err;

	if (l->failed)
		return;
	gi_buf_reset(b);
	err = wire_envelope_encode(e, b);
	if (err == 0)
		err = io_chan_send(l->chan, b->data, b->len);
	if (err == 0)
		return;
	gi_warn("svm-scan %s: message not queued: %s", l->name, gi_strerror(err));
	guests_link_fail(l, "it does not read");
}

static void scan_refuse(struct guest_link *l, Idfw__Refused__Reason reason, const char *text)
{
	Idfw__Refused refused = IDFW__REFUSED__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;

	refused.reason = reason;
	refused.text = (char *)(uintptr_t)text;
	e.body_case = IDFW__ENVELOPE__BODY_REFUSED;
	e.refused = &refused;
	scan_send(l, &e);
}

void scanlink_ping(struct guest_link *l)
{
	Idfw__Ping ping = IDFW__PING__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;

	e.body_case = IDFW__ENVELOPE__BODY_PING;
	e.ping = &ping;
	scan_send(l, &e);
}

static int hello(struct guest_link *l, const Idfw__Hello *h, const char **ret_why)
{
	Idfw__HelloAck ack = IDFW__HELLO_ACK__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	char why[WIRE_TEXT_MAX];
	int r;

	if (wire_version_choose(h, &ack.version, why) < 0) {
		gi_warn("svm-scan %s: %s", l->name, why);
		scan_refuse(l, IDFW__REFUSED__REASON__VERSION, why);
		*ret_why = "no common protocol version";
		return -GI_EVERSION;
	}
	if (h->boot_id.len != sizeof(l->outbox)) {
		scan_refuse(l, IDFW__REFUSED__REASON__PROTOCOL,
			"Hello must name the outbox: 16 bytes in boot_id");
		*ret_why = "Hello without an outbox";
		return -GI_EPROTO;
	}
	memcpy(l->outbox, h->boot_id.data, sizeof(l->outbox));
	r = idfw_engine_scan_hello(l->owner->engine, l->outbox, &ack.acked_seq);
	if (r < 0) {
		*ret_why = "one outbox too many";
		return r;
	}
	l->record_seq = l->durable_seq = l->told_seq = ack.acked_seq;
	l->hello = true;
	ack.software = (char *)(uintptr_t) "svm-idfw " PACKAGE_VERSION;
	e.body_case = IDFW__ENVELOPE__BODY_HELLO_ACK;
	e.hello_ack = &ack;
	scan_send(l, &e);
	return 0;
}

/*
 * Never more than it has sent on this connection: what was under way when the last one broke may
 * be durable before it comes again.
 */
static void ack(struct guest_link *l)
{
	Idfw__ScanAck a = IDFW__SCAN_ACK__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;

	a.seq = l->durable_seq < l->record_seq ? l->durable_seq : l->record_seq;
	if (a.seq <= l->told_seq)
		return;
	l->told_seq = a.seq;
	e.body_case = IDFW__ENVELOPE__BODY_SCAN_ACK;
	e.scan_ack = &a;
	scan_send(l, &e);
}

static int record(struct guest_link *l, const Idfw__ScanRecord *rec, const char **ret_why)
{
	int r = idfw_engine_scan_record(l->owner->engine, l->outbox, l->name, rec);

	if (r == 0) {
		l->n_records++;
		if (rec->seq > l->record_seq)
			l->record_seq = rec->seq;
		ack(l);
	} else if (r == -GI_ESTATE)
		*ret_why = "records are missing before this one";
	else if (r == -GI_EFULL)
		*ret_why = "the database takes no records now";
	else
		*ret_why = "the record was not taken";
	return r;
}

static int message(struct guest_link *l, const Idfw__Envelope *e, const char **ret_why)
{
	Idfw__Pong pong = IDFW__PONG__INIT;
	Idfw__Envelope answer = IDFW__ENVELOPE__INIT;

	switch (e->body_case) {
	case IDFW__ENVELOPE__BODY_HELLO:
		return hello(l, e->hello, ret_why);
	case IDFW__ENVELOPE__BODY_SCAN_RECORD:
		return record(l, e->scan_record, ret_why);
	case IDFW__ENVELOPE__BODY_PING:
		pong.token = e->ping->token;
		answer.body_case = IDFW__ENVELOPE__BODY_PONG;
		answer.pong = &pong;
		scan_send(l, &answer);
		return 0;
	case IDFW__ENVELOPE__BODY_PONG:
		return 0;
	default:
		*ret_why = "a message that is not svm-scan's";
		return -GI_EPROTO;
	}
}

int scanlink_frame(struct guest_link *l, const uint8_t *buf, size_t len, const char **ret_why)
{
	Idfw__Envelope *e = NULL;
	int err = wire_envelope_decode(
		buf, len, WIRE_SCAN, l->hello ? WIRE_OPEN : WIRE_NEW, &e, ret_why);

	if (err < 0)
		return err;
	l->owner->conf.round(l->owner->conf.arg);
	err = message(l, e, ret_why);
	wire_envelope_free(e);
	return err;
}

void idfw_guests_scan_durable(struct idfw_guests *g, const uint8_t outbox[16], uint64_t seq)
{
	for (struct guest_link *l = g->links; l; l = l->next) {
		if (!l->scan || !l->hello || memcmp(l->outbox, outbox, sizeof(l->outbox)))
			continue;
		if (seq > l->durable_seq)
			l->durable_seq = seq;
		ack(l);
	}
}

void scanlink_row(const struct guest_link *l, char *row, size_t size)
{
	snprintf(row, size,
		"{\"type\":\"scan\",\"name\":\"%s\",\"peer\":\"%s\",\"connected_ms\":%llu,"
		"\"records\":%llu,\"queued_bytes\":%zu}",
		l->name, l->peer, (unsigned long long)l->connected_ms,
		(unsigned long long)l->n_records, io_chan_queued(l->chan));
}
