/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_model.c - elements and the checks that stand between a peer and nft text
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fw/fw.h"
#include "tests/unit/fw/fixture.h"

static const char small[] = "generation 3; default in reject\n"
			    "group a sgni 10.0.0.0/8 10.128.0.0/9; group b s";

/* a complete, valid ruleset to break in one place */
static struct fw_state *valid(struct fw_ruleset **ret)
{
	struct fw_state *s =
		fx_state("generation 3; group a sgni 10.0.0.0/9 10.128.0.0/9 2001:db8::/32\n"
			 "group b s; rule s/r out accept log from a,b to a tcp:1-2 icmp:8 47 any\n"
			 "rule t in reject udp:53");

	assert_non_null(s);
	*ret = (struct fw_ruleset *)(uintptr_t)fw_state_ruleset(s);
	return s;
}

static void test_fw_elem_constructors_have_the_documented_shape(void **state)
{
	struct gi_addr four, six;
	struct fw_elem e;

	(void)state;
	assert_int_equal(gi_addr_parse("10.1.2.3", &four), 0);
	assert_int_equal(gi_addr_parse("2001:db8::1", &six), 0);
	e = fw_elem_uid(0x01020304, 7);
	assert_int_equal(e.key.set, FW_UID_MARK);
	assert_int_equal(e.key.len, 4);
	assert_memory_equal(e.key.data, "\1\2\3\4\0\0\0\0\0\0\0\0\0\0\0\0", 16);
	assert_int_equal(fw_key_u32(&e.key), 0x01020304);
	assert_int_equal(e.mark, 7);
	assert_int_equal(fw_elem_addr(&four, 1).key.set, FW_ADDR4_MARK);
	assert_int_equal(fw_elem_addr(&six, 1).key.set, FW_ADDR6_MARK);
	assert_int_equal(fw_elem_addr(&six, 1).key.len, 16);
	assert_int_equal(fw_elem_group_addr(FW_GA4, 3, &four).key.set, FW_GA4);
	assert_int_equal(fw_elem_group_addr(FW_GA4, 3, &six).key.set, FW_GA6);
	assert_int_equal(fw_elem_group_addr(FW_IA4, 3, &six).key.set, FW_IA6);
	assert_int_equal(fw_elem_group_addr(FW_IA4, 3, &six).key.group, 3);
	assert_int_equal(fw_elem_remark(5, 6).key.set, FW_REMARK);
	assert_int_equal(fw_elem_base(6, 9).key.len, 1);
	assert_int_equal(fw_elem_base(6, 9).key.data[0], 6);
	assert_true(
		fw_set_is_map(FW_BASE_MARK) && fw_set_is_map(FW_REMARK) && !fw_set_is_map(FW_LIVE));
	assert_false(fw_set_is_map(FW_SET_COUNT));
	assert_true(fw_set_is_map(FW_CG_MARK));
	assert_true(fw_set_is_grouped(FW_SG));
	assert_false(fw_set_is_grouped(FW_CG_MARK));
	assert_false(fw_set_is_grouped(FW_SET_COUNT));
	assert_int_equal(fw_elem_cgroup(UINT64_C(0x0102030405060708), 9).key.data[7], 8);
	assert_true(fw_key_u64(&(struct fw_key){ .data = { 1, 2, 3, 4, 5, 6, 7, 8 } }) ==
		    UINT64_C(0x0102030405060708));
}

static void test_fw_elem_check_valid_accepts(void **state)
{
	struct fw_state *s = fx_state(small);
	const struct fw_ruleset *rs = fw_state_ruleset(s);
	struct gi_addr four = { 4, { 10, 1, 1, 1 } };
	const struct fw_elem good[] = {
		fw_elem_mark(FW_LIVE, 0, 1),
		fw_elem_mark(FW_SG, 1, 1),
		fw_elem_live(1, 0, false),
		fw_elem_live(1, 1, true),
		fw_elem_live(1, FW_LEASE_MAX_S, false),
		fw_elem_cgroup(1, 1),
		fw_elem_cgroup(UINT64_MAX, 1),
		fw_elem_uid(0, 1),
		fw_elem_addr(&four, 1),
		fw_elem_remark(1, 2),
		fw_elem_base(4, 1),
		fw_elem_group_addr(FW_IA4, 0, &four),
	};

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(good); i++) {
		assert_int_equal(fw_elem_check(&good[i], rs), 0);
		assert_int_equal(fw_elem_check(&good[i], NULL), 0);
	}
	fw_state_free(s);
}

