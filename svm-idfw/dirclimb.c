/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirclimb.c - an account and all its groups in an OpenLDAP-like directory, whatever its schema
 *
 * Runs in the directory child; called by diropenldap.c. Level by level from the account upwards:
 * one search for all groups that name an entry of the level below as a member (by DN; on the first
 * level also by account name and primary group number), then a read of each group that an entry's
 * memberOf names and that search did not find. A group is taken once (by its unique id, else by
 * its DN), so a cycle, or a DN that is spelt in two ways, ends there.
 * What the groups of a level are in is remembered (dirmemo.h): most accounts cost two requests.
 * Invariant: all groups or a failure; a missing group may be one that a drop rule names.
 * Source: RFC 2307, draft-howard-rfc2307bis-02, slapo-memberof(5), RFC 4530 (entryUUID).
 */
#include "svm-idfw/dirclimb_int.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/io/loop.h"

/* ---- what is known ---- */

static int climb_dn(struct climb *c, const char *dn, size_t len, struct climb_dn **ret)
{
	struct climb_dn *d = malloc(sizeof(*d) + 2 * len + 2), *old = NULL;
	size_t i;

	if (!d)
		return -ENOMEM;
	d->taken = false;
	memcpy(d->dn, dn, len);
	d->dn[len] = '\0';
	for (i = 0; i < len; i++)
		d->dn[len + 1 + i] = dn[i] >= 'A' && dn[i] <= 'Z' ? (char)(dn[i] | 0x20) : dn[i];
	HASH_FIND(hh, c->dns, d->dn + len + 1, len, old);
	if (old) {
		free(d);
		d = old;
	} else if (HASH_COUNT(c->dns) > 2 * DIR_ANSWER_GROUPS_MAX) {
		free(d);
		return -GI_ELIMIT;
	} else {
		HASH_ADD_KEYPTR(hh, c->dns, d->dn + len + 1, len, d);
	}
	*ret = d;
	return 0;
}

static int climb_point(void *arg, const uint8_t *value, size_t len)
{
	struct climb_dn *d;

	return climb_dn(arg, (const char *)value, len, &d);
}

static int climb_points(struct climb *c, struct dldap_entry *e)
{
	int err = 0;
	size_t i;

	for (i = 0; err == 0 && c->schema->member_of[i]; i++)
		err = dldap_entry_each(e, c->schema->member_of[i], climb_point, c);
	return err;
}

/* non-zero: the class of a group */
static int climb_group_class(void *arg, const uint8_t *value, size_t len)
{
	return dir_schema_is_group(arg, value, len) ? 1 : 0;
}

bool climb_is_group(const struct climb *c, struct dldap_entry *e)
{
	return dldap_entry_each(
		       e, "objectClass", climb_group_class, (void *)(uintptr_t)c->schema) != 0;
}

static bool climb_seen(const struct dir_answer *a, const struct dir_group *g)
{
	size_t i;

	for (i = 0; g->has_guid && i < a->n_groups; i++)
		if (a->groups[i].has_guid &&
			memcmp(a->groups[i].guid, g->guid, sizeof(g->guid)) == 0)
			return true;
	return false;
}

/* @ret_new: what it points to is news */
static int climb_take(struct climb *c, const struct dir_group *g, bool *ret_new)
{
	struct climb_dn *d = NULL;
	int err = climb_dn(c, g->dn, strlen(g->dn), &d);

	*ret_new = false;
	if (err < 0 || d->taken)
		return err;
	d->taken = true;
	if (climb_seen(c->answer, g))
		return 0;
	*ret_new = true;
	return dir_answer_add(c->answer, g);
}

static int climb_note_point(void *arg, const uint8_t *value, size_t len)
{
	if (memchr(value, '\0', len))
		return -GI_EPROTO;
	dir_memo_note_point(arg, value, len);
	return 0;
}

int climb_note(struct dir_memo_note *note, const struct dir_schema *s, const struct dir_group *g,
	struct dldap_entry *e)
{
	int err = 0;
	size_t i;

