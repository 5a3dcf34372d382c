/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirkrb5.c - Kerberos tickets from a keytab, for the bind to a directory by GSSAPI
 *
 * Runs in the directory child; the only file that includes krb5.h. It asks the KDC itself, first
 * for the account's ticket, then for the one for the directory server, so that each failure has a
 * code that words can be found for. It does so in a cache of its own; what came is put into the one
 * that libgssapi uses, which binds read and only that changes: so nobody waits for another one's
 * KDC or server. What libgssapi asked for besides is seen afterwards. libkrb5 has no time limit for
 * a KDC that says nothing: the parent's deadline bounds it, and a ticket that is valid is renewed
 * beside (a thread). Source: krb5.h; RFC 4120 7.5.9.
 */
#include "svm-idfw/dirkrb5.h"

#include <ctype.h>
#include <krb5.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "lib/base/log.h"

#define KRB5_CACHE "MEMORY:idfw-directory" /* and "-1", "-2", .. of binds */
#define KRB5_TEXT 160

struct krb5_all { /* of one call */
	const struct dir_krb5_ask *ask;
	char name[sizeof(KRB5_CACHE) + 24]; /* of @cache */
	krb5_context ctx;
	krb5_principal client, server;
	krb5_keytab keytab;
	krb5_ccache all;	/* KRB5_CACHE */
	krb5_ccache cache;	/* of this call alone */
	bool news;		/* there are tickets in it that the cache of all has not */
	unsigned int kvno;	/* of the client's key */
	char others[KRB5_TEXT]; /* a principal that the keytab has instead */
};

static krb5_error_code krb5_open(struct krb5_all *k);
static krb5_error_code krb5_look(struct krb5_all *k, bool *ret_found);
static void krb5_have(struct krb5_all *k, bool *ret_valid, bool *ret_fresh);
static void krb5_get(struct krb5_all *k);
static void krb5_put(struct krb5_all *k);
static bool krb5_is_ours(struct krb5_all *k, krb5_const_principal p);
static void krb5_renew(const struct dir_krb5_ask *ask);
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

struct dir_krb5 {
	bool reads;		 /* has krb5_lock */
	struct dir_krb5_ask ask; /* owned texts */
	struct krb5_all k;
};

/*
 * At file scope since what it guards, the cache that KRB5CCNAME names, is the process's too. A bind
 * reads it as long as it lasts; to write, nothing is done that waits for anybody
 */
static pthread_rwlock_t krb5_lock = PTHREAD_RWLOCK_INITIALIZER;
static atomic_uint krb5_number; /* of the last bind's cache */
static atomic_bool krb5_renewing;

static int krb5_new(const struct dir_krb5_ask *ask, struct dir_krb5 **ret)
{
	struct dir_krb5 *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->k.ask = &d->ask;
	d->ask = (struct dir_krb5_ask){ .keytab = strdup(ask->keytab),
		.principal = strdup(ask->principal),
		.host = strdup(ask->host) };
	if (!d->ask.keytab || !d->ask.principal || !d->ask.host) {
		dir_krb5_free(d);
		return -ENOMEM;
	}
	*ret = d;
	return 0;
}

static int krb5_tickets(struct krb5_all *k, char why[DIR_WHY_MAX])
{
	krb5_error_code code = krb5_open(k);
	bool found = false, valid = false, fresh = false;

	if (code == 0)
		code = krb5_look(k, &found);
	if (code == 0 && !found) {
		dir_why(why,
			"keytab %.100s has no key of %.80s, but of %.80s; principals are written "
			"with "
			"the realm, in capitals" DIR_WHY_TRY "klist -kt %.100s",
			k->ask->keytab, k->ask->principal, k->others[0] ? k->others : "nobody",
			k->ask->keytab);
		return -EACCES;
	}
	if (code == 0) {
		krb5_get(k);
		krb5_have(k, &valid, &fresh);
	}
	if (code == 0 && !valid)
		code = krb5_login(k);
	else if (code == 0 && !fresh)
		krb5_renew(k->ask);
	if (code == 0)
		code = krb5_service(k);
	if (code != 0)
		return krb5_words(k, code, why);
	if (k->news && (!valid || pthread_rwlock_trywrlock(&krb5_lock) == 0)) {
		if (!valid)
			(void)pthread_rwlock_wrlock(&krb5_lock);
		krb5_put(k);
		(void)pthread_rwlock_unlock(&krb5_lock);
	}
	return 0;
}

int dir_krb5_ticket(const struct dir_krb5_ask *ask, char why[DIR_WHY_MAX], struct dir_krb5 **ret)
{
	struct dir_krb5 *d = NULL;
	int err = krb5_new(ask, &d);

	if (err < 0)
		return err;
	err = krb5_tickets(&d->k, why);
	if (err < 0) {
		dir_krb5_free(d);
		return err;
	}
	d->reads = pthread_rwlock_rdlock(&krb5_lock) == 0;
	*ret = d;
	return 0;
}

