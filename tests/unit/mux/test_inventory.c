/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_inventory.c - who is who: names, listeners, CIDs, addresses; and the log's limit
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "epsec/eps_int.h"
#include "mux/inventory.h"
#include "mux/limit.h"

#define HEAD                                                                                 \
	"svm \"tcp:10.0.0.1:5443\"; svm-name svm; host-name h; ca \"/a\"; cert \"/b\"; key " \
	"\"/c\";"

static int parse(const char *vms, struct mux_conf *conf)
{
	char text[8192];
	struct conf_diags d;
	int err;

	(void)snprintf(text, sizeof(text), "%s\n%s", HEAD, vms);
	memset(conf, 0, sizeof(*conf));
	conf_diags_init(&d, "test", text, strlen(text));
	err = conf_parse(&mux_conf_table, text, strlen(text), &d, conf);
	conf_diags_fini(&d);
	return err;
}

static int build(const char *vms, struct mux_inventory *inv, char why[256])
{
	struct mux_conf conf;
	int err;

	assert_int_equal(parse(vms, &conf), 0);
	err = mux_inventory_build(&conf, inv, why);
	conf_free(&mux_conf_table, &conf);
	return err;
}

static void test_conf_defaults(void **state)
{
	struct mux_conf c;

	(void)state;
	assert_int_equal(parse("", &c), 0);
	assert_string_equal(c.user, "_idfw");
	assert_int_equal(c.vsock_port, 5005);
	assert_int_equal(c.vsock_file_port, 5006);
	assert_null(c.scan);
	assert_int_equal(c.max_queue, 32 << 20);
	/* what a scan service writes into one guest's files does not fill it: files are still held
	 */
	assert_true(c.max_queue >= 2 * EPS_WRITES_MAX);
	assert_int_equal(c.max_queue_up, 1 << 20);
	assert_int_equal(c.connects_max, 20);
	assert_int_equal(c.messages_max, 5000);
	assert_int_equal(c.idle_ms, 10000);
	assert_int_equal(c.deadline_ms, 10000);
	assert_int_equal(c.retry_ms, 1300);
	conf_free(&mux_conf_table, &c);
}

static void test_conf_item_out_of_range_is_refused(void **state)
{
	struct mux_conf c;

	(void)state;
	assert_int_equal(parse("max-queue 1KiB;", &c), -GI_ESYNTAX);
	assert_int_equal(parse("vm a { cid 4294967295; }", &c), -GI_ESYNTAX);
	assert_int_equal(parse("retry 61s;", &c), -GI_ESYNTAX);
	assert_int_equal(parse("vm a { colour red; }", &c), -GI_ESYNTAX);
	assert_int_equal(parse("vm a.b { cid 3; }", &c), -GI_ESYNTAX);
	assert_int_equal(parse("vm a { listen \"unix:relative\"; }", &c), -GI_ESYNTAX);
}

static void test_build_finds_by_name_and_cid(void **state)
{
	struct mux_inventory inv = { 0 };
	char why[256];

	(void)state;
	assert_int_equal(build("vm web01 { cid 4; }"
			       "vm jump01 { listen \"unix:/run/j_5005\"; cid 3;"
			       " addresses 10.77.1.10, fd77:1::/64; }"
			       "vm db01 { listen \"unix:/run/d_5005\"; }",
				 &inv, why),
		0);
	assert_int_equal(inv.n, 3);
	assert_int_equal(inv.vsock_port[MUX_LANE_IDENTITY], 5005);
	assert_int_equal(inv.vsock_port[MUX_LANE_FILE], 0); /* no scan service */
	assert_string_equal(inv.vms[0].name, "db01");
	assert_string_equal(mux_inventory_by_cid(&inv, 3)->name, "jump01");
	assert_string_equal(mux_inventory_by_cid(&inv, 4)->name, "web01");
	assert_null(mux_inventory_by_cid(&inv, 5));
	assert_null(mux_inventory_by_cid(&inv, 0)); /* db01 has none: 0 is nobody */
	assert_int_equal(mux_inventory_find(&inv, "jump01")->n_allowed, 2);
	assert_int_equal(mux_inventory_find(&inv, "jump01")->allowed[1].len, 64);
	assert_null(mux_inventory_find(&inv, "jump0"));
	assert_null(mux_inventory_find(&inv, ""));
	mux_inventory_free(&inv);
}

