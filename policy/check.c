/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * check.c - what must hold in a policy before anybody uses it
 *
 * Resolves names (resolve.c), orders groups so that members stand before those that hold them
 * (cycles are errors), sums up what each group can match, then looks at each group, service and
 * rule. Errors are collected; later stages of the check see the tree even when there were some.
 */
#include "policy/tree.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

enum { FAMILY_4 = 1, FAMILY_6 = 2, FAMILY_ALL = 3 };

/* ---- nesting ---- */

struct walk {
	struct pol_policy *p;
	struct conf_diags *d;
	uint16_t *path;
	size_t depth;
};

static void cycle(const struct walk *w, const struct pol_member *m)
{
	struct gi_buf text;
	size_t from = w->depth;

	gi_buf_init(&text, 4096);
	while (from > 0 && w->path[from - 1] != m->group)
		from--;
	for (size_t i = from ? from - 1 : 0; i < w->depth; i++)
		gi_buf_printf(&text, "%s > ", w->p->groups[w->path[i]].name);
	conf_diag_add(w->d, CONF_ERROR, &m->pos, "group \"%s\" holds itself%s%s%s", m->text,
		gi_buf_error(&text) ? "" : ": ", gi_buf_error(&text) ? "" : gi_buf_str(&text),
		gi_buf_error(&text) ? "" : m->text);
	gi_buf_fini(&text);
}

/* depth first; at most POL_GROUPS_MAX frames */
static void visit(struct walk *w, uint16_t index)
{
	struct pol_group *g = &w->p->groups[index];

	g->color = 1;
	g->depth = 1;
	w->path[w->depth++] = index;
	for (size_t i = 0; i < g->members.n; i++) {
		const struct pol_member *m = &g->members.list[i];
		struct pol_group *child;

		if (m->kind != POL_K_GROUP || m->group == POL_NONE)
			continue;
		child = &w->p->groups[m->group];
		if (child->color == 1) {
			cycle(w, m);
			continue;
		}
		if (child->color == 0)
			visit(w, m->group);
		if (child->depth + 1 > g->depth)
			g->depth = child->depth + 1;
		if (child->depth == POL_NEST_MAX)
			conf_diag_add(w->d, CONF_ERROR, &m->pos,
				"groups are nested more than %d deep", POL_NEST_MAX);
	}
	w->depth--;
	g->color = 2;
	w->p->topo[w->p->n_topo++] = index;
}

static int order_groups(struct pol_policy *p, struct conf_diags *d)
{
	struct walk w = { .p = p, .d = d };

	p->topo = pol_alloc(p, (p->n_groups + 1) * sizeof(p->topo[0]));
	w.path = calloc(p->n_groups + 1, sizeof(w.path[0]));
	if (!p->topo || !w.path) {
		free(w.path);
		return -ENOMEM;
	}
	for (size_t i = 0; i < p->n_groups; i++) {
		if (p->groups[i].color == 0)
			visit(&w, (uint16_t)i);
	}
	free(w.path);
	return 0;
}

/* edges by the place of their parent: when one is looked at, its child is complete */
static int list_edges(struct pol_policy *p)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n_groups; i++)
		n += p->groups[i].members.n;
	p->edges = pol_alloc(p, n * sizeof(p->edges[0]) + 1);
	if (!p->edges)
		return -ENOMEM;
	for (size_t t = 0; t < p->n_topo; t++) {
		const struct pol_members *m = &p->groups[p->topo[t]].members;

		for (size_t i = 0; i < m->n; i++) {
			if (m->list[i].kind == POL_K_GROUP && m->list[i].group != POL_NONE)
				p->edges[p->n_edges++] =
					(struct pol_edge){ m->list[i].group, p->topo[t] };
		}
	}
	return 0;
}

/* ---- what groups can match ---- */

static void sum_up(struct pol_policy *p, struct pol_group *g)
{
	for (size_t i = 0; i < g->members.n; i++) {
		const struct pol_member *m = &g->members.list[i];

		if (m->kind == POL_K_NET) {
			g->has |= POL_HAS_NET;
			g->families |= m->net.addr.family == 4 ? FAMILY_4 : FAMILY_6;
			g->nets_bound++;
		} else if (m->kind != POL_K_GROUP) {
			g->has |= m->kind == POL_K_VM	  ? POL_HAS_VM
				  : m->kind == POL_K_UNIT ? POL_HAS_UNIT
				  : m->kind == POL_K_UID  ? POL_HAS_UID
							  : POL_HAS_PERSON;
			g->families = FAMILY_ALL;
		} else if (m->group != POL_NONE) {
			g->has |= p->groups[m->group].has;
			g->families |= p->groups[m->group].families;
			g->nets_bound += p->groups[m->group].nets_bound;
		}
	}
	/* a prefix counts once however often it is nested */
	if (g->nets_bound > p->n_nets)
		g->nets_bound = p->n_nets;
}

