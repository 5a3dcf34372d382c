/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_addr.c - addresses and prefixes, IPv4 and IPv6 alike: lib/base/addr.h
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "lib/base/addr.h"

static struct gi_addr addr(const char *text)
{
	struct gi_addr a;

	assert_int_equal(gi_addr_parse(text, &a), 0);
	return a;
}

static struct gi_prefix prefix(const char *text)
{
	struct gi_prefix p;

	assert_int_equal(gi_prefix_parse(text, false, &p), 0);
	return p;
}

static void test_addr_parse_good_text_round_trips(void **state)
{
	static const struct {
		const char *text, *out;
		int family;
	} t[] = {
		{ "10.0.0.1", "10.0.0.1", 4 },
		{ "255.255.255.255", "255.255.255.255", 4 },
		{ "fd77::2", "fd77::2", 6 },
		{ "FD77:0:0:0:0:0:0:2", "fd77::2", 6 },
		{ "::", "::", 6 },
		{ "::ffff:10.0.0.1", "10.0.0.1", 4 },
		{ "::ffff:0a00:0001", "10.0.0.1", 4 },
	};
	char buf[GI_ADDR_STRLEN];

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(t); i++) {
		struct gi_addr a = addr(t[i].text);

		assert_int_equal(a.family, t[i].family);
		assert_int_equal(gi_addr_len(&a), t[i].family == 4 ? 4 : 16);
		assert_string_equal(gi_addr_format(&a, buf), t[i].out);
	}
}

static void test_addr_parse_bad_text_is_einval(void **state)
{
	static const char *const t[] = { "", "10.0.0", "10.0.0.256", "010.0.0.1", "10.0.0.1 ",
		"10.0.0.1/32", "fd77::1::2", "fe80::1%eth0", "web01", "1.2.3.4.5", "::ffff:1.2.3" };
	struct gi_addr a = { .family = 99 };

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(t); i++)
		assert_int_equal(gi_addr_parse(t[i], &a), -EINVAL);
	assert_int_equal(a.family, 99);
}

static void test_addr_from_bytes_lengths(void **state)
{
	static const uint8_t mapped[16] = { [10] = 0xff, [11] = 0xff, [12] = 192, [15] = 1 };
	struct gi_addr a;

	(void)state;
	assert_int_equal(gi_addr_from_bytes("\x0a\0\0\1", 4, &a), 0);
	assert_int_equal(a.family, 4);
	assert_int_equal(gi_addr_from_bytes(mapped, 16, &a), 0);
	assert_int_equal(a.family, 4);
	assert_memory_equal(a.bytes, "\xc0\0\0\1", 4);
	assert_int_equal(a.bytes[4], 0);
	for (size_t len = 0; len <= 20; len++) {
		if (len != 4 && len != 16)
			assert_int_equal(
				gi_addr_from_bytes("01234567890123456789", len, &a), -EINVAL);
	}
}

static void test_prefix_parse_good_text_round_trips(void **state)
{
	static const struct {
		const char *text, *out;
	} t[] = {
		{ "10.0.0.0/8", "10.0.0.0/8" },
		{ "10.1.2.3", "10.1.2.3/32" },
		{ "0.0.0.0/0", "0.0.0.0/0" },
		{ "10.0.0.128/25", "10.0.0.128/25" },
		{ "fd77::/64", "fd77::/64" },
		{ "fd77::1", "fd77::1/128" },
		{ "::/0", "::/0" },
		{ "::ffff:10.0.0.0/104", "10.0.0.0/8" },
		{ "::ffff:10.0.0.1", "10.0.0.1/32" },
	};
	char buf[GI_ADDR_STRLEN];

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(t); i++) {
		struct gi_prefix p = prefix(t[i].text);

		assert_string_equal(gi_prefix_format(&p, buf), t[i].out);
	}
}

