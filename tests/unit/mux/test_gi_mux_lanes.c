/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_gi_mux_lanes.c - the real gi-mux with two agents a guest: files beside identity
 *
 * Whatever happens to one lane (its service dead or not reading, a flood, bad frames), messages of
 * the other pass; a file agent's LogLines end in gi-mux's own log.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tests/unit/mux/bed.h"

#define UP IDFW__ROUTED__BODY_UP
#define DOWN IDFW__ROUTED__BODY_DOWN
#define ENV IDFW__ROUTED__BODY_ENVELOPE
#define PING IDFW__ENVELOPE__BODY_PING
#define REFUSED IDFW__ENVELOPE__BODY_REFUSED
#define FILE_EVENT IDFW__ENVELOPE__BODY_FILE_EVENT

static struct bed svm, scan; /* the two services, each with its agents */

static int setup(void **state)
{
	bed_init(&svm, "DNS:svm.test");
	bed_file_init(&scan, &svm);
	*state = &svm;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bed_file_fini(&scan);
	bed_fini(&svm);
	return 0;
}

/* both services, the mux, both agents of jump01 */
static void both_up(void)
{
	bed_up(&svm);
	bed_up(&scan);
	bed_guest_ready(&svm, &svm.guests[0], "jump01");
	bed_guest_ready(&scan, &scan.guests[0], "jump01");
}

/* a message of that agent of jump01 arrives */
static void assert_passes(struct bed *b)
{
	size_t before = bed_count(b, "jump01", ENV, PING);

	bed_guest_ping(&b->guests[0], before + 1);
	bed_until(b, bed_count(b, "jump01", ENV, PING) == before + 1);
}

static void send_data(struct bed_guest *g, uint64_t offset, size_t len)
{
	static uint8_t content[WIRE_DATA_MAX];
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	Idfw__FileData d = IDFW__FILE_DATA__INIT;

	d.id = 1;
	d.offset = offset;
	d.data = (ProtobufCBinaryData){ len, content };
	e.body_case = IDFW__ENVELOPE__BODY_FILE_DATA;
	e.file_data = &d;
	bed_guest_send(g, &e);
}

static void send_line(struct bed_guest *g, uint32_t level, const char *text, uint64_t dropped)
{
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	Idfw__LogLine l = IDFW__LOG_LINE__INIT;

	l.level = level;
	l.text = (char *)(uintptr_t)text;
	l.dropped = dropped;
	e.body_case = IDFW__ENVELOPE__BODY_LOG_LINE;
	e.log_line = &l;
	bed_guest_send(g, &e);
}

static void send_verdict(const char *vm, uint64_t id)
{
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	Idfw__FileVerdict v = IDFW__FILE_VERDICT__INIT;

	v.id = id;
	v.verdict = IDFW__FILE_VERDICT_KIND__FILE_VERDICT_ALLOW;
	e.body_case = IDFW__ENVELOPE__BODY_FILE_VERDICT;
	e.file_verdict = &v;
	bed_svm_send(&scan, vm, &e);
}

static void test_each_agent_talks_to_its_service(void **state)
{
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	Idfw__FileEvent ev = IDFW__FILE_EVENT__INIT;
	uint8_t head[] = "hello";

	(void)state;
	both_up();
	ev.id = 77;
	ev.op = IDFW__FILE_OP__FILE_OP_OPEN;
	ev.size = ev.head.len = sizeof(head);
	ev.head.data = head;
	e.body_case = FILE_EVENT;
	e.file_event = &ev;
	bed_guest_send(&scan.guests[0], &e);
	bed_until(&scan, bed_count(&scan, "jump01", ENV, FILE_EVENT) == 1);
	assert_int_equal(bed_last(&scan, "jump01", ENV)->seq, 77);
	send_verdict("jump01", 77);
	bed_until(&scan, bed_guest_count(&scan.guests[0], IDFW__ENVELOPE__BODY_FILE_VERDICT) == 1);
	assert_passes(&svm);
	assert_int_equal(bed_count(&svm, "", ENV, FILE_EVENT), 0);
	assert_int_equal(svm.guests[0].n_seen, 1); /* HelloAck and nothing of the files */
	/* addresses are the identity service's business */
	assert_int_equal(bed_last(&svm, "jump01", UP)->n_allowed, 1);
	assert_int_equal(bed_last(&scan, "jump01", UP)->n_allowed, 0);
	assert_int_equal(bed_counter(&svm, "jump01 file", "connects"), 1);
	assert_int_equal(bed_counter(&svm, "jump01", "connects"), 1);
}

