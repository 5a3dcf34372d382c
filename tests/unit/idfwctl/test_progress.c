/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_progress.c - the line of a running scan
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "idfwctl/progress.h"

static void test_progress_format(void **state)
{
	static const struct {
		struct ctl_progress p;
		const char *want;
	} rows[] = {
		{ { .files = 0 }, "[--------------------] 0 files  0 B/s  0 found" },
		{ { .files = 12, .bytes = 5000, .elapsed_ms = 500 },
			"[--------------------] 12 files  10.0 kB/s  0 found" },
		{ { .files = 25, .bytes = 50000000, .total = 100, .elapsed_ms = 4000, .found = 2 },
			"[#####---------------]  25 % of 100 files  12.5 MB/s  2 found  12 s" },
		{ { .files = 100, .total = 100, .elapsed_ms = 4000 },
			"[####################] 100 % of 100 files  0 B/s  0 found  0 s" },
		/* more than were counted: files came meanwhile */
		{ { .files = 30, .total = 20, .elapsed_ms = 500 },
			"[####################] 100 % of 30 files  0 B/s  0 found" },
		{ { .files = 1, .bytes = 999999, .total = 3, .elapsed_ms = 1000 },
			"[######--------------]  33 % of 3 files  1.0 MB/s  0 found  2 s" },
	};
	char buf[CTL_PROGRESS_STRLEN];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(ctl_progress_format(&rows[i].p, buf), rows[i].want);
}

static void test_progress_fits_a_line(void **state)
{
	struct ctl_progress p = { .files = UINT64_MAX / 200,
		.bytes = UINT64_MAX / 2000,
		.total = UINT64_MAX / 100,
		.found = UINT64_MAX,
		.elapsed_ms = 1000 };
	char buf[CTL_PROGRESS_STRLEN];

	(void)state;
	assert_true(strlen(ctl_progress_format(&p, buf)) <= 79);
}

static void test_progress_summary(void **state)
{
	struct ctl_progress p = {
		.files = 3, .bytes = 1234, .found = 1, .failed = 2, .skipped = 4
	};
	char buf[CTL_PROGRESS_STRLEN];

	(void)state;
	assert_string_equal(
		ctl_progress_summary(&p, buf), "3 files, 1.2 kB: 1 found, 2 failed, 4 skipped");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_progress_format),
		cmocka_unit_test(test_progress_fits_a_line),
		cmocka_unit_test(test_progress_summary),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
