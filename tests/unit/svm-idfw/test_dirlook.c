/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_dirlook.c - looking an account up in an Active Directory: who it is, and its groups
 *
 * dirad.c on a directory in memory (fakeldap.h): what a real server is seldom or never in, and what
 * one that lies says.
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

#include "svm-idfw/dirad.h"
#include "svm-idfw/dirgroups.h"
#include "tests/unit/svm-idfw/fakeldap.h"

#define ROOT "DC=corp,DC=example"
#define PEOPLE "OU=People," ROOT
#define SID(rid) "S-1-5-21-1-2-3-" #rid

enum { ALICE = 10, BOB, ENG = 20, STAFF };

struct t {
	struct idfw_dir_conf conf;
	struct dir_back b;
	char said[8192], why[DIR_WHY_MAX], text[DIR_WHY_MAX];
	unsigned int turn; /* of before(): the search at which something happens */
	void (*happens)(void);
};

static void person(unsigned int id, const char *dn, const char *name, const char *sid,
	const char *upn, const char *in)
{
	char text[4][128];

	(void)snprintf(text[0], sizeof(text[0]), "sAMAccountName: %s", name);
	(void)snprintf(text[1], sizeof(text[1]), "objectSid: %s", sid);
	(void)snprintf(text[2], sizeof(text[2]), "%s: %s", *upn ? "userPrincipalName" : "x", upn);
	(void)snprintf(text[3], sizeof(text[3]), "%s: %s", *in ? "tokenGroups" : "x", in);
	fake_entry(id, dn, "objectClass: user", text[0], text[1], text[2], text[3],
		"tokenGroups: " SID(513), NULL);
}

static void group(unsigned int id, const char *name, const char *sid)
{
	char dn[96], text[2][128];

	(void)snprintf(dn, sizeof(dn), "CN=%s,OU=Groups," ROOT, name);
	(void)snprintf(text[0], sizeof(text[0]), "sAMAccountName: %s", name);
	(void)snprintf(text[1], sizeof(text[1]), "objectSid: %s", sid);
	fake_entry(id, dn, "objectClass: group", text[0], text[1], NULL);
}

static int setup(void **state)
{
	static struct t t;

	fake_reset();
	t = (struct t){ .conf = { .uri = "ldaps://dc1.corp.example",
				.base = (char *)(uintptr_t)PEOPLE,
				.page = 500,
				.range = 1500 } };
	t.b = (struct dir_back){ .ops = &dir_back_ad,
		.conf = &t.conf,
		.page = 500,
		.domain = "corp.example",
		.netbios = "CORP",
		.root = ROOT };
	*state = &t;
	person(ALICE, "CN=alice," PEOPLE, "alice", SID(1100), "alice@corp.example", SID(1200));
	group(ENG, "eng", SID(1200));
	group(STAFF, "staff", SID(513));
	return dir_groups_new(&t.b.groups) || dir_seen_new(100, &t.b.seen) ||
	       dir_cache_new(1000, &t.b.cache);
}

