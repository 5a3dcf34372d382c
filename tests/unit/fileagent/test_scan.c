/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_scan.c - fileagent/scan*.c: every way from an event to an answer
 */
#include "tests/unit/fileagent/scan_world.h"

/* ---- allow ---- */

static void test_open_allowed_is_remembered(void **state)
{
	(void)state;
	open_file(1);
	assert_int_equal(fake.answer[1], NOT_ANSWERED);
	assert_int_equal(last(EVENT)->len, 100);
	assert_int_equal(last(EVENT)->deadline, 1000);
	allow(asked());
	assert_int_equal(fake.answer[1], 0);
	assert_false(fake.open[1]);
	assert_int_equal(fake.marks, 1);
	assert_int_equal(fa_table_find(table, &fake.ident[1]), FA_KNOWN_ALLOW);
	assert_null(last(DONE)); /* a plain allow needs no word */
	assert_int_equal(fa_scan_files(scan), 0);
}

static void test_open_allowed_once_or_of_another_epoch_is_forgotten(void **state)
{
	(void)state;
	open_file(1);
	say(asked(), ALLOW, false, false, "e1");
	open_file(2);
	say(asked(), ALLOW, true, false, "e0");
	assert_int_equal(fake.answer[1], 0);
	assert_int_equal(fake.answer[2], 0);
	assert_int_equal(fake.marks, 0);
	assert_int_equal(fa_table_entries(table), 0);
}

static void test_openers_of_one_file_share_one_scan(void **state)
{
	(void)state;
	open_file(1);
	open_as(2, 1, false);
	open_as(3, 1, true);
	assert_int_equal(how_many(EVENT), 1);
	assert_int_equal(count.answered_shared, 2);
	allow(asked());
	for (int fd = 1; fd <= 3; fd++)
		assert_int_equal(fake.answer[fd], 0);
	assert_int_equal(fake.marks, 1);
}

static void test_credits_bound_what_is_asked_and_keep_order(void **state)
{
	(void)state;
	settings(2, "e1");
	for (int fd = 1; fd <= 5; fd++)
		open_file(fd);
	assert_int_equal(how_many(EVENT), 2);
	allow(1);
	assert_int_equal(fake.answer[1], 0);
	assert_int_equal(how_many(EVENT), 3);
	allow(3);
	assert_int_equal(fake.answer[3], 0); /* the third that came */
	allow(2);
	allow(4);
	allow(5);
	assert_int_equal(fake.answer[5], 0);
}

static void test_openers_go_before_files_that_nobody_waits_for(void **state)
{
	(void)state;
	settings(1, "e1");
	written(1, 1);
	written(2, 2);
	open_file(3);
	allow(1); /* of the first close */
	assert_int_equal(how_many(EVENT), 2);
	allow(2);
	assert_int_equal(fake.answer[3], 0);
	open_as(4, 2, false); /* who opens what waits in the second queue brings it forward */
	allow(3);
	assert_int_equal(fake.answer[4], 0);
}

static void test_slow_head_is_read_by_a_thread(void **state)
{
	(void)state;
	fake.read_err[1] = -EAGAIN;
	open_file(1);
	assert_null(last(EVENT));
	assert_int_equal(fake.later_len, 100);
	fa_scan_read_done(scan, fake.now, fake.later_id, 0, "abc", 3);
	assert_int_equal(last(EVENT)->len, 3);
	allow(asked());
	assert_int_equal(fake.answer[1], 0);
	fa_scan_read_done(scan, fake.now, fake.later_id, 0, "abc", 3); /* late: nobody's */
}

/* ---- no ---- */

static void test_deny_answers_and_tells(void **state)
{
	(void)state;
	open_file(1);
	say(asked(), DENY, true, false, "e1");
	assert_int_equal(fake.answer[1], EPERM);
	assert_int_equal(last(DONE)->result, IDFW__FILE_DONE__RESULT__DONE);
	assert_true(last(DONE)->denied);
	assert_int_equal(fake.marks, 0);
	/* it is asked about again: each denial is told */
	open_file(2);
	assert_int_equal(fake.answer[2], NOT_ANSWERED);
}

