/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirload.c - load for the directory: the real engine, dirs.c and the directory child, no guests
 *
 *   dirload -c FILE resolve PREFIX FIRST COUNT TURNS   one account after the other, TURNS over
 *   dirload -c FILE flood PREFIX FIRST COUNT           all at once, as after a restart
 *   dirload -c FILE logins PREFIX ACCOUNTS RATE SECONDS   open loop: so many logins a second
 *   dirload -c FILE change PREFIX COUNT GROUP   that many sessions; "ready", then "enforced
 *       MICROSECONDS" (monotonic) for each change that a VM has acknowledged; until it is ended
 * FILE has `directory LABEL { ... }`; accounts are PREFIX and six digits. Used by
 * tests/bench/directory. Prints a line of JSON a turn. Logins go through the engine: 100 VMs that
 * acknowledge at once, from the time a login is due to its SessionReady. It is its own directory
 * child, as svm-idfw is.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/io/loop.h"
#include "svm-idfw/core.h"
#include "svm-idfw/dirs.h"
#include "tests/bench/dirstages.h"

#define N_VMS 100u
#define ACKS_MAX 4096
#define TICK_MS 1
#define SLOW_TICK_MS 100 /* nothing has to be done by it but what the engine does later */
#define GIVE_UP_US 120000000

struct load_conf {
	struct conf_array directories;
};

struct ack {
	struct idfw_vm *vm;
	uint64_t generation, version;
};

enum load_mode { LOAD_RESOLVE, LOAD_FLOOD, LOAD_LOGINS, LOAD_CHANGE };

struct load {
	struct io_loop *loop;
	struct idfw_dirs *dirs;
	struct io_timer tick;
	struct io_idle settle;
	enum load_mode mode;
	const char *prefix;
	unsigned int first, count, turns, turn;
	unsigned int rate, accounts;
	unsigned int asked, answered, found, failed, degraded;
	uint64_t began_us, due_us; /* of this turn; of the lookup at hand */
	uint64_t *took_us;	   /* owned; by number */
	uint64_t *late_us;	   /* owned; logins: begun so long after they were due */
	char (*sids)[64];	   /* owned; resolve: known since the first turn */
	/* logins */
	struct idfw_engine *e;
	struct ack acks[ACKS_MAX];
	size_t n_acks;
	unsigned int hits;
	uint64_t lookups;
	double cpu_s, child_cpu_s; /* at the beginning */
	uint64_t ran_us, answered_us,
		last_us; /* directory up; last login answered, account known */
	bool up, ran, said;
	const char *group; /* change: what the policy names */
};

static const struct conf_section sections[] = {
	{ .name = NULL, .size = sizeof(struct load_conf) },
	{ .name = "directory",
		.items = idfw_dir_conf_items,
		.n_items = IDFW_DIR_CONF_ITEMS,
		.size = sizeof(struct idfw_dir_conf),
		.offset = offsetof(struct load_conf, directories),
		.max = 1 },
};
static const struct conf_table table = { .sections = sections,
	.n_sections = GI_ARRAY_SIZE(sections),
	.block_checks = idfw_dir_conf_checks,
	.n_block_checks = IDFW_DIR_CONF_CHECKS };

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	(void)fprintf(stderr, "dirload: %s\n", what);
	exit(1);
}

