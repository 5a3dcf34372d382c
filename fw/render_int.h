/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * render_int.h - between render.c (sets), render_base.c and render_rules.c (chains), and push.c
 */
#ifndef FW_RENDER_INT_H
#define FW_RENDER_INT_H

#include "fw/fw.h"

/* nft rules in one ruleset: what dispatch by port may multiply a policy to */
#define FW_RENDER_RULES_MAX 262144

/* names of the interval sets with a group's prefixes; 0: the group has none of that family */
struct fw_net_names {
	uint64_t v4, v6;
};

/*
 * fw_render_rules - the chains that judge: <dir>_rules and all that it leads to
 * @nets: borrows; by group index
 * Errors: -GI_ELIMIT (FW_RENDER_RULES_MAX; the buffer's ceiling is sticky in @out), -ENOMEM
 */
GI_MUST_CHECK int fw_render_rules(
	const struct fw_ruleset *rs, const struct fw_net_names *nets, struct gi_buf *out);

/*
 * The map CG_MARK is filled by netlink alone, since nft's text knows cgroups only by a path below
 * /sys/fs/cgroup. So that a ruleset and its cgroups change together, it is made and filled before
 * the transaction that refers to it, under that of two names that is not in use (@cg 1 or 2).
 */
#define FW_CG_NAME "cg_mark"
const char *fw_render_cg_name(unsigned int cg);
/* pairs (who, mark) of whom a draining mark was, for as long as it drains; the pusher fills them */
#define FW_DRAIN_UID_NAME "drain_uid"
#define FW_DRAIN_CG_NAME "drain_cg"

/* the base chains, and what leads from them to the rules */
void fw_render_base(
	const struct fw_ruleset *rs, const char *cg_name, uint64_t rules_hash, struct gi_buf *out);

/*
 * fw_render_over - as fw_render(), over sets that stand in the kernel
 * @have: borrows; exactly the elements that the sets of @s's ruleset hold now (sets that are not
 *     there hold none). NULL: not known, sets are emptied and filled
 * @nets: interval sets are emptied and filled, whatever stands under their names
 * @cg: which name the map of cgroups gets; @prepare makes it, empty
 */
GI_MUST_CHECK int fw_render_over(const struct fw_state *s, const struct fw_state *have, bool nets,
	unsigned int cg, struct gi_buf *prepare, struct gi_buf *commit);

/*
 * fw_flat - the same text as single commands, all chains before all rules; without the command that
 * makes the table
 *
 * A table with an owner is filled by these only (nft 1.0.6). Lines outside of blocks are copied.
 * Errors: -EINVAL (not as fw_render() writes: the block holds chains only), the buffer's
 */
GI_MUST_CHECK int fw_flat(const char *text, struct gi_buf *out);

#endif
