/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * subject.c - one subject's marks: its present one, its lapses, its old ones (docs/adr/0008, 0015)
 *
 * Runs in svm-idfw's engine; plan.c says who has which groups when. A mark in `live` has the
 * shortest lease of what its groups allow. What outlasts that is a lapse: a mark of its own, with
 * the groups that are left and the next lease, to which `remark` leads when the one before is not
 * live any more. A policy has at most FW_LAPSES_MAX + 1 different leases. Invariant: mark -> lapse
 * -> lapse ... in `remark`, all live with rising leases; old marks lead to the first.
 */
#include "svm-idfw/core.h"

#include <stdlib.h>
#include <string.h>

void plan_subject_fini(struct plan_subject *s)
{
	free(s->old);
	free(s->groups);
	free(s->lapses);
	s->lapses = NULL;
	s->n_lapses = 0;
	s->old = NULL;
	s->groups = NULL;
}

/* an isolated one's: in no set of marks, but it must not come to life as somebody else's */
static bool mark_isolated(const struct idfw_vm *vm, uint32_t mark)
{
	for (const struct plan_subject *s = vm->plan->isolated; s; s = s->next) {
		if (s->mark == mark)
			return true;
		for (uint8_t i = 0; i < s->n_lapses; i++)
			if (s->lapses[i].mark == mark)
				return true;
	}
	return false;
}

static uint32_t mark_new(struct idfw_vm *vm)
{
	struct idfw_plan *p = vm->plan;

	for (;;) {
		uint32_t m = p->next_mark++;
		struct fw_elem live, old;

		if (m < IDFW_MARK_FIRST || m >= FW_MARK_END) {
			p->next_mark = IDFW_MARK_FIRST;
			continue;
		}
		live = fw_elem_mark(FW_LIVE, 0, m);
		old = fw_elem_remark(m, m);
		if (!fw_state_get(vm->want, &live.key, NULL) &&
			!fw_state_get(vm->want, &old.key, NULL) && !mark_isolated(vm, m))
			return m;
	}
}

static void emit_mark(struct idfw_engine *e, struct idfw_vm *vm, bool del, enum fw_set set,
	uint16_t group, uint32_t mark)
{
	struct fw_elem el = fw_elem_mark(set, group, mark);

	plan_emit(e, vm, del, &el);
}

static void emit_remark(
	struct idfw_engine *e, struct idfw_vm *vm, bool del, uint32_t old, uint32_t mark)
{
	struct fw_elem el = fw_elem_remark(old, mark);

	plan_emit(e, vm, del, &el);
}

/* cgroup, uid or address -> mark; for nobody both families */
static void emit_map(
	struct idfw_engine *e, struct idfw_vm *vm, bool del, const struct plan_subject *s)
{
	struct fw_elem el = { .key = s->key, .mark = s->mark };

	if (s->key.set != FW_BASE_MARK) {
		plan_emit(e, vm, del, &el);
		return;
	}
	el = fw_elem_base(4, s->mark);
	plan_emit(e, vm, del, &el);
	el = fw_elem_base(6, s->mark);
	plan_emit(e, vm, del, &el);
}

static void old_add(
	struct idfw_engine *e, struct idfw_vm *vm, struct plan_subject *s, uint32_t mark)
{
	const uint8_t max = s == &vm->plan->base ? IDFW_BASE_EPOCHS_MAX : IDFW_EPOCHS_MAX;

	if (!s->old)
		s->old = calloc(max, sizeof(*s->old));
	if (!s->old)
		return; /* flows of that mark are cut: closed rather than open */
	if (s->n_old == max) {
		emit_remark(e, vm, true, s->old[0], 0);
		memmove(s->old, s->old + 1, (max - 1) * sizeof(*s->old));
		s->n_old--;
	}
	s->old[s->n_old++] = mark;
}

bool plan_subject_old_add(
	struct idfw_engine *e, struct idfw_vm *vm, struct plan_subject *s, uint32_t mark)
{
	if (mark == s->mark)
		return false;
	for (uint8_t i = 0; i < s->n_old; i++)
		if (s->old[i] == mark)
			return false;
	old_add(e, vm, s, mark);
	emit_remark(e, vm, false, mark, s->mark);
	return true;
}

/* ---- leases and lapses ---- */

static void emit_live(
	struct idfw_engine *e, struct idfw_vm *vm, bool del, uint32_t mark, uint32_t lease_s)
{
	struct fw_elem el = fw_elem_live(mark, lease_s, false);

