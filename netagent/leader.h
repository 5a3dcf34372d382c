/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * leader.h - watching the process that opened a session
 *
 * Runs in gi-netagent's parsing process, without privileges: pidfd_open(2) and /proc/PID/stat need
 * none. A leader is a pid and its start time: after a restart of the agent the pid alone may be
 * somebody else's. Its end is the end of the session, whoever forgot to call close_session.
 */
#ifndef NETAGENT_LEADER_H
#define NETAGENT_LEADER_H

#include <stdint.h>
#include "lib/base/err.h"
#include "lib/io/loop.h"

struct na_leader;

/* start time in clock ticks since boot; -ESRCH (gone, or not to be seen), -EPROTO, -errno */
GI_MUST_CHECK int na_leader_start_time(uint32_t pid, uint64_t *ret);

/*
 * na_leader_of_peer - the process at the other end of a connected unix socket
 * @pid: its pid as SO_PEERCRED gave it; 0: of another pid namespace, watched only where the kernel
 *     has SO_PEERPIDFD, and with a start time of 0
 * @ret_pidfd: owned by the caller; of that very process, also when the pid was used again since
 * @ret_start: 0 also when /proc does not show the process (hidepid)
 * Errors: -ESRCH (it has ended; without SO_PEERPIDFD also: it closed the connection, so its pid
 *         proves nothing), -ENOTSUP (other namespace, old kernel), -EMFILE, -errno
 */
GI_MUST_CHECK int na_leader_of_peer(int sock, uint32_t pid, int *ret_pidfd, uint64_t *ret_start);

/* the process that has this pid and start time; -ESRCH: it is gone */
GI_MUST_CHECK int na_leader_reopen(uint32_t pid, uint64_t start, int *ret_pidfd);

/* @pidfd: takes, also on error; @ended: called once; the owner frees the watch, in it or later */
GI_MUST_CHECK int na_leader_watch(struct io_loop *l, int pidfd, uint64_t session,
	void (*ended)(void *arg, uint64_t session), void *arg, struct na_leader **ret);
void na_leader_free(struct na_leader *w); /* NULL is fine */

/* pure: field 22 of a line of /proc/PID/stat; -EPROTO */
GI_MUST_CHECK int na_stat_start_time(const char *line, uint64_t *ret);
/* pure: /proc/PID/status of one of root's, in our own pid namespace: it may lead a session that
 * nobody told us of */
bool na_status_may_lead(const char *status);

#endif
