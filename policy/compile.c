/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * compile.c - the rules that concern one VM, as fw's model
 *
 * Two passes over the rules in their order of evaluation: the first finds which rules go where and
 * which alternatives of which group they need, the second builds groups (in the policy's order)
 * and rules. A peer list becomes "any" only when the text says any or when this VM itself is a
 * member by name and stands on that side; a list of which nothing can be here drops the rule from
 * that direction, it never widens it. A rule that forbids does not look at identity in inbound
 * `from`: there it is an address, shared by all who are on that VM, and would forbid them all.
 * A uid is no destination: every VM has it.
 * Called by svm-idfw when the policy, or a VM's name or addresses, change.
 */
#include "policy/tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct build {
	const struct pol_policy *p;
	struct pol_set member; /* groups that this VM is in by name */
	struct pol_set net;    /* groups with a prefix that holds one of its addresses */
	/* by slot: a policy group, or n_groups + policy group for it without its identity members
	 */
	uint8_t *fw_use; /* FW_USE_* */
	uint8_t *use;	 /* enum pol_use */
	uint16_t *index; /* ruleset group */
	struct pol_compiled *c;
	size_t rules_cap;
};

/* one end of a rule in one direction: any, or the groups that can be there */
struct end {
	bool any;
	const uint16_t *list;
	size_t n;
	bool here;  /* the end that is this VM */
	uint8_t id; /* enum pol_has: the identity that is looked at, 0 none */
};

static int net_groups(struct build *b, const struct pol_vm *vm)
{
	int err = pol_set_init(&b->net, b->p->n_groups);

	if (err)
		return err;
	for (size_t g = 0; g < b->p->n_groups; g++) {
		const struct pol_members *m = &b->p->groups[g].members;

		for (size_t i = 0; i < m->n; i++) {
			if (m->list[i].kind != POL_K_NET)
				continue;
			for (size_t a = 0; a < vm->n_addrs; a++) {
				if (gi_prefix_contains(&m->list[i].net, &vm->addrs[a]))
					pol_set_add(&b->net, g);
			}
		}
	}
	pol_set_close(b->p, &b->net);
	return 0;
}

static struct end end_new(
	const struct build *b, bool any, const uint16_t *list, size_t n, bool here)
{
	struct end e = { .any = any, .list = list, .n = n, .here = here, .id = POL_HAS_ID };

	for (size_t i = 0; here && !e.any && i < n; i++)
		e.any = pol_set_has(&b->member, list[i]);
	return e;
}

/* can the end be a member of the group? This VM's, other than by the VM's name */
static bool end_takes(const struct build *b, const struct end *e, uint16_t group)
{
	uint8_t has = b->p->groups[group].has;

	if (has & e->id)
		return true;
	return e->here ? pol_set_has(&b->net, group) : (has & (POL_HAS_VM | POL_HAS_NET)) != 0;
}

static size_t end_slot(const struct build *b, const struct end *e, uint16_t group)
{
	return !e->id && b->p->groups[group].has & POL_HAS_ID ? b->p->n_groups + group : group;
}

static bool end_possible(const struct build *b, const struct end *e)
{
	if (e->any)
		return true;
	for (size_t i = 0; i < e->n; i++) {
		if (end_takes(b, e, e->list[i]))
			return true;
	}
	return false;
}

/* @id: the enum pol_use of identity members at this end */
static void end_uses(struct build *b, const struct end *e, enum fw_use fw_id, enum pol_use id)
{
	if (e->any)
		return;
	for (size_t i = 0; i < e->n; i++) {
		uint16_t g = e->list[i];
		uint8_t has = b->p->groups[g].has;
		size_t at = end_slot(b, e, g);

		if (!end_takes(b, e, g))
			continue;
		if (has & e->id) {
			b->fw_use[at] |= (uint8_t)fw_id;
			b->use[at] |= (uint8_t)id;
		}
		if (e->here) { /* by name it would be any; by address, only if one is in it */
			if (pol_set_has(&b->net, g))
				b->fw_use[at] |= FW_USE_NETS;
			continue;
		}
		if (has & POL_HAS_VM) {
			b->fw_use[at] |= FW_USE_GA;
			b->use[at] |= POL_USE_VM;
		}
		if (has & POL_HAS_NET)
			b->fw_use[at] |= FW_USE_NETS;
	}
}

