/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * querycollide.c - control request dir-collisions: names that are more than one
 *
 * Runs in svm-idfw's loop. The rows are made at once (they are bounded by collide.h) and given as
 * the client takes them. Source: docs/control.md.
 */
#include "svm-idfw/query_int.h"

#include "svm-idfw/collide.h"

static void collision_row(void *arg, const struct idfw_collision *c)
{
	json_t *at = json_array();

	for (size_t i = 0; i < c->n; i++)
		(void)json_array_append_new(at,
			json_pack("{s:s,s:s}", "directory", c->at[i].directory, "id", c->at[i].id));
	(void)json_array_append_new(
		arg, json_pack("{s:s,s:s,s:o,s:I,s:I}", "what", idfw_collision_word(c->kind),
			     "name", c->name, "at", at, "first_ms", (json_int_t)c->first_ms,
			     "seen_ms", (json_int_t)c->seen_ms));
}

void query_collisions_begin(struct query *q)
{
	if (q->env.ops->round)
		q->env.ops->round(q->env.arg);
	q->first = json_array();
	if (q->first)
		idfw_engine_collisions(q->env.engine, collision_row, q->first);
	else
		query_fail(q, 1, "out of memory");
}

enum query_progress query_collisions_step(struct query *q, const struct query_out *out)
{
	json_t *row;

	while ((row = json_array_get(q->first, (size_t)q->left)) != NULL) {
		q->left++;
		if (!query_emit(q, out, json_incref(row)))
			return Q_MORE;
	}
	return Q_DONE;
}
