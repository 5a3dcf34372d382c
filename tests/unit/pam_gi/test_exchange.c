/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_exchange.c - the bounded exchange against every way in which an agent can misbehave
 *
 * The other side is a forked child on a real socket. "Bounded" is measured: never before the
 * deadline when it is the deadline that ends it, and not more than SLACK_MS behind it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "pam_gi/exchange.h"

#define TIMEOUT_MS 60
#define SLACK_MS 400 /* a busy machine's scheduling, not the code's */

static char dir[] = "/tmp/test_exchange.XXXXXX";
static char path[sizeof(dir) + 8];
static int listen_fd = -1;

static long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (long long)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int setup(void **state)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	(void)state;
	unlink(path);
	memcpy(un.sun_path, path, strlen(path) + 1);
	listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (listen_fd < 0 || bind(listen_fd, (struct sockaddr *)&un, sizeof(un)) < 0)
		return -1;
	return listen(listen_fd, 0);
}

static int teardown(void **state)
{
	(void)state;
	close(listen_fd);
	listen_fd = -1;
	return unlink(path);
}

enum manner { ANSWER, CLOSE_AT_ONCE, OVERSIZE };

/* accepts one connection in a child and does what @how says */
static pid_t agent(enum manner how)
{
	static char big[9000];
	char in[128];
	pid_t pid = fork();
	int fd;

	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	fd = accept(listen_fd, NULL, NULL);
	if (fd < 0 || recv(fd, in, sizeof(in), 0) != 5 || memcmp(in, "hello", 5) != 0)
		_exit(1);
	if (how == ANSWER && send(fd, "world", 5, 0) != 5)
		_exit(1);
	if (how == OVERSIZE && send(fd, big, sizeof(big), 0) != (ssize_t)sizeof(big))
		_exit(1);
	_exit(0);
}

static void reap(pid_t pid)
{
	int status = -1;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static int exchange(unsigned int timeout_ms, long long *ret_ms)
{
	char buf[64];
	size_t len = 0;
	long long t = now_ms();
	int err = pam_gi_exchange(path, timeout_ms, "hello", 5, buf, sizeof(buf), &len);

	*ret_ms = now_ms() - t;
	if (err == 0) {
		assert_int_equal(len, 5);
		assert_memory_equal(buf, "world", 5);
	}
	return err;
}

static void test_exchange_answer_arrives(void **state)
{
	long long ms;
	pid_t pid = agent(ANSWER);

	(void)state;
	assert_int_equal(exchange(10000, &ms), 0);
	assert_true(ms < 5000);
	reap(pid);
}

static void test_exchange_no_socket_fails_at_once(void **state)
{
	long long ms;

	(void)state;
	unlink(path);
	assert_int_equal(exchange(10000, &ms), -ENOENT);
	assert_true(ms < SLACK_MS);
	assert_int_equal(mknod(path, S_IFREG | 0600, 0), 0);
	assert_int_equal(exchange(10000, &ms), -ECONNREFUSED);
	assert_true(ms < SLACK_MS);
}

static void test_exchange_silent_agent_is_etimedout(void **state)
{
	long long ms;

	(void)state;
	assert_int_equal(exchange(TIMEOUT_MS, &ms), -ETIMEDOUT);
	assert_true(ms >= TIMEOUT_MS && ms <= TIMEOUT_MS + SLACK_MS);
}

static void test_exchange_full_backlog_is_etimedout(void **state)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fds[8], n = 0;
	long long ms;

	(void)state;
	memcpy(un.sun_path, path, strlen(path) + 1);
	for (; n < 8; n++) {
		fds[n] = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (connect(fds[n], (struct sockaddr *)&un, sizeof(un)) < 0)
			break;
	}
	assert_true(n < 8); /* it is full now */
	assert_int_equal(exchange(TIMEOUT_MS, &ms), -ETIMEDOUT);
	assert_true(ms >= TIMEOUT_MS && ms <= TIMEOUT_MS + SLACK_MS);
	assert_int_equal(exchange(0, &ms), -ETIMEDOUT);
	assert_true(ms <= SLACK_MS);
	for (int i = 0; i <= n; i++)
		close(fds[i]);
}

