/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vaultmeta.c - what is known of a quarantined file, as text; see vaultmeta.h
 *
 * One table row a field. Invariant: what encode() writes, decode() reads back byte for byte.
 */
#include "fileagent/vaultmeta.h"

#include <stdio.h>
#include <string.h>
#include "lib/base/text.h"

enum meta_type { META_U64, META_U32, META_OCTAL, META_TEXT, META_HEX };

static const struct meta_field {
	const char *key;
	enum meta_type type;
	size_t offset, size;
} fields[] = {
#define FIELD(name, type)                                                                        \
	{                                                                                        \
#name, type, offsetof(struct fa_meta, name), sizeof(((struct fa_meta *)0)->name) \
	}
	FIELD(time_ms, META_U64),
	FIELD(session, META_U64),
	FIELD(size, META_U64),
	FIELD(mtime_ns, META_U64),
	FIELD(uid, META_U32),
	FIELD(gid, META_U32),
	FIELD(mode, META_OCTAL),
	FIELD(actor_uid, META_U32),
	FIELD(pid, META_U32),
	FIELD(sha256, META_HEX),
	FIELD(engine, META_TEXT),
	FIELD(signature, META_TEXT),
	FIELD(user, META_TEXT),
	FIELD(reason, META_TEXT),
#undef FIELD
};

static void put_text(struct gi_buf *out, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c < 0x20 || c >= 0x7f || c == '\\')
			gi_buf_printf(out, "\\x%02x", c);
		else
			gi_buf_append(out, &c, 1);
	}
	gi_buf_append(out, "\n", 1);
}

void fa_meta_encode(const struct fa_meta *m, const char *path, size_t path_len, struct gi_buf *out)
{
	gi_buf_printf(out, "path=");
	put_text(out, path, path_len);
	for (size_t i = 0; i < GI_ARRAY_SIZE(fields); i++) {
		const struct meta_field *f = &fields[i];
		const uint8_t *p = (const uint8_t *)m + f->offset;
		uint64_t u64 = 0;
		uint32_t u32 = 0;

		gi_buf_printf(out, "%s=", f->key);
		switch (f->type) {
		case META_U64:
			memcpy(&u64, p, sizeof(u64));
			gi_buf_printf(out, "%llu\n", (unsigned long long)u64);
			break;
		case META_U32:
		case META_OCTAL:
			memcpy(&u32, p, sizeof(u32));
			gi_buf_printf(out, f->type == META_U32 ? "%u\n" : "%o\n", u32);
			break;
		case META_TEXT:
			put_text(out, (const char *)p, strnlen((const char *)p, f->size));
			break;
		case META_HEX:
			for (size_t k = 0; k < f->size; k++)
				gi_buf_printf(out, "%02x", p[k]);
			gi_buf_append(out, "\n", 1);
			break;
		}
	}
}

static int hex_of(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* -1: not two digits */
static int hex_byte(const char *p, size_t left)
{
	int hi = left >= 2 ? hex_of(p[0]) : -1, lo = hi >= 0 ? hex_of(p[1]) : -1;

	return lo < 0 ? -1 : hi << 4 | lo;
}

/* @size: of @ret, NUL included */
static int get_text(const char *p, size_t len, char *ret, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		int c = (unsigned char)p[i];

		if (c == '\\') {
			c = i + 1 < len && p[i + 1] == 'x' ? hex_byte(p + i + 2, len - i - 2) : -1;
			i += 3;
		}
		if (c <= 0 || n + 1 >= size)
			return -GI_ESYNTAX;
		ret[n++] = (char)c;
	}
	ret[n] = '\0';
	return 0;
}

static int get_number(const char *p, size_t len, unsigned int base, uint64_t max, uint64_t *ret)
{
	uint64_t n = 0;

	if (len == 0)
		return -GI_ESYNTAX;
	for (size_t i = 0; i < len; i++) {
		unsigned int d = (unsigned int)(unsigned char)p[i] - '0';

		if (d >= base || n > (max - d) / base)
			return -GI_ESYNTAX;
		n = n * base + d;
	}
	*ret = n;
	return 0;
}

static int get_field(const struct meta_field *f, const char *p, size_t len, struct fa_meta *m)
{
	uint8_t *to = (uint8_t *)m + f->offset;
	uint64_t u64 = 0;
	uint32_t u32;
	int err = 0;

	switch (f->type) {
	case META_U64:
		err = get_number(p, len, 10, UINT64_MAX, &u64);
		memcpy(to, &u64, sizeof(u64));
		break;
	case META_U32:
	case META_OCTAL:
		err = get_number(p, len, f->type == META_U32 ? 10 : 8, UINT32_MAX, &u64);
		u32 = (uint32_t)u64;
		memcpy(to, &u32, sizeof(u32));
		break;
	case META_TEXT:
		err = get_text(p, len, (char *)to, f->size);
		break;
	case META_HEX:
		if (len != 2 * f->size)
			return -GI_ESYNTAX;
		for (size_t i = 0; i < f->size; i++) {
			int c = hex_byte(p + 2 * i, 2);

			if (c < 0)
				return -GI_ESYNTAX;
			to[i] = (uint8_t)c;
		}
		break;
	}
	return err;
}

int fa_meta_decode(
	const char *text, size_t len, struct fa_meta *ret, char ret_path[FA_REC_PATH_MAX + 1])
{
	const char *p = text, *end = text + len;
	struct fa_meta m = { 0 };
	int err = 0;

	ret_path[0] = '\0';
	for (; p < end && err == 0;) {
		const char *nl = memchr(p, '\n', (size_t)(end - p)), *eol = nl ? nl : end;
		const char *eq = memchr(p, '=', (size_t)(eol - p));
		size_t key = eq ? (size_t)(eq - p) : 0;

		if (!nl || !eq) /* each line ends: one that was cut is a mistake */
			return -GI_ESYNTAX;
		if (key == 4 && memcmp(p, "path", 4) == 0)
			err = get_text(
				eq + 1, (size_t)(eol - eq - 1), ret_path, FA_REC_PATH_MAX + 1);
		for (size_t i = 0; i < GI_ARRAY_SIZE(fields) && err == 0; i++)
			if (strlen(fields[i].key) == key && memcmp(fields[i].key, p, key) == 0)
				err = get_field(&fields[i], eq + 1, (size_t)(eol - eq - 1), &m);
		p = nl + 1;
	}
	if (err == 0)
		*ret = m;
	return err;
}
