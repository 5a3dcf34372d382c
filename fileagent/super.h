/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * super.h - gi-fileagent's supervisor: what its parts share
 *
 *   super.c   start, takeover, reload, end
 *   keep.c    the worker: start, heartbeat, deadlines, death, start again
 *   ops.c     what the worker asks for (rec.h): marks at once, the rest in one thread (act.h)
 *
 * Root. One loop; one more thread for what may take long (copies into the quarantine), so that
 * deadlines are kept meanwhile. It parses its configuration and /proc, nothing of a peer.
 */
#ifndef FILEAGENT_SUPER_H
#define FILEAGENT_SUPER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "fileagent/faconf.h"
#include "fileagent/filter.h"
#include "fileagent/inflight.h"
#include "fileagent/marks.h"
#include "fileagent/rec.h"
#include "lib/base/err.h"
#include "lib/io/child.h"
#include "lib/io/loop.h"
#include "lib/io/sock.h"

struct fa_actor_thread; /* ops.c */

struct fa_keep {		/* keep.c: the one worker */
	struct io_child child;	/* pid 0: none, or it is not our child */
	int pidfd;		/* of a worker that was taken over; else -1 */
	struct io_fd pid_watch; /* of pidfd */
	pid_t pid;		/* 0: no worker */
	int sock;		/* -1 */
	struct io_fd sock_watch, drain;
	bool draining; /* nobody else answers: the supervisor reads and answers by policy */
	struct io_timer tick, again;
	struct io_backoff backoff;
	uint64_t started_ms, last_beat;
	uint32_t drained;    /* events it let through itself */
	uint32_t failures;   /* in a row */
	uint32_t same_beats; /* ticks without a new heartbeat */
	bool beaten;	     /* at least once */
	bool renew;	     /* it was told to end for another one: no failure */
};

struct fa_sup {
	struct io_loop *loop;
	struct fa_conf *conf;	  /* owned */
	struct fa_filter *filter; /* owned */
	const char *conf_file;
	char *argv0;
	bool root_ok, debug, ending;
	int conf_fd; /* the text that conf was made of */
	char conf_path[40];
	int lock_fd, listen_fd, table_fd;
	struct fa_marks_groups groups; /* owned here */
	bool errno_ok, fd_errors;      /* what the groups can: FA_START_ */
	struct fa_inflight *table;
	struct fa_keep keep;
	struct fa_actor_thread *actor;
	struct io_signal sig_term, sig_int, sig_hup, sig_usr2;
	struct io_timer end_timer, mounts_timer;
	int mountinfo_fd;
};

struct fa_sup_args {
	const char *conf_file;
	char *argv0;
	bool root_ok, debug;
};

/* the whole life of the supervisor; returns the exit code */
int fa_sup_run(const struct fa_sup_args *a);
const char *fa_sup_version(void); /* "0.1.0 (gcc 12.2.0)": program and compiler, no dates */

/* ---- super.c ---- */
void fa_sup_say(void *arg, const char *words);
/* the worker ended while fa_sup is ending: nothing is started again */
void fa_sup_ended(struct fa_sup *s);
/* FA_OP_CONF with the present text */
void fa_sup_send_conf(struct fa_sup *s);

/* ---- keep.c ---- */
void fa_keep_init(struct fa_sup *s);
void fa_keep_start(struct fa_sup *s);
/* @sock, @pidfd: takes */
void fa_keep_adopt(struct fa_sup *s, int sock, int pidfd, pid_t pid, bool same_version);
/* FA_START to the worker; it is killed when it does not take it */
void fa_keep_send_start(struct fa_sup *s);
void fa_keep_kill(struct fa_sup *s);
/* no worker lives: answers, by the fail policy, whatever the last one can have held */
void fa_keep_settle(struct fa_sup *s);
/* no worker lives: the same for all that wait in the kernel's queue */
void fa_keep_drain(struct fa_sup *s);
/* stops watching; the worker lives on (handover) */
void fa_keep_fini(struct fa_sup *s);

/* ---- ops.c ---- */
GI_MUST_CHECK int fa_ops_init(struct fa_sup *s);
/* waits for what the thread is just doing */
void fa_ops_fini(struct fa_sup *s);
/* one request of the worker's; takes @fds */
void fa_ops_handle(struct fa_sup *s, const struct fa_rec *r, const int *fds, size_t n_fds);

#endif
