/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * scanfail.c - what happens without a verdict: deadlines, the circuit breaker, a lost link
 *
 * Part of the worker's core, see scan.h. A service from which nothing came for a whole deadline is
 * taken for dead: everybody who waits is answered at once, and so is everybody who comes, until it
 * answers a file that nobody waits for. So a dead service costs one deadline, not one an open.
 */
#include "fileagent/scan_int.h"

#include <stdlib.h>
#include <string.h>

#define SCAN_PROBES 16 /* written files that stay, to ask a dead service with */

const char *fa_reason_word(enum fa_reason r)
{
	static const char *const words[FA_REASONS] = { "deadline", "service down", "too large",
		"worker ended", "worker stopped", "table full", "scan failed", "unreadable",
		"quota" };

	return words[r];
}

static void count_pass(struct fa_counters *c, enum fa_reason r, bool denied)
{
	uint64_t *const passed[FA_REASONS] = { &c->passed_deadline, &c->passed_service_down,
		&c->passed_too_large, &c->passed_worker_ended, &c->passed_worker_stopped,
		&c->passed_table_full, &c->passed_scan_failed, &c->passed_unreadable,
		&c->passed_quota };
	uint64_t *const refused[FA_REASONS] = { &c->denied_deadline, &c->denied_service_down,
		&c->denied_too_large, &c->denied_worker_ended, &c->denied_worker_stopped,
		&c->denied_table_full, &c->denied_scan_failed, &c->denied_unreadable,
		&c->denied_quota };

	++*(denied ? refused : passed)[r];
}

/* worth another look once the service is there; what is too large or broken stays so */
static bool look_later(enum fa_reason r)
{
	return r == FA_R_DEADLINE || r == FA_R_SERVICE_DOWN || r == FA_R_TABLE_FULL ||
	       r == FA_R_QUOTA;
}

void scan_pass(
	struct fa_scan *s, const struct fa_held *h, const struct fa_ident *id, enum fa_reason r)
{
	/* known as bad, and nobody to ask: that much is certain */
	bool bad = fa_table_find(s->table, id) == FA_KNOWN_DENY;
	bool denied = h->strict || bad, due = s->ops->report_due(s->arg, r, denied);
	bool later = !denied && look_later(r);

	if (due)
		s->ops->actor(s->arg, h, &s->actor); /* while he is held: he may be gone then */
	if (due || later)
		s->ops->path(s->arg, h->fd, s->path, sizeof(s->path));
	s->ops->answer(s->arg, h, bad ? h->block_errno : h->strict ? EBUSY : 0);
	count_pass(s->count, r, denied);
	if (bad)
		s->count->denied_cache++;
	if (due)
		s->ops->report(s->arg, r, denied, h->op, s->path, &s->actor);
	if (later)
		s->ops->later(s->arg, s->path, id);
}

static void tell_failed(struct scan_waiter *w, enum fa_reason r)
{
	struct fa_outcome o = {
		.engine = "", .signature = "", .reason = fa_reason_word(r), .action_text = ""
	};

	if (w->done)
		w->done(w->arg, &o);
}

/* if nobody waits, nobody is told: counted. Looked at again where that is worth it */
static void written_fail(struct fa_scan *s, const struct scan_file *f, enum fa_reason r)
{
	if (f->op != IDFW__FILE_OP__FILE_OP_CLOSE_WRITE || f->later.fd >= 0 ||
		r == FA_R_WORKER_ENDED)
		return;
	(void)scan_path(s, f);
	if (!f->waiters) {
		s->count->written_unscanned++;
		fa_info("%s: written, and not scanned: %s", s->path, fa_reason_word(r));
	}
	if (look_later(r)) /* also if its openers are denied: it lies there */
		s->ops->later(s->arg, s->path, &f->ident);
}

