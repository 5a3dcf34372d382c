/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sid.h - security identifiers: the directory's bytes and everyone else's text
 *
 * Pure. Used by the directory child (filters) and by its parent (what the engine sees).
 * Source: MS-DTYP 2.4.2.1 (text), 2.4.2.2 (bytes).
 */
#ifndef SVM_IDFW_SID_H
#define SVM_IDFW_SID_H

#include <stddef.h>
#include <stdint.h>
#include "lib/base/err.h"

#define SID_SUBS_MAX 15
#define SID_BYTES_MAX (8 + 4 * SID_SUBS_MAX)
#define SID_TEXT_MAX 192 /* "S-1-0x" 12 digits, 15 times "-4294967295", NUL */

/*
 * sid_to_text - S-1-5-21-... from a binary SID
 * @len: must be exactly what the count of sub-authorities says
 * Errors: -GI_EPROTO (revision, count or length wrong); then @ret_text is ""
 */
GI_MUST_CHECK int sid_to_text(const void *bytes, size_t len, char ret_text[SID_TEXT_MAX]);

/*
 * sid_from_text - the opposite; decimal or 0x authority, "S" or "s"
 * Errors: -EINVAL (not a whole, well-formed SID); nothing is written then
 */
GI_MUST_CHECK int sid_from_text(
	const char *text, uint8_t ret_bytes[SID_BYTES_MAX], size_t *ret_len);

#endif
