/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tree.h - the policy as a tree, private to policy/
 *
 *   text --lex.h--> grammar.y --pol_tree_*()--> struct pol_policy --check.c--> resolved and checked
 *   --> member.c (who is in which group), compile.c (rules for one VM), json.c (the tree as it is)
 *
 * Everything hangs on the policy's own arena: one pol_free() frees all, and an error in the middle
 * of a statement leaks nothing. Before pol_check() only what was written is filled in; fields
 * marked "check" are valid afterwards. Nothing changes after pol_parse() has returned.
 */
#ifndef POLICY_TREE_H
#define POLICY_TREE_H

#include "lib/conf/lex.h"
#include "policy/policy.h"

#define POL_TEXT_MAX 1024	   /* bytes of a name, DN or SID */
#define POL_RULE_NAME_MAX 32	   /* "infrastructure/" and the rule's name fit GI_NAME_MAX */
#define POL_ARENA_MAX (256u << 20) /* bytes of one policy's tree */
#define POL_SERVICES_MAX 4096
#define POL_NONE UINT16_MAX

enum pol_kind {
	POL_K_GROUP,
	POL_K_DIRECTORY, /* directory group by sAMAccountName or cn */
	POL_K_DIRECTORY_DN,
	POL_K_DIRECTORY_SID,
	POL_K_USER,
	POL_K_VM,
	POL_K_UNIT, /* systemd unit or cgroup path */
	POL_K_UID,
	POL_K_NET,
	POL_K_COUNT
};

/* what a group can match, nested groups included */
enum pol_has {
	POL_HAS_PERSON = 1, /* users, directory groups */
	POL_HAS_UNIT = 2,
	POL_HAS_UID = 4,
	POL_HAS_VM = 8,
	POL_HAS_NET = 16,
	POL_HAS_SESSION = POL_HAS_PERSON | POL_HAS_UNIT, /* identity that is on some VMs only */
	POL_HAS_ID = POL_HAS_SESSION | POL_HAS_UID,
};

enum pol_section {
	POL_S_EMERGENCY,
	POL_S_INFRASTRUCTURE,
	POL_S_ENVIRONMENT,
	POL_S_APPLICATION,
	POL_S_COUNT,
	POL_S_UNKNOWN = POL_S_COUNT /* only while there are errors */
};

struct pol_member {
	enum pol_kind kind;
	struct conf_pos pos;
	const char *text;     /* NULL for POL_K_NET */
	struct gi_prefix net; /* POL_K_NET */
	uint32_t uid;	      /* POL_K_UID: @text is its decimal form */
	uint16_t group;	      /* check: POL_K_GROUP */
};

struct pol_loss { /* `on-loss` */
	bool given;
	uint32_t lease_s;
	struct conf_pos pos;
};

struct pol_stale { /* `on-stale` */
	bool given;
	uint32_t hold_s; /* 0: for good */
	struct conf_pos pos;
};

struct pol_members {
	struct pol_member *list;
	size_t n, cap;
};

struct pol_group {
	const char *name;
	struct conf_pos pos;
	bool anonymous;	   /* from peers written in a rule */
	bool broken;	   /* a statement in it had an error: no follow-up errors */
	bool used;	   /* check */
	uint8_t color;	   /* check: 0 new, 1 on the path, 2 done */
	uint8_t has;	   /* check: enum pol_has */
	uint8_t families;  /* check: 1 IPv4, 2 IPv6: what its members can be */
	size_t nets_bound; /* check: upper bound of prefixes, nested ones included */
	size_t depth;	   /* check: 1 + the deepest nested group's */
	uint32_t hash;	   /* anonymous: of its members */
	struct pol_loss loss;
	struct pol_stale stale;
	struct pol_members members;
	bool named; /* check: a rule names it, not only a group that holds it */
	bool infra; /* check: every rule that names it is in section infrastructure */
};

struct pol_service {
	const char *name;
	struct conf_pos pos;
	bool builtin, broken, used;
	struct fw_service *items;
	size_t n, cap;
};

