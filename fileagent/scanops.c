/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * scanops.c - what the core asks of the world: files, threads, the link, the supervisor
 *
 * Runs in the worker. Thin: each function is one of scan.h's ops, or the way back of one.
 */
#include "fileagent/worker_int.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fileagent/marks.h"

struct ticket { /* an id of the core, under way */
	struct worker *w;
	uint64_t id;
};

static struct ticket *ticket_new(struct worker *w, uint64_t id)
{
	struct ticket *t = malloc(sizeof(*t));

	if (t)
		*t = (struct ticket){ .w = w, .id = id };
	return t;
}

static uint64_t op_now_ms(void *arg)
{
	(void)arg;
	return io_clock_mono_ms();
}

static void op_answer(void *arg, const struct fa_held *h, int err)
{
	fa_events_answer(arg, h, err);
}

static void op_release(void *arg, const struct fa_held *h)
{
	fa_events_release(arg, h);
}

static int op_stat(void *arg, int fd, struct fa_ident *ret, uint32_t *ret_mode)
{
	(void)arg;
	return fa_events_stat(fd, ret, ret_mode, NULL);
}

/* ---- content ---- */

static int op_read_now(void *arg, int fd, uint64_t off, void *buf, size_t len, size_t *ret_len)
{
	(void)arg;
	return fa_read_now(fd, off, buf, len, ret_len);
}

static void read_cb(void *arg, int err, const void *data, size_t len)
{
	struct ticket *t = arg;

	fa_scan_read_done(t->w->pub.scan, io_clock_mono_ms(), t->id, err, data, len);
	free(t);
}

static int op_read_later(void *arg, uint64_t id, int fd, uint64_t off, size_t len)
{
	struct worker *w = arg;
	struct ticket *t = ticket_new(w, id);
	int err = t ? fa_reads_range(w->pub.reads, fd, off, len, read_cb, t) : -ENOMEM;

	if (err < 0)
		free(t);
	return err;
}

static void write_cb(void *arg, int err)
{
	struct ticket *t = arg;

	fa_scan_write_done(t->w->pub.scan, io_clock_mono_ms(), t->id, err);
	free(t);
}

static int op_write_later(void *arg, uint64_t id, int fd, uint64_t off, const void *buf, size_t len)
{
	struct worker *w = arg;
	struct ticket *t = ticket_new(w, id);
	int err = t ? fa_reads_write(w->pub.reads, fd, off, buf, len, write_cb, t) : -ENOMEM;

	if (err < 0)
		free(t);
	return err;
}

static void op_close(void *arg, int fd)
{
	(void)arg;
	close(fd);
}

static bool op_watched(void *arg, int fd, struct fa_ident *ret, uint32_t *ret_mode)
{
	struct worker *w = arg;
	struct fa_policy policy;
	uint64_t mnt;
	bool yes = fa_events_stat(fd, ret, ret_mode, &mnt) == 0 &&
		   fa_events_watched(w, fd, mnt, io_clock_mono_ms(), FAN_EV_CLOSE_WRITE, &policy);

	w->path_fd = -1; /* it may have another name by the time that is asked for */
	return yes;
}

static void op_path(void *arg, int fd, char *buf, size_t size)
{
	struct worker *w = arg;

	if (fd == w->path_fd) { /* the event's, asked a moment ago */
		size_t len = strnlen(w->path, size - 1);

		memcpy(buf, w->path, len);
		buf[len] = '\0';
	} else {
		fa_events_path(w, fd, buf, size);
	}
}

/* ---- link ---- */

static int op_send(void *arg, const Idfw__Envelope *e)
{
	struct worker *w = arg;

	return fa_link_send(w->pub.link, e);
}

static bool op_has_room(void *arg)
{
	struct worker *w = arg;

	return fa_link_has_room(w->pub.link);
}

static void op_fail_link(void *arg, const char *why)
{
	struct worker *w = arg;

	w->link_bad_why = why; /* from inside the core: at the end of the message */
}

/* ---- supervisor ---- */

static void done_cb(void *arg, const struct fa_rec *rec, int fd)
{
	(void)arg;
	(void)rec;
	if (fd >= 0)
		close(fd);
}

/* ---- marks: a few at a time, so that the supervisor wakes up once for them ---- */

