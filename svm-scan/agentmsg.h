/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * agentmsg.h - packed messages of agents, as libepsec hands them out: bytes <-> values
 *
 * They go through the same checks as what comes from a socket: wrapped into an Envelope and
 * decoded with the agent's rights. Pure.
 */
#ifndef SVM_SCAN_AGENTMSG_H
#define SVM_SCAN_AGENTMSG_H

#include "lib/wire/wire.h"

/*
 * scan_agentmsg_decode - @body: IDFW__ENVELOPE__BODY_FILE_REPORT, _FILE_COUNTERS, _FILE_REPLY
 * @ret: returned owned, wire_envelope_free()
 * Errors: as wire_envelope_decode()
 */
GI_MUST_CHECK int scan_agentmsg_decode(
	int body, const uint8_t *buf, size_t len, Idfw__Envelope **ret);
/* a report as a record; @rec borrows from @r, @vm and @boot */
void scan_agentmsg_record(const Idfw__FileReport *r, const char *vm,
	const uint8_t boot[WIRE_BOOT_ID_LEN], Idfw__ScanRecord *rec);

#endif
