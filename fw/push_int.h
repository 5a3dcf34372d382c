/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * push_int.h - between push*.c (what to do) and its two back ends push_nft.c and push_mnl.c (how)
 */
#ifndef FW_PUSH_INT_H
#define FW_PUSH_INT_H

#include "fw/fw.h"
#include "fw/push.h"

#define FW_WHY_MAX 256

/*
 * fw_nft_run - one transaction of nft text by libnftables
 * @fd: netlink socket that it talks over; nothing may be unread there
 * @text: NUL-terminated; only from fw_render() and validated names
 * @ret_why: first line of libnftables' complaint
 * Errors: -EIO (refused: nothing changed), -ENOMEM
 * libnftables exits the process when it runs out of memory or cannot open its socket.
 */
GI_MUST_CHECK int fw_nft_run(int fd, const char *text, char ret_why[FW_WHY_MAX]);

struct fw_mnl; /* one long-lived netlink socket */

/* @fd: takes, bound; -1: opens one */
GI_MUST_CHECK int fw_mnl_new(int fd, struct fw_mnl **ret, char ret_why[FW_WHY_MAX]);
void fw_mnl_free(struct fw_mnl *m);
/* what follows talks over this socket, too: libnftables; the kernel's name for it: the watch */
int fw_mnl_fd(const struct fw_mnl *m);
uint32_t fw_mnl_portid(const struct fw_mnl *m);
bool fw_mnl_has_destroy(const struct fw_mnl *m);
/* an element that is added again takes the new timeout, and all of it (Linux 6.12) */
bool fw_mnl_has_update(const struct fw_mnl *m);
/* go on as on a kernel before 6.3; the tests use it to try that way on a newer one */
void fw_mnl_without_destroy(struct fw_mnl *m);
struct fw_push;
void fw_push_without_destroy(struct fw_push *p);

/* what a message says; negative: refused, no more of them */
struct nlmsghdr;
typedef int fw_mnl_cb(const struct nlmsghdr *h, void *arg);
/* any dump of nftables (NFT_MSG_GET*); @table NULL: of all families and tables. Errors as below */
GI_MUST_CHECK int fw_mnl_dump(struct fw_mnl *m, uint16_t type, const char *table, const char *set,
	fw_mnl_cb *cb, void *arg);
/* @cb gets one NFT_MSG_NEWGEN */
GI_MUST_CHECK int fw_mnl_generation(struct fw_mnl *m, fw_mnl_cb *cb, void *arg);
/* our table: made, or its flags changed; a transaction of its own */
GI_MUST_CHECK int fw_mnl_set_table(struct fw_mnl *m, uint32_t flags);
GI_MUST_CHECK int fw_mnl_delete_table(struct fw_mnl *m);

/*
 * Dumps: -EINTR when the ruleset changed meanwhile: what @cb was told is worth nothing, again.
 * What stands in our table, chains and named sets:
 */
enum fw_object { FW_OBJ_CHAIN, FW_OBJ_SET, FW_OBJ_MAP };
GI_MUST_CHECK int fw_mnl_objects(
	struct fw_mnl *m, int (*cb)(void *arg, enum fw_object kind, const char *name), void *arg);

/* elements of one set, key and value as the kernel has them; none when there is no such set */
struct fw_raw {
	uint8_t key[16];
	uint8_t key_len;     /* 1, 4, 8, 12 or 16 */
	uint32_t data;	     /* maps */
	uint64_t timeout_ms; /* sets with timeouts; 0 none */
	uint64_t left_ms;    /* writing only: of the timeout; 0: all of it */
};
GI_MUST_CHECK int fw_mnl_elems(
	struct fw_mnl *m, const char *set, int (*cb)(void *arg, const struct fw_raw *e), void *arg);

/*
 * A batch: begin, any number of changes, commit. Errors while it is put together are sticky and
 * come out of commit. Changes to one set that follow each other share a message.
 */
