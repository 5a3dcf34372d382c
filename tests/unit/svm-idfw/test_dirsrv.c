/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_dirsrv.c - svm-idfw/dirsrv.c, dirdns.c, dircert.c: servers by DNS, whom to believe, the
 * order
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/text.h"
#include "svm-idfw/dircert.h"
#include "svm-idfw/dirdns.h"
#include "svm-idfw/dirsrv.h"

static char domain[] = "corp.example", ad[] = "ad", openldap[] = "openldap", ldaps[] = "ldaps",
	    starttls[] = "starttls", berlin[] = "Berlin", below[] = ".hosts.example",
	    one[] = "dc9.other.example";
static char *allow[] = { below, one };
static const struct idfw_dir_conf conf = {
	.type = ad, .discover = domain, .discover_tls = ldaps, .discover_allow = { allow, 2 }
};
static struct dir_srv_list list;

static int clear(void **state)
{
	(void)state;
	memset(&list, 0, sizeof(list));
	return 0;
}

/* ---- names ---- */

static void test_is_host_forms(void **state)
{
	static const char *const good[] = { "dc1.corp.example", "a", "DC_1-x.corp.example",
		"1dc.corp.example", "corp" };
	static const char *const bad[] = { "", ".", "dc1..corp", ".corp", "corp.", "-a.b", "a-.b",
		"10.0.0.1", "dc1.7", "dc1 corp", "dc1/corp", "dc1:389", "dc1\nx", "d\xc3\xbc.x",
		"user@corp", "%41.corp" };
	char label[DIR_SRV_HOST_MAX + 2];

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(good); i++)
		assert_true(dir_srv_is_host(good[i]));
	for (size_t i = 0; i < GI_ARRAY_SIZE(bad); i++)
		assert_false(dir_srv_is_host(bad[i]));
	memset(label, 'a', sizeof(label));
	label[63] = '\0';
	assert_true(dir_srv_is_host(label) && dir_srv_is_label(label));
	label[63] = 'a';
	label[64] = '\0';
	assert_false(dir_srv_is_host(label) || dir_srv_is_label(label));
	label[63] = '.';
	label[64] = 'a';
	label[DIR_SRV_HOST_MAX] = '\0';
	assert_true(dir_srv_is_host(label));
	label[DIR_SRV_HOST_MAX] = 'a';
	label[DIR_SRV_HOST_MAX + 1] = '\0';
	assert_false(dir_srv_is_host(label));
	assert_true(dir_srv_is_pattern(".corp.example") && dir_srv_is_pattern("dc1.corp"));
	assert_false(dir_srv_is_pattern("..corp") || dir_srv_is_pattern("*.corp"));
}

static void test_trust_rule(void **state)
{
	(void)state;
	assert_int_equal(dir_srv_trust(&conf, "dc1.corp.example"), DIR_SRV_DOMAIN);
	assert_int_equal(dir_srv_trust(&conf, "dc1.Berlin.CORP.example"), DIR_SRV_DOMAIN);
	assert_int_equal(dir_srv_trust(&conf, "corp.example"), DIR_SRV_NO); /* not below itself */
	assert_int_equal(dir_srv_trust(&conf, "evilcorp.example"), DIR_SRV_NO);
	assert_int_equal(dir_srv_trust(&conf, "dc1.corp.example.evil.net"), DIR_SRV_NO);
	assert_int_equal(dir_srv_trust(&conf, "dc1.other.example"), DIR_SRV_NO);
	assert_int_equal(dir_srv_trust(&conf, "DC9.other.example"), DIR_SRV_VOUCHED);
	assert_int_equal(dir_srv_trust(&conf, "x.dc9.other.example"), DIR_SRV_NO);
	assert_int_equal(dir_srv_trust(&conf, "web.hosts.example"), DIR_SRV_VOUCHED);
	assert_int_equal(dir_srv_trust(&conf, "hosts.example"), DIR_SRV_NO);
}

