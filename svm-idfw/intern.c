/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * intern.c - interned texts (open addressing, linear probing) and SipHash-1-3
 *
 * Runs in svm-idfw's engine. Invariants: a text is in the table while it has references; at most
 * half of the slots are used. Source: Aumasson, Bernstein, "SipHash: a fast short-input PRF".
 */
#include "svm-idfw/intern.h"

#include <stdlib.h>
#include <string.h>

struct idfw_str {
	uint32_t refs, hash;
	char text[];
};

static inline uint64_t rotl(uint64_t x, int b)
{
	return x << b | x >> (64 - b);
}

static inline void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[0] = rotl(v[0], 32);
	v[2] += v[3];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[2] = rotl(v[2], 32);
}

uint64_t idfw_siphash(const uint64_t key[2], const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t v[4] = { key[0] ^ 0x736f6d6570736575u, key[1] ^ 0x646f72616e646f6du,
		key[0] ^ 0x6c7967656e657261u, key[1] ^ 0x7465646279746573u };
	uint64_t m;
	size_t left = len;

	for (; left >= 8; left -= 8, p += 8) {
		memcpy(&m, p, 8);
		v[3] ^= m;
		sip_round(v);
		v[0] ^= m;
	}
	m = (uint64_t)len << 56;
	for (size_t i = 0; i < left; i++)
		m |= (uint64_t)p[i] << (8 * i);
	v[3] ^= m;
	sip_round(v);
	v[0] ^= m;
	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

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
