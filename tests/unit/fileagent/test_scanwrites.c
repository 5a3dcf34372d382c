/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_scanwrites.c - fileagent/scanwrites.c: when is a file that was written looked at?
 *
 * The clock is fake; stir() is what events.c says of each open and each close. What must hold: a
 * lone save goes at once, a burst waits for its end and no longer than write-scan-delay, an opener
 * never waits for that.
 */
#define FDS 8300
#include "tests/unit/fileagent/scan_world.h"

static void conf(uint64_t delay_ms)
{
	const struct fa_scan_conf c = { .deadline_base_ms = 1000,
		.deadline_rate = 20000000,
		.deadline_max_ms = 30000,
		.max_bytes = 1u << 30,
		.write_delay_ms = delay_ms };

	fa_scan_conf(scan, &c);
}

static void save(int fd)
{
	struct fa_held h = { .fd = fd,
		.slot = FA_NO_SLOT,
		.pid = 7,
		.pidfd = -1,
		.op = IDFW__FILE_OP__FILE_OP_CLOSE_WRITE,
		.block_errno = EPERM };

	fake.open[fd] = true;
	fa_scan_written(scan, fake.now, &h, &fake.ident[fd]);
}

static bool pass(uint64_t ms)
{
	fake.now += ms;
	return fa_scan_written_go(scan, fake.now);
}

static void stir_for(uint64_t ms)
{
	while (ms-- > 0) {
		(void)pass(1);
		fa_scan_stir(scan, fake.now);
	}
}

/* a burst of @n, one a ms; the trickle is let through */
static void burst(int from, int n)
{
	for (int fd = from; fd < from + n; fd++) {
		save(fd);
		(void)pass(1);
		fa_scan_stir(scan, fake.now);
	}
}

static void drain(void)
{
	for (size_t i = 0; i < fake.sent_n; i++)
		if (fake.sent[i].body == EVENT)
			allow(fake.sent[i].id);
}

static void test_lone_save_goes_at_once(void **state)
{
	(void)state;
	conf(1000);
	save(1);
	assert_int_equal(how_many(EVENT), 0); /* perhaps more come: they go together */
	assert_false(pass(FA_SCAN_QUIET_MS));
	assert_int_equal(how_many(EVENT), 1);
	allow(asked());
	assert_int_equal(count.deferred, 0);
}

static void test_saves_of_one_moment_go_together(void **state)
{
	(void)state;
	conf(0);
	settings(16, "e1");
	save(1);
	save(2);
	assert_int_equal(how_many(EVENT), 0);
	open_file(3); /* does not wait for them, nor send them */
	assert_int_equal(how_many(EVENT), 1);
	allow(1);
	assert_int_equal(fake.answer[3], 0);
	assert_int_equal(how_many(EVENT), 1);
	open_as(4, 2, false); /* nor one of them that is opened now */
	assert_int_equal(how_many(EVENT), 2);
	(void)pass(FA_SCAN_QUIET_MS);
	assert_int_equal(how_many(EVENT), 3);
	allow(2);
	allow(3);
	assert_int_equal(fake.answer[4], 0);
	assert_int_equal(fake.marks, 2); /* of the opened ones; the others when they are */
	save(5);
	wait_ms(FA_SCAN_TICK_MS); /* nobody said go: the tick does */
	assert_int_equal(how_many(EVENT), 4);
	allow(4);
}

static void test_without_a_delay_a_burst_waits_for_nothing(void **state)
{
	(void)state;
	conf(0);
	settings(200, "e1");
	burst(0, 100);
	assert_true(how_many(EVENT) >= 98);
	drain();
	(void)pass(FA_SCAN_QUIET_MS);
	drain();
	assert_int_equal(count.deferred_late, 0);
}

static void test_burst_waits_for_its_end(void **state)
{
	size_t before;

	(void)state;
	conf(1000);
	settings(200, "e1");
	burst(0, 240);
	before = how_many(EVENT); /* a trickle */
	assert_in_range(before, 1, 240 / 12 + 1);
	assert_int_equal(fa_scan_files(scan), 240);
	drain();
	assert_int_equal(how_many(EVENT), before); /* a verdict is no pause */
	(void)pass(FA_SCAN_QUIET_MS);
	assert_in_range(how_many(EVENT) - before, 0, 1); /* its writer may come back */
	assert_true(pass(20));
	/* a few at a time: who comes now is not behind all of them */
	assert_in_range(how_many(EVENT) - before, 16, 40);
	for (uint64_t id = before + 1; id <= 240; id++)
		allow(id);
	assert_int_equal(how_many(EVENT), 240);
	assert_int_equal(fa_scan_files(scan), 0);
	assert_int_equal(count.deferred_late, 0);
	assert_in_range(count.deferred, 230, 240);
}

