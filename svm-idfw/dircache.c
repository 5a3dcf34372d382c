/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dircache.c - SID -> group, in the directory child
 *
 * A uthash by binary SID, under one lock. The directory's administrators choose the SIDs, not the
 * guests, and the table has a ceiling: reaching it empties it, which costs one more search an
 * unknown group.
 */
#include "svm-idfw/dircache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct cache_entry {
	struct dir_group g;
	UT_hash_handle hh;
};

struct dir_cache {
	pthread_mutex_t lock; /* of all of it */
	struct cache_entry *by_sid;
	uint64_t epoch; /* moves with each drop and clear */
	size_t max;
};

static void cache_drop(struct dir_cache *c, const void *sid, size_t len);
static void cache_clear(struct dir_cache *c);
static void cache_entry_free(struct cache_entry *e);

int dir_cache_new(size_t max, struct dir_cache **ret)
{
	struct dir_cache *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	if (pthread_mutex_init(&c->lock, NULL) != 0) {
		free(c);
		return -ENOMEM;
	}
	c->max = max;
	*ret = c;
	return 0;
}

void dir_cache_free(struct dir_cache *c)
{
	if (!c)
		return;
	cache_clear(c);
	(void)pthread_mutex_destroy(&c->lock);
	free(c);
}

uint64_t dir_cache_hold(struct dir_cache *c)
{
	(void)pthread_mutex_lock(&c->lock);
	return c->epoch;
}

void dir_cache_release(struct dir_cache *c)
{
	(void)pthread_mutex_unlock(&c->lock);
}

int dir_cache_put(struct dir_cache *c, const struct dir_group *g, uint64_t epoch)
{
	struct cache_entry *e;

	if (g->sid_len == 0 || g->sid_len > SID_BYTES_MAX)
		return -EINVAL;
	e = calloc(1, sizeof(*e));
	if (!e)
		return -ENOMEM;
	e->g = *g;
	e->g.name = strdup(g->name ? g->name : "");
	e->g.dn = strdup(g->dn ? g->dn : "");
	if (!e->g.name || !e->g.dn) {
		cache_entry_free(e);
		return -ENOMEM;
	}
	(void)pthread_mutex_lock(&c->lock);
	if (c->epoch == epoch) {
		cache_drop(c, g->sid, g->sid_len);
		if (HASH_COUNT(c->by_sid) >= c->max)
			cache_clear(c);
		HASH_ADD_KEYPTR(hh, c->by_sid, e->g.sid, e->g.sid_len, e);
		e = NULL;
	}
	(void)pthread_mutex_unlock(&c->lock);
	if (e)
		cache_entry_free(e);
	return 0;
}

const struct dir_group *dir_cache_get(const struct dir_cache *c, const void *sid, size_t len)
{
	struct cache_entry *e = NULL;

	HASH_FIND(hh, c->by_sid, sid, len, e);
	return e ? &e->g : NULL;
}

void dir_cache_drop(struct dir_cache *c, const void *sid, size_t len)
{
	(void)pthread_mutex_lock(&c->lock);
	c->epoch++;
	cache_drop(c, sid, len);
	(void)pthread_mutex_unlock(&c->lock);
}

static void cache_drop(struct dir_cache *c, const void *sid, size_t len)
{
	struct cache_entry *e = NULL;

	HASH_FIND(hh, c->by_sid, sid, len, e);
	if (!e)
		return;
	HASH_DELETE(hh, c->by_sid, e);
	cache_entry_free(e);
}

void dir_cache_clear(struct dir_cache *c)
{
	(void)pthread_mutex_lock(&c->lock);
	c->epoch++;
	cache_clear(c);
	(void)pthread_mutex_unlock(&c->lock);
}

static void cache_clear(struct dir_cache *c)
{
	struct cache_entry *e, *next;

	HASH_ITER (hh, c->by_sid, e, next) {
		HASH_DELETE(hh, c->by_sid, e);
		cache_entry_free(e);
	}
}

size_t dir_cache_count(const struct dir_cache *c)
{
	return HASH_COUNT(c->by_sid);
}

static void cache_entry_free(struct cache_entry *e)
{
	free(e->g.name);
	free(e->g.dn);
	free(e);
}
