/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * found.h - sessions that began while nobody was there to be told
 *
 * Runs in gi-netagent's parsing process, once, NA_FOUND_DELAY_MS after its start: logins that wait
 * for us are told by PAM first. pam_loginuid(8) gives each login a number (audit session id) that
 * all its processes keep. A number that no live session's leader has, and none of whose processes
 * is in a session's cgroup, is a login that we missed: its oldest process, which must be root's
 * (sshd, login, cron) and of our own pid namespace, is the leader, and all of them are put into a
 * cgroup. Whose it is, is what the kernel says (loginuid), named by passwd(5). Logins of containers
 * are not ours: their uids are other people's here, and their cgroups somebody else's.
 * Nothing is found without cgroups (what is left of an ended session could not be told from a
 * session), or without audit in the kernel.
 * Source: proc(5) loginuid, sessionid; ADR 0014.
 */
#ifndef NETAGENT_FOUND_H
#define NETAGENT_FOUND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/io/loop.h"

#define NA_FOUND_DELAY_MS 1500
#define NA_FOUND_PASS_MS 200 /* children that were born while their parents were moved */
#define NA_FOUND_PASSES 5
#define NA_FOUND_PROCS_MAX 32768

struct na_agent;

struct na_proc {
	uint32_t audit;
	uint32_t loginuid;
	uint32_t pid;
	uint64_t start;
};

struct na_found {
	struct io_timer timer;
	unsigned int passes;
	uint64_t our_start; /* clock ticks since boot */
	struct {
		uint32_t audit;
		uint64_t session;
	} * list; /* owned: what was found */
	size_t n;
};

void na_found_start(struct na_agent *a);
void na_found_stop(struct na_agent *a);

/* pure: by audit session id, then the oldest first */
void na_found_sort(struct na_proc *list, size_t n);
/* pure: how many from @list[0] on have its audit session id */
size_t na_found_group(const struct na_proc *list, size_t n);

#endif
