/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * store_sql.c - the database file: schema, transactions, queries
 *
 * Opening, migrating and writing; store_read.c reads; store_dir.c: accounts and their groups. Runs
 * in svm-idfw: the writer's connection in the writer thread, the reader's in the loop. WAL with
 * synchronous=FULL: when COMMIT returns, the batch survives a power cut. A batch is one
 * transaction; after an error it is rolled back as a whole, so that it can be tried again. Source:
 * sqlite.org/wal.html, /pragma.html#pragma_synchronous, /lang_transaction.html.
 */
#include "svm-idfw/store_sql.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "svm-idfw/store_sqlint.h"

#define SQL_DAMAGED "; restore a backup of it, or move it away"

static int sql_open(const char *path, int flags, char why[STORE_WHY_MAX], struct store_sql **ret);
static int sql_migrate(struct store_sql *db, const char *path, char why[STORE_WHY_MAX]);
static int sql_error(struct store_sql *db, const char *what, char why[STORE_WHY_MAX]);
static int sql_record(struct store_sql *db, const struct store_rec *r);
static int sql_isolation(struct store_sql *db, const struct store_rec *r);
static int sql_login(sqlite3_stmt *st, const struct store_rec *r);
static int sql_audit(sqlite3_stmt *st, const struct store_rec *r);

