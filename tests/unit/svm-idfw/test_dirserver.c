/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_dirserver.c - svm-idfw/dirserver.c: order, fail-over, pauses with jitter, going back
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "svm-idfw/dirserver.h"

static char dc1[] = "ldaps://dc1", dc2[] = "ldaps://dc2", dc3[] = "ldaps://dc3";
static char *const uris[] = { dc1, dc2, dc3 };

static void test_servers_order(void **state)
{
	struct dir_servers s;

	(void)state;
	dir_servers_init(&s, uris, 3);
	assert_int_equal(dir_servers_pick(&s, 1000), 0);
	assert_int_equal(dir_servers_probe(&s, 1000), -1); /* nobody answers: pick() it is */
	dir_servers_failed(&s, 0, 1000, 0, "refused");
	assert_int_equal(dir_servers_pick(&s, 1000), 1);
	dir_servers_up(&s, 1, 1100);
	/* the next that is lost: the third, though the first one's pause is over */
	dir_servers_failed(&s, 1, 3000, 0, "stalled");
	assert_int_equal(dir_servers_pick(&s, 3000), 2);
	dir_servers_failed(&s, 2, 3010, 0, "refused");
	/* none is left: whose pause is over, the preferred one first */
	assert_int_equal(dir_servers_pick(&s, 3010), 0);
	dir_servers_failed(&s, 0, 3010, UINT32_MAX, "refused");
	assert_int_equal(dir_servers_pick(&s, 3010), -1);
	assert_true(dir_servers_wait(&s, 3010) >= 1);
	/* the first one hangs: another one beside it, when its pause is over */
	assert_int_equal(dir_servers_other(&s, 0, 3010), -1);
	assert_int_equal(dir_servers_other(&s, 0, 3100), 1);
	assert_int_equal(dir_servers_other(&s, 1, 3110), 2);
	assert_int_equal(dir_servers_pick(&s, 3010 + dir_servers_wait(&s, 3010)), 1);
}

static void test_servers_one(void **state)
{
	struct dir_servers s;
	uint64_t now = 5000, wait = 0, last = 0;
	char text[DIR_WHY_MAX] = "x";
	int i;

	(void)state;
	dir_servers_init(&s, uris, 1);
	for (i = 0; i < 40; i++) {
		assert_int_equal(dir_servers_pick(&s, now), 0);
		dir_servers_failed(&s, 0, now, UINT32_MAX / 2, "refused");
		assert_int_equal(dir_servers_pick(&s, now), -1);
		wait = dir_servers_wait(&s, now);
		assert_true(wait >= last && wait <= 5000);
		last = wait;
		now += wait;
	}
	assert_true(last > 4000);
	dir_servers_up(&s, 0, now);
	dir_servers_text(&s, now, 1700000000000, text);
	assert_string_equal(text, ""); /* of one server there is nothing to tell */
	assert_int_equal(dir_servers_probe(&s, now + 1000000), -1);
}

static void test_servers_back_with_jitter(void **state)
{
	struct dir_servers s;
	uint64_t first[2];
	uint32_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		dir_servers_init(&s, uris, 2);
		dir_servers_failed(&s, 0, 1000, i ? UINT32_MAX : 0, "refused");
		dir_servers_up(&s, 1, 1100);
		assert_int_equal(dir_servers_probe(&s, 1000 + 9999), -1);
		for (first[i] = 1000; dir_servers_probe(&s, first[i]) < 0;)
			first[i]++;
		/* again in vain: a longer pause, which has an end */
		dir_servers_failed(&s, 0, first[i], 0, "refused");
		assert_int_equal(dir_servers_probe(&s, first[i] + 19999), -1);
		assert_int_equal(dir_servers_probe(&s, first[i] + 20000), 0);
		assert_int_equal(s.current, 1); /* lookups go on there */
		dir_servers_up(&s, 0, first[i] + 20000);
		assert_int_equal(dir_servers_probe(&s, first[i] + 900000), -1);
	}
	assert_true(first[1] - first[0] >= 4999); /* half of the pause is by chance */
}

/* up, and lost at once, again and again: longer pauses all the same; after a minute all is
 * forgotten */