static void test_fw_elem_check_malformed_eproto(void **state)
{
	struct fw_state *s = fx_state(small);
	const struct fw_ruleset *rs = fw_state_ruleset(s);
	struct gi_addr four = { 4, { 10, 1, 1, 1 } };
	struct fw_elem bad[] = {
		fw_elem_mark(FW_LIVE, 0, 0),	      /* mark 0 */
		fw_elem_mark(FW_LIVE, 1, 1),	      /* a group where there is none */
		fw_elem_mark(FW_SG, 2, 1),	      /* no such group */
		fw_elem_group_addr(FW_GA4, 1, &four), /* the group does not use it */
		fw_elem_uid(1000, 0),		      /* value 0 */
		fw_elem_uid(UINT32_MAX, 1),
		fw_elem_remark(0, 1),
		fw_elem_remark(1, 0),
		fw_elem_base(5, 1),
		fw_elem_uid(7, FW_MARK_LO), /* reserved */
		fw_elem_uid(7, FW_MARK_END),
		fw_elem_mark(FW_LIVE, 0, FW_MARK_END),
		fw_elem_cgroup(0, 1), /* no cgroup */
		fw_elem_cgroup(7, 0),
		fw_elem_live(1, 0, true), /* ends, but when? */
		fw_elem_live(1, FW_LEASE_MAX_S + 1, false),
		{ .key = fw_elem_uid(7, 1).key, .mark = 1, .lease_s = 10 }, /* only marks lapse */
		fw_elem_mark(FW_LIVE, 0, 1),				    /* patched below */
		fw_elem_mark(FW_LIVE, 0, 1),
		fw_elem_mark(FW_LIVE, 0, 1),
		fw_elem_mark(FW_LIVE, 0, 1),
	};
	size_t n = GI_ARRAY_SIZE(bad);

	(void)state;
	bad[n - 1].key.set = FW_SET_COUNT;
	bad[n - 2].key.len = 5;
	bad[n - 3].key.data[9] = 1;
	bad[n - 4].mark = 1; /* a set has no values */
	for (size_t i = 0; i < n; i++)
		assert_int_equal(fw_elem_check(&bad[i], rs), -GI_EPROTO);
	assert_int_equal(
		fw_key_check(&bad[4].key, rs), 0); /* for a removal the value is no matter */
	bad[2].key.group = FW_GROUPS_MAX;
	assert_int_equal(fw_key_check(&bad[2].key, NULL), -GI_EPROTO);
	fw_state_free(s);
}

static void test_fw_ruleset_check_valid_accepts(void **state)
{
	struct fw_ruleset *rs;
	struct fw_state *s = valid(&rs);
	const char *why = "untouched";

	(void)state;
	assert_int_equal(fw_ruleset_check(rs, &why), 0);
	assert_string_equal(why, "untouched");
	fw_state_free(s);
}

static void break_names(struct fw_ruleset *rs, int how)
{
	static const char *const names[] = { "", "a b", "a;b", "a{", "/r", "s/", "s/t/u", "\"x",
		"a\n", "9a" };

	strcpy(rs->rules[0].name, names[how]);
}

static void test_fw_ruleset_check_rule_names_eproto(void **state)
{
	const char *why;

	(void)state;
	for (int how = 0; how < 10; how++) {
		struct fw_ruleset *rs;
		struct fw_state *s = valid(&rs);

		break_names(rs, how);
		assert_int_equal(fw_ruleset_check(rs, &why), -GI_EPROTO);
		strcpy(rs->rules[0].name, "fine");
		memset(rs->groups[1].name, 'x', sizeof(rs->groups[1].name)); /* no NUL */
		assert_int_equal(fw_ruleset_check(rs, &why), -GI_EPROTO);
		fw_state_free(s);
	}
}

