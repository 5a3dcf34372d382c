/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * scan.h - svm-scan's shape: what its parts call each other
 *
 *   libepsec's thread --look--> judge.c: hash list, cache; answered at once when the whole content
 *        |                      came with the event and is known
 *        v eps_next()
 *   one thread a worker: pool.c --ScanJob, ScanBytes--> worker process (sandbox, engines)
 *        |  finding
 *        v
 *   judge.c: verdict by the VM's rules (rules.c) --eps_answer--> guest
 *        | done
 *        v
 *   report.c: outbox on disk --ScanRecord--> svm-idfw (audit, isolation)
 *
 * The main thread runs an event loop: link to svm-idfw, control socket (control.c), signals.
 * Whatever two threads share has a lock of its own and says so.
 */
#ifndef SVM_SCAN_SCAN_H
#define SVM_SCAN_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "epsec/epsec.h"
#include "lib/base/err.h"
#include "lib/wire/wire.h"

enum scan_outcome { SCAN_CLEAN = 1, SCAN_FOUND = 2, SCAN_FAILED = 3 };

struct scan_finding {
	enum scan_outcome outcome;
	char engine[EPS_NAME_MAX + 1]; /* "clamav", "yara", "hash-list" */
	char signature[EPS_SIGNATURE_MAX + 1];
	char text[EPS_REASON_MAX + 1]; /* FAILED: why */
	uint8_t sha256[32];
	bool has_sha256;
};

/*
 * cache.c - findings by content hash and epoch, for all VMs. Thread-safe. CLEAN and FOUND only;
 * least recently used goes first; an epoch change empties it.
 */
struct scan_cache;
GI_MUST_CHECK int scan_cache_new(size_t max_entries, struct scan_cache **ret);
void scan_cache_free(struct scan_cache *c);
void scan_cache_epoch(struct scan_cache *c, const uint8_t *epoch, size_t len);
bool scan_cache_find(struct scan_cache *c, const uint8_t sha256[32], struct scan_finding *ret);
/* @epoch: that the finding was made with; another by now: not kept */
void scan_cache_add(
	struct scan_cache *c, const struct scan_finding *f, const uint8_t *epoch, size_t epoch_len);
void scan_cache_stats(
	struct scan_cache *c, uint64_t *ret_hits, uint64_t *ret_misses, size_t *ret_entries);

/*
 * hashlist.c - the administrator's SHA-256 list: "allow|deny <64 hex digits> [name]" a line, '#'
 * comments. Immutable once loaded; errors as file:line:col with a caret.
 */
struct scan_hashlist;
struct conf_diags;
GI_MUST_CHECK int scan_hashlist_parse(
	const char *text, size_t len, struct conf_diags *diags, struct scan_hashlist **ret);
void scan_hashlist_free(struct scan_hashlist *l);
enum scan_listed { SCAN_NOT_LISTED, SCAN_LISTED_ALLOW, SCAN_LISTED_DENY };
enum scan_listed scan_hashlist_find(const struct scan_hashlist *l, const uint8_t sha256[32],
	const char **ret_name); /* borrowed from @l */
size_t scan_hashlist_count(const struct scan_hashlist *l);
/* of what it says (not of its order, comments, names): part of the epoch; NULL: of an empty one */
GI_MUST_CHECK int scan_hashlist_digest(const struct scan_hashlist *l, uint8_t ret[32]);

/* rules.c - what a finding leads to, for a VM; pure. The configuration's vm blocks, else defaults
 */
struct scan_rules { /* of one VM */
	enum eps_kind on_open,
		on_write; /* FOUND at open/exec, at close-after-write and later scans */
	Idfw__FileIsolate isolate;
	Idfw__FileIsolate isolate_unknown; /* instead of SESSION, when the guest names none */
	uint64_t max_file_bytes;	   /* 0: no bound */
	uint32_t credits;
	uint64_t events_per_s;	 /* quota, 0 none; over it: EPS_FAILED "quota" */
	uint64_t bytes_per_s;	 /* the same, of content that had to be scanned */
	uint64_t findings_per_h; /* that have records of their own; 0: all. bound.h */
	uint64_t reports_per_h;	 /* the same of each kind of report */
};
/* CLEAN: ALLOW; FAILED: EPS_FAILED; FOUND: by the operation */
enum eps_kind scan_rules_verdict(
	const struct scan_rules *r, enum eps_op op, enum scan_outcome outcome);
/* what loses its network for a finding of something done by @session (0: not known) */
Idfw__FileIsolate scan_rules_isolate(const struct scan_rules *r, uint64_t session);
/*
 * Token buckets of one VM that hold what one second gives; pure, clock in. Zeroed: full at the
 * first take. false: over the quota, nothing is taken. More bytes than a second gives are taken
 * from a full bucket, and paid back before the next: a large file is not refused for ever.
 */
struct scan_quota {
	int64_t events_milli, bytes_milli;
	uint64_t last_ms;
};
bool scan_quota_take(struct scan_quota *q, const struct scan_rules *r, uint64_t now_ms,
	uint64_t events, uint64_t bytes);

/*
 * report.c - records for svm-idfw: numbered, on disk before anything else, sent until acknowledged.
 * scan_report() may be called from any thread; it copies. Full outbox: -GI_EFULL, counted, and the
 * oldest stay (an attacker must not push evidence out).
 */
struct scan_report;
GI_MUST_CHECK int scan_report_add(struct scan_report *r, const Idfw__ScanRecord *rec);

#endif
