/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * leader.c - pidfd watches on session leaders, see leader.h
 *
 * Source: pidfd_open(2), unix(7) SO_PEERPIDFD (Linux 6.5), proc(5) "/proc/pid/stat".
 */
#include "netagent/leader.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/text.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

struct na_leader {
	struct io_loop *loop;
	struct io_fd watch;
	int pidfd;
	uint64_t session;
	void (*ended)(void *arg, uint64_t session);
	void *arg;
};

int na_stat_start_time(const char *line, uint64_t *ret)
{
	/* the command's name is in parentheses and may hold any byte, also ") " */
	const char *p = strrchr(line, ')');
	char number[24];
	size_t len;

	if (!p)
		return -EPROTO;
	for (int field = 2; field < 22; field++) {
		p = strchr(p, ' ');
		if (!p)
			return -EPROTO;
		p++;
	}
	len = strcspn(p, " \n");
	if (len == 0 || len >= sizeof(number))
		return -EPROTO;
	memcpy(number, p, len);
	number[len] = '\0';
	return gi_text_u64(number, 0, UINT64_MAX, ret) < 0 ? -EPROTO : 0;
}

/*
 * All four of its uids: the owner of /proc/PID is root's also for others that cannot be dumped. One
 * pid only: who logs in to a container has the names and uids of that one, and is in its cgroups.
 */
bool na_status_may_lead(const char *status)
{
	static const char key[] = "\nNSpid:\t"; /* since Linux 4.1; here first, in its own last */
	const char *pids = strstr(status, key);

	if (!strstr(status, "\nUid:\t0\t0\t0\t0\n"))
		return false;
	if (!pids)
		return true;
	pids += strlen(key);
	return !memchr(pids, '\t', strcspn(pids, "\n"));
}

int na_leader_start_time(uint32_t pid, uint64_t *ret)
{
	char path[32], line[1024];
	ssize_t n;
	int fd, err;

	snprintf(path, sizeof(path), "/proc/%u/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	n = read(fd, line, sizeof(line) - 1);
	err = n < 0 ? -errno : 0;
	close(fd);
	if (err < 0)
		return err;
	line[n] = '\0';
	return na_stat_start_time(line, ret);
}

static int pidfd_open(uint32_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? -errno : fd;
}

/* the connection still stands, so whoever opened it has not ended: its pid is still its own */
static bool peer_is_there(int sock)
{
	struct pollfd p = { .fd = sock, .events = POLLRDHUP };

	return poll(&p, 1, 0) == 0;
}

static bool has_ended(int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	return poll(&p, 1, 0) != 0;
}

/* a descriptor of the peer's process; -ESRCH: it has ended, or nobody can tell any more */
static int peer_pidfd(int sock, uint32_t pid)
{
	socklen_t len = sizeof(int);
	int fd = -1;

	if (getsockopt(sock, SOL_SOCKET, SO_PEERPIDFD, &fd, &len) == 0)
		return fd;
	if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
		return -errno;
	if (errno != ENOPROTOOPT) /* EINVAL or ESRCH, as kernels differ: reaped */
		return -ESRCH;
	if (pid == 0)
		return -ENOTSUP;
	fd = pidfd_open(pid);
	if (fd >= 0 && !peer_is_there(sock)) {
		close(fd);
		return -ESRCH;
	}
	return fd;
}

int na_leader_of_peer(int sock, uint32_t pid, int *ret_pidfd, uint64_t *ret_start)
{
	uint64_t start = 0;
	int fd = peer_pidfd(sock, pid);

	if (fd < 0)
		return fd;
	if (pid != 0 && na_leader_start_time(pid, &start) < 0)
		start = 0;
	/* looked at last: it lived while its start time was read, so that is its own */
	if (has_ended(fd)) {
		close(fd);
		return -ESRCH;
	}
	*ret_pidfd = fd;
	*ret_start = start;
	return 0;
}

int na_leader_reopen(uint32_t pid, uint64_t start, int *ret_pidfd)
{
	uint64_t now;
	int fd = pidfd_open(pid), err;

	if (fd < 0)
		return fd;
	/* read after the descriptor is held: what we compare is what we watch, or it is dead */
	err = na_leader_start_time(pid, &now);
	if (err == 0 && now != start)
		err = -ESRCH;
	if (err < 0) {
		close(fd);
		return err;
	}
	*ret_pidfd = fd;
	return 0;
}

static void leader_cb(struct io_fd *w, unsigned int events)
{
	struct na_leader *l = w->arg;

	(void)events;
	io_fd_stop(l->loop, &l->watch);
	l->ended(l->arg, l->session); /* last: it may free l */
}

int na_leader_watch(struct io_loop *loop, int pidfd, uint64_t session,
	void (*ended)(void *, uint64_t), void *arg, struct na_leader **ret)
{
	struct na_leader *l = calloc(1, sizeof(*l));

	if (!l) {
		close(pidfd);
		return -ENOMEM;
	}
	l->loop = loop;
	l->pidfd = pidfd;
	l->session = session;
	l->ended = ended;
	l->arg = arg;
	io_fd_start(loop, &l->watch, pidfd, IO_READ, leader_cb, l);
	*ret = l;
	return 0;
}

void na_leader_free(struct na_leader *l)
{
	if (!l)
		return;
	io_fd_stop(l->loop, &l->watch);
	close(l->pidfd);
	free(l);
}
