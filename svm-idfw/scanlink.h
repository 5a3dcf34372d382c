/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * scanlink.h - svm-scan's connection: its records to the engine, acknowledgements back
 *
 * A link of guests.c whose certificate is in scan-names carries bare Envelopes: Hello (its outbox
 * and its last number) -> HelloAck (what is durable here) -> ScanRecord in order -> ScanAck.
 */
#ifndef SVM_IDFW_SCANLINK_H
#define SVM_IDFW_SCANLINK_H

#include "svm-idfw/routing.h"

/* one frame; negative: the link is to be dropped, @ret_why says why */
GI_MUST_CHECK int scanlink_frame(
	struct guest_link *l, const uint8_t *buf, size_t len, const char **ret_why);
void scanlink_ping(struct guest_link *l);
/* as the other rows of idfw_guests_links() */
void scanlink_row(const struct guest_link *l, char *row, size_t size);

#endif
