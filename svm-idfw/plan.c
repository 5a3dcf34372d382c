/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * plan.c - subjects, their marks and epochs on one VM (docs/adr/0008)
 *
 * Runs in svm-idfw's engine. A subject is a session of this VM by its cgroup (without one: its
 * uid), a uid that the policy names (uid.c), a remote address with sessions that this VM's rules
 * look at, or nobody (the base mark). It has one current mark: grant    new mark: live,
 * cgroup/uid/address -> mark, member of its groups' sets epoch    another entitlement: new mark,
 * old ones remapped to it; the kernel judges running flows again by their next packet revoke   a
 * session ended (a uid's last one): mark and old marks vanish, flows die at once isolate  a
 * session's mark, and each after it, is not in live: one element less, and all its flows die;
 * whatever epochs come, until it is released retire   a remote address's last session ended: its
 * flows are judged again as nobody's Invariant: vm->want holds exactly the elements of these
 * structs, fan.c's and adopt.c's.
 */
#include "svm-idfw/core.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define SUBJECT_KEY_LEN (1 + sizeof(((struct fw_key *)0)->data))

int plan_new(struct idfw_engine *e, struct idfw_vm *vm)
{
	struct idfw_plan *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->unit = 1;
	p->away_ms = e->mono_ms;
	p->fresh = true;
	p->next_mark = IDFW_MARK_FIRST;
	if (e->conf.seed[0] || e->conf.seed[1])
		p->next_mark +=
			(uint32_t)(idfw_siphash(e->conf.seed, vm->name, strlen(vm->name)) >> 1);
	p->base.key.set = FW_BASE_MARK;
	vm->plan = p;
	return 0;
}

static void subjects_free(struct plan_subject **head)
{
	struct plan_subject *s, *next;

	HASH_ITER (hh, *head, s, next) {
		HASH_DEL(*head, s);
		plan_subject_fini(s);
		free(s);
	}
}

void plan_free(struct idfw_vm *vm)
{
	struct idfw_plan *p = vm->plan;

	if (!p)
		return;
	while (p->wait_head) { /* readiness objects went with their sessions */
		struct plan_wait *w = p->wait_head;

		p->wait_head = w->next;
		if (!--w->ready->waiting)
			free(w->ready);
		free(w);
	}
	idfw_vm_snapshot_drop(vm);
	plan_orphans_free(vm);
	subjects_free(&p->users);
	subjects_free(&p->peers);
	plan_subject_fini(&p->base);
	pol_set_fini(&p->named);
	free(p->count);
	free(p->deny);
	free(p->lease);
	free(p->caps);
	lease_reset(p);
	free(p->retired);
	free(p->drains);
	free(p->revoked);
	free(p->ops);
	free(p->claims);
	free(p);
	vm->plan = NULL;
}

/* ---- users of this VM ---- */

struct plan_subject *plan_find(struct idfw_engine *e, struct idfw_vm *vm, const struct fw_key *key)
{
	unsigned int h = idfw_hashv(e->conf.seed, &key->len, SUBJECT_KEY_LEN);
	struct plan_subject *s;

	if (key->set == FW_UID_MARK || key->set == FW_CG_MARK)
		HASH_FIND_BYHASHVALUE(hh, vm->plan->users, &key->len, SUBJECT_KEY_LEN, h, s);
	else
		HASH_FIND_BYHASHVALUE(hh, vm->plan->peers, &key->len, SUBJECT_KEY_LEN, h, s);
	return s;
}

struct plan_subject *plan_user(struct idfw_engine *e, struct idfw_vm *vm, const struct fw_key *key)
{
	unsigned int h = idfw_hashv(e->conf.seed, &key->len, SUBJECT_KEY_LEN);
	struct plan_subject *s = plan_find(e, vm, key);

	if (s)
		return s;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->key = *key;
	HASH_ADD_BYHASHVALUE(hh, vm->plan->users, key.len, SUBJECT_KEY_LEN, h, s);
	return s;
}

void plan_user_drop(struct idfw_engine *e, struct idfw_vm *vm, struct plan_subject *s)
{
	plan_orphan_drop(e, vm, &s->key);
	plan_subject_revoke(e, vm, s); /* an isolated one has had a mark until now */
	if (s->isolation)
		DL_DELETE(vm->plan->isolated, s);
	HASH_DEL(vm->plan->users, s);
	plan_subject_fini(s);
	free(s);
}

size_t plan_user_marks(const struct idfw_session *s, uint32_t ret[IDFW_MARKS_OF_MAX])
{
	const struct plan_subject *su = s->subject;
	size_t n = 0;

	if (!su || !su->mark || su->sessions->s_next || su->remains)
		return 0;
	for (; n < su->n_old; n++)
		ret[n] = su->old[n];
	ret[n++] = su->mark;
	for (uint8_t i = 0; i < su->n_lapses; i++)
		ret[n++] = su->lapses[i].mark;
	return n;
}

static size_t user_groups(
	struct idfw_engine *e, const struct idfw_vm *vm, const struct plan_subject *s)
{
	const struct pol_set *service = uid_groups(e, s);
	const struct pol_compiled *c = vm->compiled;
	size_t n = 0;

	for (size_t i = 0; i < c->n_groups; i++) {
		const struct idfw_session *se = s->sessions;

		if (!(c->use[i] & POL_USE_OUT_FROM))
			continue;
		if (service && pol_set_has(service, c->policy_group[i]))
			e->scratch[n++] = (uint16_t)i;
		if (service)
			continue;
		while (se && !(se->counted &&
				     pol_set_has(&se->principal->member_of, c->policy_group[i])))
			se = se->s_next;
		if (se)
			e->scratch[n++] = (uint16_t)i;
	}
	return n;
}

/* a first connection's kernel may still know these marks: they are not to be adopted */
static void revoked_remember(struct idfw_plan *p, const struct plan_subject *s)
{
	struct fw_key *n;

	if (!p->fresh)
		return;
	n = realloc(p->revoked, (p->n_revoked + 1) * sizeof(*n));
	if (!n)
		return;
	p->revoked = n;
	p->revoked[p->n_revoked++] = s->key;
}

/* does it have a mark, where rules look at users? Who is isolated, whatever he is: not live, so he
 * is not nobody */
static bool is_somebody(const struct plan_subject *s)
{
	return s->n_counted || s->is_service || (s->isolation && (s->sessions || s->remains));
}

/* PAM holds it, if it has `wait`, for its timeout and no longer; then it is nobody and goes on */
static bool login_waits(const struct idfw_engine *e, const struct idfw_session *s)
{
	const struct plan_ready *r = s->ready;

	return r && !r->sent && !r->late && !s->found && !s->is_unit &&
	       e->mono_ms - r->began_ms <= IDFW_LOGIN_WAITS_MS;
}

/* may a subject that had no mark have flows, nobody's? Not while its login waits to be answered */
static bool may_have_run(const struct idfw_engine *e, const struct plan_subject *s)
{
	const struct idfw_session *se = s->sessions;

	while (se && login_waits(e, se))
		se = se->s_next;
	return se || !s->sessions;
}

/* is something forbidden to it that nobody may? For a person also by a group that he may get */
static bool may_less(const struct idfw_vm *vm, const struct plan_subject *s)
{
	const struct pol_compiled *c = vm->compiled;
	const struct idfw_session *person = s->sessions;

	while (person && person->is_unit)
		person = person->s_next;
	for (size_t i = 0; person && i < c->n_groups; i++)
		if (c->use[i] & POL_USE_OUT_FROM && vm->plan->deny[i])
			return true;
	for (size_t i = 0; i < s->n_groups; i++)
		if (vm->plan->deny[s->groups[i]])
			return true;
	return false;
}

void plan_user_update(struct idfw_engine *e, struct idfw_vm *vm, struct plan_subject *s)
{
	const uint32_t before = s->mark;

	if (!is_somebody(s)) {
		revoked_remember(vm->plan, s);
		plan_subject_revoke(e, vm, s);
		return;
	}
	if (!vm->compiled || !vm->plan->has_out)
		return;
	plan_subject_set(e, vm, s, e->scratch, user_groups(e, vm, s));
	/* of an isolated one the order has done that, and his uid stands since then */
	if (!before && !s->isolation && may_have_run(e, s) && may_less(vm, s))
		plan_rejudge_base(e, vm);
}

void plan_user_isolate(struct idfw_engine *e, struct idfw_vm *vm, struct plan_subject *s,
	const struct idfw_isolation *i)
{
	plan_orphan_drop(e, vm, &s->key);
	if (!s->isolation && i)
		DL_APPEND(vm->plan->isolated, s);
	else if (s->isolation && !i)
		DL_DELETE(vm->plan->isolated, s);
	s->isolation = i;
	if (i) {
		plan_drains_cancel(e, vm, &s->key);
		plan_subject_live(e, vm, s, false);
		if (!s->mark)
			plan_user_update(e, vm, s);
		return;
	}
	plan_subject_revoke(e, vm, s); /* what was cut stays cut */
	plan_user_update(e, vm, s);
}

/* ---- remote addresses ---- */

static size_t peer_groups(struct idfw_engine *e, const struct idfw_vm *vm, const struct idfw_vm *u)
{
	const struct pol_compiled *c = vm->compiled;
	size_t n = 0;

	if (!u || u == vm || !u->plan->count)
		return 0;
	for (size_t i = 0; i < c->n_groups; i++)
		if (c->use[i] & POL_USE_IN_FROM &&
			(u->plan->count[c->policy_group[i]] ||
				uid_counts(e, u, c->policy_group[i])) &&
			!lease_lost(e, u, c->policy_group[i]))
			e->scratch[n++] = (uint16_t)i;
	return n;
}

static void peer_end(struct idfw_engine *e, struct idfw_vm *vm, struct plan_subject *s)
{
	plan_subject_retire(e, vm, s);
	HASH_DEL(vm->plan->peers, s);
	plan_subject_fini(s);
	free(s);
}

void plan_peer_update(
	struct idfw_engine *e, struct idfw_vm *vm, const struct idfw_vm *u, const struct gi_addr *a)
{
	struct fw_elem el = fw_elem_addr(a, 0);
	unsigned int h = idfw_hashv(e->conf.seed, &el.key.len, SUBJECT_KEY_LEN);
	struct plan_subject *s;
	size_t n;

	if (!vm->compiled)
		return;
	n = peer_groups(e, vm, u);
	s = plan_find(e, vm, &el.key);
	if (!n) {
		if (s)
			peer_end(e, vm, s);
		return;
	}
	if (!s) {
		s = calloc(1, sizeof(*s));
		if (!s)
			return; /* no access by identity from there: closed rather than open */
		s->key = el.key;
		HASH_ADD_BYHASHVALUE(hh, vm->plan->peers, key.len, SUBJECT_KEY_LEN, h, s);
	}
	plan_subject_set(e, vm, s, e->scratch, n);
}

/* ---- all of them ---- */

static struct gi_addr peer_addr(const struct plan_subject *s)
{
	struct gi_addr a = { .family = s->key.set == FW_ADDR4_MARK ? 4 : 6 };

	memcpy(a.bytes, s->key.data, sizeof(a.bytes));
	return a;
}

static void base_epoch(struct idfw_engine *e, struct idfw_vm *vm)
{
	struct idfw_plan *p = vm->plan;

	plan_subject_epoch(e, vm, &p->base, NULL, 0);
	for (size_t i = 0; i < p->n_retired; i++) {
		struct fw_elem el = fw_elem_remark(p->retired[i].mark, p->base.mark);

		plan_emit(e, vm, false, &el);
	}
}

void plan_rejudge(struct idfw_engine *e, struct idfw_vm *vm)
{
	vm->plan->rejudge = true;
	plan_touch(e, vm);
}

void plan_rejudge_base(struct idfw_engine *e, struct idfw_vm *vm)
{
	struct idfw_plan *p = vm->plan;

	/* what a kernel of before our start holds is found anyway: nobody's mark is another one */
	if (p->fresh || p->rejudge_base)
		return;
	p->rejudge_base = true;
	if (p->base_due_ms <= e->mono_ms)
		p->base_due_ms = e->mono_ms;
	idfw_due(e, p->base_due_ms);
}

void plan_rejudge_due(struct idfw_engine *e, struct idfw_vm *vm)
{
	const uint64_t burst = IDFW_REJUDGE_BURST * IDFW_REJUDGE_LONG_MS;
	struct idfw_plan *p = vm->plan;

	if (!p->rejudge_base || !vm->connected || !vm->compiled)
		return;
	if (e->mono_ms < p->base_due_ms) {
		idfw_due(e, p->base_due_ms);
		return;
	}
	p->rejudge_base = false;
	/* a minute for each; an order does not wait: what is owed beyond is forgiven */
	if (p->base_paid_ms < e->mono_ms)
		p->base_paid_ms = e->mono_ms;
	if (p->base_paid_ms > e->mono_ms + burst)
		p->base_paid_ms = e->mono_ms + burst;
	p->base_paid_ms += IDFW_REJUDGE_LONG_MS;
	p->base_due_ms = e->mono_ms + IDFW_REJUDGE_MS;
	if (p->base_paid_ms > p->base_due_ms + burst)
		p->base_due_ms = p->base_paid_ms - burst;
	base_epoch(e, vm);
}

void plan_rejudge_now(struct idfw_engine *e, struct idfw_vm *vm)
{
	struct plan_subject *s, *next;

	if (!vm->compiled)
		return;
	base_epoch(e, vm);
	vm->plan->rejudge_base = false;
	HASH_ITER (hh, vm->plan->users, s, next)
		if (s->mark)
			plan_subject_epoch(e, vm, s, e->scratch, user_groups(e, vm, s));
	HASH_ITER (hh, vm->plan->peers, s, next) {
		struct gi_addr a = peer_addr(s);

		plan_subject_epoch(
			e, vm, s, e->scratch, peer_groups(e, vm, idfw_addr_owner(e, &a)));
	}
}

void plan_restart(struct idfw_engine *e, struct idfw_vm *vm)
{
	struct idfw_plan *p = vm->plan;
	struct plan_subject *s, *next;

	p->broken = false;
	base_epoch(e, vm);
	uid_restart(e, vm);
	p->rejudge = p->rejudge_base = false;
	HASH_ITER (hh, p->users, s, next) {
		if (s->mark && !p->has_out)
			plan_subject_retire(
				e, vm, s); /* nobody is looked at any more: judged as all others */
		else if (is_somebody(s) && p->has_out)
			plan_subject_epoch(e, vm, s, e->scratch, user_groups(e, vm, s));
		else if (!is_somebody(s))
			plan_subject_revoke(e, vm, s); /* not let in any more */
	}
	HASH_ITER (hh, p->peers, s, next) {
		struct gi_addr a = peer_addr(s);
		size_t n = peer_groups(e, vm, idfw_addr_owner(e, &a));

		if (n)
			plan_subject_epoch(e, vm, s, e->scratch, n);
		else
			peer_end(e, vm, s);
	}
	plan_orphans_readd(e, vm);
	plan_drains_readd(e, vm);
}

void plan_renew(struct idfw_engine *e, struct idfw_vm *vm)
{
	struct idfw_plan *p = vm->plan;
	struct plan_subject *s, *next;

	plan_drains_cancel(e, vm, NULL);
	plan_subject_revoke(e, vm, &p->base);
	plan_retired_drop(e, vm, p->n_retired);
	HASH_ITER (hh, p->users, s, next)
		plan_subject_revoke(e, vm, s);
	HASH_ITER (hh, p->peers, s, next)
		plan_subject_revoke(e, vm, s);
	base_epoch(e, vm);
	HASH_ITER (hh, p->users, s, next)
		if (is_somebody(s) && p->has_out)
			plan_subject_epoch(e, vm, s, e->scratch, user_groups(e, vm, s));
	HASH_ITER (hh, p->peers, s, next) {
		struct gi_addr a = peer_addr(s);

		plan_subject_epoch(
			e, vm, s, e->scratch, peer_groups(e, vm, idfw_addr_owner(e, &a)));
	}
}
