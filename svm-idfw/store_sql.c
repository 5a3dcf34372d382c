/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * store_sql.c - the database file: schema, transactions, queries
 *
 * The only file that includes sqlite3.h. Runs in svm-idfw: the writer's connection in the writer
 * thread, the reader's in the loop. WAL with synchronous=FULL: when COMMIT returns, the batch
 * survives a power cut. A batch is one transaction; after an error it is rolled back as a whole, so
 * that it can be tried again.
 * Source: sqlite.org/wal.html, /pragma.html#pragma_synchronous, /lang_transaction.html.
 */
#include "svm-idfw/store_sql.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STORE_APPLICATION_ID "1768187511" /* "idfw" */
#include "svm-idfw/store_schema.h"

#define SQL_ROWS_DEFAULT 1000
#define SQL_DETAIL_MAX (32 << 10) /* of one row; longer ones are shown by their length */

struct store_sql {
	sqlite3 *db;
	sqlite3_stmt *st[S_WRITER_COUNT];
};

static int sql_open(const char *path, int flags, char why[STORE_WHY_MAX], struct store_sql **ret);
static int sql_migrate(struct store_sql *db, const char *path, char why[STORE_WHY_MAX]);
static int sql_error(struct store_sql *db, const char *what, char why[STORE_WHY_MAX]);
static int sql_record(struct store_sql *db, const struct store_rec *r);
static int sql_login(sqlite3_stmt *st, const struct store_rec *r);
static int sql_audit(sqlite3_stmt *st, const struct store_rec *r);
static int sql_principal(sqlite3_stmt *st, const struct store_rec *r);

static void sql_text(sqlite3_stmt *st, int i, const char *s)
{
	(void)sqlite3_bind_text(st, i, s, -1, SQLITE_STATIC);
}

static void sql_int(sqlite3_stmt *st, int i, uint64_t v)
{
	(void)sqlite3_bind_int64(st, i, (int64_t)v);
}

/* a statement without rows, ready for its next use; an SQLITE_ code */
static int sql_run(sqlite3_stmt *st)
{
	int rc = sqlite3_step(st), again;

	again = sqlite3_reset(st);
	return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : again != SQLITE_OK ? again : rc;
}

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

static int sql_number(struct store_sql *db, const char *query, int64_t *ret)
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

	if (sql_number(db, "PRAGMA user_version", &version) < 0 ||
		sql_number(db, "PRAGMA application_id", &app) < 0 ||
		sql_number(db, "SELECT count(*) FROM sqlite_schema", &tables) < 0)
		return sql_error(db, path, why);
	if (tables > 0 && app != strtoll(STORE_APPLICATION_ID, NULL, 10)) {
		(void)snprintf(why, STORE_WHY_MAX, "%.150s is a database of another program", path);
		return -EBADF;
	}
	if (version > STORE_VERSION) {
		(void)snprintf(why, STORE_WHY_MAX,
			"%.120s has version %lld, written by a newer svm-idfw; this one knows up "
			"to %d",
			path, (long long)version, STORE_VERSION);
		return -GI_EVERSION;
	}
	if (version == STORE_VERSION)
		return 0;
	/* 0: new. Later versions begin here: one step a version, all in this transaction */
	if (sql_exec(db, "BEGIN EXCLUSIVE") != SQLITE_OK ||
		sql_exec(db, store_schema) != SQLITE_OK || sql_exec(db, "COMMIT") != SQLITE_OK) {
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
		}
	}
	if (rc == SQLITE_OK)
		rc = sql_run(db->st[S_COMMIT]);
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
		return sql_principal(db->st[S_PRINCIPAL], r);
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
	if (rc == SQLITE_OK)
		rc = sql_audit(db->st[S_AUDIT], r);
	if (rc == SQLITE_OK && r->seq) {
		st = db->st[S_VM];
		sql_text(st, 1, r->vm);
		(void)sqlite3_bind_blob(st, 2, r->boot_id, sizeof(r->boot_id), SQLITE_STATIC);
		sql_int(st, 3, r->seq);
		rc = sql_run(st);
	}
	return rc;
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

