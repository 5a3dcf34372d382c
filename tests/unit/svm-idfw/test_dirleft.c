/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_dirleft.c - who left a group: those are told who did, whatever the size of the group; and
 * everybody who was in it, where that cannot be said for sure
 */
#include <stdio.h>
#include <string.h>

#include "lib/base/log.h"
#include "tests/unit/svm-idfw/dirgroups_world.h"

#define CROWD 5000

/* a lookup has found it by this DN, which took @ms */
static void found(struct t *t, unsigned int id, const char *dn, uint64_t ms)
{
	struct dir_answer a = { .status = IDFW__DIR_RESULT__STATUS__OK,
		.dn = (char *)(uintptr_t)dn,
		.has_guid = true };
	uint64_t began = fake.now_ms - ms;

	fake_id(id, a.guid);
	dir_left_found(&t->b, &a, began);
}

/* eng has these two now, and a crowd that nobody has looked up */
static const char *eng(struct t *t, unsigned int step, const char *a, const char *b)
{
	char csn[64], cookie[80];

	(void)snprintf(csn, sizeof(csn), "20260101000000.0000%02uZ#000000#000#000000", step);
	(void)snprintf(cookie, sizeof(cookie), "rid=000,csn=%s", csn);
	group(ENG, "eng", csn, a, b);
	fake_crowd(ENG, CROWD);
	fake_tell(FAKE_CHANGED, ENG, cookie);
	look(t);
	assert_int_equal(work(t), 0);
	return told(t);
}

static int setup_large(void **state)
{
	int err = setup(state);

	/* so many join at once: everybody, once */
	assert_string_equal(eng(*state, 2, "alice", "bob"), "all");
	fake.now_ms += 1000;
	return err;
}

static void test_who_left_is_told_alone(void **state)
{
	struct t *t = *state;
	unsigned int before;

	found(t, ALICE, "cn=alice," PEOPLE, 0);
	found(t, BOB, "cn=bob," PEOPLE, 0);
	fake.now_ms += 10;
	before = fake.searches;
	assert_string_equal(eng(t, 3, "alice", ""), "a11 ");
	assert_true(fake.searches - before <= 2); /* what is new; the group */
	assert_string_equal(eng(t, 4, "", ""), "a10 ");
	assert_string_equal(eng(t, 5, "bob", ""), "a11 ");
	assert_string_equal(eng(t, 6, "alice", ""), "a10 a11 ");
}

static void test_who_was_never_looked_up_concerns_nobody(void **state)
{
	struct t *t = *state;

	found(t, ALICE, "cn=alice," PEOPLE, 0);
	fake.now_ms += 10;
	assert_string_equal(eng(t, 3, "alice", ""), "");
}

static void test_letters_that_are_written_otherwise(void **state)
{
	struct t *t = *state;

	found(t, BOB, "CN=Bob,OU=People,DC=corp", 0);
	fake.now_ms += 10;
	assert_string_equal(eng(t, 3, "alice", ""), "a11 ");
}

/* who may be called in another way than his entry says */
static void test_names_that_can_be_written_otherwise(void **state)
{
	static const char *const odd[] = { "cn=car\\6c," PEOPLE, "2.5.4.3=carl," PEOPLE,
		"commonName=carl," PEOPLE, "cn= carl," PEOPLE, "cn=c  l," PEOPLE,
		"cn=carl ,ou=people,dc=corp", "cn=\"carl\"," PEOPLE, "cn=#6361," PEOPLE,
		"cn=carl+uid=c," PEOPLE, "cn=c\xc3\xa4rl," PEOPLE, "cn=," PEOPLE, "carl", "" };
	struct t *t = *state;

	for (size_t i = 0; i < GI_ARRAY_SIZE(odd); i++) {
		assert_string_equal(eng(t, 10 + 2 * (unsigned int)i, "alice", "bob"),
			i ? "a11 " : "g20 "); /* first as before */
		fake.now_ms += 10;
		found(t, BOB, "cn=bob," PEOPLE, 0);
		found(t, CARL, odd[i], 0);
		fake.now_ms += 120000; /* he is called so for long */
		look(t);
		/* bob is told by his name */
		assert_string_equal(eng(t, 11 + 2 * (unsigned int)i, "alice", ""), "a11 ");
	}
	fake.now_ms += 120000;
	look(t);
	assert_string_equal(eng(t, 60, "", ""), "g20 "); /* alice, or is it carl? */
}