static void marks_drop(struct worker *w)
{
	for (size_t i = 0; i < w->marks_n; i++)
		if (w->marks[i].own)
			close(w->marks[i].fd);
	w->marks_n = 0;
	io_timer_stop(w->pub.loop, &w->marks_timer);
}

static void marks_send(struct worker *w)
{
	int fds[FA_MARKS_MAX];

	if (w->marks_n == 0)
		return;
	w->rec.op = FA_OP_MARKS;
	for (size_t i = 0; i < w->marks_n; i++) {
		fds[i] = w->marks[i].fd;
		memcpy(w->rec.path + w->rec.path_len, &w->marks[i].ident, sizeof(struct fa_ident));
		w->rec.path_len += sizeof(struct fa_ident);
	}
	/* no supervisor, or a busy one: the table answers the next open, and asks again */
	if (fa_super_request(w->pub.super, &w->rec, fds, w->marks_n, NULL, NULL) == 0)
		w->count.marks_added += w->marks_n;
	memset(w->rec.path, 0, w->rec.path_len);
	w->rec.path_len = 0;
	marks_drop(w);
}

static void marks_cb(struct io_timer *t)
{
	marks_send(t->arg);
}

static void op_mark(void *arg, int fd, const struct fa_ident *ident)
{
	struct worker *w = arg;

	if (w->notify_paused) /* a store through a mapping would not take it away: writes.c */
		return;
	for (size_t i = 0; i < w->marks_n; i++)
		if (memcmp(&w->marks[i].ident, ident, sizeof(*ident)) == 0)
			return; /* opened again before it is sent; an exec is two events */
	if (w->marks_n == 0)
		io_timer_start(w->pub.loop, &w->marks_timer, FA_MARKS_MS, 0, marks_cb, w);
	w->marks[w->marks_n].fd = fd;
	w->marks[w->marks_n].own = false;
	w->marks[w->marks_n++].ident = *ident;
	fa_table_marked(w->table, ident);
	if (w->marks_n == FA_MARKS_MAX)
		marks_send(w);
}

bool fa_worker_mark_takes(struct worker *w, int fd)
{
	for (size_t i = w->marks_n; i-- > 0;) {
		if (w->marks[i].fd == fd && !w->marks[i].own) {
			w->marks[i].own = true;
			return true;
		}
	}
	return false;
}

void fa_worker_unmark(struct worker *w, int fd)
{
	marks_send(w); /* it may be among them */
	w->rec.op = FA_OP_UNMARK;
	w->count.marks_dropped++;
	if (!fa_super_is_up(w->pub.super)) {
		/* -ENOENT: it had none. -EACCES: not a file that our user may read */
		int err = fan_unignore(w->groups.perm, fd);

		if (err < 0 && err != -ENOENT)
			fa_worker_flush(w);
		return;
	}
	if (fa_super_request(w->pub.super, &w->rec, &fd, 1, NULL, NULL) == 0)
		return;
	/* this one must not get lost: it waits for room, or for the next supervisor */
	if (fa_super_request(w->pub.super, &w->rec, &fd, 1, done_cb, w) < 0)
		fa_worker_flush(w);
}

/*
 * Marks of inodes are the group's, and the kernel lets whoever has the group take them away. The
 * supervisor does it in the order of what it was asked for; while none lives there is no order to
 * keep, and nobody else to do it.
 */
static void flush_alone(struct worker *w)
{
	const struct fa_marks_groups g = {
		.perm = w->groups.perm, .notify = w->groups.notify, .fim = w->groups.fim
	};
	int err = fan_ignore_flush(g.perm);

	if (err < 0)
		fa_err("ignore marks cannot be flushed without a supervisor: %s", gi_strerror(err));
	fa_marks_exclude(&g, &w->conf); /* they were among them */
}

void fa_worker_flush(struct worker *w)
{
	marks_drop(w);
	w->count.marks_flushed++;
	if (w->started && !fa_super_is_up(w->pub.super))
		flush_alone(w);
	w->rec.op = FA_OP_FLUSH;
	/* ahead of what waits for its turn; else it is kept, also for the next supervisor */
	if (fa_super_request(w->pub.super, &w->rec, NULL, 0, NULL, NULL) < 0 &&
		fa_super_request(w->pub.super, &w->rec, NULL, 0, done_cb, w) < 0)
		fa_err("ignore marks could not be flushed: files may be let through unscanned");
}

