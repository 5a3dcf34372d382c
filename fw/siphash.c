/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * siphash.c - SipHash-2-4, see siphash.h
 */
#include "fw/siphash.h"

static inline uint64_t sip_rotl(uint64_t x, unsigned int n)
{
	return (x << n) | (x >> (64 - n));
}

static inline void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = sip_rotl(v[1], 13) ^ v[0];
	v[3] = sip_rotl(v[3], 16) ^ v[2];
	v[0] = sip_rotl(v[0], 32);
	v[2] += v[1];
	v[0] += v[3];
	v[1] = sip_rotl(v[1], 17) ^ v[2];
	v[3] = sip_rotl(v[3], 21) ^ v[0];
	v[2] = sip_rotl(v[2], 32);
}

static inline void sip_word(struct fw_sip *s, uint64_t m)
{
	s->v[3] ^= m;
	sip_round(s->v);
	sip_round(s->v);
	s->v[0] ^= m;
}

void fw_sip_init(struct fw_sip *s, const uint64_t key[2])
{
	s->v[0] = key[0] ^ UINT64_C(0x736f6d6570736575);
	s->v[1] = key[1] ^ UINT64_C(0x646f72616e646f6d);
	s->v[2] = key[0] ^ UINT64_C(0x6c7967656e657261);
	s->v[3] = key[1] ^ UINT64_C(0x7465646279746573);
	s->word = 0;
	s->len = 0;
}

void fw_sip_add(struct fw_sip *s, const void *data, size_t len)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < len; i++) {
		s->word |= (uint64_t)p[i] << (8 * (s->len & 7));
		if ((++s->len & 7) == 0) {
			sip_word(s, s->word);
			s->word = 0;
		}
	}
}

uint64_t fw_sip_end(struct fw_sip *s)
{
	sip_word(s, s->word | s->len << 56);
	s->v[2] ^= 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(s->v);
	return s->v[0] ^ s->v[1] ^ s->v[2] ^ s->v[3];
}
