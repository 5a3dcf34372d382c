/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirmemo.h - groups that were found for a set of groups: the climb does not ask twice
 *
 * Lives in the directory child, shared by the threads that look up, under one lock. Key are the
 * groups of a level whose groups were searched for (many accounts have the same, and the higher the
 * fewer there are), value what was found. All is forgotten when anything changed that is reported
 * (dir_reply_changes), before it is: who is looked up because of it sees the directory as it is.
 */
#ifndef SVM_IDFW_DIRMEMO_H
#define SVM_IDFW_DIRMEMO_H

#include "lib/base/buf.h"
#include "svm-idfw/dircache.h"

#define DIR_MEMO_BYTES_MAX (16u << 20) /* one more: all are forgotten */
#define DIR_MEMO_ONE_MAX (256u << 10)  /* a search that found more is not kept */

struct dir_memo;

struct dir_memo_note { /* what a search finds, while it does */
	struct gi_buf bytes;
	size_t head; /* of the group at hand, in bytes */
};

GI_MUST_CHECK int dir_memo_new(size_t max_bytes, struct dir_memo **ret);
void dir_memo_free(struct dir_memo *m); /* NULL is fine */
void dir_memo_clear(struct dir_memo *m);
size_t dir_memo_bytes(struct dir_memo *m);

void dir_memo_note_init(struct dir_memo_note *n);
void dir_memo_note_fini(struct dir_memo_note *n);
void dir_memo_note_group(struct dir_memo_note *n, const struct dir_group *g);
/* a DN that the last group points to */
void dir_memo_note_point(struct dir_memo_note *n, const void *dn, size_t len);

/*
 * dir_memo_get - what is known for @key
 * @note: of dir_memo_note_init(); filled when true
 * @ret_epoch: when false, for dir_memo_put()
 */
bool dir_memo_get(struct dir_memo *m, const void *key, size_t len, struct dir_memo_note *note,
	uint64_t *ret_epoch);
/* @epoch: all was forgotten since: @n may be what was, not kept. Nor is what had no room */
void dir_memo_put(struct dir_memo *m, const void *key, size_t len, const struct dir_memo_note *n,
	uint64_t epoch);

/*
 * dir_memo_next - one group after the other
 * @at: 0 at first; false: no more
 * @ret: texts borrowed from @n; @ret_points, @ret_n: its DNs, each behind the NUL of the one before
 */
bool dir_memo_next(const struct dir_memo_note *n, size_t *at, struct dir_group *ret,
	const char **ret_points, size_t *ret_n);

#endif