/* the opener while he is held; of what was written, the writer, whoever waits for it by then */
static void test_session_that_did_it_is_told(void **state)
{
	(void)state;
	open_file(1);
	say(asked(), DENY, true, false, "e1");
	assert_int_equal(last(DONE)->session, 101);
	written(2, 2);
	open_as(3, 2, false);
	say(asked(), QUARANTINE, false, false, "e1");
	assert_int_equal(fake.answer[3], EPERM);
	assert_int_equal(fake.act_session, 102);
	fa_scan_action_done(scan, fake.now, fake.act.id, 0, "", NULL, -1);
	assert_int_equal(last(DONE)->session, 102);
}

static void test_known_bad_is_denied_without_a_service(void **state)
{
	(void)state;
	open_file(1);
	say(asked(), DENY, true, false, "e1");
	fa_scan_link_down(scan, fake.now);
	open_as(2, 1, false);
	assert_int_equal(fake.answer[2], EPERM);
	assert_int_equal(count.denied_cache, 1);
	open_file(3);
	assert_int_equal(fake.answer[3], 0);
}

static void test_delete_denies_first_then_acts(void **state)
{
	(void)state;
	open_file(1);
	open_as(2, 1, false);
	say(asked(), DELETE, false, false, "e1");
	assert_int_equal(fake.answer[1], EPERM);
	assert_int_equal(fake.answer[2], EPERM);
	assert_int_equal(fake.act.op, FA_OP_DELETE);
	assert_int_equal(fake.act.fd, 1);
	assert_true(fake.open[1]); /* the supervisor needs it */
	assert_string_equal(fake.act_path, "/f1");
	assert_null(last(DONE));
	open_as(3, 1, false); /* while it is being deleted: known, whatever becomes of that */
	assert_int_equal(fake.answer[3], EPERM);
	fa_scan_action_done(scan, fake.now, fake.act.id, 0, "", NULL, -1);
	assert_int_equal(last(DONE)->result, IDFW__FILE_DONE__RESULT__DONE);
	assert_int_equal(fa_scan_files(scan), 0);
}

static void test_quarantine_that_fails_is_told(void **state)
{
	(void)state;
	written(1, 1);
	say(asked(), QUARANTINE, false, false, "e1");
	assert_int_equal(fake.act.op, FA_OP_QUARANTINE);
	assert_int_equal(fake.actors, 1); /* when it was closed, not later */
	fa_scan_action_done(scan, fake.now, fake.act.id, -ENOSPC, "full", NULL, -1);
	assert_int_equal(last(DONE)->result, IDFW__FILE_DONE__RESULT__FAILED);
	assert_int_equal(count.actions_failed, 1);
}

/* the verdict is known: neither a slow supervisor nor a lost service opens the file */
static void test_infected_is_denied_while_its_action_waits(void **state)
{
	(void)state;
	written(1, 1);
	say(asked(), QUARANTINE, true, false, "e1");
	wait_ms(40000);
	open_as(2, 1, false);
	assert_int_equal(fake.answer[2], EPERM);
	fa_scan_link_down(scan, fake.now);
	open_as(3, 1, false);
	assert_int_equal(fake.answer[3], EPERM);
	fa_scan_action_done(scan, fake.now, fake.act.id, -ENOSPC, "full", NULL, -1);
	open_as(4, 1, false); /* it is still there, and nobody to ask */
	assert_int_equal(fake.answer[4], EPERM);
	assert_int_equal(count.denied_cache, 1);
}

static void test_action_on_changed_file_is_scanned_again(void **state)
{
	(void)state;
	open_file(1);
	say(asked(), DELETE, false, false, "e1");
	fake.ident[1].mtime_ns++;
	fa_scan_action_done(scan, fake.now, fake.act.id, -ESTALE, "changed", NULL, -1);
	assert_int_equal(last(DONE)->result, IDFW__FILE_DONE__RESULT__CHANGED);
	assert_int_equal(how_many(EVENT), 2);
	allow(asked());
	assert_int_equal(fa_scan_files(scan), 0);
}

