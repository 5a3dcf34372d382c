/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * drillproc.c - a drill's driver as processes (drillproc.h)
 */
#include "config.h"

#include "idfwctl/drillproc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "lib/io/loop.h"

#define LINE_MAX_LEN 65536

extern char **environ;

static void fd_close(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

static int spawn(pid_t *pid, char *const argv[], int in, int out)
{
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	sigset_t all, none;
	int err;

	(void)sigfillset(&all);
	(void)sigemptyset(&none);
	err = posix_spawn_file_actions_init(&fa);
	if (err)
		return -err;
	err = posix_spawnattr_init(&attr);
	if (err)
		goto out;
	err = posix_spawn_file_actions_adddup2(&fa, in, STDIN_FILENO);
	if (!err)
		err = posix_spawn_file_actions_adddup2(&fa, out, STDOUT_FILENO);
	if (!err)
		err = posix_spawnattr_setpgroup(&attr, 0);
	if (!err)
		err = posix_spawnattr_setsigdefault(&attr, &all);
	if (!err)
		err = posix_spawnattr_setsigmask(&attr, &none);
	if (!err)
		err = posix_spawnattr_setflags(&attr,
			POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
	if (!err)
		err = posix_spawnp(pid, argv[0], &fa, &attr, argv, environ);
	(void)posix_spawnattr_destroy(&attr);
out:
	(void)posix_spawn_file_actions_destroy(&fa);
	return -err;
}

int drill_proc_start(struct drill_proc *p, char *const argv[],
	int (*line)(void *arg, const char *line, uint64_t now), void *arg)
{
	int in[2] = { -1, -1 }, out[2] = { -1, -1 }, err = 0;

	*p = (struct drill_proc){ .pidfd = -1, .in = -1, .out = -1, .line = line, .arg = arg };
	gi_buf_init(&p->text, LINE_MAX_LEN);
	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
		err = -errno;
	if (!err)
		err = spawn(&p->pid, argv, in[0], out[1]);
	if (!err)
		p->pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
	if (!err && p->pidfd < 0)
		err = -errno;
	fd_close(&in[0]);
	fd_close(&out[1]);
	p->in = in[1];
	p->out = out[0];
	if (err)
		drill_proc_kill(p);
	return err;
}

void drill_proc_close(struct drill_proc *p)
{
	if (p->pid)
		fd_close(&p->in);
}

static void ended(struct drill_proc *p)
{
	fd_close(&p->in);
	fd_close(&p->out);
	fd_close(&p->pidfd);
	gi_buf_fini(&p->text);
	p->pid = 0;
}

void drill_proc_kill(struct drill_proc *p)
{
	if (p->pid) {
		(void)kill(-p->pid, SIGKILL);
		while (waitpid(p->pid, &p->status, 0) < 0 && errno == EINTR)
			;
	}
	ended(p);
}

static int lines(struct drill_proc *p, uint64_t now)
{
	char *end;
	int err = gi_buf_error(&p->text);

	while (!err && p->text.len && (end = memchr(p->text.data, '\n', p->text.len)) != NULL) {
		*end = '\0';
		if (p->line)
			err = p->line(p->arg, (const char *)p->text.data, now);
		gi_buf_consume(&p->text, (size_t)((uint8_t *)end - p->text.data) + 1);
	}
	return err;
}

static int receive(struct drill_proc *p)
{
	char buf[4096];
	ssize_t n = read(p->out, buf, sizeof(buf));

	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : -errno;
	if (n == 0) {
		fd_close(&p->out);
		return 0;
	}
	gi_buf_append(&p->text, buf, (size_t)n);
	return lines(p, io_clock_mono_ms());
}

/* it has ended: what is still in the pipe comes first */
static int gone(struct drill_proc *p)
{
	int err = 0;

	if (p->out >= 0 && fcntl(p->out, F_SETFL, O_NONBLOCK) == 0) {
		struct pollfd more = { .fd = p->out, .events = POLLIN };

		while (!err && p->out >= 0 && poll(&more, 1, 0) > 0 && (more.revents & POLLIN))
			err = receive(p);
	}
	drill_proc_kill(p); /* and what it left of its group */
	return err;
}

int drill_pump(struct drill_proc *procs, size_t n, int ms)
{
	struct pollfd fds[2 * DRILL_PROCS];
	int err = 0;

	for (size_t i = 0; i < n; i++) {
		bool runs = procs[i].pid != 0;

		fds[2 * i] = (struct pollfd){ .fd = runs ? procs[i].out : -1, .events = POLLIN };
		fds[2 * i + 1] =
			(struct pollfd){ .fd = runs ? procs[i].pidfd : -1, .events = POLLIN };
	}
	if (poll(fds, (nfds_t)(2 * n), ms) < 0)
		return -errno;
	for (size_t i = 0; i < n; i++) {
		int one = 0;

		if (fds[2 * i].revents)
			one = receive(&procs[i]);
		if (!one && fds[2 * i + 1].revents)
			one = gone(&procs[i]);
		if (one)
			drill_proc_kill(&procs[i]);
		err = err ? err : one;
	}
	return err;
}
