/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * control.h - svm-scan's control socket: idfwctl's scan and quarantine verbs
 *
 * Main thread, but for what says otherwise. Rows: docs/control.md.
 */
#ifndef SVM_SCAN_CONTROL_H
#define SVM_SCAN_CONTROL_H

#include <stddef.h>
#include <stdint.h>
#include "lib/base/err.h"

struct scan_control;
struct scan_service;

/* takes replies from now on; -ENOMEM */
GI_MUST_CHECK int scan_control_new(struct scan_service *s, struct scan_control **ret);
/* at the configuration's control-socket. Errors: of gi_ctl_new() */
GI_MUST_CHECK int scan_control_listen(struct scan_control *c);
void scan_control_free(struct scan_control *c); /* NULL is fine */

/* from any thread: an agent's packed FileReply */
void scan_control_reply(
	struct scan_control *c, const char *vm, uint64_t id, const uint8_t *buf, size_t len);
/* from any thread: what was asked of it will not be answered */
void scan_control_guest_down(struct scan_control *c, const char *vm);
/* a reload ended: 0, or why not in @text (diagnostics, one a line) */
void scan_control_reloaded(struct scan_control *c, int err, const char *text);
/* something was acknowledged by svm-idfw */
void scan_control_acked(struct scan_control *c);

#endif
