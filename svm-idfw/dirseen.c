/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirseen.c - accounts that lookups have found: whose end must be noticed
 *
 * Runs in the directory child: its lookup threads add, its main thread asks. One lock around a
 * table that is in order of asking: who was asked for in this round stands at the end. Beside it a
 * list in order of lookups, the latest first. Invariant: an answer that was being found when
 * something was told of which nobody knows whom it concerns is told, too.
 */
#include "svm-idfw/dirseen.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

struct seen {
	uint8_t id[16];
	uint64_t round;
	uint64_t ended_ms;
	bool late;		  /* to be told of */
	struct seen *prev, *next; /* by the time of the last lookup */
	UT_hash_handle hh;
};

struct dir_seen {
	pthread_mutex_t lock;
	struct seen *all; /* owned */
	struct seen *latest;
	size_t max, n_late;
	uint64_t told_ms; /* lookups that were running then are late */
};

int dir_seen_new(size_t max, struct dir_seen **ret)
{
	struct dir_seen *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	if (pthread_mutex_init(&s->lock, NULL) != 0) {
		free(s);
		return -ENOMEM;
	}
	s->max = max;
	*ret = s;
	return 0;
}

static void seen_drop(struct dir_seen *s, struct seen *e)
{
	HASH_DEL(s->all, e);
	DL_DELETE(s->latest, e);
	s->n_late -= e->late;
	free(e);
}

void dir_seen_free(struct dir_seen *s)
{
	struct seen *e, *next;

	if (!s)
		return;
	HASH_ITER (hh, s->all, e, next)
		seen_drop(s, e);
	(void)pthread_mutex_destroy(&s->lock);
	free(s);
}

static struct seen *seen_find(struct dir_seen *s, const uint8_t id[16])
{
	struct seen *e;

	HASH_FIND(hh, s->all, id, 16, e);
	return e;
}

static struct seen *seen_new(struct dir_seen *s, const uint8_t id[16])
{
	struct seen *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	if (HASH_COUNT(s->all) >= s->max)
		seen_drop(s, s->all);
	memcpy(e->id, id, sizeof(e->id));
	HASH_ADD(hh, s->all, id, sizeof(e->id), e);
	return e;
}

void dir_seen_add(struct dir_seen *s, const uint8_t id[16], uint64_t began_ms, uint64_t now_ms)
{
	struct seen *e;

	if (!s)
		return;
	(void)pthread_mutex_lock(&s->lock);
	e = seen_find(s, id);
	if (e)
		DL_DELETE(s->latest, e);
	else
		e = seen_new(s, id);
	if (e) {
		DL_PREPEND(s->latest, e);
		e->ended_ms = now_ms;
		if (!e->late && began_ms <= s->told_ms) {
			e->late = true;
			s->n_late++;
		}
	}
	(void)pthread_mutex_unlock(&s->lock);
}

void dir_seen_since(struct dir_seen *s, uint64_t since_ms, uint64_t now_ms, struct dir_changes *ret)
{
	struct seen *e;

	(void)pthread_mutex_lock(&s->lock);
	for (e = s->latest; e && e->ended_ms >= since_ms; e = e->next)
		dir_changes_account(ret, e->id);
	s->told_ms = now_ms;
	(void)pthread_mutex_unlock(&s->lock);
}

void dir_seen_gone(struct dir_seen *s, uint64_t now_ms)
{
	(void)pthread_mutex_lock(&s->lock);
	s->told_ms = now_ms;
	(void)pthread_mutex_unlock(&s->lock);
}

void dir_seen_late(struct dir_seen *s, struct dir_changes *ret)
{
	struct seen *e;

	(void)pthread_mutex_lock(&s->lock);
	for (e = s->latest; e && s->n_late; e = e->next) {
		if (!e->late)
			continue;
		e->late = false;
		s->n_late--;
		dir_changes_account(ret, e->id);
	}
	(void)pthread_mutex_unlock(&s->lock);
}

bool dir_seen_has(struct dir_seen *s, const uint8_t id[16])
{
	bool has;

	(void)pthread_mutex_lock(&s->lock);
	has = seen_find(s, id) != NULL;
	(void)pthread_mutex_unlock(&s->lock);
	return has;
}

void dir_seen_drop(struct dir_seen *s, const uint8_t id[16])
{
	struct seen *e;

	(void)pthread_mutex_lock(&s->lock);
	e = seen_find(s, id);
	if (e)
		seen_drop(s, e);
	(void)pthread_mutex_unlock(&s->lock);
}

size_t dir_seen_next(struct dir_seen *s, uint64_t round, uint8_t (*ret)[16], size_t max)
{
	struct seen *e;
	size_t n = 0;

	(void)pthread_mutex_lock(&s->lock);
	/* new ones come behind those of this round: they were found after it began */
	while (n < max && (e = s->all) != NULL && e->round != round) {
		memcpy(ret[n++], e->id, sizeof(e->id));
		HASH_DEL(s->all, e);
		e->round = round;
		HASH_ADD(hh, s->all, id, sizeof(e->id), e);
	}
	(void)pthread_mutex_unlock(&s->lock);
	return n;
}

size_t dir_seen_count(struct dir_seen *s)
{
	size_t n;

	(void)pthread_mutex_lock(&s->lock);
	n = HASH_COUNT(s->all);
	(void)pthread_mutex_unlock(&s->lock);
	return n;
}
