/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * store_schema.h - the SQL text of the database, version by version (docs/adr/0010)
 *
 * For store_sql.c and store_read.c. A new file runs through all versions; an older one through
 * those that it has not. isolation.uid -1: the whole VM. spares: sessions
 * of that uid up to this number go on, but the session itself; 0: none does. Times are Unix
 * milliseconds. audit is append-only: triggers refuse any UPDATE and DELETE, and an INSERT OR
 * REPLACE (which deletes without asking the DELETE trigger), whoever has the file open. Names of
 * users are looked for without case, as `who` does.
 */
#ifndef SVM_IDFW_STORE_SCHEMA_H
#define SVM_IDFW_STORE_SCHEMA_H

#define STORE_APPLICATION_ID "1768187511" /* "idfw" */

static const char store_schema_1[] =
	"CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE vm(name TEXT PRIMARY KEY, boot_id BLOB NOT NULL, seq INTEGER NOT NULL)"
	" WITHOUT ROWID;"
	"CREATE TABLE session(id INTEGER PRIMARY KEY, vm TEXT NOT NULL, boot_id BLOB NOT NULL,"
	" agent_id INTEGER NOT NULL, user TEXT NOT NULL, uid INTEGER NOT NULL,"
	" service TEXT NOT NULL, tty TEXT NOT NULL, rhost TEXT NOT NULL, auth TEXT NOT NULL,"
	" leader_pid INTEGER NOT NULL, leader_start INTEGER NOT NULL, peer BLOB,"
	" opened_ms INTEGER NOT NULL, seen_ms INTEGER NOT NULL, enforced_ms INTEGER,"
	" closed_ms INTEGER, reason TEXT, kicked INTEGER NOT NULL DEFAULT 0);"
	"CREATE INDEX session_live ON session(id) WHERE closed_ms IS NULL;"
	"CREATE INDEX session_seen ON session(seen_ms);"
	"CREATE INDEX session_user ON session(user COLLATE NOCASE, seen_ms);"
	"CREATE INDEX session_vm ON session(vm, seen_ms);"
	"CREATE TABLE audit(id INTEGER PRIMARY KEY AUTOINCREMENT, time_ms INTEGER NOT NULL,"
	" kind TEXT NOT NULL, vm TEXT NOT NULL, session INTEGER, user TEXT NOT NULL,"
	" detail TEXT NOT NULL, boot_id BLOB, seq INTEGER);"
	"CREATE INDEX audit_time ON audit(time_ms);"
	"CREATE INDEX audit_user ON audit(user COLLATE NOCASE, time_ms);"
	"CREATE INDEX audit_vm ON audit(vm, time_ms);"
	"CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit"
	" BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END;"
	"CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit"
	" BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END;"
	"CREATE TRIGGER audit_no_replace BEFORE INSERT ON audit"
	" WHEN EXISTS(SELECT 1 FROM audit WHERE id=NEW.id)"
	" BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END;"
	"CREATE TABLE policy(generation INTEGER PRIMARY KEY, by TEXT NOT NULL,"
	" time_ms INTEGER NOT NULL, text BLOB NOT NULL);"
	"CREATE TABLE principal(key TEXT PRIMARY KEY, name TEXT NOT NULL, upn TEXT NOT NULL,"
	" dn TEXT NOT NULL, sid TEXT NOT NULL, guid BLOB NOT NULL, presence INTEGER NOT NULL,"
	" resolved_ms INTEGER NOT NULL, groups TEXT NOT NULL) WITHOUT ROWID;"
	"PRAGMA application_id=" STORE_APPLICATION_ID ";"
	"PRAGMA user_version=1;";

/* the file path: svm-scan's outboxes, isolation, an index for `idfwctl fim` */
static const char store_schema_2[] =
	"CREATE TABLE scan_outbox(id BLOB PRIMARY KEY, name TEXT NOT NULL, seq INTEGER NOT NULL)"
	" WITHOUT ROWID;"
	"CREATE TABLE isolation(vm TEXT NOT NULL, uid INTEGER NOT NULL, session INTEGER NOT NULL,"
	" user TEXT NOT NULL, since_ms INTEGER NOT NULL, automatic INTEGER NOT NULL,"
	" by TEXT NOT NULL, why TEXT NOT NULL, PRIMARY KEY(vm, uid)) WITHOUT ROWID;"
	"CREATE INDEX audit_fim ON audit(time_ms) WHERE kind='fim';"
	"PRAGMA user_version=2;";

/* sessions as cgroups (docs/adr/0014): an isolation is a session's, two of one uid may stand */
static const char store_schema_3[] =
	"ALTER TABLE session ADD COLUMN cgroup INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE session ADD COLUMN parent INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE session ADD COLUMN kind INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE session ADD COLUMN found INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE isolation RENAME TO isolation_2;"
	"CREATE TABLE isolation(vm TEXT NOT NULL, uid INTEGER NOT NULL, session INTEGER NOT NULL,"
	" user TEXT NOT NULL, since_ms INTEGER NOT NULL, automatic INTEGER NOT NULL,"
	" by TEXT NOT NULL, why TEXT NOT NULL, spares INTEGER NOT NULL,"
	" PRIMARY KEY(vm, uid, session)) WITHOUT ROWID;"
	"INSERT INTO isolation SELECT vm,uid,session,user,since_ms,automatic,by,why,0"
	" FROM isolation_2;"
	"DROP TABLE isolation_2;"
	"PRAGMA user_version=3;";

/* what the directory says of an account besides its groups */
static const char store_schema_4[] =
	"ALTER TABLE principal ADD COLUMN account_state INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE principal ADD COLUMN revokes INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE principal ADD COLUMN expires_ms INTEGER NOT NULL DEFAULT 0;"
	"PRAGMA user_version=4;";

