/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * push.h - from the model to the kernel; only the privileged pusher process links this
 *
 * push_nft.c: whole rulesets by libnftables (may call exit(): the process may die, its parent
 * starts it again and pushes anew). push_mnl.c: the hot path, deltas on hash sets and maps on one
 * long-lived netlink socket by libmnl/libnftnl, and the read-back of marks.
 * A delta is applied in one transaction. Removal of what is not there is no error
 * (NFT_MSG_DESTROYSETELEM; kernels before 6.3: the pusher leaves out keys it knows not to be
 * there).
 */
#ifndef FW_PUSH_H
#define FW_PUSH_H

#include "fw/fw.h"

struct fw_push; /* both back ends and the state that the kernel is known to hold */

/* every ret_why: words for a human, "" when all went well */

/*
 * fw_own_open - the netlink socket that is to own the table: it stays owned while any process holds
 * it, and is an orphan that enforces as before and belongs to whoever comes first when none does
 * @ret_fd: owned by the caller; each fw_push_new() gets a duplicate
 * Errors: socket(2)'s
 */
GI_MUST_CHECK int fw_own_open(int *ret_fd);

/*
 * fw_push_new - finds out what the kernel can do; changes nothing but the owner of an orphan
 * @fd: takes, on error too; from fw_own_open(), what a predecessor left unread is thrown away. -1:
 *     opens one
 * @own: the table gets an owner: a new one, and an orphan at once
 * Errors: -EPERM (CAP_NET_ADMIN in this network namespace), -ENOMEM, socket(2)'s
 */
GI_MUST_CHECK int fw_push_new(int fd, bool own, struct fw_push **ret, char ret_why[256]);

/* how our table stands as far as we know; text: a sentence, "" when there is nothing to say */
enum fw_owned {
	FW_OWNED_OFF,	/* nobody asked for an owner, or there is no table yet */
	FW_OWNED_US,	/* others cannot change it */
	FW_OWNED_OLD,	/* the kernel cannot do it */
	FW_OWNED_PLAIN, /* it was there before us without these flags */
	FW_OWNED_OTHER, /* another process' socket owns it: all changes fail with -EPERM */
};
enum fw_owned fw_push_owned(const struct fw_push *p);
const char *fw_owned_text(enum fw_owned owned);

void fw_push_free(struct fw_push *p); /* NULL is fine; the table stays */

/*
 * fw_push_ruleset - makes the kernel's table be this state, whatever it was
 * @s: takes on success (it becomes the known state), else it stays the caller's
 *
 * Two transactions, see fw_render(); flows whose mark stays live notice nothing. Elements that
 * stand are not touched. On failure the old ruleset stands. Errors: -EINVAL (no ruleset),
 * -GI_EPROTO, -GI_ELIMIT (fw_ruleset_check, fw_render), -EIO (refused by libnftables, @ret_why has
 * its words), -ENOMEM. libnftables may end the process.
 */
GI_MUST_CHECK int fw_push_ruleset(struct fw_push *p, struct fw_state *s, char ret_why[256]);

/*
 * fw_push_delta - one transaction on top of what runs
 * @d: borrows; in any order, sorted is cheapest
 * Errors: -GI_ESTATE (generation or from_version do not follow, or nothing is known to run),
 *         -GI_EPROTO (an element does not fit the ruleset), -GI_ELIMIT, the kernel's -errno:
 * nothing changed. -ENOBUFS, -ENOMEM: the known state is gone, only fw_push_ruleset() helps.
 */
GI_MUST_CHECK int fw_push_delta(struct fw_push *p, const struct fw_delta *d, char ret_why[256]);

/*
 * fw_push_renew - the SVM is there: marks with a lease get their whole time again
 *
 * Concerns what fw_push_state() asks for: all marks with a lease but those that `ends`, and of
 * these the ones that may have less than three quarters left. A mark that the kernel has dropped
 * already is live again. Nothing known to run: nothing to do. The work is done by fw_push_work().
 */
