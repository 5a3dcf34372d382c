/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lease.c - for how long what was granted outlasts us, and heartbeats that keep it (docs/adr/0015)
 *
 * Runs in svm-idfw's engine. A mark in `live` has a lease; the guest's kernel ends it by itself
 * when nobody renews it, and it is renewed because we send Lease: each quarter of the shortest
 * lease that the VM holds, to connected VMs that apply what they are sent. A VM that is away longer
 * than a group's lease does not count for the others any more, until it is back with its boot. All
 * by the monotonic clock.
 *
 * Heartbeats are a wheel of one-second slots: a VM is in the slot of its next one, so that a second
 * costs only by who is due. Invariant: plan->leases counts exactly the LIVE elements of vm->want
 * that have a lease which is renewed.
 */
#include "svm-idfw/core.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define BEAT_MAX_S 60

/* ---- which leases a VM holds ---- */

static void count_lease(struct idfw_plan *p, uint32_t lease_s, int by)
{
	struct plan_lease *l;
	size_t i = 0;

	while (i < p->n_leases && p->leases[i].lease_s < lease_s)
		i++;
	if (i == p->n_leases || p->leases[i].lease_s != lease_s) {
		if (by < 0)
			return;
		l = realloc(p->leases, (p->n_leases + 1) * sizeof(*l));
		if (!l)
			return; /* its heartbeats may be late: closed rather than open */
		p->leases = l;
		memmove(&l[i + 1], &l[i], (p->n_leases - i) * sizeof(*l));
		l[i] = (struct plan_lease){ .lease_s = lease_s };
		p->n_leases++;
	}
	p->leases[i].n += (size_t)by;
	if (p->leases[i].n)
		return;
	p->n_leases--;
	memmove(&p->leases[i], &p->leases[i + 1], (p->n_leases - i) * sizeof(*p->leases));
}

void lease_changed(struct idfw_plan *p, const struct fw_elem *was, const struct fw_elem *is)
{
	if (was && was->lease_s && !was->ends)
		count_lease(p, was->lease_s, -1);
	if (is && is->lease_s && !is->ends)
		count_lease(p, is->lease_s, 1);
}

void lease_reset(struct idfw_plan *p)
{
	free(p->leases);
	p->leases = NULL;
	p->n_leases = 0;
}

/* ---- heartbeats ---- */

static uint32_t beat_s(const struct idfw_plan *p)
{
	uint32_t s = p->leases[0].lease_s / 4;

	return s < 1 ? 1 : s > BEAT_MAX_S ? BEAT_MAX_S : s;
}

static void wheel_out(struct idfw_engine *e, struct idfw_vm *vm)
{
	struct idfw_plan *p = vm->plan;

	if (!p->beat_at_s)
		return;
	DL_DELETE2(e->wheel[p->beat_at_s % IDFW_WHEEL], vm, plan_beat_prev, plan_beat_next);
	p->beat_at_s = 0;
	e->n_beats--;
}

static void wheel_in(struct idfw_engine *e, struct idfw_vm *vm, uint64_t at_s)
{
	DL_APPEND2(e->wheel[at_s % IDFW_WHEEL], vm, plan_beat_prev, plan_beat_next);
	vm->plan->beat_at_s = at_s;
	if (!e->n_beats++)
		e->beat_s = e->mono_ms / 1000;
}

static void beat(struct idfw_engine *e, struct idfw_vm *vm)
{
	Idfw__Lease lease = IDFW__LEASE__INIT;
	Idfw__Envelope env = IDFW__ENVELOPE__INIT;

	/* who does not do what it is told does not keep what it has */
	if (!vm->want_version || idfw_behind(e, vm))
		return;
	lease.generation = vm->want_generation;
	lease.version = vm->want_version;
	env.body_case = IDFW__ENVELOPE__BODY_LEASE;
	env.lease = &lease;
	e->stats.leases++;
	e->out.send(e->out.arg, vm, &env);
}

static bool beats(const struct idfw_vm *vm)
{
	return vm->connected && vm->plan->phase == PLAN_RUNNING && vm->plan->n_leases;
}

void lease_schedule(struct idfw_engine *e, struct idfw_vm *vm)
{
	uint64_t now_s = e->mono_ms / 1000;

	if (!beats(vm)) {
		wheel_out(e, vm);
		return;
	}
	if (vm->plan->beat_at_s && vm->plan->beat_at_s <= now_s + beat_s(vm->plan))
		return;
	wheel_out(e, vm);
	wheel_in(e, vm, now_s + beat_s(vm->plan));
}

void lease_now(struct idfw_engine *e, struct idfw_vm *vm)
{
	if (!beats(vm))
		return;
	beat(e, vm);
	wheel_out(e, vm);
	wheel_in(e, vm, e->mono_ms / 1000 + beat_s(vm->plan));
}

void lease_stop(struct idfw_engine *e, struct idfw_vm *vm)
{
	wheel_out(e, vm);
}

