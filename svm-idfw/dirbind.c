/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirbind.c - opening a connection to a directory: TLS with host name check, and the bind
 *
 * Runs in the directory child. No configuration of the machine (ldap.conf, LDAP* variables) has any
 * influence, the certificate and its name are always checked, a password is never sent without TLS.
 * Facts that shape it: an unknown CA, a wrong port and a dead server all give the same -1, so
 * dirprobe.c finds out; the TLS handshake has no time limit (docs/directory.md). dirsasl.c has the
 * binds without a password, dirfile.c looks at the files.
 * Source: ldap_set_option(3), ldap_connect(3), ldap_sasl_bind(3); RFC 4513;
 * draft-behera-ldap-password-policy-10 (why an account may not bind).
 */
#include "svm-idfw/dirldap_int.h"

#include <stdlib.h>
#include <string.h>

#include "svm-idfw/dircert.h"
#include "svm-idfw/dirfile.h"
#include "svm-idfw/dirkrb5.h"

static int bind_files(
	const struct dldap_conf *conf, char why[DIR_WHY_MAX], char ret_password[DIR_PASSWORD_MAX]);
static int bind_ticket(const struct dldap_conf *conf, char why[DIR_WHY_MAX], struct dir_krb5 **ret);
static int bind_by_name(LDAP **ret, const struct dldap_conf *conf, char why[DIR_WHY_MAX]);
static int bind_connect(LDAP *ld, const struct dldap_conf *conf, char why[DIR_WHY_MAX]);
static int bind_cert_domain(LDAP *ld, const struct dldap_conf *conf, char why[DIR_WHY_MAX]);
static int bind_as(
	LDAP *ld, const struct dldap_conf *conf, const char *password, char why[DIR_WHY_MAX]);
static int bind_simple(
	LDAP *ld, const struct dldap_conf *conf, const char *password, char why[DIR_WHY_MAX]);

int dldap_init(const char *krb5_config)
{
	/* LDAPNOINIT: before libldap's first call: no ldap.conf, no .ldaprc, no LDAP* variables */
	if (setenv("LDAPNOINIT", "1", 1) < 0 || unsetenv("SASL_PATH") < 0 ||
		unsetenv("SASL_CONF_PATH") < 0)
		return -ENOMEM;
	return dir_krb5_init(krb5_config);
}

static void bind_stage(const struct dldap_conf *conf, const char *name, struct dldap *d)
{
	if (conf->stage)
		conf->stage(conf->stage_arg, name, d);
}

int dldap_open(const struct dldap_conf *conf, char why[DIR_WHY_MAX], struct dldap **ret)
{
	char password[DIR_PASSWORD_MAX] = "";
	struct dir_krb5 *tickets = NULL;
	struct dldap *d = NULL;
	int err;

	why[0] = '\0';
	bind_stage(conf, "files", NULL);
	err = bind_files(conf, why, password);
	if (err == 0 && conf->bind == DLDAP_GSSAPI) {
		bind_stage(conf, "kerberos", NULL);
		err = bind_ticket(conf, why, &tickets);
	}
	if (err < 0)
		goto out;
	d = calloc(1, sizeof(*d));
	if (!d) {
		err = -ENOMEM;
		goto out;
	}
	d->timeout_ms = conf->timeout_ms;
	bind_stage(conf, dldap_is_tls(conf) ? "tls" : "connect", NULL);
	err = dldap_by_address(conf, &d->ld);
	if (err < 0)
		err = bind_by_name(&d->ld, conf, why);
	if (err == 0 && conf->cert_domain)
		err = bind_cert_domain(d->ld, conf, why);
	if (err == 0) {
		bind_stage(conf, "bind", d);
		err = bind_as(d->ld, conf, password, why);
	}
	if (err == 0 && tickets)
		err = dir_krb5_used(tickets, why);
out:
	dir_krb5_free(tickets);
	explicit_bzero(password, sizeof(password));
	if (err < 0) {
		dldap_close(d);
		return err;
	}
	*ret = d;
	return 0;
}

/* @ret: set on an error as well, if there is something to close */
static int bind_by_name(LDAP **ret, const struct dldap_conf *conf, char why[DIR_WHY_MAX])
{
	int err;

	if (ldap_initialize(ret, conf->uri) != LDAP_SUCCESS) {
		dir_why(why, "uri \"%.100s\" is not one; write ldaps://dc1.corp.example",
			conf->uri);
		return -EINVAL;
	}
	err = dldap_options(*ret, conf, LDAP_OPT_X_TLS_DEMAND);
	if (err < 0) {
		dir_why(why,
			"libldap refuses the TLS settings; are ca %.120s and the client "
			"certificate PEM files, and is the key the certificate's?",
			conf->ca_file ? conf->ca_file : "");
		return err;
	}
	return bind_connect(*ret, conf, why);
}

