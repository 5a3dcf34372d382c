/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirchanges.h - what a look at the directory found changed: accounts and groups by unique id
 *
 * Pure; runs in the directory child, filled by the back ends, sent by dirreply.c as DirChanged.
 * Adding cannot fail: what does not fit means that everybody is looked up again.
 */
#ifndef SVM_IDFW_DIRCHANGES_H
#define SVM_IDFW_DIRCHANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "svm-idfw/sid.h"

#define DIR_CHANGES_MAX 100000 /* ids of one kind; more: all */

struct dir_sid {
	uint8_t bytes[SID_BYTES_MAX];
	size_t len;
};

struct dir_ids {
	uint8_t (*list)[16]; /* owned */
	size_t n, cap;
};

struct dir_changes { /* zero is none */
	bool all;
	struct dir_ids accounts, groups;
	struct dir_sid *sids; /* owned; accounts of which only that is known */
	size_t n_sids, cap_sids;
};

void dir_changes_account(struct dir_changes *c, const uint8_t id[16]);
/* everybody who was in it */
void dir_changes_group(struct dir_changes *c, const uint8_t id[16]);
void dir_changes_sid(struct dir_changes *c, const void *sid, size_t len);
bool dir_changes_any(const struct dir_changes *c);
void dir_changes_fini(struct dir_changes *c); /* none again */

#endif
