/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_dirhist.c - what the histogram says is at most an eighth too high
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "svm-idfw/dirhist.h"

static void test_one_value_comes_back(void **state)
{
	(void)state;
	for (uint64_t us = 0; us < 4000000000u; us += 1 + us / 3) {
		struct dir_hist h = { 0 };
		uint64_t got;

		assert_int_equal(dir_hist_quantile(&h, 500), 0);
		dir_hist_add(&h, us);
		got = dir_hist_quantile(&h, 500);
		if (us < 1800000000u)
			assert_true(got >= us && got <= us + us / 8);
		assert_int_equal(dir_hist_quantile(&h, 990), got);
	}
}

static void test_quantiles_of_many(void **state)
{
	struct dir_hist h = { 0 };

	(void)state;
	for (uint64_t us = 1; us <= 10000; us++)
		dir_hist_add(&h, us);
	assert_in_range(dir_hist_quantile(&h, 500), 5000, 5700);
	assert_in_range(dir_hist_quantile(&h, 990), 9900, 11200);
	dir_hist_add(&h, UINT64_MAX); /* in the last bucket, not behind it */
	assert_int_equal(h.count, 10001);
	assert_true(dir_hist_quantile(&h, 1000) > 1000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_value_comes_back),
		cmocka_unit_test(test_quantiles_of_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
