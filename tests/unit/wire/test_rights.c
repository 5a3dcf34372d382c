/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_rights.c - the table of docs/wire.md "Who may send what", sender by sender
 *
 * Written out a second time on purpose, and from the sender's side: a row added to rights.c
 * by mistake shows up as a difference here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "lib/wire/wire.h"

#define B(x) IDFW__ENVELOPE__BODY_##x

static const struct {
	enum wire_sender who;
	enum wire_state state;
	int bodies[16]; /* 0 ends */
} allowed[] = {
	{ WIRE_AGENT, WIRE_NEW, { B(HELLO) } },
	{ WIRE_AGENT, WIRE_OPEN,
		{ B(PING), B(PONG), B(EVENT), B(SNAPSHOT), B(APPLIED), B(MARKS), B(ALARM) } },
	{ WIRE_SVM_TO_AGENT, WIRE_NEW, { B(HELLO_ACK), B(REFUSED) } },
	{ WIRE_SVM_TO_AGENT, WIRE_OPEN,
		{ B(REFUSED), B(PING), B(PONG), B(EVENT_ACK), B(RULESET_BEGIN), B(RULESET_PART),
			B(RULESET_COMMIT), B(DELTA), B(SESSION_READY), B(KICK), B(LEASE),
			B(SERVICE_WATCH) } },
	{ WIRE_CTL, WIRE_NEW, { B(HELLO), B(CTL_REQUEST) } },
	{ WIRE_CTL, WIRE_OPEN, { B(CTL_REQUEST), B(CTL_DATA) } },
	{ WIRE_SVM_TO_CTL, WIRE_NEW,
		{ B(HELLO_ACK), B(REFUSED), B(CTL_ROW), B(CTL_TEXT), B(CTL_END) } },
	{ WIRE_SVM_TO_CTL, WIRE_OPEN, { B(REFUSED), B(CTL_ROW), B(CTL_TEXT), B(CTL_END) } },
	{ WIRE_DIR_CHILD, WIRE_NEW,
		{ B(PONG), B(DIR_RESULT), B(DIR_CHANGED), B(DIR_STATE), B(DIR_SERVERS),
			B(DIR_REPORT) } },
	{ WIRE_DIR_CHILD, WIRE_OPEN,
		{ B(PONG), B(DIR_RESULT), B(DIR_CHANGED), B(DIR_STATE), B(DIR_SERVERS),
			B(DIR_REPORT) } },
	{ WIRE_SVM_TO_DIR, WIRE_NEW, { B(PING), B(DIR_LOOKUP), B(DIR_QUERY), B(DIR_SYNC) } },
	{ WIRE_SVM_TO_DIR, WIRE_OPEN, { B(PING), B(DIR_LOOKUP), B(DIR_QUERY), B(DIR_SYNC) } },
	{ WIRE_FILE_AGENT, WIRE_NEW, { B(HELLO) } },
	{ WIRE_FILE_AGENT, WIRE_OPEN,
		{ B(PING), B(PONG), B(FILE_EVENT), B(FILE_DATA), B(FILE_WROTE), B(FILE_DONE),
			B(FILE_CANCEL), B(FILE_REPORT), B(FILE_COUNTERS), B(FILE_REPLY),
			B(LOG_LINE) } },
	{ WIRE_SCAN_TO_AGENT, WIRE_NEW, { B(HELLO_ACK), B(REFUSED) } },
	{ WIRE_SCAN_TO_AGENT, WIRE_OPEN,
		{ B(REFUSED), B(PING), B(PONG), B(SCAN_SETTINGS), B(FILE_READ), B(FILE_WRITE),
			B(FILE_VERDICT), B(FILE_REPORT_ACK), B(FILE_COMMAND) } },
	{ WIRE_SCAN, WIRE_NEW, { B(HELLO) } },
	{ WIRE_SCAN, WIRE_OPEN, { B(PING), B(PONG), B(SCAN_RECORD) } },
	{ WIRE_SVM_TO_SCAN, WIRE_NEW, { B(HELLO_ACK), B(REFUSED) } },
	{ WIRE_SVM_TO_SCAN, WIRE_OPEN, { B(REFUSED), B(PING), B(PONG), B(SCAN_ACK) } },
	{ WIRE_SCAN_WORKER, WIRE_NEW, { B(SCAN_READY) } },
	{ WIRE_SCAN_WORKER, WIRE_OPEN, { B(SCAN_NEED), B(SCAN_RESULT) } },
	{ WIRE_SCAN_TO_WORKER, WIRE_NEW, { B(SCAN_JOB) } },
	{ WIRE_SCAN_TO_WORKER, WIRE_OPEN, { B(SCAN_JOB), B(SCAN_BYTES) } },
};

static bool expected(size_t row, int body)
{
	for (size_t i = 0; i < GI_ARRAY_SIZE(allowed[row].bodies); i++)
		if (body && allowed[row].bodies[i] == body)
			return true;
	return false;
}

static void test_may_send_matches_the_documented_table(void **state)
{
	(void)state;
	assert_int_equal(GI_ARRAY_SIZE(allowed), 2 * WIRE_SENDERS); /* both states of each */
	for (size_t row = 0; row < GI_ARRAY_SIZE(allowed); row++)
		for (int body = 0; body < 128; body++)
			if (wire_may_send(allowed[row].who, allowed[row].state, body) !=
				expected(row, body))
				fail_msg("sender %d state %d: %s", (int)allowed[row].who,
					(int)allowed[row].state, wire_body_name(body));
}

static void test_may_send_unknown_sender_is_denied(void **state)
{
	(void)state;
	assert_false(wire_may_send((enum wire_sender)WIRE_SENDERS, WIRE_OPEN, B(PING)));
	assert_false(wire_may_send((enum wire_sender) - 1, WIRE_OPEN, B(PING)));
}

static void test_body_name_has_words_for_all(void **state)
{
	(void)state;
	assert_string_equal(wire_body_name(B(DELTA)), "Delta");
	assert_string_equal(wire_body_name(B(DIR_STATE)), "DirState");
	assert_string_equal(wire_body_name(B(SCAN_READY)), "ScanReady");
	assert_string_equal(wire_body_name(0), "nothing");
	assert_string_equal(wire_body_name(9999), "nothing");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_may_send_matches_the_documented_table),
		cmocka_unit_test(test_may_send_unknown_sender_is_denied),
		cmocka_unit_test(test_body_name_has_words_for_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
