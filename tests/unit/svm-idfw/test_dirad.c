/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_dirad.c - svm-idfw/dirad.c: which domain controller it is, and what it says about itself
 *
 * On a directory in memory (fakeldap.h). Several domain controllers behind one name are that entry
 * at the root, written anew between two connections.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those first */
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "svm-idfw/dirad.h"
#include "svm-idfw/dirgroups.h"
#include "tests/unit/svm-idfw/fakeldap.h"

#define DC(n) "CN=NTDS Settings,CN=DC" #n ",CN=Servers,CN=Berlin,CN=Sites,CN=Configuration,DC=corp"

enum { ROOT = 1, DOMAIN, CROSS, SETTINGS };

struct t {
	struct idfw_dir_conf conf;
	struct dir_back b;
	struct dir_changes ch;
	char why[DIR_WHY_MAX];
};

static void domain_controller(const char *settings, const char *usn)
{
	char service[256], text[64];

	(void)snprintf(service, sizeof(service), "dsServiceName: %s", settings);
	(void)snprintf(text, sizeof(text), "highestCommittedUSN: %s", usn);
	fake_entry(ROOT, "", *settings ? service : "none: x", text, "defaultNamingContext: dc=corp",
		"configurationNamingContext: CN=Configuration,DC=corp", "namingContexts: dc=corp",
		"namingContexts: CN=Configuration,DC=corp", NULL);
}

static int setup(void **state)
{
	static struct t t;

	t = (struct t){ .conf = { .uri = "ldaps://corp.example", .base = (char *)"dc=corp" } };
	t.b = (struct dir_back){ .ops = &dir_back_ad, .conf = &t.conf, .page = 500 };
	if (dir_groups_new(&t.b.groups) < 0 || dir_seen_new(100, &t.b.seen) < 0 ||
		dir_cache_new(100, &t.b.cache) < 0 || dir_memo_new(1u << 16, &t.b.memo) < 0)
		return -1;
	fake_reset();
	fake_entry(DOMAIN, "dc=corp", "objectClass: domain", "objectSid: S-1-5-21-1-2-3", NULL);
	fake_entry(CROSS, "CN=CORP,CN=Configuration,DC=corp", "objectClass: crossRef",
		"nCName: dc=corp", "nETBIOSName: CORP", NULL);
	*state = &t;
	return 0;
}

static int teardown(void **state)
{
	struct t *t = *state;

	while (t->b.n_nc)
		free(t->b.nc[--t->b.n_nc]);
	dir_groups_free(t->b.groups);
	dir_seen_free(t->b.seen);
	dir_cache_free(t->b.cache);
	dir_memo_free(t->b.memo);
	dir_changes_fini(&t->ch);
	fake_reset();
	return 0;
}

static int begin(struct t *t)
{
	return t->b.ops->begin(&t->b, &t->ch, t->why);
}

static int same(struct t *t)
{
	t->why[0] = '\0';
	return t->b.ops->same(&t->b, NULL, t->why);
}

static void test_same_is_the_server_that_is_watched(void **state)
{
	struct t *t = *state;

	domain_controller(DC(1), "700");
	assert_int_equal(begin(t), 0);
	assert_string_equal(t->b.server, DC(1));
	assert_int_equal(same(t), 0);
	domain_controller(DC(1), "701"); /* what it has done since is no matter */
	assert_int_equal(same(t), 0);
	domain_controller(DC(2), "700"); /* another one of that name in DNS; the same numbers */
	assert_int_equal(same(t), -GI_ESTATE);
	assert_non_null(strstr(t->why, "CN=DC1,"));
	assert_non_null(strstr(t->why, "CN=DC2,"));
	domain_controller("", "700"); /* who does not say is not believed to be it */
	assert_int_equal(same(t), -GI_ESTATE);
	domain_controller(DC(1), "702");
	assert_int_equal(same(t), 0);
}

static void test_same_with_a_lost_connection_is_that(void **state)
{
	struct t *t = *state;

	domain_controller(DC(1), "700");
	assert_int_equal(begin(t), 0);
	fake.fail_filter = "objectClass";
	fake.fail_err = -ECONNRESET;
	assert_int_equal(same(t), -ECONNRESET);
}

/* numbers are per domain controller: on another one all is looked at */
static void test_begin_at_another_server_is_everything(void **state)
{
	struct t *t = *state;

	domain_controller(DC(1), "700");
	assert_int_equal(begin(t), 0);
	assert_true(t->ch.all);
	dir_changes_fini(&t->ch);
	domain_controller(DC(1), "705");
	assert_int_equal(begin(t), 0);
	assert_false(t->ch.all);
	assert_int_equal(t->b.usn, 700); /* from there on it is looked at */
	domain_controller(DC(2), "70");
	assert_int_equal(begin(t), 0);
	assert_true(t->ch.all);
	assert_int_equal(t->b.usn, 70);
	assert_int_equal(same(t), 0);
}

