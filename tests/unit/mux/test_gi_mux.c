/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_gi_mux.c - the real gi-mux and its guests: identity, holding, bad input, fairness
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "tests/unit/mux/bed.h"

#define UP IDFW__ROUTED__BODY_UP
#define DOWN IDFW__ROUTED__BODY_DOWN
#define ENV IDFW__ROUTED__BODY_ENVELOPE
#define REFUSED IDFW__ENVELOPE__BODY_REFUSED

static struct bed bed;

static int setup(void **state)
{
	bed_init(&bed, "DNS:svm.test");
	*state = &bed;
	return 0;
}

static int teardown(void **state)
{
	bed_fini(*state);
	return 0;
}

static void send_event(struct bed_guest *g, uint64_t seq)
{
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	Idfw__SessionClose c = IDFW__SESSION_CLOSE__INIT;
	Idfw__Event ev = IDFW__EVENT__INIT;

	c.id = 1;
	ev.seq = seq;
	ev.body_case = IDFW__EVENT__BODY_CLOSE;
	ev.close = &c;
	e.body_case = IDFW__ENVELOPE__BODY_EVENT;
	e.event = &ev;
	bed_guest_send(g, &e);
}

static void send_event_ack(struct bed *b, const char *vm, uint64_t seq)
{
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	Idfw__EventAck a = IDFW__EVENT_ACK__INIT;

	a.seq = seq;
	e.body_case = IDFW__ENVELOPE__BODY_EVENT_ACK;
	e.event_ack = &a;
	bed_svm_send(b, vm, &e);
}

static void test_guest_talks_both_ways(void **state)
{
	struct bed *b = *state;
	struct bed_guest *g = &b->guests[0];
	const struct seen *s;

	bed_up(b);
	bed_guest_ready(b, g, "jump01");
	s = bed_last(b, "jump01", UP);
	assert_non_null(s);
	assert_string_equal(s->text, "unix");
	assert_int_equal(s->n_allowed, 2);
	send_event(g, 7);
	bed_until(b, bed_count(b, "jump01", ENV, IDFW__ENVELOPE__BODY_EVENT) == 1);
	assert_int_equal(bed_last(b, "jump01", ENV)->seq, 7);
	send_event_ack(b, "jump01", 7);
	bed_until(b, bed_guest_count(g, IDFW__ENVELOPE__BODY_EVENT_ACK) == 1);
	bed_guest_drop(g);
	bed_until(b, bed_count(b, "jump01", DOWN, 0) == 1);
	assert_int_equal(bed_count(b, "web01", UP, 0), 0);
}

static void test_guest_is_held_until_the_link_is_up(void **state)
{
	struct bed *b = *state;
	struct bed_guest *g = &b->guests[0];

	bed_mux_start(b);
	bed_guest_connect(b, g, "jump01");
	bed_guest_hello(g);
	send_event(g, 1);
	bed_until(b, bed_log_has(b, "held until"));
	bed_svm_start(b);
	bed_until(b, bed_count(b, "jump01", ENV, IDFW__ENVELOPE__BODY_EVENT) == 1);
	/* in order: hello of the mux, VmUp, Hello, Event */
	assert_int_equal(b->n_seen, 4);
	assert_int_equal(b->seen[0].body, IDFW__ROUTED__BODY_HELLO);
	assert_int_equal(b->seen[1].body, UP);
	assert_int_equal(b->seen[2].inner, IDFW__ENVELOPE__BODY_HELLO);
	assert_false(g->closed);
}

/* each of them: Refused (when the socket still takes it), closed, VmDown, a line in the log */
struct bad_input {
	const char *name, *log;
	bool hello_first, says_refused;
	void (*send)(struct bed_guest *g);
};

