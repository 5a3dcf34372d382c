/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * scan_world.h - a fake world and clock around fileagent/scan*.c, for test_scan.c and
 * test_scandata.c
 *
 * Descriptors are small numbers; fake.ident[] says what each is. What the core sends, answers and
 * asks for is written down and looked at. At the end of each test nobody is held, nothing is open.
 */
#ifndef TESTS_FILEAGENT_SCAN_WORLD_H
#define TESTS_FILEAGENT_SCAN_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fileagent/counters.h"
#include "fileagent/scan.h"
#include "fileagent/table.h"
#include "fileagent/worker.h"

#ifndef FDS
#define FDS 320
#endif
#define SENT_MAX 1024
#define NOT_ANSWERED (-1)

struct sent {
	int body;
	uint64_t id, offset, size, session;
	uint32_t len, reason, result, error, deadline;
	bool eof, denied;
	uint32_t uid;
};

static struct fake {
	struct fa_ident ident[FDS];
	bool same_actor, elsewhere[FDS];
	int stat_err[FDS], read_err[FDS];
	int answer[FDS]; /* errno, or NOT_ANSWERED */
	bool open[FDS];
	bool link_full, no_room;
	struct sent sent[SENT_MAX];
	size_t sent_n;
	size_t marks, flushes, later, reports, hidden;
	bool report_denied;
	enum fa_reason reason;
	uint64_t later_id; /* of the last read_later, write_later */
	uint64_t later_off;
	size_t later_len, writes;
	struct fa_action act;
	char act_path[64];
	size_t acts;
	uint64_t act_session;
	int act_err;
	const char *link_failed;
	uint64_t now;
	size_t actors;
	/* outcome */
	size_t outcomes;
	bool judged;
	Idfw__FileVerdictKind verdict;
	char why[64];
} fake;

static struct fa_counters count;
static struct fa_table *table;
static struct fa_scan *scan;

/* ---- the fake world ---- */

static inline uint64_t op_now_ms(void *arg)
{
	(void)arg;
	return fake.now;
}

static inline void op_answer(void *arg, const struct fa_held *h, int err)
{
	(void)arg;
	assert_int_equal(fake.answer[h->fd], NOT_ANSWERED);
	assert_true(fake.open[h->fd]);
	fake.answer[h->fd] = err;
}

static inline void op_release(void *arg, const struct fa_held *h)
{
	(void)arg;
	assert_true(fake.open[h->fd]);
	/* closed only when answered: the kernel knows the event by that number */
	assert_true(h->slot == FA_NO_SLOT || fake.answer[h->fd] != NOT_ANSWERED);
	fake.open[h->fd] = false;
}

static inline int op_stat(void *arg, int fd, struct fa_ident *ret, uint32_t *ret_mode)
{
	(void)arg;
	assert_true(fake.open[fd]);
	*ret = fake.ident[fd];
	*ret_mode = 0100644;
	return fake.stat_err[fd];
}

static inline int op_read_now(
	void *arg, int fd, uint64_t off, void *buf, size_t len, size_t *ret_len)
{
	uint64_t size = fake.ident[fd].size, left = off < size ? size - off : 0;

	(void)arg;
	assert_true(fake.open[fd]);
	if (fake.read_err[fd])
		return fake.read_err[fd];
	*ret_len = left < len ? (size_t)left : len;
	memset(buf, 'x', *ret_len);
	return 0;
}

static inline int op_read_later(void *arg, uint64_t id, int fd, uint64_t off, size_t len)
{
	(void)arg;
	assert_true(fake.open[fd]);
	fake.later_id = id;
	fake.later_off = off;
	fake.later_len = len;
	return 0;
}

static inline int op_write_later(
	void *arg, uint64_t id, int fd, uint64_t off, const void *buf, size_t len)
{
	(void)arg;
	(void)buf;
	assert_int_equal(fd, 50); /* the one that FA_OP_TMP gave */
	fake.later_id = id;
	fake.later_off = off;
	fake.later_len = len;
	fake.writes++;
	return 0;
}

