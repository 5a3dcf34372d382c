/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fa_worker.c - a small worker for tests of the supervisor: real fanotify, no scan service
 *
 * Linked with main.c in place of worker.c. What it does with a held opener is said by the first
 * bytes of the file: see "words". Everything else is let through. Keeps the rules of inflight.h.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fileagent/act.h"
#include "fileagent/fan.h"
#include "fileagent/filter.h"
#include "fileagent/handover.h"
#include "fileagent/inflight.h"
#include "fileagent/super.h"
#include "fileagent/worker.h"
#include "lib/io/loop.h"
#include "lib/io/priv.h"

#define BEAT_MS 100

enum word { ALLOW, DENY, HANG, CRASH, LOST, MARK, DELETE, QUARANTINE, REPLACE, STALE, SLOW };

static const struct {
	const char *text;
	enum word word;
} words[] = {
	{ "VIRUS", DENY }, { "HANG", HANG }, /* held, never answered */
	{ "CRASH", CRASH },		     /* held, then this process ends */
	{ "LOST", LOST }, /* this process ends before it has written the number down */
	{ "MARK", MARK }, /* let through, and not asked for again */
	{ "DELETE", DELETE }, { "QUARANTINE", QUARANTINE }, { "REPLACE", REPLACE },
	{ "STALE", STALE }, /* asks for a delete of what the file was not */
	{ "SLOW", SLOW },   /* let through after 300 ms */
};

static struct {
	int sock, perm, notify, fim, listen;
	uint32_t supervisor, start_bits;
	struct fa_inflight *table;
	struct fa_filter *filter;
	struct fa_conf conf;
	struct fa_handover give;
	int slow_fd; /* held for a while */
	uint32_t slow_slot;
	uint64_t slow_until;
	bool stopping;
} w = { .slow_fd = -1, .listen = -1 };

static struct fa_rec rec;

static void read_perm(void);

static void say(const char *what, int fd)
{
	char link[40], path[512];
	ssize_t n;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	dprintf(2, "worker: %s %s\n", what, path);
}

static enum word word_of(int fd)
{
	char buf[32] = "";

	if (pread(fd, buf, sizeof(buf) - 1, 0) < 0)
		return ALLOW;
	for (size_t i = 0; i < GI_ARRAY_SIZE(words); i++)
		if (strncmp(buf, words[i].text, strlen(words[i].text)) == 0)
			return words[i].word;
	return ALLOW;
}

