/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_parts.c - the pure parts of the service: hash list, cache, rules, quota, configuration
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/io/sha256.h"
#include "svm-scan/agentmsg.h"
#include "svm-scan/scanconf.h"

#define H1 "1111111111111111111111111111111111111111111111111111111111111111"
#define H2 "2222222222222222222222222222222222222222222222222222222222222222"
#define H3 "AbCdEf0123456789abcdef0123456789abcdef0123456789abcdef0123456789"

/* ---- hash list ---- */

/* what the parser says of it; the list, when it says nothing */
static struct scan_hashlist *parse(const char *text, size_t len, struct gi_buf *out)
{
	struct scan_hashlist *l = NULL;
	struct conf_diags d;
	int err;

	gi_buf_reset(out);
	conf_diags_init(&d, "list", text, len);
	err = scan_hashlist_parse(text, len, &d, &l);
	conf_diags_render(&d, out);
	assert_int_equal(err<0, d.n_errors> 0);
	if (err < 0)
		assert_int_equal(err, -GI_ESYNTAX);
	assert_true((err < 0) == !l);
	conf_diags_fini(&d);
	return l;
}

static enum scan_listed find(const struct scan_hashlist *l, const char *hex, const char **ret_name)
{
	uint8_t sha[32];

	*ret_name = "";
	assert_int_equal(io_sha256_parse(hex, 64, sha), 0);
	return scan_hashlist_find(l, sha, ret_name);
}

static void test_hashlist_finds_what_it_lists(void **state)
{
	static const char text[] = "# ours\n\n  deny " H1 "   Evil tool, v2 \r\n"
				   "allow\t" H3 "\n"
				   "deny " H1 " the same again";
	struct scan_hashlist *l;
	const char *name;
	struct gi_buf out;

	(void)state;
	gi_buf_init(&out, 65536);
	l = parse(text, sizeof(text) - 1, &out);
	assert_non_null(l);
	assert_int_equal(scan_hashlist_count(l), 2);
	assert_int_equal(find(l, H1, &name), SCAN_LISTED_DENY);
	assert_string_equal(name, "Evil tool, v2");
	assert_int_equal(find(l, H3, &name), SCAN_LISTED_ALLOW);
	assert_string_equal(name, "");
	assert_int_equal(find(l, H2, &name), SCAN_NOT_LISTED);
	assert_int_equal(find(NULL, H2, &name), SCAN_NOT_LISTED);
	scan_hashlist_free(l);
	gi_buf_fini(&out);
}

static void test_hashlist_mistakes_have_places(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ "dney " H1 "\n",
			"list:1:1: error: expected allow or deny; did you mean \"deny\"?\n"
			"    dney " H1 "\n    ^~~~\n" },
		{ "allow\n", "list:1:6: error: the SHA-256 is missing" },
		{ "# x\nallow 12ab\n",
			"list:2:7: error: a SHA-256 is 64 hexadecimal digits; these are 4 "
			"bytes\n    allow 12ab\n          ^~~~\n" },
		{ "allow " H1 "0\n", "these are 65 bytes" },
		{ "deny " H1 " a\033[2Jb\n", "list:1:71: error: a name is at most 256 bytes" },
		{ "deny " H1 "\n\nallow " H1 "\n",
			"list:3:1: error: line 1 says deny of the same" },
	};
	struct gi_buf out;

	(void)state;
	gi_buf_init(&out, 65536);
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		assert_null(parse(cases[i].text, strlen(cases[i].text), &out));
		if (!strstr(gi_buf_str(&out), cases[i].says))
			fail_msg("case %zu says: %s", i, gi_buf_str(&out));
	}
	assert_null(parse("deny " H1 " a\0b", 74, &out));
	gi_buf_fini(&out);
}

static void test_hashlist_digest_is_of_what_it_says(void **state)
{
	static const char *const texts[] = { "deny " H1 "\nallow " H2,
		"allow " H2 " x\n#\ndeny " H1, "allow " H1 "\nallow " H2, "" };
	uint8_t sha[4][32], none[32];
	struct gi_buf out;

	(void)state;
	gi_buf_init(&out, 65536);
	for (size_t i = 0; i < 4; i++) {
		struct scan_hashlist *l = parse(texts[i], strlen(texts[i]), &out);

		assert_int_equal(scan_hashlist_digest(l, sha[i]), 0);
		scan_hashlist_free(l);
	}
	assert_int_equal(scan_hashlist_digest(NULL, none), 0);
	assert_memory_equal(sha[0], sha[1], 32);
	assert_memory_not_equal(sha[0], sha[2], 32);
	assert_memory_equal(sha[3], none, 32);
	gi_buf_fini(&out);
}

