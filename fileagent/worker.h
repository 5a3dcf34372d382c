/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * worker.h - gi-fileagent's worker: what its parts share
 *
 *   fanotify --event--> worker.c --file--> scan.c --FileEvent--> link.c --> mux --> svm-scan
 *                          ^  held openers    | verdict, deadline
 *                          +---- answer ------+--> superlink.c: mark, delete, quarantine, replace
 *
 * One process, one loop, one thread that decides; reads.c has a few threads that only pread(2) and
 * pwrite(2). User _idfw, no capability, seccomp. Never opens a file of a watched file system itself
 * (it would hold itself: the supervisor opens, FA_OP_OPEN), calls no NSS, no syslog(3), never
 * forks. Everything here is called from the loop's thread, must not block, and calls back from the
 * loop only. Invariant: each event that was read is answered exactly once, then its descriptor is
 * closed.
 */
#ifndef FILEAGENT_WORKER_H
#define FILEAGENT_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "fileagent/counters.h"
#include "fileagent/falog.h"
#include "fileagent/fan.h"
#include "fileagent/link.h"
#include "fileagent/reads.h"
#include "fileagent/rec.h"
#include "fileagent/scan.h"
#include "fileagent/superlink.h"
#include "lib/base/err.h"
#include "lib/io/loop.h"
#include "lib/wire/wire.h"

struct fa_conf;	    /* faconf.h */
struct fa_who;	    /* who.c: whose process is it */
struct fa_fim;	    /* fim.c: rules of watched paths */
struct fa_reports;  /* reports.c: spooled FileReports */
struct fa_commands; /* command.c: an operator's FileCommands */

struct fa_worker {
	struct io_loop *loop;
	const struct fa_conf *conf; /* replaced as a whole when it is read anew: do not keep it */
	uint8_t boot_id[WIRE_BOOT_ID_LEN];
	struct fa_counters *counters;
	struct fa_super *super;
	struct fa_link *link;
	struct fa_scan *scan;
	struct fa_reads *reads;
	struct fa_who *who;
	struct fa_fim *fim;
	struct fa_reports *reports;
	struct fa_commands *commands;
};

/*
 * fa_worker_main - the whole life of the process
 * @conf: takes what is in it
 * @super_fd: takes; SOCK_SEQPACKET to the supervisor: FA_OP_START comes first
 * Returns the exit code.
 */
int fa_worker_main(struct fa_conf *conf, int super_fd);

/* ---- who.c ---- */

#define FA_UID_UNKNOWN UINT32_MAX

struct fa_actor {	   /* who did it, as far as the guest knows */
	uint32_t pid, uid; /* effective; FA_UID_UNKNOWN: not known, or nobody did */
	uint64_t session;  /* 0: none, or not known */
	char user[WIRE_USER_MAX + 1];
	char comm[WIRE_COMM_MAX + 1];
	char exe[WIRE_PATH_MAX + 1]; /* "": not asked for, or not known */
};

GI_MUST_CHECK int fa_who_new(struct fa_worker *w, struct fa_who **ret);
void fa_who_free(struct fa_who *who);
/* the configuration is another one */
void fa_who_conf(struct fa_who *who);
/* there is a supervisor: the kernel's records of forks are asked for, unless they are there */
void fa_who_follow(struct fa_who *who);
/*
 * fa_who_actor - who a process is, walking up its parents to one that leads a session
 * @pidfd: borrows, -1 or FAN_GONE; says whether @pid is still the process that it was
 * Reads /proc, /run/idfw/sessions and what the kernel told of forks: never blocks. What is not
 * known of a process that is gone is left empty. exe is left empty (fa_who_program).
 */
void fa_who_actor(struct fa_who *who, pid_t pid, int pidfd, struct fa_actor *ret);
/* @pid is the process that fa_who_actor() was last asked about, at most FA_WHO_SAME_MS ago, and it
 * lives: what was said then still holds */
#define FA_WHO_SAME_MS 20
bool fa_who_same(struct fa_who *who, pid_t pid);
/* the same of the process that had @pid @ms_ago: a later one with that number is not named */
void fa_who_before(struct fa_who *who, pid_t pid, uint64_t ms_ago, struct fa_actor *ret);
/*
 * @done: once, with actor->exe filled in as far as the supervisor could say; @actor is copied.
 * NULL: so that it is known when it is asked for
 */
void fa_who_program(struct fa_who *who, const struct fa_actor *actor,
	void (*done)(void *arg, const struct fa_actor *actor), void *arg);
/* @ret->... borrows from @a; for FileDone, FileReport */
void fa_actor_wire(const struct fa_actor *a, Idfw__FileActor *ret);

/* ---- reports.c ---- */

GI_MUST_CHECK int fa_reports_new(struct fa_worker *w, struct fa_reports **ret);
void fa_reports_free(struct fa_reports *r);
/*
 * numbers, spools and sends @rep (its seq and time are filled in here); never blocks on the link.
 * Full spool: -GI_EFULL, counted (reports_lost)
 */
GI_MUST_CHECK int fa_reports_add(struct fa_reports *r, const Idfw__FileReport *rep);
void fa_reports_ack(struct fa_reports *r, uint64_t seq);
uint64_t fa_reports_last_seq(const struct fa_reports *r);
/* the link is up: what is behind @acked (HelloAck's number) is sent anew */
void fa_reports_up(struct fa_reports *r, uint64_t acked);
/* the link has room again */
void fa_reports_pump(struct fa_reports *r);

/* ---- fim.c ---- */

GI_MUST_CHECK int fa_fim_new(struct fa_worker *w, struct fa_fim **ret);
void fa_fim_free(struct fa_fim *f);
void fa_fim_conf(struct fa_fim *f);
/* one event of the FIM group (worker.c reads it); borrows. OVERFLOW too */
void fa_fim_event(struct fa_fim *f, const struct fan_event *ev);

/* ---- command.c ---- */

GI_MUST_CHECK int fa_commands_new(struct fa_worker *w, struct fa_commands **ret);
void fa_commands_free(struct fa_commands *c);
/* borrows for the call; replies go out by fa_link_send() */
void fa_command(struct fa_commands *c, const Idfw__FileCommand *cmd);
/* the link went down: nobody waits for replies any more */
void fa_commands_down(struct fa_commands *c);
/* the link has room again */
void fa_commands_pump(struct fa_commands *c);

#endif
