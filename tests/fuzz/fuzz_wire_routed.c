/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_wire_routed.c - any bytes as a Routed, from both sides, in both states
 *
 * First byte: 1 from the mux, 2 the lane of the files, 0x80 not the first message. An Envelope
 * inside is decoded as well, as mux, svm-idfw and svm-scan do.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "lib/wire/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void inner(const Idfw__Routed *r, bool from_mux, bool files)
{
	enum wire_sender up = files ? WIRE_FILE_AGENT : WIRE_AGENT;
	enum wire_sender down = files ? WIRE_SCAN_TO_AGENT : WIRE_SVM_TO_AGENT;
	Idfw__Envelope *e = NULL;
	const char *why = NULL;

	if (r->body_case != IDFW__ROUTED__BODY_ENVELOPE)
		return;
	if (wire_envelope_decode(r->envelope.data, r->envelope.len, from_mux ? up : down, WIRE_OPEN,
		    &e, &why) == 0)
		wire_envelope_free(e);
}

/* the short way says what the decoder says */
static void unwrap(const uint8_t *data, size_t size)
{
	char vm[GI_NAME_MAX + 1];
	const uint8_t *in = NULL;
	const char *why = NULL;
	Idfw__Routed *r = NULL;
	size_t len = 0;

	if (!wire_routed_unwrap(data, size, vm, &in, &len))
		return;
	if (in < data || in + len != data + size ||
		wire_routed_decode(data, size, true, WIRE_OPEN, &r, &why) < 0 ||
		r->body_case != IDFW__ROUTED__BODY_ENVELOPE || strcmp(r->vm, vm) != 0 ||
		r->envelope.len != len || memcmp(r->envelope.data, in, len) != 0)
		abort();
	wire_routed_free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Idfw__Routed *r = NULL, *again = NULL;
	const char *why = NULL;
	enum wire_state state;
	struct gi_buf b;
	bool from_mux;

	if (size == 0)
		return 0;
	unwrap(data + 1, size - 1);
	from_mux = data[0] & 1;
	state = data[0] & 0x80 ? WIRE_OPEN : WIRE_NEW;
	if (wire_routed_decode(data + 1, size - 1, from_mux, state, &r, &why) < 0) {
		if (!why || r)
			abort();
		return 0;
	}
	inner(r, from_mux, data[0] & 2);
	gi_buf_init(&b, WIRE_ROUTED_MAX);
	if (wire_routed_encode(r, &b) == 0 &&
		(wire_routed_decode(b.data, b.len, from_mux, state, &again, &why) < 0 ||
			again->body_case != r->body_case))
		abort();
	wire_routed_free(again);
	wire_routed_free(r);
	gi_buf_fini(&b);
	return 0;
}
