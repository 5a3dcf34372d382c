/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirad.c - Active Directory: an account's groups by tokenGroups
 *
 * Runs in the directory child. tokenGroups (one base search) gives the SIDs of all security groups,
 * transitive and with the primary group; names come from the SID cache, unknown ones by one OR
 * filter. What changed is found out by diradchange.c.
 * Source: MS-ADTS 3.1.1.4.5.19 (tokenGroups), 3.1.1.3.1.2.4 (<SID=...>).
 */
#include "svm-idfw/dirad.h"
#include "svm-idfw/dirforeign.h"
#include "svm-idfw/dirgroups.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/log.h"
#include "lib/base/text.h"
#include "lib/io/loop.h"

#define AD_OR_MAX 100 /* SIDs in one filter */
#define AD_FILTER_MAX (64u << 10)

static const char *const ad_user_attrs[] = { "objectGUID", "objectSid", "sAMAccountName",
	"userPrincipalName", NULL };
static const char *const ad_group_attrs[] = { "objectGUID", "objectSid", "sAMAccountName", "cn",
	NULL };

static int ad_begin(struct dir_back *b, struct dir_changes *ret, char why[DIR_WHY_MAX]);
static int ad_same(const struct dir_back *b, struct dldap *d, char why[DIR_WHY_MAX]);
static int ad_lookup(struct dir_back *b, const char *name, const uint8_t *sid, size_t sid_len,
	struct dir_answer *ret, char why[DIR_WHY_MAX]);

const struct dir_back_ops dir_back_ad = { .begin = ad_begin,
	.same = ad_same,
	.lookup = ad_lookup,
	.foreign = dir_ad_foreign,
	.poll = dir_ad_poll };

/* ---- what the server says about itself ---- */

static int ad_root_nc(void *arg, const uint8_t *value, size_t len)
{
	struct dir_back *b = arg;

	b->nc_seen++;
	if (b->n_nc == DIR_NC_MAX)
		return 0;
	b->nc[b->n_nc] = strndup((const char *)value, len);
	return b->nc[b->n_nc++] ? 0 : -ENOMEM;
}

static int ad_root_entry(void *arg, struct dldap_entry *e)
{
	struct dir_ad_root *r = arg;
	char usn[24];

	(void)dldap_entry_text(e, "dsServiceName", r->server, sizeof(r->server));
	(void)dldap_entry_text(e, "defaultNamingContext", r->root, sizeof(r->root));
	(void)dldap_entry_text(e, "configurationNamingContext", r->config, sizeof(r->config));
	if (!dldap_entry_text(e, "highestCommittedUSN", usn, sizeof(usn)) ||
		gi_text_u64(usn, 0, UINT64_MAX, &r->usn) < 0)
		r->usn = 0;
	return r->b ? dldap_entry_each(e, "namingContexts", ad_root_nc, r->b) : 0;
}

int dir_ad_root_read(struct dldap *d, struct dir_ad_root *r, char why[DIR_WHY_MAX])
{
	static const char *const all[] = { "dsServiceName", "defaultNamingContext",
		"configurationNamingContext", "highestCommittedUSN", "namingContexts", NULL };
	static const char *const usn[] = { "highestCommittedUSN", NULL };
	const struct dldap_query q = { .base = "",
		.filter = "(objectClass=*)",
		.scope = DLDAP_BASE,
		.attrs = r->b ? all : usn,
		.max = 1,
		.entry = ad_root_entry,
		.arg = r };

	return dldap_search(d, &q, why);
}

static int ad_netbios_entry(void *arg, struct dldap_entry *e)
{
	struct dir_back *b = arg;

	(void)dldap_entry_text(e, "nETBIOSName", b->netbios, sizeof(b->netbios));
	return 0;
}

/* CORP of CORP\alice: the cross reference of our domain */
static int ad_netbios(struct dir_back *b, const char *config, char why[DIR_WHY_MAX])
{
	static const char *const attrs[] = { "nETBIOSName", NULL };
	struct gi_buf filter;
	int err;

	gi_buf_init(&filter, AD_FILTER_MAX);
	gi_buf_printf(&filter, "(&(objectClass=crossRef)(nCName=");
	dir_filter_escape(&filter, b->root, strlen(b->root));
	gi_buf_append(&filter, "))", 2);
	err = gi_buf_error(&filter);
	if (err == 0) {
		const struct dldap_query q = { .base = config,
			.filter = gi_buf_str(&filter),
			.scope = DLDAP_SUBTREE,
			.attrs = attrs,
			.max = 4,
			.entry = ad_netbios_entry,
			.arg = b };

		err = dldap_search(b->watch, &q, why);
	}
	gi_buf_fini(&filter);
	return err;
}