/* as if each service had been taken over: what is not for this kind of agent is not passed down */
static void test_agents_may_not_speak_for_each_other(void **state)
{
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	Idfw__EventAck a = IDFW__EVENT_ACK__INIT;

	(void)state;
	both_up();
	send_data(&svm.guests[0], 0, 10);
	bed_until(&svm, svm.guests[0].closed && bed_count(&svm, "jump01", DOWN, 0) == 1);
	assert_int_equal(bed_guest_count(&svm.guests[0], REFUSED), 1);
	assert_passes(&scan);
	bed_guest_ready(&svm, &svm.guests[0], "jump01");
	e.body_case = IDFW__ENVELOPE__BODY_SNAPSHOT;
	e.snapshot = &(Idfw__Snapshot)IDFW__SNAPSHOT__INIT;
	bed_guest_send(&scan.guests[0], &e);
	bed_until(&scan, scan.guests[0].closed && bed_count(&scan, "jump01", DOWN, 0) == 1);
	assert_passes(&svm);
	/* before its HelloAck nothing reaches a file agent either */
	bed_guest_connect(&scan, &scan.guests[0], "jump01");
	bed_guest_hello(&scan.guests[0]);
	bed_until(&scan, bed_last(&scan, "jump01", ENV)->inner == IDFW__ENVELOPE__BODY_HELLO);
	e.body_case = IDFW__ENVELOPE__BODY_EVENT_ACK;
	e.event_ack = &a;
	bed_svm_send(&scan, "jump01", &e);
	bed_svm_hello_ack(&scan, "jump01");
	bed_until(&scan, scan.guests[0].n_seen == 1);
	assert_int_equal(scan.guests[0].seen[0].body, IDFW__ENVELOPE__BODY_HELLO_ACK);
}

static void test_without_a_scan_service_there_is_no_file_lane(void **state)
{
	char path[128];

	(void)state;
	svm.files = false;
	bed_conf(&svm, "",
		"vm jump01 { listen \"unix:%1$s/vm/jump01.sock_5005\"; "
		"file-listen \"unix:%1$s/vm/jump01.sock_5006\"; }\n");
	bed_up(&svm);
	bed_guest_ready(&svm, &svm.guests[0], "jump01");
	(void)snprintf(path, sizeof(path), "%s/vm/jump01.sock_5006", svm.dir);
	assert_int_not_equal(access(path, F_OK), 0);
}

/*
 * The scan service takes nothing, 8 MiB of files are queued and sent after them: the identity
 * agent of the same guest is served at once, and of the file lane nothing has moved meanwhile.
 */
static void test_a_full_file_lane_does_not_delay_identity(void **state)
{
	struct bed_guest *g = &scan.guests[0];
	size_t stuck;

	(void)state;
	both_up();
	io_chan_read_pause(scan.link);
	for (uint64_t at = 0; at < (8u << 20); at += WIRE_DATA_MAX)
		send_data(g, at, WIRE_DATA_MAX);
	/* the mux stops reading it when its queue is half full */
	while (bed_counter(&svm, "jump01 file", "pauses") == 0)
		io_loop_run_once(svm.loop, 10);
	assert_true(bed_counter(&svm, "jump01 file", "queued_up") > (256 << 10));
	stuck = bed_count(&scan, "jump01", ENV, IDFW__ENVELOPE__BODY_FILE_DATA);
	for (int i = 0; i < 100; i++)
		assert_passes(&svm);
	assert_int_equal(bed_count(&scan, "jump01", ENV, IDFW__ENVELOPE__BODY_FILE_DATA), stuck);
	assert_true(io_chan_queued(g->chan) > (4u << 20)); /* it waits in the guest */
	assert_int_equal(bed_counter(&svm, "jump01", "pauses"), 0);
	/* and nothing of it is lost */
	io_chan_read_resume(scan.link);
	bed_until(&scan, bed_count(&scan, "jump01", ENV, IDFW__ENVELOPE__BODY_FILE_DATA) ==
				 ((8u << 20) + WIRE_DATA_MAX - 1) / WIRE_DATA_MAX);
	assert_false(g->closed);
}

