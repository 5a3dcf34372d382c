/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_fimbase.c - the baseline: bounds, moves, bytes; directories by handle
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "fileagent/fimbase.h"
#include "fileagent/fimdirs.h"

static void put(struct fa_fimbase *b, const char *path, uint64_t ino)
{
	struct fa_fim_state st = { .mode = S_IFREG | 0644,
		.uid = 7,
		.ino = ino,
		.dev = 3,
		.size = 5,
		.mtime_ns = 11,
		.ctime_ns = 12,
		.nlink = 2,
		.has_sha = true };

	memset(st.sha, (int)ino, sizeof(st.sha));
	assert_int_equal(fa_fimbase_put(b, path, &st), 0);
}

static uint64_t ino_of(const struct fa_fimbase *b, const char *path)
{
	const struct fa_fim_file *f = fa_fimbase_find(b, path);

	return f ? f->st.ino : 0;
}

static void test_move_takes_all_below_and_replaces(void **state)
{
	struct fa_fimbase b;

	(void)state;
	fa_fimbase_init(&b);
	put(&b, "/a", 1);
	put(&b, "/a/x", 2);
	put(&b, "/a/y/z", 3);
	put(&b, "/ab", 4);
	put(&b, "/b/x", 5);
	put(&b, "/b/q", 6);
	fa_fimbase_move(&b, "/a", "/b");
	assert_int_equal(ino_of(&b, "/b"), 1);
	assert_int_equal(ino_of(&b, "/b/x"), 2);
	assert_int_equal(ino_of(&b, "/b/y/z"), 3);
	assert_int_equal(ino_of(&b, "/ab"), 4);
	assert_int_equal(ino_of(&b, "/b/q"), 6);
	assert_int_equal(fa_fimbase_count(&b), 5);
	fa_fimbase_move(&b, "/b", NULL);
	assert_int_equal(fa_fimbase_count(&b), 1);
	fa_fimbase_drop(&b, "/ab");
	assert_int_equal(b.bytes, 0);
	fa_fimbase_fini(&b);
}

static void test_move_to_a_path_too_long_drops(void **state)
{
	struct fa_fimbase b;
	char path[WIRE_PATH_MAX + 1];

	(void)state;
	fa_fimbase_init(&b);
	memset(path, 'x', sizeof(path) - 1);
	path[0] = '/';
	path[2] = '/';
	path[sizeof(path) - 1] = '\0';
	put(&b, path, 1);
	fa_fimbase_move(&b, "/x", "/xy");
	assert_int_equal(fa_fimbase_count(&b), 0);
	fa_fimbase_fini(&b);
}

