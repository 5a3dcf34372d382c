/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_nomem.c - every allocation of lib/wire, fw/fwwire and mux's pure parts fails once
 *
 * Nothing may leak or crash (the sanitizer build looks), and a lost allocation is always told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "fw/fwwire.h"
#include "lib/base/log.h"
#include "mux/guest.h"
#include "mux/sched.h"
#include "tests/unit/faults.h"
#include "tests/unit/fw/fixture.h"
#include "tests/unit/wire/samples.h"

static int one_envelope(void *arg)
{
	struct sample *s = arg;
	Idfw__Envelope *e = NULL;
	const char *why = NULL;
	struct gi_buf b;
	int err;

	gi_buf_init(&b, WIRE_FRAME_MAX);
	err = wire_envelope_encode(&s->e, &b);
	if (!err) {
		err = wire_envelope_decode(b.data, b.len, s->who, s->state, &e, &why);
		assert_true(!err == !why);
	}
	assert_true(err == 0 || err == -ENOMEM);
	assert_true(!err == (e != NULL));
	wire_envelope_free(e);
	gi_buf_fini(&b);
	return err;
}

static void test_envelope_without_memory_is_enomem(void **state)
{
	struct sample s[SAMPLES];

	(void)state;
	samples_init(s);
	for (size_t i = 0; i < SAMPLES; i++)
		assert_true(faults_each(one_envelope, &s[i], 1) >= 2);
}

static int one_routed(void *arg)
{
	struct routed_sample *s = arg;
	Idfw__Routed *r = NULL;
	const char *why = NULL;
	struct gi_buf b;
	int err;

	gi_buf_init(&b, WIRE_ROUTED_MAX);
	err = wire_routed_encode(&s->r, &b);
	if (!err)
		err = wire_routed_decode(b.data, b.len, s->from_mux, s->state, &r, &why);
	assert_true(err == 0 || err == -ENOMEM);
	wire_routed_free(r);
	gi_buf_fini(&b);
	return err;
}

static void test_routed_without_memory_is_enomem(void **state)
{
	struct routed_sample s[ROUTED_SAMPLES];

	(void)state;
	routed_samples_init(s);
	for (size_t i = 0; i < ROUTED_SAMPLES; i++)
		assert_true(faults_each(one_routed, &s[i], 1) >= 2);
}

struct pipe { /* a writer's frames go straight into a reader */
	const struct fw_state *state;
	struct fw_wire_reader *reader;
	struct fw_state *got;
};

static int through(void *arg, const uint8_t *buf, size_t len)
{
	struct pipe *p = arg;
	Idfw__Envelope *e = NULL;
	const char *why;
	int err = wire_envelope_decode(buf, len, WIRE_SVM_TO_AGENT, WIRE_OPEN, &e, &why);

	if (!err)
		err = fw_wire_reader_feed(p->reader, e, &p->got, &why);
	wire_envelope_free(e);
	return err;
}

static int one_state(void *arg)
{
	struct pipe p = { .state = arg };
	int err = fw_wire_reader_new(&p.reader);

	if (!err)
		err = fw_wire_write_state(p.state, through, &p);
	assert_true(!err == (p.got != NULL));
	fw_state_free(p.got);
	fw_wire_reader_free(p.reader);
	return err;
}

static void test_ruleset_without_memory_is_told(void **state)
{
	struct fw_state *s = fx_state("group eng si; group db gn 10.77.3.0/24;"
				      "rule app/db out accept from eng to db tcp:5432;"
				      "live 100; uid 1000 100; sg eng 100; ga db 10.77.3.10");

	(void)state;
	assert_non_null(s);
	assert_true(faults_each(one_state, s, 1) > 20);
	fw_state_free(s);
}

static int delta_through(void *arg, const uint8_t *buf, size_t len)
{
	struct fw_delta **d = arg;
	Idfw__Envelope *e = NULL;
	const char *why;
	int err = wire_envelope_decode(buf, len, WIRE_SVM_TO_AGENT, WIRE_OPEN, &e, &why);

	if (!err)
		err = fw_wire_read_delta(e->delta, d, &why);
	wire_envelope_free(e);
	return err;
}

