/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_nomem.c - each allocation of a whole conversation fails once: nothing leaks, nobody hangs
 *
 * A guest whose event or verdict there is no memory for is told so, or is dropped; the caller gets
 * an error. core_fini() aborts when anything is left.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "tests/unit/epsec/core.h"
#include "tests/unit/faults.h"

static uint8_t content[60000];

static void event_send(struct core *c, uint64_t id, uint64_t size)
{
	Idfw__FileEvent m = IDFW__FILE_EVENT__INIT;
	Idfw__Envelope env = IDFW__ENVELOPE__INIT;

	m.id = id;
	m.op = IDFW__FILE_OP__FILE_OP_EXEC;
	m.size = size;
	m.head.data = content;
	m.head.len = 100;
	env.body_case = IDFW__ENVELOPE__BODY_FILE_EVENT;
	env.file_event = &m;
	(void)!core_send(c, &env);
}

static void data_send(struct core *c, uint64_t id, uint64_t at, size_t len)
{
	Idfw__FileData m = IDFW__FILE_DATA__INIT;
	Idfw__Envelope env = IDFW__ENVELOPE__INIT;

	m.id = id;
	m.offset = at;
	m.data.data = content;
	m.data.len = len;
	env.body_case = IDFW__ENVELOPE__BODY_FILE_DATA;
	env.file_data = &m;
	(void)!core_send(c, &env);
}

static int answer(struct eps_event *ev, enum eps_kind kind)
{
	return eps_answer(ev, &(struct eps_verdict){ .kind = kind });
}

/* reads what the guest sends in two steps, as nobody answers while it waits here */
static int read_all(struct core *c, struct eps_event *ev)
{
	uint8_t buf[1000];
	size_t n = 0;
	int err = eps_read(ev, 0, buf, sizeof(buf), &n);

	core_pump(c);
	if (err != -ETIMEDOUT)
		return err;
	data_send(c, 1, 100, 40000);
	err = eps_read(ev, 0, buf, sizeof(buf), &n);
	if (err == 0)
		assert_int_equal(n, sizeof(buf));
	return err;
}

static int conversation(void *arg)
{
	struct core c;
	struct eps_event *ev = NULL;
	uint8_t command[2] = { 0x10, 1 };
	uint64_t id;
	int err = core_init(&c);

	(void)arg;
	if (err < 0)
		return err;
	core_guest_up(&c);
	event_send(&c, 1, 60000);
	event_send(&c, 2, 100);
	event_send(&c, 3, 100);
	(void)!eps_command(&c.e, "a", command, sizeof(command), &id);
	(void)!eps_guest_limits_set(&c.e, "b", 3, 0);
	if (eps_next(&c.e, 0, &ev) == 0) {
		(void)!read_all(&c, ev);
		(void)!answer(ev, EPS_ALLOW);
	}
	if (eps_next(&c.e, 0, &ev) == 0) {
		(void)!eps_write(ev, content, 50000, true);
		(void)!answer(ev, EPS_DENY);
	}
	if (eps_next(&c.e, 0, &ev) == 0)
		(void)!answer(ev, EPS_FAILED);
	core_pump(&c);
	core_guest_down(&c);
	core_fini(&c);
	return 0;
}

static void test_conversation_without_memory(void **state)
{
	(void)state;
	assert_true(faults_each(conversation, NULL, 0) > 40);
}

/* a verdict there is no memory for: its opener must not wait for ever */
static int one_verdict(void *arg)
{
	size_t *n_down = arg;
	struct eps_event *ev = NULL;
	struct core c;
	int err = core_init(&c);

	if (err < 0)
		return err;
	core_guest_up(&c);
	event_send(&c, 1, 100);
	err = eps_next(&c.e, 0, &ev);
	if (err == 0) {
		(void)!answer(ev, EPS_DENY);
		core_pump(&c);
		/* it went out, or the guest is gone: then the agent decides */
		*n_down += c.linked && !c.link.guests;
		assert_true(!c.linked || !c.link.guests || c.link.guests->pending.count == 1);
		assert_true(!c.linked || c.link.guests || c.n_lost == 1);
	}
	core_guest_down(&c);
	core_fini(&c);
	return 0;
}

static void test_verdict_without_memory_drops_the_guest(void **state)
{
	size_t n_down = 0;

	(void)state;
	assert_true(faults_each(one_verdict, &n_down, 0) > 10);
	assert_true(n_down > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conversation_without_memory),
		cmocka_unit_test(test_verdict_without_memory_drops_the_guest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
