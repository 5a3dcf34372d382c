/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_dirfile.c - svm-idfw/dirfile.c: the first line of a password file, whole or not at all
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those first */
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "svm-idfw/dirfile.h"

static char path[] = "/tmp/idfw-dirfile-XXXXXX";

static int setup(void **state)
{
	int fd = mkstemp(path); /* 0600 */

	(void)state;
	return fd < 0 || close(fd) < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	return unlink(path);
}

/* @n bytes of it, and @end behind them */
static int password(size_t n, const char *end, size_t end_len, char why[DIR_WHY_MAX],
	char ret[DIR_PASSWORD_MAX])
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	for (size_t i = 0; i < n; i++)
		assert_int_not_equal(fputc('a' + (int)(i % 26), f), EOF);
	assert_int_equal(fwrite(end, 1, end_len, f), end_len);
	assert_int_equal(fclose(f), 0);
	memset(ret, 'x', DIR_PASSWORD_MAX);
	why[0] = '\0';
	return dir_file_password(path, why, ret);
}

static void is_erased(const char ret[DIR_PASSWORD_MAX])
{
	for (size_t i = 0; i < DIR_PASSWORD_MAX; i++)
		assert_int_equal(ret[i], 0);
}

static void test_first_line(void **state)
{
	static const char *const ends[] = { "", "\n", "\r\n", "\nsecond line\n", "\n\0" };
	static const size_t lens[] = { 1, 16, DIR_PASSWORD_MAX - 2, DIR_PASSWORD_MAX - 1 };
	char why[DIR_WHY_MAX], ret[DIR_PASSWORD_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++)
		for (size_t k = 0; k < sizeof(ends) / sizeof(ends[0]); k++) {
			assert_int_equal(password(lens[i], ends[k], strlen(ends[k]), why, ret), 0);
			assert_int_equal(strlen(ret), lens[i]);
		}
}

/* a part of it would be refused by the directory, and lock the account some day */
static void test_longer_than_the_limit_is_refused(void **state)
{
	static const size_t lens[] = { DIR_PASSWORD_MAX, DIR_PASSWORD_MAX + 1, 100000 };
	char why[DIR_WHY_MAX], ret[DIR_PASSWORD_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		assert_int_equal(password(lens[i], "\n", 1, why, ret), -EINVAL);
		assert_non_null(strstr(why, "is longer than 1023 bytes"));
		assert_non_null(strstr(why, DIR_WHY_TRY "head -n 1 /tmp/idfw-dirfile-"));
		is_erased(ret);
		assert_int_equal(password(lens[i], "", 0, why, ret), -EINVAL);
	}
}

static void test_empty_or_no_text_is_refused(void **state)
{
	char why[DIR_WHY_MAX], ret[DIR_PASSWORD_MAX];

	(void)state;
	assert_int_equal(password(0, "", 0, why, ret), -EINVAL);
	assert_non_null(strstr(why, "has no password in it"));
	assert_int_equal(password(0, "\nsecret\n", 8, why, ret), -EINVAL);
	assert_non_null(strstr(why, "has no password in it"));
	assert_int_equal(password(8, "\0rest\n", 6, why, ret), -EINVAL); /* UTF-16 is like that */
	assert_non_null(strstr(why, "zero byte"));
	is_erased(ret);
	assert_int_equal(password(0, "\0", 1, why, ret), -EINVAL);
	assert_non_null(strstr(why, "zero byte"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_line),
		cmocka_unit_test(test_longer_than_the_limit_is_refused),
		cmocka_unit_test(test_empty_or_no_text_is_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
