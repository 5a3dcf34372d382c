/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_dirqueue.c - svm-idfw/dirqueue.c: bounded, one entry a principal, answers in parts
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "svm-idfw/dir_int.h"

static void test_queue_order_and_dedup(void **state)
{
	struct dir_queue q;
	struct dir_ask *a, *b;

	(void)state;
	dir_queue_init(&q, 10);
	assert_int_equal(dir_queue_put(&q, "alice", "alice", "", true), 0);
	assert_int_equal(dir_queue_put(&q, "bob", "CORP\\bob", "S-1-5-18", false), 0);
	assert_int_equal(dir_queue_put(&q, "alice", "alice", "", true), 0);
	assert_int_equal(q.n_waiting, 2);
	a = dir_queue_start(&q);
	b = dir_queue_start(&q); /* its SID is known: after alice in any case */
	assert_string_equal(a->key, "alice");
	assert_string_equal(b->name, "CORP\\bob");
	assert_string_equal(b->sid, "S-1-5-18");
	assert_null(dir_queue_start(&q));
	assert_ptr_equal(dir_queue_running(&q, a->id), a);
	assert_null(dir_queue_running(&q, 99));
	/* asked again while it runs: one more lookup after this one */
	assert_int_equal(dir_queue_put(&q, "alice", "alice", "", true), 0);
	assert_int_equal(dir_queue_put(&q, "alice", "alice", "", true), 0);
	assert_int_equal(q.n_waiting, 0);
	assert_int_equal(dir_queue_finish(&q, a), 0);
	dir_ask_free(a);
	assert_int_equal(q.n_waiting, 1);
	assert_int_equal(dir_queue_finish(&q, b), 0);
	dir_ask_free(b);
	assert_int_equal(q.n_running, 0);
	dir_queue_fini(&q);
	assert_int_equal(q.n_waiting, 0);
}

static void test_queue_fresh_before_known(void **state)
{
	static const char *const order[] = { "new1", "new2", "old1", "old2" };
	struct dir_queue q;
	size_t i;

	(void)state;
	dir_queue_init(&q, 10);
	assert_int_equal(dir_queue_put(&q, "old1", "old1", "S-1-5-1", false), 0);
	assert_int_equal(dir_queue_put(&q, "new1", "new1", "", true), 0);
	assert_int_equal(dir_queue_put(&q, "old2", "old2", "S-1-5-2", false), 0);
	assert_int_equal(dir_queue_put(&q, "new2", "new2", "", true), 0);
	assert_int_equal(q.n_waiting, 4);
	for (i = 0; i < GI_ARRAY_SIZE(order); i++)
		assert_string_equal(dir_queue_start(&q)->key, order[i]);
	assert_int_equal(q.n_running, 4);
	assert_int_equal(q.n_waiting, 0);
	/* their server is gone: in front of those that came later, in their order */
	assert_int_equal(dir_queue_put(&q, "new3", "new3", "", true), 0);
	assert_int_equal(dir_queue_put(&q, "old3", "old3", "", false), 0);
	while (q.running)
		dir_queue_again(&q, q.running->prev);
	for (i = 0; i < 6; i++) {
		static const char *const again[] = { "new1", "new2", "new3", "old1", "old2",
			"old3" };

		assert_string_equal(dir_queue_start(&q)->key, again[i]);
	}
	dir_queue_fini(&q);
}

/* others that are answered do not help one that hangs, and who only waited is not late */
static void test_ask_late_is_the_oldest(void **state)
{
	const struct idfw_dir_conf conf = { .deadline_ms = 1000 };
	struct idfw_dir d = { .conf = &conf };
	struct dir_ask *hangs, *next, *a;
	uint64_t now = 5000;
	size_t i;

	(void)state;
	dir_queue_init(&d.queue, 10);
	assert_false(dir_ask_late(&d, now));
	assert_int_equal(dir_queue_put(&d.queue, "hangs", "hangs", "", true), 0);
	hangs = dir_queue_start(&d.queue);
	assert_int_equal(dir_queue_put(&d.queue, "next", "next", "", true), 0);
	next = dir_queue_start(&d.queue);
	assert_false(dir_ask_late(&d, now));
	for (i = 0; i < 10; i++) { /* one a 100 ms */
		assert_int_equal(dir_queue_put(&d.queue, "other", "other", "", true), 0);
		a = dir_queue_start(&d.queue);
		now += 100;
		assert_false(dir_ask_late(&d, now));
		assert_int_equal(dir_queue_finish(&d.queue, a), 0);
		dir_ask_free(a);
	}
	assert_true(dir_ask_late(&d, now + 1));
	/* sent as long ago, but until now it may have waited */
	assert_int_equal(dir_queue_finish(&d.queue, hangs), 0);
	dir_ask_free(hangs);
	assert_false(dir_ask_late(&d, now + 1));
	assert_false(dir_ask_late(&d, now + 1001));
	assert_true(dir_ask_late(&d, now + 1002));
	/* asked again, of another child: a new number, from the beginning */
	dir_queue_again(&d.queue, next);
	assert_false(dir_ask_late(&d, now + 2000));
	assert_ptr_equal(dir_queue_start(&d.queue), next);
	assert_false(dir_ask_late(&d, now + 3000));
	assert_true(dir_ask_late(&d, now + 4001));
	dir_queue_fini(&d.queue);
	assert_false(dir_ask_late(&d, now + 5000));
}

