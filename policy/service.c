/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * service.c - ports, ICMP types, protocols, and the services that every policy knows
 *
 * The predefined services are a table; a policy that defines a service of the same name replaces
 * it. docs/policy.md "Predefined services" lists the same table, and a test compares the two.
 * Source: IANA service names and port numbers; RFC 792, RFC 4443 (ICMP types).
 */
#include "policy/tree.h"

#include <netinet/in.h>
#include <string.h>

#define ICMP_ANY 256

struct icmp_type {
	uint8_t proto;
	uint8_t type;
	const char *name;
};

static const struct icmp_type icmp_types[] = {
	{ IPPROTO_ICMP, 0, "echo-reply" },
	{ IPPROTO_ICMP, 3, "destination-unreachable" },
	{ IPPROTO_ICMP, 5, "redirect" },
	{ IPPROTO_ICMP, 8, "echo-request" },
	{ IPPROTO_ICMP, 9, "router-advertisement" },
	{ IPPROTO_ICMP, 10, "router-solicitation" },
	{ IPPROTO_ICMP, 11, "time-exceeded" },
	{ IPPROTO_ICMP, 12, "parameter-problem" },
	{ IPPROTO_ICMP, 13, "timestamp-request" },
	{ IPPROTO_ICMP, 14, "timestamp-reply" },
	{ IPPROTO_ICMPV6, 1, "destination-unreachable" },
	{ IPPROTO_ICMPV6, 2, "packet-too-big" },
	{ IPPROTO_ICMPV6, 3, "time-exceeded" },
	{ IPPROTO_ICMPV6, 4, "parameter-problem" },
	{ IPPROTO_ICMPV6, 128, "echo-request" },
	{ IPPROTO_ICMPV6, 129, "echo-reply" },
	{ IPPROTO_ICMPV6, 130, "listener-query" },
	{ IPPROTO_ICMPV6, 131, "listener-report" },
	{ IPPROTO_ICMPV6, 133, "router-solicitation" },
	{ IPPROTO_ICMPV6, 134, "router-advertisement" },
	{ IPPROTO_ICMPV6, 135, "neighbor-solicitation" },
	{ IPPROTO_ICMPV6, 136, "neighbor-advertisement" },
	{ IPPROTO_ICMPV6, 137, "redirect" },
};

#define T(lo, hi)                             \
	{                                     \
		IPPROTO_TCP, lo, hi, ICMP_ANY \
	}
#define U(lo, hi)                             \
	{                                     \
		IPPROTO_UDP, lo, hi, ICMP_ANY \
	}
#define I4(type)                                  \
	{                                         \
		IPPROTO_ICMP, 0, UINT16_MAX, type \
	}
#define I6(type)                                    \
	{                                           \
		IPPROTO_ICMPV6, 0, UINT16_MAX, type \
	}

static const struct builtin {
	const char *name;
	size_t n;
	struct fw_service items[4];
} builtins[] = {
	{ "dhcp", 1, { U(67, 68) } },
	{ "dhcpv6", 1, { U(546, 547) } },
	{ "dns", 2, { T(53, 53), U(53, 53) } },
	{ "gc", 1, { T(3268, 3269) } },
	{ "http", 1, { T(80, 80) } },
	{ "https", 1, { T(443, 443) } },
	{ "icmp", 1, { I4(ICMP_ANY) } },
	{ "icmpv6", 1, { I6(ICMP_ANY) } },
	{ "kerberos", 2, { T(88, 88), U(88, 88) } },
	{ "kpasswd", 2, { T(464, 464), U(464, 464) } },
	{ "ldap", 2, { T(389, 389), U(389, 389) } },
	{ "ldaps", 1, { T(636, 636) } },
	{ "ntp", 1, { U(123, 123) } },
	{ "ping", 2, { I4(8), I6(128) } },
	{ "rdp", 2, { T(3389, 3389), U(3389, 3389) } },
	{ "smb", 1, { T(445, 445) } },
	{ "ssh", 1, { T(22, 22) } },
	{ "syslog", 3, { T(514, 514), T(6514, 6514), U(514, 514) } },
};

struct fw_service pol_service_any(uint8_t proto)
{
	return (struct fw_service){ proto, 0, UINT16_MAX, ICMP_ANY };
}

bool pol_service_ports(
	struct pol_parser *c, uint64_t lo, uint64_t hi, struct conf_pos pos, struct fw_service *ret)
{
	if (lo == 0 || lo > UINT16_MAX || hi == 0 || hi > UINT16_MAX) {
		conf_diag_add(c->diags, CONF_ERROR, &pos, "a port is a number from 1 to 65535");
		return false;
	}
	if (hi < lo) {
		conf_diag_add(c->diags, CONF_ERROR, &pos,
			"the range ends before it begins; did you mean %llu-%llu?",
			(unsigned long long)hi, (unsigned long long)lo);
		return false;
	}
	*ret = (struct fw_service){ c->proto, (uint16_t)lo, (uint16_t)hi, ICMP_ANY };
	return true;
}

