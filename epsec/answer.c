/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * answer.c - eps_answer(): the verdict on its way, exactly one an event
 *
 * Encoded by the thread that answers, outside the lock; then, in one step with the lock: out of
 * the guest's table, into the table of those whose outcome is awaited, into the link's box. In the
 * library's thread (look()) it is sent at once instead. When it cannot be encoded for lack of
 * memory the guest is dropped: an opener must not wait for a verdict that never comes.
 */
#include "epsec/eps_int.h"

#include <stdlib.h>
#include <string.h>

struct texts {
	char engine[EPS_NAME_MAX + 1];
	char signature[EPS_SIGNATURE_MAX + 1];
	char reason[EPS_REASON_MAX + 1];
};

/* clean, at most @max bytes; false: it was cut */
static bool text_take(char *to, size_t max, const char *from)
{
	size_t len = from ? strnlen(from, max + 1) : 0;
	size_t n = len > max ? max : len;

	/* not within a character of several bytes */
	while (len > max && n > 0 && ((unsigned char)from[n] & 0xc0) == 0x80)
		n--;
	if (n > 0)
		memcpy(to, from, n);
	to[n] = '\0';
	wire_text_sanitize(to, max);
	return len <= max;
}

static bool kind_has_outcome(enum eps_kind kind)
{
	return kind >= EPS_DENY && kind <= EPS_REPLACE;
}

/* what is sent for @v; returns eps_answer()'s error for what was wrong with it */
static int verdict_fill(
	struct eps_event *ev, const struct eps_verdict *v, struct texts *t, Idfw__FileVerdict *ret)
{
	bool known = v->kind >= EPS_ALLOW && v->kind <= EPS_FAILED, whole;
	bool complete = v->kind != EPS_REPLACE || (ev->io && ev->io->closed);
	int err = 0;

	whole = text_take(t->engine, EPS_NAME_MAX, v->engine ? v->engine : ev->guest->eps->name);
	whole = text_take(t->signature, EPS_SIGNATURE_MAX, v->signature) && whole;
	whole = text_take(t->reason, EPS_REASON_MAX, v->reason) && whole;
	if (!whole)
		err = -EPS_ELIMIT;
	if (!known || !complete) {
		(void)text_take(t->reason, EPS_REASON_MAX,
			known ? "the new content is not complete" : "unknown kind of verdict");
		err = -EINVAL;
	}
	ret->id = ev->p.node.key;
	ret->engine = t->engine;
	ret->signature = t->signature;
	ret->reason = t->reason;
	ret->epoch.data = ev->epoch;
	ret->epoch.len = ev->epoch_len;
	if (err == -EINVAL || v->kind == EPS_FAILED) {
		ret->failed = true;
		return err;
	}
	ret->verdict = (Idfw__FileVerdictKind)v->kind;
	ret->until_change = v->until_change;
	if (v->sha256) {
		ret->sha256.data = (uint8_t *)(uintptr_t)v->sha256;
		ret->sha256.len = WIRE_SHA256_LEN;
	}
	return err;
}

struct outgoing {
	struct eps_guest *guest;
	struct gi_buf inner, outer; /* other threads */
	Idfw__Envelope env;
	bool in_loop;
	bool has_outcome;
	int err; /* of the encoding */
};

/* lock held: true when the verdict may go out. With an outcome to come, @ev stays as its pending */
static bool settle(struct eps_event *ev, const struct outgoing *o)
{
	struct eps_guest *g = o->guest;
	struct eps *e = g->eps;
	bool there = atomic_load_explicit(&ev->gone, memory_order_relaxed) == 0;

	if (there)
		eps_table_remove(&g->events, &ev->p.node);
	if (!o->has_outcome)
		return there;
	ev->p.vm = g->vm;
	ev->p.deadline_ms = io_clock_mono_ms() + EPS_DONE_MS;
	if (there) {
		eps_table_add(&g->pending, &ev->p.node);
	} else {
		ev->p.next = e->lost;
		e->lost = &ev->p;
	}
	return there;
}

/* one step with the lock; true when the guest still wanted it */
static bool commit(struct eps_event *ev, struct outgoing *o)
{
	struct eps_guest *g = o->guest;
	struct eps *e = g->eps;
	bool there, wake = false;

	pthread_mutex_lock(&e->lock);
	there = settle(ev, o);
	if (there && o->err < 0) {
		g->broken = "a verdict could not be encoded";
		e->broken = wake = true;
	} else if (there && !o->in_loop) {
		wake = eps_box_post(g, &o->outer);
	} else if (!there) {
		wake = o->has_outcome;
	}
	pthread_mutex_unlock(&e->lock);
	if (wake)
		eps_wake(e);
	return there;
}

static void unref(struct eps_guest *g)
{
	struct eps *e = g->eps;
	bool last;

	pthread_mutex_lock(&e->lock);
	last = eps_guest_unref(g);
	pthread_mutex_unlock(&e->lock);
	if (last)
		eps_guest_free(g);
}

static bool send_out(struct eps_event *ev, struct outgoing *o)
{
	bool there;

	if (o->in_loop) {
		there = commit(ev, o);
		if (there)
			eps_guest_send(o->guest, &o->env);
		return there;
	}
	gi_buf_init(&o->inner, WIRE_FRAME_MAX);
	gi_buf_init(&o->outer, WIRE_ROUTED_MAX);
	o->err = eps_box_encode(o->guest, &o->env, &o->inner, &o->outer);
	there = commit(ev, o);
	gi_buf_fini(&o->inner);
	gi_buf_fini(&o->outer);
	return there;
}

int eps_answer(struct eps_event *ev, const struct eps_verdict *v)
{
	Idfw__FileVerdict m = IDFW__FILE_VERDICT__INIT;
	struct outgoing o = { .guest = ev->guest, .env = IDFW__ENVELOPE__INIT };
	struct eps *e = ev->guest->eps;
	struct eps_event rest = { .env = ev->env, .io = ev->io };
	bool late = eps_event_gone(ev);
	struct texts texts;
	int err = verdict_fill(ev, v, &texts, &m);

	o.env.body_case = IDFW__ENVELOPE__BODY_FILE_VERDICT;
	o.env.file_verdict = &m;
	o.in_loop = eps_in_loop(e);
	o.has_outcome = !m.failed && kind_has_outcome(v->kind);
	EPS_ADD(e->s_answered, 1);
	if (m.failed)
		EPS_ADD(e->s_failed, 1);
	if (!send_out(ev, &o))
		late = true;
	/* from here on @ev may be gone, when it has an outcome */
	eps_event_strip(e, &rest);
	if (!o.has_outcome)
		free(ev);
	unref(o.guest);
	return err == 0 && late ? -EPS_EGONE : err;
}
