/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fimcore.h - file integrity: from events and what is found then to records
 *
 * Runs in gi-fileagent's worker. Pure: clock, files and reports are its owner's (fim.c), so the
 * unit tests drive it with tables. An event says that something happened to a path, and who did
 * it. What it came to is found by a look at the file (open, stat, SHA-256), and the record says the
 * difference between the baseline and what was found. So many events of one file are one record,
 * and a change whose event was lost shows at the next look, or the next walk.
 *
 * When a look is due: at once (FA_FIM_SETTLE_MS) when a writer closed the file or its mode changed;
 * FA_FIM_OPEN_MS after it was created or written to and nobody closed it; not before
 * FA_FIM_PAUSE_MS after the last record of the same path. Another session or uid at the same path
 * does not wait: what the first one did is recorded before.
 * Failure direction: what cannot be looked at is recorded without hashes, never left out.
 */
#ifndef FILEAGENT_FIMCORE_H
#define FILEAGENT_FIMCORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "fileagent/fimbase.h"
#include "fileagent/fan.h"
#include "lib/base/err.h"

#define FA_FIM_SETTLE_MS 30
#define FA_FIM_OPEN_MS 2000
#define FA_FIM_CREATED_MS 500
#define FA_FIM_PAUSE_MS 1000
#define FA_FIM_LOOKS_MAX 4096 /* paths that wait to be looked at; then the rules are walked */
#define FA_FIM_LOOKING_MAX 16 /* looks under way */

struct fa_fim_actor { /* struct fa_actor without its program: thousands of them may wait */
	uint32_t pid, uid;
	uint64_t session;
	char comm[WIRE_COMM_MAX + 1];
	char user[WIRE_USER_MAX + 1];
};

struct fa_fim_record { /* borrowed for the call */
	Idfw__FimEvent__Op op;
	const char *rule, *path, *new_path;	   /* new_path: RENAME, else NULL */
	const struct fa_fim_state *before, *after; /* NULL: nothing was, is there, or not known */
	bool tree; /* RENAME of a directory: all below it moved in the baseline too */
};

struct fa_fimcore;

/* none of them may call back before it returned */
struct fa_fimcore_ops {
	const char *(*rule)(void *arg, const char *path); /* its name, or NULL: not watched */
	/* open, stat and hash it, then fa_fimcore_found() */
	void (*look)(void *arg, const char *path);
	/* @actor: NULL: nobody knows (baseline). The baseline has the new state already */
	void (*record)(
		void *arg, const struct fa_fim_record *rec, const struct fa_fim_actor *actor);
	/* that path's entry in the baseline is another, or gone, and there is no record of it */
	void (*changed)(void *arg, const char *path);
	/* that directory came, perhaps with content: look at all below it (fa_fimcore_touch()) */
	void (*tree)(void *arg, const char *path, const struct fa_fim_actor *actor);
	/* more than can be looked at: walk the rules */
	void (*overrun)(void *arg);
};

GI_MUST_CHECK int fa_fimcore_new(struct fa_fimbase *base, const struct fa_fimcore_ops *ops,
	void *arg, struct fa_fimcore **ret);
void fa_fimcore_free(struct fa_fimcore *c);

/*
 * fa_fimcore_event - something happened
 * @what: FAN_EV_*, any number of them together
 * @to: RENAME: where it is now; NULL: nobody knows
 */
void fa_fimcore_event(struct fa_fimcore *c, uint64_t now_ms, uint32_t what, const char *path,
	const char *to, const struct fa_fim_actor *actor);
/* that file may be new, or another: look at it, as if it had just been created and closed */
void fa_fimcore_touch(
	struct fa_fimcore *c, uint64_t now_ms, const char *path, const struct fa_fim_actor *actor);
/*
 * fa_fimcore_found - a look's result
 * @st: NULL: could not be looked at; @err then says why: -ENOENT, or others
 */
void fa_fimcore_found(struct fa_fimcore *c, uint64_t now_ms, const char *path,
	const struct fa_fim_state *st, int err);
/* starts what is due; returns in how many ms it wants to be called again, 0: only after events */
uint64_t fa_fimcore_tick(struct fa_fimcore *c, uint64_t now_ms);
/* nothing waits and nothing is under way */
bool fa_fimcore_idle(const struct fa_fimcore *c);
/* records all that waits without a look: the end is near */
void fa_fimcore_flush(struct fa_fimcore *c, uint64_t now_ms);

/* ---- walks ---- */

/* must its content be read, to know whether it is what the baseline says? */
bool fa_fimcore_differs(
	const struct fa_fimcore *c, const char *path, const struct fa_fim_state *st);
/*
 * fa_fimcore_seen - a walk met it
 * @walk: number of the walk; @st: with its hash where fa_fimcore_differs() asked for it
 * @build: the rule is new: what is found is the baseline. Else a difference is a BASELINE record
 */
void fa_fimcore_seen(struct fa_fimcore *c, uint32_t walk, const char *path,
	const struct fa_fim_state *st, bool build);
/* that walk is over, and met everything below @root: what it did not meet is gone */
void fa_fimcore_unseen(struct fa_fimcore *c, uint32_t walk, const char *root);

#endif
