/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * push.c - operations on a VM's wanted state become versions: deltas or the whole state
 *
 * Runs in svm-idfw's engine. plan_emit() changes vm->want at once and remembers the operation with
 * the unit (engine event) it belongs to; a delta is as many whole units as fit FW_DELTA_MAX, so a
 * subject's epoch is never torn apart. At most IDFW_INFLIGHT_MAX versions are unacknowledged;
 * what comes meanwhile is gathered. The whole state is sent when a guest connects, on a new
 * ruleset, when a version was refused (with backoff) and when the backlog is too long.
 * Invariant: versions of a VM rise by one; what was sent adds up to vm->want minus p->ops.
 */
#include "svm-idfw/core.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void plan_dirty(struct idfw_engine *e, struct idfw_vm *vm)
{
	struct idfw_plan *p = vm->plan;

	if (p->dirty)
		return;
	p->dirty = true;
	p->dirty_next = e->dirty;
	e->dirty = vm;
}

void plan_touch(struct idfw_engine *e, struct idfw_vm *vm)
{
	struct idfw_plan *p = vm->plan;

	if (p->touched)
		return;
	p->touched = true;
	p->touched_next = e->touched;
	e->touched = vm;
	if (!p->n_causes)
		snprintf(p->cause, sizeof(p->cause), "%s", e->cause);
	p->n_causes++;
}

static void ops_clear(struct idfw_plan *p)
{
	free(p->ops);
	p->ops = NULL;
	p->n_ops = p->cap_ops = 0;
}

void plan_full(struct idfw_engine *e, struct idfw_vm *vm, uint64_t at_ms)
{
	struct idfw_plan *p = vm->plan;

	ops_clear(p);
	p->need_full = true;
	p->full_at_ms = at_ms;
	if (at_ms > e->mono_ms)
		idfw_due(e, at_ms);
	plan_dirty(e, vm);
}

/* the wanted state is not whole any more: nothing may be pushed from it */
static void plan_break(struct idfw_engine *e, struct idfw_vm *vm, int err)
{
	struct idfw_plan *p = vm->plan;

	if (p->broken)
		return;
	p->broken = true;
	ops_clear(p);
	snprintf(vm->last_error, sizeof(vm->last_error), "its state cannot be kept: %s",
		gi_strerror(err));
	gi_err("%s: %s; nothing is pushed to it until the next policy", vm->name, vm->last_error);
	e->stats.push_failures++;
	idfw_note(e, IDFW_REC_PUSH_FAILED, vm, NULL, idfw_json_why(e, vm->last_error, NULL, NULL));
}

static int op_append(struct idfw_plan *p, const struct fw_op *op)
{
	if (p->n_ops == p->cap_ops) {
		size_t cap = p->cap_ops ? p->cap_ops * 2 : 16;
		struct plan_op *n = realloc(p->ops, cap * sizeof(*n));

		if (!n)
			return -ENOMEM;
		p->ops = n;
		p->cap_ops = cap;
	}
	p->ops[p->n_ops++] = (struct plan_op){ .op = *op, .unit = p->unit };
	return 0;
}

void plan_emit(struct idfw_engine *e, struct idfw_vm *vm, bool del, const struct fw_elem *el)
{
	struct idfw_plan *p = vm->plan;
	struct fw_op op = { .del = del, .elem = *el };
	struct fw_elem was;
	bool there;
	int r;

	if (p->broken || !fw_state_ruleset(vm->want))
		return;
	there = fw_state_get_elem(vm->want, &el->key, &was);
	if (del ? !there : there && fw_elem_same_value(&was, el))
		return;
	r = fw_state_apply(vm->want, &op);
	if (r < 0) {
		plan_break(e, vm, r);
		return;
	}
	if (el->key.set == FW_LIVE)
		lease_changed(p, there ? &was : NULL, del ? NULL : el);
	plan_touch(e, vm);
	if (p->phase != PLAN_RUNNING || p->need_full)
		return;
	if (p->n_ops >= IDFW_BACKLOG_MAX || op_append(p, &op) < 0)
		plan_full(e, vm, e->mono_ms);
}

void plan_event_end(struct idfw_engine *e)
{
	struct idfw_vm *vm;

	while ((vm = e->touched)) {
		struct idfw_plan *p = vm->plan;

		if (p->rejudge) {
			p->rejudge = false;
			plan_rejudge_now(e, vm);
		}
		plan_rejudge_due(e, vm);
		e->touched = p->touched_next;
		p->touched_next = NULL;
		p->touched = false;
		p->unit++;
		lease_schedule(e, vm);
		plan_dirty(e, vm);
	}
	e->ready = NULL;
	e->cause[0] = '\0';
}

/* ---- sending ---- */

