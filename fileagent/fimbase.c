/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fimbase.c - the baseline in memory and as bytes, see fimbase.h
 *
 * Bytes are in host order: they never leave the machine. A record is a letter and its fields;
 * a checkpoint is a magic and records.
 */
#include "fileagent/fimbase.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC "idfwfim1"
#define MAGIC_LEN 8
#define REC_FILE 'F'
#define REC_GONE 'G'
#define REC_MOVE 'M'
#define REC_RULE 'R'
#define REC_NO_RULE 'N'
#define FILE_FIXED (1 + 4 * 4 + 5 * 8 + 1 + WIRE_SHA256_LEN + 4)

void fa_fimbase_init(struct fa_fimbase *b)
{
	memset(b, 0, sizeof(*b));
}

static size_t file_bytes(size_t path_len)
{
	return FILE_FIXED + path_len;
}

static void file_free(struct fa_fimbase *b, struct fa_fim_file *f)
{
	HASH_DEL(b->files, f);
	b->bytes -= file_bytes(f->path_len);
	free(f);
}

void fa_fimbase_fini(struct fa_fimbase *b)
{
	struct fa_fim_file *f, *tmp;

	HASH_ITER (hh, b->files, f, tmp)
		file_free(b, f);
	fa_fimbase_init(b);
}

size_t fa_fimbase_count(const struct fa_fimbase *b)
{
	return HASH_COUNT(b->files);
}

static struct fa_fim_file *find(const struct fa_fimbase *b, const char *path, size_t len)
{
	struct fa_fim_file *f;

	HASH_FIND(hh, b->files, path, len, f);
	return f;
}

struct fa_fim_file *fa_fimbase_find(const struct fa_fimbase *b, const char *path)
{
	return find(b, path, strlen(path));
}

static bool path_ok(const char *path, size_t len)
{
	return len >= 1 && len <= WIRE_PATH_MAX && path[0] == '/' && !memchr(path, '\0', len);
}

static int put(struct fa_fimbase *b, const char *path, size_t len, const struct fa_fim_state *st)
{
	struct fa_fim_file *f;

	if (!path_ok(path, len))
		return -EINVAL;
	f = find(b, path, len);
	if (f) {
		f->st = *st;
		return 0;
	}
	if (HASH_COUNT(b->files) >= FA_FIM_FILES_MAX ||
		b->bytes + file_bytes(len) > FA_FIM_BASE_BYTES)
		return -GI_ELIMIT;
	f = calloc(1, sizeof(*f) + len + 1);
	if (!f)
		return -ENOMEM;
	f->st = *st;
	f->path_len = len;
	memcpy(f->path, path, len);
	HASH_ADD_KEYPTR(hh, b->files, f->path, f->path_len, f);
	b->bytes += file_bytes(len);
	return 0;
}

int fa_fimbase_put(struct fa_fimbase *b, const char *path, const struct fa_fim_state *st)
{
	return put(b, path, strlen(path), st);
}

void fa_fimbase_drop(struct fa_fimbase *b, const char *path)
{
	struct fa_fim_file *f = fa_fimbase_find(b, path);

	if (f)
		file_free(b, f);
}

static bool is_below(const struct fa_fim_file *f, const char *dir, size_t len)
{
	return f->path_len >= len && memcmp(f->path, dir, len) == 0 &&
	       (f->path_len == len || f->path[len] == '/');
}

void fa_fimbase_move(struct fa_fimbase *b, const char *from, const char *to)
{
	size_t len = strlen(from), n = HASH_COUNT(b->files);
	struct fa_fim_file *f = b->files, *next;
	char path[WIRE_PATH_MAX + 1];

	if (to && strcmp(from, to) == 0)
		return;
	/* what is added goes to the end and is not met again */
	for (; f && n > 0; f = next, n--) {
		int got;

		next = f->hh.next;
		if (!is_below(f, from, len))
			continue;
		got = to ? snprintf(path, sizeof(path), "%s%s", to, f->path + len) : -1;
		if (got > 0 && (size_t)got < sizeof(path)) {
			struct fa_fim_file *there = find(b, path, (size_t)got);

			if (there && there == next)
				next = there->hh.next, n--;
			if (there)
				file_free(b, there);
			/* one goes for the one that comes: no limit is met but memory's */
			(void)!put(b, path, (size_t)got, &f->st);
		}
		file_free(b, f);
	}
}

