/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * baserules.c - the base ruleset from the configuration, see baserules.h
 *
 * Runs in gi-netagent --base. An entry of base-allow is "[in|out] SERVICE [from|to PREFIX]"; the
 * table checks each while the file is read, so that a mistake is told where it stands, and the
 * same function takes them apart here.
 */
#include "netagent/baserules.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fw/siphash.h"
#include "lib/base/text.h"
#include "lib/io/sock.h"
#include "netagent/naconf.h"

#define ALLOW_TEXT_MAX 120
#define WORDS_MAX 4
#define RULES_MAX (NA_BASE_ALLOW_MAX + 5)
#define DHCP6_SERVERS "ff02::1:2/128"

struct allow {
	enum fw_dir dir;
	struct fw_service service;
	bool any;	      /* every service */
	bool limited;	      /* to @net */
	struct gi_prefix net; /* the other side */
};

static const struct {
	const char *name;
	uint8_t proto;
} protocols[] = { { "tcp", IPPROTO_TCP }, { "udp", IPPROTO_UDP }, { "sctp", IPPROTO_SCTP },
	{ "icmp", IPPROTO_ICMP }, { "icmpv6", IPPROTO_ICMPV6 } };

int na_base_check_mode(const char *text, char ret_why[CONF_WHY_MAX])
{
	if (strcmp(text, "closed") == 0 || strcmp(text, "open") == 0)
		return 0;
	snprintf(ret_why, CONF_WHY_MAX, "base is closed or open");
	return -EINVAL;
}

/* ---- base-allow ---- */

static int parse_range(char *text, struct fw_service *s)
{
	bool icmp = s->proto == IPPROTO_ICMP || s->proto == IPPROTO_ICMPV6;
	char *dash = icmp ? NULL : strchr(text, '-');
	uint64_t lo, hi;

	if (dash)
		*dash++ = '\0';
	if (gi_text_u64(text, 0, icmp ? 255 : 65535, &lo) < 0)
		return -EINVAL;
	hi = lo;
	if (dash && gi_text_u64(dash, lo, 65535, &hi) < 0)
		return -EINVAL;
	if (icmp) {
		s->icmp_type = (uint16_t)lo;
	} else {
		s->port_lo = (uint16_t)lo;
		s->port_hi = (uint16_t)hi;
	}
	return 0;
}

/* tcp:22, udp:500-510, icmp:8, icmpv6, any */
static int parse_service(char *text, struct allow *a)
{
	char *colon = strchr(text, ':');

	a->any = strcmp(text, "any") == 0;
	if (a->any)
		return 0;
	if (colon)
		*colon++ = '\0';
	a->service = (struct fw_service){ .port_hi = 65535, .icmp_type = 256 };
	for (size_t i = 0; i < GI_ARRAY_SIZE(protocols); i++)
		if (strcmp(text, protocols[i].name) == 0)
			a->service.proto = protocols[i].proto;
	if (a->service.proto == 0)
		return -EINVAL;
	return colon ? parse_range(colon, &a->service) : 0;
}

static size_t split(char *text, char *words[WORDS_MAX + 1])
{
	size_t n = 0;
	char *w;

	while (n <= WORDS_MAX && (w = strsep(&text, " ")))
		if (*w)
			words[n++] = w;
	return n;
}

static int parse_allow(const char *text, struct allow *ret, char why[CONF_WHY_MAX])
{
	char copy[ALLOW_TEXT_MAX], *words[WORDS_MAX + 1];
	struct allow a = { .dir = FW_IN };
	size_t n, i = 0;

	snprintf(why, CONF_WHY_MAX,
		"base-allow: \"%.60s\" is not [in|out] SERVICE [from|to PREFIX]", text);
	if (gi_text_copy(copy, sizeof(copy), text) < 0)
		return -EINVAL;
	n = split(copy, words);
	if (n > 1 && (strcmp(words[0], "in") == 0 || strcmp(words[0], "out") == 0))
		a.dir = strcmp(words[i++], "in") == 0 ? FW_IN : FW_OUT;
	if (n != i + 1 && n != i + 3)
		return -EINVAL;
	if (n == i + 3) {
		if (strcmp(words[i + 1], a.dir == FW_IN ? "from" : "to") != 0)
			return -EINVAL;
		if (gi_prefix_parse(words[i + 2], false, &a.net) < 0) {
			snprintf(why, CONF_WHY_MAX, "base-allow: %.60s is no address or prefix",
				words[i + 2]);
			return -EINVAL;
		}
		a.limited = true;
	}
	if (parse_service(words[i], &a) < 0) {
		snprintf(why, CONF_WHY_MAX,
			"base-allow: no service: tcp:22, udp:500-510, sctp:1, icmp:8, icmpv6, any");
		return -EINVAL;
	}
	*ret = a;
	return 0;
}

