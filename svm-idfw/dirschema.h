/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirschema.h - what accounts, groups and memberships are called in one directory
 *
 * Pure; runs in the directory child. A schema is a set of attribute and class names: a known one
 * (rfc2307, rfc2307bis, freeipa), changed by single settings of the `directory` block. Filters for
 * accounts and for the groups of a set of entries are made of it. Invariant: names come from the
 * checked configuration or from this file; values reach a filter only through
 * dir_filter_escape().
 * Source: RFC 2307, draft-howard-rfc2307bis-02, RFC 4512 1.4; docs/directory.md "Groups".
 */
#ifndef SVM_IDFW_DIRSCHEMA_H
#define SVM_IDFW_DIRSCHEMA_H

#include "lib/base/buf.h"
#include "svm-idfw/dir.h"
#include "svm-idfw/dirname.h"

#define DIR_SCHEMA_ALL (13 * DIR_ATTRS_MAX + 2)

struct dir_schema { /* NULL-terminated lists of borrowed names; an empty one is not used */
	const char *user_name[DIR_ATTRS_MAX + 1], *user_principal[DIR_ATTRS_MAX + 1];
	const char *unique_id[DIR_ATTRS_MAX + 1];
	const char *group_class[DIR_ATTRS_MAX + 1], *group_name[DIR_ATTRS_MAX + 1];
	const char *member_of[DIR_ATTRS_MAX + 1];  /* of accounts and groups: DNs of groups */
	const char *member[DIR_ATTRS_MAX + 1];	   /* of groups: DNs of members */
	const char *member_uid[DIR_ATTRS_MAX + 1]; /* of groups: names of accounts */
	const char *gid_number[DIR_ATTRS_MAX + 1]; /* of both: the primary group */
	/* of accounts: their state, diracct.h */
	const char *account_disabled[DIR_ATTRS_MAX + 1], *account_locked[DIR_ATTRS_MAX + 1];
	const char *account_expires[DIR_ATTRS_MAX + 1], *account_must_change[DIR_ATTRS_MAX + 1];
};

/* Active Directory's names: dirad.c asks for groups in its own way */
extern const struct dir_schema dir_schema_ad;

/* of a checked configuration, from which the names are borrowed */
void dir_schema_init(struct dir_schema *s, const struct idfw_dir_conf *conf);
bool dir_schema_known(const char *name);
/* RFC 4512 descr: a letter, then letters, digits, hyphens */
bool dir_schema_is_descr(const char *name);
/* every attribute that an account or a group is read with, each once, NULL-terminated */
void dir_schema_attrs(const struct dir_schema *s, const char *ret[DIR_SCHEMA_ALL]);
/* those that tell a group from another and name it; @members: and who is in it */
void dir_schema_group_attrs(
	const struct dir_schema *s, bool members, const char *ret[DIR_SCHEMA_ALL]);
/* one of the classes of a group, without case */
bool dir_schema_is_group(const struct dir_schema *s, const void *value, size_t len);

/* appends the filter that finds an account; @upn: by its principal name; nothing when it has none
 */
void dir_filter_account(
	struct gi_buf *out, const struct dir_schema *s, const struct dir_name *n, bool upn);
/*
 * The filter that finds groups by what they say of their members: begin, then for each member
 * (attr=value) of a list, then end. Each value goes to one of @attrs.
 */
void dir_filter_groups_begin(struct gi_buf *out, const struct dir_schema *s);
void dir_filter_groups_add(
	struct gi_buf *out, const char *const *attrs, const void *value, size_t len);
void dir_filter_groups_end(struct gi_buf *out);

#endif
