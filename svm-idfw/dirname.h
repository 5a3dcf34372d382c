/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirname.h - the names under which PAM may know a user, and LDAP filters made of them
 *
 * Pure; runs in the directory child. Whatever the guest sent as a name ends up in a filter only
 * through dir_filter_escape(): a name cannot change the filter's structure.
 * Source: RFC 4515 section 3; docs/directory.md "Names".
 */
#ifndef SVM_IDFW_DIRNAME_H
#define SVM_IDFW_DIRNAME_H

#include <stdbool.h>
#include <stddef.h>
#include "lib/base/buf.h"
#include "lib/base/err.h"

#define DIR_NAME_MAX 256 /* bytes, as on the wire */

enum dir_name_form { DIR_NAME_PLAIN, DIR_NAME_DOMAIN, DIR_NAME_UPN };

struct dir_name {
	enum dir_name_form form;
	char account[DIR_NAME_MAX + 1]; /* alice */
	char domain[DIR_NAME_MAX + 1];	/* CORP, corp.example; "" for PLAIN */
};

/*
 * dir_name_parse - alice, CORP\alice, alice@corp.example
 * Errors: -EINVAL (empty part, control characters, two backslashes), -GI_ELIMIT
 */
GI_MUST_CHECK int dir_name_parse(const char *text, struct dir_name *ret);

/* appends the value in RFC 4515 form; all but letters, digits and a few harmless marks as \xx */
void dir_filter_escape(struct gi_buf *out, const void *value, size_t len);

/*
 * dir_filter_user - the filter that finds one account in an Active Directory
 * @upn: for DIR_NAME_UPN: look for the stored userPrincipalName, else for the account name
 */
void dir_filter_user(struct gi_buf *out, const struct dir_name *n, bool upn);

/* the dc parts at the end: "OU=x,dc=corp,dc=example" -> "corp.example"; -EINVAL when it has none */
GI_MUST_CHECK int dir_base_domain(const char *base, char ret_domain[DIR_NAME_MAX + 1]);
/*
 * dir_dn_is_below - is @dn below @base, or @base itself? As text, without case; NULL is nowhere
 * false too when the same is spelt in another way: then the server must be asked
 */
bool dir_dn_is_below(const char *dn, const char *base);

#endif
