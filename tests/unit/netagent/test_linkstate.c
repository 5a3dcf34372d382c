/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_linkstate.c - the link's table: the good way through, and every bad turn
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/base/err.h"
#include "netagent/linkstate.h"

static void test_step_good_way(void **state)
{
	static const struct {
		enum na_link_input in;
		enum na_link_state next;
		unsigned int actions;
	} way[] = {
		{ NA_LINK_IN_TIMER, NA_LINK_CONNECTING, NA_LINK_CONNECT },
		{ NA_LINK_IN_READY, NA_LINK_HELLO, NA_LINK_SEND_HELLO },
		{ NA_LINK_IN_HELLO_ACK, NA_LINK_REPLAY, NA_LINK_ACKED | NA_LINK_PUMP },
		{ NA_LINK_IN_MESSAGE, NA_LINK_REPLAY, NA_LINK_HANDLE },
		{ NA_LINK_IN_DRY, NA_LINK_OPEN,
			NA_LINK_SEND_SNAPSHOT | NA_LINK_BACKOFF_RESET | NA_LINK_PUMP },
		{ NA_LINK_IN_MESSAGE, NA_LINK_OPEN, NA_LINK_HANDLE },
		{ NA_LINK_IN_DRY, NA_LINK_OPEN, 0 },
		{ NA_LINK_IN_RESYNC, NA_LINK_DOWN, NA_LINK_CLOSE | NA_LINK_BACKOFF },
	};
	enum na_link_state s = NA_LINK_DOWN;

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(way); i++) {
		struct na_link_step step = na_link_step(s, way[i].in);

		assert_int_equal(step.next, way[i].next);
		assert_int_equal(step.actions, way[i].actions);
		s = step.next;
	}
}

/* whatever happens: a connection that ends is closed and tried again, and never without a pause */
static void test_step_every_end_closes_and_backs_off(void **state)
{
	(void)state;
	for (int s = NA_LINK_CONNECTING; s < NA_LINK_STATES; s++) {
		static const enum na_link_input ends[] = { NA_LINK_IN_CLOSED, NA_LINK_IN_DEADLINE };

		for (size_t i = 0; i < GI_ARRAY_SIZE(ends); i++) {
			struct na_link_step step = na_link_step((enum na_link_state)s, ends[i]);

			assert_int_equal(step.next, NA_LINK_DOWN);
			assert_int_equal(step.actions, NA_LINK_CLOSE | NA_LINK_BACKOFF);
		}
	}
}

static void test_step_all_pairs_hold_the_rules(void **state)
{
	(void)state;
	for (int s = 0; s < NA_LINK_STATES; s++) {
		for (int in = 0; in < NA_LINK_INPUTS; in++) {
			struct na_link_step step =
				na_link_step((enum na_link_state)s, (enum na_link_input)in);

			/* going down always closes and waits; nothing else does */
			assert_int_equal(s != NA_LINK_DOWN && step.next == NA_LINK_DOWN,
				(step.actions & NA_LINK_CLOSE) != 0);
			assert_int_equal((step.actions & NA_LINK_CLOSE) != 0,
				(step.actions & (NA_LINK_BACKOFF | NA_LINK_BACKOFF_LONG)) != 0);
			/* no message is acted upon before HelloAck */
			if (s < NA_LINK_REPLAY)
				assert_false(step.actions & NA_LINK_HANDLE);
			/* the Snapshot comes after the replay, once */
			assert_int_equal(s == NA_LINK_REPLAY && step.next == NA_LINK_OPEN,
				(step.actions & NA_LINK_SEND_SNAPSHOT) != 0);
			/* only a link that got as far as the Snapshot starts over quickly */
			if (step.actions & NA_LINK_BACKOFF_RESET)
				assert_int_equal(step.next, NA_LINK_OPEN);
		}
	}
}

static void test_step_refused_waits_long(void **state)
{
	(void)state;
	for (int s = NA_LINK_HELLO; s < NA_LINK_STATES; s++)
		assert_int_equal(na_link_step((enum na_link_state)s, NA_LINK_IN_REFUSED).actions,
			NA_LINK_CLOSE | NA_LINK_BACKOFF_LONG);
}

static void test_step_second_hello_ack_ends_it(void **state)
{
	(void)state;
	assert_int_equal(na_link_step(NA_LINK_REPLAY, NA_LINK_IN_HELLO_ACK).next, NA_LINK_DOWN);
	assert_int_equal(na_link_step(NA_LINK_OPEN, NA_LINK_IN_HELLO_ACK).next, NA_LINK_DOWN);
	assert_string_equal(na_link_state_name(NA_LINK_OPEN), "open");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_step_good_way),
		cmocka_unit_test(test_step_every_end_closes_and_backs_off),
		cmocka_unit_test(test_step_all_pairs_hold_the_rules),
		cmocka_unit_test(test_step_refused_waits_long),
		cmocka_unit_test(test_step_second_hello_ack_ends_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
