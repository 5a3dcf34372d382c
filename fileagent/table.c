/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * table.c - verdicts that are remembered, see table.h
 *
 * Runs in the worker, on the path of each held open: one hash, at most eight comparisons, no
 * allocation after the start. calloc(3) gives zero pages that cost memory only once they are used.
 */
#include "fileagent/table.h"

#include <stdlib.h>
#include <string.h>

#define WAYS 8

struct entry {
	uint64_t dev, ino, btime_ns, size, mtime_ns, ctime_ns;
	uint32_t gen; /* 0 never used; of an older generation: free */
	uint8_t what; /* enum fa_known */
	uint8_t used; /* since the clock's hand came by */
	uint8_t marked;
	uint8_t pad;
};

_Static_assert(sizeof(struct entry) <= 64, "a cache entry is at most a line");

struct fa_table {
	struct entry *e;
	size_t sets;
	size_t live;
	uint64_t seed;
	uint32_t gen;
	uint8_t hand;
	bool marks_unknown; /* an entry with a mark was given up */
};

int fa_table_new(size_t max_entries, uint64_t seed, struct fa_table **ret)
{
	struct fa_table *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->sets = (max_entries + WAYS - 1) / WAYS;
	t->sets = t->sets ? t->sets : 1;
	t->seed = seed;
	t->gen = 1;
	t->e = calloc(t->sets, WAYS * sizeof(*t->e));
	if (!t->e) {
		free(t);
		return -ENOMEM;
	}
	*ret = t;
	return 0;
}

void fa_table_free(struct fa_table *t)
{
	if (!t)
		return;
	free(t->e);
	free(t);
}

static uint64_t mix(uint64_t x)
{
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93ull;
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93ull;
	return x ^ x >> 32;
}

/* the set's first entry: multiplication instead of a remainder */
static struct entry *set_of(const struct fa_table *t, uint64_t dev, uint64_t ino)
{
	uint64_t h = mix(mix(ino ^ t->seed) + dev + (t->seed << 1));

	return t->e + (size_t)(((h >> 32) * t->sets) >> 32) * WAYS;
}

static struct entry *find(const struct fa_table *t, uint64_t dev, uint64_t ino)
{
	struct entry *s = set_of(t, dev, ino);

	for (int i = 0; i < WAYS; i++)
		if (s[i].ino == ino && s[i].dev == dev && s[i].gen == t->gen)
			return &s[i];
	return NULL;
}

static bool same(const struct entry *e, const struct fa_ident *id)
{
	return e->btime_ns == id->btime_ns && e->size == id->size && e->mtime_ns == id->mtime_ns &&
	       e->ctime_ns == id->ctime_ns;
}

enum fa_known fa_table_find(struct fa_table *t, const struct fa_ident *id)
{
	struct entry *e = find(t, id->dev, id->ino);

	if (!e || !same(e, id))
		return FA_KNOWN_NOT;
	e->used = 1;
	return e->what;
}

/* a place in a full set: the first that the hand finds unused, within two turns */
static struct entry *victim(struct fa_table *t, struct entry *s)
{
	struct entry *e = s;

	for (int i = 0; i < WAYS; i++)
		if (s[i].gen != t->gen)
			return &s[i];
	for (int i = 0; i <= WAYS; i++) {
		e = &s[t->hand++ % WAYS];
		if (!e->used)
			break;
		e->used = 0;
	}
	if (e->marked)
		t->marks_unknown = true;
	t->live--;
	return e;
}

void fa_table_put(struct fa_table *t, const struct fa_ident *id, enum fa_known what)
{
	struct entry *e = find(t, id->dev, id->ino);
	uint8_t marked = e ? e->marked : 0;

	if (!e) {
		e = victim(t, set_of(t, id->dev, id->ino));
		t->live++;
	}
	*e = (struct entry){ .dev = id->dev,
		.ino = id->ino,
		.btime_ns = id->btime_ns,
		.size = id->size,
		.mtime_ns = id->mtime_ns,
		.ctime_ns = id->ctime_ns,
		.gen = t->gen,
		.what = (uint8_t)what,
		.marked = marked };
}

bool fa_table_drop(struct fa_table *t, uint64_t dev, uint64_t ino)
{
	struct entry *e = find(t, dev, ino);
	bool marked = t->marks_unknown;

	if (e) {
		marked = e->marked;
		e->gen = 0;
		t->live--;
	}
	return marked;
}

void fa_table_marked(struct fa_table *t, const struct fa_ident *id)
{
	struct entry *e = find(t, id->dev, id->ino);

	if (e)
		e->marked = 1;
	else
		t->marks_unknown = true;
}

void fa_table_clear(struct fa_table *t)
{
	t->live = 0;
	t->marks_unknown = false;
	if (++t->gen != 0)
		return;
	memset(t->e, 0, t->sets * WAYS * sizeof(*t->e)); /* once in four thousand million */
	t->gen = 1;
}

size_t fa_table_entries(const struct fa_table *t)
{
	return t->live;
}

size_t fa_table_bytes(const struct fa_table *t)
{
	return sizeof(*t) + t->sets * WAYS * sizeof(*t->e);
}
