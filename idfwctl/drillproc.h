/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * drillproc.h - processes of a drill's driver: what they print comes line by line, with its moment
 *
 * Each is a process group of its own, so that a Ctrl-C for idfwctl does not end what has to mend.
 * Its standard input is a pipe: those that let users work end when it ends, also when idfwctl is
 * killed. One thread; nothing blocks but drill_pump().
 */
#ifndef IDFWCTL_DRILLPROC_H
#define IDFWCTL_DRILLPROC_H

#include <stdbool.h>
#include <sys/types.h>
#include "lib/base/buf.h"
#include "lib/base/err.h"

#define DRILL_PROCS 3

struct drill_proc {
	pid_t pid; /* 0: none */
	int pidfd, in, out;
	struct gi_buf text; /* not yet a whole line */
	int status;	    /* of wait(2), when it has ended */
	int (*line)(void *arg, const char *line, uint64_t now);
	void *arg;
};

/*
 * drill_proc_start - @argv by PATH; @p is all 0
 * @line: each line of its standard output; an error ends the process
 */
GI_MUST_CHECK int drill_proc_start(struct drill_proc *p, char *const argv[],
	int (*line)(void *arg, const char *line, uint64_t now), void *arg);
void drill_proc_close(struct drill_proc *p); /* its standard input: please end */
void drill_proc_kill(struct drill_proc *p);  /* SIGKILL to its group; waits for it */
/* lines and ends of all of them, for at most @ms; -EINTR when a signal came */
GI_MUST_CHECK int drill_pump(struct drill_proc *procs, size_t n, int ms);

#endif
