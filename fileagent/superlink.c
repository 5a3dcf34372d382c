/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * superlink.c - requests to the supervisor and their replies, see superlink.h
 *
 * Runs in the worker. What wants a reply is kept, with duplicates of its descriptors, until the
 * reply is here: the socket may be full for a moment, or the supervisor a new one. At most
 * FA_SUPER_SENT_MAX of them are at the supervisor at once, so that marks find room between them.
 */
#include "fileagent/superlink.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FA_SUPER_SENT_MAX 32
#define READ_BURST 64

struct request {
	struct request *next;
	uint64_t id;
	void (*cb)(void *arg, const struct fa_rec *rec, int fd);
	void *arg;
	int fd[FA_REC_FDS_MAX];
	size_t n_fds;
	bool sent;
	struct fa_rec *rec; /* cut behind its path */
};

struct fa_super {
	struct io_loop *loop;
	int fd; /* -1: no supervisor */
	struct io_fd watch;
	const struct fa_super_ops *ops;
	void *arg;
	struct request *first, **last; /* oldest first */
	size_t waiting, sent;
	uint64_t last_id;
	struct fa_rec in; /* scratch */
};

static void request_free(struct request *q)
{
	if (!q)
		return;
	for (size_t i = 0; i < q->n_fds; i++)
		if (q->fd[i] >= 0)
			close(q->fd[i]);
	free(q->rec);
	free(q);
}

/* takes @at's request out of the list */
static struct request *request_unlink(struct fa_super *s, struct request **at)
{
	struct request *q = *at;

	*at = q->next;
	if (!*at)
		s->last = at;
	s->waiting--;
	if (q->sent)
		s->sent--;
	return q;
}

static void pump(struct fa_super *s)
{
	unsigned int events = IO_READ;

	for (struct request *q = s->first; q && s->fd >= 0 && s->sent < FA_SUPER_SENT_MAX;
		q = q->next) {
		int err;

		if (q->sent)
			continue;
		err = fa_rec_send(s->fd, q->rec, q->fd, q->n_fds);
		if (err < 0) { /* its end is seen when we read */
			events |= err == -EAGAIN ? IO_WRITE : 0;
			break;
		}
		q->sent = true;
		s->sent++;
	}
	if (s->fd >= 0)
		io_fd_set(s->loop, &s->watch, events);
}

static void lost(struct fa_super *s)
{
	io_fd_stop(s->loop, &s->watch);
	close(s->fd);
	s->fd = -1;
	for (struct request *q = s->first; q; q = q->next)
		q->sent = false;
	s->sent = 0;
	s->ops->gone(s->arg);
}

static void take_reply(struct fa_super *s, const int *fds, size_t n)
{
	for (struct request **at = &s->first; *at; at = &(*at)->next) {
		struct request *q = *at;

		if (q->id != s->in.id)
			continue;
		q = request_unlink(s, at);
		for (size_t i = q->cb ? 1 : 0; i < n; i++)
			close(fds[i]);
		if (q->cb)
			q->cb(q->arg, &s->in, n > 0 ? fds[0] : -1);
		request_free(q);
		return;
	}
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
}

static void watch_cb(struct io_fd *w, unsigned int events)
{
	struct fa_super *s = w->arg;

	for (int i = 0; (events & IO_READ) && i < READ_BURST && s->fd >= 0; i++) {
		int fds[FA_REC_FDS_MAX];
		size_t n = 0;
		int err = fa_rec_recv(s->fd, FA_SUPERVISOR, &s->in, fds, &n);

		if (err == -EAGAIN || err == -EINTR)
			break;
		if (err < 0) {
			lost(s);
			return;
		}
		if (s->in.op == FA_OP_REPLY)
			take_reply(s, fds, n);
		else
			s->ops->order(s->arg, &s->in, fds, n);
	}
	pump(s);
}

int fa_super_new(
	struct io_loop *l, int fd, const struct fa_super_ops *ops, void *arg, struct fa_super **ret)
{
	struct fa_super *s = calloc(1, sizeof(*s));

	if (!s) {
		close(fd);
		return -ENOMEM;
	}
	s->loop = l;
	s->fd = -1;
	s->ops = ops;
	s->arg = arg;
	s->last = &s->first;
	fa_super_replace(s, fd);
	*ret = s;
	return 0;
}

void fa_super_free(struct fa_super *s)
{
	static const struct fa_rec canceled = { .op = FA_OP_REPLY, .err = -ECANCELED };

	if (!s)
		return;
	if (s->fd >= 0) {
		io_fd_stop(s->loop, &s->watch);
		close(s->fd);
		s->fd = -1;
	}
	while (s->first) {
		struct request *q = request_unlink(s, &s->first);

		if (q->cb)
			q->cb(q->arg, &canceled, -1);
		request_free(q);
	}
	free(s);
}

void fa_super_replace(struct fa_super *s, int fd)
{
	if (s->fd >= 0) {
		io_fd_stop(s->loop, &s->watch);
		close(s->fd);
	}
	s->fd = fd;
	io_fd_start(s->loop, &s->watch, fd, IO_READ, watch_cb, s);
	pump(s);
}

bool fa_super_is_up(const struct fa_super *s)
{
	return s->fd >= 0;
}

static struct request *request_new(const struct fa_rec *rec, const int *fds, size_t n)
{
	size_t size = offsetof(struct fa_rec, path) + rec->path_len; /* all that is ever sent */
	struct request *q = calloc(1, sizeof(*q));

	if (q)
		q->rec = malloc(size);
	if (!q || !q->rec) {
		request_free(q);
		return NULL;
	}
	memcpy(q->rec, rec, size);
	for (size_t i = 0; i < n; i++) {
		q->fd[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 0);
		q->n_fds = i + 1;
		if (q->fd[i] >= 0)
			continue;
		request_free(q);
		return NULL;
	}
	return q;
}

int fa_super_request(struct fa_super *s, struct fa_rec *rec, const int *fds, size_t n,
	void (*cb)(void *arg, const struct fa_rec *rec, int fd), void *arg)
{
	struct request *q;

	if (n > FA_REC_FDS_MAX || rec->path_len > FA_REC_PATH_MAX)
		return -GI_ELIMIT;
	if (!cb) {
		rec->id = 0;
		return s->fd < 0 ? -ENOTCONN : fa_rec_send(s->fd, rec, fds, n);
	}
	if (s->waiting >= FA_SUPER_WAITING_MAX)
		return -GI_EFULL;
	rec->id = ++s->last_id;
	q = request_new(rec, fds, n);
	if (!q)
		return -ENOMEM;
	q->id = rec->id;
	q->cb = cb;
	q->arg = arg;
	*s->last = q;
	s->last = &q->next;
	s->waiting++;
	pump(s);
	return 0;
}

void fa_super_forget(struct fa_super *s, const void *arg)
{
	for (struct request *q = s->first; q; q = q->next)
		if (q->arg == arg)
			q->cb = NULL;
}
