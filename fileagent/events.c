/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * events.c - from the kernel's event to an answer, or to the core
 *
 * Runs in the worker, on the path of every open that no ignore mark keeps away. The slot in the
 * table of held events is claimed before anything else: from then on the supervisor can answer.
 * Then the cheapest question first: own process, nothing in it, known, not watched; only then
 * scan.c. Invariant: an event's descriptor is closed only when its slot is ANSWERED.
 */
#include "fileagent/worker_int.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define PERM_TRY 8    /* rounds of one event until it is looked whether there are more */
#define PERM_BURST 16 /* events a round: what they lead to is sent at its end */
#define FIM_BURST 64
#define MOUNTINFO "/proc/self/mountinfo"
#define MOUNTS_MS 1000 /* how often it is read at most */

static uint64_t ns_of(const struct statx_timestamp *t)
{
	return (uint64_t)t->tv_sec * 1000000000u + t->tv_nsec;
}

int fa_events_stat(int fd, struct fa_ident *ret, uint32_t *ret_mode, uint64_t *ret_mnt)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC,
		    STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID, &st) < 0)
		return -errno;
	*ret = (struct fa_ident){ .dev = makedev(st.stx_dev_major, st.stx_dev_minor),
		.ino = st.stx_ino,
		.size = st.stx_size,
		.mtime_ns = ns_of(&st.stx_mtime),
		.ctime_ns = ns_of(&st.stx_ctime),
		.btime_ns = st.stx_mask & STATX_BTIME ? ns_of(&st.stx_btime) : 0 };
	*ret_mode = st.stx_mode;
	if (ret_mnt)
		*ret_mnt = st.stx_mask & STATX_MNT_ID ? st.stx_mnt_id : 0;
	return 0;
}

void fa_events_path(const struct worker *w, int fd, char *buf, size_t size)
{
	char name[16], *at = name + sizeof(name) - 1;
	ssize_t n;

	*at = '\0'; /* for each open: not by printf */
	do
		*--at = (char)('0' + fd % 10);
	while ((fd /= 10) > 0);
	n = readlinkat(w->proc_fd, at, buf, size - 1);
	buf[n > 0 ? n : 0] = '\0';
}

/* ---- mounts ---- */

static void mounts_read(struct worker *w, uint64_t now)
{
	struct fa_mounts m;

	w->mounts_ms = now;
	if (fa_mounts_read(MOUNTINFO, &m) < 0)
		return;
	fa_mounts_fini(&w->mounts);
	w->mounts = m;
}

/* an unknown mount may be a new one of ours: the kernel says when there are other ones */
static void mounts_look(struct worker *w, uint64_t mnt, uint64_t now)
{
	struct pollfd p = { .fd = w->mounts_fd, .events = POLLPRI };

	if (mnt == 0 || fa_mounts_by_id(&w->mounts, mnt))
		return;
	if (now >= w->mounts_ms + MOUNTS_MS && w->mounts_fd >= 0 && poll(&p, 1, 0) > 0)
		mounts_read(w, now);
}

/* ---- answering ---- */

void fa_events_answer(struct worker *w, const struct fa_held *h, int err)
{
	const struct fa_slot *slot = &w->held->slot[h->slot];

	w->answer_late = !fa_inflight_win(w->held, h->slot);
	if (!w->answer_late) {
		/* -ENOENT: the opener was killed */
		(void)!fan_answer(w->groups.perm, h->fd, err,
			(w->groups.start_bits & FA_START_ERRNO_OK) != 0);
		fa_inflight_answered(w->held, h->slot);
		return;
	}
	fa_debug("slot %u of pid %u was answered by the supervisor (%s)", h->slot, h->pid,
		slot->strict ? "denied" : "let through");
}

static void release_now(struct worker *w, const struct fa_held *h)
{
	if (!fa_worker_mark_takes(w, h->fd))
		close(h->fd);
	if (h->pidfd >= 0)
		close(h->pidfd);
	if (h->slot == FA_NO_SLOT)
		return;
	fa_worker_overdue(w, h->slot);
	fa_inflight_release(w->held, h->slot);
	w->held_n--;
	if (w->perm_paused && w->held_n < w->conf.held_max && !w->stopping) {
		w->perm_paused = false;
		io_fd_set(w->pub.loop, &w->perm, IO_READ);
	}
}

