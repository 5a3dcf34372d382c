/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_table.c - columns, cleaning, colours, times; and the rows of show.c without a server
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "idfwctl/show.h"

static void expect_table(const struct ctl_table *t, bool color, const char *want)
{
	char *got = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&got, &len);

	assert_non_null(f);
	assert_int_equal(ctl_table_print(t, color, f), 0);
	assert_int_equal(fclose(f), 0);
	assert_string_equal(got, want);
	free(got);
}

static void test_ctl_table_print_aligns_and_trims(void **state)
{
	static const char *const heads[] = { "NAME", "#N", "LAST" };
	struct ctl_table t;

	(void)state;
	ctl_table_init(&t, heads, 3);
	expect_table(&t, false, "");
	ctl_table_add(&t, CTL_PLAIN, "zo\xc3\xab");
	ctl_table_addf(&t, CTL_GOOD, "%d", 5);
	ctl_table_add(&t, CTL_PLAIN, "x");
	ctl_table_add(&t, CTL_BAD, "longer");
	ctl_table_add(&t, CTL_PLAIN, "1234");
	ctl_table_add(&t, CTL_PLAIN, NULL);
	expect_table(&t, false,
		"NAME       N  LAST\n"
		"zo\xc3\xab        5  x\n"
		"longer  1234\n");
	expect_table(&t, true,
		"\033[1mNAME\033[0m       \033[1mN\033[0m  \033[1mLAST\033[0m\n"
		"zo\xc3\xab        \033[32m5\033[0m  x\n"
		"\033[1;31mlonger\033[0m  1234\n");
	ctl_table_fini(&t);
}

static void test_ctl_clean_replaces_controls(void **state)
{
	static const struct {
		const char *in;
		size_t len;
		bool lines;
		const char *want;
	} cases[] = {
		{ "plain", 5, false, "plain" },
		{ "a\nb\tc", 5, false, "a?b?c" },
		{ "a\nb\tc", 5, true, "a\nb\tc" },
		{ "\033[2J\x07", 5, true, "?[2J?" },
		/* C1's CSI; right to left, isolates, marks, ends of lines; what joins letters stays
		 */
		{ "a\xc2\x9b"
		  "2Jb",
			6, true, "a?2Jb" },
		{ "a\xe2\x80\xae"
		  "bc",
			6, false, "a?bc" },
		{ "\xe2\x81\xa6x\xe2\x81\xa9", 7, true, "?x?" },
		{ "\xd8\x9cx\xe2\x80\x8f", 6, true, "?x?" },
		{ "\xe2\x80\xa8\xe2\x80\xa9", 6, true, "??" },
		{ "\xe2\x80\x8d", 3, true, "\xe2\x80\x8d" },
		{ "\xc2\x9b"
		  "1m",
			4, true, "?1m" }, /* C1: CSI as one character */
		{ "\xff\xc3", 2, true, "??" },
		{ "zo\xc3\xab", 4, false, "zo\xc3\xab" },
		{ "a\0b", 3, true, "a?b" },
		{ "\r", 1, true, "?" },
	};
	struct gi_buf out;

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		gi_buf_init(&out, 100);
		ctl_clean(&out, cases[i].in, cases[i].len, cases[i].lines);
		assert_string_equal(gi_buf_str(&out), cases[i].want);
		gi_buf_fini(&out);
	}
}

static void test_ctl_time_format_is_local(void **state)
{
	char buf[CTL_TIME_STRLEN];

	(void)state;
	setenv("TZ", "UTC", 1);
	tzset();
	assert_string_equal(ctl_time_format(1795323662999, buf), "2026-11-22 05:01:02");
	assert_string_equal(ctl_time_format(0, buf), "-");
	setenv("TZ", "XYZ-3", 1);
	tzset();
	assert_string_equal(ctl_time_format(1795323662999, buf), "2026-11-22 08:01:02");
}

static void test_ctl_span_format_has_two_units(void **state)
{
	static const struct {
		uint64_t ms;
		const char *want;
	} cases[] = {
		{ 0, "0 s" },
		{ 59999, "59 s" },
		{ 60000, "1 m 0 s" },
		{ 3599000, "59 m 59 s" },
		{ 3600000, "1 h 0 m" },
		{ 86399000, "23 h 59 m" },
		{ 90000000, "1 d 1 h" },
	};
	char buf[CTL_TIME_STRLEN];

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++)
		assert_string_equal(ctl_span_format(cases[i].ms, buf), cases[i].want);
}

/* rows of any shape show as something, and never crash */
static void test_ctl_view_odd_rows_show_as_nothing(void **state)
{
	static const struct ctl_view *const views[] = { &ctl_view_who, &ctl_view_last,
		&ctl_view_audit };
	static const char *const rows[] = { "{}",
		"{\"session\":\"x\",\"user\":5,\"groups\":7,\"opened_ms\":-1,\"kicked\":1}",
		"{\"groups\":[1,null,\"a\"],\"detail\":[1],\"time_ms\":1e300,\"closed_ms\":5}",
		"{\"detail\":{\"a\":null,\"b\":[[],{}],\"c\":{\"d\":1.5}}}" };

	(void)state;
	for (size_t v = 0; v < GI_ARRAY_SIZE(views); v++) {
		struct ctl_table t;
		FILE *f = tmpfile();

		assert_non_null(f);
		ctl_table_init(&t, views[v]->heads, views[v]->n_heads);
		for (size_t i = 0; i < GI_ARRAY_SIZE(rows); i++) {
			json_t *row = json_loads(rows[i], 0, NULL);

			assert_non_null(row);
			views[v]->add(&t, row);
			json_decref(row);
		}
		assert_int_equal(t.n_cells, GI_ARRAY_SIZE(rows) * views[v]->n_heads);
		assert_int_equal(ctl_table_print(&t, true, f), 0);
		ctl_table_fini(&t);
		fclose(f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ctl_table_print_aligns_and_trims),
		cmocka_unit_test(test_ctl_clean_replaces_controls),
		cmocka_unit_test(test_ctl_time_format_is_local),
		cmocka_unit_test(test_ctl_span_format_has_two_units),
		cmocka_unit_test(test_ctl_view_odd_rows_show_as_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