static int teardown(void **state)
{
	struct t *t = *state;

	dir_groups_free(t->b.groups);
	dir_seen_free(t->b.seen);
	dir_cache_free(t->b.cache);
	fake_reset();
	return 0;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* "ok alice eng,staff", a group without a name by its SID; "not-found", ... */
static const char *look(struct t *t, const char *name, const char *known)
{
	static const char *const words[] = { [IDFW__DIR_RESULT__STATUS__OK] = "ok",
		[IDFW__DIR_RESULT__STATUS__NOT_FOUND] = "not-found",
		[IDFW__DIR_RESULT__STATUS__AMBIGUOUS] = "ambiguous",
		[IDFW__DIR_RESULT__STATUS__UNAVAILABLE] = "unavailable" };
	struct dir_answer a = { .status = IDFW__DIR_RESULT__STATUS__UNAVAILABLE };
	uint8_t sid[SID_BYTES_MAX];
	size_t len = 0, at, i;
	const char *names[512];
	char sids[512][SID_TEXT_MAX];
	int err;

	assert_true(!known || sid_from_text(known, sid, &len) == 0);
	err = dir_back_ad.lookup(&t->b, name, sid, len, &a, t->why);
	memcpy(t->text, a.text, sizeof(t->text));
	at = (size_t)snprintf(t->said, sizeof(t->said), "%s%s%s",
		err < 0 ? "broken" : words[a.status], a.name && err == 0 ? " " : "",
		a.name && err == 0 ? a.name : "");
	for (i = 0; err == 0 && i < a.n_groups; i++) {
		assert_int_equal(sid_to_text(a.groups[i].sid, a.groups[i].sid_len, sids[i]), 0);
		names[i] = a.groups[i].name[0] ? a.groups[i].name : sids[i];
	}
	qsort(names, err == 0 ? a.n_groups : 0, sizeof(*names), by_text);
	for (i = 0; err == 0 && i < a.n_groups; i++)
		at += (size_t)snprintf(
			t->said + at, sizeof(t->said) - at, "%s%s", i ? "," : " ", names[i]);
	dir_answer_fini(&a);
	return t->said;
}

static void test_lookup_each_spelling_of_a_name(void **state)
{
	struct t *t = *state;
	char *realm[] = { (char *)(uintptr_t) "old.example" };
	static const char *const good[] = { "alice", "ALICE", "CORP\\alice", "corp\\Alice",
		"corp.example\\alice", "alice@corp.example", "Alice@CORP.Example",
		"old.example\\alice", "alice@old.example" };
	static const char *const bad[] = { "OTHER\\alice", "alice@other.example", "*", "alic*",
		"alice)(objectClass=*", "CORP\\", "\\alice", "CORP\\\\alice", "@corp.example" };

	t->conf.realm = (struct conf_list){ realm, 1 };
	for (size_t i = 0; i < GI_ARRAY_SIZE(good); i++)
		assert_string_equal(look(t, good[i], NULL), "ok alice eng,staff");
	for (size_t i = 0; i < GI_ARRAY_SIZE(bad); i++)
		assert_string_equal(look(t, bad[i], NULL), "not-found");
}

static void test_lookup_known_is_one_request(void **state)
{
	struct t *t = *state;

	(void)look(t, "alice", NULL);
	fake.searches = 0;
	assert_string_equal(look(t, "alice", SID(1100)), "ok alice eng,staff");
	assert_int_equal(fake.searches, 1);
}

/* a SID that is remembered only saves a request: the name decides, and `base` */
static void test_lookup_known_but_not_the_same_any_more(void **state)
{
	struct t *t = *state;

	person(BOB, "CN=bob," PEOPLE, "bob", SID(1101), "bob@corp.example", "");
	assert_string_equal(look(t, "bob", SID(1100)), "ok bob staff");
	assert_string_equal(look(t, "alice", SID(9999)), "ok alice eng,staff");
	person(ALICE, "CN=alice,OU=Left," ROOT, "alice", SID(1100), "", SID(1200));
	assert_string_equal(look(t, "alice", NULL), "not-found");
	assert_string_equal(look(t, "alice", SID(1100)), "not-found");
	person(ALICE, "CN=alice\\,OU=People,DC=corp,DC=example", "alice", SID(1100), "", SID(1200));
	assert_string_equal(look(t, "alice", SID(1100)), "not-found");
}

static void test_lookup_upn_of_its_own_counts_before_a_name(void **state)
{
	struct t *t = *state;

	person(BOB, "CN=bob," PEOPLE, "bob", SID(1101), "alice@corp.example", "");
	person(ALICE, "CN=alice," PEOPLE, "alice", SID(1100), "al@corp.example", SID(1200));
	assert_string_equal(look(t, "alice@corp.example", NULL), "ok bob staff");
	assert_string_equal(look(t, "al@corp.example", NULL), "ok alice eng,staff");
	assert_string_equal(look(t, "CORP\\alice", NULL), "ok alice eng,staff");
}

static void test_lookup_two_of_one_name_are_none(void **state)
{
	struct t *t = *state;

	person(BOB, "CN=bob," PEOPLE, "bob", SID(1101), "ALICE@corp.example", "");
	assert_string_equal(look(t, "alice@corp.example", NULL), "ambiguous");
	assert_string_equal(look(t, "alice", NULL), "ok alice eng,staff");
	person(BOB, "CN=bob," PEOPLE, "Alice", SID(1101), "", "");
	assert_string_equal(look(t, "alice", NULL), "ambiguous");
	person(BOB + 1, "CN=bob2," PEOPLE, "alice", SID(1102), "", "");
	assert_string_equal(look(t, "alice", NULL), "ambiguous"); /* more than are asked for */
}

/* another domain's group: a policy can name its SID. So can it one that is in the cache as such */
static void test_lookup_sids_without_an_entry_are_kept(void **state)
{
	struct t *t = *state;

	fake_entry(ALICE, "CN=alice," PEOPLE, "objectClass: user", "sAMAccountName: alice",
		"objectSid: " SID(1100), "tokenGroups: S-1-5-21-7-8-9-1000",
		"tokenGroups: S-1-5-32-545", "tokenGroups: S-1-18-1", "tokenGroups: " SID(1200),
		NULL);
	for (int i = 0; i < 2; i++)
		assert_string_equal(look(t, "alice", NULL),
			"ok alice S-1-18-1,S-1-5-21-7-8-9-1000,S-1-5-32-545,eng");
}

/* more than one filter has */
static void test_lookup_many_groups_that_nobody_knew(void **state)
{
	struct t *t = *state;
	size_t n = 1;

	fake_entry(ALICE, "CN=alice," PEOPLE, "objectClass: user", "sAMAccountName: alice",
		"objectSid: " SID(1100), NULL);
	for (int i = 0; i < 250; i++) {
		char text[64];

		(void)snprintf(text, sizeof(text), "tokenGroups: " SID(1) "%03d", i);
		fake_value(ALICE, text);
	}
	group(ENG, "eng", SID(1099));
	group(STAFF, "staff", SID(1249));
	(void)look(t, "alice", NULL);
	for (const char *c = t->said; *c; c++)
		n += *c == ',';
	assert_int_equal(n, 250);
	assert_non_null(strstr(t->said, ",eng,staff"));
	assert_int_equal(fake.searches, 2 + 3);
}

/* ---- the directory changes, or lies, between two requests ---- */

static void before(void *arg)
{
	struct t *t = arg;

	if (fake.searches == t->turn)
		t->happens();
}

static void at(struct t *t, unsigned int turn, void (*happens)(void))
{
	fake.searches = 0;
	fake.before = before;
	fake.arg = t;
	t->turn = turn;
	t->happens = happens;
}

static void gone(void)
{
	fake_gone(ALICE);
}

static void renamed(void)
{
	person(ALICE, "CN=alice," PEOPLE, "mallory", SID(1100), "mallory@corp.example", SID(1200));
}

static void rubbish(void)
{
	person(ALICE, "CN=alice," PEOPLE, "alice", SID(1100), "alice@corp.example", "no SID");
}

static void test_lookup_deleted_meanwhile(void **state)
{
	struct t *t = *state;

	at(t, 2, gone);
	assert_string_equal(look(t, "alice", NULL), "not-found");
}

static void test_lookup_another_account_than_asked_for(void **state)
{
	struct t *t = *state;

	at(t, 2, renamed);
	assert_string_equal(look(t, "alice", NULL), "unavailable");
	setup(state);
	at(t, 2, renamed);
	assert_string_equal(look(t, "alice@corp.example", NULL), "unavailable");
}

static void test_lookup_rubbish_is_no_answer(void **state)
{
	struct t *t = *state;

	at(t, 2, rubbish);
	assert_string_equal(look(t, "alice", NULL), "broken");
}

static void hidden(void)
{
	fake_entry(ALICE, "CN=alice," PEOPLE, "objectClass: user", "sAMAccountName: alice",
		"objectSid: " SID(1100), NULL);
}

static void in_parts(void)
{
	fake_entry(ALICE, "CN=alice," PEOPLE, "objectClass: user", "sAMAccountName: alice",
		"objectSid: " SID(1100), "tokenGroups;range=0-1499: " SID(513), NULL);
}

/* everybody has a primary group: who seems to be in none is one whose groups are not shown */
static void test_lookup_groups_that_may_not_be_read_are_no_answer(void **state)
{
	struct t *t = *state;

	at(t, 2, hidden);
	assert_string_equal(look(t, "alice", NULL), "unavailable");
	assert_non_null(strstr(t->text, "tokenGroups"));
	assert_non_null(strstr(t->text, "\"alice\""));
	assert_string_equal(look(t, "alice", SID(1100)), "unavailable");
	at(t, 2, in_parts);
	assert_string_equal(look(t, "alice", NULL), "unavailable");
}

static void test_lookup_refused_is_no_answer(void **state)
{
	static const char *const at_what[] = { "sAMAccountName", "<GUID=", "objectSid" };
	struct t *t = *state;

	for (size_t i = 0; i < GI_ARRAY_SIZE(at_what); i++) {
		fake.fail_filter = at_what[i];
		fake.fail_err = -EACCES;
		assert_string_equal(look(t, "alice", NULL), "broken");
	}
	fake.fail_err = -GI_ELIMIT;
	assert_string_equal(look(t, "alice", NULL), "unavailable");
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_lookup_each_spelling_of_a_name),
		T(test_lookup_known_is_one_request),
		T(test_lookup_known_but_not_the_same_any_more),
		T(test_lookup_upn_of_its_own_counts_before_a_name),
		T(test_lookup_two_of_one_name_are_none),
		T(test_lookup_sids_without_an_entry_are_kept),
		T(test_lookup_many_groups_that_nobody_knew),
		T(test_lookup_deleted_meanwhile),
		T(test_lookup_another_account_than_asked_for),
		T(test_lookup_rubbish_is_no_answer),
		T(test_lookup_groups_that_may_not_be_read_are_no_answer),
		T(test_lookup_refused_is_no_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
