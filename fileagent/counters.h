/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * counters.h - what the worker counts; docs/scan.md "Counters" says what each means
 *
 * One row a counter: its name on the wire is the identifier's.
 */
#ifndef FILEAGENT_COUNTERS_H
#define FILEAGENT_COUNTERS_H

#include <stdbool.h>
#include <stdint.h>
#include "lib/wire/wire.h"

#define FA_COUNTERS(X)           \
	X(events_open)           \
	X(events_exec)           \
	X(events_close_write)    \
	X(events_overflow)       \
	X(events_own)            \
	X(events_lost)           \
	X(answered_cache)        \
	X(answered_empty)        \
	X(answered_shared)       \
	X(answered_verdict)      \
	X(excluded)              \
	X(deferred)              \
	X(deferred_late)         \
	X(written_unscanned)     \
	X(marks_added)           \
	X(marks_dropped)         \
	X(marks_flushed)         \
	X(changed_during_scan)   \
	X(verdict_allow)         \
	X(verdict_deny)          \
	X(verdict_delete)        \
	X(verdict_quarantine)    \
	X(verdict_replace)       \
	X(actions_failed)        \
	X(passed_deadline)       \
	X(passed_service_down)   \
	X(passed_too_large)      \
	X(passed_worker_ended)   \
	X(passed_worker_stopped) \
	X(passed_table_full)     \
	X(passed_scan_failed)    \
	X(passed_unreadable)     \
	X(passed_quota)          \
	X(denied_deadline)       \
	X(denied_service_down)   \
	X(denied_too_large)      \
	X(denied_worker_ended)   \
	X(denied_worker_stopped) \
	X(denied_table_full)     \
	X(denied_scan_failed)    \
	X(denied_unreadable)     \
	X(denied_quota)          \
	X(denied_cache)          \
	X(rescans_waiting)       \
	X(rescans_done)          \
	X(rescans_lost)          \
	X(rescans_gone)          \
	X(reports_lost)          \
	X(held)                  \
	X(held_max)              \
	X(link_up)               \
	X(link_losses)           \
	X(breaker_opened)        \
	X(cache_entries)         \
	X(cache_bytes)           \
	X(log_dropped)           \
	X(worker_starts)

struct fa_counters {
#define FA_COUNTER_FIELD(name) uint64_t name;
	FA_COUNTERS(FA_COUNTER_FIELD)
#undef FA_COUNTER_FIELD
};

#define FA_COUNTERS_N (sizeof(struct fa_counters) / sizeof(uint64_t))

/* name and value of the @i-th, i < FA_COUNTERS_N */
const char *fa_counter_name(size_t i);
uint64_t fa_counter_value(const struct fa_counters *c, size_t i);

#endif
