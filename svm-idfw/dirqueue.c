/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirqueue.c - lookups that wait for the directory: bounded, one a principal, in order
 *
 * Pure memory of dir.c in svm-idfw's process. Keys come from guests, so the table is bounded by the
 * caller's maximum. Invariant: an entry is in by_key always, in by_id exactly while it runs, and in
 * one of the lists.
 */
#include "svm-idfw/dirqueue.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "svm-idfw/sid.h"

static void ask_forget(struct dir_ask *a);
static void ask_unlink(struct dir_queue *q, struct dir_ask *a);
static void ask_unlist(struct dir_queue *q, struct dir_ask *a);
static int ask_text(char **slot, const char *text);
static int ask_sid(char **slot, const ProtobufCBinaryData *sid);
static int ask_group(struct dir_ask *a, const Idfw__DirGroup *g);

void dir_queue_init(struct dir_queue *q, size_t max)
{
	*q = (struct dir_queue){ .max = max, .next_id = 1 };
}

void dir_queue_fini(struct dir_queue *q)
{
	struct dir_ask *a;

	while ((a = dir_queue_take(q)) != NULL)
		dir_ask_free(a);
}

int dir_queue_put(
	struct dir_queue *q, const char *key, const char *name, const char *sid, bool first)
{
	return dir_queue_put_members(q, key, name, sid, NULL, first);
}

void dir_queue_hurry(struct dir_queue *q, const char *key)
{
	struct dir_ask *a = NULL;

	HASH_FIND_STR(q->by_key, key, a);
	if (!a || a->first)
		return;
	if (!a->id) {
		DL_DELETE(q->waiting, a);
		DL_APPEND(q->fresh, a);
	}
	a->first = true;
}

int dir_queue_put_members(struct dir_queue *q, const char *key, const char *name, const char *sid,
	const char *members, bool first)
{
	struct dir_ask *a = NULL;

	HASH_FIND_STR(q->by_key, key, a);
	if (a) {
		a->again |= a->id != 0;
		if (first)
			dir_queue_hurry(q, key);
		return 0;
	}
	if (HASH_COUNT(q->by_key) >= q->max)
		return -GI_EFULL;
	a = calloc(1, sizeof(*a));
	if (!a)
		return -ENOMEM;
	a->key = strdup(key);
	a->name = strdup(name);
	a->sid = strdup(sid);
	a->members = members ? strdup(members) : NULL;
	if (!a->key || !a->name || !a->sid || (members && !a->members)) {
		dir_ask_free(a);
		return -ENOMEM;
	}
	a->first = first;
	HASH_ADD_KEYPTR(hh, q->by_key, a->key, strlen(a->key), a);
	if (a->first)
		DL_APPEND(q->fresh, a);
	else
		DL_APPEND(q->waiting, a);
	q->n_waiting++;
	return 0;
}

struct dir_ask *dir_queue_start(struct dir_queue *q)
{
	struct dir_ask *a = q->fresh ? q->fresh : q->waiting;

	if (!a)
		return NULL;
	ask_unlist(q, a);
	a->id = q->next_id++;
	DL_APPEND(q->running, a);
	q->n_running++;
	HASH_ADD(hh_id, q->by_id, id, sizeof(a->id), a);
	return a;
}

struct dir_ask *dir_queue_running(struct dir_queue *q, uint64_t id)
{
	struct dir_ask *a = NULL;

	HASH_FIND(hh_id, q->by_id, &id, sizeof(id), a);
	return a;
}

int dir_queue_finish(struct dir_queue *q, struct dir_ask *a)
{
	ask_unlink(q, a);
	return a->again ? dir_queue_put_members(q, a->key, a->name, a->sid, a->members, a->first)
			: 0;
}

void dir_queue_again(struct dir_queue *q, struct dir_ask *a)
{
	HASH_DELETE(hh_id, q->by_id, a);
	DL_DELETE(q->running, a);
	q->n_running--;
	a->id = 0;
	a->again = false;
	ask_forget(a);
	if (a->first)
		DL_PREPEND(q->fresh, a);
	else
		DL_PREPEND(q->waiting, a);
	q->n_waiting++;
}

