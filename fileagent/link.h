/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * link.h - the file lane's connection from this guest to its host's mux
 *
 * Runs in gi-fileagent's worker. Hello, HelloAck, then ScanSettings and all that follows; answers
 * pings, reconnects with backoff, hands every other message up. At most FA_LINK_QUEUE bytes wait to
 * be sent: what does not fit is the sender's to keep, has_room() and room() say when to go on.
 */
#ifndef FILEAGENT_LINK_H
#define FILEAGENT_LINK_H

#include <stdbool.h>
#include <stdint.h>
#include "lib/base/err.h"
#include "lib/io/loop.h"
#include "lib/io/sock.h"
#include "lib/wire/wire.h"

#define FA_LINK_QUEUE (2u << 20)
#define FA_LINK_RESERVE                                                          \
	(512u << 10) /* of it, for what an opener waits for: FileEvent, FileDone \
		      */
#define FA_LINK_HELLO_MS 10000
#define FA_LINK_PING_MS 5000
#define FA_LINK_SILENCE_MS 15000
#define FA_LINK_BACKOFF_MAX_MS 1000
#define FA_LINK_REFUSED_MS 5000

struct fa_link;

struct fa_link_ops {
	uint64_t (*last_seq)(void *arg); /* for Hello: highest FileReport number given out */
	void (*up)(void *arg, uint64_t acked_seq);
	void (*message)(void *arg, const Idfw__Envelope *e); /* borrowed for the call */
	void (*room)(void *arg);			     /* has_room() is true again */
	void (*down)(void *arg, const char *why); /* once each time; also when it never was up */
};

struct fa_link_conf {
	struct io_endpoint mux;
	uint8_t boot_id[WIRE_BOOT_ID_LEN];
	const char *software; /* borrows */
};

/* begins to connect at once; @ops, @arg: borrows */
GI_MUST_CHECK int fa_link_new(struct io_loop *l, const struct fa_link_conf *conf,
	const struct fa_link_ops *ops, void *arg, struct fa_link **ret);
void fa_link_free(struct fa_link *k);
bool fa_link_is_up(const struct fa_link *k); /* HelloAck came */
/* true: a message that can wait (FileReport, FileReply, FileData, LogLine) may be sent now */
bool fa_link_has_room(const struct fa_link *k);
/* 0, -ENOTCONN, -GI_EFULL (nothing is queued then), encoding's errors */
GI_MUST_CHECK int fa_link_send(struct fa_link *k, const Idfw__Envelope *e);
/* the same with a packed Envelope */
GI_MUST_CHECK int fa_link_send_frame(struct fa_link *k, const void *buf, size_t len);
/* whatever the owner found wrong in a message: drop the peer */
void fa_link_fail(struct fa_link *k, const char *why);
/* another mux (configuration): connect there */
void fa_link_move(struct fa_link *k, const struct io_endpoint *mux);

#endif
