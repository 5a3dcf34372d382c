/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_store_scan.c - what later versions of the database brought: svm-scan's records, isolation,
 * sessions as cgroups; and the way there
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "svm-idfw/store_sqlint.h"

struct fix {
	struct io_loop *loop;
	char dir[64], path[96], why[256];
	struct idfw_store *store;
	uint8_t outbox[16];
	uint64_t durable, events;
};

static const uint8_t box[16] = { 7, 1 }, other_box[16] = { 8 };

static void on_durable(void *arg, const char *vm, const uint8_t boot_id[16], uint64_t seq)
{
	(void)vm;
	(void)boot_id;
	((struct fix *)arg)->events = seq;
}

static void on_scan_durable(void *arg, const uint8_t outbox[16], uint64_t seq)
{
	struct fix *f = arg;

	memcpy(f->outbox, outbox, sizeof(f->outbox));
	f->durable = seq;
}

static void on_state(void *arg, int err, const char *why)
{
	(void)arg;
	(void)err;
	(void)why;
}

static const struct idfw_store_ops ops = {
	.durable = on_durable, .scan_durable = on_scan_durable, .state = on_state
};

static void fix_open(struct fix *f)
{
	if (idfw_store_open(f->loop, f->path, &ops, f, f->why, &f->store) < 0)
		fail_msg("open: %s", f->why);
}

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	assert_int_equal(io_loop_new(&f->loop), 0);
	(void)snprintf(f->dir, sizeof(f->dir), "/tmp/idfw-store-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	(void)snprintf(f->path, sizeof(f->path), "%s/svm.db", f->dir);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	static const char *const ends[] = { "", "-wal", "-shm" };
	struct fix *f = *state;
	char path[128];

	idfw_store_close(f->store);
	for (size_t i = 0; i < GI_ARRAY_SIZE(ends); i++) {
		(void)snprintf(path, sizeof(path), "%s%s", f->path, ends[i]);
		(void)unlink(path);
	}
	(void)rmdir(f->dir);
	io_loop_free(f->loop);
	free(f);
	return 0;
}

static void wait_scan(struct fix *f, uint64_t seq)
{
	uint64_t until = io_clock_mono_ms() + 120000;

	while (f->durable != seq && io_clock_mono_ms() < until)
		io_loop_run_once(f->loop, 100);
	assert_int_equal(f->durable, seq);
}

static void put_scan(struct fix *f, enum idfw_record_kind kind, const uint8_t *outbox, uint64_t seq,
	const char *detail)
{
	struct idfw_record r = { .kind = kind,
		.time_ms = 1000 + seq,
		.vm = "web01",
		.detail = detail,
		.db_id = 41,
		.user = "alice",
		.outbox = outbox,
		.outbox_seq = seq,
		.scanner = "scan1" };

	assert_int_equal(idfw_store_put(f->store, &r), 0);
}

static int collect(void *arg, const char *row)
{
	char *text = arg;
	size_t at = strlen(text);

	(void)snprintf(text + at, 8192 - at, "%s\n", row);
	return 0;
}

static void audit(struct fix *f, struct idfw_store_filter filter, char text[8192])
{
	text[0] = '\0';
	if (!filter.user)
		filter.user = "";
	if (!filter.vm)
		filter.vm = "";
	assert_int_equal(idfw_store_audit(f->store, &filter, collect, text), 0);
}

struct loaded {
	char text[1024];
};

static int loaded_isolation(void *arg, const char *vm, const struct idfw_isolation *i)
{
	struct loaded *l = arg;
	size_t at = strlen(l->text);

	(void)snprintf(l->text + at, sizeof(l->text) - at, "isolation %s %d %u %llu %s %d %s %s\n",
		vm, i->whole_vm, i->uid, (unsigned long long)i->session, i->user, i->automatic,
		i->by, i->why);
	if (i->spares)
		(void)snprintf(l->text + strlen(l->text) - 1, sizeof(l->text) - strlen(l->text) + 1,
			" spares %llu\n", (unsigned long long)i->spares);
	return 0;
}

static int loaded_over(
	struct loaded *l, const char *what, const char *vm, const struct idfw_store_recent *r)
{
	size_t at = strlen(l->text);

	(void)snprintf(l->text + at, sizeof(l->text) - at, "%s %s %02x %llu %llu %u %s%s", what, vm,
		r->boot_id[0], (unsigned long long)r->id, (unsigned long long)r->db_id, r->uid,
		r->user, r->left ? "" : " leaves nothing");
	at = strlen(l->text);
	if (r->cgroup)
		(void)snprintf(l->text + at, sizeof(l->text) - at, " cgroup %llu",
			(unsigned long long)r->cgroup);
	at = strlen(l->text);
	(void)snprintf(l->text + at, sizeof(l->text) - at, "\n");
	return 0;
}