static void test_trust_uri_only_our_form(void **state)
{
	static const char *const bad[] = { "ldaps://dc1.corp.example", "ldapi://dc1.corp.example:1",
		"ldaps://dc1.corp.example:0", "ldaps://dc1.corp.example:65536",
		"ldaps://dc1.corp.example:636/", "ldaps://dc1.corp.example:636 ldaps://x",
		"ldaps://evil.net/dc1.corp.example:636", "ldaps://evil.net?.corp.example:636",
		"ldaps://10.0.0.1:636", "dc1.corp.example:636", "" };

	(void)state;
	assert_int_equal(dir_srv_trust_uri(&conf, "ldaps://dc1.corp.example:636"), DIR_SRV_DOMAIN);
	assert_int_equal(dir_srv_trust_uri(&conf, "ldap://dc9.other.example:1"), DIR_SRV_VOUCHED);
	for (size_t i = 0; i < GI_ARRAY_SIZE(bad); i++)
		assert_int_equal(dir_srv_trust_uri(&conf, bad[i]), DIR_SRV_NO);
}

static void test_dns_server_forms(void **state)
{
	static const struct {
		const char *text, *address;
		unsigned int port;
	} good[] = { { "10.0.0.1", "10.0.0.1", 53 }, { "10.0.0.1:5353", "10.0.0.1", 5353 },
		{ "fd77::1", "fd77::1", 53 }, { "[fd77::1]:5353", "fd77::1", 5353 },
		{ "[fd77::1]", "fd77::1", 53 } };
	static const char *const bad[] = { "", "dns.corp", "10.0.0.1:", "10.0.0.1:0",
		"10.0.0.1:65536", "[10.0.0.1]:53", "[fd77::1", "[fd77::1]53", "fd77:::1",
		"10.0.0.256" };
	char address[64];
	uint16_t port;

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(good); i++) {
		assert_true(dir_srv_is_dns_server(good[i].text, address, &port));
		assert_string_equal(address, good[i].address);
		assert_int_equal(port, good[i].port);
	}
	for (size_t i = 0; i < GI_ARRAY_SIZE(bad); i++)
		assert_false(dir_srv_is_dns_server(bad[i], address, &port));
}

/* ---- questions ---- */

static void test_questions_by_type(void **state)
{
	struct idfw_dir_conf c = conf;
	struct dir_srv_question q[DIR_SRV_QUESTIONS];

	(void)state;
	assert_int_equal(dir_srv_questions(&c, q), 1);
	assert_string_equal(q[0].name, "_ldap._tcp.dc._msdcs.corp.example");
	assert_true(q[0].ldaps && !q[0].preferred);
	c.site = berlin;
	c.discover_tls = starttls;
	assert_int_equal(dir_srv_questions(&c, q), 2);
	assert_string_equal(q[0].name, "_ldap._tcp.Berlin._sites.dc._msdcs.corp.example");
	assert_true(q[0].preferred && !q[1].preferred && !q[0].ldaps && !q[1].only_if_none);
	c = conf;
	c.type = openldap;
	assert_int_equal(dir_srv_questions(&c, q), 2);
	assert_string_equal(q[0].name, "_ldaps._tcp.corp.example");
	assert_string_equal(q[1].name, "_ldap._tcp.corp.example");
	assert_true(q[0].ldaps && !q[1].ldaps && q[1].only_if_none);
	c.discover_tls = starttls;
	assert_int_equal(dir_srv_questions(&c, q), 1);
	assert_true(!q[0].ldaps && !q[0].only_if_none);
}

static struct dir_srv_record record(const char *target, unsigned int port)
{
	struct dir_srv_record r = { .priority = 5, .weight = 7, .ttl_sec = 600 };

	r.port = (uint16_t)port;
	assert_int_equal(gi_text_copy(r.target, sizeof(r.target), target), 0);
	return r;
}

static void test_add_makes_uris(void **state)
{
	struct dir_srv_question tls = { .ldaps = true }, plain = { .ldaps = false },
				site = { .ldaps = true, .preferred = true };
	struct dir_srv_record r = record("dc1.corp.example", 389);

	(void)state;
	dir_srv_add(&list, &conf, &tls, &r);
	assert_string_equal(list.item[0].uri, "ldaps://dc1.corp.example:636");
	dir_srv_add(&list, &conf, &plain, &r);
	assert_string_equal(list.item[1].uri, "ldap://dc1.corp.example:389");
	assert_int_equal(list.ttl_sec, 600);
	r.port = 3890;
	r.ttl_sec = 0;
	dir_srv_add(&list, &conf, &tls, &r);
	assert_string_equal(list.item[2].uri, "ldaps://dc1.corp.example:3890");
	assert_int_equal(list.ttl_sec, 1);
	/* again, of the site now: the same server */
	r = record("dc1.corp.example", 636);
	r.priority = 9;
	dir_srv_add(&list, &conf, &site, &r);
	assert_int_equal(list.n, 3);
	assert_true(list.item[0].preferred);
	assert_int_equal(list.item[0].priority, 9);
	r.priority = 1;
	dir_srv_add(&list, &conf, &tls, &r);
	assert_true(list.item[0].preferred);
	assert_int_equal(list.item[0].priority, 9);
}

