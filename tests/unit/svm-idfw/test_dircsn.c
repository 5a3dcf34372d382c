/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_dircsn.c - how far changes are known: cookies of syncrepl, contextCSN
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those first */
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "svm-idfw/dircsn.h"

#define A1 "20221122104512.000001Z#000000#001#000000"
#define A2 "20221122104512.000002Z#000000#001#000000"
#define B1 "20211122104512.000001Z#000000#00b#000000"
#define B2 "20221122104511.999999Z#000000#00b#000000"

static void cookie(char set[DIR_CSN_SET_MAX], const char *text)
{
	dir_csn_cookie(set, text, strlen(text));
}

static void test_cookie_only_moves_on(void **state)
{
	char set[DIR_CSN_SET_MAX] = "";

	(void)state;
	cookie(set, "rid=000,csn=" A1);
	assert_string_equal(set, A1 " ");
	cookie(set, "rid=000,sid=00b,csn=" B2);
	assert_string_equal(set, A1 " " B2 " ");
	cookie(set, "rid=000,csn=" B1 ";" A2); /* older than what is known; newer */
	assert_string_equal(set, A2 " " B2 " ");
	cookie(set, "csn=" A1);
	assert_string_equal(set, A2 " " B2 " ");
}

static void test_cookie_of_another_kind_says_nothing(void **state)
{
	static const char *const bad[] = { "", "rid=000", "csn=", "csn=;", "rid=000,csn=" A1 "0",
		"csn=20221122104512.000002Z#000000#001#00000", "csn= " A1,
		"ldap.example:389#cn=x#7", "csn=2022112210451x.000001Z#000000#001#000000",
		"csn=20221122104512.000001Z#000000#0g1#000000" };
	char set[DIR_CSN_SET_MAX] = A1 " ";

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cookie(set, bad[i]);
		assert_string_equal(set, A1 " ");
	}
	dir_csn_cookie(set, "csn=" A2, 4 + 39); /* cut off */
	assert_string_equal(set, A1 " ");
}

static void test_cookie_that_does_not_fit_is_told_again(void **state)
{
	char set[DIR_CSN_SET_MAX] = "", text[64];
	size_t len = 0;

	(void)state;
	for (unsigned int i = 0; i < 64; i++) {
		(void)snprintf(
			text, sizeof(text), "csn=20221122104512.000001Z#000000#%03x#000000", i);
		len = strlen(set);
		cookie(set, text);
	}
	assert_int_equal(strlen(set), len);
	assert_false(dir_csn_covers(set, text + 4));
	assert_true(len < DIR_CSN_SET_MAX);
}

static void test_covers_all_of_a_set(void **state)
{
	static const struct {
		const char *set, *csn;
		bool covers;
	} cases[] = { { A1 " ", A1, true }, { A2 " ", A1 " ", true }, { A1 " ", A2, false },
		{ A2 " " B1 " ", A1 " " B1 " ", true }, { A2 " " B1 " ", B2 " " A1 " ", false },
		{ A2 " ", B1, false }, { "", A1, false }, { A1 " ", "", false },
		{ A1 " ", "something", false } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(dir_csn_covers(cases[i].set, cases[i].csn), cases[i].covers);
}

static void test_follows_of_one_server(void **state)
{
	(void)state;
	assert_true(dir_csn_follows(A2 " ", A1 " "));
	assert_true(dir_csn_follows(A1, A1 " "));
	assert_false(dir_csn_follows(A1 " ", A2 " "));
	assert_false(dir_csn_follows(A2 " " B2 " ", A1 " "));
	assert_false(dir_csn_follows(A2 " ", A1 " " B1 " "));
	assert_false(dir_csn_follows(A2 " ", B1 " "));
	assert_false(dir_csn_follows(A2 " ", ""));
	assert_false(dir_csn_follows("", ""));
}

static void test_number_ascends_with_time(void **state)
{
	(void)state;
	assert_int_equal(dir_csn_number(""), 0);
	assert_int_equal(dir_csn_number(A1), 221122104512000001);
	assert_int_equal(dir_csn_number(B2 " " A2 " "), 221122104512000002);
	assert_int_equal(dir_csn_number("20221122104512Z#000000#00#000000"), 221122104512);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cookie_only_moves_on),
		cmocka_unit_test(test_cookie_of_another_kind_says_nothing),
		cmocka_unit_test(test_cookie_that_does_not_fit_is_told_again),
		cmocka_unit_test(test_covers_all_of_a_set),
		cmocka_unit_test(test_follows_of_one_server),
		cmocka_unit_test(test_number_ascends_with_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
