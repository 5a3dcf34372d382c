/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirwhy.h - why the directory cannot be used, in words that say what to try
 *
 * Pure; runs in the directory child. libldap says "Can't contact LDAP server" for an unknown
 * certificate authority, a closed port and a wrong name alike; these texts end up in the log and
 * in `idfwctl status` and `idfwctl dir test`, so they name the file, the address or the account,
 * and most end with "; try: COMMAND". docs/directory.md has the table of them.
 */
#ifndef SVM_IDFW_DIRWHY_H
#define SVM_IDFW_DIRWHY_H

#include <stdbool.h>
#include <stdint.h>
#include "lib/base/err.h"
#include "svm-idfw/dircert.h"

#define DIR_WHY_MAX 512	      /* with NUL; as on the wire */
#define DIR_WHY_TRY "; try: " /* what follows is a command */

/* what does not fit is cut; whatever is not printable ASCII becomes '?' (servers send anything) */
void dir_why(char out[DIR_WHY_MAX], const char *fmt, ...) GI_PRINTF(2, 3);

/* @port: as text; @resolve: getaddrinfo's words, NULL: @err is the errno of the connection */
void dir_why_connect(
	char out[DIR_WHY_MAX], const char *host, const char *port, const char *resolve, int err);

enum dir_tls_fault {
	DIR_TLS_NO_TLS,	     /* the port answers, but not with a handshake */
	DIR_TLS_NO_STARTTLS, /* it speaks LDAP, and refuses that */
	DIR_TLS_CERT	     /* a certificate came and was refused */
};
struct dir_tls_facts { /* texts borrowed */
	enum dir_tls_fault fault;
	const char *host, *port, *ca_file;
	const char *client_cert, *client_key; /* NULL: none was shown */
	bool starttls;
	const struct dir_cert *cert; /* NULL: it could not be read */
	int64_t now;		     /* Unix seconds */
};
/* one reason, the first of: not valid yet, expired, another name, unknown CA */
void dir_why_tls(char out[DIR_WHY_MAX], const struct dir_tls_facts *f);

enum dir_file_fault {
	DIR_FILE_UNREADABLE,
	DIR_FILE_OPEN,
	DIR_FILE_EMPTY,
	DIR_FILE_LONG, /* its first line, for a password */
	DIR_FILE_ZERO  /* a zero byte in it */
};
/* @item: its setting; @err: errno for UNREADABLE; @mode: its mode for OPEN; @uid: whom we run as */
void dir_why_file(char out[DIR_WHY_MAX], enum dir_file_fault fault, const char *item,
	const char *path, int err, unsigned int mode, unsigned int uid);

struct dir_late { /* a step of `dir test` that had no end; texts borrowed */
	const char *step;
	uint64_t after_ms;
	const char *uri;    /* "" DNS was asked for servers */
	const char *domain; /* that DNS was asked for; NULL none */
	const char *base;
	const char *user;    /* NULL: certificate */
	const char *account; /* NULL: anybody's */
	const char *file;    /* of those that are read, the first; NULL none */
	const char *keytab;  /* NULL: no GSSAPI */
	bool ad, simple;
};
/* why it may be, and always a command that shows it */
void dir_why_late(char out[DIR_WHY_MAX], const struct dir_late *l);

/*
 * dir_why_bind - a simple bind that was refused
 * @text: the server's diagnostic message; Active Directory hides the reason in "data 52e"
 */
void dir_why_bind(char out[DIR_WHY_MAX], const char *uri, const char *user,
	const char *password_file, const char *text);

enum dir_policy_fault { DIR_POLICY_LOCKED, DIR_POLICY_EXPIRED, DIR_POLICY_MUST_CHANGE };
/* a simple bind that a password policy (not Active Directory's) does not let pass */
void dir_why_policy(
	char out[DIR_WHY_MAX], enum dir_policy_fault fault, const char *uri, const char *user);

#endif
