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

static const struct world *the_world;

/* by a `logins` statement of the policy, as it is now */
static bool let_in(const struct world *world, const struct idfw_session *s)
{
	const char *rule;

	return !world->e->policy || s->is_unit ||
	       pol_login_allowed(world->e->policy, s->vm->name, &s->principal->member_of, &rule);
}

static bool counts(const struct idfw_session *s)
{
	size_t g = 0;

	if (!s->principal || s->kicked || s->principal->presence != IDFW_P_FOUND ||
		s->principal->held)
		return false;
	while (s->is_unit && g < s->principal->member_of.n &&
		!pol_set_has(&s->principal->member_of, g))
		g++;
	return let_in(the_world, s) && (!s->is_unit || g < s->principal->member_of.n);
}

static bool same_subject(const struct idfw_session *a, const struct idfw_session *b)
{
	return a->cgroup || b->cgroup ? a->cgroup == b->cgroup : a->uid == b->uid;
}

static bool same_key(const struct fw_elem *a, const struct fw_elem *b)
{
	return fw_key_cmp(&a->key, &b->key) == 0;
}

static struct fw_elem elem_of(const struct idfw_session *s)
{
	return s->cgroup ? fw_elem_cgroup(s->cgroup, 0) : fw_elem_uid(s->uid, 0);
}

/* what an isolated user begins outside of all sessions that go on */
static bool uid_isolated(const struct idfw_vm *vm, uint32_t uid)
{
	for (const struct idfw_isolation *i = vm->isolations; i; i = i->next)
		if (!i->whole_vm && i->uid == uid && uid >= the_world->e->conf.min_uid)
			return true;
	return false;
}

/* a session that is over may have left something behind in its cgroup that an isolation hits */
static bool left_isolated(const struct idfw_vm *vm, const struct idfw_recent *r)
{
	if (r->vm != vm || !r->left || !r->cgroup || !uid_isolated(vm, r->uid) ||
		memcmp(r->boot_id, vm->boot_id, sizeof(r->boot_id)) != 0)
		return false;
	for (const struct idfw_isolation *i = vm->isolations; i; i = i->next)
		if (!i->whole_vm && r->uid == i->uid &&
			(r->db_id == i->session || r->db_id > i->spares))
			return true;
	return false;
}

static bool left_by_isolated(const struct idfw_vm *vm, const struct fw_elem *key)
{
	const struct idfw_recent *r = vm->isolations ? the_world->e->recent_head : NULL;

	for (; r; r = r->next) { /* thousands: asked for each session */
		struct fw_elem el = fw_elem_cgroup(r->cgroup, 0);

		if (same_key(&el, key) && left_isolated(vm, r))
			return true;
	}
	return false;
}

