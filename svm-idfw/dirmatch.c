/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirmatch.c - one search for the groups of several accounts or groups, and who is in which
 *
 * Runs in a thread of the directory child. What is asked for is a table of member values, each with
 * those that it stands for; the values that come with a group are looked up in it. DNs are compared
 * without case, names and numbers byte by byte.
 * Failure direction: a value that is not in the table (spelt in another way than it was asked for),
 * an entry without any, two DNs that differ by case alone: unclear, nothing counts.
 * Source: RFC 3876 (matched values), RFC 4512 4.2 (subschema).
 */
#include "svm-idfw/dirmatch.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <uthash.h>

#include "svm-idfw/dirclimb_int.h"

#define MATCH_FILTER_MAX (4u << 20)

struct match_value {
	uint32_t target;
	struct match_value *more; /* owned: the same value, another target */
	UT_hash_handle hh;
	size_t len;
	char text[]; /* as it was asked for; behind it the key: its kind, and it without case */
};

/* ---- what the server knows ---- */

static bool quoted(const char *value, size_t len, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i + n + 2 <= len; i++)
		if (value[i] == '\'' && value[i + n + 1] == '\'' &&
			strncasecmp(value + i + 1, name, n) == 0)
			return true;
	return false;
}

struct known {
	const char *all[2 * DIR_SCHEMA_ALL]; /* what may be asked for */
	bool is[2 * DIR_SCHEMA_ALL];
	size_t n;
};

static int known_value(void *arg, const uint8_t *value, size_t len)
{
	struct known *k = arg;

	for (size_t i = 0; i < k->n; i++)
		k->is[i] |= quoted((const char *)value, len, k->all[i]);
	return 0;
}

static int known_entry(void *arg, struct dldap_entry *e)
{
	return dldap_entry_each(e, "attributeTypes", known_value, arg);
}

static void known_add(struct known *k, const char *const *list)
{
	size_t i;

	for (; *list; list++) {
		for (i = 0; i < k->n && strcasecmp(k->all[i], *list) != 0; i++)
			;
		if (i == k->n && k->n < GI_ARRAY_SIZE(k->all))
			k->all[k->n++] = *list;
	}
}

int dir_match_known(struct dir_back *b, const char *subschema, char why[DIR_WHY_MAX])
{
	static const char *const attrs[] = { "attributeTypes", NULL };
	const char *list[DIR_SCHEMA_ALL];
	struct known k = { .n = 0 };
	const struct dldap_query q = { .base = subschema,
		.filter = "(objectClass=*)",
		.scope = DLDAP_BASE,
		.attrs = attrs,
		.max = 1,
		.entry = known_entry,
		.arg = &k };
	size_t n = 0;
	int err;

	b->values[0] = NULL;
	if (!subschema[0])
		return 0;
	dir_schema_attrs(&b->schema, list);
	known_add(&k, list);
	known_add(&k, b->schema.member);
	known_add(&k, b->schema.member_uid);
	err = dldap_search(b->watch, &q, why);
	for (size_t i = 0; err == 0 && i < k.n && n < DIR_SCHEMA_ALL - 1; i++)
		if (k.is[i])
			b->values[n++] = k.all[i];
	b->values[n] = NULL;
	return err == -ECONNRESET || err == -ETIMEDOUT ? err : 0;
}

static bool is_known(const struct dir_back *b, const char *attr)
{
	for (size_t i = 0; b->values[i]; i++)
		if (strcasecmp(b->values[i], attr) == 0)
			return true;
	return false;
}

/* ---- values, and for whom they are asked ---- */

static void values_free(struct dir_match *m)
{
	struct match_value *v, *next, *more;

	HASH_ITER (hh, m->values, v, next) {
		HASH_DEL(m->values, v);
		for (; v; v = more) {
			more = v->more;
			free(v);
		}
	}
}

static struct match_value *value_new(enum dir_match_kind kind, const void *text, size_t len)
{
	struct match_value *v = malloc(sizeof(*v) + 2 * len + 1);
	char *key;

	if (!v)
		return NULL;
	*v = (struct match_value){ .len = len };
	memcpy(v->text, text, len);
	key = v->text + len;
	*key++ = (char)('0' + kind);
	for (size_t i = 0; i < len; i++) {
		char c = v->text[i];

		key[i] = kind == DIR_MATCH_DN && c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
	}
	return v;
}

static struct match_value *value_find(const struct dir_match *m, const struct match_value *like)
{
	struct match_value *v;

	HASH_FIND(hh, m->values, like->text + like->len, like->len + 1, v);
	return v;
}

static const char *const *attrs_of(const struct dir_match *m, enum dir_match_kind kind)
{
	const struct dir_schema *s = &m->b->schema;

	return kind == DIR_MATCH_DN    ? s->member
	       : kind == DIR_MATCH_UID ? s->member_uid
				       : s->gid_number;
}

int dir_match_value(
	struct dir_match *m, enum dir_match_kind kind, const char *text, size_t len, size_t target)
{
	const char *const *attrs = attrs_of(m, kind);
	struct match_value *v, *old;

