/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_dirgroups.c - no change in a directory is missed, whatever comes between two looks at it
 *
 * dirgroups.c, dirgroupread.c and both back ends on a directory in memory (fakeldap.h), where the
 * server breaks off, lags behind itself, or is written to while it is read.
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
#include "svm-idfw/dirgroups.h"
#include "tests/unit/svm-idfw/fakeldap.h"

#define PEOPLE "ou=people,dc=corp"
#define GROUPS "ou=groups,dc=corp"
#define CSN(n) "20260101000000.00000" #n "Z#000000#000#000000"
#define COOKIE(n) "rid=000,csn=" CSN(n)

enum { ROOT = 1, CONTEXT, OU = 5, ALICE = 10, BOB, CARL, ENG = 20, OPS };

struct t {
	struct idfw_dir_conf conf;
	struct dir_back b;
	struct dir_changes ch;
	char told[512], why[DIR_WHY_MAX];
};

static void server(const char *csn)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "contextCSN: %s", csn);
	fake_entry(CONTEXT, "dc=corp", "objectClass: domain", text, NULL);
}

static void person(unsigned int id, const char *name)
{
	char dn[64], uid[64];

	(void)snprintf(dn, sizeof(dn), "cn=%s," PEOPLE, name);
	(void)snprintf(uid, sizeof(uid), "uid: %s", name);
	fake_entry(id, dn, "objectClass: inetOrgPerson", "hasSubordinates: FALSE", uid, NULL);
}

/* members are names, "" none */
static void group(unsigned int id, const char *name, const char *csn, const char *a, const char *b)
{
	char dn[64], cn[64], text[64], m[2][96];

	(void)snprintf(dn, sizeof(dn), "cn=%s," GROUPS, name);
	(void)snprintf(cn, sizeof(cn), "cn: %s", name);
	(void)snprintf(text, sizeof(text), "entryCSN: %s", csn);
	(void)snprintf(m[0], sizeof(m[0]), "%s: cn=%s," PEOPLE, *a ? "member" : "none", a);
	(void)snprintf(m[1], sizeof(m[1]), "%s: cn=%s," PEOPLE, *b ? "member" : "none", b);
	fake_entry(id, dn, "objectClass: groupOfNames", "hasSubordinates: FALSE", cn, text, m[0],
		m[1], NULL);
}

