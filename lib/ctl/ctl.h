/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ctl.h - a daemon's control socket: listener, clients, requests, answers with back pressure
 *
 * svm-idfw and svm-scan serve idfwctl with it. A unix socket (mode 0660; the owner gives it a
 * group); one connection is one request. The owner gets a whole request with its data and who asks
 * ("root", "uid 1000": SO_PEERCRED), and is asked for rows as long as the client's queue has room:
 * a client that does not read costs one megabyte, and is dropped when it has not moved for a
 * minute. Garbage, a second request, data that was not announced: dropped with a log line. All in
 * one loop's thread. Source: docs/control.md, docs/wire.md.
 */
#ifndef GI_CTL_H
#define GI_CTL_H

#include <stdbool.h>
#include <stddef.h>
#include "lib/base/err.h"
#include "lib/base/log.h"
#include "lib/io/loop.h"
#include "lib/wire/wire.h"

#define GI_CTL_CLIENTS_MAX 64

struct gi_ctl;
struct gi_ctl_client; /* one client; lives until ops.free() of its query returns */

/* where an answer goes */
struct gi_ctl_out {
	/* false: no room for more after this one; it was taken all the same */
	bool (*row)(void *arg, const char *json);
	bool (*text)(void *arg, const void *data, size_t len);
	void *arg;
};

enum gi_ctl_step {
	GI_CTL_MORE, /* there is more, as soon as there is room */
	GI_CTL_WAIT, /* there will be more: gi_ctl_wake() */
	GI_CTL_DONE
};

struct gi_ctl_ops {
	/*
	 * A whole request. @r, @data, @by: borrowed for the call; @cl: for gi_ctl_wake(), as long
	 * as the query lives. @ret_query: the owner's, given back to the others; not NULL.
	 * Unknown verbs and bad arguments are an answer (status 2), not an error here: negative
	 * drops the client.
	 */
	int (*begin)(void *arg, struct gi_ctl_client *cl, const Idfw__CtlRequest *r,
		const char *data, size_t len, const char *by, void **ret_query);
	/* gives what there is room for */
	enum gi_ctl_step (*step)(void *query, const struct gi_ctl_out *out);
	/* after GI_CTL_DONE: idfwctl's exit code, and words for a human when it is not 0 */
	uint32_t (*end)(void *query, const char **ret_why);
	/* answered, or the client went away: step() will not be called again */
	void (*free)(void *query);
	void (*log)(void *arg, enum gi_log_level level, const char *text);
};

struct gi_ctl_conf {
	const char *endpoint; /* unix:PATH */
	const char *software; /* for HelloAck; borrowed until gi_ctl_free() */
	size_t max_data;      /* bytes of CtlData that a request may have; 0: none */
};

/*
 * gi_ctl_new - listen
 * @ops, @arg: borrowed until gi_ctl_free()
 * Errors: those of io_endpoint_parse() and io_sock_listen(), -ENOMEM
 */
GI_MUST_CHECK int gi_ctl_new(struct io_loop *l, const struct gi_ctl_conf *conf,
	const struct gi_ctl_ops *ops, void *arg, struct gi_ctl **ret);
void gi_ctl_free(struct gi_ctl *c); /* clients too; NULL is fine */
/* a query that said GI_CTL_WAIT can go on: step() follows from the loop, not from in here */
void gi_ctl_wake(struct gi_ctl_client *cl);

#endif
