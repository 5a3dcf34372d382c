/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tasks.h - the kernel's records of forks and of programs that begin, for forks.h
 *
 *   supervisor: perf_event_open(2), a dummy software event for each processor --fd--> worker: its
 *   ring of records, mapped, read when somebody asks who a process was, or when it is half full
 *
 * A change of a file is reported by the number of a process that may have ended before anybody
 * reads it. Its fork is in a ring by then: the kernel writes it before the process runs, without a
 * wake-up and without holding anybody. A ring that was too small loses the newest records and says
 * so: then everything known is forgotten rather than mixed up. The same while a processor runs of
 * which no records come (switched on later; its ring ended): who was made there has a number that
 * may have been another's. That is looked at once a second at most, when somebody asks.
 * Not there (no CONFIG_PERF_EVENTS, kernel lockdown, a container): /proc alone is asked.
 * Source: perf_event_open(2) "PERF_RECORD_FORK", "PERF_RECORD_COMM"; docs/scan.md "Who did it".
 */
#ifndef FILEAGENT_TASKS_H
#define FILEAGENT_TASKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "fileagent/forks.h"
#include "lib/base/err.h"
#include "lib/io/loop.h"

#define FA_TASKS_CPUS_MAX 512
#define FA_TASKS_ONLINE "/sys/devices/system/cpu/online"

struct fa_cpus { /* by number */
	uint64_t bits[FA_TASKS_CPUS_MAX / 64];
};

/*
 * fa_tasks_open - supervisor: records of processor @cpu
 * @ret_fd: owned, CLOEXEC; @ret_cpus: how many processors this machine can have
 * Errors: -errno: -ENODEV (that one is off), -EACCES, -ENOENT (the kernel has no such events)
 */
GI_MUST_CHECK int fa_tasks_open(uint64_t cpu, int *ret_fd, uint64_t *ret_cpus);

/* ---- worker ---- */

struct fa_tasks;

/* @online: FA_TASKS_ONLINE, or a test's; borrowed for its life. -ENOMEM */
GI_MUST_CHECK int fa_tasks_new(struct io_loop *l, const char *online, struct fa_tasks **ret);
void fa_tasks_free(struct fa_tasks *t);
/*
 * fa_tasks_add - the ring of processor @cpu
 * @fd: takes, also on error; @cpus: how many rings there will be: they share a bound of memory
 */
GI_MUST_CHECK int fa_tasks_add(struct fa_tasks *t, uint64_t cpu, int fd, uint64_t cpus);
/* what happened until now, in forks.h's table; borrowed. Empty while a processor is not seen */
const struct fa_forks *fa_tasks_now(struct fa_tasks *t);
uint64_t fa_tasks_lost(const struct fa_tasks *t); /* how often a ring was too small */

/*
 * fa_tasks_record - one record of the kernel's into @f; pure
 * @rec: @len bytes, of which the first say their own length
 * Returns false when it says that others were lost.
 */
bool fa_tasks_record(struct fa_forks *f, const void *rec, size_t len);

/*
 * fa_cpus_look - do records come of each processor that runs; pure
 * @have: those of which they come; one that is off is taken out: its event does not come back
 * @online: what the kernel says, as "0-3,5\n"; anything else is false and changes nothing
 */
bool fa_cpus_look(struct fa_cpus *have, const char *online);

#endif
