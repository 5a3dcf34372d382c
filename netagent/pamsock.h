/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pamsock.h - the PAM module's end of gi-netagent: connections, deadlines, answers
 *
 * Runs in the parsing process, on a listener that the keeper bound. One connection carries one
 * event and one answer. The peer must be root (SO_PEERCRED), checked by us whatever the socket
 * file's mode. Invariants: at most NA_PAM_CONNS_MAX connections; each is answered or closed by its
 * deadline; a broken peer costs its own connection and one log line.
 */
#ifndef NETAGENT_PAMSOCK_H
#define NETAGENT_PAMSOCK_H

#include <stdbool.h>
#include <stdint.h>
#include "lib/base/err.h"
#include "lib/io/loop.h"
#include "netagent/pamblock.h"

#define NA_PAM_CONNS_MAX 1024
#define NA_PAM_READ_MS 5000 /* from accept to the whole datagram */

struct na_pam;
struct na_pam_conn;

/* who is at the other end */
struct na_pam_peer {
	uint32_t pid;
	uint64_t start; /* 0: not known */
	int pidfd;	/* -1: cannot be watched; else the callee may take it and set -1 */
	bool gone;	/* of an open: it ended before its event was read */
};

struct na_pam_ops {
	/*
	 * a good event of a root peer; the callee answers in it (na_pam_answer) or makes it wait
	 * (na_pam_wait, na_pam_hold)
	 */
	void (*event)(void *arg, struct na_pam_conn *c, const struct na_pam_event *ev,
		struct na_pam_peer *peer);
	/* for the log; each names a peer that was dropped */
	void (*dropped)(void *arg, uint32_t pid, uint32_t uid, const char *why);
};

/* @fd: takes, a listening SOCK_SEQPACKET socket; @ops, @arg: borrows */
GI_MUST_CHECK int na_pam_new(
	struct io_loop *l, int fd, const struct na_pam_ops *ops, void *arg, struct na_pam **ret);
void na_pam_free(struct na_pam *p);
/* sends and closes; the connection is gone then */
void na_pam_answer(struct na_pam_conn *c, enum na_pam_status s, uint64_t session, const char *text);
/* it waits for us, without a deadline of its own; na_pam_held() finds it again */
void na_pam_hold(struct na_pam_conn *c, uint64_t session);
/* who waits for this session; NULL: gave up */
struct na_pam_conn *na_pam_held(struct na_pam *p, uint64_t session);
/* answered by na_pam_ready(), or NA_PAM_TIMEOUT after @timeout_ms */
void na_pam_wait(struct na_pam_conn *c, uint64_t session, uint32_t timeout_ms);
/* answers whoever waits for this session; @text: for the log there, or NULL */
void na_pam_ready(struct na_pam *p, uint64_t session, enum na_pam_status s, const char *text);

#endif
