/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_dirmember.c - the picture of all memberships, what a look found, and who was found
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those first */
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "svm-idfw/dirchanges.h"
#include "svm-idfw/dirmember.h"
#include "svm-idfw/dirseen.h"

static const uint64_t key[2] = { 11, 12 };

static void id_of(unsigned int n, uint8_t ret[16])
{
	memset(ret, 0, 16);
	memcpy(ret, &n, sizeof(n));
}

/* members as letters; returns how many were removed */
static size_t put(struct dir_members *m, unsigned int n, const char *members)
{
	struct dir_member_group head = { .stamp = n };
	struct dir_member_list list = { .n = 0 };
	size_t removed;

	id_of(n, head.id);
	for (; *members; members++)
		assert_int_equal(dir_member_list_add(&list, dir_member_hash(m, 1, members, 1)), 0);
	removed = dir_members_removed(m, head.id, &list);
	assert_int_equal(dir_members_put(m, &head, &list), 0);
	dir_member_list_fini(&list);
	return removed;
}

static struct dir_member_group *find(const struct dir_members *m, unsigned int n)
{
	uint8_t id[16];

	id_of(n, id);
	return dir_members_find(m, id);
}

static bool has(const struct dir_members *m, unsigned int n, const char *member)
{
	return dir_member_has(find(m, n), dir_member_hash(m, 1, member, 1));
}

static void test_put_tells_what_was_removed(void **state)
{
	static const struct {
		const char *before, *now;
		size_t removed;
	} cases[] = { { "", "", 0 }, { "abc", "abc", 0 }, { "abc", "cab", 0 }, { "abc", "abcd", 0 },
		{ "abc", "bc", 1 }, { "abc", "", 3 }, { "", "abc", 0 }, { "abc", "xyz", 3 },
		{ "abc", "aabbcc", 0 }, { "aabbc", "ac", 1 } };
	struct dir_members m;

	(void)state;
	dir_members_init(&m, key);
	assert_int_equal(put(&m, 1, "abc"), 0); /* nothing was known */
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		(void)put(&m, 1, cases[i].before);
		assert_int_equal(put(&m, 1, cases[i].now), cases[i].removed);
	}
	assert_int_equal(m.n_values, 2);
	dir_members_fini(&m);
	assert_null(m.groups);
	assert_int_equal(m.n_values, 0);
}

static void test_has_after_put(void **state)
{
	struct dir_members m;

	(void)state;
	dir_members_init(&m, key);
	(void)put(&m, 1, "zab");
	assert_true(has(&m, 1, "a"));
	assert_true(has(&m, 1, "z"));
	assert_false(has(&m, 1, "y"));
	assert_false(has(&m, 2, "a"));
	assert_false(
		dir_member_has(find(&m, 1), dir_member_hash(&m, 2, "a", 1))); /* another kind */
	dir_members_drop(&m, find(&m, 1)->id);
	assert_null(find(&m, 1));
	dir_members_fini(&m);
}

static void count_gone(void *arg, const uint8_t id[16])
{
	unsigned int n, *sum = arg;

	memcpy(&n, id, sizeof(n));
	*sum = *sum * 10 + n;
}

static void test_sweep_tells_who_was_not_seen(void **state)
{
	unsigned int gone = 0;
	struct dir_members m;

	(void)state;
	dir_members_init(&m, key);
	for (unsigned int i = 1; i <= 4; i++)
		(void)put(&m, i, "a");
	dir_members_pass(&m);
	dir_members_mark(&m, find(&m, 1));
	(void)put(&m, 3, "b");
	(void)put(&m, 5, "b");
	dir_members_sweep(&m, count_gone, &gone);
	assert_int_equal(gone, 24);
	assert_int_equal(HASH_COUNT(m.groups), 3);
	assert_int_equal(m.n_values, 3);
	dir_members_fini(&m);
}

static void test_changes_over_the_limit_are_all(void **state)
{
	struct dir_changes c = { .all = false };
	uint8_t id[16];

	(void)state;
	assert_false(dir_changes_any(&c));
	for (unsigned int i = 0; i < DIR_CHANGES_MAX; i++) {
		id_of(i, id);
		dir_changes_account(&c, id);
	}
	dir_changes_group(&c, id);
	dir_changes_sid(&c, "12345678", 8);
	assert_false(c.all);
	assert_true(dir_changes_any(&c));
	assert_int_equal(c.accounts.n, DIR_CHANGES_MAX);
	assert_memory_equal(c.accounts.list[DIR_CHANGES_MAX - 1], id, 16);
	assert_int_equal(c.sids[0].len, 8);
	dir_changes_account(&c, id);
	assert_true(c.all);
	dir_changes_fini(&c);
	assert_false(dir_changes_any(&c));
}

