/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_compile.c - which rules and which alternatives of groups reach which VM
 *
 * The whole output for whole policies is in tests/golden/policy/; here each case of "can be here"
 * stands alone, and what must never happen: a list that matches nothing becoming "any".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/policy/fixture.h"

static struct pol_compiled *compile(const struct pol_policy *p, const char *vm, const char *addr)
{
	struct gi_addr a;
	struct pol_vm v = { .name = vm, .addrs = &a, .n_addrs = addr ? 1 : 0 };
	struct pol_compiled *c;
	const char *why;

	if (addr)
		assert_int_equal(gi_addr_parse(addr, &a), 0);
	assert_int_equal(pol_compile(p, &v, 42, &c), 0);
	assert_int_equal(c->ruleset->generation, 42);
	assert_int_equal(c->n_groups, c->ruleset->n_groups);
	assert_int_equal(fw_ruleset_check(c->ruleset, &why), 0);
	return c;
}

static const struct fw_rule *find(const struct pol_compiled *c, enum fw_dir dir)
{
	for (size_t i = 0; i < c->ruleset->n_rules; i++) {
		if (c->ruleset->rules[i].dir == dir)
			return &c->ruleset->rules[i];
	}
	return NULL;
}

/* an end: "-" the rule is not there, "any", or the uses of its only group */
static void check_end(const struct pol_compiled *c, const struct fw_rule *r, bool from,
	const char *want, const char *text)
{
	const uint16_t *list = r ? (from ? r->from : r->to) : NULL;
	size_t n = r ? (from ? r->n_from : r->n_to) : 0;
	char got[64] = "-";

	if (r && n == 0)
		strcpy(got, "any");
	if (n) {
		unsigned int uses = c->ruleset->groups[list[0]].uses;

		assert_int_equal(n, 1);
		got[0] = '\0';
		strcat(got, uses & FW_USE_SG ? "S" : "");
		strcat(got, uses & FW_USE_GA ? "G" : "");
		strcat(got, uses & FW_USE_NETS ? "N" : "");
		strcat(got, uses & FW_USE_IA ? "I" : "");
	}
	if (strcmp(got, want) != 0)
		fail_msg("%s: %s is %s, not %s", text, from ? "from" : "to", got, want);
}

