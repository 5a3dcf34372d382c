/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * act_handle.c - from a directory's handle to its path, see act_handle.h
 */
#include "fileagent/act_handle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#define HANDLE_MAX 128 /* MAX_HANDLE_SZ */

struct parsed {
	uint64_t fsid;
	union {
		struct file_handle h;
		uint8_t bytes[sizeof(struct file_handle) + HANDLE_MAX];
	} u;
};

static int digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *d = c ? strchr(digits, c) : NULL;

	return d ? (int)(d - digits) : -1;
}

static int parse(const char *text, size_t len, struct parsed *ret)
{
	uint8_t raw[sizeof(uint64_t) + sizeof(ret->u)];
	size_t n = len / 2;

	if (len % 2 || n < sizeof(ret->fsid) + sizeof(ret->u.h) || n > sizeof(raw))
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		int hi = digit(text[2 * i]), lo = digit(text[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return -EINVAL;
		raw[i] = (uint8_t)(hi << 4 | lo);
	}
	memcpy(&ret->fsid, raw, sizeof(ret->fsid));
	memcpy(ret->u.bytes, raw + sizeof(ret->fsid), n - sizeof(ret->fsid));
	if (ret->u.h.handle_bytes != n - sizeof(ret->fsid) - sizeof(ret->u.h))
		return -EINVAL;
	return 0;
}

/*
 * The nearest directory of @path: it may be a file, or not exist yet. Not O_PATH, which
 * open_by_handle_at(2) does not take; a directory's open is no event of any group.
 */
static int open_nearest(const char *path)
{
	char part[FA_REC_PATH_MAX + 1], *slash;
	int fd = -1;

	if (snprintf(part, sizeof(part), "%s", path) >= (int)sizeof(part))
		return -ENAMETOOLONG;
	while ((fd = open(part, O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC)) < 0 &&
		(errno == ENOENT || errno == ENOTDIR)) {
		slash = strrchr(part, '/');
		if (!slash || slash == part)
			return -ENOENT;
		*slash = '\0';
	}
	return fd < 0 ? -errno : fd;
}

int fa_handle_fs(const struct fa_conf *c, const char *text, size_t len, int *ret_fd)
{
	struct parsed p;
	int err = parse(text, len, &p);

	if (err < 0)
		return err;
	for (size_t i = 0; i < c->fims.n; i++) {
		const struct conf_list *paths = &fa_conf_fim(c, i)->paths;

		for (size_t k = 0; k < paths->n; k++) {
			int fd = open_nearest(paths->items[k]);
			struct statfs fs;

			if (fd < 0)
				continue;
			if (fstatfs(fd, &fs) == 0 &&
				memcmp(&fs.f_fsid, &p.fsid, sizeof(p.fsid)) == 0) {
				*ret_fd = fd;
				return 0;
			}
			close(fd);
		}
	}
	return -ENOENT;
}

/* what the kernel calls a path may be one in a mount that is not ours, or is covered by another */
static int path_check(const char *path, const struct stat *want)
{
	struct stat st;

	if (path[0] != '/' || lstat(path, &st) < 0 || st.st_ino != want->st_ino ||
		st.st_dev != want->st_dev)
		return -ENOENT;
	return 0;
}

int fa_handle_path(int fs, const char *text, size_t len, char ret_path[FA_REC_PATH_MAX + 1])
{
	char link[40], path[FA_REC_PATH_MAX + 1];
	struct parsed p;
	struct stat st;
	ssize_t n = -1;
	int err = parse(text, len, &p), fd;

	if (err < 0)
		return err;
	fd = open_by_handle_at(fs, &p.u.h, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (fstat(fd, &st) == 0)
		n = readlink(link, path, sizeof(path));
	err = n < 0 ? -errno : 0;
	close(fd);
	if (err < 0)
		return err;
	if ((size_t)n >= sizeof(path))
		return -ENAMETOOLONG;
	path[n] = '\0';
	err = path_check(path, &st);
	if (err == 0)
		memcpy(ret_path, path, (size_t)n + 1);
	return err;
}
