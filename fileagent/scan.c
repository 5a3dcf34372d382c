/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * scan.c - files under scan: who comes, who waits, what is asked next; see scan.h
 *
 * Runs in the worker. Verdicts are in scanverdict.c, what happens without one in scanfail.c,
 * content in scandata.c, what was written in scanwrites.c. Three queues: files with a held opener
 * go before those that somebody asked about, and these before those that nobody waits for.
 */
#include "fileagent/scan_int.h"

#include <stdlib.h>
#include <string.h>

/* ---- tables and queues ---- */

static size_t ino_bucket(const struct fa_ident *id)
{
	return (size_t)((id->ino * 0x9e3779b97f4a7c15ull ^ id->dev) >> 20) % SCAN_BUCKETS;
}

struct scan_file *scan_by_ino(const struct fa_scan *s, const struct fa_ident *id)
{
	struct scan_file *f = s->by_ino[ino_bucket(id)];

	while (f && (f->ident.ino != id->ino || f->ident.dev != id->dev ||
			    f->ident.btime_ns != id->btime_ns))
		f = f->ino_next;
	return f;
}

struct scan_file *scan_by_id(struct fa_scan *s, uint64_t id)
{
	struct scan_file *f = s->by_id[id % SCAN_BUCKETS];

	while (f && f->id != id)
		f = f->id_next;
	return id ? f : NULL;
}

static void id_remove(struct fa_scan *s, struct scan_file *f)
{
	struct scan_file **at = &s->by_id[f->id % SCAN_BUCKETS];

	if (f->id == 0)
		return;
	while (*at != f)
		at = &(*at)->id_next;
	*at = f->id_next;
	f->id = 0;
}

static void ino_remove(struct fa_scan *s, struct scan_file *f)
{
	struct scan_file **at = &s->by_ino[ino_bucket(&f->ident)];

	while (*at != f)
		at = &(*at)->ino_next;
	*at = f->ino_next;
}

static struct scan_queue *queue_of(struct fa_scan *s, const struct scan_file *f)
{
	if (f->state != SCAN_QUEUED)
		return &s->others;
	return &s->line[f->line];
}

static void queue_remove(struct fa_scan *s, struct scan_file *f)
{
	if (!f->pprev)
		return;
	*f->pprev = f->next;
	if (f->next)
		f->next->pprev = f->pprev;
	else
		queue_of(s, f)->last = f->pprev;
	f->pprev = NULL;
}

static void queue_append(struct scan_queue *q, struct scan_file *f)
{
	f->next = NULL;
	f->pprev = q->last;
	*q->last = f;
	q->last = &f->next;
}

static void queue_front(struct scan_queue *q, struct scan_file *f)
{
	f->next = q->first;
	f->pprev = &q->first;
	if (q->first)
		q->first->pprev = &f->next;
	else
		q->last = &f->next;
	q->first = f;
}

static enum scan_line line_of(const struct scan_file *f)
{
	if (scan_has_openers(f))
		return SCAN_URGENT;
	return f->op == IDFW__FILE_OP__FILE_OP_CLOSE_WRITE && !f->waiters ? SCAN_WRITTEN
									  : SCAN_BACKGROUND;
}

void scan_queue_put(struct fa_scan *s, struct scan_file *f)
{
	queue_remove(s, f);
	f->state = SCAN_QUEUED;
	f->line = line_of(f);
	queue_append(queue_of(s, f), f);
}

/* ---- files ---- */

struct scan_file *scan_file_new(
	struct fa_scan *s, const struct fa_held *h, const struct fa_ident *id, uint32_t mode)
{
	struct scan_file *f = s->files < FA_SCAN_FILES_MAX ? calloc(1, sizeof(*f)) : NULL;
	struct scan_file **bucket = &s->by_ino[ino_bucket(id)];

