/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirkrb5.h - Kerberos tickets from a keytab, for the bind to a directory by GSSAPI
 *
 * Runs in the directory child. Tickets are in this process's memory only and are asked for again at
 * a new connection when half of their life is over, beside it as long as they are valid. libkrb5's
 * own way (KRB5_CLIENT_KTNAME) takes the keytab's first principal and says little about failures.
 * Source: krb5 application developer's reference; RFC 4120 7.5.9 (error codes).
 */
#ifndef SVM_IDFW_DIRKRB5_H
#define SVM_IDFW_DIRKRB5_H

#include "svm-idfw/dirwhy.h"

struct dir_krb5_ask {			/* borrowed */
	const char *keytab, *principal; /* svc-idfw@CORP.EXAMPLE */
	const char *host;		/* the directory server; the ticket is for ldap/host */
};

/*
 * dir_krb5_init - this process's environment: tickets in memory, none of the caller's KRB5*
 * variables
 * @config: krb5.conf; NULL: the machine's
 * Errors: -ENOMEM
 */
GI_MUST_CHECK int dir_krb5_init(const char *config);
struct dir_krb5; /* the tickets of one bind */

/*
 * dir_krb5_ticket - have a ticket for the host in the cache that libgssapi looks into
 * @why: says what is wrong and what to try
 * @ret: returned owned, dir_krb5_free() behind the bind, in the same thread: until then the
 *       cache stays as it is
 * Errors: -EACCES (the KDC refuses, no such key), -ECONNREFUSED (no KDC), -ETIME (clocks differ:
 *         say so with dir_krb5_why_clock()), -EINVAL (principal, krb5.conf), -ENOMEM
 */
GI_MUST_CHECK int dir_krb5_ticket(
	const struct dir_krb5_ask *ask, char why[DIR_WHY_MAX], struct dir_krb5 **ret);
/*
 * dir_krb5_used - after the bind: was it with the host's own ticket?
 * libgssapi may ask DNS for another name of the host (krb5.conf), and DNS may be forged: then it
 * has a ticket for that one as well. Errors: -EACCES
 */
GI_MUST_CHECK int dir_krb5_used(struct dir_krb5 *d, char why[DIR_WHY_MAX]);
void dir_krb5_free(struct dir_krb5 *d); /* NULL is fine */
/* @server_time: Unix seconds, 0 unknown */
void dir_krb5_why_clock(const struct dir_krb5_ask *ask, int64_t server_time, char why[DIR_WHY_MAX]);

#endif
