/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * querydir.c - control requests about directories: how they are, and rows that come later
 *
 * Runs in svm-idfw's loop. Rows are kept as text until the client has room; when that is more than
 * QUERY_DIR_HELD_MAX, the child that the answer comes from is not read. At most DIR_QUERIES_MAX
 * questions run at a time, the next one is refused with a word. Source: docs/control.md.
 */
#include "svm-idfw/querydir.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/text.h"

struct query_dir *query_dir_of(struct query *q)
{
	if (!q->dir) {
		q->dir = calloc(1, sizeof(*q->dir));
		if (q->dir)
			q->dir->q = q;
		else
			query_fail(q, 1, "out of memory");
	}
	return q->dir;
}

void query_dir_free(struct query_dir *d)
{
	if (!d)
		return;
	query_dir_over(d);
	for (; d->at < d->n; d->at++)
		free(d->rows[d->at]);
	free(d->rows);
	dir_ask_free(d->answer);
	free(d->sorted);
	free(d->reached);
	free(d);
}

void query_dir_over(struct query_dir *d)
{
	dir_query_free(d->ask);
	d->ask = NULL;
	if (d->counted)
		(*d->q->env.dir_queries)--;
	d->counted = false;
	if (d->q->wake)
		d->q->wake(d->q->wake_arg);
}

void query_dir_row(struct query_dir *d, json_t *row)
{
	char *text = row ? json_dumps(row, JSON_COMPACT) : NULL, **grown;
	size_t cap;

	json_decref(row);
	if (text && d->n == d->cap) {
		cap = d->cap ? d->cap * 2 : 64;
		grown = reallocarray(d->rows, cap, sizeof(*grown));
		if (grown) {
			d->rows = grown;
			d->cap = cap;
		} else {
			free(text);
			text = NULL;
		}
	}
	if (!text) {
		query_fail(d->q, 1, "some rows are missing: out of memory");
		return;
	}
	d->rows[d->n++] = text;
	d->held += strlen(text);
	if (d->ask && d->held > QUERY_DIR_HELD_MAX)
		dir_query_pause(d->ask, true);
	if (d->q->wake)
		d->q->wake(d->q->wake_arg);
}

enum query_progress query_dir_step(struct query *q, const struct query_out *out)
{
	struct query_dir *d = q->dir;
	bool room = true;

	while (room && d && d->at < d->n) {
		room = out->row(out->arg, d->rows[d->at]);
		d->held -= strlen(d->rows[d->at]);
		free(d->rows[d->at++]);
		q->rows++;
	}
	if (d && d->at < d->n)
		return Q_MORE;
	if (!d || !d->ask)
		return Q_DONE;
	d->at = d->n = 0;
	dir_query_pause(d->ask, false);
	return Q_WAIT;
}

bool query_dir_start(struct query_dir *d, struct idfw_dir *dir, const struct dir_query_ops *ops)
{
	struct query *q = d->q;
	struct idfw_dir_place place;
	int err;

	if (*q->env.dir_queries >= DIR_QUERIES_MAX) {
		query_fail(q, 1, "%d questions to directories run already; try again in a moment",
			DIR_QUERIES_MAX);
		return false;
	}
	idfw_dir_place(dir, &place);
	if (!place.uri) {
		query_fail(q, 1, "directory %.60s: DNS has not told any server yet", place.label);
		return false;
	}
	err = dir_query_new(q->env.loop, &place, ops, d, &d->ask);
	if (err < 0) {
		query_fail(q, 1, "the directory cannot be asked: %s", gi_strerror(err));
		return false;
	}
	d->revokes = place.revokes;
	d->label = place.label;
	d->counted = true;
	(*q->env.dir_queries)++;
	return true;
}

/* ---- status ---- */

static json_t *time_or_null(uint64_t ms)
{
	return ms ? json_integer((json_int_t)ms) : json_null();
}

static void status_directory(struct query_dir *d, const struct idfw_dir_info *in)
{
	query_dir_row(
		d, json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:I,s:I,s:I,s:I,s:o,s:o,s:o,s:I}", "type",
			   "directory", "directory", in->label, "kind", in->type, "domain",
			   in->domain, "state",
			   in->up      ? "up"
			   : in->known ? "down"
				       : "starting",
			   "why", in->why, "lookups", (json_int_t)in->lookups, "failed",
			   (json_int_t)in->failed, "running", (json_int_t)in->running, "waiting",
			   (json_int_t)in->waiting, "p50_ms", json_real((double)in->p50_us / 1000),
			   "p99_ms", json_real((double)in->p99_us / 1000), "changed_ms",
			   time_or_null(in->changed_ms), "changes", (json_int_t)in->changes));
	for (size_t i = 0; i < in->n_servers; i++) {
		const struct idfw_dir_server *s = &in->servers[i];

		query_dir_row(d, json_pack("{s:s,s:s,s:s,s:s,s:o,s:o,s:s}", "type", "server",
					 "directory", in->label, "uri", s->uri, "state",
					 s->answers ? "answers"
					 : s->out   ? "left-out"
						    : "standby",
					 "since_ms", time_or_null(s->since_ms), "retry_ms",
					 time_or_null(s->retry_ms), "why", s->why));
	}
}

/* what would serve if no directory answered */
static void status_cache(struct query_dir *d)
{
	struct idfw_principal *p, *next, *head = idfw_engine_principals(d->q->env.engine);
	json_int_t found = 0, unknown = 0, live = 0, stale = 0;
	uint64_t oldest = 0, now = io_clock_real_ms();

	HASH_ITER (hh, head, p, next) {
		live += p->sessions != NULL;
		if (!p->resolved_ms)
			continue;
		found += p->presence == IDFW_P_FOUND;
		unknown += p->presence == IDFW_P_NOT_FOUND;
		stale += p->stale;
		if (!oldest || p->resolved_ms < oldest)
			oldest = p->resolved_ms;
	}
	query_dir_row(d, json_pack("{s:s,s:I,s:I,s:I,s:I,s:o,s:I}", "type", "cache", "found", found,
				 "not_found", unknown, "with_sessions", live, "stale", stale,
				 "oldest_ms", time_or_null(oldest), "oldest_age_ms",
				 (json_int_t)(oldest && now > oldest ? now - oldest : 0)));
}

void query_dir_status_begin(struct query *q)
{
	struct query_dir *d = query_dir_of(q);
	struct idfw_dir_info info;
	struct idfw_dir *dir;
	size_t i;

	if (!d)
		return;
	for (i = 0; q->env.ops->directory && (dir = q->env.ops->directory(q->env.arg, i)); i++) {
		idfw_dir_info(dir, &info);
		status_directory(d, &info);
		if (!info.up && !q->status)
			query_fail(q, 1, "directory %.60s is %s%s%.150s", info.label,
				info.known ? "down" : "starting", info.why[0] ? ": " : "",
				info.why);
	}
	if (i == 0)
		query_fail(q, 1, "no directory is configured");
	status_cache(d);
}
