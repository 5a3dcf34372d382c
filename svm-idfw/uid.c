/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * uid.c - uids that the policy names: services that are known by nothing better
 *
 * Runs in svm-idfw's engine. `uid 33` in a group is a subject without a session, on each VM whose
 * rules look at one of its groups: what that uid sends outside every session and named unit has the
 * groups' rules, with the groups' leases. It yields to a person: while a session without cgroup has
 * that uid on a VM, the uid there is that session's and nobody else's, and what the service began
 * is judged as everybody's. At the other end a uid is on every VM (docs/policy.md "Services of the
 * system"), but never a destination. Nothing is stored: the policy says it all.
 */
#include "svm-idfw/core.h"

#include <stdlib.h>

void uid_list_free(struct idfw_uids *u)
{
	for (size_t i = 0; i < u->n; i++)
		pol_set_fini(&u->list[i].groups);
	free(u->list);
	pol_set_fini(&u->any);
	*u = (struct idfw_uids){ 0 };
}

int uid_list_new(const struct pol_policy *p, struct idfw_uids *ret)
{
	size_t n = pol_uid_count(p), groups = pol_group_count(p);
	struct idfw_uids u = { 0 };
	int r = -ENOMEM;

	u.list = calloc(n + 1, sizeof(*u.list));
	u.any.bits = calloc(groups / 64 + 1, sizeof(*u.any.bits));
	if (!u.list || !u.any.bits)
		goto out;
	u.any.n = groups;
	for (; u.n < n; u.n++) {
		struct idfw_uid *it = &u.list[u.n];

		it->uid = pol_uid(p, u.n);
		r = pol_groups_of_uid(p, it->uid, &it->groups);
		if (r < 0)
			goto out;
		for (size_t w = 0; w * 64 < groups; w++)
			u.any.bits[w] |= pol_set_word(&it->groups, w);
	}
	*ret = u;
	return 0;
out:
	uid_list_free(&u);
	return r;
}

static int uid_cmp(const void *key, const void *item)
{
	uint32_t a = *(const uint32_t *)key, b = ((const struct idfw_uid *)item)->uid;

	return a < b ? -1 : a > b;
}

static const struct idfw_uid *uid_find(const struct idfw_engine *e, uint32_t uid)
{
	return e->uids.n ? bsearch(&uid, e->uids.list, e->uids.n, sizeof(*e->uids.list), uid_cmp)
			 : NULL;
}

bool uid_counts(const struct idfw_engine *e, const struct idfw_vm *u, size_t group)
{
	return !u->isolation && pol_set_has(&e->uids.any, group);
}

const struct pol_set *uid_groups(const struct idfw_engine *e, const struct plan_subject *s)
{
	const struct idfw_uid *it = s->is_service ? uid_find(e, fw_key_u32(&s->key)) : NULL;

	return it ? &it->groups : NULL;
}

/*
 * a person's: the kernel could not tell the service from him. Without a cgroup, nested or not; or
 * refused by `logins`, or kicked: then his cgroup leads to no mark, and he must not get the
 * service's
 */
static bool is_persons(const struct idfw_session *s)
{
	return !s->cgroup || ((s->refused || s->kicked) && s->principal &&
				     s->principal->presence == IDFW_P_FOUND);
}

static bool held(const struct idfw_engine *e, const struct idfw_vm *vm, uint32_t uid)
{
	const struct idfw_session *s = uid < e->conf.min_uid ? NULL : vm->sessions;

	while (s && (s->uid != uid || !is_persons(s)))
		s = s->v_next;
	return s;
}

static bool wanted(const struct idfw_engine *e, const struct idfw_vm *vm, const struct idfw_uid *it)
{
	const struct pol_compiled *c = vm->compiled;

	for (size_t i = 0; c && i < c->n_groups; i++)
		if (c->use[i] & POL_USE_OUT_FROM && pol_set_has(&it->groups, c->policy_group[i]))
			return !held(e, vm, it->uid);
	return false;
}

static void service_end(struct idfw_engine *e, struct idfw_vm *vm, struct plan_subject *s)
{
	s->is_service = false;
	if (s->isolation) { /* of a user: it stays a subject without it */
		plan_user_update(e, vm, s);
		return;
	}
	plan_subject_retire(e, vm, s);
	if (!s->sessions)
		plan_user_drop(e, vm, s);
}

/* the subject, made when it is to be and is not; without memory it is nobody: closed */
static struct plan_subject *service_begin(
	struct idfw_engine *e, struct idfw_vm *vm, const struct idfw_uid *it)
{
	struct fw_elem el = fw_elem_uid(it->uid, 0);
	struct plan_subject *s = plan_user(e, vm, &el.key);

	if (s)
		s->is_service = true;
	return s;
}

void uid_restart(struct idfw_engine *e, struct idfw_vm *vm)
{
	struct plan_subject *s, *next;

	HASH_ITER (hh, vm->plan->users, s, next) {
		const struct idfw_uid *it = s->is_service ? uid_find(e, fw_key_u32(&s->key)) : NULL;

		if (s->is_service && (!it || !wanted(e, vm, it)))
			service_end(e, vm, s);
	}
	for (size_t i = 0; i < e->uids.n; i++)
		if (wanted(e, vm, &e->uids.list[i]))
			(void)service_begin(e, vm, &e->uids.list[i]);
}

void uid_update(struct idfw_engine *e, struct idfw_vm *vm, uint32_t uid)
{
	const struct idfw_uid *it = uid_find(e, uid);
	struct fw_elem el = fw_elem_uid(uid, 0);
	struct plan_subject *s = it ? plan_find(e, vm, &el.key) : NULL;

	if (!it || (s && s->is_service) == wanted(e, vm, it))
		return;
	if (s && s->is_service) {
		service_end(e, vm, s);
		return;
	}
	s = service_begin(e, vm, it);
	if (s)
		plan_user_update(e, vm, s);
}

void uid_fan(struct idfw_engine *e, struct idfw_vm *vm)
{
	e->n_changed = 0;
	for (size_t g = 0; g < e->n_groups; g++)
		if (pol_set_has(&e->uids.any, g))
			e->changed[e->n_changed++] = g;
	fan_changed(e, vm);
}
