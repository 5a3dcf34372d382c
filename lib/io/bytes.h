/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * bytes.h - the buffers of a channel: what was read and not yet handed out, what waits to be sent
 *
 * chan.c's alone. What is read lands in the loop's buffer; only what is left of it when the reader
 * is done moves into memory of the channel's own.
 */
#ifndef IO_BYTES_H
#define IO_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/io/loop.h"

struct io_bytes {
	uint8_t *data;	     /* owned, but for the loop's */
	size_t at, end, cap; /* [at, end) is live */
	bool loops;	     /* data is the loop's: until _in_keep() or _drop(), in this callback */
};

/* nothing is live any more, no memory is held */
void io_bytes_drop(struct io_bytes *b, struct io_loop *l);
/*
 * Room for IO_LOOP_GULP behind end. Less than one frame is live here, so memory of our own stays
 * below a gulp and a frame, and at most one part of a frame moves for a gulp. 0, -ENOMEM
 */
GI_MUST_CHECK int io_bytes_in_room(struct io_bytes *b, struct io_loop *l, size_t max_frame);
/* what is live stays beyond this callback. 0, -ENOMEM: all is as before */
GI_MUST_CHECK int io_bytes_in_keep(struct io_bytes *b, struct io_loop *l, size_t max_frame);
/*
 * Room for @more bytes to send. What is live moves to the front only when at least half of the
 * buffer is behind us, so each byte moves less than once on average. 0, -ENOMEM
 */
GI_MUST_CHECK int io_bytes_out_room(struct io_bytes *b, size_t more);

#endif
