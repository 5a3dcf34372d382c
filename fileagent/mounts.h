/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mounts.h - what is mounted in our namespace: /proc/self/mountinfo
 *
 * The supervisor finds file systems by it (type, device, what lies below a path); the worker asks
 * whether the mount of an open file (struct statx.stx_mnt_id) is one of ours: only then does its
 * path mean what it says. Source: proc_pid_mountinfo(5).
 */
#ifndef FILEAGENT_MOUNTS_H
#define FILEAGENT_MOUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "lib/base/err.h"

#define FA_MOUNTS_MAX 65536

struct fa_mount {
	uint64_t id;
	dev_t dev;   /* of the whole file system; stat(2) may show others (btrfs) */
	char *root;  /* owned; the directory of the file system that is seen there */
	char *point; /* owned */
	char *type;  /* owned */
	char *opts;  /* owned; of an overlay: where its layers are. Else NULL */
};

struct fa_mounts {
	struct fa_mount *list; /* owned; sorted by id */
	size_t n;
};

/* text of mountinfo; lines that make no sense are left out. -ENOMEM, -GI_ELIMIT */
GI_MUST_CHECK int fa_mounts_parse(const char *text, struct fa_mounts *ret);
/* @path: "/proc/self/mountinfo". -errno, as above. fa_mounts_fini() */
GI_MUST_CHECK int fa_mounts_read(const char *path, struct fa_mounts *ret);
void fa_mounts_fini(struct fa_mounts *m);
/* NULL: not ours */
const struct fa_mount *fa_mounts_by_id(const struct fa_mounts *m, uint64_t id);
/* the mount that @path is on; -GI_ENOTFOUND, -errno of statx(2) */
GI_MUST_CHECK int fa_mounts_of(
	const struct fa_mounts *m, const char *path, const struct fa_mount **ret);
/*
 * fa_mounts_alias - the same file through another mount: bind mounts show it under other names
 * @path: as seen through @from
 * false: @to does not show that part of the file system, or the path does not fit
 */
bool fa_mounts_alias(const struct fa_mount *from, const struct fa_mount *to, const char *path,
	size_t len, char *ret, size_t size, size_t *ret_len);
/*
 * fa_mounts_layers - the directories that an overlay's options name, each in turn
 * @each: true: go on. Returns false when it did not
 */
bool fa_mounts_layers(const char *opts, bool (*each)(void *arg, const char *path), void *arg);
/* a mount of that file system, or NULL */
const struct fa_mount *fa_mounts_by_dev(const struct fa_mounts *m, dev_t dev);

#endif
