/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirbatch.c - several accounts and their groups with one search each, in an OpenLDAP-like
 * directory
 *
 * Runs in a thread of the directory child. After a restart, or when a directory is back, a hundred
 * thousand accounts are looked up: what costs then is each request. So one search finds the
 * accounts, one the groups that name any of them, and one a level those of groups that are not
 * known yet; matched values say whom a group was found for. Each account then climbs in memory
 * (dirclimb.c), by what is remembered of each single group.
 * Failure direction: a name, a value or an entry that cannot be told whose it is leaves the whole
 * batch undone, an account with a group that only memberOf names is left undone itself: dir_climb()
 * asks for it alone. Source: RFC 3876 (matched values), RFC 4511 4.5.1.7.
 */
#include "svm-idfw/dirbatch.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/io/loop.h"
#include "svm-idfw/dirclimb_int.h"
#include "svm-idfw/dirmatch.h"
#include "svm-idfw/dirseen.h"

#define BATCH_FILTER_MAX (4u << 20)
#define BATCH_KEY_MAX 17      /* climb_key() of a group with an id */
#define BATCH_GROUPS_MAX 1000 /* of one account: who is in more is asked for alone */

struct batch_group { /* what this group is in */
	uint8_t key[BATCH_KEY_MAX];
	bool known;
	char *dn; /* owned */
	struct dir_memo_note note;
	UT_hash_handle hh;
};

struct batch_one {
	struct dir_many *of;
	struct dir_name name;
	struct climb climb;
	struct gi_buf names, numbers; /* each with its NUL: what groups may name it by */
	struct dir_memo_note note;    /* the groups that do */
	size_t at, level_end;	      /* of the answer's groups: whose groups are taken next */
	unsigned int level;
	bool out; /* left to dir_climb() */
};

struct batch {
	struct dir_back *b;
	const struct dir_schema *s;
	uint64_t began_ms;
	struct batch_one *ones; /* owned */
	size_t n;
	struct batch_group *groups; /* owned; in order of coming */
	struct dir_match match;	    /* the search at hand */
	uint8_t *hit;		    /* owned; by account: the entry at hand has its name */
	bool unclear;		    /* something that cannot be told whose it is */
};

/* ---- the accounts ---- */

/* names whose letters every matching rule compares in one way only */
static bool name_plain(const char *s)
{
	return *s && s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				 "0123456789._-+$@")] == '\0';
}

static int name_value(void *arg, const uint8_t *value, size_t len)
{
	char text[DIR_NAME_MAX + 1];
	struct batch *w = arg;

	if (len > DIR_NAME_MAX || memchr(value, '\0', len)) {
		w->unclear = true;
		return 0;
	}
	memcpy(text, value, len);
	text[len] = '\0';
	w->unclear |= !name_plain(text);
	for (size_t i = 0; i < w->n; i++)
		if (strcasecmp(w->ones[i].name.account, text) == 0)
			w->hit[i] = 1;
	return 0;
}

static int text_value(void *arg, const uint8_t *value, size_t len)
{
	gi_buf_append(arg, value, len);
	gi_buf_append(arg, "", 1);
	return memchr(value, '\0', len) ? -GI_EPROTO : gi_buf_error(arg);
}

static int account_take(struct batch *w, struct batch_one *o, struct dldap_entry *e)
{
	int err = 0;
	size_t i;

	if (climb_is_group(&o->climb, e)) /* of that name; no account */
		return 0;
	err = climb_account(&o->climb, e);
	for (i = 0; err == 0 && w->s->member_uid[0] && w->s->user_name[i]; i++)
		err = dldap_entry_each(e, w->s->user_name[i], text_value, &o->names);
	for (i = 0; err == 0 && w->s->gid_number[i]; i++)
		err = dldap_entry_each(e, w->s->gid_number[i], text_value, &o->numbers);
	return err;
}

static int account_entry(void *arg, struct dldap_entry *e)
{
	struct batch *w = arg;
	bool some = false;
	int err = 0;
	size_t i;

	memset(w->hit, 0, w->n);
	for (i = 0; w->s->user_name[i]; i++)
		(void)dldap_entry_each(e, w->s->user_name[i], name_value, w);
	for (i = 0; err == 0 && i < w->n; i++) {
		if (!w->hit[i])
			continue;
		some = true;
		err = account_take(w, &w->ones[i], e);
	}
	w->unclear |= !some;
	return err;
}

static int accounts_find(struct batch *w, char why[DIR_WHY_MAX])
{
	const char *attrs[DIR_SCHEMA_ALL];
	struct gi_buf filter;
	int err;

	dir_schema_attrs(w->s, attrs);
	gi_buf_init(&filter, BATCH_FILTER_MAX);
	gi_buf_append(&filter, "(|", 2);
	for (size_t i = 0; i < w->n; i++)
		dir_filter_account(&filter, w->s, &w->ones[i].name, false);
	gi_buf_append(&filter, ")", 1);
	err = gi_buf_error(&filter);
	if (err == 0) {
		const struct dldap_query q = { .base = w->b->conf->base,
			.filter = gi_buf_str(&filter),
			.scope = DLDAP_SUBTREE,
			.attrs = attrs,
			.max = (unsigned int)w->n * CLIMB_NAMESAKES_MAX,
			.entry = account_entry,
			.arg = w };

		err = dldap_search(w->b->look, &q, why);
	}
	gi_buf_fini(&filter);
	/* nobody, or more than one: what that is called says dir_climb() */
	for (size_t i = 0; i < w->n; i++)
		w->ones[i].out = w->ones[i].climb.found != 1;
	return err;
}

