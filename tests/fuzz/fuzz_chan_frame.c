/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_chan_frame.c - any bytes through the frame splitter of lib/io/frame.c
 *
 * The same stream is split at once and byte by byte; both must see the same frames and the same
 * end. This is what a hostile guest or a peer in the network reaches first.
 */
#include <stdint.h>
#include <stdlib.h>
#include "lib/io/frame.h"

#define FUZZ_MAX_FRAME 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* number of frames; @ret_err: how the stream goes on behind them */
static size_t split(const uint8_t *data, size_t size, size_t *ret_at, int *ret_err)
{
	size_t at = 0, frames = 0, len;

	for (;;) {
		*ret_err = io_frame_next(data + at, size - at, FUZZ_MAX_FRAME, &len);
		if (*ret_err)
			break;
		if (len == 0 || len > FUZZ_MAX_FRAME || len + IO_FRAME_HEAD > size - at)
			abort();
		at += IO_FRAME_HEAD + len;
		frames++;
	}
	*ret_at = at;
	return frames;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t at, slow_at = 0, frames, slow = 0, len;
	int err, slow_err = -EAGAIN;

	frames = split(data, size, &at, &err);
	for (size_t end = 0; end <= size && slow_err == -EAGAIN; end++) {
		slow_err = io_frame_next(data + slow_at, end - slow_at, FUZZ_MAX_FRAME, &len);
		if (slow_err == 0) {
			slow++;
			slow_at += IO_FRAME_HEAD + len;
			slow_err = -EAGAIN;
		}
	}
	if (frames != slow || at != slow_at || err != slow_err)
		abort();
	return 0;
}
