/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fimbase.h - the baseline: what each file below a rule's paths was when it was looked at last
 *
 * Runs in gi-fileagent's worker. Pure: the table in memory, and the bytes that a journal keeps of
 * it (fim.c has the journal: a checkpoint, then changes). A change says the path's present state
 * or that it is gone, so one that is read twice does no harm.
 * What is read back was on a disk: every length is checked, a record that does not add up changes
 * nothing. Invariants: at most FA_FIM_FILES_MAX entries; a path is absolute, 1..WIRE_PATH_MAX
 * bytes, without NUL.
 */
#ifndef FILEAGENT_FIMBASE_H
#define FILEAGENT_FIMBASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>
#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/wire/wire.h"

#define FA_FIM_FILES_MAX 65536
#define FA_FIM_RULES_MAX 64
#define FA_FIM_BASE_BYTES (12u << 20) /* of a checkpoint; then no more entries are taken */

struct fa_fim_state { /* of a file or directory, as it was found */
	uint32_t mode, uid, gid, nlink;
	uint64_t dev, ino, size, mtime_ns, ctime_ns;
	bool has_sha;
	uint8_t sha[WIRE_SHA256_LEN];
};

struct fa_fim_file {
	struct fa_fim_state st;
	uint64_t recorded_ms; /* the last record about it; not kept on disk */
	uint32_t seen;	      /* walk that met it last; not kept */
	UT_hash_handle hh;    /* private */
	size_t path_len;
	char path[]; /* NUL-terminated */
};

struct fa_fimbase {
	struct fa_fim_file *files; /* in the order of coming */
	size_t bytes;		   /* of a checkpoint */
	/* rules whose files are all here: digest of name, paths and exclusions */
	uint8_t rule[FA_FIM_RULES_MAX][WIRE_SHA256_LEN];
	size_t n_rules;
};

void fa_fimbase_init(struct fa_fimbase *b);
void fa_fimbase_fini(struct fa_fimbase *b);
size_t fa_fimbase_count(const struct fa_fimbase *b);
/* NULL: not there */
struct fa_fim_file *fa_fimbase_find(const struct fa_fimbase *b, const char *path);
/* adds or changes; -GI_ELIMIT (files or bytes), -EINVAL (path), -ENOMEM */
GI_MUST_CHECK int fa_fimbase_put(
	struct fa_fimbase *b, const char *path, const struct fa_fim_state *st);
void fa_fimbase_drop(struct fa_fimbase *b, const char *path); /* not there: nothing happens */
/*
 * fa_fimbase_move - @from and all below it are at @to now; what stood there before is replaced
 * Entries whose new path is too long are dropped. @to NULL: all of them are
 */
void fa_fimbase_move(struct fa_fimbase *b, const char *from, const char *to);
/* an entry with these, but for @not_path; NULL: none. Slow; for hard links */
struct fa_fim_file *fa_fimbase_linked(
	const struct fa_fimbase *b, uint64_t dev, uint64_t ino, const char *not_path);

bool fa_fimbase_has_rule(const struct fa_fimbase *b, const uint8_t digest[WIRE_SHA256_LEN]);
void fa_fimbase_set_rule(struct fa_fimbase *b, const uint8_t digest[WIRE_SHA256_LEN], bool there);

/* ---- bytes ---- */

/* the whole, as a checkpoint; errors are sticky in out */
void fa_fimbase_encode(const struct fa_fimbase *b, struct gi_buf *out);
/* into an empty one. -GI_EPROTO, -GI_ELIMIT, -ENOMEM: what was read until then stays */
GI_MUST_CHECK int fa_fimbase_decode(struct fa_fimbase *b, const void *buf, size_t len);
/* a change: @path's present state in @b, or that it is not there */
void fa_fimbase_change_path(const struct fa_fimbase *b, const char *path, struct gi_buf *out);
void fa_fimbase_change_move(const char *from, const char *to, struct gi_buf *out);
void fa_fimbase_change_rule(const uint8_t digest[WIRE_SHA256_LEN], bool there, struct gi_buf *out);
/* applies one of these; -GI_EPROTO, -GI_ELIMIT, -ENOMEM */
GI_MUST_CHECK int fa_fimbase_apply(struct fa_fimbase *b, const void *buf, size_t len);

#endif
