/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fan.c - what one VM's sessions and addresses mean for the others: which VMs a change concerns
 *
 * Runs in svm-idfw's engine. Each policy group has a list of its uses by VMs' rulesets; a VM
 * counts its sessions in each group. Only a count that begins or ends, or an address that comes
 * or goes, concerns other VMs, and of them only those that use the group: that is the whole
 * fan-out. A group that rules look at as destination (ia_), or that stands for VMs (ga_), changes
 * whom running flows match: when less matches, or when a rule that does not accept is concerned,
 * the VM judges its flows again (plan_rejudge).
 */
#include "svm-idfw/core.h"

#include <stdlib.h>
#include <string.h>

/* ---- the index ---- */

static int ref_add(struct plan_refs *r, struct idfw_vm *vm, uint16_t group, uint8_t use)
{
	if (r->n == r->cap) {
		size_t cap = r->cap ? r->cap * 2 : 4;
		struct plan_ref *n = realloc(r->list, cap * sizeof(*n));

		if (!n)
			return -ENOMEM;
		r->list = n;
		r->cap = cap;
	}
	r->list[r->n++] = (struct plan_ref){ .vm = vm, .group = group, .use = use };
	return 0;
}

static void refs_drop(struct idfw_engine *e, const struct idfw_vm *vm)
{
	for (size_t g = 0; g < e->n_groups; g++) {
		struct plan_refs *r = &e->refs[g];
		size_t n = 0;

		for (size_t i = 0; i < r->n; i++)
			if (r->list[i].vm != vm)
				r->list[n++] = r->list[i];
		r->n = n;
	}
}

/* groups in rules that drop or reject: there, more members may mean less access */
static uint8_t *deny_new(const struct fw_ruleset *rs)
{
	uint8_t *deny = calloc(rs->n_groups + 1, 1);

	for (size_t i = 0; deny && i < rs->n_rules; i++) {
		const struct fw_rule *r = &rs->rules[i];

		if (r->action == FW_ACCEPT)
			continue;
		for (size_t k = 0; k < r->n_from; k++)
			deny[r->from[k]] = 1;
		for (size_t k = 0; k < r->n_to; k++)
			deny[r->to[k]] = 1;
	}
	return deny;
}

/*
 * By ruleset group: for how long membership allows something after the last heartbeat, UINT32_MAX
 * when it allows nothing: who is only forbidden something stays so in every lapse. A group that
 * does both (caps) can be in a lapse neither with nor without opening something: nothing of
 * its members outlasts its lease.
 */
static uint32_t *lease_new(struct idfw_engine *e, const struct pol_compiled *c, uint8_t **ret_caps)
{
	const struct fw_ruleset *rs = c->ruleset;
	uint32_t *lease = calloc(rs->n_groups + 1, sizeof(*lease));
	uint8_t *caps = calloc(rs->n_groups + 1, 1);

	*ret_caps = caps;
	for (size_t g = 0; lease && g < rs->n_groups; g++)
		lease[g] = UINT32_MAX;
	for (size_t i = 0; lease && caps && i < rs->n_rules; i++) {
		const struct fw_rule *r = &rs->rules[i];

		for (size_t k = 0; k < r->n_from; k++) {
			if (r->action == FW_ACCEPT)
				lease[r->from[k]] = lease_of(e, c->policy_group[r->from[k]]);
			else
				caps[r->from[k]] = 1;
		}
	}
	return lease;
}

/* no rule, no group: both directions drop, and there is nothing that an element could mean */
static int compile_isolated(uint64_t generation, struct pol_compiled **ret)
{
	struct pol_compiled *c = calloc(1, sizeof(*c));

	if (c)
		c->ruleset = calloc(1, sizeof(*c->ruleset));
	if (!c || !c->ruleset) {
		pol_compiled_free(c);
		return -ENOMEM;
	}
	c->ruleset->generation = generation;
	c->ruleset->default_in = c->ruleset->default_out = FW_DROP;
	*ret = c;
	return 0;
}

