/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * chan.h - framed, bounded, non-blocking channel over a connected stream socket or TLS
 *
 * A frame is a 4-byte big-endian length (of the payload, 1..max_frame) and the payload.
 * Reads are bounded: at most one gulp (64 KiB) and one frame are buffered beyond what the owner
 * consumed, and nothing is read while it pauses; a length of 0 or over max_frame closes the
 * channel with -GI_EPROTO, as soon as it is seen. Writes go to a queue of at most
 * max_queue bytes; beyond that io_chan_send() returns -GI_EFULL and queues nothing: what to do
 * is the owner's decision (and its counter). Writes are gathered and flushed once a loop round,
 * 64 KiB at most, so that one busy channel does not hold up the others of its loop.
 *
 * Callbacks come from the loop only, never from inside a call of the owner's. frame() for each
 * whole frame (buf is borrowed for the call); closed() at most once, and nothing behind it: the
 * owner then calls io_chan_free(). It may do so in any callback. drained() when the queue fell
 * below half of max_queue after it was over it.
 *
 * closed() says -GI_ECLOSED (the peer ended between two frames), -GI_EPROTO (inside one, or a
 * bad length), -GI_ETLS (also: the peer refused us, or cut the connection without TLS's goodbye),
 * -ENOMEM, or the errno of connect, read or write. There is no deadline in here: for a peer that
 * connects and says nothing the owner keeps a timer until ready() and the first frame.
 * Source: docs/wire.md "Frames".
 */
#ifndef IO_CHAN_H
#define IO_CHAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/base/err.h"
#include "lib/io/loop.h"

struct io_chan;
struct io_tls;

struct io_chan_ops {
	void (*ready)(
		void *arg, struct io_chan *c); /* optional; connected and (TLS) handshake done */
	void (*frame)(void *arg, struct io_chan *c, const uint8_t *buf, size_t len);
	void (*closed)(void *arg, struct io_chan *c, int err, const char *why);
	void (*drained)(void *arg, struct io_chan *c); /* optional */
};

struct io_chan_conf {
	size_t max_frame; /* payload bytes */
	size_t max_queue; /* bytes waiting to be sent */
};

/*
 * io_chan_new - wrap a descriptor
 * @fd: takes (also on error); non-blocking is set here; may still be connecting
 * @tls: takes, or NULL for plain
 * @ops, @arg: borrows until closed()
 */
GI_MUST_CHECK int io_chan_new(struct io_loop *l, int fd, struct io_tls *tls,
	const struct io_chan_conf *conf, const struct io_chan_ops *ops, void *arg,
	struct io_chan **ret);
/*
 * NULL is fine; closed() is not called. What is queued goes out only as far as the socket takes
 * it at once: a last word ("denied, because") usually arrives, but nothing is promised.
 */
void io_chan_free(struct io_chan *c);
/*
 * queue one frame, before ready() too: 0, -GI_EFULL, -GI_ELIMIT (empty or over max_frame),
 * -ENOTCONN (after closed()), -ENOMEM
 */
GI_MUST_CHECK int io_chan_send(struct io_chan *c, const void *buf, size_t len);
/* the same for a frame in two parts: @head goes in front of @buf */
GI_MUST_CHECK int io_chan_send2(
	struct io_chan *c, const void *head, size_t head_len, const void *buf, size_t len);
size_t io_chan_queued(const struct io_chan *c); /* bytes */
void io_chan_read_pause(struct io_chan *c);	/* back pressure: stop reading from the peer */
void io_chan_read_resume(struct io_chan *c);
int io_chan_fd(const struct io_chan *c);	     /* borrowed, for SO_PEERCRED and the like */
struct io_tls *io_chan_tls(const struct io_chan *c); /* borrowed or NULL */
uint64_t io_chan_frames_in(const struct io_chan *c);
uint64_t io_chan_frames_out(const struct io_chan *c);

#endif
