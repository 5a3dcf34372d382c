/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * push.c - talk to the pusher process, see push.h
 *
 * Records are sent one by one; when the socket is full we wait for the pusher (it reads all the
 * time but while it commits), bounded by NA_PUSH_SEND_MS, then it counts as dead. Answers that come
 * meanwhile are put by, so that neither side can wait for the other for ever.
 */
#include "netagent/push.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fw/rec.h"

#define MARKS_MAX 1000000 /* elements of one read-back */

struct pending {
	bool marks;
	uint64_t generation, version;
};

struct na_push {
	struct io_loop *loop;
	struct io_fd watch;
	int fd; /* -1: no pusher */
	const struct na_push_ops *ops;
	void *arg;
	struct pending pending[NA_PUSH_PENDING_MAX]; /* a ring */
	unsigned int first, n;
	struct io_idle later; /* take what was put by */
	struct fw_rec *by;    /* owned; answers that came while we were sending */
	size_t n_by, cap_by;
	struct fw_elem *elems; /* owned; read-back in progress */
	size_t n_elems, cap_elems;
};

static void push_lost(struct na_push *p, const char *why);

static void read_by(struct na_push *p);

static void later_cb(struct io_idle *w)
{
	read_by(w->arg);
}

static int put_by(struct na_push *p)
{
	size_t cap = p->cap_by ? p->cap_by * 2 : 64;
	struct fw_rec *list;
	ssize_t n;

	if (p->n_by == p->cap_by) {
		list = p->n_by < MARKS_MAX ? reallocarray(p->by, cap, sizeof(*list)) : NULL;
		if (!list)
			return -ENOMEM;
		p->by = list;
		p->cap_by = cap;
	}
	n = recv(p->fd, &p->by[p->n_by], sizeof(*p->by), MSG_DONTWAIT | MSG_TRUNC);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n != (ssize_t)sizeof(*p->by))
		return -GI_EPROTO;
	p->n_by++;
	io_idle_once(p->loop, &p->later, later_cb, p);
	return 0;
}

static int emit(void *arg, const struct fw_rec *r)
{
	struct na_push *p = arg;

	for (;;) {
		struct pollfd pf = { .fd = p->fd, .events = POLLOUT | POLLIN };
		int n;

		if (send(p->fd, r, sizeof(*r), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return -errno;
		n = poll(&pf, 1, NA_PUSH_SEND_MS);
		if (n == 0)
			return -ETIMEDOUT;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0 && (pf.revents & POLLIN)) {
			n = put_by(p);
			if (n < 0)
				return n;
		}
	}
}

static void pending_add(struct na_push *p, bool marks, uint64_t generation, uint64_t version)
{
	struct pending *e = &p->pending[(p->first + p->n) % NA_PUSH_PENDING_MAX];

	*e = (struct pending){ .marks = marks, .generation = generation, .version = version };
	p->n++;
}

static bool pending_take(struct na_push *p, struct pending *ret)
{
	if (p->n == 0)
		return false;
	*ret = p->pending[p->first];
	p->first = (p->first + 1) % NA_PUSH_PENDING_MAX;
	p->n--;
	return true;
}

static void answer(struct na_push *p, const struct pending *e, int err, const char *why)
{
	if (e->marks)
		p->ops->marks(p->arg, err < 0 ? 0 : e->generation, err < 0 ? 0 : e->version,
			p->elems, err < 0 ? 0 : p->n_elems);
	else
		p->ops->done(p->arg, e->generation, e->version, err, why);
}

static void push_lost(struct na_push *p, const char *why)
{
	struct pending e;

	if (p->fd < 0)
		return;
	io_fd_stop(p->loop, &p->watch);
	close(p->fd);
	p->fd = -1;
	while (pending_take(p, &e))
		answer(p, &e, -GI_ESTATE, why);
	p->n_elems = 0;
	p->n_by = 0;
	io_idle_stop(p->loop, &p->later);
	p->ops->lost(p->arg, why);
}

static int elems_push(struct na_push *p, const struct fw_elem *e)
{
	struct fw_elem *list;
	size_t cap = p->cap_elems ? p->cap_elems * 2 : 64;

	if (p->n_elems >= MARKS_MAX)
		return -GI_ELIMIT;
	if (p->n_elems == p->cap_elems) {
		list = reallocarray(p->elems, cap, sizeof(*list));
		if (!list)
			return -ENOMEM;
		p->elems = list;
		p->cap_elems = cap;
	}
	p->elems[p->n_elems++] = *e;
	return 0;
}

static int take_record(struct na_push *p, const struct fw_rec *r)
{
	char why[sizeof(r->name) + 1];
	struct pending e;

	memcpy(why, r->name, sizeof(r->name));
	why[sizeof(r->name)] = '\0';
	if (r->type == FW_REC_ALARM) {
		p->ops->alarm(p->arg, r->a, r->b != 0, why);
		return 0;
	}
	if (p->n == 0)
		return -GI_EPROTO;
	if (r->type == FW_REC_ELEM && p->pending[p->first].marks)
		return elems_push(p, &r->elem);
	if (r->type != FW_REC_DONE || !pending_take(p, &e))
		return -GI_EPROTO;
	if (e.marks) {
		e.generation = r->generation;
		e.version = r->version;
	}
	answer(p, &e, r->err, why);
	if (e.marks) {
		free(p->elems);
		p->elems = NULL;
		p->n_elems = p->cap_elems = 0;
	}
	return 0;
}

/* answers that were put by come before those that are still in the socket */
static void read_by(struct na_push *p)
{
	struct fw_rec *list = p->by;
	size_t n = p->n_by;

	/* taking one may send, and put more by */
	p->by = NULL;
	p->n_by = p->cap_by = 0;
	for (size_t i = 0; i < n && p->fd >= 0; i++) {
		if (take_record(p, &list[i]) < 0)
			push_lost(p, "pusher sent a wrong record");
	}
	free(list);
}

static void read_cb(struct io_fd *w, unsigned int events)
{
	struct na_push *p = w->arg;
	struct fw_rec r;

	(void)events;
	while (p->n_by)
		read_by(p);
	while (p->fd >= 0 && p->n_by == 0) {
		ssize_t n = recv(p->fd, &r, sizeof(r), MSG_DONTWAIT | MSG_TRUNC);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0)
			push_lost(p, "pusher ended");
		else if (n != (ssize_t)sizeof(r) || take_record(p, &r) < 0)
			push_lost(p, "pusher sent a wrong record");
	}
}

