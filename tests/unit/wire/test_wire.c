/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_wire.c - round trips, truncations, budgets and version choice of lib/wire
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "lib/wire/wire.h"
#include "tests/unit/wire/samples.h"

static struct sample all[SAMPLES];
static struct routed_sample all_routed[ROUTED_SAMPLES];

static void test_envelope_each_body_round_trip(void **state)
{
	(void)state;
	samples_init(all);
	for (size_t i = 0; i < SAMPLES; i++) {
		struct gi_buf one, two;
		Idfw__Envelope *got = NULL;
		const char *why = "";

		gi_buf_init(&one, WIRE_FRAME_MAX);
		gi_buf_init(&two, WIRE_FRAME_MAX);
		assert_int_equal(wire_envelope_encode(&all[i].e, &one), 0);
		if (wire_envelope_decode(one.data, one.len, all[i].who, all[i].state, &got, &why))
			fail_msg("%s: %s", wire_body_name(all[i].body), why);
		assert_int_equal(got->body_case, all[i].body);
		assert_int_equal(wire_envelope_encode(got, &two), 0);
		assert_int_equal(one.len, two.len);
		assert_memory_equal(one.data, two.data, one.len);
		wire_envelope_free(got);
		gi_buf_fini(&one);
		gi_buf_fini(&two);
	}
}

static void test_envelope_fields_survive(void **state)
{
	struct gi_buf b;
	Idfw__Envelope *got = NULL;
	const char *why;

	(void)state;
	samples_init(all);
	gi_buf_init(&b, WIRE_FRAME_MAX);
	assert_int_equal(wire_envelope_encode(&all[5].e, &b), 0);
	assert_int_equal(wire_envelope_decode(b.data, b.len, WIRE_AGENT, WIRE_OPEN, &got, &why), 0);
	assert_int_equal(got->event->seq, 42);
	assert_int_equal(got->event->body_case, IDFW__EVENT__BODY_OPEN);
	assert_string_equal(got->event->open->session->user, "alice");
	assert_int_equal(got->event->open->session->uid, 1000);
	assert_int_equal(got->event->open->session->opened_ms, 1700000000000);
	assert_int_equal(got->event->open->session->peer_addr.len, 4);
	wire_envelope_free(got);
	gi_buf_fini(&b);
}

static void test_envelope_every_truncation_is_refused(void **state)
{
	(void)state;
	samples_init(all);
	for (size_t i = 0; i < SAMPLES; i++) {
		struct gi_buf b;

		gi_buf_init(&b, WIRE_FRAME_MAX);
		assert_int_equal(wire_envelope_encode(&all[i].e, &b), 0);
		for (size_t cut = 0; cut < b.len; cut++) {
			Idfw__Envelope *got = NULL;
			const char *why = NULL;
			uint8_t *copy =
				malloc(cut + 1); /* exact size: a sanitizer sees an overread */

			assert_non_null(copy);
			memcpy(copy, b.data, cut);
			assert_int_equal(wire_envelope_decode(
						 copy, cut, all[i].who, all[i].state, &got, &why),
				-GI_EPROTO);
			assert_null(got);
			assert_non_null(why);
			free(copy);
		}
		gi_buf_fini(&b);
	}
}

static void test_routed_each_body_round_trip_and_truncation(void **state)
{
	(void)state;
	routed_samples_init(all_routed);
	for (size_t i = 0; i < ROUTED_SAMPLES; i++) {
		struct routed_sample *s = &all_routed[i];
		struct gi_buf one, two;
		Idfw__Routed *got = NULL;
		const char *why = "";

		gi_buf_init(&one, WIRE_ROUTED_MAX);
		gi_buf_init(&two, WIRE_ROUTED_MAX);
		assert_int_equal(wire_routed_encode(&s->r, &one), 0);
		if (wire_routed_decode(one.data, one.len, s->from_mux, s->state, &got, &why))
			fail_msg("routed %zu: %s", i, why);
		assert_int_equal(wire_routed_encode(got, &two), 0);
		assert_int_equal(one.len, two.len);
		assert_memory_equal(one.data, two.data, one.len);
		wire_routed_free(got);
		for (size_t cut = 0; cut < one.len; cut++) {
			got = NULL;
			assert_int_not_equal(wire_routed_decode(one.data, cut, s->from_mux,
						     s->state, &got, &why),
				0);
			assert_null(got);
		}
		gi_buf_fini(&one);
		gi_buf_fini(&two);
	}
}

