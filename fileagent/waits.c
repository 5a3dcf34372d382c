/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * waits.c - written files that wait to be looked at, see waits.h
 *
 * One array; its places are linked by numbers: a ring by age through place 0, which is nobody's,
 * chains of a hash by inode, and the free ones by `next`. Places that were never used are not on
 * the free list, so that memory is touched only as far as it was needed.
 */
#include "fileagent/waits.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/sysmacros.h>

#define WAITS_BUCKETS 4096 /* power of two */
#define NONE 0		   /* place 0: head of the ring, end of chains */

_Static_assert(sizeof(struct scan_wait) <= 32, "8,192 in 256 KiB");

struct scan_waits {
	size_t n, max;
	size_t used;   /* places that were ever used, 0 among them */
	uint16_t free; /* the first of those that are free again */
	uint16_t bucket[WAITS_BUCKETS];
	struct scan_wait e[]; /* max + 1 */
};

int scan_waits_new(size_t max, struct scan_waits **ret)
{
	struct scan_waits *w;

	if (max >= UINT16_MAX)
		return -EINVAL;
	w = calloc(1, sizeof(*w) + (max + 1) * sizeof(w->e[0]));
	if (!w)
		return -ENOMEM;
	w->max = max;
	w->used = 1;
	*ret = w;
	return 0;
}

void scan_waits_free(struct scan_waits *w)
{
	free(w);
}

size_t scan_waits_n(const struct scan_waits *w)
{
	return w->n;
}

struct scan_wait *scan_waits_first(struct scan_waits *w)
{
	return w->n ? &w->e[w->e[NONE].next] : NULL;
}

struct scan_wait *scan_waits_last(struct scan_waits *w)
{
	return w->n ? &w->e[w->e[NONE].prev] : NULL;
}

static uint32_t dev_low(uint64_t dev)
{
	return major(dev) << 20 | minor(dev);
}

static uint16_t *bucket_of(struct scan_waits *w, uint32_t dev, uint64_t ino)
{
	return &w->bucket[((ino ^ dev) * 0x9e3779b97f4a7c15ull) >> 32 & (WAITS_BUCKETS - 1)];
}

struct scan_wait *scan_waits_find(struct scan_waits *w, uint64_t dev, uint64_t ino)
{
	uint32_t low = dev_low(dev);
	uint16_t at = *bucket_of(w, low, ino);

	while (at != NONE && (w->e[at].ino != ino || w->e[at].dev != low))
		at = w->e[at].chain;
	return at != NONE ? &w->e[at] : NULL;
}

static uint16_t place_take(struct scan_waits *w)
{
	uint16_t at = w->free;

	if (at != NONE)
		w->free = w->e[at].next;
	else
		at = (uint16_t)w->used++;
	return at;
}

struct scan_wait *scan_waits_add(
	struct scan_waits *w, uint64_t dev, uint64_t ino, int fd, uint64_t now_ms)
{
	uint32_t low = dev_low(dev);
	uint16_t at, *bucket = bucket_of(w, low, ino);
	struct scan_wait *e;

	if (w->n >= w->max || fd < 0 || fd > SCAN_WAITS_FD_MAX)
		return NULL;
	at = place_take(w);
	e = &w->e[at];
	*e = (struct scan_wait){ .ino = ino,
		.dev = low,
		.since_ms = (uint32_t)now_ms,
		.fd = (uint16_t)fd,
		.chain = *bucket,
		.next = NONE,
		.prev = w->e[NONE].prev };
	*bucket = at;
	w->e[e->prev].next = at;
	w->e[NONE].prev = at;
	w->n++;
	return e;
}

void scan_waits_remove(struct scan_waits *w, struct scan_wait *e)
{
	uint16_t at = (uint16_t)(e - w->e), *link = bucket_of(w, e->dev, e->ino);

	while (*link != at)
		link = &w->e[*link].chain;
	*link = e->chain;
	w->e[e->prev].next = e->next;
	w->e[e->next].prev = e->prev;
	e->next = w->free;
	w->free = at;
	w->n--;
}
