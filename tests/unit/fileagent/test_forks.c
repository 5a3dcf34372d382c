/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_forks.c - who made whom: the table, the kernel's records as bytes, and the real kernel
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fileagent/forks.h"
#include "fileagent/tasks.h"

static int setup(void **state)
{
	struct fa_forks *f;

	assert_int_equal(fa_forks_new(&f), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	fa_forks_free(*state);
	return 0;
}

static void name(struct fa_forks *f, uint64_t ns, uint32_t pid, const char *text)
{
	char comm[FA_FORK_COMM] = "";

	memcpy(comm, text, strlen(text));
	fa_forks_name(f, ns, pid, comm);
}

static void test_add_then_find_gives_maker_and_name(void **state)
{
	struct fa_forks *f = *state;
	const struct fa_fork *r;

	fa_forks_add(f, 100, 20, 10);
	name(f, 110, 20, "bash");
	fa_forks_add(f, 120, 30, 20);
	r = fa_forks_only(f, 30);
	assert_non_null(r);
	assert_int_equal(r->ppid, 20);
	assert_int_equal(r->time_ns, 120);
	assert_string_equal(r->comm, "bash"); /* its maker's, until it has one of its own */
	name(f, 130, 30, "rm");
	assert_string_equal(fa_forks_only(f, 30)->comm, "rm");
	assert_string_equal(fa_forks_only(f, 20)->comm, "bash");
	assert_null(fa_forks_only(f, 10));
	assert_null(fa_forks_find(f, 30, 119)); /* not yet there then */
}

static void test_name_before_its_fork_belongs_to_it(void **state)
{
	struct fa_forks *f = *state;

	name(f, 130, 30, "rm"); /* another processor's ring was read first */
	assert_int_equal(fa_forks_only(f, 30)->ppid, 0);
	fa_forks_add(f, 120, 30, 20);
	assert_non_null(fa_forks_only(f, 30));
	assert_int_equal(fa_forks_only(f, 30)->ppid, 20);
	assert_string_equal(fa_forks_only(f, 30)->comm, "rm");
	name(f, 125, 30, "sh"); /* an older one that comes later changes nothing */
	assert_string_equal(fa_forks_only(f, 30)->comm, "rm");
}

static void test_number_used_anew_is_two_processes(void **state)
{
	struct fa_forks *f = *state;

	fa_forks_add(f, 100, 30, 20);
	name(f, 110, 30, "old");
	fa_forks_add(f, 200, 30, 21);
	assert_null(fa_forks_only(f, 30)); /* nobody can tell which */
	assert_int_equal(fa_forks_find(f, 30, 150)->ppid, 20);
	assert_int_equal(fa_forks_find(f, 30, UINT64_MAX)->ppid, 21);
	name(f, 210, 30, "new");
	assert_string_equal(fa_forks_find(f, 30, 150)->comm, "old");
	assert_string_equal(fa_forks_find(f, 30, 250)->comm, "new");
}

static void test_full_table_gives_up_the_oldest(void **state)
{
	struct fa_forks *f = *state;

	for (uint32_t i = 1; i <= FA_FORKS_MAX + 5; i++)
		fa_forks_add(f, i, i, i + 100000);
	for (uint32_t i = 1; i <= FA_FORKS_MAX + 5; i++)
		assert_int_equal(fa_forks_only(f, i) != NULL, i > 5);
	/* all of one chain */
	for (uint32_t i = 1; i <= FA_FORKS_MAX + 5; i++)
		fa_forks_add(f, 1000000 + i, i * FA_FORKS_MAX, 7);
	assert_null(fa_forks_only(f, 100));
	assert_non_null(fa_forks_only(f, 6 * FA_FORKS_MAX));
	fa_forks_forget(f);
	assert_null(fa_forks_only(f, 6 * FA_FORKS_MAX));
	fa_forks_add(f, 1, 0, 1); /* somebody of another namespace */
	assert_null(fa_forks_only(f, 0));
}

/* ---- records ---- */

struct bytes {
	uint8_t b[128];
	size_t len;
};

static void put(struct bytes *r, const void *p, size_t n)
{
	memcpy(r->b + r->len, p, n);
	r->len += n;
}

static void put_head(struct bytes *r, uint32_t type)
{
	struct perf_event_header h = { .type = type };

	r->len = 0;
	put(r, &h, sizeof(h));
}

static void put_fork(struct bytes *r, uint32_t type, uint32_t pid, uint32_t ppid, uint64_t time)
{
	const uint32_t ids[] = { pid, ppid, pid, ppid };

	put_head(r, type);
	put(r, ids, sizeof(ids));
	put(r, &time, sizeof(time));
	put(r, &time, sizeof(time)); /* the sample's */
}

static void put_comm(struct bytes *r, uint32_t pid, uint32_t tid, const char *comm, uint64_t time)
{
	const uint32_t ids[] = { pid, tid };
	char text[16] = "";

	memcpy(text, comm, strlen(comm));
	put_head(r, PERF_RECORD_COMM);
	put(r, ids, sizeof(ids));
	put(r, text, strlen(comm) < 8 ? 8 : 16);
	put(r, &time, sizeof(time));
}

static void test_record_fork_and_comm_as_the_kernel_writes_them(void **state)
{
	struct fa_forks *f = *state;
	struct bytes r;

	put_fork(&r, PERF_RECORD_FORK, 30, 20, 100);
	assert_true(fa_tasks_record(f, r.b, r.len));
	put_comm(&r, 30, 30, "chmod", 110);
	assert_true(fa_tasks_record(f, r.b, r.len));
	assert_int_equal(fa_forks_only(f, 30)->ppid, 20);
	assert_string_equal(fa_forks_only(f, 30)->comm, "chmod");
	put_comm(&r, 30, 30, "fifteen-letters", 120);
	assert_true(fa_tasks_record(f, r.b, r.len));
	assert_string_equal(fa_forks_only(f, 30)->comm, "fifteen-letters");
	put_comm(&r, 30, 31, "thread", 130);
	assert_true(fa_tasks_record(f, r.b, r.len));
	assert_string_equal(fa_forks_only(f, 30)->comm, "fifteen-letters");
}

static void test_record_of_threads_and_ends_counts_for_nothing(void **state)
{
	struct fa_forks *f = *state;
	struct bytes r;

	put_fork(&r, PERF_RECORD_FORK, 30, 30, 100); /* a thread */
	assert_true(fa_tasks_record(f, r.b, r.len));
	put_fork(&r, PERF_RECORD_EXIT, 31, 30, 100);
	assert_true(fa_tasks_record(f, r.b, r.len));
	put_fork(&r, PERF_RECORD_FORK, UINT32_MAX, 30, 100); /* not in our namespace */
	assert_true(fa_tasks_record(f, r.b, r.len));
	assert_null(fa_forks_only(f, 30));
	assert_null(fa_forks_only(f, 31));
	assert_null(fa_forks_only(f, UINT32_MAX));
}

static void test_record_cut_off_at_each_byte_is_none(void **state)
{
	struct fa_forks *f = *state;
	struct bytes r;

	put_fork(&r, PERF_RECORD_FORK, 30, 20, 100);
	for (size_t len = 0; len < 32; len++)
		assert_true(fa_tasks_record(f, r.b, len));
	put_comm(&r, 31, 31, "rm", 110);
	for (size_t len = 0; len < r.len; len++)
		assert_true(fa_tasks_record(f, r.b, len));
	assert_null(fa_forks_only(f, 30));
	assert_null(fa_forks_only(f, 31));
	put_head(&r, PERF_RECORD_LOST);
	assert_false(fa_tasks_record(f, r.b, r.len));
}

/* ---- the kernel ---- */

/* all rings, or the test is skipped */
static void tasks_begin(const char *online, struct io_loop **ret_loop, struct fa_tasks **ret)
{
	struct io_loop *l;
	struct fa_tasks *t;
	uint64_t cpus = 1;

	assert_int_equal(io_loop_new(&l), 0);
	assert_int_equal(fa_tasks_new(l, online, &t), 0);
	*ret_loop = l;
	*ret = t;
	for (uint64_t cpu = 0; cpu < cpus; cpu++) {
		int fd, err = fa_tasks_open(cpu, &fd, &cpus);

		if (err == -EACCES || err == -EPERM || err == -ENOSYS) {
			fa_tasks_free(t);
			io_loop_free(l);
			print_message("no perf events here: %d\n", err);
			skip();
		}
		assert_true(err == 0 || err == -ENODEV);
		if (err == 0)
			assert_int_equal(fa_tasks_add(t, cpu, fd, cpus), 0);
	}
}

static pid_t child_ended(void)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		(void)prctl(PR_SET_NAME, "named");
		_exit(0);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	return pid;
}

