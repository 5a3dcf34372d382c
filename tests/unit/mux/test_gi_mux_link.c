/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_gi_mux_link.c - the real gi-mux, its link and its life: loss, refusal, silence, kill -9,
 * reload, end
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tests/unit/mux/bed.h"

#define UP IDFW__ROUTED__BODY_UP
#define DOWN IDFW__ROUTED__BODY_DOWN
#define ENV IDFW__ROUTED__BODY_ENVELOPE

static struct bed bed;

static int setup(void **state)
{
	bed_init(&bed, "DNS:svm.test");
	*state = &bed;
	return 0;
}

static int setup_wrong_name(void **state)
{
	bed_init(&bed, "DNS:other.test");
	*state = &bed;
	return 0;
}

static int teardown(void **state)
{
	bed_fini(*state);
	return 0;
}

static void test_link_lost_closes_guests_and_comes_back(void **state)
{
	struct bed *b = *state;

	bed_up(b);
	bed_guest_ready(b, &b->guests[0], "jump01");
	bed_svm_stop(b);
	bed_until(b, b->guests[0].closed);
	bed_guest_connect(b, &b->guests[0], "jump01"); /* held */
	bed_guest_hello(&b->guests[0]);
	bed_until(b, bed_log_has(b, "held until"));
	b->n_seen = 0;
	bed_svm_start(b);
	bed_until(b, bed_count(b, "jump01", ENV, IDFW__ENVELOPE__BODY_HELLO) == 1);
	assert_int_equal(bed_count(b, "jump01", UP, 0), 1);
	assert_int_equal(b->links, 2);
	assert_int_equal(b->seen[0].body, IDFW__ROUTED__BODY_HELLO);
}

static void test_killed_mux_comes_back_on_the_same_sockets(void **state)
{
	struct bed *b = *state;

	bed_up(b);
	bed_guest_ready(b, &b->guests[0], "jump01");
	bed_guest_ready(b, &b->guests[1], "web01");
	bed_mux_signal(b, SIGKILL);
	assert_int_equal(bed_mux_wait(b), -SIGKILL);
	bed_until(b, !b->link && b->guests[0].closed && b->guests[1].closed);
	b->n_seen = 0;
	bed_up(b);
	bed_guest_ready(b, &b->guests[0], "jump01");
	bed_guest_ready(b, &b->guests[1], "web01");
	assert_int_equal(bed_count(b, "jump01", UP, 0), 1);
	assert_int_equal(bed_count(b, "jump01", DOWN, 0), 0);
}

static void test_refusal_is_logged_and_tried_again(void **state)
{
	struct bed *b = *state;

	b->ack_version = UINT32_MAX;
	bed_svm_start(b);
	bed_mux_start(b);
	bed_until(b, bed_log_has(b, "refused us: no common protocol version"));
	b->ack_version = 1;
	bed_until(b, b->greeted);
	assert_true(b->links >= 2);
}

static void test_foreign_version_is_not_spoken(void **state)
{
	struct bed *b = *state;

	b->ack_version = 9;
	bed_svm_start(b);
	bed_mux_start(b);
	bed_until(b, bed_log_has(b, "a protocol version that we did not offer"));
	bed_until(b, b->links >= 2);
	assert_int_equal(bed_count(b, "", UP, 0), 0);
}

static void test_no_answer_to_hello_ends_at_the_deadline(void **state)
{
	struct bed *b = *state;

	bed_conf(b, "deadline 100ms;", NULL);
	b->ack_version = 0;
	bed_svm_start(b);
	bed_mux_start(b);
	bed_until(b, bed_log_has(b, "no answer to our Hello within the deadline"));
	bed_until(b, b->links >= 2);
}

static void test_certificate_of_another_name_is_refused(void **state)
{
	struct bed *b = *state;

	bed_svm_start(b);
	bed_mux_start(b);
	bed_until(b, bed_log_has(b, "trying again until it answers"));
	assert_false(b->greeted);
	assert_int_equal(bed_count(b, "", IDFW__ROUTED__BODY_HELLO, 0), 0);
	assert_true(bed_log_has(b, "certificate"));
}

