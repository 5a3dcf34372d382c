/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_core.c - the protocol without sockets: what needs a clock, or very many of something
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "tests/unit/epsec/core.h"

#define WAIT_MS 60000

static struct core core;

static int setup(void **state)
{
	*state = &core;
	if (core_init(&core) < 0)
		return -1;
	core_guest_up(&core);
	return 0;
}

static int teardown(void **state)
{
	core_fini(*state);
	return 0;
}

static void op_send(struct core *c, uint64_t id, Idfw__FileOp op)
{
	Idfw__FileEvent m = IDFW__FILE_EVENT__INIT;
	Idfw__Envelope env = IDFW__ENVELOPE__INIT;

	m.id = id;
	m.op = op;
	m.size = 1 << 20;
	env.body_case = IDFW__ENVELOPE__BODY_FILE_EVENT;
	env.file_event = &m;
	assert_int_equal(core_send(c, &env), 0);
}

static void event_send(struct core *c, uint64_t id)
{
	op_send(c, id, IDFW__FILE_OP__FILE_OP_OPEN);
}

static void done_send(struct core *c, uint64_t id)
{
	Idfw__FileDone m = IDFW__FILE_DONE__INIT;
	Idfw__Envelope env = IDFW__ENVELOPE__INIT;

	m.id = id;
	m.result = IDFW__FILE_DONE__RESULT__DONE;
	env.body_case = IDFW__ENVELOPE__BODY_FILE_DONE;
	env.file_done = &m;
	assert_int_equal(core_send(c, &env), 0);
}

static struct eps_event *take(struct core *c)
{
	struct eps_event *ev = NULL;

	assert_int_equal(eps_next(&c->e, 0, &ev), 0);
	return ev;
}

static void deny(struct core *c, uint64_t id)
{
	event_send(c, id);
	assert_int_equal(eps_answer(take(c), &(struct eps_verdict){ .kind = EPS_DENY }), 0);
	core_pump(c);
}

static void test_outcome_is_lost_after_its_time(void **state)
{
	struct core *c = *state;
	uint64_t now = io_clock_mono_ms();

	deny(c, 1);
	deny(c, 2);
	done_send(c, 2);
	assert_int_equal(c->n_done, 1);
	eps_core_tick(&c->e, now + EPS_DONE_MS - 1000);
	assert_int_equal(c->n_done, 1);
	eps_core_tick(&c->e, now + EPS_DONE_MS + 1000);
	assert_int_equal(c->n_done, 2);
	assert_int_equal(c->n_lost, 1);
	eps_core_tick(&c->e, now + 2 * EPS_DONE_MS);
	done_send(c, 1); /* too late, and no breach */
	assert_int_equal(c->n_done, 2);
	assert_non_null(c->link.guests);
}

static void test_outcome_comes_once_a_number(void **state)
{
	struct core *c = *state;

	deny(c, 1);
	done_send(c, 1);
	done_send(c, 1);
	assert_int_equal(c->n_done, 1);
	assert_int_equal(c->n_lost, 0);
}

/* each keeps memory until its outcome is known: a guest that never says is dropped */
static void test_outcomes_that_never_come_are_bounded(void **state)
{
	struct core *c = *state;
	uint64_t id = 0;

	while (id < EPS_PENDING_MAX)
		deny(c, ++id);
	event_send(c, ++id);
	assert_null(c->link.guests);
	assert_int_equal(id, EPS_PENDING_MAX + 1);
	assert_int_equal(c->n_lost, EPS_PENDING_MAX);
}

static void cancel_send(struct core *c, uint64_t id, Idfw__FileCancel__Reason reason)
{
	Idfw__FileCancel m = IDFW__FILE_CANCEL__INIT;
	Idfw__Envelope env = IDFW__ENVELOPE__INIT;

	m.id = id;
	m.reason = reason;
	env.body_case = IDFW__ENVELOPE__BODY_FILE_CANCEL;
	env.file_cancel = &m;
	assert_int_equal(core_send(c, &env), 0);
}

static void test_cancel_says_why(void **state)
{
	static const struct {
		Idfw__FileCancel__Reason reason;
		int err;
	} reasons[] = { { IDFW__FILE_CANCEL__REASON__CHANGED, -EPS_ECHANGED },
		{ IDFW__FILE_CANCEL__REASON__STOPPING, -EPS_EGONE } };
	struct core *c = *state;

	for (size_t i = 0; i < GI_ARRAY_SIZE(reasons); i++) {
		struct eps_event *ev;
		uint8_t buf[1];
		size_t n;

		event_send(c, i);
		ev = take(c);
		cancel_send(c, i, reasons[i].reason);
		assert_true(eps_event_gone(ev));
		assert_int_equal(eps_read(ev, 0, buf, 1, &n), reasons[i].err);
		assert_int_equal(
			eps_answer(ev, &(struct eps_verdict){ .kind = EPS_ALLOW }), -EPS_EGONE);
	}
}

/* a program of another time: what it does not know is the default, what we do not know is not read
 */
