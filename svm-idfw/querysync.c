/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * querysync.c - control request dir-sync: changes are looked for now, or everything is compared
 *
 * Runs in svm-idfw's loop. The directories' own children do it (idfw_dir_sync); this waits for
 * them, then for the live accounts that are to be looked up, and says how far it is. A client that
 * goes ends nothing. Each SYNC_LOOK_MS it looks how it is; that costs one walk over the accounts,
 * so few may wait at a time.
 * Failure direction: accounts that get no answer for SYNC_STILL_MS are told as not looked up.
 * Source: docs/control.md, docs/directory.md "Changes".
 */
#include "svm-idfw/querydir.h"

#include <stdlib.h>
#include <string.h>

#define SYNC_LOOK_MS 200
#define SYNC_SAID_MS 500    /* between two rows of progress */
#define SYNC_QUIET_MS 5000  /* one at least: the client waits for no more than 30 s */
#define SYNC_STILL_MS 15000 /* longer than an account waits for another try */

struct sync_one {
	const char *label; /* borrowed from the configuration */
	bool runs, joined, synced;
	uint64_t id;
	uint64_t began_ms, began_real_ms; /* monotonic; real time */
	uint64_t changes;		  /* that were seen before */
	uint64_t regrouped;		  /* accounts, before */
	size_t total, left;		  /* live accounts; to be looked up */
	uint64_t moved_ms;		  /* when fewer were left */
	uint64_t said_ms;
	uint64_t said_done; /* groups and accounts, in the last row */
};

struct query_sync {
	struct query_dir *d;
	struct io_timer timer;
	bool full;
	size_t n; /* directories that are waited for */
	struct sync_one one[DIR_SET_MAX];
};

static void sync_cb(struct io_timer *w);

void query_sync_free(struct query_sync *s)
{
	if (!s)
		return;
	io_timer_stop(s->d->q->env.loop, &s->timer);
	s->d->q->env.dir_queries->syncs--;
	free(s);
}

/* ---- accounts ---- */

static bool is_left(
	const struct query_sync *s, const struct sync_one *o, const struct idfw_principal *p)
{
	return p->lookup_running || p->stale || (s->full && p->resolved_ms < o->began_real_ms);
}

/* of all directories in one walk */
static void count_accounts(struct query_sync *s)
{
	struct idfw_principal *p, *next, *head = idfw_engine_principals(s->d->q->env.engine);
	size_t before[DIR_SET_MAX], i;

	for (i = 0; i < DIR_SET_MAX; i++) {
		before[i] = s->one[i].left;
		s->one[i].total = s->one[i].left = 0;
	}
	HASH_ITER (hh, head, p, next) {
		for (i = 0; p->sessions && i < DIR_SET_MAX; i++) {
			struct sync_one *o = &s->one[i];

			if (!o->runs || strcmp(p->directory, o->label) != 0)
				continue;
			o->total++;
			o->left += is_left(s, o, p);
		}
	}
	for (i = 0; i < DIR_SET_MAX; i++)
		if (s->one[i].left < before[i])
			s->one[i].moved_ms = io_clock_mono_ms();
}

/* ---- rows ---- */

static void put_progress(struct query_sync *s, struct sync_one *o, const struct idfw_dir_info *in)
{
	const struct idfw_dir_picture *p = &in->picture;
	uint64_t now = io_clock_mono_ms(), groups = o->synced ? p->groups : p->done, done;

	done = groups + (o->total - o->left);
	if (now - o->said_ms < (done == o->said_done ? SYNC_QUIET_MS : SYNC_SAID_MS))
		return;
	o->said_ms = now;
	o->said_done = done;
	query_dir_row(s->d,
		json_pack("{s:s,s:s,s:I,s:I,s:I,s:I}", "type", "progress", "directory", in->label,
			"groups_done", (json_int_t)groups, "groups_total",
			(json_int_t)(o->synced ? p->groups : p->total), "accounts_done",
			(json_int_t)(o->total - o->left), "accounts_total", (json_int_t)o->total));
}

static void put_synced(struct query_sync *s, const struct sync_one *o,
	const struct idfw_dir_info *in, const char *why)
{
	const struct idfw_dir_picture *p = &in->picture;
	struct idfw_stats stats;

	idfw_engine_stats(s->d->q->env.engine, &stats);
	query_dir_row(s->d,
		json_pack("{s:s,s:s,s:b,s:b,s:b,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:s}", "type", "synced",
			"directory", in->label, "full", (int)s->full, "joined", (int)o->joined,
			"ok", why[0] == '\0', "groups", (json_int_t)p->groups, "groups_changed",
			(json_int_t)(s->full ? p->changed : 0), "accounts", (json_int_t)o->total,
			"accounts_left", (json_int_t)o->left, "accounts_changed",
			(json_int_t)(stats.regrouped - o->regrouped), "changes",
			(json_int_t)(in->changes - o->changes), "took_ms",
			(json_int_t)(o->id ? io_clock_mono_ms() - o->began_ms : 0), "why", why));
	if (why[0])
		query_fail(s->d->q, 1, "directory %.60s: %.180s", in->label, why);
}

