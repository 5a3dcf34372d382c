/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * scanwrites.c - files that a writer closed: nobody waits for them, so they wait for others
 *
 * Part of the worker's core, see scan.h, and pure. A written file starts when nothing was opened
 * or written for a few ms (the more wait, the longer the pause that is asked for), a few at a time;
 * when it has waited for write-scan-delay; or when too many wait. One in SCAN_TRICKLE_MS goes in
 * any case, so that a lone save on a busy file system does not wait for a pause. Whoever opens one
 * of them makes it urgent (scan.c), and until it is judged whoever opens it asks: waiting lets
 * nobody read anything unseen.
 */
#include "fileagent/scan_int.h"

#include <stdlib.h>
#include <string.h>

#define SCAN_BATCH 64	   /* written files that wait for each other at most, without a delay */
#define SCAN_QUIETLY 32	   /* under way in a quiet moment: what an opener may find before him */
#define SCAN_TRICKLE_MS 12 /* some 80 a second are no burden */
#define SCAN_TRICKLE 16	   /* of more that wait none is a lone save */
#define SCAN_PAUSE_MS 20   /* a large burst: its writer may just not have the processor */
#define SCAN_PAUSE_FILES 4 /* that wait: a ms more of a pause is asked for */

/* ---- when ---- */

void fa_scan_stir(struct fa_scan *s, uint64_t now_ms)
{
	s->stir_ms = now_ms;
}

static bool too_many(const struct fa_scan *s)
{
	return s->writes >= (s->conf.write_delay_ms ? FA_SCAN_WRITES_MAX : SCAN_BATCH);
}

static bool too_old(const struct fa_scan *s, uint64_t age)
{
	return age >= FA_SCAN_QUIET_MS && age >= s->conf.write_delay_ms;
}

/* nothing was opened or written for a while: the more wait, the longer */
static bool is_quiet(const struct fa_scan *s)
{
	uint64_t pause = FA_SCAN_QUIET_MS + s->writes / SCAN_PAUSE_FILES;

	if (pause > SCAN_PAUSE_MS)
		pause = SCAN_PAUSE_MS;
	return s->now_ms >= s->stir_ms + pause;
}

/* the first of the line may go now */
static bool may_go(struct fa_scan *s, const struct scan_file *f)
{
	uint64_t age = s->now_ms - f->since_ms;
	bool late = too_many(s) || too_old(s, age);
	bool quiet = s->asked < SCAN_QUIETLY && is_quiet(s);
	bool trickle = s->writes <= SCAN_TRICKLE && age >= FA_SCAN_QUIET_MS &&
		       s->now_ms >= s->trickle_ms + SCAN_TRICKLE_MS;

	if (!late && !quiet && !trickle)
		return false;
	s->trickle_ms = s->now_ms;
	if (age >= 2 * FA_SCAN_QUIET_MS)
		s->count->deferred++;
	if (late && s->conf.write_delay_ms)
		s->count->deferred_late++;
	return true;
}

struct scan_file *scan_written_next(struct fa_scan *s)
{
	struct scan_file *f;

	while ((f = s->line[SCAN_WRITTEN].first) && may_go(s, f)) {
		if (s->ops->watched(s->arg, f->own.fd))
			return f;
		scan_end(s, f);
	}
	return NULL;
}

bool fa_scan_written_go(struct fa_scan *s, uint64_t now_ms)
{
	s->now_ms = now_ms;
	scan_pump(s);
	return s->line[SCAN_WRITTEN].first != NULL;
}

bool fa_scan_takes_writes(const struct fa_scan *s)
{
	return s->writes < FA_SCAN_WRITES_MAX;
}

bool fa_scan_takes_many(const struct fa_scan *s)
{
	return s->writes <= FA_SCAN_WRITES_MAX - FA_SCAN_WRITES_MAX / 16;
}

/* ---- who wrote ---- */

struct scan_actor {
	struct fa_actor a; /* first */
	unsigned int refs;
};

struct fa_actor *scan_actor_new(const struct fa_actor *a)
{
	struct scan_actor *n = malloc(sizeof(*n));

	if (!n)
		return NULL;
	n->a = *a;
	n->refs = 1;
	return &n->a;
}

struct fa_actor *scan_actor_ref(struct fa_actor *a)
{
	if (a)
		((struct scan_actor *)(void *)a)->refs++;
	return a;
}

void scan_actor_put(struct fa_actor *a)
{
	struct scan_actor *n = (struct scan_actor *)(void *)a;

	if (n && --n->refs == 0)
		free(n);
}

static bool same_actor(const struct fa_actor *a, const struct fa_actor *b)
{
	return a->pid == b->pid && a->uid == b->uid && a->session == b->session &&
	       strcmp(a->user, b->user) == 0 && strcmp(a->comm, b->comm) == 0 &&
	       strcmp(a->exe, b->exe) == 0;
}

/* a reference of the caller's */
static struct fa_actor *writer_of(struct fa_scan *s, const struct fa_held *h)
{
	bool same = s->writer && s->writer->pid == h->pid && s->ops->same_actor(s->arg, h);

	if (!same)
		s->ops->actor(s->arg, h, &s->actor);
	if (!s->writer || (!same && !same_actor(s->writer, &s->actor))) {
		scan_actor_put(s->writer);
		s->writer = scan_actor_new(&s->actor);
	}
	return scan_actor_ref(s->writer);
}

/* ---- who comes ---- */

void scan_written(struct fa_scan *s, const struct fa_held *h, const struct fa_ident *id,
	uint32_t mode, struct fa_actor *actor)
{
	struct scan_file *f = NULL;

	if (scan_can_ask(s) && !scan_too_large(s, id->size))
		f = scan_file_new(s, h, id, mode);
	if (!f) {
		if (!scan_too_large(s, id->size) && s->ops->watched(s->arg, h->fd)) {
			s->ops->path(s->arg, h->fd, s->path, sizeof(s->path));
			s->ops->later(s->arg, s->path, id);
		}
		s->ops->release(s->arg, h);
		scan_actor_put(actor);
		return;
	}
	f->actor = actor;
	scan_queue_put(s, f);
}

void fa_scan_written(struct fa_scan *s, uint64_t now_ms, const struct fa_held *event,
	const struct fa_ident *id, uint32_t mode)
{
	struct scan_file *f = scan_by_ino(s, id);
	struct fa_held h = *event;
	struct fa_actor *actor;

	s->now_ms = s->stir_ms = now_ms;
	if (f && f->later.fd >= 0) { /* a writer that never stops costs one look at a time */
		s->ops->release(s->arg, &h);
		return;
	}
	actor = writer_of(s, &h);
	if (h.pidfd >= 0) { /* thousands may wait: one descriptor each */
		s->ops->close(s->arg, h.pidfd);
		h.pidfd = -1;
	}
	if (!f) {
		scan_written(s, &h, id, mode, actor);
		scan_pump(s);
		return;
	}
	if (f->state == SCAN_QUEUED) { /* what is read is what is there then */
		scan_actor_put(f->actor);
		f->actor = actor;
		f->ident = *id;
		s->ops->release(s->arg, &h);
	} else {
		f->later_actor = actor;
		f->later = h;
	}
}