static void test_silence_is_asked_then_ended(void **state)
{
	struct bed *b = *state;

	bed_conf(b, "idle 100ms; deadline 2s;", NULL);
	bed_up(b);
	bed_until(b, bed_count(b, "", IDFW__ROUTED__BODY_PING, 0) >= 4);
	assert_int_equal(b->links, 1); /* Pongs keep it */
	b->mute = true;
	bed_until(b, b->links == 2);
	assert_true(bed_log_has(b, "no sign of life within the deadline"));
}

static void test_ping_of_the_svm_is_answered(void **state)
{
	struct bed *b = *state;

	bed_up(b);
	bed_svm_ping(b);
	bed_until(b, bed_count(b, "", IDFW__ROUTED__BODY_PONG, 0) == 1);
}

static void test_garbage_from_the_svm_ends_the_link(void **state)
{
	const uint8_t garbage[] = { 0xff, 0xff, 0xff };
	struct bed *b = *state;

	bed_up(b);
	bed_guest_ready(b, &b->guests[0], "jump01");
	assert_int_equal(io_chan_send(b->link, garbage, sizeof(garbage)), 0);
	bed_until(b, b->guests[0].closed && b->links == 2);
	assert_true(bed_log_has(b, "not a valid protobuf message"));
}

static void test_reload_leaves_the_others_alone(void **state)
{
	struct bed *b = *state;

	bed_up(b);
	bed_guest_ready(b, &b->guests[0], "jump01");
	bed_guest_ready(b, &b->guests[1], "web01");
	/* web01 goes, db01 comes, jump01 stays */
	bed_conf(b, "",
		"vm jump01 { listen \"unix:%1$s/vm/jump01.sock_5005\"; "
		"addresses 10.77.1.10, fd77:1::10; }\n"
		"vm db01 { listen \"unix:%1$s/vm/db01.sock_5005\"; }\n");
	bed_mux_signal(b, SIGHUP);
	bed_until(b, b->guests[1].closed && bed_count(b, "web01", DOWN, 0) == 1);
	bed_guest_ready(b, &b->guests[2], "db01");
	assert_false(b->guests[0].closed);
	assert_int_equal(bed_count(b, "jump01", DOWN, 0), 0);
	/* its addresses change: announced anew; what needs a restart is said */
	bed_conf(b, "max-queue 1MiB;",
		"vm jump01 { listen \"unix:%1$s/vm/jump01.sock_5005\"; addresses 10.77.1.11; }\n"
		"vm db01 { listen \"unix:%1$s/vm/db01.sock_5005\"; }\n");
	bed_mux_signal(b, SIGHUP);
	bed_until(b, b->guests[0].closed && bed_count(b, "jump01", DOWN, 0) == 1);
	bed_guest_ready(b, &b->guests[0], "jump01");
	assert_int_equal(bed_last(b, "jump01", UP)->n_allowed, 1);
	assert_false(b->guests[2].closed);
	assert_true(bed_log_has(b, "restart for the rest"));
}

static void test_bad_reload_changes_nothing(void **state)
{
	struct bed *b = *state;

	bed_up(b);
	bed_guest_ready(b, &b->guests[0], "jump01");
	bed_conf(b, "",
		"vm jump01 { listen \"unix:%1$s/vm/other\"; cid 3; }\nvm web01 { cid 3; }\n");
	bed_mux_signal(b, SIGHUP);
	bed_until(b, bed_log_has(b, "the old one goes on"));
	assert_true(bed_log_has(b, "two VMs share"));
	bed_guest_ping(&b->guests[0], 1);
	bed_until(b, bed_count(b, "jump01", ENV, IDFW__ENVELOPE__BODY_PING) == 1);
	assert_false(b->guests[0].closed);
	bed_guest_ready(b, &b->guests[1], "web01");
}

