/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_reports.c - reports: numbered, kept over restarts and reboots, sent in order, acknowledged
 *
 * The link is a fake of this file: what fa_link_send_frame() takes is decoded and remembered.
 */
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "fileagent/faconf.h"
#include "fileagent/reports.h"

#define SENT_MAX 4096

struct fa_link {
	bool up;
	size_t room; /* frames */
	size_t n;
	uint64_t seq[SENT_MAX], session[SENT_MAX];
	char what[SENT_MAX][32];
};

bool fa_link_is_up(const struct fa_link *k)
{
	return k->up;
}

bool fa_link_has_room(const struct fa_link *k)
{
	return k->up && k->room > 0;
}

int fa_link_send_frame(struct fa_link *k, const void *buf, size_t len)
{
	const Idfw__FileReport *r;
	Idfw__Envelope *e;
	const char *why;

	if (!k->up)
		return -ENOTCONN;
	if (k->room == 0)
		return -GI_EFULL;
	k->room--;
	assert_int_equal(wire_envelope_decode(buf, len, WIRE_FILE_AGENT, WIRE_OPEN, &e, &why), 0);
	assert_int_equal(e->body_case, IDFW__ENVELOPE__BODY_FILE_REPORT);
	r = e->file_report;
	assert_true(k->n < SENT_MAX);
	k->seq[k->n] = r->seq;
	k->session[k->n] = r->actor ? r->actor->session : 0;
	snprintf(k->what[k->n], sizeof(k->what[0]), "%s",
		r->body_case == IDFW__FILE_REPORT__BODY_FIM ? r->fim->rule : r->passed->reason);
	k->n++;
	wire_envelope_free(e);
	return 0;
}

void fa_log(int level, const char *fmt, ...)
{
	(void)level;
	(void)fmt;
}

struct fixture {
	char dir[64];
	struct fa_conf conf;
	struct fa_counters counters;
	struct fa_link link;
	struct fa_worker w;
	struct fa_reports *r;
};

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static void reopen(struct fixture *f)
{
	fa_reports_free(f->r);
	f->r = NULL;
	memset(&f->link, 0, sizeof(f->link));
	assert_int_equal(fa_reports_new(&f->w, &f->r), 0);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	snprintf(f->dir, sizeof(f->dir), "/tmp/reports.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->conf.state_dir = f->dir;
	f->w.conf = &f->conf;
	f->w.counters = &f->counters;
	f->w.link = &f->link;
	memset(f->w.boot_id, 7, sizeof(f->w.boot_id));
	assert_int_equal(io_loop_new(&f->w.loop), 0);
	reopen(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	fa_reports_free(f->r);
	io_loop_free(f->w.loop);
	assert_int_equal(nftw(f->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
	free(f);
	return 0;
}

static int add_fim(struct fixture *f, const char *rule, uint64_t session)
{
	Idfw__FileReport rep = IDFW__FILE_REPORT__INIT;
	Idfw__FimEvent fim = IDFW__FIM_EVENT__INIT;
	Idfw__FileActor actor = IDFW__FILE_ACTOR__INIT;

	fim.rule = (char *)rule;
	fim.op = IDFW__FIM_EVENT__OP__WRITE;
	fim.path = (ProtobufCBinaryData){ .len = 2, .data = (uint8_t *)"/x" };
	actor.session = session;
	actor.user = (char *)"alice";
	rep.actor = &actor;
	rep.body_case = IDFW__FILE_REPORT__BODY_FIM;
	rep.fim = &fim;
	return fa_reports_add(f->r, &rep);
}

static void up(struct fixture *f, uint64_t acked)
{
	f->link.up = true;
	f->link.room = SENT_MAX;
	f->link.n = 0;
	fa_reports_up(f->r, acked);
}

static void expect_sent(const struct fixture *f, uint64_t first, uint64_t last)
{
	assert_int_equal(f->link.n, last + 1 - first);
	for (size_t i = 0; i < f->link.n; i++)
		assert_int_equal(f->link.seq[i], first + i);
}

static void test_add_before_and_after_up_is_sent_in_order(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 5; i++)
		assert_int_equal(add_fim(f, "etc", 9), 0);
	assert_int_equal(f->link.n, 0);
	assert_int_equal(fa_reports_last_seq(f->r), 5);
	up(f, 0);
	expect_sent(f, 1, 5);
	assert_int_equal(f->link.session[0], 9);
	assert_int_equal(add_fim(f, "etc", 9), 0);
	expect_sent(f, 1, 6);
}

static void test_up_again_sends_what_is_not_acknowledged(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 10; i++)
		assert_int_equal(add_fim(f, "etc", 9), 0);
	up(f, 0);
	fa_reports_ack(f->r, 4);
	f->link.up = false;
	up(f, 4);
	expect_sent(f, 5, 10);
	f->link.n = 0;
	fa_reports_ack(f->r, 3); /* late: says nothing */
	expect_sent(f, 1, 0);
	fa_reports_ack(f->r, 4); /* heard before: something behind it was refused */
	expect_sent(f, 5, 10);
	up(f, 7); /* the service has more than it told us */
	expect_sent(f, 8, 10);
}

static void test_up_with_a_newer_ack_and_a_newer_report_is_in_order(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 5; i++)
		assert_int_equal(add_fim(f, "etc", 9), 0);
	up(f, 0);
	f->link.up = false;
	assert_int_equal(add_fim(f, "etc", 9), 0);
	up(f, 3);
	expect_sent(f, 4, 6);
}

static void test_pump_stops_at_the_window_and_without_room(void **state)
{
	struct fixture *f = *state;
	uint64_t n = FA_REPORTS_WINDOW + 50;

	for (uint64_t i = 0; i < n; i++)
		assert_int_equal(add_fim(f, "etc", 9), 0);
	up(f, 0);
	expect_sent(f, 1, FA_REPORTS_WINDOW);
	f->link.room = 3;
	fa_reports_ack(f->r, 10);
	expect_sent(f, 1, FA_REPORTS_WINDOW + 3);
	f->link.room = SENT_MAX;
	fa_reports_pump(f->r);
	expect_sent(f, 1, FA_REPORTS_WINDOW + 10);
	fa_reports_ack(f->r, n + 1000); /* was never given out: not believed */
	expect_sent(f, 1, FA_REPORTS_WINDOW + 10);
}

static void test_restart_keeps_numbers_and_what_is_open(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 10; i++)
		assert_int_equal(add_fim(f, "etc", 9), 0);
	up(f, 0);
	fa_reports_ack(f->r, 6);
	reopen(f);
	assert_int_equal(fa_reports_last_seq(f->r), 10);
	assert_int_equal(add_fim(f, "etc", 9), 0);
	up(f, 6);
	expect_sent(f, 7, 11);
	assert_int_equal(f->link.session[0], 9);
}

