/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * passed.h - how many FilePassed reports leave: a token bucket for each reason
 *
 * Runs in gi-fileagent's worker. A service that is down lets ten thousand opens a second through:
 * the counters say how many, a report says which. Of each reason FA_PASSED_BURST come at once, then
 * one each FA_PASSED_MS; what is left out is counted in `hidden` of the next one of that reason,
 * and when no next one comes, the last one that was hidden is reported in its place.
 * Pure: the clock is a parameter. Invariant: reported + hidden = what was taken.
 */
#ifndef FILEAGENT_PASSED_H
#define FILEAGENT_PASSED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/wire/wire.h"

#define FA_PASSED_REASONS 16 /* more share the last bucket */
#define FA_PASSED_BURST 10
#define FA_PASSED_MS 5000

struct fa_passed_reason {
	char reason[WIRE_TEXT_MAX + 1];
	uint64_t tokens_ms, last_ms;
	uint64_t hidden;
	uint8_t *last; /* packed FileReport that was hidden last, owned */
	size_t last_len;
};

struct fa_passed {
	struct fa_passed_reason reason[FA_PASSED_REASONS];
	size_t n;
};

void fa_passed_fini(struct fa_passed *p);
/*
 * fa_passed_take - may it leave now?
 * @ret_hidden: with true: how many were hidden before it
 */
bool fa_passed_take(
	struct fa_passed *p, const Idfw__FileReport *rep, uint64_t now_ms, uint64_t *ret_hidden);
/*
 * fa_passed_due - one that was hidden and whose time has come; call until it returns false
 * @ret: returned owned, idfw__file_report__free_unpacked(); its `hidden` is filled in
 */
bool fa_passed_due(struct fa_passed *p, uint64_t now_ms, Idfw__FileReport **ret);
bool fa_passed_waits(const struct fa_passed *p); /* something is hidden */

#endif
