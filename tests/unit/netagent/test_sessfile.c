/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_sessfile.c - live sessions as files: written, replaced, removed, swept
 */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "netagent/events.h"
#include "netagent/sessfile.h"

struct fixture {
	char dir[64];
	struct na_sessions table;
	struct na_sessfile files;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	snprintf(f->dir, sizeof(f->dir), "/tmp/sessfile.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	na_sessions_init(&f->table, 100);
	assert_int_equal(na_sessfile_open(&f->files, f->dir), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	struct na_sessions none;

	na_sessions_init(&none, 1);
	assert_int_equal(na_sessfile_sweep(&f->files, &none), 0);
	na_sessfile_close(&f->files);
	na_sessions_fini(&f->table);
	assert_int_equal(rmdir(f->dir), 0); /* so the sweep has left nothing */
	free(f);
	return 0;
}

static struct na_session *session_open(
	struct fixture *f, const char *user, uint32_t uid, uint32_t leader)
{
	struct na_pam_event ev = { .kind = NA_PAM_OPEN, .uid = uid };
	struct na_origin from = {
		.leader_pid = leader, .leader_start = 5555, .opened_ms = 1234, .cgroup = 77
	};
	struct na_session *s = NULL;

	snprintf(ev.user, sizeof(ev.user), "%s", user);
	snprintf(ev.service, sizeof(ev.service), "sshd");
	assert_int_equal(na_sessions_open(&f->table, &ev, &from, &s), 0);
	return s;
}

/* the file's session number, 0: there is none */
static uint64_t file_id(const struct fixture *f, const char *name, char user[64])
{
	char path[128];
	uint8_t buf[4096];
	Idfw__Session *s = NULL;
	uint64_t id;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return 0;
	n = read(fd, buf, sizeof(buf));
	close(fd);
	assert_true(n > 0);
	assert_int_equal(wire_session_decode(buf, (size_t)n, &s), 0);
	id = s->id;
	snprintf(user, 64, "%s", s->user);
	assert_int_equal(s->leader_start, 5555);
	wire_session_free(s);
	return id;
}

static size_t count(const struct fixture *f)
{
	DIR *d = opendir(f->dir);
	size_t n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static void test_put_then_drop_comes_and_goes(void **state)
{
	struct fixture *f = *state;
	struct na_session *s = session_open(f, "alice", 1001, 4711);
	struct stat st;
	char user[64], path[128];

	assert_int_equal(na_sessfile_put(&f->files, s), 0);
	assert_int_equal(file_id(f, "4711", user), s->id);
	assert_string_equal(user, "alice");
	snprintf(path, sizeof(path), "%s/4711", f->dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07137, 0); /* nobody else reads it */
	assert_int_equal(count(f), 1);		 /* nothing is left aside */
	assert_int_equal(na_sessfile_drop(&f->files, &f->table, s), 0);
	assert_int_equal(count(f), 0);
	assert_int_equal(na_sessfile_drop(&f->files, &f->table, s), 0); /* gone already */
}

static void test_put_without_leader_writes_nothing(void **state)
{
	struct fixture *f = *state;
	struct na_session *s = session_open(f, "alice", 1001, 0);

	assert_int_equal(na_sessfile_put(&f->files, s), 0);
	assert_int_equal(count(f), 0);
	assert_int_equal(na_sessfile_drop(&f->files, &f->table, s), 0);
}

static void test_two_sessions_of_one_leader_the_younger_is_there(void **state)
{
	struct fixture *f = *state;
	struct na_session *a = session_open(f, "alice", 1001, 7), *b;
	char user[64];

	assert_int_equal(na_sessfile_put(&f->files, a), 0);
	b = session_open(f, "bob", 1002, 7);
	assert_int_equal(na_sessfile_put(&f->files, b), 0);
	assert_int_equal(file_id(f, "7", user), b->id);
	assert_int_equal(na_sessfile_drop(&f->files, &f->table, b), 0);
	na_sessions_remove(&f->table, b);
	assert_int_equal(file_id(f, "7", user), a->id);
	assert_int_equal(na_sessfile_drop(&f->files, &f->table, a), 0);
	assert_int_equal(count(f), 0);
}

static void test_sweep_leaves_exactly_the_table(void **state)
{
	static const char *const left[] = { "31", "999", "junk", ".new", "0", "-1" };
	struct fixture *f = *state;
	struct na_session *a = session_open(f, "alice", 1001, 31);
	struct na_session *b = session_open(f, "bob", 1002, 31);
	char path[128], user[64];

	(void)session_open(f, "carol", 1003, 44);
	for (size_t i = 0; i < GI_ARRAY_SIZE(left); i++) {
		snprintf(path, sizeof(path), "%s/%s", f->dir, left[i]);
		close(open(path, O_WRONLY | O_CREAT, 0644));
	}
	assert_int_equal(na_sessfile_sweep(&f->files, &f->table), 0);
	assert_int_equal(count(f), 2);
	assert_true(a->id < b->id);
	assert_int_equal(file_id(f, "31", user), b->id);
	assert_true(file_id(f, "44", user) != 0);
}

static void test_link_at_the_name_is_replaced_not_followed(void **state)
{
	struct fixture *f = *state;
	struct na_session *s = session_open(f, "alice", 1001, 55);
	char path[128], user[64];

	snprintf(path, sizeof(path), "%s/55", f->dir);
	assert_int_equal(symlink("/nonexistent/x", path), 0);
	assert_int_equal(na_sessfile_put(&f->files, s), 0);
	assert_int_equal(file_id(f, "55", user), s->id);
	snprintf(path, sizeof(path), "%s/.new", f->dir);
	assert_int_equal(symlink("/nonexistent/x", path), 0);
	assert_int_equal(na_sessfile_put(&f->files, s), -ELOOP); /* a sweep mends it */
	assert_int_equal(na_sessfile_sweep(&f->files, &f->table), -ELOOP);
	assert_int_equal(na_sessfile_put(&f->files, s), 0);
}

static void test_no_directory_costs_the_file_only(void **state)
{
	struct fixture *f = *state;
	struct na_session *s = session_open(f, "alice", 1001, 77);
	struct na_sessfile none = { -1 };

	assert_int_equal(na_sessfile_open(&none, "/nonexistent/sessions"), -ENOENT);
	assert_int_equal(na_sessfile_put(&none, s), 0);
	assert_int_equal(na_sessfile_drop(&none, &f->table, s), 0);
	assert_int_equal(na_sessfile_sweep(&none, &f->table), 0);
	na_sessfile_close(&none);
	assert_int_equal(count(f), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_put_then_drop_comes_and_goes, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_put_without_leader_writes_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_two_sessions_of_one_leader_the_younger_is_there, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_sweep_leaves_exactly_the_table, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_link_at_the_name_is_replaced_not_followed, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_no_directory_costs_the_file_only, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
