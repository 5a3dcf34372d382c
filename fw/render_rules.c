/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * render_rules.c - the rules of both orientations as nft chains that are dispatched by maps
 *
 * A long linear list costs 48 times a packet's price, so a packet goes by verdict maps on protocol
 * and on the destination port of the original direction into the short list that concerns it:
 *   <dir>_rules       by protocol, else the rules for any protocol
 *   <dir>_<proto>     by port, else the rules with port ranges, ICMP types or any port
 *   <dir>_<proto>_<port>  the rules that this port is concerned by
 * Rules for ranges or for any service are repeated, in order, in each list that they concern, so
 * that within each list the policy's order holds. `ct original proto-dst` is the destination port
 * in both directions of a flow (for ICMP: type and code).
 *
 * Which mark an accepted flow gets is decided by list: the base mark (<dir>_accept_base) while no
 * rule in the list so far depended on who the subject is, the subject's (<dir>_accept) afterwards.
 * Source: docs/adr/0003.
 */
#include "fw/render_int.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALTS_PER_GROUP 5 /* sg, ga4, ga6, net4, net6; or ia4, ia6, ga4, ga6, net4, net6 */
#define ALTS_MAX (FW_PEERS_MAX * (ALTS_PER_GROUP + 1))
#define PORT_NONE (-1) /* a list that no port leads to */

/* one way in which a packet can be of a group */
struct alt {
	char match[96];
	uint8_t family; /* 4, 6; 0 both */
};

struct rules_ctx {
	const struct fw_ruleset *rs;
	const struct fw_net_names *nets;
	struct gi_buf *out;
	enum fw_dir dir;
	size_t n_rules; /* nft rules written */
	struct alt from[ALTS_MAX], to[ALTS_MAX];
	size_t n_from, n_to;
	uint8_t *
		sub; /* owned; by rule: bit 0 its base sub-chain is needed, bit 1 its subject one */
};

/* a list of rules: for one port of a protocol, for the rest of a protocol, or for the rest */
struct list {
	uint8_t proto; /* 0: protocols that no service names */
	int port;      /* PORT_NONE */
	bool identity; /* a rule so far depended on the subject */
};

static int render_dir(struct rules_ctx *c);
static int render_proto(struct rules_ctx *c, uint8_t proto);
static void render_list(struct rules_ctx *c, struct list *l, const char *chain, const char *head);
static bool render_rule(struct rules_ctx *c, struct list *l, size_t index);
static void render_matches(
	struct rules_ctx *c, const struct list *l, size_t index, const char *service);
static void render_verdict(
	struct rules_ctx *c, const struct fw_rule *r, uint8_t proto, const char *match, bool base);
static void render_sub(struct rules_ctx *c, size_t index, bool base);
static void render_default(struct rules_ctx *c);
static size_t collect_alts(
	const struct rules_ctx *c, const uint16_t *peers, size_t n, bool from, struct alt *alts);
static int cmp_u16(const void *a, const void *b);

static const char *dir_name(enum fw_dir dir)
{
	return dir == FW_OUT ? "out" : "in";
}

static const char *proto_name(uint8_t proto, char buf[8])
{
	switch (proto) {
	case IPPROTO_TCP:
		return "tcp";
	case IPPROTO_UDP:
		return "udp";
	case IPPROTO_ICMP:
		return "icmp";
	case IPPROTO_ICMPV6:
		return "icmpv6";
	default:
		snprintf(buf, 8, "p%u", proto);
		return buf;
	}
}

int fw_render_rules(
	const struct fw_ruleset *rs, const struct fw_net_names *nets, struct gi_buf *out)
{
	struct rules_ctx *c = calloc(1, sizeof(*c));
	int rc = -ENOMEM;

	if (!c)
		return rc;
	c->rs = rs;
	c->nets = nets;
	c->out = out;
	c->sub = calloc(rs->n_rules + 1, 1);
	if (!c->sub)
		goto out;
	c->dir = FW_OUT;
	rc = render_dir(c);
	if (rc == 0) {
		c->dir = FW_IN;
		rc = render_dir(c);
	}
	if (rc == 0 && c->n_rules > FW_RENDER_RULES_MAX)
		rc = -GI_ELIMIT;
out:
	free(c->sub);
	free(c);
	return rc;
}

/* a service's ports as conntrack has them: for ICMP the type is the high byte, the code the low */
static void service_range(const struct fw_service *s, uint16_t *lo, uint16_t *hi)
{
	bool icmp = s->proto == IPPROTO_ICMP || s->proto == IPPROTO_ICMPV6;

	*lo = s->port_lo;
	*hi = s->port_hi;
	if (icmp && s->icmp_type < 256) {
		*lo = (uint16_t)(s->icmp_type << 8);
		*hi = (uint16_t)(*lo | 0xff);
	}
}