bool dldap_is_tls(const struct dldap_conf *conf)
{
	return conf->bind != DLDAP_GSSAPI || strncmp(conf->uri, "ldaps:", 6) == 0;
}

/* read again at each connection, so that what is renewed needs no restart */
static int bind_files(
	const struct dldap_conf *conf, char why[DIR_WHY_MAX], char ret_password[DIR_PASSWORD_MAX])
{
	int err = dldap_is_tls(conf) ? dir_file_readable("ca", conf->ca_file, why) : 0;

	if (err < 0)
		return err;
	switch (conf->bind) {
	case DLDAP_SIMPLE:
		return dir_file_password(conf->password_file, why, ret_password);
	case DLDAP_GSSAPI:
		return dir_file_secret("keytab", conf->keytab, why);
	case DLDAP_CERTIFICATE:
		err = dir_file_readable("client-certificate", conf->client_cert, why);
		return err < 0 ? err : dir_file_secret("client-key", conf->client_key, why);
	}
	return -EINVAL;
}

static int bind_ticket(const struct dldap_conf *conf, char why[DIR_WHY_MAX], struct dir_krb5 **ret)
{
	struct dir_krb5_ask ask = { .keytab = conf->keytab, .principal = conf->bind_user };
	struct dldap_where w;
	bool ldaps;
	int err;

	if (!dldap_where(conf->uri, &w, &ldaps)) {
		dir_why(why, "uri \"%.100s\" names no host", conf->uri);
		return -EINVAL;
	}
	ask.host = w.host;
	err = dir_krb5_ticket(&ask, why, ret);
	if (err == -ETIME) {
		dir_krb5_why_clock(&ask, dldap_server_time(conf), why);
		err = -EACCES;
	}
	return err;
}

int dldap_options(LDAP *ld, const struct dldap_conf *conf, int require_cert)
{
	const int version = LDAP_VERSION3, tls_min = LDAP_OPT_X_TLS_PROTOCOL_TLS1_2, client = 0;
	const bool tls = dldap_is_tls(conf), cert = conf->bind == DLDAP_CERTIFICATE;
	struct timeval tv = { .tv_sec = conf->timeout_ms / 1000,
		.tv_usec = (conf->timeout_ms % 1000) * 1000 };
	ber_len_t most = DLDAP_MESSAGE_MAX;
	Sockbuf *sb = NULL;
	const struct {
		int option;
		const void *value; /* LDAP_OPT_OFF is NULL */
		bool unused;
	} set[] = {
		{ LDAP_OPT_PROTOCOL_VERSION, &version, false },
		{ LDAP_OPT_REFERRALS, LDAP_OPT_OFF, false },
		{ LDAP_OPT_RESTART, LDAP_OPT_ON, false },
		{ LDAP_OPT_NETWORK_TIMEOUT, &tv, false },
		{ LDAP_OPT_TIMEOUT, &tv, false },
		{ LDAP_OPT_X_SASL_NOCANON, LDAP_OPT_ON, false }, /* the name in uri, not DNS's */
		{ LDAP_OPT_X_TLS_REQUIRE_CERT, &require_cert, false },
		{ LDAP_OPT_X_TLS_PROTOCOL_MIN, &tls_min, false },
		{ LDAP_OPT_X_TLS_CACERTFILE, conf->ca_file, !tls },
		{ LDAP_OPT_X_TLS_CERTFILE, conf->client_cert, !cert },
		{ LDAP_OPT_X_TLS_KEYFILE, conf->client_key, !cert },
		{ LDAP_OPT_X_TLS_NEWCTX, &client, !tls },
	};
	size_t i;

	for (i = 0; i < GI_ARRAY_SIZE(set); i++)
		if (!set[i].unused &&
			ldap_set_option(ld, set[i].option, set[i].value) != LDAP_OPT_SUCCESS)
			return -EINVAL;
	if (ldap_get_option(ld, LDAP_OPT_SOCKBUF, &sb) != LDAP_OPT_SUCCESS ||
		ber_sockbuf_ctrl(sb, LBER_SB_OPT_SET_MAX_INCOMING, &most) != 1)
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
	rc = ldaps || !dldap_is_tls(conf) ? ldap_connect(ld) : ldap_start_tls_s(ld, NULL, NULL);
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
	if (!dldap_is_tls(conf)) {
		dir_why(why,
			"%.70s was named by DNS, and without TLS it has no certificate that "
			"carries "
			"%.50s: use discover-tls ldaps, or name the host in discover-allow",
			conf->uri, conf->cert_domain);
		return -GI_ETLS;
	}
	dir_why(why,
		"%.70s was named by DNS and its certificate does not carry %.50s: give it one that "
		"does (template Kerberos Authentication), or name the host in discover-allow",
		conf->uri, conf->cert_domain);
	return -GI_ETLS;
}

