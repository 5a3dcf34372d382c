/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirdns.c - SRV records from DNS, and which name servers a directory child asks
 *
 * The only file that includes resolv.h; runs in the directory children. glibc's
 * resolver asks (its own port and number a question, TCP when the answer is long) and walks the
 * answer; what is in it is checked here: the record's owner is who was asked for, its length is
 * true, its target is a host name. Why glibc: ADR 19.
 */
#include "svm-idfw/dirdns.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netdb.h>
#include <resolv.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DNS_ANSWER_MAX 65535
#define DNS_SRV_FIXED 6 /* priority, weight, port */
#define DNS_TIMEOUT_SEC 1
#define DNS_TRIES 2

static bool dns_target(ns_msg *m, const ns_rr *rr, char ret[DIR_SRV_HOST_MAX + 1]);
static int dns_refused(int h, const char *name, char why[DIR_WHY_MAX]);

/* ---- whom to ask ---- */

/* the resolver takes IPv6 by a pointer that it frees, and looks there when the family is 0 */
static int dns_set(size_t i, const char *address, uint16_t port)
{
	struct sockaddr_in *v4 = &_res.nsaddr_list[i];
	struct sockaddr_in6 *v6;

	memset(v4, 0, sizeof(*v4));
	if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		return 0;
	}
	v6 = calloc(1, sizeof(*v6));
	if (!v6)
		return -ENOMEM;
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(port);
	if (inet_pton(AF_INET6, address, &v6->sin6_addr) != 1) {
		free(v6);
		return -EINVAL;
	}
	free(_res._u._ext.nsaddrs[i]);
	_res._u._ext.nsaddrs[i] = v6;
	return 0;
}

int dir_dns_use(char *const *servers, size_t n)
{
	char address[64];
	uint16_t port;
	int err = 0;

	if (n > DIR_DNS_SERVERS_MAX)
		return -EINVAL;
	if (res_init() < 0)
		return -EIO;
	for (size_t i = 0; err == 0 && i < n; i++)
		err = dir_srv_is_dns_server(servers[i], address, &port) ? dns_set(i, address, port)
									: -EINVAL;
	if (err < 0)
		return err;
	_res.retrans = DNS_TIMEOUT_SEC;
	_res.retry = DNS_TRIES;
	if (n) {
		_res.nscount = (int)n;
		_res.options |= RES_NORELOAD;
	}
	return 0;
}

/* ---- asking ---- */

int dir_dns_srv(const char *name, void (*add)(void *arg, const struct dir_srv_record *r), void *arg,
	char why[DIR_WHY_MAX])
{
	uint8_t *msg = malloc(DNS_ANSWER_MAX);
	int len, err;

	why[0] = '\0';
	if (!msg)
		return -ENOMEM;
	len = res_query(name, ns_c_in, ns_t_srv, msg, DNS_ANSWER_MAX);
	if (len < 0)
		err = dns_refused(h_errno, name, why);
	else
		err = dir_dns_parse(
			msg, len < DNS_ANSWER_MAX ? (size_t)len : DNS_ANSWER_MAX, name, add, arg);
	free(msg);
	if (err == -GI_EPROTO && why[0] == '\0')
		dir_why(why, "the answer of DNS for %.120s is damaged", name);
	return err;
}

static int dns_refused(int h, const char *name, char why[DIR_WHY_MAX])
{
	if (h == HOST_NOT_FOUND || h == NO_DATA) {
		dir_why(why, "DNS has no %.150s (SRV)", name);
		return -GI_ENOTFOUND;
	}
	dir_why(why,
		h == TRY_AGAIN ? "no name server answers for %.100s; is DNS up, is dns-server or "
				 "resolv.conf right?"
			       : "the name server refuses to answer for %.100s",
		name);
	return -EAGAIN;
}

/* ---- understanding ---- */

/* of an SRV record: a host name, or "." */
static bool dns_target(ns_msg *m, const ns_rr *rr, char ret[DIR_SRV_HOST_MAX + 1])
{
	const uint8_t *at = ns_rr_rdata(*rr) + DNS_SRV_FIXED;
	char name[NS_MAXDNAME];
	int used = dn_expand(ns_msg_base(*m), ns_msg_end(*m), at, name, sizeof(name));
	size_t i;

	if (used < 0 || DNS_SRV_FIXED + used != ns_rr_rdlen(*rr))
		return false;
	if (name[0] == '\0' || strcmp(name, ".") == 0) {
		memcpy(ret, ".", 2);
		return true;
	}
	if (!dir_srv_is_host(name))
		return false;
	for (i = 0; name[i]; i++)
		ret[i] = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] | 0x20) : name[i];
	ret[i] = '\0';
	return true;
}

int dir_dns_parse(const uint8_t *msg, size_t len, const char *name,
	void (*add)(void *arg, const struct dir_srv_record *r), void *arg)
{
	size_t n = 0, bad = 0;
	ns_msg m;
	ns_rr rr;

	if (len > DNS_ANSWER_MAX || ns_initparse(msg, (int)len, &m) < 0)
		return -GI_EPROTO;
	for (int i = 0; i < ns_msg_count(m, ns_s_an); i++) {
		struct dir_srv_record r;
		const uint8_t *data;

		if (ns_parserr(&m, ns_s_an, i, &rr) < 0)
			return -GI_EPROTO;
		if (ns_rr_type(rr) != ns_t_srv || ns_rr_class(rr) != ns_c_in ||
			strcasecmp(ns_rr_name(rr), name) != 0)
			continue;
		data = ns_rr_rdata(rr);
		if (ns_rr_rdlen(rr) <= DNS_SRV_FIXED || !dns_target(&m, &rr, r.target)) {
			bad++; /* a target that is no host name harms nobody but itself */
			continue;
		}
		r.priority = (uint16_t)(data[0] << 8 | data[1]);
		r.weight = (uint16_t)(data[2] << 8 | data[3]);
		r.port = (uint16_t)(data[4] << 8 | data[5]);
		r.ttl_sec = ns_rr_ttl(rr) > INT32_MAX ? 0 : (uint32_t)ns_rr_ttl(rr);
		add(arg, &r);
		n++;
	}
	return n ? 0 : bad ? -GI_EPROTO : -GI_ENOTFOUND;
}
