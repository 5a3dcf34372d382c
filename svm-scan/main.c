/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * main.c - svm-scan: the scan service, from start to SIGTERM
 *
 * Processes: this one (libepsec's thread, a thread a worker, this loop: link to svm-idfw, control
 * socket, signals) and the workers, which are this binary again with "--worker" (worker.c). Started
 * as root it reads the keys and binds the listener, then becomes `user` for good; workers are made
 * after that. The parsers' seccomp list would keep us from making workers (execve), so a list
 * without that one call is taken. Exit: 0 after SIGTERM; 78 configuration or hash list; 1 else.
 */
#include "config.h"

#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/io/dir.h"
#include "lib/io/priv.h"
#include "svm-scan/service.h"

#define PROG "svm-scan"
#define SUMMARY "scan service: judges the files of guests, with ClamAV, YARA and a list of hashes"
#define EXIT_CONFIG 78
#define WORKER_ENDS_TOLD_MS 10000
#define SUMS_MS 10000

static int run(struct scan_service *s);
static int start(struct scan_service *s);
static void stop(struct scan_service *s);

int main(int argc, char **argv)
{
	struct scan_service s = { .argc = argc, .argv = argv };
	struct scan_conf conf = { 0 };
	bool debug = false;
	int code = 0;

	if (argc > 1 && strcmp(argv[1], "--worker") == 0)
		scan_worker_main(argc, argv);
	if (conf_main(argc, argv, PROG, SUMMARY, &scan_conf_table, &conf, &debug, &code))
		return code;
	gi_log_init(PROG, debug ? GI_LOG_DEBUG : GI_LOG_INFO);
	(void)signal(SIGPIPE, SIG_IGN);
	s.conf = &conf;
	code = run(&s);
	conf_free(&scan_conf_table, &conf);
	return code;
}

/* ---- what happens while it runs ---- */

static void on_term(struct io_signal *w, int signum)
{
	gi_notice("%s: stopping", strsignal(signum));
	io_loop_stop(((struct scan_service *)w->arg)->loop);
}

static void on_hup(struct io_signal *w, int signum)
{
	(void)signum;
	if (scan_reload_start(w->arg) == 0)
		gi_notice("SIGHUP: configuration read; loading hash list and signatures");
}

static void on_usr1(struct io_signal *w, int signum)
{
	struct scan_service *s = w->arg;
	struct eps_stats e = { .size = sizeof(e) };
	struct scan_judge_stats j;
	struct scan_report_stats r;
	struct scan_pool_stats p;

	(void)signum;
	eps_stats(s->eps, &e);
	scan_judge_stats(s->judge, &j);
	scan_report_stats(s->report, &r);
	scan_pool_stats(s->pool, &p);
	gi_notice("links %zu guests %zu waiting %zu memory %zu; events %" PRIu64 " looked %" PRIu64
		  " answered %" PRIu64 " gone %" PRIu64 " failed %" PRIu64 " busy %" PRIu64,
		e.links, e.guests, e.waiting, e.memory_bytes, e.events, e.looked, e.answered,
		e.gone, e.failed, e.busy);
	gi_notice("scans %" PRIu64 " (%" PRIu64 " bytes) followers %" PRIu64
		  " cache %zu hits %" PRIu64 " misses %" PRIu64 "; workers %u starts %" PRIu64
		  " crashes %" PRIu64 " over budget %" PRIu64 "; outbox %" PRIu64
		  " waiting %" PRIu64 " lost %" PRIu64,
		p.jobs, p.bytes, j.followers, j.cache_entries, j.cache_hits, j.cache_misses,
		p.workers, p.starts, p.crashes, p.killed_budget, r.box.last_seq, r.box.waiting,
		r.box.lost);
}

static void on_reported(
	void *arg, const char *vm, const uint8_t boot[WIRE_BOOT_ID_LEN], uint64_t agent_seq)
{
	struct scan_service *s = arg;

	(void)!eps_report_ack(s->eps, vm, boot, agent_seq);
}

