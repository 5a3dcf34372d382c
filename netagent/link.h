/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * link.h - the one connection of this guest to its host's mux
 *
 * Runs in gi-netagent's parsing process. Sends what the spool holds, in order, and the Snapshot
 * where linkstate.h says; answers pings, takes acknowledgements; hands every other message up.
 * Invariants: at most one connection; at most NA_LINK_QUEUE bytes queued on it (the spool is the
 * queue); a peer that says nothing for NA_LINK_SILENCE_MS is dropped.
 */
#ifndef NETAGENT_LINK_H
#define NETAGENT_LINK_H

#include <stdbool.h>
#include <stdint.h>
#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/io/loop.h"
#include "lib/io/sock.h"
#include "lib/io/spool.h"
#include "lib/wire/wire.h"

#define NA_LINK_QUEUE (1u << 20)
#define NA_LINK_OUTBOX (64u << 20) /* Snapshot and Marks that wait for room */
#define NA_LINK_HELLO_MS \
	30000 /* from connect to HelloAck; a mux without its SVM holds us so long */
#define NA_LINK_PING_MS 10000
#define NA_LINK_DRAIN_MS 30000
#define NA_LINK_SILENCE_MS 30000
#define NA_LINK_BACKOFF_MAX_MS 2000
#define NA_LINK_REFUSED_MS 5000

struct na_link;

struct na_link_ops {
	/* the Snapshot's frames (na_snapshot_frames) as of event @seq */
	int (*snapshot)(void *arg, struct gi_buf *frames, uint64_t seq);
	/* the Snapshot is queued; Marks may follow */
	void (*opened)(void *arg);
	/* any message that is not the link's own; borrowed for the call */
	void (*message)(void *arg, const Idfw__Envelope *e);
	/* conf.drain: all events are acknowledged, or none were for NA_LINK_DRAIN_MS; once */
	void (*drained)(void *arg, bool all);
	/* the connection is gone, or could not be made; once each time */
	void (*down)(void *arg, const char *why);
};

struct na_link_conf {
	struct io_endpoint mux;
	uint8_t boot_id[WIRE_BOOT_ID_LEN];
	const char *software; /* borrows */
	bool drain; /* only what the spool holds is sent, no Snapshot: an earlier boot's */
};

/* begins to connect at once; @spool, @ops, @arg: borrows */
GI_MUST_CHECK int na_link_new(struct io_loop *l, const struct na_link_conf *conf,
	struct io_spool *spool, const struct na_link_ops *ops, void *arg, struct na_link **ret);
void na_link_free(struct na_link *k);	       /* NULL is fine */
bool na_link_is_open(const struct na_link *k); /* NULL is not */
/* the spool has something new */
void na_link_wake(struct na_link *k);
/* an event got lost: connect anew, so that the Snapshot says what is */
void na_link_resync(struct na_link *k);
/* Applied, Marks: now or never; 0, -ENOTCONN (not open), -GI_EFULL, encoding's errors */
GI_MUST_CHECK int na_link_send(struct na_link *k, const Idfw__Envelope *e);
/* the same with a packed Envelope */
GI_MUST_CHECK int na_link_send_frame(struct na_link *k, const void *buf, size_t len);
/* whatever the owner found wrong in a message: drop the peer */
void na_link_fail(struct na_link *k, const char *why);

#endif
