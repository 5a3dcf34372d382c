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

#define MEMBER_NEAR 256
#define MEMBER_DN_MAX 512 /* longer ones are not looked at letter by letter */

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* hashes lie where their size says, nearly: nine looks beside each other, whatever the size */
static bool find(const struct dir_member_group *g, uint64_t hash, size_t *ret)
{
	size_t n = g ? g->n : 0, at, low, high;

	if (!n)
		return false;
	at = (size_t)((unsigned __int128)hash * n >> 64);
	low = at > MEMBER_NEAR ? at - MEMBER_NEAR : 0;
	high = n - at > MEMBER_NEAR ? at + MEMBER_NEAR : n;
	if (g->hash[low] > hash) {
		high = low;
		low = 0;
	} else if (high < n && g->hash[high] <= hash) {
		low = high;
		high = n;
	}
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (g->hash[middle] < hash)
			low = middle + 1;
		else
			high = middle;
	}
	*ret = low;
	return low < n && g->hash[low] == hash;
}

void dir_members_init(struct dir_members *m, const uint64_t key[2])
{
	*m = (struct dir_members){ .key = { key[0], key[1] } };
}

static void group_free(struct dir_members *m, struct dir_member_group *g)
{
	m->n_values -= g->n;
	m->n_odd -= !(g->as_member & DIR_MEMBER_PLAIN);
	dir_index_drop(&m->called, &g->called);
	HASH_DEL(m->groups, g);
	free(g);
}

void dir_members_fini(struct dir_members *m)
{
	struct dir_member_group *g, *next;

	HASH_ITER (hh, m->groups, g, next)
		group_free(m, g);
	dir_index_fini(&m->called);
}

uint64_t dir_member_hash(const struct dir_members *m, const void *value, size_t len)
{
	return gi_siphash(m->key, value, len);
}

static uint64_t hash_of(
	const uint64_t of[2], enum dir_member_kind kind, const void *value, size_t len)
{
	const uint64_t key[2] = { of[0] ^ kind, of[1] };

	return gi_siphash(key, value, len);
}

uint64_t dir_member_text(
	const struct dir_members *m, enum dir_member_kind kind, const void *value, size_t len)
{
	return hash_of(m->key, kind, value, len) & ~DIR_MEMBER_PLAIN;
}

uint64_t dir_member_id(const uint64_t key[2], const uint8_t id[16], bool ours)
{
	uint64_t h = hash_of(key, DIR_MEMBER_ID, id, 16) & ~DIR_MEMBER_PLAIN;

	return ours ? h | DIR_MEMBER_PLAIN : h;
}

/* attributes of RDNs that are compared without case; each has other names that nobody uses here */
static bool plain_type(const char *type, size_t len)
{
	static const char *const names[] = { "uid", "cn", "ou", "dc", "o", "c", "l", "st" };

	for (size_t i = 0; i < GI_ARRAY_SIZE(names); i++)
		if (strlen(names[i]) == len && memcmp(names[i], type, len) == 0)
			return true;
	return false;
}

/* @dn: in small letters. What it says can be written in no other way */
static bool plain(const char *dn, size_t len)
{
	size_t at = 0, begin;

	do {
		for (begin = at; at < len && dn[at] != '='; at++)
			;
		if (at == len || !plain_type(dn + begin, at - begin))
			return false;
		for (begin = ++at; at < len && dn[at] != ','; at++)
			if (dn[at] < ' ' || dn[at] > '~' || memchr("\"+;<>\\=#", dn[at], 8) ||
				(dn[at] == ' ' && (at == begin || dn[at - 1] == ' ')))
				return false;
		if (at == begin || dn[at - 1] == ' ')
			return false;
	} while (at++ < len);
	return true;
}

uint64_t dir_member_dn(const uint64_t key[2], const char *dn, size_t len)
{
	uint64_t letters = 0, h;
	char fold[MEMBER_DN_MAX];

	if (len > sizeof(fold))
		return hash_of(key, DIR_MEMBER_DN, dn, len) & ~DIR_MEMBER_PLAIN;
	for (size_t i = 0; i < len; i++) {
		bool large = dn[i] >= 'A' && dn[i] <= 'Z';

		fold[i] = large ? (char)(dn[i] | 0x20) : dn[i];
		letters = large ? letters * 31 + i + 1 : letters;
	}
	h = hash_of(key, DIR_MEMBER_DN, fold, len);
	/* how the letters are written belongs to the value, not to whom it is */
	h ^= letters * 0x9e3779b97f4a7c15 >> 40;
	return plain(fold, len) ? h | DIR_MEMBER_PLAIN : h & ~DIR_MEMBER_PLAIN;
}

