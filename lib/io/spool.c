/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * spool.c - the on-disk event spool, see spool.h: append, acknowledge, read in order
 *
 * Segments are immutable but for the youngest, which grows at its end by one write(2) a record.
 * A new segment is written under another name and renamed, so a segment that has its name has a
 * whole checkpoint. What opening makes of the files is in segment.c.
 */
#include "lib/io/spool.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/io/record.h"
#include "lib/io/segment.h"

#define SEGMENT_LIMIT_MAX (1u << 20) /* a segment over it is followed by a new one */
#define CHECKPOINT_MAX (IO_SPOOL_RECORD_MAX)

struct mem_event {
	struct mem_event *next;
	uint64_t seq;
	uint32_t len;
	uint8_t data[];
};

struct io_spool {
	struct io_segments segs;
	uint64_t max_bytes;
	uint64_t segment_limit; /* of the present youngest; moves when a rotation fails */
	const struct io_spool_ops *ops;
	void *arg;
	uint64_t last_seq, disk_seq, acked_seq; /* disk_seq: highest number on disk */
	struct mem_event *mem_head, **mem_tail;
	uint64_t mem_bytes, mem_events, lost_events;
	int disk_err;
	bool stale; /* an event never came to the files: only a new checkpoint makes them whole */
};

static uint64_t spool_segment_limit(const struct io_spool *sp)
{
	uint64_t limit = sp->max_bytes / 8;

	return limit > SEGMENT_LIMIT_MAX ? SEGMENT_LIMIT_MAX : limit;
}

/* a new youngest segment with the owner's state; older ones that are acknowledged go */
static int spool_rotate(struct io_spool *sp)
{
	struct gi_buf state, rec;
	uint64_t kept;
	int err;

	gi_buf_init(&state, CHECKPOINT_MAX);
	gi_buf_init(&rec, CHECKPOINT_MAX + IO_RECORD_HEAD + IO_SEGMENT_MAGIC_LEN);
	sp->ops->checkpoint(sp->arg, &state);
	err = gi_buf_error(&state);
	if (err < 0)
		goto out;
	gi_buf_append(&rec, IO_SEGMENT_MAGIC, IO_SEGMENT_MAGIC_LEN);
	io_record_encode(&rec, IO_SPOOL_CHECKPOINT, sp->disk_seq, state.data, (uint32_t)state.len);
	err = gi_buf_error(&rec);
	if (err < 0)
		goto out;
	/* what the new one makes superfluous does not count against it */
	kept = io_segments_bytes_above(&sp->segs, sp->acked_seq);
	err = -GI_EFULL;
	if (kept + rec.len > sp->max_bytes)
		goto out;
	err = io_segments_add(&sp->segs, rec.data, rec.len);
	if (err < 0)
		goto out;
	sp->segment_limit = rec.len + spool_segment_limit(sp);
	sp->stale = false;
	io_segments_drop(&sp->segs, sp->acked_seq);
out:
	gi_buf_fini(&state);
	gi_buf_fini(&rec);
	return err;
}

int io_spool_open(const char *dir, uint64_t max_bytes, const struct io_spool_ops *ops, void *arg,
	struct io_spool **ret)
{
	struct io_spool *sp;
	int err;

	if (max_bytes < IO_SPOOL_MIN_BYTES)
		return -EINVAL;
	sp = calloc(1, sizeof(*sp));
	if (!sp)
		return -ENOMEM;
	sp->max_bytes = max_bytes;
	sp->ops = ops;
	sp->arg = arg;
	sp->mem_tail = &sp->mem_head;
	err = io_segments_open(&sp->segs, dir);
	if (err == 0)
		err = io_segments_restore(&sp->segs, ops->restore, arg, &sp->disk_seq);
	if (err < 0) {
		io_spool_free(sp);
		return err;
	}
	sp->last_seq = sp->disk_seq;
	sp->disk_err = spool_rotate(sp);
	*ret = sp;
	return 0;
}

void io_spool_free(struct io_spool *sp)
{
	struct mem_event *m;

	if (!sp)
		return;
	while ((m = sp->mem_head)) {
		sp->mem_head = m->next;
		free(m);
	}
	io_segments_close(&sp->segs);
	free(sp);
}

static int spool_write(struct io_spool *sp, uint64_t seq, const void *buf, uint32_t len)
{
	struct gi_buf rec;
	int err = 0;

	if (sp->stale || !io_segments_writable(&sp->segs) ||
		io_segments_youngest_bytes(&sp->segs) >= sp->segment_limit) {
		err = spool_rotate(sp);
		if (err < 0 && (sp->stale || !io_segments_writable(&sp->segs)))
			return err;
		if (err < 0) /* goes on in the old one; not tried again for every event */
			sp->segment_limit += spool_segment_limit(sp);
	}
	if (io_segments_bytes(&sp->segs) + IO_RECORD_HEAD + len > sp->max_bytes)
		return -GI_EFULL;
	gi_buf_init(&rec, IO_SPOOL_EVENT_MAX + IO_RECORD_HEAD);
	io_record_encode(&rec, IO_SPOOL_EVENT, seq, buf, len);
	err = gi_buf_error(&rec);
	if (err == 0)
		err = io_segments_append(&sp->segs, rec.data, rec.len, seq);
	gi_buf_fini(&rec);
	if (err == 0)
		sp->disk_seq = seq;
	return err;
}

