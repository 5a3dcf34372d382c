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
