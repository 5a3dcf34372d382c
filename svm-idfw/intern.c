/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * intern.c - interned texts (open addressing, linear probing)
 *
 * Runs in svm-idfw's engine. Invariants: a text is in the table while it has references; at most
 * half of the slots are used.
 */
#include "svm-idfw/intern.h"

#include <stdlib.h>
#include <string.h>

struct idfw_str {
	uint32_t refs, hash;
	char text[];
};

void idfw_strtab_init(struct idfw_strtab *t, const uint64_t key[2])
{
	*t = (struct idfw_strtab){ .key = { key[0], key[1] } };
}

void idfw_strtab_fini(struct idfw_strtab *t)
{
	for (size_t i = 0; i < t->cap; i++)
		free(t->slots[i]);
	free(t->slots);
	*t = (struct idfw_strtab){ 0 };
}

static int grow(struct idfw_strtab *t)
{
	size_t cap = t->n * 4 > 64 ? t->n * 4 : 64, c = 64;
	struct idfw_str **slots;

	while (c < cap)
		c *= 2;
	slots = calloc(c, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < t->cap; i++) {
		struct idfw_str *s = t->slots[i];
		size_t at;

		if (!s)
			continue;
		for (at = s->hash & (c - 1); slots[at]; at = (at + 1) & (c - 1))
			;
		slots[at] = s;
	}
	free(t->slots);
	t->slots = slots;
	t->cap = c;
	return 0;
}

const char *idfw_str_get(struct idfw_strtab *t, const char *text)
{
	size_t len, at;
	struct idfw_str *s;
	uint32_t hash;

	text = text ? text : "";
	len = strlen(text);
	hash = idfw_hashv(t->key, text, len);
	if (t->n * 2 >= t->cap && grow(t) < 0)
		return NULL;
	for (at = hash & (t->cap - 1); t->slots[at]; at = (at + 1) & (t->cap - 1)) {
		s = t->slots[at];
		if (s->hash == hash && !strcmp(s->text, text)) {
			s->refs++;
			return s->text;
		}
	}
	s = malloc(sizeof(*s) + len + 1);
	if (!s)
		return NULL;
	s->refs = 1;
	s->hash = hash;
	memcpy(s->text, text, len + 1);
	t->slots[at] = s;
	t->n++;
	return s->text;
}

/* what stands behind the hole and could not stand at its home moves up: searches stay short */
static void slot_clear(struct idfw_strtab *t, size_t hole)
{
	size_t mask = t->cap - 1, at = hole;

	for (;;) {
		t->slots[hole] = NULL;
		do {
			at = (at + 1) & mask;
			if (!t->slots[at])
				return;
		} while (((at - t->slots[at]->hash) & mask) < ((at - hole) & mask));
		t->slots[hole] = t->slots[at];
		hole = at;
	}
}

void idfw_str_put(struct idfw_strtab *t, const char *interned)
{
	struct idfw_str *s;
	size_t at;

	if (!interned)
		return;
	s = (struct idfw_str *)(void *)((char *)(uintptr_t)interned -
					offsetof(struct idfw_str, text));
	if (--s->refs)
		return;
	for (at = s->hash & (t->cap - 1); t->slots[at] != s; at = (at + 1) & (t->cap - 1))
		;
	free(s);
	t->n--;
	slot_clear(t, at);
}
