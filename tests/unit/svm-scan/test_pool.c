/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_pool.c - workers that crash, hang, lie, or are replaced: what it costs
 *
 * This program is also the worker: "--worker" is the real one, "--fake-..." are those that a file
 * has taken over. Nothing here waits for time to pass but where a budget is what is tested.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "svm-scan/msg.h"
#include "tests/unit/svm-scan/bed.h"

#define MIB (1u << 20)
#define SHORT_BUDGET_MS 400

static struct bed bed;

static int setup(void **state)
{
	(void)state;
	bed_init(&bed);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bed_fini(&bed);
	return 0;
}

/* ---- workers that are not what they should be ---- */

static void fake_send(struct scan_msgs *m, Idfw__Envelope *e)
{
	if (scan_msgs_send(m, e) < 0)
		_exit(3);
}

static void fake_ready(struct scan_msgs *m)
{
	uint8_t epoch[SCAN_EPOCH_LEN] = { 7 };
	Idfw__ScanReady r = IDFW__SCAN_READY__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;

	r.epoch.data = epoch;
	r.epoch.len = sizeof(epoch);
	r.engines = (char *)"fake 1 (0 signatures)";
	e.body_case = IDFW__ENVELOPE__BODY_SCAN_READY;
	e.scan_ready = &r;
	fake_send(m, &e);
}

static void fake_result(struct scan_msgs *m, uint64_t id, Idfw__ScanResult__Outcome outcome)
{
	Idfw__ScanResult r = IDFW__SCAN_RESULT__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;

	r.id = id;
	r.outcome = outcome;
	e.body_case = IDFW__ENVELOPE__BODY_SCAN_RESULT;
	e.scan_result = &r;
	fake_send(m, &e);
}

static void fake_need(struct scan_msgs *m, uint64_t offset, uint32_t len)
{
	Idfw__ScanNeed n = IDFW__SCAN_NEED__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT, *answer;
	const char *why;
	bool last = false;

	n.offset = offset;
	n.length = len;
	e.body_case = IDFW__ENVELOPE__BODY_SCAN_NEED;
	e.scan_need = &n;
	fake_send(m, &e);
	while (!last) {
		if (scan_msgs_recv(m, &answer, &why) < 0)
			_exit(3);
		last = answer->scan_bytes->last;
		wire_envelope_free(answer);
	}
}

static void fake_job(struct scan_msgs *m, const char *how, uint64_t id)
{
	static const uint8_t garbage[] = { 0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff };

	if (strcmp(how, "--fake-crash") == 0) {
		(void)signal(SIGSEGV, SIG_DFL); /* not a sanitizer's */
		(void)raise(SIGSEGV);
	}
	if (strcmp(how, "--fake-exit") == 0)
		_exit(5);
	if (strcmp(how, "--fake-hang") == 0)
		for (;;)
			(void)pause();
	if (strcmp(how, "--fake-garbage") == 0)
		(void)!write(3, garbage, sizeof(garbage));
	if (strcmp(how, "--fake-ready-twice") == 0)
		fake_ready(m);
	if (strcmp(how, "--fake-other-id") == 0)
		fake_result(m, id + 1, IDFW__SCAN_RESULT__OUTCOME__CLEAN);
	if (strcmp(how, "--fake-nameless") == 0) /* found, but what? */
		fake_result(m, id, IDFW__SCAN_RESULT__OUTCOME__FOUND);
	if (strcmp(how, "--fake-greedy") == 0)
		for (;;)
			fake_need(m, 0, MIB);
	if (strcmp(how, "--fake-twice") == 0) { /* its end, then all of it */
		fake_need(m, 2 * MIB, MIB);
		for (uint64_t at = 16384; at < 3 * MIB; at += MIB)
			fake_need(m, at, at + MIB > 3 * MIB ? (uint32_t)(3 * MIB - at) : MIB);
	}
	if (strcmp(how, "--fake-once") == 0)
		for (uint64_t at = 16384; at < 3 * MIB; at += MIB)
			fake_need(m, at, at + MIB > 3 * MIB ? (uint32_t)(3 * MIB - at) : MIB);
	if (strcmp(how, "--fake-far") == 0) /* behind the end: nothing is there */
		fake_need(m, 1ull << 40, MIB);
	fake_result(m, id, IDFW__SCAN_RESULT__OUTCOME__CLEAN);
}