static void bad_garbage(struct bed_guest *g)
{
	const uint8_t bytes[] = { 0, 0, 0, 5, 0xff, 0xff, 0xff, 0xff, 0xff };

	bed_guest_raw(g, bytes, sizeof(bytes));
}
static void bad_oversize(struct bed_guest *g)
{
	const uint8_t bytes[] = { 0x00, 0x01, 0x00, 0x01, 1, 2, 3 };

	bed_guest_raw(g, bytes, sizeof(bytes));
}
static void bad_empty(struct bed_guest *g)
{
	const uint8_t bytes[] = { 0, 0, 0, 0 };

	bed_guest_raw(g, bytes, sizeof(bytes));
}
static void bad_truncated(struct bed_guest *g)
{
	const uint8_t bytes[] = { 0, 0, 0, 9, 0x0a };

	bed_guest_raw(g, bytes, sizeof(bytes));
	bed_guest_drop(g);
}
static void bad_forbidden(struct bed_guest *g)
{
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	Idfw__RulesetCommit c = IDFW__RULESET_COMMIT__INIT;

	e.body_case = IDFW__ENVELOPE__BODY_RULESET_COMMIT;
	e.ruleset_commit = &c;
	bed_guest_send(g, &e);
}
static void bad_first(struct bed_guest *g)
{
	send_event(g, 1);
}
static void bad_hello_again(struct bed_guest *g)
{
	bed_guest_hello(g);
}
static void bad_user(struct bed_guest *g)
{
	/* an Event whose user name holds a line break:
	 * {event:{seq:1,open:{session:{id:1,user:"a\nb"}}}} */
	const uint8_t bytes[] = { 0, 0, 0, 15, 0x32, 0x0d, 0x08, 0x01, 0x12, 0x09, 0x0a, 0x07, 0x08,
		0x01, 0x12, 0x03, 'a', '\n', 'b' };

	bed_guest_raw(g, bytes, sizeof(bytes));
}

static const struct bad_input bad_inputs[] = {
	{ "garbage", "not a valid protobuf message", true, true, bad_garbage },
	{ "oversize", "frame length out of range", true, true, bad_oversize },
	{ "empty", "frame length out of range", true, true, bad_empty },
	{ "truncated", "closed in the middle of a frame", true, false, bad_truncated },
	{ "forbidden", "this sender may not send that message", true, true, bad_forbidden },
	{ "no hello", "not allowed as first message", false, true, bad_first },
	{ "hello again", "this sender may not send that message", true, true, bad_hello_again },
	{ "unclean text", "Session: bad user", true, true, bad_user },
};

static void bad_one(struct bed *b, const struct bad_input *in, size_t i)
{
	struct bed_guest *g = &b->guests[0];

	if (in->hello_first)
		bed_guest_ready(b, g, "jump01");
	else
		bed_guest_connect(b, g, "jump01");
	in->send(g);
	bed_until(b, bed_count(b, "jump01", DOWN, 0) == i + 1);
	if (in->says_refused) {
		bed_until(b, g->closed);
		if (bed_guest_count(g, REFUSED) != 1)
			fail_msg("%s: no Refused", in->name);
	}
	if (!bed_log_has(b, in->log))
		fail_msg("%s: the log does not say \"%s\"", in->name, in->log);
}

static void test_bad_input_ends_that_guest_alone(void **state)
{
	struct bed *b = *state;
	struct bed_guest *other = &b->guests[1];

	bed_up(b);
	bed_guest_ready(b, other, "web01");
	for (size_t i = 0; i < GI_ARRAY_SIZE(bad_inputs); i++) {
		/* five lines a guest get through at once: a log of its own for each half */
		if (i == 4) {
			bed_mux_signal(b, SIGTERM);
			assert_int_equal(bed_mux_wait(b), 0);
			bed_until(b, !b->link && other->closed);
			bed_up(b);
			bed_guest_ready(b, other, "web01");
		}
		bad_one(b, &bad_inputs[i], i);
		bed_guest_ping(other, 100 + i);
		bed_until(b, bed_count(b, "web01", ENV, IDFW__ENVELOPE__BODY_PING) == i + 1);
	}
	assert_int_equal(b->links, 2); /* one a process: no link was lost */
	assert_int_equal(bed_count(b, "web01", DOWN, 0), 0);
	assert_int_equal(bed_counter(b, "jump01", "refused"), 4);
	assert_int_equal(bed_counter(b, "web01", "refused"), 0);
}

static void test_second_connection_replaces_the_first(void **state)
{
	struct bed *b = *state;

	bed_up(b);
	bed_guest_ready(b, &b->guests[0], "jump01");
	bed_guest_ready(b, &b->guests[1], "jump01");
	bed_until(b, b->guests[0].closed);
	assert_int_equal(bed_count(b, "jump01", UP, 0), 2);
	assert_int_equal(bed_count(b, "jump01", DOWN, 0), 1);
	send_event(&b->guests[1], 1);
	bed_until(b, bed_count(b, "jump01", ENV, IDFW__ENVELOPE__BODY_EVENT) == 1);
}