void fa_events_release(struct worker *w, const struct fa_held *h)
{
	if (h->slot != FA_NO_SLOT && !fa_inflight_is_answered(w->held, h->slot))
		w->late[w->late_n++] = *h; /* the supervisor is between its win and its write */
	else
		release_now(w, h);
}

void fa_events_late(struct worker *w)
{
	for (size_t i = 0; i < w->late_n;) {
		struct fa_held h = w->late[i];

		if (!fa_inflight_is_answered(w->held, h.slot)) {
			i++;
			continue;
		}
		w->late[i] = w->late[--w->late_n];
		release_now(w, &h);
	}
}

static void answer_now(struct worker *w, const struct fa_held *h, int err)
{
	fa_events_answer(w, h, err);
	fa_events_release(w, h);
}

/* ---- who is asking ---- */

bool fa_events_own(const struct worker *w, pid_t pid)
{
	return pid == w->self || (pid == w->supervisor && pid != 0);
}

bool fa_events_uid_out(const struct worker *w, pid_t pid)
{
	char path[32];
	struct stat st;

	if (!fa_filter_needs_uid(w->filter))
		return false;
	(void)snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	return stat(path, &st) == 0 && !fa_filter_uid(w->filter, st.st_uid);
}

bool fa_events_watched(
	struct worker *w, int fd, uint64_t mnt, uint64_t now, uint32_t what, struct fa_policy *ret)
{
	fa_events_path(w, fd, w->path, sizeof(w->path));
	w->path_fd = fd;
	mounts_look(w, mnt, now);
	return fa_filter_file(w->filter, &w->mounts, mnt, w->path, strlen(w->path), ret) ==
		       FA_WATCHED &&
	       (ret->events & what) != 0;
}

/* ---- a program may be excluded: only the supervisor can say which one it is ---- */

struct program_wait {
	struct worker *w;
	struct fa_held h;
	struct fa_ident id;
	uint32_t mode;
};

static void scan_it(
	struct worker *w, const struct fa_held *h, const struct fa_ident *id, uint32_t mode)
{
	fa_scan_open(w->pub.scan, io_clock_mono_ms(), h, id, mode);
	fa_worker_tick_on(w);
}

static void program_cb(void *arg, const struct fa_rec *rec, int fd)
{
	struct program_wait *p = arg;
	struct worker *w = p->w;
	char exe[FA_REC_PATH_MAX + 1];
	bool known = rec->err == 0 && rec->path_len > 0;

	if (fd >= 0)
		close(fd);
	memcpy(exe, rec->path, known ? rec->path_len : 0);
	exe[known ? rec->path_len : 0] = '\0';
	if (known && !fa_filter_program(w->filter, exe, rec->value == 1)) {
		w->count.excluded++;
		answer_now(w, &p->h, 0);
	} else {
		scan_it(w, &p->h, &p->id, p->mode);
	}
	free(p);
}

static bool program_ask(
	struct worker *w, const struct fa_held *h, const struct fa_ident *id, uint32_t mode)
{
	struct program_wait *p = malloc(sizeof(*p));
	int err;

	if (!p)
		return false;
	*p = (struct program_wait){ .w = w, .h = *h, .id = *id, .mode = mode };
	w->rec.op = FA_OP_WHO;
	w->rec.pid = h->pid;
	err = fa_super_request(w->pub.super, &w->rec, NULL, 0, program_cb, p);
	w->rec.pid = 0;
	if (err < 0)
		free(p);
	return err == 0;
}

/* ---- an opener is held ---- */

static void slot_policy(
	struct worker *w, const struct fa_held *h, const struct fa_ident *id, uint64_t now)
{
	struct fa_slot *slot = &w->held->slot[h->slot];

	slot->strict = h->strict;
	slot->deadline_ms = now + fa_scan_allowance_ms(w->pub.scan, id->size);
	fa_inflight_note(
		w->held, h->slot, &(struct fa_note){ id, w->path, h->pid, (uint32_t)h->op, now });
}