static void fake_main(const char *how) __attribute__((noreturn));
static void fake_main(const char *how)
{
	struct scan_msgs m;
	Idfw__Envelope *e;
	const char *why;

	if (strcmp(how, "--fake-no-start") == 0)
		_exit(4);
	scan_msgs_init(&m, 3, WIRE_SCAN_TO_WORKER);
	if (strcmp(how, "--fake-never-ready") != 0)
		fake_ready(&m);
	while (scan_msgs_recv(&m, &e, &why) == 0) {
		uint64_t id = e->scan_job->id;

		wire_envelope_free(e);
		fake_job(&m, how, id);
	}
	_exit(0);
}

/* ---- crashes and lies ---- */

static void expect_lost(const char *how, const char *text)
{
	struct scan_pool_stats before, after;
	struct scan_finding f;

	bed.conf.worker_arg = how;
	bed_start(&bed);
	scan_pool_stats(bed.pool, &before);
	for (int i = 0; i < 2; i++) {
		bed.notes[0] = '\0';
		bed_run_memory(&bed, "content", 7, &f);
		assert_int_equal(f.outcome, SCAN_FAILED);
		if (!strstr(f.text, text))
			fail_msg("%s: %s", how, f.text);
		assert_false(f.has_sha256);
		assert_non_null(strstr(bed.notes, "ended: worker 0: "));
	}
	scan_pool_stats(bed.pool, &after);
	assert_int_equal(after.crashes + after.killed_budget + after.killed_protocol, 2);
	assert_int_equal(after.starts - before.starts, 2); /* one for each that was lost */
	scan_pool_free(bed.pool);
	bed.pool = NULL;
}

static void test_run_worker_that_crashes_fails_the_file(void **state)
{
	(void)state;
	expect_lost("--fake-crash", "worker ended: killed by signal 11 (SEGV)");
	expect_lost("--fake-exit", "worker ended: ended with status 5");
}

static void test_run_worker_that_breaks_the_protocol_fails_the_file(void **state)
{
	static const char *const fakes[] = { "--fake-garbage", "--fake-ready-twice",
		"--fake-other-id", "--fake-nameless", "--fake-greedy" };

	(void)state;
	for (size_t i = 0; i < sizeof(fakes) / sizeof(fakes[0]); i++)
		expect_lost(fakes[i], "worker broke the protocol");
}

static void test_run_worker_that_hangs_is_killed_at_its_budget(void **state)
{
	struct scan_pool_stats st;
	struct scan_finding f;

	(void)state;
	bed.conf.worker_arg = "--fake-hang";
	bed.conf.budget_ms = SHORT_BUDGET_MS;
	bed_start(&bed);
	bed_run_memory(&bed, "content", 7, &f);
	assert_int_equal(f.outcome, SCAN_FAILED);
	assert_string_equal(f.text, "out of time");
	scan_pool_stats(bed.pool, &st);
	assert_int_equal(st.killed_budget, 1);
}

/* the hash is not the worker's to say, it goes into a cache for all VMs: only of what was handed
 * over
 */
static void test_run_hash_is_of_what_was_handed_over(void **state)
{
	uint8_t data[32768] = { 0 };
	struct scan_finding f;

	(void)state;
	bed.conf.worker_arg = "--fake-honest";
	bed_start(&bed);
	bed_run_memory(&bed, "content", 7, &f);
	assert_int_equal(f.outcome, SCAN_CLEAN);
	assert_true(f.has_sha256); /* all of it was in the job */
	bed_run_memory(&bed, data, sizeof(data), &f);
	assert_int_equal(f.outcome, SCAN_CLEAN);
	assert_false(f.has_sha256); /* it did not even ask */
}

/* a guest that tells a range twice may tell two things: the hash of one must not name the scan of
 * the other
 */
static void test_run_content_read_twice_has_no_hash(void **state)
{
	static const char *const fakes[] = { "--fake-once", "--fake-twice" };
	uint8_t *data = calloc(1, 3 * MIB);
	struct scan_finding f;

	(void)state;
	assert_non_null(data);
	for (size_t i = 0; i < sizeof(fakes) / sizeof(fakes[0]); i++) {
		bed.conf.worker_arg = fakes[i];
		bed_start(&bed);
		bed_run_memory(&bed, data, 3 * MIB, &f);
		assert_int_equal(f.outcome, SCAN_CLEAN);
		assert_int_equal(f.has_sha256, i == 0);
		scan_pool_free(bed.pool);
		bed.pool = NULL;
	}
	free(data);
}