int na_push_new(struct io_loop *l, const struct na_push_ops *ops, void *arg, struct na_push **ret)
{
	struct na_push *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->loop = l;
	p->fd = -1;
	p->ops = ops;
	p->arg = arg;
	*ret = p;
	return 0;
}

void na_push_free(struct na_push *p)
{
	if (!p)
		return;
	if (p->fd >= 0) {
		io_fd_stop(p->loop, &p->watch);
		close(p->fd);
	}
	io_idle_stop(p->loop, &p->later);
	free(p->elems);
	free(p->by);
	free(p);
}

void na_push_attach(struct na_push *p, int fd)
{
	push_lost(p, "another pusher took its place");
	p->fd = fd;
	io_fd_start(p->loop, &p->watch, fd, IO_READ, read_cb, p);
}

bool na_push_is_up(const struct na_push *p)
{
	return p->fd >= 0;
}

static int push_ready(const struct na_push *p)
{
	if (p->fd < 0)
		return -ENOTCONN;
	return p->n < NA_PUSH_PENDING_MAX ? 0 : -GI_EFULL;
}

int na_push_state(struct na_push *p, const struct fw_state *s)
{
	int err = push_ready(p);

	if (err < 0)
		return err;
	pending_add(p, false, fw_state_ruleset(s)->generation, fw_state_version(s));
	/* from here on push_lost() gives the answer */
	if (fw_rec_write_state(s, emit, p) < 0)
		push_lost(p, "pusher does not take records");
	return 0;
}

int na_push_delta(struct na_push *p, const struct fw_delta *d)
{
	int err = push_ready(p);

	if (err < 0)
		return err;
	pending_add(p, false, d->generation, d->version);
	if (fw_rec_write_delta(d, emit, p) < 0)
		push_lost(p, "pusher does not take records");
	return 0;
}

int na_push_marks(struct na_push *p)
{
	struct fw_rec r = { .type = FW_REC_MARKS };
	int err = push_ready(p);

	if (err < 0)
		return err;
	pending_add(p, true, 0, 0);
	if (emit(p, &r) < 0)
		push_lost(p, "pusher does not take records");
	return 0;
}

void na_push_renew(struct na_push *p)
{
	struct fw_rec r = { .type = FW_REC_RENEW };

	if (p->fd >= 0 && emit(p, &r) < 0)
		push_lost(p, "pusher does not take records");
}
