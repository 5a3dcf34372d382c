/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * superlink.h - the worker's end of the socket to its supervisor
 *
 * Requests get a number, replies find their callback by it. A supervisor that ends is no end for
 * the worker: requests that wait for a reply wait for the next supervisor, which takes the worker
 * over (FA_OP_START again, on a new socket) and gets them once more: each of them compares the
 * file's identity before it acts, so twice is once.
 */
#ifndef FILEAGENT_SUPERLINK_H
#define FILEAGENT_SUPERLINK_H

#include <stdbool.h>
#include <stdint.h>
#include "fileagent/rec.h"
#include "lib/base/err.h"
#include "lib/io/loop.h"

#define FA_SUPER_WAITING_MAX 512 /* requests without a reply yet */

struct fa_super;

struct fa_super_ops {
	/* START, CONF, STOP; takes @fds[0..n) */
	void (*order)(void *arg, const struct fa_rec *rec, const int *fds, size_t n);
	void (*gone)(void *arg); /* the supervisor ended; once a supervisor */
};

/* @fd: takes (also on error), SOCK_SEQPACKET; @ops, @arg: borrow */
GI_MUST_CHECK int fa_super_new(struct io_loop *l, int fd, const struct fa_super_ops *ops, void *arg,
	struct fa_super **ret);
/* callbacks of what still waits are called with -ECANCELED */
void fa_super_free(struct fa_super *s);
/* another supervisor: @fd takes; what waits for a reply is sent anew */
void fa_super_replace(struct fa_super *s, int fd);
bool fa_super_is_up(const struct fa_super *s);

/*
 * fa_super_request - ask for one thing of enum fa_op
 * @rec: borrows; its id is filled in here; path_len says how much of path counts
 * @fds: borrows, @n at most FA_REC_FDS_MAX: may be closed after the call
 * @cb: once, later, from the loop: rec->err and what rec.h says of that reply; takes nothing:
 *	@rec is borrowed, @fd (FA_OP_TMP, FA_OP_OPEN, FA_OP_TASKS; else -1) is the callback's own
 *	to close. NULL: no reply is wanted; such a request is not kept: -EAGAIN (no room),
 *-ENOTCONN. Errors: -GI_EFULL (FA_SUPER_WAITING_MAX), -GI_ELIMIT (path, fds), -ENOMEM; @cb is not
 *called then
 */
GI_MUST_CHECK int fa_super_request(struct fa_super *s, struct fa_rec *rec, const int *fds, size_t n,
	void (*cb)(void *arg, const struct fa_rec *rec, int fd), void *arg);
/* nobody wants these replies any more: their callbacks are not called */
void fa_super_forget(struct fa_super *s, const void *arg);

#endif
