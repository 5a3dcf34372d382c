/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * engine.c - the engine's life: clock, deadlines, policy, records, the flush of a loop round
 *
 * Runs in svm-idfw, one thread, no descriptors: see engine.h for what goes in and out. Every
 * public entry ends in plan_event_end(), so that what one event changed stays together.
 * Invariant: a policy that does not compile for every VM changes nothing.
 */
#include "svm-idfw/recent.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DETAIL_MAX (1u << 20)

int idfw_engine_new(
	const struct idfw_engine_conf *conf, const struct idfw_out *out, struct idfw_engine **ret)
{
	struct idfw_engine *e = calloc(1, sizeof(*e));

	if (!e)
		return -ENOMEM;
	e->scratch = calloc(FW_GROUPS_MAX, sizeof(*e->scratch));
	e->isolate_until_ms = calloc(conf->isolate_max + 1u, sizeof(*e->isolate_until_ms));
	if (!e->scratch || !e->isolate_until_ms) {
		free(e->scratch);
		free(e->isolate_until_ms);
		free(e);
		return -ENOMEM;
	}
	e->conf = *conf;
	e->out = *out;
	e->next_db_id = 1;
	idfw_strtab_init(&e->strings, conf->seed);
	idfw_groups_init(&e->groups, &e->strings);
	gi_buf_init(&e->json, DETAIL_MAX);
	*ret = e;
	return 0;
}

void idfw_engine_free(struct idfw_engine *e)
{
	struct idfw_vm *vm, *vm_next;
	struct idfw_session *s, *s_next;
	struct idfw_principal *p, *p_next;

	if (!e)
		return;
	uid_list_free(&e->uids);
	HASH_ITER (hh, e->sessions, s, s_next)
		idfw_session_free(e, s);
	HASH_ITER (hh, e->principals, p, p_next)
		idfw_principal_free(e, p);
	idfw_units_free(e);
	idfw_collide_free(e);
	idfw_owners_free(e);
	idfw_recents_free(e);
	idfw_outboxes_free(e);
	HASH_ITER (hh, e->vms, vm, vm_next)
		idfw_vm_free(e, vm);
	for (size_t i = 0; i < e->n_groups; i++)
		free(e->refs[i].list);
	free(e->refs);
	free(e->lease);
	free(e->changed);
	free(e->scratch);
	free(e->isolate_until_ms);
	pol_free(e->policy);
	gi_buf_fini(&e->json);
	idfw_strtab_fini(&e->strings);
	free(e);
}

void idfw_engine_clock(struct idfw_engine *e, uint64_t mono_ms, uint64_t real_ms)
{
	e->mono_ms = mono_ms;
	e->real_ms = real_ms;
}

void idfw_due(struct idfw_engine *e, uint64_t mono_ms)
{
	if (!e->next_due_ms || mono_ms < e->next_due_ms)
		e->next_due_ms = mono_ms;
}

uint64_t idfw_engine_tick(struct idfw_engine *e)
{
	struct idfw_vm *vm, *next;
	uint64_t beat_ms = lease_tick(e);

	if (e->next_due_ms && e->mono_ms >= e->next_due_ms) {
		e->next_due_ms = 0;
		idfw_cause(e, "time");
		HASH_ITER (hh, e->vms, vm, next)
			idfw_vm_due(e, vm);
		if (e->retry_ms && e->mono_ms >= e->retry_ms)
			idfw_principal_retry(e);
		else if (e->retry_ms)
			idfw_due(e, e->retry_ms);
		idfw_account_tick(e);
		age_tick(e);
		ready_due(e);
		plan_event_end(e);
	}
	return beat_ms && (!e->next_due_ms || beat_ms < e->next_due_ms) ? beat_ms : e->next_due_ms;
}

