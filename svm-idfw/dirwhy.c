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
#include <time.h>

/* MS-ERREF: what AcceptSecurityContext says; @next: for Windows and for Samba, %s is the account */
static const struct {
	unsigned long code;
	const char *text, *next;
} bind_faults[] = {
	{ 0x525, "no such account; give it as UPN (svc@corp.example), CORP\\svc or DN", NULL },
	{ 0x52e, "wrong user name or password", NULL },
	{ 0x530, "the account may not log on at this time", "net user %s /times:all" },
	{ 0x531, "the account may not log on from this computer",
		"Set-ADUser %s -LogonWorkstations $null" },
	{ 0x532, "the password has expired; set a new one",
		"Set-ADAccountPassword %s (samba-tool user setpassword)" },
	{ 0x533, "the account is disabled", "Enable-ADAccount %s (samba-tool user enable)" },
	{ 0x701, "the account has expired",
		"Clear-ADAccountExpiration %s (samba-tool user setexpiry --noexpiry)" },
	{ 0x773, "the password must be changed before its first use",
		"Set-ADUser %s -ChangePasswordAtLogon $false (samba-tool user setpassword)" },
	{ 0x775, "the account is locked", "Unlock-ADAccount %s (samba-tool user unlock)" },
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
		dir_why(out,
			"cannot find the address of %.100s: %.60s; check uri, DNS, "
			"/etc/hosts" DIR_WHY_TRY "getent hosts %.100s",
			host, resolve, host);
	else if (err == ECONNREFUSED)
		dir_why(out,
			"%.100s refuses connections on port %s; is the directory running there, "
			"is the port right" DIR_WHY_TRY "openssl s_client -connect %.100s:%s",
			host, port, host, port);
	else if (err == ETIMEDOUT)
		dir_why(out,
			"no answer from %.100s port %s; is the host up, does a firewall drop "
			"it" DIR_WHY_TRY "traceroute -T -p %s %.100s",
			host, port, port, host);
	else
		dir_why(out,
			"cannot connect to %.100s port %s: %s" DIR_WHY_TRY "ip route get %.100s",
			host, port, strerror(err), host);
}

