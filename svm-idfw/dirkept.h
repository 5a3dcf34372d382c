/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirkept.h - the file in which the servers that DNS named are kept, with their addresses
 *
 * Written by the discovery child alone (beside, fsync, rename); svm-idfw reads it at its start, and
 * the directory child at each connection: with DNS dead nobody else knows the addresses. All of it
 * is as little trusted as DNS (dirsrv.h).
 */
#ifndef SVM_IDFW_DIRKEPT_H
#define SVM_IDFW_DIRKEPT_H

#include "svm-idfw/dirsrv.h"
#include "svm-idfw/dirtrust.h"

/*
 * dir_kept_load - what was kept
 * Errors: -GI_ENOTFOUND (nothing is kept for this directory), -ENOENT (nothing yet), -GI_EPROTO,
 *         -errno of reading; @ret is empty then
 */
GI_MUST_CHECK int dir_kept_load(const struct idfw_dir_conf *conf, struct dir_srv_list *ret);
/* -GI_ENOTFOUND (no state directory, no name for a file), -GI_ELIMIT, -errno */
GI_MUST_CHECK int dir_kept_save(const struct idfw_dir_conf *conf, const struct dir_srv_list *l);
/*
 * The SID of its domain (dirclaim.h), in state-dir/directory-LABEL.domain; svm-idfw itself writes
 * and reads it. Errors: -GI_ENOTFOUND (no state directory), -errno, of reading -GI_ELIMIT
 */
GI_MUST_CHECK int dir_kept_domain(const struct idfw_dir_conf *conf, char ret[DIR_TRUST_DOMAIN_MAX]);
GI_MUST_CHECK int dir_kept_domain_save(const struct idfw_dir_conf *conf, const char *domain);
/* addresses of the server, "" when none are known */
void dir_kept_addresses(
	const struct idfw_dir_conf *conf, const char *uri, char ret[DIR_SRV_ADDRESSES_MAX]);

#endif
