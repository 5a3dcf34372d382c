/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * addr.h - IPv4/IPv6 addresses and prefixes as values
 *
 * Bytes are in network order; an IPv4 address uses bytes[0..3], the rest is zero.
 * An IPv4-mapped IPv6 text (::ffff:a.b.c.d) is normalised to IPv4.
 */
#ifndef GI_ADDR_H
#define GI_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/base/err.h"

#define GI_ADDR_STRLEN 64 /* prefix text with NUL fits */

struct gi_addr {
	uint8_t family; /* 4 or 6; 0 = none */
	uint8_t bytes[16];
};

struct gi_prefix {
	struct gi_addr addr; /* host bits are zero */
	uint8_t len;	     /* 0..32 or 0..128 */
};

GI_MUST_CHECK int gi_addr_parse(const char *text, struct gi_addr *ret); /* -EINVAL */
/* "10.0.0.0/8" or a bare address (/32, /128); host bits set: -EINVAL unless @lax (then masked) */
GI_MUST_CHECK int gi_prefix_parse(const char *text, bool lax, struct gi_prefix *ret);
const char *gi_addr_format(const struct gi_addr *a, char buf[GI_ADDR_STRLEN]); /* returns buf */
const char *gi_prefix_format(const struct gi_prefix *p, char buf[GI_ADDR_STRLEN]);
int gi_addr_cmp(const struct gi_addr *a, const struct gi_addr *b); /* family, then bytes */
int gi_prefix_cmp(const struct gi_prefix *a, const struct gi_prefix *b);
bool gi_prefix_contains(const struct gi_prefix *p, const struct gi_addr *a);
/* GI_MUST_CHECK: from wire bytes, 4 or 16 long; -EINVAL */
GI_MUST_CHECK int gi_addr_from_bytes(const void *bytes, size_t len, struct gi_addr *ret);
static inline size_t gi_addr_len(const struct gi_addr *a)
{
	return a->family == 4 ? 4 : a->family == 6 ? 16 : 0;
}

#endif