static void push_note(struct idfw_engine *e, struct idfw_vm *vm, size_t n_ops, bool full)
{
	struct idfw_plan *p = vm->plan;

	gi_info("push %s: %s, generation %llu version %llu, %zu %s (%s%s)", vm->name,
		full ? "whole state" : "delta", (unsigned long long)vm->want_generation,
		(unsigned long long)vm->want_version, n_ops, full ? "elements" : "operations",
		p->cause, p->n_causes > 1 ? " and more" : "");
	gi_buf_reset(&e->json);
	gi_buf_printf(&e->json,
		"{\"generation\":%llu,\"version\":%llu,\"%s\":%zu,\"causes\":%u,\"cause\":",
		(unsigned long long)vm->want_generation, (unsigned long long)vm->want_version,
		full ? "elements" : "ops", n_ops, p->n_causes);
	idfw_json(&e->json, p->cause);
	gi_buf_printf(&e->json, "}");
	idfw_note(e, IDFW_REC_PUSH, vm, NULL, gi_buf_str(&e->json));
	p->n_causes = p->n_ops ? 1 : 0;
}

static void sent_add(struct idfw_plan *p, uint64_t version, uint64_t unit, uint64_t at_ms)
{
	/* a whole state goes out whatever is in flight: the oldest acknowledgement is then not
	 * missed */
	if (p->n_sent == IDFW_INFLIGHT_MAX) {
		memmove(p->sent, p->sent + 1, (IDFW_INFLIGHT_MAX - 1) * sizeof(p->sent[0]));
		p->n_sent--;
	}
	p->sent[p->n_sent++] =
		(struct plan_sent){ .version = version, .unit = unit, .at_ms = at_ms };
}

static uint64_t backoff_ms(const struct idfw_plan *p)
{
	uint64_t ms = IDFW_BACKOFF_MIN_MS;

	for (unsigned int i = 1; i < p->n_bad && ms < IDFW_BACKOFF_MAX_MS; i++)
		ms *= 2;
	return ms < IDFW_BACKOFF_MAX_MS ? ms : IDFW_BACKOFF_MAX_MS;
}

static void not_queued(struct idfw_engine *e, struct idfw_vm *vm, int r)
{
	gi_warn("push %s: not queued: %s; the whole state is sent later", vm->name, gi_strerror(r));
	vm->plan->n_bad++;
	e->stats.push_failures++;
	plan_full(e, vm, e->mono_ms + backoff_ms(vm->plan));
}

static void send_full(struct idfw_engine *e, struct idfw_vm *vm)
{
	struct idfw_plan *p = vm->plan;
	int r;

	fw_state_set_version(vm->want, vm->want_version + 1);
	r = e->out.send_state(e->out.arg, vm, vm->want);
	if (r < 0) {
		not_queued(e, vm, r);
		return;
	}
	vm->want_version++;
	vm->want_generation = fw_state_ruleset(vm->want)->generation;
	p->need_full = false;
	p->fresh = false;
	sent_add(p, vm->want_version, p->unit - 1, e->mono_ms);
	idfw_behind_sent(e, vm);
	e->stats.pushes++;
	lease_now(e, vm); /* what its kernel held already begins anew */
	push_note(e, vm, fw_state_count(vm->want), true);
}

/* how many operations are whole units and fit; 0: the first unit alone is too long */
static size_t delta_fit(const struct idfw_plan *p)
{
	size_t n = p->n_ops;

	if (n > FW_DELTA_MAX) {
		n = FW_DELTA_MAX;
		while (n && p->ops[n - 1].unit == p->ops[n].unit)
			n--;
	}
	return n;
}

static int send_delta(struct idfw_engine *e, struct idfw_vm *vm, size_t n)
{
	struct idfw_plan *p = vm->plan;
	struct fw_delta *d = calloc(1, sizeof(*d));
	uint64_t unit = n == p->n_ops ? p->unit - 1 : p->ops[n - 1].unit;
	size_t n_ops;
	int r;

	if (!d)
		return -ENOMEM;
	d->ops = calloc(n, sizeof(*d->ops));
	if (!d->ops) {
		fw_delta_free(d);
		return -ENOMEM;
	}
	d->generation = vm->want_generation;
	d->from_version = vm->want_version;
	d->version = vm->want_version + 1;
	for (size_t i = 0; i < n; i++)
		d->ops[i] = p->ops[i].op;
	d->n_ops = n;
	fw_delta_sort(d);
	n_ops = d->n_ops;
	r = e->out.send_delta(e->out.arg, vm, d);
	fw_delta_free(d);
	if (r < 0)
		return r;
	vm->want_version++;
	fw_state_set_version(vm->want, vm->want_version);
	sent_add(p, vm->want_version, unit, e->mono_ms);
	idfw_behind_sent(e, vm);
	memmove(p->ops, p->ops + n, (p->n_ops - n) * sizeof(*p->ops));
	p->n_ops -= n;
	if (!p->n_ops && p->cap_ops > 256)
		ops_clear(p);
	e->stats.deltas++;
	push_note(e, vm, n_ops, false);
	return 0;
}

