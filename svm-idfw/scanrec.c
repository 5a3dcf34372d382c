/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * scanrec.c - svm-scan's records: taken once, tied to the session, audited, isolating
 *
 * Runs in svm-idfw's engine; scanlink.c feeds it. Numbers are per outbox; what the database has is
 * restored at start. What the guest says of a session counts when that session is, or lately was,
 * one of this VM in this boot; else it is audited as claimed. The isolation that a verdict asks for
 * is recorded before the verdict: a crash in between repeats the record, never loses the isolation.
 * Paths are bytes: what is not clean UTF-8, and the backslash, becomes \xHH, so nothing is lost.
 */
#include "svm-idfw/recent.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WHY_PATH_MAX 200

struct who { /* the session behind a record */
	struct idfw_session *live;
	uint64_t db_id; /* 0: none that we know */
	uint32_t uid;
	const char *user;
	bool claimed; /* the guest named one that we do not know */
};

static const char *const op_words[] = { "", "open", "exec", "close-write", "rescan", "demand" };
static const char *const verdict_words[] = { "", "allow", "deny", "delete", "quarantine",
	"replace" };
static const char *const result_words[] = { "", "done", "changed", "failed" };
static const char *const isolate_words[] = { "", "session", "vm" };
static const char *const fim_words[] = { "", "create", "write", "rename", "delete", "attrib",
	"baseline" };

#define WORD(table, value) ((size_t)(value) < GI_ARRAY_SIZE(table) ? (table)[(size_t)(value)] : "?")

/* ---- outboxes ---- */

static struct idfw_outbox *outbox_find(struct idfw_engine *e, const uint8_t id[16])
{
	struct idfw_outbox *o;

	HASH_FIND(hh, e->outboxes, id, sizeof(o->id), o);
	return o;
}

static int outbox_get(struct idfw_engine *e, const uint8_t id[16], struct idfw_outbox **ret)
{
	struct idfw_outbox *o = outbox_find(e, id);

	if (!o && HASH_COUNT(e->outboxes) >= IDFW_OUTBOXES_MAX)
		return -GI_ELIMIT;
	if (!o) {
		o = calloc(1, sizeof(*o));
		if (!o)
			return -ENOMEM;
		memcpy(o->id, id, sizeof(o->id));
		HASH_ADD(hh, e->outboxes, id, sizeof(o->id), o);
	}
	*ret = o;
	return 0;
}

void idfw_outboxes_free(struct idfw_engine *e)
{
	struct idfw_outbox *o, *next;

	HASH_ITER (hh, e->outboxes, o, next) {
		HASH_DEL(e->outboxes, o);
		free(o);
	}
}

int idfw_engine_restore_outbox(struct idfw_engine *e, const uint8_t outbox[16], uint64_t seq)
{
	struct idfw_outbox *o;
	int r = outbox_get(e, outbox, &o);

	if (r == 0)
		o->seq = o->acked_seq = seq;
	return r;
}

int idfw_engine_scan_hello(struct idfw_engine *e, const uint8_t outbox[16], uint64_t *ret_acked)
{
	struct idfw_outbox *o;
	int r = outbox_get(e, outbox, &o);

	if (r < 0)
		return r;
	o->greeted = true;
	*ret_acked = o->acked_seq;
	return 0;
}

bool idfw_engine_scan_durable(struct idfw_engine *e, const uint8_t outbox[16], uint64_t seq)
{
	struct idfw_outbox *o = outbox_find(e, outbox);

	if (!o)
		return false;
	if (seq > o->acked_seq)
		o->acked_seq = seq;
	return true;
}

/* ---- details ---- */

static void put_path_bytes(struct gi_buf *out, const uint8_t *p, size_t len)
{
	uint32_t cp = 0;

	for (size_t at = 0, n; at < len; at += n) {
		n = gi_text_utf8(p + at, len - at, &cp);
		if (n && cp != '\\' && !gi_text_is_control(cp)) {
			gi_buf_append(out, p + at, n);
			continue;
		}
		n = n ? n : 1;
		for (size_t k = 0; k < n; k++)
			gi_buf_printf(out, "\\x%02x", p[at + k]);
	}
}

