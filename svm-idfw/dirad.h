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

struct dir_ad_root {	    /* what the root DSE says */
	struct dir_back *b; /* gets the naming contexts too; NULL: only the number */
	char server[DIR_WHY_MAX], root[DIR_DN_MAX], config[DIR_DN_MAX];
	uint64_t usn; /* 0: none */
};

GI_MUST_CHECK int dir_ad_root_read(struct dldap *d, struct dir_ad_root *r, char why[DIR_WHY_MAX]);
/* struct dir_back_ops */
GI_MUST_CHECK int dir_ad_poll(struct dir_back *b, struct dir_changes *ret, char why[DIR_WHY_MAX]);

#endif