struct pol_svcref {
	const char *name; /* NULL: written in the rule */
	struct fw_service inline_item;
	struct conf_pos pos;
};

struct pol_rule {
	const char *name;
	struct conf_pos pos;
	enum pol_section section;
	enum fw_action action;
	bool disabled, log;
	bool any_service; /* "service any" was written */
	bool from_any, to_any;
	struct conf_pos from_pos, to_pos, service_pos;
	struct pol_members from, to; /* as written */
	struct pol_svcref *svcrefs;  /* as written; n 0: any */
	size_t n_svcrefs, svcrefs_cap;
	/* check: */
	uint16_t *from_groups, *to_groups; /* sorted, no duplicates */
	size_t n_from_groups, n_to_groups;
	struct fw_service *services; /* sorted, no duplicates */
	size_t n_services;
};

struct pol_logins { /* logins NAME allow PEERS on PEERS */
	const char *name;
	struct conf_pos pos, users_pos, places_pos;
	bool users_any, places_any;
	struct pol_members users, places;
	/* check: */
	uint16_t *user_groups, *place_groups; /* sorted, no duplicates */
	size_t n_user_groups, n_place_groups;
	struct pol_set holds; /* the place groups and all in them; bits on the arena */
};

struct pol_key {	    /* direct members by what a session or VM is looked up with */
	const char *text;   /* kind letter and folded name */
	const char *domain; /* NULL: of any */
	uint16_t group;
	bool upn; /* the text is all of it, the domain its suffix */
};

struct pol_name {	    /* of a directory: CORP\eng, eng@corp.example, eng */
	const char *domain; /* borrowed, not ended by NUL; NULL: none is said */
	size_t domain_len;
	const char *name; /* the same; of a principal name all of it */
	size_t name_len;
	bool upn; /* `user "alice@corp.example"` */
};

struct pol_edge { /* @child is a member of @parent */
	uint16_t child, parent;
};

struct pol_chunk;

struct pol_policy {
	struct pol_chunk *chunks;
	size_t arena_used;

	struct {
		enum fw_action action;
		bool given;
		struct conf_pos pos;
	} defaults[2]; /* by enum fw_dir */
	struct pol_group *groups;
	size_t n_groups, groups_cap;
	struct pol_service *services; /* predefined ones last */
	size_t n_services, services_cap;
	struct pol_rule *rules; /* in text order */
	size_t n_rules, rules_cap;
	struct pol_loss loss;
	struct pol_stale stale;
	struct {
		bool given;
		enum fw_revoke mode;
		uint32_t drain_s;
		struct conf_pos pos;
	} revoke;
	struct pol_logins *logins; /* in text order */
	size_t n_logins, logins_cap;

	bool groups_over, services_over, rules_over,
		logins_over; /* a limit was reached, and said */

	/* check: */
	uint16_t *order;	 /* rules in order of evaluation, disabled ones too */
	uint16_t *group_order;	 /* n_named, by name, for lookups */
	uint16_t *service_order; /* n_services, by name */
	size_t n_nets;		 /* prefixes in the text, in all */
	size_t n_named;		 /* groups with a name of their own come first in groups */
	uint16_t *topo;		 /* groups, members before those that hold them */
	size_t n_topo;
	struct pol_edge *edges; /* in an order that one pass closes over */
	size_t n_edges;
	struct pol_key *keys; /* sorted */
	size_t n_keys;
	const char **vms; /* sorted names */
	size_t n_vms;
	const char **units; /* sorted names */
	size_t n_units;
	uint32_t *uids; /* sorted */
	size_t n_uids;
};

/* ---- tree.c: memory ---- */
void *pol_alloc(struct pol_policy *p, size_t size); /* zeroed; NULL: no memory, or POL_ARENA_MAX */
char *pol_strdup(struct pol_policy *p, const char *text);
/* room for one element more behind @n; 0 or -ENOMEM; *list may move */
GI_MUST_CHECK int pol_grow(struct pol_policy *p, void **list, size_t n, size_t *cap, size_t size);

