/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sha256.c - SHA-256 by OpenSSL's EVP
 *
 * A failure of EVP after it was set up once would be a broken library: the digest is then all
 * zero, which no list and no cache holds, so that such a content is scanned each time.
 */
#include "lib/io/sha256.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/evp.h>

struct io_sha256 {
	EVP_MD_CTX *ctx;
	EVP_MD *md;
	bool bad;
};

int io_sha256_new(struct io_sha256 **ret)
{
	struct io_sha256 *h = calloc(1, sizeof(*h));

	if (!h)
		return -ENOMEM;
	h->ctx = EVP_MD_CTX_new();
	h->md = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (!h->ctx || !h->md) {
		io_sha256_free(h);
		return -ENOMEM;
	}
	io_sha256_begin(h);
	*ret = h;
	return 0;
}

void io_sha256_free(struct io_sha256 *h)
{
	if (!h)
		return;
	EVP_MD_CTX_free(h->ctx);
	EVP_MD_free(h->md);
	free(h);
}

void io_sha256_begin(struct io_sha256 *h)
{
	h->bad = EVP_DigestInit_ex2(h->ctx, h->md, NULL) != 1;
}

void io_sha256_add(struct io_sha256 *h, const void *buf, size_t len)
{
	h->bad = h->bad || EVP_DigestUpdate(h->ctx, buf, len) != 1;
}

void io_sha256_end(struct io_sha256 *h, uint8_t ret[IO_SHA256_LEN])
{
	unsigned int len = 0;

	h->bad = h->bad || EVP_DigestFinal_ex(h->ctx, ret, &len) != 1 || len != IO_SHA256_LEN;
	if (h->bad)
		memset(ret, 0, IO_SHA256_LEN);
	io_sha256_begin(h);
}

void io_sha256_hex(const uint8_t sha[IO_SHA256_LEN], char ret[IO_SHA256_HEX])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < IO_SHA256_LEN; i++) {
		ret[2 * i] = digits[sha[i] >> 4];
		ret[2 * i + 1] = digits[sha[i] & 15];
	}
	ret[2 * IO_SHA256_LEN] = '\0';
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int io_sha256_parse(const char *hex, size_t len, uint8_t ret[IO_SHA256_LEN])
{
	uint8_t sha[IO_SHA256_LEN];

	if (len != 2 * IO_SHA256_LEN)
		return -EINVAL;
	for (size_t i = 0; i < IO_SHA256_LEN; i++) {
		int hi = nibble(hex[2 * i]), lo = nibble(hex[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return -EINVAL;
		sha[i] = (uint8_t)(hi << 4 | lo);
	}
	memcpy(ret, sha, sizeof(sha));
	return 0;
}
