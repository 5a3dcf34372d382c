/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_parse.c - limits of the language, and texts that are cut or damaged anywhere
 *
 * Each message of its own is in tests/golden/policy/; here is what a file cannot show well.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/policy/fixture.h"

static const char whole[] =
	"default in drop; default out reject;\n"
	"group eng { directory \"eng\"; user alice; vm db01; address 10.0.0.0/8, fd00::/8; }\n"
	"group all { group eng; directory-sid \"S-1-5-32-544\"; directory-dn \"CN=a,DC=b\"; }\n"
	"service s { tcp 1, 2-3; udp any; icmp 8; icmpv6 echo-request; proto 50; }\n"
	"section infrastructure { rule a allow from eng to any service s, dns, tcp 5 log; }\n"
	"section application { rule b disabled drop from any to all, 10.0.0.1, vm x; }\n";

/* does @text give this message, errors or not */
static void expect(const struct gi_buf *text, bool errors, const char *message)
{
	struct gi_buf out;

	assert_int_equal(gi_buf_error(text), 0);
	fx_diags(gi_buf_str(text), text->len, errors, &out);
	if (!strstr(gi_buf_str(&out), message))
		fail_msg("no \"%s\" in: %.2000s", message, gi_buf_str(&out));
	gi_buf_fini(&out);
}

static void test_pol_parse_too_long_is_refused(void **state)
{
	char *text = calloc(1, CONF_SOURCE_MAX + 1);
	struct pol_policy *p = NULL;
	struct conf_diags diags;

	(void)state;
	assert_non_null(text);
	memset(text, ' ', CONF_SOURCE_MAX + 1);
	conf_diags_init(&diags, "test", text, CONF_SOURCE_MAX + 1);
	assert_int_equal(pol_parse(text, CONF_SOURCE_MAX + 1, &diags, &p), -GI_ELIMIT);
	assert_null(p);
	assert_int_equal(pol_parse(text, CONF_SOURCE_MAX, &diags, &p), 0);
	pol_free(p);
	conf_diags_fini(&diags);
	free(text);
}

static void test_pol_parse_every_truncation_ends(void **state)
{
	struct pol_policy *p;
	struct conf_diags diags;

	(void)state;
	for (size_t len = 0; len < sizeof(whole) - 1; len++) {
		char *text = malloc(len + 1); /* exact, for the sanitizer */

		assert_non_null(text);
		memcpy(text, whole, len);
		conf_diags_init(&diags, "test", text, len);
		p = NULL;
		if (pol_parse(text, len, &diags, &p) == 0)
			assert_int_equal(diags.n_errors, 0);
		else
			assert_true(diags.n_errors > 0 && p == NULL);
		pol_free(p);
		conf_diags_fini(&diags);
		free(text);
	}
}

static void test_pol_parse_every_damaged_byte_ends(void **state)
{
	static const char bytes[] = { '\0', '}', '{', ';', '"', '\xff', '9', '#' };
	char text[sizeof(whole)];
	struct pol_policy *p;
	struct conf_diags diags;
	int err;

	(void)state;
	for (size_t i = 0; i < sizeof(whole) - 1; i++) {
		for (size_t b = 0; b < sizeof(bytes); b++) {
			memcpy(text, whole, sizeof(whole));
			text[i] = bytes[b];
			conf_diags_init(&diags, "test", text, sizeof(whole) - 1);
			p = NULL;
			err = pol_parse(text, sizeof(whole) - 1, &diags, &p);
			assert_int_equal(err, diags.n_errors ? -GI_ESYNTAX : 0);
			assert_int_equal(err == 0, p != NULL);
			pol_free(p);
			conf_diags_fini(&diags);
		}
	}
}

