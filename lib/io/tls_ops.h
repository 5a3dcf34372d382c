/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tls_ops.h - what chan.c needs of a TLS connection, as a table
 *
 * Only chan.c and tls.c include this. The table keeps OpenSSL out of the programs that have
 * channels but no TLS: they link libgiio.la alone. tls.c's struct begins with struct io_tls.
 */
#ifndef IO_TLS_OPS_H
#define IO_TLS_OPS_H

#include <stdbool.h>
#include <stddef.h>

struct io_tls;

struct io_tls_ops {
	/* one step: 0 done, -EAGAIN (wants_write says for what), other negative */
	int (*handshake)(struct io_tls *t, int fd);
	int (*read)(struct io_tls *t, void *buf, size_t len, size_t *ret_len);
	int (*write)(struct io_tls *t, const void *buf, size_t len, size_t *ret_len);
	bool (*wants_write)(const struct io_tls *t);
	/* it has taken bytes from the socket that read() did not give: poll does not tell of them
	 */
	bool (*holds_back)(const struct io_tls *t);
	const char *(*why)(const struct io_tls *t);
	void (*free)(struct io_tls *t); /* says goodbye when it can, without waiting */
};

struct io_tls {
	const struct io_tls_ops *ops;
};

#endif