static void test_run_range_behind_the_end_is_empty(void **state)
{
	struct scan_finding f;

	(void)state;
	bed.conf.worker_arg = "--fake-far";
	bed_start(&bed);
	bed_run_memory(&bed, "content", 7, &f);
	assert_int_equal(f.outcome, SCAN_CLEAN);
}

static void kill_worker(void *arg, uint64_t offset)
{
	pid_t *pid = arg;

	if (offset > 2 * MIB && *pid > 0) {
		assert_int_equal(kill(*pid, SIGKILL), 0);
		*pid = 0;
	}
}

static void test_run_kill_in_the_middle_costs_one_file(void **state)
{
	uint8_t *data = calloc(1, 4 * MIB);
	struct bed_content c;
	struct scan_finding f;
	char eicar[80];
	size_t n = bed_eicar(eicar);
	pid_t pid;

	(void)state;
	assert_non_null(data);
	bed_start(&bed);
	pid = bed_worker_pid();
	assert_true(pid > 0);
	bed_memory(&c, data, 4 * MIB);
	c.before = kill_worker;
	c.before_arg = &pid;
	bed_run(&bed, &c, &f);
	assert_int_equal(f.outcome, SCAN_FAILED);
	assert_string_equal(f.text, "worker ended: killed by signal 9 (KILL)");
	assert_int_equal(pid, 0);
	bed_run_memory(&bed, eicar, n, &f);
	assert_int_equal(f.outcome, SCAN_FOUND);
	assert_non_null(strstr(bed.notes, "started: worker 0"));
	free(data);
}

static void test_run_worker_lost_while_idle_costs_no_file(void **state)
{
	struct scan_pool_stats st;
	struct scan_finding f;
	siginfo_t si;
	pid_t pid;

	(void)state;
	bed_start(&bed);
	pid = bed_worker_pid();
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT), 0);
	bed_run_memory(&bed, "hello", 5, &f);
	assert_int_equal(f.outcome, SCAN_CLEAN);
	scan_pool_stats(bed.pool, &st);
	assert_int_equal(st.crashes, 1);
	assert_int_equal(st.failed, 0);
}

/* ---- starting ---- */

static void test_new_worker_that_does_not_start_says_why(void **state)
{
	(void)state;
	bed.conf.worker_arg = "--fake-no-start";
	assert_int_equal(scan_pool_new(&bed.conf, bed.why, &bed.pool), -GI_ECLOSED);
	assert_string_equal(bed.why, "worker: ended while it started");
	bed.conf.worker_arg = "--fake-never-ready";
	bed.conf.start_ms = 200;
	assert_int_equal(scan_pool_new(&bed.conf, bed.why, &bed.pool), -ETIMEDOUT);
	assert_string_equal(bed.why, "worker: not ready in time");
	bed.conf.worker_arg = NULL;
	bed.conf.start_ms = 0;
	bed.conf.engines.clamav = "/nonexistent/db";
	assert_int_equal(scan_pool_new(&bed.conf, bed.why, &bed.pool), -GI_ESTATE);
	assert_non_null(strstr(bed.why, "/nonexistent/db"));
	bed.conf.engines.clamav = bed.db;
	bed_text(bed.rules, "rule Broken { condition: $a }\n");
	assert_int_equal(scan_pool_new(&bed.conf, bed.why, &bed.pool), -GI_ESTATE);
	assert_non_null(strstr(bed.why, "test.yar:1: "));
	assert_null(bed.pool);
}

static void test_new_directory_in_use_is_refused(void **state)
{
	struct scan_pool *second = NULL;
	struct scan_finding f;
	char path[128];

	(void)state;
	bed_start(&bed);
	assert_int_equal(scan_pool_new(&bed.conf, bed.why, &second), -EWOULDBLOCK);
	assert_null(second);
	bed_run_memory(&bed, "hello", 5, &f); /* the first has still got its directory */
	assert_int_equal(f.outcome, SCAN_CLEAN);
	scan_pool_free(bed.pool);
	bed.pool = NULL;
	(void)snprintf(path, sizeof(path), "%s/workers/left", bed.tmp);
	bed_text(path, "by one that was killed");
	bed_start(&bed);
	assert_int_equal(access(path, F_OK), -1);
}

