/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * err.h - error codes that all modules share
 *
 * Functions return 0 or a negative number: -errno, or one of these (<= -1000).
 * Nothing below a program's main logs, prints or exits.
 */
#ifndef GI_ERR_H
#define GI_ERR_H

#include <errno.h>

enum gi_err {
	GI_ELIMIT = 1000,    /* a named maximum was reached (the contract says which) */
	GI_EPROTO = 1001,    /* a peer's bytes are malformed */
	GI_EDENIED = 1002,   /* a well-formed message that this sender may not send (now) */
	GI_EVERSION = 1003,  /* no common protocol version */
	GI_EFULL = 1004,     /* bounded queue is full; nothing was queued */
	GI_ESYNTAX = 1005,   /* user's text is wrong; diagnostics say where */
	GI_ESTATE = 1006,    /* generation/version does not follow; a full push is needed */
	GI_ETLS = 1007,	     /* TLS failed; the text says why */
	GI_ECLOSED = 1008,   /* peer closed in order */
	GI_ENOTFOUND = 1009, /* no such thing (session, VM, principal, ...) */
};

#define GI_MUST_CHECK __attribute__((warn_unused_result))
#define GI_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define GI_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/*
 * gi_strerror - words for a code of ours or a negative errno
 * @err: negative code, or 0
 * Returns static or thread-local text, never NULL.
 */
const char *gi_strerror(int err);

#endif
