/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * verdict.h - a finding becomes an answer to the guest, and later a record for svm-idfw
 *
 * What has to be known when the guest says what it did (path, hash, engine, when) travels as the
 * event's tag. Any thread.
 */
#ifndef SVM_SCAN_VERDICT_H
#define SVM_SCAN_VERDICT_H

#include "svm-scan/vms.h"

/*
 * scan_verdict_answer - takes @ev
 * @since_us: io_clock_mono_us() when it was looked at first
 * Returns what eps_answer() did
 */
int scan_verdict_answer(struct eps_event *ev, const struct scan_rules *rules,
	const struct scan_finding *f, uint64_t since_us, struct scan_vms *vms);
/*
 * the end of such an answer: one record, with what is to lose its network, or one more in the sum
 * of @vms; takes d->tag
 */
void scan_verdict_record(struct scan_report *r, struct scan_vms *vms, const char *vm,
	const struct scan_rules *rules, const struct eps_done *d);

#endif
