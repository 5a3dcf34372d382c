/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirlisting.c - all groups of a directory: which are in which, and which the policy names
 *
 * Runs in the directory child that was started for the question (DirQuery GROUPS). Read is as
 * little as tells groups in groups: AD's memberOf of each group, which names groups only, with
 * their GUIDs; elsewhere first the list of groups, then their members, of which those are kept
 * that are in the list. A page a request. Then references (the policy's names, DNs, SIDs) are
 * matched as the policy compares them, and what was asked for is said, in a fixed order.
 * Invariant: a listing that is not whole is no answer but an error.
 * Source: MS-ADTS 3.1.1.4.5.4 (memberOf); docs/directory.md.
 */
#include "svm-idfw/dirreport.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "policy/policy.h"
#include "svm-idfw/dirgroups.h"

#define LISTING_FILTER_MAX (64u << 10)
#define LISTING_CYCLES_MAX 1000
#define LISTING_KEY_MAX (WIRE_DIR_REF_MAX + 2)

struct ref {
	uint32_t number;
	UT_hash_handle hh;
	char key[]; /* its kind's letter and the text */
};

struct listing {
	struct dir_back *b;
	struct dir_report *r;
	const struct dir_schema *schema;
	enum _Idfw__DirQuery__Show show;
	struct dir_net net;
	struct ref *refs;	      /* owned */
	struct net_node *at;	      /* whose entry is at hand */
	bool some;		      /* it has a member */
	struct dir_report_more *more; /* owned: of each node */
	uint32_t *order;	      /* owned: their numbers */
};

/* ---- reading, both kinds ---- */

static int group_filter(const struct listing *l, const char *and, struct gi_buf *f)
{
	const char *const *c = l->schema->group_class;

	gi_buf_printf(f, "(&(|");
	for (; *c; c++)
		gi_buf_printf(f, "(objectClass=%s)", *c);
	gi_buf_printf(f, ")%s)", and);
	return gi_buf_error(f);
}

/* every group that @and is true of, a page a request */
static int group_pages(struct listing *l, const char *and, const char *const *attrs,
	unsigned int page, int (*entry)(void *, struct dldap_entry *), char why[DIR_WHY_MAX])
{
	struct dldap_cursor c = { .more = false };
	struct dir_back *b = l->b;
	struct gi_buf filter;
	int err;

	gi_buf_init(&filter, LISTING_FILTER_MAX);
	err = group_filter(l, and, &filter);
	if (err == 0) {
		bool ad = b->ops == &dir_back_ad;
		const struct dldap_query q = {
			.base = !ad && b->conf->group_base ? b->conf->group_base : b->root,
			.filter = gi_buf_str(&filter),
			.scope = DLDAP_SUBTREE,
			.attrs = attrs,
			.page = page < b->page ? page : b->page,
			.max = DIR_GRAPH_NODES_MAX,
			.entry = entry,
			.arg = l,
			.extended_dn = ad
		};

		do {
			err = dldap_search_page(b->look, &q, &c, why);
			dir_report_progress(l->r, l->net.n, l->net.n_edges);
		} while (err == 0 && c.more);
	}
	dldap_cursor_fini(&c);
	gi_buf_fini(&filter);
	return err;
}

/* ---- Active Directory ---- */

static int ad_group(void *arg, struct dldap_entry *e)
{
	struct listing *l = arg;
	uint8_t guid[16];
	size_t len;
	int err;

	if (!dldap_entry_bytes(e, "objectGUID", guid, sizeof(guid), &len) || len != sizeof(guid))
		return -GI_EPROTO;
	err = dir_net_node(&l->net, guid, sizeof(guid), &l->at);
	if (err == 0)
		err = dir_net_read(l->at, e, l->schema, true);
	return err < 0 ? err : dir_net_points(&l->net, l->at, e);
}

static int ad_empty(void *arg, struct dldap_entry *e)
{
	struct listing *l = arg;
	struct net_node *node;
	uint8_t guid[16];
	size_t len;

	if (!dldap_entry_bytes(e, "objectGUID", guid, sizeof(guid), &len) || len != sizeof(guid))
		return -GI_EPROTO;
	node = dir_net_find(&l->net, guid, sizeof(guid));
	if (node)
		node->flags |= DIR_NODE_EMPTY;
	return 0;
}

static int ad_read(struct listing *l, char why[DIR_WHY_MAX])
{
	static const char *const attrs[] = { "objectGUID", "objectSid", "sAMAccountName", "cn",
		"groupType", "memberOf", NULL };
	static const char *const guid[] = { "objectGUID", NULL };
	int err = group_pages(l, "", attrs, DIR_GROUPS_LIST, ad_group, why);

	if (err == 0)
		err = dir_net_rest(&l->net, l->b, l->r, why);
	if (err == 0 && l->show == IDFW__DIR_QUERY__SHOW__UNUSED)
		err = group_pages(l, "(!(member=*))", guid, DIR_GROUPS_LIST, ad_empty, why);
	return err;
}

static int ad_anybody(void *arg, struct dldap_entry *e)
{
	(void)e;
	*(bool *)arg = true;
	return -ECANCELED; /* one is enough */
}

/* whose primary group it is stands in no member attribute */
static int ad_primary(struct listing *l, struct net_node *node, char why[DIR_WHY_MAX])
{
	static const char *const attrs[] = { "objectGUID", NULL };
	const uint8_t *rid = node->g.sid + node->g.sid_len - 4;
	bool some = false;
	char filter[64];
	const struct dldap_query q = { .base = l->b->root,
		.filter = filter,
		.scope = DLDAP_SUBTREE,
		.attrs = attrs,
		.page = 1,
		.max = 1,
		.entry = ad_anybody,
		.arg = &some };
	int err;

	if (node->g.sid_len < 12)
		return 0;
	(void)snprintf(filter, sizeof(filter), "(primaryGroupID=%u)",
		(unsigned int)rid[0] | (unsigned int)rid[1] << 8 | (unsigned int)rid[2] << 16 |
			(unsigned int)rid[3] << 24);
	err = dldap_search(l->b->look, &q, why);
	if (some) {
		node->flags &= ~(uint32_t)DIR_NODE_EMPTY;
		why[0] = '\0';
		err = 0;
	}
	dir_report_progress(l->r, l->net.n, l->net.n_edges);
	return err;
}

/* ---- OpenLDAP and the like ---- */

static int ldap_group(void *arg, struct dldap_entry *e)
{
	struct listing *l = arg;
	char *dn = NULL;
	int err = dldap_entry_dn(e, &dn);

	if (err == 0)
		err = dir_net_dn(&l->net, dn, strlen(dn), true, &l->at);
	free(dn);
	if (err == 0)
		err = dir_net_read(l->at, e, l->schema, false);
	if (err == 0)
		l->at->flags |= DIR_NODE_EMPTY;
	return err;
}

static int ldap_member(void *arg, const uint8_t *value, size_t len)
{
	struct listing *l = arg;
	struct net_node *member = NULL;

	l->some = true;
	if (dir_net_dn(&l->net, (const char *)value, len, false, &member) < 0 || !member)
		return 0;
	return dir_net_edge(&l->net, member, l->at);
}

static int ldap_any(void *arg, const uint8_t *value, size_t len)
{
	(void)value;
	(void)len;
	((struct listing *)arg)->some = true;
	return 1;
}

/* one that has a number may be somebody's primary group: it is not said to be empty */
static int ldap_members(void *arg, struct dldap_entry *e)
{
	struct listing *l = arg;
	const struct dir_schema *s = l->schema;
	char *dn = NULL;
	int err = dldap_entry_dn(e, &dn);

	l->at = NULL;
	l->some = false;
	if (err == 0)
		err = dir_net_dn(&l->net, dn, strlen(dn), false, &l->at);
	free(dn);
	if (err < 0 || !l->at) /* it came after the list */
		return err;
	for (size_t i = 0; err == 0 && s->member[i]; i++)
		err = dldap_entry_each(e, s->member[i], ldap_member, l);
	for (size_t i = 0; err == 0 && s->member_uid[i]; i++)
		(void)dldap_entry_each(e, s->member_uid[i], ldap_any, l);
	for (size_t i = 0; err == 0 && s->gid_number[i]; i++)
		(void)dldap_entry_each(e, s->gid_number[i], ldap_any, l);
	if (l->some)
		l->at->flags &= ~(uint32_t)DIR_NODE_EMPTY;
	return err;
}

static int ldap_read(struct listing *l, char why[DIR_WHY_MAX])
{
	const char *attrs[DIR_SCHEMA_ALL];
	int err;

	dir_schema_group_attrs(l->schema, false, attrs);
	err = group_pages(l, "", attrs, DIR_GROUPS_LIST, ldap_group, why);
	if (err < 0)
		return err;
	dir_schema_group_attrs(l->schema, true, attrs);
	return group_pages(l, "", attrs, DIR_GROUPS_PAGE, ldap_members, why);
}

/* ---- the policy's references ---- */

static char kind_letter(int kind)
{
	return (char)('0' + kind);
}

static int refs_take(struct listing *l, Idfw__Envelope *const *parts, size_t n_parts)
{
	uint32_t number = 0;

	for (size_t p = 0; p < n_parts; p++) {
		const Idfw__DirQuery *q = parts[p]->dir_query;

		for (size_t i = 0; i < q->n_ref; i++, number++) {
			size_t len = strlen(q->ref[i]->text);
			struct ref *r = calloc(1, sizeof(*r) + len + 2), *had;

			if (!r)
				return -ENOMEM;
			r->number = number;
			r->key[0] = kind_letter(q->ref[i]->kind);
			memcpy(r->key + 1, q->ref[i]->text, len);
			HASH_FIND(hh, l->refs, r->key, len + 1, had);
			if (had)
				free(r);
			else
				HASH_ADD(hh, l->refs, key[0], len + 1, r);
		}
	}
	return 0;
}

static void refs_find(struct listing *l, struct dir_report_more *more, enum pol_dirref_kind kind,
	const char *text)
{
	char key[LISTING_KEY_MAX] = { kind_letter((int)kind) };
	struct ref *r;

	if (!text || !text[0] || pol_dirref_fold(kind, text, key + 1, sizeof(key) - 1) < 0)
		return;
	HASH_FIND(hh, l->refs, key, strlen(key), r);
	if (r)
		more->refs[more->n_refs++] = r->number;
}

/* which of them each group is, and whom that reaches: who is in it, is in the group it is in */
static int refs_match(struct listing *l, const struct dir_graph *g)
{
	uint8_t *used = calloc(l->net.n + 1, sizeof(*used));
	char sid[SID_TEXT_MAX];
	int err;

	if (!used)
		return -ENOMEM;
	for (size_t i = 0; i < l->net.n; i++) {
		const struct dir_group *group = &l->net.nodes[i]->g;

		refs_find(l, &l->more[i], POL_DIRREF_NAME, group->name);
		refs_find(l, &l->more[i], POL_DIRREF_DN, group->dn);
		if (group->sid_len && sid_to_text(group->sid, group->sid_len, sid) == 0)
			refs_find(l, &l->more[i], POL_DIRREF_SID, sid);
		used[i] = l->more[i].n_refs != 0;
	}
	err = dir_graph_mark_members(g, used);
	for (size_t i = 0; err == 0 && i < l->net.n; i++)
		if (used[i])
			l->net.nodes[i]->flags |= DIR_NODE_USED;
	free(used);
	return err;
}

static int refs_empty(struct listing *l, char why[DIR_WHY_MAX])
{
	int err = 0;

	for (size_t i = 0; err == 0 && i < l->net.n; i++)
		if (l->more[i].n_refs && l->net.nodes[i]->flags & DIR_NODE_EMPTY)
			err = ad_primary(l, l->net.nodes[i], why);
	return err;
}

/* ---- what is said ---- */

static int by_depth(const void *a, const void *b, void *arg)
{
	const struct listing *l = arg;
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	char sx[SID_TEXT_MAX], sy[SID_TEXT_MAX];
	int c;

	if (l->show == IDFW__DIR_QUERY__SHOW__NESTED && l->more[x].depth != l->more[y].depth)
		return l->more[x].depth > l->more[y].depth ? -1 : 1;
	c = strcasecmp(dir_net_name(l->net.nodes[x], sx), dir_net_name(l->net.nodes[y], sy));
	return c ? c : (x > y) - (x < y);
}

static bool is_shown(const struct listing *l, uint32_t i)
{
	const uint32_t not_ours =
		DIR_NODE_DISTRIBUTION | DIR_NODE_BUILTIN | DIR_NODE_WELL_KNOWN | DIR_NODE_FOREIGN;

	switch (l->show) {
	case IDFW__DIR_QUERY__SHOW__UNUSED:
		return l->more[i].n_refs || !(l->net.nodes[i]->flags & (DIR_NODE_USED | not_ours));
	case IDFW__DIR_QUERY__SHOW__NESTED:
		return l->more[i].groups != 0;
	default:
		return l->show == IDFW__DIR_QUERY__SHOW__ALL;
	}
}

/* innermost ... group; of one that is too long the inner end is left out */
static size_t chain_of(const struct dir_graph *g, uint32_t node, uint32_t ret[WIRE_DIR_PATH_MAX])
{
	size_t n = dir_graph_chain(g, node, ret, WIRE_DIR_PATH_MAX);

	if (n == WIRE_DIR_PATH_MAX && dir_graph_depth(g, node) >= n)
		ret[n - 1] = DIR_GRAPH_NONE;
	for (size_t i = 0; i < n / 2; i++) {
		uint32_t t = ret[i];

		ret[i] = ret[n - 1 - i];
		ret[n - 1 - i] = t;
	}
	return n;
}

static int say_ring(void *arg, const uint32_t *way, size_t n, size_t nodes)
{
	struct listing *l = arg;

	dir_report_cycle(l->r, &l->net, way, n, nodes);
	return 0;
}

static int say(struct listing *l, const struct dir_graph *g, char why[DIR_WHY_MAX])
{
	bool nested = l->show == IDFW__DIR_QUERY__SHOW__NESTED;
	uint32_t way[WIRE_DIR_PATH_MAX];
	size_t left = 0;
	int err = 0;

	qsort_r(l->order, l->net.n, sizeof(*l->order), by_depth, l);
	for (size_t k = 0; k < l->net.n; k++) {
		uint32_t i = l->order[k];

		if (is_shown(l, i))
			dir_report_node(l->r, &l->net, l->net.nodes[i], &l->more[i], way,
				nested ? chain_of(g, i, way) : 0);
	}
	if (l->show == IDFW__DIR_QUERY__SHOW__CYCLES)
		err = dir_graph_rings(g, LISTING_CYCLES_MAX, say_ring, l, &left);
	dir_report_flush(l->r);
	if (err == 0 && left)
		dir_why(why, "%zu groups more are in cycles", left);
	return err == 0 && left ? -GI_ELIMIT : err;
}

static int graph_of(struct listing *l, struct dir_graph **ret)
{
	struct dir_graph *g = NULL;
	size_t n;
	int err = dir_net_graph(&l->net, &g);

	if (err < 0)
		return err;
	l->more = calloc(l->net.n + 1, sizeof(*l->more));
	l->order = calloc(l->net.n + 1, sizeof(*l->order));
	if (!l->more || !l->order) {
		dir_graph_free(g);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < l->net.n; i++) {
		(void)dir_graph_members(g, i, &n);
		l->more[i].groups = (uint32_t)n;
		l->more[i].depth = dir_graph_depth(g, i);
		l->order[i] = i;
	}
	*ret = g;
	return 0;
}

static void listing_fini(struct listing *l)
{
	struct ref *r, *next;

	HASH_ITER (hh, l->refs, r, next) {
		HASH_DEL(l->refs, r);
		free(r);
	}
	free(l->more);
	free(l->order);
	dir_net_fini(&l->net);
}

int dir_listing(struct dir_back *b, Idfw__Envelope *const *parts, size_t n_parts,
	struct dir_report *r, char why[DIR_WHY_MAX])
{
	bool ad = b->ops == &dir_back_ad;
	struct listing l = { .b = b,
		.r = r,
		.schema = ad ? &dir_schema_ad : &b->schema,
		.show = parts[0]->dir_query->show,
		.net = { .max = DIR_GRAPH_NODES_MAX } };
	struct dir_graph *g = NULL;
	int err = refs_take(&l, parts, n_parts);

	if (err == 0)
		err = ad ? ad_read(&l, why) : ldap_read(&l, why);
	if (err == -GI_ELIMIT && !why[0])
		dir_why(why, "there are more than %d groups, or %d of them in others",
			DIR_GRAPH_NODES_MAX, DIR_GRAPH_EDGES_MAX);
	if (err == 0)
		err = graph_of(&l, &g);
	if (err == 0)
		err = refs_match(&l, g);
	if (err == 0 && ad && l.show == IDFW__DIR_QUERY__SHOW__UNUSED)
		err = refs_empty(&l, why);
	if (err == 0)
		err = say(&l, g, why);
	dir_graph_free(g);
	listing_fini(&l);
	return err;
}
