/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_lex.c - tokens, positions, mistakes: lib/conf/lex.h
 *
 * Tokens are compared as one line of text: W word, N number, S string, P prefix, BAD, or the
 * character itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "lib/conf/lex.h"

/* the tokens of @text into @out; messages into @errors */
static void scan(const char *text, size_t len, struct gi_buf *out, struct gi_buf *errors)
{
	struct conf_lexer *lexer;
	struct conf_diags diags;
	struct conf_token tok;
	char addr[GI_ADDR_STRLEN];
	int kind;

	conf_diags_init(&diags, NULL, NULL, 0);
	assert_int_equal(conf_lexer_new(text, len, &diags, &lexer), 0);
	while ((kind = conf_lexer_next(lexer, &tok)) != CONF_EOF) {
		assert_int_equal(kind, tok.kind);
		switch (kind) {
		case CONF_WORD:
			gi_buf_printf(out, "W:%s ", tok.text);
			break;
		case CONF_NUMBER:
			gi_buf_printf(out, "N:%llu ", (unsigned long long)tok.number);
			break;
		case CONF_STRING:
			gi_buf_printf(out, "S:%s ", tok.text);
			break;
		case CONF_PREFIX:
			gi_buf_printf(out, "P:%s ", gi_prefix_format(&tok.prefix, addr));
			break;
		case CONF_BAD:
			gi_buf_printf(out, "BAD ");
			break;
		default:
			assert_int_equal(tok.text[0], kind);
			gi_buf_printf(out, "%c ", kind);
		}
	}
	assert_int_equal(conf_lexer_next(lexer, &tok), CONF_EOF); /* repeats */
	conf_diags_render(&diags, errors);
	conf_lexer_free(lexer);
	conf_diags_fini(&diags);
}

static void check(const char *text, size_t len, const char *tokens, const char *errors)
{
	struct gi_buf out, err;

	gi_buf_init(&out, 1 << 20);
	gi_buf_init(&err, 1 << 20);
	scan(text, len, &out, &err);
	assert_string_equal(gi_buf_str(&out), tokens);
	assert_string_equal(gi_buf_str(&err), errors);
	gi_buf_fini(&out);
	gi_buf_fini(&err);
}

static void test_tokens_of_each_kind(void **state)
{
	static const struct {
		const char *text, *tokens;
	} t[] = {
		{ "", "" },
		{ " \t\r\n# only a comment", "" },
		{ "word web-01 a.b_c", "W:word W:web-01 W:a.b_c " },
		{ "42 007 18446744073709551615", "N:42 N:7 N:18446744073709551615 " },
		{ "{}(),;=:/!-", "{ } ( ) , ; = : / ! - " },
		{ "tcp/443", "W:tcp / N:443 " },
		{ "1000-2000", "N:1000 - N:2000 " },
		{ "300ms", "N:300 W:ms " },
		{ "\"a b\" \"\" \"#;\"", "S:a b S: S:#; " },
		{ "\"a\\\"b\\\\c\\nd\\te\"", "S:a\"b\\c\nd\te " },
		{ "\"\xc3\xa4\"", "S:\xc3\xa4 " },
		{ "10.0.0.0/8 10.0.0.1", "P:10.0.0.0/8 P:10.0.0.1/32 " },
		{ "fd77::/64 ::1 :: ::/0", "P:fd77::/64 P:::1/128 P:::/128 P:::/0 " },
		{ "1:2:3:4:5:6:7:8", "P:1:2:3:4:5:6:7:8/128 " },
		{ "::ffff:10.0.0.1 64:ff9b::10.0.0.1", "P:10.0.0.1/32 P:64:ff9b::a00:1/128 " },
		{ "1:2:3:4:5:6:1.2.3.4", "P:1:2:3:4:5:6:102:304/128 " },
		{ "tcp:10.0.0.1:443", "W:tcp : P:10.0.0.1/32 : N:443 " },
		{ "group:eng", "W:group : W:eng " },
		{ "a#b\nc", "W:a W:c " },
		{ "unix:/run/x;", "W:unix : / W:run / W:x ; " },
	};

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(t); i++)
		check(t[i].text, strlen(t[i].text), t[i].tokens, "");
}

static void test_mistakes_are_bad_tokens_with_one_diagnostic(void **state)
{
	static const struct {
		const char *text, *tokens, *errors;
	} t[] = {
		{ "18446744073709551616 a", "BAD W:a ", "1:1: error: number is too large\n" },
		{ "10.1.2.3/8;", "BAD ; ",
			"1:1: error: 10.1.2.3/8 has host bits set; did you mean 10.0.0.0/8?\n" },
		{ "10.0.0.256", "BAD ",
			"1:1: error: 10.0.0.256 is not a valid address or prefix\n" },
		{ "10.0.0.1/33", "BAD ",
			"1:1: error: 10.0.0.1/33 is not a valid address or prefix\n" },
		{ "\"abc", "BAD ", "1:1: error: string is not closed on its line\n" },
		{ "\"abc\\", "BAD ", "1:1: error: string is not closed on its line\n" },
		{ "\"abc\nx", "BAD W:x ", "1:1: error: string is not closed on its line\n" },
		{ "\"a\\qb\" x", "BAD W:x ",
			"1:1: error: unknown escape in string; there are \\\" \\\\ \\n \\t\n" },
		{ "a $ b", "W:a BAD W:b ",
			"1:3: error: \"$\" is not allowed here; quote it if it belongs to a "
			"value\n" },
		{ "\xc3\xa4\xc3\xb6 b", "BAD W:b ",
			"1:1: error: \"\xc3\xa4\xc3\xb6\" is not allowed here; quote it if it "
			"belongs to "
			"a value\n" },
		{ "a\n\x01\x1b"
		  "b",
			"W:a BAD W:b ", "2:1: error: control character U+0001\n" },
		{ "\"a\xff\" b", "BAD W:b ", "1:3: error: not valid UTF-8\n" },
		{ "\"\\\x01\" b", "BAD W:b ", "1:3: error: control character U+0001\n" },
		{ "# \xff\nb", "W:b ", "1:3: error: not valid UTF-8\n" },
		{ "a \xc2\x85 b", "W:a BAD W:b ", "1:3: error: control character U+0085\n" },
	};

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(t); i++)
		check(t[i].text, strlen(t[i].text), t[i].tokens, t[i].errors);
	check("a\0b", 3, "W:a BAD W:b ", "1:2: error: control character U+0000\n");
}

