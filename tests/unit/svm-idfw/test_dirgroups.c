/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_dirgroups.c - no change in a directory is missed, whatever comes between two looks at it
 *
 * dirgroups.c, dirgroupread.c and both back ends on a directory in memory (fakeldap.h), where the
 * server breaks off, lags behind itself, or is written to while it is read.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/svm-idfw/dirgroups_world.h"

static void test_who_joins_is_told(void **state)
{
	struct t *t = *state;

	looked_up(t, ALICE);
	group(ENG, "eng", CSN(2), "alice", "bob");
	fake_tell(FAKE_CHANGED, ENG, COOKIE(2));
	look(t);
	assert_int_equal(work(t), 0);
	assert_string_equal(told(t), "a11 ");
	group(ENG, "eng", CSN(3), "bob", "");
	fake_tell(FAKE_CHANGED, ENG, COOKIE(3));
	look(t);
	assert_int_equal(work(t), 0);
	assert_string_equal(told(t), "g20 ");
}

/* the connection breaks while it is asked who joined: nothing of it counts as told */
static void test_broken_off_half_way_is_told_whole(void **state)
{
	struct t *t = *state;

	group(ENG, "eng", CSN(2), "bob", "carl");
	fake_tell(FAKE_CHANGED, ENG, COOKIE(2));
	look(t);
	fake.fail_filter = "cn=carl";
	fake.fail_err = -ECONNRESET;
	assert_int_equal(work(t), -ECONNRESET);
	dir_changes_fini(&t->ch);
	fake.fail_filter = NULL;
	begin(t);
	fake_tell(FAKE_CURRENT, 0, COOKIE(2));
	look(t);
	assert_int_equal(work(t), 0);
	assert_string_equal(told(t), "a11 a12 g20 ");
}

/* the picture is as it was; who was looked up in between saw something else */
static void test_left_and_joined_tells_who_was_looked_up(void **state)
{
	struct t *t = *state;

	looked_up(t, BOB);
	look(t); /* up to here all is known */
	fake.now_ms += 10;
	looked_up(t, ALICE);
	group(ENG, "eng", CSN(3), "alice", "");
	fake_tell(FAKE_CHANGED, ENG, COOKIE(3));
	look(t);
	assert_int_equal(work(t), 0);
	assert_string_equal(told(t), "a10 g20 ");
	assert_string_equal(told(t), "");
}

/* so it is when the lookup ends only after that */
static void test_left_and_joined_tells_whose_lookup_runs(void **state)
{
	struct t *t = *state;
	uint64_t began = fake.now_ms + 100;
	uint8_t id[16];

	group(ENG, "eng", CSN(3), "alice", "");
	fake_tell(FAKE_CHANGED, ENG, COOKIE(3));
	look(t);
	assert_int_equal(work(t), 0);
	assert_string_equal(told(t), "g20 ");
	fake_id(ALICE, id);
	dir_seen_add(t->b.seen, id, began, fake.now_ms + 1000);
	assert_string_equal(told(t), "a10 ");
}

/* it is read when the next write, which nobody has told of yet, is in it already */
static void test_written_while_it_is_read(void **state)
{
	struct t *t = *state;

	fake.now_ms += 10;
	looked_up(t, ALICE); /* when she was out of it */
	group(ENG, "eng", CSN(3), "alice", "bob");
	fake_tell(FAKE_CHANGED, ENG, COOKIE(2));
	look(t);
	assert_int_equal(work(t), 0);
	assert_string_equal(told(t), "a10 a11 g20 ");
}

/* what was written while there was no connection may have been written twice */
static void test_behind_a_new_connection_is_in_doubt(void **state)
{
	struct t *t = *state;

	looked_up(t, CARL);
	look(t);
	fake.now_ms += 5000;
	looked_up(t, ALICE); /* she was out of it then */
	begin(t);
	assert_string_equal(told(t), "");
	group(ENG, "eng", CSN(4), "alice", "bob");
	group(OPS, "ops", CSN(5), "alice", "");
	fake_tell(FAKE_CHANGED, ENG, NULL);
	fake_tell(FAKE_CURRENT, 0, COOKIE(4));
	server(CSN(4));
	look(t);
	assert_int_equal(work(t), 0);
	assert_string_equal(told(t), "a10 a11 g20 ");
	look(t);
	looked_up(t, ALICE); /* each write is told now */
	group(OPS, "ops", CSN(5), "alice", "bob");
	fake_tell(FAKE_CHANGED, OPS, COOKIE(5));
	look(t);
	assert_int_equal(work(t), 0);
	assert_string_equal(told(t), "a11 ");
}

