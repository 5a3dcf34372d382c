/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * progress.h - how far a scan is, as one line of at most 79 columns
 */
#ifndef IDFWCTL_PROGRESS_H
#define IDFWCTL_PROGRESS_H

#include <stdint.h>

#define CTL_PROGRESS_STRLEN 128

struct ctl_progress {
	uint64_t files, bytes, found, failed, skipped;
	uint64_t total; /* files; 0: not counted yet */
	uint64_t elapsed_ms;
};

/* bar, share, files, bytes a second, what was found, time to go */
const char *ctl_progress_format(const struct ctl_progress *p, char buf[CTL_PROGRESS_STRLEN]);
/* the last word, without times: "1234 files, 56.1 MB: 2 found, 0 failed, 3 skipped" */
const char *ctl_progress_summary(const struct ctl_progress *p, char buf[CTL_PROGRESS_STRLEN]);

#endif
