/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * diracct.h - the state of an account, as its directory writes it: disabled, expired, locked
 *
 * Runs in the directory child. Values are read here and nowhere else; what a state does is
 * account.c's affair. A value that nobody can read says nothing: whoever logs in is still judged
 * where he logs in. Source: MS-ADTS 2.2.16 (userAccountControl), 3.1.1.4.5.17 (msDS-User-
 * Account-Control-Computed); shadow(5), slapo-ppolicy(5), RFC 4517 3.3.13; docs/directory.md.
 */
#ifndef SVM_IDFW_DIRACCT_H
#define SVM_IDFW_DIRACCT_H

#include <stdbool.h>
#include <stdint.h>

struct dldap_entry;
struct dir_schema;

struct dir_acct {
	uint32_t state;	     /* IDFW_ACCT_*; EXPIRED too, when that time has come */
	uint64_t expires_ms; /* Unix time; 0 never, or not known */
};

/* the computed one is constructed: only a base search has it */
#define DIR_ACCT_AD_ATTRS                                                    \
	"userAccountControl", "accountExpires", "lockoutTime", "pwdLastSet", \
		"msDS-User-Account-Control-Computed"

struct dir_acct_ad { /* values as text; "": not there */
	char uac[24], expires[24], lockout[24], pwd_set[24], computed[24];
};
void dir_acct_ad(struct dir_acct *ret, const struct dir_acct_ad *v, uint64_t now_ms);
void dir_acct_read_ad(struct dir_acct *ret, struct dldap_entry *e, uint64_t now_ms);

/* one value of an attribute that tells @state; adds to @a */
void dir_acct_value(struct dir_acct *a, uint32_t state, const char *value, uint64_t now_ms);
void dir_acct_read(
	struct dir_acct *ret, struct dldap_entry *e, const struct dir_schema *s, uint64_t now_ms);

/* generalizedTime: 20301231235959Z, fractions and offsets too; false: it is none */
bool dir_acct_time(const char *text, uint64_t *ret_ms);

#endif
