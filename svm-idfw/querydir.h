/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * querydir.h - what the verbs about directories share: rows that come when they come
 *
 * Private to querydir.c (rows, status) and querylookup.c (a question to a child of its own); both
 * run in svm-idfw's loop.
 */
#ifndef SVM_IDFW_QUERYDIR_H
#define SVM_IDFW_QUERYDIR_H

#include "svm-idfw/dirquery.h"
#include "svm-idfw/dirqueue.h"
#include "svm-idfw/query_int.h"

#define QUERY_DIR_HELD_MAX (1u << 20) /* bytes of rows; more: the child is paused */

struct query_dir {
	struct query *q;
	struct dir_query *ask; /* owned; NULL: nothing more comes */
	bool counted;	       /* in env.dir_queries */
	char **rows;	       /* owned, as text; [at, n) are still to be given */
	size_t n, at, cap, held;
	/* a lookup */
	char name[DIR_NAME_MAX + 1]; /* as directories know it */
	char names_in[GI_NAME_MAX +
		      1]; /* directory of names without a domain; "" as the blocks say */
	struct dir_route route;
	size_t route_at;
	const char *label; /* of who is asked now; borrowed from the configuration */
	bool trace;
	uint32_t revokes;		  /* states of an account that take its groups away */
	struct dir_ask *answer;		  /* owned */
	const struct idfw_group **sorted; /* owned: its groups, while they are traced */
	bool *reached;			  /* owned: of each of them, the trace has it */
};

/* of this query, made when there is none; NULL: no memory, and q says so */
struct query_dir *query_dir_of(struct query *q);
/* takes @row, also NULL (no memory: said at the end); whoever waits is woken */
void query_dir_row(struct query_dir *d, json_t *row);
/* the question is over; the child is not there any more */
void query_dir_over(struct query_dir *d);
/* takes a place among those that ask, and starts the child; false: q says why not */
bool query_dir_start(struct query_dir *d, struct idfw_dir *dir, const struct dir_query_ops *ops);

#endif