/* ---- waiting ---- */

static void sync_over(
	struct query_sync *s, struct sync_one *o, const struct idfw_dir_info *in, const char *why)
{
	o->runs = false;
	s->n--;
	put_synced(s, o, in, why);
}

static void sync_look(struct query_sync *s, struct sync_one *o, const struct idfw_dir *dir)
{
	struct idfw_dir_info in;

	idfw_dir_info(dir, &in);
	if (!in.up) {
		sync_over(s, o, &in, in.why[0] ? in.why : "it went down");
		return;
	}
	o->synced = o->synced || idfw_dir_synced(dir, s->full, o->id);
	if (!o->synced) {
		o->moved_ms = io_clock_mono_ms();
		put_progress(s, o, &in);
	} else if (o->left == 0) {
		sync_over(s, o, &in,
			in.picture.picture == IDFW__DIR_STATE__PICTURE__REFUSED
				? "the server does not list all groups: only live accounts were "
				  "looked up"
				: "");
	} else if (io_clock_mono_ms() - o->moved_ms > SYNC_STILL_MS) {
		sync_over(s, o, &in, "some live accounts get no answer; see dir lookup NAME");
	} else {
		put_progress(s, o, &in);
	}
}

static void sync_cb(struct io_timer *w)
{
	struct query_sync *s = w->arg;
	const struct query_env *env = &s->d->q->env;
	struct query_dir *d = s->d;

	if (env->ops->round)
		env->ops->round(env->arg);
	count_accounts(s);
	for (size_t i = 0; i < GI_ARRAY_SIZE(s->one); i++) {
		struct idfw_dir *dir = s->one[i].runs ? env->ops->directory(env->arg, i) : NULL;

		if (dir)
			sync_look(s, &s->one[i], dir);
	}
	if (s->n)
		return;
	d->sync = NULL;
	query_sync_free(s);
	query_dir_over(d);
}

/* ---- beginning ---- */

static void sync_begin(struct query_sync *s, struct sync_one *o, struct idfw_dir *dir)
{
	struct query *q = s->d->q;
	struct idfw_dir_info in;
	struct idfw_stats stats;
	int err;

	idfw_dir_info(dir, &in);
	idfw_engine_stats(q->env.engine, &stats);
	*o = (struct sync_one){ .label = in.label,
		.began_ms = io_clock_mono_ms(),
		.began_real_ms = io_clock_real_ms(),
		.changes = in.changes,
		.regrouped = stats.regrouped };
	err = idfw_dir_sync(dir, s->full, &o->id, &o->joined);
	s->n++;
	o->runs = true;
	if (err == -ENOTCONN)
		sync_over(s, o, &in, in.why[0] ? in.why : "it is not up yet");
	else if (err < 0)
		sync_over(s, o, &in, gi_strerror(err));
	else if (s->full && !o->joined)
		idfw_engine_directory_sync(q->env.engine, in.label, q->by);
}

void query_dir_sync_begin(struct query *q)
{
	bool full = q->n_args && strcmp(q->args[0], "full") == 0;
	struct idfw_dir_place place;
	struct query_dir *d;
	struct idfw_dir *dir;
	const char *only;

	if (q->n_args > (size_t)full + 1) {
		query_fail(q, 2, "dir-sync: [full] [directory=NAME]");
		return;
	}
	if (!query_dir_only(q, full, &only))
		return;
	if (q->env.dir_queries->syncs >= DIR_SYNCS_MAX) {
		query_fail(
			q, 1, "%d wait for dir sync already; try again in a moment", DIR_SYNCS_MAX);
		return;
	}
	d = query_dir_of(q);
	if (!d)
		return;
	d->sync = calloc(1, sizeof(*d->sync));
	if (!d->sync) {
		query_fail(q, 1, "out of memory");
		return;
	}
	q->env.dir_queries->syncs++;
	d->sync->d = d;
	d->sync->full = full;
	if (q->env.ops->round)
		q->env.ops->round(q->env.arg);
	for (size_t i = 0; i < GI_ARRAY_SIZE(d->sync->one) &&
			   (dir = q->env.ops->directory(q->env.arg, i)) != NULL;
		i++) {
		idfw_dir_place(dir, &place);
		if (!only || strcmp(only, place.label) == 0)
			sync_begin(d->sync, &d->sync->one[i], dir);
	}
	if (d->sync->n) {
		io_timer_start(
			q->env.loop, &d->sync->timer, SYNC_LOOK_MS, SYNC_LOOK_MS, sync_cb, d->sync);
		return;
	}
	query_sync_free(d->sync);
	d->sync = NULL;
}
