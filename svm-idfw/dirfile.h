/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirfile.h - the files that a bind to the directory needs, looked at before they are used
 *
 * Runs in the directory child, at each connection. A secret (password, keytab, key) that others
 * could read is refused: it must be treated as known then. What is wrong is said in words
 * (dirwhy.h).
 */
#ifndef SVM_IDFW_DIRFILE_H
#define SVM_IDFW_DIRFILE_H

#include "svm-idfw/dirwhy.h"

#define DIR_PASSWORD_MAX 1024

/* @item: the setting's name. Errors: -errno of open and read */
GI_MUST_CHECK int dir_file_readable(const char *item, const char *path, char why[DIR_WHY_MAX]);
/* the same, and -EACCES when group or others have any right to it */
GI_MUST_CHECK int dir_file_secret(const char *item, const char *path, char why[DIR_WHY_MAX]);
/*
 * the same, and its first line; -EINVAL when that is empty, longer than DIR_PASSWORD_MAX - 1 bytes,
 * or has a zero byte: never a part of it. The caller erases @ret
 */
GI_MUST_CHECK int dir_file_password(
	const char *path, char why[DIR_WHY_MAX], char ret[DIR_PASSWORD_MAX]);

#endif