static void on_acked(void *arg)
{
	scan_control_acked(((struct scan_service *)arg)->control);
}

/* of the pool, from any thread; a file that kills workers must not fill the audit */
static void on_note(void *arg, enum scan_pool_note what, const char *text)
{
	struct scan_service *s = arg;
	unsigned long long now = io_clock_mono_ms(), told = atomic_load(&s->worker_end_told_ms), n;
	char line[WIRE_TEXT_MAX + 1];

	if (what == SCAN_NOTE_OTHER_SIGNATURES && atomic_load(&s->ready))
		scan_reload_want(s);
	if (what == SCAN_NOTE_ENDED) {
		n = atomic_fetch_add(&s->worker_ends, 1) + 1;
		if ((!told || now - told >= WORKER_ENDS_TOLD_MS) &&
			atomic_compare_exchange_strong(&s->worker_end_told_ms, &told, now)) {
			atomic_fetch_sub(&s->worker_ends, n);
			(void)snprintf(line, sizeof(line),
				"worker ended (%llu since the last such line): %s", n, text);
			scan_report_note(s->report, "", line);
			return;
		}
	}
	gi_log(what == SCAN_NOTE_START_FAILED ? GI_LOG_WARN : GI_LOG_INFO, "%s", text);
}

/* findings and reports beyond a VM's bounds, a line each VM and kind */
static void sums_tell(struct scan_service *s, bool all)
{
	static const char *const words[SCAN_VM_SUMS] = {
		"findings, over findings-per-hour: carried out, not recorded one by one",
		"reports of watched files, over reports-per-hour: not recorded",
		"reports of files passed without a verdict, over reports-per-hour: not recorded"
	};
	char vm[EPS_VM_MAX + 1], line[WIRE_TEXT_MAX + 1];
	uint64_t n;

	for (int i = 0; i < SCAN_VM_SUMS; i++) {
		while ((n = scan_vms_sum(s->vms, (enum scan_vm_sum)i, all, vm)) > 0) {
			(void)snprintf(line, sizeof(line), "%" PRIu64 " more %s", n, words[i]);
			scan_report_note(s->report, vm, line);
		}
	}
}

static void sums_cb(struct io_timer *t)
{
	sums_tell(t->arg, false);
}

static int run(struct scan_service *s)
{
	int err;

	err = start(s);
	if (err == 0) {
		gi_notice("%s: listening on %s, %zu muxes known, %u workers", s->software,
			s->conf->listen, s->conf->mux_names.n, s->workers);
		io_loop_run(s->loop);
	}
	stop(s);
	return err == 0 ? 0 : err == -GI_ESYNTAX || err == -EINVAL ? EXIT_CONFIG : 1;
}

/* ---- start, in this order ---- */

static int complain(const char *what, const char *why, int err)
{
	gi_err("%s: %s", what, why && *why ? why : gi_strerror(err));
	return err;
}

static int dir_make(const char *path, mode_t mode, const struct passwd *pw)
{
	int err =
		io_dir_make(path, mode, pw ? pw->pw_uid : IO_DIR_KEEP, pw ? pw->pw_gid : (gid_t)-1);

	return err < 0 ? complain(path, NULL, err) : 0;
}