static void test_new_bad_configuration_is_refused(void **state)
{
	struct scan_pool_conf good = bed.conf;

	(void)state;
	bed.conf.workers = 0;
	assert_int_equal(scan_pool_new(&bed.conf, bed.why, &bed.pool), -EINVAL);
	bed.conf.workers = SCAN_SLOTS_MAX + 1;
	assert_int_equal(scan_pool_new(&bed.conf, bed.why, &bed.pool), -EINVAL);
	bed.conf = good;
	bed.conf.tmp_dir = "relative";
	assert_int_equal(scan_pool_new(&bed.conf, bed.why, &bed.pool), -EINVAL);
	bed.conf = good;
	bed.conf.engines.clamav = bed.conf.engines.yara = NULL;
	assert_int_equal(scan_pool_new(&bed.conf, bed.why, &bed.pool), -EINVAL);
	bed.conf = good;
}

/* signatures that became unreadable: the slot waits longer each time, and recovers */
static void test_run_replacement_that_does_not_start_is_retried(void **state)
{
	char away[128];
	struct scan_pool_stats st;
	struct scan_finding f;

	(void)state;
	(void)snprintf(away, sizeof(away), "%s.away", bed.db);
	bed_start(&bed);
	assert_int_equal(rename(bed.db, away), 0);
	assert_int_equal(kill(bed_worker_pid(), SIGKILL), 0);
	for (int i = 0; i < 3; i++) { /* the first may still meet the dying one */
		bed_run_memory(&bed, "hello", 5, &f);
		assert_int_equal(f.outcome, SCAN_FAILED);
	}
	assert_non_null(strstr(f.text, "no worker: signatures"));
	assert_non_null(strstr(bed.notes, "start failed: worker 0: signatures"));
	scan_pool_stats(bed.pool, &st);
	assert_true(st.start_failures >= 1 && st.start_failures <= 3);
	assert_int_equal(rename(away, bed.db), 0);
	do
		bed_run_memory(&bed, "hello", 5, &f);
	while (f.outcome == SCAN_FAILED);
	assert_int_equal(f.outcome, SCAN_CLEAN);
	scan_pool_stats(bed.pool, &st);
	assert_true(st.starts < 12); /* it did not start one for each try */
}

static void test_run_worker_is_recycled(void **state)
{
	struct scan_pool_stats st;
	struct scan_finding f;
	int runs = 0;

	(void)state;
	bed.conf.recycle_jobs = 3;
	bed_start(&bed);
	do {
		bed_run_memory(&bed, "hello", 5, &f);
		assert_int_equal(f.outcome, SCAN_CLEAN);
		scan_pool_stats(bed.pool, &st);
		runs++;
	} while (st.recycled < 2);
	assert_true(runs > 6);
	assert_int_equal(st.failed + st.crashes, 0);
	assert_string_equal(bed.notes, "");
}

/* ---- reading ---- */

static void test_run_error_of_the_source_fails_the_file_only(void **state)
{
	uint8_t *data = calloc(1, 3 * MIB);
	struct scan_pool_stats st;
	struct bed_content c;
	struct scan_finding f;

	(void)state;
	assert_non_null(data);
	bed_start(&bed);
	for (size_t at = 16384; at < 3 * MIB; at += 700000) {
		bed_memory(&c, data, 3 * MIB);
		c.fail = -ESTALE;
		c.fail_at = at;
		bed_run(&bed, &c, &f);
		assert_int_equal(f.outcome, SCAN_FAILED);
		assert_string_equal(f.text, "reading: Stale file handle");
		assert_false(f.has_sha256);
	}
	bed_memory(&c, data, 3 * MIB);
	c.fail = -EPS_EGONE; /* a code of libepsec's */
	bed_run(&bed, &c, &f);
	assert_int_equal(f.outcome, SCAN_FAILED);
	bed_memory(&c, data, 3 * MIB);
	c.ends_at = 2 * MIB + 5;
	bed_run(&bed, &c, &f);
	assert_int_equal(f.outcome, SCAN_FAILED);
	assert_string_equal(f.text, "reading: it is shorter than announced");
	bed_run_memory(&bed, data, 3 * MIB, &f);
	assert_int_equal(f.outcome, SCAN_CLEAN);
	scan_pool_stats(bed.pool, &st);
	assert_int_equal(st.starts, 1);
	free(data);
}