static void test_reboot_sends_the_rest_without_its_session(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 10; i++)
		assert_int_equal(add_fim(f, "etc", 9), 0);
	up(f, 0);
	fa_reports_ack(f->r, 6);
	memset(f->w.boot_id, 8, sizeof(f->w.boot_id));
	reopen(f);
	assert_int_equal(add_fim(f, "etc", 3), 0);
	up(f, 0); /* of this boot the service knows nothing */
	expect_sent(f, 7, 11);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(f->link.session[i], 0);
	assert_int_equal(f->link.session[4], 3);
	/* and so it stays over a restart in this boot */
	reopen(f);
	up(f, 0);
	expect_sent(f, 7, 11);
	assert_int_equal(f->link.session[3], 0);
	assert_int_equal(f->link.session[4], 3);
}

static void test_spool_lost_numbers_go_on_behind_the_service(void **state)
{
	struct fixture *f = *state;

	up(f, 500);
	assert_int_equal(add_fim(f, "etc", 9), 0);
	expect_sent(f, 501, 501);
}

static void test_passed_storm_is_few_reports(void **state)
{
	struct fixture *f = *state;

	up(f, 0);
	for (int i = 0; i < 1000; i++) {
		Idfw__FileReport rep = IDFW__FILE_REPORT__INIT;
		Idfw__FilePassed passed = IDFW__FILE_PASSED__INIT;

		passed.reason = (char *)"service down";
		passed.op = IDFW__FILE_OP__FILE_OP_OPEN;
		passed.path = (ProtobufCBinaryData){ .len = 2, .data = (uint8_t *)"/x" };
		rep.body_case = IDFW__FILE_REPORT__BODY_PASSED;
		rep.passed = &passed;
		assert_int_equal(fa_reports_add(f->r, &rep), 0);
	}
	assert_in_range(f->link.n, 1, 30);
	assert_string_equal(f->link.what[0], "service down");
	assert_int_equal(f->counters.reports_lost, 0);
}

static void test_full_spool_is_counted(void **state)
{
	struct fixture *f = *state;
	uint64_t n = 0, lost = 0;
	char rule[WIRE_RULE_NAME_MAX + 1];

	memset(rule, 'r', sizeof(rule) - 1);
	rule[sizeof(rule) - 1] = '\0';
	/* the disk's bound and the memory's, with reports of at least 100 bytes */
	while (n < 400000 && lost < 3) {
		int err = add_fim(f, rule, UINT64_MAX);

		assert_true(err == 0 || err == -GI_EFULL);
		lost += err != 0;
		n++;
	}
	assert_int_equal(lost, 3);
	assert_int_equal(f->counters.reports_lost, 3);
	assert_int_equal(fa_reports_last_seq(f->r), n); /* their numbers are used up: a gap shows */
}

static void test_add_what_the_peer_would_refuse_is_an_error(void **state)
{
	struct fixture *f = *state;
	Idfw__FileReport rep = IDFW__FILE_REPORT__INIT;

	assert_true(fa_reports_add(f->r, &rep) < 0);
	assert_int_equal(f->counters.reports_lost, 1);
	assert_int_equal(fa_reports_last_seq(f->r), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_add_before_and_after_up_is_sent_in_order),
		T(test_up_again_sends_what_is_not_acknowledged),
		T(test_up_with_a_newer_ack_and_a_newer_report_is_in_order),
		T(test_pump_stops_at_the_window_and_without_room),
		T(test_restart_keeps_numbers_and_what_is_open),
		T(test_reboot_sends_the_rest_without_its_session),
		T(test_spool_lost_numbers_go_on_behind_the_service),
		T(test_passed_storm_is_few_reports),
		T(test_full_spool_is_counted),
		T(test_add_what_the_peer_would_refuse_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
