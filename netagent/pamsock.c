/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pamsock.c - connections of the PAM module, see pamsock.h
 */
#include "netagent/pamsock.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "lib/io/sock.h"
#include "netagent/leader.h"

struct na_pam_conn {
	struct na_pam *pam;
	struct na_pam_conn *prev, *next;
	struct io_fd watch;
	struct io_timer deadline;
	struct ucred peer;
	uint64_t session; /* that it waits for; 0: nothing was read yet */
	int fd;
};

struct na_pam {
	struct io_loop *loop;
	struct io_fd watch;
	int fd;
	const struct na_pam_ops *ops;
	void *arg;
	struct na_pam_conn *conns;
	unsigned int n_conns;
};

static void conn_free(struct na_pam_conn *c)
{
	struct na_pam *p = c->pam;

	io_fd_stop(p->loop, &c->watch);
	io_timer_stop(p->loop, &c->deadline);
	close(c->fd);
	DL_DELETE(p->conns, c);
	p->n_conns--;
	free(c);
}

void na_pam_answer(struct na_pam_conn *c, enum na_pam_status s, uint64_t session, const char *text)
{
	char buf[NA_PAM_REPLY_MAX];
	size_t len = na_pam_reply_format(s, session, text, buf);

	/* a peer that is gone or does not read has no use for it */
	(void)!send(c->fd, buf, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	conn_free(c);
}

static void conn_drop(struct na_pam_conn *c, const char *why)
{
	char unread[1];

	c->pam->ops->dropped(c->pam->arg, (uint32_t)c->peer.pid, c->peer.uid, why);
	/* closing with something unread would take the answer from the peer (ECONNRESET) */
	(void)!recv(c->fd, unread, sizeof(unread), MSG_DONTWAIT);
	na_pam_answer(c, NA_PAM_REFUSED, 0, why);
}

static void conn_event(struct na_pam_conn *c, const struct na_pam_event *ev)
{
	struct na_pam_peer peer = { .pid = (uint32_t)c->peer.pid, .pidfd = -1 };

	if (ev->kind == NA_PAM_OPEN)
		peer.gone = na_leader_of_peer(c->fd, peer.pid, &peer.pidfd, &peer.start) == -ESRCH;
	io_timer_stop(c->pam->loop, &c->deadline);
	c->pam->ops->event(c->pam->arg, c, ev, &peer);
	if (peer.pidfd >= 0)
		close(peer.pidfd);
}

static void conn_cb(struct io_fd *w, unsigned int events)
{
	struct na_pam_conn *c = w->arg;
	char buf[NA_PAM_BLOCK_MAX + 1];
	struct na_pam_event ev;
	const char *why;
	ssize_t n = recv(c->fd, buf, sizeof(buf), MSG_DONTWAIT | MSG_TRUNC);

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) { /* gave up; a session it opened is closed by its leader's end */
		conn_free(c);
		return;
	}
	if (c->session)
		conn_drop(c, "a second datagram on one connection");
	else if (na_pam_block_parse(buf, (size_t)n, &ev, &why) < 0)
		conn_drop(c, why);
	else
		conn_event(c, &ev);
}

static void conn_deadline_cb(struct io_timer *t)
{
	struct na_pam_conn *c = t->arg;

	if (c->session)
		na_pam_answer(
			c, NA_PAM_TIMEOUT, c->session, "enforcement was not confirmed in time");
	else
		conn_drop(c, "sent nothing in time");
}

void na_pam_wait(struct na_pam_conn *c, uint64_t session, uint32_t timeout_ms)
{
	/* answer a little before the module gives up, so that it hears our word and not its own */
	uint32_t ms = timeout_ms - timeout_ms / 16;

	c->session = session;
	io_timer_start(c->pam->loop, &c->deadline, ms, 0, conn_deadline_cb, c);
}

void na_pam_hold(struct na_pam_conn *c, uint64_t session)
{
	c->session = session;
}

struct na_pam_conn *na_pam_held(struct na_pam *p, uint64_t session)
{
	struct na_pam_conn *c;

	DL_FOREACH (p->conns, c) {
		if (c->session == session)
			return c;
	}
	return NULL;
}

void na_pam_ready(struct na_pam *p, uint64_t session, enum na_pam_status s, const char *text)
{
	struct na_pam_conn *c, *tmp;

	DL_FOREACH_SAFE (p->conns, c, tmp) {
		if (c->session == session)
			na_pam_answer(c, s, session, text);
	}
}

/* io_sock_peer_ucred() refuses a peer without a pid; one of another pid namespace has none here */
static int peer_cred(int fd, struct ucred *ret)
{
	socklen_t len = sizeof(*ret);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, ret, &len) < 0 ? -errno : 0;
}

static void conn_new(struct na_pam *p, int fd)
{
	struct na_pam_conn *c = calloc(1, sizeof(*c));

	if (!c) {
		close(fd);
		return;
	}
	c->pam = p;
	c->fd = fd;
	DL_APPEND(p->conns, c);
	p->n_conns++;
	io_fd_start(p->loop, &c->watch, fd, IO_READ, conn_cb, c);
	io_timer_start(p->loop, &c->deadline, NA_PAM_READ_MS, 0, conn_deadline_cb, c);
	if (peer_cred(fd, &c->peer) < 0)
		conn_drop(c, "peer is not known");
	else if (c->peer.uid != 0)
		conn_drop(c, "peer is not root");
	else if (p->n_conns > NA_PAM_CONNS_MAX)
		conn_drop(c, "too many connections at once");
}

static void listen_cb(struct io_fd *w, unsigned int events)
{
	struct na_pam *p = w->arg;
	int fd;

	(void)events;
	while (io_sock_accept(p->fd, &fd) == 0)
		conn_new(p, fd);
}

int na_pam_new(
	struct io_loop *l, int fd, const struct na_pam_ops *ops, void *arg, struct na_pam **ret)
{
	struct na_pam *p = calloc(1, sizeof(*p));

	if (!p) {
		close(fd);
		return -ENOMEM;
	}
	p->loop = l;
	p->fd = fd;
	p->ops = ops;
	p->arg = arg;
	io_fd_start(l, &p->watch, fd, IO_READ, listen_cb, p);
	*ret = p;
	return 0;
}

void na_pam_free(struct na_pam *p)
{
	struct na_pam_conn *c, *tmp;

	if (!p)
		return;
	DL_FOREACH_SAFE (p->conns, c, tmp)
		conn_free(c);
	io_fd_stop(p->loop, &p->watch);
	close(p->fd);
	free(p);
}
