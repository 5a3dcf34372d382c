/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * waits.h - written files that wait to be looked at: 32 bytes each, oldest first, found by inode
 *
 * Part of the worker's core, see scan.h; used by scanwrites.c alone, and pure. Thousands may wait
 * at once, so nothing is kept of one but its descriptor, who wrote it and since when: what it is by
 * then is asked when it is its turn. Its descriptor holds the inode, so device and number name it.
 * Room is made once, and costs memory from where it is first used. Invariant: a descriptor is in
 * here once; who adds it owns it, and is given it back by remove().
 */
#ifndef FILEAGENT_WAITS_H
#define FILEAGENT_WAITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/base/err.h"

#define SCAN_WAITS_FD_MAX UINT16_MAX /* descriptors are kept in 16 bits; the worker has fewer */

struct scan_actor; /* scan_int.h */
struct scan_waits;

struct scan_wait {
	uint64_t ino;
	struct scan_actor *actor; /* a reference of the entry's; NULL: no memory for it */
	uint32_t dev;		  /* as the kernel keeps it */
	uint32_t since_ms;	  /* the low half of when it came */
	uint16_t fd;
	uint16_t chain, next, prev; /* waits.c */
};

/* room for @max, at most UINT16_MAX - 1 */
GI_MUST_CHECK int scan_waits_new(size_t max, struct scan_waits **ret);
/* what is in there is the caller's */
void scan_waits_free(struct scan_waits *w);

size_t scan_waits_n(const struct scan_waits *w);
/* the oldest, or NULL */
struct scan_wait *scan_waits_first(struct scan_waits *w);
/* the newest, or NULL */
struct scan_wait *scan_waits_last(struct scan_waits *w);
struct scan_wait *scan_waits_find(struct scan_waits *w, uint64_t dev, uint64_t ino);
/* behind all others, actor NULL; NULL: full, or @fd is too large */
struct scan_wait *scan_waits_add(
	struct scan_waits *w, uint64_t dev, uint64_t ino, int fd, uint64_t now_ms);
void scan_waits_remove(struct scan_waits *w, struct scan_wait *e);

#endif