/* slapd shows a contextCSN before it tells of what made it: the next connection begins where it
 * told */
static void test_context_ahead_of_messages_is_not_acknowledged(void **state)
{
	struct t *t = *state;

	server(CSN(3));
	fake_tell(FAKE_CHANGED, ALICE, COOKIE(2));
	look(t);
	assert_string_equal(told(t), "a10 ");
	assert_string_equal(t->b.csn, CSN(2) " ");
	fake.log[0] = '\0';
	begin(t);
	assert_string_equal(told(t), "");
	assert_non_null(strstr(fake.log, "sync dc=corp " CSN(2)));
	fake_tell(FAKE_CHANGED, BOB, NULL);
	fake_tell(FAKE_CURRENT, 0, COOKIE(3));
	look(t);
	assert_string_equal(told(t), "a11 ");
	assert_string_equal(t->b.csn, CSN(3) " ");
}

static void ou(const char *dn, const char *below)
{
	fake_entry(OU, dn, "objectClass: organizationalUnit", below, NULL);
}

static const char *changed(struct t *t, enum fake_sync what, const char *cookie)
{
	fake_tell(what, OU, cookie);
	look(t);
	assert_int_equal(work(t), 0);
	return told(t);
}

/* one message, and everything below it has another DN */
static void test_container_that_moved_concerns_everybody(void **state)
{
	struct t *t = *state;

	ou("ou=a,dc=corp", "hasSubordinates: TRUE");
	assert_string_equal(changed(t, FAKE_CHANGED, COOKIE(2)), "all"); /* what was its DN? */
	assert_string_equal(changed(t, FAKE_CHANGED, COOKIE(3)), "a5 ");
	ou("ou=b,dc=corp", "hasSubordinates: TRUE");
	assert_string_equal(changed(t, FAKE_CHANGED, COOKIE(4)), "all");
	assert_string_equal(changed(t, FAKE_CHANGED, COOKIE(5)), "a5 ");
	ou("ou=c,dc=corp", "hasSubordinates: FALSE");
	assert_string_equal(changed(t, FAKE_CHANGED, COOKIE(6)), "a5 ");
}

static void test_container_that_is_new_concerns_nobody(void **state)
{
	struct t *t = *state;

	ou("ou=a,dc=corp", "hasSubordinates: TRUE"); /* by now */
	assert_string_equal(changed(t, FAKE_NEW, COOKIE(2)), "a5 ");
	assert_string_equal(changed(t, FAKE_CHANGED, COOKIE(3)), "a5 ");
	ou("ou=b,dc=corp", "hasSubordinates: TRUE");
	assert_string_equal(changed(t, FAKE_CHANGED, COOKIE(4)), "all");
}

/* the picture is right again behind it: only who is concerned is told then */
static void test_container_that_moved_groups_are_known_below_it(void **state)
{
	struct t *t = *state;

	ou(GROUPS, "hasSubordinates: TRUE");
	(void)changed(t, FAKE_CHANGED, COOKIE(2));
	ou("ou=teams,dc=corp", "hasSubordinates: TRUE");
	fake_entry(ENG, "cn=eng,ou=teams,dc=corp", "objectClass: groupOfNames",
		"hasSubordinates: FALSE", "cn: eng", "entryCSN: " CSN(1),
		"member: cn=alice," PEOPLE, NULL);
	assert_string_equal(changed(t, FAKE_CHANGED, COOKIE(3)), "all");
	fake_entry(ENG, "cn=eng,ou=teams,dc=corp", "objectClass: groupOfNames",
		"hasSubordinates: FALSE", "cn: eng", "entryCSN: " CSN(4),
		"member: cn=alice," PEOPLE, "member: cn=bob," PEOPLE, NULL);
	fake_tell(FAKE_CHANGED, ENG, COOKIE(4));
	look(t);
	assert_int_equal(work(t), 0);
	assert_string_equal(told(t), "a11 ");
}

