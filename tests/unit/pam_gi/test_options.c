/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_options.c - the module's arguments: defaults, ranges, wrong words
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "lib/base/err.h"
#include "pam_gi/options.h"

static void test_parse_nothing_gives_defaults(void **state)
{
	struct pam_gi_options o;

	(void)state;
	assert_null(pam_gi_options_parse(0, NULL, &o));
	assert_string_equal(o.socket, "/run/idfw/pam.sock");
	assert_int_equal(o.timeout_ms, 300);
	assert_false(o.wait);
	assert_false(o.required);
	assert_false(o.debug);
}

static void test_parse_all_words(void **state)
{
	const char *argv[] = { "socket=/x/y", "timeout_ms=60000", "wait", "required", "debug" };
	struct pam_gi_options o;

	(void)state;
	assert_null(pam_gi_options_parse(5, argv, &o));
	assert_string_equal(o.socket, "/x/y");
	assert_int_equal(o.timeout_ms, 60000);
	assert_true(o.wait);
	assert_true(o.required);
	assert_true(o.debug);
}

static void test_parse_wrong_word_is_named_and_changes_nothing(void **state)
{
	static char long_path[200];
	static const char *const wrong[] = { "timeout_ms=", "timeout_ms=60001", "timeout_ms=-1",
		"timeout_ms=3x", "timeout_ms=99999999999999999999", "socket=", "socket=rel/path",
		long_path, "Required", "wait=1", "" };

	(void)state;
	memset(long_path, 'p', sizeof(long_path) - 1);
	memcpy(long_path, "socket=/", 8);
	for (size_t i = 0; i < GI_ARRAY_SIZE(wrong); i++) {
		const char *argv[] = { wrong[i], "debug" };
		struct pam_gi_options o;

		assert_ptr_equal(pam_gi_options_parse(2, argv, &o), wrong[i]);
		assert_string_equal(o.socket, PAM_GI_SOCKET_DEFAULT);
		assert_int_equal(o.timeout_ms, PAM_GI_TIMEOUT_DEFAULT_MS);
		assert_false(o.required);
		assert_false(o.wait);
		assert_true(o.debug);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_nothing_gives_defaults),
		cmocka_unit_test(test_parse_all_words),
		cmocka_unit_test(test_parse_wrong_word_is_named_and_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
