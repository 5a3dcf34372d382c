/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hash.h - SipHash-1-3: a keyed hash for tables whose keys others choose
 *
 * Pure. With a random key nobody outside can make a table slow, or two values look alike.
 * Source: Aumasson, Bernstein, "SipHash: a fast short-input PRF".
 */
#ifndef LIB_BASE_HASH_H
#define LIB_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t gi_siphash(const uint64_t key[2], const void *data, size_t len);

#endif
