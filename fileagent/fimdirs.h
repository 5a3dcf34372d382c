/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fimdirs.h - where a directory is: from the handle in a FIM event to a path
 *
 * Runs in gi-fileagent's worker. Pure. Directories below the rules are put in when they are walked
 * (name_to_handle_at(2) needs no right), others when the supervisor has said where they are. A
 * directory that is renamed takes all below it along. Bounded: of those outside the rules the
 * least recently used goes first; those below the rules stay, up to FA_FIM_DIRS_MAX.
 */
#ifndef FILEAGENT_FIMDIRS_H
#define FILEAGENT_FIMDIRS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>
#include "lib/base/err.h"

#define FA_FIM_DIRS_MAX 65536
#define FA_FIM_OUTSIDE_MAX 4096
#define FA_FIM_HANDLE_MAX (8 + 136) /* fsid, struct file_handle */

struct fa_fim_dir {
	UT_hash_handle hh; /* private */
	bool inside;
	char *path; /* owned */
	size_t key_len;
	uint8_t key[];
};

struct fa_fimdirs {
	struct fa_fim_dir *inside, *outside;
};

void fa_fimdirs_init(struct fa_fimdirs *d);
void fa_fimdirs_fini(struct fa_fimdirs *d);
/* key of a directory: its file system and handle. Returns its length; 0: the handle is too long */
size_t fa_fimdirs_key(
	uint64_t fsid, const void *handle, size_t len, uint8_t key[FA_FIM_HANDLE_MAX]);
/* borrowed until the next change; NULL: not known */
const char *fa_fimdirs_find(struct fa_fimdirs *d, const uint8_t *key, size_t len);
/* @inside: below a rule's path. -ENOMEM, -GI_ELIMIT */
GI_MUST_CHECK int fa_fimdirs_put(
	struct fa_fimdirs *d, const uint8_t *key, size_t len, const char *path, bool inside);
/*
 * @from and all below it are at @to now (@inside: is that below a rule?); NULL: somewhere that
 * nobody knows, or gone
 */
void fa_fimdirs_move(struct fa_fimdirs *d, const char *from, const char *to, bool inside);
size_t fa_fimdirs_count(const struct fa_fimdirs *d);

#endif
