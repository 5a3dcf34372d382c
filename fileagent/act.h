/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * act.h - what is done to a file: delete, replace, open; by identity, never by name alone
 *
 * Supervisor, in the thread of ops.c; may take long. Each function is given the descriptor that
 * the event came with and what the file was when it was judged. The name is what /proc/self/fd
 * says now; its directory is opened without following any link, and the name must lead to that
 * very inode there. A file that is renamed meanwhile is looked for again. Nothing here opens a
 * file of a watched file system for reading or writing but what it makes itself: directories and
 * files are O_PATH (no event: the supervisor would wait for itself).
 */
#ifndef FILEAGENT_ACT_H
#define FILEAGENT_ACT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include "fileagent/rec.h"
#include "lib/base/err.h"

#define FA_ACT_TEXT (FA_REC_TEXT_MAX + 1)

struct fa_place {	/* where a file's name is */
	int dir;	/* O_PATH, owned; fa_place_fini() */
	char name[256]; /* in it */
	char path[FA_REC_PATH_MAX + 1];
};

/* @fd as it is now; -errno */
GI_MUST_CHECK int fa_ident_of(int fd, struct fa_ident *ret);
/* is it still what was judged? size, mtime, ctime, inode, device */
bool fa_ident_same(const struct fa_ident *a, const struct fa_ident *b);

/*
 * fa_place_find - the name of an open file, checked
 * Errors: -ENOENT (it has none: O_TMPFILE, unlinked), -EXDEV (its mount is not one of ours),
 *         -ESTALE (renamed again and again), -ELOOP, -errno
 */
GI_MUST_CHECK int fa_place_find(int fd, struct fa_place *ret);
void fa_place_fini(struct fa_place *p);
/* unlinks the name, if it still leads to @fd's inode. -ESTALE */
GI_MUST_CHECK int fa_place_unlink(const struct fa_place *p, int fd);

/*
 * fa_act_delete - unlink the file's name
 * Other hard links cannot be found; they stay and are denied at each open, as their content is.
 * The content is not overwritten: it is evidence.
 * @ret_text: words: what was done, how many other names are left
 * Errors: -ESTALE (not what was judged any more: nothing was done), as fa_place_find()
 */
GI_MUST_CHECK int fa_act_delete(int fd, const struct fa_ident *was, char ret_text[FA_ACT_TEXT]);
/* a nameless file beside it, for its new content; *ret_fd owned */
GI_MUST_CHECK int fa_act_tmp(int fd, const struct fa_ident *was, int *ret_fd);
/*
 * fa_act_replace - @tmp takes the place of @fd's name; owner, mode, extended attributes (ACLs
 * among them) are copied first. Atomic: whoever opens sees the one or the other.
 */
GI_MUST_CHECK int fa_act_replace(
	int fd, int tmp, const struct fa_ident *was, char ret_text[FA_ACT_TEXT]);
/*
 * fa_act_open - a file or directory for reading; no symbolic links on the way, no waiting
 * @path: absolute; whether it may be opened at all is the caller's check
 * Errors: -ELOOP, -EINVAL (neither file nor directory), -errno
 */
GI_MUST_CHECK int fa_act_open(const char *path, int *ret_fd);
/* below the directory @dir, one name without a slash */
GI_MUST_CHECK int fa_act_open_at(int dir, const char *name, int *ret_fd);
/*
 * fa_act_who - the program of a process
 * @ret_path: FA_REC_PATH_MAX + 1 bytes; @ret_real: that path leads to that file in our mounts
 */
GI_MUST_CHECK int fa_act_who(
	uint32_t pid, char *ret_path, size_t size, struct fa_ident *ret, bool *ret_real);

#endif
