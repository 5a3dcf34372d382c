/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * worker_int.h - the worker's own state: worker.c, events.c, writes.c, scanops.c, rescans.c share
 * it
 *
 * worker.c: life, orders of the supervisor, configuration, link, counters. events.c: from an event
 * to fa_scan_open(). writes.c: to fa_scan_written(). scanops.c: what the core asks of the world.
 * rescans.c: what was let through.
 */
#ifndef FILEAGENT_WORKER_INT_H
#define FILEAGENT_WORKER_INT_H

#include "fileagent/faconf.h"
#include "fileagent/filter.h"
#include "fileagent/handover.h"
#include "fileagent/inflight.h"
#include "fileagent/mounts.h"
#include "fileagent/table.h"
#include "fileagent/worker.h"

#define FA_BEAT_MS 250
#define FA_MARKS_MAX FA_REC_FDS_MAX /* ignore marks that are asked for together */
#define FA_MARKS_MS 4
#define FA_RESCANS_MAX (FA_SCAN_WRITES_MAX + 4096) /* a lost service gives all of them back */
#define FA_RESCANS_BYTES (2u << 20)		   /* of paths */
#define FA_RESCANS_AT_ONCE 8
#define FA_RESCAN_TRIES 3
#define FA_REPORTS_PER_S 50 /* reports of passed files that are made at all; all are counted */

struct fa_rescans;

struct worker {
	struct fa_worker pub; /* what other parts see; first */
	struct fa_conf conf;
	struct fa_counters count;
	struct fa_filter *filter;
	struct fa_table *table;
	struct fa_inflight *held;
	struct fa_handover groups; /* what START and LISTEN brought */
	struct fa_rescans *rescans;
	uint64_t seed;
	pid_t self, supervisor;
	bool started; /* START came */
	bool ticking;
	bool link_bad; /* said already */
	bool stopping; /* FA_OP_STOP 1: no more events */
	struct io_fd perm, notify, fim, listen;
	struct io_timer beat, tick, counters;
	struct io_idle log_round;
	struct io_timer log_later;
	struct fa_counters told;			       /* counters as last sent */
	uint32_t overdue, overdue_denied, ended, ended_denied; /* of the table, as last seen */
	struct {					       /* to be marked */
		int fd;
		bool own; /* its event is over: closed when it is sent */
		struct fa_ident ident;
	} marks[FA_MARKS_MAX];
	size_t marks_n;
	struct io_timer marks_timer;
	char path[WIRE_PATH_MAX + 1]; /* of path_fd, while its event is being looked at */
	int path_fd;		      /* -1 */
	/* events.c */
	bool perm_paused;
	bool perm_many;	 /* the last round had more than one */
	bool perm_ahead; /* some were handled outside their turn, since it was last looked */
	unsigned int perm_rounds;
	bool any_strict; /* before the path is known: one watch is strict about opens or execs */
	size_t held_n;
	struct fa_held late[FA_HELD_MAX]; /* the supervisor was just answering them */
	size_t late_n;
	bool answer_late; /* the last one: the supervisor had answered already */
	struct fa_mounts mounts;
	int mounts_fd; /* tells when they changed */
	int proc_fd;   /* /proc/self/fd: half of the way to an event's path */
	uint64_t mounts_ms;
	/* writes.c */
	bool notify_paused; /* too many wait: the rest stays in the kernel */
	bool notify_lazy;   /* a burst: read when something else woke us, or each round */
	uint64_t notify_ms; /* the last event of a closed file */
	bool writes_on;	    /* the rounds */
	struct fan_batch writes_read;
	struct io_timer writes;	  /* rounds, while written files wait */
	const char *link_bad_why; /* the core found a message wrong */
	uint64_t reports_ms;	  /* the second in which reports_n of them were made */
	unsigned int reports_n;
	struct fa_rec rec; /* scratch; all zero but for what a request sets and clears */
};

/* ---- events.c ---- */
void fa_events_start(struct worker *w);
void fa_events_stop(struct worker *w); /* no more are read */
void fa_events_conf(struct worker *w);
/* puts up the descriptors that could not be closed yet */
void fa_events_late(struct worker *w);
/* openers that wait are handled before other work goes on */
void fa_events_openers(struct worker *w);
void fa_events_answer(struct worker *w, const struct fa_held *h, int err);
void fa_events_release(struct worker *w, const struct fa_held *h);
bool fa_events_own(const struct worker *w, pid_t pid);
bool fa_events_uid_out(const struct worker *w, pid_t pid);
/* true: watched, and that op is too; fills what the path's policy says */
bool fa_events_watched(
	struct worker *w, int fd, uint64_t mnt, uint64_t now, uint32_t what, struct fa_policy *ret);
int fa_events_stat(int fd, struct fa_ident *ret, uint32_t *ret_mode, uint64_t *ret_mnt);
void fa_events_path(const struct worker *w, int fd, char *buf, size_t size);

/* it moves: also in a long round, when a busy processor leaves it little time (keep.c) */
static inline void worker_beat(struct worker *w, uint64_t now)
{
	if (w->held) /* the link may be up before the supervisor's table is here */
		atomic_store_explicit(&w->held->beat_ms, now, memory_order_release);
}

/* ---- writes.c ---- */
void fa_writes_start(struct worker *w);
void fa_writes_stop(struct worker *w);
/* there may be room again */
void fa_writes_resume(struct worker *w);

/* ---- scanops.c ---- */
extern const struct fa_scan_ops fa_worker_scan_ops; /* arg: struct worker */
void fa_worker_unmark(struct worker *w, int fd);
/* true: it waits for its mark, and is closed then */
bool fa_worker_mark_takes(struct worker *w, int fd);
void fa_worker_flush(struct worker *w);
/* FilePassed, for openers that the core never saw */
void fa_worker_report(struct worker *w, enum fa_reason r, bool denied, Idfw__FileOp op,
	const char *path, const struct fa_actor *actor);

/* ---- unseen.c ---- */
/* a new worker, before it reads: of the last one's openers */
void fa_worker_unseen(struct worker *w);
/* before a slot is released: did the supervisor answer it? */
void fa_worker_overdue(struct worker *w, uint32_t slot);

/* ---- rescans.c ---- */
GI_MUST_CHECK int fa_rescans_new(struct worker *w, struct fa_rescans **ret);
void fa_rescans_free(struct fa_rescans *r);
void fa_rescans_add(struct fa_rescans *r, const char *path, const struct fa_ident *id);
/* the service may answer: go on */
void fa_rescans_pump(struct fa_rescans *r);

/* ---- bootid.c ---- */

/* 16 bytes from the text of a boot_id file (a UUID); -errno of reading, -EINVAL */
GI_MUST_CHECK int fa_worker_boot_id(const char *path, uint8_t ret[WIRE_BOOT_ID_LEN]);

/* ---- worker.c ---- */
/* files wait: the tick runs until there are none */
void fa_worker_tick_on(struct worker *w);

#endif
