/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * store_read.c - the database file: what idfwctl asks, and what a start needs
 *
 * Runs in svm-idfw's loop, on the read-only connection. Listings are newest first by (time, id), a
 * few hundred rows a call; only the conditions that are asked for stand in the query, so that the
 * planner can take the index that fits. WAL: readers do not hold up the writer.
 */
#include "svm-idfw/store_sqlint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SQL_ROWS_DEFAULT 1000
#define SQL_DETAIL_MAX (48 << 10) /* of one row; longer ones are shown by their length */

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
	const char *const like = " AND substr(json_extract(detail,'$.path'),1,length(?9))=?9";
	bool fim = f->kind && !strcmp(f->kind, "fim");
	char query[1024];
	sqlite3_stmt *st = NULL;
	int rc, stop = 0;

	/* only the conditions that are asked for: so the planner can take the index that fits; a
	 * partial one only for words of the query itself */
	(void)snprintf(query, sizeof(query),
		"%s WHERE %s%s%s%s%s%s AND %s BETWEEN ?3 AND ?4 AND "
		"(%s,id) < (?5,?6) ORDER BY %s DESC, id DESC LIMIT ?7",
		select, where, f->user && f->user[0] ? " AND user=?1 COLLATE NOCASE" : "",
		f->vm && f->vm[0] ? " AND vm=?2" : "",
		fim			? " AND kind='fim'"
		: f->kind && f->kind[0] ? " AND kind=?8"
					: "",
		fim && f->path && f->path[0] ? like : "",
		fim && f->rule && f->rule[0] ? " AND json_extract(detail,'$.rule')=?10" : "",
		time_col, time_col, time_col);
	if (sqlite3_prepare_v2(db->db, query, -1, &st, NULL) != SQLITE_OK)
		return -EIO;
	if (f->user && f->user[0])
		sql_text(st, 1, f->user);
	if (f->vm && f->vm[0])
		sql_text(st, 2, f->vm);
	if (!fim && f->kind && f->kind[0])
		sql_text(st, 8, f->kind);
	if (fim && f->path && f->path[0])
		sql_text(st, 9, f->path);
	if (fim && f->rule && f->rule[0])
		sql_text(st, 10, f->rule);
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

	return json_pack("{s:I,s:s,s:s,s:s,s:s,s:s,s:I,s:o,s:o,s:s,s:b,s:b}", "session",
		(json_int_t)col_int(st, 1), "user", col_text(st, 2), "vm", col_text(st, 3),
		"service", col_text(st, 4), "tty", col_text(st, 5), "rhost", col_text(st, 6),
		"opened_ms", (json_int_t)col_int(st, 7), "closed_ms",
		live ? json_null() : json_integer((json_int_t)col_int(st, 8)), "reason",
		live ? json_null() : json_string(col_text(st, 9)), "kind",
		col_int(st, 10) ? "service" : "login", "nested", col_int(st, 11) != 0, "found",
		col_int(st, 12) != 0);
}

