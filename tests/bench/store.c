/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * store.c - how fast svm-idfw's database takes records: one at a time, fifty, all it can get
 *
 *   store DIRECTORY [RECORDS]
 * Prints a JSON line each: {"bench":"store","how":...,"n":...,"records_per_s":...,"p50_us":...}:
 * the time from the first record of a round to the word that its last one is durable. A record is a
 * login: a session row, an audit row with three indexes each, the VM's number.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/text.h"
#include "svm-idfw/store.h"

struct bench {
	struct io_loop *loop;
	struct idfw_store *store;
	uint64_t durable, id;
	double *ms;
	size_t n_ms;
};

static double now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void on_durable(void *arg, const char *vm, const uint8_t boot_id[16], uint64_t seq)
{
	(void)vm;
	(void)boot_id;
	((struct bench *)arg)->durable = seq;
}

static void on_state(void *arg, int err, const char *why)
{
	(void)arg;
	if (err < 0)
		(void)fprintf(stderr, "store: %s\n", why);
}

static void put(struct bench *b)
{
	static const uint8_t boot[16] = { 1 };
	struct idfw_session s = { .id = ++b->id,
		.db_id = b->id,
		.user = "u000123",
		.service = "sshd",
		.tty = "pts/17",
		.rhost = "10.77.7.10",
		.auth = "publickey",
		.uid = 2001,
		.leader_pid = 4711,
		.opened_ms = b->id,
		.seen_ms = b->id };
	struct idfw_record r = { .kind = IDFW_REC_LOGIN,
		.time_ms = b->id,
		.vm = "jump01",
		.boot_id = boot,
		.session = &s,
		.seq = b->id,
		.detail = "{\"groups\":[\"eng\",\"all\"]}" };

	while (idfw_store_put(b->store, &r) < 0)
		io_loop_run_once(b->loop, 10);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* @batch: records put before waiting for them to be durable */
static void run(struct bench *b, const char *how, size_t records, size_t batch)
{
	struct idfw_store_stats s0, s1;
	double start, t;
	size_t i, k;

	b->n_ms = 0;
	idfw_store_stats(b->store, &s0);
	start = now_ms();
	for (i = 0; i < records; i += batch) {
		t = now_ms();
		for (k = 0; k < batch; k++)
			put(b);
		while (b->durable < b->id)
			io_loop_run_once(b->loop, 1000);
		b->ms[b->n_ms++] = now_ms() - t;
	}
	t = now_ms() - start;
	idfw_store_stats(b->store, &s1);
	qsort(b->ms, b->n_ms, sizeof(*b->ms), by_value);
	(void)printf("{\"bench\":\"store\",\"how\":\"%s\",\"n\":%zu,\"commits\":%llu,"
		     "\"records_per_s\":%.0f,\"p50_us\":%.1f,\"p99_us\":%.1f}\n",
		how, i, (unsigned long long)(s1.commits - s0.commits), (double)i / t * 1e3,
		b->ms[b->n_ms / 2] * 1e3, b->ms[b->n_ms * 99 / 100] * 1e3);
}

int main(int argc, char **argv)
{
	static const struct idfw_store_ops ops = { .durable = on_durable, .state = on_state };
	struct bench b = { .durable = 0 };
	char path[512], why[256] = "";
	uint64_t records = 20000;

	if (argc < 2 || (argc > 2 && gi_text_u64(argv[2], 1000, 100000000, &records) < 0)) {
		(void)fprintf(stderr, "usage: store DIRECTORY [RECORDS]\n");
		return 2;
	}
	(void)snprintf(path, sizeof(path), "%s/bench-store.db", argv[1]);
	b.ms = calloc(records, sizeof(*b.ms));
	if (!b.ms || io_loop_new(&b.loop) < 0 ||
		idfw_store_open(b.loop, path, &ops, &b, why, &b.store) < 0) {
		(void)fprintf(stderr, "store: %s\n", why);
		free(b.ms);
		return 1;
	}
	run(&b, "single", records / 20, 1);
	run(&b, "fifty", records, 50);
	run(&b, "all", records * 5, records);
	idfw_store_close(b.store);
	io_loop_free(b.loop);
	free(b.ms);
	return 0;
}
