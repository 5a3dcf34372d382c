/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kin.h - who did it: from the process of a file event to the session it belongs to
 *
 * Runs in gi-fileagent's worker, without any capability. gi-netagent keeps a file for each live
 * session, named by its leader's pid (netagent/sessfile.h). We walk up the parents of the event's
 * process until one is such a leader: same pid and same start time. A su or sudo in between keeps
 * the session (unless it opened one of its own). Parents end and children are adopted by init: a
 * process once seen keeps its session; what was never seen before gets the only live session of
 * its real uid if there is exactly one - never so for root, whose processes are the system's.
 * Where the kernel tells of forks (forks.h) the walk goes by who made whom, whoever adopted it; so
 * the session and the name of a process that ended before anybody looked are found, too.
 * A small cache binds a pid to its process by an open file of /proc/PID, which goes dead with the
 * process: a pid used anew is never taken for the earlier one. What we cannot know stays unknown:
 * a wrong name is worse than none.
 * Invariants: bounded (FA_KIN_CACHE entries, one descriptor each; FA_KIN_DEPTH parents); never
 * blocks; whatever is in /proc or the directory cannot make it loop or fail.
 * Source: proc(5) "stat", "status"; docs/scan.md "Who did it".
 */
#ifndef FILEAGENT_KIN_H
#define FILEAGENT_KIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "fileagent/forks.h"
#include "fileagent/worker.h"
#include "lib/base/err.h"

#define FA_KIN_CACHE 256
#define FA_KIN_DEPTH 64
#define FA_KIN_SESSIONS_MAX 8192 /* gi-netagent has no more */
#define FA_KIN_SLACK_MS 1000	 /* a fork is written down at most so long after its start */
#define FA_KIN_EXE_MAX 512	 /* kept; a longer path of a program is asked for anew */

struct fa_kin;

/*
 * @proc: "/proc"; @sessions_dir: need not exist (yet)
 * Errors: -ENOMEM, -ENAMETOOLONG
 */
GI_MUST_CHECK int fa_kin_new(const char *proc, const char *sessions_dir, struct fa_kin **ret);
void fa_kin_free(struct fa_kin *k);
/* @f: borrows, or NULL; what it says of a process counts more than /proc's parents */
void fa_kin_forks(struct fa_kin *k, const struct fa_forks *f);

/*
 * fa_kin_actor - what is known of @pid now; of a process that ended, what was known last
 * @pidfd: of the event, or -1; borrowed. With it a process that ended is told from a later one.
 *         FAN_GONE: it had ended when the event was read
 * @ret: always filled; at the worst with the pid alone (uid FA_UID_UNKNOWN; also of
 *       one that ended, whose session and comm the kernel's records told). exe as far as known
 */
void fa_kin_actor(struct fa_kin *k, uint32_t pid, int pidfd, struct fa_actor *ret);
/* the same of the process that had @pid at @boot_ms (CLOCK_BOOTTIME); one that began later is not
 * it */
void fa_kin_actor_before(struct fa_kin *k, uint32_t pid, uint64_t boot_ms, struct fa_actor *ret);
/* the program of @pid, @len bytes; dropped when that process has ended, or runs another by now */
void fa_kin_exe(struct fa_kin *k, uint32_t pid, const char *comm, const char *exe, size_t len);
/* @a's program, if it is known and @a is still the same process; else left as it is */
void fa_kin_fill_exe(const struct fa_kin *k, struct fa_actor *a);

size_t fa_kin_cached(const struct fa_kin *k);
uint64_t fa_kin_walks(const struct fa_kin *k); /* how often parents were walked; tests */

/* ---- pure parts, for tests and the fuzzer ---- */

struct fa_stat {
	uint32_t ppid;
	uint64_t start;
	char comm[WIRE_COMM_MAX + 1];
};
/* a line of /proc/PID/stat, NUL-terminated; -EPROTO */
GI_MUST_CHECK int fa_stat_parse(const char *line, struct fa_stat *ret);
struct fa_status {
	uint32_t ruid, euid;
	char comm[WIRE_COMM_MAX + 1];
};
GI_MUST_CHECK int fa_status_parse(const char *text, struct fa_status *ret);

#endif
