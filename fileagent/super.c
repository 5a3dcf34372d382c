/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * super.c - gi-fileagent's supervisor: start, takeover, reload, end
 *
 *   SIGTERM, SIGINT   the end: marks go first, then everybody held is answered, both processes end
 *   SIGUSR2           this process ends alone; the worker goes on and waits for the next supervisor
 *   SIGHUP            the configuration is read anew; one with mistakes changes nothing
 *
 * Invariants: the groups exist before the first mark, the marks come after the worker's start was
 * asked for; a new configuration is checked whole before anything of it holds. See super.h.
 */
#include "config.h"

#include "fileagent/super.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "fileagent/fan.h"
#include "fileagent/handover.h"
#include "lib/base/log.h"
#include "lib/io/dir.h"

#define TAKE_MS 5000 /* a worker that does not answer a new supervisor for so long is killed */
#define END_MS 3000  /* a worker that does not end for so long is killed */
#define MOUNTS_EVERY_MS 1000

#ifdef __clang__
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

const char *fa_sup_version(void)
{
	return PACKAGE_VERSION " (" COMPILER ")";
}

void fa_sup_say(void *arg, const char *words)
{
	(void)arg;
	gi_warn("%s", words);
}

static void log_level(const struct fa_sup *s)
{
	uint64_t level = s->debug ? 7 : s->conf->debug_level;

	gi_log_init("gi-fileagent", level < GI_LOG_ERR ? GI_LOG_ERR : (enum gi_log_level)level);
}

/* ---- configuration ---- */

static void say_lines(const char *words)
{
	while (*words) {
		size_t n = strcspn(words, "\n");

		if (n)
			gi_err("%.*s", (int)n, words);
		words += n + (words[n] == '\n');
	}
}

