/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * routed.c - Routed messages with their bodies, built in one place for all who send them
 *
 * Pure; svm-idfw, libepsec and gi-mux use it, each sends in its own way. protobuf-c's structs have
 * no const: encoding only reads. Source: docs/wire.md "Mux and service VM".
 */
#include "lib/wire/wire.h"

static char *text(const char *words)
{
	return (char *)(uintptr_t)words;
}

const Idfw__Routed *wire_routed_hello_ack(
	struct wire_routed *m, uint32_t version, const char *software)
{
	idfw__routed__init(&m->r);
	idfw__hello_ack__init(&m->body.hello_ack);
	m->body.hello_ack.version = version;
	m->body.hello_ack.software = text(software);
	m->r.body_case = IDFW__ROUTED__BODY_HELLO_ACK;
	m->r.hello_ack = &m->body.hello_ack;
	return &m->r;
}

const Idfw__Routed *wire_routed_refused(
	struct wire_routed *m, Idfw__Refused__Reason reason, const char *words)
{
	idfw__routed__init(&m->r);
	idfw__refused__init(&m->body.refused);
	m->body.refused.reason = reason;
	m->body.refused.text = text(words);
	m->r.body_case = IDFW__ROUTED__BODY_REFUSED;
	m->r.refused = &m->body.refused;
	return &m->r;
}

const Idfw__Routed *wire_routed_ping(struct wire_routed *m, uint64_t token)
{
	idfw__routed__init(&m->r);
	idfw__ping__init(&m->body.ping);
	m->body.ping.token = token;
	m->r.body_case = IDFW__ROUTED__BODY_PING;
	m->r.ping = &m->body.ping;
	return &m->r;
}

const Idfw__Routed *wire_routed_pong(struct wire_routed *m, uint64_t token)
{
	idfw__routed__init(&m->r);
	idfw__pong__init(&m->body.pong);
	m->body.pong.token = token;
	m->r.body_case = IDFW__ROUTED__BODY_PONG;
	m->r.pong = &m->body.pong;
	return &m->r;
}

const Idfw__Routed *wire_routed_close(struct wire_routed *m, const char *vm, const char *why)
{
	idfw__routed__init(&m->r);
	idfw__vm_close__init(&m->body.close);
	m->body.close.why = text(why);
	m->r.vm = text(vm);
	m->r.body_case = IDFW__ROUTED__BODY_CLOSE;
	m->r.close = &m->body.close;
	return &m->r;
}

const Idfw__Routed *wire_routed_envelope(
	struct wire_routed *m, const char *vm, const void *buf, size_t len)
{
	idfw__routed__init(&m->r);
	m->r.vm = text(vm);
	m->r.body_case = IDFW__ROUTED__BODY_ENVELOPE;
	m->r.envelope.data = (uint8_t *)(uintptr_t)buf;
	m->r.envelope.len = len;
	return &m->r;
}
