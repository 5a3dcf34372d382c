/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * forks.h - who made whom: the newest forks and names of processes, as the kernel told them
 *
 * Runs in gi-fileagent's worker; tasks.h fills it. A process that has ended is in no /proc any
 * more, its fork is still here: who made it, when, and what it last was called. Pure, of a fixed
 * size: the oldest goes first. Records of several processors come in any order.
 * Invariants: never wrong about what it hands out: a number that is there twice, or whose records
 * may have been lost (fa_forks_forget()), is not handed out.
 */
#ifndef FILEAGENT_FORKS_H
#define FILEAGENT_FORKS_H

#include <stdint.h>
#include "lib/base/err.h"

#define FA_FORKS_MAX 8192 /* 400 KiB; far fewer than there are numbers before one is used anew */
#define FA_FORK_COMM 16	  /* TASK_COMM_LEN, with its NUL */

struct fa_fork {
	uint32_t pid;
	uint32_t ppid;	  /* who made it, whoever has it now; 0: not known */
	uint64_t time_ns; /* CLOCK_BOOTTIME of the fork; ppid 0: of the name */
	uint64_t comm_ns;
	char comm[FA_FORK_COMM]; /* "": the name that its maker had */
	uint16_t next;		 /* private */
};

struct fa_forks;

GI_MUST_CHECK int fa_forks_new(struct fa_forks **ret); /* -ENOMEM */
void fa_forks_free(struct fa_forks *f);
void fa_forks_add(struct fa_forks *f, uint64_t time_ns, uint32_t pid, uint32_t ppid);
/* @comm: need not be NUL-terminated */
void fa_forks_name(
	struct fa_forks *f, uint64_t time_ns, uint32_t pid, const char comm[FA_FORK_COMM]);
/* records were lost: nothing that was known before holds */
void fa_forks_forget(struct fa_forks *f);

/*
 * fa_forks_find - the process that had @pid at @ns; borrowed until the next change. NULL: not known
 */
const struct fa_fork *fa_forks_find(const struct fa_forks *f, uint32_t pid, uint64_t ns);
/* the only process with that number of which anything is known; NULL: none, or more than one */
const struct fa_fork *fa_forks_only(const struct fa_forks *f, uint32_t pid);

#endif