/* a value of which the same holds */
static void test_values_that_can_be_written_otherwise(void **state)
{
	struct t *t = *state;

	found(t, ALICE, "cn=alice," PEOPLE, 0);
	fake.now_ms += 10;
	assert_string_equal(eng(t, 3, "alice", "b\\6fb"), "");
	assert_string_equal(eng(t, 4, "alice", ""), "g20 ");
}

static void test_a_group_that_left_is_told(void **state)
{
	struct t *t = *state;
	char member[64];

	(void)snprintf(member, sizeof(member), "member: cn=ops,%s", GROUPS);
	fake_entry(ENG, "cn=eng," GROUPS, "objectClass: groupOfNames", "hasSubordinates: FALSE",
		"cn: eng", "entryCSN: " CSN(3), member, NULL);
	fake_crowd(ENG, CROWD);
	fake_tell(FAKE_CHANGED, ENG, COOKIE(3));
	look(t);
	assert_int_equal(work(t), 0);
	(void)told(t);
	fake.now_ms += 1000;
	assert_string_equal(eng(t, 4, "", ""), "g21 ");
}

/* his first lookup found him in it, and ends when the change is told */
static void test_who_left_while_he_is_looked_up(void **state)
{
	struct t *t = *state;

	assert_string_equal(eng(t, 3, "alice", ""), "");
	found(t, CARL, "cn=carl," PEOPLE, 600);
	assert_string_equal(told(t), "");
	found(t, BOB, "cn=bob," PEOPLE, 600);
	assert_string_equal(told(t), "a11 ");
	fake.now_ms += 1000;
	found(t, BOB, "cn=bob," PEOPLE, 0);
	assert_string_equal(told(t), "");
}

/* more leave during one lookup than are remembered */
static void test_many_left_while_he_is_looked_up(void **state)
{
	struct t *t = *state;
	uint64_t began = fake.now_ms;

	for (unsigned int i = 3; i < 99; i++) {
		char a[16], b[16];

		(void)snprintf(a, sizeof(a), "x%u", i);
		(void)snprintf(b, sizeof(b), "y%u", i);
		(void)eng(t, i, a, b);
	}
	found(t, CARL, "cn=carl," PEOPLE, fake.now_ms - began);
	assert_string_equal(told(t), "a12 ");
}

static void test_so_many_at_once_are_the_group(void **state)
{
	struct t *t = *state;

	group(ENG, "eng", CSN(3), "alice", "bob");
	fake_crowd(ENG, CROWD - DIR_LEFT_MAX);
	fake_tell(FAKE_CHANGED, ENG, COOKIE(3));
	look(t);
	assert_int_equal(work(t), 0);
	assert_string_equal(told(t), "");
	group(ENG, "eng", CSN(4), "alice", "bob");
	fake_crowd(ENG, CROWD - 2 * DIR_LEFT_MAX - 1);
	fake_tell(FAKE_CHANGED, ENG, COOKIE(4));
	look(t);
	assert_int_equal(work(t), 0);
	assert_string_equal(told(t), "g20 ");
}

/* the old name may still be the one in the group */
static void test_who_was_renamed_lately(void **state)
{
	struct t *t = *state;

	found(t, BOB, "cn=bob," PEOPLE, 0);
	fake.now_ms += 10;
	found(t, BOB, "cn=robert," PEOPLE, 0);
	fake.now_ms += 10;
	assert_string_equal(eng(t, 3, "alice", ""), "g20 ");
	fake.now_ms += 120000;
	look(t);
	assert_string_equal(eng(t, 4, "", ""), "");
}

