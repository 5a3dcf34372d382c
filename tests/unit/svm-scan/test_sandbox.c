/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_sandbox.c - what a process can do behind scan_sandbox_shut(): each attempt in its own
 *
 * A child shuts itself in as a worker does and tries one thing; it ends with 0 when it was allowed,
 * with the errno when it was refused, or by SIGSYS. The parent runs as it is: as root the child has
 * every privilege that the sandbox has to hold against.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "svm-scan/sandbox.h"

#define MIB (1ull << 20)
#define REFUSED_TO_SHUT 200
#define BY_SIGSYS 1000 /* how run() says it */

static char dir[64], tmp[80];
static int inherited = -1; /* a descriptor of /, opened before */
static pid_t parent;

static int setup(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/idfw-sandbox.XXXXXX");
	assert_non_null(mkdtemp(dir));
	(void)snprintf(tmp, sizeof(tmp), "%s/tmp", dir);
	assert_int_equal(mkdir(tmp, 0700), 0);
	inherited = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(inherited >= 0);
	parent = getpid();
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *f)
{
	(void)st;
	(void)flag;
	(void)f;
	return remove(path);
}

static int teardown(void **state)
{
	(void)state;
	(void)close(inherited);
	return nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* 0 allowed, an errno, or BY_SIGSYS */
static int run(int (*attempt)(int tmp_fd))
{
	const struct scan_sandbox_conf conf = { .tmp_dir = tmp,
		.memory_bytes =
#ifdef __SANITIZE_ADDRESS__
			UINT64_MAX,
#else
			64 * MIB,
#endif
		.file_bytes = MIB };
	int status, fd;
	pid_t pid = fork();

	if (pid == 0) {
		char why[SCAN_WHY_MAX];

		if (scan_sandbox_shut(&conf, why, &fd) < 0)
			_exit(REFUSED_TO_SHUT);
		_exit(attempt(fd));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status)) {
		assert_int_equal(WTERMSIG(status), SIGSYS);
		return BY_SIGSYS;
	}
	assert_int_not_equal(WEXITSTATUS(status), REFUSED_TO_SHUT);
	return WEXITSTATUS(status);
}

static int said(long rc)
{
	return rc < 0 ? errno : 0;
}

static int try_inet(int fd)
{
	(void)fd;
	return said(socket(AF_INET, SOCK_STREAM, 0));
}
static int try_unix(int fd)
{
	(void)fd;
	return said(socket(AF_UNIX, SOCK_DGRAM, 0));
}
static int try_pair(int fd)
{
	int two[2];

	(void)fd;
	return said(socketpair(AF_UNIX, SOCK_STREAM, 0, two));
}
static int try_sendto_address(int fd)
{
	struct sockaddr_in to = { .sin_family = AF_INET };

	return said(sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)));
}
static int try_exec(int fd)
{
	char *argv[] = { (char *)"true", NULL };

	(void)fd;
	return said(execv("/bin/true", argv));
}
static int try_fork(int fd)
{
	(void)fd;
	return said(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
}
static int try_thread(int fd)
{
	(void)fd;
	return said(syscall(SYS_clone3, NULL, 0));
}
static int try_ptrace(int fd)
{
	(void)fd;
	return said(ptrace(PTRACE_ATTACH, parent, NULL, NULL));
}
static int try_peek(int fd)
{
	char byte;
	struct iovec to = { &byte, 1 }, from = { &byte, 1 };

	(void)fd;
	return said(process_vm_readv(parent, &to, 1, &from, 1, 0));
}
static int try_kill(int fd)
{
	(void)fd;
	return said(kill(parent, 0));
}
static int try_unshare(int fd)
{
	(void)fd;
	return said(unshare(CLONE_NEWUSER));
}
static int try_io_uring(int fd)
{
	(void)fd;
	return said(syscall(SYS_io_uring_setup, 1, NULL));
}
static int try_memfd(int fd)
{
	(void)fd;
	return said(memfd_create("x", 0));
}
static int try_exec_memory(int fd)
{
	(void)fd;
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
			       MAP_FAILED
		       ? errno
		       : 0;
}
static int try_make_executable(int fd)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)fd;
	return said(mprotect(p, 4096, PROT_READ | PROT_EXEC));
}
static int try_shared_memory(int fd)
{
	(void)fd;
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0) ==
			       MAP_FAILED
		       ? errno
		       : 0;
}
static int try_raise_limit(int fd)
{
	const struct rlimit l = { RLIM_INFINITY, RLIM_INFINITY };

	(void)fd;
	return said(setrlimit(RLIMIT_DATA, &l));
}
static int try_bpf(int fd)
{
	(void)fd;
	return said(syscall(SYS_bpf, 0, NULL, 0));
}

