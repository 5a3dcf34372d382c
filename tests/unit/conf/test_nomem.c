/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_nomem.c - every allocation of lib/base and lib/conf fails once
 *
 * Nothing may leak or crash (the sanitizer build looks), and a lost allocation is always told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "lib/conf/conf.h"
#include "lib/conf/lex.h"
#include "tests/unit/faults.h"

struct vm {
	char *label;
	char *socket;
};

struct conf {
	char *name, *state;
	struct conf_list allow;
	struct conf_array vms;
};

static const struct conf_item top_items[] = {
	{ "name", CONF_T_STRING, offsetof(struct conf, name), NULL, 0, 0, "" },
	{ "state", CONF_T_PATH, offsetof(struct conf, state), "/var/lib/idfw", 0, 0, "" },
	{ "allow", CONF_T_LIST, offsetof(struct conf, allow), "a, b", 0, 0, "" },
};

static const struct conf_item vm_items[] = {
	{ "socket", CONF_T_ENDPOINT, offsetof(struct vm, socket), NULL, 0, 0, "" },
};

static const struct conf_section sections[] = {
	{ NULL, top_items, GI_ARRAY_SIZE(top_items), 0, 0, 0 },
	{ "vm", vm_items, GI_ARRAY_SIZE(vm_items), sizeof(struct vm), offsetof(struct conf, vms),
		9 },
};

static const struct conf_table table = { .sections = sections,
	.n_sections = GI_ARRAY_SIZE(sections) };

static int parse(void *arg)
{
	static const struct conf zero;
	struct conf c = { 0 };
	struct conf_diags d;
	int err;

	conf_diags_init(&d, "f", arg, strlen(arg));
	err = conf_parse(&table, arg, strlen(arg), &d, &c);
	if (err < 0)
		assert_memory_equal(&c, &zero, sizeof(c));
	conf_free(&table, &c);
	conf_diags_fini(&d);
	return err;
}

static void test_parse_without_memory_is_enomem(void **state)
{
	static char text[] =
		"name x; allow a, b, c; vm a { socket unix:/a; } vm b { socket unix:/b; }";

	(void)state;
	assert_true(faults_each(parse, text, 1) > 10);
}

/* the user's mistakes are counted also when there is no memory to say them */
static int parse_bad(void *arg)
{
	struct conf c = { 0 };
	struct conf_diags d;
	struct gi_buf out;
	int err;

	gi_buf_init(&out, 10000);
	conf_diags_init(&d, "f", arg, strlen(arg));
	err = conf_parse(&table, arg, strlen(arg), &d, &c);
	assert_true(err == -GI_ESYNTAX || err == -ENOMEM);
	assert_true(err == -ENOMEM || d.n_errors > 0);
	conf_diags_render(&d, &out);
	gi_buf_fini(&out);
	conf_diags_fini(&d);
	return 0;
}

static void test_parse_of_mistakes_without_memory_still_fails(void **state)
{
	static char text[] = "nmae x; state rel; vm a { sokcet x; } vm a { }";

	(void)state;
	assert_true(faults_each(parse_bad, text, 0) > 10);
}

static int lex(void *arg)
{
	struct conf_lexer *lexer;
	struct conf_token tok;
	struct conf_diags d;
	int kind, err;

	conf_diags_init(&d, "f", NULL, 0);
	err = conf_lexer_new(arg, strlen(arg), &d, &lexer);
	if (err < 0)
		return err;
	do
		kind = conf_lexer_next(lexer, &tok);
	while (kind > 0);
	assert_int_equal(tok.kind, CONF_EOF);
	conf_lexer_free(lexer);
	conf_diags_fini(&d);
	return kind;
}

static void test_lexer_without_memory_is_enomem(void **state)
{
	static char text[] = "word 1 \"s\" 10.0.0.0/8 ;";

	(void)state;
	assert_int_equal(faults_each(lex, text, 1), 2);
}

static int read_file(void *arg)
{
	char *text = NULL;
	size_t len = 0;
	int err = conf_read_file(arg, 1 << 20, &text, &len);

	if (err < 0) {
		assert_int_equal(err, -ENOMEM);
		assert_null(text);
	}
	free(text);
	return err;
}

static void test_read_file_without_memory_is_enomem(void **state)
{
	static char empty[] = "/dev/null";
	char path[] = "/tmp/idfw-nomem-XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	assert_int_equal(write(fd, path, sizeof(path)), sizeof(path));
	close(fd);
	assert_true(faults_each(read_file, path, 1) > 0);
	assert_true(faults_each(read_file, empty, 1) > 0);
	unlink(path);
}

static int render(void *arg)
{
	struct gi_buf out;
	int err;

	gi_buf_init(&out, 10000);
	conf_diags_render(arg, &out);
	err = gi_buf_error(&out);
	gi_buf_fini(&out);
	return err;
}

static void test_render_without_memory_is_enomem(void **state)
{
	const struct conf_pos pos = { 1, 1, 1, 2 };
	struct conf_diags d;

	(void)state;
	conf_diags_init(&d, "f", "x\n", 2);
	conf_diag_add(&d, CONF_ERROR, &pos, "no");
	assert_true(faults_each(render, &d, 1) > 1);
	conf_diags_fini(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_without_memory_is_enomem),
		cmocka_unit_test(test_parse_of_mistakes_without_memory_still_fails),
		cmocka_unit_test(test_lexer_without_memory_is_enomem),
		cmocka_unit_test(test_read_file_without_memory_is_enomem),
		cmocka_unit_test(test_render_without_memory_is_enomem),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