static inline void op_close(void *arg, int fd)
{
	(void)arg;
	assert_true(fake.open[fd]);
	fake.open[fd] = false;
}

static inline bool op_watched(void *arg, int fd, struct fa_ident *ret, uint32_t *ret_mode)
{
	(void)arg;
	assert_true(fake.open[fd]);
	*ret = fake.ident[fd];
	*ret_mode = 0100644;
	return !fake.elsewhere[fd];
}

static inline void op_path(void *arg, int fd, char *buf, size_t size)
{
	(void)arg;
	(void)snprintf(buf, size, "/f%d", fd);
}

static inline int op_send(void *arg, const Idfw__Envelope *e)
{
	struct sent *s = &fake.sent[fake.sent_n];

	(void)arg;
	if (fake.link_full)
		return -GI_EFULL;
	assert_true(fake.sent_n < SENT_MAX);
	*s = (struct sent){ .body = (int)e->body_case };
	fake.sent_n++;
	switch (e->body_case) {
	case IDFW__ENVELOPE__BODY_FILE_EVENT:
		s->id = e->file_event->id;
		s->size = e->file_event->size;
		s->len = (uint32_t)e->file_event->head.len;
		s->deadline = e->file_event->deadline_ms;
		break;
	case IDFW__ENVELOPE__BODY_FILE_DATA:
		s->id = e->file_data->id;
		s->offset = e->file_data->offset;
		s->len = (uint32_t)e->file_data->data.len;
		s->eof = e->file_data->eof;
		s->error = e->file_data->error;
		break;
	case IDFW__ENVELOPE__BODY_FILE_WROTE:
		s->id = e->file_wrote->id;
		s->offset = e->file_wrote->offset;
		s->error = e->file_wrote->error;
		break;
	case IDFW__ENVELOPE__BODY_FILE_CANCEL:
		s->id = e->file_cancel->id;
		s->reason = e->file_cancel->reason;
		break;
	case IDFW__ENVELOPE__BODY_FILE_DONE:
		s->id = e->file_done->id;
		s->result = e->file_done->result;
		s->denied = e->file_done->opener_denied;
		s->uid = e->file_done->actor ? e->file_done->actor->uid : 0;
		s->session = e->file_done->actor ? e->file_done->actor->session : 0;
		break;
	default:
		fail_msg("unexpected message %d", e->body_case);
	}
	return 0;
}

static inline bool op_has_room(void *arg)
{
	(void)arg;
	return !fake.no_room;
}

static inline void op_fail_link(void *arg, const char *why)
{
	(void)arg;
	fake.link_failed = why;
}

static inline void op_mark(void *arg, int fd, const struct fa_ident *ident)
{
	(void)arg;
	assert_true(fake.open[fd]);
	assert_memory_equal(ident, &fake.ident[fd], sizeof(*ident));
	fake.marks++;
}

static inline void op_flush(void *arg)
{
	(void)arg;
	fake.flushes++;
}

static inline int op_action(void *arg, const struct fa_action *a)
{
	(void)arg;
	fake.act = *a;
	(void)snprintf(fake.act_path, sizeof(fake.act_path), "%s", a->path);
	fake.act_session = a->meta ? a->meta->session : 0;
	fake.acts++;
	return fake.act_err;
}

static inline void op_actor(void *arg, const struct fa_held *h, struct fa_actor *ret)
{
	(void)arg;
	memset(ret, 0, sizeof(*ret));
	ret->pid = h->pid;
	ret->session = 100 + (uint64_t)h->fd;
	/* who is held can be looked at; who was let go may be gone */
	assert_true(h->slot == FA_NO_SLOT || fake.answer[h->fd] == NOT_ANSWERED);
	fake.actors++;
}

static inline bool op_same_actor(void *arg, const struct fa_held *h)
{
	(void)arg;
	(void)h;
	return fake.same_actor;
}

