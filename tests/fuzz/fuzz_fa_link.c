/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_fa_link.c - a hostile scan service against the file agent: any bytes, in any order with
 * opens, closes, deadlines and replies of the supervisor, through the decoder into the worker's
 * core
 *
 * Input: a byte says what happens (op % OPS), the next ones its arguments. Whatever comes: each
 * opener is answered exactly once, its descriptor is closed once and after the answer, none is used
 * when it is closed, and at the end all are.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fileagent/counters.h"
#include "fileagent/scan.h"
#include "fileagent/table.h"
#include "fileagent/worker.h"

#define FDS 48
#define TMP_FD (FDS - 1)
#define FILES 6 /* so that they are shared */
#define OPS 14

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct world {
	bool open[FDS], held[FDS], answered[FDS];
	uint64_t version[FILES];
	uint64_t now, asked, later_id, act_id;
	bool act_tmp, no_room, slow, fail, in_core;
	size_t outcomes, submitted;
} w;

static void must(bool what)
{
	if (!what)
		abort();
}

static uint64_t op_now_ms(void *arg)
{
	(void)arg;
	return w.now;
}

static void op_answer(void *arg, const struct fa_held *h, int err)
{
	(void)arg;
	(void)err;
	must(w.open[h->fd] && w.held[h->fd] && !w.answered[h->fd]);
	w.answered[h->fd] = true;
}

static void op_release(void *arg, const struct fa_held *h)
{
	(void)arg;
	must(w.open[h->fd] && (h->slot == FA_NO_SLOT || w.answered[h->fd]));
	w.open[h->fd] = false;
}

static struct fa_ident ident_of(int fd)
{
	return (struct fa_ident){ .dev = 1,
		.ino = (uint64_t)fd % FILES + 1,
		.size = 100000u * ((uint64_t)fd % FILES),
		.mtime_ns = w.version[fd % FILES] };
}

static int op_stat(void *arg, int fd, struct fa_ident *ret, uint32_t *ret_mode)
{
	(void)arg;
	must(w.open[fd]);
	*ret = ident_of(fd);
	*ret_mode = 0100600;
	return w.fail ? -EIO : 0;
}

static int op_read_now(void *arg, int fd, uint64_t off, void *buf, size_t len, size_t *ret_len)
{
	uint64_t size = ident_of(fd).size;

	(void)arg;
	must(w.open[fd] && len <= WIRE_DATA_MAX);
	if (w.slow)
		return -EAGAIN;
	if (w.fail)
		return -EIO;
	*ret_len = off >= size ? 0 : size - off < len ? (size_t)(size - off) : len;
	memset(buf, 1, *ret_len);
	return 0;
}

static int op_read_later(void *arg, uint64_t id, int fd, uint64_t off, size_t len)
{
	(void)arg;
	(void)off;
	must(w.open[fd] && len <= WIRE_DATA_MAX);
	w.later_id = id;
	return w.fail ? -EMFILE : 0;
}

static int op_write_later(void *arg, uint64_t id, int fd, uint64_t off, const void *buf, size_t len)
{
	(void)arg;
	(void)off;
	(void)buf;
	must(fd == TMP_FD && w.open[fd] && len <= WIRE_DATA_MAX);
	w.later_id = id;
	return w.fail ? -EMFILE : 0;
}

static void op_close(void *arg, int fd)
{
	(void)arg;
	must(w.open[fd]);
	w.open[fd] = false;
}

static void op_path(void *arg, int fd, char *buf, size_t size)
{
	(void)arg;
	must(w.open[fd]);
	(void)snprintf(buf, size, "/f%d", fd);
}

static int op_send(void *arg, const Idfw__Envelope *e)
{
	struct gi_buf b;
	int err;

	(void)arg;
	if (w.no_room)
		return -GI_EFULL;
	gi_buf_init(&b, WIRE_FRAME_MAX);
	err = wire_envelope_encode(e, &b); /* what we say must be good, whatever we were told */
	must(err == 0);
	gi_buf_fini(&b);
	if (e->body_case == IDFW__ENVELOPE__BODY_FILE_EVENT)
		w.asked = e->file_event->id;
	return 0;
}

static bool op_has_room(void *arg)
{
	(void)arg;
	return !w.no_room;
}

static void op_fail_link(void *arg, const char *why)
{
	(void)arg;
	must(why && why[0]);
}

static void op_mark(void *arg, int fd, const struct fa_ident *ident)
{
	(void)arg;
	(void)ident;
	must(w.open[fd]);
}

