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
#include <sys/sysmacros.h>

#define WAYS 8

/*
 * Whatever changes content, size or mtime changes ctime, which nobody can set: of mtime and birth
 * the low halves are enough to tell two states of a file from each other.
 */
struct entry {
	uint64_t ino, size, ctime_ns;
	uint32_t mtime_low, btime_low;
	uint32_t dev;	   /* as the kernel keeps it */
	uint32_t gen : 20; /* 0 never used; of an older generation: free */
	uint32_t what : 8; /* enum fa_known */
	uint32_t used : 1; /* since the clock's hand came by */
	uint32_t marked : 1;
};

_Static_assert(sizeof(struct entry) == 40, "64 k entries in 2.5 MiB");

#define GEN_MAX ((1u << 20) - 1)

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

static uint32_t dev_low(uint64_t dev)
{
	return major(dev) << 20 | minor(dev);
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
		if (s[i].ino == ino && s[i].dev == dev_low(dev) && s[i].gen == t->gen)
			return &s[i];
	return NULL;
}

static bool same(const struct entry *e, const struct fa_ident *id)
{
	return e->ctime_ns == id->ctime_ns && e->size == id->size &&
	       e->mtime_low == (uint32_t)id->mtime_ns && e->btime_low == (uint32_t)id->btime_ns;
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
	bool marked = e && e->marked;

	if (!e) {
		e = victim(t, set_of(t, id->dev, id->ino));
		t->live++;
	}
	*e = (struct entry){ .ino = id->ino,
		.size = id->size,
		.ctime_ns = id->ctime_ns,
		.mtime_low = (uint32_t)id->mtime_ns,
		.btime_low = (uint32_t)id->btime_ns,
		.dev = dev_low(id->dev),
		.gen = t->gen,
		.what = what & 0xffu,
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
	if (++t->gen <= GEN_MAX)
		return;
	memset(t->e, 0, t->sets * WAYS * sizeof(*t->e)); /* once in a million */
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
