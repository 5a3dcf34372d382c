/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * content.h - the file under scan as a worker's engines see it
 *
 * Content up to a cap is read whole into one buffer before an engine runs: libclamav reads all of
 * every file, and YARA needs one piece (in pieces it misses what lies across their borders, and
 * reads again for each module). What is beyond the cap comes by ranges, for libclamav only.
 * Two requests are under way at any time, so that the guest reads while we copy.
 */
#ifndef SVM_SCAN_CONTENT_H
#define SVM_SCAN_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/base/err.h"
#include "svm-scan/msg.h"

#define SCAN_CHUNK WIRE_RANGE_MAX
#define SCAN_WINDOWS 8 /* ranges beyond the cap that are kept */

struct scan_content {
	uint64_t size; /* of the file */
	uint64_t have; /* bytes in buf, from 0: min(size, cap) when it is filled */
	uint8_t *buf;  /* owned, cap bytes; NULL before init */
	size_t cap;
	int err; /* sticky: why reading failed, negative errno; -GI_... of a broken service */
	struct scan_msgs *msgs; /* borrowed */
	unsigned int under_way; /* answers that have not come */
	uint8_t *windows;	/* owned; SCAN_WINDOWS chunks, or NULL until one is needed */
	uint64_t window[SCAN_WINDOWS], used[SCAN_WINDOWS]; /* chunk number + 1, 0 none; last use */
	uint64_t clock;
	uint64_t ahead; /* chunk number + 1 that was asked for ahead, 0 none */
};

GI_MUST_CHECK int scan_content_init(struct scan_content *c, size_t cap, struct scan_msgs *msgs);
void scan_content_fini(struct scan_content *c);
/* a new file; @head: its first bytes, at most @size of them count */
void scan_content_begin(
	struct scan_content *c, uint64_t size, const uint8_t *head, size_t head_len);
/* Errors: errno of the source's read, -ENODATA (it ended early), scan_msgs_...()'s */
GI_MUST_CHECK int scan_content_fill(struct scan_content *c);
/*
 * up to @len bytes at @offset, from anywhere in the file; 0 behind its end
 * Errors: as fill, negative; sticky
 */
int64_t scan_content_pread(struct scan_content *c, void *buf, size_t len, uint64_t offset);
/* takes what is still under way and gives memory back; error of the socket only */
GI_MUST_CHECK int scan_content_end(struct scan_content *c);

#endif
