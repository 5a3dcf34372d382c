/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_session.c - leases, revocation, who may log in where, identities of services
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/policy/fixture.h"

#define RULES                                                        \
	"section infrastructure { rule r allow from any to any; }\n" \
	"section application { rule s allow from own, outer, plain to 10.0.0.0/8; }\n"

/* ---- on-loss ---- */

static void test_pol_group_lease_s_own_then_policys_then_default(void **state)
{
	static const char groups[] = "group own { user alice; on-loss hold 90s; }\n"
				     "group outer { group own; user bob; }\n"
				     "group plain { user carol; }\n" RULES;
	static const struct {
		const char *top;
		uint32_t own, outer, plain;
	} cases[] = {
		{ "", 90, 24 * 60 * 60, 24 * 60 * 60 },
		{ "on-loss hold 5m;", 90, 300, 300 },
		{ "on-loss close;", 90, 10, 10 },
		{ "on-loss hold 30d;", 90, 30 * 24 * 60 * 60, 30 * 24 * 60 * 60 },
	};
	char text[512];

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		struct pol_policy *p;

		snprintf(text, sizeof(text), "%s\n%s", cases[i].top, groups);
		p = fx_policy(text);
		assert_int_equal(pol_group_lease_s(p, fx_group(p, "own")), cases[i].own);
		assert_int_equal(pol_group_lease_s(p, fx_group(p, "outer")), cases[i].outer);
		assert_int_equal(pol_group_lease_s(p, fx_group(p, "plain")), cases[i].plain);
		/* the list written in rule s */
		assert_int_equal(pol_group_lease_s(p, fx_group(p, "_1")), cases[i].plain);
		pol_free(p);
	}
}

/* ---- on-stale ---- */

static void test_pol_group_stale_s_own_then_policys_then_for_good(void **state)
{
	static const char groups[] = "group own { user alice; on-stale hold 90m; }\n"
				     "group outer { group own; user bob; }\n"
				     "group plain { on-stale hold; user carol; }\n" RULES;
	static const struct {
		const char *top;
		uint32_t own, outer, plain;
	} cases[] = {
		{ "", 5400, 0, 0 },
		{ "on-stale hold;", 5400, 0, 0 },
		{ "on-stale hold 5m;", 5400, 300, 0 },
		{ "on-stale hold 365d;", 5400, 365 * 24 * 60 * 60, 0 },
	};
	char text[512];

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		struct pol_policy *p;

		snprintf(text, sizeof(text), "%s\n%s", cases[i].top, groups);
		p = fx_policy(text);
		assert_int_equal(pol_group_stale_s(p, fx_group(p, "own")), cases[i].own);
		assert_int_equal(pol_group_stale_s(p, fx_group(p, "outer")), cases[i].outer);
		assert_int_equal(pol_group_stale_s(p, fx_group(p, "plain")), cases[i].plain);
		assert_int_equal(pol_group_stale_s(p, fx_group(p, "_1")), cases[i].outer);
		pol_free(p);
	}
}

/* ---- on-revoke ---- */

static void test_pol_on_revoke_each_mode(void **state)
{
	static const struct {
		const char *text;
		enum fw_revoke mode;
		uint32_t drain_s;
	} cases[] = {
		{ "", FW_REVOKE_DROP, 0 },
		{ "on-revoke drop;", FW_REVOKE_DROP, 0 },
		{ "on-revoke reset;", FW_REVOKE_RESET, 0 },
		{ "on-revoke drain 30s;", FW_REVOKE_DROP, 30 },
		{ "on-revoke drain 1d;", FW_REVOKE_DROP, 24 * 60 * 60 },
	};

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		struct pol_policy *p = fx_policy(cases[i].text);
		enum fw_revoke mode;
		uint32_t drain_s;

		pol_on_revoke(p, &mode, &drain_s);
		assert_int_equal(mode, cases[i].mode);
		assert_int_equal(drain_s, cases[i].drain_s);
		pol_free(p);
	}
}

/* ---- logins ---- */

static const char logins_text[] =
	"group eng { directory \"eng\"; }\n"
	"group staff { group eng; user bob; }\n"
	"group web { vm web01, web02; address 10.0.0.0/8; }\n"
	"group front { group web; vm proxy01; }\n"
	"logins web-team allow eng on web;\n"
	"logins oncall allow user \"carol\", directory \"oncall\" on front, vm db01;\n"
	"logins bastion allow any on vm jump01;\n"
	"section infrastructure { rule r allow from staff to front; }\n";

