/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * worker.c - the worker's life: orders, configuration, link, counters, the end
 *
 * One loop, one thread that decides. It has everything that it needs before it reads the first
 * event; a supervisor that ends leaves it holding the groups, and it waits for the next one at the
 * handover socket. It ends by exit status 0 after FA_OP_STOP, else by 1: the supervisor starts
 * another.
 */
#include "fileagent/worker_int.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include "config.h"
#include "fileagent/super.h"
#include "lib/io/priv.h"

#define SOFTWARE PACKAGE_NAME " gi-fileagent " PACKAGE_VERSION
#define COUNTERS_MS 2000
#define LOG_RETRY_MS 100

/* ---- log ---- */

static bool log_to_mux(void *arg, int level, const char *text, uint64_t dropped)
{
	struct worker *w = arg;
	Idfw__Envelope env = IDFW__ENVELOPE__INIT;
	Idfw__LogLine m = IDFW__LOG_LINE__INIT;
	char line[FA_LOG_LINE_MAX + 1];

	if (!fa_link_has_room(w->pub.link))
		return false;
	(void)snprintf(line, sizeof(line), "%s", text);
	wire_text_sanitize(line, sizeof(line) - 1);
	m.level = (uint32_t)level;
	m.text = line;
	m.dropped = dropped;
	env.body_case = IDFW__ENVELOPE__BODY_LOG_LINE;
	env.log_line = &m;
	return fa_link_send(w->pub.link, &env) == 0;
}

static void log_later_cb(struct io_timer *t);

static void log_flush(struct worker *w)
{
	if (fa_log_flush(io_clock_mono_ms()))
		io_timer_start(w->pub.loop, &w->log_later, LOG_RETRY_MS, 0, log_later_cb, w);
}

static void log_later_cb(struct io_timer *t)
{
	log_flush(t->arg);
}

/* at the end of a round: nothing that the round answered is still held by what we write */
static void log_round_cb(struct io_idle *i)
{
	log_flush(i->arg);
}

static void log_soon(struct worker *w)
{
	io_idle_once(w->pub.loop, &w->log_round, log_round_cb, w);
}

static void log_conf(struct worker *w)
{
	const char *d = w->conf.debug_dest;
	enum fa_log_dest dest = strcmp(d, "syslog") == 0 ? FA_LOG_SYSLOG
				: strcmp(d, "mux") == 0	 ? FA_LOG_MUX
							 : FA_LOG_STDERR;

	fa_log_set((int)w->conf.debug_level, dest, w->conf.debug_rate);
}

/* ---- tick ---- */

static void link_check(struct worker *w)
{
	const char *why = w->link_bad_why;

	w->link_bad_why = NULL;
	if (why)
		fa_link_fail(w->pub.link, why);
}

static void tick_cb(struct io_timer *t)
{
	struct worker *w = t->arg;

	fa_scan_tick(w->pub.scan, io_clock_mono_ms());
	fa_events_late(w);
	fa_writes_resume(w);
	fa_rescans_pump(w->rescans);
	link_check(w);
	if (fa_scan_files(w->pub.scan) == 0 && w->late_n == 0) {
		if (w->stopping && w->held_n == 0)
			io_loop_stop(w->pub.loop);
		if (!w->stopping || w->held_n == 0) {
			io_timer_stop(w->pub.loop, &w->tick);
			w->ticking = false;
		}
	}
	log_soon(w);
}

void fa_worker_tick_on(struct worker *w)
{
	if (w->ticking)
		return;
	w->ticking = true;
	io_timer_start(w->pub.loop, &w->tick, FA_SCAN_TICK_MS, FA_SCAN_TICK_MS, tick_cb, w);
}

/* ---- counters ---- */

