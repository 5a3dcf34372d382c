/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * login.c - latency of the whole path in the lab: what a user at the prompt waits for
 *
 *   bench_login login  --socket S --users PREFIX --first-uid U --distinct D --count N [--samples
 * FILE] bench_login revoke --socket S --user NAME --uid U --server ADDR --port P --count N
 *   bench_login soon   --socket S --user NAME --uid U --count N
 *   bench_login hold   --socket S --users PREFIX --first-uid U --count N
 *   bench_login serve  --port P            (TCP on all addresses: 64 bytes each millisecond)
 *
 * login: as root in a VM's namespaces, hands real login blocks to the real gi-netagent with WAIT=1
 * and takes the time until it says "enforced" (login message -> mux -> svm-idfw -> rules
 * committed and acknowledged on every VM concerned -> answer); then closes the session. With
 * --distinct equal to --count each user is new to the service: directory not cached.
 * soon: the same, each login 300 ms after the last, in turns: not announced, and announced
 * (EVENT=soon, as pam_gi does in the auth and account stacks) 5, 10, 20, 40, 80 ms before the
 * block. hold: opens N sessions of N users, says so, keeps them until stdin ends (the caller reads
 * the agent's memory meanwhile), closes them. revoke: opens a session, lets that uid receive a
 * server-fed stream, closes the session and takes the time from the close message to the last
 * packet that arrived. CLOCK_MONOTONIC is one for all namespaces of a machine. Prints one JSON
 * line.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct options {
	const char *socket, *user, *server, *samples;
	unsigned int uid, distinct, count, port;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void die(const char *what)
{
	fprintf(stderr, "bench_login: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* one exchange with gi-netagent: a block of NUL-separated KEY=value, and its reply */
static size_t exchange(const char *path, const char *block, size_t len, char *reply, size_t size)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	ssize_t n;

	snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&un, sizeof(un)) ||
		send(fd, block, len, MSG_NOSIGNAL) < 0)
		die(path);
	n = recv(fd, reply, size - 1, 0);
	if (n <= 0)
		die("no reply from gi-netagent");
	reply[n] = 0;
	close(fd);
	return (size_t)n;
}

static const char *value_of(const char *block, size_t len, const char *key)
{
	size_t k = strlen(key);

	for (const char *p = block; p < block + len; p += strlen(p) + 1)
		if (!strncmp(p, key, k) && p[k] == '=')
			return p + k + 1;
	return "";
}

static uint64_t session_open(
	const struct options *o, const char *user, unsigned int uid, char status[32])
{
	char block[512], reply[4097];
	int len = snprintf(block, sizeof(block),
		"IDFW=1%cEVENT=open%cUSER=%s%cUID=%u%cSERVICE=sshd%cTTY=ssh%cRHOST=10.77.7.10%"
		"cWAIT=1%cTIMEOUT_MS=10000",
		0, 0, user, 0, uid, 0, 0, 0, 0, 0);
	size_t n = exchange(o->socket, block, (size_t)len + 1, reply, sizeof(reply));

	snprintf(status, 32, "%s", value_of(reply, n, "STATUS"));
	return strtoull(value_of(reply, n, "SESSION"), NULL, 10);
}

static void session_close(const struct options *o, const char *user, unsigned int uid, uint64_t id)
{
	char block[512], reply[4097];
	int len = snprintf(block, sizeof(block),
		"IDFW=1%cEVENT=close%cUSER=%s%cUID=%u%cSERVICE=sshd%cSESSION=%lu", 0, 0, user, 0,
		uid, 0, 0, (unsigned long)id);

	exchange(o->socket, block, (size_t)len + 1, reply, sizeof(reply));
}

static int cmp_u64(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void print_result(const char *what, uint64_t *v, unsigned int n, unsigned int bad)
{
	if (!n) {
		fprintf(stderr, "bench_login: %s: nothing was measured\n", what);
		exit(1);
	}
	qsort(v, n, sizeof(*v), cmp_u64);
	printf("{\"bench\":\"%s\",\"n\":%u,\"p50_us\":%.1f,\"p99_us\":%.1f,\"min_us\":%.1f,\"max_"
	       "us\":%.1f,\"bad\":%u}\n",
		what, n, (double)v[n / 2] / 1e3, (double)v[(n - 1) * 99 / 100] / 1e3,
		(double)v[0] / 1e3, (double)v[n - 1] / 1e3, bad);
	fflush(stdout);
}

/* how long it took, 0: it was not enforced */
static uint64_t one_login(const struct options *o, const char *user, unsigned int uid)
{
	char status[32];
	uint64_t t = now_ns(), id;

	id = session_open(o, user, uid, status);
	t = strcmp(status, "enforced") ? 0 : now_ns() - t;
	session_close(o, user, uid, id);
	return t;
}

/*
 * Each login by a process of its own: it becomes the session's leader and is moved into the
 * session's cgroup; a second login of the same process would be one inside the first. Returns what
 * @run did.
 */
static uint64_t in_a_child(const struct options *o, const char *user, unsigned int uid,
	uint64_t (*run)(const struct options *o, const char *user, unsigned int uid))
{
	uint64_t took = 0;
	int fds[2];
	pid_t pid;

	if (pipe(fds))
		die("pipe");
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid) {
		took = run(o, user, uid);
		_exit(write(fds[1], &took, sizeof(took)) != sizeof(took));
	}
	close(fds[1]);
	if (read(fds[0], &took, sizeof(took)) != sizeof(took))
		took = 0;
	close(fds[0]);
	waitpid(pid, NULL, 0);
	return took;
}

/* appends one line of nanoseconds each, for whoever puts several runs together */
static void write_samples(const char *path, const uint64_t *v, unsigned int n)
{
	FILE *f = fopen(path, "a");

	if (!f)
		die(path);
	for (unsigned int i = 0; i < n; i++)
		fprintf(f, "%lu\n", (unsigned long)v[i]);
	if (fclose(f))
		die(path);
}

static int bench_login(const struct options *o)
{
	uint64_t *v = calloc(o->count, sizeof(*v));
	unsigned int bad = 0, n = 0;

	if (!v)
		die("memory");
	for (unsigned int i = 0; i < o->count; i++) {
		unsigned int k = i % o->distinct;
		char user[64];

		if (o->distinct > 1)
			snprintf(user, sizeof(user), "%s%06u", o->user, k + 1);
		else
			snprintf(user, sizeof(user), "%s", o->user);
		v[n] = in_a_child(o, user, o->uid + k, one_login);
		if (v[n])
			n++;
		else
			bad++;
		usleep(20000); /* pace: one login at a time on a quiet system */
	}
	if (o->samples)
		write_samples(o->samples, v, n);
	print_result(o->distinct > 1 ? "login_uncached" : "login_cached", v, n, bad);
	free(v);
	return bad != 0;
}

/* 5 to 14 ms lie between sshd's account and session stack, 30 to 50 between its auth and session */
static const unsigned int ahead_ms[] = { 0, 5, 10, 20, 40, 80 };
#define N_AHEAD (sizeof(ahead_ms) / sizeof(*ahead_ms))

static void announce(const struct options *o)
{
	static const char block[] = "IDFW=1\0EVENT=soon";
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(un.sun_path, sizeof(un.sun_path), "%s", o->socket);
	if (fd < 0 || connect(fd, (struct sockaddr *)&un, sizeof(un)) ||
		send(fd, block, sizeof(block), MSG_NOSIGNAL) < 0)
		die(o->socket);
	close(fd);
}

static int bench_soon(const struct options *o)
{
	uint64_t *v[N_AHEAD] = { NULL };
	unsigned int n[N_AHEAD] = { 0 }, bad[N_AHEAD] = { 0 }, bad_in_all = 0;

	for (unsigned int i = 0; i < o->count * N_AHEAD; i++) {
		unsigned int k = i % N_AHEAD;
		uint64_t took;

		if (!v[k] && !(v[k] = calloc(o->count, sizeof(*v[k]))))
			die("memory");
		usleep(300000); /* whoever was announced before is forgotten */
		if (ahead_ms[k]) {
			announce(o);
			usleep(ahead_ms[k] * 1000);
		}
		took = in_a_child(o, o->user, o->uid, one_login);
		if (took)
			v[k][n[k]++] = took;
		else
			bad[k]++;
	}
	for (unsigned int k = 0; k < N_AHEAD; k++) {
		char what[40];

		snprintf(what, sizeof(what), "login_soon_%ums", ahead_ms[k]);
		print_result(what, v[k], n[k], bad[k]);
		bad_in_all += bad[k];
		free(v[k]);
	}
	return bad_in_all != 0;
}

/* child: this uid receives; *last is the time of the newest packet, *got how many bytes */
static void receive(const struct options *o, volatile uint64_t *last, volatile uint64_t *got)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons((uint16_t)o->port) };
	char buf[4096];
	ssize_t n;
	int fd;

	if (setgroups(0, NULL) || setgid(o->uid) || setuid(o->uid))
		die("setuid");
	fd = socket(AF_INET, SOCK_STREAM, 0);
	if (fd < 0 || inet_pton(AF_INET, o->server, &sin.sin_addr) != 1)
		die(o->server);
	if (connect(fd, (struct sockaddr *)&sin, sizeof(sin)))
		die("connect");
	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		*last = now_ns();
		*got += (uint64_t)n;
	}
	exit(0);
}

