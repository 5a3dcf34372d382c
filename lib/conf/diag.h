/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * diag.h - the user's mistakes, collected with their positions, shown all in one run
 *
 *   /etc/idfw/policy.idfw:14:9: error: no group "enng"; did you mean "eng"?
 *       allow from enng to db
 *                  ^~~~
 */
#ifndef CONF_DIAG_H
#define CONF_DIAG_H

#include <stdbool.h>
#include <stddef.h>
#include "lib/base/buf.h"
#include "lib/base/err.h"

#define CONF_DIAG_MAX 100 /* then one "too many errors" and no more */

struct conf_pos {
	int line, col;	       /* from 1; columns count bytes, tabs are one */
	int end_line, end_col; /* one behind the last */
};

enum conf_severity { CONF_ERROR, CONF_WARNING, CONF_NOTE };

struct conf_diag {
	enum conf_severity severity;
	struct conf_pos pos;
	char *text; /* owned */
};

struct conf_diags {
	const char *file;   /* borrows; shown in front */
	const char *source; /* borrows; the whole text, for the quoted line */
	size_t source_len;
	struct conf_diag *list; /* owned, in order of the report */
	size_t n, n_errors;
};

void conf_diags_init(struct conf_diags *d, const char *file, const char *source, size_t len);
void conf_diags_fini(struct conf_diags *d);
void conf_diag_add(struct conf_diags *d, enum conf_severity s, const struct conf_pos *pos,
	const char *fmt, ...) GI_PRINTF(4, 5);
/* sorted by position, with quoted line and caret; the golden-tested text */
void conf_diags_render(const struct conf_diags *d, struct gi_buf *out);
/* nearest of n words within edit distance 2, or NULL: for "did you mean" */
const char *conf_suggest(const char *word, const char *const *words, size_t n);

#endif
