/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dir.h - what the verbs about directories share: ways from group to group, a line of progress
 */
#ifndef IDFWCTL_DIR_H
#define IDFWCTL_DIR_H

#include <jansson.h>
#include "idfwctl/run.h"
#include "idfwctl/table.h"

/* "alice -> app-dev -> eng" */
void ctl_dir_way(const json_t *list, struct gi_buf *out);
/* a line for a cycle's row: "eng -> app -> eng, and 2 groups more in cycles with these" */
void ctl_dir_put_cycle(const char *before, const json_t *row);
/* "812 ms", or as ctl_span_format() */
const char *ctl_dir_took(uint64_t ms, char buf[CTL_TIME_STRLEN]);

struct ctl_dir_line { /* at the foot of a terminal, drawn over and over; elsewhere nothing */
	bool on, drawn;
};
void ctl_dir_line_init(struct ctl_dir_line *l, const struct ctl_cli *cli);
void ctl_dir_line_put(struct ctl_dir_line *l, const char *fmt, ...) GI_PRINTF(2, 3);
void ctl_dir_line_end(struct ctl_dir_line *l); /* it is gone */

#endif
