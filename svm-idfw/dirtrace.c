/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirtrace.c - how each group of an account is reached
 *
 * Runs in the directory child, for an operator's question. It climbs by itself, not by what a
 * lookup found: so that the two can be compared (querylookup.c does). AD: memberOf of account and
 * groups, with the GUID of each in it (a DN may be spelt in two ways), and the primary group by its
 * number. OpenLDAP: the groups that name an entry as member, and those that its memberOf names, as
 * dirclimb.c. Then a shortest way from the account to each. Invariant: each group is read once.
 * Source: MS-ADTS 3.1.1.3.4.1.5 (extended DN), docs/directory.md "Asking by hand".
 */
#include "svm-idfw/dirreport.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/text.h"

#define TRACE_ASK_MAX 100 /* groups in one filter */
#define TRACE_MEMBERS_MAX 64
#define TRACE_FILTER_MAX (1u << 20)
#define TRACE_CYCLES_MAX 100
#define TRACE_NAMES_MAX 8

struct trace {
	struct dir_back *b;
	struct dir_report *r;
	const struct dir_schema *schema;
	struct dir_net net;
	struct net_node *at; /* OpenLDAP: whose entry is at hand */
	uint32_t primary;    /* RID */
	bool asks_primary;   /* it alone is asked for */
	/* OpenLDAP: what memberUid and gidNumber of groups may say of the account */
	char names[TRACE_NAMES_MAX][DIR_NAME_MAX + 1];
	char gids[TRACE_NAMES_MAX][24];
	size_t n_names, n_gids;
	struct gi_buf seed; /* the same as parts of a filter */
};

/* ---- Active Directory ---- */

static int ad_account(void *arg, struct dldap_entry *e)
{
	struct trace *t = arg;
	char text[16];
	uint64_t rid = 0;

	if (dldap_entry_text(e, "primaryGroupID", text, sizeof(text)) &&
		gi_text_u64(text, 1, UINT32_MAX, &rid) < 0)
		rid = 0;
	t->primary = (uint32_t)rid;
	return dir_net_points(&t->net, t->net.nodes[0], e);
}

static int ad_group(void *arg, struct dldap_entry *e)
{
	struct trace *t = arg;
	struct net_node *node = NULL;
	uint8_t guid[16];
	size_t len;
	int err;

	if (!dldap_entry_bytes(e, "objectGUID", guid, sizeof(guid), &len) || len != sizeof(guid))
		return -GI_EPROTO;
	err = dir_net_node(&t->net, guid, sizeof(guid), &node);
	if (err < 0 || node->read)
		return err;
	err = dir_net_read(node, e, &dir_schema_ad, true);
	if (err < 0)
		return err;
	if (t->asks_primary && node->g.sid_len > 4) {
		const uint8_t *rid = node->g.sid + node->g.sid_len - 4;
		uint32_t n = (uint32_t)rid[0] | (uint32_t)rid[1] << 8 | (uint32_t)rid[2] << 16 |
			     (uint32_t)rid[3] << 24;

		if (n == t->primary) {
			node->flags |= DIR_NODE_PRIMARY;
			err = dir_net_edge(&t->net, t->net.nodes[0], node);
		}
	}
	return err < 0 ? err : dir_net_points(&t->net, node, e);
}

static int ad_ask(struct trace *t, struct gi_buf *filter, char why[DIR_WHY_MAX])
{
	static const char *const attrs[] = { "objectGUID", "objectSid", "sAMAccountName", "cn",
		"groupType", "memberOf", NULL };
	int err = gi_buf_error(filter);

	if (err == 0) {
		const struct dldap_query q = { .base = t->b->root,
			.filter = gi_buf_str(filter),
			.scope = DLDAP_SUBTREE,
			.attrs = attrs,
			.page = t->b->page,
			.max = 2 * TRACE_ASK_MAX,
			.extended_dn = true,
			.entry = ad_group,
			.arg = t };

		err = dldap_search(t->b->look, &q, why);
	}
	if (err == 0)
		err = dir_net_rest(&t->net, t->b, t->r, why);
	dir_report_progress(t->r, t->net.n, t->net.n_edges);
	return err;
}

