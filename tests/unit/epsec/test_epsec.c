/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_epsec.c - a service and its guests over real TLS: events, verdicts, outcomes, ends
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "tests/unit/epsec/fix.h"

static const uint8_t small[] = "a small file, which comes whole with its event";
static const struct tg_file small_file = { .path = "/home/alice/a.txt",
	.data = small,
	.len = sizeof(small) - 1,
	.deadline_ms = 60000,
	.actor_uid = 1000 };

static void test_event_is_described_and_answered(void **state)
{
	struct fix *f = *state;
	struct eps_event *ev;
	const struct eps_file *file;
	struct tg_verdict v;
	uint64_t id;
	uint8_t sha[32] = { 1 };
	struct eps_verdict a = { .size = sizeof(a),
		.kind = EPS_ALLOW,
		.until_change = true,
		.engine = "clamav",
		.reason = "nothing found",
		.sha256 = sha };

	fix_open(f);
	id = fix_event(f, &small_file);
	ev = fix_next(f);
	file = eps_event_file(ev);
	assert_string_equal(file->vm, "web01");
	assert_string_equal(file->mux, "host1");
	assert_int_equal(file->boot_id[0], 'a');
	assert_int_equal(file->op, EPS_OP_OPEN);
	assert_int_equal(file->path_len, strlen(small_file.path));
	assert_memory_equal(file->path, small_file.path, file->path_len);
	assert_int_equal(file->size, sizeof(small) - 1);
	assert_int_equal(file->head_len, file->size);
	assert_memory_equal(file->head, small, file->head_len);
	assert_int_equal(file->mode, 0100644);
	assert_non_null(file->actor);
	assert_int_equal(file->actor->uid, 1000);
	assert_string_equal(file->actor->user, "alice");
	assert_false(eps_event_gone(ev));
	assert_int_equal(fix_stats(f).waiting, 0);
	assert_int_equal(eps_answer(ev, &a), 0);
	tg_verdict(f->tg, id, &v);
	assert_int_equal(v.kind, 1);
	assert_true(v.until_change);
	assert_false(v.failed);
	assert_string_equal(v.engine, "clamav");
	assert_string_equal(v.reason, "nothing found");
	assert_int_equal(v.sha256_len, 32);
	assert_memory_equal(v.epoch, "e1", 2);
	assert_int_equal(fix_stats(f).events, 1);
	assert_int_equal(fix_stats(f).answered, 1);
	assert_int_equal(fix_stats(f).memory_bytes, 0);
}

static void test_answer_carries_the_epoch_of_its_hand_out(void **state)
{
	struct fix *f = *state;
	struct tg_verdict v;
	struct eps_event *ev;
	uint64_t id;

	fix_open(f);
	id = fix_event(f, &small_file);
	ev = fix_next(f);
	assert_int_equal(eps_epoch_set(f->eps, (const uint8_t *)"new", 3), 0);
	/* scanned by old signatures: must not count under the new epoch */
	assert_int_equal(fix_answer(ev, EPS_ALLOW), 0);
	tg_verdict(f->tg, id, &v);
	assert_int_equal(v.epoch_len, 2);
	assert_memory_equal(v.epoch, "e1", 2);
	id = fix_event(f, &small_file);
	assert_int_equal(fix_answer(fix_next(f), EPS_ALLOW), 0);
	tg_verdict(f->tg, id, &v);
	assert_int_equal(v.epoch_len, 3);
	/* waited in the queue while the signatures changed: it is scanned by the new ones */
	id = fix_event(f, &small_file);
	fix_wait_queued(f, 1);
	assert_int_equal(eps_epoch_set(f->eps, (const uint8_t *)"newer", 5), 0);
	assert_int_equal(fix_answer(fix_next(f), EPS_ALLOW), 0);
	tg_verdict(f->tg, id, &v);
	assert_int_equal(v.epoch_len, 5);
	assert_int_equal(eps_epoch_set(f->eps, (const uint8_t *)"new", 0), -EINVAL);
	assert_int_equal(eps_epoch_set(f->eps, (const uint8_t *)"new", 33), -EINVAL);
}

static bool has_credits(const struct tg_vm *v, const void *arg)
{
	return v->credits == *(const uint32_t *)arg;
}

static bool has_epoch(const struct tg_vm *v, const void *arg)
{
	return v->epoch_len == strlen(arg) && !memcmp(v->epoch, arg, v->epoch_len);
}

