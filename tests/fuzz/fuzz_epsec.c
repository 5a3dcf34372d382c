/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_epsec.c - a hostile guest (and mux) against libepsec, with a caller that does anything
 *
 * The input is a row of steps: a byte that says what, a byte of detail, two bytes of length (of
 * frames only), the frame. Frames are Routed messages, or Envelopes of guest "a"; between them the
 * caller takes events, reads, writes, answers, sets epochs. What the library sends must be well
 * formed, and in the end nothing is left: core.c aborts otherwise.
 */
#include <stdint.h>
#include <stdlib.h>
#include "tests/unit/epsec/core.h"

#define HELD_MAX 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum step {
	STEP_ROUTED,
	STEP_ENVELOPE,
	STEP_NEXT,
	STEP_ANSWER,
	STEP_READ,
	STEP_WRITE,
	STEP_PUMP,
	STEP_UP,
	STEP_DOWN,
	STEP_TICK,
	STEP_EPOCH,
	STEP_LIMITS,
	STEP_COMMAND,
	STEP_COUNT
};

struct run {
	struct core core;
	struct eps_event *held[HELD_MAX];
	size_t n_held;
};

static void answer(struct run *r, size_t i, uint8_t detail)
{
	uint8_t sha[32] = { 0 };
	struct eps_verdict v = { .kind = (enum eps_kind)(detail % 8),
		.until_change = detail & 0x10,
		.signature = "s\xff",
		.sha256 = detail & 0x20 ? sha : NULL };
	struct eps_event *ev = r->held[i];

	r->held[i] = r->held[--r->n_held];
	(void)eps_answer(ev, &v);
}

static void take(struct run *r)
{
	if (r->n_held < HELD_MAX && eps_next(&r->core.e, 0, &r->held[r->n_held]) == 0)
		r->n_held++;
}

static void content(struct run *r, enum step step, uint8_t detail)
{
	struct eps_event *ev = r->held[detail % r->n_held];
	uint8_t buf[5000] = { 0 };
	size_t n;

	if (step == STEP_WRITE)
		(void)eps_write(ev, buf, detail * 16u, detail & 1);
	else if (eps_read(ev, (uint64_t)detail * 977, buf, sizeof(buf), &n) == 0 && n > sizeof(buf))
		abort();
}

static void command(struct run *r, uint8_t detail)
{
	const uint8_t buf[2] = { 0x10, detail };
	uint64_t id;

	(void)eps_command(&r->core.e, "a", buf, sizeof(buf), &id);
}

static void caller(struct run *r, enum step step, uint8_t detail)
{
	struct core *c = &r->core;

	if ((step == STEP_ANSWER || step == STEP_READ || step == STEP_WRITE) && r->n_held == 0)
		return;
	switch (step) {
	case STEP_NEXT:
		take(r);
		break;
	case STEP_ANSWER:
		answer(r, detail % r->n_held, detail >> 1);
		break;
	case STEP_READ:
	case STEP_WRITE:
		content(r, step, detail);
		break;
	case STEP_PUMP:
		core_pump(c);
		break;
	case STEP_UP:
		core_guest_up(c);
		break;
	case STEP_DOWN:
		if (c->linked)
			core_guest_down(c);
		break;
	case STEP_TICK:
		eps_core_tick(&c->e, io_clock_mono_ms() + detail * 100u);
		break;
	case STEP_EPOCH:
		(void)eps_epoch_set(&c->e, &detail, 1);
		break;
	case STEP_LIMITS:
		(void)eps_guest_limits_set(&c->e, "a", detail, detail);
		break;
	case STEP_COMMAND:
		command(r, detail);
		break;
	default:
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct run r;
	size_t len;

	r.n_held = 0;
	if (size < 1 || core_init(&r.core) < 0)
		return 0;
	r.core.look = data[0] & 1;
	data++;
	size--;
	core_guest_up(&r.core);
	while (size >= 2) {
		enum step step = (enum step)(data[0] % STEP_COUNT);
		uint8_t detail = data[1];

		data += 2;
		size -= 2;
		if (step != STEP_ROUTED && step != STEP_ENVELOPE) {
			caller(&r, step, detail);
			continue;
		}
		if (size < 2)
			break;
		len = (size_t)data[0] << 8 | data[1];
		data += 2;
		size -= 2;
		len = len < size ? len : size;
		if (step == STEP_ROUTED)
			core_frame(&r.core, data, len);
		else
			core_envelope(&r.core, data, len);
		data += len;
		size -= len;
	}
	while (r.n_held > 0)
		answer(&r, 0, EPS_DENY);
	core_fini(&r.core);
	return 0;
}