static int one_delta(void *arg)
{
	struct fw_delta *got = NULL;
	int err = fw_wire_write_delta(arg, delta_through, &got);

	fw_delta_free(got);
	return err;
}

static void test_delta_without_memory_is_told(void **state)
{
	struct fw_op ops[2] = { { true, fw_elem_mark(FW_LIVE, 0, 100) },
		{ false, fw_elem_uid(1001, 101) } };
	struct fw_delta d = { .version = 1, .ops = ops, .n_ops = 2 };

	(void)state;
	assert_true(faults_each(one_delta, &d, 1) > 5);
}

static int marks_through(void *arg, const uint8_t *buf, size_t len)
{
	Idfw__Envelope *e = NULL;
	const char *why;
	bool done = false;
	int err = wire_envelope_decode(buf, len, WIRE_AGENT, WIRE_OPEN, &e, &why);

	if (!err)
		err = fw_wire_marks_feed(arg, e->marks, &done, &why);
	wire_envelope_free(e);
	return err;
}

static int one_marks(void *arg)
{
	struct fw_wire_marks got = { 0 };
	int err = fw_wire_write_marks(1, 2, arg, 3, marks_through, &got);

	fw_wire_marks_fini(&got);
	return err;
}

static void test_marks_without_memory_is_told(void **state)
{
	struct fw_elem elems[3] = { fw_elem_uid(1, 1), fw_elem_uid(2, 2), fw_elem_uid(3, 3) };

	(void)state;
	assert_true(faults_each(one_marks, elems, 1) > 5);
}

static int one_inventory(void *arg)
{
	struct conf_list addresses = { .items = arg, .n = 2 };
	char a[] = "a", b[] = "b", listen[] = "unix:/nowhere/x", mode[] = "0660";
	struct mux_conf_vm vms[2] = { { .label = a, .cid = 3, .addresses = addresses },
		{ .label = b, .listen = listen } };
	const struct mux_conf conf = { .socket_mode = mode, .vsock_port = 1, .vms = { vms, 2 } };
	const struct mux_guests_conf limits = { .max_queue = 1 << 20, .max_queue_up = 1 << 20 };
	struct mux_inventory inv = { 0 };
	struct mux_guests *guests = NULL;
	struct io_loop *loop = NULL;
	char why[256];
	int err = mux_inventory_build(&conf, &inv, why);

	inv.vsock_port[MUX_LANE_IDENTITY] = 0; /* no listener here */
	if (!err)
		err = io_loop_new(&loop);
	if (!err)
		err = mux_guests_new(loop, &limits, &guests);
	if (!err)
		err = mux_guests_apply(guests, &inv);
	mux_guests_free(guests);
	io_loop_free(loop);
	mux_inventory_free(&inv);
	return err;
}

static void test_inventory_without_memory_is_enomem(void **state)
{
	char v4[] = "10.0.0.1", v6[] = "fd00::/8";
	char *items[2] = { v4, v6 };

	(void)state;
	assert_true(faults_each(one_inventory, items, 1) > 5);
}

static int one_push(void *arg)
{
	struct mux_sched s;
	struct mux_queue q;
	int err;

	mux_sched_init(&s);
	mux_queue_init(&q, NULL);
	err = mux_queue_push(&s, &q, MUX_FRAME_ENVELOPE, arg, 1, 1000);
	if (!err)
		err = mux_queue_push(&s, &q, MUX_FRAME_ENVELOPE, arg, 1, 1000);
	mux_queue_clear(&s, &q);
	assert_int_equal(s.bytes, 0);
	return err;
}

static void test_queue_without_memory_is_enomem(void **state)
{
	char byte = 'x';

	(void)state;
	assert_int_equal(faults_each(one_push, &byte, 1), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_envelope_without_memory_is_enomem),
		cmocka_unit_test(test_routed_without_memory_is_enomem),
		cmocka_unit_test(test_ruleset_without_memory_is_told),
		cmocka_unit_test(test_delta_without_memory_is_told),
		cmocka_unit_test(test_marks_without_memory_is_told),
		cmocka_unit_test(test_inventory_without_memory_is_enomem),
		cmocka_unit_test(test_queue_without_memory_is_enomem),
	};

	gi_log_init("test", (enum gi_log_level)2); /* the listener that cannot be is no news */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
