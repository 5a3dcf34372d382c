/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * group.h - directory groups of the engine: each once, shared by the accounts that are in it
 *
 * A group object never changes: one that was renamed is another object with the same unique id, and
 * the old one goes with the last account that was told of it. An account holds a pointer a group;
 * by the unique id a report of the directory ("this group changed") finds the objects. Engine's
 * thread only; no file but group.c looks inside.
 */
#ifndef SVM_IDFW_GROUP_H
#define SVM_IDFW_GROUP_H

#include <stdbool.h>
#include <stdint.h>
#include "svm-idfw/engine.h"
#include "svm-idfw/intern.h"

struct idfw_shared_group;
struct idfw_group_id;

struct idfw_group_table {
	struct idfw_strtab *strings; /* borrowed */
	struct idfw_shared_group *all;
	struct idfw_group_id *ids;
	uint64_t forgot; /* latest report of an id that no object had, or has any more */
};

void idfw_groups_init(struct idfw_group_table *t, struct idfw_strtab *strings);
/* one reference more; NULL: out of memory */
const struct idfw_group *idfw_group_get(struct idfw_group_table *t, const struct idfw_group *like);
void idfw_group_put(struct idfw_group_table *t, const struct idfw_group *g); /* NULL is fine */
/* report number @news (ascending, from 1) names this unique id; false: nobody is known to be in it
 */
bool idfw_group_changed(struct idfw_group_table *t, const uint8_t id[16], uint64_t news);
/*
 * the latest report that names it, 0 none. Of an id that was not known meanwhile it may be a later
 * one: never an earlier
 */
uint64_t idfw_group_news(const struct idfw_group *g);
void idfw_groups_each(const struct idfw_group_table *t,
	void (*cb)(void *arg, const struct idfw_group *g), void *arg);
size_t idfw_groups_count(const struct idfw_group_table *t);

static inline bool idfw_id_is_set(const uint8_t id[16])
{
	for (int i = 0; i < 16; i++)
		if (id[i])
			return true;
	return false;
}

#endif