static int sql_principal(sqlite3_stmt *st, const struct store_rec *r)
{
	sql_text(st, 1, r->key);
	sql_text(st, 2, r->name);
	sql_text(st, 3, r->upn);
	sql_text(st, 4, r->dn);
	sql_text(st, 5, r->sid);
	(void)sqlite3_bind_blob(st, 6, r->guid, sizeof(r->guid), SQLITE_STATIC);
	sql_int(st, 7, (uint64_t)r->presence);
	sql_int(st, 8, r->resolved_ms);
	sql_text(st, 9, r->groups);
	return sql_run(st);
}

/* ---- reading ---- */

static const char *col_text(sqlite3_stmt *st, int i)
{
	const unsigned char *s = sqlite3_column_text(st, i);

	return s ? (const char *)s : "";
}

static uint64_t col_int(sqlite3_stmt *st, int i)
{
	return (uint64_t)sqlite3_column_int64(st, i);
}

static bool col_blob(sqlite3_stmt *st, int i, void *to, size_t len)
{
	const void *b = sqlite3_column_blob(st, i);

	if (!b || (size_t)sqlite3_column_bytes(st, i) != len)
		return false;
	memcpy(to, b, len);
	return true;
}

int store_sql_get_policy(
	struct store_sql *db, uint64_t *ret_generation, char **ret_text, size_t *ret_len)
{
	sqlite3_stmt *st = NULL;
	int rc, err = -EIO;

	if (sqlite3_prepare_v2(db->db,
		    "SELECT generation, text FROM policy ORDER BY generation DESC "
		    "LIMIT 1",
		    -1, &st, NULL) != SQLITE_OK)
		return -EIO;
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		const void *text = sqlite3_column_blob(st, 1);
		size_t len = (size_t)sqlite3_column_bytes(st, 1);
		char *copy = malloc(len + 1);

		err = copy ? 0 : -ENOMEM;
		if (copy) {
			if (len)
				memcpy(copy, text, len);
			copy[len] = '\0';
			*ret_generation = col_int(st, 0);
			*ret_text = copy;
			*ret_len = len;
		}
	} else if (rc == SQLITE_DONE) {
		err = -GI_ENOTFOUND;
	}
	(void)sqlite3_finalize(st);
	return err;
}

int store_sql_policy_info(
	struct store_sql *db, uint64_t generation, uint64_t *ret_time_ms, char **ret_by)
{
	sqlite3_stmt *st = NULL;
	int rc, err = -EIO;

	if (sqlite3_prepare_v2(db->db, "SELECT time_ms, by FROM policy WHERE generation=?1", -1,
		    &st, NULL) != SQLITE_OK)
		return -EIO;
	sql_int(st, 1, generation);
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		char *by = strdup(col_text(st, 1));

		err = by ? 0 : -ENOMEM;
		if (by) {
			*ret_time_ms = col_int(st, 0);
			*ret_by = by;
		}
	} else if (rc == SQLITE_DONE) {
		err = -GI_ENOTFOUND;
	}
	(void)sqlite3_finalize(st);
	return err;
}