struct fa_fim_file *fa_fimbase_linked(
	const struct fa_fimbase *b, uint64_t dev, uint64_t ino, const char *not_path)
{
	for (struct fa_fim_file *f = b->files; f; f = f->hh.next) {
		if (f->st.ino == ino && f->st.dev == dev && f->st.nlink > 1 &&
			strcmp(f->path, not_path) != 0)
			return f;
	}
	return NULL;
}

static size_t rule_at(const struct fa_fimbase *b, const uint8_t digest[WIRE_SHA256_LEN])
{
	size_t i = 0;

	while (i < b->n_rules && memcmp(b->rule[i], digest, WIRE_SHA256_LEN) != 0)
		i++;
	return i;
}

bool fa_fimbase_has_rule(const struct fa_fimbase *b, const uint8_t digest[WIRE_SHA256_LEN])
{
	return rule_at(b, digest) < b->n_rules;
}

void fa_fimbase_set_rule(struct fa_fimbase *b, const uint8_t digest[WIRE_SHA256_LEN], bool there)
{
	size_t i = rule_at(b, digest);

	if (there && i == b->n_rules) {
		if (i == FA_FIM_RULES_MAX) /* the oldest was of another configuration */
			memmove(b->rule[0], b->rule[1], sizeof(b->rule[0]) * --i);
		memcpy(b->rule[i], digest, WIRE_SHA256_LEN);
		b->n_rules = i + 1;
	} else if (!there && i < b->n_rules) {
		memmove(b->rule[i], b->rule[i + 1], sizeof(b->rule[0]) * (--b->n_rules - i));
	}
}

/* ---- writing ---- */

static void add_u32(struct gi_buf *out, uint32_t v)
{
	gi_buf_append(out, &v, sizeof(v));
}

static void add_u64(struct gi_buf *out, uint64_t v)
{
	gi_buf_append(out, &v, sizeof(v));
}

static void add_letter(struct gi_buf *out, char letter)
{
	gi_buf_append(out, &letter, 1);
}

static void add_path(struct gi_buf *out, const char *path, size_t len)
{
	add_u32(out, (uint32_t)len);
	gi_buf_append(out, path, len);
}

static void add_file(const struct fa_fim_file *f, struct gi_buf *out)
{
	const struct fa_fim_state *s = &f->st;
	uint8_t has = s->has_sha;

	add_letter(out, REC_FILE);
	add_u32(out, s->mode);
	add_u32(out, s->uid);
	add_u32(out, s->gid);
	add_u32(out, s->nlink);
	add_u64(out, s->dev);
	add_u64(out, s->ino);
	add_u64(out, s->size);
	add_u64(out, s->mtime_ns);
	add_u64(out, s->ctime_ns);
	gi_buf_append(out, &has, 1);
	gi_buf_append(out, s->sha, sizeof(s->sha));
	add_path(out, f->path, f->path_len);
}

void fa_fimbase_encode(const struct fa_fimbase *b, struct gi_buf *out)
{
	gi_buf_append(out, MAGIC, MAGIC_LEN);
	for (size_t i = 0; i < b->n_rules; i++)
		fa_fimbase_change_rule(b->rule[i], true, out);
	for (const struct fa_fim_file *f = b->files; f; f = f->hh.next)
		add_file(f, out);
}

void fa_fimbase_change_path(const struct fa_fimbase *b, const char *path, struct gi_buf *out)
{
	const struct fa_fim_file *f = fa_fimbase_find(b, path);

	if (f) {
		add_file(f, out);
		return;
	}
	add_letter(out, REC_GONE);
	add_path(out, path, strlen(path));
}

void fa_fimbase_change_move(const char *from, const char *to, struct gi_buf *out)
{
	add_letter(out, REC_MOVE);
	add_path(out, from, strlen(from));
	add_path(out, to ? to : "", to ? strlen(to) : 0);
}

void fa_fimbase_change_rule(const uint8_t digest[WIRE_SHA256_LEN], bool there, struct gi_buf *out)
{
	add_letter(out, there ? REC_RULE : REC_NO_RULE);
	gi_buf_append(out, digest, WIRE_SHA256_LEN);
}

/* ---- reading ---- */

struct cursor { /* N reads, one check */
	const uint8_t *p;
	size_t left;
	bool bad;
};

