/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_dirroute.c - svm-idfw/dirroute.c: rules that map names, and which blocks answer for one
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "svm-idfw/dirroute.h"

static char *realm_b[] = { (char *)"shared.example", (char *)"B.example" };
static char *trust_b[] = { (char *)"b" }, *trust_self[] = { (char *)"a" };
static char *trust_nobody[] = { (char *)"x" }, *trust_ldap[] = { (char *)"ldap" };

static void blocks(struct idfw_dir_conf d[3])
{
	d[0] = (struct idfw_dir_conf){ .label = (char *)"a",
		.type = (char *)"ad",
		.base = (char *)"DC=a,DC=example",
		.netbios = (char *)"AA" };
	d[1] = (struct idfw_dir_conf){ .label = (char *)"b",
		.type = (char *)"ad",
		.base = (char *)"DC=ad,DC=b,DC=example",
		.realm = { realm_b, 2 } };
	d[2] = (struct idfw_dir_conf){ .label = (char *)"ldap",
		.type = (char *)"openldap",
		.base = (char *)"dc=l,dc=example" };
}

static const char *order(const struct idfw_dir_conf *d, const char *name, char buf[64])
{
	struct dir_route r;
	size_t at = 0;

	dir_route(d, 3, name, "", &r);
	buf[0] = '\0';
	for (size_t i = 0; i < r.n; i++)
		at += (size_t)snprintf(buf + at, 64 - at, "%s ", d[r.at[i]].label);
	return buf;
}

static void test_route_order(void **state)
{
	static const struct {
		const char *name, *order;
	} t[] = {
		{ "alice", "a b ldap " },
		{ "alice@a.example", "a " },
		{ "alice@A.Example", "a " },
		{ "alice@shared.example", "b " },
		{ "alice@b.example", "b " },
		{ "alice@ad.b.example", "b " },
		{ "alice@l.example", "ldap " },
		{ "aa\\alice", "a " },
		{ "a.example\\alice", "a " },
		{ "BB\\alice", "a b ldap " },
		{ "alice@elsewhere.example", "a b ldap " },
		{ "x@y@b.example", "b " },
		{ "", "" },
		{ "alice@", "" },
	};
	struct idfw_dir_conf d[3];
	char buf[64];

	(void)state;
	blocks(d);
	for (size_t i = 0; i < GI_ARRAY_SIZE(t); i++)
		assert_string_equal(order(d, t[i].name, buf), t[i].order);
}

static void test_route_default_takes_bare_names(void **state)
{
	struct idfw_dir_conf d[3];
	char buf[64];

	(void)state;
	blocks(d);
	d[1].is_default = d[2].is_default = true;
	assert_string_equal(order(d, "alice", buf), "b ldap ");
	assert_string_equal(order(d, "alice@a.example", buf), "a ");
	assert_string_equal(order(d, "BB\\alice", buf), "a b ldap ");
}

static char *catalogs[] = { (char *)"ldap://dc1.b.example:3268", (char *)"ldap://dc1:3269/" };
static char *catalog[] = { (char *)"ldaps://dc1.b.example:3269" };

static void test_route_check_trusts(void **state)
{
	struct idfw_dir_conf d[3];
	char why[CONF_WHY_MAX];

	(void)state;
	blocks(d);
	assert_int_equal(dir_route_check(d, 3, why), 0);
	d[0].trusts = (struct conf_list){ trust_b, 1 };
	assert_int_equal(dir_route_check(d, 3, why), 0);
	d[1].uris = (struct conf_list){ catalog, 1 };
	assert_int_equal(dir_route_check(d, 3, why), -EINVAL);
	assert_non_null(strstr(why, "Global Catalog"));
	for (size_t i = 0; i < GI_ARRAY_SIZE(catalogs); i++) {
		d[1].uris = (struct conf_list){ &catalogs[i], 1 };
		assert_int_equal(dir_route_check(d, 3, why), -EINVAL);
	}
	d[0].trusts = (struct conf_list){ trust_self, 1 };
	assert_int_equal(dir_route_check(d, 3, why), -EINVAL);
	assert_non_null(strstr(why, "directory a: trusts: \"a\""));
	d[0].trusts = (struct conf_list){ trust_nobody, 1 };
	assert_int_equal(dir_route_check(d, 3, why), -EINVAL);
	d[0].trusts = (struct conf_list){ trust_ldap, 1 };
	assert_int_equal(dir_route_check(d, 3, why), -EINVAL);
}

