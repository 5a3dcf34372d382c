/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * policy.h - the policy language: text -> checked tree -> fw's model for each VM
 *
 * Pure: no files, no clock. A pol_policy is immutable after parsing; svm-idfw publishes a new one
 * only when it parsed without errors. Same text and same VM: same ruleset, byte for byte.
 * The language is described in docs/policy.md.
 */
#ifndef POLICY_POLICY_H
#define POLICY_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "fw/fw.h"
#include "lib/base/addr.h"
#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/conf/diag.h"

#define POL_GROUPS_MAX FW_GROUPS_MAX
#define POL_RULES_MAX (FW_RULES_MAX / 2) /* each may be compiled in both directions */
#define POL_NEST_MAX 32			 /* groups within groups; cycles are errors */
#define POL_LOGINS_MAX 1024
#define POL_UNIT_MAX 256	  /* bytes of a unit's name or a cgroup's path */
#define POL_UNITS_MAX 256	  /* different ones in one policy: they are told in one message */
#define POL_UNITS_BYTES_MAX 48000 /* of all their names */
#define POL_LEASE_MIN_S FW_LEASE_MIN_S
#define POL_LEASE_MAX_S FW_LEASE_MAX_S
#define POL_LEASE_DEFAULT_S (24u * 60 * 60)
#define POL_STALE_MIN_S (5u * 60)
#define POL_STALE_MAX_S (365u * 24 * 60 * 60)
#define POL_LEASES_MAX (FW_LAPSES_MAX + 1) /* different ones in one policy */
#define POL_DRAIN_MAX_S (24u * 60 * 60)

struct pol_policy;

/* -GI_ESYNTAX (see @diags, all errors in one run), -GI_ELIMIT (over 4 MiB), -ENOMEM; warnings also
 * with 0 */
GI_MUST_CHECK int pol_parse(
	const char *text, size_t len, struct conf_diags *diags, struct pol_policy **ret);
void pol_free(struct pol_policy *p);

/* ---- directories: whose is a name that says its domain (CORP\eng, eng@corp.example)? ---- */

struct pol_domains { /* asked by whoever knows the directories; both must be set */
	/* does any of them go by this domain? */
	bool (*known)(const void *arg, const char *domain);
	/* is what directory @label has of this domain? @dn: where it is there; NULL: anywhere */
	bool (*has)(const void *arg, const char *label, const char *dn, const char *domain);
	const void *arg;
};

/*
 * pol_domains_check - each domain that the policy names must be one of a directory's
 * Mistakes go to @diags, with positions: errors; but of `user "alice@corp.example"`, a principal
 * name whose suffix may be any, warnings. Returns how many errors.
 */
size_t pol_domains_check(
	const struct pol_policy *p, const struct pol_domains *d, struct conf_diags *diags);

/* ---- what policy says about someone ---- */

struct pol_dirgroup {	       /* borrowed texts; NULL or "" when unknown */
	const char *name;      /* sAMAccountName or cn; compared without case */
	const char *dn;	       /* compared without case and white space around commas */
	const char *sid;       /* "S-1-5-21-..." */
	const char *directory; /* label; unknown: in no group that is named with a domain */
};

struct pol_principal {
	const char *name; /* canonical account name, "alice" */
	const char *upn;  /* may be NULL */
	const char *sid;
	const char *dn;
	const struct pol_dirgroup *groups;
	size_t n_groups;
	const char *directory;		   /* label; "" unknown */
	const struct pol_domains *domains; /* NULL: no name with a domain is anybody's */
};

/* set of policy groups, one bit each, by policy group index */
struct pol_set {
	uint64_t *bits; /* owned */
	size_t n;	/* groups in the policy */
};
void pol_set_fini(struct pol_set *s);
bool pol_set_has(const struct pol_set *s, size_t group);
bool pol_set_equal(const struct pol_set *a, const struct pol_set *b);

size_t pol_group_count(const struct pol_policy *p);
const char *pol_group_name(
	const struct pol_policy *p, size_t group); /* anonymous ones: "_1", "_2"... */
/* groups that the principal is in, nested ones included; NULL principal: a session that the
 * directory does not know */
GI_MUST_CHECK int pol_groups_of_principal(
	const struct pol_policy *p, const struct pol_principal *who, struct pol_set *ret);
struct pol_reason { /* a member as the policy has it: directory "CORP\eng"; borrowed */
	const char *kind, *text;
};
/* by which members, of this group or of one in it, is he in it? How many; the first @max in @ret */
size_t pol_reasons(const struct pol_policy *p, const struct pol_principal *who, size_t group,
	struct pol_reason *ret, size_t max);
/* groups that the VM is in by name */
GI_MUST_CHECK int pol_groups_of_vm(const struct pol_policy *p, const char *vm, struct pol_set *ret);
/* groups that a system service is in, by the unit's name (or cgroup path) as the policy has it */
GI_MUST_CHECK int pol_groups_of_unit(
	const struct pol_policy *p, const char *unit, struct pol_set *ret);
/* groups that a uid of the system is in, on every VM; it has no session */
GI_MUST_CHECK int pol_groups_of_uid(const struct pol_policy *p, uint32_t uid, struct pol_set *ret);
/* units and uids that the policy mentions, sorted, each once: what ServiceWatch asks for, and the
 * subjects that exist without a session; names are borrowed */