static void test_action_without_supervisor_is_told(void **state)
{
	(void)state;
	fake.act_err = -GI_EFULL;
	open_file(1);
	say(asked(), DELETE, false, false, "e1");
	assert_int_equal(fake.answer[1], EPERM);
	assert_int_equal(last(DONE)->result, IDFW__FILE_DONE__RESULT__FAILED);
}

/* ---- changed meanwhile ---- */

static void test_changed_during_scan_is_scanned_again(void **state)
{
	(void)state;
	open_file(1);
	fake.ident[1].ctime_ns++;
	allow(asked());
	assert_int_equal(fake.answer[1], NOT_ANSWERED);
	assert_int_equal(how_many(EVENT), 2);
	assert_int_equal(count.changed_during_scan, 1);
	allow(1); /* an answer to the first question is worth nothing now */
	assert_int_equal(fake.answer[1], NOT_ANSWERED);
	allow(2);
	assert_int_equal(fake.answer[1], 0);
	assert_int_equal(fake.marks, 1);
}

static void test_file_that_never_rests_is_not_remembered(void **state)
{
	(void)state;
	open_file(1);
	for (uint64_t id = 1; id <= FA_SCAN_ROUNDS + 1; id++) {
		assert_int_equal(fake.answer[1], NOT_ANSWERED);
		fake.ident[1].mtime_ns++;
		allow(id);
	}
	assert_int_equal(fake.answer[1], 0);
	assert_int_equal(fake.marks, 0);
	assert_int_equal(fa_table_entries(table), 0);
}

static void test_bad_verdict_on_changed_file_is_told_as_changed(void **state)
{
	(void)state;
	open_file(1);
	fake.ident[1].size++;
	say(asked(), DELETE, false, false, "e1");
	assert_int_equal(fake.acts, 0);
	assert_int_equal(last(DONE)->result, IDFW__FILE_DONE__RESULT__CHANGED);
	say(asked(), DELETE, false, false, "e1");
	assert_int_equal(fake.acts, 1);
	fa_scan_action_done(scan, fake.now, fake.act.id, 0, "", NULL, -1);
}

/* ---- writers ---- */

static void test_writer_that_never_stops_costs_one_scan_at_a_time(void **state)
{
	(void)state;
	written(1, 1);
	for (int fd = 2; fd <= 20; fd++)
		written(fd, 1);
	assert_int_equal(how_many(EVENT), 1);
	allow(asked());
	assert_int_equal(how_many(EVENT), 2); /* what was written since: once */
	allow(asked());
	assert_int_equal(how_many(EVENT), 2);
	assert_int_equal(fa_scan_files(scan), 0);
}

static void test_written_while_opener_waits_is_looked_at_after(void **state)
{
	(void)state;
	open_file(1);
	written(2, 1);
	allow(asked());
	assert_int_equal(fake.answer[1], 0);
	assert_int_equal(how_many(EVENT), 2);
	allow(asked());
}

/* a store through a mapping need not show in its times: only its close is seen */
static void test_closed_while_it_is_looked_at_is_not_remembered(void **state)
{
	(void)state;
	open_file(1);
	written(2, 1);
	allow(asked());
	assert_int_equal(fake.answer[1], 0);
	assert_int_equal(fake.marks, 0);
	assert_int_equal(fa_table_find(table, &fake.ident[1]), FA_KNOWN_NOT);
	allow(asked());
	assert_int_equal(fa_table_find(table, &fake.ident[1]), FA_KNOWN_ALLOW);
}

