/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirsrv.c - servers of a directory that DNS names: who is believed, in which order they are asked
 *
 * Pure; no clock, no randomness of its own, no DNS. Runs in svm-idfw and in both of its directory
 * children, which all check names by the same rule. Invariant: whatever DNS or the file says, there
 * is no URI in a list but ldap[s]://HOST:PORT with a HOST that the configuration allows.
 */
#include "svm-idfw/dirsrv.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/addr.h"
#include "lib/base/text.h"

#define SRV_FILE_HEAD "idfw-directory-servers 1"
#define SRV_LINE_MAX (DIR_URI_MAX + DIR_SRV_ADDRESSES_MAX + 64)
#define LDAP_PORT 389
#define LDAPS_PORT 636
#define DNS_PORT 53

static bool srv_is_label(const char *p, size_t len);
static bool srv_below(const char *host, const char *domain);
static bool srv_insert(struct dir_srv_list *l, const struct dir_srv *new);
static bool srv_line(struct dir_srv_list *l, const struct idfw_dir_conf *conf, char *line);

/* ---- names ---- */

static bool srv_is_label(const char *p, size_t len)
{
	if (len == 0 || len > 63 || p[0] == '-' || p[len - 1] == '-')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!((p[i] >= 'a' && p[i] <= 'z') || (p[i] >= 'A' && p[i] <= 'Z') ||
			    (p[i] >= '0' && p[i] <= '9') || p[i] == '-' || p[i] == '_'))
			return false;
	return true;
}

bool dir_srv_is_label(const char *text)
{
	return srv_is_label(text, strlen(text));
}

bool dir_srv_is_host(const char *text)
{
	const char *label = text, *last = text;

	if (strlen(text) > DIR_SRV_HOST_MAX)
		return false;
	for (;; label++) {
		size_t len = strcspn(label, ".");

		if (!srv_is_label(label, len))
			return false;
		last = label;
		label += len;
		if (*label == '\0')
			break;
	}
	/* 10.0.0.1 is no name, and no top level domain is a number */
	return strspn(last, "0123456789") < strlen(last);
}

bool dir_srv_is_pattern(const char *text)
{
	return dir_srv_is_host(text[0] == '.' ? text + 1 : text);
}

/* @host is not @domain itself, but ends with it */
static bool srv_below(const char *host, const char *domain)
{
	size_t h = strlen(host), d = strlen(domain);

	return h > d + 1 && host[h - d - 1] == '.' && strcasecmp(host + h - d, domain) == 0;
}

enum dir_srv_trust dir_srv_trust(const struct idfw_dir_conf *conf, const char *host)
{
	if (!dir_srv_is_host(host))
		return DIR_SRV_NO;
	for (size_t i = 0; i < conf->discover_allow.n; i++) {
		const char *allow = conf->discover_allow.items[i];

		if (allow[0] == '.' ? srv_below(host, allow + 1) : !strcasecmp(host, allow))
			return DIR_SRV_VOUCHED;
	}
	return conf->discover && srv_below(host, conf->discover) ? DIR_SRV_DOMAIN : DIR_SRV_NO;
}

bool dir_srv_host(const char *uri, char ret[DIR_SRV_HOST_MAX + 1])
{
	const char *host = strncmp(uri, "ldaps://", 8) == 0  ? uri + 8
			   : strncmp(uri, "ldap://", 7) == 0 ? uri + 7
							     : NULL;
	uint64_t port;
	size_t len;

	if (!host || strlen(uri) > DIR_URI_MAX)
		return false;
	len = strcspn(host, ":");
	if (host[len] != ':' || len > DIR_SRV_HOST_MAX ||
		gi_text_u64(host + len + 1, 1, UINT16_MAX, &port) < 0)
		return false;
	memcpy(ret, host, len);
	ret[len] = '\0';
	return true;
}

enum dir_srv_trust dir_srv_trust_uri(const struct idfw_dir_conf *conf, const char *uri)
{
	char host[DIR_SRV_HOST_MAX + 1];

