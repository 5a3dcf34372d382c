/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * core.h - libepsec's protocol without sockets and threads: frames in, frames out
 *
 * For the fuzzer and for tests of lack of memory. What the service sends is decoded: it must be
 * what the other end may get. One link, made anew when it failed.
 */
#ifndef TEST_EPSEC_CORE_H
#define TEST_EPSEC_CORE_H

#include "epsec/eps_int.h"

struct core {
	struct eps e;
	struct eps_link link;
	bool linked, link_failed, link_known;
	bool look;     /* answers every other event in look() */
	size_t n_sent; /* frames */
	size_t n_done, n_lost;
	size_t n_looks;
};

GI_MUST_CHECK int core_init(struct core *c);
/* everything that was allocated and counted is back, or it aborts */
void core_fini(struct core *c);
void core_frame(struct core *c, const uint8_t *buf, size_t len); /* a Routed */
/* an Envelope, which need not be one, of guest "a" */
void core_envelope(struct core *c, const uint8_t *buf, size_t len);
GI_MUST_CHECK int core_send(struct core *c, const Idfw__Envelope *env); /* packs it first */
void core_guest_up(struct core *c); /* Hello of the mux, "a" is up, its Hello */
void core_guest_down(struct core *c);
void core_pump(struct core *c);

#endif
