/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pool.h - the service's side of its scan workers: one process a thread, fed, bounded, replaced
 *
 *   thread N --scan_pool_run(N)--> pool.c --ScanJob, ScanBytes--> worker process N (worker.c)
 *                                         <--ScanNeed, ScanResult--
 *
 * A worker is this binary again with "--worker" (scan_worker_main()), in a sandbox (sandbox.h),
 * and believed nothing: what it sends is decoded with the rights of WIRE_SCAN_WORKER, what it
 * reads is counted, how long it takes is bounded, and the hash in a finding is the pool's own. It
 * is replaced after a crash, a breach of the protocol, a job over its budget, or enough jobs; each
 * of the first three costs the file that it had, and no other.
 *
 * Threads: the pool has one of its own that starts processes (they die with the thread that
 * forked them). Everything here may be called from any thread; a slot's run from one at a time.
 * Source: docs/scan.md "The scanner's workers", docs/adr/0012-engines.md.
 */
#ifndef SVM_SCAN_POOL_H
#define SVM_SCAN_POOL_H

#include "svm-scan/scan.h"

#define SCAN_EPOCH_LEN 16
#define SCAN_SLOTS_MAX 256
#define SCAN_WHY_MAX 256

struct scan_epoch { /* names engines, signatures and limits; a prefix of a SHA-256 */
	uint8_t id[SCAN_EPOCH_LEN];
};

/* what the workers scan with; all of it is part of the epoch. 0: the default in brackets */
struct scan_engines_conf {
	const char *clamav; /* signature file or directory; NULL: no ClamAV */
	const char *yara;   /* rules: a file, or a directory of *.yar and *.yara; NULL: no YARA */
	uint64_t buffer_bytes;	 /* content up to this is held whole: all YARA sees [64 MiB] */
	uint64_t max_file_bytes; /* larger files and members are FAILED, not half scanned [512 MiB]
				  */
	uint64_t max_scan_bytes; /* of all members together [400 MiB, at least max_file_bytes] */
	uint32_t max_files;	 /* members of one file [10000] */
	uint32_t max_recursion;	 /* archives in archives [17] */
	uint32_t max_scan_ms;	 /* of one engine; a job's budget counts as well [budget_ms] */
};

enum scan_pool_note {
	SCAN_NOTE_ENDED = 1,	/* a worker ended, was killed or replaced against its will */
	SCAN_NOTE_START_FAILED, /* a replacement does not start: the slot waits and tries again */
	SCAN_NOTE_STARTED,	/* a replacement is ready */
	SCAN_NOTE_OTHER_SIGNATURES /* a replacement found other signatures on disk: reload, please
				    */
};

struct scan_pool_conf { /* all borrowed for scan_pool_new() only, but for note and arg */
	struct scan_engines_conf engines;
	unsigned int workers;	/* slots, 1..SCAN_SLOTS_MAX */
	uint32_t budget_ms;	/* of one job, reading included [30000] */
	uint32_t start_ms;	/* to load the signatures [120000] */
	uint32_t recycle_jobs;	/* a worker is replaced after so many, and twenty times the
				   processor time that its start took [1000] */
	uint64_t memory_bytes;	/* a worker's, on top of its loaded signatures [1 GiB]; UINT64_MAX:
				   unbounded (sanitizers) */
	const char *tmp_dir;	/* in its directory "workers" (made; emptied at start; one pool at a
				   time) engines unpack archives: best a bounded tmpfs */
	const char *user;	/* whom workers become when we are root; NULL: nobody else */
	bool relaxed;		/* go on without landlock where the kernel has none */
	const char *worker_arg; /* first argument ["--worker"] */
	/* from any thread, must not block for long or call the pool; NULL: nobody cares */
	void (*note)(void *arg, enum scan_pool_note what, const char *text);
	void *arg;
};

/*
 * Where content comes from; no name, as a finding counts for every file with this content. read()
 * as eps_read(): blocks, 0 with *ret_len 0 is the end, else a negative code that error() has words
 * for. One thread at a time.
 */
struct scan_source {
	uint64_t size;
	const uint8_t *head; /* borrowed; its first bytes, may be NULL */
	size_t head_len;
	const uint8_t *sha256; /* borrowed; of the head when it is all of it, or NULL: not known */
	int (*read)(void *arg, uint64_t offset, void *buf, size_t len, size_t *ret_len);
	const char *(*error)(int err);
	void *arg;
};
/* the content of an event (source.c); borrows @ev, which must not be answered before the run ends
 */
void scan_source_event(struct scan_source *s, struct eps_event *ev);

struct scan_pool;

/*
 * scan_pool_new - start the workers and wait until all are ready, with one epoch
 * @ret_why: words for a log on error
 * @ret: returned owned, scan_pool_free(); untouched on error
 * Blocks for at most start_ms. Errors: -EINVAL (configuration), -GI_ESTATE (a worker cannot work:
 * @ret_why says why), -ETIMEDOUT, -ENOMEM, errno of fork, tmp_dir
 */
GI_MUST_CHECK int scan_pool_new(
	const struct scan_pool_conf *conf, char ret_why[SCAN_WHY_MAX], struct scan_pool **ret);
/* runs under way end soon, as FAILED; later ones at once. Idempotent */
void scan_pool_stop(struct scan_pool *p);
/* no run may be under way any more; NULL is fine */
void scan_pool_free(struct scan_pool *p);

/*
 * scan_pool_run - scan one content. Blocks: at most budget_ms and one read() of the source
 * @slot: 0..workers-1, the caller's own
 * @ret: always set. FAILED has a text for people. sha256 is the pool's own, present when the whole
 *	content was handed over. CLEAN may have a text ("yara saw the first 64 MiB")
 * @ret_epoch: always set; what the finding was made with. Another one than the service's present
 *	epoch: do not remember the finding
 */
void scan_pool_run(struct scan_pool *p, unsigned int slot, const struct scan_source *src,
	struct scan_finding *ret, struct scan_epoch *ret_epoch);

/*
 * scan_pool_reload - the signatures on disk, if they load
 * Starts a second set of workers beside the first (one worker, and if it works the others), and
 * hands them over between jobs once all of them are ready with one epoch; on any error the first
 * set stays and @ret_why says why. Blocks for at most twice start_ms; runs go on meanwhile. The
 * same epoch as before is fine.
 * @ret: the epoch from now on
 * Errors: as scan_pool_new(), -EBUSY (another reload is under way)
 */
GI_MUST_CHECK int scan_pool_reload(
	struct scan_pool *p, char ret_why[SCAN_WHY_MAX], struct scan_epoch *ret);

void scan_pool_epoch(struct scan_pool *p, struct scan_epoch *ret); /* of new() or the last reload */
/* "clamav 1.4.6 (44 signatures), yara 4.2.3 (12 rules)" */
void scan_pool_engines(struct scan_pool *p, char ret[SCAN_WHY_MAX + 1]);

struct scan_pool_stats {
	uint64_t jobs, clean, found, failed, bytes; /* bytes handed to workers */
	uint64_t starts, crashes, killed_budget, killed_protocol, recycled, start_failures, reloads;
	unsigned int workers;
};
void scan_pool_stats(struct scan_pool *p, struct scan_pool_stats *ret);

/*
 * scan_worker_main - the worker process (worker.c): loads the engines, shuts the sandbox, says
 * ScanReady on descriptor 3, then one ScanJob after the other until the socket ends
 * main() calls it for "--worker" before anything else; does not return
 */
void scan_worker_main(int argc, char **argv) __attribute__((noreturn));

#endif
