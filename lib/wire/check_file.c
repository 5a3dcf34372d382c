/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * check_file.c - the limits of docs/wire.md, field by field: messages of the file path
 *
 * check.c calls it, in every program, for what is received and for what is sent. Lengths that
 * add up stay within a frame: the largest FileEvent (head, path, exe) is 57 KiB. Paths are bytes:
 * whoever shows one cleans it; only a NUL, which no path has, is refused.
 * Source: docs/wire.md "Limits", lib/wire/idfw.proto.
 */
#include "lib/wire/check.h"

#include <string.h>
#include "lib/base/text.h"

#define ERRNO_MAX 4095u /* the kernel's MAX_ERRNO */
#define OPS_KNOWN 0x3eu /* bits 1 << FileOp, UNKNOWN's not */

static int bad(int err, const char *text, const char **ret_why)
{
	*ret_why = text;
	return err;
}

/* clean UTF-8 of at most max bytes */
static bool text_ok(const char *s, size_t max)
{
	return s && gi_text_is_clean(s, max);
}

static bool path_ok(const ProtobufCBinaryData *p, size_t min)
{
	return p->len >= min && p->len <= WIRE_PATH_MAX &&
	       (p->len == 0 || !memchr(p->data, '\0', p->len));
}

/* none, or exactly so many */
static bool none_or(const ProtobufCBinaryData *b, size_t len)
{
	return b->len == 0 || b->len == len;
}

static bool epoch_ok(const ProtobufCBinaryData *b, size_t min)
{
	return b->len >= min && b->len <= WIRE_EPOCH_MAX;
}

/* a range that lseek(2) can reach, to its end */
static bool range_ok(uint64_t offset, uint64_t length)
{
	return offset <= (uint64_t)INT64_MAX - length;
}

static int check_actor(const Idfw__FileActor *a, const char **why)
{
	if (!a)
		return 0;
	if (!text_ok(a->user, WIRE_USER_MAX) || !text_ok(a->comm, WIRE_COMM_MAX))
		return bad(-GI_EPROTO, "FileActor: bad user or comm", why);
	if (!path_ok(&a->exe, 0))
		return bad(-GI_EPROTO, "FileActor: bad exe", why);
	return 0;
}

static int check_settings(const Idfw__ScanSettings *s, const char **why)
{
	if (!epoch_ok(&s->epoch, 1))
		return bad(-GI_EPROTO, "ScanSettings: bad epoch length", why);
	if (s->ops & ~OPS_KNOWN)
		return bad(-GI_EPROTO, "ScanSettings: unknown operation", why);
	if (s->head_bytes > WIRE_DATA_MAX)
		return bad(-GI_ELIMIT, "ScanSettings: head_bytes is too large", why);
	if (s->credits == 0 || s->credits > WIRE_CREDITS_MAX)
		return bad(-GI_ELIMIT, "ScanSettings: no or too many credits", why);
	return 0;
}

static int check_event(const Idfw__FileEvent *e, const char **why)
{
	if ((unsigned int)e->op - 1 >= IDFW__FILE_OP__FILE_OP_DEMAND)
		return bad(-GI_EPROTO, "FileEvent: unknown operation", why);
	if (!path_ok(&e->path, 0))
		return bad(-GI_EPROTO, "FileEvent: bad path", why);
	if (e->head.len > WIRE_DATA_MAX)
		return bad(-GI_ELIMIT, "FileEvent: head is too large", why);
	return check_actor(e->actor, why);
}

static int check_read(const Idfw__FileRead *r, const char **why)
{
	if (r->length == 0 || r->length > WIRE_RANGE_MAX)
		return bad(-GI_ELIMIT, "FileRead: length is 0 or too large", why);
	if (!range_ok(r->offset, r->length))
		return bad(-GI_EPROTO, "FileRead: no such offset", why);
	return 0;
}

static int check_data(const Idfw__FileData *d, const char **why)
{
	if (d->data.len > WIRE_DATA_MAX)
		return bad(-GI_ELIMIT, "FileData: too much", why);
	if (!range_ok(d->offset, d->data.len))
		return bad(-GI_EPROTO, "FileData: no such offset", why);
	if (d->error > ERRNO_MAX || (d->error && d->data.len))
		return bad(-GI_EPROTO, "FileData: bad error, or one with data", why);
	return 0;
}

static int check_write(const Idfw__FileWrite *w, const char **why)
{
	if (w->data.len > WIRE_DATA_MAX)
		return bad(-GI_ELIMIT, "FileWrite: too much", why);
	if (!range_ok(w->offset, w->data.len))
		return bad(-GI_EPROTO, "FileWrite: no such offset", why);
	return 0;
}

