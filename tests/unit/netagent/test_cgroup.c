/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_cgroup.c - which mount, which path, whose cgroup; groups of processes; a machine that slept
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/base/text.h"
#include "netagent/cgroup.h"
#include "netagent/suspend.h"

#define HYBRID                                                                 \
	"24 23 0:22 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"  \
	"25 24 0:23 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n" \
	"35 24 0:33 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw\n"
#define OUTER "36 24 0:33 /../.. /outer rw,relatime - cgroup2 cgroup2 rw\n"
#define PART "36 24 0:33 /docker/x /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw\n"
#define LATER "40 24 0:33 / /mnt/cg rw,relatime - cgroup2 cgroup2 rw"

static void test_root_parse_finds_the_mount(void **state)
{
	static const struct {
		const char *text, *wanted, *mount, *base;
		int err;
	} cases[] = {
		{ HYBRID, "", "/sys/fs/cgroup/unified", "", 0 },
		{ HYBRID OUTER, "", "/sys/fs/cgroup/unified", "", 0 },
		{ HYBRID LATER, "", "/mnt/cg", "", 0 },
		{ HYBRID LATER, "/sys/fs/cgroup/unified/a/b/", "/sys/fs/cgroup/unified", "/a/b",
			0 },
		{ HYBRID, "/sys/fs/cgroup/unified/", "/sys/fs/cgroup/unified", "", 0 },
		{ HYBRID, "/sys/fs/cgroup/unifiedx", NULL, NULL, -ENODEV },
		{ HYBRID, "/sys/fs/cgroup", NULL, NULL, -ENODEV },
		{ PART, "", NULL, NULL, -ENODEV },
		{ "", "", NULL, NULL, -ENODEV },
		{ "x\n - cgroup2 \n/ / / / /\n", "", NULL, NULL, -ENODEV },
		{ "36 24 0:33 / /a\\040b rw - cgroup2 cgroup2 rw\n", "", NULL, NULL, -ENODEV },
	};

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		struct na_cgroup_root r = { .mount = "untouched" };

		assert_int_equal(
			na_cgroup_root_parse(cases[i].text, cases[i].wanted, &r), cases[i].err);
		assert_string_equal(r.mount, cases[i].err ? "untouched" : cases[i].mount);
		if (!cases[i].err)
			assert_string_equal(r.base, cases[i].base);
	}
}

static void test_root_parse_too_long_is_elimit(void **state)
{
	char wanted[600] = "/sys/fs/cgroup/unified/";
	struct na_cgroup_root r;

	(void)state;
	memset(wanted + strlen(wanted), 'a', 300);
	assert_int_equal(na_cgroup_root_parse(HYBRID, wanted, &r), -GI_ELIMIT);
}

static void test_parse_takes_the_v2_line(void **state)
{
	static char long_path[NA_CGROUP_PATH_MAX + 10] = "0::/";
	char path[NA_CGROUP_PATH_MAX];

	(void)state;
	assert_int_equal(na_cgroup_parse("8:pids:/x\n0::/a/b\n", path), 0);
	assert_string_equal(path, "/a/b");
	assert_int_equal(na_cgroup_parse("0::/\n", path), 0);
	assert_string_equal(path, "/");
	assert_int_equal(na_cgroup_parse("8:pids:/0::/x\n", path), -ENODEV);
	assert_int_equal(na_cgroup_parse("", path), -ENODEV);
	assert_int_equal(na_cgroup_parse("0::/../other\n", path), -ENODEV);
	memset(long_path + 4, 'a', NA_CGROUP_PATH_MAX);
	assert_int_equal(na_cgroup_parse(long_path, path), -GI_ELIMIT);
}

static void test_session_tells_ours(void **state)
{
	const struct na_cgroup_root top = { "/m", "" }, below = { "/m", "/base" };
	char path[NA_CGROUP_PATH_MAX];

	(void)state;
	na_cgroup_ours(&below, 17, path);
	assert_string_equal(path, "/base/idfw/s17");
	assert_true(na_cgroup_session(&below, path) == 17);
	assert_true(na_cgroup_session(&top, path) == 0);
	assert_true(na_cgroup_session(&top, "/idfw/s17/deeper/still") == 17);
	assert_true(na_cgroup_session(&top, "/idfw/s17x") == 0);
	assert_true(na_cgroup_session(&top, "/idfw/s0") == 0);
	assert_true(na_cgroup_session(&top, "/idfw/s") == 0);
	assert_true(na_cgroup_session(&top, "/idfw/s99999999999999999999999999") == 0);
	assert_true(na_cgroup_session(&top, "/idfw") == 0);
	assert_true(na_cgroup_session(&top, "/x/idfw/s17") == 0);
}

static void test_logind_finds_the_topmost_part(void **state)
{
	static const struct {
		const char *path, *part;
		enum na_logind kind;
	} cases[] = {
		{ "/user.slice/user-1.slice/session-3.scope",
			"/user.slice/user-1.slice/session-3.scope", NA_LOGIND_SCOPE },
		{ "/user.slice/user-1.slice/session-c2.scope/x",
			"/user.slice/user-1.slice/session-c2.scope", NA_LOGIND_SCOPE },
		/* a user may name his own units so */
		{ "/user.slice/user-1.slice/user@1.service/app.slice/session-9.scope",
			"/user.slice/user-1.slice/user@1.service", NA_LOGIND_MANAGER },
		{ "/system.slice/ssh.service", NULL, NA_LOGIND_NONE },
		{ "/session-.scope", NULL, NA_LOGIND_NONE },
		{ "/xsession-1.scope", NULL, NA_LOGIND_NONE },
		{ "/", NULL, NA_LOGIND_NONE },
	};

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		size_t len = 0;

		assert_int_equal(na_cgroup_logind(cases[i].path, &len), cases[i].kind);
		if (!cases[i].part)
			continue;
		assert_int_equal(len, strlen(cases[i].part));
		assert_memory_equal(cases[i].path, cases[i].part, len);
	}
}

static void test_of_a_process_that_is_gone_is_esrch(void **state)
{
	char path[NA_CGROUP_PATH_MAX];

	(void)state;
	assert_int_equal(na_cgroup_of(0x7ffffff0, path), -ESRCH);
}

static void test_slept_counts_each_sleep_once(void **state)
{
	uint64_t apart = 5000 - 1000;

	(void)state;
	assert_true(na_suspend_slept(&apart, 2000, 6000) == 0);
	assert_true(na_suspend_slept(&apart, 3000, 6990) == 0); /* read a little apart */
	assert_true(na_suspend_slept(&apart, 4000, 68000) == 60000);
	assert_true(na_suspend_slept(&apart, 5000, 69000) == 0);
	assert_true(na_suspend_slept(&apart, 6000, 70600) == 600);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_root_parse_finds_the_mount),
		cmocka_unit_test(test_root_parse_too_long_is_elimit),
		cmocka_unit_test(test_parse_takes_the_v2_line),
		cmocka_unit_test(test_session_tells_ours),
		cmocka_unit_test(test_logind_finds_the_topmost_part),
		cmocka_unit_test(test_of_a_process_that_is_gone_is_esrch),
		cmocka_unit_test(test_slept_counts_each_sleep_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
