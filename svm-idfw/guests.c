/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guests.c - the muxes' connections (guests.h): links, guests, what is sent to them
 *
 * Runs in svm-idfw's main process, which holds no capability. What a mux sends is decoded with
 * lib/wire's limits and rights; routing.c does that. Invariants: a VM has at most one guest, on
 * one link; the engine is never called from inside its own out functions: a link that fails there
 * is marked and swept at the end of the round.
 */
#include "svm-idfw/routing.h"
#include "svm-idfw/scanlink.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "fw/fwwire.h"

static void link_frame(void *arg, struct io_chan *c, const uint8_t *buf, size_t len);

/* ---- guests ---- */

struct guest *guests_find(struct idfw_guests *g, const struct idfw_vm *vm)
{
	struct guest *gu;

	HASH_FIND_PTR(g->guests, &vm, gu);
	return gu;
}

void guests_forget(struct idfw_guests *g, struct guest *gu)
{
	HASH_DEL(g->guests, gu);
	gu->link->n_guests--;
	free(gu);
}

/* ---- links ---- */

void guests_link_fail(struct guest_link *l, const char *why)
{
	if (l->failed)
		return;
	l->failed = true;
	snprintf(l->why, sizeof(l->why), "%s", why);
	io_idle_once(l->owner->loop, &l->owner->sweep, guests_sweep, l->owner);
}

static const char *link_kind(const struct guest_link *l)
{
	return l->scan ? "svm-scan" : "mux";
}

static void link_free(struct guest_link *l)
{
	struct idfw_guests *g = l->owner;
	struct guest *gu, *next;

	if (l->prev)
		l->prev->next = l->next;
	else
		g->links = l->next;
	if (l->next)
		l->next->prev = l->prev;
	g->n_links--;
	gi_notice(
		"%s %s (%s) is gone: %s", link_kind(l), *l->name ? l->name : "?", l->peer, l->why);
	HASH_ITER (hh, g->guests, gu, next) {
		struct idfw_vm *vm = gu->vm;

		if (gu->link != l)
			continue;
		guests_forget(g, gu);
		g->conf.round(g->conf.arg);
		idfw_engine_guest_down(g->engine, vm, "its mux is gone");
	}
	io_chan_free(l->chan);
	free(l);
}

void guests_sweep(struct io_idle *w)
{
	struct idfw_guests *g = w->arg;
	struct guest_link *l = g->links, *next;

	for (; l; l = next) {
		next = l->next;
		if (l->failed)
			link_free(l);
	}
}

static bool listed(const char *const *names, size_t n, const char *cn)
{
	size_t i = 0;

	while (i < n && strcmp(names[i], cn) != 0)
		i++;
	return i < n;
}

static void link_ready(void *arg, struct io_chan *c)
{
	struct guest_link *l = arg, *o;
	struct idfw_guests *g = l->owner;
	const char *cn = io_tls_peer_name(io_chan_tls(c));

	l->scan = listed(g->conf.scan_names, g->conf.n_scan_names, cn);
	if (!l->scan && !listed(g->conf.mux_names, g->conf.n_mux_names, cn)) {
		gi_warn("connection from %s: its certificate says \"%s\", which neither mux-names "
			"nor scan-names lists",
			l->peer, cn);
		guests_refuse(l, IDFW__REFUSED__REASON__IDENTITY,
			"this certificate is in neither mux-names nor scan-names");
		guests_link_fail(l, "in neither mux-names nor scan-names");
		return;
	}
	for (o = g->links; o; o = o->next)
		if (o != l && !strcmp(o->name, cn))
			guests_link_fail(o, "the same one connected again");
	snprintf(l->name, sizeof(l->name), "%s", cn);
	l->ready = true;
	gi_notice("%s %s is connected from %s", link_kind(l), l->name, l->peer);
}

static void link_closed(void *arg, struct io_chan *c, int err, const char *why)
{
	(void)c;
	(void)err;
	guests_link_fail(arg, why);
}

