/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * loop.h - the event loop of every daemon (libev inside, and only here)
 *
 * One loop a thread, and all calls from that thread, but for io_wake_send(). Watchers live inside
 * their owner's structs; io_*_stop may be called from any callback, also the watcher's own, and is
 * a no-op on a stopped one.
 * Source: libev(3), ADR 0002.
 */
#ifndef IO_LOOP_H
#define IO_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <ev.h>
#include "lib/base/err.h"

#define IO_LOOP_GULP (64u << 10)

struct io_loop {
	struct ev_loop *ev;
	uint8_t *gulp; /* owned; what channels read into, one at a time */
	bool gulp_taken;
};

enum io_events { IO_READ = 1, IO_WRITE = 2 };

struct io_fd {
	ev_io ev; /* private */
	void (*cb)(struct io_fd *w, unsigned int events);
	void *arg; /* the owner's */
};
struct io_timer {
	ev_timer ev;
	void (*cb)(struct io_timer *w);
	void *arg;
};
struct io_signal {
	ev_signal ev;
	void (*cb)(struct io_signal *w, int signum);
	void *arg;
};
struct io_idle { /* runs once, after the present round of events (deferred free, batched flush) */
	ev_prepare ev;
	void (*cb)(struct io_idle *w);
	void *arg;
};
struct io_wake { /* another thread has something for this one */
	ev_async ev;
	void (*cb)(struct io_wake *w);
	void *arg;
};

GI_MUST_CHECK int io_loop_new(struct io_loop **ret);
void io_loop_free(struct io_loop *l);
void io_loop_run(struct io_loop *l);			  /* until io_loop_stop */
void io_loop_run_once(struct io_loop *l, int timeout_ms); /* tests */
void io_loop_stop(struct io_loop *l);

void io_fd_start(struct io_loop *l, struct io_fd *w, int fd, unsigned int events,
	void (*cb)(struct io_fd *, unsigned int), void *arg);
void io_fd_set(struct io_loop *l, struct io_fd *w, unsigned int events); /* 0 pauses */
void io_fd_stop(struct io_loop *l, struct io_fd *w);
/* repeat_ms 0: once */
void io_timer_start(struct io_loop *l, struct io_timer *w, uint64_t after_ms, uint64_t repeat_ms,
	void (*cb)(struct io_timer *), void *arg);
void io_timer_stop(struct io_loop *l, struct io_timer *w);
void io_signal_start(struct io_loop *l, struct io_signal *w, int signum,
	void (*cb)(struct io_signal *, int), void *arg);
void io_signal_stop(struct io_loop *l, struct io_signal *w);
void io_idle_once(struct io_loop *l, struct io_idle *w, void (*cb)(struct io_idle *), void *arg);
void io_idle_stop(struct io_loop *l, struct io_idle *w);
void io_wake_start(struct io_loop *l, struct io_wake *w, void (*cb)(struct io_wake *), void *arg);
/*
 * From any thread, while @w is started: cb() comes at least once after this call. Many calls may
 * become one callback; only a loop that waits costs a system call.
 */
void io_wake_send(struct io_loop *l, struct io_wake *w);
void io_wake_stop(struct io_loop *l, struct io_wake *w);

/*
 * IO_LOOP_GULP bytes to read into, within one callback: always the same memory, so it is in the
 * cache, and nothing is asked of malloc. NULL: somebody has it.
 */
uint8_t *io_loop_gulp_take(struct io_loop *l);
void io_loop_gulp_give(struct io_loop *l);

/* clocks, the only place that reads them */
uint64_t io_clock_mono_ms(void);
uint64_t io_clock_mono_us(void);
uint64_t io_clock_boot_ms(void); /* CLOCK_BOOTTIME: as /proc's start times */
uint64_t io_clock_real_ms(void); /* Unix time in milliseconds */

#endif
