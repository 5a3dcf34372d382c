/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * warn.c - what is allowed in a policy but hardly meant: warnings
 *
 * Unused groups and services, rules that an earlier one hides, a policy that would cut VMs off from
 * what they need, on-loss and on-stale without effect or too soon, uids of people, logins on a VM
 * whose name is nearly another's. Silent about what can only be a consequence of an error.
 */
#include "policy/tree.h"

#include <stdlib.h>
#include <string.h>

#define PERSON_UID_MIN 1000 /* login.defs(5) UID_MIN, UID_MAX */
#define PERSON_UID_MAX 60000
#define EFFORT_MAX 20000000 /* comparisons; comparing 4096 rules takes less than half */

static void mark_named(struct pol_group *g, bool infra)
{
	g->infra = infra && (g->infra || !g->named);
	g->used = g->named = true;
}

static void mark_used(struct pol_policy *p)
{
	for (size_t i = 0; i < p->n_rules; i++) {
		const struct pol_rule *r = &p->rules[i];
		bool infra = r->section == POL_S_INFRASTRUCTURE;

		for (size_t k = 0; k < r->n_from_groups; k++)
			mark_named(&p->groups[r->from_groups[k]], infra);
		for (size_t k = 0; k < r->n_to_groups; k++)
			mark_named(&p->groups[r->to_groups[k]], infra);
	}
	for (size_t i = 0; i < p->n_logins; i++) {
		const struct pol_logins *l = &p->logins[i];

		for (size_t k = 0; k < l->n_user_groups; k++)
			p->groups[l->user_groups[k]].used = true;
		for (size_t k = 0; k < l->n_place_groups; k++)
			p->groups[l->place_groups[k]].used = true;
	}
	/* edges have children before parents: from the back, parents pass it down */
	for (size_t i = p->n_edges; i-- > 0;) {
		if (p->groups[p->edges[i].parent].used)
			p->groups[p->edges[i].child].used = true;
	}
}

static void warn_unused(const struct pol_policy *p, struct conf_diags *d)
{
	for (size_t i = 0; i < p->n_named; i++) {
		const struct pol_group *g = &p->groups[i];

		if (!g->used && !g->broken)
			conf_diag_add(
				d, CONF_WARNING, &g->pos, "no rule uses group \"%s\"", g->name);
	}
	for (size_t i = 0; i < p->n_services; i++) {
		const struct pol_service *s = &p->services[i];

		if (!s->used && !s->broken && !s->builtin)
			conf_diag_add(
				d, CONF_WARNING, &s->pos, "no rule uses service \"%s\"", s->name);
	}
}

/* on-loss is about the group that a rule names, and about who is in it by identity */
static void warn_loss(const struct pol_policy *p, struct conf_diags *d)
{
	for (size_t i = 0; i < p->n_named; i++) {
		const struct pol_group *g = &p->groups[i];

		if (!g->loss.given || !g->used)
			continue;
		if (!(g->has & POL_HAS_ID))
			conf_diag_add(d, CONF_WARNING, &g->loss.pos,
				"on-loss changes nothing: group \"%s\" has no identity, and what "
				"VMs and addresses may do always stays",
				g->name);
		else if (!g->named)
			conf_diag_add(d, CONF_WARNING, &g->loss.pos,
				"on-loss changes nothing: no rule names group \"%s\", and that of "
				"the group that a rule names counts",
				g->name);
		else if (g->infra && g->loss.lease_s == POL_LEASE_MIN_S)
			conf_diag_add(d, CONF_WARNING, &g->loss.pos,
				"group \"%s\" stands in rules of section infrastructure only: "
				"closing them with the service may cut off who repairs it",
				g->name);
	}
}

static bool in_logins(const struct pol_policy *p, size_t group)
{
	for (size_t i = 0; i < p->n_logins; i++) {
		const struct pol_members *users = &p->logins[i].users;

		for (size_t k = 0; k < users->n; k++)
			if (users->list[k].kind == POL_K_GROUP && users->list[k].group == group)
				return true;
	}
	return false;
}

