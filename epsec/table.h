/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * table.h - things by number, chained, the link inside the thing
 *
 * For ids that guests choose and hashes of names: keys are mixed with a random number, so nobody
 * outside can aim at one chain. Grows by doubling; when there is no memory for that it stays as
 * it is, so adding never fails. Not thread-safe.
 */
#ifndef EPSEC_TABLE_H
#define EPSEC_TABLE_H

#include <stddef.h>
#include <stdint.h>
#include "lib/base/err.h"

struct eps_node {
	struct eps_node *next;
	uint64_t key;
};

struct eps_table {
	struct eps_node **slots; /* owned; NULL until the first one is added */
	unsigned int bits;
	size_t count;
	uint64_t mix;	      /* odd */
	struct eps_node *one; /* the only chain while there are no slots */
};

void eps_table_init(struct eps_table *t);
void eps_table_fini(struct eps_table *t); /* the things are the owner's */
void eps_table_add(struct eps_table *t, struct eps_node *n);
struct eps_node *eps_table_find(const struct eps_table *t, uint64_t key);
void eps_table_remove(struct eps_table *t, struct eps_node *n); /* must be in there */
/* empties it: all that were in there, by next */
struct eps_node *eps_table_take(struct eps_table *t);
/* each once; @fn may remove the one that it is given, and nothing else */
void eps_table_each(
	const struct eps_table *t, void (*fn)(struct eps_node *n, void *arg), void *arg);

#endif