static void rule_ends(const struct build *b, const struct pol_rule *r, enum fw_dir dir,
	struct end *ret_from, struct end *ret_to)
{
	*ret_from = end_new(b, r->from_any, r->from_groups, r->n_from_groups, dir == FW_OUT);
	*ret_to = end_new(b, r->to_any, r->to_groups, r->n_to_groups, dir == FW_IN);
	if (dir == FW_IN && r->action != FW_ACCEPT)
		ret_from->id = 0;
	ret_to->id = POL_HAS_SESSION;
}

static bool rule_concerns(const struct build *b, const struct pol_rule *r, enum fw_dir dir)
{
	struct end from, to;

	if (r->disabled)
		return false;
	rule_ends(b, r, dir, &from, &to);
	return end_possible(b, &from) && end_possible(b, &to);
}

static size_t find_uses(struct build *b)
{
	static const enum pol_use from_use[] = {
		[FW_OUT] = POL_USE_OUT_FROM, [FW_IN] = POL_USE_IN_FROM
	};
	struct end from, to;
	size_t n = 0;

	for (size_t i = 0; i < b->p->n_rules; i++) {
		const struct pol_rule *r = &b->p->rules[i];

		for (int dir = FW_OUT; dir <= FW_IN; dir++) {
			if (!rule_concerns(b, r, (enum fw_dir)dir))
				continue;
			rule_ends(b, r, (enum fw_dir)dir, &from, &to);
			end_uses(b, &from, FW_USE_SG, from_use[dir]);
			end_uses(b, &to, FW_USE_IA, POL_USE_TO);
			n++;
		}
	}
	return n;
}

static int add_group(struct build *b, size_t slot)
{
	struct fw_ruleset *rs = b->c->ruleset;
	struct fw_group *fg = &rs->groups[rs->n_groups];
	size_t g = slot % b->p->n_groups;
	int err = 0;

	if (b->fw_use[slot] & FW_USE_NETS)
		err = pol_group_nets(b->p, g, &fg->nets, &fg->n_nets);
	if (err == 0 && slot == g)
		err = gi_text_copy(fg->name, sizeof(fg->name), b->p->groups[g].name);
	else if (err == 0) /* names of the text do not begin with '_' */
		(void)snprintf(fg->name, sizeof(fg->name), "_addr%zu", g + 1);
	fg->uses = b->fw_use[slot];
	b->c->policy_group[rs->n_groups] = (uint16_t)g;
	b->c->use[rs->n_groups] = b->use[slot];
	b->index[slot] = (uint16_t)rs->n_groups++; /* also on error: it owns nets */
	b->c->n_groups = rs->n_groups;
	return err;
}

static int add_groups(struct build *b)
{
	struct pol_compiled *c = b->c;
	size_t n = 0, n_slots = 2 * b->p->n_groups;
	int err = 0;

	for (size_t slot = 0; slot < n_slots; slot++)
		n += b->fw_use[slot] != 0;
	if (n > FW_GROUPS_MAX)
		return -GI_ELIMIT;
	c->ruleset->groups = calloc(n + 1, sizeof(c->ruleset->groups[0]));
	c->policy_group = calloc(n + 1, sizeof(c->policy_group[0]));
	c->use = calloc(n + 1, sizeof(c->use[0]));
	if (!c->ruleset->groups || !c->policy_group || !c->use)
		return -ENOMEM;
	for (size_t slot = 0; err == 0 && slot < n_slots; slot++) {
		if (b->fw_use[slot])
			err = add_group(b, slot);
	}
	return err;
}

