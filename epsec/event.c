/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * event.c - an event's way: arrived, looked at, queued, handed out, answered
 *
 *   FileEvent -> FRESH: look() -> answered there, or QUEUED -> eps_next(): TAKEN -> eps_answer()
 *
 * The library's thread makes events; whoever answers frees. An event is in its guest's table until
 * it is answered or nobody waits for it any more; what is not in the table is never found by a
 * guest's message. The decoded FileEvent is kept as it is, for its path and head: no copy.
 * eps_next() goes round the guests that have events waiting. Of one guest's, those by which
 * somebody is held (open, exec) go first, so that many slow written files cannot push them to their
 * deadline; each eighth is one of the others, if they wait. Each kind's oldest first.
 */
#include "epsec/eps_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- queue; lock held ---- */

static struct eps_queue *queue_of(const struct eps_event *ev)
{
	bool held = ev->file.op == EPS_OP_OPEN || ev->file.op == EPS_OP_EXEC;

	return &ev->guest->queues[held ? EPS_Q_HELD : EPS_Q_OTHERS];
}

static bool queues_empty(const struct eps_guest *g)
{
	return !g->queues[EPS_Q_HELD].first && !g->queues[EPS_Q_OTHERS].first;
}

static void turn_join(struct eps *e, struct eps_guest *g)
{
	if (!e->turn) {
		e->turn = g->turn_next = g->turn_prev = g;
		return;
	}
	g->turn_next = e->turn; /* its turn comes last */
	g->turn_prev = e->turn->turn_prev;
	g->turn_prev->turn_next = g->turn_next->turn_prev = g;
}

static void turn_leave(struct eps *e, struct eps_guest *g)
{
	if (e->turn == g)
		e->turn = g->turn_next == g ? NULL : g->turn_next;
	g->turn_prev->turn_next = g->turn_next;
	g->turn_next->turn_prev = g->turn_prev;
	g->turn_prev = g->turn_next = NULL;
}

static void queue_add(struct eps_event *ev)
{
	struct eps_guest *g = ev->guest;
	struct eps_queue *q = queue_of(ev);

	if (queues_empty(g))
		turn_join(g->eps, g);
	ev->state = EPS_QUEUED;
	ev->next = NULL;
	ev->prev = q->last;
	if (ev->prev)
		ev->prev->next = ev;
	else
		q->first = ev;
	q->last = ev;
	g->eps->n_waiting++;
}

/* whose turn it is among those of @g, which has some */
static struct eps_event *queue_pick(struct eps_guest *g)
{
	struct eps_event *held = g->queues[EPS_Q_HELD].first,
			 *other = g->queues[EPS_Q_OTHERS].first;

	if (held && (!other || g->held_run < EPS_HELD_RUN)) {
		g->held_run = other ? g->held_run + 1 : 0;
		return held;
	}
	g->held_run = 0;
	return other;
}

/* lock held; true: signal e->ready, unlocked, or the woken would sleep again on the lock. One at a
 * time is woken, and wakes the next if there is more: the busy need no signal
 */
static bool wakes_one(struct eps *e)
{
	if (!e->turn || e->waiters == 0 || e->waking)
		return false;
	e->waking = true;
	return true;
}

static void hand_over(struct io_idle *w)
{
	struct eps *e = w->arg;
	bool wake;

	pthread_mutex_lock(&e->lock);
	wake = wakes_one(e);
	pthread_mutex_unlock(&e->lock);
	if (wake)
		(void)pthread_cond_signal(&e->ready);
}

static void queue_remove(struct eps_event *ev)
{
	struct eps_guest *g = ev->guest;
	struct eps_queue *q = queue_of(ev);

	if (ev->prev)
		ev->prev->next = ev->next;
	else
		q->first = ev->next;
	if (ev->next)
		ev->next->prev = ev->prev;
	else
		q->last = ev->prev;
	g->eps->n_waiting--;
	if (queues_empty(g))
		turn_leave(g->eps, g);
}

static void hand_out(struct eps_event *ev)
{
	const struct eps *e = ev->guest->eps;

	memcpy(ev->epoch, e->epoch, e->epoch_len);
	ev->epoch_len = e->epoch_len;
}

