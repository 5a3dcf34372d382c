/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirforeign.h - Active Directory: groups of this domain that another domain's account is in
 *
 * Part of the AD back end; runs in the directory child.
 */
#ifndef SVM_IDFW_DIRFOREIGN_H
#define SVM_IDFW_DIRFOREIGN_H

#include "svm-idfw/dirback.h"

/*
 * dir_ad_foreign - security groups below b->root that these SIDs are in, nested ones too
 * @sids: of an account and its groups, binary; those that are none are passed over
 * @ret: OK with the groups, perhaps none; UNAVAILABLE when there are too many
 * Errors: as dldap_search(), -ENOMEM
 */
GI_MUST_CHECK int dir_ad_foreign(struct dir_back *b, const ProtobufCBinaryData *sids, size_t n,
	struct dir_answer *ret, char why[DIR_WHY_MAX]);

#endif
