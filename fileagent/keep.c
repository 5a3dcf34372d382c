/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * keep.c - the supervisor keeps a worker: start, heartbeat, deadlines, death, start again
 *
 * Invariants: nobody waits beyond deadline + GRACE_MS because a worker is slow, nor beyond
 * STALE_TICKS because it stands still (it is killed then, and what it held is answered); a number
 * is answered by one process at a time: the supervisor reads events itself only when no worker
 * lives and everything that the last one held is answered. The worker's table is not trusted: when
 * it ended, each number it can have had is answered.
 */
#include "fileagent/super.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <unistd.h>
#include "fileagent/act.h"
#include "fileagent/fan.h"
#include "fileagent/handover.h"
#include "fileagent/mounts.h"
#include "lib/base/log.h"
#include "lib/wire/wire.h"

#define TICK_MS 100
#define GRACE_MS 300	   /* behind the worker's own deadline */
#define STALE_TICKS 20	   /* without a heartbeat: 2 s */
#define STARTUP_TICKS 50   /* until the first one: 5 s */
#define STEADY_MS 1000	   /* who lived as long did not fail at once */
#define FAILURES_AT_ONCE 3 /* in a row; then the supervisor answers in the pauses */
#define BACKOFF_MAX_MS 2000
#define SOCK_BYTES (4 << 20) /* of replies that the worker has not read yet */
#define RECS_A_ROUND 64
#define DRAIN_A_ROUND 256

static void keep_exited(struct fa_sup *s, const char *how);

/* ---- answers ---- */

static void count(_Atomic uint32_t *allowed, _Atomic uint32_t *denied, bool strict)
{
	atomic_fetch_add(strict ? denied : allowed, 1);
}

static int answer(struct fa_sup *s, int fd, bool strict)
{
	return fan_answer(s->groups.perm, fd, strict ? EBUSY : 0, s->errno_ok);
}

static bool any_strict(const struct fa_sup *s)
{
	struct fa_policy p;

	/* what a mount that is not ours gets is the strictest of all */
	return fa_filter_path(s->filter, "", 0, true, &p) == FA_WATCHED && p.strict;
}

/* an event that the supervisor read itself: the fail policy of its path; @path: "" if not known */
static bool event_strict(
	const struct fa_sup *s, const struct fan_event *ev, bool *ret_watched, char path[PATH_MAX])
{
	char link[40];
	struct fa_mounts mounts;
	struct fa_policy p;
	struct statx stx;
	ssize_t n;

	path[0] = '\0';
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", ev->fd);
	n = readlink(link, path, PATH_MAX - 1);
	path[n > 0 ? n : 0] = '\0';
	*ret_watched = false;
	if (n <= 0 || statx(ev->fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &stx) < 0 ||
		fa_mounts_read("/proc/self/mountinfo", &mounts) < 0)
		return any_strict(s);
	*ret_watched = fa_filter_file(s->filter, &mounts, stx.stx_mnt_id, path, (size_t)n, &p) ==
		       FA_WATCHED;
	fa_mounts_fini(&mounts);
	return *ret_watched && (p.strict & ev->what);
}

/* the next worker is to tell of it, and to look */
static void note_passed(struct fa_sup *s, const struct fa_note *n, bool strict)
{
	uint32_t slot = fa_inflight_spare(s->table, s->keep.drained);

	s->keep.drained = slot + 1;
	fa_inflight_note(s->table, slot, n);
	fa_inflight_passed(s->table, slot, strict);
}

static void drain_passed(
	struct fa_sup *s, const struct fan_event *ev, const char *path, bool strict)
{
	struct fa_ident id;

	if (fa_ident_of(ev->fd, &id) < 0 || id.size == 0)
		return;
	note_passed(s,
		&(struct fa_note){ .id = &id,
			.path = path,
			.pid = (uint32_t)ev->pid,
			.op = ev->what & FAN_EV_EXEC ? IDFW__FILE_OP__FILE_OP_EXEC
						     : IDFW__FILE_OP__FILE_OP_OPEN,
			.now_ms = io_clock_mono_ms() },
		strict);
}

