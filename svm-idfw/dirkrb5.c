/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirkrb5.c - Kerberos tickets from a keytab, for the bind to a directory by GSSAPI
 *
 * Runs in the directory child; the only file that includes krb5.h. It asks the KDC itself, first
 * for the account's ticket, then for the one for the directory server, so that each failure has a
 * code that words can be found for; libgssapi then finds both in the cache. libkrb5 has no time
 * limit for a KDC that says nothing: the parent's deadline bounds it. Source: krb5.h; RFC
 * 4120 7.5.9.
 */
#include "svm-idfw/dirkrb5.h"

#include <ctype.h>
#include <krb5.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define KRB5_CACHE "MEMORY:idfw-directory"
#define KRB5_TEXT 160

struct krb5_all { /* of one call */
	const struct dir_krb5_ask *ask;
	krb5_context ctx;
	krb5_principal client, server;
	krb5_keytab keytab;
	krb5_ccache cache;
	unsigned int kvno;	/* of the client's key */
	char others[KRB5_TEXT]; /* a principal that the keytab has instead */
};

static krb5_error_code krb5_open(struct krb5_all *k);
static krb5_error_code krb5_look(struct krb5_all *k, bool *ret_found);
static bool krb5_fresh(struct krb5_all *k);
static krb5_error_code krb5_login(struct krb5_all *k);
static krb5_error_code krb5_service(struct krb5_all *k);
static int krb5_words(struct krb5_all *k, krb5_error_code code, char why[DIR_WHY_MAX]);
static void krb5_close(struct krb5_all *k);

int dir_krb5_init(const char *config)
{
	static const char *const ours[] = { "KRB5_CONFIG", "KRB5_KDC_PROFILE", "KRB5_KTNAME",
		"KRB5_CLIENT_KTNAME", "KRB5CCNAME", "KRB5RCACHETYPE", "KRB5RCACHENAME",
		"KRB5RCACHEDIR", "KRB5_TRACE", "GSS_MECH_CONFIG" };

	for (size_t i = 0; i < GI_ARRAY_SIZE(ours); i++)
		if (unsetenv(ours[i]) < 0)
			return -ENOMEM;
	if (setenv("KRB5CCNAME", KRB5_CACHE, 1) < 0 ||
		(config && setenv("KRB5_CONFIG", config, 1) < 0))
		return -ENOMEM;
	return 0;
}

/* at file scope since what it guards, the ticket cache that KRB5CCNAME names, is the process's too
 */
static pthread_mutex_t krb5_mutex = PTHREAD_MUTEX_INITIALIZER;

void dir_krb5_lock(void)
{
	(void)pthread_mutex_lock(&krb5_mutex);
}

void dir_krb5_unlock(void)
{
	(void)pthread_mutex_unlock(&krb5_mutex);
}

int dir_krb5_ticket(const struct dir_krb5_ask *ask, char why[DIR_WHY_MAX])
{
	struct krb5_all k = { .ask = ask };
	krb5_error_code code = krb5_open(&k);
	bool found = false;
	int err = 0;

	if (code == 0)
		code = krb5_look(&k, &found);
	if (code == 0 && !found) {
		dir_why(why,
			"keytab %.100s has no key of %.80s, but of %.80s; principals are written "
			"with "
			"the realm, in capitals" DIR_WHY_TRY "klist -kt %.100s",
			ask->keytab, ask->principal, k.others[0] ? k.others : "nobody",
			ask->keytab);
		err = -EACCES;
		goto out;
	}
	if (code == 0 && !krb5_fresh(&k))
		code = krb5_login(&k);
	if (code == 0)
		code = krb5_service(&k);
	if (code != 0)
		err = krb5_words(&k, code, why);
out:
	krb5_close(&k);
	return err;
}

void dir_krb5_why_clock(const struct dir_krb5_ask *ask, int64_t server_time, char why[DIR_WHY_MAX])
{
	char here[24] = "?", there[24] = "not known";
	time_t now = time(NULL), server = (time_t)server_time;
	struct tm tm;

	if (gmtime_r(&now, &tm))
		(void)strftime(here, sizeof(here), "%Y-%m-%dT%H:%M:%SZ", &tm);
	if (server_time && gmtime_r(&server, &tm))
		(void)strftime(there, sizeof(there), "%Y-%m-%dT%H:%M:%SZ", &tm);
	dir_why(why,
		"the clocks differ too much for Kerberos: %s here, %s on %.80s; set both by the "
		"same "
		"time server" DIR_WHY_TRY "timedatectl",
		here, there, ask->host);
}