static void put_path(struct gi_buf *b, const char *key, const ProtobufCBinaryData *path)
{
	struct gi_buf text;

	if (!path->len)
		return;
	gi_buf_init(&text, 4 * WIRE_PATH_MAX + 1);
	put_path_bytes(&text, path->data, path->len);
	gi_buf_printf(b, ",\"%s\":", key);
	idfw_json(b, gi_buf_error(&text) ? "?" : gi_buf_str(&text));
	gi_buf_fini(&text);
}

static void put_text(struct gi_buf *b, const char *key, const char *text)
{
	if (!text || !*text)
		return;
	gi_buf_printf(b, ",\"%s\":", key);
	idfw_json(b, text);
}

static void put_number(struct gi_buf *b, const char *key, uint64_t n)
{
	if (n)
		gi_buf_printf(b, ",\"%s\":%llu", key, (unsigned long long)n);
}

static void put_hex(struct gi_buf *b, const char *key, const ProtobufCBinaryData *bytes)
{
	if (!bytes->len)
		return;
	gi_buf_printf(b, ",\"%s\":\"", key);
	for (size_t i = 0; i < bytes->len; i++)
		gi_buf_printf(b, "%02x", bytes->data[i]);
	gi_buf_printf(b, "\"");
}

static void put_actor(struct gi_buf *b, const Idfw__FileActor *a, const struct who *who)
{
	if (!a)
		return;
	if (a->uid == UINT32_MAX) /* nobody did, or nobody knows: not root, whose is 0 */
		gi_buf_printf(b, ",\"uid\":null");
	else
		gi_buf_printf(b, ",\"uid\":%u", a->uid);
	put_number(b, "pid", a->pid);
	if (a->pid && a->uid == UINT32_MAX && !a->session && !(a->comm && *a->comm))
		put_text(b, "actor", "unknown: ended");
	put_text(b, "comm", a->comm);
	put_path(b, "exe", &a->exe);
	if (who->claimed) { /* the guest's word only */
		put_number(b, "claimed_session", a->session);
		gi_buf_printf(b, ",\"unverified\":true");
	}
	if (a->user && *a->user && (!who->user || strcmp(a->user, who->user) != 0))
		put_text(b, "claimed_user", a->user);
}

static void put_mode(struct gi_buf *b, const char *key, uint32_t before, uint32_t after)
{
	if (before != after)
		gi_buf_printf(b, ",\"%s\":\"%o -> %o\"", key, before, after);
}

static void put_fim(struct gi_buf *b, const Idfw__FimEvent *f)
{
	put_text(b, "rule", f->rule);
	put_text(b, "op", WORD(fim_words, f->op));
	put_path(b, "path", &f->path);
	put_path(b, "new_path", &f->new_path);
	put_hex(b, "before", &f->before);
	put_hex(b, "after", &f->after);
	put_mode(b, "mode", f->mode_before, f->mode_after);
	if (f->uid_before != f->uid_after)
		gi_buf_printf(b, ",\"owner\":\"%u -> %u\"", f->uid_before, f->uid_after);
	put_number(b, "size", f->size_after);
}

static void put_passed(struct gi_buf *b, const Idfw__FilePassed *p)
{
	put_text(b, "reason", p->reason);
	put_path(b, "path", &p->path);
	put_text(b, "op", WORD(op_words, p->op));
	gi_buf_printf(b, ",\"denied\":%s", p->denied ? "true" : "false");
	put_number(b, "hidden", p->hidden);
}

static void put_verdict(struct gi_buf *b, const Idfw__ScanRecord *r, const char *isolated)
{
	put_text(b, "verdict", WORD(verdict_words, r->verdict));
	put_text(b, "result", WORD(result_words, r->result));
	put_text(b, "op", WORD(op_words, r->op));
	put_path(b, "path", &r->path);
	put_text(b, "signature", r->signature);
	put_text(b, "engine", r->engine);
	put_hex(b, "sha256", &r->sha256);
	put_hex(b, "quarantine", &r->quarantine_id);
	put_number(b, "took_us", r->took_us);
	put_text(b, "isolate", WORD(isolate_words, r->isolate));
	put_text(b, "isolated", isolated);
}

