/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cgroup.h - where sessions' cgroups (v2) are: the mount, paths of processes, ids of directories
 *
 * Used by gi-netagent's parsing process (reads) and its placer (writes, placer.c). An id is the
 * inode number of a cgroup's directory: what the kernel compares sockets with, never used again in
 * one boot. Paths are as /proc/PID/cgroup shows them: from the root of our cgroup namespace, which
 * must be what is mounted.
 * Source: cgroups(7), proc(5) "/proc/pid/mountinfo", ADR 0014.
 */
#ifndef NETAGENT_CGROUP_H
#define NETAGENT_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/base/err.h"

#define NA_CGROUP_PATH_MAX 1024 /* of a process, with its NUL; a longer one is nobody's */
#define NA_CGROUP_ROOT_MAX 256
#define NA_CGROUP_DEPTH_MAX 32
#define NA_CGROUP_DIR "idfw"

struct na_cgroup_root {
	char mount[NA_CGROUP_ROOT_MAX]; /* where cgroup v2 is mounted: /sys/fs/cgroup */
	char base[NA_CGROUP_ROOT_MAX];	/* "" or "/..." below it: our directory is made there */
};

/*
 * na_cgroup_root_parse - which mount, from the text of /proc/self/mountinfo. Pure.
 * @wanted: cgroup-root, or "": the mount itself
 * Takes the last cgroup2 mount that shows its namespace's root and that @wanted lies in.
 * Errors: -ENODEV (there is none), -GI_ELIMIT (too long)
 */
GI_MUST_CHECK int na_cgroup_root_parse(
	const char *mountinfo, const char *wanted, struct na_cgroup_root *ret);
/* the same for this process; also -errno of reading */
GI_MUST_CHECK int na_cgroup_root_find(const char *wanted, struct na_cgroup_root *ret);

/* pure: the v2 line of /proc/PID/cgroup; -ENODEV (none, or outside our namespace), -GI_ELIMIT */
GI_MUST_CHECK int na_cgroup_parse(const char *text, char ret[NA_CGROUP_PATH_MAX]);
/* the cgroup of a process; -ESRCH, -errno */
GI_MUST_CHECK int na_cgroup_of(uint32_t pid, char ret[NA_CGROUP_PATH_MAX]);
/* id of the cgroup @path (as a process shows it); -ENOENT, -errno */
GI_MUST_CHECK int na_cgroup_id(const struct na_cgroup_root *r, const char *path, uint64_t *ret);

/* "<base>/idfw" or "<base>/idfw/s<session>", as a process shows it; @session 0: the first */
void na_cgroup_ours(const struct na_cgroup_root *r, uint64_t session, char ret[NA_CGROUP_PATH_MAX]);
/* pure: the session whose cgroup of ours @path is or lies in; 0: none */
uint64_t na_cgroup_session(const struct na_cgroup_root *r, const char *path);

enum na_logind { NA_LOGIND_NONE, NA_LOGIND_SCOPE, NA_LOGIND_MANAGER };
/*
 * na_cgroup_logind - pure: the topmost part of @path that logind makes for people
 * @ret_len: with SCOPE (session-N.scope) or MANAGER (user@UID.service): bytes of @path up to its
 * end
 */
enum na_logind na_cgroup_logind(const char *path, size_t *ret_len);
/*
 * na_cgroup_scope_leader - the process for which logind made this scope
 * @path: ends with session-N.scope; 0: not known (logind has forgotten that session)
 * Source: sd-login(3) reads the same file, /run/systemd/sessions/N, LEADER=
 */
uint32_t na_cgroup_scope_leader(const char *path);

#endif