	dir_memo_note_group(note, g);
	for (i = 0; err == 0 && s->member_of[i]; i++)
		err = dldap_entry_each(e, s->member_of[i], climb_note_point, note);
	return err;
}

static int climb_group(void *arg, struct dldap_entry *e)
{
	struct climb *c = arg;
	struct dir_group g;
	bool new;
	int err;

	if (!climb_is_group(c, e)) /* a role, a rule: memberOf may name them as well */
		return 0;
	err = dir_group_read(&g, e, c->schema);
	if (err < 0)
		return err;
	err = climb_take(c, &g, &new);
	if (err == 0 && new)
		err = climb_points(c, e);
	if (err == 0 && c->note)
		err = climb_note(c->note, c->schema, &g, e);
	dir_group_fini(&g);
	return err;
}

/* as climb_group(), for what such a search found before */
int climb_known(struct climb *c, const struct dir_memo_note *note)
{
	const char *point;
	struct dir_group g;
	size_t at = 0, n;
	bool new;
	int err = 0;

	while (err == 0 && dir_memo_next(note, &at, &g, &point, &n)) {
		err = climb_take(c, &g, &new);
		for (; err == 0 && new &&n; n--, point += strlen(point) + 1)
			err = climb_point(c, (const uint8_t *)point, strlen(point));
	}
	return err;
}

/* ---- the account ---- */

struct climb_seed {
	struct climb *climb;
	const char *const *attrs;
};

static int climb_seed(void *arg, const uint8_t *value, size_t len)
{
	const struct climb_seed *s = arg;

	dir_filter_groups_add(&s->climb->seed, s->attrs, value, len);
	return gi_buf_error(&s->climb->seed);
}

int climb_account(void *arg, struct dldap_entry *e)
{
	struct climb *c = arg;
	const struct dir_schema *s = c->schema;
	struct climb_seed uid = { c, s->member_uid }, gid = { c, s->gid_number };
	size_t i;
	int err;

	if (climb_is_group(c, e))
		return 0; /* a group of that name is no account */
	err = dir_answer_account(c->answer, e, s);
	dir_acct_read(&c->answer->acct, e, s, io_clock_real_ms());
	if (c->found++ || err < 0)
		return err;
	for (i = 0; err == 0 && s->member_uid[0] && s->user_name[i]; i++)
		err = dldap_entry_each(e, s->user_name[i], climb_seed, &uid);
	for (i = 0; err == 0 && s->gid_number[i]; i++)
		err = dldap_entry_each(e, s->gid_number[i], climb_seed, &gid);
	return err < 0 ? err : climb_points(c, e);
}

static int climb_find(struct dir_back *b, const struct dir_name *n, bool upn, struct climb *c,
	char why[DIR_WHY_MAX])
{
	const char *attrs[DIR_SCHEMA_ALL];
	struct gi_buf filter;
	int err;

	dir_schema_attrs(c->schema, attrs);
	gi_buf_init(&filter, 64u << 10);
	dir_filter_account(&filter, c->schema, n, upn);
	err = gi_buf_error(&filter);
	if (err == 0 && filter.len) {
		const struct dldap_query q = { .base = b->conf->base,
			.filter = gi_buf_str(&filter),
			.scope = DLDAP_SUBTREE,
			.attrs = attrs,
			.max = CLIMB_NAMESAKES_MAX,
			.entry = climb_account,
			.arg = c };

		err = dldap_search(b->look, &q, why);
	}
	gi_buf_fini(&filter);
	return err == -GI_ELIMIT && c->found > 1 ? 0
						 : err; /* else nobody knows how many there are */
}

/* ---- the climb ---- */

static int climb_search(
	struct dir_back *b, struct climb *c, struct gi_buf *filter, char why[DIR_WHY_MAX])
{
	const char *attrs[DIR_SCHEMA_ALL];
	const char *base = b->conf->group_base ? b->conf->group_base : b->root;
	int err;

