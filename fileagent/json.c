/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * json.c - rows as JSON, see json.h
 *
 * Source: RFC 8259.
 */
#include "fileagent/json.h"

#include <inttypes.h>
#include <string.h>

#include "lib/base/text.h"

void fa_json_begin(struct fa_json *j, struct gi_buf *out)
{
	j->out = out;
	j->any = false;
	gi_buf_append(out, "{", 1);
}

void fa_json_end(struct fa_json *j)
{
	gi_buf_append(j->out, "}", 1);
}

static void name_add(struct fa_json *j, const char *name)
{
	gi_buf_printf(j->out, "%s\"%s\":", j->any ? "," : "", name);
	j->any = true;
}

void fa_json_bytes(struct fa_json *j, const char *name, const void *text, size_t len)
{
	const unsigned char *p = text;

	name_add(j, name);
	gi_buf_append(j->out, "\"", 1);
	while (len > 0) {
		uint32_t cp = 0;
		size_t n = gi_text_utf8(p, len, &cp);

		if (n == 0) {
			gi_buf_append(j->out, "\\ufffd", 6);
			n = 1;
		} else if (cp == '"' || cp == '\\') {
			gi_buf_printf(j->out, "\\%c", (int)cp);
		} else if (gi_text_is_control(cp)) {
			gi_buf_printf(j->out, "\\u%04x", (unsigned int)cp);
		} else {
			gi_buf_append(j->out, p, n);
		}
		p += n;
		len -= n;
	}
	gi_buf_append(j->out, "\"", 1);
}

static void null_add(struct fa_json *j, const char *name)
{
	name_add(j, name);
	gi_buf_append(j->out, "null", 4);
}

void fa_json_text(struct fa_json *j, const char *name, const char *text)
{
	if (text)
		fa_json_bytes(j, name, text, strlen(text));
	else
		null_add(j, name);
}

void fa_json_number(struct fa_json *j, const char *name, uint64_t value)
{
	name_add(j, name);
	gi_buf_printf(j->out, "%" PRIu64, value);
}

void fa_json_bool(struct fa_json *j, const char *name, bool value)
{
	name_add(j, name);
	gi_buf_printf(j->out, "%s", value ? "true" : "false");
}

void fa_json_hex(struct fa_json *j, const char *name, const uint8_t *bytes, size_t len)
{
	if (len == 0) {
		null_add(j, name);
		return;
	}
	name_add(j, name);
	gi_buf_append(j->out, "\"", 1);
	for (size_t i = 0; i < len; i++)
		gi_buf_printf(j->out, "%02x", bytes[i]);
	gi_buf_append(j->out, "\"", 1);
}
