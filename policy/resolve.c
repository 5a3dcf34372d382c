/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * resolve.c - names in the tree become indexes: groups, services, peers of rules
 *
 * First part of the check. Members that are written in a rule become groups of their own ("_1",
 * "_2", ... in text order; equal lists share one), so that everything behind knows groups only.
 * Unknown names leave POL_NONE behind and an error; nothing here trusts that there were none.
 */
#include "policy/tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- lookup by name ---- */

static int group_name_cmp(const void *a, const void *b, void *arg)
{
	const struct pol_policy *p = arg;
	uint16_t ia = *(const uint16_t *)a, ib = *(const uint16_t *)b;
	int c = strcmp(p->groups[ia].name, p->groups[ib].name);

	return c ? c : (int)ia - (int)ib;
}

static int service_name_cmp(const void *a, const void *b, void *arg)
{
	const struct pol_policy *p = arg;
	uint16_t ia = *(const uint16_t *)a, ib = *(const uint16_t *)b;
	int c = strcmp(p->services[ia].name, p->services[ib].name);

	return c ? c : (int)ia - (int)ib;
}

static uint16_t *order_new(
	struct pol_policy *p, size_t n, int (*cmp)(const void *, const void *, void *))
{
	uint16_t *list = pol_alloc(p, n * sizeof(list[0]) + 1);

	if (!list)
		return NULL;
	for (size_t i = 0; i < n; i++)
		list[i] = (uint16_t)i;
	if (n)
		qsort_r(list, n, sizeof(list[0]), cmp, p);
	return list;
}

uint16_t pol_group_find(const struct pol_policy *p, const char *name)
{
	size_t lo = 0, hi = p->n_named;

	while (lo < hi) { /* leftmost: the first of several with one name */
		size_t mid = lo + (hi - lo) / 2;

		if (strcmp(p->groups[p->group_order[mid]].name, name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo < p->n_named && strcmp(p->groups[p->group_order[lo]].name, name) == 0)
		return p->group_order[lo];
	return POL_NONE;
}

static uint16_t service_find(const struct pol_policy *p, const char *name)
{
	size_t lo = 0, hi = p->n_services;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (strcmp(p->services[p->service_order[mid]].name, name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo < p->n_services && strcmp(p->services[p->service_order[lo]].name, name) == 0)
		return p->service_order[lo];
	return POL_NONE;
}

static void twice(struct conf_diags *d, const char *what, const char *name,
	const struct conf_pos *pos, const struct conf_pos *first)
{
	conf_diag_add(d, CONF_ERROR, pos, "%s \"%s\" is defined twice", what, name);
	conf_diag_add(d, CONF_NOTE, first, "here first");
}

static int index_names(struct pol_policy *p, struct conf_diags *d)
{
	p->n_named = p->n_groups;
	p->group_order = order_new(p, p->n_named, group_name_cmp);
	p->service_order = order_new(p, p->n_services, service_name_cmp);
	if (!p->group_order || !p->service_order)
		return -ENOMEM;
	for (size_t i = 1; i < p->n_named; i++) {
		const struct pol_group *a = &p->groups[p->group_order[i - 1]];
		const struct pol_group *b = &p->groups[p->group_order[i]];

		if (strcmp(a->name, b->name) == 0)
			twice(d, "group", b->name, &b->pos, &a->pos);
	}
	for (size_t i = 1; i < p->n_services; i++) {
		const struct pol_service *a = &p->services[p->service_order[i - 1]];
		const struct pol_service *b = &p->services[p->service_order[i]];

		if (strcmp(a->name, b->name) == 0)
			twice(d, "service", b->name, &b->pos, &a->pos);
	}
	return 0;
}

/* ---- groups ---- */

static void unknown(struct conf_diags *d, const char *what, const char *name,
	const struct conf_pos *pos, const char *const *words, size_t n)
{
	const char *near = NULL;

	/* what is not shown needs no suggestion, which takes time */
	if (d->n < CONF_DIAG_MAX)
		near = conf_suggest(name, words, n);
	if (near)
		conf_diag_add(
			d, CONF_ERROR, pos, "no %s \"%s\"; did you mean \"%s\"?", what, name, near);
	else
		conf_diag_add(d, CONF_ERROR, pos, "no %s \"%s\"", what, name);
}

static void resolve_members(
	struct pol_policy *p, struct pol_members *m, const char **words, struct conf_diags *d)
{
	for (size_t i = 0; i < m->n; i++) {
		struct pol_member *it = &m->list[i];

		if (it->kind != POL_K_GROUP)
			continue;
		it->group = pol_group_find(p, it->text);
		if (it->group == POL_NONE && !p->groups_over)
			unknown(d, "group", it->text, &it->pos, words, p->n_named);
	}
}

static int resolve_groups(struct pol_policy *p, struct conf_diags *d)
{
	const char **words = calloc(p->n_named + 1, sizeof(words[0]));

	if (!words)
		return -ENOMEM;
	for (size_t i = 0; i < p->n_named; i++)
		words[i] = p->groups[p->group_order[i]].name;
	for (size_t i = 0; i < p->n_groups; i++)
		resolve_members(p, &p->groups[i].members, words, d);
	for (size_t i = 0; i < p->n_rules; i++) {
		resolve_members(p, &p->rules[i].from, words, d);
		resolve_members(p, &p->rules[i].to, words, d);
	}
	for (size_t i = 0; i < p->n_logins; i++) {
		resolve_members(p, &p->logins[i].users, words, d);
		resolve_members(p, &p->logins[i].places, words, d);
	}
	free(words);
	return 0;
}

int pol_member_cmp(const struct pol_member *a, const struct pol_member *b)
{
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	if (a->kind == POL_K_NET)
		return gi_prefix_cmp(&a->net, &b->net);
	return strcmp(a->text, b->text);
}

static int member_qcmp(const void *a, const void *b)
{
	return pol_member_cmp(a, b);
}

/* only to look at fewer lists: a collision costs a comparison (FNV-1a over what counts) */
static uint32_t members_hash(const struct pol_members *m)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < m->n; i++) {
		const struct pol_member *it = &m->list[i];
		const char *text = it->text ? it->text : "";
		char net[GI_ADDR_STRLEN];

		if (it->kind == POL_K_NET)
			text = gi_prefix_format(&it->net, net);
		h = (h ^ (uint32_t)it->kind) * 16777619u;
		for (; *text; text++)
			h = (h ^ (unsigned char)*text) * 16777619u;
	}
	return h;
}

static bool members_equal(const struct pol_members *a, const struct pol_members *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		if (pol_member_cmp(&a->list[i], &b->list[i]) != 0)
			return false;
	}
	return true;
}

