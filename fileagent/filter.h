/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * filter.h - what the configuration says about one event: who looks at it, and how it fails
 *
 * Built once from a struct fa_conf, then read-only (any thread). Pure. Paths are matched by their
 * parts, the longest wins: an exclusion below a watch takes out, a watch below an exclusion takes
 * in again; of two equally long the exclusion wins. A lookup costs the path's depth, whatever the
 * number of entries.
 *
 * A path that the kernel gives for a file descriptor is a path in the opener's mounts. A user can
 * make mounts of his own (unshare -rm; mount --bind ~/evil /excluded): the path of a file on a
 * mount that is not of our namespace means nothing. Whoever asks says so (@foreign), and no
 * exclusion by path holds then.
 */
#ifndef FILEAGENT_FILTER_H
#define FILEAGENT_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "fileagent/faconf.h"
#include "fileagent/mounts.h"

struct fa_filter;

enum fa_filtered { FA_WATCHED, FA_OUTSIDE, FA_EXCLUDED };

struct fa_policy {	   /* of the watch that a file falls under */
	const char *watch; /* its name; lives as long as the filter; "" of a foreign mount's */
	uint32_t events;   /* FAN_EV_OPEN, FAN_EV_EXEC, FAN_EV_CLOSE_WRITE */
	uint32_t strict;   /* of these: denied when there is no verdict */
	int block_errno;   /* what the opener of an infected file gets */
};

/* @conf: borrows, only for the call. Errors: -ENOMEM, -EINVAL (words the check did not see) */
GI_MUST_CHECK int fa_filter_new(const struct fa_conf *conf, struct fa_filter **ret);
void fa_filter_free(struct fa_filter *f);

/*
 * fa_filter_path - is that file looked at?
 * @path: bytes, absolute; anything else is taken as foreign
 * @foreign: its mount is not one of ours (struct statx.stx_mnt_id, fa_mounts_has())
 * @ret: filled with FA_WATCHED only. Foreign: the strictest of all watches
 */
enum fa_filtered fa_filter_path(const struct fa_filter *f, const char *path, size_t len,
	bool foreign, struct fa_policy *ret);
/*
 * fa_filter_file - the same for an open file, whatever mount it was opened through: a bind mount
 * shows a watched directory under another name. Watched when one of its names is; excluded when
 * one is and none is watched. fa_filter_path() for each mount of the file system.
 * @mounts: borrows; ours; @mnt_id: struct statx.stx_mnt_id, 0: not known (then by @path alone)
 */
enum fa_filtered fa_filter_file(const struct fa_filter *f, const struct fa_mounts *mounts,
	uint64_t mnt_id, const char *path, size_t len, struct fa_policy *ret);
/* false: let through. Cheap and without effect when there are no such items */
bool fa_filter_uid(const struct fa_filter *f, uint32_t uid);
/*
 * @exe: absolute path of the program; @verified: that path leads to that very file in our
 * namespace (else it takes part in no exclusion, and in no inclusion: it is looked at)
 */
bool fa_filter_program(const struct fa_filter *f, const char *exe, bool verified);
/* is the uid, is the program needed for a decision at all? */
bool fa_filter_needs_uid(const struct fa_filter *f);
bool fa_filter_needs_program(const struct fa_filter *f);
/* name of the FIM rule that a path falls under, or NULL; lives as long as the filter */
const char *fa_filter_fim(const struct fa_filter *f, const char *path, size_t len);
/* may the supervisor open it for the worker: below a watch or a FIM path (excluded or not) */
bool fa_filter_may_open(const struct fa_filter *f, const char *path, size_t len);

#endif