static void sum_up_all(struct pol_policy *p)
{
	for (size_t i = 0; i < p->n_groups; i++) {
		for (size_t k = 0; k < p->groups[i].members.n; k++)
			p->n_nets += p->groups[i].members.list[k].kind == POL_K_NET;
	}
	for (size_t t = 0; t < p->n_topo; t++)
		sum_up(p, &p->groups[p->topo[t]]);
}

static int check_nets(const struct pol_policy *p, size_t index, struct conf_diags *d)
{
	const struct pol_group *g = &p->groups[index];
	struct gi_prefix *list;
	size_t n;
	int err;

	if (g->nets_bound <= FW_NETS_MAX)
		return 0;
	err = pol_group_nets(p, index, &list, &n);
	if (err)
		return err;
	free(list);
	if (n > FW_NETS_MAX)
		conf_diag_add(d, CONF_ERROR, &g->pos, "group \"%s\" has %zu prefixes, at most %d",
			g->name, n, FW_NETS_MAX);
	return 0;
}

static int member_ptr_cmp(const void *a, const void *b)
{
	const struct pol_member *const *ma = a, *const *mb = b;
	int c = pol_member_cmp(*ma, *mb);

	return c ? c : (*ma > *mb) - (*ma < *mb);
}

static int check_repeats(const struct pol_group *g, struct conf_diags *d)
{
	const struct pol_member **list = calloc(g->members.n + 1, sizeof(list[0]));

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < g->members.n; i++)
		list[i] = &g->members.list[i];
	if (g->members.n)
		qsort(list, g->members.n, sizeof(list[0]), member_ptr_cmp);
	for (size_t i = 1; i < g->members.n; i++) {
		if (pol_member_cmp(list[i - 1], list[i]) == 0)
			conf_diag_add(d, CONF_WARNING, &list[i]->pos,
				"this member is in group \"%s\" already", g->name);
	}
	free(list);
	return 0;
}

static int check_groups(const struct pol_policy *p, struct conf_diags *d)
{
	int err = 0;

	for (size_t i = 0; err == 0 && i < p->n_groups; i++) {
		const struct pol_group *g = &p->groups[i];

		if (g->members.n == 0 && !g->broken)
			conf_diag_add(
				d, CONF_ERROR, &g->pos, "group \"%s\" has no members", g->name);
		err = check_nets(p, i, d);
		if (err == 0)
			err = check_repeats(g, d);
	}
	return err;
}

static void check_services(const struct pol_policy *p, struct conf_diags *d)
{
	for (size_t i = 0; i < p->n_services; i++) {
		const struct pol_service *s = &p->services[i];

		if (s->n == 0 && !s->broken)
			conf_diag_add(d, CONF_ERROR, &s->pos, "service \"%s\" has nothing in it",
				s->name);
	}
}

/* ---- rules ---- */

static int peers_families(const struct pol_policy *p, bool any, const uint16_t *list, size_t n)
{
	int f = any ? FAMILY_ALL : 0;

	for (size_t i = 0; i < n; i++)
		f |= p->groups[list[i]].families;
	return f;
}

static int services_families(const struct pol_rule *r)
{
	int f = r->n_services ? 0 : FAMILY_ALL;

	for (size_t i = 0; i < r->n_services; i++) {
		if (r->services[i].proto == IPPROTO_ICMP)
			f |= FAMILY_4;
		else if (r->services[i].proto == IPPROTO_ICMPV6)
			f |= FAMILY_6;
		else
			f |= FAMILY_ALL;
	}
	return f;
}

static const char *family_name(int f)
{
	return f == FAMILY_4 ? "IPv4" : "IPv6";
}

/* a rule that no packet can match is a mistake, not a rule */
static void check_families(
	const struct pol_policy *p, const struct pol_rule *r, struct conf_diags *d)
{
	int from = peers_families(p, r->from_any, r->from_groups, r->n_from_groups);
	int to = peers_families(p, r->to_any, r->to_groups, r->n_to_groups);
	int service = services_families(r);

	if (from == 0 || to == 0 || service == 0)
		return; /* something else is wrong, and said */
	if (!(from & to))
		conf_diag_add(d, CONF_ERROR, &r->to_pos,
			"no packet can match: `from` is %s only, `to` is %s only",
			family_name(from), family_name(to));
	else if (!(from & to & service))
		conf_diag_add(d, CONF_ERROR, &r->service_pos,
			"no packet can match: the addresses are %s only, the service is %s only",
			family_name(from & to), family_name(service));
}