static const struct io_chan_ops link_ops = {
	.ready = link_ready,
	.frame = link_frame,
	.closed = link_closed,
};

static void link_frame(void *arg, struct io_chan *c, const uint8_t *buf, size_t len)
{
	struct guest_link *l = arg;
	const char *why = "";
	int r;

	(void)c;
	if (l->failed)
		return;
	l->heard_ms = io_clock_mono_ms();
	r = l->scan ? scanlink_frame(l, buf, len, &why) : guests_routed(l, buf, len, &why);
	if (r == 0)
		return;
	gi_warn("%s %s (%s) is dropped: %s (%s)", link_kind(l), *l->name ? l->name : "?", l->peer,
		why, gi_strerror(r));
	guests_link_fail(l, why);
}

static void peer_text(int fd, char *buf, size_t size)
{
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof(ss);
	char host[INET6_ADDRSTRLEN] = "?";
	unsigned int port = 0;

	if (getpeername(fd, (struct sockaddr *)&ss, &len) == 0 && ss.ss_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)&ss;

		(void)inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
		port = ntohs(in->sin_port);
	} else if (ss.ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)&ss;

		(void)inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
		port = ntohs(in6->sin6_port);
	}
	snprintf(buf, size, "%s port %u", host, port);
}

static void accepted(struct idfw_guests *g, int fd)
{
	static const struct io_chan_conf cc = { .max_frame = WIRE_ROUTED_MAX,
		.max_queue = GUESTS_QUEUE_MAX };
	struct guest_link *l = calloc(1, sizeof(*l));
	struct io_tls *tls = NULL;
	int r = l ? io_tls_new(g->conf.tls, NULL, &tls) : -ENOMEM;

	if (r < 0) {
		gi_err("a mux cannot be accepted: %s", gi_strerror(r));
		(void)close(fd);
		free(l);
		return;
	}
	l->owner = g;
	l->heard_ms = io_clock_mono_ms();
	l->connected_ms = io_clock_real_ms();
	peer_text(fd, l->peer, sizeof(l->peer));
	r = io_chan_new(g->loop, fd, tls, &cc, &link_ops, l, &l->chan);
	if (r < 0) {
		gi_err("a mux cannot be accepted: %s", gi_strerror(r));
		free(l);
		return;
	}
	l->next = g->links;
	if (l->next)
		l->next->prev = l;
	g->links = l;
	g->n_links++;
}

/* whoever can reach the port can connect: the oldest that said nothing goes, muxes find room */
static void make_room(struct idfw_guests *g)
{
	struct guest_link *oldest = NULL;
	size_t n = 0;

	for (struct guest_link *l = g->links; l; l = l->next) {
		if (l->hello || l->failed)
			continue;
		oldest = l;
		n++;
	}
	if (n >= GUESTS_STRANGERS_MAX)
		guests_link_fail(oldest, "too many connections without a Hello");
}

static void listening(struct io_fd *w, unsigned int events);

static void accept_again(struct io_timer *w)
{
	struct idfw_guests *g = w->arg;

	io_fd_start(g->loop, &g->watch, g->conf.listen_fd, IO_READ, listening, g);
}

static void listening(struct io_fd *w, unsigned int events)
{
	struct idfw_guests *g = w->arg;
	int fd, r;

	(void)events;
	for (int i = 0; i < 64; i++) {
		r = io_sock_accept(g->conf.listen_fd, &fd);
		if (r == -EAGAIN)
			return;
		if (r < 0) {
			/* no descriptors: it stays in the backlog for a moment */
			gi_err("accept: %s", gi_strerror(r));
			io_fd_stop(g->loop, &g->watch);
			io_timer_start(g->loop, &g->accept_again, GUESTS_ACCEPT_RETRY_MS, 0,
				accept_again, g);
			return;
		}
		if (g->n_links >= GUESTS_LINKS_MAX) {
			gi_warn("a mux is turned away: %d connections already", GUESTS_LINKS_MAX);
			(void)close(fd);
			continue;
		}
		make_room(g);
		accepted(g, fd);
	}
}

