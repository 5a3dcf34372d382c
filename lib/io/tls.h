/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tls.h - mutual TLS 1.3 for channels (OpenSSL 3 inside, and only in tls.c)
 *
 * Both sides present a certificate of the configured CA. The client checks the server's name
 * (RFC 6125, subjectAltName); the server reads the client's CN, the owner compares it with its
 * inventory. No session tickets, no renegotiation, no early data.
 */
#ifndef IO_TLS_H
#define IO_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include "lib/base/err.h"

#define IO_TLS_NAME_MAX 255

struct io_tls_ctx; /* one a process and role */
struct io_tls;	   /* one a connection; belongs to its channel */

struct io_tls_conf {
	const char *ca_file;   /* PEM */
	const char *cert_file; /* PEM, chain */
	const char *key_file;  /* PEM; refused when group or others can read it (-EACCES) */
	bool server;
};

/* @ret_why: at least 256 bytes, says what is wrong with which file and what to do */
GI_MUST_CHECK int io_tls_ctx_new(
	const struct io_tls_conf *conf, char ret_why[256], struct io_tls_ctx **ret);
void io_tls_ctx_free(struct io_tls_ctx *ctx);
/* @server_name: what the certificate must carry (client), NULL (server) */
GI_MUST_CHECK int io_tls_new(struct io_tls_ctx *ctx, const char *server_name, struct io_tls **ret);
void io_tls_free(struct io_tls *t);
/* CN of the peer's verified certificate, "" before the handshake is done */
const char *io_tls_peer_name(const struct io_tls *t);

/* used by chan.c only: one step; 0 done, -EAGAIN (wants_read/wants_write say what), other negative
 */
int io_tls_handshake(struct io_tls *t, int fd);
int io_tls_read(struct io_tls *t, void *buf, size_t len, size_t *ret_len);
int io_tls_write(struct io_tls *t, const void *buf, size_t len, size_t *ret_len);
bool io_tls_wants_write(const struct io_tls *t);
bool io_tls_holds_back(const struct io_tls *t);
const char *io_tls_why(const struct io_tls *t); /* text of the last failure */

#endif
