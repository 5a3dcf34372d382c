/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_dircalm.c - svm-idfw/dircalm.c: what was made is not yet good, what was done begins anew
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>

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

/* the parent kills at the deadline: whatever we do by ourselves is done before */
static void test_times_end_before_the_deadline(void **state)
{
	static const uint64_t deadlines[] = { 1000, 4000, 5000, 40000, 600000 };

	(void)state;
	for (size_t i = 0; i < sizeof(deadlines) / sizeof(deadlines[0]); i++) {
		uint64_t d = deadlines[i], spent = 0;

		assert_int_equal(dir_calm_request_ms(d, false), d * 2 / 5);
		assert_int_equal(dir_calm_request_ms(d, true), d * 2 / 5 > 2000 ? 2000 : d * 2 / 5);
		/* with others in vain, then alone in vain, then another one */
		spent += dir_calm_request_ms(d, false);
		assert_int_equal(dir_calm_lookup_ms(d, spent), d * 2 / 5);
		spent += dir_calm_lookup_ms(d, spent);
		assert_int_equal(dir_calm_try_ms(d, spent), d / 10);
		assert_true(spent + dir_calm_try_ms(d, spent) < d);
		assert_int_equal(dir_calm_lookup_ms(d, 2 * d), d / 5); /* never nothing */
		assert_int_equal(dir_calm_try_ms(d, 2 * d), d / 10);
	}
	assert_int_equal(dir_calm_lookup_ms(5000, 0), 4000);
	assert_int_equal(dir_calm_try_ms(5000, 2000), 2500);
}

static void test_blame(void **state)
{
	static const struct {
		struct dir_calm_failed f;
		enum dir_calm_blame want;
	} rows[] = {
		/* others were answered: no more is asked */
		{ { .err = -ETIMEDOUT, .answered = true }, DIR_CALM_LOOKUP },
		{ { .err = -ECONNRESET, .answered = true, .several = true }, DIR_CALM_LOOKUP },
		/* it breaks connections: a new one can be had, or refuses at once */
		{ { .err = -ECONNRESET }, DIR_CALM_ASK },
		{ { .err = -ECONNRESET, .several = true }, DIR_CALM_ASK },
		/* it was heard while that one was not answered */
		{ { .err = -ETIMEDOUT, .heard = true }, DIR_CALM_ASK },
		{ { .err = -ETIMEDOUT, .heard = true, .several = true }, DIR_CALM_ASK },
		/* nothing at all: it stands still */
		{ { .err = -ETIMEDOUT }, DIR_CALM_SERVER },
		{ { .err = -ETIMEDOUT, .several = true }, DIR_CALM_SERVER },
		/* nobody has asked: an only server is asked, of several another has its turn */
		{ { .err = -ETIMEDOUT, .silent = true }, DIR_CALM_ASK },
		{ { .err = -ETIMEDOUT, .silent = true, .several = true }, DIR_CALM_SERVER },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(dir_calm_blame(&rows[i].f), rows[i].want);
}

static void test_leaves_a_server_that_stands_still(void **state)
{
	(void)state;
	assert_true(dir_calm_leaves(-ETIMEDOUT, true, false));
	assert_false(dir_calm_leaves(-ETIMEDOUT, true, true));	 /* only the changes stall */
	assert_false(dir_calm_leaves(-ETIMEDOUT, false, false)); /* there is no other */
	assert_false(dir_calm_leaves(-ECONNRESET, true, false)); /* closed when idle */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_takes_connections_and_breaks_them),
		cmocka_unit_test(test_answers_no_lookup),
		cmocka_unit_test(test_times_end_before_the_deadline),
		cmocka_unit_test(test_blame),
		cmocka_unit_test(test_leaves_a_server_that_stands_still),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
