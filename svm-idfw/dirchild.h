/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirchild.h - what dirchild.c (life, connections, changes) and dirwork.c (lookups) share; nobody
 * else includes it
 *
 * Both run in the directory child. dirchild.c opens and closes the connections and speaks to the
 * parent; dirwork.c keeps the lookups that wait, does them and sends their answers.
 */
#ifndef SVM_IDFW_DIRCHILD_H
#define SVM_IDFW_DIRCHILD_H

#include "lib/io/chan.h"
#include "lib/io/sock.h"
#include "svm-idfw/dirback.h"

#define CHILD_WAITING_MAX (2 * DIR_INFLIGHT_MAX)

struct child {
	struct io_loop *loop;
	struct io_chan *chan;
	struct idfw_dir_conf conf; /* borrowed texts; uri is the one of this process */
	struct dir_back back;
	bool several; /* servers: the parent has another one for us to be replaced by */
	struct io_timer poll, work, told;
	struct io_fd watch;
	uint64_t told_ms; /* when it last looked for that */
	struct io_backoff backoff;
	uint64_t retry_ms; /* not before, monotonic */
	bool up;
	char why[DIR_WHY_MAX];
	Idfw__Envelope *waiting[CHILD_WAITING_MAX]; /* owned; a ring */
	size_t first, n_waiting;
	bool again; /* the first of them has lost a connection already */
	struct dir_sid changed[DIR_CHANGES_MAX];
	int exit_code;
};

/* opens both connections, or says why not and when again; DirState follows when it worked */
void child_connect(struct child *s);
void child_disconnect(struct child *s);
/*
 * In the next round: first the parent hears that we connect (down, and no reason), so that it knows
 * which limit counts if we never come back from it.
 */
void child_reconnect(struct child *s);
/* to the parent; what cannot be sent ends the child: half an answer must not stay */
void child_send(struct child *s, const Idfw__Envelope *e);
void child_send_state(struct child *s);

/* @e: a DirLookup, takes when true; false: there are too many */
bool child_work_put(struct child *s, Idfw__Envelope *e);
void child_work_fini(struct child *s);

#endif
