/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_waits.c - fileagent/waits.c against a list that looks at everything
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fileagent/waits.h"

#define MAX 64

struct naive { /* in the order of their coming */
	uint64_t dev[MAX], ino[MAX];
	int fd[MAX];
	size_t n;
};

static void naive_remove(struct naive *v, size_t at)
{
	v->n--;
	memmove(&v->dev[at], &v->dev[at + 1], (v->n - at) * sizeof(v->dev[0]));
	memmove(&v->ino[at], &v->ino[at + 1], (v->n - at) * sizeof(v->ino[0]));
	memmove(&v->fd[at], &v->fd[at + 1], (v->n - at) * sizeof(v->fd[0]));
}

static void same(struct scan_waits *w, const struct naive *v)
{
	assert_int_equal(scan_waits_n(w), v->n);
	if (v->n == 0) {
		assert_null(scan_waits_first(w));
		assert_null(scan_waits_last(w));
		return;
	}
	assert_int_equal(scan_waits_first(w)->fd, v->fd[0]);
	assert_int_equal(scan_waits_last(w)->fd, v->fd[v->n - 1]);
	for (size_t i = 0; i < v->n; i++)
		assert_int_equal(scan_waits_find(w, v->dev[i], v->ino[i])->fd, v->fd[i]);
}

static void test_waits_as_a_list_does(void **state)
{
	struct scan_waits *w;
	struct naive v = { .n = 0 };
	unsigned int seed = 7;

	(void)state;
	assert_int_equal(scan_waits_new(MAX, &w), 0);
	for (int i = 0; i < 5000; i++) {
		size_t at = v.n ? (unsigned int)rand_r(&seed) % v.n : 0;
		struct scan_wait *e;

		if (v.n && (v.n == MAX || rand_r(&seed) % 2)) {
			e = scan_waits_find(w, v.dev[at], v.ino[at]);
			assert_non_null(e);
			assert_int_equal(e->since_ms, (uint32_t)e->ino);
			scan_waits_remove(w, e);
			assert_null(scan_waits_find(w, v.dev[at], v.ino[at]));
			naive_remove(&v, at);
		} else {
			v.dev[v.n] = 0x700000000u + (uint64_t)i % 3;
			v.ino[v.n] = (uint64_t)i;
			v.fd[v.n] = i % 60000;
			e = scan_waits_add(w, v.dev[v.n], v.ino[v.n], v.fd[v.n], (uint64_t)i);
			assert_non_null(e);
			assert_null(e->actor);
			v.n++;
		}
		same(w, &v);
	}
	scan_waits_free(w);
}

static void test_waits_are_bounded(void **state)
{
	struct scan_waits *w;

	(void)state;
	assert_int_equal(scan_waits_new(UINT16_MAX, &w), -EINVAL);
	assert_int_equal(scan_waits_new(3, &w), 0);
	assert_null(scan_waits_add(w, 1, 1, -1, 0));
	assert_null(scan_waits_add(w, 1, 1, SCAN_WAITS_FD_MAX + 1, 0));
	assert_int_equal(scan_waits_n(w), 0);
	for (int i = 0; i < 3; i++)
		assert_non_null(scan_waits_add(w, 1, (uint64_t)i, SCAN_WAITS_FD_MAX, 0));
	assert_null(scan_waits_add(w, 1, 9, 9, 0));
	scan_waits_remove(w, scan_waits_last(w));
	assert_non_null(scan_waits_add(w, 1, 9, 9, 0));
	assert_int_equal(scan_waits_first(w)->ino, 0);
	assert_int_equal(scan_waits_last(w)->ino, 9);
	scan_waits_free(w);
	scan_waits_free(NULL);
}

/* the same number on two file systems is two files */
static void test_waits_find_device_and_inode(void **state)
{
	struct scan_waits *w;

	(void)state;
	assert_int_equal(scan_waits_new(8, &w), 0);
	assert_non_null(scan_waits_add(w, 0x801, 5, 1, 0));
	assert_non_null(scan_waits_add(w, 0x802, 5, 2, 0));
	assert_int_equal(scan_waits_find(w, 0x801, 5)->fd, 1);
	assert_int_equal(scan_waits_find(w, 0x802, 5)->fd, 2);
	assert_null(scan_waits_find(w, 0x803, 5));
	assert_null(scan_waits_find(w, 0x801, 6));
	scan_waits_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_waits_as_a_list_does),
		cmocka_unit_test(test_waits_are_bounded),
		cmocka_unit_test(test_waits_find_device_and_inode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
