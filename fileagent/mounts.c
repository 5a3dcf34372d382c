/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mounts.c - what is mounted in our namespace, see mounts.h
 *
 * Supervisor and worker. The text comes from the kernel, but mount points are named by users:
 * each field is bounded. Invariant: the list is sorted by id.
 */
#include "fileagent/mounts.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include "lib/conf/conf.h"

#define MOUNTS_TEXT_MAX (32u << 20)
#define MOUNTS_FIELDS 5 /* id parent major:minor root point */

static int mount_cmp(const void *a, const void *b)
{
	const struct fa_mount *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

/* "\040" and the like back to bytes */
static char *mount_unescape(const char *p, size_t len)
{
	char *out = malloc(len + 1);
	size_t n = 0;

	for (size_t i = 0; out && i < len; i++) {
		if (p[i] == '\\' && i + 3 < len && p[i + 1] >= '0' && p[i + 1] <= '3' &&
			p[i + 2] >= '0' && p[i + 2] <= '7' && p[i + 3] >= '0' && p[i + 3] <= '7') {
			out[n++] = (char)((p[i + 1] - '0') << 6 | (p[i + 2] - '0') << 3 |
					  (p[i + 3] - '0'));
			i += 3;
		} else {
			out[n++] = p[i];
		}
	}
	if (out)
		out[n] = '\0';
	return out;
}

static void mount_fini(struct fa_mount *m)
{
	free(m->root);
	free(m->point);
	free(m->type);
	free(m->opts);
}

/* 1: taken, 0: no sense, -ENOMEM */
static int mount_line(const char *line, size_t len, struct fa_mount *ret)
{
	const char *field[MOUNTS_FIELDS], *end = line + len, *p = line, *type;
	size_t flen[MOUNTS_FIELDS];
	unsigned int maj, min;

	for (size_t i = 0; i < MOUNTS_FIELDS; i++) {
		const char *sp = memchr(p, ' ', (size_t)(end - p));

		if (!sp)
			return 0;
		field[i] = p;
		flen[i] = (size_t)(sp - p);
		p = sp + 1;
	}
	type = memmem(p, (size_t)(end - p), " - ", 3);
	if (!type || sscanf(field[2], "%u:%u", &maj, &min) != 2)
		return 0;
	type += 3;
	*ret = (struct fa_mount){ .id = strtoull(field[0], NULL, 10), .dev = makedev(maj, min) };
	for (p = type; p < end && *p != ' '; p++)
		;
	ret->root = mount_unescape(field[3], flen[3]);
	ret->point = mount_unescape(field[4], flen[4]);
	ret->type = mount_unescape(type, (size_t)(p - type));
	p = p < end ? memchr(p + 1, ' ', (size_t)(end - p - 1)) : NULL; /* behind the source */
	if (p && ret->type && strcmp(ret->type, "overlay") == 0)
		ret->opts = mount_unescape(p + 1, (size_t)(end - p - 1));
	if (!ret->root || !ret->point || !ret->type) {
		mount_fini(ret);
		return -ENOMEM;
	}
	return 1;
}

int fa_mounts_parse(const char *text, struct fa_mounts *ret)
{
	struct fa_mounts m = { 0 };
	size_t cap = 0;
	int err = 0;

	for (const char *p = text; *p && err >= 0;) {
		size_t len = strcspn(p, "\n");

		if (m.n == cap) {
			struct fa_mount *list;

			cap = cap ? 2 * cap : 64;
			list = cap > FA_MOUNTS_MAX ? NULL
						   : reallocarray(m.list, cap, sizeof(*list));
			if (!list) {
				err = cap > FA_MOUNTS_MAX ? -GI_ELIMIT : -ENOMEM;
				break;
			}
			m.list = list;
		}
		err = mount_line(p, len, &m.list[m.n]);
		if (err > 0)
			m.n++;
		p += len + (p[len] == '\n');
	}
	if (err < 0) {
		fa_mounts_fini(&m);
		return err;
	}
	if (m.n)
		qsort(m.list, m.n, sizeof(*m.list), mount_cmp);
	*ret = m;
	return 0;
}

int fa_mounts_read(const char *path, struct fa_mounts *ret)
{
	char *text = NULL;
	size_t len;
	int err = conf_read_file(path, MOUNTS_TEXT_MAX, &text, &len);

	if (err == 0)
		err = fa_mounts_parse(text, ret);
	free(text);
	return err;
}

void fa_mounts_fini(struct fa_mounts *m)
{
	for (size_t i = 0; i < m->n; i++)
		mount_fini(&m->list[i]);
	free(m->list);
	*m = (struct fa_mounts){ 0 };
}

const struct fa_mount *fa_mounts_by_id(const struct fa_mounts *m, uint64_t id)
{
	const struct fa_mount key = { .id = id };

	return m->n ? bsearch(&key, m->list, m->n, sizeof(*m->list), mount_cmp) : NULL;
}

int fa_mounts_of(const struct fa_mounts *m, const char *path, const struct fa_mount **ret)
{
	const struct fa_mount *found;
	struct statx stx;

	if (statx(AT_FDCWD, path, AT_NO_AUTOMOUNT, STATX_MNT_ID, &stx) < 0)
		return -errno;
	found = stx.stx_mask & STATX_MNT_ID ? fa_mounts_by_id(m, stx.stx_mnt_id) : NULL;
	if (!found)
		return -GI_ENOTFOUND;
	*ret = found;
	return 0;
}

/* what of @path lies below @dir; NULL: it does not. "/" is above all */
static const char *path_below(const char *dir, const char *path, size_t len, size_t *ret_len)
{
	size_t n = strcmp(dir, "/") == 0 ? 0 : strlen(dir);

	if (len < n || memcmp(dir, path, n) != 0 || (len > n && path[n] != '/'))
		return NULL;
	*ret_len = len - n;
	return path + n;
}

bool fa_mounts_alias(const struct fa_mount *from, const struct fa_mount *to, const char *path,
	size_t len, char *ret, size_t size, size_t *ret_len)
{
	const char *root = strcmp(from->root, "/") == 0 ? "" : from->root, *point, *rest;
	size_t n;
	int k;

	rest = path_below(from->point, path, len, &n);
	if (!rest)
		return false;
	k = snprintf(ret, size, "%s%.*s", root, (int)n, rest);
	if (k < 0 || (size_t)k >= size)
		return false;
	rest = path_below(to->root, ret, (size_t)k, &n);
	point = strcmp(to->point, "/") == 0 ? "" : to->point;
	k = (int)strlen(point);
	if (!rest || (size_t)k + n >= size)
		return false;
	memmove(ret + k, rest, n);
	memcpy(ret, point, (size_t)k);
	ret[(size_t)k + n] = '\0';
	*ret_len = (size_t)k + n;
	return true;
}

/* @p up to an unescaped one of @stops, without its backslashes; returns what is behind */
static const char *word_copy(const char *p, const char *stops, char ret[PATH_MAX])
{
	size_t n = 0;

	for (; *p && !strchr(stops, *p); p++) {
		if (*p == '\\' && p[1])
			p++;
		if (n < PATH_MAX - 1)
			ret[n++] = *p;
	}
	ret[n] = '\0';
	return p;
}

bool fa_mounts_layers(const char *opts, bool (*each)(void *arg, const char *path), void *arg)
{
	static const char *const keys[] = { "lowerdir", "lowerdir+", "datadir+", "upperdir" };
	char word[PATH_MAX];
	bool going = true;

	for (const char *p = opts; going && *p; p += *p == ',') {
		bool is_key = false;

		p = word_copy(p, "=,", word);
		for (size_t i = 0; i < GI_ARRAY_SIZE(keys); i++)
			is_key = is_key || strcmp(word, keys[i]) == 0;
		while (going && (*p == '=' || *p == ':')) {
			p = word_copy(p + 1, is_key ? ":," : ",", word);
			if (is_key && word[0]) /* "::": data alone follows */
				going = each(arg, word);
		}
	}
	return going;
}

const struct fa_mount *fa_mounts_by_dev(const struct fa_mounts *m, dev_t dev)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->list[i].dev == dev)
			return &m->list[i];
	return NULL;
}