	plan_emit(e, vm, del, &el);
}

static void lease_insert(uint32_t list[], size_t *n, uint32_t lease_s)
{
	size_t i = 0;

	while (i < *n && list[i] < lease_s)
		i++;
	if (i < *n && list[i] == lease_s)
		return;
	if (*n == FW_LAPSES_MAX + 1)
		return; /* a policy has no more (docs/policy.md "on-loss") */
	memmove(&list[i + 1], &list[i], (*n - i) * sizeof(*list));
	list[i] = lease_s;
	(*n)++;
}

/* the leases of a subject with these groups, rising: the mark's, then its lapses' */
static size_t leases_find(const struct idfw_plan *p, const uint16_t *groups, size_t n,
	uint32_t ret[FW_LAPSES_MAX + 1])
{
	uint32_t cap = UINT32_MAX;
	size_t n_ret = 0;

	for (size_t i = 0; i < n; i++)
		if (p->caps[groups[i]] && p->lease[groups[i]] < cap)
			cap = p->lease[groups[i]];
	for (size_t i = 0; i < n; i++)
		if (p->lease[groups[i]] != UINT32_MAX && p->lease[groups[i]] <= cap)
			lease_insert(ret, &n_ret, p->lease[groups[i]]);
	return n_ret;
}

/* a lapse's groups: those that last as long as it does */
static void emit_lapse_groups(struct idfw_engine *e, struct idfw_vm *vm, bool del,
	const struct plan_subject *s, const struct plan_lapse *l)
{
	for (size_t i = 0; i < s->n_groups; i++)
		if (del || vm->plan->lease[s->groups[i]] >= l->lease_s)
			emit_mark(e, vm, del, FW_SG, s->groups[i], l->mark);
}

/* the chain behind the subject's mark; without memory there is none: closed rather than open */
static void lapses_make(struct idfw_engine *e, struct idfw_vm *vm, struct plan_subject *s,
	const uint32_t *leases, size_t n)
{
	uint32_t before = s->mark;

	s->lapses = n ? calloc(n, sizeof(*s->lapses)) : NULL;
	s->n_lapses = 0;
	for (size_t i = 0; s->lapses && i < n; i++) {
		struct plan_lapse *l = &s->lapses[s->n_lapses];

		*l = (struct plan_lapse){ .mark = mark_new(vm), .lease_s = leases[i] };
		s->n_lapses++;
		if (!s->isolation)
			emit_live(e, vm, false, l->mark, l->lease_s);
		emit_remark(e, vm, false, before, l->mark);
		emit_lapse_groups(e, vm, false, s, l);
		before = l->mark;
	}
}

/*
 * ---- drains: what runs may finish ----
 *
 * When the policy or the directory takes access away and the policy says `on-revoke drain T`, old
 * marks stay live with a lease of T that nobody renews; then their flows are judged by the new
 * ones. A logout, a kick, an isolation end them at once.
 */

void plan_drain_begin(struct idfw_engine *e)
{
	enum fw_revoke mode;

	e->drain_s = 0;
	if (e->policy)
		pol_on_revoke(e->policy, &mode, &e->drain_s);
}

void plan_drain_end(struct idfw_engine *e)
{
	e->drain_s = 0;
}

bool plan_draining(const struct idfw_plan *p, uint32_t mark)
{
	for (size_t i = 0; i < p->n_drains; i++)
		if (p->drains[i].mark == mark)
			return true;
	return false;
}

/* a mark leaves `live`: now, or when what ran by it has had its time */
static void live_end(
	struct idfw_engine *e, struct idfw_vm *vm, const struct plan_subject *s, uint32_t mark)
{
	uint64_t until = e->mono_ms + e->drain_s * UINT64_C(1000);
	struct fw_elem el = fw_elem_live(mark, e->drain_s, true);
	struct idfw_plan *p = vm->plan;

	if (e->drain_s && !s->isolation && p->n_drains == p->cap_drains) {
		size_t cap = p->cap_drains ? p->cap_drains * 2 : 16;
		struct plan_drain *n = realloc(p->drains, cap * sizeof(*n));

		if (n) {
			p->drains = n;
			p->cap_drains = cap;
		}
	}
	if (!e->drain_s || s->isolation || p->n_drains == p->cap_drains) {
		emit_live(e, vm, true, mark, 0); /* no memory: closed rather than open */
		return;
	}
	/* a shorter time than before counts for what drains already: the queue stays in order */
	for (size_t i = p->n_drains; i && p->drains[i - 1].until_ms > until; i--)
		p->drains[i - 1].until_ms = until;
	p->drains[p->n_drains++] =
		(struct plan_drain){ .key = s->key, .mark = mark, .until_ms = until };
	plan_emit(e, vm, false, &el);
	idfw_due(e, until);
}

