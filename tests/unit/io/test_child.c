/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_child.c - fork and exec of our own binary: lib/io/child.h
 *
 * The child is this program with the argument "child" and a verb; it answers on IO_CHILD_FD.
 */
#include "tests/unit/io/pair.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/wait.h>
#include "lib/io/child.h"

struct fix {
	struct pair pair;
	struct io_child child;
	int exits, status, restarts;
	char *argv[4];
};

static int setup(void **state)
{
	static struct fix f;

	f = (struct fix){ 0 };
	pair_init(&f.pair);
	f.argv[0] = (char *)"test_child";
	f.argv[1] = (char *)"child";
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;

	io_child_stop(f->pair.loop, &f->child);
	pair_fini(&f->pair);
	return 0;
}

static void exited(struct io_child *c, int status)
{
	struct fix *f = c->arg;

	f->exits++;
	f->status = status;
	assert_int_equal(c->pid, 0);
	assert_int_equal(c->fd, -1);
	assert_int_equal(c->pidfd, -1);
	if (f->restarts > 0) {
		f->restarts--;
		assert_int_equal(
			io_child_start(f->pair.loop, c, f->argv, SOCK_STREAM, exited, f), 0);
	}
}

static void start(struct fix *f, const char *verb, int type)
{
	f->argv[2] = (char *)verb;
	assert_int_equal(io_child_start(f->pair.loop, &f->child, f->argv, type, exited, f), 0);
	assert_true(f->child.pid > 0);
	assert_true(f->child.pidfd >= 0);
	assert_true(fcntl(f->child.fd, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(f->child.fd, F_GETFL) & O_NONBLOCK);
}

static void wrap(struct fix *f)
{
	end_wrap(&f->pair, &f->pair.a, f->child.fd, NULL, 1000, 10000);
	f->child.fd = -1;
}

static void test_start_channel_talks_and_exit_is_seen(void **state)
{
	struct fix *f = *state;

	start(f, "echo", SOCK_STREAM);
	wrap(f);
	assert_int_equal(io_chan_send(f->pair.a.chan, "hello", 5), 0);
	pair_until(&f->pair, f->pair.a.frames == 1);
	assert_memory_equal(f->pair.a.last, "hello", 5);
	pair_until(&f->pair, f->exits == 1 && f->pair.a.closed);
	assert_true(WIFEXITED(f->status));
	assert_int_equal(WEXITSTATUS(f->status), 7);
	assert_int_equal(f->pair.a.err, -GI_ECLOSED);
}

static void test_start_child_has_only_its_descriptors(void **state)
{
	struct fix *f = *state;
	int leak = dup(STDIN_FILENO), high = fcntl(STDIN_FILENO, F_DUPFD, 200);

	/* both without CLOEXEC */
	start(f, "fds", SOCK_STREAM);
	wrap(f);
	pair_until(&f->pair, f->pair.a.frames == 1);
	assert_int_equal(f->pair.a.last_len, 1);
	assert_int_equal(f->pair.a.last[0], 4); /* 0, 1, 2, IO_CHILD_FD */
	close(leak);
	close(high);
	pair_until(&f->pair, f->exits == 1);
}

static void test_start_seqpacket_keeps_boundaries(void **state)
{
	struct fix *f = *state;
	char buf[16];

	start(f, "packets", SOCK_SEQPACKET);
	assert_int_equal(poll(&(struct pollfd){ .fd = f->child.fd, .events = POLLIN }, 1, 5000), 1);
	assert_int_equal(recv(f->child.fd, buf, sizeof(buf), 0), 3);
	io_child_kill(&f->child);
	pair_until(&f->pair, f->exits == 1);
}

static void test_kill_is_told_by_exited(void **state)
{
	struct fix *f = *state;

	start(f, "hang", SOCK_STREAM);
	io_child_kill(&f->child);
	assert_int_equal(f->exits, 0);
	pair_until(&f->pair, f->exits == 1);
	assert_true(WIFSIGNALED(f->status));
	assert_int_equal(WTERMSIG(f->status), SIGKILL);
	io_child_kill(&f->child); /* nobody: nothing */
}

static void test_stop_reaps_without_callback(void **state)
{
	struct fix *f = *state;
	pid_t pid;

	start(f, "hang", SOCK_STREAM);
	pid = f->child.pid;
	io_child_stop(f->pair.loop, &f->child);
	assert_int_equal(f->child.pid, 0);
	assert_int_equal(waitpid(pid, NULL, 0), -1);
	assert_int_equal(errno, ECHILD);
	io_child_stop(f->pair.loop, &f->child);
	io_loop_run_once(f->pair.loop, 0);
	assert_int_equal(f->exits, 0);
}

static void test_restart_inside_exited(void **state)
{
	struct fix *f = *state;

	f->restarts = 3;
	start(f, "exit", SOCK_STREAM);
	pair_until(&f->pair, f->exits == 4);
	assert_int_equal(f->child.pid, 0);
	assert_int_equal(WEXITSTATUS(f->status), 9);
}

static void test_start_bad_socket_type_is_an_error(void **state)
{
	struct fix *f = *state;

	assert_true(io_child_start(f->pair.loop, &f->child, f->argv, 4711, exited, f) < 0);
	assert_int_equal(f->child.pid, 0);
}

static void test_child_signals_are_reset(void **state)
{
	struct fix *f = *state;
	sigset_t set, old;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, &old);
	start(f, "mask", SOCK_STREAM);
	sigprocmask(SIG_SETMASK, &old, NULL);
	wrap(f);
	pair_until(&f->pair, f->pair.a.frames == 1);
	assert_int_equal(f->pair.a.last[0], 0);
	pair_until(&f->pair, f->exits == 1);
}

