/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * act.c - what is done to a file: delete, replace, open; see act.h
 *
 * Supervisor, thread of ops.c. Users own the directories that this walks: every step is made on a
 * descriptor and checked behind. Invariant: no name is removed or replaced that did not lead to
 * the judged inode a moment ago; openat2(2) never follows a link that somebody put there.
 */
#include "fileagent/act.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "fileagent/mounts.h"

#define PLACE_TRIES 4
#define XATTR_NAMES_MAX (64u << 10)
#define XATTR_VALUE_MAX (64u << 10)

static int act_openat2(int dir, const char *path, uint64_t flags)
{
	struct open_how how = { .flags = flags | O_CLOEXEC,
		.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };
	long fd = syscall(SYS_openat2, dir, path, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

static uint64_t stx_ns(const struct statx_timestamp *t)
{
	return (uint64_t)t->tv_sec * 1000000000u + t->tv_nsec;
}

static int ident_at(int dir, const char *name, int flags, struct fa_ident *ret)
{
	struct statx s;

	if (statx(dir, name, flags | AT_NO_AUTOMOUNT, STATX_BASIC_STATS | STATX_BTIME, &s) < 0)
		return -errno;
	*ret = (struct fa_ident){ .dev = makedev(s.stx_dev_major, s.stx_dev_minor),
		.ino = s.stx_ino,
		.size = s.stx_size,
		.mtime_ns = stx_ns(&s.stx_mtime),
		.ctime_ns = stx_ns(&s.stx_ctime),
		.btime_ns = s.stx_mask & STATX_BTIME ? stx_ns(&s.stx_btime) : 0 };
	return 0;
}

int fa_ident_of(int fd, struct fa_ident *ret)
{
	return ident_at(fd, "", AT_EMPTY_PATH, ret);
}

bool fa_ident_same(const struct fa_ident *a, const struct fa_ident *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns &&
	       a->btime_ns == b->btime_ns;
}

static int act_check(int fd, const struct fa_ident *was)
{
	struct fa_ident now;
	int err = fa_ident_of(fd, &now);

	return err < 0 ? err : fa_ident_same(&now, was) ? 0 : -ESTALE;
}

/* ---- where is its name ---- */

static int fd_path(int fd, char *ret, size_t size)
{
	char link[40];
	ssize_t n;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, ret, size);
	if (n < 0)
		return -errno;
	if ((size_t)n >= size)
		return -ENAMETOOLONG;
	ret[n] = '\0';
	return 0;
}

/* the same inode, seen through a mount of ours: O_PATH, owned */
static int fd_ours(const struct fa_mounts *mounts, int fd)
{
	union {
		struct file_handle h;
		uint8_t room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} u = { .h = { .handle_bytes = MAX_HANDLE_SZ } };
	const struct fa_mount *m;
	struct stat st;
	int id, top, ret;

	if (fstat(fd, &st) < 0 || name_to_handle_at(fd, "", &u.h, &id, AT_EMPTY_PATH) < 0)
		return -errno;
	m = fa_mounts_by_dev(mounts, st.st_dev);
	if (!m)
		return -EXDEV;
	top = open(m->point, O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* directories: no event */
	if (top < 0)
		return -errno;
	ret = open_by_handle_at(top, &u.h, O_PATH | O_CLOEXEC);
	if (ret < 0)
		ret = -errno;
	(void)close(top);
	return ret;
}

/* *ret_fd: -1 when @fd itself is on a mount of ours, else owned */
static int fd_on_our_mount(int fd, int *ret_fd)
{
	struct fa_mounts mounts;
	struct statx stx;
	int err;

	*ret_fd = -1;
	if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &stx) < 0)
		return -errno;
	err = fa_mounts_read("/proc/self/mountinfo", &mounts);
	if (err < 0)
		return err;
	if (!fa_mounts_by_id(&mounts, stx.stx_mnt_id)) {
		*ret_fd = fd_ours(&mounts, fd);
		err = *ret_fd < 0 ? *ret_fd : 0;
	}
	fa_mounts_fini(&mounts);
	return err;
}

static bool name_leads_to(int dir, const char *name, const struct stat *want)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_dev == want->st_dev &&
	       st.st_ino == want->st_ino;
}