/* no name leads to our file any more: what is written to it is not durable */
static bool sql_gone(struct store_sql *db)
{
	int moved = 0;

	return sqlite3_file_control(db->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK &&
	       moved;
}

static int sql_exec(struct store_sql *db, const char *text)
{
	return sqlite3_exec(db->db, text, NULL, NULL, NULL);
}

int store_sql_number(struct store_sql *db, const char *query, int64_t *ret)
{
	sqlite3_stmt *st = NULL;
	int err = -EIO;

	if (sqlite3_prepare_v2(db->db, query, -1, &st, NULL) == SQLITE_OK &&
		sqlite3_step(st) == SQLITE_ROW) {
		*ret = sqlite3_column_int64(st, 0);
		err = 0;
	}
	(void)sqlite3_finalize(st);
	return err;
}

/* ---- opening ---- */

int store_sql_open(const char *path, char why[STORE_WHY_MAX], struct store_sql **ret)
{
	struct store_sql *db = NULL;
	int err, fd, i;

	/* made here, so that the audit trail is never open to others, whatever the umask */
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
	if (fd < 0) {
		err = -errno;
		(void)snprintf(why, STORE_WHY_MAX, "cannot open %.150s: %s", path, strerror(-err));
		return err;
	}
	(void)close(fd);
	err = sql_open(path, SQLITE_OPEN_READWRITE, why, &db);
	if (err < 0)
		return err;
	err = sql_migrate(db, path, why); /* first: a file that is not ours is left as it is */
	if (err == 0 &&
		sql_exec(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
			     "PRAGMA journal_size_limit=67108864; PRAGMA temp_store=MEMORY") !=
			SQLITE_OK)
		err = sql_error(db, path, why);
	for (i = 0; err == 0 && i < S_WRITER_COUNT; i++)
		if (sqlite3_prepare_v3(db->db, store_stmts[i], -1, SQLITE_PREPARE_PERSISTENT,
			    &db->st[i], NULL) != SQLITE_OK)
			err = sql_error(db, path, why);
	if (err < 0)
		store_sql_close(db);
	else
		*ret = db;
	return err;
}

int store_sql_open_reader(const char *path, char why[STORE_WHY_MAX], struct store_sql **ret)
{
	return sql_open(path, SQLITE_OPEN_READONLY, why, ret);
}

void store_sql_close(struct store_sql *db)
{
	int i;

	if (!db)
		return;
	for (i = 0; i < S_WRITER_COUNT; i++)
		(void)sqlite3_finalize(db->st[i]);
	store_dir_free(db);
	(void)sqlite3_close(db->db);
	free(db);
}

static int sql_open(const char *path, int flags, char why[STORE_WHY_MAX], struct store_sql **ret)
{
	struct store_sql *db = calloc(1, sizeof(*db));
	int err;

	if (!db)
		return -ENOMEM;
	if (sqlite3_open_v2(path, &db->db, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK) {
		err = sql_error(db, path, why);
		store_sql_close(db);
		return err;
	}
	(void)sqlite3_busy_timeout(db->db, 5000);
	*ret = db;
	return 0;
}

static int sql_migrate(struct store_sql *db, const char *path, char why[STORE_WHY_MAX])
{
	int64_t version, app, tables;
	int rc;

	_Static_assert(GI_ARRAY_SIZE(store_schemas) == STORE_VERSION, "a schema a version");

	if (store_sql_number(db, "PRAGMA user_version", &version) < 0 ||
		store_sql_number(db, "PRAGMA application_id", &app) < 0 ||
		store_sql_number(db, "SELECT count(*) FROM sqlite_schema", &tables) < 0)
		return sql_error(db, path, why);
	if (tables > 0 && app != strtoll(STORE_APPLICATION_ID, NULL, 10)) {
		(void)snprintf(why, STORE_WHY_MAX, "%.150s is a database of another program", path);
		return -EBADF;
	}
	if (version < 0 || version > STORE_VERSION) {
		(void)snprintf(why, STORE_WHY_MAX,
			"%.120s has version %lld, written by a newer svm-idfw; this one knows up "
			"to %d",
			path, (long long)version, STORE_VERSION);
		return -GI_EVERSION;
	}
	if (version == STORE_VERSION)
		return 0;
	/* 0: new. One step a version, all in one transaction */
	rc = sql_exec(db, "BEGIN EXCLUSIVE");
	for (int64_t v = version; rc == SQLITE_OK && v < STORE_VERSION; v++)
		rc = sql_exec(db, store_schemas[v]);
	if (rc == SQLITE_OK)
		rc = sql_exec(db, "COMMIT");
	if (rc != SQLITE_OK) {
		int err = sql_error(db, path, why);

		(void)sql_exec(db, "ROLLBACK");
		return err;
	}
	return 0;
}

static int sql_error(struct store_sql *db, const char *what, char why[STORE_WHY_MAX])
{
	int code = sqlite3_errcode(db->db);

	(void)snprintf(why, STORE_WHY_MAX, "%.110s: %.90s%s", what, sqlite3_errmsg(db->db),
		code == SQLITE_FULL    ? "; make room on that file system"
		: code == SQLITE_IOERR ? "; is that file system full, or failing?"
		: code == SQLITE_NOTADB || code == SQLITE_CORRUPT ? SQL_DAMAGED
								  : "");
	switch (code) {
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_NOTADB:
	case SQLITE_CORRUPT:
		return -EBADF;
	case SQLITE_NOMEM:
		return -ENOMEM;
	default:
		return -EIO;
	}
}

void store_sql_why_load(struct store_sql *db, int err, char why[STORE_WHY_MAX])
{
	const char *path = sqlite3_db_filename(db->db, "main");
	bool damaged = err == -EBADF || err == -EIO;

	(void)snprintf(why, STORE_WHY_MAX, "%.110s: %s%s", path ? path : "",
		damaged ? "what is in it cannot be read" : gi_strerror(err),
		damaged ? SQL_DAMAGED : "");
}

/* ---- writing ---- */

int store_sql_write(struct store_sql *db, const struct store_rec *list, size_t n,
	size_t *ret_refused, char why[STORE_WHY_MAX])
{
	const struct store_rec *r;
	size_t refused = 0;
	int rc, err;

	if (sql_gone(db)) {
		(void)snprintf(why, STORE_WHY_MAX,
			"the database file was removed or replaced; restart svm-idfw");
		return -ESTALE;
	}
	rc = sql_run(db->st[S_BEGIN]);
	for (r = list; rc == SQLITE_OK && r && n; r = r->next, n--) {
		rc = sql_record(db, r);
		if (rc == SQLITE_CONSTRAINT || rc == SQLITE_TOOBIG || rc == SQLITE_MISMATCH) {
			(void)sql_error(db, "refused", why);
			refused++;
			rc = SQLITE_OK;
		} else if (rc == -GI_ELIMIT) {
			(void)snprintf(why, STORE_WHY_MAX,
				"refused: account %.100s: more than %u groups in the database",
				r->key, STORE_GROUPS_MAX);
			refused++;
			rc = SQLITE_OK;
		}
	}
	if (rc == SQLITE_OK)
		rc = sql_run(db->st[S_COMMIT]);
	store_dir_end(db, rc == SQLITE_OK);
	if (rc == SQLITE_OK) {
		*ret_refused = refused;
		return 0;
	}
	err = sql_error(db, "write", why);
	if (!sqlite3_get_autocommit(db->db)) /* some errors have rolled back already */
		(void)sql_run(db->st[S_ROLLBACK]);
	return err;
}

int store_sql_put_policy(struct store_sql *db, uint64_t generation, const char *by,
	uint64_t time_ms, const char *text, size_t len, char why[STORE_WHY_MAX])
{
	sqlite3_stmt *st = db->st[S_POLICY];

	if (sql_gone(db))
		return -ESTALE;
	sql_int(st, 1, generation);
	sql_text(st, 2, by);
	sql_int(st, 3, time_ms);
	(void)sqlite3_bind_blob64(st, 4, text, len, SQLITE_STATIC);
	return sql_run(st) == SQLITE_OK ? 0 : sql_error(db, "policy", why);
}

static int sql_record(struct store_sql *db, const struct store_rec *r)
{
	int rc = SQLITE_OK;
	sqlite3_stmt *st;

	if (r->principal)
		return store_dir_write(db, r);
	if (r->as_of) {
		sql_text(db->st[S_AS_OF], 1, r->directory);
		sql_int(db->st[S_AS_OF], 2, r->resolved_ms);
		sql_int(db->st[S_AS_OF], 3, r->db_id);
		return sql_run(db->st[S_AS_OF]);
	}
	if (r->has_session && r->kind == IDFW_REC_LOGIN) {
		rc = sql_login(db->st[S_LOGIN], r);
	} else if (r->has_session && r->kind == IDFW_REC_LOGOUT) {
		st = db->st[S_LOGOUT];
		sql_int(st, 1, r->db_id);
		sql_int(st, 2, r->end_ms);
		sql_text(st, 3, store_reason_word(r->end_reason));
		rc = sql_run(st);
	} else if (r->has_session && r->kind == IDFW_REC_ENFORCED) {
		st = db->st[S_ENFORCED];
		sql_int(st, 1, r->db_id);
		sql_int(st, 2, r->time_ms);
		rc = sql_run(st);
	} else if (r->has_session && r->kind == IDFW_REC_KICK) {
		sql_int(db->st[S_KICK], 1, r->db_id);
		rc = sql_run(db->st[S_KICK]);
	}
	if (rc == SQLITE_OK && r->isolation)
		rc = sql_isolation(db, r);
	if (rc == SQLITE_OK)
		rc = sql_audit(db->st[S_AUDIT], r);
	if (rc == SQLITE_OK && r->outbox_seq) {
		st = db->st[S_OUTBOX];
		(void)sqlite3_bind_blob(st, 1, r->outbox, sizeof(r->outbox), SQLITE_STATIC);
		sql_text(st, 2, r->scanner);
		sql_int(st, 3, r->outbox_seq);
		rc = sql_run(st);
	}
	if (rc == SQLITE_OK && r->seq) {
		st = db->st[S_VM];
		sql_text(st, 1, r->vm);
		(void)sqlite3_bind_blob(st, 2, r->boot_id, sizeof(r->boot_id), SQLITE_STATIC);
		sql_int(st, 3, r->seq);
		rc = sql_run(st);
	}
	return rc;
}

static int sql_isolation(struct store_sql *db, const struct store_rec *r)
{
	bool begin = r->kind == IDFW_REC_ISOLATED;
	sqlite3_stmt *st = db->st[begin ? S_ISOLATE : S_RELEASE];

	sql_text(st, 1, r->vm);
	(void)sqlite3_bind_int64(st, 2, r->whole_vm ? -1 : (int64_t)r->uid);
	sql_int(st, 3, r->db_id);
	if (begin) {
		sql_text(st, 4, r->user);
		sql_int(st, 5, r->since_ms);
		sql_int(st, 6, r->automatic);
		sql_text(st, 7, r->by);
		sql_text(st, 8, r->why);
		sql_int(st, 9, r->spares);
	}
	return sql_run(st);
}

static int sql_login(sqlite3_stmt *st, const struct store_rec *r)
{
	sql_int(st, 1, r->db_id);
	sql_text(st, 2, r->vm);
	(void)sqlite3_bind_blob(st, 3, r->session_boot, sizeof(r->session_boot), SQLITE_STATIC);
	sql_int(st, 4, r->agent_id);
	sql_text(st, 5, r->user);
	sql_int(st, 6, r->uid);
	sql_text(st, 7, r->service);
	sql_text(st, 8, r->tty);
	sql_text(st, 9, r->rhost);
	sql_text(st, 10, r->auth);
	sql_int(st, 11, r->leader_pid);
	sql_int(st, 12, r->leader_start);
	(void)sqlite3_bind_blob(st, 13, r->peer.bytes, (int)gi_addr_len(&r->peer), SQLITE_STATIC);
	sql_int(st, 14, r->opened_ms);
	sql_int(st, 15, r->seen_ms);
	sql_int(st, 16, r->cgroup);
	sql_int(st, 17, r->parent);
	sql_int(st, 18, r->is_unit);
	sql_int(st, 19, r->found);
	return sql_run(st);
}

static int sql_audit(sqlite3_stmt *st, const struct store_rec *r)
{
	(void)sqlite3_clear_bindings(st);
	sql_int(st, 1, r->time_ms);
	sql_text(st, 2, store_kind_word(r->kind));
	sql_text(st, 3, r->vm);
	if (r->has_session)
		sql_int(st, 4, r->db_id);
	sql_text(st, 5, r->user);
	sql_text(st, 6, r->detail);
	if (r->seq) {
		(void)sqlite3_bind_blob(st, 7, r->boot_id, sizeof(r->boot_id), SQLITE_STATIC);
		sql_int(st, 8, r->seq);
	}
	return sql_run(st);
}
