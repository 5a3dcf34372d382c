/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirsasl.c - binds to a directory without a password: GSSAPI, and a TLS client certificate
 *
 * Runs in the directory child. GSSAPI on ldap:// has no TLS: Kerberos seals every message instead,
 * and a server that does not is refused, before anything but the bind was sent. On ldaps:// TLS
 * protects and Kerberos only says who we are. The tickets are dirkrb5.c's.
 * Source: RFC 4513 5.2, RFC 4752 (GSSAPI, security layers), RFC 4532 (who am I); sasl(3).
 */
#include "svm-idfw/dirldap_int.h"

#include <sasl/sasl.h>
#include <stdio.h>
#include <string.h>

#define SASL_SSF_LEAST 128 /* bits: AES; neither DES nor RC4 */
#define SASL_TEXT(n) SASL_TEXT_(n)
#define SASL_TEXT_(n) #n

/* libsasl asks for an identity to act for: none but the ticket's */
static int sasl_answer(LDAP *ld, unsigned int flags, void *defaults, void *in)
{
	sasl_interact_t *q;

	(void)ld;
	(void)flags;
	(void)defaults;
	for (q = in; q->id != SASL_CB_LIST_END; q++) {
		q->result = q->defresult ? q->defresult : "";
		q->len = (unsigned int)strlen(q->result);
	}
	return LDAP_SUCCESS;
}

static int sasl_code(int rc)
{
	return rc == LDAP_TIMEOUT ? -ETIMEDOUT : rc == LDAP_SERVER_DOWN ? -ECONNRESET : -EACCES;
}

static void gssapi_words(
	int rc, const char *text, const struct dldap_conf *conf, char why[DIR_WHY_MAX])
{
	if (strstr(text, "SASL(-4)") && rc < 0)
		dir_why(why, "this machine has no GSSAPI for SASL" DIR_WHY_TRY
			     "apt-get install libsasl2-modules-gssapi-mit");
	else if (strstr(text, "SASL(-15)"))
		dir_why(why,
			"%.80s does not seal with Kerberos (" SASL_TEXT(
				SASL_SSF_LEAST) " bits at "
						"least), and ldap:// with bind gssapi has no TLS; "
						"nothing was sent. Let it seal, "
						"or use ldaps://" DIR_WHY_TRY
						"ldapwhoami -Y GSSAPI -O minssf=" SASL_TEXT(
							SASL_SSF_LEAST) " -H %.80s",
			conf->uri, conf->uri);
	else if (rc == LDAP_STRONG_AUTH_REQUIRED && dldap_is_tls(conf))
		dir_why(why,
			"%.80s does not take GSSAPI over TLS; write ldap:// in uri: Kerberos seals "
			"it" DIR_WHY_TRY "ldapwhoami -Y GSSAPI -H ldap://...",
			conf->uri);
	else if (rc == LDAP_AUTH_METHOD_NOT_SUPPORTED)
		dir_why(why,
			"%.80s offers no GSSAPI" DIR_WHY_TRY
			"ldapsearch -x -H %.80s -s base -b '' supportedSASLMechanisms",
			conf->uri, conf->uri);
	else
		dir_why(why,
			"bind as %.80s by GSSAPI failed: %s (%.160s)" DIR_WHY_TRY
			"ldapwhoami -Y GSSAPI -H %.80s",
			conf->bind_user, ldap_err2string(rc), text, conf->uri);
}

int dldap_bind_gssapi(LDAP *ld, const struct dldap_conf *conf, char why[DIR_WHY_MAX])
{
	const bool tls = dldap_is_tls(conf);
	const char *props = tls ? "noplain,noanonymous,maxssf=0"
				: "noplain,noanonymous,minssf=" SASL_TEXT(SASL_SSF_LEAST);
	char *text = NULL;
	ber_len_t ssf = 0;
	int rc;

	if (ldap_set_option(ld, LDAP_OPT_X_SASL_SECPROPS, props) != LDAP_OPT_SUCCESS)
		return -EINVAL;
	rc = ldap_sasl_interactive_bind_s(
		ld, NULL, "GSSAPI", NULL, NULL, LDAP_SASL_QUIET, sasl_answer, NULL);
	if (rc == LDAP_SUCCESS && !tls &&
		(ldap_get_option(ld, LDAP_OPT_X_SASL_SSF, &ssf) != LDAP_OPT_SUCCESS ||
			ssf < SASL_SSF_LEAST)) { /* libsasl has looked already */
		gssapi_words(LDAP_LOCAL_ERROR, "SASL(-15)", conf, why);
		return -EACCES;
	}
	if (rc == LDAP_SUCCESS)
		return 0;
	(void)ldap_get_option(ld, LDAP_OPT_DIAGNOSTIC_MESSAGE, &text);
	gssapi_words(rc, text ? text : "", conf, why);
	ldap_memfree(text);
	return sasl_code(rc);
}

static void certificate_words(
	int rc, const char *text, const struct dldap_conf *conf, char why[DIR_WHY_MAX])
{
	if (rc == LDAP_SERVER_DOWN || rc == LDAP_CONNECT_ERROR)
		dir_why(why,
			"%.80s ends the connection when it has seen client-certificate %.80s: its "
			"CA is "
			"not one that the server trusts, or it has expired" DIR_WHY_TRY
			"openssl x509 -noout -subject -issuer -dates -in %.80s",
			conf->uri, conf->client_cert, conf->client_cert);
	else if (rc == LDAP_AUTH_METHOD_NOT_SUPPORTED)
		dir_why(why,
			"%.80s does not ask for a client certificate, or takes none for a bind "
			"(slapd: "
			"TLSVerifyClient demand)" DIR_WHY_TRY
			"ldapsearch -x -H %.80s -s base -b '' supportedSASLMechanisms",
			conf->uri, conf->uri);
	else
		dir_why(why,
			"%.80s knows no account for client-certificate %.80s: %s "
			"(%.100s)" DIR_WHY_TRY "openssl x509 -noout -subject -in %.80s",
			conf->uri, conf->client_cert, ldap_err2string(rc), text, conf->client_cert);
}

/* bound, and as nobody: the server has no use for the certificate */
static bool certificate_is_nobody(LDAP *ld)
{
	struct berval *id = NULL;
	bool nobody = ldap_whoami_s(ld, &id, NULL, NULL) == LDAP_SUCCESS && (!id || !id->bv_len);

	ber_bvfree(id);
	return nobody;
}

int dldap_bind_certificate(LDAP *ld, const struct dldap_conf *conf, char why[DIR_WHY_MAX])
{
	char none[] = "", *text = NULL;
	struct berval cred = { .bv_len = 0, .bv_val = none };
	int rc = ldap_sasl_bind_s(ld, "", "EXTERNAL", &cred, NULL, NULL, NULL);

	if (rc == LDAP_SUCCESS && certificate_is_nobody(ld))
		rc = LDAP_INAPPROPRIATE_AUTH;
	if (rc == LDAP_SUCCESS)
		return 0;
	(void)ldap_get_option(ld, LDAP_OPT_DIAGNOSTIC_MESSAGE, &text);
	certificate_words(rc, text ? text : "", conf, why);
	ldap_memfree(text);
	return sasl_code(rc);
}

void dldap_whoami(struct dldap *d, char ret_text[DIR_WHY_MAX])
{
	struct berval *id = NULL;

	ret_text[0] = '\0';
	if (ldap_whoami_s(d->ld, &id, NULL, NULL) == LDAP_SUCCESS && id)
		dir_why(ret_text, "%.*s", (int)(id->bv_len < 200 ? id->bv_len : 200), id->bv_val);
	ber_bvfree(id);
}