static void test_run_file_over_the_buffer_is_seen_by_clamav(void **state)
{
	const size_t len = 11 * MIB + 12345;
	uint8_t *data = calloc(1, len);
	char eicar[80];
	size_t n = bed_eicar(eicar);
	struct bed_content c;
	struct scan_finding f;

	(void)state;
	assert_non_null(data);
	bed.conf.engines.buffer_bytes = MIB;
	bed_start(&bed);
	bed_run_memory(&bed, data, len, &f);
	assert_int_equal(f.outcome, SCAN_CLEAN);
	assert_string_equal(f.text, "yara saw the first 1048576 of 11546681 bytes");
	memcpy(data + len - n - 100, eicar, n);
	bed_run_memory(&bed, data, len, &f);
	assert_int_equal(f.outcome, SCAN_FOUND);
	assert_string_equal(f.engine, "clamav");
	bed_memory(&c, data, len);
	c.fail = -EIO;
	c.fail_at = 6 * MIB;
	bed_run(&bed, &c, &f);
	assert_int_equal(f.outcome, SCAN_FAILED);
	assert_string_equal(f.text, "reading: Input/output error");
	bed_run_memory(&bed, "hello", 5, &f); /* nothing of it is left under way */
	assert_int_equal(f.outcome, SCAN_CLEAN);
	free(data);
}

static void test_run_file_over_the_largest_is_failed_unread(void **state)
{
	struct scan_pool_stats st;
	struct bed_content c;
	struct scan_finding f;

	(void)state;
	bed.conf.engines.max_file_bytes = MIB;
	bed_start(&bed);
	bed_memory(&c, "head", 4);
	c.src.size = MIB + 1;
	bed_run(&bed, &c, &f);
	assert_int_equal(f.outcome, SCAN_FAILED);
	assert_string_equal(f.text, "too large for the engines");
	scan_pool_stats(bed.pool, &st);
	assert_int_equal(st.bytes, 4);
}

/* ---- reload ---- */

static void test_reload_new_signatures_are_a_new_epoch(void **state)
{
	static const char more[] =
		"rule Second { strings: $a = \"second marker\" condition: $a }\n";
	struct scan_epoch first, second, of;
	struct bed_content c;
	struct scan_finding f;

	(void)state;
	bed_start(&bed);
	scan_pool_epoch(bed.pool, &first);
	bed_memory(&c, "a second marker", 15);
	scan_pool_run(bed.pool, 0, &c.src, &f, &of);
	assert_int_equal(f.outcome, SCAN_CLEAN);
	assert_memory_equal(&of, &first, sizeof(of));
	bed_text(bed.rules, more);
	assert_int_equal(scan_pool_reload(bed.pool, bed.why, &second), 0);
	assert_memory_not_equal(&first, &second, sizeof(first));
	scan_pool_run(bed.pool, 0, &c.src, &f, &of);
	assert_int_equal(f.outcome, SCAN_FOUND);
	assert_string_equal(f.signature, "Second");
	assert_memory_equal(&of, &second, sizeof(of));
	assert_int_equal(scan_pool_reload(bed.pool, bed.why, &of), 0); /* nothing new */
	assert_memory_equal(&of, &second, sizeof(of));
	assert_string_equal(bed.notes, "");
}

static void test_reload_broken_signatures_keep_the_old(void **state)
{
	struct scan_epoch first, after = { { 9 } }, untouched = after, of;
	struct bed_content c;
	struct scan_finding f;

	(void)state;
	bed_start(&bed);
	scan_pool_epoch(bed.pool, &first);
	bed_text(bed.rules, "rule Broken { strings: $a = \"x\" condition: \n");
	assert_int_equal(scan_pool_reload(bed.pool, bed.why, &after), -GI_ESTATE);
	assert_non_null(strstr(bed.why, "test.yar:"));
	assert_memory_equal(&after, &untouched, sizeof(after));
	bed_memory(&c, "idfw yara marker", 16);
	scan_pool_run(bed.pool, 0, &c.src, &f, &of);
	assert_int_equal(f.outcome, SCAN_FOUND);
	assert_memory_equal(&of, &first, sizeof(of));
}