static void test_real_child_that_has_ended_is_there(void **state)
{
	struct io_loop *l;
	struct fa_tasks *t;
	const struct fa_fork *r;
	pid_t pid;

	(void)state;
	tasks_begin(FA_TASKS_ONLINE, &l, &t);
	pid = child_ended();
	r = fa_forks_find(fa_tasks_now(t), (uint32_t)pid, UINT64_MAX);
	assert_int_equal(fa_tasks_lost(t), 0);
	assert_non_null(r);
	assert_int_equal(r->ppid, getpid());
	assert_string_equal(r->comm, "named");
	fa_tasks_free(t);
	io_loop_free(l);
}

/* more processors run than have rings: a number may be of one who was made there */
static void test_real_child_beside_an_unseen_processor_is_not_known(void **state)
{
	char path[] = "/tmp/idfw-online.XXXXXX";
	struct io_loop *l;
	struct fa_tasks *t;
	pid_t pid;
	int fd;

	(void)state;
	tasks_begin(FA_TASKS_ONLINE, &l, &t); /* skips where there are none */
	fa_tasks_free(t);
	io_loop_free(l);
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "0-511\n", 6), 6);
	close(fd);
	tasks_begin(path, &l, &t);
	pid = child_ended();
	assert_null(fa_forks_find(fa_tasks_now(t), (uint32_t)pid, UINT64_MAX));
	fa_tasks_free(t);
	io_loop_free(l);
	(void)unlink(path);
}