/* ---- cache ---- */

static struct scan_finding finding(uint8_t n, enum scan_outcome outcome)
{
	struct scan_finding f = { .outcome = outcome, .has_sha256 = true };

	memset(f.sha256, n, sizeof(f.sha256));
	if (outcome == SCAN_FOUND) {
		(void)snprintf(f.engine, sizeof(f.engine), "clamav");
		(void)snprintf(f.signature, sizeof(f.signature), "Sig-%u", n);
	}
	return f;
}

static bool cached(struct scan_cache *c, uint8_t n, struct scan_finding *ret)
{
	struct scan_finding key = finding(n, SCAN_CLEAN);

	return scan_cache_find(c, key.sha256, ret);
}

static void put(struct scan_cache *c, uint8_t n, enum scan_outcome o, const char *epoch)
{
	struct scan_finding f = finding(n, o);

	scan_cache_add(c, &f, (const uint8_t *)epoch, strlen(epoch));
}

static void test_cache_keeps_findings_of_its_epoch(void **state)
{
	struct scan_finding f;
	struct scan_cache *c;
	uint64_t hits, misses;
	size_t n;

	(void)state;
	assert_int_equal(scan_cache_new(100, &c), 0);
	scan_cache_epoch(c, (const uint8_t *)"e1", 2);
	put(c, 1, SCAN_CLEAN, "e1");
	put(c, 2, SCAN_FOUND, "e1");
	put(c, 3, SCAN_FAILED, "e1");
	put(c, 4, SCAN_CLEAN, "e0"); /* made by workers that are gone */
	assert_true(cached(c, 1, &f) && f.outcome == SCAN_CLEAN && f.has_sha256);
	assert_true(cached(c, 2, &f) && f.outcome == SCAN_FOUND);
	assert_string_equal(f.engine, "clamav");
	assert_string_equal(f.signature, "Sig-2");
	assert_false(cached(c, 3, &f));
	assert_false(cached(c, 4, &f));
	scan_cache_stats(c, &hits, &misses, &n);
	assert_int_equal(hits, 2);
	assert_int_equal(misses, 2);
	assert_int_equal(n, 2);
	scan_cache_epoch(c, (const uint8_t *)"e1", 2); /* the same: nothing happens */
	assert_true(cached(c, 1, &f));
	scan_cache_epoch(c, (const uint8_t *)"e2", 2);
	assert_false(cached(c, 1, &f));
	put(c, 1, SCAN_CLEAN, "e1");
	assert_false(cached(c, 1, &f));
	scan_cache_free(c);
}

static void test_cache_forgets_the_least_recently_used(void **state)
{
	struct scan_finding f;
	struct scan_cache *c;

	(void)state;
	assert_int_equal(scan_cache_new(3, &c), 0);
	scan_cache_epoch(c, (const uint8_t *)"e", 1);
	for (uint8_t i = 1; i <= 3; i++)
		put(c, i, SCAN_CLEAN, "e");
	assert_true(cached(c, 1, &f));
	put(c, 4, SCAN_FOUND, "e");
	assert_false(cached(c, 2, &f));
	assert_true(cached(c, 1, &f) && cached(c, 3, &f) && cached(c, 4, &f));
	put(c, 4, SCAN_CLEAN, "e"); /* the younger finding counts */
	assert_true(cached(c, 4, &f) && f.outcome == SCAN_CLEAN);
	scan_cache_free(c);
	assert_int_equal(scan_cache_new(0, &c), 0);
	scan_cache_epoch(c, (const uint8_t *)"e", 1);
	put(c, 1, SCAN_CLEAN, "e");
	assert_false(cached(c, 1, &f));
	scan_cache_free(c);
}

/* ---- rules ---- */

static void test_rules_verdict_is_of_operation_and_outcome(void **state)
{
	const struct scan_rules r = { .on_open = EPS_DENY, .on_write = EPS_DELETE };
	static const enum eps_op ops[] = { EPS_OP_OPEN, EPS_OP_EXEC, EPS_OP_CLOSE_WRITE,
		EPS_OP_RESCAN, EPS_OP_DEMAND };

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(ops); i++) {
		assert_int_equal(scan_rules_verdict(&r, ops[i], SCAN_CLEAN), EPS_ALLOW);
		assert_int_equal(scan_rules_verdict(&r, ops[i], SCAN_FAILED), EPS_FAILED);
		assert_int_equal(
			scan_rules_verdict(&r, ops[i], SCAN_FOUND), i < 2 ? EPS_DENY : EPS_DELETE);
	}
}