static void test_limits_are_of_a_vm(void **state)
{
	struct fix *f = *state;
	uint32_t dflt = 7, nine = 9, five = 5;
	struct tg_vm v;

	f->conf.credits = 7;
	f->conf.max_file_bytes = 12345;
	f->conf.want = EPS_WANT(EPS_OP_OPEN);
	f->conf.head_bytes = 1000;
	fix_open(f);
	tg_wait_vm(f->tg, "web01", has_credits, &dflt, &v);
	assert_int_equal(v.max_bytes, 12345);
	assert_int_equal(v.ops, EPS_WANT(EPS_OP_OPEN));
	assert_int_equal(v.head_bytes, 1000);
	assert_int_equal(eps_guest_limits_set(f->eps, "db01", 9, 99), 0); /* not there yet */
	tg_up(f->tg, "db01");
	tg_wait_vm(f->tg, "db01", has_credits, &nine, &v);
	assert_int_equal(v.max_bytes, 99);
	assert_int_equal(eps_guest_limits_set(f->eps, "db01", 5, 0), 0);
	tg_wait_vm(f->tg, "db01", has_credits, &five, &v);
	assert_int_equal(v.max_bytes, 12345);
	assert_int_equal(eps_guest_limits_set(f->eps, "bad name", 5, 0), -EINVAL);
	assert_int_equal(eps_guest_limits_set(f->eps, "db01", 1u << 20, 0), -EINVAL);
	assert_int_equal(eps_epoch_set(f->eps, (const uint8_t *)"e2", 2), 0);
	tg_wait_vm(f->tg, "db01", has_epoch, "e2", &v);
	tg_wait_vm(f->tg, "web01", has_epoch, "e2", &v);
	assert_int_equal(v.credits, 7);
}

static void test_op_nobody_wants_is_allowed_unasked(void **state)
{
	struct fix *f = *state;
	struct tg_verdict v;
	uint64_t id;

	f->conf.want = EPS_WANT(EPS_OP_EXEC);
	fix_open(f);
	id = fix_event(f, &small_file); /* an OPEN */
	tg_verdict(f->tg, id, &v);
	assert_int_equal(v.kind, 1);
	assert_false(v.until_change);
	assert_int_equal(fix_stats(f).answered, 0);
}

static void test_look_answers_before_the_queue(void **state)
{
	struct fix *f = *state;
	struct tg_verdict v;
	struct eps_event *ev = NULL;
	uint64_t id;

	f->look = LOOK_ALLOW;
	fix_open(f);
	id = fix_event(f, &small_file);
	tg_verdict(f->tg, id, &v);
	assert_int_equal(v.kind, 1);
	assert_int_equal(eps_next(f->eps, 0, &ev), -ETIMEDOUT);
	assert_int_equal(fix_stats(f).looked, 1);
	assert_string_equal(v.engine, "test-scan"); /* the service's name */
}

static void test_look_may_not_block(void **state)
{
	struct fix *f = *state;
	struct tg_verdict v;
	struct tg_file large = small_file;
	uint64_t id;

	f->look = LOOK_READ;
	large.size = 100000;
	fix_open(f);
	id = fix_event(f, &large);
	tg_verdict(f->tg, id, &v);
	assert_int_equal(f->look_read_err, -EPS_EINLOOP);
	assert_int_equal(f->look_next_err, -EPS_EINLOOP);
	assert_int_equal(f->look_write_err, -EPS_EINLOOP);
}

static void test_done_comes_once_with_the_tag(void **state)
{
	static const uint8_t none[EPS_ROOM_BYTES];
	struct fix *f = *state;
	struct tg_file file = small_file;
	struct eps_event *ev;
	struct tg_verdict v;
	uint64_t id;

	file.done = EPS_RESULT_CHANGED;
	fix_open(f);
	id = fix_event(f, &file);
	ev = fix_next(f);
	eps_event_tag_set(ev, &file);
	assert_memory_equal(eps_event_room(ev), none, sizeof(none));
	memset(eps_event_room(ev), 0xff, EPS_ROOM_BYTES); /* it is all the caller's */
	assert_int_equal(fix_answer(ev, EPS_QUARANTINE), 0);
	fix_wait(f, &f->n_done, 1);
	tg_verdict(f->tg, id, &v);
	assert_int_equal(v.kind, 4);
	assert_ptr_equal(f->done[0].tag, &file);
	assert_int_equal(f->done[0].result, EPS_RESULT_CHANGED);
	assert_false(f->done[0].lost);
	assert_true(f->done[0].denied);
	assert_true(f->done[0].has_qid);
	assert_string_equal(f->done[0].text, "as told");
	assert_string_equal(f->done[0].user, "alice");
	assert_string_equal(f->done[0].vm, "web01");
	assert_int_equal(f->done[0].session, 5);
	/* an allow has no outcome, in look() neither */
	f->look = LOOK_DENY;
	id = fix_event(f, &file);
	fix_wait(f, &f->n_done, 2);
	assert_int_equal(fix_stats(f).guests, 1);
}

