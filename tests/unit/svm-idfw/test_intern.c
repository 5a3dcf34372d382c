/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_intern.c - texts that are kept once and the keyed hash
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "svm-idfw/intern.h"

#define N 20000

static const uint64_t key[2] = { 0x0706050403020100u, 0x0f0e0d0c0b0a0908u };

static void test_str_get_same_text_is_one_pointer(void **state)
{
	struct idfw_strtab t;
	const char *a, *b;
	char copy[] = "sshd";

	(void)state;
	idfw_strtab_init(&t, key);
	a = idfw_str_get(&t, "sshd");
	b = idfw_str_get(&t, copy);
	assert_ptr_equal(a, b);
	assert_ptr_not_equal(a, copy);
	assert_string_equal(idfw_str_get(&t, NULL), "");
	assert_int_equal(t.n, 2);
	idfw_str_put(&t, a);
	assert_int_equal(t.n, 2);
	idfw_str_put(&t, b);
	assert_int_equal(t.n, 1);
	idfw_str_put(&t, NULL);
	idfw_strtab_fini(&t);
}

/* against a plain array, with texts that come and go */
static void test_str_get_put_many_always_found(void **state)
{
	static const char *held[N];
	static unsigned int refs[N];
	struct idfw_strtab t;
	unsigned int seed = 12345;
	size_t live = 0;

	(void)state;
	idfw_strtab_init(&t, key);
	for (int step = 0; step < 400000; step++) {
		char text[32];
		unsigned int i;

		seed = seed * 1103515245 + 12345;
		i = (seed >> 8) % N;
		snprintf(text, sizeof(text), "user%u", i);
		if (refs[i] && seed & 0x80) {
			assert_string_equal(held[i], text);
			idfw_str_put(&t, held[i]);
			live -= --refs[i] == 0;
		} else {
			const char *p = idfw_str_get(&t, text);

			assert_non_null(p);
			assert_string_equal(p, text);
			if (refs[i])
				assert_ptr_equal(p, held[i]);
			live += refs[i]++ == 0;
			held[i] = p;
		}
		assert_int_equal(t.n, live);
	}
	for (unsigned int i = 0; i < N; i++)
		for (; refs[i]; refs[i]--)
			idfw_str_put(&t, held[i]);
	assert_int_equal(t.n, 0);
	for (size_t i = 0; i < t.cap; i++)
		assert_null(t.slots[i]);
	idfw_strtab_fini(&t);
}

/* one text that comes and goes leaves no trace that searches would have to pass */
static void test_str_put_leaves_no_graves(void **state)
{
	struct idfw_strtab t;
	size_t taken = 0;

	(void)state;
	idfw_strtab_init(&t, key);
	for (int i = 0; i < 100000; i++)
		idfw_str_put(&t, idfw_str_get(&t, ""));
	for (size_t i = 0; i < t.cap; i++)
		taken += t.slots[i] != NULL;
	assert_int_equal(taken, 0);
	assert_int_equal(t.cap, 64);
	idfw_strtab_fini(&t);
}

static void test_siphash_depends_on_key_length_and_every_byte(void **state)
{
	static const uint64_t other[2] = { 1, 2 };
	uint8_t data[24] = { 0 };
	uint64_t seen[64];
	size_t n = 0;

	(void)state;
	for (size_t len = 0; len <= sizeof(data); len++)
		seen[n++] = idfw_siphash(key, data, len);
	for (size_t i = 0; i < sizeof(data); i++) {
		data[i] ^= 1;
		seen[n++] = idfw_siphash(key, data, sizeof(data));
		data[i] ^= 1;
	}
	seen[n++] = idfw_siphash(other, data, sizeof(data));
	for (size_t i = 0; i < n; i++)
		for (size_t k = i + 1; k < n; k++)
			assert_true(seen[i] != seen[k]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_str_get_same_text_is_one_pointer),
		cmocka_unit_test(test_str_get_put_many_always_found),
		cmocka_unit_test(test_str_put_leaves_no_graves),
		cmocka_unit_test(test_siphash_depends_on_key_length_and_every_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
