/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * addrs.h - the guest's own global addresses, as they come and go
 *
 * Runs in gi-netagent's parsing process; rtnetlink needs no privilege to read. Every change is
 * followed by one whole dump a little later (NA_ADDRS_SETTLE_MS), so that a burst is one event and
 * a lost notification costs nothing. Global means scope 0, not tentative; interfaces that the
 * configuration names are left out.
 */
#ifndef NETAGENT_ADDRS_H
#define NETAGENT_ADDRS_H

#include "lib/base/err.h"
#include "lib/conf/conf.h"
#include "lib/io/loop.h"
#include "netagent/events.h"

#define NA_ADDRS_SETTLE_MS 50

struct na_addrs_watch;

/*
 * na_addrs_new - watch, and read once now
 * @exclude: borrows; names of interfaces
 * @changed: called when the addresses differ from what was last told; @cut: there are more than
 *     WIRE_ADDRS_MAX, the highest are left out
 * @ret_now: the addresses now
 */
GI_MUST_CHECK int na_addrs_new(struct io_loop *l, const struct conf_list *exclude,
	void (*changed)(void *arg, const struct na_addrs *a, bool cut), void *arg,
	struct na_addrs *ret_now, struct na_addrs_watch **ret);
void na_addrs_free(struct na_addrs_watch *w); /* NULL is fine */

#endif