static int values_of(
	struct batch *w, enum dir_match_kind kind, const struct gi_buf *texts, size_t target)
{
	int err = 0;

	for (size_t at = 0; err == 0 && at < texts->len;) {
		const char *text = (const char *)texts->data + at;

		err = dir_match_value(&w->match, kind, text, strlen(text), target);
		at += strlen(text) + 1;
	}
	return err;
}

static int match_run(struct batch *w, char why[DIR_WHY_MAX])
{
	int err = w->unclear ? 0 : dir_match_run(&w->match, why);

	w->unclear |= w->match.unclear;
	return err;
}

/* the groups that name any of the accounts */
static int accounts_groups(struct batch *w, char why[DIR_WHY_MAX])
{
	int err = dir_match_begin(&w->match, w->n);

	for (size_t i = 0; err == 0 && i < w->n; i++) {
		struct batch_one *o = &w->ones[i];
		const char *dn = o->out ? "" : o->of->answer->dn;
		size_t t;

		o->out |= !dn[0];
		if (o->out)
			continue;
		t = dir_match_target(&w->match, &o->note);
		err = dir_match_value(&w->match, DIR_MATCH_DN, dn, strlen(dn), t);
		if (err == 0)
			err = values_of(w, DIR_MATCH_UID, &o->names, t);
		if (err == 0)
			err = values_of(w, DIR_MATCH_GID, &o->numbers, t);
	}
	return err < 0 ? err : match_run(w, why);
}

/* ---- groups of groups ---- */

static struct batch_group *group_of(struct batch *w, const struct dir_group *g, int *ret_err)
{
	struct batch_group *have;
	uint8_t key[BATCH_KEY_MAX] = "#";

	memcpy(key + 1, g->guid, sizeof(g->guid)); /* as climb_key() */
	HASH_FIND(hh, w->groups, key, sizeof(key), have);
	if (have)
		return have;
	have = calloc(1, sizeof(*have));
	if (have)
		have->dn = strdup(g->dn);
	if (!have || !have->dn) {
		free(have);
		*ret_err = -ENOMEM;
		return NULL;
	}
	memcpy(have->key, key, sizeof(key));
	dir_memo_note_init(&have->note);
	HASH_ADD(hh, w->groups, key, sizeof(have->key), have);
	return have;
}

/*
 * Takes the groups of its groups as far as they are known; what is not is in w->groups afterwards.
 * true: it has come to its end
 */
static bool advance(struct batch *w, struct batch_one *o, int *ret_err)
{
	struct climb *c = &o->climb;
	struct batch_group *g;
	size_t i;

	for (; !*ret_err && !o->out && o->at < c->answer->n_groups; o->at++) {
		if (o->at == o->level_end) {
			o->level_end = c->answer->n_groups;
			o->out = ++o->level > CLIMB_DEPTH_MAX;
		}
		o->out |= !c->answer->groups[o->at].has_guid;
		g = o->out ? NULL : group_of(w, &c->answer->groups[o->at], ret_err);
		if (!g || !g->known)
			break;
		*ret_err = climb_known(c, &g->note);
	}
	for (i = o->at; !*ret_err && !o->out && i < c->answer->n_groups; i++) {
		o->out = !c->answer->groups[i].has_guid;
		if (!o->out)
			(void)group_of(w, &c->answer->groups[i], ret_err);
	}
	if (*ret_err == -GI_ELIMIT || c->answer->n_groups > BATCH_GROUPS_MAX) {
		o->out = true;
		*ret_err = *ret_err == -GI_ELIMIT ? 0 : *ret_err;
	}
	return o->out || o->at == c->answer->n_groups;
}

/* those that nobody knows yet, some at a time */
static int groups_ask(struct batch *w, uint64_t *epoch, char why[DIR_WHY_MAX])
{
	struct batch_group *g, *asked[CLIMB_ASK_MEMBERS];
	size_t n = 0;
	int err = dir_match_begin(&w->match, CLIMB_ASK_MEMBERS);

	for (g = w->groups; err == 0 && g && n < CLIMB_ASK_MEMBERS; g = g->hh.next) {
		if (g->known)
			continue;
		g->known = dir_memo_get(w->b->memo, g->key, sizeof(g->key), &g->note, epoch);
		if (g->known)
			continue;
		gi_buf_reset(&g->note.bytes);
		asked[n++] = g;
		err = dir_match_value(&w->match, DIR_MATCH_DN, g->dn, strlen(g->dn),
			dir_match_target(&w->match, &g->note));
	}
	if (err == 0)
		err = match_run(w, why);
	for (size_t i = 0; err == 0 && i < n; i++) {
		w->unclear |= gi_buf_error(&asked[i]->note.bytes) < 0;
		asked[i]->known = true;
		if (!w->unclear)
			dir_memo_put(w->b->memo, asked[i]->key, sizeof(asked[i]->key),
				&asked[i]->note, *epoch);
	}
	return err;
}

