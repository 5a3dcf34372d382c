/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * walk.h - all files below a path, opened by the supervisor
 *
 * Runs in gi-fileagent's worker, for scan now and for the baseline of the FIM rules. The worker may
 * open nothing itself (it would hold itself on a watched file system, and has no right to): each
 * directory and file is an FA_OP_OPEN, of which @width are out at a time, files that the owner has
 * not done with among them. Names come by getdents64(2) on the directory's descriptor.
 * Invariants: no symbolic link is followed, the file system of the root is not left, at most
 * FA_WALK_DEPTH deep; what vanishes meanwhile is no failure; callbacks come from the loop only.
 */
#ifndef FILEAGENT_WALK_H
#define FILEAGENT_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include "fileagent/worker.h"
#include "lib/base/err.h"

#define FA_WALK_DEPTH 64
#define FA_WALK_WIDTH_MAX 64

struct fa_walk;

struct fa_walk_ops {
	/* a regular file; @fd: takes; the owner says fa_walk_next() when it has done with it */
	void (*file)(void *arg, const char *path, int fd, const struct stat *st);
	/* optional: a directory, before what is in it; false: not into it. @fd: borrows */
	bool (*dir)(void *arg, const char *path, int fd, const struct stat *st);
	/* optional: could not be opened or read, or is too deep; -ENOENT of the root alone */
	void (*failed)(void *arg, const char *path, int err);
	/* once; nothing comes behind it; the owner frees the walk, here or later (not in the
	 * others) */
	void (*done)(void *arg);
};

/*
 * fa_walk_new - begins soon
 * @count_only: files are not opened, file() is not called: fa_walk_files() is what is wanted
 * Errors: -ENOMEM, -EINVAL (path not absolute, or too long)
 */
GI_MUST_CHECK int fa_walk_new(struct fa_worker *w, const char *root, size_t width, bool count_only,
	const struct fa_walk_ops *ops, void *arg, struct fa_walk **ret);
void fa_walk_free(struct fa_walk *k); /* ends it; done() is not called */
/* the owner has done with one file() */
void fa_walk_next(struct fa_walk *k);
uint64_t fa_walk_files(const struct fa_walk *k); /* regular files met so far */

#endif
