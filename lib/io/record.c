/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * record.c - encode and check spool records, see record.h
 *
 * CRC-32 (IEEE 802.3), computed four bits at a time: a table of 16 words.
 */
#include "lib/io/record.h"

#include <string.h>

#include "lib/io/spool.h"

static uint32_t crc32_add(uint32_t crc, const void *buf, size_t len)
{
	static const uint32_t t[16] = { 0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190,
		0x6b6b51f4, 0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
		0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c };
	const uint8_t *p = buf;

	for (size_t i = 0; i < len; i++) {
		crc ^= p[i];
		crc = t[crc & 15] ^ crc >> 4;
		crc = t[crc & 15] ^ crc >> 4;
	}
	return crc;
}

/* over type, padding, seq and payload */
static uint32_t record_crc(const uint8_t *head, const void *buf, size_t len)
{
	uint32_t crc = crc32_add(0xffffffff, head + 8, IO_RECORD_HEAD - 8);

	return ~crc32_add(crc, buf, len);
}

void io_record_encode(struct gi_buf *out, uint8_t type, uint64_t seq, const void *buf, uint32_t len)
{
	uint8_t head[IO_RECORD_HEAD] = { 0 };
	uint32_t crc;

	memcpy(head, &len, 4);
	head[8] = type;
	memcpy(head + 12, &seq, 8);
	crc = record_crc(head, buf, len);
	memcpy(head + 4, &crc, 4);
	gi_buf_append(out, head, sizeof(head));
	gi_buf_append(out, buf, len);
}

int io_record_head(const uint8_t *head, struct io_record *ret)
{
	struct io_record r = { .type = head[8] };

	memcpy(&r.len, head, 4);
	memcpy(&r.crc, head + 4, 4);
	memcpy(&r.seq, head + 12, 8);
	if (head[9] || head[10] || head[11])
		return -GI_EPROTO;
	if (r.type == IO_SPOOL_EVENT ? r.len > IO_SPOOL_EVENT_MAX || r.seq == 0
				     : r.type != IO_SPOOL_CHECKPOINT || r.len > IO_SPOOL_RECORD_MAX)
		return -GI_EPROTO;
	*ret = r;
	return 0;
}

int io_record_check(const struct io_record *r, const uint8_t *head, const void *buf)
{
	return record_crc(head, buf, r->len) == r->crc ? 0 : -GI_EPROTO;
}
