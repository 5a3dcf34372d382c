/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * push.h - the parsing process's end of the pusher: records out, answers in
 *
 * The pusher (pusher.c, CAP_NET_ADMIN) is another process; the keeper starts it and hands us its
 * socket. Requests are answered in their order. Invariant: each request gets exactly one call of
 * done() or marks(), also when the pusher dies under it.
 */
#ifndef NETAGENT_PUSH_H
#define NETAGENT_PUSH_H

#include <stdbool.h>
#include <stdint.h>
#include "fw/fw.h"
#include "lib/base/err.h"
#include "lib/io/loop.h"

#define NA_PUSH_PENDING_MAX 4096 /* requests without an answer */
#define NA_PUSH_SEND_MS 20000	 /* the pusher must take our records within */

struct na_push;

struct na_push_ops {
	/* answer to a state or a delta; @err -GI_ESTATE: a full state is needed */
	void (*done)(void *arg, uint64_t generation, uint64_t version, int err, const char *why);
	/* answer to na_push_marks(); generation 0: nothing runs, or nobody could be asked */
	void (*marks)(void *arg, uint64_t generation, uint64_t version, const struct fw_elem *elems,
		size_t n);
	/* something is wrong with the table, or well again; nobody asked. Kind as on the wire */
	void (*alarm)(void *arg, unsigned int kind, bool over, const char *text);
	/* the pusher is gone; after the answers to what was asked of it */
	void (*lost)(void *arg, const char *why);
};

GI_MUST_CHECK int na_push_new(
	struct io_loop *l, const struct na_push_ops *ops, void *arg, struct na_push **ret);
void na_push_free(struct na_push *p); /* NULL is fine */
/* @fd: takes; a pusher just started */
void na_push_attach(struct na_push *p, int fd);
bool na_push_is_up(const struct na_push *p);
/* -ENOTCONN (no pusher: done() is not called), -GI_EFULL; what is sent borrows */
GI_MUST_CHECK int na_push_state(struct na_push *p, const struct fw_state *s);
GI_MUST_CHECK int na_push_delta(struct na_push *p, const struct fw_delta *d);
GI_MUST_CHECK int na_push_marks(struct na_push *p);
/* a heartbeat of the SVM: leases begin anew; without a pusher nothing, and never an answer */
void na_push_renew(struct na_push *p);

#endif