static int by_time(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Pss and processor time of the directory child, the only one we have */
static void child_figures(double *ret_mib, double *ret_cpu_s)
{
	char path[64], line[512];
	unsigned long user = 0, system = 0, kib;
	int pid = 0, c;
	FILE *f;

	*ret_mib = *ret_cpu_s = 0;
	(void)snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	f = fopen(path, "r");
	c = f ? fscanf(f, "%d", &pid) : 0;
	if (f)
		(void)fclose(f);
	if (c != 1)
		return;
	(void)snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Pss: %lu", &kib) == 1)
			*ret_mib = (double)kib / 1024;
	if (f)
		(void)fclose(f);
	(void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "r");
	if (f && fgets(line, sizeof(line), f) && strrchr(line, ')') &&
		sscanf(strrchr(line, ')'), ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
			&user, &system) == 2)
		*ret_cpu_s = (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
	if (f)
		(void)fclose(f);
}

static double cpu_s(const struct rusage *u)
{
	return (double)(u->ru_utime.tv_sec + u->ru_stime.tv_sec) +
	       (double)(u->ru_utime.tv_usec + u->ru_stime.tv_usec) / 1e6;
}

static void report(struct load *l)
{
	static const char *const modes[] = { "resolve", "flood", "logins", "change" };
	double s = (double)(l->answered_us - l->began_us) / 1e6, mib, cpu;
	unsigned int n = l->answered;
	struct idfw_stats st;
	struct rusage used;

	if (!l->e)
		s = (double)(io_clock_mono_us() - l->began_us) / 1e6;
	child_figures(&mib, &cpu);
	cpu -= l->child_cpu_s;
	qsort(l->took_us, n, sizeof(*l->took_us), by_time);
	(void)printf("\"phase\":\"%s\",\"turn\":%u,\"n\":%u,\"found\":%u,\"failed\":%u,"
		     "\"seconds\":%.2f,\"per_second\":%.0f,\"p50_us\":%llu,\"p99_us\":%llu,"
		     "\"child_mib\":%.1f,\"child_cpu_s\":%.2f",
		modes[l->mode], l->turn, n, l->found, l->failed, s, n / s,
		(unsigned long long)(n ? l->took_us[n / 2] : 0),
		(unsigned long long)(n ? l->took_us[n * 99UL / 100] : 0), mib, cpu);
	if (l->e) {
		idfw_engine_stats(l->e, &st);
		(void)getrusage(RUSAGE_SELF, &used);
		qsort(l->late_us, l->asked, sizeof(*l->late_us), by_time);
		(void)printf(",\"known_per_second\":%.0f",
			l->found * 1e6 /
				(double)(l->last_us > l->began_us ? l->last_us - l->began_us : 1));
		(void)printf(",\"engine_cpu_s\":%.2f,\"late_p50_us\":%llu,\"late_p99_us\":%llu",
			cpu_s(&used) - l->cpu_s, (unsigned long long)l->late_us[l->asked / 2],
			(unsigned long long)l->late_us[l->asked * 99UL / 100]);
		(void)printf(",\"offered_per_second\":%u,\"accounts\":%u,\"degraded\":%u,"
			     "\"lookups\":%llu,\"cache_hits\":%u,\"coalesced\":%lld",
			l->rate, l->accounts, l->degraded,
			(unsigned long long)(st.lookups - l->lookups), l->hits,
			(long long)l->asked - l->hits - (long long)(st.lookups - l->lookups));
	}
	(void)printf("\n");
}

static void name_of(const struct load *l, unsigned int n, char ret[32])
{
	(void)snprintf(ret, 32, "%s%06u", l->prefix, l->first + n);
}

/* ---- straight to the directory ---- */

static void ask(struct load *l)
{
	struct idfw_principal known = { .sid = l->sids[l->asked],
		.presence = l->mode == LOAD_FLOOD ? IDFW_P_FOUND : IDFW_P_PENDING };
	char name[32];

	name_of(l, l->asked++, name);
	l->due_us = io_clock_mono_us();
	must(idfw_dirs_lookup(l->dirs, name, name, "", &known) == 0, "a lookup is refused");
}

static void turn_begin(struct load *l)
{
	l->asked = l->answered = l->found = l->failed = 0;
	l->began_us = io_clock_mono_us();
	do
		ask(l);
	while (l->mode == LOAD_FLOOD && l->asked < l->count);
}

static void on_answer(struct load *l, const struct idfw_principal *p)
{
	uint64_t now = io_clock_mono_us();

	if (l->mode == LOAD_RESOLVE && p->sid)
		(void)snprintf(l->sids[l->answered], sizeof(l->sids[0]), "%s", p->sid);
	l->took_us[l->answered++] = now - l->due_us;
	l->found += p->presence == IDFW_P_FOUND;
	l->failed += p->presence == IDFW_P_UNAVAILABLE;
	if (l->answered < l->count) {
		if (l->mode == LOAD_RESOLVE)
			ask(l);
		return;
	}
	report(l);
	if (++l->turn == l->turns)
		io_loop_stop(l->loop);
	else
		turn_begin(l);
}

/* ---- through the engine ---- */

static void ack_later(struct load *l, struct idfw_vm *vm, uint64_t generation, uint64_t version)
{
	must(l->n_acks < ACKS_MAX, "too many pushes at once");
	l->acks[l->n_acks++] = (struct ack){ vm, generation, version };
}

static int out_state(void *arg, struct idfw_vm *vm, const struct fw_state *s)
{
	ack_later(arg, vm, fw_state_ruleset(s)->generation, fw_state_version(s));
	return 0;
}

static int out_delta(void *arg, struct idfw_vm *vm, const struct fw_delta *d)
{
	ack_later(arg, vm, d->generation, d->version);
	return 0;
}

/* a session's number is that of its login, on the VM */
static void out_send(void *arg, struct idfw_vm *vm, const Idfw__Envelope *e)
{
	struct load *l = arg;
	unsigned int n;

	if (e->body_case != IDFW__ENVELOPE__BODY_SESSION_READY)
		return;
	n = (unsigned int)(e->session_ready->id - 1) * N_VMS +
	    (unsigned int)strtoul(vm->name + 2, NULL, 10);
	must(n < l->count, "an answer for nobody");
	l->took_us[n] = io_clock_mono_us() - (l->began_us + (uint64_t)n * 1000000 / l->rate);
	l->answered++;
	l->answered_us = io_clock_mono_us();
	l->degraded += e->session_ready->state == IDFW__SESSION_READY__STATE__DEGRADED;
}

static void out_close(void *arg, struct idfw_vm *vm, const char *why)
{
	(void)arg;
	(void)vm;
	must(false, why);
}

static int out_lookup(void *arg, struct idfw_principal *p)
{
	return idfw_dirs_lookup(((struct load *)arg)->dirs, p->key, p->user, p->names_in, p);
}

static int out_store(void *arg, const struct idfw_record *r)
{
	(void)arg;
	(void)r;
	return 0;
}

static void say(struct load *l, struct idfw_vm *vm, const Idfw__Envelope *e)
{
	const char *why = "";

	must(idfw_engine_guest_message(l->e, vm, e, &why) == 0, why);
}

static void engine_settle(struct load *l)
{
	bool told = l->n_acks > 0 && l->mode == LOAD_CHANGE && l->answered == l->count;

	idfw_engine_clock(l->e, io_clock_mono_ms(), io_clock_real_ms());
	(void)idfw_engine_tick(l->e);
	idfw_engine_flush(l->e);
	told |= l->n_acks > 0 && l->mode == LOAD_CHANGE && l->answered == l->count;
	while (l->n_acks) {
		Idfw__Applied ap = IDFW__APPLIED__INIT;
		Idfw__Envelope env = IDFW__ENVELOPE__INIT;
		struct ack a = l->acks[--l->n_acks];

		ap.generation = a.generation;
		ap.version = a.version;
		env.body_case = IDFW__ENVELOPE__BODY_APPLIED;
		env.applied = &ap;
		say(l, a.vm, &env);
		if (!l->n_acks)
			idfw_engine_flush(l->e);
	}
	if (told)
		dir_stage("enforced");
	if (told && l->said)
		(void)printf("enforced %llu\n", (unsigned long long)io_clock_mono_us());
}

static void settle_cb(struct io_idle *w)
{
	engine_settle(w->arg);
}

/* before each call into the engine: all that a round brings goes out at its end, as in svm-idfw */
static void engine_round(struct load *l)
{
	idfw_engine_clock(l->e, io_clock_mono_ms(), io_clock_real_ms());
	io_idle_once(l->loop, &l->settle, settle_cb, l);
}

static void vm_up(struct load *l, unsigned int i)
{
	uint8_t boot[16] = { 1 }, addr[4] = { 10, 1, (uint8_t)i, 1 };
	ProtobufCBinaryData data = { sizeof(addr), addr };
	Idfw__VmUp up = IDFW__VM_UP__INIT;
	Idfw__Hello h = IDFW__HELLO__INIT;
	Idfw__Addresses addrs = IDFW__ADDRESSES__INIT;
	Idfw__Snapshot snap = IDFW__SNAPSHOT__INIT;
	Idfw__Marks marks = IDFW__MARKS__INIT;
	Idfw__Envelope env = IDFW__ENVELOPE__INIT;
	struct idfw_vm *vm;
	char name[16];

	(void)snprintf(name, sizeof(name), "vm%u", i);
	must(idfw_engine_guest_up(l->e, name, "host1", &up, &vm) == 0, "a VM is refused");
	h.version_min = h.version_max = 1;
	h.boot_id = (ProtobufCBinaryData){ sizeof(boot), boot };
	env.body_case = IDFW__ENVELOPE__BODY_HELLO;
	env.hello = &h;
	say(l, vm, &env);
	addrs.addr = &data;
	addrs.n_addr = 1;
	snap.first = snap.last = marks.first = marks.last = true;
	snap.addresses = &addrs;
	env.body_case = IDFW__ENVELOPE__BODY_SNAPSHOT;
	env.snapshot = &snap;
	say(l, vm, &env);
	env.body_case = IDFW__ENVELOPE__BODY_MARKS;
	env.marks = &marks;
	say(l, vm, &env);
	engine_settle(l);
}

static void engine_start(struct load *l)
{
	char text[512];
	const struct idfw_engine_conf conf = {
		.min_uid = 1000, .ready_timeout_ms = 2000, .seed = { 1, 2 }
	};
	const struct idfw_out out = { .arg = l,
		.send = out_send,
		.send_state = out_state,
		.send_delta = out_delta,
		.close_guest = out_close,
		.lookup = out_lookup,
		.store = out_store };
	struct conf_diags diags;
	struct pol_policy *p;
	unsigned int i;

	must(idfw_engine_new(&conf, &out, &l->e) == 0, "no engine");
	idfw_engine_clock(l->e, io_clock_mono_ms(), io_clock_real_ms());
	(void)snprintf(text, sizeof(text),
		"group eng { directory \"%s\"; } group ops { directory \"g000100\"; }\n"
		"group db { vm vm99; }\n"
		"section application { rule a allow from eng to db service ssh; "
		"rule b allow from ops to any; }\n",
		l->group ? l->group : "g000001");
	conf_diags_init(&diags, "policy", text, strlen(text));
	must(pol_parse(text, strlen(text), &diags, &p) == 0, "the policy is wrong");
	conf_diags_fini(&diags);
	must(idfw_engine_policy(l->e, p, 1) == 0, "the policy is refused");
	for (i = 0; i < N_VMS; i++)
		vm_up(l, i);
}

static void login(struct load *l, unsigned int n)
{
	static char service[] = "sshd", tty[] = "pts/1", rhost[] = "10.9.1.1", auth[] = "publickey";
	unsigned int who = (unsigned int)((uint64_t)n * 7919 % l->accounts);
	Idfw__Session s = IDFW__SESSION__INIT;
	Idfw__SessionOpen open = IDFW__SESSION_OPEN__INIT;
	Idfw__Event ev = IDFW__EVENT__INIT;
	Idfw__Envelope env = IDFW__ENVELOPE__INIT;
	struct idfw_principal *p;
	char user[32], vm[16];

	name_of(l, who, user);
	(void)snprintf(vm, sizeof(vm), "vm%u", n % N_VMS);
	if (idfw_principal_get(l->e, user, "", &p) == 0)
		l->hits += p->presence == IDFW_P_FOUND && !p->stale;
	s.id = ev.seq = n / N_VMS + 1;
	s.user = user;
	s.uid = 10000 + who;
	s.service = service;
	s.tty = tty;
	s.rhost = rhost;
	s.auth = auth;
	open.session = &s;
	ev.body_case = IDFW__EVENT__BODY_OPEN;
	ev.open = &open;
	env.body_case = IDFW__ENVELOPE__BODY_EVENT;
	env.event = &ev;
	say(l, idfw_engine_vm(l->e, vm), &env);
}

/* as in a service that runs: all groups are known to the child, which reads them at its start */
static bool begun(struct load *l, uint64_t now)
{
	struct idfw_dir_info in;
	struct idfw_stats st;
	struct rusage used;

	if (l->began_us)
		return true;
	idfw_dir_info(idfw_dirs_get(l->dirs, 0), &in);
	if (in.picture.picture == IDFW__DIR_STATE__PICTURE__READING)
		return false;
	l->began_us = now;
	idfw_engine_stats(l->e, &st);
	l->lookups = st.lookups;
	(void)getrusage(RUSAGE_SELF, &used);
	l->cpu_s = cpu_s(&used);
	child_figures(&(double){ 0 }, &l->child_cpu_s);
	return true;
}

/* every login, and every lookup: also those whose logins were told DEGRADED */
static bool done(struct load *l)
{
	struct idfw_stats st;

	idfw_engine_stats(l->e, &st);
	return l->answered == l->count && l->found + l->failed >= st.lookups - l->lookups;
}

static void tick_cb(struct io_timer *w)
{
	struct load *l = w->arg;
	uint64_t now = io_clock_mono_us(), due;

	must(l->said || now - l->ran_us < GIVE_UP_US, "not all logins are answered");
	if (!begun(l, now))
		return;
	due = (now - l->began_us) * l->rate / 1000000;
	engine_round(l);
	for (; l->asked < l->count && l->asked < due; l->asked++) {
		l->late_us[l->asked] =
			io_clock_mono_us() - l->began_us - (uint64_t)l->asked * 1000000 / l->rate;
		login(l, l->asked);
	}
	if (l->mode == LOAD_CHANGE && l->answered == l->count && !l->said) {
		l->said = true;
		io_timer_start(l->loop, &l->tick, SLOW_TICK_MS, SLOW_TICK_MS, tick_cb, l);
		(void)printf("ready\n");
	} else if (l->mode != LOAD_CHANGE && done(l)) {
		report(l);
		io_loop_stop(l->loop);
	}
}

/* ---- of the directory ---- */

static void on_principal(void *arg, const char *key, const struct idfw_principal *p)
{
	struct load *l = arg;

	if (!l->e) {
		on_answer(l, p);
		return;
	}
	dir_stage("known");
	engine_round(l);
	l->found += p->presence == IDFW_P_FOUND;
	l->failed += p->presence == IDFW_P_UNAVAILABLE;
	l->last_us = io_clock_mono_us();
	idfw_engine_principal(l->e, key, p);
}

static void on_changed(void *arg, const char *label, const struct idfw_changes *c)
{
	struct load *l = arg;
	struct idfw_changes of = *c;

	of.directory = label;
	dir_stage("heard");
	if (!l->e)
		return;
	engine_round(l);
	idfw_engine_directory_changed(l->e, &of);
}

/* one directory: there are none */
static void on_collision(
	void *arg, const char *name, const char *const labels[2], const char *const ids[2])
{
	(void)arg;
	(void)name;
	(void)labels;
	(void)ids;
}

static void on_state(void *arg, const char *label, bool up, const char *why)
{
	struct load *l = arg;

	if (l->e) {
		engine_round(l);
		idfw_engine_directory_state(l->e, label, up, why);
	}
	must(up || !l->ran, why);
	if (!up || l->ran)
		return;
	l->ran = true;
	if (l->e) {
		l->ran_us = io_clock_mono_us();
		io_timer_start(l->loop, &l->tick, TICK_MS, TICK_MS, tick_cb, l);
	} else {
		turn_begin(l);
	}
}

static struct idfw_dir_conf *conf_load(const char *path, struct load_conf *ret)
{
	struct conf_diags diags;
	const char *why = "";
	char *text = NULL;
	size_t len = 0;

	must(conf_read_file(path, 1u << 20, &text, &len) == 0, "cannot read the configuration");
	conf_diags_init(&diags, path, text, len);
	must(conf_parse(&table, text, len, &diags, ret) == 0 && ret->directories.n == 1,
		"the configuration is wrong");
	conf_diags_fini(&diags);
	free(text);
	must(idfw_dir_conf_check(ret->directories.elems, &why) == 0, why);
	return ret->directories.elems;
}

static unsigned int number(const char *text)
{
	return (unsigned int)strtoul(text, NULL, 10);
}

int main(int argc, char **argv)
{
	static const struct idfw_dirs_ops ops = { on_principal, on_changed, on_state,
		on_collision };
	static const struct conf_list no_maps;
	static struct load l;
	struct load_conf conf = { .directories = { NULL, 0 } };
	struct idfw_dir_conf *d;

	gi_log_init("dirload", GI_LOG_WARN);
	if (argc >= 5 && strcmp(argv[1], "--directory") == 0)
		return idfw_dir_child_main(conf_load(argv[4], &conf), argc > 5 ? argv[5] : NULL);
	must(argc >= 7 && strcmp(argv[1], "-c") == 0, "see the head of dirload.c");
	d = conf_load(argv[2], &conf);
	must(io_loop_new(&l.loop) == 0, "cannot start");
	l.prefix = argv[4];
	l.first = number(argv[5]);
	l.count = number(argv[6]);
	l.turns = 1;
	if (strcmp(argv[3], "logins") == 0) {
		must(argc == 8, "see the head of dirload.c");
		l.mode = LOAD_LOGINS;
		l.first = 1;
		l.accounts = number(argv[5]);
		l.rate = number(argv[6]);
		l.count = l.rate * number(argv[7]);
		engine_start(&l);
	} else if (strcmp(argv[3], "change") == 0) {
		l.mode = LOAD_CHANGE;
		l.group = argv[6];
		l.first = 1;
		l.accounts = l.count = l.rate = number(argv[5]);
		(void)setvbuf(stdout, NULL, _IOLBF, 0);
		engine_start(&l);
	} else if (strcmp(argv[3], "flood") == 0) {
		l.mode = LOAD_FLOOD;
	} else {
		must(argc == 8, "see the head of dirload.c");
		l.mode = LOAD_RESOLVE;
		l.turns = number(argv[7]);
	}
	l.took_us = calloc(l.count + 1, sizeof(*l.took_us));
	l.late_us = calloc(l.count + 1, sizeof(*l.late_us));
	l.sids = calloc(l.count + 1, sizeof(*l.sids));
	must(l.took_us && l.late_us && l.sids &&
			idfw_dirs_new(l.loop, argv[2], d, 1, &no_maps, &ops, &l, &l.dirs) == 0,
		"cannot start");
	io_loop_run(l.loop);
	idfw_dirs_free(l.dirs);
	idfw_engine_free(l.e);
	io_loop_free(l.loop);
	free(l.took_us);
	free(l.late_us);
	free(l.sids);
	conf_free(&table, &conf);
	return 0;
}
