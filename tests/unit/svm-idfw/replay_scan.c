/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * replay_scan.c - the scenario runner's steps of the file path: records, isolation, their limits
 */
#include "tests/unit/svm-idfw/replay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t option_number(struct run *r, const char *key, uint64_t otherwise)
{
	const char *text = replay_option(r, key);

	return text ? replay_number(text) : otherwise;
}

bool replay_scan(struct run *r)
{
	static const char *const kinds[] = { "", "verdict", "fim", "passed", "service", "command" };
	const char *isolate = replay_option(r, "isolate"), *kind = replay_option(r, "kind"),
		   *path = replay_option(r, "path"), *user = replay_option(r, "user");
	Idfw__ScanRecord rec = IDFW__SCAN_RECORD__INIT;
	Idfw__FileActor actor = IDFW__FILE_ACTOR__INIT;
	Idfw__FilePassed passed = IDFW__FILE_PASSED__INIT;
	Idfw__FimEvent fim = IDFW__FIM_EVENT__INIT;
	uint8_t boot[16], sha256[32];
	int err;

	path = path ? path : "/home/alice/eicar.com";
	memset(boot, (int)option_number(r, "boot", 1), sizeof(boot));
	rec.kind = IDFW__SCAN_RECORD__KIND__VERDICT;
	for (size_t i = 1; kind && i < GI_ARRAY_SIZE(kinds); i++)
		if (!strcmp(kind, kinds[i]))
			rec.kind = (Idfw__ScanRecord__Kind)i;
	rec.seq = replay_number(r->words[1]);
	rec.time_ms = 1700000000000;
	rec.vm = r->words[2];
	rec.boot_id.data = boot;
	rec.boot_id.len = sizeof(boot);
	actor.session = replay_number(r->words[3]);
	actor.uid = (uint32_t)option_number(r, "uid", 5001);
	actor.pid = (uint32_t)option_number(r, "pid", 0);
	actor.user = (char *)(uintptr_t)(user ? user : "");
	rec.actor = &actor;
	rec.path.data = passed.path.data = fim.path.data = (uint8_t *)(uintptr_t)path;
	rec.path.len = passed.path.len = fim.path.len = strlen(path);
	memset(sha256, 0xab, sizeof(sha256));
	rec.sha256 = (ProtobufCBinaryData){ .len = sizeof(sha256), .data = sha256 };
	rec.engine = (char *)(uintptr_t) "clamav";
	rec.signature = (char *)(uintptr_t) "Eicar-Test-Signature";
	rec.verdict = IDFW__FILE_VERDICT_KIND__FILE_VERDICT_QUARANTINE;
	rec.result = IDFW__FILE_DONE__RESULT__DONE;
	if (isolate)
		rec.isolate = *isolate == 'v' ? IDFW__FILE_ISOLATE__FILE_ISOLATE_VM
					      : IDFW__FILE_ISOLATE__FILE_ISOLATE_SESSION;
	passed.reason = fim.rule = (char *)(uintptr_t) "deadline";
	fim.op = IDFW__FIM_EVENT__OP__WRITE;
	rec.fim = rec.kind == IDFW__SCAN_RECORD__KIND__FIM ? &fim : NULL;
	rec.passed = rec.kind == IDFW__SCAN_RECORD__KIND__PASSED ? &passed : NULL;
	err = world_scan(&r->w, &rec);
	if (replay_option(r, "refused"))
		return err < 0 || replay_fail(r, "was taken");
	return err == 0 || replay_fail(r, gi_strerror(err));
}

bool replay_scanned(struct run *r)
{
	static const uint8_t outbox[16] = { 0x0b };

	return idfw_engine_scan_durable(r->w.e, outbox, replay_number(r->words[1])) ||
	       replay_fail(r, "no such outbox");
}

/* svm-scan connects; the number that it is told */
bool replay_scanhello(struct run *r)
{
	static const uint8_t outbox[16] = { 0x0b };
	uint64_t acked = UINT64_MAX;

	return (idfw_engine_scan_hello(r->w.e, outbox, &acked) == 0 &&
		       acked == replay_number(r->words[1])) ||
	       replay_fail(r, "another number is acknowledged");
}

static bool isolating(struct run *r, bool release, int *ret)
{
	const char *vm = replay_option(r, "vm");
	uint64_t id = vm ? 0 : replay_number(r->words[1]);
	const struct idfw_isolation *i = NULL;
	const struct idfw_vm *v = vm ? idfw_engine_vm(r->w.e, vm) : NULL;

	if (!release)
		*ret = vm ? idfw_engine_isolate_vm(r->w.e, vm, "root", "test", &i)
			  : idfw_engine_isolate_session(r->w.e, id, "root", "test", &i);
	else
		i = v ? v->isolation : idfw_engine_isolation_of(r->w.e, id);
	if (release)
		*ret = i ? idfw_engine_release(r->w.e, i, "root", "test") : -GI_ENOTFOUND;
	return true;
}

bool replay_isolate(struct run *r)
{
	int err = 0;

	return isolating(r, r->words[0][0] == 'r', &err) &&
	       (err == 0 || replay_fail(r, gi_strerror(err)));
}

bool replay_not_isolate(struct run *r)
{
	int err = 0;

	return isolating(r, r->words[0][0] == 'r', &err) && (err < 0 || replay_fail(r, "was done"));
}

/* NAME:SESSIONS:EVENTS[:DIRECTORY], or "-": no VM has its own any more */
static bool own_limits(struct run *r, const char *text)
{
	unsigned int sessions, events;
	struct idfw_limits *l = r->w.limits;

	world_limits_free(&r->w);
	for (const char *p = text; p && *p != '-'; p = strchr(p, ',')) {
		char name[64], directory[64] = "";

		p += *p == ',';
		if (r->w.n_limits == WORLD_VMS ||
			sscanf(p, "%63[^:]:%u:%u:%63[^,]", name, &sessions, &events, directory) < 3)
			return replay_fail(r, "not VM:SESSIONS:EVENTS[:DIRECTORY]");
		l[r->w.n_limits++] =
			(struct idfw_limits){ strdup(name), sessions, events, strdup(directory) };
	}
	return true;
}

bool replay_limits(struct run *r)
{
	static char spared[64];

	r->w.isolate_max = (uint32_t)option_number(r, "isolate-max", r->w.isolate_max);
	r->w.sessions_max = (uint32_t)option_number(r, "sessions-max", r->w.sessions_max);
	r->w.events_max = (uint32_t)option_number(r, "events-max", r->w.events_max);
	r->w.push_deadline_ms = option_number(r, "push-deadline", r->w.push_deadline_ms);
	if (replay_option(r, "vm") && !own_limits(r, replay_option(r, "vm")))
		return false;
	if (replay_option(r, "live")) {
		idfw_engine_limits(
			r->w.e, r->w.sessions_max, r->w.events_max, r->w.limits, r->w.n_limits);
		return true;
	}
	if (replay_option(r, "never")) {
		snprintf(spared, sizeof(spared), "%s", replay_option(r, "never"));
		r->w.spared = spared;
	}
	return world_restart(&r->w, false) == 0 || replay_fail(r, "restart");
}

/* four billion marks later: the next one would be this uid's */
bool replay_wrap(struct run *r)
{
	struct idfw_vm *vm = idfw_engine_vm(r->w.e, r->words[1]);
	struct fw_elem el = fw_elem_uid((uint32_t)replay_number(r->words[2]), 0);

	return (vm && fw_state_get(vm->want, &el.key, &vm->plan->next_mark)) ||
	       replay_fail(r, "this uid has no mark");
}
