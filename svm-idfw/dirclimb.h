/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirclimb.h - an account and all its groups in an OpenLDAP-like directory, whatever its schema
 *
 * Part of the OpenLDAP back end (diropenldap.c); runs in the directory child, blocks as it does.
 * What accounts, groups and memberships are called is b->schema (dirschema.h).
 */
#ifndef SVM_IDFW_DIRCLIMB_H
#define SVM_IDFW_DIRCLIMB_H

#include "svm-idfw/dirback.h"

#define CLIMB_DEPTH_MAX 64

/*
 * dir_climb - find @n and its groups on b->look
 * @ret: OK with all groups, NOT_FOUND or AMBIGUOUS
 * Errors: -GI_ELIMIT (too many groups, too deep), -ENOMEM, as dldap_search()
 */
GI_MUST_CHECK int dir_climb(struct dir_back *b, const struct dir_name *n, struct dir_answer *ret,
	char why[DIR_WHY_MAX]);

#endif
