/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_scandata.c - fileagent/scandata.c and submitted files: content both ways, outcomes
 */
#include "tests/unit/fileagent/scan_world.h"

/* ---- content ---- */

static void test_ranges_come_in_order_and_end(void **state)
{
	(void)state;
	fake.ident[1].size = 100000;
	open_file(1);
	assert_int_equal(last(EVENT)->len, 16384);
	read_range(asked(), 16384, 100000);
	assert_int_equal(how_many(DATA), 2);
	assert_int_equal(fake.sent[1].offset, 16384);
	assert_int_equal(fake.sent[1].len, 49152);
	assert_false(fake.sent[1].eof);
	assert_int_equal(fake.sent[2].offset, 65536);
	assert_int_equal(fake.sent[2].len, 100000 - 65536);
	assert_true(fake.sent[2].eof);
	read_range(asked(), 200000, 10);
	assert_int_equal(last(DATA)->len, 0);
	assert_true(last(DATA)->eof);
	allow(asked());
}

static void test_ranges_wait_for_room(void **state)
{
	(void)state;
	fake.ident[1].size = 1u << 20;
	open_file(1);
	fake.no_room = true;
	read_range(asked(), 0, 65536);
	assert_int_equal(how_many(DATA), 0);
	fake.no_room = false;
	fa_scan_room(scan, fake.now);
	assert_int_equal(how_many(DATA), 2);
	allow(asked());
}

static void test_range_read_by_thread_and_its_error(void **state)
{
	(void)state;
	fake.ident[1].size = 1u << 20;
	open_file(1);
	fake.read_err[1] = -EAGAIN;
	read_range(asked(), 0, 1000);
	read_range(asked(), 1000, 1000);
	assert_int_equal(how_many(DATA), 0);
	fa_scan_read_done(scan, fake.now, asked(), -EIO, NULL, 0);
	assert_int_equal(last(DATA)->error, EIO);
	assert_int_equal(fake.later_off, 1000);
	fa_scan_read_done(scan, fake.now, asked(), 0, "abc", 3);
	assert_int_equal(last(DATA)->len, 3);
	assert_true(last(DATA)->eof);
	allow(asked());
}

static void test_too_many_ranges_lose_the_link(void **state)
{
	(void)state;
	fake.ident[1].size = 1u << 20;
	open_file(1);
	fake.no_room = true;
	for (int i = 0; i < FA_SCAN_RANGES_MAX; i++)
		read_range(asked(), 0, 10);
	assert_null(fake.link_failed);
	read_range(asked(), 0, 10);
	assert_non_null(fake.link_failed);
	allow(asked());
}

static void replace_begin(int fd)
{
	open_file(fd);
	new_content(asked(), 0, 1000, false);
	assert_int_equal(fake.act.op, FA_OP_TMP);
	fake.open[50] = true;
	fa_scan_action_done(scan, fake.now, fake.act.id, 0, "", NULL, 50);
	assert_int_equal(fake.later_len, 1000);
	fa_scan_write_done(scan, fake.now, asked(), 0);
	assert_int_equal(last(WROTE)->offset, 1000);
}

static void test_replace_keeps_the_opener_until_it_is_done(void **state)
{
	(void)state;
	replace_begin(1);
	new_content(asked(), 1000, 500, true);
	fa_scan_write_done(scan, fake.now, asked(), 0);
	say(asked(), REPLACE, false, false, "e1");
	assert_int_equal(fake.act.op, FA_OP_REPLACE);
	assert_int_equal(fake.act.tmp, 50);
	assert_int_equal(fake.answer[1], NOT_ANSWERED);
	fa_scan_action_done(scan, fake.now, fake.act.id, 0, "", NULL, -1);
	assert_int_equal(fake.answer[1], EAGAIN);
	assert_int_equal(last(DONE)->result, IDFW__FILE_DONE__RESULT__DONE);
	assert_false(fake.open[50]);
}

static void test_replace_that_takes_too_long_denies(void **state)
{
	(void)state;
	replace_begin(1);
	new_content(asked(), 1000, 500, true);
	fa_scan_write_done(scan, fake.now, asked(), 0);
	say(asked(), REPLACE, false, false, "e1");
	wait_ms(999);
	assert_int_equal(fake.answer[1], NOT_ANSWERED);
	wait_ms(2);
	assert_int_equal(fake.answer[1], EPERM);
	fa_scan_action_done(scan, fake.now, fake.act.id, 0, "", NULL, -1);
	assert_true(last(DONE)->denied);
}