static int memfd_of(const char *text, size_t len, int *ret_fd)
{
	int fd = memfd_create("gi-fileagent.conf", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (write(fd, text, len) != (ssize_t)len) {
		(void)close(fd);
		return -EIO;
	}
	*ret_fd = fd;
	return 0;
}

static void conf_drop(struct fa_conf *c)
{
	if (c)
		conf_free(&fa_conf_table, c);
	free(c);
}

/* reads, checks and only then replaces what holds now */
static int conf_load(struct fa_sup *s)
{
	struct fa_conf *c = calloc(1, sizeof(*c));
	struct fa_filter *f = NULL;
	char *text = NULL, why[256] = "";
	struct gi_buf words;
	size_t len = 0;
	int fd = -1,
	    err = c ? conf_read_file(s->conf_file, FA_CONF_TEXT_MAX, &text, &len) : -ENOMEM;

	gi_buf_init(&words, 1u << 16);
	if (err == 0)
		err = fa_conf_parse(s->conf_file, text, len, &words, c);
	if (err == 0)
		err = fa_marks_check(c, s->root_ok, why);
	if (err == 0)
		err = fa_filter_new(c, &f);
	if (err == 0)
		err = memfd_of(text, len, &fd);
	if (err < 0) {
		say_lines(gi_buf_str(&words));
		gi_err("%s: %s", s->conf_file, *why ? why : gi_strerror(err));
		goto out;
	}
	conf_drop(s->conf);
	fa_filter_free(s->filter);
	if (s->conf_fd >= 0)
		(void)close(s->conf_fd);
	s->conf = c;
	s->filter = f;
	s->conf_fd = fd;
	(void)snprintf(s->conf_path, sizeof(s->conf_path), "/proc/%d/fd/%d", (int)getpid(), fd);
	log_level(s);
	c = NULL;
out:
	gi_buf_fini(&words);
	conf_drop(c);
	free(text);
	return err;
}

void fa_sup_send_conf(struct fa_sup *s)
{
	struct fa_rec *r;
	int err;

	if (s->keep.sock < 0)
		return;
	r = calloc(1, sizeof(*r));
	if (!r)
		return;
	r->op = FA_OP_CONF;
	r->pid = (uint32_t)getpid();
	err = fa_rec_send(s->keep.sock, r, &s->conf_fd, 1);
	free(r);
	if (err < 0) {
		gi_err("the worker does not take the configuration: %s", gi_strerror(err));
		fa_keep_kill(s);
	}
}

static void marks_apply(struct fa_sup *s)
{
	int n = fa_marks_apply(&s->groups, s->conf, s->root_ok, fa_sup_say, NULL);

	if (n < 0)
		gi_err("the marks cannot be set: %s", gi_strerror(n));
	else if (n > 0)
		gi_warn("%d paths are not watched now", n);
	fa_marks_exclude(&s->groups, s->conf);
}

/* what must stay is said, what may change does */
static void reload(struct fa_sup *s)
{
	if (conf_load(s) < 0) {
		gi_err("reload: the old configuration goes on");
		return;
	}
	marks_apply(s);
	/* what was left out before may be watched now */
	(void)!fan_ignore_flush(s->groups.perm);
	(void)!fan_ignore_flush(s->groups.notify);
	fa_marks_exclude(&s->groups, s->conf);
	fa_sup_send_conf(s);
	gi_notice("reload: %zu watches, %zu fim rules", s->conf->watches.n, s->conf->fims.n);
}

/* ---- directories ---- */

/* the worker's; they are there before the marks, so that these leave them out (marks.c) */
static int make_state_dirs(const struct fa_sup *s, const struct passwd *pw)
{
	static const char *const below[] = { "", "/reports", "/fim" };
	char path[512];
	int err = 0;

	for (size_t i = 0; err == 0 && i < GI_ARRAY_SIZE(below); i++) {
		(void)snprintf(path, sizeof(path), "%s%s", s->conf->state_dir, below[i]);
		err = io_dir_make(path, 0700, pw->pw_uid, pw->pw_gid);
	}
	return err;
}

static int make_dirs(const struct fa_sup *s)
{
	const struct passwd *pw = getpwnam(s->conf->user);
	int err;

	if (!pw) {
		gi_err("user %s does not exist", s->conf->user);
		return -GI_ENOTFOUND;
	}
	err = io_dir_make(s->conf->run_dir, 0755, IO_DIR_KEEP, (gid_t)-1);
	if (err == 0)
		err = make_state_dirs(s, pw);
	if (err < 0)
		gi_err("run-dir, state-dir: %s", gi_strerror(err));
	return err;
}

/* ---- start ---- */

static int begin_new(struct fa_sup *s)
{
	/* who is held cannot be another process by now: no pidfd, which costs microseconds an event
	 */
	int err = fan_group_new(FAN_PERM_GROUP, false, &s->groups.perm, &s->errno_ok);

	if (err == 0)
		err = fan_group_new(FAN_NOTIFY_GROUP, true, &s->groups.notify, &s->fd_errors);
	if (err == 0)
		err = fan_group_new(FAN_FIM_GROUP, true, &s->groups.fim, NULL);
	if (err < 0) {
		gi_err("fanotify: %s%s", gi_strerror(err),
			err == -EPERM ? "; this takes CAP_SYS_ADMIN" : "");
		return err;
	}
	err = fa_inflight_new(&s->table_fd, &s->table);
	if (err == 0)
		err = fa_handover_listen(s->conf->run_dir, &s->listen_fd);
	if (err < 0) {
		gi_err("%s/fileagent.sock: %s", s->conf->run_dir, gi_strerror(err));
		return err;
	}
	fa_keep_start(s);
	return 0;
}

static int begin_taken(struct fa_sup *s, int sock, struct fa_handover *h)
{
	int err = fa_inflight_map(h->table, &s->table);

	if (err < 0) {
		gi_err("the old worker's table: %s", gi_strerror(err));
		(void)close(sock);
		fa_handover_fini(h);
		return err;
	}
	s->groups = (struct fa_marks_groups){ .perm = h->perm, .notify = h->notify, .fim = h->fim };
	s->table_fd = h->table;
	s->listen_fd = h->listen;
	s->errno_ok = h->start_bits & FA_START_ERRNO_OK;
	s->fd_errors = h->start_bits & FA_START_FD_ERRORS;
	gi_notice("worker %d of an earlier gi-fileagent is taken over", (int)h->worker);
	fa_keep_adopt(s, sock, h->pidfd, h->worker, strcmp(h->version, fa_sup_version()) == 0);
	return 0;
}

static int begin(struct fa_sup *s)
{
	struct fa_handover h;
	int sock = -1, err = fa_handover_lock(s->conf->run_dir, &s->lock_fd);

	if (err == -EWOULDBLOCK)
		gi_err("another gi-fileagent is running here (%s/fileagent.lock)",
			s->conf->run_dir);
	else if (err < 0)
		gi_err("%s/fileagent.lock: %s", s->conf->run_dir, gi_strerror(err));
	if (err < 0)
		return err;
	fa_keep_init(s);
	err = fa_handover_take(s->conf->run_dir, s->lock_fd, TAKE_MS, &sock, &h);
	if (err == 0)
		return begin_taken(s, sock, &h);
	if (err != -GI_ENOTFOUND)
		gi_warn("the worker of an earlier gi-fileagent is not taken over: %s",
			gi_strerror(err));
	return begin_new(s);
}

/* ---- the loop ---- */

void fa_sup_ended(struct fa_sup *s)
{
	fa_keep_drain(s);
	io_loop_stop(s->loop);
}

static void end_late(struct io_timer *t)
{
	struct fa_sup *s = t->arg;

	gi_warn("the worker does not end: killed");
	fa_keep_kill(s);
}

static void end_begin(struct fa_sup *s)
{
	struct fa_rec *r = calloc(1, sizeof(*r));

	if (s->ending) {
		free(r);
		return;
	}
	s->ending = true;
	fa_marks_clear(&s->groups);
	if (s->keep.pid == 0) {
		free(r);
		fa_sup_ended(s);
		return;
	}
	if (r) {
		r->op = FA_OP_STOP;
		if (fa_rec_send(s->keep.sock, r, NULL, 0) < 0)
			fa_keep_kill(s);
		free(r);
	}
	io_timer_start(s->loop, &s->end_timer, END_MS, 0, end_late, s);
}

static void signal_cb(struct io_signal *w, int signum)
{
	struct fa_sup *s = w->arg;

	if (signum == SIGHUP) {
		reload(s);
	} else if (signum == SIGUSR2) {
		gi_notice("signal %d: ends; the worker goes on and waits for the next", signum);
		io_loop_stop(s->loop);
	} else {
		gi_notice("signal %d: stopping; nothing is watched any more", signum);
		end_begin(s);
	}
}

/* the kernel says "changed" by POLLPRI, which loops do not wait for */
static void mounts_cb(struct io_timer *t)
{
	struct fa_sup *s = t->arg;
	struct pollfd p = { .fd = s->mountinfo_fd, .events = POLLPRI };

	if (poll(&p, 1, 0) > 0 && (p.revents & POLLPRI) && !s->ending)
		marks_apply(s);
}

static void watch_signals(struct fa_sup *s)
{
	io_signal_start(s->loop, &s->sig_term, SIGTERM, signal_cb, s);
	io_signal_start(s->loop, &s->sig_int, SIGINT, signal_cb, s);
	io_signal_start(s->loop, &s->sig_hup, SIGHUP, signal_cb, s);
	io_signal_start(s->loop, &s->sig_usr2, SIGUSR2, signal_cb, s);
	io_timer_start(s->loop, &s->mounts_timer, MOUNTS_EVERY_MS, MOUNTS_EVERY_MS, mounts_cb, s);
}

static void groups_close(struct fa_sup *s)
{
	int *const fds[] = { &s->groups.perm, &s->groups.notify, &s->groups.fim };

	for (size_t i = 0; i < GI_ARRAY_SIZE(fds); i++) {
		if (*fds[i] >= 0)
			(void)close(*fds[i]);
		*fds[i] = -1;
	}
}

static void close_all(struct fa_sup *s)
{
	const int fds[] = { s->table_fd, s->listen_fd, s->conf_fd, s->mountinfo_fd, s->lock_fd };

	if (s->loop) {
		io_signal_stop(s->loop, &s->sig_term);
		io_signal_stop(s->loop, &s->sig_int);
		io_signal_stop(s->loop, &s->sig_hup);
		io_signal_stop(s->loop, &s->sig_usr2);
		io_timer_stop(s->loop, &s->mounts_timer);
		io_timer_stop(s->loop, &s->end_timer);
		io_loop_free(s->loop);
	}
	fa_inflight_unmap(s->table);
	for (size_t i = 0; i < GI_ARRAY_SIZE(fds); i++)
		if (fds[i] >= 0)
			(void)close(fds[i]);
	conf_drop(s->conf);
	fa_filter_free(s->filter);
}

int fa_sup_run(const struct fa_sup_args *a)
{
	struct fa_sup s = { .conf_file = a->conf_file,
		.argv0 = a->argv0,
		.root_ok = a->root_ok,
		.debug = a->debug,
		.groups = { -1, -1, -1 },
		.conf_fd = -1,
		.lock_fd = -1,
		.listen_fd = -1,
		.table_fd = -1,
		.mountinfo_fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC) };
	int err = conf_load(&s);

	if (err < 0) {
		close_all(&s);
		return 78; /* EX_CONFIG */
	}
	err = make_dirs(&s);
	if (err == 0)
		err = io_loop_new(&s.loop);
	if (err == 0)
		err = fa_ops_init(&s);
	if (err == 0) {
		watch_signals(&s);
		err = begin(&s);
	}
	if (err == 0) {
		marks_apply(&s);
		gi_notice("%s: %zu watches, %zu fim rules", fa_sup_version(), s.conf->watches.n,
			s.conf->fims.n);
		io_loop_run(s.loop);
	}
	if (s.loop)
		fa_keep_fini(&s);
	groups_close(&s); /* before the thread is waited for: it may be held by one of them */
	fa_ops_fini(&s);
	close_all(&s);
	return err < 0 ? 1 : 0;
}
