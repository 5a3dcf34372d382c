/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guard_int.h - between guard.c (what to do about it), guard_watch.c (what the kernel tells) and
 * guard_alarm.c (what is told to whom it concerns)
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

/* ---- guard_alarm.c ---- */

#define FW_ALARM_TEXT_LEN 128

struct fw_alarms {
	fw_guard_tell *tell;
	void *arg;
	struct fw_alarm_state {
		bool on;
		bool lasting; /* ended by what it is about, not by time */
		bool due;     /* its text changed and was not told */
		bool told;    /* once, at told_ms */
		uint64_t last_ms, told_ms;
		char text[FW_ALARM_TEXT_LEN];
	} of[FW_ALARM_COUNT];
};

/* @now_ms: of any clock that does not go back, the same in all calls */
void fw_alarms_init(struct fw_alarms *a, fw_guard_tell *tell, void *arg, uint64_t now_ms);
void fw_alarms_on(struct fw_alarms *a, enum fw_alarm kind, const char *text, uint64_t now_ms);
void fw_alarms_over(struct fw_alarms *a, enum fw_alarm kind);
/* tells what is due; when it is to be called next, UINT64_MAX: nothing will be due */
uint64_t fw_alarms_work(struct fw_alarms *a, uint64_t now_ms);

#endif