	return dir_srv_host(uri, host) ? dir_srv_trust(conf, host) : DIR_SRV_NO;
}

bool dir_srv_is_dns_server(const char *text, char ret_address[64], uint16_t *ret_port)
{
	bool bracket = text[0] == '[';
	const char *at = text + bracket;
	size_t len = strcspn(at, bracket ? "]" : "");
	uint8_t bytes[sizeof(struct in6_addr)];
	const char *colon = strchr(at, ':');
	uint64_t port = DNS_PORT;

	if (bracket) {
		if (at[len] != ']' || (at[len + 1] != '\0' && at[len + 1] != ':'))
			return false;
		colon = at[len + 1] == ':' ? at + len + 1 : NULL;
	} else if (colon && strchr(colon + 1, ':')) {
		colon = NULL; /* IPv6 without a port */
	} else if (colon) {
		len = (size_t)(colon - at);
	}
	if (len >= 64 || (colon && gi_text_u64(colon + 1, 1, UINT16_MAX, &port) < 0))
		return false;
	memcpy(ret_address, at, len);
	ret_address[len] = '\0';
	*ret_port = (uint16_t)port;
	return (!bracket && inet_pton(AF_INET, ret_address, bytes) == 1) ||
	       inet_pton(AF_INET6, ret_address, bytes) == 1;
}

/* ---- questions and answers ---- */

size_t dir_srv_questions(
	const struct idfw_dir_conf *conf, struct dir_srv_question ret[DIR_SRV_QUESTIONS])
{
	bool starttls = strcmp(conf->discover_tls, "starttls") == 0;
	const char *domain = conf->discover;
	size_t n = 0;

	memset(ret, 0, DIR_SRV_QUESTIONS * sizeof(*ret));
	if (strcmp(conf->type, "ad") == 0) {
		if (conf->site) {
			(void)snprintf(ret[n].name, sizeof(ret[n].name),
				"_ldap._tcp.%s._sites.dc._msdcs.%s", conf->site, domain);
			ret[n].preferred = true;
			ret[n++].ldaps = !starttls;
		}
		(void)snprintf(ret[n].name, sizeof(ret[n].name), "_ldap._tcp.dc._msdcs.%s", domain);
		ret[n++].ldaps = !starttls;
		return n;
	}
	if (!starttls) {
		(void)snprintf(ret[n].name, sizeof(ret[n].name), "_ldaps._tcp.%s", domain);
		ret[n++].ldaps = true;
	}
	(void)snprintf(ret[n].name, sizeof(ret[n].name), "_ldap._tcp.%s", domain);
	ret[n].only_if_none = n > 0;
	return n + 1;
}

/* false: no room. One that is there keeps the better of both */
static bool srv_insert(struct dir_srv_list *l, const struct dir_srv *new)
{
	for (size_t i = 0; i < l->n; i++) {
		struct dir_srv *v = &l->item[i];

		if (strcmp(v->uri, new->uri) != 0)
			continue;
		if (new->preferred > v->preferred ||
			(new->preferred == v->preferred &&new->priority < v->priority))
			*v = *new;
		return true;
	}
	if (l->n == DIR_SRV_MAX)
		return false;
	l->item[l->n++] = *new;
	return true;
}

void dir_srv_add(struct dir_srv_list *l, const struct idfw_dir_conf *conf,
	const struct dir_srv_question *q, const struct dir_srv_record *r)
{
	struct dir_srv new = {
		.priority = r->priority, .weight = r->weight, .preferred = q->preferred
	};
	unsigned int port = r->port;

	if (strcmp(r->target, ".") == 0 || port == 0)
		return;
	if (dir_srv_trust(conf, r->target) == DIR_SRV_NO) {
		l->refused++;
		return;
	}
	/* a domain controller announces its port 389 alone; what is special is meant so */
	if (q->ldaps && port == LDAP_PORT)
		port = LDAPS_PORT;
	(void)snprintf(new.uri, sizeof(new.uri), "%s://%s:%u", q->ldaps ? "ldaps" : "ldap",
		r->target, port);
	if (srv_insert(l, &new) && (l->ttl_sec == 0 || r->ttl_sec < l->ttl_sec))
		l->ttl_sec = r->ttl_sec ? r->ttl_sec : 1;
}

