/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sock.c - listening and connecting: unix, vsock, tcp
 *
 * Endpoints come from configuration text; there is no name resolution, so nothing here blocks.
 * Runs in every daemon. Invariants: each descriptor is born CLOEXEC and non-blocking; a live
 * server's socket file is never removed. Source: unix(7), vsock(7), tcp(7).
 */
#include "lib/io/sock.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include "lib/base/text.h"

#define SOCK_BACKLOG 128
#define SOCK_KEEPALIVE_SEC 30
#define BACKOFF_FIRST_MS 100
#define VSOCK_RESERVED 1023 /* LAST_RESERVED_PORT of the kernel's af_vsock.c */
#define VSOCK_RESERVED_FIRST 600

static int endpoint_unix(const char *text, struct io_endpoint *e);
static int endpoint_vsock(const char *text, struct io_endpoint *e);
static int endpoint_tcp(const char *text, struct io_endpoint *e);
static int sock_open(const struct io_endpoint *e);
static int sock_bind_unix(int fd, const struct io_endpoint *e, mode_t mode);
static bool sock_unix_is_stale(const struct io_endpoint *e);
static void sock_tune_tcp(int fd);

int io_endpoint_parse(const char *text, struct io_endpoint *ret)
{
	struct io_endpoint e = { .type = SOCK_STREAM };
	int err = -EINVAL;

	if (gi_text_copy(e.text, sizeof(e.text), text) < 0)
		return -GI_ELIMIT;
	if (strncmp(text, "unix:", 5) == 0)
		err = endpoint_unix(text + 5, &e);
	else if (strncmp(text, "vsock:", 6) == 0)
		err = endpoint_vsock(text + 6, &e);
	else if (strncmp(text, "tcp:", 4) == 0)
		err = endpoint_tcp(text + 4, &e);
	if (err < 0)
		return err;
	*ret = e;
	return 0;
}