static int render_dir(struct rules_ctx *c)
{
	bool named[256] = { false };
	const char *dir = dir_name(c->dir), *sep = "";
	struct list rest = { .port = PORT_NONE };
	struct gi_buf head;
	char name[16], pb[8];
	int rc = 0;

	for (size_t i = 0; i < c->rs->n_rules; i++) {
		const struct fw_rule *r = &c->rs->rules[i];

		for (size_t k = 0; r->dir == c->dir && k < r->n_services; k++)
			named[r->services[k].proto] = true;
	}
	named[0] = false;
	gi_buf_init(&head, 16384);
	for (unsigned int p = 1; p < 256; p++) {
		if (!named[p])
			continue;
		rc = render_proto(c, (uint8_t)p);
		if (rc < 0)
			goto out;
		gi_buf_printf(&head, "%s%u : goto %s_%s", *sep ? sep : "\t\tmeta l4proto vmap { ",
			p, dir, proto_name((uint8_t)p, pb));
		sep = ", ";
	}
	if (*sep)
		gi_buf_printf(&head, " }\n");
	snprintf(name, sizeof(name), "%s_rules", dir);
	render_list(c, &rest, name, gi_buf_str(&head));
	rc = gi_buf_error(&head);
	for (size_t i = 0; i < c->rs->n_rules && rc == 0; i++) {
		if (c->sub[i] & 1)
			render_sub(c, i, true);
		if (c->sub[i] & 2)
			render_sub(c, i, false);
		c->sub[i] = 0;
	}
	render_default(c);
out:
	gi_buf_fini(&head);
	return rc;
}

/* the single ports that rules of this direction name for @proto, sorted */
static int collect_ports(const struct rules_ctx *c, uint8_t proto, uint16_t **ret, size_t *ret_n)
{
	uint16_t *ports, lo, hi;
	size_t n = 0, uniq = 0;

	for (size_t i = 0; i < c->rs->n_rules; i++)
		n += c->rs->rules[i].n_services;
	ports = calloc(n + 1, sizeof(*ports));
	if (!ports)
		return -ENOMEM;
	n = 0;
	for (size_t i = 0; i < c->rs->n_rules; i++) {
		const struct fw_rule *r = &c->rs->rules[i];

		for (size_t k = 0; r->dir == c->dir && k < r->n_services; k++) {
			service_range(&r->services[k], &lo, &hi);
			if (r->services[k].proto == proto && lo == hi)
				ports[n++] = lo;
		}
	}
	qsort(ports, n, sizeof(*ports), cmp_u16);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || ports[i] != ports[i - 1])
			ports[uniq++] = ports[i];
	*ret = ports;
	*ret_n = uniq;
	return 0;
}

static int render_proto(struct rules_ctx *c, uint8_t proto)
{
	struct list rest = { .proto = proto, .port = PORT_NONE };
	const char *dir = dir_name(c->dir);
	char chain[32], pb[8];
	uint16_t *ports = NULL;
	size_t n_ports = 0;
	struct gi_buf head;
	int rc = collect_ports(c, proto, &ports, &n_ports);

	if (rc < 0)
		return rc;
	gi_buf_init(&head, c->out->max);
	for (size_t i = 0; i < n_ports && c->n_rules <= FW_RENDER_RULES_MAX; i++) {
		struct list l = { .proto = proto, .port = ports[i] };

		snprintf(chain, sizeof(chain), "%s_%s_%u", dir, proto_name(proto, pb), ports[i]);
		render_list(c, &l, chain, "");
		if (i == 0)
			gi_buf_printf(
				&head, "\t\tmeta l4proto %u ct original proto-dst vmap {", proto);
		gi_buf_printf(&head, "%s%s%u : goto %s", i ? "," : "", i % 8 ? " " : "\n\t\t\t",
			ports[i], chain);
	}
	if (n_ports > 0)
		gi_buf_printf(&head, "\n\t\t}\n");
	snprintf(chain, sizeof(chain), "%s_%s", dir, proto_name(proto, pb));
	render_list(c, &rest, chain, gi_buf_str(&head));
	rc = gi_buf_error(&head);
	gi_buf_fini(&head);
	free(ports);
	return rc;
}

