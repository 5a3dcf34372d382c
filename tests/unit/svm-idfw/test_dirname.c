/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_dirname.c - svm-idfw/dirname.c: the three forms of a name, escaping, the filters
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "svm-idfw/dirname.h"

static void test_name_parse_forms(void **state)
{
	static const struct {
		const char *text;
		enum dir_name_form form;
		const char *account, *domain;
	} t[] = {
		{ "alice", DIR_NAME_PLAIN, "alice", "" },
		{ "CORP\\alice", DIR_NAME_DOMAIN, "alice", "CORP" },
		{ "alice@corp.example", DIR_NAME_UPN, "alice", "corp.example" },
		{ "a@b@corp.example", DIR_NAME_UPN, "a@b", "corp.example" },
		{ "CORP\\a@b", DIR_NAME_DOMAIN, "a@b", "CORP" },
		{ "o'brien", DIR_NAME_PLAIN, "o'brien", "" },
		{ "m\xc3\xbcller", DIR_NAME_PLAIN, "m\xc3\xbcller", "" },
	};
	struct dir_name n;
	size_t i;

	(void)state;
	for (i = 0; i < GI_ARRAY_SIZE(t); i++) {
		assert_int_equal(dir_name_parse(t[i].text, &n), 0);
		assert_int_equal(n.form, t[i].form);
		assert_string_equal(n.account, t[i].account);
		assert_string_equal(n.domain, t[i].domain);
	}
}

static void test_name_parse_bad_refused(void **state)
{
	static const char *const bad[] = { "", "\\", "CORP\\", "\\alice", "@", "alice@", "@corp",
		"A\\B\\c", "al\nice", "al\x80ice" };
	char longest[DIR_NAME_MAX + 2];
	struct dir_name n;
	size_t i;

	(void)state;
	for (i = 0; i < GI_ARRAY_SIZE(bad); i++)
		assert_int_equal(dir_name_parse(bad[i], &n), -EINVAL);
	memset(longest, 'a', sizeof(longest));
	longest[DIR_NAME_MAX + 1] = '\0';
	assert_int_equal(dir_name_parse(longest, &n), -GI_ELIMIT);
	longest[DIR_NAME_MAX] = '\0';
	assert_int_equal(dir_name_parse(longest, &n), 0);
}

static const char *filter(void (*make)(struct gi_buf *, const struct dir_name *, bool), bool upn,
	const char *name, struct gi_buf *b)
{
	struct dir_name n;

	assert_int_equal(dir_name_parse(name, &n), 0);
	gi_buf_reset(b);
	make(b, &n, upn);
	assert_int_equal(gi_buf_error(b), 0);
	return gi_buf_str(b);
}

static void test_filter_user_escapes_everything(void **state)
{
	struct gi_buf b;

	(void)state;
	gi_buf_init(&b, 4096);
	assert_string_equal(filter(dir_filter_user, false, "alice", &b),
		"(&(objectClass=user)(sAMAccountName=alice))");
	assert_string_equal(filter(dir_filter_user, false, "CORP\\alice", &b),
		"(&(objectClass=user)(sAMAccountName=alice))");
	assert_string_equal(filter(dir_filter_user, false, "*)(uid=*", &b),
		"(&(objectClass=user)(sAMAccountName=\\2a\\29\\28uid\\3d\\2a))");
	assert_string_equal(filter(dir_filter_user, false, "R&D (East)", &b),
		"(&(objectClass=user)(sAMAccountName=R\\26D\\20\\28East\\29))");
	assert_string_equal(filter(dir_filter_user, true, "a*@corp.example", &b),
		"(&(objectClass=user)(userPrincipalName=a\\2a@corp.example))");
	assert_string_equal(filter(dir_filter_user, false, "m\xc3\xbcller", &b),
		"(&(objectClass=user)(sAMAccountName=m\\c3\\bcller))");
	gi_buf_fini(&b);
}

static void test_filter_escape_all_bytes(void **state)
{
	struct gi_buf b;
	unsigned int i;

	(void)state;
	gi_buf_init(&b, 64);
	for (i = 0; i < 256; i++) {
		uint8_t c = (uint8_t)i;

		gi_buf_reset(&b);
		dir_filter_escape(&b, &c, 1);
		if (i < 32 || i > 126 || strchr("()*\\&|!=<>~ \"'", (int)i))
			assert_int_equal(b.len, 3);
		if (b.len == 3)
			assert_int_equal(strtoul((const char *)b.data + 1, NULL, 16), i);
		else
			assert_int_equal(b.data[0], i);
	}
	gi_buf_fini(&b);
}

static void test_base_domain(void **state)
{
	char d[DIR_NAME_MAX + 1] = "unchanged";

	(void)state;
	assert_int_equal(dir_base_domain("DC=corp,DC=example", d), 0);
	assert_string_equal(d, "corp.example");
	assert_int_equal(dir_base_domain("OU=People, dc=corp, dc=example", d), 0);
	assert_string_equal(d, "corp.example");
	assert_int_equal(dir_base_domain("CN=x\\,DC=eu,OU=DC\\=a,DC=corp,DC=example", d), 0);
	assert_string_equal(d, "corp.example"); /* the first one is a name that somebody chose */
	assert_int_equal(dir_base_domain("CN=x\\,DC=eu,DC=corp,DC=example", d), 0);
	assert_string_equal(d, "corp.example");
	assert_int_equal(dir_base_domain("DC=eu,CN=x,DC=corp,DC=example", d), 0);
	assert_string_equal(d, "corp.example"); /* only what it ends with */
	assert_int_equal(dir_base_domain("DC=corp,CN=x\\", d), -EINVAL);
	assert_int_equal(dir_base_domain("O=Corp", d), -EINVAL);
	assert_int_equal(dir_base_domain("", d), -EINVAL);
	assert_int_equal(dir_base_domain("dc=", d), -EINVAL);
	assert_string_equal(d, "corp.example");
}

static void test_dn_is_below(void **state)
{
	static const struct {
		const char *dn, *base;
		bool below;
	} cases[] = { { "CN=alice,OU=People,DC=corp,DC=example", "OU=People,DC=corp,DC=example",
			      true },
		{ "cn=alice,ou=people,dc=corp,dc=example", "OU=People,DC=corp,DC=example", true },
		{ "OU=People,DC=corp,DC=example", "OU=People,DC=corp,DC=example", true },
		{ "CN=alice,OU=Left,DC=corp,DC=example", "OU=People,DC=corp,DC=example", false },
		{ "DC=corp,DC=example", "OU=People,DC=corp,DC=example", false },
		{ "CN=x,OU=Ex-OU=People,DC=corp", "OU=People,DC=corp", false },
		{ "CN=x\\,OU=People,DC=corp", "OU=People,DC=corp", false },
		{ "", "DC=corp", false }, { NULL, "DC=corp", false } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(dir_dn_is_below(cases[i].dn, cases[i].base), cases[i].below);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_name_parse_forms),
		cmocka_unit_test(test_name_parse_bad_refused),
		cmocka_unit_test(test_filter_user_escapes_everything),
		cmocka_unit_test(test_filter_escape_all_bytes),
		cmocka_unit_test(test_base_domain),
		cmocka_unit_test(test_dn_is_below),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
