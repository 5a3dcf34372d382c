/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * replay.h - what the scenario runner's files share: one run, its words, its failures
 */
#ifndef TESTS_SVM_REPLAY_H
#define TESTS_SVM_REPLAY_H

#include <stdio.h>
#include "tests/unit/svm-idfw/world.h"

#define WORDS_MAX 24
#define LIST_MAX 64

struct run {
	struct world w;
	const char *file;
	int line;
	char *words[WORDS_MAX];
	int n;
	uint64_t given; /* steps done */
	FILE *seed;	/* or NULL */
};

bool replay_fail(struct run *r, const char *what); /* says it; false */
/* value of key=value among the words, or NULL */
const char *replay_option(struct run *r, const char *key);
uint64_t replay_number(const char *text); /* ends the program when it is none */

/* splits in place at commas */
size_t replay_split(char *text, char *out[LIST_MAX]);

/* replay_say.c: an agent's words */
bool replay_up(struct run *r);
bool replay_hello(struct run *r);
bool replay_connect(struct run *r);
bool replay_open(struct run *r);
bool replay_opens(struct run *r);
bool replay_short(struct run *r);
bool replay_alarm(struct run *r);
bool replay_close(struct run *r);
bool replay_address(struct run *r);
bool replay_snapshot(struct run *r);
bool replay_marks(struct run *r);

/* replay_scan.c */
bool replay_scan(struct run *r);
bool replay_scanned(struct run *r);
bool replay_scanhello(struct run *r);
bool replay_isolate(struct run *r);	/* and release */
bool replay_not_isolate(struct run *r); /* the same, refused */
bool replay_limits(struct run *r);
bool replay_wrap(struct run *r);

/* what `found` says of the account's state; false: a word that it is not */
bool replay_account(struct run *r, struct idfw_account *ret);

#endif