static void *reload_thread(void *arg)
{
	struct scan_epoch e;

	*(int *)arg = scan_pool_reload(bed.pool, bed.why, &e);
	return NULL;
}

static void reload_now(void *arg, uint64_t offset)
{
	pthread_t t;

	if (offset < 2 * MIB || *(int *)arg != 1)
		return;
	assert_int_equal(pthread_create(&t, NULL, reload_thread, arg), 0);
	assert_int_equal(pthread_join(t, NULL), 0);
}

/* the job under way ends with what it began with; the next one has the new */
static void test_reload_during_a_job_drops_nothing(void **state)
{
	uint8_t *data = calloc(1, 4 * MIB);
	struct scan_epoch first, second, of;
	struct bed_content c;
	struct scan_finding f;
	int result = 1;

	(void)state;
	assert_non_null(data);
	memcpy(data + 3 * MIB, "idfw yara marker", 16);
	bed_start(&bed);
	scan_pool_epoch(bed.pool, &first);
	bed_text(bed.rules, "rule Other { strings: $a = \"idfw yara marker\" condition: $a }\n");
	bed_memory(&c, data, 4 * MIB);
	c.before = reload_now;
	c.before_arg = &result;
	scan_pool_run(bed.pool, 0, &c.src, &f, &of);
	assert_int_equal(result, 0);
	assert_int_equal(f.outcome, SCAN_FOUND);
	assert_string_equal(f.signature, "Marker");
	assert_memory_equal(&of, &first, sizeof(of));
	scan_pool_epoch(bed.pool, &second);
	assert_memory_not_equal(&second, &first, sizeof(first));
	c.before = NULL;
	/* the thread that reloaded is gone: its workers are not */
	scan_pool_run(bed.pool, 0, &c.src, &f, &of);
	assert_string_equal(f.signature, "Other");
	assert_memory_equal(&of, &second, sizeof(of));
	free(data);
}

#define THREADS 3
#define JOBS 60

struct runner {
	pthread_t thread;
	unsigned int slot;
	int wrong;
};

static void *run_many(void *arg)
{
	struct runner *r = arg;
	char eicar[80];
	size_t n = bed_eicar(eicar);

	for (int i = 0; i < JOBS; i++) {
		bool bad = i % 2 == 0;
		struct scan_epoch epoch;
		struct scan_finding f;
		struct bed_content c;

		bed_memory(&c, bad ? eicar : "plain text", bad ? n : 10);
		scan_pool_run(bed.pool, r->slot, &c.src, &f, &epoch);
		r->wrong += f.outcome != (bad ? SCAN_FOUND : SCAN_CLEAN);
	}
	return NULL;
}

static void test_reload_while_all_slots_work_drops_nothing(void **state)
{
	struct runner r[THREADS] = { 0 };
	struct scan_pool_stats st;
	struct scan_epoch before, e;
	char rules[128];

	(void)state;
	bed.conf.workers = THREADS;
	bed_start(&bed);
	scan_pool_epoch(bed.pool, &before);
	for (unsigned int i = 0; i < THREADS; i++) {
		r[i].slot = i;
		assert_int_equal(pthread_create(&r[i].thread, NULL, run_many, &r[i]), 0);
	}
	for (int i = 0; i < 3; i++) {
		(void)snprintf(rules, sizeof(rules),
			"rule R%d { strings: $a = \"none has this %d\" condition: $a }\n", i, i);
		bed_text(bed.rules, rules);
		assert_int_equal(scan_pool_reload(bed.pool, bed.why, &e), 0);
		assert_memory_not_equal(&e, &before, sizeof(e));
		before = e;
	}
	for (unsigned int i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(r[i].thread, NULL), 0);
		assert_int_equal(r[i].wrong, 0);
	}
	scan_pool_stats(bed.pool, &st);
	assert_int_equal(st.jobs, THREADS * JOBS);
	assert_int_equal(st.failed + st.crashes, 0);
	assert_int_equal(st.reloads, 3);
	assert_int_equal(st.starts, 4 * THREADS);
}

