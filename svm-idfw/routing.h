/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * routing.h - what guests.c (links) and routing.c (messages) share; nobody else includes it
 */
#ifndef SVM_IDFW_ROUTING_H
#define SVM_IDFW_ROUTING_H

#include <uthash.h>
#include "lib/base/buf.h"
#include "lib/base/log.h"
#include "lib/io/chan.h"
#include "lib/io/sock.h"
#include "svm-idfw/guests.h"

struct guest_link { /* one mux, or one svm-scan */
	struct idfw_guests *owner;
	struct io_chan *chan;		/* owned */
	char name[IO_TLS_NAME_MAX + 1]; /* CN, "" before it is known to be listed */
	char peer[80];
	bool ready, hello, failed;
	bool scan;	    /* svm-scan: bare Envelopes, scanlink.c */
	uint8_t outbox[16]; /* of svm-scan's Hello */
	uint64_t n_records;
	uint64_t record_seq; /* highest that came on this connection, or acknowledged by HelloAck */
	uint64_t durable_seq; /* of the outbox */
	uint64_t told_seq;    /* highest acknowledged on this connection */
	char why[256];
	uint64_t heard_ms;     /* monotonic */
	uint64_t connected_ms; /* real time */
	size_t n_guests;
	struct guest_link *prev, *next;
};

struct guest {
	struct idfw_vm *vm; /* key */
	struct guest_link *link;
	enum wire_state state;
	UT_hash_handle hh;
};

struct idfw_guests {
	struct io_loop *loop;
	struct idfw_guests_conf conf;
	struct idfw_engine *engine;
	struct io_fd watch;
	struct io_timer timer, accept_again;
	struct io_idle sweep;
	struct guest_link *links;
	size_t n_links;
	struct guest *guests;		   /* by VM */
	struct gi_buf inner, outer, batch; /* scratch: an envelope, a routed one, many of them */
};

struct guest *guests_find(struct idfw_guests *g, const struct idfw_vm *vm);
void guests_forget(struct idfw_guests *g, struct guest *gu);  /* frees */
void guests_link_fail(struct guest_link *l, const char *why); /* gone at the end of the round */
void guests_sweep(struct io_idle *w);

/* one frame of a mux; negative: the link is to be dropped, @ret_why says why */
GI_MUST_CHECK int guests_routed(
	struct guest_link *l, const uint8_t *buf, size_t len, const char **ret_why);
void guests_refuse(struct guest_link *l, Idfw__Refused__Reason reason, const char *text);
void guests_ping(struct guest_link *l);

#endif
