/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirhist.h - how long lookups took: a histogram of fixed size
 *
 * Pure; dir.c's memory. Eight buckets for each doubling, so that what is read from it is at most
 * an eighth too high; it never grows and is never emptied.
 */
#ifndef SVM_IDFW_DIRHIST_H
#define SVM_IDFW_DIRHIST_H

#include <stdint.h>

#define DIR_HIST_BUCKETS 264 /* the last one: half an hour and more */

struct dir_hist {
	uint64_t count;
	uint32_t bucket[DIR_HIST_BUCKETS]; /* they stop at their maximum */
};

void dir_hist_add(struct dir_hist *h, uint64_t us);
/* @share of all in 1/1000 took at most so long, in microseconds; 0 without any */
uint64_t dir_hist_quantile(const struct dir_hist *h, unsigned int share);

#endif
