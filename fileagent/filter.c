/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * filter.c - what the configuration says about one event, see filter.h
 *
 * Runs in the worker for each event and in the supervisor for FA_OP_OPEN. All paths of all items
 * stand in one array sorted by length and bytes; a lookup asks it for each directory of the path,
 * from the longest on. Invariant: entries have no trailing, double or dot parts; "/" has length 0.
 */
#include "fileagent/filter.h"

#include <stdlib.h>
#include <string.h>
#include "fileagent/fan.h"
#include "fileagent/rec.h"
#include "lib/base/text.h"

struct filter_entry { /* what is said about one path, by whoever says something */
	char *path;   /* owned */
	size_t len;
	int watch, fim;		   /* index, or -1 */
	bool excluded;		   /* exclude-paths */
	uint64_t watch_ex, fim_ex; /* a bit each watch and rule that excludes it */
};

struct filter_uids {
	uint32_t *uid; /* owned, sorted */
	size_t n;
};

struct filter_names {
	char **name; /* owned, sorted */
	size_t n;
};

struct fa_filter {
	struct filter_entry *entries; /* owned, sorted */
	size_t n_entries, cap;
	struct fa_policy *policies; /* a watch each; owned, names too */
	size_t n_policies;
	char **fims; /* owned names */
	size_t n_fims;
	struct fa_policy foreign;
	struct filter_uids in_uids, ex_uids;
	struct filter_names in_programs, ex_programs;
};

_Static_assert(FA_WATCH_MAX <= 64 && FA_FIM_MAX <= 64, "a bit each");

static int filter_fill(struct fa_filter *f, const struct fa_conf *c);
static int entry_cmp(const void *a, const void *b);
static const struct filter_entry *entry_find(const struct fa_filter *f, const char *p, size_t len);
static int uid_cmp(const void *a, const void *b);
static int name_cmp(const void *a, const void *b);

int fa_filter_new(const struct fa_conf *conf, struct fa_filter **ret)
{
	struct fa_filter *f = calloc(1, sizeof(*f));
	int err;

	if (!f)
		return -ENOMEM;
	err = filter_fill(f, conf);
	if (err < 0) {
		fa_filter_free(f);
		return err;
	}
	*ret = f;
	return 0;
}

static void names_free(char **names, size_t n)
{
	for (size_t i = 0; names && i < n; i++)
		free(names[i]);
	free(names);
}

void fa_filter_free(struct fa_filter *f)
{
	if (!f)
		return;
	for (size_t i = 0; i < f->n_entries; i++)
		free(f->entries[i].path);
	free(f->entries);
	for (size_t i = 0; i < f->n_policies; i++)
		free((char *)f->policies[i].watch);
	free(f->policies);
	names_free(f->fims, f->n_fims);
	free(f->in_uids.uid);
	free(f->ex_uids.uid);
	names_free(f->in_programs.name, f->in_programs.n);
	names_free(f->ex_programs.name, f->ex_programs.n);
	free(f);
}

/* the directory that holds what @len bytes of @path name: "/a/b" -> "/a" -> "" */
static size_t path_up(const char *path, size_t len)
{
	while (len > 0 && path[len - 1] != '/')
		len--;
	while (len > 0 && path[len - 1] == '/')
		len--;
	return len;
}

enum fa_filtered fa_filter_path(const struct fa_filter *f, const char *path, size_t len,
	bool foreign, struct fa_policy *ret)
{
	bool excluded = false;
	uint64_t ex = 0;

	if (foreign || len == 0 || path[0] != '/') {
		if (f->n_policies == 0)
			return FA_OUTSIDE;
		*ret = f->foreign;
		return FA_WATCHED;
	}
	for (len = path[len - 1] == '/' ? path_up(path, len) : len;; len = path_up(path, len)) {
		const struct filter_entry *e = entry_find(f, path, len);

		if (e) {
			excluded = excluded || e->excluded;
			ex |= e->watch_ex;
		}
		if (e && e->watch >= 0) {
			if (excluded || (ex & (uint64_t)1 << e->watch))
				return FA_EXCLUDED;
			*ret = f->policies[e->watch];
			return FA_WATCHED;
		}
		if (len == 0)
			return FA_OUTSIDE;
	}
}