static void test_who_stirs_again_is_not_disturbed(void **state)
{
	size_t before;

	(void)state;
	conf(1000);
	settings(200, "e1");
	burst(0, 200);
	(void)pass(22);
	before = how_many(EVENT);
	assert_true(before >= 16);
	fa_scan_stir(scan, fake.now);
	drain();
	assert_int_equal(how_many(EVENT), before);
	(void)pass(22);
	assert_true(how_many(EVENT) > before);
	for (uint64_t id = 1; id <= 200; id++)
		allow(id);
	assert_int_equal(fa_scan_files(scan), 0);
}

static void test_no_file_waits_beyond_the_delay(void **state)
{
	(void)state;
	conf(300);
	settings(200, "e1");
	burst(0, 50); /* 50 ms */
	drain();
	stir_for(250 - 1);
	assert_true(fa_scan_files(scan) >= 20); /* the trickle took some */
	stir_for(1 + 50);
	assert_int_equal(how_many(EVENT), 50);
	drain();
	assert_int_equal(fa_scan_files(scan), 0);
	assert_true(count.deferred_late > 0);
}

static void test_lone_save_among_opens_waits_for_no_pause(void **state)
{
	(void)state;
	conf(1000);
	stir_for(100);
	save(1);
	stir_for(12);
	assert_int_equal(how_many(EVENT), 1);
	allow(asked());
}

static void test_opener_of_a_deferred_file_goes_first(void **state)
{
	size_t before;

	(void)state;
	conf(1000);
	settings(200, "e1");
	burst(0, 100);
	before = how_many(EVENT);
	drain();
	open_as(200, 99, false);
	assert_int_equal(how_many(EVENT), before + 1);
	assert_int_equal(fake.answer[200], NOT_ANSWERED); /* never seen, so not readable */
	say(asked(), DENY, true, false, "e1");
	assert_int_equal(fake.answer[200], EPERM);
	(void)pass(22);
	for (uint64_t id = 1; id <= 100; id++)
		allow(id);
	assert_int_equal(fa_scan_files(scan), 0);
}

static void test_operator_does_not_wait_for_a_pause(void **state)
{
	(void)state;
	conf(1000);
	save(1);
	fake.ident[2] = fake.ident[1];
	fake.open[2] = true;
	assert_int_equal(
		fa_scan_submit(scan, 2, IDFW__FILE_OP__FILE_OP_DEMAND, outcome_cb, NULL), 0);
	fa_scan_stir(scan, fake.now);
	fa_scan_tick(scan, fake.now);
	assert_int_equal(how_many(EVENT), 1);
	allow(asked());
	assert_int_equal(fake.outcomes, 1);
}

static void test_writes_are_bounded(void **state)
{
	(void)state;
	conf(1000);
	settings(1, "e1");
	assert_true(fa_scan_takes_writes(scan));
	for (int fd = 0; fd < FA_SCAN_WRITES_MAX - 1; fd++)
		save(fd);
	assert_int_equal(how_many(EVENT), 0);
	save(FA_SCAN_WRITES_MAX - 1); /* no room for more: they go now */
	assert_false(fa_scan_takes_writes(scan));
	assert_int_equal(how_many(EVENT), 1);
	assert_int_equal(count.deferred_late, 1);
	allow(asked());
	assert_true(fa_scan_takes_writes(scan));
	assert_false(fa_scan_takes_many(scan)); /* not one by one */
	assert_int_equal(how_many(EVENT), 1);
	open_file(8200); /* and openers have places of their own */
	assert_int_equal(how_many(EVENT), 2);
	allow(asked());
	assert_int_equal(fake.answer[8200], 0);
}

static void test_lost_service_leaves_nothing_waiting(void **state)
{
	(void)state;
	conf(1000);
	for (int fd = 0; fd < 10; fd++)
		save(fd);
	fake.elsewhere[3] = true;
	fa_scan_link_down(scan, fake.now);
	assert_int_equal(fa_scan_files(scan), 0);
	assert_int_equal(fake.later, 9);
	fake.elsewhere[11] = true;
	save(10);
	save(11);
	assert_int_equal(fake.later, 10);
}

