/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_dirlost.c - what was not looked at is not taken for known, and no request stops all others
 *
 * A group that is as it was in the picture may have been another one in between: when nobody
 * looked, when it could not be read, or when the picture is another server's. Whoever was looked up
 * then must be told. And what breaks the connection each time, or is too slow for it, is given up.
 */
#include <stdio.h>
#include <string.h>

#include "tests/unit/svm-idfw/dirgroups_world.h"

#define SETTINGS 30 /* of a domain controller */

/* alice is looked up, and time goes by until the next change */
static void looked_up_then_quiet(struct t *t)
{
	fake.now_ms += 10;
	looked_up(t, ALICE);
	look(t);
	look(t);
}

static void eng_changes(struct t *t, const char *csn, const char *cookie, const char *member)
{
	group(ENG, "eng", csn, member, "");
	fake_tell(FAKE_CHANGED, ENG, cookie);
	look(t);
}

/* behind the same name: it learns later what the first one knew */
static void test_another_server_knows_less(void **state)
{
	struct t *t = *state;

	group(ENG, "eng", CSN(1), "", "");
	t->b.moved = true;
	begin(t);
	assert_string_equal(told(t), "all");
	t->b.moved = false;
	looked_up_then_quiet(t);
	group(ENG, "eng", CSN(3), "alice", "");
	fake_tell(FAKE_CHANGED, ENG, COOKIE(3));
	look(t);
	assert_int_equal(work(t), 0);
	assert_string_equal(told(t), "a10 g20 ");
	assert_true(t->b.groups->whole);
}

static void test_ad_another_server_knows_less(void **state)
{
	struct t *t = *state;

	ad_group(90, NULL, NULL);
	ad_server_of("DC2", 500);
	begin(t);
	assert_string_equal(told(t), "all");
	assert_int_equal(work(t), 0);
	looked_up_then_quiet(t);
	ad_group(501, AD_ALICE, AD_BOB);
	ad_server_of("DC2", 501);
	assert_string_equal(ad_look(t), "a10 a11 ");
}

static void test_ad_numbers_went_back(void **state)
{
	struct t *t = *state;

	ad_group(90, NULL, NULL);
	ad_server(99);
	look(t);
	assert_string_equal(told(t), "all");
	looked_up_then_quiet(t);
	ad_group(100, AD_ALICE, NULL);
	ad_server(100);
	assert_string_equal(
		ad_look(t), "a10 g10 g20 "); /* which groups there are is not known yet */
}

static void ad_counts_as(const char *id)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "invocationId: %s", id);
	fake_entry(SETTINGS, "CN=DC1", "objectClass: nTDSDSA", text, NULL);
}

/*
 * Of yesterday's backup, where alice was out of eng; its count is ahead of what we knew when we
 * look again, and eng's number there is one that we looked at long ago
 */
static void test_ad_restored_and_ahead_already(void **state)
{
	struct t *t = *state;

	ad_counts_as("0123456789abcdef");
	begin(t);
	assert_string_equal(told(t), "all");
	assert_int_equal(work(t), 0);
	looked_up_then_quiet(t);
	ad_group(70, NULL, NULL);
	ad_server(140);
	ad_counts_as("fedcba9876543210");
	begin(t);
	assert_string_equal(told(t), "all");
	assert_int_equal(work(t), 0);
	looked_up_then_quiet(t);
	ad_group(141, AD_ALICE, NULL); /* the picture is the restored one's: she joins */
	ad_server(141);
	assert_string_equal(ad_look(t), "a10 ");
}

/* the first pass has read it as it is after the change: nobody was told of that */
static void test_changed_before_the_first_pass_read_it(void **state)
{
	struct t *t = *state;

	dir_groups_forget(t->b.groups, true);
	group(ENG, "eng", CSN(2), "alice", "bob");
	assert_int_equal(work(t), 0);
	assert_string_equal(told(t), "");
	fake_tell(FAKE_CHANGED, ENG, COOKIE(2));
	look(t);
	assert_int_equal(work(t), 0);
	assert_string_equal(told(t), "a10 a11 g20 ");
}

/* slapd shows a contextCSN before it tells of what made it: until then nothing counts as looked at
 */