int io_sock_listen(const struct io_endpoint *e, mode_t mode, int *ret_fd)
{
	int fd, err, on = 1;

	fd = sock_open(e);
	if (fd < 0)
		return fd;
	if (e->u.sa.sa_family == AF_UNIX) {
		err = sock_bind_unix(fd, e, mode);
	} else {
		if (e->u.sa.sa_family != AF_VSOCK)
			(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		if (e->u.sa.sa_family == AF_INET6)
			(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
		err = bind(fd, &e->u.sa, e->len) < 0 ? -errno : 0;
	}
	if (err == 0 && listen(fd, SOCK_BACKLOG) < 0)
		err = -errno;
	if (err < 0) {
		(void)close(fd);
		return err;
	}
	*ret_fd = fd;
	return 0;
}

int io_sock_connect(const struct io_endpoint *e, int *ret_fd)
{
	int fd, err;

	fd = sock_open(e);
	if (fd < 0)
		return fd;
	if (e->u.sa.sa_family == AF_INET || e->u.sa.sa_family == AF_INET6)
		sock_tune_tcp(fd);
	/* without the privilege any port: whether that is enough is the other end's to say */
	if (e->u.sa.sa_family == AF_VSOCK)
		(void)!io_sock_vsock_reserve(fd);
	if (connect(fd, &e->u.sa, e->len) < 0 && errno != EINPROGRESS) {
		err = -errno;
		(void)close(fd);
		return err;
	}
	*ret_fd = fd;
	return 0;
}

int io_sock_accept(int listen_fd, int *ret_fd)
{
	struct sockaddr_storage peer = { 0 };
	socklen_t len = sizeof(peer);
	int fd;

	do
		fd = accept4(
			listen_fd, (struct sockaddr *)&peer, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
	while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
	if (fd < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	if (peer.ss_family == AF_INET || peer.ss_family == AF_INET6)
		sock_tune_tcp(fd);
	*ret_fd = fd;
	return 0;
}

int io_sock_peer_ucred(int fd, struct ucred *ret)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return -errno;
	/* other families answer with nobody's credentials instead of an error */
	if (cred.pid == 0)
		return -ENOTSUP;
	*ret = cred;
	return 0;
}

int io_sock_vsock_reserve(int fd)
{
	struct sockaddr_vm vm = { .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY };
	int err = -EADDRINUSE;

	for (unsigned int port = VSOCK_RESERVED; port >= VSOCK_RESERVED_FIRST && err == -EADDRINUSE;
		port--) {
		vm.svm_port = port;
		err = bind(fd, (struct sockaddr *)&vm, sizeof(vm)) < 0 ? -errno : 0;
	}
	return err;
}

int io_sock_peer_cid(int fd, uint32_t *ret_cid, bool *ret_reserved)
{
	struct sockaddr_vm vm = { 0 };
	socklen_t len = sizeof(vm);

	if (getpeername(fd, (struct sockaddr *)&vm, &len) < 0)
		return -errno;
	if (vm.svm_family != AF_VSOCK)
		return -ENOTSUP;
	*ret_cid = vm.svm_cid;
	*ret_reserved = vm.svm_port <= VSOCK_RESERVED;
	return 0;
}

void io_backoff_init(struct io_backoff *b, uint32_t max_ms)
{
	b->next_ms = BACKOFF_FIRST_MS < max_ms ? BACKOFF_FIRST_MS : max_ms;
	b->max_ms = max_ms;
}

uint32_t io_backoff_next(struct io_backoff *b)
{
	uint32_t now = b->next_ms, noise = 0;

	b->next_ms = now > b->max_ms / 2 ? b->max_ms : now * 2;
	if (getrandom(&noise, sizeof(noise), GRND_NONBLOCK) != (ssize_t)sizeof(noise))
		noise = (uint32_t)getpid() * 2654435761u;
	return now / 2 + (uint32_t)(((uint64_t)noise * ((uint64_t)now + 1)) >> 32);
}

static int endpoint_unix(const char *text, struct io_endpoint *e)
{
	e->u.un.sun_family = AF_UNIX;
	e->len = sizeof(e->u.un);
	if (text[0] != '/')
		return -EINVAL;
	return gi_text_copy(e->u.un.sun_path, sizeof(e->u.un.sun_path), text);
}

static int endpoint_port(const char *text, uint64_t max, uint64_t *ret)
{
	return gi_text_u64(text, 1, max, ret) < 0 ? -EINVAL : 0;
}

/* CID:port; 0xffffffff means "any" for both in the kernel, so text may not say it as a number */
static int endpoint_vsock(const char *text, struct io_endpoint *e)
{
	const char *colon = strchr(text, ':');
	uint64_t cid, port;
	char part[16];

	if (!colon || (size_t)(colon - text) >= sizeof(part))
		return -EINVAL;
	memcpy(part, text, (size_t)(colon - text));
	part[colon - text] = '\0';
	if (strcmp(part, "any") == 0)
		cid = VMADDR_CID_ANY;
	else if (gi_text_u64(part, 0, UINT32_MAX - 1, &cid) < 0)
		return -EINVAL;
	if (endpoint_port(colon + 1, UINT32_MAX - 1, &port) < 0)
		return -EINVAL;
	e->u.vm.svm_family = AF_VSOCK;
	e->u.vm.svm_cid = (uint32_t)cid;
	e->u.vm.svm_port = (uint32_t)port;
	e->len = sizeof(e->u.vm);
	return 0;
}

/* a.b.c.d:port or [v6]:port */
static int endpoint_tcp(const char *text, struct io_endpoint *e)
{
	const char *host = text, *colon = strrchr(text, ':');
	char part[INET6_ADDRSTRLEN];
	size_t n = colon ? (size_t)(colon - text) : 0;
	bool six = text[0] == '[';
	uint64_t port;

	if (n == 0 || endpoint_port(colon + 1, UINT16_MAX, &port) < 0)
		return -EINVAL;
	if (six) {
		if (n < 2 || text[n - 1] != ']')
			return -EINVAL;
		host++;
		n -= 2;
	}
	if (n >= sizeof(part))
		return -EINVAL;
	memcpy(part, host, n);
	part[n] = '\0';
	if (six) {
		e->u.in6.sin6_family = AF_INET6;
		e->u.in6.sin6_port = htons((uint16_t)port);
		e->len = sizeof(e->u.in6);
		return inet_pton(AF_INET6, part, &e->u.in6.sin6_addr) == 1 ? 0 : -EINVAL;
	}
	e->u.in.sin_family = AF_INET;
	e->u.in.sin_port = htons((uint16_t)port);
	e->len = sizeof(e->u.in);
	return inet_pton(AF_INET, part, &e->u.in.sin_addr) == 1 ? 0 : -EINVAL;
}

/* a descriptor, or negative error */
static int sock_open(const struct io_endpoint *e)
{
	int fd = socket(e->u.sa.sa_family, e->type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd < 0 ? -errno : fd;
}

/*
 * The mode goes onto the socket before bind(): the file is born with it (less the umask), there
 * is no moment at which others could connect. chmod() then adds what the umask took.
 */
static int sock_bind_unix(int fd, const struct io_endpoint *e, mode_t mode)
{
	const char *path = e->u.un.sun_path;

	if (fchmod(fd, mode) < 0)
		return -errno;
	if (bind(fd, &e->u.sa, e->len) < 0) {
		if (errno != EADDRINUSE || !sock_unix_is_stale(e))
			return -errno;
		if (unlink(path) < 0 || bind(fd, &e->u.sa, e->len) < 0)
			return -errno;
	}
	return chmod(path, mode) < 0 ? -errno : 0;
}

/* keeps errno EADDRINUSE for the caller when somebody answers, or when it is no socket */
static bool sock_unix_is_stale(const struct io_endpoint *e)
{
	struct stat st;
	bool stale = false;
	int fd;

	if (lstat(e->u.un.sun_path, &st) < 0 || !S_ISSOCK(st.st_mode)) {
		errno = EADDRINUSE;
		return false;
	}
	fd = sock_open(e);
	if (fd >= 0) {
		stale = connect(fd, &e->u.sa, e->len) < 0 && errno == ECONNREFUSED;
		(void)close(fd);
	}
	errno = EADDRINUSE;
	return stale;
}

/* small frames at once; a peer that vanished without a word is noticed in about two minutes */
static void sock_tune_tcp(int fd)
{
	int on = 1, sec = SOCK_KEEPALIVE_SEC;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &sec, sizeof(sec));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &sec, sizeof(sec));
	sec = 3;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &sec, sizeof(sec));
}
