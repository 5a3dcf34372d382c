/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guests.h - the muxes' connections: TLS in, routed envelopes, VM by VM, to and from the engine
 *
 * One listener, for svm-scan too (scanlink.h); each mux is one TLS 1.3 connection with one bounded
 * queue. A mux is who its certificate's CN says, and must be named in the configuration. A
 * malformed Routed message ends the mux's connection; a malformed envelope ends that guest's only
 * (VmClose).
 */
#ifndef SVM_IDFW_GUESTS_H
#define SVM_IDFW_GUESTS_H

#include "lib/io/loop.h"
#include "lib/io/tls.h"
#include "svm-idfw/engine.h"

#define GUESTS_STRANGERS_MAX 128 /* of these, connections that have not said Hello */
#define GUESTS_ACCEPT_RETRY_MS 200
#define GUESTS_LINKS_MAX 1024	     /* connections of muxes, those without a name yet included */
#define GUESTS_QUEUE_MAX (64u << 20) /* bytes to one mux */
#define GUESTS_HELLO_MS 10000	     /* TLS handshake and Hello */
#define GUESTS_PING_MS 10000
#define GUESTS_SILENCE_MS 35000 /* a mux that says nothing for so long is gone */

struct idfw_guests;

struct idfw_guests_conf {
	int listen_fd;		      /* taken */
	struct io_tls_ctx *tls;	      /* borrowed */
	const char *const *mux_names; /* borrowed */
	size_t n_mux_names;
	const char *const *scan_names; /* borrowed */
	size_t n_scan_names;
	/* before every call into the engine: sets its clock, plans its flush */
	void (*round)(void *arg);
	void *arg;
};

GI_MUST_CHECK int idfw_guests_new(
	struct io_loop *l, const struct idfw_guests_conf *conf, struct idfw_guests **ret);
/* the engine must be told before the first connection; borrowed */
void idfw_guests_set_engine(struct idfw_guests *g, struct idfw_engine *e);
void idfw_guests_free(struct idfw_guests *g); /* closes all; tells the engine nothing */

/* for struct idfw_out; @arg is the struct idfw_guests */
void idfw_guests_send(void *arg, struct idfw_vm *vm, const Idfw__Envelope *e);
int idfw_guests_send_state(void *arg, struct idfw_vm *vm, const struct fw_state *s);
int idfw_guests_send_delta(void *arg, struct idfw_vm *vm, const struct fw_delta *d);
void idfw_guests_close(void *arg, struct idfw_vm *vm, const char *why);

/* svm-scan hears that its records up to this one are on disk */
void idfw_guests_scan_durable(struct idfw_guests *g, const uint8_t outbox[16], uint64_t seq);

/* stop reading from the muxes, or go on: back pressure while the database catches up */
void idfw_guests_hold(struct idfw_guests *g, bool hold);

/* one JSON object a mux (docs/control.md) */
void idfw_guests_links(
	struct idfw_guests *g, void (*cb)(void *cb_arg, const char *json_row), void *cb_arg);

#endif
