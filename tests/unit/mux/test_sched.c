/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_sched.c - shares, order, bounds of the fair scheduler
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "mux/sched.h"

#define GUESTS 8
#define MAX (1u << 20)

static struct mux_sched sched;
static struct mux_queue queues[GUESTS];
static size_t got_bytes[GUESTS], got_frames[GUESTS];

static int setup(void **state)
{
	(void)state;
	mux_sched_init(&sched);
	for (size_t i = 0; i < GUESTS; i++) {
		mux_queue_init(&queues[i], &got_bytes[i]);
		got_bytes[i] = got_frames[i] = 0;
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < GUESTS; i++)
		mux_queue_clear(&sched, &queues[i]);
	assert_null(sched.turn);
	assert_int_equal(sched.frames, 0);
	assert_int_equal(sched.bytes, 0);
	return 0;
}

static void push(size_t guest, size_t len, uint32_t number)
{
	static uint8_t data[70000];

	memcpy(data, &number, sizeof(number));
	assert_int_equal(
		mux_queue_push(&sched, &queues[guest], MUX_FRAME_ENVELOPE, data, len, SIZE_MAX / 2),
		0);
}

/* the guest whose frame was sent, or GUESTS; *ret_number: what it said */
static size_t pop(uint32_t *ret_number)
{
	struct mux_queue *q = NULL;
	struct mux_frame *f = mux_sched_pop(&sched, &q);
	size_t guest;

	if (!f)
		return GUESTS;
	guest = (size_t)(q - queues);
	got_bytes[guest] += sizeof(*f) + f->len;
	got_frames[guest]++;
	memcpy(ret_number, f->data, sizeof(*ret_number));
	free(f);
	return guest;
}

static void test_pop_empty_is_null(void **state)
{
	struct mux_queue *q = NULL;

	(void)state;
	assert_null(mux_sched_pop(&sched, &q));
	assert_null(q);
}

static void test_pop_keeps_the_order_of_each_guest(void **state)
{
	uint32_t last[GUESTS] = { 0 }, number = 0;
	size_t g, n = 0;

	(void)state;
	for (uint32_t i = 1; i <= 500; i++)
		for (g = 0; g < 3; g++)
			push(g, 4 + (i * 37 * (g + 1)) % 3000, i);
	while ((g = pop(&number)) != GUESTS) {
		assert_int_equal(number, last[g] + 1);
		last[g] = number;
		n++;
	}
	assert_int_equal(n, 1500);
}

/* tiny frames, middle ones, the largest: each gets a third of the bytes */
static void test_pop_shares_bytes_not_frames(void **state)
{
	static const size_t sizes[] = { 20, 1500, 66000 };
	uint32_t number = 0;
	size_t total = 0, frames_max = 0;

	(void)state;
	for (size_t g = 0; g < 3; g++)
		for (size_t sent = 0; sent < 4000000; sent += sizes[g])
			push(g, sizes[g], 0);
	while (total < 3000000) {
		size_t g = pop(&number);

		assert_true(g < 3);
		total = got_bytes[0] + got_bytes[1] + got_bytes[2];
	}
	for (size_t g = 0; g < 3; g++) {
		frames_max = sizes[g] > frames_max ? sizes[g] : frames_max;
		/* nobody is ahead by more than a turn and the largest frame */
		assert_true(got_bytes[g] + MUX_QUANTUM + 67000 > total / 3);
		assert_true(got_bytes[g] < total / 3 + MUX_QUANTUM + 67000);
	}
	assert_true(got_frames[0] > 10 * got_frames[2]);
}

/* a quiet guest speaks up: at most one turn of each other is ahead of it */
static void test_pop_quiet_guest_waits_one_turn(void **state)
{
	uint32_t number = 0;
	size_t ahead = 0;

	(void)state;
	for (size_t g = 1; g < GUESTS; g++)
		for (int i = 0; i < 2000; i++)
			push(g, 500, 0);
	for (int i = 0; i < 777; i++)
		(void)pop(&number);
	push(0, 50, 4711);
	while (pop(&number) != 0)
		ahead++;
	assert_int_equal(number, 4711);
	assert_true(ahead <= (GUESTS - 1) * (MUX_QUANTUM / 500 + 1));
}

/* credit is not saved up while there is nothing to say */
static void test_pop_idle_guest_earns_nothing(void **state)
{
	uint32_t number = 0;
	size_t run = 0;

	(void)state;
	for (int i = 0; i < 1000; i++)
		push(1, 1000, 0);
	for (int i = 0; i < 50; i++) { /* guest 0 says little, many times over */
		push(0, 10, 0);
		while (pop(&number) != 0)
			;
	}
	for (int i = 0; i < 1000; i++)
		push(0, 1000, 0);
	while (pop(&number) == 1)
		;
	while (pop(&number) == 0)
		run++;
	assert_true(run <= MUX_QUANTUM / 1000 + 1);
}

static void test_push_over_the_bound_is_full(void **state)
{
	static const uint8_t data[1000];
	struct mux_queue *q = &queues[0];
	int err = 0;
	size_t n = 0;

	(void)state;
	while (!err && n < 100) {
		err = mux_queue_push(&sched, q, MUX_FRAME_ENVELOPE, data, sizeof(data), 10000);
		n += !err;
	}
	assert_int_equal(err, -GI_EFULL);
	assert_true(n >= 8 && n < 10);
	assert_true(q->bytes <= 10000);
	assert_int_equal(sched.frames, n);
	/* an empty queue takes any frame: else the largest could never pass */
	assert_int_equal(mux_queue_push(&sched, &queues[1], MUX_FRAME_ENVELOPE, data, 1000, 10), 0);
	assert_int_equal(
		mux_queue_push(&sched, &queues[1], MUX_FRAME_ENVELOPE, data, 1, 10), -GI_EFULL);
}

static void test_clear_in_the_middle_of_a_turn(void **state)
{
	uint32_t number = 0;
	size_t left = 0;

	(void)state;
	for (size_t g = 0; g < 3; g++)
		for (int i = 0; i < 100; i++)
			push(g, 1000, 0);
	assert_int_equal(pop(&number), 0);
	mux_queue_clear(&sched, &queues[0]); /* its turn */
	mux_queue_clear(&sched, &queues[2]); /* not its turn */
	mux_queue_clear(&sched, &queues[2]); /* twice is nothing */
	while (pop(&number) == 1)
		left++;
	assert_int_equal(left, 100);
	assert_int_equal(sched.frames, 0);
	push(0, 10, 9);
	assert_int_equal(pop(&number), 0);
	assert_int_equal(number, 9);
}

static void test_pop_tells_kind_and_owner(void **state)
{
	struct mux_queue *q = NULL;
	struct mux_frame *f;

	(void)state;
	assert_int_equal(mux_queue_push(&sched, &queues[3], MUX_FRAME_DOWN, "x", 1, MAX), 0);
	f = mux_sched_pop(&sched, &q);
	assert_non_null(f);
	assert_int_equal(f->kind, MUX_FRAME_DOWN);
	assert_int_equal(f->len, 1);
	assert_ptr_equal(q, &queues[3]);
	assert_ptr_equal(q->arg, &got_bytes[3]);
	free(f);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_pop_empty_is_null),
		TEST(test_pop_keeps_the_order_of_each_guest),
		TEST(test_pop_shares_bytes_not_frames),
		TEST(test_pop_quiet_guest_waits_one_turn),
		TEST(test_pop_idle_guest_earns_nothing),
		TEST(test_push_over_the_bound_is_full),
		TEST(test_clear_in_the_middle_of_a_turn),
		TEST(test_pop_tells_kind_and_owner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
