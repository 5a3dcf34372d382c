/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirnet.c - groups and who is in them, as they are read from a directory
 *
 * Runs in the directory child, for an operator's question. A node is known by a key before its
 * entry is read: an edge may name it first. Invariant: numbers are given in order and never change,
 * so the graph (dirgraph.h) has the same.
 * Source: MS-ADTS 3.1.1.3.1.3.3 (range), 3.1.1.3.4.1.5 (extended DN).
 */
#include "svm-idfw/dirreport.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/text.h"

#define GROUP_TYPE_SECURITY 0x80000000u /* MS-ADTS 2.2.12 */

void dir_net_fini(struct dir_net *n)
{
	HASH_CLEAR(hh, n->by_key);
	for (size_t i = 0; i < n->n; i++) {
		dir_group_fini(&n->nodes[i]->g);
		free(n->nodes[i]);
	}
	free(n->nodes);
	free(n->edges);
	free(n->rest);
	*n = (struct dir_net){ .n = 0 };
}

struct net_node *dir_net_find(const struct dir_net *n, const void *key, size_t len)
{
	struct net_node *node = NULL;

	HASH_FIND(hh, n->by_key, key, len, node);
	return node;
}

int dir_net_node(struct dir_net *n, const void *key, size_t len, struct net_node **ret)
{
	struct net_node *node = dir_net_find(n, key, len), **grown;
	size_t cap;

	if (node) {
		*ret = node;
		return 0;
	}
	if (n->n >= n->max)
		return -GI_ELIMIT;
	if (n->n == n->cap) {
		cap = n->cap ? n->cap * 2 : 256;
		grown = reallocarray(n->nodes, cap, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		n->nodes = grown;
		n->cap = cap;
	}
	node = calloc(1, sizeof(*node) + len);
	if (!node)
		return -ENOMEM;
	node->number = (uint32_t)n->n;
	node->key_len = len;
	memcpy(node->key, key, len);
	HASH_ADD_KEYPTR(hh, n->by_key, node->key, len, node);
	n->nodes[n->n++] = node;
	*ret = node;
	return 0;
}

int dir_net_dn(struct dir_net *n, const char *dn, size_t len, bool make, struct net_node **ret)
{
	char key[DIR_DN_MAX];

	if (len >= sizeof(key))
		return -GI_ELIMIT;
	for (size_t i = 0; i < len; i++)
		key[i] = dn[i] >= 'A' && dn[i] <= 'Z' ? (char)(dn[i] | 0x20) : dn[i];
	if (make)
		return dir_net_node(n, key, len, ret);
	*ret = dir_net_find(n, key, len);
	return 0;
}

int dir_net_edge(struct dir_net *n, const struct net_node *member, const struct net_node *group)
{
	struct net_edge *grown;
	size_t cap;

	if (n->n_edges >= DIR_GRAPH_EDGES_MAX)
		return -GI_ELIMIT;
	if (n->n_edges == n->cap_edges) {
		cap = n->cap_edges ? n->cap_edges * 2 : 256;
		grown = reallocarray(n->edges, cap, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		n->edges = grown;
		n->cap_edges = cap;
	}
	n->edges[n->n_edges++] = (struct net_edge){ member->number, group->number };
	return 0;
}

int dir_net_graph(struct dir_net *n, struct dir_graph **ret)
{
	struct dir_graph *g = NULL;
	uint32_t number;
	int err = dir_graph_new(n->n + 1, n->n_edges + 1, &g);

	for (size_t i = 0; err == 0 && i < n->n; i++)
		err = dir_graph_node(g, &number);
	for (size_t i = 0; err == 0 && i < n->n_edges; i++)
		if (!n->nodes[n->edges[i].member]->gone && !n->nodes[n->edges[i].group]->gone)
			err = dir_graph_edge(g, n->edges[i].member, n->edges[i].group);
	if (err == 0)
		err = dir_graph_seal(g);
	if (err < 0) {
		dir_graph_free(g);
		return err;
	}
	for (size_t i = 0; i < n->n; i++)
		if (dir_graph_cycle_of(g, (uint32_t)i) != DIR_GRAPH_NONE)
			n->nodes[i]->flags |= DIR_NODE_IN_CYCLE;
	*ret = g;
	return 0;
}

static void net_kind(struct net_node *n, struct dldap_entry *e)
{
	char text[24], sid[SID_TEXT_MAX] = "";
	bool minus;
	uint64_t type;

	if (n->g.sid_len && sid_to_text(n->g.sid, n->g.sid_len, sid) < 0)
		sid[0] = '\0';
	if (strncmp(sid, "S-1-5-32-", 9) == 0)
		n->flags |= DIR_NODE_BUILTIN;
	else if (sid[0] && strncmp(sid, "S-1-5-21-", 9) != 0)
		n->flags |= DIR_NODE_WELL_KNOWN;
	/* a signed number: the highest bit is a minus */
	if (!dldap_entry_text(e, "groupType", text, sizeof(text)))
		return;
	minus = text[0] == '-';
	if (gi_text_u64(text + minus, 0, UINT32_MAX, &type) == 0 && !minus &&
		!(type & GROUP_TYPE_SECURITY))
		n->flags |= DIR_NODE_DISTRIBUTION;
}

int dir_net_read(struct net_node *n, struct dldap_entry *e, const struct dir_schema *s, bool ad)
{
	struct dir_group g;
	int err = dir_group_read(&g, e, s);

	if (err < 0)
		return err;
	dir_group_fini(&n->g);
	n->g = g;
	n->read = true;
	n->flags &= ~(uint32_t)DIR_NODE_FOREIGN;
	if (ad)
		net_kind(n, e);
	return 0;
}

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "<GUID=hex>;<SID=hex>;DN" */
static bool extended(const uint8_t *value, size_t len, uint8_t ret_guid[16], const char **ret_dn,
	size_t *ret_dn_len)
{
	static const char head[] = "<GUID=";
	size_t at = sizeof(head) - 1, i;

	if (len < at + 33 || memcmp(value, head, at) != 0 || value[at + 32] != '>')
		return false;
	for (i = 0; i < 16; i++) {
		int high = hex_digit(value[at + 2 * i]), low = hex_digit(value[at + 2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		ret_guid[i] = (uint8_t)(high << 4 | low);
	}
	for (at += 33; at < len && value[at] == ';';) {
		const uint8_t *end;

		at++;
		if (at == len || value[at] != '<')
			break;
		end = memchr(value + at, '>', len - at);
		if (!end)
			return false;
		at = (size_t)(end - value) + 1;
	}
	*ret_dn = (const char *)value + at;
	*ret_dn_len = len - at;
	return true;
}

static int net_stranger(struct dir_net *n, const uint8_t *value, size_t len, struct net_node **ret)
{
	struct net_node *group = NULL;
	uint8_t guid[16];
	const char *dn;
	size_t dn_len;
	int err;

	if (!extended(value, len, guid, &dn, &dn_len))
		return -GI_EPROTO;
	err = dir_net_node(n, guid, sizeof(guid), &group);
	if (err == 0 && !group->g.dn) { /* until it is read, if it ever is */
		group->g.dn = strndup(dn, dn_len);
		group->g.name = strdup("");
		group->flags |= DIR_NODE_FOREIGN;
		if (!group->g.dn || !group->g.name)
			return -ENOMEM;
	}
	if (err == 0)
		*ret = group;
	return err;
}

struct net_points {
	struct dir_net *n;
	const struct net_node *node;
	bool rest, found; /* it is the rest of @node that is asked for; it came */
};

static int net_point(void *arg, const uint8_t *value, size_t len)
{
	struct net_points *p = arg;
	struct net_node *group = NULL;
	int err = net_stranger(p->n, value, len, &group);

	return err < 0 ? err : dir_net_edge(p->n, p->node, group);
}

static int net_rest_add(struct dir_net *n, const struct net_node *node, size_t next)
{
	if (n->n_rest == n->cap_rest) {
		size_t cap = n->cap_rest ? 2 * n->cap_rest : 16;
		struct net_rest *grown = reallocarray(n->rest, cap, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		n->rest = grown;
		n->cap_rest = cap;
	}
	n->rest[n->n_rest++] = (struct net_rest){ node, next };
	return 0;
}

static int net_points_entry(void *arg, struct dldap_entry *e)
{
	char part[DLDAP_RANGE_MAX];
	struct net_points *p = arg;
	size_t next = 0;
	int err;

	p->found = dldap_entry_range(e, "memberOf", part, &next);
	if (!p->found)
		return p->rest ? 0 : dldap_entry_each(e, "memberOf", net_point, p);
	err = dldap_entry_each(e, part, net_point, p);
	return err == 0 && next ? net_rest_add(p->n, p->node, next) : err;
}

int dir_net_points(struct dir_net *n, const struct net_node *node, struct dldap_entry *e)
{
	struct net_points p = { .n = n, .node = node };

	return net_points_entry(&p, e);
}

/* the next part; it may note one more */
static int net_rest_ask(
	struct dir_net *n, struct dir_back *b, const struct net_rest *r, char why[DIR_WHY_MAX])
{
	struct net_points p = { .n = n, .node = r->node, .rest = true };
	char base[48], attr[DLDAP_RANGE_MAX], name[SID_TEXT_MAX];
	const char *attrs[] = { attr, NULL };
	const struct dldap_query q = { .base = base,
		.filter = "(objectClass=*)",
		.scope = DLDAP_BASE,
		.attrs = attrs,
		.max = 1,
		.extended_dn = true,
		.entry = net_points_entry,
		.arg = &p };
	int err;

	dir_guid_base(r->node->key, base);
	(void)snprintf(attr, sizeof(attr), "memberOf;range=%zu-*", r->next);
	err = dldap_search(b->look, &q, why);
	if (err < 0)
		return err;
	if (p.found && (!n->n_rest || n->rest[n->n_rest - 1].node != r->node ||
			       n->rest[n->n_rest - 1].next > r->next))
		return 0;
	dir_why(why,
		"the directory does not say all groups that %.100s is in: %zu, and not the rest",
		dir_net_name(r->node, name), r->next);
	return -GI_EPROTO;
}

int dir_net_rest(struct dir_net *n, struct dir_back *b, struct dir_report *r, char why[DIR_WHY_MAX])
{
	int err = 0;

	while (err == 0 && n->n_rest) {
		struct net_rest one = n->rest[--n->n_rest];

		err = net_rest_ask(n, b, &one, why);
		dir_report_progress(r, n->n, n->n_edges);
	}
	return err;
}

static bool net_clean(const char *text)
{
	return text && text[0] && gi_text_is_clean(text, DIR_NAME_MAX);
}

const char *dir_net_name(const struct net_node *n, char buf[SID_TEXT_MAX])
{
	if (net_clean(n->g.name))
		return n->g.name;
	if (n->g.sid_len && sid_to_text(n->g.sid, n->g.sid_len, buf) == 0)
		return buf;
	return net_clean(n->g.dn) ? n->g.dn : "(no name)";
}