static int place_try(int fd, const struct stat *st, struct fa_place *p)
{
	char *slash;
	int err = fd_path(fd, p->path, sizeof(p->path));

	if (err < 0)
		return err;
	slash = strrchr(p->path, '/');
	if (p->path[0] != '/' || !slash || strlen(slash + 1) >= sizeof(p->name))
		return -ENOENT;
	(void)snprintf(p->name, sizeof(p->name), "%s", slash + 1);
	*slash = '\0';
	p->dir = act_openat2(AT_FDCWD, slash == p->path ? "/" : p->path, O_PATH | O_DIRECTORY);
	*slash = '/';
	if (p->dir < 0)
		return p->dir;
	if (name_leads_to(p->dir, p->name, st))
		return 0;
	(void)close(p->dir);
	p->dir = -1;
	return -ESTALE;
}

int fa_place_find(int fd, struct fa_place *ret)
{
	struct stat st;
	int ours = -1, err = fstat(fd, &st) < 0 ? -errno : 0;

	ret->dir = -1;
	if (err == 0 && st.st_nlink == 0)
		return -ENOENT;
	if (err == 0)
		err = fd_on_our_mount(fd, &ours);
	if (err < 0)
		return err;
	for (int i = 0; i < PLACE_TRIES; i++) { /* it may be renamed just now */
		err = place_try(ours >= 0 ? ours : fd, &st, ret);
		if (err != -ESTALE && err != -ENOENT && err != -ELOOP && err != -ENOTDIR)
			break;
	}
	if (ours >= 0)
		(void)close(ours);
	return err;
}

void fa_place_fini(struct fa_place *p)
{
	if (p->dir >= 0)
		(void)close(p->dir);
	p->dir = -1;
}

int fa_place_unlink(const struct fa_place *p, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!name_leads_to(p->dir, p->name, &st))
		return -ESTALE;
	return unlinkat(p->dir, p->name, 0) < 0 ? -errno : 0;
}

int fa_act_delete(int fd, const struct fa_ident *was, char ret_text[FA_ACT_TEXT])
{
	struct fa_place p = { .dir = -1 };
	struct stat st;
	int err = act_check(fd, was);

	if (err == 0)
		err = fa_place_find(fd, &p);
	if (err == -ENOENT && fstat(fd, &st) == 0 && st.st_nlink == 0) {
		(void)snprintf(ret_text, FA_ACT_TEXT, "it has no name any more");
		return 0;
	}
	if (err == 0)
		err = fa_place_unlink(&p, fd);
	if (err == 0 && fstat(fd, &st) == 0 && st.st_nlink > 0)
		(void)snprintf(ret_text, FA_ACT_TEXT,
			"deleted; %lu other names (hard links) are left, denied at each open",
			(unsigned long)st.st_nlink);
	else
		(void)snprintf(ret_text, FA_ACT_TEXT, "%s", err ? gi_strerror(err) : "deleted");
	fa_place_fini(&p);
	return err;
}

/* ---- new content ---- */

