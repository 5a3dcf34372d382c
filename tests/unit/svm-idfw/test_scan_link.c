/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_scan_link.c - the real svm-idfw process, seen from svm-scan: each record exactly once
 *
 * The test plays svm-scan over TLS: an outbox with numbers, resent until acknowledged. The daemon
 * is killed while records are on their way; what its database holds in the end is read from the
 * file.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sqlite3.h>
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
#define WAIT_MS 15000

extern char **environ;

static struct {
	char dir[64];
	struct cert_ca *ca;
	struct io_loop *loop;
	pid_t daemon;
	/* svm-scan's side */
	struct io_chan *chan; /* NULL: closed */
	bool ready, closed, hello, stranger;
	uint64_t acked, acks;
	uint64_t sent; /* on this connection */
	int refused;   /* reason */
	uint8_t outbox[16];
} bed;

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
	const char *top = getenv("top_builddir");
	char bin[PATH_LEN];
	char *argv[] = { bin, (char *)(uintptr_t) "-c", (char *)(uintptr_t)path("svm.conf"), NULL };
	posix_spawn_file_actions_t fa;

	(void)unlink(path("run/ctl"));
	assert_true(snprintf(bin, sizeof(bin), "%s/svm-idfw/svm-idfw", top ? top : ".") < PATH_LEN);
	assert_int_equal(posix_spawn_file_actions_init(&fa), 0);
	assert_int_equal(posix_spawn_file_actions_addopen(
				 &fa, 2, path("log"), O_CREAT | O_APPEND | O_WRONLY, 0644),
		0);
	if (posix_spawn(&bed.daemon, bin, &fa, NULL, argv, environ) != 0)
		fail_msg("cannot run %s", bin);
	(void)posix_spawn_file_actions_destroy(&fa);
	WAIT_FOR(access(path("run/ctl"), F_OK) == 0);
}

static void daemon_end(int signum)
{
	int status = 0;

	assert_int_equal(kill(bed.daemon, signum), 0);
	assert_int_equal(waitpid(bed.daemon, &status, 0), bed.daemon);
	bed.daemon = 0;
	if (signum == SIGTERM)
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* ---- svm-scan ---- */

static void scan_frame(void *arg, struct io_chan *c, const uint8_t *buf, size_t len)
{
	Idfw__Envelope *e = NULL;
	const char *why = "";

	(void)arg;
	(void)c;
	if (wire_envelope_decode(
		    buf, len, WIRE_SVM_TO_SCAN, bed.hello ? WIRE_OPEN : WIRE_NEW, &e, &why) < 0) {
		if (!bed.stranger) /* who is nobody that svm-idfw knows is answered as a mux */
			fail_msg("svm-idfw sent: %s", why);
		return;
	}
	if (e->body_case == IDFW__ENVELOPE__BODY_HELLO_ACK) {
		bed.hello = true;
		bed.acked = e->hello_ack->acked_seq;
	} else if (e->body_case == IDFW__ENVELOPE__BODY_SCAN_ACK) {
		assert_true(e->scan_ack->seq > bed.acked);
		assert_true(e->scan_ack->seq <= bed.sent);
		bed.acked = e->scan_ack->seq;
		bed.acks++;
	} else if (e->body_case == IDFW__ENVELOPE__BODY_REFUSED) {
		bed.refused = (int)e->refused->reason;
	}
	wire_envelope_free(e);
}

static void scan_ready(void *arg, struct io_chan *c)
{
	(void)arg;
	(void)c;
	bed.ready = true;
}

static void scan_closed(void *arg, struct io_chan *c, int err, const char *why)
{
	(void)arg;
	(void)err;
	(void)why;
	bed.closed = true;
	bed.chan = NULL;
	io_chan_free(c);
}

static const struct io_chan_ops scan_ops = {
	.ready = scan_ready, .frame = scan_frame, .closed = scan_closed
};

static void scan_connect(const char *cert)
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

	io_chan_free(bed.chan);
	bed.chan = NULL;
	bed.ready = bed.closed = bed.hello = false;
	bed.stranger = strcmp(cert, "scan1") != 0;
	bed.acked = bed.acks = bed.sent = 0;
	bed.refused = -1;
	(void)snprintf(ca_file, sizeof(ca_file), "%s/ca.pem", bed.dir);
	(void)snprintf(cert_file, sizeof(cert_file), "%s/%s.pem", bed.dir, cert);
	(void)snprintf(key_file, sizeof(key_file), "%s/%s.key", bed.dir, cert);
	(void)snprintf(text, sizeof(text), "unix:%s/run/listen", bed.dir);
	if (io_tls_ctx_new(&conf, why, &ctx))
		fail_msg("%s", why);
	assert_int_equal(io_tls_new(ctx, "svm.test", &tls), 0);
	assert_int_equal(io_endpoint_parse(text, &ep), 0);
	assert_int_equal(io_sock_connect(&ep, &fd), 0);
	assert_int_equal(io_chan_new(bed.loop, fd, tls, &cc, &scan_ops, NULL, &bed.chan), 0);
	io_tls_ctx_free(ctx);
	WAIT_FOR(bed.ready || bed.closed);
}