/* ---- arrival ---- */

static void file_fill(struct eps_event *ev, const Idfw__FileEvent *m)
{
	struct eps_file *f = &ev->file;

	f->vm = ev->guest->vm->name;
	f->mux = ev->guest->mux;
	memcpy(f->boot_id, ev->guest->boot_id, sizeof(f->boot_id));
	f->op = (enum eps_op)m->op;
	f->path = m->path.len ? m->path.data : (const uint8_t *)"";
	f->path_len = m->path.len;
	f->size = m->size;
	f->mtime_ns = m->mtime_ns;
	f->ctime_ns = m->ctime_ns;
	f->inode = m->inode;
	f->device = m->device;
	f->mode = m->mode;
	f->head = m->head.len ? m->head.data : (const uint8_t *)"";
	f->head_len = m->head.len < m->size ? m->head.len : (size_t)m->size;
	f->deadline_ms = m->deadline_ms ? io_clock_mono_ms() + m->deadline_ms : UINT64_MAX;
	if (m->actor) {
		eps_actor_fill(&ev->actor, m->actor);
		f->actor = &ev->actor;
	}
}

/* takes @env when it succeeds */
static struct eps_event *event_new(struct eps_guest *g, Idfw__Envelope *env)
{
	struct eps *e = g->eps;
	size_t head = env->file_event->head.len;
	struct eps_event *ev;

	if (EPS_GET(e->n_events) >= e->conf.max_events ||
		EPS_GET(e->memory) + head > e->conf.max_memory)
		return NULL;
	ev = calloc(1, sizeof(*ev));
	if (!ev)
		return NULL;
	ev->p.node.key = env->file_event->id;
	ev->guest = g;
	ev->env = env;
	file_fill(ev, env->file_event);
	EPS_ADD(e->n_events, 1);
	EPS_ADD(e->memory, head);
	return ev;
}

void eps_event_strip(struct eps *e, struct eps_event *ev)
{
	EPS_SUB(e->n_events, 1);
	EPS_SUB(e->memory, ev->env->file_event->head.len);
	eps_io_free(e, ev->io);
	wire_envelope_free(ev->env);
}

void eps_event_free(struct eps *e, struct eps_event *ev)
{
	eps_event_strip(e, ev);
	free(ev);
}

/* answered without anybody having seen it */
static void answer_unseen(struct eps_guest *g, uint64_t id, const char *failed)
{
	Idfw__FileVerdict v = IDFW__FILE_VERDICT__INIT;
	Idfw__Envelope env = IDFW__ENVELOPE__INIT;

	v.id = id;
	v.verdict = failed ? IDFW__FILE_VERDICT_KIND__FILE_VERDICT_UNKNOWN
			   : IDFW__FILE_VERDICT_KIND__FILE_VERDICT_ALLOW;
	v.failed = failed != NULL;
	if (failed)
		v.reason = (char *)(uintptr_t)failed;
	env.body_case = IDFW__ENVELOPE__BODY_FILE_VERDICT;
	env.file_verdict = &v;
	eps_guest_send(g, &env);
}

/* fewer credits than before: for a while the guest may not have heard of it */
static size_t events_allowed(const struct eps_guest *g)
{
	if (g->credits_before > g->credits &&
		io_clock_mono_ms() - g->credits_ms < EPS_CREDITS_SLACK_MS)
		return g->credits_before;
	return g->credits;
}

/* a number may be used again once it is settled; what is under way has one of its own */
static int admit(struct eps_event *ev, const char **ret_why)
{
	struct eps_guest *g = ev->guest;
	struct eps *e = g->eps;
	size_t allowed = events_allowed(g);
	uint64_t id = ev->p.node.key;
	int err = 0;

	pthread_mutex_lock(&e->lock);
	if (eps_table_find(&g->events, id) || eps_table_find(&g->pending, id)) {
		*ret_why = "FileEvent: its number is under way";
		err = -GI_EPROTO;
	} else if (g->pending.count >= EPS_PENDING_MAX) {
		*ret_why = "FileEvent: too many verdicts without their FileDone";
		err = -GI_ELIMIT;
	} else if (g->events.count >= allowed) {
		*ret_why = "FileEvent: more than its credits";
		err = -GI_ELIMIT;
	} else {
		eps_table_add(&g->events, &ev->p.node);
		g->refs++;
		ev->state = EPS_FRESH;
		hand_out(ev);
	}
	pthread_mutex_unlock(&e->lock);
	return err;
}