static void test_looked_up_between_context_and_message(void **state)
{
	struct t *t = *state;

	fake.now_ms += 10;
	looked_up(t, ALICE); /* she was out of it */
	server(CSN(3));
	look(t);
	assert_string_equal(told(t), "");
	eng_changes(t, CSN(3), COOKIE(3), "alice");
	assert_int_equal(work(t), 0);
	assert_string_equal(told(t), "a10 g20 ");
}

/* two messages, one difference: alice may have left and joined again */
static void test_told_twice_before_it_is_read(void **state)
{
	struct t *t = *state;

	fake.now_ms += 10;
	looked_up(t, ALICE);
	group(ENG, "eng", CSN(3), "alice", "bob");
	fake_tell(FAKE_CHANGED, ENG, COOKIE(2));
	fake_tell(FAKE_CHANGED, ENG, COOKIE(3));
	look(t);
	assert_int_equal(work(t), 0);
	assert_string_equal(told(t), "a10 a11 g20 ");
}

static void test_group_that_is_none_any_more(void **state)
{
	struct t *t = *state;

	fake_entry(ENG, "cn=eng," GROUPS, "objectClass: inetOrgPerson", "hasSubordinates: FALSE",
		NULL);
	fake_tell(FAKE_CHANGED, ENG, COOKIE(2));
	look(t);
	assert_int_equal(work(t), 0);
	assert_string_equal(told(t), "a20 g20 ");
}

/* its first lookup began before everything was compared, and ends behind it */
static void test_looked_up_while_all_is_compared(void **state)
{
	struct t *t = *state;
	uint64_t began = fake.now_ms;
	uint8_t id[16];

	fake.now_ms += 10;
	dir_groups_compare(t->b.groups, false);
	assert_int_equal(work(t), 0);
	assert_string_equal(told(t), "");
	fake_id(BOB, id);
	dir_seen_add(t->b.seen, id, began, fake.now_ms + 10);
	assert_string_equal(told(t), "a11 ");
}

/* of a message that nobody can understand, or of all since, nothing is known */
static void test_messages_that_are_lost(void **state)
{
	static const enum fake_sync what[] = { FAKE_LOST, FAKE_FAILS };
	struct t *t = *state;

	for (size_t i = 0; i < 2; i++) {
		group(ENG, "eng", CSN(2), "", "");
		fake_tell(what[i], 0, NULL);
		(void)t->b.ops->told(&t->b, &t->ch);
		look(t);
		assert_string_equal(told(t), "all");
		looked_up_then_quiet(t);
		eng_changes(t, CSN(3), COOKIE(3), "alice");
		assert_int_equal(work(t), 0);
		assert_string_equal(told(t), "a10 g20 ");
	}
}

/* it was a distribution list, so nobody is known to be in it */
static void test_ad_becomes_a_security_group(void **state)
{
	struct t *t = *state;

	fake_entry(ENG, "CN=eng,DC=corp,DC=example", "objectClass: group", "sAMAccountName: eng",
		"groupType: 2", "uSNChanged: 101", AD_ALICE, NULL);
	ad_server(101);
	assert_string_equal(ad_look(t), "a10 g20 ");
	ad_group(102, AD_ALICE, NULL);
	ad_server(102);
	assert_string_equal(ad_look(t), "a10 g20 ");
}

/* who stands for an account of another domain is told by the SID; who has no id at all: everybody
 */
static void test_ad_members_that_are_no_accounts_here(void **state)
{
	struct t *t = *state;

	ad_group(101, AD_ALICE,
		"member: <GUID=0c000000000000000000000000000000>;"
		"<SID=010500000000000515000000010000000200000003000000e9030000>;"
		"CN=S-1-5-21-1-2-3-1001,CN=ForeignSecurityPrincipals,DC=corp,DC=example");
	ad_server(101);
	look(t);
	assert_int_equal(work(t), 0);
	assert_int_equal(t->ch.n_sids, 1);
	assert_string_equal(told(t), "a12 ");
	ad_group(102, AD_ALICE, "member: CN=bob," AD_PEOPLE);
	ad_server(102);
	assert_string_equal(ad_look(t), "all");
}

/* ---- without syncrepl ---- */

static int setup_polled(void **state)
{
	struct t *t;

	(void)setup(state);
	t = *state;
	fake_entry(ROOT, "", "namingContexts: dc=corp", NULL);
	begin(t);
	look(t);
	assert_int_equal(work(t), 0);
	assert_string_equal(told(t), "");
	return 0;
}