struct dir_ask *dir_queue_take(struct dir_queue *q)
{
	struct dir_ask *a = q->running ? q->running : q->fresh ? q->fresh : q->waiting;

	if (a)
		ask_unlink(q, a);
	return a;
}

void dir_ask_free(struct dir_ask *a)
{
	if (!a)
		return;
	ask_forget(a);
	free(a->key);
	free(a->name);
	free(a->sid);
	free(a->members);
	free(a);
}

int dir_ask_part(struct dir_ask *a, const Idfw__DirResult *r)
{
	size_t i;
	int err;

	a->found.presence = r->status == IDFW__DIR_RESULT__STATUS__OK ? IDFW_P_FOUND
			    : r->status == IDFW__DIR_RESULT__STATUS__UNAVAILABLE
				    ? IDFW_P_UNAVAILABLE
				    : IDFW_P_NOT_FOUND;
	a->found.account.state = r->account_state;
	a->found.account.expires_ms = r->expires_ms;
	a->found.ambiguous = r->status == IDFW__DIR_RESULT__STATUS__AMBIGUOUS;
	if (r->guid.len == sizeof(a->found.guid))
		memcpy(a->found.guid, r->guid.data, sizeof(a->found.guid));
	err = ask_text(&a->found.name, r->name);
	if (err == 0)
		err = ask_text(&a->found.dn, r->dn);
	if (err == 0)
		err = ask_text(&a->found.upn, r->upn);
	if (err == 0)
		err = ask_sid(&a->found.sid, &r->sid);
	for (i = 0; err == 0 && i < r->n_group; i++)
		err = ask_group(a, r->group[i]);
	return err;
}

/* the parts that were gathered */
static void ask_forget(struct dir_ask *a)
{
	size_t i;

	for (i = 0; i < a->found.n_groups; i++) {
		free(a->found.groups[i].name);
		free(a->found.groups[i].dn);
		free(a->found.groups[i].sid);
	}
	free(a->found.groups);
	free(a->found.name);
	free(a->found.upn);
	free(a->found.dn);
	free(a->found.sid);
	a->found = (struct idfw_principal){ .name = NULL };
	a->cap_groups = 0;
}

static void ask_unlink(struct dir_queue *q, struct dir_ask *a)
{
	HASH_DELETE(hh, q->by_key, a);
	if (a->id) {
		HASH_DELETE(hh_id, q->by_id, a);
		DL_DELETE(q->running, a);
		q->n_running--;
	} else {
		ask_unlist(q, a);
	}
}

/* out of the list in which it waits */
static void ask_unlist(struct dir_queue *q, struct dir_ask *a)
{
	if (a->first)
		DL_DELETE(q->fresh, a);
	else
		DL_DELETE(q->waiting, a);
	q->n_waiting--;
}

static int ask_text(char **slot, const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		return -ENOMEM;
	free(*slot);
	*slot = copy;
	return 0;
}

static int ask_sid(char **slot, const ProtobufCBinaryData *sid)
{
	char text[SID_TEXT_MAX] = "";
	int err = sid->len ? sid_to_text(sid->data, sid->len, text) : 0;

	return err < 0 ? err : ask_text(slot, text);
}

static int ask_group(struct dir_ask *a, const Idfw__DirGroup *g)
{
	struct idfw_group *grown, *slot;
	int err;

	if (a->found.n_groups >= DIR_ASK_GROUPS_MAX)
		return -GI_ELIMIT;
	if (a->found.n_groups == a->cap_groups) {
		size_t cap = a->cap_groups ? a->cap_groups * 2 : 64;

		grown = reallocarray(a->found.groups, cap, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		a->found.groups = grown;
		a->cap_groups = cap;
	}
	slot = &a->found.groups[a->found.n_groups++];
	*slot = (struct idfw_group){ .name = NULL };
	if (g->guid.len == sizeof(slot->id))
		memcpy(slot->id, g->guid.data, sizeof(slot->id));
	err = ask_text(&slot->name, g->name);
	if (err == 0)
		err = ask_text(&slot->dn, g->dn);
	if (err == 0)
		err = ask_sid(&slot->sid, &g->sid);
	return err;
}