void idfw_engine_flush(struct idfw_engine *e)
{
	struct idfw_vm *vm;

	if (e->watch_all)
		service_watch_all(e);
	vm = e->dirty;
	e->dirty = NULL;
	while (vm) {
		struct idfw_plan *p = vm->plan;
		struct idfw_vm *next = p->dirty_next;

		p->dirty = false;
		p->dirty_next = NULL;
		if (p->ack_due && vm->connected && p->phase >= PLAN_STARTING) {
			Idfw__EventAck ack = IDFW__EVENT_ACK__INIT;
			Idfw__Envelope env = IDFW__ENVELOPE__INIT;

			ack.seq = vm->acked_seq;
			env.body_case = IDFW__ENVELOPE__BODY_EVENT_ACK;
			env.event_ack = &ack;
			e->out.send(e->out.arg, vm, &env);
		}
		p->ack_due = false;
		plan_flush(e, vm);
		vm = next;
	}
}

void idfw_engine_durable(
	struct idfw_engine *e, struct idfw_vm *vm, const uint8_t boot_id[16], uint64_t seq)
{
	if (memcmp(vm->boot_id, boot_id, sizeof(vm->boot_id)) || seq <= vm->acked_seq)
		return;
	vm->acked_seq = seq < vm->seq ? seq : vm->seq;
	vm->plan->ack_due = true;
	plan_dirty(e, vm);
}

/* ---- policy ---- */

struct commit { /* everything that can fail is made before anything changes */
	struct pol_policy *policy;
	size_t n_groups;
	struct pol_set *members, *units,
		*named; /* of the principals, of the VMs, in the order of the tables */
	struct pol_compiled **compiled;
	uint32_t **counts;
	struct plan_refs *refs;
	size_t *changed;
	uint32_t *lease;
	struct idfw_uids uids;
	size_t n_principals, n_units, n_vms;
};

static void commit_fini(struct commit *c)
{
	for (size_t i = 0; c->members && i < c->n_principals; i++)
		pol_set_fini(&c->members[i]);
	for (size_t i = 0; c->units && i < c->n_units; i++)
		pol_set_fini(&c->units[i]);
	for (size_t i = 0; c->named && i < c->n_vms; i++)
		pol_set_fini(&c->named[i]);
	for (size_t i = 0; c->compiled && i < c->n_vms; i++)
		pol_compiled_free(c->compiled[i]);
	for (size_t i = 0; c->counts && i < c->n_vms; i++)
		free(c->counts[i]);
	free(c->members);
	free(c->units);
	free(c->named);
	free(c->compiled);
	free(c->counts);
	free(c->refs);
	free(c->changed);
	free(c->lease);
	uid_list_free(&c->uids);
}

static int commit_vm(
	const struct commit *c, const struct idfw_vm *vm, uint64_t generation, size_t i)
{
	int r = pol_groups_of_vm(c->policy, vm->name, &c->named[i]);

	if (r < 0)
		return r;
	c->counts[i] = calloc(c->n_groups + 1, sizeof(*c->counts[i]));
	if (!c->counts[i])
		return -ENOMEM;
	return fan_compile_vm(c->policy, vm, generation, &c->compiled[i]);
}

static int commit_prepare(struct idfw_engine *e, struct commit *c, uint64_t generation)
{
	struct idfw_principal *p, *p_next;
	struct idfw_vm *vm, *vm_next;
	size_t i = 0;
	int r = 0;

	c->n_groups = pol_group_count(c->policy);
	c->n_principals = HASH_COUNT(e->principals);
	c->n_vms = HASH_COUNT(e->vms);
	c->n_units = HASH_COUNT(e->units);
	c->units = calloc(c->n_units + 1, sizeof(*c->units));
	c->members = calloc(c->n_principals + 1, sizeof(*c->members));
	c->named = calloc(c->n_vms + 1, sizeof(*c->named));
	c->compiled = calloc(c->n_vms + 1, sizeof(struct pol_compiled *));
	c->counts = calloc(c->n_vms + 1, sizeof(uint32_t *));
	c->refs = calloc(c->n_groups + 1, sizeof(*c->refs));
	c->changed = calloc(c->n_groups + 1, sizeof(*c->changed));
	c->lease = calloc(c->n_groups + 1, sizeof(*c->lease));
	if (!c->members || !c->units || !c->named || !c->compiled || !c->counts || !c->refs ||
		!c->changed || !c->lease)
		return -ENOMEM;
	for (size_t g = 0; g < c->n_groups; g++)
		c->lease[g] = pol_group_lease_s(c->policy, g);
	r = uid_list_new(c->policy, &c->uids);
	if (r < 0)
		return r;
	HASH_ITER (hh, e->principals, p, p_next) {
		r = idfw_principal_groups(e, c->policy, p, &c->members[i++]);
		if (r < 0)
			return r;
	}
	i = 0;
	HASH_ITER (hh, e->units, p, p_next) {
		r = idfw_principal_groups(e, c->policy, p, &c->units[i++]);
		if (r < 0)
			return r;
	}
	i = 0;
	HASH_ITER (hh, e->vms, vm, vm_next) {
		r = commit_vm(c, vm, generation, i++);
		if (r < 0)
			return r;
	}
	return 0;
}

