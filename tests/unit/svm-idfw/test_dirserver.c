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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_servers_order),
		cmocka_unit_test(test_servers_one),
		cmocka_unit_test(test_servers_back_with_jitter),
		cmocka_unit_test(test_servers_flapping),
		cmocka_unit_test(test_servers_limit_grows),
		cmocka_unit_test(test_servers_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
