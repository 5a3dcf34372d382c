/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * child.h - a child process of another trust level: fork *and exec* of our own binary, one
 * socketpair, watched, killed at a deadline, restarted with backoff
 *
 * The child is /proc/self/exe with the given argv; the socketpair's end is its descriptor
 * IO_CHILD_FD (3), everything else but 0..2 is closed. It dies with its parent (PDEATHSIG and
 * EOF on the socket).
 */
#ifndef IO_CHILD_H
#define IO_CHILD_H

#include <stdbool.h>
#include <sys/types.h>
#include "lib/base/err.h"
#include "lib/io/loop.h"

#define IO_CHILD_FD 3

struct io_child_proc { /* a child without a loop: the caller watches, kills, reaps and closes */
	pid_t pid;
	int pidfd;
	int fd; /* our end of the socketpair, non-blocking */
};
/*
 * io_child_spawn - the same start, for threads that block
 * The child dies with the *thread* that called (PDEATHSIG): call from one that lives as long.
 * Errors: errno of socketpair, fork, pidfd_open; nothing is left then
 */
GI_MUST_CHECK int io_child_spawn(char *const argv[], int sock_type, struct io_child_proc *ret);

struct io_child {
	pid_t pid; /* 0: not running */
	int pidfd; /* -1 */
	int fd; /* our end of the socketpair; -1; non-blocking; the owner may wrap it (then sets -1)
		 */
	struct io_loop *loop; /* private */
	struct io_fd watch;   /* private */
	void (*exited)(struct io_child *c, int wait_status);
	void *arg;
};

/* @sock_type: SOCK_STREAM (for io_chan) or SOCK_SEQPACKET; exited() once when it is gone and reaped
 */
GI_MUST_CHECK int io_child_start(struct io_loop *l, struct io_child *c, char *const argv[],
	int sock_type, void (*exited)(struct io_child *, int), void *arg);
void io_child_kill(struct io_child *c); /* SIGKILL; exited() follows */
void io_child_stop(
	struct io_loop *l, struct io_child *c); /* at our own end: kill, reap, no callback */

#endif
