/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * text.h - small checked conversions that every room needs (no atoi, no strcpy)
 */
#ifndef GI_TEXT_H
#define GI_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/base/err.h"

/* whole text, decimal, within [min, max]; -EINVAL, -ERANGE */
GI_MUST_CHECK int gi_text_u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret);
/* copy with NUL; -GI_ELIMIT when it does not fit (dst becomes "") */
GI_MUST_CHECK int gi_text_copy(char *dst, size_t dst_size, const char *src);
/* [A-Za-z_][A-Za-z0-9_-]*, at most max_len characters: names of VMs, groups, rules */
bool gi_text_is_name(const char *text, size_t max_len);
/* valid UTF-8 without control characters, at most max_len bytes */
bool gi_text_is_clean(const char *text, size_t max_len);
/*
 * gi_text_utf8 - decode one character of UTF-8 (shortest form, no surrogates)
 * Returns its bytes (1..4), 0 when @text does not begin with a valid one; @ret_cp untouched then
 */
size_t gi_text_utf8(const void *text, size_t len, uint32_t *ret_cp);
/* C0, DEL and C1: what may neither reach a terminal nor a log */
static inline bool gi_text_is_control(uint32_t cp)
{
	return cp < 0x20 || (cp >= 0x7f && cp < 0xa0);
}

#define GI_NAME_MAX 47 /* characters of a VM, group, service or rule name */

#endif
