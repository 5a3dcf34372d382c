/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ctl.h - the control socket: idfwctl's requests, answered from the engine and the store
 *
 * A unix socket (mode 0660, group of the configuration); the peer's uid (SO_PEERCRED) is the "by"
 * of every audit record. Row shapes: docs/control.md, the same that `idfwctl --json` prints.
 */
#ifndef SVM_IDFW_CTL_H
#define SVM_IDFW_CTL_H

#include "lib/io/loop.h"
#include "svm-idfw/dirroute.h"
#include "svm-idfw/engine.h"
#include "svm-idfw/store.h"

#define CTL_POLICY_MAX (4u << 20)

struct idfw_ctl;

struct idfw_ctl_ops {
	/* optional: called before the engine is told to change anything (its clock, the flush
	 * afterwards) */
	void (*round)(void *arg);
	/* parse, store, publish; diagnostics (rendered) into @out; 0, -GI_ESYNTAX, other */
	int (*policy_commit)(void *arg, const char *text, size_t len, const char *by,
		struct gi_buf *out, uint64_t *ret_generation);
	/* rendered links: one JSON object a mux into cb */
	void (*links)(void *arg, void (*cb)(void *cb_arg, const char *json_row), void *cb_arg);
	/* optional: directory @i, 0 first, or NULL; borrowed until the loop's next round */
	struct idfw_dir *(*directory)(void *arg, size_t i);
	/* with directory: which of them are asked for a name, and by which name; as dirroute.h */
	int (*route)(void *arg, const char *name, const char *names_in,
		char ret_name[DIR_NAME_MAX + 1], struct dir_route *ret);
	/* optional: whose names with a domain are; borrowed as long as the process lives */
	const struct pol_domains *(*domains)(void *arg);
};

/*
 * idfw_ctl_new - listen on @endpoint (unix:PATH, mode 0660)
 * All pointers are borrowed until idfw_ctl_free().
 * Errors: those of io_endpoint_parse() and io_sock_listen(), -ENOMEM
 */
GI_MUST_CHECK int idfw_ctl_new(struct io_loop *l, const char *endpoint, struct idfw_engine *e,
	struct idfw_store *s, const struct idfw_ctl_ops *ops, void *arg, struct idfw_ctl **ret);
void idfw_ctl_free(struct idfw_ctl *c);

#endif
