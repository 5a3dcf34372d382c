/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_json.c - rows are valid JSON, whatever stands in them; jansson is the judge
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <jansson.h>

#include "fileagent/json.h"

static void test_row_reads_back(void **state)
{
	static const uint8_t id[3] = { 0, 0xab, 0xff };
	struct gi_buf b;
	struct fa_json j;
	json_t *o;

	(void)state;
	gi_buf_init(&b, 4096);
	fa_json_begin(&j, &b);
	fa_json_text(&j, "a", "x\"\\\n\t\x7f y");
	fa_json_text(&j, "none", NULL);
	fa_json_number(&j, "n", UINT64_MAX / 2);
	fa_json_bool(&j, "t", true);
	fa_json_hex(&j, "id", id, sizeof(id));
	fa_json_hex(&j, "no_id", id, 0);
	fa_json_end(&j);
	o = json_loadb((const char *)b.data, b.len, 0, NULL);
	assert_non_null(o);
	assert_string_equal(json_string_value(json_object_get(o, "a")), "x\"\\\n\t\x7f y");
	assert_true(json_is_null(json_object_get(o, "none")));
	assert_true(json_integer_value(json_object_get(o, "n")) == INT64_MAX);
	assert_true(json_is_true(json_object_get(o, "t")));
	assert_string_equal(json_string_value(json_object_get(o, "id")), "00abff");
	assert_true(json_is_null(json_object_get(o, "no_id")));
	json_decref(o);
	gi_buf_fini(&b);
}

static void test_any_bytes_are_valid_and_without_control_characters(void **state)
{
	uint32_t seed = 1;

	(void)state;
	for (int round = 0; round < 2000; round++) {
		unsigned char text[64];
		struct gi_buf b;
		struct fa_json j;
		json_t *o;

		for (size_t i = 0; i < sizeof(text); i++) {
			seed = seed * 1664525 + 1013904223;
			text[i] = (unsigned char)(seed >> 24);
		}
		gi_buf_init(&b, 4096);
		fa_json_begin(&j, &b);
		fa_json_bytes(&j, "path", text, sizeof(text));
		fa_json_end(&j);
		o = json_loadb((const char *)b.data, b.len, JSON_ALLOW_NUL, NULL);
		assert_non_null(o);
		json_decref(o);
		for (size_t i = 0; i < b.len; i++)
			assert_true(b.data[i] >= 0x20);
		gi_buf_fini(&b);
	}
}

static void test_too_long_is_an_error_of_the_buffer(void **state)
{
	struct gi_buf b;
	struct fa_json j;

	(void)state;
	gi_buf_init(&b, 16);
	fa_json_begin(&j, &b);
	fa_json_text(&j, "path", "much longer than that");
	fa_json_end(&j);
	assert_int_equal(gi_buf_error(&b), -GI_ELIMIT);
	gi_buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_row_reads_back),
		cmocka_unit_test(test_any_bytes_are_valid_and_without_control_characters),
		cmocka_unit_test(test_too_long_is_an_error_of_the_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