static void test_build_without_cids_has_no_vsock_port(void **state)
{
	struct mux_inventory inv = { 0 };
	char why[256];

	(void)state;
	assert_int_equal(build("vm a { listen \"unix:/x\"; }", &inv, why), 0);
	assert_int_equal(inv.vsock_port[MUX_LANE_IDENTITY], 0);
	assert_int_equal(inv.socket_mode, 0660);
	mux_inventory_free(&inv);
	assert_int_equal(build("", &inv, why), 0);
	assert_int_equal(inv.n, 0);
	assert_null(mux_inventory_find(&inv, "a"));
	mux_inventory_free(&inv);
}

static void test_build_refuses_what_would_confuse_guests(void **state)
{
	static const struct {
		const char *vms, *words;
	} cases[] = {
		{ "socket-mode \"0640\"; vm a { cid 3; } vm b { cid 3; }", "share" },
		{ "socket-mode \"0777\";", "socket-mode" },
		{ "socket-mode \"0066\";", "socket-mode" },
		{ "socket-mode \"2660\";", "socket-mode" },
		{ "socket-mode \"06 0\";", "socket-mode" },
		{ "vm a { }", "needs a listen or a cid" },
		{ "vm a { cid 2; }", "host's own" },
		{ "vm a { listen \"tcp:10.0.0.1:5\"; }", "must be unix:" },
		{ "vm a { cid 3; addresses \"10.0.0.1/8\"; }", "10.0.0.1/8" },
		{ "vm a { cid 3; addresses somewhere; }", "somewhere" },
		{ "vm a { cid 3; } vm b { cid 3; }", "share" },
		{ "vm a { listen \"unix:/x\"; } vm b { listen \"unix:/x\"; }", "share" },
		{ "vm a { listen \"unix:/x\"; } vm b { file-listen \"unix:/x\"; }", "share" },
		{ "vm a { listen \"unix:/x\"; file-listen \"unix:/x\"; }", "share" },
		{ "vm a { file-listen \"tcp:10.0.0.1:5\"; }", "must be unix:" },
		{ "scan \"tcp:10.0.0.1:5444\";", "belong together" },
		{ "scan-name \"svm.example\";", "belong together" },
		{ "vsock-port 5006;", "must not be the same" },
	};

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		struct mux_inventory inv = { 0 };
		char why[256] = "";

		assert_int_equal(build(cases[i].vms, &inv, why), -EINVAL);
		assert_null(inv.vms);
		if (!strstr(why, cases[i].words))
			fail_msg("%s: says \"%s\"", cases[i].vms, why);
	}
}

static void test_equal_sees_every_difference(void **state)
{
	static const char *const vms[] = {
		"vm a { listen \"unix:/x\"; cid 3; addresses 10.0.0.1; }",
		"vm a { listen \"unix:/y\"; cid 3; addresses 10.0.0.1; }",
		"vm a { listen \"unix:/x\"; cid 4; addresses 10.0.0.1; }",
		"vm a { listen \"unix:/x\"; cid 3; addresses 10.0.0.2; }",
		"vm a { listen \"unix:/x\"; cid 3; addresses 10.0.0.1, 10.0.0.2; }",
		"vm a { listen \"unix:/x\"; cid 3; }",
	};
	struct mux_inventory inv[GI_ARRAY_SIZE(vms)] = { 0 };
	char why[256];

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(vms); i++)
		assert_int_equal(build(vms[i], &inv[i], why), 0);
	for (size_t i = 0; i < GI_ARRAY_SIZE(vms); i++)
		for (size_t k = 0; k < GI_ARRAY_SIZE(vms); k++)
			assert_int_equal(
				mux_vm_equal(inv[i].vms, inv[k].vms, MUX_LANE_IDENTITY), i == k);
	for (size_t i = 0; i < GI_ARRAY_SIZE(vms); i++)
		mux_inventory_free(&inv[i]);
}