static void drain_one(struct fa_sup *s, const struct fan_event *ev)
{
	char path[PATH_MAX];
	bool watched = false;

	if (ev->fd >= 0) {
		bool strict = ev->pid != getpid() && event_strict(s, ev, &watched, path);

		if (answer(s, ev->fd, strict) == 0)
			count(&s->table->ended, &s->table->ended_denied, strict);
		if (watched)
			drain_passed(s, ev, path, strict);
		(void)close(ev->fd);
	}
	if (ev->pidfd >= 0)
		(void)close(ev->pidfd);
}

static void drain_some(struct fa_sup *s)
{
	struct fan_event ev;

	for (int i = 0; i < DRAIN_A_ROUND; i++) {
		int err = fan_next(s->groups.perm, FAN_PERM_GROUP, &ev);

		if (err == -EAGAIN)
			break;
		if (err == 0) /* else the kernel has denied that one */
			drain_one(s, &ev);
	}
}

/* at the end: everybody, also those that nobody has read yet */
void fa_keep_drain(struct fa_sup *s)
{
	struct fan_event ev;

	for (;;) {
		int err = fan_next(s->groups.perm, FAN_PERM_GROUP, &ev);

		if (err == 0)
			drain_one(s, &ev);
		else if (err == -EAGAIN || err == -EBADF || err == -EPROTO)
			return;
	}
}

static void drain_cb(struct io_fd *w, unsigned int events)
{
	(void)events;
	drain_some(w->arg);
}

static void drain_set(struct fa_sup *s, bool on)
{
	if (on == s->keep.draining)
		return;
	s->keep.draining = on;
	if (on)
		io_fd_start(s->loop, &s->keep.drain, s->groups.perm, IO_READ, drain_cb, s);
	else
		io_fd_stop(s->loop, &s->keep.drain);
}

void fa_keep_settle(struct fa_sup *s)
{
	static const struct fa_ident unknown;
	bool strict = any_strict(s);
	uint32_t iter = 0, n = 0;
	int fd;

	while (fa_inflight_orphan(s->table, &iter, &fd, &strict)) {
		if (answer(s, fd, strict) == 0) {
			count(&s->table->ended, &s->table->ended_denied, strict);
			fa_inflight_passed(s->table, iter - 1, strict);
			n++;
		}
	}
	/* what it had read and not yet written down, or did not want to */
	strict = any_strict(s);
	for (fd = 0; fd < FA_WORKER_FDS; fd++) {
		if (answer(s, fd, strict) == 0) {
			count(&s->table->ended, &s->table->ended_denied, strict);
			note_passed(s, &(struct fa_note){ .id = &unknown, .path = "" }, strict);
			n++;
		}
	}
	atomic_store(&s->table->reading, 0);
	if (n)
		gi_notice("%u openers that it held were answered by on-failure", n);
}

/* ---- the worker's socket ---- */

static void sock_read(struct fa_sup *s, int rounds)
{
	static struct fa_rec r; /* 5 KiB */
	int fds[FA_REC_FDS_MAX], err = 0;
	size_t n;

	for (int i = 0; i < rounds && s->keep.sock >= 0; i++) {
		err = fa_rec_recv(s->keep.sock, FA_WORKER, &r, fds, &n);
		if (err < 0)
			break;
		fa_ops_handle(s, &r, fds, n);
	}
	if (err == 0 || err == -EAGAIN)
		return;
	io_fd_stop(s->loop, &s->keep.sock_watch);
	if (err != -GI_ECLOSED && err != -ECONNRESET)
		gi_err("the worker sent what it may not: %s", gi_strerror(err));
	fa_keep_kill(s); /* without its socket it is of no use; mostly it is dead already */
}

static void sock_cb(struct io_fd *w, unsigned int events)
{
	(void)events;
	sock_read(w->arg, RECS_A_ROUND);
}

