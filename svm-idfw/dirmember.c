/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirmember.c - who is in which group: a compact picture, to tell what a change of a group was
 *
 * Pure; lives in the directory child. Invariants: a group's hashes are sorted, each once; at most
 * DIR_MEMBERS_MAX in all, a group that does not fit is not kept (its next change then means
 * everybody who is in it).
 */
#include "svm-idfw/dirmember.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/hash.h"

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

void dir_members_init(struct dir_members *m, const uint64_t key[2])
{
	*m = (struct dir_members){ .key = { key[0], key[1] } };
}

static void group_free(struct dir_members *m, struct dir_member_group *g)
{
	m->n_values -= g->n;
	HASH_DEL(m->groups, g);
	free(g);
}

void dir_members_fini(struct dir_members *m)
{
	struct dir_member_group *g, *next;

	HASH_ITER (hh, m->groups, g, next)
		group_free(m, g);
}

uint64_t dir_member_hash(const struct dir_members *m, uint8_t kind, const void *value, size_t len)
{
	const uint64_t key[2] = { m->key[0] ^ kind, m->key[1] };

	return gi_siphash(key, value, len);
}

int dir_member_list_add(struct dir_member_list *l, uint64_t hash)
{
	size_t cap = l->cap ? l->cap * 2 : 64;
	uint64_t *grown;

	if (l->n == DIR_MEMBERS_MAX)
		return -GI_ELIMIT;
	if (l->n == l->cap) {
		grown = reallocarray(l->hash, cap, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		l->hash = grown;
		l->cap = cap;
	}
	l->hash[l->n++] = hash;
	return 0;
}

void dir_member_list_fini(struct dir_member_list *l)
{
	free(l->hash);
	*l = (struct dir_member_list){ .n = 0 };
}

struct dir_member_group *dir_members_find(const struct dir_members *m, const uint8_t id[16])
{
	struct dir_member_group *g;

	HASH_FIND(hh, m->groups, id, 16, g);
	return g;
}

bool dir_member_has(const struct dir_member_group *g, uint64_t hash)
{
	return g && g->n && bsearch(&hash, g->hash, g->n, sizeof(hash), by_value);
}

static void list_sort(struct dir_member_list *l)
{
	size_t i, n = 0;

	if (l->n)
		qsort(l->hash, l->n, sizeof(*l->hash), by_value);
	for (i = 0; i < l->n; i++)
		if (n == 0 || l->hash[i] != l->hash[n - 1])
			l->hash[n++] = l->hash[i];
	l->n = n;
}

/* both sorted */
static size_t removed(const struct dir_member_group *old, const struct dir_member_list *now)
{
	size_t i = 0, k = 0, n = 0;

	for (i = 0; old && i < old->n; i++) {
		while (k < now->n && now->hash[k] < old->hash[i])
			k++;
		n += k == now->n || now->hash[k] != old->hash[i];
	}
	return n;
}

size_t dir_members_removed(
	const struct dir_members *m, const uint8_t id[16], struct dir_member_list *list)
{
	list_sort(list);
	return removed(dir_members_find(m, id), list);
}

int dir_members_put(
	struct dir_members *m, const struct dir_member_group *head, struct dir_member_list *list)
{
	struct dir_member_group *old = dir_members_find(m, head->id), *g;

	list_sort(list);
	if (old)
		group_free(m, old);
	if (m->n_values + list->n > DIR_MEMBERS_MAX ||
		HASH_COUNT(m->groups) >= DIR_MEMBER_GROUPS_MAX)
		return -GI_ELIMIT;
	g = malloc(sizeof(*g) + list->n * sizeof(g->hash[0]));
	if (!g)
		return -ENOMEM;
	memcpy(g, head, sizeof(*g));
	g->n = list->n;
	g->pass = m->pass;
	if (list->n)
		memcpy(g->hash, list->hash, list->n * sizeof(g->hash[0]));
	m->n_values += g->n;
	HASH_ADD(hh, m->groups, id, sizeof(g->id), g);
	return 0;
}

void dir_members_drop(struct dir_members *m, const uint8_t id[16])
{
	struct dir_member_group *g = dir_members_find(m, id);

	if (g)
		group_free(m, g);
}

void dir_members_pass(struct dir_members *m)
{
	m->pass++;
}

void dir_members_mark(struct dir_members *m, struct dir_member_group *g)
{
	g->pass = m->pass;
}

void dir_members_sweep(
	struct dir_members *m, void (*gone)(void *arg, const uint8_t id[16]), void *arg)
{
	struct dir_member_group *g, *next;

	HASH_ITER (hh, m->groups, g, next) {
		if (g->pass == m->pass)
			continue;
		gone(arg, g->id);
		group_free(m, g);
	}
}
