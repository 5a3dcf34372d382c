/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_domain.c - names with a domain: what they are, whose they are, which domains there are
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <cmocka.h>

#include "tests/unit/policy/fixture.h"

/* two directories: corp is CORP and corp.example, lab is LAB */
static bool known(const void *arg, const char *domain)
{
	(void)arg;
	return !strcasecmp(domain, "CORP") || !strcasecmp(domain, "corp.example") ||
	       !strcasecmp(domain, "LAB");
}

static bool has(const void *arg, const char *label, const char *dn, const char *domain)
{
	(void)arg;
	if (dn && strstr(dn, "DC=eu"))
		return false;
	return !strncasecmp(domain, label, strlen(label));
}

static const struct pol_domains domains = { known, has, NULL };

static const char text[] =
	"group all { directory \"eng\"; user \"alice\"; }\n"
	"group corp { directory \"CORP\\\\Eng\"; }\n"
	"group lab { directory \"eng@LAB\"; }\n"
	"group odd { directory \"corp\\\\a@b\"; }\n"
	"group who { user \"Corp\\\\Alice\"; }\n"
	"group upn { user \"alice@corp.example\"; }\n"
	"group free { user \"bob@elsewhere.example\"; }\n"
	"section application { rule r allow from all, corp, lab, odd, who, upn, free to vm a; }\n";

static void expect(const struct pol_principal *who, const char *want)
{
	struct pol_policy *p = fx_policy(text);
	struct pol_set s;
	char got[256] = "";

	assert_int_equal(pol_groups_of_principal(p, who, &s), 0);
	for (size_t i = 0; i < pol_group_count(p); i++)
		if (pol_set_has(&s, i)) {
			strcat(got, got[0] ? " " : "");
			strcat(got, pol_group_name(p, i));
		}
	assert_string_equal(got, want);
	pol_set_fini(&s);
	pol_free(p);
}

static void test_pol_groups_of_principal_group_is_of_its_directory(void **state)
{
	static const struct {
		struct pol_dirgroup group;
		const char *want;
	} cases[] = {
		{ { .name = "ENG", .directory = "corp" }, "all corp" },
		{ { .name = "eng", .directory = "lab" }, "all lab" },
		{ { .name = "eng", .directory = "corp", .dn = "CN=eng,DC=eu" }, "all" },
		{ { .name = "eng", .directory = "" }, "all" },
		{ { .name = "eng" }, "all" },
		{ { .name = "a@b", .directory = "corp" }, "odd" },
		/* a directory cannot call a group so that it is another one's */
		{ { .name = "CORP\\Eng", .directory = "lab" }, "" },
		{ { .name = "CORP\\Eng", .directory = "corp" }, "" },
		{ { .name = "eng@LAB", .directory = "corp" }, "" },
	};

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		struct pol_principal who = { .name = "zoe",
			.groups = &cases[i].group,
			.n_groups = 1,
			.directory = "lab",
			.domains = &domains };

		expect(&who, cases[i].want);
	}
}

static void test_pol_groups_of_principal_user_is_of_its_directory(void **state)
{
	static const struct {
		const char *name, *upn, *directory, *want;
	} cases[] = {
		{ "alice", NULL, "corp", "all who" },
		{ "ALICE", "alice@CORP.example", "corp", "all who upn" },
		{ "alice", NULL, "lab", "all" },
		{ "alice", "alice@corp.example", "lab", "all" }, /* not its domain */
		{ "alice@corp.example", NULL, "lab", "" },
		{ "alice@corp.example", NULL, "corp", "upn" },
		{ "corp\\alice", NULL, "lab", "" },
		{ "x", "bob@elsewhere.example", "lab", "free" }, /* of nobody: whoever has it */
		{ "x", "bob@elsewhere.example", "corp", "free" },
		{ "alice", NULL, "", "all" },
	};

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		struct pol_principal who = { .name = cases[i].name,
			.upn = cases[i].upn,
			.directory = cases[i].directory,
			.domains = &domains };

		expect(&who, cases[i].want);
	}
}