static void op_flush(void *arg)
{
	(void)arg;
}

static int op_action(void *arg, const struct fa_action *a)
{
	(void)arg;
	must(w.open[a->fd] && (a->tmp < 0 || w.open[a->tmp]));
	w.act_id = a->id;
	w.act_tmp = a->op == FA_OP_TMP;
	return w.fail ? -GI_EFULL : 0;
}

static void op_actor(void *arg, const struct fa_held *h, struct fa_actor *ret)
{
	(void)arg;
	memset(ret, 0, sizeof(*ret));
	ret->pid = h->pid;
}

static bool op_report_due(void *arg, enum fa_reason r, bool denied)
{
	(void)arg;
	(void)r;
	return denied;
}

static void op_report(void *arg, enum fa_reason r, bool denied, Idfw__FileOp op, const char *path,
	const struct fa_actor *actor)
{
	(void)arg;
	(void)denied;
	(void)op;
	(void)path;
	(void)actor;
	must(fa_reason_word(r)[0]);
}

static void op_later(void *arg, const char *path, const struct fa_ident *ident)
{
	(void)arg;
	(void)ident;
	must(path[0] == '/');
}

static bool op_watched(void *arg, int fd, struct fa_ident *ret, uint32_t *ret_mode)
{
	return fd % 2 == 0 && op_stat(arg, fd, ret, ret_mode) == 0;
}