/* what the supervisor answered in our place */
static void count_overdue(struct worker *w)
{
	struct fa_inflight *t = w->held;
	uint32_t now;

	if (!t)
		return;
	now = atomic_load(&t->overdue);
	w->count.passed_worker_stopped += now - w->overdue;
	w->overdue = now;
	now = atomic_load(&t->overdue_denied);
	w->count.denied_worker_stopped += now - w->overdue_denied;
	w->overdue_denied = now;
	w->count.passed_worker_ended = atomic_load(&t->ended);
	w->count.denied_worker_ended = atomic_load(&t->ended_denied);
	w->count.worker_starts = atomic_load(&t->starts);
}

static void counters_fill(struct worker *w)
{
	count_overdue(w);
	w->count.held = w->held_n;
	w->count.link_up = fa_link_is_up(w->pub.link);
	w->count.cache_entries = fa_table_entries(w->table);
	w->count.cache_bytes = fa_table_bytes(w->table);
	w->count.log_dropped = fa_log_dropped();
}

static void counters_send(struct worker *w)
{
	Idfw__Envelope env = IDFW__ENVELOPE__INIT;
	Idfw__FileCounters m = IDFW__FILE_COUNTERS__INIT;
	Idfw__FileCounter one[FA_COUNTERS_N], *list[FA_COUNTERS_N];

	for (size_t i = 0; i < FA_COUNTERS_N; i++) {
		idfw__file_counter__init(&one[i]);
		one[i].name = (char *)(uintptr_t)fa_counter_name(i);
		one[i].value = fa_counter_value(&w->count, i);
		list[i] = &one[i];
	}
	m.counter = list;
	m.n_counter = FA_COUNTERS_N;
	env.body_case = IDFW__ENVELOPE__BODY_FILE_COUNTERS;
	env.file_counters = &m;
	if (fa_link_has_room(w->pub.link) && fa_link_send(w->pub.link, &env) == 0)
		w->told = w->count;
}

static void counters_cb(struct io_timer *t)
{
	struct worker *w = t->arg;

	counters_fill(w);
	if (memcmp(&w->told, &w->count, sizeof(w->told)) != 0)
		counters_send(w);
}

static void beat_cb(struct io_timer *t)
{
	struct worker *w = t->arg;

	worker_beat(w, io_clock_mono_ms());
	fa_rescans_pump(w->rescans);
	fa_writes_resume(w);
	log_soon(w);
}

/* ---- link ---- */

static uint64_t last_seq_cb(void *arg)
{
	struct worker *w = arg;

	return w->pub.reports ? fa_reports_last_seq(w->pub.reports) : 0;
}

static void up_cb(void *arg, uint64_t acked)
{
	struct worker *w = arg;

	fa_notice("connected to %s", w->conf.mux);
	w->link_bad = false;
	memset(&w->told, 0, sizeof(w->told));
	if (w->pub.reports)
		fa_reports_up(w->pub.reports, acked);
	log_soon(w);
}

static void down_cb(void *arg, const char *why)
{
	struct worker *w = arg;

	if (!w->link_bad) {
		w->count.link_losses++;
		fa_warn("no connection to %s: %s; trying again", w->conf.mux, why);
	}
	w->link_bad = true;
	fa_scan_link_down(w->pub.scan, io_clock_mono_ms());
	if (w->pub.commands)
		fa_commands_down(w->pub.commands);
	log_soon(w);
}

static void message_cb(void *arg, const Idfw__Envelope *e)
{
	struct worker *w = arg;

	worker_beat(w, io_clock_mono_ms());
	switch (e->body_case) {
	case IDFW__ENVELOPE__BODY_FILE_REPORT_ACK:
		if (w->pub.reports)
			fa_reports_ack(w->pub.reports, e->file_report_ack->seq);
		return;
	case IDFW__ENVELOPE__BODY_FILE_COMMAND:
		fa_command(w->pub.commands, e->file_command);
		log_soon(w);
		return;
	default:
		fa_scan_message(w->pub.scan, io_clock_mono_ms(), e);
	}
	fa_writes_resume(w);
	link_check(w);
	log_soon(w);
}

