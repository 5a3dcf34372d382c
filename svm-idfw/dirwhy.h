/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirwhy.h - why the directory cannot be used, in words that say what to try
 *
 * Pure; runs in the directory child. libldap says "Can't contact LDAP server" for an unknown
 * certificate authority, a closed port and a wrong name alike; these texts end up in the log and
 * in `idfwctl status`, so they name the file, the address or the account.
 */
#ifndef SVM_IDFW_DIRWHY_H
#define SVM_IDFW_DIRWHY_H

#include "lib/base/err.h"

#define DIR_WHY_MAX 256 /* with NUL; as on the wire */

/* what does not fit is cut; whatever is not printable ASCII becomes '?' (servers send anything) */
void dir_why(char out[DIR_WHY_MAX], const char *fmt, ...) GI_PRINTF(2, 3);

/* @port: as text; @resolve: getaddrinfo's words, NULL: @err is the errno of the connection */
void dir_why_connect(
	char out[DIR_WHY_MAX], const char *host, const char *port, const char *resolve, int err);
enum dir_tls_fault { DIR_TLS_NO_TLS, DIR_TLS_CERT, DIR_TLS_NAME };
/* @names: those in the certificate, for DIR_TLS_NAME */
void dir_why_tls(char out[DIR_WHY_MAX], enum dir_tls_fault fault, const char *host,
	const char *port, const char *ca_file, const char *names);
/* @text: the server's diagnostic message; Active Directory hides the reason in "data 52e" */
void dir_why_bind(
	char out[DIR_WHY_MAX], const char *user, const char *password_file, const char *text);

#endif
