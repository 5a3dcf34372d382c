/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * group.c - directory groups of the engine: each once, shared by the accounts that are in it
 *
 * Runs in svm-idfw's engine. The key of an object is all of it: interned texts (so pointers) and
 * the unique id. Objects of one id hang on an idfw_group_id, which remembers the last report about
 * it. Invariants: an object is in the table while it has references; a report is never taken for
 * an earlier one (of ids that are not known only the latest number is kept, for all of them).
 */
#include "svm-idfw/group.h"

#include <stdlib.h>
#include <string.h>

struct idfw_group_id {
	uint8_t id[16];
	uint64_t news;
	uint32_t objects;
	UT_hash_handle hh;
};

struct idfw_shared_group {
	struct idfw_group g; /* first; the key: four interned texts and the id, no padding */
	uint32_t refs;
	struct idfw_group_id *id; /* NULL: it has none */
	UT_hash_handle hh;
};

_Static_assert(sizeof(struct idfw_group) == 4 * sizeof(char *) + 16, "a key has no padding");

static struct idfw_shared_group *shared(const struct idfw_group *g)
{
	return (struct idfw_shared_group *)(uintptr_t)g;
}

static void texts_put(struct idfw_group_table *t, const struct idfw_group *g)
{
	idfw_str_put(t->strings, g->name);
	idfw_str_put(t->strings, g->dn);
	idfw_str_put(t->strings, g->sid);
	idfw_str_put(t->strings, g->directory);
}

static struct idfw_group_id *id_find(const struct idfw_group_table *t, const uint8_t id[16])
{
	unsigned int h = idfw_hashv(t->strings->key, id, 16);
	struct idfw_group_id *i;

	HASH_FIND_BYHASHVALUE(hh, t->ids, id, 16, h, i);
	return i;
}

static struct idfw_group_id *id_get(struct idfw_group_table *t, const uint8_t id[16])
{
	struct idfw_group_id *i = id_find(t, id);
	unsigned int h;

	if (!i) {
		i = calloc(1, sizeof(*i));
		if (!i)
			return NULL;
		memcpy(i->id, id, 16);
		i->news = t->forgot;
		h = idfw_hashv(t->strings->key, id, 16);
		HASH_ADD_BYHASHVALUE(hh, t->ids, id, 16, h, i);
	}
	i->objects++;
	return i;
}

static void id_put(struct idfw_group_table *t, struct idfw_group_id *i)
{
	if (!i || --i->objects)
		return;
	if (i->news > t->forgot)
		t->forgot = i->news;
	HASH_DEL(t->ids, i);
	free(i);
}

/* @key: takes its texts */
static struct idfw_shared_group *object_new(struct idfw_group_table *t, struct idfw_group key)
{
	struct idfw_shared_group *s = calloc(1, sizeof(*s));
	unsigned int h = idfw_hashv(t->strings->key, &key, sizeof(key));

	if (!s)
		return NULL;
	s->g = key;
	if (idfw_id_is_set(key.id)) {
		s->id = id_get(t, key.id);
		if (!s->id) {
			free(s);
			return NULL;
		}
	}
	HASH_ADD_BYHASHVALUE(hh, t->all, g, sizeof(s->g), h, s);
	return s;
}

void idfw_groups_init(struct idfw_group_table *t, struct idfw_strtab *strings)
{
	*t = (struct idfw_group_table){ .strings = strings };
}

const struct idfw_group *idfw_group_get(struct idfw_group_table *t, const struct idfw_group *like)
{
	struct idfw_group key = { 0 };
	struct idfw_shared_group *s = NULL;
	unsigned int h;

	key.name = (char *)(uintptr_t)idfw_str_get(t->strings, like->name);
	key.dn = (char *)(uintptr_t)idfw_str_get(t->strings, like->dn);
	key.sid = (char *)(uintptr_t)idfw_str_get(t->strings, like->sid);
	key.directory =
		(char *)(uintptr_t)idfw_str_get(t->strings, like->directory ? like->directory : "");
	memcpy(key.id, like->id, sizeof(key.id));
	if (key.name && key.dn && key.sid && key.directory) {
		h = idfw_hashv(t->strings->key, &key, sizeof(key));
		HASH_FIND_BYHASHVALUE(hh, t->all, &key, sizeof(key), h, s);
		if (s) {
			s->refs++;
			texts_put(t, &key);
			return &s->g;
		}
		s = object_new(t, key);
	}
	if (!s) {
		texts_put(t, &key);
		return NULL;
	}
	s->refs = 1;
	return &s->g;
}

void idfw_group_put(struct idfw_group_table *t, const struct idfw_group *g)
{
	struct idfw_shared_group *s = shared(g);

	if (!g || --s->refs)
		return;
	HASH_DEL(t->all, s);
	id_put(t, s->id);
	texts_put(t, &s->g);
	free(s);
}

bool idfw_group_changed(struct idfw_group_table *t, const uint8_t id[16], uint64_t news)
{
	struct idfw_group_id *i = id_find(t, id);

	if (i)
		i->news = news;
	else
		t->forgot = news;
	return i != NULL;
}

uint64_t idfw_group_news(const struct idfw_group *g)
{
	const struct idfw_group_id *i = shared(g)->id;

	return i ? i->news : 0;
}

size_t idfw_groups_count(const struct idfw_group_table *t)
{
	return HASH_COUNT(t->all);
}

void idfw_groups_each(const struct idfw_group_table *t,
	void (*cb)(void *arg, const struct idfw_group *g), void *arg)
{
	const struct idfw_shared_group *s;

	for (s = t->all; s; s = s->hh.next)
		cb(arg, &s->g);
}