static void test_put_refuses_what_is_no_path_and_too_many(void **state)
{
	struct fa_fimbase b;
	struct fa_fim_state st = { 0 };
	char path[WIRE_PATH_MAX + 2];

	(void)state;
	fa_fimbase_init(&b);
	assert_int_equal(fa_fimbase_put(&b, "", &st), -EINVAL);
	assert_int_equal(fa_fimbase_put(&b, "a", &st), -EINVAL);
	memset(path, '/', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(fa_fimbase_put(&b, path, &st), -EINVAL);
	for (int i = 0; i < FA_FIM_FILES_MAX; i++) {
		snprintf(path, sizeof(path), "/%d", i);
		assert_int_equal(fa_fimbase_put(&b, path, &st), 0);
	}
	assert_int_equal(fa_fimbase_put(&b, "/more", &st), -GI_ELIMIT);
	assert_int_equal(fa_fimbase_put(&b, "/7", &st), 0); /* what is there can change */
	fa_fimbase_fini(&b);
}

static void encode_sample(struct gi_buf *out)
{
	struct fa_fimbase b;
	uint8_t rule[WIRE_SHA256_LEN] = { 1, 2, 3 };

	fa_fimbase_init(&b);
	put(&b, "/etc/passwd", 1);
	put(&b, "/etc/shadow", 2);
	put(&b, "/", 3);
	fa_fimbase_set_rule(&b, rule, true);
	fa_fimbase_encode(&b, out);
	assert_int_equal(gi_buf_error(out), 0);
	fa_fimbase_fini(&b);
}

static void test_bytes_round_trip(void **state)
{
	uint8_t rule[WIRE_SHA256_LEN] = { 1, 2, 3 };
	const struct fa_fim_file *f;
	struct fa_fimbase b;
	struct gi_buf out;

	(void)state;
	gi_buf_init(&out, 1 << 20);
	encode_sample(&out);
	fa_fimbase_init(&b);
	assert_int_equal(fa_fimbase_decode(&b, out.data, out.len), 0);
	assert_int_equal(fa_fimbase_count(&b), 3);
	f = fa_fimbase_find(&b, "/etc/shadow");
	assert_non_null(f);
	assert_int_equal(f->st.mode, S_IFREG | 0644);
	assert_int_equal(f->st.uid, 7);
	assert_int_equal(f->st.nlink, 2);
	assert_int_equal(f->st.mtime_ns, 11);
	assert_true(f->st.has_sha);
	assert_int_equal(f->st.sha[31], 2);
	assert_true(fa_fimbase_has_rule(&b, rule));
	fa_fimbase_set_rule(&b, rule, false);
	assert_false(fa_fimbase_has_rule(&b, rule));
	fa_fimbase_fini(&b);
	gi_buf_fini(&out);
}

static void test_bytes_every_truncation_is_refused_or_a_prefix(void **state)
{
	struct gi_buf out;

	(void)state;
	gi_buf_init(&out, 1 << 20);
	encode_sample(&out);
	for (size_t len = 0; len < out.len; len++) {
		struct fa_fimbase b;
		int err;

		fa_fimbase_init(&b);
		err = fa_fimbase_decode(&b, out.data, len);
		assert_true(err == 0 || err == -GI_EPROTO);
		assert_true(fa_fimbase_count(&b) < 3);
		fa_fimbase_fini(&b);
	}
	gi_buf_fini(&out);
}

static void test_changes_replay_to_the_same_and_twice_is_once(void **state)
{
	struct fa_fimbase b, c;
	struct gi_buf change[6];

	(void)state;
	fa_fimbase_init(&b);
	fa_fimbase_init(&c);
	for (size_t i = 0; i < 6; i++)
		gi_buf_init(&change[i], 1 << 16);
	put(&b, "/d/a", 1);
	fa_fimbase_change_path(&b, "/d/a", &change[0]);
	put(&b, "/d/b", 2);
	fa_fimbase_change_path(&b, "/d/b", &change[1]);
	fa_fimbase_move(&b, "/d", "/e");
	fa_fimbase_change_move("/d", "/e", &change[2]);
	fa_fimbase_drop(&b, "/e/a");
	fa_fimbase_change_path(&b, "/e/a", &change[3]);
	put(&b, "/e/b", 9);
	fa_fimbase_change_path(&b, "/e/b", &change[4]);
	fa_fimbase_change_path(&b, "/e/b", &change[5]);
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(fa_fimbase_apply(&c, change[i].data, change[i].len), 0);
	assert_int_equal(fa_fimbase_count(&c), 1);
	assert_int_equal(ino_of(&c, "/e/b"), 9);
	/* bytes behind a change, or none at all */
	gi_buf_append(&change[5], "x", 1);
	assert_int_equal(fa_fimbase_apply(&c, change[5].data, change[5].len), -GI_EPROTO);
	assert_int_equal(fa_fimbase_apply(&c, "", 0), -GI_EPROTO);
	assert_int_equal(fa_fimbase_apply(&c, "Z", 1), -GI_EPROTO);
	for (size_t i = 0; i < 6; i++)
		gi_buf_fini(&change[i]);
	fa_fimbase_fini(&b);
	fa_fimbase_fini(&c);
}

static void test_rules_are_bounded(void **state)
{
	struct fa_fimbase b;
	uint8_t rule[WIRE_SHA256_LEN] = { 0 };

	(void)state;
	fa_fimbase_init(&b);
	for (int i = 0; i < FA_FIM_RULES_MAX + 10; i++) {
		rule[0] = (uint8_t)i;
		fa_fimbase_set_rule(&b, rule, true);
		fa_fimbase_set_rule(&b, rule, true);
	}
	assert_int_equal(b.n_rules, FA_FIM_RULES_MAX);
	assert_true(fa_fimbase_has_rule(&b, rule));
	fa_fimbase_fini(&b);
}

/* ---- directories ---- */

static size_t key(uint64_t n, uint8_t out[FA_FIM_HANDLE_MAX])
{
	return fa_fimdirs_key(42, &n, sizeof(n), out);
}

static const char *find(struct fa_fimdirs *d, uint64_t n)
{
	uint8_t k[FA_FIM_HANDLE_MAX];

	return fa_fimdirs_find(d, k, key(n, k));
}

static void dir(struct fa_fimdirs *d, uint64_t n, const char *path, bool inside)
{
	uint8_t k[FA_FIM_HANDLE_MAX];

	assert_int_equal(fa_fimdirs_put(d, k, key(n, k), path, inside), 0);
}

static void test_dirs_move_takes_all_below(void **state)
{
	struct fa_fimdirs d;

	(void)state;
	fa_fimdirs_init(&d);
	dir(&d, 1, "/w", true);
	dir(&d, 2, "/w/a", true);
	dir(&d, 3, "/w/a/b", true);
	dir(&d, 4, "/o/a", false);
	dir(&d, 5, "/w/ab", true);
	fa_fimdirs_move(&d, "/w/a", "/o/z", false);
	assert_string_equal(find(&d, 2), "/o/z");
	assert_string_equal(find(&d, 3), "/o/z/b");
	assert_string_equal(find(&d, 5), "/w/ab");
	fa_fimdirs_move(&d, "/o", "/w/o", true);
	assert_string_equal(find(&d, 3), "/w/o/z/b");
	assert_string_equal(find(&d, 4), "/w/o/a");
	fa_fimdirs_move(&d, "/w", NULL, false);
	assert_int_equal(fa_fimdirs_count(&d), 0);
	fa_fimdirs_fini(&d);
}

static void test_dirs_outside_the_least_recently_used_goes(void **state)
{
	struct fa_fimdirs d;

	(void)state;
	fa_fimdirs_init(&d);
	dir(&d, 1, "/w", true);
	for (uint64_t i = 2; i < 2 + FA_FIM_OUTSIDE_MAX; i++)
		dir(&d, i, "/o", false);
	assert_non_null(find(&d, 2)); /* used: 3 is the oldest now */
	dir(&d, 100000, "/o", false);
	assert_null(find(&d, 3));
	assert_non_null(find(&d, 2));
	assert_non_null(find(&d, 1));
	assert_int_equal(fa_fimdirs_count(&d), 1 + FA_FIM_OUTSIDE_MAX);
	fa_fimdirs_fini(&d);
}

static void test_dirs_key_refuses_what_is_too_long(void **state)
{
	uint8_t k[FA_FIM_HANDLE_MAX], handle[FA_FIM_HANDLE_MAX] = { 0 };

	(void)state;
	assert_int_equal(fa_fimdirs_key(1, handle, 0, k), 0);
	assert_int_equal(fa_fimdirs_key(1, handle, FA_FIM_HANDLE_MAX - 7, k), 0);
	assert_int_equal(fa_fimdirs_key(1, handle, FA_FIM_HANDLE_MAX - 8, k), FA_FIM_HANDLE_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_move_takes_all_below_and_replaces),
		cmocka_unit_test(test_move_to_a_path_too_long_drops),
		cmocka_unit_test(test_put_refuses_what_is_no_path_and_too_many),
		cmocka_unit_test(test_bytes_round_trip),
		cmocka_unit_test(test_bytes_every_truncation_is_refused_or_a_prefix),
		cmocka_unit_test(test_changes_replay_to_the_same_and_twice_is_once),
		cmocka_unit_test(test_rules_are_bounded),
		cmocka_unit_test(test_dirs_move_takes_all_below),
		cmocka_unit_test(test_dirs_outside_the_least_recently_used_goes),
		cmocka_unit_test(test_dirs_key_refuses_what_is_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