static void test_map_apply_first_that_fits(void **state)
{
	static char *rules[] = { (char *)"root@old.example -> CORP\\admin",
		(char *)"*@old.example -> *@corp.example", (char *)"OLD\\* -> CORP\\*",
		(char *)"svc-* -> svc-*@b.example", (char *)"m* -> *",
		(char *)"Zo\xc3\xa9 -> zoe" };
	static const struct {
		const char *name, *to;
	} t[] = {
		{ "alice", "alice" },
		{ "alice@old.example", "alice@corp.example" },
		{ "Alice@OLD.example", "Alice@corp.example" },
		{ "root@old.example", "CORP\\admin" },
		{ "old\\bob", "CORP\\bob" },
		{ "svc-db", "svc-db@b.example" },
		{ "svc-", "svc-" },				/* the star stands for something */
		{ "svc-a@corp.example", "svc-a@corp.example" }, /* never for an @ */
		{ "svc-a\\b", "svc-a\\b" },
		{ "a@b@old.example", "a@b@old.example" },
		{ "@old.example", "@old.example" },
		{ "xold.example", "xold.example" },
		{ "m\xc3\xbcller", "\xc3\xbcller" },
		{ "zo\xc3\xa9", "zoe" },
		{ "zo\xc3\x89", "zo\xc3\x89" }, /* only A-Z without case */
		{ "", "" },
	};
	struct conf_list list = { rules, GI_ARRAY_SIZE(rules) };
	char made[DIR_NAME_MAX + 1], why[CONF_WHY_MAX];

	(void)state;
	for (size_t i = 0; i < list.n; i++)
		assert_int_equal(dir_map_check(rules[i], why), 0);
	for (size_t i = 0; i < GI_ARRAY_SIZE(t); i++) {
		assert_int_equal(dir_map_apply(&list, t[i].name, made), 0);
		assert_string_equal(made, t[i].to);
	}
}

static void test_map_apply_too_long(void **state)
{
	static char *rules[] = { (char *)"a* -> longer-*@corp.example" };
	struct conf_list list = { rules, 1 };
	char name[DIR_NAME_MAX + 2], made[DIR_NAME_MAX + 1];

	(void)state;
	memset(name, 'a', sizeof(name));
	name[DIR_NAME_MAX + 1] = '\0';
	assert_int_equal(dir_map_apply(&list, name, made), -GI_ELIMIT);
	name[DIR_NAME_MAX] = '\0';
	assert_int_equal(dir_map_apply(&list, name, made), -GI_ELIMIT);
	list.n = 0;
	assert_int_equal(dir_map_apply(&list, name, made), 0);
	assert_string_equal(made, name);
	name[DIR_NAME_MAX] = 'a';
	assert_int_equal(dir_map_apply(&list, name, made), -GI_ELIMIT);
}

static void test_map_check_bad_refused(void **state)
{
	static const char *const bad[] = { "", "a", "a->b", "-> b", "a -> ", " -> ", "a -> b -> c",
		"*-* -> *", "* -> *-*", "*@x.example -> guest", "guest -> *@x.example",
		"*@x.example -> *@", "* -> *\\", "a -> A\\B\\c", "a  -> b", "a ->  b",
		"a -> \xff" };
	static const char *const good[] = { "a -> b", "* -> CORP\\*", "*@x -> *@y.example",
		"X\\* -> *" };
	char why[CONF_WHY_MAX], text[DIR_NAME_MAX + 16];

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(bad); i++) {
		why[0] = '\0';
		assert_int_equal(dir_map_check(bad[i], why), -EINVAL);
		assert_true(why[0] != '\0');
	}
	for (size_t i = 0; i < GI_ARRAY_SIZE(good); i++)
		assert_int_equal(dir_map_check(good[i], why), 0);
	assert_int_equal(dir_map_check("*-* -> *", why), -EINVAL);
	assert_non_null(strstr(why, "one * on a side at most"));
	assert_int_equal(dir_map_check("* -> *-*", why), -EINVAL);
	assert_non_null(strstr(why, "one * on a side at most"));
	memset(text, 'a', DIR_NAME_MAX + 1);
	(void)snprintf(text + DIR_NAME_MAX + 1, sizeof(text) - DIR_NAME_MAX - 1, " -> b");
	assert_int_equal(dir_map_check(text, why), -EINVAL);
	assert_int_equal(dir_map_check(text + 1, why), 0);
}

