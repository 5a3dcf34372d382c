/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirconf.c - the `directory NAME { ... }` block of svm-idfw's configuration
 *
 * One table row an item; parent, child and test driver read the same. Pure.
 */
#include "svm-idfw/dir.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/text.h"
#include "svm-idfw/dirback.h"
#include "svm-idfw/dirname.h"
#include "svm-idfw/dirschema.h"
#include "svm-idfw/dirdns.h"
#include "svm-idfw/dirserver.h"

#define DIR_ITEM(field) offsetof(struct idfw_dir_conf, field)

const struct conf_item idfw_dir_conf_items[IDFW_DIR_CONF_ITEMS] = {
	{ "type", CONF_T_STRING, DIR_ITEM(type), "ad", 1, 16, "ad or openldap" },
	{ "uri", CONF_T_LIST, DIR_ITEM(uris), "", 1, DIR_SERVERS_MAX,
		"servers, the preferred one first: ldaps://HOST[:PORT], or ldap://HOST[:PORT], "
		"which means StartTLS" },
	{ "discover", CONF_T_STRING, DIR_ITEM(discover), "", 1, DIR_SRV_HOST_MAX,
		"instead of uri: the domain whose servers DNS names (SRV records), corp.example" },
	{ "site", CONF_T_STRING, DIR_ITEM(site), "", 1, 63,
		"discover, type ad: servers of this site are preferred" },
	{ "discover-tls", CONF_T_STRING, DIR_ITEM(discover_tls), "ldaps", 1, 8,
		"discover: ldaps, or starttls" },
	{ "discover-allow", CONF_T_LIST, DIR_ITEM(discover_allow), "", 0, 64,
		"discover: hosts whose certificate need not carry the domain's name, and that may "
		"be "
		"outside of it: dc1.corp.example, or .corp.example for all below" },
	{ "dns-server", CONF_T_LIST, DIR_ITEM(dns_server), "", 0, DIR_DNS_SERVERS_MAX,
		"name servers for this directory, ADDRESS[:PORT]; else the machine's" },
	{ "base", CONF_T_STRING, DIR_ITEM(base), NULL, 1, 1024, "DN below which the accounts are" },
	{ "bind", CONF_T_STRING, DIR_ITEM(bind), "simple", 1, 16,
		"how we say who we are: simple, gssapi or certificate" },
	{ "bind-user", CONF_T_STRING, DIR_ITEM(bind_user), "", 1, 1024,
		"account that reads the directory: UPN, DOM\\user or DN; with gssapi its "
		"principal" },
	{ "password-file", CONF_T_PATH, DIR_ITEM(password_file), "", 1, 4095,
		"simple: its password, first line; mode 0400, owned by the user that svm-idfw runs "
		"as" },
	{ "keytab", CONF_T_PATH, DIR_ITEM(keytab), "", 1, 4000,
		"gssapi: its keys; mode 0400, the same owner" },
	{ "krb5-config", CONF_T_PATH, DIR_ITEM(krb5_config), "", 1, 4095,
		"gssapi: krb5.conf, if not the machine's" },
	{ "client-certificate", CONF_T_PATH, DIR_ITEM(client_cert), "", 1, 4095,
		"certificate: PEM file with it and its chain" },
	{ "client-key", CONF_T_PATH, DIR_ITEM(client_key), "", 1, 4095,
		"certificate: its key; mode 0400, the same owner" },
	{ "ca", CONF_T_PATH, DIR_ITEM(ca_file), "", 1, 4095,
		"PEM file with the CA of the server's certificate; not with gssapi on ldap://" },
	{ "poll", CONF_T_NUMBER, DIR_ITEM(poll_ms), "500ms", 50, 60000,
		"how often changes are looked for" },
	{ "deadline", CONF_T_NUMBER, DIR_ITEM(deadline_ms), "5s", 200, 120000,
		"for one answer; then the directory child is killed and started again" },
	{ "connections", CONF_T_NUMBER, DIR_ITEM(connections), "4", 1, DIR_CONNECTIONS_MAX,
		"lookups at one time, each on a connection of its own" },
	{ "on-disabled", CONF_T_STRING, DIR_ITEM(on_disabled), "revoke", 1, 16,
		"groups of an account that is disabled: revoke or keep" },
	{ "on-expired", CONF_T_STRING, DIR_ITEM(on_expired), "revoke", 1, 16,
		"the same of an account that has expired, from that moment on" },
	{ "on-locked", CONF_T_STRING, DIR_ITEM(on_locked), "keep", 1, 16,
		"the same of an account that is locked: whoever types wrong passwords can do "
		"that" },
	{ "on-must-change", CONF_T_STRING, DIR_ITEM(on_must_change), "keep", 1, 16,
		"the same of an account whose password has expired or must be changed" },
	{ "realm", CONF_T_LIST, DIR_ITEM(realm), "", 0, DIR_REALMS_MAX,
		"domains of names that it answers for, alice@DOMAIN, besides that of base" },
	{ "netbios", CONF_T_STRING, DIR_ITEM(netbios), "", 0, 64,
		"NetBIOS name of its domain: CORP of CORP\\alice; else as the directory says" },
	{ "default", CONF_T_BOOL, DIR_ITEM(is_default), "no", 0, 0,
		"names without a domain are asked of the blocks that say yes; of all, when none "
		"does" },
	{ "compare", CONF_T_NUMBER, DIR_ITEM(compare_ms), "1h", 0, 604800000,
		"how often all groups and live accounts are compared with what is known; 0: "
		"never" },
	{ "page", CONF_T_NUMBER, DIR_ITEM(page), "500", 1, 1000, "entries of one answer, at most" },
	{ "range", CONF_T_NUMBER, DIR_ITEM(range), "1500", 1, 5000,
		"ad: members of a group in one answer, at most" },
	{ "trusts", CONF_T_LIST, DIR_ITEM(trusts), "", 0, DIR_TRUSTS_MAX,
		"ad: labels of blocks whose groups its accounts may be in as well" },
	{ "sids", CONF_T_STRING, DIR_ITEM(sids), "own", 1, 16,
		"whose groups it may give its accounts, of several blocks: own, or any: also "
		"those of "
		"a domain that is another block" },
	{ "schema", CONF_T_STRING, DIR_ITEM(schema), "rfc2307bis", 1, 16,
		"openldap: rfc2307bis, rfc2307 or freeipa; the rest changes single "
		"names of it, \"none\" does without" },
	{ "user-name", CONF_T_LIST, DIR_ITEM(user_name), "", 0, DIR_ATTRS_MAX,
		"attributes with an account's name" },
	{ "user-principal", CONF_T_LIST, DIR_ITEM(user_principal), "", 0, DIR_ATTRS_MAX,
		"attributes with an account's principal name, alice@corp.example" },
	{ "unique-id", CONF_T_LIST, DIR_ITEM(unique_id), "", 0, DIR_ATTRS_MAX,
		"attributes with a UUID that stays when an entry is renamed" },
	{ "group-base", CONF_T_STRING, DIR_ITEM(group_base), "", 0, 1024,
		"DN below which groups are looked for; else in the whole naming context" },
	{ "group-class", CONF_T_LIST, DIR_ITEM(group_class), "", 0, DIR_ATTRS_MAX,
		"object classes of groups" },
	{ "group-name", CONF_T_LIST, DIR_ITEM(group_name), "", 0, DIR_ATTRS_MAX,
		"attributes with a group's name" },
	{ "member-of", CONF_T_LIST, DIR_ITEM(member_of), "", 0, DIR_ATTRS_MAX,
		"attributes of accounts and groups with the DNs of groups they are in" },
	{ "member", CONF_T_LIST, DIR_ITEM(member), "", 0, DIR_ATTRS_MAX,
		"attributes of groups with the DNs of their members" },
	{ "member-uid", CONF_T_LIST, DIR_ITEM(member_uid), "", 0, DIR_ATTRS_MAX,
		"attributes of groups with the names of their members" },
	{ "gid-number", CONF_T_LIST, DIR_ITEM(gid_number), "", 0, DIR_ATTRS_MAX,
		"attributes of accounts and groups with the number of the primary group" },
	{ "account-disabled", CONF_T_LIST, DIR_ITEM(account_disabled), "", 0, DIR_ATTRS_MAX,
		"attributes of accounts that are TRUE when it is disabled" },
	{ "account-locked", CONF_T_LIST, DIR_ITEM(account_locked), "", 0, DIR_ATTRS_MAX,
		"attributes of accounts with the time at which it was locked, or TRUE" },
	{ "account-expires", CONF_T_LIST, DIR_ITEM(account_expires), "", 0, DIR_ATTRS_MAX,
		"attributes of accounts with the time at which it expires, or days since 1970" },
	{ "account-must-change", CONF_T_LIST, DIR_ITEM(account_must_change), "", 0, DIR_ATTRS_MAX,
		"attributes of accounts with the time at which the password expires, or TRUE" },
};