/* same names in both: then the commit decided nothing about this account */
static bool same_groups(const struct pol_policy *a, const struct pol_set *sa,
	const struct pol_policy *b, const struct pol_set *sb)
{
	size_t i = 0, k = 0;

	for (;;) {
		while (i < sa->n && !pol_set_has(sa, i))
			i++;
		while (k < sb->n && !pol_set_has(sb, k))
			k++;
		if (i >= sa->n || k >= sb->n)
			return i >= sa->n && k >= sb->n;
		if (strcmp(pol_group_name(a, i++), pol_group_name(b, k++)))
			return false;
	}
}

/* takes @now; every one of its sessions is judged again, nothing is pushed yet */
static void commit_account(struct idfw_engine *e, struct idfw_principal *p, struct pol_set *now,
	const struct pol_policy *before)
{
	struct pol_set old = p->member_of;
	bool same = before && same_groups(before, &old, e->policy, now);

	p->member_of = *now;
	*now = (struct pol_set){ 0 };
	for (struct idfw_session *s = p->sessions; s; s = s->p_next) {
		if (before && !same)
			idfw_session_decision(e, s, "policy");
		service_login(e, s);
		idfw_session_recount(s);
	}
	pol_set_fini(&old);
	idfw_account_schedule(e, p);
}

static void commit_principals(
	struct idfw_engine *e, struct commit *c, const struct pol_policy *before)
{
	struct idfw_principal *p, *next;
	size_t i = 0;

	HASH_ITER (hh, e->principals, p, next)
		commit_account(e, p, &c->members[i++], before);
	i = 0;
	HASH_ITER (hh, e->units, p, next)
		commit_account(e, p, &c->units[i++], before);
}

static void commit_vms(struct idfw_engine *e, struct commit *c)
{
	struct idfw_vm *vm, *next;
	size_t i = 0;

	HASH_ITER (hh, e->vms, vm, next) {
		pol_compiled_free(vm->compiled);
		vm->compiled = c->compiled[i];
		c->compiled[i] = NULL;
		pol_set_fini(&vm->plan->named);
		vm->plan->named = c->named[i];
		c->named[i] = (struct pol_set){ 0 };
		free(vm->plan->count);
		vm->plan->count = c->counts[i];
		c->counts[i++] = NULL;
		fan_recount(e, vm);
		lease_lost_now(e, vm);
	}
	HASH_ITER (hh, e->vms, vm, next)
		fan_install(e, vm);
	HASH_ITER (hh, e->vms, vm, next)
		fan_from(e, vm);
	service_watch_all(e);
	HASH_ITER (hh, e->vms, vm, next)
		vm->plan->rejudge = false; /* all flows are judged again as it is */
}

int idfw_engine_policy_check(struct idfw_engine *e, struct pol_policy *p, uint64_t generation)
{
	struct commit c = { .policy = p };
	int r = generation > e->generation ? commit_prepare(e, &c, generation) : -GI_ESTATE;

	commit_fini(&c);
	return r;
}

int idfw_engine_policy(struct idfw_engine *e, struct pol_policy *p, uint64_t generation)
{
	struct commit c = { .policy = p };
	struct pol_policy *before = e->policy;
	int r;

	if (generation <= e->generation)
		return -GI_ESTATE;
	r = commit_prepare(e, &c, generation);
	if (r < 0) {
		commit_fini(&c);
		return r;
	}
	idfw_cause(e, "policy %llu", (unsigned long long)generation);
	for (size_t i = 0; i < e->n_groups; i++)
		free(e->refs[i].list);
	free(e->refs);
	free(e->changed);
	free(e->lease);
	e->lease = c.lease;
	c.lease = NULL;
	uid_list_free(&e->uids);
	e->uids = c.uids;
	c.uids = (struct idfw_uids){ 0 };
	e->refs = c.refs;
	e->changed = c.changed;
	c.refs = NULL;
	c.changed = NULL;
	e->n_groups = c.n_groups;
	e->policy = p;
	e->generation = generation;
	plan_drain_begin(e);
	commit_principals(e, &c, before);
	commit_vms(e, &c);
	plan_event_end(e);
	plan_drain_end(e);
	commit_fini(&c);
	pol_free(before);
	return 0;
}

