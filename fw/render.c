/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * render.c - a whole state as nft text: sets and maps; base chains are render_base.c's, the rules
 * render_rules.c's
 *
 * Runs in the pusher, and in svm-idfw for `idfwctl render`. Only names that passed
 * fw_ruleset_check() and numbers are printed, so the text can hold no host name and no include.
 * The text is deterministic, golden files hold it (tests/golden/fw/).
 *
 * A packet that runs through the old rules while a transaction commits may see the new sets: set
 * lookups read the generation one by one. It must not give its flow a mark that outlives the
 * commit. Therefore
 *   - each ruleset has a set gen_<hash of the rules>, which is emptied in the transaction that
 *     replaces it. <dir>_judge looks into it after the marks were looked up: still there, so they
 *     were old ones. <dir>_accept_base looks into it after it looked the base mark up.
 *   - <dir>_accept looks whether the mark is still live: yes, so no set changed for this subject
 *     since (an entitlement changes together with the mark).
 * Source: docs/adr/0003.
 */
#include "fw/render_int.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fw/siphash.h"

#define ELEMS_PER_LINE 8
#define TEXT_FORMAT "7" /* of what is not in the rules' chains: another hash when it changes */

/* fixed: the names must be the same in every process and version */
static const uint64_t name_key[2] = { UINT64_C(0x6964667720666972), UINT64_C(0x6577616c6c206e66) };

static const struct {
	const char *name; /* or prefix, for the per-group ones */
	const char *type;
	unsigned int use; /* FW_USE_* of the groups that have one */
} set_texts[FW_SET_COUNT] = {
	[FW_LIVE] = { "live", "mark; flags timeout", 0 },
	[FW_UID_MARK] = { "uid_mark", "uid : mark", 0 },
	[FW_ADDR4_MARK] = { "addr4_mark", "ipv4_addr : mark", 0 },
	[FW_ADDR6_MARK] = { "addr6_mark", "ipv6_addr : mark", 0 },
	[FW_REMARK] = { "remark", "mark : mark", 0 },
	[FW_BASE_MARK] = { "base_mark", "nf_proto : mark", 0 },
	[FW_SG] = { "sg_", "mark", FW_USE_SG },
	[FW_GA4] = { "ga4_", "ipv4_addr", FW_USE_GA },
	[FW_GA6] = { "ga6_", "ipv6_addr", FW_USE_GA },
	[FW_IA4] = { "ia4_", "ipv4_addr", FW_USE_IA },
	[FW_IA6] = { "ia6_", "ipv6_addr", FW_USE_IA },
	[FW_CG_MARK] = { FW_CG_NAME, "cgroupsv2 : mark", 0 },
};

static int net_names_new(const struct fw_ruleset *rs, struct fw_net_names **ret);
static void render_prepare(const struct fw_ruleset *rs, const struct fw_net_names *nets, bool again,
	struct gi_buf *out);
static int render_sets(const struct fw_state *s, const struct fw_state *have, struct gi_buf *out);
static void render_drains(struct gi_buf *out);
static int render_own(const struct fw_state *s, struct gi_buf *out);
static void render_stamps(
	const struct fw_state *s, unsigned int cg, uint64_t rules_hash, struct gi_buf *out);

const char *fw_set_nft_name(const struct fw_ruleset *rs, uint8_t set, uint16_t group, char buf[64])
{
	snprintf(buf, 64, "%s%s", set_texts[set].name,
		set_texts[set].use ? rs->groups[group].name : "");
	return buf;
}

const char *fw_render_cg_name(unsigned int cg)
{
	return cg == 2 ? FW_CG_NAME "2" : FW_CG_NAME;
}

/* for the reader: nft's text knows cgroups by path only */
static int note_cgroup(void *arg, const struct fw_elem *e)
{
	if (e->key.set == FW_CG_MARK)
		gi_buf_printf(arg, "# " FW_CG_NAME ": cgroup %" PRIu64 " : 0x%x\n",
			fw_key_u64(&e->key), e->mark);
	return gi_buf_error(arg);
}

int fw_render(const struct fw_state *s, struct gi_buf *prepare, struct gi_buf *commit)
{
	int rc = fw_render_over(s, NULL, true, 1, prepare, commit);

	if (rc == 0)
		rc = fw_state_each(s, true, note_cgroup, prepare);
	return rc;
}