static int check_schema(const char *text, char ret_why[CONF_WHY_MAX])
{
	if (dir_schema_known(text))
		return 0;
	(void)snprintf(ret_why, CONF_WHY_MAX,
		"\"%.40s\" is no schema; there are rfc2307bis, rfc2307 and freeipa", text);
	return -EINVAL;
}

static int check_bind(const char *text, char ret_why[CONF_WHY_MAX])
{
	if (strcmp(text, "simple") == 0 || strcmp(text, "gssapi") == 0 ||
		strcmp(text, "certificate") == 0)
		return 0;
	(void)snprintf(ret_why, CONF_WHY_MAX,
		"\"%.40s\" is no way to bind; there are simple, gssapi and certificate", text);
	return -EINVAL;
}

/* must be there: "none" would find nobody */
static int check_name(const char *text, char ret_why[CONF_WHY_MAX])
{
	bool none = strcmp(text, "none") == 0;

	if (text[0] == '\0' || (dir_schema_is_descr(text) && !none))
		return 0;
	(void)snprintf(ret_why, CONF_WHY_MAX,
		none ? "there must be one; \"%.64s\" is not possible here"
		     : "\"%.64s\" is no name of an attribute or class: letters, digits and -",
		text);
	return -EINVAL;
}

static int check_name_or_none(const char *text, char ret_why[CONF_WHY_MAX])
{
	return strcmp(text, "none") == 0 ? 0 : check_name(text, ret_why);
}