	if (!f)
		return NULL;
	f->own = *h;
	f->later.fd = -1;
	f->ident = *id;
	f->mode = mode;
	f->op = h->op;
	f->waiters_tail = &f->waiters;
	f->deadline_ms = SCAN_NO_DEADLINE;
	f->since_ms = s->now_ms;
	f->ino_next = *bucket;
	*bucket = f;
	s->files++;
	if (f->op == IDFW__FILE_OP__FILE_OP_CLOSE_WRITE)
		s->writes++;
	return f;
}

void scan_credit_back(struct fa_scan *s, struct scan_file *f)
{
	s->asked--;
	if (f->spare)
		s->asked_spare--;
	f->spare = false;
	if (f->probe)
		s->probes--;
	f->probe = false;
}

void scan_unask(struct fa_scan *s, struct scan_file *f)
{
	if (f->id && f->state != SCAN_ACTING) /* else its credit is back already */
		scan_credit_back(s, f);
	f->probe = false;
	f->reading = false;
	scan_data_drop(s, f);
	id_remove(s, f);
}

void scan_end(struct fa_scan *s, struct scan_file *f)
{
	struct fa_held later = f->later;
	struct scan_actor *actor = f->later_actor;
	struct fa_ident id;
	uint32_t mode;

	scan_unask(s, f);
	queue_remove(s, f);
	ino_remove(s, f);
	s->files--;
	if (f->op == IDFW__FILE_OP__FILE_OP_CLOSE_WRITE)
		s->writes--;
	s->ops->release(s->arg, &f->own);
	scan_actor_put(f->actor);
	if (f->verdict)
		idfw__file_verdict__free_unpacked(f->verdict, NULL);
	free(f->range);
	free(f);
	if (later.fd < 0) {
		scan_actor_put(actor);
		return;
	}
	if (s->ops->stat(s->arg, later.fd, &id, &mode) == 0) {
		scan_written(s, &later, &id, actor);
		return;
	}
	scan_actor_put(actor);
	s->ops->release(s->arg, &later);
}

void scan_again(struct fa_scan *s, struct scan_file *f)
{
	struct fa_ident id;
	uint32_t mode;

	scan_unask(s, f);
	f->rounds++;
	if (s->ops->stat(s->arg, f->own.fd, &id, &mode) < 0) {
		scan_fail(s, f, FA_R_UNREADABLE);
		return;
	}
	if (f->later_actor) { /* what is read now is what he left */
		scan_actor_put(f->actor);
		f->actor = scan_actor_ref(f->later_actor);
	}
	f->ident = id; /* device, inode and birth are the same: it is the same descriptor */
	f->mode = mode;
	queue_remove(s, f);
	f->state = SCAN_QUEUED;
	f->line = line_of(f);
	queue_front(queue_of(s, f), f);
}

const char *scan_path(struct fa_scan *s, const struct scan_file *f)
{
	s->ops->path(s->arg, f->own.fd, s->path, sizeof(s->path));
	return s->path;
}

int scan_send(struct fa_scan *s, int body_case, void *msg)
{
	Idfw__Envelope env = IDFW__ENVELOPE__INIT;

	env.body_case = (Idfw__Envelope__BodyCase)body_case;
	env.file_event = msg; /* all bodies are pointers in one union */
	return s->ops->send(s->arg, &env);
}

/* ---- waiters ---- */

static struct scan_waiter *waiter_add(struct scan_file *f, const struct fa_held *h)
{
	struct scan_waiter *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->held = *h;
	*f->waiters_tail = w;
	f->waiters_tail = &w->next;
	return w;
}

struct scan_waiter *scan_waiter_take(struct scan_file *f)
{
	struct scan_waiter *w = f->waiters;

	if (!w)
		return NULL;
	f->waiters = w->next;
	if (!f->waiters)
		f->waiters_tail = &f->waiters;
	return w;
}

/* the file goes on using the descriptor that it came with */
void scan_waiter_free(struct fa_scan *s, struct scan_file *f, struct scan_waiter *w)
{
	if (w->held.slot != FA_NO_SLOT && w->held.fd != f->own.fd)
		s->ops->release(s->arg, &w->held);
	free(w);
}

