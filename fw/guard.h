/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guard.h - the kernel's table stays what was acknowledged, whoever else writes nftables
 *
 * Runs in gi-netagent's pusher process, between two requests. It listens to the kernel's
 * notifications: what others change in our table is repaired at once, and told. Each minute what
 * stands is compared with what is known. Chains of others that could bypass ours are told while
 * they are there. What the kernel drops itself (leases) is no change of anybody's.
 * Source: docs/adr/0016.
 */
#ifndef FW_GUARD_H
#define FW_GUARD_H

#include "fw/push.h"

/* numbers are those of the wire (Alarm.kind) */
enum fw_alarm {
	FW_ALARM_TABLE_CHANGED = 1,
	FW_ALARM_TABLE_GONE = 2,
	FW_ALARM_DIFFERS = 3,
	FW_ALARM_FOREIGN_CHAIN = 4,
	FW_ALARM_NOT_OWNED = 5,
	FW_ALARM_COUNT
};

#define FW_GUARD_VERIFY_MS 60000 /* from the end of one comparison to the next, at least */
#define FW_GUARD_REPAIR_MS 100	 /* from one repair to the next, at least */
#define FW_GUARD_SCAN_MS 1000	 /* from one look at others' chains to the next, at least */
#define FW_GUARD_QUIET_MS 600000 /* so long without another one, an alarm is over */
#define FW_GUARD_SHARE 20	 /* all these take at most one part in so many of the time */

/* @text: printable, at most 127 characters */
typedef void fw_guard_tell(void *arg, enum fw_alarm kind, bool over, const char *text);

struct fw_guard;

/*
 * fw_guard_new - begins to listen
 * @p: borrows, for all of its life
 * @tell: called from fw_guard_work() only
 * Errors: -ENOMEM, socket(2)'s
 */
GI_MUST_CHECK int fw_guard_new(
	struct fw_push *p, fw_guard_tell *tell, void *arg, struct fw_guard **ret);
void fw_guard_free(struct fw_guard *g); /* NULL is fine */
/* readable: somebody changed something, fw_guard_work() is due */
int fw_guard_fd(const struct fw_guard *g);
/*
 * fw_guard_work - takes what the kernel told and does what is due; to be called when fd is readable
 * or the time is over
 *
 * Returns milliseconds until it is to be called next; never negative.
 */
int fw_guard_work(struct fw_guard *g);

#endif
