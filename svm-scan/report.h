/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * report.h - what svm-scan tells svm-idfw: outbox on disk, one connection
 *
 * scan_report_add() (scan.h) and scan_report_agent() from any thread, the rest from the main
 * thread's loop. Without an endpoint nothing is kept: records are lines of the log, and reports of
 * agents are done once they are logged. Source: docs/scan.md "The outbox", docs/wire.md.
 */
#ifndef SVM_SCAN_REPORT_H
#define SVM_SCAN_REPORT_H

#include "lib/io/loop.h"
#include "lib/io/tls.h"
#include "svm-scan/outbox.h"
#include "svm-scan/scan.h"

#define SCAN_HELD_MAX (64u << 20)

struct scan_report_conf {	 /* borrowed until scan_report_free() */
	const char *endpoint;	 /* svm-idfw's scan listener, or NULL */
	const char *server_name; /* that its certificate must carry */
	struct io_tls_ctx *tls;
	const char *software;
	const char *dir; /* the outbox */
	uint64_t max_bytes;
	uint64_t idle_ms, deadline_ms;
	uint32_t retry_ms;
	/* all reports of that boot of that VM up to there are with svm-idfw */
	void (*reported)(void *arg, const char *vm, const uint8_t boot[WIRE_BOOT_ID_LEN],
		uint64_t agent_seq);
	void (*acked)(void *arg); /* something was acknowledged, the link went up or down */
	void *arg;
};

/* Errors: of scan_outbox_open() and io_endpoint_parse(), told in @ret_why */
GI_MUST_CHECK int scan_report_new(struct io_loop *l, const struct scan_report_conf *conf,
	char ret_why[256], struct scan_report **ret);
void scan_report_free(struct scan_report *r); /* NULL is fine */

/*
 * scan_report_agent - the record of an agent's report, from any thread
 * While the outbox has no room it is held in memory (at most SCAN_HELD_MAX bytes in all, and
 * SCAN_UNDER_WAY_MAX reports of a VM in outbox and memory).
 * @ret_done: true: it needs no svm-idfw, the agent may forget it at once
 * Errors: as scan_outbox_report(); scan_outbox_admit(), -GI_EFULL: the agent is asked for it when
 * there is room, by the acknowledgement that it has heard already
 */
GI_MUST_CHECK int scan_report_agent(struct scan_report *r, const char *vm,
	const uint8_t boot[WIRE_BOOT_ID_LEN], uint64_t agent_seq, Idfw__ScanRecord *rec,
	bool *ret_done);
/*
 * scan_report_skip - the same, of one that becomes no record
 * Errors: as scan_outbox_skip(); -EAGAIN: it has to become one
 */
GI_MUST_CHECK int scan_report_skip(struct scan_report *r, const char *vm,
	const uint8_t boot[WIRE_BOOT_ID_LEN], uint64_t agent_seq, bool *ret_done);
/* how far that boot's reports are with svm-idfw; 0: not known. Any thread */
uint64_t scan_report_reported(
	struct scan_report *r, const char *vm, const uint8_t boot[WIRE_BOOT_ID_LEN]);

/* a line for log and audit that is about ourselves (@vm: or about that one; "" none). Any thread */
void scan_report_note(struct scan_report *r, const char *vm, const char *text);

struct scan_report_stats {
	bool configured, up;
	char why[WIRE_TEXT_MAX + 64]; /* it is not up */
	struct scan_outbox_stats box;
};
void scan_report_stats(struct scan_report *r, struct scan_report_stats *ret);

#endif
