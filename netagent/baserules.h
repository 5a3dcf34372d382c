/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * baserules.h - the base ruleset: what this guest may do until the service VM has spoken
 *
 * Pure: from the configuration to the model (fw/fw.h), no kernel, no network, no other process.
 * gi-netagent --base loads it before the network comes up; the first ruleset of the SVM replaces
 * it. Its flows carry one mark, which the SVM takes over as it does its own (docs/adr/0008).
 * Source: docs/adr/0016.
 */
#ifndef NETAGENT_BASERULES_H
#define NETAGENT_BASERULES_H

#include <stdint.h>
#include "fw/fw.h"
#include "lib/conf/conf.h"

struct na_conf;

#define NA_BASE_GENERATION UINT64_MAX /* of no policy */
#define NA_BASE_ALLOW_MAX 64

/* values of `base` and `base-allow`, for the table of naconf.c; -EINVAL */
GI_MUST_CHECK int na_base_check_mode(const char *text, char ret_why[CONF_WHY_MAX]);
GI_MUST_CHECK int na_base_check_allow(const char *text, char ret_why[CONF_WHY_MAX]);

/*
 * na_base_state - the whole base ruleset with its elements
 * @c: borrows; has passed the table's checks
 * @ret: returned owned, fw_state_free()
 *
 * closed: loopback, neighbour discovery, DHCP as a client, the mux when it is spoken to by TCP,
 * and base-allow; what else goes out is refused, what else comes in is dropped. open: everything.
 * The mark is a hash of the settings: flows that an older base accepted are judged anew.
 * Errors: -EINVAL (mux is no endpoint), -GI_ELIMIT, -ENOMEM
 */
GI_MUST_CHECK int na_base_state(const struct na_conf *c, struct fw_state **ret);

#endif