/* peers that are no group names: sorted, no duplicates; n 0: there are none */
static int inline_members(
	struct pol_policy *p, const struct pol_members *peers, struct pol_members *ret)
{
	size_t kept = 0;

	*ret = (struct pol_members){ 0 };
	ret->list = pol_alloc(p, peers->n * sizeof(ret->list[0]) + 1);
	if (!ret->list)
		return -ENOMEM;
	for (size_t i = 0; i < peers->n; i++) {
		if (peers->list[i].kind != POL_K_GROUP)
			ret->list[ret->n++] = peers->list[i];
	}
	if (ret->n)
		qsort(ret->list, ret->n, sizeof(ret->list[0]), member_qcmp);
	for (size_t i = 0; i < ret->n; i++) {
		if (kept == 0 || pol_member_cmp(&ret->list[kept - 1], &ret->list[i]) != 0)
			ret->list[kept++] = ret->list[i];
	}
	ret->n = ret->cap = kept;
	return 0;
}

/* the anonymous group with these members; POL_NONE: there is no room for one more */
static int anonymous(
	struct pol_policy *p, const struct pol_members *m, struct conf_diags *d, uint16_t *ret)
{
	struct pol_group g = { .anonymous = true, .pos = m->list[0].pos, .members = *m };
	char name[16];
	int err;

	g.hash = members_hash(m);
	for (size_t i = p->n_named; i < p->n_groups; i++) {
		if (p->groups[i].hash == g.hash && members_equal(&p->groups[i].members, m)) {
			*ret = (uint16_t)i;
			return 0;
		}
	}
	*ret = POL_NONE;
	if (p->n_groups == POL_GROUPS_MAX) {
		if (!p->groups_over)
			conf_diag_add(d, CONF_ERROR, &g.pos,
				"more than %d groups, those written in rules included",
				POL_GROUPS_MAX);
		p->groups_over = true;
		return 0;
	}
	snprintf(name, sizeof(name), "_%zu", p->n_groups - p->n_named + 1);
	g.name = pol_strdup(p, name);
	err = g.name ? pol_grow(p, (void **)&p->groups, p->n_groups, &p->groups_cap, sizeof(g))
		     : -ENOMEM;
	if (err)
		return err;
	*ret = (uint16_t)p->n_groups;
	p->groups[p->n_groups++] = g;
	return 0;
}

static int u16_cmp(const void *a, const void *b)
{
	return (int)*(const uint16_t *)a - (int)*(const uint16_t *)b;
}

