/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * net.c - muxes connect here: listener, TLS, who they are, whether they live
 *
 * In the library's thread. A mux is who its certificate's CN says and must be named in
 * eps_conf.mux_names. Frames go to link.c. Invariants: a link that fails, wherever, is only marked
 * and swept at the end of the round; whoever can reach the port can connect, so strangers (no
 * Hello yet) are bounded and the oldest goes first. Source: docs/wire.md.
 */
#include "epsec/net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "lib/io/chan.h"
#include "lib/io/sock.h"

#define NET_STRANGERS_MAX 128
#define NET_MUXES_MAX 1024
#define NET_ACCEPT_RETRY_MS 200
#define NET_HELLO_MS 10000 /* TLS handshake and Hello */
#define NET_PING_SEC 10
#define NET_SILENCE_MS 35000
#define NET_TICK_MS 1000

struct mux {		      /* one connection */
	struct eps_link link; /* once it is known who it is */
	struct eps_net *net;
	struct io_chan *chan; /* owned */
	bool linked, failed;
	char why[WIRE_TEXT_MAX + 1];
	uint64_t heard_ms, frames; /* when there were more of them */
	struct mux *prev, *next;
};

struct eps_net {
	struct eps *eps;
	struct io_loop *loop;
	struct io_tls_ctx *tls; /* owned */
	int fd;			/* listens */
	struct io_fd watch;
	struct io_timer accept_again, tick;
	struct io_idle sweep;
	unsigned int ticks;
	struct mux *muxes;
	size_t n_muxes;
	char **names; /* owned, with what they point to */
	size_t n_names;
};

/* ---- a mux ---- */

static void mux_free(struct mux *m)
{
	struct eps_net *n = m->net;
	struct eps *e = n->eps;

	if (m->prev)
		m->prev->next = m->next;
	else
		n->muxes = m->next;
	if (m->next)
		m->next->prev = m->prev;
	n->n_muxes--;
	if (m->linked) {
		eps_log(e, EPS_LOG_NOTICE, "mux %s is gone: %s", m->link.name, m->why);
		pthread_mutex_lock(&e->lock);
		e->n_up--;
		pthread_mutex_unlock(&e->lock);
		eps_link_down(&m->link, "its mux is gone");
	} else {
		eps_log(e, EPS_LOG_NOTICE, "a connection ended before it was a mux's: %s", m->why);
	}
	io_chan_free(m->chan);
	free(m);
}

static void sweep(struct io_idle *w)
{
	struct eps_net *n = w->arg;
	struct mux *m = n->muxes, *next;

	for (; m; m = next) {
		next = m->next;
		if (m->failed)
			mux_free(m);
	}
}

static void mux_fail(struct mux *m, const char *why)
{
	if (m->failed)
		return;
	m->failed = true;
	(void)snprintf(m->why, sizeof(m->why), "%s", why);
	if (m->linked)
		eps_link_fail(&m->link, why); /* nothing is sent any more */
	io_idle_once(m->net->loop, &m->net->sweep, sweep, m->net);
}

static int link_send(void *arg, const uint8_t *buf, size_t len)
{
	struct mux *m = arg;

	return io_chan_send(m->chan, buf, len);
}

static void link_failed(void *arg, const char *why)
{
	mux_fail(arg, why);
}

static const struct eps_link_ops link_ops = { .send = link_send, .fail = link_failed };

static bool is_listed(const struct eps_net *n, const char *cn)
{
	for (size_t i = 0; i < n->n_names; i++)
		if (!strcmp(n->names[i], cn))
			return true;
	return false;
}