int fw_render_over(const struct fw_state *s, const struct fw_state *have, bool again,
	unsigned int cg, struct gi_buf *prepare, struct gi_buf *commit)
{
	const struct fw_ruleset *rs = fw_state_ruleset(s);
	struct fw_net_names *nets = NULL;
	struct gi_buf rules;
	struct fw_sip sip;
	uint64_t rules_hash;
	int rc;

	if (!rs)
		return -EINVAL;
	gi_buf_init(&rules, commit->max);
	rc = net_names_new(rs, &nets);
	if (rc == 0)
		rc = fw_render_rules(rs, nets, &rules);
	if (rc == 0)
		rc = gi_buf_error(&rules);
	if (rc < 0)
		goto out;
	fw_sip_init(&sip, name_key);
	fw_sip_add(&sip, TEXT_FORMAT, sizeof(TEXT_FORMAT));
	fw_sip_add(&sip, rules.data, rules.len);
	fw_sip_add(&sip, &(uint8_t){ (uint8_t)rs->revoke }, 1);
	rules_hash = fw_sip_end(&sip);

	render_prepare(rs, nets, again, prepare);
	gi_buf_printf(prepare, "add map inet " FW_TABLE " %s { type %s; }\n", fw_render_cg_name(cg),
		set_texts[FW_CG_MARK].type);
	render_drains(prepare);
	gi_buf_printf(commit, "add table inet " FW_TABLE "\nflush table inet " FW_TABLE "\n");
	rc = render_sets(s, have, commit);
	if (rc == 0)
		rc = render_own(s, commit);
	if (rc < 0)
		goto out;
	render_stamps(s, cg, rules_hash, commit);
	gi_buf_printf(commit, "table inet " FW_TABLE " {\n");
	fw_render_base(rs, fw_render_cg_name(cg), rules_hash, commit);
	gi_buf_append(commit, rules.data, rules.len);
	gi_buf_printf(commit, "}\n");
	rc = gi_buf_error(prepare);
	if (rc == 0)
		rc = gi_buf_error(commit);
out:
	gi_buf_fini(&rules);
	free(nets);
	return rc;
}

/* ---- interval sets ---- */

static uint64_t net_hash(const struct fw_group *g, uint8_t family)
{
	struct fw_sip sip;
	bool any = false;
	uint64_t h;

	fw_sip_init(&sip, name_key);
	for (size_t i = 0; i < g->n_nets; i++) {
		if (g->nets[i].addr.family != family)
			continue;
		any = true;
		fw_sip_add(&sip, g->nets[i].addr.bytes, gi_addr_len(&g->nets[i].addr));
		fw_sip_add(&sip, &g->nets[i].len, 1);
	}
	h = fw_sip_end(&sip);
	return !any ? 0 : h ? h : 1;
}

static int net_names_new(const struct fw_ruleset *rs, struct fw_net_names **ret)
{
	struct fw_net_names *nets = calloc(rs->n_groups + 1, sizeof(*nets));

	if (!nets)
		return -ENOMEM;
	for (size_t i = 0; i < rs->n_groups; i++) {
		if (!(rs->groups[i].uses & FW_USE_NETS))
			continue;
		nets[i].v4 = net_hash(&rs->groups[i], 4);
		nets[i].v6 = net_hash(&rs->groups[i], 6);
	}
	*ret = nets;
	return 0;
}

/* @again: also when the set stands with other prefixes than its name says */
static void render_net(
	const struct fw_group *g, uint8_t family, uint64_t hash, bool again, struct gi_buf *out)
{
	char text[GI_ADDR_STRLEN];
	size_t n = 0;

	gi_buf_printf(out,
		"add set inet " FW_TABLE " net%u_%016" PRIx64
		" { type ipv%u_addr; flags interval; }\n",
		family, hash, family);
	if (again)
		gi_buf_printf(
			out, "flush set inet " FW_TABLE " net%u_%016" PRIx64 "\n", family, hash);
	gi_buf_printf(out, "add element inet " FW_TABLE " net%u_%016" PRIx64 " {", family, hash);
	for (size_t i = 0; i < g->n_nets; i++) {
		if (g->nets[i].addr.family != family)
			continue;
		gi_buf_printf(out, "%s%s%s", n ? "," : "", n % ELEMS_PER_LINE ? " " : "\n\t",
			gi_prefix_format(&g->nets[i], text));
		n++;
	}
	gi_buf_printf(out, "\n}\n");
}

