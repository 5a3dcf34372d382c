/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_fwwire.c - the model through wire frames and back, and what a reader refuses
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "fw/fwwire.h"
#include "tests/unit/fw/fixture.h"

#define FRAMES_MAX 4096

struct frames {			   /* what a writer emitted */
	uint8_t *data[FRAMES_MAX]; /* owned */
	size_t len[FRAMES_MAX];
	size_t n;
	size_t stop_at; /* emit fails at this frame; 0 never */
};

static int keep(void *arg, const uint8_t *buf, size_t len)
{
	struct frames *f = arg;

	if (f->stop_at && f->n + 1 == f->stop_at)
		return -GI_EFULL;
	assert_true(f->n < FRAMES_MAX);
	assert_true(len > 0 && len <= WIRE_FRAME_MAX);
	f->data[f->n] = malloc(len);
	assert_non_null(f->data[f->n]);
	memcpy(f->data[f->n], buf, len);
	f->len[f->n++] = len;
	return 0;
}

static void frames_free(struct frames *f)
{
	while (f->n > 0)
		free(f->data[--f->n]);
}

static Idfw__Envelope *decode(const struct frames *f, size_t i, enum wire_sender who)
{
	Idfw__Envelope *e = NULL;
	const char *why = "";

	if (wire_envelope_decode(f->data[i], f->len[i], who, WIRE_OPEN, &e, &why) < 0)
		fail_msg("frame %zu: %s", i, why);
	return e;
}

/* all frames but @skip into a new reader; the last error */
static int read_all(const struct frames *f, size_t skip, struct fw_state **ret, const char **why)
{
	struct fw_wire_reader *r = NULL;
	int err = 0;

	assert_int_equal(fw_wire_reader_new(&r), 0);
	for (size_t i = 0; !err && i < f->n; i++) {
		Idfw__Envelope *e;

		if (i == skip)
			continue;
		e = decode(f, i, WIRE_SVM_TO_AGENT);
		err = fw_wire_reader_feed(r, e, ret, why);
		wire_envelope_free(e);
	}
	fw_wire_reader_free(r);
	return err;
}

static int elem_in(void *arg, const struct fw_elem *e)
{
	struct fw_elem other;

	assert_true(fw_state_get_elem(arg, &e->key, &other));
	assert_true(fw_elem_same_value(&other, e));
	return 0;
}

static void assert_same_rules(const struct fw_ruleset *a, const struct fw_ruleset *b)
{
	assert_int_equal(a->n_rules, b->n_rules);
	for (size_t i = 0; i < a->n_rules; i++) {
		const struct fw_rule *x = &a->rules[i], *y = &b->rules[i];

		assert_string_equal(x->name, y->name);
		assert_int_equal(x->dir, y->dir);
		assert_int_equal(x->action, y->action);
		assert_int_equal(x->log, y->log);
		assert_int_equal(x->n_from, y->n_from);
		assert_int_equal(x->n_to, y->n_to);
		assert_int_equal(x->n_services, y->n_services);
		for (size_t k = 0; k < x->n_from; k++)
			assert_int_equal(x->from[k], y->from[k]);
		for (size_t k = 0; k < x->n_to; k++)
			assert_int_equal(x->to[k], y->to[k]);
		for (size_t k = 0; k < x->n_services; k++) {
			assert_int_equal(x->services[k].proto, y->services[k].proto);
			assert_int_equal(x->services[k].port_lo, y->services[k].port_lo);
			assert_int_equal(x->services[k].port_hi, y->services[k].port_hi);
			assert_int_equal(x->services[k].icmp_type, y->services[k].icmp_type);
		}
	}
}

static void assert_same(struct fw_state *x, struct fw_state *y)
{
	const struct fw_ruleset *a = fw_state_ruleset(x), *b = fw_state_ruleset(y);

	assert_int_equal(fw_state_version(x), fw_state_version(y));
	assert_int_equal(a->generation, b->generation);
	assert_int_equal(a->default_in, b->default_in);
	assert_int_equal(a->default_out, b->default_out);
	assert_int_equal(a->revoke, b->revoke);
	assert_int_equal(a->n_groups, b->n_groups);
	for (size_t i = 0; i < a->n_groups; i++) {
		assert_string_equal(a->groups[i].name, b->groups[i].name);
		assert_int_equal(a->groups[i].uses, b->groups[i].uses);
		assert_int_equal(a->groups[i].n_nets, b->groups[i].n_nets);
		for (size_t k = 0; k < a->groups[i].n_nets; k++)
			assert_int_equal(
				gi_prefix_cmp(&a->groups[i].nets[k], &b->groups[i].nets[k]), 0);
	}
	assert_same_rules(a, b);
	assert_int_equal(fw_state_count(x), fw_state_count(y));
	assert_int_equal(fw_state_each(x, false, elem_in, y), 0);
}

