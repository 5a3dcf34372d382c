/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dir_int.h - what dir.c (the life of the children) and dirask.c (lookups, answers), dirchanged.c
 * (reports of changes) share; nobody else includes it
 *
 * Runs in svm-idfw's loop. dir.c calls dirask.c when a child came, went or spoke; dirask.c sends
 * to the child that is asked and never starts or ends one.
 */
#ifndef SVM_IDFW_DIR_INT_H
#define SVM_IDFW_DIR_INT_H

#include "lib/io/chan.h"
#include "lib/io/child.h"
#include "svm-idfw/dir.h"
#include "svm-idfw/dirfind.h"
#include "svm-idfw/dirhist.h"
#include "svm-idfw/dirname.h"
#include "svm-idfw/dirqueue.h"
#include "svm-idfw/dirserver.h"
#include "svm-idfw/sid.h"

#define DIR_ARGV 5

enum dir_state { DIR_UNKNOWN, DIR_UP, DIR_DOWN };

struct dir_kid { /* one child process */
	struct idfw_dir *d;
	struct io_child child;
	struct io_chan *chan; /* NULL: nothing comes from it (any more) */
	size_t server;	      /* to which it speaks */
	bool ready;	      /* it said that its server answers */
	bool killed;	      /* by us: its end is no news */
	bool connecting;
	uint64_t connecting_ms; /* since */
	uint64_t heard_ms;	/* last message, monotonic */
};

struct idfw_dir {
	struct io_loop *loop;
	const struct idfw_dir_conf *conf; /* borrowed */
	struct idfw_dir_ops ops;
	void *arg;
	char *argv[DIR_ARGV + 2]; /* owned texts; then the server's, borrowed */
	struct dir_kid kid[2];
	struct dir_kid *main;  /* is asked */
	struct dir_kid *probe; /* at times: tries a preferred server, or another when main hangs */
	struct dir_servers servers;
	struct dir_find *find; /* owned; NULL: the configuration names the servers */
	struct io_timer restart, watchdog;
	struct io_idle pump;
	struct dir_queue queue;
	enum dir_state state;
	uint64_t state_ms;     /* since when, monotonic; of one that is not known: the start */
	char why[DIR_WHY_MAX]; /* as last reported */
	uint64_t oldest_id;    /* of those at the child, when it was last looked for; 0: none */
	uint64_t oldest_ms;    /* since when it is the oldest */
	uint64_t unready_ms;   /* since when no server answers; 0: one does, or we are down */
	struct dir_hist took;  /* from sending a lookup to its answer */
	uint64_t failed;       /* lookups that got no answer */
	uint64_t changes, changed_ms; /* seen; the last one, real time */
	char domain[DIR_NAME_MAX + 1];
	char domain_sid[SID_TEXT_MAX];
	struct idfw_dir_picture picture;
	uint64_t sync_last;	      /* id of the last DirSync */
	uint64_t look, full;	      /* asked for */
	uint64_t synced, synced_full; /* done */
};

/* at the end of this loop round what can be sent is sent; while down all is answered from here */
void dir_pump(struct idfw_dir *d);
/*
 * what the child had is asked again
 * @lost: with its server. What lost two servers is answered, it may be the reason itself
 */
void dir_ask_again(struct idfw_dir *d, bool lost);
/*
 * dir_ask_late - does a lookup at the child hang? To be asked again and again
 * The child begins lookups in the order in which they came. So the oldest one that is not answered
 * is at work, however many connections it has, and whatever others achieve; one that hangs becomes
 * the oldest. Its time counts from then on, not from when it was sent: it may have waited.
 */
bool dir_ask_late(struct idfw_dir *d, uint64_t now);
void dir_on_result(struct idfw_dir *d, const Idfw__DirResult *r);
void dir_on_changed(struct idfw_dir *d, const Idfw__DirChanged *c);

/* dirpicture.c: what the main child says of its picture; what it does not know of is asked again */
void dir_picture_state(struct idfw_dir *d, const Idfw__DirState *s);
void dir_sync_again(struct idfw_dir *d);

/* dir.c, for dirlist.c: another one's turn, when the main child does not run */
void dir_main_start(struct idfw_dir *d);
/* nothing comes from it any more; exited() follows, if it was there */
void dir_kid_end(struct dir_kid *k);
void dir_say_up(struct idfw_dir *d);
void dir_set_state(struct idfw_dir *d, enum dir_state state, const char *why);

/* dirlist.c: with `discover` in the configuration the list of servers comes, and changes; -ENOMEM
 */
GI_MUST_CHECK int dir_list_start(struct idfw_dir *d, const char *conf_file);
/* appended to @text: how old the list is, when it is older than it should be */
void dir_list_text(const struct idfw_dir *d, char text[DIR_WHY_MAX]);

#endif
