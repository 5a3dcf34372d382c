/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * store_full.c - svm-idfw's database on a full disk, for tests/ns/store-full.sh
 *
 *   store_full DB FILLER
 * DB is on a small file system. Events are put until the store says that it cannot write, and some
 * more; then FILLER is removed, and every event must come to be durable, once, in order.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "svm-idfw/store.h"

#define MORE 200 /* events while the disk is full */

struct full {
	struct io_loop *loop;
	struct idfw_store *store;
	uint64_t put, durable, rows;
	bool went_back, gap;
	int err;
};

static void on_durable(void *arg, const char *vm, const uint8_t boot_id[16], uint64_t seq)
{
	struct full *f = arg;

	(void)vm;
	(void)boot_id;
	f->went_back |= seq <= f->durable;
	f->durable = seq;
}

static void on_state(void *arg, int err, const char *why)
{
	struct full *f = arg;

	f->err = err;
	(void)printf("state %d %s\n", err, why);
}

static int on_row(void *arg, const char *json)
{
	struct full *f = arg;
	char want[64];

	/* newest first: the number counts down without a gap */
	(void)snprintf(want, sizeof(want), "{\"n\":%llu,", (unsigned long long)(f->put - f->rows));
	f->gap |= !strstr(json, want);
	f->rows++;
	return 0;
}

static void put(struct full *f)
{
	static const uint8_t boot[16] = { 7 };
	char detail[600];
	struct idfw_record r = {
		.kind = IDFW_REC_ADDRESSES, .vm = "jump01", .boot_id = boot, .detail = detail
	};

	f->put++;
	(void)snprintf(detail, sizeof(detail), "{\"n\":%llu,\"x\":\"%0*d\"}",
		(unsigned long long)f->put, 500, 0);
	r.seq = r.time_ms = f->put;
	if (idfw_store_put(f->store, &r) < 0) {
		(void)printf("put refused\n");
		exit(1);
	}
}

static bool until(struct full *f, bool (*done)(const struct full *))
{
	uint64_t end = io_clock_mono_ms() + 120000;

	while (!done(f) && io_clock_mono_ms() < end)
		io_loop_run_once(f->loop, 100);
	return done(f);
}
static bool is_full(const struct full *f)
{
	return f->err != 0;
}
static bool is_caught_up(const struct full *f)
{
	return f->durable == f->put;
}

static int check(struct full *f, const char *filler)
{
	struct idfw_store_filter all = { .limit = 1000000 };
	uint64_t before;
	int i;

	while (f->err == 0 && f->put < 100000) {
		put(f);
		/* not far ahead of the disk: what is queued must fit beside the filler's place */
		while (f->err == 0 && f->put - f->durable > 100)
			io_loop_run_once(f->loop, 10);
	}
	if (!until(f, is_full) || f->err != -ENOSPC)
		return 3;
	for (i = 0; i < MORE; i++)
		put(f);
	before = f->durable;
	for (i = 0; i < 20; i++)
		io_loop_run_once(f->loop, 20);
	(void)printf("full: %llu put, %llu durable\n", (unsigned long long)f->put,
		(unsigned long long)f->durable);
	if (f->durable != before || f->put - f->durable < MORE)
		return 4; /* something was acknowledged that cannot be on disk */
	if (unlink(filler) < 0 || !until(f, is_caught_up))
		return 5;
	if (f->err != 0 || f->went_back)
		return 6;
	if (idfw_store_audit(f->store, &all, on_row, f) < 0 || f->rows != f->put || f->gap)
		return 7;
	(void)printf("recovered: %llu rows, each once\n", (unsigned long long)f->rows);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct idfw_store_ops ops = { .durable = on_durable, .state = on_state };
	struct full f = { .put = 0 };
	char why[256] = "";
	int rc;

	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 3 || io_loop_new(&f.loop) < 0)
		return 2;
	if (idfw_store_open(f.loop, argv[1], &ops, &f, why, &f.store) < 0) {
		(void)printf("%s\n", why);
		return 2;
	}
	rc = check(&f, argv[2]);
	idfw_store_close(f.store);
	io_loop_free(f.loop);
	return rc;
}
