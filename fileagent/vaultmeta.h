/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vaultmeta.h - what is known of a quarantined file, as text: key=value a line
 *
 * Root writes and reads it, but paths, users and signatures in it were chosen by others: bytes
 * that are control characters, backslash or not ASCII go as \xNN. Unknown keys are skipped, so that
 * a newer agent's store can be read. Pure; fuzzed.
 */
#ifndef FILEAGENT_VAULTMETA_H
#define FILEAGENT_VAULTMETA_H

#include <stddef.h>
#include "fileagent/rec.h"
#include "lib/base/buf.h"
#include "lib/base/err.h"

#define FA_META_TEXT_MAX (32u << 10)

/* appends; -GI_ELIMIT, -ENOMEM are the buffer's */
void fa_meta_encode(const struct fa_meta *m, const char *path, size_t path_len, struct gi_buf *out);
/* @ret_path: "" without one. Errors: -GI_ESYNTAX (a bad line, a value that does not fit) */
GI_MUST_CHECK int fa_meta_decode(
	const char *text, size_t len, struct fa_meta *ret, char ret_path[FA_REC_PATH_MAX + 1]);

#endif
