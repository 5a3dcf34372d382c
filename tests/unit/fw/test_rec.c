/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_rec.c - records: round trips, every wrong order, every truncation, every field
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fw/rec.h"
#include "tests/unit/fw/fixture.h"

#define RECS_MAX 4096

static const char script[] =
	"generation 77; version 3; default in reject; default out accept; revoke reset\n"
	"group a sgni 10.0.0.0/9 2001:db8::/32; group b s; group c n 192.168.0.0/16\n"
	"rule s/r out accept log from a,b to c tcp:1-2 icmp:8 47 any; rule t in reject udp:53; "
	"rule u in drop\n"
	"live 1; base 4 1; base 6 1; uid 1000 2; live 2; sg a 2; sg b 2; ga a 10.1.1.1; ia a "
	"2001:db8::7\n"
	"live 3 30; live 4 40 ends; cgroup 0x1122334455667788 3\n"
	"addr 10.5.5.5 2; addr 2001:db8::9 2; remark 9 2";

struct recs {
	struct fw_rec r[RECS_MAX];
	size_t n, fail_at;
};

static int keep(void *arg, const struct fw_rec *r)
{
	struct recs *all = arg;

	if (all->fail_at && all->n + 1 == all->fail_at)
		return -EPIPE;
	assert_true(all->n < RECS_MAX);
	all->r[all->n++] = *r;
	return 0;
}

static struct recs *recs_of_state(const char *text)
{
	struct recs *all = calloc(1, sizeof(*all));
	struct fw_state *s = fx_state(text);

	assert_true(all && s);
	assert_int_equal(fw_rec_write_state(s, keep, all), 0);
	fw_state_free(s);
	return all;
}

static struct fw_delta *a_delta(void)
{
	struct fw_state *have = fx_state("generation 7; version 3; live 1; uid 5 1; remark 4 1");
	struct fw_state *want =
		fx_state("generation 7; version 4; live 2 9 ends; cgroup 6 2; uid 5 2; "
			 "addr 10.0.0.1 2");
	struct fw_delta *d = NULL;

	assert_int_equal(fw_state_diff(have, want, &d), 0);
	fw_state_free(have);
	fw_state_free(want);
	return d;
}

static struct recs *recs_of_delta(void)
{
	struct recs *all = calloc(1, sizeof(*all));
	struct fw_delta *d = a_delta();

	assert_int_equal(fw_rec_write_delta(d, keep, all), 0);
	fw_delta_free(d);
	return all;
}

/* feeds all but @skip_at (SIZE_MAX none); returns the first error; what came out is freed */
static int feed_all(const struct recs *all, size_t skip_at, size_t *ret_at, int *ret_outs)
{
	struct fw_rec_reader *r = NULL;
	enum fw_rec_out out;
	int rc = 0;

	assert_int_equal(fw_rec_reader_new(&r), 0);
	*ret_outs = 0;
	for (size_t i = 0; i < all->n && rc == 0; i++) {
		struct fw_state *s = NULL;
		struct fw_delta *d = NULL;

		if (i == skip_at)
			continue;
		rc = fw_rec_reader_feed(r, &all->r[i], sizeof(all->r[i]), &out, &s, &d);
		*ret_at = i;
		*ret_outs += rc == 0 && out != FW_REC_MORE;
		fw_state_free(s);
		fw_delta_free(d);
	}
	if (rc < 0) { /* broken for good */
		struct fw_state *s = NULL;
		struct fw_delta *d = NULL;
		struct fw_rec m = { .type = FW_REC_MARKS };

		assert_int_equal(fw_rec_reader_feed(r, &m, sizeof(m), &out, &s, &d), -GI_EPROTO);
	}
	fw_rec_reader_free(r);
	return rc;
}