void plan_drains_due(struct idfw_engine *e, struct idfw_vm *vm)
{
	struct idfw_plan *p = vm->plan;
	size_t n = 0;

	while (n < p->n_drains && e->mono_ms >= p->drains[n].until_ms)
		emit_live(e, vm, true, p->drains[n++].mark, 0);
	if (n)
		memmove(p->drains, p->drains + n, (p->n_drains - n) * sizeof(*p->drains));
	p->n_drains -= n;
	if (p->n_drains)
		idfw_due(e, p->drains[0].until_ms);
}

void plan_drains_cancel(struct idfw_engine *e, struct idfw_vm *vm, const struct fw_key *key)
{
	struct idfw_plan *p = vm->plan;
	size_t n = 0;

	for (size_t i = 0; i < p->n_drains; i++) {
		if (key && fw_key_cmp(&p->drains[i].key, key) != 0)
			p->drains[n++] = p->drains[i];
		else
			emit_live(e, vm, true, p->drains[i].mark, 0);
	}
	p->n_drains = n;
}

void plan_drains_readd(struct idfw_engine *e, struct idfw_vm *vm)
{
	struct idfw_plan *p = vm->plan;

	for (size_t i = 0; i < p->n_drains; i++) {
		uint64_t left = p->drains[i].until_ms - e->mono_ms;
		struct fw_elem el = fw_elem_live(p->drains[i].mark,
			p->drains[i].until_ms <= e->mono_ms ? 1 : (uint32_t)((left + 999) / 1000),
			true);

		plan_emit(e, vm, false, &el);
	}
}

/* live, groups and the way there go; the marks are the caller's to forget */
static void lapses_clear(struct idfw_engine *e, struct idfw_vm *vm, struct plan_subject *s)
{
	uint32_t before = s->mark;

	for (uint8_t i = 0; i < s->n_lapses; i++) {
		live_end(e, vm, s, s->lapses[i].mark);
		emit_remark(e, vm, true, before, 0);
		emit_lapse_groups(e, vm, true, s, &s->lapses[i]);
		before = s->lapses[i].mark;
	}
}

void plan_subject_live(
	struct idfw_engine *e, struct idfw_vm *vm, const struct plan_subject *s, bool live)
{
	if (!s->mark)
		return;
	emit_live(e, vm, !live, s->mark, s->lease_s);
	for (uint8_t i = 0; i < s->n_lapses; i++)
		emit_live(e, vm, !live, s->lapses[i].mark, s->lapses[i].lease_s);
}

/* ---- what happens to it ---- */

static bool groups_equal(const struct plan_subject *s, const uint16_t *groups, size_t n)
{
	return s->n_groups == n && (!n || !memcmp(s->groups, groups, n * sizeof(*groups)));
}

static void wait_for(struct idfw_engine *e, struct idfw_vm *vm, const struct plan_subject *s)
{
	if (e->ready)
		ready_wait(e, e->ready, vm, s->unit);
}

/* the subject gets a new mark with these groups; the marks before become old ones */
void plan_subject_epoch(struct idfw_engine *e, struct idfw_vm *vm, struct plan_subject *s,
	const uint16_t *groups, size_t n)
{
	uint32_t leases[FW_LAPSES_MAX + 1], before = s->mark;
	uint16_t *copy = NULL;
	size_t n_leases;

	if (n) {
		copy = malloc(n * sizeof(*copy));
		if (copy)
			memcpy(copy, groups, n * sizeof(*copy));
		else
			n = 0; /* no memory: less access, not more */
	}
	if (before) {
		live_end(e, vm, s, before);
		for (size_t i = 0; i < s->n_groups; i++)
			emit_mark(e, vm, true, FW_SG, s->groups[i], before);
		lapses_clear(e, vm, s);
		old_add(e, vm, s, before);
		for (uint8_t i = 0; i < s->n_lapses; i++)
			old_add(e, vm, s, s->lapses[i].mark);
		free(s->lapses);
	}
	free(s->groups);
	s->groups = copy;
	s->n_groups = (uint16_t)n;
	n_leases = leases_find(vm->plan, copy, n, leases);
	s->lease_s = n_leases ? leases[0] : 0;
	s->mark = mark_new(vm);
	if (!s->isolation)
		emit_live(e, vm, false, s->mark, s->lease_s);
	emit_map(e, vm, false, s);
	for (size_t i = 0; i < n; i++)
		emit_mark(e, vm, false, FW_SG, copy[i], s->mark);
	lapses_make(e, vm, s, leases + 1, n_leases ? n_leases - 1 : 0);
	for (uint8_t i = 0; i < s->n_old; i++)
		emit_remark(e, vm, false, s->old[i], s->mark);
	s->unit = vm->plan->unit;
	if (!before)
		plan_orphan_claim(e, vm, s);
}

