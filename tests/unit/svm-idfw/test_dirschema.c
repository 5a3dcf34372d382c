/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_dirschema.c - svm-idfw/dirschema.c and dirconf.c: schemas, names of one's own, the filters
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "svm-idfw/dirschema.h"

struct test_conf {
	struct conf_array directories;
};

static const struct conf_section sections[] = {
	{ .name = NULL, .size = sizeof(struct test_conf), .max = 1 },
	{ .name = "directory",
		.items = idfw_dir_conf_items,
		.n_items = IDFW_DIR_CONF_ITEMS,
		.size = sizeof(struct idfw_dir_conf),
		.offset = offsetof(struct test_conf, directories),
		.max = 1 },
};
static const struct conf_table table = { .sections = sections,
	.n_sections = GI_ARRAY_SIZE(sections),
	.block_checks = idfw_dir_conf_checks,
	.n_block_checks = IDFW_DIR_CONF_CHECKS };

#define MUST                                                                                   \
	"directory d {\n uri \"ldaps://h\"; base \"dc=x\"; bind-user \"cn=b\"; password-file " \
	"/p; ca /c;\n"

/* parses a block; @ret_said: diagnostics, or what idfw_dir_conf_check() says */
static int parse_block(const char *head, const char *more, struct test_conf *ret, char said[1024])
{
	struct conf_diags diags;
	struct gi_buf text, out;
	const char *why = "";
	int err;

	*ret = (struct test_conf){ .directories = { NULL, 0 } };
	gi_buf_init(&text, 8192);
	gi_buf_init(&out, 8192);
	gi_buf_printf(&text, "%s%s\n}\n", head, more);
	assert_int_equal(gi_buf_error(&text), 0);
	conf_diags_init(&diags, "t", gi_buf_str(&text), text.len);
	err = conf_parse(&table, gi_buf_str(&text), text.len, &diags, ret);
	conf_diags_render(&diags, &out);
	if (err == 0)
		err = idfw_dir_conf_check(ret->directories.elems, &why);
	(void)snprintf(said, 1024, "%s%s", gi_buf_str(&out), why);
	conf_diags_fini(&diags);
	gi_buf_fini(&out);
	gi_buf_fini(&text);
	return err;
}

/* with @more in it */
static int parse(const char *more, struct test_conf *ret, char said[1024])
{
	return parse_block(MUST, more, ret, said);
}

static void good(const char *more, struct test_conf *conf, struct dir_schema *s)
{
	char said[1024];

	assert_int_equal(parse(more, conf, said), 0);
	dir_schema_init(s, conf->directories.elems);
}

static void test_known_schemas(void **state)
{
	struct test_conf c;
	struct dir_schema s;

	(void)state;
	good("type openldap;", &c, &s);
	assert_string_equal(s.user_name[1], "uid");
	assert_string_equal(s.member[1], "uniqueMember");
	assert_string_equal(s.member_of[0], "memberOf");
	conf_free(&table, &c);
	good("type openldap; schema rfc2307;", &c, &s);
	assert_null(s.member[0]);
	assert_null(s.member_of[0]);
	assert_string_equal(s.member_uid[0], "memberUid");
	conf_free(&table, &c);
	good("type openldap; schema freeipa;", &c, &s);
	assert_string_equal(s.group_class[0], "ipaUserGroup");
	assert_string_equal(s.unique_id[0], "ipaUniqueID");
	assert_null(s.member_uid[0]);
	conf_free(&table, &c);
}

static void test_own_names_replace_single_lists(void **state)
{
	struct test_conf c;
	struct dir_schema s;

	(void)state;
	good("type openldap; schema rfc2307; member roleOccupant, member; gid-number none;", &c,
		&s);
	assert_string_equal(s.member[0], "roleOccupant");
	assert_string_equal(s.member[1], "member");
	assert_null(s.member[2]);
	assert_null(s.gid_number[0]);
	assert_string_equal(s.member_uid[0], "memberUid");
	conf_free(&table, &c);
}