/* a file agent that does not read what it asked for is dropped; the other agent is not */
static void test_a_file_agent_that_does_not_read_is_dropped_alone(void **state)
{
	static uint8_t content[WIRE_DATA_MAX];
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	Idfw__FileWrite w = IDFW__FILE_WRITE__INIT;

	(void)state;
	bed_conf(&svm, "max-queue 1MiB;", NULL);
	both_up();
	io_chan_read_pause(scan.guests[0].chan);
	w.id = 1;
	w.data = (ProtobufCBinaryData){ sizeof(content), content };
	e.body_case = IDFW__ENVELOPE__BODY_FILE_WRITE;
	e.file_write = &w;
	for (int i = 0; i < 200 && bed_count(&scan, "jump01", DOWN, 0) == 0; i++) {
		bed_svm_send(&scan, "jump01", &e);
		for (int k = 0; k < 3; k++)
			io_loop_run_once(svm.loop, 5);
	}
	bed_until(&scan, bed_count(&scan, "jump01", DOWN, 0) == 1);
	assert_int_equal(bed_counter(&svm, "jump01 file", "overflows"), 1);
	assert_int_equal(bed_counter(&svm, "jump01", "overflows"), 0);
	assert_passes(&svm);
	assert_int_equal(scan.links, 1);
	bed_guest_ready(&scan, &scan.guests[0], "jump01");
}

static void test_a_dead_scan_service_leaves_identity_alone(void **state)
{
	(void)state;
	both_up();
	bed_svm_stop(&scan);
	bed_until(&scan, scan.guests[0].closed);
	assert_passes(&svm);
	/* its agent comes back and is held, until there is a service */
	bed_guest_connect(&scan, &scan.guests[0], "jump01");
	bed_guest_hello(&scan.guests[0]);
	bed_until(&scan, bed_log_has(&svm, "held until the scan service is there"));
	assert_passes(&svm);
	scan.n_seen = 0;
	bed_svm_start(&scan);
	bed_until(&scan, bed_count(&scan, "jump01", ENV, IDFW__ENVELOPE__BODY_HELLO) == 1);
	assert_int_equal(bed_count(&scan, "jump01", UP, 0), 1);
	/* the new service knows of nobody: nobody is gone for it */
	assert_int_equal(bed_count(&scan, "jump01", DOWN, 0), 0);
	assert_int_equal(svm.links, 1);
	assert_int_equal(bed_count(&svm, "jump01", DOWN, 0), 0);
	assert_true(bed_log_has(&svm, "scan service unix:"));
}

/* stopped, not dead: it is given up after its deadline, alone */
static void test_a_silent_scan_service_is_given_up_alone(void **state)
{
	(void)state;
	bed_conf(&svm, "idle 100ms; deadline 2s;", NULL);
	both_up();
	scan.mute = true;
	bed_until(&scan, scan.links == 2);
	scan.mute = false;
	bed_until(&scan, scan.guests[0].closed);
	assert_true(bed_log_has(&svm, "no sign of life within the deadline"));
	assert_passes(&svm);
	assert_int_equal(svm.links, 1);
	assert_int_equal(bed_count(&svm, "jump01", DOWN, 0), 0);
	bed_until(&scan, scan.greeted);
	bed_guest_ready(&scan, &scan.guests[0], "jump01");
	assert_passes(&scan);
}

static void test_a_dead_service_vm_leaves_files_alone(void **state)
{
	(void)state;
	both_up();
	bed_svm_stop(&svm);
	bed_until(&svm, svm.guests[0].closed);
	assert_passes(&scan);
	send_verdict("jump01", 5);
	bed_until(&scan, bed_guest_count(&scan.guests[0], IDFW__ENVELOPE__BODY_FILE_VERDICT) == 1);
	bed_up(&svm);
	bed_guest_ready(&svm, &svm.guests[0], "jump01");
	assert_int_equal(scan.links, 1);
	assert_int_equal(bed_count(&scan, "jump01", DOWN, 0), 0);
}

static void test_garbage_from_the_scan_service_ends_its_link_alone(void **state)
{
	const uint8_t garbage[] = { 0xff, 0xff, 0xff };

	(void)state;
	both_up();
	assert_int_equal(io_chan_send(scan.link, garbage, sizeof(garbage)), 0);
	bed_until(&scan, scan.guests[0].closed && scan.links == 2);
	assert_passes(&svm);
	assert_int_equal(svm.links, 1);
}

