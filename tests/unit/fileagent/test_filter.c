/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_filter.c - the longest path wins, an exclusion wins a draw, foreign mounts are never left
 * out
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "fileagent/fan.h"
#include "fileagent/filter.h"

static const char conf_text[] =
	"on-failure deny;\n"
	"exclude-paths \"/home/ci\", \"/srv\", \"/home/bob/big.iso\";\n"
	"exclude-uids 33, 7; include-uids 33, 1000, 1001;\n"
	"exclude-programs \"/usr/bin/rsync\";\n"
	"watch home { path \"/home/\"; exclude \"/home/alice/.cache\"; }\n"
	"watch keep { path \"/home/ci/keep\"; on-failure open=allow; on-block EIO; events exec; }\n"
	"watch srv { path \"/srv\"; }\n"
	"fim etc { paths \"/etc\", \"/home/alice/.ssh\"; exclude \"/etc/mtab\", \"/etc/x\"; }\n"
	"fim deep { paths \"/etc/x/y\"; }\n";

static struct fa_filter *make(const char *text)
{
	struct fa_filter *f = NULL;
	struct gi_buf words;
	struct fa_conf c;

	gi_buf_init(&words, 1u << 16);
	if (fa_conf_parse("t", text, strlen(text), &words, &c) < 0)
		fail_msg("%s", gi_buf_str(&words));
	assert_int_equal(fa_filter_new(&c, &f), 0);
	conf_free(&fa_conf_table, &c);
	gi_buf_fini(&words);
	return f;
}

static void test_path_longest_wins(void **state)
{
	static const struct {
		const char *path, *watch; /* NULL: not watched */
		enum fa_filtered want;
	} cases[] = {
		{ "/home/alice/x", "home", FA_WATCHED }, { "/home", "home", FA_WATCHED },
		{ "/home/", "home", FA_WATCHED }, { "/homework/x", NULL, FA_OUTSIDE },
		{ "/", NULL, FA_OUTSIDE }, { "/home/alice/.cache", NULL, FA_EXCLUDED },
		{ "/home/alice/.cache/a/b", NULL, FA_EXCLUDED },
		{ "/home/alice/.cached", "home", FA_WATCHED }, { "/home/ci/x", NULL, FA_EXCLUDED },
		{ "/home/ci/keep/x", "keep", FA_WATCHED },
		{ "/home/bob/big.iso", NULL, FA_EXCLUDED },
		{ "/home/bob/big.iso2", "home", FA_WATCHED },
		{ "/srv/x", NULL, FA_EXCLUDED }, /* a draw */
	};
	struct fa_filter *f = make(conf_text);

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		struct fa_policy p = { .watch = NULL };
		enum fa_filtered got =
			fa_filter_path(f, cases[i].path, strlen(cases[i].path), false, &p);

		if (got != cases[i].want)
			fail_msg("%s: %d", cases[i].path, (int)got);
		if (cases[i].watch)
			assert_string_equal(p.watch, cases[i].watch);
		else
			assert_null(p.watch);
	}
	fa_filter_free(f);
}

static void test_policy_of_the_watch(void **state)
{
	struct fa_filter *f = make(conf_text);
	struct fa_policy p;

	(void)state;
	assert_int_equal(fa_filter_path(f, "/home/x", 7, false, &p), FA_WATCHED);
	assert_int_equal(p.strict, FAN_EV_OPEN | FAN_EV_EXEC);
	assert_int_equal(p.block_errno, EPERM);
	assert_int_equal(p.events, FAN_EV_OPEN | FAN_EV_EXEC | FAN_EV_CLOSE_WRITE);
	assert_int_equal(fa_filter_path(f, "/home/ci/keep", 13, false, &p), FA_WATCHED);
	assert_int_equal(p.strict, FAN_EV_EXEC);
	assert_int_equal(p.block_errno, EIO);
	assert_int_equal(p.events, FAN_EV_EXEC);
	fa_filter_free(f);
}

