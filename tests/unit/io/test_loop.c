/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_loop.c - watchers and their promises: lib/io/loop.h
 *
 * No sleeps: each test waits for an event with run_once(), whose bound is only a safety net.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "lib/io/loop.h"

#define WAIT_MS 5000

struct fix {
	struct io_loop *loop;
	int fds[2];
	struct io_fd w, w2;
	struct io_timer timer;
	struct io_signal sig;
	struct io_idle idle, idle2;
	unsigned int events;
	int hits, hits2;
	int order[4];
	int n_order;
};

static int setup(void **state)
{
	static struct fix f;

	f = (struct fix){ 0 };
	if (io_loop_new(&f.loop) < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, f.fds) < 0)
		return -1;
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;

	io_loop_free(f->loop);
	close(f->fds[0]);
	close(f->fds[1]);
	return 0;
}

static void fd_cb(struct io_fd *w, unsigned int events)
{
	struct fix *f = w->arg;

	f->events = events;
	f->hits++;
}

static void fd_stop_both_cb(struct io_fd *w, unsigned int events)
{
	struct fix *f = w->arg;

	(void)events;
	f->hits++;
	io_fd_stop(f->loop, &f->w);
	io_fd_stop(f->loop, &f->w2);
}

static void test_fd_readable_and_writable_are_told(void **state)
{
	struct fix *f = *state;

	io_fd_start(f->loop, &f->w, f->fds[0], IO_READ, fd_cb, f);
	io_loop_run_once(f->loop, 0);
	assert_int_equal(f->hits, 0);
	assert_int_equal(write(f->fds[1], "x", 1), 1);
	io_loop_run_once(f->loop, WAIT_MS);
	assert_int_equal(f->hits, 1);
	assert_int_equal(f->events, IO_READ);
	io_fd_set(f->loop, &f->w, IO_READ | IO_WRITE);
	io_loop_run_once(f->loop, WAIT_MS);
	assert_int_equal(f->events, IO_READ | IO_WRITE);
	io_fd_set(f->loop, &f->w, 0);
	io_loop_run_once(f->loop, 0);
	assert_int_equal(f->hits, 2);
	io_fd_set(f->loop, &f->w, IO_READ);
	io_fd_set(f->loop, &f->w, IO_READ);
	io_loop_run_once(f->loop, WAIT_MS);
	assert_int_equal(f->hits, 3);
	io_fd_stop(f->loop, &f->w);
	io_fd_stop(f->loop, &f->w);
	io_loop_run_once(f->loop, 0);
	assert_int_equal(f->hits, 3);
}

static void test_fd_started_paused_is_silent_until_set(void **state)
{
	struct fix *f = *state;

	io_fd_start(f->loop, &f->w, f->fds[0], 0, fd_cb, f);
	io_loop_run_once(f->loop, 0);
	assert_int_equal(f->hits, 0);
	io_fd_set(f->loop, &f->w, IO_WRITE);
	io_loop_run_once(f->loop, WAIT_MS);
	assert_int_equal(f->hits, 1);
	io_fd_stop(f->loop, &f->w);
}

static void test_fd_stopped_by_other_callback_gets_no_event(void **state)
{
	struct fix *f = *state;

	/* both are writable in the same round; whichever comes first stops both */
	io_fd_start(f->loop, &f->w, f->fds[0], IO_WRITE, fd_stop_both_cb, f);
	io_fd_start(f->loop, &f->w2, f->fds[1], IO_WRITE, fd_stop_both_cb, f);
	io_loop_run_once(f->loop, WAIT_MS);
	io_loop_run_once(f->loop, 0);
	assert_int_equal(f->hits, 1);
}

static void timer_cb(struct io_timer *w)
{
	struct fix *f = w->arg;

	f->hits++;
}

static void test_timer_once_and_repeat(void **state)
{
	struct fix *f = *state;
	uint64_t begin = io_clock_mono_ms();

	io_timer_start(f->loop, &f->timer, 20, 0, timer_cb, f);
	io_loop_run_once(f->loop, WAIT_MS);
	assert_int_equal(f->hits, 1);
	assert_true(io_clock_mono_ms() - begin >= 19);
	io_loop_run_once(f->loop, 0);
	assert_int_equal(f->hits, 1);
	io_timer_start(f->loop, &f->timer, 1, 1, timer_cb, f);
	while (f->hits < 4)
		io_loop_run_once(f->loop, WAIT_MS);
	io_timer_stop(f->loop, &f->timer);
	io_timer_stop(f->loop, &f->timer);
	io_loop_run_once(f->loop, 0);
	assert_int_equal(f->hits, 4);
}

static void test_timer_started_again_counts_anew(void **state)
{
	struct fix *f = *state;

	io_timer_start(f->loop, &f->timer, 3600 * 1000, 0, timer_cb, f);
	io_timer_start(f->loop, &f->timer, 0, 0, timer_cb, f);
	io_loop_run_once(f->loop, WAIT_MS);
	assert_int_equal(f->hits, 1);
}

static void signal_cb(struct io_signal *w, int signum)
{
	struct fix *f = w->arg;

	f->hits = signum;
}

static void test_signal_arrives_in_the_loop(void **state)
{
	struct fix *f = *state;

	io_signal_start(f->loop, &f->sig, SIGUSR1, signal_cb, f);
	raise(SIGUSR1);
	assert_int_equal(f->hits, 0);
	io_loop_run_once(f->loop, WAIT_MS);
	assert_int_equal(f->hits, SIGUSR1);
	io_signal_stop(f->loop, &f->sig);
	io_signal_stop(f->loop, &f->sig);
}