/* on-stale is about the same group, or one that lets users in, by the directory */
static void warn_stale(const struct pol_policy *p, struct conf_diags *d)
{
	for (size_t i = 0; i < p->n_named; i++) {
		const struct pol_group *g = &p->groups[i];

		if (!g->stale.given || !g->used)
			continue;
		if (!(g->has & POL_HAS_PERSON))
			conf_diag_add(d, CONF_WARNING, &g->stale.pos,
				"on-stale changes nothing: nobody is in group \"%s\" by the "
				"directory",
				g->name);
		else if (!g->named && !in_logins(p, i))
			conf_diag_add(d, CONF_WARNING, &g->stale.pos,
				"on-stale changes nothing: no rule names group \"%s\", and that of "
				"the group that a rule names counts",
				g->name);
	}
}

/* uids that useradd(8) gives to people: a service's uid is below */
static void warn_person(const struct pol_members *m, struct conf_diags *d)
{
	for (size_t i = 0; i < m->n; i++) {
		const struct pol_member *it = &m->list[i];

		if (it->kind == POL_K_UID && it->uid >= PERSON_UID_MIN && it->uid <= PERSON_UID_MAX)
			conf_diag_add(d, CONF_WARNING, &it->pos,
				"uid %u is a person's on most systems: \"user\" and \"directory\" "
				"are for people",
				it->uid);
	}
}

static void warn_persons(const struct pol_policy *p, struct conf_diags *d)
{
	for (size_t i = 0; i < p->n_named; i++)
		warn_person(&p->groups[i].members, d);
	for (size_t i = 0; i < p->n_rules; i++) {
		warn_person(&p->rules[i].from, d);
		warn_person(&p->rules[i].to, d);
	}
}

/* ---- logins of a VM that no rule knows, but has one with nearly the same name: everybody may log
 * in on that one ---- */

struct vms {
	struct pol_set in_rules; /* groups that rules name, and all that they hold */
	const char **names;	 /* VMs in those */
	size_t n;
};

static void vms_fini(struct vms *v)
{
	pol_set_fini(&v->in_rules);
	free(v->names);
}

static int vms_init(struct vms *v, const struct pol_policy *p)
{
	int err = pol_set_init(&v->in_rules, p->n_groups);

	v->names = calloc(p->n_vms + 1, sizeof(v->names[0]));
	if (err || !v->names)
		return -ENOMEM;
	for (size_t i = 0; i < p->n_groups; i++) {
		if (p->groups[i].named)
			pol_set_add(&v->in_rules, i);
	}
	pol_set_open(p, &v->in_rules);
	for (size_t i = 0; i < p->n_vms; i++) {
		if (pol_vm_in(p, p->vms[i], &v->in_rules))
			v->names[v->n++] = p->vms[i];
	}
	return 0;
}

static void warn_vms(const struct pol_policy *p, const struct vms *v, const struct pol_members *m,
	struct conf_diags *d)
{
	for (size_t i = 0; i < m->n && d->n < CONF_DIAG_MAX; i++) {
		const struct pol_member *it = &m->list[i];
		const char *near;

		if (it->kind != POL_K_VM || pol_vm_in(p, it->text, &v->in_rules))
			continue;
		near = conf_suggest(it->text, v->names, v->n);
		if (near)
			conf_diag_add(d, CONF_WARNING, &it->pos,
				"VM \"%s\" stands in no rule, only in logins; did you mean \"%s\"?",
				it->text, near);
	}
}

static int warn_logins(const struct pol_policy *p, struct conf_diags *d)
{
	struct vms v = { .n = 0 };
	int err = p->n_logins ? vms_init(&v, p) : 0;

	for (size_t i = 0; err == 0 && i < p->n_logins; i++)
		warn_vms(p, &v, &p->logins[i].places, d);
	for (size_t g = 0; err == 0 && g < p->n_named; g++) {
		bool covered = false;

		for (size_t i = 0; i < p->n_logins && !covered; i++)
			covered = pol_set_has(&p->logins[i].holds, g);
		if (covered)
			warn_vms(p, &v, &p->groups[g].members, d);
	}
	vms_fini(&v);
	return err;
}

