/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * verdicts.c - how fast a scan service on libepsec gets and answers events
 *
 *   verdicts [--mode look|next] [--threads N] [--window W] [--vms N] [--seconds S] [--mux BIN]
 *            [--tcp PORT]
 *
 * Service and guests are threads of this process, with TLS on a unix socket, or on a port of
 * 127.0.0.1; with --mux a real gi-mux stands between them and the guests are agents on its unix
 * sockets. Each event carries 4 KiB inline. @window events of each guest are under way: 1 measures
 * the round trip, many the throughput. Mode look answers in the look() callback, next in @threads
 * threads of eps_next(). One JSON line to stdout. Figures of a shared machine; nothing is asserted.
 */
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "tests/unit/epsec/guest.h"

#define CONTENT 4096
#define THREADS_MAX 16
#define VMS_MAX 16
#define WAIT_MS 20000
#define SAMPLES_MAX 4000000

extern char **environ;

static struct bench {
	bool look;
	unsigned int threads, window, vms, seconds, port;
	const char *mux;
	struct tg_bed bed;
	struct eps *eps;
	pid_t mux_pid;
	struct tg_file file;
	atomic_bool over;
	struct client {
		struct bench *b;
		struct tg *tg;
		char vm[16];
		_Atomic uint64_t sent_ns[TG_EVENTS]; /* set by whoever sends */
		uint32_t *took_ns;		     /* owned; SAMPLES_MAX */
		size_t n;
		atomic_size_t under_way;
	} client[VMS_MAX];
} bench = { .threads = 1, .window = 64, .vms = 1, .seconds = 3 };

static uint64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void die(const char *what)
{
	fprintf(stderr, "verdicts: %s\n", what);
	exit(1);
}

/* ---- service ---- */

static void answer(struct eps_event *ev)
{
	(void)eps_answer(ev, &(struct eps_verdict){ .size = sizeof(struct eps_verdict),
				     .kind = EPS_ALLOW,
				     .until_change = true });
}

static bool look(void *arg, struct eps_event *ev)
{
	(void)arg;
	answer(ev);
	return true;
}

static void *next_thread(void *arg)
{
	struct eps_event *ev;

	while (eps_next(arg, -1, &ev) == 0)
		answer(ev);
	return NULL;
}

static void service_start(struct bench *b)
{
	static const struct eps_ops look_ops = { .size = sizeof(look_ops), .look = look };
	struct eps_conf c;
	char why[256];

	if (b->port)
		(void)snprintf(b->bed.listen, sizeof(b->bed.listen), "tcp:127.0.0.1:%u", b->port);
	tg_bed_conf(&b->bed, &c);
	c.credits = WIRE_CREDITS_MAX;
	if (eps_open(&c, b->look ? &look_ops : NULL, b, why, &b->eps) < 0)
		die(why);
}

/* ---- a real mux between ---- */

static void mux_conf(struct bench *b, const char *path)
{
	FILE *f = fopen(path, "w");

	if (!f)
		die("no configuration for the mux");
	(void)fprintf(f,
		"svm \"unix:%1$s/none\";\nsvm-name \"svm.test\";\nscan \"%2$s\";\n"
		"scan-name \"svm.test\";\nhost-name \"host1\";\nca \"%1$s/ca.pem\";\n"
		"cert \"%1$s/host1.pem\";\nkey \"%1$s/host1.key\";\nuser \"root\";\n",
		b->bed.dir, b->bed.listen);
	for (unsigned int i = 0; i < b->vms; i++)
		(void)fprintf(f,
			"vm web%1$02u {\n\tlisten \"unix:%2$s/%1$u_5005\";\n"
			"\tfile-listen \"unix:%2$s/%1$u_5006\";\n}\n",
			i, b->bed.dir);
	if (fclose(f) != 0)
		die("no configuration for the mux");
}