static void room_cb(void *arg)
{
	struct worker *w = arg;

	fa_scan_room(w->pub.scan, io_clock_mono_ms());
	if (w->pub.reports)
		fa_reports_pump(w->pub.reports);
	if (w->pub.commands)
		fa_commands_pump(w->pub.commands);
}

static const struct fa_link_ops link_ops = {
	.last_seq = last_seq_cb,
	.up = up_cb,
	.message = message_cb,
	.room = room_cb,
	.down = down_cb,
};

/* ---- configuration ---- */

static struct fa_scan_conf scan_conf(const struct fa_conf *c)
{
	return (struct fa_scan_conf){ .deadline_base_ms = c->deadline_base_ms,
		.deadline_rate = c->deadline_rate,
		.deadline_max_ms = c->deadline_max_ms,
		.max_bytes = c->max_scan_bytes,
		.write_delay_ms = c->write_delay_ms };
}

static int filter_make(struct worker *w)
{
	struct fa_filter *f;
	int err = fa_filter_new(&w->conf, &f);

	if (err < 0)
		return err;
	fa_filter_free(w->filter);
	w->filter = f;
	return 0;
}

static int table_make(struct worker *w)
{
	struct fa_table *t;
	int err = fa_table_new((size_t)w->conf.cache_entries, w->seed, &t);

	if (err < 0)
		return err;
	if (w->pub.scan)
		fa_scan_table(w->pub.scan, t);
	fa_table_free(w->table);
	w->table = t;
	return 0;
}

static void conf_changed(struct worker *w, struct fa_conf *new)
{
	struct fa_conf old = w->conf;
	struct fa_scan_conf sc = scan_conf(new);
	struct io_endpoint mux;

	w->conf = *new;
	if (filter_make(w) < 0 || (new->cache_entries != old.cache_entries &&table_make(w) < 0)) {
		fa_err("the new configuration does not fit into memory: the old one stays");
		w->conf = old;
		conf_free(&fa_conf_table, new);
		return;
	}
	if (new->cache_entries != old.cache_entries)
		fa_worker_flush(w); /* the new table knows of no mark */
	fa_scan_conf(w->pub.scan, &sc);
	fa_events_conf(w);
	log_conf(w);
	if (strcmp(old.mux, new->mux) != 0 && io_endpoint_parse(new->mux, &mux) == 0)
		fa_link_move(w->pub.link, &mux);
	conf_free(&fa_conf_table, &old);
	if (w->pub.who)
		fa_who_conf(w->pub.who);
	if (w->pub.fim)
		fa_fim_conf(w->pub.fim);
	fa_notice("configuration read anew");
}

static void order_conf(struct worker *w, int fd)
{
	struct fa_conf new;
	struct gi_buf words;
	int err;

	gi_buf_init(&words, FA_CONF_TEXT_MAX);
	err = fa_conf_read_fd(fd, &words, &new);
	if (err < 0)
		fa_err("the new configuration is not taken: %s%s", gi_strerror(err),
			gi_buf_str(&words));
	else
		conf_changed(w, &new);
	gi_buf_fini(&words);
}

/* ---- the supervisor ---- */