/* each set once, though several groups may hold the same prefixes */
static void render_prepare(const struct fw_ruleset *rs, const struct fw_net_names *nets, bool again,
	struct gi_buf *out)
{
	gi_buf_printf(out, "add table inet " FW_TABLE "\n");
	for (size_t i = 0; i < rs->n_groups; i++) {
		bool four = nets[i].v4 != 0, six = nets[i].v6 != 0;

		for (size_t k = 0; k < i && (four || six); k++) {
			four = four && nets[k].v4 != nets[i].v4;
			six = six && nets[k].v6 != nets[i].v6;
		}
		if (four)
			render_net(&rs->groups[i], 4, nets[i].v4, again, out);
		if (six)
			render_net(&rs->groups[i], 6, nets[i].v6, again, out);
	}
}

/* ---- hash sets and maps ---- */

/* goes over all sets in the order of (set, group), which is the order of sorted elements */
struct set_cursor {
	const struct fw_ruleset *rs;
	const struct fw_state
		*other; /* elements that are the same there are left out; NULL: none */
	bool removing;	/* elements go; the sets themselves are not opened */
	struct gi_buf *out;
	uint8_t set;
	size_t group;
	size_t n_elems; /* written of this set */
	char name[64];
};

static bool cursor_exists(const struct set_cursor *c)
{
	unsigned int use = set_texts[c->set].use;

	if (c->set == FW_CG_MARK)
		return false;
	if (use == 0)
		return c->group == 0;
	return c->group < c->rs->n_groups && (c->rs->groups[c->group].uses & use);
}

static void cursor_open(struct set_cursor *c)
{
	const char *kind = fw_set_is_map(c->set) ? "map" : "set";

	fw_set_nft_name(c->rs, c->set, (uint16_t)c->group, c->name);
	c->n_elems = 0;
	if (c->removing)
		return;
	gi_buf_printf(c->out, "add %s inet " FW_TABLE " %s { type %s; }\n", kind, c->name,
		set_texts[c->set].type);
	if (!c->other)
		gi_buf_printf(c->out, "flush %s inet " FW_TABLE " %s\n", kind, c->name);
}

static void cursor_close(struct set_cursor *c)
{
	if (c->n_elems > 0)
		gi_buf_printf(c->out, "\n}\n");
}

/* next set that exists; false behind the last */
static bool cursor_next(struct set_cursor *c)
{
	do {
		c->group++;
		if (set_texts[c->set].use == 0 || c->group >= c->rs->n_groups) {
			c->group = 0;
			if (++c->set == FW_SET_COUNT)
				return false;
		}
	} while (!cursor_exists(c));
	return true;
}

static void render_key(const struct fw_key *k, struct gi_buf *out)
{
	struct gi_addr a = { .family = k->len == 4 ? 4 : 6 };
	char text[GI_ADDR_STRLEN];

	switch (k->set) {
	case FW_LIVE:
	case FW_REMARK:
	case FW_SG:
		gi_buf_printf(out, "0x%x", fw_key_u32(k));
		break;
	case FW_UID_MARK:
		gi_buf_printf(out, "%u", fw_key_u32(k));
		break;
	case FW_BASE_MARK:
		gi_buf_printf(out, "ipv%u", k->data[0]);
		break;
	default:
		memcpy(a.bytes, k->data, sizeof(a.bytes));
		gi_buf_printf(out, "%s", gi_addr_format(&a, text));
	}
}

static int render_elem(void *arg, const struct fw_elem *e)
{
	struct set_cursor *c = arg;
	struct fw_elem other;

	if (fw_elem_check(e, c->rs) < 0)
		return -GI_EPROTO;
	if (e->key.set == FW_CG_MARK)
		return 0; /* not by text: push.c fills the map */
	if (c->other && fw_state_get_elem(c->other, &e->key, &other) &&
		fw_elem_same_value(&other, e))
		return 0;
	while (c->set != e->key.set || c->group != e->key.group) {
		cursor_close(c);
		if (!cursor_next(c))
			return -GI_EPROTO;
		cursor_open(c);
	}
	if (c->n_elems == 0)
		gi_buf_printf(c->out, "%s element inet " FW_TABLE " %s {",
			c->removing ? "delete" : "add", c->name);
	gi_buf_printf(
		c->out, "%s%s", c->n_elems ? "," : "", c->n_elems % ELEMS_PER_LINE ? " " : "\n\t");
	render_key(&e->key, c->out);
	if (fw_set_is_map(c->set) && !c->removing)
		gi_buf_printf(c->out, " : 0x%x", e->mark);
	if (e->lease_s > 0 && !c->removing)
		gi_buf_printf(c->out, " timeout %us", e->lease_s);
	c->n_elems++;
	return gi_buf_error(c->out);
}