/* ---- order ---- */

/* of the URI and the seed: uniform, 32 bits, never 0 */
static uint32_t srv_chance(const char *uri, uint64_t seed)
{
	uint64_t h = seed ^ 0x9e3779b97f4a7c15u;

	for (; *uri; uri++)
		h = (h ^ (uint8_t)*uri) * 0x100000001b3u;
	h ^= h >> 30;
	h *= 0xbf58476d1ce4e5b9u;
	h ^= h >> 27;
	h *= 0x94d049bb133111ebu;
	h ^= h >> 31;
	return (uint32_t)(h >> 32) | 1;
}

/* 2^26 times -log2(x / 2^32), x > 0: bit by bit, each a squaring */
static uint64_t srv_log(uint32_t x)
{
	uint64_t whole = 0, part = 0, m = x;

	while (m < 1u << 31) {
		m <<= 1;
		whole++;
	}
	for (unsigned int i = 0; i < 26; i++) {
		m = m * m >> 31;
		part <<= 1;
		if (m >> 32) {
			m >>= 1;
			part |= 1;
		}
	}
	return ((whole + 1) << 26) - part;
}

/*
 * Each draws a waiting time, exponential with its weight as the rate; who has the shortest is
 * first. Among those that are left the same holds again: that is the choice of RFC 2782, without a
 * running sum over a list that another server would move. Weight 0 is "very seldom": a 64th of 1.
 */
static uint64_t srv_time(const struct dir_srv *v, uint64_t seed)
{
	return (srv_log(srv_chance(v->uri, seed)) << 24) /
	       (v->weight ? (uint64_t)v->weight * 64 : 1);
}

struct srv_rank {
	struct dir_srv srv;
	uint64_t time;
};

static int srv_compare(const void *a, const void *b)
{
	const struct srv_rank *x = a, *y = b;

	if (x->srv.preferred != y->srv.preferred)
		return x->srv.preferred ? -1 : 1;
	if (x->srv.priority != y->srv.priority)
		return x->srv.priority < y->srv.priority ? -1 : 1;
	if (x->time != y->time)
		return x->time < y->time ? -1 : 1;
	return strcmp(x->srv.uri, y->srv.uri);
}

void dir_srv_order(struct dir_srv_list *l, uint64_t seed)
{
	struct srv_rank rank[DIR_SRV_MAX]; /* some 70 KiB of stack */

	for (size_t i = 0; i < l->n; i++) {
		rank[i].srv = l->item[i];
		rank[i].time = srv_time(&l->item[i], seed);
	}
	qsort(rank, l->n, sizeof(*rank), srv_compare);
	for (size_t i = 0; i < l->n; i++)
		l->item[i] = rank[i].srv;
}

uint64_t dir_srv_refresh_ms(uint32_t ttl_sec, uint32_t noise)
{
	uint64_t ms = ttl_sec < DIR_SRV_TTL_MIN	  ? DIR_SRV_TTL_MIN
		      : ttl_sec > DIR_SRV_TTL_MAX ? DIR_SRV_TTL_MAX
						  : ttl_sec;

	ms *= 1000;
	return ms + ((uint64_t)noise * (ms / 10) >> 32);
}

/* ---- addresses and the file ---- */

const struct dir_srv *dir_srv_find(const struct dir_srv_list *l, const char *uri)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->item[i].uri, uri) == 0)
			return &l->item[i];
	return NULL;
}

bool dir_srv_address_add(struct dir_srv *v, const char *address)
{
	size_t len = strlen(v->addresses), room = sizeof(v->addresses) - len;
	struct gi_addr a;

	if (gi_addr_parse(address, &a) < 0 || strlen(address) + 2 > room)
		return false;
	(void)snprintf(v->addresses + len, room, "%s%s", len ? "," : "", address);
	return true;
}