static void scan_send(const Idfw__Envelope *e)
{
	struct gi_buf b;

	gi_buf_init(&b, WIRE_FRAME_MAX);
	assert_int_equal(wire_envelope_encode(e, &b), 0);
	if (bed.chan)
		assert_int_equal(io_chan_send(bed.chan, b.data, b.len), 0);
	gi_buf_fini(&b);
}

static void scan_hello(uint32_t version, size_t outbox_len)
{
	Idfw__Hello h = IDFW__HELLO__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;

	h.version_min = h.version_max = version;
	h.boot_id.data = bed.outbox;
	h.boot_id.len = outbox_len;
	e.body_case = IDFW__ENVELOPE__BODY_HELLO;
	e.hello = &h;
	scan_send(&e);
}

static void scan_record(uint64_t seq)
{
	static uint8_t file[] = "/home/alice/eicar.com";
	Idfw__ScanRecord r = IDFW__SCAN_RECORD__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	char text[32];

	(void)snprintf(text, sizeof(text), "number %llu", (unsigned long long)seq);
	r.seq = seq;
	r.kind = IDFW__SCAN_RECORD__KIND__VERDICT;
	r.time_ms = 1700000000000;
	r.vm = (char *)(uintptr_t) "web01";
	r.path.data = file;
	r.path.len = sizeof(file) - 1;
	r.verdict = IDFW__FILE_VERDICT_KIND__FILE_VERDICT_QUARANTINE;
	r.text = text;
	e.body_case = IDFW__ENVELOPE__BODY_SCAN_RECORD;
	e.scan_record = &r;
	bed.sent = seq;
	scan_send(&e);
}

/* connected, greeted: bed.acked says from where */
static void scan_good(void)
{
	scan_connect("scan1");
	scan_hello(1, sizeof(bed.outbox));
	WAIT_FOR(bed.hello);
}