static inline bool op_report_due(void *arg, enum fa_reason r, bool denied)
{
	(void)arg;
	(void)r;
	(void)denied;
	return true;
}

static inline void op_report(void *arg, enum fa_reason r, bool denied, Idfw__FileOp op,
	const char *path, const struct fa_actor *actor)
{
	(void)arg;
	(void)op;
	(void)actor;
	assert_int_equal(path[0], '/');
	fake.reports++;
	fake.reason = r;
	fake.report_denied = denied;
}

static inline void op_later(void *arg, const char *path, const struct fa_ident *ident)
{
	(void)arg;
	(void)ident;
	assert_int_equal(path[0], '/');
	fake.later++;
}

static const struct fa_scan_ops ops = { .now_ms = op_now_ms,
	.answer = op_answer,
	.release = op_release,
	.stat = op_stat,
	.read_now = op_read_now,
	.read_later = op_read_later,
	.write_later = op_write_later,
	.close = op_close,
	.watched = op_watched,
	.path = op_path,
	.send = op_send,
	.has_room = op_has_room,
	.fail_link = op_fail_link,
	.mark = op_mark,
	.flush = op_flush,
	.action = op_action,
	.actor = op_actor,
	.same_actor = op_same_actor,
	.report_due = op_report_due,
	.report = op_report,
	.later = op_later };

/* ---- verbs ---- */

static inline void settings(uint32_t credits, const char *epoch)
{
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	Idfw__ScanSettings m = IDFW__SCAN_SETTINGS__INIT;

	m.epoch.data = (uint8_t *)(uintptr_t)epoch;
	m.epoch.len = strlen(epoch);
	m.ops = 0x3e;
	m.head_bytes = 16384;
	m.credits = credits;
	e.body_case = IDFW__ENVELOPE__BODY_SCAN_SETTINGS;
	e.scan_settings = &m;
	fa_scan_message(scan, fake.now, &e);
}

static inline int setup(void **state)
{
	static const struct fa_scan_conf conf = { .deadline_base_ms = 1000,
		.deadline_rate = 20000000,
		.deadline_max_ms = 30000,
		.max_bytes = 1u << 30 };

	(void)state;
	memset(&fake, 0, sizeof(fake));
	memset(&count, 0, sizeof(count));
	fake.now = 5000;
	for (int i = 0; i < FDS; i++) {
		fake.answer[i] = NOT_ANSWERED;
		fake.ident[i] = (struct fa_ident){ .dev = 1,
			.ino = (uint64_t)i,
			.size = 100,
			.mtime_ns = 7,
			.ctime_ns = 7,
			.btime_ns = 7 };
	}
	assert_int_equal(fa_table_new(64, 1, &table), 0);
	assert_int_equal(fa_scan_new(&conf, table, &count, &ops, NULL, fake.now, &scan), 0);
	settings(64, "e1");
	fake.flushes = 0;
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	fa_scan_free(scan, fake.now);
	fa_table_free(table);
	for (int i = 0; i < FDS; i++)
		if (fake.open[i])
			return -1;
	return 0;
}

static inline void open_as(int fd, int like, bool strict)
{
	struct fa_held h = { .fd = fd,
		.slot = (uint32_t)fd,
		.pid = 1000u + (uint32_t)fd,
		.pidfd = -1,
		.op = IDFW__FILE_OP__FILE_OP_OPEN,
		.strict = strict,
		.block_errno = EPERM };

	fake.ident[fd] = fake.ident[like];
	fake.open[fd] = true;
	fa_scan_open(scan, fake.now, &h, &fake.ident[fd], 0100644);
}

static inline void open_file(int fd)
{
	open_as(fd, fd, false);
}

static inline void open_strict(int fd)
{
	open_as(fd, fd, true);
}

