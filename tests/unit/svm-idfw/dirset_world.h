/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirset_world.h - three directories "a", "b", "c" for tests of svm-idfw/dirset.c: what they are
 * asked and what comes of it is written down as text, the test answers
 */
#ifndef TEST_DIRSET_WORLD_H
#define TEST_DIRSET_WORLD_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "svm-idfw/dirset.h"

struct world {
	struct idfw_dir_conf d[3];
	struct conf_list maps;
	struct dir_set *set;
	char asked[256];   /* "a:alice:SID b:alice: " */
	char said[256];	   /* "alice=found@a " */
	char others[256];  /* the same of names that another block has */
	char hurried[256]; /* "a:alice " */
	bool first;	   /* of the last one that was asked */
	int refuse;	   /* block that is not asked; -1 none */
	bool labels;	   /* show which block has a group */
	const char *again; /* looked up from within the answer; NULL nothing */
};

void dirset_put(char buf[256], const char *fmt, ...) GI_PRINTF(2, 3);
int dirset_setup(void **state);
int dirset_teardown(void **state);
/* a lookup that nobody has an answer to at once */
void dirset_look(struct world *w, const char *name);

/* ---- b's account alice, whose block trusts a and c ---- */

#define SID_B "S-1-5-21-2-2-2-"
#define SID_A "S-1-5-21-1-1-1-"
#define SID_C "S-1-5-21-3-3-3-"

extern char *dirset_trusts[2];
extern struct idfw_group dirset_g_own, dirset_g_local, dirset_g_other, dirset_g_third,
	dirset_g_users;

void dirset_b_has(struct world *w);
/* @g: the one group that block @at says she is in there; NULL none */
void dirset_other_has(struct world *w, size_t at, const struct idfw_group *g);

#endif
