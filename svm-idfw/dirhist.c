/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirhist.c - how long lookups took: a histogram of fixed size, see dirhist.h
 *
 * Pure; runs in svm-idfw. Values below 8 have a bucket each; above, the three bits behind the
 * highest one say which of the eight of that doubling.
 */
#include "svm-idfw/dirhist.h"

#include <stddef.h>

static size_t hist_index(uint64_t us)
{
	unsigned int high;
	size_t i;

	if (us < 8)
		return (size_t)us;
	high = 63 - (unsigned int)__builtin_clzll(us);
	i = (size_t)(high - 2) * 8 + (us >> (high - 3) & 7);
	return i < DIR_HIST_BUCKETS ? i : DIR_HIST_BUCKETS - 1;
}

/* the largest value of a bucket */
static uint64_t hist_top(size_t i)
{
	unsigned int shift;

	if (i < 8)
		return i;
	shift = (unsigned int)(i / 8) - 1;
	return ((uint64_t)(8 + i % 8 + 1) << shift) - 1;
}

void dir_hist_add(struct dir_hist *h, uint64_t us)
{
	uint32_t *b = &h->bucket[hist_index(us)];

	if (*b == UINT32_MAX)
		return;
	(*b)++;
	h->count++;
}

uint64_t dir_hist_quantile(const struct dir_hist *h, unsigned int share)
{
	uint64_t want = h->count / 1000 * share + h->count % 1000 * share / 1000, seen = 0;
	size_t i;

	if (!h->count)
		return 0;
	for (i = 0; i < DIR_HIST_BUCKETS; i++) {
		seen += h->bucket[i];
		if (seen > want || seen == h->count)
			break;
	}
	return hist_top(i);
}