static int check_wrote(const Idfw__FileWrote *w, const char **why)
{
	if (!range_ok(w->offset, 0) || w->error > ERRNO_MAX)
		return bad(-GI_EPROTO, "FileWrote: no such offset or error", why);
	return 0;
}

/* what no scan stands behind, or no epoch, cannot be remembered */
static int check_verdict(const Idfw__FileVerdict *v, const char **why)
{
	if ((unsigned int)v->verdict > IDFW__FILE_VERDICT_KIND__FILE_VERDICT_REPLACE ||
		(!v->failed && v->verdict == IDFW__FILE_VERDICT_KIND__FILE_VERDICT_UNKNOWN))
		return bad(-GI_EPROTO, "FileVerdict: unknown verdict", why);
	if (!text_ok(v->engine, WIRE_ENGINE_MAX) || !text_ok(v->signature, WIRE_SIGNATURE_MAX) ||
		!text_ok(v->reason, WIRE_TEXT_MAX))
		return bad(-GI_EPROTO, "FileVerdict: bad engine, signature or reason", why);
	if (!none_or(&v->sha256, WIRE_SHA256_LEN) || !epoch_ok(&v->epoch, 0))
		return bad(-GI_EPROTO, "FileVerdict: bad sha256 or epoch length", why);
	if (v->until_change && (v->failed || v->epoch.len == 0))
		return bad(-GI_EPROTO, "FileVerdict: to be remembered, but failed or of no epoch",
			why);
	return 0;
}

static int check_done(const Idfw__FileDone *d, const char **why)
{
	if ((unsigned int)d->result - 1 >= IDFW__FILE_DONE__RESULT__FAILED)
		return bad(-GI_EPROTO, "FileDone: unknown result", why);
	if (!text_ok(d->text, WIRE_TEXT_MAX))
		return bad(-GI_EPROTO, "FileDone: bad text", why);
	if (!none_or(&d->quarantine_id, WIRE_QUARANTINE_ID_LEN))
		return bad(-GI_EPROTO, "FileDone: bad quarantine_id length", why);
	return check_actor(d->actor, why);
}

static int check_cancel(const Idfw__FileCancel *c, const char **why)
{
	if ((unsigned int)c->reason > IDFW__FILE_CANCEL__REASON__STOPPING)
		return bad(-GI_EPROTO, "FileCancel: unknown reason", why);
	return 0;
}

static int check_fim(const Idfw__FimEvent *f, const char **why)
{
	if ((unsigned int)f->op - 1 >= IDFW__FIM_EVENT__OP__BASELINE)
		return bad(-GI_EPROTO, "FimEvent: unknown operation", why);
	if (!text_ok(f->rule, WIRE_RULE_NAME_MAX))
		return bad(-GI_EPROTO, "FimEvent: bad rule", why);
	if (!path_ok(&f->path, 1) || !path_ok(&f->new_path, 0))
		return bad(-GI_EPROTO, "FimEvent: bad path", why);
	if (!none_or(&f->before, WIRE_SHA256_LEN) || !none_or(&f->after, WIRE_SHA256_LEN))
		return bad(-GI_EPROTO, "FimEvent: bad hash length", why);
	return 0;
}

static int check_passed(const Idfw__FilePassed *p, const char **why)
{
	if ((unsigned int)p->op > IDFW__FILE_OP__FILE_OP_DEMAND)
		return bad(-GI_EPROTO, "FilePassed: unknown operation", why);
	if (!text_ok(p->reason, WIRE_TEXT_MAX) || !p->reason[0])
		return bad(-GI_EPROTO, "FilePassed: bad reason", why);
	if (!path_ok(&p->path, 0))
		return bad(-GI_EPROTO, "FilePassed: bad path", why);
	return 0;
}

static int check_report(const Idfw__FileReport *r, const char **why)
{
	int err;

	if (r->seq == 0)
		return bad(-GI_EPROTO, "FileReport: no sequence number", why);
	err = check_actor(r->actor, why);
	if (err)
		return err;
	switch (r->body_case) {
	case IDFW__FILE_REPORT__BODY_FIM:
		return check_fim(r->fim, why);
	case IDFW__FILE_REPORT__BODY_PASSED:
		return check_passed(r->passed, why);
	default:
		return bad(-GI_EPROTO, "FileReport: no body", why);
	}
}

static int check_counters(const Idfw__FileCounters *c, const char **why)
{
	if (c->n_counter > WIRE_COUNTERS_MAX)
		return bad(-GI_ELIMIT, "FileCounters: too many", why);
	for (size_t i = 0; i < c->n_counter; i++)
		if (!gi_text_is_name(c->counter[i]->name, WIRE_RULE_NAME_MAX))
			return bad(-GI_EPROTO, "FileCounter: bad name", why);
	return 0;
}