int fa_act_tmp(int fd, const struct fa_ident *was, int *ret_fd)
{
	struct fa_place p = { .dir = -1 };
	int tmp, err = act_check(fd, was);

	if (err == 0)
		err = fa_place_find(fd, &p);
	if (err < 0)
		return err;
	tmp = openat(p.dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	err = tmp < 0 ? -errno : 0;
	fa_place_fini(&p);
	if (err == 0)
		*ret_fd = tmp;
	return err;
}

static int copy_xattrs(int from, int to)
{
	char *names = malloc(XATTR_NAMES_MAX), *value = malloc(XATTR_VALUE_MAX);
	ssize_t n = names && value ? flistxattr(from, names, XATTR_NAMES_MAX) : 0, len;
	int err = !names || !value ? -ENOMEM : n < 0 && errno != EOPNOTSUPP ? -errno : 0;

	for (ssize_t i = 0; err == 0 && i < n; i += (ssize_t)strlen(names + i) + 1) {
		len = fgetxattr(from, names + i, value, XATTR_VALUE_MAX);
		if (len < 0)
			err = errno == ENODATA ? 0 : -errno;
		else if (fsetxattr(to, names + i, value, (size_t)len, 0) < 0)
			err = -errno;
	}
	free(names);
	free(value);
	return err;
}

static int copy_attributes(int from, int to)
{
	struct stat st;
	int err;

	if (fstat(from, &st) < 0 || fchown(to, st.st_uid, st.st_gid) < 0)
		return -errno;
	err = copy_xattrs(from, to);
	/* after the owner, who would lose setuid by it; after the ACL, whose mask it is */
	if (err == 0 && fchmod(to, st.st_mode & 07777) < 0)
		err = -errno;
	return err;
}

static int swap_in(const struct fa_place *p, int fd, int tmp)
{
	char name[40];
	uint64_t rnd;
	struct stat st;
	int err = 0;

	if (fstat(fd, &st) < 0 || getrandom(&rnd, sizeof(rnd), 0) != sizeof(rnd))
		return -errno;
	(void)snprintf(name, sizeof(name), ".idfw-%016llx", (unsigned long long)rnd);
	if (linkat(tmp, "", p->dir, name, AT_EMPTY_PATH) < 0)
		return -errno;
	if (renameat2(p->dir, name, p->dir, p->name, RENAME_EXCHANGE) < 0) {
		err = -errno;
	} else if (!name_leads_to(p->dir, name, &st)) { /* somebody was faster: undo */
		err = renameat2(p->dir, name, p->dir, p->name, RENAME_EXCHANGE) < 0 ? -errno
										    : -ESTALE;
	}
	if (unlinkat(p->dir, name, 0) < 0 && err == 0)
		err = -errno;
	return err;
}

int fa_act_replace(int fd, int tmp, const struct fa_ident *was, char ret_text[FA_ACT_TEXT])
{
	struct fa_place p = { .dir = -1 };
	struct stat a, b;
	int err = act_check(fd, was);

	if (err == 0 && (fstat(fd, &a) < 0 || fstat(tmp, &b) < 0))
		err = -errno;
	/* only what fa_act_tmp() made: nameless, on the same file system */
	if (err == 0 && (a.st_dev != b.st_dev || b.st_nlink != 0 || !S_ISREG(b.st_mode)))
		err = -EINVAL;
	if (err == 0)
		err = fa_place_find(fd, &p);
	if (err == 0)
		err = copy_attributes(fd, tmp);
	if (err == 0 && fsync(tmp) < 0)
		err = -errno;
	if (err == 0)
		err = act_check(fd, was);
	if (err == 0)
		err = swap_in(&p, fd, tmp);
	(void)snprintf(ret_text, FA_ACT_TEXT, "%s", err ? gi_strerror(err) : "replaced");
	fa_place_fini(&p);
	return err;
}

/* ---- opening ---- */

/* @fd: O_PATH, takes; the kind is known before anything is opened: devices do things on open */
static int open_known(int fd, int *ret_fd)
{
	char link[40];
	struct stat st;
	int opened = -1, err = fstat(fd, &st) < 0 ? -errno : 0;

	if (err == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		err = -EINVAL;
	if (err == 0) {
		(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		opened = open(link, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		if (opened < 0)
			err = -errno;
	}
	(void)close(fd);
	if (err == 0)
		*ret_fd = opened;
	return err;
}

int fa_act_open(const char *path, int *ret_fd)
{
	int fd = act_openat2(AT_FDCWD, path, O_PATH);

	return fd < 0 ? fd : open_known(fd, ret_fd);
}

int fa_act_open_at(int dir, const char *name, int *ret_fd)
{
	int fd = act_openat2(dir, name, O_PATH | O_NOFOLLOW);

	return fd < 0 ? fd : open_known(fd, ret_fd);
}

int fa_act_who(uint32_t pid, char *ret_path, size_t size, struct fa_ident *ret, bool *ret_real)
{
	char link[40];
	struct fa_ident there;
	ssize_t n;
	int err;

	(void)snprintf(link, sizeof(link), "/proc/%u/exe", pid);
	n = readlink(link, ret_path, size);
	if (n < 0)
		return -errno;
	if ((size_t)n >= size)
		return -ENAMETOOLONG;
	ret_path[n] = '\0';
	err = ident_at(AT_FDCWD, link, 0, ret);
	if (err == 0)
		*ret_real = ident_at(AT_FDCWD, ret_path, 0, &there) == 0 && there.dev == ret->dev &&
			    there.ino == ret->ino;
	return err;
}