void scan_fail(struct fa_scan *s, struct scan_file *f, enum fa_reason r)
{
	struct scan_waiter *w;

	scan_unask(s, f);
	written_fail(s, f, r);
	while ((w = scan_waiter_take(f))) {
		if (w->held.slot != FA_NO_SLOT)
			scan_pass(s, &w->held, &f->ident, r);
		else
			tell_failed(w, r);
		scan_waiter_free(s, f, w);
	}
	scan_end(s, f);
}

void scan_cancel(struct fa_scan *s, const struct scan_file *f, Idfw__FileCancel__Reason r)
{
	Idfw__FileCancel m = IDFW__FILE_CANCEL__INIT;

	m.id = f->id;
	m.reason = r;
	(void)!scan_send(s, IDFW__ENVELOPE__BODY_FILE_CANCEL, &m);
}

/* ---- the breaker ---- */

bool scan_can_ask(const struct fa_scan *s)
{
	return s->have_settings && !s->breaker;
}

bool fa_scan_ready(const struct fa_scan *s)
{
	return scan_can_ask(s);
}

bool fa_scan_breaker_open(const struct fa_scan *s)
{
	return s->breaker;
}

void scan_heard(struct fa_scan *s)
{
	s->heard_ms = s->now_ms;
	if (!s->breaker)
		return;
	fa_notice("the scan service answers again");
	s->breaker = false;
}

/* each of @q's files with openers; stops when there is none left */
static void fail_queue(struct fa_scan *s, struct scan_queue *q, enum fa_reason r)
{
	struct scan_file *f = q->first, *next;

	for (; f; f = next) {
		next = f->next;
		if (f->state == SCAN_ACTING || !scan_has_openers(f))
			continue;
		if (f->state == SCAN_ASKED)
			scan_cancel(s, f, IDFW__FILE_CANCEL__REASON__DEADLINE);
		scan_fail(s, f, r);
	}
}

static void put_back(struct fa_scan *s, struct scan_file *f);

/* their descriptors keep file systems busy and room taken: not for as long as a service is dead */
static void written_give_up(struct fa_scan *s, size_t keep)
{
	struct scan_file *f, *next;

	for (f = s->line[SCAN_WRITTEN].first; f; f = next) {
		next = f->next;
		put_back(s, f);
	}
	scan_written_give_up(s, keep);
}

static void breaker_open(struct fa_scan *s)
{
	s->breaker = true;
	s->probe_ms = s->now_ms; /* the next file that comes is the first probe */
	s->count->breaker_opened++;
	fa_warn("the scan service says nothing: on-failure decides at once until it answers");
	fail_queue(s, &s->others, FA_R_SERVICE_DOWN);
	fail_queue(s, &s->line[SCAN_URGENT], FA_R_SERVICE_DOWN);
	written_give_up(s, SCAN_PROBES);
}

/* ---- deadlines ---- */

uint64_t fa_scan_allowance_ms(const struct fa_scan *s, uint64_t size)
{
	uint64_t rate = s->conf.deadline_rate ? s->conf.deadline_rate : 1;
	uint64_t ms =
		size / rate > s->conf.deadline_max_ms / 1000
			? s->conf.deadline_max_ms
			: s->conf.deadline_base_ms + size / rate * 1000 + size % rate * 1000 / rate;

	return ms < s->conf.deadline_max_ms ? ms : s->conf.deadline_max_ms;
}

/* nothing was heard since that file was asked for */
static bool is_silent(const struct fa_scan *s, const struct scan_file *f)
{
	return f->state == SCAN_ASKED && s->heard_ms <= f->asked_ms;
}

static struct scan_file *overdue(const struct fa_scan *s, const struct scan_queue *q)
{
	for (struct scan_file *f = q->first; f; f = f->next)
		if (f->deadline_ms <= s->now_ms && f->state != SCAN_ACTING)
			return f;
	return NULL;
}

