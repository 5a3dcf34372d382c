/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * table.h - verdicts that are remembered until the file changes
 *
 * Second of the three caches (docs/scan.md): behind the kernel's ignore marks, before the
 * service's. Key: device and inode; the rest of the identity (birth, size, mtime, ctime) must be
 * the same. Sets of eight entries of 40 bytes, found by a keyed hash; a full set gives up the entry
 * that was not used for longest, as a clock sees it. Pure. Holds verdicts of one epoch: another one
 * empties it.
 */
#ifndef FILEAGENT_TABLE_H
#define FILEAGENT_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "fileagent/rec.h"
#include "lib/base/err.h"

enum fa_known { FA_KNOWN_NOT, FA_KNOWN_ALLOW, FA_KNOWN_DENY };

struct fa_table;

/* @max_entries: rounded up to a multiple of 8; @seed: random, so that nobody can fill one set */
GI_MUST_CHECK int fa_table_new(size_t max_entries, uint64_t seed, struct fa_table **ret);
void fa_table_free(struct fa_table *t);

/* what is known of exactly this content */
enum fa_known fa_table_find(struct fa_table *t, const struct fa_ident *id);
void fa_table_put(struct fa_table *t, const struct fa_ident *id, enum fa_known what);
/*
 * fa_table_drop - the file was written to: forget it
 * Returns true when the kernel may hold an ignore mark for it (fa_table_marked() was called, or an
 * entry that had one was given up since fa_table_clear()).
 */
bool fa_table_drop(struct fa_table *t, uint64_t dev, uint64_t ino);
/* an ignore mark was asked for */
void fa_table_marked(struct fa_table *t, const struct fa_ident *id);
/* another epoch, or all ignore marks are gone: everything is forgotten */
void fa_table_clear(struct fa_table *t);

size_t fa_table_entries(const struct fa_table *t);
size_t fa_table_bytes(const struct fa_table *t);

#endif
