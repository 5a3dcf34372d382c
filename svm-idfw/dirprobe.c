/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirprobe.c - why a connection to a directory or its TLS failed
 *
 * Runs in the directory child, only after a failure: libldap says -1 for an unknown CA, a wrong
 * name and a closed port alike. It connects by itself, then does a handshake without checks and
 * without credentials, and reads the certificate. It decides nothing, it finds words (dirwhy.c).
 * Source: ldap_connect(3), ldap_get_option(3) LDAP_OPT_X_TLS_PEERCERT.
 */
#include "svm-idfw/dirldap_int.h"

#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "svm-idfw/dircert.h"

static int probe_tcp(const struct dldap_where *w, unsigned int timeout_ms, char why[DIR_WHY_MAX]);
static enum dir_tls_fault probe_tls(
	const struct dldap_conf *conf, const char *host, struct dir_cert *ret, bool *ret_read);

int dldap_explain(const struct dldap_conf *conf, char why[DIR_WHY_MAX])
{
	const bool shown = conf->bind == DLDAP_CERTIFICATE;
	struct dir_tls_facts f = { .ca_file = conf->ca_file,
		.client_cert = shown ? conf->client_cert : NULL,
		.client_key = shown ? conf->client_key : NULL,
		.now = time(NULL) };
	struct dir_cert cert;
	struct dldap_where w;
	bool ldaps, got = false;
	int err;

	if (!dldap_where(conf->uri, &w, &ldaps))
		return -EINVAL;
	err = probe_tcp(&w, conf->timeout_ms, why);
	if (err < 0)
		return err;
	if (!dldap_is_tls(conf)) {
		dir_why(why,
			"%.80s port %s takes connections and closes them; is it the directory's "
			"port" DIR_WHY_TRY "ldapsearch -x -H %.100s -s base -b '' +",
			w.host, w.port, conf->uri);
		return -ECONNRESET;
	}
	f.host = w.host;
	f.port = w.port;
	f.starttls = !ldaps;
	f.fault = probe_tls(conf, w.host, &cert, &got);
	f.cert = got ? &cert : NULL;
	dir_why_tls(why, &f);
	return -GI_ETLS;
}

static int probe_tcp(const struct dldap_where *w, unsigned int timeout_ms, char why[DIR_WHY_MAX])
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list = NULL, *a;
	int rc = getaddrinfo(w->host, w->port, &hints, &list), err = -EADDRNOTAVAIL;

	if (rc != 0) {
		dir_why_connect(why, w->host, w->port, gai_strerror(rc), 0);
		return -ECONNREFUSED;
	}
	for (a = list; a && err < 0; a = a->ai_next) {
		struct pollfd p = { .events = POLLOUT };
		socklen_t len = sizeof(rc);

		p.fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (p.fd < 0) {
			err = -errno;
			continue;
		}
		rc = 0;
		if (connect(p.fd, a->ai_addr, a->ai_addrlen) == 0)
			err = 0;
		else if (errno != EINPROGRESS)
			err = -errno;
		else if (poll(&p, 1, (int)timeout_ms) <= 0)
			err = -ETIMEDOUT;
		else
			err = getsockopt(p.fd, SOL_SOCKET, SO_ERROR, &rc, &len) < 0 ? -errno : -rc;
		(void)close(p.fd);
	}
	freeaddrinfo(list);
	if (err < 0)
		dir_why_connect(why, w->host, w->port, NULL, -err);
	return err;
}

bool dldap_peer_cert(LDAP *ld, const char *host, struct dir_cert *ret)
{
	struct berval der = { 0, NULL };
	bool ok = ldap_get_option(ld, LDAP_OPT_X_TLS_PEERCERT, &der) == LDAP_OPT_SUCCESS &&
		  der.bv_val && dir_cert_read(der.bv_val, der.bv_len, host, ret);

	ber_memfree(der.bv_val);
	return ok;
}

/* does it speak TLS at all, and what is its certificate? Nothing is sent but the handshake */
static enum dir_tls_fault probe_tls(
	const struct dldap_conf *conf, const char *host, struct dir_cert *ret, bool *ret_read)
{
	enum dir_tls_fault fault = DIR_TLS_NO_TLS;
	bool ldaps = strncmp(conf->uri, "ldaps:", 6) == 0;
	LDAP *ld = NULL;
	int rc;

	if (ldap_initialize(&ld, conf->uri) != LDAP_SUCCESS)
		return fault;
	if (dldap_options(ld, conf, LDAP_OPT_X_TLS_NEVER) == 0) {
		rc = ldaps ? ldap_connect(ld) : ldap_start_tls_s(ld, NULL, NULL);
		if (rc == LDAP_SUCCESS) {
			fault = DIR_TLS_CERT;
			*ret_read = dldap_peer_cert(ld, host, ret);
		} else if (!ldaps && rc > 0) { /* an answer of the server */
			fault = DIR_TLS_NO_STARTTLS;
		}
	}
	(void)ldap_unbind_ext_s(ld, NULL, NULL);
	return fault;
}

