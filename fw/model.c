/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * model.c - elements and rulesets as values: making them, checking them, freeing them
 *
 * Linked into svm-idfw, policy, gi-netagent's parser and its pusher. The pusher runs
 * fw_ruleset_check() and fw_elem_check() on all that it is handed, and whatever passes them is
 * safe to print into nft text: names are [A-Za-z0-9_-] with one optional '/', all else is numbers.
 */
#include "fw/fw.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

struct set_shape {
	uint8_t len; /* of the key */
	bool map;
	bool mark_key;	  /* the key is a mark, so not 0 nor from FW_MARK_END on */
	unsigned int use; /* FW_USE_* that the group must have; 0: no group */
};

static const struct set_shape set_shapes[FW_SET_COUNT] = {
	[FW_LIVE] = { 4, false, true, 0 },
	[FW_UID_MARK] = { 4, true, false, 0 },
	[FW_ADDR4_MARK] = { 4, true, false, 0 },
	[FW_ADDR6_MARK] = { 16, true, false, 0 },
	[FW_REMARK] = { 4, true, true, 0 },
	[FW_BASE_MARK] = { 1, true, false, 0 },
	[FW_SG] = { 4, false, true, FW_USE_SG },
	[FW_GA4] = { 4, false, false, FW_USE_GA },
	[FW_GA6] = { 16, false, false, FW_USE_GA },
	[FW_IA4] = { 4, false, false, FW_USE_IA },
	[FW_IA6] = { 16, false, false, FW_USE_IA },
	[FW_CG_MARK] = { 8, true, false, 0 },
};

static int check_group(const struct fw_group *g, const char **ret_why);
static int check_rule(const struct fw_rule *r, size_t n_groups, const char **ret_why);
static int check_service(const struct fw_service *s, const char **ret_why);
static int check_unique_names(const struct fw_ruleset *rs, const char **ret_why);
static bool rule_name_ok(const char name[GI_NAME_MAX + 1]);
static bool prefix_ok(const struct gi_prefix *p);

/* ---- elements ---- */

static struct fw_elem elem_u32(enum fw_set set, uint16_t group, uint32_t key, uint32_t mark)
{
	struct fw_elem e;

	memset(&e, 0, sizeof(e)); /* padding too: elements are hashed and sent as bytes */
	e.key.set = (uint8_t)set;
	e.key.group = group;
	e.key.len = 4;
	e.key.data[0] = (uint8_t)(key >> 24);
	e.key.data[1] = (uint8_t)(key >> 16);
	e.key.data[2] = (uint8_t)(key >> 8);
	e.key.data[3] = (uint8_t)key;
	e.mark = mark;
	return e;
}

static struct fw_elem elem_addr(
	enum fw_set set4, uint16_t group, const struct gi_addr *a, uint32_t mark)
{
	struct fw_elem e;

	memset(&e, 0, sizeof(e));
	e.key.set = (uint8_t)(a->family == 4 ? set4 : set4 + 1);
	e.key.group = group;
	e.key.len = a->family == 4 ? 4 : 16;
	memcpy(e.key.data, a->bytes, e.key.len);
	e.mark = mark;
	return e;
}

struct fw_elem fw_elem_mark(enum fw_set set, uint16_t group, uint32_t mark)
{
	return elem_u32(set, group, mark, 0);
}

struct fw_elem fw_elem_live(uint32_t mark, uint32_t lease_s, bool ends)
{
	struct fw_elem e = elem_u32(FW_LIVE, 0, mark, 0);

	e.lease_s = lease_s;
	e.ends = ends;
	return e;
}

struct fw_elem fw_elem_cgroup(uint64_t id, uint32_t mark)
{
	struct fw_elem e;

	memset(&e, 0, sizeof(e));
	e.key.set = FW_CG_MARK;
	e.key.len = 8;
	for (int i = 0; i < 8; i++)
		e.key.data[i] = (uint8_t)(id >> (56 - 8 * i));
	e.mark = mark;
	return e;
}

struct fw_elem fw_elem_uid(uint32_t uid, uint32_t mark)
{
	return elem_u32(FW_UID_MARK, 0, uid, mark);
}

struct fw_elem fw_elem_addr(const struct gi_addr *a, uint32_t mark)
{
	return elem_addr(FW_ADDR4_MARK, 0, a, mark);
}

struct fw_elem fw_elem_remark(uint32_t old_mark, uint32_t mark)
{
	return elem_u32(FW_REMARK, 0, old_mark, mark);
}

struct fw_elem fw_elem_base(uint8_t family, uint32_t mark)
{
	struct fw_elem e;

	memset(&e, 0, sizeof(e));
	e.key.set = FW_BASE_MARK;
	e.key.len = 1;
	e.key.data[0] = family;
	e.mark = mark;
	return e;
}

struct fw_elem fw_elem_group_addr(enum fw_set set4, uint16_t group, const struct gi_addr *a)
{
	return elem_addr(set4, group, a, 0);
}

