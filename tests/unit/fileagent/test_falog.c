/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_falog.c - fileagent/falog.c: level, rate, what is left out is counted, nothing is lost by a
 * full receiver. The log is one a process, so the tests follow each other.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "fileagent/falog.h"

static struct {
	size_t lines;
	uint64_t dropped;
	int level;
	bool full;
	char text[FA_LOG_LINE_MAX + 1];
} got;

static bool mux_cb(void *arg, int level, const char *text, uint64_t dropped)
{
	(void)arg;
	if (got.full)
		return false;
	got.lines++;
	got.dropped += dropped;
	got.level = level;
	memcpy(got.text, text, strlen(text) + 1);
	return true;
}

static int setup(void **state)
{
	(void)state;
	memset(&got, 0, sizeof(got));
	return 0;
}

static void test_level_decides(void **state)
{
	(void)state;
	fa_log_open("test", mux_cb, NULL);
	fa_log_set(5, FA_LOG_MUX, 10);
	fa_info("not this one");
	fa_notice("file %d", 7);
	assert_int_equal(got.lines, 0); /* not before the round is over */
	assert_false(fa_log_flush(1000));
	assert_int_equal(got.lines, 1);
	assert_int_equal(got.level, 5);
	assert_string_equal(got.text, "file 7");
	assert_true(fa_log_wants(5));
	assert_false(fa_log_wants(6));
}

static void test_full_receiver_keeps_the_line(void **state)
{
	(void)state;
	got.full = true;
	fa_notice("kept");
	assert_true(fa_log_flush(10000));
	got.full = false;
	assert_false(fa_log_flush(10001));
	assert_string_equal(got.text, "kept");
}

static void test_flood_leaves_by_the_rate_and_is_counted(void **state)
{
	uint64_t now = 100000, before = fa_log_dropped();
	size_t n = 0;

	(void)state;
	for (; n < 5000; n++)
		fa_notice("line %zu of a flood that no host's log should have to take", n);
	assert_true(fa_log_dropped() > before);
	assert_true(fa_log_flush(now));
	assert_int_equal(got.lines, 20); /* two seconds' worth at once */
	assert_true(fa_log_flush(now + 1000));
	assert_int_equal(got.lines, 30);
	while (fa_log_flush(now += 100000))
		;
	assert_int_equal(got.lines + (fa_log_dropped() - before), n);
	assert_int_equal(got.dropped, fa_log_dropped() - before); /* told, once */
	fa_notice("%0600d", 1);					  /* longer than a line: cut */
	assert_false(fa_log_flush(now + 1000));
	assert_int_equal(strlen(got.text), FA_LOG_LINE_MAX);
}

static void test_notice_overtakes_a_flood_of_debug(void **state)
{
	uint64_t now = 900000000, before = fa_log_dropped();
	bool more = true;

	(void)state;
	fa_log_set(7, FA_LOG_MUX, 10);
	for (size_t n = 0; n < 5000; n++)
		fa_debug("line %zu of a flood that no host's log should have to take", n);
	assert_true(fa_log_dropped() > before); /* no room is left for such lines */
	fa_notice("first");
	fa_err("second");
	assert_true(fa_log_flush(now));
	assert_int_equal(got.lines, 15 + 2); /* a quarter of the burst is not for debug lines */
	assert_int_equal(got.level, 3);
	assert_string_equal(got.text, "second");
	fa_warn("third");
	assert_true(fa_log_flush(now)); /* and there is some left without waiting */
	assert_string_equal(got.text, "third");
	while (more)
		more = fa_log_flush(now += 100000);
	/* who does not flood keeps his order */
	memset(&got, 0, sizeof(got));
	fa_debug("a");
	fa_notice("b");
	fa_debug("c");
	assert_false(fa_log_flush(now += 100000));
	assert_int_equal(got.lines, 3);
	assert_string_equal(got.text, "c");
	fa_notice("d");
	fa_debug("e");
	fa_notice("f");
	assert_false(fa_log_flush(now += 100000));
	assert_string_equal(got.text, "f");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_level_decides, setup),
		cmocka_unit_test_setup(test_full_receiver_keeps_the_line, setup),
		cmocka_unit_test_setup(test_flood_leaves_by_the_rate_and_is_counted, setup),
		cmocka_unit_test_setup(test_notice_overtakes_a_flood_of_debug, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
