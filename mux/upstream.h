/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * upstream.h - one connection to a service: connect, handshake, keep alive, try again
 *
 * One to svm-idfw, and one to svm-scan when that is configured. Carries Routed messages. Knows
 * nothing of guests: what concerns a VM is handed to the owner. Between up() and down() the link is
 * open and mux_upstream_send() works.
 */
#ifndef MUX_UPSTREAM_H
#define MUX_UPSTREAM_H

#include "lib/io/loop.h"
#include "lib/io/sock.h"
#include "lib/io/tls.h"
#include "lib/wire/wire.h"

/* what may wait in the link's own queue before the pump stops; the kernel's is kept short, too */
#define MUX_UP_WINDOW (192u << 10) /* bytes */

struct mux_upstream;

struct mux_upstream_ops {
	void (*up)(void *arg);
	void (*down)(void *arg, const char *why); /* after it no other but up() */
	/* an Envelope for that VM, packed; borrowed */
	void (*envelope)(void *arg, const char *vm, const uint8_t *buf, size_t len);
	void (*close)(void *arg, const char *vm, const char *why);
	void (*writable)(void *arg); /* mux_upstream_room() became true again */
};

struct mux_upstream_conf {
	struct io_endpoint endpoint;
	struct io_tls_ctx *tls;	 /* borrowed */
	const char *server_name; /* borrowed */
	const char *service;	 /* borrowed; "service VM", for the log */
	const char *software;	 /* borrowed; "gi-mux 0.1.0 (host1)" */
	uint64_t idle_ms, deadline_ms;
	uint32_t retry_ms;
};

struct mux_upstream_stats {
	bool up;
	uint64_t connects, losses, refusals, frames_in, frames_out, bytes_in, bytes_out, bad_frames;
};

/* begins to connect with the loop's first round; @conf is copied, what it borrows is not */
GI_MUST_CHECK int mux_upstream_new(struct io_loop *l, const struct mux_upstream_conf *conf,
	const struct mux_upstream_ops *ops, void *arg, struct mux_upstream **ret);
void mux_upstream_free(struct mux_upstream *u); /* no callback */
bool mux_upstream_is_up(const struct mux_upstream *u);
/* the link is up and its queue is short: one frame of any size fits */
bool mux_upstream_room(const struct mux_upstream *u);
/* a packed Routed, @head in front of @buf; -ENOTCONN, -GI_EFULL, -ENOMEM */
GI_MUST_CHECK int mux_upstream_send(struct mux_upstream *u, const uint8_t *head, size_t head_len,
	const uint8_t *buf, size_t len);
void mux_upstream_stats(const struct mux_upstream *u, struct mux_upstream_stats *ret);

#endif
