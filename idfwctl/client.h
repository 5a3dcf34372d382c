/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * client.h - one request to svm-idfw or svm-scan over its control socket, answered row by row
 *
 * Blocking with a deadline: a command that somebody waits for needs no event loop.
 * Source: docs/control.md, docs/wire.md.
 */
#ifndef IDFWCTL_CLIENT_H
#define IDFWCTL_CLIENT_H

#include <stddef.h>
#include <stdint.h>
#include "lib/base/err.h"

#define CTL_WAIT_MS 30000 /* for the next message */
#define CTL_WHY_MAX 1200

struct ctl_request {
	const char *verb; /* as on the wire: "policy-commit" */
	const char *const *args;
	size_t n_args;
	const void *data; /* policy text */
	size_t len;
};

struct ctl_sink { /* what comes; a negative return ends the call with it */
	int (*row)(void *arg, const char *json);	      /* one line, clean UTF-8 */
	int (*text)(void *arg, const void *data, size_t len); /* NUL-free; not cleaned */
	void *arg;
};

struct ctl_client;

/*
 * ctl_client_open - connect
 * @service: "svm-idfw" or "svm-scan", for the words; borrowed as long as the client
 * @socket: path, or unix:PATH
 * @ret_why: what failed, for a human, with what to do next; only on error
 * Errors: -errno of connect(2), -EINVAL, -ENOMEM
 */
GI_MUST_CHECK int ctl_client_open(const char *service, const char *socket, int wait_ms,
	struct ctl_client **ret, char ret_why[CTL_WHY_MAX]);
void ctl_client_close(struct ctl_client *c); /* NULL is fine */
/*
 * ctl_client_call - the request of this connection and its whole answer
 * @ret_status: svm-idfw's exit code
 * @ret_why: with 0: the end's text, "" none; on error: what went wrong
 * Errors: -ETIMEDOUT, -GI_ECLOSED, -GI_EPROTO, -GI_EVERSION and -GI_EDENIED (refused),
 *         -GI_ELIMIT (request too large), -EINVAL (an argument that cannot be sent), -errno,
 *         the sink's own
 */
GI_MUST_CHECK int ctl_client_call(struct ctl_client *c, const struct ctl_request *rq,
	const struct ctl_sink *sink, unsigned int *ret_status, char ret_why[CTL_WHY_MAX]);

#endif
