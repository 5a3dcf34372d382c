/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirroute.h - several directories: which of them answers for a name, and names that are mapped
 *
 * Pure; dirset.c's decisions, in svm-idfw's process. A name with a domain (CORP\alice,
 * alice@corp.example) goes to the blocks that claim that domain: by `realm`, `netbios` or the dc
 * parts of `base`; when none does, to all, each of which knows its own names. A bare name goes to
 * the block that its VM has for them, else to those with `default yes`, or to all. Asked in the
 * order of the configuration.
 * Source: docs/directory.md "Several directories".
 */
#ifndef SVM_IDFW_DIRROUTE_H
#define SVM_IDFW_DIRROUTE_H

#include "lib/conf/conf.h"
#include "svm-idfw/dir.h"
#include "svm-idfw/dirname.h"

#define DIR_SET_MAX 16	     /* directory blocks */
#define DIR_MAPS_MAX 64	     /* rules of map-names */
#define DIR_VM_RULES_MAX 256 /* of vm-directory */

struct dir_route {
	uint8_t at[DIR_SET_MAX]; /* indexes of blocks, in the order in which they are asked */
	size_t n;
	bool bare; /* the name has no domain part */
};

/* for the configuration's table: one rule "FROM -> TO"; negative with words in @ret_why */
int dir_map_check(const char *text, char ret_why[CONF_WHY_MAX]);

/*
 * dir_vm_check - for the configuration's table: one rule "VM -> LABEL", a * in VM stands for any
 * characters; negative with words in @ret_why
 * dir_vm_rule - the label of the first rule that fits the name of a VM; borrowed from @rules, or
 * NULL
 */
int dir_vm_check(const char *text, char ret_why[CONF_WHY_MAX]);
const char *dir_vm_rule(const struct conf_list *rules, const char *vm);

/*
 * dir_map_apply - the name that the first rule that fits makes of @name; without one: @name
 * @rules: each was good for dir_map_check(). Letters A-Z are compared without case
 * Errors: -GI_ELIMIT (@name or what becomes of it is over DIR_NAME_MAX)
 */
GI_MUST_CHECK int dir_map_apply(
	const struct conf_list *rules, const char *name, char ret_name[DIR_NAME_MAX + 1]);

/*
 * @names_in: label of the block that names without a domain are of; "", or none that there is: as
 * the blocks say. @ret: n 0 when @name is no name of an account at all
 */
void dir_route(const struct idfw_dir_conf *dirs, size_t n, const char *name, const char *names_in,
	struct dir_route *ret);

/* does this block claim the domain part of a name, without case? */
bool dir_route_claims(const struct idfw_dir_conf *dir, const char *domain);

/*
 * dir_route_known - does any block go by this domain? dir_route_has() - is what block @label has at
 * @dn (NULL: anywhere) of it? For names in a policy: as blocks claim them; a domain that none
 * claims may be the label of one. A block that has several domains of a forest (Global Catalog) has
 * it where its dc parts say so; by its netbios, or another name, the one of its base.
 */
bool dir_route_known(const struct idfw_dir_conf *dirs, size_t n, const char *domain);
bool dir_route_has(const struct idfw_dir_conf *dirs, size_t n, const char *label, const char *dn,
	const char *domain);

/* are @label's groups asked for, of this block's accounts? */
bool dir_route_trusts(const struct idfw_dir_conf *dir, const char *label);

/*
 * dir_route_check - what one block alone cannot show: `trusts`
 * @ret_why: words, with the label in front; -EINVAL
 */
GI_MUST_CHECK int dir_route_check(
	const struct idfw_dir_conf *dirs, size_t n, char ret_why[CONF_WHY_MAX]);
/* index of the block with this label, or -1 */
int dir_route_index(const struct idfw_dir_conf *dirs, size_t n, const char *label);

#endif
