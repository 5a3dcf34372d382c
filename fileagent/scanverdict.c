/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * scanverdict.c - what a verdict leads to
 *
 * Part of the worker's core, see scan.h. First of all: is the file still what was looked at? If
 * not, the verdict is about something that is gone, and the file is looked at again. Openers are
 * answered before anything else is done; only REPLACE keeps them until the new content is in place.
 */
#include "fileagent/scan_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct fa_outcome outcome(const Idfw__FileVerdict *v)
{
	return (struct fa_outcome){ .judged = true,
		.verdict = v->verdict,
		.engine = v->engine,
		.signature = v->signature,
		.reason = v->reason,
		.action_text = "" };
}

/* who did it: asked while he is held; of a file that was written: when it was closed. Of one that
 * we look at ourselves (RESCAN, DEMAND): nobody, and that is not root */
static const struct fa_actor *actor_of(struct fa_scan *s, const struct scan_file *f)
{
	if (f->op == IDFW__FILE_OP__FILE_OP_CLOSE_WRITE && f->actor)
		return scan_actor_get(s, f->actor);
	if (f->waiters && f->waiters->held.slot != FA_NO_SLOT)
		s->ops->actor(s->arg, &f->waiters->held, &s->actor);
	else
		s->actor = (struct fa_actor){ .uid = FA_UID_UNKNOWN };
	return &s->actor;
}

static void send_done(struct fa_scan *s, const struct scan_file *f, Idfw__FileDone__Result result,
	const char *text, const uint8_t *qid)
{
	Idfw__FileDone m = IDFW__FILE_DONE__INIT;
	Idfw__FileActor a = IDFW__FILE_ACTOR__INIT;
	char words[WIRE_TEXT_MAX + 1];

	(void)snprintf(words, sizeof(words), "%s", text);
	wire_text_sanitize(words, WIRE_TEXT_MAX);
	fa_actor_wire(scan_actor_get(s, f->actor), &a);
	m.id = f->id;
	m.result = result;
	m.text = words;
	m.actor = &a;
	m.opener_denied = f->opener_denied;
	if (qid) {
		m.quarantine_id.data = (uint8_t *)(uintptr_t)qid;
		m.quarantine_id.len = WIRE_QUARANTINE_ID_LEN;
	}
	(void)!scan_send(s, IDFW__ENVELOPE__BODY_FILE_DONE, &m);
}

static bool is_bad(Idfw__FileVerdictKind k)
{
	return k != IDFW__FILE_VERDICT_KIND__FILE_VERDICT_ALLOW;
}

/* what was looked at is what is there */
static bool unchanged(struct fa_scan *s, const struct scan_file *f)
{
	struct fa_ident id;
	uint32_t mode;

	return s->ops->stat(s->arg, f->own.fd, &id, &mode) == 0 &&
	       memcmp(&id, &f->ident, sizeof(id)) == 0;
}

/* ---- allow ---- */

static bool is_of_now(const struct fa_scan *s, const Idfw__FileVerdict *v)
{
	return v->epoch.len == s->epoch_len && memcmp(v->epoch.data, s->epoch, s->epoch_len) == 0;
}

static void remember(
	struct fa_scan *s, const struct scan_file *f, const Idfw__FileVerdict *v, bool opened)
{
	if (!v->until_change || !is_of_now(s, v))
		return;
	/* closed by a writer since it was read: what he stored through a mapping need not show in
	 * its times, and there is nobody to take it out of the table once more */
	if (f->later.fd >= 0 || f->fresh)
		return;
	fa_table_put(s->table, &f->ident, is_bad(v->verdict) ? FA_KNOWN_DENY : FA_KNOWN_ALLOW);
	/* a mark when it is opened: most of what is written is not, soon */
	if (!is_bad(v->verdict) && opened)
		s->ops->mark(s->arg, f->own.fd, &f->ident);
}

static void allow(struct fa_scan *s, struct scan_file *f, const Idfw__FileVerdict *v, bool same)
{
	struct fa_outcome o = outcome(v);
	bool opened = scan_has_openers(f);

	s->count->verdict_allow++;
	scan_answer_all(s, f, 0, &o);
	if (same)
		remember(s, f, v, opened);
	scan_end(s, f);
}

/* ---- the others ---- */

