/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vms.h - what svm-scan knows of each VM: its rules, its quota, whether it is there, what it did
 *
 * Filled by libepsec's callbacks and the threads that judge, read by the control socket. One lock
 * inside; values go in and out by copy. A VM is remembered until the end: muxes have checked the
 * names against their inventories, and there are at most SCAN_VMS_KNOWN_MAX.
 */
#ifndef SVM_SCAN_VMS_H
#define SVM_SCAN_VMS_H

#include "svm-scan/scan.h"
#include "svm-scan/scanconf.h"

#define SCAN_VMS_KNOWN_MAX 65536
#define SCAN_COUNTERS_MAX (16u << 10) /* bytes of a packed FileCounters */

enum scan_vm_count {
	SCAN_VM_ALLOW,
	SCAN_VM_DENY,
	SCAN_VM_DELETE,
	SCAN_VM_QUARANTINE,
	SCAN_VM_FAILED,
	SCAN_VM_FOUND,
	SCAN_VM_FROM_CACHE,
	SCAN_VM_QUOTA,
	SCAN_VM_REPORTS,
	SCAN_VM_REPORTS_REFUSED,
	SCAN_VM_ACTIONS_FAILED,
	SCAN_VM_RECORDS,	/* outcomes that were recorded */
	SCAN_VM_SUMMED,		/* outcomes beyond findings-per-hour: counted in a sum */
	SCAN_VM_REPORTS_SUMMED, /* beyond reports-per-hour */
	SCAN_VM_COUNTS
};
enum scan_vm_sum { /* what a VM has a bound for; each of its own */
	SCAN_VM_SUM_FINDINGS,
	SCAN_VM_SUM_FIM,    /* reports of watched files */
	SCAN_VM_SUM_PASSED, /* of files passed without a verdict */
	SCAN_VM_SUMS
};

struct scan_vms;

/* @conf: borrows until scan_vms_conf() gives another */
GI_MUST_CHECK int scan_vms_new(const struct scan_conf *conf, struct scan_vms **ret);
void scan_vms_free(struct scan_vms *v);
/* a new configuration: all rules are made anew */
void scan_vms_conf(struct scan_vms *v, const struct scan_conf *conf);

void scan_vms_rules(struct scan_vms *v, const char *vm, struct scan_rules *ret);
/*
 * the rules and the quota's answer for one event of that size; false: over it.
 * *ret_first: it was not in the last minute (worth a line in log and audit)
 */
bool scan_vms_take(struct scan_vms *v, const char *vm, uint64_t events, uint64_t bytes,
	struct scan_rules *ret, bool *ret_first);
/*
 * scan_vms_records - what became of a finding: is it recorded? Counts it as RECORDS or SUMMED
 * @session, @judged: as of scan_bound_take()
 */
bool scan_vms_records(struct scan_vms *v, const char *vm, uint64_t session, bool judged);
/* an agent's report: is there room for a record of it? If not, and only if it becomes none, it is
 * counted by the second call */
bool scan_vms_report_room(struct scan_vms *v, const char *vm, enum scan_vm_sum what);
void scan_vms_report_summed(struct scan_vms *v, const char *vm, enum scan_vm_sum what);
/* of one VM, how many were not; asked until it says 0. @all: as of scan_bound_sum() */
uint64_t scan_vms_sum(
	struct scan_vms *v, enum scan_vm_sum what, bool all, char ret_vm[EPS_VM_MAX + 1]);
void scan_vms_count(struct scan_vms *v, const char *vm, enum scan_vm_count what);

void scan_vms_up(
	struct scan_vms *v, const char *vm, const char *mux, const uint8_t boot[WIRE_BOOT_ID_LEN]);
void scan_vms_down(struct scan_vms *v, const char *vm);
void scan_vms_counters(struct scan_vms *v, const char *vm, const uint8_t *packed, size_t len);

struct scan_vm_info { /* a copy */
	char name[EPS_VM_MAX + 1];
	char mux[256];
	bool connected;
	uint64_t connected_ms; /* Unix; 0: not since our start */
	uint8_t boot[WIRE_BOOT_ID_LEN];
	struct scan_rules rules;
	uint64_t counts[SCAN_VM_COUNTS];
	uint8_t *counters; /* owned: packed FileCounters, or NULL */
	size_t counters_len;
};
/* false: not known. @ret: free(ret->counters) */
bool scan_vms_info(struct scan_vms *v, const char *vm, struct scan_vm_info *ret);
/*
 * the name after @after ("" for the first) in order of the alphabet; false: that was the last.
 * Costs a look at all: for operators
 */
bool scan_vms_next(struct scan_vms *v, const char *after, char ret[EPS_VM_MAX + 1]);

#endif
