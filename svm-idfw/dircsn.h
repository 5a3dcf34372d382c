/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dircsn.h - OpenLDAP's change sequence numbers: how far changes are known
 *
 * Pure; runs in the directory child, for diropenldap.c. Each server of a replicated directory
 * counts for itself: a set has the last number of each, as text with a blank behind each, as
 * contextCSN is read. What a cookie of syncrepl (RFC 4533 leaves its form to the server) says is
 * put into it. Source: draft-chu-ldap-csn-00; slapd 2.5, "rid=000,csn=CSN;CSN".
 */
#ifndef SVM_IDFW_DIRCSN_H
#define SVM_IDFW_DIRCSN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIR_CSN_SET_MAX 1024 /* bytes of a set */

/*
 * dir_csn_cookie - the numbers of a cookie are known: those that are newer than what @set has
 * What is no such cookie or number, or does not fit, is left out: it is told once more then.
 */
void dir_csn_cookie(char set[DIR_CSN_SET_MAX], const char *cookie, size_t len);
/* @csn: one number or a set; true: @set has all of it, or what is newer. What is none: false */
bool dir_csn_covers(const char *set, const char *csn);
/* each is one number, both of one server, and @now is not the older one */
bool dir_csn_follows(const char *now, const char *before);
/* the latest of a set, as a number that ascends with time; 0 none */
uint64_t dir_csn_number(const char *set);

#endif
