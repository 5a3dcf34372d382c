/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * record.h - one record of a spool segment: bytes <-> values
 *
 * Pure; the layout is in spool.h. Reading never believes a length before it is bounded, nor a
 * payload before its CRC fits, so any file at all may be read.
 */
#ifndef IO_RECORD_H
#define IO_RECORD_H

#include <stddef.h>
#include <stdint.h>
#include "lib/base/buf.h"
#include "lib/base/err.h"

#define IO_SEGMENT_MAGIC "IDFWSPL1"
#define IO_SEGMENT_MAGIC_LEN 8
#define IO_RECORD_HEAD 20

struct io_record {
	uint8_t type; /* enum io_spool_record */
	uint64_t seq;
	uint32_t len; /* of the payload */
	uint32_t crc;
};

/* appends head and payload */
void io_record_encode(
	struct gi_buf *out, uint8_t type, uint64_t seq, const void *buf, uint32_t len);
/* @head: IO_RECORD_HEAD bytes; -GI_EPROTO when no record can begin like that */
GI_MUST_CHECK int io_record_head(const uint8_t *head, struct io_record *ret);
/* the payload, @r->len bytes, is what was written; -GI_EPROTO */
GI_MUST_CHECK int io_record_check(const struct io_record *r, const uint8_t *head, const void *buf);

#endif