static void test_file_that_lies_elsewhere_is_left_alone(void **state)
{
	(void)state;
	conf(1000);
	for (int fd = 1; fd <= 3; fd++)
		save(fd);
	fake.elsewhere[1] = fake.elsewhere[3] = true;
	assert_false(pass(FA_SCAN_QUIET_MS));
	assert_int_equal(how_many(EVENT), 1);
	assert_int_equal(fa_scan_files(scan), 1);
	allow(asked());
	assert_int_equal(fa_table_find(table, &fake.ident[2]), FA_KNOWN_ALLOW);
}

static void test_writer_is_asked_about_once(void **state)
{
	(void)state;
	conf(1000);
	save(1);
	fake.same_actor = true;
	save(2);
	assert_int_equal(fake.actors, 1);
	fake.same_actor = false;
	save(3);
	assert_int_equal(fake.actors, 2);
	(void)pass(FA_SCAN_QUIET_MS);
	say(2, DENY, true, false, "e1");
	assert_int_equal(last(DONE)->session, 101);
	say(3, DENY, true, false, "e1");
	assert_int_equal(last(DONE)->session, 103);
	say(1, DENY, true, false, "e1");
	assert_int_equal(last(DONE)->session, 101);
}

/* @fd: the same file as @like, closed by somebody else */
static void save_again(int fd, int like)
{
	fake.ident[fd] = fake.ident[like];
	save(fd);
}

static void test_who_closes_it_later_did_not_write_what_was_found(void **state)
{
	(void)state;
	conf(1000);
	save(1);
	(void)pass(FA_SCAN_QUIET_MS);
	save_again(2, 1); /* it is with the service */
	say(asked(), QUARANTINE, true, false, "e1");
	assert_int_equal(fake.act_session, 101);
	fa_scan_action_done(scan, fake.now, fake.act.id, 0, "", NULL, -1);
	assert_int_equal(last(DONE)->session, 101);
	(void)pass(FA_SCAN_QUIET_MS); /* and what the other one left is looked at */
	say(asked(), DENY, true, false, "e1");
	assert_int_equal(last(DONE)->session, 102);
	assert_int_equal(fa_scan_files(scan), 0);
}

static void test_last_of_those_who_close_it_wrote_what_is_found_then(void **state)
{
	(void)state;
	conf(1000);
	save(1);
	(void)pass(FA_SCAN_QUIET_MS);
	save_again(2, 1);
	save_again(3, 1);
	allow(asked());
	(void)pass(FA_SCAN_QUIET_MS);
	say(asked(), DENY, true, false, "e1");
	assert_int_equal(last(DONE)->session, 103);
	assert_int_equal(fa_scan_files(scan), 0);
}

static void test_who_changed_it_while_it_was_read_wrote_what_is_found_then(void **state)
{
	(void)state;
	conf(1000);
	save(1);
	(void)pass(FA_SCAN_QUIET_MS);
	fake.ident[1].mtime_ns = fake.ident[1].ctime_ns = 8;
	save_again(2, 1);
	say(asked(), DENY, true, false, "e1");
	assert_int_equal(last(DONE)->result, IDFW__FILE_DONE__RESULT__CHANGED);
	assert_int_equal(last(DONE)->session, 101);
	(void)pass(FA_SCAN_QUIET_MS);
	say(asked(), DENY, true, false, "e1");
	assert_int_equal(last(DONE)->session, 102);
	(void)pass(FA_SCAN_QUIET_MS);
	allow(asked());
	assert_int_equal(fa_scan_files(scan), 0);
}

/* a descriptor each: who unmounts, or has removed a file, does not wait for a dead service */
static void test_dead_service_gives_up_what_waits(void **state)
{
	uint64_t deferred, events;

	(void)state;
	conf(1000);
	settings(200, "e1");
	open_file(8200);
	for (int fd = 0; fd < 1000; fd++)
		save(fd);
	fake.elsewhere[500] = true;
	events = how_many(EVENT);
	wait_ms(1100); /* the opener's deadline: nothing was heard */
	assert_true(fa_scan_breaker_open(scan));
	assert_in_range(fa_scan_files(scan), 1, 32);
	assert_in_range(fake.later, 1000 - 33, 1000);
	deferred = count.deferred;
	for (int i = 0; i < 100; i++)
		(void)pass(FA_SCAN_QUIET_MS);
	assert_in_range(count.deferred - deferred, 0, 1);
	assert_in_range(how_many(EVENT) - events, 0, 1); /* one asks */
	wait_ms(FA_SCAN_PROBE_MS);
	allow(asked()); /* one of those that stayed has asked */
	assert_false(fa_scan_breaker_open(scan));
}

