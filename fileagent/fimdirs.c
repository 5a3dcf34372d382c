/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fimdirs.c - directories by handle, see fimdirs.h
 */
#include "fileagent/fimdirs.h"

#include <stdlib.h>
#include <string.h>

void fa_fimdirs_init(struct fa_fimdirs *d)
{
	memset(d, 0, sizeof(*d));
}

static void dir_free(struct fa_fimdirs *d, struct fa_fim_dir *x)
{
	if (x->inside)
		HASH_DEL(d->inside, x);
	else
		HASH_DEL(d->outside, x);
	free(x->path);
	free(x);
}

void fa_fimdirs_fini(struct fa_fimdirs *d)
{
	struct fa_fim_dir *x, *tmp;

	HASH_ITER (hh, d->inside, x, tmp)
		dir_free(d, x);
	HASH_ITER (hh, d->outside, x, tmp)
		dir_free(d, x);
}

size_t fa_fimdirs_count(const struct fa_fimdirs *d)
{
	return HASH_COUNT(d->inside) + HASH_COUNT(d->outside);
}

size_t fa_fimdirs_key(uint64_t fsid, const void *handle, size_t len, uint8_t key[FA_FIM_HANDLE_MAX])
{
	if (len == 0 || len > FA_FIM_HANDLE_MAX - sizeof(fsid))
		return 0;
	memcpy(key, &fsid, sizeof(fsid));
	memcpy(key + sizeof(fsid), handle, len);
	return sizeof(fsid) + len;
}

static struct fa_fim_dir *find(const struct fa_fimdirs *d, const uint8_t *key, size_t len)
{
	struct fa_fim_dir *x;

	HASH_FIND(hh, d->inside, key, len, x);
	if (!x)
		HASH_FIND(hh, d->outside, key, len, x);
	return x;
}

const char *fa_fimdirs_find(struct fa_fimdirs *d, const uint8_t *key, size_t len)
{
	struct fa_fim_dir *x = find(d, key, len);

	if (!x)
		return NULL;
	if (!x->inside) { /* to the young end */
		HASH_DEL(d->outside, x);
		HASH_ADD_KEYPTR(hh, d->outside, x->key, x->key_len, x);
	}
	return x->path;
}

/* takes @path */
static int add(struct fa_fimdirs *d, const uint8_t *key, size_t len, char *path, bool inside)
{
	struct fa_fim_dir *x;

	if (inside && HASH_COUNT(d->inside) >= FA_FIM_DIRS_MAX) {
		free(path);
		return -GI_ELIMIT;
	}
	if (!inside && HASH_COUNT(d->outside) >= FA_FIM_OUTSIDE_MAX)
		dir_free(d, d->outside);
	x = calloc(1, sizeof(*x) + len);
	if (!x) {
		free(path);
		return -ENOMEM;
	}
	x->path = path;
	x->inside = inside;
	x->key_len = len;
	memcpy(x->key, key, len);
	if (inside)
		HASH_ADD_KEYPTR(hh, d->inside, x->key, x->key_len, x);
	else
		HASH_ADD_KEYPTR(hh, d->outside, x->key, x->key_len, x);
	return 0;
}

int fa_fimdirs_put(
	struct fa_fimdirs *d, const uint8_t *key, size_t len, const char *path, bool inside)
{
	struct fa_fim_dir *x = find(d, key, len);
	char *copy = strdup(path);

	if (!copy)
		return -ENOMEM;
	if (x)
		dir_free(d, x);
	return add(d, key, len, copy, inside);
}

/* what is behind @from in @path: "" or "/..."; NULL: @path is not below it */
static const char *below(const char *path, const char *from, size_t len)
{
	if (strncmp(path, from, len) != 0 || (path[len] != '\0' && path[len] != '/'))
		return NULL;
	return path + len;
}

static char *joined(const char *dir, const char *rest)
{
	size_t a = strlen(dir), b = strlen(rest);
	char *p = malloc(a + b + 1);

	if (!p)
		return NULL;
	memcpy(p, dir, a);
	memcpy(p + a, rest, b + 1);
	return p;
}

static void move_in(struct fa_fimdirs *d, struct fa_fim_dir *head, const char *from, const char *to,
	bool inside)
{
	size_t len = strlen(from), n = HASH_COUNT(head);
	struct fa_fim_dir *x = head, *next;

	for (; x && n > 0; x = next, n--) {
		const char *rest = below(x->path, from, len);
		uint8_t key[FA_FIM_HANDLE_MAX];
		size_t key_len = x->key_len;
		char *path;

		next = x->hh.next;
		if (!rest)
			continue;
		path = to ? joined(to, rest) : NULL;
		memcpy(key, x->key, key_len);
		dir_free(d, x);
		if (path && add(d, key, key_len, path, inside) < 0)
			return; /* not known any more: asked for again */
	}
}

void fa_fimdirs_move(struct fa_fimdirs *d, const char *from, const char *to, bool inside)
{
	/* each list once: what changes lists is not met twice, as its path has changed too */
	move_in(d, d->inside, from, to, inside);
	move_in(d, d->outside, from, to, inside);
}