static void test_structs_are_as_long_as_they_say(void **state)
{
	struct {
		struct eps_conf conf;
		uint8_t later[64];
	} c = { .conf = { .api_version = EPS_API_VERSION,
			.name = "core",
			.version = "1",
			.epoch = (const uint8_t *)"e",
			.epoch_len = 1,
			.max_memory = 1,
			.read_ahead = SIZE_MAX } };
	char why[256];
	struct eps e;

	(void)state;
	assert_int_equal(eps_core_init(&e, &c.conf, NULL, NULL, why), -EINVAL);
	c.conf.size = offsetof(struct eps_conf, max_memory);
	assert_int_equal(eps_core_init(&e, &c.conf, NULL, NULL, why), 0);
	assert_int_equal(e.conf.max_memory, EPS_MEMORY_DEFAULT);
	assert_int_equal(e.conf.read_ahead, EPS_AHEAD_DEFAULT);
	eps_core_fini(&e);
	c.conf.max_memory = c.conf.read_ahead = 0;
	c.conf.size = sizeof(c);
	assert_int_equal(eps_core_init(&e, &c.conf, NULL, NULL, why), 0);
	eps_core_fini(&e);
}

static void test_wake_is_not_needed_by_who_sees_the_queue(void **state)
{
	struct core *c = *state;
	struct eps_event *ev = NULL;

	assert_int_equal(eps_next(&c->e, 0, &ev), -ETIMEDOUT);
	event_send(c, 1);
	event_send(c, 2);
	assert_int_equal(eps_answer(take(c), &(struct eps_verdict){ .kind = EPS_ALLOW }), 0);
	assert_int_equal(eps_answer(take(c), &(struct eps_verdict){ .kind = EPS_ALLOW }), 0);
	assert_int_equal(eps_next(&c->e, 0, &ev), -ETIMEDOUT);
	eps_stop(&c->e);
	assert_int_equal(eps_next(&c->e, 0, &ev), -EPS_ESTOPPED);
}

/* the agent reads the heads of files while it sends others: numbers overtake each other */
static void *taker(void *arg)
{
	struct eps_event *ev = NULL;

	return eps_next(arg, -1, &ev) == 0 ? ev : NULL;
}

/* waits until that many threads are in eps_next(), with that many events before them */
static bool becomes(struct eps *e, unsigned int waiters, size_t events)
{
	uint64_t until = io_clock_mono_ms() + WAIT_MS;
	bool so = false;

	while (!so && io_clock_mono_ms() < until) {
		(void)sched_yield();
		(void)pthread_mutex_lock(&e->lock);
		so = e->waiters == waiters && e->n_waiting == events;
		(void)pthread_mutex_unlock(&e->lock);
	}
	return so;
}

/* one signal for all that came in a round: who is woken by it wakes the next */
static void test_one_signal_wakes_as_many_as_there_are_events(void **state)
{
	struct core *c = *state;
	pthread_t t[3];
	void *ev[3];
	bool all;

	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&t[i], NULL, taker, &c->e), 0);
	assert_true(becomes(&c->e, 3, 0));
	for (uint64_t id = 1; id <= 3; id++)
		event_send(c, id); /* there is no loop here, so nobody is woken yet */
	assert_true(becomes(&c->e, 3, 3));
	(void)pthread_cond_signal(&c->e.ready);
	all = becomes(&c->e, 0, 0);
	if (!all)
		eps_stop(&c->e);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(pthread_join(t[i], &ev[i]), 0);
		if (ev[i])
			(void)eps_answer(ev[i], &(struct eps_verdict){ .kind = EPS_ALLOW });
	}
	assert_true(all);
}

static void test_numbers_come_in_any_order(void **state)
{
	static const uint64_t ids[] = { 5, 2, 9, 1, 0 };
	struct core *c = *state;

	for (size_t i = 0; i < GI_ARRAY_SIZE(ids); i++)
		event_send(c, ids[i]);
	for (size_t i = 0; i < GI_ARRAY_SIZE(ids); i++) {
		struct eps_event *ev = take(c);

		assert_int_equal(ev->p.node.key, ids[i]);
		assert_int_equal(eps_answer(ev, &(struct eps_verdict){ .kind = EPS_ALLOW }), 0);
	}
	assert_non_null(c->link.guests);
}

static void take_and_allow(struct core *c, uint64_t id)
{
	struct eps_event *ev = take(c);

	assert_int_equal(ev->p.node.key, id);
	assert_int_equal(eps_answer(ev, &(struct eps_verdict){ .kind = EPS_ALLOW }), 0);
	core_pump(c);
}

/* many slow written files before it: who is held does not wait for all of these */
static void test_who_is_held_goes_first(void **state)
{
	static const uint64_t order[] = { 4, 5, 6, 1, 2, 3 };
	struct core *c = *state;

	op_send(c, 1, IDFW__FILE_OP__FILE_OP_CLOSE_WRITE);
	op_send(c, 2, IDFW__FILE_OP__FILE_OP_RESCAN);
	op_send(c, 3, IDFW__FILE_OP__FILE_OP_DEMAND);
	op_send(c, 4, IDFW__FILE_OP__FILE_OP_OPEN);
	op_send(c, 5, IDFW__FILE_OP__FILE_OP_EXEC);
	op_send(c, 6, IDFW__FILE_OP__FILE_OP_OPEN);
	for (size_t i = 0; i < GI_ARRAY_SIZE(order); i++)
		take_and_allow(c, order[i]);
}

