/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_wire_envelope.c - any bytes as an Envelope, from any sender, in both states
 *
 * First byte: who claims to speak (low four bits; 15: the bytes are a Session, as in a file of
 * /run/idfw/sessions) and whether it has said something before (0x80). What is accepted must be
 * encodable again, and then be accepted again.
 */
#include <stdint.h>
#include <stdlib.h>
#include "lib/wire/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define A_SESSION 15

static void session(const uint8_t *data, size_t size)
{
	Idfw__Session *s = NULL, *again = NULL;
	struct gi_buf b;

	if (wire_session_decode(data, size, &s) < 0) {
		if (s)
			abort();
		return;
	}
	gi_buf_init(&b, WIRE_FRAME_MAX);
	if (wire_session_encode(s, &b) == 0 &&
		(wire_session_decode(b.data, b.len, &again) < 0 || again->id != s->id))
		abort();
	wire_session_free(again);
	wire_session_free(s);
	gi_buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Idfw__Envelope *e = NULL, *again = NULL;
	enum wire_sender who;
	enum wire_state state;
	const char *why = NULL;
	struct gi_buf b;

	if (size == 0)
		return 0;
	if ((data[0] & 0x0f) == A_SESSION) {
		session(data + 1, size - 1);
		return 0;
	}
	who = (enum wire_sender)(data[0] & 0x0f);
	state = data[0] & 0x80 ? WIRE_OPEN : WIRE_NEW;
	if (wire_envelope_decode(data + 1, size - 1, who, state, &e, &why) < 0) {
		if (!why || e)
			abort();
		return 0;
	}
	gi_buf_init(&b, WIRE_FRAME_MAX);
	/* the canonical form of a packed field may be a byte longer than what came in */
	if (wire_envelope_encode(e, &b) == 0 &&
		(wire_envelope_decode(b.data, b.len, who, state, &again, &why) < 0 ||
			again->body_case != e->body_case))
		abort();
	wire_envelope_free(again);
	wire_envelope_free(e);
	gi_buf_fini(&b);
	return 0;
}