static void bad_verdict(struct bed_guest *g)
{
	/* {file_verdict:{id:1,verdict:1}}: the service's to say */
	const uint8_t bytes[] = { 0, 0, 0, 7, 0xb2, 0x04, 4, 8, 1, 16, 1 };

	bed_guest_raw(g, bytes, sizeof(bytes));
}

static void bad_event(struct bed_guest *g)
{
	/* {file_event:{id:1,op:1,path:"a\0"}} */
	const uint8_t bytes[] = { 0, 0, 0, 11, 0x8a, 0x04, 8, 8, 1, 16, 1, 26, 2, 'a', 0 };

	bed_guest_raw(g, bytes, sizeof(bytes));
}

static void bad_length(struct bed_guest *g)
{
	const uint8_t bytes[] = { 0, 1, 0, 1, 0 };

	bed_guest_raw(g, bytes, sizeof(bytes));
}

static void bad_line(struct bed_guest *g)
{
	/* {log_line:{level:1,text:"a\nb"}}: a forged line of our log */
	const uint8_t bytes[] = { 0, 0, 0, 10, 0xf2, 0x04, 7, 8, 1, 18, 3, 'a', '\n', 'b' };

	bed_guest_raw(g, bytes, sizeof(bytes));
}

static void test_bad_frames_of_a_file_agent_end_it_alone(void **state)
{
	static const struct {
		void (*send)(struct bed_guest *g);
		const char *log;
	} cases[] = {
		{ bad_verdict, "this sender may not send that message" },
		{ bad_event, "FileEvent: bad path" },
		{ bad_length, "frame length out of range" },
		{ bad_line, "LogLine: bad level or text" },
	};

	(void)state;
	both_up();
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		cases[i].send(&scan.guests[0]);
		bed_until(&scan,
			scan.guests[0].closed && bed_count(&scan, "jump01", DOWN, 0) == i + 1);
		assert_int_equal(bed_guest_count(&scan.guests[0], REFUSED), 1);
		if (!bed_log_has(&svm, cases[i].log))
			fail_msg("the log does not say \"%s\"", cases[i].log);
		assert_passes(&svm);
		bed_guest_ready(&scan, &scan.guests[0], "jump01");
	}
	assert_int_equal(bed_count(&svm, "jump01", DOWN, 0), 0);
	assert_int_equal(bed_counter(&svm, "jump01 file", "refused"), GI_ARRAY_SIZE(cases));
	assert_int_equal(bed_counter(&svm, "jump01", "refused"), 0);
	assert_int_equal(scan.links, 1);
}

/* connecting too often on one lane does not use up the turns of the other */
static void test_a_storm_of_connections_is_of_one_lane(void **state)
{
	struct bed_guest *g = &scan.guests[0];

	(void)state;
	both_up();
	for (int i = 0; i < 60 && bed_guest_count(g, REFUSED) == 0; i++) {
		bed_guest_connect(&scan, g, "jump01");
		for (int k = 0; k < 5; k++)
			io_loop_run_once(svm.loop, 2);
	}
	bed_until(&scan, g->closed);
	assert_passes(&svm);
	bed_guest_ready(&svm, &svm.guests[0], "jump01");
	assert_int_equal(bed_counter(&svm, "jump01", "turned_away"), 0);
	assert_true(bed_counter(&svm, "jump01 file", "turned_away") > 0);
}

#define LINES 5000

static void test_log_lines_end_in_our_log_and_are_limited(void **state)
{
	struct bed_guest *g = &scan.guests[0];
	char text[64];
	long lines, dropped;

	(void)state;
	both_up();
	send_line(g, 7, "event 9: allow", 0);
	bed_until(&scan, bed_log_has(&svm, "vm jump01 gi-fileagent <7>: event 9: allow"));
	send_line(g, 3, "the table is full", 12);
	bed_until(&scan, bed_log_has(&svm, "the table is full (12 lines before it were left out)"));
	/* what a guest calls an error is none of ours */
	assert_true(bed_log_has(&svm, "warning: vm jump01 gi-fileagent <3>: the table is full"));
	for (int i = 0; i < LINES; i++) {
		(void)snprintf(text, sizeof(text), "line %d", i);
		send_line(g, 7, text, 0);
	}
	assert_passes(&scan); /* behind all of them */
	assert_passes(&svm);
	lines = bed_counter(&svm, "jump01 file", "lines");
	dropped = bed_counter(&svm, "jump01 file", "lines_dropped");
	assert_int_equal(lines + dropped, LINES + 2);
	assert_true(lines >= 100);
	assert_true(dropped > 0);
	assert_true(bed_log_has(&svm, "<7>: line 90"));
	/* none of it went further */
	assert_int_equal(bed_count(&scan, "jump01", ENV, IDFW__ENVELOPE__BODY_LOG_LINE), 0);
	assert_int_equal(bed_counter(&svm, "jump01 file", "up"), 2); /* Hello, Ping */
	assert_false(g->closed);
}

