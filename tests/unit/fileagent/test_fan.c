/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_fan.c - fileagent/fan.c: many events of one read, out of a pipe instead of the kernel
 *
 * Making groups and marks takes root and a file system: tests/ns/fa-*.sh.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <sys/fanotify.h>
#include <cmocka.h>

#include "fileagent/fan.h"

static int pipes[2];
static struct fan_batch batch;

static int setup(void **state)
{
	(void)state;
	memset(&batch, 0, sizeof(batch));
	return pipe2(pipes, O_NONBLOCK | O_CLOEXEC);
}

static int teardown(void **state)
{
	(void)state;
	return close(pipes[0]) || close(pipes[1]) ? -1 : 0;
}

struct event {
	struct fanotify_event_metadata m;
	struct fanotify_event_info_pidfd p;
};

static struct event event(int fd, int pidfd, uint64_t mask)
{
	struct event e = { .m = { .event_len = sizeof(e),
				   .vers = FANOTIFY_METADATA_VERSION,
				   .metadata_len = sizeof(e.m),
				   .mask = mask,
				   .fd = fd,
				   .pid = 77 },
		.p = { .hdr = { .info_type = FAN_EVENT_INFO_TYPE_PIDFD, .len = sizeof(e.p) },
			.pidfd = pidfd } };

	return e;
}

static void put(const struct event *e, size_t n)
{
	assert_int_equal(write(pipes[1], e, n * sizeof(*e)), n * sizeof(*e));
}

static void test_events_of_one_read_come_in_order(void **state)
{
	struct event e[FAN_BATCH + 1];
	struct fan_event ev;

	(void)state;
	for (int i = 0; i <= FAN_BATCH; i++)
		e[i] = event(1000 + i, 5000 + i, FAN_CLOSE_WRITE);
	put(e, FAN_BATCH + 1); /* one more than a read takes */
	for (int i = 0; i <= FAN_BATCH; i++) {
		assert_int_equal(fan_take(pipes[0], &batch, &ev), 0);
		assert_int_equal(ev.fd, 1000 + i);
		assert_int_equal(ev.pidfd, 5000 + i);
		assert_int_equal(ev.pid, 77);
		assert_int_equal(ev.what, FAN_EV_CLOSE_WRITE);
	}
	assert_int_equal(fan_take(pipes[0], &batch, &ev), -EAGAIN);
	put(e, 1);
	assert_int_equal(fan_take(pipes[0], &batch, &ev), 0);
}

/* a lease, no descriptor left; the process has ended; too many were unread */
static void test_what_could_not_be_given_is_told(void **state)
{
	const struct event e[] = { event(-EAGAIN, 9, FAN_CLOSE_WRITE),
		event(1000, -ESRCH, FAN_CLOSE_WRITE), event(1001, -EMFILE, FAN_CLOSE_WRITE),
		event(-EBADF, -ESRCH, FAN_Q_OVERFLOW) };
	struct fan_event ev;

	(void)state;
	put(e, 4);
	assert_int_equal(fan_take(pipes[0], &batch, &ev), 0);
	assert_int_equal(ev.fd, -1);
	assert_int_equal(ev.pidfd, 9);
	assert_int_equal(ev.what, FAN_EV_CLOSE_WRITE);
	assert_int_equal(fan_take(pipes[0], &batch, &ev), 0);
	assert_int_equal(ev.pidfd, FAN_GONE);
	assert_int_equal(fan_take(pipes[0], &batch, &ev), 0);
	assert_int_equal(ev.fd, 1001);
	assert_int_equal(ev.pidfd, -1);
	assert_int_equal(fan_take(pipes[0], &batch, &ev), 0);
	assert_int_equal(ev.fd, -1);
	assert_int_equal(ev.what, FAN_EV_OVERFLOW);
}

static void test_another_language_is_refused(void **state)
{
	struct event e[2] = { event(1000, 1, FAN_CLOSE_WRITE), event(1001, 1, FAN_CLOSE_WRITE) };
	struct fan_event ev;

	(void)state;
	e[0].m.vers++;
	put(e, 2);
	assert_int_equal(fan_take(pipes[0], &batch, &ev), -EPROTO);
	assert_int_equal(fan_take(pipes[0], &batch, &ev), -EAGAIN); /* and no step is guessed */
	e[0] = event(1000, 1, FAN_CLOSE_WRITE);
	e[0].m.event_len = sizeof(e) + 1;
	put(e, 2);
	assert_int_equal(fan_take(pipes[0], &batch, &ev), -EPROTO);
	e[0].m.event_len = 0;
	put(e, 1);
	assert_int_equal(fan_take(pipes[0], &batch, &ev), -EPROTO);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_events_of_one_read_come_in_order),
		T(test_what_could_not_be_given_is_told),
		T(test_another_language_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
