/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirclimb_int.h - what dirclimb.c (one account) and dirbatch.c (several at once) share
 *
 * A climb is one account's groups as they are found. All of it runs in a thread of the directory
 * child that looks up. Invariant: a group is taken once, whatever its DN is spelt like.
 */
#ifndef SVM_IDFW_DIRCLIMB_INT_H
#define SVM_IDFW_DIRCLIMB_INT_H

#include <uthash.h>

#include "svm-idfw/dirclimb.h"

#define CLIMB_NAMESAKES_MAX 16 /* entries with the name that is looked for */
#define CLIMB_ASK_MEMBERS 64   /* in one filter */
#define CLIMB_FILTER_MAX (1u << 20)

struct climb_dn {
	bool taken; /* its entry is in the answer; else only pointed to */
	UT_hash_handle hh;
	char dn[]; /* as it came, and behind it in lower case: the key */
};

struct climb {
	struct dir_answer *answer;
	const struct dir_schema *schema;
	unsigned int found; /* accounts */
	struct gi_buf seed; /* (attr=value) of the first level: names and numbers of the account */
	struct climb_dn *dns;	    /* owned: by text; in order of coming */
	struct dir_memo_note *note; /* borrowed: what this search finds, for the memo; or NULL */
};

void climb_init(struct climb *c, struct dir_answer *answer, const struct dir_schema *s);
void climb_fini(struct climb *c);
bool climb_is_group(const struct climb *c, struct dldap_entry *e);
/* a search's entry() with a struct climb: the account itself */
int climb_account(void *arg, struct dldap_entry *e);
/* a group that a search found, and what it points to, into @note */
GI_MUST_CHECK int climb_note(struct dir_memo_note *note, const struct dir_schema *s,
	const struct dir_group *g, struct dldap_entry *e);
/* takes what is in @note */
GI_MUST_CHECK int climb_known(struct climb *c, const struct dir_memo_note *note);
/* a group's key in the memo, appended: by its unique id, if it has one */
void climb_key(struct gi_buf *key, const struct dir_group *g);

#endif
