/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * handover.c - how a new supervisor takes over, see handover.h
 *
 * take() runs in the supervisor before its loop, give() in the worker's loop. Two datagrams: the
 * groups and the table, then the listening socket and the worker's pidfd; each begins with the
 * same fixed head. Invariants: nothing is given to anybody but uid 0; descriptors of a handover
 * that failed are closed.
 */
#include "fileagent/handover.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "fileagent/rec.h"
#include "lib/io/loop.h"
#include "lib/io/sock.h"

#define HANDOVER_NOTE_MAX 32

static int handover_path(const char *run_dir, const char *name, char ret[108])
{
	int n = snprintf(ret, 108, "%s/%s", run_dir, name);

	return n < 0 || n >= 108 ? -GI_ELIMIT : 0;
}

void fa_handover_init(struct fa_handover *h)
{
	*h = (struct fa_handover){
		.perm = -1, .notify = -1, .fim = -1, .table = -1, .listen = -1, .pidfd = -1
	};
}

void fa_handover_fini(struct fa_handover *h)
{
	int *fds[] = { &h->perm, &h->notify, &h->fim, &h->table, &h->listen, &h->pidfd };

	for (size_t i = 0; i < GI_ARRAY_SIZE(fds); i++) {
		if (*fds[i] >= 0)
			(void)close(*fds[i]);
		*fds[i] = -1;
	}
}

int fa_handover_lock(const char *run_dir, int *ret_fd)
{
	char path[108];
	struct stat st;
	int err = handover_path(run_dir, "fileagent.lock", path), fd;

	if (err < 0)
		return err;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	/* the directory may be another user's: whose pid stands in there must be root's word */
	if (fstat(fd, &st) < 0)
		err = -errno;
	else if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077))
		err = -GI_EDENIED;
	else if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		err = -errno;
	if (err < 0) {
		(void)close(fd);
		return err;
	}
	*ret_fd = fd;
	return 0;
}

static int handover_endpoint(const char *run_dir, struct io_endpoint *ret)
{
	char path[108], text[120];
	int err = handover_path(run_dir, "fileagent.sock", path);

	if (err < 0)
		return err;
	(void)snprintf(text, sizeof(text), "unix:%s", path);
	err = io_endpoint_parse(text, ret);
	if (err == 0)
		ret->type = SOCK_SEQPACKET;
	return err;
}

int fa_handover_listen(const char *run_dir, int *ret_fd)
{
	struct io_endpoint e;
	int err = handover_endpoint(run_dir, &e);

	if (err < 0)
		return err;
	(void)unlink(e.u.un.sun_path);
	return io_sock_listen(&e, 0600, ret_fd);
}

/* ---- the worker's side ---- */

int fa_handover_give(const struct fa_handover *h, int *ret_sock)
{
	const int groups[] = { h->perm, h->notify, h->table, h->fim };
	struct fa_rec *r = NULL;
	struct ucred who;
	int sock = -1, rest[2] = { h->listen, -1 }, err = io_sock_accept(h->listen, &sock);

	if (err < 0)
		return err;
	err = io_sock_peer_ucred(sock, &who);
	if (err == 0 && who.uid != 0)
		err = -GI_EDENIED;
	if (err < 0)
		goto out;
	r = calloc(1, sizeof(*r));
	rest[1] = (int)syscall(SYS_pidfd_open, getpid(), 0);
	if (!r || rest[1] < 0) {
		err = r ? -errno : -ENOMEM;
		goto out;
	}
	r->op = FA_OP_START;
	r->value = h->start_bits;
	r->pid = (uint32_t)getpid();
	(void)snprintf(r->text, sizeof(r->text), "%s", h->version);
	err = fa_rec_send(sock, r, groups, 4);
	r->op = FA_OP_LISTEN;
	if (err == 0)
		err = fa_rec_send(sock, r, rest, 2);
	if (err == 0) {
		*ret_sock = sock;
		sock = -1;
	}
out:
	free(r);
	if (rest[1] >= 0)
		(void)close(rest[1]);
	if (sock >= 0)
		(void)close(sock);
	return err;
}

/* ---- the supervisor's side ---- */

/* starttime of /proc/PID/stat: with the pid it names a process; 0: gone */
static uint64_t process_start(pid_t pid)
{
	char path[64], buf[1024];
	const char *p;
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, buf, sizeof(buf) - 1);
	(void)close(fd);
	if (n <= 0)
		return 0;
	buf[n] = '\0';
	p = strrchr(buf, ')'); /* the name may hold anything */
	for (int field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	return p ? strtoull(p, NULL, 10) : 0;
}