/* @walked: the state whose elements are written */
static int render_pass(struct set_cursor *c, const struct fw_state *walked)
{
	int rc;

	cursor_open(c);
	rc = fw_state_each(walked, true, render_elem, c);
	if (rc < 0)
		return rc;
	cursor_close(c);
	while (cursor_next(c))
		cursor_open(c);
	return 0;
}

/*
 * With @have (elements that stand in the kernel) only what differs: an element that stays is not
 * touched, so that no kernel can miss it for an instant.
 */
static int render_sets(const struct fw_state *s, const struct fw_state *have, struct gi_buf *out)
{
	const struct fw_ruleset *rs = fw_state_ruleset(s);
	struct set_cursor gone = { .rs = rs, .other = s, .removing = true, .out = out };
	struct set_cursor c = { .rs = rs, .other = have, .out = out };
	int rc = have ? render_pass(&gone, have) : 0;

	return rc < 0 ? rc : render_pass(&c, s);
}

/* who owns what drains; kept while anything does */
static void render_drains(struct gi_buf *out)
{
	gi_buf_printf(out, "add set inet " FW_TABLE " " FW_DRAIN_UID_NAME
			   " { type uid . mark; flags timeout; }\n"
			   "add set inet " FW_TABLE " " FW_DRAIN_CG_NAME
			   " { type cgroupsv2 . mark; flags timeout; }\n");
}

struct own {
	struct gi_buf *out;
	size_t n;
	bool drains;
};

static int render_own_pair(void *arg, const struct fw_elem *e)
{
	struct own *o = arg;

	if (e->key.set != FW_LIVE)
		return 0;
	gi_buf_printf(o->out, "%s%s0x%x . 0x%x",
		o->n > 0 ? "," : "add element inet " FW_TABLE " own {",
		o->n % ELEMS_PER_LINE ? " " : "\n\t", fw_key_u32(&e->key), fw_key_u32(&e->key));
	o->n++;
	o->drains = o->drains || e->ends;
	return gi_buf_error(o->out);
}

/* each mark with itself: a rule cannot compare a packet's subject with its flow's mark */
static int render_own(const struct fw_state *s, struct gi_buf *out)
{
	struct own o = { .out = out };
	int rc;

	gi_buf_printf(out, "add set inet " FW_TABLE
			   " own { type mark . mark; }\nflush set inet " FW_TABLE " own\n");
	rc = fw_state_each(s, true, render_own_pair, &o);
	if (rc == 0 && o.n > 0)
		gi_buf_printf(out, "\n}\n");
	if (!o.drains)
		gi_buf_printf(out, "flush set inet " FW_TABLE " " FW_DRAIN_UID_NAME
				   "\nflush set inet " FW_TABLE " " FW_DRAIN_CG_NAME "\n");
	return rc;
}

/* what the pusher keeps beside the model's sets: current base marks, numbers, the rules' hash */
static void render_stamps(
	const struct fw_state *s, unsigned int cg, uint64_t rules_hash, struct gi_buf *out)
{
	uint64_t gen = fw_state_ruleset(s)->generation, ver = fw_state_version(s);

	gi_buf_printf(out, "add set inet " FW_TABLE " base { type mark; }\nflush set inet " FW_TABLE
			   " base\n");
	for (uint8_t family = 4; family <= 6; family += 2) {
		struct fw_elem e = fw_elem_base(family, 0);

		if (fw_state_get(s, &e.key, &e.mark))
			gi_buf_printf(out, "add element inet " FW_TABLE " base { 0x%x }\n", e.mark);
	}
	gi_buf_printf(out, "add map inet " FW_TABLE
			   " stamp { type mark : mark; }\nflush map inet " FW_TABLE " stamp\n");
	gi_buf_printf(out,
		"add element inet " FW_TABLE " stamp { 1 : 0x%x, 2 : 0x%x, 3 : 0x%x, 4 : 0x%x, "
		"5 : 0x%x }\n",
		(uint32_t)(gen >> 32), (uint32_t)gen, (uint32_t)(ver >> 32), (uint32_t)ver, cg);
	gi_buf_printf(out, "add set inet " FW_TABLE " gen_%016" PRIx64 " { type nf_proto; }\n",
		rules_hash);
	gi_buf_printf(out, "add element inet " FW_TABLE " gen_%016" PRIx64 " { ipv4, ipv6 }\n",
		rules_hash);
}
