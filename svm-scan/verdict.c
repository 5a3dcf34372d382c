/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * verdict.c - finding to answer, outcome to record; see verdict.h
 *
 * libepsec says exactly once what became of each answer that is not an allow, so each tag is freed
 * exactly once. Without memory for a tag the verdict is given all the same; its record then has
 * no path.
 */
#include "svm-scan/verdict.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/io/loop.h"

struct verdict { /* an event's tag */
	uint8_t boot[WIRE_BOOT_ID_LEN];
	enum eps_op op;
	enum eps_kind kind;
	struct scan_finding finding;
	uint64_t took_us;
	uint64_t session; /* as far as the event said */
	uint32_t uid, pid;
	size_t path_len;
	uint8_t path[];
};

static struct verdict *verdict_new(const struct eps_file *file, enum eps_kind kind,
	const struct scan_finding *f, uint64_t since_us)
{
	struct verdict *v = calloc(1, sizeof(*v) + file->path_len);

	if (!v)
		return NULL;
	memcpy(v->boot, file->boot_id, sizeof(v->boot));
	v->op = file->op;
	v->kind = kind;
	v->finding = *f;
	v->took_us = io_clock_mono_us() - since_us;
	v->uid = UINT32_MAX;
	if (file->actor) {
		v->session = file->actor->session;
		v->uid = file->actor->uid;
		v->pid = file->actor->pid;
	}
	v->path_len = file->path_len;
	if (file->path_len)
		memcpy(v->path, file->path, file->path_len);
	return v;
}

static enum scan_vm_count count_of(enum eps_kind kind)
{
	switch (kind) {
	case EPS_ALLOW:
		return SCAN_VM_ALLOW;
	case EPS_DENY:
		return SCAN_VM_DENY;
	case EPS_DELETE:
		return SCAN_VM_DELETE;
	case EPS_QUARANTINE:
		return SCAN_VM_QUARANTINE;
	case EPS_REPLACE:
	case EPS_FAILED:
		break;
	}
	return SCAN_VM_FAILED;
}

static const char *reason_of(const struct scan_finding *f)
{
	if (f->outcome == SCAN_FAILED)
		return f->text;
	if (f->outcome == SCAN_FOUND)
		return strcmp(f->engine, "hash-list") == 0 ? "hash list" : "signature";
	return NULL;
}

int scan_verdict_answer(struct eps_event *ev, const struct scan_rules *rules,
	const struct scan_finding *f, uint64_t since_us, struct scan_vms *vms)
{
	const struct eps_file *file = eps_event_file(ev);
	enum eps_kind kind = scan_rules_verdict(rules, file->op, f->outcome);
	struct eps_verdict v = { .size = sizeof(v),
		.kind = kind,
		.until_change = f->outcome != SCAN_FAILED,
		.engine = *f->engine ? f->engine : NULL,
		.signature = *f->signature ? f->signature : NULL,
		.reason = reason_of(f),
		.sha256 = f->has_sha256 ? f->sha256 : NULL };

	scan_vms_count(vms, file->vm, count_of(kind));
	if (f->outcome == SCAN_FOUND) {
		scan_vms_count(vms, file->vm, SCAN_VM_FOUND);
		gi_notice("%s: %.*s: %s: %s", file->vm, (int)file->path_len,
			file->path ? (const char *)file->path : "", f->engine, f->signature);
	}
	if (kind != EPS_ALLOW && kind != EPS_FAILED)
		eps_event_tag_set(ev, verdict_new(file, kind, f, since_us));
	return eps_answer(ev, &v);
}

/* ---- the record ---- */

static Idfw__FileVerdictKind wire_kind(enum eps_kind kind)
{
	switch (kind) {
	case EPS_ALLOW:
		return IDFW__FILE_VERDICT_KIND__FILE_VERDICT_ALLOW;
	case EPS_DENY:
		return IDFW__FILE_VERDICT_KIND__FILE_VERDICT_DENY;
	case EPS_DELETE:
		return IDFW__FILE_VERDICT_KIND__FILE_VERDICT_DELETE;
	case EPS_QUARANTINE:
		return IDFW__FILE_VERDICT_KIND__FILE_VERDICT_QUARANTINE;
	case EPS_REPLACE:
		return IDFW__FILE_VERDICT_KIND__FILE_VERDICT_REPLACE;
	case EPS_FAILED:
		break;
	}
	return IDFW__FILE_VERDICT_KIND__FILE_VERDICT_UNKNOWN;
}