int fw_elem_check(const struct fw_elem *e, const struct fw_ruleset *rs)
{
	int rc = fw_key_check(&e->key, rs);

	if (rc < 0)
		return rc;
	if (e->mark >= FW_MARK_END || (e->ends && e->lease_s == 0))
		return -GI_EPROTO;
	if (e->lease_s > (e->key.set == FW_LIVE ? FW_LEASE_MAX_S : 0))
		return -GI_EPROTO;
	return set_shapes[e->key.set].map == (e->mark != 0) ? 0 : -GI_EPROTO;
}

int fw_key_check(const struct fw_key *k, const struct fw_ruleset *rs)
{
	const struct set_shape *sh;

	if (k->set >= FW_SET_COUNT)
		return -GI_EPROTO;
	sh = &set_shapes[k->set];
	if (k->len != sh->len)
		return -GI_EPROTO;
	if (sh->mark_key && (fw_key_u32(k) == 0 || fw_key_u32(k) >= FW_MARK_END))
		return -GI_EPROTO;
	for (size_t i = k->len; i < sizeof(k->data); i++)
		if (k->data[i] != 0)
			return -GI_EPROTO;
	if (k->set == FW_BASE_MARK && k->data[0] != 4 && k->data[0] != 6)
		return -GI_EPROTO;
	/* uid -1 is "no uid" to the kernel and never owns a socket */
	if (k->set == FW_UID_MARK && fw_key_u32(k) == UINT32_MAX)
		return -GI_EPROTO;
	if (k->set == FW_CG_MARK && fw_key_u64(k) == 0)
		return -GI_EPROTO;
	if (sh->use == 0)
		return k->group == 0 ? 0 : -GI_EPROTO;
	if (!rs)
		return k->group < FW_GROUPS_MAX ? 0 : -GI_EPROTO;
	if (k->group >= rs->n_groups || !(rs->groups[k->group].uses & sh->use))
		return -GI_EPROTO;
	return 0;
}

int fw_key_cmp(const struct fw_key *a, const struct fw_key *b)
{
	if (a->set != b->set)
		return a->set < b->set ? -1 : 1;
	if (a->group != b->group)
		return a->group < b->group ? -1 : 1;
	return memcmp(a->data, b->data, sizeof(a->data));
}

uint32_t fw_key_u32(const struct fw_key *k)
{
	return (uint32_t)k->data[0] << 24 | (uint32_t)k->data[1] << 16 | (uint32_t)k->data[2] << 8 |
	       k->data[3];
}

uint64_t fw_key_u64(const struct fw_key *k)
{
	uint64_t v = 0;

	for (int i = 0; i < 8; i++)
		v = v << 8 | k->data[i];
	return v;
}

bool fw_elem_same_value(const struct fw_elem *a, const struct fw_elem *b)
{
	return a->mark == b->mark && a->lease_s == b->lease_s && a->ends == b->ends;
}

bool fw_set_is_map(enum fw_set set)
{
	return (unsigned int)set < FW_SET_COUNT && set_shapes[set].map;
}

bool fw_set_is_grouped(enum fw_set set)
{
	return (unsigned int)set < FW_SET_COUNT && set_shapes[set].use != 0;
}

bool fw_proto_has_ports(uint8_t proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP ||
	       proto == IPPROTO_DCCP || proto == IPPROTO_UDPLITE;
}

/* ---- rulesets ---- */

void fw_ruleset_free(struct fw_ruleset *rs)
{
	if (!rs)
		return;
	for (size_t i = 0; rs->groups && i < rs->n_groups; i++)
		free(rs->groups[i].nets);
	for (size_t i = 0; rs->rules && i < rs->n_rules; i++) {
		free(rs->rules[i].from);
		free(rs->rules[i].to);
		free(rs->rules[i].services);
	}
	free(rs->groups);
	free(rs->rules);
	free(rs);
}

static int refuse(int code, const char *words, const char **ret_why)
{
	*ret_why = words;
	return code;
}

int fw_ruleset_check(const struct fw_ruleset *rs, const char **ret_why)
{
	int rc;

	if (rs->n_groups > FW_GROUPS_MAX)
		return refuse(-GI_ELIMIT, "too many groups", ret_why);
	if (rs->n_rules > FW_RULES_MAX)
		return refuse(-GI_ELIMIT, "too many rules", ret_why);
	if ((unsigned int)rs->default_in > FW_ACCEPT || (unsigned int)rs->default_out > FW_ACCEPT)
		return refuse(-GI_EPROTO, "no such default action", ret_why);
	if ((unsigned int)rs->revoke > FW_REVOKE_RESET)
		return refuse(-GI_EPROTO, "no such way to revoke", ret_why);
	for (size_t i = 0; i < rs->n_groups; i++) {
		rc = check_group(&rs->groups[i], ret_why);
		if (rc < 0)
			return rc;
	}
	for (size_t i = 0; i < rs->n_rules; i++) {
		rc = check_rule(&rs->rules[i], rs->n_groups, ret_why);
		if (rc < 0)
			return rc;
	}
	return check_unique_names(rs, ret_why);
}

