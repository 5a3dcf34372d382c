/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * drill.c - the verb drill: break it, watch, mend it, judge (drill.h)
 *
 * Whatever happens after the first step, Ctrl-C included: the driver mends, and idfwctl looks
 * until all is in sync again. Only SIGKILL of idfwctl leaves something broken; `drill mend` is for
 * that. Exit: 0 as expected, 1 it differs, 2 it could not be run (docs/control.md).
 */
#include "idfwctl/drill.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include "idfwctl/drillproc.h"
#include "idfwctl/drillsync.h"
#include "idfwctl/run.h"
#include "idfwctl/table.h"
#include "lib/base/text.h"
#include "lib/io/loop.h"

#define FOR_MAX_MS (24u * 3600 * 1000)
#define COMMAND_MS 60000 /* one order to the driver */
#define RUNNING_MS 60000 /* until the users work */
#define QUIET_MS 1000	 /* they work before it breaks, and after it is mended */
#define BACK_MS 20000	 /* in sync again, working again */
#define LOOK_MS 50
#define ORDER 0 /* among the processes */
#define HELD 1
#define LOGIN 2

struct drill {
	struct ctl_cli *cli;
	const char *driver, *vm;
	uint64_t for_ms, began;
	size_t connected; /* VMs, before */
	bool listed, begun, broken;
	struct drill_proc procs[DRILL_PROCS];
	struct drill_facts facts;
};

static volatile sig_atomic_t signalled;

static void on_signal(int signum)
{
	signalled = signum;
}

static void catch_signals(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGPIPE };
	const struct sigaction sa = { .sa_handler = on_signal };

	for (size_t i = 0; i < GI_ARRAY_SIZE(signals); i++)
		(void)sigaction(signals[i], &sa, NULL);
}

/* ---- what is told ---- */

static void step(const struct drill *d, const char *name, const char *fmt, ...) GI_PRINTF(3, 4);

static void step(const struct drill *d, const char *name, const char *fmt, ...)
{
	uint64_t at = io_clock_mono_ms() - d->began;
	char text[DRILL_TEXT];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (d->cli->json)
		(void)!ctl_put_json(json_pack("{s:s,s:s,s:I,s:s}", "type", "step", "step", name,
			"at_ms", (json_int_t)at, "text", text));
	else
		ctl_putf("%7" PRIu64 " ms  %s\n", at, text);
	(void)fflush(stdout);
}

static int cannot(const char *fmt, ...) GI_PRINTF(1, 2);

static int cannot(const char *fmt, ...)
{
	char text[CTL_WHY_MAX + DRILL_TEXT];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	ctl_complain(text);
	return -ECANCELED;
}

/* ---- the driver ---- */

static int start(struct drill *d, size_t which, const char *verb, const char *fault,
	int (*line)(void *arg, const char *line, uint64_t now), void *arg)
{
	char *const argv[] = { (char *)(uintptr_t)d->driver, (char *)(uintptr_t)verb,
		(char *)(uintptr_t)(fault ? fault : d->vm),
		(char *)(uintptr_t)(fault ? d->vm : NULL), NULL };
	int err = drill_proc_start(&d->procs[which], argv, line, arg);

	if (err)
		return cannot(
			"the driver \"%s\" cannot be started: %s", d->driver, gi_strerror(err));
	return 0;
}

/* lines, until @ms are over; -EINTR when a signal ends the drill */
static int pump(struct drill *d, int ms, bool mending)
{
	int err = drill_pump(d->procs, DRILL_PROCS, ms);

	if (signalled && !mending)
		return -EINTR;
	if (err == -EINTR)
		return 0;
	if (err)
		return cannot("the driver's words cannot be read: %s", gi_strerror(err));
	return 0;
}

/* one order to the driver, done when it returns */
static int order(struct drill *d, const char *verb, const char *fault, bool mending)
{
	uint64_t end = io_clock_mono_ms() + COMMAND_MS;
	struct drill_proc *p = &d->procs[ORDER];
	int err = start(d, ORDER, verb, fault, NULL, NULL);

	if (err)
		return err;
	drill_proc_close(p);
	while (!err && p->pid && io_clock_mono_ms() < end)
		err = pump(d, LOOK_MS, mending);
	if (p->pid) {
		drill_proc_kill(p);
		return err ? err : cannot("the driver does not end its \"%s\"", verb);
	}
	if (!err && (!WIFEXITED(p->status) || WEXITSTATUS(p->status) != 0))
		err = cannot("the driver could not do \"%s\"", verb);
	return err;
}