static krb5_error_code krb5_open(struct krb5_all *k)
{
	char name[4096 + 8];
	krb5_error_code code = krb5_init_context(&k->ctx);

	if (code == 0)
		code = krb5_parse_name(k->ctx, k->ask->principal, &k->client);
	(void)snprintf(name, sizeof(name), "FILE:%s", k->ask->keytab);
	if (code == 0)
		code = krb5_kt_resolve(k->ctx, name, &k->keytab);
	if (code == 0)
		code = krb5_cc_resolve(k->ctx, KRB5_CACHE, &k->cache);
	if (code == 0)
		code = krb5_sname_to_principal(
			k->ctx, k->ask->host, "ldap", KRB5_NT_SRV_HST, &k->server);
	return code;
}

static void krb5_close(struct krb5_all *k)
{
	if (!k->ctx)
		return;
	krb5_free_principal(k->ctx, k->server);
	krb5_free_principal(k->ctx, k->client);
	if (k->keytab)
		(void)krb5_kt_close(k->ctx, k->keytab);
	if (k->cache)
		(void)krb5_cc_close(k->ctx, k->cache); /* what is in it stays */
	krb5_free_context(k->ctx);
}

/* the client's newest key in the keytab */
static krb5_error_code krb5_look(struct krb5_all *k, bool *ret_found)
{
	krb5_kt_cursor cursor;
	krb5_keytab_entry entry;
	krb5_error_code code = krb5_kt_start_seq_get(k->ctx, k->keytab, &cursor);
	char *name;

	if (code != 0)
		return code;
	while ((code = krb5_kt_next_entry(k->ctx, k->keytab, &entry, &cursor)) == 0) {
		if (krb5_principal_compare(k->ctx, entry.principal, k->client)) {
			*ret_found = true;
			if (entry.vno > k->kvno)
				k->kvno = entry.vno;
		} else if (k->others[0] == '\0' &&
			   krb5_unparse_name(k->ctx, entry.principal, &name) == 0) {
			(void)snprintf(k->others, sizeof(k->others), "%s", name);
			krb5_free_unparsed_name(k->ctx, name);
		}
		(void)krb5_free_keytab_entry_contents(k->ctx, &entry);
	}
	(void)krb5_kt_end_seq_get(k->ctx, k->keytab, &cursor);
	return code == KRB5_KT_END ? 0 : code;
}

/* a ticket of this account that has at least half of its life before it */
static bool krb5_fresh(struct krb5_all *k)
{
	krb5_creds want = { .client = k->client }, have;
	krb5_timestamp now;
	bool fresh = false;

	if (krb5_timeofday(k->ctx, &now) != 0 ||
		krb5_build_principal(k->ctx, &want.server, k->client->realm.length,
			k->client->realm.data, "krbtgt", k->client->realm.data, (char *)NULL) != 0)
		return false;
	if (krb5_cc_retrieve_cred(k->ctx, k->cache, 0, &want, &have) == 0) {
		uint32_t end = (uint32_t)have.times.endtime,
			 start = (uint32_t)(have.times.starttime ? have.times.starttime
								 : have.times.authtime);

		fresh = end > (uint32_t)now && end - (uint32_t)now > (end - start) / 2;
		krb5_free_cred_contents(k->ctx, &have);
	}
	krb5_free_principal(k->ctx, want.server);
	return fresh;
}

/* the account's own ticket; the cache is emptied for it, older ones for servers go as well */
static krb5_error_code krb5_login(struct krb5_all *k)
{
	krb5_get_init_creds_opt *opt = NULL;
	krb5_creds creds;
	krb5_error_code code = krb5_get_init_creds_opt_alloc(k->ctx, &opt);

	if (code != 0)
		return code;
	memset(&creds, 0, sizeof(creds));
	krb5_get_init_creds_opt_set_forwardable(opt, 0);
	krb5_get_init_creds_opt_set_proxiable(opt, 0);
	code = krb5_get_init_creds_opt_set_out_ccache(k->ctx, opt, k->cache);
	if (code == 0)
		code = krb5_get_init_creds_keytab(
			k->ctx, &creds, k->client, k->keytab, 0, NULL, opt);
	krb5_get_init_creds_opt_free(k->ctx, opt);
	krb5_free_cred_contents(k->ctx, &creds);
	return code;
}

static krb5_error_code krb5_service(struct krb5_all *k)
{
	krb5_creds want = { .client = k->client, .server = k->server }, *got = NULL;
	krb5_error_code code = krb5_get_credentials(k->ctx, 0, k->cache, &want, &got);

	if (code == 0)
		krb5_free_creds(k->ctx, got);
	return code;
}

/* ---- words ---- */

