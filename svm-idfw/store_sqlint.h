/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * store_sqlint.h - what store_sql.c (writing), store_read.c (reading) and store_dir.c share; nobody
 * else includes it. The only file that includes sqlite3.h.
 */
#ifndef SVM_IDFW_STORE_SQLINT_H
#define SVM_IDFW_STORE_SQLINT_H

#include <sqlite3.h>
#include "svm-idfw/store_schema.h"
#include "svm-idfw/store_sql.h"

struct store_sql {
	sqlite3 *db;
	sqlite3_stmt *st[S_WRITER_COUNT];
	struct store_dir *dir; /* of the writer; NULL until an account is written */
};

static inline void sql_text(sqlite3_stmt *st, int i, const char *s)
{
	(void)sqlite3_bind_text(st, i, s, -1, SQLITE_STATIC);
}

static inline void sql_int(sqlite3_stmt *st, int i, uint64_t v)
{
	(void)sqlite3_bind_int64(st, i, (int64_t)v);
}

/* a statement without rows, ready for its next use; an SQLITE_ code */
static inline int sql_run(sqlite3_stmt *st)
{
	int rc = sqlite3_step(st), again;

	again = sqlite3_reset(st);
	return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : again != SQLITE_OK ? again : rc;
}

/* the first column of the first row */
GI_MUST_CHECK int store_sql_number(struct store_sql *db, const char *query, int64_t *ret);

/*
 * store_dir_write - an account and its groups, in the writer's transaction
 * Errors: an SQLITE_ code; -GI_ELIMIT: it would be more than STORE_GROUPS_MAX groups
 */
GI_MUST_CHECK int store_dir_write(struct store_sql *db, const struct store_rec *r);
void store_dir_end(struct store_sql *db, bool committed); /* of each of its transactions */
void store_dir_free(struct store_sql *db);
/* all accounts with their groups, in a transaction; -EBADF: not what we wrote */
GI_MUST_CHECK int store_dir_read(struct store_sql *db, const struct store_load_ops *ops, void *arg);

#endif