/* what concerns one lane alone leaves the other as it is */
static void test_equal_looks_at_one_lane(void **state)
{
	static const struct {
		const char *vm;
		bool identity, file;
	} cases[] = {
		{ "vm a { listen \"unix:/x\"; file-listen \"unix:/f\"; }", true, true },
		{ "vm a { listen \"unix:/y\"; file-listen \"unix:/f\"; }", false, true },
		{ "vm a { listen \"unix:/x\"; file-listen \"unix:/g\"; }", true, false },
		{ "vm a { listen \"unix:/x\"; }", true, false },
		{ "vm a { listen \"unix:/x\"; file-listen \"unix:/f\"; addresses 10.0.0.1; }",
			false, true },
		{ "vm a { listen \"unix:/x\"; file-listen \"unix:/f\"; cid 3; }", false, false },
	};
	struct mux_inventory base = { 0 }, inv = { 0 };
	char why[256];

	(void)state;
	assert_int_equal(build(cases[0].vm, &base, why), 0);
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		assert_int_equal(build(cases[i].vm, &inv, why), 0);
		assert_int_equal(
			mux_vm_equal(base.vms, inv.vms, MUX_LANE_IDENTITY), cases[i].identity);
		assert_int_equal(mux_vm_equal(base.vms, inv.vms, MUX_LANE_FILE), cases[i].file);
		mux_inventory_free(&inv);
	}
	mux_inventory_free(&base);
}

static void test_build_with_a_scan_service_has_two_ports(void **state)
{
	struct mux_inventory inv = { 0 };
	char why[256];

	(void)state;
	assert_int_equal(build("scan \"tcp:10.0.0.1:5444\"; scan-name \"svm.example\";"
			       "vm a { cid 3; } vm b { file-listen \"unix:/b_5006\"; }",
				 &inv, why),
		0);
	assert_int_equal(inv.vsock_port[MUX_LANE_IDENTITY], 5005);
	assert_int_equal(inv.vsock_port[MUX_LANE_FILE], 5006);
	assert_string_equal(inv.vms[1].listen[MUX_LANE_FILE], "unix:/b_5006");
	assert_string_equal(inv.vms[1].listen[MUX_LANE_IDENTITY], "");
	mux_inventory_free(&inv);
}

static bool log_pass(struct mux_limit *l, uint64_t now, uint64_t *hidden)
{
	return mux_limit_pass(l, now, MUX_LOG_BURST, MUX_LOG_EVERY_MS, hidden);
}

static void test_limit_holds_back_and_counts(void **state)
{
	struct mux_limit l = { 0 };
	uint64_t hidden = 99, now = 1000000;
	int passed = 0;

	(void)state;
	for (int i = 0; i < 1000; i++)
		passed += log_pass(&l, now + (uint64_t)i, &hidden);
	assert_int_equal(passed, MUX_LOG_BURST);
	assert_int_equal(hidden, 0);
	now += MUX_LOG_EVERY_MS + 1000;
	assert_true(log_pass(&l, now, &hidden));
	assert_int_equal(hidden, 1000 - MUX_LOG_BURST);
	assert_false(log_pass(&l, now, &hidden));
	now += 100 * MUX_LOG_EVERY_MS; /* full again, not more than full */
	passed = 0;
	for (int i = 0; i < 100; i++)
		passed += log_pass(&l, now, &hidden);
	assert_int_equal(passed, MUX_LOG_BURST);
}

