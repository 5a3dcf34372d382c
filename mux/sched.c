/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sched.c - who may send the next frame up: deficit round robin over the guests' queues
 *
 * guest.c pushes, the pump in guest.c pops while the link takes more. Invariants: a queue is in
 * the ring exactly when it holds a frame; s->turn has been given its credit for this turn.
 */
#include "mux/sched.h"

#include <stdlib.h>
#include <string.h>

static size_t frame_cost(const struct mux_frame *f)
{
	return sizeof(*f) + f->len;
}

void mux_sched_init(struct mux_sched *s)
{
	*s = (struct mux_sched){ 0 };
}

void mux_queue_init(struct mux_queue *q, void *arg)
{
	*q = (struct mux_queue){ .arg = arg };
}

/* at the end of the round: right before the one whose turn it is */
static void ring_add(struct mux_sched *s, struct mux_queue *q)
{
	q->active = true;
	if (!s->turn) {
		q->next = q->prev = q;
		q->deficit = MUX_QUANTUM;
		s->turn = q;
		return;
	}
	q->deficit = 0;
	q->next = s->turn;
	q->prev = s->turn->prev;
	q->prev->next = q;
	q->next->prev = q;
}

static void turn_pass(struct mux_sched *s, struct mux_queue *to)
{
	s->turn = to;
	to->deficit += MUX_QUANTUM;
}

static void ring_remove(struct mux_sched *s, struct mux_queue *q)
{
	if (!q->active)
		return;
	q->active = false;
	q->deficit = 0;
	if (q->next == q) {
		s->turn = NULL;
	} else {
		q->prev->next = q->next;
		q->next->prev = q->prev;
		if (s->turn == q)
			turn_pass(s, q->next);
	}
	q->next = q->prev = NULL;
}

void mux_queue_clear(struct mux_sched *s, struct mux_queue *q)
{
	while (q->head) {
		struct mux_frame *f = q->head;

		q->head = f->next;
		s->frames--;
		s->bytes -= frame_cost(f);
		free(f);
	}
	q->tail = NULL;
	q->bytes = 0;
	ring_remove(s, q);
}

int mux_queue_push(struct mux_sched *s, struct mux_queue *q, enum mux_frame_kind kind,
	const void *data, size_t len, size_t max)
{
	return mux_queue_push2(s, q, kind, NULL, 0, data, len, max);
}

int mux_queue_push2(struct mux_sched *s, struct mux_queue *q, enum mux_frame_kind kind,
	const void *head, size_t head_len, const void *data, size_t len, size_t max)
{
	struct mux_frame *f;
	size_t cost = sizeof(*f) + head_len + len;

	if (q->bytes > 0 && (cost > max || q->bytes > max - cost))
		return -GI_EFULL;
	f = malloc(cost);
	if (!f)
		return -ENOMEM;
	f->next = NULL;
	f->kind = kind;
	f->len = head_len + len;
	if (head_len)
		memcpy(f->data, head, head_len);
	memcpy(f->data + head_len, data, len);
	if (q->tail)
		q->tail->next = f;
	else
		q->head = f;
	q->tail = f;
	q->bytes += cost;
	s->frames++;
	s->bytes += cost;
	if (!q->active)
		ring_add(s, q);
	return 0;
}

struct mux_frame *mux_sched_pop(struct mux_sched *s, struct mux_queue **ret_queue)
{
	struct mux_queue *q = s->turn;
	struct mux_frame *f;
	size_t cost;

	if (!q)
		return NULL;
	/* ends: each pass adds credit, and a frame is at most a few quanta */
	while (frame_cost(q->head) > q->deficit) {
		turn_pass(s, q->next);
		q = s->turn;
	}
	f = q->head;
	cost = frame_cost(f);
	q->head = f->next;
	if (!q->head)
		q->tail = NULL;
	q->bytes -= cost;
	q->deficit -= cost;
	s->frames--;
	s->bytes -= cost;
	if (!q->head)
		ring_remove(s, q);
	f->next = NULL;
	*ret_queue = q;
	return f;
}