enum fa_filtered fa_filter_file(const struct fa_filter *f, const struct fa_mounts *mounts,
	uint64_t mnt_id, const char *path, size_t len, struct fa_policy *ret)
{
	const struct fa_mount *from = fa_mounts_by_id(mounts, mnt_id);
	enum fa_filtered got = fa_filter_path(f, path, len, mnt_id && !from, ret);
	char alias[FA_REC_PATH_MAX + 1];
	size_t n;

	for (size_t i = 0; from && got != FA_WATCHED && i < mounts->n; i++) {
		const struct fa_mount *to = &mounts->list[i];
		enum fa_filtered other;

		if (to == from || to->dev != from->dev ||
			!fa_mounts_alias(from, to, path, len, alias, sizeof(alias), &n))
			continue;
		other = fa_filter_path(f, alias, n, false, ret);
		if (other != FA_OUTSIDE)
			got = other;
	}
	return got;
}

const char *fa_filter_fim(const struct fa_filter *f, const char *path, size_t len)
{
	uint64_t ex = 0;

	if (f->n_fims == 0 || len == 0 || path[0] != '/')
		return NULL;
	for (len = path[len - 1] == '/' ? path_up(path, len) : len;; len = path_up(path, len)) {
		const struct filter_entry *e = entry_find(f, path, len);

		if (e)
			ex |= e->fim_ex;
		if (e && e->fim >= 0 && !(ex & (uint64_t)1 << e->fim))
			return f->fims[e->fim];
		if (len == 0)
			return NULL;
	}
}

bool fa_filter_may_open(const struct fa_filter *f, const char *path, size_t len)
{
	if (len == 0 || path[0] != '/')
		return false;
	for (;; len = path_up(path, len)) {
		const struct filter_entry *e = entry_find(f, path, len);

		if (e && (e->watch >= 0 || e->fim >= 0))
			return true;
		if (len == 0)
			return false;
	}
}

static bool uids_have(const struct filter_uids *u, uint32_t uid)
{
	return u->n && bsearch(&uid, u->uid, u->n, sizeof(*u->uid), uid_cmp);
}

bool fa_filter_uid(const struct fa_filter *f, uint32_t uid)
{
	if (uids_have(&f->ex_uids, uid))
		return false;
	return f->in_uids.n == 0 || uids_have(&f->in_uids, uid);
}

static bool names_have(const struct filter_names *l, const char *name)
{
	return l->n && bsearch(&name, l->name, l->n, sizeof(*l->name), name_cmp);
}

bool fa_filter_program(const struct fa_filter *f, const char *exe, bool verified)
{
	if (!verified)
		return true;
	if (names_have(&f->ex_programs, exe))
		return false;
	return f->in_programs.n == 0 || names_have(&f->in_programs, exe);
}

bool fa_filter_needs_uid(const struct fa_filter *f)
{
	return f->in_uids.n || f->ex_uids.n;
}

bool fa_filter_needs_program(const struct fa_filter *f)
{
	return f->in_programs.n || f->ex_programs.n;
}

/* ---- lookup ---- */

static int path_cmp(const char *a, size_t a_len, const char *b, size_t b_len)
{
	if (a_len != b_len)
		return a_len < b_len ? -1 : 1;
	return memcmp(a, b, a_len);
}

static int entry_cmp(const void *a, const void *b)
{
	const struct filter_entry *x = a, *y = b;

	return path_cmp(x->path, x->len, y->path, y->len);
}

static const struct filter_entry *entry_find(const struct fa_filter *f, const char *p, size_t len)
{
	size_t lo = 0, hi = f->n_entries;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct filter_entry *e = &f->entries[mid];
		int c = path_cmp(p, len, e->path, e->len);

		if (c == 0)
			return e;
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}