static int hold(const struct options *o)
{
	uint64_t *ids = calloc(o->count, sizeof(*ids)), t = now_ns();
	char user[64], status[32];

	if (!ids)
		die("memory");
	for (unsigned int i = 0; i < o->count; i++) {
		snprintf(user, sizeof(user), "%s%06u", o->user, i + 1);
		ids[i] = session_open(o, user, o->uid + i, status);
	}
	printf("{\"bench\":\"hold\",\"n\":%u,\"seconds\":%.3f}\n", o->count,
		(double)(now_ns() - t) / 1e9);
	fflush(stdout);
	while (getchar() != EOF)
		;
	for (unsigned int i = 0; i < o->count; i++) {
		snprintf(user, sizeof(user), "%s%06u", o->user, i + 1);
		session_close(o, user, o->uid + i, ids[i]);
	}
	free(ids);
	return 0;
}

static void wait_for(volatile uint64_t *got, uint64_t more, unsigned int most_ms)
{
	uint64_t want = *got + more, end = now_ns() + most_ms * 1000000ull;

	while (*got < want && now_ns() < end)
		usleep(500);
}

/* from the close message to the last packet; 0: no stream, or it did not stop */
static uint64_t one_revoke(const struct options *o, const char *user, unsigned int uid)
{
	volatile uint64_t *shared =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t id, t, last, took = 0;
	char status[32];
	pid_t pid;

	if (shared == MAP_FAILED)
		die("memory");
	id = session_open(o, user, uid, status);
	pid = fork();
	if (!pid)
		receive(o, &shared[0], &shared[1]);
	wait_for(&shared[1], 64 * 30, 3000);
	t = now_ns();
	session_close(o, user, uid, id);
	usleep(100000);
	/* two looks 50 ms apart: the stream must have stopped */
	if (shared[1]) {
		last = shared[0];
		usleep(50000);
		if (shared[0] == last)
			took = last > t ? last - t : 1;
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return took;
}

static int bench_revoke(const struct options *o)
{
	uint64_t *v = calloc(o->count, sizeof(*v));
	unsigned int n = 0, bad = 0;

	if (!v)
		die("memory");
	for (unsigned int i = 0; i < o->count; i++) {
		v[n] = in_a_child(o, o->user, o->uid, one_revoke);
		if (v[n])
			n++;
		else
			bad++;
	}
	print_result("revoke_last_packet", v, n, bad);
	free(v);
	return bad != 0;
}

static int serve(const struct options *o)
{
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6,
		.sin6_port = htons((uint16_t)o->port) };
	int one = 1, zero = 0, fd = socket(AF_INET6, SOCK_STREAM, 0);

	signal(SIGCHLD, SIG_IGN);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero)) ||
		bind(fd, (struct sockaddr *)&sin6, sizeof(sin6)) || listen(fd, 16))
		die("listen");
	for (;;) {
		char block[64] = "idfw bench stream";
		int c = accept(fd, NULL, NULL);

		if (c < 0 || fork())
			goto next;
		setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		for (unsigned int i = 0; i < 10000; i++) { /* at most ten seconds a client */
			if (send(c, block, sizeof(block), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
				break;
			usleep(1000);
		}
		_exit(0);
next:
		if (c >= 0)
			close(c);
	}
}

int main(int argc, char **argv)
{
	static const struct option opts[] = { { "socket", 1, NULL, 's' }, { "users", 1, NULL, 'n' },
		{ "user", 1, NULL, 'n' }, { "first-uid", 1, NULL, 'u' }, { "uid", 1, NULL, 'u' },
		{ "distinct", 1, NULL, 'd' }, { "count", 1, NULL, 'c' }, { "server", 1, NULL, 'a' },
		{ "port", 1, NULL, 'p' }, { "samples", 1, NULL, 'f' }, { 0 } };
	struct options o = {
		.user = "alice", .uid = 2001, .distinct = 1, .count = 200, .port = 5433
	};
	const char *mode = argc > 1 ? argv[1] : "";
	int c;

	optind = 2;
	while (argc > 1 && (c = getopt_long(argc, argv, "", opts, NULL)) != -1) {
		unsigned int number = optarg ? (unsigned int)strtoul(optarg, NULL, 10) : 0;

		switch (c) {
		case 's':
			o.socket = optarg;
			break;
		case 'f':
			o.samples = optarg;
			break;
		case 'n':
			o.user = optarg;
			break;
		case 'a':
			o.server = optarg;
			break;
		case 'u':
			o.uid = number;
			break;
		case 'd':
			o.distinct = number;
			break;
		case 'c':
			o.count = number;
			break;
		case 'p':
			o.port = number;
			break;
		default:
			return 2;
		}
	}
	if (!strcmp(mode, "serve"))
		return serve(&o);
	if (!strcmp(mode, "hold") && o.socket && o.count)
		return hold(&o);
	if (!strcmp(mode, "login") && o.socket && o.count && o.distinct)
		return bench_login(&o);
	if (!strcmp(mode, "soon") && o.socket && o.count)
		return bench_soon(&o);
	if (!strcmp(mode, "revoke") && o.socket && o.server && o.count)
		return bench_revoke(&o);
	fprintf(stderr, "usage: bench_login login|soon|revoke|hold|serve ... (see the head of "
			"tests/bench/login.c)\n");
	return 2;
}