enum fw_change { FW_CHANGE_ADD, FW_CHANGE_DEL };
void fw_mnl_begin(struct fw_mnl *m);
void fw_mnl_change(
	struct fw_mnl *m, const char *set, enum fw_change how, const struct fw_raw *e, bool map);
/* 0; the kernel's -errno: nothing changed; -ENOBUFS: nobody knows; -GI_ELIMIT: batch too large */
GI_MUST_CHECK int fw_mnl_commit(struct fw_mnl *m);
/* a transaction of its own; -ENOENT, -EBUSY (rules refer to it) */
GI_MUST_CHECK int fw_mnl_delete_set(struct fw_mnl *m, const char *set);

/* ---- between push.c, push_delta.c and push_read.c ---- */

#define FW_DUMP_TRIES 16
#define FW_BATCH_ELEMS 2048 /* in one transaction that may be one of many */

/* keys of the map `stamp` */
enum {
	FW_STAMP_GEN_HI = 1,
	FW_STAMP_GEN_LO = 2,
	FW_STAMP_VER_HI = 3,
	FW_STAMP_VER_LO = 4,
	FW_STAMP_CG = 5, /* which name the map of cgroups has */
	FW_STAMP_SHAPE_HI =
		6, /* fw_table_shape() after the last whole ruleset, written behind it */
	FW_STAMP_SHAPE_LO = 7,
	FW_STAMP_COUNT
};

struct fw_push {
	struct fw_mnl *mnl;	  /* owned */
	struct fw_state *state;	  /* owned; what the kernel was told to hold; NULL: not known */
	unsigned int cg;	  /* name of the map of cgroups, while @state is known */
	struct fw_leases *leases; /* owned; push_lease.c */
	struct fw_diag *diag;	  /* owned; push_diag.c */
	uint64_t shape;		  /* all but elements, while @state is known; push_verify.c */
	uint32_t gen;		  /* the kernel's number of rulesets when that was compared last */
	bool own;		  /* the table is to have an owner */
	enum fw_owned owned;
	char found[FW_WHY_MAX]; /* what a predecessor's table was not any more; the guard tells */
};

/* ---- push_table.c: our table as one thing ---- */

#define FW_DORMANT 0x1u /* NFT_TABLE_F_DORMANT */
#define FW_OWNER 0x2u	/* NFT_TABLE_F_OWNER, Linux 5.12 */
#define FW_PERSIST 0x4u /* NFT_TABLE_F_PERSIST, Linux 6.9; not in Debian 12's headers */

struct fw_table {
	bool there;
	uint32_t flags; /* NFT_TABLE_F_* and FW_PERSIST */
	uint32_t owner; /* its socket (the kernel's name for it); 0 nobody */
};
GI_MUST_CHECK int fw_table_read(struct fw_mnl *m, struct fw_table *ret);
/* number of the present generation of all rulesets: another one after each transaction of anybody
 */
GI_MUST_CHECK int fw_table_generation(struct fw_mnl *m, uint32_t *ret);
/*
 * a hash of the table's flags, chains, rules and sets by their handles, and of the elements that
 * come with the rules: the same as long as nobody changes anything but the model's elements
 */
GI_MUST_CHECK int fw_table_shape(struct fw_mnl *m, uint64_t *ret);

/* ---- push_own.c ---- */

/* an orphan gets us as its owner; -EPERM: somebody else has it, netlink's */
GI_MUST_CHECK int fw_own_adopt(struct fw_push *p);
/*
 * before anything is written: the table is there, awake, and ours where it can be
 * Errors: -EPERM (somebody else has it, and went on for 2 s when that was new), netlink's
 */
GI_MUST_CHECK int fw_own_prepare(struct fw_push *p);

/* ---- push_verify.c ---- */

