/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fa_file.c - ways to open and to write that no shell has, for the file agent's tests
 *
 *   fa_file open PATH           open for reading; prints "ok" or the errno, as all of these
 *   fa_file uring PATH [HOW]    open and read by io_uring; prints the first line, or the errno.
 *                               HOW: async (its worker threads open), sqpoll (the kernel's thread)
 *   fa_file tmpfile DIR TEXT    an O_TMPFILE with that content, opened again by /proc/self/fd
 *   fa_file linktmp PATH TEXT   the same, linked to PATH before it is closed
 *   fa_file handle PATH         opened by its file handle
 *   fa_file memfd PATH          PATH's bytes are executed from a memfd
 *   fa_file mmap PATH TEXT      stores TEXT through a shared mapping; waits for SIGTERM first
 *   fa_file writer PATH SECONDS       writes and closes all the while
 *   fa_file keepwriting PATH SECONDS  writes all the while, closes once
 *   fa_file many DIR N TEXT     N files with that content
 *   fa_file crowd DIR N         N processes open one of them each; how many got in, how many not
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int say(int err)
{
	printf("%s\n", err ? strerrorname_np(err) : "ok");
	return err ? 1 : 0;
}

/* ---- io_uring, by hand ---- */

struct ring {
	int fd;
	uint8_t *sq, *cq;
	struct io_uring_sqe *sqe;
	struct io_uring_params p;
};

static int ring_open(struct ring *r, uint32_t flags)
{
	size_t sq, cq;

	memset(r, 0, sizeof(*r));
	r->p.flags = flags;
	r->p.sq_thread_idle = 2000;
	r->fd = (int)syscall(SYS_io_uring_setup, 4, &r->p);
	if (r->fd < 0)
		return errno;
	sq = r->p.sq_off.array + r->p.sq_entries * sizeof(uint32_t);
	cq = r->p.cq_off.cqes + r->p.cq_entries * sizeof(struct io_uring_cqe);
	r->sq = mmap(NULL, sq, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, IORING_OFF_SQ_RING);
	r->cq = mmap(NULL, cq, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, IORING_OFF_CQ_RING);
	r->sqe = mmap(NULL, r->p.sq_entries * sizeof(*r->sqe), PROT_READ | PROT_WRITE, MAP_SHARED,
		r->fd, IORING_OFF_SQES);
	return r->sq == MAP_FAILED || r->cq == MAP_FAILED || r->sqe == MAP_FAILED ? errno : 0;
}

/* one request; its result */
static int ring_do(struct ring *r, const struct io_uring_sqe *e)
{
	_Atomic uint32_t *tail = (void *)(r->sq + r->p.sq_off.tail);
	_Atomic uint32_t *head = (void *)(r->cq + r->p.cq_off.head);
	uint32_t sq_mask = *(uint32_t *)(void *)(r->sq + r->p.sq_off.ring_mask);
	uint32_t cq_mask = *(uint32_t *)(void *)(r->cq + r->p.cq_off.ring_mask);
	uint32_t at = *tail & sq_mask;
	struct io_uring_cqe *c;

	r->sqe[at] = *e;
	((uint32_t *)(void *)(r->sq + r->p.sq_off.array))[at] = at;
	atomic_fetch_add(tail, 1);
	if (syscall(SYS_io_uring_enter, r->fd, 1, 1,
		    IORING_ENTER_GETEVENTS | IORING_ENTER_SQ_WAKEUP, NULL, 0) < 0)
		return -errno;
	c = (struct io_uring_cqe *)(void *)(r->cq + r->p.cq_off.cqes) + (*head & cq_mask);
	atomic_fetch_add(head, 1);
	return c->res;
}

static int cmd_uring(const char *path, const char *how)
{
	uint8_t each = strcmp(how, "async") == 0 ? IOSQE_ASYNC : 0;
	struct io_uring_sqe e = {
		.opcode = IORING_OP_OPENAT, .flags = each, .fd = AT_FDCWD, .open_flags = O_RDONLY
	};
	char buf[256] = "";
	struct ring r;
	int err = ring_open(&r, strcmp(how, "sqpoll") == 0 ? IORING_SETUP_SQPOLL : 0), fd;

	if (err) {
		printf("none %s\n", strerrorname_np(err));
		return 77;
	}
	e.addr = (uint64_t)(uintptr_t)path;
	fd = ring_do(&r, &e);
	if (fd < 0)
		return say(-fd);
	e = (struct io_uring_sqe){ .opcode = IORING_OP_READ, .fd = fd, .len = sizeof(buf) - 1 };
	e.addr = (uint64_t)(uintptr_t)buf;
	err = ring_do(&r, &e);
	if (err < 0)
		return say(-err);
	buf[strcspn(buf, "\n")] = '\0';
	printf("%s\n", buf);
	return 0;
}

/* ---- others ---- */

static int cmd_open(const char *path)
{
	int fd = open(path, O_RDONLY);

	return say(fd < 0 ? errno : 0);
}

static int cmd_tmpfile(const char *dir, const char *text)
{
	char path[64];
	int fd = open(dir, O_TMPFILE | O_RDWR, 0600), again;

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		return say(errno);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDONLY);
	return say(again < 0 ? errno : 0);
}

