/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_flat.c - a block becomes commands: chains first, rules behind them, nothing lost
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fw/render_int.h"

static void expect(const char *text, const char *want)
{
	struct gi_buf out;

	gi_buf_init(&out, 1 << 20);
	assert_int_equal(fw_flat(text, &out), 0);
	assert_string_equal(gi_buf_str(&out), want);
	gi_buf_fini(&out);
}

static void refused(const char *text, int rc, size_t room)
{
	struct gi_buf out;

	gi_buf_init(&out, room);
	assert_int_equal(fw_flat(text, &out), rc);
	gi_buf_fini(&out);
}

static void test_flat_commands_stay_but_the_table(void **state)
{
	(void)state;
	expect("", "");
	expect("add table inet idfw\nadd set inet idfw a { type mark; }\n# words\n",
		"add set inet idfw a { type mark; }\n# words\n");
	expect("add table inet idfwx\n", "add table inet idfwx\n");
}

static void test_flat_chains_come_before_rules(void **state)
{
	(void)state;
	expect("flush table inet idfw\n"
	       "table inet idfw {\n"
	       "\tchain output {\n"
	       "\t\ttype filter hook output priority 0; policy drop;\n"
	       "\t\tct mark @live accept\n"
	       "\t\tmeta l4proto 6 ct original proto-dst vmap {\n"
	       "\t\t\t22 : goto b,\n"
	       "\t\t\t80 : goto b\n"
	       "\t\t}\n"
	       "\t}\n"
	       "\tchain b {\n"
	       "\t}\n"
	       "\tchain c {\n"
	       "\t\tdrop\n"
	       "\t}\n"
	       "}\n"
	       "add element inet idfw a { 1 }\n",
		"flush table inet idfw\n"
		"add chain inet idfw output { type filter hook output priority 0; policy drop; }\n"
		"add chain inet idfw b\n"
		"add chain inet idfw c\n"
		"add rule inet idfw output ct mark @live accept\n"
		"add rule inet idfw output meta l4proto 6 ct original proto-dst vmap {\n"
		"\t22 : goto b,\n"
		"\t80 : goto b\n"
		"}\n"
		"add rule inet idfw c drop\n"
		"add element inet idfw a { 1 }\n");
}

static void test_flat_other_blocks_are_refused(void **state)
{
	(void)state;
	refused("table inet idfw {\n\tset a { type mark; }\n}\n", -EINVAL, 1 << 20);
	refused("table inet idfw {\n\tchain a {\n\t\tdrop\n", -EINVAL, 1 << 20);
	refused("table inet idfw {\n\tchain a {\n\tchain b {\n\t}\n}\n", -EINVAL, 1 << 20);
	refused("table inet idfw {\n\tchain a {\n}\n", -EINVAL, 1 << 20);
	refused("table inet idfw {\n", -EINVAL, 1 << 20);
	refused("add set inet idfw a { type mark; }\n", -GI_ELIMIT, 16);
}

/* what the goldens hold: as many chains and rules, and not one block */
static void test_flat_goldens_keep_all(void **state)
{
	static const char *const names[] = { "accept-all", "empty", "eng-to-db", "product",
		"reset" };

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(names); i++) {
		const char *top = getenv("top_srcdir");
		char path[512], line[4096];
		size_t chains = 0, rules = 0, n = 0;
		struct gi_buf text, out;
		FILE *f;

		snprintf(
			path, sizeof(path), "%s/tests/golden/fw/%s.nft", top ? top : ".", names[i]);
		f = fopen(path, "r");
		assert_non_null(f);
		gi_buf_init(&text, 1 << 20);
		gi_buf_init(&out, 1 << 20);
		while (fgets(line, sizeof(line), f)) {
			gi_buf_printf(&text, "%s", line);
			chains += strncmp(line, "\tchain ", 7) == 0;
			rules += line[0] == '\t' && line[1] == '\t' && line[2] != '\t' &&
				 line[2] != '}' && strncmp(line, "\t\ttype ", 7) != 0;
		}
		(void)fclose(f);
		assert_true(chains > 0 && rules > 0);
		assert_int_equal(fw_flat(gi_buf_str(&text), &out), 0);
		assert_null(strstr(gi_buf_str(&out), "table inet idfw {"));
		for (const char *at = gi_buf_str(&out); at; at = strchr(at, '\n')) {
			at += *at == '\n';
			n += strncmp(at, "add chain ", 10) == 0;
			if (strncmp(at, "add rule ", 9) == 0) {
				assert_int_equal(n, chains); /* all before the first rule */
				rules--;
			}
		}
		assert_int_equal(n, chains);
		assert_int_equal(rules, 0);
		gi_buf_fini(&text);
		gi_buf_fini(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flat_commands_stay_but_the_table),
		cmocka_unit_test(test_flat_chains_come_before_rules),
		cmocka_unit_test(test_flat_other_blocks_are_refused),
		cmocka_unit_test(test_flat_goldens_keep_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