static size_t u16_unique(uint16_t *list, size_t n)
{
	size_t kept = 0;

	if (n)
		qsort(list, n, sizeof(list[0]), u16_cmp);
	for (size_t i = 0; i < n; i++) {
		if (kept == 0 || list[kept - 1] != list[i])
			list[kept++] = list[i];
	}
	return kept;
}

static int resolve_peers(struct pol_policy *p, const struct pol_members *peers,
	const struct conf_pos *pos, struct conf_diags *d, uint16_t **ret, size_t *ret_n)
{
	uint16_t *list = pol_alloc(p, (peers->n + 1) * sizeof(list[0]));
	struct pol_members own;
	size_t n = 0;
	int err;

	if (!list)
		return -ENOMEM;
	err = inline_members(p, peers, &own);
	if (err == 0 && own.n)
		err = anonymous(p, &own, d, &list[n++]);
	if (err)
		return err;
	for (size_t i = 0; i < peers->n; i++) {
		if (peers->list[i].kind == POL_K_GROUP)
			list[n++] = peers->list[i].group;
	}
	n = u16_unique(list, n);
	if (n && list[n - 1] == POL_NONE)
		n--; /* the error is said */
	if (n > FW_PEERS_MAX)
		conf_diag_add(d, CONF_ERROR, pos, "more than %d groups in one list", FW_PEERS_MAX);
	*ret = list;
	*ret_n = n;
	return 0;
}

/* ---- services ---- */

static void unknown_service(
	const struct pol_policy *p, const struct pol_svcref *ref, struct conf_diags *d)
{
	const char *words[POL_SERVICES_MAX];
	size_t n = p->n_services < POL_SERVICES_MAX ? p->n_services : POL_SERVICES_MAX;

	for (size_t i = 0; i < n; i++)
		words[i] = p->services[p->service_order[i]].name;
	unknown(d, "service", ref->name, &ref->pos, words, n);
}

static int service_qcmp(const void *a, const void *b)
{
	return pol_service_cmp(a, b);
}

/* sorted; what another one includes is left out */
static size_t services_merge(struct fw_service *list, size_t n)
{
	size_t kept = 0;

	if (n)
		qsort(list, n, sizeof(list[0]), service_qcmp);
	for (size_t i = 0; i < n; i++) {
		bool covered = false;

		for (size_t k = 0; k < n && !covered; k++)
			covered = k != i && pol_service_covers(&list[k], &list[i]) &&
				  (k < i || !pol_service_covers(&list[i], &list[k]));
		if (!covered)
			list[kept++] = list[i];
	}
	return kept;
}

static int resolve_services(struct pol_policy *p, struct pol_rule *r, struct conf_diags *d)
{
	size_t n = 0;

	r->services = pol_alloc(p, FW_SERVICES_MAX * sizeof(r->services[0]));
	if (!r->services)
		return -ENOMEM;
	for (size_t i = 0; i < r->n_svcrefs; i++) {
		const struct pol_svcref *ref = &r->svcrefs[i];
		const struct fw_service *items = &ref->inline_item;
		size_t n_items = 1;
		uint16_t s;

		if (ref->name) {
			s = service_find(p, ref->name);
			if (s == POL_NONE) {
				unknown_service(p, ref, d);
				continue;
			}
			p->services[s].used = true;
			items = p->services[s].items;
			n_items = p->services[s].n;
		}
		if (n_items > FW_SERVICES_MAX - n) {
			conf_diag_add(d, CONF_ERROR, &ref->pos,
				"more than %d ports, ranges and types in one rule",
				FW_SERVICES_MAX);
			break;
		}
		if (n_items)
			memcpy(r->services + n, items, n_items * sizeof(items[0]));
		n += n_items;
	}
	r->n_services = services_merge(r->services, n);
	return 0;
}

int pol_resolve(struct pol_policy *p, struct conf_diags *d)
{
	int err = index_names(p, d);

	if (err == 0)
		err = resolve_groups(p, d);
	for (size_t i = 0; err == 0 && i < p->n_rules; i++) {
		struct pol_rule *r = &p->rules[i];

		err = resolve_peers(
			p, &r->from, &r->from_pos, d, &r->from_groups, &r->n_from_groups);
		if (err == 0)
			err = resolve_peers(
				p, &r->to, &r->to_pos, d, &r->to_groups, &r->n_to_groups);
		if (err == 0)
			err = resolve_services(p, r, d);
	}
	for (size_t i = 0; err == 0 && i < p->n_logins; i++) {
		struct pol_logins *l = &p->logins[i];

		err = resolve_peers(
			p, &l->users, &l->users_pos, d, &l->user_groups, &l->n_user_groups);
		if (err == 0)
			err = resolve_peers(p, &l->places, &l->places_pos, d, &l->place_groups,
				&l->n_place_groups);
	}
	return err;
}