static void mux_start(struct bench *b)
{
	char path[128];
	char *argv[] = { (char *)(uintptr_t)b->mux, (char *)(uintptr_t) "-c", path, NULL };
	posix_spawn_file_actions_t fa;

	(void)snprintf(path, sizeof(path), "%s/mux.conf", b->bed.dir);
	mux_conf(b, path);
	(void)posix_spawn_file_actions_init(&fa);
	(void)posix_spawn_file_actions_addopen(&fa, 2, "/dev/null", O_WRONLY, 0);
	if (posix_spawn(&b->mux_pid, b->mux, &fa, NULL, argv, environ) != 0)
		die("cannot run the mux");
	(void)posix_spawn_file_actions_destroy(&fa);
}

static void mux_stop(struct bench *b)
{
	char path[128];

	if (!b->mux)
		return;
	(void)kill(b->mux_pid, SIGTERM);
	(void)waitpid(b->mux_pid, NULL, 0);
	(void)snprintf(path, sizeof(path), "%s/mux.conf", b->bed.dir);
	(void)unlink(path);
	for (unsigned int i = 0; i < b->vms; i++)
		for (int port = 5005; port <= 5006; port++) {
			(void)snprintf(path, sizeof(path), "%s/%u_%d", b->bed.dir, i, port);
			(void)unlink(path);
		}
}

/* ---- guests ---- */

static void event_send(struct client *c)
{
	uint64_t sent = now_ns();
	uint64_t id = tg_event(c->tg, c->vm, EPS_OP_OPEN, &c->b->file);

	c->sent_ns[id % TG_EVENTS] = sent;
}

static void on_verdict(void *arg, struct tg *t, uint64_t id)
{
	struct client *c = arg;
	uint64_t sent = c->sent_ns[id % TG_EVENTS];

	(void)t;
	if (sent && c->n < SAMPLES_MAX)
		c->took_ns[c->n++] = (uint32_t)(now_ns() - sent);
	if (atomic_load(&c->b->over))
		(void)atomic_fetch_sub(&c->under_way, 1);
	else
		event_send(c);
}

static void client_start(struct client *c, unsigned int i)
{
	struct bench *b = c->b;
	char cert[160], key[160], endpoint[160];
	struct tg_conf tc = { .endpoint = b->bed.listen,
		.ca = b->bed.ca,
		.cert = cert,
		.key = key,
		.server_name = "svm.test",
		.on_verdict = on_verdict,
		.arg = c };
	struct stat st;

	(void)snprintf(c->vm, sizeof(c->vm), "web%02u", i);
	(void)snprintf(cert, sizeof(cert), "%.60s/host%u.pem", b->bed.dir, i % 2 + 1);
	(void)snprintf(key, sizeof(key), "%.60s/host%u.key", b->bed.dir, i % 2 + 1);
	c->took_ns = malloc(SAMPLES_MAX * sizeof(*c->took_ns));
	if (!c->took_ns)
		die("no memory");
	if (b->mux) {
		(void)snprintf(endpoint, sizeof(endpoint), "unix:%.60s/%u_5006", b->bed.dir, i);
		for (int tries = 0; stat(endpoint + 5, &st) != 0; tries++) {
			if (tries > 500)
				die("the mux does not listen");
			(void)usleep(10000);
		}
		tc.endpoint = endpoint;
		tc.agent = c->vm;
	}
	c->tg = tg_new_conf(&tc);
	if (!b->mux)
		tg_up(c->tg, c->vm);
}

