/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_store_dir.c - accounts and their groups in the database file: each group once, and none lost
 *
 * On the writer's and the reader's connection themselves, without the thread: a batch is a call.
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
	char dir[64], path[96], why[STORE_WHY_MAX];
	struct store_sql *db;
	size_t refused;
	char text[4096]; /* what a start reads */
};

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof(*f));

	assert_non_null(f);
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

	store_sql_close(f->db);
	for (size_t i = 0; i < GI_ARRAY_SIZE(ends); i++) {
		(void)snprintf(path, sizeof(path), "%s%s", f->path, ends[i]);
		(void)unlink(path);
	}
	(void)rmdir(f->dir);
	free(f);
	return 0;
}

/* also a start: nothing is remembered */
static void fix_open(struct fix *f)
{
	store_sql_close(f->db);
	f->db = NULL;
	if (store_sql_open(f->path, f->why, &f->db) < 0)
		fail_msg("open: %s", f->why);
}

static void sql(struct fix *f, const char *text)
{
	sqlite3 *db;
	char *why = NULL;

	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	(void)sqlite3_busy_timeout(db, 60000);
	if (sqlite3_exec(db, text, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s: %s", text, why);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static int64_t groups_stored(struct fix *f)
{
	int64_t n = -1;

	assert_int_equal(store_sql_number(f->db, "SELECT count(*) FROM directory_group", &n), 0);
	return n;
}

/* ---- reading ---- */

static void add(struct fix *f, const char *text)
{
	size_t at = strlen(f->text);

	(void)snprintf(f->text + at, sizeof(f->text) - at, "%s", text);
}

static int on_principal(void *arg, const struct idfw_principal *p)
{
	struct fix *f = arg;
	char line[1024];

	(void)snprintf(line, sizeof(line), "%s@%s %llu", p->key, p->directory,
		(unsigned long long)p->resolved_ms);
	add(f, line);
	for (size_t i = 0; i < p->n_groups; i++) {
		const struct idfw_group *g = &p->groups[i];

		(void)snprintf(line, sizeof(line), " [%s|%s|%s|%02x%02x|%s]", g->name, g->dn,
			g->sid, g->id[0], g->id[15], g->directory);
		add(f, line);
	}
	add(f, "\n");
	return 0;
}

static int on_vm(void *arg, const char *name, const uint8_t boot_id[16], uint64_t seq)
{
	(void)arg;
	(void)name;
	(void)boot_id;
	(void)seq;
	return 0;
}

static int on_session(void *arg, const char *vm, const Idfw__Session *s, const uint8_t boot_id[16],
	uint64_t db_id, uint64_t seen_ms, bool kicked)
{
	(void)arg;
	(void)vm;
	(void)s;
	(void)boot_id;
	(void)db_id;
	(void)seen_ms;
	(void)kicked;
	return 0;
}

static void on_next(void *arg, uint64_t next)
{
	(void)arg;
	(void)next;
}

static int load(struct fix *f)
{
	static const struct store_load_ops ops = {
		.vm = on_vm, .principal = on_principal, .session = on_session, .next_db_id = on_next
	};
	struct store_sql *reader = NULL;
	int err;

	assert_int_equal(store_sql_open_reader(f->path, f->why, &reader), 0);
	f->text[0] = '\0';
	err = store_sql_load(reader, &ops, f);
	store_sql_close(reader);
	return err;
}

static void loads(struct fix *f, const char *want)
{
	assert_int_equal(load(f), 0);
	assert_string_equal(f->text, want);
}

/* ---- writing ---- */

static struct idfw_group group(const char *name, uint8_t id)
{
	struct idfw_group g = { .name = (char *)(uintptr_t)name,
		.dn = (char *)(uintptr_t) "CN=\"\xc3\xa4\"",
		.sid = (char *)(uintptr_t) "S-1-5-7",
		.directory = (char *)(uintptr_t) "corp" };

	g.id[0] = id;
	g.id[15] = 0xee;
	return g;
}

static struct store_rec *account(const char *key, uint64_t ms, struct idfw_group *g, size_t n)
{
	char *text = (char *)(uintptr_t)key, none[] = "";
	const struct idfw_principal p = { .key = text,
		.name = text,
		.upn = none,
		.dn = none,
		.sid = none,
		.directory = (char *)(uintptr_t) "corp",
		.presence = IDFW_P_FOUND,
		.resolved_ms = ms,
		.groups = g,
		.n_groups = n };
	struct store_rec *r;

	assert_int_equal(store_rec_principal(&p, &r), 0);
	return r;
}

/* one transaction; frees them; 0 or the error */
static int write_all(struct fix *f, struct store_rec *one, struct store_rec *two)
{
	int err;

	one->next = two;
	err = store_sql_write(f->db, one, two ? 2 : 1, &f->refused, f->why);
	free(one);
	free(two);
	return err;
}

static void test_store_dir_groups_are_stored_once(void **state)
{
	struct idfw_group g[3] = { group("eng", 1), group("ops", 2), { .name = NULL } };
	struct fix *f = *state;

	fix_open(f);
	assert_int_equal(write_all(f, account("alice", 1, g, 3), account("bob", 2, g, 2)), 0);
	assert_int_equal(
		write_all(f, account("carol", 3, g + 1, 1), account("dan", 4, NULL, 0)), 0);
	assert_int_equal(groups_stored(f), 3);
	loads(f, "alice@corp 1 [eng|CN=\"\xc3\xa4\"|S-1-5-7|01ee|corp] "
		 "[ops|CN=\"\xc3\xa4\"|S-1-5-7|02ee|corp] [|||0000|]\n"
		 "bob@corp 2 [eng|CN=\"\xc3\xa4\"|S-1-5-7|01ee|corp] "
		 "[ops|CN=\"\xc3\xa4\"|S-1-5-7|02ee|corp]\n"
		 "carol@corp 3 [ops|CN=\"\xc3\xa4\"|S-1-5-7|02ee|corp]\n"
		 "dan@corp 4\n");
	fix_open(f); /* the numbers are known again */
	assert_int_equal(write_all(f, account("erin", 5, g, 3), NULL), 0);
	assert_int_equal(groups_stored(f), 3);
}

/* the same but for one member each: they are not mixed up */
static void test_store_dir_groups_that_are_alike_differ(void **state)
{
	struct idfw_group g[6];
	struct fix *f = *state;
	char a[] = "a", b[] = "b";

	for (size_t i = 0; i < GI_ARRAY_SIZE(g); i++)
		g[i] = group(i == 1 ? b : a, i == 2 ? 9 : 1);
	g[3].dn = b;
	g[4].sid = b;
	g[5].directory = b;
	fix_open(f);
	assert_int_equal(write_all(f, account("alice", 1, g, GI_ARRAY_SIZE(g)), NULL), 0);
	assert_int_equal(groups_stored(f), 6);
	loads(f, "alice@corp 1 [a|CN=\"\xc3\xa4\"|S-1-5-7|01ee|corp] "
		 "[b|CN=\"\xc3\xa4\"|S-1-5-7|01ee|corp] [a|CN=\"\xc3\xa4\"|S-1-5-7|09ee|corp] "
		 "[a|b|S-1-5-7|01ee|corp] [a|CN=\"\xc3\xa4\"|b|01ee|corp] "
		 "[a|CN=\"\xc3\xa4\"|S-1-5-7|01ee|b]\n");
}

static void test_store_dir_unused_groups_go_at_the_next_start(void **state)
{
	struct idfw_group g[3] = { group("a", 1), group("b", 2), group("c", 3) };
	struct fix *f = *state;

	fix_open(f);
	assert_int_equal(write_all(f, account("alice", 1, g, 2), account("bob", 1, g + 1, 1)), 0);
	assert_int_equal(write_all(f, account("alice", 2, g + 2, 1), NULL), 0);
	assert_int_equal(groups_stored(f), 3);
	fix_open(f);
	assert_int_equal(write_all(f, account("carol", 3, NULL, 0), NULL), 0);
	assert_int_equal(groups_stored(f), 2);
	/* and come back as new ones */
	assert_int_equal(write_all(f, account("carol", 4, g, 1), NULL), 0);
	loads(f, "alice@corp 2 [c|CN=\"\xc3\xa4\"|S-1-5-7|03ee|corp]\n"
		 "bob@corp 1 [b|CN=\"\xc3\xa4\"|S-1-5-7|02ee|corp]\n"
		 "carol@corp 4 [a|CN=\"\xc3\xa4\"|S-1-5-7|01ee|corp]\n");
}

/* what a transaction made that was rolled back is not known afterwards */
static void test_store_dir_rolled_back_groups_are_written_again(void **state)
{
	static const struct idfw_as_of now = { "corp", 7, 1 };
	struct idfw_group g[2] = { group("a", 1), group("b", 2) };
	struct fix *f = *state;
	struct store_rec *as_of;

	fix_open(f);
	assert_int_equal(write_all(f, account("alice", 1, g, 1), NULL), 0);
	sql(f, "CREATE TRIGGER no BEFORE INSERT ON as_of BEGIN SELECT RAISE(ROLLBACK,'no'); END");
	for (int turn = 0; turn < 2; turn++) {
		assert_int_equal(store_rec_as_of(&now, &as_of), 0);
		assert_true(write_all(f, account("bob", 2, g, 2), as_of) < 0);
		assert_int_equal(groups_stored(f), 1);
	}
	sql(f, "DROP TRIGGER no");
	assert_int_equal(write_all(f, account("carol", 3, g, 2), NULL), 0);
	assert_int_equal(groups_stored(f), 2);
	loads(f, "alice@corp 1 [a|CN=\"\xc3\xa4\"|S-1-5-7|01ee|corp]\n"
		 "carol@corp 3 [a|CN=\"\xc3\xa4\"|S-1-5-7|01ee|corp] "
		 "[b|CN=\"\xc3\xa4\"|S-1-5-7|02ee|corp]\n");
}

static void test_store_dir_too_many_groups_refused(void **state)
{
	struct idfw_group known = group("1", 1), new = group("new", 2);
	struct fix *f = *state;

	fix_open(f);
	sql(f, "INSERT INTO directory_group WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i+1 "
	       "FROM n WHERE i<262144) SELECT i,i,'CN=\"\xc3\xa4\"','S-1-5-7',"
	       "'010000000000000000000000000000ee','corp' FROM n;"
	       "INSERT INTO principal SELECT 'all','','','','',zeroblob(16),1,0,"
	       "group_concat(id,' '),0,0,0,'' FROM directory_group");
	assert_int_equal(STORE_GROUPS_MAX, 262144);
	fix_open(f);
	assert_int_equal(
		write_all(f, account("alice", 1, &new, 1), account("bob", 2, &known, 1)), 0);
	assert_int_equal(f->refused, 1);
	assert_non_null(strstr(f->why, "alice"));
	assert_int_equal(groups_stored(f), STORE_GROUPS_MAX);
	sql(f, "DELETE FROM principal WHERE key='all'");
	loads(f, "bob@corp 2 [1|CN=\"\xc3\xa4\"|S-1-5-7|01ee|corp]\n");
	fix_open(f); /* there is room again */
	assert_int_equal(write_all(f, account("alice", 3, &new, 1), NULL), 0);
	assert_int_equal(f->refused, 0);
	assert_int_equal(groups_stored(f), 2);
}

/* a group that is missing may be one that a rule drops by: no start without it */
static void test_store_dir_damaged_rows_refused(void **state)
{
	static const char *const ids[] = { "2", "1 2", "x", "1,1", "-1", "0", " 1", "1  1",
		"99999999999999999999" };
	struct idfw_group g = group("a", 1);
	struct fix *f = *state;
	char text[128];

	fix_open(f);
	assert_int_equal(write_all(f, account("alice", 1, &g, 1), NULL), 0);
	for (size_t i = 0; i < GI_ARRAY_SIZE(ids); i++) {
		(void)snprintf(text, sizeof(text), "UPDATE principal SET groups='%s'", ids[i]);
		sql(f, text);
		assert_int_equal(load(f), -EBADF);
	}
	sql(f, "UPDATE principal SET groups='1', guid=x'00'");
	assert_int_equal(load(f), -EBADF);
	sql(f, "UPDATE principal SET guid=zeroblob(16)");
	assert_int_equal(load(f), 0);
}

static void test_store_dir_version_6_is_migrated(void **state)
{
	struct idfw_group g = group("eng", 1);
	struct fix *f = *state;

	for (size_t v = 0; v < 6; v++)
		sql(f, store_schemas[v]);
	sql(f, "INSERT INTO principal(key,name,upn,dn,sid,guid,presence,resolved_ms,groups,"
	       "directory) VALUES"
	       "('alice','alice','','','',zeroblob(16),1,5,"
	       "'[[\"eng\",\"CN=\\\"\xc3\xa4\\\"\",\"S-1-5-7\","
	       "\"010000000000000000000000000000ee\",\"corp\"],[\"old\",\"\",\"S-1-5-9\"]]','corp')"
	       ","
	       "('bob','bob','','','',zeroblob(16),1,6,"
	       "'[[\"eng\",\"CN=\\\"\xc3\xa4\\\"\",\"S-1-5-7\","
	       "\"010000000000000000000000000000ee\",\"corp\"]]','corp'),"
	       "('carol','carol','','','',zeroblob(16),1,7,'[]','lab')");
	fix_open(f);
	loads(f, "alice@corp 5 [eng|CN=\"\xc3\xa4\"|S-1-5-7|01ee|corp] [old||S-1-5-9|0000|]\n"
		 "bob@corp 6 [eng|CN=\"\xc3\xa4\"|S-1-5-7|01ee|corp]\n"
		 "carol@lab 7\n");
	assert_int_equal(groups_stored(f), 2);
	/* what is read is what would be written */
	assert_int_equal(write_all(f, account("carol", 8, &g, 1), NULL), 0);
	assert_int_equal(groups_stored(f), 2);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_store_dir_groups_are_stored_once),
		T(test_store_dir_groups_that_are_alike_differ),
		T(test_store_dir_unused_groups_go_at_the_next_start),
		T(test_store_dir_rolled_back_groups_are_written_again),
		T(test_store_dir_too_many_groups_refused),
		T(test_store_dir_damaged_rows_refused),
		T(test_store_dir_version_6_is_migrated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