static int name_line(void *arg, const char *line, uint64_t now)
{
	struct drill *d = arg;

	(void)now;
	if (strcmp(line, d->vm) == 0)
		d->listed = true;
	return 0;
}

/* nothing but what the driver names is touched */
static int listed(struct drill *d)
{
	char *const argv[] = { (char *)(uintptr_t)d->driver, (char *)(uintptr_t) "vms", NULL };
	struct drill_proc *p = &d->procs[ORDER];
	int err = drill_proc_start(p, argv, name_line, d);

	if (err)
		return cannot(
			"the driver \"%s\" cannot be started: %s", d->driver, gi_strerror(err));
	drill_proc_close(p);
	while (!err && p->pid)
		err = pump(d, LOOK_MS, false);
	drill_proc_kill(p);
	if (!err && !d->listed)
		err = cannot(
			"the driver has no VM \"%s\" for drills; ask it: %s vms", d->vm, d->driver);
	return err;
}

static int watch_line(void *arg, const char *line, uint64_t now)
{
	return drill_watch_line(arg, line, now);
}

/* until @done says so; @who must not end before */
static int wait_users(struct drill *d, size_t who, const struct drill_watch *w,
	bool (*done)(const struct drill_watch *w), const char *what)
{
	uint64_t end = io_clock_mono_ms() + RUNNING_MS;
	int err = 0;

	while (!err && !done(w)) {
		if (!d->procs[who].pid)
			return cannot("%s: the driver's user is gone", what);
		if (io_clock_mono_ms() >= end)
			return cannot("%s: not within %d s", what, RUNNING_MS / 1000);
		err = pump(d, LOOK_MS, false);
	}
	return err;
}

static int run_for(struct drill *d, uint64_t ms)
{
	uint64_t end = io_clock_mono_ms() + ms, now;
	int err = 0;

	while (!err && (now = io_clock_mono_ms()) < end)
		err = pump(d, end - now < LOOK_MS ? (int)(end - now) : LOOK_MS, false);
	return err;
}

/* the user goes: his program ends when its input does */
static void leave(struct drill *d, size_t who)
{
	uint64_t end = io_clock_mono_ms() + 5000;

	drill_proc_close(&d->procs[who]);
	while (d->procs[who].pid && io_clock_mono_ms() < end)
		(void)!pump(d, LOOK_MS, true);
	drill_proc_kill(&d->procs[who]);
}

/* ---- steps ---- */

static int before(struct drill *d)
{
	struct drill_sync s;
	char why[CTL_WHY_MAX];

	if (drill_sync_ask(d->cli->socket, d->vm, &s, why) < 0)
		return cannot("%s", why);
	if (!s.known)
		return cannot("svm-idfw has no VM \"%s\"", d->vm);
	if (!drill_sync_all(&s, 1))
		return cannot("not all is well before the drill; see idfwctl status");
	d->connected = s.connected;
	step(d, "before", "%s is connected, %zu VMs run the policy, the directory answers", d->vm,
		s.connected);
	return 0;
}

/* who will come meanwhile comes once before: how long it takes, and so that he is known */
static int login_before(struct drill *d)
{
	struct drill_watch *w = &d->facts.login;
	uint64_t from = io_clock_mono_ms();
	int err = start(d, LOGIN, "login", NULL, watch_line, w);

	if (!err)
		err = wait_users(
			d, LOGIN, w, drill_watch_opens, "a login, before anything is broken");
	leave(d, LOGIN);
	if (err)
		return err;
	d->facts.before = w->in > from ? w->in - from : 0;
	*w = (struct drill_watch){ 0 };
	step(d, "login-before", "a login takes %" PRIu64 " ms, and has access by identity",
		d->facts.before);
	return 0;
}

static int users(struct drill *d)
{
	struct drill_watch *w = &d->facts.held;
	int err;

	d->begun = true;
	err = order(d, "begin", NULL, false);
	if (!err)
		err = login_before(d);
	if (!err)
		err = start(d, HELD, "watch", NULL, watch_line, w);
	if (!err)
		err = wait_users(d, HELD, w, drill_watch_runs, "held connections");
	if (!err)
		err = run_for(d, QUIET_MS);
	if (!err)
		step(d, "held",
			"%zu connections are held, both ways; new ones are opened all the time",
			w->n_flows);
	return err;
}

static int broken(struct drill *d)
{
	struct drill_facts *f = &d->facts;
	const char *fault = drill_fault_word(f->fault);
	int err;

	drill_watch_count(&f->held, io_clock_mono_ms());
	f->break_begin = io_clock_mono_ms();
	d->broken = true;
	err = order(d, "break", fault, false);
	f->break_end = io_clock_mono_ms();
	if (err)
		return err;
	step(d, "broken", "broken: %s", fault);
	f->login_begin = io_clock_mono_ms();
	err = start(d, LOGIN, "login", NULL, watch_line, &f->login);
	if (!err)
		err = run_for(d, d->for_ms);
	return err;
}

