/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * store.h - the database: sessions, append-only audit, policy versions, principals' cache
 *
 * sqlite3, WAL, synchronous=FULL, one writer thread with group commit; the engine's thread only
 * copies a record into a bounded queue (STORE_QUEUE_MAX) and is told by an eventfd which event
 * numbers are durable. When the queue is full or the disk is: nothing is acknowledged to agents
 * (they keep it in their spools), the fact is logged once and counted, writing is tried again.
 * The audit table has no UPDATE and no DELETE (triggers refuse).
 */
#ifndef SVM_IDFW_STORE_H
#define SVM_IDFW_STORE_H

#include "lib/io/loop.h"
#include "svm-idfw/engine.h"

#define STORE_QUEUE_MAX 65536 /* records */
#define STORE_QUEUE_BYTES_MAX (64u << 20)
#define STORE_BATCH_MAX 1000 /* records in one transaction */

struct idfw_store;

struct idfw_store_ops {
	/* in the loop's thread: all records up to this event of this boot of this VM are on disk */
	void (*durable)(void *arg, const char *vm, const uint8_t boot_id[16], uint64_t seq);
	/* the same of svm-scan's records, by the outbox that numbered them; may be NULL */
	void (*scan_durable)(void *arg, const uint8_t outbox[16], uint64_t seq);
	/* state changes, for log and status: err 0 is well again */
	void (*state)(void *arg, int err, const char *why);
};

/* @path: database file; opens, creates, migrates by user_version; @ret_why: 256 bytes */
GI_MUST_CHECK int idfw_store_open(struct io_loop *l, const char *path,
	const struct idfw_store_ops *ops, void *arg, char ret_why[256], struct idfw_store **ret);
void idfw_store_close(struct idfw_store *s); /* flushes what is queued */
GI_MUST_CHECK int idfw_store_load(struct idfw_store *s,
	struct idfw_engine *e); /* restore_* calls; before the thread starts writing */
/* @err: of idfw_store_load(), in words with what to do; @ret_why: 256 bytes */
void idfw_store_why_load(struct idfw_store *s, int err, char ret_why[256]);
/* copies; -GI_EFULL: not taken (the caller counts; the agent sends the event again later) */
GI_MUST_CHECK int idfw_store_put(struct idfw_store *s, const struct idfw_record *r);
GI_MUST_CHECK int idfw_store_put_principal(struct idfw_store *s, const struct idfw_principal *p);
/* until when all live accounts of a directory were confirmed: idfw_engine_as_of() */
GI_MUST_CHECK int idfw_store_put_as_of(struct idfw_store *s, const struct idfw_as_of *as_of);
/* synchronous, rare: a committed policy must be on disk before it is used */
GI_MUST_CHECK int idfw_store_put_policy(struct idfw_store *s, uint64_t generation, const char *by,
	uint64_t time_ms, const char *text, size_t len);
/* newest policy: owned text; -GI_ENOTFOUND */
GI_MUST_CHECK int idfw_store_get_policy(
	struct idfw_store *s, uint64_t *ret_generation, char **ret_text, size_t *ret_len);
/* who committed it and when; @ret_by: owned text; -GI_ENOTFOUND */
GI_MUST_CHECK int idfw_store_policy_info(
	struct idfw_store *s, uint64_t generation, uint64_t *ret_time_ms, char **ret_by);

/*
 * reading for idfwctl, on a read-only connection of its own; newest first; cb returns non-zero to
 * stop. One call holds the loop up, so read a few hundred rows at a time: the filter remembers
 * where to go on.
 */
struct idfw_store_filter {
	const char *user, *vm;	 /* "" any */
	const char *kind;	 /* audit: of this kind only; NULL or "" any */
	const char *rule, *path; /* audit of kind "fim": this rule; paths that begin so; or NULL */
	uint64_t since_ms, until_ms; /* 0 open */
	uint64_t limit;		     /* rows; 0: 1000 */
	bool with_live;		     /* last: also sessions that are not over */
	uint64_t before_ms,
		before_id; /* in: only rows older than this (0: all); out: the last row given */
};
GI_MUST_CHECK int idfw_store_sessions(struct idfw_store *s, struct idfw_store_filter *f,
	int (*cb)(void *arg, const char *json_row), void *arg);
GI_MUST_CHECK int idfw_store_audit(struct idfw_store *s, struct idfw_store_filter *f,
	int (*cb)(void *arg, const char *json_row), void *arg);

struct idfw_store_stats {
	uint64_t records, commits, rejected_full;
	uint64_t errors; /* failed transactions, and records that the database refused for good */
	size_t queued;
	int err; /* 0: well; else why not */
	char why[256];
};
void idfw_store_stats(struct idfw_store *s, struct idfw_store_stats *ret);

#endif
