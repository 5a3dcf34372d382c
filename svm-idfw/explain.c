/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * explain.c - what is open to a session by its groups, and until when (docs/adr/0015)
 *
 * Runs in svm-idfw's engine, for `idfwctl explain`; reads only. A group's access goes with the last
 * mark of the subject's chain that has the group: the subject's own mark, then its lapses. While
 * heartbeats renew them nothing ends. When they do not (the VM is away, or does not apply what it
 * is sent) the kernel ends each mark at most its lease after the last heartbeat that can have come,
 * which is what we know here: the guest's kernel may have been earlier. By the monotonic clock; the
 * real one is for showing.
 */
#include "svm-idfw/core.h"

#include <string.h>

/* the subject that decides for it: nested ones are those that they were opened in */
static const struct plan_subject *subject_of(struct idfw_engine *e, struct idfw_session *s)
{
	const struct idfw_session *outer = s->parent ? idfw_session_outer(e, s) : s;

	return outer && outer->subject && !outer->subject->isolation && !outer->vm->isolation
		       ? outer->subject
		       : NULL;
}

/* false: heartbeats renew what is there; else when the last one can have come */
static bool last_beat(const struct idfw_engine *e, const struct idfw_vm *vm, uint64_t *ret_mono_ms)
{
	if (!vm->connected || vm->plan->phase != PLAN_RUNNING)
		*ret_mono_ms = vm->plan->away_ms;
	else if (idfw_behind(e, vm))
		*ret_mono_ms = vm->plan->behind_ms + e->conf.push_deadline_ms;
	else
		return false;
	return true;
}

static uint64_t real_of(const struct idfw_engine *e, uint64_t mono_ms)
{
	uint64_t real = e->real_ms + mono_ms - e->mono_ms; /* wraps both ways */

	return mono_ms < e->mono_ms && e->mono_ms - mono_ms > e->real_ms ? 1 : real;
}

uint64_t idfw_engine_unrenewed(const struct idfw_engine *e, const struct idfw_vm *vm)
{
	uint64_t beat_ms = 0;

	return last_beat(e, vm, &beat_ms) ? real_of(e, beat_ms) : 0;
}

/* which mark of the chain has the group last: 0 the subject's own, then its lapses */
static uint32_t step_of(const struct plan_subject *su, uint32_t lease_s)
{
	uint32_t step = 0;

	while (step < su->n_lapses && su->lapses[step].lease_s <= lease_s)
		step++;
	return step;
}

size_t idfw_engine_opens(
	struct idfw_engine *e, struct idfw_session *s, struct idfw_open *ret, size_t max)
{
	const struct plan_subject *su = subject_of(e, s);
	const struct idfw_plan *p = s->vm->plan;
	uint64_t beat_ms = 0;
	bool stopped = last_beat(e, s->vm, &beat_ms);
	size_t n = su && su->mark && s->vm->compiled ? su->n_groups : 0;

	for (size_t i = 0; i < n && i < max; i++) {
		uint16_t g = su->groups[i];
		size_t policy_group = s->vm->compiled->policy_group[g];
		struct idfw_open *o = &ret[i];

		*o = (struct idfw_open){ .group = pol_group_name(e->policy, policy_group),
			.index = policy_group,
			.forbids = p->lease[g] == UINT32_MAX,
			.step = step_of(su, p->lease[g]),
			.lost = lease_lost(e, s->vm, policy_group) };
		o->lease_s = o->step ? su->lapses[o->step - 1].lease_s : su->lease_s;
		if (!stopped || !o->lease_s)
			continue;
		o->ended = e->mono_ms >= beat_ms + (uint64_t)o->lease_s * 1000;
		o->ends_ms = real_of(e, beat_ms + (uint64_t)o->lease_s * 1000);
	}
	return n;
}

size_t idfw_engine_drains(struct idfw_engine *e, struct idfw_session *s, uint64_t *ret, size_t max)
{
	const struct plan_subject *su = subject_of(e, s);
	const struct idfw_plan *p = s->vm->plan;
	size_t n = 0;

	for (size_t i = 0; su && i < p->n_drains; i++) {
		if (p->drains[i].key.set != su->key.set || p->drains[i].key.len != su->key.len ||
			memcmp(p->drains[i].key.data, su->key.data, su->key.len) != 0)
			continue;
		if (n < max)
			ret[n] = real_of(e, p->drains[i].until_ms);
		n++;
	}
	return n;
}

struct idfw_session *idfw_engine_session(struct idfw_engine *e, uint64_t db_id)
{
	for (struct idfw_vm *vm = e->vms; vm; vm = vm->hh.next)
		for (struct idfw_session *s = vm->sessions; s; s = s->v_next)
			if (s->db_id == db_id)
				return s;
	return NULL;
}