static bool krb5_is(const krb5_data *d, const char *text)
{
	return d->length == strlen(text) && strncasecmp(d->data, text, d->length) == 0;
}

/* krbtgt/.., what libkrb5 notes for itself (X-CACHECONF:), ldap/host */
static bool krb5_is_ours(struct krb5_all *k, krb5_const_principal p)
{
	if (krb5_is_config_principal(k->ctx, p))
		return true;
	if (p->length != 2)
		return false;
	return krb5_is(&p->data[0], "krbtgt") ||
	       (krb5_is(&p->data[0], "ldap") && krb5_is(&p->data[1], k->ask->host));
}

int dir_krb5_used(struct dir_krb5 *d, char why[DIR_WHY_MAX])
{
	struct krb5_all *k = &d->k;
	krb5_cc_cursor cursor;
	krb5_creds creds;
	char *name = NULL;
	bool ok = true;

	if (krb5_cc_start_seq_get(k->ctx, k->all, &cursor) != 0)
		return -EACCES;
	while (ok && krb5_cc_next_cred(k->ctx, k->all, &cursor, &creds) == 0) {
		ok = krb5_is_ours(k, creds.server);
		if (!ok && krb5_unparse_name(k->ctx, creds.server, &name) != 0)
			name = NULL;
		krb5_free_cred_contents(k->ctx, &creds);
	}
	(void)krb5_cc_end_seq_get(k->ctx, k->all, &cursor);
	if (ok)
		return 0;
	dir_why(why,
		"DNS led Kerberos to %.80s instead of ldap/%.80s; it may be forged, so nothing was "
		"asked there: write the server's own name in uri, or dns_canonicalize_hostname = "
		"false in krb5.conf" DIR_WHY_TRY "getent ahosts %.80s",
		name ? name : "another one", k->ask->host, k->ask->host);
	krb5_free_unparsed_name(k->ctx, name);
	return -EACCES;
}

void dir_krb5_free(struct dir_krb5 *d)
{
	if (!d)
		return;
	if (d->reads)
		(void)pthread_rwlock_unlock(&krb5_lock);
	krb5_close(&d->k);
	free((char *)(uintptr_t)d->ask.keytab);
	free((char *)(uintptr_t)d->ask.principal);
	free((char *)(uintptr_t)d->ask.host);
	free(d);
}

/* ---- renewing ---- */

static void *krb5_renew_main(void *arg)
{
	struct dir_krb5 *d = arg;
	char why[DIR_WHY_MAX] = "";
	krb5_error_code code = krb5_open(&d->k);

	if (code == 0)
		code = krb5_login(&d->k);
	if (code == 0)
		code = krb5_service(&d->k);
	if (code == 0) {
		(void)pthread_rwlock_wrlock(&krb5_lock);
		krb5_put(&d->k);
		(void)pthread_rwlock_unlock(&krb5_lock);
	} else if (krb5_words(&d->k, code, why) < 0) {
		gi_warn("directory: the ticket is not renewed, it still is valid: %s",
			why[0] ? why : "the clocks differ");
	}
	dir_krb5_free(d);
	atomic_store(&krb5_renewing, false);
	return NULL;
}