static void op_flush(void *arg)
{
	fa_worker_flush(arg);
}

static void action_cb(void *arg, const struct fa_rec *rec, int fd)
{
	static const uint8_t none[sizeof(rec->qid)] = { 0 };
	struct ticket *t = arg;
	const char *text = rec->text[0] ? rec->text : rec->err ? gi_strerror(rec->err) : "";
	bool has_qid = memcmp(rec->qid, none, sizeof(none)) != 0;

	fa_scan_action_done(t->w->pub.scan, io_clock_mono_ms(), t->id, rec->err, text,
		has_qid ? rec->qid : NULL, fd);
	free(t);
}

static int op_action(void *arg, const struct fa_action *a)
{
	struct worker *w = arg;
	struct ticket *t = ticket_new(w, a->id);
	int fds[2] = { a->fd, a->tmp }, err = t ? 0 : -ENOMEM;
	size_t len = strlen(a->path);

	if (err == 0) {
		w->rec.op = a->op;
		w->rec.ident = *a->ident;
		if (a->meta)
			w->rec.meta = *a->meta;
		memcpy(w->rec.path, a->path, len);
		w->rec.path_len = (uint32_t)len;
		err = fa_super_request(
			w->pub.super, &w->rec, fds, a->tmp >= 0 ? 2 : 1, action_cb, t);
		memset(&w->rec, 0, sizeof(w->rec));
	}
	if (err < 0)
		free(t);
	return err;
}

/* ---- who, reports ---- */

static void op_actor(void *arg, const struct fa_held *h, struct fa_actor *ret)
{
	struct worker *w = arg;

	memset(ret, 0, sizeof(*ret));
	ret->pid = h->pid;
	if (w->pub.who)
		fa_who_actor(w->pub.who, (pid_t)h->pid, h->pidfd, ret);
}

static bool op_same_actor(void *arg, const struct fa_held *h)
{
	struct worker *w = arg;

	return w->pub.who && fa_who_same(w->pub.who, (pid_t)h->pid);
}

static bool op_report_due(void *arg, enum fa_reason r, bool denied)
{
	struct worker *w = arg;
	uint64_t now = io_clock_mono_ms();

	(void)r;
	(void)denied;
	if (now >= w->reports_ms + 1000) {
		w->reports_ms = now;
		w->reports_n = 0;
	}
	return w->reports_n++ < FA_REPORTS_PER_S;
}

void fa_worker_report(struct worker *w, enum fa_reason r, bool denied, Idfw__FileOp op,
	const char *path, const struct fa_actor *actor)
{
	Idfw__FileReport rep = IDFW__FILE_REPORT__INIT;
	Idfw__FilePassed p = IDFW__FILE_PASSED__INIT;
	Idfw__FileActor a = IDFW__FILE_ACTOR__INIT;

	fa_info("%s: %s: %s", path, denied ? "denied" : "let through", fa_reason_word(r));
	p.reason = (char *)(uintptr_t)fa_reason_word(r);
	p.path.data = (uint8_t *)(uintptr_t)path;
	p.path.len = strlen(path);
	p.denied = denied;
	p.op = op;
	rep.body_case = IDFW__FILE_REPORT__BODY_PASSED;
	rep.passed = &p;
	if (actor) {
		fa_actor_wire(actor, &a);
		rep.actor = &a;
	}
	if (w->pub.reports)
		(void)!fa_reports_add(w->pub.reports, &rep); /* it counts what is lost */
}

static void op_report(void *arg, enum fa_reason r, bool denied, Idfw__FileOp op, const char *path,
	const struct fa_actor *actor)
{
	const struct worker *w = arg;

	if (!w->answer_late) /* else unseen.c tells it */
		fa_worker_report(arg, r, denied, op, path, actor);
}

static void op_later(void *arg, const char *path, const struct fa_ident *ident)
{
	struct worker *w = arg;

	fa_rescans_add(w->rescans, path, ident);
}

const struct fa_scan_ops fa_worker_scan_ops = {
	.now_ms = op_now_ms,
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
	.later = op_later,
};