/* ---- tree.c: what the grammar builds with. Failures are kept in ctx->err, mistakes in diags ----
 */
struct pol_parser {
	struct pol_policy *p;
	struct conf_diags *diags;
	struct conf_lexer *lex;
	struct conf_token tok; /* the last one read */
	struct conf_pos last;  /* where the one before it stands */
	int token, before;     /* the same two, as the grammar numbers them */
	int err;	       /* 0, -ENOMEM: parsing stops at the next token */
	enum pol_section section;
	enum pol_kind kind;   /* of the members that follow */
	uint8_t proto;	      /* of the service items that follow */
	struct pol_rule rule; /* under construction; of a logins statement: its users and VMs */
	bool to;	      /* peers go to `to`, or are the VMs of logins */
};

void pol_tree_default(struct pol_parser *c, enum fw_dir dir, enum fw_action a, struct conf_pos pos);
void pol_tree_group(struct pol_parser *c, const char *name, struct conf_pos pos);
void pol_tree_member(
	struct pol_parser *c, const char *text, const struct gi_prefix *net, struct conf_pos pos);
void pol_tree_member_uid(struct pol_parser *c, uint64_t uid, struct conf_pos pos);
void pol_tree_group_broken(struct pol_parser *c);
void pol_tree_service(struct pol_parser *c, const char *name, struct conf_pos pos);
void pol_tree_service_item(struct pol_parser *c, const struct fw_service *item);
void pol_tree_service_broken(struct pol_parser *c);
void pol_tree_section(struct pol_parser *c, const char *name, struct conf_pos pos);
void pol_tree_rule(struct pol_parser *c, const char *name, struct conf_pos pos);
void pol_tree_peer(struct pol_parser *c, enum pol_kind kind, const char *text,
	const struct gi_prefix *net, struct conf_pos pos);
void pol_tree_peer_uid(struct pol_parser *c, uint64_t uid, struct conf_pos pos);
void pol_tree_peer_any(struct pol_parser *c);
void pol_tree_svcref(
	struct pol_parser *c, const char *name, const struct fw_service *item, struct conf_pos pos);
void pol_tree_rule_end(struct pol_parser *c);

/* says what is wrong with a name: words of the lexer may have dots and any length, ours may not */
void pol_tree_name(struct pol_parser *c, const char *what, const char *name, size_t max,
	const struct conf_pos *pos);
/* said once, at the first that is too many */
void pol_tree_limit(
	struct pol_parser *c, bool *said, const char *what, int max, const struct conf_pos *pos);

/* ---- session.c: on-loss, on-revoke, on-stale, logins ---- */
#define POL_LOSS_WORDS "\"close\" or \"hold\" and a time"
#define POL_STALE_WORDS "\"hold\", with a time or without"
#define POL_REVOKE_WORDS "\"drop\", \"reset\" or \"drain\" and a time"
struct pol_time {
	uint64_t number;
	const char *unit; /* "s", "m", "h", "d" */
	struct conf_pos pos;
};

struct pol_how { /* a word, and the time behind it */
	const char *word;
	struct conf_pos pos;
	bool timed;
	struct pol_time time;
};

/* @pos: of the whole statement */
void pol_session_on_loss(
	struct pol_parser *c, bool in_group, const struct pol_how *how, struct conf_pos pos);
void pol_session_on_stale(
	struct pol_parser *c, bool in_group, const struct pol_how *how, struct conf_pos pos);
void pol_session_on_revoke(struct pol_parser *c, const struct pol_how *how, struct conf_pos pos);
uint32_t pol_default_lease_s(const struct pol_policy *p);
void pol_session_logins(struct pol_parser *c, const char *name, struct conf_pos pos);
/* what pol_tree_peer() gathered since becomes a logins statement */
void pol_session_logins_end(struct pol_parser *c);
/* after groups are resolved and summed up; -ENOMEM */
GI_MUST_CHECK int pol_session_check(struct pol_policy *p, struct conf_diags *d);

