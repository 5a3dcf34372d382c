/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * bytes.c - the buffers of a channel, see bytes.h
 *
 * In every process that has channels. Invariant: the loop's buffer is given back by whoever took
 * it, in the same callback.
 */
#include "lib/io/bytes.h"

#include <stdlib.h>
#include <string.h>
#include "lib/io/frame.h"

void io_bytes_drop(struct io_bytes *b, struct io_loop *l)
{
	if (b->loops)
		io_loop_gulp_give(l);
	else
		free(b->data);
	*b = (struct io_bytes){ 0 };
}

/* what is live into new memory of our own, at its front */
static int bytes_move(struct io_bytes *b, size_t cap)
{
	size_t live = b->end - b->at;
	uint8_t *data = malloc(cap);

	if (!data)
		return -ENOMEM;
	if (live)
		memcpy(data, b->data + b->at, live);
	if (!b->loops)
		free(b->data);
	*b = (struct io_bytes){ .data = data, .end = live, .cap = cap };
	return 0;
}

/* for one gulp behind what is live of the next frame */
static size_t in_cap(const struct io_bytes *b, size_t max_frame)
{
	size_t frame;

	(void)!io_frame_next(b->data ? b->data + b->at : NULL, b->end - b->at, max_frame, &frame);
	return IO_LOOP_GULP + IO_FRAME_HEAD + frame;
}

int io_bytes_in_keep(struct io_bytes *b, struct io_loop *l, size_t max_frame)
{
	bool loops = b->loops;
	int err = loops ? bytes_move(b, in_cap(b, max_frame)) : 0;

	if (loops && err == 0)
		io_loop_gulp_give(l);
	return err;
}

int io_bytes_in_room(struct io_bytes *b, struct io_loop *l, size_t max_frame)
{
	size_t live = b->end - b->at, cap;
	int err;

	if (!b->data && (b->data = io_loop_gulp_take(l)) != NULL) {
		b->loops = true;
		b->cap = IO_LOOP_GULP;
	}
	if (b->loops && live == 0) {
		b->at = b->end = 0;
		return 0;
	}
	err = io_bytes_in_keep(b, l, max_frame);
	if (err < 0)
		return err;
	cap = in_cap(b, max_frame);
	if (b->cap < cap)
		return bytes_move(b, cap);
	if (b->cap - b->end < IO_LOOP_GULP) {
		memmove(b->data, b->data + b->at, live);
		b->at = 0;
		b->end = live;
	}
	return 0;
}

int io_bytes_out_room(struct io_bytes *b, size_t more)
{
	size_t live = b->end - b->at, cap = b->cap ? b->cap * 2 : 1024;

	if (b->cap - b->end >= more)
		return 0;
	if (b->cap - live >= more && b->at >= b->cap / 2) {
		memmove(b->data, b->data + b->at, live);
		b->at = 0;
		b->end = live;
		return 0;
	}
	return bytes_move(b, cap > live + more ? cap : live + more);
}