size_t pol_unit_count(const struct pol_policy *p);
const char *pol_unit_name(const struct pol_policy *p, size_t i);
size_t pol_uid_count(const struct pol_policy *p);
uint32_t pol_uid(const struct pol_policy *p, size_t i);
/*
 * directory groups that the policy names (policy/member.c): for each name, DN or SID one entry a
 * policy group that has it; those of one text stand together. Borrowed
 */
enum pol_dirref_kind { POL_DIRREF_NAME, POL_DIRREF_DN, POL_DIRREF_SID };
struct pol_dirref {
	enum pol_dirref_kind kind;
	const char *text;   /* as pol_dirref_fold() makes it, without its domain */
	const char *domain; /* NULL: of any directory */
	size_t group;	    /* index of the policy group */
};
/* the next one at or behind @*at, which it moves behind that; false: there is none. Begin with 0 */
bool pol_dirref(const struct pol_policy *p, size_t *at, struct pol_dirref *ret);
/* as names, DNs and SIDs are compared; -GI_ELIMIT: longer than any that a policy can have */
GI_MUST_CHECK int pol_dirref_fold(
	enum pol_dirref_kind kind, const char *text, char *ret, size_t size);
/* names of VMs that the policy mentions (for warnings about unknown ones); borrowed */
size_t pol_vm_count(const struct pol_policy *p);
const char *pol_vm_name(const struct pol_policy *p, size_t i);

/* ---- what policy says about sessions (session.c) ---- */

/*
 * pol_group_lease_s - for how long what the group may do outlasts the control plane
 * POL_LEASE_MIN_S .. POL_LEASE_MAX_S, whole seconds. The group's own `on-loss`, else the policy's,
 * else POL_LEASE_DEFAULT_S. Those of groups that it holds, or that hold it, do not count: a lease
 * belongs to the group that a rule names. Lists written in rules have the policy's.
 */
uint32_t pol_group_lease_s(const struct pol_policy *p, size_t group);

/*
 * pol_group_stale_s - for how long membership counts that the directory has not confirmed
 * POL_STALE_MIN_S .. POL_STALE_MAX_S; 0: for good. The group's own `on-stale`, else the policy's;
 * which group's counts: as with pol_group_lease_s()
 */
uint32_t pol_group_stale_s(const struct pol_policy *p, size_t group);

/* what happens to flows that are not allowed any more; *ret_drain_s: 0, or what runs may go on for
 * so long (then *ret is FW_REVOKE_DROP) */
void pol_on_revoke(const struct pol_policy *p, enum fw_revoke *ret, uint32_t *ret_drain_s);

/*
 * pol_login_allowed - may this user have a session with identity on this VM?
 * @vm: the inventory's name. Addresses do not count: the guest itself says which it has
 * @member_of: pol_groups_of_principal(); NULL for an account that the directory does not know,
 *	which is let in by `allow any` only
 * @ret_rule: borrowed name of the statement that lets the user in, or of the first one that
 *	covers the VM when none does; NULL when none covers it: then everybody may
 */
bool pol_login_allowed(const struct pol_policy *p, const char *vm, const struct pol_set *member_of,
	const char **ret_rule);

/* ---- compiling ---- */

struct pol_vm {
	const char *name;
	const struct gi_addr *addrs; /* now */
	size_t n_addrs;
};

/* how a group of a compiled ruleset is used: the planner sends only what is used */
enum pol_use {
	POL_USE_OUT_FROM = 1, /* subjects on this VM that are members: their marks in sg_ */
	POL_USE_IN_FROM = 2,  /* sessions (and uids) elsewhere that are: ADDR marks in sg_ */
	POL_USE_TO = 4,	      /* VMs with a member's session: ia_ */
	POL_USE_VM = 8,	      /* member VMs' addresses: ga_ */
};

struct pol_compiled {
	struct fw_ruleset *ruleset; /* owned; may be taken (set to NULL) */
	uint16_t *policy_group;	    /* owned: ruleset group index -> policy group index */
	uint8_t *use;		    /* owned: enum pol_use bits, by ruleset group index */
	size_t n_groups;
};

/*
 * pol_compile - the rules that concern one VM
 * A rule goes into FW_OUT when its `from` may be this VM or a session on it, into FW_IN when its
 * `to` may be this VM; both for "any". Order: sections emergency, infrastructure, environment,
 * application; rules in text order; disabled ones are left out. An end that is this VM by name
 * is "any"; by address it is its prefixes, so compile anew when @vm->addrs change. Peers of which
 * none can be at an end leave the rule out there: nothing widens by being empty (ADR 6). Rules in
 * FW_IN that forbid leave out the identity in their `from`: a policy group that has other members
 * too may then be two groups of the ruleset, the one without identity called "_addrN". Uids count
 * in `from` only: every VM has them.
 * Errors: -ENOMEM; -GI_ELIMIT (over FW_GROUPS_MAX with those; else limits were checked by
 * pol_parse)
 */
GI_MUST_CHECK int pol_compile(const struct pol_policy *p, const struct pol_vm *vm,
	uint64_t generation, struct pol_compiled **ret);
void pol_compiled_free(struct pol_compiled *c);

/* the tree as JSON (docs/policy.md "JSON form") */
GI_MUST_CHECK int pol_to_json(const struct pol_policy *p, struct gi_buf *out);

#endif
