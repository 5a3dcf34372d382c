/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * service.c - what the policy says about sessions: system services by unit, who may log in where
 *
 * Runs in svm-idfw's engine. A service that the policy names is a session of kind SERVICE, by its
 * cgroup, with the groups of its unit; the agent reports those that ServiceWatch asks for, and no
 * others: what nobody asked for is refused and recorded. It is never a person's, and no directory
 * is asked. A login that `logins` does not let in on its VM is recorded, told, and gives nothing;
 * it is judged again whenever its groups or the policy change.
 */
#include "svm-idfw/core.h"

#include <string.h>

/* does some rule look at a group of this set: here, or elsewhere because of who is here? */
static bool matters(
	const struct idfw_engine *e, const struct idfw_vm *vm, const struct pol_set *groups)
{
	const struct pol_compiled *c = vm->compiled;

	for (size_t i = 0; c && i < c->n_groups; i++)
		if (c->use[i] & POL_USE_OUT_FROM && pol_set_has(groups, c->policy_group[i]))
			return true;
	for (size_t g = 0; g < e->n_groups; g++) {
		const struct plan_refs *r = &e->refs[g];

		for (size_t i = 0; pol_set_has(groups, g) && i < r->n; i++)
			if (r->list[i].vm != vm && r->list[i].use & (POL_USE_IN_FROM | POL_USE_TO))
				return true;
	}
	return false;
}

static bool unit_matters(const struct idfw_engine *e, const struct idfw_vm *vm, const char *unit)
{
	struct pol_set groups = { 0 };
	bool yes = pol_groups_of_unit(e->policy, unit, &groups) == 0 && matters(e, vm, &groups);

	pol_set_fini(&groups);
	return yes;
}

const char *service_refusal(
	const struct idfw_engine *e, const struct idfw_vm *vm, const Idfw__Session *ws)
{
	if (ws->kind != IDFW__SESSION__KIND__SERVICE)
		return NULL;
	if (!ws->cgroup || ws->parent)
		return "a service without a cgroup of its own";
	for (size_t i = 0; e->policy && i < pol_unit_count(e->policy); i++)
		if (!strcmp(pol_unit_name(e->policy, i), ws->user))
			return unit_matters(e, vm, ws->user) ? NULL : "a service nobody asked for";
	return "a service nobody asked for";
}

/* ---- ServiceWatch ---- */

void service_watch(struct idfw_engine *e, struct idfw_vm *vm, bool anew)
{
	Idfw__ServiceWatch watch = IDFW__SERVICE_WATCH__INIT;
	Idfw__Envelope env = IDFW__ENVELOPE__INIT;
	char *units[WIRE_UNITS_MAX];
	uint64_t hash = 1;

	if (!e->policy || !vm->connected || (!anew && vm->plan->phase < PLAN_STARTING))
		return;
	watch.unit = units;
	for (size_t i = 0; i < pol_unit_count(e->policy) && watch.n_unit < WIRE_UNITS_MAX; i++) {
		const char *unit = pol_unit_name(e->policy, i);

		if (!unit_matters(e, vm, unit))
			continue;
		units[watch.n_unit++] = (char *)(uintptr_t)unit;
		hash = hash * 31 + idfw_siphash(e->conf.seed, unit, strlen(unit));
	}
	if (!anew && vm->plan->watch == hash)
		return;
	vm->plan->watch = hash;
	env.body_case = IDFW__ENVELOPE__BODY_SERVICE_WATCH;
	env.service_watch = &watch;
	e->out.send(e->out.arg, vm, &env);
}

void service_watch_all(struct idfw_engine *e)
{
	struct idfw_vm *vm, *next;

	e->watch_all = false;
	HASH_ITER (hh, e->vms, vm, next)
		service_watch(e, vm, false);
}

/* ---- logins ---- */

void service_login(struct idfw_engine *e, struct idfw_session *s)
{
	const struct idfw_principal *p = s->principal;
	const char *rule = NULL;
	bool allowed = true;

	if (!e->policy || !p || p->is_unit || p->held ||
		(p->presence != IDFW_P_FOUND && p->presence != IDFW_P_NOT_FOUND))
		return;
	allowed = pol_login_allowed(
		e->policy, s->vm->name, p->presence == IDFW_P_FOUND ? &p->member_of : NULL, &rule);
	if (allowed != s->refused)
		return;
	s->refused = !allowed;
	e->stats.refused += s->refused;
	gi_notice("%s@%s: session %llu %s by logins \"%s\"", s->user, s->vm->name,
		(unsigned long long)s->db_id, allowed ? "is let in" : "is refused",
		rule ? rule : "");
	idfw_note(e, IDFW_REC_REFUSED, s->vm, s,
		idfw_json_why(e,
			allowed ? "let in again" : "the policy does not let this user in here",
			"logins", rule ? rule : ""));
	if (s->refused)
		ready_send(e, s, IDFW__SESSION_READY__STATE__REFUSED);
}
