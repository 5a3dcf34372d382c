/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tmpdir.c - empties the directory in which a worker unpacked archives
 *
 * In the worker after a job, and in the service after a worker's end: then what lies there was
 * built by whoever took the worker over. So: no links are followed, no path is put together, and
 * depth costs nothing: a directory in a directory is moved up before it is opened.
 */
#include "svm-scan/sandbox.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define TMP_ROUNDS_MAX                                                            \
	1000000 /* directories; whoever made more keeps them until the next start \
		 */

static bool is_dot(const char *name)
{
	return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

/* the files of @dir go, its directories move to @root under new names */
static int tmp_flatten(int root, int dir, unsigned int *serial)
{
	DIR *d = fdopendir(dir);
	struct dirent *e;
	char name[32];
	int err = 0;

	if (!d) {
		err = -errno;
		(void)close(dir);
		return err;
	}
	while (err == 0 && (e = readdir(d)) != NULL) {
		if (is_dot(e->d_name) || unlinkat(dirfd(d), e->d_name, 0) == 0)
			continue;
		if (errno != EISDIR && errno != EPERM) {
			err = -errno;
			continue;
		}
		if (unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR) == 0)
			continue;
		(void)snprintf(name, sizeof(name), "~%u", ++*serial);
		if (renameat(dirfd(d), e->d_name, root, name) < 0 && errno != EEXIST &&
			errno != ENOTEMPTY)
			err = -errno;
	}
	(void)closedir(d);
	return err;
}

/* one round over the top: files go, each directory is emptied by one level and removed */
static int tmp_round(int root, unsigned int *serial, bool *ret_again)
{
	int top = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), sub, err = 0;
	DIR *d = top < 0 ? NULL : fdopendir(top);
	struct dirent *e;

	if (!d) {
		err = -errno;
		if (top >= 0)
			(void)close(top);
		return err;
	}
	*ret_again = false;
	while (err == 0 && *serial < TMP_ROUNDS_MAX && (e = readdir(d)) != NULL) {
		if (is_dot(e->d_name) || unlinkat(root, e->d_name, 0) == 0)
			continue;
		*ret_again = true;
		if (unlinkat(root, e->d_name, AT_REMOVEDIR) == 0)
			continue;
		sub = openat(root, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (sub < 0) {
			err = -errno;
			continue;
		}
		err = tmp_flatten(root, sub, serial);
		if (err == 0 && unlinkat(root, e->d_name, AT_REMOVEDIR) < 0 && errno != ENOTEMPTY)
			err = -errno;
	}
	(void)closedir(d);
	return err;
}

/* almost always: two calls. What cannot be read is looked at the long way */
static bool tmp_is_empty(int dir_fd)
{
	_Alignas(struct dirent64) char
		entries[1024]; /* "." and ".." are 48 bytes, anything more is more */
	ssize_t n =
		lseek(dir_fd, 0, SEEK_SET) == 0 ? getdents64(dir_fd, entries, sizeof(entries)) : -1;
	size_t names = 0;

	for (ssize_t at = 0; at < n; names++) {
		const struct dirent64 *e = (const void *)(entries + at);

		if (!is_dot(e->d_name))
			return false;
		at += e->d_reclen;
	}
	return names == 2 && getdents64(dir_fd, entries, sizeof(entries)) == 0;
}

int scan_tmp_empty(int dir_fd)
{
	unsigned int serial = 0;
	bool again = !tmp_is_empty(dir_fd);
	int err = 0;

	while (err == 0 && again) {
		err = tmp_round(dir_fd, &serial, &again);
		if (err == 0 && serial >= TMP_ROUNDS_MAX)
			err = -GI_ELIMIT;
	}
	return err;
}
