/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_passed.c - FilePassed reports: some leave, the rest is counted, none is forgotten
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "fileagent/passed.h"
#include "lib/base/err.h"

static bool take(struct fa_passed *p, const char *reason, const char *path, uint64_t now_ms,
	uint64_t *hidden)
{
	Idfw__FileReport rep = IDFW__FILE_REPORT__INIT;
	Idfw__FilePassed passed = IDFW__FILE_PASSED__INIT;

	passed.reason = (char *)reason;
	passed.path = (ProtobufCBinaryData){ .len = strlen(path), .data = (uint8_t *)path };
	rep.body_case = IDFW__FILE_REPORT__BODY_PASSED;
	rep.passed = &passed;
	return fa_passed_take(p, &rep, now_ms, hidden);
}

static void test_take_storm_reported_and_hidden_add_up(void **state)
{
	struct fa_passed p = { 0 };
	uint64_t now = 1000000, reported = 0, sum = 0, hidden;

	(void)state;
	for (int i = 0; i < 100000; i++, now += 1) {
		if (take(&p, "service down", "/a", now, &hidden)) {
			reported++;
			sum += hidden;
		}
	}
	/* 100 s: the burst, and one each 5 s */
	assert_int_equal(reported, FA_PASSED_BURST + 100000 / FA_PASSED_MS - 1);
	assert_true(fa_passed_waits(&p));
	now += FA_PASSED_MS;
	{
		Idfw__FileReport *rep = NULL;

		assert_true(fa_passed_due(&p, now, &rep));
		reported++;
		sum += rep->passed->hidden;
		assert_string_equal(rep->passed->reason, "service down");
		idfw__file_report__free_unpacked(rep, NULL);
		assert_false(fa_passed_due(&p, now, &rep));
	}
	assert_int_equal(reported + sum, 100000);
	assert_false(fa_passed_waits(&p));
	fa_passed_fini(&p);
}

static void test_take_each_reason_has_its_own_tokens(void **state)
{
	struct fa_passed p = { 0 };
	uint64_t hidden;

	(void)state;
	for (int i = 0; i < 1000; i++)
		(void)take(&p, "deadline", "/a", 5, &hidden);
	assert_true(take(&p, "too large", "/b", 5, &hidden));
	assert_int_equal(hidden, 0);
	fa_passed_fini(&p);
}

static void test_due_is_the_last_one_that_was_hidden(void **state)
{
	struct fa_passed p = { 0 };
	Idfw__FileReport *rep = NULL;
	uint64_t hidden;
	char path[32];

	(void)state;
	for (int i = 0; i < FA_PASSED_BURST + 7; i++) {
		snprintf(path, sizeof(path), "/file-%d", i);
		(void)take(&p, "deadline", path, 5, &hidden);
	}
	assert_false(fa_passed_due(&p, 5, &rep));
	assert_false(fa_passed_due(&p, FA_PASSED_MS + 4, &rep));
	assert_true(fa_passed_due(&p, FA_PASSED_MS + 5, &rep));
	assert_int_equal(rep->passed->hidden, 6);
	assert_int_equal(rep->passed->path.len, 8);
	assert_memory_equal(rep->passed->path.data, "/file-16", 8);
	idfw__file_report__free_unpacked(rep, NULL);
	fa_passed_fini(&p);
}

static void test_take_more_reasons_than_buckets_share_the_last(void **state)
{
	struct fa_passed p = { 0 };
	uint64_t hidden, reported = 0;
	char reason[32];

	(void)state;
	for (int i = 0; i < 1000; i++) {
		snprintf(reason, sizeof(reason), "reason %d", i);
		reported += take(&p, reason, "/x", 5, &hidden);
	}
	assert_int_equal(p.n, FA_PASSED_REASONS);
	assert_int_equal(reported, FA_PASSED_REASONS - 1 + FA_PASSED_BURST);
	fa_passed_fini(&p);
}

static void test_take_clock_that_stands_or_jumps_back(void **state)
{
	struct fa_passed p = { 0 };
	uint64_t hidden;

	(void)state;
	for (int i = 0; i < FA_PASSED_BURST; i++)
		assert_true(take(&p, "quota", "/x", 100, &hidden));
	assert_false(take(&p, "quota", "/x", 100, &hidden));
	assert_false(take(&p, "quota", "/x", 50, &hidden));
	assert_false(take(&p, "quota", "/x", 101, &hidden));
	assert_true(take(&p, "quota", "/x", UINT64_MAX, &hidden));
	assert_int_equal(hidden, 3);
	fa_passed_fini(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_take_storm_reported_and_hidden_add_up),
		cmocka_unit_test(test_take_each_reason_has_its_own_tokens),
		cmocka_unit_test(test_due_is_the_last_one_that_was_hidden),
		cmocka_unit_test(test_take_more_reasons_than_buckets_share_the_last),
		cmocka_unit_test(test_take_clock_that_stands_or_jumps_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
