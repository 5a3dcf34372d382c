/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * loop.c - the event loop of every daemon, libev inside
 *
 * The only code that calls libev. A loop of our own (ev_loop_new), not libev's default one: that
 * would take SIGCHLD, which child.c does not need (pidfd). EVFLAG_NOENV: the environment of a
 * daemon does not choose its poll back end. Invariant: a watcher that was stopped gets no
 * callback, also when its event was already pending. Source: libev(3), ADR 0002.
 */
#include "lib/io/loop.h"

#include <signal.h>
#include <stdlib.h>
#include <time.h>

#define LOOP_MS 1e-3

static void loop_fd_cb(struct ev_loop *ev, ev_io *raw, int revents);
static void loop_timer_cb(struct ev_loop *ev, ev_timer *raw, int revents);
static void loop_signal_cb(struct ev_loop *ev, ev_signal *raw, int revents);
static void loop_idle_cb(struct ev_loop *ev, ev_prepare *raw, int revents);
static void loop_async_cb(struct ev_loop *ev, ev_async *raw, int revents);
static int loop_ev_events(unsigned int events);

int io_loop_new(struct io_loop **ret)
{
	struct io_loop *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->gulp = malloc(IO_LOOP_GULP);
	l->ev = l->gulp ? ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV) : NULL;
	if (!l->ev) {
		free(l->gulp);
		free(l);
		return -ENOMEM;
	}
	/* a peer that went away is an error of write(), not our end */
	(void)signal(SIGPIPE, SIG_IGN);
	*ret = l;
	return 0;
}

void io_loop_free(struct io_loop *l)
{
	if (!l)
		return;
	ev_loop_destroy(l->ev);
	free(l->gulp);
	free(l);
}

void io_loop_run(struct io_loop *l)
{
	(void)ev_run(l->ev, 0);
}

static void loop_wake_cb(struct ev_loop *ev, ev_timer *raw, int revents)
{
	(void)ev;
	(void)raw;
	(void)revents;
}

/* EVRUN_ONCE waits for an event; the timer bounds the wait. What was fed already is an event. */
void io_loop_run_once(struct io_loop *l, int timeout_ms)
{
	ev_timer wake;

	if (timeout_ms <= 0 || ev_pending_count(l->ev) > 0) {
		(void)ev_run(l->ev, EVRUN_NOWAIT);
		return;
	}
	ev_now_update(l->ev);
	ev_timer_init(&wake, loop_wake_cb, timeout_ms * LOOP_MS, 0.);
	ev_timer_start(l->ev, &wake);
	(void)ev_run(l->ev, EVRUN_ONCE);
	ev_timer_stop(l->ev, &wake);
}

void io_loop_stop(struct io_loop *l)
{
	ev_break(l->ev, EVBREAK_ALL);
}

void io_fd_start(struct io_loop *l, struct io_fd *w, int fd, unsigned int events,
	void (*cb)(struct io_fd *, unsigned int), void *arg)
{
	w->cb = cb;
	w->arg = arg;
	ev_io_init(&w->ev, loop_fd_cb, fd, loop_ev_events(events));
	if (events)
		ev_io_start(l->ev, &w->ev);
}

void io_fd_set(struct io_loop *l, struct io_fd *w, unsigned int events)
{
	int want = loop_ev_events(events);

	if (ev_is_active(&w->ev)) {
		if ((w->ev.events & (EV_READ | EV_WRITE)) == want)
			return;
		ev_io_stop(l->ev, &w->ev);
	}
	if (!want)
		return;
	ev_io_set(&w->ev, w->ev.fd, want);
	ev_io_start(l->ev, &w->ev);
}

void io_fd_stop(struct io_loop *l, struct io_fd *w)
{
	ev_io_stop(l->ev, &w->ev);
}

void io_timer_start(struct io_loop *l, struct io_timer *w, uint64_t after_ms, uint64_t repeat_ms,
	void (*cb)(struct io_timer *), void *arg)
{
	if (ev_is_active(&w->ev) || ev_is_pending(&w->ev))
		ev_timer_stop(l->ev, &w->ev);
	w->cb = cb;
	w->arg = arg;
	/* libev counts from the round's start; a long callback must not shorten the timer */
	ev_now_update(l->ev);
	ev_timer_init(
		&w->ev, loop_timer_cb, (double)after_ms * LOOP_MS, (double)repeat_ms * LOOP_MS);
	ev_timer_start(l->ev, &w->ev);
}

