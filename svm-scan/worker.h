/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * worker.h - the parts of the worker process that tests drive with engines and sockets of theirs
 */
#ifndef SVM_SCAN_WORKER_H
#define SVM_SCAN_WORKER_H

#include "svm-scan/engine.h"
#include "svm-scan/sandbox.h"

#define SCAN_WORKER_FD 3
#define SCAN_ENGINES_MAX 2

struct scan_worker_conf { /* from the arguments; strings borrowed from argv */
	struct scan_engines_conf engines;
	struct scan_sandbox_conf sandbox;
	const char *user;
};
/* Errors: -EINVAL, with words in @why */
GI_MUST_CHECK int scan_worker_args(
	int argc, char **argv, struct scan_worker_conf *ret, char why[SCAN_WHY_MAX]);

struct scan_worker {
	struct scan_engines_conf conf;
	struct scan_engine engine[SCAN_ENGINES_MAX];
	size_t n_engines;
	struct scan_msgs msgs;
	struct scan_content content;
	int tmp_fd; /* emptied after each job; -1: none */
};

/*
 * scan_worker_serve - jobs, until the service closes or breaks the protocol
 * Returns: -GI_ECLOSED in order, else what was wrong
 */
int scan_worker_serve(struct scan_worker *w);

/*
 * scan_worker_epoch - engines, signatures and limits, as 16 bytes
 * @ret_stamp: of the files; differs after one changed
 * Errors: of the files and memory
 */
GI_MUST_CHECK int scan_worker_epoch(
	const struct scan_worker *w, struct scan_epoch *ret, uint64_t *ret_stamp);

#endif