/* 5,000 logins of 500 accounts while the first ones run: the others are the same lookups */
static void test_queue_logins_of_one_account_are_one(void **state)
{
	struct dir_queue q;
	char name[16];
	size_t i, lookups = 0;

	(void)state;
	dir_queue_init(&q, 1000);
	for (i = 0; i < 5000; i++) {
		(void)snprintf(name, sizeof(name), "user%zu", i % 500);
		assert_int_equal(dir_queue_put(&q, name, name, "", true), 0);
	}
	assert_int_equal(q.n_waiting, 500);
	for (; dir_queue_start(&q); lookups++)
		;
	assert_int_equal(lookups, 500);
	dir_queue_fini(&q);
}

static void test_queue_full_refuses(void **state)
{
	struct dir_queue q;

	(void)state;
	dir_queue_init(&q, 2);
	assert_int_equal(dir_queue_put(&q, "a", "a", "", true), 0);
	assert_int_equal(dir_queue_put(&q, "b", "b", "", true), 0);
	assert_int_equal(dir_queue_put(&q, "c", "c", "", true), -GI_EFULL);
	assert_int_equal(dir_queue_put(&q, "b", "b", "", true), 0);
	assert_non_null(dir_queue_start(&q)); /* running ones count */
	assert_int_equal(dir_queue_put(&q, "c", "c", "", true), -GI_EFULL);
	dir_queue_fini(&q);
}

/* a start, or another domain controller: everybody is asked for, some at a time */
static void test_queue_of_100000_is_bounded(void **state)
{
	struct dir_queue q;
	struct dir_ask *a;
	char key[32];

	(void)state;
	dir_queue_init(&q, DIR_QUEUE_MAX);
	for (unsigned int twice = 0; twice < 2; twice++) {
		for (unsigned int i = 0; i < 100000; i++) {
			(void)snprintf(key, sizeof(key), "user%u", i);
			assert_int_equal(dir_queue_put(&q, key, key, "S-1-5-18", false), 0);
		}
		assert_int_equal(q.n_waiting, 100000); /* each once */
	}
	while (q.n_running < DIR_INFLIGHT_MAX)
		assert_non_null(dir_queue_start(&q));
	/* somebody logs in: he is the next */
	assert_int_equal(dir_queue_put(&q, "login", "login", "", true), 0);
	a = q.running;
	assert_int_equal(dir_queue_finish(&q, a), 0);
	dir_ask_free(a);
	assert_string_equal(dir_queue_start(&q)->key, "login");
	assert_int_equal(q.n_running, DIR_INFLIGHT_MAX);
	assert_int_equal(q.n_waiting, 100000 - DIR_INFLIGHT_MAX);
	dir_queue_fini(&q);
}

/* looked up again with all the others, and then somebody logs in as one of them */
static void test_queue_hurry(void **state)
{
	struct dir_queue q;
	struct dir_ask *a;

	(void)state;
	dir_queue_init(&q, 10);
	assert_int_equal(dir_queue_put(&q, "a", "a", "", false), 0);
	assert_int_equal(dir_queue_put(&q, "b", "b", "", false), 0);
	assert_int_equal(dir_queue_put(&q, "c", "c", "", false), 0);
	assert_int_equal(dir_queue_put(&q, "d", "d", "", false), 0);
	dir_queue_hurry(&q, "nobody");
	dir_queue_hurry(&q, "c");
	dir_queue_hurry(&q, "c");
	assert_int_equal(dir_queue_put(&q, "d", "d", "", true), 0); /* or is asked for again */
	a = dir_queue_start(&q);
	assert_string_equal(a->key, "c");
	assert_string_equal(dir_queue_start(&q)->key, "d");
	assert_string_equal(dir_queue_start(&q)->key, "a");
	dir_queue_hurry(&q, "a"); /* at work already */
	dir_queue_again(&q, dir_queue_running(&q, 3));
	assert_string_equal(dir_queue_start(&q)->key, "a"); /* before b from now on */
	assert_int_equal(q.n_waiting, 1);
	assert_int_equal(q.n_running, 3);
	dir_queue_fini(&q);
}

