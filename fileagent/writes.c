/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * writes.c - a writer closed a file: from the kernel's event to scan.c
 *
 * Runs in the worker. Nobody is held by these events, and their writers want the processor: in a
 * burst of them they do not wake us (lazy), but are read many at a time, in rounds of
 * FA_SCAN_QUIET_MS; who opens something in between is answered first. Never later: a store through
 * a mapping leaves the file's ignore mark alone, so it is taken away here. When each is scanned,
 * and whether it lies where we look: scanwrites.c. Invariant: an event that the kernel could not
 * give us counts as an overflow: its file may have a mark.
 */
#include "fileagent/worker_int.h"

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOTIFY_BURST FAN_BATCH /* what one read can bring is taken at once */
#define ROUND_BURST 512
#define OPENERS_EACH 8 /* so many, then a look at who is held */

static void round_cb(struct io_timer *t);

static void rounds_on(struct worker *w)
{
	if (w->writes_on)
		return;
	w->writes_on = true;
	io_timer_start(w->pub.loop, &w->writes, FA_SCAN_QUIET_MS, FA_SCAN_QUIET_MS, round_cb, w);
}

static void overflow(struct worker *w)
{
	w->count.events_overflow++;
	fa_warn("events of closed files were lost: everything is looked at anew");
	fa_table_clear(w->table);
	fa_worker_flush(w);
}

static void notify_event(struct worker *w, const struct fan_event *ev)
{
	struct fa_held h = { .fd = ev->fd,
		.slot = FA_NO_SLOT,
		.pid = (uint32_t)ev->pid,
		.pidfd = ev->pidfd,
		.op = IDFW__FILE_OP__FILE_OP_CLOSE_WRITE };
	struct fa_ident id;
	uint64_t now = io_clock_mono_ms();
	uint32_t mode;

	w->count.events_close_write++;
	if (!fa_events_own(w, ev->pid))
		fa_scan_stir(w->pub.scan, now);
	if (fa_events_stat(ev->fd, &id, &mode, NULL) < 0 || !S_ISREG(mode)) {
		fa_events_release(w, &h);
		return;
	}
	if (fa_table_drop(w->table, id.dev, id.ino))
		fa_worker_unmark(w, ev->fd);
	if (fa_events_own(w, ev->pid) || id.size == 0 ||
		!fa_scan_wants(w->pub.scan, IDFW__FILE_OP__FILE_OP_CLOSE_WRITE) ||
		fa_events_uid_out(w, ev->pid)) {
		fa_events_release(w, &h);
		return;
	}
	fa_scan_written(w->pub.scan, now, &h, &id);
	fa_worker_tick_on(w);
	rounds_on(w);
}

/* before 6.13. -EAGAIN of a read alone does not say so: a write lease on the file gives it, too */
static bool one_waits(const struct worker *w)
{
	struct pollfd p = { .fd = w->groups.notify, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

/* 1: @ev; 0: none waits; -1: one was lost */
static int next_event(struct worker *w, bool waits, struct fan_event *ev)
{
	int err;

	if (w->groups.start_bits & FA_START_FD_ERRORS) {
		err = fan_take(w->groups.notify, &w->writes_read, ev);
		return err == -EAGAIN ? 0 : err < 0 ? -1 : 1;
	}
	if (!waits && !one_waits(w))
		return 0;
	return fan_next(w->groups.notify, FAN_NOTIFY_GROUP, ev) < 0 ? -1 : 1;
}

/*
 * What stays in the kernel takes no mark away, and of a store through a mapping nothing else does:
 * so there are no marks until all is read again (fa_scan_ops.mark)
 */
static void pause_reading(struct worker *w)
{
	w->notify_paused = true;
	fa_worker_flush(w);
	io_fd_set(w->pub.loop, &w->notify, 0);
}

/* at most @n; @waits: one is there. Returns how many there were */
static int take(struct worker *w, int n, bool waits)
{
	struct fan_event ev;
	int i, got;

	for (i = 0; i < n; i++, waits = false) {
		if (!fa_scan_takes_writes(w->pub.scan)) {
			if (!w->notify_paused)
				pause_reading(w);
			break;
		}
		if (i % OPENERS_EACH == OPENERS_EACH - 1)
			fa_events_openers(w);
		got = next_event(w, waits, &ev);
		if (got == 0)
			break;
		if (got < 0 || ev.fd < 0)
			overflow(w);
		if (got > 0 && ev.fd >= 0)
			notify_event(w, &ev);
		else if (got > 0 && ev.pidfd >= 0)
			close(ev.pidfd);
	}
	return i;
}

static void lazy_set(struct worker *w, bool lazy)
{
	w->notify_lazy = lazy;
	if (!w->notify_paused)
		io_fd_set(w->pub.loop, &w->notify, lazy ? 0 : IO_READ);
}

static void notify_cb(struct io_fd *f, unsigned int events)
{
	struct worker *w = f->arg;
	uint64_t now = io_clock_mono_ms();
	bool burst = now < w->notify_ms + FA_SCAN_QUIET_MS;

	(void)events;
	w->notify_ms = now;
	(void)take(w, NOTIFY_BURST, true);
	if (burst) {
		lazy_set(w, true);
		rounds_on(w);
	}
}

static void round_cb(struct io_timer *t)
{
	struct worker *w = t->arg;
	uint64_t now = io_clock_mono_ms();
	bool lazy = w->notify_lazy && !w->notify_paused, wait;

	if (lazy && take(w, ROUND_BURST, false) > 0)
		w->notify_ms = now;
	else if (lazy && now >= w->notify_ms + FA_SCAN_QUIET_MS)
		lazy_set(w, false);
	wait = fa_scan_written_go(w->pub.scan, now);
	fa_writes_resume(w);
	if (!wait && !w->notify_lazy) {
		w->writes_on = false;
		io_timer_stop(w->pub.loop, t);
	}
}

void fa_writes_resume(struct worker *w)
{
	if (!w->notify_paused || w->stopping || !fa_scan_takes_many(w->pub.scan))
		return;
	w->notify_paused = false;
	w->notify_lazy = true; /* some may have been read, and not taken */
	rounds_on(w);
}

void fa_writes_start(struct worker *w)
{
	io_fd_start(w->pub.loop, &w->notify, w->groups.notify, IO_READ, notify_cb, w);
}

void fa_writes_stop(struct worker *w)
{
	io_fd_stop(w->pub.loop, &w->notify);
	w->notify_lazy = false;
}
