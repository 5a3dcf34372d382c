/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirseen.h - accounts that lookups have found: whose end must be noticed
 *
 * An ordinary account is not told of deletions by an Active Directory, and its accounts are too
 * many to be listed: so the child remembers whom it was asked for, by unique id, and asks the
 * server from time to time whether they are still there. Any thread adds, one asks.
 */
#ifndef SVM_IDFW_DIRSEEN_H
#define SVM_IDFW_DIRSEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/base/err.h"

#define DIR_SEEN_MAX 400000 /* as many as the engine has; more: the oldest make room */

struct dir_seen;

GI_MUST_CHECK int dir_seen_new(size_t max, struct dir_seen **ret);
void dir_seen_free(struct dir_seen *s);
/* NULL is fine; a failure is only that its end is noticed later: by the comparison of all live
 * accounts */
void dir_seen_add(struct dir_seen *s, const uint8_t id[16]);
bool dir_seen_has(struct dir_seen *s, const uint8_t id[16]);
void dir_seen_drop(struct dir_seen *s, const uint8_t id[16]);
/*
 * dir_seen_next - up to @max of them that this round has not had; how many
 * @round: number of the round, ascending, from 1
 */
size_t dir_seen_next(struct dir_seen *s, uint64_t round, uint8_t (*ret)[16], size_t max);
size_t dir_seen_count(struct dir_seen *s);

#endif