static inline void written(int fd, int like)
{
	struct fa_held h = { .fd = fd,
		.slot = FA_NO_SLOT,
		.pid = 7,
		.pidfd = -1,
		.op = IDFW__FILE_OP__FILE_OP_CLOSE_WRITE,
		.block_errno = EPERM };

	fake.ident[fd] = fake.ident[like];
	fake.open[fd] = true;
	fa_scan_written(scan, fake.now, &h, &fake.ident[fd]);
	fake.now += FA_SCAN_QUIET_MS;
	(void)fa_scan_written_go(scan, fake.now);
}

static inline const struct sent *last(int body)
{
	for (size_t i = fake.sent_n; i > 0; i--)
		if (fake.sent[i - 1].body == body)
			return &fake.sent[i - 1];
	return NULL;
}

static inline size_t how_many(int body)
{
	size_t n = 0;

	for (size_t i = 0; i < fake.sent_n; i++)
		n += fake.sent[i].body == body;
	return n;
}

static inline uint64_t asked(void)
{
	const struct sent *s = last(IDFW__ENVELOPE__BODY_FILE_EVENT);

	assert_non_null(s);
	return s->id;
}

static inline void say(
	uint64_t id, Idfw__FileVerdictKind k, bool until, bool failed, const char *epoch)
{
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	Idfw__FileVerdict m = IDFW__FILE_VERDICT__INIT;

	m.id = id;
	m.verdict = k;
	m.until_change = until;
	m.failed = failed;
	m.epoch.data = (uint8_t *)(uintptr_t)epoch;
	m.epoch.len = strlen(epoch);
	e.body_case = IDFW__ENVELOPE__BODY_FILE_VERDICT;
	e.file_verdict = &m;
	fa_scan_message(scan, fake.now, &e);
}

#define ALLOW IDFW__FILE_VERDICT_KIND__FILE_VERDICT_ALLOW
#define DENY IDFW__FILE_VERDICT_KIND__FILE_VERDICT_DENY
#define DELETE IDFW__FILE_VERDICT_KIND__FILE_VERDICT_DELETE
#define QUARANTINE IDFW__FILE_VERDICT_KIND__FILE_VERDICT_QUARANTINE
#define REPLACE IDFW__FILE_VERDICT_KIND__FILE_VERDICT_REPLACE
#define EVENT IDFW__ENVELOPE__BODY_FILE_EVENT
#define CANCEL IDFW__ENVELOPE__BODY_FILE_CANCEL
#define DONE IDFW__ENVELOPE__BODY_FILE_DONE
#define DATA IDFW__ENVELOPE__BODY_FILE_DATA
#define WROTE IDFW__ENVELOPE__BODY_FILE_WROTE

static inline void allow(uint64_t id)
{
	say(id, ALLOW, true, false, "e1");
}

static inline void read_range(uint64_t id, uint64_t off, uint32_t len)
{
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	Idfw__FileRead m = IDFW__FILE_READ__INIT;

	m.id = id;
	m.offset = off;
	m.length = len;
	e.body_case = IDFW__ENVELOPE__BODY_FILE_READ;
	e.file_read = &m;
	fa_scan_message(scan, fake.now, &e);
}

static inline void new_content(uint64_t id, uint64_t off, size_t len, bool is_last)
{
	static uint8_t zeros[48 << 10];
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	Idfw__FileWrite m = IDFW__FILE_WRITE__INIT;

	m.id = id;
	m.offset = off;
	m.data.data = zeros;
	m.data.len = len;
	m.last = is_last;
	e.body_case = IDFW__ENVELOPE__BODY_FILE_WRITE;
	e.file_write = &m;
	fa_scan_message(scan, fake.now, &e);
}

static inline void wait_ms(uint64_t ms)
{
	fake.now += ms;
	fa_scan_tick(scan, fake.now);
}

static inline void outcome_cb(void *arg, const struct fa_outcome *o)
{
	(void)arg;
	fake.outcomes++;
	fake.judged = o->judged;
	fake.verdict = o->verdict;
	(void)snprintf(fake.why, sizeof(fake.why), "%s", o->reason);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
