/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * isolate.c - sessions and VMs that lost their network, until somebody releases them (ADR 13)
 *
 * Runs in svm-idfw's engine. By a verdict of svm-scan (bounded: never-isolate, isolate-max) or by
 * an operator.
 *   a session  its subject, and whatever its uid begins on that VM afterwards: the mark leaves
 *              `live`, one element, and every flow dies; groups that other VMs saw because of it
 *              are gone there, as after a kick. The session is not ended; others that its user had
 *              before go on, if the kernel can tell them apart (cgroups)
 *   a VM       a ruleset without rules, both directions drop; its sessions count nowhere else
 * Invariant: s->isolation, vm->isolation and vm->isolations say the same. A verdict's isolation is
 * recorded or does not happen; an operator's happens in any case.
 */
#include "svm-idfw/recent.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define HOUR_MS 3600000u

bool idfw_isolation_hits(const struct idfw_isolation *i, const struct idfw_session *s)
{
	if (i->whole_vm)
		return true;
	if (s->parent || i->uid != s->uid || (s->is_unit && strcmp(s->user, i->user) != 0))
		return false;
	return s->db_id == i->session || s->db_id > i->spares;
}

const struct idfw_isolation *idfw_isolation_for(const struct idfw_session *s)
{
	const struct idfw_isolation *i;

	for (i = s->vm->isolations; i; i = i->next)
		if (!i->whole_vm && idfw_isolation_hits(i, s))
			return i;
	return NULL;
}

const struct idfw_isolation *idfw_session_isolation(const struct idfw_session *s)
{
	if (s->vm->isolation)
		return s->vm->isolation;
	return s->subject ? s->subject->isolation : NULL;
}

static void isolation_free(struct idfw_isolation *i)
{
	free(i->user);
	free(i->by);
	free(i->why);
	free(i);
}

void idfw_isolations_free(struct idfw_vm *vm)
{
	struct idfw_isolation *i, *next;

	for (i = vm->isolations; i; i = next) {
		next = i->next;
		isolation_free(i);
	}
	vm->isolations = NULL;
}

static struct idfw_isolation *isolation_new(struct idfw_vm *vm, const struct idfw_isolation *from)
{
	struct idfw_isolation *i = calloc(1, sizeof(*i));

	if (!i)
		return NULL;
	*i = *from;
	i->vm = vm;
	i->prev = i->next = NULL;
	i->user = strdup(from->user ? from->user : "");
	i->by = strdup(from->by ? from->by : "");
	i->why = strdup(from->why ? from->why : "");
	if (i->user && i->by && i->why)
		return i;
	isolation_free(i);
	return NULL;
}

/* ---- what it does ---- */

/* what the VM's sessions mean for other VMs begins or ends */
static void sessions_fan(struct idfw_engine *e, struct idfw_vm *vm, bool begin)
{
	for (struct idfw_session *s = vm->sessions; s; s = s->v_next) {
		const struct pol_set *groups;

		if (!s->counted || s->subject->isolation)
			continue;
		groups = &s->principal->member_of;
		fan_session(e, vm, begin ? NULL : groups, begin ? groups : NULL);
	}
}

static int vm_begin(struct idfw_engine *e, struct idfw_vm *vm, const struct idfw_isolation *i)
{
	int r;

	sessions_fan(e, vm, false);
	vm->isolation = i;
	plan_orphans_drop(e, vm);
	plan_drains_cancel(e, vm, NULL);
	r = fan_recompile(e, vm);
	if (r < 0) {
		vm->isolation = NULL;
		sessions_fan(e, vm, true);
	}
	uid_fan(e, vm);
	return r;
}

static int vm_end(struct idfw_engine *e, struct idfw_vm *vm)
{
	const struct idfw_isolation *i = vm->isolation;
	int r;

	vm->isolation = NULL;
	r = fan_recompile(e, vm);
	if (r < 0)
		vm->isolation = i;
	else
		sessions_fan(e, vm, true);
	uid_fan(e, vm);
	return r;
}

static void subject_fan(struct idfw_engine *e, const struct plan_subject *su, bool begin)
{
	for (struct idfw_session *s = su->sessions; s; s = s->s_next) {
		const struct pol_set *groups = &s->principal->member_of;

		if (s->counted && !s->vm->isolation)
			fan_session(e, s->vm, begin ? NULL : groups, begin ? groups : NULL);
	}
}

