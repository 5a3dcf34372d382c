/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_sha256.c - digests against the examples of FIPS 180-4; text that is no digest
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "lib/io/sha256.h"

static void test_sha256_known_contents_give_known_digests(void **state)
{
	static const struct {
		const char *text, *hex;
	} rows[] = {
		{ "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
		{ "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
			"248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
	};
	struct io_sha256 *h = NULL;

	(void)state;
	assert_int_equal(io_sha256_new(&h), 0);
	for (size_t i = 0; i < GI_ARRAY_SIZE(rows); i++) {
		uint8_t sha[IO_SHA256_LEN], back[IO_SHA256_LEN];
		char hex[IO_SHA256_HEX];

		for (size_t k = 0; k < strlen(rows[i].text); k++)
			io_sha256_add(h, rows[i].text + k, 1);
		io_sha256_end(h, sha);
		io_sha256_hex(sha, hex);
		assert_string_equal(hex, rows[i].hex);
		assert_int_equal(io_sha256_parse(hex, strlen(hex), back), 0);
		assert_memory_equal(sha, back, sizeof(sha));
	}
	io_sha256_free(h);
}

static void test_sha256_parse_bad_text_is_refused(void **state)
{
	uint8_t sha[IO_SHA256_LEN];
	char hex[IO_SHA256_HEX];

	(void)state;
	memset(hex, 'A', sizeof(hex) - 1);
	hex[sizeof(hex) - 1] = '\0';
	assert_int_equal(io_sha256_parse(hex, 64, sha), 0);
	assert_int_equal(io_sha256_parse(hex, 63, sha), -EINVAL);
	hex[63] = 'g';
	assert_int_equal(io_sha256_parse(hex, 64, sha), -EINVAL);
	hex[63] = '/';
	assert_int_equal(io_sha256_parse(hex, 64, sha), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sha256_known_contents_give_known_digests),
		cmocka_unit_test(test_sha256_parse_bad_text_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