/* somebody is held all the time: each eighth is one that was written */
static void test_who_is_held_starves_nobody(void **state)
{
	struct core *c = *state;

	op_send(c, 1001, IDFW__FILE_OP__FILE_OP_CLOSE_WRITE);
	op_send(c, 1002, IDFW__FILE_OP__FILE_OP_CLOSE_WRITE);
	event_send(c, 1);
	for (uint64_t id = 1; id <= 2 * EPS_HELD_RUN; id++) {
		event_send(c, id + 1);
		take_and_allow(c, id);
		if (id % EPS_HELD_RUN == 0)
			take_and_allow(c, 1000 + id / EPS_HELD_RUN);
	}
	take_and_allow(c, 2 * EPS_HELD_RUN + 1);
}

/* lost while they wait, of both kinds: the rest is handed out */
static void test_lost_ones_leave_both_queues(void **state)
{
	struct core *c = *state;
	struct eps_event *ev = NULL;

	for (uint64_t id = 1; id <= 6; id++)
		op_send(c, id,
			id % 2 ? IDFW__FILE_OP__FILE_OP_OPEN : IDFW__FILE_OP__FILE_OP_CLOSE_WRITE);
	cancel_send(c, 1, IDFW__FILE_CANCEL__REASON__CHANGED);
	cancel_send(c, 6, IDFW__FILE_CANCEL__REASON__CHANGED);
	cancel_send(c, 3, IDFW__FILE_CANCEL__REASON__CHANGED);
	take_and_allow(c, 5);
	take_and_allow(c, 2);
	cancel_send(c, 4, IDFW__FILE_CANCEL__REASON__CHANGED);
	assert_int_equal(eps_next(&c->e, 0, &ev), -ETIMEDOUT);
	event_send(c, 7);
	take_and_allow(c, 7);
}

static void test_there_is_a_largest_number_of_machines(void **state)
{
	struct core *c = *state;
	char name[32];

	for (unsigned int i = 1; i < EPS_VMS_MAX; i++) { /* "a" is one */
		(void)snprintf(name, sizeof(name), "vm%u", i);
		assert_int_equal(eps_guest_limits_set(&c->e, name, 1, 0), 0);
	}
	assert_int_equal(eps_guest_limits_set(&c->e, "more", 1, 0), -EPS_ELIMIT);
	assert_int_equal(eps_guest_limits_set(&c->e, "vm5", 2, 0), 0);
}

static void test_version_of_another_time_is_refused(void **state)
{
	struct core *c = *state;
	Idfw__Hello h = IDFW__HELLO__INIT;
	Idfw__Envelope env = IDFW__ENVELOPE__INIT;
	Idfw__VmUp up = IDFW__VM_UP__INIT;
	Idfw__Routed r;
	uint8_t buf[64], boot_id[16] = { 1 };
	size_t sent = c->n_sent, len;

	idfw__routed__init(&r);
	r.vm = (char *)(uintptr_t) "a";
	r.body_case = IDFW__ROUTED__BODY_UP;
	r.up = &up;
	len = idfw__routed__pack(&r, buf);
	core_frame(c, buf, len); /* it connected again */
	h.version_min = 7;
	h.version_max = 9;
	h.boot_id.data = boot_id;
	h.boot_id.len = sizeof(boot_id);
	env.body_case = IDFW__ENVELOPE__BODY_HELLO;
	env.hello = &h;
	assert_int_equal(core_send(c, &env), 0);
	assert_int_equal(c->n_sent, sent + 2); /* Refused, VmClose */
	assert_null(c->link.guests);
}

static void test_stats_fill_what_the_caller_knows(void **state)
{
	struct core *c = *state;
	struct eps_stats s;

	event_send(c, 1);
	memset(&s, 0xff, sizeof(s));
	s.size = offsetof(struct eps_stats, looked);
	eps_stats(&c->e, &s);
	assert_int_equal(s.events, 1);
	assert_true(s.looked == UINT64_MAX); /* beyond what it said */
	assert_int_equal(s.size, offsetof(struct eps_stats, looked));
	s.size = sizeof(s);
	eps_stats(&c->e, &s);
	assert_int_equal(s.waiting, 1);
	assert_int_equal(s.guests, 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_outcome_is_lost_after_its_time),
		T(test_outcome_comes_once_a_number),
		T(test_outcomes_that_never_come_are_bounded),
		T(test_cancel_says_why),
		T(test_structs_are_as_long_as_they_say),
		T(test_wake_is_not_needed_by_who_sees_the_queue),
		T(test_one_signal_wakes_as_many_as_there_are_events),
		T(test_numbers_come_in_any_order),
		T(test_who_is_held_goes_first),
		T(test_who_is_held_starves_nobody),
		T(test_lost_ones_leave_both_queues),
		T(test_there_is_a_largest_number_of_machines),
		T(test_version_of_another_time_is_refused),
		T(test_stats_fill_what_the_caller_knows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