void dir_srv_print(const struct dir_srv_list *l, const char *domain, struct gi_buf *out)
{
	gi_buf_printf(out, "%s %s %llu %u %llu\n", SRV_FILE_HEAD, domain,
		(unsigned long long)l->found_ms, l->ttl_sec, (unsigned long long)l->seed);
	for (size_t i = 0; i < l->n; i++)
		gi_buf_printf(out, "%s %u %u %s %s\n", l->item[i].uri, l->item[i].priority,
			l->item[i].weight, l->item[i].preferred ? "site" : "-",
			l->item[i].addresses[0] ? l->item[i].addresses : "-");
	gi_buf_printf(out, "end\n");
}

/* the words of @line, up to @max; -1: more */
static int srv_words(char *line, char *word[], int max)
{
	char *save = NULL;
	int n = 0;

	for (char *w = strtok_r(line, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		if (n == max)
			return -1;
		word[n++] = w;
	}
	return n;
}

static bool srv_line(struct dir_srv_list *l, const struct idfw_dir_conf *conf, char *line)
{
	uint64_t priority, weight;
	struct dir_srv v = { .preferred = false };
	char *word[5], *save = NULL;

	if (srv_words(line, word, 5) != 5 || gi_text_u64(word[1], 0, UINT16_MAX, &priority) < 0 ||
		gi_text_u64(word[2], 0, UINT16_MAX, &weight) < 0 ||
		gi_text_copy(v.uri, sizeof(v.uri), word[0]) < 0)
		return false;
	v.preferred = strcmp(word[3], "site") == 0;
	if (!v.preferred && strcmp(word[3], "-") != 0)
		return false;
	v.priority = (uint16_t)priority;
	v.weight = (uint16_t)weight;
	if (strcmp(word[4], "-") != 0)
		for (char *a = strtok_r(word[4], ",", &save); a; a = strtok_r(NULL, ",", &save))
			if (!dir_srv_address_add(&v, a))
				return false;
	if (dir_srv_trust_uri(conf, v.uri) == DIR_SRV_NO) {
		l->refused++;
		return true;
	}
	return srv_insert(l, &v);
}

static bool srv_head(struct dir_srv_list *l, const struct idfw_dir_conf *conf, char *line)
{
	uint64_t ttl;
	char *word[6];

	if (srv_words(line, word, 6) != 6 || strcmp(word[0], "idfw-directory-servers") != 0 ||
		strcmp(word[1], "1") != 0 || strcasecmp(word[2], conf->discover) != 0 ||
		gi_text_u64(word[3], 0, UINT64_MAX / 2, &l->found_ms) < 0 ||
		gi_text_u64(word[4], 0, UINT32_MAX, &ttl) < 0 ||
		gi_text_u64(word[5], 0, UINT64_MAX, &l->seed) < 0)
		return false;
	l->ttl_sec = (uint32_t)ttl;
	return true;
}

int dir_srv_parse(
	struct dir_srv_list *ret, const struct idfw_dir_conf *conf, const char *text, size_t len)
{
	bool head = false, end = false;
	char line[SRV_LINE_MAX];

	memset(ret, 0, sizeof(*ret));
	while (len && !end) {
		const char *nl = memchr(text, '\n', len);
		size_t n = nl ? (size_t)(nl - text) : len;

		if (!nl || n >= sizeof(line) || memchr(text, '\0', n))
			break;
		memcpy(line, text, n);
		line[n] = '\0';
		end = head && strcmp(line, "end") == 0;
		if (!end && !(head ? srv_line(ret, conf, line) : srv_head(ret, conf, line)))
			break;
		head = true;
		text += n + 1;
		len -= n + 1;
	}
	if (end && len == 0 && ret->n)
		return 0;
	memset(ret, 0, sizeof(*ret));
	return -GI_EPROTO;
}