static int check_command(const Idfw__FileCommand *c, const char **why)
{
	bool of_path = c->verb == IDFW__FILE_COMMAND__VERB__SCAN ||
		       c->verb == IDFW__FILE_COMMAND__VERB__EXPLAIN;
	bool of_one = c->verb == IDFW__FILE_COMMAND__VERB__QUARANTINE_RESTORE;

	if ((unsigned int)c->verb - 1 >= IDFW__FILE_COMMAND__VERB__TEST)
		return bad(-GI_EPROTO, "FileCommand: unknown verb", why);
	if (!path_ok(&c->path, of_path))
		return bad(-GI_EPROTO, "FileCommand: bad path, or none", why);
	if (!none_or(&c->quarantine_id, WIRE_QUARANTINE_ID_LEN) ||
		(of_one && c->quarantine_id.len == 0))
		return bad(-GI_EPROTO, "FileCommand: bad quarantine_id, or none", why);
	return 0;
}

static int check_reply(const Idfw__FileReply *r, const char **why)
{
	if (!text_ok(r->json, WIRE_JSON_MAX))
		return bad(-GI_EPROTO, "FileReply: not one line of clean UTF-8, or too long", why);
	if (r->status > 255 || !text_ok(r->text, WIRE_TEXT_MAX))
		return bad(-GI_EPROTO, "FileReply: bad status or text", why);
	return 0;
}

static int check_log_line(const Idfw__LogLine *l, const char **why)
{
	if (l->level > 7 || !text_ok(l->text, WIRE_LOG_TEXT_MAX))
		return bad(-GI_EPROTO, "LogLine: bad level or text", why);
	return 0;
}

static int check_record_values(const Idfw__ScanRecord *r, const char **why)
{
	if (r->seq == 0)
		return bad(-GI_EPROTO, "ScanRecord: no sequence number", why);
	if ((unsigned int)r->kind - 1 >= IDFW__SCAN_RECORD__KIND__COMMAND)
		return bad(-GI_EPROTO, "ScanRecord: unknown kind", why);
	if ((unsigned int)r->op > IDFW__FILE_OP__FILE_OP_DEMAND ||
		(unsigned int)r->verdict > IDFW__FILE_VERDICT_KIND__FILE_VERDICT_REPLACE ||
		(unsigned int)r->result > IDFW__FILE_DONE__RESULT__FAILED ||
		(unsigned int)r->isolate > IDFW__FILE_ISOLATE__FILE_ISOLATE_VM)
		return bad(-GI_EPROTO, "ScanRecord: unknown operation, verdict, result or isolate",
			why);
	/* svm-scan itself is of no VM; all others are about one */
	if (!r->vm || (r->vm[0] ? !gi_text_is_name(r->vm, GI_NAME_MAX)
				: r->kind != IDFW__SCAN_RECORD__KIND__SERVICE))
		return bad(-GI_EPROTO, "ScanRecord: bad VM name", why);
	if (!none_or(&r->boot_id, WIRE_BOOT_ID_LEN) || !none_or(&r->sha256, WIRE_SHA256_LEN) ||
		!none_or(&r->quarantine_id, WIRE_QUARANTINE_ID_LEN))
		return bad(-GI_EPROTO, "ScanRecord: bad length of an identifier", why);
	if (!path_ok(&r->path, 0))
		return bad(-GI_EPROTO, "ScanRecord: bad path", why);
	if (!text_ok(r->engine, WIRE_ENGINE_MAX) || !text_ok(r->signature, WIRE_SIGNATURE_MAX) ||
		!text_ok(r->text, WIRE_TEXT_MAX) || !text_ok(r->by, WIRE_USER_MAX))
		return bad(-GI_EPROTO, "ScanRecord: bad engine, signature, text or by", why);
	return 0;
}

static int check_record(const Idfw__ScanRecord *r, const char **why)
{
	int err = check_record_values(r, why);

	if (!err && !r->fim != (r->kind != IDFW__SCAN_RECORD__KIND__FIM))
		err = bad(-GI_EPROTO, "ScanRecord: FIM without a FimEvent, or the reverse", why);
	if (!err && !r->passed != (r->kind != IDFW__SCAN_RECORD__KIND__PASSED))
		err = bad(
			-GI_EPROTO, "ScanRecord: PASSED without a FilePassed, or the reverse", why);
	if (!err)
		err = check_actor(r->actor, why);
	if (!err && r->fim)
		err = check_fim(r->fim, why);
	if (!err && r->passed)
		err = check_passed(r->passed, why);
	return err;
}

static int check_job(const Idfw__ScanJob *j, const char **why)
{
	if (j->head.len > WIRE_DATA_MAX)
		return bad(-GI_ELIMIT, "ScanJob: head is too large", why);
	return 0;
}

