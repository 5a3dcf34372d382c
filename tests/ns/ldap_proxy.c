/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ldap_proxy.c - a server that is far away, hangs or breaks, for tests/ns/dir-*.sh and the bench
 *
 *   ldap_proxy LISTEN-ADDRESS LISTEN-PORT SERVER-ADDRESS SERVER-PORT
 * Passes bytes (TLS as it is) between clients and one server. Connections are numbered from 1 as
 * they come. Commands, one a line, on standard input; its end ends the program:
 *   delay US      what comes from the server waits so long, what is on its way no longer than that
 *   hang N        nothing more passes from the server on connection N; it may be one to come
 *   cut N         connection N is reset
 *   calm          no hang for those to come
 *   max N         connections above number N are closed at once; 0: none is
 *   stat          prints: stat conns=C open=O busy_max=B requests=R
 * conns: accepted so far; busy_max: most that waited for an answer at one time, since the last
 * stat; requests: chunks from clients, one TLS record each, so a handshake counts as some.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define CONNS_MAX 4096
#define CHUNK_MAX 32768

struct conn {
	unsigned int number;
	int client, server; /* -1: closed */
	bool busy;	    /* asked and not yet answered */
	unsigned int chunks;
};

struct chunk { /* from a server, on its way; in order of due_us */
	struct chunk *next;
	struct conn *conn;
	uint64_t due_us;
	size_t len; /* 0: the server's end */
	char bytes[];
};

static struct {
	int epoll, timer, listener;
	struct sockaddr_in upstream;
	struct conn *conns[CONNS_MAX + 1]; /* by number; NULL: gone */
	bool hang[CONNS_MAX + 1];
	unsigned int n_conns, open, max, busy, busy_max;
	uint64_t delay_us, requests;
	struct chunk *first, *last;
} p;