static int check_effect(const char *text, char ret_why[CONF_WHY_MAX])
{
	if (strcmp(text, "revoke") == 0 || strcmp(text, "keep") == 0)
		return 0;
	(void)snprintf(ret_why, CONF_WHY_MAX, "\"%.40s\" is neither revoke nor keep", text);
	return -EINVAL;
}

/* the domain part of a name */
static int check_domain(const char *text, char ret_why[CONF_WHY_MAX])
{
	if (gi_text_is_clean(text, DIR_NAME_MAX) && !strpbrk(text, "\\@* "))
		return 0;
	(void)snprintf(
		ret_why, CONF_WHY_MAX, "\"%.64s\" is no domain; write corp.example or CORP", text);
	return -EINVAL;
}

static int check_refused(char ret_why[CONF_WHY_MAX], const char *text, const char *what)
{
	(void)snprintf(ret_why, CONF_WHY_MAX, "\"%.64s\" is no %s", text, what);
	return -EINVAL;
}

static int check_discover(const char *text, char ret_why[CONF_WHY_MAX])
{
	return dir_srv_is_host(text) ? 0 : check_refused(ret_why, text, "domain, corp.example");
}

static int check_site(const char *text, char ret_why[CONF_WHY_MAX])
{
	return dir_srv_is_label(text) ? 0 : check_refused(ret_why, text, "name of a site, Berlin");
}

static int check_discover_tls(const char *text, char ret_why[CONF_WHY_MAX])
{
	return !strcmp(text, "ldaps") || !strcmp(text, "starttls")
		       ? 0
		       : check_refused(ret_why, text, "way: ldaps or starttls");
}

static int check_allow(const char *text, char ret_why[CONF_WHY_MAX])
{
	return dir_srv_is_pattern(text) ? 0
					: check_refused(ret_why, text,
						  "host, dc1.corp.example, or .corp.example for "
						  "all below");
}

