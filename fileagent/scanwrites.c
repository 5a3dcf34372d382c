/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * scanwrites.c - files that a writer closed: nobody waits for them, so they wait for others
 *
 * Part of the worker's core, see scan.h, and pure. They wait in waits.h, 32 bytes each, and become
 * a struct scan_file when they go, or when somebody asks for one of them. A written file starts
 * when nothing was opened or written for a few ms (the more wait, the longer the pause that is
 * asked for), a few at a time; when it has waited for write-scan-delay; or when too many wait. One
 * in SCAN_TRICKLE_MS goes in any case, so that a lone save on a busy file system does not wait for
 * a pause. Whoever opens one of them makes it urgent (scan.c), and until it is judged whoever opens
 * it asks: waiting lets nobody read anything unseen.
 */
#include "fileagent/scan_int.h"

#include <stdio.h>
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

static size_t writes(const struct fa_scan *s)
{
	return s->writes + scan_waits_n(s->waits);
}

static bool too_many(const struct fa_scan *s)
{
	return writes(s) >= (s->conf.write_delay_ms ? FA_SCAN_WRITES_MAX : SCAN_BATCH);
}

static bool too_old(const struct fa_scan *s, uint64_t age)
{
	return age >= FA_SCAN_QUIET_MS && age >= s->conf.write_delay_ms;
}

/* nothing was opened or written for a while: the more wait, the longer */
static bool is_quiet(const struct fa_scan *s)
{
	uint64_t pause = FA_SCAN_QUIET_MS + writes(s) / SCAN_PAUSE_FILES;

	if (pause > SCAN_PAUSE_MS)
		pause = SCAN_PAUSE_MS;
	return s->now_ms >= s->stir_ms + pause;
}