static int climb_all(struct batch *w, char why[DIR_WHY_MAX])
{
	bool more = true;
	uint64_t epoch = 0;
	int err = 0;

	for (size_t i = 0; err == 0 && i < w->n; i++) {
		struct batch_one *o = &w->ones[i];

		o->out |= gi_buf_error(&o->note.bytes) < 0;
		if (!o->out)
			err = climb_known(&o->climb, &o->note);
		o->level_end = o->climb.answer->n_groups;
		if (err == -GI_ELIMIT) {
			o->out = true;
			err = 0;
		}
	}
	while (err == 0 && more && !w->unclear) {
		more = false;
		for (size_t i = 0; err == 0 && i < w->n; i++)
			more |= !w->ones[i].out && !advance(w, &w->ones[i], &err);
		if (err == 0 && more)
			err = groups_ask(w, &epoch, why);
	}
	return err;
}

/* ---- all of it ---- */

static bool can(const struct dir_back *b)
{
	return b->values[0] && b->memo && b->schema.unique_id[0] && b->schema.user_name[0] &&
	       (b->schema.member[0] || b->schema.member_uid[0]);
}

static int batch_init(struct batch *w, struct dir_back *b, struct dir_many *list, size_t n)
{
	size_t k;

	*w = (struct batch){ .b = b, .s = &b->schema, .began_ms = io_clock_mono_ms() };
	dir_match_init(&w->match, b);
	w->ones = calloc(n + 1, sizeof(*w->ones));
	w->hit = calloc(n + 1, 1);
	if (!w->ones || !w->hit)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		struct batch_one *o = &w->ones[w->n];

		if (dir_name_parse(list[i].name, &o->name) < 0 || o->name.form == DIR_NAME_UPN ||
			!name_plain(o->name.account) || !dir_domain_is_ours(b, o->name.domain))
			continue;
		for (k = 0; k < w->n && strcasecmp(w->ones[k].name.account, o->name.account); k++)
			;
		if (k < w->n) /* the same name, or by case alone another one */
			continue;
		o->of = &list[i];
		climb_init(&o->climb, list[i].answer, &b->schema);
		dir_memo_note_init(&o->note);
		gi_buf_init(&o->names, CLIMB_FILTER_MAX);
		gi_buf_init(&o->numbers, CLIMB_FILTER_MAX);
		w->n++;
	}
	return 0;
}

static void batch_fini(struct batch *w)
{
	struct batch_group *g, *next;

	for (size_t i = 0; i < w->n; i++) {
		climb_fini(&w->ones[i].climb);
		dir_memo_note_fini(&w->ones[i].note);
		gi_buf_fini(&w->ones[i].names);
		gi_buf_fini(&w->ones[i].numbers);
	}
	HASH_ITER (hh, w->groups, g, next) {
		HASH_DEL(w->groups, g);
		dir_memo_note_fini(&g->note);
		free(g->dn);
		free(g);
	}
	dir_match_fini(&w->match);
	free(w->ones);
	free(w->hit);
}

/* a group that only memberOf names: dir_climb() reads it */
static bool pointed(const struct climb *c)
{
	for (const struct climb_dn *d = c->dns; d; d = d->hh.next)
		if (!d->taken)
			return true;
	return false;
}

static int batch_end(struct batch *w)
{
	int err = 0;

	for (size_t i = 0; err == 0 && i < w->n; i++) {
		struct batch_one *o = &w->ones[i];
		struct dir_answer *a = o->of->answer;

		if (o->out || pointed(&o->climb))
			continue;
		a->status = IDFW__DIR_RESULT__STATUS__OK;
		err = dir_answer_upn(a, w->b);
		if (err == 0 && a->has_guid)
			dir_seen_add(w->b->seen, a->guid, w->began_ms, io_clock_mono_ms());
		o->of->done = err == 0;
	}
	return err;
}

int dir_batch(struct dir_back *b, struct dir_many *list, size_t n, char why[DIR_WHY_MAX])
{
	struct batch w;
	int err;

	if (!can(b))
		return 0;
	err = batch_init(&w, b, list, n);
	if (err == 0 && w.n > 1)
		err = accounts_find(&w, why);
	if (err == 0 && w.n > 1 && !w.unclear)
		err = accounts_groups(&w, why);
	if (err == 0 && w.n > 1 && !w.unclear)
		err = climb_all(&w, why);
	if (err == 0 && w.n > 1 && !w.unclear)
		err = batch_end(&w);
	batch_fini(&w);
	for (size_t i = 0; i < n; i++) /* what was gathered so far is no part of another answer */
		if (err < 0 || !list[i].done) {
			list[i].done = false;
			dir_answer_fini(list[i].answer);
		}
	/* refused, too much at once: each alone may be well */
	return err == -ECONNRESET || err == -ETIMEDOUT || err == -ENOMEM ? err : 0;
}