static int check_group(const struct fw_group *g, const char **ret_why)
{
	if (!memchr(g->name, '\0', sizeof(g->name)) || !gi_text_is_name(g->name, GI_NAME_MAX))
		return refuse(-GI_EPROTO, "a group's name is not a name", ret_why);
	if (g->uses & ~(unsigned int)(FW_USE_SG | FW_USE_GA | FW_USE_NETS | FW_USE_IA))
		return refuse(-GI_EPROTO, "unknown use of a group", ret_why);
	if (g->n_nets > FW_NETS_MAX)
		return refuse(-GI_ELIMIT, "too many prefixes in a group", ret_why);
	for (size_t i = 0; i < g->n_nets; i++) {
		if (!prefix_ok(&g->nets[i]))
			return refuse(-GI_EPROTO, "malformed prefix", ret_why);
		if (i > 0 && (gi_prefix_cmp(&g->nets[i - 1], &g->nets[i]) >= 0 ||
				     gi_prefix_contains(&g->nets[i - 1], &g->nets[i].addr)))
			return refuse(-GI_EPROTO, "prefixes not sorted or overlapping", ret_why);
	}
	return 0;
}

static int check_peers(const uint16_t *peers, size_t n, size_t n_groups, const char **ret_why)
{
	if (n > FW_PEERS_MAX)
		return refuse(-GI_ELIMIT, "too many groups in a rule", ret_why);
	for (size_t i = 0; i < n; i++)
		if (peers[i] >= n_groups)
			return refuse(
				-GI_EPROTO, "a rule names a group that is not there", ret_why);
	return 0;
}

static int check_rule(const struct fw_rule *r, size_t n_groups, const char **ret_why)
{
	int rc;

	if (!rule_name_ok(r->name))
		return refuse(-GI_EPROTO, "a rule's name is not a name", ret_why);
	if (r->dir != FW_OUT && r->dir != FW_IN)
		return refuse(-GI_EPROTO, "no such direction", ret_why);
	if ((unsigned int)r->action > FW_ACCEPT)
		return refuse(-GI_EPROTO, "no such action", ret_why);
	rc = check_peers(r->from, r->n_from, n_groups, ret_why);
	if (rc < 0)
		return rc;
	rc = check_peers(r->to, r->n_to, n_groups, ret_why);
	if (rc < 0)
		return rc;
	if (r->n_services > FW_SERVICES_MAX)
		return refuse(-GI_ELIMIT, "too many services in a rule", ret_why);
	for (size_t i = 0; i < r->n_services; i++) {
		rc = check_service(&r->services[i], ret_why);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int check_service(const struct fw_service *s, const char **ret_why)
{
	bool any_port = s->port_lo == 0 && s->port_hi == UINT16_MAX;
	bool icmp = s->proto == IPPROTO_ICMP || s->proto == IPPROTO_ICMPV6;

	if (s->port_lo > s->port_hi)
		return refuse(-GI_EPROTO, "port range is upside down", ret_why);
	if (!any_port && !fw_proto_has_ports(s->proto))
		return refuse(-GI_EPROTO, "ports for a protocol without ports", ret_why);
	if (s->icmp_type > 256 || (s->icmp_type != 256 && !icmp))
		return refuse(
			-GI_EPROTO, "ICMP type out of range or for another protocol", ret_why);
	return 0;
}

static int cmp_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* two groups of one name would share their sets */
static int check_unique_names(const struct fw_ruleset *rs, const char **ret_why)
{
	const char **names;
	int rc = 0;

	if (rs->n_groups < 2)
		return 0;
	names = calloc(rs->n_groups, sizeof(*names));
	if (!names)
		return refuse(-ENOMEM, "out of memory", ret_why);
	for (size_t i = 0; i < rs->n_groups; i++)
		names[i] = rs->groups[i].name;
	qsort(names, rs->n_groups, sizeof(*names), cmp_names);
	for (size_t i = 1; i < rs->n_groups && rc == 0; i++)
		if (strcmp(names[i - 1], names[i]) == 0)
			rc = refuse(-GI_EPROTO, "two groups of one name", ret_why);
	free(names);
	return rc;
}

static bool rule_name_ok(const char name[GI_NAME_MAX + 1])
{
	char section[GI_NAME_MAX + 1];
	const char *slash;
	size_t n;

	if (!memchr(name, '\0', GI_NAME_MAX + 1))
		return false;
	slash = strchr(name, '/');
	if (!slash)
		return gi_text_is_name(name, GI_NAME_MAX);
	n = (size_t)(slash - name);
	memcpy(section, name, n);
	section[n] = '\0';
	return gi_text_is_name(section, GI_NAME_MAX) && gi_text_is_name(slash + 1, GI_NAME_MAX);
}

static bool prefix_ok(const struct gi_prefix *p)
{
	size_t bytes = gi_addr_len(&p->addr);

	if (bytes == 0 || p->len > 8 * bytes)
		return false;
	for (size_t i = 0; i < sizeof(p->addr.bytes); i++) {
		unsigned int bits = 8 * i < p->len ? p->len - 8 * (unsigned int)i : 0;
		unsigned int host = bits >= 8 ? 0 : 0xffu >> bits;

		if (p->addr.bytes[i] & host)
			return false;
	}
	return true;
}
