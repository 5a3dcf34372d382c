/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_hostile.c - guests and muxes that break the rules: who is dropped, who is not
 *
 * Each breach ends the connection of the guest that did it, with words; "db01" on the same link
 * goes on. A broken Routed message ends that mux's link alone.
 */
#include <sched.h>
#include <signal.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <cmocka.h>
#include "lib/io/sock.h"
#include "tests/unit/epsec/fix.h"

static const uint8_t bytes[200000];
static const struct tg_file small_file = {
	.path = "/a", .data = bytes, .len = 100, .deadline_ms = 60000, .silent = true
};
static const struct tg_file large_file = {
	.path = "/b", .data = bytes, .len = sizeof(bytes), .deadline_ms = 60000, .silent = true
};

static void event_send(struct fix *f, uint64_t id)
{
	Idfw__FileEvent m = IDFW__FILE_EVENT__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;

	m.id = id;
	m.op = IDFW__FILE_OP__FILE_OP_OPEN;
	e.body_case = IDFW__ENVELOPE__BODY_FILE_EVENT;
	e.file_event = &m;
	tg_send(f->tg, "web01", &e);
}

static void data_send(struct fix *f, uint64_t id, uint64_t at, size_t len, bool eof)
{
	Idfw__FileData m = IDFW__FILE_DATA__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;

	m.id = id;
	m.offset = at;
	m.data.data = (uint8_t *)(uintptr_t)bytes;
	m.data.len = len;
	m.eof = eof;
	e.body_case = IDFW__ENVELOPE__BODY_FILE_DATA;
	e.file_data = &m;
	tg_send(f->tg, "web01", &e);
}

static void wrote_send(struct fix *f, uint64_t id, uint64_t at)
{
	Idfw__FileWrote m = IDFW__FILE_WROTE__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;

	m.id = id;
	m.offset = at;
	e.body_case = IDFW__ENVELOPE__BODY_FILE_WROTE;
	e.file_wrote = &m;
	tg_send(f->tg, "web01", &e);
}

static void cancel_send(struct fix *f, uint64_t id)
{
	Idfw__FileCancel m = IDFW__FILE_CANCEL__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;

	m.id = id;
	e.body_case = IDFW__ENVELOPE__BODY_FILE_CANCEL;
	e.file_cancel = &m;
	tg_send(f->tg, "web01", &e);
}