static void test_servers_flapping(void **state)
{
	struct dir_servers s;
	int i;

	(void)state;
	dir_servers_init(&s, uris, 2);
	for (i = 0; i < 10; i++) {
		dir_servers_up(&s, 0, 1000);
		dir_servers_failed(&s, 0, 1001, 0, "reset");
	}
	assert_int_equal(s.list[0].failures, 10);
	assert_int_equal(s.list[0].probe_ms, 1001 + 30000);
	dir_servers_up(&s, 0, 1000);
	dir_servers_failed(&s, 0, 61000, 0, "reset");
	assert_int_equal(s.list[0].failures, 1);
}

static void test_servers_limit_grows(void **state)
{
	struct dir_servers s;

	(void)state;
	dir_servers_init(&s, uris, 2);
	assert_int_equal(dir_servers_limit(&s, 0, 5000), DIR_CONNECT_MS);
	assert_int_equal(dir_servers_limit(&s, 0, 700), 700);
	dir_servers_failed(&s, 0, 1000, 0, "stalled");
	assert_int_equal(dir_servers_limit(&s, 0, 5000), 2 * DIR_CONNECT_MS);
	dir_servers_failed(&s, 0, 1000, 0, "stalled");
	assert_int_equal(dir_servers_limit(&s, 0, 5000), 5000);
	assert_int_equal(dir_servers_limit(&s, 1, 5000), DIR_CONNECT_MS);
}

static void test_servers_text(void **state)
{
	char text[DIR_WHY_MAX], longest[DIR_WHY_MAX];
	struct dir_servers s;

	(void)state;
	dir_servers_init(&s, uris, 2);
	dir_servers_failed(&s, 0, 4000, 0, "it refuses\n\xc3\xbc");
	dir_servers_failed(&s, 0, 6000, 0, "it refuses\n\xc3\xbc");
	dir_servers_text(&s, 6500, 1700000003500, text);
	assert_string_equal(text, ""); /* nobody answers: others say why */
	dir_servers_up(&s, 1, 6500);
	/* since the first failure, which was 3 s before */
	dir_servers_text(&s, 7000, 1700000003000, text);
	assert_string_equal(text,
		"ldaps://dc2 answers; ldaps://dc1 left out since 2023-11-14T22:13:20Z: "
		"it refuses???");
	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	dir_servers_failed(&s, 0, 8000, 0, longest);
	dir_servers_text(&s, 8000, 1700000003000, text);
	assert_int_equal(strlen(text), DIR_WHY_MAX - 1);
	dir_servers_up(&s, 0, 9000);
	dir_servers_text(&s, 9000, 1700000003000, text);
	assert_string_equal(text, "ldaps://dc1 answers");
}

static uint32_t chance(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed;
}

/* a domain controller restarts under 1,000 svm-idfws: nowhere near all come back at one time */
static void test_servers_no_herd(void **state)
{
	unsigned int back[50] = { 0 }, again[50] = { 0 };
	uint32_t seed = 1;

	(void)state;
	for (unsigned int i = 0; i < 1000; i++) {
		struct dir_servers s;
		uint64_t now;

		/* another one answers: gone back to 10 to 15 s later */
		dir_servers_init(&s, uris, 2);
		dir_servers_failed(&s, 0, 1000, chance(&seed), "reset");
		dir_servers_up(&s, 1, 1000);
		for (now = 11000; dir_servers_probe(&s, now) < 0; now += 100)
			assert_true(now < 16100);
		back[(now - 11000) / 100]++;
		/* none does, for the eighth time: again after 2.5 to 7.5 s */
		dir_servers_init(&s, uris, 1);
		for (unsigned int k = 0; k < 8; k++)
			dir_servers_failed(&s, 0, 1000, chance(&seed), "refused");
		for (now = 3500; dir_servers_pick(&s, now) < 0; now += 100)
			assert_true(now < 8600);
		again[(now - 3500) / 100 < 50 ? (now - 3500) / 100 : 49]++;
	}
	/* 20 would be even, in each tenth of a second: three times that is the most */
	for (size_t i = 0; i < 50; i++) {
		assert_in_range(back[i], 0, 60);
		assert_in_range(again[i], 0, 60);
	}
}