/* asks and waits for the reply; *ret_fd -1 without one */
static int ask(uint32_t op, int fd, int fd2, const struct fa_ident *ident, int *ret_fd)
{
	static uint64_t id;
	const uint64_t wanted = ++id;
	int fds[FA_REC_FDS_MAX] = { fd, fd2 }, err;
	struct pollfd p[2] = { { .fd = w.sock, .events = POLLIN },
		{ .fd = w.perm, .events = POLLIN } };
	size_t n = 0;

	memset(&rec, 0, sizeof(rec));
	rec.op = op;
	rec.id = wanted;
	rec.ident = *ident;
	if (op == FA_OP_QUARANTINE) {
		char link[40];
		ssize_t len;

		(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		len = readlink(link, rec.path, FA_REC_PATH_MAX);
		rec.path_len = len > 0 ? (uint32_t)len : 0;
		(void)snprintf(rec.meta.signature, sizeof(rec.meta.signature), "Test-Word");
	}
	err = fa_rec_send(w.sock, &rec, fds, fd2 >= 0 ? 2 : fd >= 0 ? 1 : 0);
	*ret_fd = -1;
	while (err == 0) {
		(void)poll(p, 2, BEAT_MS);
		atomic_store(&w.table->beat_ms, io_clock_mono_ms());
		if (p[1].revents)
			read_perm(); /* the supervisor may have to open something for us */
		err = fa_rec_recv(w.sock, FA_SUPERVISOR, &rec, fds, &n);
		if (err == 0 && rec.op == FA_OP_REPLY && rec.id == wanted)
			break;
		if (err == -EAGAIN)
			err = 0;
	}
	if (err == 0 && n)
		*ret_fd = fds[0];
	return err ? err : rec.err;
}

static void answer(int fd, uint32_t slot, int err)
{
	if (fa_inflight_win(w.table, slot)) {
		(void)!fan_answer(w.perm, fd, err, w.start_bits & FA_START_ERRNO_OK);
		fa_inflight_answered(w.table, slot);
	}
	(void)close(fd);
	fa_inflight_release(w.table, slot);
}

static void act(enum word word, int fd, uint32_t slot)
{
	struct fa_ident ident = { 0 };
	int tmp = -1, none = -1, err = fa_ident_of(fd, &ident);

	if (word == REPLACE) {
		err = ask(FA_OP_TMP, fd, -1, &ident, &tmp);
		if (err == 0 && write(tmp, "clean now\n", 10) == 10)
			err = ask(FA_OP_REPLACE, fd, tmp, &ident, &none);
	} else if (word == MARK) {
		err = ask(FA_OP_MARK, fd, -1, &ident, &none);
	} else {
		if (word == STALE)
			ident.size++;
		err = ask(word == QUARANTINE ? FA_OP_QUARANTINE : FA_OP_DELETE, fd, -1, &ident,
			&none);
	}
	dprintf(2, "worker: reply %d %s\n", err, rec.text);
	if (tmp >= 0)
		(void)close(tmp);
	answer(fd, slot, word == MARK ? 0 : EPERM);
}

static void handle(const struct fan_event *ev)
{
	char link[40], path[512];
	struct fa_policy p = { .watch = NULL };
	struct fa_mounts mounts = { 0 };
	struct statx stx;
	enum fa_filtered f;
	enum word word;
	uint32_t slot;
	ssize_t n;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", ev->fd);
	n = readlink(link, path, sizeof(path));
	f = FA_OUTSIDE;
	if (fa_mounts_read("/proc/self/mountinfo", &mounts) == 0 &&
		statx(ev->fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &stx) == 0)
		f = fa_filter_file(
			w.filter, &mounts, stx.stx_mnt_id, path, n > 0 ? (size_t)n : 0, &p);
	fa_mounts_fini(&mounts);
	word = (uint32_t)ev->pid == w.supervisor || f != FA_WATCHED ? ALLOW : word_of(ev->fd);
	if (word == LOST)
		abort(); /* reading is still 1 */
	if (fa_inflight_claim(w.table, ev->fd, (uint32_t)ev->pid,
		    io_clock_mono_ms() + fa_conf_deadline_ms(&w.conf, 0),
		    (p.strict & ev->what) != 0, &slot) < 0)
		abort();
	atomic_store(&w.table->reading, 0);
	if (f == FA_WATCHED)
		say((uint32_t)ev->pid == w.supervisor ? "own" : "open", ev->fd);
	if (word == CRASH)
		abort();
	if (word == HANG)
		return; /* the table's slot is lost until the end; so it is with a bug */
	if (word == SLOW && w.slow_fd < 0) {
		w.slow_fd = ev->fd;
		w.slow_slot = slot;
		w.slow_until = io_clock_mono_ms() + 300;
		return;
	}
	if (word >= MARK && word <= STALE)
		act(word, ev->fd, slot);
	else
		answer(ev->fd, slot, word == DENY ? p.block_errno : 0);
}

static void read_perm(void)
{
	for (int i = 0; i < 16; i++) {
		struct fan_event ev;
		int err;

		atomic_store(&w.table->reading, 1);
		err = fan_next(w.perm, FAN_PERM_GROUP, &ev);
		if (err == 0 && ev.pidfd >= 0)
			(void)close(ev.pidfd);
		if (err == 0)
			handle(&ev);
		atomic_store(&w.table->reading, 0);
		if (err == -EAGAIN)
			return;
	}
}

static void read_notify(void)
{
	struct fan_event ev;

	while (fan_next(w.notify, FAN_NOTIFY_GROUP, &ev) == 0) {
		say("written", ev.fd);
		if (ev.fd >= 0)
			(void)close(ev.fd);
		if (ev.pidfd >= 0)
			(void)close(ev.pidfd);
	}
}

static void order(const int *fds, size_t n)
{
	struct gi_buf why;

	if (rec.op == FA_OP_START) {
		if (!w.table) {
			w.perm = fds[0];
			w.notify = fds[1];
			w.fim = fds[3];
			if (fa_inflight_map(fds[2], &w.table) < 0)
				abort();
			w.give.perm = fds[0];
			w.give.notify = fds[1];
			w.give.table = fds[2];
			w.give.fim = fds[3];
		}
		w.supervisor = rec.pid;
		w.start_bits = w.give.start_bits = (uint32_t)rec.value;
	} else if (rec.op == FA_OP_LISTEN) {
		w.listen = w.give.listen = fds[0];
	} else if (rec.op == FA_OP_CONF) {
		gi_buf_init(&why, 4096);
		conf_free(&fa_conf_table, &w.conf);
		fa_filter_free(w.filter);
		if (fa_conf_read_fd(fds[0], &why, &w.conf) < 0 ||
			fa_filter_new(&w.conf, &w.filter) < 0)
			abort();
		gi_buf_fini(&why);
		dprintf(2, "worker: conf\n");
		(void)close(fds[0]);
	} else if (rec.op == FA_OP_STOP) {
		w.stopping = true;
	}
	(void)n;
}

static void supervisor_gone(void)
{
	dprintf(2, "worker: alone\n");
	(void)close(w.sock);
	w.sock = -1;
}

static void read_super(void)
{
	int fds[FA_REC_FDS_MAX], err;
	size_t n;

	while (!w.stopping && w.sock >= 0) {
		err = fa_rec_recv(w.sock, FA_SUPERVISOR, &rec, fds, &n);
		if (err == -EAGAIN)
			return;
		if (err < 0)
			supervisor_gone();
		else
			order(fds, n);
	}
}

static void round_once(void)
{
	struct pollfd p[4] = { { .fd = w.sock, .events = POLLIN },
		{ .fd = w.perm, .events = POLLIN }, { .fd = w.notify, .events = POLLIN },
		{ .fd = w.sock < 0 ? w.listen : -1, .events = POLLIN } };

	(void)poll(p, 4, BEAT_MS / 2);
	atomic_store(&w.table->beat_ms, io_clock_mono_ms());
	if (p[0].revents)
		read_super();
	if (p[1].revents & POLLIN)
		read_perm();
	if (p[2].revents & POLLIN)
		read_notify();
	if (p[3].revents & POLLIN && fa_handover_give(&w.give, &w.sock) == 0)
		dprintf(2, "worker: taken over\n");
	if (w.slow_fd >= 0 && io_clock_mono_ms() >= w.slow_until) {
		int fd = w.slow_fd;

		w.slow_fd = -1;
		answer(fd, w.slow_slot, 0);
	}
}

int fa_worker_main(struct fa_conf *conf, int super_fd)
{
	struct pollfd p = { .fd = super_fd, .events = POLLIN };
	const struct rlimit fds = { FA_WORKER_FDS, FA_WORKER_FDS };

	/* it outlives its supervisor */
	if (prctl(PR_SET_PDEATHSIG, 0) < 0 || fa_filter_new(conf, &w.filter) < 0)
		return 1;
	w.conf.deadline_base_ms = conf->deadline_base_ms;
	w.conf.deadline_rate = conf->deadline_rate;
	w.conf.deadline_max_ms = conf->deadline_max_ms;
	if (setrlimit(RLIMIT_NOFILE, &fds) < 0 || io_priv_drop(conf->user, 0) < 0)
		return 1;
	w.sock = super_fd;
	while (!w.table) {
		(void)poll(&p, 1, -1);
		read_super();
		if (w.sock < 0)
			return 1;
	}
	(void)snprintf(w.give.version, sizeof(w.give.version), "%.64s",
		getenv("FA_TEST_VERSION") ? getenv("FA_TEST_VERSION") : fa_sup_version());
	dprintf(2, "worker: up\n");
	while (!w.stopping)
		round_once();
	return 0;
}
