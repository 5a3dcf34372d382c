/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * store_sql.h - the database file: schema, transactions, queries
 *
 * The whole of sqlite3 that svm-idfw uses: store_sql.c opens and writes, store_read.c reads,
 * store_dir.c does both for accounts and their groups. A connection belongs to one thread: the
 * writer has one, the loop a read-only one.
 */
#ifndef SVM_IDFW_STORE_SQL_H
#define SVM_IDFW_STORE_SQL_H

#include "svm-idfw/store.h"
#include "svm-idfw/store_rec.h"

#define STORE_VERSION 7 /* user_version that this program writes */
#define STORE_WHY_MAX 256
#define STORE_GROUPS_MAX (1u << 18) /* groups of all accounts, of all directories */

struct store_sql;

/*
 * store_sql_open - the writer's connection; makes and migrates the file
 * @why: says what is wrong, on every error
 * Errors: -GI_EVERSION (written by a newer program), -EBADF (not a database of ours), -errno
 */
GI_MUST_CHECK int store_sql_open(const char *path, char why[STORE_WHY_MAX], struct store_sql **ret);
GI_MUST_CHECK int store_sql_open_reader(
	const char *path, char why[STORE_WHY_MAX], struct store_sql **ret);
void store_sql_close(struct store_sql *db); /* NULL is fine */

/*
 * store_sql_write - one transaction with all of the list, or nothing
 * @ret_refused: records that the database refuses for good (they are left out)
 * Errors: -ENOSPC (disk full), -EIO (any other); the same list may be tried again
 */
GI_MUST_CHECK int store_sql_write(struct store_sql *db, const struct store_rec *list, size_t n,
	size_t *ret_refused, char why[STORE_WHY_MAX]);
GI_MUST_CHECK int store_sql_put_policy(struct store_sql *db, uint64_t generation, const char *by,
	uint64_t time_ms, const char *text, size_t len, char why[STORE_WHY_MAX]);

/* ---- reading ---- */

GI_MUST_CHECK int store_sql_get_policy(
	struct store_sql *db, uint64_t *ret_generation, char **ret_text, size_t *ret_len);
GI_MUST_CHECK int store_sql_policy_info(
	struct store_sql *db, uint64_t generation, uint64_t *ret_time_ms, char **ret_by);
GI_MUST_CHECK int store_sql_sessions(struct store_sql *db, struct idfw_store_filter *f,
	int (*cb)(void *arg, const char *json_row), void *arg);
GI_MUST_CHECK int store_sql_audit(struct store_sql *db, struct idfw_store_filter *f,
	int (*cb)(void *arg, const char *json_row), void *arg);

struct store_load_ops { /* each: 0, or negative to stop */
	int (*vm)(void *arg, const char *name, const uint8_t boot_id[16], uint64_t seq);
	int (*principal)(void *arg, const struct idfw_principal *p);
	int (*session)(void *arg, const char *vm, const Idfw__Session *s, const uint8_t boot_id[16],
		uint64_t db_id, uint64_t seen_ms, bool kicked);
	/* NULL: not wanted */
	/* before principals and sessions; the latest first */
	void (*as_of)(void *arg, const struct idfw_as_of *as_of);
	int (*isolation)(void *arg, const char *vm, const struct idfw_isolation *i);
	/* the last IDFW_RECENT_MAX that are over, oldest first */
	int (*recent)(void *arg, const char *vm, const struct idfw_store_recent *r);
	/* all that are over, isolated, in their VM's boot, and may have left processes behind */
	int (*left)(void *arg, const char *vm, const struct idfw_store_recent *r);
	int (*outbox)(void *arg, const uint8_t id[16], uint64_t seq);
	void (*next_db_id)(void *arg, uint64_t next);
};
GI_MUST_CHECK int store_sql_load(struct store_sql *db, const struct store_load_ops *ops, void *arg);
/* why that failed, and what to do about it */
void store_sql_why_load(struct store_sql *db, int err, char why[STORE_WHY_MAX]);
/* store.c: the same on the store's own reader */
GI_MUST_CHECK int idfw_store_read(
	struct idfw_store *s, const struct store_load_ops *ops, void *arg);

#endif