/* the outbox's files are those of the user that we become: made as that user, and read again */
static int start_report(struct scan_service *s, const struct passwd *pw)
{
	char dir[4096], why[256] = "";
	struct io_tls_conf tc = {
		.ca_file = s->conf->ca, .cert_file = s->conf->cert, .key_file = s->conf->key
	};
	struct scan_report_conf rc = { .endpoint = s->conf->audit,
		.server_name = s->conf->audit_name,
		.software = s->software,
		.dir = dir,
		.max_bytes = s->conf->outbox_max,
		.idle_ms = s->conf->idle_ms,
		.deadline_ms = s->conf->deadline_ms,
		.retry_ms = (uint32_t)s->conf->retry_ms,
		.reported = on_reported,
		.acked = on_acked,
		.arg = s };
	int err = s->conf->audit ? io_tls_ctx_new(&tc, why, &s->tls) : 0;

	if (err < 0)
		return complain("TLS", why, err);
	rc.tls = s->tls;
	(void)snprintf(dir, sizeof(dir), "%s/outbox", s->conf->state_dir);
	if (pw && (setegid(pw->pw_gid) < 0 || seteuid(pw->pw_uid) < 0))
		return complain(s->conf->user, NULL, -errno);
	err = scan_report_new(s->loop, &rc, why, &s->report);
	if (pw && (seteuid(0) < 0 || setegid(0) < 0))
		return complain(s->conf->user, NULL, -errno);
	return err < 0 ? complain("outbox", why, err) : 0;
}

static int start_eps(struct scan_service *s)
{
	uint8_t epoch[EPS_EPOCH_MAX]; /* nobody's: until the signatures are loaded */
	struct eps_conf ec = { .size = sizeof(ec),
		.api_version = EPS_API_VERSION,
		.name = PROG,
		.version = PACKAGE_VERSION,
		.listen = s->conf->listen,
		.ca = s->conf->ca,
		.cert = s->conf->cert,
		.key = s->conf->key,
		.mux_names = (const char *const *)s->conf->mux_names.items,
		.n_mux_names = s->conf->mux_names.n,
		.epoch = epoch,
		.epoch_len = sizeof(epoch),
		.max_file_bytes = s->conf->rules.max_file,
		.head_bytes = (uint32_t)s->conf->head_bytes,
		.credits = (uint32_t)s->conf->rules.credits,
		.max_memory = (size_t)s->conf->max_memory };
	char why[256] = "";
	struct eps *e = NULL;
	int err;

	if (getrandom(epoch, sizeof(epoch), 0) != sizeof(epoch))
		return complain("random numbers", NULL, -EIO);
	err = eps_open(&ec, &scan_eps_ops, s, why, &e);
	if (err < 0)
		return complain(s->conf->listen, *why ? why : eps_strerror(err), err);
	atomic_store(&s->eps, e);
	return 0;
}

static int start_pool(struct scan_service *s)
{
	struct scan_pool_conf pc = { .workers = s->workers,
		.budget_ms = (uint32_t)s->conf->budget_ms,
		.memory_bytes = s->conf->memory_limit ? s->conf->memory_limit : UINT64_MAX,
		.tmp_dir = s->conf->tmp_dir,
		.relaxed = strcmp(s->conf->sandbox, "relaxed") == 0,
		.note = on_note,
		.arg = s };
	char why[SCAN_WHY_MAX] = "";
	int err;

	pc.engines.clamav = s->conf->clamav_db;
	pc.engines.yara = s->conf->yara_rules;
	err = scan_pool_new(&pc, why, &s->pool);
	return err < 0 ? complain("workers", why, err) : 0;
}

static int start_judge(struct scan_service *s)
{
	const struct scan_judge_conf jc = { .pool = s->pool,
		.vms = s->vms,
		.report = s->report,
		.workers = s->workers,
		.cache_entries = (size_t)s->conf->cache_entries };
	int err = scan_judge_new(&jc, &s->judge);

	if (err < 0)
		return complain("judge", NULL, err);
	scan_reload_init(s);
	err = scan_reload_first(s);
	if (err < 0)
		return err; /* told */
	atomic_store(&s->ready, true);
	scan_guests_settle(s);
	err = scan_judge_start(s->judge, s->eps);
	return err < 0 ? complain("threads", NULL, err) : 0;
}

static int start_control(struct scan_service *s)
{
	const char *path = s->conf->control_socket, *name = s->conf->control_group;
	const struct group *gr;
	int err = scan_control_listen(s->control);

	if (err < 0)
		return complain(path, NULL, err);
	if (!name)
		return 0;
	gr = getgrnam(name);
	if (!gr)
		return complain(name, "control-group: no such group", -GI_ENOTFOUND);
	if (chown(path, (uid_t)-1, gr->gr_gid) < 0)
		return complain(path, NULL, -errno);
	return 0;
}

