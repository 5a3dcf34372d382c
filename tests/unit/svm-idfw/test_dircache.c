/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_dircache.c - svm-idfw/dircache.c, dirwhy.c, dircert.c: the SID cache, words for faults
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "svm-idfw/dircache.h"
#include "svm-idfw/dircert.h"
#include "svm-idfw/dirwhy.h"

static struct dir_group group(uint8_t rid, char *name)
{
	struct dir_group g = {
		.sid = { 1, 1, 0, 0, 0, 0, 0, 5, rid }, .sid_len = 12, .name = name
	};

	return g;
}

static void test_cache_put_get_drop(void **state)
{
	char eng[] = "eng", ops[] = "ops", renamed[] = "engineers";
	struct dir_group a = group(1, eng), b = group(2, ops), c = group(1, renamed);
	struct dir_group none = { .sid_len = 0 };
	struct dir_cache *cache;

	(void)state;
	assert_int_equal(dir_cache_new(10, &cache), 0);
	assert_null(dir_cache_get(cache, a.sid, a.sid_len));
	assert_int_equal(dir_cache_put(cache, &a, 0), 0);
	assert_int_equal(dir_cache_put(cache, &b, 0), 0);
	assert_string_equal(dir_cache_get(cache, a.sid, a.sid_len)->name, "eng");
	assert_string_equal(dir_cache_get(cache, a.sid, a.sid_len)->dn, "");
	assert_int_equal(dir_cache_put(cache, &c, 0), 0);
	assert_int_equal(dir_cache_count(cache), 2);
	assert_string_equal(dir_cache_get(cache, a.sid, a.sid_len)->name, "engineers");
	dir_cache_drop(cache, a.sid, a.sid_len);
	dir_cache_drop(cache, a.sid, a.sid_len);
	assert_null(dir_cache_get(cache, a.sid, a.sid_len));
	assert_non_null(dir_cache_get(cache, b.sid, b.sid_len));
	assert_null(dir_cache_get(cache, b.sid, b.sid_len - 4));
	assert_int_equal(dir_cache_put(cache, &none, 0), -EINVAL);
	dir_cache_clear(cache);
	assert_int_equal(dir_cache_count(cache), 0);
	dir_cache_free(cache);
	dir_cache_free(NULL);
}

/* asked for by one thread, changed and seen so by another, before the answer came */
static void test_cache_put_after_drop_is_not_kept(void **state)
{
	char eng[] = "eng", ops[] = "ops";
	struct dir_group a = group(1, eng), b = group(2, ops);
	struct dir_cache *cache;
	uint64_t before, after;

	(void)state;
	assert_int_equal(dir_cache_new(10, &cache), 0);
	before = dir_cache_hold(cache);
	dir_cache_release(cache);
	assert_int_equal(dir_cache_put(cache, &b, before), 0);
	dir_cache_drop(cache, a.sid, a.sid_len);
	assert_int_equal(dir_cache_put(cache, &a, before), 0);
	after = dir_cache_hold(cache);
	assert_null(dir_cache_get(cache, a.sid, a.sid_len));
	assert_non_null(dir_cache_get(cache, b.sid, b.sid_len));
	dir_cache_release(cache);
	assert_int_equal(dir_cache_put(cache, &a, after), 0);
	assert_int_equal(dir_cache_count(cache), 2);
	dir_cache_clear(cache);
	assert_int_equal(dir_cache_put(cache, &a, after), 0);
	assert_int_equal(dir_cache_count(cache), 0);
	dir_cache_free(cache);
}

static void test_cache_full_forgets_all(void **state)
{
	char name[] = "g";
	struct dir_cache *cache;
	struct dir_group g = group(0, name);
	uint8_t i;

	(void)state;
	assert_int_equal(dir_cache_new(8, &cache), 0);
	for (i = 1; i <= 8; i++) {
		g = group(i, name);
		assert_int_equal(dir_cache_put(cache, &g, 0), 0);
	}
	assert_int_equal(dir_cache_put(cache, &g, 0), 0); /* a replacement needs no room */
	assert_int_equal(dir_cache_count(cache), 8);
	g = group(9, name);
	assert_int_equal(dir_cache_put(cache, &g, 0), 0);
	assert_int_equal(dir_cache_count(cache), 1);
	assert_non_null(dir_cache_get(cache, g.sid, g.sid_len));
	dir_cache_free(cache);
}