static void test_routed_wrong_side_or_state_is_denied(void **state)
{
	(void)state;
	routed_samples_init(all_routed);
	for (size_t i = 0; i < ROUTED_SAMPLES; i++) {
		struct routed_sample *s = &all_routed[i];
		int body = (int)s->r.body_case;
		bool both = body == IDFW__ROUTED__BODY_PING || body == IDFW__ROUTED__BODY_PONG ||
			    body == IDFW__ROUTED__BODY_ENVELOPE;
		struct gi_buf b;
		Idfw__Routed *got = NULL;
		const char *why;

		gi_buf_init(&b, WIRE_ROUTED_MAX);
		assert_int_equal(wire_routed_encode(&s->r, &b), 0);
		if (!both)
			assert_int_equal(wire_routed_decode(
						 b.data, b.len, !s->from_mux, s->state, &got, &why),
				-GI_EDENIED);
		if (body != IDFW__ROUTED__BODY_REFUSED)
			assert_int_equal(
				wire_routed_decode(b.data, b.len, s->from_mux,
					s->state == WIRE_NEW ? WIRE_OPEN : WIRE_NEW, &got, &why),
				-GI_EDENIED);
		assert_null(got);
		gi_buf_fini(&b);
	}
}

static void routed_built(const Idfw__Routed *m, enum wire_state state, Idfw__Routed **ret)
{
	const char *why = "";
	struct gi_buf b;

	gi_buf_init(&b, WIRE_ROUTED_MAX);
	assert_int_equal(wire_routed_encode(m, &b), 0);
	if (wire_routed_decode(b.data, b.len, false, state, ret, &why))
		fail_msg("body %d: %s", (int)m->body_case, why);
	gi_buf_fini(&b);
}

static void test_routed_builders_say_what_they_were_told(void **state)
{
	Idfw__Routed *got = NULL;
	struct wire_routed m;

	(void)state;
	memset(&m, 0xff, sizeof(m)); /* whatever was on the stack */
	routed_built(wire_routed_hello_ack(&m, 1, "us 1"), WIRE_NEW, &got);
	assert_int_equal(got->body_case, IDFW__ROUTED__BODY_HELLO_ACK);
	assert_int_equal(got->hello_ack->version, 1);
	assert_string_equal(got->hello_ack->software, "us 1");
	wire_routed_free(got);
	routed_built(
		wire_routed_refused(&m, IDFW__REFUSED__REASON__VERSION, "too old"), WIRE_NEW, &got);
	assert_int_equal(got->body_case, IDFW__ROUTED__BODY_REFUSED);
	assert_int_equal(got->refused->reason, IDFW__REFUSED__REASON__VERSION);
	assert_string_equal(got->refused->text, "too old");
	wire_routed_free(got);
	routed_built(wire_routed_ping(&m, 7), WIRE_OPEN, &got);
	assert_int_equal(got->body_case, IDFW__ROUTED__BODY_PING);
	assert_int_equal(got->ping->token, 7);
	wire_routed_free(got);
	routed_built(wire_routed_pong(&m, 8), WIRE_OPEN, &got);
	assert_int_equal(got->body_case, IDFW__ROUTED__BODY_PONG);
	assert_int_equal(got->pong->token, 8);
	wire_routed_free(got);
	routed_built(wire_routed_close(&m, "vm1", "why not"), WIRE_OPEN, &got);
	assert_int_equal(got->body_case, IDFW__ROUTED__BODY_CLOSE);
	assert_string_equal(got->vm, "vm1");
	assert_string_equal(got->close->why, "why not");
	wire_routed_free(got);
	routed_built(wire_routed_envelope(&m, "vm1", "abc", 3), WIRE_OPEN, &got);
	assert_int_equal(got->body_case, IDFW__ROUTED__BODY_ENVELOPE);
	assert_string_equal(got->vm, "vm1");
	assert_int_equal(got->envelope.len, 3);
	assert_memory_equal(got->envelope.data, "abc", 3);
	wire_routed_free(got);
}

