/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * frame.c - split a byte stream into frames, put heads in front of payloads
 *
 * First code that looks at a peer's bytes, in every daemon. Pure: no state, no descriptors.
 * Invariant: a length is accepted or refused as soon as its four bytes are there, before any
 * memory is set aside for it. Source: docs/wire.md "Frames".
 */
#include "lib/io/frame.h"

int io_frame_next(const uint8_t *buf, size_t len, size_t max_frame, size_t *ret_len)
{
	size_t n;

	*ret_len = 0;
	if (len < IO_FRAME_HEAD)
		return -EAGAIN;
	n = (size_t)buf[0] << 24 | (size_t)buf[1] << 16 | (size_t)buf[2] << 8 | buf[3];
	if (n == 0 || n > max_frame)
		return -GI_EPROTO;
	*ret_len = n;
	return len - IO_FRAME_HEAD < n ? -EAGAIN : 0;
}

void io_frame_head(uint8_t head[IO_FRAME_HEAD], size_t len)
{
	head[0] = (uint8_t)(len >> 24);
	head[1] = (uint8_t)(len >> 16);
	head[2] = (uint8_t)(len >> 8);
	head[3] = (uint8_t)len;
}
