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
#include <unistd.h>

#include "svm-idfw/dircert.h"

static int probe_tcp(const struct dldap_where *w, unsigned int timeout_ms, char why[DIR_WHY_MAX]);
static enum dir_tls_fault probe_tls(
	const struct dldap_conf *conf, const char *host, char ret_names[DIR_CERT_NAMES_MAX]);

int dldap_explain(const struct dldap_conf *conf, char why[DIR_WHY_MAX])
{
	char names[DIR_CERT_NAMES_MAX] = "";
	struct dldap_where w;
	enum dir_tls_fault fault;
	bool ldaps;
	int err;

	if (!dldap_where(conf->uri, &w, &ldaps))
		return -EINVAL;
	err = probe_tcp(&w, conf->timeout_ms, why);
	if (err < 0)
		return err;
	fault = probe_tls(conf, w.host, names);
	dir_why_tls(why, fault, w.host, w.port, conf->ca_file, names);
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

/* does it speak TLS at all, and for whom is its certificate? Nothing is sent but the handshake */
static enum dir_tls_fault probe_tls(
	const struct dldap_conf *conf, const char *host, char ret_names[DIR_CERT_NAMES_MAX])
{
	enum dir_tls_fault fault = DIR_TLS_NO_TLS;
	struct berval der = { 0, NULL };
	bool ldaps = strncmp(conf->uri, "ldaps:", 6) == 0;
	LDAP *ld = NULL;

	if (ldap_initialize(&ld, conf->uri) != LDAP_SUCCESS)
		return fault;
	if (dldap_options(ld, conf, LDAP_OPT_X_TLS_NEVER) == 0 &&
		(ldaps ? ldap_connect(ld) : ldap_start_tls_s(ld, NULL, NULL)) == LDAP_SUCCESS) {
		fault = DIR_TLS_CERT;
		if (ldap_get_option(ld, LDAP_OPT_X_TLS_PEERCERT, &der) == LDAP_OPT_SUCCESS &&
			der.bv_val && !dir_cert_names(der.bv_val, der.bv_len, host, ret_names))
			fault = DIR_TLS_NAME;
		ber_memfree(der.bv_val);
	}
	(void)ldap_unbind_ext_s(ld, NULL, NULL);
	return fault;
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
