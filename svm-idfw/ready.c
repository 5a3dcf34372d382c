/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ready.c - when is a login enforced? Who waits for which VM's acknowledgement
 *
 * Runs in svm-idfw's engine. A plan_ready begins with a login and ends when the directory has
 * answered and every connected VM that got a push because of it has acknowledged; then the agent
 * hears ENFORCED. When that takes longer than ready_timeout_ms, or nobody knows the groups, it
 * hears DEGRADED (once); the late acknowledgement is still recorded. A VM that goes away is not
 * waited for: it gets everything when it comes back. Sessions of a snapshot or of before our own
 * restart have no plan_ready; they are enforced when their VM runs all that it was sent.
 */
#include "svm-idfw/core.h"

#include <stdlib.h>
#include <utlist.h>

/* by the guest's clock: one that goes wrong makes it late, which costs an epoch and no more */
static bool is_late(const struct idfw_engine *e, const struct idfw_session *s)
{
	uint64_t apart =
		e->real_ms > s->opened_ms ? e->real_ms - s->opened_ms : s->opened_ms - e->real_ms;

	return apart > IDFW_LOGIN_WAITS_MS;
}

int ready_new(struct idfw_engine *e, struct idfw_session *s)
{
	struct plan_ready *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->session = s;
	r->began_ms = e->mono_ms;
	r->deadline_ms = e->mono_ms + e->conf.ready_timeout_ms;
	r->late = is_late(e, s);
	r->resolving = true;
	r->waiting = 1;
	r->listed = true;
	s->ready = r;
	r->prev = e->ready_tail;
	if (e->ready_tail)
		e->ready_tail->next = r;
	else
		e->ready_head = r;
	e->ready_tail = r;
	idfw_due(e, r->deadline_ms);
	return 0;
}

static void unlist(struct idfw_engine *e, struct plan_ready *r)
{
	if (!r->listed)
		return;
	r->listed = false;
	if (r->prev)
		r->prev->next = r->next;
	else
		e->ready_head = r->next;
	if (r->next)
		r->next->prev = r->prev;
	else
		e->ready_tail = r->prev;
	r->prev = r->next = NULL;
}

static void send_state(
	struct idfw_engine *e, struct idfw_vm *vm, uint64_t id, Idfw__SessionReady__State state)
{
	Idfw__SessionReady ready = IDFW__SESSION_READY__INIT;
	Idfw__Envelope env = IDFW__ENVELOPE__INIT;

	if (!vm->connected || vm->plan->phase < PLAN_STARTING)
		return;
	ready.id = id;
	ready.state = state;
	env.body_case = IDFW__ENVELOPE__BODY_SESSION_READY;
	env.session_ready = &ready;
	e->out.send(e->out.arg, vm, &env);
}

void ready_send(struct idfw_engine *e, struct idfw_session *s, Idfw__SessionReady__State state)
{
	send_state(e, s->vm, s->id, state);
}

void ready_refuse(struct idfw_engine *e, struct idfw_vm *vm, uint64_t id)
{
	send_state(e, vm, id, IDFW__SESSION_READY__STATE__REFUSED);
}

static void enforced(struct idfw_engine *e, struct plan_ready *r)
{
	struct idfw_session *s = r->session;

	if (s->refused)
		return; /* it was told so */
	s->enforced_ms = e->real_ms;
	gi_buf_reset(&e->json);
	gi_buf_printf(&e->json, "{\"latency_ms\":%llu,\"in_time\":%s,\"n_vms\":%u,\"vms\":[",
		(unsigned long long)(e->mono_ms - r->began_ms), r->sent ? "false" : "true",
		r->n_vms);
	for (uint32_t i = 0; i < r->n_vms && i < IDFW_READY_NAMES; i++) {
		gi_buf_printf(&e->json, "%s", i ? "," : "");
		idfw_json(&e->json, r->vms[i]->name);
	}
	gi_buf_printf(&e->json, "]}");
	idfw_note(e, IDFW_REC_ENFORCED, s->vm, s, gi_buf_str(&e->json));
	if (!r->sent)
		ready_send(e, s, IDFW__SESSION_READY__STATE__ENFORCED);
}

