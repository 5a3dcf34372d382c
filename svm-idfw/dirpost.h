/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirpost.h - the directory child's channel to its parent, in a thread of its own
 *
 * Everything else in the child blocks (dirchild.c looks for changes, dirwork.c looks up), so what
 * comes from the parent and what goes to it is moved by a thread that does nothing else.
 * Invariants: messages leave in the order of dir_post_send(), at once; what cannot be sent ends the
 * child, since half an answer must not stay; it is in the log once.
 */
#ifndef SVM_IDFW_DIRPOST_H
#define SVM_IDFW_DIRPOST_H

#include <stdbool.h>
#include "lib/io/loop.h"
#include "lib/wire/wire.h"

#define DIR_POST_BYTES_MAX (256u << 20) /* ten of the largest answers (DIR_ANSWER_GROUPS_MAX) */

struct dir_post;

struct dir_post_ops { /* both in the post's thread; short, they do not wait */
	/* takes @e, of a kind that the parent may send; false: the parent is at fault, the end */
	bool (*message)(void *arg, Idfw__Envelope *e);
	/* once: the parent is gone or at fault (@failed) */
	void (*ended)(void *arg, bool failed);
	size_t max_bytes; /* that wait to be sent, then it is the end; 0: DIR_POST_BYTES_MAX */
};

/* @fd: takes (also on error); @ops, @arg: borrowed until dir_post_free() */
GI_MUST_CHECK int dir_post_new(
	int fd, const struct dir_post_ops *ops, void *arg, struct dir_post **ret);
/* from any thread */
void dir_post_send(struct dir_post *p, const Idfw__Envelope *e);
/* waits until little is waiting to be sent, or nothing can be: for who has much to say and nothing
 * else to do */
void dir_post_room(struct dir_post *p);
/* ends the thread; NULL is fine */
void dir_post_free(struct dir_post *p);

#endif
