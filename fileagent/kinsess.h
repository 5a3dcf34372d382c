/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kinsess.h - the live sessions of this guest, as gi-netagent's files say
 *
 * Runs in gi-fileagent's worker. The directory is read once and then followed by inotify(7), so
 * that a file event costs one read(2) that finds nothing. Where inotify cannot be had the whole
 * directory is read each time: slow, but never wrong. The directory may come, go and come again.
 * What is in it is another program's: a file that does not decode, or whose name is not its
 * leader's pid, counts as not there.
 */
#ifndef FILEAGENT_KINSESS_H
#define FILEAGENT_KINSESS_H

#include <stddef.h>
#include <stdint.h>
#include <uthash.h>
#include "lib/base/err.h"
#include "lib/wire/wire.h"

struct fa_session {
	uint32_t leader; /* key */
	uint64_t leader_start;
	uint64_t id;
	uint32_t uid;
	char *user;	   /* owned */
	UT_hash_handle hh; /* private */
};

struct fa_sessions {
	char *path;
	int dir, watch; /* -1: not there */
	struct fa_session *by_leader;
	uint64_t version; /* another one whenever anything changed */
};

GI_MUST_CHECK int fa_sessions_init(struct fa_sessions *t, const char *path);
void fa_sessions_fini(struct fa_sessions *t);
/* brings the table up to date */
void fa_sessions_refresh(struct fa_sessions *t);
/* whose leader started between the two; borrowed until the next refresh; NULL: none */
const struct fa_session *fa_sessions_find(
	const struct fa_sessions *t, uint32_t leader, uint64_t from, uint64_t to);
/* the only live session of @uid; NULL: none, or more than one */
const struct fa_session *fa_sessions_only_of(const struct fa_sessions *t, uint32_t uid);
size_t fa_sessions_count(const struct fa_sessions *t);

#endif
