/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_dirmemo.c - svm-idfw/dirmemo.c: what groups are in, remembered until something changes
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "svm-idfw/dirmemo.h"

static void note_group(struct dir_memo_note *n, const char *name, const char *dn, uint8_t id)
{
	struct dir_group g = { .name = (char *)(uintptr_t)name,
		.dn = (char *)(uintptr_t)dn,
		.guid = { id },
		.has_guid = id != 0,
		.sid = { 1, 1, id },
		.sid_len = id ? 12 : 0 };

	dir_memo_note_group(n, &g);
}

static void test_memo_gives_back_what_was_noted(void **state)
{
	struct dir_memo_note in, out;
	struct dir_memo *m;
	struct dir_group g;
	const char *points;
	uint64_t epoch;
	size_t at = 0, n;

	(void)state;
	assert_int_equal(dir_memo_new(4096, &m), 0);
	dir_memo_note_init(&in);
	dir_memo_note_init(&out);
	assert_false(dir_memo_get(m, "eng", 3, &out, &epoch));
	note_group(&in, "staff", "cn=staff", 7);
	dir_memo_note_point(&in, "cn=all", 6);
	dir_memo_note_point(&in, "cn=everybody", 12);
	note_group(&in, "", "cn=bare", 0);
	dir_memo_put(m, "eng", 3, &in, epoch);
	assert_false(dir_memo_get(m, "en", 2, &out, &epoch));
	assert_true(dir_memo_get(m, "eng", 3, &out, &epoch));
	assert_true(dir_memo_next(&out, &at, &g, &points, &n));
	assert_string_equal(g.name, "staff");
	assert_string_equal(g.dn, "cn=staff");
	assert_true(g.has_guid);
	assert_int_equal(g.guid[0], 7);
	assert_int_equal(g.sid_len, 12);
	assert_int_equal(g.sid[2], 7);
	assert_int_equal(n, 2);
	assert_string_equal(points, "cn=all");
	assert_string_equal(points + 7, "cn=everybody");
	assert_true(dir_memo_next(&out, &at, &g, &points, &n));
	assert_string_equal(g.name, "");
	assert_string_equal(g.dn, "cn=bare");
	assert_false(g.has_guid);
	assert_int_equal(g.sid_len, 0);
	assert_int_equal(n, 0);
	assert_false(dir_memo_next(&out, &at, &g, &points, &n));
	/* that a group is in none is worth as much */
	gi_buf_reset(&in.bytes);
	dir_memo_put(m, "top", 3, &in, epoch);
	assert_true(dir_memo_get(m, "top", 3, &out, &epoch));
	at = 0;
	assert_false(dir_memo_next(&out, &at, &g, &points, &n));
	dir_memo_note_fini(&in);
	dir_memo_note_fini(&out);
	dir_memo_free(m);
	dir_memo_free(NULL);
}

/* asked for by one thread, changed and seen so by another, before the answer came */
static void test_memo_put_after_clear_is_not_kept(void **state)
{
	struct dir_memo_note in, out;
	struct dir_memo *m;
	uint64_t before, after;

	(void)state;
	assert_int_equal(dir_memo_new(4096, &m), 0);
	dir_memo_note_init(&in);
	dir_memo_note_init(&out);
	note_group(&in, "staff", "cn=staff", 7);
	assert_false(dir_memo_get(m, "a", 1, &out, &before));
	dir_memo_put(m, "a", 1, &in, before);
	dir_memo_clear(m);
	assert_int_equal(dir_memo_bytes(m), 0);
	assert_false(dir_memo_get(m, "a", 1, &out, &after));
	dir_memo_put(m, "a", 1, &in, before);
	assert_false(dir_memo_get(m, "a", 1, &out, &after));
	dir_memo_put(m, "a", 1, &in, after);
	assert_true(dir_memo_get(m, "a", 1, &out, &after));
	dir_memo_note_fini(&in);
	dir_memo_note_fini(&out);
	dir_memo_free(m);
}

static void test_memo_full_forgets_all(void **state)
{
	struct dir_memo_note in, out;
	struct dir_memo *m;
	char key[16], *big;
	uint64_t epoch;
	int i;

	(void)state;
	assert_int_equal(dir_memo_new(4096, &m), 0);
	dir_memo_note_init(&in);
	dir_memo_note_init(&out);
	note_group(&in, "staff", "cn=staff", 7);
	for (i = 0; i < 1000; i++) {
		(void)snprintf(key, sizeof(key), "%d", i);
		assert_false(dir_memo_get(m, key, strlen(key), &out, &epoch));
		dir_memo_put(m, key, strlen(key), &in, epoch);
		assert_in_range(dir_memo_bytes(m), 1, 4096);
		assert_true(dir_memo_get(m, key, strlen(key), &out, &epoch));
	}
	assert_false(dir_memo_get(m, "1", 1, &out, &epoch));
	/* what is too large by itself is not kept, nor does it drive out the others */
	big = test_calloc(1, 5000);
	memset(big, 'x', 4999);
	note_group(&in, "huge", big, 8);
	dir_memo_put(m, "huge", 4, &in, epoch);
	assert_false(dir_memo_get(m, "huge", 4, &out, &epoch));
	assert_true(dir_memo_get(m, "999", 3, &out, &epoch));
	for (i = 0; i < 100; i++)
		note_group(&in, "huge", big, 8);
	assert_int_equal(gi_buf_error(&in.bytes), -GI_ELIMIT);
	dir_memo_put(m, "huge", 4, &in, epoch);
	dir_memo_note_point(&in, "cn=x", 4);
	assert_false(dir_memo_get(m, "huge", 4, &out, &epoch));
	test_free(big);
	dir_memo_note_fini(&in);
	dir_memo_note_fini(&out);
	dir_memo_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memo_gives_back_what_was_noted),
		cmocka_unit_test(test_memo_put_after_clear_is_not_kept),
		cmocka_unit_test(test_memo_full_forgets_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