/* known, empty, not watched: true, answered. Else @h and the rest are filled for the core */
static bool perm_cheap(struct worker *w, struct fa_held *h, uint32_t what, uint64_t now,
	struct fa_ident *id, uint32_t *mode)
{
	struct fa_policy policy;
	uint64_t mnt;

	if (fa_events_stat(h->fd, id, mode, &mnt) < 0 || !S_ISREG(*mode)) {
		w->count.excluded++; /* a device, a pipe, a directory: nothing to look at */
		answer_now(w, h, 0);
		return true;
	}
	if (id->size == 0) {
		w->count.answered_empty++;
		answer_now(w, h, 0);
		return true;
	}
	if (fa_table_find(w->table, id) == FA_KNOWN_ALLOW) {
		w->count.answered_cache++;
		fa_events_answer(w, h, 0);
		fa_worker_scan_ops.mark(w, h->fd, id); /* there is none, or none any more */
		fa_events_release(w, h);
		return true;
	}
	if (!fa_scan_wants(w->pub.scan, h->op) || fa_events_uid_out(w, (pid_t)h->pid) ||
		!fa_events_watched(w, h->fd, mnt, now, what, &policy)) {
		w->count.excluded++;
		answer_now(w, h, 0);
		return true;
	}
	h->strict = (policy.strict & what) != 0;
	h->block_errno = policy.block_errno;
	return false;
}

/* true: it is answered, so its process may ask for the next file right away */
static bool perm_event(struct worker *w, const struct fan_event *ev, uint32_t slot, uint64_t now)
{
	uint32_t what = ev->what & FAN_EV_EXEC ? FAN_EV_EXEC : FAN_EV_OPEN;
	struct fa_held h = { .fd = ev->fd,
		.slot = slot,
		.pid = (uint32_t)ev->pid,
		.pidfd = ev->pidfd,
		.op = what == FAN_EV_EXEC ? IDFW__FILE_OP__FILE_OP_EXEC
					  : IDFW__FILE_OP__FILE_OP_OPEN };
	struct fa_ident id;
	uint32_t mode;

	w->held_n++;
	if (w->held_n > w->count.held_max)
		w->count.held_max = w->held_n;
	++*(what == FAN_EV_EXEC ? &w->count.events_exec : &w->count.events_open);
	if (fa_events_own(w, ev->pid)) {
		w->count.events_own++;
		answer_now(w, &h, 0);
		return true;
	}
	fa_scan_stir(w->pub.scan, now);
	if (perm_cheap(w, &h, what, now, &id, &mode))
		return true;
	slot_policy(w, &h, &id, now);
	if (!fa_filter_needs_program(w->filter) || !program_ask(w, &h, &id, mode))
		scan_it(w, &h, &id, mode);
	return false;
}

/* no slot: cannot be, as held_n is bounded below the table's size; still nobody is to hang */
static void perm_no_slot(struct worker *w, const struct fan_event *ev)
{
	(void)!fan_answer(w->groups.perm, ev->fd, w->any_strict ? EBUSY : 0,
		(w->groups.start_bits & FA_START_ERRNO_OK) != 0);
	++*(w->any_strict ? &w->count.denied_table_full : &w->count.passed_table_full);
	close(ev->fd);
	if (ev->pidfd >= 0)
		close(ev->pidfd);
}

/*
 * One waits: EAGAIN is not the queue's then but the file's, which somebody has a write lease on.
 * False: what this one leads to comes first: the loop comes back for the next
 */
