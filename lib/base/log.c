/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * log.c - the one log of a process: a line an entry on stderr
 *
 * Runs in every daemon; only programs call it. Text may carry names that a guest chose, so
 * every control character and every byte that is not UTF-8 goes out as \xNN: an entry is
 * always exactly one line and cannot move a terminal's cursor. One write(2) a line, so lines
 * of parent and children do not mix. Source: sd-daemon(3), systemd.exec(5) $JOURNAL_STREAM.
 */
#include "lib/base/log.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "lib/base/text.h"

static struct {
	const char *prog;
	enum gi_log_level level;
	bool journal;
} log_state = { .prog = "idfw", .level = GI_LOG_INFO };

static size_t log_head(char *line, size_t size, enum gi_log_level level);
static size_t log_escape(char *line, size_t at, size_t size, const char *text);

void gi_log_init(const char *prog, enum gi_log_level level)
{
	log_state.prog = prog;
	log_state.level = level;
	log_state.journal = getenv("JOURNAL_STREAM") != NULL;
}

void gi_log(enum gi_log_level level, const char *fmt, ...)
{
	char text[GI_LOG_MAX], line[GI_LOG_MAX];
	int saved_errno = errno;
	va_list ap;
	size_t n;

	if (level > log_state.level)
		return;
	va_start(ap, fmt);
	if (vsnprintf(text, sizeof(text), fmt, ap) < 0)
		text[0] = '\0';
	va_end(ap);
	n = log_head(line, sizeof(line), level);
	n = log_escape(line, n, sizeof(line) - 1, text);
	line[n++] = '\n';
	/* stderr that is gone or full is no reason for a daemon to fail */
	if (write(STDERR_FILENO, line, n) < 0)
		errno = saved_errno;
	errno = saved_errno;
}

static size_t log_head(char *line, size_t size, enum gi_log_level level)
{
	static const char *const words[] = { [GI_LOG_ERR] = "error",
		[GI_LOG_WARN] = "warning",
		[GI_LOG_NOTICE] = "notice",
		[GI_LOG_INFO] = "info",
		[GI_LOG_DEBUG] = "debug" };
	struct timespec ts = { 0 };
	struct tm tm = { 0 };
	char when[32];
	int n;

	if (log_state.journal) {
		n = snprintf(line, size, "<%d>%.64s: ", (int)level, log_state.prog);
	} else {
		(void)clock_gettime(CLOCK_REALTIME, &ts);
		(void)gmtime_r(&ts.tv_sec, &tm);
		(void)strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
		n = snprintf(line, size, "%s.%03ldZ %.64s[%d] %s: ", when, ts.tv_nsec / 1000000,
			log_state.prog, (int)getpid(), words[level]);
	}
	return n < 0 ? 0 : (size_t)n;
}

/* appends @text from @at on, stops before @size; returns the new end */
static size_t log_escape(char *line, size_t at, size_t size, const char *text)
{
	static const char hex[] = "0123456789abcdef";
	const char *end = text + strlen(text);
	uint32_t cp = 0;

	while (text < end) {
		size_t n = gi_text_utf8(text, (size_t)(end - text), &cp);

		if (n > 0 && !gi_text_is_control(cp)) {
			if (at + n > size)
				break;
			memcpy(line + at, text, n);
			at += n;
			text += n;
			continue;
		}
		for (n = n ? n : 1; n > 0; n--, text++) {
			if (at + 4 > size)
				return at;
			line[at++] = '\\';
			line[at++] = 'x';
			line[at++] = hex[(uint8_t)*text >> 4];
			line[at++] = hex[(uint8_t)*text & 15];
		}
	}
	return at;
}
