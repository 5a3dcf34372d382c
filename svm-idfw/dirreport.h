/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirreport.h - an operator's question, in the directory child: what it says of groups, in parts
 *
 * DirNode.flags is between the child and svm-idfw (querylookup.c, querygroups.c). The rest runs in
 * the child that was started for the question: dirtrace.c and dirlisting.c read the directory into
 * a dir_net, dirreport.c sends what they say.
 */
#ifndef SVM_IDFW_DIRREPORT_H
#define SVM_IDFW_DIRREPORT_H

#include "svm-idfw/dirback.h"
#include "svm-idfw/dirgraph.h"
#include "svm-idfw/dirpost.h"
#include <uthash.h>

enum dir_node_flag {
	DIR_NODE_DISTRIBUTION = 1, /* AD: for mail only, no policy sees it */
	DIR_NODE_BUILTIN = 2,	   /* S-1-5-32-...: a domain controller's own */
	DIR_NODE_WELL_KNOWN = 4,   /* a SID of no domain: S-1-5-11 and the like */
	DIR_NODE_FOREIGN = 8,	   /* it has no entry here: another domain's */
	DIR_NODE_PRIMARY = 16,	   /* the account's primary group: by its number */
	DIR_NODE_IN_CYCLE = 32,	   /* it is a member of itself, perhaps through others */
	DIR_NODE_USED = 64,	   /* a reference is it, or a group that it is in */
	DIR_NODE_EMPTY = 128,	   /* it has no members at all */
};

/* ---- groups and who is in them, as they are read ---- */
struct net_node {
	struct dir_group g; /* owned texts; NULL until it is read */
	uint32_t number, flags;
	bool read, gone; /* its entry was read; it has none, or is no group */
	UT_hash_handle hh;
	size_t key_len;
	uint8_t key[]; /* AD: objectGUID; else the DN in lower case */
};
struct net_edge {
	uint32_t member, group;
};
struct net_rest { /* an entry whose memberOf goes on there */
	const struct net_node *node;
	size_t next;
};
struct dir_net {
	struct net_node *by_key, **nodes; /* owned; in order of number */
	size_t n, cap, max;
	struct net_edge *edges; /* owned */
	size_t n_edges, cap_edges;
	struct net_rest *rest; /* owned */
	size_t n_rest, cap_rest;
};

void dir_net_fini(struct dir_net *n);
/* the node of a key: found, or made; -GI_ELIMIT, -ENOMEM */
GI_MUST_CHECK int dir_net_node(
	struct dir_net *n, const void *key, size_t len, struct net_node **ret);
struct net_node *dir_net_find(const struct dir_net *n, const void *key, size_t len); /* or NULL */
GI_MUST_CHECK int dir_net_edge(
	struct dir_net *n, const struct net_node *member, const struct net_node *group);
/* the same with a DN as key, in lower case (ASCII); @make: or only found, *ret NULL */
GI_MUST_CHECK int dir_net_dn(
	struct dir_net *n, const char *dn, size_t len, bool make, struct net_node **ret);
/* all of it as a sealed graph, same numbers; flags of cycles are set */
GI_MUST_CHECK int dir_net_graph(struct dir_net *n, struct dir_graph **ret);
/* an entry of a group into its node; AD: its kind by groupType and SID */
GI_MUST_CHECK int dir_net_read(
	struct net_node *n, struct dldap_entry *e, const struct dir_schema *s, bool ad);
/*
 * dir_net_points - Active Directory: the groups that @e, the entry of @node, says it is in
 * A group is known by its DN alone until it is read, if it ever is. What does not fit into one
 * answer is noted for dir_net_rest(). -GI_EPROTO, -GI_ELIMIT, -ENOMEM
 */
GI_MUST_CHECK int dir_net_points(
	struct dir_net *n, const struct net_node *node, struct dldap_entry *e);
struct dir_report;
/*
 * dir_net_rest - asks, on b->look, until all that dir_net_points() noted is known
 * Errors: as dldap_search(); -GI_EPROTO when the directory does not say the rest: half of it is
 *         never taken for all
 */
GI_MUST_CHECK int dir_net_rest(
	struct dir_net *n, struct dir_back *b, struct dir_report *r, char why[DIR_WHY_MAX]);
/* what to call it: name, SID, DN; never "" */
const char *dir_net_name(const struct net_node *n, char buf[SID_TEXT_MAX]);

/* ---- what is said ---- */

struct dir_report_more { /* what a listing says of a group beyond its entry */
	uint32_t groups, depth;
	uint32_t refs[WIRE_DIR_NODE_REFS_MAX];
	size_t n_refs;
};
/* what is not sent yet goes: before what it is borrowed from ends */
void dir_report_flush(struct dir_report *r);
/* borrows @net until it is flushed; @more: NULL nothing; @path: numbers, DIR_GRAPH_NONE is "..." */
void dir_report_node(struct dir_report *r, const struct dir_net *net, const struct net_node *n,
	const struct dir_report_more *more, const uint32_t *path, size_t n_path);
void dir_report_cycle(struct dir_report *r, const struct dir_net *net, const uint32_t *nodes,
	size_t n, size_t all);
/* at most once a second: so far it has read; also shows that the child lives */
void dir_report_progress(struct dir_report *r, uint64_t groups, uint64_t memberships);

/* the question: 0, or negative with @why */
GI_MUST_CHECK int dir_trace(struct dir_back *b, const Idfw__DirGroup *account, struct dir_report *r,
	char why[DIR_WHY_MAX]);
/* all groups: @parts of the question (references), as they came */
GI_MUST_CHECK int dir_listing(struct dir_back *b, Idfw__Envelope *const *parts, size_t n_parts,
	struct dir_report *r, char why[DIR_WHY_MAX]);

/* ---- for dirchild.c ---- */
struct dir_asked; /* parts that came; from two threads */

GI_MUST_CHECK int dir_asked_new(struct dir_asked **ret);
void dir_asked_free(struct dir_asked *a);
/* in the post's thread: takes @e when true; *ret_whole: the last part: answer it */
bool dir_asked_put(struct dir_asked *a, Idfw__Envelope *e, bool *ret_whole);
/* in the thread of @b->look: answers, if there is a whole question; @up false: why not */
void dir_asked_answer(
	struct dir_asked *a, struct dir_back *b, struct dir_post *p, bool up, const char *why);

#endif