static int check_need(const Idfw__ScanNeed *n, const char **why)
{
	if (n->length == 0 || n->length > WIRE_RANGE_MAX)
		return bad(-GI_ELIMIT, "ScanNeed: length is 0 or too large", why);
	if (!range_ok(n->offset, n->length))
		return bad(-GI_EPROTO, "ScanNeed: no such offset", why);
	return 0;
}

static int check_bytes(const Idfw__ScanBytes *b, const char **why)
{
	if (b->data.len > WIRE_DATA_MAX)
		return bad(-GI_ELIMIT, "ScanBytes: too much", why);
	if (!range_ok(b->offset, b->data.len))
		return bad(-GI_EPROTO, "ScanBytes: no such offset", why);
	if (b->error > ERRNO_MAX || (b->error && b->data.len))
		return bad(-GI_EPROTO, "ScanBytes: bad error, or one with data", why);
	return 0;
}

static int check_result(const Idfw__ScanResult *r, const char **why)
{
	if ((unsigned int)r->outcome - 1 >= IDFW__SCAN_RESULT__OUTCOME__FAILED)
		return bad(-GI_EPROTO, "ScanResult: unknown outcome", why);
	if (!text_ok(r->engine, WIRE_ENGINE_MAX) || !text_ok(r->signature, WIRE_SIGNATURE_MAX) ||
		!text_ok(r->text, WIRE_TEXT_MAX))
		return bad(-GI_EPROTO, "ScanResult: bad engine, signature or text", why);
	return 0;
}

static int check_ready(const Idfw__ScanReady *r, const char **why)
{
	if (!text_ok(r->engines, WIRE_TEXT_MAX) || !text_ok(r->error, WIRE_TEXT_MAX))
		return bad(-GI_EPROTO, "ScanReady: bad engines or error", why);
	if (!epoch_ok(&r->epoch, r->error[0] ? 0 : 1))
		return bad(-GI_EPROTO, "ScanReady: bad epoch length", why);
	return 0;
}

int wire_check_file(const Idfw__Envelope *e, const char **ret_why)
{
	switch (e->body_case) {
	case IDFW__ENVELOPE__BODY_SCAN_SETTINGS:
		return check_settings(e->scan_settings, ret_why);
	case IDFW__ENVELOPE__BODY_FILE_EVENT:
		return check_event(e->file_event, ret_why);
	case IDFW__ENVELOPE__BODY_FILE_READ:
		return check_read(e->file_read, ret_why);
	case IDFW__ENVELOPE__BODY_FILE_DATA:
		return check_data(e->file_data, ret_why);
	case IDFW__ENVELOPE__BODY_FILE_WRITE:
		return check_write(e->file_write, ret_why);
	case IDFW__ENVELOPE__BODY_FILE_WROTE:
		return check_wrote(e->file_wrote, ret_why);
	case IDFW__ENVELOPE__BODY_FILE_VERDICT:
		return check_verdict(e->file_verdict, ret_why);
	case IDFW__ENVELOPE__BODY_FILE_DONE:
		return check_done(e->file_done, ret_why);
	case IDFW__ENVELOPE__BODY_FILE_CANCEL:
		return check_cancel(e->file_cancel, ret_why);
	case IDFW__ENVELOPE__BODY_FILE_REPORT:
		return check_report(e->file_report, ret_why);
	case IDFW__ENVELOPE__BODY_FILE_COUNTERS:
		return check_counters(e->file_counters, ret_why);
	case IDFW__ENVELOPE__BODY_FILE_COMMAND:
		return check_command(e->file_command, ret_why);
	case IDFW__ENVELOPE__BODY_FILE_REPLY:
		return check_reply(e->file_reply, ret_why);
	case IDFW__ENVELOPE__BODY_LOG_LINE:
		return check_log_line(e->log_line, ret_why);
	case IDFW__ENVELOPE__BODY_SCAN_RECORD:
		return check_record(e->scan_record, ret_why);
	case IDFW__ENVELOPE__BODY_SCAN_JOB:
		return check_job(e->scan_job, ret_why);
	case IDFW__ENVELOPE__BODY_SCAN_NEED:
		return check_need(e->scan_need, ret_why);
	case IDFW__ENVELOPE__BODY_SCAN_BYTES:
		return check_bytes(e->scan_bytes, ret_why);
	case IDFW__ENVELOPE__BODY_SCAN_RESULT:
		return check_result(e->scan_result, ret_why);
	case IDFW__ENVELOPE__BODY_SCAN_READY:
		return check_ready(e->scan_ready, ret_why);
	case IDFW__ENVELOPE__BODY_FILE_REPORT_ACK:
	case IDFW__ENVELOPE__BODY_SCAN_ACK:
		return 0; /* a number of any value */
	default:
		return bad(-GI_EPROTO, "no body", ret_why);
	}
}
