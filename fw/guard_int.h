/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guard_int.h - between guard.c (what to do about it) and guard_watch.c (what the kernel tells)
 */
#ifndef FW_GUARD_INT_H
#define FW_GUARD_INT_H

#include "fw/guard.h"
#include "fw/push_int.h"

struct mnl_socket;

/* what others did since it was zeroed */
struct fw_seen {
	bool changed;  /* our table, or something in it */
	bool open;     /* ... by a transaction whose end, which says who, was not told yet */
	bool gone;     /* it was deleted; it may be back */
	bool others;   /* another table */
	bool lost;     /* the kernel had more to tell than there was room */
	char what[96]; /* the first thing of ours */
	char who[48];
};

/* @portid: whose changes are our own; @ret: owned, mnl_socket_close() */
GI_MUST_CHECK int fw_watch_open(uint32_t portid, struct mnl_socket **ret);
/* all that is there to read, on top of what @seen says */
void fw_watch_read(struct mnl_socket *nl, struct fw_seen *seen);

#endif
