/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * world_kernel.c - the guests' kernels of the tests' world judge packets (world.h)
 *
 * As the rendered rules do (fw/render_base.c; chains lapse, out_flow, out_judge): a flow has the
 * mark that its last packet got; one that is not live any more leads to others by `remark`;
 * nobody's says nothing about who has the socket now.
 */
#include "tests/unit/svm-idfw/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int group_index(const struct agent *a, const char *name)
{
	const struct fw_ruleset *rs = a->kernel ? fw_state_ruleset(a->kernel) : NULL;

	for (size_t i = 0; rs && i < rs->n_groups; i++)
		if (!strcmp(rs->groups[i].name, name))
			return (int)i;
	return -1;
}

/* does any rule, or default, let anything pass? */
static bool open_to_some(const struct agent *a)
{
	const struct fw_ruleset *rs = a->kernel ? fw_state_ruleset(a->kernel) : NULL;

	return rs && (rs->n_rules || rs->default_in == FW_ACCEPT || rs->default_out == FW_ACCEPT);
}

/* may flows with this mark match a rule `from group`? Accepting looks whether it is live */
static bool judged(const struct agent *a, uint32_t mark, const struct flow *f)
{
	int g = f->is_static ? 0 : group_index(a, f->group);
	struct fw_elem sg, live = fw_elem_mark(FW_LIVE, 0, mark);

	if (!mark || g < 0 || !open_to_some(a) || !fw_state_get(a->kernel, &live.key, NULL))
		return false;
	sg = fw_elem_mark(FW_SG, (uint16_t)g, mark);
	return f->is_static || fw_state_get(a->kernel, &sg.key, NULL);
}

/* a mark that is not live is what `remark` says, so often; what is live in the end, or dead */
static uint32_t replaced(const struct agent *a, uint32_t mark)
{
	for (int k = 0; k <= FW_LAPSES_MAX; k++) {
		struct fw_elem live = fw_elem_mark(FW_LIVE, 0, mark), old = fw_elem_remark(mark, 0);

		if (fw_state_get(a->kernel, &live.key, NULL) ||
			!fw_state_get(a->kernel, &old.key, &mark))
			break;
	}
	return mark;
}

static uint32_t nobodys_mark(const struct agent *a)
{
	struct fw_elem base = fw_elem_base(4, 0);
	uint32_t mark = 0;

	(void)fw_state_get(a->kernel, &base.key, &mark);
	return mark;
}

static uint32_t subject_mark(const struct agent *a, const struct fw_key *subject)
{
	uint32_t mark = 0;

	if (a->kernel && !fw_state_get(a->kernel, subject, &mark))
		mark = nobodys_mark(a);
	return mark ? replaced(a, mark) : 0;
}

struct lapsing {
	struct agent *a;
	uint32_t after_s;
	uint32_t marks[256];
	size_t n;
};

static int lapse_cb(void *arg, const struct fw_elem *e)
{
	struct lapsing *l = arg;

	if (e->key.set == FW_LIVE && e->lease_s && e->lease_s <= l->after_s &&
		l->n < GI_ARRAY_SIZE(l->marks))
		l->marks[l->n++] = fw_key_u32(&e->key);
	return 0;
}

void world_lapse(struct world *w, const char *vm, uint32_t after_s)
{
	struct lapsing l = { .a = world_agent(w, vm), .after_s = after_s };

	if (l.a->kernel && fw_state_each(l.a->kernel, false, lapse_cb, &l) < 0)
		abort();
	for (size_t i = 0; i < l.n; i++) {
		struct fw_op op = { .del = true, .elem = fw_elem_mark(FW_LIVE, 0, l.marks[i]) };

		if (fw_state_apply(l.a->kernel, &op) < 0)
			abort();
	}
}

bool world_member(struct world *w, const char *vm, const struct fw_key *subject, const char *group)
{
	struct agent *a = world_agent(w, vm);
	struct flow f = { .is_static = !strcmp(group, "any") };

	snprintf(f.group, sizeof(f.group), "%s", group);
	return judged(a, subject_mark(a, subject), &f);
}

bool world_flow_new(struct world *w, const char *vm, const char *name, const struct fw_key *subject,
	const char *group)
{
	struct agent *a = world_agent(w, vm);
	struct flow *f;

	if (a->n_flows == WORLD_FLOWS)
		abort();
	f = &a->flows[a->n_flows++];
	*f = (struct flow){ .subject = *subject, .is_static = !strcmp(group, "any") };
	snprintf(f->name, sizeof(f->name), "%s", name);
	snprintf(f->group, sizeof(f->group), "%s", group);
	if (world_member(w, vm, subject, group))
		f->mark = subject_mark(a, subject);
	return f->mark;
}

bool world_flow_alive(struct world *w, const char *vm, const char *name)
{
	struct agent *a = world_agent(w, vm);

	for (size_t i = 0; a->kernel && i < a->n_flows; i++) {
		struct flow *f = &a->flows[i];
		struct fw_elem live = fw_elem_mark(FW_LIVE, 0, f->mark);
		uint32_t mark;

		if (strcmp(f->name, name) != 0 || !f->mark)
			continue;
		if (fw_state_get(a->kernel, &live.key, NULL))
			return true;
		mark = replaced(a, f->mark);
		if (mark == nobodys_mark(a)) /* whose it is by now: chain out_flow */
			mark = subject_mark(a, &f->subject);
		if (!judged(a, mark, f))
			return false;
		f->mark = mark;
		return true;
	}
	return false;
}
