/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_sid.c - svm-idfw/sid.c: SIDs as bytes and as text, both ways, and what is refused
 * Source of the examples: MS-DTYP 2.4.2.1, 2.4.2.4 (well-known SIDs).
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "svm-idfw/sid.h"

static const struct {
	const char *text;
	uint8_t bytes[SID_BYTES_MAX];
	size_t len;
} known[] = {
	{ "S-1-0-0", { 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }, 12 },
	{ "S-1-5-18", { 1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0 }, 12 },
	{ "S-1-5-32-544", { 1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0 }, 16 },
	{ "S-1-5-21-1004336348-1177238915-682003330-512",
		{ 1, 5, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, 0xdc, 0xf4, 0xdc, 0x3b, 0x83, 0x3d, 0x2b,
			0x46, 0x82, 0x8b, 0xa6, 0x28, 0, 2, 0, 0 },
		28 },
	{ "S-1-5", { 1, 0, 0, 0, 0, 0, 0, 5 }, 8 },
	{ "S-1-4294967295-4294967295", { 1, 1, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255 }, 12 },
	{ "S-1-0x00010000000A-7", { 1, 1, 0, 1, 0, 0, 0, 10, 7, 0, 0, 0 }, 12 },
};

static void test_sid_known_both_ways(void **state)
{
	char text[SID_TEXT_MAX];
	uint8_t bytes[SID_BYTES_MAX];
	size_t i, len;

	(void)state;
	for (i = 0; i < GI_ARRAY_SIZE(known); i++) {
		assert_int_equal(sid_to_text(known[i].bytes, known[i].len, text), 0);
		assert_string_equal(text, known[i].text);
		assert_int_equal(sid_from_text(known[i].text, bytes, &len), 0);
		assert_int_equal(len, known[i].len);
		assert_memory_equal(bytes, known[i].bytes, len);
	}
}

static void test_sid_longest_fits(void **state)
{
	uint8_t bytes[SID_BYTES_MAX], back[SID_BYTES_MAX];
	char text[SID_TEXT_MAX];
	size_t len;

	(void)state;
	memset(bytes, 255, sizeof(bytes));
	bytes[0] = 1;
	bytes[1] = SID_SUBS_MAX;
	assert_int_equal(sid_to_text(bytes, sizeof(bytes), text), 0);
	assert_true(strlen(text) < SID_TEXT_MAX - 1);
	assert_int_equal(sid_from_text(text, back, &len), 0);
	assert_int_equal(len, sizeof(bytes));
	assert_memory_equal(back, bytes, len);
}

static void test_sid_to_text_malformed_refused(void **state)
{
	uint8_t b[SID_BYTES_MAX + 4];
	char text[SID_TEXT_MAX];
	size_t len;

	(void)state;
	for (len = 0; len < known[3].len; len++)
		assert_int_equal(sid_to_text(known[3].bytes, len, text), -GI_EPROTO);
	assert_string_equal(text, "");
	memcpy(b, known[3].bytes, known[3].len);
	b[known[3].len] = 0;
	assert_int_equal(sid_to_text(b, known[3].len + 1, text), -GI_EPROTO);
	b[0] = 2;
	assert_int_equal(sid_to_text(b, known[3].len, text), -GI_EPROTO);
	memset(b, 0, sizeof(b));
	b[0] = 1;
	b[1] = SID_SUBS_MAX + 1;
	assert_int_equal(sid_to_text(b, sizeof(b), text), -GI_EPROTO);
}

static void test_sid_from_text_malformed_refused(void **state)
{
	static const char *const bad[] = { "", "S", "S-", "S-1", "S-1-", "S-2-5", "X-1-5", "S-1-5-",
		"S-1-5-18 ", " S-1-5-18", "S-1-5--18", "S-1-5-4294967296", "S-1-281474976710656",
		"S-1-0x", "S-1-0xg", "S-1-5-0x10", "S-1-5-18-", "S-1--5",
		"S-1-5-99999999999999999999", "S-1-5-1-2-3-4-5-6-7-8-9-10-11-12-13-14-15-16" };
	uint8_t bytes[SID_BYTES_MAX];
	size_t i, len = 77;

	(void)state;
	for (i = 0; i < GI_ARRAY_SIZE(bad); i++)
		assert_int_equal(sid_from_text(bad[i], bytes, &len), -EINVAL);
	assert_int_equal(len, 77);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sid_known_both_ways),
		cmocka_unit_test(test_sid_longest_fits),
		cmocka_unit_test(test_sid_to_text_malformed_refused),
		cmocka_unit_test(test_sid_from_text_malformed_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
