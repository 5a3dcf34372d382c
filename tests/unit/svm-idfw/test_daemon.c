/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_daemon.c - the real svm-idfw process, seen from its muxes: TLS, bad input, restarts
 *
 * The test plays muxes and the agents behind them. The daemon listens on a unix socket in the
 * test's directory (TLS is the same there), has no directory, and its database is real.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "lib/base/buf.h"
#include "lib/io/chan.h"
#include "lib/io/sock.h"
#include "lib/io/tls.h"
#include "lib/wire/wire.h"
#include "tests/unit/io/certs.h"

#define PATH_LEN 256
#define WAIT_MS 120000
#define SEEN_MAX 256

extern char **environ;

struct seen { /* what arrived at a mux */
	char vm[64];
	int body;	 /* of Routed */
	int inner;	 /* of the Envelope in it */
	uint64_t number; /* acked_seq, seq, session id, version */
	int state;	 /* of SessionReady, reason of Refused */
	char text[160];
};

struct mux {
	struct io_chan *chan; /* NULL: closed */
	bool ready, closed;
	struct seen seen[SEEN_MAX];
	size_t n_seen;
	bool counting; /* only the newest EventAck and the closes are kept */
	uint64_t acked;
	size_t closes;
};

static struct {
	char dir[64];
	struct cert_ca *ca, *other;
	struct io_loop *loop;
	pid_t daemon;
	struct mux muxes[3];
} bed;

static const char policy_text[] =
	"default in drop; default out drop;\n"
	"group db { vm db01; }\n"
	"section infrastructure { rule ping allow from any to any service icmp; }\n"
	"section application { rule eng allow from directory \"eng\" to db; }\n";

/* ---- the bed ---- */

static const char *path(const char *name)
{
	static char buf[8][PATH_LEN];
	static int next;
	char *p = buf[next = (next + 1) % 8];

	assert_true(snprintf(p, PATH_LEN, "%s/%s", bed.dir, name) < PATH_LEN);
	return p;
}

