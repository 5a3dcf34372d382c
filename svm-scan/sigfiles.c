/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sigfiles.c - the signature files of an engine: which, and a digest over them
 *
 * In the worker, before its sandbox is shut. The digest goes into the epoch, so it has to depend
 * on names and contents and on nothing else: not on the directory's order, not on times.
 */
#include "svm-scan/engine.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* what cl_load() takes from a directory; the others in there are freshclam's own */
const char *const scan_clamav_suffixes[] = { ".db", ".hdb", ".hdu", ".fp", ".sfp", ".mdb", ".mdu",
	".hsb", ".hsu", ".msb", ".msu", ".ndb", ".ndu", ".ldb", ".ldu", ".sdb", ".zmd", ".rmd",
	".pdb", ".gdb", ".wdb", ".cbc", ".ftm", ".cfg", ".cvd", ".cld", ".cud", ".cdb", ".cat",
	".crb", ".idb", ".ioc", ".yar", ".yara", ".pwdb", ".ign", ".ign2", ".info", ".imp", NULL };
const char *const scan_yara_suffixes[] = { ".yar", ".yara", NULL };

static bool suffix_is_one_of(const char *name, const char *const suffixes[])
{
	const char *dot = strrchr(name, '.');

	for (size_t i = 0; dot && suffixes[i]; i++)
		if (strcmp(dot, suffixes[i]) == 0)
			return true;
	return false;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int sigfiles_add(struct scan_sigfiles *s, const char *name)
{
	if (s->n == SCAN_SIGFILES_MAX)
		return -GI_ELIMIT;
	s->names[s->n] = strdup(name);
	if (!s->names[s->n])
		return -ENOMEM;
	s->n++;
	return 0;
}

static int sigfiles_read(struct scan_sigfiles *s, DIR *d, const char *const suffixes[])
{
	struct dirent *e;
	struct stat st;
	int err = 0;

	while (err == 0 && (errno = 0, e = readdir(d)) != NULL)
		if (e->d_name[0] != '.' && suffix_is_one_of(e->d_name, suffixes) &&
			fstatat(dirfd(d), e->d_name, &st, 0) == 0 && S_ISREG(st.st_mode))
			err = sigfiles_add(s, e->d_name);
	if (err == 0 && errno)
		err = -errno;
	if (err == 0 && s->n == 0)
		err = -ENOENT;
	qsort(s->names, s->n, sizeof(*s->names), by_name);
	return err;
}

int scan_sigfiles_list(const char *path, const char *const suffixes[], struct scan_sigfiles *ret)
{
	struct scan_sigfiles s = { 0 };
	DIR *d = opendir(path);
	int err;

	if (!d && errno != ENOTDIR)
		return -errno;
	s.names = calloc(SCAN_SIGFILES_MAX, sizeof(*s.names));
	s.dir = strdup(d ? path : "");
	if (!s.names || !s.dir)
		err = -ENOMEM;
	else if (d)
		err = sigfiles_read(&s, d, suffixes);
	else
		err = sigfiles_add(&s, path);
	if (d)
		(void)closedir(d);
	if (err < 0)
		scan_sigfiles_fini(&s);
	else
		*ret = s;
	return err;
}

void scan_sigfiles_fini(struct scan_sigfiles *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->names[i]);
	free(s->names);
	free(s->dir);
	*s = (struct scan_sigfiles){ 0 };
}

int scan_sigfiles_open(const struct scan_sigfiles *s, size_t i)
{
	char path[PATH_MAX];
	int fd;

	if (snprintf(path, sizeof(path), "%s%s%s", s->dir, s->dir[0] ? "/" : "", s->names[i]) >=
		(int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static uint64_t stamp_mix(uint64_t stamp, uint64_t v)
{
	for (int i = 0; i < 8; i++)
		stamp = (stamp ^ (v >> (8 * i) & 0xff)) * 0x100000001b3u; /* FNV-1a */
	return stamp;
}

static int stamp_add(int fd, uint64_t *stamp)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	*stamp = stamp_mix(*stamp, (uint64_t)st.st_ino);
	*stamp = stamp_mix(*stamp, (uint64_t)st.st_size);
	*stamp = stamp_mix(
		*stamp, (uint64_t)st.st_ctim.tv_sec * 1000000000u + (uint64_t)st.st_ctim.tv_nsec);
	return 0;
}

static int digest_add(int fd, struct io_sha256 *h)
{
	uint8_t buf[64u << 10];
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return -errno;
	io_sha256_add(h, &st.st_size, sizeof(st.st_size)); /* where the content ends */
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		io_sha256_add(h, buf, (size_t)n);
	return n < 0 ? -errno : 0;
}

static int sigfiles_walk(const struct scan_sigfiles *s, struct io_sha256 *h, uint64_t *ret_stamp)
{
	uint64_t stamp = 0xcbf29ce484222325u;
	int err = 0, fd;

	for (size_t i = 0; err == 0 && i < s->n; i++) {
		const char *name = strrchr(s->names[i], '/');

		fd = scan_sigfiles_open(s, i);
		if (fd < 0)
			return fd;
		name = name ? name + 1 : s->names[i];
		err = stamp_add(fd, &stamp);
		if (err == 0 && h) {
			io_sha256_add(h, name, strlen(name) + 1);
			err = digest_add(fd, h);
		}
		(void)close(fd);
	}
	if (err == 0)
		*ret_stamp = stamp;
	return err;
}

int scan_sigfiles_digest(const struct scan_sigfiles *s, struct io_sha256 *h, uint64_t *ret_stamp)
{
	return sigfiles_walk(s, h, ret_stamp);
}

int scan_sigfiles_stamp(const struct scan_sigfiles *s, uint64_t *ret_stamp)
{
	return sigfiles_walk(s, NULL, ret_stamp);
}
