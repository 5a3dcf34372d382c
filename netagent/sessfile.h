/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sessfile.h - each live session as a file: how gi-fileagent learns whose process did something
 *
 * Runs in gi-netagent's parsing process. sessions-dir/<leader pid> holds the Session as it was
 * told to the SVM (wire_session_encode()). A reader finds it by walking up the parents of a
 * process and compares leader_start, so a file that outlived its leader means nothing to it.
 * Invariants: a file that has its name is whole; a session whose leader is not known (0) has none;
 * of two sessions with one leader the younger is there. Nothing depends on these files but words
 * in reports: a directory that cannot be written never holds a login up.
 */
#ifndef NETAGENT_SESSFILE_H
#define NETAGENT_SESSFILE_H

#include <stdbool.h>
#include "lib/base/err.h"
#include "netagent/session.h"

struct na_sessfile {
	int dir; /* owned; -1: not open, then nothing is written */
};

/* @path must exist; -errno: @f stays without a directory, and can still be used */
GI_MUST_CHECK int na_sessfile_open(struct na_sessfile *f, const char *path);
void na_sessfile_close(struct na_sessfile *f); /* the files stay: sessions outlive the agent */

/* written aside, then renamed; 0 also without a leader or directory; -errno, -ENOMEM */
GI_MUST_CHECK int na_sessfile_put(const struct na_sessfile *f, const struct na_session *s);
/*
 * na_sessfile_drop - @s, still in @t, is ending: its file goes, or becomes that of the youngest
 * other session of the same leader. -errno, -ENOMEM
 */
GI_MUST_CHECK int na_sessfile_drop(
	const struct na_sessfile *f, const struct na_sessions *t, const struct na_session *s);
/*
 * na_sessfile_sweep - exactly the sessions of @t: each is written, all else in the directory goes
 * Errors: the first that was met; it goes on behind it
 */
GI_MUST_CHECK int na_sessfile_sweep(const struct na_sessfile *f, const struct na_sessions *t);

#endif