static void test_done_is_lost_with_the_guest(void **state)
{
	struct fix *f = *state;
	struct eps_event *ev, *held;
	struct tg_verdict v;
	uint64_t id;

	fix_open(f);
	id = fix_event(f, &small_file); /* its guest never says what it did */
	ev = fix_next(f);
	eps_event_tag_set(ev, f);
	assert_int_equal(fix_answer(ev, EPS_DELETE), 0);
	tg_verdict(f->tg, id, &v);
	(void)fix_event(f, &small_file);
	held = fix_next(f);
	eps_event_tag_set(held, &v);
	tg_down(f->tg, "web01");
	fix_wait(f, &f->n_down, 1);
	assert_string_equal(f->down_why, "test");
	fix_wait(f, &f->n_done, 1);
	assert_true(f->done[0].lost);
	assert_ptr_equal(f->done[0].tag, f);
	assert_int_equal(f->done[0].uid, UINT32_MAX); /* not root */
	/* who judges after the end hears the same, and done() too */
	assert_true(eps_event_gone(held));
	assert_string_equal(eps_event_file(held)->vm, "web01");
	assert_int_equal(fix_answer(held, EPS_DENY), -EPS_EGONE);
	fix_wait(f, &f->n_done, 2);
	assert_true(f->done[1].lost);
	assert_ptr_equal(f->done[1].tag, &v);
	assert_int_equal(fix_stats(f).guests, 0);
	assert_int_equal(fix_stats(f).gone, 1);
	assert_int_equal(fix_stats(f).memory_bytes, 0);
}

static void cancel(struct fix *f, uint64_t id, int reason)
{
	Idfw__FileCancel m = IDFW__FILE_CANCEL__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;

	m.id = id;
	m.reason = (Idfw__FileCancel__Reason)reason;
	e.body_case = IDFW__ENVELOPE__BODY_FILE_CANCEL;
	e.file_cancel = &m;
	tg_send(f->tg, "web01", &e);
}

static void test_cancelled_event_is_not_handed_out(void **state)
{
	struct fix *f = *state;
	struct eps_event *ev;
	struct tg_verdict v;
	uint64_t first, second;

	fix_open(f);
	f->look = LOOK_NOT;
	first = fix_event(f, &small_file);
	cancel(f, first, IDFW__FILE_CANCEL__REASON__GONE);
	second = fix_event(f, &small_file);
	fix_wait(f, &f->n_looks, 2);
	ev = fix_next(f);
	assert_int_equal(fix_answer(ev, EPS_ALLOW), 0);
	tg_verdict(f->tg, second, &v);
	assert_false(tg_has_verdict(f->tg, first));
	cancel(f, second, IDFW__FILE_CANCEL__REASON__DEADLINE); /* crossed our verdict */
	/* cancelled while a caller has it */
	first = fix_event(f, &small_file);
	ev = fix_next(f);
	cancel(f, first, IDFW__FILE_CANCEL__REASON__CHANGED);
	second = fix_event(f, &small_file);
	fix_wait(f, &f->n_looks, 4);
	assert_true(eps_event_gone(ev));
	assert_int_equal(fix_answer(ev, EPS_ALLOW), -EPS_EGONE);
	ev = fix_next(f);
	assert_int_equal(fix_answer(ev, EPS_ALLOW), 0);
	tg_verdict(f->tg, second, &v);
	assert_int_equal(fix_stats(f).guests, 1); /* nobody was dropped */
}

