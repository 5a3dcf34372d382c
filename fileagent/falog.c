/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * falog.c - the worker's log, see falog.h
 *
 * Runs in the worker; like every log the one thing with state of the file's own. A line is a head
 * and its text in a ring of bytes; a full ring leaves the new line out. What cannot be said is
 * counted, and the count goes out before the next line that can. There are two rings: what is for
 * an operator (up to notice) has room and tokens that a flood of debug lines cannot take; as long
 * as nobody floods, all lines leave in the order in which they came.
 */
#include "fileagent/falog.h"

#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/log.h"

#define SYSLOG_PATH "/dev/log"
#define SYSLOG_FACILITY (3 << 3) /* LOG_DAEMON */

struct head {
	uint16_t len;
	uint8_t level;
	uint64_t n; /* of all lines: which one came first */
};

struct ring {
	uint8_t *bytes;
	size_t size, at, used;
};

static uint8_t said[FA_LOG_RING_SAID], chat[FA_LOG_RING];

static struct {
	int level;
	enum fa_log_dest dest;
	uint64_t per_s;
	const char *prog;
	bool (*mux)(void *arg, int level, const char *text, uint64_t dropped);
	void *mux_arg;
	int syslog_fd;
	struct ring said, chat; /* up to notice, and the others */
	uint64_t lines;
	uint64_t tokens_milli, last_ms;
	uint64_t dropped, dropped_told;
} st = { .level = 5,
	.per_s = FA_LOG_PER_S,
	.prog = "gi-fileagent",
	.syslog_fd = -1,
	.said = { .bytes = said, .size = sizeof(said) },
	.chat = { .bytes = chat, .size = sizeof(chat) } };

static void ring_put(struct ring *r, const void *buf, size_t len)
{
	size_t end = (r->at + r->used) % r->size;
	size_t first = len < r->size - end ? len : r->size - end;

	memcpy(r->bytes + end, buf, first);
	memcpy(r->bytes, (const uint8_t *)buf + first, len - first);
	r->used += len;
}

/* copies from @off bytes behind the ring's begin */
static void ring_peek(const struct ring *r, size_t off, void *buf, size_t len)
{
	size_t at = (r->at + off) % r->size;
	size_t first = len < r->size - at ? len : r->size - at;

	memcpy(buf, r->bytes + at, first);
	memcpy((uint8_t *)buf + first, r->bytes, len - first);
}

bool fa_log_wants(int level)
{
	return level <= st.level;
}

void fa_log(int level, const char *fmt, ...)
{
	char text[FA_LOG_LINE_MAX + 1];
	struct ring *r = level <= FA_LOG_SAID ? &st.said : &st.chat;
	struct head h = { .level = (uint8_t)level, .n = st.lines };
	va_list ap;
	int n;

	if (level > st.level)
		return;
	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	h.len = (uint16_t)((size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
	if (r->used + sizeof(h) + h.len > r->size) {
		st.dropped++;
		return;
	}
	st.lines++;
	ring_put(r, &h, sizeof(h));
	ring_put(r, text, h.len);
}

static int syslog_connect(void)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX, .sun_path = SYSLOG_PATH };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

void fa_log_open(const char *prog,
	bool (*mux)(void *arg, int level, const char *text, uint64_t dropped), void *arg)
{
	st.prog = prog;
	st.mux = mux;
	st.mux_arg = arg;
	if (st.syslog_fd < 0)
		st.syslog_fd = syslog_connect();
	gi_log_init(prog, GI_LOG_DEBUG); /* the level is ours to keep */
}

void fa_log_set(int level, enum fa_log_dest dest, uint64_t per_s)
{
	st.level = level;
	st.dest = dest;
	st.per_s = per_s;
}

/*
 * Who reads our stderr may be held by us: a full pipe is not written to. POLLOUT of a pipe says
 * that PIPE_BUF bytes fit, more than a line has.
 */
static bool to_stderr(int level, const char *text)
{
	struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };

	if (poll(&p, 1, 0) == 0)
		return false;
	gi_log(level < 3 ? GI_LOG_ERR : (enum gi_log_level)level, "%s", text);
	return true;
}

