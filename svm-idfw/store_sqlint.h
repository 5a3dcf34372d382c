/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * store_sqlint.h - what store_sql.c (writing) and store_read.c (reading) share; nobody else
 * includes it. The only file that includes sqlite3.h.
 */
#ifndef SVM_IDFW_STORE_SQLINT_H
#define SVM_IDFW_STORE_SQLINT_H

#include <sqlite3.h>
#include "svm-idfw/store_schema.h"
#include "svm-idfw/store_sql.h"

struct store_sql {
	sqlite3 *db;
	sqlite3_stmt *st[S_WRITER_COUNT];
};

static inline void sql_text(sqlite3_stmt *st, int i, const char *s)
{
	(void)sqlite3_bind_text(st, i, s, -1, SQLITE_STATIC);
}

static inline void sql_int(sqlite3_stmt *st, int i, uint64_t v)
{
	(void)sqlite3_bind_int64(st, i, (int64_t)v);
}

/* the first column of the first row */
GI_MUST_CHECK int store_sql_number(struct store_sql *db, const char *query, int64_t *ret);

#endif