static int loaded_recent(void *arg, const char *vm, const struct idfw_store_recent *r)
{
	return loaded_over(arg, "recent", vm, r);
}

static int loaded_left(void *arg, const char *vm, const struct idfw_store_recent *r)
{
	return loaded_over(arg, "left", vm, r);
}

static int loaded_outbox(void *arg, const uint8_t id[16], uint64_t seq)
{
	struct loaded *l = arg;
	size_t at = strlen(l->text);

	(void)snprintf(l->text + at, sizeof(l->text) - at, "outbox %02x %llu\n", id[0],
		(unsigned long long)seq);
	return 0;
}

static int ignored_vm(void *arg, const char *name, const uint8_t boot_id[16], uint64_t seq)
{
	(void)arg;
	(void)name;
	(void)boot_id;
	(void)seq;
	return 0;
}

static int loaded_session(void *arg, const char *vm, const Idfw__Session *s,
	const uint8_t boot_id[16], uint64_t db_id, uint64_t seen_ms, bool kicked)
{
	struct loaded *l = arg;
	size_t at = strlen(l->text);

	(void)boot_id;
	(void)seen_ms;
	(void)snprintf(l->text + at, sizeof(l->text) - at,
		"session %s %llu %s %llx %llu %d %d %d\n", vm, (unsigned long long)db_id, s->user,
		(unsigned long long)s->cgroup, (unsigned long long)s->parent, s->kind, s->found,
		kicked);
	return 0;
}

static void ignored_next(void *arg, uint64_t next)
{
	(void)arg;
	(void)next;
}

static const struct store_load_ops load_ops = { .vm = ignored_vm,
	.session = loaded_session,
	.isolation = loaded_isolation,
	.recent = loaded_recent,
	.left = loaded_left,
	.outbox = loaded_outbox,
	.next_db_id = ignored_next };

static void reload(struct fix *f, const char *want)
{
	struct loaded l = { "" };

	idfw_store_close(f->store);
	fix_open(f);
	assert_int_equal(idfw_store_read(f->store, &load_ops, &l), 0);
	assert_string_equal(l.text, want);
}

static void reload_has(struct fix *f, const char *want)
{
	struct loaded l = { "" };

	idfw_store_close(f->store);
	fix_open(f);
	assert_int_equal(idfw_store_read(f->store, &load_ops, &l), 0);
	if (!strstr(l.text, want))
		fail_msg("\"%s\" is not in \"%s\"", want, l.text);
}

static void test_store_scan_record_is_told_by_outbox(void **state)
{
	struct fix *f = *state;
	char text[8192];

	fix_open(f);
	put_scan(f, IDFW_REC_SCAN, box, 1, "{\"path\":\"/a\"}");
	put_scan(f, IDFW_REC_SCAN, box, 2, "{\"path\":\"/b\"}");
	wait_scan(f, 2);
	assert_memory_equal(f->outbox, box, sizeof(box));
	assert_int_equal(f->events, 0); /* no guest is told anything */
	put_scan(f, IDFW_REC_SCAN_SERVICE, other_box, 9, "{}");
	wait_scan(f, 9);
	assert_memory_equal(f->outbox, other_box, sizeof(other_box));
	audit(f, (struct idfw_store_filter){ .kind = "scan" }, text);
	assert_string_equal(text,
		"{\"id\":2,\"time_ms\":1002,\"kind\":\"scan\",\"vm\":\"web01\",\"session\":41,"
		"\"user\":\"alice\",\"detail\":{\"path\":\"/b\"}}\n"
		"{\"id\":1,\"time_ms\":1001,\"kind\":\"scan\",\"vm\":\"web01\",\"session\":41,"
		"\"user\":\"alice\",\"detail\":{\"path\":\"/a\"}}\n");
	reload(f, "outbox 07 2\noutbox 08 9\n");
}

static void put_isolation(struct fix *f, enum idfw_record_kind kind, const struct idfw_isolation *i)
{
	struct idfw_record r = { .kind = kind,
		.time_ms = 5,
		.vm = "web01",
		.detail = "{}",
		.db_id = i->session,
		.user = i->user,
		.isolation = i };

	assert_int_equal(idfw_store_put(f->store, &r), 0);
}