/* the first one, which has waited for @age, may go now */
static bool may_go(struct fa_scan *s, uint64_t age)
{
	bool late = too_many(s) || too_old(s, age);
	bool quiet = s->asked < SCAN_QUIETLY && is_quiet(s);
	bool trickle = writes(s) <= SCAN_TRICKLE && age >= FA_SCAN_QUIET_MS &&
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

/* those that changed while they were looked at: a few, and they have waited once */
static struct scan_file *next_again(struct fa_scan *s)
{
	struct scan_file *f;
	struct fa_ident id;
	uint32_t mode;

	while ((f = s->line[SCAN_WRITTEN].first) && may_go(s, s->now_ms - f->since_ms)) {
		if (s->ops->watched(s->arg, f->own.fd, &id, &mode))
			return f;
		scan_end(s, f);
	}
	return NULL;
}

static uint64_t age_of(const struct fa_scan *s, const struct scan_wait *e)
{
	return (uint32_t)((uint32_t)s->now_ms - e->since_ms);
}

/* out of the line: @fd and @actor are the caller's */
static void take_out(struct fa_scan *s, struct scan_wait *e, int *fd, struct scan_actor **actor)
{
	*fd = e->fd;
	*actor = e->actor;
	scan_waits_remove(s->waits, e);
}

static struct fa_held held_of(int fd)
{
	return (struct fa_held){
		.fd = fd, .slot = FA_NO_SLOT, .pidfd = -1, .op = IDFW__FILE_OP__FILE_OP_CLOSE_WRITE
	};
}

static void look_later(struct fa_scan *s, int fd, const struct fa_ident *id)
{
	s->ops->path(s->arg, fd, s->path, sizeof(s->path));
	s->ops->later(s->arg, s->path, id);
}

/* NULL: it lies elsewhere by now, is nothing to look at, or is looked at later */
static struct scan_file *file_of(struct fa_scan *s, struct scan_wait *e)
{
	uint64_t since_ms = s->now_ms - age_of(s, e);
	struct scan_actor *actor;
	struct scan_file *f = NULL;
	struct fa_held h;
	struct fa_ident id;
	uint32_t mode;
	int fd;

	take_out(s, e, &fd, &actor);
	h = held_of(fd);
	if (s->ops->watched(s->arg, fd, &id, &mode) && id.size > 0) {
		bool large = scan_too_large(s, id.size);

		f = large ? NULL : scan_file_new(s, &h, &id, mode);
		if (large)
			s->count->written_unscanned++;
		else if (!f)
			look_later(s, fd, &id);
	}
	if (!f) {
		s->ops->release(s->arg, &h);
		scan_actor_put(actor);
		return NULL;
	}
	f->line = SCAN_WRITTEN;
	f->since_ms = since_ms;
	f->actor = actor;
	return f;
}

struct scan_file *scan_written_next(struct fa_scan *s)
{
	struct scan_file *f = next_again(s);
	struct scan_wait *e;

	while (!f && (e = scan_waits_first(s->waits)) && may_go(s, age_of(s, e)))
		f = file_of(s, e);
	return f;
}

struct scan_file *scan_written_of(struct fa_scan *s, const struct fa_ident *id, uint32_t mode)
{
	struct scan_wait *e = scan_waits_find(s->waits, id->dev, id->ino);
	struct scan_file *f = NULL;
	struct fa_held h;

	if (e) {
		h = held_of(e->fd);
		f = scan_file_new(s, &h, id, mode);
	}
	if (!f)
		return NULL;
	f->actor = e->actor;
	scan_waits_remove(s->waits, e);
	scan_queue_put(s, f);
	return f;
}

bool fa_scan_written_go(struct fa_scan *s, uint64_t now_ms)
{
	s->now_ms = now_ms;
	scan_pump(s);
	return s->line[SCAN_WRITTEN].first != NULL || scan_waits_n(s->waits) > 0;
}

bool fa_scan_takes_writes(const struct fa_scan *s)
{
	return writes(s) < FA_SCAN_WRITES_MAX;
}

bool fa_scan_takes_many(const struct fa_scan *s)
{
	return writes(s) <= FA_SCAN_WRITES_MAX - FA_SCAN_WRITES_MAX / 16;
}

/* ---- when nobody can be asked ---- */

void scan_written_give_up(struct fa_scan *s, size_t keep)
{
	while (scan_waits_n(s->waits) > keep) {
		struct scan_actor *actor;
		struct fa_ident id;
		struct fa_held h;
		uint32_t mode;
		int fd;

		take_out(s, scan_waits_last(s->waits), &fd, &actor);
		h = held_of(fd);
		if (s->ops->watched(s->arg, fd, &id, &mode))
			look_later(s, fd, &id);
		s->ops->release(s->arg, &h);
		scan_actor_put(actor);
	}
}

void scan_written_drop(struct fa_scan *s)
{
	struct scan_wait *e;

	while ((e = scan_waits_first(s->waits))) {
		struct fa_held h = held_of(e->fd);

		scan_actor_put(e->actor);
		scan_waits_remove(s->waits, e);
		s->ops->release(s->arg, &h);
	}
}

/* ---- who wrote ---- */

struct scan_actor { /* a struct fa_actor has 4 KiB of room for names */
	unsigned int refs;
	uint32_t pid, uid;
	uint64_t session;
	char names[]; /* user, comm, exe: each ends with a NUL */
};

struct scan_actor *scan_actor_new(const struct fa_actor *a)
{
	size_t user = strlen(a->user) + 1, comm = strlen(a->comm) + 1, exe = strlen(a->exe) + 1;
	struct scan_actor *n = malloc(sizeof(*n) + user + comm + exe);

	if (!n)
		return NULL;
	n->refs = 1;
	n->pid = a->pid;
	n->uid = a->uid;
	n->session = a->session;
	memcpy(n->names, a->user, user);
	memcpy(n->names + user, a->comm, comm);
	memcpy(n->names + user + comm, a->exe, exe);
	return n;
}

struct scan_actor *scan_actor_ref(struct scan_actor *a)
{
	if (a)
		a->refs++;
	return a;
}

void scan_actor_put(struct scan_actor *a)
{
	if (a && --a->refs == 0)
		free(a);
}

static const char *next_name(const char *name)
{
	return name + strlen(name) + 1;
}

const struct fa_actor *scan_actor_get(struct fa_scan *s, const struct scan_actor *a)
{
	const char *user = a->names, *comm = next_name(user), *exe = next_name(comm);
	struct fa_actor *to = &s->actor;

	to->pid = a->pid;
	to->uid = a->uid;
	to->session = a->session;
	(void)snprintf(to->user, sizeof(to->user), "%s", user);
	(void)snprintf(to->comm, sizeof(to->comm), "%s", comm);
	(void)snprintf(to->exe, sizeof(to->exe), "%s", exe);
	return to;
}

static bool same_actor(const struct scan_actor *n, const struct fa_actor *a)
{
	const char *user = n->names, *comm = next_name(user);

	return a->pid == n->pid && a->uid == n->uid && a->session == n->session &&
	       strcmp(a->user, user) == 0 && strcmp(a->comm, comm) == 0 &&
	       strcmp(a->exe, next_name(comm)) == 0;
}

/* a reference of the caller's */
static struct scan_actor *writer_of(struct fa_scan *s, const struct fa_held *h)
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

/* it waits already: what is read is what is there then */
static bool waits_anew(
	struct fa_scan *s, const struct fa_held *h, const struct fa_ident *id, struct scan_actor *a)
{
	struct scan_wait *e = scan_waits_find(s->waits, id->dev, id->ino);

	if (!e)
		return false;
	scan_actor_put(e->actor);
	e->actor = a;
	s->ops->release(s->arg, h);
	return true;
}

void scan_written(struct fa_scan *s, const struct fa_held *h, const struct fa_ident *id,
	struct scan_actor *actor)
{
	bool large = scan_too_large(s, id->size);
	struct scan_wait *e = NULL;
	struct fa_ident now;
	uint32_t mode;

	if (waits_anew(s, h, id, actor))
		return;
	if (scan_can_ask(s) && !large && s->writes < FA_SCAN_WRITES_MAX)
		e = scan_waits_add(s->waits, id->dev, id->ino, h->fd, s->now_ms);
	if (e) {
		e->actor = actor;
		return;
	}
	if (s->ops->watched(s->arg, h->fd, &now, &mode)) {
		if (large)
			s->count->written_unscanned++;
		else
			look_later(s, h->fd, &now);
	}
	s->ops->release(s->arg, h);
	scan_actor_put(actor);
}

void fa_scan_written(
	struct fa_scan *s, uint64_t now_ms, const struct fa_held *event, const struct fa_ident *id)
{
	struct scan_file *f = scan_by_ino(s, id);
	struct fa_held h = *event;
	struct scan_actor *actor;

	s->now_ms = s->stir_ms = now_ms;
	actor = writer_of(s, &h);
	if (f && f->later.fd >= 0) { /* a writer that never stops costs one look at a time */
		scan_actor_put(f->later_actor);
		f->later_actor = actor; /* the last one's, as in waits_anew() */
		s->ops->release(s->arg, &h);
		return;
	}
	if (h.pidfd >= 0) { /* thousands may wait: one descriptor each */
		s->ops->close(s->arg, h.pidfd);
		h.pidfd = -1;
	}
	if (!f) {
		scan_written(s, &h, id, actor);
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
