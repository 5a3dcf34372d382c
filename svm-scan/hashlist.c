/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hashlist.c - the administrator's list of contents: "allow|deny SHA256 [name]" a line; see scan.h
 *
 * First code that looks at the list; any bytes give diagnostics and an end. The list is a sorted
 * array, so that finding needs no lock; a hash begins with the number of its bucket in it, so that
 * finding takes two places in memory, not one a halving. Names stand one after the other in one
 * block of text. A content that is listed twice must be listed the same way.
 */
#include "svm-scan/scan.h"

#include <stdlib.h>
#include <string.h>
#include "lib/base/text.h"
#include "lib/conf/diag.h"
#include "lib/io/sha256.h"

#define LIST_MAX 4000000u /* lines with a hash */
#define BUCKET_BITS 20	  /* at most: 4 MiB */

struct list_item {
	uint8_t sha256[32];
	uint32_t name; /* offset in .names; 0: none */
	uint32_t line;
	bool deny;
};

struct scan_hashlist {
	struct list_item *items; /* owned */
	size_t n, room;
	uint32_t *
		first; /* owned, 2^bits + 1: of each bucket, the first item that is not before it */
	unsigned int bits;
	struct gi_buf names; /* each with its NUL; the first is "" */
};

struct list_line {
	const char *p, *end;
	const char *begin;
	int no;
};

