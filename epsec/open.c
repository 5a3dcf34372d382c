/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * open.c - eps_open(), eps_stop(), eps_close(): the library's thread begins and ends
 *
 * The thread has all signals blocked, so handlers run in the caller's threads; the process's own
 * dispositions stay as they are (a peer that went away is an error of write(2) to a thread that
 * blocks SIGPIPE).
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "epsec/net.h"

static void woken(struct io_wake *w)
{
	struct eps *e = w->arg;
	bool closing;

	pthread_mutex_lock(&e->lock);
	closing = e->closing;
	pthread_mutex_unlock(&e->lock);
	eps_core_pump(e);
	if (closing)
		io_loop_stop(e->loop);
}

static void *thread_main(void *arg)
{
	struct eps *e = arg;

	io_loop_run(e->loop);
	eps_net_close(e->net);
	eps_core_pump(e); /* verdicts that came too late: done() */
	return NULL;
}

/* io_loop_new() ignores SIGPIPE, for daemons; whose process this is decides that itself */
static int loop_new(struct eps *e)
{
	struct sigaction before;
	int err;

	(void)sigaction(SIGPIPE, NULL, &before);
	err = io_loop_new(&e->loop);
	(void)sigaction(SIGPIPE, &before, NULL);
	return err;
}

static int thread_start(struct eps *e)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_mutex_lock(&e->lock); /* who asks eps_in_loop() knows the thread by then */
	err = pthread_create(&e->thread, NULL, thread_main, e);
	e->threaded = err == 0;
	pthread_mutex_unlock(&e->lock);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -err;
}

static void eps_free(struct eps *e)
{
	eps_net_free(e->net);
	if (e->loop) {
		io_wake_stop(e->loop, &e->wake);
		io_idle_stop(e->loop, &e->hand_over);
	}
	io_loop_free(e->loop);
	eps_core_fini(e);
	free(e);
}

int eps_open(const struct eps_conf *conf, const struct eps_ops *ops, void *arg, char ret_why[256],
	struct eps **ret)
{
	struct eps *e = calloc(1, sizeof(*e));
	char scratch[256];
	char *why = ret_why ? ret_why : scratch;
	int err;

	(void)snprintf(why, 256, "out of memory");
	if (!e)
		return -ENOMEM;
	err = eps_core_init(e, conf, ops, arg, why);
	if (err < 0) {
		free(e);
		return err;
	}
	err = loop_new(e);
	if (err < 0)
		goto out;
	io_wake_start(e->loop, &e->wake, woken, e);
	err = eps_net_new(e, &e->conf, why, &e->net);
	if (err < 0)
		goto out;
	err = thread_start(e);
	if (err < 0) {
		(void)snprintf(why, 256, "thread: %s", eps_strerror(err));
		goto out;
	}
	why[0] = '\0';
	*ret = e;
	return 0;
out:
	eps_free(e);
	return err;
}

void eps_stop(struct eps *e)
{
	pthread_mutex_lock(&e->lock);
	e->stopped = true;
	(void)pthread_cond_broadcast(&e->ready);
	pthread_mutex_unlock(&e->lock);
}

void eps_close(struct eps *e)
{
	if (!e)
		return;
	eps_stop(e);
	pthread_mutex_lock(&e->lock);
	e->closing = true;
	pthread_mutex_unlock(&e->lock);
	eps_wake(e);
	(void)pthread_join(e->thread, NULL);
	eps_free(e);
}