int na_base_check_allow(const char *text, char ret_why[CONF_WHY_MAX])
{
	char why[CONF_WHY_MAX];
	struct allow a;
	int rc = strcmp(text, "none") == 0 ? 0 : parse_allow(text, &a, why);

	if (rc < 0)
		snprintf(ret_why, CONF_WHY_MAX, "%s", why);
	return rc;
}

/* ---- the ruleset ---- */

static int add_group(struct fw_ruleset *rs, const char *name, const struct gi_prefix *nets,
	size_t n, uint16_t *ret)
{
	struct fw_group *g = &rs->groups[rs->n_groups];

	g->nets = calloc(n, sizeof(*nets));
	if (!g->nets)
		return -ENOMEM;
	memcpy(g->nets, nets, n * sizeof(*nets));
	g->n_nets = n;
	g->uses = FW_USE_NETS;
	snprintf(g->name, sizeof(g->name), "%s", name);
	*ret = (uint16_t)rs->n_groups++;
	return 0;
}

/* @nets: the other side's, sorted; @n 0: anybody's */
static int add_rule(struct fw_ruleset *rs, const char *name, const struct allow *a,
	const struct gi_prefix *nets, size_t n)
{
	struct fw_rule *r = &rs->rules[rs->n_rules++];
	uint16_t **peers = a->dir == FW_IN ? &r->from : &r->to;
	uint16_t group = 0;

	snprintf(r->name, sizeof(r->name), "base/%s", name);
	r->dir = a->dir;
	r->action = FW_ACCEPT;
	if (n > 0) {
		*peers = calloc(1, sizeof(**peers));
		if (!*peers || add_group(rs, name, nets, n, &group) < 0)
			return -ENOMEM;
		**peers = group;
		*(a->dir == FW_IN ? &r->n_from : &r->n_to) = 1;
	}
	if (a->any)
		return 0;
	r->services = calloc(1, sizeof(*r->services));
	if (!r->services)
		return -ENOMEM;
	r->services[0] = a->service;
	r->n_services = 1;
	return 0;
}

/* a client's: broadcast or to a server, and back, which is no answer to it for the kernel */
static int add_dhcp(struct fw_ruleset *rs)
{
	static const struct {
		const char *name;
		enum fw_dir dir;
		uint16_t port;
		const char *nets[2]; /* sorted */
	} rules[] = {
		{ "dhcp-out", FW_OUT, 67, { "0.0.0.0/0" } },
		{ "dhcp-in", FW_IN, 68, { "0.0.0.0/0" } },
		{ "dhcp6-out", FW_OUT, 547, { "fe80::/10", DHCP6_SERVERS } },
		{ "dhcp6-in", FW_IN, 546, { "fe80::/10" } },
	};
	int rc = 0;

	for (size_t i = 0; i < GI_ARRAY_SIZE(rules) && rc == 0; i++) {
		struct allow a = { .dir = rules[i].dir,
			.service = { IPPROTO_UDP, rules[i].port, rules[i].port, 256 } };
		struct gi_prefix nets[2];
		size_t n = 0;

		for (; rc == 0 && n < 2 && rules[i].nets[n]; n++)
			rc = gi_prefix_parse(rules[i].nets[n], false, &nets[n]);
		if (rc == 0)
			rc = add_rule(rs, rules[i].name, &a, nets, n);
	}
	return rc;
}