/* ---- names with a domain in a policy ---- */

static void test_known_domains_are_those_of_blocks(void **state)
{
	static const struct {
		const char *domain;
		bool known;
	} t[] = { { "AA", true }, { "aa", true }, { "a.example", true }, { "A.Example", true },
		{ "shared.example", true }, { "b.example", true }, { "ad.b.example", true },
		{ "l.example", true }, { "ldap", true }, { "LDAP", true }, { "b", true },
		{ "example", false }, { "x.a.example", false }, { "BB", false }, { "", false } };
	struct idfw_dir_conf d[3];

	(void)state;
	blocks(d);
	for (size_t i = 0; i < GI_ARRAY_SIZE(t); i++)
		assert_int_equal(dir_route_known(d, 3, t[i].domain), t[i].known);
}

static void test_has_is_by_claim_then_by_label(void **state)
{
	static const struct {
		const char *label, *dn, *domain;
		bool has;
	} t[] = {
		{ "a", NULL, "aa", true },
		{ "b", NULL, "aa", false },
		{ "b", NULL, "Shared.example", true },
		{ "a", NULL, "shared.example", false },
		{ "ldap", "cn=eng,ou=groups,o=elsewhere", "l.example", true },
		{ "ldap", "cn=eng,dc=l,dc=example", "LDAP", true },
		{ "b", "CN=eng,DC=ad,DC=b,DC=example", "b", true }, /* its label */
		{ "a", NULL, "b", false },
		{ "", NULL, "aa", false },
		{ "x", NULL, "x", false },
		/* several domains in one block: of a forest */
		{ "a", "CN=eng,DC=a,DC=example", "a.example", true },
		{ "a", "CN=eng,CN=Builtin,DC=a,DC=example", "AA", true },
		{ "a", "CN=eng,DC=eu,DC=a,DC=example", "a.example", false },
		{ "a", "CN=eng,DC=eu,DC=a,DC=example", "AA", false },
		{ "a", "CN=eng\\,DC=a,DC=eu,DC=a,DC=example", "a.example", false },
		/* another name of its own domain */
		{ "b", "CN=eng,DC=ad,DC=b,DC=example", "shared.example", true },
		{ "b", "CN=eng,DC=eu,DC=ad,DC=b,DC=example", "shared.example", false },
	};
	struct idfw_dir_conf d[3];

	(void)state;
	blocks(d);
	for (size_t i = 0; i < GI_ARRAY_SIZE(t); i++)
		if (dir_route_has(d, 3, t[i].label, t[i].dn, t[i].domain) != t[i].has)
			fail_msg("%s %s %s", t[i].label, t[i].dn ? t[i].dn : "-", t[i].domain);
}

/* a claim is more than a label: whoever calls his block CORP does not get CORP's groups */
static void test_has_label_gives_way_to_a_claim(void **state)
{
	struct idfw_dir_conf d[3];

	(void)state;
	blocks(d);
	d[2].label = (char *)"aa";
	assert_true(dir_route_has(d, 3, "a", NULL, "aa"));
	assert_false(dir_route_has(d, 3, "aa", NULL, "aa"));
}