static const char product[] =
	"generation 7; version 12; default in reject; default out drop; revoke reset;"
	"group eng si; group db gn 10.77.3.0/24 fd77:3::/64; group mgmt n 10.77.9.0/24;"
	"rule infra/dns out accept udp:53 tcp:53;"
	"rule app/db out accept log from eng to db tcp:5432 icmp:8;"
	"rule app/ssh in accept from mgmt tcp:22;"
	"live 100; live 101; live 102 86400; live 103 30 ends; cgroup 0xfedcba9876543210 102; uid "
	"1000 100; addr 10.77.1.99 101; addr fd77:1::99 101;"
	"remark 99 100; base 4 1; base 6 2; sg eng 100; ga db 10.77.3.10; ga db fd77:3::10;"
	"ia eng 10.77.1.10";

static void test_write_state_reads_back_the_same(void **state)
{
	struct fw_state *s = fx_state(product), *back = NULL;
	struct frames f = { .n = 0 };
	const char *why = "";

	(void)state;
	assert_non_null(s);
	assert_int_equal(fw_wire_write_state(s, keep, &f), 0);
	if (read_all(&f, SIZE_MAX, &back, &why))
		fail_msg("%s", why);
	assert_non_null(back);
	assert_same(s, back);
	fw_state_free(s);
	fw_state_free(back);
	frames_free(&f);
}

static void *some(size_t n, size_t size)
{
	void *p = calloc(n, size);

	assert_non_null(p);
	return p;
}

/* the largest of everything that one message could be asked to hold, and more than one part */
static struct fw_state *huge_state(void)
{
	struct fw_ruleset *rs = some(1, sizeof(*rs));
	struct fw_state *s = NULL;

	rs->n_groups = 300;
	rs->groups = some(rs->n_groups, sizeof(*rs->groups));
	for (size_t i = 0; i < rs->n_groups; i++) {
		struct fw_group *g = &rs->groups[i];

		(void)snprintf(g->name, sizeof(g->name), "g%046zu", i);
		g->uses = FW_USE_SG | FW_USE_NETS;
		g->n_nets = i == 7 ? FW_NETS_MAX : i % 3;
		g->nets = g->n_nets ? some(g->n_nets, sizeof(*g->nets)) : NULL;
		for (size_t k = 0; k < g->n_nets; k++) {
			g->nets[k].addr.family = 6;
			g->nets[k].addr.bytes[0] = 0xfd;
			g->nets[k].addr.bytes[14] = (uint8_t)(k >> 8);
			g->nets[k].addr.bytes[15] = (uint8_t)k;
			g->nets[k].len = 128;
		}
	}
	rs->n_rules = 100;
	rs->rules = some(rs->n_rules, sizeof(*rs->rules));
	for (size_t i = 0; i < rs->n_rules; i++) {
		struct fw_rule *r = &rs->rules[i];

		(void)snprintf(r->name, sizeof(r->name), "section/r%038zu", i);
		r->n_from = r->n_to = FW_PEERS_MAX;
		r->n_services = FW_SERVICES_MAX;
		r->from = some(r->n_from, sizeof(*r->from));
		r->to = some(r->n_to, sizeof(*r->to));
		r->services = some(r->n_services, sizeof(*r->services));
		for (size_t k = 0; k < FW_PEERS_MAX; k++)
			r->from[k] = r->to[k] = (uint16_t)(rs->n_groups - 1 - k);
		for (size_t k = 0; k < FW_SERVICES_MAX; k++)
			r->services[k] = (struct fw_service){ 17, 60000, 65535, 256 };
	}
	assert_int_equal(fw_state_new(&s), 0);
	fw_state_set_ruleset(s, rs);
	for (uint32_t i = 1; i <= 5000; i++) {
		struct fw_op op = { .elem = fw_elem_uid(4000000000u + i, FW_MARK_END - i) };

		assert_int_equal(fw_state_apply(s, &op), 0);
	}
	return s;
}

