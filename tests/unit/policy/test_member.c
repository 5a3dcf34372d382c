/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_member.c - who is in which group: principals, VMs, nesting, spelling
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/policy/fixture.h"

static const char text[] =
	"group eng { directory \"Eng\"; }\n"
	"group sales { directory-dn \"CN=Sales\\\\, EMEA, OU=Groups,DC=corp,DC=example\"; }\n"
	"group admins { directory-sid \"S-1-5-21-1-2-3-512\"; }\n"
	"group alice { user \"Alice\"; }\n"
	"group upn { user \"bob@corp.example\"; }\n"
	"group by-sid { user \"S-1-5-21-1-2-3-1108\"; }\n"
	"group web { vm web01, web02; }\n"
	"group staff { group eng, web; address 10.0.0.0/8; }\n"
	"group everyone { group staff; group admins; }\n"
	"section infrastructure { rule r allow from everyone, sales, alice, upn, by-sid, user "
	"carol\n"
	"	to vm db01, vm web01; }\n";

/* the names of the set's groups, in order */
static void names(const struct pol_policy *p, const struct pol_set *s, char *ret, size_t size)
{
	ret[0] = '\0';
	for (size_t i = 0; i < pol_group_count(p); i++) {
		if (!pol_set_has(s, i))
			continue;
		assert_true(strlen(ret) + strlen(pol_group_name(p, i)) + 2 < size);
		strcat(ret, ret[0] ? " " : "");
		strcat(ret, pol_group_name(p, i));
	}
}

static void expect(const struct pol_principal *who, const char *want)
{
	struct pol_policy *p = fx_policy(text);
	struct pol_set s;
	char got[512];

	assert_int_equal(pol_groups_of_principal(p, who, &s), 0);
	assert_int_equal(s.n, pol_group_count(p));
	names(p, &s, got, sizeof(got));
	assert_string_equal(got, want);
	pol_set_fini(&s);
	pol_free(p);
}

static void test_pol_groups_of_principal_by_group(void **state)
{
	static const struct {
		struct pol_dirgroup group;
		const char *want;
	} cases[] = {
		{ { .name = "eng" }, "eng staff everyone" },
		{ { .name = "ENG", .dn = "", .sid = "" }, "eng staff everyone" },
		{ { .name = "engx" }, "" },
		{ { .name = "en" }, "" },
		{ { .dn = "eng" }, "" },
		{ { .dn = "cn=sales\\, emea,ou=groups,dc=corp,dc=example" }, "sales" },
		{ { .dn = "CN = Sales\\2C EMEA , OU=Groups, DC=corp,DC=example " }, "sales" },
		{ { .dn = "CN=Sales, EMEA,OU=Groups,DC=corp,DC=example" }, "" },
		{ { .name = "x", .sid = "S-1-5-21-1-2-3-512" }, "admins everyone" },
		{ { .sid = "s-1-5-21-1-2-3-512" }, "admins everyone" },
		{ { .sid = "S-1-5-21-1-2-3-5121" }, "" },
		{ { .name = "S-1-5-21-1-2-3-512" }, "" },
		{ { .name = "alice" }, "" },
	};

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		struct pol_principal who = {
			.name = "zoe", .groups = &cases[i].group, .n_groups = 1
		};

		expect(&who, cases[i].want);
	}
}

static void test_pol_groups_of_principal_by_user(void **state)
{
	static const struct {
		struct pol_principal who;
		const char *want;
	} cases[] = {
		{ { .name = "alice" }, "alice" },
		{ { .name = "ALICE", .upn = "bob@CORP.example" }, "alice upn" },
		{ { .name = "bob" }, "" },
		{ { .name = "x", .sid = "S-1-5-21-1-2-3-1108" }, "by-sid" },
		{ { .name = "carol" }, "_1" },
		{ { .name = "web01" }, "" },
		{ { .name = "" }, "" },
		{ { .name = NULL }, "" },
	};

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++)
		expect(&cases[i].who, cases[i].want);
}

static void test_pol_groups_of_principal_unknown_is_in_none(void **state)
{
	(void)state;
	expect(NULL, "");
}

static void test_pol_groups_of_principal_long_name_is_no_match(void **state)
{
	char name[8192];
	struct pol_dirgroup group = { .name = name, .dn = name, .sid = name };
	struct pol_principal who = { .name = name, .groups = &group, .n_groups = 1 };

	(void)state;
	memset(name, 'a', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	expect(&who, "");
}

static void test_pol_groups_of_vm_by_name(void **state)
{
	static const struct {
		const char *vm;
		const char *want;
	} cases[] = {
		{ "web01", "web staff everyone _2" },
		{ "web02", "web staff everyone" },
		{ "db01", "_2" },
		{ "WEB01", "" },
		{ "alice", "" },
		{ "", "" },
	};
	struct pol_policy *p = fx_policy(text);
	struct pol_set s;
	char got[512];

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		assert_int_equal(pol_groups_of_vm(p, cases[i].vm, &s), 0);
		names(p, &s, got, sizeof(got));
		assert_string_equal(got, cases[i].want);
		pol_set_fini(&s);
	}
	pol_free(p);
}

static void test_pol_vm_name_lists_each_once_sorted(void **state)
{
	struct pol_policy *p = fx_policy(text);

	(void)state;
	assert_int_equal(pol_vm_count(p), 3);
	assert_string_equal(pol_vm_name(p, 0), "db01");
	assert_string_equal(pol_vm_name(p, 1), "web01");
	assert_string_equal(pol_vm_name(p, 2), "web02");
	pol_free(p);
}