static bool is_multicast(const struct gi_prefix *n)
{
	if (n->addr.family == 4)
		return n->len >= 4 && (n->addr.bytes[0] & 0xf0) == 0xe0;
	return n->len >= 8 && n->addr.bytes[0] == 0xff;
}

static void check_source(const struct pol_rule *r, struct conf_diags *d)
{
	for (size_t i = 0; i < r->from.n; i++) {
		const struct pol_member *m = &r->from.list[i];

		if (m->kind == POL_K_NET && is_multicast(&m->net))
			conf_diag_add(
				d, CONF_ERROR, &m->pos, "no packet comes from a multicast address");
	}
}

/* every VM has every uid: as a destination it would say nothing */
static void check_target(const struct pol_policy *p, const struct pol_rule *r, struct conf_diags *d)
{
	for (size_t i = 0; i < r->to.n; i++) {
		const struct pol_member *m = &r->to.list[i];

		if (m->kind == POL_K_UID)
			conf_diag_add(d, CONF_ERROR, &m->pos,
				"a uid is on every VM: it cannot be in `to`");
		else if (m->kind == POL_K_GROUP && m->group != POL_NONE &&
			 p->groups[m->group].has == POL_HAS_UID)
			conf_diag_add(d, CONF_ERROR, &m->pos,
				"group \"%s\" has only uids, which are on every VM: it cannot be "
				"in `to`",
				m->text);
	}
}

static int rule_order_cmp(const void *a, const void *b, void *arg)
{
	const struct pol_policy *p = arg;
	uint16_t ia = *(const uint16_t *)a, ib = *(const uint16_t *)b;
	int sa = p->rules[ia].section, sb = p->rules[ib].section;

	return sa != sb ? sa - sb : (int)ia - (int)ib;
}

static int rule_name_cmp(const void *a, const void *b, void *arg)
{
	const struct pol_policy *p = arg;
	const struct pol_rule *ra = &p->rules[*(const uint16_t *)a];
	const struct pol_rule *rb = &p->rules[*(const uint16_t *)b];
	int c = (int)ra->section - (int)rb->section;

	if (c == 0)
		c = strcmp(ra->name, rb->name);
	return c ? c : (ra > rb) - (ra < rb);
}

static void check_rule_names(
	const struct pol_policy *p, const uint16_t *by_name, struct conf_diags *d)
{
	for (size_t i = 1; i < p->n_rules; i++) {
		const struct pol_rule *a = &p->rules[by_name[i - 1]];
		const struct pol_rule *b = &p->rules[by_name[i]];

		if (a->section != b->section || a->section == POL_S_UNKNOWN ||
			strcmp(a->name, b->name) != 0)
			continue;
		conf_diag_add(d, CONF_ERROR, &b->pos, "section %s has two rules \"%s\"",
			pol_section_name(b->section), b->name);
		conf_diag_add(d, CONF_NOTE, &a->pos, "here first");
	}
}

static int check_rules(struct pol_policy *p, struct conf_diags *d)
{
	uint16_t *by_name = calloc(p->n_rules + 1, sizeof(by_name[0]));

	p->order = pol_alloc(p, (p->n_rules + 1) * sizeof(p->order[0]));
	if (!by_name || !p->order) {
		free(by_name);
		return -ENOMEM;
	}
	for (size_t i = 0; i < p->n_rules; i++)
		p->order[i] = by_name[i] = (uint16_t)i;
	qsort_r(p->order, p->n_rules, sizeof(p->order[0]), rule_order_cmp, p);
	qsort_r(by_name, p->n_rules, sizeof(by_name[0]), rule_name_cmp, p);
	check_rule_names(p, by_name, d);
	free(by_name);
	for (size_t i = 0; i < p->n_rules; i++) {
		check_families(p, &p->rules[i], d);
		check_source(&p->rules[i], d);
		check_target(p, &p->rules[i], d);
	}
	return 0;
}

int pol_check(struct pol_policy *p, struct conf_diags *d)
{
	int err = pol_resolve(p, d);

	if (err == 0)
		err = order_groups(p, d);
	if (err == 0)
		err = list_edges(p);
	if (err)
		return err;
	sum_up_all(p);
	check_services(p, d);
	err = check_groups(p, d);
	if (err == 0)
		err = check_rules(p, d);
	if (err == 0)
		err = pol_member_index(p);
	if (err == 0)
		err = pol_session_check(p, d);
	if (err == 0)
		err = pol_warn(p, d);
	return err;
}