static void test_mistakes_are_told_where_they_stand(void **state)
{
	static const struct {
		const char *text, *want;
	} t[] = {
		{ "type openldap; schema nis;", "t:3:23: error: \"nis\" is no schema" },
		{ "type openldap; member \"a)(b\";",
			"t:3:23: error: \"a)(b\" is no name of an attribute" },
		{ "type openldap; member-uid uid, 1a;", "t:3:32: error: \"1a\" is no name" },
		{ "type openldap; user-name none;", "t:3:26: error: there must be one" },
		{ "type openldap; member none, member;", "\"none\" stands alone" },
		{ "type openldap; group-base groups;", "group-base is no DN" },
		{ "type ad; member member;", "are for type openldap" },
		{ "type ad; schema freeipa;", "are for type openldap" },
	};
	struct test_conf c;
	char said[1024];

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(t); i++) {
		assert_true(parse(t[i].text, &c, said) < 0);
		if (!strstr(said, t[i].want))
			fail_msg("%s: said: %s", t[i].text, said);
		conf_free(&table, &c);
	}
}

static void test_filters_escape_values(void **state)
{
	struct dir_name n = { .form = DIR_NAME_UPN, .account = "a*(", .domain = "x" };
	struct test_conf c;
	struct dir_schema s;
	struct gi_buf b;

	(void)state;
	good("type openldap; group-class group;", &c, &s);
	gi_buf_init(&b, 4096);
	dir_filter_account(&b, &s, &n, false);
	assert_string_equal(gi_buf_str(&b), "(|(sAMAccountName=a\\2a\\28)(uid=a\\2a\\28))");
	gi_buf_reset(&b);
	dir_filter_account(&b, &s, &n, true);
	assert_string_equal(gi_buf_str(&b), "(|(userPrincipalName=a\\2a\\28@x))");
	gi_buf_reset(&b);
	dir_filter_groups_begin(&b, &s);
	dir_filter_groups_add(&b, s.member, "cn=a)", 5);
	dir_filter_groups_add(&b, s.member_uid, "al", 2);
	dir_filter_groups_end(&b);
	assert_string_equal(gi_buf_str(&b),
		"(&(|(objectClass=group))(|(member=cn\\3da\\29)(uniqueMember=cn\\3da\\29)"
		"(memberUid=al)))");
	conf_free(&table, &c);
	good("type openldap; user-principal none;", &c, &s);
	gi_buf_reset(&b);
	dir_filter_account(&b, &s, &n, true);
	assert_int_equal(b.len, 0);
	gi_buf_fini(&b);
	conf_free(&table, &c);
}

static void test_attrs_each_once(void **state)
{
	const char *attrs[DIR_SCHEMA_ALL];
	struct test_conf c;
	struct dir_schema s;
	size_t n, i;

	(void)state;
	good("type openldap; group-name UID, cn, cn; gid-number a, b, c, d, e, f, g, h;", &c, &s);
	dir_schema_attrs(&s, attrs);
	for (n = 0; attrs[n]; n++)
		for (i = 0; i < n; i++)
			assert_string_not_equal(attrs[i], attrs[n]);
	assert_true(n < DIR_SCHEMA_ALL);
	assert_true(dir_schema_is_group(&s, "GROUPOFNAMES", 12));
	assert_false(dir_schema_is_group(&s, "groupOfName", 11));
	conf_free(&table, &c);
}

/* what nobody has set decides who keeps his groups, and whose groups count */
static void test_conf_defaults(void **state)
{
	struct test_conf conf;
	char said[1024];
	struct idfw_dir_conf *d;

	(void)state;
	assert_int_equal(parse("type ad;", &conf, said), 0);
	d = conf.directories.elems;
	assert_int_equal(idfw_dir_conf_revokes(d), IDFW_ACCT_DISABLED | IDFW_ACCT_EXPIRED);
	assert_string_equal(d->sids, "own");
	assert_string_equal(d->bind, "simple");
	assert_false(d->is_default);
	assert_int_equal(d->compare_ms, 3600000);
	conf_free(&table, &conf);
}