static void test_write_state_huge_stays_in_frames(void **state)
{
	struct fw_state *s = huge_state(), *back = NULL;
	struct frames f = { .n = 0 };
	const char *why = "";

	(void)state;
	assert_int_equal(fw_wire_write_state(s, keep, &f), 0);
	assert_true(f.n > 10);
	if (read_all(&f, SIZE_MAX, &back, &why))
		fail_msg("%s", why);
	assert_same(s, back);
	fw_state_free(s);
	fw_state_free(back);
	frames_free(&f);
}

static void test_write_state_without_ruleset_is_invalid(void **state)
{
	struct fw_state *s = NULL;
	struct frames f = { .n = 0 };

	(void)state;
	assert_int_equal(fw_state_new(&s), 0);
	assert_int_equal(fw_wire_write_state(s, keep, &f), -EINVAL);
	assert_int_equal(f.n, 0);
	fw_state_free(s);
}

static void test_write_state_stops_at_the_first_emit_error(void **state)
{
	struct fw_state *s = fx_state(product);

	(void)state;
	for (size_t at = 1; at <= 5; at++) {
		struct frames f = { .stop_at = at };

		assert_int_equal(fw_wire_write_state(s, keep, &f), -GI_EFULL);
		assert_int_equal(f.n, at - 1);
		frames_free(&f);
	}
	fw_state_free(s);
}

static void test_reader_a_missing_frame_is_refused(void **state)
{
	struct fw_state *s = fx_state(product);
	struct frames f = { .n = 0 };

	(void)state;
	assert_int_equal(fw_wire_write_state(s, keep, &f), 0);
	for (size_t skip = 0; skip + 1 < f.n; skip++) {
		struct fw_state *back = NULL;
		const char *why = NULL;

		assert_int_equal(read_all(&f, skip, &back, &why), -GI_EPROTO);
		assert_null(back);
		assert_non_null(why);
	}
	fw_state_free(s);
	frames_free(&f);
}

/* one ruleset message bent in memory, fed behind the frames that are right before it */
struct bent {
	const char *name;
	int body, err;
	void (*bend)(Idfw__Envelope *e);
};

#define BEND(name, what)                           \
	static void bend_##name(Idfw__Envelope *e) \
	{                                          \
		what;                              \
	}
BEND(begin_groups, e->ruleset_begin->groups = FW_GROUPS_MAX + 1)
BEND(begin_rules, e->ruleset_begin->rules = FW_RULES_MAX + 1)
BEND(begin_elems, e->ruleset_begin->elements = FW_ELEMS_MAX + 1)
BEND(begin_action, e->ruleset_begin->default_in = 3)
BEND(begin_revoke, e->ruleset_begin->revoke = 2)
BEND(begin_fewer_groups, e->ruleset_begin->groups--)
BEND(begin_fewer_rules, e->ruleset_begin->rules--)
BEND(begin_fewer_elems, e->ruleset_begin->elements--)
BEND(begin_more_elems, e->ruleset_begin->elements++)
BEND(commit_version, e->ruleset_commit->version++)
BEND(commit_generation, e->ruleset_commit->generation++)