static void test_routed_largest_envelope_fits(void **state)
{
	static uint8_t big[WIRE_FRAME_MAX + 1];
	char vm[] = "a234567890123456789012345678901234567890123456x";
	Idfw__Routed r;
	struct gi_buf b;

	(void)state;
	gi_buf_init(&b, WIRE_ROUTED_MAX);
	idfw__routed__init(&r);
	r.vm = vm;
	r.body_case = IDFW__ROUTED__BODY_ENVELOPE;
	r.envelope = (ProtobufCBinaryData){ WIRE_FRAME_MAX, big };
	assert_int_equal(wire_routed_encode(&r, &b), 0);
	assert_true(b.len > WIRE_FRAME_MAX);
	r.envelope.len++;
	assert_int_equal(wire_routed_encode(&r, &b), -GI_ELIMIT);
	gi_buf_fini(&b);
}

/* head and Envelope together are what the encoder makes, at each length of the length */
static void test_routed_wrap_is_the_encoding(void **state)
{
	static uint8_t big[WIRE_FRAME_MAX];
	static const size_t lens[] = { 1, 127, 128, 16383, 16384, WIRE_FRAME_MAX };
	char one[] = "a", longest[] = "a2345678901234567890123456789012345678901234567",
	     bad[] = "..";
	char *names[] = { one, longest };
	uint8_t head[WIRE_ROUTED_HEAD_MAX];
	size_t n = 0;
	Idfw__Routed r;
	struct gi_buf b;

	(void)state;
	gi_buf_init(&b, WIRE_ROUTED_MAX);
	idfw__routed__init(&r);
	r.body_case = IDFW__ROUTED__BODY_ENVELOPE;
	for (size_t i = 0; i < GI_ARRAY_SIZE(lens) * 2; i++) {
		r.vm = names[i & 1];
		r.envelope = (ProtobufCBinaryData){ lens[i / 2], big };
		gi_buf_reset(&b);
		assert_int_equal(wire_routed_encode(&r, &b), 0);
		assert_int_equal(wire_routed_wrap(r.vm, lens[i / 2], head, &n), 0);
		assert_int_equal(n + lens[i / 2], b.len);
		assert_memory_equal(head, b.data, n);
	}
	assert_int_equal(wire_routed_wrap(bad, 1, head, &n), -GI_EPROTO);
	assert_int_equal(wire_routed_wrap(one, 0, head, &n), -GI_ELIMIT);
	assert_int_equal(wire_routed_wrap(one, WIRE_FRAME_MAX + 1, head, &n), -GI_ELIMIT);
	gi_buf_fini(&b);
}

/* what was wrapped comes out, cut or longer it does not; nor what the decoder would refuse */
static void test_routed_unwrap_takes_what_was_wrapped(void **state)
{
	static const size_t lens[] = { 1, 127, 128, 16383, 16384, WIRE_FRAME_MAX };
	static uint8_t f[WIRE_ROUTED_MAX + 1];
	char vm[GI_NAME_MAX + 1];
	const uint8_t *in = NULL;
	size_t n = 0, len = 0;

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(lens); i++) {
		assert_int_equal(wire_routed_wrap("web01", lens[i], f, &n), 0);
		assert_true(wire_routed_unwrap(f, n + lens[i], vm, &in, &len));
		assert_string_equal(vm, "web01");
		assert_ptr_equal(in, f + n);
		assert_int_equal(len, lens[i]);
		for (size_t cut = 0; cut < n + lens[i]; cut += cut < 32 ? 1 : 997)
			assert_false(wire_routed_unwrap(f, cut, vm, &in, &len));
		assert_false(wire_routed_unwrap(f, n + lens[i] + 1, vm, &in, &len));
	}
}

