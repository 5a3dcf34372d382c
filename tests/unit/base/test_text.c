/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_text.c - checked conversions: lib/base/text.h
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "lib/base/text.h"

static void test_u64_whole_decimal_text(void **state)
{
	static const struct {
		const char *text;
		uint64_t min, max, want;
		int err;
	} t[] = {
		{ "0", 0, 10, 0, 0 },
		{ "0010", 0, 10, 10, 0 },
		{ "18446744073709551615", 0, UINT64_MAX, UINT64_MAX, 0 },
		{ "18446744073709551616", 0, UINT64_MAX, 0, -ERANGE },
		{ "99999999999999999999999999", 0, UINT64_MAX, 0, -ERANGE },
		{ "11", 0, 10, 0, -ERANGE },
		{ "4", 5, 10, 0, -ERANGE },
		{ "", 0, 10, 0, -EINVAL },
		{ "+1", 0, 10, 0, -EINVAL },
		{ "-1", 0, 10, 0, -EINVAL },
		{ " 1", 0, 10, 0, -EINVAL },
		{ "1 ", 0, 10, 0, -EINVAL },
		{ "0x1", 0, 10, 0, -EINVAL },
		{ "99999999999999999999999999x", 0, 10, 0, -EINVAL },
	};

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(t); i++) {
		uint64_t v = 0;

		assert_int_equal(gi_text_u64(t[i].text, t[i].min, t[i].max, &v), t[i].err);
		assert_true(v == t[i].want);
	}
}

static void test_copy_fits_or_is_empty(void **state)
{
	char dst[4] = "zzz";

	(void)state;
	assert_int_equal(gi_text_copy(dst, sizeof(dst), "abc"), 0);
	assert_string_equal(dst, "abc");
	assert_int_equal(gi_text_copy(dst, sizeof(dst), "abcd"), -GI_ELIMIT);
	assert_string_equal(dst, "");
	assert_int_equal(gi_text_copy(dst, 0, ""), -GI_ELIMIT);
	assert_int_equal(gi_text_copy(dst, 1, ""), 0);
}

static void test_is_name_alphabet_and_length(void **state)
{
	static const char *const good[] = { "a", "_", "web-01", "Z9_-", "abcde" };
	static const char *const bad[] = { "", "9a", "-a", "a b", "a.b", "a\n", "\xc3\xa4",
		"a\xc3\xa4" };

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(good); i++)
		assert_true(gi_text_is_name(good[i], 6));
	for (size_t i = 0; i < GI_ARRAY_SIZE(bad); i++)
		assert_false(gi_text_is_name(bad[i], 6));
	assert_true(gi_text_is_name("abc", 3));
	assert_false(gi_text_is_name("abcd", 3));
}

static void test_utf8_shortest_form_only(void **state)
{
	static const struct {
		const char *text;
		size_t len, n;
		uint32_t cp;
	} t[] = {
		{ "a", 1, 1, 'a' },
		{ "", 1, 1, 0 },
		{ "", 0, 0, 0 },
		{ "\xc3\xa4", 2, 2, 0xe4 },
		{ "\xe2\x82\xac", 3, 3, 0x20ac },
		{ "\xf0\x9f\x90\xa7", 4, 4, 0x1f427 },
		{ "\xf4\x8f\xbf\xbf", 4, 4, 0x10ffff },
		{ "\xf4\x90\x80\x80", 4, 0, 0 }, /* over U+10FFFF */
		{ "\xc0\x80", 2, 0, 0 },	 /* overlong */
		{ "\xc1\xbf", 2, 0, 0 },
		{ "\xe0\x9f\xbf", 3, 0, 0 },
		{ "\xf0\x8f\xbf\xbf", 4, 0, 0 },
		{ "\xed\xa0\x80", 3, 0, 0 }, /* surrogate */
		{ "\x80", 1, 0, 0 },
		{ "\xff", 1, 0, 0 },
		{ "\xc3", 1, 0, 0 }, /* cut off */
		{ "\xe2\x82", 2, 0, 0 },
		{ "\xc3"
		  "a",
			2, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(t); i++) {
		uint32_t cp = 0;

		assert_int_equal(gi_text_utf8(t[i].text, t[i].len, &cp), t[i].n);
		assert_int_equal(cp, t[i].cp);
	}
}

static void test_is_clean_refuses_controls_and_bad_utf8(void **state)
{
	static const char *const bad[] = { "a\n", "\t", "\x1b[2J", "\x7f", "\xc2\x85", "\xff",
		"a\xc3" };

	(void)state;
	assert_true(gi_text_is_clean("", 0));
	assert_true(gi_text_is_clean("J\xc3\xbcrgen O'Neil, \xe2\x82\xac", 100));
	for (size_t i = 0; i < GI_ARRAY_SIZE(bad); i++)
		assert_false(gi_text_is_clean(bad[i], 100));
	assert_true(gi_text_is_clean("abc", 3));
	assert_false(gi_text_is_clean("abcd", 3));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_u64_whole_decimal_text),
		cmocka_unit_test(test_copy_fits_or_is_empty),
		cmocka_unit_test(test_is_name_alphabet_and_length),
		cmocka_unit_test(test_utf8_shortest_form_only),
		cmocka_unit_test(test_is_clean_refuses_controls_and_bad_utf8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