int eps_event_arrived(struct eps_guest *g, Idfw__Envelope *env, const char **ret_why)
{
	struct eps *e = g->eps;
	uint64_t id = env->file_event->id;
	struct eps_event *ev = NULL;
	int err = 0;

	if (id > g->last_id)
		g->last_id = id;
	EPS_ADD(e->s_events, 1);
	if (!(e->conf.want & EPS_WANT(env->file_event->op))) {
		answer_unseen(g, id, NULL);
		goto out;
	}
	ev = event_new(g, env);
	if (!ev) {
		EPS_ADD(e->s_busy, 1);
		answer_unseen(g, id, "busy");
		goto out;
	}
	err = admit(ev, ret_why);
	if (err < 0) {
		eps_event_free(e, ev);
		return err;
	}
	if (e->ops.look && e->ops.look(e->arg, ev)) {
		EPS_ADD(e->s_looked, 1);
		return 0;
	}
	pthread_mutex_lock(&e->lock);
	queue_add(ev);
	pthread_mutex_unlock(&e->lock);
	if (e->loop) /* at the end of the round: many events, one wake-up */
		io_idle_once(e->loop, &e->hand_over, hand_over, e);
	return 0;
out:
	wire_envelope_free(env);
	return 0;
}

struct eps_event *eps_event_lose(struct eps_event *ev, int err)
{
	EPS_ADD(ev->guest->eps->s_gone, 1);
	atomic_store_explicit(&ev->gone, err, memory_order_release);
	if (ev->io)
		eps_io_wake(ev->io);
	if (ev->state != EPS_QUEUED)
		return NULL;
	queue_remove(ev);
	(void)eps_guest_unref(ev->guest);
	return ev;
}

/* ---- the callers' side ---- */

int eps_next(struct eps *e, int timeout_ms, struct eps_event **ret)
{
	uint64_t until = timeout_ms < 0 ? UINT64_MAX : io_clock_mono_ms() + (uint64_t)timeout_ms;
	struct eps_event *ev;
	bool wake;
	int err = 0;

	if (eps_in_loop(e))
		return -EPS_EINLOOP;
	pthread_mutex_lock(&e->lock);
	while (!e->stopped && !e->turn && err == 0) {
		if (timeout_ms == 0) {
			err = ETIMEDOUT;
			break;
		}
		e->waiters++;
		err = eps_cond_wait(e, &e->ready, until);
		e->waiters--;
		e->waking = false;
	}
	if (e->stopped || !e->turn) {
		err = e->stopped ? -EPS_ESTOPPED : -ETIMEDOUT;
		pthread_mutex_unlock(&e->lock);
		return err;
	}
	ev = queue_pick(e->turn);
	e->turn = e->turn->turn_next;
	queue_remove(ev);
	ev->state = EPS_TAKEN;
	hand_out(ev);
	wake = wakes_one(e);
	pthread_mutex_unlock(&e->lock);
	if (wake)
		(void)pthread_cond_signal(&e->ready);
	*ret = ev;
	return 0;
}

const struct eps_file *eps_event_file(const struct eps_event *ev)
{
	return &ev->file;
}

bool eps_event_gone(const struct eps_event *ev)
{
	if (atomic_load_explicit(&ev->gone, memory_order_acquire) != 0)
		return true;
	return ev->file.deadline_ms != UINT64_MAX && io_clock_mono_ms() >= ev->file.deadline_ms;
}

void eps_event_tag_set(struct eps_event *ev, void *tag)
{
	ev->p.tag = tag;
}

void *eps_event_room(struct eps_event *ev)
{
	return ev->room;
}