static void test_pol_reasons_are_members_as_written(void **state)
{
	static const struct pol_dirgroup groups[] = { { .name = "eng", .directory = "corp" },
		{ .name = "a@b", .directory = "corp" } };
	struct pol_principal who = { .name = "alice",
		.upn = "alice@corp.example",
		.groups = groups,
		.n_groups = 2,
		.directory = "corp",
		.domains = &domains };
	static const char policy[] =
		"group inner { directory \"lab\\\\eng\", \"CORP\\\\ENG\", \"eng\"; vm v; }\n"
		"group outer { group inner; user \"alice@corp.example\", \"corp\\\\bob\"; }\n"
		"section application { rule r allow from outer to vm a; }\n";
	struct pol_policy *p = fx_policy(policy);
	struct pol_reason by[8];

	(void)state;
	assert_int_equal(pol_reasons(p, &who, fx_group(p, "outer"), by, 8), 3);
	assert_string_equal(by[0].kind, "directory");
	assert_string_equal(by[0].text, "CORP\\ENG");
	assert_string_equal(by[1].text, "eng");
	assert_string_equal(by[2].kind, "user");
	assert_string_equal(by[2].text, "alice@corp.example");
	assert_int_equal(pol_reasons(p, &who, fx_group(p, "outer"), by, 0), 3);
	assert_int_equal(pol_reasons(p, &who, 4096, by, 8), 0);
	who.directory = "lab";
	who.n_groups = 0;
	assert_int_equal(pol_reasons(p, &who, fx_group(p, "outer"), by, 8), 0);
	pol_free(p);
}

/* who has no directories at hand: names with a domain are nobody's, principal names whoever's */
static void test_pol_groups_of_principal_without_domains(void **state)
{
	static const struct pol_dirgroup eng = { .name = "eng", .directory = "corp" };
	struct pol_principal who = { .name = "alice",
		.upn = "alice@corp.example",
		.groups = &eng,
		.n_groups = 1,
		.directory = "corp" };

	(void)state;
	expect(&who, "all upn");
}

/* one line a diagnostic: line:col severity */
static size_t check(const char *policy, char ret[1024])
{
	struct pol_policy *p = fx_policy(policy);
	struct conf_diags d;
	size_t n, at = 0;

	conf_diags_init(&d, "x", policy, strlen(policy));
	n = pol_domains_check(p, &domains, &d);
	assert_int_equal(n, d.n_errors);
	ret[0] = '\0';
	for (size_t i = 0; i < d.n; i++)
		at += (size_t)snprintf(ret + at, 1024 - at, "%d:%d %s\n", d.list[i].pos.line,
			d.list[i].pos.col, d.list[i].severity == CONF_ERROR ? "error" : "warning");
	conf_diags_fini(&d);
	pol_free(p);
	return n;
}

static void test_pol_domains_check_says_where(void **state)
{
	char got[1024];

	(void)state;
	assert_int_equal(check(text, got), 0);
	assert_string_equal(got, "7:19 warning\n"); /* a suffix may be any */
	assert_int_equal(
		check("group a { directory \"x\", \"CROP\\\\eng\"; }\n"
		      "group b { user \"CROP\\\\alice\"; directory \"eng@crop.example\"; }\n"
		      "section application {\n"
		      "rule r allow from a, b, directory \"X\\\\y\" to user \"Y\\\\z\";\n"
		      "rule s allow from directory \"X\\\\y\" to vm v;\n"
		      "}\n"
		      "logins l allow directory \"Z\\\\eng\" on any;\n",
			got),
		7);
	assert_string_equal(got, "1:26 error\n2:16 error\n2:41 error\n"
				 "4:35 error\n4:50 error\n5:29 error\n7:26 error\n");
	assert_int_equal(check("group a { directory-dn \"CN=a@b\\\\,x\"; user \"S-1-5-7\"; }\n"
			       "section application { rule r allow from a to vm v; }\n",
				 got),
		0);
	assert_string_equal(got, "");
}

static void test_pol_parse_names_with_half_a_domain(void **state)
{
	static const char *const bad[] = { "directory \"\\\\eng\"", "directory \"CORP\\\\\"",
		"directory \"@corp.example\"", "directory \"eng@\"", "user \"CORP\\\\a\\\\b\"",
		"user \"alice@\"", "user \"@corp.example\"", "user \"\\\\alice\"" };
	char policy[256];
	struct gi_buf out;

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(bad); i++) {
		(void)snprintf(policy, sizeof(policy),
			"group a { %s; }\nsection application { rule r allow from a to vm v; }\n",
			bad[i]);
		gi_buf_init(&out, 1 << 16);
		fx_diags(policy, strlen(policy), true, &out);
		assert_non_null(strstr(gi_buf_str(&out), ":1:"));
		gi_buf_fini(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pol_groups_of_principal_group_is_of_its_directory),
		cmocka_unit_test(test_pol_groups_of_principal_user_is_of_its_directory),
		cmocka_unit_test(test_pol_groups_of_principal_without_domains),
		cmocka_unit_test(test_pol_reasons_are_members_as_written),
		cmocka_unit_test(test_pol_domains_check_says_where),
		cmocka_unit_test(test_pol_parse_names_with_half_a_domain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