static struct conf_pos pos_of(const struct list_line *l, const char *from, const char *to)
{
	return (struct conf_pos){ .line = l->no,
		.col = (int)(from - l->begin) + 1,
		.end_line = l->no,
		.end_col = (int)(to - l->begin) + 1 };
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* the next word of the line; false: none */
static bool next_word(struct list_line *l, const char **ret_from, const char **ret_to)
{
	while (l->p < l->end && is_space(*l->p))
		l->p++;
	*ret_from = l->p;
	while (l->p < l->end && !is_space(*l->p))
		l->p++;
	*ret_to = l->p;
	return *ret_to > *ret_from;
}

static int item_push(struct scan_hashlist *list, const struct list_item *item)
{
	struct list_item *items;
	size_t room = list->room ? 2 * list->room : 64;

	if (list->n < list->room) {
		list->items[list->n++] = *item;
		return 0;
	}
	items = reallocarray(list->items, room, sizeof(*items));
	if (!items)
		return -ENOMEM;
	list->items = items;
	list->room = room;
	list->items[list->n++] = *item;
	return 0;
}

/* what is left of the line, without blanks at its ends; a name for people */
static int parse_name(struct scan_hashlist *list, struct list_line *l, struct conf_diags *diags,
	uint32_t *ret_name)
{
	char name[EPS_SIGNATURE_MAX + 1];
	const char *from, *to;
	struct conf_pos pos;
	size_t len;

	if (!next_word(l, &from, &to))
		return 0;
	to = l->end;
	while (is_space(to[-1]))
		to--;
	pos = pos_of(l, from, to);
	len = (size_t)(to - from);
	if (len < sizeof(name)) {
		memcpy(name, from, len);
		name[len] = '\0';
	}
	if (len >= sizeof(name) || strlen(name) != len || !gi_text_is_clean(name, sizeof(name))) {
		conf_diag_add(diags, CONF_ERROR, &pos,
			"a name is at most %d bytes of UTF-8 without control characters",
			EPS_SIGNATURE_MAX);
		return 0;
	}
	*ret_name = (uint32_t)list->names.len;
	gi_buf_append(&list->names, name, len + 1);
	return gi_buf_error(&list->names);
}

static int parse_line(struct scan_hashlist *list, struct list_line *l, struct conf_diags *diags)
{
	static const char *const verbs[] = { "allow", "deny" };
	struct list_item item = { .line = (uint32_t)l->no };
	const char *from, *to;
	char word[16] = "";
	struct conf_pos pos;
	int err;

	if (!next_word(l, &from, &to) || *from == '#')
		return 0;
	pos = pos_of(l, from, to);
	if ((size_t)(to - from) < sizeof(word))
		memcpy(word, from, (size_t)(to - from));
	item.deny = strcmp(word, "deny") == 0;
	if (!item.deny && strcmp(word, "allow") != 0) {
		const char *better = conf_suggest(word, verbs, 2);

		conf_diag_add(diags, CONF_ERROR, &pos, "expected allow or deny%s%s%s",
			better ? "; did you mean \"" : "", better ? better : "",
			better ? "\"?" : "");
		return 0;
	}
	if (!next_word(l, &from, &to)) {
		pos = pos_of(l, l->end, l->end + 1);
		conf_diag_add(diags, CONF_ERROR, &pos, "the SHA-256 is missing");
		return 0;
	}
	pos = pos_of(l, from, to);
	if (io_sha256_parse(from, (size_t)(to - from), item.sha256) < 0) {
		conf_diag_add(diags, CONF_ERROR, &pos,
			"a SHA-256 is 64 hexadecimal digits; these are %zu bytes",
			(size_t)(to - from));
		return 0;
	}
	if (list->n >= LIST_MAX) {
		conf_diag_add(diags, CONF_ERROR, &pos, "more than %u hashes", LIST_MAX);
		return -GI_ESYNTAX; /* no use in reading on */
	}
	err = parse_name(list, l, diags, &item.name);
	return err < 0 ? err : item_push(list, &item);
}

static int item_cmp(const void *a, const void *b)
{
	const struct list_item *x = a, *y = b;
	int c = memcmp(x->sha256, y->sha256, sizeof(x->sha256));

	return c ? c : x->line < y->line ? -1 : x->line > y->line;
}

/* sorts; repetitions go, contradictions are mistakes */
static void list_settle(struct scan_hashlist *list, struct conf_diags *diags)
{
	size_t kept = 0;

	if (list->n)
		qsort(list->items, list->n, sizeof(*list->items), item_cmp);
	for (size_t i = 0; i < list->n; i++) {
		struct list_item *item = &list->items[i], *last = kept ? item : NULL;

		if (last)
			last = &list->items[kept - 1];
		if (!last || memcmp(last->sha256, item->sha256, sizeof(item->sha256)) != 0) {
			list->items[kept++] = *item;
			continue;
		}
		if (last->deny != item->deny) {
			struct conf_pos pos = { (int)item->line, 1, (int)item->line,
				item->deny ? 5 : 6 };

			conf_diag_add(diags, CONF_ERROR, &pos,
				"line %u says %s of the same content", last->line,
				last->deny ? "deny" : "allow");
		}
	}
	list->n = kept;
}

static size_t bucket_of(const struct scan_hashlist *list, const uint8_t sha256[32])
{
	uint32_t begin = (uint32_t)sha256[0] << 24 | (uint32_t)sha256[1] << 16 |
			 (uint32_t)sha256[2] << 8 | sha256[3];

	return begin >> (32 - list->bits);
}

/* about an item a bucket */
static int list_index(struct scan_hashlist *list)
{
	size_t buckets, b = 0;

	list->bits = 1;
	while (list->bits < BUCKET_BITS && ((size_t)1 << list->bits) < list->n)
		list->bits++;
	buckets = (size_t)1 << list->bits;
	list->first = malloc((buckets + 1) * sizeof(*list->first));
	if (!list->first)
		return -ENOMEM;
	for (size_t i = 0; i < list->n; i++)
		for (size_t of = bucket_of(list, list->items[i].sha256); b <= of; b++)
			list->first[b] = (uint32_t)i;
	for (; b <= buckets; b++)
		list->first[b] = (uint32_t)list->n;
	return 0;
}

int scan_hashlist_parse(
	const char *text, size_t len, struct conf_diags *diags, struct scan_hashlist **ret)
{
	struct scan_hashlist *list = calloc(1, sizeof(*list));
	struct list_line l = { .p = text, .no = 1 };
	const char *end = text + len;
	size_t errors = diags->n_errors;
	int err = 0;

	if (!list)
		return -ENOMEM;
	gi_buf_init(&list->names, UINT32_MAX);
	gi_buf_append(&list->names, "", 1);
	for (const char *p = text; err == 0 && p < end; p = l.end + 1, l.no++) {
		l.begin = l.p = p;
		l.end = memchr(p, '\n', (size_t)(end - p));
		if (!l.end)
			l.end = end;
		err = parse_line(list, &l, diags);
	}
	if (err == 0)
		err = gi_buf_error(&list->names);
	if (err == 0) {
		list_settle(list, diags);
		err = list_index(list);
	}
	if (err == 0 && diags->n_errors > errors)
		err = -GI_ESYNTAX;
	if (err < 0) {
		scan_hashlist_free(list);
		return err;
	}
	*ret = list;
	return 0;
}

void scan_hashlist_free(struct scan_hashlist *l)
{
	if (!l)
		return;
	free(l->items);
	free(l->first);
	gi_buf_fini(&l->names);
	free(l);
}

enum scan_listed scan_hashlist_find(
	const struct scan_hashlist *l, const uint8_t sha256[32], const char **ret_name)
{
	size_t bucket = l ? bucket_of(l, sha256) : 0;
	size_t lo = l ? l->first[bucket] : 0, hi = l ? l->first[bucket + 1] : 0;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct list_item *item = &l->items[mid];
		int c = memcmp(sha256, item->sha256, sizeof(item->sha256));

		if (c == 0) {
			*ret_name = gi_buf_str(&l->names) + item->name;
			return item->deny ? SCAN_LISTED_DENY : SCAN_LISTED_ALLOW;
		}
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return SCAN_NOT_LISTED;
}

size_t scan_hashlist_count(const struct scan_hashlist *l)
{
	return l ? l->n : 0;
}

int scan_hashlist_digest(const struct scan_hashlist *l, uint8_t ret[32])
{
	struct io_sha256 *h = NULL;
	int err = io_sha256_new(&h);

	if (err < 0)
		return err;
	for (size_t i = 0; l && i < l->n; i++) {
		uint8_t deny = l->items[i].deny;

		io_sha256_add(h, l->items[i].sha256, sizeof(l->items[i].sha256));
		io_sha256_add(h, &deny, 1);
	}
	io_sha256_end(h, ret);
	io_sha256_free(h);
	return 0;
}
