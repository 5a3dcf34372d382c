/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_table.c - things by number: found, removed, taken, also without memory to grow
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "epsec/table.h"
#include "tests/unit/faults.h"

#define MANY 5000

static void add_all(struct eps_table *t, struct eps_node *n, uint64_t step)
{
	for (size_t i = 0; i < MANY; i++) {
		n[i].key = i * step;
		eps_table_add(t, &n[i]);
	}
}

static void find_half(struct eps_node *n, void *arg)
{
	if (n->key & 1)
		eps_table_remove(arg, n);
}

static void check_all(uint64_t step)
{
	struct eps_node *n = calloc(MANY, sizeof(*n)), *all;
	struct eps_table t;
	size_t count = 0;

	assert_non_null(n);
	eps_table_init(&t);
	assert_null(eps_table_find(&t, 0));
	assert_null(eps_table_take(&t));
	add_all(&t, n, step);
	assert_int_equal(t.count, MANY);
	for (size_t i = 0; i < MANY; i++)
		assert_ptr_equal(eps_table_find(&t, i * step), &n[i]);
	assert_null(eps_table_find(&t, MANY * step));
	for (size_t i = 0; i < MANY; i += 2) {
		eps_table_remove(&t, &n[i]);
		assert_null(eps_table_find(&t, i * step));
	}
	assert_int_equal(t.count, MANY / 2);
	eps_table_each(&t, find_half, &t);
	for (all = eps_table_take(&t); all; all = all->next) {
		assert_int_equal(all->key & 1, 0);
		count++;
	}
	assert_int_equal(count, step & 1 ? 0 : MANY / 2);
	assert_int_equal(t.count, 0);
	eps_table_add(&t, &n[0]);
	assert_ptr_equal(eps_table_find(&t, 0), &n[0]);
	eps_table_fini(&t);
	free(n);
}

static void test_numbers_in_a_row(void **state)
{
	(void)state;
	check_all(1);
}

static void test_numbers_far_apart(void **state)
{
	(void)state;
	check_all((uint64_t)1 << 40);
}

static int grow_once(void *arg)
{
	struct eps_node n[64] = { 0 };
	struct eps_table t;

	(void)arg;
	eps_table_init(&t);
	for (size_t i = 0; i < 64; i++) {
		n[i].key = i;
		eps_table_add(&t, &n[i]);
	}
	for (size_t i = 0; i < 64; i++)
		assert_ptr_equal(eps_table_find(&t, i), &n[i]);
	eps_table_fini(&t);
	return 0;
}

static void test_without_memory_it_is_slower(void **state)
{
	(void)state;
	assert_true(faults_each(grow_once, NULL, 0) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers_in_a_row),
		cmocka_unit_test(test_numbers_far_apart),
		cmocka_unit_test(test_without_memory_it_is_slower),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
