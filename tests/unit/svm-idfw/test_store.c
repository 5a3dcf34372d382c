/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_store.c - svm-idfw/store.c on a real file: what is durable is there, once, in order
 *
 * The kill test forks a writer, kills it with SIGKILL after it has reported some events durable,
 * and opens the database again, many times over the same file. A second sqlite connection plays the
 * slow disk (it holds the write lock) and the one who would change the audit trail.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "svm-idfw/store_sql.h"

struct fix {
	char dir[64], path[96], why[256];
	struct io_loop *loop;
	struct idfw_store *store;
	uint64_t durable; /* of vm01 */
	char durable_vm[64];
	int state_err, states;
	int report_fd; /* kill test: durable numbers go there, -1 none */
};

static const uint8_t boot_a[16] = { 0xa }, boot_b[16] = { 0xb };

static void on_durable(void *arg, const char *vm, const uint8_t boot_id[16], uint64_t seq)
{
	struct fix *f = arg;

	(void)boot_id;
	(void)snprintf(f->durable_vm, sizeof(f->durable_vm), "%s", vm);
	f->durable = seq;
	if (f->report_fd >= 0 && write(f->report_fd, &seq, sizeof(seq)) != sizeof(seq))
		_exit(3);
}

static void on_state(void *arg, int err, const char *why)
{
	struct fix *f = arg;

	(void)why;
	f->state_err = err;
	f->states++;
}

static const struct idfw_store_ops store_ops = { .durable = on_durable, .state = on_state };

static void fix_open(struct fix *f)
{
	int err = idfw_store_open(f->loop, f->path, &store_ops, f, f->why, &f->store);

	if (err < 0)
		fail_msg("open: %d %s", err, f->why);
}

