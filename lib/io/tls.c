/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tls.c - mutual TLS 1.3 for channels: the one file that knows OpenSSL
 *
 * Between mux and svm-idfw. chan.c drives it through struct io_tls_ops, non-blocking.
 * Invariants: both sides must show a certificate of the configured CA, the client also checks
 * the server's name; below TLS 1.3 nothing is spoken; no tickets, no early data; the error queue
 * of OpenSSL is empty before each call, so that a reason belongs to its connection.
 * Source: SSL_CTX_new(3) and friends of OpenSSL 3.0; RFC 8446, RFC 6125.
 */
#include "lib/io/tls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include "lib/base/text.h"
#include "lib/io/tls_ops.h"

#define TLS_WHY_MAX 256

struct io_tls_ctx {
	SSL_CTX *ssl;
	bool server;
};

struct tls_conn {
	struct io_tls base; /* first */
	SSL *ssl;
	bool server, done, wants_write;
	bool broken;   /* both directions */
	bool no_write; /* the socket took no more; what the peer said before can be read */
	char peer[IO_TLS_NAME_MAX + 1];
	char why[TLS_WHY_MAX];
};

static int tls_load(SSL_CTX *ssl, const struct io_tls_conf *conf, char why[TLS_WHY_MAX]);
static int tls_check_key_mode(const char *path, char why[TLS_WHY_MAX]);
static int tls_setup_name(SSL *ssl, const char *server_name);
static int tls_result(struct tls_conn *c, int rc, const char *what);
static void tls_explain(struct tls_conn *c, const char *what);
static int tls_read_peer_name(struct tls_conn *c);

static const struct io_tls_ops tls_ops = {
	.handshake = io_tls_handshake,
	.read = io_tls_read,
	.write = io_tls_write,
	.wants_write = io_tls_wants_write,
	.holds_back = io_tls_holds_back,
	.why = io_tls_why,
	.free = io_tls_free,
};

static struct tls_conn *tls_conn(struct io_tls *t)
{
	return (struct tls_conn *)t;
}

static const struct tls_conn *tls_conn_const(const struct io_tls *t)
{
	return (const struct tls_conn *)t;
}