static void test_seen_each_once_a_round(void **state)
{
	uint8_t id[16], got[4][16];
	struct dir_seen *s;

	(void)state;
	assert_int_equal(dir_seen_new(5, &s), 0);
	for (unsigned int i = 0; i < 6; i++) { /* the first makes room */
		id_of(i, id);
		dir_seen_add(s, id, 1, 2);
		dir_seen_add(s, id, 3, 4);
	}
	assert_int_equal(dir_seen_count(s), 5);
	assert_true(dir_seen_has(s, id));
	assert_int_equal(dir_seen_next(s, 1, got, 4), 4);
	id_of(1, id);
	assert_memory_equal(got[0], id, 16);
	dir_seen_drop(s, id);
	id_of(9, id);
	dir_seen_add(s, id, 5, 6); /* behind those of this round: it was found after it began */
	assert_int_equal(dir_seen_next(s, 1, got, 4), 1);
	assert_int_equal(dir_seen_next(s, 1, got, 4), 0);
	assert_int_equal(dir_seen_next(s, 2, got, 4), 4);
	assert_int_equal(dir_seen_next(s, 2, got, 4), 1);
	assert_int_equal(dir_seen_next(s, 2, got, 4), 0);
	dir_seen_free(s);
	dir_seen_free(NULL);
}

/* the numbers of the accounts that were told, as digits in order of telling; none again */
static unsigned int told(struct dir_changes *c)
{
	unsigned int sum = 0, n;

	for (size_t i = 0; i < c->accounts.n; i++) {
		memcpy(&n, c->accounts.list[i], sizeof(n));
		sum = sum * 10 + n;
	}
	dir_changes_fini(c);
	return sum;
}

static void found(struct dir_seen *s, unsigned int n, uint64_t began_ms, uint64_t now_ms)
{
	uint8_t id[16];

	id_of(n, id);
	dir_seen_add(s, id, began_ms, now_ms);
}

static void test_seen_since_tells_whose_lookup_ended_then(void **state)
{
	struct dir_changes c = { .all = false };
	struct dir_seen *s;

	(void)state;
	assert_int_equal(dir_seen_new(8, &s), 0);
	found(s, 1, 10, 20);
	found(s, 2, 10, 30);
	found(s, 3, 10, 40);
	found(s, 1, 35, 50); /* once more */
	dir_seen_since(s, 41, 60, &c);
	assert_int_equal(told(&c), 1);
	dir_seen_since(s, 30, 60, &c);
	assert_int_equal(told(&c), 132);
	dir_seen_since(s, 51, 60, &c);
	assert_int_equal(told(&c), 0);
	dir_seen_free(s);
}

static void test_seen_late_tells_whose_lookup_was_running(void **state)
{
	struct dir_changes c = { .all = false };
	struct dir_seen *s;
	uint8_t id[16];

	(void)state;
	assert_int_equal(dir_seen_new(8, &s), 0);
	dir_seen_late(s, &c);
	found(s, 1, 10, 20);
	dir_seen_gone(s, 30);
	dir_seen_late(s, &c);
	assert_int_equal(told(&c), 0); /* had ended */
	found(s, 2, 30, 40);	       /* was running */
	found(s, 1, 25, 41);	       /* so was this one */
	found(s, 3, 31, 42);	       /* began later */
	dir_seen_late(s, &c);
	assert_int_equal(told(&c), 12);
	dir_seen_late(s, &c); /* each once */
	assert_int_equal(told(&c), 0);
	dir_seen_since(s, 100, 50, &c);
	found(s, 3, 45, 55);
	found(s, 2, 45, 56);
	id_of(3, id);
	dir_seen_drop(s, id); /* told otherwise */
	dir_seen_late(s, &c);
	assert_int_equal(told(&c), 2);
	dir_seen_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_put_tells_what_was_removed),
		cmocka_unit_test(test_has_after_put),
		cmocka_unit_test(test_sweep_tells_who_was_not_seen),
		cmocka_unit_test(test_changes_over_the_limit_are_all),
		cmocka_unit_test(test_seen_each_once_a_round),
		cmocka_unit_test(test_seen_since_tells_whose_lookup_ended_then),
		cmocka_unit_test(test_seen_late_tells_whose_lookup_was_running),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
