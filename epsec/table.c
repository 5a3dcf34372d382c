/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * table.c - things by number, chained, the link inside the thing (table.h)
 *
 * In libepsec, for events and verdicts of one guest, and for VMs. Multiplicative hashing with a
 * secret odd factor: the upper bits choose the chain.
 */
#include "epsec/table.h"

#include <stdlib.h>
#include <sys/random.h>

#define TABLE_BITS_FIRST 4
#define TABLE_BITS_MAX 20

static struct eps_node **slot(const struct eps_table *t, uint64_t key)
{
	if (!t->slots)
		return (struct eps_node **)(uintptr_t)&t->one;
	return &t->slots[(key * t->mix) >> (64 - t->bits)];
}

void eps_table_init(struct eps_table *t)
{
	*t = (struct eps_table){ 0 };
	if (getrandom(&t->mix, sizeof(t->mix), GRND_NONBLOCK) != (ssize_t)sizeof(t->mix))
		t->mix = 0x9e3779b97f4a7c15u;
	t->mix |= 1;
}

void eps_table_fini(struct eps_table *t)
{
	free(t->slots);
	t->slots = NULL;
	t->one = NULL;
	t->count = 0;
}

static void grow(struct eps_table *t)
{
	unsigned int bits = t->slots ? t->bits + 1 : TABLE_BITS_FIRST;
	struct eps_table old = *t;
	struct eps_node **slots, *n, *next;
	size_t n_old = old.slots ? (size_t)1 << old.bits : 1;

	if (bits > TABLE_BITS_MAX)
		return;
	slots = calloc((size_t)1 << bits, sizeof(struct eps_node *));
	if (!slots)
		return;
	t->slots = slots;
	t->bits = bits;
	t->one = NULL;
	for (size_t i = 0; i < n_old; i++) {
		for (n = old.slots ? old.slots[i] : old.one; n; n = next) {
			struct eps_node **head = slot(t, n->key);

			next = n->next;
			n->next = *head;
			*head = n;
		}
	}
	free(old.slots);
}

void eps_table_add(struct eps_table *t, struct eps_node *n)
{
	struct eps_node **head;

	if (t->count >= (t->slots ? (size_t)1 << t->bits : 2))
		grow(t);
	head = slot(t, n->key);
	n->next = *head;
	*head = n;
	t->count++;
}

struct eps_node *eps_table_find(const struct eps_table *t, uint64_t key)
{
	struct eps_node *n = *slot(t, key);

	while (n && n->key != key)
		n = n->next;
	return n;
}

void eps_table_remove(struct eps_table *t, struct eps_node *n)
{
	struct eps_node **at = slot(t, n->key);

	while (*at != n)
		at = &(*at)->next;
	*at = n->next;
	t->count--;
}

struct eps_node *eps_table_take(struct eps_table *t)
{
	size_t n_slots = t->slots ? (size_t)1 << t->bits : 1;
	struct eps_node *all = NULL, *n, *next;

	for (size_t i = 0; i < n_slots && t->count > 0; i++) {
		for (n = t->slots ? t->slots[i] : t->one; n; n = next) {
			next = n->next;
			n->next = all;
			all = n;
			t->count--;
		}
	}
	eps_table_fini(t);
	return all;
}

void eps_table_each(const struct eps_table *t, void (*fn)(struct eps_node *n, void *arg), void *arg)
{
	size_t n_slots = t->slots ? (size_t)1 << t->bits : 1;
	struct eps_node *n, *next;

	for (size_t i = 0; i < n_slots; i++)
		for (n = t->slots ? t->slots[i] : t->one; n; n = next) {
			next = n->next;
			fn(n, arg);
		}
}
