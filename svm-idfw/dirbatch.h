/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirbatch.h - several accounts and their groups with one search each, in an OpenLDAP-like
 * directory
 *
 * Part of the OpenLDAP back end (diropenldap.c); runs in a thread of the directory child that looks
 * up. Needs a server that tells by which value a group was found (RFC 3876, matched values).
 * Invariant: an answer is what dir_climb() would have found; an account about which anything is out
 * of the ordinary is left to it.
 */
#ifndef SVM_IDFW_DIRBATCH_H
#define SVM_IDFW_DIRBATCH_H

#include "svm-idfw/dirback.h"

/*
 * dir_batch - whom it can, it answers: OK with all groups, and sets done
 * Errors: -ENOMEM, -ECONNRESET and -ETIMEDOUT (nobody is done, the connection is of no more use)
 */
GI_MUST_CHECK int dir_batch(
	struct dir_back *b, struct dir_many *list, size_t n, char why[DIR_WHY_MAX]);

#endif