static void test_bad_verdicts_are_failed_ones(void **state)
{
	struct fix *f = *state;
	struct eps_verdict a = { .kind = (enum eps_kind)99 };
	char text[400];
	struct tg_verdict v;
	uint64_t id;

	fix_open(f);
	id = fix_event(f, &small_file);
	assert_int_equal(eps_answer(fix_next(f), &a), -EINVAL);
	tg_verdict(f->tg, id, &v);
	assert_true(v.failed);
	id = fix_event(f, &small_file);
	assert_int_equal(fix_answer(fix_next(f), EPS_REPLACE), -EINVAL);
	tg_verdict(f->tg, id, &v);
	assert_true(v.failed);
	assert_string_equal(v.reason, "the new content is not complete");
	/* too long: cut between characters; unclean: cleaned */
	memset(text, 'x', sizeof(text));
	text[399] = '\0';
	memcpy(text + 63, "\xc3\xa4", 2);
	a = (struct eps_verdict){ .kind = EPS_DENY, .engine = text, .signature = "two\nlines" };
	id = fix_event(f, &small_file);
	assert_int_equal(eps_answer(fix_next(f), &a), -EPS_ELIMIT);
	tg_verdict(f->tg, id, &v);
	assert_int_equal(strlen(v.engine), 63);
	assert_string_equal(v.signature, "two lines");
	assert_int_equal(v.kind, 2);
	a = (struct eps_verdict){ .kind = EPS_FAILED, .reason = "quota" };
	id = fix_event(f, &small_file);
	assert_int_equal(eps_answer(fix_next(f), &a), 0);
	tg_verdict(f->tg, id, &v);
	assert_true(v.failed);
	assert_string_equal(v.reason, "quota");
	assert_int_equal(fix_stats(f).failed, 3);
}

static void test_guests_take_turns(void **state)
{
	struct fix *f = *state;
	struct eps_event *ev[8];
	char order[9] = { 0 };

	fix_open(f);
	tg_up(f->tg, "db01");
	for (int i = 0; i < 6; i++)
		(void)fix_event(f, &small_file);
	for (int i = 0; i < 2; i++)
		(void)tg_event(f->tg, "db01", EPS_OP_EXEC, &small_file);
	fix_wait_queued(f, 8);
	for (int i = 0; i < 8; i++) {
		ev[i] = fix_next(f);
		order[i] = eps_event_file(ev[i])->vm[0];
	}
	assert_true(!strcmp(order, "wdwdwwww") || !strcmp(order, "dwdwwwww"));
	for (int i = 0; i < 8; i++)
		assert_int_equal(fix_answer(ev[i], EPS_ALLOW), 0);
}

static void *next_thread(void *arg)
{
	struct eps_event *ev = NULL;

	return (void *)(intptr_t)eps_next(arg, -1, &ev);
}

static void test_stop_ends_all_that_wait(void **state)
{
	struct fix *f = *state;
	pthread_t t[3];
	void *ret;
	struct eps_event *ev = NULL;

	fix_open(f);
	assert_int_equal(eps_next(f->eps, 1, &ev), -ETIMEDOUT);
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&t[i], NULL, next_thread, f->eps), 0);
	eps_stop(f->eps);
	eps_stop(f->eps);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(pthread_join(t[i], &ret), 0);
		assert_int_equal((intptr_t)ret, -EPS_ESTOPPED);
	}
	assert_int_equal(eps_next(f->eps, 0, &ev), -EPS_ESTOPPED);
}

static void test_close_with_waiting_events_ends_the_links(void **state)
{
	struct fix *f = *state;

	fix_open(f);
	(void)fix_event(f, &small_file);
	fix_wait(f, &f->n_looks, 1);
	eps_close(f->eps);
	f->eps = NULL;
	tg_wait_cut(f->tg);
	assert_int_equal(f->n_down, 1);
	eps_close(NULL);
}

static void report_send(struct fix *f, uint64_t seq)
{
	Idfw__FileReport m = IDFW__FILE_REPORT__INIT;
	Idfw__FilePassed p = IDFW__FILE_PASSED__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;

	m.seq = seq;
	m.body_case = IDFW__FILE_REPORT__BODY_PASSED;
	m.passed = &p;
	p.reason = (char *)(uintptr_t) "deadline";
	e.body_case = IDFW__ENVELOPE__BODY_FILE_REPORT;
	e.file_report = &m;
	tg_send(f->tg, "web01", &e);
}

static bool has_acked(const struct tg_vm *v, const void *arg)
{
	return v->report_acked == *(const uint64_t *)arg;
}