/* its writer, who has it open, may write once more in the same tick: it would look the same */
static void test_read_in_the_tick_of_its_change_is_not_remembered(void **state)
{
	uint64_t at;
	int fd = 10;

	(void)state;
	fake.ident[1].ctime_ns = io_clock_real_ms() * 1000000;
	open_file(1);
	allow(asked());
	assert_int_equal(fake.marks, 1);
	fa_scan_fine_times(scan, false);
	do { /* until the machine lets us be so quick */
		assert_true(++fd < FDS);
		at = io_clock_real_ms();
		fake.ident[fd].ctime_ns = at * 1000000;
		fake.marks = 0;
		open_file(fd);
		allow(asked());
	} while (io_clock_real_ms() - at >= 10);
	assert_int_equal(fake.answer[fd], 0);
	assert_int_equal(fake.marks, 0);
	assert_int_equal(fa_table_find(table, &fake.ident[fd]), FA_KNOWN_NOT);
	fake.ident[3].ctime_ns = (io_clock_real_ms() - 1000) * 1000000;
	open_file(3);
	allow(asked());
	assert_int_equal(fake.marks, 1);
	fake.ident[4].ctime_ns = (io_clock_real_ms() + 3600000) * 1000000;
	open_file(4);
	allow(asked());
	assert_int_equal(fake.marks, 2);
}

/* ---- no verdict ---- */

static void test_deadline_lets_through_and_looks_later(void **state)
{
	(void)state;
	open_file(1);
	fake.now += 500;
	open_file(2);
	allow(asked()); /* the service lives */
	fake.now += 499;
	fa_scan_tick(scan, fake.now);
	assert_int_equal(fake.answer[1], NOT_ANSWERED);
	wait_ms(1);
	assert_int_equal(fake.answer[1], 0);
	assert_int_equal(last(CANCEL)->id, 1);
	assert_int_equal(fake.later, 1);
	assert_int_equal(fake.reports, 1);
	assert_int_equal(fake.reason, FA_R_DEADLINE);
	assert_int_equal(count.passed_deadline, 1);
	assert_false(fa_scan_breaker_open(scan));
	allow(1); /* too late */
	assert_int_equal(fake.marks, 1);
}

static void test_deadline_denies_where_strict(void **state)
{
	(void)state;
	open_strict(1);
	wait_ms(1000);
	assert_int_equal(fake.answer[1], EBUSY);
	assert_int_equal(fake.later, 0);
	assert_true(fake.report_denied);
	assert_int_equal(count.denied_deadline, 1);
}

static void test_written_file_whose_opener_is_denied_is_looked_at_later(void **state)
{
	(void)state;
	written(1, 1);
	open_as(2, 1, true);
	wait_ms(1000);
	assert_int_equal(fake.answer[2], EBUSY);
	assert_int_equal(fake.later, 1);
	assert_int_equal(count.written_unscanned, 0); /* it is among the denied */
}

static void test_deadline_grows_with_size_up_to_its_cap(void **state)
{
	(void)state;
	assert_int_equal(fa_scan_allowance_ms(scan, 0), 1000);
	assert_int_equal(fa_scan_allowance_ms(scan, 20000000), 2000);
	assert_int_equal(fa_scan_allowance_ms(scan, 10000000), 1500);
	assert_int_equal(fa_scan_allowance_ms(scan, UINT64_MAX), 30000);
}

static void test_silent_service_costs_one_deadline(void **state)
{
	(void)state;
	open_file(1);
	fake.now += 900;
	open_strict(2);
	wait_ms(100);
	/* the first one's time is over: nobody else waits for his */
	assert_int_equal(fake.answer[1], 0);
	assert_int_equal(fake.answer[2], EBUSY);
	assert_true(fa_scan_breaker_open(scan));
	assert_int_equal(count.breaker_opened, 1);
	/* the next is decided at once, and is the question whether somebody is there */
	open_file(3);
	assert_int_equal(fake.answer[3], 0);
	assert_true(fake.open[3]);
	assert_int_equal(asked(), 3);
	open_file(4); /* one question is enough */
	assert_int_equal(fake.answer[4], 0);
	assert_false(fake.open[4]);
	assert_int_equal(asked(), 3);
	allow(3);
	assert_false(fa_scan_breaker_open(scan));
	assert_false(fake.open[3]);
	open_file(5);
	assert_int_equal(fake.answer[5], NOT_ANSWERED);
	allow(asked());
}