static void test_stale_messages_do_not_reach_a_new_connection(void **state)
{
	struct bed *b = *state;
	struct bed_guest *g = &b->guests[0];

	bed_up(b);
	bed_guest_connect(b, g, "jump01");
	bed_guest_hello(g);
	bed_until(b, bed_count(b, "jump01", ENV, 0) == 1);
	send_event_ack(b, "jump01", 5); /* meant for the connection before this one */
	bed_svm_hello_ack(b, "jump01");
	bed_until(b, g->n_seen > 0);
	assert_int_equal(g->n_seen, 1);
	assert_int_equal(g->seen[0].body, IDFW__ENVELOPE__BODY_HELLO_ACK);
	assert_int_equal(bed_counter(b, "jump01", "lost"), 1);
}

static void test_connecting_too_often_is_turned_away(void **state)
{
	struct bed *b = *state;
	struct bed_guest *g = &b->guests[0];
	uint64_t end;

	bed_up(b);
	bed_guest_ready(b, &b->guests[1], "web01");
	for (int i = 0; i < 60 && bed_guest_count(g, REFUSED) == 0; i++) {
		bed_guest_connect(b, g, "jump01");
		bed_guest_hello(g);
		for (int k = 0; k < 5; k++)
			io_loop_run_once(b->loop, 2);
	}
	bed_until(b, g->closed);
	assert_true(bed_counter(b, "jump01", "turned_away") > 0);
	assert_int_equal(bed_guest_count(g, REFUSED), 1);
	assert_string_equal(g->seen[0].text, "too many connections; wait");
	assert_true(bed_count(b, "jump01", UP, 0) >= 20);
	bed_guest_ping(&b->guests[1], 1);
	bed_until(b, bed_count(b, "web01", ENV, IDFW__ENVELOPE__BODY_PING) == 1);
	/* what it opened it still has to close, one for one */
	bed_until(b, bed_count(b, "jump01", UP, 0) == bed_count(b, "jump01", DOWN, 0));
	/* the next one that is let in tells the service VM, once */
	assert_int_equal(bed_last(b, "jump01", UP)->turned_away, 0);
	end = io_clock_mono_ms() + BED_WAIT_MS;
	while (bed_last(b, "jump01", UP)->turned_away == 0 && io_clock_mono_ms() < end) {
		bed_guest_connect(b, g, "jump01");
		for (int k = 0; k < 5; k++)
			io_loop_run_once(b->loop, 20);
	}
	assert_int_equal(
		bed_last(b, "jump01", UP)->turned_away, bed_counter(b, "jump01", "turned_away"));
}

static void test_svm_closes_a_guest(void **state)
{
	struct bed *b = *state;

	bed_up(b);
	bed_guest_ready(b, &b->guests[0], "jump01");
	bed_guest_ready(b, &b->guests[1], "web01");
	bed_svm_close(b, "jump01", "wrong boot_id");
	bed_until(b, b->guests[0].closed && bed_count(b, "jump01", DOWN, 0) == 1);
	assert_true(bed_log_has(b, "wrong boot_id"));
	assert_false(b->guests[1].closed);
}

static void text_down(struct bed *b, const char *vm, size_t len)
{
	static uint8_t part[60000];
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	Idfw__RulesetPart p = IDFW__RULESET_PART__INIT;
	Idfw__Group g[64], *list[64];
	Idfw__Prefix net[64], *nets[64];
	char name[] = "g";

	/* a part that is as large as asked for: many prefixes in many groups */
	memset(part, 0, sizeof(part));
	for (size_t i = 0; i < 64; i++) {
		idfw__prefix__init(&net[i]);
		net[i].addr = (ProtobufCBinaryData){ 16, part };
		net[i].len = 128;
		nets[i] = &net[i];
	}
	for (size_t i = 0; i < 64; i++) {
		idfw__group__init(&g[i]);
		g[i].name = name;
		g[i].n_net = len / 64 / 23;
		g[i].net = nets;
		if (g[i].n_net > 64)
			g[i].n_net = 64;
		list[i] = &g[i];
	}
	p.n_group = 64;
	p.group = list;
	e.body_case = IDFW__ENVELOPE__BODY_RULESET_PART;
	e.ruleset_part = &p;
	bed_svm_send(b, vm, &e);
}