static void test_removed_while_down_is_gone(void **state)
{
	struct bed *b = *state;

	bed_mux_start(b);
	bed_guest_connect(b, &b->guests[0], "jump01");
	bed_until(b, bed_log_has(b, "held until"));
	bed_conf(b, "", "vm web01 { listen \"unix:%1$s/vm/web01.sock_5005\"; }\n");
	bed_mux_signal(b, SIGHUP);
	bed_until(b, b->guests[0].closed);
	bed_up(b);
	bed_guest_ready(b, &b->guests[1], "web01");
	assert_int_equal(bed_count(b, "jump01", UP, 0), 0);
	assert_int_equal(bed_count(b, "jump01", DOWN, 0), 0);
}

static void test_missing_directory_does_not_stop_the_others(void **state)
{
	struct bed *b = *state;
	char dir[128];

	bed_conf(b, "",
		"vm lost01 { listen \"unix:%1$s/nowhere/sock_5005\"; }\n"
		"vm web01 { listen \"unix:%1$s/vm/web01.sock_5005\"; }\n");
	bed_up(b);
	bed_guest_ready(b, &b->guests[0], "web01");
	assert_true(bed_log_has(b, "cannot listen"));
	/* it tries again until it can */
	(void)snprintf(dir, sizeof(dir), "%s/nowhere", b->dir);
	assert_int_equal(mkdir(dir, 0777), 0);
	assert_int_equal(chmod(dir, 0777), 0);
	bed_until(b, bed_log_has(b, "listening now"));
}

static void test_term_ends_cleanly(void **state)
{
	struct bed *b = *state;

	bed_up(b);
	bed_guest_ready(b, &b->guests[0], "jump01");
	bed_mux_signal(b, SIGTERM);
	assert_int_equal(bed_mux_wait(b), 0);
	bed_until(b, !b->link && b->guests[0].closed);
}

/* who may connect is that VM: nobody by default, but the group of the directory */
static void test_sockets_are_not_for_everybody(void **state)
{
	struct bed *b = *state;
	char dir[256], path[300];
	struct stat st;

	(void)snprintf(dir, sizeof(dir), "%s/vm", b->dir);
	(void)snprintf(path, sizeof(path), "%s/jump01.sock_5005", dir);
	if (geteuid() == 0)
		assert_int_equal(chown(dir, (uid_t)-1, 12345), 0);
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(chmod(dir, (st.st_mode & 0777) | S_ISGID), 0);
	bed_up(b);
	bed_guest_ready(b, &b->guests[0], "jump01");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	if (geteuid() == 0)
		assert_int_equal(st.st_gid, 12345);
}

static void test_options_check_the_configuration(void **state)
{
	struct bed *b = *state;
	const struct {
		const char *vms;
		int code;
	} cases[] = {
		{ NULL, 0 },
		{ "vm a { cid 2; }\n", 78 },
		{ "vm a { nonsense 1; }\n", 78 },
	};

	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		bed_conf(b, "", cases[i].vms);
		assert_int_equal(bed_mux_run(b, "-t"), cases[i].code);
	}
	bed_conf(b, "socket-mode \"0777\";", NULL);
	assert_int_equal(bed_mux_run(b, "-t"), 78);
	bed_conf(b, "", NULL);
	assert_int_equal(bed_mux_run(b, "--nonsense"), 2);
	assert_int_equal(bed_mux_run(b, "--version"), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_link_lost_closes_guests_and_comes_back),
		TEST(test_killed_mux_comes_back_on_the_same_sockets),
		TEST(test_refusal_is_logged_and_tried_again),
		TEST(test_foreign_version_is_not_spoken),
		TEST(test_no_answer_to_hello_ends_at_the_deadline),
		cmocka_unit_test_setup_teardown(
			test_certificate_of_another_name_is_refused, setup_wrong_name, teardown),
		TEST(test_silence_is_asked_then_ended),
		TEST(test_ping_of_the_svm_is_answered),
		TEST(test_garbage_from_the_svm_ends_the_link),
		TEST(test_reload_leaves_the_others_alone),
		TEST(test_bad_reload_changes_nothing),
		TEST(test_removed_while_down_is_gone),
		TEST(test_missing_directory_does_not_stop_the_others),
		TEST(test_term_ends_cleanly),
		TEST(test_sockets_are_not_for_everybody),
		TEST(test_options_check_the_configuration),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