/* a descriptor a mux and a worker: the hard limit is the administrator's word */
static void raise_nofile(void)
{
	struct rlimit nofile;

	if (getrlimit(RLIMIT_NOFILE, &nofile) < 0)
		return;
	nofile.rlim_cur = nofile.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &nofile);
}

static unsigned int cpus(void)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;

	return n < 1 ? 1 : n > SCAN_SLOTS_MAX ? SCAN_SLOTS_MAX : (unsigned int)n;
}

static int start_values(struct scan_service *s)
{
	int err;

	s->started_ms = io_clock_real_ms();
	s->workers = s->conf->workers ? (unsigned int)s->conf->workers : cpus();
	(void)snprintf(s->software, sizeof(s->software), "%s %s", PROG, PACKAGE_VERSION);
	raise_nofile();
	/* before there is a thread: all have it */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return complain("no_new_privs", NULL, -errno);
	err = io_loop_new(&s->loop);
	if (err == 0)
		err = scan_vms_new(s->conf, &s->vms);
	if (err == 0)
		err = scan_control_new(s, &s->control);
	return err < 0 ? complain("start", NULL, err) : 0;
}

static void start_signals(struct scan_service *s)
{
	io_timer_start(s->loop, &s->sums, SUMS_MS, SUMS_MS, sums_cb, s);
	io_signal_start(s->loop, &s->term, SIGTERM, on_term, s);
	io_signal_start(s->loop, &s->intr, SIGINT, on_term, s);
	io_signal_start(s->loop, &s->hup, SIGHUP, on_hup, s);
	io_signal_start(s->loop, &s->usr1, SIGUSR1, on_usr1, s);
}

static int start(struct scan_service *s)
{
	const struct passwd *pw = geteuid() == 0 ? getpwnam(s->conf->user) : NULL;
	int err;

	if (geteuid() == 0 && !pw)
		return complain(s->conf->user, "user: no such user", -GI_ENOTFOUND);
	err = dir_make(s->conf->state_dir, 0750, pw);
	if (err == 0)
		err = dir_make(s->conf->tmp_dir, 0711, pw);
	if (err == 0)
		err = start_values(s);
	if (err == 0)
		err = start_report(s, pw);
	if (err == 0)
		err = start_eps(s);
	if (err < 0)
		return err;
	err = io_priv_drop(s->conf->user, 0);
	if (err == 0)
		err = io_priv_seccomp_spawner(); /* all threads */
	if (err < 0)
		return complain(s->conf->user, NULL, err);
	err = start_pool(s); /* until here a signal ends us at once */
	if (err == 0)
		err = start_judge(s);
	if (err == 0)
		err = start_control(s);
	if (err == 0)
		start_signals(s);
	return err;
}

static void stop(struct scan_service *s)
{
	if (s->eps)
		eps_stop(s->eps);
	if (s->pool)
		scan_pool_stop(s->pool);
	scan_judge_join(s->judge);
	if (s->judge)
		scan_reload_fini(s);
	eps_close(s->eps);
	if (s->vms && s->report)
		sums_tell(s, true);
	scan_control_free(s->control);
	scan_judge_free(s->judge);
	scan_pool_free(s->pool);
	scan_report_free(s->report);
	scan_vms_free(s->vms);
	io_tls_ctx_free(s->tls);
	if (s->live) {
		conf_free(&scan_conf_table, s->live);
		free(s->live);
	}
	if (!s->loop)
		return;
	io_timer_stop(s->loop, &s->sums);
	io_signal_stop(s->loop, &s->term);
	io_signal_stop(s->loop, &s->intr);
	io_signal_stop(s->loop, &s->hup);
	io_signal_stop(s->loop, &s->usr1);
	io_loop_free(s->loop);
}
