/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * probe.c - the EICAR test file's writer and reader, see probe.h
 *
 * fa_probe_start() runs in the supervisor's thread: the child it spawns goes into the background
 * by itself, so that there is a quick end to wait for and nobody to reap later.
 */
#include "fileagent/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAUSE_MS 5
#define DENIED_MS 1500

static int spawn(const char *dir, int out)
{
	char self[] = "/proc/self/exe", option[] = FA_PROBE_OPTION;
	char *argv[] = { self, option, (char *)(uintptr_t)dir, NULL };
	char *env[] = { NULL };
	posix_spawn_file_actions_t fa;
	pid_t pid;
	int err = -posix_spawn_file_actions_init(&fa);

	if (err < 0)
		return err;
	err = -posix_spawn_file_actions_adddup2(&fa, out, STDOUT_FILENO);
	if (err == 0)
		err = -posix_spawn(&pid, self, &fa, NULL, argv, env);
	posix_spawn_file_actions_destroy(&fa);
	while (err == 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return err;
}

int fa_probe_start(const char *dir, int *ret_fd)
{
	int p[2], err;

	if (pipe2(p, O_CLOEXEC) < 0)
		return -errno;
	err = fcntl(p[0], F_SETFL, O_NONBLOCK) < 0 ? -errno : spawn(dir, p[1]);
	close(p[1]);
	if (err < 0) {
		close(p[0]);
		return err;
	}
	*ret_fd = p[0];
	return 0;
}

/* ---- the third process ---- */

static uint64_t now_ms(void)
{
	struct timespec ts = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static int save(const char *path)
{
	static const char one[] = "X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-",
			  two[] = "ANTIVIRUS-TEST-FILE!$H+H*";
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	bool whole;

	if (fd < 0)
		return -errno;
	whole = write(fd, one, sizeof(one) - 1) == (ssize_t)(sizeof(one) - 1) &&
		write(fd, two, sizeof(two) - 1) == (ssize_t)(sizeof(two) - 1);
	close(fd);
	return whole ? 0 : -ENOSPC;
}

/* 0: it was read */
static int try_read(const char *path)
{
	char c;
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	if (read(fd, &c, 1) != 1)
		err = -EIO;
	close(fd);
	return err;
}

static void watch_it(const char *path)
{
	uint64_t begin = now_ms(), read_ms = 0, at = 0;
	bool was_read = false;
	int err = 0;

	for (; (at = now_ms() - begin) < FA_PROBE_MS; poll(NULL, 0, PAUSE_MS)) {
		err = try_read(path);
		if (err == 0) {
			was_read = true;
			read_ms = at;
		} else if (err == -ENOENT || at > DENIED_MS) {
			break;
		}
	}
	if (was_read)
		printf("read %llu\n", (unsigned long long)read_ms);
	if (err == -ENOENT)
		printf("gone %llu\n", (unsigned long long)at);
	else if (err < 0)
		printf("denied %s %llu\n", strerrorname_np(-err), (unsigned long long)at);
}

static int probe(const char *dir)
{
	char place[4096], path[4200];

	if (snprintf(place, sizeof(place), "%s/" FA_PROBE_PREFIX "XXXXXX", dir) >=
			(int)sizeof(place) ||
		!mkdtemp(place)) {
		printf("failed no directory in %s: %s\n", dir, strerrordesc_np(errno));
		return 1;
	}
	snprintf(path, sizeof(path), "%s/eicar.com", place);
	if (save(path) < 0) {
		printf("failed %s cannot be written: %s\n", path, strerrordesc_np(errno));
	} else {
		printf("saved %s\n", path);
		watch_it(path);
	}
	(void)unlink(path);
	if (rmdir(place) < 0)
		printf("dirty %s: %s\n", place, strerrordesc_np(errno));
	else
		printf("clean\n");
	return 0;
}

int fa_probe_main(const char *dir)
{
	pid_t pid;

	if (setvbuf(stdout, NULL, _IOLBF, 0) != 0)
		return 1;
	(void)signal(SIGPIPE, SIG_IGN); /* what is left is removed, whoever listens */
	pid = fork();
	if (pid < 0)
		return 1;
	if (pid > 0)
		_exit(0); /* our parent waits for no more */
	(void)setsid();
	return probe(dir);
}