/* not all that were found are remembered, or have an id to be told by */
static void test_accounts_that_are_not_remembered(void **state)
{
	struct dir_answer nameless = { .status = IDFW__DIR_RESULT__STATUS__OK,
		.dn = (char *)(uintptr_t) "cn=dave," PEOPLE };
	struct t *t = *state;

	assert_string_equal(eng(t, 3, "alice", ""), "");
	dir_left_found(&t->b, &nameless, fake.now_ms);
	assert_string_equal(eng(t, 4, "", ""), "g20 ");
}

static void test_more_accounts_than_are_remembered(void **state)
{
	struct t *t = *state;

	for (unsigned int i = 0; i < 101; i++) {
		char dn[64];

		(void)snprintf(dn, sizeof(dn), "cn=p%u,%s", i, PEOPLE);
		found(t, 100 + i, dn, 0);
	}
	fake.now_ms += 10;
	assert_string_equal(eng(t, 3, "alice", ""), "g20 ");
}

/* ---- Active Directory: by the ids of members ---- */

static const char *ad_eng(struct t *t, unsigned int usn, const char *a, const char *b)
{
	ad_group(usn, a, b);
	fake_crowd(ENG, CROWD);
	ad_server(usn);
	return ad_look(t);
}

static int setup_ad_large(void **state)
{
	int err = setup_ad(state);
	struct t *t = *state;

	ad_group(101, AD_ALICE, AD_BOB);
	fake_crowd(ENG, CROWD);
	ad_server(101);
	look(t);
	assert_int_equal(work(t), 0);
	dir_groups_between(&t->b, &t->ch);
	dir_changes_fini(&t->ch); /* each who joined */
	fake.now_ms += 1000;
	return err;
}

static void test_ad_who_left_is_told_alone(void **state)
{
	struct t *t = *state;

	found(t, ALICE, "CN=\xc3\x84lice\\, A.," AD_PEOPLE, 0);
	fake.now_ms += 10;
	assert_string_equal(ad_eng(t, 102, AD_BOB, NULL), "a10 ");
	assert_string_equal(ad_eng(t, 103, NULL, NULL), "");
}

/* accounts of another domain are not looked up here, but may be in the group all the same */
static void test_ad_members_of_other_domains(void **state)
{
	static const char *const member[] = {
		"member: <GUID=0c000000000000000000000000000000>;CN=c,DC=child,DC=corp,DC=example",
		"member: <GUID=0c000000000000000000000000000000>;CN=c,DC=other,DC=example",
		"member: <GUID=0c000000000000000000000000000000>;"
		"<SID=010500000000000515000000010000000200000003000000e9030000>;"
		"CN=S-1-5-21-1-2-3-1001,CN=ForeignSecurityPrincipals,DC=corp,DC=example",
		"member: CN=no ids,DC=corp,DC=example",
	};
	struct t *t = *state;

	for (unsigned int i = 0; i < GI_ARRAY_SIZE(member); i++) {
		(void)ad_eng(t, 110 + 2 * i, AD_ALICE, member[i]);
		fake.now_ms += 1000;
		assert_string_equal(ad_eng(t, 111 + 2 * i, AD_ALICE, NULL), "g20 ");
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup_large, teardown)
#define A(name) cmocka_unit_test_setup_teardown(name, setup_ad_large, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_who_left_is_told_alone),
		T(test_who_was_never_looked_up_concerns_nobody),
		T(test_letters_that_are_written_otherwise),
		T(test_names_that_can_be_written_otherwise),
		T(test_values_that_can_be_written_otherwise),
		T(test_a_group_that_left_is_told),
		T(test_who_left_while_he_is_looked_up),
		T(test_many_left_while_he_is_looked_up),
		T(test_so_many_at_once_are_the_group),
		T(test_who_was_renamed_lately),
		T(test_accounts_that_are_not_remembered),
		T(test_more_accounts_than_are_remembered),
		A(test_ad_who_left_is_told_alone),
		A(test_ad_members_of_other_domains),
	};

	gi_log_init("test_dirleft", GI_LOG_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
