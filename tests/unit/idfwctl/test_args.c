/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_args.c - the command line and times; refusals with their words are in tests/golden/idfwctl/
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "idfwctl/cli.h"

static int parse(struct ctl_cli *cli, const char *line)
{
	static char copy[256];
	char *argv[16] = { copy }, *save = NULL;
	int argc = 1;

	snprintf(copy, sizeof(copy), "%s", line);
	for (char *w = strtok_r(copy, " ", &save); w && argc < 15; w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	argv[0] = (char *)(uintptr_t) "idfwctl";
	memset(cli, 0, sizeof(*cli));
	return ctl_args_parse(argc, argv, cli);
}

static void test_ctl_args_parse_options_anywhere(void **state)
{
	static const char *const lines[] = { "-s /x -j who alice", "who -j -s /x alice",
		"who alice --json --socket=/x", "--socket /x who --json -- alice" };
	struct ctl_cli cli;

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(lines); i++) {
		assert_int_equal(parse(&cli, lines[i]), 0);
		assert_string_equal(cli.verb->name, "who");
		assert_string_equal(cli.socket, "/x");
		assert_true(cli.json);
		assert_int_equal(cli.n_pos, 1);
		assert_string_equal(cli.pos[0], "alice");
	}
}

static void test_ctl_args_option_of_the_verb(void **state)
{
	struct ctl_cli cli;

	(void)state;
	assert_int_equal(parse(&cli, "last --user=alice --limit 7"), 0);
	assert_string_equal(ctl_args_option(&cli, "user"), "alice");
	assert_string_equal(ctl_args_option(&cli, "limit"), "7");
	assert_null(ctl_args_option(&cli, "vm"));
	assert_null(ctl_args_option(&cli, "reason"));
	assert_int_equal(parse(&cli, "policy check --server -"), 0);
	assert_string_equal(cli.verb->name, "policy check");
	assert_string_equal(ctl_args_option(&cli, "server"), "");
	assert_string_equal(cli.pos[0], "-");
}

static void test_ctl_args_parse_help_needs_no_arguments(void **state)
{
	struct ctl_cli cli;

	(void)state;
	assert_int_equal(parse(&cli, "render --help"), 0);
	assert_true(cli.help);
	assert_string_equal(cli.verb->name, "render");
	assert_int_equal(parse(&cli, "policy -h"), 0);
	assert_true(cli.help && !cli.verb);
	assert_int_equal(parse(&cli, "-V"), 0);
	assert_true(cli.version);
}

static void test_ctl_args_parse_wrong_is_usage(void **state)
{
	static const char *const lines[] = { "", "nonsense", "policy", "policy nonsense", "render",
		"who a b", "--user alice last", "last --user", "who --server", "-", "-jj", "---",
		"--", "who --help=1", "--socket" };
	struct ctl_cli cli;

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(lines); i++)
		assert_int_equal(parse(&cli, lines[i]), CTL_EXIT_USAGE);
}

static void test_ctl_time_parse(void **state)
{
	static const unsigned long long now = 1795323662000ULL; /* 2026-11-22 05:01:02 UTC */
	static const struct {
		const char *text;
		int err;
		unsigned long long ms;
	} cases[] = {
		{ "0", 0, 0 },
		{ "1795323662000", 0, 1795323662000ULL },
		{ "90s", 0, now - 90000 },
		{ "15m", 0, now - 900000 },
		{ "2h", 0, now - 7200000 },
		{ "7d", 0, now - 7 * 86400000ULL },
		{ "100000d", 0, 0 },
		{ "2026-11-22", 0, 1795305600000ULL },
		{ "2026-11-22 05:01", 0, 1795323660000ULL },
		{ "2026-11-22T05:01:02", 0, 1795323662000ULL },
		{ "", -EINVAL, 0 },
		{ "h", -EINVAL, 0 },
		{ "-5m", -EINVAL, 0 },
		{ "5x", -EINVAL, 0 },
		{ "5 m", -EINVAL, 0 },
		{ "2026-13-01", -EINVAL, 0 },
		{ "2026-11-22 05:01 x", -EINVAL, 0 },
		{ "99999999999999999999", -EINVAL, 0 },
	};
	unsigned long long ms;

	(void)state;
	setenv("TZ", "UTC", 1);
	tzset();
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		ms = 0;
		if (ctl_time_parse(cases[i].text, now, &ms) != cases[i].err || ms != cases[i].ms)
			fail_msg("%s: %llu", cases[i].text, ms);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ctl_args_parse_options_anywhere),
		cmocka_unit_test(test_ctl_args_option_of_the_verb),
		cmocka_unit_test(test_ctl_args_parse_help_needs_no_arguments),
		cmocka_unit_test(test_ctl_args_parse_wrong_is_usage),
		cmocka_unit_test(test_ctl_time_parse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