static void test_store_isolation_stays_until_released(void **state)
{
	struct fix *f = *state;
	char alice[] = "alice", by[] = "scan1", why[] = "Eicar (\"x\")", none[] = "",
	     root[] = "root";
	struct idfw_isolation uid = { .uid = 5001,
		.session = 41,
		.since_ms = 5,
		.automatic = true,
		.user = alice,
		.by = by,
		.why = why },
			      vm = { .whole_vm = true,
				      .since_ms = 6,
				      .user = none,
				      .by = root,
				      .why = none };

	fix_open(f);
	put_isolation(f, IDFW_REC_ISOLATED, &uid);
	put_isolation(f, IDFW_REC_ISOLATED, &vm);
	reload(f, "isolation web01 0 5001 41 alice 1 scan1 Eicar (\"x\")\n"
		  "isolation web01 1 0 0  0 root \n");
	put_isolation(f, IDFW_REC_RELEASED, &uid);
	reload(f, "isolation web01 1 0 0  0 root \n");
	put_isolation(f, IDFW_REC_RELEASED, &vm);
	reload(f, "");
}

static void test_store_fim_filters(void **state)
{
	struct fix *f = *state;
	char text[8192];

	fix_open(f);
	put_scan(f, IDFW_REC_FIM, box, 1, "{\"rule\":\"etc\",\"path\":\"/etc/passwd\"}");
	put_scan(f, IDFW_REC_FIM, box, 2, "{\"rule\":\"bin\",\"path\":\"/usr/bin/ls\"}");
	put_scan(f, IDFW_REC_SCAN, box, 3, "{\"rule\":\"etc\",\"path\":\"/etc/passwd\"}");
	put_scan(f, IDFW_REC_FIM, box, 4, "{\"rule\":\"etc\",\"path\":\"/etcetera\"}");
	wait_scan(f, 4);
	audit(f, (struct idfw_store_filter){ .kind = "fim" }, text);
	assert_non_null(strstr(text, "\"id\":4"));
	assert_null(strstr(text, "\"id\":3"));
	audit(f, (struct idfw_store_filter){ .kind = "fim", .path = "/etc/" }, text);
	assert_non_null(strstr(text, "\"id\":1"));
	assert_null(strstr(text, "\"id\":2"));
	assert_null(strstr(text, "\"id\":4"));
	audit(f, (struct idfw_store_filter){ .kind = "fim", .path = "%" }, text);
	assert_string_equal(text, ""); /* no pattern, bytes */
	audit(f, (struct idfw_store_filter){ .kind = "fim", .rule = "bin" }, text);
	assert_non_null(strstr(text, "\"id\":2"));
	assert_null(strstr(text, "\"id\":1"));
}

