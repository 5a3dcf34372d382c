/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirsrv.h - servers of a directory that DNS names: who is believed, in which order they are asked
 *
 * Pure. A DNS answer is the word of whoever is on the way: a record is only a proposal. Its target
 * must be a host below the domain that the administrator wrote down, or one that he allows by name
 * (dir_srv_host); before the bind the server's certificate must then carry the domain's name as
 * well (dirbind.c), unless the administrator vouches for that host.
 * dirdns.c reads records, dirdisc.c gathers them in a child, dirfind.c takes the list in svm-idfw.
 * Source: RFC 2782; RFC 6125 6.2.1 and RFC 4513 3.1.3 (names by DNS are not to be trusted);
 * MS-ADTS 6.3.2.3 (SRV records of domain controllers); docs/directory.md "Servers by DNS".
 */
#ifndef SVM_IDFW_DIRSRV_H
#define SVM_IDFW_DIRSRV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/base/buf.h"
#include "lib/wire/wire.h"
#include "svm-idfw/dir.h"
#include "svm-idfw/dirserver.h"

#define DIR_SRV_MAX WIRE_DIR_SERVERS_MAX /* servers of one domain; the rest is not looked at */
#define DIR_SRV_HOST_MAX 127
#define DIR_SRV_ADDRESSES_MAX 128
#define DIR_SRV_FILE_MAX (DIR_SRV_MAX * (DIR_URI_MAX + DIR_SRV_ADDRESSES_MAX + 32))
#define DIR_SRV_TTL_MIN 60
#define DIR_SRV_TTL_MAX 3600

struct dir_srv_record { /* as in an answer, checked for form */
	uint16_t priority, weight, port;
	uint32_t ttl_sec;
	char target[DIR_SRV_HOST_MAX + 1]; /* lower case; "." : there is no such service */
};

struct dir_srv {
	char uri[DIR_URI_MAX + 1];
	uint16_t priority, weight;
	bool preferred;			       /* of our site */
	char addresses[DIR_SRV_ADDRESSES_MAX]; /* 10.77.8.10,fd77:8::10; "" unknown */
};

struct dir_srv_list {
	struct dir_srv item[DIR_SRV_MAX];
	size_t n;
	size_t refused;	   /* targets outside of the domain */
	uint32_t ttl_sec;  /* the shortest of all records; 0 none yet */
	uint64_t found_ms; /* Unix time */
	uint64_t seed;	   /* of the order: as long as the file is kept */
};

enum dir_srv_trust {
	DIR_SRV_NO,	/* no host of ours */
	DIR_SRV_DOMAIN, /* below the domain: if its certificate carries the domain's name */
	DIR_SRV_VOUCHED /* the administrator named it: if its certificate carries its own name */
};

struct dir_srv_question {
	char name[DIR_SRV_HOST_MAX + 1 + 192]; /* _ldap._tcp.Berlin._sites.dc._msdcs.corp.example */
	bool preferred;
	bool ldaps;	   /* what the servers that it names speak at their port */
	bool only_if_none; /* asked when the one before found nobody */
};
#define DIR_SRV_QUESTIONS 2

/* a host or domain name: labels of letters, digits, - and _, not an address; without a last dot */
bool dir_srv_is_host(const char *text);
bool dir_srv_is_label(const char *text);
/* ".corp.example" (whatever is below) or "dc1.corp.example" */
bool dir_srv_is_pattern(const char *text);
enum dir_srv_trust dir_srv_trust(const struct idfw_dir_conf *conf, const char *host);
/* the same for a URI of ours, ldap[s]://HOST:PORT; anything else is DIR_SRV_NO */
enum dir_srv_trust dir_srv_trust_uri(const struct idfw_dir_conf *conf, const char *uri);

/* what to ask DNS for; the preferred ones first. Number of questions */
size_t dir_srv_questions(
	const struct idfw_dir_conf *conf, struct dir_srv_question ret[DIR_SRV_QUESTIONS]);
/*
 * dir_srv_add - one record that answers @q
 * Ignored: ".", a host that is not trusted (counted), port 0, what is there already, over the limit
 */
void dir_srv_add(struct dir_srv_list *l, const struct idfw_dir_conf *conf,
	const struct dir_srv_question *q, const struct dir_srv_record *r);
/*
 * dir_srv_order - preferred ones first, by priority, and by chance among the same: a server that
 * has twice the weight is before the other twice as often (RFC 2782). The same @seed and the same
 * servers give the same order, and one server more or less leaves the order of the others.
 */
void dir_srv_order(struct dir_srv_list *l, uint64_t seed);
/* by its URI; borrowed, or NULL */
const struct dir_srv *dir_srv_find(const struct dir_srv_list *l, const char *uri);
/* host of a URI of a list; false: none */
bool dir_srv_host(const char *uri, char ret[DIR_SRV_HOST_MAX + 1]);
/* one more address; false: it is none, or there is no room */
bool dir_srv_address_add(struct dir_srv *v, const char *address);
/* when to ask again: between a minute and an hour, a tenth more by chance */
uint64_t dir_srv_refresh_ms(uint32_t ttl_sec, uint32_t noise);

/* the list as a file: what is known survives a restart while DNS is dead */
void dir_srv_print(const struct dir_srv_list *l, const char *domain, struct gi_buf *out);
/*
 * dir_srv_parse - its opposite; takes no host that @conf does not trust (any more)
 * Errors: -GI_EPROTO (damaged, another domain's, nobody in it); @ret is empty then
 */
GI_MUST_CHECK int dir_srv_parse(
	struct dir_srv_list *ret, const struct idfw_dir_conf *conf, const char *text, size_t len);
/* a text that is "ADDRESS" or "ADDRESS:PORT", [] around IPv6 with a port: a name server */
bool dir_srv_is_dns_server(const char *text, char ret_address[64], uint16_t *ret_port);

#endif
