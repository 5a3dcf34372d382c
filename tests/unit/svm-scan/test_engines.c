/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_engines.c - both engines in real, sandboxed workers: what is found, and what is not
 *
 * This program is also the worker's: svm-scan/pool.c starts it again with "--worker".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "lib/io/sha256.h"
#include "tests/unit/svm-scan/bed.h"

#define MIB (1u << 20)
#define BENIGN_MAX (2u * MIB) /* of the gate; `./dev bench` takes all */
#define BENIGN_DIR "/usr/bin"
#define TESTFILES 44

static struct bed bed;

static int setup(void **state)
{
	(void)state;
	bed_init(&bed);
	bed_start(&bed);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bed_fini(&bed);
	return 0;
}

static void sha_of(const void *data, size_t len, uint8_t ret[IO_SHA256_LEN])
{
	struct io_sha256 *h;

	assert_int_equal(io_sha256_new(&h), 0);
	io_sha256_add(h, data, len);
	io_sha256_end(h, ret);
	io_sha256_free(h);
}

static void test_run_eicar_is_found_by_clamav(void **state)
{
	struct scan_finding f;
	uint8_t sha[IO_SHA256_LEN];
	char eicar[80];
	size_t n = bed_eicar(eicar);

	(void)state;
	bed_run_memory(&bed, eicar, n, &f);
	assert_int_equal(f.outcome, SCAN_FOUND);
	assert_string_equal(f.engine, "clamav");
	assert_string_equal(f.signature, "Eicar-Test-Signature.UNOFFICIAL");
	sha_of(eicar, n, sha);
	assert_true(f.has_sha256);
	assert_memory_equal(f.sha256, sha, sizeof(sha));
}

static void test_run_rule_is_found_by_yara(void **state)
{
	static const char text[] = "before it: idfw yara marker, behind it";
	struct scan_finding f;

	(void)state;
	bed_run_memory(&bed, text, sizeof(text) - 1, &f);
	assert_int_equal(f.outcome, SCAN_FOUND);
	assert_string_equal(f.engine, "yara");
	assert_string_equal(f.signature, "Marker");
}

static void test_run_empty_and_plain_content_is_clean(void **state)
{
	struct scan_finding f;

	(void)state;
	bed_run_memory(&bed, "", 0, &f);
	assert_int_equal(f.outcome, SCAN_CLEAN);
	assert_true(f.has_sha256);
	bed_run_memory(&bed, "nothing in here", 15, &f);
	assert_int_equal(f.outcome, SCAN_CLEAN);
	assert_string_equal(f.text, "");
}

/* the marker lies across the border of two requests, and of two messages */
static void test_run_match_across_ranges_is_found(void **state)
{
	static const char marker[] = "idfw yara marker";
	const size_t len = 5 * MIB + 77, at[] = { 16384 - 5, 16384 + (48u << 10) - 5,
		MIB + 16384 - 3, 2 * MIB + 16384 - 9, 5 * MIB + 77 - 16 };
	uint8_t *data = malloc(len), sha[IO_SHA256_LEN];
	struct scan_finding f;

	(void)state;
	assert_non_null(data);
	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		memset(data, '.', len);
		memcpy(data + at[i], marker, sizeof(marker) - 1);
		bed_run_memory(&bed, data, len, &f);
		assert_int_equal(f.outcome, SCAN_FOUND);
		assert_string_equal(f.signature, "Marker");
		sha_of(data, len, sha);
		assert_true(f.has_sha256);
		assert_memory_equal(f.sha256, sha, sizeof(sha));
	}
	free(data);
}

/* files of @dir up to @max bytes; how many, and how many had @want */
static void scan_dir(
	const char *dir, off_t max, enum scan_outcome want, size_t *ret_n, size_t *ret_ok)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	char path[512];
	struct stat st;

	assert_non_null(d);
	*ret_n = *ret_ok = 0;
	while ((e = readdir(d)) != NULL) {
		struct bed_content c;
		struct scan_finding f;

		(void)snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		if (lstat(path, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > max)
			continue;
		bed_file(&c, path);
		bed_run(&bed, &c, &f);
		bed_file_close(&c);
		(*ret_n)++;
		*ret_ok += f.outcome == want;
		if (f.outcome != want)
			print_message("%s: %d %s %s %s\n", path, (int)f.outcome, f.engine,
				f.signature, f.text);
	}
	(void)closedir(d);
}

