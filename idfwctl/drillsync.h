/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * drillsync.h - is all in sync? What svm-idfw says of itself and of the VMs, for drills
 */
#ifndef IDFWCTL_DRILLSYNC_H
#define IDFWCTL_DRILLSYNC_H

#include <stdbool.h>
#include <stddef.h>
#include "idfwctl/client.h"

struct drill_sync {
	bool known; /* svm-idfw has that VM */
	bool vm;    /* it is connected and runs what it was sent */
	bool directory;
	size_t connected, in_sync; /* VMs */
};

/* asks for `status`; errors as ctl_client_open() and ctl_client_call(), with @ret_why */
GI_MUST_CHECK int drill_sync_ask(
	const char *socket, const char *vm, struct drill_sync *ret, char ret_why[CTL_WHY_MAX]);
/* the VM and at least @connected VMs run what they were sent, and the directory answers */
bool drill_sync_all(const struct drill_sync *s, size_t connected);

#endif