static void test_probe_is_repeated_not_hammered(void **state)
{
	(void)state;
	open_file(1);
	wait_ms(1000);
	open_file(2);
	assert_int_equal(how_many(EVENT), 2);
	wait_ms(30000); /* nobody answered the probe either */
	assert_false(fake.open[2]);
	open_file(3);
	open_file(4);
	assert_int_equal(how_many(EVENT), 3);
	assert_int_equal(count.breaker_opened, 1);
}

static void test_service_down_lenient_passes_strict_waits_a_moment(void **state)
{
	(void)state;
	fa_scan_link_down(scan, fake.now);
	open_file(1);
	assert_int_equal(fake.answer[1], 0);
	assert_int_equal(count.passed_service_down, 1);
	assert_int_equal(fake.later, 1);
	fake.now += 600;
	open_strict(2);
	assert_int_equal(fake.answer[2], NOT_ANSWERED);
	wait_ms(400);
	assert_int_equal(fake.answer[2], EBUSY);
	open_strict(3);
	assert_int_equal(fake.answer[3], EBUSY); /* at once, from now on */
	assert_int_equal(count.denied_service_down, 2);
}

static void test_link_lost_with_openers_is_asked_again(void **state)
{
	(void)state;
	open_file(1);
	open_strict(2);
	fa_scan_link_down(scan, fake.now);
	assert_int_equal(fake.answer[1], NOT_ANSWERED);
	fake.now += 300;
	settings(64, "e1");
	assert_int_equal(how_many(EVENT), 4);
	allow(3);
	allow(4);
	assert_int_equal(fake.answer[1], 0);
	assert_int_equal(fake.answer[2], 0);
	assert_int_equal(fake.flushes, 0); /* the same epoch */
}

static void test_link_lost_does_not_hold_beyond_the_base_deadline(void **state)
{
	(void)state;
	fake.ident[1].size = 200000000; /* 11 s */
	open_file(1);
	assert_int_equal(last(EVENT)->deadline, 11000);
	fa_scan_link_down(scan, fake.now);
	wait_ms(1000);
	assert_int_equal(fake.answer[1], 0);
}

static void test_written_while_service_is_down_is_looked_at_later(void **state)
{
	(void)state;
	written(2, 2);
	fa_scan_link_down(scan, fake.now);
	assert_int_equal(fake.later, 1);
	written(3, 3);
	assert_int_equal(fake.later, 2);
	assert_int_equal(fa_scan_files(scan), 0);
}

static void test_too_large_is_not_asked(void **state)
{
	(void)state;
	fake.ident[1].size = (1u << 30) + 1;
	open_file(1);
	assert_int_equal(fake.answer[1], 0);
	assert_null(last(EVENT));
	assert_int_equal(fake.reason, FA_R_TOO_LARGE);
	assert_int_equal(fake.later, 0); /* it would be as large then */
	fake.ident[2].size = (1u << 30) + 1;
	open_strict(2);
	assert_int_equal(fake.answer[2], EBUSY);
	assert_int_equal(count.denied_too_large, 1);
}

static void test_failed_scan_and_quota_are_the_policys(void **state)
{
	(void)state;
	open_file(1);
	say(asked(), ALLOW, true, true, "e1");
	assert_int_equal(fake.answer[1], 0);
	assert_int_equal(count.passed_scan_failed, 1);
	open_strict(2);
	say(asked(), ALLOW, true, true, "e1");
	assert_int_equal(fake.answer[2], EBUSY);
	assert_int_equal(fake.marks, 0);
	assert_int_equal(fa_table_entries(table), 0);
}