/* the agent speaks to nobody else; vsock and unix sockets do not pass nftables */
static int add_mux(struct fw_ruleset *rs, const char *mux)
{
	struct allow a = { .dir = FW_OUT, .service = { .proto = IPPROTO_TCP, .icmp_type = 256 } };
	struct gi_prefix net = { 0 };
	struct io_endpoint e;
	int rc = io_endpoint_parse(mux, &e);

	if (rc < 0)
		return rc;
	if (e.u.sa.sa_family == AF_INET) {
		rc = gi_addr_from_bytes(&e.u.in.sin_addr, 4, &net.addr);
		a.service.port_lo = ntohs(e.u.in.sin_port);
	} else if (e.u.sa.sa_family == AF_INET6) {
		rc = gi_addr_from_bytes(&e.u.in6.sin6_addr, 16, &net.addr);
		a.service.port_lo = ntohs(e.u.in6.sin6_port);
	} else {
		return 0;
	}
	a.service.port_hi = a.service.port_lo;
	net.len = (uint8_t)(8 * gi_addr_len(&net.addr));
	return rc < 0 ? rc : add_rule(rs, "mux", &a, &net, 1);
}

static int add_allowed(struct fw_ruleset *rs, const struct conf_list *list)
{
	char why[CONF_WHY_MAX], name[32];
	int rc = 0;

	for (size_t i = 0; i < list->n && rc == 0; i++) {
		struct allow a;

		if (strcmp(list->items[i], "none") == 0)
			continue;
		rc = parse_allow(list->items[i], &a, why);
		snprintf(name, sizeof(name), "allow%zu", i + 1);
		if (rc == 0)
			rc = add_rule(rs, name, &a, &a.net, a.limited ? 1 : 0);
	}
	return rc;
}

static int ruleset_new(const struct na_conf *c, struct fw_ruleset **ret)
{
	struct fw_ruleset *rs = calloc(1, sizeof(*rs));
	bool open = strcmp(c->base, "open") == 0;
	int rc = -ENOMEM;

	if (!rs)
		return -ENOMEM;
	rs->generation = NA_BASE_GENERATION;
	rs->default_in = open ? FW_ACCEPT : FW_DROP;
	rs->default_out = open ? FW_ACCEPT : FW_REJECT;
	rs->groups = calloc(RULES_MAX, sizeof(*rs->groups));
	rs->rules = calloc(RULES_MAX, sizeof(*rs->rules));
	if (rs->groups && rs->rules)
		rc = 0;
	if (rc == 0 && !open)
		rc = add_dhcp(rs);
	if (rc == 0 && !open)
		rc = add_mux(rs, c->mux);
	if (rc == 0 && !open)
		rc = add_allowed(rs, &c->base_allow);
	if (rc < 0) {
		fw_ruleset_free(rs);
		return rc;
	}
	*ret = rs;
	return 0;
}

/* of what is allowed, so that a flow of another base is not taken for one of this */
static uint32_t mark_of(const struct na_conf *c)
{
	static const uint64_t key[2] = { UINT64_C(0x6964667720626173),
		UINT64_C(0x65206d61726b2020) };
	struct fw_sip sip;

	fw_sip_init(&sip, key);
	fw_sip_add(&sip, c->base, strlen(c->base) + 1);
	fw_sip_add(&sip, c->mux, strlen(c->mux) + 1);
	for (size_t i = 0; i < c->base_allow.n; i++)
		fw_sip_add(&sip, c->base_allow.items[i], strlen(c->base_allow.items[i]) + 1);
	return (uint32_t)(1 + fw_sip_end(&sip) % (FW_MARK_END - 1));
}

int na_base_state(const struct na_conf *c, struct fw_state **ret)
{
	const uint32_t mark = mark_of(c);
	const struct fw_op ops[] = { { .elem = fw_elem_base(4, mark) },
		{ .elem = fw_elem_base(6, mark) }, { .elem = fw_elem_live(mark, 0, false) } };
	struct fw_ruleset *rs = NULL;
	struct fw_state *s = NULL;
	int rc = ruleset_new(c, &rs);

	if (rc < 0)
		return rc;
	rc = fw_state_new(&s);
	if (rc < 0) {
		fw_ruleset_free(rs);
		return rc;
	}
	fw_state_set_ruleset(s, rs);
	for (size_t i = 0; i < GI_ARRAY_SIZE(ops) && rc == 0; i++)
		rc = fw_state_apply(s, &ops[i]);
	if (rc < 0) {
		fw_state_free(s);
		return rc;
	}
	*ret = s;
	return 0;
}