static int compare(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static double cpu_sec(int who)
{
	struct rusage u;

	(void)getrusage(who, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void print(struct bench *b, double sec, double cpu)
{
	uint32_t *all = malloc(SAMPLES_MAX * sizeof(*all));
	size_t n = 0;

	if (!all)
		die("no memory");
	for (unsigned int i = 0; i < b->vms; i++)
		for (size_t k = 0; k < b->client[i].n && n < SAMPLES_MAX; k++)
			all[n++] = b->client[i].took_ns[k];
	if (n == 0)
		die("no verdict");
	qsort(all, n, sizeof(*all), compare);
	printf("{\"bench\":\"verdicts\",\"how\":\"%s%s%s, %u under way\",\"threads\":%u,\"vms\":%u,"
	       "\"window\":%u,\"bytes\":%d,\"seconds\":%.2f,\"n\":%zu,"
	       "\"verdicts_per_s\":%.0f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"cpu_us_each\":%.2f}\n",
		b->look ? "look" : "next", b->port ? ", tcp" : "", b->mux ? ", mux" : "",
		b->window * b->vms, b->look ? 0 : b->threads, b->vms, b->window, CONTENT, sec, n,
		(double)n / sec, all[n / 2] / 1e3, all[n * 99 / 100] / 1e3, cpu * 1e6 / (double)n);
	free(all);
}

static void run(struct bench *b)
{
	static uint8_t content[CONTENT];
	pthread_t t[THREADS_MAX];
	unsigned int n_threads = b->look ? 0 : b->threads;
	double cpu;
	uint64_t begin;

	b->file = (struct tg_file){
		.path = "/usr/bin/program", .data = content, .len = CONTENT, .deadline_ms = 60000
	};
	tg_bed_init(&b->bed);
	service_start(b);
	if (b->mux)
		mux_start(b);
	for (unsigned int i = 0; i < n_threads; i++)
		if (pthread_create(&t[i], NULL, next_thread, b->eps) != 0)
			die("no thread");
	for (unsigned int i = 0; i < b->vms; i++) {
		b->client[i].b = b;
		client_start(&b->client[i], i);
	}
	begin = now_ns();
	cpu = cpu_sec(RUSAGE_SELF);
	for (unsigned int i = 0; i < b->vms; i++) {
		b->client[i].under_way = b->window;
		for (unsigned int k = 0; k < b->window; k++)
			event_send(&b->client[i]);
	}
	(void)sleep(b->seconds);
	atomic_store(&b->over, true);
	for (unsigned int i = 0; i < b->vms; i++)
		for (int ms = 0; atomic_load(&b->client[i].under_way) > 0; ms++) {
			if (ms > WAIT_MS)
				die("there are events without a verdict");
			(void)usleep(1000);
		}
	cpu = cpu_sec(RUSAGE_SELF) - cpu;
	print(b, (double)(now_ns() - begin) / 1e9, cpu);
	eps_stop(b->eps);
	for (unsigned int i = 0; i < n_threads; i++)
		(void)pthread_join(t[i], NULL);
	for (unsigned int i = 0; i < b->vms; i++) {
		tg_free(b->client[i].tg);
		free(b->client[i].took_ns);
	}
	eps_close(b->eps);
	mux_stop(b);
	tg_bed_fini(&b->bed);
}

static unsigned int number(const char *text, unsigned int max)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*end || n == 0 || n > max)
		die("a number is out of range");
	return (unsigned int)n;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "mode", 1, NULL, 'm' },
		{ "threads", 1, NULL, 't' }, { "window", 1, NULL, 'w' }, { "vms", 1, NULL, 'v' },
		{ "seconds", 1, NULL, 's' }, { "mux", 1, NULL, 'x' }, { "tcp", 1, NULL, 'p' },
		{ NULL, 0, NULL, 0 } };
	struct bench *b = &bench;
	int c;

	b->look = true;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'm')
			b->look = strcmp(optarg, "next") != 0;
		else if (c == 't')
			b->threads = number(optarg, THREADS_MAX);
		else if (c == 'w')
			b->window = number(optarg, TG_EVENTS / 2);
		else if (c == 'v')
			b->vms = number(optarg, VMS_MAX);
		else if (c == 's')
			b->seconds = number(optarg, 3600);
		else if (c == 'p')
			b->port = number(optarg, 65535);
		else if (c == 'x')
			b->mux = optarg;
		else
			return 2;
	}
	if (!b->mux && b->vms > 2)
		die("without a mux there are at most 2 guests, one a mux");
	run(b);
	return 0;
}
