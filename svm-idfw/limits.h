/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * limits.h - what one guest may ask for; for the engine's own files, see limits.c
 *
 * Which limits count is said by idfw_engine_limits(): everybody's, or the VM's own. They are on
 * the VM (sessions_max, events_max), so that nothing is looked up when a message comes.
 */
#ifndef SVM_IDFW_LIMITS_H
#define SVM_IDFW_LIMITS_H

#include "svm-idfw/core.h"

#define IDFW_LIMIT_WHY 128

/* the limits of a VM that is new */
void idfw_limit_init(struct idfw_engine *e, struct idfw_vm *vm);
/* messages that cost; false: the guest is held back now */
bool idfw_limit_take(struct idfw_engine *e, struct idfw_vm *vm, size_t n);
/* may there be one more? NULL, or why not: in @buf or static */
const char *idfw_limit_session(
	const struct idfw_engine *e, const struct idfw_vm *vm, char buf[IDFW_LIMIT_WHY]);
/* a session that is not taken; seq 0: from a snapshot. -GI_EFULL: come again */
GI_MUST_CHECK int idfw_limit_refuse(struct idfw_engine *e, struct idfw_vm *vm,
	const Idfw__Session *ws, uint64_t seq, const char *why);
/* a session in a snapshot that we did not know */
void idfw_limit_claim(struct idfw_engine *e, struct idfw_vm *vm);
/* may more of a greeting's snapshot be looked at? false: the guest is held back now */
bool idfw_limit_greeting(struct idfw_engine *e, struct idfw_vm *vm);
void idfw_limit_snapshot_end(struct idfw_engine *e, struct idfw_vm *vm);

#endif
