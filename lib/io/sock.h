/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sock.h - listening and connecting: unix, vsock, tcp. All descriptors are CLOEXEC, NONBLOCK.
 *
 * Endpoint text, as in the configuration files:
 *   unix:/run/idfw/mux.sock_5005    vsock:2:5005 (CID:port, CID "any" to listen)
 *   tcp:10.77.9.2:5443              tcp:[fd77::2]:5443   (numeric addresses only: no DNS here)
 */
#ifndef IO_SOCK_H
#define IO_SOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include "lib/base/err.h"

struct io_endpoint {
	int type; /* SOCK_STREAM, or SOCK_SEQPACKET set by the caller for unix */
	socklen_t len;
	union {
		struct sockaddr sa;
		struct sockaddr_un un;
		struct sockaddr_vm vm;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} u;
	char text[160]; /* as given, for logs */
};

GI_MUST_CHECK int io_endpoint_parse(
	const char *text, struct io_endpoint *ret); /* -EINVAL, -GI_ELIMIT */
/*
 * io_sock_listen - bind and listen; unix: a stale socket file is removed only when nobody
 * answers on it (-EADDRINUSE otherwise); @mode applies to unix sockets
 */
GI_MUST_CHECK int io_sock_listen(const struct io_endpoint *e, mode_t mode, int *ret_fd);
/* begins to connect; finished when writable (io_chan does that) */
GI_MUST_CHECK int io_sock_connect(const struct io_endpoint *e, int *ret_fd);
GI_MUST_CHECK int io_sock_accept(int listen_fd, int *ret_fd); /* -EAGAIN when none waits */
GI_MUST_CHECK int io_sock_peer_ucred(int fd, struct ucred *ret);
/*
 * AF_VSOCK: who is at the other end. *ret_reserved: it speaks from a port below 1024, for which
 * its kernel asks for CAP_NET_BIND_SERVICE, as TCP's once did.
 */
GI_MUST_CHECK int io_sock_peer_cid(int fd, uint32_t *ret_cid, bool *ret_reserved);
/* io_sock_connect() does it, if it may: a reserved port for @fd. -EACCES, -EADDRINUSE (all are) */
GI_MUST_CHECK int io_sock_vsock_reserve(int fd);

/* jittered exponential backoff: 100 ms doubling to max_ms, each time +-50 % */
struct io_backoff {
	uint32_t next_ms;
	uint32_t max_ms;
};
void io_backoff_init(struct io_backoff *b, uint32_t max_ms);
uint32_t io_backoff_next(struct io_backoff *b); /* milliseconds to wait now */

#endif