static void render_list(struct rules_ctx *c, struct list *l, const char *chain, const char *head)
{
	bool accept = (c->dir == FW_OUT ? c->rs->default_out : c->rs->default_in) == FW_ACCEPT;
	bool open = true;

	gi_buf_printf(c->out, "\tchain %s {\n%s", chain, head);
	for (size_t i = 0; open && i < c->rs->n_rules; i++)
		if (c->rs->rules[i].dir == c->dir)
			open = render_rule(c, l, i);
	if (open)
		gi_buf_printf(c->out, "\t\tgoto %s_default%s\n", dir_name(c->dir),
			accept && !l->identity ? "_base" : "");
	gi_buf_printf(c->out, "\t}\n");
}

/* what of @s concerns the list: 0 nothing, 1 all of it, 2 the range lo..hi */
static int service_in_list(
	const struct fw_service *s, const struct list *l, uint16_t *lo, uint16_t *hi)
{
	if (s->proto == 0)
		return 1;
	if (s->proto != l->proto)
		return 0;
	service_range(s, lo, hi);
	if (l->port != PORT_NONE)
		return l->port >= *lo && l->port <= *hi;
	if (*lo == 0 && *hi == UINT16_MAX)
		return 1;
	return *lo == *hi ? 0 : 2; /* a single port has its own list */
}

/* true: packets may pass this rule and go on to the next */
static bool render_rule(struct rules_ctx *c, struct list *l, size_t index)
{
	const struct fw_rule *r = &c->rs->rules[index];
	bool all = r->n_services == 0, some = false;
	uint16_t lo, hi;
	char service[64];

	c->n_from = collect_alts(c, r->from, r->n_from, true, c->from);
	c->n_to = collect_alts(c, r->to, r->n_to, false, c->to);
	if ((r->n_from > 0 && c->n_from == 0) || (r->n_to > 0 && c->n_to == 0))
		return true; /* groups that nobody can be in here */
	for (size_t k = 0; !all && k < r->n_services; k++) {
		int in = service_in_list(&r->services[k], l, &lo, &hi);

		all = in == 1;
		some = some || in == 2;
	}
	if (!all && !some)
		return true;
	for (size_t k = 0; k < r->n_from; k++)
		l->identity = l->identity || (c->rs->groups[r->from[k]].uses & FW_USE_SG);
	if (all) {
		render_matches(c, l, index, "");
		return r->n_from > 0 || r->n_to > 0;
	}
	for (size_t k = 0; k < r->n_services; k++) {
		if (service_in_list(&r->services[k], l, &lo, &hi) != 2)
			continue;
		snprintf(service, sizeof(service), "meta l4proto %u ct original proto-dst %u-%u ",
			l->proto, lo, hi);
		render_matches(c, l, index, service);
	}
	return true;
}

static bool families_agree(const struct alt *a, const struct alt *b)
{
	return a->family == 0 || b->family == 0 || a->family == b->family;
}

/* every pairing of from and to; over a chain of its own when that would be a product */
static void render_matches(
	struct rules_ctx *c, const struct list *l, size_t index, const char *service)
{
	const struct fw_rule *r = &c->rs->rules[index];
	bool base = !l->identity;
	static const struct alt any = { "", 0 };
	const struct alt *from = c->n_from ? c->from : &any, *to = c->n_to ? c->to : &any;
	size_t n_from = c->n_from ? c->n_from : 1, n_to = c->n_to ? c->n_to : 1;
	char match[288];

	if (n_from > 2 && n_to > 2) {
		c->sub[index] |= base ? 1 : 2;
		for (size_t i = 0; i < n_from; i++) {
			gi_buf_printf(c->out, "\t\t%s%sjump %s_r%zu%s\n", service, from[i].match,
				dir_name(c->dir), index, base ? "_base" : "");
			c->n_rules++;
		}
		return;
	}
	for (size_t i = 0; i < n_from; i++) {
		for (size_t k = 0; k < n_to; k++) {
			if (!families_agree(&from[i], &to[k]))
				continue;
			snprintf(match, sizeof(match), "%.63s%.95s%.95s", service, from[i].match,
				to[k].match);
			render_verdict(c, r, l->proto, match, base);
		}
	}
}

static void render_sub(struct rules_ctx *c, size_t index, bool base)
{
	const struct fw_rule *r = &c->rs->rules[index];

	c->n_to = collect_alts(c, r->to, r->n_to, false, c->to);
	gi_buf_printf(
		c->out, "\tchain %s_r%zu%s {\n", dir_name(c->dir), index, base ? "_base" : "");
	for (size_t k = 0; k < c->n_to; k++)
		render_verdict(c, r, 0, c->to[k].match, base);
	gi_buf_printf(c->out, "\t}\n");
}