static const char *detail(struct idfw_engine *e, const Idfw__ScanRecord *r, const struct who *who,
	const char *isolated)
{
	struct gi_buf *b = &e->json;

	gi_buf_reset(b);
	gi_buf_printf(b, "{\"at_ms\":%llu", (unsigned long long)r->time_ms);
	if (r->kind == IDFW__SCAN_RECORD__KIND__FIM && r->fim)
		put_fim(b, r->fim);
	else if (r->kind == IDFW__SCAN_RECORD__KIND__PASSED && r->passed)
		put_passed(b, r->passed);
	else
		put_verdict(b, r, isolated);
	put_actor(b, r->actor, who);
	put_text(b, "by", r->by);
	put_text(b, "text", r->text);
	gi_buf_printf(b, "}");
	return gi_buf_error(b) ? "{\"error\":\"too long\"}" : gi_buf_str(b);
}

/* ---- whose ---- */

static struct who who_find(struct idfw_engine *e, struct idfw_vm *vm, const Idfw__ScanRecord *r)
{
	const Idfw__FileActor *a = r->actor;
	struct who who = { 0 };
	const struct idfw_recent *rec;

	if (!a || !a->session)
		return who;
	who.claimed = true;
	if (!vm || r->boot_id.len != sizeof(vm->boot_id))
		return who;
	who.live = idfw_session_find(e, vm, a->session, r->boot_id.data);
	rec = who.live ? NULL : idfw_recent_find(e, vm, a->session, r->boot_id.data);
	if (!who.live && !rec)
		return who;
	who.claimed = false;
	who.db_id = who.live ? who.live->db_id : rec->db_id;
	who.uid = who.live ? who.live->uid : rec->uid;
	who.user = who.live ? who.live->user : rec->user;
	return who;
}

/* ---- isolation ---- */

static const char *isolate_word(enum idfw_isolate_result r)
{
	switch (r) {
	case IDFW_ISOLATE_DONE:
		return "yes";
	case IDFW_ISOLATE_ALREADY:
		return "was already";
	case IDFW_ISOLATE_SPARED:
		return "NO: the VM is in never-isolate";
	case IDFW_ISOLATE_CAPPED:
		return "NO: over isolate-max";
	default:
		return "NO: it failed";
	}
}

static void why_text(const Idfw__ScanRecord *r, struct gi_buf *out)
{
	struct gi_buf path;
	size_t at = 0;

	gi_buf_init(&path, 4 * WIRE_PATH_MAX + 1);
	put_path_bytes(&path, r->path.data, r->path.len);
	gi_buf_printf(out, "%s (%s) in ", *r->signature ? r->signature : "a finding", r->engine);
	if (path.len > WHY_PATH_MAX) { /* the end tells more; no half character */
		at = path.len - WHY_PATH_MAX;
		while (at < path.len && (path.data[at] & 0xc0) == 0x80)
			at++;
		gi_buf_printf(out, "...");
	}
	gi_buf_append(out, gi_buf_str(&path) + at, path.len - at);
	gi_buf_fini(&path);
}

/* sessions below min-uid, and those that nobody knows, have nothing that could be cut */
static const char *not_cuttable(
	const struct idfw_engine *e, const Idfw__ScanRecord *r, const struct who *who)
{
	if (r->isolate == IDFW__FILE_ISOLATE__FILE_ISOLATE_VM)
		return NULL;
	if (who->claimed)
		return "NO: the session is not known";
	if (!who->db_id)
		return "NO: no session did it";
	return who->uid < e->conf.min_uid && !(who->live && who->live->is_unit)
		       ? "NO: a system user's session"
		       : NULL;
}

