/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirbind.c - opening a connection to a directory: TLS with host name check, and the bind
 *
 * Runs in the directory child. No configuration of the machine (ldap.conf, LDAP* variables) has any
 * influence, the certificate and its name are always checked, a password is never sent without TLS.
 * Facts that shape it: an unknown CA, a wrong port and a dead server all give the same -1, so
 * dirprobe.c finds out; the TLS handshake has no time limit (docs/directory.md).
 * Source: ldap_set_option(3), ldap_connect(3), ldap_sasl_bind(3); RFC 4513.
 */
#include "svm-idfw/dirldap_int.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "svm-idfw/dircert.h"

#define PASSWORD_MAX 1024

static int bind_password(
	const struct dldap_conf *conf, char why[DIR_WHY_MAX], char ret[PASSWORD_MAX]);
static int bind_connect(LDAP *ld, const struct dldap_conf *conf, char why[DIR_WHY_MAX]);
static int bind_cert_domain(LDAP *ld, const struct dldap_conf *conf, char why[DIR_WHY_MAX]);
static int bind_simple(
	LDAP *ld, const struct dldap_conf *conf, const char *password, char why[DIR_WHY_MAX]);

int dldap_open(const struct dldap_conf *conf, char why[DIR_WHY_MAX], struct dldap **ret)
{
	char password[PASSWORD_MAX] = "";
	struct dldap *d = NULL;
	int err;

	why[0] = '\0';
	err = bind_password(conf, why, password);
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
	err = bind_connect(d->ld, conf, why);
	if (err == 0 && conf->cert_domain)
		err = bind_cert_domain(d->ld, conf, why);
	if (err == 0)
		err = bind_simple(d->ld, conf, password, why);
out:
	explicit_bzero(password, sizeof(password));
	if (err < 0) {
		dldap_close(d);
		return err;
	}
	*ret = d;
	return 0;
}

/* first line of the file; read again at each connection, so that a new password needs no restart */
static int bind_password(
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

int dldap_options(LDAP *ld, const struct dldap_conf *conf, int require_cert)
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

static int bind_connect(LDAP *ld, const struct dldap_conf *conf, char why[DIR_WHY_MAX])
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

/*
 * The host's name came from DNS and proves nothing: any host of the company that has a certificate
 * could stand there. Domain controllers have the domain's name in theirs as well, and only they.
 */
static int bind_cert_domain(LDAP *ld, const struct dldap_conf *conf, char why[DIR_WHY_MAX])
{
	struct berval der = { 0, NULL };
	bool ok = ldap_get_option(ld, LDAP_OPT_X_TLS_PEERCERT, &der) == LDAP_OPT_SUCCESS &&
		  der.bv_val && dir_cert_has_name(der.bv_val, der.bv_len, conf->cert_domain);

	ber_memfree(der.bv_val);
	if (ok)
		return 0;
	dir_why(why,
		"%.70s was named by DNS and its certificate does not carry %.50s: give it one that "
		"does (template Kerberos Authentication), or name the host in discover-allow",
		conf->uri, conf->cert_domain);
	return -GI_ETLS;
}

static int bind_simple(
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