void idfw_isolate_subject(struct idfw_engine *e, struct idfw_vm *vm, struct plan_subject *su,
	const struct idfw_isolation *i)
{
	if (!i || su->isolation)
		return;
	subject_fan(e, su, false);
	plan_user_isolate(e, vm, su, i);
}

/* released: does another one hit a session of this subject? */
static void subject_release(struct idfw_engine *e, struct idfw_vm *vm, struct plan_subject *su)
{
	const struct idfw_isolation *other = NULL;

	for (const struct idfw_session *s = su->sessions; s && !other; s = s->s_next)
		other = idfw_isolation_for(s);
	if (!idfw_remains_isolation(vm, su))
		idfw_remains_forget(vm, su);
	else if (!other)
		other = idfw_remains_isolation(vm, su);
	plan_user_isolate(e, vm, su, NULL);
	if (other)
		plan_user_isolate(e, vm, su, other);
	else if (su->sessions)
		subject_fan(e, su, true);
	else if (!su->is_service)
		plan_user_drop(e, vm, su);
}

void idfw_isolate_again(struct idfw_engine *e, struct idfw_vm *vm, struct plan_subject *su)
{
	const struct idfw_isolation *other = idfw_remains_isolation(vm, su);

	for (const struct idfw_session *s = su->sessions; s && !other; s = s->s_next)
		other = idfw_isolation_for(s);
	if (!su->isolation)
		return;
	if (other)
		su->isolation = other; /* the one before may have been for who is gone */
	else
		subject_release(e, vm, su);
}

static int isolation_begin(struct idfw_engine *e, struct idfw_isolation *i)
{
	int r = 0;

	DL_APPEND(i->vm->isolations, i);
	if (i->whole_vm) {
		r = vm_begin(e, i->vm, i);
		if (r < 0)
			DL_DELETE(i->vm->isolations, i);
		return r;
	}
	for (struct idfw_session *s = i->vm->sessions; s; s = s->v_next)
		if (s->subject && idfw_isolation_hits(i, s))
			idfw_isolate_subject(e, i->vm, s->subject, i);
	idfw_remains_uid(e, i);
	idfw_remains_look(e, i->vm);
	i->vm->plan->base_due_ms = 0; /* an order is carried out at once */
	plan_rejudge_base(e, i->vm);  /* what he has begun as nobody is cut, too */
	return 0;
}

static int isolation_end(struct idfw_engine *e, struct idfw_isolation *i)
{
	struct plan_subject *su, *next;
	int r;

	if (i->whole_vm) {
		r = vm_end(e, i->vm);
		if (r < 0)
			return r;
		DL_DELETE(i->vm->isolations, i);
		return 0;
	}
	DL_DELETE(i->vm->isolations, i);
	for (su = i->vm->plan->isolated; su; su = next) {
		next = su->next;
		if (su->isolation == i)
			subject_release(e, i->vm, su);
	}
	idfw_remains_look(e, i->vm);
	return 0;
}

/* ---- records ---- */

static int isolation_record(struct idfw_engine *e, enum idfw_record_kind kind,
	const struct idfw_isolation *i, const char *by, const char *why)
{
	struct gi_buf *b = &e->json;
	struct idfw_record r = { .kind = kind,
		.time_ms = e->real_ms,
		.vm = i->vm->name,
		.boot_id = i->vm->boot_id,
		.db_id = i->session,
		.user = i->user,
		.isolation = i };

	gi_buf_reset(b);
	gi_buf_printf(b, "{\"what\":\"%s\"", i->whole_vm ? "vm" : "session");
	if (!i->whole_vm)
		gi_buf_printf(b, ",\"uid\":%u", i->uid);
	gi_buf_printf(b, ",\"by\":");
	idfw_json(b, by);
	gi_buf_printf(b, ",\"why\":");
	idfw_json(b, why);
	if (kind == IDFW_REC_RELEASED) {
		gi_buf_printf(b, ",\"since_ms\":%llu,\"was\":", (unsigned long long)i->since_ms);
		idfw_json(b, i->why);
	} else {
		gi_buf_printf(b, ",\"automatic\":%s", i->automatic ? "true" : "false");
	}
	gi_buf_printf(b, "}");
	r.detail = gi_buf_error(b) ? "{\"error\":\"too long\"}" : gi_buf_str(b);
	return e->out.store(e->out.arg, &r);
}

