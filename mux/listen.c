/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * listen.c - where agents arrive: a unix socket a VM and lane, or an AF_VSOCK socket a lane
 *
 * Runs in gi-mux. The unix socket is the host end of a guest's vsock as Firecracker and Cloud
 * Hypervisor offer it (PATH_PORT); whoever can connect to it is that VM, so socket-mode and the
 * directory must let nobody but the VM's own process in. On AF_VSOCK the kernel says the CID. A
 * listener that cannot be opened, or that runs out of descriptors, does not end the daemon: other
 * guests are served, it tries again.
 */
#include "mux/guest_int.h"

#include <unistd.h>
#include "lib/base/log.h"

#define LISTEN_RETRY_MS 1000
#define ACCEPT_RETRY_MS 200
#define ACCEPT_STORM_MS 40
#define ACCEPT_BATCH 16 /* in one round: a storm on one socket must not hold up the others */

static void listener_try(struct mux_listener *l);
static void listener_cb(struct io_fd *w, unsigned int events);

static void listener_retry_cb(struct io_timer *w)
{
	struct mux_listener *l = w->arg;

	if (l->fd < 0)
		listener_try(l);
	else
		io_fd_start(l->set->loop, &l->watch, l->fd, IO_READ, listener_cb, l);
}

static void listener_try(struct mux_listener *l)
{
	int err = io_sock_listen(&l->endpoint, l->set->conf.socket_mode, &l->fd);

	if (err) {
		l->fd = -1;
		if (!l->said)
			gi_err("%s: cannot listen: %s; trying again", l->endpoint.text,
				gi_strerror(err));
		l->said = true;
		io_timer_start(l->set->loop, &l->retry, LISTEN_RETRY_MS, 0, listener_retry_cb, l);
		return;
	}
	if (l->said)
		gi_notice("%s: listening now", l->endpoint.text);
	l->said = false;
	io_fd_start(l->set->loop, &l->watch, l->fd, IO_READ, listener_cb, l);
}

void mux_listener_init(
	struct mux_listener *l, struct mux_guests *s, enum mux_lane_id id, struct mux_lane *lane)
{
	l->set = s;
	l->id = id;
	l->lane = lane;
	l->fd = -1;
}

void mux_listener_open(struct mux_listener *l, const char *endpoint)
{
	int err = io_endpoint_parse(endpoint, &l->endpoint);

	if (err) { /* mux_inventory_build() has parsed it before */
		gi_err("%s: not an endpoint", endpoint);
		return;
	}
	listener_try(l);
}

void mux_listener_close(struct mux_listener *l)
{
	io_timer_stop(l->set->loop, &l->retry);
	l->said = false;
	if (l->fd < 0)
		return;
	io_fd_stop(l->set->loop, &l->watch);
	(void)close(l->fd);
	l->fd = -1;
	/* the socket's file: ours, unless the directory is not; a later start removes a stale one
	 */
	if (l->endpoint.u.sa.sa_family == AF_UNIX)
		(void)!unlink(l->endpoint.u.un.sun_path);
}

/* false: it was turned away */
static bool listener_take(struct mux_listener *l, int fd)
{
	uint32_t cid = 0;
	bool reserved = false;
	int err;

	if (l->lane)
		return mux_lane_attach(l->lane, fd, "unix");
	err = io_sock_peer_cid(fd, &cid, &reserved);
	if (err) {
		gi_warn("vsock: a connection without a CID: %s", gi_strerror(err));
		(void)close(fd);
		return true;
	}
	mux_guests_take_cid(l->set, l->id, fd, cid, reserved);
	return true;
}

static void listener_cb(struct io_fd *w, unsigned int events)
{
	struct mux_listener *l = w->arg;
	int fd = -1, err = 0;
	bool calm = true;

	(void)events;
	for (int i = 0; i < ACCEPT_BATCH && !err; i++) {
		err = io_sock_accept(l->fd, &fd);
		if (!err)
			calm = listener_take(l, fd) && calm;
	}
	if (calm && (!err || err == -EAGAIN))
		return;
	/* no descriptors, no memory: the connection stays in the backlog for a moment. So do those
	 * of a guest that connects without end: turning it away takes time from the others */
	if (err && err != -EAGAIN)
		gi_warn("%s: cannot accept: %s", l->endpoint.text, gi_strerror(err));
	io_fd_stop(l->set->loop, &l->watch);
	io_timer_start(l->set->loop, &l->retry, calm ? ACCEPT_RETRY_MS : ACCEPT_STORM_MS, 0,
		listener_retry_cb, l);
}
