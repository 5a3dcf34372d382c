/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * exchange.h - one question, one answer, one deadline
 *
 * Runs inside the program that logs the user in, so: no signal is raised, no handler touched, no
 * thread, no descriptor left behind, and no more time spent than was asked for, whatever the
 * other side does (absent, stopped, backlog full, silent, wrong).
 */
#ifndef PAM_GI_EXCHANGE_H
#define PAM_GI_EXCHANGE_H

#include <stddef.h>
#include "lib/base/err.h"

long long pam_gi_now_us(void); /* CLOCK_MONOTONIC */

/*
 * pam_gi_exchange - connect (SOCK_SEQPACKET), send, receive, close
 * @path: of the agent's socket
 * @ret_len: bytes of the answer in @ret_buf
 *
 * Units:   @timeout_ms of CLOCK_MONOTONIC for all of it; 0: only what needs no waiting
 * Errors:  -ETIMEDOUT, -ECONNRESET (closed without an answer), -GI_ELIMIT (answer does not fit),
 *          -ENAMETOOLONG, -errno of socket(2), connect(2), send(2), recv(2)
 */
GI_MUST_CHECK int pam_gi_exchange(const char *path, unsigned int timeout_ms, const void *msg,
	size_t len, void *ret_buf, size_t buf_size, size_t *ret_len);
/* connect, send, close: nobody answers; units and errors as above */
GI_MUST_CHECK int pam_gi_tell(
	const char *path, unsigned int timeout_ms, const void *msg, size_t len);

#endif