static void expire(struct fa_scan *s, struct scan_file *f)
{
	bool silent = is_silent(s, f) && !s->breaker;

	if (f->state == SCAN_ASKED)
		scan_cancel(s, f, IDFW__FILE_CANCEL__REASON__DEADLINE);
	scan_fail(s, f, s->have_settings ? FA_R_DEADLINE : FA_R_SERVICE_DOWN);
	if (silent)
		breaker_open(s);
}

/* the supervisor is slow with what was judged bad: not a case for the fail policy */
static void expire_acting(struct fa_scan *s)
{
	for (struct scan_file *f = s->others.first; f; f = f->next) {
		if (f->state != SCAN_ACTING || f->deadline_ms > s->now_ms)
			continue;
		scan_deny_openers(s, f);
		f->deadline_ms = SCAN_NO_DEADLINE;
	}
}

void fa_scan_tick(struct fa_scan *s, uint64_t now_ms)
{
	struct scan_file *f;

	s->now_ms = now_ms;
	expire_acting(s);
	while ((f = overdue(s, &s->others)) || (f = overdue(s, &s->line[SCAN_URGENT])))
		expire(s, f);
	scan_pump(s);
}

/* ---- link and settings ---- */

static bool same_epoch(const struct fa_scan *s, const ProtobufCBinaryData *e)
{
	return s->epoch_len == e->len && memcmp(s->epoch, e->data, e->len) == 0;
}

void scan_settings(struct fa_scan *s, const Idfw__ScanSettings *m)
{
	bool changed = !same_epoch(s, &m->epoch);

	if (changed) {
		memcpy(s->epoch, m->epoch.data, m->epoch.len);
		s->epoch_len = m->epoch.len;
		fa_table_clear(s->table);
		s->ops->flush(s->arg);
		fa_info("the scan service has other engines or signatures: all is looked at anew");
	}
	s->wanted_ops = m->ops;
	s->max_bytes = m->max_bytes;
	s->head_bytes = m->head_bytes < WIRE_DATA_MAX ? m->head_bytes : WIRE_DATA_MAX;
	s->credits = m->credits ? m->credits : 1;
	if (!s->have_settings)
		s->heard_ms = s->now_ms;
	s->have_settings = s->had_settings = true;
}

bool fa_scan_wants(const struct fa_scan *s, Idfw__FileOp op)
{
	return !s->had_settings || (s->wanted_ops & 1u << op) != 0;
}

/* asked, or waiting for content: back into the queue; what had openers keeps its place before
 * others */
static void put_back(struct fa_scan *s, struct scan_file *f)
{
	uint64_t grace = s->now_ms + s->conf.deadline_base_ms;
	bool openers = scan_has_openers(f);
	struct fa_ident id;
	uint32_t mode;

	scan_unask(s, f);
	if (!openers && !f->waiters) {
		if (s->ops->watched(s->arg, f->own.fd, &id, &mode)) {
			s->ops->path(s->arg, f->own.fd, s->path, sizeof(s->path));
			s->ops->later(s->arg, s->path, &f->ident);
		}
		scan_end(s, f);
		return;
	}
	if (openers && f->deadline_ms > grace)
		f->deadline_ms = grace;
	scan_queue_put(s, f);
}

void fa_scan_link_down(struct fa_scan *s, uint64_t now_ms)
{
	struct scan_file *f, *next;

	s->now_ms = now_ms;
	if (s->have_settings)
		s->lost_ms = now_ms;
	s->have_settings = false;
	s->breaker = false; /* a new connection starts with a clean sheet */
	for (f = s->line[SCAN_URGENT].first; f; f = f->next)
		if (f->deadline_ms > s->lost_ms + s->conf.deadline_base_ms)
			f->deadline_ms = s->lost_ms + s->conf.deadline_base_ms;
	for (f = s->others.first; f; f = next) {
		next = f->next;
		if (f->state != SCAN_ACTING)
			put_back(s, f);
	}
	for (f = s->line[SCAN_BACKGROUND].first; f; f = next) { /* nobody is told for now */
		next = f->next;
		scan_fail(s, f, FA_R_SERVICE_DOWN);
	}
	written_give_up(s, 0);
}