static void test_add_ignores(void **state)
{
	struct dir_srv_question q = { .ldaps = true };
	struct dir_srv_record r = record(".", 389);
	char name[64];

	(void)state;
	dir_srv_add(&list, &conf, &q, &r);
	r = record("dc1.corp.example", 0);
	dir_srv_add(&list, &conf, &q, &r);
	assert_int_equal(list.refused, 0);
	r = record("dc1.evil.net", 389);
	dir_srv_add(&list, &conf, &q, &r);
	assert_int_equal(list.n, 0);
	assert_int_equal(list.refused, 1);
	for (unsigned int i = 0; i < DIR_SRV_MAX + 3; i++) {
		(void)snprintf(name, sizeof(name), "dc%u.corp.example", i);
		r = record(name, 389);
		dir_srv_add(&list, &conf, &q, &r);
	}
	assert_int_equal(list.n, DIR_SRV_MAX);
}

/* ---- order ---- */

static void put(const char *uri, unsigned int priority, unsigned int weight, bool preferred)
{
	struct dir_srv *v = &list.item[list.n++];

	*v = (struct dir_srv){
		.priority = (uint16_t)priority, .weight = (uint16_t)weight, .preferred = preferred
	};
	assert_int_equal(gi_text_copy(v->uri, sizeof(v->uri), uri), 0);
}

static size_t place(const char *uri)
{
	for (size_t i = 0; i < list.n; i++)
		if (strcmp(list.item[i].uri, uri) == 0)
			return i;
	fail();
	return 0;
}

static void test_order_site_then_priority(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 100; seed++) {
		clear(NULL);
		put("a", 10, 60000, false);
		put("b", 20, 0, true);
		put("c", 0, 1, false);
		put("d", 5, 0, true);
		dir_srv_order(&list, seed);
		assert_int_equal(place("d"), 0);
		assert_int_equal(place("b"), 1);
		assert_int_equal(place("c"), 2);
		assert_int_equal(place("a"), 3);
	}
}

/* RFC 2782: the chance to be chosen, of those that are left, is the weight's part of their sum */
static void test_order_distribution(void **state)
{
	unsigned int first[4] = { 0 }, b_then_c = 0, b = 0;
	const unsigned int n = 40000;

	(void)state;
	for (uint64_t seed = 1; seed <= n; seed++) {
		clear(NULL);
		put("ldaps://dc1.corp.example:636", 0, 60, false);
		put("ldaps://dc2.corp.example:636", 0, 30, false);
		put("ldaps://dc3.corp.example:636", 0, 10, false);
		put("ldaps://dc4.corp.example:636", 0, 0, false);
		dir_srv_order(&list, seed * 0x9e3779b97f4a7c15u);
		first[0] += place("ldaps://dc1.corp.example:636") == 0;
		first[1] += place("ldaps://dc2.corp.example:636") == 0;
		first[2] += place("ldaps://dc3.corp.example:636") == 0;
		first[3] += place("ldaps://dc4.corp.example:636") == 0;
		if (place("ldaps://dc2.corp.example:636") == 0) {
			b++;
			b_then_c += place("ldaps://dc3.corp.example:636") == 1;
		}
	}
	/* a standard deviation is at most 100 */
	assert_in_range(first[0], n * 60 / 100 - 600, n * 60 / 100 + 600);
	assert_in_range(first[1], n * 30 / 100 - 600, n * 30 / 100 + 600);
	assert_in_range(first[2], n * 10 / 100 - 400, n * 10 / 100 + 400);
	assert_in_range(first[3], 0, 40); /* weight 0: seldom */
	/* without the first: 10 of 70 */
	assert_in_range(b_then_c, b / 7 - b / 35, b / 7 + b / 35);
}

