/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirldap.c - one authenticated connection to a directory, and searches on it
 *
 * The only file that includes ldap.h; runs in the directory child. No configuration of the machine
 * (ldap.conf, LDAP* variables) has any influence, referrals are never followed, the certificate and
 * its name are always checked, a password is never sent without TLS.
 * Facts that shape it: an unknown CA, a wrong port and a dead server all give the same -1, so
 * dldap_explain() finds out; the TLS handshake has no time limit (docs/directory.md).
 * Source: ldap(3), ldap_set_option(3), ldap_connect(3); RFC 4511, 4513, 2696.
 */
#include "svm-idfw/dirldap.h"

#include <fcntl.h>
#include <ldap.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "svm-idfw/dircert.h"

#define PASSWORD_MAX 1024
#define SYNC_COOKIE_MAX 2048
#define SYNC_GULP 10000 /* messages in one go */

struct dldap {
	LDAP *ld;
	unsigned int timeout_ms;
	int sync; /* message number of the search that goes on; 0 none */
};

struct dldap_entry {
	LDAP *ld;
	LDAPMessage *msg;
};

struct dldap_where { /* for words */
	char host[128], port[8];
};

static int dldap_password(
	const struct dldap_conf *conf, char why[DIR_WHY_MAX], char ret[PASSWORD_MAX]);
static int dldap_options(LDAP *ld, const struct dldap_conf *conf, int require_cert);
static int dldap_connect(LDAP *ld, const struct dldap_conf *conf, char why[DIR_WHY_MAX]);
static int dldap_bind(
	LDAP *ld, const struct dldap_conf *conf, const char *password, char why[DIR_WHY_MAX]);
static int dldap_explain(const struct dldap_conf *conf, char why[DIR_WHY_MAX]);
static int dldap_probe_tcp(
	const struct dldap_where *w, unsigned int timeout_ms, char why[DIR_WHY_MAX]);
static enum dir_tls_fault dldap_probe_tls(
	const struct dldap_conf *conf, const char *host, char ret_names[DIR_CERT_NAMES_MAX]);
static bool dldap_where(const char *uri, struct dldap_where *ret, bool *ret_ldaps);
static int dldap_page(struct dldap *d, const struct dldap_query *q, struct berval *cookie,
	unsigned int *seen, char why[DIR_WHY_MAX]);
static int dldap_error(struct dldap *d, int rc, const char *what, char why[DIR_WHY_MAX]);

int dldap_open(const struct dldap_conf *conf, char why[DIR_WHY_MAX], struct dldap **ret)
{
	char password[PASSWORD_MAX] = "";
	struct dldap *d = NULL;
	int err;

	why[0] = '\0';
	err = dldap_password(conf, why, password);
	if (err < 0)
		goto out;
	if (access(conf->ca_file, R_OK) < 0) {
		err = -errno;
		dir_why(why, "cannot read ca %.120s: %s", conf->ca_file, strerror(-err));
		goto out;
	}
	d = calloc(1, sizeof(*d));
	if (!d) {
		err = -ENOMEM;
		goto out;
	}
	d->timeout_ms = conf->timeout_ms;
	if (ldap_initialize(&d->ld, conf->uri) != LDAP_SUCCESS) {
		dir_why(why, "uri \"%.100s\" is not one; write ldaps://dc1.corp.example",
			conf->uri);
		err = -EINVAL;
		goto out;
	}
	err = dldap_options(d->ld, conf, LDAP_OPT_X_TLS_DEMAND);
	if (err < 0) {
		dir_why(why, "libldap refuses the TLS settings; is ca %.120s a PEM file?",
			conf->ca_file);
		goto out;
	}
	err = dldap_connect(d->ld, conf, why);
	if (err == 0)
		err = dldap_bind(d->ld, conf, password, why);
out:
	explicit_bzero(password, sizeof(password));
	if (err < 0) {
		dldap_close(d);
		return err;
	}
	*ret = d;
	return 0;
}

