/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sha256.h - SHA-256 (FIPS 180-4) of content, by OpenSSL's EVP
 *
 * One object hashes many contents one after the other; it is not to be shared between threads.
 */
#ifndef IO_SHA256_H
#define IO_SHA256_H

#include <stddef.h>
#include <stdint.h>
#include "lib/base/err.h"

#define IO_SHA256_LEN 32
#define IO_SHA256_HEX (2 * IO_SHA256_LEN + 1)

struct io_sha256;

GI_MUST_CHECK int io_sha256_new(struct io_sha256 **ret); /* begun; -ENOMEM */
void io_sha256_free(struct io_sha256 *h);
void io_sha256_begin(struct io_sha256 *h); /* forgets what it has */
void io_sha256_add(struct io_sha256 *h, const void *buf, size_t len);
void io_sha256_end(struct io_sha256 *h, uint8_t ret[IO_SHA256_LEN]); /* then begin() again */
/* lower case, with a NUL */
void io_sha256_hex(const uint8_t sha[IO_SHA256_LEN], char ret[IO_SHA256_HEX]);
/* exactly 64 hexadecimal digits: -EINVAL */
GI_MUST_CHECK int io_sha256_parse(const char *hex, size_t len, uint8_t ret[IO_SHA256_LEN]);

#endif
