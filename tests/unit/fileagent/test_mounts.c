/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_mounts.c - mountinfo read as the kernel writes it, and one file's names through many mounts
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "fileagent/filter.h"
#include "fileagent/mounts.h"

static const char text[] =
	"36 35 98:0 / /srv rw,noatime master:1 - ext4 /dev/root rw,errors=continue\n"
	"22 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n"
	"nonsense\n"
	"50 36 98:0 /data/x /mnt/bind\\040me rw - ext4 /dev/root rw\n"
	"51 36 98:0 /other /mnt/o rw - ext4 /dev/root rw\n"
	"52 36 0:5 / /proc rw - proc proc rw\n";

static void test_parse_fields_and_order(void **state)
{
	struct fa_mounts m;

	(void)state;
	assert_int_equal(fa_mounts_parse(text, &m), 0);
	assert_int_equal(m.n, 5);
	assert_int_equal(m.list[0].id, 22);
	assert_string_equal(fa_mounts_by_id(&m, 50)->point, "/mnt/bind me");
	assert_string_equal(fa_mounts_by_id(&m, 50)->root, "/data/x");
	assert_string_equal(fa_mounts_by_id(&m, 52)->type, "proc");
	assert_true(fa_mounts_by_id(&m, 36)->dev == makedev(98, 0));
	assert_null(fa_mounts_by_id(&m, 7));
	assert_int_equal(fa_mounts_by_dev(&m, makedev(0, 5))->id, 52);
	assert_null(fa_mounts_by_dev(&m, makedev(9, 9)));
	fa_mounts_fini(&m);
}

static void test_read_own_namespace(void **state)
{
	const struct fa_mount *one = NULL;
	struct fa_mounts m;

	(void)state;
	assert_int_equal(fa_mounts_read("/proc/self/mountinfo", &m), 0);
	assert_int_equal(fa_mounts_of(&m, "/proc/self", &one), 0);
	assert_string_equal(one->type, "proc");
	assert_int_equal(fa_mounts_of(&m, "/no/such/path", &one), -ENOENT);
	fa_mounts_fini(&m);
	assert_int_equal(fa_mounts_read("/no/such/file", &m), -ENOENT);
}

static void test_alias_between_mounts(void **state)
{
	static const struct {
		uint64_t from, to;
		const char *path, *want; /* NULL: not seen there */
	} cases[] = {
		{ 50, 36, "/mnt/bind me/f", "/srv/data/x/f" },
		{ 50, 36, "/mnt/bind me", "/srv/data/x" },
		{ 36, 50, "/srv/data/x/f", "/mnt/bind me/f" },
		{ 36, 50, "/srv/data/xy", NULL },
		{ 36, 51, "/srv/data/x/f", NULL },
		{ 50, 51, "/mnt/bind me/f", NULL },
		{ 50, 36, "/elsewhere", NULL },
		{ 22, 36, "/a/b", "/srv/a/b" },
	};
	struct fa_mounts m;

	(void)state;
	assert_int_equal(fa_mounts_parse(text, &m), 0);
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		char got[64] = "";
		size_t n = 0;
		bool is = fa_mounts_alias(fa_mounts_by_id(&m, cases[i].from),
			fa_mounts_by_id(&m, cases[i].to), cases[i].path, strlen(cases[i].path), got,
			sizeof(got), &n);

		assert_int_equal(is, cases[i].want != NULL);
		if (is) {
			assert_string_equal(got, cases[i].want);
			assert_int_equal(n, strlen(got));
		}
	}
	{
		char small[8];
		size_t n;

		assert_false(fa_mounts_alias(fa_mounts_by_id(&m, 50), fa_mounts_by_id(&m, 36),
			"/mnt/bind me/f", 14, small, sizeof(small), &n));
	}
	fa_mounts_fini(&m);
}