void scan_answer_all(struct fa_scan *s, struct scan_file *f, int err, const struct fa_outcome *o)
{
	struct scan_waiter *w;

	while ((w = scan_waiter_take(f))) {
		if (w->held.slot != FA_NO_SLOT) {
			s->ops->answer(
				s->arg, &w->held, err == SCAN_BLOCK ? w->held.block_errno : err);
			s->count->answered_verdict++;
		} else if (w->done) {
			w->done(w->arg, o);
		}
		scan_waiter_free(s, f, w);
	}
}

void scan_deny_openers(struct fa_scan *s, struct scan_file *f)
{
	struct scan_waiter *w, *others = NULL, **tail = &others;

	while ((w = scan_waiter_take(f))) {
		if (w->held.slot == FA_NO_SLOT) {
			w->next = NULL;
			*tail = w;
			tail = &w->next;
			continue;
		}
		f->opener_denied = true;
		s->ops->answer(s->arg, &w->held, w->held.block_errno);
		s->count->answered_verdict++;
		scan_waiter_free(s, f, w);
	}
	f->waiters = others;
	f->waiters_tail = others ? tail : &f->waiters;
}

bool scan_has_openers(const struct scan_file *f)
{
	for (const struct scan_waiter *w = f->waiters; w; w = w->next)
		if (w->held.slot != FA_NO_SLOT)
			return true;
	return false;
}

/* ---- asking ---- */

static void ask(struct fa_scan *s, struct scan_file *f, const void *head, size_t len)
{
	Idfw__FileEvent m = IDFW__FILE_EVENT__INIT;

	m.id = f->id;
	m.op = f->op;
	m.path.data = (uint8_t *)(uintptr_t)scan_path(s, f);
	m.path.len = strlen(s->path);
	m.size = f->ident.size;
	m.mtime_ns = f->ident.mtime_ns;
	m.ctime_ns = f->ident.ctime_ns;
	m.inode = f->ident.ino;
	m.device = f->ident.dev;
	m.mode = f->mode;
	m.head.data = (uint8_t *)(uintptr_t)head;
	m.head.len = len;
	m.deadline_ms = (uint32_t)(f->deadline_ms > s->now_ms ? f->deadline_ms - s->now_ms : 1);
	f->state = SCAN_ASKED;
	f->asked_ms = s->now_ms;
	fa_debug("%s: asked as %llu, op %d, %llu bytes", s->path, (unsigned long long)f->id,
		(int)f->op, (unsigned long long)f->ident.size);
	if (scan_send(s, IDFW__ENVELOPE__BODY_FILE_EVENT, &m) < 0)
		scan_fail(s, f, FA_R_SERVICE_DOWN);
}

/* one that has changed in the future does not: the next change has another time */
static bool is_fresh(const struct fa_scan *s, const struct fa_ident *id)
{
	uint64_t now, at = id->ctime_ns / 1000000;

	if (!s->coarse_times)
		return false;
	now = io_clock_real_ms();
	return now < at + SCAN_SETTLE_MS && at < now + SCAN_SETTLE_MS;
}

static void start(struct fa_scan *s, struct scan_file *f)
{
	size_t want = f->ident.size < s->head_bytes ? (size_t)f->ident.size : s->head_bytes;
	size_t got = 0;
	int err = 0;

	queue_remove(s, f);
	f->state = SCAN_HEAD;
	queue_append(&s->others, f);
	f->fresh = is_fresh(s, &f->ident);
	f->id = ++s->last_id;
	f->id_next = s->by_id[f->id % SCAN_BUCKETS];
	s->by_id[f->id % SCAN_BUCKETS] = f;
	s->asked++;
	if (f->probe)
		s->probes++;
	if (!scan_has_openers(f)) {
		f->spare = true;
		s->asked_spare++;
		f->deadline_ms = s->now_ms + s->conf.deadline_max_ms;
	}
	if (want > 0)
		err = s->ops->read_now(s->arg, f->own.fd, 0, s->head, want, &got);
	if (err == -EAGAIN) {
		err = s->ops->read_later(s->arg, f->id, f->own.fd, 0, want);
		f->reading = err == 0;
		if (err == 0)
			return;
	}
	if (err < 0)
		scan_fail(s, f, FA_R_UNREADABLE);
	else
		ask(s, f, s->head, got);
}