void fw_push_renew(struct fw_push *p);
/*
 * fw_push_work - one bounded step of what has time: renewals, one transaction of at most 2048; or,
 * where the ruleset revokes by reset, the sockets of subjects that ended: one dump, at most 4096
 * destroyed. Only connections whose flow has a dead mark are: not what is open to all, not
 * what goes over loopback, no listeners. To be called after each change, too.
 * @ret_more: there is more to do; to be called again when nothing else waits
 * Errors: the kernel's -errno, -ENOMEM: that renewal is given up, the next begins from the start
 */
GI_MUST_CHECK int fw_push_work(struct fw_push *p, bool *ret_more, char ret_why[256]);

/*
 * what the kernel was told to hold, borrowed; NULL: unknown. A mark whose lease ended is still in
 * it: removing it is no error, renewing it or a whole ruleset makes it live again, and a drain
 * (`ends`) that is over is not begun anew while a ruleset goes on asking for the same.
 */
const struct fw_state *fw_push_state(const struct fw_push *p);

/*
 * fw_push_verify - compares what the kernel holds with what is known to run
 * @ret_what: "" when it is the same (or nothing is known), else the first difference in words
 *
 * Marks that a lease may have ended are no difference. Costs next to nothing when no transaction
 * of anybody has been since it was the same; else all elements are read.
 * Errors: netlink's, -ENOMEM: not compared
 */
GI_MUST_CHECK int fw_push_verify(struct fw_push *p, char ret_what[256]);
/*
 * fw_push_repair - the kernel gets again what is known to run
 *
 * Marks with a lease come back with what they surely have left of it and no more; what may have
 * ended waits for the SVM's next heartbeat. Errors: -GI_ESTATE (nothing is known),
 * fw_push_ruleset()'s: what is known stays so; -ENOMEM
 */
GI_MUST_CHECK int fw_push_repair(struct fw_push *p, char ret_why[256]);

/*
 * fw_push_marks - what the kernel holds now in UID_MARK, ADDR4_MARK, ADDR6_MARK, REMARK, BASE_MARK,
 * CG_MARK
 * @cb: called for each element, sorted; no table: 0 and no call
 * Errors: @cb's, netlink's, -ENOMEM
 */
GI_MUST_CHECK int fw_push_marks(
	struct fw_push *p, int (*cb)(void *arg, const struct fw_elem *e), void *arg);

/* generation and version of the running table (its map `stamp`), 0 0 when there is none */
GI_MUST_CHECK int fw_push_running(
	struct fw_push *p, uint64_t *ret_generation, uint64_t *ret_version);

/*
 * fw_push_standing - does a whole ruleset of ours, of whichever origin, stand and work
 * @ret_runs: false: no table, or one that was emptied or put to sleep
 * @ret_owner: the kernel's name (netlink port) of the socket that holds the table, 0: none does
 * Errors: netlink's, -ENOMEM
 */
GI_MUST_CHECK int fw_push_standing(struct fw_push *p, bool *ret_runs, uint32_t *ret_owner);
/*
 * fw_push_flow_marks - ct marks that this network namespace's flows carry, each once, sorted
 * @ret_marks: room for @max; more are left out, as are 0 and those that are no subject's
 * Errors: netlink's, -ENOMEM, -EINTR (changed all the time): nothing is known
 */
GI_MUST_CHECK int fw_push_flow_marks(uint32_t *ret_marks, size_t max, size_t *ret_n);
/*
 * fw_push_remove - the table goes, with all that is in it; nothing else was ever touched
 * @ret_owner: as above, set on success and on -ENOENT and -EBUSY
 * Errors: -ENOENT (no table), -EBUSY (it is held by another process), netlink's, -ENOMEM
 */
GI_MUST_CHECK int fw_push_remove(struct fw_push *p, uint32_t *ret_owner);

#endif
