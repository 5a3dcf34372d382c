/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fw.h - the firewall model of one enforcement point (a VM): rules, sets, and changes to them
 *
 * Values only: no descriptors, no clock, no nft. policy compiles to struct fw_ruleset, svm-idfw
 * keeps a struct fw_state a VM and sends differences, gi-netagent's pusher renders and applies.
 *
 * How a packet is judged (ADR 0003; the rendered text is in tests/golden/):
 *   - `ct mark @live` first, in both directions: an accepted flow lives as long as its mark. An
 *     outgoing packet that could begin a flow must come from a socket of the mark's owner.
 *   - a flow's subject is looked up when it is new: outbound by the socket's cgroup (CG_MARK,
 *     levels 4 to 1, the deepest that is a key), then by its uid (UID_MARK), inbound by source
 *     address (ADDR4_MARK/ADDR6_MARK), else the base mark of the family (BASE_MARK).
 *   - a subject's mark that is not live (its lease ended) is replaced by what REMARK gives for it,
 *     up to FW_LAPSES_MAX times: a lapse.
 *   - a flow whose mark is not live any more is judged again with the mark that REMARK gives
 *     (old -> new), or dropped when it gives none.
 *   - judging walks the rules of the flow's orientation (FW_OUT: this VM began it, FW_IN: the other
 *     side did) in order, dispatched by protocol and destination port; the ct mark is set only on
 *     acceptance, and only to a live mark. A new inbound TCP flow must begin with SYN.
 *   - a rule that does not depend on identity, with none before it that does, gives the base mark;
 *     every other accept gives the subject's.
 *
 * Marks: 32 bit, never 0 nor from FW_MARK_END on. A subject (a uid on this VM, or a remote address
 * with sessions) has one mark at a time, and it must be live (an isolated uid's is not: ADR 0013);
 * a new entitlement is a new mark (an epoch), in the same transaction: packets that are being
 * judged at that instant rely on it. Source: nft(8); docs/policy.md; docs/adr/0003.
 */
#ifndef FW_FW_H
#define FW_FW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/base/addr.h"
#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/base/text.h"

#define FW_GROUPS_MAX 4096
#define FW_RULES_MAX 8192
#define FW_PEERS_MAX 64	      /* groups in one from or to */
#define FW_SERVICES_MAX 64    /* in one rule */
#define FW_NETS_MAX 4096      /* prefixes of one group */
#define FW_ELEMS_MAX 4000000  /* of one VM */
#define FW_DELTA_MAX 1024     /* operations in one delta; more: full push */
#define FW_MARK_LO UINT32_MAX /* of flows that began on loopback; nobody else's, never live */
#define FW_MARK_END \
	(UINT32_MAX - 1)  /* of flows whose one end was reset; no subject's, never live */
#define FW_LEASE_MIN_S 10 /* what a policy may ask for; shorter ones are for tests */
#define FW_LEASE_MAX_S (30u * 24 * 3600)
#define FW_LAPSES_MAX 3 /* marks that may stand in for one that lapsed, one after the other */

enum fw_dir { FW_OUT = 0, FW_IN = 1 };
enum fw_action { FW_DROP = 0, FW_REJECT = 1, FW_ACCEPT = 2 };
/* what running flows get when they are not allowed any more */
enum fw_revoke { FW_REVOKE_DROP = 0, FW_REVOKE_RESET = 1 };

/* numbers are on the wire (Element.set) */
enum fw_set {
	FW_LIVE = 0,	   /* set of marks whose flows are accepted; elements may have a lease */
	FW_UID_MARK = 1,   /* map uid -> mark: subjects by socket owner, outbound, no cgroup's */
	FW_ADDR4_MARK = 2, /* map address -> mark: subjects by source address, inbound */
	FW_ADDR6_MARK = 3,
	FW_REMARK = 4,	  /* map mark -> mark: old epochs of live subjects */
	FW_BASE_MARK = 5, /* map family (4, 6) -> mark of flows without a subject */
	/* one each a group that needs it; in nft sg_NAME, ga4_NAME, ga6_NAME, ia4_NAME, ia6_NAME */
	FW_SG = 6,  /* marks of subjects that are members */
	FW_GA4 = 7, /* addresses of member VMs */
	FW_GA6 = 8,
	FW_IA4 = 9, /* addresses of VMs with a member's session: identity as destination */
	FW_IA6 = 10,
	FW_CG_MARK = 11, /* map cgroup id -> mark: sessions and services, outbound */
	FW_SET_COUNT = 12,
};

/* which alternatives of a group rules must match; others are not rendered */
enum fw_use { FW_USE_SG = 1, FW_USE_GA = 2, FW_USE_NETS = 4, FW_USE_IA = 8 };

struct fw_group {
	char name[GI_NAME_MAX + 1];
	unsigned int uses;	/* FW_USE_* */
	struct gi_prefix *nets; /* owned; sorted, no duplicates, merged overlaps */
	size_t n_nets;
};

struct fw_service {
	uint8_t proto;		   /* IPPROTO_*; 0: any protocol */
	uint16_t port_lo, port_hi; /* 0..65535 for any; destination port */
	uint16_t icmp_type;	   /* 256: any; ICMP and ICMPv6 only */
};

struct fw_rule {
	/* in comments, logs and explain: a name, or a section's and a rule's with '/' between */
	char name[GI_NAME_MAX + 1];
	enum fw_dir dir;
	enum fw_action action;
	bool log;
	uint16_t *from, *to; /* owned; indexes into groups; n 0: any */
	size_t n_from, n_to;
	struct fw_service *services; /* owned; n 0: any */
	size_t n_services;
};

struct fw_ruleset {
	uint64_t generation; /* of the policy it comes from */
	enum fw_action default_in, default_out;
	enum fw_revoke revoke;
	struct fw_group *groups; /* owned */
	size_t n_groups;
	struct fw_rule *rules; /* owned, in order */
	size_t n_rules;
};

struct fw_key {
	uint8_t set;	  /* enum fw_set */
	uint16_t group;	  /* for the per-group sets, else 0 */
	uint8_t len;	  /* bytes of data used: 1, 4, 8 or 16 */
	uint8_t data[16]; /* mark, uid, cgroup id: big-endian; address; family: 4, 6; rest zero */
};

/*
 * Lease (LIVE only, else 0 and false): the kernel drops the mark after lease_s seconds, counted
 * from when it was written or renewed (fw_push_renew). 0: it stays. @ends: it is not renewed (a
 * drain). A state says what was asked for, not what a kernel still holds.
 */
struct fw_elem {
	struct fw_key key;
	uint32_t mark; /* maps: the value; sets: 0 */
	uint32_t lease_s;
	bool ends;
};

struct fw_op {
	/*
	 * del: mark and lease are ignored. An add whose key is there replaces the value or the
	 * lease, which begins anew; what is there just so is left alone, with the rest of its time.
	 */
	bool del;
	struct fw_elem elem;
};

struct fw_delta {
	uint64_t generation, from_version, version;
	struct fw_op *ops; /* owned; removals first */
	size_t n_ops;
};

struct fw_state; /* a ruleset, its elements (keyed-hash map), a version; model.c */

/* ---- elements: model.c ---- */
struct fw_elem fw_elem_mark(enum fw_set set, uint16_t group, uint32_t mark); /* LIVE, SG */
struct fw_elem fw_elem_live(uint32_t mark, uint32_t lease_s, bool ends);
struct fw_elem fw_elem_uid(uint32_t uid, uint32_t mark);	     /* UID_MARK */
struct fw_elem fw_elem_cgroup(uint64_t id, uint32_t mark);	     /* CG_MARK; id not 0 */
struct fw_elem fw_elem_addr(const struct gi_addr *a, uint32_t mark); /* ADDR4_MARK or ADDR6_MARK */
struct fw_elem fw_elem_remark(uint32_t old_mark, uint32_t mark);
struct fw_elem fw_elem_base(uint8_t family, uint32_t mark);
/* FW_GA4 or FW_IA4: 6 is chosen by family */
struct fw_elem fw_elem_group_addr(enum fw_set set4, uint16_t group, const struct gi_addr *a);
/* same value and lease; the keys are the caller's */
bool fw_elem_same_value(const struct fw_elem *a, const struct fw_elem *b);
/*
 * shape: key length fits the set, group < n_groups and uses the set, marks not 0, a lease of at
 * most FW_LEASE_MAX_S and in LIVE only, ends with a lease only; -GI_EPROTO
 */
GI_MUST_CHECK int fw_elem_check(const struct fw_elem *e, const struct fw_ruleset *rs);
/* the same without the value, for removals; @rs NULL: whatever needs no ruleset. -GI_EPROTO */
GI_MUST_CHECK int fw_key_check(const struct fw_key *k, const struct fw_ruleset *rs);
int fw_key_cmp(const struct fw_key *a, const struct fw_key *b); /* set, group, bytes */
uint32_t fw_key_u32(const struct fw_key *k);			/* the number of a 4-byte key */
uint64_t fw_key_u64(const struct fw_key *k);			/* of an 8-byte key */
bool fw_set_is_map(enum fw_set set);
bool fw_set_is_grouped(enum fw_set set); /* one each a group */
bool fw_proto_has_ports(uint8_t proto);

void fw_ruleset_free(struct fw_ruleset *rs); /* NULL is fine */
/*
 * fw_ruleset_check - names, indexes, ranges, limits; the pusher runs it on everything it is handed
 * @ret_why: static words on -GI_EPROTO and -GI_ELIMIT
 * Errors: -GI_EPROTO, -GI_ELIMIT, -ENOMEM
 */
GI_MUST_CHECK int fw_ruleset_check(const struct fw_ruleset *rs, const char **ret_why);

/* ---- state: state.c ---- */
GI_MUST_CHECK int fw_state_new(struct fw_state **ret); /* no ruleset, version 0 */
void fw_state_free(struct fw_state *s);
/* @rs: takes; elements are all dropped; the caller adds the new ones */
void fw_state_set_ruleset(struct fw_state *s, struct fw_ruleset *rs);
const struct fw_ruleset *fw_state_ruleset(const struct fw_state *s); /* NULL before the first */
uint64_t fw_state_version(const struct fw_state *s);
void fw_state_set_version(struct fw_state *s, uint64_t version);
/* one change to the elements; 0, -GI_ELIMIT, -ENOMEM; deleting what is not there is fine */
GI_MUST_CHECK int fw_state_apply(struct fw_state *s, const struct fw_op *op);
bool fw_state_get(const struct fw_state *s, const struct fw_key *key, uint32_t *ret_mark);
bool fw_state_get_elem(const struct fw_state *s, const struct fw_key *key, struct fw_elem *ret);
size_t fw_state_count(const struct fw_state *s);
/* every element, in a stable order (set, group, key) when sorted */
GI_MUST_CHECK int fw_state_each(const struct fw_state *s, bool sorted,
	int (*cb)(void *arg, const struct fw_elem *e), void *arg);
/*
 * fw_state_diff - operations that turn one state's elements into another's (same ruleset)
 * @have, @want: borrow
 * @ret: returned owned, fw_delta_free(); generation from @want's ruleset, versions from both
 *
 * Shape:   <= FW_DELTA_MAX operations, removals first, each part sorted by (set, group, key)
 * Errors:  -ENOMEM, -GI_ELIMIT (too many operations)
 */
GI_MUST_CHECK int fw_state_diff(
	const struct fw_state *have, const struct fw_state *want, struct fw_delta **ret);
void fw_delta_free(struct fw_delta *d); /* NULL is fine */
/* last writer of a key wins; removals come out first, each part sorted by (set, group, key) */
void fw_delta_sort(struct fw_delta *d);

/* ---- render: render.c ---- */
#define FW_TABLE "idfw"
/*
 * name of a set in the kernel; @rs and @group matter for the per-group sets only. CG_MARK has two
 * names there in turns, this is the first: see render_int.h
 */
const char *fw_set_nft_name(const struct fw_ruleset *rs, uint8_t set, uint16_t group, char buf[64]);
/*
 * fw_render - the nft text for a whole state
 * @s: borrows; has a ruleset
 * @prepare: what must stand before (table, interval sets with content-addressed names and their
 *     elements): applied as a first transaction, since a new interval set in the same transaction
 *     as its rule is not atomic (ADR 0003)
 * @commit: the rules, the hash sets and maps with all elements; one transaction that replaces
 *     whatever ran before. Chains and sets that an older ruleset left cannot be named here: the
 *     pusher finds them in the kernel and deletes them in the same transaction (push_nft.c)
 *
 * Shape:   deterministic: same state, same text; no name that gi_text_is_name() refuses
 * Errors:  -GI_ELIMIT (text over the buffers' ceilings, too many rules in the kernel),
 *          -GI_EPROTO (an element that does not fit the ruleset), -EINVAL (no ruleset), -ENOMEM
 */
GI_MUST_CHECK int fw_render(
	const struct fw_state *s, struct gi_buf *prepare, struct gi_buf *commit);

#endif
