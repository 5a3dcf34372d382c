/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirmatch.h - one search for the groups of several accounts or groups, and who is in which
 *
 * Part of the OpenLDAP back end, for dirbatch.c; runs in a thread of the directory child. The
 * server returns of each group only the member values that were asked for (RFC 3876, matched
 * values), so that a large group costs no more than a small one on the wire.
 */
#ifndef SVM_IDFW_DIRMATCH_H
#define SVM_IDFW_DIRMATCH_H

#include "svm-idfw/dirback.h"

enum dir_match_kind { DIR_MATCH_DN, DIR_MATCH_UID, DIR_MATCH_GID };

struct match_value;

struct dir_match {
	struct dir_back *b;
	struct match_value *values;    /* owned */
	struct dir_memo_note **target; /* owned list of borrowed notes */
	uint8_t *hit;		       /* owned; by target: the entry at hand names it */
	size_t n_targets;
	struct gi_buf filter, only;
	bool unclear; /* what came cannot be told whose it is: nothing of it counts */
};

/*
 * dir_match_known - of the attributes of b->schema those that the server knows, into b->values:
 * a control that names others makes slapd write a line of log an entry
 * @subschema: DN, "" none: then b->values stays empty, and there are no matches
 * Errors: -ECONNRESET, -ETIMEDOUT
 */
GI_MUST_CHECK int dir_match_known(struct dir_back *b, const char *subschema, char why[DIR_WHY_MAX]);

void dir_match_init(struct dir_match *m, struct dir_back *b);
void dir_match_fini(struct dir_match *m);
/* another search; -ENOMEM */
GI_MUST_CHECK int dir_match_begin(struct dir_match *m, size_t max_targets);
/* @note: borrowed until the next search; its groups come in there. Returns its number */
size_t dir_match_target(struct dir_match *m, struct dir_memo_note *note);
/* groups that have this value are @target's */
GI_MUST_CHECK int dir_match_value(
	struct dir_match *m, enum dir_match_kind kind, const char *text, size_t len, size_t target);
/* errors as dldap_search() */
GI_MUST_CHECK int dir_match_run(struct dir_match *m, char why[DIR_WHY_MAX]);

#endif