static bool works_again(const struct drill *d)
{
	return drill_watch_opens(&d->facts.held) && drill_watch_opens(&d->facts.login);
}

/* mended, and looked at until all is in sync again; @quiet: nobody is watched any more */
static int mended(struct drill *d, bool quiet)
{
	struct drill_facts *f = &d->facts;
	struct drill_sync s;
	char why[CTL_WHY_MAX];
	uint64_t end;
	int err;

	f->mend_begin = io_clock_mono_ms();
	err = order(d, "mend", NULL, quiet);
	f->mend_end = io_clock_mono_ms();
	if (err)
		return err;
	if (f->break_end)
		step(d, "mended", "mended after %" PRIu64 " ms", f->mend_begin - f->break_end);
	else
		step(d, "mended", "mended");
	end = f->mend_end + BACK_MS;
	while (!f->sync && io_clock_mono_ms() < end) {
		if (drill_sync_ask(d->cli->socket, d->vm, &s, why) == 0 &&
			drill_sync_all(&s, d->connected))
			f->sync = io_clock_mono_ms();
		err = pump(d, LOOK_MS, quiet);
		if (err)
			return err;
	}
	if (!f->sync)
		return cannot(
			"not in sync %d s after it was mended; see idfwctl status", BACK_MS / 1000);
	d->broken = false;
	step(d, "in-sync", "all is in sync again %" PRIu64 " ms after it was mended",
		f->sync - f->mend_end);
	while (!quiet && !err && !works_again(d) && io_clock_mono_ms() < end)
		err = pump(d, LOOK_MS, false);
	return err ? err : quiet ? 0 : run_for(d, QUIET_MS);
}

/* nothing is left broken and nobody is left there, however it ended */
static int clean_up(struct drill *d)
{
	int err = 0;

	if (signalled)
		step(d, "interrupted", "interrupted");
	leave(d, HELD);
	leave(d, LOGIN);
	drill_proc_kill(&d->procs[ORDER]);
	if (d->broken)
		err = mended(d, true);
	if (d->begun && order(d, "end", NULL, true) < 0)
		err = -ECANCELED;
	return err;
}

/* ---- the answer ---- */

static json_t *flow_json(const struct drill_flow *f, uint64_t broke)
{
	return json_pack("{s:s,s:I,s:I,s:I,s:b,s:I,s:I,s:I}", "flow", f->name, "lease_ms",
		(json_int_t)f->lease_ms, "gap_down_ms", (json_int_t)f->down.gap, "gap_up_ms",
		(json_int_t)f->up.gap, "ended", f->ended != 0, "opened", (json_int_t)f->opened,
		"shut", (json_int_t)f->shut, "gap_from_ms",
		(json_int_t)f->down.gap_from - (json_int_t)broke);
}

static json_t *result_json(
	const struct drill *d, const struct drill_finding *g, size_t n, size_t differ)
{
	const struct drill_facts *f = &d->facts;
	json_t *o = json_pack("{s:s,s:s,s:s,s:s,s:b,s:I,s:I,s:I,s:I,s:I,s:[],s:[]}", "type",
		"drill", "fault", drill_fault_name(f->fault), "how", drill_fault_how(f->fault),
		"vm", d->vm, "as_expected", differ == 0, "broken_ms",
		(json_int_t)(f->mend_begin - f->break_end), "in_sync_ms",
		(json_int_t)(f->sync - f->mend_end), "login_ms",
		(json_int_t)(f->login.in ? f->login.in - f->login_begin : 0), "login_before_ms",
		(json_int_t)f->before, "stall_ms", (json_int_t)f->held.tick.gap, "flows",
		"findings");

	for (size_t i = 0; o && i < f->held.n_flows; i++)
		(void)json_array_append_new(
			json_object_get(o, "flows"), flow_json(&f->held.flows[i], f->break_end));
	for (size_t i = 0; o && i < n; i++)
		(void)json_array_append_new(json_object_get(o, "findings"),
			json_pack("{s:s,s:s,s:s,s:b}", "what", g[i].what, "expected", g[i].expected,
				"measured", g[i].measured, "differs", g[i].differs));
	return o;
}

