/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dircache.h - SID -> group, so that tokenGroups needs one request and not two
 *
 * Lives in the directory child and dies with it; shared by the threads that look up, under one lock
 * (a copy each would cost 8 MB for 20,000 groups, times the connections). Keyed by SID, never by DN
 * text: the same DN is spelt differently in different attributes. An entry without a name is an
 * answer too: a SID that this directory has no entry for.
 */
#ifndef SVM_IDFW_DIRCACHE_H
#define SVM_IDFW_DIRCACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/base/err.h"
#include "svm-idfw/sid.h"

#define DIR_CACHE_MAX 200000 /* groups; one more: all are forgotten and fetched again */

struct dir_group {
	uint8_t sid[SID_BYTES_MAX];
	size_t sid_len; /* 0: none */
	uint8_t guid[16];
	bool has_guid;
	char *name, *dn; /* owned by the cache; "" unknown */
};

struct dir_cache;

GI_MUST_CHECK int dir_cache_new(size_t max, struct dir_cache **ret);
void dir_cache_free(struct dir_cache *c);
/*
 * dir_cache_hold - for some dir_cache_get(): nobody changes it until dir_cache_release()
 * Returns the epoch: what is fetched afterwards is put with it. Between the two no call but get.
 */
uint64_t dir_cache_hold(struct dir_cache *c);
void dir_cache_release(struct dir_cache *c);
/* borrowed, while held; NULL: not known */
const struct dir_group *dir_cache_get(const struct dir_cache *c, const void *sid, size_t len);
/*
 * dir_cache_put - copies @g; replaces what is there
 * @epoch: of before it was asked for. Something was dropped since: @g may be what was, not kept
 * Errors: -EINVAL (no SID), -ENOMEM
 */
GI_MUST_CHECK int dir_cache_put(struct dir_cache *c, const struct dir_group *g, uint64_t epoch);
/* it changed: what is known of it, and what anybody has just asked for, is forgotten */
void dir_cache_drop(struct dir_cache *c, const void *sid, size_t len);
void dir_cache_clear(struct dir_cache *c);
size_t dir_cache_count(const struct dir_cache *c); /* while held */

#endif
