/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * text.c - small checked conversions that every room needs
 *
 * All are total functions: whatever the bytes, they return; none depends on the locale.
 * Source: RFC 3629 (UTF-8: shortest form only, no surrogates, up to U+10FFFF).
 */
#include "lib/base/text.h"

#include <string.h>

int gi_text_u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
	uint64_t v = 0;

	if (!*text)
		return -EINVAL;
	for (const char *p = text; *p; p++) {
		if (*p < '0' || *p > '9')
			return -EINVAL;
	}
	for (const char *p = text; *p; p++) {
		if (__builtin_mul_overflow(v, 10, &v) ||
			__builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
			return -ERANGE;
	}
	if (v < min || v > max)
		return -ERANGE;
	*ret = v;
	return 0;
}

int gi_text_copy(char *dst, size_t dst_size, const char *src)
{
	size_t n = strlen(src);

	if (dst_size == 0)
		return -GI_ELIMIT;
	if (n >= dst_size) {
		dst[0] = '\0';
		return -GI_ELIMIT;
	}
	memmove(dst, src, n + 1);
	return 0;
}

static bool text_is_alpha(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}

bool gi_text_is_name(const char *text, size_t max_len)
{
	size_t n = 0;

	if (!text_is_alpha(text[0]))
		return false;
	for (; text[n]; n++) {
		bool digit = text[n] >= '0' && text[n] <= '9';

		if (n >= max_len || !(text_is_alpha(text[n]) || digit || text[n] == '-'))
			return false;
	}
	return true;
}

size_t gi_text_utf8(const void *text, size_t len, uint32_t *ret_cp)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const uint8_t *p = text;
	uint32_t cp;
	size_t n;

	if (len == 0)
		return 0;
	if (p[0] < 0x80) {
		*ret_cp = p[0];
		return 1;
	}
	n = p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;
	if (n == 0 || n > len)
		return 0;
	cp = p[0] & (0xffu >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		cp = cp << 6 | (p[i] & 0x3f);
	}
	if (cp < least[n] || cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff))
		return 0;
	*ret_cp = cp;
	return n;
}

bool gi_text_is_clean(const char *text, size_t max_len)
{
	size_t len = strnlen(text, max_len + 1);
	uint32_t cp;

	if (len > max_len)
		return false;
	for (size_t i = 0; i < len;) {
		size_t n = gi_text_utf8(text + i, len - i, &cp);

		if (n == 0 || gi_text_is_control(cp))
			return false;
		i += n;
	}
	return true;
}