static void why_day(int64_t when, char out[24])
{
	struct tm tm;
	time_t t = (time_t)when;

	if (!gmtime_r(&t, &tm) || strftime(out, 24, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		out[0] = '\0';
}

static void why_cert(char out[DIR_WHY_MAX], const struct dir_tls_facts *f, const char *next)
{
	char from[24], to[24], now[24];
	const struct dir_cert *c = f->cert;

	if (!c) {
		dir_why(out, "the certificate of %.60s port %s cannot be read" DIR_WHY_TRY "%s",
			f->host, f->port, next);
		return;
	}
	why_day(c->not_before, from);
	why_day(c->not_after, to);
	why_day(f->now, now);
	if (f->now < c->not_before)
		dir_why(out,
			"the certificate of %.60s is not valid before %s, and it is %s here; is "
			"this clock right" DIR_WHY_TRY "timedatectl",
			f->host, from, now);
	else if (f->now > c->not_after)
		dir_why(out,
			"the certificate of %.60s has expired on %s, and it is %s here; give the "
			"server a new one" DIR_WHY_TRY "%s",
			f->host, to, now, next);
	else if (!c->for_host)
		dir_why(out,
			"the certificate of %.60s does not carry that name, but %.96s; use one of "
			"its names in uri, or give the server another certificate" DIR_WHY_TRY "%s",
			f->host, c->names[0] ? c->names : "none", next);
	else
		dir_why(out,
			"the certificate of %.60s port %s (%.60s) is issued by \"%.70s\", and not "
			"signed by the CA in %.90s" DIR_WHY_TRY "%s",
			f->host, f->port, c->subject, c->issuer, f->ca_file, next);
}

void dir_why_tls(char out[DIR_WHY_MAX], const struct dir_tls_facts *f)
{
	char next[DIR_WHY_MAX];

	(void)snprintf(next, sizeof(next), "openssl s_client -connect %.80s:%s%s -CAfile %.90s",
		f->host, f->port, f->starttls ? " -starttls ldap" : "", f->ca_file);
	if (f->fault == DIR_TLS_CERT)
		why_cert(out, f, next);
	else if (f->fault == DIR_TLS_NO_STARTTLS)
		dir_why(out,
			"%.80s port %s does not offer StartTLS; give the server a certificate, or "
			"write ldaps:// in uri" DIR_WHY_TRY "%s",
			f->host, f->port, next);
	else if (f->client_cert)
		dir_why(out,
			"%.60s port %s does not complete a TLS handshake; does it refuse "
			"client-certificate %.80s" DIR_WHY_TRY
			"openssl s_client -connect %.60s:%s%s -cert %.80s -key %.80s",
			f->host, f->port, f->client_cert, f->host, f->port,
			f->starttls ? " -starttls ldap" : "", f->client_cert, f->client_key);
	else
		dir_why(out,
			"%.80s port %s answers, but does not complete a TLS handshake; LDAPS is "
			"usually port 636, StartTLS (ldap://) 389" DIR_WHY_TRY "%s",
			f->host, f->port, next);
}

void dir_why_file(char out[DIR_WHY_MAX], enum dir_file_fault fault, const char *item,
	const char *path, int err, unsigned int mode, unsigned int uid)
{
	switch (fault) {
	case DIR_FILE_UNREADABLE:
		dir_why(out,
			"cannot read %s %.120s: %s; it must belong to the user that svm-idfw runs "
			"as (uid %u)" DIR_WHY_TRY "ls -l %.120s",
			item, path, strerror(err), uid, path);
		break;
	case DIR_FILE_OPEN:
		dir_why(out,
			"%s %.120s is open to others (mode %03o)" DIR_WHY_TRY "chmod 400 %.120s",
			item, path, mode & 0777, path);
		break;
	case DIR_FILE_EMPTY:
		dir_why(out, "%s %.120s has no password in it" DIR_WHY_TRY "ls -l %.120s", item,
			path, path);
		break;
	case DIR_FILE_LONG:
		dir_why(out,
			"the first line of %s %.120s is longer than 1023 bytes; is it another "
			"file" DIR_WHY_TRY "head -n 1 %.120s | wc -c",
			item, path, path);
		break;
	case DIR_FILE_ZERO:
		dir_why(out,
			"the first line of %s %.120s has a zero byte in it: that is no text; is it "
			"another file, or UTF-16" DIR_WHY_TRY "file %.120s",
			item, path, path);
		break;
	}
}

/* the account's short name, for commands: svc of svc@corp.example, CORP\svc and CN=svc,... */
static void why_account(const char *user, char out[64])
{
	const char *start = strchr(user, '\\'), *equals = strchr(user, '=');

	if (!start)
		start = equals;
	start = start ? start + 1 : user;
	(void)snprintf(out, 64, "%.*s", (int)strcspn(start, "@,"), start);
}

void dir_why_bind(char out[DIR_WHY_MAX], const char *uri, const char *user,
	const char *password_file, const char *text)
{
	const char *data = strstr(text, "data ");
	unsigned long code = data ? strtoul(data + 5, NULL, 16) : 0;
	const char *why = "wrong user name or password", *next = NULL, *mark;
	char account[64];
	size_t i;

	if (!strpbrk(user, "@\\=")) {
		dir_why(out,
			"the directory refuses %.80s: that is neither UPN (%.80s@corp.example), "
			"CORP\\%.80s nor DN; write bind-user as one of them",
			user, user, user);
		return;
	}
	for (i = 0; i < GI_ARRAY_SIZE(bind_faults); i++) {
		if (bind_faults[i].code == code) {
			why = bind_faults[i].text;
			next = bind_faults[i].next;
		}
	}
	if (!next) {
		dir_why(out,
			"the directory refuses %.80s: %s (password from %.60s)" DIR_WHY_TRY
			"ldapwhoami -x -W -H %.80s -D '%.80s'",
			user, why, password_file, uri, user);
		return;
	}
	why_account(user, account);
	mark = strstr(next, "%s");
	dir_why(out, "the directory refuses %.80s: %s" DIR_WHY_TRY "%.*s%s%s", user, why,
		(int)(mark - next), next, account, mark + 2);
}

void dir_why_policy(
	char out[DIR_WHY_MAX], enum dir_policy_fault fault, const char *uri, const char *user)
{
	if (fault == DIR_POLICY_LOCKED)
		dir_why(out,
			"the directory refuses %.80s: the account is locked; an administrator "
			"removes its pwdAccountLockedTime" DIR_WHY_TRY
			"ldapsearch -x -W -H %.80s -D ADMIN -s base -b '%.80s' "
			"pwdAccountLockedTime",
			user, uri, user);
	else
		dir_why(out,
			"the directory refuses %.80s: the password %s; set a new one, and write it "
			"to password-file" DIR_WHY_TRY "ldappasswd -x -W -S -H %.80s -D '%.80s'",
			user,
			fault == DIR_POLICY_EXPIRED ? "has expired"
						    : "must be changed before its first use",
			uri, user);
}

/* ---- steps without an end ---- */

enum late_next {
	LATE_DNS,
	LATE_NAME,
	LATE_CONNECT,
	LATE_FILES,
	LATE_KERBEROS,
	LATE_TLS,
	LATE_BIND,
	LATE_ROOT,
	LATE_BASE,
	LATE_ACCOUNT
};

/* ldaps://HOST:PORT, HOST may be in [] */
static void late_where(const char *uri, char host[64], char port[8])
{
	const char *at = strstr(uri, "://"), *end;

	at = at ? at + 3 : uri;
	end = *at == '[' ? strchr(at, ']') : at + strcspn(at, ":/");
	if (*at == '[' && end)
		at++;
	end = end ? end : at + strlen(at);
	(void)snprintf(host, 64, "%.*s", (int)(end - at), at);
	end += *end == ']';
	if (*end == ':')
		(void)snprintf(port, 8, "%.*s", (int)strcspn(end + 1, "/"), end + 1);
	else
		(void)snprintf(port, 8, "%s", strncmp(uri, "ldaps", 5) == 0 ? "636" : "389");
}

/* how one binds by hand */
static void late_bind(const struct dir_late *l, char out[240])
{
	if (l->simple && l->user)
		(void)snprintf(out, 240, "-x -W -H %.100s -D '%.100s'", l->uri, l->user);
	else
		(void)snprintf(
			out, 240, "-Y %s -H %.100s", l->keytab ? "GSSAPI" : "EXTERNAL", l->uri);
}

static void late_command(const struct dir_late *l, enum late_next next, char out[400])
{
	const char *name = l->ad ? "sAMAccountName" : "uid";
	const char *tls = strncmp(l->uri, "ldaps", 5) == 0 ? "" : " -starttls ldap";
	char host[64], port[8], bind[240];

	late_where(l->uri, host, port);
	late_bind(l, bind);
	switch (next) {
	case LATE_DNS:
		(void)snprintf(out, 400, "host -t srv _ldap._tcp%s.%.100s",
			l->ad ? ".dc._msdcs" : "", l->domain ? l->domain : host);
		break;
	case LATE_NAME:
		(void)snprintf(out, 400, "getent hosts %s", host);
		break;
	case LATE_CONNECT:
		(void)snprintf(out, 400, "traceroute -T -p %s %s", port, host);
		break;
	case LATE_FILES:
		(void)snprintf(out, 400, "timeout 5 head -c 1 %.120s | wc -c",
			l->file ? l->file : "/etc/krb5.conf");
		break;
	case LATE_KERBEROS:
		(void)snprintf(out, 400, "KRB5_TRACE=/dev/stderr kinit -kt %.80s %.80s",
			l->keytab ? l->keytab : "KEYTAB", l->user ? l->user : "PRINCIPAL");
		break;
	case LATE_TLS:
		(void)snprintf(out, 400, "openssl s_client -connect %s:%s%s", host, port, tls);
		break;
	case LATE_BIND:
		(void)snprintf(out, 400, "ldapwhoami %s", bind);
		break;
	case LATE_ROOT:
		(void)snprintf(out, 400, "ldapsearch -x -H %.100s -s base -b '' +", l->uri);
		break;
	case LATE_BASE:
		(void)snprintf(out, 400, "ldapsearch %s -s base -b '%.100s' 1.1", bind, l->base);
		break;
	case LATE_ACCOUNT:
		(void)snprintf(out, 400, "ldapsearch %s -b '%.80s' -z 1 '(%s=%.20s)' 1.1", bind,
			l->base, name, l->account ? l->account : "*");
		break;
	}
}

void dir_why_late(char out[DIR_WHY_MAX], const struct dir_late *l)
{
	static const struct {
		const char *step, *hint;
		enum late_next next;
	} steps[] = {
		{ "dns", "does the name server answer", LATE_DNS },
		{ "name", "does the name server answer", LATE_NAME },
		{ "connect", "is the host up, does a firewall drop it", LATE_CONNECT },
		{ "files", "are they on a file system that does not answer (NFS)", LATE_FILES },
		{ "kerberos", "no KDC answers: is it up, is krb5.conf right", LATE_KERBEROS },
		{ "tls", "the server takes the connection and stalls inside the TLS handshake",
			LATE_TLS },
		{ "bind", "the server stalls at the bind: what does it ask, is that up",
			LATE_BIND },
		{ "server", "the server stalls: it does not even say what it is", LATE_ROOT },
		{ "base", "the server stalls at a search of the base", LATE_BASE },
		{ "account", "the server stalls at the account: is there an index of its name",
			LATE_ACCOUNT },
	};
	const char *hint = "the server stalls";
	enum late_next next = l->uri[0] ? LATE_ROOT : LATE_DNS;
	char command[400];

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		if (strcmp(steps[i].step, l->step) != 0)
			continue;
		hint = steps[i].hint;
		next = steps[i].next;
	}
	late_command(l, next, command);
	dir_why(out, "nothing for %llu ms (deadline): %s" DIR_WHY_TRY "%s",
		(unsigned long long)l->after_ms, hint, command);
}
