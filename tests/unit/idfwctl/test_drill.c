/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_drill.c - drills: the lines of a driver, the judging, and the table in docs/failure.md
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "idfwctl/drill.h"

#define LEASE 10000
#define BROKE 1000

/* ---- lines ---- */

static void feed(struct drill_watch *w, const char *line, uint64_t now)
{
	assert_int_equal(drill_watch_line(w, line, now), 0);
}

static void flows(struct drill_watch *w)
{
	feed(w, "flow lasting 86400", 1);
	feed(w, "flow close 10", 1);
	feed(w, "flows", 1);
}

static void test_lines(void **state)
{
	struct drill_watch w = { 0 };

	(void)state;
	flows(&w);
	assert_int_equal(w.n_flows, 2);
	assert_int_equal(w.flows[1].lease_ms, LEASE);
	assert_false(drill_watch_opens(&w));
	feed(&w, "open lasting 3", 10);
	feed(&w, "open close 30", 10);
	assert_true(drill_watch_opens(&w));
	assert_false(drill_watch_runs(&w));
	for (uint64_t t = 20; t <= 100; t += 20) {
		feed(&w, "tick", t);
		feed(&w, "down lasting", t);
		feed(&w, "up lasting", t);
		feed(&w, "down close", t);
		feed(&w, "up close", t);
	}
	assert_true(drill_watch_runs(&w));
	feed(&w, "shut close 1000 no answer", 3000);
	assert_false(drill_watch_opens(&w));
	assert_int_equal(w.flows[1].first_shut, 2000);
	feed(&w, "open close 7", 4000);
	assert_int_equal(w.flows[1].back, 4000);
	assert_int_equal(w.flows[1].slowest, 30);
	feed(&w, "end close reset", 4100);
	assert_false(drill_watch_runs(&w));
	feed(&w, "limit 2000", 1);
	feed(&w, "in", 17);
	feed(&w, "in", 18);
	assert_int_equal(w.in, 17);
	assert_int_equal(w.limit_ms, 2000);
}

static void test_lines_that_are_none(void **state)
{
	static const char *const bad[] = { "flow close 10", "flow", "flow x", "flow y -1",
		"flow a/b 3", "limit x", "open close", "open close -1", "shut close soon why" };
	struct drill_watch w = { 0 };
	char name[32], text[400];

	(void)state;
	flows(&w);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(drill_watch_line(&w, bad[i], 5), -EINVAL);
	feed(&w, "", 5);
	feed(&w, "words that nobody knows", 5);
	feed(&w, "down nobody", 5);
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	feed(&w, text, 5);
	for (size_t i = w.n_flows; i < DRILL_FLOWS; i++) {
		snprintf(name, sizeof(name), "flow f%zu 10", i);
		feed(&w, name, 5);
	}
	assert_int_equal(drill_watch_line(&w, "flow more 10", 5), -EINVAL);
}

static void test_gaps(void **state)
{
	struct drill_watch w = { 0 };
	struct drill_flow *f = &w.flows[0];

	(void)state;
	flows(&w);
	feed(&w, "down lasting", 10);
	feed(&w, "down lasting", 510); /* before it counts */
	drill_watch_count(&w, 600);
	assert_int_equal(f->down.gap, 0);
	feed(&w, "down lasting", 700);
	feed(&w, "down lasting", 1200);
	feed(&w, "down lasting", 1220);
	assert_int_equal(f->down.gap, 500);
	assert_int_equal(f->down.gap_from, 700);
	drill_watch_finish(&w, 3000); /* nothing came any more */
	assert_int_equal(f->down.gap, 1780);
	assert_int_equal(f->down.gap_from, 1220);
	assert_int_equal(f->up.gap, 2400);
}

/* ---- judging ---- */

static void test_fate(void **state)
{
	(void)state;
	assert_int_equal(drill_fate(DRILL_SVM, 0, 90000, 90000), DRILL_KEPT);
	assert_int_equal(drill_fate(DRILL_SVM, LEASE, 3000, 5000), DRILL_KEPT);
	assert_int_equal(drill_fate(DRILL_SVM, LEASE, 3000, 5001), DRILL_EITHER);
	assert_int_equal(drill_fate(DRILL_SVM, LEASE, 9999, UINT64_MAX), DRILL_EITHER);
	assert_int_equal(drill_fate(DRILL_SVM, LEASE, 10999, 11500), DRILL_EITHER);
	assert_int_equal(drill_fate(DRILL_SVM, LEASE, 11000, 11500), DRILL_CUT);
	assert_int_equal(drill_fate(DRILL_DIRECTORY, LEASE, 60000, 60000), DRILL_KEPT);
	assert_int_equal(drill_fate(DRILL_DIRECTORY, LEASE, 6000, 6000), DRILL_KEPT);
}

