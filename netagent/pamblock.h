/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pamblock.h - the PAM module's datagram and our answer: bytes <-> values
 *
 * Runs in gi-netagent's parsing process. A datagram is an environment block (pam_gi(8),
 * "PROTOCOL"): KEY=value entries, each ended by a NUL, at most NA_PAM_BLOCK_MAX bytes, the first
 * is IDFW=1. Pure: no descriptor, no clock.
 * Invariants: a block is believed whole or not at all; all text that comes out is clean UTF-8
 * within the wire's limits.
 */
#ifndef NETAGENT_PAMBLOCK_H
#define NETAGENT_PAMBLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/base/addr.h"
#include "lib/base/err.h"

#define NA_PAM_BLOCK_MAX 4096
#define NA_USER_MAX 256 /* bytes */
#define NA_TEXT_MAX 256
#define NA_SERVICE_MAX 64 /* service, tty */
#define NA_PAM_TIMEOUT_MAX_MS 60000

enum na_pam_kind {
	NA_PAM_OPEN,
	NA_PAM_CLOSE,
	NA_PAM_SOON, /* a login may follow; of whom is not said */
};

struct na_pam_event {
	enum na_pam_kind kind;
	char user[NA_USER_MAX + 1];
	uint32_t uid;
	char service[NA_SERVICE_MAX + 1];
	char tty[NA_SERVICE_MAX + 1];
	char rhost[NA_TEXT_MAX + 1];
	char auth[NA_TEXT_MAX + 1];
	struct gi_addr peer; /* family 0: none, or not an address */
	uint64_t session;    /* 0: not known */
	bool wait;
	bool retry; /* an agent before us may have recorded this event */
	uint32_t timeout_ms;
};

/*
 * na_pam_block_parse - one received datagram
 * @ret: untouched on error
 * @ret_why: static text for the log and the answer; set on error
 *
 * USER must be clean UTF-8 within its maximum; in the other texts a byte that is not is replaced by
 * '?' and what is too long is cut. Unknown keys are passed over; a known key twice, a missing
 * EVENT, USER or UID (with EVENT=soon: EVENT), a number out of range are errors. Errors:
 * -GI_EPROTO, -GI_ELIMIT (over NA_PAM_BLOCK_MAX, or USER too long)
 */
GI_MUST_CHECK int na_pam_block_parse(
	const void *buf, size_t len, struct na_pam_event *ret, const char **ret_why);

enum na_pam_status {
	NA_PAM_OK,
	NA_PAM_ENFORCED,
	NA_PAM_DEGRADED,
	NA_PAM_TIMEOUT,
	NA_PAM_REFUSED,
};

#define NA_PAM_REPLY_MAX 512

/*
 * na_pam_reply_format - the answer's datagram
 * @session: 0: leave out; @text: borrows, NULL or "": leave out; cut when too long
 * Returns the bytes written to @buf, always > 0.
 */
size_t na_pam_reply_format(
	enum na_pam_status status, uint64_t session, const char *text, char buf[NA_PAM_REPLY_MAX]);

#endif