int dir_member_list_begin(struct dir_member_list *l, const struct dir_member_group *old)
{
	dir_member_list_fini(l);
	l->old = old && old->n ? old : NULL;
	if (l->old)
		l->still = calloc(1, old->n / 8 + 1);
	return l->old && !l->still ? -ENOMEM : 0;
}

int dir_member_list_add(struct dir_member_list *l, uint64_t hash, bool *ret_new)
{
	size_t cap = l->cap ? l->cap * 2 : 64, at;
	uint64_t *grown;

	if (ret_new)
		*ret_new = true;
	if (find(l->old, hash, &at)) {
		l->n_still += !(l->still[at / 8] & 1u << at % 8);
		l->still[at / 8] |= (uint8_t)(1u << at % 8);
		if (ret_new)
			*ret_new = false;
		return 0;
	}
	if (l->n + l->n_still >= DIR_MEMBERS_MAX)
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
	free(l->still);
	*l = (struct dir_member_list){ .n = 0 };
}

static bool still(const struct dir_member_list *l, size_t i)
{
	return l->still[i / 8] & 1u << i % 8;
}

struct dir_member_group *dir_members_find(const struct dir_members *m, const uint8_t id[16])
{
	struct dir_member_group *g;

	HASH_FIND(hh, m->groups, id, 16, g);
	return g;
}

bool dir_member_has(const struct dir_member_group *g, uint64_t hash)
{
	size_t at;

	return find(g, hash, &at);
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

size_t dir_member_list_gone(const struct dir_member_list *l, uint64_t *ret, size_t max)
{
	size_t n = 0, gone = l->old ? l->old->n - l->n_still : 0;

	for (size_t i = 0; n < gone && n < max; i++)
		if (!still(l, i))
			ret[n++] = l->old->hash[i];
	return gone;
}

/* what is still in it and what is new, ascending; how many */
static size_t merge(const struct dir_member_list *l, uint64_t *ret)
{
	size_t n = 0, k = 0;

	for (size_t i = 0; l->old && i < l->old->n; i++) {
		while (k < l->n && l->hash[k] < l->old->hash[i])
			ret[n++] = l->hash[k++];
		if (still(l, i))
			ret[n++] = l->old->hash[i];
	}
	for (; k < l->n; k++)
		ret[n++] = l->hash[k];
	return n;
}

int dir_members_put(
	struct dir_members *m, const struct dir_member_group *head, struct dir_member_list *list)
{
	struct dir_member_group *was = dir_members_find(m, head->id), *g = NULL;
	int err = -GI_ELIMIT;
	size_t n;

	list_sort(list);
	n = list->n + list->n_still;
	if (m->n_values - (was ? was->n : 0) + n <= DIR_MEMBERS_MAX &&
		(was || HASH_COUNT(m->groups) < DIR_MEMBER_GROUPS_MAX)) {
		g = malloc(sizeof(*g) + n * sizeof(g->hash[0]));
		err = g ? 0 : -ENOMEM;
	}
	if (g) {
		memcpy(g, head, sizeof(*g));
		g->n = merge(list, g->hash);
		g->pass = m->pass;
	}
	list->old = NULL;
	list->n_still = 0;
	if (was)
		group_free(m, was);
	if (!g)
		return err;
	m->n_values += g->n;
	m->n_odd += !(g->as_member & DIR_MEMBER_PLAIN);
	dir_index_add(&m->called, &g->called, g->as_member & DIR_MEMBER_WHO);
	HASH_ADD(hh, m->groups, id, sizeof(g->id), g);
	return 0;
}

const struct dir_member_group *dir_members_called(
	const struct dir_members *m, uint64_t hash, const struct dir_member_group *at)
{
	const struct dir_index_node *node =
		dir_index_next(&m->called, hash & DIR_MEMBER_WHO, at ? &at->called : NULL);

	return node ? (const struct dir_member_group *)((const char *)node -
							offsetof(struct dir_member_group, called))
		    : NULL;
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