int store_sql_sessions(struct store_sql *db, struct idfw_store_filter *f,
	int (*cb)(void *arg, const char *json_row), void *arg)
{
	return sql_list(db,
		"SELECT seen_ms,id,user,vm,service,tty,rhost,opened_ms,closed_ms,reason,"
		"kind,parent,found "
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

static int load_as_of(sqlite3_stmt *st, const struct store_load_ops *ops, void *arg)
{
	struct idfw_as_of a = { .real_ms = col_int(st, 1), .next_db_id = col_int(st, 2) };

	if (ops->as_of && gi_text_copy(a.directory, sizeof(a.directory), col_text(st, 0)) == 0)
		ops->as_of(arg, &a);
	return 0;
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
	s.cgroup = col_int(st, 16);
	s.parent = col_int(st, 17);
	s.kind = col_int(st, 18) ? IDFW__SESSION__KIND__SERVICE : IDFW__SESSION__KIND__LOGIN;
	s.found = col_int(st, 19) != 0;
	return ops->session(arg, col_text(st, 1), &s, boot, col_int(st, 0), col_int(st, 14),
		col_int(st, 15) != 0);
}

static int load_isolation(sqlite3_stmt *st, const struct store_load_ops *ops, void *arg)
{
	int64_t uid = sqlite3_column_int64(st, 1);
	const struct idfw_isolation i = { .whole_vm = uid < 0,
		.uid = uid < 0 ? 0 : (uint32_t)uid,
		.session = col_int(st, 2),
		.user = (char *)(uintptr_t)col_text(st, 3),
		.since_ms = col_int(st, 4),
		.automatic = col_int(st, 5) != 0,
		.by = (char *)(uintptr_t)col_text(st, 6),
		.why = (char *)(uintptr_t)col_text(st, 7),
		.spares = col_int(st, 8) };

	return ops->isolation ? ops->isolation(arg, col_text(st, 0), &i) : 0;
}

/* LEAVES: no service, not nested, and neither its cgroup nor its boot is over */
#define LEAVES "parent=0 AND kind=0 AND coalesce(reason,'') NOT IN ('cgroup','reboot')"
#define OVER "SELECT s.vm,s.boot_id,s.agent_id,s.id,s.uid,s.user,s.cgroup,"

static bool over_row(sqlite3_stmt *st, struct idfw_store_recent *r)
{
	r->id = col_int(st, 2);
	r->db_id = col_int(st, 3);
	r->uid = (uint32_t)col_int(st, 4);
	r->user = col_text(st, 5);
	r->cgroup = col_int(st, 6);
	r->left = col_int(st, 7) != 0;
	return col_blob(st, 1, r->boot_id, sizeof(r->boot_id));
}

static int load_recent(sqlite3_stmt *st, const struct store_load_ops *ops, void *arg)
{
	struct idfw_store_recent r;

	if (!ops->recent)
		return 0;
	return over_row(st, &r) ? ops->recent(arg, col_text(st, 0), &r) : -EBADF;
}

static int load_left(sqlite3_stmt *st, const struct store_load_ops *ops, void *arg)
{
	struct idfw_store_recent r;

	if (!ops->left)
		return 0;
	return over_row(st, &r) ? ops->left(arg, col_text(st, 0), &r) : -EBADF;
}

static int load_outbox(sqlite3_stmt *st, const struct store_load_ops *ops, void *arg)
{
	uint8_t id[16];

	if (!ops->outbox)
		return 0;
	return col_blob(st, 0, id, sizeof(id)) ? ops->outbox(arg, id, col_int(st, 1)) : -EBADF;
}

#define TEXT_(n) #n
#define TEXT(n) TEXT_(n)

int store_sql_load(struct store_sql *db, const struct store_load_ops *ops, void *arg)
{
	static const struct {
		const char *query;
		int (*row)(sqlite3_stmt *st, const struct store_load_ops *ops, void *arg);
	} steps[] = {
		{ "SELECT name,boot_id,seq FROM vm", load_vm },
		{ "SELECT directory,real_ms,next_session FROM as_of ORDER BY real_ms DESC",
			load_as_of },
		{ NULL, NULL }, /* accounts: store_dir_read() */
		/* before the sessions: what they give is right from the start */
		{ "SELECT vm,uid,session,user,since_ms,automatic,by,why,spares FROM isolation "
		  "ORDER BY since_ms",
			load_isolation },
		{ "SELECT id,vm,boot_id,agent_id,user,uid,service,tty,rhost,auth,leader_pid,"
		  "leader_start,peer,opened_ms,seen_ms,kicked,cgroup,parent,kind,found FROM "
		  "session "
		  "WHERE closed_ms IS NULL ORDER BY id",
			load_session },
		{ OVER LEAVES " FROM (SELECT * FROM session WHERE closed_ms IS NOT NULL "
			      "ORDER BY id DESC LIMIT " TEXT(IDFW_RECENT_MAX) ") s ORDER BY id",
			load_recent },
		{ OVER "1 FROM isolation i JOIN session s ON s.vm=i.vm AND s.uid=i.uid "
		       "JOIN vm ON vm.name=s.vm AND vm.boot_id=s.boot_id "
		       "WHERE s.closed_ms IS NOT NULL AND " LEAVES
		       " AND (s.id=i.session OR s.id>i.spares) ORDER BY s.id",
			load_left },
		{ "SELECT id,seq FROM scan_outbox", load_outbox },
	};
	int64_t last = 0;
	size_t i;
	int err = 0;

	/* one state of the file, whatever is written meanwhile */
	if (sqlite3_exec(db->db, "BEGIN", NULL, NULL, NULL) != SQLITE_OK)
		return -EIO;
	for (i = 0; err == 0 && i < GI_ARRAY_SIZE(steps); i++) {
		sqlite3_stmt *st = NULL;
		int rc;

		if (!steps[i].query) {
			err = store_dir_read(db, ops, arg);
			continue;
		}
		rc = sqlite3_prepare_v2(db->db, steps[i].query, -1, &st, NULL);
		while (rc == SQLITE_OK && err == 0 && sqlite3_step(st) == SQLITE_ROW)
			err = steps[i].row(st, ops, arg);
		rc = sqlite3_finalize(st);
		if (err == 0 && rc != SQLITE_OK)
			err = -EIO;
	}
	if (err == 0)
		err = store_sql_number(db, "SELECT coalesce(max(id),0) FROM session", &last);
	if (err == 0)
		ops->next_db_id(arg, (uint64_t)last + 1);
	(void)sqlite3_exec(db->db, "COMMIT", NULL, NULL, NULL);
	return err;
}