static int answer(struct drill *d)
{
	struct drill_finding g[DRILL_FINDINGS];
	size_t n, differ = 0;

	n = drill_judge(&d->facts, g);
	for (size_t i = 0; i < n; i++)
		differ += g[i].differs;
	if (d->cli->json)
		return ctl_put_json(result_json(d, g, n, differ)) < 0 ? CTL_EXIT_USAGE
		       : differ					      ? CTL_EXIT_NO
								      : CTL_EXIT_OK;
	printf("\n");
	for (size_t i = 0; i < n; i++) {
		enum ctl_tone tone = g[i].differs ? CTL_BAD : CTL_GOOD;

		printf("%s%s%s  ", ctl_tone_on(tone, d->cli->color),
			g[i].differs ? "DIFFERS" : "ok", ctl_tone_off(tone, d->cli->color));
		ctl_putf("%s: %s\n", g[i].what, g[i].measured);
		if (g[i].differs)
			ctl_putf("         expected: %s\n", g[i].expected);
	}
	printf(differ ? "\n%zu of %zu differ from the table in docs/failure.md\n"
		      : "\nas the table in docs/failure.md says\n",
		differ, n);
	return differ ? CTL_EXIT_NO : CTL_EXIT_OK;
}

/* ---- the verb ---- */

/* 500ms 3s 2m 1h */
static bool span_parse(const char *text, uint64_t *ret_ms)
{
	static const struct {
		const char *unit;
		uint64_t ms;
	} units[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 } };
	size_t digits = strspn(text, "0123456789");
	char number[12];
	uint64_t n;

	if (digits == 0 || digits >= sizeof(number))
		return false;
	memcpy(number, text, digits);
	number[digits] = '\0';
	for (size_t i = 0; i < GI_ARRAY_SIZE(units); i++) {
		if (strcmp(text + digits, units[i].unit) != 0 ||
			gi_text_u64(number, 1, FOR_MAX_MS / units[i].ms, &n) < 0)
			continue;
		*ret_ms = n * units[i].ms;
		return true;
	}
	return false;
}

static int fault_find(struct drill *d)
{
	const char *how = ctl_args_option(d->cli, "fault");
	int err = drill_fault_find(d->cli->pos[0], how, &d->facts.fault);

	if (err == -ENOTSUP)
		return cannot("\"%s\" has no --fault %s: it is kill or stop, of agent, mux, svm "
			      "and directory",
			d->cli->pos[0], how);
	if (err)
		return cannot(
			"there is no drill \"%s\": agent, mux, svm, directory, partition, or mend",
			d->cli->pos[0]);
	return 0;
}

static bool arguments(struct drill *d, bool mend)
{
	const char *span = ctl_args_option(d->cli, "for");

	d->vm = ctl_args_option(d->cli, "vm");
	d->driver = ctl_args_option(d->cli, "driver");
	if (!d->driver)
		d->driver = getenv("IDFW_DRILL_DRIVER");
	if (!mend && fault_find(d) < 0)
		return false;
	if (!d->vm)
		(void)cannot("\"drill\" needs --vm VM: on which VM are users watched?");
	else if (!mend && (!span || !span_parse(span, &d->for_ms)))
		(void)cannot("\"drill\" needs --for T: 500ms, 3s, 2m, at most 24h");
	else if (!d->driver || !d->driver[0])
		(void)cannot(
			"there is no driver: nobody who could break and mend anything.\n"
			"  In the lab: ./dev lab drill FAULT --vm VM --for T. Elsewhere: name a "
			"program with --driver\n  or IDFW_DRILL_DRIVER; what it has to do is in "
			"docs/control.md, \"The driver of drills\".");
	else
		return true;
	return false;
}

static int drill(struct drill *d, bool mend)
{
	int err = listed(d);

	if (mend) {
		d->begun = d->broken = !err;
		return err;
	}
	if (!err)
		err = before(d);
	if (!err)
		err = users(d);
	if (!err)
		err = broken(d);
	if (!err)
		err = mended(d, false);
	if (!err) {
		drill_watch_finish(&d->facts.held, io_clock_mono_ms());
		drill_watch_finish(&d->facts.login, io_clock_mono_ms());
	}
	return err;
}

int ctl_run_drill(struct ctl_cli *cli)
{
	bool mend = strcmp(cli->pos[0], "mend") == 0;
	struct drill d = { .cli = cli, .began = io_clock_mono_ms() };
	int err, mess;

	if (!arguments(&d, mend))
		return CTL_EXIT_USAGE;
	catch_signals();
	err = drill(&d, mend);
	mess = clean_up(&d);
	if (err || mess)
		return CTL_EXIT_USAGE;
	return mend ? CTL_EXIT_OK : answer(&d);
}
