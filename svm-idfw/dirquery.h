/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirquery.h - one question of an operator to a directory, by a directory child of its own
 *
 * Lookups of logins never wait for it: `svm-idfw --directory-query LABEL -c FILE URI` is a second
 * directory child, with connections of its own, that lives as long as the question. This is its
 * parent's side, in svm-idfw's loop: it starts the child, hands on what it says, and kills it when
 * it is silent for longer than the directory's deadline, or nobody wants the answer any more.
 * Source: docs/directory.md "Asking by hand".
 */
#ifndef SVM_IDFW_DIRQUERY_H
#define SVM_IDFW_DIRQUERY_H

#include "lib/io/loop.h"
#include "lib/wire/wire.h"
#include "svm-idfw/dir.h"

#define DIR_QUERIES_MAX 2     /* at a time */
#define DIR_QUERIES_SECOND 20 /* started in one: a fork of svm-idfw takes its loop some ms */

struct dir_query;

#define DIR_SYNCS_MAX 8 /* that are waited for (querysync.c), each with its walks over accounts */

struct dir_queries { /* all of them; those that were killed count until they are reaped */
	struct io_loop *loop;
	unsigned int n, started, syncs;
	uint64_t second_ms;	 /* when that began, in which so many were started */
	struct dir_query *dying; /* owned */
};

void dir_queries_init(struct dir_queries *all, struct io_loop *l);
/* at the end, when all are freed: waits for those that were killed */
void dir_queries_fini(struct dir_queries *all);

struct dir_query_ops { /* from the loop; each may free the query */
	/* it is connected: now it may be asked; once */
	void (*ready)(void *arg);
	/* parts of an answer, borrowed for the call */
	void (*result)(void *arg, const Idfw__DirResult *r);
	void (*report)(void *arg, const Idfw__DirReport *r);
	/* there will be no (more) answer; once. @why: for a human */
	void (*failed)(void *arg, const char *why);
};

/* starts the child; @place: borrowed for the call. Errors: -EBUSY (too many), as
 * io_child_start(), -ENOMEM */
GI_MUST_CHECK int dir_query_new(struct dir_queries *all, const struct idfw_dir_place *place,
	const struct dir_query_ops *ops, void *arg, struct dir_query **ret);
/* kills the child, which the loop reaps; NULL is fine */
void dir_query_free(struct dir_query *q);
/* after ready(): an ordinary lookup; result() follows. Errors: -GI_EPROTO (no name), -GI_EFULL,
 * -ENOMEM */
GI_MUST_CHECK int dir_query_lookup(struct dir_query *q, const char *name);
/* one part of another question; report() follows the last. Errors: the same, -GI_ELIMIT */
GI_MUST_CHECK int dir_query_ask(struct dir_query *q, const Idfw__DirQuery *ask);
/* no more parts until @pause is false; its silence does not count meanwhile */
void dir_query_pause(struct dir_query *q, bool pause);

#endif
