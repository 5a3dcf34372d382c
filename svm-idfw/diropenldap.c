/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * diropenldap.c - OpenLDAP: an account's groups by climbing memberOf, changes by contextCSN
 *
 * Runs in the directory child. Each step reads one group entry by DN (the memberof overlay keeps
 * memberOf on groups as well); a group is known by its entryUUID, so a cycle or a DN that is spelt
 * in two ways ends the climb there. Any write moves contextCSN (syncprov overlay): then everyone is
 * looked up again. Without syncprov that is done every OPENLDAP_BLIND_MS.
 * Source: slapo-memberof(5), slapo-syncprov(5); RFC 4530 (entryUUID).
 */
#include "svm-idfw/dirback.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/io/loop.h"

#define OPENLDAP_DEPTH_MAX 64
#define OPENLDAP_NAMESAKES_MAX 16 /* entries with the name that is looked for */
#define OPENLDAP_BLIND_MS 10000

static int openldap_begin(struct dir_back *b, struct dir_changes *ret, char why[DIR_WHY_MAX]);
static int openldap_lookup(struct dir_back *b, const char *name, const uint8_t *sid, size_t sid_len,
	struct dir_answer *ret, char why[DIR_WHY_MAX]);
static int openldap_poll(struct dir_back *b, struct dir_changes *ret, char why[DIR_WHY_MAX]);

const struct dir_back_ops dir_back_openldap = {
	.begin = openldap_begin, .lookup = openldap_lookup, .poll = openldap_poll
};

static const char *const openldap_attrs[] = { "entryUUID", "objectSid", "sAMAccountName", "uid",
	"userPrincipalName", "cn", "objectClass", "memberOf", NULL };

/* ---- the climb ---- */

struct climb_todo {
	char *dn; /* owned */
	unsigned int depth;
};

struct climb {
	struct dir_answer *answer;
	unsigned int found;	 /* accounts */
	struct climb_todo *todo; /* owned; those before next are done */
	size_t n_todo, cap, next;
	unsigned int depth; /* of what the entry at hand points to */
};