static void take(struct cursor *c, void *ret, size_t len)
{
	if (c->bad || c->left < len) {
		c->bad = true;
		memset(ret, 0, len);
		return;
	}
	memcpy(ret, c->p, len);
	c->p += len;
	c->left -= len;
}

static uint32_t take_u32(struct cursor *c)
{
	uint32_t v;

	take(c, &v, sizeof(v));
	return v;
}

static uint64_t take_u64(struct cursor *c)
{
	uint64_t v;

	take(c, &v, sizeof(v));
	return v;
}

/* borrowed, not NUL-terminated */
static const char *take_path(struct cursor *c, size_t *ret_len)
{
	uint32_t len = take_u32(c);
	const char *path = (const char *)c->p;

	if (c->bad || len > WIRE_PATH_MAX || len > c->left) {
		c->bad = true;
		return NULL;
	}
	c->p += len;
	c->left -= len;
	*ret_len = len;
	return path;
}

static int apply_file(struct fa_fimbase *b, struct cursor *c)
{
	struct fa_fim_state s = { 0 };
	const char *path;
	uint8_t has;
	size_t len = 0;
	int err;

	s.mode = take_u32(c);
	s.uid = take_u32(c);
	s.gid = take_u32(c);
	s.nlink = take_u32(c);
	s.dev = take_u64(c);
	s.ino = take_u64(c);
	s.size = take_u64(c);
	s.mtime_ns = take_u64(c);
	s.ctime_ns = take_u64(c);
	take(c, &has, 1);
	s.has_sha = has == 1;
	take(c, s.sha, sizeof(s.sha));
	path = take_path(c, &len);
	if (c->bad || has > 1)
		return -GI_EPROTO;
	err = put(b, path, len, &s);
	return err == -EINVAL ? -GI_EPROTO : err;
}

static int path_copy(char dst[WIRE_PATH_MAX + 1], const char *path, size_t len)
{
	if (!path_ok(path, len))
		return -GI_EPROTO;
	memcpy(dst, path, len);
	dst[len] = '\0';
	return 0;
}

static int apply_gone(struct fa_fimbase *b, struct cursor *c)
{
	char path[WIRE_PATH_MAX + 1];
	size_t len = 0;
	const char *p = take_path(c, &len);

	if (c->bad || path_copy(path, p, len) < 0)
		return -GI_EPROTO;
	fa_fimbase_drop(b, path);
	return 0;
}

static int apply_move(struct fa_fimbase *b, struct cursor *c)
{
	char from[WIRE_PATH_MAX + 1], to[WIRE_PATH_MAX + 1];
	size_t from_len = 0, to_len = 0;
	const char *f = take_path(c, &from_len), *t = take_path(c, &to_len);

	if (c->bad || path_copy(from, f, from_len) < 0 || (to_len && path_copy(to, t, to_len) < 0))
		return -GI_EPROTO;
	fa_fimbase_move(b, from, to_len ? to : NULL);
	return 0;
}

static int apply_one(struct fa_fimbase *b, struct cursor *c)
{
	uint8_t letter, digest[WIRE_SHA256_LEN];

	take(c, &letter, 1);
	switch (letter) {
	case REC_FILE:
		return apply_file(b, c);
	case REC_GONE:
		return apply_gone(b, c);
	case REC_MOVE:
		return apply_move(b, c);
	case REC_RULE:
	case REC_NO_RULE:
		take(c, digest, sizeof(digest));
		if (c->bad)
			return -GI_EPROTO;
		fa_fimbase_set_rule(b, digest, letter == REC_RULE);
		return 0;
	default:
		return -GI_EPROTO;
	}
}

int fa_fimbase_apply(struct fa_fimbase *b, const void *buf, size_t len)
{
	struct cursor c = { .p = buf, .left = len };
	int err = apply_one(b, &c);

	return err == 0 && c.left ? -GI_EPROTO : err;
}

int fa_fimbase_decode(struct fa_fimbase *b, const void *buf, size_t len)
{
	struct cursor c = { .p = buf, .left = len };
	uint8_t magic[MAGIC_LEN];
	int err = 0;

	take(&c, magic, sizeof(magic));
	if (c.bad || memcmp(magic, MAGIC, sizeof(magic)) != 0)
		return -GI_EPROTO;
	while (err == 0 && c.left)
		err = apply_one(b, &c);
	return err;
}
