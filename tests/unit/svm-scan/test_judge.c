/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_judge.c - svm-scan's files that wait: for a thread, and for another's scan
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/io/sha256.h"
#include "tests/unit/svm-scan/bed.h"
#include "tests/unit/svm-scan/svc.h"

static bool has_stat(struct svc *s, void *arg)
{
	const char *const *name = arg;

	return svc_stat(s, *name) == 1;
}

static void test_took_counts_from_the_event_not_from_its_turn(void **state)
{
	struct svc *s = *state;
	const char *waiting = "waiting";
	struct tg_file first = svc_file("/a", "nothing is wrong with this one");
	struct tg_file f = svc_file("/b", "an idfw yara marker");
	const struct svc_record *r = NULL;
	struct tg_verdict v;
	uint64_t ids[2], since;
	pid_t worker;
	struct tg *t;

	(void)snprintf(s->extra, sizeof(s->extra), "workers 1;");
	svc_start(s);
	t = tg_new(&s->bed, "host1");
	tg_up(t, "web01");
	assert_int_equal(svc_children(s, &worker, 1), 1);
	assert_int_equal(kill(worker, SIGSTOP), 0);
	ids[0] = tg_event(t, "web01", EPS_OP_OPEN, &first);
	ids[1] = tg_event(t, "web01", EPS_OP_OPEN, &f);
	svc_wait(s, has_stat, &waiting);
	since = io_clock_mono_us();
	for (int i = 0; i < 20; i++)
		assert_int_equal(svc_stat(s, waiting), 1);
	since = io_clock_mono_us() - since;
	assert_int_equal(kill(worker, SIGCONT), 0);
	for (size_t i = 0; i < GI_ARRAY_SIZE(ids); i++)
		tg_verdict(t, ids[i], &v);
	svc_wait(s, svc_has_verdict_record, &r);
	assert_true(r->took_us >= since);
	tg_free(t);
}

static bool is_under_way(struct svc *s, void *arg)
{
	(void)arg;
	return svc_stat(s, "events") == 1 && svc_stat(s, "waiting") == 0;
}

static bool has_one_guest(struct svc *s, void *arg)
{
	(void)arg;
	return svc_stat(s, "guests") == 1;
}

/* the scan that others wait for fails, as its worker is lost, after its guest went away */
static void test_followers_of_a_guest_that_goes_are_scanned_all_the_same(void **state)
{
	struct svc *s = *state;
	const char *followers = "followers";
	struct tg_file f = svc_file("/a", "an idfw yara marker");
	struct tg_verdict v;
	pid_t worker;
	struct tg *gone, *t;
	uint64_t id;

	(void)snprintf(s->extra, sizeof(s->extra), "workers 1;");
	svc_start(s);
	gone = tg_new(&s->bed, "host1");
	tg_up(gone, "web01");
	t = tg_new(&s->bed, "host2");
	tg_up(t, "db01");
	assert_int_equal(svc_children(s, &worker, 1), 1);
	assert_int_equal(kill(worker, SIGSTOP), 0);
	(void)tg_event(gone, "web01", EPS_OP_OPEN, &f);
	/* the first is under way when nobody waits and one event came */
	svc_wait(s, is_under_way, NULL);
	id = tg_event(t, "db01", EPS_OP_CLOSE_WRITE, &f);
	svc_wait(s, has_stat, &followers);
	tg_free(gone);
	svc_wait(s, has_one_guest, NULL);
	assert_int_equal(kill(worker, SIGKILL), 0);
	tg_verdict(t, id, &v);
	assert_false(v.failed);
	assert_int_equal(v.kind, IDFW__FILE_VERDICT_KIND__FILE_VERDICT_QUARANTINE);
	assert_string_equal(v.engine, "yara");
	assert_int_equal(svc_stat(s, "workers_ended"), 1);
	assert_int_equal(svc_stat(s, "scanned"), 2);
	tg_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, svc_setup, svc_teardown)
		T(test_took_counts_from_the_event_not_from_its_turn),
		T(test_followers_of_a_guest_that_goes_are_scanned_all_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