static void test_ask_part_gathers_groups(void **state)
{
	static uint8_t sid[] = { 1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0 }, guid[16] = { 7 };
	Idfw__DirGroup g1 = IDFW__DIR_GROUP__INIT, g2 = IDFW__DIR_GROUP__INIT, *list[1];
	Idfw__DirResult r = IDFW__DIR_RESULT__INIT;
	char name[] = "alice", dn[] = "CN=alice", eng[] = "eng", upn[] = "a@corp.example";
	struct dir_queue q;
	struct dir_ask *a;

	(void)state;
	dir_queue_init(&q, 2);
	assert_int_equal(dir_queue_put(&q, "alice", "alice", "", true), 0);
	a = dir_queue_start(&q);
	g1.name = eng;
	g1.sid = (ProtobufCBinaryData){ .len = sizeof(sid), .data = sid };
	list[0] = &g1;
	r.name = name;
	r.dn = dn;
	r.upn = upn;
	r.guid = (ProtobufCBinaryData){ .len = sizeof(guid), .data = guid };
	r.sid = g1.sid;
	r.group = list;
	r.n_group = 1;
	assert_int_equal(dir_ask_part(a, &r), 0);
	list[0] = &g2;
	assert_int_equal(dir_ask_part(a, &r), 0);
	assert_int_equal(a->found.presence, IDFW_P_FOUND);
	assert_int_equal(a->found.n_groups, 2);
	assert_string_equal(a->found.groups[0].name, "eng");
	assert_string_equal(a->found.groups[0].sid, "S-1-5-18");
	assert_string_equal(a->found.groups[1].name, "");
	assert_string_equal(a->found.groups[1].sid, "");
	assert_string_equal(a->found.sid, "S-1-5-18");
	assert_string_equal(a->found.dn, "CN=alice");
	assert_string_equal(a->found.upn, "a@corp.example");
	assert_int_equal(a->found.guid[0], 7);
	/* a SID that is none */
	g2.sid = (ProtobufCBinaryData){ .len = 8, .data = guid };
	assert_int_equal(dir_ask_part(a, &r), -GI_EPROTO);
	r.n_group = 0;
	r.status = IDFW__DIR_RESULT__STATUS__AMBIGUOUS;
	assert_int_equal(dir_ask_part(a, &r), 0);
	assert_int_equal(a->found.presence, IDFW_P_NOT_FOUND);
	dir_queue_fini(&q);
}

static void test_ask_part_too_many_groups_refused(void **state)
{
	static Idfw__DirGroup g[1000];
	static Idfw__DirGroup *list[1000];
	Idfw__DirResult r = IDFW__DIR_RESULT__INIT;
	struct dir_queue q;
	struct dir_ask *a;
	size_t i;

	(void)state;
	dir_queue_init(&q, 2);
	assert_int_equal(dir_queue_put(&q, "alice", "alice", "", true), 0);
	a = dir_queue_start(&q);
	for (i = 0; i < GI_ARRAY_SIZE(g); i++) {
		idfw__dir_group__init(&g[i]);
		list[i] = &g[i];
	}
	r.group = list;
	r.n_group = GI_ARRAY_SIZE(g);
	for (i = 0; i < DIR_ASK_GROUPS_MAX / GI_ARRAY_SIZE(g); i++)
		assert_int_equal(dir_ask_part(a, &r), 0);
	assert_int_equal(dir_ask_part(a, &r), -GI_ELIMIT);
	dir_queue_fini(&q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_queue_order_and_dedup),
		cmocka_unit_test(test_queue_fresh_before_known),
		cmocka_unit_test(test_queue_hurry),
		cmocka_unit_test(test_ask_late_is_the_oldest),
		cmocka_unit_test(test_queue_logins_of_one_account_are_one),
		cmocka_unit_test(test_queue_full_refuses),
		cmocka_unit_test(test_queue_of_100000_is_bounded),
		cmocka_unit_test(test_ask_part_gathers_groups),
		cmocka_unit_test(test_ask_part_too_many_groups_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
