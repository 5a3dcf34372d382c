/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * suspend.c - sleeps of the machine, see suspend.h
 */
#include "netagent/suspend.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "lib/base/log.h"

#define FAR_S (10LL * 365 * 86400)

struct na_suspend {
	struct io_loop *loop;
	struct io_fd watch;
	struct io_timer timer;
	int fd; /* -1: only the look each second */
	uint64_t apart;
	void (*resumed)(void *arg, uint64_t slept_ms);
	void *arg;
};

uint64_t na_suspend_slept(uint64_t *apart, uint64_t mono_ms, uint64_t boot_ms)
{
	uint64_t now = boot_ms - mono_ms, slept = now - *apart;

	/* as signed: reading one of them later than the other makes it a little negative */
	if ((int64_t)slept < NA_SUSPEND_MIN_MS)
		return 0;
	*apart = now;
	return slept;
}

static void look(struct na_suspend *s)
{
	uint64_t slept = na_suspend_slept(&s->apart, io_clock_mono_ms(), io_clock_boot_ms());

	if (slept)
		s->resumed(s->arg, slept);
}

static void timer_cb(struct io_timer *t)
{
	look(t->arg);
}

static int arm(int fd)
{
	struct itimerspec far = { .it_value.tv_sec = (time_t)(io_clock_real_ms() / 1000 + FAR_S) };

	return timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &far, NULL) < 0
		       ? -errno
		       : 0;
}

static void set_cb(struct io_fd *f, unsigned int events)
{
	struct na_suspend *s = f->arg;
	uint64_t n;

	(void)events;
	if (read(s->fd, &n, sizeof(n)) < 0 && errno == ECANCELED)
		gi_info("the clock was set, or the machine was suspended");
	if (arm(s->fd) < 0)
		io_fd_stop(s->loop, &s->watch);
	look(s);
}

int na_suspend_new(
	struct io_loop *l, void (*resumed)(void *, uint64_t), void *arg, struct na_suspend **ret)
{
	struct na_suspend *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->loop = l;
	s->resumed = resumed;
	s->arg = arg;
	s->apart = io_clock_boot_ms() - io_clock_mono_ms();
	s->fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	if (s->fd >= 0 && arm(s->fd) == 0)
		io_fd_start(l, &s->watch, s->fd, IO_READ, set_cb, s);
	io_timer_start(l, &s->timer, NA_SUSPEND_LOOK_MS, NA_SUSPEND_LOOK_MS, timer_cb, s);
	*ret = s;
	return 0;
}

void na_suspend_free(struct na_suspend *s)
{
	if (!s)
		return;
	io_fd_stop(s->loop, &s->watch);
	io_timer_stop(s->loop, &s->timer);
	if (s->fd >= 0)
		close(s->fd);
	free(s);
}