bool pol_service_icmp(
	struct pol_parser *c, const char *type, struct conf_pos pos, struct fw_service *ret)
{
	const char *names[GI_ARRAY_SIZE(icmp_types)];
	const char *near;
	size_t n = 0;

	for (size_t i = 0; i < GI_ARRAY_SIZE(icmp_types); i++) {
		if (icmp_types[i].proto != c->proto)
			continue;
		if (strcmp(icmp_types[i].name, type) == 0) {
			*ret = (struct fw_service){ c->proto, 0, UINT16_MAX, icmp_types[i].type };
			return true;
		}
		names[n++] = icmp_types[i].name;
	}
	near = conf_suggest(type, names, n);
	conf_diag_add(c->diags, CONF_ERROR, &pos, "no %s type \"%s\"%s%s%s",
		c->proto == IPPROTO_ICMP ? "ICMP" : "ICMPv6", type, near ? "; did you mean \"" : "",
		near ? near : "", near ? "\"?" : "; a number from 0 to 255 will do");
	return false;
}

bool pol_service_icmp_number(
	struct pol_parser *c, uint64_t type, struct conf_pos pos, struct fw_service *ret)
{
	if (type > 255) {
		conf_diag_add(c->diags, CONF_ERROR, &pos, "an ICMP type is a number from 0 to 255");
		return false;
	}
	*ret = (struct fw_service){ c->proto, 0, UINT16_MAX, (uint16_t)type };
	return true;
}

bool pol_service_proto(
	struct pol_parser *c, uint64_t proto, struct conf_pos pos, struct fw_service *ret)
{
	if (proto == 0 || proto > 255) {
		conf_diag_add(
			c->diags, CONF_ERROR, &pos, "an IP protocol is a number from 1 to 255");
		return false;
	}
	*ret = pol_service_any((uint8_t)proto);
	return true;
}

static void add(struct pol_parser *c, bool usable, const struct fw_service *s)
{
	if (usable)
		pol_tree_service_item(c, s);
	else
		pol_tree_service_broken(c);
}

void pol_service_add_ports(struct pol_parser *c, uint64_t lo, uint64_t hi, struct conf_pos pos)
{
	struct fw_service s;
	bool usable = pol_service_ports(c, lo, hi, pos, &s);

	add(c, usable, &s);
}

void pol_service_add_type(
	struct pol_parser *c, const char *name, uint64_t number, struct conf_pos pos)
{
	struct fw_service s;
	bool usable = name ? pol_service_icmp(c, name, pos, &s)
			   : pol_service_icmp_number(c, number, pos, &s);

	add(c, usable, &s);
}

void pol_service_add_proto(struct pol_parser *c, uint64_t number, struct conf_pos pos)
{
	struct fw_service s;
	bool usable = pol_service_proto(c, number, pos, &s);

	add(c, usable, &s);
}

void pol_service_add_any(struct pol_parser *c)
{
	struct fw_service s = pol_service_any(c->proto);

	add(c, true, &s);
}

int pol_service_builtins(struct pol_policy *p)
{
	size_t own = p->n_services;
	struct pol_service s;
	int err;

	for (size_t i = 0; i < GI_ARRAY_SIZE(builtins); i++) {
		const struct builtin *b = &builtins[i];
		bool replaced = false;

		for (size_t k = 0; k < own && !replaced; k++)
			replaced = strcmp(p->services[k].name, b->name) == 0;
		if (replaced)
			continue;
		s = (struct pol_service){ .name = b->name, .builtin = true, .n = b->n };
		s.items = pol_alloc(p, b->n * sizeof(s.items[0]));
		if (!s.items)
			return -ENOMEM;
		memcpy(s.items, b->items, b->n * sizeof(s.items[0]));
		err = pol_grow(
			p, (void **)&p->services, p->n_services, &p->services_cap, sizeof(s));
		if (err)
			return err;
		p->services[p->n_services++] = s;
	}
	return 0;
}

const char *pol_icmp_name(uint8_t proto, uint16_t type)
{
	for (size_t i = 0; i < GI_ARRAY_SIZE(icmp_types); i++) {
		if (icmp_types[i].proto == proto && icmp_types[i].type == type)
			return icmp_types[i].name;
	}
	return NULL;
}

int pol_service_cmp(const struct fw_service *a, const struct fw_service *b)
{
	if (a->proto != b->proto)
		return a->proto < b->proto ? -1 : 1;
	if (a->port_lo != b->port_lo)
		return a->port_lo < b->port_lo ? -1 : 1;
	if (a->port_hi != b->port_hi)
		return a->port_hi < b->port_hi ? -1 : 1;
	return (a->icmp_type > b->icmp_type) - (a->icmp_type < b->icmp_type);
}

bool pol_service_covers(const struct fw_service *a, const struct fw_service *b)
{
	if (a->proto == 0)
		return true;
	return a->proto == b->proto && a->port_lo <= b->port_lo && a->port_hi >= b->port_hi &&
	       (a->icmp_type == ICMP_ANY || a->icmp_type == b->icmp_type);
}