static void back_new(struct t *t, const struct dir_back_ops *ops, const char *base)
{
	*t = (struct t){ .conf = { .uri = "ldaps://ldap.example",
				 .base = (char *)(uintptr_t)base,
				 .schema = (char *)"rfc2307bis",
				 .page = 500,
				 .range = 1500 } };
	t->b = (struct dir_back){ .ops = ops, .conf = &t->conf, .page = 500 };
	assert_int_equal(dir_groups_new(&t->b.groups), 0);
	assert_int_equal(dir_seen_new(100, &t->b.seen), 0);
	assert_int_equal(dir_cache_new(100, &t->b.cache), 0);
	assert_int_equal(dir_memo_new(1u << 16, &t->b.memo), 0);
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

static int by_number(const void *a, const void *b)
{
	return memcmp(a, b, 16);
}

static void told_ids(char *out, size_t size, const char *word, struct dir_ids *ids)
{
	size_t at = strlen(out);

	if (ids->n)
		qsort(ids->list, ids->n, sizeof(*ids->list), by_number);
	for (size_t i = 0; i < ids->n; i++)
		if (i == 0 || memcmp(ids->list[i - 1], ids->list[i], 16) != 0)
			at += (size_t)snprintf(out + at, size - at, "%s%u ", word, ids->list[i][0]);
}

/* what was found is told: "all", or "a10 g20 " */
static const char *told(struct t *t)
{
	t->told[0] = '\0';
	dir_groups_between(&t->b, &t->ch);
	if (t->ch.all)
		(void)snprintf(t->told, sizeof(t->told), "all");
	else
		told_ids(t->told, sizeof(t->told), "a", &t->ch.accounts);
	if (!t->ch.all)
		told_ids(t->told, sizeof(t->told), "g", &t->ch.groups);
	dir_changes_fini(&t->ch);
	return t->told;
}

static int work(struct t *t)
{
	bool more = false;
	int err;

	do {
		err = dir_groups_work(&t->b, &t->ch, &more, t->why);
	} while (err == 0 && more);
	return err;
}

static void begin(struct t *t)
{
	assert_int_equal(t->b.ops->begin(&t->b, &t->ch, t->why), 0);
}

static void look(struct t *t)
{
	fake.now_ms += 500;
	assert_int_equal(t->b.ops->poll(&t->b, &t->ch, t->why), 0);
}

static void looked_up(struct t *t, unsigned int id)
{
	uint8_t bytes[16];

	fake_id(id, bytes);
	dir_seen_add(t->b.seen, bytes, fake.now_ms, fake.now_ms);
}

/* alice is in eng and ops; all groups are known, the search is at the present */
static int setup(void **state)
{
	static struct t t;

	fake_reset();
	fake_entry(ROOT, "", "namingContexts: dc=corp",
		"supportedControl: 1.3.6.1.4.1.4203.1.9.1.1", NULL);
	server(CSN(1));
	person(ALICE, "alice");
	person(BOB, "bob");
	person(CARL, "carl");
	group(ENG, "eng", CSN(1), "alice", "");
	group(OPS, "ops", CSN(1), "alice", "");
	back_new(&t, &dir_back_openldap, "dc=corp");
	begin(&t);
	assert_string_equal(told(&t), "all");
	assert_int_equal(work(&t), 0);
	assert_true(t.b.groups->whole);
	fake_tell(FAKE_CURRENT, 0, COOKIE(1));
	look(&t);
	assert_string_equal(told(&t), "");
	*state = &t;
	return 0;
}

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

#define AD_PEOPLE "OU=People,DC=corp,DC=example"

static void ad_server(unsigned int usn)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "highestCommittedUSN: %u", usn);
	fake_entry(ROOT, "", "dsServiceName: CN=DC1", "defaultNamingContext: DC=corp,DC=example",
		"configurationNamingContext: CN=Configuration,DC=corp,DC=example", text, NULL);
}

static void ad_person(const char *dn, unsigned int usn)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "uSNChanged: %u", usn);
	fake_entry(ALICE, dn, "objectClass: user", "sAMAccountName: alice",
		"objectSid: S-1-5-21-1-2-3-1001", text, NULL);
}

static void ad_group(unsigned int usn, const char *a, const char *b)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "uSNChanged: %u", usn);
	fake_entry(ENG, "CN=eng,DC=corp,DC=example", "objectClass: group", "sAMAccountName: eng",
		"groupType: -2147483646", text, a, b, NULL);
}

static void ad_ou(const char *name, unsigned int created, unsigned int usn)
{
	char dn[64], a[64], b[64];

	(void)snprintf(dn, sizeof(dn), "OU=%s,DC=corp,DC=example", name);
	(void)snprintf(a, sizeof(a), "uSNCreated: %u", created);
	(void)snprintf(b, sizeof(b), "uSNChanged: %u", usn);
	fake_entry(OU, dn, "objectClass: organizationalUnit", a, b, NULL);
	ad_server(usn);
}

#define AD_ALICE "member: <GUID=0a000000000000000000000000000000>;CN=alice," AD_PEOPLE

#define AD_BOB "member: <GUID=0b000000000000000000000000000000>;CN=bob," AD_PEOPLE

static int setup_ad(void **state)
{
	static struct t t;

	fake_reset();
	ad_server(100);
	ad_person("CN=alice," AD_PEOPLE, 50);
	ad_group(60, AD_ALICE, NULL);
	back_new(&t, &dir_back_ad, AD_PEOPLE);
	begin(&t);
	assert_string_equal(told(&t), "all");
	assert_int_equal(work(&t), 0);
	look(&t);
	assert_string_equal(told(&t), "");
	*state = &t;
	return 0;
}

static const char *ad_look(struct t *t)
{
	look(t);
	assert_int_equal(work(t), 0);
	return told(t);
}

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
	};

	gi_log_init("test_dirgroups", GI_LOG_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
