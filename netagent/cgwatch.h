/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cgwatch.h - directories of cgroups come and go: somebody should look
 *
 * Runs in gi-netagent's parsing process. inotify says at once that something below a watched
 * directory was made or removed, not what: the owner looks at what it cares for. Every
 * NA_CGWATCH_POLL_MS the owner is asked to look anyway: a watch that could not be set, or an
 * overflow, costs that much and no more.
 * Source: inotify(7); the cgroup file system gives no IN_DELETE_SELF, so parents are watched.
 */
#ifndef NETAGENT_CGWATCH_H
#define NETAGENT_CGWATCH_H

#include "lib/base/err.h"
#include "lib/io/loop.h"

#define NA_CGWATCH_POLL_MS 5000
#define NA_CGWATCH_SETTLE_MS 10 /* many changes are one look */

struct na_cgwatch;

/* @changed: never called from within na_cgwatch_add() */
GI_MUST_CHECK int na_cgwatch_new(
	struct io_loop *l, void (*changed)(void *arg), void *arg, struct na_cgwatch **ret);
void na_cgwatch_free(struct na_cgwatch *w); /* NULL is fine */
/* @dir: an absolute path; again and again is fine, and so is one that is not there */
void na_cgwatch_add(struct na_cgwatch *w, const char *dir);

#endif
