/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * limits.c - what one guest may ask for: so many sessions at a time, so many messages a second
 *
 * Runs in svm-idfw's engine. A guest may lie about its own users, never cost the others anything:
 * beyond events-max (a burst of four seconds' worth is free) it is held back like with a full
 * database: nothing is lost, its spool keeps what was not taken, logouts still end access, and
 * after a second it has to come again. What is refused is audited, bounded itself: a hostile guest
 * must not fill the audit trail. Answers to our own pushes and a connection's first snapshot cost
 * nothing. A VM may have limits of its own, live on reload: what it has already stays, also beyond
 * a smaller one. Invariant: time is the monotonic clock's.
 */
#include "svm-idfw/limits.h"

#include <stdio.h>
#include <string.h>

#define BURST_S 4
#define NOTE_MS 60000 /* held back: one record a VM in so long */

static const struct idfw_limits *own_of(const struct idfw_engine *e, const char *vm)
{
	for (size_t i = 0; i < e->conf.n_vm_limits; i++)
		if (!strcmp(e->conf.vm_limits[i].vm, vm))
			return &e->conf.vm_limits[i];
	return NULL;
}

/* NULL: none */
static const char *directory_of(
	const struct idfw_engine *e, const char *vm, const struct idfw_limits *own)
{
	if (own && own->directory && *own->directory)
		return own->directory;
	return e->conf.vm_directory ? e->conf.vm_directory(e->conf.vm_directory_arg, vm) : NULL;
}

const char *idfw_engine_names_in(struct idfw_engine *e, const char *vm)
{
	const struct idfw_limits *own = own_of(e, vm);
	const char *directory = directory_of(e, vm, own);

	if (directory)
		return directory;
	return own || idfw_engine_vm(e, vm) ? "" : NULL;
}

void idfw_limit_init(struct idfw_engine *e, struct idfw_vm *vm)
{
	const struct idfw_limits *own = own_of(e, vm->name);

	vm->own_sessions_max = own && own->sessions_max;
	vm->own_events_max = own && own->events_max;
	vm->sessions_max = vm->own_sessions_max ? own->sessions_max : e->conf.sessions_max;
	vm->events_max = vm->own_events_max ? own->events_max : e->conf.events_max;
	if (!vm->sessions_max)
		vm->sessions_max = IDFW_SESSIONS_VM_MAX;
	idfw_identity_vm(e, vm, directory_of(e, vm->name, own));
}

void idfw_engine_limits(struct idfw_engine *e, uint32_t sessions_max, uint32_t events_max,
	const struct idfw_limits *vms, size_t n)
{
	struct idfw_vm *vm, *next;

	e->conf.sessions_max = sessions_max;
	e->conf.events_max = events_max;
	e->conf.vm_limits = vms;
	e->conf.n_vm_limits = n;
	HASH_ITER (hh, e->vms, vm, next)
		idfw_limit_init(e, vm);
}

/* whose limit it is, for those who read "more than 5 events/s" and have given 500 to all */
static const char *whose(const struct idfw_vm *vm, bool own, char buf[80])
{
	buf[0] = '\0';
	if (own)
		snprintf(buf, 80, " of vm %s", vm->name);
	return buf;
}

static void held_back(struct idfw_engine *e, struct idfw_vm *vm)
{
	struct idfw_plan *p = vm->plan;
	char text[160], of[80];

	idfw_vm_hold(e, vm, "it sends more than events-max allows; send it again");
	if (p->held_note_ms && e->mono_ms < p->held_note_ms + NOTE_MS)
		return;
	p->held_note_ms = e->mono_ms;
	snprintf(text, sizeof(text), "more than %u events/s: it is held back (events-max%s)",
		vm->events_max, whose(vm, vm->own_events_max, of));
	gi_warn("%s: %s", vm->name, text);
	e->stats.refused++;
	idfw_note(e, IDFW_REC_REFUSED, vm, NULL, idfw_json_why(e, text, NULL, NULL));
}

bool idfw_limit_take(struct idfw_engine *e, struct idfw_vm *vm, size_t n)
{
	uint64_t now_us = e->mono_ms * 1000, cost_us;
	struct idfw_plan *p = vm->plan;

	if (!vm->events_max)
		return true;
	cost_us = (uint64_t)n * 1000000 / vm->events_max;
	if (p->spent_us < now_us)
		p->spent_us = now_us;
	if (p->spent_us + cost_us > now_us + BURST_S * UINT64_C(1000000)) {
		held_back(e, vm);
		return false;
	}
	p->spent_us += cost_us;
	return true;
}

/*
 * A greeting's snapshot is free as far as we know its sessions: after each of our restarts. But a
 * guest that greets with thousands of new ones again and again has them recorded, resolved and
 * ended each time, so new ones are counted by themselves, with room for two whole tables.
 */
void idfw_limit_claim(struct idfw_engine *e, struct idfw_vm *vm)
{
	uint64_t now_us = e->mono_ms * 1000;
	struct idfw_plan *p = vm->plan;

	if (!vm->events_max)
		return;
	if (p->claimed_us < now_us)
		p->claimed_us = now_us;
	p->claimed_us += UINT64_C(1000000) / vm->events_max;
}

bool idfw_limit_greeting(struct idfw_engine *e, struct idfw_vm *vm)
{
	uint64_t tables;

	if (!vm->events_max)
		return true;
	tables = 2 * (uint64_t)vm->sessions_max * UINT64_C(1000000) / vm->events_max;
	if (vm->plan->claimed_us <= e->mono_ms * 1000 + tables)
		return true;
	held_back(e, vm);
	return false;
}

const char *idfw_limit_session(
	const struct idfw_engine *e, const struct idfw_vm *vm, char buf[IDFW_LIMIT_WHY])
{
	char of[80];

	if (HASH_COUNT(e->sessions) >= IDFW_SESSIONS_MAX)
		return "too many sessions in all";
	if (vm->n_sessions < vm->sessions_max)
		return NULL;
	snprintf(buf, IDFW_LIMIT_WHY, "too many sessions on this VM (sessions-max %u%s)",
		vm->sessions_max, whose(vm, vm->own_sessions_max, of));
	return buf;
}

int idfw_limit_refuse(struct idfw_engine *e, struct idfw_vm *vm, const Idfw__Session *ws,
	uint64_t seq, const char *why)
{
	int r = 0;

	if (seq)
		r = idfw_record(e, IDFW_REC_REFUSED, vm, NULL, seq,
			idfw_json_why(e, why, "user", ws->user));
	if (r < 0)
		return r;
	e->stats.refused++;
	if (seq)
		gi_warn("%s: login of %s is refused: %s", vm->name, ws->user, why);
	else
		vm->plan->snap_refused++; /* one record for all of a snapshot's */
	ready_refuse(e, vm, ws->id);
	return 0;
}

void idfw_limit_snapshot_end(struct idfw_engine *e, struct idfw_vm *vm)
{
	char n[24], why[160], of[80];

	if (!vm->plan->snap_refused)
		return;
	snprintf(n, sizeof(n), "%zu", vm->plan->snap_refused);
	snprintf(why, sizeof(why),
		"sessions of a snapshot: too many on this VM (sessions-max %u%s)", vm->sessions_max,
		whose(vm, vm->own_sessions_max, of));
	vm->plan->snap_refused = 0;
	gi_warn("%s: %s sessions of its snapshot are refused: too many", vm->name, n);
	idfw_note(e, IDFW_REC_REFUSED, vm, NULL, idfw_json_why(e, why, "refused", n));
}