/* one at a time; whoever has a ticket does not wait for it, and its failure is the next one's */
static void krb5_renew(const struct dir_krb5_ask *ask)
{
	struct dir_krb5 *d = NULL;
	pthread_attr_t attr;
	pthread_t thread;
	bool no = false;

	if (!atomic_compare_exchange_strong(&krb5_renewing, &no, true))
		return;
	if (krb5_new(ask, &d) == 0 && pthread_attr_init(&attr) == 0) {
		(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
		no = pthread_create(&thread, &attr, krb5_renew_main, d) == 0;
		(void)pthread_attr_destroy(&attr);
		if (no)
			return;
	}
	dir_krb5_free(d);
	atomic_store(&krb5_renewing, false);
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
	char name[4096 + 8], host[256];
	size_t i;
	krb5_error_code code = krb5_init_context(&k->ctx);

	if (code == 0)
		code = krb5_parse_name(k->ctx, k->ask->principal, &k->client);
	(void)snprintf(name, sizeof(name), "FILE:%s", k->ask->keytab);
	if (code == 0)
		code = krb5_kt_resolve(k->ctx, name, &k->keytab);
	/* first: how far the KDC's clock is from ours is noted in it (kdc_timesync) */
	if (code == 0)
		code = krb5_cc_resolve(k->ctx, KRB5_CACHE, &k->all);
	(void)snprintf(
		k->name, sizeof(k->name), KRB5_CACHE "-%u", atomic_fetch_add(&krb5_number, 1) + 1);
	if (code == 0)
		code = krb5_cc_resolve(k->ctx, k->name, &k->cache);
	for (i = 0; i < sizeof(host) - 1 && k->ask->host[i]; i++)
		host[i] = (char)tolower((unsigned char)k->ask->host[i]);
	host[i] = '\0';
	if (code == 0) /* of this type it is taken as it is: DNS is not asked for another name */
		code = krb5_sname_to_principal(k->ctx, host, "ldap", KRB5_NT_UNKNOWN, &k->server);
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
	if (k->all)
		(void)krb5_cc_close(k->ctx, k->all);
	if (k->cache)
		(void)krb5_cc_destroy(k->ctx, k->cache);
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

/* what is known from before; not what libgssapi has asked for because of another name */
static void krb5_get(struct krb5_all *k)
{
	krb5_principal of = NULL;
	krb5_cc_cursor cursor;
	krb5_creds creds;

	(void)pthread_rwlock_rdlock(&krb5_lock);
	if (krb5_cc_get_principal(k->ctx, k->all, &of) == 0 &&
		krb5_principal_compare(k->ctx, of, k->client) &&
		krb5_cc_initialize(k->ctx, k->cache, k->client) == 0 &&
		krb5_cc_start_seq_get(k->ctx, k->all, &cursor) == 0) {
		while (krb5_cc_next_cred(k->ctx, k->all, &cursor, &creds) == 0) {
			if (krb5_is_ours(k, creds.server))
				(void)krb5_cc_store_cred(k->ctx, k->cache, &creds);
			else
				k->news = true;
			krb5_free_cred_contents(k->ctx, &creds);
		}
		(void)krb5_cc_end_seq_get(k->ctx, k->all, &cursor);
	}
	(void)pthread_rwlock_unlock(&krb5_lock);
	krb5_free_principal(k->ctx, of);
}

/* with krb5_lock to write: what came is what there is */
static void krb5_put(struct krb5_all *k)
{
	if (krb5_cc_initialize(k->ctx, k->all, k->client) == 0)
		(void)krb5_cc_copy_creds(k->ctx, k->cache, k->all);
}

/* a ticket of this account: for a tenth of its life at least; for half of it */
static void krb5_have(struct krb5_all *k, bool *ret_valid, bool *ret_fresh)
{
	krb5_creds want = { .client = k->client }, have;
	krb5_timestamp now;

	*ret_valid = *ret_fresh = false;
	if (krb5_timeofday(k->ctx, &now) != 0 ||
		krb5_build_principal(k->ctx, &want.server, k->client->realm.length,
			k->client->realm.data, "krbtgt", k->client->realm.data, (char *)NULL) != 0)
		return;
	if (krb5_cc_retrieve_cred(k->ctx, k->cache, 0, &want, &have) == 0) {
		uint32_t end = (uint32_t)have.times.endtime,
			 start = (uint32_t)(have.times.starttime ? have.times.starttime
								 : have.times.authtime),
			 left = end > (uint32_t)now ? end - (uint32_t)now : 0;

		*ret_fresh = left > (end - start) / 2;
		*ret_valid = left > (end - start) / 10;
		krb5_free_cred_contents(k->ctx, &have);
	}
	krb5_free_principal(k->ctx, want.server);
}

/*
 * The account's own ticket; the bind's cache is emptied for it, older ones for servers go as well.
 * Emptied by us and behind the answer, since that notes in the cache how far the KDC's clock is
 * from ours (kdc_timesync): libkrb5's own way (an "out ccache") does not.
 */
static krb5_error_code krb5_login(struct krb5_all *k)
{
	krb5_get_init_creds_opt *opt = NULL;
	krb5_creds creds;
	krb5_error_code code = krb5_get_init_creds_opt_alloc(k->ctx, &opt);

	if (code != 0)
		return code;
	k->news = true;
	memset(&creds, 0, sizeof(creds));
	krb5_get_init_creds_opt_set_forwardable(opt, 0);
	krb5_get_init_creds_opt_set_proxiable(opt, 0);
	code = krb5_get_init_creds_keytab(k->ctx, &creds, k->client, k->keytab, 0, NULL, opt);
	if (code == 0)
		code = krb5_cc_initialize(k->ctx, k->cache, k->client);
	if (code == 0)
		code = krb5_cc_store_cred(k->ctx, k->cache, &creds);
	krb5_get_init_creds_opt_free(k->ctx, opt);
	krb5_free_cred_contents(k->ctx, &creds);
	return code;
}

static krb5_error_code krb5_service(struct krb5_all *k)
{
	krb5_creds want = { .client = k->client, .server = k->server }, *got = NULL;
	krb5_error_code code = krb5_get_credentials(k->ctx, KRB5_GC_CACHED, k->cache, &want, &got);

	if (code != 0) {
		k->news = true;
		code = krb5_get_credentials(k->ctx, 0, k->cache, &want, &got);
	}
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