static uint64_t now_us(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void watch(int fd, uint64_t tag)
{
	struct epoll_event e = { .events = EPOLLIN, .data.u64 = tag };

	if (epoll_ctl(p.epoll, EPOLL_CTL_ADD, fd, &e) < 0) {
		perror("epoll_ctl");
		exit(1);
	}
}

static bool put(int fd, const char *buf, size_t len)
{
	while (len) {
		ssize_t n = send(fd, buf, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN) {
			struct pollfd f = { .fd = fd, .events = POLLOUT };

			(void)poll(&f, 1, 1000);
			continue;
		}
		if (n < 0)
			return false;
		buf += n;
		len -= (size_t)n;
	}
	return true;
}

static void conn_idle(struct conn *c)
{
	p.busy -= c->busy;
	c->busy = false;
}

static void conn_free(struct conn *c)
{
	if (c->chunks || c->client >= 0)
		return;
	p.conns[c->number] = NULL;
	free(c);
}

/* @reset: by RST, else as it comes */
static void conn_close(struct conn *c, bool reset)
{
	struct linger now = { .l_onoff = 1, .l_linger = 0 };

	if (c->client >= 0) {
		if (reset)
			(void)setsockopt(c->client, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
		(void)close(c->client);
		(void)close(c->server);
		c->client = c->server = -1;
		p.open--;
		conn_idle(c);
	}
	conn_free(c);
}

static void accept_one(void)
{
	int fd = accept4(p.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), one = 1;
	struct conn *c;

	if (fd < 0)
		return;
	if (p.n_conns == CONNS_MAX || (p.max && p.n_conns >= p.max)) {
		(void)close(fd);
		return;
	}
	c = calloc(1, sizeof(*c));
	if (!c)
		exit(1);
	c->client = fd;
	c->server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->server < 0 ||
		connect(c->server, (struct sockaddr *)&p.upstream, sizeof(p.upstream)) < 0) {
		(void)close(fd);
		if (c->server >= 0)
			(void)close(c->server);
		free(c);
		return;
	}
	(void)fcntl(c->server, F_SETFL, O_NONBLOCK);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	(void)setsockopt(c->server, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	c->number = ++p.n_conns;
	p.conns[c->number] = c;
	p.open++;
	watch(c->client, (uint64_t)c->number << 1);
	watch(c->server, (uint64_t)c->number << 1 | 1);
}

static void from_client(struct conn *c)
{
	static char buf[CHUNK_MAX];
	ssize_t n = recv(c->client, buf, sizeof(buf), 0);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0 || !put(c->server, buf, (size_t)n)) {
		conn_close(c, false);
		return;
	}
	p.requests++;
	p.busy += !c->busy;
	c->busy = true;
	if (p.busy > p.busy_max)
		p.busy_max = p.busy;
}

static void arm(void)
{
	struct itimerspec t = { .it_interval = { 0, 0 } };

	if (p.first) {
		t.it_value.tv_sec = (time_t)(p.first->due_us / 1000000);
		t.it_value.tv_nsec = (long)(p.first->due_us % 1000000) * 1000;
	}
	(void)timerfd_settime(p.timer, TFD_TIMER_ABSTIME, &t, NULL);
}

static void from_server(struct conn *c)
{
	static char buf[CHUNK_MAX];
	ssize_t n;
	struct chunk *k;

	if (p.hang[c->number]) { /* it stays where it is */
		(void)epoll_ctl(p.epoll, EPOLL_CTL_DEL, c->server, NULL);
		return;
	}
	n = recv(c->server, buf, sizeof(buf), 0);
	if (n < 0 && errno == EAGAIN)
		return;
	n = n < 0 ? 0 : n;
	if (n == 0) /* told once */
		(void)epoll_ctl(p.epoll, EPOLL_CTL_DEL, c->server, NULL);
	k = malloc(sizeof(*k) + (size_t)n);
	if (!k)
		exit(1);
	k->next = NULL;
	k->conn = c;
	k->due_us = now_us() + p.delay_us;
	k->len = (size_t)n;
	memcpy(k->bytes, buf, (size_t)n);
	c->chunks++;
	if (p.first)
		p.last->next = k;
	else
		p.first = k;
	p.last = k;
	if (p.first == k)
		arm();
}

static void deliver(void)
{
	uint64_t now = now_us();

	while (p.first && p.first->due_us <= now) {
		struct chunk *k = p.first;
		struct conn *c = k->conn;

		p.first = k->next;
		c->chunks--;
		conn_idle(c);
		if (c->client < 0)
			conn_free(c);
		else if (k->len == 0 || !put(c->client, k->bytes, k->len))
			conn_close(c, false);
		free(k);
	}
	arm();
}

static void delay(uint64_t us)
{
	uint64_t latest = now_us() + us;

	p.delay_us = us;
	for (struct chunk *k = p.first; k; k = k->next)
		if (k->due_us > latest)
			k->due_us = latest;
	arm();
}

static void command(const char *line)
{
	unsigned long n = strtoul(line + strcspn(line, " "), NULL, 10);

	if (strncmp(line, "delay ", 6) == 0) {
		delay(n);
	} else if (strncmp(line, "max ", 4) == 0) {
		p.max = (unsigned int)n;
	} else if (strncmp(line, "hang ", 5) == 0 && n <= CONNS_MAX) {
		p.hang[n] = true;
	} else if (strncmp(line, "cut ", 4) == 0 && n <= CONNS_MAX && p.conns[n]) {
		conn_close(p.conns[n], true);
	} else if (strcmp(line, "calm") == 0) {
		memset(p.hang + p.n_conns + 1, 0, (CONNS_MAX - p.n_conns) * sizeof(p.hang[0]));
	} else if (strcmp(line, "stat") == 0) {
		(void)printf("stat conns=%u open=%u busy_max=%u requests=%llu\n", p.n_conns, p.open,
			p.busy_max, (unsigned long long)p.requests);
		p.busy_max = p.busy;
	} else {
		(void)printf("what? %s\n", line);
	}
}

static void commands(void)
{
	static char buf[1024];
	static size_t len;
	ssize_t n = read(0, buf + len, sizeof(buf) - 1 - len);
	char *end;

	if (n <= 0)
		exit(0);
	len += (size_t)n;
	buf[len] = '\0';
	while ((end = strchr(buf, '\n')) != NULL) {
		*end = '\0';
		command(buf);
		len -= (size_t)(end + 1 - buf);
		memmove(buf, end + 1, len + 1);
	}
}

static bool address(struct sockaddr_in *a, const char *ip, const char *port)
{
	*a = (struct sockaddr_in){ .sin_family = AF_INET,
		.sin_port = htons((uint16_t)strtoul(port, NULL, 10)) };
	return inet_pton(AF_INET, ip, &a->sin_addr) == 1;
}

enum { TAG_LISTEN = 1 << 20, TAG_TIMER, TAG_STDIN };

static void event(uint64_t tag)
{
	struct conn *c;
	uint64_t ticks;

	if (tag == TAG_LISTEN) {
		accept_one();
	} else if (tag == TAG_STDIN) {
		commands();
	} else if (tag == TAG_TIMER) {
		if (read(p.timer, &ticks, sizeof(ticks)) < 0)
			return;
		deliver();
	} else {
		c = p.conns[tag >> 1]; /* NULL, closed: by an event before, of the same round */
		if (c && c->client >= 0 && tag & 1)
			from_server(c);
		else if (c && c->client >= 0)
			from_client(c);
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in here;
	struct epoll_event ev[64];
	int one = 1, n, i;

	if (argc != 5 || !address(&here, argv[1], argv[2]) ||
		!address(&p.upstream, argv[3], argv[4])) {
		(void)fprintf(
			stderr, "usage: ldap_proxy ADDRESS PORT SERVER-ADDRESS SERVER-PORT\n");
		return 2;
	}
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	p.epoll = epoll_create1(EPOLL_CLOEXEC);
	p.timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	p.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (p.epoll < 0 || p.timer < 0 || p.listener < 0 ||
		setsockopt(p.listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
		bind(p.listener, (struct sockaddr *)&here, sizeof(here)) < 0 ||
		listen(p.listener, 128) < 0) {
		perror("ldap_proxy");
		return 1;
	}
	watch(p.listener, TAG_LISTEN);
	watch(p.timer, TAG_TIMER);
	watch(0, TAG_STDIN);
	(void)printf("ready\n");
	for (;;) {
		n = epoll_wait(p.epoll, ev, 64, -1);
		for (i = 0; i < n; i++)
			event(ev[i].data.u64);
	}
}