static int bind_as(
	LDAP *ld, const struct dldap_conf *conf, const char *password, char why[DIR_WHY_MAX])
{
	switch (conf->bind) {
	case DLDAP_SIMPLE:
		return bind_simple(ld, conf, password, why);
	case DLDAP_GSSAPI:
		return dldap_bind_gssapi(ld, conf, why);
	case DLDAP_CERTIFICATE:
		return dldap_bind_certificate(ld, conf, why);
	}
	return -EINVAL;
}

struct bind_end { /* how a bind went */
	int rc;
	char *text; /* owned, ldap_memfree(); or NULL */
	LDAPPasswordPolicyError policy;
};

static void bind_policy(LDAP *ld, LDAPControl **got, struct bind_end *end)
{
	LDAPControl *ctl = ldap_control_find(LDAP_CONTROL_PASSWORDPOLICYRESPONSE, got, NULL);
	ber_int_t expire, grace;

	if (!ctl || ldap_parse_passwordpolicy_control(ld, ctl, &expire, &grace, &end->policy) !=
			    LDAP_SUCCESS)
		end->policy = PP_noError;
}

/* asks for what a password policy has to say (slapo-ppolicy; others take no notice) */
static void bind_send(
	LDAP *ld, const struct dldap_conf *conf, const char *password, struct bind_end *end)
{
	struct timeval tv = { .tv_sec = conf->timeout_ms / 1000,
		.tv_usec = (conf->timeout_ms % 1000) * 1000 };
	struct berval cred = { .bv_len = strlen(password), .bv_val = (char *)(uintptr_t)password };
	char oid[] = LDAP_CONTROL_PASSWORDPOLICYREQUEST;
	LDAPControl policy = { .ldctl_oid = oid }, *ask[] = { &policy, NULL }, **got = NULL;
	LDAPMessage *res = NULL;
	int id = 0, type;

	*end = (struct bind_end){ .policy = PP_noError };
	end->rc = ldap_sasl_bind(ld, conf->bind_user, LDAP_SASL_SIMPLE, &cred, ask, NULL, &id);
	if (end->rc != LDAP_SUCCESS)
		return;
	type = ldap_result(ld, id, LDAP_MSG_ALL, &tv, &res);
	if (type != LDAP_RES_BIND) {
		end->rc = type == 0 ? LDAP_TIMEOUT : LDAP_SERVER_DOWN;
		ldap_msgfree(res);
		return;
	}
	type = ldap_parse_result(ld, res, &end->rc, NULL, &end->text, NULL, &got, 1);
	if (type != LDAP_SUCCESS)
		end->rc = type;
	bind_policy(ld, got, end);
	ldap_controls_free(got);
}

static void bind_words(
	const struct dldap_conf *conf, const struct bind_end *end, char why[DIR_WHY_MAX])
{
	const char *text = end->text ? end->text : "";

	if (end->policy == PP_accountLocked)
		dir_why_policy(why, DIR_POLICY_LOCKED, conf->uri, conf->bind_user);
	else if (end->policy == PP_passwordExpired)
		dir_why_policy(why, DIR_POLICY_EXPIRED, conf->uri, conf->bind_user);
	else if (end->policy == PP_changeAfterReset)
		dir_why_policy(why, DIR_POLICY_MUST_CHANGE, conf->uri, conf->bind_user);
	else if (end->rc == LDAP_INVALID_CREDENTIALS || end->rc == LDAP_INVALID_DN_SYNTAX)
		dir_why_bind(why, conf->uri, conf->bind_user, conf->password_file, text);
	else if (end->rc == LDAP_SERVER_DOWN)
		dir_why(why,
			"%.80s ends the connection at the bind; does the server want a client "
			"certificate (bind certificate)" DIR_WHY_TRY
			"ldapwhoami -x -W -H %.80s -D '%.80s'",
			conf->uri, conf->uri, conf->bind_user);
	else
		dir_why(why,
			"bind as %.80s failed: %s (%.80s)" DIR_WHY_TRY
			"ldapwhoami -x -W -H %.80s -D '%.80s'",
			conf->bind_user, ldap_err2string(end->rc), text, conf->uri,
			conf->bind_user);
}

static int bind_simple(
	LDAP *ld, const struct dldap_conf *conf, const char *password, char why[DIR_WHY_MAX])
{
	struct bind_end end;
	int rc;

	bind_send(ld, conf, password, &end);
	rc = end.rc;
	/* bound, but until the password is changed it gets no answer to anything else */
	if (rc == LDAP_SUCCESS && end.policy == PP_changeAfterReset)
		rc = LDAP_INVALID_CREDENTIALS;
	if (rc != LDAP_SUCCESS)
		bind_words(conf, &end, why);
	ldap_memfree(end.text);
	if (rc == LDAP_INVALID_CREDENTIALS || rc == LDAP_INVALID_DN_SYNTAX)
		return -EACCES;
	return rc == LDAP_SUCCESS ? 0 : rc == LDAP_TIMEOUT ? -ETIMEDOUT : -ECONNRESET;
}
