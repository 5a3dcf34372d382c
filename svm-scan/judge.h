/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * judge.h - every file's way from an event to a verdict, and to the record of what came of it
 *
 * scan_judge_look() and _done() are libepsec's callbacks, in its thread; _start() makes a thread
 * for each worker process. Same content asked for by several guests at once is scanned once: the
 * first is scanned, the others wait without a thread. Source: docs/scan.md "From event to verdict".
 */
#ifndef SVM_SCAN_JUDGE_H
#define SVM_SCAN_JUDGE_H

#include "svm-scan/pool.h"
#include "svm-scan/vms.h"

struct scan_judge;

struct scan_judge_conf { /* borrowed until scan_judge_free() */
	struct scan_pool *pool;
	struct scan_vms *vms;
	struct scan_report *report;
	unsigned int workers;
	size_t cache_entries;
};

GI_MUST_CHECK int scan_judge_new(const struct scan_judge_conf *conf, struct scan_judge **ret);
/* threads are not running any more */
void scan_judge_free(struct scan_judge *j);
GI_MUST_CHECK int scan_judge_start(struct scan_judge *j, struct eps *e);
void scan_judge_join(struct scan_judge *j); /* after eps_stop() and scan_pool_stop() */

/*
 * scan_judge_swap - another hash list, other signatures: what was remembered counts no more
 * @list: takes on success; NULL: none
 * @ret_epoch: names both, for eps_epoch_set(), which the caller calls next
 * Errors: -ENOMEM, then all is as it was
 */
GI_MUST_CHECK int scan_judge_swap(struct scan_judge *j, struct scan_hashlist *list,
	const struct scan_epoch *signatures, uint8_t ret_epoch[EPS_EPOCH_MAX]);

bool scan_judge_look(struct scan_judge *j, struct eps_event *ev);
void scan_judge_done(struct scan_judge *j, const char *vm, const struct eps_done *d);

/* what is known of a content: for an operator. *ret_signature: "" none */
void scan_judge_known(struct scan_judge *j, const uint8_t sha256[32], enum scan_listed *ret_listed,
	enum scan_outcome *ret_cached, char ret_signature[EPS_SIGNATURE_MAX + 1]);

struct scan_judge_stats {
	uint64_t looked, scanned, followers, gone;
	uint64_t cache_hits, cache_misses;
	size_t cache_entries, list_entries;
};
void scan_judge_stats(struct scan_judge *j, struct scan_judge_stats *ret);

#endif