static void write_file(const char *name, const char *text)
{
	FILE *f = fopen(path(name), "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path(name), 0644), 0);
}

static void write_conf(const char *extra)
{
	char text[2048];

	assert_true(snprintf(text, sizeof(text),
			    "listen \"unix:%1$s/run/listen\"; ca \"%1$s/ca.pem\"; cert "
			    "\"%1$s/svm.pem\"; key \"%1$s/svm.key\";\n"
			    "mux-names host1, host2; state-dir \"%1$s/state\"; user \"nobody\";\n"
			    "events-max 1000000; push-deadline 1h; sessions-max 200000; policy "
			    "\"%1$s/policy.idfw\"; control-socket \"%1$s/run/ctl\"; %2$s\n",
			    bed.dir, extra) < (int)sizeof(text));
	write_file("svm.conf", text);
}

static pid_t daemon_spawn(const char *arg)
{
	char bin[PATH_LEN];
	const char *top = getenv("top_builddir");
	char *argv[] = { bin, (char *)(uintptr_t) "-c", (char *)(uintptr_t)path("svm.conf"),
		(char *)(uintptr_t)arg, NULL };
	posix_spawn_file_actions_t fa;
	pid_t pid = 0;

	assert_true(snprintf(bin, sizeof(bin), "%s/svm-idfw/svm-idfw", top ? top : ".") < PATH_LEN);
	assert_int_equal(posix_spawn_file_actions_init(&fa), 0);
	assert_int_equal(posix_spawn_file_actions_addopen(
				 &fa, 2, path("log"), O_CREAT | O_APPEND | O_WRONLY, 0644),
		0);
	if (posix_spawn(&pid, bin, &fa, NULL, argv, environ) != 0)
		fail_msg("cannot run %s", bin);
	(void)posix_spawn_file_actions_destroy(&fa);
	return pid;
}

static int wait_code(pid_t pid)
{
	int status = 0;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static bool log_has(const char *words)
{
	char line[4096];
	bool found = false;
	FILE *f = fopen(path("log"), "r");

	while (f && !found && fgets(line, sizeof(line), f))
		found = strstr(line, words) != NULL;
	if (f)
		(void)fclose(f);
	return found;
}

/* runs the loop until the condition holds */
#define WAIT_FOR(cond)                                                     \
	do {                                                               \
		uint64_t until_ = io_clock_mono_ms() + WAIT_MS;            \
		while (!(cond)) {                                          \
			if (io_clock_mono_ms() > until_)                   \
				fail_msg("waited in vain for: %s", #cond); \
			io_loop_run_once(bed.loop, 20);                    \
		}                                                          \
	} while (0)

static void daemon_start(void)
{
	bed.daemon = daemon_spawn("-d");
	WAIT_FOR(access(path("run/ctl"), F_OK) == 0);
}

static int daemon_stop(int signum)
{
	pid_t pid = bed.daemon;

	bed.daemon = 0;
	assert_int_equal(kill(pid, signum), 0);
	return wait_code(pid);
}

/* ---- a mux ---- */

static void note_inner(struct seen *s, const uint8_t *buf, size_t len)
{
	Idfw__Envelope *e = NULL;
	const char *why = "";

	if (wire_envelope_decode(buf, len, WIRE_SVM_TO_AGENT, WIRE_OPEN, &e, &why) < 0 &&
		wire_envelope_decode(buf, len, WIRE_SVM_TO_AGENT, WIRE_NEW, &e, &why) < 0)
		fail_msg("svm-idfw sent: %s", why);
	s->inner = (int)e->body_case;
	switch (e->body_case) {
	case IDFW__ENVELOPE__BODY_HELLO_ACK:
		assert_string_equal(e->hello_ack->software, "svm-idfw " PACKAGE_VERSION);
		s->number = e->hello_ack->acked_seq;
		break;
	case IDFW__ENVELOPE__BODY_EVENT_ACK:
		s->number = e->event_ack->seq;
		break;
	case IDFW__ENVELOPE__BODY_SESSION_READY:
		s->number = e->session_ready->id;
		s->state = (int)e->session_ready->state;
		break;
	case IDFW__ENVELOPE__BODY_RULESET_COMMIT:
		s->number = e->ruleset_commit->version;
		break;
	case IDFW__ENVELOPE__BODY_REFUSED:
		s->state = (int)e->refused->reason;
		(void)snprintf(s->text, sizeof(s->text), "%s", e->refused->text);
		break;
	default:
		break;
	}
	wire_envelope_free(e);
}

static void mux_frame(void *arg, struct io_chan *c, const uint8_t *buf, size_t len)
{
	struct mux *m = arg;
	Idfw__Routed *r = NULL;
	const char *why = "";
	struct seen *s = &m->seen[m->n_seen];

	(void)c;
	assert_true(m->n_seen < SEEN_MAX);
	if (wire_routed_decode(buf, len, false, WIRE_OPEN, &r, &why) < 0 &&
		wire_routed_decode(buf, len, false, WIRE_NEW, &r, &why) < 0)
		fail_msg("svm-idfw sent: %s", why);
	*s = (struct seen){ .body = (int)r->body_case };
	(void)snprintf(s->vm, sizeof(s->vm), "%s", r->vm);
	if (r->body_case == IDFW__ROUTED__BODY_ENVELOPE)
		note_inner(s, r->envelope.data, r->envelope.len);
	if (r->body_case == IDFW__ROUTED__BODY_CLOSE)
		(void)snprintf(s->text, sizeof(s->text), "%s", r->close->why);
	if (r->body_case == IDFW__ROUTED__BODY_REFUSED) {
		s->state = (int)r->refused->reason;
		(void)snprintf(s->text, sizeof(s->text), "%s", r->refused->text);
	}
	m->n_seen++;
	if (m->counting) {
		if (s->inner == IDFW__ENVELOPE__BODY_EVENT_ACK)
			m->acked = s->number;
		m->closes += s->body == IDFW__ROUTED__BODY_CLOSE;
		m->n_seen--;
	}
	wire_routed_free(r);
}

static void mux_ready(void *arg, struct io_chan *c)
{
	(void)c;
	((struct mux *)arg)->ready = true;
}

static void mux_closed(void *arg, struct io_chan *c, int err, const char *why)
{
	struct mux *m = arg;

	(void)err;
	(void)why;
	m->closed = true;
	m->chan = NULL;
	io_chan_free(c);
}

static const struct io_chan_ops mux_ops = {
	.ready = mux_ready, .frame = mux_frame, .closed = mux_closed
};

static void mux_connect(struct mux *m, const char *cert)
{
	static const struct io_chan_conf cc = { .max_frame = 1u << 20, .max_queue = 64u << 20 };
	char ca_file[PATH_LEN], cert_file[PATH_LEN], key_file[PATH_LEN], text[PATH_LEN], why[256];
	struct io_tls_conf conf = {
		.ca_file = ca_file, .cert_file = cert_file, .key_file = key_file
	};
	struct io_tls_ctx *ctx;
	struct io_tls *tls;
	struct io_endpoint ep;
	int fd;

	*m = (struct mux){ 0 };
	(void)snprintf(ca_file, sizeof(ca_file), "%s/ca.pem", bed.dir);
	(void)snprintf(cert_file, sizeof(cert_file), "%s/%s.pem", bed.dir, cert);
	(void)snprintf(key_file, sizeof(key_file), "%s/%s.key", bed.dir, cert);
	(void)snprintf(text, sizeof(text), "unix:%s/run/listen", bed.dir);
	if (io_tls_ctx_new(&conf, why, &ctx))
		fail_msg("%s", why);
	assert_int_equal(io_tls_new(ctx, "svm.test", &tls), 0);
	assert_int_equal(io_endpoint_parse(text, &ep), 0);
	assert_int_equal(io_sock_connect(&ep, &fd), 0);
	assert_int_equal(io_chan_new(bed.loop, fd, tls, &cc, &mux_ops, m, &m->chan), 0);
	io_tls_ctx_free(ctx);
}

static void mux_drop(struct mux *m)
{
	io_chan_free(m->chan);
	m->chan = NULL;
}

static const struct seen *mux_saw(struct mux *m, const char *vm, int body, int inner)
{
	for (size_t i = 0; i < m->n_seen; i++)
		if (m->seen[i].body == body && m->seen[i].inner == inner &&
			!strcmp(m->seen[i].vm, vm))
			return &m->seen[i];
	return NULL;
}

static void mux_send(struct mux *m, const Idfw__Routed *r)
{
	struct gi_buf b;

	gi_buf_init(&b, WIRE_ROUTED_MAX);
	assert_int_equal(wire_routed_encode(r, &b), 0);
	assert_non_null(m->chan);
	assert_int_equal(io_chan_send(m->chan, b.data, b.len), 0);
	gi_buf_fini(&b);
}

static void mux_hello(struct mux *m, uint32_t lo, uint32_t hi)
{
	Idfw__Hello h = IDFW__HELLO__INIT;
	Idfw__Routed r;

	idfw__routed__init(&r);
	h.version_min = lo;
	h.version_max = hi;
	r.body_case = IDFW__ROUTED__BODY_HELLO;
	r.hello = &h;
	mux_send(m, &r);
}

static void mux_up(struct mux *m, const char *vm)
{
	Idfw__VmUp up = IDFW__VM_UP__INIT;
	Idfw__Routed r;

	idfw__routed__init(&r);
	up.transport = (char *)(uintptr_t) "unix";
	r.vm = (char *)(uintptr_t)vm;
	r.body_case = IDFW__ROUTED__BODY_UP;
	r.up = &up;
	mux_send(m, &r);
}

static void mux_bytes(struct mux *m, const char *vm, const void *buf, size_t len)
{
	Idfw__Routed r;

	idfw__routed__init(&r);
	r.vm = (char *)(uintptr_t)vm;
	r.body_case = IDFW__ROUTED__BODY_ENVELOPE;
	r.envelope.data = (uint8_t *)(uintptr_t)buf;
	r.envelope.len = len;
	mux_send(m, &r);
}

static void mux_envelope(struct mux *m, const char *vm, const Idfw__Envelope *e)
{
	struct gi_buf b;

	gi_buf_init(&b, WIRE_FRAME_MAX);
	assert_int_equal(wire_envelope_encode(e, &b), 0);
	mux_bytes(m, vm, b.data, b.len);
	gi_buf_fini(&b);
}

static void guest_hello(struct mux *m, const char *vm, uint32_t version)
{
	static uint8_t boot[16] = { 1, 2, 3 };
	Idfw__Hello h = IDFW__HELLO__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;

	mux_up(m, vm);
	h.version_min = h.version_max = version;
	h.boot_id.data = boot;
	h.boot_id.len = sizeof(boot);
	e.body_case = IDFW__ENVELOPE__BODY_HELLO;
	e.hello = &h;
	mux_envelope(m, vm, &e);
}

static void fill_root(Idfw__Session *s, uint64_t id)
{
	static char user[] = "root", service[] = "sshd";

	idfw__session__init(s);
	s->id = id;
	s->user = user;
	s->service = service;
	s->opened_ms = 1700000000000;
}

static void guest_greeting(struct mux *m, const char *vm, uint64_t seq, size_t n_sessions)
{
	static uint8_t addr[4] = { 10, 77, 1, 10 };
	ProtobufCBinaryData data = { sizeof(addr), addr };
	Idfw__Session s[4], *ptrs[4];
	Idfw__Addresses addrs = IDFW__ADDRESSES__INIT;
	Idfw__Snapshot snap = IDFW__SNAPSHOT__INIT;
	Idfw__Marks marks = IDFW__MARKS__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;

	guest_hello(m, vm, 1);
	addrs.addr = &data;
	addrs.n_addr = 1;
	for (size_t i = 0; i < n_sessions; i++) {
		fill_root(&s[i], i + 1);
		ptrs[i] = &s[i];
	}
	snap.seq = seq;
	snap.first = snap.last = true;
	snap.addresses = &addrs;
	snap.session = ptrs;
	snap.n_session = n_sessions;
	e.body_case = IDFW__ENVELOPE__BODY_SNAPSHOT;
	e.snapshot = &snap;
	mux_envelope(m, vm, &e);
	marks.first = marks.last = true;
	e.body_case = IDFW__ENVELOPE__BODY_MARKS;
	e.marks = &marks;
	mux_envelope(m, vm, &e);
}

static void guest_open(struct mux *m, const char *vm, uint64_t seq)
{
	Idfw__Session s;
	Idfw__SessionOpen open = IDFW__SESSION_OPEN__INIT;
	Idfw__Event ev = IDFW__EVENT__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;

	fill_root(&s, seq);
	open.session = &s;
	ev.seq = seq;
	ev.body_case = IDFW__EVENT__BODY_OPEN;
	ev.open = &open;
	e.body_case = IDFW__ENVELOPE__BODY_EVENT;
	e.event = &ev;
	mux_envelope(m, vm, &e);
}

/* a mux that is welcome */
static struct mux *mux_good(int i)
{
	static const char *const certs[] = { "host1", "host2", "host1" };
	struct mux *m = &bed.muxes[i];

	mux_connect(m, certs[i]);
	WAIT_FOR(m->ready);
	mux_hello(m, 1, 1);
	WAIT_FOR(mux_saw(m, "", IDFW__ROUTED__BODY_HELLO_ACK, 0));
	return m;
}

#define SAW_ENVELOPE(m, vm, inner) \
	mux_saw(m, vm, IDFW__ROUTED__BODY_ENVELOPE, IDFW__ENVELOPE__BODY_##inner)

/* ---- set-up ---- */

static int setup(void **state)
{
	(void)state;
	/* with a sanitizer: the daemon gives up what the leak check at its end needs (ptrace) */
	(void)setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
	memset(&bed, 0, sizeof(bed));
	(void)snprintf(bed.dir, sizeof(bed.dir), "/tmp/idfw-svm-XXXXXX");
	if (!mkdtemp(bed.dir) || chmod(bed.dir, 0755) < 0 || mkdir(path("run"), 0777) < 0 ||
		chmod(path("run"), 0777) < 0)
		return -1;
	bed.ca = cert_ca_new(bed.dir, "ca");
	bed.other = cert_ca_new(bed.dir, "other");
	cert_issue(bed.ca, bed.dir, "svm", "svm", "DNS:svm.test", 1);
	cert_issue(bed.ca, bed.dir, "host1", "host1", NULL, 1);
	cert_issue(bed.ca, bed.dir, "host2", "host2", NULL, 1);
	cert_issue(bed.ca, bed.dir, "unlisted", "host9", NULL, 1);
	cert_issue(bed.other, bed.dir, "stranger", "host1", NULL, 1);
	write_file("policy.idfw", policy_text);
	write_conf("");
	return io_loop_new(&bed.loop);
}

static int teardown(void **state)
{
	char *const argv[] = { (char *)(uintptr_t) "rm", (char *)(uintptr_t) "-rf", bed.dir, NULL };
	pid_t pid;

	(void)state;
	for (size_t i = 0; i < 3; i++)
		mux_drop(&bed.muxes[i]);
	if (bed.daemon)
		(void)daemon_stop(SIGKILL);
	io_loop_free(bed.loop);
	cert_ca_free(bed.ca);
	cert_ca_free(bed.other);
	if (posix_spawnp(&pid, "rm", NULL, NULL, argv, environ) != 0)
		return -1;
	return waitpid(pid, NULL, 0) == pid ? 0 : -1;
}

/* ---- tests ---- */

static void test_guest_login_pushed_acknowledged_and_stopped_in_order(void **state)
{
	struct mux *m;

	(void)state;
	daemon_start();
	m = mux_good(0);
	guest_greeting(m, "jump01", 0, 0);
	WAIT_FOR(SAW_ENVELOPE(m, "jump01", HELLO_ACK));
	WAIT_FOR(SAW_ENVELOPE(m, "jump01", RULESET_COMMIT));
	guest_open(m, "jump01", 1);
	WAIT_FOR(SAW_ENVELOPE(m, "jump01", SESSION_READY));
	assert_int_equal(SAW_ENVELOPE(m, "jump01", SESSION_READY)->state,
		IDFW__SESSION_READY__STATE__ENFORCED);
	WAIT_FOR(SAW_ENVELOPE(m, "jump01", EVENT_ACK));
	assert_int_equal(SAW_ENVELOPE(m, "jump01", EVENT_ACK)->number, 1);
	assert_true(log_has("login root@jump01"));
	assert_int_equal(daemon_stop(SIGTERM), 0);
	WAIT_FOR(m->closed);
}

static void test_killed_daemon_knows_sessions_and_events_again(void **state)
{
	struct mux *m;

	(void)state;
	daemon_start();
	m = mux_good(0);
	guest_greeting(m, "jump01", 0, 0);
	guest_open(m, "jump01", 1);
	guest_open(m, "jump01", 2);
	WAIT_FOR(SAW_ENVELOPE(m, "jump01", EVENT_ACK) && m->seen[m->n_seen - 1].number == 2);
	assert_int_equal(daemon_stop(SIGKILL), -SIGKILL);
	WAIT_FOR(m->closed);
	assert_int_equal(unlink(path("run/ctl")), 0);
	daemon_start();
	m = mux_good(1);
	guest_greeting(m, "jump01", 2, 1); /* session 2 went meanwhile */
	WAIT_FOR(SAW_ENVELOPE(m, "jump01", HELLO_ACK));
	assert_int_equal(SAW_ENVELOPE(m, "jump01", HELLO_ACK)->number, 2);
	WAIT_FOR(log_has("logout root@jump01: session 2, gone"));
	assert_false(log_has("logout root@jump01: session 1"));
	WAIT_FOR(SAW_ENVELOPE(m, "jump01", RULESET_COMMIT));
}

/* more than the database's queue holds, as fast as TLS takes it: held back, not refused */
static void test_burst_of_logins_is_held_back_and_none_is_refused(void **state)
{
	enum { LOGINS = 100000 };
	struct mux *m;

	(void)state;
	daemon_start();
	m = mux_good(0);
	guest_greeting(m, "jump01", 0, 0);
	WAIT_FOR(SAW_ENVELOPE(m, "jump01", RULESET_COMMIT));
	m->counting = true;
	for (uint64_t i = 1; i <= LOGINS; i++)
		guest_open(m, "jump01", i);
	while (m->acked < LOGINS && !m->closed && !m->closes) {
		uint64_t before = m->acked;

		WAIT_FOR(m->acked > before || m->closed || m->closes);
	}
	assert_int_equal(m->closes, 0);
	assert_int_equal(m->acked, LOGINS);
	assert_false(log_has("takes no records"));
}

static void test_malformed_routed_drops_that_mux_only(void **state)
{
	static const uint8_t garbage[] = { 0xff, 0xff, 0xff, 0xff, 0x0f, 0x00 };
	struct mux *good, *bad;

	(void)state;
	daemon_start();
	good = mux_good(0);
	bad = mux_good(1);
	guest_greeting(good, "jump01", 0, 0);
	WAIT_FOR(SAW_ENVELOPE(good, "jump01", RULESET_COMMIT));
	assert_int_equal(io_chan_send(bad->chan, garbage, sizeof(garbage)), 0);
	WAIT_FOR(bad->closed);
	WAIT_FOR(log_has("mux host2"));
	assert_true(log_has("is dropped"));
	guest_open(good, "jump01", 1);
	WAIT_FOR(SAW_ENVELOPE(good, "jump01", EVENT_ACK));
	assert_false(good->closed);
	/* and it may come again */
	bad = mux_good(1);
	assert_false(bad->closed);
}

static void test_oversize_frame_drops_that_mux_only(void **state)
{
	static uint8_t big[WIRE_ROUTED_MAX + 1];
	struct mux *good, *bad;

	(void)state;
	daemon_start();
	good = mux_good(0);
	bad = mux_good(1);
	assert_int_equal(io_chan_send(bad->chan, big, sizeof(big)), 0);
	WAIT_FOR(bad->closed);
	guest_greeting(good, "jump01", 0, 0);
	WAIT_FOR(SAW_ENVELOPE(good, "jump01", RULESET_COMMIT));
}

static void test_message_before_hello_drops_that_mux(void **state)
{
	struct mux *m = &bed.muxes[0];

	(void)state;
	daemon_start();
	mux_connect(m, "host1");
	WAIT_FOR(m->ready);
	mux_up(m, "jump01");
	WAIT_FOR(m->closed);
	assert_true(log_has("is dropped"));
}

static void test_mux_of_another_version_is_refused_with_both_ranges(void **state)
{
	struct mux *m = &bed.muxes[0];
	const struct seen *s;

	(void)state;
	daemon_start();
	mux_connect(m, "host1");
	WAIT_FOR(m->ready);
	mux_hello(m, 7, 9);
	WAIT_FOR(m->closed);
	s = mux_saw(m, "", IDFW__ROUTED__BODY_REFUSED, 0);
	assert_non_null(s);
	assert_int_equal(s->state, IDFW__REFUSED__REASON__VERSION);
	assert_non_null(strstr(s->text, "7"));
	assert_non_null(strstr(s->text, "1"));
}

static void test_bad_guest_is_closed_and_nobody_else_notices(void **state)
{
	static const uint8_t garbage[] = { 0x32, 0xff, 0xff };
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	Idfw__DirLookup lookup = IDFW__DIR_LOOKUP__INIT;
	struct mux *m;

	(void)state;
	daemon_start();
	m = mux_good(0);
	guest_greeting(m, "jump01", 0, 0);
	/* bytes that are no message */
	guest_greeting(m, "garbage", 0, 0);
	mux_bytes(m, "garbage", garbage, sizeof(garbage));
	WAIT_FOR(mux_saw(m, "garbage", IDFW__ROUTED__BODY_CLOSE, 0));
	/* a message that an agent may not send */
	guest_greeting(m, "forbidden", 0, 0);
	e.body_case = IDFW__ENVELOPE__BODY_DIR_LOOKUP;
	lookup.id = 1;
	lookup.name = (char *)(uintptr_t) "alice";
	e.dir_lookup = &lookup;
	mux_envelope(m, "forbidden", &e);
	WAIT_FOR(mux_saw(m, "forbidden", IDFW__ROUTED__BODY_CLOSE, 0));
	/* out of order: an event before Hello */
	mux_up(m, "early");
	guest_open(m, "early", 1);
	WAIT_FOR(mux_saw(m, "early", IDFW__ROUTED__BODY_CLOSE, 0));
	/* an old version hears so before it is closed */
	guest_hello(m, "old", 9);
	WAIT_FOR(mux_saw(m, "old", IDFW__ROUTED__BODY_CLOSE, 0));
	assert_non_null(SAW_ENVELOPE(m, "old", REFUSED));
	assert_int_equal(SAW_ENVELOPE(m, "old", REFUSED)->state, IDFW__REFUSED__REASON__VERSION);
	/* a hole in the numbers */
	guest_greeting(m, "holes", 0, 0);
	guest_open(m, "holes", 5);
	WAIT_FOR(mux_saw(m, "holes", IDFW__ROUTED__BODY_CLOSE, 0));
	/* what crossed our VmClose is dropped */
	guest_open(m, "holes", 6);
	assert_true(log_has("guest garbage is dropped"));
	assert_true(log_has("guest forbidden is dropped"));
	guest_open(m, "jump01", 1);
	WAIT_FOR(SAW_ENVELOPE(m, "jump01", EVENT_ACK));
	assert_false(m->closed);
}

static void test_mux_with_unlisted_name_is_refused(void **state)
{
	struct mux *m = &bed.muxes[0];

	(void)state;
	daemon_start();
	mux_connect(m, "unlisted");
	WAIT_FOR(m->closed);
	WAIT_FOR(log_has("\"host9\", which neither mux-names nor scan-names lists"));
	assert_null(mux_saw(m, "", IDFW__ROUTED__BODY_HELLO_ACK, 0));
}

static void test_strangers_do_not_keep_muxes_out(void **state)
{
	struct io_endpoint ep;
	char text[PATH_LEN], c;
	int fd[300];

	(void)state;
	daemon_start();
	(void)snprintf(text, sizeof(text), "unix:%s/run/listen", bed.dir);
	assert_int_equal(io_endpoint_parse(text, &ep), 0);
	for (int i = 0; i < 300; i++) /* the backlog is short */
		WAIT_FOR(io_sock_connect(&ep, &fd[i]) == 0);
	(void)mux_good(0);
	WAIT_FOR(recv(fd[0], &c, 1, MSG_DONTWAIT) == 0);
	for (int i = 0; i < 300; i++)
		(void)close(fd[i]);
}

static void test_mux_of_another_ca_is_refused(void **state)
{
	struct mux *m = &bed.muxes[0];

	(void)state;
	daemon_start();
	mux_connect(m, "stranger");
	WAIT_FOR(m->closed);
	assert_int_equal(m->n_seen, 0);
	(void)mux_good(1);
}

static void mux_down(struct mux *m, const char *vm)
{
	Idfw__VmDown down = IDFW__VM_DOWN__INIT;
	Idfw__Routed r;

	idfw__routed__init(&r);
	down.why = r.vm = (char *)(uintptr_t)vm;
	r.body_case = IDFW__ROUTED__BODY_DOWN;
	r.down = &down;
	mux_send(m, &r);
}

static void test_vm_of_one_mux_is_refused_to_another_until_it_is_down(void **state)
{
	struct mux *a, *b;

	(void)state;
	daemon_start();
	a = mux_good(0);
	b = mux_good(1);
	guest_greeting(a, "jump01", 0, 0);
	WAIT_FOR(SAW_ENVELOPE(a, "jump01", RULESET_COMMIT));
	guest_greeting(b, "jump01", 0, 0);
	WAIT_FOR(mux_saw(b, "jump01", IDFW__ROUTED__BODY_CLOSE, 0));
	assert_null(SAW_ENVELOPE(b, "jump01", HELLO_ACK));
	guest_open(a, "jump01", 1); /* the first notices nothing */
	WAIT_FOR(SAW_ENVELOPE(a, "jump01", EVENT_ACK));
	mux_down(a, "jump01");
	WAIT_FOR(log_has("guest jump01 is down"));
	guest_greeting(b, "jump01", 1, 1);
	WAIT_FOR(SAW_ENVELOPE(b, "jump01", RULESET_COMMIT));
	b = mux_good(2);
	WAIT_FOR(a->closed);
	assert_false(b->closed);
}

static void test_bad_configuration_and_bad_policy_are_refused(void **state)
{
	(void)state;
	assert_int_equal(wait_code(daemon_spawn("-t")), 0);
	write_conf("no-such-item 5;");
	assert_int_equal(wait_code(daemon_spawn("-t")), 78);
	assert_true(log_has("no-such-item"));
	write_conf("");
	write_file("policy.idfw",
		"default in drop;\nsection application { rule a allow from nobody to any; }\n");
	assert_int_equal(wait_code(daemon_spawn("-d")), 78);
	assert_true(log_has("policy.idfw:2:"));
	write_file("policy.idfw", policy_text);
	/* once committed, the file is not looked at any more */
	daemon_start();
	assert_int_equal(daemon_stop(SIGTERM), 0);
	write_file("policy.idfw", "rubbish");
	(void)unlink(path("run/ctl"));
	daemon_start();
	assert_true(log_has("policy generation 1, by the database"));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_guest_login_pushed_acknowledged_and_stopped_in_order),
		T(test_burst_of_logins_is_held_back_and_none_is_refused),
		T(test_killed_daemon_knows_sessions_and_events_again),
		T(test_malformed_routed_drops_that_mux_only),
		T(test_oversize_frame_drops_that_mux_only),
		T(test_message_before_hello_drops_that_mux),
		T(test_mux_of_another_version_is_refused_with_both_ranges),
		T(test_bad_guest_is_closed_and_nobody_else_notices),
		T(test_mux_with_unlisted_name_is_refused),
		T(test_strangers_do_not_keep_muxes_out),
		T(test_mux_of_another_ca_is_refused),
		T(test_vm_of_one_mux_is_refused_to_another_until_it_is_down),
		T(test_bad_configuration_and_bad_policy_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