/* column 0: time, 1: id, of every listing; both order it and are where the next call goes on */
static int sql_list(struct store_sql *db, const char *select, const char *time_col,
	const char *where, struct idfw_store_filter *f, json_t *(*row)(sqlite3_stmt *st),
	int (*cb)(void *arg, const char *json_row), void *arg)
{
	char query[1024];
	sqlite3_stmt *st = NULL;
	int rc, stop = 0;

	/* only the conditions that are asked for: so the planner can take the index that fits */
	(void)snprintf(query, sizeof(query),
		"%s WHERE %s%s%s AND %s BETWEEN ?3 AND ?4 AND "
		"(%s,id) < (?5,?6) ORDER BY %s DESC, id DESC LIMIT ?7",
		select, where, f->user && f->user[0] ? " AND user=?1 COLLATE NOCASE" : "",
		f->vm && f->vm[0] ? " AND vm=?2" : "", time_col, time_col, time_col);
	if (sqlite3_prepare_v2(db->db, query, -1, &st, NULL) != SQLITE_OK)
		return -EIO;
	if (f->user && f->user[0])
		sql_text(st, 1, f->user);
	if (f->vm && f->vm[0])
		sql_text(st, 2, f->vm);
	sql_int(st, 3, f->since_ms);
	sql_int(st, 4, f->until_ms ? f->until_ms : INT64_MAX);
	sql_int(st, 5, f->before_id ? f->before_ms : INT64_MAX);
	sql_int(st, 6, f->before_id ? f->before_id : INT64_MAX);
	sql_int(st, 7, f->limit ? f->limit : SQL_ROWS_DEFAULT);
	while (!stop && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		json_t *j = row(st);
		char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;

		json_decref(j);
		f->before_ms = col_int(st, 0);
		f->before_id = col_int(st, 1);
		if (text)
			stop = cb(arg, text);
		free(text);
	}
	(void)sqlite3_finalize(st);
	return stop || rc == SQLITE_DONE ? 0 : -EIO;
}

static json_t *sql_session_row(sqlite3_stmt *st)
{
	bool live = sqlite3_column_type(st, 8) == SQLITE_NULL;

	return json_pack("{s:I,s:s,s:s,s:s,s:s,s:s,s:I,s:o,s:o}", "session",
		(json_int_t)col_int(st, 1), "user", col_text(st, 2), "vm", col_text(st, 3),
		"service", col_text(st, 4), "tty", col_text(st, 5), "rhost", col_text(st, 6),
		"opened_ms", (json_int_t)col_int(st, 7), "closed_ms",
		live ? json_null() : json_integer((json_int_t)col_int(st, 8)), "reason",
		live ? json_null() : json_string(col_text(st, 9)));
}

int store_sql_sessions(struct store_sql *db, struct idfw_store_filter *f,
	int (*cb)(void *arg, const char *json_row), void *arg)
{
	return sql_list(db,
		"SELECT seen_ms,id,user,vm,service,tty,rhost,opened_ms,closed_ms,reason "
		"FROM session",
		"seen_ms", f->with_live ? "1" : "closed_ms IS NOT NULL", f, sql_session_row, cb,
		arg);
}

static json_t *sql_audit_row(sqlite3_stmt *st)
{
	bool none = sqlite3_column_type(st, 4) == SQLITE_NULL;
	int detail = sqlite3_column_bytes(st, 6);

	return json_pack("{s:I,s:I,s:s,s:s,s:o,s:s,s:o}", "id", (json_int_t)col_int(st, 1),
		"time_ms", (json_int_t)col_int(st, 0), "kind", col_text(st, 2), "vm",
		col_text(st, 3), "session",
		none ? json_null() : json_integer((json_int_t)col_int(st, 4)), "user",
		col_text(st, 5), "detail",
		detail > SQL_DETAIL_MAX ? json_pack("{s:i}", "truncated_bytes", detail)
					: store_detail_json(col_text(st, 6)));
}

int store_sql_audit(struct store_sql *db, struct idfw_store_filter *f,
	int (*cb)(void *arg, const char *json_row), void *arg)
{
	return sql_list(db, "SELECT time_ms,id,kind,vm,session,user,detail FROM audit", "time_ms",
		"1", f, sql_audit_row, cb, arg);
}

/* ---- loading at start ---- */

static int load_vm(sqlite3_stmt *st, const struct store_load_ops *ops, void *arg)
{
	uint8_t boot[16];

	return col_blob(st, 1, boot, sizeof(boot))
		       ? ops->vm(arg, col_text(st, 0), boot, col_int(st, 2))
		       : -EBADF;
}