static Idfw__FileDone__Result wire_result(const struct eps_done *d)
{
	if (d->lost)
		return IDFW__FILE_DONE__RESULT__UNKNOWN;
	if (d->result == EPS_RESULT_DONE)
		return IDFW__FILE_DONE__RESULT__DONE;
	if (d->result == EPS_RESULT_CHANGED)
		return IDFW__FILE_DONE__RESULT__CHANGED;
	return IDFW__FILE_DONE__RESULT__FAILED;
}

static char *text_of(const char *text)
{
	static char none[] = "";

	return text ? (char *)(uintptr_t)text : none; /* encoding does not write */
}

/* who did it: the guest's word with the outcome, or else the one that came with the event */
static void actor_fill(Idfw__FileActor *a, const struct eps_done *d, const struct verdict *v)
{
	if (d->lost) {
		a->session = v ? v->session : 0;
		a->uid = v ? v->uid : UINT32_MAX;
		a->pid = v ? v->pid : 0;
		return;
	}
	a->pid = d->actor.pid;
	a->uid = d->actor.uid;
	a->session = d->actor.session;
	a->user = text_of(d->actor.user);
	a->comm = text_of(d->actor.comm);
	a->exe = (ProtobufCBinaryData){ .len = d->actor.exe_len,
		.data = (uint8_t *)(uintptr_t)d->actor.exe };
}

static void verdict_fill(Idfw__ScanRecord *rec, struct verdict *v)
{
	rec->boot_id = (ProtobufCBinaryData){ .len = sizeof(v->boot), .data = v->boot };
	rec->op = (Idfw__FileOp)v->op;
	rec->path = (ProtobufCBinaryData){ .len = v->path_len, .data = v->path };
	if (v->finding.has_sha256)
		rec->sha256 = (ProtobufCBinaryData){ .len = 32, .data = v->finding.sha256 };
	rec->engine = v->finding.engine;
	rec->signature = v->finding.signature;
	rec->verdict = wire_kind(v->kind);
	rec->took_us = v->took_us;
}

void scan_verdict_record(struct scan_report *r, struct scan_vms *vms, const char *vm,
	const struct scan_rules *rules, const struct eps_done *d)
{
	/* changed: it is judged again as what it is now */
	bool judged = d->lost || d->result != EPS_RESULT_CHANGED;
	Idfw__ScanRecord rec = IDFW__SCAN_RECORD__INIT;
	Idfw__FileActor actor = IDFW__FILE_ACTOR__INIT;
	struct verdict *v = d->tag;
	char text[WIRE_TEXT_MAX + 1];

	(void)snprintf(text, sizeof(text), "%s",
		d->lost	  ? "the guest never said what it did"
		: d->text ? d->text
			  : "");
	wire_text_sanitize(text, WIRE_TEXT_MAX);
	actor_fill(&actor, d, v);
	if (!scan_vms_records(vms, vm, actor.session, judged))
		goto out;
	rec.kind = IDFW__SCAN_RECORD__KIND__VERDICT;
	rec.time_ms = io_clock_real_ms();
	rec.vm = (char *)(uintptr_t)vm;
	rec.actor = &actor;
	rec.result = wire_result(d);
	rec.text = text;
	if (v)
		verdict_fill(&rec, v);
	if (judged)
		rec.isolate = scan_rules_isolate(rules, actor.session);
	if (d->quarantine_id)
		rec.quarantine_id = (ProtobufCBinaryData){ .len = WIRE_QUARANTINE_ID_LEN,
			.data = (uint8_t *)(uintptr_t)d->quarantine_id };
	(void)!scan_report_add(r, &rec); /* counts and says what it loses */
out:
	free(v);
}
