/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * log.h - the one log of a process; only programs (floor 4) call it
 *
 * One line an entry on stderr: "<N>prog: text" (sd-daemon(3) priority) when stderr is a
 * journal stream ($JOURNAL_STREAM set), else "2026-01-03T14:03:05.123Z prog[pid] level: text".
 * Control characters in the text are escaped (a guest cannot forge lines). A line is at most
 * GI_LOG_MAX bytes.
 */
#ifndef GI_LOG_H
#define GI_LOG_H

#include <stdbool.h>
#include "lib/base/err.h"

#define GI_LOG_MAX 2048

enum gi_log_level {
	GI_LOG_ERR = 3,
	GI_LOG_WARN = 4,
	GI_LOG_NOTICE = 5,
	GI_LOG_INFO = 6,
	GI_LOG_DEBUG = 7
};

/* gi_log_init - @prog: borrows, static text; @level: entries above it are dropped */
void gi_log_init(const char *prog, enum gi_log_level level);
void gi_log(enum gi_log_level level, const char *fmt, ...) GI_PRINTF(2, 3);

#define gi_err(...) gi_log(GI_LOG_ERR, __VA_ARGS__)
#define gi_warn(...) gi_log(GI_LOG_WARN, __VA_ARGS__)
#define gi_notice(...) gi_log(GI_LOG_NOTICE, __VA_ARGS__)
#define gi_info(...) gi_log(GI_LOG_INFO, __VA_ARGS__)
#define gi_debug(...) gi_log(GI_LOG_DEBUG, __VA_ARGS__)

#endif