static void test_shut_calls_beyond_computing_end_the_process(void **state)
{
	static int (*const attempts[])(int) = { try_inet, try_unix, try_pair, try_sendto_address,
		try_exec, try_fork, try_ptrace, try_peek, try_kill, try_unshare, try_io_uring,
		try_memfd, try_exec_memory, try_make_executable, try_shared_memory, try_raise_limit,
		try_bpf };

	(void)state;
	for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++) {
		int got = run(attempts[i]);

		if (got != BY_SIGSYS)
			fail_msg("attempt %zu: %d", i, got);
	}
	assert_int_equal(run(try_thread), EPERM); /* libraries ask; the answer is no */
}

static int try_read(int fd)
{
	(void)fd;
	return said(open("/etc/passwd", O_RDONLY));
}
static int try_list(int fd)
{
	(void)fd;
	return said(open("/", O_RDONLY | O_DIRECTORY));
}
static int try_write(int fd)
{
	char path[128];

	(void)fd;
	(void)snprintf(path, sizeof(path), "%s/outside", dir);
	return said(open(path, O_WRONLY | O_CREAT, 0600));
}
static int try_parent_directory(int fd)
{
	return said(openat(fd, "../outside", O_WRONLY | O_CREAT, 0600));
}
static int try_inherited(int fd)
{
	(void)fd;
	return said(openat(inherited, "etc/passwd", O_RDONLY));
}
static int try_proc(int fd)
{
	char path[32];

	(void)fd;
	(void)snprintf(path, sizeof(path), "/proc/%d/mem", parent);
	return said(open(path, O_RDWR));
}
static int try_remove_outside(int fd)
{
	(void)fd;
	return said(rmdir(tmp));
}
static int try_device(int fd)
{
	(void)fd;
	return said(open("/dev/null", O_RDWR));
}
static int try_chmod(int fd)
{
	(void)fd;
	return said(chmod(dir, 0777));
}
static int try_move_out(int fd)
{
	int f = openat(fd, "x", O_WRONLY | O_CREAT, 0600);

	if (f < 0)
		return 1;
	return said(renameat(fd, "x", fd, "../x"));
}

static void test_shut_no_path_outside_is_reached(void **state)
{
	static int (*const attempts[])(int) = { try_read, try_list, try_write, try_parent_directory,
		try_inherited, try_proc, try_remove_outside, try_device };

	(void)state;
	for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++) {
		int got = run(attempts[i]);

		if (got != EACCES)
			fail_msg("attempt %zu: %d", i, got);
	}
	assert_int_equal(run(try_chmod), EPERM);
	assert_int_not_equal(run(try_move_out), 0);
}

static int use_tmp(int fd)
{
	char path[128], text[3] = "";
	int f;

	(void)snprintf(path, sizeof(path), "%s/sub", tmp);
	if (mkdir(path, 0700) < 0)
		return errno;
	f = openat(fd, "sub/file", O_RDWR | O_CREAT | O_EXCL, 0600);
	if (f < 0 || write(f, "ab", 2) != 2 || ftruncate(f, 1) < 0 || pread(f, text, 2, 0) != 1)
		return errno ? errno : 1;
	return said(scan_tmp_empty(fd));
}

static void test_shut_own_directory_stays_usable(void **state)
{
	(void)state;
	assert_int_equal(run(use_tmp), 0);
	assert_int_equal(rmdir(tmp), 0); /* and was emptied */
	assert_int_equal(mkdir(tmp, 0700), 0);
}