static void test_run_all_testfiles_are_found(void **state)
{
	size_t n, ok;

	(void)state;
	scan_dir(BED_TESTFILES, BENIGN_MAX, SCAN_FOUND, &n, &ok);
	assert_int_equal(n, TESTFILES);
	assert_int_equal(ok, TESTFILES);
}

static void test_run_all_programs_are_clean(void **state)
{
	struct scan_pool_stats st;
	size_t n, ok;

	(void)state;
	scan_dir(BENIGN_DIR, BENIGN_MAX, SCAN_CLEAN, &n, &ok);
	assert_true(n > 100);
	assert_int_equal(ok, n);
	scan_pool_stats(bed.pool, &st);
	assert_int_equal(st.crashes + st.killed_budget + st.killed_protocol, 0);
	print_message("%zu files of " BENIGN_DIR "\n", n);
}

/* ---- a gzip of many equal bytes, put together here: 13 bits stand for 258 of them ---- */

struct bits {
	uint8_t *out;
	size_t n;
	uint32_t acc;
	unsigned int held;
};

/* @high_first: Huffman codes go in from their highest bit on */
static void put_bits(struct bits *b, uint32_t value, unsigned int count, bool high_first)
{
	for (unsigned int i = 0; i < count; i++) {
		b->acc |= (value >> (high_first ? count - 1 - i : i) & 1) << b->held;
		if (++b->held == 8) {
			b->out[b->n++] = (uint8_t)b->acc;
			b->acc = b->held = 0;
		}
	}
}

static uint32_t crc_of_zeros(size_t len)
{
	uint32_t table[256], crc = ~0u;

	for (uint32_t i = 0; i < 256; i++) {
		table[i] = i;
		for (int k = 0; k < 8; k++)
			table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0xedb88320u : 0);
	}
	while (len-- > 0)
		crc = crc >> 8 ^ table[crc & 0xff];
	return ~crc;
}

static uint8_t *bomb(uint32_t copies, size_t *ret_len)
{
	static const uint8_t head[10] = { 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3 };
	size_t plain = 1 + 258 * (size_t)copies;
	struct bits b = { .out = malloc(64 + copies * 13 / 8) };

	assert_non_null(b.out);
	memcpy(b.out, head, sizeof(head));
	b.n = sizeof(head);
	put_bits(&b, 1, 1, false);   /* last block */
	put_bits(&b, 1, 2, false);   /* fixed codes */
	put_bits(&b, 0x30, 8, true); /* literal 0 */
	for (uint32_t i = 0; i < copies; i++) {
		put_bits(&b, 0xc5, 8, true); /* 258 bytes */
		put_bits(&b, 0, 5, true);    /* from 1 byte back */
	}
	put_bits(&b, 0, 7, true); /* end of block */
	put_bits(&b, 0, (8 - b.held) % 8, false);
	for (int i = 0; i < 4; i++)
		b.out[b.n++] = (uint8_t)(crc_of_zeros(plain) >> (8 * i));
	for (int i = 0; i < 4; i++)
		b.out[b.n++] = (uint8_t)(plain >> (8 * i));
	*ret_len = b.n;
	return b.out;
}

static int setup_small(void **state)
{
	(void)state;
	bed_init(&bed);
	bed.conf.engines.max_file_bytes = 16 * MIB;
	bed.conf.engines.max_scan_bytes = 24 * MIB;
	bed_start(&bed);
	return 0;
}

static void test_run_bomb_stays_in_the_limits(void **state)
{
	struct scan_pool_stats st;
	struct scan_finding f;
	size_t len;
	uint8_t *data = bomb(64 * MIB / 258, &len);

	(void)state;
	assert_true(len < MIB / 2 + 64);
	bed_run_memory(&bed, data, len, &f);
	free(data);
	assert_int_equal(f.outcome, SCAN_FAILED);
	assert_non_null(strstr(f.text, "over the limit "));
	data = bomb(MIB / 258, &len); /* within them it is a file as any other */
	bed_run_memory(&bed, data, len, &f);
	free(data);
	assert_int_equal(f.outcome, SCAN_CLEAN);
	scan_pool_stats(bed.pool, &st);
	assert_int_equal(st.starts, 1);
}