static void test_lines_of_one_agent_leave_the_others_theirs(void **state)
{
	struct mux_lines loud = { 0 }, quiet = { 0 };
	struct mux_limit all = { 0 };
	uint64_t now = 1000000, left = 0;
	int passed = 0;

	(void)state;
	for (int i = 0; i < 5000; i++)
		passed += mux_lines_pass(&loud, &all, now, 0, &left);
	assert_int_equal(passed, MUX_LINES_BURST);
	assert_true(mux_lines_pass(&quiet, &all, now, 7, &left));
	assert_int_equal(left, 7);
	now += MUX_LINES_EVERY_MS;
	assert_true(mux_lines_pass(&loud, &all, now, 3, &left));
	assert_int_equal(left, 5000 - MUX_LINES_BURST + 3);
	assert_true(mux_lines_pass(&quiet, &all, now, UINT64_MAX, &left));
	assert_int_equal(left, UINT64_MAX); /* said by a guest: no number overflows */
	assert_false(mux_lines_pass(&loud, &all, now, UINT64_MAX, &left));
	assert_int_equal(loud.left_out, UINT64_MAX);
}

static void test_lines_of_many_agents_end_at_the_limit_of_all(void **state)
{
	static struct mux_lines agents[100];
	struct mux_limit all = { 0 };
	uint64_t now = 1000000, left = 0;
	int passed = 0;

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(agents); i++)
		for (int k = 0; k < MUX_LINES_BURST; k++)
			passed += mux_lines_pass(&agents[i], &all, now, 0, &left);
	assert_int_equal(passed, MUX_LINES_ALL_BURST);
	now += 1000; /* a second later: 500 more, of whoever comes first */
	passed = 0;
	for (size_t i = GI_ARRAY_SIZE(agents); i-- > 0;)
		for (int k = 0; k < 50; k++)
			passed += mux_lines_pass(&agents[i], &all, now, 0, &left);
	assert_int_equal(passed, 500);
	assert_int_equal(agents[99].left_out, 0);
	assert_int_equal(agents[50].left_out, MUX_LINES_BURST + 50);
}

/* four seconds' worth at once, then the steady rate; what was not used does not add up */
static void test_flow_take_over_the_rate_waits(void **state)
{
	const uint64_t s = 1000000;
	struct mux_flow f = { 0 };
	uint64_t now = 100 * s;

	(void)state;
	for (int i = 0; i < 400; i++)
		assert_int_equal(mux_flow_take(&f, now, 100), 0);
	assert_int_equal(mux_flow_take(&f, now, 100), 10000); /* a message lasts 10 ms */
	assert_int_equal(mux_flow_take(&f, now, 100), 20000);
	now += 20000;
	assert_int_equal(mux_flow_take(&f, now, 100), 10000);
	now += 3600 * s;
	for (int i = 0; i < 400; i++)
		assert_int_equal(mux_flow_take(&f, now, 100), 0);
	assert_true(mux_flow_take(&f, now, 100) > 0);
}

static void test_flow_take_without_a_limit_never_waits(void **state)
{
	struct mux_flow f = { 0 };

	(void)state;
	for (int i = 0; i < 100000; i++)
		assert_int_equal(mux_flow_take(&f, 5, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conf_defaults),
		cmocka_unit_test(test_conf_item_out_of_range_is_refused),
		cmocka_unit_test(test_build_finds_by_name_and_cid),
		cmocka_unit_test(test_build_without_cids_has_no_vsock_port),
		cmocka_unit_test(test_build_refuses_what_would_confuse_guests),
		cmocka_unit_test(test_equal_sees_every_difference),
		cmocka_unit_test(test_equal_looks_at_one_lane),
		cmocka_unit_test(test_build_with_a_scan_service_has_two_ports),
		cmocka_unit_test(test_limit_holds_back_and_counts),
		cmocka_unit_test(test_lines_of_one_agent_leave_the_others_theirs),
		cmocka_unit_test(test_lines_of_many_agents_end_at_the_limit_of_all),
		cmocka_unit_test(test_flow_take_over_the_rate_waits),
		cmocka_unit_test(test_flow_take_without_a_limit_never_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
