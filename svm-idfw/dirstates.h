/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirstates.h - the directories that have the accounts: which are up, and what follows for whom
 *
 * Between the engine's own files; engine.h has what others see. Part of svm-idfw's engine.
 */
#ifndef SVM_IDFW_DIRSTATES_H
#define SVM_IDFW_DIRSTATES_H

#include "svm-idfw/engine.h"

/* of the directory that has the account; of all together while that is not known */
enum idfw_dir_state idfw_dir_of(const struct idfw_engine *e, const struct idfw_principal *p);
void idfw_dir_stats(const struct idfw_engine *e, struct idfw_stats *ret);

#endif
