/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * segment.h - the files of a spool: which there are, what is readable in them, read and append
 *
 * Below spool.c, used by nothing else. Invariants: .list is in ascending order of .no, at most
 * IO_SEGMENTS_MAX; .size is the readable prefix of a file; only the last one is written to, and
 * only when this process made it.
 */
#ifndef IO_SEGMENT_H
#define IO_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/io/spool.h"

#define IO_SEGMENTS_MAX 4096

struct io_segment {
	uint64_t no;	   /* in its name */
	uint64_t size;	   /* readable bytes */
	uint64_t last_seq; /* of its last event; 0: no event */
};

struct io_segments {
	int dir_fd;   /* -1 */
	int write_fd; /* of the last one, when it is ours; -1 */
	int read_fd;  /* of read_no; -1 */
	uint64_t read_no;
	struct io_segment *list; /* owned */
	size_t n;
	uint64_t bad_bytes; /* unreadable, passed over */
};

struct io_segment_pos {
	uint64_t segment, offset;
};

/* lists and scans the directory's segments; -errno, -ENOMEM */
GI_MUST_CHECK int io_segments_open(struct io_segments *s, const char *dir);
void io_segments_close(struct io_segments *s);
/* newest checkpoint and what is behind it, to @restore; @ret_seq: the highest number seen */
GI_MUST_CHECK int io_segments_restore(struct io_segments *s,
	void (*restore)(void *, enum io_spool_record, uint64_t, const void *, size_t), void *arg,
	uint64_t *ret_seq);

bool io_segments_writable(const struct io_segments *s);
uint64_t io_segments_bytes(const struct io_segments *s);
uint64_t io_segments_bytes_above(const struct io_segments *s, uint64_t acked_seq);
uint64_t io_segments_youngest_bytes(const struct io_segments *s);

/* a new last segment with this content (magic and checkpoint); -errno, -GI_EFULL (too many) */
GI_MUST_CHECK int io_segments_add(struct io_segments *s, const void *buf, size_t len);
/* one record to the last; whole, or -errno and nothing */
GI_MUST_CHECK int io_segments_append(
	struct io_segments *s, const void *buf, size_t len, uint64_t seq);
/* deletes all but the last whose events are all up to @acked_seq */
void io_segments_drop(struct io_segments *s, uint64_t acked_seq);
/* the next event with a number above @above; 1, 0 or negative; @pos moves unless negative */
int io_segments_next(struct io_segments *s, struct io_segment_pos *pos, uint64_t above,
	uint64_t *ret_seq, struct gi_buf *out);

#endif
