/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * alarm.c - what is wrong with the enforcement on a VM, until it is well again
 *
 * Runs in svm-idfw's engine. The agent says what it sees (Alarm, ADR 16); we add what it cannot
 * say: that it does not acknowledge what it was sent. Such a VM is shown with an alarm, its
 * connection is closed once, so that its agent starts over, and it gets no leases (lease.c) while
 * it stays behind: then the kernel there closes. Alarms are audited, shown by `idfwctl status`, and
 * gone with the boot. Each greeting tells the agent's anew, so nothing of them is stored: after our
 * own restart they are known again, and what was mended while nobody listened is over.
 * Invariant: at most IDFW_ALARMS_MAX a VM, each (kind, text) once.
 */
#include "svm-idfw/core.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AGAIN_MS 60000 /* the same alarm is recorded once in so long */

static const char *const words[] = { "not-applied", "table-changed", "table-gone", "differs",
	"foreign-chain", "not-owned", "no-cgroups" };

const char *idfw_alarm_word(const struct idfw_alarm *a)
{
	return a->kind < GI_ARRAY_SIZE(words) ? words[a->kind] : "other";
}

static void alarm_record(
	struct idfw_engine *e, const struct idfw_vm *vm, const struct idfw_alarm *a, bool over)
{
	gi_buf_reset(&e->json);
	gi_buf_printf(&e->json,
		"{\"alarm\":\"%s\",\"over\":%s,\"count\":%u,\"text\":", idfw_alarm_word(a),
		over ? "true" : "false", a->count);
	idfw_json(&e->json, a->text);
	gi_buf_printf(&e->json, "}");
	gi_warn("alarm %s: %s%s%s", vm->name, idfw_alarm_word(a), over ? ", is over: " : ": ",
		a->text);
	idfw_note(e, IDFW_REC_ALARM, vm, NULL, gi_buf_str(&e->json));
}

static void alarm_drop(struct idfw_vm *vm, size_t i)
{
	free(vm->alarms[i].text);
	memmove(&vm->alarms[i], &vm->alarms[i + 1], (vm->n_alarms - i - 1) * sizeof(vm->alarms[0]));
	vm->n_alarms--;
}

static void alarm_end(struct idfw_engine *e, struct idfw_vm *vm, uint8_t kind, const char *text)
{
	for (size_t i = vm->n_alarms; i-- > 0;) {
		if (vm->alarms[i].kind != kind || (*text && strcmp(vm->alarms[i].text, text) != 0))
			continue;
		alarm_record(e, vm, &vm->alarms[i], true);
		alarm_drop(vm, i);
	}
}

static void alarm_begin(struct idfw_engine *e, struct idfw_vm *vm, uint8_t kind, const char *text)
{
	struct idfw_alarm *a;

	for (size_t i = 0; i < vm->n_alarms; i++) {
		a = &vm->alarms[i];
		if (a->kind != kind || strcmp(a->text, text) != 0)
			continue;
		if (!a->told) { /* it lasts: said once a connection */
			a->told = true;
			return;
		}
		a->count++;
		if (e->mono_ms >= a->noted_ms + AGAIN_MS) {
			a->noted_ms = e->mono_ms;
			alarm_record(e, vm, a, false);
		}
		return;
	}
	if (vm->n_alarms == IDFW_ALARMS_MAX)
		alarm_drop(vm, 0);
	a = &vm->alarms[vm->n_alarms];
	*a = (struct idfw_alarm){ .kind = kind,
		.since_ms = e->real_ms,
		.noted_ms = e->mono_ms,
		.count = 1,
		.told = true,
		.text = strdup(text) };
	if (!a->text)
		return;
	vm->n_alarms++;
	alarm_record(e, vm, a, false);
}

void idfw_alarm_heard(struct idfw_engine *e, struct idfw_vm *vm, const Idfw__Alarm *m)
{
	const char *text = m->text ? m->text : "";

	if (m->over)
		alarm_end(e, vm, (uint8_t)m->kind, text);
	else
		alarm_begin(e, vm, (uint8_t)m->kind, text);
}

void idfw_alarms_hello(struct idfw_vm *vm)
{
	for (size_t i = 0; i < vm->n_alarms; i++)
		vm->alarms[i].told = vm->alarms[i].kind == IDFW_ALARM_NOT_APPLIED;
}

void idfw_alarms_greeted(struct idfw_engine *e, struct idfw_vm *vm)
{
	for (size_t i = vm->n_alarms; i-- > 0;) {
		if (vm->alarms[i].told)
			continue;
		alarm_record(e, vm, &vm->alarms[i], true);
		alarm_drop(vm, i);
	}
}

void idfw_alarms_drop(struct idfw_vm *vm)
{
	while (vm->n_alarms)
		alarm_drop(vm, vm->n_alarms - 1);
	if (vm->plan)
		vm->plan->behind_closed = vm->plan->behind_told = false;
}

/* ---- a VM that does not do what it was told ---- */

bool idfw_behind(const struct idfw_engine *e, const struct idfw_vm *vm)
{
	const struct idfw_plan *p = vm->plan;

	return e->conf.push_deadline_ms && p->behind_ms &&
	       e->mono_ms >= p->behind_ms + e->conf.push_deadline_ms;
}

void idfw_behind_sent(struct idfw_engine *e, struct idfw_vm *vm)
{
	if (vm->plan->behind_ms || !e->conf.push_deadline_ms)
		return;
	vm->plan->behind_ms = e->mono_ms;
	idfw_due(e, e->mono_ms + e->conf.push_deadline_ms);
}

void idfw_behind_acked(struct idfw_engine *e, struct idfw_vm *vm)
{
	struct idfw_plan *p = vm->plan;

	p->behind_ms = p->n_sent ? p->sent[0].at_ms : 0;
	if (p->n_sent)
		return;
	p->behind_closed = p->behind_told = false;
	alarm_end(e, vm, IDFW_ALARM_NOT_APPLIED, "");
}

void idfw_behind_due(struct idfw_engine *e, struct idfw_vm *vm)
{
	struct idfw_plan *p = vm->plan;
	char text[96];

	if (!vm->connected || !p->behind_ms || !e->conf.push_deadline_ms)
		return;
	if (!idfw_behind(e, vm)) {
		idfw_due(e, p->behind_ms + e->conf.push_deadline_ms);
		return;
	}
	snprintf(text, sizeof(text), "nothing was applied for %llu s",
		(unsigned long long)e->conf.push_deadline_ms / 1000);
	if (!p->behind_told)
		alarm_begin(e, vm, IDFW_ALARM_NOT_APPLIED, text);
	p->behind_told = true;
	if (p->behind_closed || !p->n_sent)
		return; /* it said why, or it was tried: its leases end */
	p->behind_closed = true;
	idfw_vm_drop(e, vm, "it does not acknowledge what it was sent: start over");
}
