/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * plan.c - subjects, their marks and epochs on one VM (docs/adr/0008)
 *
 * Runs in svm-idfw's engine. A subject is a session of this VM by its cgroup (without one: its
 * uid), a remote address with sessions that this VM's rules look at, or nobody (the base mark). It
 * has one current mark:
 *   grant    new mark: live, cgroup/uid/address -> mark, member of its groups' sets
 *   epoch    another entitlement: new mark, old ones remapped to it; the kernel judges running
 *            flows again by their next packet
 *   revoke   a session ended (a uid's last one): mark and old marks vanish, flows die at once
 *   isolate  a session's mark, and each after it, is not in live: one element less, and all its
 *            flows die; whatever epochs come, until it is released
 *   retire   a remote address's last session ended: its flows are judged again as nobody's
 * Invariant: vm->want holds exactly the elements of these structs, fan.c's and adopt.c's.
 */
#include "svm-idfw/core.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define SUBJECT_KEY_LEN (1 + sizeof(((struct fw_key *)0)->data))

int plan_new(struct idfw_engine *e, struct idfw_vm *vm)
{
	struct idfw_plan *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->unit = 1;
	p->fresh = true;
	p->next_mark = IDFW_MARK_FIRST;
	if (e->conf.seed[0] || e->conf.seed[1])
		p->next_mark +=
			(uint32_t)(idfw_siphash(e->conf.seed, vm->name, strlen(vm->name)) >> 1);
	p->base.key.set = FW_BASE_MARK;
	vm->plan = p;
	return 0;
}

static void subject_fini(struct plan_subject *s)
{
	free(s->old);
	free(s->groups);
	s->old = NULL;
	s->groups = NULL;
}

static void subjects_free(struct plan_subject **head)
{
	struct plan_subject *s, *next;

	HASH_ITER (hh, *head, s, next) {
		HASH_DEL(*head, s);
		subject_fini(s);
		free(s);
	}
}

void plan_free(struct idfw_vm *vm)
{
	struct idfw_plan *p = vm->plan;

	if (!p)
		return;
	while (p->wait_head) { /* readiness objects went with their sessions */
		struct plan_wait *w = p->wait_head;

		p->wait_head = w->next;
		if (!--w->ready->waiting)
			free(w->ready);
		free(w);
	}
	idfw_vm_snapshot_drop(vm);
	plan_orphans_free(vm);
	subjects_free(&p->users);
	subjects_free(&p->peers);
	subject_fini(&p->base);
	pol_set_fini(&p->named);
	free(p->count);
	free(p->deny);
	free(p->retired);
	free(p->revoked);
	free(p->ops);
	free(p->claims);
	free(p);
	vm->plan = NULL;
}

/* ---- one subject ---- */

/* an isolated one's: in no set of marks, but it must not come to life as somebody else's */
static bool mark_isolated(const struct idfw_vm *vm, uint32_t mark)
{
	for (const struct plan_subject *s = vm->plan->isolated; s; s = s->next)
		if (s->mark == mark)
			return true;
	return false;
}

static uint32_t mark_new(struct idfw_vm *vm)
{
	struct idfw_plan *p = vm->plan;

	for (;;) {
		uint32_t m = p->next_mark++;
		struct fw_elem live, old;

		if (m < IDFW_MARK_FIRST || m == FW_MARK_LO) {
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
	if (!s->old)
		s->old = calloc(IDFW_EPOCHS_MAX, sizeof(*s->old));
	if (!s->old)
		return; /* flows of that mark are cut: closed rather than open */
	if (s->n_old == IDFW_EPOCHS_MAX) {
		emit_remark(e, vm, true, s->old[0], 0);
		memmove(s->old, s->old + 1, (IDFW_EPOCHS_MAX - 1) * sizeof(*s->old));
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

static bool groups_equal(const struct plan_subject *s, const uint16_t *groups, size_t n)
{
	return s->n_groups == n && (!n || !memcmp(s->groups, groups, n * sizeof(*groups)));
}

static void wait_for(struct idfw_engine *e, struct idfw_vm *vm, const struct plan_subject *s)
{
	if (e->ready)
		ready_wait(e, e->ready, vm, s->unit);
}

/* the subject gets a new mark with these groups; the mark before becomes an old one */
static void subject_epoch(struct idfw_engine *e, struct idfw_vm *vm, struct plan_subject *s,
	const uint16_t *groups, size_t n)
{
	uint16_t *copy = NULL;
	uint32_t before = s->mark;

	if (n) {
		copy = malloc(n * sizeof(*copy));
		if (copy)
			memcpy(copy, groups, n * sizeof(*copy));
		else
			n = 0; /* no memory: less access, not more */
	}
	if (before)
		old_add(e, vm, s, before);
	s->mark = mark_new(vm);
	if (!s->isolation)
		emit_mark(e, vm, false, FW_LIVE, 0, s->mark);
	emit_map(e, vm, false, s);
	for (size_t i = 0; i < n; i++)
		emit_mark(e, vm, false, FW_SG, copy[i], s->mark);
	for (uint8_t i = 0; i < s->n_old; i++)
		emit_remark(e, vm, false, s->old[i], s->mark);
	if (before) {
		emit_mark(e, vm, true, FW_LIVE, 0, before);
		for (size_t i = 0; i < s->n_groups; i++)
			emit_mark(e, vm, true, FW_SG, s->groups[i], before);
	}
	free(s->groups);
	s->groups = copy;
	s->n_groups = (uint16_t)n;
	s->unit = vm->plan->unit;
	if (!before)
		plan_orphan_claim(e, vm, s);
}

static void subject_set(struct idfw_engine *e, struct idfw_vm *vm, struct plan_subject *s,
	const uint16_t *groups, size_t n)
{
	if (!s->mark || !groups_equal(s, groups, n))
		subject_epoch(e, vm, s, groups, n);
	wait_for(e, vm, s);
}

/* what the subject has in live, its map and the group sets goes; old marks stay with the caller */
static void subject_clear(struct idfw_engine *e, struct idfw_vm *vm, struct plan_subject *s)
{
	emit_mark(e, vm, true, FW_LIVE, 0, s->mark);
	emit_map(e, vm, true, s);
	for (size_t i = 0; i < s->n_groups; i++)
		emit_mark(e, vm, true, FW_SG, s->groups[i], s->mark);
	s->n_groups = 0;
	s->unit = vm->plan->unit;
}

static void subject_revoke(struct idfw_engine *e, struct idfw_vm *vm, struct plan_subject *s)
{
	if (!s->mark)
		return;
	subject_clear(e, vm, s);
	for (uint8_t i = 0; i < s->n_old; i++)
		emit_remark(e, vm, true, s->old[i], 0);
	s->n_old = 0;
	s->mark = 0;
}

static void retired_drop(struct idfw_engine *e, struct idfw_vm *vm, size_t n)
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
		retired_drop(e, vm, 1);
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
		retired_drop(e, vm, n);
	if (p->n_retired)
		idfw_due(e, p->retired[0].until_ms);
}

static void subject_retire(struct idfw_engine *e, struct idfw_vm *vm, struct plan_subject *s)
{
	if (!s->mark)
		return;
	subject_clear(e, vm, s);
	for (uint8_t i = 0; i < s->n_old; i++)
		plan_retire_mark(e, vm, s->old[i]);
	plan_retire_mark(e, vm, s->mark);
	s->n_old = 0;
	s->mark = 0;
}

/* ---- users of this VM ---- */

struct plan_subject *plan_find(struct idfw_engine *e, struct idfw_vm *vm, const struct fw_key *key)
{
	unsigned int h = idfw_hashv(e->conf.seed, &key->len, SUBJECT_KEY_LEN);
	struct plan_subject *s;

	if (key->set == FW_UID_MARK || key->set == FW_CG_MARK)
		HASH_FIND_BYHASHVALUE(hh, vm->plan->users, &key->len, SUBJECT_KEY_LEN, h, s);
	else
		HASH_FIND_BYHASHVALUE(hh, vm->plan->peers, &key->len, SUBJECT_KEY_LEN, h, s);
	return s;
}

struct plan_subject *plan_user(struct idfw_engine *e, struct idfw_vm *vm, const struct fw_key *key)
{
	unsigned int h = idfw_hashv(e->conf.seed, &key->len, SUBJECT_KEY_LEN);
	struct plan_subject *s = plan_find(e, vm, key);

	if (s)
		return s;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->key = *key;
	HASH_ADD_BYHASHVALUE(hh, vm->plan->users, key.len, SUBJECT_KEY_LEN, h, s);
	return s;
}

void plan_user_drop(struct idfw_engine *e, struct idfw_vm *vm, struct plan_subject *s)
{
	plan_orphan_drop(e, vm, &s->key);
	if (s->isolation)
		DL_DELETE(vm->plan->isolated, s);
	HASH_DEL(vm->plan->users, s);
	subject_fini(s);
	free(s);
}

size_t plan_user_marks(const struct idfw_session *s, uint32_t ret[IDFW_EPOCHS_MAX + 1])
{
	const struct plan_subject *su = s->subject;
	size_t n = 0;

	if (!su || !su->mark || su->sessions->s_next)
		return 0;
	for (; n < su->n_old; n++)
		ret[n] = su->old[n];
	ret[n++] = su->mark;
	return n;
}

static size_t user_groups(
	struct idfw_engine *e, const struct idfw_vm *vm, const struct plan_subject *s)
{
	const struct pol_compiled *c = vm->compiled;
	size_t n = 0;

	for (size_t i = 0; i < c->n_groups; i++) {
		const struct idfw_session *se = s->sessions;

		if (!(c->use[i] & POL_USE_OUT_FROM))
			continue;
		while (se && !(se->counted &&
				     pol_set_has(&se->principal->member_of, c->policy_group[i])))
			se = se->s_next;
		if (se)
			e->scratch[n++] = (uint16_t)i;
	}
	return n;
}

/* a first connection's kernel may still know these marks: they are not to be adopted */
static void revoked_remember(struct idfw_plan *p, const struct plan_subject *s)
{
	struct fw_key *n;

	if (!p->fresh)
		return;
	n = realloc(p->revoked, (p->n_revoked + 1) * sizeof(*n));
	if (!n)
		return;
	p->revoked = n;
	p->revoked[p->n_revoked++] = s->key;
}

void plan_user_update(struct idfw_engine *e, struct idfw_vm *vm, struct plan_subject *s)
{
	if (!s->n_counted) {
		revoked_remember(vm->plan, s);
		subject_revoke(e, vm, s);
		return;
	}
	if (!vm->compiled || !vm->plan->has_out)
		return;
	subject_set(e, vm, s, e->scratch, user_groups(e, vm, s));
}

void plan_user_isolate(struct idfw_engine *e, struct idfw_vm *vm, struct plan_subject *s,
	const struct idfw_isolation *i)
{
	plan_orphan_drop(e, vm, &s->key);
	if (!s->isolation && i)
		DL_APPEND(vm->plan->isolated, s);
	else if (s->isolation && !i)
		DL_DELETE(vm->plan->isolated, s);
	s->isolation = i;
	if (i) {
		if (s->mark)
			emit_mark(e, vm, true, FW_LIVE, 0, s->mark);
		return;
	}
	subject_revoke(e, vm, s); /* what was cut stays cut */
	plan_user_update(e, vm, s);
}

/* ---- remote addresses ---- */

static size_t peer_groups(struct idfw_engine *e, const struct idfw_vm *vm, const struct idfw_vm *u)
{
	const struct pol_compiled *c = vm->compiled;
	size_t n = 0;

	if (!u || u == vm || !u->plan->count)
		return 0;
	for (size_t i = 0; i < c->n_groups; i++)
		if (c->use[i] & POL_USE_IN_FROM && u->plan->count[c->policy_group[i]])
			e->scratch[n++] = (uint16_t)i;
	return n;
}

static void peer_end(struct idfw_engine *e, struct idfw_vm *vm, struct plan_subject *s)
{
	subject_retire(e, vm, s);
	HASH_DEL(vm->plan->peers, s);
	subject_fini(s);
	free(s);
}

void plan_peer_update(
	struct idfw_engine *e, struct idfw_vm *vm, const struct idfw_vm *u, const struct gi_addr *a)
{
	struct fw_elem el = fw_elem_addr(a, 0);
	unsigned int h = idfw_hashv(e->conf.seed, &el.key.len, SUBJECT_KEY_LEN);
	struct plan_subject *s;
	size_t n;

	if (!vm->compiled)
		return;
	n = peer_groups(e, vm, u);
	s = plan_find(e, vm, &el.key);
	if (!n) {
		if (s)
			peer_end(e, vm, s);
		return;
	}
	if (!s) {
		s = calloc(1, sizeof(*s));
		if (!s)
			return; /* no access by identity from there: closed rather than open */
		s->key = el.key;
		HASH_ADD_BYHASHVALUE(hh, vm->plan->peers, key.len, SUBJECT_KEY_LEN, h, s);
	}
	subject_set(e, vm, s, e->scratch, n);
}

/* ---- all of them ---- */

static struct gi_addr peer_addr(const struct plan_subject *s)
{
	struct gi_addr a = { .family = s->key.set == FW_ADDR4_MARK ? 4 : 6 };

	memcpy(a.bytes, s->key.data, sizeof(a.bytes));
	return a;
}

static void base_epoch(struct idfw_engine *e, struct idfw_vm *vm)
{
	struct idfw_plan *p = vm->plan;

	subject_epoch(e, vm, &p->base, NULL, 0);
	for (size_t i = 0; i < p->n_retired; i++)
		emit_remark(e, vm, false, p->retired[i].mark, p->base.mark);
}

void plan_rejudge(struct idfw_engine *e, struct idfw_vm *vm)
{
	vm->plan->rejudge = true;
	plan_touch(e, vm);
}

void plan_rejudge_now(struct idfw_engine *e, struct idfw_vm *vm)
{
	struct plan_subject *s, *next;

	if (!vm->compiled)
		return;
	base_epoch(e, vm);
	HASH_ITER (hh, vm->plan->users, s, next)
		if (s->mark)
			subject_epoch(e, vm, s, e->scratch, user_groups(e, vm, s));
	HASH_ITER (hh, vm->plan->peers, s, next) {
		struct gi_addr a = peer_addr(s);

		subject_epoch(e, vm, s, e->scratch, peer_groups(e, vm, idfw_addr_owner(e, &a)));
	}
}

void plan_restart(struct idfw_engine *e, struct idfw_vm *vm)
{
	struct idfw_plan *p = vm->plan;
	struct plan_subject *s, *next;

	p->broken = false;
	p->rejudge = false;
	base_epoch(e, vm);
	HASH_ITER (hh, p->users, s, next) {
		if (s->mark && !p->has_out)
			subject_retire(
				e, vm, s); /* nobody is looked at any more: judged as all others */
		else if (s->n_counted && p->has_out)
			subject_epoch(e, vm, s, e->scratch, user_groups(e, vm, s));
	}
	HASH_ITER (hh, p->peers, s, next) {
		struct gi_addr a = peer_addr(s);
		size_t n = peer_groups(e, vm, idfw_addr_owner(e, &a));

		if (n)
			subject_epoch(e, vm, s, e->scratch, n);
		else
			peer_end(e, vm, s);
	}
	plan_orphans_readd(e, vm);
}

void plan_renew(struct idfw_engine *e, struct idfw_vm *vm)
{
	struct idfw_plan *p = vm->plan;
	struct plan_subject *s, *next;

	subject_revoke(e, vm, &p->base);
	retired_drop(e, vm, p->n_retired);
	HASH_ITER (hh, p->users, s, next)
		subject_revoke(e, vm, s);
	HASH_ITER (hh, p->peers, s, next)
		subject_revoke(e, vm, s);
	base_epoch(e, vm);
	HASH_ITER (hh, p->users, s, next)
		if (s->n_counted && p->has_out)
			subject_epoch(e, vm, s, e->scratch, user_groups(e, vm, s));
	HASH_ITER (hh, p->peers, s, next) {
		struct gi_addr a = peer_addr(s);

		subject_epoch(e, vm, s, e->scratch, peer_groups(e, vm, idfw_addr_owner(e, &a)));
	}
}