static void test_what_nobody_waits_for_leaves_half_of_the_credits(void **state)
{
	(void)state;
	conf(1000);
	settings(8, "e1");
	for (int fd = 0; fd < 100; fd++)
		save(fd);
	(void)pass(30);
	assert_int_equal(how_many(EVENT), 4);
	wait_ms(2000); /* nor when it is too late for all of them */
	assert_int_equal(how_many(EVENT), 4);
	for (int fd = 200; fd < 204; fd++)
		open_file(fd); /* at once, however slow these four are */
	assert_int_equal(how_many(EVENT), 8);
	open_file(204);
	assert_int_equal(how_many(EVENT), 8);
	allow(1); /* a written one: its credit is the opener's */
	assert_int_equal(how_many(EVENT), 9);
	allow(9);
	assert_int_equal(fake.answer[204], 0);
	assert_int_equal(how_many(EVENT), 10); /* and is theirs again */
	allow(10);
	assert_int_equal(how_many(EVENT), 11);
	for (uint64_t id = 2; id <= 110; id++)
		allow(id);
	assert_int_equal(fa_scan_files(scan), 0);
}

static void test_one_credit_serves_both(void **state)
{
	(void)state;
	conf(1000);
	settings(1, "e1");
	save(1);
	save(2);
	(void)pass(FA_SCAN_QUIET_MS);
	assert_int_equal(how_many(EVENT), 1);
	open_file(3);
	allow(1);
	assert_int_equal(fake.answer[3], NOT_ANSWERED); /* it is his turn now */
	allow(2);
	assert_int_equal(fake.answer[3], 0);
	(void)pass(FA_SCAN_QUIET_MS);
	allow(3);
	assert_int_equal(fa_scan_files(scan), 0);
}

/* who opens it takes it out of the line: one look, and the writer answers for what is found */
static void test_opener_and_writer_of_one_file_share_a_look(void **state)
{
	size_t before;

	(void)state;
	conf(1000);
	for (int fd = 0; fd < 20; fd++)
		save(fd);
	open_as(100, 7, false);
	open_as(101, 7, false);
	before = how_many(EVENT);
	assert_int_equal(fa_scan_files(scan), 20);
	say(asked(), DENY, true, false, "e1");
	assert_int_equal(fake.answer[100], EPERM);
	assert_int_equal(fake.answer[101], EPERM);
	assert_int_equal(last(DONE)->session, 107);
	assert_int_equal(fa_scan_files(scan), 19);
	(void)pass(30);
	assert_int_equal(how_many(EVENT), before + 19);
	for (uint64_t id = 1; id <= 20; id++)
		allow(id);
	assert_int_equal(fa_scan_files(scan), 0);
}

/* a file that waits and is written to again is one file: the last writer's */
static void test_file_closed_twice_waits_once(void **state)
{
	(void)state;
	conf(1000);
	save(1);
	save_again(2, 1);
	assert_false(fake.open[2]);
	assert_int_equal(fa_scan_files(scan), 1);
	(void)pass(FA_SCAN_QUIET_MS);
	say(asked(), DENY, true, false, "e1");
	assert_int_equal(last(DONE)->session, 102);
	assert_int_equal(how_many(EVENT), 1);
}

/* what it is when it is its turn counts, not what it was when it was closed */
static void test_file_that_is_empty_or_too_large_by_then_is_left_alone(void **state)
{
	(void)state;
	conf(1000);
	for (int fd = 1; fd <= 3; fd++)
		save(fd);
	fake.ident[1].size = 0;
	fake.ident[2].size = 2u << 30;
	(void)pass(FA_SCAN_QUIET_MS);
	assert_int_equal(how_many(EVENT), 1);
	assert_int_equal(fa_scan_files(scan), 1);
	allow(asked());
	assert_int_equal(fa_table_find(table, &fake.ident[3]), FA_KNOWN_ALLOW);
	assert_int_equal(count.written_unscanned, 1);
	fake.ident[4].size = 2u << 30; /* or at once */
	save(4);
	assert_int_equal(count.written_unscanned, 2);
	assert_int_equal(fa_scan_files(scan), 0);
}