/* half of the credits, and of the places, are for those who are held: none of them is to wait
 * because of what nobody waits for */
static bool spare_credit(const struct fa_scan *s)
{
	return s->asked_spare < (s->credits > 1 ? s->credits / 2 : 1) &&
	       s->files < FA_SCAN_FILES_MAX / 2;
}

/* with the breaker open one file at a time is sent, that nobody waits for */
static struct scan_file *next_to_start(struct fa_scan *s)
{
	struct scan_file *f = s->line[SCAN_URGENT].first;

	if (s->breaker && (s->probes > 0 || s->now_ms < s->probe_ms))
		return NULL;
	if (!f && (s->breaker || spare_credit(s))) {
		f = s->line[SCAN_BACKGROUND].first;
		if (!f)
			f = scan_written_next(s);
	}
	if (!s->breaker || !f)
		return f;
	f->probe = true;
	s->probe_ms = s->now_ms + FA_SCAN_PROBE_MS;
	return f;
}

void scan_pump(struct fa_scan *s)
{
	struct scan_file *f;

	if (s->pumping) /* start() may come here again */
		return;
	s->pumping = true;
	while (s->have_settings && s->asked < s->credits && (f = next_to_start(s)))
		start(s, f);
	s->pumping = false;
}

void fa_scan_read_done(
	struct fa_scan *s, uint64_t now_ms, uint64_t id, int err, const void *buf, size_t len)
{
	struct scan_file *f = scan_by_id(s, id);

	s->now_ms = now_ms;
	if (!f || !f->reading)
		return;
	f->reading = false;
	if (f->state != SCAN_HEAD)
		scan_data_read_done(s, f, err, buf, len);
	else if (err < 0)
		scan_fail(s, f, FA_R_UNREADABLE);
	else
		ask(s, f, buf, len);
	scan_pump(s);
}

/* ---- who comes ---- */

bool scan_too_large(const struct fa_scan *s, uint64_t size)
{
	return (s->conf.max_bytes && size > s->conf.max_bytes) ||
	       (s->max_bytes && size > s->max_bytes);
}

/* true: he is not to wait, whatever comes; *ret says why */
static bool at_once(
	const struct fa_scan *s, const struct fa_held *h, uint64_t size, enum fa_reason *ret)
{
	*ret = FA_R_SERVICE_DOWN;
	if (s->breaker)
		return true;
	if (!s->have_settings && (!h->strict || s->now_ms >= s->lost_ms + s->conf.deadline_base_ms))
		return true;
	*ret = FA_R_TOO_LARGE;
	return scan_too_large(s, size);
}

static void open_at_once(struct fa_scan *s, const struct fa_held *h, const struct fa_ident *id,
	uint32_t mode, enum fa_reason r)
{
	struct scan_file *f = NULL;

	scan_pass(s, h, id, r);
	if (s->breaker && s->have_settings && s->probes == 0 && s->now_ms >= s->probe_ms &&
		!scan_too_large(s, id->size) && !scan_by_ino(s, id))
		f = scan_file_new(s, h, id, mode);
	if (f)
		scan_queue_put(s, f);
	else
		s->ops->release(s->arg, h);
	scan_pump(s);
}

static void deadline_set(struct fa_scan *s, struct scan_file *f)
{
	f->deadline_ms = s->now_ms + fa_scan_allowance_ms(s, f->ident.size);
	if (!s->have_settings && f->deadline_ms > s->lost_ms + s->conf.deadline_base_ms)
		f->deadline_ms = s->lost_ms + s->conf.deadline_base_ms;
}