/* one flow with a lease of 10 s, broken at 1000 for @for_ms, in sync again 500 ms later */
static struct drill_facts facts(enum drill_fault fault, uint64_t for_ms)
{
	struct drill_facts f = { .fault = fault,
		.break_begin = BROKE,
		.break_end = BROKE,
		.mend_begin = BROKE + for_ms,
		.mend_end = BROKE + for_ms,
		.sync = BROKE + for_ms + 500,
		.login_begin = BROKE,
		.before = 400 };

	feed(&f.held, "flow close 10", 1);
	feed(&f.held, "flows", 1);
	f.held.flows[0].down = f.held.flows[0].up = (struct drill_beat){ .n = 100, .gap = 60 };
	f.held.flows[0].opened = 20;
	f.held.flows[0].is_open = true;
	feed(&f.login, "limit 2000", 1);
	feed(&f.login, "flow close 10", 1);
	f.login.in = BROKE + 2400;
	f.login.flows[0].first_open =
		drill_row(fault, false)->access == DRILL_AT_ONCE ? BROKE + 2450 : f.sync;
	return f;
}

/* access ended @after the fault began, until it was mended */
static void cut(struct drill_facts *f, uint64_t after)
{
	struct drill_flow *flow = &f->held.flows[0];

	flow->down.gap_from = flow->up.gap_from = BROKE + after;
	flow->down.gap = flow->up.gap = f->sync - BROKE - after;
	flow->shut = 3;
	flow->first_shut = BROKE + after - 100;
	flow->back = f->sync;
}

static size_t differ(const struct drill_facts *f, const char *what)
{
	struct drill_finding g[DRILL_FINDINGS];
	size_t n = drill_judge(f, g), differs = 0;

	for (size_t i = 0; i < n; i++) {
		if (!g[i].differs)
			continue;
		differs++;
		if (what && !strstr(g[i].what, what))
			fail_msg("%s differs: %s, not %s", g[i].what, g[i].measured, g[i].expected);
	}
	return differs;
}

static void test_each_row_holds(void **state)
{
	const struct drill_row *row;
	size_t i;

	(void)state;
	for (i = 0; (row = drill_row_at(i)) != NULL; i++) {
		struct drill_facts f = facts(row->fault, row->beyond ? 12000 : 3000);

		if (row->fate == DRILL_CUT)
			cut(&f, 8000);
		assert_int_equal(differ(&f, ""), 0);
		/* the contrary is seen */
		f = facts(row->fault, row->beyond ? 12000 : 3000);
		if (row->fate == DRILL_KEPT)
			cut(&f, 1000);
		assert_int_equal(differ(&f, "close"), 2);
	}
	assert_int_equal(i, 2 * DRILL_FAULTS);
}

static void test_between_is_either(void **state)
{
	struct drill_facts f = facts(DRILL_MUX, 7000);

	(void)state;
	assert_int_equal(differ(&f, NULL), 0);
	cut(&f, 6000);
	assert_int_equal(differ(&f, NULL), 0);
}

static void test_cut_at_the_wrong_time(void **state)
{
	static const uint64_t wrong[] = { 3000, 4400, 11100 };
	static const uint64_t right[] = { 4600, 5000, 9900, 10900 };

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct drill_facts f = facts(DRILL_SVM, 13000);

		cut(&f, wrong[i]);
		assert_in_range(differ(&f, "close"), 1, 2);
	}
	for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
		struct drill_facts f = facts(DRILL_SVM, 13000);

		cut(&f, right[i]);
		assert_int_equal(differ(&f, ""), 0);
	}
}

static void test_held(void **state)
{
	struct drill_facts f = facts(DRILL_MUX, 3000);

	(void)state;
	f.held.flows[0].up.gap = DRILL_NOTICED_MS + 1; /* one way is enough */
	assert_int_equal(differ(&f, "held"), 1);
	f.held.tick.gap = 10; /* who tells of it stood still himself */
	assert_int_equal(differ(&f, "held"), 0);
	f.held.flows[0].ended = BROKE + 500;
	assert_int_equal(differ(&f, "held"), 1);
	f = facts(DRILL_MUX, 13000);
	cut(&f, 8000);
	f.held.flows[0].down.gap = f.held.flows[0].up.gap =
		2000; /* came back before it was mended */
	assert_int_equal(differ(&f, "held"), 1);
	f = facts(DRILL_MUX, 13000);
	cut(&f, 8000);
	f.held.flows[0].is_open = false;
	assert_int_equal(differ(&f, "again"), 1);
	f = facts(DRILL_MUX, 3000);
	f.held.flows[0].opened = 0; /* nothing was tried */
	assert_int_equal(differ(&f, "new"), 1);
}