/* nobody is told of it: so it is counted, and looked at again where that may help */
static void test_written_file_without_a_verdict_is_counted(void **state)
{
	(void)state;
	conf(1000);
	save(1);
	(void)pass(FA_SCAN_QUIET_MS);
	say(asked(), ALLOW, false, true, "e1"); /* the service could not */
	assert_int_equal(count.written_unscanned, 1);
	assert_int_equal(fake.later, 0);
	save(2);
	(void)pass(FA_SCAN_QUIET_MS);
	wait_ms(31000); /* nor in time */
	assert_int_equal(count.written_unscanned, 2);
	assert_int_equal(fake.later, 1);
	assert_int_equal(fa_scan_files(scan), 0);
}

static void test_written_file_that_cannot_be_sent_is_looked_at_later(void **state)
{
	(void)state;
	conf(1000);
	fake.link_full = true;
	save(1);
	(void)pass(FA_SCAN_QUIET_MS);
	assert_int_equal(count.written_unscanned, 1);
	assert_int_equal(fake.later, 1);
	assert_int_equal(fa_scan_files(scan), 0);
}

/* it is looked at once more anyway */
static void test_written_file_that_was_closed_again_is_not_given_up(void **state)
{
	(void)state;
	conf(1000);
	save(1);
	(void)pass(FA_SCAN_QUIET_MS);
	save_again(2, 1);
	say(asked(), ALLOW, false, true, "e1");
	assert_int_equal(count.written_unscanned, 0);
	(void)pass(FA_SCAN_QUIET_MS);
	assert_int_equal(how_many(EVENT), 2);
	allow(asked());
	assert_int_equal(fa_scan_files(scan), 0);
}

static void silence(void)
{
	open_file(8200);
	wait_ms(1100);
	assert_true(fa_scan_breaker_open(scan));
	fake.answer[8200] = NOT_ANSWERED;
}

/* a probe that finds something gives its place back: the next silence has one, too */
static void test_probe_that_finds_something_is_not_the_last(void **state)
{
	size_t before;

	(void)state;
	conf(1000);
	silence();
	open_file(8202); /* let through, and looked at: it asks */
	say(asked(), DELETE, true, false, "e1");
	assert_false(fa_scan_breaker_open(scan));
	assert_int_equal(fake.acts, 1);
	fa_scan_action_done(scan, fake.now, fake.act.id, 0, "", NULL, -1);
	silence();
	before = how_many(EVENT);
	open_file(8201);
	assert_int_equal(how_many(EVENT), before + 1);
	allow(asked());
	assert_false(fa_scan_breaker_open(scan));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_lone_save_goes_at_once),
		T(test_saves_of_one_moment_go_together),
		T(test_without_a_delay_a_burst_waits_for_nothing),
		T(test_burst_waits_for_its_end),
		T(test_who_stirs_again_is_not_disturbed),
		T(test_no_file_waits_beyond_the_delay),
		T(test_lone_save_among_opens_waits_for_no_pause),
		T(test_opener_of_a_deferred_file_goes_first),
		T(test_operator_does_not_wait_for_a_pause),
		T(test_writes_are_bounded),
		T(test_lost_service_leaves_nothing_waiting),
		T(test_file_that_lies_elsewhere_is_left_alone),
		T(test_writer_is_asked_about_once),
		T(test_who_closes_it_later_did_not_write_what_was_found),
		T(test_last_of_those_who_close_it_wrote_what_is_found_then),
		T(test_who_changed_it_while_it_was_read_wrote_what_is_found_then),
		T(test_dead_service_gives_up_what_waits),
		T(test_what_nobody_waits_for_leaves_half_of_the_credits),
		T(test_one_credit_serves_both),
		T(test_opener_and_writer_of_one_file_share_a_look),
		T(test_file_closed_twice_waits_once),
		T(test_file_that_is_empty_or_too_large_by_then_is_left_alone),
		T(test_written_file_without_a_verdict_is_counted),
		T(test_written_file_that_cannot_be_sent_is_looked_at_later),
		T(test_written_file_that_was_closed_again_is_not_given_up),
		T(test_probe_that_finds_something_is_not_the_last),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