static void test_rules_isolate_needs_a_session(void **state)
{
	struct scan_rules r = { .isolate = IDFW__FILE_ISOLATE__FILE_ISOLATE_SESSION };

	(void)state;
	assert_int_equal(scan_rules_isolate(&r, 7), IDFW__FILE_ISOLATE__FILE_ISOLATE_SESSION);
	assert_int_equal(scan_rules_isolate(&r, 0), IDFW__FILE_ISOLATE__FILE_ISOLATE_NONE);
	r.isolate_unknown = IDFW__FILE_ISOLATE__FILE_ISOLATE_VM;
	assert_int_equal(scan_rules_isolate(&r, 0), IDFW__FILE_ISOLATE__FILE_ISOLATE_VM);
	r.isolate = IDFW__FILE_ISOLATE__FILE_ISOLATE_NONE;
	assert_int_equal(scan_rules_isolate(&r, 0), IDFW__FILE_ISOLATE__FILE_ISOLATE_NONE);
	r.isolate = IDFW__FILE_ISOLATE__FILE_ISOLATE_VM;
	assert_int_equal(scan_rules_isolate(&r, 0), IDFW__FILE_ISOLATE__FILE_ISOLATE_VM);
}

static void test_quota_gives_so_many_a_second(void **state)
{
	const struct scan_rules r = { .events_per_s = 10, .bytes_per_s = 1000 };
	struct scan_quota q = { 0 };
	uint64_t now = 5000;
	int taken = 0;

	(void)state;
	for (int i = 0; i < 100; i++)
		taken += scan_quota_take(&q, &r, now, 1, 0);
	assert_int_equal(taken, 10);
	assert_false(scan_quota_take(&q, &r, now + 99, 1, 0));
	assert_true(scan_quota_take(&q, &r, now + 100, 1, 0));
	assert_false(scan_quota_take(&q, &r, now + 100, 1, 0));
	/* a second's worth is the most that is saved */
	taken = 0;
	for (int i = 0; i < 100; i++)
		taken += scan_quota_take(&q, &r, now + 3600000, 1, 0);
	assert_int_equal(taken, 10);
}

static void test_quota_large_file_is_paid_back(void **state)
{
	const struct scan_rules r = { .bytes_per_s = 1000 };
	struct scan_quota q = { 0 };
	uint64_t now = 1;

	(void)state;
	assert_true(scan_quota_take(&q, &r, now, 0, 5000)); /* five seconds' worth */
	assert_false(scan_quota_take(&q, &r, now + 1000, 0, 1));
	assert_false(scan_quota_take(&q, &r, now + 4000, 0, 1));
	assert_true(scan_quota_take(&q, &r, now + 4001, 0, 1));
	assert_false(scan_quota_take(&q, &r, now + 4001, 0, 5000)); /* not from less than full */
	assert_true(scan_quota_take(&q, &r, now + 10000, 0, UINT64_MAX));
	assert_false(scan_quota_take(&q, &r, now + 20000, 0, 1));
}

static void test_quota_none_and_clock_back(void **state)
{
	const struct scan_rules none = { 0 }, r = { .events_per_s = UINT64_MAX };
	struct scan_quota q = { 0 };

	(void)state;
	for (int i = 0; i < 1000; i++)
		assert_true(scan_quota_take(&q, &none, 7, 1, UINT64_MAX));
	q = (struct scan_quota){ 0 };
	assert_true(scan_quota_take(&q, &r, 1000000, 1, 0));
	assert_true(scan_quota_take(&q, &r, 5, 1, 0));
	assert_true(scan_quota_take(&q, &r, UINT64_MAX, 1, 0));
}

/* ---- configuration ---- */

#define CONF                                                                             \
	"listen \"tcp:10.0.0.1:1\"; ca \"/a\"; cert \"/c\"; key \"/k\"; mux-names h1;\n" \
	"hash-list \"/l\";\n"

static int conf_of(const char *extra, struct scan_conf *ret, char why[256])
{
	char text[2048];
	struct conf_diags d;
	int err;

	(void)snprintf(text, sizeof(text), "%s%s", CONF, extra);
	conf_diags_init(&d, "conf", text, strlen(text));
	*ret = (struct scan_conf){ 0 };
	err = conf_parse(&scan_conf_table, text, strlen(text), &d, ret);
	conf_diags_fini(&d);
	assert_int_equal(err, 0);
	why[0] = '\0';
	err = scan_conf_table.check(ret, why);
	return err;
}