static void done_send(struct fix *f, uint64_t id)
{
	Idfw__FileDone m = IDFW__FILE_DONE__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;

	m.id = id;
	m.result = IDFW__FILE_DONE__RESULT__DONE;
	e.body_case = IDFW__ENVELOPE__BODY_FILE_DONE;
	e.file_done = &m;
	tg_send(f->tg, "web01", &e);
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

static void number_repeated(struct fix *f)
{
	(void)fix_event(f, &small_file);
	event_send(f, tg_last_id(f->tg));
}

static void number_of_a_pending(struct fix *f)
{
	uint64_t id = fix_event(f, &small_file);
	struct tg_verdict v;

	assert_int_equal(fix_answer(fix_next(f), EPS_DENY), 0);
	tg_verdict(f->tg, id, &v);
	event_send(f, id);
}

static void data_unasked(struct fix *f)
{
	data_send(f, fix_event(f, &large_file), 0, 100, false);
}

static void data_of_no_event(struct fix *f)
{
	data_send(f, 4711, 0, 100, false);
}

static void wrote_unwritten(struct fix *f)
{
	wrote_send(f, fix_event(f, &large_file), 100);
}

static void done_of_no_event(struct fix *f)
{
	done_send(f, 4711);
}

static void report_repeated(struct fix *f)
{
	report_send(f, 5);
	report_send(f, 5);
}

static void hello_again(struct fix *f)
{
	Idfw__Hello m = IDFW__HELLO__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;

	m.version_min = m.version_max = 1;
	e.body_case = IDFW__ENVELOPE__BODY_HELLO;
	e.hello = &m;
	tg_send(f->tg, "web01", &e);
}

static void verdict_of_its_own(struct fix *f)
{
	Idfw__FileVerdict m = IDFW__FILE_VERDICT__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;

	m.verdict = IDFW__FILE_VERDICT_KIND__FILE_VERDICT_ALLOW;
	e.body_case = IDFW__ENVELOPE__BODY_FILE_VERDICT;
	e.file_verdict = &m;
	tg_send(f->tg, "web01", &e);
}

static void over_its_credits(struct fix *f)
{
	for (int i = 0; i < 9; i++)
		(void)fix_event(f, &small_file);
}

static const struct breach {
	void (*commit)(struct fix *f);
	const char *why;
} breaches[] = {
	{ number_repeated, "FileEvent: its number is under way" },
	{ number_of_a_pending, "FileEvent: its number is under way" },
	{ data_unasked, "FileData: nobody asked for that" },
	{ data_of_no_event, "content of no event" },
	{ wrote_unwritten, "FileWrote: nobody wrote that" },
	{ done_of_no_event, "FileDone: of no event" },
	{ report_repeated, "FileReport: its number does not increase" },
	{ hello_again, "this sender may not send that message" },
	{ verdict_of_its_own, "this sender may not send that message" },
	{ over_its_credits, "FileEvent: more than its credits" },
};

static void still_works(struct fix *f, const char *vm)
{
	struct eps_event *ev;
	struct tg_verdict v;
	uint64_t id = tg_event(f->tg, vm, EPS_OP_OPEN, &small_file);

	ev = fix_next(f);
	assert_string_equal(eps_event_file(ev)->vm, vm);
	assert_int_equal(fix_answer(ev, EPS_ALLOW), 0);
	tg_verdict(f->tg, id, &v);
}

static void test_breach_ends_that_guest_alone(void **state)
{
	struct fix *f = *state;
	char why[WIRE_TEXT_MAX + 1];

	f->conf.credits = 8;
	fix_open(f);
	tg_up(f->tg, "db01");
	for (size_t i = 0; i < GI_ARRAY_SIZE(breaches); i++) {
		breaches[i].commit(f);
		tg_wait_closed(f->tg, "web01", why);
		assert_string_equal(why, breaches[i].why);
		fix_wait(f, &f->n_down, i + 1);
		still_works(f, "db01");
		assert_int_equal(fix_stats(f).guests, 1);
		assert_int_equal(fix_stats(f).bad_frames, i + 1);
		tg_up(f->tg, "web01");
	}
	still_works(f, "web01");
	assert_int_equal(fix_stats(f).memory_bytes, 0);
}

static void *read_thread(void *arg)
{
	struct eps_event *ev = arg;
	uint8_t buf[100000];
	size_t n;

	return (void *)(intptr_t)eps_read(ev, 16384, buf, sizeof(buf), &n);
}

static void test_wrong_answer_to_a_read(void **state)
{
	static const struct {
		uint64_t at;
		size_t len;
		bool eof;
		const char *why;
	} answers[] = {
		{ 16385, 100, false, "FileData: nobody asked for that" },
		{ 0, 100, false, "FileData: nobody asked for that" },
		{ 16384, 0, false, "FileData: without data" },
		{ 16384, 49153, false, "FileData: too much" },
		{ 16384, 511, false, "FileData: too small a piece" },
	};
	struct fix *f = *state;
	char why[WIRE_TEXT_MAX + 1];
	struct eps_event *ev;
	pthread_t t;
	uint64_t id, reads;
	void *ret;

	fix_open(f);
	for (size_t i = 0; i < GI_ARRAY_SIZE(answers); i++) {
		reads = tg_reads(f->tg);
		id = fix_event(f, &large_file);
		ev = fix_next(f);
		assert_int_equal(pthread_create(&t, NULL, read_thread, ev), 0);
		while (tg_reads(f->tg) == reads)
			(void)sched_yield();
		data_send(f, id, answers[i].at, answers[i].len, answers[i].eof);
		tg_wait_closed(f->tg, "web01", why);
		assert_string_equal(why, answers[i].why);
		assert_int_equal(pthread_join(t, &ret), 0);
		assert_int_equal((intptr_t)ret, -EPS_EGONE);
		assert_int_equal(fix_answer(ev, EPS_ALLOW), -EPS_EGONE);
		assert_int_equal(fix_stats(f).memory_bytes, 0);
		tg_up(f->tg, "web01");
	}
}

/* what crossed our verdict is no breach */
static void test_late_words_are_ignored(void **state)
{
	struct fix *f = *state;
	struct eps_event *ev;
	struct tg_verdict v;
	uint64_t id;

	fix_open(f);
	id = fix_event(f, &large_file);
	ev = fix_next(f);
	assert_int_equal(fix_answer(ev, EPS_ALLOW), 0);
	tg_verdict(f->tg, id, &v);
	data_send(f, id, 0, 100, false);
	wrote_send(f, id, 100);
	cancel_send(f, id);
	cancel_send(f, id + 100); /* its event was never sent */
	done_send(f, id);
	still_works(f, "web01");
	assert_int_equal(f->n_done, 0);
	assert_int_equal(fix_stats(f).bad_frames, 0);
}

static void test_too_many_events_are_answered_busy(void **state)
{
	struct fix *f = *state;
	struct eps_event *ev[3];
	struct tg_verdict v;
	uint64_t id[3];

	f->conf.max_events = 2;
	fix_open(f);
	for (int i = 0; i < 3; i++)
		id[i] = fix_event(f, &small_file);
	tg_verdict(f->tg, id[2], &v);
	assert_true(v.failed);
	assert_string_equal(v.reason, "busy");
	assert_int_equal(fix_stats(f).busy, 1);
	for (int i = 0; i < 2; i++) {
		ev[i] = fix_next(f);
		assert_int_equal(fix_answer(ev[i], EPS_ALLOW), 0);
		tg_verdict(f->tg, id[i], &v);
		assert_int_equal(v.kind, 1);
	}
	still_works(f, "web01");
}

static void test_heads_beyond_the_memory_are_answered_busy(void **state)
{
	struct fix *f = *state;
	struct tg_verdict v;
	uint64_t id;

	f->conf.max_memory = 250;
	f->conf.head_bytes = 100;
	fix_open(f);
	(void)fix_event(f, &small_file);
	(void)fix_event(f, &small_file);
	id = fix_event(f, &small_file);
	tg_verdict(f->tg, id, &v);
	assert_true(v.failed);
	assert_int_equal(fix_stats(f).memory_bytes, 200);
}

static void test_fewer_credits_are_not_held_against_it_at_once(void **state)
{
	struct fix *f = *state;
	char why[WIRE_TEXT_MAX + 1];

	f->conf.credits = 8;
	fix_open(f);
	tg_up(f->tg, "db01");
	for (int i = 0; i < 6; i++)
		(void)fix_event(f, &small_file);
	assert_int_equal(eps_guest_limits_set(f->eps, "web01", 2, 0), 0);
	(void)fix_event(f, &small_file);
	(void)fix_event(f, &small_file);
	fix_wait_queued(f, 8);
	(void)fix_event(f, &small_file); /* over what it ever had */
	tg_wait_closed(f->tg, "web01", why);
}

static void test_bad_routed_ends_the_link_alone(void **state)
{
	struct fix *f = *state;
	struct tg *other;

	fix_open(f);
	other = tg_new(&f->bed, "host2");
	tg_up(other, "db01");
	tg_send_frame(f->tg, "\xff\xff\xff", 3);
	tg_wait_cut(f->tg);
	fix_wait(f, &f->n_down, 1);
	assert_int_equal(fix_stats(f).links, 1);
	assert_int_equal(fix_stats(f).bad_frames, 1);
	tg_free(f->tg);
	f->tg = other;
	still_works(f, "db01");
}

static void test_stranger_is_refused(void **state)
{
	struct fix *f = *state;
	struct tg *t;

	fix_open(f);
	t = tg_new(&f->bed, "stranger");
	tg_wait_cut(t);
	tg_free(t);
	assert_int_equal(fix_stats(f).refused_links, 1);
	still_works(f, "web01");
}

static void test_vm_of_one_mux_is_not_taken_by_another(void **state)
{
	struct fix *f = *state;
	char why[WIRE_TEXT_MAX + 1];
	struct tg *other;

	fix_open(f);
	other = tg_new(&f->bed, "host2");
	tg_up_only(other, "web01");
	tg_wait_closed(other, "web01", why);
	assert_string_equal(why, "this VM is connected by another mux");
	still_works(f, "web01");
	tg_down(f->tg, "web01");
	fix_wait(f, &f->n_down, 1);
	tg_up(other, "web01"); /* it moved */
	tg_free(other);
	fix_wait(f, &f->n_down, 2);
}

static void test_same_mux_again_replaces_the_first(void **state)
{
	struct fix *f = *state;
	struct tg *again;

	fix_open(f);
	again = tg_new(&f->bed, "host1");
	tg_wait_cut(f->tg);
	tg_free(f->tg);
	f->tg = again;
	tg_up(again, "web01");
	still_works(f, "web01");
	assert_int_equal(fix_stats(f).links, 1);
}

/* 200 that say nothing: muxes still find room */
static void test_strangers_make_room(void **state)
{
	struct fix *f = *state;
	struct io_endpoint ep;
	int fds[200];
	struct pollfd oldest = { .events = POLLIN };
	uint8_t byte;
	struct tg *t;

	fix_open(f);
	assert_int_equal(io_endpoint_parse(f->bed.listen, &ep), 0);
	for (size_t i = 0; i < GI_ARRAY_SIZE(fds); i++) {
		fds[i] = -1;
		while (io_sock_connect(&ep, &fds[i]) == -EAGAIN) /* the backlog is full */
			(void)sched_yield();
	}
	t = tg_new(&f->bed, "host2");
	tg_up(t, "db01");
	still_works(f, "web01");
	tg_free(t);
	/* the oldest had to go, the latest is still waited for */
	oldest.fd = fds[0];
	assert_int_equal(poll(&oldest, 1, TG_WAIT_MS / 4), 1);
	assert_true(recv(fds[0], &byte, 1, MSG_DONTWAIT) <= 0);
	assert_int_equal(recv(fds[GI_ARRAY_SIZE(fds) - 1], &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
	for (size_t i = 0; i < GI_ARRAY_SIZE(fds); i++)
		if (fds[i] >= 0)
			(void)close(fds[i]);
}

static void test_open_says_what_is_wrong(void **state)
{
	static const char bad_name[] = "two words";
	struct fix *f = *state;
	struct eps_conf c;
	struct eps *e = NULL;
	char why[256];

#define BAD(field, value, err)                                             \
	do {                                                               \
		c = f->conf;                                               \
		c.field = value;                                           \
		why[0] = '\0';                                             \
		assert_int_equal(eps_open(&c, NULL, NULL, why, &e), err);  \
		assert_true(why[0] != '\0');                               \
		assert_null(e);                                            \
		assert_int_equal(eps_open(&c, NULL, NULL, NULL, &e), err); \
	} while (0)
	BAD(api_version, 2, -EPS_EVERSION);
	BAD(api_version, 0, -EPS_EVERSION);
	BAD(name, bad_name, -EINVAL);
	BAD(name, NULL, -EINVAL);
	BAD(version, "a\nb", -EINVAL);
	BAD(epoch_len, 0, -EINVAL);
	BAD(epoch_len, 33, -EINVAL);
	BAD(want, 1, -EINVAL);
	BAD(head_bytes, 49153, -EINVAL);
	BAD(credits, 65537, -EINVAL);
	BAD(read_ahead, (4u << 20) + 1, -EINVAL);
	BAD(max_memory, (16u << 10) - 1, -EINVAL); /* less than the default of head_bytes */
	BAD(listen, "tcp:localhost:1", -EINVAL);
	BAD(listen, NULL, -EINVAL);
	BAD(ca, "/nowhere", -EINVAL);
	BAD(key, "/nowhere", -ENOENT);
	BAD(listen, "unix:/nowhere/s", -ENOENT);
#undef BAD
	/* size 0 is version 1's; callbacks are optional */
	c = f->conf;
	c.size = 0;
	assert_int_equal(eps_open(&c, NULL, NULL, why, &e), 0);
	assert_string_equal(eps_strerror(-EPS_EGONE), eps_strerror(EPS_EGONE));
	assert_int_equal(eps_open(&c, NULL, NULL, why, &f->eps), -EADDRINUSE);
	f->eps = NULL;
	eps_close(e);
}

static volatile sig_atomic_t n_signals;
static pthread_t who_handled;

static void on_signal(int signum)
{
	(void)signum;
	n_signals++;
	who_handled = pthread_self();
}

/* a library: signals are handled where they were, SIGPIPE stays what it is */
static void test_open_leaves_signals_alone(void **state)
{
	struct fix *f = *state;
	struct sigaction sa = { .sa_handler = on_signal }, before, now;

	assert_int_equal(sigaction(SIGUSR1, &sa, NULL), 0);
	assert_int_equal(sigaction(SIGPIPE, &sa, &before), 0);
	assert_int_equal(eps_open(&f->conf, NULL, NULL, NULL, &f->eps), 0);
	assert_int_equal(sigaction(SIGPIPE, &before, &now), 0);
	assert_ptr_equal(now.sa_handler, on_signal);
	for (int i = 0; i < 20; i++)
		assert_int_equal(kill(getpid(), SIGUSR1), 0);
	assert_true(n_signals > 0);
	assert_true(pthread_equal(who_handled, pthread_self()));
}

#define T(name) cmocka_unit_test_setup_teardown(name, fix_setup, fix_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_breach_ends_that_guest_alone),
		T(test_wrong_answer_to_a_read),
		T(test_late_words_are_ignored),
		T(test_too_many_events_are_answered_busy),
		T(test_heads_beyond_the_memory_are_answered_busy),
		T(test_fewer_credits_are_not_held_against_it_at_once),
		T(test_bad_routed_ends_the_link_alone),
		T(test_stranger_is_refused),
		T(test_vm_of_one_mux_is_not_taken_by_another),
		T(test_same_mux_again_replaces_the_first),
		T(test_strangers_make_room),
		T(test_open_says_what_is_wrong),
		T(test_open_leaves_signals_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