static void test_order_equal_and_zero_weights_are_fair(void **state)
{
	unsigned int first = 0, n = 20000;

	(void)state;
	for (unsigned int weight = 0; weight <= 100; weight += 100) {
		first = 0;
		for (uint64_t seed = 0; seed < n; seed++) {
			clear(NULL);
			put("ldaps://dc1.corp.example:636", 0, weight, false);
			put("ldaps://dc2.corp.example:636", 0, weight, false);
			dir_srv_order(&list, seed);
			first += place("ldaps://dc1.corp.example:636") == 0;
		}
		assert_in_range(first, n / 2 - 400, n / 2 + 400);
	}
}

static void test_order_stays_when_one_comes(void **state)
{
	static const char *const uri[] = { "ldaps://a:1", "ldaps://b:1", "ldaps://c:1",
		"ldaps://d:1" };
	size_t before[4];

	(void)state;
	for (uint64_t seed = 0; seed < 200; seed++) {
		clear(NULL);
		for (size_t i = 0; i < 4; i++)
			put(uri[i], 0, 100, false);
		dir_srv_order(&list, seed);
		for (size_t i = 0; i < 4; i++)
			before[i] = place(uri[i]);
		put("ldaps://e:1", 0, 100, false);
		dir_srv_order(&list, seed);
		for (size_t i = 0; i < 4; i++)
			for (size_t k = 0; k < 4; k++)
				assert_int_equal(
					before[i] < before[k], place(uri[i]) < place(uri[k]));
	}
}

static void test_refresh_bounds(void **state)
{
	(void)state;
	assert_int_equal(dir_srv_refresh_ms(0, 0), 60000);
	assert_int_equal(dir_srv_refresh_ms(900, 0), 900000);
	assert_int_equal(dir_srv_refresh_ms(UINT32_MAX, 0), 3600000);
	assert_in_range(dir_srv_refresh_ms(900, UINT32_MAX), 989000, 990000);
}

/* ---- DNS messages ---- */

struct msg {
	uint8_t bytes[1024];
	size_t len;
};

static void msg_put(struct msg *m, const void *p, size_t len)
{
	assert_true(m->len + len <= sizeof(m->bytes));
	memcpy(m->bytes + m->len, p, len);
	m->len += len;
}

static void msg_name(struct msg *m, const char *name)
{
	while (*name) {
		size_t len = strcspn(name, ".");
		uint8_t head = (uint8_t)len;

		msg_put(m, &head, 1);
		msg_put(m, name, len);
		name += len + (name[len] == '.');
	}
	msg_put(m, "", 1);
}

static void msg_begin(struct msg *m, const char *name, uint8_t answers)
{
	uint8_t head[12] = { 0x12, 0x34, 0x84, 0, 0, 1, 0, 0, 0, 0, 0, 0 };

	m->len = 0;
	head[7] = answers;
	msg_put(m, head, sizeof(head));
	msg_name(m, name);
	msg_put(m, "\0\x21\0\1", 4);
}

/* @more: bytes behind the target, that its length counts */
static void msg_srv(
	struct msg *m, const char *owner, uint8_t priority, const char *target, int more)
{
	size_t at;

	if (owner)
		msg_name(m, owner);
	else
		msg_put(m, "\xc0\x0c", 2); /* the question's */
	msg_put(m, "\0\x21\0\1\0\0\2\x58", 8);
	at = m->len;
	msg_put(m, "\0\0\0", 3);
	msg_put(m, &priority, 1);
	msg_put(m, "\0\7\1\x85", 4);
	msg_name(m, target);
	for (int i = 0; i < more; i++)
		msg_put(m, "x", 1);
	m->bytes[at + 1] = (uint8_t)(m->len - at - 2);
}

struct got {
	struct dir_srv_record r[8];
	size_t n;
};

static void got_add(void *arg, const struct dir_srv_record *r)
{
	struct got *g = arg;

	assert_true(g->n < 8);
	g->r[g->n++] = *r;
}