static void test_positions_count_bytes_and_lines(void **state)
{
	static const char text[] = "ab\n\t\"\xc3\xa4\" 10\r\n}";
	static const struct conf_pos want[] = { { 1, 1, 1, 3 }, { 2, 2, 2, 6 }, { 2, 7, 2, 9 },
		{ 3, 1, 3, 2 }, { 3, 2, 3, 2 } };
	struct conf_lexer *lexer;
	struct conf_diags diags;
	struct conf_token tok;

	(void)state;
	conf_diags_init(&diags, NULL, NULL, 0);
	assert_int_equal(conf_lexer_new(text, strlen(text), &diags, &lexer), 0);
	for (size_t i = 0; i < GI_ARRAY_SIZE(want); i++) {
		conf_lexer_next(lexer, &tok);
		assert_int_equal(tok.pos.line, want[i].line);
		assert_int_equal(tok.pos.col, want[i].col);
		assert_int_equal(tok.pos.end_line, want[i].end_line);
		assert_int_equal(tok.pos.end_col, want[i].end_col);
	}
	assert_int_equal(tok.kind, CONF_EOF);
	conf_lexer_free(lexer);
	conf_diags_fini(&diags);
}

static void test_token_length_limit(void **state)
{
	static char text[CONF_TOKEN_MAX + 10];
	static const struct {
		char first;
		const char *error;
	} t[] = {
		{ 'w', "1:1: error: too long: 1025 bytes, at most 1024\n" },
		{ '1', "1:1: error: too long: 1025 bytes, at most 1024\n" },
	};
	struct gi_buf out, err;

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(t); i++) {
		memset(text, t[i].first, CONF_TOKEN_MAX + 1);
		check(text, CONF_TOKEN_MAX + 1, "BAD ", t[i].error);
	}
	memset(text, 'w', sizeof(text));
	gi_buf_init(&out, 1 << 20);
	gi_buf_init(&err, 1 << 20);
	scan(text, CONF_TOKEN_MAX, &out, &err);
	assert_int_equal(out.len, CONF_TOKEN_MAX + 3);
	text[0] = text[CONF_TOKEN_MAX + 1] = '"';
	gi_buf_reset(&out);
	scan(text, CONF_TOKEN_MAX + 2, &out, &err);
	assert_int_equal(out.len, CONF_TOKEN_MAX + 3);
	assert_string_equal(gi_buf_str(&err), "");
	text[CONF_TOKEN_MAX + 1] = 'w';
	text[CONF_TOKEN_MAX + 2] = '"';
	gi_buf_reset(&out);
	scan(text, CONF_TOKEN_MAX + 3, &out, &err);
	assert_string_equal(gi_buf_str(&out), "BAD ");
	assert_string_equal(gi_buf_str(&err), "1:1: error: string is too long\n");
	gi_buf_fini(&out);
	gi_buf_fini(&err);
}

static void test_new_source_over_max_is_elimit(void **state)
{
	char *text = malloc(CONF_SOURCE_MAX + 1);
	struct conf_lexer *lexer = NULL;
	struct conf_diags diags;

	(void)state;
	assert_non_null(text);
	memset(text, ' ', CONF_SOURCE_MAX + 1);
	conf_diags_init(&diags, NULL, NULL, 0);
	assert_int_equal(conf_lexer_new(text, CONF_SOURCE_MAX + 1, &diags, &lexer), -GI_ELIMIT);
	assert_null(lexer);
	check(text, CONF_SOURCE_MAX, "", "");
	conf_lexer_free(NULL);
	free(text);
}

static void test_binary_file_is_one_diagnostic_a_line(void **state)
{
	static const char text[] = "\x01\x02 \x03\xff\xfe\nok\n\x7f\x7f";

	(void)state;
	check(text, sizeof(text) - 1, "BAD BAD W:ok BAD ",
		"1:1: error: control character U+0001\n3:1: error: control character U+007F\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tokens_of_each_kind),
		cmocka_unit_test(test_mistakes_are_bad_tokens_with_one_diagnostic),
		cmocka_unit_test(test_positions_count_bytes_and_lines),
		cmocka_unit_test(test_token_length_limit),
		cmocka_unit_test(test_new_source_over_max_is_elimit),
		cmocka_unit_test(test_binary_file_is_one_diagnostic_a_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
