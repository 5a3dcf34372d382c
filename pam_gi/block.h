/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * block.h - the two datagrams of one exchange between pam_gi.so and gi-netagent
 *
 * Runs inside sshd, login, su, sudo: whatever loads the PAM module. Bytes in, bytes out: no
 * descriptor, no clock, no PAM. A datagram is an environment block: KEY=value entries, each
 * ended by a NUL, at most PAM_GI_BLOCK_MAX bytes in all, the first entry is IDFW=1.
 * Invariants: a built block never exceeds the maximum; a reply is believed whole or not at all.
 * Source: pam_gi(8) "PROTOCOL".
 */
#ifndef PAM_GI_BLOCK_H
#define PAM_GI_BLOCK_H

#include <stddef.h>
#include <stdint.h>
#include "lib/base/err.h"

#define PAM_GI_BLOCK_MAX 4096 /* bytes of one datagram */
#define PAM_GI_USER_MAX 256   /* bytes of USER; a longer one is refused, never cut */
#define PAM_GI_VALUE_MAX 255  /* bytes of any other value; a longer one is cut */

struct pam_gi_block {
	char data[PAM_GI_BLOCK_MAX];
	size_t len;
	int err; /* sticky: 0 or -GI_ELIMIT, -EINVAL */
};

/* what the PAM side knows about a session; NULL or "" where it knows nothing */
struct pam_gi_event {
	const char *event; /* "open" or "close" */
	const char *user;
	uint32_t uid;
	const char *service;
	const char *tty;
	const char *rhost;
	const char *ruser;
	const char *auth_info;	    /* SSH_AUTH_INFO_0; the first line is sent */
	const char *ssh_connection; /* SSH_CONNECTION; the client's address is sent */
	uint64_t session;	    /* at close; 0: not known */
	unsigned int wait;	    /* at open: answer when the rules are enforced */
	unsigned int retry;	    /* the agent went away under this very event */
	unsigned int timeout_ms;
};

enum pam_gi_status {
	PAM_GI_OK,	 /* recorded */
	PAM_GI_ENFORCED, /* recorded, and every enforcement point runs it */
	PAM_GI_DEGRADED, /* recorded, but not yet enforced everywhere */
	PAM_GI_TIMEOUT,	 /* recorded; not known to be enforced in the time given */
	PAM_GI_REFUSED,	 /* not recorded; text says why */
};

struct pam_gi_reply {
	enum pam_gi_status status;
	uint64_t session; /* 0: none given */
	char text[256];	  /* printable, "" if none */
};

/*
 * pam_gi_block_encode - the datagram for one event
 * @ev: borrows
 * @ret: written whole; its content is undefined on error
 * Errors: -EINVAL (no event, no user), -GI_ELIMIT (user too long)
 */
GI_MUST_CHECK int pam_gi_block_encode(const struct pam_gi_event *ev, struct pam_gi_block *ret);

/*
 * pam_gi_reply_parse - the agent's answer
 * @buf: borrows @len received bytes
 * @ret: untouched on error
 *
 * Unknown keys are passed over (a newer agent); a known key twice, a missing STATUS, an entry
 * without '=' or without its NUL, a wrong version are all errors.
 * Errors: -GI_EPROTO, -GI_ELIMIT (over PAM_GI_BLOCK_MAX)
 */
GI_MUST_CHECK int pam_gi_reply_parse(const void *buf, size_t len, struct pam_gi_reply *ret);

const char *pam_gi_status_name(enum pam_gi_status s);

#endif