void plan_subject_set(struct idfw_engine *e, struct idfw_vm *vm, struct plan_subject *s,
	const uint16_t *groups, size_t n)
{
	if (!s->mark || !groups_equal(s, groups, n))
		plan_subject_epoch(e, vm, s, groups, n);
	wait_for(e, vm, s);
}

/* what the subject has in live, its map and the group sets goes; old marks stay with the caller */
static void subject_clear(struct idfw_engine *e, struct idfw_vm *vm, struct plan_subject *s)
{
	live_end(e, vm, s, s->mark);
	lapses_clear(e, vm, s);
	emit_map(e, vm, true, s);
	for (size_t i = 0; i < s->n_groups; i++)
		emit_mark(e, vm, true, FW_SG, s->groups[i], s->mark);
	s->n_groups = 0;
	s->unit = vm->plan->unit;
}

void plan_subject_revoke(struct idfw_engine *e, struct idfw_vm *vm, struct plan_subject *s)
{
	if (!e->drain_s)
		plan_drains_cancel(e, vm, &s->key);
	if (!s->mark)
		return;
	subject_clear(e, vm, s);
	for (uint8_t i = 0; i < s->n_old; i++)
		emit_remark(e, vm, true, s->old[i], 0);
	s->n_old = s->n_lapses = 0;
	s->mark = 0;
}

void plan_retired_drop(struct idfw_engine *e, struct idfw_vm *vm, size_t n)
{
	struct idfw_plan *p = vm->plan;

	for (size_t i = 0; i < n; i++)
		emit_remark(e, vm, true, p->retired[i].mark, 0);
	if (n)
		memmove(p->retired, p->retired + n, (p->n_retired - n) * sizeof(*p->retired));
	p->n_retired -= n;
}

void plan_retire_mark(struct idfw_engine *e, struct idfw_vm *vm, uint32_t mark)
{
	struct idfw_plan *p = vm->plan;

	if (!p->retired)
		p->retired = calloc(IDFW_RETIRED_MAX, sizeof(*p->retired));
	if (!p->retired) {
		emit_remark(e, vm, true, mark, 0);
		return;
	}
	if (p->n_retired == IDFW_RETIRED_MAX)
		plan_retired_drop(e, vm, 1);
	p->retired[p->n_retired++] =
		(struct plan_retired){ .mark = mark, .until_ms = e->mono_ms + IDFW_RETIRED_MS };
	emit_remark(e, vm, false, mark, p->base.mark);
	idfw_due(e, e->mono_ms + IDFW_RETIRED_MS);
}

void plan_retired_due(struct idfw_engine *e, struct idfw_vm *vm)
{
	struct idfw_plan *p = vm->plan;
	size_t n = 0;

	while (n < p->n_retired && e->mono_ms >= p->retired[n].until_ms)
		n++;
	if (n)
		plan_retired_drop(e, vm, n);
	if (p->n_retired)
		idfw_due(e, p->retired[0].until_ms);
}

void plan_subject_retire(struct idfw_engine *e, struct idfw_vm *vm, struct plan_subject *s)
{
	if (!e->drain_s)
		plan_drains_cancel(e, vm, &s->key);
	if (!s->mark)
		return;
	subject_clear(e, vm, s);
	for (uint8_t i = 0; i < s->n_old; i++)
		plan_retire_mark(e, vm, s->old[i]);
	plan_retire_mark(e, vm, s->mark);
	for (uint8_t i = 0; i < s->n_lapses; i++)
		plan_retire_mark(e, vm, s->lapses[i].mark);
	s->n_old = s->n_lapses = 0;
	s->mark = 0;
}
