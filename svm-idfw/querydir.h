/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * querydir.h - what the verbs about directories share: rows that come when they come
 *
 * Private to querydir.c (rows), querydirstat.c (status), querylookup.c and querygroups.c (questions
 * to a child of its own), querysync.c (waits for the ordinary one); all run in svm-idfw's loop.
 */
#ifndef SVM_IDFW_QUERYDIR_H
#define SVM_IDFW_QUERYDIR_H

#include "svm-idfw/dirquery.h"
#include "svm-idfw/dirqueue.h"
#include "svm-idfw/query_int.h"

#define QUERY_DIR_HELD_MAX (1u << 20) /* bytes of rows; more: the child is paused */
#define QUERY_DIR_NAMES_BYTES                                              \
	(12u << 10) /* of names in one list: two of them fit a row's frame \
		     */

struct query_groups; /* querygroups.c */
struct query_sync;   /* querysync.c */

struct query_dir {
	struct query *q;
	struct dir_query *ask; /* owned; NULL: nothing more comes from it */
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
	struct query_groups *groups;	  /* owned */
	struct query_sync *sync;	  /* owned; it is over when NULL */
};

/* of this query, made when there is none; NULL: no memory, and q says so */
struct query_dir *query_dir_of(struct query *q);
/* takes @row, also NULL (no memory: said at the end); whoever waits is woken */
void query_dir_row(struct query_dir *d, json_t *row);
/* the question is over; the child is not there any more */
void query_dir_over(struct query_dir *d);
/* appends a name to a list of a row, as long as it has room; @bytes: so far, in and out. 0 at first
 */
void query_dir_name(json_t *list, const char *name, size_t *bytes);
/* of a path or cycle: at most WIRE_DIR_PATH_MAX of WIRE_USER_MAX bytes, which is 33 KiB of JSON */
json_t *query_dir_names(char *const *names, size_t n);
/* what kind of group, by DIR_NODE_* */
const char *query_dir_kind(uint32_t flags);
/* of argument @at, or all when it is not there: "directory=NAME"; false: q says what is wrong */
bool query_dir_only(struct query *q, size_t at, const char **ret_label);
void query_groups_free(struct query_groups *g); /* NULL is fine */
void query_sync_free(struct query_sync *s);	/* NULL is fine */
/* takes a place among those that ask, and starts the child; false: q says why not */
bool query_dir_start(struct query_dir *d, struct idfw_dir *dir, const struct dir_query_ops *ops);

#endif
