/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * wire.c - frames to messages and back, for every program
 *
 * A peer's bytes meet protobuf-c here and nowhere else. Its memory comes from a budget: what a
 * frame asks for in all may not pass WIRE_ALLOC_MAX, freed or not, so no 64 KiB frame can make a
 * receiver hold or churn more than that. Then rights.c, then check.c; only then the caller.
 * Source: docs/wire.md; protobuf encoding specification.
 */
#include "lib/wire/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "lib/base/text.h"
#include "lib/wire/check.h"

struct budget {
	size_t left; /* bytes */
	bool over, no_memory;
};

static void *budget_alloc(void *arg, size_t size)
{
	struct budget *b = arg;
	void *p;

	if (size > b->left) {
		b->over = true;
		return NULL;
	}
	b->left -= size;
	p = malloc(size ? size : 1);
	if (!p)
		b->no_memory = true;
	return p;
}

static void budget_free(void *arg, void *p)
{
	(void)arg;
	free(p);
}

/* the message that a field of @m points to, or NULL; not for repeated ones */
static ProtobufCMessage *field_message(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
	const char *base = (const char *)m;
	ProtobufCMessage *sub;
	uint32_t chosen;

	if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
		memcpy(&chosen, base + f->quantifier_offset, sizeof(chosen));
		if (chosen != f->id)
			return NULL;
	}
	memcpy(&sub, base + f->offset, sizeof(sub));
	return sub;
}

/*
 * Drops fields that we do not know, at all depths: "skipped" then holds also for a program that
 * keeps a message and encodes it again. (protobuf-c takes a field number 0, which it then
 * refuses in its own output.) Recursion ends: no message of ours contains itself.
 */
static void drop_unknown(ProtobufCMessage *m)
{
	for (unsigned int i = 0; i < m->n_unknown_fields; i++)
		free(m->unknown_fields[i].data);
	free(m->unknown_fields);
	m->unknown_fields = NULL;
	m->n_unknown_fields = 0;
	for (unsigned int i = 0; i < m->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
		ProtobufCMessage **list, *sub;
		size_t n = 0;

		if (f->type != PROTOBUF_C_TYPE_MESSAGE)
			continue;
		if (f->label == PROTOBUF_C_LABEL_REPEATED) {
			memcpy(&n, (const char *)m + f->quantifier_offset, sizeof(n));
			memcpy(&list, (const char *)m + f->offset, sizeof(list));
			for (size_t k = 0; k < n; k++)
				drop_unknown(list[k]);
		} else {
			sub = field_message(m, f);
			if (sub)
				drop_unknown(sub);
		}
	}
}

static int unpack(const ProtobufCMessageDescriptor *desc, const void *buf, size_t len, size_t max,
	ProtobufCMessage **ret, const char **ret_why)
{
	struct budget b = { .left = WIRE_ALLOC_MAX };
	ProtobufCAllocator alloc = {
		.alloc = budget_alloc, .free = budget_free, .allocator_data = &b
	};
	ProtobufCMessage *m;

	if (len > max) {
		*ret_why = "frame too large";
		return -GI_ELIMIT;
	}
	m = protobuf_c_message_unpack(desc, &alloc, len, buf);
	if (m) {
		drop_unknown(m);
		*ret = m;
		return 0;
	}
	if (b.over) {
		*ret_why = "message needs too much memory";
		return -GI_ELIMIT;
	}
	*ret_why = b.no_memory ? "out of memory" : "not a valid protobuf message";
	return b.no_memory ? -ENOMEM : -GI_EPROTO;
}

static int pack(const ProtobufCMessage *m, size_t max, struct gi_buf *out)
{
	size_t size = protobuf_c_message_get_packed_size(m);
	uint8_t *at;

	if (size > max)
		return -GI_ELIMIT;
	at = gi_buf_extend(out, size);
	if (at)
		protobuf_c_message_pack(m, at);
	return gi_buf_error(out);
}

