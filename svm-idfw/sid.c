/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sid.c - security identifiers: the directory's bytes and everyone else's text
 *
 * Pure conversion in both directions; runs in svm-idfw and in its directory child. A SID that is
 * too short, too long or of an unknown revision is refused as a whole, never cut.
 * Bytes: revision, count, authority (6, big-endian), count sub-authorities (4, little-endian).
 * Source: MS-DTYP 2.4.2.
 */
#include "svm-idfw/sid.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *sid_digits(const char *p, unsigned int base, uint64_t max, uint64_t *ret);

int sid_to_text(const void *bytes, size_t len, char ret_text[SID_TEXT_MAX])
{
	const uint8_t *b = bytes;
	uint64_t authority = 0;
	size_t at, i;

	ret_text[0] = '\0';
	if (len < 8 || b[0] != 1 || b[1] > SID_SUBS_MAX || len != 8 + 4u * b[1])
		return -GI_EPROTO;
	for (i = 2; i < 8; i++)
		authority = authority << 8 | b[i];
	/* an authority that does not fit 32 bits is written in hexadecimal: MS-DTYP 2.4.2.1 */
	at = (size_t)snprintf(ret_text, SID_TEXT_MAX,
		authority >> 32 ? "S-1-0x%012" PRIX64 : "S-1-%" PRIu64, authority);
	for (i = 0; i < b[1]; i++) {
		const uint8_t *s = b + 8 + 4 * i;
		uint32_t sub =
			s[0] | (uint32_t)s[1] << 8 | (uint32_t)s[2] << 16 | (uint32_t)s[3] << 24;

		at += (size_t)snprintf(ret_text + at, SID_TEXT_MAX - at, "-%" PRIu32, sub);
	}
	return 0;
}

int sid_from_text(const char *text, uint8_t ret_bytes[SID_BYTES_MAX], size_t *ret_len)
{
	uint8_t b[SID_BYTES_MAX];
	uint64_t v;
	size_t n = 0, i;
	const char *p = text;

	if ((p[0] != 'S' && p[0] != 's') || p[1] != '-' || p[2] != '1' || p[3] != '-')
		return -EINVAL;
	p += 4;
	p = p[0] == '0' && (p[1] == 'x' || p[1] == 'X')
		    ? sid_digits(p + 2, 16, UINT64_C(0xffffffffffff), &v)
		    : sid_digits(p, 10, UINT64_C(0xffffffffffff), &v);
	if (!p)
		return -EINVAL;
	b[0] = 1;
	for (i = 0; i < 6; i++)
		b[2 + i] = (uint8_t)(v >> (40 - 8 * i));
	while (*p == '-' && n < SID_SUBS_MAX) {
		p = sid_digits(p + 1, 10, UINT32_MAX, &v);
		if (!p)
			return -EINVAL;
		for (i = 0; i < 4; i++)
			b[8 + 4 * n + i] = (uint8_t)(v >> 8 * i);
		n++;
	}
	if (*p != '\0')
		return -EINVAL;
	b[1] = (uint8_t)n;
	memcpy(ret_bytes, b, 8 + 4 * n);
	*ret_len = 8 + 4 * n;
	return 0;
}

/* one number; returns what is behind it, NULL when there is none or it is over @max */
static const char *sid_digits(const char *p, unsigned int base, uint64_t max, uint64_t *ret)
{
	uint64_t v = 0;
	const char *start = p;

	for (;; p++) {
		unsigned int d;

		if (*p >= '0' && *p <= '9')
			d = (unsigned int)(*p - '0');
		else if (base == 16 && (*p | 0x20) >= 'a' && (*p | 0x20) <= 'f')
			d = (unsigned int)((*p | 0x20) - 'a' + 10);
		else
			break;
		v = v * base + d; /* v <= max < 2^48 before: no overflow */
		if (v > max)
			return NULL;
	}
	*ret = v;
	return p == start ? NULL : p;
}