/* which directory has the account */
static const char store_schema_5[] =
	"ALTER TABLE principal ADD COLUMN directory TEXT NOT NULL DEFAULT '';"
	"PRAGMA user_version=5;";

/* until when all live accounts were confirmed: of each directory; '' of all, from before */
static const char store_schema_6[] =
	"CREATE TABLE as_of(directory TEXT PRIMARY KEY, real_ms INTEGER NOT NULL,"
	" next_session INTEGER NOT NULL) WITHOUT ROWID;"
	"INSERT INTO as_of SELECT '',a.value,b.value FROM meta a,meta b"
	" WHERE a.key='as_of_ms' AND b.key='as_of_session';"
	"DELETE FROM meta WHERE key IN ('as_of_ms','as_of_session');"
	"PRAGMA user_version=6;";

/* each group once; an account has their numbers, with a blank between two (store_dir.c) */
#define COLUMNS "name,dn,sid,guid,directory"
#define MEMBERS                                                                                \
	"coalesce(json_extract(j.value,'$[0]'),''),coalesce(json_extract(j.value,'$[1]'),'')," \
	"coalesce(json_extract(j.value,'$[2]'),''),coalesce(json_extract(j.value,'$[3]'),'')," \
	"coalesce(json_extract(j.value,'$[4]'),'')"
static const char store_schema_7[] =
	"CREATE TABLE directory_group(id INTEGER PRIMARY KEY, name TEXT NOT NULL,"
	" dn TEXT NOT NULL, sid TEXT NOT NULL, guid TEXT NOT NULL, directory TEXT NOT NULL);"
	"INSERT INTO directory_group(" COLUMNS ")"
	" SELECT DISTINCT " MEMBERS " FROM principal p,json_each(p.groups) j;"
	"CREATE INDEX directory_group_all ON directory_group(" COLUMNS ");"
	"UPDATE principal SET groups=coalesce((SELECT group_concat(g.id,' ')"
	" FROM json_each(principal.groups) j CROSS JOIN directory_group g"
	" WHERE (g.name,g.dn,g.sid,g.guid,g.directory)=(" MEMBERS ")),'');"
	"DROP INDEX directory_group_all;"
	"PRAGMA user_version=7;";
#undef COLUMNS
#undef MEMBERS

static const char *const store_schemas[] = { store_schema_1, store_schema_2, store_schema_3,
	store_schema_4, store_schema_5, store_schema_6, store_schema_7 };

enum store_stmt {
	S_BEGIN,
	S_COMMIT,
	S_ROLLBACK,
	S_VM,
	S_LOGIN,
	S_LOGOUT,
	S_ENFORCED,
	S_KICK,
	S_AUDIT,
	S_POLICY,
	S_PRINCIPAL,
	S_GROUP,
	S_GROUP_GONE,
	S_AS_OF,
	S_ISOLATE,
	S_RELEASE,
	S_OUTBOX,
	S_WRITER_COUNT
};

static const char *const store_stmts[S_WRITER_COUNT] = {
	[S_BEGIN] = "BEGIN IMMEDIATE",
	[S_COMMIT] = "COMMIT",
	[S_ROLLBACK] = "ROLLBACK",
	[S_VM] = "INSERT INTO vm(name,boot_id,seq) VALUES(?1,?2,?3) ON CONFLICT(name) DO UPDATE SET"
		 " seq=CASE WHEN boot_id=excluded.boot_id THEN max(seq,excluded.seq)"
		 " ELSE excluded.seq END, boot_id=excluded.boot_id",
	[S_LOGIN] = "INSERT INTO session(id,vm,boot_id,agent_id,user,uid,service,tty,rhost,auth,"
		    "leader_pid,leader_start,peer,opened_ms,seen_ms,cgroup,parent,kind,found)"
		    " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19)",
	[S_LOGOUT] = "UPDATE session SET closed_ms=?2, reason=?3 WHERE id=?1 AND closed_ms IS NULL",
	[S_ENFORCED] = "UPDATE session SET enforced_ms=?2 WHERE id=?1 AND enforced_ms IS NULL",
	[S_KICK] = "UPDATE session SET kicked=1 WHERE id=?1",
	[S_AUDIT] = "INSERT INTO audit(time_ms,kind,vm,session,user,detail,boot_id,seq)"
		    " VALUES(?1,?2,?3,?4,?5,?6,?7,?8)",
	[S_POLICY] = "INSERT INTO policy(generation,by,time_ms,text) VALUES(?1,?2,?3,?4)",
	[S_PRINCIPAL] = "INSERT OR REPLACE INTO principal(key,name,upn,dn,sid,guid,presence,"
			"resolved_ms,groups,account_state,revokes,expires_ms,directory)"
			" VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13)",
	[S_GROUP] = "INSERT INTO directory_group(name,dn,sid,guid,directory)"
		    " VALUES(?1,?2,?3,?4,?5)",
	[S_GROUP_GONE] = "DELETE FROM directory_group WHERE id=?1",
	[S_AS_OF] = "INSERT OR REPLACE INTO as_of(directory,real_ms,next_session)"
		    " VALUES(?1,?2,?3)",
	[S_ISOLATE] = "INSERT OR REPLACE INTO isolation(vm,uid,session,user,since_ms,automatic,by,"
		      "why,spares) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9)",
	[S_RELEASE] = "DELETE FROM isolation WHERE vm=?1 AND uid=?2 AND session=?3",
	[S_OUTBOX] = "INSERT INTO scan_outbox(id,name,seq) VALUES(?1,?2,?3) ON CONFLICT(id) DO "
		     "UPDATE SET seq=max(seq,excluded.seq), name=excluded.name",
};

#endif