/* what only the sender's side of the conversation decides */
static int check_sender(const Idfw__Envelope *e, enum wire_sender who, const char **ret_why)
{
	bool numbers = who == WIRE_AGENT || who == WIRE_FILE_AGENT || who == WIRE_SCAN;

	if (numbers && e->body_case == IDFW__ENVELOPE__BODY_HELLO &&
		e->hello->boot_id.len != WIRE_BOOT_ID_LEN) {
		*ret_why = "Hello: a boot_id of 16 bytes is missing";
		return -GI_EPROTO;
	}
	return 0;
}

int wire_envelope_decode(const void *buf, size_t len, enum wire_sender who, enum wire_state state,
	Idfw__Envelope **ret, const char **ret_why)
{
	ProtobufCMessage *m = NULL;
	Idfw__Envelope *e;
	const char *why = "";
	int err;

	err = unpack(&idfw__envelope__descriptor, buf, len, WIRE_FRAME_MAX, &m, &why);
	e = (Idfw__Envelope *)m;
	if (!err && e->body_case == IDFW__ENVELOPE__BODY__NOT_SET) {
		why = "no body, or one of a later protocol";
		err = -GI_EPROTO;
	}
	if (!err && !wire_may_send(who, state, (int)e->body_case)) {
		why = state == WIRE_NEW ? "not allowed as first message"
					: "this sender may not send that message";
		err = -GI_EDENIED;
	}
	if (!err)
		err = wire_check_envelope(e, &why);
	if (!err)
		err = check_sender(e, who, &why);
	if (err) {
		wire_envelope_free(e);
		*ret_why = why;
		return err;
	}
	*ret = e;
	return 0;
}

void wire_envelope_free(Idfw__Envelope *e)
{
	idfw__envelope__free_unpacked(e, NULL); /* budget_alloc is malloc underneath */
}

int wire_envelope_encode(const Idfw__Envelope *e, struct gi_buf *out)
{
	const char *why;
	int err = wire_check_envelope(e, &why);

	return err ? err : pack(&e->base, WIRE_FRAME_MAX, out);
}

int wire_routed_decode(const void *buf, size_t len, bool from_mux, enum wire_state state,
	Idfw__Routed **ret, const char **ret_why)
{
	ProtobufCMessage *m = NULL;
	Idfw__Routed *r;
	const char *why = "";
	int err;

	err = unpack(&idfw__routed__descriptor, buf, len, WIRE_ROUTED_MAX, &m, &why);
	r = (Idfw__Routed *)m;
	if (!err && r->body_case == IDFW__ROUTED__BODY__NOT_SET) {
		why = "Routed: no body, or one of a later protocol";
		err = -GI_EPROTO;
	}
	if (!err && !wire_may_send_routed(from_mux, state, (int)r->body_case)) {
		why = state == WIRE_NEW ? "Routed: not allowed as first message"
					: "Routed: this side may not send that message";
		err = -GI_EDENIED;
	}
	if (!err)
		err = wire_check_routed(r, &why);
	if (err) {
		wire_routed_free(r);
		*ret_why = why;
		return err;
	}
	*ret = r;
	return 0;
}

void wire_routed_free(Idfw__Routed *r)
{
	idfw__routed__free_unpacked(r, NULL);
}

int wire_routed_encode(const Idfw__Routed *r, struct gi_buf *out)
{
	const char *why;
	int err = wire_check_routed(r, &why);

	return err ? err : pack(&r->base, WIRE_ROUTED_MAX, out);
}

#define TAG_VM (1 << 3 | 2) /* protobuf: number 1, of type 2: a varint length, so many bytes */
#define TAG_ENVELOPE (2 << 3 | 2)