static void test_pol_compile_ends(void **state)
{
	static const struct {
		const char *from, *to;
		const char *vm, *addr;
		const char *out_from, *out_to, *in_from, *in_to;
	} cases[] = {
		{ "any", "any", "x", NULL, "any", "any", "any", "any" },
		/* identity may be anywhere */
		{ "user u", "any", "x", NULL, "S", "any", "S", "any" },
		{ "any", "user u", "x", NULL, "any", "I", "any", "I" },
		{ "directory g", "vm x", "x", NULL, "S", "G", "S", "any" },
		{ "directory g", "vm x", "y", NULL, "S", "G", "-", "-" },
		/* VMs: the whole one, or not at all */
		{ "vm x", "any", "x", NULL, "any", "any", "G", "any" },
		{ "vm x", "any", "y", NULL, "-", "-", "G", "any" },
		{ "any", "vm x", "x", NULL, "any", "G", "any", "any" },
		{ "any", "vm x", "y", NULL, "any", "G", "-", "-" },
		{ "vm x", "vm y", "z", NULL, "-", "-", "-", "-" },
		{ "vm x", "vm y", "x", NULL, "any", "G", "-", "-" },
		{ "vm x", "vm y", "y", NULL, "-", "-", "G", "any" },
		/* addresses: only one that is in the prefix, and only it */
		{ "10.0.0.0/8", "any", "x", NULL, "-", "-", "N", "any" },
		{ "10.0.0.0/8", "any", "x", "10.1.1.1", "N", "any", "N", "any" },
		{ "10.0.0.0/8", "any", "x", "11.1.1.1", "-", "-", "N", "any" },
		{ "10.0.0.0/8", "any", "x", "fd00::1", "-", "-", "N", "any" },
		{ "any", "fd00::/8", "x", "fd00::1", "any", "N", "any", "N" },
		{ "any", "fd00::/8", "x", "fe00::1", "any", "N", "-", "-" },
		/* services: exact where the traffic begins; their VMs' addresses at the other end
		 */
		{ "unit n.service", "any", "x", NULL, "S", "any", "S", "any" },
		{ "unit n.service", "vm x", "x", NULL, "S", "G", "S", "any" },
		{ "unit n.service", "vm x", "y", NULL, "S", "G", "-", "-" },
		{ "any", "unit n.service", "x", NULL, "any", "I", "any", "I" },
		{ "vm x", "unit n.service", "y", NULL, "-", "-", "G", "I" },
		{ "uid 33", "any", "x", NULL, "S", "any", "S", "any" },
		{ "uid 33", "vm x", "x", NULL, "S", "G", "S", "any" },
		{ "uid 33", "vm x", "y", NULL, "S", "G", "-", "-" },
		{ "uid 33, vm y", "10.0.0.0/8", "x", "10.0.0.1", "SG", "N", "SG", "N" },
		{ "uid 33, 10.0.0.0/8", "vm z", "z", "11.0.0.1", "SN", "G", "SN", "any" },
		/* mixed lists: each end needs only what can be there */
		{ "user u, vm y, 10.0.0.0/8", "vm z", "x", "11.0.0.1", "S", "G", "-", "-" },
		{ "user u, vm y, 10.0.0.0/8", "vm z", "x", "10.0.0.1", "SN", "G", "-", "-" },
		{ "user u, vm y, 10.0.0.0/8", "vm z", "y", "11.0.0.1", "any", "G", "-", "-" },
		{ "user u, vm y, 10.0.0.0/8", "vm z", "z", "11.0.0.1", "SGN", "G", "SGN", "any" },
		{ "vm z", "user u, vm y, 10.0.0.0/8", "z", "11.0.0.1", "any", "GNI", "G", "GNI" },
		{ "vm z", "user u, vm y, 10.0.0.0/8", "x", "11.0.0.1", "-", "-", "G", "I" },
		{ "vm z", "user u, vm y, 10.0.0.0/8", "x", "10.0.0.1", "-", "-", "G", "NI" },
	};
	char text[256];

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		struct pol_policy *p;
		struct pol_compiled *c;

		snprintf(text, sizeof(text),
			"section infrastructure { rule r allow from %s to %s; } # on %s %s",
			cases[i].from, cases[i].to, cases[i].vm,
			cases[i].addr ? cases[i].addr : "");
		p = fx_policy(text);
		c = compile(p, cases[i].vm, cases[i].addr);
		check_end(c, find(c, FW_OUT), true, cases[i].out_from, text);
		check_end(c, find(c, FW_OUT), false, cases[i].out_to, text);
		check_end(c, find(c, FW_IN), true, cases[i].in_from, text);
		check_end(c, find(c, FW_IN), false, cases[i].in_to, text);
		pol_compiled_free(c);
		pol_free(p);
	}
}

/* where it arrives identity is an address, and others come from that address too: a rule that
 * forbids looks at it where the connection begins only, and at the rest of its `from` everywhere */
static void test_pol_compile_forbidding_identity_ends_at_the_source(void **state)
{
	static const struct {
		const char *rule, *vm, *out_from, *in_from;
	} cases[] = {
		{ "allow from user u to vm z", "z", "S", "S" },
		{ "drop from user u to vm z", "z", "S", "-" },
		{ "reject from directory d to any", "z", "S", "-" },
		{ "drop from user u, vm y to vm z", "z", "S", "G" },
		{ "allow from unit n.service, uid 33 to vm z", "z", "S", "S" },
		{ "drop from unit n.service to vm z", "z", "S", "-" },
		{ "reject from uid 33 to any", "z", "S", "-" },
		{ "drop from uid 33, unit n.service, vm y to vm z", "z", "S", "G" },
		{ "reject from uid 33, 10.0.0.0/8 to any", "z", "S", "N" },
		{ "reject from user u, 10.0.0.0/8 to any", "z", "S", "N" },
		{ "drop from vm y to vm z", "z", "-", "G" },
		{ "drop from any to vm z", "z", "any", "any" },
	};
	char text[256];

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		struct pol_policy *p;
		struct pol_compiled *c;

		snprintf(
			text, sizeof(text), "section infrastructure { rule r %s; }", cases[i].rule);
		p = fx_policy(text);
		c = compile(p, cases[i].vm, "11.0.0.1");
		check_end(c, find(c, FW_IN), true, cases[i].in_from, text);
		pol_compiled_free(c);
		c = compile(p, "x", "11.0.0.1");
		check_end(c, find(c, FW_OUT), true, cases[i].out_from, text);
		pol_compiled_free(c);
		pol_free(p);
	}
}