uint64_t lease_tick(struct idfw_engine *e)
{
	uint64_t now_s = e->mono_ms / 1000;

	if (e->n_beats && e->beat_s + IDFW_WHEEL < now_s)
		e->beat_s = now_s - IDFW_WHEEL; /* we slept: each slot once */
	while (e->n_beats && e->beat_s < now_s) {
		struct idfw_vm *vm = e->wheel[++e->beat_s % IDFW_WHEEL], *next;

		for (; vm; vm = next) {
			next = vm->plan_beat_next;
			if (vm->plan->beat_at_s <= now_s)
				lease_now(e, vm);
		}
	}
	return e->n_beats ? (now_s + 1) * 1000 : 0;
}

/* ---- a VM that is away ---- */

uint32_t lease_of(const struct idfw_engine *e, size_t group)
{
	return e->lease && group < e->n_groups ? e->lease[group] : POL_LEASE_DEFAULT_S;
}

bool lease_lost(const struct idfw_engine *e, const struct idfw_vm *vm, size_t group)
{
	return vm->plan->lost_s && lease_of(e, group) <= vm->plan->lost_s;
}

void lease_lost_now(struct idfw_engine *e, struct idfw_vm *vm)
{
	if (vm->connected)
		return;
	vm->plan->lost_s = (uint32_t)((e->mono_ms - vm->plan->away_ms) / 1000);
	idfw_due(e, e->mono_ms + 1); /* the next one may be sooner now */
}

/* do others see its addresses as this group's? */
static bool lends(const struct idfw_engine *e, const struct idfw_vm *vm, size_t g)
{
	return vm->plan->count[g] || uid_counts(e, vm, g);
}

/* what it lost, or gets back: one record for the VM, whatever number of sessions it has */
static void lost_record(
	struct idfw_engine *e, const struct idfw_vm *vm, bool lost, uint32_t from_s, uint32_t to_s)
{
	struct gi_buf *b = &e->json;
	size_t n = 0;

	gi_buf_reset(b);
	gi_buf_printf(b, "{\"away_s\":%llu,\"groups\":[",
		(unsigned long long)(e->mono_ms - vm->plan->away_ms) / 1000);
	for (size_t g = 0; g < e->n_groups; g++) {
		if (!lends(e, vm, g) || lease_of(e, g) <= from_s || lease_of(e, g) > to_s)
			continue;
		gi_buf_printf(b, "%s", n++ ? "," : "");
		idfw_json(b, pol_group_name(e->policy, g));
	}
	gi_buf_printf(b, "],\"sessions\":%zu}", vm->n_sessions);
	gi_notice("%s: %s: %s", vm->name, lost ? "lost for others" : "found again", gi_buf_str(b));
	idfw_note(e, lost ? IDFW_REC_LOST : IDFW_REC_FOUND_AGAIN, vm, NULL,
		gi_buf_error(b) ? "{\"error\":\"too long\"}" : gi_buf_str(b));
}

/* groups with leases in (from, to] begin or cease to count */
static bool lost_fan(struct idfw_engine *e, struct idfw_vm *vm, uint32_t from_s, uint32_t to_s)
{
	e->n_changed = 0;
	for (size_t g = 0; vm->plan->count && g < e->n_groups; g++)
		if (lends(e, vm, g) && lease_of(e, g) > from_s && lease_of(e, g) <= to_s)
			e->changed[e->n_changed++] = g;
	if (!e->n_changed)
		return false;
	fan_changed(e, vm);
	return true;
}

/* the shortest lease above @than_s of the groups that its sessions are in; 0 none */
static uint32_t next_lease(const struct idfw_engine *e, const struct idfw_vm *vm, uint32_t than_s)
{
	uint32_t next = 0;

	for (size_t g = 0; vm->plan->count && g < e->n_groups; g++)
		if (lends(e, vm, g) && lease_of(e, g) > than_s && (!next || lease_of(e, g) < next))
			next = lease_of(e, g);
	return next;
}

void lease_away(struct idfw_engine *e, struct idfw_vm *vm)
{
	struct idfw_plan *p = vm->plan;
	uint32_t was = p->lost_s, next;

	if (vm->connected || !e->policy)
		return;
	while ((next = next_lease(e, vm, p->lost_s)) &&
		e->mono_ms >= p->away_ms + (uint64_t)next * 1000)
		p->lost_s = next;
	if (p->lost_s != was) {
		idfw_cause(e, "%s is away for %u s", vm->name, p->lost_s);
		if (lost_fan(e, vm, was, p->lost_s))
			lost_record(e, vm, true, was, p->lost_s);
	}
	if (next)
		idfw_due(e, p->away_ms + (uint64_t)next * 1000);
}

void lease_back(struct idfw_engine *e, struct idfw_vm *vm)
{
	struct idfw_plan *p = vm->plan;
	uint32_t was = p->lost_s;

	p->lost_s = 0;
	if (!was || !e->policy)
		return;
	idfw_cause(e, "%s is back", vm->name);
	if (lost_fan(e, vm, 0, was))
		lost_record(e, vm, false, 0, was);
}

bool idfw_session_lost(const struct idfw_engine *e, const struct idfw_session *s)
{
	for (size_t g = 0; s->counted && s->principal && g < e->n_groups; g++)
		if (pol_set_has(&s->principal->member_of, g) && lease_lost(e, s->vm, g))
			return true;
	return false;
}
