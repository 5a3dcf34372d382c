/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * scan_workers.c - what one scan worker does in a second, as JSON lines
 *
 * Real workers (this program again, with "--worker") behind the real pool, fed from files of this
 * machine, no network: all of a directory (default /usr/bin), and small files made here, by each
 * engine alone and by both. What is found or fails among benign files is counted, not hidden.
 */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "tests/unit/svm-scan/bed.h"

#define SMALL_FILES 5000
#define SMALL_BYTES 4096
#define FILES_MAX 100000

struct tally {
	const char *how;
	uint32_t *us; /* of each file */
	size_t n;
	uint64_t bytes, start_ns, end_ns;
	uint64_t cpu_start_us, cpu_end_us;
	unsigned int found, failed;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* processor time of worker and service, so far: what a busy machine does not distort */
static uint64_t cpu_us(void)
{
	char path[64], text[512];
	unsigned long user = 0, sys = 0;
	struct rusage r;
	const char *p;
	FILE *f;

	(void)getrusage(RUSAGE_SELF, &r);
	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)bed_worker_pid());
	f = fopen(path, "re");
	p = f && fgets(text, sizeof(text), f) ? strrchr(text, ')') : NULL;
	if (p)
		(void)sscanf(
			p + 1, "%*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %lu %lu", &user, &sys);
	if (f)
		(void)fclose(f);
	return (uint64_t)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1000000u +
	       (uint64_t)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) +
	       (user + sys) * 1000000u / (unsigned long)sysconf(_SC_CLK_TCK);
}

static int by_value(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void tally_one(struct tally *t, struct bed *b, struct bed_content *c, const char *name)
{
	uint64_t start = now_ns();
	struct scan_finding f;

	if (t->n == FILES_MAX)
		return;
	bed_run(b, c, &f);
	t->end_ns = now_ns();
	t->us[t->n++] = (uint32_t)((t->end_ns - start) / 1000);
	t->bytes += c->src.size;
	t->found += f.outcome == SCAN_FOUND;
	t->failed += f.outcome == SCAN_FAILED;
	if (f.outcome != SCAN_CLEAN)
		(void)fprintf(stderr, "%s: %s%s\n", name, f.signature, f.text);
}

static void tally_print(struct tally *t)
{
	double s = (double)(t->end_ns - t->start_ns) / 1e9;
	double cpu = (double)(t->cpu_end_us - t->cpu_start_us);

	if (t->n == 0)
		return;
	qsort(t->us, t->n, sizeof(*t->us), by_value);
	(void)printf(
		"{\"bench\":\"scan-worker\",\"how\":\"%s\",\"n\":%zu,\"p50_us\":%" PRIu32
		",\"p99_us\":%" PRIu32 ",\"files_per_s\":%.0f,\"mb_per_s\":%.1f"
		",\"cpu_us_per_file\":%.0f,\"cpu_s_per_gb\":%.1f,\"found\":%u,\"failed\":%u}\n",
		t->how, t->n, t->us[t->n / 2], t->us[t->n * 99 / 100], (double)t->n / s,
		(double)t->bytes / 1e6 / s, cpu / (double)t->n,
		cpu / 1e6 / ((double)t->bytes / 1e9), t->found, t->failed);
	(void)fflush(stdout);
}

static void run_directory(struct bed *b, struct tally *t, const char *dir)
{
	DIR *d = opendir(dir);
	struct bed_content c;
	struct dirent *e;
	struct stat st;
	char path[512];

	while (d && (e = readdir(d)) != NULL) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		if (lstat(path, &st) < 0 || !S_ISREG(st.st_mode))
			continue;
		bed_file(&c, path);
		tally_one(t, b, &c, path);
		bed_file_close(&c);
	}
	if (d)
		(void)closedir(d);
}

/* text that never repeats itself, as sources are */
static void run_small(struct bed *b, struct tally *t)
{
	char text[SMALL_BYTES];
	uint32_t x = 12345;
	struct bed_content c;

	for (int i = 0; i < SMALL_FILES; i++) {
		for (size_t k = 0; k < sizeof(text); k++) {
			x = x * 1664525u + 1013904223u;
			text[k] = x >> 29 ? (char)('a' + (x >> 24) % 26) : '\n';
		}
		bed_memory(&c, text, sizeof(text));
		tally_one(t, b, &c, "made here");
	}
}

static void memory_print(const char *phase)
{
	char path[64], line[256];
	unsigned long kib = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)bed_worker_pid());
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, "Pss:", 4) == 0)
			kib = strtoul(line + 4, NULL, 10);
	if (f)
		(void)fclose(f);
	(void)printf("{\"bench\":\"memory\",\"daemon\":\"scan worker\",\"phase\":\"%s\""
		     ",\"pss_kib\":%lu}\n",
		phase, kib);
}

static void bench(const char *name, bool clamav, bool yara, const char *dir, uint32_t *us)
{
	char how[2][64], phase[2][64];
	struct tally t[2] = { { .how = how[0], .us = us }, { .how = how[1], .us = us } };
	struct bed b;

	(void)snprintf(how[0], sizeof(how[0]), "%s, 4 KiB", name);
	(void)snprintf(how[1], sizeof(how[1]), "%s, %.32s", name, dir);
	(void)snprintf(phase[0], sizeof(phase[0]), "%s, idle", name);
	(void)snprintf(phase[1], sizeof(phase[1]), "%s, after %.32s", name, dir);
	bed_init(&b);
	b.conf.engines.clamav = clamav ? b.db : NULL;
	b.conf.engines.yara = yara ? b.rules : NULL;
	b.conf.budget_ms = 300000;
	b.conf.recycle_jobs = UINT32_MAX;
	bed_start(&b);
	memory_print(phase[0]);
	t[0].start_ns = now_ns();
	t[0].cpu_start_us = cpu_us();
	run_small(&b, &t[0]);
	t[0].cpu_end_us = cpu_us();
	tally_print(&t[0]);
	t[1].start_ns = now_ns();
	t[1].cpu_start_us = cpu_us();
	run_directory(&b, &t[1], dir);
	t[1].cpu_end_us = cpu_us();
	tally_print(&t[1]);
	memory_print(phase[1]);
	bed_fini(&b);
}

int main(int argc, char **argv)
{
	const char *dir = argc > 1 ? argv[1] : "/usr/bin";
	uint32_t *us;

	if (argc > 1 && strcmp(argv[1], "--worker") == 0)
		scan_worker_main(argc, argv);
	/* where the service unpacks by default: on a disk's file system libclamav's directory a
	 * scan costs more than the scan of a small file */
	if (setenv("TMPDIR", "/dev/shm", 0) < 0)
		return 1;
	us = calloc(FILES_MAX, sizeof(*us));
	if (!us)
		return 1;
	bench("clamav", true, false, dir, us);
	bench("yara", false, true, dir, us);
	bench("both", true, true, dir, us);
	free(us);
	return 0;
}
