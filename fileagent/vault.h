/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vault.h - the quarantine: a directory of root's with each file as two
 *
 *   <qid>.data   the content: mode 0600, root's
 *   <qid>.meta   text, key=value a line, written whole before the data is there
 *   <qid>.new    a data file that is being made
 *
 * Order of a put: content under .new and on disk, .meta on disk, .new renamed to .data, directory
 * on disk, and only then the file's name is removed. A kill -9 between two steps leaves either the
 * file where it was (and a rest that the next start removes) or both; never neither. Bounded in
 * bytes: full is -ENOSPC, and the file stays denied where it is. Names are hexadecimal ids, never
 * anything that a user chose. Supervisor, in the thread of ops.c.
 */
#ifndef FILEAGENT_VAULT_H
#define FILEAGENT_VAULT_H

#include <stddef.h>
#include <stdint.h>
#include "fileagent/act.h"
#include "fileagent/rec.h"
#include "lib/base/err.h"

#define FA_VAULT_MAX 65536 /* files */

struct fa_vault;

/*
 * fa_vault_open - make or check the directory, clear what a kill left half done
 * Errors: -GI_EDENIED (not root's alone), -errno
 */
GI_MUST_CHECK int fa_vault_open(const char *dir, uint64_t max_bytes, struct fa_vault **ret);
void fa_vault_close(struct fa_vault *v);
void fa_vault_max_set(struct fa_vault *v, uint64_t max_bytes);
uint64_t fa_vault_bytes(const struct fa_vault *v);
/* of rests that the open found: incomplete ones that were removed */
uint32_t fa_vault_cleared(const struct fa_vault *v);

/*
 * fa_vault_put - into quarantine, its name removed
 * Of a file without a name (left) that was put already since the open, with the same hash, there is
 * no second copy: *ret_qid is the first one's.
 * @meta: of who and why; size, mtime, mode, uid and gid are filled in here
 * @path: for people and for restore; bytes
 * Errors: -ESTALE (not what was judged: nothing done), -ENOSPC (over the bound), -errno; with an
 *         error the file is where it was
 */
GI_MUST_CHECK int fa_vault_put(struct fa_vault *v, int fd, const struct fa_ident *was,
	const struct fa_meta *meta, const char *path, size_t path_len, uint8_t ret_qid[16],
	char ret_text[FA_ACT_TEXT]);
/* the @index-th by age; -ENOENT: no more */
GI_MUST_CHECK int fa_vault_get(struct fa_vault *v, uint64_t index, uint8_t ret_qid[16],
	struct fa_meta *ret, char ret_path[FA_REC_PATH_MAX + 1]);
/*
 * fa_vault_restore - back to where it was: owner, mode, times; never over something
 * The verdict still stands: it is denied or quarantined again, unless the service allows its hash.
 * Errors: -EEXIST, -ENOENT (no such id; its directory is gone), -errno
 */
GI_MUST_CHECK int fa_vault_restore(
	struct fa_vault *v, const uint8_t qid[16], char ret_path[FA_REC_PATH_MAX + 1]);
/* @qid: NULL: all. *ret_n: how many went. -ENOENT */
GI_MUST_CHECK int fa_vault_purge(struct fa_vault *v, const uint8_t *qid, uint64_t *ret_n);

#endif
