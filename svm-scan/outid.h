/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * outid.h - the outbox's name: 16 random bytes in the file "id" of its directory
 */
#ifndef SVM_SCAN_OUTID_H
#define SVM_SCAN_OUTID_H

#include "lib/wire/wire.h"

/* a new one, on disk before it returns; @ret untouched on error: -errno */
GI_MUST_CHECK int scan_outid_new(int dir_fd, uint8_t ret[WIRE_BOOT_ID_LEN]);
/* the one that is there; none, or not one: a new one */
GI_MUST_CHECK int scan_outid_read(int dir_fd, uint8_t ret[WIRE_BOOT_ID_LEN]);

#endif