static uint64_t *counter_of(struct fa_counters *c, Idfw__FileVerdictKind k)
{
	switch (k) {
	case IDFW__FILE_VERDICT_KIND__FILE_VERDICT_DELETE:
		return &c->verdict_delete;
	case IDFW__FILE_VERDICT_KIND__FILE_VERDICT_QUARANTINE:
		return &c->verdict_quarantine;
	case IDFW__FILE_VERDICT_KIND__FILE_VERDICT_REPLACE:
		return &c->verdict_replace;
	default:
		return &c->verdict_deny;
	}
}

static enum fa_op action_op(Idfw__FileVerdictKind k)
{
	switch (k) {
	case IDFW__FILE_VERDICT_KIND__FILE_VERDICT_DELETE:
		return FA_OP_DELETE;
	case IDFW__FILE_VERDICT_KIND__FILE_VERDICT_QUARANTINE:
		return FA_OP_QUARANTINE;
	default:
		return FA_OP_REPLACE;
	}
}

static void meta_fill(struct fa_meta *m, const struct scan_file *f, const Idfw__FileVerdict *v,
	const struct fa_actor *a)
{
	*m = (struct fa_meta){ .time_ms = io_clock_real_ms(),
		.session = a->session,
		.size = f->ident.size,
		.mtime_ns = f->ident.mtime_ns,
		.mode = f->mode,
		.actor_uid = a->uid,
		.pid = a->pid };
	if (v->sha256.len == sizeof(m->sha256))
		memcpy(m->sha256, v->sha256.data, sizeof(m->sha256));
	(void)snprintf(m->engine, sizeof(m->engine), "%s", v->engine);
	(void)snprintf(m->signature, sizeof(m->signature), "%s", v->signature);
	(void)snprintf(m->user, sizeof(m->user), "%s", a->user);
	(void)snprintf(m->reason, sizeof(m->reason), "%s", v->reason);
}

static int act(struct fa_scan *s, struct scan_file *f, const Idfw__FileVerdict *v)
{
	struct fa_meta meta;
	struct fa_action a = { .op = action_op(v->verdict),
		.id = f->id,
		.fd = f->own.fd,
		.tmp = -1,
		.ident = &f->ident,
		.path = scan_path(s, f),
		.meta = &meta };

	meta_fill(&meta, f, v, scan_actor_get(s, f->actor));
	if (a.op == FA_OP_REPLACE) {
		if (!f->write || !f->write->complete)
			return -EPROTO;
		a.tmp = f->write->tmp;
	}
	return s->ops->action(s->arg, &a);
}

/* the outcome of the action is here; the waiters of REPLACE, and who came meanwhile */
static void acted(
	struct fa_scan *s, struct scan_file *f, int err, const char *text, const uint8_t *qid)
{
	Idfw__FileVerdict *v = f->verdict;
	struct fa_outcome o = outcome(v);
	bool replaced = v->verdict == IDFW__FILE_VERDICT_KIND__FILE_VERDICT_REPLACE && err == 0;

	if (err < 0 && err != -ESTALE)
		s->count->actions_failed++;
	o.action = err == 0	    ? IDFW__FILE_DONE__RESULT__DONE
		   : err == -ESTALE ? IDFW__FILE_DONE__RESULT__CHANGED
				    : IDFW__FILE_DONE__RESULT__FAILED;
	o.action_text = text;
	o.quarantine_id = qid;
	f->opener_denied = f->opener_denied || scan_has_openers(f);
	if (err == -ESTALE && f->rounds < FA_SCAN_ROUNDS) {
		s->count->changed_during_scan++;
		send_done(s, f, o.action, text, NULL);
		idfw__file_verdict__free_unpacked(f->verdict, NULL);
		f->verdict = NULL;
		scan_again(s, f);
		return;
	}
	scan_answer_all(s, f, replaced ? EAGAIN : SCAN_BLOCK, &o);
	send_done(s, f, o.action, text, qid);
	fa_notice("%s: %s: %s: %s", scan_path(s, f), v->signature, fa_verdict_word(v->verdict),
		err == 0 ? "done" : text);
	scan_end(s, f);
}

static Idfw__FileVerdict *verdict_copy(const Idfw__FileVerdict *v)
{
	size_t len = idfw__file_verdict__get_packed_size(v);
	uint8_t *buf = malloc(len ? len : 1);
	Idfw__FileVerdict *copy = NULL;

	if (buf) {
		len = idfw__file_verdict__pack(v, buf);
		copy = idfw__file_verdict__unpack(NULL, len, buf);
	}
	free(buf);
	return copy;
}

