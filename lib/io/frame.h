/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * frame.h - the frame format of every channel, as pure functions on bytes
 *
 * A frame is a 4-byte big-endian payload length (1..max_frame) and the payload. Split here, and
 * not in chan.c, so that tests and the fuzzer reach it without descriptors.
 * Source: docs/wire.md "Frames".
 */
#ifndef IO_FRAME_H
#define IO_FRAME_H

#include <stddef.h>
#include <stdint.h>
#include "lib/base/err.h"

#define IO_FRAME_HEAD 4 /* bytes */

/*
 * io_frame_next - the frame that @buf begins with
 * @buf: borrows; what was received and not yet consumed
 * @ret_len: payload bytes; the payload is at @buf + IO_FRAME_HEAD. Also set with -EAGAIN when
 *	the head is whole, so that the caller knows how much to wait for; else 0.
 *
 * Errors:  -EAGAIN (not whole yet), -GI_EPROTO (length 0 or over @max_frame)
 */
GI_MUST_CHECK int io_frame_next(const uint8_t *buf, size_t len, size_t max_frame, size_t *ret_len);
/* writes the head of a frame with @len payload bytes, @len <= UINT32_MAX */
void io_frame_head(uint8_t head[IO_FRAME_HEAD], size_t len);

#endif
