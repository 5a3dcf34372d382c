/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirset.h - several directories as one: who is asked for a name, and what the answers are together
 *
 * Between the engine's lookups and the directories (dirs.c joins them). Pure: the directories are
 * behind struct dir_set_ops, a test has its own. One principal is one account of one directory, and
 * says which. Source: docs/directory.md "Several directories".
 */
#ifndef SVM_IDFW_DIRSET_H
#define SVM_IDFW_DIRSET_H

#include "svm-idfw/dirclaim.h"

struct dir_set;

struct dir_set_ops { /* all must be set; @arg first */
	/* ask block @at; dir_set_answer() follows, later; negative: it is not asked */
	/* @first: somebody waits for the answer */
	int (*ask)(void *arg, size_t at, const char *key, const char *name, const char *sid,
		bool first);
	/* block @at: groups that these SIDs are in; the same with dir_set_foreign() */
	int (*ask_foreign)(void *arg, size_t at, const char *key, const char *name, const char *sid,
		const char *members, bool first);
	/* block @at, behind an answer: does it have that name as well? Then dir_set_other() */
	int (*ask_other)(void *arg, size_t at, const char *key, const char *name);
	/* block @at has been asked; from now on somebody waits for it */
	void (*hurry)(void *arg, size_t at, const char *key);
	/*
	 * @name is an account of block @first, and, not asked, of @other too; the same block twice:
	 * of several there. Borrowed
	 */
	void (*collision)(void *arg, const char *name, size_t first, const char *first_id,
		size_t other, const char *other_id);
	/*
	 * block @at says something about a group or account of block @owner: it does not count;
	 * once a pair. @what: its SID or DN
	 */
	void (*refused)(void *arg, size_t at, size_t owner, const char *what);
	/* what was looked up; borrowed for the call. It may look up again from within */
	void (*principal)(void *arg, const char *key, const struct idfw_principal *found);
};

/* @dirs, @maps: borrowed until dir_set_free(); -ENOMEM */
GI_MUST_CHECK int dir_set_new(const struct idfw_dir_conf *dirs, size_t n,
	const struct conf_list *maps, const struct dir_set_ops *ops, void *arg,
	struct dir_set **ret);
void dir_set_free(struct dir_set *s);
/*
 * dir_set_lookup - one principal() follows, later; a key that is being looked up is not twice
 * @names_in: label of the block that is asked for a name without a domain; "" as the blocks say
 * @known: borrows; what is known of it from before: directory and sid, "" or NULL when nothing. An
 * account that is known and that nobody waits for (waits) comes behind the others
 * Errors: -GI_EFULL, -ENOMEM, what ask() returned
 */
GI_MUST_CHECK int dir_set_lookup(struct dir_set *s, const char *key, const char *name,
	const char *names_in, const struct idfw_principal *known);
/* a login waits for it from now on; a key that is not looked up: nothing */
void dir_set_hurry(struct dir_set *s, const char *key);
/* the directory of block @at says that this is its domain; as dir_claim_domain() */
GI_MUST_CHECK int dir_set_domain(
	struct dir_set *s, size_t at, const char *domain, size_t *ret_owner, bool *ret_new);
/* what block @at says; a key that nobody waits for is nothing */
void dir_set_answer(
	struct dir_set *s, size_t at, const char *key, const struct idfw_principal *found);
/* the groups of @key's account in block @at: FOUND with some or none, or not answered */
void dir_set_foreign(
	struct dir_set *s, size_t at, const char *key, const struct idfw_principal *found);
/* what block @at says about a name that another one has */
void dir_set_other(
	struct dir_set *s, size_t at, const char *key, const struct idfw_principal *found);
/* names that were compared are compared again at their next lookup: somebody may be new */
void dir_set_others_again(struct dir_set *s);

#endif
