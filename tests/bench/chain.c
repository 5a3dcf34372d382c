/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * chain.c - the least that a verdict from another machine can cost, for tests/bench/files
 *
 *   chain DIR TLS-DIR
 *
 *   opener --fanotify--> agent --unix--> relay --TLS 1.3, TCP--> service: SHA-256, "allow"
 *
 * Three processes in lock-step, each blocked in one read: the agent pushes up to 16 KiB of the
 * file and waits, the relay passes it on, the service hashes it and answers. No protocol but a
 * length, no cache, no marks, no checks, one file at a time, nothing that could serve a second
 * guest: what is left are the six changes of process, the copies, TLS and the hash. The floor of
 * gi-fileagent -> gi-mux -> svm-scan on this machine.
 * TLS-DIR: ca.crt, scan.crt, scan.key, host.crt, host.key. Prints "ready"; ends by a signal, and
 * all of it then. Refuses the file system of "/".
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <sys/fanotify.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define CONTENT_MAX (16u << 10)

struct message {
	uint32_t len;
	uint8_t content[CONTENT_MAX];
};

static void die(const char *what)
{
	fprintf(stderr, "chain: %s: %s\n", what, strerror(errno));
	_exit(EXIT_FAILURE);
}

/* a process of its own, that ends with us */
static void child(void (*run)(int fd, const char *tls), int fd, const char *tls)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (pid > 0)
		return;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	run(fd, tls);
	_exit(EXIT_FAILURE);
}

/* ---- TLS ---- */

static SSL *tls_new(const SSL_METHOD *method, const char *dir, const char *who, int fd)
{
	SSL_CTX *ctx = SSL_CTX_new(method);
	char ca[512], cert[512], key[512];
	SSL *ssl;

	(void)snprintf(ca, sizeof(ca), "%s/ca.crt", dir);
	(void)snprintf(cert, sizeof(cert), "%s/%s.crt", dir, who);
	(void)snprintf(key, sizeof(key), "%s/%s.key", dir, who);
	if (!ctx || SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1 ||
		SSL_CTX_load_verify_file(ctx, ca) != 1 ||
		SSL_CTX_use_certificate_chain_file(ctx, cert) != 1 ||
		SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
		die(dir);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	(void)SSL_CTX_set_num_tickets(ctx, 0);
	SSL_CTX_set_read_ahead(ctx, 1); /* one read a record, not two */
	ssl = SSL_new(ctx);
	if (!ssl || SSL_set_fd(ssl, fd) != 1)
		die("SSL_new");
	return ssl;
}

static void tls_put(SSL *ssl, const void *buf, size_t len)
{
	size_t n;

	if (SSL_write_ex(ssl, buf, len, &n) != 1 || n != len)
		_exit(EXIT_FAILURE); /* the other end ended */
}

static void message_get(SSL *ssl, struct message *m)
{
	size_t n = 0, some;

	m->len = 0;
	while (n < sizeof(m->len) || n < sizeof(m->len) + m->len) {
		if (SSL_read_ex(ssl, (uint8_t *)m + n, sizeof(*m) - n, &some) != 1)
			_exit(EXIT_FAILURE);
		n += some;
		if (n >= sizeof(m->len) && m->len > CONTENT_MAX)
			_exit(EXIT_FAILURE);
	}
}

/* ---- the three processes ---- */

static void service(int listener, const char *tls)
{
	int fd = accept(listener, NULL, NULL), on = 1;
	SSL *ssl = tls_new(TLS_server_method(), tls, "scan", fd);
	EVP_MD *md = EVP_MD_fetch(NULL, "SHA256", NULL);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t digest[EVP_MAX_MD_SIZE];
	struct message m;
	unsigned int len;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (!md || !ctx || SSL_accept(ssl) != 1)
		die("service");
	for (;;) {
		uint32_t allow = 1;

		message_get(ssl, &m);
		if (EVP_DigestInit_ex2(ctx, md, NULL) != 1 ||
			EVP_DigestUpdate(ctx, m.content, m.len) != 1 ||
			EVP_DigestFinal_ex(ctx, digest, &len) != 1)
			_exit(EXIT_FAILURE);
		tls_put(ssl, &allow, sizeof(allow));
	}
}

static int listener_new(struct sockaddr_in *ret)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(in);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&in, len) < 0 || listen(fd, 1) < 0 ||
		getsockname(fd, (struct sockaddr *)&in, &len) < 0)
		die("listen");
	*ret = in;
	return fd;
}

