/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * spool.h - a journal on disk: numbered events that the other side has not acknowledged yet
 *
 * Used by gi-netagent (sessions), gi-fileagent (reports) and svm-scan (its outbox); file I/O but no
 * loop, no clock, no lock. One directory holds segments, seg-<number>, each: 8 bytes of magic, one
 * CHECKPOINT record (the owner's whole state as of that moment; may be empty), then EVENT records
 * in order of their number. A record is
 *   u32 length of the payload | u32 CRC-32 of what follows | u8 type, 3 zero | u64 seq | payload
 * in host order: the file never leaves the machine. An event is written (write(2), no fsync) before
 * it is sent: a killed process loses nothing, a power cut what the kernel had not written (ADR
 * 0007). Segments that hold nothing but acknowledged events are deleted when a younger one exists.
 *
 * Invariants: what io_spool_next() gives out is in order, each event once; the files never take
 * more than max_bytes; when they cannot take an event (limit, disk full) it is kept in memory (at
 * most IO_SPOOL_MEM_MAX bytes), goes out live all the same, and is written when there is room.
 */
#ifndef IO_SPOOL_H
#define IO_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/base/buf.h"
#include "lib/base/err.h"

#define IO_SPOOL_RECORD_MAX (16u << 20) /* payload bytes; only a checkpoint comes near */
#define IO_SPOOL_EVENT_MAX (64u << 10)	/* payload bytes of an event */
#define IO_SPOOL_MEM_MAX (4u << 20)
#define IO_SPOOL_MIN_BYTES (64u << 10) /* least max_bytes */

struct io_spool;

enum io_spool_record { IO_SPOOL_CHECKPOINT = 1, IO_SPOOL_EVENT = 2 };

struct io_spool_ops {
	/* appends the owner's whole state to out (errors are sticky there) */
	void (*checkpoint)(void *arg, struct gi_buf *out);
	/*
	 * at opening: the newest readable checkpoint, then each event behind it, in order.
	 * @seq: of the event; of a checkpoint: of the last event before it
	 */
	void (*restore)(
		void *arg, enum io_spool_record type, uint64_t seq, const void *buf, size_t len);
};

struct io_spool_stats {
	uint64_t bytes;	   /* on disk */
	uint64_t last_seq; /* highest number given out */
	uint64_t acked_seq;
	uint64_t mem_events;  /* waiting in memory for room on disk */
	uint64_t lost_events; /* numbers that were given to nothing: no room anywhere */
	uint64_t bad_bytes;   /* unreadable, passed over */
	int disk_err;	      /* why the last write failed; 0: it did not */
};

/*
 * io_spool_open - read what is there, begin a new segment with a checkpoint
 * @dir: must exist; @max_bytes: >= IO_SPOOL_MIN_BYTES
 * @ops, @arg: borrows until io_spool_free()
 * A torn tail or a bad record is passed over (bad_bytes says how much), a disk that cannot take
 * the new segment is no error here (disk_err says it).
 * Errors: -errno of opening or reading the directory, -ENOMEM, -EINVAL (max_bytes)
 */
GI_MUST_CHECK int io_spool_open(const char *dir, uint64_t max_bytes, const struct io_spool_ops *ops,
	void *arg, struct io_spool **ret);
void io_spool_free(struct io_spool *sp); /* NULL is fine; the files stay */

/*
 * io_spool_append - the next event; its number is last_seq + 1 before the call
 * Returns 0: on disk or, when the disk would not, in memory (stats say which)
 * Errors: -GI_EFULL (neither disk nor memory took it: the number is used up all the same),
 *         -GI_ELIMIT (over IO_SPOOL_EVENT_MAX; number not used)
 */
GI_MUST_CHECK int io_spool_append(struct io_spool *sp, const void *buf, size_t len);

/* all up to @seq are durable elsewhere; lower than before, or over last_seq: nothing happens */
void io_spool_ack(struct io_spool *sp, uint64_t seq);
/* numbers go on behind @seq (the other side knows more than our files do); lower: nothing happens
 */
void io_spool_skip_to(struct io_spool *sp, uint64_t seq);
/* try again to write what is held in memory; after disk_err, from a timer */
void io_spool_flush(struct io_spool *sp);

/* where a reader stands; a fresh one is zero but for seq */
struct io_spool_cursor {
	uint64_t seq;	  /* last one given out */
	uint64_t segment; /* private */
	uint64_t offset;  /* private */
};

/*
 * io_spool_next - the first event with a number above the cursor's
 * @out: reset, then filled with the payload
 * Returns 1: one; 0: none (any more)
 * Errors: -ENOMEM, -errno of reading; the cursor has not moved
 */
int io_spool_next(
	struct io_spool *sp, struct io_spool_cursor *c, uint64_t *ret_seq, struct gi_buf *out);

uint64_t io_spool_last_seq(const struct io_spool *sp); /* highest number given out */
void io_spool_stats(const struct io_spool *sp, struct io_spool_stats *ret);

#endif
