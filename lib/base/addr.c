/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * addr.c - IPv4/IPv6 addresses and prefixes as values
 *
 * Text comes from policy, configuration and guests, bytes from the wire; both end here before
 * anything compares them, so that one address has one representation: IPv4-mapped IPv6 becomes
 * IPv4, unused bytes are zero, host bits of a prefix are zero.
 */
#include "lib/base/addr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include "lib/base/text.h"

static const uint8_t addr_mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

static bool addr_host_bits(const struct gi_addr *a, unsigned int len);
static void addr_mask(struct gi_addr *a, unsigned int len);

int gi_addr_from_bytes(const void *bytes, size_t len, struct gi_addr *ret)
{
	struct gi_addr a = { 0 };

	if (len != 4 && len != 16)
		return -EINVAL;
	if (len == 16 && memcmp(bytes, addr_mapped, sizeof(addr_mapped)) == 0) {
		bytes = (const uint8_t *)bytes + sizeof(addr_mapped);
		len = 4;
	}
	a.family = len == 4 ? 4 : 6;
	memcpy(a.bytes, bytes, len);
	*ret = a;
	return 0;
}

int gi_addr_parse(const char *text, struct gi_addr *ret)
{
	uint8_t bytes[16];

	if (inet_pton(AF_INET, text, bytes) == 1)
		return gi_addr_from_bytes(bytes, 4, ret);
	if (inet_pton(AF_INET6, text, bytes) == 1)
		return gi_addr_from_bytes(bytes, 16, ret);
	return -EINVAL;
}

/* IPv6 text has a colon, also when it is IPv4-mapped: then its length counts from bit 96 */
int gi_prefix_parse(const char *text, bool lax, struct gi_prefix *ret)
{
	const char *slash = strchr(text, '/');
	bool six = strchr(text, ':') != NULL;
	char part[GI_ADDR_STRLEN];
	struct gi_prefix p = { 0 };
	uint64_t len;
	size_t n = slash ? (size_t)(slash - text) : strlen(text);

	if (n >= sizeof(part))
		return -EINVAL;
	memcpy(part, text, n);
	part[n] = '\0';
	if (gi_addr_parse(part, &p.addr) < 0)
		return -EINVAL;
	len = six ? 128 : 32;
	if (slash && gi_text_u64(slash + 1, 0, len, &len) < 0)
		return -EINVAL;
	if (six && p.addr.family == 4) {
		if (len < 96)
			return -EINVAL;
		len -= 96;
	}
	p.len = (uint8_t)len;
	if (addr_host_bits(&p.addr, p.len)) {
		if (!lax)
			return -EINVAL;
		addr_mask(&p.addr, p.len);
	}
	*ret = p;
	return 0;
}

const char *gi_addr_format(const struct gi_addr *a, char buf[GI_ADDR_STRLEN])
{
	int af = a->family == 4 ? AF_INET : AF_INET6;

	if (a->family == 0 || !inet_ntop(af, a->bytes, buf, GI_ADDR_STRLEN))
		(void)snprintf(buf, GI_ADDR_STRLEN, "none");
	return buf;
}

const char *gi_prefix_format(const struct gi_prefix *p, char buf[GI_ADDR_STRLEN])
{
	size_t n;

	gi_addr_format(&p->addr, buf);
	if (p->addr.family == 0)
		return buf;
	n = strlen(buf);
	(void)snprintf(buf + n, GI_ADDR_STRLEN - n, "/%u", p->len);
	return buf;
}

int gi_addr_cmp(const struct gi_addr *a, const struct gi_addr *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

int gi_prefix_cmp(const struct gi_prefix *a, const struct gi_prefix *b)
{
	int d = gi_addr_cmp(&a->addr, &b->addr);

	if (d)
		return d;
	return (a->len > b->len) - (a->len < b->len);
}

bool gi_prefix_contains(const struct gi_prefix *p, const struct gi_addr *a)
{
	struct gi_addr net = *a;

	if (a->family == 0 || p->addr.family != a->family)
		return false;
	addr_mask(&net, p->len);
	return memcmp(net.bytes, p->addr.bytes, sizeof(net.bytes)) == 0;
}

static bool addr_host_bits(const struct gi_addr *a, unsigned int len)
{
	struct gi_addr net = *a;

	addr_mask(&net, len);
	return memcmp(net.bytes, a->bytes, sizeof(net.bytes)) != 0;
}

static void addr_mask(struct gi_addr *a, unsigned int len)
{
	for (size_t i = 0; i < sizeof(a->bytes); i++) {
		unsigned int first = (unsigned int)i * 8;

		if (len >= first + 8)
			continue;
		a->bytes[i] &= len <= first ? 0 : (uint8_t)(0xff << (8 - (len - first)));
	}
}
