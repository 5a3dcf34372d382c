/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_state.c - the element table against a plain model, order, differences, memory
 */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fw/fw.h"
#include "fw/siphash.h"
#include "tests/unit/fw/fixture.h"

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

static void apply(struct fw_state *s, bool del, struct fw_elem e)
{
	struct fw_op op = { .del = del, .elem = e };

	assert_int_equal(fw_state_apply(s, &op), 0);
}

/* the vectors of the paper's appendix: key 00..0f, input 00..0e */
static void test_fw_sip_known_answer(void **state)
{
	static const uint64_t key[2] = { UINT64_C(0x0706050403020100),
		UINT64_C(0x0f0e0d0c0b0a0908) };
	uint8_t in[15];
	struct fw_sip s;

	(void)state;
	for (uint8_t i = 0; i < 15; i++)
		in[i] = i;
	fw_sip_init(&s, key);
	fw_sip_add(&s, in, 4);
	fw_sip_add(&s, in + 4, 11);
	assert_true(fw_sip_end(&s) == UINT64_C(0xa129ca6149be45e5));
}

static void test_fw_state_apply_random_matches_model(void **state)
{
	enum { KEYS = 3000 };
	static uint32_t model[KEYS];
	struct fw_state *s = NULL;
	uint32_t seed = 1, mark;
	size_t count = 0;

	(void)state;
	memset(model, 0, sizeof(model));
	assert_int_equal(fw_state_new(&s), 0);
	for (int i = 0; i < 60000; i++) {
		uint32_t k = next_random(&seed) % KEYS, v = next_random(&seed) | 1;
		bool del = next_random(&seed) % 5 < (i / 15000 % 2 ? 3u : 2u);

		apply(s, del, fw_elem_uid(k, v));
		count += (size_t)(!del && model[k] == 0) - (size_t)(del && model[k] != 0);
		model[k] = del ? 0 : v;
		assert_int_equal(fw_state_count(s), count);
	}
	for (uint32_t k = 0; k < KEYS; k++) {
		struct fw_elem e = fw_elem_uid(k, 0);
		bool there = fw_state_get(s, &e.key, &mark);

		assert_int_equal(there, model[k] != 0);
		assert_true(!there || mark == model[k]);
	}
	fw_state_free(s);
}

static int in_order(void *arg, const struct fw_elem *e)
{
	struct fw_elem *last = arg;

	assert_true(last->key.len == 0 || fw_key_cmp(&last->key, &e->key) < 0);
	*last = *e;
	return 0;
}

static int stop_at_third(void *arg, const struct fw_elem *e)
{
	(void)e;
	return ++*(int *)arg == 3 ? -ECANCELED : 0;
}

static void test_fw_state_each_sorted_is_in_order_and_stops(void **state)
{
	struct fw_state *s = NULL;
	struct fw_elem last = { .key = { .len = 0 } };
	uint32_t seed = 7;
	int calls = 0;

	(void)state;
	assert_int_equal(fw_state_new(&s), 0);
	assert_int_equal(fw_state_each(s, true, in_order, &last), 0);
	assert_int_equal(fw_state_each(s, false, in_order, &last), 0);
	for (int i = 0; i < 500; i++) {
		apply(s, false,
			fw_elem_mark(
				FW_SG, (uint16_t)(next_random(&seed) % 5), next_random(&seed) + 1));
		apply(s, false, fw_elem_uid(next_random(&seed), 1));
		apply(s, false, fw_elem_mark(FW_LIVE, 0, next_random(&seed) + 1));
	}
	assert_int_equal(fw_state_each(s, true, in_order, &last), 0);
	assert_int_equal(fw_state_each(s, true, stop_at_third, &calls), -ECANCELED);
	assert_int_equal(calls, 3);
	calls = 0;
	assert_int_equal(fw_state_each(s, false, stop_at_third, &calls), -ECANCELED);
	fw_state_free(s);
}