static int uid_cmp(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static int name_cmp(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* ---- building ---- */

/* one entry a path while filling: linear, at start and reload only */
static int entry_get(struct fa_filter *f, const char *path, struct filter_entry **ret)
{
	size_t len = 0;
	char *p = malloc(strlen(path) + 1);

	if (!p)
		return -ENOMEM;
	for (const char *s = path; *s; s++) {
		if (*s == '/' && (s[1] == '/' || !s[1]))
			continue;
		p[len++] = *s;
	}
	p[len] = '\0';
	for (size_t i = 0; i < f->n_entries; i++) {
		if (path_cmp(p, len, f->entries[i].path, f->entries[i].len) == 0) {
			free(p);
			*ret = &f->entries[i];
			return 0;
		}
	}
	if (f->n_entries == f->cap) {
		size_t cap = f->cap ? 2 * f->cap : 16;
		struct filter_entry *e = reallocarray(f->entries, cap, sizeof(*e));

		if (!e) {
			free(p);
			return -ENOMEM;
		}
		f->entries = e;
		f->cap = cap;
	}
	*ret = &f->entries[f->n_entries++];
	**ret = (struct filter_entry){ .path = p, .len = len, .watch = -1, .fim = -1 };
	return 0;
}

static int fill_watches(struct fa_filter *f, const struct fa_conf *c)
{
	uint32_t general = 0;
	const char *bad;
	int err = fa_conf_strict(&c->on_failure, 0, &general, &bad);

	f->policies = calloc(c->watches.n + 1, sizeof(*f->policies));
	if (!f->policies)
		return -ENOMEM;
	if (err == 0)
		err = fa_conf_errno(c->on_block, &f->foreign.block_errno);
	f->foreign.watch = "";
	for (size_t i = 0; err == 0 && i < c->watches.n; i++) {
		const struct fa_watch_conf *w = fa_conf_watch(c, i);
		struct fa_policy *p = &f->policies[i];
		struct filter_entry *e;

		p->watch = strdup(w->label);
		if (!p->watch)
			return -ENOMEM;
		f->n_policies++;
		err = fa_conf_events(&w->events, &p->events);
		if (err == 0)
			err = fa_conf_strict(&w->on_failure, general, &p->strict, &bad);
		if (err == 0)
			err = fa_conf_errno(
				w->on_block ? w->on_block : c->on_block, &p->block_errno);
		if (err == 0)
			err = entry_get(f, w->path, &e);
		if (err == 0)
			e->watch = (int)i;
		for (size_t k = 0; err == 0 && k < w->exclude.n; k++) {
			err = entry_get(f, w->exclude.items[k], &e);
			if (err == 0)
				e->watch_ex |= (uint64_t)1 << i;
		}
		f->foreign.events |= p->events;
		f->foreign.strict |= p->strict;
	}
	return err;
}

static int fill_fims(struct fa_filter *f, const struct fa_conf *c)
{
	struct filter_entry *e;
	int err = 0;

	f->fims = calloc(c->fims.n + 1, sizeof(*f->fims));
	if (!f->fims)
		return -ENOMEM;
	for (size_t i = 0; err == 0 && i < c->fims.n; i++) {
		const struct fa_fim_conf *r = fa_conf_fim(c, i);

		f->fims[i] = strdup(r->label);
		if (!f->fims[i])
			return -ENOMEM;
		f->n_fims++;
		for (size_t k = 0; err == 0 && k < r->paths.n; k++) {
			err = entry_get(f, r->paths.items[k], &e);
			if (err == 0)
				e->fim = (int)i;
		}
		for (size_t k = 0; err == 0 && k < r->exclude.n; k++) {
			err = entry_get(f, r->exclude.items[k], &e);
			if (err == 0)
				e->fim_ex |= (uint64_t)1 << i;
		}
	}
	return err;
}

static int fill_uids(struct filter_uids *u, const struct conf_list *l)
{
	uint64_t uid;

	u->uid = calloc(l->n + 1, sizeof(*u->uid));
	if (!u->uid)
		return -ENOMEM;
	for (; u->n < l->n; u->n++) {
		if (gi_text_u64(l->items[u->n], 0, UINT32_MAX - 1, &uid) < 0)
			return -EINVAL;
		u->uid[u->n] = (uint32_t)uid;
	}
	qsort(u->uid, u->n, sizeof(*u->uid), uid_cmp);
	return 0;
}

static int fill_names(struct filter_names *names, const struct conf_list *l)
{
	names->name = calloc(l->n + 1, sizeof(*names->name));
	if (!names->name)
		return -ENOMEM;
	for (; names->n < l->n; names->n++) {
		names->name[names->n] = strdup(l->items[names->n]);
		if (!names->name[names->n])
			return -ENOMEM;
	}
	qsort(names->name, names->n, sizeof(*names->name), name_cmp);
	return 0;
}

static int filter_fill(struct fa_filter *f, const struct fa_conf *c)
{
	struct filter_entry *e;
	int err = fill_watches(f, c);

	if (err == 0)
		err = fill_fims(f, c);
	for (size_t i = 0; err == 0 && i < c->exclude_paths.n; i++) {
		err = entry_get(f, c->exclude_paths.items[i], &e);
		if (err == 0)
			e->excluded = true;
	}
	if (err == 0)
		err = fill_uids(&f->in_uids, &c->include_uids);
	if (err == 0)
		err = fill_uids(&f->ex_uids, &c->exclude_uids);
	if (err == 0)
		err = fill_names(&f->in_programs, &c->include_programs);
	if (err == 0)
		err = fill_names(&f->ex_programs, &c->exclude_programs);
	if (f->n_entries)
		qsort(f->entries, f->n_entries, sizeof(*f->entries), entry_cmp);
	return err;
}
