/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_frame.c - the pure frame splitter: lib/io/frame.h
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "lib/io/frame.h"

static void test_next_every_truncation_waits(void **state)
{
	uint8_t buf[IO_FRAME_HEAD + 300];
	size_t len;

	(void)state;
	memset(buf, 'x', sizeof(buf));
	io_frame_head(buf, 300);
	for (size_t n = 0; n < sizeof(buf); n++) {
		len = 99;
		assert_int_equal(io_frame_next(buf, n, 300, &len), -EAGAIN);
		assert_int_equal(len, n < IO_FRAME_HEAD ? 0 : 300);
	}
	assert_int_equal(io_frame_next(buf, sizeof(buf), 300, &len), 0);
	assert_int_equal(len, 300);
}

static void test_next_length_out_of_range_is_eproto(void **state)
{
	static const struct {
		const char *head;
		size_t max;
	} t[] = { { "\0\0\0\0", 100 }, { "\0\0\0\x65", 100 }, { "\xff\xff\xff\xff", 65536 },
		{ "\x80\0\0\1", 65536 }, { "\0\1\0\1", 65536 } };
	size_t len;

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(t); i++)
		assert_int_equal(
			io_frame_next((const uint8_t *)t[i].head, 4, t[i].max, &len), -GI_EPROTO);
	assert_int_equal(io_frame_next((const uint8_t *)"\0\0\0\x64", 4, 100, &len), -EAGAIN);
}

static void test_head_is_big_endian(void **state)
{
	uint8_t head[IO_FRAME_HEAD];

	(void)state;
	io_frame_head(head, 0x01020304);
	assert_memory_equal(head, "\1\2\3\4", 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_next_every_truncation_waits),
		cmocka_unit_test(test_next_length_out_of_range_is_eproto),
		cmocka_unit_test(test_head_is_big_endian),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
