/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * push_foreign.c - chains of others that could bypass ours
 *
 * Runs in gi-netagent's pusher process. Our verdict on a packet hangs on its ct mark, so a chain
 * that runs before ours and sets marks, or takes packets out of connection tracking, can let
 * through what we would drop. It is only reported: the machine's administrator may have his
 * reasons. All other chains can only forbid more. Jumps are not followed: a chain without hook
 * counts for each base chain of its table. Rules of the old iptables are not seen here.
 */
#include "fw/push_int.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_LEN 64   /* longer ones are cut: both sides of a comparison are */
#define BASES_MAX 512 /* base chains that are looked at */

struct base {
	uint8_t family;
	bool before; /* it runs before ours */
	uint32_t hook;
	int32_t priority;
	char table[NAME_LEN], chain[NAME_LEN];
	const char *does; /* NULL nothing */
};

struct scan {
	struct base *bases; /* owned, BASES_MAX */
	size_t n;
};

static const char *const hooks[] = { [NF_INET_PRE_ROUTING] = "prerouting",
	[NF_INET_LOCAL_IN] = "input",
	[NF_INET_FORWARD] = "forward",
	[NF_INET_LOCAL_OUT] = "output",
	[NF_INET_POST_ROUTING] = "postrouting" };

static void copy_name(char dst[NAME_LEN], const struct nlattr *a)
{
	if (mnl_attr_validate(a, MNL_TYPE_NUL_STRING) >= 0)
		snprintf(dst, NAME_LEN, "%s", mnl_attr_get_str(a));
}

static bool is_ours(uint8_t family, const char *table)
{
	return family == NFPROTO_INET && strcmp(table, FW_TABLE) == 0;
}

static uint32_t nested_u32(const struct nlattr *nest, uint16_t type, uint32_t none)
{
	struct nlattr *at;

	mnl_attr_for_each_nested(at, nest)
	{
		if (mnl_attr_get_type(at) == type && mnl_attr_validate(at, MNL_TYPE_U32) >= 0)
			return ntohl(mnl_attr_get_u32(at));
	}
	return none;
}

static bool runs_before(const struct base *b)
{
	if (b->hook == NF_INET_PRE_ROUTING || b->hook == NF_INET_POST_ROUTING)
		return true;
	return (b->hook == NF_INET_LOCAL_IN || b->hook == NF_INET_LOCAL_OUT) && b->priority <= 0;
}

static int on_chain(const struct nlmsghdr *h, void *arg)
{
	const struct nfgenmsg *g = mnl_nlmsg_get_payload(h);
	struct base b = { .family = g->nfgen_family, .hook = UINT32_MAX };
	struct scan *s = arg;
	struct nlattr *at;

	mnl_attr_for_each(at, h, sizeof(struct nfgenmsg))
	{
		switch (mnl_attr_get_type(at)) {
		case NFTA_CHAIN_TABLE:
			copy_name(b.table, at);
			break;
		case NFTA_CHAIN_NAME:
			copy_name(b.chain, at);
			break;
		case NFTA_CHAIN_HOOK:
			b.hook = nested_u32(at, NFTA_HOOK_HOOKNUM, UINT32_MAX);
			b.priority = (int32_t)nested_u32(at, NFTA_HOOK_PRIORITY, 0);
			break;
		}
	}
	if (b.family != NFPROTO_IPV4 && b.family != NFPROTO_IPV6 && b.family != NFPROTO_INET)
		return MNL_CB_OK;
	if (b.hook >= GI_ARRAY_SIZE(hooks) || is_ours(b.family, b.table) || s->n == BASES_MAX)
		return MNL_CB_OK;
	b.before = runs_before(&b);
	s->bases[s->n++] = b;
	return MNL_CB_OK;
}

/* ---- rules ---- */

static bool nested_name(const struct nlattr *nest, uint16_t type, char ret[NAME_LEN])
{
	struct nlattr *at;

	mnl_attr_for_each_nested(at, nest)
	{
		if (mnl_attr_get_type(at) == type) {
			copy_name(ret, at);
			return true;
		}
	}
	return false;
}

static const char *target_does(const struct nlattr *data)
{
	static const struct {
		const char *target, *does;
	} targets[] = { { "MARK", "sets the packet's mark" }, { "CONNMARK", "sets the ct mark" },
		{ "CT", "takes packets out of tracking" },
		{ "NOTRACK", "takes packets out of tracking" } };
	char name[NAME_LEN] = "";

	if (nested_name(data, NFTA_TARGET_NAME, name))
		for (size_t i = 0; i < GI_ARRAY_SIZE(targets); i++)
			if (strcmp(name, targets[i].target) == 0)
				return targets[i].does;
	return NULL;
}

