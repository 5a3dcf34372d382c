/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cgwatch.c - inotify on directories of cgroups, see cgwatch.h
 */
#include "netagent/cgwatch.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "lib/base/log.h"

struct na_cgwatch {
	struct io_loop *loop;
	struct io_fd watch;
	struct io_timer poll, settle;
	int fd; /* -1: only the poll */
	void (*changed)(void *arg);
	void *arg;
};

static void poll_cb(struct io_timer *t)
{
	struct na_cgwatch *w = t->arg;

	w->changed(w->arg);
}

static void settle_cb(struct io_timer *t)
{
	struct na_cgwatch *w = t->arg;

	io_timer_stop(w->loop, &w->settle);
	w->changed(w->arg);
}

static void event_cb(struct io_fd *f, unsigned int events)
{
	struct na_cgwatch *w = f->arg;
	char buf[4096] __attribute__((aligned(8)));

	(void)events;
	while (read(w->fd, buf, sizeof(buf)) > 0)
		;
	io_timer_stop(w->loop, &w->settle);
	io_timer_start(w->loop, &w->settle, NA_CGWATCH_SETTLE_MS, 0, settle_cb, w);
}

int na_cgwatch_new(struct io_loop *l, void (*changed)(void *), void *arg, struct na_cgwatch **ret)
{
	struct na_cgwatch *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->loop = l;
	w->changed = changed;
	w->arg = arg;
	w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (w->fd >= 0)
		io_fd_start(l, &w->watch, w->fd, IO_READ, event_cb, w);
	else
		gi_warn("no inotify: changes of cgroups are seen every %u s",
			NA_CGWATCH_POLL_MS / 1000);
	io_timer_start(l, &w->poll, NA_CGWATCH_POLL_MS, NA_CGWATCH_POLL_MS, poll_cb, w);
	*ret = w;
	return 0;
}

void na_cgwatch_free(struct na_cgwatch *w)
{
	if (!w)
		return;
	if (w->fd >= 0) {
		io_fd_stop(w->loop, &w->watch);
		close(w->fd);
	}
	io_timer_stop(w->loop, &w->poll);
	io_timer_stop(w->loop, &w->settle);
	free(w);
}

void na_cgwatch_add(struct na_cgwatch *w, const char *dir)
{
	if (w->fd >= 0 &&
		inotify_add_watch(w->fd, dir, IN_CREATE | IN_DELETE | IN_MOVE | IN_ONLYDIR) < 0 &&
		errno != ENOENT)
		gi_debug("%s is not watched", dir);
}