static void test_exchange_closed_is_econnreset(void **state)
{
	long long ms;
	pid_t pid = agent(CLOSE_AT_ONCE);

	(void)state;
	assert_int_equal(exchange(10000, &ms), -ECONNRESET);
	assert_true(ms < 5000);
	reap(pid);
}

static void test_exchange_oversize_answer_is_elimit(void **state)
{
	long long ms;
	pid_t pid = agent(OVERSIZE);

	(void)state;
	assert_int_equal(exchange(10000, &ms), -GI_ELIMIT);
	reap(pid);
}

static void test_tell_waits_for_no_answer(void **state)
{
	long long ms = now_ms();
	char got[8];
	int fd;

	(void)state;
	/* nobody accepts it yet */
	assert_int_equal(pam_gi_tell(path, 10000, "hello", 5), 0);
	assert_true(now_ms() - ms < 5000);
	fd = accept(listen_fd, NULL, NULL);
	assert_true(fd >= 0);
	assert_int_equal(recv(fd, got, sizeof(got), 0), 5);
	assert_memory_equal(got, "hello", 5);
	assert_int_equal(recv(fd, got, sizeof(got), 0), 0);
	close(fd);
}

static void test_tell_full_backlog_is_etimedout(void **state)
{
	int err = 0;

	(void)state;
	for (int i = 0; i < 8 && err == 0; i++)
		err = pam_gi_tell(path, TIMEOUT_MS, "hello", 5);
	assert_int_equal(err, -ETIMEDOUT);
	unlink(path);
	assert_int_equal(pam_gi_tell(path, 10000, "hello", 5), -ENOENT);
	assert_int_equal(mknod(path, S_IFREG | 0600, 0), 0); /* for the teardown */
}

static void test_exchange_long_path_is_enametoolong(void **state)
{
	char p[256], buf[8];
	size_t len;

	(void)state;
	memset(p, 'p', sizeof(p) - 1);
	p[sizeof(p) - 1] = '\0';
	assert_int_equal(pam_gi_exchange(p, 10, "x", 1, buf, sizeof(buf), &len), -ENAMETOOLONG);
}

static void on_alarm(int sig)
{
	(void)sig;
}

/* signals that interrupt every system call neither fail the exchange nor lengthen it */
static void test_exchange_signals_change_nothing(void **state)
{
	struct sigaction sa = { .sa_handler = on_alarm }, old;
	struct itimerval every = { { 0, 2000 }, { 0, 2000 } }, never = { { 0, 0 }, { 0, 0 } };
	long long ms;

	(void)state;
	sigaction(SIGALRM, &sa, &old);
	setitimer(ITIMER_REAL, &every, NULL);
	assert_int_equal(exchange(TIMEOUT_MS, &ms), -ETIMEDOUT);
	setitimer(ITIMER_REAL, &never, NULL);
	sigaction(SIGALRM, &old, NULL);
	assert_true(ms >= TIMEOUT_MS && ms <= TIMEOUT_MS + SLACK_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_exchange_answer_arrives, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_exchange_no_socket_fails_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_exchange_silent_agent_is_etimedout, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_exchange_full_backlog_is_etimedout, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_exchange_closed_is_econnreset, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tell_waits_for_no_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_tell_full_backlog_is_etimedout, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_exchange_oversize_answer_is_elimit, setup, teardown),
		cmocka_unit_test(test_exchange_long_path_is_enametoolong),
		cmocka_unit_test_setup_teardown(
			test_exchange_signals_change_nothing, setup, teardown),
	};
	int failed;

	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/s", dir);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(dir);
	return failed;
}
