/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_priv.c - giving up privileges: lib/io/priv.h
 *
 * Each case runs in a process of its own, which exits with the number of the line that was
 * wrong. What needs root is skipped, by name, without it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <cmocka.h>
#include "lib/io/priv.h"

#define NOBODY 65534

/* in the child: a line number that is never 0 modulo 256 */
#define CHECK(cond)                                \
	do {                                       \
		if (!(cond))                       \
			_exit(__LINE__ % 255 + 1); \
	} while (0)

static void run(void (*fn)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		fn();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void run_as_root(void (*fn)(void))
{
	if (geteuid() != 0) {
		print_message("skipped: needs root\n");
		skip();
	}
	run(fn);
}

static uint64_t permitted(void)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2] = { 0 };

	CHECK(syscall(SYS_capget, &h, d) == 0);
	return (uint64_t)d[1].permitted << 32 | d[0].permitted;
}

static void drop_all(void)
{
	gid_t groups[64];
	int n;

	CHECK(io_priv_drop("nobody", 0) == 0);
	CHECK(getuid() == NOBODY && geteuid() == NOBODY && getgid() == NOBODY);
	CHECK(permitted() == 0);
	CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	CHECK(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
	CHECK(setuid(0) < 0);
	CHECK(prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN, 0, 0, 0) == 0);
	n = getgroups(64, groups);
	for (int i = 0; i < n; i++)
		CHECK(groups[i] != 0);
	CHECK(open("/etc/shadow", O_RDONLY | O_CLOEXEC) < 0);
}

static void test_drop_becomes_the_user_without_capabilities(void **state)
{
	(void)state;
	run_as_root(drop_all);
}

static void drop_keep_net_admin(void)
{
	CHECK(io_priv_drop("nobody", IO_CAP_NET_ADMIN) == 0);
	CHECK(getuid() == NOBODY);
	CHECK(permitted() == (uint64_t)1 << CAP_NET_ADMIN);
	/* and it is in effect: only with it may a socket take this priority */
	CHECK(setsockopt(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), SOL_SOCKET, SO_PRIORITY,
		      &(int){ 15 }, sizeof(int)) == 0);
}

static void drop_keep_net_bind(void)
{
	CHECK(io_priv_drop("nobody", IO_CAP_NET_BIND) == 0);
	CHECK(permitted() == (uint64_t)1 << CAP_NET_BIND_SERVICE);
}

static void test_drop_keeps_what_was_asked_for(void **state)
{
	(void)state;
	run_as_root(drop_keep_net_bind);
	run_as_root(drop_keep_net_admin);
}

static void drop_same_uid(void)
{
	CHECK(io_priv_drop(NULL, IO_CAP_NET_ADMIN) == 0);
	CHECK(getuid() == 0);
	CHECK(permitted() == (uint64_t)1 << CAP_NET_ADMIN);
	CHECK(setgid(1) < 0);
	CHECK(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
}

static void test_drop_without_user_keeps_the_uid(void **state)
{
	(void)state;
	run_as_root(drop_same_uid);
}

static void drop_unknown(void)
{
	CHECK(io_priv_drop("no-such-user-idfw", 0) == -GI_ENOTFOUND);
	CHECK(getuid() == 0);
}

static void test_drop_unknown_user_is_enotfound(void **state)
{
	(void)state;
	run_as_root(drop_unknown);
}

static void drop_not_root(void)
{
	if (geteuid() == 0)
		CHECK(setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
	CHECK(io_priv_drop("no-such-user-idfw", IO_CAP_NET_ADMIN) == 0);
	CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
}

static void test_drop_when_not_root_only_no_new_privs(void **state)
{
	(void)state;
	run(drop_not_root);
}

static void parser(void)
{
	char *argv[] = { (char *)"true", NULL };
	int fds[2];
	char b;

	CHECK(io_priv_drop(NULL, 0) == 0);
	CHECK(io_priv_seccomp_parser() == 0);
	CHECK(execv("/bin/true", argv) < 0 && errno == EPERM);
	CHECK(unshare(CLONE_NEWUSER) < 0 && errno == EPERM);
	CHECK(syscall(SYS_ptrace, 0, 0, 0, 0) < 0 && errno == EPERM);
	CHECK(syscall(SYS_bpf, 0, NULL, 0) < 0 && errno == EPERM);
	CHECK(syscall(SYS_keyctl, 0, 0, 0, 0, 0) < 0 && errno == EPERM);
	CHECK(syscall(SYS_mount, "", "", "", 0, "") < 0 && errno == EPERM);
	/* ordinary work goes on */
	CHECK(pipe2(fds, O_CLOEXEC) == 0 && write(fds[1], "x", 1) == 1 && read(fds[0], &b, 1) == 1);
	CHECK(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) >= 0);
	CHECK(fork() >= 0);
}

static void test_seccomp_parser_denies_with_eperm(void **state)
{
	(void)state;
	run(parser);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_drop_becomes_the_user_without_capabilities),
		cmocka_unit_test(test_drop_keeps_what_was_asked_for),
		cmocka_unit_test(test_drop_without_user_keeps_the_uid),
		cmocka_unit_test(test_drop_unknown_user_is_enotfound),
		cmocka_unit_test(test_drop_when_not_root_only_no_new_privs),
		cmocka_unit_test(test_seccomp_parser_denies_with_eperm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