static void relay(int agent, const char *tls)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
	struct sockaddr_in in;
	int listener = listener_new(&in);
	struct message m;
	uint32_t allow;
	size_t got;
	ssize_t n;
	SSL *ssl;

	child(service, listener, tls);
	(void)close(listener);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(fd, (struct sockaddr *)&in, sizeof(in)) < 0)
		die("connect");
	ssl = tls_new(TLS_client_method(), tls, "host", fd);
	if (SSL_connect(ssl) != 1 || write(agent, "!", 1) != 1)
		die("relay");
	while ((n = read(agent, &m, sizeof(m))) > 0) {
		tls_put(ssl, &m, (size_t)n);
		if (SSL_read_ex(ssl, &allow, sizeof(allow), &got) != 1 || got != sizeof(allow))
			_exit(EXIT_FAILURE);
		if (write(agent, &allow, sizeof(allow)) != (ssize_t)sizeof(allow))
			die("relay");
	}
	_exit(EXIT_SUCCESS);
}

static void ask(int relay_fd, int group, int fd)
{
	struct fanotify_response r = { .fd = fd, .response = FAN_ALLOW };
	struct message m;
	uint32_t allow;
	ssize_t n = pread(fd, m.content, CONTENT_MAX, 0), len;

	m.len = n > 0 ? (uint32_t)n : 0;
	len = (ssize_t)sizeof(m.len) + (ssize_t)m.len;
	/* one read of the relay's takes a packet as a whole */
	if (write(relay_fd, &m, (size_t)len) != len ||
		read(relay_fd, &allow, sizeof(allow)) != (ssize_t)sizeof(allow))
		die("the relay ended");
	if (write(group, &r, sizeof(r)) < 0 && errno != ENOENT)
		die("answer");
	(void)close(fd);
}

static int group_new(const char *dir)
{
	int group = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC | FAN_UNLIMITED_QUEUE,
		O_RDONLY | O_CLOEXEC | O_LARGEFILE);
	struct stat here, root;

	if (group < 0 || stat(dir, &here) != 0 || stat("/", &root) != 0)
		die(dir);
	if (here.st_dev == root.st_dev) {
		fprintf(stderr, "chain: %s is on the root file system\n", dir);
		exit(EXIT_FAILURE);
	}
	if (fanotify_mark(group, FAN_MARK_ADD | FAN_MARK_FILESYSTEM,
		    FAN_OPEN_PERM | FAN_OPEN_EXEC_PERM, AT_FDCWD, dir) != 0)
		die("fanotify_mark");
	return group;
}

int main(int argc, char **argv)
{
	char buf[8192], go;
	int pair[2], group;

	if (argc != 3) {
		fprintf(stderr, "usage: chain DIR TLS-DIR\n");
		return 2;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		die("socketpair");
	child(relay, pair[1], argv[2]);
	(void)close(pair[1]);
	if (read(pair[0], &go, 1) != 1)
		die("the relay did not start");
	group = group_new(argv[1]); /* from here on no file of DIR is opened by us */
	puts("ready");
	(void)fflush(stdout);
	for (;;) {
		ssize_t len = read(group, buf, sizeof(buf));
		struct fanotify_event_metadata *m = (void *)buf;

		if (len < 0)
			die("fanotify");
		for (; FAN_EVENT_OK(m, len); m = FAN_EVENT_NEXT(m, len))
			if (m->fd >= 0)
				ask(pair[0], group, m->fd);
	}
}
