/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * opens.c - what opening, reading and executing files costs, for tests/bench/files
 *
 *   opens make DIR N BYTES        N files of random content (never the same twice)
 *   opens read DIR THREADS PASSES open + read 4 KiB + close of each file; one JSON line a pass
 *   opens exec PROGRAM N          posix_spawn + wait
 *   opens eicar DIR N             save EICAR, then try to read it until it is gone, while a second
 *                                 process tries to read it all the time
 *   opens floor DIR [closes]      an agent that allows at once: the least that asking can cost.
 * closes: it is told of each closed file, too, and reads that many at a time each 2 ms
 *
 * Prints {"bench":"open"|"exec"|"eicar",...} with nanoseconds or microseconds in the names.
 * `floor` marks the file system of DIR until its input ends; it refuses that of "/".
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <dirent.h>
#include <sys/fanotify.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define FILES_MAX 200000
#define PATH_BYTES 512
#define THREADS_MAX 64

static uint64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int fail(const char *what)
{
	fprintf(stderr, "opens: %s: %s\n", what, strerror(errno));
	return EXIT_FAILURE;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static int make(const char *dir, long n, size_t bytes)
{
	char path[PATH_BYTES], *buf = malloc(bytes);

	if (!buf)
		return fail("memory");
	for (long i = 0; i < n; i++) {
		FILE *f;

		if (getrandom(buf, bytes < 256 ? bytes : 256, 0) < 0)
			return fail("getrandom");
		(void)snprintf(path, sizeof(path), "%s/f%06ld", dir, i);
		f = fopen(path, "w");
		if (!f || fwrite(buf, 1, bytes, f) != bytes || fclose(f) != 0)
			return fail(path);
	}
	free(buf);
	return EXIT_SUCCESS;
}

struct work {
	char (*paths)[PATH_BYTES];
	uint64_t *took;
	size_t from, to;
	int err;
};

static size_t list(const char *dir, char (**ret)[PATH_BYTES])
{
	char(*paths)[PATH_BYTES] = calloc(FILES_MAX, sizeof(*paths));
	DIR *d = opendir(dir);
	struct dirent *e;
	size_t n = 0;

	while (paths && d && n < FILES_MAX && (e = readdir(d)) != NULL)
		if (e->d_type == DT_REG)
			(void)snprintf(paths[n++], PATH_BYTES, "%s/%s", dir, e->d_name);
	if (d)
		(void)closedir(d);
	*ret = paths;
	return n;
}

static void *reader(void *arg)
{
	struct work *w = arg;
	char buf[4096];

	for (size_t i = w->from; i < w->to; i++) {
		uint64_t start = now_ns();
		int fd = open(w->paths[i], O_RDONLY | O_CLOEXEC);

		if (fd < 0 || read(fd, buf, sizeof(buf)) < 0)
			w->err = errno;
		if (fd >= 0)
			(void)close(fd);
		w->took[i] = now_ns() - start;
	}
	return NULL;
}

static int read_pass(char (*paths)[PATH_BYTES], size_t n, size_t threads, long pass)
{
	uint64_t *took = calloc(n, sizeof(*took)), start, all;
	pthread_t id[THREADS_MAX];
	struct work work[THREADS_MAX];
	int err = 0;

	if (!took)
		return fail("memory");
	start = now_ns();
	for (size_t t = 0; t < threads; t++) {
		work[t] = (struct work){ paths, took, n * t / threads, n * (t + 1) / threads, 0 };
		if (pthread_create(&id[t], NULL, reader, &work[t]) != 0)
			return fail("thread");
	}
	for (size_t t = 0; t < threads; t++) {
		(void)pthread_join(id[t], NULL);
		err = work[t].err ? work[t].err : err;
	}
	all = now_ns() - start;
	qsort(took, n, sizeof(*took), by_value);
	printf("{\"bench\":\"open\",\"threads\":%zu,\"pass\":%ld,\"n\":%zu,\"ns_each\":%llu,"
	       "\"p50_ns\":%llu,\"p99_ns\":%llu,\"error\":\"%s\"}\n",
		threads, pass, n, (unsigned long long)(all / n), (unsigned long long)took[n / 2],
		(unsigned long long)took[n * 99 / 100], err ? strerror(err) : "");
	free(took);
	return EXIT_SUCCESS;
}

static int read_all(const char *dir, size_t threads, long passes)
{
	char(*paths)[PATH_BYTES] = NULL;
	size_t n = list(dir, &paths);
	int rc = EXIT_SUCCESS;

	if (n == 0 || threads == 0 || threads > THREADS_MAX)
		return fail(dir);
	for (long p = 1; p <= passes && rc == EXIT_SUCCESS; p++)
		rc = read_pass(paths, n, threads, p);
	free(paths);
	return rc;
}

static int exec_all(char *program, long n)
{
	char *argv[] = { program, NULL };
	uint64_t start = now_ns();

	for (long i = 0; i < n; i++) {
		pid_t pid = 0;
		int status = 0, err = posix_spawn(&pid, program, NULL, NULL, argv, argv + 1);

		if (err || waitpid(pid, &status, 0) != pid || status != 0) {
			errno = err;
			return fail(program);
		}
	}
	printf("{\"bench\":\"exec\",\"n\":%ld,\"ns_each\":%llu}\n", n,
		(unsigned long long)((now_ns() - start) / (uint64_t)n));
	return EXIT_SUCCESS;
}

/* two halves: this source and our binaries are not to be found by a scanner */
static const char eicar_a[] = "X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-";
static const char eicar_b[] = "ANTIVIRUS-TEST-FILE!$H+H*";

/* what the second process sees of the file that the first one saves */
struct shared {
	_Atomic long begun;  /* files that were begun; the last of them is tried */
	_Atomic long closed; /* files that are complete and closed */
	_Atomic int over;
	_Atomic long tries;    /* opens of a complete file */
	_Atomic long readable; /* of these: content came back. To be 0 */
	_Atomic long early;    /* opened before it was closed, yet all of it was read */
};

/* 1: it is there and was read; 0: there, but not readable; -1: gone */
static int try_read(const char *path)
{
	char buf[128];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return errno == ENOENT ? -1 : 0;
	n = read(fd, buf, sizeof(buf));
	(void)close(fd);
	return n >= (ssize_t)(sizeof(eicar_a) + sizeof(eicar_b) - 2);
}

/* another process, all the time */
static void second_reader(struct shared *sh, const char *dir)
{
	char path[PATH_BYTES];

	while (!atomic_load(&sh->over)) {
		long i = atomic_load(&sh->begun);
		int got, complete = atomic_load(&sh->closed) >= i;

		(void)snprintf(path, sizeof(path), "%s/eicar%ld", dir, i);
		got = try_read(path);
		if (complete)
			atomic_fetch_add(&sh->tries, 1);
		if (got == 1)
			atomic_fetch_add(complete ? &sh->readable : &sh->early, 1);
	}
	_exit(EXIT_SUCCESS);
}

static int eicar_save(const char *path)
{
	FILE *f = fopen(path, "we");

	if (!f || fprintf(f, "%s%s", eicar_a, eicar_b) < 0)
		return fail(path);
	return fclose(f) == 0 ? EXIT_SUCCESS : fail(path);
}

static int eicar_run(struct shared *sh, const char *dir, long n, uint64_t *took, long *ret_left)
{
	char path[PATH_BYTES];

	for (long i = 0; i < n; i++) {
		uint64_t closed;
		int got, rc;

		(void)snprintf(path, sizeof(path), "%s/eicar%ld", dir, i + 1);
		atomic_store(&sh->begun, i + 1);
		rc = eicar_save(path);
		if (rc != EXIT_SUCCESS)
			return rc;
		atomic_store(&sh->closed, i + 1);
		closed = now_ns();
		while ((got = try_read(path)) >= 0 && now_ns() - closed < 5000000000u) {
			atomic_fetch_add(&sh->tries, 1);
			atomic_fetch_add(&sh->readable, got);
		}
		*ret_left += got >= 0;
		took[i] = now_ns() - closed;
	}
	return EXIT_SUCCESS;
}

static int eicar(const char *dir, long n)
{
	uint64_t *took = calloc((size_t)n, sizeof(*took));
	struct shared *sh =
		mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	long left = 0;
	pid_t pid;
	int rc;

	if (!took || sh == MAP_FAILED)
		return fail("memory");
	pid = fork();
	if (pid < 0)
		return fail("fork");
	if (pid == 0)
		second_reader(sh, dir);
	rc = eicar_run(sh, dir, n, took, &left);
	atomic_store(&sh->over, 1);
	(void)waitpid(pid, NULL, 0);
	if (rc != EXIT_SUCCESS)
		return rc;
	qsort(took, (size_t)n, sizeof(*took), by_value);
	printf("{\"bench\":\"eicar\",\"n\":%ld,\"p50_us\":%llu,\"p99_us\":%llu,\"max_us\":%llu,"
	       "\"tries\":%ld,\"readable\":%ld,\"early\":%ld,\"left\":%ld}\n",
		n, (unsigned long long)took[n / 2] / 1000,
		(unsigned long long)took[n * 99 / 100] / 1000,
		(unsigned long long)took[n - 1] / 1000, atomic_load(&sh->tries),
		atomic_load(&sh->readable), atomic_load(&sh->early), left);
	(void)munmap(sh, sizeof(*sh));
	free(took);
	return EXIT_SUCCESS;
}

static void answer_all(int group)
{
	char buf[8192];
	ssize_t len = read(group, buf, sizeof(buf));
	struct fanotify_event_metadata *m = (void *)buf;

	for (; len > 0 && FAN_EVENT_OK(m, len); m = FAN_EVENT_NEXT(m, len)) {
		struct fanotify_response r = { .fd = m->fd, .response = FAN_ALLOW };

		if (m->fd < 0)
			continue;
		if (write(group, &r, sizeof(r)) < 0)
			(void)fail("answer");
		(void)close(m->fd);
	}
}

/* what was closed after writing: as lazily as an agent may that has to know who wrote */
static void closes_read(int group)
{
	static _Alignas(8) char buf[65536];
	ssize_t len;

	while ((len = read(group, buf, sizeof(buf))) > 0) {
		struct fanotify_event_metadata *m = (void *)buf;

		for (; FAN_EVENT_OK(m, len); m = FAN_EVENT_NEXT(m, len))
			if (m->fd >= 0)
				(void)close(m->fd);
	}
}

static int closes_group(const char *dir)
{
	int group = fanotify_init(
		FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK, O_RDONLY | O_CLOEXEC | O_LARGEFILE);

	if (group >= 0 && fanotify_mark(group, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_CLOSE_WRITE,
				  AT_FDCWD, dir) != 0)
		return -1;
	return group;
}

static int floor_agent(const char *dir, bool closes)
{
	int group = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC | FAN_UNLIMITED_QUEUE,
		O_RDONLY | O_CLOEXEC | O_LARGEFILE);
	struct pollfd p[2] = { { group, POLLIN, 0 }, { STDIN_FILENO, POLLIN, 0 } };
	uint64_t read_ns = 0;
	struct stat here, root;
	int written = -1;

	if (group < 0 || stat(dir, &here) != 0 || stat("/", &root) != 0)
		return fail(dir);
	if (here.st_dev == root.st_dev) {
		fprintf(stderr, "opens: %s is on the root file system\n", dir);
		return EXIT_FAILURE;
	}
	if (fanotify_mark(group, FAN_MARK_ADD | FAN_MARK_FILESYSTEM,
		    FAN_OPEN_PERM | FAN_OPEN_EXEC_PERM, AT_FDCWD, dir) != 0)
		return fail("fanotify_mark");
	if (closes && (written = closes_group(dir)) < 0)
		return fail("closes");
	puts("ready");
	(void)fflush(stdout);
	while (poll(p, 2, closes ? 2 : -1) >= 0 && !p[1].revents) {
		if (p[0].revents)
			answer_all(group);
		if (closes && now_ns() - read_ns > 2000000) {
			read_ns = now_ns();
			closes_read(written);
		}
	}
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	long n = argc > 3 ? strtol(argv[3], NULL, 10) : 0;
	long k = argc > 4 ? strtol(argv[4], NULL, 10) : 0;

	if (argc == 5 && strcmp(argv[1], "make") == 0 && n > 0 && k > 0)
		return make(argv[2], n, (size_t)k);
	if (argc == 5 && strcmp(argv[1], "read") == 0 && n > 0 && k > 0)
		return read_all(argv[2], (size_t)n, k);
	if (argc == 4 && strcmp(argv[1], "exec") == 0 && n > 0)
		return exec_all(argv[2], n);
	if (argc == 4 && strcmp(argv[1], "eicar") == 0 && n > 0)
		return eicar(argv[2], n);
	if (argc == 3 && strcmp(argv[1], "floor") == 0)
		return floor_agent(argv[2], false);
	if (argc == 4 && strcmp(argv[1], "floor") == 0 && strcmp(argv[3], "closes") == 0)
		return floor_agent(argv[2], true);
	fprintf(stderr, "usage: opens make DIR N BYTES | read DIR THREADS PASSES | exec PROGRAM N |"
			" eicar DIR N | floor DIR [closes]\n");
	return 2;
}
