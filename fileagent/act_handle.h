/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * act_handle.h - where a directory is that a FIM event names by its handle
 *
 * Supervisor: opening by a handle needs CAP_DAC_READ_SEARCH. The worker learns a path of a
 * directory on a file system with fim rules, nothing else; what it may open is decided by path
 * (FA_OP_OPEN). Only directories are opened: no event comes of it.
 * Source: open_by_handle_at(2), fanotify(7) "fsid".
 */
#ifndef FILEAGENT_ACT_HANDLE_H
#define FILEAGENT_ACT_HANDLE_H

#include <stddef.h>
#include "fileagent/faconf.h"
#include "fileagent/rec.h"
#include "lib/base/err.h"

/*
 * fa_handle_fs - the file system that it is on, in the loop
 * @text: hexadecimal: 8 bytes of fsid, then struct file_handle; @len digits
 * @ret_fd: owned: a directory there
 * Errors: -EINVAL (text), -ENOENT (no fim path is on it)
 */
GI_MUST_CHECK int fa_handle_fs(const struct fa_conf *c, const char *text, size_t len, int *ret_fd);
/*
 * fa_handle_path - its path in our mounts, in the thread: may wait for the disk
 * Errors: -EINVAL, -ESTALE (it is gone), -ENOENT (not to be seen from here), -errno
 */
GI_MUST_CHECK int fa_handle_path(
	int fs, const char *text, size_t len, char ret_path[FA_REC_PATH_MAX + 1]);

#endif