static void isolation_say(
	const struct idfw_isolation *i, const char *what, const char *by, const char *why)
{
	if (i->whole_vm)
		gi_notice("%s: VM %s, by %s: %s", what, i->vm->name, by, why);
	else
		gi_notice("%s: uid %u (%s) on %s, session %llu, by %s: %s", what, i->uid, i->user,
			i->vm->name, (unsigned long long)i->session, by, why);
}

static void cause(struct idfw_engine *e, const char *what, const struct idfw_isolation *i)
{
	if (i->whole_vm)
		idfw_cause(e, "%s VM %s", what, i->vm->name);
	else
		idfw_cause(e, "%s %s@%s", what, i->user, i->vm->name);
}

/* ---- by a verdict, by an operator ---- */

static bool spared(const struct idfw_engine *e, const struct idfw_vm *vm)
{
	for (size_t i = 0; i < e->conf.n_never_isolate; i++)
		if (!strcmp(e->conf.never_isolate[i], vm->name))
			return true;
	return false;
}

static bool there(const struct idfw_vm *vm, const struct idfw_isolation *from)
{
	const struct idfw_isolation *i;

	if (from->whole_vm)
		return vm->isolation;
	for (i = vm->isolations; i; i = i->next)
		if (!i->whole_vm && i->uid == from->uid &&
			(i->session == from->session || from->session > i->spares))
			return true;
	return false;
}

bool idfw_isolation_scope(struct idfw_engine *e, struct idfw_session *s, struct idfw_isolation *ret)
{
	const struct idfw_session *outer = idfw_session_outer(e, s);

	if (!outer || !outer->subject)
		return false;
	ret->uid = outer->uid;
	ret->session = outer->db_id;
	ret->user = (char *)(uintptr_t)outer->user;
	ret->spares = outer->cgroup ? e->next_db_id - 1 : 0;
	return true;
}

static bool room(const struct idfw_vm *vm)
{
	size_t n = 0;

	for (const struct idfw_isolation *i = vm->isolations; i; i = i->next)
		n++;
	return n < IDFW_ISOLATIONS_VM_MAX;
}

/* takes @i; record and effect: *ret is in the VM's list afterwards */
static int isolate(struct idfw_engine *e, struct idfw_isolation *i)
{
	int r = isolation_record(e, IDFW_REC_ISOLATED, i, i->by, i->why);

	if (r < 0 && i->automatic) {
		isolation_free(i);
		return -GI_EFULL;
	}
	i->unsaved = r < 0;
	e->stats.unrecorded += i->unsaved;
	cause(e, "isolated", i);
	r = isolation_begin(e, i);
	if (r < 0) {
		gi_err("%s is not isolated: %s", i->vm->name, gi_strerror(r));
		isolation_free(i);
		return r;
	}
	isolation_say(i, "isolated", i->by, i->why);
	return 0;
}

static bool capped(const struct idfw_engine *e)
{
	return !e->conf.isolate_max || e->isolate_until_ms[e->isolate_at] > e->mono_ms;
}

static void cap_count(struct idfw_engine *e, uint64_t until_ms)
{
	if (!e->conf.isolate_max)
		return;
	e->isolate_until_ms[e->isolate_at] = until_ms;
	e->isolate_at = (e->isolate_at + 1) % e->conf.isolate_max;
}

enum idfw_isolate_result idfw_isolate_auto(
	struct idfw_engine *e, struct idfw_vm *vm, const struct idfw_isolation *from)
{
	struct idfw_isolation *i;
	int r;

	if (there(vm, from))
		return IDFW_ISOLATE_ALREADY;
	if (spared(e, vm)) {
		e->stats.isolations_spared++;
		gi_err("%s would be isolated (%s), but is in never-isolate", vm->name, from->why);
		return IDFW_ISOLATE_SPARED;
	}
	if (capped(e) || !room(vm)) {
		e->stats.isolations_capped++;
		gi_err("NOT isolated: %s on %s (%s): over isolate-max, %u an hour; is a signature "
		       "wrong? Isolate by hand with idfwctl",
			from->whole_vm ? "all" : from->user, vm->name, from->why,
			e->conf.isolate_max);
		return IDFW_ISOLATE_CAPPED;
	}
	i = isolation_new(vm, from);
	r = i ? isolate(e, i) : -ENOMEM;
	if (r < 0)
		return r == -GI_EFULL ? IDFW_ISOLATE_FULL : IDFW_ISOLATE_FAILED;
	cap_count(e, e->mono_ms + HOUR_MS);
	return IDFW_ISOLATE_DONE;
}

