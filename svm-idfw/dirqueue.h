/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirqueue.h - lookups that wait for the directory: bounded, one a principal, in order
 *
 * Pure; dir.c's memory. Those that somebody waits for go first: a login, while
 * the others are looked up again after a change, perhaps thousands of them. An entry is either
 * waiting or running (sent to the child, by number), and gathers the parts of its answer until the
 * last one.
 */
#ifndef SVM_IDFW_DIRQUEUE_H
#define SVM_IDFW_DIRQUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/base/err.h"
#include "svm-idfw/engine.h"

struct dir_ask {
	char *key, *name, *sid; /* owned */
	char *members;		/* owned; SIDs as text, a blank between; NULL: a lookup by name */
	uint64_t id;		/* while it runs; 0: it waits */
	uint64_t sent_us;	/* dirask.c's: monotonic */
	bool first;		/* somebody waits for it */
	bool again;		/* asked for once more while it ran */
	bool tried;		/* went down with a server before: not a third time */
	struct idfw_principal found; /* gathered parts; texts owned */
	size_t cap_groups;
	struct dir_ask *prev, *next; /* of the waiting or the running list */
	UT_hash_handle hh, hh_id;
};

struct dir_queue {
	size_t max;
	uint64_t next_id;
	struct dir_ask *by_key, *by_id;
	struct dir_ask *fresh, *waiting,
		*running; /* utlist, oldest first; fresh ones before waiting ones */
	size_t n_waiting, n_running;
};

void dir_queue_init(struct dir_queue *q, size_t max);
void dir_queue_fini(struct dir_queue *q);
/* 0 (also when it is there already), -GI_EFULL, -ENOMEM */
GI_MUST_CHECK int dir_queue_put(
	struct dir_queue *q, const char *key, const char *name, const char *sid, bool first);
/* the same: which groups are these SIDs in? @members: see struct dir_ask */
GI_MUST_CHECK int dir_queue_put_members(struct dir_queue *q, const char *key, const char *name,
	const char *sid, const char *members, bool first);
/* from now on somebody waits for it */
void dir_queue_hurry(struct dir_queue *q, const char *key);
/* oldest waiting one, now running; NULL: none waits. Borrowed */
struct dir_ask *dir_queue_start(struct dir_queue *q);
struct dir_ask *dir_queue_running(struct dir_queue *q, uint64_t id); /* borrowed or NULL */
/* its answer is known: unlinked, now the caller's, dir_ask_free(); asked again meanwhile: a copy
 * waits */
GI_MUST_CHECK int dir_queue_finish(struct dir_queue *q, struct dir_ask *a);
/* the server that was asked is gone: a running one waits again, in front; what came is forgotten */
void dir_queue_again(struct dir_queue *q, struct dir_ask *a);
/* takes out any, running first; NULL when empty; the caller's */
struct dir_ask *dir_queue_take(struct dir_queue *q);
void dir_ask_free(struct dir_ask *a);

#define DIR_ASK_GROUPS_MAX 20000 /* of one answer, all parts */
/* one part of an answer; 0, -GI_EPROTO (SID, GUID), -GI_ELIMIT, -ENOMEM */
GI_MUST_CHECK int dir_ask_part(struct dir_ask *a, const Idfw__DirResult *r);

#endif