static int setup_hurried(void **state)
{
	(void)state;
	bed_init(&bed);
	bed.conf.engines.max_scan_ms = 1;
	bed_start(&bed);
	return 0;
}

static void test_run_scan_over_its_time_is_failed(void **state)
{
	struct scan_finding f;
	size_t len;
	uint8_t *data = bomb(128 * MIB / 258, &len);

	(void)state;
	bed_run_memory(&bed, data, len, &f);
	free(data);
	assert_int_equal(f.outcome, SCAN_FAILED);
	assert_string_equal(f.text, "out of time");
}

static int setup_little_memory(void **state)
{
	(void)state;
	bed_init(&bed);
#ifndef __SANITIZE_ADDRESS__
	bed.conf.memory_bytes = 4 * MIB;
#endif
	bed.conf.engines.buffer_bytes = MIB; /* so that a larger file asks libclamav for its size */
	bed_start(&bed);
	return 0;
}

static void test_run_over_the_memory_limit_fails_the_file(void **state)
{
	uint8_t *data = calloc(1, 64 * MIB);
	struct scan_finding f;

	(void)state;
#ifdef __SANITIZE_ADDRESS__
	free(data);
	print_message("skipped: no memory limit under the address sanitizer\n");
	skip();
#endif
	assert_non_null(data);
	bed_run_memory(&bed, data, 64 * MIB, &f);
	free(data);
	assert_int_equal(f.outcome, SCAN_FAILED);
	print_message("%s\n", f.text);
	bed_run_memory(&bed, "hello", 5, &f);
	assert_int_equal(f.outcome, SCAN_CLEAN);
}

/* so many that ClamAV has two matchers, and takes a while to load */
static int setup_many(void **state)
{
	char line[128], path[128];
	FILE *db;

	(void)state;
	bed_init(&bed);
	(void)snprintf(path, sizeof(path), "%s/many.ndb", bed.db);
	db = fopen(path, "we");
	assert_non_null(db);
	for (uint32_t i = 0; i < 60000; i++) {
		(void)snprintf(line, sizeof(line), "Many-%u:0:*:%08x%08x%08x%08x\n", i,
			i * 2654435761u, i ^ 0x5a5a5a5au, i * 40503u, ~i);
		assert_true(fputs(line, db) >= 0);
	}
	assert_int_equal(fclose(db), 0);
	bed.conf.recycle_jobs = 3;
	bed_start(&bed);
	return 0;
}

static void test_run_many_signatures_find_the_same_and_load_once(void **state)
{
	struct scan_pool_stats st;
	struct scan_finding f;
	size_t n, ok;

	test_run_eicar_is_found_by_clamav(state);
	scan_dir(BED_TESTFILES, 100u << 10, SCAN_FOUND, &n, &ok);
	assert_true(n > 20);
	assert_int_equal(ok, n);
	bed_run_memory(&bed, "hello", 5, &f);
	assert_int_equal(f.outcome, SCAN_CLEAN);
	scan_pool_stats(bed.pool, &st);
	assert_true(st.jobs > 20);
	assert_int_equal(st.starts, 1); /* so few files are not worth another start */
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_run_eicar_is_found_by_clamav, setup, teardown),
		cmocka_unit_test_setup_teardown(test_run_rule_is_found_by_yara, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_run_empty_and_plain_content_is_clean, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_run_match_across_ranges_is_found, setup, teardown),
		cmocka_unit_test_setup_teardown(test_run_all_testfiles_are_found, setup, teardown),
		cmocka_unit_test_setup_teardown(test_run_all_programs_are_clean, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_run_bomb_stays_in_the_limits, setup_small, teardown),
		cmocka_unit_test_setup_teardown(
			test_run_scan_over_its_time_is_failed, setup_hurried, teardown),
		cmocka_unit_test_setup_teardown(test_run_over_the_memory_limit_fails_the_file,
			setup_little_memory, teardown),
		cmocka_unit_test_setup_teardown(
			test_run_many_signatures_find_the_same_and_load_once, setup_many, teardown),
	};

	if (argc > 1 && strcmp(argv[1], "--worker") == 0)
		scan_worker_main(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
