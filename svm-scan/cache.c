/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cache.c - findings by content, for all VMs; see scan.h
 *
 * Between the hash list and the scan: asked in libepsec's thread, filled by the threads that scan.
 * One lock. Invariants: the list is in order of use, its head the youngest; every entry was made
 * with .epoch; never FAILED.
 */
#define HASH_NONFATAL_OOM 1 /* a finding that is not kept costs a scan, nothing else */
#include "svm-scan/scan.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

struct cache_found { /* only for what was found: most entries are clean */
	char engine[EPS_NAME_MAX + 1];
	char signature[EPS_SIGNATURE_MAX + 1];
};

struct cache_entry {
	uint8_t sha256[32];	   /* key */
	struct cache_found *found; /* owned; NULL: clean */
	struct cache_entry *prev, *next;
	UT_hash_handle hh;
};

struct scan_cache {
	pthread_mutex_t lock;
	struct cache_entry *by_sha, *by_use;
	size_t n, max;
	uint8_t epoch[EPS_EPOCH_MAX];
	size_t epoch_len;
	uint64_t hits, misses;
};

int scan_cache_new(size_t max_entries, struct scan_cache **ret)
{
	struct scan_cache *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	if (pthread_mutex_init(&c->lock, NULL) != 0) {
		free(c);
		return -ENOMEM;
	}
	c->max = max_entries;
	*ret = c;
	return 0;
}

static void entry_free(struct cache_entry *e)
{
	free(e->found);
	free(e);
}

static void cache_drop(struct scan_cache *c, struct cache_entry *e)
{
	HASH_DEL(c->by_sha, e);
	DL_DELETE(c->by_use, e);
	c->n--;
	entry_free(e);
}

static void cache_empty(struct scan_cache *c)
{
	struct cache_entry *e, *next;

	HASH_CLEAR(hh, c->by_sha);
	DL_FOREACH_SAFE (c->by_use, e, next)
		entry_free(e);
	c->by_use = NULL;
	c->n = 0;
}

void scan_cache_free(struct scan_cache *c)
{
	if (!c)
		return;
	cache_empty(c);
	(void)pthread_mutex_destroy(&c->lock);
	free(c);
}

static bool same_epoch(const struct scan_cache *c, const uint8_t *epoch, size_t len)
{
	return c->epoch_len == len && memcmp(c->epoch, epoch, len) == 0;
}

void scan_cache_epoch(struct scan_cache *c, const uint8_t *epoch, size_t len)
{
	if (len > sizeof(c->epoch))
		len = sizeof(c->epoch);
	(void)pthread_mutex_lock(&c->lock);
	if (!same_epoch(c, epoch, len)) {
		cache_empty(c);
		memcpy(c->epoch, epoch, len);
		c->epoch_len = len;
	}
	(void)pthread_mutex_unlock(&c->lock);
}

bool scan_cache_find(struct scan_cache *c, const uint8_t sha256[32], struct scan_finding *ret)
{
	struct cache_entry *e;

	(void)pthread_mutex_lock(&c->lock);
	HASH_FIND(hh, c->by_sha, sha256, 32, e);
	if (e) {
		DL_DELETE(c->by_use, e);
		DL_PREPEND(c->by_use, e);
		c->hits++;
		*ret = (struct scan_finding){ .outcome = e->found ? SCAN_FOUND : SCAN_CLEAN,
			.has_sha256 = true };
		memcpy(ret->sha256, sha256, 32);
		if (e->found) {
			memcpy(ret->engine, e->found->engine, sizeof(ret->engine));
			memcpy(ret->signature, e->found->signature, sizeof(ret->signature));
		}
	} else {
		c->misses++;
	}
	(void)pthread_mutex_unlock(&c->lock);
	return e != NULL;
}

static struct cache_entry *entry_new(const struct scan_finding *f)
{
	struct cache_entry *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	memcpy(e->sha256, f->sha256, sizeof(e->sha256));
	if (f->outcome != SCAN_FOUND)
		return e;
	e->found = calloc(1, sizeof(*e->found));
	if (!e->found) {
		free(e);
		return NULL;
	}
	memcpy(e->found->engine, f->engine, sizeof(f->engine));
	memcpy(e->found->signature, f->signature, sizeof(f->signature));
	return e;
}

/* takes @e */
static void cache_put(struct scan_cache *c, struct cache_entry *e)
{
	struct cache_entry *old;

	HASH_FIND(hh, c->by_sha, e->sha256, 32, old);
	if (old)
		cache_drop(c, old);
	while (c->n >= c->max)
		cache_drop(c, c->by_use->prev); /* of the head: the oldest */
	HASH_ADD(hh, c->by_sha, sha256, 32, e);
	if (!e->hh.tbl) { /* no memory */
		entry_free(e);
		return;
	}
	DL_PREPEND(c->by_use, e);
	c->n++;
}

void scan_cache_add(
	struct scan_cache *c, const struct scan_finding *f, const uint8_t *epoch, size_t epoch_len)
{
	struct cache_entry *e;

	if (!f->has_sha256 || c->max == 0 || (f->outcome != SCAN_CLEAN && f->outcome != SCAN_FOUND))
		return;
	e = entry_new(f);
	if (!e)
		return;
	(void)pthread_mutex_lock(&c->lock);
	if (same_epoch(c, epoch, epoch_len)) {
		cache_put(c, e);
		e = NULL;
	}
	(void)pthread_mutex_unlock(&c->lock);
	if (e)
		entry_free(e);
}

void scan_cache_stats(
	struct scan_cache *c, uint64_t *ret_hits, uint64_t *ret_misses, size_t *ret_entries)
{
	(void)pthread_mutex_lock(&c->lock);
	*ret_hits = c->hits;
	*ret_misses = c->misses;
	*ret_entries = c->n;
	(void)pthread_mutex_unlock(&c->lock);
}