static void sql(struct fix *f, const char *text)
{
	sqlite3 *db = NULL;

	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void test_store_version_1_is_migrated(void **state)
{
	struct fix *f = *state;
	char text[8192];

	sql(f, store_schema_1);
	sql(f, "INSERT INTO audit(time_ms,kind,vm,session,user,detail)"
	       " VALUES(3,'login','web01',1,'bob','{}');"
	       "INSERT INTO session(id,vm,boot_id,agent_id,user,uid,service,tty,rhost,auth,"
	       "leader_pid,leader_start,opened_ms,seen_ms,closed_ms,reason)"
	       " VALUES(1,'web01',x'0a000000000000000000000000000000',501,'bob',5002,'sshd','','',"
	       "'',1,1,1,1,2,'close')");
	fix_open(f);
	put_scan(f, IDFW_REC_FIM, box, 1, "{\"rule\":\"etc\",\"path\":\"/etc/passwd\"}");
	wait_scan(f, 1);
	audit(f, (struct idfw_store_filter){ .user = "bob" }, text);
	assert_non_null(strstr(text, "\"kind\":\"login\""));
	audit(f, (struct idfw_store_filter){ .kind = "fim" }, text);
	assert_non_null(strstr(text, "/etc/passwd"));
	reload(f, "recent web01 0a 501 1 5002 bob\noutbox 07 1\n");
}

/* whose processes are isolated still: his sessions that are over, in this boot, from then on */
static void test_store_left_by_isolated_sessions(void **state)
{
	struct fix *f = *state;
	char alice[] = "alice", text[] = "x";
	struct idfw_isolation one = {
		.uid = 5001, .session = 41, .spares = 43, .user = alice, .by = text, .why = text
	};

	fix_open(f);
	idfw_store_close(f->store); /* nobody else writes */
	sql(f, "INSERT OR REPLACE INTO vm(name,boot_id,seq)"
	       " VALUES('web01',x'0a000000000000000000000000000000',1);"
	       "WITH s(id,boot,agent,vm,uid,cgroup,parent,kind,closed,reason) AS (VALUES"
	       " (40,x'0a000000000000000000000000000000',1,'web01',5001,700,0,0,2,'close'),"
	       " (41,x'0a000000000000000000000000000000',2,'web01',5001,701,0,0,2,'leader'),"
	       " (42,x'0a000000000000000000000000000000',3,'web01',5001,702,0,0,2,'close'),"
	       " (44,x'0a000000000000000000000000000000',4,'web01',5001,704,0,0,2,'close'),"
	       " (45,x'0a000000000000000000000000000000',5,'web01',5001,705,0,0,2,'cgroup'),"
	       " (46,x'0a000000000000000000000000000000',6,'web01',5001,706,0,0,2,'reboot'),"
	       " (47,x'0a000000000000000000000000000000',7,'web01',5001,0,4,0,2,'close'),"
	       " (48,x'0a000000000000000000000000000000',8,'web01',5001,708,0,1,2,'gone'),"
	       " (49,x'0b000000000000000000000000000000',9,'web01',5001,709,0,0,2,'close'),"
	       " (50,x'0a000000000000000000000000000000',10,'web01',5002,710,0,0,2,'close'),"
	       " (51,x'0a000000000000000000000000000000',11,'web02',5001,711,0,0,2,'close'),"
	       " (52,x'0a000000000000000000000000000000',12,'web01',5001,0,0,0,2,'close'))"
	       "INSERT INTO session(id,vm,boot_id,agent_id,user,uid,service,tty,rhost,auth,"
	       "leader_pid,leader_start,opened_ms,seen_ms,closed_ms,reason,cgroup,parent,kind)"
	       " SELECT id,vm,boot,agent,'alice',uid,'','','','',1,1,1,1,closed,reason,cgroup,"
	       "parent,kind FROM s");
	fix_open(f);
	put_isolation(f, IDFW_REC_ISOLATED, &one);
	reload_has(f, "left web01 0a 2 41 5001 alice cgroup 701\n"
		      "left web01 0a 4 44 5001 alice cgroup 704\n"
		      "left web01 0a 12 52 5001 alice\n");
	reload_has(f, "recent web01 0a 1 40 5001 alice cgroup 700\n");
	reload_has(f, "recent web01 0a 7 47 5001 alice leaves nothing\n"
		      "recent web01 0a 8 48 5001 alice leaves nothing cgroup 708\n");
	put_isolation(f, IDFW_REC_RELEASED, &one);
	reload_has(f, "recent web01 0a 2 41 5001 alice cgroup 701\n");
}

static void test_store_version_2_is_migrated(void **state)
{
	struct fix *f = *state;
	char alice[] = "alice", text[] = "x";
	struct idfw_isolation old = { .uid = 5001, .session = 41, .user = alice },
			      two = { .uid = 5001,
				      .session = 42,
				      .spares = 43,
				      .since_ms = 9,
				      .user = alice,
				      .by = text,
				      .why = text };

	sql(f, store_schema_1);
	sql(f, store_schema_2);
	sql(f, "INSERT INTO isolation(vm,uid,session,user,since_ms,automatic,by,why)"
	       " VALUES('web01',5001,41,'alice',5,1,'scan1','x');"
	       "INSERT INTO session(id,vm,boot_id,agent_id,user,uid,service,tty,rhost,auth,"
	       "leader_pid,leader_start,opened_ms,seen_ms)"
	       " VALUES(1,'web01',x'0a000000000000000000000000000000',501,'bob',5002,'sshd','','',"
	       "'',1,1,1,1)");
	fix_open(f);
	/* two of one uid may stand, each with what it spares */
	put_isolation(f, IDFW_REC_ISOLATED, &two);
	reload(f, "isolation web01 0 5001 41 alice 1 scan1 x\n"
		  "isolation web01 0 5001 42 alice 0 x x spares 43\n"
		  "session web01 1 bob 0 0 0 0 0\n");
	put_isolation(f, IDFW_REC_RELEASED, &old);
	reload(f, "isolation web01 0 5001 42 alice 0 x x spares 43\n"
		  "session web01 1 bob 0 0 0 0 0\n");
}

static int one_principal(void *arg, const struct idfw_principal *p)
{
	*(struct idfw_account *)arg = p->account;
	return 0;
}

static void test_store_version_3_is_migrated(void **state)
{
	static const struct store_load_ops with_principals = { .vm = ignored_vm,
		.principal = one_principal,
		.session = loaded_session,
		.next_db_id = ignored_next };
	struct fix *f = *state;
	struct idfw_account got = { .state = 9 };

	sql(f, store_schema_1);
	sql(f, store_schema_2);
	sql(f, store_schema_3);
	sql(f, "INSERT INTO principal(key,name,upn,dn,sid,guid,presence,resolved_ms,groups)"
	       " VALUES('alice','alice','','','',x'00000000000000000000000000000000',1,5,'[]')");
	fix_open(f);
	assert_int_equal(idfw_store_read(f->store, &with_principals, &got), 0);
	assert_int_equal(got.state, 0);
	assert_int_equal(got.expires_ms, 0);
}

static void as_of_text(void *arg, const struct idfw_as_of *a)
{
	char *text = arg;
	size_t at = strlen(text);

	(void)snprintf(text + at, 256 - at, "%s %llu %llu\n", *a->directory ? a->directory : "-",
		(unsigned long long)a->real_ms, (unsigned long long)a->next_db_id);
}

/* the one mark counts for every directory, until each has its own */
static void test_store_version_5_is_migrated(void **state)
{
	static const struct store_load_ops with_as_of = { .vm = ignored_vm,
		.as_of = as_of_text,
		.session = loaded_session,
		.next_db_id = ignored_next };
	static const struct idfw_as_of corp = { "corp", 1893456000001, 8 };
	struct fix *f = *state;
	char text[256] = "";

	sql(f, store_schema_1);
	sql(f, store_schema_2);
	sql(f, store_schema_3);
	sql(f, store_schema_4);
	sql(f, store_schema_5);
	sql(f, "INSERT INTO meta(key,value) VALUES('as_of_ms',1893456000000),('as_of_session',7)");
	fix_open(f);
	assert_int_equal(idfw_store_read(f->store, &with_as_of, text), 0);
	assert_string_equal(text, "- 1893456000000 7\n");
	assert_int_equal(idfw_store_put_as_of(f->store, &corp), 0);
	idfw_store_close(f->store); /* flushes */
	fix_open(f);
	text[0] = '\0';
	assert_int_equal(idfw_store_read(f->store, &with_as_of, text), 0);
	assert_string_equal(text, "corp 1893456000001 8\n- 1893456000000 7\n");
}

static void test_store_session_keeps_cgroup_parent_and_kind(void **state)
{
	struct fix *f = *state;
	char text[] = "nginx.service", none[] = "";
	struct idfw_session s = { .id = 5,
		.db_id = 7,
		.user = text,
		.service = none,
		.tty = none,
		.rhost = none,
		.auth = none,
		.cgroup = UINT64_C(0xfedcba9876543210),
		.parent = 3,
		.is_unit = true,
		.found = true };
	struct idfw_record r = { .kind = IDFW_REC_LOGIN,
		.time_ms = 5,
		.vm = "web01",
		.boot_id = box,
		.session = &s,
		.detail = "{}" };

	fix_open(f);
	assert_int_equal(idfw_store_put(f->store, &r), 0);
	reload(f, "session web01 7 nginx.service fedcba9876543210 3 1 1 0\n");
}

/* the index of version 2 is what a listing of fim events uses */
static void test_store_fim_index_is_used(void **state)
{
	struct fix *f = *state;
	sqlite3_stmt *st = NULL;
	char text[512] = "";
	sqlite3 *db = NULL;

	fix_open(f);
	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db,
				 "EXPLAIN QUERY PLAN SELECT time_ms,id FROM audit WHERE 1 AND "
				 "kind='fim' AND time_ms BETWEEN ?3 AND ?4 AND (time_ms,id) < "
				 "(?5,?6) ORDER BY time_ms DESC, id DESC LIMIT ?7",
				 -1, &st, NULL),
		SQLITE_OK);
	while (sqlite3_step(st) == SQLITE_ROW)
		(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s;",
			(const char *)sqlite3_column_text(st, 3));
	assert_int_equal(sqlite3_finalize(st), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	assert_non_null(strstr(text, "audit_fim"));
	assert_null(strstr(text, "TEMP B-TREE"));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_store_scan_record_is_told_by_outbox),
		T(test_store_isolation_stays_until_released),
		T(test_store_left_by_isolated_sessions),
		T(test_store_fim_filters),
		T(test_store_version_1_is_migrated),
		T(test_store_version_2_is_migrated),
		T(test_store_version_3_is_migrated),
		T(test_store_version_5_is_migrated),
		T(test_store_session_keeps_cgroup_parent_and_kind),
		T(test_store_fim_index_is_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
