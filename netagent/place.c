/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * place.c - talk to the placer, see place.h
 */
#include "netagent/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "netagent/fdpass.h"

struct request {
	struct request *prev, *next;
	uint64_t session;
	int pidfd; /* owned */
	bool sent; /* to the placer that is attached */
};

struct na_place {
	struct io_loop *loop;
	struct io_fd watch;
	struct io_timer stuck;
	int fd;	 /* -1: no placer */
	int err; /* what the last placer said of itself */
	const struct na_place_ops *ops;
	void *arg;
	struct request *requests; /* in the order of asking */
	unsigned int n;
	uint64_t soon_ms; /* when the placer was told last that a login may follow */
};

static void stuck_cb(struct io_timer *t);

static void stuck_restart(struct na_place *p)
{
	io_timer_stop(p->loop, &p->stuck);
	if (p->requests)
		io_timer_start(p->loop, &p->stuck, NA_PLACE_STUCK_MS, 0, stuck_cb, p);
}

static void request_free(struct na_place *p, struct request *r)
{
	DL_DELETE(p->requests, r);
	p->n--;
	close(r->pidfd);
	free(r);
}

static void answer(struct na_place *p, struct request *r, int err, uint64_t cgroup)
{
	uint64_t session = r->session;

	request_free(p, r);
	p->ops->placed(p->arg, session, err, cgroup);
}

/* what is asked for in placed() comes behind those that are answered here */
static void answer_all(struct na_place *p, int err)
{
	for (unsigned int left = p->n; left > 0 && p->requests; left--)
		answer(p, p->requests, err, 0);
}

static void detach(struct na_place *p)
{
	struct request *r;

	if (p->fd < 0)
		return;
	io_fd_stop(p->loop, &p->watch);
	close(p->fd);
	p->fd = -1;
	DL_FOREACH (p->requests, r)
		r->sent = false;
}

static void stuck_cb(struct io_timer *t)
{
	struct na_place *p = t->arg;

	answer_all(p, -ETIMEDOUT);
	stuck_restart(p);
}

/* false: no room now, or the placer is gone */
static bool send_one(struct na_place *p, struct request *r)
{
	struct na_place_rec rec = { .type = NA_PLACE_MOVE, .session = r->session };
	int err = na_fd_send_rec(p->fd, &rec, sizeof(rec), r->pidfd);

	r->sent = err == 0;
	if (err < 0 && err != -EAGAIN)
		detach(p);
	return r->sent;
}

static void send_all(struct na_place *p)
{
	struct request *r;

	DL_FOREACH (p->requests, r) {
		if (p->fd < 0 || (!r->sent && !send_one(p, r)))
			return;
	}
}

static void take(struct na_place *p, const struct na_place_rec *rec)
{
	struct request *r = p->requests;

	if (rec->type == NA_PLACE_READY) {
		p->err = rec->err;
		p->ops->ready(p->arg, rec->err);
		if (rec->err < 0)
			answer_all(p, rec->err);
		return;
	}
	/* one that came too late: its request was answered without it */
	if (rec->type == NA_PLACE_DONE && r && r->sent && r->session == rec->session)
		answer(p, r, rec->err, rec->cgroup);
}

static void read_cb(struct io_fd *w, unsigned int events)
{
	struct na_place *p = w->arg;
	struct na_place_rec rec;
	ssize_t n = recv(p->fd, &rec, sizeof(rec), MSG_DONTWAIT | MSG_TRUNC);

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n != (ssize_t)sizeof(rec)) {
		detach(p);
		return;
	}
	take(p, &rec);
	stuck_restart(p);
	send_all(p);
}

int na_place_new(
	struct io_loop *l, const struct na_place_ops *ops, void *arg, struct na_place **ret)
{
	struct na_place *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->loop = l;
	p->fd = -1;
	p->ops = ops;
	p->arg = arg;
	*ret = p;
	return 0;
}

void na_place_free(struct na_place *p)
{
	if (!p)
		return;
	detach(p);
	io_timer_stop(p->loop, &p->stuck);
	while (p->requests)
		request_free(p, p->requests);
	free(p);
}

void na_place_attach(struct na_place *p, int fd)
{
	detach(p);
	p->fd = fd;
	io_fd_start(p->loop, &p->watch, fd, IO_READ, read_cb, p);
	send_all(p);
}

void na_place_soon(struct na_place *p)
{
	struct na_place_rec rec = { .type = NA_PLACE_SOON };
	uint64_t now = io_clock_mono_ms();

	/* a flood of them costs no more than one, and stands in no login's way */
	if (p->fd < 0 || p->err < 0 || now - p->soon_ms < NA_PLACE_SOON_MS / 4)
		return;
	p->soon_ms = now;
	(void)!send(p->fd, &rec, sizeof(rec), MSG_NOSIGNAL | MSG_DONTWAIT);
}

int na_place_move(struct na_place *p, uint64_t session, int pidfd)
{
	struct request *r;
	int err;

	if (p->err < 0)
		return p->err;
	if (p->n >= NA_PLACE_PENDING_MAX)
		return -GI_EFULL;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->session = session;
	r->pidfd = fcntl(pidfd, F_DUPFD_CLOEXEC, 0);
	if (r->pidfd < 0) {
		err = -errno;
		free(r);
		return err;
	}
	DL_APPEND(p->requests, r);
	if (p->n++ == 0)
		stuck_restart(p);
	if (p->fd >= 0)
		send_all(p);
	return 0;
}