static void test_prefix_parse_bad_text_is_einval(void **state)
{
	static const char *const t[] = { "", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1",
		"10.0.0.0/8/8", "10.0.0.0/ 8", "fd77::/129", "::ffff:10.0.0.0/95",
		"10.0.0.0/99999999999999999999",
		"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd" };
	struct gi_prefix p;

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(t); i++) {
		assert_int_equal(gi_prefix_parse(t[i], true, &p), -EINVAL);
		assert_int_equal(gi_prefix_parse(t[i], false, &p), -EINVAL);
	}
}

static void test_prefix_parse_host_bits_only_when_lax(void **state)
{
	char buf[GI_ADDR_STRLEN];
	struct gi_prefix p;

	(void)state;
	assert_int_equal(gi_prefix_parse("10.1.2.3/9", false, &p), -EINVAL);
	assert_int_equal(gi_prefix_parse("10.129.2.3/9", true, &p), 0);
	assert_string_equal(gi_prefix_format(&p, buf), "10.128.0.0/9");
	assert_int_equal(gi_prefix_parse("fd77::1/64", false, &p), -EINVAL);
	assert_int_equal(gi_prefix_parse("fd77::1/64", true, &p), 0);
	assert_string_equal(gi_prefix_format(&p, buf), "fd77::/64");
}

static void test_prefix_contains_edges(void **state)
{
	static const struct {
		const char *prefix, *addr;
		bool in;
	} t[] = {
		{ "10.0.0.0/8", "10.255.255.255", true },
		{ "10.0.0.0/8", "11.0.0.0", false },
		{ "10.0.0.128/25", "10.0.0.127", false },
		{ "10.0.0.128/25", "10.0.0.128", true },
		{ "0.0.0.0/0", "1.2.3.4", true },
		{ "0.0.0.0/0", "fd77::1", false },
		{ "::/0", "1.2.3.4", false },
		{ "::/0", "fd77::1", true },
		{ "fd77::/65", "fd77::7fff:ffff:ffff:ffff", true },
		{ "fd77::/65", "fd77::8000:0:0:0", false },
		{ "10.0.0.1", "10.0.0.1", true },
		{ "10.0.0.1", "10.0.0.2", false },
	};
	const struct gi_addr none = { 0 };
	const struct gi_prefix empty = { 0 };

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(t); i++) {
		struct gi_prefix p = prefix(t[i].prefix);
		struct gi_addr a = addr(t[i].addr);

		assert_int_equal(gi_prefix_contains(&p, &a), t[i].in);
	}
	assert_false(gi_prefix_contains(&empty, &none));
}

static void test_cmp_orders_family_bytes_length(void **state)
{
	static const char *const order[] = { "9.0.0.0/8", "10.0.0.0/8", "10.0.0.0/16", "10.0.0.0",
		"10.0.0.1", "::/0", "::1", "fd77::/64", "fd77::/65" };

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(order); i++) {
		for (size_t k = 0; k < GI_ARRAY_SIZE(order); k++) {
			struct gi_prefix a = prefix(order[i]), b = prefix(order[k]);
			int d = gi_prefix_cmp(&a, &b);

			assert_int_equal((d > 0) - (d < 0), (i > k) - (i < k));
		}
	}
	assert_int_equal(gi_addr_cmp(&(struct gi_addr){ 0 }, &(struct gi_addr){ 0 }), 0);
}

static void test_format_none(void **state)
{
	char buf[GI_ADDR_STRLEN];

	(void)state;
	assert_string_equal(gi_addr_format(&(struct gi_addr){ 0 }, buf), "none");
	assert_string_equal(gi_prefix_format(&(struct gi_prefix){ 0 }, buf), "none");
	assert_int_equal(gi_addr_len(&(struct gi_addr){ 0 }), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addr_parse_good_text_round_trips),
		cmocka_unit_test(test_addr_parse_bad_text_is_einval),
		cmocka_unit_test(test_addr_from_bytes_lengths),
		cmocka_unit_test(test_prefix_parse_good_text_round_trips),
		cmocka_unit_test(test_prefix_parse_bad_text_is_einval),
		cmocka_unit_test(test_prefix_parse_host_bits_only_when_lax),
		cmocka_unit_test(test_prefix_contains_edges),
		cmocka_unit_test(test_cmp_orders_family_bytes_length),
		cmocka_unit_test(test_format_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
