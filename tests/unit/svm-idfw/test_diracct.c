/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_diracct.c - svm-idfw/diracct.c: what values of a directory say of an account
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "svm-idfw/diracct.h"
#include "svm-idfw/dir.h"

#define NOW UINT64_C(1700000000000)
#define D IDFW_ACCT_DISABLED
#define E IDFW_ACCT_EXPIRED
#define L IDFW_ACCT_LOCKED
#define M IDFW_ACCT_MUST_CHANGE

static void test_dir_acct_ad_flags_and_times(void **state)
{
	static const struct {
		struct dir_acct_ad v;
		uint32_t state;
		uint64_t expires_ms;
	} rows[] = {
		{ { "512", "9223372036854775807", "0", "133000000000000000", "0" }, 0, 0 },
		{ { "514", "0", "0", "133000000000000000", "0" }, D, 0 },
		/* shown as 32 bits with a sign */
		{ { "-2147483134", "0", "", "1", "0" }, D, 0 },
		{ { "512", "135379296000000000", "", "1", "0" }, 0, 1893456000000 },
		{ { "512", "132223104000000000", "", "1", "0" }, E, 1577836800000 },
		{ { "512", "1", "", "1", "0" }, E, 1 },
		{ { "512", "-1", "", "1", "0" }, 0, 0 },
		/* computed: the time alone says nothing; not computed: it has to do */
		{ { "512", "0", "133000000000000000", "1", "0" }, 0, 0 },
		{ { "512", "0", "133000000000000000", "1", "16" }, L, 0 },
		{ { "512", "0", "133000000000000000", "1", "" }, L, 0 },
		{ { "512", "0", "0", "1", "" }, 0, 0 },
		{ { "512", "0", "0", "1", "8388608" }, M, 0 },
		{ { "512", "0", "0", "0", "" }, M, 0 },
		{ { "66048", "0", "0", "0", "0" }, 0, 0 },
		{ { "514", "132223104000000000", "0", "0", "8388624" }, D | E | L | M,
			1577836800000 },
		/* nothing to read, nothing that can be read */
		{ { "", "", "", "", "" }, 0, 0 },
		{ { "x", "12x", "-", "", "0x10" }, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(rows); i++) {
		struct dir_acct a = { .state = 99 };

		dir_acct_ad(&a, &rows[i].v, NOW);
		if (a.state != rows[i].state || a.expires_ms != rows[i].expires_ms)
			fail_msg("row %zu: %u %llu", i, a.state, (unsigned long long)a.expires_ms);
	}
}

static void test_dir_acct_value_by_its_form(void **state)
{
	static const struct {
		uint32_t asked;
		const char *value;
		uint32_t state;
		uint64_t expires_ms;
	} rows[] = {
		{ D, "TRUE", D, 0 },
		{ D, "true", D, 0 },
		{ D, "FALSE", 0, 0 },
		{ D, "", 0, 0 },
		{ L, "20231101000000Z", L, 0 },
		{ L, "000001010000Z", D, 0 },
		{ L, "00000101000000Z", D, 0 },
		{ L, "TRUE", L, 0 },
		{ L, "FALSE", 0, 0 },
		{ M, "TRUE", M, 0 },
		{ M, "20231101000000Z", M, 0 },
		{ M, "20301101000000Z", 0, 0 },
		{ E, "19000", E, UINT64_C(1641600000000) },
		{ E, "21915", 0, UINT64_C(1893456000000) },
		{ E, "-1", 0, 0 },
		{ E, "0", 0, 0 },
		{ E, "20300101000000Z", 0, UINT64_C(1893456000000) },
		{ E, "20200101000000Z", E, UINT64_C(1577836800000) },
		{ E, "TRUE", E, 0 },
		{ E, "soon", 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(rows); i++) {
		struct dir_acct a = { .state = 0 };

		dir_acct_value(&a, rows[i].asked, rows[i].value, NOW);
		if (a.state != rows[i].state || a.expires_ms != rows[i].expires_ms)
			fail_msg("row %zu: %u %llu", i, a.state, (unsigned long long)a.expires_ms);
	}
}

static void test_dir_acct_value_the_earliest_expiry_counts(void **state)
{
	struct dir_acct a = { .state = 0 };

	(void)state;
	dir_acct_value(&a, E, "20300101000000Z", NOW);
	dir_acct_value(&a, E, "25000", NOW);
	assert_int_equal(a.expires_ms, UINT64_C(1893456000000));
	dir_acct_value(&a, E, "20000", NOW);
	assert_int_equal(a.expires_ms, UINT64_C(1728000000000));
	assert_int_equal(a.state, 0);
}

static void test_dir_acct_time_forms(void **state)
{
	static const struct {
		const char *text;
		uint64_t ms; /* 0: no time */
	} rows[] = {
		{ "20300101000000Z", UINT64_C(1893456000000) },
		{ "203001010000Z", UINT64_C(1893456000000) },
		{ "2030010100Z", UINT64_C(1893456000000) },
		{ "20300101000000.0Z", UINT64_C(1893456000000) },
		{ "20300101000000,25Z", UINT64_C(1893456000000) },
		{ "20300101010000+0100", UINT64_C(1893456000000) },
		{ "20291231220000-02", UINT64_C(1893456000000) },
		{ "16000101000000Z", 1 },
		{ "20300101000000", 0 },
		{ "20301301000000Z", 0 },
		{ "20300100000000Z", 0 },
		{ "20300101240000Z", 0 },
		{ "20300101000000Zx", 0 },
		{ "20300101000000.Z", 0 },
		{ "20300101000000+1", 0 },
		{ "20300101000000+9900", 0 },
		{ "2030", 0 },
		{ "20300", 0 },
		{ "", 0 },
	};

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(rows); i++) {
		uint64_t ms = 0;
		bool is = dir_acct_time(rows[i].text, &ms);

		if (is != (rows[i].ms != 0) || ms != rows[i].ms)
			fail_msg("\"%s\": %d %llu", rows[i].text, is, (unsigned long long)ms);
	}
}

static void test_idfw_dir_conf_revokes_what_says_revoke(void **state)
{
	char revoke[] = "revoke", keep[] = "keep";
	struct idfw_dir_conf c = { .on_disabled = revoke,
		.on_expired = keep,
		.on_locked = revoke,
		.on_must_change = keep };

	(void)state;
	assert_int_equal(idfw_dir_conf_revokes(&c), D | L);
	c.on_disabled = c.on_locked = keep;
	c.on_expired = c.on_must_change = revoke;
	assert_int_equal(idfw_dir_conf_revokes(&c), E | M);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dir_acct_ad_flags_and_times),
		cmocka_unit_test(test_dir_acct_value_by_its_form),
		cmocka_unit_test(test_dir_acct_value_the_earliest_expiry_counts),
		cmocka_unit_test(test_dir_acct_time_forms),
		cmocka_unit_test(test_idfw_dir_conf_revokes_what_says_revoke),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