static void bend_elem_mark(Idfw__Envelope *e)
{
	if (e->ruleset_part->n_elem)
		e->ruleset_part->elem[0]->mark ^= e->ruleset_part->elem[0]->mark ? UINT32_MAX : 1;
	for (size_t i = 0; i < e->ruleset_part->n_elem; i++)
		e->ruleset_part->elem[i]->group = 999;
}
static void bend_elem_lease(Idfw__Envelope *e)
{
	for (size_t i = 0; i < e->ruleset_part->n_elem; i++)
		if (e->ruleset_part->elem[i]->set != FW_LIVE)
			e->ruleset_part->elem[i]->lease_s = 10;
}
static void bend_elem_twice(Idfw__Envelope *e)
{
	if (e->ruleset_part->n_elem > 1) {
		free(e->ruleset_part->elem[1]->key.data);
		*e->ruleset_part->elem[1] = *e->ruleset_part->elem[0];
		e->ruleset_part->elem[1]->key.data = malloc(16); /* freed with the message */
		memcpy(e->ruleset_part->elem[1]->key.data, e->ruleset_part->elem[0]->key.data,
			e->ruleset_part->elem[0]->key.len);
	}
}
static void bend_rule_peer(Idfw__Envelope *e)
{
	if (e->ruleset_part->n_rule > 1)
		e->ruleset_part->rule[1]->from[0] = 77;
}
static void bend_group_uses(Idfw__Envelope *e)
{
	if (e->ruleset_part->n_group)
		e->ruleset_part->group[0]->uses = 16;
}
static void bend_group_name(Idfw__Envelope *e)
{
	if (e->ruleset_part->n_group)
		e->ruleset_part->group[0]->name[0] = '{';
}
static void bend_group_repeated_with_other_uses(Idfw__Envelope *e)
{
	if (e->ruleset_part->n_group > 1) {
		free(e->ruleset_part->group[1]->name);
		e->ruleset_part->group[1]->name = strdup(e->ruleset_part->group[0]->name);
	}
}

#define BODY(x) IDFW__ENVELOPE__BODY_RULESET_##x

static const struct bent bent_cases[] = {
	{ "too many groups", BODY(BEGIN), -GI_ELIMIT, bend_begin_groups },
	{ "too many rules", BODY(BEGIN), -GI_ELIMIT, bend_begin_rules },
	{ "too many elements", BODY(BEGIN), -GI_ELIMIT, bend_begin_elems },
	{ "no such action", BODY(BEGIN), -GI_EPROTO, bend_begin_action },
	{ "no such way to revoke", BODY(BEGIN), -GI_EPROTO, bend_begin_revoke },
	{ "a lease of what has none", BODY(PART), -GI_EPROTO, bend_elem_lease },
	{ "more groups than announced", BODY(BEGIN), -GI_EPROTO, bend_begin_fewer_groups },
	{ "more rules than announced", BODY(BEGIN), -GI_EPROTO, bend_begin_fewer_rules },
	{ "more elements than announced", BODY(BEGIN), -GI_EPROTO, bend_begin_fewer_elems },
	{ "fewer elements than announced", BODY(BEGIN), -GI_EPROTO, bend_begin_more_elems },
	{ "commit of another version", BODY(COMMIT), -GI_EPROTO, bend_commit_version },
	{ "commit of another generation", BODY(COMMIT), -GI_EPROTO, bend_commit_generation },
	{ "bad element", BODY(PART), -GI_EPROTO, bend_elem_mark },
	{ "element twice", BODY(PART), -GI_EPROTO, bend_elem_twice },
	{ "rule names no group", BODY(PART), -GI_EPROTO, bend_rule_peer },
	{ "unknown uses", BODY(PART), -GI_EPROTO, bend_group_uses },
	{ "bad group name", BODY(PART), -GI_EPROTO, bend_group_name },
	{ "group goes on otherwise", BODY(PART), -GI_EPROTO, bend_group_repeated_with_other_uses },
};

static int read_bent(const struct frames *f, const struct bent *b, struct fw_state **ret)
{
	struct fw_wire_reader *r = NULL;
	const char *why = "";
	int err = 0;

	assert_int_equal(fw_wire_reader_new(&r), 0);
	for (size_t i = 0; !err && i < f->n; i++) {
		Idfw__Envelope *e = decode(f, i, WIRE_SVM_TO_AGENT);

		if ((int)e->body_case == b->body)
			b->bend(e);
		err = fw_wire_reader_feed(r, e, ret, &why);
		wire_envelope_free(e);
	}
	/* after an error nothing but a new beginning is taken */
	if (err) {
		Idfw__Envelope *e = decode(f, 1, WIRE_SVM_TO_AGENT);

		assert_int_equal(fw_wire_reader_feed(r, e, ret, &why), -GI_EPROTO);
		wire_envelope_free(e);
	}
	fw_wire_reader_free(r);
	return err;
}