static void test_fw_rec_state_round_trip(void **state)
{
	struct recs *all = recs_of_state(script);
	struct fw_rec_reader *r = NULL;
	struct fw_state *s = NULL, *orig = fx_state(script);
	struct fw_delta *d = NULL;
	enum fw_rec_out out = FW_REC_MORE;
	struct gi_buf a, b, c, e;

	(void)state;
	assert_int_equal(fw_rec_reader_new(&r), 0);
	for (int twice = 0; twice < 2; twice++) {
		for (size_t i = 0; i < all->n; i++) {
			assert_int_equal(out, FW_REC_MORE);
			assert_int_equal(
				fw_rec_reader_feed(r, &all->r[i], sizeof(all->r[i]), &out, &s, &d),
				0);
		}
		assert_int_equal(out, FW_REC_STATE);
		out = FW_REC_MORE;
		assert_int_equal(fw_state_version(s), 3);
		assert_int_equal(fw_state_ruleset(s)->generation, 77);
		assert_int_equal(fw_state_count(s), fw_state_count(orig));
		gi_buf_init(&a, 1 << 20), gi_buf_init(&b, 1 << 20), gi_buf_init(&c, 1 << 20),
			gi_buf_init(&e, 1 << 20);
		assert_int_equal(fw_render(s, &a, &b), 0);
		assert_int_equal(fw_render(orig, &c, &e), 0);
		assert_string_equal(gi_buf_str(&a), gi_buf_str(&c));
		assert_string_equal(gi_buf_str(&b), gi_buf_str(&e));
		gi_buf_fini(&a), gi_buf_fini(&b), gi_buf_fini(&c), gi_buf_fini(&e);
		fw_state_free(s);
		s = NULL;
	}
	fw_state_free(orig);
	fw_rec_reader_free(r);
	free(all);
}

static void test_fw_rec_delta_round_trip(void **state)
{
	struct recs *all = recs_of_delta();
	struct fw_delta *want = a_delta(), *d = NULL;
	struct fw_rec_reader *r = NULL;
	struct fw_state *s = NULL;
	enum fw_rec_out out = FW_REC_MORE;

	(void)state;
	assert_int_equal(fw_rec_reader_new(&r), 0);
	for (size_t i = 0; i < all->n; i++)
		assert_int_equal(
			fw_rec_reader_feed(r, &all->r[i], sizeof(all->r[i]), &out, &s, &d), 0);
	assert_int_equal(out, FW_REC_DELTA_READY);
	assert_int_equal(d->generation, want->generation);
	assert_int_equal(d->from_version, 3);
	assert_int_equal(d->version, 4);
	assert_int_equal(d->n_ops, want->n_ops);
	for (size_t i = 0; i < d->n_ops; i++) {
		assert_int_equal(d->ops[i].del, want->ops[i].del);
		assert_int_equal(fw_key_cmp(&d->ops[i].elem.key, &want->ops[i].elem.key), 0);
		assert_int_equal(d->ops[i].elem.mark, want->ops[i].elem.mark);
	}
	fw_delta_free(d);
	fw_delta_free(want);
	fw_rec_reader_free(r);
	free(all);
}

static void test_fw_rec_marks_and_renew_ask(void **state)
{
	struct fw_rec m = { .type = FW_REC_MARKS };
	struct fw_rec_reader *r = NULL;
	struct fw_state *s = NULL;
	struct fw_delta *d = NULL;
	enum fw_rec_out out = FW_REC_MORE;

	(void)state;
	assert_int_equal(fw_rec_reader_new(&r), 0);
	assert_int_equal(fw_rec_reader_feed(r, &m, sizeof(m), &out, &s, &d), 0);
	assert_int_equal(out, FW_REC_WANT_MARKS);
	m.type = FW_REC_RENEW;
	assert_int_equal(fw_rec_reader_feed(r, &m, sizeof(m), &out, &s, &d), 0);
	assert_int_equal(out, FW_REC_WANT_RENEW);
	fw_rec_reader_free(r);
	fw_rec_reader_free(NULL);
}

/* one record missing anywhere: refused at the latest at COMMIT; never a result */
static void test_fw_rec_each_record_missing_eproto(void **state)
{
	struct recs *sets[] = { recs_of_state(script), recs_of_delta() };
	size_t at = 0;
	int outs;

	(void)state;
	for (int k = 0; k < 2; k++) {
		assert_int_equal(feed_all(sets[k], SIZE_MAX, &at, &outs), 0);
		assert_int_equal(outs, 1);
		for (size_t i = 0; i + 1 < sets[k]->n; i++) {
			assert_int_equal(feed_all(sets[k], i, &at, &outs), -GI_EPROTO);
			assert_int_equal(outs, 0);
		}
		assert_int_equal(feed_all(sets[k], sets[k]->n - 1, &at, &outs), 0);
		assert_int_equal(outs, 0);
		free(sets[k]);
	}
}