static int by_hand(struct idfw_engine *e, struct idfw_vm *vm, const struct idfw_isolation *from,
	const struct idfw_isolation **ret)
{
	struct idfw_isolation *i;
	int r;

	if (there(vm, from))
		return -EEXIST;
	if (spared(e, vm))
		return -EPERM;
	if (!room(vm))
		return -GI_ELIMIT;
	i = isolation_new(vm, from);
	if (!i)
		return -ENOMEM;
	r = isolate(e, i);
	plan_event_end(e);
	if (r == 0)
		*ret = i;
	return r;
}

static struct idfw_session *session_by_row(struct idfw_engine *e, uint64_t db_id)
{
	struct idfw_session *s, *next;

	HASH_ITER (hh, e->sessions, s, next)
		if (s->db_id == db_id)
			return s;
	return NULL;
}

int idfw_engine_isolate_session(struct idfw_engine *e, uint64_t db_id, const char *by,
	const char *why, const struct idfw_isolation **ret)
{
	struct idfw_session *s = session_by_row(e, db_id);
	struct idfw_isolation from = {
		.since_ms = e->real_ms, .by = (char *)(uintptr_t)by, .why = (char *)(uintptr_t)why
	};

	if (!s)
		return -GI_ENOTFOUND;
	if (!idfw_isolation_scope(e, s, &from))
		return -GI_ESTATE;
	return by_hand(e, s->vm, &from, ret);
}

int idfw_engine_isolate_vm(struct idfw_engine *e, const char *name, const char *by, const char *why,
	const struct idfw_isolation **ret)
{
	const struct idfw_isolation from = { .whole_vm = true,
		.since_ms = e->real_ms,
		.by = (char *)(uintptr_t)by,
		.why = (char *)(uintptr_t)why };
	struct idfw_vm *vm = idfw_engine_vm(e, name);

	return vm ? by_hand(e, vm, &from, ret) : -GI_ENOTFOUND;
}

const struct idfw_isolation *idfw_engine_isolation_of(struct idfw_engine *e, uint64_t db_id)
{
	struct idfw_session *s = session_by_row(e, db_id);
	const struct idfw_isolation *i;

	s = s ? idfw_session_outer(e, s) : NULL;
	if (s && s->subject && s->subject->isolation)
		return s->subject->isolation;
	for (const struct idfw_vm *vm = e->vms; vm; vm = vm->hh.next)
		for (i = vm->isolations; i; i = i->next)
			if (!i->whole_vm && i->session == db_id)
				return i;
	return NULL;
}

int idfw_engine_release(
	struct idfw_engine *e, const struct idfw_isolation *which, const char *by, const char *why)
{
	struct idfw_isolation *i = which->vm->isolations;
	int r;

	while (i && i != which)
		i = i->next;
	if (!i)
		return -GI_ENOTFOUND;
	r = isolation_record(e, IDFW_REC_RELEASED, i, by, why);
	if (r < 0)
		return -GI_EFULL;
	cause(e, "released", i);
	r = isolation_end(e, i);
	if (r == 0) {
		isolation_say(i, "released", by, why);
		isolation_free(i);
	}
	plan_event_end(e);
	return r;
}

int idfw_engine_restore_isolation(
	struct idfw_engine *e, const char *vm_name, const struct idfw_isolation *from)
{
	struct idfw_isolation *i;
	struct idfw_vm *vm;
	int r = idfw_vm_get(e, vm_name, &vm);

	if (r < 0)
		return r;
	if (there(vm, from))
		return -EEXIST;
	i = isolation_new(vm, from);
	if (!i)
		return -ENOMEM;
	r = isolation_begin(e, i);
	if (r < 0) {
		isolation_free(i);
		return r;
	}
	if (i->automatic && i->since_ms + HOUR_MS > e->real_ms && i->since_ms <= e->real_ms)
		cap_count(e, e->mono_ms + (i->since_ms + HOUR_MS - e->real_ms));
	plan_event_end(e);
	return 0;
}
