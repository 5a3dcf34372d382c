/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_dircache.c - svm-idfw/dircache.c: the cache of groups by SID
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "svm-idfw/dircache.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cache_put_get_drop),
		cmocka_unit_test(test_cache_put_after_drop_is_not_kept),
		cmocka_unit_test(test_cache_full_forgets_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
