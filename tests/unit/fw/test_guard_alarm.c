/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_guard_alarm.c - when alarms are told and when they are over, by a clock of the test's own
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include "fw/guard_int.h"

#define T0 UINT64_C(5000)
#define MINUTES UINT64_C(60000)

struct told {
	unsigned int n;
	enum fw_alarm kind;
	bool over;
	char text[FW_ALARM_TEXT_LEN];
};

static void tell(void *arg, enum fw_alarm kind, bool over, const char *text)
{
	struct told *t = arg;

	t->n++;
	t->kind = kind;
	t->over = over;
	snprintf(t->text, sizeof(t->text), "%s", text);
}

/* exactly one thing was told since */
static void expect(struct told *t, enum fw_alarm kind, bool over, const char *text)
{
	assert_int_equal(t->n, 1);
	assert_int_equal(t->kind, kind);
	assert_int_equal(t->over, over);
	assert_string_equal(t->text, text);
	t->n = 0;
}

/* what a predecessor may have left is over: these tests begin with nothing on */
static void begin(struct fw_alarms *a, struct told *t)
{
	memset(t, 0, sizeof(*t));
	fw_alarms_init(a, tell, t, 0);
	for (int kind = 1; kind < FW_ALARM_COUNT; kind++)
		fw_alarms_over(a, (enum fw_alarm)kind);
	assert_int_equal(t->n, FW_ALARM_COUNT - 1);
	t->n = 0;
}

static void test_alarm_that_happens_is_over_after_ten_quiet_minutes(void **state)
{
	struct fw_alarms a;
	struct told t;

	(void)state;
	begin(&a, &t);
	assert_true(fw_alarms_work(&a, T0) == UINT64_MAX);
	fw_alarms_on(&a, FW_ALARM_TABLE_CHANGED, "a rule", T0);
	expect(&t, FW_ALARM_TABLE_CHANGED, false, "a rule");
	assert_true(fw_alarms_work(&a, T0) == T0 + 10 * MINUTES);
	assert_true(fw_alarms_work(&a, T0 + 10 * MINUTES - 1) == T0 + 10 * MINUTES);
	assert_int_equal(t.n, 0);
	assert_true(fw_alarms_work(&a, T0 + 10 * MINUTES) == UINT64_MAX);
	expect(&t, FW_ALARM_TABLE_CHANGED, true, "a rule");
	(void)fw_alarms_work(&a, T0 + 100 * MINUTES);
	assert_int_equal(t.n, 0); /* once */
}

static void test_alarm_again_begins_the_minutes_anew(void **state)
{
	struct fw_alarms a;
	struct told t;

	(void)state;
	begin(&a, &t);
	fw_alarms_on(&a, FW_ALARM_DIFFERS, "a rule", T0);
	expect(&t, FW_ALARM_DIFFERS, false, "a rule");
	/* the same words are not told again, but it was not quiet */
	fw_alarms_on(&a, FW_ALARM_DIFFERS, "a rule", T0 + 9 * MINUTES);
	assert_true(fw_alarms_work(&a, T0 + 10 * MINUTES) == T0 + 19 * MINUTES);
	assert_int_equal(t.n, 0);
	fw_alarms_on(&a, FW_ALARM_DIFFERS, "a set", T0 + 12 * MINUTES);
	expect(&t, FW_ALARM_DIFFERS, false, "a set");
	(void)fw_alarms_work(&a, T0 + 22 * MINUTES - 1);
	assert_int_equal(t.n, 0);
	(void)fw_alarms_work(&a, T0 + 22 * MINUTES);
	expect(&t, FW_ALARM_DIFFERS, true, "a set");
}