int dldap_resolve(const struct dldap_conf *conf, char ret_text[DIR_WHY_MAX], char why[DIR_WHY_MAX])
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list = NULL, *a;
	struct dldap_where w;
	char text[DIR_WHY_MAX], host[NI_MAXHOST];
	size_t at = 0;
	bool ldaps;
	int rc;

	if (!dldap_where(conf->uri, &w, &ldaps)) {
		dir_why(why, "uri \"%.100s\" names no host; write ldaps://dc1.corp.example",
			conf->uri);
		return -EINVAL;
	}
	rc = getaddrinfo(w.host, w.port, &hints, &list);
	if (rc != 0) {
		dir_why_connect(why, w.host, w.port, gai_strerror(rc), 0);
		return -GI_ENOTFOUND;
	}
	text[0] = '\0';
	for (a = list; a && at < sizeof(text) / 2; a = a->ai_next)
		if (getnameinfo(a->ai_addr, a->ai_addrlen, host, sizeof(host), NULL, 0,
			    NI_NUMERICHOST) == 0)
			at += (size_t)snprintf(
				text + at, sizeof(text) - at, "%s%.64s", at ? ", " : "", host);
	freeaddrinfo(list);
	dir_why(ret_text, "%s port %s", text, w.port);
	return 0;
}

int dldap_reach(const struct dldap_conf *conf, char why[DIR_WHY_MAX])
{
	struct dldap_where w;
	bool ldaps;

	return dldap_where(conf->uri, &w, &ldaps) ? probe_tcp(&w, conf->timeout_ms, why) : -EINVAL;
}

void dldap_tls_text(struct dldap *d, const char *uri, char ret_text[DIR_WHY_MAX])
{
	char *version = NULL, until[16];
	struct dldap_where w;
	struct dir_cert c;
	time_t end;
	struct tm tm;
	bool ldaps;

	ret_text[0] = '\0';
	if (!dldap_where(uri, &w, &ldaps) || !dldap_peer_cert(d->ld, w.host, &c))
		return;
	(void)ldap_get_option(d->ld, LDAP_OPT_X_TLS_VERSION, &version);
	end = (time_t)c.not_after;
	if (!gmtime_r(&end, &tm) || strftime(until, sizeof(until), "%Y-%m-%d", &tm) == 0)
		until[0] = '\0';
	dir_why(ret_text,
		"%.20s, certificate of %.80s for %.96s, issued by %.80s, until %s (%lld days)",
		version ? version : "TLS", c.subject, c.names, c.issuer, until,
		(long long)((c.not_after - time(NULL)) / 86400));
	ldap_memfree(version);
}

/* 20261122165500.0Z */
static int64_t probe_time(const char *text)
{
	struct tm tm = { 0 };

	return strptime(text, "%Y%m%d%H%M%S", &tm) ? timegm(&tm) : 0;
}

int64_t dldap_server_time(const struct dldap_conf *conf)
{
	struct timeval tv = { .tv_sec = 1 + conf->timeout_ms / 1000 };
	char name[] = "currentTime", *attrs[] = { name, NULL };
	struct berval **v = NULL;
	LDAPMessage *res = NULL, *entry;
	int64_t when = 0;
	LDAP *ld = NULL;

	if (ldap_initialize(&ld, conf->uri) != LDAP_SUCCESS)
		return 0;
	if (dldap_options(ld, conf, LDAP_OPT_X_TLS_DEMAND) == 0 &&
		ldap_search_ext_s(ld, "", LDAP_SCOPE_BASE, "(objectClass=*)", attrs, 0, NULL, NULL,
			&tv, 1, &res) == LDAP_SUCCESS) {
		entry = ldap_first_entry(ld, res);
		v = entry ? ldap_get_values_len(ld, entry, name) : NULL;
		if (v && v[0])
			when = probe_time(v[0]->bv_val);
		ldap_value_free_len(v);
	}
	ldap_msgfree(res);
	(void)ldap_unbind_ext_s(ld, NULL, NULL);
	return when;
}

bool dldap_where(const char *uri, struct dldap_where *ret, bool *ret_ldaps)
{
	LDAPURLDesc *u = NULL;
	bool ok;

	if (ldap_url_parse(uri, &u) != LDAP_URL_SUCCESS)
		return false;
	*ret_ldaps = strcmp(u->lud_scheme, "ldaps") == 0;
	ok = u->lud_host && u->lud_host[0] && strlen(u->lud_host) < sizeof(ret->host) &&
	     (*ret_ldaps || strcmp(u->lud_scheme, "ldap") == 0);
	if (ok) {
		(void)snprintf(ret->host, sizeof(ret->host), "%s", u->lud_host);
		(void)snprintf(ret->port, sizeof(ret->port), "%d",
			u->lud_port  ? u->lud_port
			: *ret_ldaps ? 636
				     : 389);
	}
	ldap_free_urldesc(u);
	return ok;
}