/* a lookup has read the account; it is deleted, which is told; then the lookup is done */
static void test_deleted_during_its_first_lookup(void **state)
{
	struct t *t = *state;
	uint64_t began = fake.now_ms + 400;
	uint8_t id[16];

	fake_tell(FAKE_DELETED, BOB, COOKIE(2));
	look(t);
	assert_string_equal(told(t), "");
	fake_id(BOB, id);
	dir_seen_add(t->b.seen, id, began, fake.now_ms + 1);
	assert_string_equal(told(t), "a11 ");
	fake_tell(FAKE_DELETED, BOB, COOKIE(3)); /* and of one that was found before */
	look(t);
	assert_string_equal(told(t), "a11 ");
}

/* ---- comparisons ---- */

/* somebody went before all groups are known: everybody, but not at each of them */
static void test_gone_before_the_first_pass_is_whole(void **state)
{
	struct t *t = *state;
	bool more;

	t->b.groups->whole = false;
	t->b.groups->passing = true;
	dir_groups_compare(t->b.groups, true);
	assert_int_equal(dir_groups_work(&t->b, &t->ch, &more, t->why), 0);
	assert_string_equal(told(t), "all");
	t->b.groups->whole = false;
	dir_groups_compare(t->b.groups, true);
	assert_int_equal(dir_groups_work(&t->b, &t->ch, &more, t->why), 0);
	assert_string_equal(told(t), "");
	fake.now_ms += 4999;
	assert_int_equal(dir_groups_work(&t->b, &t->ch, &more, t->why), 0);
	assert_string_equal(told(t), "");
	fake.now_ms += 1;
	assert_int_equal(dir_groups_work(&t->b, &t->ch, &more, t->why), 0);
	assert_string_equal(told(t), "all");
}

/* what changed is told before a page of what runs over everything is asked for */
static void test_changed_is_told_before_the_pass_goes_on(void **state)
{
	struct t *t = *state;
	uint8_t ops[16];
	bool more;

	fake_id(OPS, ops);
	t->b.groups->passing = true;
	dir_groups_later(t->b.groups, ops, "cn=ops," GROUPS);
	group(ENG, "eng", CSN(2), "alice", "bob");
	fake_tell(FAKE_CHANGED, ENG, COOKIE(2));
	look(t);
	fake.log[0] = '\0';
	assert_int_equal(dir_groups_turn(&t->b, &t->ch, &more, t->why), 0);
	assert_null(strstr(fake.log, "groupOfNames"));
	assert_null(strstr(fake.log, "cn=ops"));
	fake_tell(FAKE_CHANGED, CARL, COOKIE(3));
	look(t);
	fake.log[0] = '\0';
	assert_int_equal(dir_groups_turn(&t->b, &t->ch, &more, t->why), 0);
	assert_string_equal(fake.log, "");
	assert_true(more);
	assert_string_equal(told(t), "a11 a12 ");
}

/* why a comparison ran still holds when it is refused */
static void test_comparison_that_is_refused_is_tried_again(void **state)
{
	struct t *t = *state;

	group(ENG, "eng", CSN(2), "alice", "bob");
	fake.fail_filter = "groupOfNames";
	fake.fail_err = -GI_ELIMIT;
	dir_groups_compare(t->b.groups, false);
	assert_int_equal(work(t), 0);
	assert_string_equal(told(t), "");
	fake.fail_filter = NULL;
	fake.now_ms += 29999;
	assert_int_equal(work(t), 0);
	assert_string_equal(told(t), "");
	fake.now_ms += 1;
	assert_int_equal(work(t), 0);
	assert_string_equal(told(t), "a11 g20 ");
}

/* accounts that could not be asked for are not passed over */
static void test_accounts_that_were_not_asked_for_are_next(void **state)
{
	struct t *t = *state;

	looked_up(t, ALICE);
	looked_up(t, BOB);
	fake_gone(BOB);
	fake.fail_filter = "entryUUID";
	fake.fail_err = -ECONNRESET;
	dir_groups_compare(t->b.groups, false);
	assert_int_equal(work(t), -ECONNRESET);
	assert_string_equal(told(t), "");
	fake.fail_filter = NULL;
	begin(t);
	assert_int_equal(work(t), 0);
	assert_string_equal(told(t), "a11 ");
}

/* ---- without syncrepl ---- */

static int setup_polled(void **state)
{
	struct t *t;

	(void)setup(state);
	t = *state;
	fake_entry(ROOT, "", "namingContexts: dc=corp", NULL);
	begin(t);
	assert_false(t->b.told_by_fd);
	look(t);
	assert_int_equal(work(t), 0);
	assert_string_equal(told(t), "");
	return 0;
}