static void test_foreign_path_never_excluded(void **state)
{
	struct fa_filter *f = make(conf_text), *none = make("");
	struct fa_policy p;

	(void)state;
	assert_int_equal(fa_filter_path(f, "/home/ci/x", 10, true, &p), FA_WATCHED);
	assert_int_equal(p.strict, FAN_EV_OPEN | FAN_EV_EXEC);
	assert_int_equal(p.events, FAN_EV_OPEN | FAN_EV_EXEC | FAN_EV_CLOSE_WRITE);
	assert_int_equal(fa_filter_path(f, "home/ci/x", 9, false, &p), FA_WATCHED);
	assert_int_equal(fa_filter_path(f, "", 0, false, &p), FA_WATCHED);
	assert_int_equal(fa_filter_path(none, "/x", 2, true, &p), FA_OUTSIDE);
	fa_filter_free(f);
	fa_filter_free(none);
}

static void test_uids_excluded_before_included(void **state)
{
	struct fa_filter *f = make(conf_text), *none = make(""), *ex = make("exclude-uids 5;");

	(void)state;
	assert_true(fa_filter_needs_uid(f));
	assert_true(fa_filter_uid(f, 1000));
	assert_false(fa_filter_uid(f, 33));
	assert_false(fa_filter_uid(f, 0));
	assert_true(fa_filter_uid(ex, 0));
	assert_false(fa_filter_uid(ex, 5));
	assert_false(fa_filter_needs_uid(none));
	assert_true(fa_filter_uid(none, 33));
	fa_filter_free(f);
	fa_filter_free(none);
	fa_filter_free(ex);
}

static void test_program_only_when_verified(void **state)
{
	struct fa_filter *f = make(conf_text), *in = make("include-programs \"/bin/sh\";");

	(void)state;
	assert_true(fa_filter_needs_program(f));
	assert_false(fa_filter_program(f, "/usr/bin/rsync", true));
	assert_true(fa_filter_program(f, "/usr/bin/rsync", false));
	assert_true(fa_filter_program(f, "/usr/bin/rsyn", true));
	assert_true(fa_filter_program(in, "/bin/sh", true));
	assert_false(fa_filter_program(in, "/bin/cat", true));
	assert_true(fa_filter_program(in, "/bin/cat", false));
	fa_filter_free(f);
	fa_filter_free(in);
}

static void test_fim_rules(void **state)
{
	struct fa_filter *f = make(conf_text);

	(void)state;
	assert_string_equal(fa_filter_fim(f, "/etc/passwd", 11), "etc");
	assert_null(fa_filter_fim(f, "/etc/mtab", 9));
	assert_null(fa_filter_fim(f, "/etc/x/z", 8));
	assert_string_equal(fa_filter_fim(f, "/etc/x/y/z", 10), "deep");
	assert_string_equal(fa_filter_fim(f, "/home/alice/.ssh/id", 19), "etc");
	assert_null(fa_filter_fim(f, "/home/alice", 11));
	assert_true(fa_filter_may_open(f, "/etc/mtab", 9));
	assert_true(fa_filter_may_open(f, "/srv/x", 6));
	assert_false(fa_filter_may_open(f, "/var/x", 6));
	assert_false(fa_filter_may_open(f, "etc/x", 5));
	fa_filter_free(f);
}

static void test_root_watch_takes_everything(void **state)
{
	struct fa_filter *f = make("watch all { path \"/\"; exclude \"/proc\"; }");
	struct fa_policy p;

	(void)state;
	assert_int_equal(fa_filter_path(f, "/a/b", 4, false, &p), FA_WATCHED);
	assert_int_equal(fa_filter_path(f, "/", 1, false, &p), FA_WATCHED);
	assert_int_equal(fa_filter_path(f, "/proc/1", 7, false, &p), FA_EXCLUDED);
	fa_filter_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_path_longest_wins),
		cmocka_unit_test(test_policy_of_the_watch),
		cmocka_unit_test(test_foreign_path_never_excluded),
		cmocka_unit_test(test_uids_excluded_before_included),
		cmocka_unit_test(test_program_only_when_verified),
		cmocka_unit_test(test_fim_rules),
		cmocka_unit_test(test_root_watch_takes_everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