/* what an expression does to marks or tracking, NULL nothing */
static const char *expr_does(const struct nlattr *expr)
{
	const struct nlattr *data = NULL;
	char name[NAME_LEN] = "";
	struct nlattr *at;

	mnl_attr_for_each_nested(at, expr)
	{
		if (mnl_attr_get_type(at) == NFTA_EXPR_NAME)
			copy_name(name, at);
		else if (mnl_attr_get_type(at) == NFTA_EXPR_DATA)
			data = at;
	}
	if (strcmp(name, "notrack") == 0)
		return "takes packets out of tracking";
	if (!data)
		return NULL;
	if (strcmp(name, "meta") == 0 && nested_u32(data, NFTA_META_SREG, 0) &&
		nested_u32(data, NFTA_META_KEY, UINT32_MAX) == NFT_META_MARK)
		return "sets the packet's mark";
	if (strcmp(name, "ct") == 0 && nested_u32(data, NFTA_CT_SREG, 0) &&
		nested_u32(data, NFTA_CT_KEY, UINT32_MAX) == NFT_CT_MARK)
		return "sets the ct mark";
	return strcmp(name, "target") == 0 ? target_does(data) : NULL;
}

/* the base chains that a rule in this chain may speak for */
static void blame(
	struct scan *s, uint8_t family, const char *table, const char *chain, const char *does)
{
	struct base *own = NULL;

	for (size_t i = 0; i < s->n; i++) {
		struct base *b = &s->bases[i];

		if (b->family == family && strcmp(b->table, table) == 0 &&
			strcmp(b->chain, chain) == 0)
			own = b;
	}
	if (own) {
		own->does = does;
		return;
	}
	for (size_t i = 0; i < s->n; i++) {
		struct base *b = &s->bases[i];

		if (b->family == family && strcmp(b->table, table) == 0 && !b->does)
			b->does = does;
	}
}

static int on_rule(const struct nlmsghdr *h, void *arg)
{
	const struct nfgenmsg *g = mnl_nlmsg_get_payload(h);
	char table[NAME_LEN] = "", chain[NAME_LEN] = "";
	const char *does = NULL;
	struct nlattr *at, *expr;

	mnl_attr_for_each(at, h, sizeof(struct nfgenmsg))
	{
		uint16_t type = mnl_attr_get_type(at);

		if (type == NFTA_RULE_TABLE)
			copy_name(table, at);
		else if (type == NFTA_RULE_CHAIN)
			copy_name(chain, at);
		if (type != NFTA_RULE_EXPRESSIONS || is_ours(g->nfgen_family, table))
			continue;
		mnl_attr_for_each_nested(expr, at)
		{
			if (!does)
				does = expr_does(expr);
		}
	}
	if (does)
		blame(arg, g->nfgen_family, table, chain, does);
	return MNL_CB_OK;
}

static const char *family_word(uint8_t family)
{
	return family == NFPROTO_IPV4 ? "ip" : family == NFPROTO_IPV6 ? "ip6" : "inet";
}

static void describe(const struct scan *s, char text[FW_WHY_MAX])
{
	const struct base *first = NULL;
	size_t n = 0;
	int len;

	text[0] = '\0';
	for (size_t i = 0; i < s->n; i++) {
		if (!s->bases[i].before || !s->bases[i].does)
			continue;
		first = first ? first : &s->bases[i];
		n++;
	}
	if (!first)
		return;
	len = snprintf(text, FW_WHY_MAX, "%s %.24s %.24s (%s, priority %d) %s",
		family_word(first->family), first->table, first->chain, hooks[first->hook],
		first->priority, first->does);
	if (n > 1)
		snprintf(text + len, FW_WHY_MAX - (size_t)len, "; %zu more", n - 1);
}

int fw_foreign_scan(struct fw_mnl *m, char ret_text[FW_WHY_MAX])
{
	struct scan s = { .bases = calloc(BASES_MAX, sizeof(*s.bases)) };
	int rc = -EINTR;

	ret_text[0] = '\0';
	if (!s.bases)
		return -ENOMEM;
	for (int i = 0; i < FW_DUMP_TRIES && rc == -EINTR; i++) {
		s.n = 0;
		rc = fw_mnl_dump(m, NFT_MSG_GETCHAIN, NULL, NULL, on_chain, &s);
		if (rc == 0 && s.n > 0)
			rc = fw_mnl_dump(m, NFT_MSG_GETRULE, NULL, NULL, on_rule, &s);
	}
	if (rc == 0)
		describe(&s, ret_text);
	free(s.bases);
	return rc;
}