static void written(unsigned int id, const char *name, const char *csn)
{
	char dn[64], text[64];

	(void)snprintf(dn, sizeof(dn), "cn=%s," PEOPLE, name);
	(void)snprintf(text, sizeof(text), "entryCSN: %s", csn);
	fake_entry(id, dn, "objectClass: inetOrgPerson", "hasSubordinates: FALSE", text, NULL);
}

static void test_polled_tells_what_was_written(void **state)
{
	struct t *t = *state;

	written(BOB, "bob", CSN(2));
	server(CSN(2));
	look(t);
	assert_int_equal(work(t), 0);
	assert_string_equal(told(t), "a11 ");
	fake.now_ms += 10;
	looked_up(t, ALICE); /* nobody knows how often it was written */
	group(ENG, "eng", CSN(3), "alice", "carl");
	server(CSN(3));
	look(t);
	assert_int_equal(work(t), 0);
	assert_string_equal(told(t), "a10 a12 g20 ");
}

static void test_polled_finds_who_is_gone(void **state)
{
	struct t *t = *state;

	looked_up(t, BOB);
	looked_up(t, CARL);
	fake_gone(BOB);
	fake_gone(OPS);
	server(CSN(2));
	look(t);
	assert_int_equal(work(t), 0);
	assert_string_equal(told(t), "a11 g21 ");
}

static void test_polled_numbers_of_several_servers_are_all(void **state)
{
	struct t *t = *state;

	fake_entry(CONTEXT, "dc=corp", "objectClass: domain", "contextCSN: " CSN(1),
		"contextCSN: 20260101000000.000001Z#000000#001#000000", NULL);
	look(t);
	assert_int_equal(work(t), 0);
	assert_string_equal(told(t), "all");
}

/* not again and again: everybody, as before */
static void test_polled_where_nobody_says_what_was_written(void **state)
{
	struct t *t = *state;
	unsigned int n;

	fake.fail_filter = "entryCSN";
	fake.fail_err = -ETIMEDOUT;
	server(CSN(2));
	look(t);
	assert_string_equal(told(t), "all");
	server(CSN(3));
	n = fake.searches;
	look(t);
	assert_int_equal(fake.searches, n + 1); /* contextCSN */
	assert_string_equal(told(t), "all");
}

/* ---- Active Directory ---- */

static void test_ad_container_that_moved_concerns_everybody(void **state)
{
	struct t *t = *state;

	ad_ou("a", 10, 101);
	assert_string_equal(ad_look(t), "all"); /* what was its DN? */
	ad_ou("a", 10, 102);
	assert_string_equal(ad_look(t), "");
	ad_ou("b", 10, 103);
	assert_string_equal(ad_look(t), "all");
	fake_gone(OU);
	fake_entry(OU + 1, "CN=c,DC=corp,DC=example", "objectClass: container", "uSNCreated: 10",
		"uSNChanged: 104", NULL);
	ad_server(104);
	assert_string_equal(ad_look(t), "all");
}

static void test_ad_container_that_is_new_concerns_nobody(void **state)
{
	struct t *t = *state;

	ad_ou("a", 101, 101);
	assert_string_equal(ad_look(t), "");
	ad_ou("b", 101, 102);
	assert_string_equal(ad_look(t), "all");
}

/* 5,000 members, 1,500 at a time: who joins or leaves is seen in each part, the last one too */
static void test_ad_large_group_in_parts(void **state)
{
	struct t *t = *state;
	unsigned int before;

	fake.now_ms += 10;
	ad_group(101, AD_ALICE, NULL);
	fake_crowd(ENG, 5000);
	ad_server(101);
	before = fake.searches;
	look(t);
	assert_int_equal(work(t), 0);
	assert_true(t->ch.all || t->ch.accounts.n == 5000); /* each joined */
	dir_changes_fini(&t->ch);
	assert_true(fake.searches - before >= 4); /* 5,001 */
	ad_group(102, AD_ALICE, AD_BOB);
	fake_crowd(ENG, 5000);
	ad_server(102);
	assert_string_equal(ad_look(t), "a11 ");
	ad_group(103, AD_BOB, NULL);
	fake_crowd(ENG, 5000);
	ad_server(103);
	assert_string_equal(
		ad_look(t), "g20 "); /* who it was is not remembered: all who were in it */
	ad_group(104, AD_BOB, NULL);
	fake_crowd(ENG, 4999);
	ad_server(104);
	assert_string_equal(ad_look(t), "g20 ");
	ad_group(105, AD_BOB, NULL);
	fake_crowd(ENG, 1499); /* all of one part */
	ad_server(105);
	assert_string_equal(ad_look(t), "g20 ");
	ad_group(106, AD_BOB, AD_ALICE); /* one of the next */
	fake_crowd(ENG, 1499);
	ad_server(106);
	assert_string_equal(ad_look(t), "a10 ");
}

