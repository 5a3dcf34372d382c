/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * push_int.h - between push*.c (what to do) and its two back ends push_nft.c and push_mnl.c (how)
 */
#ifndef FW_PUSH_INT_H
#define FW_PUSH_INT_H

#include "fw/fw.h"

#define FW_WHY_MAX 256

/*
 * fw_nft_run - one transaction of nft text by libnftables
 * @text: NUL-terminated; only from fw_render() and validated names
 * @ret_why: first line of libnftables' complaint
 * Errors: -EIO (refused: nothing changed), -ENOMEM
 * libnftables exits the process when it runs out of memory or cannot open its socket.
 */
GI_MUST_CHECK int fw_nft_run(const char *text, char ret_why[FW_WHY_MAX]);

struct fw_mnl; /* one long-lived netlink socket */

GI_MUST_CHECK int fw_mnl_new(struct fw_mnl **ret, char ret_why[FW_WHY_MAX]);
void fw_mnl_free(struct fw_mnl *m);
bool fw_mnl_has_destroy(const struct fw_mnl *m);
/* an element that is added again takes the new timeout, and all of it (Linux 6.12) */
bool fw_mnl_has_update(const struct fw_mnl *m);
/* go on as on a kernel before 6.3; the tests use it to try that way on a newer one */
void fw_mnl_without_destroy(struct fw_mnl *m);
struct fw_push;
void fw_push_without_destroy(struct fw_push *p);

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
	FW_STAMP_COUNT
};

struct fw_push {
	struct fw_mnl *mnl;	  /* owned */
	struct fw_state *state;	  /* owned; what the kernel was told to hold; NULL: not known */
	unsigned int cg;	  /* name of the map of cgroups, while @state is known */
	struct fw_leases *leases; /* owned; push_lease.c */
	struct fw_diag *diag;	  /* owned; push_diag.c */
};

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

#endif