static void test_login(void **state)
{
	struct drill_facts f = facts(DRILL_MUX, 3000);

	(void)state;
	f.login.in = 0;
	assert_int_equal(differ(&f, "login"), 1);
	f.login.in = BROKE + 400 + 2000 + 3001;
	assert_int_equal(differ(&f, "login"), 1);
	f = facts(DRILL_MUX, 3000);
	f.login.flows[0].first_open = BROKE + 2500; /* before it was mended: who let him? */
	assert_int_equal(differ(&f, "its access"), 1);
	f.login.flows[0].first_open = f.mend_end + DRILL_SYNC_MS + 1;
	assert_in_range(differ(&f, "its access"), 1, 1);
	f.login.flows[0].first_open = 0;
	assert_int_equal(differ(&f, "its access"), 1);
	f = facts(DRILL_AGENT, 3000);
	f.login.flows[0].first_open = 0; /* not found: no audit */
	assert_int_equal(differ(&f, NULL), 0);
	f = facts(DRILL_AGENT_STOP, 3000);
	assert_int_equal(differ(&f, NULL), 0);
	f.login.flows[0].first_open = 0; /* his login did not wait so long */
	assert_int_equal(differ(&f, NULL), 0);
	f.login.flows[0].first_open = BROKE + 2500; /* nobody can have told of him */
	assert_int_equal(differ(&f, "its access"), 1);
	f = facts(DRILL_SVM_STOP, 3000);
	f.login.flows[0].first_open = 0; /* who waits for the SVM is heard later */
	assert_int_equal(differ(&f, "its access"), 1);
	f = facts(DRILL_DIRECTORY_STOP, 8000);
	f.login.flows[0].first_open = f.mend_end + 10;
	assert_int_equal(differ(&f, "its access"), 1);
	f = facts(DRILL_DIRECTORY, 8000);
	f.login.flows[0].first_open = f.mend_end + 10; /* he was known, and had to wait */
	assert_int_equal(differ(&f, "its access"), 1);
}

static void test_sync(void **state)
{
	struct drill_facts f = facts(DRILL_DIRECTORY, 3000);

	(void)state;
	f.sync = f.mend_end + DRILL_SYNC_MS + 1;
	assert_int_equal(differ(&f, "sync"), 1);
	f.sync = 0;
	assert_int_equal(differ(&f, "sync"), 1);
}

/* ---- the table ---- */

static void test_words(void **state)
{
	enum drill_fault fault;

	(void)state;
	for (size_t i = 0; i < DRILL_FAULTS; i++) {
		assert_int_equal(
			drill_fault_find(drill_fault_name(i), drill_fault_how(i), &fault), 0);
		assert_int_equal(fault, i);
		/* what a driver is told is told of no other */
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(drill_fault_word(k), drill_fault_word(i));
	}
	assert_int_equal(drill_fault_find("svm", NULL, &fault), 0);
	assert_int_equal(fault, DRILL_SVM);
	assert_int_equal(drill_fault_find("partition", NULL, &fault), 0);
	assert_int_equal(drill_fault_find("partition", "stop", &fault), -ENOTSUP);
	assert_int_equal(drill_fault_find("mux", "", &fault), -ENOTSUP);
	assert_int_equal(drill_fault_find("mend", NULL, &fault), -ENOENT);
	assert_int_equal(drill_fault_find("mux-stop", NULL, &fault), -ENOENT);
}

static void test_failure_md(void **state)
{
	const char *top = getenv("top_srcdir");
	const struct drill_row *row;
	struct gi_buf doc, line;
	char path[512], chunk[4096];
	size_t n, rows = 0;
	const char *at, *end;
	FILE *f;

	(void)state;
	snprintf(path, sizeof(path), "%s/docs/failure.md", top ? top : ".");
	f = fopen(path, "r");
	assert_non_null(f);
	gi_buf_init(&doc, 1 << 20);
	while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		gi_buf_append(&doc, chunk, n);
	fclose(f);
	assert_int_equal(gi_buf_error(&doc), 0);
	at = strstr(gi_buf_str(&doc), "\n## Drills\n");
	assert_non_null(at);
	gi_buf_init(&line, 1024);
	for (; (row = drill_row_at(rows)) != NULL; rows++) {
		gi_buf_reset(&line);
		gi_buf_append(&line, "\n", 1);
		drill_row_format(row, &line);
		end = strstr(at, gi_buf_str(&line));
		if (!end)
			fail_msg("not in docs/failure.md:%s", gi_buf_str(&line));
		/* and a test that shows it */
		assert_int_equal(strncmp(end + line.len, " `tests/", 8), 0);
	}
	/* no row that the code does not have: heads and rule, then these */
	for (n = 0; (at = strstr(at, "\n| ")) != NULL; at++)
		n++;
	assert_int_equal(n, rows + 1);
	gi_buf_fini(&line);
	gi_buf_fini(&doc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_lines_that_are_none),
		cmocka_unit_test(test_gaps),
		cmocka_unit_test(test_fate),
		cmocka_unit_test(test_each_row_holds),
		cmocka_unit_test(test_between_is_either),
		cmocka_unit_test(test_cut_at_the_wrong_time),
		cmocka_unit_test(test_held),
		cmocka_unit_test(test_login),
		cmocka_unit_test(test_sync),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_failure_md),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