static bool krb5_lower_realm(const char *principal)
{
	const char *at = strchr(principal, '@');

	for (; at && *at; at++)
		if (islower((unsigned char)*at))
			return true;
	return false;
}

static int krb5_no_realm(struct krb5_all *k, krb5_error_code code, char why[DIR_WHY_MAX])
{
	const struct dir_krb5_ask *a = k->ask;
	const char *realm = strchr(a->principal, '@');

	realm = realm ? realm + 1 : "the default realm";
	if (krb5_lower_realm(a->principal))
		dir_why(why,
			"no KDC of realm %.80s is known: realms are written in capitals, in "
			"bind-user "
			"%.80s too" DIR_WHY_TRY "klist -kt %.100s",
			realm, a->principal, a->keytab);
	else if (code == KRB5_KDC_UNREACH)
		dir_why(why,
			"no KDC of realm %.80s answers on port 88; is it up, does krb5.conf or DNS "
			"name "
			"the right one" DIR_WHY_TRY "KRB5_TRACE=/dev/stderr kinit -kt %.100s %.80s",
			realm, a->keytab, a->principal);
	else
		dir_why(why,
			"no KDC of realm %.80s is known; name it in krb5.conf ([realms] kdc), or "
			"in DNS "
			"(SRV _kerberos._udp)" DIR_WHY_TRY "host -t SRV _kerberos._udp.%.80s",
			realm, realm);
	return -ECONNREFUSED;
}

/* the KDC's refusals, in words; NULL: not one of them */
static const char *krb5_refusal(krb5_error_code code)
{
	switch (code) {
	case KRB5KDC_ERR_C_PRINCIPAL_UNKNOWN:
	case KRB5KDC_ERR_WRONG_REALM:
		return "the KDC does not know this account (renamed, deleted, or of another "
		       "realm?)";
	case KRB5KDC_ERR_CLIENT_REVOKED:
		return "the account is disabled, expired or locked";
	case KRB5KDC_ERR_NAME_EXP:
		return "the account has expired";
	case KRB5KDC_ERR_KEY_EXP:
		return "its password has expired; set a new one and make a new keytab";
	case KRB5KDC_ERR_CLIENT_NOTYET:
		return "the account is not valid yet";
	case KRB5KDC_ERR_POLICY:
		return "the domain's rules do not let it log on";
	case KRB5KDC_ERR_ETYPE_NOSUPP:
	case KRB5_KT_NOTFOUND:
		return "the keytab has none of the key types that the KDC asks for (AES?); make it "
		       "again";
	default:
		return NULL;
	}
}

static int krb5_words(struct krb5_all *k, krb5_error_code code, char why[DIR_WHY_MAX])
{
	const struct dir_krb5_ask *a = k->ask;
	const char *text = krb5_refusal(code), *said;

	if (code == KRB5KRB_AP_ERR_SKEW || code == KRB5_KDCREP_SKEW)
		return -ETIME;
	if (code == KRB5_KDC_UNREACH || code == KRB5_REALM_UNKNOWN ||
		code == KRB5_REALM_CANT_RESOLVE)
		return krb5_no_realm(k, code, why);
	if (text) {
		dir_why(why, "Kerberos refuses %.80s: %s" DIR_WHY_TRY "kinit -kt %.100s %.80s",
			a->principal, text, a->keytab, a->principal);
		return -EACCES;
	}
	if (code == KRB5KDC_ERR_PREAUTH_FAILED || code == KRB5KRB_AP_ERR_BAD_INTEGRITY) {
		dir_why(why,
			"the KDC refuses the key of %.80s in keytab %.80s (version %u): the "
			"password has "
			"changed since; make a new keytab" DIR_WHY_TRY
			"klist -kt %.80s; kvno %.80s",
			a->principal, a->keytab, k->kvno, a->keytab, a->principal);
		return -EACCES;
	}
	if (code == KRB5KDC_ERR_S_PRINCIPAL_UNKNOWN) {
		dir_why(why,
			"the KDC knows no service ldap/%.80s; write the server's own DNS name in "
			"uri, not "
			"an alias or address" DIR_WHY_TRY "setspn -Q ldap/%.80s",
			a->host, a->host);
		return -EACCES;
	}
	said = krb5_get_error_message(k->ctx, code);
	dir_why(why,
		"Kerberos: %.160s (%.80s, keytab %.80s)" DIR_WHY_TRY "kinit -V -kt %.80s %.60s",
		said, a->principal, a->keytab, a->keytab, a->principal);
	if (k->ctx)
		krb5_free_error_message(k->ctx, said);
	return code == ENOMEM ? -ENOMEM : code == ETIMEDOUT ? -ETIMEDOUT : -EINVAL;
}
