/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bound.h - how many findings, and reports, of one VM become records of their own
 *
 * Verdicts are given and carried out in any case; this is about the audit, which one guest must not
 * fill. A bucket holds an hour's records. While it is empty a session still has one record a
 * minute, its first at once: what isolates is a record. So many sessions as that only a guest that
 * makes them up has share SCAN_BOUND_SESSIONS a minute. The others are counted, and told as a sum.
 * Pure: the clock is a parameter, the lock is the caller's (vms.c).
 */
#ifndef SVM_SCAN_BOUND_H
#define SVM_SCAN_BOUND_H

#include <stdbool.h>
#include <stdint.h>

#define SCAN_BOUND_SESSIONS 256
#define SCAN_BOUND_MS 60000 /* a record a session, a sum a VM */

struct scan_bound { /* all zero at first */
	uint64_t tokens, last_ms;
	uint64_t summed, since_ms;	    /* not told yet; the first of them */
	struct scan_bound_session *session; /* owned; NULL: it never was over the bound */
};

void scan_bound_fini(struct scan_bound *b);
/*
 * scan_bound_take - one more finding; true: it has a record, false: it is counted
 * @per_hour: 0: no bound
 * @session: the guest's word, 0: none
 * @judged: false: the file had changed, and is judged again: it never stands for its session
 */
bool scan_bound_take(
	struct scan_bound *b, uint64_t per_hour, uint64_t now_ms, uint64_t session, bool judged);
/* the two halves of that, for what has no session: reports. Is there room for a record? */
bool scan_bound_room(struct scan_bound *b, uint64_t per_hour, uint64_t now_ms);
/* there was none: it is counted */
void scan_bound_count(struct scan_bound *b, uint64_t now_ms);
/* the sum that is to be told now, and starts anew; 0: none, or not yet. @all: also what is young */
uint64_t scan_bound_sum(struct scan_bound *b, uint64_t now_ms, bool all);

#endif
