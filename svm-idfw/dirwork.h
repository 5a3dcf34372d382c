/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirwork.h - lookups in the directory child: several at a time, each on a connection of its own
 *
 * A thread for each lookup connection, which blocks in libldap; the main thread (dirchild.c) has
 * the watch connection and says when the server is up. Connections are opened when they are needed,
 * one after the other, and closed when they are not.
 * Invariants: every DirLookup gets one answer (the last part has `last`); no answer without a
 * working connection but UNAVAILABLE; lookups begin in the order in which they came.
 */
#ifndef SVM_IDFW_DIRWORK_H
#define SVM_IDFW_DIRWORK_H

#include "svm-idfw/dirback.h"
#include "svm-idfw/dirpost.h"

struct dir_work;

struct dir_work_conf {
	unsigned int connections; /* at most; 1 to DIR_CONNECTIONS_MAX */
	uint64_t deadline_ms;	  /* an opening that takes longer hangs: another one may begin */
	uint64_t poll_ms;	  /* how often dir_work_heard() may be expected */
	bool several;		  /* servers: another one can be had */
	struct dir_post *post;	  /* borrowed; answers go there */
	/* a connection more; from any thread */
	int (*open)(void *arg, const struct dir_back *b, char why[DIR_WHY_MAX], struct dldap **ret);
	/* dir_work_lost() has something to say; from any thread, short */
	void (*lost)(void *arg);
	void *arg;
};

GI_MUST_CHECK int dir_work_new(const struct dir_work_conf *conf, struct dir_work **ret);
/* ends the threads; false: one is inside libldap, only the process's end ends it */
GI_MUST_CHECK bool dir_work_stop(struct dir_work *w);
void dir_work_free(struct dir_work *w); /* after dir_work_stop() said true; NULL is fine */

/* @e: a DirLookup, takes when true; false: there are too many */
bool dir_work_put(struct dir_work *w, Idfw__Envelope *e);

/* ---- of the main thread ---- */

/*
 * dir_work_up - the server answers
 * @b: what lookups need of it is copied: each thread has its own, with its connection as b->look
 * @look: takes; the first connection, NULL if dir_work_connected() has one
 */
void dir_work_up(struct dir_work *w, const struct dir_back *b, struct dldap *look);
/* it does not: what waits is answered UNAVAILABLE (behind a DirState), connections are closed */
void dir_work_down(struct dir_work *w, const struct dir_back *b, const char *why);
bool dir_work_connected(struct dir_work *w);
/* no lookup can be done any more, said DirState: true once, with the reason */
bool dir_work_lost(struct dir_work *w, char ret_why[DIR_WHY_MAX]);
struct dir_picture;
/*
 * dir_work_try - can this server do a lookup? b->sample is looked up on @look, the answer dropped
 * Errors: -ECONNRESET, -ETIMEDOUT; from any thread
 */
GI_MUST_CHECK int dir_work_try(const struct dir_back *b, struct dldap *look, char why[DIR_WHY_MAX]);
/* DirState: @up only as long as lookups can be done as well, else the reason is ours; @picture: as
 * dir_reply_state() */
void dir_work_state(struct dir_work *w, const struct dir_back *b, bool up, const char *why,
	const struct dir_picture *picture);
/* the server has answered on the watch connection what was asked there at @began_ms, monotonic */
void dir_work_heard(struct dir_work *w, uint64_t began_ms);
/* lookups that were answered by the server, so far */
uint64_t dir_work_answers(struct dir_work *w);

#endif
