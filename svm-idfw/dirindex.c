/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirindex.c - things by a 64-bit number that several may have: a table of chains
 *
 * Pure; lives in the directory child. Invariant: a chain for each thing at least, as far as there
 * was memory; the upper bits of the number choose it (the lower ones may be the same in all).
 */
#include "svm-idfw/dirindex.h"

#include <stdlib.h>

#define INDEX_FIRST 256

static struct dir_index_node **chain_of(const struct dir_index *x, uint64_t key)
{
	return x->n_chains ? &x->chain[(key >> 32 ^ key >> 24) & (x->n_chains - 1)]
			   : (struct dir_index_node **)(uintptr_t)&x->few;
}

static void put(const struct dir_index *x, struct dir_index_node *node)
{
	struct dir_index_node **at = chain_of(x, node->key);

	node->next = *at;
	*at = node;
}

static void grow(struct dir_index *x)
{
	size_t n = x->n_chains ? 2 * x->n_chains : INDEX_FIRST;
	struct dir_index bigger = { .n_chains = n, .n = x->n };
	struct dir_index_node *node, *next;

	bigger.chain = calloc(n, sizeof(struct dir_index_node *));
	if (!bigger.chain)
		return;
	for (size_t i = 0; i < (x->n_chains ? x->n_chains : 1); i++)
		for (node = x->n_chains ? x->chain[i] : x->few; node; node = next) {
			next = node->next;
			put(&bigger, node);
		}
	free(x->chain);
	*x = bigger;
}

void dir_index_add(struct dir_index *x, struct dir_index_node *node, uint64_t key)
{
	if (x->n >= x->n_chains)
		grow(x);
	node->key = key;
	put(x, node);
	x->n++;
}

void dir_index_drop(struct dir_index *x, struct dir_index_node *node)
{
	struct dir_index_node **at = chain_of(x, node->key);

	while (*at && *at != node)
		at = &(*at)->next;
	if (!*at)
		return;
	*at = node->next;
	x->n--;
}

struct dir_index_node *dir_index_next(
	const struct dir_index *x, uint64_t key, const struct dir_index_node *at)
{
	struct dir_index_node *node = at ? at->next : *chain_of(x, key);

	while (node && node->key != key)
		node = node->next;
	return node;
}

void dir_index_fini(struct dir_index *x)
{
	free(x->chain);
	*x = (struct dir_index){ .n = 0 };
}
