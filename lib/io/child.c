/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * child.c - a child process of another trust level: fork and exec of our own binary
 *
 * The pusher, the directory worker and the like: a daemon starts them, talks over one
 * socketpair, kills them when they miss a deadline and starts them again. The end is seen by a
 * pidfd, so there is no SIGCHLD handler. Invariants: between fork and exec only
 * async-signal-safe calls; the child has no descriptor but 0..2 and IO_CHILD_FD; it does not
 * outlive its parent. Source: pidfd_open(2), PR_SET_PDEATHSIG in prctl(2), close_range(2).
 */
#include "lib/io/child.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/close_range.h>

static void child_exec(int fd, pid_t parent, char *const argv[]) __attribute__((noreturn));
static void child_pidfd_cb(struct io_fd *w, unsigned int events);
static int child_reap(struct io_child *c);
static void child_forget(struct io_child *c);

int io_child_spawn(char *const argv[], int sock_type, struct io_child_proc *ret)
{
	pid_t parent = getpid(), pid;
	int fds[2], pidfd, err;

	if (socketpair(AF_UNIX, sock_type | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		child_exec(fds[1], parent, argv);
	err = pid < 0 ? -errno : 0;
	(void)close(fds[1]);
	if (err < 0) {
		(void)close(fds[0]);
		return err;
	}
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0 || fcntl(fds[0], F_SETFL, O_NONBLOCK) < 0) {
		err = -errno;
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
		(void)close(fds[0]);
		if (pidfd >= 0)
			(void)close(pidfd);
		return err;
	}
	*ret = (struct io_child_proc){ .pid = pid, .pidfd = pidfd, .fd = fds[0] };
	return 0;
}

int io_child_start(struct io_loop *l, struct io_child *c, char *const argv[], int sock_type,
	void (*exited)(struct io_child *, int), void *arg)
{
	struct io_child_proc proc;
	int err = io_child_spawn(argv, sock_type, &proc);

	if (err < 0)
		return err;
	*c = (struct io_child){ .loop = l,
		.pid = proc.pid,
		.pidfd = proc.pidfd,
		.fd = proc.fd,
		.exited = exited,
		.arg = arg };
	io_fd_start(l, &c->watch, proc.pidfd, IO_READ, child_pidfd_cb, c);
	return 0;
}

void io_child_kill(struct io_child *c)
{
	if (c->pid > 0)
		(void)kill(c->pid, SIGKILL);
}

void io_child_stop(struct io_loop *l, struct io_child *c)
{
	if (c->pid <= 0)
		return;
	io_fd_stop(l, &c->watch);
	io_child_kill(c);
	(void)child_reap(c);
	child_forget(c);
}

/*
 * Order matters: our end first onto a number that close_range() leaves alone, then the rest goes.
 * The parent may have died before prctl(); then nobody would be told, so look.
 */
static void child_exec(int fd, pid_t parent, char *const argv[])
{
	sigset_t none;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit(126);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (fd == IO_CHILD_FD) {
		if (fcntl(fd, F_SETFD, 0) < 0)
			_exit(126);
	} else if (dup2(fd, IO_CHILD_FD) < 0) {
		_exit(126);
	}
	if (syscall(SYS_close_range, IO_CHILD_FD + 1, ~0u, 0) < 0)
		_exit(126);
	execv("/proc/self/exe", argv);
	_exit(127);
}

static void child_pidfd_cb(struct io_fd *w, unsigned int events)
{
	struct io_child *c = w->arg;
	int status;

	(void)events;
	io_fd_stop(c->loop, &c->watch);
	status = child_reap(c);
	child_forget(c);
	c->exited(c, status); /* last: the owner may start it again, or free it */
}

static int child_reap(struct io_child *c)
{
	int status = 0;

	while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

static void child_forget(struct io_child *c)
{
	(void)close(c->pidfd);
	if (c->fd >= 0)
		(void)close(c->fd);
	c->pid = 0;
	c->pidfd = -1;
	c->fd = -1;
}
