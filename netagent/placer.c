/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * placer.c - gi-netagent --placer: puts sessions' leaders into cgroups, removes the empty ones
 *
 * uid 0 without any capability (the cgroup file system asks for the owner, no more),
 * no_new_privs, a seccomp filter. It reads no text but its configuration and the kernel's: a
 * request is a record of one shape and a pidfd (place.h). <root>/idfw/s<session> is the session's
 * cgroup; nothing else is touched.
 * Invariants: a process is moved only while its pidfd says that it lives; a cgroup of ours that is
 * empty goes at once (inotify on its cgroup.events), at the latest with the next sweep; at most
 * CGROUPS_MAX of them.
 * Source: cgroups(7), pidfd_open(2), inotify(7), ADR 0014.
 */
#include "netagent/placer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uthash.h>

#include "lib/base/log.h"
#include "lib/base/text.h"
#include "lib/io/loop.h"
#include "lib/io/priv.h"
#include "netagent/cgroup.h"
#include "netagent/fdpass.h"
#include "netagent/place.h"
#include "netagent/session.h"

#define CGROUPS_MAX (2 * NA_SESSIONS_MAX) /* those that live, and those with something left in */
#define SWEEP_MS 60000
#define READY_EVERY_MS 2 /* below the shortest grace period, HZ being what it is */
#define DEPTH_MAX 8	 /* of cgroups that somebody made in one of ours */

struct watched { /* a cgroup of ours that is there */
	int wd;
	uint64_t session;
	UT_hash_handle hh;
};

struct placer {
	int fd;	     /* the parsing process */
	int dir;     /* <root>/idfw; -1: there are no cgroups */
	int inotify; /* -1: only the sweep removes */
	struct watched *watched;
	uint64_t swept_ms;
	uint64_t soon_until_ms; /* a login may come before; 0: not that we knew */
	int own;		/* cgroup.procs of our own cgroup, while a login may come, or -1 */
	char base[NA_CGROUP_ROOT_MAX]; /* where cgroup v2 is mounted */
	unsigned int count;
	char root[NA_CGROUP_PATH_MAX];
};

/* ---- removing ---- */

static int remove_tree(int dir, const char *name, unsigned int depth);

static void remove_children(int fd, unsigned int depth)
{
	DIR *d = fdopendir(fd);
	const struct dirent *e;

	if (!d) {
		close(fd);
		return;
	}
	while ((e = readdir(d))) {
		if (e->d_type == DT_DIR && strcmp(e->d_name, ".") != 0 &&
			strcmp(e->d_name, "..") != 0)
			(void)!remove_tree(dirfd(d), e->d_name, depth + 1);
	}
	closedir(d);
}