static int use_large_file(int fd)
{
	static const char byte = 'x';
	int f = openat(fd, "large", O_RDWR | O_CREAT, 0600);

	if (f < 0 || pwrite(f, &byte, 1, (off_t)MIB - 1) != 1)
		return 1;
	return said(pwrite(f, &byte, 1, (off_t)MIB)); /* an error, no signal */
}

static int use_memory(int fd)
{
	(void)fd;
	return mmap(NULL, 128 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
			       MAP_FAILED
		       ? errno
		       : 0;
}

static int use_many_files(int fd)
{
	for (int i = 0; i < 100; i++)
		if (dup(fd) < 0)
			return errno;
	return 0;
}

static int use_stderr(int fd)
{
	struct stat st, null;

	if (fstat(2, &st) < 0 || stat("/dev/null", &null) < 0)
		return errno;
	(void)fd;
	return st.st_rdev == null.st_rdev ? 0 : 1;
}

static void test_shut_limits_hold(void **state)
{
	(void)state;
	assert_int_equal(run(use_large_file), EFBIG);
	assert_int_equal(run(use_many_files), EMFILE);
	assert_int_equal(run(use_stderr), 0);
#ifndef __SANITIZE_ADDRESS__
	assert_int_equal(run(use_memory), ENOMEM);
#else
	assert_int_equal(run(use_memory), 0);
#endif
}

static void test_shut_missing_directory_is_an_error(void **state)
{
	struct scan_sandbox_conf conf = {
		.tmp_dir = "/nonexistent/x", .memory_bytes = UINT64_MAX, .file_bytes = MIB
	};
	char why[SCAN_WHY_MAX];
	int fd = -1;

	(void)state;
	assert_int_equal(scan_sandbox_shut(&conf, why, &fd), -ENOENT);
	assert_non_null(strstr(why, "/nonexistent/x"));
	assert_int_equal(fd, -1);
}

/* a tree as somebody would build it who wants to keep us busy, or out */
static void test_tmp_empty_removes_whatever_is_there(void **state)
{
	static const char *const alone[] = { "a", "...", ".a", "..b" };
	int root = open(tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC), at = dup(root), next;
	char path[128], name[16];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/kept", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(symlinkat(path, root, "link"), 0);
	assert_int_equal(mkfifoat(root, "fifo", 0600), 0);
	for (int depth = 0; depth < 3000; depth++) {
		assert_int_equal(mkdirat(at, "~1", 0700), 0);
		assert_int_equal(symlinkat(path, at, "link2"), 0);
		next = openat(at, "~1", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		(void)close(at);
		at = next;
	}
	(void)close(at);
	for (int i = 0; i < 500; i++) {
		(void)snprintf(name, sizeof(name), "~%d", i + 2);
		assert_int_equal(mkdirat(root, name, 0700), 0);
	}
	assert_int_equal(scan_tmp_empty(root), 0);
	/* one name alone, and again when there is nothing, by the same descriptor */
	for (size_t i = 0; i < GI_ARRAY_SIZE(alone); i++) {
		next = openat(root, alone[i], O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		assert_true(next >= 0);
		(void)close(next);
		assert_int_equal(scan_tmp_empty(root), 0);
		assert_int_equal(faccessat(root, alone[i], F_OK, 0), -1);
		assert_int_equal(scan_tmp_empty(root), 0);
	}
	(void)close(root);
	assert_int_equal(rmdir(tmp), 0);
	assert_int_equal(mkdir(tmp, 0700), 0);
	assert_int_equal(rmdir(path), 0); /* what a link led to is still there */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shut_calls_beyond_computing_end_the_process),
		cmocka_unit_test(test_shut_no_path_outside_is_reached),
		cmocka_unit_test(test_shut_own_directory_stays_usable),
		cmocka_unit_test(test_shut_limits_hold),
		cmocka_unit_test(test_shut_missing_directory_is_an_error),
		cmocka_unit_test(test_tmp_empty_removes_whatever_is_there),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
