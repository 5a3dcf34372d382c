/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * thread_stop.c - one thread of a process stands still, the others go on: for tests/ns/dir-*.sh
 *
 *   thread_stop TID
 * A signal would stop all of them; a tracer stops one. Ends when the process is gone.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

int main(int argc, char **argv)
{
	pid_t tid = argc == 2 ? (pid_t)strtol(argv[1], NULL, 10) : 0;
	int status = 0;

	if (tid <= 0 || ptrace(PTRACE_SEIZE, tid, NULL, NULL) < 0 ||
		ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) < 0) {
		perror("thread_stop");
		return 1;
	}
	while (waitpid(tid, &status, __WALL) == tid && !WIFEXITED(status) && !WIFSIGNALED(status))
		; /* it has stopped: nobody lets it go on */
	return 0;
}
