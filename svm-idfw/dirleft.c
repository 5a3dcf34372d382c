/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirleft.c - who left a group: a change of a large group concerns those who left, not all in it
 *
 * Runs in the directory child's main thread (dir_left_found() in its lookup threads too). Of a
 * member that a group has no more only a hash is known. Whoever was looked up is found by the hash
 * of his DN (AD: of his objectGUID), so is a group of the picture; then the report names them. If
 * nobody is found there is nobody whom it concerns, as long as the value could be written in one
 * way only, and so can all accounts and groups be that there are.
 * Failure direction: else the report names the group, and with it all who were in it.
 */
#include <string.h>

#include "lib/io/loop.h"
#include "svm-idfw/dirgroups.h"

static bool groups_called(const struct dir_groups *g, uint64_t hash, struct dir_changes *ch)
{
	const struct dir_member_group *at = NULL;
	bool found = false;

	while ((at = dir_members_called(&g->m, hash, at)) != NULL) {
		dir_changes_group(ch, at->id);
		found |= at->as_member != 0;
	}
	return found;
}

/* a group that is new, or has another name by now, and is not read yet */
static bool todo_called(const struct dir_back *b, uint64_t hash, struct dir_changes *ch)
{
	const struct dir_groups *g = b->groups;
	bool found = false;

	for (const struct dir_todo *t = g->todo; t; t = t->hh.next) {
		uint64_t h = t->dn ? dir_member_dn(g->m.key, t->dn, strlen(t->dn))
				   : dir_member_id(g->m.key, t->id, true);

		if ((h ^ hash) & DIR_MEMBER_WHO)
			continue;
		dir_changes_group(ch, t->id);
		found = true;
	}
	return found;
}

bool dir_groups_left(struct dir_back *b, const uint64_t *left, size_t n, struct dir_changes *ch)
{
	const struct dir_groups *g = b->groups;
	struct dir_changes who = { .all = false };
	bool sure = g->whole || n == 0, found;

	for (size_t i = 0; sure && i < n; i++) {
		found = dir_seen_left(b->seen, left[i], io_clock_mono_ms(), &who, &sure);
		found |= groups_called(g, left[i], &who);
		found |= todo_called(b, left[i], &who);
		sure = found || (sure && !g->m.n_odd);
	}
	if (sure)
		dir_changes_add(ch, &who);
	dir_changes_fini(&who);
	return sure;
}

void dir_left_found(struct dir_back *b, const struct dir_answer *a, uint64_t began_ms)
{
	uint64_t as = 0;

	if (!b->seen || a->status != IDFW__DIR_RESULT__STATUS__OK)
		return;
	if (!a->has_guid) {
		dir_seen_nameless(b->seen);
		return;
	}
	if (b->ops == &dir_back_ad)
		as = dir_member_id(dir_seen_key(b->seen), a->guid, true);
	else if (a->dn && a->dn[0])
		as = dir_member_dn(dir_seen_key(b->seen), a->dn, strlen(a->dn));
	dir_seen_add_as(b->seen, a->guid, as, began_ms, io_clock_mono_ms());
}
