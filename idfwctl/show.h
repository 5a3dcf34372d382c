/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * show.h - rows of svm-idfw and svm-scan as tables for humans
 *
 * Row shapes: docs/control.md. A field that is missing, or of another type, shows as nothing: an
 * older or newer svm-idfw is still readable.
 */
#ifndef IDFWCTL_SHOW_H
#define IDFWCTL_SHOW_H

#include <jansson.h>
#include "idfwctl/table.h"

struct ctl_view { /* a verb whose rows are one table */
	const char *const *heads;
	size_t n_heads;
	void (*add)(struct ctl_table *t, const json_t *row);
};
extern const struct ctl_view ctl_view_who, ctl_view_last, ctl_view_audit, ctl_view_fim;

struct ctl_status {  /* status has rows of several kinds */
	json_t *svm; /* owned, NULL until it came */
	struct ctl_table muxes, scans, vms, isolated;
};
void ctl_status_init(struct ctl_status *s);
void ctl_status_fini(struct ctl_status *s);
void ctl_status_add(struct ctl_status *s, json_t *row); /* borrows */
GI_MUST_CHECK int ctl_status_print(const struct ctl_status *s, bool color, FILE *to);

const char *ctl_row_text(const json_t *row, const char *key); /* "" when there is none */
uint64_t ctl_row_number(const json_t *row, const char *key);  /* 0 */
bool ctl_row_true(const json_t *row, const char *key);
/* the strings of an array, with ", " between them */
void ctl_row_list(const json_t *row, const char *key, struct gi_buf *out);

#endif