static void pinging(struct io_timer *w)
{
	struct idfw_guests *g = w->arg;
	uint64_t now = io_clock_mono_ms();
	struct guest_link *l;

	for (l = g->links; l; l = l->next) {
		uint64_t silent = now - l->heard_ms;

		if (!l->hello && silent >= GUESTS_HELLO_MS)
			guests_link_fail(l, "no Hello in time");
		else if (silent >= GUESTS_SILENCE_MS)
			guests_link_fail(l, "it says nothing any more");
		else if (l->hello && l->scan)
			scanlink_ping(l);
		else if (l->hello)
			guests_ping(l);
	}
}

int idfw_guests_new(
	struct io_loop *l, const struct idfw_guests_conf *conf, struct idfw_guests **ret)
{
	struct idfw_guests *g = calloc(1, sizeof(*g));

	if (!g) {
		(void)close(conf->listen_fd);
		return -ENOMEM;
	}
	g->loop = l;
	g->conf = *conf;
	gi_buf_init(&g->inner, WIRE_FRAME_MAX);
	gi_buf_init(&g->outer, WIRE_ROUTED_MAX);
	gi_buf_init(&g->batch, GUESTS_QUEUE_MAX);
	io_fd_start(l, &g->watch, conf->listen_fd, IO_READ, listening, g);
	io_timer_start(l, &g->timer, GUESTS_PING_MS, GUESTS_PING_MS, pinging, g);
	*ret = g;
	return 0;
}

void idfw_guests_set_engine(struct idfw_guests *g, struct idfw_engine *e)
{
	g->engine = e;
}

void idfw_guests_free(struct idfw_guests *g)
{
	struct guest_link *l, *l_next;
	struct guest *gu, *gu_next;

	if (!g)
		return;
	HASH_ITER (hh, g->guests, gu, gu_next)
		guests_forget(g, gu);
	for (l = g->links; l; l = l_next) {
		l_next = l->next;
		io_chan_free(l->chan);
		free(l);
	}
	io_idle_stop(g->loop, &g->sweep);
	io_fd_stop(g->loop, &g->watch);
	io_timer_stop(g->loop, &g->timer);
	io_timer_stop(g->loop, &g->accept_again);
	(void)close(g->conf.listen_fd);
	gi_buf_fini(&g->inner);
	gi_buf_fini(&g->outer);
	gi_buf_fini(&g->batch);
	free(g);
}

void idfw_guests_links(
	struct idfw_guests *g, void (*cb)(void *cb_arg, const char *json_row), void *cb_arg)
{
	const struct guest_link *l;
	char row[1024];

	for (l = g->links; l; l = l->next) {
		if (!l->ready)
			continue;
		/* names are configuration's, peers our own text: nothing to escape */
		if (l->scan) {
			scanlink_row(l, row, sizeof(row));
			cb(cb_arg, row);
			continue;
		}
		snprintf(row, sizeof(row),
			"{\"type\":\"mux\",\"name\":\"%s\",\"peer\":\"%s\",\"connected_ms\":%llu,"
			"\"guests\":%zu,"
			"\"queued_bytes\":%zu}",
			l->name, l->peer, (unsigned long long)l->connected_ms, l->n_guests,
			io_chan_queued(l->chan));
		cb(cb_arg, row);
	}
}

void idfw_guests_hold(struct idfw_guests *g, bool hold)
{
	for (struct guest_link *l = g->links; l; l = l->next) {
		if (l->failed)
			continue;
		l->heard_ms = io_clock_mono_ms(); /* silence is ours while we do not read */
		if (hold)
			io_chan_read_pause(l->chan);
		else
			io_chan_read_resume(l->chan);
	}
}