/* one of the subject's sessions was isolated, or began after its user's was */
static bool isolated(const struct idfw_vm *vm, const struct idfw_session *of)
{
	struct fw_elem el = elem_of(of);

	if (of->cgroup ? left_by_isolated(vm, &el) : uid_isolated(vm, of->uid))
		return true;
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

/* away for longer than the group's lease? While it greets us it is as it was */
static bool lost(const struct world *world, const struct idfw_vm *u, size_t pg)
{
	uint64_t lease_ms = pol_group_lease_s(world->e->policy, pg) * UINT64_C(1000);

	if (u->connected && u->plan->phase == PLAN_RUNNING)
		return false;
	if (u->connected)
		return u->plan->lost_s * UINT64_C(1000) >= lease_ms;
	return world->mono_ms >= u->plan->away_ms + lease_ms;
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

/* a service that the policy names by uid: in this group, whatever VM it is on */
static bool uid_in(const struct world *world, size_t i, size_t pg)
{
	struct pol_set groups = { 0 };
	bool in = pol_groups_of_uid(world->e->policy, pol_uid(world->e->policy, i), &groups) == 0 &&
		  pol_set_has(&groups, pg);

	pol_set_fini(&groups);
	return in;
}

static bool some_uid_in(const struct world *world, size_t pg)
{
	for (size_t i = 0; i < pol_uid_count(world->e->policy); i++)
		if (uid_in(world, i, pg))
			return true;
	return false;
}

/* a person whom the kernel knows by nothing but this uid, or whom policy does not let in there */
static bool person_has(const struct world *world, const struct idfw_vm *w, uint32_t uid)
{
	for (const struct idfw_session *s = w->sessions; s; s = s->v_next)
		if (s->uid == uid && uid >= world->e->conf.min_uid &&
			(!s->cgroup || ((s->refused || s->kicked) && s->principal &&
					       s->principal->presence == IDFW_P_FOUND)))
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

struct tally {
	size_t by_set[FW_SET_COUNT];
	uint32_t chain[4096]; /* marks that have a lapse */
	size_t n_chain;
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

/* does a rule with this action look at who is in the group? */
static bool ruled(const struct idfw_vm *w, size_t group, bool accept)
{
	const struct fw_ruleset *rs = fw_state_ruleset(w->want);

	for (size_t i = 0; i < rs->n_rules; i++)
		for (size_t k = 0; k < rs->rules[i].n_from; k++)
			if (rs->rules[i].from[k] == group &&
				(rs->rules[i].action == FW_ACCEPT) == accept)
				return true;
	return false;
}

static uint32_t lease(const struct world *world, const struct idfw_vm *w, size_t group)
{
	return pol_group_lease_s(world->e->policy, w->compiled->policy_group[group]);
}

/* the leases that a subject with these groups has: one each, rising, FW_LAPSES_MAX + 1 at most */
static size_t leases(
	const struct world *world, const struct idfw_vm *w, const bool *in, uint32_t ret[])
{
	uint32_t cap = UINT32_MAX, last = 0;
	size_t n = 0;

	for (size_t i = 0; i < w->compiled->n_groups; i++)
		if (in[i] && ruled(w, i, true) && ruled(w, i, false) && lease(world, w, i) < cap)
			cap = lease(world, w, i);
	for (;;) {
		uint32_t next = UINT32_MAX;

		for (size_t i = 0; i < w->compiled->n_groups; i++)
			if (in[i] && ruled(w, i, true) && lease(world, w, i) > last &&
				lease(world, w, i) <= cap && lease(world, w, i) < next)
				next = lease(world, w, i);
		if (next == UINT32_MAX)
			break;
		ret[n++] = last = next; /* a policy has no more than FW_LAPSES_MAX + 1 */
	}
	return n;
}

/* a subject's mark and its lapses: leases, groups, the way from one to the next */
static const char *marks(const struct world *world, const struct idfw_vm *w, uint32_t mark,
	const bool *in, bool isolated, struct tally *t)
{
	uint32_t list[FW_LAPSES_MAX + 1] = { 0 };
	size_t n = leases(world, w, in, list);

	for (size_t k = 0; k < n || !k; k++) {
		struct fw_elem el = fw_elem_mark(FW_LIVE, 0, mark), next = fw_elem_remark(mark, 0);
		bool is_live = fw_state_get_elem(w->want, &el.key, &el);

		if (is_live == isolated)
			return isolated ? "an isolated session's mark is live"
					: "a subject has no live mark";
		if (is_live && (el.lease_s != list[k] || el.ends))
			return "a mark has the wrong lease";
		t->by_set[FW_LIVE] += is_live;
		for (size_t i = 0; i < w->compiled->n_groups; i++) {
			struct fw_elem sg = fw_elem_mark(FW_SG, (uint16_t)i, mark);
			bool want = in[i] &&
				    (!k || !ruled(w, i, true) || lease(world, w, i) >= list[k]);

			if (want != has(w, &sg))
				return want ? "a subject lacks a group"
					    : "a subject has a group too many";
			t->by_set[FW_SG] += want;
		}
		if (k + 1 >= n)
			return fw_state_get(w->want, &next.key, NULL) ? "a last mark has a lapse"
								      : NULL;
		if (t->n_chain < GI_ARRAY_SIZE(t->chain))
			t->chain[t->n_chain++] = mark;
		if (!fw_state_get(w->want, &next.key, &mark))
			return "a lapse is missing";
	}
	return NULL;
}

static const char *users(const struct world *world, struct idfw_vm *w, struct tally *t)
{
	const struct pol_compiled *c = w->compiled;
	bool out = false, in[64];
	const char *wrong;

	if (c->n_groups > GI_ARRAY_SIZE(in))
		return "too many groups for this test";

	for (size_t i = 0; i < c->n_groups; i++)
		out |= c->use[i] & POL_USE_OUT_FROM;
	for (const struct idfw_session *s = w->sessions; s; s = s->v_next) {
		struct fw_elem el = elem_of(s);
		const struct idfw_session *o = w->sessions;
		uint32_t mark = 0;

		if (!out || !(counts(s) || isolated(w, s)))
			continue;
		while (o != s && !(same_subject(o, s) && (counts(o) || isolated(w, o))))
			o = o->v_next;
		if (o != s)
			continue; /* this subject was looked at */
		if (!fw_state_get(w->want, &el.key, &mark))
			return "a session has no mark";
		t->by_set[el.key.set]++;
		for (size_t i = 0; i < c->n_groups; i++)
			in[i] = c->use[i] & POL_USE_OUT_FROM &&
				subject_has(w, s, c->policy_group[i]);
		wrong = marks(world, w, mark, in, isolated(w, s), t);
		if (wrong)
			return wrong;
	}
	return NULL;
}

/* is the key a uid that the policy names as a service here, and no person's? services() has it */
static bool service_uid(
	const struct world *world, const struct idfw_vm *w, const struct fw_elem *el)
{
	const struct pol_compiled *c = w->compiled;

	for (size_t k = 0; k < pol_uid_count(world->e->policy); k++) {
		struct fw_elem other = fw_elem_uid(pol_uid(world->e->policy, k), 0);

		if (!same_key(el, &other) || person_has(world, w, pol_uid(world->e->policy, k)))
			continue;
		for (size_t i = 0; i < c->n_groups; i++)
			if (c->use[i] & POL_USE_OUT_FROM && uid_in(world, k, c->policy_group[i]))
				return true;
	}
	return false;
}

static size_t key_add(struct fw_elem *keys, size_t n, struct fw_elem el)
{
	size_t k = 0;

	while (k < n && !same_key(&keys[k], &el))
		k++;
	keys[k] = el;
	return k == n ? n + 1 : n;
}

/* the keys of what isolated users have outside of sessions, each once */
static size_t left_keys(const struct idfw_vm *w, struct fw_elem *keys, size_t max)
{
	size_t n = 0;

	for (const struct idfw_recent *r = the_world->e->recent_head; r; r = r->next)
		if (left_isolated(w, r) && n < IDFW_REMAINS_VM_MAX)
			n = key_add(keys, n, fw_elem_cgroup(r->cgroup, 0));
	for (const struct idfw_isolation *i = w->isolations; i && n < max; i = i->next)
		if (uid_isolated(w, i->uid))
			n = key_add(keys, n, fw_elem_uid(i->uid, 0));
	return n;
}

/* they have a mark that is not live, and no groups */
static const char *remains(const struct world *world, struct idfw_vm *w, struct tally *t)
{
	static struct fw_elem keys[2 * IDFW_REMAINS_VM_MAX];
	const struct pol_compiled *c = w->compiled;
	bool out = false, in[64] = { false };
	size_t n = left_keys(w, keys, GI_ARRAY_SIZE(keys));

	for (size_t i = 0; i < c->n_groups; i++)
		out |= c->use[i] & POL_USE_OUT_FROM;
	for (size_t k = 0; out && k < n; k++) {
		const struct idfw_session *s = w->sessions;
		const char *wrong;
		uint32_t mark = 0;

		for (; s; s = s->v_next) {
			struct fw_elem other = elem_of(s);

			if (same_key(&other, &keys[k]))
				break;
		}
		if (s || service_uid(world, w, &keys[k]))
			continue; /* was looked at */
		if (!fw_state_get(w->want, &keys[k].key, &mark))
			return "what an isolated user has outside of sessions has no mark";
		t->by_set[keys[k].key.set]++;
		wrong = marks(world, w, mark, in, true, t);
		if (wrong)
			return wrong;
	}
	return NULL;
}

static const char *services(const struct world *world, struct idfw_vm *w, struct tally *t)
{
	const struct pol_compiled *c = w->compiled;

	for (size_t k = 0; k < pol_uid_count(world->e->policy); k++) {
		uint32_t uid = pol_uid(world->e->policy, k), mark = 0;
		struct fw_elem el = fw_elem_uid(uid, 0);
		bool any = false, in[64];
		const char *wrong;

		for (size_t i = 0; i < c->n_groups; i++) {
			in[i] = c->use[i] & POL_USE_OUT_FROM &&
				uid_in(world, k, c->policy_group[i]);
			any |= in[i];
		}
		if (!any || person_has(world, w, uid))
			continue;
		if (!fw_state_get(w->want, &el.key, &mark))
			return "a service has no mark";
		t->by_set[el.key.set]++;
		wrong = marks(world, w, mark, in, uid_isolated(w, uid), t);
		if (wrong)
			return wrong;
	}
	return NULL;
}

static const char *peer(const struct world *world, struct idfw_vm *w, const struct idfw_vm *u,
	const struct gi_addr *a, struct tally *t)
{
	const struct pol_compiled *c = w->compiled;
	struct fw_elem el = fw_elem_addr(a, 0);
	uint32_t mark = 0;
	bool any = false, there = fw_state_get(w->want, &el.key, &mark), in[64];

	for (size_t i = 0; i < c->n_groups; i++) {
		in[i] = u != w && c->use[i] & POL_USE_IN_FROM &&
			(vm_has(u, c->policy_group[i]) ||
				(!isolated_vm(u) && some_uid_in(world, c->policy_group[i]))) &&
			!lost(world, u, c->policy_group[i]);
		any |= in[i];
	}
	if (any != there)
		return any ? "an address with members has no mark"
			   : "an address has a mark for nothing";
	if (!any)
		return NULL;
	t->by_set[el.key.set]++;
	return marks(world, w, mark, in, false, t);
}

static const char *addresses(const struct world *world, struct idfw_vm *w, const struct idfw_vm *u,
	const struct gi_addr *a, struct tally *t)
{
	const struct pol_compiled *c = w->compiled;

	for (size_t i = 0; i < c->n_groups; i++) {
		struct fw_elem ga = fw_elem_group_addr(FW_GA4, (uint16_t)i, a),
			       ia = fw_elem_group_addr(FW_IA4, (uint16_t)i, a);
		bool want_ga =
			c->use[i] & POL_USE_VM && pol_set_has(&u->plan->named, c->policy_group[i]);
		bool want_ia = c->use[i] & POL_USE_TO && vm_has(u, c->policy_group[i]) &&
			       (w->plan->deny[i] || !lost(world, u, c->policy_group[i]));

		if (want_ga != has(w, &ga))
			return "ga_ is wrong";
		if (want_ia != has(w, &ia))
			return "ia_ is wrong";
		t->by_set[ga.key.set] += want_ga;
		t->by_set[ia.key.set] += want_ia;
	}
	return peer(world, w, u, a, t);
}

static bool leads_to(const struct idfw_vm *w, struct fw_elem el, uint32_t mark)
{
	uint32_t m = 0;

	for (int k = 0; k <= FW_LAPSES_MAX && fw_state_get(w->want, &el.key, &m); k++) {
		if (m == mark)
			return true;
		el = fw_elem_remark(m, 0);
	}
	return false;
}

/* old flows of an isolated session lead to its mark, which is not live */
static bool isolated_mark(const struct idfw_vm *w, uint32_t mark)
{
	for (const struct idfw_session *s = w->sessions; s; s = s->v_next) {
		struct fw_elem el = elem_of(s);

		if (s->principal && isolated(w, s) && leads_to(w, el, mark))
			return true;
	}
	for (const struct idfw_recent *r = the_world->e->recent_head; r; r = r->next)
		if (left_isolated(w, r) && leads_to(w, fw_elem_cgroup(r->cgroup, 0), mark))
			return true;
	for (const struct idfw_isolation *i = w->isolations; i; i = i->next)
		if (uid_isolated(w, i->uid) && leads_to(w, fw_elem_uid(i->uid, 0), mark))
			return true;
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

struct remarks {
	const struct idfw_vm *w;
	const struct tally *t;
};

static int remark_cb(void *arg, const struct fw_elem *e)
{
	const struct remarks *r = arg;

	if (e->key.set != FW_REMARK)
		return 0;
	if (!live(r->w, e->mark) && !isolated_mark(r->w, e->mark))
		return -EINVAL;
	if (plan_draining(r->w->plan, fw_key_u32(&e->key)))
		return 0;
	for (size_t i = 0; i < r->t->n_chain; i++)
		if (r->t->chain[i] == fw_key_u32(&e->key))
			return 0;
	return live(r->w, fw_key_u32(&e->key)) ? -EINVAL : 0;
}

/* each of an orphan's marks is live until it is claimed */
static size_t orphans(const struct idfw_vm *w)
{
	const struct plan_orphan *o;
	size_t n = 0;

	for (o = w->plan->orphans; o; o = o->hh.next)
		n += o->n_marks;
	return n;
}

const char *world_naive(struct world *world, struct idfw_vm *w)
{
	static struct tally want, got;
	const struct remarks remarks = { w, &want };
	struct fw_elem base4 = fw_elem_base(4, 0), base6 = fw_elem_base(6, 0);
	uint32_t m4 = 0, m6 = 0;
	const char *wrong;
	struct idfw_vm *u, *next;

	if (!w->compiled)
		return NULL;
	the_world = world;
	memset(&want, 0, sizeof(want));
	memset(&got, 0, sizeof(got));
	if (!fw_state_get(w->want, &base4.key, &m4) || !fw_state_get(w->want, &base6.key, &m6) ||
		m4 != m6 || !live(w, m4))
		return "the base mark is wrong";
	want.by_set[FW_BASE_MARK] = 2;
	want.by_set[FW_LIVE] = 1 + orphans(w) + w->plan->n_drains;
	for (size_t i = 0; i < w->plan->n_drains; i++) {
		const struct plan_drain *d = &w->plan->drains[i];
		struct fw_elem el = fw_elem_mark(FW_LIVE, 0, d->mark);

		if (d->until_ms <= world->mono_ms || !fw_state_get_elem(w->want, &el.key, &el) ||
			!el.ends || !el.lease_s)
			return "a drain that is none";
	}
	wrong = isolated_vm(w) ? closed(w) : users(world, w, &want);
	if (!wrong && !isolated_vm(w))
		wrong = services(world, w, &want);
	if (!wrong && !isolated_vm(w))
		wrong = remains(world, w, &want);
	HASH_ITER (hh, world->e->vms, u, next)
		for (size_t i = 0; !wrong && i < u->n_addrs; i++)
			wrong = addresses(world, w, u, &u->addrs[i], &want);
	if (wrong)
		return wrong;
	if (fw_state_each(w->want, false, tally_cb, &got) < 0)
		return "out of memory";
	if (fw_state_each(w->want, false, remark_cb, (void *)(uintptr_t)&remarks) < 0)
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

int world_recent_restore(struct world *w, const struct idfw_recent *rec)
{
	struct idfw_store_recent r = { .id = rec->id,
		.db_id = rec->db_id,
		.cgroup = rec->cgroup,
		.uid = rec->uid,
		.left = rec->left,
		.user = rec->user };
	int err;

	memcpy(r.boot_id, rec->boot_id, sizeof(r.boot_id));
	err = idfw_engine_restore_recent(w->e, rec->vm->name, &r);
	if (err == 0 && rec->left)
		err = idfw_engine_restore_left(
			w->e, rec->vm->name, r.boot_id, r.db_id, r.uid, r.cgroup);
	return err;
}