static int add_end(const struct build *b, const struct end *e, uint16_t **ret, size_t *ret_n)
{
	uint16_t *list;
	size_t n = 0;

	if (e->any)
		return 0;
	list = calloc(e->n, sizeof(list[0]));
	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < e->n; i++) {
		if (end_takes(b, e, e->list[i]))
			list[n++] = b->index[end_slot(b, e, e->list[i])];
	}
	*ret = list;
	*ret_n = n;
	return 0;
}

static int add_rule(struct build *b, const struct pol_rule *r, enum fw_dir dir)
{
	struct fw_rule *fr = &b->c->ruleset->rules[b->c->ruleset->n_rules++];
	struct end from, to;
	size_t len;
	int err;

	fr->dir = dir;
	fr->action = r->action;
	fr->log = r->log;
	err = gi_text_copy(fr->name, sizeof(fr->name), pol_section_name(r->section));
	len = strlen(fr->name);
	fr->name[len++] = '/';
	if (err == 0)
		err = gi_text_copy(fr->name + len, sizeof(fr->name) - len, r->name);
	rule_ends(b, r, dir, &from, &to);
	if (err == 0)
		err = add_end(b, &from, &fr->from, &fr->n_from);
	if (err == 0)
		err = add_end(b, &to, &fr->to, &fr->n_to);
	if (err || r->n_services == 0)
		return err;
	fr->services = calloc(r->n_services, sizeof(fr->services[0]));
	if (!fr->services)
		return -ENOMEM;
	memcpy(fr->services, r->services, r->n_services * sizeof(fr->services[0]));
	fr->n_services = r->n_services;
	return 0;
}

static int add_rules(struct build *b, size_t n)
{
	int err = 0;

	b->c->ruleset->rules = calloc(n + 1, sizeof(b->c->ruleset->rules[0]));
	if (!b->c->ruleset->rules)
		return -ENOMEM;
	for (size_t i = 0; i < b->p->n_rules; i++) {
		const struct pol_rule *r = &b->p->rules[b->p->order[i]];

		for (int dir = FW_OUT; err == 0 && dir <= FW_IN; dir++) {
			if (rule_concerns(b, r, (enum fw_dir)dir))
				err = add_rule(b, r, (enum fw_dir)dir);
		}
	}
	return err;
}

static int build(struct build *b, const struct pol_vm *vm, uint64_t generation)
{
	const struct pol_policy *p = b->p;
	size_t n_rules;
	int err;

	b->fw_use = calloc(2 * p->n_groups + 1, 1);
	b->use = calloc(2 * p->n_groups + 1, 1);
	b->index = calloc(2 * p->n_groups + 1, sizeof(b->index[0]));
	b->c = calloc(1, sizeof(*b->c));
	if (b->c)
		b->c->ruleset = calloc(1, sizeof(*b->c->ruleset));
	if (!b->fw_use || !b->use || !b->index || !b->c || !b->c->ruleset)
		return -ENOMEM;
	err = pol_groups_of_vm(p, vm->name, &b->member);
	if (err == 0)
		err = net_groups(b, vm);
	if (err)
		return err;
	b->c->ruleset->generation = generation;
	b->c->ruleset->default_in = p->defaults[FW_IN].action;
	b->c->ruleset->default_out = p->defaults[FW_OUT].action;
	b->c->ruleset->revoke = p->revoke.mode;
	n_rules = find_uses(b);
	err = add_groups(b);
	return err ? err : add_rules(b, n_rules);
}

int pol_compile(const struct pol_policy *p, const struct pol_vm *vm, uint64_t generation,
	struct pol_compiled **ret)
{
	struct build b = { .p = p };
	int err = build(&b, vm, generation);

	free(b.fw_use);
	free(b.use);
	free(b.index);
	pol_set_fini(&b.member);
	pol_set_fini(&b.net);
	if (err) {
		pol_compiled_free(b.c);
		return err;
	}
	*ret = b.c;
	return 0;
}

void pol_compiled_free(struct pol_compiled *c)
{
	if (!c)
		return;
	fw_ruleset_free(c->ruleset);
	free(c->policy_group);
	free(c->use);
	free(c);
}