/* primaryGroupID is a RID of the account's domain */
static int ad_primary(struct trace *t, const Idfw__DirGroup *account, char why[DIR_WHY_MAX])
{
	uint8_t sid[SID_BYTES_MAX];
	struct gi_buf filter;
	size_t len = account->sid.len;
	int err;

	if (!t->primary || len < 12 || len > sizeof(sid))
		return 0;
	memcpy(sid, account->sid.data, len);
	for (size_t i = 0; i < 4; i++)
		sid[len - 4 + i] = (uint8_t)(t->primary >> (8 * i));
	gi_buf_init(&filter, TRACE_FILTER_MAX);
	gi_buf_printf(&filter, "(objectSid=");
	dir_filter_escape(&filter, sid, len);
	gi_buf_append(&filter, ")", 1);
	t->asks_primary = true;
	err = ad_ask(t, &filter, why);
	t->asks_primary = false;
	gi_buf_fini(&filter);
	return err;
}

static int ad_level(struct trace *t, size_t from, size_t to, char why[DIR_WHY_MAX])
{
	struct gi_buf filter;
	unsigned int n = 0;
	int err = 0;

	gi_buf_init(&filter, TRACE_FILTER_MAX);
	for (size_t i = from; err == 0 && i < to; i++) {
		const struct net_node *node = t->net.nodes[i];

		if (!node->read) {
			if (n++ == 0)
				gi_buf_printf(&filter, "(|");
			gi_buf_printf(&filter, "(objectGUID=");
			dir_filter_escape(&filter, node->key, node->key_len);
			gi_buf_append(&filter, ")", 1);
		}
		if (n && (n == TRACE_ASK_MAX || i + 1 == to)) {
			gi_buf_append(&filter, ")", 1);
			err = ad_ask(t, &filter, why);
			gi_buf_reset(&filter);
			n = 0;
		}
	}
	gi_buf_fini(&filter);
	return err;
}

static int ad_climb(struct trace *t, const Idfw__DirGroup *account, char why[DIR_WHY_MAX])
{
	static const char *const attrs[] = { "memberOf", "primaryGroupID", NULL };
	struct net_node *self = NULL;
	size_t from = 1, to;
	char base[48];
	const struct dldap_query q = { .base = base,
		.filter = "(objectClass=*)",
		.scope = DLDAP_BASE,
		.attrs = attrs,
		.max = 1,
		.extended_dn = true,
		.entry = ad_account,
		.arg = t };
	int err;

	if (account->guid.len != 16)
		return -GI_EPROTO;
	err = dir_net_node(&t->net, account->guid.data, 16, &self);
	if (err < 0)
		return err;
	dir_guid_base(account->guid.data, base);
	self->read = true;
	err = dldap_search(t->b->look, &q, why);
	if (err == 0)
		err = dir_net_rest(&t->net, t->b, t->r, why);
	if (err == 0)
		err = ad_primary(t, account, why);
	for (to = t->net.n; err == 0 && from < to; from = to, to = t->net.n)
		err = ad_level(t, from, to, why);
	return err;
}

/* ---- OpenLDAP and the like ---- */

static int ldap_class(void *arg, const uint8_t *value, size_t len)
{
	return dir_schema_is_group(arg, value, len) ? 1 : 0;
}

static int ldap_point(void *arg, const uint8_t *value, size_t len)
{
	struct trace *t = arg;
	struct net_node *group = NULL;
	int err = dir_net_dn(&t->net, (const char *)value, len, true, &group);

	if (err == 0 && !group->g.dn) {
		group->g.dn = strndup((const char *)value, len);
		group->g.name = strdup("");
		if (!group->g.dn || !group->g.name)
			return -ENOMEM;
	}
	return err < 0 ? err : dir_net_edge(&t->net, t->at, group);
}

static int ldap_points(struct trace *t, struct dldap_entry *e, struct net_node *node)
{
	int err = 0;

	t->at = node;
	for (size_t i = 0; err == 0 && t->schema->member_of[i]; i++)
		err = dldap_entry_each(e, t->schema->member_of[i], ldap_point, t);
	return err;
}

/* a member that is known by now; one that becomes known later asks for its groups itself */
static int ldap_member(void *arg, const uint8_t *value, size_t len)
{
	struct trace *t = arg;
	struct net_node *member = NULL;

	if (dir_net_dn(&t->net, (const char *)value, len, false, &member) < 0 || !member)
		return 0;
	return dir_net_edge(&t->net, member, t->at);
}

static int ldap_member_uid(void *arg, const uint8_t *value, size_t len)
{
	struct trace *t = arg;

	for (size_t i = 0; i < t->n_names; i++)
		if (len == strlen(t->names[i]) &&
			strncasecmp(t->names[i], (const char *)value, len) == 0)
			return dir_net_edge(&t->net, t->net.nodes[0], t->at);
	return 0;
}

