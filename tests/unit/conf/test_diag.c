/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_diag.c - diagnostics as the user sees them: lib/conf/diag.h
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "lib/conf/diag.h"

static void assert_rendered(struct conf_diags *d, const char *want)
{
	struct gi_buf out;

	gi_buf_init(&out, 1 << 20);
	conf_diags_render(d, &out);
	assert_int_equal(gi_buf_error(&out), 0);
	assert_string_equal(gi_buf_str(&out), want);
	gi_buf_fini(&out);
	conf_diags_fini(d);
}

static struct conf_diags diags(const char *source)
{
	struct conf_diags d;

	conf_diags_init(&d, "p.idfw", source, strlen(source));
	return d;
}

static void test_render_quotes_line_with_caret(void **state)
{
	struct conf_diags d = diags("section x {\n    allow from enng to db;\n}\n");
	const struct conf_pos pos = { 2, 16, 2, 20 };

	(void)state;
	conf_diag_add(&d, CONF_ERROR, &pos, "no group \"%s\"; did you mean \"eng\"?", "enng");
	assert_int_equal(d.n_errors, 1);
	assert_rendered(&d, "p.idfw:2:16: error: no group \"enng\"; did you mean \"eng\"?\n"
			    "        allow from enng to db;\n"
			    "                   ^~~~\n");
}

static void test_render_sorts_and_keeps_notes_behind_their_error(void **state)
{
	struct conf_diags d = diags("a;\nb;\nc;\n");
	const struct conf_pos p1 = { 1, 1, 1, 2 }, p2 = { 2, 1, 2, 2 }, p3 = { 3, 1, 3, 2 };

	(void)state;
	conf_diag_add(&d, CONF_ERROR, &p3, "third");
	conf_diag_add(&d, CONF_NOTE, &p1, "first seen here");
	conf_diag_add(&d, CONF_WARNING, &p2, "second");
	conf_diag_add(&d, CONF_ERROR, &p1, "first");
	conf_diag_add(&d, CONF_ERROR, &p1, "first, too");
	assert_int_equal(d.n_errors, 3);
	assert_rendered(&d, "p.idfw:1:1: error: first\n    a;\n    ^\n"
			    "p.idfw:1:1: error: first, too\n    a;\n    ^\n"
			    "p.idfw:2:1: warning: second\n    b;\n    ^\n"
			    "p.idfw:3:1: error: third\n    c;\n    ^\n"
			    "p.idfw:1:1: note: first seen here\n    a;\n    ^\n");
}

static void test_render_edges_of_the_source(void **state)
{
	struct conf_diags d = diags("ab");
	const struct conf_pos end = { 1, 3, 1, 3 }, behind = { 1, 9, 1, 10 }, none = { 0, 0, 0, 0 },
			      no_line = { 7, 1, 7, 2 }, lines = { 1, 2, 3, 1 };

	(void)state;
	conf_diag_add(&d, CONF_ERROR, &end, "at the end");
	conf_diag_add(&d, CONF_ERROR, &behind, "behind it");
	conf_diag_add(&d, CONF_ERROR, &none, "whole file");
	conf_diag_add(&d, CONF_ERROR, &no_line, "no such line");
	conf_diag_add(&d, CONF_ERROR, &lines, "over lines");
	assert_rendered(&d, "p.idfw: error: whole file\n"
			    "p.idfw:1:2: error: over lines\n    ab\n     ^\n"
			    "p.idfw:1:3: error: at the end\n    ab\n      ^\n"
			    "p.idfw:1:9: error: behind it\n"
			    "p.idfw:7:1: error: no such line\n");
}

static void test_render_without_file_and_source(void **state)
{
	const struct conf_pos pos = { 1, 1, 1, 2 };
	struct conf_diags d;

	(void)state;
	conf_diags_init(&d, NULL, NULL, 0);
	conf_diag_add(&d, CONF_WARNING, &pos, "x");
	assert_rendered(&d, "1:1: warning: x\n");
}

static void test_render_tabs_utf8_and_controls_keep_the_column(void **state)
{
	struct conf_diags d = diags("\tname \"\xc3\xa4\xc3\xb6\x1b[2J\xff\" oops;\r\n");
	const struct conf_pos pos = { 1, 19, 1, 23 };

	(void)state;
	conf_diag_add(&d, CONF_ERROR, &pos, "what\nis \x1b[1mthis");
	assert_rendered(&d, "p.idfw:1:19: error: what?is ?[1mthis\n"
			    "     name \"\xc3\xa4\xc3\xb6?[2J?\" oops;\n"
			    "                    ^~~~\n");
}

static void test_add_over_max_says_so_once(void **state)
{
	struct conf_diags d = diags("x\n");
	const struct conf_pos pos = { 1, 1, 1, 2 };
	struct gi_buf out;
	const char *text;

	(void)state;
	for (int i = 0; i < CONF_DIAG_MAX + 50; i++)
		conf_diag_add(&d, CONF_ERROR, &pos, "e%d", i);
	assert_int_equal(d.n_errors, CONF_DIAG_MAX + 50);
	assert_int_equal(d.n, CONF_DIAG_MAX + 1);
	gi_buf_init(&out, 1 << 20);
	conf_diags_render(&d, &out);
	text = gi_buf_str(&out);
	assert_non_null(strstr(text, "error: e99\n"));
	assert_null(strstr(text, "error: e100\n"));
	text = strstr(text, "too many errors");
	assert_non_null(text);
	assert_null(strstr(text + 1, "too many errors"));
	assert_null(strstr(text, "error: e"));
	gi_buf_fini(&out);
	conf_diags_fini(&d);
}

static void test_render_into_full_buffer_is_elimit(void **state)
{
	struct conf_diags d = diags("x\n");
	const struct conf_pos pos = { 1, 1, 1, 2 };
	struct gi_buf out;

	(void)state;
	conf_diag_add(&d, CONF_ERROR, &pos, "something");
	gi_buf_init(&out, 10);
	conf_diags_render(&d, &out);
	assert_int_equal(gi_buf_error(&out), -GI_ELIMIT);
	gi_buf_fini(&out);
	conf_diags_fini(&d);
}

static void test_suggest_nearest_within_two(void **state)
{
	static const char *const words[] = { "listen", "state", "timeout", "eng", "vm" };
	static const struct {
		const char *word, *want;
	} t[] = {
		{ "listn", "listen" },
		{ "lisetn", "listen" }, /* neighbours swapped */
		{ "listening", NULL },
		{ "stat", "state" },
		{ "enng", "eng" },
		{ "timeouts", "timeout" },
		{ "timeout", "timeout" },
		{ "qq", NULL },
		{ "x", NULL }, /* as far from vm as it is long */
		{ "", NULL },
		{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
			NULL },
	};

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(t); i++) {
		const char *got = conf_suggest(t[i].word, words, GI_ARRAY_SIZE(words));

		if (!t[i].want)
			assert_null(got);
		else
			assert_string_equal(got, t[i].want);
	}
	assert_null(conf_suggest("a", NULL, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_render_quotes_line_with_caret),
		cmocka_unit_test(test_render_sorts_and_keeps_notes_behind_their_error),
		cmocka_unit_test(test_render_edges_of_the_source),
		cmocka_unit_test(test_render_without_file_and_source),
		cmocka_unit_test(test_render_tabs_utf8_and_controls_keep_the_column),
		cmocka_unit_test(test_add_over_max_says_so_once),
		cmocka_unit_test(test_render_into_full_buffer_is_elimit),
		cmocka_unit_test(test_suggest_nearest_within_two),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
