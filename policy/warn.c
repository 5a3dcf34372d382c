/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * warn.c - what is allowed in a policy but hardly meant: warnings
 *
 * Unused groups and services, rules that an earlier one hides, and a policy that would cut VMs off
 * from what they need. Silent about what can only be a consequence of an error.
 */
#include "policy/tree.h"

#include <string.h>

#define EFFORT_MAX 20000000 /* comparisons; comparing 4096 rules takes less than half */

static void mark_used(struct pol_policy *p)
{
	for (size_t i = 0; i < p->n_rules; i++) {
		const struct pol_rule *r = &p->rules[i];

		for (size_t k = 0; k < r->n_from_groups; k++)
			p->groups[r->from_groups[k]].used = true;
		for (size_t k = 0; k < r->n_to_groups; k++)
			p->groups[r->to_groups[k]].used = true;
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
	warn_hidden(p, d);
	warn_cut_off(p, d);
	return 0;
}