static bool peers_cover(
	bool any, const uint16_t *a, size_t n_a, bool b_any, const uint16_t *b, size_t n_b)
{
	if (any)
		return true;
	return !b_any && n_a == n_b && memcmp(a, b, n_a * sizeof(a[0])) == 0;
}

static bool services_cover(const struct pol_rule *a, const struct pol_rule *b, size_t *effort)
{
	if (a->n_services == 0)
		return true;
	if (b->n_services == 0)
		return false;
	for (size_t i = 0; i < b->n_services; i++) {
		bool found = false;

		for (size_t k = 0; k < a->n_services && !found; k++, ++*effort)
			found = pol_service_covers(&a->services[k], &b->services[i]);
		if (!found)
			return false;
	}
	return true;
}

/* @a stands before @b: does nothing ever reach @b? (Says yes only for any, and for equal peers.) */
static bool hides(const struct pol_rule *a, const struct pol_rule *b, size_t *effort)
{
	return peers_cover(a->from_any, a->from_groups, a->n_from_groups, b->from_any,
		       b->from_groups, b->n_from_groups) &&
	       peers_cover(a->to_any, a->to_groups, a->n_to_groups, b->to_any, b->to_groups,
		       b->n_to_groups) &&
	       services_cover(a, b, effort);
}

/* the rule that hides the one at place @at, or NULL */
static const struct pol_rule *hidden_by(const struct pol_policy *p, size_t at, size_t *effort)
{
	const struct pol_rule *b = &p->rules[p->order[at]];

	if (b->disabled)
		return NULL;
	for (size_t i = 0; i < at && *effort < EFFORT_MAX; i++, ++*effort) {
		const struct pol_rule *a = &p->rules[p->order[i]];

		if (!a->disabled && hides(a, b, effort))
			return a;
	}
	return NULL;
}

/* each rule against all before it; a policy made to be slow gets fewer warnings instead */
static void warn_hidden(const struct pol_policy *p, struct conf_diags *d)
{
	size_t effort = 0;

	for (size_t i = 0; i < p->n_rules && effort < EFFORT_MAX; i++) {
		const struct pol_rule *b = &p->rules[p->order[i]];
		const struct pol_rule *a = hidden_by(p, i, &effort);

		if (a)
			conf_diag_add(d, CONF_WARNING, &b->pos,
				"rule \"%s\" is never reached: %s/%s, evaluated before it, "
				"matches all that it would",
				b->name, pol_section_name(a->section), a->name);
	}
}

static void warn_cut_off(const struct pol_policy *p, struct conf_diags *d)
{
	struct conf_pos start = { 1, 1, 1, 1 };

	if (p->defaults[FW_OUT].action == FW_ACCEPT)
		return;
	for (size_t i = 0; i < p->n_rules; i++) {
		if (p->rules[i].section == POL_S_INFRASTRUCTURE && !p->rules[i].disabled)
			return;
	}
	conf_diag_add(d, CONF_WARNING,
		p->defaults[FW_OUT].given ? &p->defaults[FW_OUT].pos : &start,
		"no rule in section infrastructure while the default for out is %s: "
		"VMs may be cut off from DNS, time and the directory",
		pol_action_name(p->defaults[FW_OUT].action));
}

int pol_warn(struct pol_policy *p, struct conf_diags *d)
{
	mark_used(p);
	if (d->n_errors)
		return 0; /* first things first */
	warn_unused(p, d);
	warn_loss(p, d);
	warn_stale(p, d);
	warn_persons(p, d);
	warn_hidden(p, d);
	warn_cut_off(p, d);
	return warn_logins(p, d);
}