/* the same group in a rule that allows and in one that forbids: two groups in the ruleset */
static void test_pol_compile_forbidding_leaves_allowing_alone(void **state)
{
	struct pol_policy *p =
		fx_policy("group g { user u; address 10.0.0.0/8; vm y; }\n"
			  "section infrastructure { rule a drop from g to vm z service ssh;\n"
			  "	rule b allow from g to vm z; }");
	struct pol_compiled *c = compile(p, "z", NULL);
	const struct fw_ruleset *rs = c->ruleset;
	uint16_t drop = rs->rules[1].from[0], allow = rs->rules[3].from[0];

	(void)state;
	assert_int_equal(rs->n_rules, 4); /* out a, in a, out b, in b */
	assert_int_equal(rs->rules[1].dir, FW_IN);
	assert_int_equal(rs->rules[3].dir, FW_IN);
	assert_int_equal(rs->groups[drop].uses, FW_USE_GA | FW_USE_NETS);
	assert_int_equal(rs->groups[allow].uses, FW_USE_SG | FW_USE_GA | FW_USE_NETS);
	assert_int_equal(c->policy_group[drop], c->policy_group[allow]);
	assert_int_equal(c->use[drop], POL_USE_VM);
	assert_int_equal(c->use[allow], POL_USE_VM | POL_USE_IN_FROM | POL_USE_OUT_FROM);
	assert_string_equal(rs->groups[allow].name, "g");
	assert_string_equal(rs->groups[drop].name, "_addr1");
	pol_compiled_free(c);
	pol_free(p);
}

/* every VM has every uid: a group's uids do not make it a destination, its other members do */
static void test_pol_compile_uids_are_no_destination(void **state)
{
	static const struct {
		const char *members, *vm;
		const char *out_to, *in_to; /* of "from any to g" */
	} cases[] = {
		{ "uid 33; user u;", "x", "I", "I" },
		{ "uid 33; unit n.service;", "x", "I", "I" },
		{ "uid 33; vm y;", "x", "G", "-" },
		{ "uid 33; vm y;", "y", "G", "any" },
		{ "uid 33; address 10.0.0.0/8;", "x", "N", "-" },
	};
	char text[256];

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		struct pol_policy *p;
		struct pol_compiled *c;

		snprintf(text, sizeof(text),
			"group g { %s }\nsection infrastructure { rule r allow from any to g; }",
			cases[i].members);
		p = fx_policy(text);
		c = compile(p, cases[i].vm, "11.0.0.1");
		check_end(c, find(c, FW_OUT), false, cases[i].out_to, text);
		check_end(c, find(c, FW_IN), false, cases[i].in_to, text);
		pol_compiled_free(c);
		pol_free(p);
	}
}