void dldap_close(struct dldap *d)
{
	if (!d)
		return;
	if (d->ld)
		(void)ldap_unbind_ext_s(d->ld, NULL, NULL);
	free(d);
}

int dldap_search(struct dldap *d, const struct dldap_query *q, char why[DIR_WHY_MAX])
{
	struct berval cookie = { 0, NULL };
	unsigned int seen = 0;
	int err;

	why[0] = '\0';
	do {
		err = dldap_page(d, q, &cookie, &seen, why);
	} while (err == 0 && cookie.bv_len > 0);
	ber_memfree(cookie.bv_val);
	return err;
}

int dldap_entry_dn(struct dldap_entry *e, char **ret_dn)
{
	char *dn = ldap_get_dn(e->ld, e->msg);
	char *copy = dn ? strdup(dn) : NULL;

	ldap_memfree(dn);
	if (!copy)
		return -ENOMEM;
	*ret_dn = copy;
	return 0;
}

int dldap_entry_each(struct dldap_entry *e, const char *attr,
	int (*cb)(void *arg, const uint8_t *value, size_t len), void *arg)
{
	struct berval **v = ldap_get_values_len(e->ld, e->msg, attr);
	int rc = 0;
	size_t i;

	for (i = 0; rc == 0 && v && v[i]; i++)
		rc = cb(arg, (const uint8_t *)v[i]->bv_val, v[i]->bv_len);
	ldap_value_free_len(v);
	return rc;
}

bool dldap_entry_bytes(
	struct dldap_entry *e, const char *attr, void *buf, size_t size, size_t *ret_len)
{
	struct berval **v = ldap_get_values_len(e->ld, e->msg, attr);
	bool ok = v && v[0] && v[0]->bv_len <= size;

	*ret_len = ok ? v[0]->bv_len : 0;
	if (ok)
		memcpy(buf, v[0]->bv_val, v[0]->bv_len);
	ldap_value_free_len(v);
	return ok;
}

bool dldap_entry_text(struct dldap_entry *e, const char *attr, char *buf, size_t size)
{
	size_t len;
	bool ok = dldap_entry_bytes(e, attr, buf, size - 1, &len) && !memchr(buf, '\0', len);

	buf[ok ? len : 0] = '\0';
	return ok;
}

/* ---- opening ---- */

/* first line of the file; read again at each connection, so that a new password needs no restart */
static int dldap_password(
	const struct dldap_conf *conf, char why[DIR_WHY_MAX], char ret[PASSWORD_MAX])
{
	struct stat st;
	ssize_t n = -1;
	int fd = open(conf->password_file, O_RDONLY | O_CLOEXEC | O_NOCTTY), err = 0;

	if (fd < 0 || fstat(fd, &st) < 0) {
		err = -errno;
		dir_why(why,
			"cannot read password-file %.120s: %s; it must belong to the user that "
			"svm-idfw runs as",
			conf->password_file, strerror(-err));
		goto out;
	}
	if ((st.st_mode & 077) != 0) {
		err = -EACCES;
		dir_why(why, "password-file %.120s is open to others (mode %03o); chmod 400 it",
			conf->password_file, st.st_mode & 0777);
		goto out;
	}
	n = read(fd, ret, PASSWORD_MAX - 1);
	if (n < 0)
		err = -errno;
	ret[n > 0 ? n : 0] = '\0';
	ret[strcspn(ret, "\r\n")] = '\0';
	if (err == 0 &&
		ret[0] == '\0') /* an empty password would be an anonymous bind: RFC 4513 5.1.2 */
		err = -EINVAL;
	if (err < 0)
		dir_why(why, "password-file %.120s has no password in it", conf->password_file);
out:
	if (fd >= 0)
		(void)close(fd);
	return err;
}

