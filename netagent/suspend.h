/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * suspend.h - was this machine suspended? was its clock set?
 *
 * Runs in gi-netagent's parsing process. CLOCK_BOOTTIME goes on while the machine sleeps,
 * CLOCK_MONOTONIC does not: when they have moved apart, we slept, and the other end of our
 * connection has most likely given us up. A timerfd that is cancelled when the clock is set (also
 * by the kernel at resume) wakes us at once; a look each second stands behind it.
 * All deadlines go by the monotonic clock: a clock that is set changes nothing.
 * Source: timerfd_create(2) TFD_TIMER_CANCEL_ON_SET, clock_gettime(2).
 */
#ifndef NETAGENT_SUSPEND_H
#define NETAGENT_SUSPEND_H

#include <stdbool.h>
#include <stdint.h>
#include "lib/base/err.h"
#include "lib/io/loop.h"

#define NA_SUSPEND_LOOK_MS 1000
#define NA_SUSPEND_MIN_MS 500 /* the two clocks are not read at the same moment */

struct na_suspend;

/* @resumed: after each sleep, with its length */
GI_MUST_CHECK int na_suspend_new(struct io_loop *l, void (*resumed)(void *arg, uint64_t slept_ms),
	void *arg, struct na_suspend **ret);
void na_suspend_free(struct na_suspend *s); /* NULL is fine */

/* pure: milliseconds slept since *@apart was set, 0 for none; moves *@apart (boot - mono) on */
uint64_t na_suspend_slept(uint64_t *apart, uint64_t mono_ms, uint64_t boot_ms);

#endif