static void fix_reopen(struct fix *f)
{
	idfw_store_close(f->store);
	fix_open(f);
}

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof(*f));

	(void)snprintf(f->dir, sizeof(f->dir), "/tmp/idfw-store-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	(void)snprintf(f->path, sizeof(f->path), "%s/svm.db", f->dir);
	f->report_fd = -1;
	assert_int_equal(io_loop_new(&f->loop), 0);
	fix_open(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	static const char *const tails[] = { "", "-wal", "-shm", "-journal" };
	struct fix *f = *state;
	char name[128];
	size_t i;

	idfw_store_close(f->store);
	io_loop_free(f->loop);
	for (i = 0; i < GI_ARRAY_SIZE(tails); i++) {
		(void)snprintf(name, sizeof(name), "%s%s", f->path, tails[i]);
		(void)unlink(name);
	}
	assert_int_equal(rmdir(f->dir), 0);
	free(f);
	return 0;
}

static struct idfw_session session(uint64_t id, const char *user)
{
	struct idfw_session s = { .db_id = id,
		.user = user,
		.service = "sshd",
		.tty = "pts/0",
		.rhost = "10.0.0.9",
		.auth = "publickey",
		.uid = 2001,
		.leader_pid = 77,
		.leader_start = 99,
		.opened_ms = 1000 + id,
		.seen_ms = 2000 + id,
		.peer = { 4, { 10, 0, 0, 9 } } };

	s.id = id + 500;
	memcpy(s.boot_id, boot_a, sizeof(s.boot_id));
	return s;
}

static int put(struct fix *f, enum idfw_record_kind kind, uint64_t seq,
	const struct idfw_session *s, const char *detail)
{
	struct idfw_record r = { .kind = kind,
		.time_ms = 5000 + seq,
		.vm = "vm01",
		.boot_id = boot_a,
		.session = s,
		.seq = seq,
		.detail = detail,
		.end_reason = IDFW__END_REASON__END_LEADER,
		.end_ms = 7777 };

	return idfw_store_put(f->store, &r);
}

static void wait_durable(struct fix *f, uint64_t seq)
{
	uint64_t until = io_clock_mono_ms() + 120000;

	while (f->durable < seq && io_clock_mono_ms() < until)
		io_loop_run_once(f->loop, 100);
	assert_int_equal(f->durable, seq);
}

struct rows {
	json_t *list;
	size_t stop_after;
};

static int collect(void *arg, const char *json)
{
	struct rows *r = arg;

	assert_null(strchr(json, '\n'));
	assert_int_equal(json_array_append_new(r->list, json_loads(json, 0, NULL)), 0);
	return r->stop_after && json_array_size(r->list) % r->stop_after == 0;
}

static json_t *rows_of(struct fix *f, bool audit, struct idfw_store_filter filter)
{
	struct rows r = { .list = json_array() };

	assert_int_equal(
		(audit ? idfw_store_audit : idfw_store_sessions)(f->store, &filter, collect, &r),
		0);
	return r.list;
}

static const char *text_of(json_t *rows, size_t i, const char *key)
{
	const char *s = json_string_value(json_object_get(json_array_get(rows, i), key));

	return s ? s : "(none)";
}

static json_int_t int_of(json_t *rows, size_t i, const char *key)
{
	return json_integer_value(json_object_get(json_array_get(rows, i), key));
}

static void test_store_login_logout_rows(void **state)
{
	struct fix *f = *state;
	struct idfw_session a = session(1, "alice"), b = session(2, "bob");
	json_t *rows;

	assert_int_equal(put(f, IDFW_REC_LOGIN, 1, &a, ""), 0);
	assert_int_equal(put(f, IDFW_REC_LOGIN, 2, &b, "{\"x\":1}"), 0);
	assert_int_equal(put(f, IDFW_REC_ENFORCED, 0, &a, ""), 0);
	assert_int_equal(put(f, IDFW_REC_LOGOUT, 3, &a, "not json"), 0);
	wait_durable(f, 3);
	assert_string_equal(f->durable_vm, "vm01");

	rows = rows_of(f, false, (struct idfw_store_filter){ .with_live = true });
	assert_int_equal(json_array_size(rows), 2);
	assert_string_equal(text_of(rows, 0, "user"), "bob");
	assert_true(json_is_null(json_object_get(json_array_get(rows, 0), "closed_ms")));
	assert_string_equal(text_of(rows, 1, "user"), "alice");
	assert_string_equal(text_of(rows, 1, "reason"), "leader");
	assert_int_equal(int_of(rows, 1, "closed_ms"), 7777);
	json_decref(rows);
	rows = rows_of(f, false, (struct idfw_store_filter){ .user = "alice" });
	assert_int_equal(json_array_size(rows), 1);
	json_decref(rows);
	rows = rows_of(f, false, (struct idfw_store_filter){ .user = "ALICE" });
	assert_int_equal(json_array_size(rows), 1);
	json_decref(rows);

	rows = rows_of(f, true, (struct idfw_store_filter){ .vm = "vm01" });
	assert_int_equal(json_array_size(rows), 4);
	/* by time, not by number: 5003, 5002, 5001, 5000 */
	assert_string_equal(text_of(rows, 0, "kind"), "logout");
	assert_string_equal(text_of(rows, 3, "kind"), "enforced");
	assert_string_equal(text_of(rows, 0, "detail"), "not json");
	assert_int_equal(json_integer_value(json_object_get(
				 json_object_get(json_array_get(rows, 1), "detail"), "x")),
		1);
	json_decref(rows);
	rows = rows_of(f, true, (struct idfw_store_filter){ .vm = "vm02" });
	assert_int_equal(json_array_size(rows), 0);
	json_decref(rows);
	rows = rows_of(f, true, (struct idfw_store_filter){ .since_ms = 5001, .until_ms = 5002 });
	assert_int_equal(json_array_size(rows), 2);
	json_decref(rows);
}

static void test_store_filter_goes_on_where_it_stopped(void **state)
{
	struct fix *f = *state;
	struct idfw_store_filter filter = { .limit = 10 };
	struct rows r = { .list = json_array(), .stop_after = 7 };
	uint64_t i;

	for (i = 1; i <= 100; i++)
		assert_int_equal(put(f, IDFW_REC_GUEST_UP, i, NULL, ""), 0);
	wait_durable(f, 100);
	do {
		i = json_array_size(r.list);
		assert_int_equal(idfw_store_audit(f->store, &filter, collect, &r), 0);
	} while (json_array_size(r.list) > i);
	assert_int_equal(json_array_size(r.list), 100);
	for (i = 0; i < 100; i++)
		assert_int_equal(int_of(r.list, i, "id"), 100 - i);
	json_decref(r.list);
}

/* ---- restart ---- */

struct loaded {
	char text[1024];
	uint64_t next_db_id;
};

static int loaded_vm(void *arg, const char *name, const uint8_t boot_id[16], uint64_t seq)
{
	struct loaded *l = arg;
	size_t at = strlen(l->text);

	(void)snprintf(l->text + at, sizeof(l->text) - at, "vm %s %02x %llu\n", name, boot_id[0],
		(unsigned long long)seq);
	return 0;
}

static int loaded_principal(void *arg, const struct idfw_principal *p)
{
	struct loaded *l = arg;
	size_t at = strlen(l->text);

	(void)snprintf(l->text + at, sizeof(l->text) - at,
		"principal %s@%s %s %s %zu %s@%s %s@%s %d state %u/%u %llu\n", p->key, p->directory,
		p->name, p->sid, p->n_groups, p->groups[1].name, p->groups[1].directory,
		p->groups[0].sid, p->groups[0].directory, p->presence, p->account.state,
		p->account.revokes, (unsigned long long)p->account.expires_ms);
	return 0;
}

static int loaded_session(void *arg, const char *vm, const Idfw__Session *s,
	const uint8_t boot_id[16], uint64_t db_id, uint64_t seen_ms, bool kicked)
{
	struct loaded *l = arg;
	size_t at = strlen(l->text);

	(void)snprintf(l->text + at, sizeof(l->text) - at,
		"session %s %s %02x %llu %llu %llu %d %s %zu %u\n", vm, s->user, boot_id[0],
		(unsigned long long)s->id, (unsigned long long)db_id, (unsigned long long)seen_ms,
		kicked, s->tty, s->peer_addr.len, s->uid);
	return 0;
}

static void loaded_as_of(void *arg, const struct idfw_as_of *as_of)
{
	struct loaded *l = arg;
	size_t at = strlen(l->text);

	(void)snprintf(l->text + at, sizeof(l->text) - at, "as of %s %llu %llu\n", as_of->directory,
		(unsigned long long)as_of->real_ms, (unsigned long long)as_of->next_db_id);
}

static void loaded_next(void *arg, uint64_t next)
{
	((struct loaded *)arg)->next_db_id = next;
}

static const struct store_load_ops load_ops = { .vm = loaded_vm,
	.as_of = loaded_as_of,
	.principal = loaded_principal,
	.session = loaded_session,
	.next_db_id = loaded_next };

static void test_store_restart_loads_live_state(void **state)
{
	struct fix *f = *state;
	struct idfw_session a = session(1, "alice"), b = session(2, "bob"), c = session(3, "cy");
	static const struct idfw_as_of as_of[] = { { "corp", 7, 1 }, { "lab", 8, 2 },
		{ "corp", 1893456000000, 3 } };
	char eng[] = "eng", ops[] = "R&D (\"East\")", sid[] = "S-1-5-18", none[] = "",
	     alice[] = "alice", lab[] = "lab";
	struct idfw_group groups[] = { { eng, none, sid, lab, { 0xe1, [15] = 0x0e } },
		{ ops, none, none, NULL, { 0 } } };
	struct idfw_principal p = { .key = alice,
		.name = alice,
		.upn = none,
		.dn = none,
		.sid = sid,
		.presence = IDFW_P_FOUND,
		.directory = (char *)"corp",
		.account = { .state = 5, .revokes = 3, .expires_ms = 1893456000000, .now = 9 },
		.groups = groups,
		.n_groups = 2 };
	struct loaded l = { .next_db_id = 0 };
	struct idfw_record other = {
		.kind = IDFW_REC_ADDRESSES, .vm = "vm02", .boot_id = boot_b, .seq = 9, .detail = ""
	};

	assert_int_equal(put(f, IDFW_REC_LOGIN, 1, &a, ""), 0);
	assert_int_equal(put(f, IDFW_REC_LOGIN, 2, &b, ""), 0);
	assert_int_equal(put(f, IDFW_REC_LOGIN, 3, &c, ""), 0);
	assert_int_equal(put(f, IDFW_REC_KICK, 0, &b, "{}"), 0);
	assert_int_equal(put(f, IDFW_REC_LOGOUT, 4, &c, ""), 0);
	assert_int_equal(idfw_store_put_principal(f->store, &p), 0);
	for (size_t i = 0; i < GI_ARRAY_SIZE(as_of); i++)
		assert_int_equal(idfw_store_put_as_of(f->store, &as_of[i]), 0);
	assert_int_equal(idfw_store_put(f->store, &other), 0);
	fix_reopen(f); /* close flushes */
	assert_int_equal(idfw_store_read(f->store, &load_ops, &l), 0);
	assert_string_equal(l.text,
		"vm vm01 0a 4\n"
		"vm vm02 0b 9\n"
		"as of corp 1893456000000 3\n"
		"as of lab 8 2\n"
		"principal alice@corp alice S-1-5-18 2 R&D (\"East\")@ S-1-5-18@lab 1 "
		"state 5/3 1893456000000\n"
		"session vm01 alice 0a 501 1 2001 0 pts/0 4 2001\n"
		"session vm01 bob 0a 502 2 2002 1 pts/0 4 2001\n");
	assert_int_equal(l.next_db_id, 4);
}

static void test_store_new_boot_replaces_the_number(void **state)
{
	struct fix *f = *state;
	struct loaded l = { .next_db_id = 0 };
	struct idfw_record r = {
		.kind = IDFW_REC_ADDRESSES, .vm = "vm01", .boot_id = boot_b, .seq = 2, .detail = ""
	};

	assert_int_equal(put(f, IDFW_REC_ADDRESSES, 50, NULL, ""), 0);
	assert_int_equal(put(f, IDFW_REC_ADDRESSES, 49, NULL, ""), 0);
	assert_int_equal(idfw_store_put(f->store, &r), 0);
	fix_reopen(f);
	assert_int_equal(idfw_store_read(f->store, &load_ops, &l), 0);
	assert_string_equal(l.text, "vm vm01 0b 2\n");
}

/* ---- policy ---- */

static void test_store_policy(void **state)
{
	struct fix *f = *state;
	uint64_t generation = 0, time_ms = 0;
	char *text = NULL, *by = NULL;
	size_t len = 0;

	assert_int_equal(idfw_store_get_policy(f->store, &generation, &text, &len), -GI_ENOTFOUND);
	assert_int_equal(idfw_store_policy_info(f->store, 1, &time_ms, &by), -GI_ENOTFOUND);
	assert_int_equal(idfw_store_put_policy(f->store, 1, "root", 111, "one", 3), 0);
	assert_int_equal(idfw_store_put_policy(f->store, 2, "uid 7", 222, "two two", 7), 0);
	assert_int_equal(idfw_store_put_policy(f->store, 2, "uid 8", 333, "again", 5), -EIO);
	assert_int_equal(idfw_store_get_policy(f->store, &generation, &text, &len), 0);
	assert_int_equal(generation, 2);
	assert_int_equal(len, 7);
	assert_string_equal(text, "two two");
	assert_int_equal(idfw_store_policy_info(f->store, 2, &time_ms, &by), 0);
	assert_int_equal(time_ms, 222);
	assert_string_equal(by, "uid 7");
	free(text);
	free(by);
}

/* ---- the file ---- */

static void test_store_file_is_private(void **state)
{
	struct fix *f = *state;
	char wal[128];
	struct stat st;

	assert_int_equal(put(f, IDFW_REC_GUEST_UP, 1, NULL, ""), 0);
	wait_durable(f, 1);
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	(void)snprintf(wal, sizeof(wal), "%s-wal", f->path);
	assert_int_equal(stat(wal, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void sql(struct fix *f, const char *text, int want, const char *say)
{
	sqlite3 *db = NULL;
	char *msg = NULL;

	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	(void)sqlite3_busy_timeout(db, 60000);
	assert_int_equal(sqlite3_exec(db, text, NULL, NULL, &msg), want);
	if (say)
		assert_non_null(strstr(msg, say));
	sqlite3_free(msg);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void test_store_audit_is_append_only(void **state)
{
	struct fix *f = *state;
	json_t *rows;

	assert_int_equal(put(f, IDFW_REC_GUEST_UP, 1, NULL, ""), 0);
	wait_durable(f, 1);
	sql(f, "UPDATE audit SET vm='other'", SQLITE_CONSTRAINT, "append-only");
	sql(f, "DELETE FROM audit", SQLITE_CONSTRAINT, "append-only");
	sql(f,
		"INSERT OR REPLACE INTO audit(id,time_ms,kind,vm,user,detail)"
		" SELECT id,time_ms,kind,'other',user,detail FROM audit",
		SQLITE_CONSTRAINT, "append-only");
	sql(f, "REPLACE INTO audit(id,time_ms,kind,vm,user,detail) VALUES(1,0,'login','x','','')",
		SQLITE_CONSTRAINT, "append-only");
	rows = rows_of(f, true, (struct idfw_store_filter){ .limit = 0 });
	assert_int_equal(json_array_size(rows), 1);
	assert_string_equal(text_of(rows, 0, "vm"), "vm01");
	json_decref(rows);
}

static void test_store_removed_file_takes_nothing(void **state)
{
	struct fix *f = *state;
	struct idfw_store_stats st;
	uint64_t until = io_clock_mono_ms() + 120000;

	assert_int_equal(put(f, IDFW_REC_GUEST_UP, 1, NULL, ""), 0);
	wait_durable(f, 1);
	assert_int_equal(unlink(f->path), 0);
	assert_int_equal(put(f, IDFW_REC_GUEST_UP, 2, NULL, ""), 0);
	do {
		io_loop_run_once(f->loop, 50);
		idfw_store_stats(f->store, &st);
	} while (!st.err && io_clock_mono_ms() < until);
	assert_int_equal(st.err, -ESTALE);
	assert_non_null(strstr(st.why, "removed"));
	assert_int_equal(st.records, 1); /* the second one is kept, and not acknowledged */
	assert_int_equal(st.queued, 1);
	assert_int_equal(idfw_store_put_policy(f->store, 9, "root", 1, "x", 1), -ESTALE);
}

static void test_store_newer_version_refused(void **state)
{
	struct fix *f = *state;
	struct idfw_store *s = NULL;
	char why[256];

	sql(f, "PRAGMA user_version=8", SQLITE_OK, NULL);
	assert_int_equal(idfw_store_open(f->loop, f->path, &store_ops, f, why, &s), -GI_EVERSION);
	assert_null(s);
	assert_non_null(strstr(why, "version 8"));
	assert_non_null(strstr(why, "newer svm-idfw"));
	sql(f, "PRAGMA user_version=2; PRAGMA application_id=5", SQLITE_OK, NULL);
	assert_int_equal(idfw_store_open(f->loop, f->path, &store_ops, f, why, &s), -EBADF);
	assert_non_null(strstr(why, "another program"));
}

static void test_store_no_database_refused(void **state)
{
	struct fix *f = *state;
	struct idfw_store *s = NULL;
	char why[256], path[128], junk[4096];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/none/svm.db", f->dir);
	assert_int_equal(idfw_store_open(f->loop, path, &store_ops, f, why, &s), -ENOENT);
	assert_non_null(strstr(why, path));
	(void)snprintf(path, sizeof(path), "%s/junk", f->dir);
	memset(junk, 'x', sizeof(junk));
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(junk, sizeof(junk), 1, file), 1);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(idfw_store_open(f->loop, path, &store_ops, f, why, &s), -EBADF);
	assert_non_null(strstr(why, "not a database; restore a backup of it"));
	assert_int_equal(unlink(path), 0);
}

/* nothing is served of half a database: a group that is missing may be one that a rule drops by */
static void test_store_damaged_refused(void **state)
{
	struct fix *f = *state;
	struct loaded l = { .next_db_id = 0 };
	char why[256];
	FILE *file;

	sql(f,
		"INSERT INTO principal(key,name,upn,dn,sid,guid,presence,resolved_ms,groups,"
		"directory) VALUES('alice','','','','',zeroblob(16),1,5,'7','corp')",
		SQLITE_OK, NULL);
	assert_int_equal(idfw_store_read(f->store, &load_ops, &l), -EBADF);
	idfw_store_why_load(f->store, -EBADF, why);
	assert_non_null(strstr(why, f->path));
	assert_non_null(strstr(why, "cannot be read; restore a backup of it, or move it away"));
	idfw_store_why_load(f->store, -ENOMEM, why);
	assert_null(strstr(why, "restore"));
	idfw_store_close(f->store);
	f->store = NULL;
	file = fopen(f->path, "r+"); /* all but the first page */
	assert_non_null(file);
	assert_int_equal(ftruncate(fileno(file), 4096), 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(idfw_store_open(f->loop, f->path, &store_ops, f, why, &f->store), -EBADF);
	assert_null(f->store);
	assert_non_null(strstr(why, "malformed; restore a backup of it, or move it away"));
}

/* ---- a disk that does not take writes ---- */

static void test_store_full_queue_refuses_then_recovers(void **state)
{
	struct fix *f = *state;
	struct idfw_store_stats st;
	sqlite3 *db = NULL;
	uint64_t taken = 0;
	json_t *rows;
	int err;

	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	while ((err = put(f, IDFW_REC_GUEST_UP, taken + 1, NULL, "{}")) == 0 &&
		taken <= STORE_QUEUE_MAX)
		taken++;
	assert_int_equal(err, -GI_EFULL);
	assert_int_equal(taken, STORE_QUEUE_MAX);
	idfw_store_stats(f->store, &st);
	assert_int_equal(st.queued, STORE_QUEUE_MAX);
	assert_int_equal(st.rejected_full, 1);
	assert_int_equal(f->durable, 0);
	/* longer than sqlite's own patience: the transaction fails, and is tried again */
	while (f->states == 0)
		io_loop_run_once(f->loop, 1000);
	assert_true(f->state_err < 0);
	idfw_store_stats(f->store, &st);
	assert_true(st.err < 0 && st.errors >= 1);
	assert_int_equal(f->durable, 0);
	assert_int_equal(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	wait_durable(f, taken);
	assert_int_equal(f->state_err, 0);
	assert_int_equal(f->states, 2);
	idfw_store_stats(f->store, &st);
	assert_int_equal(st.records, taken);
	assert_int_equal(st.queued, 0);
	rows = rows_of(f, true, (struct idfw_store_filter){ .limit = 100000 });
	assert_int_equal(json_array_size(rows), taken);
	json_decref(rows);
}

static void test_store_bad_record_is_left_out_not_retried(void **state)
{
	struct fix *f = *state;
	struct idfw_session a = session(1, "alice"), twice = session(1, "mallory");
	json_t *rows;

	assert_int_equal(put(f, IDFW_REC_LOGIN, 1, &a, ""), 0);
	assert_int_equal(put(f, IDFW_REC_LOGIN, 2, &twice, ""), 0);
	assert_int_equal(put(f, IDFW_REC_GUEST_UP, 3, NULL, ""), 0);
	wait_durable(f, 3);
	rows = rows_of(f, false, (struct idfw_store_filter){ .with_live = true });
	assert_int_equal(json_array_size(rows), 1);
	assert_string_equal(text_of(rows, 0, "user"), "alice");
	json_decref(rows);
}

/* ---- kill -9 ---- */

/* the writer: events from @from on, as fast as they are taken; durable ones are reported */
static void child_write(struct fix *f, uint64_t from)
{
	struct idfw_session s;
	uint64_t seq = from, ahead;

	if (idfw_store_open(f->loop, f->path, &store_ops, f, f->why, &f->store) < 0)
		_exit(2);
	f->durable = from - 1;
	for (;;) {
		for (ahead = 0; ahead < 7; ahead++, seq++) {
			s = session(seq, "alice");
			if (put(f, IDFW_REC_LOGIN, seq, &s, "") < 0)
				break;
		}
		io_loop_run_once(f->loop, seq - f->durable > 60 ? 100 : 0);
	}
}

static void test_store_killed_writer_loses_nothing(void **state)
{
	struct fix *f = *state;
	uint64_t reported = 0, stored = 0;
	int round;

	idfw_store_close(f->store);
	f->store = NULL;
	for (round = 0; round < 25; round++) {
		struct loaded l = { .next_db_id = 0 };
		uint64_t want = (uint64_t)(round * 7 % 13) + 1, n = 0, seq;
		json_t *rows;
		int p[2], status;
		pid_t pid;
		size_t i;

		assert_int_equal(pipe2(p, O_CLOEXEC), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			f->report_fd = p[1];
			(void)close(p[0]);
			/* an inherited epoll would be shared with the parent: a loop of its own */
			if (io_loop_new(&f->loop) < 0)
				_exit(4);
			child_write(f, stored + 1);
		}
		(void)close(p[1]);
		while (n < want && read(p[0], &seq, sizeof(seq)) == sizeof(seq)) {
			reported = seq;
			n++;
		}
		assert_int_equal(n, want);
		assert_int_equal(kill(pid, SIGKILL), 0);
		while (read(p[0], &seq, sizeof(seq)) == sizeof(seq)) /* said before it died */
			reported = seq;
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		(void)close(p[0]);

		fix_open(f);
		assert_int_equal(idfw_store_read(f->store, &load_ops, &l), 0);
		assert_int_equal(
			sscanf(l.text, "vm vm01 0a %llu", (unsigned long long *)&stored), 1);
		assert_true(stored >= reported);
		assert_int_equal(l.next_db_id, stored + 1);
		rows = rows_of(f, false,
			(struct idfw_store_filter){ .with_live = true, .limit = 1000000 });
		assert_int_equal(json_array_size(rows), stored);
		for (i = 0; i < stored; i++)
			assert_int_equal(int_of(rows, i, "session"), stored - i);
		json_decref(rows);
		rows = rows_of(f, true, (struct idfw_store_filter){ .limit = 1000000 });
		assert_int_equal(json_array_size(rows), stored);
		json_decref(rows);
		idfw_store_close(f->store);
		f->store = NULL;
	}
	fix_open(f);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_store_login_logout_rows),
		T(test_store_filter_goes_on_where_it_stopped),
		T(test_store_restart_loads_live_state),
		T(test_store_new_boot_replaces_the_number),
		T(test_store_policy),
		T(test_store_file_is_private),
		T(test_store_audit_is_append_only),
		T(test_store_removed_file_takes_nothing),
		T(test_store_newer_version_refused),
		T(test_store_no_database_refused),
		T(test_store_damaged_refused),
		T(test_store_full_queue_refuses_then_recovers),
		T(test_store_bad_record_is_left_out_not_retried),
		T(test_store_killed_writer_loses_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