/* the parent of @pid dies at once; the child's socket must then end */
static void test_child_dies_with_its_parent(void **state)
{
	int fds[2], status;
	pid_t pid;
	char b;

	(void)state;
	assert_int_equal(pipe2(fds, 0), 0);
	pid = fork();
	if (pid == 0) {
		/* the grandchild holds only 0..3, so the pipe goes in as its stdin's place */
		char *argv[] = { (char *)"test_child", (char *)"child", (char *)"hang", NULL };
		struct io_loop *l;
		struct io_child c = { 0 };

		if (dup2(fds[1], STDIN_FILENO) < 0 || io_loop_new(&l) < 0 ||
			io_child_start(l, &c, argv, SOCK_STREAM, exited, NULL) < 0)
			_exit(1);
		_exit(0);
	}
	close(fds[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(read(fds[0], &b, 1), 0); /* comes when the last holder is gone */
	close(fds[0]);
}

static void child_send(const void *buf, size_t len)
{
	uint8_t out[64] = { 0, 0, 0, (uint8_t)len };

	memcpy(out + 4, buf, len);
	if (write(IO_CHILD_FD, out, len + 4) != (ssize_t)len + 4)
		_exit(3);
}

static int child_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	struct dirent *de;
	uint8_t n = 0;

	while (d && (de = readdir(d)))
		n += de->d_name[0] != '.' && (int)strtol(de->d_name, NULL, 10) != dirfd(d);
	closedir(d);
	child_send(&n, 1);
	return 0;
}

static int child_main(const char *verb)
{
	uint8_t buf[64];
	sigset_t set;
	ssize_t n;

	if (strcmp(verb, "exit") == 0)
		return 9;
	if (strcmp(verb, "fds") == 0)
		return child_fds();
	if (strcmp(verb, "mask") == 0) {
		sigprocmask(SIG_SETMASK, NULL, &set);
		buf[0] = (uint8_t)sigismember(&set, SIGTERM);
		child_send(buf, 1);
		return 0;
	}
	if (strcmp(verb, "packets") == 0) {
		(void)!write(IO_CHILD_FD, "abc", 3);
		(void)!write(IO_CHILD_FD, "de", 2);
	}
	if (strcmp(verb, "echo") == 0) {
		n = read(IO_CHILD_FD, buf, sizeof(buf));
		return n > 0 && write(IO_CHILD_FD, buf, (size_t)n) == n ? 7 : 1;
	}
	for (;;)
		pause();
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static void test_spawn_without_a_loop_talks_and_can_be_reaped(void **state)
{
	struct fix *f = *state;
	struct io_child_proc p;
	struct pollfd fd = { .events = POLLIN };
	int status;

	f->argv[2] = (char *)"exit";
	assert_int_equal(io_child_spawn(f->argv, SOCK_STREAM, &p), 0);
	assert_true(p.pid > 0);
	assert_true(fcntl(p.fd, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(p.fd, F_GETFL) & O_NONBLOCK);
	fd.fd = p.pidfd;
	assert_int_equal(poll(&fd, 1, 10000), 1);
	assert_int_equal(waitpid(p.pid, &status, 0), p.pid);
	assert_true(WIFEXITED(status));
	(void)close(p.pidfd);
	(void)close(p.fd);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		T(test_start_channel_talks_and_exit_is_seen),
		T(test_start_child_has_only_its_descriptors),
		T(test_start_seqpacket_keeps_boundaries),
		T(test_kill_is_told_by_exited),
		T(test_stop_reaps_without_callback),
		T(test_restart_inside_exited),
		T(test_start_bad_socket_type_is_an_error),
		T(test_child_signals_are_reset),
		T(test_spawn_without_a_loop_talks_and_can_be_reaped),
		cmocka_unit_test(test_child_dies_with_its_parent),
	};

	if (argc == 3 && strcmp(argv[1], "child") == 0)
		return child_main(argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
