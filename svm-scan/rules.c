/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rules.c - what a finding leads to, for a VM, and how much a VM may ask; see scan.h
 *
 * Pure: no clock, no lock, no memory. judge.c asks for each event.
 */
#include "svm-scan/scan.h"

enum eps_kind scan_rules_verdict(
	const struct scan_rules *r, enum eps_op op, enum scan_outcome outcome)
{
	switch (outcome) {
	case SCAN_CLEAN:
		return EPS_ALLOW;
	case SCAN_FOUND:
		return op == EPS_OP_OPEN || op == EPS_OP_EXEC ? r->on_open : r->on_write;
	case SCAN_FAILED:
		break;
	}
	return EPS_FAILED;
}

Idfw__FileIsolate scan_rules_isolate(const struct scan_rules *r, uint64_t session)
{
	if (r->isolate == IDFW__FILE_ISOLATE__FILE_ISOLATE_SESSION && session == 0)
		return r->isolate_unknown;
	return r->isolate;
}

/* what came in since then, at most a second's worth */
static void quota_fill(int64_t *tokens, uint64_t per_s, uint64_t passed_ms)
{
	int64_t full = (int64_t)(per_s * 1000);

	if (passed_ms >= 1000 && *tokens >= 0)
		*tokens = full;
	else if (passed_ms > (uint64_t)INT64_MAX / (per_s ? per_s : 1)) /* it slept for ages */
		*tokens = full;
	else
		*tokens += (int64_t)(per_s * passed_ms);
	if (*tokens > full)
		*tokens = full;
}

bool scan_quota_take(struct scan_quota *q, const struct scan_rules *r, uint64_t now_ms,
	uint64_t events, uint64_t bytes)
{
	/* milli-tokens of all numbers below fit 63 bits */
	const uint64_t most = (uint64_t)INT64_MAX / 4000;
	uint64_t ev_per_s = r->events_per_s > most ? most : r->events_per_s;
	uint64_t by_per_s = r->bytes_per_s > most ? most : r->bytes_per_s;
	uint64_t passed = now_ms - q->last_ms;

	if (q->last_ms == 0 || now_ms < q->last_ms)
		passed = q->last_ms == 0 ? 1000 : 0;
	if (passed > 0 || q->last_ms == 0) {
		quota_fill(&q->events_milli, ev_per_s, passed);
		quota_fill(&q->bytes_milli, by_per_s, passed);
		q->last_ms = now_ms;
	}
	events = events > most ? most : events;
	bytes = bytes > most ? most : bytes;
	if (ev_per_s && events && q->events_milli < (int64_t)(events * 1000))
		return false;
	if (by_per_s && bytes &&
		q->bytes_milli < (int64_t)((bytes > by_per_s ? by_per_s : bytes) * 1000))
		return false;
	if (ev_per_s)
		q->events_milli -= (int64_t)(events * 1000);
	if (by_per_s)
		q->bytes_milli -= (int64_t)(bytes * 1000);
	return true;
}