/* an empty one; -EBUSY: processes are in it */
static int remove_tree(int dir, const char *name, unsigned int depth)
{
	int fd;

	if (unlinkat(dir, name, AT_REMOVEDIR) == 0)
		return 0;
	if (errno != EBUSY || depth >= DEPTH_MAX)
		return -errno;
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	remove_children(fd, depth);
	return unlinkat(dir, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

/* 0: not one of ours */
static uint64_t session_of(const char *name)
{
	uint64_t id;

	return name[0] == 's' && gi_text_u64(name + 1, 1, UINT64_MAX, &id) == 0 ? id : 0;
}

static void watch(struct placer *p, uint64_t session)
{
	char path[NA_CGROUP_PATH_MAX + 48];
	struct watched *w, *old;
	int wd = -1;

	snprintf(path, sizeof(path), "%s/s%" PRIu64 "/cgroup.events", p->root, session);
	if (p->inotify >= 0)
		wd = inotify_add_watch(p->inotify, path, IN_MODIFY);
	if (wd < 0) {
		gi_debug("%s is not watched: %s", path, strerror(errno));
		return;
	}
	HASH_FIND_INT(p->watched, &wd, old);
	w = old ? NULL : calloc(1, sizeof(*w));
	if (!w)
		return;
	w->wd = wd;
	w->session = session;
	HASH_ADD_INT(p->watched, wd, w);
}

static int remove_session(struct placer *p, uint64_t session)
{
	char name[24];
	int err;

	snprintf(name, sizeof(name), "s%" PRIu64, session);
	err = remove_tree(p->dir, name, 0);
	if (err == 0 && p->count)
		p->count--;
	return err;
}

/* all that are empty go; @first: what stays is watched from now on */
static void sweep(struct placer *p, bool first)
{
	int fd = p->dir < 0 ? -1 : openat(p->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;
	unsigned int left = 0;

	p->swept_ms = io_clock_mono_ms();
	if (!d) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((e = readdir(d))) {
		uint64_t session = e->d_type == DT_DIR ? session_of(e->d_name) : 0;

		if (!session || remove_tree(p->dir, e->d_name, 0) == 0)
			continue;
		left++;
		if (first)
			watch(p, session);
	}
	closedir(d);
	p->count = left;
}

static void watch_event(struct placer *p, const struct inotify_event *ev)
{
	struct watched *w;

	HASH_FIND_INT(p->watched, &ev->wd, w);
	if (!w)
		return;
	if (!(ev->mask & IN_IGNORED)) { /* somebody came, or the last one went */
		(void)!remove_session(p, w->session);
		return;
	}
	HASH_DEL(p->watched, w);
	free(w);
}

static void emptied(struct placer *p)
{
	char buf[4096] __attribute__((aligned(8)));
	ssize_t n;

	while ((n = read(p->inotify, buf, sizeof(buf))) > 0) {
		for (ssize_t at = 0; at < n;) {
			const struct inotify_event *ev = (const void *)(buf + at);

			watch_event(p, ev);
			at += (ssize_t)(sizeof(*ev) + ev->len);
		}
	}
}

/* ---- placing ---- */

static bool lives(int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	return poll(&p, 1, 0) == 0;
}

/* its pid as we see it; -ESRCH: it has ended; -EBADF: that is no pidfd */
static int pid_of(int pidfd, char pid[24])
{
	char path[40], text[1024], *p;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return -EBADF;
	text[n] = '\0';
	p = strstr(text, "\nPid:\t");
	if (!p)
		return -EBADF;
	p += strlen("\nPid:\t");
	if (*p == '-' || *p == '0') /* -1: reaped; 0: of a namespace that we do not see */
		return -ESRCH;
	snprintf(pid, 24, "%.*s", (int)strcspn(p, "\n"), p);
	return strcmp(pid, "1") == 0 ? -EPERM : 0;
}

static int write_pid(int cgroup, const char *pid)
{
	int fd = openat(cgroup, "cgroup.procs", O_WRONLY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, pid, strlen(pid)) < 0)
		err = -errno;
	close(fd);
	return err;
}

/* while it lives before and after, the pid was its own in between */
static int move(int cgroup, int pidfd)
{
	char pid[24];
	int err = pid_of(pidfd, pid);

	if (err == 0 && !lives(pidfd))
		err = -ESRCH;
	if (err == 0)
		err = write_pid(cgroup, pid);
	if (err == 0 && !lives(pidfd))
		err = -ESRCH;
	return err;
}

static int make(struct placer *p, const char *name, int *ret_fd)
{
	if (p->dir < 0)
		return -ENODEV;
	if (p->count >= CGROUPS_MAX) {
		sweep(p, false);
		if (p->count >= CGROUPS_MAX)
			return -GI_ELIMIT;
	}
	if (mkdirat(p->dir, name, 0755) == 0)
		p->count++;
	else if (errno != EEXIST)
		return -errno;
	*ret_fd = openat(p->dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return *ret_fd < 0 ? -errno : 0;
}

static int place(struct placer *p, uint64_t session, int pidfd, uint64_t *ret_cgroup)
{
	char name[24];
	struct stat st;
	int fd = -1, err;

	if (session == 0)
		return -EINVAL;
	snprintf(name, sizeof(name), "s%" PRIu64, session);
	err = make(p, name, &fd);
	if (err < 0)
		return err;
	err = fstat(fd, &st) < 0 ? -errno : 0;
	if (err == 0)
		err = move(fd, pidfd);
	close(fd);
	if (err < 0) {
		(void)!remove_session(p, session);
		return err;
	}
	watch(p, session);
	*ret_cgroup = st.st_ino;
	return 0;
}

/* ---- ready for a login ---- */

/*
 * Who moves a process waits for an RCU grace period, but not for one after somebody else did. To
 * put ourselves where we are moves nothing and counts: it is done while a login is on its way
 * (its password is checked meanwhile), and then as often as it takes to keep it so.
 */
static void ready_end(struct placer *p)
{
	if (p->own >= 0)
		close(p->own);
	p->own = -1;
	p->soon_until_ms = 0;
}

static void ready_begin(struct placer *p)
{
	char path[NA_CGROUP_PATH_MAX], file[NA_CGROUP_ROOT_MAX + NA_CGROUP_PATH_MAX + 16];

	p->soon_until_ms = io_clock_mono_ms() + NA_PLACE_SOON_MS;
	if (p->own >= 0 || na_cgroup_of((uint32_t)getpid(), path) < 0)
		return;
	snprintf(file, sizeof(file), "%s%s/cgroup.procs", p->base, path);
	p->own = open(file, O_WRONLY | O_CLOEXEC);
	gi_debug("a login may come: ready for it%s", p->own < 0 ? ", but it will wait" : "");
}

static void ready_keep(struct placer *p)
{
	if (p->own < 0)
		return;
	if (io_clock_mono_ms() >= p->soon_until_ms || write(p->own, "0", 1) < 0)
		ready_end(p);
}

/* ---- the parsing process ---- */

static int reply(struct placer *p, uint32_t type, uint64_t session, int err, uint64_t cgroup)
{
	struct na_place_rec r = { .type = type, .err = err, .session = session, .cgroup = cgroup };
	struct pollfd wait = { .fd = p->fd, .events = POLLOUT };

	while (send(p->fd, &r, sizeof(r), MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
		if (errno == EAGAIN)
			(void)poll(&wait, 1, -1);
		else if (errno != EINTR)
			return -errno;
	}
	return 0;
}

/* < 0: end */
static int request(struct placer *p)
{
	struct na_place_rec r;
	uint64_t cgroup = 0;
	int pidfd, err = na_fd_recv_any(p->fd, &r, sizeof(r), &pidfd);

	if (err < 0)
		return err == -EAGAIN ? 0 : err;
	if (r.type == NA_PLACE_SOON && pidfd < 0) {
		ready_begin(p);
		return 0;
	}
	if (r.type != NA_PLACE_MOVE || pidfd < 0) {
		if (pidfd >= 0)
			close(pidfd);
		return -GI_EPROTO;
	}
	err = place(p, r.session, pidfd, &cgroup);
	close(pidfd);
	if (err < 0)
		gi_debug("session %" PRIu64 " gets no cgroup: %s", r.session, gi_strerror(err));
	return reply(p, NA_PLACE_DONE, r.session, err, cgroup);
}

static int serve(struct placer *p)
{
	int err = 0;

	while (err == 0) {
		struct pollfd f[2] = { { .fd = p->fd, .events = POLLIN },
			{ .fd = p->inotify, .events = POLLIN } };
		int n = poll(f, 2, p->own >= 0 ? READY_EVERY_MS : SWEEP_MS);

		if (io_clock_mono_ms() - p->swept_ms > SWEEP_MS)
			sweep(p, false);
		if (n > 0 && f[0].revents) /* a login first */
			err = request(p);
		if (n > 0 && f[1].revents)
			emptied(p);
		ready_keep(p);
	}
	return err;
}

static int open_dir(struct placer *p, const struct na_conf *conf)
{
	struct na_cgroup_root r;
	char ours[NA_CGROUP_PATH_MAX];
	int err = na_cgroup_root_find(na_conf_cgroup_root(conf), &r);

	if (err < 0)
		return err;
	na_cgroup_ours(&r, 0, ours);
	snprintf(p->base, sizeof(p->base), "%s", r.mount);
	if ((size_t)snprintf(p->root, sizeof(p->root), "%s%s", r.mount, ours) >= sizeof(p->root))
		return -ENAMETOOLONG;
	if (mkdir(p->root, 0755) < 0 && errno != EEXIST)
		return -errno;
	p->dir = open(p->root, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (p->dir < 0)
		return -errno;
	return faccessat(p->dir, "cgroup.procs", W_OK, AT_EACCESS) < 0 ? -errno : 0;
}

int na_placer_run(const struct na_conf *conf, int fd)
{
	struct placer p = { .fd = fd, .dir = -1, .inotify = -1, .own = -1 };
	int err = io_priv_drop(NULL, 0);

	if (err == 0)
		err = io_priv_seccomp_parser();
	if (err < 0) {
		gi_err("placer: privileges cannot be dropped: %s", gi_strerror(err));
		return 1;
	}
	err = open_dir(&p, conf);
	if (err < 0) {
		if (p.dir >= 0)
			close(p.dir);
		p.dir = -1;
	}
	p.inotify = p.dir < 0 ? -1 : inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	sweep(&p, true);
	err = reply(&p, NA_PLACE_READY, 0, err, 0);
	if (err == 0)
		err = serve(&p);
	return err == -GI_ECLOSED || err == -ECONNRESET || err == -EPIPE ? 0 : 1;
}
