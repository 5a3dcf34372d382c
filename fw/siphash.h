/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * siphash.h - SipHash-2-4, 64 bit, for two uses inside fw/ and nowhere else
 *
 * With a random key: the element table of state.c (keys come from guests). With a fixed key: names
 * of interval sets and the rules' stamp in render.c, which must be the same in every process.
 * Source: Aumasson, Bernstein: "SipHash: a fast short-input PRF", 2012.
 */
#ifndef FW_SIPHASH_H
#define FW_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

struct fw_sip {
	uint64_t v[4];
	uint64_t word; /* bytes that do not fill a word yet */
	uint64_t len;
};

void fw_sip_init(struct fw_sip *s, const uint64_t key[2]);
void fw_sip_add(struct fw_sip *s, const void *data, size_t len);
uint64_t fw_sip_end(struct fw_sip *s);

#endif