/* -GI_EFULL: it must come again; @ret_word "" when none was asked for */
static int isolate(struct idfw_engine *e, const Idfw__ScanRecord *r, const char *scanner,
	struct idfw_vm *vm, const struct who *who, const char **ret_word)
{
	bool whole = r->isolate == IDFW__FILE_ISOLATE__FILE_ISOLATE_VM;
	struct idfw_isolation from = { .whole_vm = whole,
		.automatic = true,
		.uid = who->uid,
		.session = who->db_id,
		.since_ms = e->real_ms,
		.user = (char *)(uintptr_t)(who->user ? who->user : ""),
		.by = (char *)(uintptr_t)scanner };
	enum idfw_isolate_result res;
	struct gi_buf why;

	*ret_word = "";
	if (r->kind != IDFW__SCAN_RECORD__KIND__VERDICT ||
		r->isolate == IDFW__FILE_ISOLATE__FILE_ISOLATE_NONE)
		return 0;
	*ret_word = not_cuttable(e, r, who);
	if (!*ret_word && !vm && idfw_vm_get(e, r->vm, &vm) < 0)
		*ret_word = "NO: there is no such VM";
	/* one that is over may have left processes anywhere: all of its uid's, then */
	if (!*ret_word && !whole && who->live && !idfw_isolation_scope(e, who->live, &from))
		*ret_word = "NO: a session without access by identity";
	if (*ret_word)
		return 0;
	gi_buf_init(&why, 2048);
	why_text(r, &why);
	from.why = (char *)(uintptr_t)gi_buf_str(&why);
	res = idfw_isolate_auto(e, vm, &from);
	gi_buf_fini(&why);
	*ret_word = isolate_word(res);
	return res == IDFW_ISOLATE_FULL ? -GI_EFULL : 0;
}

/* ---- records ---- */

static enum idfw_record_kind kind_of(const Idfw__ScanRecord *r)
{
	switch (r->kind) {
	case IDFW__SCAN_RECORD__KIND__FIM:
		return IDFW_REC_FIM;
	case IDFW__SCAN_RECORD__KIND__PASSED:
		return IDFW_REC_PASSED;
	case IDFW__SCAN_RECORD__KIND__SERVICE:
		return IDFW_REC_SCAN_SERVICE;
	case IDFW__SCAN_RECORD__KIND__COMMAND:
		return IDFW_REC_SCAN_COMMAND;
	default:
		return IDFW_REC_SCAN;
	}
}

/* numbers that its outbox has lost, or that we had and lost, are said, once a connection */
static int gap(struct idfw_engine *e, struct idfw_outbox *o, uint64_t seq)
{
	char text[96];

	if (!o->greeted)
		return -GI_ESTATE;
	e->stats.gaps++;
	snprintf(text, sizeof(text), "scan records %llu to %llu are missing",
		(unsigned long long)o->seq + 1, (unsigned long long)seq - 1);
	gi_warn("%s", text);
	idfw_note(e, IDFW_REC_REFUSED, NULL, NULL, idfw_json_why(e, text, NULL, NULL));
	return 0;
}

int idfw_engine_scan_record(struct idfw_engine *e, const uint8_t outbox[16], const char *scanner,
	const Idfw__ScanRecord *r)
{
	struct idfw_vm *vm = r->vm && *r->vm ? idfw_engine_vm(e, r->vm) : NULL;
	struct who who = who_find(e, vm, r);
	struct idfw_record rec = { .kind = kind_of(r),
		.time_ms = e->real_ms,
		.vm = r->vm ? r->vm : "",
		.db_id = who.db_id,
		.user = who.user,
		.outbox = outbox,
		.outbox_seq = r->seq,
		.scanner = scanner };
	const char *isolated = "";
	struct idfw_outbox *o;
	int err = outbox_get(e, outbox, &o);

	if (err < 0)
		return err;
	if (r->seq <= o->seq) {
		e->stats.scan_duplicates++;
		return 0;
	}
	if (r->seq > o->seq + 1)
		err = gap(e, o, r->seq);
	if (err < 0)
		return err;
	err = isolate(e, r, scanner, vm, &who, &isolated);
	if (err == 0) {
		rec.detail = detail(e, r, &who, isolated);
		err = e->out.store(e->out.arg, &rec);
	}
	if (err == 0) {
		o->seq = r->seq;
		o->greeted = false;
		e->stats.scan_records++;
	}
	plan_event_end(e);
	return err;
}
