/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fim_int.h - what the files of file integrity monitoring share
 *
 *   fim.c      events in, looks and records out; rules
 *   fimwhere.c from an event's handles and names to paths, in order
 *   fimwalk.c  walks below the rules' paths: the baseline's beginning, and after lost events
 *   fimlog.c   the journal of the baseline, <state-dir>/fim
 *   fimcore.c, fimbase.c, fimdirs.c: pure, see there
 *
 * All of it in the worker's one loop thread.
 */
#ifndef FILEAGENT_FIM_INT_H
#define FILEAGENT_FIM_INT_H

#include <sys/stat.h>
#include "fileagent/faconf.h"
#include "fileagent/filter.h"
#include "fileagent/fimbase.h"
#include "fileagent/fimcore.h"
#include "fileagent/fimdirs.h"
#include "fileagent/walk.h"
#include "fileagent/worker.h"
#include "lib/io/spool.h"

#define FA_FIM_QUEUE_MAX 8192		 /* events whose directories are being asked for */
#define FA_FIM_HASH_MAX (256u << 20)	 /* a larger file is known by size and times alone */
#define FA_FIM_RATE (64u << 20)		 /* bytes a second that a walk reads */
#define FA_FIM_JOURNAL_BYTES (64u << 20) /* on disk */
#define FA_FIM_WALK_WIDTH 4
#define FA_FIM_TOUR_MS (15 * 60 * 1000) /* the rules are walked so often, for what has no event */

struct fa_fim_queue; /* fimwhere.c */
struct fa_fim_tour;  /* fimwalk.c */

struct fa_fim {
	struct fa_worker *worker;
	struct fa_filter *filter;
	struct fa_fimbase base;
	struct fa_fimcore *core;
	struct fa_fimdirs dirs;	 /* directories by handle */
	struct fa_fimdirs files; /* files of the baseline by handle: their other names */
	struct io_spool *journal;
	bool journal_bad; /* said already */
	bool restored;	  /* a checkpoint was read */
	bool damaged;	  /* there was one that could not be read */
	struct fa_fim_queue *queue;
	struct fa_fim_tour *tour;
	struct fim_look *looks;
	struct fim_out *outs;
	struct io_timer tick, tour_due;
	struct io_idle late; /* looks that failed at once */
	bool full_said, ending;
	uint32_t warmed_pid; /* whose program was asked for last */
};

/* ---- fim.c ---- */

const char *fa_fim_rule(const struct fa_fim *f, const char *path); /* or NULL */
/* the core has work, or time has passed */
void fa_fim_kick(struct fa_fim *f);
void fa_fim_state_from(const struct stat *st, struct fa_fim_state *ret);
/* the file's or directory's handle, of an open descriptor; 0: it has none */
size_t fa_fim_key(int fd, uint8_t key[FA_FIM_HANDLE_MAX]);

/* ---- fimwhere.c ---- */

GI_MUST_CHECK int fa_fim_queue_new(struct fa_fim *f, struct fa_fim_queue **ret);
void fa_fim_queue_free(struct fa_fim_queue *q);
void fa_fim_queue_add(struct fa_fim_queue *q, const struct fan_event *ev);

/* ---- fimwalk.c ---- */

GI_MUST_CHECK int fa_fim_tour_new(struct fa_fim *f, struct fa_fim_tour **ret);
void fa_fim_tour_free(struct fa_fim_tour *t);
/* all rules, soon; called while one is under way: another one behind it */
void fa_fim_tour_start(struct fa_fim_tour *t);
/* what is below a directory that came: fa_fimcore_touch() for each */
void fa_fim_tour_tree(struct fa_fim_tour *t, const char *path, const struct fa_fim_actor *actor);
/* nothing is walked any more: the configuration is another one */
void fa_fim_tour_stop(struct fa_fim_tour *t);
bool fa_fim_tour_runs(const struct fa_fim_tour *t);

/* ---- fimlog.c ---- */

GI_MUST_CHECK int fa_fim_journal_open(struct fa_fim *f);
void fa_fim_journal_path(struct fa_fim *f, const char *path);
void fa_fim_journal_move(struct fa_fim *f, const char *from, const char *to);
void fa_fim_journal_rule(struct fa_fim *f, const uint8_t digest[WIRE_SHA256_LEN]);

#endif