static bool perm_one(struct worker *w)
{
	struct fan_event ev;
	uint64_t now = io_clock_mono_ms();
	uint32_t slot = 0;
	int err, claim = 0;

	worker_beat(w, now);
	if (w->held_n >= w->conf.held_max) {
		w->perm_paused = true;
		io_fd_set(w->pub.loop, &w->perm, 0);
		return false;
	}
	atomic_store_explicit(&w->held->reading, 1, memory_order_release);
	err = fan_next(w->groups.perm, FAN_PERM_GROUP, &ev);
	if (err == 0 && ev.fd >= 0)
		claim = fa_inflight_claim(w->held, ev.fd, (uint32_t)ev.pid,
			now + w->conf.deadline_base_ms, w->any_strict, &slot);
	atomic_store_explicit(&w->held->reading, 0, memory_order_release);
	if (err <
		0) { /* the kernel has denied that opener, for want of a descriptor or by a lease */
		w->count.events_lost++;
		fa_info("an event could not be read: %s", gi_strerror(err));
	} else if (ev.fd >= 0 && claim < 0) {
		perm_no_slot(w, &ev);
	} else if (ev.fd >= 0) {
		bool answered = perm_event(w, &ev, slot, now);

		w->path_fd = -1;
		return answered;
	}
	return err != -EMFILE && err != -ENFILE;
}

static bool one_waits(const struct worker *w)
{
	struct pollfd p = { .fd = w->groups.perm, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

/* one waits at least */
static void perm_round(struct worker *w)
{
	/* a lone opener asks for nothing more before his answer: the second look is in vain */
	int i, most = w->perm_many || ++w->perm_rounds % PERM_TRY == 0 ? PERM_BURST : 1;

	for (i = 0; i < most && (i == 0 || one_waits(w)) && perm_one(w); i++)
		;
	w->perm_many = i > 1;
}

static void perm_cb(struct io_fd *f, unsigned int events)
{
	struct worker *w = f->arg;
	bool stale = w->perm_ahead; /* the loop saw him before others were handled: perhaps him */

	(void)events;
	w->perm_ahead = false;
	if (!stale || one_waits(w))
		perm_round(w);
}

void fa_events_openers(struct worker *w)
{
	if (w->perm_paused || w->stopping || !one_waits(w))
		return;
	w->perm_ahead = true;
	perm_round(w);
}

/* ---- start and stop ---- */

void fa_events_conf(struct worker *w)
{
	w->any_strict = false;
	for (size_t i = 0; i < w->conf.watches.n; i++) {
		const struct fa_watch_conf *c = fa_conf_watch(&w->conf, i);
		const char *bad;
		uint32_t strict = 0;

		if (fa_conf_strict(&w->conf.on_failure, 0, &strict, &bad) < 0 ||
			fa_conf_strict(&c->on_failure, strict, &strict, &bad) < 0 ||
			(strict & (FAN_EV_OPEN | FAN_EV_EXEC)))
			w->any_strict = true;
	}
}

/* ---- file integrity ---- */

static void fim_cb(struct io_fd *f, unsigned int events)
{
	struct worker *w = f->arg;

	(void)events;
	for (int i = 0; i < FIM_BURST; i++) {
		struct fan_event ev;
		int err = fan_next(w->groups.fim, FAN_FIM_GROUP, &ev);

		if (err == -EAGAIN)
			return;
		if (err < 0) { /* that one is lost: a walk finds what it was about */
			w->count.events_lost++;
			ev = (struct fan_event){ .what = FAN_EV_OVERFLOW, .fd = -1, .pidfd = -1 };
		}
		if (w->pub.fim)
			fa_fim_event(w->pub.fim, &ev);
		if (ev.pidfd >= 0)
			close(ev.pidfd);
		if (err < 0)
			return;
	}
}

void fa_events_start(struct worker *w)
{
	fa_worker_unseen(w);
	/* that bit says 6.13, and since then ext4's, xfs's, btrfs's and tmpfs's are */
	fa_scan_fine_times(w->pub.scan, (w->groups.start_bits & FA_START_FD_ERRORS) != 0);
	w->mounts_fd = open(MOUNTINFO, O_RDONLY | O_CLOEXEC);
	w->proc_fd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	mounts_read(w, io_clock_mono_ms());
	io_fd_start(w->pub.loop, &w->perm, w->groups.perm, IO_READ, perm_cb, w);
	fa_writes_start(w);
	io_fd_start(w->pub.loop, &w->fim, w->groups.fim, IO_READ, fim_cb, w);
}

void fa_events_stop(struct worker *w)
{
	w->stopping = true;
	if (!w->started)
		return;
	io_fd_stop(w->pub.loop, &w->perm);
	fa_writes_stop(w);
	io_fd_stop(w->pub.loop, &w->fim);
}