static void test_replace_without_all_content_denies(void **state)
{
	(void)state;
	replace_begin(1);
	say(asked(), REPLACE, false, false, "e1");
	assert_int_equal(fake.answer[1], EPERM);
	assert_int_equal(last(DONE)->result, IDFW__FILE_DONE__RESULT__FAILED);
	assert_false(fake.open[50]);
}

static void test_new_content_out_of_order_loses_the_link(void **state)
{
	(void)state;
	replace_begin(1);
	new_content(asked(), 999, 10, false);
	assert_non_null(fake.link_failed);
	fa_scan_link_down(scan, fake.now);
	assert_false(fake.open[50]);
}

static void test_new_content_is_bounded_and_errors_are_told(void **state)
{
	uint64_t off = 1000;

	(void)state;
	replace_begin(1);
	for (; off - 1000 + 49152 <= WIRE_RANGE_MAX; off += 49152)
		new_content(asked(), off, 49152, false);
	assert_null(fake.link_failed);
	fa_scan_write_done(scan, fake.now, asked(), -ENOSPC);
	assert_int_equal(last(WROTE)->error, ENOSPC);
	assert_int_equal(last(WROTE)->offset, 1000);
	allow(asked());
	assert_false(fake.open[50]);
}

/* ---- submit ---- */

static void submit(int fd)
{
	fake.open[fd] = true;
	assert_int_equal(
		fa_scan_submit(scan, fd, IDFW__FILE_OP__FILE_OP_DEMAND, outcome_cb, &fake), 0);
	assert_int_equal(fake.outcomes, 0);
	wait_ms(20);
}

static void test_submit_tells_the_outcome(void **state)
{
	(void)state;
	submit(1);
	allow(asked());
	assert_int_equal(fake.outcomes, 1);
	assert_true(fake.judged);
	assert_int_equal(fake.verdict, ALLOW);
}

static void test_submit_of_bad_file_acts_then_tells(void **state)
{
	(void)state;
	submit(1);
	say(asked(), DELETE, false, false, "e1");
	assert_int_equal(fake.outcomes, 0);
	fa_scan_action_done(scan, fake.now, fake.act.id, 0, "", NULL, -1);
	assert_int_equal(fake.outcomes, 1);
	assert_int_equal(fake.verdict, DELETE);
	assert_false(last(DONE)->denied);
	assert_int_equal(last(DONE)->uid, UINT32_MAX); /* nobody did it: not root */
}

static void test_submit_without_service_fails(void **state)
{
	(void)state;
	submit(1);
	fa_scan_link_down(scan, fake.now);
	assert_int_equal(fake.outcomes, 1);
	assert_false(fake.judged);
	assert_string_equal(fake.why, "service down");
	fake.open[2] = true;
	assert_int_equal(fa_scan_submit(scan, 2, IDFW__FILE_OP__FILE_OP_RESCAN, outcome_cb, &fake),
		-ENOTCONN);
	assert_false(fake.open[2]);
}

static void test_submit_forgotten_is_not_told(void **state)
{
	(void)state;
	submit(1);
	fa_scan_forget(scan, &fake);
	allow(asked());
	assert_int_equal(fake.outcomes, 0);
}

static void test_submit_shares_with_an_opener(void **state)
{
	(void)state;
	submit(1);
	open_as(2, 1, false);
	assert_int_equal(how_many(EVENT), 1);
	allow(asked());
	assert_int_equal(fake.outcomes, 1);
	assert_int_equal(fake.answer[2], 0);
}

static void test_verdicts_for_nobody_are_ignored(void **state)
{
	(void)state;
	say(0, DELETE, false, false, "e1");
	say(99, DELETE, false, false, "e1");
	read_range(99, 0, 10);
	new_content(99, 0, 10, false);
	fa_scan_write_done(scan, fake.now, 99, 0);
	fa_scan_action_done(scan, fake.now, 99, 0, "", NULL, -1);
	assert_int_equal(fake.acts, 0);
	assert_int_equal(fake.sent_n, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(test_ranges_come_in_order_and_end),
		T(test_ranges_wait_for_room),
		T(test_range_read_by_thread_and_its_error),
		T(test_too_many_ranges_lose_the_link),
		T(test_replace_keeps_the_opener_until_it_is_done),
		T(test_replace_that_takes_too_long_denies),
		T(test_replace_without_all_content_denies),
		T(test_new_content_out_of_order_loses_the_link),
		T(test_new_content_is_bounded_and_errors_are_told),
		T(test_submit_tells_the_outcome),
		T(test_submit_of_bad_file_acts_then_tells),
		T(test_submit_without_service_fails),
		T(test_submit_forgotten_is_not_told),
		T(test_submit_shares_with_an_opener),
		T(test_verdicts_for_nobody_are_ignored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
