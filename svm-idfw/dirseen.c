/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirseen.c - accounts that lookups have found: whose end must be noticed
 *
 * Runs in the directory child: its lookup threads add, its main thread asks. One lock around a
 * table that is in order of asking: who was asked for in this round stands at the end.
 */
#include "svm-idfw/dirseen.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct seen {
	uint8_t id[16];
	uint64_t round;
	UT_hash_handle hh;
};

struct dir_seen {
	pthread_mutex_t lock;
	struct seen *all; /* owned */
	size_t max;
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

void dir_seen_add(struct dir_seen *s, const uint8_t id[16])
{
	struct seen *e;

	if (!s)
		return;
	(void)pthread_mutex_lock(&s->lock);
	if (!seen_find(s, id)) {
		if (HASH_COUNT(s->all) >= s->max)
			seen_drop(s, s->all);
		e = calloc(1, sizeof(*e));
		if (e) {
			memcpy(e->id, id, sizeof(e->id));
			HASH_ADD(hh, s->all, id, sizeof(e->id), e);
		}
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