	if (!attrs[0])
		return 0;
	v = value_new(kind, text, len);
	if (!v)
		return -ENOMEM;
	v->target = (uint32_t)target;
	old = value_find(m, v);
	if (old) {
		m->unclear |= memcmp(old->text, text, len) != 0;
		v->more = old->more;
		old->more = v;
		return 0;
	}
	HASH_ADD_KEYPTR(hh, m->values, v->text + len, len + 1, v);
	dir_filter_groups_add(&m->filter, attrs, text, len);
	for (; *attrs; attrs++) {
		const char *const one[] = { *attrs, NULL };

		if (is_known(m->b, *attrs))
			dir_filter_groups_add(&m->only, one, text, len);
	}
	return 0;
}

/* ---- what comes ---- */

static int value_hit(struct dir_match *m, enum dir_match_kind kind, const uint8_t *text, size_t len)
{
	struct match_value *like = value_new(kind, text, len), *v;

	if (!like)
		return -ENOMEM;
	v = value_find(m, like);
	m->unclear |= !v;
	for (; v; v = v->more)
		m->hit[v->target] = 1;
	free(like);
	return 0;
}

static int hit_dn(void *arg, const uint8_t *value, size_t len)
{
	return value_hit(arg, DIR_MATCH_DN, value, len);
}

static int hit_uid(void *arg, const uint8_t *value, size_t len)
{
	return value_hit(arg, DIR_MATCH_UID, value, len);
}

static int hit_gid(void *arg, const uint8_t *value, size_t len)
{
	return value_hit(arg, DIR_MATCH_GID, value, len);
}

static int hits(struct dir_match *m, struct dldap_entry *e)
{
	const struct dir_schema *s = &m->b->schema;
	int err = 0;
	size_t i;

	memset(m->hit, 0, m->n_targets);
	for (i = 0; err == 0 && s->member[i]; i++)
		err = dldap_entry_each(e, s->member[i], hit_dn, m);
	for (i = 0; err == 0 && s->member_uid[i]; i++)
		err = dldap_entry_each(e, s->member_uid[i], hit_uid, m);
	for (i = 0; err == 0 && s->gid_number[i]; i++)
		err = dldap_entry_each(e, s->gid_number[i], hit_gid, m);
	return err;
}

static int group_entry(void *arg, struct dldap_entry *e)
{
	struct dir_match *m = arg;
	const struct climb any = { .schema = &m->b->schema };
	struct dir_group g;
	bool some = false;
	int err;

	if (!climb_is_group(&any, e)) {
		m->unclear = true; /* it was asked for by the class of one */
		return 0;
	}
	err = hits(m, e);
	if (err == 0)
		err = dir_group_read(&g, e, &m->b->schema);
	if (err < 0)
		return err;
	for (size_t i = 0; err == 0 && i < m->n_targets; i++) {
		if (!m->hit[i])
			continue;
		some = true;
		err = climb_note(m->target[i], &m->b->schema, &g, e);
	}
	m->unclear |= !some;
	dir_group_fini(&g);
	return err;
}

/* ---- a search ---- */

void dir_match_init(struct dir_match *m, struct dir_back *b)
{
	*m = (struct dir_match){ .b = b };
	gi_buf_init(&m->filter, MATCH_FILTER_MAX);
	gi_buf_init(&m->only, MATCH_FILTER_MAX);
}

void dir_match_fini(struct dir_match *m)
{
	values_free(m);
	free(m->target);
	free(m->hit);
	gi_buf_fini(&m->filter);
	gi_buf_fini(&m->only);
}

int dir_match_begin(struct dir_match *m, size_t max_targets)
{
	values_free(m);
	free(m->target);
	free(m->hit);
	m->n_targets = 0;
	m->unclear = false;
	m->target = calloc(max_targets + 1, sizeof(*m->target));
	m->hit = calloc(max_targets + 1, 1);
	gi_buf_reset(&m->filter);
	gi_buf_reset(&m->only);
	dir_filter_groups_begin(&m->filter, &m->b->schema);
	gi_buf_append(&m->only, "(", 1);
	return m->target && m->hit ? 0 : -ENOMEM;
}

size_t dir_match_target(struct dir_match *m, struct dir_memo_note *note)
{
	m->target[m->n_targets] = note;
	return m->n_targets++;
}

static bool is_in(const char *const *list, const char *attr)
{
	for (; *list; list++)
		if (strcasecmp(*list, attr) == 0)
			return true;
	return false;
}

int dir_match_run(struct dir_match *m, char why[DIR_WHY_MAX])
{
	const struct dir_schema *s = &m->b->schema;
	int err;

	if (!m->values || m->unclear)
		return 0;
	dir_filter_groups_end(&m->filter);
	for (size_t i = 0; m->b->values[i]; i++) {
		const char *a = m->b->values[i];

		if (!is_in(s->member, a) && !is_in(s->member_uid, a) && !is_in(s->gid_number, a))
			gi_buf_printf(&m->only, "(%s=*)", a);
	}
	gi_buf_append(&m->only, ")", 1);
	err = gi_buf_error(&m->filter);
	if (err == 0)
		err = gi_buf_error(&m->only);
	if (err == 0) {
		const char *base = m->b->conf->group_base;
		const struct dldap_query q = { .base = base ? base : m->b->root,
			.filter = gi_buf_str(&m->filter),
			.scope = DLDAP_SUBTREE,
			.attrs = m->b->values,
			.page = m->b->page,
			.max = DIR_ANSWER_GROUPS_MAX,
			.entry = group_entry,
			.arg = m,
			.values = gi_buf_str(&m->only) };

		err = dldap_search(m->b->look, &q, why);
	}
	return err;
}
