/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * dir.c - directories made and given away without following anybody's links, see dir.h
 *
 * Invariants: each part is opened from the descriptor of the one above it; what is given away is
 * the descriptor that was looked at, never a path. Source: symlink(7), path_resolution(7).
 */
#include "lib/io/dir.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_ours(uid_t uid)
{
	return uid == 0 || uid == geteuid();
}

/* could only root, or we, have put @link into the directory? */
static bool is_trusted(int dir, const struct stat *link)
{
	struct stat st;

	if (fstat(dir, &st) < 0 || !is_ours(st.st_uid))
		return false;
	return !(st.st_mode & 022) || ((st.st_mode & S_ISVTX) && is_ours(link->st_uid));
}

static int part_open(int dir, const char *name, int flags)
{
	int fd = openat(dir, name, flags | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* the directory @name in @dir, made if it is not there */
static int part_get(int dir, const char *name, mode_t mode)
{
	int fd = part_open(dir, name, O_PATH | O_NOFOLLOW);
	struct stat st;
	bool follow;

	if (fd == -ENOENT) {
		if (mkdirat(dir, name, mode) < 0 && errno != EEXIST)
			return -errno;
		fd = part_open(dir, name, O_PATH | O_NOFOLLOW);
	}
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0) {
		int err = -errno;

		close(fd);
		return err;
	}
	if (S_ISDIR(st.st_mode))
		return fd;
	follow = S_ISLNK(st.st_mode) && is_trusted(dir, &st);
	close(fd);
	if (follow)
		return part_open(dir, name, O_PATH | O_DIRECTORY);
	return S_ISLNK(st.st_mode) ? -ELOOP : -ENOTDIR;
}

static int give(int path_fd, uid_t uid, gid_t gid)
{
	int fd = part_open(path_fd, ".", O_RDONLY | O_DIRECTORY), err = 0;
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		err = -errno;
	else if (!is_ours(st.st_uid) && st.st_uid != uid)
		err = -GI_EDENIED;
	else if ((st.st_uid != uid || st.st_gid != gid) && fchown(fd, uid, gid) < 0)
		err = -errno;
	close(fd);
	return err;
}

int io_dir_make(const char *path, mode_t mode, uid_t uid, gid_t gid)
{
	int fd = part_open(AT_FDCWD, *path == '/' ? "/" : ".", O_PATH | O_DIRECTORY), err = 0;

	while (fd >= 0 && err == 0) {
		char name[NAME_MAX + 1];
		size_t len;
		int next;

		path += strspn(path, "/");
		len = strcspn(path, "/");
		if (len == 0)
			break;
		if (len > NAME_MAX || (len == 2 && memcmp(path, "..", 2) == 0)) {
			err = len > NAME_MAX ? -ENAMETOOLONG : -EINVAL;
			break;
		}
		memcpy(name, path, len);
		name[len] = '\0';
		path += len;
		next = part_get(fd, name, path[strspn(path, "/")] ? 0755 : mode);
		close(fd);
		fd = next;
	}
	if (fd < 0)
		return fd;
	if (err == 0 && uid != IO_DIR_KEEP)
		err = give(fd, uid, gid);
	close(fd);
	return err;
}
