/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_dircalm.c - svm-idfw/dircalm.c: what was made is not yet good, what was done begins anew
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "svm-idfw/dircalm.h"

/* the n-th pause in a row, with half more or less by chance */
static void is_pause(uint64_t ms, unsigned int n)
{
	uint64_t want = n < 6 ? 100u << n : DIR_CALM_MAX_MS;

	assert_in_range(ms, want / 2, want + want / 2);
}

static void test_takes_connections_and_breaks_them(void **state)
{
	struct dir_calm c;

	(void)state;
	dir_calm_init(&c);
	for (unsigned int i = 0; i < 20; i++) {
		assert_int_equal(dir_calm_gives_up(&c), i > DIR_CALM_SHORT_MAX);
		dir_calm_up(&c, 0);
		is_pause(dir_calm_broken(&c), i);
	}
	dir_calm_up(&c, 0);
	dir_calm_looked(&c);
	assert_false(dir_calm_gives_up(&c));
	assert_int_equal(dir_calm_broken(&c), 0); /* closed when idle: no outage */
	is_pause(dir_calm_refused(&c), 0);	  /* then it refuses */
	is_pause(dir_calm_refused(&c), 1);
	dir_calm_up(&c, 0);
	is_pause(dir_calm_broken(&c), 2); /* up, and broken again: nothing was gained */
}

static void test_answers_no_lookup(void **state)
{
	struct dir_calm c;

	(void)state;
	dir_calm_init(&c);
	assert_false(c.doubt);
	for (unsigned int i = 0; i < 20; i++) {
		dir_calm_up(&c, 7);
		dir_calm_looked(&c); /* which it does: that is no lookup */
		assert_false(c.doubt);
		is_pause(dir_calm_lost(&c, 7), i);
		assert_true(c.doubt); /* till one is answered */
		is_pause(dir_calm_refused(&c), 0);
		dir_calm_looked(&c);
		assert_true(c.doubt);
	}
	dir_calm_up(&c, 7);
	assert_int_equal(dir_calm_lost(&c, 8), 0);
	assert_true(c.doubt);
	dir_calm_up(&c, 8);
	is_pause(dir_calm_lost(&c, 8), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_takes_connections_and_breaks_them),
		cmocka_unit_test(test_answers_no_lookup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