int fan_compile_vm(const struct pol_policy *p, const struct idfw_vm *vm, uint64_t generation,
	struct pol_compiled **ret)
{
	struct pol_vm pv = { .name = vm->name, .addrs = vm->addrs, .n_addrs = vm->n_addrs };

	return vm->isolation ? compile_isolated(generation, ret)
			     : pol_compile(p, &pv, generation, ret);
}

int fan_compile(struct idfw_engine *e, struct idfw_vm *vm)
{
	struct idfw_plan *p = vm->plan;
	int r;

	if (!e->policy)
		return 0;
	pol_set_fini(&p->named);
	r = pol_groups_of_vm(e->policy, vm->name, &p->named);
	if (r < 0)
		return r;
	free(p->count);
	p->count = calloc(e->n_groups + 1, sizeof(*p->count));
	if (!p->count)
		return -ENOMEM;
	pol_compiled_free(vm->compiled);
	vm->compiled = NULL;
	r = fan_compile_vm(e->policy, vm, e->generation, &vm->compiled);
	if (r < 0)
		return r;
	fan_recount(e, vm);
	fan_install(e, vm);
	fan_to(e, vm);
	e->watch_all |= pol_unit_count(e->policy) > 0;
	return 0;
}

void fan_install(struct idfw_engine *e, struct idfw_vm *vm)
{
	struct pol_compiled *c = vm->compiled;
	struct idfw_plan *p = vm->plan;
	int r = 0;

	free(p->deny);
	free(p->lease);
	free(p->caps);
	p->deny = deny_new(c->ruleset);
	p->lease = lease_new(e, c, &p->caps);
	p->has_out = false;
	for (size_t i = 0; i < c->n_groups; i++) {
		p->has_out |= c->use[i] & POL_USE_OUT_FROM;
		if (c->use[i] && r == 0)
			r = ref_add(&e->refs[c->policy_group[i]], vm, (uint16_t)i, c->use[i]);
	}
	fw_state_set_ruleset(vm->want, c->ruleset);
	lease_reset(p);
	c->ruleset = NULL;
	plan_touch(e, vm);
	plan_full(e, vm, e->mono_ms);
	if (p->deny && p->lease && p->caps)
		plan_restart(e, vm);
	if (r < 0 || !p->deny || !p->lease || !p->caps) {
		p->broken = true; /* no memory: nothing half is pushed */
		gi_err("%s: its ruleset is not used: %s", vm->name, gi_strerror(-ENOMEM));
	}
}

static void count_add(struct idfw_vm *vm, const struct pol_set *s)
{
	for (size_t w = 0; w * 64 < s->n; w++)
		for (uint64_t bits = pol_set_word(s, w); bits; bits &= bits - 1)
			vm->plan->count[w * 64 + (size_t)__builtin_ctzll(bits)]++;
}

void fan_recount(struct idfw_engine *e, struct idfw_vm *vm)
{
	const struct idfw_session *s;

	memset(vm->plan->count, 0, e->n_groups * sizeof(*vm->plan->count));
	for (s = vm->sessions; s; s = s->v_next)
		if (s->counted && !idfw_session_isolation(s))
			count_add(vm, &s->principal->member_of);
}

/* ---- effects ---- */

/* do u's sessions count as destination? What a rule forbids does not open because u is away */
static bool counts_to(
	const struct idfw_engine *e, const struct plan_ref *r, const struct idfw_vm *u, size_t g)
{
	const struct idfw_plan *p = r->vm->plan;

	return u->plan->count && u->plan->count[g] &&
	       ((p->deny && p->deny[r->group]) || !lease_lost(e, u, g));
}

static void emit_addr(struct idfw_engine *e, const struct plan_ref *r, enum fw_set set4,
	const struct gi_addr *a, bool del)
{
	struct fw_elem el = fw_elem_group_addr(set4, r->group, a);
	struct idfw_plan *p = r->vm->plan;

	if (del == !fw_state_get(r->vm->want, &el.key, NULL))
		return;
	plan_emit(e, r->vm, del, &el);
	if (e->ready)
		ready_wait(e, e->ready, r->vm, p->unit);
	if (del || (p->deny && p->deny[r->group]))
		plan_rejudge(e, r->vm);
}