static void test_fw_state_apply_bad_length_eproto(void **state)
{
	struct fw_state *s = NULL;
	struct fw_op op = { .elem = fw_elem_uid(1, 1) };

	(void)state;
	assert_int_equal(fw_state_new(&s), 0);
	op.elem.key.len = 0;
	assert_int_equal(fw_state_apply(s, &op), -GI_EPROTO);
	op.elem.key.len = 17;
	assert_int_equal(fw_state_apply(s, &op), -GI_EPROTO);
	assert_false(fw_state_get(s, &op.elem.key, NULL));
	fw_state_free(s);
}

static void test_fw_state_set_ruleset_drops_elements(void **state)
{
	struct fw_state *s = fx_state("generation 1; version 5; live 1");

	(void)state;
	assert_int_equal(fw_state_count(s), 1);
	fw_state_set_ruleset(s, calloc(1, sizeof(struct fw_ruleset)));
	assert_int_equal(fw_state_count(s), 0);
	assert_int_equal(fw_state_version(s), 5);
	fw_state_free(s);
	fw_state_free(NULL);
}

/* what applying the difference to @have gives is @want, and it is in the promised order */
static void check_diff(struct fw_state *have, struct fw_state *want, size_t n_ops)
{
	struct fw_delta *d = NULL;
	bool adds = false;

	assert_int_equal(fw_state_diff(have, want, &d), 0);
	assert_int_equal(d->n_ops, n_ops);
	for (size_t i = 0; i < d->n_ops; i++) {
		assert_false(adds && d->ops[i].del);
		if (i > 0 && d->ops[i].del == d->ops[i - 1].del)
			assert_true(fw_key_cmp(&d->ops[i - 1].elem.key, &d->ops[i].elem.key) < 0);
		adds = adds || !d->ops[i].del;
		assert_int_equal(fw_state_apply(have, &d->ops[i]), 0);
	}
	fw_delta_free(d);
	assert_int_equal(fw_state_count(have), fw_state_count(want));
	assert_int_equal(fw_state_diff(have, want, &d), 0);
	assert_int_equal(d->n_ops, 0);
	fw_delta_free(d);
}

static void test_fw_state_diff_cases(void **state)
{
	static const struct {
		const char *have, *want;
		size_t n;
	} cases[] = {
		{ "generation 1", "generation 1", 0 },
		{ "live 1; uid 5 1", "live 1; uid 5 1", 0 },
		{ "live 1", "live 2", 2 },
		{ "uid 5 1", "uid 5 2", 1 },
		{ "generation 1",
			"live 9; uid 1 9; addr 10.0.0.1 9; addr fd00::1 9; remark 1 9; base 4 1",
			6 },
		{ "live 1 10", "live 1 20", 1 }, /* a changed lease is an addition */
		{ "live 1 10; live 2", "live 1 10 ends; live 2 10", 2 },
		{ "live 1 10; cgroup 1 1", "live 1 10; cgroup 4294967297 1", 2 },
		{ "live 3; live 1; uid 7 1; remark 3 1", "live 1; live 2; uid 8 2; uid 7 2", 5 },
	};

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		struct fw_state *have = fx_state(cases[i].have), *want = fx_state(cases[i].want);

		assert_true(have && want);
		check_diff(have, want, cases[i].n);
		fw_state_free(have);
		fw_state_free(want);
	}
}

static void test_fw_state_diff_carries_versions(void **state)
{
	struct fw_state *have = fx_state("generation 4; version 8"),
			*want = fx_state("generation 4; version 9; live 1");
	struct fw_delta *d = NULL;

	(void)state;
	assert_int_equal(fw_state_diff(have, want, &d), 0);
	assert_int_equal(d->generation, 4);
	assert_int_equal(d->from_version, 8);
	assert_int_equal(d->version, 9);
	fw_delta_free(d);
	fw_state_free(have);
	fw_state_free(want);
}