void plan_flush(struct idfw_engine *e, struct idfw_vm *vm)
{
	struct idfw_plan *p = vm->plan;

	if (p->phase != PLAN_RUNNING || p->broken || !vm->compiled)
		return;
	while (!p->need_full && p->n_ops && p->n_sent < IDFW_INFLIGHT_MAX) {
		size_t n = delta_fit(p);
		int r;

		if (!n) {
			plan_full(e, vm, e->mono_ms);
			break;
		}
		r = send_delta(e, vm, n);
		if (r < 0)
			not_queued(e, vm, r);
	}
	if (p->need_full && e->mono_ms >= p->full_at_ms)
		send_full(e, vm);
}

/* ---- acknowledgements ---- */

static void refused(struct idfw_engine *e, struct idfw_vm *vm, const Idfw__Applied *a)
{
	struct idfw_plan *p = vm->plan;
	bool failed = a->result == IDFW__APPLIED__RESULT__FAILED;

	if (a->version <= p->ignore_to)
		return;
	p->ignore_to = vm->want_version;
	p->n_sent = 0;
	p->n_bad++;
	e->stats.push_failures++;
	snprintf(vm->last_error, sizeof(vm->last_error), "%s",
		a->text && *a->text ? a->text
		: failed	    ? "failed"
				    : "stale");
	gi_warn("push %s: version %llu %s: %s", vm->name, (unsigned long long)a->version,
		failed ? "failed" : "is stale", vm->last_error);
	gi_buf_reset(&e->json);
	gi_buf_printf(&e->json, "{\"generation\":%llu,\"version\":%llu,\"result\":\"%s\",\"why\":",
		(unsigned long long)a->generation, (unsigned long long)a->version,
		failed ? "failed" : "stale");
	idfw_json(&e->json, vm->last_error);
	gi_buf_printf(&e->json, "}");
	idfw_note(e, IDFW_REC_PUSH_FAILED, vm, NULL, gi_buf_str(&e->json));
	if (!p->n_causes)
		snprintf(p->cause, sizeof(p->cause), "%s",
			failed ? "failed before" : "stale before");
	/* a stale one is mended at once the first time; what the kernel refuses, it will refuse
	 * again */
	plan_full(e, vm, !failed && p->n_bad == 1 ? e->mono_ms : e->mono_ms + backoff_ms(p));
}

/*
 * The agent's pusher was started again and does not know what its kernel holds: the whole state
 * now, so that the next login does not wait for it. At most once in IDFW_RESTART_MS: a guest that
 * says so all the time gets no more than that.
 */
static void pusher_restarted(struct idfw_engine *e, struct idfw_vm *vm)
{
	struct idfw_plan *p = vm->plan;
	uint64_t at = p->restart_ms > e->mono_ms ? p->restart_ms : e->mono_ms;

	if (p->phase != PLAN_RUNNING || p->need_full)
		return;
	p->restart_ms = at + IDFW_RESTART_MS;
	gi_info("%s: its pusher was started again, the whole state follows", vm->name);
	if (!p->n_causes)
		snprintf(p->cause, sizeof(p->cause), "pusher restarted");
	plan_full(e, vm, at);
}

void plan_applied(struct idfw_engine *e, struct idfw_vm *vm, const Idfw__Applied *a)
{
	struct idfw_plan *p = vm->plan;
	size_t n = 0;

	if (!a->version && !p->n_sent && a->result == IDFW__APPLIED__RESULT__STALE) {
		pusher_restarted(e, vm);
		return;
	}

	if (a->version > vm->want_version || !p->n_sent || a->version < p->sent[0].version) {
		gi_debug("%s: answer to version %llu, which is not awaited", vm->name,
			(unsigned long long)a->version);
		return;
	}
	if (a->result != IDFW__APPLIED__RESULT__OK) {
		refused(e, vm, a);
		return;
	}
	while (n < p->n_sent && p->sent[n].version <= a->version)
		p->acked_unit = p->sent[n++].unit;
	memmove(p->sent, p->sent + n, (p->n_sent - n) * sizeof(p->sent[0]));
	p->n_sent -= n;
	vm->have_generation = a->generation;
	vm->have_version = a->version;
	vm->last_error[0] = '\0';
	p->n_bad = 0;
	idfw_behind_acked(e, vm);
	ready_acked(e, vm);
	plan_dirty(e, vm);
}

void plan_push_stop(struct idfw_engine *e, struct idfw_vm *vm)
{
	struct idfw_plan *p = vm->plan;

	(void)e;
	ops_clear(p);
	p->n_sent = 0;
	p->n_bad = 0;
	p->behind_ms = 0;
	p->n_causes = 0;
	p->need_full = false;
	p->ignore_to = 0;
}