static void close_all(const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

/* each supervisor says it; the groups are the same ones then */
static void order_start(struct worker *w, const struct fa_rec *rec, const int *fds)
{
	int err;

	w->supervisor = (pid_t)rec->pid;
	if (w->started) {
		close_all(fds, 4);
		fa_worker_flush(w); /* an UNMARK may have gone with the supervisor before */
		return;
	}
	w->groups.perm = fds[0];
	w->groups.notify = fds[1];
	w->groups.table = fds[2];
	w->groups.fim = fds[3];
	w->groups.start_bits = (uint32_t)rec->value;
	err = fa_inflight_map(fds[2], &w->held);
	if (err < 0) {
		fa_err("the table of held events cannot be used: %s", gi_strerror(err));
		io_loop_stop(w->pub.loop);
		return;
	}
	w->overdue = atomic_load(&w->held->overdue);
	w->overdue_denied = atomic_load(&w->held->overdue_denied);
	atomic_store(&w->held->worker_pid, (uint64_t)w->self);
	w->started = true;
	fa_who_follow(w->pub.who);
	err = fa_fim_new(&w->pub, &w->pub.fim);
	if (err < 0)
		fa_err("no integrity monitoring: %s", gi_strerror(err));
	fa_events_start(w);
	fa_worker_flush(w); /* we know of no mark that an earlier worker asked for */
	io_timer_start(w->pub.loop, &w->beat, 0, FA_BEAT_MS, beat_cb, w);
	io_timer_start(w->pub.loop, &w->counters, COUNTERS_MS, COUNTERS_MS, counters_cb, w);
	fa_notice("worker: up");
}

static void order_stop(struct worker *w, bool gently)
{
	fa_events_stop(w);
	if (!gently || (w->held_n == 0 && w->late_n == 0))
		io_loop_stop(w->pub.loop);
	else
		fa_worker_tick_on(w);
}

static void order_cb(void *arg, const struct fa_rec *rec, const int *fds, size_t n)
{
	struct worker *w = arg;

	switch (rec->op) {
	case FA_OP_START:
		order_start(w, rec, fds);
		break;
	case FA_OP_CONF:
		w->supervisor = rec->pid ? (pid_t)rec->pid : w->supervisor;
		order_conf(w, fds[0]);
		close_all(fds, n);
		break;
	case FA_OP_LISTEN:
		if (w->groups.listen >= 0)
			close(w->groups.listen);
		w->groups.listen = fds[0];
		close_all(fds + 1, n - 1);
		break;
	case FA_OP_STOP:
		order_stop(w, rec->value == 1);
		break;
	default:
		close_all(fds, n);
	}
	log_soon(w);
}

static void listen_cb(struct io_fd *f, unsigned int events)
{
	struct worker *w = f->arg;
	int sock, err = fa_handover_give(&w->groups, &sock);

	(void)events;
	if (err < 0) {
		if (err != -EAGAIN)
			fa_warn("handover: %s", gi_strerror(err));
		log_soon(w);
		return;
	}
	io_fd_stop(w->pub.loop, &w->listen);
	fa_notice("another supervisor took over");
	fa_super_replace(w->pub.super, sock);
	/* marks that the last one set behind its end for us, with the table that knew of them */
	fa_table_clear(w->table);
	fa_worker_flush(w);
	log_soon(w);
}

static void gone_cb(void *arg)
{
	struct worker *w = arg;

	w->supervisor = 0;
	if (!w->started || w->groups.listen < 0) {
		io_loop_stop(w->pub.loop);
		return;
	}
	fa_warn("the supervisor is gone: going on, actions wait for the next one");
	/* what it was sent and had not read yet is lost, an unmark perhaps */
	fa_table_clear(w->table);
	fa_worker_flush(w);
	io_fd_start(w->pub.loop, &w->listen, w->groups.listen, IO_READ, listen_cb, w);
	log_soon(w);
}

static const struct fa_super_ops super_ops = { .order = order_cb, .gone = gone_cb };

/* ---- life ---- */

/* the supervisor answers by numbers below that; the kernel must not give out larger ones */
static int limit_fds(void)
{
	const struct rlimit r = { .rlim_cur = FA_WORKER_FDS, .rlim_max = FA_WORKER_FDS };

	return setrlimit(RLIMIT_NOFILE, &r) < 0 ? -errno : 0;
}

static int drop_privileges(const struct fa_conf *c)
{
	/* the host takes nobody for the agent who could be any user of this machine */
	bool vsock = strncmp(c->mux, "vsock:", 6) == 0;
	int err = io_priv_drop(c->user, vsock ? IO_CAP_NET_BIND : 0);

	if (err == 0)
		err = io_priv_seccomp_parser();
	if (err < 0)
		fa_err("privileges cannot be dropped to user %s: %s", c->user, gi_strerror(err));
	return err;
}

static int make_core(struct worker *w)
{
	struct fa_scan_conf sc = scan_conf(&w->conf);
	int err = getrandom(&w->seed, sizeof(w->seed), 0) < 0 ? -errno : 0;

	if (err == 0)
		err = filter_make(w);
	if (err == 0)
		err = table_make(w);
	if (err == 0)
		err = fa_rescans_new(w, &w->rescans);
	if (err == 0)
		err = fa_scan_new(&sc, w->table, &w->count, &fa_worker_scan_ops, w,
			io_clock_mono_ms(), &w->pub.scan);
	if (err == 0)
		err = fa_reads_new(w->pub.loop, (unsigned int)w->conf.threads, &w->pub.reads);
	return err;
}

static int make_link(struct worker *w)
{
	struct fa_link_conf lc = { .software = SOFTWARE };
	int err = io_endpoint_parse(w->conf.mux, &lc.mux);

	memcpy(lc.boot_id, w->pub.boot_id, sizeof(lc.boot_id));
	return err < 0 ? err : fa_link_new(w->pub.loop, &lc, &link_ops, w, &w->pub.link);
}

static int make_parts(struct worker *w)
{
	int err = fa_worker_boot_id(w->conf.boot_id_file, w->pub.boot_id);

	if (err < 0)
		fa_err("boot-id-file %s: %s", w->conf.boot_id_file, gi_strerror(err));
	if (err == 0)
		err = make_core(w);
	if (err == 0)
		err = fa_who_new(&w->pub, &w->pub.who);
	if (err == 0) {
		err = fa_reports_new(&w->pub, &w->pub.reports);
		if (err < 0)
			fa_err("state-dir %s: %s", w->conf.state_dir, gi_strerror(err));
	}
	if (err == 0)
		err = make_link(w);
	if (err == 0)
		err = fa_commands_new(&w->pub, &w->pub.commands);
	return err;
}

static void worker_end(struct worker *w)
{
	fa_events_stop(w);
	fa_commands_free(w->pub.commands);
	fa_fim_free(w->pub.fim);     /* records what waits, while reports can be taken */
	fa_super_free(w->pub.super); /* who waited for its replies goes back to the core */
	w->pub.super = NULL;
	fa_scan_free(w->pub.scan, io_clock_mono_ms());
	fa_reports_free(w->pub.reports);
	fa_who_free(w->pub.who);
	fa_link_free(w->pub.link);
	fa_rescans_free(w->rescans);
	fa_filter_free(w->filter);
	fa_table_free(w->table);
	fa_mounts_fini(&w->mounts);
	fa_inflight_unmap(w->held);
	(void)fa_log_flush(io_clock_mono_ms());
	fa_log_close();
	conf_free(&fa_conf_table, &w->conf);
	/* fa_reads: a thread may hang in a dead file system; the process ends anyway */
}

int fa_worker_main(struct fa_conf *conf, int super_fd)
{
	struct worker *w = calloc(1, sizeof(*w));
	int err = w ? limit_fds() : -ENOMEM;

	if (err < 0)
		return 1;
	fa_handover_init(&w->groups);
	(void)snprintf(w->groups.version, sizeof(w->groups.version), "%s", fa_sup_version());
	w->conf = *conf;
	*conf = (struct fa_conf){ 0 };
	w->pub.conf = &w->conf;
	w->pub.counters = &w->count;
	w->self = getpid();
	w->mounts_fd = w->path_fd = w->proc_fd = -1;
	fa_log_open("gi-fileagent/worker", log_to_mux, w);
	log_conf(w);
	fa_events_conf(w);
	err = drop_privileges(&w->conf);
	if (err == 0)
		err = io_loop_new(&w->pub.loop);
	if (err == 0)
		err = make_parts(w);
	if (err == 0)
		err = fa_super_new(w->pub.loop, super_fd, &super_ops, w, &w->pub.super);
	if (err == 0)
		io_loop_run(w->pub.loop);
	else
		fa_err("worker cannot start: %s", gi_strerror(err));
	err = err < 0 || !w->stopping;
	worker_end(w);
	return err ? 1 : 0;
}
