/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sandbox.h - what a scan worker can do once its engines are loaded: hardly anything
 *
 * Three layers, each enough alone for most of it: limits (memory, descriptors, file size, no
 * core), landlock (no path but the worker's own directory, no TCP, no signals and abstract sockets
 * to others), seccomp (a short list of system calls; any other one ends the process).
 * docs/scan.md "The scanner's workers" has the table.
 */
#ifndef SVM_SCAN_SANDBOX_H
#define SVM_SCAN_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>
#include "lib/base/err.h"
#include "svm-scan/pool.h"

struct scan_sandbox_conf {
	const char *tmp_dir;   /* the only path that remains */
	uint64_t memory_bytes; /* on top of what is in use; UINT64_MAX: unbounded */
	uint64_t file_bytes;   /* largest file in tmp_dir */
	bool relaxed;	       /* no landlock in this kernel is fine */
};

/*
 * scan_sandbox_user - become @user, as far as we are root, and keep dying with the parent
 * Before anything else in the process. Errors: io_priv_drop()'s
 */
GI_MUST_CHECK int scan_sandbox_user(const char *user);
/*
 * scan_sandbox_shut - no way back; descriptors 0..2 lead to /dev/null, others stay
 * One thread only. The process has to end when this fails.
 * @ret_tmp_fd: tmp_dir, open; owned
 * Errors: errno of the steps with words in @why; -EOPNOTSUPP: no landlock
 */
GI_MUST_CHECK int scan_sandbox_shut(
	const struct scan_sandbox_conf *conf, char why[SCAN_WHY_MAX], int *ret_tmp_fd);

/*
 * scan_tmp_empty - remove everything below a directory, whatever its owner built there
 * (tmpdir.c; worker and service). Follows no link, needs two descriptors for any depth.
 * Errors: errno
 */
GI_MUST_CHECK int scan_tmp_empty(int dir_fd);

#endif
