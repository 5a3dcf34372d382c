/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirclaim.h - several directories: of which domain may which of them say something?
 *
 * A policy names a group by its SID or DN to mean one. So a directory's answers count for SIDs of
 * its own domain, of domains that no other block is, and of none (builtin, well-known); DNs that
 * are below another block's domain only from that one. A block is the domain whose SID its
 * directory has said at the first contact; that is remembered, and the first that says it has it.
 * `sids any` lets a block say everything, for domain controllers of one forest.
 * Pure; dirset.c's. Source: docs/directory.md "Whose groups count".
 */
#ifndef SVM_IDFW_DIRCLAIM_H
#define SVM_IDFW_DIRCLAIM_H

#include "svm-idfw/dirroute.h"
#include "svm-idfw/dirtrust.h"

struct dir_claims {
	const struct idfw_dir_conf *dirs; /* borrowed */
	size_t n;
	char sid[DIR_SET_MAX][DIR_TRUST_DOMAIN_MAX]; /* S-1-5-21-A-B-C; "" not known */
};

/*
 * dir_claim_domain - the directory of block @at says that its domain is this one
 * @ret_owner: of -EEXIST: the block that has it
 * @ret_new: it was not known
 * Errors: -EEXIST (another block's, of another name), -GI_ESTATE (it said another one before),
 *         -EINVAL (no SID of a domain); nothing changes then
 */
GI_MUST_CHECK int dir_claim_domain(
	struct dir_claims *c, size_t at, const char *domain, size_t *ret_owner, bool *ret_new);
/* may block @at say something about it? false: @ret_owner is whose it is. NULL and "": true */
bool dir_claim_sid(const struct dir_claims *c, size_t at, const char *sid, size_t *ret_owner);
bool dir_claim_dn(const struct dir_claims *c, size_t at, const char *dn, size_t *ret_owner);

#endif