static void test_conf_mistakes_in_words(void **state)
{
	static const struct {
		const char *block, *said;
	} rows[] = {
		{ "type x; uri \"ldaps://h\";", "type is neither ad nor openldap" },
		{ "type ad;", "neither uri nor discover says" },
		{ "type ad; uri \"ldaps://h\"; discover x.y;", "exclude each other" },
		{ "type ad; uri \"ldaps://h\"; site S;", "are for discover" },
		{ "type openldap; discover x.y; site S;", "site is for type ad" },
		{ "type ad; uri \"https://h\";", "uri must begin with ldaps://" },
		{ "type ad; uri \"ldaps://h\", \"ldaps://h\";", "uri names a server twice" },
		{ "type ad; uri \"ldaps://h\";", "needs bind-user and password-file" },
		{ "type ad; uri \"ldaps://h\"; bind-user u;", "needs bind-user and password-file" },
		{ "type ad; uri \"ldap://h\"; bind-user u; password-file /p;", "ca is missing" },
		{ "type ad; uri \"ldap://h\"; bind gssapi; bind-user u;",
			"needs bind-user and keytab" },
		{ "type ad; uri \"ldap://h\", \"ldaps://i\"; bind gssapi; bind-user u; keytab /k;",
			"ca is missing" },
		{ "type ad; discover x.y; bind gssapi; bind-user u; keytab /k;", "ca is missing" },
		{ "type ad; uri \"ldap://h\"; bind gssapi; bind-user u; keytab /k; password-file "
		  "/p;",
			"password-file is for bind simple" },
		{ "type ad; uri \"ldaps://h\"; bind certificate; ca /c;",
			"needs client-certificate and client-key" },
		{ "type ad; uri \"ldaps://h\"; bind certificate; client-certificate /c; "
		  "client-key /k;",
			"ca is missing" },
		{ "type ad; uri \"ldaps://h\"; bind certificate; client-certificate /c; "
		  "client-key /k; ca /c; bind-user u;",
			"leave out bind-user" },
		{ "type ad; uri \"ldaps://h\"; bind-user u; password-file /p; ca /c; keytab /k;",
			"keytab and krb5-config are for bind gssapi" },
		{ "type ad; uri \"ldaps://h\"; bind-user u; password-file /p; ca /c; client-key "
		  "/k;",
			"are for bind certificate" },
		{ "type ad; uri \"ldaps://h\"; bind digest; ca /c;", "bind" },
		{ "type ad; uri \"ldaps://h\"; bind-user u; password-file /p; ca /c; on-locked "
		  "maybe;",
			"maybe" },
		{ "type ad; uri \"ldaps://h\"; bind-user u; password-file /p; ca /c; sids some;",
			"own or any" },
	};
	struct test_conf conf;
	char said[1024];

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(rows); i++) {
		if (parse_block("directory d {\n base \"dc=x\";\n", rows[i].block, &conf, said) ==
				0 ||
			!strstr(said, rows[i].said))
			fail_msg("%s: %s", rows[i].block, said);
		conf_free(&table, &conf);
	}
	/* a base that is none */
	assert_true(parse_block("directory d {\n base x; uri \"ldaps://h\"; bind-user u; "
				"password-file /p; ca /c;\n",
			    "type ad;", &conf, said) < 0);
	assert_non_null(strstr(said, "base is no DN"));
	conf_free(&table, &conf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_schemas),
		cmocka_unit_test(test_own_names_replace_single_lists),
		cmocka_unit_test(test_mistakes_are_told_where_they_stand),
		cmocka_unit_test(test_filters_escape_values),
		cmocka_unit_test(test_attrs_each_once),
		cmocka_unit_test(test_conf_defaults),
		cmocka_unit_test(test_conf_mistakes_in_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