static void test_slow_guest_is_dropped_others_go_on(void **state)
{
	struct bed *b = *state;
	struct bed_guest *slow = &b->guests[0];

	bed_conf(b, "max-queue 256KiB;", NULL);
	bed_up(b);
	bed_guest_ready(b, slow, "jump01");
	bed_guest_ready(b, &b->guests[1], "web01");
	io_chan_read_pause(slow->chan);
	for (int i = 0; i < 200 && bed_count(b, "jump01", DOWN, 0) == 0; i++) {
		text_down(b, "jump01", 59000);
		for (int k = 0; k < 3; k++)
			io_loop_run_once(b->loop, 5);
	}
	bed_until(b, bed_count(b, "jump01", DOWN, 0) == 1);
	assert_true(bed_log_has(b, "does not read and max-queue is full"));
	assert_int_equal(bed_counter(b, "jump01", "overflows"), 1);
	bed_guest_ping(&b->guests[1], 1);
	bed_until(b, bed_count(b, "web01", ENV, IDFW__ENVELOPE__BODY_PING) == 1);
	assert_int_equal(b->links, 1);
	/* it comes back and is served */
	bed_guest_ready(b, slow, "jump01");
}

/* ---- one floods, one is polite ---- */

#define FLOOD_EVENTS 40000
#define POLITE_PINGS 200
#define TOO_MANY 3500 /* at 500 a second, of which 2,000 pass at once */

struct race {
	struct bed *bed;
	uint64_t sent_us, worst_us; /* of the polite guest's round trips */
	uint64_t sent_seq, worst;   /* and how many of the flood's came before one of his */
	unsigned int pongs;
	uint64_t flood_bytes, flood_last_seq, flood_sent;
	struct io_timer breath;
};