int fa_handover_note(int lock_fd, pid_t pid)
{
	char note[HANDOVER_NOTE_MAX * 2];
	int n = 0;

	if (pid > 0)
		n = snprintf(note, sizeof(note), "%d %llu\n", (int)pid,
			(unsigned long long)process_start(pid));
	if (ftruncate(lock_fd, 0) < 0 || pwrite(lock_fd, note, (size_t)n, 0) != n)
		return errno ? -errno : -EIO;
	return 0;
}

static pid_t handover_noted(int lock_fd)
{
	char note[HANDOVER_NOTE_MAX * 2] = "", *end;
	ssize_t n = pread(lock_fd, note, sizeof(note) - 1, 0);
	long pid;

	if (n <= 0)
		return 0;
	note[n] = '\0';
	pid = strtol(note, &end, 10);
	if (pid <= 1 || pid > INT32_MAX || *end != ' ')
		return 0;
	return process_start((pid_t)pid) == strtoull(end, NULL, 10) ? (pid_t)pid : 0;
}

static int handover_wait(int sock, uint64_t until_ms)
{
	struct pollfd p = { .fd = sock, .events = POLLIN };
	uint64_t now = io_clock_mono_ms();
	int n = now < until_ms ? poll(&p, 1, (int)(until_ms - now)) : 0;

	return n < 0 ? -errno : n == 0 ? -ETIMEDOUT : 0;
}

static int handover_recv(int sock, uint64_t until_ms, uint32_t op, size_t want, struct fa_rec *r,
	int fds[FA_REC_FDS_MAX])
{
	size_t n = 0;
	int err;

	do {
		err = handover_wait(sock, until_ms);
		if (err == 0)
			err = fa_rec_recv(sock, FA_SUPERVISOR, r, fds, &n);
	} while (err == -EAGAIN || err == -EINTR);
	if (err < 0)
		return err == -GI_ECLOSED || err == -ECONNRESET ? -GI_ENOTFOUND : err;
	if (r->op == op && n == want)
		return 0;
	for (size_t i = 0; i < n; i++)
		(void)close(fds[i]);
	return -GI_EPROTO;
}

static int handover_connect(const char *run_dir, int *ret_sock)
{
	struct io_endpoint e;
	struct ucred who;
	int sock = -1, err = handover_endpoint(run_dir, &e);

	if (err < 0)
		return err;
	err = io_sock_connect(&e, &sock);
	if (err < 0)
		return err == -ENOENT || err == -ECONNREFUSED ? -GI_ENOTFOUND : err;
	err = io_sock_peer_ucred(sock, &who); /* of whoever called listen(2) */
	if (err == 0 && who.uid != 0)
		err = -GI_EDENIED;
	if (err < 0) {
		(void)close(sock);
		return err;
	}
	*ret_sock = sock;
	return 0;
}

static int take_from(int sock, uint64_t until, struct fa_handover *h)
{
	struct fa_rec *r = calloc(1, sizeof(*r));
	int fds[FA_REC_FDS_MAX], err;

	if (!r)
		return -ENOMEM;
	err = handover_recv(sock, until, FA_OP_START, 4, r, fds);
	if (err == 0) {
		h->perm = fds[0];
		h->notify = fds[1];
		h->table = fds[2];
		h->fim = fds[3];
		h->start_bits = (uint32_t)r->value;
		h->worker = (pid_t)r->pid;
		(void)snprintf(h->version, sizeof(h->version), "%.64s", r->text);
		err = handover_recv(sock, until, FA_OP_LISTEN, 2, r, fds);
	}
	if (err == 0) {
		h->listen = fds[0];
		h->pidfd = fds[1];
	}
	free(r);
	return err;
}

int fa_handover_take(const char *run_dir, int lock_fd, uint64_t timeout_ms, int *ret_sock,
	struct fa_handover *ret)
{
	uint64_t until = io_clock_mono_ms() + timeout_ms;
	pid_t noted = handover_noted(lock_fd);
	struct fa_handover h;
	int sock = -1, err = handover_connect(run_dir, &sock);

	fa_handover_init(&h);
	if (noted)
		(void)kill(noted, SIGCONT);
	if (err == 0)
		err = take_from(sock, until, &h);
	if (err == 0) {
		*ret = h;
		*ret_sock = sock;
		return 0;
	}
	fa_handover_fini(&h);
	if (sock >= 0)
		(void)close(sock);
	/* two agents would ask for each open twice, one of them with nobody behind it */
	if (noted)
		(void)kill(noted, SIGKILL);
	return err;
}