	dir_schema_attrs(c->schema, attrs);
	dir_filter_groups_end(filter);
	err = gi_buf_error(filter);
	if (err == 0) {
		const struct dldap_query q = { .base = base,
			.filter = gi_buf_str(filter),
			.scope = DLDAP_SUBTREE,
			.attrs = attrs,
			.page = b->page,
			.max = DIR_ANSWER_GROUPS_MAX,
			.entry = climb_group,
			.arg = c };

		err = dldap_search(b->look, &q, why);
	}
	if (err == -GI_ENOTFOUND) {
		dir_why(why, "groups are looked for below \"%.120s\", which is not there", base);
		err = -GI_EPROTO;
	}
	return err;
}

/* the groups of the groups in @key: what is known from before is not asked for again */
static int climb_search_known(struct dir_back *b, struct climb *c, struct gi_buf *filter,
	const struct gi_buf *key, char why[DIR_WHY_MAX])
{
	struct dir_memo_note note;
	uint64_t epoch = 0;
	int err = gi_buf_error(key);

	if (err < 0)
		return err;
	dir_memo_note_init(&note);
	if (dir_memo_get(b->memo, key->data, key->len, &note, &epoch)) {
		err = climb_known(c, &note);
	} else {
		gi_buf_reset(&note.bytes);
		c->note = &note;
		err = climb_search(b, c, filter, why);
		c->note = NULL;
		if (err == 0)
			dir_memo_put(b->memo, key->data, key->len, &note, epoch);
	}
	dir_memo_note_fini(&note);
	return err;
}

/* @key: the groups that @filter asks for; empty: it asks for the account as well */
static int climb_ask(struct dir_back *b, struct climb *c, struct gi_buf *filter, struct gi_buf *key,
	char why[DIR_WHY_MAX])
{
	int err = !key->len || !b->memo ? climb_search(b, c, filter, why)
					: climb_search_known(b, c, filter, key, why);

	gi_buf_reset(key);
	gi_buf_reset(filter);
	dir_filter_groups_begin(filter, c->schema);
	return err;
}

void climb_key(struct gi_buf *key, const struct dir_group *g)
{
	gi_buf_append(key, g->has_guid ? "#" : "", 1);
	if (g->has_guid)
		gi_buf_append(key, g->guid, sizeof(g->guid));
	else
		gi_buf_append(key, g->dn, strlen(g->dn) + 1);
}

/* a batch has found the groups of this one (dirbatch.c); @ret_err: of taking them */
static bool climb_one_known(struct dir_back *b, struct climb *c, size_t at, int *ret_err)
{
	struct dir_memo_note note;
	struct gi_buf key;
	uint64_t epoch;
	bool known;

	if (!b->memo)
		return false;
	gi_buf_init(&key, CLIMB_FILTER_MAX);
	dir_memo_note_init(&note);
	climb_key(&key, &c->answer->groups[at]);
	known = gi_buf_error(&key) == 0 && dir_memo_get(b->memo, key.data, key.len, &note, &epoch);
	if (known)
		*ret_err = climb_known(c, &note);
	dir_memo_note_fini(&note);
	gi_buf_fini(&key);
	return known;
}

/* groups that name the account (@first) or one of the groups [from, to) as a member */
static int climb_members(struct dir_back *b, struct climb *c, bool first, size_t from, size_t to,
	char why[DIR_WHY_MAX])
{
	const char *const *attrs = c->schema->member;
	struct gi_buf filter, key;
	unsigned int n = 0;
	int err = 0;

	gi_buf_init(&filter, CLIMB_FILTER_MAX);
	gi_buf_init(&key, CLIMB_FILTER_MAX);
	dir_filter_groups_begin(&filter, c->schema);
	if (first) {
		dir_filter_groups_add(&filter, attrs, c->answer->dn, strlen(c->answer->dn));
		gi_buf_append(&filter, c->seed.data, c->seed.len);
		n = attrs[0] || c->seed.len ? 1 : 0;
	}
	for (; err == 0 && attrs[0] && from < to; from++) {
		const struct dir_group *g;

		if (climb_one_known(b, c, from, &err))
			continue;
		g = &c->answer->groups[from];
		dir_filter_groups_add(&filter, attrs, g->dn, strlen(g->dn));
		climb_key(&key, g);
		if (++n == CLIMB_ASK_MEMBERS) {
			err = climb_ask(b, c, &filter, &key, why);
			n = 0;
		}
	}
	if (err == 0 && n)
		err = climb_ask(b, c, &filter, &key, why);
	gi_buf_fini(&filter);
	gi_buf_fini(&key);
	return err;
}

