/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * falog.h - the worker's log: level and destination change while it runs
 *
 * fa_log() only writes into a ring in memory; fa_log_flush(), once a loop round, sends what is
 * there: never while an event is being handled (the log file may be on a watched file system:
 * whoever writes it would be held by us), never blocking, never more than a token bucket allows;
 * what is left out is counted and said. A part of room and rate is kept for lines up to notice:
 * they overtake a flood of debug lines. Destinations: stderr; the guest's syslog, by a datagram
 * socket that was connected before privileges fell; the host's log, by LogLine.
 */
#ifndef FILEAGENT_FALOG_H
#define FILEAGENT_FALOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/base/err.h"

#define FA_LOG_LINE_MAX 512 /* bytes of a line's text */
#define FA_LOG_RING (48u << 10)
#define FA_LOG_SAID 5		     /* lines up to notice: not behind debug lines */
#define FA_LOG_RING_SAID (16u << 10) /* their room */
#define FA_LOG_SAID_PART 4	     /* and the part of the burst that is left to them */
#define FA_LOG_PER_S 50	 /* lines a second that leave, on average, unless set otherwise */
#define FA_LOG_BURST_S 2 /* seconds' worth of them at once */

enum fa_log_dest { FA_LOG_STDERR, FA_LOG_SYSLOG, FA_LOG_MUX };

/* levels are syslog(3)'s, 0..7; lines above the level cost a comparison */
void fa_log(int level, const char *fmt, ...) GI_PRINTF(2, 3);
bool fa_log_wants(int level);

#define fa_err(...) fa_log(3, __VA_ARGS__)
#define fa_warn(...) fa_log(4, __VA_ARGS__)
#define fa_notice(...) fa_log(5, __VA_ARGS__)
#define fa_info(...) fa_log(6, __VA_ARGS__)
#define fa_debug(...) fa_log(7, __VA_ARGS__)

/* ---- worker.c ---- */

/*
 * fa_log_open - before privileges fall: connects to the guest's /dev/log, if there is one
 * @mux: how a LogLine leaves; false: it cannot now, the line is kept
 */
void fa_log_open(const char *prog,
	bool (*mux)(void *arg, int level, const char *text, uint64_t dropped), void *arg);
void fa_log_set(int level, enum fa_log_dest dest, uint64_t per_s);
/* true: something is left (out of tokens, or the destination takes nothing now): come again */
bool fa_log_flush(uint64_t now_ms);
uint64_t fa_log_dropped(void); /* in all */
void fa_log_close(void);

#endif