static void peers_update(struct idfw_engine *e, struct idfw_vm *w, const struct idfw_vm *u)
{
	if (w == u || w->plan->stamp == e->stamp)
		return;
	w->plan->stamp = e->stamp;
	for (size_t i = 0; i < u->n_addrs; i++)
		plan_peer_update(e, w, u, &u->addrs[i]);
}

void fan_changed(struct idfw_engine *e, struct idfw_vm *u)
{
	e->stamp++;
	for (size_t k = 0; k < e->n_changed; k++) {
		size_t g = e->changed[k];
		const struct plan_refs *refs = &e->refs[g];

		for (size_t i = 0; i < refs->n; i++) {
			const struct plan_ref *r = &refs->list[i];

			if (r->use & POL_USE_TO)
				for (size_t a = 0; a < u->n_addrs; a++)
					emit_addr(
						e, r, FW_IA4, &u->addrs[a], !counts_to(e, r, u, g));
			if (r->use & POL_USE_IN_FROM)
				peers_update(e, r->vm, u);
		}
	}
	e->n_changed = 0;
}

void fan_session(struct idfw_engine *e, struct idfw_vm *u, const struct pol_set *had,
	const struct pol_set *has)
{
	static const struct pol_set none;
	uint32_t *count = u->plan->count;

	if (!e->policy || !count)
		return;
	if (!u->connected) { /* a group that has no member yet may be lost already */
		lease_away(e, u);
		lease_lost_now(e, u);
	}
	had = had ? had : &none;
	has = has ? has : &none;
	e->n_changed = 0;
	for (size_t w = 0; w * 64 < e->n_groups; w++) {
		uint64_t was = pol_set_word(had, w), is = pol_set_word(has, w);

		for (uint64_t bits = was ^ is; bits; bits &= bits - 1) {
			size_t g = w * 64 + (size_t)__builtin_ctzll(bits);

			if (is >> (g % 64) & 1 ? count[g]++ == 0 : --count[g] == 0)
				e->changed[e->n_changed++] = g;
		}
	}
	fan_changed(e, u);
}

/* do u's addresses count as this group's for others, away or not: a session's, or a uid's? */
static bool lends(const struct idfw_engine *e, const struct idfw_vm *u, size_t g)
{
	return (u->plan->count && u->plan->count[g]) || uid_counts(e, u, g);
}

/* one address of u for one user of one group */
static void addr_ref(struct idfw_engine *e, const struct plan_ref *r, const struct idfw_vm *u,
	size_t g, const struct gi_addr *a)
{
	if (r->use & POL_USE_VM && pol_set_has(&u->plan->named, g))
		emit_addr(e, r, FW_GA4, a, false);
	if (r->use & POL_USE_TO && counts_to(e, r, u, g))
		emit_addr(e, r, FW_IA4, a, false);
	if (r->use & POL_USE_IN_FROM && r->vm != u && lends(e, u, g))
		plan_peer_update(e, r->vm, u, a);
}

/* is u in this group by name or by who is there? Else its addresses concern nobody because of it */
static bool in_group(const struct idfw_engine *e, const struct idfw_vm *u, size_t g)
{
	return pol_set_has(&u->plan->named, g) || lends(e, u, g);
}

void fan_addr_add(struct idfw_engine *e, struct idfw_vm *u, const struct gi_addr *a)
{
	for (size_t g = 0; g < e->n_groups; g++)
		for (size_t i = 0; in_group(e, u, g) && i < e->refs[g].n; i++)
			addr_ref(e, &e->refs[g].list[i], u, g, a);
}