const struct pol_policy *idfw_engine_policy_now(
	const struct idfw_engine *e, uint64_t *ret_generation)
{
	if (ret_generation)
		*ret_generation = e->generation;
	return e->policy;
}

/* ---- looking ---- */

struct idfw_vm *idfw_engine_vms(struct idfw_engine *e)
{
	return e->vms;
}

struct idfw_principal *idfw_engine_principals(struct idfw_engine *e)
{
	return e->principals;
}

void idfw_engine_next_db_id(struct idfw_engine *e, uint64_t next)
{
	if (next > e->next_db_id)
		e->next_db_id = next;
}

void idfw_engine_stats(const struct idfw_engine *e, struct idfw_stats *ret)
{
	const struct idfw_isolation *i;
	const struct idfw_vm *vm;

	*ret = e->stats;
	ret->sessions = HASH_COUNT(e->sessions);
	ret->principals = HASH_COUNT(e->principals);
	ret->vms = HASH_COUNT(e->vms);
	ret->vms_connected = 0;
	for (vm = e->vms; vm; vm = vm->hh.next) {
		ret->vms_connected += vm->connected;
		for (i = vm->isolations; i; i = i->next)
			*(i->whole_vm ? &ret->isolated_vms : &ret->isolated_sessions) += 1;
		ret->alarms += vm->n_alarms;
	}
	idfw_dir_stats(e, ret);
}

/* ---- records ---- */

int idfw_record(struct idfw_engine *e, enum idfw_record_kind kind, const struct idfw_vm *vm,
	const struct idfw_session *s, uint64_t seq, const char *detail)
{
	struct idfw_record r = {
		.kind = kind,
		.time_ms = e->real_ms,
		.vm = vm ? vm->name : "",
		.boot_id = s	? s->boot_id
			   : vm ? vm->boot_id
				: NULL,
		.session = s,
		.seq = seq,
		.detail = detail,
	};

	return e->out.store(e->out.arg, &r);
}

void idfw_note(struct idfw_engine *e, enum idfw_record_kind kind, const struct idfw_vm *vm,
	const struct idfw_session *s, const char *detail)
{
	if (idfw_record(e, kind, vm, s, 0, detail) < 0)
		e->stats.unrecorded++;
}

void idfw_cause(struct idfw_engine *e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(e->cause, sizeof(e->cause), fmt, ap);
	va_end(ap);
}

void idfw_json(struct gi_buf *b, const char *text)
{
	gi_buf_append(b, "\"", 1);
	for (const char *p = text ? text : ""; *p; p++) {
		size_t plain = 0;

		while ((uint8_t)p[plain] >= 0x20 && p[plain] != '"' && p[plain] != '\\' &&
			p[plain] != 0x7f)
			plain++;
		gi_buf_append(b, p, plain);
		p += plain;
		if (!*p)
			break;
		if (*p == '"' || *p == '\\')
			gi_buf_printf(b, "\\%c", *p);
		else
			gi_buf_printf(b, "\\u%04x", (uint8_t)*p);
	}
	gi_buf_append(b, "\"", 1);
}

const char *idfw_json_why(
	struct idfw_engine *e, const char *why, const char *name, const char *value)
{
	gi_buf_reset(&e->json);
	gi_buf_printf(&e->json, "{\"why\":");
	idfw_json(&e->json, why);
	if (value) {
		gi_buf_printf(&e->json, ",\"%s\":", name);
		idfw_json(&e->json, value);
	}
	gi_buf_printf(&e->json, "}");
	return gi_buf_error(&e->json) ? "{\"why\":\"too long\"}" : gi_buf_str(&e->json);
}