static void test_filter_file_all_names_count(void **state)
{
	static const char conf[] = "exclude-paths \"/srv/data/x/skip\";\n"
				   "watch w { path \"/srv/data\"; on-block EIO; }";
	struct fa_filter *f = NULL;
	struct fa_mounts m;
	struct fa_policy p;
	struct gi_buf words;
	struct fa_conf c;

	(void)state;
	gi_buf_init(&words, 1u << 16);
	assert_int_equal(fa_conf_parse("t", conf, sizeof(conf) - 1, &words, &c), 0);
	assert_int_equal(fa_filter_new(&c, &f), 0);
	assert_int_equal(fa_mounts_parse(text, &m), 0);
	assert_int_equal(fa_filter_file(f, &m, 36, "/srv/data/a", 11, &p), FA_WATCHED);
	assert_int_equal(fa_filter_file(f, &m, 50, "/mnt/bind me/a", 14, &p), FA_WATCHED);
	assert_int_equal(p.block_errno, EIO);
	assert_int_equal(fa_filter_file(f, &m, 50, "/mnt/bind me/skip/a", 19, &p), FA_EXCLUDED);
	assert_int_equal(fa_filter_file(f, &m, 51, "/mnt/o/a", 8, &p), FA_OUTSIDE);
	/* not one of our mounts: its name says nothing */
	assert_int_equal(fa_filter_file(f, &m, 99, "/srv/data/x/skip/a", 18, &p), FA_WATCHED);
	assert_int_equal(p.block_errno, EPERM);
	fa_mounts_fini(&m);
	fa_filter_free(f);
	conf_free(&fa_conf_table, &c);
	gi_buf_fini(&words);
}

struct heard {
	size_t n, most;
	char path[8][128];
};

static bool heard_cb(void *arg, const char *path)
{
	struct heard *h = arg;

	assert_true(h->n < GI_ARRAY_SIZE(h->path));
	snprintf(h->path[h->n++], sizeof(h->path[0]), "%s", path);
	return h->n < h->most;
}

static void test_layers_of_an_overlay(void **state)
{
	static const char info[] =
		"30 1 8:1 / / rw - ext4 /dev/sda1 rw,lowerdir=/no\n"
		"31 30 0:40 / /m rw shared:1 - overlay my\\040over "
		"rw,lowerdir=/a\\:b:/c\\,d::/data,upperdir=/u\\040p,workdir=/w,lowerdir+=/e=f\n"
		"32 30 0:41 / /n rw - overlay\n";
	struct heard h = { .most = 8 };
	struct fa_mounts m;

	(void)state;
	assert_int_equal(fa_mounts_parse(info, &m), 0);
	assert_null(fa_mounts_by_id(&m, 30)->opts);
	assert_null(fa_mounts_by_id(&m, 32)->opts);
	assert_true(fa_mounts_layers(fa_mounts_by_id(&m, 31)->opts, heard_cb, &h));
	assert_int_equal(h.n, 5);
	assert_string_equal(h.path[0], "/a:b");
	assert_string_equal(h.path[1], "/c,d");
	assert_string_equal(h.path[2], "/data");
	assert_string_equal(h.path[3], "/u p");
	assert_string_equal(h.path[4], "/e=f");
	h = (struct heard){ .most = 2 };
	assert_false(fa_mounts_layers(fa_mounts_by_id(&m, 31)->opts, heard_cb, &h));
	assert_int_equal(h.n, 2);
	h = (struct heard){ .most = 8 };
	assert_true(fa_mounts_layers("rw,lowerdir,upperdir=,x=lowerdir=/q,\\", heard_cb, &h));
	assert_int_equal(h.n, 0);
	fa_mounts_fini(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layers_of_an_overlay),
		cmocka_unit_test(test_parse_fields_and_order),
		cmocka_unit_test(test_read_own_namespace),
		cmocka_unit_test(test_alias_between_mounts),
		cmocka_unit_test(test_filter_file_all_names_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
