/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bound.c - how many findings of one VM become records of their own, see bound.h
 *
 * Without memory for the table of sessions each finding has its record: evidence before room.
 */
#include "svm-scan/bound.h"

#include <stdlib.h>

#define HOUR_MS 3600000u
#define TOKEN HOUR_MS /* so that an hour's worth comes in as per_hour each ms */

struct scan_bound_session {
	uint64_t session;
	uint64_t ms; /* of its last record; 0: nobody's */
};

void scan_bound_fini(struct scan_bound *b)
{
	free(b->session);
	b->session = NULL;
}

static bool token_take(struct scan_bound *b, uint64_t per_hour, uint64_t now_ms)
{
	uint64_t passed = now_ms > b->last_ms ? now_ms - b->last_ms : 0;

	if (passed > HOUR_MS || b->last_ms == 0)
		passed = HOUR_MS;
	if (now_ms > b->last_ms)
		b->last_ms = now_ms;
	b->tokens += per_hour * passed;
	if (b->tokens > per_hour * TOKEN)
		b->tokens = per_hour * TOKEN;
	if (b->tokens < TOKEN)
		return false;
	b->tokens -= TOKEN;
	return true;
}

static bool is_old(const struct scan_bound_session *s, uint64_t now_ms)
{
	return s->ms == 0 || now_ms - s->ms >= SCAN_BOUND_MS;
}

/* it has had no record for a while */
static bool session_take(struct scan_bound *b, uint64_t now_ms, uint64_t session)
{
	struct scan_bound_session *oldest, *s;

	if (!b->session)
		b->session = calloc(SCAN_BOUND_SESSIONS, sizeof(*b->session));
	if (!b->session)
		return true;
	oldest = b->session;
	for (s = b->session; s < b->session + SCAN_BOUND_SESSIONS; s++) {
		if (s->ms && s->session == session) {
			oldest = s;
			break;
		}
		if (s->ms < oldest->ms)
			oldest = s;
	}
	if (!is_old(oldest, now_ms))
		return false;
	*oldest = (struct scan_bound_session){ .session = session, .ms = now_ms };
	return true;
}

bool scan_bound_take(
	struct scan_bound *b, uint64_t per_hour, uint64_t now_ms, uint64_t session, bool judged)
{
	if (scan_bound_room(b, per_hour, now_ms))
		return true;
	if (judged && session_take(b, now_ms, session))
		return true;
	scan_bound_count(b, now_ms);
	return false;
}

bool scan_bound_room(struct scan_bound *b, uint64_t per_hour, uint64_t now_ms)
{
	return !per_hour || token_take(b, per_hour, now_ms);
}

void scan_bound_count(struct scan_bound *b, uint64_t now_ms)
{
	if (b->summed++ == 0)
		b->since_ms = now_ms;
}

uint64_t scan_bound_sum(struct scan_bound *b, uint64_t now_ms, bool all)
{
	uint64_t n = b->summed;

	if (!all && now_ms - b->since_ms < SCAN_BOUND_MS)
		return 0;
	b->summed = 0;
	return n;
}
