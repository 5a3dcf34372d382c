/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * push_table.c - our table in the kernel as one thing: is it there, whose is it, what shape has it
 *
 * Runs in gi-netagent's pusher process. The shape is a hash over handles: the kernel gives each
 * chain, rule and set a number of its own, never the same twice, and what has such a number is
 * changed by being replaced (but a base chain's policy and the table's flags: they are in it). So
 * it costs one small dump and does not depend on counters.
 */
#include "fw/push_int.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdlib.h>
#include <string.h>
#include "fw/siphash.h"

#define STATIC_SETS_MAX (2 * FW_GROUPS_MAX + 2)

static const uint64_t shape_key[2] = { UINT64_C(0x7461626c65207368), UINT64_C(0x6170652069646677) };

static bool attr_is_ours(const struct nlattr *a)
{
	return mnl_attr_validate(a, MNL_TYPE_NUL_STRING) >= 0 &&
	       strcmp(mnl_attr_get_str(a), FW_TABLE) == 0;
}

static int on_table(const struct nlmsghdr *h, void *arg)
{
	const struct nfgenmsg *g = mnl_nlmsg_get_payload(h);
	struct fw_table t = { .there = false };
	struct nlattr *at;

	mnl_attr_for_each(at, h, sizeof(struct nfgenmsg))
	{
		uint16_t type = mnl_attr_get_type(at);

		if (type == NFTA_TABLE_NAME)
			t.there = attr_is_ours(at) && g->nfgen_family == NFPROTO_INET;
		else if (type == NFTA_TABLE_FLAGS && mnl_attr_validate(at, MNL_TYPE_U32) >= 0)
			t.flags = ntohl(mnl_attr_get_u32(at));
		else if (type == NFTA_TABLE_OWNER && mnl_attr_validate(at, MNL_TYPE_U32) >= 0)
			t.owner = ntohl(mnl_attr_get_u32(at));
	}
	if (t.there)
		memcpy(arg, &t, sizeof(t));
	return MNL_CB_OK;
}

int fw_table_read(struct fw_mnl *m, struct fw_table *ret)
{
	int rc = -EINTR;

	for (int i = 0; i < FW_DUMP_TRIES && rc == -EINTR; i++) {
		*ret = (struct fw_table){ .there = false };
		rc = fw_mnl_dump(m, NFT_MSG_GETTABLE, NULL, NULL, on_table, ret);
	}
	return rc;
}

static int on_generation(const struct nlmsghdr *h, void *arg)
{
	struct nlattr *at;

	mnl_attr_for_each(at, h, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(at) == NFTA_GEN_ID &&
			mnl_attr_validate(at, MNL_TYPE_U32) >= 0)
			*(uint32_t *)arg = ntohl(mnl_attr_get_u32(at));
	}
	return MNL_CB_OK;
}

int fw_table_generation(struct fw_mnl *m, uint32_t *ret)
{
	*ret = 0;
	return fw_mnl_generation(m, on_generation, ret);
}

/* ---- shape ---- */

struct shape {
	struct fw_sip sip;
	char (*names)[64]; /* owned; sets whose elements belong to the rules */
	size_t n, room;
	int rc;
};

static int note_set(struct shape *s, const char *name)
{
	if (strncmp(name, "net4_", 5) != 0 && strncmp(name, "net6_", 5) != 0 &&
		strncmp(name, "gen_", 4) != 0)
		return 0;
	if (s->n == s->room) {
		size_t room = s->room ? 2 * s->room : 16;
		void *names = room <= 2 * STATIC_SETS_MAX
				      ? reallocarray(s->names, room, sizeof(*s->names))
				      : NULL;

		if (!names)
			return -ENOMEM;
		s->names = names;
		s->room = room;
	}
	/* one with a longer name is not ours */
	return gi_text_copy(s->names[s->n], sizeof(*s->names), name) < 0 ? 0 : (s->n++, 0);
}

/* the map of cgroups changes its name with each ruleset, so it is in the shape by its handle */
static int on_part(const struct nlmsghdr *h, void *arg)
{
	static const struct {
		uint16_t msg, attrs[6]; /* those that say what it is; 0 ends */
	} kinds[] = {
		{ NFT_MSG_NEWCHAIN, { NFTA_CHAIN_HANDLE, NFTA_CHAIN_NAME, NFTA_CHAIN_HOOK,
					    NFTA_CHAIN_POLICY, NFTA_CHAIN_FLAGS } },
		{ NFT_MSG_NEWRULE, { NFTA_RULE_HANDLE, NFTA_RULE_CHAIN } },
		{ NFT_MSG_NEWSET, { NFTA_SET_HANDLE, NFTA_SET_NAME, NFTA_SET_FLAGS } },
	};
	uint16_t msg = NFNL_MSG_TYPE(h->nlmsg_type);
	struct shape *s = arg;
	struct nlattr *at;

	mnl_attr_for_each(at, h, sizeof(struct nfgenmsg))
	{
		uint16_t type = mnl_attr_get_type(at);

		if (type == NFTA_CHAIN_TABLE && !attr_is_ours(at)) /* 1 in all of them */
			return MNL_CB_OK;
		for (size_t k = 0; k < GI_ARRAY_SIZE(kinds); k++)
			for (size_t i = 0; msg == kinds[k].msg && kinds[k].attrs[i]; i++)
				if (type == kinds[k].attrs[i])
					fw_sip_add(&s->sip, at, at->nla_len);
		if (msg == NFT_MSG_NEWSET && type == NFTA_SET_NAME &&
			mnl_attr_validate(at, MNL_TYPE_NUL_STRING) >= 0)
			s->rc = note_set(s, mnl_attr_get_str(at));
		if (s->rc < 0)
			return MNL_CB_ERROR;
	}
	return MNL_CB_OK;
}

static int on_static_elem(void *arg, const struct fw_raw *e)
{
	struct shape *s = arg;

	fw_sip_add(&s->sip, e->key, e->key_len);
	return 0;
}

static int shape_once(struct fw_mnl *m, struct shape *s)
{
	static const uint16_t dumps[] = { NFT_MSG_GETCHAIN, NFT_MSG_GETRULE, NFT_MSG_GETSET };
	struct fw_table t;
	int rc = fw_table_read(m, &t);

	fw_sip_init(&s->sip, shape_key);
	s->n = 0;
	s->rc = 0;
	t.flags &= ~(uint32_t)NFT_TABLE_F_OWNER; /* ours comes and goes */
	fw_sip_add(&s->sip, &t.flags, sizeof(t.flags));
	for (size_t i = 0; i < GI_ARRAY_SIZE(dumps) && rc == 0; i++) {
		rc = fw_mnl_dump(m, dumps[i], FW_TABLE, NULL, on_part, s);
		if (rc == -ENOENT)
			rc = 0;
		if (rc == 0)
			rc = s->rc;
	}
	for (size_t i = 0; i < s->n && rc == 0; i++)
		rc = fw_mnl_elems(m, s->names[i], on_static_elem, s);
	return rc;
}

int fw_table_shape(struct fw_mnl *m, uint64_t *ret)
{
	struct shape s = { .n = 0 };
	int rc = -EINTR;

	for (int i = 0; i < FW_DUMP_TRIES && rc == -EINTR; i++)
		rc = shape_once(m, &s);
	*ret = fw_sip_end(&s.sip);
	free(s.names);
	return rc;
}