static void chan_ready(void *arg, struct io_chan *c)
{
	struct mux *m = arg, *o;
	struct eps_net *n = m->net;
	struct eps *e = n->eps;
	const char *cn = io_tls_peer_name(io_chan_tls(c));
	bool listed = is_listed(n, cn);

	eps_link_init(e, &m->link, &link_ops, m, cn);
	m->linked = true;
	pthread_mutex_lock(&e->lock);
	e->n_up++;
	pthread_mutex_unlock(&e->lock);
	if (!listed) {
		EPS_ADD(e->s_refused_links, 1);
		eps_log(e, EPS_LOG_WARN,
			"a certificate says \"%s\", which is none of the muxes that may connect",
			cn);
		eps_link_refuse(&m->link, IDFW__REFUSED__REASON__IDENTITY,
			"this certificate is none of the muxes that may connect");
		mux_fail(m, "not one of mux_names");
		return;
	}
	for (o = n->muxes; o; o = o->next)
		if (o != m && o->linked && !strcmp(o->link.name, cn))
			mux_fail(o, "the same mux connected again");
	eps_log(e, EPS_LOG_NOTICE, "mux %s is connected", cn);
}

static void chan_frame(void *arg, struct io_chan *c, const uint8_t *buf, size_t len)
{
	struct mux *m = arg;
	const char *why = "";
	int err;

	(void)c;
	if (m->failed)
		return;
	err = eps_link_frame(&m->link, buf, len, &why);
	if (err == 0)
		return;
	eps_log(m->net->eps, EPS_LOG_WARN, "mux %s is dropped: %s (%s)", m->link.name, why,
		gi_strerror(err));
	mux_fail(m, why);
}

static void chan_closed(void *arg, struct io_chan *c, int err, const char *why)
{
	(void)c;
	(void)err;
	mux_fail(arg, why);
}

static const struct io_chan_ops chan_ops = {
	.ready = chan_ready,
	.frame = chan_frame,
	.closed = chan_closed,
};

/* ---- the listener ---- */

static void accepted(struct eps_net *n, int fd)
{
	static const struct io_chan_conf cc = { .max_frame = WIRE_ROUTED_MAX,
		.max_queue = EPS_QUEUE_MAX };
	struct mux *m = calloc(1, sizeof(*m));
	struct io_tls *tls = NULL;
	int err = m ? io_tls_new(n->tls, NULL, &tls) : -ENOMEM;

	if (err < 0) {
		(void)close(fd);
	} else {
		m->net = n;
		m->heard_ms = io_clock_mono_ms();
		err = io_chan_new(n->loop, fd, tls, &cc, &chan_ops, m, &m->chan);
	}
	if (err < 0) {
		eps_log(n->eps, EPS_LOG_ERR, "a mux cannot be accepted: %s", gi_strerror(err));
		free(m);
		return;
	}
	m->next = n->muxes;
	if (m->next)
		m->next->prev = m;
	n->muxes = m;
	n->n_muxes++;
}

static bool is_stranger(const struct mux *m)
{
	return !m->failed && !(m->linked && m->link.hello);
}

static void make_room(struct eps_net *n)
{
	struct mux *oldest = NULL;
	size_t count = 0;

	for (struct mux *m = n->muxes; m; m = m->next) {
		if (!is_stranger(m))
			continue;
		oldest = m;
		count++;
	}
	if (count >= NET_STRANGERS_MAX)
		mux_fail(oldest, "too many connections without a Hello");
}

static void listening(struct io_fd *w, unsigned int events);

static void accept_again(struct io_timer *w)
{
	struct eps_net *n = w->arg;

	io_fd_start(n->loop, &n->watch, n->fd, IO_READ, listening, n);
}

static void listening(struct io_fd *w, unsigned int events)
{
	struct eps_net *n = w->arg;
	int fd, err;

	(void)events;
	for (int i = 0; i < 64; i++) {
		err = io_sock_accept(n->fd, &fd);
		if (err == -EAGAIN)
			return;
		if (err < 0) {
			eps_log(n->eps, EPS_LOG_ERR, "accept: %s", gi_strerror(err));
			io_fd_stop(n->loop, &n->watch);
			io_timer_start(
				n->loop, &n->accept_again, NET_ACCEPT_RETRY_MS, 0, accept_again, n);
			return;
		}
		if (n->n_muxes >= NET_MUXES_MAX) {
			(void)close(fd);
			continue;
		}
		make_room(n);
		accepted(n, fd);
	}
}