int io_tls_ctx_new(const struct io_tls_conf *conf, char ret_why[256], struct io_tls_ctx **ret)
{
	struct io_tls_ctx *ctx = calloc(1, sizeof(*ctx));
	int err = -ENOMEM;

	ERR_clear_error();
	(void)snprintf(ret_why, TLS_WHY_MAX, "out of memory");
	if (!ctx)
		return -ENOMEM;
	ctx->server = conf->server;
	ctx->ssl = SSL_CTX_new(conf->server ? TLS_server_method() : TLS_client_method());
	if (!ctx->ssl)
		goto out;
	if (SSL_CTX_set_min_proto_version(ctx->ssl, TLS1_3_VERSION) != 1)
		goto out;
	SSL_CTX_set_options(ctx->ssl, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_mode(ctx->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE |
					   SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
					   SSL_MODE_RELEASE_BUFFERS);
	/* a record's head and its body by one read(2); chan.c asks for what is held back then */
	SSL_CTX_set_read_ahead(ctx->ssl, 1);
	SSL_CTX_set_session_cache_mode(ctx->ssl, SSL_SESS_CACHE_OFF);
	if (SSL_CTX_set_num_tickets(ctx->ssl, 0) != 1)
		goto out;
	SSL_CTX_set_verify(ctx->ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	err = tls_load(ctx->ssl, conf, ret_why);
	if (err < 0)
		goto out;
	ret_why[0] = '\0';
	*ret = ctx;
	return 0;
out:
	ERR_clear_error();
	io_tls_ctx_free(ctx);
	return err;
}

void io_tls_ctx_free(struct io_tls_ctx *ctx)
{
	if (!ctx)
		return;
	SSL_CTX_free(ctx->ssl);
	free(ctx);
}

int io_tls_new(struct io_tls_ctx *ctx, const char *server_name, struct io_tls **ret)
{
	struct tls_conn *c;
	int err = -ENOMEM;

	if (ctx->server == (server_name != NULL))
		return -EINVAL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->base.ops = &tls_ops;
	c->server = ctx->server;
	c->ssl = SSL_new(ctx->ssl);
	if (!c->ssl)
		goto out;
	if (c->server) {
		SSL_set_accept_state(c->ssl);
	} else {
		SSL_set_connect_state(c->ssl);
		err = tls_setup_name(c->ssl, server_name);
		if (err < 0)
			goto out;
	}
	*ret = &c->base;
	return 0;
out:
	ERR_clear_error();
	io_tls_free(&c->base);
	return err;
}

void io_tls_free(struct io_tls *t)
{
	struct tls_conn *c = tls_conn(t);

	if (!t)
		return;
	if (c->ssl && c->done && !c->broken && !c->no_write)
		(void)SSL_shutdown(c->ssl); /* close_notify, if the socket takes it */
	ERR_clear_error();
	SSL_free(c->ssl);
	free(c);
}

const char *io_tls_peer_name(const struct io_tls *t)
{
	return tls_conn_const(t)->peer;
}

int io_tls_handshake(struct io_tls *t, int fd)
{
	struct tls_conn *c = tls_conn(t);
	int err;

	if (c->done)
		return 0;
	if (c->broken)
		return -GI_ETLS;
	ERR_clear_error();
	if (SSL_get_fd(c->ssl) != fd && SSL_set_fd(c->ssl, fd) != 1)
		return -ENOMEM;
	err = tls_result(c, SSL_do_handshake(c->ssl), "TLS handshake");
	if (err == -GI_ECLOSED) /* in the handshake also an orderly end is a failure */
		err = -GI_ETLS;
	if (err < 0)
		return err;
	err = tls_read_peer_name(c);
	if (err < 0 && c->server)
		return err;
	c->done = true; /* the client has matched the server's subjectAltName already */
	return 0;
}

int io_tls_read(struct io_tls *t, void *buf, size_t len, size_t *ret_len)
{
	struct tls_conn *c = tls_conn(t);

	if (c->broken)
		return -GI_ETLS;
	ERR_clear_error();
	return tls_result(c, SSL_read_ex(c->ssl, buf, len, ret_len), "TLS read");
}

int io_tls_write(struct io_tls *t, const void *buf, size_t len, size_t *ret_len)
{
	struct tls_conn *c = tls_conn(t);
	int err;

	if (c->broken || c->no_write)
		return -GI_ETLS;
	ERR_clear_error();
	err = tls_result(c, SSL_write_ex(c->ssl, buf, len, ret_len), "TLS write");
	if (err == -EPIPE || err == -ECONNRESET) {
		/* often a peer that refused our certificate: its alert lies in the socket */
		c->no_write = true;
		c->broken = false;
	}
	return err;
}

bool io_tls_wants_write(const struct io_tls *t)
{
	return tls_conn_const(t)->wants_write;
}

bool io_tls_holds_back(const struct io_tls *t)
{
	return SSL_has_pending(tls_conn_const(t)->ssl) == 1;
}

const char *io_tls_why(const struct io_tls *t)
{
	return tls_conn_const(t)->why;
}

static void tls_file_why(char why[TLS_WHY_MAX], const char *path, const char *what)
{
	char reason[100];

	ERR_error_string_n(ERR_peek_last_error(), reason, sizeof(reason));
	(void)snprintf(why, TLS_WHY_MAX, "%.90s: %s (%s)", path, what, reason);
}

static int tls_load(SSL_CTX *ssl, const struct io_tls_conf *conf, char why[TLS_WHY_MAX])
{
	int err;

	if (SSL_CTX_load_verify_file(ssl, conf->ca_file) != 1) {
		tls_file_why(why, conf->ca_file, "cannot load the CA; expected PEM certificates");
		return -GI_ETLS;
	}
	if (SSL_CTX_use_certificate_chain_file(ssl, conf->cert_file) != 1) {
		tls_file_why(why, conf->cert_file, "cannot load the certificate; expected PEM");
		return -GI_ETLS;
	}
	err = tls_check_key_mode(conf->key_file, why);
	if (err < 0)
		return err;
	if (SSL_CTX_use_PrivateKey_file(ssl, conf->key_file, SSL_FILETYPE_PEM) != 1 ||
		SSL_CTX_check_private_key(ssl) != 1) {
		tls_file_why(why, conf->key_file, "no PEM key, or not the certificate's");
		return -GI_ETLS;
	}
	return 0;
}

static int tls_check_key_mode(const char *path, char why[TLS_WHY_MAX])
{
	struct stat st;
	int err;

	if (stat(path, &st) < 0) {
		err = -errno;
		(void)snprintf(why, TLS_WHY_MAX, "%.120s: %s", path, gi_strerror(err));
		return err;
	}
	if (st.st_mode & (S_IRWXG | S_IRWXO)) {
		(void)snprintf(why, TLS_WHY_MAX,
			"%.120s: mode %04o lets group or others at the key; use chmod 600", path,
			(unsigned int)st.st_mode & 07777);
		return -EACCES;
	}
	return 0;
}

/* an address is matched against the certificate's IP names, anything else against DNS names */
static int tls_setup_name(SSL *ssl, const char *server_name)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);

	if (!*server_name || strlen(server_name) > IO_TLS_NAME_MAX)
		return -EINVAL;
	if (X509_VERIFY_PARAM_set1_ip_asc(param, server_name) == 1)
		return 0;
	X509_VERIFY_PARAM_set_hostflags(
		param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	if (X509_VERIFY_PARAM_set1_host(param, server_name, 0) != 1)
		return -ENOMEM;
	return SSL_set_tlsext_host_name(ssl, server_name) == 1 ? 0 : -ENOMEM;
}

/* OpenSSL's answer as one of ours; after a fatal one the connection is not touched again */
static int tls_result(struct tls_conn *c, int rc, const char *what)
{
	int saved_errno = errno;

	c->wants_write = false;
	if (rc == 1)
		return 0;
	switch (SSL_get_error(c->ssl, rc)) {
	case SSL_ERROR_WANT_READ:
		return -EAGAIN;
	case SSL_ERROR_WANT_WRITE:
		c->wants_write = true;
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		(void)snprintf(c->why, sizeof(c->why), "closed by the peer");
		return -GI_ECLOSED;
	case SSL_ERROR_SYSCALL:
		c->broken = true;
		if (saved_errno != 0 && ERR_peek_error() == 0) {
			(void)snprintf(
				c->why, sizeof(c->why), "%s: %s", what, gi_strerror(-saved_errno));
			return -saved_errno;
		}
		break;
	default:
		break;
	}
	c->broken = true;
	tls_explain(c, what);
	return -GI_ETLS;
}

static void tls_explain(struct tls_conn *c, const char *what)
{
	unsigned long code = ERR_peek_error();
	long verify = SSL_get_verify_result(c->ssl);
	const char *reason = code ? ERR_reason_error_string(code) : NULL;

	if (verify != X509_V_OK)
		(void)snprintf(c->why, sizeof(c->why), "%s: the peer's certificate: %s", what,
			X509_verify_cert_error_string(verify));
	else
		(void)snprintf(c->why, sizeof(c->why), "%s: %s", what,
			reason ? reason : "connection lost");
	ERR_clear_error();
}

/* a CN that is too long, has a NUL inside or control characters is nobody's name */
static int tls_read_peer_name(struct tls_conn *c)
{
	X509 *cert = SSL_get0_peer_certificate(c->ssl);
	unsigned char *utf8 = NULL;
	X509_NAME *subject;
	int at, len, err = -GI_ETLS;

	(void)snprintf(c->why, sizeof(c->why), "the peer's certificate has no usable CN");
	if (!cert)
		return -GI_ETLS;
	subject = X509_get_subject_name(cert);
	at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	if (at < 0)
		return -GI_ETLS;
	len = ASN1_STRING_to_UTF8(
		&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
	if (len > 0 && (size_t)len == strnlen((char *)utf8, (size_t)len) &&
		gi_text_is_clean((char *)utf8, IO_TLS_NAME_MAX) &&
		gi_text_copy(c->peer, sizeof(c->peer), (char *)utf8) == 0) {
		c->why[0] = '\0';
		err = 0;
	}
	OPENSSL_free(utf8);
	return err;
}
