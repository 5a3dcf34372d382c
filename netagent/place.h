/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * place.h - the parsing process's end of the placer: "this process into that session's cgroup"
 *
 * The placer (placer.c, root) is another process; the keeper starts it and hands us its socket.
 * Requests go out with a descriptor of the process (pidfd) and are answered in their order. They
 * wait while there is no placer, and go to the next one when it dies under them (asking twice does
 * no harm). Invariant: each request that was taken gets exactly one call of placed(), at most
 * NA_PLACE_STUCK_MS after the last sign of life of a placer.
 */
#ifndef NETAGENT_PLACE_H
#define NETAGENT_PLACE_H

#include <stdbool.h>
#include <stdint.h>
#include "lib/base/err.h"
#include "lib/io/loop.h"

#define NA_PLACE_PENDING_MAX 2048
#define NA_PLACE_SOON_MS 200  /* a first factor asked for by a program, account, session */
#define NA_PLACE_STUCK_MS 250 /* below pam_gi's default timeout: the login shall not hang on it */

enum na_place_type {
	NA_PLACE_READY = 1, /* from the placer, first: @err tells whether there are cgroups */
	NA_PLACE_MOVE,	    /* to it, with a pidfd: @session */
	NA_PLACE_DONE,	    /* from it: @session, @err, @cgroup */
	NA_PLACE_SOON,	    /* to it: a login may follow within NA_PLACE_SOON_MS */
};

struct na_place_rec {
	uint32_t type;
	int32_t err;
	uint64_t session;
	uint64_t cgroup;
};

struct na_place;

struct na_place_ops {
	/* @err < 0: it is in no cgroup of ours; -ESRCH: the process has ended; -ETIMEDOUT */
	void (*placed)(void *arg, uint64_t session, int err, uint64_t cgroup);
	/* a placer says whether it can work (0) or why not */
	void (*ready)(void *arg, int err);
};

GI_MUST_CHECK int na_place_new(
	struct io_loop *l, const struct na_place_ops *ops, void *arg, struct na_place **ret);
void na_place_free(struct na_place *p); /* NULL is fine; placed() is not called any more */
/* @fd: takes; a placer just started */
void na_place_attach(struct na_place *p, int fd);
/*
 * na_place_move - make the session's cgroup, if it is not there, and put the process into it
 * @pidfd: borrows
 * Errors: why the placer cannot work at all, -GI_EFULL, -EMFILE, -ENOMEM; placed() is not called
 */
GI_MUST_CHECK int na_place_move(struct na_place *p, uint64_t session, int pidfd);
/* a login may follow: moves of the next NA_PLACE_SOON_MS shall not wait; nothing is promised */
void na_place_soon(struct na_place *p);

#endif