/* milliseconds that a mark of this lease surely has left, 0: it may have ended; push_lease.c */
uint64_t fw_leases_left_ms(const struct fw_leases *l, uint32_t lease_s);
enum { FW_WAY_OVER = 1, FW_WAY_FRESH = 2, FW_WAY_NETS = 4 };
/*
 * writes one whole ruleset: over the elements that stand, and when that is not asked for or cannot
 * be done, from nothing: all leases begin anew
 * then. FW_WAY_NETS: interval sets are filled anew in any case. What is known to run and leases
 * are the caller's to remember
 */
GI_MUST_CHECK int fw_push_whole(
	struct fw_push *p, struct fw_state *s, unsigned int ways, char ret_why[FW_WHY_MAX]);
/*
 * before the first ruleset: does the table have the shape that its makers left, or did others work
 * on it while none of us was there; @p->found. Elements of the model are not compared: what they
 * should be is the SVM's to know, and it tells with the ruleset that replaces them
 */
void fw_push_look(struct fw_push *p);
GI_MUST_CHECK int fw_push_read_stamp(struct fw_push *p, uint32_t ret[FW_STAMP_COUNT]);
/* the map of cgroups that runs, into @into */
GI_MUST_CHECK int fw_push_read_cgroups(struct fw_push *p, struct fw_state *into);

int fw_push_refuse(int rc, const char *words, char ret_why[FW_WHY_MAX]); /* gives @rc back */
void fw_raw_of_elem(const struct fw_elem *e, struct fw_raw *ret);
/*
 * all elements that the sets of @rs hold in the kernel, but cgroups (and drains of @want that have
 * ended: they count as there); -GI_EPROTO when there are odd ones
 */
GI_MUST_CHECK int fw_push_read(struct fw_push *p, const struct fw_ruleset *rs,
	const struct fw_state *want, struct fw_state **ret);

/* the marks that LIVE holds */
GI_MUST_CHECK int fw_push_read_live(struct fw_push *p, struct fw_state **ret);
/* one element of the model in the open batch */
void fw_push_change(struct fw_push *p, enum fw_change how, const struct fw_elem *e);

GI_MUST_CHECK int fw_leases_new(struct fw_leases **ret);
void fw_leases_free(struct fw_leases *l); /* NULL is fine */
/* an element that was asked for just now (@arg: the leases); 0 */
int fw_leases_wrote(void *arg, const struct fw_elem *e);
/* what the kernel's clocks say is not known */
void fw_leases_forget(struct fw_leases *l);

/* in the open batch: @who (a key of UID_MARK or CG_MARK) owns the flows of @drain, a mark that ends
 */
void fw_push_drain(struct fw_push *p, const struct fw_key *who, const struct fw_elem *drain);

/* @who has left UID_MARK or CG_MARK: its sockets are for fw_push_work(), if the ruleset resets */
void fw_push_ended(struct fw_push *p, const struct fw_key *who);

/* ---- push_diag.c: sockets of who is not anybody any more ---- */

GI_MUST_CHECK int fw_diag_new(struct fw_diag **ret);
void fw_diag_free(struct fw_diag *d); /* NULL is fine */
/* @who: a key of UID_MARK or CG_MARK that is gone; nothing is done yet */
void fw_diag_ended(struct fw_diag *d, const struct fw_key *who);
bool fw_diag_waits(const struct fw_diag *d);
/* a bounded step; false: no more to do */
bool fw_diag_step(struct fw_diag *d, const struct fw_state *s);
/* ---- push_foreign.c ---- */

/*
 * fw_foreign_scan - base chains of others that run before ours and could speak for us
 * @ret_text: words about the first and the number of others, "" when there is none
 *
 * Those on input and output at our priority or before it, and on pre- and postrouting, whose rules
 * (or rules of chains in the same table that they may jump to) set the ct mark or the meta mark, or
 * take packets out of connection tracking.
 * Errors: netlink's, -ENOMEM
 */
GI_MUST_CHECK int fw_foreign_scan(struct fw_mnl *m, char ret_text[FW_WHY_MAX]);

#endif
