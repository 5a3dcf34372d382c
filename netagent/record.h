/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * record.h - one record of a spool segment: bytes <-> values
 *
 * Pure; the layout is in spool.h. Reading never believes a length before it is bounded, nor a
 * payload before its CRC fits, so any file at all may be read.
 */
#ifndef NETAGENT_RECORD_H
#define NETAGENT_RECORD_H

#include <stddef.h>
#include <stdint.h>
#include "lib/base/buf.h"
#include "lib/base/err.h"

#define NA_SEGMENT_MAGIC "IDFWSPL1"
#define NA_SEGMENT_MAGIC_LEN 8
#define NA_RECORD_HEAD 20

struct na_record {
	uint8_t type; /* enum na_spool_record */
	uint64_t seq;
	uint32_t len; /* of the payload */
	uint32_t crc;
};

/* appends head and payload */
void na_record_encode(
	struct gi_buf *out, uint8_t type, uint64_t seq, const void *buf, uint32_t len);
/* @head: NA_RECORD_HEAD bytes; -GI_EPROTO when no record can begin like that */
GI_MUST_CHECK int na_record_head(const uint8_t *head, struct na_record *ret);
/* the payload, @r->len bytes, is what was written; -GI_EPROTO */
GI_MUST_CHECK int na_record_check(const struct na_record *r, const uint8_t *head, const void *buf);

#endif