static bool op_same_actor(void *arg, const struct fa_held *h)
{
	(void)arg;
	return h->fd % 3 == 0;
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

/* ---- what happens ---- */

struct input {
	const uint8_t *p;
	size_t left;
};

static uint8_t take(struct input *in)
{
	if (in->left == 0)
		return 0;
	in->left--;
	return *in->p++;
}

/* a free number that stands for file @want % FILES, or -1 */
static int fd_new(uint8_t want)
{
	for (int fd = want % FILES; fd < TMP_FD; fd += FILES)
		if (!w.open[fd])
			return fd;
	return -1;
}

static void come(struct fa_scan *s, uint8_t arg, bool held)
{
	int fd = fd_new(arg);
	struct fa_held h = { .fd = fd,
		.slot = held ? (uint32_t)fd : FA_NO_SLOT,
		.pidfd = -1,
		.op = held ? IDFW__FILE_OP__FILE_OP_OPEN : IDFW__FILE_OP__FILE_OP_CLOSE_WRITE,
		.strict = arg & 0x40,
		.block_errno = EPERM };
	struct fa_ident id;

	if (fd < 0)
		return;
	w.open[fd] = true;
	w.held[fd] = held;
	w.answered[fd] = false;
	id = ident_of(fd);
	if (held)
		fa_scan_open(s, w.now, &h, &id, 0100600);
	else
		fa_scan_written(s, w.now, &h, &id);
	if (!held && (id.ino & 1)) /* else with the next one, or a tick */
		fa_scan_written_go(s, w.now);
}

static void outcome_cb(void *arg, const struct fa_outcome *o)
{
	(void)arg;
	must(o->reason && o->engine && o->signature && o->action_text);
	must(!w.in_core); /* never from inside fa_scan_submit() */
	w.outcomes++;
}

static void submit(struct fa_scan *s, uint8_t arg)
{
	int fd = fd_new(arg);

	if (fd < 0)
		return;
	w.open[fd] = true;
	w.held[fd] = false;
	w.in_core = true;
	if (fa_scan_submit(s, fd, IDFW__FILE_OP__FILE_OP_DEMAND, outcome_cb, &w) == 0)
		w.submitted++;
	w.in_core = false;
}

static void frame(struct fa_scan *s, struct input *in)
{
	size_t len = (size_t)take(in) << 8 | take(in);
	Idfw__Envelope *e;
	const char *why;

	len = len < in->left ? len : in->left;
	if (wire_envelope_decode(in->p, len, WIRE_SCAN_TO_AGENT, WIRE_OPEN, &e, &why) == 0) {
		fa_scan_message(s, w.now, e);
		wire_envelope_free(e);
	}
	in->p += len;
	in->left -= len;
}

/* what a fuzzer would need long to find: a good verdict for the newest question */
static void verdict(struct fa_scan *s, uint8_t arg)
{
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	Idfw__FileVerdict v = IDFW__FILE_VERDICT__INIT;

	v.id = w.asked - (arg >> 6);
	v.verdict = (Idfw__FileVerdictKind)(arg % 6);
	v.until_change = arg & 8;
	v.failed = (arg & 0x30) == 0x30;
	e.body_case = IDFW__ENVELOPE__BODY_FILE_VERDICT;
	e.file_verdict = &v;
	fa_scan_message(s, w.now, &e);
}

static void content(struct fa_scan *s, uint8_t arg)
{
	static uint8_t zeros[WIRE_DATA_MAX];
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	Idfw__FileWrite m = IDFW__FILE_WRITE__INIT;
	Idfw__FileRead r = IDFW__FILE_READ__INIT;

	if (arg & 1) {
		m.id = w.asked;
		m.offset = (uint64_t)(arg >> 4) * 16;
		m.data.data = zeros;
		m.data.len = arg & 4 ? sizeof(zeros) : 16;
		m.last = arg & 2;
		e.body_case = IDFW__ENVELOPE__BODY_FILE_WRITE;
		e.file_write = &m;
	} else {
		r.id = w.asked;
		r.offset = (uint64_t)arg << 12;
		r.length = (uint32_t)arg << 8;
		e.body_case = IDFW__ENVELOPE__BODY_FILE_READ;
		e.file_read = &r;
	}
	fa_scan_message(s, w.now, &e);
}

static void action_done(struct fa_scan *s, uint8_t arg)
{
	static const uint8_t qid[WIRE_QUARANTINE_ID_LEN] = { 1 };
	int err = arg % 3 == 0 ? 0 : arg % 3 == 1 ? -ESTALE : -EIO, fd = -1;

	if (w.act_tmp && err == 0 && !w.open[TMP_FD]) {
		fd = TMP_FD;
		w.open[fd] = true;
	}
	fa_scan_action_done(s, w.now, w.act_id, err, "", arg & 4 ? qid : NULL, fd);
}

static void step(struct fa_scan *s, struct input *in)
{
	uint8_t op = take(in) % OPS, arg = op == 0 ? 0 : take(in);

	switch (op) {
	case 0:
		frame(s, in);
		break;
	case 1:
	case 2:
		come(s, arg, true);
		break;
	case 3:
		come(s, arg, false);
		break;
	case 4:
		submit(s, arg);
		break;
	case 5:
	case 6:
		verdict(s, arg);
		break;
	case 7:
		content(s, arg);
		break;
	case 8:
		w.now += (uint64_t)arg * 16;
		fa_scan_tick(s, w.now);
		break;
	case 9:
		action_done(s, arg);
		break;
	case 10:
		fa_scan_read_done(
			s, w.now, w.later_id, arg & 1 ? -EIO : 0, "abcd", arg & 1 ? 0 : 4);
		break;
	case 11:
		fa_scan_write_done(s, w.now, w.later_id, arg & 1 ? -ENOSPC : 0);
		break;
	case 12:
		w.no_room = arg & 1;
		w.slow = arg & 2;
		w.fail = arg & 4;
		w.version[arg % FILES] += (arg & 8) != 0;
		fa_scan_room(s, w.now);
		break;
	default:
		if (arg & 1)
			fa_scan_link_down(s, w.now);
	}
}

static void settings(struct fa_scan *s)
{
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	Idfw__ScanSettings m = IDFW__SCAN_SETTINGS__INIT;
	uint8_t epoch = 'e';

	m.epoch.data = &epoch;
	m.epoch.len = 1;
	m.ops = 0x3e;
	m.head_bytes = 64;
	m.credits = 3;
	e.body_case = IDFW__ENVELOPE__BODY_SCAN_SETTINGS;
	e.scan_settings = &m;
	fa_scan_message(s, w.now, &e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct fa_scan_conf conf = {
		.deadline_base_ms = 1000, .deadline_rate = 20000000, .deadline_max_ms = 5000
	};
	struct input in = { .p = data, .left = size };
	struct fa_counters count = { 0 };
	struct fa_table *table = NULL;
	struct fa_scan *s = NULL;

	memset(&w, 0, sizeof(w));
	w.now = 1;
	if (fa_table_new(16, 1, &table) < 0 ||
		fa_scan_new(&conf, table, &count, &ops, NULL, w.now, &s) < 0)
		abort();
	settings(s);
	while (in.left > 0)
		step(s, &in);
	w.fail = w.no_room = false;
	fa_scan_free(s, w.now);
	fa_table_free(table);
	must(w.outcomes <= w.submitted);
	for (int fd = 0; fd < FDS; fd++)
		must(!w.open[fd] && (!w.held[fd] || w.answered[fd]));
	return 0;
}