static void sock_set(struct fa_sup *s, int sock)
{
	const int size = SOCK_BYTES;

	(void)setsockopt(sock, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	s->keep.sock = sock;
	io_fd_start(s->loop, &s->keep.sock_watch, sock, IO_READ, sock_cb, s);
}

static void sock_drop(struct fa_sup *s)
{
	if (s->keep.sock < 0)
		return;
	io_fd_stop(s->loop, &s->keep.sock_watch);
	(void)close(s->keep.sock);
	s->keep.sock = -1;
}

void fa_keep_send_start(struct fa_sup *s)
{
	const int fds[] = { s->groups.perm, s->groups.notify, s->table_fd, s->groups.fim };
	struct fa_rec *r = calloc(1, sizeof(*r));
	int err = -ENOMEM;

	if (r) {
		r->op = FA_OP_START;
		r->value = (s->errno_ok ? FA_START_ERRNO_OK : 0) |
			   (s->fd_errors ? FA_START_FD_ERRORS : 0);
		r->pid = (uint32_t)getpid();
		err = fa_rec_send(s->keep.sock, r, fds, GI_ARRAY_SIZE(fds));
	}
	if (err == 0) {
		r->op = FA_OP_LISTEN;
		err = fa_rec_send(s->keep.sock, r, &s->listen_fd, 1);
	}
	free(r);
	if (err < 0) {
		gi_err("the worker does not take its start: %s", gi_strerror(err));
		fa_keep_kill(s);
	}
}

/* ---- life and death ---- */

static void child_exited(struct io_child *c, int status)
{
	char how[64];

	if (WIFSIGNALED(status))
		(void)snprintf(how, sizeof(how), "was killed by signal %d", WTERMSIG(status));
	else
		(void)snprintf(how, sizeof(how), "ended with code %d", WEXITSTATUS(status));
	keep_exited(c->arg, how);
}

static void adopted_exited(struct io_fd *w, unsigned int events)
{
	struct fa_sup *s = w->arg;

	(void)events;
	io_fd_stop(s->loop, &s->keep.pid_watch);
	(void)close(s->keep.pidfd);
	s->keep.pidfd = -1;
	keep_exited(s, "ended");
}

static void again_cb(struct io_timer *t)
{
	fa_keep_start(t->arg);
}

static void keep_exited(struct fa_sup *s, const char *how)
{
	struct fa_keep *k = &s->keep;
	bool steady = k->renew || io_clock_mono_ms() - k->started_ms > STEADY_MS;
	uint32_t ms = 0;

	sock_read(s, INT_MAX); /* what it still asked for */
	sock_drop(s);
	k->pid = 0;
	fa_keep_settle(s);
	(void)!fa_handover_note(s->lock_fd, 0);
	if (s->ending) {
		fa_sup_ended(s);
		return;
	}
	k->failures = steady ? 1 : k->failures + 1;
	if (k->failures <=
		FAILURES_AT_ONCE) { /* at once: who is held meanwhile waits in the kernel's queue */
		io_backoff_init(&k->backoff, BACKOFF_MAX_MS);
	} else {
		ms = io_backoff_next(&k->backoff);
		drain_set(s, true);
	}
	if (k->renew)
		gi_notice("the worker %s, as it was told to", how);
	else
		gi_warn("the worker %s; started again in %u ms", how, ms);
	if (ms == 0)
		fa_keep_start(s);
	else
		io_timer_start(s->loop, &k->again, ms, 0, again_cb, s);
}

static void keep_begin(struct fa_sup *s, pid_t pid, int sock)
{
	struct fa_keep *k = &s->keep;

	drain_set(s, false);
	k->pid = pid;
	k->same_beats = 0;
	k->renew = false;
	k->started_ms = io_clock_mono_ms();
	sock_set(s, sock);
	atomic_store(&s->table->worker_pid, (uint64_t)pid);
	if (fa_handover_note(s->lock_fd, pid) < 0)
		gi_warn("the lock file cannot be written");
}

void fa_keep_start(struct fa_sup *s)
{
	static char worker[] = "--worker", config[] = "-c", debug[] = "-d";
	struct fa_keep *k = &s->keep;
	char *argv[] = { s->argv0, worker, config, s->conf_path, s->debug ? debug : NULL, NULL };
	int sock, err = io_child_start(s->loop, &k->child, argv, SOCK_SEQPACKET, child_exited, s);

	if (err < 0) {
		gi_err("the worker cannot be started: %s", gi_strerror(err));
		drain_set(s, true);
		io_timer_start(s->loop, &k->again, io_backoff_next(&k->backoff), 0, again_cb, s);
		return;
	}
	sock = k->child.fd;
	k->child.fd = -1;
	k->beaten = false;
	k->last_beat = atomic_load(&s->table->beat_ms);
	atomic_fetch_add(&s->table->starts, 1);
	keep_begin(s, k->child.pid, sock);
	fa_keep_send_start(s);
}

void fa_keep_adopt(struct fa_sup *s, int sock, int pidfd, pid_t pid, bool same_version)
{
	struct fa_keep *k = &s->keep;
	struct fa_rec *r;

	k->pidfd = pidfd;
	k->beaten = true;
	k->last_beat = atomic_load(&s->table->beat_ms);
	keep_begin(s, pid, sock);
	io_fd_start(s->loop, &k->pid_watch, pidfd, IO_READ, adopted_exited, s);
	fa_keep_send_start(s);
	fa_sup_send_conf(s);
	r = same_version ? NULL : calloc(1, sizeof(*r));
	if (r) {
		gi_notice("the worker is of another version: it ends when nobody waits for it");
		r->op = FA_OP_STOP;
		r->value = 1;
		k->renew = fa_rec_send(sock, r, NULL, 0) == 0;
		free(r);
	}
}

void fa_keep_kill(struct fa_sup *s)
{
	if (s->keep.child.pid > 0)
		io_child_kill(&s->keep.child);
	else if (s->keep.pidfd >= 0)
		(void)syscall(SYS_pidfd_send_signal, s->keep.pidfd, SIGKILL, NULL, 0);
}

/* ---- time ---- */

static void answer_due(struct fa_sup *s)
{
	uint64_t now = io_clock_mono_ms(), next;
	uint32_t iter = 0, slot, n = 0;
	bool strict;
	int fd;

	while (fa_inflight_due(
		s->table, now > GRACE_MS ? now - GRACE_MS : 0, &iter, &slot, &fd, &strict, &next)) {
		int err = answer(s, fd, strict);

		if (err == 0) {
			count(&s->table->overdue, &s->table->overdue_denied, strict);
			fa_inflight_passed(s->table, slot, strict);
			n++;
		}
		fa_inflight_answered(s->table, slot);
	}
	if (n)
		gi_warn("%u openers were answered at their deadline, by on-failure", n);
}

static void check_beat(struct fa_sup *s)
{
	struct fa_keep *k = &s->keep;
	uint64_t beat = atomic_load(&s->table->beat_ms);

	if (beat != k->last_beat) {
		k->last_beat = beat;
		k->beaten = true;
		k->same_beats = 0;
		return;
	}
	/* in ticks of ours, not in time: when the whole machine stood still, so did we */
	if (++k->same_beats != (k->beaten ? STALE_TICKS : STARTUP_TICKS))
		return;
	gi_err("the worker does not move: killed");
	fa_keep_kill(s);
}

static void tick_cb(struct io_timer *t)
{
	struct fa_sup *s = t->arg;

	answer_due(s);
	if (s->keep.pid > 0)
		check_beat(s);
}

void fa_keep_init(struct fa_sup *s)
{
	s->keep.sock = s->keep.pidfd = -1;
	io_backoff_init(&s->keep.backoff, BACKOFF_MAX_MS);
	io_timer_start(s->loop, &s->keep.tick, TICK_MS, TICK_MS, tick_cb, s);
}

void fa_keep_fini(struct fa_sup *s)
{
	drain_set(s, false);
	io_timer_stop(s->loop, &s->keep.tick);
	io_timer_stop(s->loop, &s->keep.again);
	sock_drop(s);
	if (s->keep.pidfd >= 0) {
		io_fd_stop(s->loop, &s->keep.pid_watch);
		(void)close(s->keep.pidfd);
		s->keep.pidfd = -1;
	}
}