/* the picture was made of it when it was as large already */
static void test_ad_large_group_in_the_picture(void **state)
{
	struct t *t = *state;

	ad_group(61, AD_ALICE, NULL);
	fake_crowd(ENG, 2000);
	ad_server_of("DC2", 70);
	begin(t);
	assert_int_equal(work(t), 0);
	assert_true(t->b.groups->whole);
	look(t);
	dir_changes_fini(&t->ch);
	ad_group(71, AD_ALICE, NULL);
	fake_crowd(ENG, 1999);
	ad_server_of("DC2", 71);
	assert_string_equal(ad_look(t), "g20 ");
}

static void not_for_ever(void *arg)
{
	(void)arg;
	assert_true(fake.searches < 1000);
}

/* a directory that gives the same part again and again is not asked for ever */
static void test_ad_large_group_without_end(void **state)
{
	struct t *t = *state;

	fake.stuck = true;
	fake.before = not_for_ever;
	ad_group(101, AD_ALICE, NULL);
	fake_crowd(ENG, 5000);
	ad_server(101);
	look(t);
	(void)work(t);
	assert_string_equal(told(t), "all");
}

static void test_ad_renamed_and_joined_at_once(void **state)
{
	struct t *t = *state;

	fake_entry(ENG, "CN=dev,DC=corp,DC=example", "objectClass: group", "sAMAccountName: dev",
		"groupType: -2147483646", "uSNChanged: 101", AD_ALICE, AD_BOB, NULL);
	ad_server(101);
	assert_string_equal(ad_look(t), "a11 g20 ");
}

/* an ordinary account sees no deletion, only that there was a write more */
static void test_ad_deleted_is_missed(void **state)
{
	struct t *t = *state;

	ad_group(101, AD_ALICE, NULL);
	ad_server(101);
	(void)ad_look(t);
	looked_up(t, ALICE);
	fake.now_ms += 1000;
	fake_gone(ALICE);
	ad_server(102); /* the last write that is seen is of 101 */
	assert_string_equal(ad_look(t), "a10 ");
}

static bool is_cached(struct t *t)
{
	struct dir_group g = { .name = (char *)"eng", .dn = (char *)"CN=eng" };
	uint8_t sid[SID_BYTES_MAX];
	uint64_t epoch;
	bool found;

	assert_int_equal(sid_from_text("S-1-5-21-1-2-3-1200", sid, &g.sid_len), 0);
	memcpy(g.sid, sid, g.sid_len);
	epoch = dir_cache_hold(t->b.cache);
	found = dir_cache_get(t->b.cache, sid, g.sid_len) != NULL;
	dir_cache_release(t->b.cache);
	if (!found)
		assert_int_equal(dir_cache_put(t->b.cache, &g, epoch), 0);
	return found;
}

/* a name that is remembered is one that nobody has changed */
static void test_ad_names_are_forgotten(void **state)
{
	struct t *t = *state;

	assert_false(is_cached(t));
	assert_true(is_cached(t));
	fake_entry(ENG, "CN=dev,DC=corp,DC=example", "objectClass: group", "sAMAccountName: dev",
		"objectSid: S-1-5-21-1-2-3-1200", "uSNChanged: 101", NULL);
	ad_server(101);
	look(t);
	assert_false(is_cached(t)); /* renamed */
	ad_ou("a", 10, 102);
	look(t);
	assert_false(is_cached(t)); /* what is below it has another DN */
	ad_server(99);
	look(t);
	assert_false(is_cached(t)); /* restored from a backup */
	assert_true(t->ch.all);
	ad_server_of("DC2", 99);
	begin(t);
	assert_false(is_cached(t)); /* another one, which may not have it yet */
}