static void test_unreadable_is_the_policys(void **state)
{
	(void)state;
	fake.read_err[1] = -EIO;
	open_file(1);
	assert_int_equal(fake.answer[1], 0);
	assert_int_equal(count.passed_unreadable, 1);
	fake.read_err[2] = -EAGAIN;
	open_strict(2);
	fa_scan_read_done(scan, fake.now, fake.later_id, -EIO, NULL, 0);
	assert_int_equal(fake.answer[2], EBUSY);
}

static void test_full_link_is_service_down(void **state)
{
	(void)state;
	fake.link_full = true;
	open_file(1);
	assert_int_equal(fake.answer[1], 0);
	assert_int_equal(count.passed_service_down, 1);
	fake.link_full = false;
	open_file(2);
	allow(asked());
}

static void test_end_answers_everybody(void **state)
{
	(void)state;
	open_file(1);
	open_strict(2);
	open_file(3);
	say(asked(), DELETE, false, false, "e1");
	open_as(4, 3, false);
	written(5, 5);
	fa_scan_free(scan, fake.now);
	scan = NULL;
	assert_int_equal(fake.answer[1], 0);
	assert_int_equal(fake.answer[2], EBUSY);
	assert_int_equal(fake.answer[4], EPERM); /* known to be bad */
}

/* ---- epoch ---- */

static void test_new_epoch_forgets_everything(void **state)
{
	(void)state;
	open_file(1);
	allow(asked());
	open_file(2);
	settings(64, "e2");
	assert_int_equal(fake.flushes, 1);
	assert_int_equal(fa_table_entries(table), 0);
	say(asked(), ALLOW, true, false, "e1"); /* made by the old engines */
	assert_int_equal(fake.answer[2], 0);
	assert_int_equal(fa_table_entries(table), 0);
	settings(64, "e2");
	assert_int_equal(fake.flushes, 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(test_open_allowed_is_remembered),
		T(test_open_allowed_once_or_of_another_epoch_is_forgotten),
		T(test_openers_of_one_file_share_one_scan),
		T(test_credits_bound_what_is_asked_and_keep_order),
		T(test_openers_go_before_files_that_nobody_waits_for),
		T(test_slow_head_is_read_by_a_thread),
		T(test_deny_answers_and_tells),
		T(test_session_that_did_it_is_told),
		T(test_known_bad_is_denied_without_a_service),
		T(test_delete_denies_first_then_acts),
		T(test_quarantine_that_fails_is_told),
		T(test_infected_is_denied_while_its_action_waits),
		T(test_action_on_changed_file_is_scanned_again),
		T(test_action_without_supervisor_is_told),
		T(test_changed_during_scan_is_scanned_again),
		T(test_file_that_never_rests_is_not_remembered),
		T(test_bad_verdict_on_changed_file_is_told_as_changed),
		T(test_writer_that_never_stops_costs_one_scan_at_a_time),
		T(test_written_while_opener_waits_is_looked_at_after),
		T(test_closed_while_it_is_looked_at_is_not_remembered),
		T(test_read_in_the_tick_of_its_change_is_not_remembered),
		T(test_deadline_lets_through_and_looks_later),
		T(test_written_file_whose_opener_is_denied_is_looked_at_later),
		T(test_deadline_denies_where_strict),
		T(test_deadline_grows_with_size_up_to_its_cap),
		T(test_silent_service_costs_one_deadline),
		T(test_probe_is_repeated_not_hammered),
		T(test_service_down_lenient_passes_strict_waits_a_moment),
		T(test_link_lost_with_openers_is_asked_again),
		T(test_link_lost_does_not_hold_beyond_the_base_deadline),
		T(test_written_while_service_is_down_is_looked_at_later),
		T(test_too_large_is_not_asked),
		T(test_failed_scan_and_quota_are_the_policys),
		T(test_unreadable_is_the_policys),
		T(test_full_link_is_service_down),
		T(test_end_answers_everybody),
		T(test_new_epoch_forgets_everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