static void test_alarm_of_one_kind_is_told_once_a_second_with_the_last_words(void **state)
{
	struct fw_alarms a;
	struct told t;
	char text[32];

	(void)state;
	begin(&a, &t);
	for (int i = 0; i < 100; i++) {
		snprintf(text, sizeof(text), "change %d", i);
		fw_alarms_on(&a, FW_ALARM_TABLE_CHANGED, text, T0 + (uint64_t)i);
	}
	expect(&t, FW_ALARM_TABLE_CHANGED, false, "change 0");
	assert_true(fw_alarms_work(&a, T0 + 999) == T0 + 1000);
	assert_int_equal(t.n, 0);
	fw_alarms_on(&a, FW_ALARM_TABLE_GONE, "another kind", T0 + 999);
	expect(&t, FW_ALARM_TABLE_GONE, false, "another kind");
	assert_true(fw_alarms_work(&a, T0 + 1000) == T0 + 99 + 10 * MINUTES);
	expect(&t, FW_ALARM_TABLE_CHANGED, false, "change 99");
}

static void test_alarm_that_lasts_is_ended_by_its_cause_alone(void **state)
{
	struct fw_alarms a;
	struct told t;

	(void)state;
	begin(&a, &t);
	fw_alarms_on(&a, FW_ALARM_FOREIGN_CHAIN, "ip evil o", T0);
	expect(&t, FW_ALARM_FOREIGN_CHAIN, false, "ip evil o");
	assert_true(fw_alarms_work(&a, T0 + 1000 * MINUTES) == UINT64_MAX);
	assert_int_equal(t.n, 0);
	fw_alarms_over(&a, FW_ALARM_FOREIGN_CHAIN);
	expect(&t, FW_ALARM_FOREIGN_CHAIN, true, "ip evil o");
	fw_alarms_over(&a, FW_ALARM_FOREIGN_CHAIN);
	assert_int_equal(t.n, 0);
}

static void test_alarm_that_lasts_with_other_words_is_another(void **state)
{
	struct fw_alarms a;
	struct told t;

	(void)state;
	begin(&a, &t);
	fw_alarms_on(&a, FW_ALARM_FOREIGN_CHAIN, "ip evil o", T0);
	t.n = 0;
	fw_alarms_on(&a, FW_ALARM_FOREIGN_CHAIN, "ip evil p", T0 + 2000);
	assert_int_equal(t.n, 2); /* the one over, the other on */
	assert_false(t.over);
	assert_string_equal(t.text, "ip evil p");
}

static void test_alarm_of_a_predecessor_is_ended_when_it_is_known_or_quiet(void **state)
{
	struct fw_alarms a;
	struct told t = { 0 };

	(void)state;
	fw_alarms_init(&a, tell, &t, T0);
	assert_true(fw_alarms_work(&a, T0) == T0 + 10 * MINUTES);
	fw_alarms_on(&a, FW_ALARM_FOREIGN_CHAIN, "ip evil o", T0);
	expect(&t, FW_ALARM_FOREIGN_CHAIN, false, "ip evil o"); /* no "over" between */
	fw_alarms_over(&a, FW_ALARM_NOT_OWNED);
	expect(&t, FW_ALARM_NOT_OWNED, true, "");
	(void)fw_alarms_work(&a, T0 + 10 * MINUTES);
	assert_int_equal(t.n, 3); /* changed, gone, differs */
	assert_true(t.over);
}

static void test_alarm_words_of_others_are_printable_and_short(void **state)
{
	struct fw_alarms a;
	struct told t;
	char longest[300];

	(void)state;
	begin(&a, &t);
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	longest[0] = '\033';
	longest[1] = '\n';
	longest[2] = (char)0x80;
	fw_alarms_on(&a, FW_ALARM_FOREIGN_CHAIN, longest, T0);
	assert_int_equal(strlen(t.text), FW_ALARM_TEXT_LEN - 1);
	assert_memory_equal(t.text, "???xxx", 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alarm_that_happens_is_over_after_ten_quiet_minutes),
		cmocka_unit_test(test_alarm_again_begins_the_minutes_anew),
		cmocka_unit_test(test_alarm_of_one_kind_is_told_once_a_second_with_the_last_words),
		cmocka_unit_test(test_alarm_that_lasts_is_ended_by_its_cause_alone),
		cmocka_unit_test(test_alarm_that_lasts_with_other_words_is_another),
		cmocka_unit_test(test_alarm_of_a_predecessor_is_ended_when_it_is_known_or_quiet),
		cmocka_unit_test(test_alarm_words_of_others_are_printable_and_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