static void test_pol_set_equal_compares_bits_and_size(void **state)
{
	struct pol_set a = { 0 }, b = { 0 }, none = { 0 };

	(void)state;
	assert_int_equal(pol_set_init(&a, 130), 0);
	assert_int_equal(pol_set_init(&b, 130), 0);
	assert_true(pol_set_equal(&a, &b));
	pol_set_add(&a, 129);
	assert_true(pol_set_has(&a, 129));
	assert_false(pol_set_has(&a, 128));
	assert_false(pol_set_has(&a, 130));
	assert_false(pol_set_has(&a, 100000));
	assert_false(pol_set_equal(&a, &b));
	pol_set_add(&b, 129);
	assert_true(pol_set_equal(&a, &b));
	assert_false(pol_set_equal(&a, &none));
	assert_true(pol_set_equal(&none, &none));
	pol_set_fini(&a);
	pol_set_fini(&b);
	pol_set_fini(&none);
	assert_null(a.bits);
}

static void test_pol_dn_fold_gives_one_spelling(void **state)
{
	static const struct {
		const char *dn;
		const char *want;
	} cases[] = {
		{ "", "" },
		{ "CN=A,DC=B", "cn=a,dc=b" },
		{ " CN =  A b  , DC = B ", "cn=a b,dc=b" },
		{ "CN=a\\,b,DC=c", "cn=a\\,b,dc=c" },
		{ "CN=a\\2Cb,DC=c", "cn=a\\,b,dc=c" },
		{ "CN=a\\20,DC=c", "cn=a ,dc=c" },
		{ "CN=a\\ ,DC=c", "cn=a ,dc=c" },
		{ "CN=a\\5Cb", "cn=a\\\\b" },
		{ "CN=\\C3\\9Cber", "cn=\xc3\x9c"
				    "ber" },
		{ "CN=a\\00b", "cn=a\\0b" },
		{ "CN=a+UID=b", "cn=a+uid=b" },
		{ "CN=a\\", "cn=a\\" },
		{ "CN=x\\=y", "cn=x=y" },
		{ "CN=a\\#b", "cn=a#b" },
	};
	char got[64], small[8];

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		assert_int_equal(pol_dn_fold(cases[i].dn, got, sizeof(got)), 0);
		assert_string_equal(got, cases[i].want);
	}
	assert_int_equal(pol_dn_fold("CN=longer than that", small, sizeof(small)), -GI_ELIMIT);
	assert_int_equal(pol_dn_fold("", small, 0), -GI_ELIMIT);
}

static void test_pol_dirref_lists_what_the_policy_names(void **state)
{
	struct pol_policy *p = fx_policy(
		"group a { directory \"Eng\", \"ops\"; } group b { directory \"CORP\\\\ENG\"; }\n"
		"group c { directory-dn \"CN=Sales\\\\, EMEA, OU=Groups,DC=corp\"; user "
		"\"eng\"; }\n"
		"group d { directory-sid \"S-1-5-21-1-2-3-512\"; vm web01; unit "
		"nginx.service; }\n");
	char got[512] = "", fold[64], small[4];
	struct pol_dirref r;
	size_t at = 0;

	(void)state;
	while (pol_dirref(p, &at, &r)) {
		size_t n = strlen(got);

		assert_true(n + strlen(r.text) + 32 < sizeof(got));
		(void)snprintf(got + n, sizeof(got) - n, "%d %s%s%s %s|", (int)r.kind,
			r.domain ? r.domain : "", r.domain ? ":" : "", r.text,
			pol_group_name(p, r.group));
	}
	assert_string_equal(got,
		"1 cn=sales\\, emea,ou=groups,dc=corp c|0 eng a|0 CORP:eng b|0 ops a|"
		"2 s-1-5-21-1-2-3-512 d|");
	assert_false(pol_dirref(p, &at, &r));
	assert_int_equal(pol_dirref_fold(POL_DIRREF_NAME, "Ops", fold, sizeof(fold)), 0);
	assert_string_equal(fold, "ops");
	assert_int_equal(pol_dirref_fold(POL_DIRREF_DN, "CN=x,  DC=Y", fold, sizeof(fold)), 0);
	assert_string_equal(fold, "cn=x,dc=y");
	assert_int_equal(pol_dirref_fold(POL_DIRREF_SID, "S-1-5", fold, sizeof(fold)), 0);
	assert_string_equal(fold, "s-1-5");
	assert_int_equal(
		pol_dirref_fold(POL_DIRREF_NAME, "long", small, sizeof(small)), -GI_ELIMIT);
	pol_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pol_groups_of_principal_by_group),
		cmocka_unit_test(test_pol_groups_of_principal_by_user),
		cmocka_unit_test(test_pol_groups_of_principal_unknown_is_in_none),
		cmocka_unit_test(test_pol_groups_of_principal_long_name_is_no_match),
		cmocka_unit_test(test_pol_groups_of_vm_by_name),
		cmocka_unit_test(test_pol_vm_name_lists_each_once_sorted),
		cmocka_unit_test(test_pol_set_equal_compares_bits_and_size),
		cmocka_unit_test(test_pol_dn_fold_gives_one_spelling),
		cmocka_unit_test(test_pol_dirref_lists_what_the_policy_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
