/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clam_floor.c - the floor of every scan: bare libclamav over the files of a tree, as a JSON line
 *
 * One process, one thread, no sandbox, nobody asked: read a file, hand it over, the next one. The
 * options are those of svm-scan/clamav.c, but its own cache of clean files is on, as svm-scan has
 * one too. Source: clamav.h.
 */
#include <clamav.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FILES_MAX 100000
#define BYTES_MAX (1u << 20)

static char *files[FILES_MAX];
static size_t n_files;

static int on_entry(const char *path, const struct stat *st, int flag, struct FTW *f)
{
	(void)f;
	if (flag != FTW_F || !S_ISREG(st->st_mode) || st->st_size > BYTES_MAX)
		return 0;
	if (n_files == FILES_MAX)
		return 1;
	files[n_files] = strdup(path);
	return files[n_files++] ? 0 : -1;
}

static uint64_t clock_us(clockid_t which)
{
	struct timespec ts;

	(void)clock_gettime(which, &ts);
	return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

static struct cl_engine *engine_open(const char *db, const char *tmp)
{
	struct cl_engine *e = cl_init(CL_INIT_DEFAULT) == CL_SUCCESS ? cl_engine_new() : NULL;
	unsigned int signatures = 0;

	if (!e || cl_engine_set_str(e, CL_ENGINE_TMPDIR, tmp) != CL_SUCCESS ||
		cl_engine_set_num(e, CL_ENGINE_BYTECODE_MODE, CL_BYTECODE_MODE_INTERPRETER) !=
			CL_SUCCESS ||
		cl_engine_set_num(e, CL_ENGINE_DISABLE_PE_STATS, 1) != CL_SUCCESS ||
		cl_load(db, e, &signatures, CL_DB_STDOPT) != CL_SUCCESS ||
		cl_engine_compile(e) != CL_SUCCESS || signatures == 0)
		return NULL;
	return e;
}

/* false: it could not be read or scanned; *found counts */
static bool scan(struct cl_engine *e, const char *path, unsigned int *found)
{
	struct cl_scan_options options = { .general = CL_SCAN_GENERAL_HEURISTICS,
		.parse = ~0u,
		.heuristic = CL_SCAN_HEURISTIC_EXCEEDS_MAX };
	static char bytes[BYTES_MAX];
	unsigned long scanned = 0;
	const char *virus = NULL;
	cl_error_t rc = CL_EREAD;
	cl_fmap_t *map;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, bytes, sizeof(bytes));

	if (fd >= 0)
		(void)close(fd);
	if (len <= 0)
		return len == 0;
	map = cl_fmap_open_memory(bytes, (size_t)len);
	if (map) {
		rc = cl_scanmap_callback(map, NULL, &virus, &scanned, e, &options, NULL);
		cl_fmap_close(map);
	}
	*found += rc == CL_VIRUS;
	return rc == CL_CLEAN || rc == CL_VIRUS;
}

int main(int argc, char **argv)
{
	struct cl_engine *e = argc == 4 ? engine_open(argv[1], argv[3]) : NULL;
	unsigned int found = 0, failed = 0;
	uint64_t wall, cpu;

	if (!e || nftw(argv[2], on_entry, 16, FTW_PHYS) != 0 || n_files == 0) {
		(void)fprintf(stderr, "clam_floor DATABASE TREE TMP\n");
		return 2;
	}
	wall = clock_us(CLOCK_MONOTONIC);
	cpu = clock_us(CLOCK_PROCESS_CPUTIME_ID);
	for (size_t i = 0; i < n_files; i++)
		failed += !scan(e, files[i], &found);
	wall = clock_us(CLOCK_MONOTONIC) - wall;
	cpu = clock_us(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	(void)printf("{\"bench\":\"bare libclamav\",\"n\":%zu,\"ns_each\":%" PRIu64
		     ",\"ms\":%" PRIu64 ",\"cpu_ms\":%" PRIu64 ",\"found\":%u,\"failed\":%u}\n",
		n_files, wall * 1000 / n_files, wall / 1000, cpu / 1000, found, failed);
	for (size_t i = 0; i < n_files; i++)
		free(files[i]);
	(void)cl_engine_free(e);
	return 0;
}