void io_timer_stop(struct io_loop *l, struct io_timer *w)
{
	ev_timer_stop(l->ev, &w->ev);
}

void io_signal_start(struct io_loop *l, struct io_signal *w, int signum,
	void (*cb)(struct io_signal *, int), void *arg)
{
	w->cb = cb;
	w->arg = arg;
	ev_signal_init(&w->ev, loop_signal_cb, signum);
	ev_signal_start(l->ev, &w->ev);
}

void io_signal_stop(struct io_loop *l, struct io_signal *w)
{
	ev_signal_stop(l->ev, &w->ev);
}

/*
 * Fed at the lowest priority instead of started: a prepare watcher that is started by another
 * one would only run after the next poll, but a flush must not wait for a peer's next byte.
 */
void io_idle_once(struct io_loop *l, struct io_idle *w, void (*cb)(struct io_idle *), void *arg)
{
	w->cb = cb;
	w->arg = arg;
	if (ev_is_pending(&w->ev))
		return;
	ev_prepare_init(&w->ev, loop_idle_cb);
	ev_set_priority(&w->ev, EV_MINPRI);
	ev_feed_event(l->ev, &w->ev, EV_PREPARE);
}

void io_idle_stop(struct io_loop *l, struct io_idle *w)
{
	(void)ev_clear_pending(l->ev, &w->ev);
}

void io_wake_start(struct io_loop *l, struct io_wake *w, void (*cb)(struct io_wake *), void *arg)
{
	w->cb = cb;
	w->arg = arg;
	ev_async_init(&w->ev, loop_async_cb);
	ev_async_start(l->ev, &w->ev);
}

void io_wake_send(struct io_loop *l, struct io_wake *w)
{
	ev_async_send(l->ev, &w->ev);
}

void io_wake_stop(struct io_loop *l, struct io_wake *w)
{
	ev_async_stop(l->ev, &w->ev);
}

uint8_t *io_loop_gulp_take(struct io_loop *l)
{
	if (l->gulp_taken)
		return NULL;
	l->gulp_taken = true;
	return l->gulp;
}

void io_loop_gulp_give(struct io_loop *l)
{
	l->gulp_taken = false;
}

uint64_t io_clock_mono_ms(void)
{
	struct timespec ts = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

uint64_t io_clock_mono_us(void)
{
	struct timespec ts = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t io_clock_boot_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

uint64_t io_clock_real_ms(void)
{
	struct timespec ts = { 0 };

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* the ev watcher is the first member of ours */
static void loop_fd_cb(struct ev_loop *ev, ev_io *raw, int revents)
{
	struct io_fd *w = (struct io_fd *)raw;
	unsigned int events = 0;

	(void)ev;
	if (revents & EV_ERROR) /* libev gave the descriptor up: let the owner's read fail */
		revents |= EV_READ | EV_WRITE;
	if (revents & EV_READ)
		events |= IO_READ;
	if (revents & EV_WRITE)
		events |= IO_WRITE;
	w->cb(w, events);
}

static void loop_timer_cb(struct ev_loop *ev, ev_timer *raw, int revents)
{
	struct io_timer *w = (struct io_timer *)raw;

	(void)ev;
	(void)revents;
	w->cb(w);
}

static void loop_signal_cb(struct ev_loop *ev, ev_signal *raw, int revents)
{
	struct io_signal *w = (struct io_signal *)raw;

	(void)ev;
	(void)revents;
	w->cb(w, raw->signum);
}

static void loop_idle_cb(struct ev_loop *ev, ev_prepare *raw, int revents)
{
	struct io_idle *w = (struct io_idle *)raw;

	(void)ev;
	(void)revents;
	w->cb(w);
}

static void loop_async_cb(struct ev_loop *ev, ev_async *raw, int revents)
{
	struct io_wake *w = (struct io_wake *)raw;

	(void)ev;
	(void)revents;
	w->cb(w);
}

static int loop_ev_events(unsigned int events)
{
	return ((events & IO_READ) ? EV_READ : 0) | ((events & IO_WRITE) ? EV_WRITE : 0);
}