static int load_principal(sqlite3_stmt *st, const struct store_load_ops *ops, void *arg)
{
	struct idfw_principal p = { .presence = (enum idfw_presence)col_int(st, 6),
		.resolved_ms = col_int(st, 7) };
	int err;

	p.key = (char *)(uintptr_t)col_text(st, 0); /* borrowed until the next step */
	p.name = (char *)(uintptr_t)col_text(st, 1);
	p.upn = (char *)(uintptr_t)col_text(st, 2);
	p.dn = (char *)(uintptr_t)col_text(st, 3);
	p.sid = (char *)(uintptr_t)col_text(st, 4);
	if (!col_blob(st, 5, p.guid, sizeof(p.guid)))
		return -EBADF;
	err = store_groups_parse(col_text(st, 8), &p.groups, &p.n_groups);
	if (err == 0)
		err = ops->principal(arg, &p);
	store_groups_free(p.groups, p.n_groups);
	return err;
}

static int load_session(sqlite3_stmt *st, const struct store_load_ops *ops, void *arg)
{
	Idfw__Session s = IDFW__SESSION__INIT;
	uint8_t boot[16], peer[16];

	if (!col_blob(st, 2, boot, sizeof(boot)))
		return -EBADF;
	s.id = col_int(st, 3);
	s.user = (char *)(uintptr_t)col_text(st, 4);
	s.uid = (uint32_t)col_int(st, 5);
	s.service = (char *)(uintptr_t)col_text(st, 6);
	s.tty = (char *)(uintptr_t)col_text(st, 7);
	s.rhost = (char *)(uintptr_t)col_text(st, 8);
	s.auth = (char *)(uintptr_t)col_text(st, 9);
	s.leader_pid = (uint32_t)col_int(st, 10);
	s.leader_start = col_int(st, 11);
	if (col_blob(st, 12, peer, 4))
		s.peer_addr = (ProtobufCBinaryData){ .len = 4, .data = peer };
	else if (col_blob(st, 12, peer, 16))
		s.peer_addr = (ProtobufCBinaryData){ .len = 16, .data = peer };
	s.opened_ms = col_int(st, 13);
	return ops->session(arg, col_text(st, 1), &s, boot, col_int(st, 0), col_int(st, 14),
		col_int(st, 15) != 0);
}

int store_sql_load(struct store_sql *db, const struct store_load_ops *ops, void *arg)
{
	static const struct {
		const char *query;
		int (*row)(sqlite3_stmt *st, const struct store_load_ops *ops, void *arg);
	} steps[] = {
		{ "SELECT name,boot_id,seq FROM vm", load_vm },
		{ "SELECT key,name,upn,dn,sid,guid,presence,resolved_ms,groups FROM principal",
			load_principal },
		{ "SELECT id,vm,boot_id,agent_id,user,uid,service,tty,rhost,auth,leader_pid,"
		  "leader_start,peer,opened_ms,seen_ms,kicked FROM session "
		  "WHERE closed_ms IS NULL ORDER BY id",
			load_session },
	};
	int64_t last = 0;
	size_t i;
	int err = 0;

	for (i = 0; err == 0 && i < GI_ARRAY_SIZE(steps); i++) {
		sqlite3_stmt *st = NULL;
		int rc = sqlite3_prepare_v2(db->db, steps[i].query, -1, &st, NULL);

		while (rc == SQLITE_OK && err == 0 && sqlite3_step(st) == SQLITE_ROW)
			err = steps[i].row(st, ops, arg);
		rc = sqlite3_finalize(st);
		if (err == 0 && rc != SQLITE_OK)
			err = -EIO;
	}
	if (err == 0)
		err = sql_number(db, "SELECT coalesce(max(id),0) FROM session", &last);
	if (err == 0)
		ops->next_db_id(arg, (uint64_t)last + 1);
	return err;
}