/* true: it is gone, or will never go; false: the receiver's queue is full */
static bool to_syslog(int level, const char *text)
{
	char line[FA_LOG_LINE_MAX + 128];
	int n = snprintf(line, sizeof(line), "<%d>%s[%d]: %s", SYSLOG_FACILITY | level, st.prog,
		(int)getpid(), text);
	size_t len = n < 0 ? 0 : (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1;

	for (int tries = 0; tries < 2; tries++) {
		if (st.syslog_fd >= 0 && send(st.syslog_fd, line, len, MSG_NOSIGNAL) >= 0)
			return true;
		if (st.syslog_fd >= 0 && (errno == EAGAIN || errno == ENOBUFS))
			return false;
		/* the daemon was started anew: its socket is another one */
		if (st.syslog_fd >= 0)
			close(st.syslog_fd);
		st.syslog_fd = syslog_connect();
	}
	return to_stderr(level, text);
}

static bool send_line(int level, const char *text, uint64_t dropped)
{
	switch (st.dest) {
	case FA_LOG_SYSLOG:
		return to_syslog(level, text);
	case FA_LOG_MUX:
		return st.mux && st.mux(st.mux_arg, level, text, dropped);
	default:
		return to_stderr(level, text);
	}
}

/* the count of what was left out travels in LogLine; elsewhere it is a line of its own */
static bool tell_dropped(void)
{
	char text[80];

	if (st.dropped == st.dropped_told || st.dest == FA_LOG_MUX)
		return true;
	(void)snprintf(text, sizeof(text), "%" PRIu64 " lines were left out",
		st.dropped - st.dropped_told);
	if (!send_line(4, text, 0))
		return false;
	st.dropped_told = st.dropped;
	return true;
}

static uint64_t tokens_most(void)
{
	return st.per_s * FA_LOG_BURST_S * 1000;
}

static void refill(uint64_t now_ms)
{
	uint64_t most = tokens_most();

	if (st.last_ms == 0)
		st.tokens_milli = most;
	else if (now_ms > st.last_ms)
		st.tokens_milli += (now_ms - st.last_ms) * st.per_s;
	if (st.tokens_milli > most)
		st.tokens_milli = most;
	st.last_ms = now_ms;
}

/* whose turn it is; NULL: nobody's that may now */
static struct ring *ring_next(struct head *ret)
{
	bool chats = st.chat.used && st.tokens_milli >= 1000 + tokens_most() / FA_LOG_SAID_PART;
	bool says = st.said.used && st.tokens_milli >= 1000;
	struct head chatted = { .n = UINT64_MAX };

	if (chats)
		ring_peek(&st.chat, 0, &chatted, sizeof(chatted));
	if (says)
		ring_peek(&st.said, 0, ret, sizeof(*ret));
	if (says && ret->n < chatted.n)
		return &st.said;
	*ret = chatted;
	return chats ? &st.chat : NULL;
}

bool fa_log_flush(uint64_t now_ms)
{
	char text[FA_LOG_LINE_MAX + 1];
	struct ring *r;
	struct head h;

	if (st.said.used + st.chat.used == 0)
		return false;
	refill(now_ms);
	while ((r = ring_next(&h))) {
		ring_peek(r, sizeof(h), text, h.len);
		text[h.len] = '\0';
		if (!tell_dropped() || !send_line(h.level, text, st.dropped - st.dropped_told))
			return true;
		if (st.dest == FA_LOG_MUX)
			st.dropped_told = st.dropped;
		st.tokens_milli -= 1000;
		r->at = (r->at + sizeof(h) + h.len) % r->size;
		r->used -= sizeof(h) + h.len;
	}
	return st.said.used + st.chat.used > 0;
}

uint64_t fa_log_dropped(void)
{
	return st.dropped;
}

void fa_log_close(void)
{
	if (st.syslog_fd >= 0)
		close(st.syslog_fd);
	st.syslog_fd = -1;
}