static void test_why_bind_names_the_reason(void **state)
{
	static const struct {
		const char *data, *word;
	} t[] = {
		{ "52e", "wrong user name or password" },
		{ "525", "no such account" },
		{ "532", "expired" },
		{ "533", "disabled" },
		{ "701", "expired" },
		{ "775", "locked" },
		{ "773", "changed" },
		{ "ffff", "wrong user name or password" },
	};
	char out[DIR_WHY_MAX], text[128];
	size_t i;

	(void)state;
	for (i = 0; i < GI_ARRAY_SIZE(t); i++) {
		(void)snprintf(text, sizeof(text),
			"80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, "
			"data %s, v1db1",
			t[i].data);
		dir_why_bind(out, "svc@corp.example", "/etc/idfw/pw", text);
		assert_non_null(strstr(out, t[i].word));
		assert_non_null(strstr(out, "svc@corp.example"));
		assert_non_null(strstr(out, "/etc/idfw/pw"));
	}
	dir_why_bind(out, "svc", "/pw", "");
	assert_non_null(strstr(out, "wrong user name or password"));
}

static void test_why_is_printable_and_bounded(void **state)
{
	char out[DIR_WHY_MAX], huge[1024];
	const char *p;

	(void)state;
	memset(huge, 'x', sizeof(huge) - 1);
	huge[0] = '\n';
	huge[1] = (char)0xff;
	huge[sizeof(huge) - 1] = '\0';
	dir_why(out, "%s", huge);
	assert_int_equal(strlen(out), DIR_WHY_MAX - 1);
	for (p = out; *p; p++)
		assert_in_range(*p, ' ', '~');
	dir_why_tls(out, DIR_TLS_CERT, huge, "636", huge, "");
	assert_true(strlen(out) < DIR_WHY_MAX);
	dir_why_tls(out, DIR_TLS_CERT, "dc1.corp.example", "636", "/etc/idfw/tls/ca.crt", "");
	assert_non_null(strstr(out, "not signed by the CA in /etc/idfw/tls/ca.crt"));
	dir_why_tls(out, DIR_TLS_NAME, "dc1.corp.example", "636", "/ca", "dc2, dc3");
	assert_non_null(strstr(out, "does not carry that name, but dc2, dc3;"));
	dir_why_connect(out, "dc1.corp.example", "636", NULL, ECONNREFUSED);
	assert_non_null(strstr(out, "dc1.corp.example refuses connections on port 636"));
	dir_why_connect(out, "dc1.corp.example", "636", "Name or service not known", 0);
	assert_non_null(strstr(out, "Name or service not known"));
}

/* the end of a real certificate's extensions: SAN, not critical and critical, then other bytes */
static void test_cert_names(void **state)
{
	static const uint8_t san[] = { 1, 2, 3, 0x30, 0x27, 6, 3, 0x55, 0x1d, 0x11, 4, 0x20, 0x30,
		0x1e, 0x82, 3, 'd', 'c', '1', 0x82, 11, '*', '.', 'e', 'x', '.', 't', 'e', 's', 't',
		'x', 'y', 0x87, 4, 10, 77, 8, 10, 0x86, 2, 'u', 'r', 9, 9 };
	static const uint8_t critical[] = { 6, 3, 0x55, 0x1d, 0x11, 1, 1, 255, 4, 7, 0x30, 5, 0x82,
		3, 'd', 'c', '1' };
	char names[DIR_CERT_NAMES_MAX];
	size_t len;

	(void)state;
	assert_true(dir_cert_names(san, sizeof(san), "DC1", names));
	assert_string_equal(names, "dc1, *.ex.testxy, 10.77.8.10");
	assert_true(dir_cert_names(san, sizeof(san), "a.ex.testxy", names));
	assert_true(dir_cert_names(san, sizeof(san), "10.77.8.10", names));
	assert_false(dir_cert_names(san, sizeof(san), "b.a.ex.testxy", names));
	assert_false(dir_cert_names(san, sizeof(san), "ex.testxy", names));
	assert_false(dir_cert_names(san, sizeof(san), "10.77.8.11", names));
	assert_true(dir_cert_names(critical, sizeof(critical), "dc1", names));
	for (len = 0; len < sizeof(critical); len++) { /* every truncation, on the heap for ASan */
		uint8_t *copy = malloc(len + 1);

		assert_non_null(copy);
		memcpy(copy, critical, len);
		assert_false(dir_cert_names(copy, len, "dc1", names));
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cache_put_get_drop),
		cmocka_unit_test(test_cache_put_after_drop_is_not_kept),
		cmocka_unit_test(test_cache_full_forgets_all),
		cmocka_unit_test(test_why_bind_names_the_reason),
		cmocka_unit_test(test_why_is_printable_and_bounded),
		cmocka_unit_test(test_cert_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