int wire_routed_wrap(const char *vm, size_t len, uint8_t ret[WIRE_ROUTED_HEAD_MAX], size_t *ret_len)
{
	size_t n = strlen(vm), at = 0;

	if (!gi_text_is_name(vm, GI_NAME_MAX))
		return -GI_EPROTO;
	if (len == 0 || len > WIRE_FRAME_MAX)
		return -GI_ELIMIT;
	ret[at++] = TAG_VM;
	ret[at++] = (uint8_t)n; /* a name is shorter than 128 */
	memcpy(ret + at, vm, n);
	at += n;
	ret[at++] = TAG_ENVELOPE;
	for (; len >= 0x80; len >>= 7)
		ret[at++] = (uint8_t)(len | 0x80);
	ret[at++] = (uint8_t)len;
	*ret_len = at;
	return 0;
}

/* exactly what wire_routed_wrap() makes is taken; anything else is the decoder's */
bool wire_routed_unwrap(const void *buf, size_t len, char ret_vm[GI_NAME_MAX + 1],
	const uint8_t **ret, size_t *ret_len)
{
	const uint8_t *p = buf, *end = p + len;
	size_t n = len >= 2 ? p[1] : 0, body = 0;
	char vm[GI_NAME_MAX + 1];

	if (n == 0 || n > GI_NAME_MAX || len - 2 < n + 2 || p[0] != TAG_VM ||
		p[2 + n] != TAG_ENVELOPE)
		return false;
	memcpy(vm, p + 2, n);
	vm[n] = '\0';
	p += 2 + n + 1;
	for (unsigned int shift = 0;; shift += 7, p++) {
		if (p == end || shift > 14)
			return false;
		body |= (size_t)(*p & 0x7f) << shift;
		if (*p < 0x80)
			break;
	}
	if (*p++ == 0 || body != (size_t)(end - p) || body > WIRE_FRAME_MAX || strlen(vm) != n ||
		!gi_text_is_name(vm, GI_NAME_MAX))
		return false;
	memcpy(ret_vm, vm, n + 1);
	*ret = p;
	*ret_len = body;
	return true;
}

int wire_session_encode(const Idfw__Session *s, struct gi_buf *out)
{
	const char *why;
	int err = wire_check_session(s, &why);

	return err ? err : pack(&s->base, WIRE_FRAME_MAX, out);
}

int wire_session_decode(const void *buf, size_t len, Idfw__Session **ret)
{
	ProtobufCMessage *m = NULL;
	const char *why = "";
	int err;

	err = unpack(&idfw__session__descriptor, buf, len, WIRE_FRAME_MAX, &m, &why);
	if (!err)
		err = wire_check_session((Idfw__Session *)m, &why);
	if (err) {
		wire_session_free((Idfw__Session *)m);
		return err;
	}
	*ret = (Idfw__Session *)m;
	return 0;
}

void wire_session_free(Idfw__Session *s)
{
	idfw__session__free_unpacked(s, NULL);
}

int wire_version_choose(const Idfw__Hello *h, uint32_t *ret_version, char ret_why[WIRE_TEXT_MAX])
{
	if (h->version_min > WIRE_VERSION_MAX || h->version_max < WIRE_VERSION_MIN) {
		/* longest case is far below WIRE_TEXT_MAX */
		(void)snprintf(ret_why, WIRE_TEXT_MAX,
			"no common protocol version: you speak %u to %u, this side %u to %u; %s",
			h->version_min, h->version_max, WIRE_VERSION_MIN, WIRE_VERSION_MAX,
			h->version_min > WIRE_VERSION_MAX ? "upgrade this side first"
							  : "upgrade your side");
		return -GI_EVERSION;
	}
	*ret_version = h->version_max < WIRE_VERSION_MAX ? h->version_max : WIRE_VERSION_MAX;
	return 0;
}

void wire_text_sanitize(char *text, size_t max)
{
	size_t len = strnlen(text, max);

	text[len] = '\0';
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			text[i] = ' ';
	/* a cut or foreign byte sequence: keep what is plain ASCII */
	if (!gi_text_is_clean(text, max))
		for (size_t i = 0; i < len; i++)
			if ((unsigned char)text[i] >= 0x80)
				text[i] = '?';
}