static void render_verdict(
	struct rules_ctx *c, const struct fw_rule *r, uint8_t proto, const char *match, bool base)
{
	bool has_proto = strncmp(match, "meta l4proto", 12) == 0;
	char log[GI_NAME_MAX + 40] = "";

	c->n_rules++;
	if (r->log)
		snprintf(log, sizeof(log), "log group 5 prefix \"idfw %s\" ", r->name);
	if (r->action == FW_ACCEPT)
		gi_buf_printf(c->out, "\t\t%scounter %sgoto %s_accept%s comment \"%s\"\n", match,
			log, dir_name(c->dir), base ? "_base" : "", r->name);
	if (r->action == FW_DROP)
		gi_buf_printf(c->out, "\t\t%scounter %s%s comment \"%s\"\n", match, log,
			c->rs->revoke == FW_REVOKE_RESET ? "goto refuse" : "drop", r->name);
	if (r->action != FW_REJECT)
		return;
	if (proto == 0 || proto == IPPROTO_TCP)
		gi_buf_printf(c->out, "\t\t%s%scounter %sreject with tcp reset comment \"%s\"\n",
			has_proto ? "" : "meta l4proto 6 ", match, log, r->name);
	if (proto != IPPROTO_TCP)
		gi_buf_printf(c->out,
			"\t\t%scounter %sreject with icmpx admin-prohibited comment \"%s\"\n",
			match, log, r->name);
}

/* what happens to a packet that no rule concerned */
static void render_default(struct rules_ctx *c)
{
	enum fw_action action = c->dir == FW_OUT ? c->rs->default_out : c->rs->default_in;
	struct fw_rule r = { .dir = c->dir, .action = action };

	snprintf(r.name, sizeof(r.name), "default %s", dir_name(c->dir));
	gi_buf_printf(c->out, "\tchain %s_default {\n", dir_name(c->dir));
	render_verdict(c, &r, 0, "", false);
	gi_buf_printf(c->out, "\t}\n");
	if (action != FW_ACCEPT)
		return;
	gi_buf_printf(c->out, "\tchain %s_default_base {\n", dir_name(c->dir));
	render_verdict(c, &r, 0, "", true);
	gi_buf_printf(c->out, "\t}\n");
}

/* ---- groups ---- */

static void alt_add(struct alt *alts, size_t *n, uint8_t family, const char *what, const char *set)
{
	snprintf(alts[*n].match, sizeof(alts[*n].match), "%s @%s ", what, set);
	alts[(*n)++].family = family;
}

static void alt_addr(const struct rules_ctx *c, struct alt *alts, size_t *n, enum fw_set set4,
	uint16_t group, bool from)
{
	char set[64];

	alt_add(alts, n, 4, from ? "ct original ip saddr" : "ct original ip daddr",
		fw_set_nft_name(c->rs, set4, group, set));
	alt_add(alts, n, 6, from ? "ct original ip6 saddr" : "ct original ip6 daddr",
		fw_set_nft_name(c->rs, set4 + 1, group, set));
}

static void alt_nets(
	const struct rules_ctx *c, struct alt *alts, size_t *n, uint16_t group, bool from)
{
	const struct fw_net_names *nets = &c->nets[group];
	char set[64];

	if (nets->v4) {
		snprintf(set, sizeof(set), "net4_%016" PRIx64, nets->v4);
		alt_add(alts, n, 4, from ? "ct original ip saddr" : "ct original ip daddr", set);
	}
	if (nets->v6) {
		snprintf(set, sizeof(set), "net6_%016" PRIx64, nets->v6);
		alt_add(alts, n, 6, from ? "ct original ip6 saddr" : "ct original ip6 daddr", set);
	}
}

/* @alts: room for ALTS_MAX */
static size_t collect_alts(const struct rules_ctx *c, const uint16_t *peers, size_t n_peers,
	bool from, struct alt *alts)
{
	size_t n = 0;
	char set[64];

	for (size_t i = 0; i < n_peers; i++) {
		unsigned int uses = c->rs->groups[peers[i]].uses;

		if (from && (uses & FW_USE_SG))
			alt_add(alts, &n, 0, "meta mark",
				fw_set_nft_name(c->rs, FW_SG, peers[i], set));
		if (!from && (uses & FW_USE_IA))
			alt_addr(c, alts, &n, FW_IA4, peers[i], from);
		if (uses & FW_USE_GA)
			alt_addr(c, alts, &n, FW_GA4, peers[i], from);
		if (uses & FW_USE_NETS)
			alt_nets(c, alts, &n, peers[i], from);
	}
	return n;
}

static int cmp_u16(const void *a, const void *b)
{
	return *(const uint16_t *)a - *(const uint16_t *)b;
}