static int cmd_linktmp(const char *path, const char *text)
{
	char dir[512], link[64], *slash;
	int fd;

	(void)snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	if (!slash)
		return say(EINVAL);
	*slash = '\0';
	fd = open(dir, O_TMPFILE | O_RDWR, 0600);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		return say(errno);
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	return say(linkat(AT_FDCWD, link, AT_FDCWD, path, AT_SYMLINK_FOLLOW) < 0 ? errno : 0);
}

static int cmd_handle(const char *path)
{
	union {
		struct file_handle h;
		uint8_t room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} u = { .h = { .handle_bytes = MAX_HANDLE_SZ } };
	char dir[512], *slash;
	int id, top;

	(void)snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	if (!slash || name_to_handle_at(AT_FDCWD, path, &u.h, &id, 0) < 0)
		return say(errno);
	*slash = '\0';
	top = open(dir, O_RDONLY | O_DIRECTORY);
	return say(top < 0 || open_by_handle_at(top, &u.h, O_RDONLY) < 0 ? errno : 0);
}

static int cmd_memfd(const char *path)
{
	char *const argv[] = { (char *)(uintptr_t) "memfd", NULL }, *const env[] = { NULL };
	int in = open(path, O_RDONLY), fd = memfd_create("program", 0);
	char buf[4096];
	ssize_t n;

	if (in < 0 || fd < 0)
		return say(errno);
	while ((n = read(in, buf, sizeof(buf))) > 0)
		if (write(fd, buf, (size_t)n) != n)
			return say(EIO);
	if (lseek(fd, 0, SEEK_END) <= 0 || write(fd, "FA-BAD", 6) != 6)
		return say(EIO);
	(void)fexecve(fd, argv, env);
	return say(errno);
}

/* all at once, each a process: who is held holds nobody else up */
static int cmd_crowd(const char *dir, const char *count)
{
	unsigned long n = strtoul(count, NULL, 10), in = 0, errors = 0;
	char path[512];

	for (unsigned long i = 0; i < n; i++) {
		pid_t pid = fork();

		if (pid < 0)
			return say(errno);
		if (pid > 0)
			continue;
		(void)snprintf(path, sizeof(path), "%s/f%lu", dir, i);
		_exit(open(path, O_RDONLY) < 0 ? 1 : 0);
	}
	for (int status; wait(&status) > 0;)
		++*(WIFEXITED(status) && WEXITSTATUS(status) == 0 ? &in : &errors);
	printf("%lu in, %lu not\n", in, errors);
	return 0;
}

static int cmd_mmap(const char *path, const char *text)
{
	sigset_t term;
	size_t len = strlen(text);
	char *p;
	int sig, fd = open(path, O_RDWR);

	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, NULL);
	if (fd < 0)
		return say(errno);
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return say(errno);
	close(fd); /* the mapping keeps the file open: no CLOSE_WRITE before it is gone */
	printf("mapped\n");
	fflush(stdout);
	sigwait(&term, &sig);
	memcpy(p, text, len);
	munmap(p, 4096);
	return say(0);
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static int cmd_writer(const char *path, const char *seconds, int close_each)
{
	uint64_t end = now_ms() + strtoul(seconds, NULL, 10) * 1000;
	unsigned long n = 0;
	int fd = -1;

	for (; now_ms() < end; n++) {
		if (fd < 0)
			fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
		if (fd < 0)
			return say(errno);
		if (write(fd, "more\n", 5) < 0)
			return say(errno);
		if (close_each) {
			close(fd);
			fd = -1;
		}
	}
	printf("%lu\n", n);
	return 0;
}

static int cmd_many(const char *dir, const char *count, const char *text)
{
	unsigned long n = strtoul(count, NULL, 10);
	char path[512];

	for (unsigned long i = 0; i < n; i++) {
		int fd;

		(void)snprintf(path, sizeof(path), "%s/f%lu", dir, i);
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
		if (fd < 0 || write(fd, text, strlen(text)) < 0)
			return say(errno);
		close(fd);
	}
	return say(0);
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "open") == 0)
		return cmd_open(argv[2]);
	if (argc >= 3 && strcmp(argv[1], "uring") == 0)
		return cmd_uring(argv[2], argc > 3 ? argv[3] : "");
	if (argc == 4 && strcmp(argv[1], "linktmp") == 0)
		return cmd_linktmp(argv[2], argv[3]);
	if (argc == 3 && strcmp(argv[1], "handle") == 0)
		return cmd_handle(argv[2]);
	if (argc == 3 && strcmp(argv[1], "memfd") == 0)
		return cmd_memfd(argv[2]);
	if (argc == 4 && strcmp(argv[1], "crowd") == 0)
		return cmd_crowd(argv[2], argv[3]);
	if (argc == 4 && strcmp(argv[1], "tmpfile") == 0)
		return cmd_tmpfile(argv[2], argv[3]);
	if (argc == 4 && strcmp(argv[1], "mmap") == 0)
		return cmd_mmap(argv[2], argv[3]);
	if (argc == 4 && strcmp(argv[1], "writer") == 0)
		return cmd_writer(argv[2], argv[3], 1);
	if (argc == 4 && strcmp(argv[1], "keepwriting") == 0)
		return cmd_writer(argv[2], argv[3], 0);
	if (argc == 5 && strcmp(argv[1], "many") == 0)
		return cmd_many(argv[2], argv[3], argv[4]);
	fprintf(stderr, "fa_file: see the head of fa_file.c\n");
	return 2;
}
