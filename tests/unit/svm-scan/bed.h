/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bed.h - what tests of the scan workers share: signatures, contents, a pool in a directory
 *
 * The signatures find what is in Debian's clamav-testfiles and EICAR, and nothing else; EICAR is
 * put together here from two pieces, so that no file of ours is one.
 */
#ifndef TEST_SCAN_BED_H
#define TEST_SCAN_BED_H

#include <sys/types.h>
#include "svm-scan/pool.h"

#define BED_TESTFILES "/usr/share/clamav-testfiles"

struct bed {
	char dir[64];	/* made by bed_init(), removed by bed_fini() */
	char db[80];	/* ClamAV signatures */
	char rules[80]; /* YARA rules */
	char tmp[80];
	struct scan_pool_conf conf; /* one worker, both engines */
	struct scan_pool *pool;
	char notes[1024]; /* "ended: ...\n" as they came */
	char why[SCAN_WHY_MAX];
	unsigned int descriptors; /* of this process before */
};

struct bed_content { /* a source over memory, or over a descriptor when data is NULL */
	struct scan_source src;
	const uint8_t *data;
	int fd;
	int fail; /* what read() returns from fail_at on, 0 none */
	uint64_t fail_at;
	uint64_t ends_at; /* the content ends here, whatever src.size says */
	void (*before)(void *arg, uint64_t offset); /* each read; NULL */
	void *before_arg;
};

void bed_init(struct bed *b);
void bed_start(struct bed *b); /* asserts that the pool starts */
void bed_fini(struct bed *b);
void bed_write(const char *path, const void *data, size_t len);
void bed_text(const char *path, const char *text);
size_t bed_eicar(char ret[80]); /* length */
/* memory or a file as a content; the head is its first 16 KiB */
void bed_memory(struct bed_content *c, const void *data, size_t len);
void bed_file(struct bed_content *c, const char *path);
void bed_file_close(struct bed_content *c);
/* in slot 0 */
void bed_run(struct bed *b, struct bed_content *c, struct scan_finding *ret);
void bed_run_memory(struct bed *b, const void *data, size_t len, struct scan_finding *ret);
/* the worker's pid: the only child of our threads; 0 none */
pid_t bed_worker_pid(void);

#endif
