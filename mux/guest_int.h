/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guest_int.h - private to guest.c, lane.c, listen.c and report.c: what a guest is
 *
 * A guest has a lane for each of its agents; a trunk is what all guests' lanes of one kind share:
 * scheduler, upstream connection, vsock listener. Nothing leads from one lane to another.
 */
#ifndef MUX_GUEST_INT_H
#define MUX_GUEST_INT_H

#define HASH_NONFATAL_OOM 1 /* a reload without memory fails, it does not end the daemon */
#include <uthash.h>
#include "lib/io/chan.h"
#include "mux/guest.h"
#include "mux/limit.h"
#include "mux/sched.h"

struct mux_lane;

struct mux_listener {
	struct mux_guests *set;
	struct mux_lane *lane; /* whose connections come in; NULL: the AF_VSOCK one, of all */
	enum mux_lane_id id;
	struct io_endpoint endpoint;
	int fd; /* -1 */
	struct io_fd watch;
	struct io_timer retry; /* opening failed, or accepting did */
	bool said;	       /* the failure was logged */
};

struct mux_lane { /* one agent of one guest */
	struct mux_guest *guest;
	enum mux_lane_id id;
	struct mux_listener listener;
	struct io_chan *chan; /* owned; NULL: not connected */
	char transport[WIRE_SERVICE_MAX];
	enum wire_state state; /* WIRE_OPEN once its Hello was taken */
	bool greeted;	       /* the service answered it */
	bool paused;	       /* its queue is long */
	bool throttled;	       /* it sent more than messages-max */
	struct mux_flow flow;
	struct io_timer breath; /* ends throttled */
	bool svc_knows;		/* a VmUp went up and no VmDown since */
	struct mux_queue queue;
	struct mux_limit log, connects;
	uint64_t turned_away; /* since the last VmUp that said so */
	struct mux_lines lines;
	struct mux_guest_stats stats;
};

struct mux_guest {
	struct mux_guests *set;
	struct mux_vm vm; /* name is the key */
	struct mux_lane lane[MUX_LANES];
	bool gone; /* not in the inventory; waits for its VmDowns to go up */
	UT_hash_handle hh;
};

struct mux_trunk {		 /* all guests' lanes of one kind */
	struct mux_upstream *up; /* borrowed; NULL: at the end, or no such lane */
	struct mux_sched sched;
	struct mux_listener vsock;
	uint32_t vsock_port;	     /* 0 none */
	struct mux_limit log, lines; /* lines: of all agents */
	uint64_t strangers;	     /* vsock connections of CIDs that are nobody's */
};

struct mux_guests {
	struct io_loop *loop;
	struct mux_guests_conf conf;
	struct mux_guest *guests; /* owned; hash by vm.name */
	struct mux_trunk trunk[MUX_LANES];
	struct gi_buf buf; /* for one packed Routed */
};

/* guest.c */
struct mux_guest *mux_guest_find(const struct mux_guests *s, const char *name);
void mux_guest_forget(struct mux_guest *g);

/* lane.c */
void mux_lane_init(struct mux_lane *l, struct mux_guest *g, enum mux_lane_id id);
/* a new connection; takes @fd; false: it was turned away, they come too often */
bool mux_lane_attach(struct mux_lane *l, int fd, const char *transport);
/* the same, by AF_VSOCK; @reserved: from a port below 1024 */
void mux_lane_attach_cid(struct mux_lane *l, int fd, uint32_t cid, bool reserved);
/*
 * Ends the connection, if any. What it still had queued is dropped: nothing of it was
 * acknowledged, the agent sends it again. @why goes to the service.
 */
void mux_lane_close(struct mux_lane *l, const char *why);
void mux_lane_announce(struct mux_lane *l);
/* reads on, unless there is a reason not to */
void mux_lane_resume(struct mux_lane *l);
/* the service sent that */
void mux_lane_envelope(struct mux_lane *l, const uint8_t *buf, size_t len);
/* for what a guest did: a line that says why, unless it makes too many of them */
void mux_lane_log(struct mux_lane *l, const char *what, const char *why);
/* one Refused without a channel, as much of it as the socket takes */
void mux_refuse_fd(int fd, Idfw__Refused__Reason reason, const char *why);
/* " file" or "", behind a VM's name in the log */
const char *mux_lane_mark(enum mux_lane_id id);

/* listen.c; a failure to open is logged once and tried again */
void mux_listener_init(
	struct mux_listener *l, struct mux_guests *s, enum mux_lane_id id, struct mux_lane *lane);
void mux_listener_open(struct mux_listener *l, const char *endpoint);
void mux_listener_close(struct mux_listener *l);

#endif