static int climb_push(void *arg, const uint8_t *value, size_t len)
{
	struct climb *c = arg;
	struct climb_todo *grown;
	size_t i;

	/* the same text again is the same entry; different text is found out by entryUUID */
	for (i = 0; i < c->n_todo; i++)
		if (strncasecmp(c->todo[i].dn, (const char *)value, len) == 0 &&
			c->todo[i].dn[len] == '\0')
			return 0;
	if (c->depth > OPENLDAP_DEPTH_MAX || c->n_todo == DIR_ANSWER_GROUPS_MAX)
		return -GI_ELIMIT;
	if (c->n_todo == c->cap) {
		c->cap = c->cap ? c->cap * 2 : 32;
		grown = reallocarray(c->todo, c->cap, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		c->todo = grown;
	}
	c->todo[c->n_todo].dn = strndup((const char *)value, len);
	if (!c->todo[c->n_todo].dn)
		return -ENOMEM;
	c->todo[c->n_todo++].depth = c->depth;
	return 0;
}

/* non-zero: the class of a group */
static int climb_group_class(void *arg, const uint8_t *value, size_t len)
{
	static const char *const classes[] = { "group", "groupOfNames", "groupOfUniqueNames",
		"posixGroup" };
	size_t i;

	(void)arg;
	for (i = 0; i < GI_ARRAY_SIZE(classes); i++)
		if (strlen(classes[i]) == len &&
			strncasecmp(classes[i], (const char *)value, len) == 0)
			return 1;
	return 0;
}

static int climb_account(void *arg, struct dldap_entry *e)
{
	struct climb *c = arg;
	int err;

	if (dldap_entry_each(e, "objectClass", climb_group_class, NULL) != 0)
		return 0; /* a group of that name is no account */
	err = dir_answer_account(c->answer, e);
	c->found++;
	return err < 0 ? err : dldap_entry_each(e, "memberOf", climb_push, c);
}

static bool climb_seen(const struct dir_answer *a, const struct dir_group *g)
{
	size_t i;

	for (i = 0; i < a->n_groups; i++)
		if (a->groups[i].has_guid && g->has_guid &&
			memcmp(a->groups[i].guid, g->guid, sizeof(g->guid)) == 0)
			return true;
	return false;
}

static int climb_group(void *arg, struct dldap_entry *e)
{
	struct climb *c = arg;
	struct dir_group g;
	int err = dir_group_read(&g, e);

	if (err < 0)
		return err;
	if (!climb_seen(c->answer, &g)) {
		err = dir_answer_add(c->answer, &g);
		if (err == 0)
			err = dldap_entry_each(e, "memberOf", climb_push, c);
	}
	dir_group_fini(&g);
	return err;
}

static int climb_all(struct dir_back *b, struct climb *c, char why[DIR_WHY_MAX])
{
	int err = 0;

	while (err == 0 && c->next < c->n_todo) {
		const struct climb_todo *t = &c->todo[c->next++];
		const struct dldap_query q = { .base = t->dn,
			.filter = "(objectClass=*)",
			.scope = DLDAP_BASE,
			.attrs = openldap_attrs,
			.max = 1,
			.entry = climb_group,
			.arg = c };

		c->depth = t->depth + 1;
		err = dldap_search(b->look, &q, why);
		if (err == -GI_ENOTFOUND) /* removed meanwhile */
			err = 0;
	}
	return err;
}

static int openldap_find(struct dir_back *b, const struct dir_name *n, bool upn, struct climb *c,
	char why[DIR_WHY_MAX])
{
	struct gi_buf filter;
	int err;

	gi_buf_init(&filter, 64u << 10);
	dir_filter_user_openldap(&filter, n, upn);
	err = gi_buf_error(&filter);
	if (err == 0) {
		const struct dldap_query q = { .base = b->conf->base,
			.filter = gi_buf_str(&filter),
			.scope = DLDAP_SUBTREE,
			.attrs = openldap_attrs,
			.max = OPENLDAP_NAMESAKES_MAX,
			.entry = climb_account,
			.arg = c };

		err = dldap_search(b->look, &q, why);
	}
	gi_buf_fini(&filter);
	if (err == -GI_ELIMIT && c->found < 2) /* too many groups of that name: nobody knows */
		c->found = 2;
	return err == -GI_ELIMIT ? 0 : err;
}

static int openldap_lookup(struct dir_back *b, const char *name, const uint8_t *sid, size_t sid_len,
	struct dir_answer *ret, char why[DIR_WHY_MAX])
{
	struct climb c = { .answer = ret };
	struct dir_name n;
	size_t i;
	int err = 0;

	(void)sid;
	(void)sid_len;
	ret->status = IDFW__DIR_RESULT__STATUS__OK;
	if (dir_name_parse(name, &n) < 0 ||
		(n.form == DIR_NAME_DOMAIN && !dir_domain_is_ours(b, n.domain))) {
		dir_answer_fail(ret, IDFW__DIR_RESULT__STATUS__NOT_FOUND,
			"\"%.100s\" is no name of an account in %.100s", name, b->domain);
		return 0;
	}
	if (n.form == DIR_NAME_UPN)
		err = openldap_find(b, &n, true, &c, why);
	if (err == 0 && c.found == 0 && dir_domain_is_ours(b, n.domain))
		err = openldap_find(b, &n, false, &c, why);
	if (err == 0 && c.found == 0)
		dir_answer_fail(ret, IDFW__DIR_RESULT__STATUS__NOT_FOUND,
			"no account \"%.100s\" below %.100s", n.account, b->conf->base);
	else if (err == 0 && c.found > 1)
		dir_answer_fail(ret, IDFW__DIR_RESULT__STATUS__AMBIGUOUS,
			"more than one account \"%.100s\"", n.account);
	else if (err == 0)
		err = climb_all(b, &c, why);
	if (err == 0)
		err = dir_answer_upn(ret, b);
	if (err == -GI_ELIMIT) {
		dir_answer_fail(ret, IDFW__DIR_RESULT__STATUS__UNAVAILABLE,
			"\"%.100s\" is in more than %d groups or nested deeper than %d", name,
			DIR_ANSWER_GROUPS_MAX, OPENLDAP_DEPTH_MAX);
		err = 0;
	}
	for (i = 0; i < c.n_todo; i++)
		free(c.todo[i].dn);
	free(c.todo);
	return err;
}

/* ---- changes ---- */

struct csn {
	char text[1024];
	size_t len;
	bool entry;
};

static int csn_value(void *arg, const uint8_t *value, size_t len)
{
	struct csn *c = arg;

	if (c->len + len + 2 > sizeof(c->text))
		return -GI_ELIMIT;
	memcpy(c->text + c->len, value, len);
	c->len += len;
	c->text[c->len++] = ' ';
	c->text[c->len] = '\0';
	return 0;
}

static int csn_entry(void *arg, struct dldap_entry *e)
{
	struct csn *c = arg;

	c->entry = true;
	return dldap_entry_each(e, "contextCSN", csn_value, c);
}

static int csn_read(struct dir_back *b, struct csn *c, char why[DIR_WHY_MAX])
{
	static const char *const attrs[] = { "contextCSN", NULL };
	const struct dldap_query q = { .base = b->root,
		.filter = "(objectClass=*)",
		.scope = DLDAP_BASE,
		.attrs = attrs,
		.max = 1,
		.entry = csn_entry,
		.arg = c };

	return dldap_search(b->watch, &q, why);
}

/* the naming context that conf->base is in: it has the contextCSN */
static int context_value(void *arg, const uint8_t *value, size_t len)
{
	struct dir_back *b = arg;
	const char *base = b->conf->base;
	size_t have = strlen(base);

	if (len <= have && len > strlen(b->root) && len < sizeof(b->root) &&
		strncasecmp(base + have - len, (const char *)value, len) == 0) {
		memcpy(b->root, value, len);
		b->root[len] = '\0';
	}
	return 0;
}

static int context_entry(void *arg, struct dldap_entry *e)
{
	return dldap_entry_each(e, "namingContexts", context_value, arg);
}

static int openldap_begin(struct dir_back *b, struct dir_changes *ret, char why[DIR_WHY_MAX])
{
	static const char *const attrs[] = { "namingContexts", NULL };
	const struct dldap_query q = { .base = "",
		.filter = "(objectClass=*)",
		.scope = DLDAP_BASE,
		.attrs = attrs,
		.max = 1,
		.entry = context_entry,
		.arg = b };
	struct csn c = { .len = 0 };
	size_t dot;
	int err;

	b->root[0] = '\0';
	err = dldap_search(b->watch, &q, why);
	if (err < 0)
		return err;
	if (b->root[0] == '\0') {
		dir_why(why, "base \"%.120s\" is not in this directory", b->conf->base);
		return -GI_EPROTO;
	}
	if (dir_base_domain(b->conf->base, b->domain) < 0)
		b->domain[0] = '\0';
	/* no NetBIOS name here: the first component of the domain stands for it */
	dot = strcspn(b->domain, ".");
	memcpy(b->netbios, b->domain, dot);
	b->netbios[dot] = '\0';
	err = csn_read(b, &c, why);
	if (err < 0)
		return err;
	ret->all = c.len == 0 || strcmp(b->csn, c.text) != 0;
	memcpy(b->csn, c.text, sizeof(b->csn));
	b->usn = io_clock_mono_ms();
	dir_why(b->server, "%s", b->conf->uri);
	return 0;
}

static int openldap_poll(struct dir_back *b, struct dir_changes *ret, char why[DIR_WHY_MAX])
{
	struct csn c = { .len = 0 };
	int err = csn_read(b, &c, why);

	if (err < 0)
		return err;
	if (c.len == 0) { /* no syncprov: blind, so look again from time to time */
		ret->all = io_clock_mono_ms() - b->usn >= OPENLDAP_BLIND_MS;
		if (ret->all)
			b->usn = io_clock_mono_ms();
		return 0;
	}
	ret->all = strcmp(b->csn, c.text) != 0;
	memcpy(b->csn, c.text, sizeof(b->csn));
	return 0;
}
