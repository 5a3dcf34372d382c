/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirschema.c - what accounts, groups and memberships are called in one directory
 *
 * Pure code of the directory child. The known schemas are the tables below; a setting of the
 * configuration replaces one list of names, the word "none" empties it.
 * Source: RFC 2307, draft-howard-rfc2307bis-02, RFC 4512 1.4; FreeIPA's memberOf plug-in (its
 * memberOf names indirect groups too, and roles and rules, which are no ipaUserGroup).
 */
#include "svm-idfw/dirschema.h"

#include <string.h>
#include <strings.h>

const struct dir_schema dir_schema_ad = {
	.user_name = { "sAMAccountName" },
	.user_principal = { "userPrincipalName" },
	.unique_id = { "objectGUID" },
	.group_class = { "group" },
	.group_name = { "sAMAccountName", "cn" },
};

static const struct dir_schema schema_rfc2307 = {
	.user_name = { "uid" },
	.user_principal = { "userPrincipalName" },
	.unique_id = { "entryUUID" },
	.group_class = { "posixGroup" },
	.group_name = { "cn" },
	.member_uid = { "memberUid" },
	.gid_number = { "gidNumber" },
	.account_disabled = { "nsAccountLock", "loginDisabled" },
	.account_locked = { "pwdAccountLockedTime" },
	.account_expires = { "shadowExpire", "krbPrincipalExpiration" },
	.account_must_change = { "pwdReset" },
};
static const struct dir_schema schema_rfc2307bis = {
	.user_name = { "sAMAccountName", "uid" },
	.user_principal = { "userPrincipalName" },
	.unique_id = { "entryUUID" },
	.group_class = { "groupOfNames", "groupOfUniqueNames", "groupOfMembers", "groupOfURLs",
		"posixGroup", "group" },
	.group_name = { "sAMAccountName", "cn" },
	.member_of = { "memberOf" },
	.member = { "member", "uniqueMember" },
	.member_uid = { "memberUid" },
	.gid_number = { "gidNumber" },
	.account_disabled = { "nsAccountLock", "loginDisabled" },
	.account_locked = { "pwdAccountLockedTime" },
	.account_expires = { "shadowExpire", "krbPrincipalExpiration" },
	.account_must_change = { "pwdReset" },
};
static const struct dir_schema schema_freeipa = {
	.user_name = { "uid" },
	.user_principal = { "krbPrincipalName" },
	.unique_id = { "ipaUniqueID", "entryUUID" },
	.group_class = { "ipaUserGroup" },
	.group_name = { "cn" },
	.member_of = { "memberOf" },
	.gid_number = { "gidNumber" },
	.account_disabled = { "nsAccountLock" },
	.account_expires = { "krbPrincipalExpiration" },
	.account_must_change = { "krbPasswordExpiration" },
};

static const struct {
	const char *name;
	const struct dir_schema *schema;
} schemas[] = {
	{ "rfc2307bis", &schema_rfc2307bis },
	{ "rfc2307", &schema_rfc2307 },
	{ "freeipa", &schema_freeipa },
};

bool dir_schema_known(const char *name)
{
	for (size_t i = 0; i < GI_ARRAY_SIZE(schemas); i++)
		if (strcmp(schemas[i].name, name) == 0)
			return true;
	return false;
}

bool dir_schema_is_descr(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	size_t first = strspn(name, letters);

	return first > 0 &&
	       name[first + strspn(name + first, "abcdefghijklmnopqrstuvwxyz"
						 "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")] == '\0';
}

static void schema_set(const char *ret[DIR_ATTRS_MAX + 1], const struct conf_list *set)
{
	bool none = set->n == 1 && strcmp(set->items[0], "none") == 0;
	size_t i;

	if (set->n == 0)
		return;
	for (i = 0; !none && i < set->n && i < DIR_ATTRS_MAX; i++)
		ret[i] = set->items[i];
	for (i = none ? 0 : i; i <= DIR_ATTRS_MAX; i++)
		ret[i] = NULL;
}