static void test_fw_state_diff_limit(void **state)
{
	struct fw_state *have = fx_state("generation 1"), *want = fx_state("generation 1");
	struct fw_delta *d = NULL;

	(void)state;
	for (uint32_t i = 1; i <= FW_DELTA_MAX; i++)
		apply(want, false, fw_elem_mark(FW_LIVE, 0, i));
	check_diff(have, want, FW_DELTA_MAX);
	for (uint32_t i = 1; i <= FW_DELTA_MAX + 1; i++)
		apply(want, false, fw_elem_uid(i, i));
	assert_int_equal(fw_state_diff(have, want, &d), -GI_ELIMIT);
	assert_null(d);
	fw_state_free(have);
	fw_state_free(want);
}

static void test_fw_delta_sort_last_writer_wins(void **state)
{
	struct fw_op ops[] = {
		{ false, fw_elem_uid(1, 1) },
		{ true, fw_elem_uid(2, 0) },
		{ false, fw_elem_uid(3, 3) },
		{ true, fw_elem_uid(1, 0) },
		{ false, fw_elem_uid(2, 22) },
		{ true, fw_elem_mark(FW_LIVE, 0, 9) },
		{ false, fw_elem_uid(3, 33) },
	};
	struct fw_delta d = { .ops = ops, .n_ops = GI_ARRAY_SIZE(ops) };

	(void)state;
	fw_delta_sort(&d);
	assert_int_equal(d.n_ops, 4);
	assert_true(d.ops[0].del && d.ops[0].elem.key.set == FW_LIVE);
	assert_true(d.ops[1].del && fw_key_u32(&d.ops[1].elem.key) == 1);
	assert_true(!d.ops[2].del && d.ops[2].elem.mark == 22);
	assert_true(!d.ops[3].del && d.ops[3].elem.mark == 33);
}

static void test_fw_delta_sort_large_is_stable(void **state)
{
	enum { N = 5000 };
	struct fw_op *ops = calloc(N, sizeof(*ops));
	struct fw_delta d = { .ops = ops, .n_ops = N };
	static uint32_t last[128];
	uint32_t seed = 3;

	(void)state;
	for (uint32_t i = 0; i < N; i++) {
		uint32_t k = next_random(&seed) % 128;

		ops[i] = (struct fw_op){ false, fw_elem_uid(k, i + 1) };
		last[k] = i + 1;
	}
	fw_delta_sort(&d);
	assert_int_equal(d.n_ops, 128);
	for (uint32_t k = 0; k < 128; k++)
		assert_int_equal(d.ops[k].elem.mark, last[k]);
	free(ops);
}

/* of sanitizers, whose allocator mallinfo2() knows nothing about */
extern size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static size_t allocated_bytes(void)
{
	struct mallinfo2 m = mallinfo2();

	if (__sanitizer_get_current_allocated_bytes)
		return __sanitizer_get_current_allocated_bytes();
	return m.uordblks + m.hblkhd;
}

/* the aim is 64 bytes an element at most, at any size */
static void test_fw_state_memory_per_element(void **state)
{
	size_t before = allocated_bytes(), worst = 0;
	struct fw_state *s = NULL;

	(void)state;
	assert_int_equal(fw_state_new(&s), 0);
	for (uint32_t i = 1; i <= 200000; i++) {
		apply(s, false, fw_elem_uid(i, i));
		if (i >= 1000 && i % 997 == 0) {
			size_t used = allocated_bytes() - before;

			worst = used / i > worst ? used / i : worst;
		}
	}
	print_message("worst %zu bytes an element\n", worst);
	assert_true(worst >= 24 && worst <= 64);
	fw_state_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fw_sip_known_answer),
		cmocka_unit_test(test_fw_state_apply_random_matches_model),
		cmocka_unit_test(test_fw_state_each_sorted_is_in_order_and_stops),
		cmocka_unit_test(test_fw_state_apply_bad_length_eproto),
		cmocka_unit_test(test_fw_state_set_ruleset_drops_elements),
		cmocka_unit_test(test_fw_state_diff_cases),
		cmocka_unit_test(test_fw_state_diff_carries_versions),
		cmocka_unit_test(test_fw_state_diff_limit),
		cmocka_unit_test(test_fw_delta_sort_last_writer_wins),
		cmocka_unit_test(test_fw_delta_sort_large_is_stable),
		cmocka_unit_test(test_fw_state_memory_per_element),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