static int ldap_gid(void *arg, const uint8_t *value, size_t len)
{
	struct trace *t = arg;

	for (size_t i = 0; i < t->n_gids; i++)
		if (len == strlen(t->gids[i]) && memcmp(t->gids[i], value, len) == 0) {
			t->at->flags |= DIR_NODE_PRIMARY;
			return dir_net_edge(&t->net, t->net.nodes[0], t->at);
		}
	return 0;
}

static int ldap_group(void *arg, struct dldap_entry *e)
{
	const struct dir_schema *s = ((struct trace *)arg)->schema;
	struct trace *t = arg;
	struct net_node *node = NULL;
	char *dn = NULL;
	int err = dldap_entry_dn(e, &dn);

	if (err < 0)
		return err;
	err = dir_net_dn(&t->net, dn, strlen(dn), true, &node);
	free(dn);
	if (err < 0)
		return err;
	if (!dldap_entry_each(e, "objectClass", ldap_class, (void *)(uintptr_t)s)) {
		node->gone = node->read = true; /* a role, a rule */
		return 0;
	}
	if (!node->read) {
		err = dir_net_read(node, e, s, false);
		if (err == 0)
			err = ldap_points(t, e, node);
	}
	t->at = node;
	for (size_t i = 0; err == 0 && s->member[i]; i++)
		err = dldap_entry_each(e, s->member[i], ldap_member, t);
	for (size_t i = 0; err == 0 && s->member_uid[i]; i++)
		err = dldap_entry_each(e, s->member_uid[i], ldap_member_uid, t);
	for (size_t i = 0; err == 0 && s->gid_number[i]; i++)
		err = dldap_entry_each(e, s->gid_number[i], ldap_gid, t);
	return err;
}

static int ldap_name(void *arg, const uint8_t *value, size_t len)
{
	struct trace *t = arg;

	if (t->n_names == TRACE_NAMES_MAX || len > DIR_NAME_MAX)
		return 0;
	memcpy(t->names[t->n_names], value, len);
	t->names[t->n_names++][len] = '\0';
	dir_filter_groups_add(&t->seed, t->schema->member_uid, value, len);
	return gi_buf_error(&t->seed);
}

static int ldap_number(void *arg, const uint8_t *value, size_t len)
{
	struct trace *t = arg;

	if (t->n_gids == TRACE_NAMES_MAX || len >= sizeof(t->gids[0]))
		return 0;
	memcpy(t->gids[t->n_gids], value, len);
	t->gids[t->n_gids++][len] = '\0';
	dir_filter_groups_add(&t->seed, t->schema->gid_number, value, len);
	return gi_buf_error(&t->seed);
}

static int ldap_account(void *arg, struct dldap_entry *e)
{
	struct trace *t = arg;
	const struct dir_schema *s = t->schema;
	int err = 0;

	for (size_t i = 0; err == 0 && s->member_uid[0] && s->user_name[i]; i++)
		err = dldap_entry_each(e, s->user_name[i], ldap_name, t);
	for (size_t i = 0; err == 0 && s->gid_number[i]; i++)
		err = dldap_entry_each(e, s->gid_number[i], ldap_number, t);
	return err < 0 ? err : ldap_points(t, e, t->net.nodes[0]);
}

/* @base, @filter: of groups, with all that is needed of them; NULL filter: that entry */
static int ldap_ask(struct trace *t, const char *base, const char *filter,
	int (*entry)(void *, struct dldap_entry *), char why[DIR_WHY_MAX])
{
	const char *attrs[DIR_SCHEMA_ALL + 2 * DIR_ATTRS_MAX];
	size_t n = 0;
	struct dldap_query q = { .base = base,
		.filter = filter ? filter : "(objectClass=*)",
		.scope = filter ? DLDAP_SUBTREE : DLDAP_BASE,
		.attrs = attrs,
		.page = filter ? t->b->page : 0,
		.max = DIR_ANSWER_GROUPS_MAX,
		.entry = entry,
		.arg = t };
	int err;

	dir_schema_attrs(t->schema, attrs);
	while (attrs[n])
		n++;
	for (size_t i = 0; t->schema->member[i]; i++)
		attrs[n++] = t->schema->member[i];
	for (size_t i = 0; t->schema->member_uid[i]; i++)
		attrs[n++] = t->schema->member_uid[i];
	attrs[n] = NULL;
	err = dldap_search(t->b->look, &q, why);
	dir_report_progress(t->r, t->net.n, t->net.n_edges);
	return err;
}