static void test_conf_block_overrides_what_it_says(void **state)
{
	struct scan_conf c;
	struct scan_rules r;
	char why[256];

	(void)state;
	assert_int_equal(conf_of("isolate session; on-write deny; credits 9;\n"
				 "vm db01 { on-open delete; credits 3; bytes-per-second 2MiB; }\n"
				 "vm db02 { findings-per-hour 7; reports-per-hour 8; }\n",
				 &c, why),
		0);
	assert_int_equal(scan_conf_rules(&c, "web01", &r, why), 0);
	assert_int_equal(r.on_open, EPS_QUARANTINE);
	assert_int_equal(r.on_write, EPS_DENY);
	assert_int_equal(r.isolate, IDFW__FILE_ISOLATE__FILE_ISOLATE_SESSION);
	assert_int_equal(r.credits, 9);
	assert_int_equal(r.max_file_bytes, 1u << 30);
	assert_int_equal(scan_conf_rules(&c, "db01", &r, why), 0);
	assert_int_equal(r.on_open, EPS_DELETE);
	assert_int_equal(r.on_write, EPS_DENY);
	assert_int_equal(r.credits, 3);
	assert_int_equal(r.bytes_per_s, 2u << 20);
	assert_int_equal(r.findings_per_h, 3600);
	assert_int_equal(r.reports_per_h, 20000);
	assert_int_equal(scan_conf_rules(&c, "db02", &r, why), 0);
	assert_int_equal(r.findings_per_h, 7);
	assert_int_equal(r.reports_per_h, 8);
	conf_free(&scan_conf_table, &c);
}

static void test_conf_words_are_checked(void **state)
{
	static const struct {
		const char *extra, *says;
	} cases[] = {
		{ "on-open shoot;", "on-open \"shoot\": there are deny, quarantine, delete" },
		{ "vm a { isolate host; }", "a: isolate \"host\": there are none, session, vm" },
		{ "isolate-unknown session;", "isolate-unknown \"session\": there are none, vm" },
		{ "audit \"tcp:1.2.3.4:5\";", "audit needs audit-name" },
		{ "sandbox none;", "there are strict, relaxed" },
	};
	struct scan_conf c;
	char why[256];

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		assert_int_equal(conf_of(cases[i].extra, &c, why), -EINVAL);
		if (!strstr(why, cases[i].says))
			fail_msg("case %zu says: %s", i, why);
		conf_free(&scan_conf_table, &c);
	}
}

/* ---- messages of agents ---- */

static void test_agentmsg_is_checked_like_a_frame(void **state)
{
	Idfw__FileReply r = IDFW__FILE_REPLY__INIT;
	Idfw__Envelope *e = NULL;
	uint8_t buf[512];
	size_t len;

	(void)state;
	r.id = 300;
	r.json = (char *)(uintptr_t) "{\"a\":1}";
	len = idfw__file_reply__pack(&r, buf);
	assert_int_equal(scan_agentmsg_decode(IDFW__ENVELOPE__BODY_FILE_REPLY, buf, len, &e), 0);
	assert_int_equal(e->file_reply->id, 300);
	assert_string_equal(e->file_reply->json, "{\"a\":1}");
	wire_envelope_free(e);
	for (size_t n = 1; n < len; n++)
		if (scan_agentmsg_decode(IDFW__ENVELOPE__BODY_FILE_REPLY, buf, n, &e) == 0)
			wire_envelope_free(e); /* a shorter message is one, too */
	r.text = (char *)(uintptr_t) "\033[2J";
	len = idfw__file_reply__pack(&r, buf);
	assert_int_equal(
		scan_agentmsg_decode(IDFW__ENVELOPE__BODY_FILE_REPLY, buf, len, &e), -GI_EPROTO);
	/* not a body that agents may send */
	assert_int_equal(
		scan_agentmsg_decode(IDFW__ENVELOPE__BODY_FILE_VERDICT, buf, 0, &e), -GI_EDENIED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hashlist_finds_what_it_lists),
		cmocka_unit_test(test_hashlist_mistakes_have_places),
		cmocka_unit_test(test_hashlist_digest_is_of_what_it_says),
		cmocka_unit_test(test_cache_keeps_findings_of_its_epoch),
		cmocka_unit_test(test_cache_forgets_the_least_recently_used),
		cmocka_unit_test(test_rules_verdict_is_of_operation_and_outcome),
		cmocka_unit_test(test_rules_isolate_needs_a_session),
		cmocka_unit_test(test_quota_gives_so_many_a_second),
		cmocka_unit_test(test_quota_large_file_is_paid_back),
		cmocka_unit_test(test_quota_none_and_clock_back),
		cmocka_unit_test(test_conf_block_overrides_what_it_says),
		cmocka_unit_test(test_conf_words_are_checked),
		cmocka_unit_test(test_agentmsg_is_checked_like_a_frame),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