/* alice joins eng again; is she told? */
static const char *joins_again(struct t *t)
{
	looked_up_then_quiet(t);
	group(ENG, "eng", CSN(3), "alice", "");
	server(CSN(3));
	look(t);
	assert_int_equal(work(t), 0);
	return told(t);
}

static void test_polled_left_while_there_was_no_connection(void **state)
{
	struct t *t = *state;

	group(ENG, "eng", CSN(2), "", "");
	server(CSN(2));
	begin(t);
	assert_int_equal(work(t), 0);
	assert_string_equal(told(t), "all");
	assert_string_equal(joins_again(t), "a10 g20 ");
}

static void test_polled_left_among_too_many(void **state)
{
	struct t *t = *state;

	group(ENG, "eng", CSN(2), "", "");
	server(CSN(2));
	fake.fail_filter = "entryCSN";
	fake.fail_err = -GI_ELIMIT;
	look(t);
	assert_string_equal(told(t), "all");
	fake.fail_filter = NULL;
	assert_string_equal(joins_again(t), "all"); /* the picture is not whole */
}

/* everybody is told anyway, for another reason: who changed is looked at all the same */
static void test_polled_left_while_all_were_told(void **state)
{
	struct t *t = *state;

	group(ENG, "eng", CSN(2), "", "");
	server(CSN(2));
	t->ch.all = true;
	look(t);
	assert_int_equal(work(t), 0);
	assert_string_equal(told(t), "all");
	assert_string_equal(joins_again(t), "a10 g20 ");
}

/* ---- a request that does not do ---- */

static void test_left_when_it_could_not_be_read(void **state)
{
	struct t *t = *state;

	eng_changes(t, CSN(2), COOKIE(2), "");
	fake.fail_filter = "cn=eng";
	fake.fail_err = -EACCES;
	assert_int_equal(work(t), 0);
	assert_string_equal(told(t), "all");
	fake.fail_filter = NULL;
	looked_up_then_quiet(t);
	eng_changes(t, CSN(3), COOKIE(3), "alice");
	assert_int_equal(work(t), 0);
	assert_string_equal(told(t), "a10 g20 ");
}

static void test_left_when_too_much_waits(void **state)
{
	struct t *t = *state;
	uint8_t id[16];

	for (unsigned int i = 0; i < DIR_TODO_MAX; i++) {
		fake_id(1000 + i, id);
		dir_groups_changed(t->b.groups, id, NULL, &t->ch);
	}
	assert_string_equal(told(t), "");
	fake_id(ENG, id);
	dir_groups_changed(t->b.groups, id, NULL, &t->ch);
	assert_string_equal(told(t), "all");
	assert_false(dir_groups_has(t->b.groups, id));
}

/* of a group that breaks the connection each time everybody is told, and the others have their turn
 */
static void test_group_that_breaks_the_connection_is_given_up(void **state)
{
	static const int errs[] = { -ETIMEDOUT, -ECONNRESET };
	struct t *t = *state;

	for (size_t i = 0; i < 2; i++) {
		eng_changes(t, CSN(2), NULL, i ? "bob" : "carl");
		group(OPS, "ops", CSN(2), "alice", i ? "carl" : "bob");
		fake_tell(FAKE_CHANGED, OPS, NULL);
		look(t);
		fake.fail_filter = "cn=eng";
		fake.fail_err = errs[i];
		for (int n = 1; n < DIR_TRIES_MAX; n++) {
			assert_int_equal(work(t), errs[i]);
			assert_string_equal(told(t), "");
			begin(t);
		}
		assert_int_equal(work(t), errs[i]);
		assert_string_equal(told(t), "all");
		begin(t);
		assert_int_equal(work(t), 0);
		assert_non_null(strstr(told(t), i ? "a12 " : "a11 "));
		fake.fail_filter = NULL;
	}
}

