/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * net.c - the prefixes of a group, flattened
 *
 * Called on a checked policy only: groups nest at most POL_NEST_MAX deep, without cycles, and the
 * check has seen that no group comes to more than FW_NETS_MAX prefixes.
 */
#include "policy/tree.h"

#include <stdlib.h>
#include <string.h>

static int net_cmp(const void *a, const void *b)
{
	return gi_prefix_cmp(a, b);
}

size_t pol_nets_merge(struct gi_prefix *list, size_t n)
{
	size_t kept = 0;

	if (n == 0)
		return 0;
	/* sorted by address, then length: what holds a prefix stands before it */
	qsort(list, n, sizeof(list[0]), net_cmp);
	for (size_t i = 0; i < n; i++) {
		if (kept && list[kept - 1].len <= list[i].len &&
			gi_prefix_contains(&list[kept - 1], &list[i].addr))
			continue;
		list[kept++] = list[i];
	}
	return kept;
}

/* @seen: a group that is nested by two ways is collected once */
static size_t collect(const struct pol_policy *p, size_t group, struct pol_set *seen,
	struct gi_prefix *list, size_t n)
{
	const struct pol_members *m = &p->groups[group].members;

	if (pol_set_has(seen, group))
		return n;
	pol_set_add(seen, group);
	for (size_t i = 0; i < m->n; i++) {
		if (m->list[i].kind == POL_K_NET)
			list[n++] = m->list[i].net;
		else if (m->list[i].kind == POL_K_GROUP)
			n = collect(p, m->list[i].group, seen, list, n);
	}
	return n;
}

int pol_group_nets(const struct pol_policy *p, size_t group, struct gi_prefix **ret, size_t *ret_n)
{
	struct pol_set seen = { 0 };
	struct gi_prefix *list;
	size_t n;
	int err;

	if (!(p->groups[group].has & POL_HAS_NET)) {
		*ret = NULL;
		*ret_n = 0;
		return 0;
	}
	list = calloc(p->groups[group].nets_bound, sizeof(list[0]));
	if (!list)
		return -ENOMEM;
	err = pol_set_init(&seen, p->n_groups);
	if (err) {
		free(list);
		return err;
	}
	n = collect(p, group, &seen, list, 0);
	pol_set_fini(&seen);
	*ret = list;
	*ret_n = pol_nets_merge(list, n);
	return 0;
}
