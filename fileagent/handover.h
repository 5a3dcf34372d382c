/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * handover.h - how a new supervisor takes the groups and the worker of one that ended
 *
 *   <run-dir>/fileagent.lock   flock: one supervisor. The worker does not have it
 *   <run-dir>/fileagent.sock   SOCK_SEQPACKET, mode 0600, root. Made by a supervisor, which never
 *                              accepts; the worker has it too and accepts when it is alone
 *
 * A supervisor that gets the lock and finds somebody at the socket takes over: it gets the groups,
 * the table of held events and the worker's pidfd, and that connection is the worker's new
 * channel (rec.h). A worker that is stopped is continued first. Nobody held passes unseen.
 */
#ifndef FILEAGENT_HANDOVER_H
#define FILEAGENT_HANDOVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "lib/base/err.h"

struct fa_handover {	       /* descriptors: -1 when not there */
	int perm, notify, fim; /* groups */
	int table;	       /* memfd of struct fa_inflight */
	int listen;
	int pidfd; /* of the worker; give() makes it itself */
	pid_t worker;
	uint32_t start_bits; /* FA_START_ */
	char version[65];    /* of the worker's program */
};

void fa_handover_init(struct fa_handover *h);
void fa_handover_fini(struct fa_handover *h); /* closes all of them */

/*
 * -EWOULDBLOCK: another supervisor lives. -GI_EDENIED: the file is not root's alone.
 * *ret_fd: keep it open, CLOEXEC
 */
GI_MUST_CHECK int fa_handover_lock(const char *run_dir, int *ret_fd);
/*
 * fa_handover_note - remember the worker in the lock file, for a successor that finds it stopped
 * @pid: 0: there is none
 */
GI_MUST_CHECK int fa_handover_note(int lock_fd, pid_t pid);
/* for a new worker; what stood there before is removed (the lock says that nobody needs it) */
GI_MUST_CHECK int fa_handover_listen(const char *run_dir, int *ret_fd);
/*
 * fa_handover_take - supervisor, at its start, with the lock. Blocks up to @timeout_ms
 * A noted worker that is stopped is continued; one that cannot be taken over is killed (its
 * openers are then let through by the kernel: nobody else has its groups).
 * @ret_sock: owned; the worker's channel, non-blocking
 * @ret: owned, fa_handover_fini()
 * Errors: -GI_ENOTFOUND (no worker waits), -ETIMEDOUT (one was there and did not answer),
 *         -GI_EPROTO, -GI_EDENIED (the socket is not root's)
 */
GI_MUST_CHECK int fa_handover_take(const char *run_dir, int lock_fd, uint64_t timeout_ms,
	int *ret_sock, struct fa_handover *ret);
/*
 * fa_handover_give - worker, when its supervisor is gone and h->listen is readable
 * @h: borrows; what it was started with; not its pidfd
 * @ret_sock: owned; the new channel, non-blocking: go on as if nothing had been. Requests without
 *            a reply must be sent again
 * Errors: -EAGAIN (nobody there), -GI_EDENIED (not root: closed; go on waiting), -errno
 */
GI_MUST_CHECK int fa_handover_give(const struct fa_handover *h, int *ret_sock);

#endif