static void expect_login(const struct pol_policy *p, const char *vm,
	const struct pol_set *member_of, bool want, const char *want_rule)
{
	const char *rule = "unset";

	assert_int_equal(pol_login_allowed(p, vm, member_of, &rule), want);
	if (want_rule)
		assert_string_equal(rule, want_rule);
	else
		assert_null(rule);
}

static void test_pol_login_allowed_by_user_and_vm(void **state)
{
	static const struct pol_dirgroup eng = { .name = "ENG" };
	static const struct {
		const char *user;
		const struct pol_dirgroup *group;
		const char *vm;
		bool want;
		const char *rule;
	} cases[] = {
		{ "alice", &eng, "web01", true, "web-team" },
		{ "alice", &eng, "web02", true, "web-team" },
		{ "alice", &eng, "proxy01", false, "oncall" },
		{ "alice", &eng, "db01", false, "oncall" },
		{ "alice", &eng, "jump01", true, "bastion" },
		{ "alice", &eng, "other", true, NULL },	     /* no statement covers it */
		{ "alice", &eng, "WEB01", true, NULL },	     /* names of VMs are as they are */
		{ "bob", NULL, "web01", false, "web-team" }, /* staff holds eng, not vice versa */
		{ "carol", NULL, "web01", true, "oncall" },
		{ "Carol", NULL, "db01", true, "oncall" },
		{ "dave", NULL, "jump01", true, "bastion" },
		{ "dave", NULL, "db01", false, "oncall" },
	};
	struct pol_policy *p = fx_policy(logins_text);

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		const struct pol_principal who = { .name = cases[i].user,
			.groups = cases[i].group,
			.n_groups = cases[i].group ? 1 : 0 };
		struct pol_set s;

		assert_int_equal(pol_groups_of_principal(p, &who, &s), 0);
		expect_login(p, cases[i].vm, &s, cases[i].want, cases[i].rule);
		pol_set_fini(&s);
	}
	pol_free(p);
}

static void test_pol_login_allowed_unknown_account_by_any_only(void **state)
{
	struct pol_policy *p = fx_policy(logins_text);

	(void)state;
	expect_login(p, "web01", NULL, false, "web-team");
	expect_login(p, "jump01", NULL, true, "bastion");
	expect_login(p, "other", NULL, true, NULL);
	pol_free(p);
}

static void test_pol_login_allowed_on_any_covers_all_vms(void **state)
{
	struct pol_policy *p =
		fx_policy("logins ops allow directory ops on any;\n"
			  "logins web allow any on vm web01;\n"
			  "section infrastructure { rule r allow from any to any; }\n");

	(void)state;
	expect_login(p, "db01", NULL, false, "ops");
	expect_login(p, "web01", NULL, true, "web");
	pol_free(p);
}

static void test_pol_login_allowed_without_statements_everybody(void **state)
{
	struct pol_policy *p = fx_policy("");

	(void)state;
	expect_login(p, "db01", NULL, true, NULL);
	pol_free(p);
}

/* ---- services ---- */

static const char services_text[] =
	"group www { unit \"nginx.service\", \"/system.slice/php.service\"; uid 33; }\n"
	"group daemons { group www; uid 9, 10, 100; unit \"cron.service\"; }\n"
	"section infrastructure { rule r allow from daemons, uid 4294967294, unit "
	"nginx.service to any; }\n";

static void expect_groups(const struct pol_policy *p, struct pol_set *s, const char *want)
{
	char got[128] = "";

	for (size_t i = 0; i < pol_group_count(p); i++) {
		if (pol_set_has(s, i))
			snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%s",
				got[0] ? " " : "", pol_group_name(p, i));
	}
	assert_string_equal(got, want);
	pol_set_fini(s);
}

static void test_pol_groups_of_unit_by_exact_name(void **state)
{
	static const struct {
		const char *unit, *want;
	} cases[] = {
		{ "nginx.service", "www daemons _1" },
		{ "cron.service", "daemons" },
		{ "/system.slice/php.service", "www daemons" },
		{ "php.service", "" },
		{ "Nginx.service", "" },
		{ "33", "" },
		{ "", "" },
	};
	struct pol_policy *p = fx_policy(services_text);
	struct pol_set s;

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		assert_int_equal(pol_groups_of_unit(p, cases[i].unit, &s), 0);
		expect_groups(p, &s, cases[i].want);
	}
	pol_free(p);
}