static void mem_pop(struct io_spool *sp, bool written)
{
	struct mem_event *m = sp->mem_head;

	if (!written)
		sp->stale = true;
	sp->mem_head = m->next;
	if (!sp->mem_head)
		sp->mem_tail = &sp->mem_head;
	sp->mem_bytes -= m->len;
	sp->mem_events--;
	free(m);
}

void io_spool_flush(struct io_spool *sp)
{
	int err = 0;

	/* the files are made whole also when nothing waits: our end may come before the next event
	 */
	if (!sp->mem_head && (sp->stale || !io_segments_writable(&sp->segs)))
		err = spool_rotate(sp);
	while (err == 0 && sp->mem_head) {
		struct mem_event *m = sp->mem_head;

		err = spool_write(sp, m->seq, m->data, m->len);
		if (err == 0)
			mem_pop(sp, true);
	}
	sp->disk_err = err;
}

static int mem_push(struct io_spool *sp, uint64_t seq, const void *buf, uint32_t len)
{
	struct mem_event *m;

	if (sp->mem_bytes + len > IO_SPOOL_MEM_MAX)
		return -GI_EFULL;
	m = malloc(sizeof(*m) + len);
	if (!m)
		return -GI_EFULL;
	m->next = NULL;
	m->seq = seq;
	m->len = len;
	memcpy(m->data, buf, len);
	*sp->mem_tail = m;
	sp->mem_tail = &m->next;
	sp->mem_bytes += len;
	sp->mem_events++;
	return 0;
}

int io_spool_append(struct io_spool *sp, const void *buf, size_t len)
{
	uint64_t seq;

	if (len > IO_SPOOL_EVENT_MAX)
		return -GI_ELIMIT;
	if (sp->last_seq == UINT64_MAX) /* only a forged file gets there */
		return -GI_EFULL;
	seq = ++sp->last_seq;
	if (sp->mem_head)
		io_spool_flush(sp); /* in order, or not at all */
	if (!sp->mem_head) {
		sp->disk_err = spool_write(sp, seq, buf, (uint32_t)len);
		if (sp->disk_err == 0)
			return 0;
	}
	if (mem_push(sp, seq, buf, (uint32_t)len) == 0)
		return 0;
	sp->lost_events++;
	sp->stale = true;
	return -GI_EFULL;
}

void io_spool_ack(struct io_spool *sp, uint64_t seq)
{
	if (seq <= sp->acked_seq || seq > sp->last_seq)
		return;
	sp->acked_seq = seq;
	while (sp->mem_head && sp->mem_head->seq <= seq)
		mem_pop(sp, false);
	io_segments_drop(&sp->segs, seq);
}

void io_spool_skip_to(struct io_spool *sp, uint64_t seq)
{
	if (seq <= sp->last_seq)
		return;
	sp->last_seq = seq;
	io_spool_ack(sp, seq);
}

int io_spool_next(
	struct io_spool *sp, struct io_spool_cursor *c, uint64_t *ret_seq, struct gi_buf *out)
{
	struct io_segment_pos pos = { .segment = c->segment, .offset = c->offset };
	uint64_t seq;
	int n = io_segments_next(&sp->segs, &pos, c->seq, &seq, out);

	if (n < 0)
		return n;
	c->segment = pos.segment;
	c->offset = pos.offset;
	if (n == 1) {
		c->seq = *ret_seq = seq;
		return 1;
	}
	for (const struct mem_event *m = sp->mem_head; m; m = m->next) {
		if (m->seq <= c->seq)
			continue;
		gi_buf_reset(out);
		gi_buf_append(out, m->data, m->len);
		if (gi_buf_error(out) < 0)
			return gi_buf_error(out);
		c->seq = *ret_seq = m->seq;
		return 1;
	}
	return 0;
}

uint64_t io_spool_last_seq(const struct io_spool *sp)
{
	return sp->last_seq;
}

void io_spool_stats(const struct io_spool *sp, struct io_spool_stats *ret)
{
	*ret = (struct io_spool_stats){
		.bytes = io_segments_bytes(&sp->segs),
		.last_seq = sp->last_seq,
		.acked_seq = sp->acked_seq,
		.mem_events = sp->mem_events,
		.lost_events = sp->lost_events,
		.bad_bytes = sp->segs.bad_bytes,
		.disk_err = sp->disk_err,
	};
}
