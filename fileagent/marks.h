/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * marks.h - which file systems the groups watch: the configuration against the kernel
 *
 * Supervisor only. FILESYSTEM marks always: a MOUNT mark misses other mount namespaces and bind
 * mounts. What is marked is read back from the kernel, so that a supervisor that took the groups
 * over needs no memory of its predecessor. New marks come before old ones go: a reload has no gap.
 * The file system of / is refused, unless configuration and command line both say otherwise: a
 * machine whose root is held by an agent that fails is hard to help.
 */
#ifndef FILEAGENT_MARKS_H
#define FILEAGENT_MARKS_H

#include <stdbool.h>
#include "fileagent/faconf.h"
#include "lib/base/err.h"

struct fa_marks_groups {
	int perm, notify, fim; /* borrowed */
};

/*
 * fa_marks_check - may these paths be watched at all?
 * @root_ok: the command line allows the file system of /
 * @ret_why: words; the path is named
 * Errors: -GI_EDENIED (on the file system of /, ours or process 1's), -ENOTDIR, -errno of reading
 *         mountinfo. A path that does not exist (yet) is no error.
 */
GI_MUST_CHECK int fa_marks_check(const struct fa_conf *c, bool root_ok, char ret_why[256]);
/*
 * fa_marks_apply - make the kernel's marks those of @c
 * @say: called with words for each path that cannot be watched now; the rest goes on
 * Returns the number of such paths, or -errno
 */
GI_MUST_CHECK int fa_marks_apply(const struct fa_marks_groups *g, const struct fa_conf *c,
	bool root_ok, void (*say)(void *arg, const char *words), void *arg);
/* the kernel's own exclusions, after a flush of the ignore marks too; what fails is left out */
void fa_marks_exclude(const struct fa_marks_groups *g, const struct fa_conf *c);
/* no marks at all: nobody is held any more */
void fa_marks_clear(const struct fa_marks_groups *g);

#endif