static void test_pol_parse_group_limit_is_an_error(void **state)
{
	struct gi_buf text;

	(void)state;
	gi_buf_init(&text, 1 << 20);
	for (int i = 0; i < POL_GROUPS_MAX; i++)
		gi_buf_printf(&text, "group g%d { vm v; }\n", i);
	expect(&text, false, "no rule uses group");
	gi_buf_printf(&text, "section application { rule r allow from vm x to any; }");
	expect(&text, true, "more than 4096 groups, those written in rules included");
	gi_buf_printf(&text, "group one-more { vm v; }");
	expect(&text, true, "more than 4096 groups");
	gi_buf_fini(&text);
}

static void test_pol_parse_rule_limit_is_an_error(void **state)
{
	struct gi_buf text;

	(void)state;
	gi_buf_init(&text, 1 << 20);
	gi_buf_printf(&text, "section infrastructure {");
	for (int i = 0; i < POL_RULES_MAX; i++)
		gi_buf_printf(&text, "rule r%d allow from any to any service tcp %d;\n", i, i + 1);
	gi_buf_printf(&text, "}");
	{
		struct pol_policy *p = fx_policy(gi_buf_str(&text));
		struct pol_vm vm = { .name = "x" };
		struct pol_compiled *c;
		const char *why;

		assert_int_equal(pol_compile(p, &vm, 1, &c), 0);
		assert_int_equal(c->ruleset->n_rules, 2 * POL_RULES_MAX);
		assert_int_equal(fw_ruleset_check(c->ruleset, &why), 0);
		pol_compiled_free(c);
		pol_free(p);
	}
	gi_buf_printf(&text, "section application { rule x allow from any to any; }");
	expect(&text, true, "more than 4096 rules");
	gi_buf_fini(&text);
}

static void test_pol_parse_service_limits_are_errors(void **state)
{
	struct gi_buf text;

	(void)state;
	gi_buf_init(&text, 1 << 20);
	for (int i = 0; i <= POL_SERVICES_MAX; i++)
		gi_buf_printf(&text, "service s%d { tcp 1; }\n", i);
	expect(&text, true, "more than 4096 services");
	gi_buf_reset(&text);
	gi_buf_printf(&text, "section infrastructure { rule r allow from any to any service tcp 1");
	for (int i = 1; i < FW_SERVICES_MAX; i++)
		gi_buf_printf(&text, ", tcp %d", 2 * i);
	gi_buf_printf(&text, "; rule s allow from any to any; }");
	expect(&text, false, "");
	gi_buf_reset(&text);
	gi_buf_printf(&text, "service many { tcp 1");
	for (int i = 1; i < FW_SERVICES_MAX; i++)
		gi_buf_printf(&text, ", %d", 2 * i);
	gi_buf_printf(&text,
		"; } section infrastructure { rule r allow from any to any service many, ssh; }");
	expect(&text, true, "more than 64 ports, ranges and types in one rule");
	gi_buf_fini(&text);
}

static void test_pol_parse_peer_limit_is_an_error(void **state)
{
	struct gi_buf text;

	(void)state;
	gi_buf_init(&text, 1 << 20);
	for (int i = 0; i <= FW_PEERS_MAX; i++)
		gi_buf_printf(&text, "group g%d { vm v%d; }\n", i, i);
	gi_buf_printf(&text, "section infrastructure { rule r allow from g0");
	for (int i = 1; i <= FW_PEERS_MAX; i++)
		gi_buf_printf(&text, ", g%d", i);
	gi_buf_printf(&text, " to any; }");
	expect(&text, true, "more than 64 groups in one list");
	gi_buf_fini(&text);
}

static void prefixes(struct gi_buf *text, const char *name, unsigned int from, unsigned int n)
{
	gi_buf_printf(text, "group %s { address 192.168.0.0/16", name);
	for (unsigned int i = from; i < from + n; i++)
		gi_buf_printf(text, ", 10.%u.%u.0", i / 256, i % 256);
	gi_buf_printf(text, "; }\n");
}

