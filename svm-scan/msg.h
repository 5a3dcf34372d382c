/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * msg.h - frames of idfw.proto over the socketpair of service and scan worker, blocking
 *
 * Both sides use it, and both block: a slot's thread has nothing else to do, a worker neither.
 * Every wait ends at a deadline, or when a second descriptor (the pool's "stop") becomes readable.
 * One thread at a time.
 */
#ifndef SVM_SCAN_MSG_H
#define SVM_SCAN_MSG_H

#include <stddef.h>
#include <stdint.h>
#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/wire/wire.h"

struct scan_msgs {
	int fd;		       /* borrowed; blocking or not */
	int stop_fd;	       /* borrowed, or -1: readable means -ECANCELED */
	uint64_t deadline_ms;  /* CLOCK_MONOTONIC; UINT64_MAX: none */
	enum wire_sender peer; /* whose rights what is received has */
	enum wire_state state;
	bool would_block;      /* its socket does not block: it is polled before each read */
	struct gi_buf in, out; /* owned */
};

void scan_msgs_init(struct scan_msgs *m, int fd, enum wire_sender peer);
void scan_msgs_fini(struct scan_msgs *m); /* @m zeroed and never initialised is fine */

/* Errors: -ETIMEDOUT, -ECANCELED, -GI_ECLOSED, wire_envelope_encode()'s, errno of send and poll */
GI_MUST_CHECK int scan_msgs_send(struct scan_msgs *m, const Idfw__Envelope *e);
/*
 * @ret: returned owned, wire_envelope_free(); untouched on error
 * @ret_why: static words on -GI_EPROTO, -GI_EDENIED and -GI_ELIMIT
 * Errors: as scan_msgs_send(), wire_envelope_decode()'s
 */
GI_MUST_CHECK int scan_msgs_recv(struct scan_msgs *m, Idfw__Envelope **ret, const char **ret_why);
/* something can be received, or the peer is gone; never blocks */
bool scan_msgs_pending(struct scan_msgs *m);

uint64_t scan_now_ms(void); /* CLOCK_MONOTONIC */

#endif