static void test_parse_answer(void **state)
{
	static const char name[] = "_ldap._tcp.corp.example";
	struct got g = { .n = 0 };
	struct msg m;

	(void)state;
	msg_begin(&m, name, 3);
	msg_srv(&m, NULL, 3, "DC1.corp.Example", 0);
	msg_srv(&m, "_ldap._tcp.other.example", 3, "dc2.corp.example", 0); /* nobody asked */
	msg_srv(&m, "_LDAP._tcp.CORP.example", 4, "", 0);
	assert_int_equal(dir_dns_parse(m.bytes, m.len, name, got_add, &g), 0);
	assert_int_equal(g.n, 2);
	assert_string_equal(g.r[0].target, "dc1.corp.example");
	assert_int_equal(g.r[0].priority, 3);
	assert_int_equal(g.r[0].weight, 7);
	assert_int_equal(g.r[0].port, 389);
	assert_int_equal(g.r[0].ttl_sec, 600);
	assert_string_equal(g.r[1].target, ".");
	/* every truncation: never more than it says, mostly an error */
	for (size_t len = 0; len < m.len; len++) {
		uint8_t *exact = malloc(len ? len : 1);

		assert_non_null(exact);
		memcpy(exact, m.bytes, len);
		g.n = 0;
		assert_int_equal(dir_dns_parse(exact, len, name, got_add, &g), -GI_EPROTO);
		free(exact);
	}
}

static void test_parse_refuses(void **state)
{
	static const char name[] = "_ldap._tcp.corp.example";
	static const char *const target[] = { "dc1 x.corp", "10.0.0.1", "d\xc3\xbc.corp",
		"ldaps://x.corp", "a\\.b" };
	struct got g = { .n = 0 };
	struct msg m;

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(target); i++) {
		msg_begin(&m, name, 1);
		msg_srv(&m, NULL, 3, target[i], 0);
		assert_int_equal(dir_dns_parse(m.bytes, m.len, name, got_add, &g), -GI_EPROTO);
	}
	msg_begin(&m, name, 1);
	msg_srv(&m, NULL, 3, "dc1.corp.example", 1); /* something behind the target */
	assert_int_equal(dir_dns_parse(m.bytes, m.len, name, got_add, &g), -GI_EPROTO);
	msg_begin(&m, name, 0);
	assert_int_equal(dir_dns_parse(m.bytes, m.len, name, got_add, &g), -GI_ENOTFOUND);
	assert_int_equal(g.n, 0);
	/* one bad target does not hide the good one */
	msg_begin(&m, name, 2);
	msg_srv(&m, NULL, 3, "10.0.0.1", 0);
	msg_srv(&m, NULL, 3, "dc1.corp.example", 0);
	assert_int_equal(dir_dns_parse(m.bytes, m.len, name, got_add, &g), 0);
	assert_int_equal(g.n, 1);
}

/* ---- the file ---- */

static void test_file_round_trip(void **state)
{
	static struct dir_srv_list back;
	struct idfw_dir_conf other = conf;
	struct gi_buf out;

	(void)state;
	put("ldaps://dc1.corp.example:636", 0, 65535, true);
	put("ldap://dc9.other.example:389", 65535, 0, false);
	list.found_ms = 1700000000123;
	list.seed = UINT64_MAX;
	assert_true(dir_srv_address_add(&list.item[0], "10.0.0.1"));
	assert_true(dir_srv_address_add(&list.item[0], "fd77:8::1"));
	assert_false(dir_srv_address_add(&list.item[0], "dc1.corp.example"));
	assert_false(dir_srv_address_add(&list.item[0], "10.0.0.1 x"));
	assert_string_equal(list.item[0].addresses, "10.0.0.1,fd77:8::1");
	list.ttl_sec = 900;
	gi_buf_init(&out, DIR_SRV_FILE_MAX);
	dir_srv_print(&list, domain, &out);
	assert_int_equal(dir_srv_parse(&back, &conf, gi_buf_str(&out), out.len), 0);
	assert_memory_equal(&back, &list, sizeof(list));
	/* every truncation, and one byte more */
	for (size_t len = 0; len < out.len; len++) {
		assert_int_equal(dir_srv_parse(&back, &conf, gi_buf_str(&out), len), -GI_EPROTO);
		assert_int_equal(back.n, 0);
	}
	gi_buf_append(&out, "x", 1);
	assert_int_equal(dir_srv_parse(&back, &conf, gi_buf_str(&out), out.len), -GI_EPROTO);
	out.len--;
	/* a host that is not allowed any more; another domain's file */
	other.discover_allow.n = 1;
	assert_int_equal(dir_srv_parse(&back, &other, gi_buf_str(&out), out.len), 0);
	assert_int_equal(back.n, 1);
	other.discover = berlin;
	assert_int_equal(dir_srv_parse(&back, &other, gi_buf_str(&out), out.len), -GI_EPROTO);
	gi_buf_fini(&out);
}