static void test_pol_parse_prefix_limit_counts_each_once(void **state)
{
	struct gi_buf text;

	(void)state;
	gi_buf_init(&text, 1 << 20);
	prefixes(&text, "a", 0, 2500);
	prefixes(&text, "b", 1000, 2500); /* 1500 of them are in a too */
	gi_buf_printf(&text, "group both { group a, b; address 192.168.1.1; }\n");
	expect(&text, false, "no rule uses group \"both\"");
	prefixes(&text, "c", 3500, 1000);
	gi_buf_printf(&text, "group three { group a, b, c, both; }\n");
	expect(&text, true, "group \"three\" has 4501 prefixes, at most 4096");
	gi_buf_fini(&text);
}

static void test_pol_parse_nesting_limit_is_an_error(void **state)
{
	struct gi_buf text;

	(void)state;
	gi_buf_init(&text, 1 << 20);
	gi_buf_printf(&text, "group g0 { vm v; }\n");
	for (int i = 1; i < POL_NEST_MAX; i++)
		gi_buf_printf(&text, "group g%d { group g%d; }\n", i, i - 1);
	expect(&text, false, "no rule uses");
	for (int i = POL_NEST_MAX; i < POL_GROUPS_MAX; i++)
		gi_buf_printf(&text, "group g%d { group g%d; }\n", i, i - 1);
	expect(&text, true, "groups are nested more than 32 deep");
	gi_buf_fini(&text);
}

static void test_pol_parse_long_cycle_is_told(void **state)
{
	struct gi_buf text;

	(void)state;
	gi_buf_init(&text, 1 << 20);
	for (int i = 0; i < POL_GROUPS_MAX; i++)
		gi_buf_printf(&text, "group g%d { group g%d; }\n", i, (i + 1) % POL_GROUPS_MAX);
	expect(&text, true, "group \"g0\" holds itself");
	gi_buf_fini(&text);
}

static void test_pol_parse_deep_blocks_are_an_error(void **state)
{
	struct gi_buf text;

	(void)state;
	gi_buf_init(&text, 1 << 20);
	gi_buf_printf(&text, "what ");
	for (int i = 0; i < 100000; i++)
		gi_buf_printf(&text, "{");
	expect(&text, true, "nested too deeply");
	gi_buf_fini(&text);
}

static void test_pol_parse_many_errors_are_bounded(void **state)
{
	struct gi_buf text;

	(void)state;
	gi_buf_init(&text, 4 << 20);
	for (int i = 0; i < 200000; i++)
		gi_buf_printf(&text, "group a%d { }\n", i);
	expect(&text, true, "too many errors");
	gi_buf_fini(&text);
}

static void test_pol_parse_missing_semicolon_points_behind(void **state)
{
	struct gi_buf text;

	(void)state;
	gi_buf_init(&text, 4096);
	gi_buf_printf(&text, "default in drop\ndefault out drop;");
	expect(&text, true, "test:1:16: error: missing \";\"");
	gi_buf_fini(&text);
}

static void test_pol_free_null_is_fine(void **state)
{
	(void)state;
	pol_free(NULL);
	pol_compiled_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pol_parse_too_long_is_refused),
		cmocka_unit_test(test_pol_parse_every_truncation_ends),
		cmocka_unit_test(test_pol_parse_every_damaged_byte_ends),
		cmocka_unit_test(test_pol_parse_group_limit_is_an_error),
		cmocka_unit_test(test_pol_parse_rule_limit_is_an_error),
		cmocka_unit_test(test_pol_parse_service_limits_are_errors),
		cmocka_unit_test(test_pol_parse_peer_limit_is_an_error),
		cmocka_unit_test(test_pol_parse_prefix_limit_counts_each_once),
		cmocka_unit_test(test_pol_parse_nesting_limit_is_an_error),
		cmocka_unit_test(test_pol_parse_long_cycle_is_told),
		cmocka_unit_test(test_pol_parse_deep_blocks_are_an_error),
		cmocka_unit_test(test_pol_parse_many_errors_are_bounded),
		cmocka_unit_test(test_pol_parse_missing_semicolon_points_behind),
		cmocka_unit_test(test_pol_free_null_is_fine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