/* every type at every place: only what the place allows, never a crash */
static void test_fw_rec_each_type_in_each_place(void **state)
{
	struct recs *all = recs_of_state(script);
	size_t at = 0;
	int outs, refused = 0;

	(void)state;
	for (size_t i = 0; i < all->n; i++) {
		uint32_t type = all->r[i].type;

		for (uint32_t t = 0; t <= FW_REC_RENEW + 1; t++) {
			all->r[i].type = t;
			if (feed_all(all, SIZE_MAX, &at, &outs) < 0)
				refused++;
			else
				assert_int_equal(t, type);
		}
		all->r[i].type = type;
	}
	assert_int_equal(refused, all->n * (FW_REC_RENEW + 1));
	free(all);
}

static void test_fw_rec_duplicated_record_eproto(void **state)
{
	struct recs *all = recs_of_state(script), *twice = calloc(1, sizeof(*twice));
	size_t at = 0;
	int outs;

	(void)state;
	for (size_t i = 0; i < all->n - 1; i++) {
		memcpy(twice->r, all->r, (i + 1) * sizeof(*all->r));
		memcpy(twice->r + i + 1, all->r + i, (all->n - i) * sizeof(*all->r));
		twice->n = all->n + 1;
		assert_int_equal(feed_all(twice, SIZE_MAX, &at, &outs), -GI_EPROTO);
	}
	free(all);
	free(twice);
}

static void test_fw_rec_each_length_but_one_eproto(void **state)
{
	uint8_t buf[2 * sizeof(struct fw_rec)] = { 0 };
	struct fw_rec m = { .type = FW_REC_MARKS };
	struct fw_state *s = NULL;
	struct fw_delta *d = NULL;
	enum fw_rec_out out;

	(void)state;
	memcpy(buf, &m, sizeof(m));
	for (size_t len = 0; len < sizeof(buf); len++) {
		struct fw_rec_reader *r = NULL;

		assert_int_equal(fw_rec_reader_new(&r), 0);
		assert_int_equal(fw_rec_reader_feed(r, buf, len, &out, &s, &d),
			len == sizeof(m) ? 0 : -GI_EPROTO);
		fw_rec_reader_free(r);
	}
}

/* unused fields are zero; one bit set in any of them is refused */
static void test_fw_rec_unused_fields_eproto(void **state)
{
	struct fw_rec good = { .type = FW_REC_MARKS };
	size_t at = 0;
	int outs;
	struct recs *one = calloc(1, sizeof(*one));

	(void)state;
	one->n = 1;
	for (int how = 0; how < 11; how++) {
		struct fw_rec *m = &one->r[0];

		*m = good;
		switch (how) {
		case 0:
			m->err = 1;
			break;
		case 1:
			m->generation = 1;
			break;
		case 2:
			m->version = 1;
			break;
		case 3:
			m->from_version = 1;
			break;
		case 4:
			m->n[0] = 1;
			break;
		case 5:
			m->n[2] = 1;
			break;
		case 6:
			m->a = 1;
			break;
		case 7:
			m->c = 1;
			break;
		case 8:
			m->pad = 1;
			break;
		case 9:
			m->addr.bytes[15] = 1;
			break;
		case 10:
			m->name[127] = 1;
			break;
		}
		assert_int_equal(feed_all(one, SIZE_MAX, &at, &outs), -GI_EPROTO);
	}
	free(one);
}

/* values out of range in an otherwise good stream */
static void test_fw_rec_bad_values_eproto(void **state)
{
	struct recs *all = recs_of_state(script);
	size_t at = 0, tried = 0;
	int outs;

	(void)state;
	for (size_t i = 0; i < all->n; i++) {
		struct fw_rec keep_rec = all->r[i], *m = &all->r[i];

		for (int how = 0; how < 10; how++) {
			*m = keep_rec;
			switch (how) {
			case 0:
				m->a = 255;
				break;
			case 1:
				m->b = 255;
				break;
			case 2:
				m->n[0] = UINT32_MAX;
				break;
			case 3:
				m->n[1] = UINT32_MAX;
				break;
			case 4:
				m->n[2] = UINT32_MAX;
				break;
			case 5:
				memset(m->name, 'a', sizeof(m->name));
				break;
			case 6:
				strcpy(m->name, "x; include");
				break;
			case 7:
				m->elem.key.set = 99;
				break;
			case 8:
				m->elem.lease_s = UINT32_MAX;
				break;
			case 9:
				memcpy(&m->elem.ends, &(uint8_t){ 2 }, 1);
				break;
			}
			if (how == 0 && m->type == FW_REC_SERVICE)
				continue; /* any protocol number is one */
			assert_int_equal(feed_all(all, SIZE_MAX, &at, &outs), -GI_EPROTO);
			tried++;
		}
		*m = keep_rec;
	}
	assert_true(tried > 100);
	free(all);
}

