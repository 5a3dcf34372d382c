/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_nomem.c - every allocation of policy/ fails once: told, nothing leaks, nothing is half done
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "policy/tree.h"
#include "tests/unit/faults.h"

static char good[] =
	"default out reject; group a { user alice; vm x; address 10.0.0.0/8, 10.1.0.0/16; }\n"
	"on-loss close; on-revoke reset; group c { unit \"a.service\"; uid 1, 2; on-loss hold 1h; "
	"}\n"
	"logins l allow user carl, b on vm x, a; logins k allow any on vm w;\n"
	"group b { group a; directory \"eng\"; address fd00::/8; }\n"
	"service s { tcp 1, 2, 3, 4, 5, 6; icmp any; }\n"
	"section infrastructure { rule r allow from b, c, uid 3 to vm y, 10.0.0.1 service s, dns "
	"log; }\n"
	"section application { rule t drop from any to user bob, group-not; }\n";

static int parse(void *arg)
{
	struct pol_policy *p = NULL;
	struct conf_diags d;
	int err;

	conf_diags_init(&d, "f", arg, strlen(arg));
	err = pol_parse(arg, strlen(arg), &d, &p);
	assert_int_equal(err == 0, p != NULL);
	pol_free(p);
	conf_diags_fini(&d);
	return err;
}

static void test_pol_parse_without_memory_is_enomem(void **state)
{
	char *text = strdup(good);

	(void)state;
	*strstr(text, ", group-not") = ';';
	strcpy(strstr(text, "; group-not") + 1, " }");
	assert_true(faults_each(parse, text, 1) > 10);
	free(text);
}

/* a text with errors is never taken, whatever is missing */
static int parse_bad(void *arg)
{
	int err = parse(arg);

	assert_true(err == -GI_ESYNTAX || err == -ENOMEM);
	return 0;
}

static void test_pol_parse_of_mistakes_without_memory_still_fails(void **state)
{
	static char bad[] = "group a { group a; vm x; vm x } grop b; group c { group d; }\n"
			    "section s { rule r allow from e to any service ss }";

	(void)state;
	assert_true(faults_each(parse_bad, good, 0) > 10);
	assert_true(faults_each(parse_bad, bad, 0) > 10);
}

static struct pol_policy *policy(void)
{
	struct pol_policy *p = NULL;
	struct conf_diags d;
	char text[sizeof(good)];

	strcpy(text, good);
	strcpy(strstr(text, ", group-not"), "; }");
	conf_diags_init(&d, "f", text, strlen(text));
	assert_int_equal(pol_parse(text, strlen(text), &d, &p), 0);
	conf_diags_fini(&d);
	return p;
}

static int compile(void *arg)
{
	struct gi_addr addr;
	struct pol_vm vm = { .name = "y", .addrs = &addr, .n_addrs = 1 };
	struct pol_compiled *c = NULL;
	int err;

	assert_int_equal(gi_addr_parse("10.1.2.3", &addr), 0);
	err = pol_compile(arg, &vm, 1, &c);
	assert_int_equal(err == 0, c != NULL);
	pol_compiled_free(c);
	return err;
}

static void test_pol_compile_without_memory_is_enomem(void **state)
{
	struct pol_policy *p = policy();

	(void)state;
	assert_true(faults_each(compile, p, 1) > 10);
	pol_free(p);
}

static int membership(void *arg)
{
	struct pol_principal who = { .name = "alice" };
	struct pol_set a = { 0 }, b = { 0 };
	int err = pol_groups_of_principal(arg, &who, &a);

	if (err == 0)
		err = pol_groups_of_vm(arg, "x", &b);
	pol_set_fini(&a);
	pol_set_fini(&b);
	return err;
}

static int to_json(void *arg)
{
	struct gi_buf out;
	int err;

	gi_buf_init(&out, 1 << 20);
	err = pol_to_json(arg, &out);
	gi_buf_fini(&out);
	return err;
}

static void test_pol_groups_and_json_without_memory_are_enomem(void **state)
{
	struct pol_policy *p = policy();

	(void)state;
	assert_int_equal(faults_each(membership, p, 1), 2);
	assert_true(faults_each(to_json, p, 1) > 0);
	pol_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pol_parse_without_memory_is_enomem),
		cmocka_unit_test(test_pol_parse_of_mistakes_without_memory_still_fails),
		cmocka_unit_test(test_pol_compile_without_memory_is_enomem),
		cmocka_unit_test(test_pol_groups_and_json_without_memory_are_enomem),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