/* makes one child, tells its number, ends when the pipe is closed */
static void maker_main(int in, int out)
{
	pid_t pid;
	char b;

	(void)!read(in, &b, 1);
	pid = fork();
	if (pid == 0)
		_exit(0);
	(void)waitpid(pid, NULL, 0);
	(void)!write(out, &pid, sizeof(pid));
	(void)!read(in, &b, 1);
	_exit(0);
}

/* an event of one process dies with it, as one of a processor may: nothing is known any more */
static void test_ring_that_ended_is_not_watched_and_all_is_forgotten(void **state)
{
	struct perf_event_attr a = { .type = PERF_TYPE_SOFTWARE,
		.size = sizeof(a),
		.config = PERF_COUNT_SW_DUMMY,
		.sample_type = PERF_SAMPLE_TIME,
		.task = 1,
		.sample_id_all = 1,
		.exclude_kernel = 1 };
	char path[] = "/tmp/idfw-online.XXXXXX";
	int online, to[2], from[2], fd;
	struct io_loop *l;
	struct fa_tasks *t;
	pid_t maker, pid;

	(void)state;
	tasks_begin(FA_TASKS_ONLINE, &l, &t); /* skips where there are none */
	fa_tasks_free(t);
	online = mkstemp(path);
	assert_int_equal(write(online, "0\n", 2), 2);
	close(online);
	assert_int_equal(pipe(to), 0);
	assert_int_equal(pipe(from), 0);
	maker = fork();
	assert_true(maker >= 0);
	if (maker == 0) {
		close(to[1]);
		maker_main(to[0], from[1]);
	}
	fd = (int)syscall(SYS_perf_event_open, &a, maker, -1, -1, PERF_FLAG_FD_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(fa_tasks_new(l, path, &t), 0);
	assert_int_equal(fa_tasks_add(t, 0, fd, 1), 0);
	assert_int_equal(write(to[1], "x", 1), 1);
	assert_int_equal(read(from[0], &pid, sizeof(pid)), sizeof(pid));
	assert_non_null(fa_forks_find(fa_tasks_now(t), (uint32_t)pid, UINT64_MAX));
	close(to[1]);
	assert_int_equal(waitpid(maker, NULL, 0), maker);
	io_loop_run_once(l, 10000);
	assert_null(fa_forks_find(fa_tasks_now(t), (uint32_t)pid, UINT64_MAX));
	fa_tasks_free(t);
	io_loop_free(l);
	close(to[0]);
	close(from[0]);
	close(from[1]);
	(void)unlink(path);
}

static void test_cpus_look_sees_who_has_no_ring(void **state)
{
	struct fa_cpus have = { { 0x2f } }; /* 0-3,5 */

	(void)state;
	assert_true(fa_cpus_look(&have, "0-3,5\n"));
	assert_false(fa_cpus_look(&have, "0-5\n"));
	assert_false(fa_cpus_look(&have, "0-3,5,64\n"));
	assert_false(fa_cpus_look(&have, "0-3,5,512\n"));
	assert_false(fa_cpus_look(&have, "0-3,5-99999999999999999999\n"));
	assert_int_equal(have.bits[0], 0x2f);
	assert_true(fa_cpus_look(&have, "0-2,5"));
	assert_int_equal(have.bits[0], 0x27);
	assert_false(fa_cpus_look(&have, "0-3,5\n")); /* on again: its event was not */
}

static void test_cpus_look_is_false_on_what_it_cannot_read(void **state)
{
	static const char *const bad[] = { "", "\n", "a", "0-", "-1", "0,", "3-1", "0 1", "0-1x" };
	struct fa_cpus have = { { 0xff } };

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(bad); i++)
		assert_false(fa_cpus_look(&have, bad[i]));
	assert_int_equal(have.bits[0], 0xff);
}

static void test_open_processor_out_of_range_is_refused(void **state)
{
	uint64_t cpus = 0;
	int fd = -1;

	(void)state;
	assert_int_equal(fa_tasks_open(FA_TASKS_CPUS_MAX, &fd, &cpus), -EINVAL);
	assert_int_equal(fd, -1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_add_then_find_gives_maker_and_name),
		T(test_name_before_its_fork_belongs_to_it),
		T(test_number_used_anew_is_two_processes),
		T(test_full_table_gives_up_the_oldest),
		T(test_record_fork_and_comm_as_the_kernel_writes_them),
		T(test_record_of_threads_and_ends_counts_for_nothing),
		T(test_record_cut_off_at_each_byte_is_none),
		T(test_real_child_that_has_ended_is_there),
		T(test_real_child_beside_an_unseen_processor_is_not_known),
		T(test_ring_that_ended_is_not_watched_and_all_is_forgotten),
		T(test_cpus_look_sees_who_has_no_ring),
		T(test_cpus_look_is_false_on_what_it_cannot_read),
		T(test_open_processor_out_of_range_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
