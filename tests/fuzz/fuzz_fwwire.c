/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_fwwire.c - a conversation of svm-idfw with an agent: rulesets and deltas in any order
 *
 * Input: frames, each a 2-byte big-endian length and an Envelope. A state that the reader accepts
 * must survive being written and read again.
 */
#include <stdint.h>
#include <stdlib.h>
#include "fw/fwwire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct again {
	struct fw_wire_reader *reader;
	struct fw_state *state;
};

static int read_again(void *arg, const uint8_t *buf, size_t len)
{
	struct again *a = arg;
	Idfw__Envelope *e = NULL;
	const char *why;

	if (wire_envelope_decode(buf, len, WIRE_SVM_TO_AGENT, WIRE_OPEN, &e, &why) < 0 ||
		fw_wire_reader_feed(a->reader, e, &a->state, &why) < 0)
		abort();
	wire_envelope_free(e);
	return 0;
}

static void round_trip(const struct fw_state *s)
{
	struct again a = { 0 };

	if (fw_wire_reader_new(&a.reader) < 0)
		return;
	if (fw_wire_write_state(s, read_again, &a) < 0 || !a.state ||
		fw_state_count(a.state) != fw_state_count(s) ||
		fw_state_version(a.state) != fw_state_version(s))
		abort();
	fw_state_free(a.state);
	fw_wire_reader_free(a.reader);
}

static void take(struct fw_wire_reader *r, const Idfw__Envelope *e)
{
	struct fw_delta *d = NULL;
	struct fw_state *s = NULL;
	const char *why = NULL;

	if (e->body_case == IDFW__ENVELOPE__BODY_DELTA) {
		if (fw_wire_read_delta(e->delta, &d, &why) < 0 && !why)
			abort();
		fw_delta_free(d);
		return;
	}
	if (fw_wire_reader_feed(r, e, &s, &why) < 0 && (!why || s))
		abort();
	if (s)
		round_trip(s);
	fw_state_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fw_wire_reader *r = NULL;

	if (fw_wire_reader_new(&r) < 0)
		return 0;
	while (size > 2) {
		size_t len = (size_t)data[0] << 8 | data[1];
		Idfw__Envelope *e = NULL;
		const char *why;

		if (len > size - 2)
			len = size - 2;
		if (wire_envelope_decode(data + 2, len, WIRE_SVM_TO_AGENT, WIRE_OPEN, &e, &why) ==
			0)
			take(r, e);
		wire_envelope_free(e);
		data += 2 + len;
		size -= 2 + len;
	}
	fw_wire_reader_free(r);
	return 0;
}
