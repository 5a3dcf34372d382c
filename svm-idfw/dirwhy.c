/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirwhy.c - why the directory cannot be used, in words that say what to try
 *
 * Pure text making for the directory child. No password and no server text longer than the
 * message is ever part of it. Source: MS-ERREF (the sub-codes of AcceptSecurityContext).
 */
#include "svm-idfw/dirwhy.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	unsigned long code;
	const char *text;
} bind_faults[] = {
	{ 0x525, "no such account; give it as UPN (svc@corp.example), CORP\\svc or DN" },
	{ 0x52e, "wrong user name or password" },
	{ 0x530, "the account may not log on at this time" },
	{ 0x531, "the account may not log on from this computer" },
	{ 0x532, "the password has expired; set a new one" },
	{ 0x533, "the account is disabled" },
	{ 0x701, "the account has expired" },
	{ 0x773, "the password must be changed before its first use" },
	{ 0x775, "the account is locked; unlock it" },
};

void dir_why(char out[DIR_WHY_MAX], const char *fmt, ...)
{
	va_list ap;
	char *p;

	va_start(ap, fmt);
	(void)vsnprintf(out, DIR_WHY_MAX, fmt, ap);
	va_end(ap);
	for (p = out; *p; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
}

void dir_why_connect(
	char out[DIR_WHY_MAX], const char *host, const char *port, const char *resolve, int err)
{
	if (resolve)
		dir_why(out, "cannot find the address of %.100s: %.60s; check uri, DNS, /etc/hosts",
			host, resolve);
	else if (err == ECONNREFUSED)
		dir_why(out,
			"%.100s refuses connections on port %s; is the directory running there, "
			"is the port right?",
			host, port);
	else if (err == ETIMEDOUT)
		dir_why(out,
			"no answer from %.100s port %s; is the host up, does a firewall drop it?",
			host, port);
	else
		dir_why(out, "cannot connect to %.100s port %s: %s", host, port, strerror(err));
}

void dir_why_tls(char out[DIR_WHY_MAX], enum dir_tls_fault fault, const char *host,
	const char *port, const char *ca_file, const char *names)
{
	switch (fault) {
	case DIR_TLS_NO_TLS:
		dir_why(out,
			"%.80s port %s answers, but does not complete a TLS handshake; LDAPS is "
			"usually port 636, StartTLS (ldap://) 389",
			host, port);
		break;
	case DIR_TLS_NAME:
		dir_why(out,
			"the certificate of %.60s does not carry that name, but %.96s; use one of "
			"its names in uri, or give the server another certificate",
			host, names[0] ? names : "none");
		break;
	case DIR_TLS_CERT:
		dir_why(out,
			"the certificate of %.60s port %s is not signed by the CA in %.90s, or not "
			"valid now; give the right ca, check the clock",
			host, port, ca_file);
		break;
	}
}

void dir_why_bind(
	char out[DIR_WHY_MAX], const char *user, const char *password_file, const char *text)
{
	const char *data = strstr(text, "data ");
	unsigned long code = data ? strtoul(data + 5, NULL, 16) : 0;
	const char *why = "wrong user name or password";
	size_t i;

	for (i = 0; i < sizeof(bind_faults) / sizeof(bind_faults[0]); i++)
		if (bind_faults[i].code == code)
			why = bind_faults[i].text;
	dir_why(out, "the directory refuses %.80s: %s (password from %.60s)", user, why,
		password_file);
}
