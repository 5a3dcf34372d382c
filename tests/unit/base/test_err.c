/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_err.c - words for every code: lib/base/err.h
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <limits.h>
#include <string.h>
#include <cmocka.h>
#include "lib/base/err.h"

static void test_strerror_own_codes_all_differ(void **state)
{
	const char *seen[GI_ENOTFOUND - GI_ELIMIT + 1];

	(void)state;
	for (int e = GI_ELIMIT; e <= GI_ENOTFOUND; e++) {
		seen[e - GI_ELIMIT] = gi_strerror(-e);
		assert_string_not_equal(seen[e - GI_ELIMIT], "unknown error");
		for (int k = GI_ELIMIT; k < e; k++)
			assert_string_not_equal(seen[k - GI_ELIMIT], seen[e - GI_ELIMIT]);
	}
}

static void test_strerror_errno_is_libc_text(void **state)
{
	(void)state;
	assert_string_equal(gi_strerror(-ENOENT), "No such file or directory");
	assert_string_equal(gi_strerror(0), "success");
}

static void test_strerror_nonsense_is_unknown(void **state)
{
	static const int codes[] = { 5, -999, -1010, INT_MIN, INT_MAX };

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(codes); i++)
		assert_string_equal(gi_strerror(codes[i]), "unknown error");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_strerror_own_codes_all_differ),
		cmocka_unit_test(test_strerror_errno_is_libc_text),
		cmocka_unit_test(test_strerror_nonsense_is_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
