/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * dir.h - directories that a program started as root makes, and gives to the user it becomes
 *
 * What is above them is root's; where it is not (a directory that the same user had before), links
 * in it are not followed: that user could lead root's chown(2) anywhere.
 */
#ifndef IO_DIR_H
#define IO_DIR_H

#include <sys/types.h>
#include "lib/base/err.h"

#define IO_DIR_KEEP ((uid_t)-1) /* not given to anybody */

/*
 * io_dir_make - @path and what is missing above it (0755)
 * @path: its parts are looked at one by one; a symbolic link only counts where nobody but root (or
 *        we) can have put it; ".." does not count at all
 * @mode: of the last one, if it is made
 * @uid, @gid: whom it is given to, also if it was there; IO_DIR_KEEP
 * Errors: -ELOOP (such a link), -GI_EDENIED (it is there and another user's), -EINVAL, -ENOTDIR,
 *         -errno
 */
GI_MUST_CHECK int io_dir_make(const char *path, mode_t mode, uid_t uid, gid_t gid);

#endif
