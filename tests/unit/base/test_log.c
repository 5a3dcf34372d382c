/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_log.c - log lines: one an entry, escaped, bounded, both formats: lib/base/log.h
 *
 * stderr is a pipe while a line is written.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "lib/base/log.h"

static int saved_stderr, pipe_fds[2];
static char line[2 * GI_LOG_MAX];

static void capture_begin(void)
{
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK), 0);
	saved_stderr = dup(STDERR_FILENO);
	assert_true(dup2(pipe_fds[1], STDERR_FILENO) >= 0);
}

/* bytes that were logged since, in line[] */
static size_t capture_end(void)
{
	ssize_t n;

	assert_true(dup2(saved_stderr, STDERR_FILENO) >= 0);
	close(saved_stderr);
	close(pipe_fds[1]);
	n = read(pipe_fds[0], line, sizeof(line) - 1);
	close(pipe_fds[0]);
	n = n < 0 ? 0 : n;
	line[n] = '\0';
	return (size_t)n;
}

static void test_log_plain_line_has_time_prog_level(void **state)
{
	char want[64];
	int year, ms;

	(void)state;
	unsetenv("JOURNAL_STREAM");
	gi_log_init("gi-test", GI_LOG_INFO);
	capture_begin();
	gi_warn("disk is %d %% full", 93);
	capture_end();
	snprintf(want, sizeof(want), "Z gi-test[%d] warning: disk is 93 %% full\n", (int)getpid());
	assert_non_null(strstr(line, want));
	assert_int_equal(strstr(line, want) - line, 23);
	assert_int_equal(sscanf(line, "%4d-%*2d-%*2dT%*2d:%*2d:%*2d.%3dZ", &year, &ms), 2);
	assert_true(year >= 2024);
}

static void test_log_journal_line_has_priority(void **state)
{
	(void)state;
	setenv("JOURNAL_STREAM", "8:1", 1);
	gi_log_init("gi-test", GI_LOG_DEBUG);
	capture_begin();
	gi_err("a");
	gi_notice("b");
	gi_info("c");
	gi_debug("d");
	capture_end();
	assert_string_equal(line, "<3>gi-test: a\n<5>gi-test: b\n<6>gi-test: c\n<7>gi-test: d\n");
}

static void test_log_level_drops_what_is_above(void **state)
{
	(void)state;
	setenv("JOURNAL_STREAM", "8:1", 1);
	gi_log_init("gi-test", GI_LOG_NOTICE);
	capture_begin();
	gi_info("no");
	gi_debug("no");
	assert_int_equal(capture_end(), 0);
}

static void test_log_hostile_text_stays_one_line(void **state)
{
	(void)state;
	setenv("JOURNAL_STREAM", "8:1", 1);
	gi_log_init("gi-test", GI_LOG_INFO);
	capture_begin();
	gi_info("%s", "eve\n<3>gi-test: forged\r\x1b[2J\xff\xc2\x85 \xc3\xa4");
	capture_end();
	assert_string_equal(line,
		"<6>gi-test: eve\\x0a<3>gi-test: forged\\x0d\\x1b[2J\\xff\\xc2\\x85 "
		"\xc3\xa4\n");
}

static void test_log_long_text_is_cut_at_max(void **state)
{
	static char text[3 * GI_LOG_MAX];

	(void)state;
	setenv("JOURNAL_STREAM", "8:1", 1);
	gi_log_init("gi-test", GI_LOG_INFO);
	memset(text, '\n', sizeof(text) - 1); /* each becomes four bytes */
	capture_begin();
	gi_info("%s", text);
	assert_true(capture_end() <= GI_LOG_MAX);
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
	memset(text, 'x', sizeof(text) - 1);
	capture_begin();
	gi_info("%s", text);
	assert_int_equal(capture_end(), GI_LOG_MAX);
}

static void test_log_keeps_errno(void **state)
{
	(void)state;
	gi_log_init("gi-test", GI_LOG_INFO);
	capture_begin();
	errno = ENOTTY;
	gi_info("x");
	assert_int_equal(errno, ENOTTY);
	capture_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_log_plain_line_has_time_prog_level),
		cmocka_unit_test(test_log_journal_line_has_priority),
		cmocka_unit_test(test_log_level_drops_what_is_above),
		cmocka_unit_test(test_log_hostile_text_stays_one_line),
		cmocka_unit_test(test_log_long_text_is_cut_at_max),
		cmocka_unit_test(test_log_keeps_errno),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