/* a page that is too slow is made smaller; then changes are told without the picture */
static void test_page_that_breaks_the_connection_is_given_up(void **state)
{
	struct t *t = *state;
	size_t less[DIR_TRIES_MAX];

	dir_groups_forget(t->b.groups, true);
	fake.fail_filter = "objectClass=groupOfNames";
	fake.fail_err = -ETIMEDOUT;
	for (int n = 0; n < DIR_TRIES_MAX; n++) {
		less[n] = dir_groups_less(t->b.groups, DIR_GROUPS_PAGE);
		assert_int_equal(work(t), -ETIMEDOUT);
		begin(t);
	}
	assert_int_equal(less[0], DIR_GROUPS_PAGE);
	assert_true(less[1] < less[0] && less[1] > 1);
	assert_int_equal(less[2], 1);
	assert_int_equal(work(t), 0);
	assert_string_equal(told(t), "");
	eng_changes(t, CSN(2), COOKIE(2), "bob");
	assert_int_equal(work(t), 0);
	assert_string_equal(told(t), "a11 g20 ");
	fake.fail_filter = NULL;
	fake.now_ms += 600000;
	assert_int_equal(work(t), 0);
	assert_true(t->b.groups->whole);
	assert_false(t->b.groups->failed);
}

/* and the right to list them is given */
static void test_pass_that_was_refused_is_whole_at_the_next_connection(void **state)
{
	struct t *t = *state;

	dir_groups_forget(t->b.groups, true);
	fake.fail_filter = "objectClass=groupOfNames";
	fake.fail_err = -GI_ELIMIT;
	assert_int_equal(work(t), 0);
	assert_true(t->b.groups->failed);
	fake.fail_filter = NULL;
	begin(t);
	assert_int_equal(work(t), 0);
	assert_true(t->b.groups->whole);
	assert_false(t->b.groups->failed);
}

static void test_accounts_that_are_asked_for_too_slowly(void **state)
{
	struct t *t = *state;

	looked_up(t, ALICE);
	looked_up(t, BOB);
	fake_gone(BOB);
	fake.fail_filter = "entryUUID";
	fake.fail_err = -ETIMEDOUT;
	dir_groups_compare(t->b.groups, false);
	for (int n = 0; n < DIR_TRIES_MAX; n++) {
		assert_int_equal(work(t), -ETIMEDOUT);
		begin(t);
	}
	assert_int_equal(work(t), 0);
	assert_string_equal(told(t), "");
	fake.fail_filter = NULL;
	fake.now_ms += 30000;
	assert_int_equal(work(t), 0);
	assert_string_equal(told(t), "a11 ");
}

/* it tells its number, but not in time what changed: everybody, instead of no end */
static void test_ad_slow_to_tell_what_changed(void **state)
{
	struct t *t = *state;
	unsigned int n;

	fake.fail_filter = "uSNChanged>=";
	fake.fail_err = -ETIMEDOUT;
	ad_group(101, NULL, NULL);
	ad_server(101);
	assert_string_equal(ad_look(t), "all");
	n = fake.searches;
	ad_server(102);
	assert_string_equal(ad_look(t), "all");
	assert_int_equal(fake.searches, n + 1); /* the number */
	assert_string_equal(ad_look(t), "");
	fake.fail_filter = NULL;
	fake.now_ms += 600000;
	looked_up(t, ALICE);
	ad_group(103, AD_ALICE, NULL);
	ad_server(103);
	assert_string_equal(ad_look(t), "a10 g10 g20 ");
	assert_true(t->b.groups->whole);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define P(name) cmocka_unit_test_setup_teardown(name, setup_polled, teardown)
#define A(name) cmocka_unit_test_setup_teardown(name, setup_ad, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_another_server_knows_less),
		A(test_ad_another_server_knows_less),
		A(test_ad_numbers_went_back),
		A(test_ad_restored_and_ahead_already),
		T(test_changed_before_the_first_pass_read_it),
		T(test_looked_up_between_context_and_message),
		T(test_told_twice_before_it_is_read),
		T(test_group_that_is_none_any_more),
		T(test_looked_up_while_all_is_compared),
		T(test_messages_that_are_lost),
		A(test_ad_members_that_are_no_accounts_here),
		A(test_ad_becomes_a_security_group),
		P(test_polled_left_while_there_was_no_connection),
		P(test_polled_left_among_too_many),
		P(test_polled_left_while_all_were_told),
		T(test_left_when_it_could_not_be_read),
		T(test_left_when_too_much_waits),
		T(test_group_that_breaks_the_connection_is_given_up),
		T(test_page_that_breaks_the_connection_is_given_up),
		T(test_pass_that_was_refused_is_whole_at_the_next_connection),
		T(test_accounts_that_are_asked_for_too_slowly),
		A(test_ad_slow_to_tell_what_changed),
	};

	gi_log_init("test_dirlost", GI_LOG_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