static struct climb_dn *climb_last(const struct climb *c)
{
	return c->dns ? ELMT_FROM_HH(c->dns->hh.tbl, c->dns->hh.tbl->tail) : NULL;
}

/* groups behind @last, up to @end, that memberOf names and the search has not found */
static int climb_pointed(struct dir_back *b, struct climb *c, struct climb_dn **last,
	const struct climb_dn *end, char why[DIR_WHY_MAX])
{
	const char *attrs[DIR_SCHEMA_ALL];
	struct climb_dn *d = *last ? (*last)->hh.next : c->dns;
	int err = 0;

	dir_schema_attrs(c->schema, attrs);
	for (; err == 0 && end && *last != end && d; d = d->hh.next) {
		const struct dldap_query q = { .base = d->dn,
			.filter = "(objectClass=*)",
			.scope = DLDAP_BASE,
			.attrs = attrs,
			.max = 1,
			.entry = climb_group,
			.arg = c };

		*last = d;
		if (!d->taken)
			err = dldap_search(b->look, &q, why);
		if (err == -GI_ENOTFOUND) /* removed meanwhile */
			err = 0;
	}
	return err;
}

static int climb_all(struct dir_back *b, struct climb *c, char why[DIR_WHY_MAX])
{
	struct climb_dn *last = NULL, *end;
	size_t from = 0, to = 0;
	unsigned int level;
	int err = 0;

	for (level = 0; err == 0 && (level == 0 || to > from); level++) {
		if (level > CLIMB_DEPTH_MAX)
			return -GI_ELIMIT;
		end = climb_last(c); /* what this search finds need not be read by its DN */
		err = climb_members(b, c, level == 0, from, to, why);
		if (err == 0)
			err = climb_pointed(b, c, &last, end, why);
		from = to;
		to = c->answer->n_groups;
	}
	return err;
}

void climb_init(struct climb *c, struct dir_answer *answer, const struct dir_schema *s)
{
	*c = (struct climb){ .answer = answer, .schema = s };
	gi_buf_init(&c->seed, CLIMB_FILTER_MAX);
}

void climb_fini(struct climb *c)
{
	struct climb_dn *d, *next;

	HASH_ITER (hh, c->dns, d, next) {
		HASH_DELETE(hh, c->dns, d);
		free(d);
	}
	gi_buf_fini(&c->seed);
}

int dir_climb(
	struct dir_back *b, const struct dir_name *n, struct dir_answer *ret, char why[DIR_WHY_MAX])
{
	struct climb c;
	int err = 0;

	climb_init(&c, ret, &b->schema);
	if (n->form == DIR_NAME_UPN)
		err = climb_find(b, n, true, &c, why);
	if (err == 0 && c.found == 0 && dir_domain_is_ours(b, n->domain))
		err = climb_find(b, n, false, &c, why);
	if (err == 0 && c.found == 0)
		dir_answer_fail(ret, IDFW__DIR_RESULT__STATUS__NOT_FOUND,
			"no account \"%.100s\" below %.100s", n->account, b->conf->base);
	else if (err == 0 && c.found > 1)
		dir_answer_fail(ret, IDFW__DIR_RESULT__STATUS__AMBIGUOUS,
			"more than one account \"%.100s\"", n->account);
	else if (err == 0)
		err = climb_all(b, &c, why);
	climb_fini(&c);
	return err;
}