/* the entry of its settings has 16 bytes, or nothing that we may read */
static void invocation(const char *id)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "invocationId: %s", id);
	fake_entry(SETTINGS, DC(1), "objectClass: nTDSDSA", *id ? text : "none: x", NULL);
}

static bool begins_anew(struct t *t)
{
	bool all;

	assert_int_equal(begin(t), 0);
	assert_string_equal(t->why, "");
	all = t->ch.all;
	dir_changes_fini(&t->ch);
	return all;
}

/* a restored database counts under another name, whatever number it has come to */
static void test_begin_after_a_restore_is_everything(void **state)
{
	static const struct {
		const char *id, *usn;
		bool all;
	} steps[] = { { "0123456789abcdef", "700", true }, { "0123456789abcdef", "705", false },
		{ "fedcba9876543210", "900", true }, { "fedcba9876543210", "900", false },
		{ "", "901", true }, { "", "902", false }, { "fedcba9876543210", "903", true },
		{ "too short", "904", true }, { "longer than sixteen", "904", false },
		{ "0123456789abcdef", "904", true } };
	struct t *t = *state;

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		domain_controller(DC(1), steps[i].usn);
		invocation(steps[i].id);
		assert_int_equal(begins_anew(t), steps[i].all);
		if (steps[i].all) /* what it counts now, from here on */
			assert_int_equal(t->b.usn, strtoull(steps[i].usn, NULL, 10));
	}
	assert_int_equal(t->b.usn_of.known, true);
	assert_memory_equal(t->b.usn_of.id, "0123456789abcdef", 16);
}

static void test_begin_without_settings_goes_by_the_name(void **state)
{
	struct t *t = *state;

	domain_controller("", "700");
	assert_true(begins_anew(t));
	assert_int_equal(t->b.usn_of.known, false);
	assert_true(begins_anew(t));	 /* who has not even a name may be anybody */
	domain_controller(DC(1), "700"); /* there is no such entry */
	assert_true(begins_anew(t));
	assert_false(begins_anew(t));
	fake.fail_filter = "CN=NTDS";
	fake.fail_err = -EACCES;
	assert_false(begins_anew(t));
	fake.fail_err = -ECONNRESET; /* nobody knows then */
	assert_int_equal(begin(t), -ECONNRESET);
	fake.fail_err = -ETIMEDOUT;
	assert_int_equal(begin(t), -ETIMEDOUT);
}

static void test_invocation_as_others_write_it(void **state)
{
	struct dir_usn_of u = { .known = true };
	char text[DIR_INVOCATION_TEXT];

	(void)state;
	for (size_t i = 0; i < 16; i++)
		u.id[i] = (uint8_t)(i * 17);
	dir_ad_invocation_text(&u, text);
	assert_string_equal(text, "33221100-5544-7766-8899-aabbccddeeff");
	u.known = false;
	dir_ad_invocation_text(&u, text);
	assert_string_equal(text, "");
}

static void test_begin_takes_so_many_naming_contexts(void **state)
{
	struct t *t = *state;

	fake_entry(ROOT, "", "dsServiceName: " DC(1), "highestCommittedUSN: 700",
		"defaultNamingContext: dc=corp", "namingContexts: dc=corp", "namingContexts: dc=1",
		"namingContexts: dc=2", "namingContexts: dc=3", "namingContexts: dc=4",
		"namingContexts: dc=5", "namingContexts: dc=6", "namingContexts: dc=7",
		"namingContexts: dc=8", "namingContexts: dc=9", "namingContexts: dc=10",
		"namingContexts: dc=11", "namingContexts: dc=12", "namingContexts: dc=13",
		"namingContexts: dc=14", "namingContexts: dc=15", "namingContexts: dc=16",
		"namingContexts: dc=17", NULL);
	for (int i = 0; i < 2; i++) { /* a new connection counts anew */
		assert_int_equal(begin(t), 0);
		assert_int_equal(t->b.n_nc, DIR_NC_MAX);
		assert_int_equal(t->b.nc_seen, 18);
		assert_string_equal(t->b.nc[DIR_NC_MAX - 1], "dc=15");
	}
	domain_controller(DC(1), "701");
	assert_int_equal(begin(t), 0);
	assert_int_equal(t->b.n_nc, 2);
	assert_int_equal(t->b.nc_seen, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_same_is_the_server_that_is_watched, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_same_with_a_lost_connection_is_that, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_begin_at_another_server_is_everything, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_begin_after_a_restore_is_everything, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_begin_without_settings_goes_by_the_name, setup, teardown),
		cmocka_unit_test(test_invocation_as_others_write_it),
		cmocka_unit_test_setup_teardown(
			test_begin_takes_so_many_naming_contexts, setup, teardown),
	};

	gi_log_init("test_dirad", GI_LOG_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