static void test_pol_groups_of_uid_by_number(void **state)
{
	static const struct {
		uint32_t uid;
		const char *want;
	} cases[] = {
		{ 33, "www daemons" },
		{ 100, "daemons" },
		{ 4294967294u, "_1" },
		{ 0, "" },
		{ 3, "" },
	};
	struct pol_policy *p = fx_policy(services_text);
	struct pol_set s;

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		assert_int_equal(pol_groups_of_uid(p, cases[i].uid, &s), 0);
		expect_groups(p, &s, cases[i].want);
	}
	pol_free(p);
}

static void test_pol_units_and_uids_are_listed_once_and_sorted(void **state)
{
	static const char *const units[] = { "/system.slice/php.service", "cron.service",
		"nginx.service" };
	static const uint32_t uids[] = { 9, 10, 33, 100, 4294967294u };
	struct pol_policy *p = fx_policy(services_text);

	(void)state;
	assert_int_equal(pol_unit_count(p), GI_ARRAY_SIZE(units));
	for (size_t i = 0; i < GI_ARRAY_SIZE(units); i++)
		assert_string_equal(pol_unit_name(p, i), units[i]);
	assert_int_equal(pol_uid_count(p), GI_ARRAY_SIZE(uids));
	for (size_t i = 0; i < GI_ARRAY_SIZE(uids); i++)
		assert_int_equal(pol_uid(p, i), uids[i]);
	pol_free(p);
}

/* a service's name is no user's, and the other way round */
static void test_pol_groups_of_principal_knows_no_services(void **state)
{
	struct pol_policy *p =
		fx_policy("group g { unit \"nginx.service\"; uid 33; }\n"
			  "section infrastructure { rule r allow from g to any; }\n");
	const struct pol_dirgroup group = { .name = "nginx.service" };
	const struct pol_principal who = {
		.name = "nginx.service", .upn = "33", .groups = &group, .n_groups = 1
	};
	struct pol_set s;

	(void)state;
	assert_int_equal(pol_groups_of_principal(p, &who, &s), 0);
	expect_groups(p, &s, "");
	pol_free(p);
}

/* a text with @n units whose names have @len characters each */
static char *many_units(size_t n, size_t len)
{
	struct gi_buf b;
	char *text;

	gi_buf_init(&b, 1 << 20);
	gi_buf_printf(&b, "group g { ");
	for (size_t i = 0; i < n; i++)
		gi_buf_printf(&b, "unit \"%0*zu.service\"; ", (int)(len - 8), i);
	gi_buf_printf(&b, "}\nsection infrastructure { rule r allow from g to any; }\n");
	text = strdup(gi_buf_str(&b));
	gi_buf_fini(&b);
	assert_non_null(text);
	return text;
}

static void test_pol_parse_units_fit_one_message(void **state)
{
	static const struct {
		size_t n, len;
		const char *want; /* NULL: taken */
	} cases[] = {
		{ POL_UNITS_MAX, 100, NULL },
		{ POL_UNITS_MAX + 1, 100, "more than 256 units in one policy" },
		{ POL_UNITS_BYTES_MAX / 240, 240, NULL },
		{ POL_UNITS_BYTES_MAX / 240 + 1, 240, "more than 48000 characters together" },
	};

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		char *text = many_units(cases[i].n, cases[i].len);
		struct gi_buf out;

		fx_diags(text, strlen(text), cases[i].want != NULL, &out);
		if (cases[i].want)
			assert_non_null(strstr(gi_buf_str(&out), cases[i].want));
		gi_buf_fini(&out);
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pol_group_lease_s_own_then_policys_then_default),
		cmocka_unit_test(test_pol_group_stale_s_own_then_policys_then_for_good),
		cmocka_unit_test(test_pol_on_revoke_each_mode),
		cmocka_unit_test(test_pol_login_allowed_by_user_and_vm),
		cmocka_unit_test(test_pol_login_allowed_unknown_account_by_any_only),
		cmocka_unit_test(test_pol_login_allowed_on_any_covers_all_vms),
		cmocka_unit_test(test_pol_login_allowed_without_statements_everybody),
		cmocka_unit_test(test_pol_groups_of_unit_by_exact_name),
		cmocka_unit_test(test_pol_groups_of_uid_by_number),
		cmocka_unit_test(test_pol_units_and_uids_are_listed_once_and_sorted),
		cmocka_unit_test(test_pol_groups_of_principal_knows_no_services),
		cmocka_unit_test(test_pol_parse_units_fit_one_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