static int check_dns_server(const char *text, char ret_why[CONF_WHY_MAX])
{
	char address[64];
	uint16_t port;

	return dir_srv_is_dns_server(text, address, &port)
		       ? 0
		       : check_refused(ret_why, text, "address, 10.77.8.10 or 10.77.8.10:5353");
}

static int check_sids(const char *text, char ret_why[CONF_WHY_MAX])
{
	return !strcmp(text, "own") || !strcmp(text, "any")
		       ? 0
		       : check_refused(ret_why, text, "choice: own or any");
}

const struct conf_check idfw_dir_conf_checks[IDFW_DIR_CONF_CHECKS] = {
	{ "on-disabled", check_effect },
	{ "on-expired", check_effect },
	{ "on-locked", check_effect },
	{ "on-must-change", check_effect },
	{ "bind", check_bind },
	{ "sids", check_sids },
	{ "schema", check_schema },
	{ "realm", check_domain },
	{ "netbios", check_domain },
	{ "discover", check_discover },
	{ "site", check_site },
	{ "discover-tls", check_discover_tls },
	{ "discover-allow", check_allow },
	{ "dns-server", check_dns_server },
	{ "user-name", check_name },
	{ "group-class", check_name },
	{ "group-name", check_name },
	{ "user-principal", check_name_or_none },
	{ "unique-id", check_name_or_none },
	{ "member-of", check_name_or_none },
	{ "member", check_name_or_none },
	{ "member-uid", check_name_or_none },
	{ "gid-number", check_name_or_none },
	{ "account-disabled", check_name_or_none },
	{ "account-locked", check_name_or_none },
	{ "account-expires", check_name_or_none },
	{ "account-must-change", check_name_or_none },
};

/* "none" stands alone */
static bool conf_none_alone(const struct conf_list *l)
{
	for (size_t i = 0; l->n > 1 && i < l->n; i++)
		if (strcmp(l->items[i], "none") == 0)
			return false;
	return true;
}

static int conf_check_schema(const struct idfw_dir_conf *c, const char **ret_why)
{
	const struct conf_list *const lists[] = { &c->user_name, &c->user_principal, &c->unique_id,
		&c->group_class, &c->group_name, &c->member_of, &c->member, &c->member_uid,
		&c->gid_number, &c->account_disabled, &c->account_locked, &c->account_expires,
		&c->account_must_change };
	bool ad = strcmp(c->type, "ad") == 0,
	     set = strcmp(c->schema, "rfc2307bis") != 0 || c->group_base;

	for (size_t i = 0; i < GI_ARRAY_SIZE(lists); i++) {
		set = set || lists[i]->n;
		if (!conf_none_alone(lists[i])) {
			*ret_why = "\"none\" stands alone in a list of attributes";
			return -EINVAL;
		}
	}
	if (ad && set)
		*ret_why = "schema and attribute names are for type openldap";
	else if (c->group_base && !strchr(c->group_base, '='))
		*ret_why = "group-base is no DN; write OU=groups,DC=corp,DC=example";
	else
		return 0;
	return -EINVAL;
}

uint32_t idfw_dir_conf_revokes(const struct idfw_dir_conf *conf)
{
	const struct {
		const char *effect;
		uint32_t state;
	} rows[] = {
		{ conf->on_disabled, IDFW_ACCT_DISABLED },
		{ conf->on_expired, IDFW_ACCT_EXPIRED },
		{ conf->on_locked, IDFW_ACCT_LOCKED },
		{ conf->on_must_change, IDFW_ACCT_MUST_CHANGE },
	};
	uint32_t states = 0;

	for (size_t i = 0; i < GI_ARRAY_SIZE(rows); i++)
		states |=
			rows[i].effect && strcmp(rows[i].effect, "revoke") == 0 ? rows[i].state : 0;
	return states;
}

