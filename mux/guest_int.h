/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guest_int.h - private to guest.c, listen.c and report.c: what a guest is
 */
#ifndef MUX_GUEST_INT_H
#define MUX_GUEST_INT_H

#define HASH_NONFATAL_OOM 1 /* a reload without memory fails, it does not end the daemon */
#include <uthash.h>
#include "lib/io/chan.h"
#include "mux/guest.h"
#include "mux/limit.h"
#include "mux/sched.h"

struct mux_listener {
	struct mux_guests *set;
	struct mux_guest *guest; /* NULL: the AF_VSOCK one */
	struct io_endpoint endpoint;
	int fd; /* -1 */
	struct io_fd watch;
	struct io_timer retry; /* opening failed, or accepting did */
	bool said;	       /* the failure was logged */
};

struct mux_guest {
	struct mux_guests *set;
	struct mux_vm vm; /* name is the key */
	struct mux_listener listener;
	struct io_chan *chan; /* owned; NULL: not connected */
	char transport[WIRE_SERVICE_MAX];
	enum wire_state state; /* WIRE_OPEN once its Hello was taken */
	bool greeted;	       /* the service VM answered it */
	bool paused;	       /* its queue is long */
	bool svm_knows;	       /* a VmUp went up and no VmDown since */
	bool gone;	       /* not in the inventory; waits for its VmDown to go up */
	struct mux_queue queue;
	struct mux_limit log, connects;
	struct mux_guest_stats stats;
	UT_hash_handle hh;
};

struct mux_guests {
	struct io_loop *loop;
	struct mux_guests_conf conf;
	struct mux_upstream *up;  /* borrowed; NULL at the end */
	struct mux_guest *guests; /* owned; hash by vm.name */
	struct mux_listener vsock;
	uint32_t vsock_port; /* 0 none */
	struct mux_sched sched;
	struct gi_buf buf; /* for one packed Routed */
	struct mux_limit log;
	uint64_t strangers; /* vsock connections of CIDs that are nobody's */
};

struct mux_guest *mux_guest_find(const struct mux_guests *s, const char *name);
void mux_guest_attach(struct mux_guest *g, int fd, const char *transport);
void mux_guest_close(struct mux_guest *g, const char *why);

/* listen.c; a failure to open is logged once and tried again */
void mux_listener_open(struct mux_listener *l, const char *endpoint);
void mux_listener_close(struct mux_listener *l);

#endif