static void test_routed_unwrap_leaves_the_rest_to_the_decoder(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} t[] = {
		{ "\x0a\x01w\x12\x00", 5 },	 /* an empty Envelope */
		{ "\x0a\x01w\x12\x81\x00x", 7 }, /* a length that is longer than it need be */
		{ "\x0a\x01w\x12\x80\x80\x80\x01x", 9 }, /* and one of four bytes */
		{ "\x0a\x02w\0\x12\x01x", 7 },		 /* a NUL in the name */
		{ "\x0a\x01/\x12\x01x", 6 },		 /* no name */
		{ "\x0a\x00\x12\x01x", 5 },		 /* none at all */
		{ "\x12\x01x\x0a\x01w", 6 },		 /* the other way round */
		{ "\x0a\x01w\x1a\x01x", 6 },		 /* another body */
	};
	char vm[GI_NAME_MAX + 1];
	const uint8_t *in;
	size_t len;

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(t); i++)
		assert_false(wire_routed_unwrap(t[i].bytes, t[i].len, vm, &in, &len));
}

static void test_decode_over_frame_max_is_limit(void **state)
{
	static uint8_t big[WIRE_ROUTED_MAX + 1];
	Idfw__Envelope *e = NULL;
	Idfw__Routed *r = NULL;
	const char *why;

	(void)state;
	assert_int_equal(
		wire_envelope_decode(big, WIRE_FRAME_MAX + 1, WIRE_AGENT, WIRE_NEW, &e, &why),
		-GI_ELIMIT);
	assert_int_equal(
		wire_routed_decode(big, sizeof(big), true, WIRE_NEW, &r, &why), -GI_ELIMIT);
}

/* 32,000 empty Groups in one frame would be megabytes of structs */
static void test_decode_amplification_stops_at_the_budget(void **state)
{
	static uint8_t f[WIRE_FRAME_MAX];
	size_t n = 0, body = 65000;
	Idfw__Envelope *e = NULL;
	const char *why = "";

	(void)state;
	f[n++] = 10 << 3 | 2; /* ruleset_part */
	f[n++] = (uint8_t)(0x80 | (body & 0x7f));
	f[n++] = (uint8_t)(0x80 | ((body >> 7) & 0x7f));
	f[n++] = (uint8_t)(body >> 14);
	for (size_t i = 0; i < body / 2; i++) {
		f[n++] = 1 << 3 | 2; /* group */
		f[n++] = 0;
	}
	assert_int_equal(
		wire_envelope_decode(f, n, WIRE_SVM_TO_AGENT, WIRE_OPEN, &e, &why), -GI_ELIMIT);
	assert_string_equal(why, "message needs too much memory");
	assert_null(e);
}

static void test_decode_no_body_is_refused(void **state)
{
	const uint8_t later[] = { 0xfa, 0x07, 0 }; /* field 127, empty */
	Idfw__Envelope *e = NULL;
	const char *why;

	(void)state;
	assert_int_equal(wire_envelope_decode("", 0, WIRE_AGENT, WIRE_OPEN, &e, &why), -GI_EPROTO);
	assert_int_equal(
		wire_envelope_decode(later, sizeof(later), WIRE_AGENT, WIRE_OPEN, &e, &why),
		-GI_EPROTO);
}