void dir_schema_init(struct dir_schema *s, const struct idfw_dir_conf *conf)
{
	*s = schema_rfc2307bis;
	for (size_t i = 0; i < GI_ARRAY_SIZE(schemas); i++)
		if (strcmp(schemas[i].name, conf->schema) == 0)
			*s = *schemas[i].schema;
	schema_set(s->user_name, &conf->user_name);
	schema_set(s->user_principal, &conf->user_principal);
	schema_set(s->unique_id, &conf->unique_id);
	schema_set(s->group_class, &conf->group_class);
	schema_set(s->group_name, &conf->group_name);
	schema_set(s->member_of, &conf->member_of);
	schema_set(s->member, &conf->member);
	schema_set(s->member_uid, &conf->member_uid);
	schema_set(s->gid_number, &conf->gid_number);
	schema_set(s->account_disabled, &conf->account_disabled);
	schema_set(s->account_locked, &conf->account_locked);
	schema_set(s->account_expires, &conf->account_expires);
	schema_set(s->account_must_change, &conf->account_must_change);
}

void dir_schema_attrs(const struct dir_schema *s, const char *ret[DIR_SCHEMA_ALL])
{
	const char *const *const lists[] = { s->user_name, s->user_principal, s->unique_id,
		s->group_name, s->member_of, s->gid_number, s->account_disabled, s->account_locked,
		s->account_expires, s->account_must_change };
	size_t n = 0, i, k, m;

	ret[n++] = "objectClass";
	ret[n++] = "objectSid";
	for (i = 0; i < GI_ARRAY_SIZE(lists); i++) {
		for (k = 0; lists[i][k]; k++) {
			for (m = 0; m < n && strcasecmp(ret[m], lists[i][k]) != 0; m++)
				;
			if (m == n)
				ret[n++] = lists[i][k];
		}
	}
	ret[n] = NULL;
}

void dir_schema_group_attrs(
	const struct dir_schema *s, bool members, const char *ret[DIR_SCHEMA_ALL])
{
	const char *const *const lists[] = { s->unique_id, s->group_name, s->member, s->member_uid,
		s->gid_number };
	size_t n = 0, i, k;

	ret[n++] = "objectClass";
	for (i = 0; i < (members ? GI_ARRAY_SIZE(lists) : 2); i++)
		for (k = 0; lists[i][k]; k++)
			ret[n++] = lists[i][k];
	ret[n] = NULL;
}

bool dir_schema_is_group(const struct dir_schema *s, const void *value, size_t len)
{
	for (size_t i = 0; s->group_class[i]; i++)
		if (strlen(s->group_class[i]) == len &&
			strncasecmp(s->group_class[i], value, len) == 0)
			return true;
	return false;
}

/*
 * Groups may have such a name as well. They are told apart in the answer: a condition on an
 * attribute or class that the schema lacks is Undefined, and so is its negation (RFC 4511 4.5.1.7).
 */
void dir_filter_account(
	struct gi_buf *out, const struct dir_schema *s, const struct dir_name *n, bool upn)
{
	const char *const *attrs = upn ? s->user_principal : s->user_name;

	if (!attrs[0])
		return;
	gi_buf_append(out, "(|", 2);
	for (; *attrs; attrs++) {
		gi_buf_printf(out, "(%s=", *attrs);
		dir_filter_escape(out, n->account, strlen(n->account));
		if (upn) {
			gi_buf_append(out, "@", 1);
			dir_filter_escape(out, n->domain, strlen(n->domain));
		}
		gi_buf_append(out, ")", 1);
	}
	gi_buf_append(out, ")", 1);
}

void dir_filter_groups_begin(struct gi_buf *out, const struct dir_schema *s)
{
	gi_buf_append(out, "(&(|", 4);
	for (size_t i = 0; s->group_class[i]; i++)
		gi_buf_printf(out, "(objectClass=%s)", s->group_class[i]);
	gi_buf_append(out, ")(|", 3);
}

void dir_filter_groups_add(
	struct gi_buf *out, const char *const *attrs, const void *value, size_t len)
{
	for (; *attrs; attrs++) {
		gi_buf_printf(out, "(%s=", *attrs);
		dir_filter_escape(out, value, len);
		gi_buf_append(out, ")", 1);
	}
}

void dir_filter_groups_end(struct gi_buf *out)
{
	gi_buf_append(out, "))", 2);
}