static void test_reader_bent_messages_are_refused(void **state)
{
	struct fw_state *s = fx_state(product);
	struct frames f = { .n = 0 };

	(void)state;
	assert_int_equal(fw_wire_write_state(s, keep, &f), 0);
	for (size_t i = 0; i < GI_ARRAY_SIZE(bent_cases); i++) {
		struct fw_state *back = NULL;

		if (read_bent(&f, &bent_cases[i], &back) != bent_cases[i].err)
			fail_msg("%s", bent_cases[i].name);
		assert_null(back);
	}
	fw_state_free(s);
	frames_free(&f);
}

static void test_reader_other_message_is_refused(void **state)
{
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	Idfw__Ping p = IDFW__PING__INIT;
	struct fw_wire_reader *r = NULL;
	struct fw_state *back = NULL;
	const char *why = "";

	(void)state;
	e.body_case = IDFW__ENVELOPE__BODY_PING;
	e.ping = &p;
	assert_int_equal(fw_wire_reader_new(&r), 0);
	assert_int_equal(fw_wire_reader_feed(r, &e, &back, &why), -GI_EPROTO);
	fw_wire_reader_free(r);
}

static struct fw_delta *sample_delta(size_t n)
{
	struct fw_delta *d = some(1, sizeof(*d));

	d->generation = 7;
	d->from_version = 12;
	d->version = 13;
	d->ops = some(n + 1, sizeof(*d->ops));
	d->n_ops = n;
	for (size_t i = 0; i < n; i++) {
		d->ops[i].del = i < n / 2;
		d->ops[i].elem = fw_elem_uid(1000 + (uint32_t)i, d->ops[i].del ? 0 : 5);
	}
	return d;
}

static void test_write_delta_reads_back_the_same(void **state)
{
	static const size_t sizes[] = { 0, 1, 6, FW_DELTA_MAX };

	(void)state;
	for (size_t k = 0; k < GI_ARRAY_SIZE(sizes); k++) {
		struct fw_delta *d = sample_delta(sizes[k]), *back = NULL;
		struct frames f = { .n = 0 };
		const char *why = "";
		Idfw__Envelope *e;

		assert_int_equal(fw_wire_write_delta(d, keep, &f), 0);
		assert_int_equal(f.n, 1);
		e = decode(&f, 0, WIRE_SVM_TO_AGENT);
		assert_int_equal(fw_wire_read_delta(e->delta, &back, &why), 0);
		assert_int_equal(back->generation, 7);
		assert_int_equal(back->from_version, 12);
		assert_int_equal(back->version, 13);
		assert_int_equal(back->n_ops, d->n_ops);
		for (size_t i = 0; i < d->n_ops; i++) {
			assert_int_equal(back->ops[i].del, d->ops[i].del);
			assert_int_equal(
				fw_key_cmp(&back->ops[i].elem.key, &d->ops[i].elem.key), 0);
			assert_int_equal(back->ops[i].elem.mark, d->ops[i].elem.mark);
		}
		wire_envelope_free(e);
		fw_delta_free(d);
		fw_delta_free(back);
		frames_free(&f);
	}
}

static void test_write_delta_too_many_operations(void **state)
{
	struct fw_delta *d = sample_delta(FW_DELTA_MAX + 1);
	struct frames f = { .n = 0 };

	(void)state;
	assert_int_equal(fw_wire_write_delta(d, keep, &f), -GI_ELIMIT);
	assert_int_equal(f.n, 0);
	fw_delta_free(d);
}

static void test_read_delta_refuses_what_is_wrong(void **state)
{
	struct fw_delta *d = sample_delta(4), *back = NULL;
	struct frames f = { .n = 0 };
	const char *why = NULL;
	Idfw__Envelope *e;

	(void)state;
	assert_int_equal(fw_wire_write_delta(d, keep, &f), 0);
	e = decode(&f, 0, WIRE_SVM_TO_AGENT);
	e->delta->op[0]->del = false; /* an add before a removal, and without a mark */
	assert_int_equal(fw_wire_read_delta(e->delta, &back, &why), -GI_EPROTO);
	e->delta->op[0]->elem->mark = 5;
	assert_int_equal(fw_wire_read_delta(e->delta, &back, &why), -GI_EPROTO);
	e->delta->op[0]->del = true; /* a removal with a mark */
	assert_int_equal(fw_wire_read_delta(e->delta, &back, &why), -GI_EPROTO);
	e->delta->op[0]->elem->mark = 0;
	e->delta->op[3]->elem->set = FW_LIVE; /* a set has no value */
	assert_int_equal(fw_wire_read_delta(e->delta, &back, &why), -GI_EPROTO);
	e->delta->op[3]->elem->mark = 0;
	assert_int_equal(fw_wire_read_delta(e->delta, &back, &why), 0);
	fw_delta_free(back);
	fw_delta_free(d);
	wire_envelope_free(e);
	frames_free(&f);
}