static uint64_t now_us(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* keeps the loud guest's queue full: 60 KiB of events at a time */
static void flood_more(struct race *r)
{
	static uint8_t addr[16] = { 0xfd };
	struct bed_guest *g = &r->bed->guests[0];
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	Idfw__Addresses a = IDFW__ADDRESSES__INIT;
	Idfw__Event ev = IDFW__EVENT__INIT;
	ProtobufCBinaryData list[64];

	for (size_t i = 0; i < 64; i++)
		list[i] = (ProtobufCBinaryData){ 16, addr };
	a.n_addr = 64;
	a.addr = list;
	ev.body_case = IDFW__EVENT__BODY_ADDRESSES;
	ev.addresses = &a;
	e.body_case = IDFW__ENVELOPE__BODY_EVENT;
	e.event = &ev;
	while (g->chan && io_chan_queued(g->chan) < (1u << 20) && r->flood_sent < FLOOD_EVENTS) {
		ev.seq = ++r->flood_sent;
		bed_guest_send(g, &e);
	}
}

static void polite_ping(struct race *r)
{
	r->sent_us = now_us();
	r->sent_seq = r->flood_last_seq;
	bed_guest_ping(&r->bed->guests[1], r->pongs + 1);
}

/* the service VM is the bottleneck: it takes a breath of a millisecond every 64 KiB */
static void race_breath(struct io_timer *w)
{
	struct race *r = w->arg;

	if (r->bed->link)
		io_chan_read_resume(r->bed->link);
}

static void race_routed(struct bed *b, const Idfw__Routed *m)
{
	struct race *r = b->test;
	Idfw__Envelope *e = NULL;
	const char *why;

	if (m->body_case != ENV)
		return;
	assert_int_equal(wire_envelope_decode(m->envelope.data, m->envelope.len, WIRE_AGENT,
				 WIRE_OPEN, &e, &why),
		0);
	if (e->body_case == IDFW__ENVELOPE__BODY_EVENT) {
		assert_int_equal(e->event->seq, r->flood_last_seq + 1); /* none lost, in order */
		r->flood_last_seq++;
		r->flood_bytes += m->envelope.len;
		if (r->flood_last_seq % 56 == 0) {
			io_chan_read_pause(b->link);
			io_timer_start(b->loop, &r->breath, 1, 0, race_breath, r);
		}
	} else {
		uint64_t took = now_us() - r->sent_us;
		uint64_t before = r->flood_last_seq - r->sent_seq;

		assert_int_equal(e->body_case, IDFW__ENVELOPE__BODY_PING);
		r->worst_us = took > r->worst_us ? took : r->worst_us;
		r->worst = before > r->worst ? before : r->worst;
		r->pongs++;
		if (r->pongs < POLITE_PINGS)
			polite_ping(r);
	}
	wire_envelope_free(e);
}

/*
 * 47 MB from one guest against pings of another, through a link that is always full. The exact
 * shares are test_sched.c's; here the whole way is measured, kernel queues included.
 */
static void test_flood_does_not_starve_the_polite_guest(void **state)
{
	struct bed *b = *state;
	struct race r = { .bed = b };
	uint64_t end;

	bed_conf(b, "messages-max 1000000;", NULL); /* here the link is what is short */
	bed_up(b);
	bed_guest_ready(b, &b->guests[0], "jump01");
	bed_guest_ready(b, &b->guests[1], "web01");
	b->test = &r;
	b->on_routed = race_routed;
	flood_more(&r);
	bed_until(b, r.flood_last_seq > 500);
	polite_ping(&r);
	end = io_clock_mono_ms() + 2 * BED_WAIT_MS;
	while ((r.pongs < POLITE_PINGS || r.flood_last_seq < FLOOD_EVENTS) &&
		io_clock_mono_ms() < end) {
		flood_more(&r);
		io_loop_run_once(b->loop, 50);
	}
	io_timer_stop(b->loop, &r.breath);
	print_message("flood: %llu events; polite: %u round trips, worst %llu us, behind %llu\n",
		(unsigned long long)r.flood_last_seq, r.pongs, (unsigned long long)r.worst_us,
		(unsigned long long)r.worst);
	assert_int_equal(r.pongs, POLITE_PINGS);
	assert_int_equal(r.flood_last_seq, FLOOD_EVENTS);
	/* what is on its way already; 39,000 when it has to wait until the loud one is through */
	assert_true(r.worst < FLOOD_EVENTS / 10);
	assert_false(b->guests[0].closed); /* paused, never dropped */
	b->on_routed = NULL;
	assert_true(bed_counter(b, "jump01", "pauses") > 0);
	assert_int_equal(bed_counter(b, "jump01", "up"), FLOOD_EVENTS + 1);
	assert_int_equal(bed_counter(b, "jump01", "refused"), 0);
	assert_int_equal(bed_counter(b, "web01", "pauses"), 0);
	assert_int_equal(bed_counter(b, "jump01", "throttles"), 0);
}

/* more messages than it may send: it waits, nothing is lost, the other one is served meanwhile */
static void test_too_many_messages_wait_and_are_not_lost(void **state)
{
	struct bed *b = *state;
	struct race r = { .bed = b };

	bed_conf(b, "messages-max 500;", NULL);
	bed_up(b);
	bed_guest_ready(b, &b->guests[0], "jump01");
	bed_guest_ready(b, &b->guests[1], "web01");
	b->test = &r;
	b->on_routed = race_routed;
	polite_ping(&r);
	while (r.flood_last_seq < TOO_MANY) {
		uint64_t before = r.flood_last_seq;
		uint64_t end = io_clock_mono_ms() + BED_WAIT_MS;

		while (r.flood_last_seq == before && io_clock_mono_ms() < end) {
			if (r.flood_sent < TOO_MANY)
				flood_more(&r);
			io_loop_run_once(b->loop, 50);
		}
		assert_true(r.flood_last_seq > before);
	}
	bed_until(b, r.pongs == POLITE_PINGS);
	io_timer_stop(b->loop, &r.breath);
	assert_false(b->guests[0].closed);
	b->on_routed = NULL;
	assert_true(bed_counter(b, "jump01", "throttles") > 0);
	assert_int_equal(bed_counter(b, "jump01", "refused"), 0);
	assert_int_equal(bed_counter(b, "web01", "throttles"), 0);
	assert_true(bed_log_has(b, "it sends more than messages-max"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_guest_talks_both_ways, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_guest_is_held_until_the_link_is_up, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_bad_input_ends_that_guest_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_second_connection_replaces_the_first, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_stale_messages_do_not_reach_a_new_connection, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_connecting_too_often_is_turned_away, setup, teardown),
		cmocka_unit_test_setup_teardown(test_svm_closes_a_guest, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_slow_guest_is_dropped_others_go_on, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_flood_does_not_starve_the_polite_guest, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_too_many_messages_wait_and_are_not_lost, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