/* false: no memory, or too many files */
static bool open_join(struct fa_scan *s, struct scan_file *f, const struct fa_held *h)
{
	bool first = !scan_has_openers(f);

	if (!waiter_add(f, h))
		return false;
	if (first)
		deadline_set(s, f);
	if (f->state == SCAN_QUEUED && !(f->line == SCAN_URGENT && f->pprev))
		scan_queue_put(s, f);
	return true;
}

/* it is judged, and about to go; only REPLACE has something for him who waits */
static bool open_doomed(struct fa_scan *s, const struct fa_held *h, const struct fa_ident *id)
{
	struct scan_file *f = scan_by_ino(s, id);

	if (!f || f->state != SCAN_ACTING || memcmp(&f->ident, id, sizeof(*id)) != 0 ||
		f->verdict->verdict == IDFW__FILE_VERDICT_KIND__FILE_VERDICT_REPLACE)
		return false;
	f->opener_denied = true;
	s->ops->answer(s->arg, h, h->block_errno);
	s->count->answered_shared++;
	s->ops->release(s->arg, h);
	return true;
}

void fa_scan_open(struct fa_scan *s, uint64_t now_ms, const struct fa_held *h,
	const struct fa_ident *id, uint32_t mode)
{
	struct scan_file *f;
	enum fa_reason r;

	s->now_ms = now_ms;
	if (open_doomed(s, h, id))
		return;
	if (at_once(s, h, id->size, &r)) {
		open_at_once(s, h, id, mode, r);
		return;
	}
	f = scan_by_ino(s, id);
	if (!f)
		f = scan_written_of(s, id, mode);
	if (f && open_join(s, f, h)) {
		s->count->answered_shared++;
		scan_pump(s); /* it may have waited for other written files */
	} else if (!f && (f = scan_file_new(s, h, id, mode)) && open_join(s, f, h)) {
		scan_pump(s);
	} else {
		scan_pass(s, h, id, FA_R_TABLE_FULL);
		if (!f || f->own.fd != h->fd)
			s->ops->release(s->arg, h);
		else
			scan_end(s, f);
	}
}

int fa_scan_submit(struct fa_scan *s, int fd, Idfw__FileOp op,
	void (*done)(void *arg, const struct fa_outcome *), void *arg)
{
	struct fa_held h = { .fd = fd, .slot = FA_NO_SLOT, .pidfd = -1, .op = op };
	struct scan_waiter *w = NULL;
	struct scan_file *f = NULL;
	struct fa_ident id;
	uint32_t mode;
	int err = s->ops->stat(s->arg, fd, &id, &mode);
	bool shared;

	s->now_ms = s->ops->now_ms(s->arg);
	if (err == 0 && !scan_can_ask(s) && !(s->breaker && s->have_settings))
		err = -ENOTCONN;
	if (err < 0)
		goto fail;
	f = scan_by_ino(s, &id);
	if (!f)
		f = scan_written_of(s, &id, mode);
	shared = f != NULL;
	if (!f)
		f = scan_file_new(s, &h, &id, mode);
	err = -GI_EFULL;
	if (!f)
		goto fail;
	w = waiter_add(f, &h);
	if (!w && !shared) {
		scan_end(s, f); /* closes it */
		return -ENOMEM;
	}
	if (!w)
		goto fail;
	w->done = done;
	w->arg = arg;
	if (shared)
		s->ops->release(s->arg, &h);
	if (!shared || (f->state == SCAN_QUEUED && f->line == SCAN_WRITTEN))
		scan_queue_put(s, f);
	return 0; /* the next tick or message starts it: @done is never called from in here */
fail:
	s->ops->release(s->arg, &h);
	return err;
}

void fa_scan_forget(struct fa_scan *s, const void *arg)
{
	for (size_t i = 0; i < SCAN_BUCKETS; i++)
		for (struct scan_file *f = s->by_ino[i]; f; f = f->ino_next)
			for (struct scan_waiter *w = f->waiters; w; w = w->next)
				if (w->arg == arg)
					w->done = NULL;
}
