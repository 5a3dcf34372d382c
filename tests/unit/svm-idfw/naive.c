/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * naive.c - what each VM's kernel is to hold, computed from scratch and compared with vm->want
 *
 * No memory of what was: loops over all VMs, sessions, addresses and groups. Mark numbers are the
 * engine's own business; subjects, their groups and all addresses are not.
 */
#include <stdio.h>
#include <string.h>
#include "tests/unit/svm-idfw/world.h"

static bool counts(const struct idfw_session *s)
{
	return s->principal && !s->kicked && s->principal->presence == IDFW_P_FOUND &&
	       !s->principal->held;
}

static bool same_subject(const struct idfw_session *a, const struct idfw_session *b)
{
	return a->cgroup || b->cgroup ? a->cgroup == b->cgroup : a->uid == b->uid;
}

/* one of the subject's sessions was isolated, or began after its user's was */
static bool isolated(const struct idfw_vm *vm, const struct idfw_session *of)
{
	for (const struct idfw_isolation *i = vm->isolations; i; i = i->next)
		for (const struct idfw_session *s = vm->sessions; s; s = s->v_next)
			if (!i->whole_vm && s->principal && same_subject(s, of) &&
				s->uid == i->uid && (!s->is_unit || !strcmp(s->user, i->user)) &&
				(s->db_id == i->session || s->db_id > i->spares))
				return true;
	return false;
}

static bool isolated_vm(const struct idfw_vm *vm)
{
	for (const struct idfw_isolation *i = vm->isolations; i; i = i->next)
		if (i->whole_vm)
			return true;
	return false;
}

/* what others see of u: sessions that have their network */
static bool vm_has(const struct idfw_vm *u, size_t pg)
{
	for (const struct idfw_session *s = u->sessions; s; s = s->v_next)
		if (counts(s) && !isolated_vm(u) && !isolated(u, s) &&
			pol_set_has(&s->principal->member_of, pg))
			return true;
	return false;
}

static bool subject_has(const struct idfw_vm *w, const struct idfw_session *of, size_t pg)
{
	for (const struct idfw_session *s = w->sessions; s; s = s->v_next)
		if (counts(s) && same_subject(s, of) && pol_set_has(&s->principal->member_of, pg))
			return true;
	return false;
}

static struct fw_elem elem_of(const struct idfw_session *s)
{
	return s->cgroup ? fw_elem_cgroup(s->cgroup, 0) : fw_elem_uid(s->uid, 0);
}

struct tally {
	size_t by_set[FW_SET_COUNT];
};

static int tally_cb(void *arg, const struct fw_elem *e)
{
	((struct tally *)arg)->by_set[e->key.set]++;
	return 0;
}

static bool has(const struct idfw_vm *w, const struct fw_elem *el)
{
	return fw_state_get(w->want, &el->key, NULL);
}

static bool live(const struct idfw_vm *w, uint32_t mark)
{
	struct fw_elem el = fw_elem_mark(FW_LIVE, 0, mark);

	return has(w, &el);
}

static const char *users(struct idfw_vm *w, struct tally *t)
{
	const struct pol_compiled *c = w->compiled;
	bool out = false;

	for (size_t i = 0; i < c->n_groups; i++)
		out |= c->use[i] & POL_USE_OUT_FROM;
	for (const struct idfw_session *s = w->sessions; s; s = s->v_next) {
		struct fw_elem el = elem_of(s);
		const struct idfw_session *o = w->sessions;
		uint32_t mark = 0;

		if (!out || !counts(s))
			continue;
		while (o != s && !(same_subject(o, s) && counts(o)))
			o = o->v_next;
		if (o != s)
			continue; /* this subject was looked at */
		if (!fw_state_get(w->want, &el.key, &mark) || live(w, mark) == isolated(w, s))
			return isolated(w, s) ? "an isolated session's mark is live"
					      : "a session has no live mark";
		t->by_set[el.key.set]++;
		t->by_set[FW_LIVE] += !isolated(w, s);
		for (size_t i = 0; i < c->n_groups; i++) {
			struct fw_elem sg = fw_elem_mark(FW_SG, (uint16_t)i, mark);
			bool want = c->use[i] & POL_USE_OUT_FROM &&
				    subject_has(w, s, c->policy_group[i]);

			if (want != has(w, &sg))
				return want ? "a session lacks a group"
					    : "a session has a group too many";
			t->by_set[FW_SG] += want;
		}
	}
	return NULL;
}

static const char *peer(
	struct idfw_vm *w, const struct idfw_vm *u, const struct gi_addr *a, struct tally *t)
{
	const struct pol_compiled *c = w->compiled;
	struct fw_elem el = fw_elem_addr(a, 0);
	uint32_t mark = 0;
	bool any = false, there = fw_state_get(w->want, &el.key, &mark);