static bool actor_keep(struct fa_scan *s, struct scan_file *f)
{
	struct scan_actor *was = f->actor;

	f->actor = scan_actor_new(actor_of(s, f));
	scan_actor_put(was);
	return f->actor != NULL;
}

static void deny(struct fa_scan *s, struct scan_file *f, const Idfw__FileVerdict *v)
{
	struct fa_outcome o = outcome(v);

	f->opener_denied = scan_has_openers(f);
	scan_answer_all(s, f, SCAN_BLOCK, &o);
	send_done(s, f, IDFW__FILE_DONE__RESULT__DONE, "", NULL);
	remember(s, f, v, false);
	fa_notice("%s: %s: denied", scan_path(s, f), v->signature);
	scan_end(s, f);
}

static void bad(struct fa_scan *s, struct scan_file *f, const Idfw__FileVerdict *v)
{
	int err;

	++*counter_of(s->count, v->verdict);
	if (!actor_keep(s, f)) {
		scan_fail(s, f, FA_R_SCAN_FAILED);
		return;
	}
	if (v->verdict == IDFW__FILE_VERDICT_KIND__FILE_VERDICT_DENY) {
		deny(s, f, v);
		return;
	}
	f->verdict = verdict_copy(v);
	if (!f->verdict) {
		scan_fail(s, f, FA_R_SCAN_FAILED);
		return;
	}
	scan_credit_back(s, f);
	f->state = SCAN_ACTING;
	if (is_of_now(s, v)) /* if it cannot be done, the fail policy still lets nobody in */
		fa_table_put(s->table, &f->ident, FA_KNOWN_DENY);
	if (v->verdict != IDFW__FILE_VERDICT_KIND__FILE_VERDICT_REPLACE)
		scan_deny_openers(s, f);
	err = act(s, f, v);
	if (err < 0)
		acted(s, f, err, gi_strerror(err), NULL);
}

static void changed(struct fa_scan *s, struct scan_file *f, const Idfw__FileVerdict *v)
{
	s->count->changed_during_scan++;
	if (is_bad(v->verdict)) {
		if (!actor_keep(s, f)) {
			scan_fail(s, f, FA_R_SCAN_FAILED);
			return;
		}
		send_done(s, f, IDFW__FILE_DONE__RESULT__CHANGED, "", NULL);
	}
	scan_again(s, f);
}

void scan_verdict(struct fa_scan *s, const Idfw__FileVerdict *v)
{
	struct scan_file *f = scan_by_id(s, v->id);
	bool same;

	if (!f || f->state != SCAN_ASKED) /* too late: we had cancelled it */
		return;
	if (v->failed || v->verdict == IDFW__FILE_VERDICT_KIND__FILE_VERDICT_UNKNOWN) {
		scan_fail(s, f, strcmp(v->reason, "quota") == 0 ? FA_R_QUOTA : FA_R_SCAN_FAILED);
		return;
	}
	fa_debug("verdict of %llu: %s %s", (unsigned long long)v->id, fa_verdict_word(v->verdict),
		v->signature);
	same = unchanged(s, f);
	if (!same && f->rounds < FA_SCAN_ROUNDS)
		changed(s, f, v);
	else if (!is_bad(v->verdict))
		allow(s, f, v, same);
	else
		bad(s, f, v);
}

void fa_scan_action_done(struct fa_scan *s, uint64_t now_ms, uint64_t id, int err, const char *text,
	const uint8_t *qid, int fd)
{
	struct scan_file *f = scan_by_id(s, id);

	s->now_ms = now_ms;
	if (f && f->state == SCAN_ACTING && fd < 0)
		acted(s, f, err, text, qid);
	else if (f && f->state == SCAN_ASKED && f->write)
		scan_write_tmp(s, f, err, fd);
	else if (fd >= 0)
		s->ops->close(s->arg, fd);
	scan_pump(s);
}

const char *fa_verdict_word(Idfw__FileVerdictKind k)
{
	static const char *const words[] = { "unknown", "allow", "deny", "delete", "quarantine",
		"replace" };

	return (unsigned int)k < GI_ARRAY_SIZE(words) ? words[k] : words[0];
}