/* what the database file says */
static int64_t number(const char *query)
{
	sqlite3_stmt *st = NULL;
	sqlite3 *db = NULL;
	int64_t n;

	assert_int_equal(
		sqlite3_open_v2(path("state/svm.db"), &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	(void)sqlite3_busy_timeout(db, 5000);
	assert_int_equal(sqlite3_prepare_v2(db, query, -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	n = sqlite3_column_int64(st, 0);
	assert_int_equal(sqlite3_finalize(st), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	return n;
}

static int setup(void **state)
{
	char text[2048];

	(void)state;
	(void)setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
	memset(&bed, 0, sizeof(bed));
	memset(bed.outbox, 0x5c, sizeof(bed.outbox));
	(void)snprintf(bed.dir, sizeof(bed.dir), "/tmp/idfw-scanlink-XXXXXX");
	if (!mkdtemp(bed.dir) || chmod(bed.dir, 0755) < 0 || mkdir(path("run"), 0777) < 0 ||
		chmod(path("run"), 0777) < 0)
		return -1;
	bed.ca = cert_ca_new(bed.dir, "ca");
	cert_issue(bed.ca, bed.dir, "svm", "svm", "DNS:svm.test", 1);
	cert_issue(bed.ca, bed.dir, "host1", "host1", NULL, 1);
	cert_issue(bed.ca, bed.dir, "scan1", "scan1", NULL, 1);
	cert_issue(bed.ca, bed.dir, "scan9", "scan9", NULL, 1);
	write_file("policy.idfw", "default in drop; default out drop;\n"
				  "section infrastructure { rule ping allow from any to any "
				  "service icmp; }\n");
	assert_true(snprintf(text, sizeof(text),
			    "listen \"unix:%1$s/run/listen\"; ca \"%1$s/ca.pem\"; cert "
			    "\"%1$s/svm.pem\"; key \"%1$s/svm.key\";\n"
			    "mux-names host1; scan-names scan1; state-dir \"%1$s/state\"; policy "
			    "\"%1$s/policy.idfw\";\n"
			    "control-socket \"%1$s/run/ctl\"; user \"nobody\";\n",
			    bed.dir) < (int)sizeof(text));
	write_file("svm.conf", text);
	return io_loop_new(&bed.loop);
}

static int teardown(void **state)
{
	char *const argv[] = { (char *)(uintptr_t) "rm", (char *)(uintptr_t) "-rf", bed.dir, NULL };
	pid_t pid;

	(void)state;
	io_chan_free(bed.chan);
	if (bed.daemon)
		daemon_end(SIGKILL);
	io_loop_free(bed.loop);
	cert_ca_free(bed.ca);
	if (posix_spawnp(&pid, "rm", NULL, NULL, argv, environ) != 0)
		return -1;
	return waitpid(pid, NULL, 0) == pid ? 0 : -1;
}

/* ---- tests ---- */

static void test_records_are_acknowledged_when_durable(void **state)
{
	(void)state;
	daemon_start();
	scan_good();
	assert_int_equal(bed.acked, 0);
	for (uint64_t i = 1; i <= 500; i++)
		scan_record(i);
	WAIT_FOR(bed.acked == 500);
	assert_int_equal(number("SELECT count(*) FROM audit WHERE kind='scan'"), 500);
	assert_int_equal(number("SELECT seq FROM scan_outbox WHERE name='scan1'"), 500);
	/* it comes again: told from where; what it sends again is not taken again */
	scan_good();
	assert_int_equal(bed.acked, 500);
	for (uint64_t i = 490; i <= 501; i++)
		scan_record(i);
	WAIT_FOR(bed.acked == 501);
	assert_int_equal(number("SELECT count(*) FROM audit WHERE kind='scan'"), 501);
	daemon_end(SIGTERM);
}

/* what was under way when the connection broke is acknowledged when it has come again, not before
 */
static void test_reconnect_under_way(void **state)
{
	sqlite3 *db = NULL;

	(void)state;
	daemon_start();
	scan_good();
	assert_int_equal(sqlite3_open(path("state/svm.db"), &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	for (uint64_t i = 1; i <= 100; i++)
		scan_record(i);
	WAIT_FOR(io_chan_queued(bed.chan) == 0);
	scan_good(); /* the database waits: nothing is durable */
	assert_int_equal(bed.acked, 0);
	scan_record(1);
	WAIT_FOR(io_chan_queued(bed.chan) == 0);
	assert_int_equal(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	WAIT_FOR(bed.acked == 1); /* scan_frame() fails for more than was sent */
	WAIT_FOR(number("SELECT count(*) FROM audit WHERE kind='scan'") >= 1);
	for (uint64_t i = 2; i <= 100; i++)
		scan_record(i);
	WAIT_FOR(bed.acked == 100);
	assert_int_equal(number("SELECT count(*) FROM audit WHERE kind='scan'"), 100);
}

static void test_killed_service_takes_each_record_once(void **state)
{
	uint64_t sent = 0, taken, told = 0;

	(void)state;
	for (int round = 0; round < 12; round++) {
		daemon_start();
		scan_good();
		assert_true(bed.acked >= told && bed.acked <= sent); /* what was told is there */
		for (uint64_t i = bed.acked + 1; i <= sent + 100; i++)
			scan_record(i);
		sent += 100;
		if (round % 3) /* else at once: on the wire, in the queue, in a transaction */
			WAIT_FOR(bed.acks);
		for (int i = 0; i < round; i++)
			io_loop_run_once(bed.loop, 1);
		told = bed.acked;
		daemon_end(SIGKILL);
		WAIT_FOR(bed.closed);
	}
	daemon_start();
	scan_good();
	for (uint64_t i = bed.acked + 1; i <= sent; i++)
		scan_record(i);
	WAIT_FOR(bed.acked == sent);
	daemon_end(SIGTERM);
	taken = (uint64_t)number("SELECT count(*) FROM audit WHERE kind='scan'");
	assert_int_equal(taken, sent);
	assert_int_equal(number("SELECT count(DISTINCT json_extract(detail,'$.text')) FROM audit "
				"WHERE kind='scan'"),
		sent);
}

static void test_hole_ends_the_link(void **state)
{
	(void)state;
	daemon_start();
	scan_good();
	scan_record(1);
	WAIT_FOR(bed.acked == 1);
	scan_record(3);
	WAIT_FOR(bed.closed);
	WAIT_FOR(log_has("records are missing before this one"));
	/* its outbox has lost it: after Hello it is said, and goes on */
	scan_good();
	assert_int_equal(bed.acked, 1);
	scan_record(3);
	WAIT_FOR(bed.acked == 3);
	assert_int_equal(number("SELECT count(*) FROM audit WHERE kind='refused'"), 1);
}

static void test_strangers_and_nonsense_are_refused(void **state)
{
	Idfw__CtlRequest rq = IDFW__CTL_REQUEST__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;

	(void)state;
	daemon_start();
	scan_connect("scan9");
	WAIT_FOR(bed.closed);
	WAIT_FOR(log_has("\"scan9\", which neither mux-names nor scan-names lists"));
	scan_connect("scan1");
	scan_record(1); /* before Hello */
	WAIT_FOR(bed.closed);
	scan_connect("scan1");
	scan_hello(7, sizeof(bed.outbox));
	WAIT_FOR(bed.closed);
	assert_int_equal(bed.refused, IDFW__REFUSED__REASON__VERSION);
	scan_connect("scan1");
	scan_hello(1, 0);
	WAIT_FOR(bed.closed);
	scan_good();
	rq.verb = (char *)(uintptr_t) "status";
	e.body_case = IDFW__ENVELOPE__BODY_CTL_REQUEST;
	e.ctl_request = &rq;
	scan_send(&e);
	WAIT_FOR(bed.closed);
	/* a mux's certificate does not make a svm-scan */
	scan_connect("host1");
	scan_hello(1, sizeof(bed.outbox));
	WAIT_FOR(bed.closed);
	assert_false(bed.hello);
	scan_good();
	scan_record(1);
	WAIT_FOR(bed.acked == 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_records_are_acknowledged_when_durable),
		T(test_reconnect_under_way),
		T(test_killed_service_takes_each_record_once),
		T(test_hole_ends_the_link),
		T(test_strangers_and_nonsense_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