static void test_addresses_are_bounded(void **state)
{
	char host[DIR_SRV_HOST_MAX + 1];
	unsigned int n = 0;

	(void)state;
	put("ldaps://dc1.corp.example:636", 0, 0, false);
	while (dir_srv_address_add(&list.item[0], "fd77:1234:5678:9abc:def0:1234:5678:9abc"))
		n++;
	assert_int_equal(n, 3);
	assert_ptr_equal(dir_srv_find(&list, "ldaps://dc1.corp.example:636"), &list.item[0]);
	assert_null(dir_srv_find(&list, "ldaps://dc1.corp.example"));
	assert_true(dir_srv_host("ldaps://dc1.corp.example:636", host));
	assert_string_equal(host, "dc1.corp.example");
	assert_false(dir_srv_host("ldaps://dc1.corp.example", host));
}

/* ---- the certificate ---- */

/* SEQUENCE { SEQUENCE { INTEGER with @key inside, [3] { SEQUENCE { Extension SAN } } } } */
static size_t certificate(uint8_t out[256], const char *key, size_t key_len, const char *dns)
{
	uint8_t san[64], ext[96], tbs[200];
	size_t n = strlen(dns), at = 0;

	san[0] = 0x30;
	san[1] = (uint8_t)(n + 2);
	san[2] = 0x82;
	san[3] = (uint8_t)n;
	memcpy(san + 4, dns, n);
	n += 4;
	memcpy(ext, "\x30\0\x30\0\6\3\x55\x1d\x11\4\0", 11);
	ext[1] = (uint8_t)(n + 9);
	ext[3] = (uint8_t)(n + 7);
	ext[10] = (uint8_t)n;
	memcpy(ext + 11, san, n);
	n += 11;
	tbs[at++] = 2;
	tbs[at++] = (uint8_t)key_len;
	memcpy(tbs + at, key, key_len);
	at += key_len;
	tbs[at++] = 0xa3;
	tbs[at++] = (uint8_t)n;
	memcpy(tbs + at, ext, n);
	at += n;
	memcpy(out, "\x30\x81\0\x30\x81\0", 6);
	out[2] = (uint8_t)(at + 3);
	out[5] = (uint8_t)at;
	memcpy(out + 6, tbs, at);
	return at + 6;
}

static void test_cert_has_name(void **state)
{
	/* the holder of a certificate chooses his key: a whole extension may be in it */
	static const char key[] = "\6\3\x55\x1d\x11\4\x10\x30\x0e\x82\x0c"
				  "corp.example";
	char names[DIR_CERT_NAMES_MAX];
	uint8_t der[256];
	size_t len = certificate(der, "k", 1, "Corp.Example");

	(void)state;
	assert_true(dir_cert_has_name(der, len, "corp.example"));
	assert_false(dir_cert_has_name(der, len, "dc1.corp.example"));
	assert_false(dir_cert_has_name(der, len, "corp.exampl"));
	assert_true(dir_cert_names(der, len, "corp.example", names));
	for (size_t n = 0; n < len; n++)
		assert_false(dir_cert_has_name(der, n, "corp.example"));
	len = certificate(der, "k", 1, "*.example");
	assert_false(dir_cert_has_name(der, len, "corp.example"));
	assert_true(dir_cert_names(der, len, "corp.example", names));
	len = certificate(der, key, sizeof(key) - 1, "web1.corp.example");
	assert_false(dir_cert_has_name(der, len, "corp.example"));
	assert_true(dir_cert_has_name(der, len, "web1.corp.example"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_is_host_forms),
		cmocka_unit_test(test_trust_rule),
		cmocka_unit_test(test_trust_uri_only_our_form),
		cmocka_unit_test(test_dns_server_forms),
		cmocka_unit_test(test_questions_by_type),
		cmocka_unit_test_setup(test_add_makes_uris, clear),
		cmocka_unit_test_setup(test_add_ignores, clear),
		cmocka_unit_test(test_order_site_then_priority),
		cmocka_unit_test(test_order_distribution),
		cmocka_unit_test(test_order_equal_and_zero_weights_are_fair),
		cmocka_unit_test(test_order_stays_when_one_comes),
		cmocka_unit_test(test_refresh_bounds),
		cmocka_unit_test(test_parse_answer),
		cmocka_unit_test(test_parse_refuses),
		cmocka_unit_test_setup(test_file_round_trip, clear),
		cmocka_unit_test_setup(test_addresses_are_bounded, clear),
		cmocka_unit_test(test_cert_has_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