static void test_fw_rec_delta_wrong_order_and_limits_eproto(void **state)
{
	struct recs *all = recs_of_delta();
	struct fw_rec tmp;
	size_t at = 0;
	int outs;

	(void)state;
	assert_int_equal(all->r[1].a, 1); /* a removal, and the last is an addition */
	assert_int_equal(all->r[all->n - 2].a, 0);
	tmp = all->r[1];
	all->r[1] = all->r[all->n - 2];
	all->r[all->n - 2] = tmp;
	assert_int_equal(feed_all(all, SIZE_MAX, &at, &outs), -GI_EPROTO);
	all->r[0].n[0] = FW_DELTA_MAX + 1;
	assert_int_equal(feed_all(all, SIZE_MAX, &at, &outs), -GI_EPROTO);
	assert_int_equal(at, 0);
	free(all);
}

static void test_fw_rec_write_stops_at_emit_error(void **state)
{
	struct fw_state *s = fx_state(script), *none = NULL;
	struct fw_delta *d = a_delta();
	struct recs *all = calloc(1, sizeof(*all)), *full = recs_of_state(script);

	(void)state;
	for (size_t at = 1; at <= full->n; at++) {
		all->n = 0;
		all->fail_at = at;
		assert_int_equal(fw_rec_write_state(s, keep, all), -EPIPE);
		assert_int_equal(all->n, at - 1);
	}
	all->n = 0;
	all->fail_at = 2;
	assert_int_equal(fw_rec_write_delta(d, keep, all), -EPIPE);
	assert_int_equal(fw_state_new(&none), 0);
	assert_int_equal(fw_rec_write_state(none, keep, all), -EINVAL);
	fw_state_free(none);
	fw_state_free(s);
	fw_delta_free(d);
	free(all);
	free(full);
}

/* with FW_SEEDS_WRITE=DIR: seeds for tests/fuzz/fuzz_fw_rec.c, as this machine lays records out */
static void write_seeds(const char *dir)
{
	struct recs *sets[] = { recs_of_state(script), recs_of_delta(),
		recs_of_state("generation 1"),
		recs_of_state("group g n ::/0; rule r out reject from g udp") };
	char path[512];

	for (size_t i = 0; i < GI_ARRAY_SIZE(sets); i++) {
		FILE *f;

		snprintf(path, sizeof(path), "%s/seed%zu", dir, i);
		f = fopen(path, "w");
		if (f) {
			fwrite(sets[i]->r, sizeof(sets[i]->r[0]), sets[i]->n, f);
			fclose(f);
		}
		free(sets[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fw_rec_state_round_trip),
		cmocka_unit_test(test_fw_rec_delta_round_trip),
		cmocka_unit_test(test_fw_rec_marks_and_renew_ask),
		cmocka_unit_test(test_fw_rec_each_record_missing_eproto),
		cmocka_unit_test(test_fw_rec_each_type_in_each_place),
		cmocka_unit_test(test_fw_rec_duplicated_record_eproto),
		cmocka_unit_test(test_fw_rec_each_length_but_one_eproto),
		cmocka_unit_test(test_fw_rec_unused_fields_eproto),
		cmocka_unit_test(test_fw_rec_bad_values_eproto),
		cmocka_unit_test(test_fw_rec_delta_wrong_order_and_limits_eproto),
		cmocka_unit_test(test_fw_rec_write_stops_at_emit_error),
	};

	if (getenv("FW_SEEDS_WRITE"))
		write_seeds(getenv("FW_SEEDS_WRITE"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
