/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * table.h - aligned columns, times and colours for a human's terminal
 *
 * Cells are copied and cleaned: what a guest or a directory wrote cannot move a cursor. Widths
 * count characters, not bytes. Nothing is cut: a line may be longer than the terminal.
 */
#ifndef IDFWCTL_TABLE_H
#define IDFWCTL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "lib/base/buf.h"
#include "lib/base/err.h"

#define CTL_COLUMNS_MAX 12
#define CTL_TIME_STRLEN 32

enum ctl_tone { CTL_PLAIN, CTL_GOOD, CTL_BAD, CTL_DIM, CTL_HEAD };

struct ctl_table {
	const char *const *heads; /* borrows; "#NAME": numbers, to the right */
	size_t n_columns;
	struct ctl_cell {
		char *text; /* owned */
		enum ctl_tone tone;
	} * cells; /* owned; row by row */
	size_t n_cells, cap;
	int err; /* sticky */
};

void ctl_table_init(struct ctl_table *t, const char *const *heads, size_t n_columns);
void ctl_table_fini(struct ctl_table *t);
/* the next cell; NULL: empty */
void ctl_table_add(struct ctl_table *t, enum ctl_tone tone, const char *text);
void ctl_table_addf(struct ctl_table *t, enum ctl_tone tone, const char *fmt, ...) GI_PRINTF(3, 4);
/* heads and rows; nothing when there is no row. -ENOMEM when a cell was lost */
GI_MUST_CHECK int ctl_table_print(const struct ctl_table *t, bool color, FILE *to);

/* appends with control characters and bad UTF-8 replaced; '\n' and '\t' too unless @lines */
void ctl_clean(struct gi_buf *out, const char *text, size_t len, bool lines);
/* escape sequences around a word on a terminal; "" when @color is false */
const char *ctl_tone_on(enum ctl_tone tone, bool color);
const char *ctl_tone_off(enum ctl_tone tone, bool color);
/* local time "2026-11-22 04:00:01", "-" for 0 */
const char *ctl_time_format(uint64_t ms, char buf[CTL_TIME_STRLEN]);
/* "5 s", "2 m 10 s", "3 h 4 m", "2 d 3 h" */
const char *ctl_span_format(uint64_t ms, char buf[CTL_TIME_STRLEN]);

#endif
