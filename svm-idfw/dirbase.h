/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirbase.h - is `base` there, and can we read accounts below it?
 *
 * Runs in the directory child at each new connection, and for `idfwctl dir test`. Without it a
 * wrong base, or an account that may not read, would make every user "not found", in silence.
 */
#ifndef SVM_IDFW_DIRBASE_H
#define SVM_IDFW_DIRBASE_H

#include "svm-idfw/dirback.h"

/*
 * dir_base_check - one base search, and one for the first account below
 * @b: begun; @d: the connection to ask on
 * @ret_name: an account's name, for tests
 * Errors: -GI_ENOTFOUND (no such base, nobody below it: @why), as dldap_search()
 */
GI_MUST_CHECK int dir_base_check(struct dir_back *b, struct dldap *d,
	char ret_name[DIR_NAME_MAX + 1], char why[DIR_WHY_MAX]);

#endif