/* fields of a later protocol, at two depths, one of them with the number 0 */
static void test_decode_unknown_fields_are_skipped(void **state)
{
	const uint8_t ping[] = { 0x22, 5, 0x08, 7, 0xfa, 0x07, 0, 0x80, 0x00, 2 };
	const uint8_t plain[] = { 0x22, 2, 0x08, 7 };
	Idfw__Envelope *e = NULL;
	const char *why = "";
	struct gi_buf b;

	(void)state;
	gi_buf_init(&b, WIRE_FRAME_MAX);
	if (wire_envelope_decode(ping, sizeof(ping), WIRE_AGENT, WIRE_OPEN, &e, &why))
		fail_msg("%s", why);
	assert_int_equal(e->ping->token, 7);
	assert_int_equal(wire_envelope_encode(e, &b), 0);
	assert_int_equal(b.len, sizeof(plain));
	assert_memory_equal(b.data, plain, sizeof(plain));
	wire_envelope_free(e);
	gi_buf_fini(&b);
}

static void test_decode_agent_hello_needs_a_boot_id(void **state)
{
	Idfw__Envelope *e = NULL;
	const char *why = "";
	struct gi_buf b;

	(void)state;
	samples_init(all);
	all[0].e.hello->boot_id.len = 0;
	gi_buf_init(&b, WIRE_FRAME_MAX);
	assert_int_equal(wire_envelope_encode(&all[0].e, &b), 0);
	assert_int_equal(
		wire_envelope_decode(b.data, b.len, WIRE_AGENT, WIRE_NEW, &e, &why), -GI_EPROTO);
	assert_non_null(strstr(why, "boot_id"));
	assert_int_equal(wire_envelope_decode(b.data, b.len, WIRE_CTL, WIRE_NEW, &e, &why), 0);
	wire_envelope_free(e);
	e = NULL;
	assert_int_equal(wire_envelope_decode(b.data, b.len, WIRE_FILE_AGENT, WIRE_NEW, &e, &why),
		-GI_EPROTO);
	assert_int_equal(
		wire_envelope_decode(b.data, b.len, WIRE_SCAN, WIRE_NEW, &e, &why), -GI_EPROTO);
	assert_null(e);
	gi_buf_fini(&b);
}

static void test_session_round_trip_and_truncation(void **state)
{
	Idfw__Session *got = NULL;
	const Idfw__Session *s;
	struct gi_buf b;

	(void)state;
	samples_init(all);
	s = all[5].e.event->open->session;
	gi_buf_init(&b, WIRE_FRAME_MAX);
	assert_int_equal(wire_session_encode(s, &b), 0);
	assert_int_equal(wire_session_decode(b.data, b.len, &got), 0);
	assert_int_equal(got->id, s->id);
	assert_string_equal(got->user, s->user);
	assert_int_equal(got->leader_start, s->leader_start);
	wire_session_free(got);
	got = NULL;
	/* a file may be cut anywhere, also between two fields: never more than what is there */
	for (size_t cut = 0; cut < b.len; cut++) {
		uint8_t *copy = malloc(cut + 1);

		assert_non_null(copy);
		memcpy(copy, b.data, cut);
		if (wire_session_decode(copy, cut, &got) == 0)
			assert_true(got->id == s->id && got->user[0]);
		wire_session_free(got);
		got = NULL;
		free(copy);
	}
	wire_session_free(NULL);
	gi_buf_fini(&b);
}

static void test_session_over_a_limit_is_refused(void **state)
{
	static uint8_t big[WIRE_FRAME_MAX + 1];
	char dirty[] = "al\nice", user[] = "alice";
	Idfw__Session s = IDFW__SESSION__INIT, *got = NULL;
	struct gi_buf b;

	(void)state;
	gi_buf_init(&b, WIRE_FRAME_MAX);
	s.user = user;
	assert_int_equal(wire_session_encode(&s, &b), -GI_EPROTO); /* no id */
	s.id = 7;
	s.user = dirty;
	assert_int_equal(wire_session_encode(&s, &b), -GI_EPROTO);
	idfw__session__pack(&s, big);
	assert_int_equal(
		wire_session_decode(big, idfw__session__get_packed_size(&s), &got), -GI_EPROTO);
	assert_int_equal(wire_session_decode(big, sizeof(big), &got), -GI_ELIMIT);
	assert_int_equal(wire_session_decode("", 0, &got), -GI_EPROTO);
	assert_null(got);
	gi_buf_fini(&b);
}