static void test_reload_takes_over_file_listeners(void **state)
{
	(void)state;
	both_up();
	bed_guest_ready(&scan, &scan.guests[1], "web01");
	/* jump01's file listener goes, identity stays; db01 is new with both */
	bed_conf(&svm, "",
		"vm jump01 { listen \"unix:%1$s/vm/jump01.sock_5005\"; addresses 10.77.1.10; }\n"
		"vm db01 { listen \"unix:%1$s/vm/db01.sock_5005\"; "
		"file-listen \"unix:%1$s/vm/db01.sock_5006\"; }\n");
	bed_mux_signal(&svm, SIGHUP);
	bed_until(&scan, scan.guests[0].closed && scan.guests[1].closed);
	bed_until(&scan, bed_count(&scan, "jump01", DOWN, 0) == 1);
	bed_until(&scan, bed_count(&scan, "web01", DOWN, 0) == 1);
	assert_passes(&svm);
	assert_int_equal(bed_count(&svm, "jump01", DOWN, 0), 0);
	bed_guest_ready(&scan, &scan.guests[2], "db01");
	/* an address is of no concern to the file lane */
	bed_conf(&svm, "",
		"vm db01 { listen \"unix:%1$s/vm/db01.sock_5005\"; addresses 10.77.3.10; "
		"file-listen \"unix:%1$s/vm/db01.sock_5006\"; }\n");
	bed_mux_signal(&svm, SIGHUP);
	bed_until(&svm, svm.guests[0].closed);
	bed_guest_ping(&scan.guests[2], 1);
	bed_until(&scan, bed_count(&scan, "db01", ENV, PING) == 1);
	assert_int_equal(bed_count(&scan, "db01", DOWN, 0), 0);
	/* removed after its connection had ended: that was said once */
	assert_int_equal(bed_count(&scan, "jump01", DOWN, 0), 1);
	assert_false(bed_log_has(&svm, "restart for the rest"));
	/* the service itself is not for a reload */
	svm.files = false;
	bed_conf(&svm, "", NULL);
	bed_mux_signal(&svm, SIGHUP);
	bed_until(&svm, bed_log_has(&svm, "restart for the rest"));
}

static void test_killed_mux_comes_back_on_both_lanes(void **state)
{
	(void)state;
	both_up();
	bed_mux_signal(&svm, SIGKILL);
	assert_int_equal(bed_mux_wait(&svm), -SIGKILL);
	bed_until(&svm, !svm.link && svm.guests[0].closed);
	bed_until(&scan, !scan.link && scan.guests[0].closed);
	both_up();
	assert_passes(&svm);
	assert_passes(&scan);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_each_agent_talks_to_its_service),
		TEST(test_agents_may_not_speak_for_each_other),
		TEST(test_without_a_scan_service_there_is_no_file_lane),
		TEST(test_a_full_file_lane_does_not_delay_identity),
		TEST(test_a_file_agent_that_does_not_read_is_dropped_alone),
		TEST(test_a_dead_scan_service_leaves_identity_alone),
		TEST(test_a_silent_scan_service_is_given_up_alone),
		TEST(test_a_dead_service_vm_leaves_files_alone),
		TEST(test_garbage_from_the_scan_service_ends_its_link_alone),
		TEST(test_bad_frames_of_a_file_agent_end_it_alone),
		TEST(test_a_storm_of_connections_is_of_one_lane),
		TEST(test_log_lines_end_in_our_log_and_are_limited),
		TEST(test_reload_takes_over_file_listeners),
		TEST(test_killed_mux_comes_back_on_both_lanes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