/* ---- service.c: ports, types, predefined services ---- */
/* range and name checks with diagnostics; false: @ret is not usable */
bool pol_service_ports(struct pol_parser *c, uint64_t lo, uint64_t hi, struct conf_pos pos,
	struct fw_service *ret);
bool pol_service_icmp(
	struct pol_parser *c, const char *type, struct conf_pos pos, struct fw_service *ret);
bool pol_service_icmp_number(
	struct pol_parser *c, uint64_t type, struct conf_pos pos, struct fw_service *ret);
bool pol_service_proto(
	struct pol_parser *c, uint64_t proto, struct conf_pos pos, struct fw_service *ret);
struct fw_service pol_service_any(uint8_t proto);
/* the same, as items of the last service; c->proto says of what */
void pol_service_add_ports(struct pol_parser *c, uint64_t lo, uint64_t hi, struct conf_pos pos);
/* @name: or NULL, then @number */
void pol_service_add_type(
	struct pol_parser *c, const char *name, uint64_t number, struct conf_pos pos);
void pol_service_add_proto(struct pol_parser *c, uint64_t number, struct conf_pos pos);
void pol_service_add_any(struct pol_parser *c);
/* adds the predefined services that the text does not define; -ENOMEM */
GI_MUST_CHECK int pol_service_builtins(struct pol_policy *p);
const char *pol_icmp_name(uint8_t proto, uint16_t type); /* NULL: has none */
int pol_service_cmp(const struct fw_service *a, const struct fw_service *b);
bool pol_service_covers(const struct fw_service *a, const struct fw_service *b); /* a includes b */

/* ---- names.c: tables and words ---- */
const char *pol_section_name(enum pol_section s);
const char *pol_kind_name(enum pol_kind k);    /* the keyword */
const char *pol_action_name(enum fw_action a); /* "allow", "drop", "reject" */

/* ---- check.c, resolve.c, warn.c; mistakes go to diags; -ENOMEM ---- */
GI_MUST_CHECK int pol_check(struct pol_policy *p, struct conf_diags *diags);
GI_MUST_CHECK int pol_resolve(struct pol_policy *p, struct conf_diags *diags);
GI_MUST_CHECK int pol_warn(struct pol_policy *p, struct conf_diags *diags);
int pol_member_cmp(const struct pol_member *a, const struct pol_member *b);
/* index of a group with a name of its own, POL_NONE */
uint16_t pol_group_find(const struct pol_policy *p, const char *name);

/* ---- domain.c ---- */
/* parts of what a member of this kind says; a part may be empty (an error), or have another "\\" */
struct pol_name pol_name_split(enum pol_kind kind, const char *text);
/* NULL, or what is wrong with it */
const char *pol_name_wrong(enum pol_kind kind, const char *text);

/* ---- member.c ---- */
GI_MUST_CHECK int pol_member_index(struct pol_policy *p); /* fills keys, vms; -ENOMEM */
/* is the VM a direct member, by name, of a group in the set? */
bool pol_vm_in(const struct pol_policy *p, const char *vm, const struct pol_set *s);
/* adds every group that holds one of the set's, nested any deep */
void pol_set_close(const struct pol_policy *p, struct pol_set *s);
/* adds every group that one of the set's holds, nested any deep */
void pol_set_open(const struct pol_policy *p, struct pol_set *s);
GI_MUST_CHECK int pol_set_init(struct pol_set *s, size_t n);
void pol_set_add(struct pol_set *s, size_t group);
/* lower case (ASCII), one spelling of escapes, no white space around = , +; -GI_ELIMIT */
GI_MUST_CHECK int pol_dn_fold(const char *dn, char *dst, size_t size);

/* ---- net.c ---- */
/* all prefixes of a group, nested ones included: sorted, none inside another; *ret is malloc'd */
GI_MUST_CHECK int pol_group_nets(
	const struct pol_policy *p, size_t group, struct gi_prefix **ret, size_t *ret_n);
/* sorts and drops duplicates and prefixes inside others; returns how many are left */
size_t pol_nets_merge(struct gi_prefix *list, size_t n);

#endif
