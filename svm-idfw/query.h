/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * query.h - one control request, answered piece by piece
 *
 * ctl.c owns the client and its bounded queue; a query gives rows as long as there is room and
 * remembers where it stopped. Between two steps sessions and VMs may come and go: a query keeps
 * names and numbers, never pointers into the engine.
 */
#ifndef SVM_IDFW_QUERY_H
#define SVM_IDFW_QUERY_H

#include "svm-idfw/ctl.h"

struct dir_queries;

struct query_env { /* borrowed */
	struct idfw_engine *engine;
	struct idfw_store *store;
	const struct idfw_ctl_ops *ops;
	void *arg;	     /* for ops */
	uint64_t started_ms; /* of this svm-idfw, Unix */
	struct io_loop *loop;
	struct dir_queries *dir_queries; /* dirquery.h */
};

struct query_out {
	/* false: no room for more after this one; it was taken all the same */
	bool (*row)(void *arg, const char *json);
	bool (*text)(void *arg, const void *data, size_t len);
	void *arg;
};

struct query;

/*
 * query_new - @r is copied; unknown verbs and bad arguments become an answer with status 2
 * @by: who asks, for the audit trail; copied
 */
GI_MUST_CHECK int query_new(const struct query_env *env, const Idfw__CtlRequest *r,
	const char *data, size_t len, const char *by, struct query **ret);
void query_free(struct query *q);
/* gives what there is room for; true: that was all. Call again when there is room, or when woken */
bool query_step(struct query *q, const struct query_out *out);
/* after a step that was not the last: nothing to give now; @wake follows, from the loop */
bool query_waits(const struct query *q);
void query_on_wake(struct query *q, void (*wake)(void *arg), void *arg);
/* after the last step */
uint32_t query_status(const struct query *q);
const char *query_why(const struct query *q); /* borrowed; "" with status 0 */

#endif
