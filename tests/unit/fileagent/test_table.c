/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_table.c - fileagent/table.c: what is remembered, what is given up, when a mark may exist
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fileagent/table.h"

static struct fa_ident ident(uint64_t ino)
{
	return (struct fa_ident){
		.dev = 8, .ino = ino, .size = 10, .mtime_ns = 1, .ctime_ns = 2, .btime_ns = 3
	};
}

static void test_find_only_the_same_content(void **state)
{
	struct fa_table *t;
	struct fa_ident a = ident(1), b;

	(void)state;
	assert_int_equal(fa_table_new(64, 5, &t), 0);
	fa_table_put(t, &a, FA_KNOWN_ALLOW);
	assert_int_equal(fa_table_find(t, &a), FA_KNOWN_ALLOW);
	for (int i = 0; i < 6; i++) {
		b = a;
		++*(uint64_t *[]){ &b.dev, &b.ino, &b.size, &b.mtime_ns, &b.ctime_ns,
			&b.btime_ns }[i];
		assert_int_equal(fa_table_find(t, &b), FA_KNOWN_NOT);
	}
	a.size++;
	fa_table_put(t, &a, FA_KNOWN_DENY); /* takes the place of what the file was */
	assert_int_equal(fa_table_find(t, &a), FA_KNOWN_DENY);
	assert_int_equal(fa_table_entries(t), 1);
	fa_table_free(t);
}

static void test_drop_says_whether_a_mark_may_exist(void **state)
{
	struct fa_table *t;
	struct fa_ident a = ident(1);

	(void)state;
	assert_int_equal(fa_table_new(8, 5, &t), 0);
	fa_table_put(t, &a, FA_KNOWN_ALLOW);
	assert_false(fa_table_drop(t, a.dev, a.ino));
	assert_int_equal(fa_table_find(t, &a), FA_KNOWN_NOT);
	fa_table_put(t, &a, FA_KNOWN_ALLOW);
	fa_table_marked(t, &a);
	fa_table_put(t, &a, FA_KNOWN_ALLOW); /* again: the mark is still there */
	assert_true(fa_table_drop(t, a.dev, a.ino));
	assert_false(fa_table_drop(t, a.dev, a.ino));
	/* a marked entry that was given up: from now on nobody knows */
	fa_table_put(t, &a, FA_KNOWN_ALLOW);
	fa_table_marked(t, &a);
	for (uint64_t ino = 2; ino < 40; ino++) {
		struct fa_ident id = ident(ino);

		fa_table_put(t, &id, FA_KNOWN_ALLOW);
	}
	assert_int_equal(fa_table_find(t, &a), FA_KNOWN_NOT);
	assert_true(fa_table_drop(t, a.dev, a.ino));
	assert_true(fa_table_drop(t, 8, 1000));
	fa_table_clear(t);
	assert_false(fa_table_drop(t, 8, 1000));
	fa_table_free(t);
}

static void test_used_entries_stay_when_a_set_is_full(void **state)
{
	struct fa_table *t;
	struct fa_ident hot = ident(1);

	(void)state;
	assert_int_equal(fa_table_new(8, 5, &t), 0);
	fa_table_put(t, &hot, FA_KNOWN_ALLOW);
	for (uint64_t ino = 2; ino < 200; ino++) {
		struct fa_ident id = ident(ino);

		fa_table_put(t, &id, FA_KNOWN_ALLOW);
		assert_int_equal(fa_table_find(t, &hot), FA_KNOWN_ALLOW);
		assert_true(fa_table_entries(t) <= 8);
	}
	fa_table_free(t);
}

static void test_clear_forgets_all(void **state)
{
	struct fa_table *t;
	size_t kept = 0;

	(void)state;
	assert_int_equal(fa_table_new(65536, 99, &t), 0);
	assert_true(fa_table_bytes(t) <= 4u << 20);
	for (uint64_t ino = 1; ino <= 65536; ino++) {
		struct fa_ident id = ident(ino);

		fa_table_put(t, &id, FA_KNOWN_ALLOW);
	}
	for (uint64_t ino = 1; ino <= 65536; ino++) {
		struct fa_ident id = ident(ino);

		kept += fa_table_find(t, &id) == FA_KNOWN_ALLOW;
	}
	assert_int_equal(kept, fa_table_entries(t));
	assert_true(kept > 65536 * 8 / 10); /* sets of eight fill unevenly */
	fa_table_clear(t);
	assert_int_equal(fa_table_entries(t), 0);
	for (uint64_t ino = 1; ino <= 65536; ino++) {
		struct fa_ident id = ident(ino);

		assert_int_equal(fa_table_find(t, &id), FA_KNOWN_NOT);
	}
	fa_table_free(t);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find_only_the_same_content),
		cmocka_unit_test(test_drop_says_whether_a_mark_may_exist),
		cmocka_unit_test(test_used_entries_stay_when_a_set_is_full),
		cmocka_unit_test(test_clear_forgets_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