static void test_marks_round_trip_in_parts(void **state)
{
	static const size_t sizes[] = { 0, 1, 1024, 2500 };

	(void)state;
	for (size_t k = 0; k < GI_ARRAY_SIZE(sizes); k++) {
		size_t n = sizes[k];
		struct fw_elem *elems = some(n + 1, sizeof(*elems));
		struct fw_wire_marks got = { 0 };
		struct frames f = { .n = 0 };
		bool done = false;

		for (size_t i = 0; i < n; i++)
			elems[i] = fw_elem_remark((uint32_t)i + 1, 9);
		assert_int_equal(fw_wire_write_marks(3, 4, elems, n, keep, &f), 0);
		assert_int_equal(f.n, n ? (n + 1023) / 1024 : 1);
		for (size_t i = 0; i < f.n; i++) {
			Idfw__Envelope *e = decode(&f, i, WIRE_AGENT);
			const char *why = "";

			assert_false(done);
			assert_int_equal(fw_wire_marks_feed(&got, e->marks, &done, &why), 0);
			wire_envelope_free(e);
		}
		assert_true(done);
		assert_int_equal(got.generation, 3);
		assert_int_equal(got.version, 4);
		assert_int_equal(got.n, n);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(fw_key_cmp(&got.elems[i].key, &elems[i].key), 0);
		fw_wire_marks_fini(&got);
		frames_free(&f);
		free(elems);
	}
}

static void test_marks_out_of_order_are_refused(void **state)
{
	struct fw_elem elem = fw_elem_uid(1000, 5);
	Idfw__Marks m = IDFW__MARKS__INIT;
	struct fw_wire_marks got = { 0 };
	struct frames f = { .n = 0 };
	const char *why = NULL;
	bool done = false;
	Idfw__Envelope *e;

	(void)state;
	assert_int_equal(fw_wire_marks_feed(&got, &m, &done, &why), -GI_EPROTO); /* no first */
	m.first = true;
	assert_int_equal(fw_wire_marks_feed(&got, &m, &done, &why), 0);
	assert_false(done);
	m.first = false;
	m.version = 1; /* another one in the middle */
	assert_int_equal(fw_wire_marks_feed(&got, &m, &done, &why), -GI_EPROTO);
	m.version = 0;
	assert_int_equal(fw_wire_marks_feed(&got, &m, &done, &why), -GI_EPROTO);
	assert_int_equal(fw_wire_write_marks(0, 0, &elem, 1, keep, &f), 0);
	e = decode(&f, 0, WIRE_AGENT);
	e->marks->elem[0]->mark = 0;
	assert_int_equal(fw_wire_marks_feed(&got, e->marks, &done, &why), -GI_EPROTO);
	e->marks->elem[0]->mark = 5;
	e->marks->elem[0]->set = FW_LIVE;
	assert_int_equal(fw_wire_marks_feed(&got, e->marks, &done, &why), -GI_EPROTO);
	wire_envelope_free(e);
	frames_free(&f);
	fw_wire_marks_fini(&got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_write_state_reads_back_the_same),
		cmocka_unit_test(test_write_state_huge_stays_in_frames),
		cmocka_unit_test(test_write_state_without_ruleset_is_invalid),
		cmocka_unit_test(test_write_state_stops_at_the_first_emit_error),
		cmocka_unit_test(test_reader_a_missing_frame_is_refused),
		cmocka_unit_test(test_reader_bent_messages_are_refused),
		cmocka_unit_test(test_reader_other_message_is_refused),
		cmocka_unit_test(test_write_delta_reads_back_the_same),
		cmocka_unit_test(test_write_delta_too_many_operations),
		cmocka_unit_test(test_read_delta_refuses_what_is_wrong),
		cmocka_unit_test(test_marks_round_trip_in_parts),
		cmocka_unit_test(test_marks_out_of_order_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