static void test_reports_are_acknowledged_and_remembered(void **state)
{
	struct fix *f = *state;
	uint64_t two = 2;
	struct tg_vm v;
	uint8_t other[16] = { 1 };

	fix_open(f);
	report_send(f, 1);
	report_send(f, 2);
	fix_wait(f, &f->n_reports, 2);
	assert_int_equal(f->report_seq, 2);
	assert_true(f->packed_len > 0);
	tg_wait_vm(f->tg, "web01", has_acked, &two, &v);
	tg_up(f->tg, "web01"); /* again: the first is gone */
	tg_wait_vm(f->tg, "web01", has_acked, &two, &v);
	assert_int_equal(v.hello_acked, 2);
	assert_int_equal(f->n_down, 1);
	/* of another boot: nothing that this one hears of */
	assert_int_equal(eps_report_ack(f->eps, "web01", other, 50), 0);
	assert_int_equal(eps_report_ack(f->eps, "?", other, 50), -EINVAL);
	tg_up(f->tg, "web01");
	tg_wait_vm(f->tg, "web01", has_acked, &two, &v);
	assert_int_equal(v.hello_acked, 0);
}

static bool has_command(const struct tg_vm *v, const void *arg)
{
	return v->command == *(const uint64_t *)arg;
}

static void reply_send(struct fix *f, uint64_t id, bool last)
{
	Idfw__FileReply m = IDFW__FILE_REPLY__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;

	m.id = id;
	m.json = (char *)(uintptr_t) "{}";
	m.last = last;
	e.body_case = IDFW__ENVELOPE__BODY_FILE_REPLY;
	e.file_reply = &m;
	tg_send(f->tg, "web01", &e);
}

static void test_command_and_its_replies(void **state)
{
	struct fix *f = *state;
	Idfw__FileCommand m = IDFW__FILE_COMMAND__INIT;
	uint8_t buf[64];
	size_t len;
	uint64_t id = 0, ids[64];
	struct tg_vm v;
	char why[WIRE_TEXT_MAX + 1];

	fix_open(f);
	m.verb = IDFW__FILE_COMMAND__VERB__QUARANTINE_LIST;
	len = idfw__file_command__pack(&m, buf);
	assert_int_equal(eps_command(f->eps, "nobody", buf, len, &id), -EPS_EGONE);
	assert_int_equal(eps_command(f->eps, "web01", (const uint8_t *)"\xff", 1, &id), -EINVAL);
	assert_int_equal(eps_command(f->eps, "web01", buf, 0, &id), -EINVAL); /* no verb */
	assert_int_equal(eps_command(f->eps, "web01", buf, len, &id), 0);
	tg_wait_vm(f->tg, "web01", has_command, &id, &v);
	assert_int_equal(v.command_verb, m.verb);
	reply_send(f, id, false);
	reply_send(f, id, true);
	fix_wait(f, &f->n_replies, 2);
	assert_int_equal(f->reply_id, id);
	for (size_t i = 0; i < 64; i++)
		assert_int_equal(eps_command(f->eps, "web01", buf, len, &ids[i]), 0);
	assert_int_equal(eps_command(f->eps, "web01", buf, len, &id), -ENOBUFS);
	/* one that was answered for good is nobody's any more */
	reply_send(f, id, true);
	tg_wait_closed(f->tg, "web01", why);
	assert_string_equal(why, "FileReply: to no command");
}

static void test_counters_are_passed_on(void **state)
{
	struct fix *f = *state;
	Idfw__FileCounters m = IDFW__FILE_COUNTERS__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;

	fix_open(f);
	e.body_case = IDFW__ENVELOPE__BODY_FILE_COUNTERS;
	e.file_counters = &m;
	tg_send(f->tg, "web01", &e);
	fix_wait(f, &f->n_counters, 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, fix_setup, fix_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_event_is_described_and_answered),
		T(test_answer_carries_the_epoch_of_its_hand_out),
		T(test_limits_are_of_a_vm),
		T(test_op_nobody_wants_is_allowed_unasked),
		T(test_look_answers_before_the_queue),
		T(test_look_may_not_block),
		T(test_done_comes_once_with_the_tag),
		T(test_done_is_lost_with_the_guest),
		T(test_cancelled_event_is_not_handed_out),
		T(test_bad_verdicts_are_failed_ones),
		T(test_guests_take_turns),
		T(test_stop_ends_all_that_wait),
		T(test_close_with_waiting_events_ends_the_links),
		T(test_reports_are_acknowledged_and_remembered),
		T(test_command_and_its_replies),
		T(test_counters_are_passed_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
