/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * events.h - sessions and addresses <-> wire messages and the spool's checkpoint
 *
 * Runs in gi-netagent's parsing process; the only file of this room, with link.c and rules.c, that
 * touches the generated message structs. Pure.
 */
#ifndef NETAGENT_EVENTS_H
#define NETAGENT_EVENTS_H

#include <stddef.h>
#include <stdint.h>
#include "lib/base/addr.h"
#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/wire/wire.h"
#include "netagent/session.h"

struct na_addrs {
	struct gi_addr list[WIRE_ADDRS_MAX]; /* sorted, no duplicates */
	size_t n;
};

/* a packed Session, as in sessions-dir; -GI_EPROTO, -GI_ELIMIT, -ENOMEM */
GI_MUST_CHECK int na_session_encode(const struct na_session *s, struct gi_buf *out);

/* one packed Envelope each, appended to out; -GI_EPROTO, -GI_ELIMIT, -ENOMEM */
GI_MUST_CHECK int na_event_open(struct gi_buf *out, uint64_t seq, const struct na_session *s);
GI_MUST_CHECK int na_event_close(
	struct gi_buf *out, uint64_t seq, uint64_t id, Idfw__EndReason reason, uint64_t now_ms);
GI_MUST_CHECK int na_event_addresses(struct gi_buf *out, uint64_t seq, const struct na_addrs *a);

/*
 * na_snapshot_frames - the Snapshot of a table, in as many parts as it takes
 * @out: appended: each part as u32 length (host order) and packed Envelope
 * @seq: the number of the last event that the table contains
 */
GI_MUST_CHECK int na_snapshot_frames(
	struct gi_buf *out, uint64_t seq, const struct na_sessions *t, const struct na_addrs *a);
/* the next frame of such a list; false at its end or when it is cut short; *at moves on */
bool na_frames_next(
	const struct gi_buf *frames, size_t *at, const void **ret_frame, size_t *ret_len);

/* the spool's checkpoint: numbering, then the Snapshot's frames; errors are sticky in out */
void na_checkpoint_write(
	struct gi_buf *out, uint64_t seq, const struct na_sessions *t, const struct na_addrs *a);
/* what na_checkpoint_write() wrote, into an empty table; -GI_EPROTO, -GI_ELIMIT, -ENOMEM */
GI_MUST_CHECK int na_checkpoint_read(
	const void *buf, size_t len, struct na_sessions *t, struct na_addrs *a);
/* one spooled event, applied to a table that may know it already */
GI_MUST_CHECK int na_event_replay(
	const void *buf, size_t len, struct na_sessions *t, struct na_addrs *a);

/* sorted, duplicates out */
void na_addrs_sort(struct na_addrs *a);
bool na_addrs_equal(const struct na_addrs *a, const struct na_addrs *b);

#endif
