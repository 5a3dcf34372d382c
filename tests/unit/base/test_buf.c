/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_buf.c - the growing buffer: ceiling, sticky error, NUL: lib/base/buf.h
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "lib/base/buf.h"

/* AddressSanitizer's malloc() shall fail as libc's does, instead of ending the test */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

static void test_append_grows_and_ends_with_nul(void **state)
{
	struct gi_buf b;

	(void)state;
	gi_buf_init(&b, 100000);
	for (int i = 0; i < 10000; i++) {
		gi_buf_append(&b, "0123456789", 10);
		assert_int_equal(b.data[b.len], 0);
	}
	assert_int_equal(gi_buf_error(&b), 0);
	assert_int_equal(b.len, 100000);
	assert_memory_equal(b.data + 99990, "0123456789", 10);
	gi_buf_fini(&b);
	assert_null(b.data);
	assert_int_equal(b.len, 0);
}

static void test_append_over_max_fails_and_sticks(void **state)
{
	struct gi_buf b;

	(void)state;
	gi_buf_init(&b, 8);
	gi_buf_append(&b, "1234567", 7);
	gi_buf_append(&b, "89", 2);
	assert_int_equal(gi_buf_error(&b), -GI_ELIMIT);
	assert_int_equal(b.len, 7);
	gi_buf_append(&b, "8", 1);
	gi_buf_printf(&b, "8");
	assert_int_equal(b.len, 7);
	assert_int_equal(gi_buf_error(&b), -GI_ELIMIT);
	gi_buf_reset(&b);
	assert_int_equal(gi_buf_error(&b), 0);
	gi_buf_append(&b, "12345678", 8);
	assert_int_equal(gi_buf_error(&b), 0);
	assert_string_equal(gi_buf_str(&b), "12345678");
	gi_buf_fini(&b);
}

static void test_append_without_memory_is_enomem(void **state)
{
	struct gi_buf b;

	(void)state;
	gi_buf_init(&b, SIZE_MAX - 1);
	gi_buf_append(&b, "x", 1);
	/* the size is taken before the bytes are touched */
	gi_buf_append(&b, "x", SIZE_MAX / 4);
	assert_int_equal(gi_buf_error(&b), -ENOMEM);
	assert_string_equal(gi_buf_str(&b), "x");
	gi_buf_fini(&b);
}

static void test_printf_formats_behind_the_end(void **state)
{
	struct gi_buf b;

	(void)state;
	gi_buf_init(&b, 1000);
	assert_string_equal(gi_buf_str(&b), "");
	gi_buf_printf(&b, "%s", "");
	assert_int_equal(b.len, 0);
	gi_buf_printf(&b, "%d-%s", 42, "x");
	gi_buf_printf(&b, "%0600d", 7);
	assert_int_equal(b.len, 604);
	assert_memory_equal(b.data, "42-x000", 7);
	gi_buf_printf(&b, "%0600d", 7);
	assert_int_equal(gi_buf_error(&b), -GI_ELIMIT);
	assert_int_equal(b.len, 604);
	gi_buf_fini(&b);
}

static void test_extend_gives_room_up_to_max(void **state)
{
	struct gi_buf b;
	uint8_t *at;

	(void)state;
	gi_buf_init(&b, 10);
	gi_buf_append(&b, "ab", 2);
	at = gi_buf_extend(&b, 8);
	assert_non_null(at);
	memcpy(at, "01234567", 8);
	assert_string_equal(gi_buf_str(&b), "ab01234567");
	assert_int_equal(b.len, 10);
	assert_non_null(gi_buf_extend(&b, 0));
	assert_null(gi_buf_extend(&b, 1));
	assert_int_equal(gi_buf_error(&b), -GI_ELIMIT);
	gi_buf_fini(&b);
}

static void test_consume_drops_the_front(void **state)
{
	struct gi_buf b;

	(void)state;
	gi_buf_init(&b, 100);
	gi_buf_consume(&b, 0);
	gi_buf_append(&b, "abcdef", 6);
	gi_buf_consume(&b, 2);
	assert_string_equal(gi_buf_str(&b), "cdef");
	gi_buf_consume(&b, 4);
	assert_string_equal(gi_buf_str(&b), "");
	gi_buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_append_grows_and_ends_with_nul),
		cmocka_unit_test(test_append_over_max_fails_and_sticks),
		cmocka_unit_test(test_append_without_memory_is_enomem),
		cmocka_unit_test(test_printf_formats_behind_the_end),
		cmocka_unit_test(test_extend_gives_room_up_to_max),
		cmocka_unit_test(test_consume_drops_the_front),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
