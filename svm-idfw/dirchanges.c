/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirchanges.c - what a look at the directory found changed: accounts and groups by unique id
 *
 * Pure; runs in the directory child. Invariant: nothing that was added is lost; over a limit, or
 * without memory, all is set.
 */
#include "svm-idfw/dirchanges.h"

#include <stdlib.h>
#include <string.h>

static void ids_add(struct dir_changes *c, struct dir_ids *ids, const uint8_t id[16])
{
	size_t cap = ids->cap ? ids->cap * 2 : 64;
	uint8_t(*grown)[16] = NULL;

	if (c->all)
		return;
	if (ids->n < ids->cap)
		grown = ids->list;
	else if (ids->n < DIR_CHANGES_MAX)
		grown = reallocarray(ids->list, cap, sizeof(*grown));
	if (!grown || ids->n >= DIR_CHANGES_MAX) {
		c->all = true;
		return;
	}
	ids->cap = ids->n < ids->cap ? ids->cap : cap;
	ids->list = grown;
	memcpy(ids->list[ids->n++], id, 16);
}

void dir_changes_account(struct dir_changes *c, const uint8_t id[16])
{
	ids_add(c, &c->accounts, id);
}

void dir_changes_group(struct dir_changes *c, const uint8_t id[16])
{
	ids_add(c, &c->groups, id);
}

void dir_changes_sid(struct dir_changes *c, const void *sid, size_t len)
{
	size_t cap = c->cap_sids ? c->cap_sids * 2 : 16;
	struct dir_sid *grown;

	if (c->all || len > SID_BYTES_MAX)
		return;
	if (c->n_sids == c->cap_sids) {
		grown = c->n_sids < DIR_CHANGES_MAX ? reallocarray(c->sids, cap, sizeof(*grown))
						    : NULL;
		if (!grown) {
			c->all = true;
			return;
		}
		c->sids = grown;
		c->cap_sids = cap;
	}
	memcpy(c->sids[c->n_sids].bytes, sid, len);
	c->sids[c->n_sids++].len = len;
}

bool dir_changes_any(const struct dir_changes *c)
{
	return c->all || c->accounts.n || c->groups.n || c->n_sids;
}

void dir_changes_fini(struct dir_changes *c)
{
	free(c->accounts.list);
	free(c->groups.list);
	free(c->sids);
	*c = (struct dir_changes){ .all = false };
}