/* the use that the planner sees, by end and direction */
static void test_pol_compile_use_tells_the_planner(void **state)
{
	static const struct {
		const char *rule;
		const char *vm;
		unsigned int use;
	} cases[] = {
		{ "from g to vm a", "b", POL_USE_OUT_FROM },
		{ "from g to any", "b", POL_USE_OUT_FROM | POL_USE_IN_FROM | POL_USE_VM },
		{ "from any to g", "b", POL_USE_TO | POL_USE_VM },
		{ "from vm a to g", "b", POL_USE_TO },
		{ "from vm b to g", "b", POL_USE_TO | POL_USE_VM },
		{ "from g to vm b", "b", POL_USE_OUT_FROM | POL_USE_IN_FROM | POL_USE_VM },
	};
	char text[256];

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		struct pol_policy *p;
		struct pol_compiled *c;
		bool found = false;

		snprintf(text, sizeof(text),
			"group g { user u; vm m; }\nsection infrastructure { rule r allow %s; }",
			cases[i].rule);
		p = fx_policy(text);
		c = compile(p, cases[i].vm, NULL);
		for (size_t g = 0; g < c->n_groups; g++) {
			if (c->policy_group[g] != fx_group(p, "g"))
				continue;
			found = true;
			if (c->use[g] != cases[i].use)
				fail_msg("%s on %s: use %x", cases[i].rule, cases[i].vm, c->use[g]);
		}
		assert_true(found);
		pol_compiled_free(c);
		pol_free(p);
	}
}

static void test_pol_compile_disabled_rules_are_left_out(void **state)
{
	struct pol_policy *p = fx_policy(
		"section infrastructure { rule a disabled allow from any to any;\n"
		"	rule b disabled allow from user u to any; rule c drop from any to any; }");
	struct pol_compiled *c = compile(p, "x", NULL);

	(void)state;
	assert_int_equal(c->n_groups, 0);
	assert_int_equal(c->ruleset->n_rules, 2);
	assert_string_equal(c->ruleset->rules[0].name, "infrastructure/c");
	pol_compiled_free(c);
	pol_free(p);
}

static void test_pol_compile_sections_have_their_order(void **state)
{
	struct pol_policy *p =
		fx_policy("section application { rule d allow from any to vm y; }\n"
			  "section environment { rule c allow from any to vm y; }\n"
			  "section infrastructure { rule b1 allow from any to vm y; }\n"
			  "section emergency { rule a drop from any to vm y; }\n"
			  "section infrastructure { rule b2 drop from any to vm y; }\n");
	static const char *const want[] = { "emergency/a", "infrastructure/b1", "infrastructure/b2",
		"environment/c", "application/d" };
	struct pol_compiled *c = compile(p, "x", NULL);

	(void)state;
	assert_int_equal(c->ruleset->n_rules, GI_ARRAY_SIZE(want));
	for (size_t i = 0; i < GI_ARRAY_SIZE(want); i++)
		assert_string_equal(c->ruleset->rules[i].name, want[i]);
	pol_compiled_free(c);
	pol_free(p);
}

static void test_pol_compile_defaults_and_log_are_kept(void **state)
{
	struct pol_policy *p = fx_policy(
		"default in reject; default out allow; on-revoke reset;\n"
		"section infrastructure { rule a reject from any to vm y service dns log; }");
	struct pol_compiled *c = compile(p, "y", NULL);

	(void)state;
	assert_int_equal(c->ruleset->default_in, FW_REJECT);
	assert_int_equal(c->ruleset->default_out, FW_ACCEPT);
	assert_int_equal(c->ruleset->revoke, FW_REVOKE_RESET);
	assert_int_equal(c->ruleset->rules[0].action, FW_REJECT);
	assert_true(c->ruleset->rules[0].log);
	assert_int_equal(c->ruleset->rules[0].n_services, 2);
	pol_compiled_free(c);
	pol_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pol_compile_ends),
		cmocka_unit_test(test_pol_compile_forbidding_identity_ends_at_the_source),
		cmocka_unit_test(test_pol_compile_forbidding_leaves_allowing_alone),
		cmocka_unit_test(test_pol_compile_uids_are_no_destination),
		cmocka_unit_test(test_pol_compile_use_tells_the_planner),
		cmocka_unit_test(test_pol_compile_disabled_rules_are_left_out),
		cmocka_unit_test(test_pol_compile_sections_have_their_order),
		cmocka_unit_test(test_pol_compile_defaults_and_log_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