/* all groups that name one of [from, to) as a member; @from 0: also by its names and numbers */
static int ldap_level(struct trace *t, size_t from, size_t to, char why[DIR_WHY_MAX])
{
	const struct idfw_dir_conf *conf = t->b->conf;
	struct gi_buf filter;
	unsigned int n = 0;
	int err = 0;

	gi_buf_init(&filter, TRACE_FILTER_MAX);
	for (size_t i = from; err == 0 && i < to; i++) {
		const struct net_node *node = t->net.nodes[i];

		if (n == 0)
			dir_filter_groups_begin(&filter, t->schema);
		if (t->schema->member[0] && !node->gone) {
			dir_filter_groups_add(
				&filter, t->schema->member, node->g.dn, strlen(node->g.dn));
			n++;
		}
		if (i == 0 && t->seed.len) {
			gi_buf_append(&filter, t->seed.data, t->seed.len);
			n++;
		}
		if (n && (n >= TRACE_MEMBERS_MAX || i + 1 == to)) {
			dir_filter_groups_end(&filter);
			err = gi_buf_error(&filter);
			if (err == 0)
				err = ldap_ask(t, conf->group_base ? conf->group_base : t->b->root,
					gi_buf_str(&filter), ldap_group, why);
			gi_buf_reset(&filter);
			n = 0;
		}
	}
	gi_buf_fini(&filter);
	return err;
}

static int ldap_climb(struct trace *t, const Idfw__DirGroup *account, char why[DIR_WHY_MAX])
{
	struct net_node *self = NULL;
	size_t from = 0, to = 1;
	int err = dir_net_dn(&t->net, account->dn, strlen(account->dn), true, &self);

	if (err < 0)
		return err;
	self->g.dn = strdup(account->dn);
	self->read = true;
	if (!self->g.dn)
		return -ENOMEM;
	err = ldap_ask(t, account->dn, NULL, ldap_account, why);
	for (; err == 0 && from < to; from = to, to = t->net.n) {
		err = ldap_level(t, from, to, why);
		for (size_t i = from; err == 0 && i < t->net.n; i++) {
			if (t->net.nodes[i]->read)
				continue;
			err = ldap_ask(t, t->net.nodes[i]->g.dn, NULL, ldap_group, why);
			if (err == -GI_ENOTFOUND)
				err = 0;
			if (!t->net.nodes[i]->read) /* removed, or spelt in another way */
				t->net.nodes[i]->gone = t->net.nodes[i]->read = true;
		}
	}
	return err;
}

/* ---- what is said ---- */

static int trace_ring(void *arg, const uint32_t *way, size_t n, size_t nodes)
{
	struct trace *t = arg;

	dir_report_cycle(t->r, &t->net, way, n, nodes);
	return 0;
}

static int trace_say(struct trace *t)
{
	uint32_t *by = NULL, way[WIRE_DIR_PATH_MAX];
	struct dir_graph *g = NULL;
	size_t n, left;
	int err = dir_net_graph(&t->net, &g);

	if (err == 0)
		err = dir_graph_climb(g, 0, &by);
	for (size_t i = 1; err == 0 && i < t->net.n; i++) {
		const struct net_node *node = t->net.nodes[i];

		n = node->gone ? 0 : dir_graph_path(by, 0, (uint32_t)i, way, WIRE_DIR_PATH_MAX);
		if (n)
			dir_report_node(t->r, &t->net, node, NULL, way, n);
	}
	if (err == 0)
		err = dir_graph_rings(g, TRACE_CYCLES_MAX, trace_ring, t, &left);
	dir_report_flush(t->r);
	free(by);
	dir_graph_free(g);
	return err;
}

int dir_trace(struct dir_back *b, const Idfw__DirGroup *account, struct dir_report *r,
	char why[DIR_WHY_MAX])
{
	bool ad = b->ops == &dir_back_ad;
	struct trace t = { .b = b,
		.r = r,
		.schema = ad ? &dir_schema_ad : &b->schema,
		.net = { .max = 2 * DIR_ANSWER_GROUPS_MAX } };
	int err;

	gi_buf_init(&t.seed, TRACE_FILTER_MAX);
	err = ad ? ad_climb(&t, account, why) : ldap_climb(&t, account, why);
	if (err == 0) {
		free(t.net.nodes[0]->g.name);
		t.net.nodes[0]->g.name = strdup(account->name);
		err = t.net.nodes[0]->g.name ? trace_say(&t) : -ENOMEM;
	}
	dir_net_fini(&t.net);
	gi_buf_fini(&t.seed);
	return err;
}
