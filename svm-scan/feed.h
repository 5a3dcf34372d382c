/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * feed.h - one job with one worker, seen from the service; the worker is believed nothing
 */
#ifndef SVM_SCAN_FEED_H
#define SVM_SCAN_FEED_H

#include "lib/io/sha256.h"
#include "svm-scan/msg.h"
#include "svm-scan/pool.h"

/*
 * scan_feed - hand a content to a worker, take its finding
 * @m: of the worker; its deadline is the job's
 * @h: borrowed; begun here. The hash is of what was handed over, if all of it was, in order
 * @ret: set when 0 is returned: what the worker found, or FAILED when the content could not be read
 * @ret_bytes: handed over; always set
 * @ret_why: static words on error
 * Errors: the worker cannot be used any more: -ETIMEDOUT, -ECANCELED (the pool stops), -GI_ECLOSED,
 *	-GI_EPROTO, -GI_EDENIED, -GI_ELIMIT (it broke the protocol), errno
 */
GI_MUST_CHECK int scan_feed(struct scan_msgs *m, uint64_t id, const struct scan_source *src,
	struct io_sha256 *h, struct scan_finding *ret, uint64_t *ret_bytes, const char **ret_why);

/* a worker may ask for twice the file and this: it re-reads, but not for ever */
#define SCAN_FEED_SPARE (16u << 20)

#endif