/* more than one look takes: it concerns all, and the picture is made anew */
static void test_ad_too_much_at_once(void **state)
{
	struct t *t = *state;

	fake.fail_filter = "uSNChanged";
	fake.fail_err = -GI_ELIMIT;
	ad_group(101, AD_BOB, NULL);
	ad_server(101);
	look(t);
	assert_true(t->ch.all);
	fake.fail_filter = NULL;
	assert_int_equal(work(t), 0);
	dir_changes_fini(&t->ch);
	assert_true(t->b.groups->whole);
	ad_group(102, AD_BOB, AD_ALICE);
	ad_server(102);
	assert_string_equal(ad_look(t), "a10 ");
}

/* two writes of one object */
static void test_ad_left_and_joined_tells_who_was_looked_up(void **state)
{
	struct t *t = *state;

	fake.now_ms += 10;
	looked_up(t, ALICE);
	ad_group(102, AD_ALICE, NULL);
	ad_server(102);
	assert_string_equal(ad_look(t), "a10 g20 ");
	fake.now_ms += 10;
	looked_up(t, ALICE);
	ad_group(104, AD_ALICE, AD_BOB); /* behind a difference */
	ad_server(104);
	assert_string_equal(ad_look(t), "a10 a11 g20 ");
}

static void test_ad_written_while_it_is_read(void **state)
{
	struct t *t = *state;

	fake.now_ms += 10;
	looked_up(t, ALICE);
	ad_group(101, NULL, NULL);
	ad_server(101);
	look(t);
	ad_group(102, AD_ALICE, AD_BOB); /* one look later it is in the USNs */
	assert_int_equal(work(t), 0);
	assert_string_equal(told(t), "a10 a11 g20 ");
}

/* known by its SID, and still called so, but not below base any more */
static void test_ad_moved_out_of_base_is_not_found(void **state)
{
	struct t *t = *state;
	struct dir_answer a = { .status = IDFW__DIR_RESULT__STATUS__UNAVAILABLE };
	uint8_t sid[SID_BYTES_MAX];
	size_t len = 0;

	assert_int_equal(sid_from_text("S-1-5-21-1-2-3-1001", sid, &len), 0);
	assert_int_equal(t->b.ops->lookup(&t->b, "alice", sid, len, &a, t->why), 0);
	assert_int_equal(a.status, IDFW__DIR_RESULT__STATUS__OK);
	dir_answer_fini(&a);
	ad_person("CN=alice,OU=Left,DC=corp,DC=example", 101);
	ad_server(101);
	assert_string_equal(ad_look(t), "a10 ");
	assert_int_equal(t->b.ops->lookup(&t->b, "alice", sid, len, &a, t->why), 0);
	assert_int_equal(a.status, IDFW__DIR_RESULT__STATUS__NOT_FOUND);
	dir_answer_fini(&a);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define P(name) cmocka_unit_test_setup_teardown(name, setup_polled, teardown)
#define A(name) cmocka_unit_test_setup_teardown(name, setup_ad, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_who_joins_is_told),
		T(test_broken_off_half_way_is_told_whole),
		T(test_left_and_joined_tells_who_was_looked_up),
		T(test_left_and_joined_tells_whose_lookup_runs),
		T(test_written_while_it_is_read),
		T(test_behind_a_new_connection_is_in_doubt),
		T(test_context_ahead_of_messages_is_not_acknowledged),
		T(test_container_that_moved_concerns_everybody),
		T(test_container_that_is_new_concerns_nobody),
		T(test_container_that_moved_groups_are_known_below_it),
		T(test_deleted_during_its_first_lookup),
		T(test_gone_before_the_first_pass_is_whole),
		T(test_changed_is_told_before_the_pass_goes_on),
		T(test_comparison_that_is_refused_is_tried_again),
		T(test_accounts_that_were_not_asked_for_are_next),
		P(test_polled_tells_what_was_written),
		P(test_polled_finds_who_is_gone),
		P(test_polled_numbers_of_several_servers_are_all),
		P(test_polled_where_nobody_says_what_was_written),
		A(test_ad_container_that_moved_concerns_everybody),
		A(test_ad_container_that_is_new_concerns_nobody),
		A(test_ad_large_group_in_parts),
		A(test_ad_left_and_joined_tells_who_was_looked_up),
		A(test_ad_written_while_it_is_read),
		A(test_ad_moved_out_of_base_is_not_found),
		A(test_ad_large_group_in_the_picture),
		A(test_ad_large_group_without_end),
		A(test_ad_renamed_and_joined_at_once),
		A(test_ad_deleted_is_missed),
		A(test_ad_names_are_forgotten),
		A(test_ad_too_much_at_once),
	};

	gi_log_init("test_dirgroups", GI_LOG_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