static int ad_domain_entry(void *arg, struct dldap_entry *e)
{
	struct dir_back *b = arg;
	char text[SID_TEXT_MAX];

	if (!dldap_entry_bytes(e, "objectSid", b->domain_sid.bytes, sizeof(b->domain_sid.bytes),
		    &b->domain_sid.len) ||
		sid_to_text(b->domain_sid.bytes, b->domain_sid.len, text) < 0)
		b->domain_sid.len = 0;
	return 0;
}

/* S-1-5-21-A-B-C: which SIDs are its own (dirclaim.h) */
static int ad_domain(struct dir_back *b, char why[DIR_WHY_MAX])
{
	static const char *const attrs[] = { "objectSid", NULL };
	const struct dldap_query q = { .base = b->root,
		.filter = "(objectClass=*)",
		.scope = DLDAP_BASE,
		.attrs = attrs,
		.max = 1,
		.entry = ad_domain_entry,
		.arg = b };

	return dldap_search(b->watch, &q, why);
}

/* once for each: it is what an administrator sees in repadmin /showrepl */
static void ad_say_count(const struct dir_back *b, const char *server, const struct dir_usn_of *now,
	bool other, const char *why)
{
	char text[DIR_INVOCATION_TEXT], before[DIR_INVOCATION_TEXT];
	bool first = strcmp(b->server, server) != 0;

	dir_ad_invocation_text(now, text);
	dir_ad_invocation_text(&b->usn_of, before);
	if (!now->known && (first || b->usn_of.known))
		gi_notice("directory: %s does not say its invocationId (%s): that it was restored "
			  "from a backup is only seen while its highestCommittedUSN is lower than "
			  "before",
			b->conf->uri, why[0] ? why : "no such attribute");
	else if (first && now->known)
		gi_info("directory: %s counts changes as %s", b->conf->uri, text);
	else if (other)
		gi_notice("directory: %s counts changes as %s, before as %s (restored from a "
			  "backup?): all is compared",
			b->conf->uri, text[0] ? text : "nobody", before[0] ? before : "nobody");
}

static int ad_begin(struct dir_back *b, struct dir_changes *ret, char why[DIR_WHY_MAX])
{
	uint64_t now = io_clock_mono_ms();
	struct dir_ad_root r = { .b = b };
	struct dir_usn_of usn_of = { .known = false };
	bool other;
	int err;

	while (b->n_nc)
		free(b->nc[--b->n_nc]);
	b->nc_seen = 0;
	err = dir_ad_root_read(b->watch, &r, why);
	if (err < 0)
		return err;
	if (b->nc_seen > DIR_NC_MAX)
		gi_warn("directory: %s has %zu naming contexts: changes are looked for in the "
			"first %d, what is written elsewhere costs a comparison of all groups",
			b->conf->uri, b->nc_seen, DIR_NC_MAX);
	if (r.root[0] == '\0' || r.usn == 0 || gi_text_copy(b->root, sizeof(b->root), r.root) < 0 ||
		dir_base_domain(r.root, b->domain) < 0) {
		dir_why(why,
			"%s is no Active Directory (no defaultNamingContext); "
			"type openldap?",
			b->conf->uri);
		return -GI_EPROTO;
	}
	err = ad_netbios(b, r.config, why);
	if (err < 0 && err != -GI_ENOTFOUND)
		return err;
	err = ad_domain(b, why);
	if (err < 0 && err != -GI_ENOTFOUND)
		return err;
	err = dir_ad_usn_of(b->watch, r.server, &usn_of, why);
	if (err < 0)
		return err;
	/* the same server: what happened meanwhile, poll() finds out */
	other = !dir_ad_counts_on(b, r.server, &usn_of);
	ad_say_count(b, r.server, &usn_of, other, why);
	ret->all |= other;
	if (other) {
		dir_cache_clear(b->cache);
		dir_groups_forget(b->groups, true);
		b->usn = r.usn;
		b->groups->looked_ms = now;
	}
	memcpy(b->server, r.server, sizeof(b->server));
	b->usn_of = usn_of;
	why[0] = '\0';
	dir_groups_connected(b->groups, b->usn);
	return 0;
}

