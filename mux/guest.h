/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guest.h - the guests of this host: listeners, connections, what they may send, where it goes
 *
 * One struct a VM of the inventory, with at most one connection a lane (inventory.h). While the
 * link to a lane's service is down a connection is held and not read; when it is lost all
 * connections of that lane are closed, so that each agent starts over with its Hello. What goes up
 * passes the lane's fair scheduler (sched.h). A fault in one lane never touches the other.
 */
#ifndef MUX_GUEST_H
#define MUX_GUEST_H

#include "lib/io/loop.h"
#include "mux/inventory.h"
#include "mux/upstream.h"

struct mux_guests;

struct mux_guests_conf {
	size_t max_queue;    /* down, bytes an agent */
	size_t max_queue_up; /* bytes an agent */
	bool vsock_any_port;
	unsigned int connects_max; /* at once, an agent; then one a second */
	uint64_t messages_max;	   /* a second, of an identity agent; 0: any number */
	mode_t socket_mode;	   /* of the VMs' unix sockets */
	bool file_lane;		   /* there is a scan service: listen for file agents, too */
};

struct mux_guest_stats { /* of one lane */
	bool connected;
	uint64_t connects, replaced, frames_up, bytes_up, frames_down, bytes_down;
	uint64_t turned_away;	       /* connections: it comes too often */
	uint64_t refused;	       /* dropped for what it sent */
	uint64_t overflows;	       /* dropped because it did not read */
	uint64_t pauses;	       /* times that it had to wait for its turn */
	uint64_t throttles;	       /* times that it had to wait: more than messages-max */
	uint64_t lost;		       /* messages for it while it was not there */
	uint64_t lines, lines_dropped; /* LogLines written to our log, and left out */
	size_t queued_up, queued_down; /* bytes, now */
};

GI_MUST_CHECK int mux_guests_new(
	struct io_loop *l, const struct mux_guests_conf *conf, struct mux_guests **ret);
void mux_guests_free(struct mux_guests *s); /* closes all, also the listeners */
/* before anything else; borrows, NULL takes it away */
void mux_guests_set_upstream(struct mux_guests *s, enum mux_lane_id lane, struct mux_upstream *u);
/*
 * mux_guests_apply - make the running guests those of @inv
 * Guests that did not change notice nothing; removed ones are dropped, and of changed ones the
 * lane that changed. A listener that cannot be opened is logged and tried again until it can.
 * Errors: -ENOMEM (some guests may be missing; call again)
 */
GI_MUST_CHECK int mux_guests_apply(struct mux_guests *s, const struct mux_inventory *inv);
/*
 * mux_guests_take_cid - a connection that came in by AF_VSOCK, at that lane's port
 * @fd: takes; a CID that is nobody's gets Refused and is closed
 * @reserved: from a port that in the guest only root can take; else it may be any user's process
 *     there that pretends to be the agent, and is refused, too (unless vsock_any_port)
 */
void mux_guests_take_cid(
	struct mux_guests *s, enum mux_lane_id lane, int fd, uint32_t cid, bool reserved);

/* from upstream.h's callbacks, of that lane's service */
void mux_guests_link_up(struct mux_guests *s, enum mux_lane_id lane);
void mux_guests_link_down(struct mux_guests *s, enum mux_lane_id lane);
void mux_guests_envelope(struct mux_guests *s, enum mux_lane_id lane, const char *vm,
	const uint8_t *buf, size_t len);
void mux_guests_close(struct mux_guests *s, enum mux_lane_id lane, const char *vm, const char *why);
void mux_guests_pump(struct mux_guests *s, enum mux_lane_id lane); /* the link takes more */

GI_MUST_CHECK int mux_guests_stats(const struct mux_guests *s, const char *vm,
	enum mux_lane_id lane, struct mux_guest_stats *ret); /* -GI_ENOTFOUND */
void mux_guests_log(const struct mux_guests *s);	     /* one line a VM and lane */

#endif