void fa_scan_message(struct fa_scan *s, uint64_t now_ms, const Idfw__Envelope *e)
{
	s->now_ms = now_ms;
	switch (e->body_case) {
	case IDFW__ENVELOPE__BODY_SCAN_SETTINGS:
		scan_settings(s, e->scan_settings);
		break;
	case IDFW__ENVELOPE__BODY_FILE_READ:
		scan_heard(s);
		scan_read(s, e->file_read);
		break;
	case IDFW__ENVELOPE__BODY_FILE_WRITE:
		scan_heard(s);
		scan_write(s, e->file_write);
		break;
	case IDFW__ENVELOPE__BODY_FILE_VERDICT:
		scan_heard(s);
		scan_verdict(s, e->file_verdict);
		break;
	default:
		return;
	}
	scan_pump(s);
}

const uint8_t *fa_scan_epoch(const struct fa_scan *s, size_t *ret_len)
{
	*ret_len = s->epoch_len;
	return s->epoch;
}

uint64_t fa_scan_max_bytes(const struct fa_scan *s)
{
	if (!s->conf.max_bytes || (s->max_bytes && s->max_bytes < s->conf.max_bytes))
		return s->max_bytes;
	return s->conf.max_bytes;
}

/* ---- life ---- */

int fa_scan_new(const struct fa_scan_conf *conf, struct fa_table *table,
	struct fa_counters *counters, const struct fa_scan_ops *ops, void *arg, uint64_t now_ms,
	struct fa_scan **ret)
{
	struct fa_scan *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	if (scan_waits_new(FA_SCAN_WRITES_MAX, &s->waits) < 0) {
		free(s);
		return -ENOMEM;
	}
	s->conf = *conf;
	s->table = table;
	s->count = counters;
	s->ops = ops;
	s->arg = arg;
	s->now_ms = s->lost_ms = now_ms;
	for (int i = 0; i < SCAN_LINES; i++)
		s->line[i].last = &s->line[i].first;
	s->others.last = &s->others.first;
	s->data.last = &s->data.first;
	*ret = s;
	return 0;
}

static void free_queue(struct fa_scan *s, struct scan_queue *q)
{
	while (q->first) {
		struct scan_file *f = q->first;

		if (f->later.fd >= 0)
			s->ops->release(s->arg, &f->later);
		f->later.fd = -1;
		for (struct scan_waiter *w = f->waiters; w; w = w->next)
			w->done = NULL;
		if (f->state == SCAN_ACTING) {
			scan_answer_all(s, f, SCAN_BLOCK, NULL);
			scan_end(s, f);
		} else {
			scan_fail(s, f, FA_R_WORKER_ENDED);
		}
	}
}

void fa_scan_free(struct fa_scan *s, uint64_t now_ms)
{
	if (!s)
		return;
	s->now_ms = now_ms;
	s->have_settings = false;
	free_queue(s, &s->line[SCAN_URGENT]);
	free_queue(s, &s->others);
	free_queue(s, &s->line[SCAN_BACKGROUND]);
	free_queue(s, &s->line[SCAN_WRITTEN]);
	scan_written_drop(s);
	scan_waits_free(s->waits);
	scan_actor_put(s->writer);
	free(s);
}

void fa_scan_conf(struct fa_scan *s, const struct fa_scan_conf *conf)
{
	s->conf = *conf;
}

void fa_scan_fine_times(struct fa_scan *s, bool fine)
{
	s->coarse_times = !fine;
}

void fa_scan_table(struct fa_scan *s, struct fa_table *table)
{
	s->table = table;
}

size_t fa_scan_files(const struct fa_scan *s)
{
	return s->files + scan_waits_n(s->waits);
}