static int dldap_options(LDAP *ld, const struct dldap_conf *conf, int require_cert)
{
	const int version = LDAP_VERSION3, tls_min = LDAP_OPT_X_TLS_PROTOCOL_TLS1_2, client = 0;
	struct timeval tv = { .tv_sec = conf->timeout_ms / 1000,
		.tv_usec = (conf->timeout_ms % 1000) * 1000 };
	const struct {
		int option;
		const void *value;
	} set[] = {
		{ LDAP_OPT_PROTOCOL_VERSION, &version },
		{ LDAP_OPT_REFERRALS, LDAP_OPT_OFF },
		{ LDAP_OPT_RESTART, LDAP_OPT_ON },
		{ LDAP_OPT_NETWORK_TIMEOUT, &tv },
		{ LDAP_OPT_TIMEOUT, &tv },
		{ LDAP_OPT_X_TLS_REQUIRE_CERT, &require_cert },
		{ LDAP_OPT_X_TLS_PROTOCOL_MIN, &tls_min },
		{ LDAP_OPT_X_TLS_CACERTFILE, conf->ca_file },
		{ LDAP_OPT_X_TLS_NEWCTX, &client },
	};
	size_t i;

	for (i = 0; i < GI_ARRAY_SIZE(set); i++)
		if (ldap_set_option(ld, set[i].option, set[i].value) != LDAP_OPT_SUCCESS)
			return -EINVAL;
	return 0;
}

static int dldap_connect(LDAP *ld, const struct dldap_conf *conf, char why[DIR_WHY_MAX])
{
	struct dldap_where w;
	bool ldaps;
	int rc;

	if (!dldap_where(conf->uri, &w, &ldaps)) {
		dir_why(why, "uri \"%.100s\" names no host; write ldaps://dc1.corp.example",
			conf->uri);
		return -EINVAL;
	}
	rc = ldaps ? ldap_connect(ld) : ldap_start_tls_s(ld, NULL, NULL);
	return rc == LDAP_SUCCESS ? 0 : dldap_explain(conf, why);
}

static int dldap_bind(
	LDAP *ld, const struct dldap_conf *conf, const char *password, char why[DIR_WHY_MAX])
{
	struct berval cred = { .bv_len = strlen(password), .bv_val = (char *)(uintptr_t)password };
	char *text = NULL;
	int rc = ldap_sasl_bind_s(ld, conf->bind_user, LDAP_SASL_SIMPLE, &cred, NULL, NULL, NULL);

	if (rc == LDAP_SUCCESS)
		return 0;
	(void)ldap_get_option(ld, LDAP_OPT_DIAGNOSTIC_MESSAGE, &text);
	if (rc == LDAP_INVALID_CREDENTIALS || rc == LDAP_INVALID_DN_SYNTAX)
		dir_why_bind(why, conf->bind_user, conf->password_file, text ? text : "");
	else
		dir_why(why, "bind as %.80s failed: %s (%.80s)", conf->bind_user,
			ldap_err2string(rc), text ? text : "");
	ldap_memfree(text);
	return rc == LDAP_INVALID_CREDENTIALS || rc == LDAP_INVALID_DN_SYNTAX ? -EACCES
	       : rc == LDAP_TIMEOUT					      ? -ETIMEDOUT
									      : -ECONNRESET;
}

/* ---- explaining: only after a failure, without credentials ---- */

static int dldap_explain(const struct dldap_conf *conf, char why[DIR_WHY_MAX])
{
	char names[DIR_CERT_NAMES_MAX] = "";
	struct dldap_where w;
	enum dir_tls_fault fault;
	bool ldaps;
	int err;

	if (!dldap_where(conf->uri, &w, &ldaps))
		return -EINVAL;
	err = dldap_probe_tcp(&w, conf->timeout_ms, why);
	if (err < 0)
		return err;
	fault = dldap_probe_tls(conf, w.host, names);
	dir_why_tls(why, fault, w.host, w.port, conf->ca_file, names);
	return -GI_ETLS;
}

