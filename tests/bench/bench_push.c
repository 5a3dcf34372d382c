/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bench_push.c - what a delta costs, in the kernel and through us, as sets fill up
 *
 * Runs in a network namespace of its own (root). For 0, 10,000 and 100,000 elements: whole push;
 * one element, a login (live, uid, member) and the largest delta by the hot path; one element by
 * libnftables for comparison. One JSON object a line, microseconds. `ratio` is the median against
 * the floor that was measured for a bare netlink batch: 1.4 us a commit. At the end a ruleset of
 * 1,000 rules over 200 groups with 0 and 100,000 elements, in turns as a block and as the single
 * commands that a table with an owner needs (fw/flat.c), and what turning one into the other takes.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fw/push.h"
#include "fw/push_int.h"
#include "fw/render_int.h"
#include "tests/unit/fw/fixture.h"

#define FLOOR_US 1.4
#define SAMPLES_MAX 20000

struct bench {
	struct fw_push *push;
	size_t n_elems;
	double us[SAMPLES_MAX];
	struct fw_op ops[FW_DELTA_MAX];
};

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int cmp_double(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void report(struct bench *b, const char *what, const char *backend, size_t ops, size_t n)
{
	qsort(b->us, n, sizeof(b->us[0]), cmp_double);
	printf("{\"bench\":\"push\",\"how\":\"%s by %s\",\"elements\":%zu,\"ops\":%zu,"
	       "\"n\":%zu,\"p50_us\":%.2f,\"p99_us\":%.2f,\"ratio\":%.2f}\n",
		what, backend, b->n_elems, ops, n, b->us[n / 2], b->us[n * 99 / 100],
		b->us[n / 2] / FLOOR_US);
}

static int fill(struct fw_state *s, size_t n)
{
	int rc = 0;

	for (uint32_t i = 0; i < n / 2 && rc == 0; i++) {
		struct fw_op live = { .elem = fw_elem_mark(FW_LIVE, 0, 1000000 + i) };
		struct fw_op uid = { .elem = fw_elem_uid(1000000 + i, 1000000 + i) };

		rc = fw_state_apply(s, &live);
		if (rc == 0)
			rc = fw_state_apply(s, &uid);
	}
	return rc;
}

static int push_whole(struct bench *b)
{
	struct fw_state *s = NULL;
	char why[256] = "script";
	int rc = 0;

	for (size_t i = 0; i < 3 && rc == 0; i++) {
		double t;

		s = fx_state("generation 1; version 1; group eng s; rule app/db out accept from "
			     "eng tcp:5432\n"
			     "base 4 1; base 6 2; live 1; live 2");
		rc = s ? fill(s, b->n_elems) : -EINVAL;
		t = now_us();
		if (rc == 0)
			rc = fw_push_ruleset(b->push, s, why);
		b->us[i] = now_us() - t;
	}
	if (rc < 0) {
		fprintf(stderr, "bench_push: %s\n", why);
		fw_state_free(s);
		return rc;
	}
	report(b, "ruleset", "nftables", b->n_elems, 3);
	return 0;
}

/* @n_ops operations, alternately added and removed again, @samples times */
static int push_deltas(struct bench *b, const char *what, size_t n_ops, size_t samples)
{
	struct fw_delta d = { .generation = 1, .ops = b->ops, .n_ops = n_ops };
	char why[256];
	double t;
	int rc;

	for (size_t i = 0; i < samples; i++) {
		for (size_t k = 0; k < n_ops; k++)
			b->ops[k].del = i % 2;
		d.from_version = fw_state_version(fw_push_state(b->push));
		d.version = d.from_version + 1;
		t = now_us();
		rc = fw_push_delta(b->push, &d, why);
		b->us[i] = now_us() - t;
		if (rc < 0) {
			fprintf(stderr, "bench_push: %s\n", why);
			return rc;
		}
	}
	report(b, what, "mnl", n_ops, samples);
	return 0;
}

/* the batch alone: no checks, no memory of ours, no version */
static int push_bare(struct bench *b, size_t samples)
{
	struct fw_raw e = { .key_len = 4, .key = { 1, 2, 3 } };
	struct fw_mnl *m = NULL;
	char why[256];
	int rc = fw_mnl_new(-1, &m, why);

	for (size_t i = 0; i < samples && rc == 0; i++) {
		double t = now_us();

		fw_mnl_begin(m);
		fw_mnl_change(m, "live", i % 2, &e, false);
		rc = fw_mnl_commit(m);
		b->us[i] = now_us() - t;
	}
	if (rc == 0)
		report(b, "batch", "mnl", 1, samples);
	fw_mnl_free(m);
	return rc;
}

static int push_nft(struct bench *b, size_t samples)
{
	struct fw_mnl *m = NULL;
	char text[128], why[256];
	int rc = fw_mnl_new(-1, &m, why);

	for (size_t i = 0; i < samples && rc == 0; i++) {
		double t;

		snprintf(text, sizeof(text), "%s element inet idfw live { 0x77777 }",
			i % 2 ? "delete" : "add");
		t = now_us();
		rc = fw_nft_run(fw_mnl_fd(m), text, why);
		b->us[i] = now_us() - t;
	}
	if (rc == 0)
		report(b, "batch", "nftables", 1, samples);
	fw_mnl_free(m);
	return rc;
}

static int bench_at(struct bench *b, size_t n_elems)
{
	int rc;

	b->n_elems = n_elems;
	rc = push_whole(b);
	if (rc == 0)
		rc = push_bare(b, SAMPLES_MAX);
	b->ops[0].elem = fw_elem_mark(FW_LIVE, 0, 77);
	if (rc == 0)
		rc = push_deltas(b, "delta", 1, SAMPLES_MAX);
	b->ops[1].elem = fw_elem_uid(77, 77);
	b->ops[2].elem = fw_elem_mark(FW_SG, 0, 77);
	if (rc == 0)
		rc = push_deltas(b, "login", 3, SAMPLES_MAX);
	for (uint32_t i = 0; i < FW_DELTA_MAX; i++)
		b->ops[i].elem = fw_elem_mark(FW_LIVE, 0, 50000 + i);
	if (rc == 0)
		rc = push_deltas(b, "largest", FW_DELTA_MAX, 200);
	memset(b->ops, 0, sizeof(b->ops));
	if (rc == 0)
		rc = push_nft(b, 300);
	return rc;
}

/* 1,000 rules over 200 groups */
static struct fw_state *large_state(size_t n_elems)
{
	struct fw_state *s = NULL;
	struct gi_buf script;

	gi_buf_init(&script, 1u << 20);
	gi_buf_printf(&script, "generation 1; version 1\n");
	for (int g = 0; g < 200; g++)
		gi_buf_printf(&script, "group g%d s\n", g);
	for (int r = 0; r < 1000; r++)
		gi_buf_printf(&script, "rule app/r%d %s accept from g%d,g%d tcp:%d udp:%d\n", r,
			r % 2 ? "in" : "out", r % 200, (r + 7) % 200, 1000 + r % 300, 1000 + r);
	gi_buf_printf(&script, "base 4 1; base 6 2; live 1; live 2");
	if (gi_buf_error(&script) == 0)
		s = fx_state(gi_buf_str(&script));
	gi_buf_fini(&script);
	if (s && fill(s, n_elems) < 0) {
		fw_state_free(s);
		s = NULL;
	}
	return s;
}

/* into a table of its own; @flat_us: NULL as a block */
static int push_text(
	struct fw_mnl *m, const struct fw_state *s, double *flat_us, double *nft_us, size_t *bytes)
{
	struct gi_buf prepare, commit, flat;
	char why[256] = "render";
	double t;
	int rc;

	gi_buf_init(&prepare, 1u << 30);
	gi_buf_init(&commit, 1u << 30);
	gi_buf_init(&flat, 1u << 30);
	rc = fw_render(s, &prepare, &commit);
	if (rc == 0)
		rc = fw_nft_run(fw_mnl_fd(m), gi_buf_str(&prepare), why);
	*bytes = commit.len;
	t = now_us();
	if (rc == 0 && flat_us)
		rc = fw_flat(gi_buf_str(&commit), &flat);
	if (flat_us)
		*flat_us = now_us() - t;
	t = now_us();
	if (rc == 0)
		rc = fw_nft_run(fw_mnl_fd(m), gi_buf_str(flat_us ? &flat : &commit), why);
	*nft_us = now_us() - t;
	if (rc == 0)
		rc = fw_nft_run(fw_mnl_fd(m), "delete table inet idfw", why);
	if (rc < 0)
		fprintf(stderr, "bench_push: %s\n", why);
	gi_buf_fini(&prepare);
	gi_buf_fini(&commit);
	gi_buf_fini(&flat);
	return rc;
}

static int bench_flat(struct bench *b, size_t n_elems)
{
	struct fw_state *s = large_state(n_elems);
	double flat[5], as_flat[5], as_block[5];
	struct fw_mnl *m = NULL;
	size_t bytes = 0;
	char why[256];
	int rc = s ? fw_mnl_new(-1, &m, why) : -ENOMEM;

	b->n_elems = n_elems;
	for (size_t i = 0; i < GI_ARRAY_SIZE(flat) && rc == 0; i++) {
		rc = push_text(m, s, NULL, &as_block[i], &bytes);
		if (rc == 0)
			rc = push_text(m, s, &flat[i], &as_flat[i], &bytes);
	}
	for (int what = 0; what < 3 && rc == 0; what++) {
		static const char *const names[] = { "1,000 rules as a block",
			"1,000 rules as commands", "block to commands" };

		memcpy(b->us, what == 0 ? as_block : what == 1 ? as_flat : flat, sizeof(flat));
		report(b, names[what], what == 2 ? "us" : "nftables", bytes, GI_ARRAY_SIZE(flat));
	}
	fw_mnl_free(m);
	fw_state_free(s);
	return rc;
}

int main(void)
{
	static struct bench b;
	static const size_t sizes[] = { 0, 10000, 100000 };
	char why[256];
	int rc = -EPERM;

	if (unshare(CLONE_NEWNET) < 0) {
		fprintf(stderr, "bench_push: needs root for a network namespace\n");
		return 77;
	}
	rc = fw_push_new(-1, false, &b.push, why);
	for (size_t i = 0; i < GI_ARRAY_SIZE(sizes) && rc == 0; i++)
		rc = bench_at(&b, sizes[i]);
	fw_push_free(b.push);
	for (size_t i = 0; i < GI_ARRAY_SIZE(sizes) && rc == 0; i += 2)
		rc = bench_flat(&b, sizes[i]);
	return rc < 0;
}
