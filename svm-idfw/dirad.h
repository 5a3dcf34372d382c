/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirad.h - Active Directory's two halves: lookups (dirad.c) and changes (diradchange.c)
 *
 * Both run in the directory child, lookups on b->look, changes on b->watch. Everybody else sees
 * dir_back_ad in dirback.h. Source: docs/directory.md.
 */
#ifndef SVM_IDFW_DIRAD_H
#define SVM_IDFW_DIRAD_H

#include "svm-idfw/dirback.h"

#define DIR_INVOCATION_TEXT 37 /* 8-4-4-4-12 */

struct dir_ad_root {	    /* what the root DSE says */
	struct dir_back *b; /* gets the naming contexts too; NULL: only the number */
	char server[DIR_WHY_MAX], root[DIR_DN_MAX], config[DIR_DN_MAX];
	uint64_t usn; /* 0: none */
};

GI_MUST_CHECK int dir_ad_root_read(struct dldap *d, struct dir_ad_root *r, char why[DIR_WHY_MAX]);
/*
 * dir_ad_usn_of - whose numbers this server's are, by the entry of its settings (dsServiceName)
 * @why: when it does not say (then ret->known is false, and 0), and with an error
 * Errors: -ECONNRESET, -ETIMEDOUT: the connection is of no more use
 * Source: MS-DRSR 5.115 (invocationId of the nTDSDSA object), MS-ADTS 3.1.1.1.9
 */
GI_MUST_CHECK int dir_ad_usn_of(
	struct dldap *d, const char *server, struct dir_usn_of *ret, char why[DIR_WHY_MAX]);
/*
 * dir_ad_counts_on - are the numbers at this connection those of the one before?
 * A database that was restored may have come to higher numbers than those that we know of it before
 * we look again: what they mean is another one all the same. Who does not say is taken by its name,
 * and who has none for another one.
 */
bool dir_ad_counts_on(const struct dir_back *b, const char *server, const struct dir_usn_of *now);
/* as Windows and Samba write it; "" not known */
void dir_ad_invocation_text(const struct dir_usn_of *u, char ret[DIR_INVOCATION_TEXT]);
/* struct dir_back_ops */
GI_MUST_CHECK int dir_ad_poll(struct dir_back *b, struct dir_changes *ret, char why[DIR_WHY_MAX]);

#endif
