/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_bound.c - how many findings of a VM have records of their own
 *
 * The clock is a number here. What must hold: the bound, and that no session with a finding stays
 * without a record, as only a record isolates it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "svm-scan/bound.h"

#define NOW 5000000u

static unsigned int take(struct scan_bound *b, uint64_t per_hour, uint64_t now, unsigned int n)
{
	unsigned int yes = 0;

	while (n-- > 0) /* none of them may stand for a session: the bucket alone */
		yes += scan_bound_take(b, per_hour, now, 1, false);
	return yes;
}

static void test_take_gives_an_hours_worth_then_as_many_an_hour(void **state)
{
	struct scan_bound b = { 0 };

	(void)state;
	assert_int_equal(take(&b, 3600, NOW, 5000), 3600);
	assert_int_equal(take(&b, 3600, NOW + 999, 10), 0);
	assert_int_equal(take(&b, 3600, NOW + 1000, 10), 1);
	assert_int_equal(take(&b, 3600, NOW + 61000, 100), 60);
	assert_int_equal(take(&b, 3600, NOW + 600, 10), 0); /* the clock went back */
	assert_int_equal(take(&b, 3600, NOW + 100u * 3600000, 5000), 3600);
	assert_int_equal(take(&b, 2, NOW + 101u * 3600000, 5000), 2); /* another configuration */
	scan_bound_fini(&b);
}

static void test_take_none_is_no_bound(void **state)
{
	struct scan_bound b = { 0 };

	(void)state;
	assert_int_equal(take(&b, 0, NOW, 100000), 100000);
	assert_int_equal(scan_bound_sum(&b, NOW, true), 0);
	/* and the largest that there is */
	assert_int_equal(take(&b, 1u << 30, NOW, 100000), 100000);
	scan_bound_fini(&b);
}

static void test_take_each_session_has_a_record_a_minute(void **state)
{
	struct scan_bound b = { 0 };

	(void)state;
	assert_int_equal(take(&b, 1, NOW, 1), 1);
	for (uint64_t session = 0; session < 20; session++) { /* 0: none that is known */
		assert_true(scan_bound_take(&b, 1, NOW, session, true));
		for (int i = 0; i < 5; i++)
			assert_false(scan_bound_take(&b, 1, NOW + 1, session, true));
	}
	assert_false(scan_bound_take(&b, 1, NOW + SCAN_BOUND_MS - 1, 7, true));
	assert_true(scan_bound_take(&b, 1, NOW + SCAN_BOUND_MS, 7, true));
	assert_false(scan_bound_take(&b, 1, NOW + SCAN_BOUND_MS, 7, true));
	scan_bound_fini(&b);
}

/* its record isolates nobody: it must not be taken for the one that does */
static void test_take_changed_file_does_not_stand_for_its_session(void **state)
{
	struct scan_bound b = { 0 };

	(void)state;
	assert_int_equal(take(&b, 1, NOW, 1), 1);
	assert_false(scan_bound_take(&b, 1, NOW, 7, false));
	assert_true(scan_bound_take(&b, 1, NOW, 7, true));
	scan_bound_fini(&b);
}

static void test_take_made_up_sessions_are_bounded(void **state)
{
	struct scan_bound b = { 0 };
	unsigned int yes = 0;

	(void)state;
	assert_int_equal(take(&b, 1, NOW, 1), 1);
	for (uint64_t session = 1; session <= 10000; session++)
		yes += scan_bound_take(&b, 1, NOW, session, true);
	assert_int_equal(yes, SCAN_BOUND_SESSIONS);
	/* a minute later a new one finds room again */
	assert_true(scan_bound_take(&b, 1, NOW + SCAN_BOUND_MS, 20000, true));
	scan_bound_fini(&b);
}

/* what has no session: asked first, counted only if it became no record */
static void test_room_and_count_are_apart(void **state)
{
	struct scan_bound b = { 0 };

	(void)state;
	assert_true(scan_bound_room(&b, 2, NOW));
	assert_true(scan_bound_room(&b, 2, NOW));
	assert_false(scan_bound_room(&b, 2, NOW));
	assert_int_equal(scan_bound_sum(&b, NOW, true), 0);
	scan_bound_count(&b, NOW);
	assert_int_equal(scan_bound_sum(&b, NOW, true), 1);
	assert_true(scan_bound_room(&b, 2, NOW + 1800000));
	assert_false(scan_bound_room(&b, 2, NOW + 1800000));
	assert_true(scan_bound_room(&b, 0, NOW));
	scan_bound_fini(&b);
}

static void test_sum_is_told_once_a_minute(void **state)
{
	struct scan_bound b = { 0 };

	(void)state;
	assert_int_equal(take(&b, 1, NOW, 6), 1);
	assert_int_equal(scan_bound_sum(&b, NOW + SCAN_BOUND_MS - 1, false), 0);
	assert_int_equal(scan_bound_sum(&b, NOW + SCAN_BOUND_MS, false), 5);
	assert_int_equal(scan_bound_sum(&b, NOW + SCAN_BOUND_MS, false), 0);
	assert_int_equal(take(&b, 1, NOW + SCAN_BOUND_MS, 1), 0);
	assert_int_equal(scan_bound_sum(&b, NOW + SCAN_BOUND_MS, false), 0);
	assert_int_equal(scan_bound_sum(&b, NOW + SCAN_BOUND_MS, true), 1); /* we end */
	scan_bound_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_take_gives_an_hours_worth_then_as_many_an_hour),
		cmocka_unit_test(test_take_none_is_no_bound),
		cmocka_unit_test(test_take_each_session_has_a_record_a_minute),
		cmocka_unit_test(test_take_changed_file_does_not_stand_for_its_session),
		cmocka_unit_test(test_take_made_up_sessions_are_bounded),
		cmocka_unit_test(test_room_and_count_are_apart),
		cmocka_unit_test(test_sum_is_told_once_a_minute),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