static void mux_tick(struct mux *m, bool ping, uint64_t now)
{
	uint64_t frames = io_chan_frames_in(m->chan);

	if (frames != m->frames) {
		m->frames = frames;
		m->heard_ms = now;
	}
	if (is_stranger(m) && now - m->heard_ms >= NET_HELLO_MS)
		mux_fail(m, "no Hello in time");
	else if (now - m->heard_ms >= NET_SILENCE_MS)
		mux_fail(m, "it says nothing any more");
	else if (ping && m->linked && m->link.hello)
		eps_link_ping(&m->link);
}

static void tick(struct io_timer *w)
{
	struct eps_net *n = w->arg;
	uint64_t now = io_clock_mono_ms();
	bool ping = ++n->ticks % NET_PING_SEC == 0;

	for (struct mux *m = n->muxes; m; m = m->next)
		if (!m->failed)
			mux_tick(m, ping, now);
	eps_core_tick(n->eps, now);
}

/* ---- life ---- */

static int names_copy(struct eps_net *n, const char *const *names, size_t n_names)
{
	n->names = calloc(n_names ? n_names : 1, sizeof(*n->names));
	if (!n->names)
		return -ENOMEM;
	for (; n->n_names < n_names; n->n_names++) {
		n->names[n->n_names] = strdup(names[n->n_names]);
		if (!n->names[n->n_names])
			return -ENOMEM;
	}
	return 0;
}

static int net_listen(struct eps_net *n, const struct eps_conf *c, char why[256])
{
	struct io_tls_conf tc = {
		.ca_file = c->ca, .cert_file = c->cert, .key_file = c->key, .server = true
	};
	struct io_endpoint ep;
	int err;

	if (!c->listen || !c->ca || !c->cert || !c->key) {
		(void)snprintf(why, 256, "listen, ca, cert and key are needed");
		return -EINVAL;
	}
	err = io_endpoint_parse(c->listen, &ep);
	if (err < 0) {
		(void)snprintf(why, 256, "listen: \"%.100s\" is not tcp:ADDRESS:PORT or unix:PATH",
			c->listen);
		return -EINVAL;
	}
	err = io_tls_ctx_new(&tc, why, &n->tls);
	if (err < 0)
		return err == -GI_ETLS ? -EINVAL : err;
	err = io_sock_listen(&ep, 0600, &n->fd);
	if (err < 0)
		(void)snprintf(why, 256, "%.100s: %s", c->listen, gi_strerror(err));
	return err;
}

int eps_net_new(struct eps *e, const struct eps_conf *c, char ret_why[256], struct eps_net **ret)
{
	struct eps_net *n = calloc(1, sizeof(*n));
	int err;

	(void)snprintf(ret_why, 256, "out of memory");
	if (!n)
		return -ENOMEM;
	n->eps = e;
	n->loop = e->loop;
	n->fd = -1;
	err = names_copy(n, c->mux_names, c->n_mux_names);
	if (err == 0)
		err = net_listen(n, c, ret_why);
	if (err < 0) {
		eps_net_free(n);
		return err;
	}
	io_fd_start(n->loop, &n->watch, n->fd, IO_READ, listening, n);
	io_timer_start(n->loop, &n->tick, NET_TICK_MS, NET_TICK_MS, tick, n);
	*ret = n;
	return 0;
}

void eps_net_close(struct eps_net *n)
{
	while (n->muxes) {
		if (!n->muxes->failed)
			(void)snprintf(n->muxes->why, sizeof(n->muxes->why), "the service ends");
		mux_free(n->muxes);
	}
}

void eps_net_free(struct eps_net *n)
{
	if (!n)
		return;
	io_idle_stop(n->loop, &n->sweep);
	io_fd_stop(n->loop, &n->watch);
	io_timer_stop(n->loop, &n->tick);
	io_timer_stop(n->loop, &n->accept_again);
	if (n->fd >= 0)
		(void)close(n->fd);
	io_tls_ctx_free(n->tls);
	for (size_t i = 0; i < n->n_names; i++)
		free(n->names[i]);
	free(n->names);
	free(n);
}