/* what the way to bind needs, and nothing that would have no effect */
static int conf_check_bind(const struct idfw_dir_conf *c, const char **ret_why)
{
	const bool gssapi = strcmp(c->bind, "gssapi") == 0,
		   cert = strcmp(c->bind, "certificate") == 0, simple = !gssapi && !cert;
	bool tls = !gssapi || (c->discover && strcmp(c->discover_tls, "ldaps") == 0);
	const char *why = NULL;

	for (size_t i = 0; i < c->uris.n; i++)
		tls = tls || strncmp(c->uris.items[i], "ldaps:", 6) == 0;
	if (simple && (!c->bind_user || !c->password_file))
		why = "bind simple needs bind-user and password-file";
	else if (gssapi && (!c->bind_user || !c->keytab))
		why = "bind gssapi needs bind-user and keytab";
	else if (cert && (!c->client_cert || !c->client_key))
		why = "bind certificate needs client-certificate and client-key";
	else if (tls && !c->ca_file)
		why = "ca is missing: whose certificates are the servers'?";
	else if (!simple && c->password_file)
		why = "password-file is for bind simple";
	else if (!gssapi && (c->keytab || c->krb5_config))
		why = "keytab and krb5-config are for bind gssapi";
	else if (!cert && (c->client_cert || c->client_key))
		why = "client-certificate and client-key are for bind certificate";
	else if (cert && c->bind_user)
		why = "with bind certificate the server knows who it is: leave out bind-user";
	if (!why)
		return 0;
	*ret_why = why;
	return -EINVAL;
}

void idfw_dir_conf_ldap(
	const struct idfw_dir_conf *conf, unsigned int timeout_ms, struct dldap_conf *ret)
{
	*ret = (struct dldap_conf){ .uri = conf->uri,
		.bind_user = conf->bind_user,
		.ca_file = conf->ca_file,
		.password_file = conf->password_file,
		.keytab = conf->keytab,
		.client_cert = conf->client_cert,
		.client_key = conf->client_key,
		.bind = strcmp(conf->bind, "gssapi") == 0	 ? DLDAP_GSSAPI
			: strcmp(conf->bind, "certificate") == 0 ? DLDAP_CERTIFICATE
								 : DLDAP_SIMPLE,
		.timeout_ms = timeout_ms };
}

/* either named, or found by DNS; @ret_why: NULL, all is well */
static void conf_check_servers(const struct idfw_dir_conf *conf, const char **ret_why)
{
	bool ad = strcmp(conf->type, "ad") == 0;
	size_t i, k;

	*ret_why = NULL;
	if (!conf->discover && !conf->uris.n)
		*ret_why = "neither uri nor discover says where its servers are";
	else if (conf->discover && conf->uris.n)
		*ret_why = "uri and discover exclude each other";
	else if (!conf->discover && (conf->site || conf->discover_allow.n))
		*ret_why = "site and discover-allow are for discover";
	else if (conf->site && !ad)
		*ret_why = "site is for type ad";
	for (i = 0; i < conf->uris.n; i++) {
		const char *uri = conf->uris.items[i];

		if (strncmp(uri, "ldaps://", 8) != 0 && strncmp(uri, "ldap://", 7) != 0) {
			*ret_why = "uri must begin with ldaps:// or ldap:// (StartTLS)";
			return;
		}
		if (strlen(uri) > DIR_URI_MAX) {
			*ret_why = "uri is longer than 255 bytes";
			return;
		}
		for (k = 0; k < i; k++)
			if (strcmp(uri, conf->uris.items[k]) == 0)
				*ret_why = "uri names a server twice";
	}
}

int idfw_dir_conf_check(const struct idfw_dir_conf *conf, const char **ret_why)
{
	const char *why;

	if (strcmp(conf->type, "ad") != 0 && strcmp(conf->type, "openldap") != 0) {
		*ret_why = "type is neither ad nor openldap";
		return -EINVAL;
	}
	conf_check_servers(conf, &why);
	if (why) {
		*ret_why = why;
		return -EINVAL;
	}
	if (!strchr(conf->base, '=')) {
		*ret_why = "base is no DN; write DC=corp,DC=example";
		return -EINVAL;
	}
	if (conf_check_bind(conf, ret_why) < 0)
		return -EINVAL;
	return conf_check_schema(conf, ret_why);
}