/* signatures that changed on disk, and a crash before anybody said "reload" */
static void test_run_replacement_with_other_signatures_is_told(void **state)
{
	struct scan_epoch first, of;
	struct bed_content c;
	struct scan_finding f;
	siginfo_t si;
	pid_t pid;

	(void)state;
	bed_start(&bed);
	scan_pool_epoch(bed.pool, &first);
	bed_text(bed.rules, "rule Other { strings: $a = \"other marker\" condition: $a }\n");
	pid = bed_worker_pid();
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT), 0);
	bed_memory(&c, "other marker", 12);
	scan_pool_run(bed.pool, 0, &c.src, &f, &of);
	assert_int_equal(f.outcome, SCAN_FOUND);
	assert_memory_not_equal(&of, &first, sizeof(of));
	assert_non_null(strstr(bed.notes, "other signatures: worker 0"));
}

static void test_epoch_depends_on_content_and_limits_only(void **state)
{
	struct scan_epoch a, b;
	char copy[128];

	(void)state;
	bed_start(&bed);
	scan_pool_epoch(bed.pool, &a);
	scan_pool_free(bed.pool);
	bed_text(bed.rules, "rule Marker { strings: $a = \"idfw yara marker\" condition: $a }\n"
			    "rule Elf_Entry { strings: $a = \"idfw elf marker\" condition: $a and "
			    "uint32(0) == 0x464c457f }\n"); /* the same again */
	(void)snprintf(copy, sizeof(copy), "%s/freshclam.dat", bed.db);
	bed_text(copy, "not a signature");
	bed.conf.memory_bytes = UINT64_MAX;
	bed_start(&bed);
	scan_pool_epoch(bed.pool, &b);
	assert_memory_equal(&a, &b, sizeof(a));
	scan_pool_free(bed.pool);
	bed.conf.engines.max_files = 77;
	bed_start(&bed);
	scan_pool_epoch(bed.pool, &b);
	assert_memory_not_equal(&a, &b, sizeof(a));
}

/* ---- the end ---- */

static void stop_now(void *arg, uint64_t offset)
{
	(void)arg;
	if (offset > MIB)
		scan_pool_stop(bed.pool);
}

static void test_stop_ends_a_run(void **state)
{
	uint8_t *data = calloc(1, 4 * MIB);
	struct bed_content c;
	struct scan_finding f;

	(void)state;
	assert_non_null(data);
	bed_start(&bed);
	bed_memory(&c, data, 4 * MIB);
	c.before = stop_now;
	bed_run(&bed, &c, &f);
	assert_int_equal(f.outcome, SCAN_FAILED);
	assert_string_equal(f.text, "the service stops");
	bed_run_memory(&bed, "hello", 5, &f);
	assert_int_equal(f.outcome, SCAN_FAILED);
	assert_string_equal(bed.notes, "");
	free(data);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		T(test_run_worker_that_crashes_fails_the_file),
		T(test_run_worker_that_breaks_the_protocol_fails_the_file),
		T(test_run_worker_that_hangs_is_killed_at_its_budget),
		T(test_run_hash_is_of_what_was_handed_over),
		T(test_run_content_read_twice_has_no_hash),
		T(test_run_content_read_twice_has_no_hash),
		T(test_run_range_behind_the_end_is_empty),
		T(test_run_kill_in_the_middle_costs_one_file),
		T(test_run_worker_lost_while_idle_costs_no_file),
		T(test_new_worker_that_does_not_start_says_why),
		T(test_new_directory_in_use_is_refused),
		T(test_new_bad_configuration_is_refused),
		T(test_run_replacement_that_does_not_start_is_retried),
		T(test_run_worker_is_recycled),
		T(test_run_error_of_the_source_fails_the_file_only),
		T(test_run_file_over_the_buffer_is_seen_by_clamav),
		T(test_run_file_over_the_largest_is_failed_unread),
		T(test_reload_new_signatures_are_a_new_epoch),
		T(test_reload_broken_signatures_keep_the_old),
		T(test_reload_during_a_job_drops_nothing),
		T(test_reload_while_all_slots_work_drops_nothing),
		T(test_run_replacement_with_other_signatures_is_told),
		T(test_epoch_depends_on_content_and_limits_only),
		T(test_stop_ends_a_run),
	};

	if (argc > 1 && strcmp(argv[1], "--worker") == 0)
		scan_worker_main(argc, argv);
	if (argc > 1 && strncmp(argv[1], "--fake-", 7) == 0)
		fake_main(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
