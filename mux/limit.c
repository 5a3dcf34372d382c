/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * limit.c - how often one guest may make us do something
 *
 * A hostile guest can reconnect and misbehave thousands of times a second. Each of its deeds is
 * counted, but the log belongs to all guests, and each new connection costs the service VM a
 * whole ruleset.
 */
#include "mux/limit.h"

bool mux_limit_pass(struct mux_limit *l, uint64_t now_ms, unsigned int burst, uint64_t every_ms,
	uint64_t *ret_hidden)
{
	uint64_t gone = now_ms - l->filled_ms;

	l->filled_ms = now_ms;
	l->spent_ms = l->spent_ms > gone ? l->spent_ms - gone : 0;
	if (l->spent_ms > (burst - 1) * every_ms) {
		l->hidden++;
		return false;
	}
	l->spent_ms += every_ms;
	*ret_hidden = l->hidden;
	l->hidden = 0;
	return true;
}

uint64_t mux_flow_take(struct mux_flow *f, uint64_t now_us, uint64_t per_second)
{
	const uint64_t burst_us = MUX_FLOW_BURST_S * UINT64_C(1000000);

	if (!per_second)
		return 0;
	if (f->due_us < now_us)
		f->due_us = now_us;
	f->due_us += UINT64_C(1000000) / per_second;
	return f->due_us > now_us + burst_us ? f->due_us - now_us - burst_us : 0;
}

/* a guest says numbers of its own: they end at the top, not at 0 */
static uint64_t add_up(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

bool mux_lines_pass(struct mux_lines *one, struct mux_limit *all, uint64_t now_ms, uint64_t dropped,
	uint64_t *ret_left_out)
{
	uint64_t hidden;

	one->left_out = add_up(one->left_out, dropped);
	/* the agent's own first: one that writes too much uses up nothing of the others' */
	if (!mux_limit_pass(&one->limit, now_ms, MUX_LINES_BURST, MUX_LINES_EVERY_MS, &hidden) ||
		!mux_limit_pass(
			all, now_ms, MUX_LINES_ALL_BURST, MUX_LINES_ALL_EVERY_MS, &hidden)) {
		one->left_out = add_up(one->left_out, 1);
		return false;
	}
	*ret_left_out = one->left_out;
	one->left_out = 0;
	return true;
}
