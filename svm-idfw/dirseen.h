/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirseen.h - accounts that lookups have found: whose end must be noticed
 *
 * An ordinary account is not told of deletions by an Active Directory, and its accounts are too
 * many to be listed: so the child remembers whom it was asked for, by unique id, and asks the
 * server from time to time whether they are still there. It also remembers when the last lookup of
 * each ended: where a group may have changed back and forth (dirgroups.h), who was looked up in
 * between is looked up again. Any thread adds, one asks. Times are monotonic.
 */
#ifndef SVM_IDFW_DIRSEEN_H
#define SVM_IDFW_DIRSEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/base/err.h"
#include "svm-idfw/dirchanges.h"

#define DIR_SEEN_MAX 400000 /* as many as the engine has; more: the oldest make room */

struct dir_seen;

GI_MUST_CHECK int dir_seen_new(size_t max, struct dir_seen **ret);
void dir_seen_free(struct dir_seen *s);
/*
 * dir_seen_add - a lookup has found it, which began and ended then
 * NULL is fine; a failure is only that its end is noticed later: by the comparison of all live
 * accounts
 */
void dir_seen_add(struct dir_seen *s, const uint8_t id[16], uint64_t began_ms, uint64_t now_ms);
/*
 * dir_seen_since - tells of all whose lookup ended at @since_ms or later; and at dir_seen_late() of
 * those whose lookup is running at @now_ms
 */
void dir_seen_since(
	struct dir_seen *s, uint64_t since_ms, uint64_t now_ms, struct dir_changes *ret);
/* who is gone was told, as of @now_ms: dir_seen_late() tells of lookups that are running then */
void dir_seen_gone(struct dir_seen *s, uint64_t now_ms);
/* tells of those whose lookup was running at such a time and has ended, each once */
void dir_seen_late(struct dir_seen *s, struct dir_changes *ret);
bool dir_seen_has(struct dir_seen *s, const uint8_t id[16]);
void dir_seen_drop(struct dir_seen *s, const uint8_t id[16]);
/*
 * dir_seen_next - up to @max of them that this round has not had; how many
 * @round: number of the round, ascending, from 1
 */
size_t dir_seen_next(struct dir_seen *s, uint64_t round, uint8_t (*ret)[16], size_t max);
size_t dir_seen_count(struct dir_seen *s);

#endif