	for (size_t i = 0; i < c->n_groups; i++)
		any |= u != w && c->use[i] & POL_USE_IN_FROM && vm_has(u, c->policy_group[i]);
	if (any != there)
		return any ? "an address with members has no mark"
			   : "an address has a mark for nothing";
	if (!any)
		return NULL;
	if (!live(w, mark))
		return "an address's mark is not live";
	t->by_set[el.key.set]++;
	t->by_set[FW_LIVE]++;
	for (size_t i = 0; i < c->n_groups; i++) {
		struct fw_elem sg = fw_elem_mark(FW_SG, (uint16_t)i, mark);
		bool want = c->use[i] & POL_USE_IN_FROM && vm_has(u, c->policy_group[i]);

		if (want != has(w, &sg))
			return want ? "an address lacks a group"
				    : "an address has a group too many";
		t->by_set[FW_SG] += want;
	}
	return NULL;
}

static const char *addresses(
	struct idfw_vm *w, const struct idfw_vm *u, const struct gi_addr *a, struct tally *t)
{
	const struct pol_compiled *c = w->compiled;

	for (size_t i = 0; i < c->n_groups; i++) {
		struct fw_elem ga = fw_elem_group_addr(FW_GA4, (uint16_t)i, a),
			       ia = fw_elem_group_addr(FW_IA4, (uint16_t)i, a);
		bool want_ga =
			c->use[i] & POL_USE_VM && pol_set_has(&u->plan->named, c->policy_group[i]);
		bool want_ia = c->use[i] & POL_USE_TO && vm_has(u, c->policy_group[i]);

		if (want_ga != has(w, &ga))
			return "ga_ is wrong";
		if (want_ia != has(w, &ia))
			return "ia_ is wrong";
		t->by_set[ga.key.set] += want_ga;
		t->by_set[ia.key.set] += want_ia;
	}
	return peer(w, u, a, t);
}

/* old flows of an isolated session lead to its mark, which is not live */
static bool isolated_mark(const struct idfw_vm *w, uint32_t mark)
{
	for (const struct idfw_session *s = w->sessions; s; s = s->v_next) {
		struct fw_elem el = elem_of(s);
		uint32_t m = 0;

		if (s->principal && fw_state_get(w->want, &el.key, &m) && m == mark)
			return isolated(w, s);
	}
	return false;
}

/* nothing in, nothing out, and nobody that a rule could be about */
static const char *closed(const struct idfw_vm *w)
{
	const struct fw_ruleset *rs = fw_state_ruleset(w->want);

	if (rs->n_rules || rs->n_groups || rs->default_in != FW_DROP || rs->default_out != FW_DROP)
		return "an isolated VM has rules";
	return w->plan->orphans ? "an isolated VM has marks of before" : NULL;
}

static int remark_cb(void *arg, const struct fw_elem *e)
{
	struct idfw_vm *w = arg;
	uint32_t old = (uint32_t)e->key.data[0] << 24 | (uint32_t)e->key.data[1] << 16 |
		       (uint32_t)e->key.data[2] << 8 | e->key.data[3];

	return e->key.set == FW_REMARK &&
			       ((!live(w, e->mark) && !isolated_mark(w, e->mark)) || live(w, old))
		       ? -EINVAL
		       : 0;
}

const char *world_naive(struct world *world, struct idfw_vm *w)
{
	struct tally want = { { 0 } }, got = { { 0 } };
	struct fw_elem base4 = fw_elem_base(4, 0), base6 = fw_elem_base(6, 0);
	uint32_t m4 = 0, m6 = 0;
	const char *wrong;
	struct idfw_vm *u, *next;

	if (!w->compiled)
		return NULL;
	if (!fw_state_get(w->want, &base4.key, &m4) || !fw_state_get(w->want, &base6.key, &m6) ||
		m4 != m6 || !live(w, m4))
		return "the base mark is wrong";
	want.by_set[FW_BASE_MARK] = 2;
	want.by_set[FW_LIVE] = 1 + HASH_COUNT(w->plan->orphans);
	wrong = isolated_vm(w) ? closed(w) : users(w, &want);
	HASH_ITER (hh, world->e->vms, u, next)
		for (size_t i = 0; !wrong && i < u->n_addrs; i++)
			wrong = addresses(w, u, &u->addrs[i], &want);
	if (wrong)
		return wrong;
	if (fw_state_each(w->want, false, tally_cb, &got) < 0)
		return "out of memory";
	if (fw_state_each(w->want, false, remark_cb, w) < 0)
		return "an old mark leads to a dead one, or is live itself";
	for (int set = 0; set < FW_SET_COUNT; set++) {
		static char text[128];

		if (set == FW_REMARK || want.by_set[set] == got.by_set[set])
			continue;
		snprintf(text, sizeof(text), "set %d has %zu elements, not %zu", set,
			got.by_set[set], want.by_set[set]);
		return text;
	}
	return NULL;
}
