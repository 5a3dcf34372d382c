/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bench_cut.c - how long a revocation lets packets through, and what renewing leases costs, as
 * conntrack and the sets fill up
 *
 * bench_cut PEER (a network namespace's file; tests/bench/cut.sh makes both) - for 1, 1,000 and
 * 100,000: so many live sessions (a mark, a uid) and as many conntrack entries; then, again and
 * again, a server-fed UDP flow of one session is cut by one delta. The time is that of the last
 * packet that got through, as the kernel stamped it when it came in, since before the call that
 * cuts; and of the call itself; and the server's pace. For 1,000 and 100,000 leased marks: a
 * renewal of all, whole and its longest step (nothing else waits longer than that). One JSON object
 * a line, microseconds.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "fw/push.h"
#include "fw/push_int.h"
#include "tests/unit/fw/fixture.h"

#define SAMPLES 500
#define RENEWALS 20
#define FEED_PORT 5300
#define FILL_PORT 9
#define FILL_PORTS 4 /* 25,000 source ports each */
#define MARK_FIRST 10000000u
#define GAP_NS 20000 /* between two packets */

static const char rules[] = "generation 1; version 1; default out drop; group eng s\n"
			    "rule app/feed out accept from eng udp:5300\n"
			    "rule app/fill out accept udp:9-12\n"
			    "base 4 1; base 6 2; live 1; live 2";

struct bench {
	struct fw_push *push;
	const char *peer;
	uint32_t next_mark;
	int sock;
	double cut_us[SAMPLES], call_us[SAMPLES], gap_us[SAMPLES];
};

static atomic_bool feeding;

static double clock_us(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int cmp_double(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static struct sockaddr_in at(const char *addr, uint16_t port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(port) };

	inet_pton(AF_INET, addr, &sa.sin_addr);
	return sa;
}

/* the other machine: whoever sends one packet is fed from then on; others are taken and forgotten
 */
static void *feed(void *arg)
{
	struct sockaddr_in sa = at("10.9.1.2", FEED_PORT), to;
	struct timespec gap = { 0, GAP_NS };
	socklen_t len = sizeof(to);
	int fd = open(arg, O_RDONLY | O_CLOEXEC), s;
	char byte;

	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
		return NULL;
	close(fd);
	for (uint16_t p = FILL_PORT; p < FILL_PORT + FILL_PORTS; p++) {
		struct sockaddr_in fill = at("10.9.1.2", p);

		s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		(void)!bind(s, (struct sockaddr *)&fill, sizeof(fill));
	}
	s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (s < 0 || bind(s, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return NULL;
	prctl(PR_SET_TIMERSLACK, 1);
	atomic_store(&feeding, true);
	if (recvfrom(s, &byte, 1, 0, (struct sockaddr *)&to, &len) < 0)
		return NULL;
	for (;;) {
		(void)!sendto(s, "!", 1, 0, (struct sockaddr *)&to, len);
		clock_nanosleep(CLOCK_MONOTONIC, 0, &gap, NULL);
	}
	return NULL;
}

/* the stamp of one packet that came, microseconds; 0 none */
static double take(int fd, int flags)
{
	char byte, control[CMSG_SPACE(sizeof(struct timespec))];
	struct iovec iov = { &byte, 1 };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control) };
	struct timespec t = { 0, 0 };
	struct cmsghdr *c;

	if (recvmsg(fd, &m, flags) < 0)
		return 0;
	c = CMSG_FIRSTHDR(&m);
	if (c && c->cmsg_type == SCM_TIMESTAMPNS)
		memcpy(&t, CMSG_DATA(c), sizeof(t));
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int change(struct bench *b, bool del, uint32_t mark, char why[256])
{
	struct fw_op ops[3] = {
		{ .del = del, .elem = fw_elem_live(mark, 0, false) },
		{ .del = del, .elem = fw_elem_uid(0, del ? 0 : mark) },
		{ .del = del, .elem = fw_elem_mark(FW_SG, 0, mark) },
	};
	struct fw_delta d = { .generation = 1, .ops = ops, .n_ops = 3 };

	d.from_version = fw_state_version(fw_push_state(b->push));
	d.version = d.from_version + 1;
	return fw_push_delta(b->push, &d, why);
}

/* one session: comes, is fed, ends */
static int sample(struct bench *b, size_t i, char why[256])
{
	struct timespec quiet = { 0, 3000000 };
	double before, last = 0, stamp, first = 0;
	int rc = change(b, false, b->next_mark, why);

	for (int tries = 0; rc == 0 && tries < 100; tries++) {
		(void)!send(b->sock, "?", 1, 0); /* the flow is judged anew, as this session's */
		if (take(b->sock, 0) > 0)
			break;
	}
	for (int n = 0; rc == 0 && n <= 20; n++) {
		last = take(b->sock, 0);
		if (last == 0)
			rc = -ETIMEDOUT;
		first = n == 0 ? last : first;
	}
	if (rc < 0)
		return rc;
	b->gap_us[i] = (last - first) / 20;
	before = clock_us(CLOCK_REALTIME);
	rc = change(b, true, b->next_mark++, why);
	b->call_us[i] = clock_us(CLOCK_REALTIME) - before;
	clock_nanosleep(CLOCK_MONOTONIC, 0, &quiet, NULL);
	for (last = before; (stamp = take(b->sock, MSG_DONTWAIT)) > 0;)
		last = stamp;
	b->cut_us[i] = last > before ? last - before : 0;
	return rc;
}

static int conntrack_fill(size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct sockaddr_in from = at("10.9.1.1", (uint16_t)(20000 + i % 25000));
		struct sockaddr_in to = at("10.9.1.2", (uint16_t)(FILL_PORT + i / 25000));
		int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

		if (s < 0 || bind(s, (struct sockaddr *)&from, sizeof(from)) < 0 ||
			sendto(s, "?", 1, 0, (struct sockaddr *)&to, sizeof(to)) < 0) {
			fprintf(stderr, "bench_cut: conntrack entry %zu: %m\n", i);
			return -errno;
		}
		close(s);
	}
	return 0;
}

static struct fw_state *state_of(size_t sessions, uint32_t lease_s)
{
	struct fw_state *s = fx_state(rules);
	int rc = s ? 0 : -ENOMEM;

	for (uint32_t i = 0; rc == 0 && i < sessions; i++) {
		struct fw_op live = { .elem = fw_elem_live(100 + i, lease_s, false) };
		struct fw_op uid = { .elem = fw_elem_uid(1000 + i, 100 + i) };

		rc = fw_state_apply(s, &live);
		if (rc == 0)
			rc = fw_state_apply(s, &uid);
	}
	if (rc < 0) {
		fw_state_free(s);
		return NULL;
	}
	return s;
}

static int whole(struct bench *b, size_t sessions, uint32_t lease_s, char why[256])
{
	struct fw_state *s = state_of(sessions, lease_s);
	int rc = s ? fw_push_ruleset(b->push, s, why) : -ENOMEM;

	if (rc < 0)
		fw_state_free(s);
	return rc;
}

static int bench_cut(struct bench *b, size_t n, size_t have, char why[256])
{
	int rc = whole(b, n, 0, why);

	if (rc == 0)
		rc = conntrack_fill(n - have);
	for (size_t i = 0; rc == 0 && i < SAMPLES; i++)
		rc = sample(b, i, why);
	if (rc < 0)
		return rc;
	qsort(b->cut_us, SAMPLES, sizeof(double), cmp_double);
	qsort(b->gap_us, SAMPLES, sizeof(double), cmp_double);
	qsort(b->call_us, SAMPLES, sizeof(double), cmp_double);
	printf("{\"bench\":\"cut\",\"sessions\":%zu,\"conntrack\":%zu,\"n\":%d,\"p50_us\":%.1f,"
	       "\"p99_us\":%.1f,\"call_p50_us\":%.1f,\"call_p99_us\":%.1f,"
	       "\"server_gap_us\":%.1f}\n",
		n, n, SAMPLES, b->cut_us[SAMPLES / 2], b->cut_us[SAMPLES * 99 / 100],
		b->call_us[SAMPLES / 2], b->call_us[SAMPLES * 99 / 100], b->gap_us[SAMPLES / 2]);
	return 0;
}

static double cpu_us(void)
{
	struct rusage u;

	getrusage(RUSAGE_THREAD, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

/* @asked: all marks have used up a quarter; else a heartbeat that finds nothing due */
static int renewal(struct bench *b, bool asked, double *ret_all, double *ret_step, char why[256])
{
	double begin = cpu_us(), longest = 0;
	bool more = true;
	int rc = 0;

	if (asked)
		fw_leases_forget(b->push->leases);
	fw_push_renew(b->push);
	while (more && rc == 0) {
		double t = clock_us(CLOCK_THREAD_CPUTIME_ID);

		rc = fw_push_work(b->push, &more, why);
		t = clock_us(CLOCK_THREAD_CPUTIME_ID) - t;
		longest = t > longest ? t : longest;
	}
	*ret_all = cpu_us() - begin;
	*ret_step = longest;
	return rc;
}

static int bench_renew(struct bench *b, size_t n, char why[256])
{
	double all[RENEWALS], step[RENEWALS], idle[RENEWALS], none;
	int rc = whole(b, n, 3600, why);

	for (size_t i = 0; rc == 0 && i < RENEWALS; i++) {
		rc = renewal(b, true, &all[i], &step[i], why);
		if (rc == 0)
			rc = renewal(b, false, &none, &idle[i], why);
	}
	if (rc < 0)
		return rc;
	qsort(all, RENEWALS, sizeof(double), cmp_double);
	qsort(step, RENEWALS, sizeof(double), cmp_double);
	qsort(idle, RENEWALS, sizeof(double), cmp_double);
	printf("{\"bench\":\"renew\",\"marks\":%zu,\"n\":%d,\"cpu_p50_us\":%.0f,"
	       "\"step_p50_us\":%.0f,\"step_max_us\":%.0f,\"nothing_due_us\":%.1f}\n",
		n, RENEWALS, all[RENEWALS / 2], step[RENEWALS / 2], step[RENEWALS - 1],
		idle[RENEWALS / 2]);
	return 0;
}

static int client_socket(void)
{
	struct sockaddr_in sa = at("10.9.1.2", FEED_PORT), own = at("10.9.1.1", FEED_PORT);
	struct timeval patience = { 0, 20000 };
	int one = 1, s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (s < 0 || setsockopt(s, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof(one)) < 0 ||
		setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
		bind(s, (struct sockaddr *)&own, sizeof(own)) < 0 ||
		connect(s, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return -1;
	return s;
}

int main(int argc, char **argv)
{
	static struct bench b = { .next_mark = MARK_FIRST };
	static const size_t sizes[] = { 1, 1000, 100000 };
	char why[256] = "no peer";
	size_t have = 0;
	pthread_t t;
	int rc = -EINVAL;

	if (argc != 2 || geteuid() != 0) {
		fprintf(stderr, "bench_cut PEER: as root; see tests/bench/cut.sh\n");
		return 77;
	}
	b.sock = client_socket();
	if (b.sock >= 0 && pthread_create(&t, NULL, feed, argv[1]) == 0)
		rc = fw_push_new(-1, false, &b.push, why);
	for (int i = 0; rc == 0 && i < 1000 && !atomic_load(&feeding); i++)
		usleep(1000);
	for (size_t i = 0; rc == 0 && i < GI_ARRAY_SIZE(sizes); i++) {
		rc = bench_cut(&b, sizes[i], have, why);
		have = sizes[i];
	}
	for (size_t i = 1; rc == 0 && i < GI_ARRAY_SIZE(sizes); i++)
		rc = bench_renew(&b, sizes[i], why);
	if (rc < 0)
		fprintf(stderr, "bench_cut: %s: %s\n", gi_strerror(rc), why);
	fw_push_free(b.push);
	return rc < 0;
}
