/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dircalm.h - a server that takes connections and then fails: when the next one is made
 *
 * Pure but for the jitter; dirchild.c's memory, in the directory child. That a connection could be
 * made says little: it was a good one when all was looked at on it, for lookups when one was
 * answered. One that was not is followed by the next after a pause (100 ms, doubling to 5 s), and
 * after lookups failed the server is up when one is answered: so nobody hears "up", "down" without
 * end. Of several servers dirserver.h chooses.
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
/* nothing was ever looked at on the last connections: not a server to stay with */
bool dir_calm_gives_up(const struct dir_calm *c);

#endif
