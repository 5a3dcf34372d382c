/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dircalm.h - a server that takes connections and then fails: when the next one is made
 *
 * Pure but for the jitter; dirchild.c's memory, in the directory child. That a connection could be
 * made says little: it was a good one when all was looked at on it, for lookups when one was
 * answered. One that was not is followed by the next after a pause (100 ms, doubling to 5 s), and
 * after lookups failed the server is up when one is answered: so nobody hears "up", "down" without
 * end. Of several servers dirserver.h chooses. And one lookup that stands still, while the server
 * answers others, is not the server's failure: whose it is, is decided here.
 * Source: docs/directory.md "Several servers".
 */
#ifndef SVM_IDFW_DIRCALM_H
#define SVM_IDFW_DIRCALM_H

#include <stdbool.h>
#include <stdint.h>
#include "lib/io/sock.h"

#define DIR_CALM_MAX_MS 5000
#define DIR_CALM_SHORT_MAX 3 /* connections in a row: then another server has its turn */

struct dir_calm {
	struct io_backoff connects, lookups;
	unsigned int shorts; /* connections since all was looked at */
	uint64_t answers;    /* to lookups, when it came up */
	bool doubt;	     /* lookups failed: one has to be answered before it is up */
};

void dir_calm_init(struct dir_calm *c);
/* it is up; @answers: to lookups so far */
void dir_calm_up(struct dir_calm *c, uint64_t answers);
/* all was looked at */
void dir_calm_looked(struct dir_calm *c);
/* these say for how long no connection is made, in ms: it could not be made */
uint64_t dir_calm_refused(struct dir_calm *c);
/* it broke under the look at the changes; 0 when all had been looked at */
uint64_t dir_calm_broken(struct dir_calm *c);
/* lookups failed; 0 when one had been answered since it was up */
uint64_t dir_calm_lost(struct dir_calm *c, uint64_t answers);
/*
 * How long what may take, in ms. One request (connecting is one), the same for lookups and changes:
 * this comes first, so that the parent has to kill only what has no limit. @several servers: the
 * next one is to answer soon
 */
unsigned int dir_calm_request_ms(uint64_t deadline_ms, bool several);
/* all requests of a lookup, which has taken @spent_ms before (with others, on a lost connection) */
uint64_t dir_calm_lookup_ms(uint64_t deadline_ms, uint64_t spent_ms);
/* behind that, whether the server answers for another account: what is left before we are killed */
uint64_t dir_calm_try_ms(uint64_t deadline_ms, uint64_t spent_ms);

struct dir_calm_failed { /* a lookup */
	int err;	 /* -ECONNRESET twice, or -ETIMEDOUT */
	bool answered;	 /* another lookup, since it began */
	bool heard;	 /* the server, where changes are looked for, by a request since it began */
	bool silent;	 /* nobody would ask there so soon */
	bool several;	 /* servers */
};
enum dir_calm_blame {
	DIR_CALM_LOOKUP, /* this one alone has no answer */
	DIR_CALM_ASK,	 /* another account tells */
	DIR_CALM_SERVER	 /* a server that stands still; nobody asks it again, that would hang */
};
enum dir_calm_blame dir_calm_blame(const struct dir_calm_failed *f);
/* the look at the changes failed by @err: does the whole server stand still, and is there another?
 * @answered: a lookup was, meanwhile */
bool dir_calm_leaves(int err, bool several, bool answered);
/* nothing was ever looked at on the last connections: not a server to stay with */
bool dir_calm_gives_up(const struct dir_calm *c);

#endif