/* by the name of its settings in the configuration of the forest: one a domain controller */
static int ad_same(const struct dir_back *b, struct dldap *d, char why[DIR_WHY_MAX])
{
	static const char *const attrs[] = { "dsServiceName", NULL };
	struct dir_ad_root r = { .b = NULL };
	const struct dldap_query q = { .base = "",
		.filter = "(objectClass=*)",
		.scope = DLDAP_BASE,
		.attrs = attrs,
		.max = 1,
		.entry = ad_root_entry,
		.arg = &r };
	int err = dldap_search(d, &q, why);

	if (err < 0 || strcmp(b->server, r.server) == 0)
		return err;
	return dir_other_server(b, b->server, r.server, why);
}

/* ---- an account and its groups ---- */

struct ad_token {
	struct dir_answer *answer;
	const char *account; /* expected; NULL: any */
	unsigned int found;
	bool wrong_name;
	struct dir_sid *sids; /* owned */
	size_t n_sids, cap;
};

static int ad_token_value(void *arg, const uint8_t *value, size_t len)
{
	struct ad_token *t = arg;
	char text[SID_TEXT_MAX];

	if (sid_to_text(value, len, text) < 0)
		return -GI_EPROTO;
	if (t->n_sids == DIR_ANSWER_GROUPS_MAX)
		return -GI_ELIMIT;
	if (t->n_sids == t->cap) {
		size_t cap = t->cap ? t->cap * 2 : 64;
		struct dir_sid *grown = reallocarray(t->sids, cap, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		t->sids = grown;
		t->cap = cap;
	}
	memcpy(t->sids[t->n_sids].bytes, value, len);
	t->sids[t->n_sids++].len = len;
	return 0;
}

static int ad_token_entry(void *arg, struct dldap_entry *e)
{
	struct ad_token *t = arg;
	int err = dir_answer_account(t->answer, e, &dir_schema_ad);

	if (err < 0)
		return err;
	dir_acct_read_ad(&t->answer->acct, e, io_clock_real_ms());
	t->found++;
	t->wrong_name = t->account && strcasecmp(t->answer->name, t->account) != 0;
	return dldap_entry_each(e, "tokenGroups", ad_token_value, t);
}

/* base search on the account by SID or GUID: its identity and all its groups' SIDs */
static int ad_token(struct dir_back *b, const char *base, struct ad_token *t, char why[DIR_WHY_MAX])
{
	static const char *const attrs[] = { "objectGUID", "objectSid", "sAMAccountName",
		"userPrincipalName", "tokenGroups", DIR_ACCT_AD_ATTRS, NULL };
	const struct dldap_query q = { .base = base,
		.filter = "(objectClass=user)",
		.scope = DLDAP_BASE,
		.attrs = attrs,
		.max = 1,
		.entry = ad_token_entry,
		.arg = t };
	int err;

	t->n_sids = 0;
	t->found = 0;
	err = dldap_search(b->look, &q, why);
	return err == -GI_ENOTFOUND ? 0 : err; /* then found is 0 */
}

static int ad_find_entry(void *arg, struct dldap_entry *e)
{
	struct ad_token *t = arg;

	t->found++;
	return dir_answer_account(t->answer, e, &dir_schema_ad);
}

static int ad_find(struct dir_back *b, const struct dir_name *n, bool upn, struct ad_token *t,
	char why[DIR_WHY_MAX])
{
	struct gi_buf filter;
	int err;

	t->found = 0;
	gi_buf_init(&filter, AD_FILTER_MAX);
	dir_filter_user(&filter, n, upn);
	err = gi_buf_error(&filter);
	if (err == 0) {
		const struct dldap_query q = { .base = b->conf->base,
			.filter = gi_buf_str(&filter),
			.scope = DLDAP_SUBTREE,
			.attrs = ad_user_attrs,
			.max = 2,
			.entry = ad_find_entry,
			.arg = t };

		err = dldap_search(b->look, &q, why);
	}
	gi_buf_fini(&filter);
	return err == -GI_ELIMIT && t->found > 1 ? 0
						 : err; /* else nobody knows how many there are */
}

/*
 * Is it who was asked for? Only ASCII is compared: of other letters the directory knows more which
 * are alike
 */
static bool ad_is_called(const struct dir_answer *a, const struct dir_name *n, bool upn)
{
	char asked[2 * DIR_NAME_MAX + 2];
	const char *name = upn ? a->upn : a->name;

	(void)snprintf(
		asked, sizeof(asked), "%s%s%s", n->account, upn ? "@" : "", upn ? n->domain : "");
	for (const char *c = asked; *c; c++)
		if (*c & 0x80)
			return true;
	for (const char *c = name; *c; c++)
		if (*c & 0x80)
			return true;
	return strcasecmp(asked, name) == 0;
}

/* by name: stored UPN first, then the account name; 0 with the status set when there is none */
static int ad_by_name(
	struct dir_back *b, const struct dir_name *n, struct ad_token *t, char why[DIR_WHY_MAX])
{
	bool upn = n->form == DIR_NAME_UPN;
	uint8_t guid[16];
	char base[48];
	int err = 0;

	t->found = 0;
	if (upn)
		err = ad_find(b, n, true, t, why);
	upn = upn && t->found;
	if (err == 0 && t->found == 0 && dir_domain_is_ours(b, n->domain))
		err = ad_find(b, n, false, t, why);
	if (err < 0)
		return err;
	if (t->found == 0) {
		dir_answer_fail(t->answer, IDFW__DIR_RESULT__STATUS__NOT_FOUND,
			"no account \"%.100s\" below %.100s", n->account, b->conf->base);
		return 0;
	}
	if (t->found > 1 || !t->answer->has_guid) {
		dir_answer_fail(t->answer, IDFW__DIR_RESULT__STATUS__AMBIGUOUS,
			"more than one account \"%.100s\"", n->account);
		return 0;
	}
	upn = upn && t->answer->upn[0];
	memcpy(guid, t->answer->guid, sizeof(guid));
	dir_guid_base(guid, base);
	err = ad_token(b, base, t, why);
	if (err == 0 && t->found &&
		(!t->answer->has_guid || memcmp(guid, t->answer->guid, sizeof(guid)) != 0 ||
			!ad_is_called(t->answer, n, upn)))
		dir_answer_fail(t->answer, IDFW__DIR_RESULT__STATUS__UNAVAILABLE,
			"asked for \"%.100s\" the directory gives another account", n->account);
	if (err == 0 && t->found == 0) /* deleted between the two searches */
		dir_answer_fail(t->answer, IDFW__DIR_RESULT__STATUS__NOT_FOUND,
			"no account \"%.100s\" any more", n->account);
	return err;
}

struct ad_names { /* SIDs that the cache lacks */
	struct dir_back *b;
	struct dir_answer *answer;
	uint64_t epoch; /* of the cache, before they are asked for */
	const struct dir_sid *sids[AD_OR_MAX];
	bool named[AD_OR_MAX];
	size_t n;
};

static int ad_names_take(struct ad_names *w, const struct dir_group *g)
{
	int err = dir_answer_add(w->answer, g);

	return err < 0 ? err : dir_cache_put(w->b->cache, g, w->epoch);
}

static int ad_names_entry(void *arg, struct dldap_entry *e)
{
	struct ad_names *w = arg;
	struct dir_group g;
	int err = dir_group_read(&g, e, &dir_schema_ad);
	size_t i;

	if (err < 0)
		return err;
	for (i = 0; err == 0 && i < w->n; i++) {
		if (w->named[i] || g.sid_len != w->sids[i]->len ||
			memcmp(g.sid, w->sids[i]->bytes, g.sid_len) != 0)
			continue;
		w->named[i] = true;
		err = ad_names_take(w, &g);
	}
	dir_group_fini(&g);
	return err;
}

/* groups of up to AD_OR_MAX SIDs, into the answer and the cache; which no entry has: without a name
 */
static int ad_names(struct ad_names *w, char why[DIR_WHY_MAX])
{
	struct gi_buf filter;
	size_t i;
	int err;

	memset(w->named, 0, sizeof(w->named));
	gi_buf_init(&filter, AD_FILTER_MAX);
	gi_buf_append(&filter, "(|", 2);
	for (i = 0; i < w->n; i++) {
		gi_buf_printf(&filter, "(objectSid=");
		dir_filter_escape(&filter, w->sids[i]->bytes, w->sids[i]->len);
		gi_buf_append(&filter, ")", 1);
	}
	gi_buf_append(&filter, ")", 1);
	err = gi_buf_error(&filter);
	if (err == 0) {
		const struct dldap_query q = { .base = w->b->root,
			.filter = gi_buf_str(&filter),
			.scope = DLDAP_SUBTREE,
			.attrs = ad_group_attrs,
			.page = w->b->page,
			.max = AD_OR_MAX * 2,
			.entry = ad_names_entry,
			.arg = w };

		err = dldap_search(w->b->look, &q, why);
	}
	gi_buf_fini(&filter);
	for (i = 0; err == 0 && i < w->n; i++) {
		struct dir_group none = { .sid_len = w->sids[i]->len };

		memcpy(none.sid, w->sids[i]->bytes, none.sid_len);
		if (!w->named[i])
			err = ad_names_take(w, &none);
	}
	w->n = 0;
	return err;
}

/*
 * The cache is not held while the server is asked. What it knows is taken at once, so that nothing
 * is missing in the answer when somebody empties it meanwhile.
 */
static int ad_groups(struct dir_back *b, struct ad_token *t, char why[DIR_WHY_MAX])
{
	struct ad_names w = { .b = b, .answer = t->answer };
	const struct dir_sid **unknown = calloc(t->n_sids + 1, sizeof(*unknown));
	const struct dir_group *g;
	size_t i, n = 0;
	int err = 0;

	if (!unknown)
		return -ENOMEM;
	w.epoch = dir_cache_hold(b->cache);
	for (i = 0; err == 0 && i < t->n_sids; i++) {
		g = dir_cache_get(b->cache, t->sids[i].bytes, t->sids[i].len);
		if (g)
			err = dir_answer_add(t->answer, g);
		else
			unknown[n++] = &t->sids[i];
	}
	dir_cache_release(b->cache);
	for (i = 0; err == 0 && i < n; i++) {
		w.sids[w.n++] = unknown[i];
		if (w.n == AD_OR_MAX || i + 1 == n)
			err = ad_names(&w, why);
	}
	free(unknown);
	return err;
}

static int ad_lookup(struct dir_back *b, const char *name, const uint8_t *sid, size_t sid_len,
	struct dir_answer *ret, char why[DIR_WHY_MAX])
{
	struct ad_token t = { .answer = ret };
	struct dir_name n;
	char text[SID_TEXT_MAX], base[SID_TEXT_MAX + 8];
	uint64_t began_ms = io_clock_mono_ms();
	int err = 0;

	ret->status = IDFW__DIR_RESULT__STATUS__OK;
	if (dir_name_parse(name, &n) < 0 ||
		(n.form == DIR_NAME_DOMAIN && !dir_domain_is_ours(b, n.domain))) {
		dir_answer_fail(ret, IDFW__DIR_RESULT__STATUS__NOT_FOUND,
			"\"%.100s\" is no name of an account in %.100s", name, b->domain);
		return 0;
	}
	/* known from before: one request instead of two, when it is still called so */
	if (n.form != DIR_NAME_UPN && sid_len && sid_to_text(sid, sid_len, text) == 0) {
		t.account = n.account;
		(void)snprintf(base, sizeof(base), "<SID=%s>", text);
		err = ad_token(b, base, &t, why);
	}
	if (err == 0 &&
		(t.found == 0 || t.wrong_name || !dir_dn_is_below(ret->dn, b->conf->base))) {
		t.account = NULL;
		t.wrong_name = false;
		err = ad_by_name(b, &n, &t, why);
	}
	/* each account has a primary group: no group at all is an attribute that is kept from us */
	if (err == 0 && ret->status == IDFW__DIR_RESULT__STATUS__OK && t.n_sids == 0)
		dir_answer_fail(ret, IDFW__DIR_RESULT__STATUS__UNAVAILABLE,
			"the directory does not say which groups \"%.100s\" is in: may bind-user "
			"read "
			"tokenGroups? See the group \"Windows Authorization Access Group\"",
			name);
	if (err == 0 && ret->status == IDFW__DIR_RESULT__STATUS__OK)
		err = ad_groups(b, &t, why);
	if (err == 0)
		err = dir_answer_upn(ret, b);
	if (err == 0 && ret->status == IDFW__DIR_RESULT__STATUS__OK && ret->has_guid)
		dir_seen_add(b->seen, ret->guid, began_ms, io_clock_mono_ms());
	free(t.sids);
	if (err == -GI_ELIMIT) {
		dir_answer_fail(ret, IDFW__DIR_RESULT__STATUS__UNAVAILABLE,
			"\"%.100s\" is in more than %d groups, or in more than the directory tells "
			"(its size limit)",
			name, DIR_ANSWER_GROUPS_MAX);
		err = 0;
	}
	return err;
}