static void test_sigpipe_is_ignored(void **state)
{
	struct fix *f = *state;

	close(f->fds[1]);
	assert_int_equal(write(f->fds[0], "x", 1), -1);
	assert_int_equal(errno, EPIPE);
	f->fds[1] = dup(f->fds[0]);
}

static void idle2_cb(struct io_idle *w)
{
	struct fix *f = w->arg;

	f->order[f->n_order++] = 3;
}

static void idle_cb(struct io_idle *w)
{
	struct fix *f = w->arg;

	f->order[f->n_order++] = 2;
	io_idle_once(f->loop, &f->idle2, idle2_cb, f);
}

static void fd_idle_cb(struct io_fd *w, unsigned int events)
{
	struct fix *f = w->arg;

	(void)events;
	f->order[f->n_order++] = 1;
	io_idle_once(f->loop, &f->idle, idle_cb, f);
	io_idle_once(f->loop, &f->idle, idle_cb, f);
}

static void test_idle_runs_at_the_end_of_the_same_round(void **state)
{
	struct fix *f = *state;

	/* two descriptors, then the idle once, then the one that it started, all in one round */
	io_fd_start(f->loop, &f->w, f->fds[0], IO_WRITE, fd_idle_cb, f);
	io_fd_start(f->loop, &f->w2, f->fds[1], IO_WRITE, fd_idle_cb, f);
	io_loop_run_once(f->loop, WAIT_MS);
	assert_int_equal(f->n_order, 4);
	assert_int_equal(f->order[0], 1);
	assert_int_equal(f->order[1], 1);
	assert_int_equal(f->order[2], 2);
	assert_int_equal(f->order[3], 3);
	io_fd_stop(f->loop, &f->w);
	io_fd_stop(f->loop, &f->w2);
}

static void test_idle_stopped_does_not_run(void **state)
{
	struct fix *f = *state;

	io_idle_once(f->loop, &f->idle, idle_cb, f);
	io_idle_stop(f->loop, &f->idle);
	io_idle_stop(f->loop, &f->idle);
	io_loop_run_once(f->loop, 0);
	assert_int_equal(f->n_order, 0);
	io_idle_once(f->loop, &f->idle, idle2_cb, f);
	io_loop_run_once(f->loop, 0);
	assert_int_equal(f->n_order, 1);
}

static void timer_stop_cb(struct io_timer *w)
{
	struct fix *f = w->arg;

	f->hits++;
	io_loop_stop(f->loop);
}

static void test_run_ends_with_stop(void **state)
{
	struct fix *f = *state;

	io_timer_start(f->loop, &f->timer, 1, 1, timer_stop_cb, f);
	io_loop_run(f->loop);
	assert_int_equal(f->hits, 1);
	io_timer_stop(f->loop, &f->timer);
}

static void test_run_once_returns_after_its_bound(void **state)
{
	struct fix *f = *state;
	uint64_t begin = io_clock_mono_ms();

	io_fd_start(f->loop, &f->w, f->fds[0], IO_READ, fd_cb, f);
	io_loop_run_once(f->loop, 10);
	assert_int_equal(f->hits, 0);
	assert_in_range(io_clock_mono_ms() - begin, 9, WAIT_MS);
	io_fd_stop(f->loop, &f->w);
}

struct waker {
	struct io_loop *loop;
	struct io_wake wake;
	int left, hits;
};

static void wake_cb(struct io_wake *w)
{
	struct waker *k = w->arg;

	k->hits++;
	if (__atomic_load_n(&k->left, __ATOMIC_ACQUIRE) == 0)
		io_loop_stop(k->loop);
}

static void *wake_thread(void *arg)
{
	struct waker *k = arg;

	for (int i = 0; i < 1000; i++) {
		__atomic_sub_fetch(&k->left, 1, __ATOMIC_RELEASE);
		io_wake_send(k->loop, &k->wake);
	}
	return NULL;
}

static void test_wake_from_threads_is_never_lost(void **state)
{
	struct fix *f = *state;
	struct waker k = { .loop = f->loop, .left = 2000 };
	pthread_t t[2];

	io_wake_start(f->loop, &k.wake, wake_cb, &k);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&t[i], NULL, wake_thread, &k), 0);
	io_loop_run(f->loop); /* a lost one: for ever */
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_join(t[i], NULL), 0);
	assert_in_range(k.hits, 1, 2000);
	k.hits = 0;
	io_loop_run_once(f->loop, 0);
	io_loop_run_once(f->loop, 0);
	assert_in_range(k.hits, 0, 1); /* many sent, one told */
	k.hits = 0;
	io_wake_stop(f->loop, &k.wake);
	io_wake_send(f->loop, &k.wake);
	io_loop_run_once(f->loop, 0);
	assert_int_equal(k.hits, 0);
}

static void test_clocks_go_forward(void **state)
{
	uint64_t mono = io_clock_mono_ms();

	(void)state;
	assert_true(io_clock_mono_ms() >= mono);
	assert_true(io_clock_real_ms() > 1700000000000u);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_fd_readable_and_writable_are_told),
		T(test_fd_started_paused_is_silent_until_set),
		T(test_fd_stopped_by_other_callback_gets_no_event),
		T(test_timer_once_and_repeat),
		T(test_timer_started_again_counts_anew),
		T(test_signal_arrives_in_the_loop),
		T(test_sigpipe_is_ignored),
		T(test_idle_runs_at_the_end_of_the_same_round),
		T(test_idle_stopped_does_not_run),
		T(test_run_ends_with_stop),
		T(test_run_once_returns_after_its_bound),
		T(test_wake_from_threads_is_never_lost),
		T(test_clocks_go_forward),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