void fan_addr_del(struct idfw_engine *e, struct idfw_vm *u, const struct gi_addr *a)
{
	for (size_t g = 0; g < e->n_groups; g++) {
		for (size_t i = 0; in_group(e, u, g) && i < e->refs[g].n; i++) {
			const struct plan_ref *r = &e->refs[g].list[i];

			if (r->use & POL_USE_VM && pol_set_has(&u->plan->named, g))
				emit_addr(e, r, FW_GA4, a, true);
			if (r->use & POL_USE_TO)
				emit_addr(e, r, FW_IA4, a, true);
			if (r->use & POL_USE_IN_FROM)
				plan_peer_update(e, r->vm, NULL, a);
		}
	}
}

void fan_from(struct idfw_engine *e, struct idfw_vm *u)
{
	for (size_t i = 0; i < u->n_addrs; i++)
		fan_addr_add(e, u, &u->addrs[i]);
}

void fan_to(struct idfw_engine *e, struct idfw_vm *w)
{
	const struct pol_compiled *c = w->compiled;
	struct idfw_vm *u, *next;

	if (!c)
		return;
	HASH_ITER (hh, e->vms, u, next) {
		for (size_t i = 0; i < c->n_groups; i++) {
			struct plan_ref r = { .vm = w, .group = (uint16_t)i, .use = c->use[i] };

			for (size_t a = 0; c->use[i] && a < u->n_addrs; a++)
				addr_ref(e, &r, u, c->policy_group[i], &u->addrs[a]);
		}
	}
	w->plan->rejudge = false; /* it was just done */
}

/* ---- rules that depend on the VM's own addresses ---- */

static bool rule_equal(const struct fw_rule *a, const struct fw_rule *b)
{
	if (strcmp(a->name, b->name) || a->dir != b->dir || a->action != b->action ||
		a->log != b->log || a->n_from != b->n_from || a->n_to != b->n_to ||
		a->n_services != b->n_services)
		return false;
	if ((a->n_from && memcmp(a->from, b->from, a->n_from * sizeof(*a->from))) ||
		(a->n_to && memcmp(a->to, b->to, a->n_to * sizeof(*a->to))))
		return false;
	for (size_t i = 0; i < a->n_services; i++) {
		const struct fw_service *x = &a->services[i], *y = &b->services[i];

		if (x->proto != y->proto || x->port_lo != y->port_lo || x->port_hi != y->port_hi ||
			x->icmp_type != y->icmp_type)
			return false;
	}
	return true;
}

static bool group_equal(const struct fw_group *a, const struct fw_group *b)
{
	if (strcmp(a->name, b->name) || a->uses != b->uses || a->n_nets != b->n_nets)
		return false;
	for (size_t i = 0; i < a->n_nets; i++)
		if (gi_prefix_cmp(&a->nets[i], &b->nets[i]))
			return false;
	return true;
}

static bool ruleset_equal(const struct fw_ruleset *a, const struct fw_ruleset *b)
{
	if (!a || !b || a->generation != b->generation || a->default_in != b->default_in ||
		a->default_out != b->default_out || a->n_groups != b->n_groups ||
		a->n_rules != b->n_rules)
		return false;
	for (size_t i = 0; i < a->n_groups; i++)
		if (!group_equal(&a->groups[i], &b->groups[i]))
			return false;
	for (size_t i = 0; i < a->n_rules; i++)
		if (!rule_equal(&a->rules[i], &b->rules[i]))
			return false;
	return true;
}

int fan_recompile(struct idfw_engine *e, struct idfw_vm *vm)
{
	struct pol_compiled *c = NULL;
	int r;

	if (!e->policy || !vm->compiled)
		return 0;
	r = fan_compile_vm(e->policy, vm, e->generation, &c);
	if (r < 0) {
		gi_err("%s: its rules are not compiled again: %s", vm->name, gi_strerror(r));
		return r;
	}
	if (ruleset_equal(c->ruleset, fw_state_ruleset(vm->want))) {
		pol_compiled_free(c);
		return 0;
	}
	pol_compiled_free(vm->compiled);
	vm->compiled = c;
	refs_drop(e, vm);
	fan_install(e, vm);
	fan_to(e, vm);
	e->watch_all |= pol_unit_count(e->policy) > 0;
	return 0;
}
