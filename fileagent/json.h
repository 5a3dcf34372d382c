/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * json.h - one JSON object in a buffer: what FileReply rows are made of
 *
 * Runs in gi-fileagent's worker. Pure, writes only. Whatever a text holds, the row is valid JSON
 * in UTF-8 without control characters: bytes that are no UTF-8 become U+FFFD. Errors are sticky in
 * the buffer.
 */
#ifndef FILEAGENT_JSON_H
#define FILEAGENT_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/base/buf.h"

struct fa_json {
	struct gi_buf *out;
	bool any; /* a member is there already */
};

void fa_json_begin(struct fa_json *j, struct gi_buf *out);
void fa_json_end(struct fa_json *j);
/* members; @name: a plain word; @text NULL: null */
void fa_json_text(struct fa_json *j, const char *name, const char *text);
void fa_json_bytes(struct fa_json *j, const char *name, const void *text, size_t len);
void fa_json_number(struct fa_json *j, const char *name, uint64_t value);
void fa_json_bool(struct fa_json *j, const char *name, bool value);
void fa_json_hex(
	struct fa_json *j, const char *name, const uint8_t *bytes, size_t len); /* 0: null */

#endif
