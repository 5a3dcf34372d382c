/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * faults.c - let the n-th allocation of our own code fail, by the linker's --wrap
 *
 * In the tests of lack of memory only. While no scenario runs, all calls go through.
 */
#include "tests/unit/faults.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <string.h>
#include <cmocka.h>

#define FAULTS_RUNS_MAX 10000

static long faults_left; /* 0: off; 1: the next one fails */
static bool faults_hit;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_reallocarray(void *p, size_t n, size_t size);
char *__real_strdup(const char *s);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
char *__wrap_strdup(const char *s);

static bool fails(void)
{
	if (faults_left == 0 || --faults_left > 0)
		return false;
	faults_hit = true;
	errno = ENOMEM;
	return true;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
	return fails() ? NULL : __real_realloc(p, size);
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
	return fails() ? NULL : __real_reallocarray(p, n, size);
}

char *__wrap_strdup(const char *s)
{
	return fails() ? NULL : __real_strdup(s);
}

int faults_each(int (*fn)(void *arg), void *arg, int must_tell)
{
	int err;

	for (int n = 1; n < FAULTS_RUNS_MAX; n++) {
		faults_left = n;
		faults_hit = false;
		err = fn(arg);
		faults_left = 0;
		if (!faults_hit) {
			assert_int_equal(err, 0);
			return n - 1;
		}
		if (must_tell)
			assert_true(err < 0);
	}
	fail_msg("never ran through");
	return -1;
}