static int dldap_probe_tcp(
	const struct dldap_where *w, unsigned int timeout_ms, char why[DIR_WHY_MAX])
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
static enum dir_tls_fault dldap_probe_tls(
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

static bool dldap_where(const char *uri, struct dldap_where *ret, bool *ret_ldaps)
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

/* ---- searching ---- */

static int dldap_entries(
	struct dldap *d, const struct dldap_query *q, LDAPMessage *res, unsigned int *seen)
{
	struct dldap_entry e = { .ld = d->ld };
	int err;

	for (e.msg = ldap_first_entry(d->ld, res); e.msg; e.msg = ldap_next_entry(d->ld, e.msg)) {
		if (++*seen > q->max)
			return -GI_ELIMIT;
		err = q->entry(q->arg, &e);
		if (err < 0)
			return err;
	}
	return 0;
}

/* one request; @cookie: in and out, empty at the end */
static int dldap_page(struct dldap *d, const struct dldap_query *q, struct berval *cookie,
	unsigned int *seen, char why[DIR_WHY_MAX])
{
	struct timeval tv = { .tv_sec = d->timeout_ms / 1000,
		.tv_usec = (d->timeout_ms % 1000) * 1000 };
	LDAPControl *page = NULL, *ask[2] = { NULL, NULL }, **got = NULL, *next;
	LDAPMessage *res = NULL;
	int rc, code = LDAP_SUCCESS, err = 0;

	if (q->page) {
		rc = ldap_create_page_control(d->ld, (ber_int_t)q->page, cookie, 0, &page);
		if (rc != LDAP_SUCCESS)
			return -ENOMEM;
		ask[0] = page;
	}
	rc = ldap_search_ext_s(d->ld, q->base,
		q->scope == DLDAP_BASE ? LDAP_SCOPE_BASE : LDAP_SCOPE_SUBTREE, q->filter,
		(char **)(uintptr_t)q->attrs, 0, ask, NULL, &tv, LDAP_NO_LIMIT, &res);
	ber_memfree(cookie->bv_val);
	*cookie = (struct berval){ 0, NULL };
	if (rc != LDAP_SUCCESS) {
		err = dldap_error(d, rc, q->filter, why);
		goto out;
	}
	err = dldap_entries(d, q, res, seen);
	if (err < 0 || !q->page)
		goto out;
	rc = ldap_parse_result(d->ld, res, &code, NULL, NULL, NULL, &got, 0);
	next = rc == LDAP_SUCCESS ? ldap_control_find(LDAP_CONTROL_PAGEDRESULTS, got, NULL) : NULL;
	if (next && ldap_parse_pageresponse_control(d->ld, next, NULL, cookie) != LDAP_SUCCESS)
		err = -GI_EPROTO;
out:
	ldap_controls_free(got);
	if (page)
		ldap_control_free(page);
	ldap_msgfree(res);
	return err;
}

static int dldap_error(struct dldap *d, int rc, const char *what, char why[DIR_WHY_MAX])
{
	char *text = NULL;

	(void)ldap_get_option(d->ld, LDAP_OPT_DIAGNOSTIC_MESSAGE, &text);
	dir_why(why, "search %.60s: %s%s%.60s", what, ldap_err2string(rc),
		text && text[0] ? ": " : "", text ? text : "");
	ldap_memfree(text);
	switch (rc) {
	case LDAP_NO_SUCH_OBJECT:
		return -GI_ENOTFOUND;
	case LDAP_SIZELIMIT_EXCEEDED:
	case LDAP_ADMINLIMIT_EXCEEDED:
		return -GI_ELIMIT;
	case LDAP_TIMEOUT:
	case LDAP_TIMELIMIT_EXCEEDED:
		return -ETIMEDOUT;
	case LDAP_INSUFFICIENT_ACCESS:
		return -EACCES;
	case LDAP_SERVER_DOWN:
	case LDAP_CONNECT_ERROR:
	case LDAP_UNAVAILABLE:
	case LDAP_BUSY:
	case LDAP_OPERATIONS_ERROR: /* AD: not bound (any more) */
		return -ECONNRESET;
	default:
		return -GI_EPROTO;
	}
}

/* ---- syncrepl: RFC 4533 ---- */

/* the refresh stage is over, or a new cookie: no news. A set of entries: some went meanwhile */
static bool dldap_sync_info_moved(struct dldap *d, LDAPMessage *msg)
{
	struct berval *data = NULL;
	bool moved;

	if (ldap_parse_intermediate(d->ld, msg, NULL, &data, NULL, 0) != LDAP_SUCCESS)
		return true;
	moved = data && data->bv_len && (uint8_t)data->bv_val[0] == LDAP_TAG_SYNC_ID_SET;
	ber_bvfree(data);
	return moved;
}

int dldap_sync_start(struct dldap *d, const char *base, const char *csn, char why[DIR_WHY_MAX])
{
	static const char *const none[] = { LDAP_NO_ATTRS, NULL };
	struct berval cookie = { 0, NULL }, *value = NULL;
	LDAPControl ctl = { .ldctl_iscritical = 1 }, *ask[2] = { &ctl, NULL };
	char oid[] = LDAP_CONTROL_SYNC, text[SYNC_COOKIE_MAX];
	BerElement *ber = ber_alloc_t(LBER_USE_DER);
	int err = -ENOMEM, rc, i;

	if (!ber)
		return -ENOMEM;
	rc = snprintf(text, sizeof(text), "rid=000,csn=%s", csn);
	if (rc < 0 || (size_t)rc >= sizeof(text))
		goto out;
	for (i = rc; i > 0 && text[i - 1] == ' '; i--)
		text[i - 1] = '\0';
	cookie = (struct berval){ .bv_len = (ber_len_t)i, .bv_val = text };
	while (i-- > 0)
		if (text[i] == ' ')
			text[i] = ';';
	if (ber_printf(ber, "{eO}", (ber_int_t)LDAP_SYNC_REFRESH_AND_PERSIST, &cookie) < 0 ||
		ber_flatten(ber, &value) < 0)
		goto out;
	ctl.ldctl_oid = oid;
	ctl.ldctl_value = *value;
	rc = ldap_search_ext(d->ld, base, LDAP_SCOPE_SUBTREE, "(objectClass=*)",
		(char **)(uintptr_t)none, 0, ask, NULL, NULL, LDAP_NO_LIMIT, &d->sync);
	err = rc == LDAP_SUCCESS ? 0 : dldap_error(d, rc, "syncrepl", why);
	if (err < 0)
		d->sync = 0;
out:
	ber_bvfree(value);
	ber_free(ber, 1);
	return err;
}

int dldap_sync_read(struct dldap *d, bool *ret_moved, char why[DIR_WHY_MAX])
{
	unsigned int n;

	*ret_moved = false;
	for (n = 0; d->sync && n < SYNC_GULP; n++) {
		struct timeval now = { 0, 0 };
		LDAPMessage *msg = NULL;
		int type = ldap_result(d->ld, d->sync, LDAP_MSG_ONE, &now, &msg);
		int code = LDAP_OTHER;

		if (type == 0)
			return 0;
		if (type < 0)
			return dldap_error(d, LDAP_SERVER_DOWN, "syncrepl", why);
		if (type == LDAP_RES_INTERMEDIATE) {
			*ret_moved |= dldap_sync_info_moved(d, msg);
		} else if (type == LDAP_RES_SEARCH_RESULT) {
			(void)ldap_parse_result(d->ld, msg, &code, NULL, NULL, NULL, NULL, 0);
			dir_why(why, "%s", ldap_err2string(code));
			*ret_moved = true;
			d->sync = 0;
		} else {
			*ret_moved = true;
		}
		ldap_msgfree(msg);
		if (!d->sync)
			return -GI_ENOTFOUND;
	}
	return 0;
}

int dldap_fd(struct dldap *d)
{
	int fd = -1;

	return ldap_get_option(d->ld, LDAP_OPT_DESC, &fd) == LDAP_OPT_SUCCESS ? fd : -1;
}