static void test_encode_over_frame_max_is_limit(void **state)
{
	static uint8_t big[WIRE_FRAME_MAX];
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	Idfw__CtlData d = IDFW__CTL_DATA__INIT;
	struct gi_buf b;

	(void)state;
	gi_buf_init(&b, WIRE_ROUTED_MAX);
	d.data = (ProtobufCBinaryData){ sizeof(big), big };
	e.body_case = IDFW__ENVELOPE__BODY_CTL_DATA;
	e.ctl_data = &d;
	assert_int_equal(wire_envelope_encode(&e, &b), -GI_ELIMIT);
	d.data.len -= 16;
	assert_int_equal(wire_envelope_encode(&e, &b), 0);
	gi_buf_fini(&b);
}

static void test_version_choose_names_both_ranges(void **state)
{
	static const struct {
		uint32_t min, max;
		int err;
	} cases[] = {
		{ 1, 1, 0 },
		{ 1, 9, 0 },
		{ 2, 3, -GI_EVERSION },
		{ 4000000000u, 4294967295u, -GI_EVERSION },
	};

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		Idfw__Hello h = IDFW__HELLO__INIT;
		char why[WIRE_TEXT_MAX] = "";
		uint32_t version = 0;

		h.version_min = cases[i].min;
		h.version_max = cases[i].max;
		assert_int_equal(wire_version_choose(&h, &version, why), cases[i].err);
		if (!cases[i].err) {
			assert_int_equal(version, 1);
			continue;
		}
		assert_int_equal(version, 0);
		assert_non_null(strstr(why, "1 to 1"));
		assert_non_null(strstr(why, i == 2 ? "2 to 3" : "4000000000 to 4294967295"));
	}
}

static void test_text_sanitize_makes_text_clean(void **state)
{
	char a[] = "line\none\ttwo", b[] = "caf\xc3\xa9", c[] = "caf\xc3";

	(void)state;
	wire_text_sanitize(a, sizeof(a) - 1);
	assert_string_equal(a, "line one two");
	wire_text_sanitize(b, sizeof(b) - 1);
	assert_string_equal(b, "caf\xc3\xa9");
	wire_text_sanitize(c, sizeof(c) - 1);
	assert_string_equal(c, "caf?");
	wire_text_sanitize(a, 4);
	assert_string_equal(a, "line");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_envelope_each_body_round_trip),
		cmocka_unit_test(test_envelope_fields_survive),
		cmocka_unit_test(test_envelope_every_truncation_is_refused),
		cmocka_unit_test(test_routed_each_body_round_trip_and_truncation),
		cmocka_unit_test(test_routed_wrong_side_or_state_is_denied),
		cmocka_unit_test(test_routed_builders_say_what_they_were_told),
		cmocka_unit_test(test_routed_largest_envelope_fits),
		cmocka_unit_test(test_routed_wrap_is_the_encoding),
		cmocka_unit_test(test_routed_unwrap_takes_what_was_wrapped),
		cmocka_unit_test(test_routed_unwrap_leaves_the_rest_to_the_decoder),
		cmocka_unit_test(test_decode_over_frame_max_is_limit),
		cmocka_unit_test(test_decode_amplification_stops_at_the_budget),
		cmocka_unit_test(test_decode_no_body_is_refused),
		cmocka_unit_test(test_decode_unknown_fields_are_skipped),
		cmocka_unit_test(test_decode_agent_hello_needs_a_boot_id),
		cmocka_unit_test(test_session_round_trip_and_truncation),
		cmocka_unit_test(test_session_over_a_limit_is_refused),
		cmocka_unit_test(test_encode_over_frame_max_is_limit),
		cmocka_unit_test(test_version_choose_names_both_ranges),
		cmocka_unit_test(test_text_sanitize_makes_text_clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
