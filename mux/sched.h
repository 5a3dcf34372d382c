/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sched.h - who may send the next frame up: deficit round robin over the guests' queues
 *
 * One bounded queue a guest, one link for all. Each turn a guest with something to say earns
 * MUX_QUANTUM bytes of credit and sends frames while its credit lasts; a guest whose queue runs
 * empty loses the rest. So over time each busy guest gets the same share of bytes, whatever the
 * size of its frames, and a guest that has been quiet waits for at most one turn of the others.
 * Pure: no descriptors, no clock. Source: Shreedhar and Varghese, "Efficient Fair Queueing Using
 * Deficit Round Robin" (1995); ADR 0005.
 */
#ifndef MUX_SCHED_H
#define MUX_SCHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/base/err.h"

#define MUX_QUANTUM 8192 /* bytes a turn */

enum mux_frame_kind { MUX_FRAME_ENVELOPE, MUX_FRAME_UP, MUX_FRAME_DOWN };

struct mux_frame {
	struct mux_frame *next; /* private */
	enum mux_frame_kind kind;
	size_t len;
	uint8_t data[]; /* a packed Routed */
};

struct mux_queue {		       /* one guest's; lives in its owner */
	struct mux_frame *head, *tail; /* owned */
	size_t bytes;		       /* cost of all frames: data and bookkeeping */
	size_t deficit;		       /* credit left in this turn */
	bool active;		       /* in the ring */
	struct mux_queue *next, *prev; /* ring of active queues */
	void *arg;		       /* the owner's */
};

struct mux_sched {
	struct mux_queue *turn; /* whose turn it is; NULL: nobody has anything */
	size_t frames, bytes;	/* waiting, in all queues */
};

void mux_sched_init(struct mux_sched *s);
void mux_queue_init(struct mux_queue *q, void *arg);
/* drops all frames and leaves the ring */
void mux_queue_clear(struct mux_sched *s, struct mux_queue *q);
/*
 * mux_queue_push - one frame to the end of @q
 * @data: borrows, copied
 * @max: most bytes that may wait in @q; a queue that is empty takes any frame
 * Errors: -GI_EFULL (nothing changed), -ENOMEM
 */
GI_MUST_CHECK int mux_queue_push(struct mux_sched *s, struct mux_queue *q, enum mux_frame_kind kind,
	const void *data, size_t len, size_t max);
/* the same for a frame in two parts: @head goes in front of @data */
GI_MUST_CHECK int mux_queue_push2(struct mux_sched *s, struct mux_queue *q,
	enum mux_frame_kind kind, const void *head, size_t head_len, const void *data, size_t len,
	size_t max);
/*
 * mux_sched_pop - the next frame to send
 * @ret_queue: borrowed; whose it was
 * Returns the frame, owned by the caller, free(); NULL when nobody has anything.
 */
struct mux_frame *mux_sched_pop(struct mux_sched *s, struct mux_queue **ret_queue);

#endif