static void drop_one(struct idfw_engine *e, struct plan_ready *r)
{
	if (--r->waiting)
		return;
	unlist(e, r);
	if (r->session) {
		if (!r->resolving)
			enforced(e, r);
		r->session->ready = NULL;
	}
	if (e->ready == r)
		e->ready = NULL;
	free(r);
}

void ready_wait(struct idfw_engine *e, struct plan_ready *r, struct idfw_vm *vm, uint64_t unit)
{
	struct idfw_plan *p = vm->plan;
	struct plan_wait *w;

	if (!vm->connected || p->phase < PLAN_STARTING || unit <= p->acked_unit)
		return;
	if (p->wait_tail && p->wait_tail->ready == r && p->wait_tail->unit >= unit)
		return;
	w = calloc(1, sizeof(*w));
	if (!w)
		return; /* the agent hears ENFORCED a moment early: better than never */
	w->ready = r;
	/* the queue is in order of units: to wait for the present one never is too early */
	w->unit = p->wait_tail && p->wait_tail->unit > unit ? p->wait_tail->unit : unit;
	if (p->wait_tail)
		p->wait_tail->next = w;
	else
		p->wait_head = w;
	p->wait_tail = w;
	r->waiting++;
	for (uint32_t i = 0; i < r->n_vms && i < IDFW_READY_NAMES; i++)
		if (r->vms[i] == vm)
			return;
	if (r->n_vms < IDFW_READY_NAMES)
		r->vms[r->n_vms] = vm;
	r->n_vms++;
	(void)e;
}

static void waits_pop(struct idfw_engine *e, struct idfw_plan *p, bool all)
{
	while (p->wait_head && (all || p->wait_head->unit <= p->acked_unit)) {
		struct plan_wait *w = p->wait_head;

		p->wait_head = w->next;
		if (!p->wait_head)
			p->wait_tail = NULL;
		drop_one(e, w->ready);
		free(w);
	}
}

static void unwatched_enforced(const struct idfw_engine *e, struct idfw_vm *vm)
{
	bool left = false;

	for (struct idfw_session *s = vm->sessions; s; s = s->v_next) {
		const struct idfw_principal *p = s->principal;

		if (s->enforced_ms || s->ready || s->kicked || s->refused || !p)
			continue;
		if (p->presence == IDFW_P_FOUND ? p->held : p->presence != IDFW_P_NOT_FOUND)
			left = true;
		else
			s->enforced_ms = e->real_ms;
	}
	vm->plan->unwatched = left;
}

void ready_acked(struct idfw_engine *e, struct idfw_vm *vm)
{
	const struct idfw_plan *p = vm->plan;

	waits_pop(e, vm->plan, false);
	if (p->unwatched && !p->n_sent && !p->n_ops && !p->need_full)
		unwatched_enforced(e, vm);
}

void ready_vm_gone(struct idfw_engine *e, struct idfw_vm *vm)
{
	waits_pop(e, vm->plan, true);
}

void ready_resolved(struct idfw_engine *e, struct idfw_session *s, bool degraded)
{
	struct plan_ready *r = s->ready;

	if (!r || !r->resolving)
		return;
	if (degraded) {
		if (!r->sent)
			ready_send(e, s, IDFW__SESSION_READY__STATE__DEGRADED);
		r->sent = true;
		unlist(e, r);
		return; /* it goes on to wait for the directory */
	}
	r->resolving = false;
	drop_one(e, r);
}

void ready_session_gone(struct idfw_engine *e, struct idfw_session *s)
{
	struct plan_ready *r = s->ready;

	if (!r)
		return;
	s->ready = NULL;
	r->session = NULL;
	unlist(e, r);
	if (r->resolving) {
		r->resolving = false;
		drop_one(e, r);
	}
}

void ready_due(struct idfw_engine *e)
{
	struct plan_ready *r;

	while ((r = e->ready_head) && e->mono_ms >= r->deadline_ms) {
		unlist(e, r);
		if (r->session && !r->sent && !r->session->refused) {
			ready_send(e, r->session, IDFW__SESSION_READY__STATE__DEGRADED);
			gi_info("degraded %s@%s: not enforced after %llu ms", r->session->user,
				r->session->vm->name,
				(unsigned long long)(e->mono_ms - r->began_ms));
		}
		r->sent = true;
	}
	if (e->ready_head)
		idfw_due(e, e->ready_head->deadline_ms);
}
