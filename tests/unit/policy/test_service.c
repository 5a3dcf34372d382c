/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_service.c - services: own and predefined, merged, compared
 */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "tests/unit/policy/fixture.h"

static void test_pol_service_own_replaces_builtin(void **state)
{
	struct pol_policy *p =
		fx_policy("service ssh { tcp 2222; }\n"
			  "section infrastructure { rule r allow from any to any service ssh; }\n");

	(void)state;
	assert_int_equal(p->rules[0].n_services, 1);
	assert_int_equal(p->rules[0].services[0].port_lo, 2222);
	pol_free(p);
}

static void test_pol_service_rule_list_is_sorted_and_merged(void **state)
{
	struct pol_policy *p = fx_policy(
		"section infrastructure { rule r allow from any to any service udp 53, tcp 80-90,\n"
		"	tcp 85, http, icmp echo-request, icmp, tcp 22, dns, ssh; }\n");
	static const struct fw_service want[] = {
		{ IPPROTO_ICMP, 0, 65535, 256 },
		{ IPPROTO_TCP, 22, 22, 256 },
		{ IPPROTO_TCP, 53, 53, 256 },
		{ IPPROTO_TCP, 80, 90, 256 },
		{ IPPROTO_UDP, 53, 53, 256 },
	};

	(void)state;
	assert_int_equal(p->rules[0].n_services, GI_ARRAY_SIZE(want));
	for (size_t i = 0; i < GI_ARRAY_SIZE(want); i++)
		assert_int_equal(pol_service_cmp(&p->rules[0].services[i], &want[i]), 0);
	pol_free(p);
}

static void test_pol_service_covers_ranges_and_types(void **state)
{
	static const struct fw_service any = { 0, 0, 65535, 256 }, tcp = { 6, 0, 65535, 256 },
				       web = { 6, 80, 90, 256 }, http = { 6, 80, 80, 256 },
				       udp = { 17, 80, 80, 256 }, icmp = { 1, 0, 65535, 256 },
				       echo = { 1, 0, 65535, 8 };

	(void)state;
	assert_true(pol_service_covers(&any, &udp));
	assert_true(pol_service_covers(&tcp, &web));
	assert_true(pol_service_covers(&web, &http));
	assert_false(pol_service_covers(&http, &web));
	assert_false(pol_service_covers(&tcp, &udp));
	assert_false(pol_service_covers(&tcp, &any));
	assert_true(pol_service_covers(&icmp, &echo));
	assert_false(pol_service_covers(&echo, &icmp));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pol_service_own_replaces_builtin),
		cmocka_unit_test(test_pol_service_rule_list_is_sorted_and_merged),
		cmocka_unit_test(test_pol_service_covers_ranges_and_types),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