/* the Global Catalog: one block, its realm says which domains are meant */
static void test_has_below_the_base(void **state)
{
	static char *realm[] = { (char *)"eu.a.example" };
	struct idfw_dir_conf d[3];

	(void)state;
	blocks(d);
	d[0].realm = (struct conf_list){ realm, 1 };
	assert_true(dir_route_has(d, 3, "a", "CN=eng,DC=eu,DC=a,DC=example", "EU.a.example"));
	assert_false(dir_route_has(d, 3, "a", "CN=eng,DC=a,DC=example", "eu.a.example"));
	/* a group of a.example that somebody called "x,DC=eu" */
	assert_false(dir_route_has(d, 3, "a", "CN=x\\,DC=eu,DC=a,DC=example", "eu.a.example"));
	assert_true(dir_route_has(d, 3, "a", "CN=x\\,DC=eu,DC=a,DC=example", "a.example"));
	assert_true(dir_route_has(d, 3, "a", NULL, "eu.a.example"));
	realm[0] = (char *)"xa.example"; /* ends like it, and is not below it: another name of it */
	assert_true(dir_route_has(d, 3, "a", "CN=eng,DC=a,DC=example", "xa.example"));
}

static void test_vm_rule_first_that_fits(void **state)
{
	static char *rules[] = { (char *)"lab-* -> lab", (char *)"*-lab -> b", (char *)"x*y -> c",
		(char *)"db01 -> d", (char *)"z* -> e", (char *)"ab*ba -> f" };
	static const struct {
		const char *vm, *label;
	} t[] = { { "lab-1", "lab" }, { "lab-", "lab" }, { "lab", NULL }, { "LAB-1", NULL },
		{ "a-lab", "b" }, { "lab-lab", "lab" }, { "xy", "c" }, { "x1y", "c" },
		{ "x", NULL }, { "db01", "d" }, { "db011", NULL }, { "db0", NULL }, { "z", "e" },
		{ "", NULL }, { "aba", NULL }, { "abba", "f" } };
	const struct conf_list list = { rules, 6 };
	char why[CONF_WHY_MAX];

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(t); i++) {
		const char *got = dir_vm_rule(&list, t[i].vm);

		if (!!got != !!t[i].label || (got && strcmp(got, t[i].label) != 0))
			fail_msg("%s: %s", t[i].vm, got ? got : "none");
	}
	for (size_t i = 0; i < list.n; i++)
		assert_int_equal(dir_vm_check(rules[i], why), 0);
}

static void test_vm_check_bad_refused(void **state)
{
	static const char *const bad[] = { "", "lab", "lab ->", "-> lab", " -> lab", "a*b* -> lab",
		"lab-* -> ", "lab-* -> la b", "lab.* -> lab", "lab -> lab -> lab", "a@b -> lab",
		"lab-*->lab", "a -> 1" };
	char why[CONF_WHY_MAX];

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(bad); i++) {
		why[0] = '\0';
		if (dir_vm_check(bad[i], why) == 0 || why[0] == '\0')
			fail_msg("\"%s\" is taken", bad[i]);
	}
}

static void test_route_names_in(void **state)
{
	struct idfw_dir_conf d[3];
	struct dir_route r;

	(void)state;
	blocks(d);
	d[0].is_default = true;
	dir_route(d, 3, "alice", "ldap", &r);
	assert_int_equal(r.n, 1);
	assert_int_equal(r.at[0], 2);
	dir_route(d, 3, "alice", "gone", &r); /* refused in a configuration */
	assert_int_equal(r.at[0], 0);
	dir_route(d, 3, "AA\\alice", "ldap", &r);
	assert_int_equal(r.n, 1);
	assert_int_equal(r.at[0], 0);
	dir_route(d, 3, "", "ldap", &r);
	assert_int_equal(r.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_route_order),
		cmocka_unit_test(test_route_default_takes_bare_names),
		cmocka_unit_test(test_route_check_trusts),
		cmocka_unit_test(test_map_apply_first_that_fits),
		cmocka_unit_test(test_map_apply_too_long),
		cmocka_unit_test(test_map_check_bad_refused),
		cmocka_unit_test(test_known_domains_are_those_of_blocks),
		cmocka_unit_test(test_has_is_by_claim_then_by_label),
		cmocka_unit_test(test_has_label_gives_way_to_a_claim),
		cmocka_unit_test(test_has_below_the_base),
		cmocka_unit_test(test_vm_rule_first_that_fits),
		cmocka_unit_test(test_vm_check_bad_refused),
		cmocka_unit_test(test_route_names_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