/* the list changes: what is known about a server stays, and who answers goes on */
static void test_servers_replace(void **state)
{
	const char *const same[] = { dc1, dc2, dc3 }, *const other[] = { "x", dc3, dc1 },
			  *const without[] = { dc3, "x" };
	struct dir_servers s;
	int moved[DIR_SERVERS_MAX];

	(void)state;
	dir_servers_init(&s, uris, 3);
	assert_false(dir_servers_replace(&s, same, 3, -1, moved));
	dir_servers_failed(&s, 0, 1000, 0, "refused");
	dir_servers_up(&s, 1, 1100);
	assert_false(dir_servers_replace(&s, same, 3, 1, moved));
	assert_true(dir_servers_replace(&s, other, 3, 2, moved));
	/* dc2 answers: it stays, and all others are preferred to it */
	assert_int_equal(s.n, 4);
	assert_string_equal(s.list[0].uri, "x");
	assert_string_equal(s.list[3].uri, dc2);
	assert_int_equal(s.current, 3);
	assert_int_equal(moved[0], 2);
	assert_int_equal(moved[1], 3);
	assert_int_equal(moved[2], 1);
	assert_int_equal(moved[3], -1);
	assert_true(s.list[2].out && s.list[2].failures == 1 && s.list[2].probe_ms == 11000);
	assert_string_equal(s.list[2].why, "refused");
	assert_int_equal(dir_servers_probe(&s, 1200), 0);
	/* the new one answers: dc2 is not needed any more, dc1 is not there either */
	dir_servers_up(&s, 0, 1300);
	assert_true(dir_servers_replace(&s, without, 2, 0, moved));
	assert_int_equal(s.n, 2);
	assert_int_equal(s.current, 1);
	assert_int_equal(moved[3], -1);
	/* and back: nothing is known about it */
	assert_true(dir_servers_replace(&s, same, 1, -1, moved));
	assert_string_equal(s.list[0].uri, dc1);
	assert_false(s.list[0].out);
	assert_string_equal(s.list[1].uri, "x"); /* answers */
	assert_int_equal(s.n, 2);
}

static void test_servers_replace_keeps_the_best(void **state)
{
	static const char name[12][4] = { "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k",
		"l" };
	const char *many[12];
	struct dir_servers s;
	int moved[DIR_SERVERS_MAX];

	(void)state;
	for (size_t i = 0; i < 12; i++)
		many[i] = name[i];
	dir_servers_init(&s, uris, 0); /* nobody yet: DNS will tell */
	assert_int_equal(dir_servers_pick(&s, 1000), -1);
	assert_int_equal(dir_servers_probe(&s, 1000), -1);
	assert_true(dir_servers_replace(&s, many, 12, -1, moved));
	assert_int_equal(s.n, DIR_SERVERS_MAX);
	assert_int_equal(dir_servers_pick(&s, 1000), 0);
	/* a child is connecting to c, d answers; neither is among the best now */
	dir_servers_up(&s, 3, 1000);
	assert_true(dir_servers_replace(&s, many + 4, 8, 2, moved));
	assert_int_equal(s.n, DIR_SERVERS_MAX);
	assert_string_equal(s.list[0].uri, "e");
	assert_string_equal(s.list[5].uri, "j");
	assert_string_equal(s.list[6].uri, "d");
	assert_string_equal(s.list[7].uri, "c");
	assert_int_equal(s.current, 6);
	assert_int_equal(moved[2], 7);
	/* named twice: once */
	many[1] = many[0];
	assert_true(dir_servers_replace(&s, many, 3, -1, moved));
	assert_int_equal(s.n, 3); /* a, c, and d answers */
	assert_int_equal(s.current, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_servers_order),
		cmocka_unit_test(test_servers_one),
		cmocka_unit_test(test_servers_back_with_jitter),
		cmocka_unit_test(test_servers_flapping),
		cmocka_unit_test(test_servers_limit_grows),
		cmocka_unit_test(test_servers_text),
		cmocka_unit_test(test_servers_no_herd),
		cmocka_unit_test(test_servers_replace),
		cmocka_unit_test(test_servers_replace_keeps_the_best),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