/* each breaks one thing; what comes back */
static int broken(int how, struct fw_ruleset *rs)
{
	switch (how) {
	case 0:
		strcpy(rs->groups[1].name, "a");
		return -GI_EPROTO; /* twice */
	case 1:
		strcpy(rs->groups[1].name, "in/clude");
		return -GI_EPROTO;
	case 2:
		rs->groups[0].uses = 16;
		return -GI_EPROTO;
	case 3:
		rs->groups[0].nets[0].len = 8;
		return -GI_EPROTO; /* overlaps the second */
	case 4:
		rs->groups[0].nets[0].len = 33;
		return -GI_EPROTO;
	case 5:
		rs->groups[0].nets[0].addr.family = 5;
		return -GI_EPROTO;
	case 6:
		rs->groups[0].nets[0].addr.bytes[3] = 1;
		return -GI_EPROTO; /* host bits */
	case 7:
		rs->groups[0].nets[0].addr.bytes[0] = 12;
		return -GI_EPROTO; /* order */
	case 8:
		rs->groups[0].nets[0].addr.bytes[15] = 1;
		return -GI_EPROTO; /* behind IPv4 */
	case 9:
		rs->rules[0].dir = 2;
		return -GI_EPROTO;
	case 10:
		rs->rules[0].action = 3;
		return -GI_EPROTO;
	case 11:
		rs->rules[0].from[1] = 2;
		return -GI_EPROTO;
	case 12:
		rs->rules[0].to[0] = 2;
		return -GI_EPROTO;
	case 13:
		rs->rules[0].services[0].port_lo = 3;
		return -GI_EPROTO;
	case 14:
		rs->rules[0].services[0].icmp_type = 8;
		return -GI_EPROTO;
	case 15:
		rs->rules[0].services[1].icmp_type = 257;
		return -GI_EPROTO;
	case 16:
		rs->rules[0].services[2].port_lo = 1;
		return -GI_EPROTO; /* GRE has no ports */
	case 17:
		rs->rules[0].services[3].port_hi = 1;
		return -GI_EPROTO;
	case 18:
		rs->default_in = 3;
		return -GI_EPROTO;
	case 19:
		rs->default_out = 3;
		return -GI_EPROTO;
	case 20:
		rs->rules[0].n_from = FW_PEERS_MAX + 1;
		return -GI_ELIMIT;
	case 21:
		rs->rules[0].n_to = FW_PEERS_MAX + 1;
		return -GI_ELIMIT;
	case 22:
		rs->rules[0].n_services = FW_SERVICES_MAX + 1;
		return -GI_ELIMIT;
	case 23:
		rs->groups[0].n_nets = FW_NETS_MAX + 1;
		return -GI_ELIMIT;
	default:
		return 0;
	}
}

static void test_fw_ruleset_check_each_mistake_is_refused(void **state)
{
	int how = 0, want;

	(void)state;
	do {
		struct fw_ruleset *rs;
		struct fw_state *s = valid(&rs);
		const char *why = NULL;
		size_t n_nets = rs->groups[0].n_nets;

		want = broken(how++, rs);
		assert_int_equal(fw_ruleset_check(rs, &why), want);
		assert_true(want == 0 || why != NULL);
		rs->groups[0].n_nets = n_nets;
		fw_state_free(s);
	} while (want != 0);
	assert_int_equal(how, 25);
}

static void test_fw_ruleset_check_too_many_elimit(void **state)
{
	struct fw_ruleset rs = { .n_groups = FW_GROUPS_MAX + 1 };
	const char *why;

	(void)state;
	assert_int_equal(fw_ruleset_check(&rs, &why), -GI_ELIMIT);
	rs = (struct fw_ruleset){ .n_rules = FW_RULES_MAX + 1 };
	assert_int_equal(fw_ruleset_check(&rs, &why), -GI_ELIMIT);
	fw_ruleset_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fw_elem_constructors_have_the_documented_shape),
		cmocka_unit_test(test_fw_elem_check_valid_accepts),
		cmocka_unit_test(test_fw_elem_check_malformed_eproto),
		cmocka_unit_test(test_fw_ruleset_check_valid_accepts),
		cmocka_unit_test(test_fw_ruleset_check_rule_names_eproto),
		cmocka_unit_test(test_fw_ruleset_check_each_mistake_is_refused),
		cmocka_unit_test(test_fw_ruleset_check_too_many_elimit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
