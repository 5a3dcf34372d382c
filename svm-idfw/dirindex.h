/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirindex.h - things by a 64-bit number that several may have: a table of chains
 *
 * Pure; lives in the directory child: groups (dirmember.h) and accounts (dirseen.h) by what they
 * are called as a member. What is in it has a node in itself: 16 bytes, and 8 of the table.
 * Numbers are hashes already. Adding cannot fail: without memory chains get longer.
 */
#ifndef SVM_IDFW_DIRINDEX_H
#define SVM_IDFW_DIRINDEX_H

#include <stddef.h>
#include <stdint.h>

struct dir_index_node {
	uint64_t key;
	struct dir_index_node *next;
};

struct dir_index {		       /* zero is empty */
	struct dir_index_node **chain; /* owned */
	size_t n_chains, n;
	struct dir_index_node *few; /* as long as there is no table */
};

void dir_index_add(struct dir_index *x, struct dir_index_node *node, uint64_t key);
void dir_index_drop(struct dir_index *x, struct dir_index_node *node);
/* the next one with @key, after @at (NULL: the first) */
struct dir_index_node *dir_index_next(
	const struct dir_index *x, uint64_t key, const struct dir_index_node *at);
void dir_index_fini(struct dir_index *x); /* nothing is in it any more */

#endif
