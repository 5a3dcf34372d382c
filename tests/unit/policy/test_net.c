/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_net.c - prefixes of groups: merged, nested, each once
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/policy/fixture.h"

static void text_of(const struct gi_prefix *list, size_t n, char *ret, size_t size)
{
	char one[GI_ADDR_STRLEN];

	ret[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		gi_prefix_format(&list[i], one);
		assert_true(strlen(ret) + strlen(one) + 2 < size);
		strcat(ret, i ? " " : "");
		strcat(ret, one);
	}
}

static void test_pol_nets_merge_drops_what_is_inside_others(void **state)
{
	static const struct {
		const char *in[8];
		const char *want;
	} cases[] = {
		{ { NULL }, "" },
		{ { "10.0.0.0/8" }, "10.0.0.0/8" },
		{ { "10.0.0.0/8", "10.0.0.0/8" }, "10.0.0.0/8" },
		{ { "10.1.0.0/16", "10.0.0.0/8", "10.1.2.3" }, "10.0.0.0/8" },
		{ { "10.0.0.0/9", "10.128.0.0/9" }, "10.0.0.0/9 10.128.0.0/9" },
		{ { "fd00::/8", "10.0.0.0/8", "fd00::1", "9.0.0.0/8" },
			"9.0.0.0/8 10.0.0.0/8 fd00::/8" },
		{ { "0.0.0.0/0", "1.2.3.4", "::1" }, "0.0.0.0/0 ::1/128" },
		{ { "10.0.0.0/24", "10.0.0.0/16", "10.0.0.0/8", "11.0.0.0/8" },
			"10.0.0.0/8 11.0.0.0/8" },
	};
	struct gi_prefix list[8];
	char got[256];

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		size_t n = 0;

		for (; n < 8 && cases[i].in[n]; n++)
			assert_int_equal(gi_prefix_parse(cases[i].in[n], false, &list[n]), 0);
		n = pol_nets_merge(list, n);
		text_of(list, n, got, sizeof(got));
		assert_string_equal(got, cases[i].want);
	}
}

static void test_pol_group_nets_collects_nested(void **state)
{
	struct pol_policy *p =
		fx_policy("group a { address 10.0.0.0/8; group b, c; }\n"
			  "group b { address 10.1.0.0/16, fd00::/8; group c; vm x; }\n"
			  "group c { address 192.168.0.0/16; user alice; }\n"
			  "group d { vm y; }\n");
	static const struct {
		const char *group;
		const char *want;
	} cases[] = {
		{ "a", "10.0.0.0/8 192.168.0.0/16 fd00::/8" },
		{ "b", "10.1.0.0/16 192.168.0.0/16 fd00::/8" },
		{ "c", "192.168.0.0/16" },
		{ "d", "" },
	};
	struct gi_prefix *list;
	char got[256];
	size_t n;

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		assert_int_equal(pol_group_nets(p, fx_group(p, cases[i].group), &list, &n), 0);
		text_of(list, n, got, sizeof(got));
		assert_string_equal(got, cases[i].want);
		free(list);
	}
	pol_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pol_nets_merge_drops_what_is_inside_others),
		cmocka_unit_test(test_pol_group_nets_collects_nested),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
