/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirreply.h - what the directory child says to its parent, as messages
 *
 * From any of its threads; each function encodes and hands over to the post, nothing waits.
 */
#ifndef SVM_IDFW_DIRREPLY_H
#define SVM_IDFW_DIRREPLY_H

#include "svm-idfw/dirback.h"
#include "svm-idfw/dirpost.h"

/* in as many parts as it takes; the last one has `last` */
void dir_reply_answer(
	struct dir_post *p, uint64_t id, const struct dir_answer *a, uint64_t took_ms);
void dir_reply_unavailable(struct dir_post *p, uint64_t id, const char *why);
struct dir_groups;
struct dir_picture { /* what only the main thread knows */
	enum _Idfw__DirState__Seen seen;
	const struct dir_groups *groups; /* borrowed */
	uint64_t synced, synced_full;	 /* DirSync up to these */
};
/* @why: not for up; not up and "": it connects; @picture: NULL in other threads */
void dir_reply_state(struct dir_post *p, const struct dir_back *b, bool up, const char *why,
	const struct dir_picture *picture);
/* nothing changed: nothing is said; else what the memo knows of groups is forgotten before */
void dir_reply_changes(struct dir_post *p, const struct dir_back *b, const struct dir_changes *c);

#endif
