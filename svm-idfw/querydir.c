/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * querydir.c - control requests about directories: rows that come later, and what they share
 *
 * Runs in svm-idfw's loop. Rows are kept as text until the client has room; when that is more than
 * QUERY_DIR_HELD_MAX, the child that the answer comes from is not read. At most DIR_QUERIES_MAX
 * questions run at a time, the next one is refused with a word. Source: docs/control.md.
 */
#include "svm-idfw/querydir.h"

#include <stdlib.h>
#include <string.h>

#include "svm-idfw/dirreport.h"

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
	query_groups_free(d->groups);
	query_sync_free(d->sync);
	free(d);
}

void query_dir_over(struct query_dir *d)
{
	dir_query_free(d->ask);
	d->ask = NULL;
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
	if (!d || (!d->ask && !d->sync))
		return Q_DONE;
	d->at = d->n = 0;
	if (d->ask)
		dir_query_pause(d->ask, false);
	return Q_WAIT;
}

bool query_dir_start(struct query_dir *d, struct idfw_dir *dir, const struct dir_query_ops *ops)
{
	struct query *q = d->q;
	struct idfw_dir_place place;
	int err;

	idfw_dir_place(dir, &place);
	if (!place.uri) {
		query_fail(q, 1, "directory %.60s: DNS has not told any server yet", place.label);
		return false;
	}
	err = dir_query_new(q->env.dir_queries, &place, ops, d, &d->ask);
	if (err == -EBUSY) {
		query_fail(q, 1, "%d questions to directories run already; try again in a moment",
			DIR_QUERIES_MAX);
		return false;
	}
	if (err < 0) {
		query_fail(q, 1, "the directory cannot be asked: %s", gi_strerror(err));
		return false;
	}
	d->revokes = place.revokes;
	d->label = place.label;
	return true;
}

/* ---- what rows have ---- */

void query_dir_name(json_t *list, const char *name, size_t *bytes)
{
	size_t len = 2 * strlen(name) + 3; /* quotes in it are two */

	if (*bytes + len > QUERY_DIR_NAMES_BYTES)
		return;
	*bytes += len;
	(void)json_array_append_new(list, json_string(name));
}

json_t *query_dir_names(char *const *names, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		(void)json_array_append_new(list, json_string(names[i]));
	return list;
}

const char *query_dir_kind(uint32_t flags)
{
	return flags & DIR_NODE_DISTRIBUTION ? "distribution"
	       : flags & DIR_NODE_BUILTIN    ? "builtin"
	       : flags & DIR_NODE_WELL_KNOWN ? "well-known"
	       : flags & DIR_NODE_FOREIGN    ? "foreign"
					     : "security";
}

bool query_dir_only(struct query *q, size_t at, const char **ret_label)
{
	static const char key[] = "directory=";
	struct idfw_dir_place place;
	struct idfw_dir *dir;

	*ret_label = NULL;
	if (!q->env.ops->directory || !q->env.ops->directory(q->env.arg, 0)) {
		query_fail(q, 1, "no directory is configured");
		return false;
	}
	if (q->n_args <= at)
		return true;
	if (strncmp(q->args[at], key, sizeof(key) - 1) != 0) {
		query_fail(
			q, 2, "%s: \"%.100s\" is not directory=NAME", q->verb->name, q->args[at]);
		return false;
	}
	for (size_t i = 0; (dir = q->env.ops->directory(q->env.arg, i)) != NULL; i++) {
		idfw_dir_place(dir, &place);
		if (strcmp(place.label, q->args[at] + sizeof(key) - 1) == 0)
			*ret_label = place.label;
	}
	if (!*ret_label)
		query_fail(q, 2, "no directory \"%.100s\" is configured",
			q->args[at] + sizeof(key) - 1);
	return *ret_label;
}
