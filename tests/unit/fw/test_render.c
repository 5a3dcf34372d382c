/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_render.c - nft text of whole states against golden files, byte for byte
 *
 * With FW_GOLDEN_WRITE=DIR in the environment the texts are written there instead.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fw/fw.h"
#include "fw/render_int.h"
#include "tests/unit/fw/fixture.h"

#define TEXT_MAX (64u << 20)

static const struct {
	const char *name;
	const char *script;
} cases[] = {
	{ "empty", "generation 1" },
	{ "accept-all", "generation 1; default in accept; default out accept; base 4 2; base 6 3; "
			"live 2; live 3" },
	{ "eng-to-db",
		"generation 0x100000007; version 9; default in reject; default out reject\n"
		"group eng s; group db gn 10.0.0.0/8 192.168.1.1 2001:db8::/32; group all n "
		"0.0.0.0/0 ::/0\n"
		"group dup n 10.0.0.0/8 192.168.1.1 2001:db8::/32; group away i; group nobody n\n"
		"rule infra/dns out accept from all to dup udp:53 tcp:53\n"
		"rule app/blocked out drop log to db tcp:1-79 tcp:6000 47\n"
		"rule app/db out accept log from eng to db tcp:5432\n"
		"rule app/ping out accept icmp:8 icmpv6:128\n"
		"rule app/none out accept to nobody tcp:7\n"
		"rule app/chat out accept from eng to away tcp:6000-6100 udp:6000-6100\n"
		"rule app/ssh in accept from eng tcp:22\n"
		"rule app/any in accept from db\n"
		"rule app/rej in reject log udp\n"
		"live 0x11; live 0x12; live 0x20; base 4 0x11; base 6 0x12; uid 1000 0x20; uid "
		"1001 0x21\n"
		"addr 10.1.2.3 0x30; addr 2001:db8::5 0x31; remark 0x10 0x20\n"
		"live 0x21 30; live 0x22 2592000 ends; cgroup 4711 0x21; remark 0x21 0x20\n"
		"sg eng 0x20; ga db 10.0.0.9; ga db 2001:db8::9; ia away 10.7.7.7\n" },
	{ "reset", "generation 3; revoke reset; group a s\n"
		   "rule one out accept from a tcp:1\n"
		   "rule two out drop udp\n"
		   "base 4 1; live 1; live 2 60 ends; sg a 2\n" },
	{ "product", "generation 2\n"
		     "group a sg; group b sg; group c gi; group d gi\n"
		     "rule first out accept from a to c\n"
		     "rule many out reject from a,b to c,d tcp:80 udp\n"
		     "rule all in accept any tcp:1\n"
		     "rule never in drop\n" },
};

static void test_fw_render_cases_match_golden(void **state)
{
	const char *top = getenv("top_srcdir"), *write_dir = getenv("FW_GOLDEN_WRITE");

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		struct fw_state *s = fx_state(cases[i].script);
		struct gi_buf prepare, commit;
		char path[512], *golden;
		const char *why;
		size_t len;
		FILE *f;

		assert_non_null(s);
		assert_int_equal(fw_ruleset_check(fw_state_ruleset(s), &why), 0);
		gi_buf_init(&prepare, TEXT_MAX);
		gi_buf_init(&commit, TEXT_MAX);
		assert_int_equal(fw_render(s, &prepare, &commit), 0);
		gi_buf_printf(&prepare, "# ---- second transaction ----\n");
		gi_buf_append(&prepare, commit.data, commit.len);
		snprintf(path, sizeof(path), "%s%s/%s.nft",
			write_dir ? write_dir
			: top	  ? top
				  : ".",
			write_dir ? "" : "/tests/golden/fw", cases[i].name);
		f = fopen(path, write_dir ? "w" : "r");
		if (!f)
			fail_msg("cannot open %s", path);
		if (write_dir) {
			fwrite(prepare.data, 1, prepare.len, f);
		} else {
			golden = calloc(1, TEXT_MAX);
			assert_non_null(golden);
			len = fread(golden, 1, TEXT_MAX - 1, f);
			assert_string_equal(gi_buf_str(&prepare), golden);
			assert_int_equal(len, prepare.len);
			free(golden);
		}
		fclose(f);
		gi_buf_fini(&prepare);
		gi_buf_fini(&commit);
		fw_state_free(s);
	}
}

/* property (a), on everything we render: no accept because of conntrack's state alone */
static void test_fw_render_never_accepts_on_established(void **state)
{
	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		struct fw_state *s = fx_state(cases[i].script);
		struct gi_buf prepare, commit;

		gi_buf_init(&prepare, TEXT_MAX);
		gi_buf_init(&commit, TEXT_MAX);
		assert_int_equal(fw_render(s, &prepare, &commit), 0);
		assert_null(strstr(gi_buf_str(&commit), "established"));
		gi_buf_fini(&prepare);
		gi_buf_fini(&commit);
		fw_state_free(s);
	}
}

static void test_fw_render_no_ruleset_einval(void **state)
{
	struct fw_state *s = NULL;
	struct gi_buf a, b;

	(void)state;
	gi_buf_init(&a, 100);
	gi_buf_init(&b, 100);
	assert_int_equal(fw_state_new(&s), 0);
	assert_int_equal(fw_render(s, &a, &b), -EINVAL);
	fw_state_free(s);
}

static void test_fw_render_small_buffer_elimit(void **state)
{
	struct fw_state *s = fx_state(cases[2].script);
	struct gi_buf a, b;

	(void)state;
	for (size_t max = 0; max < 4096; max += 256) {
		gi_buf_init(&a, max);
		gi_buf_init(&b, max);
		assert_int_equal(fw_render(s, &a, &b), -GI_ELIMIT);
		gi_buf_fini(&a);
		gi_buf_fini(&b);
	}
	fw_state_free(s);
}

static void test_fw_render_foreign_element_eproto(void **state)
{
	struct fw_state *s = fx_state("group a s; live 1");
	struct fw_op op = { .elem = fw_elem_mark(FW_SG, 7, 1) };
	struct gi_buf a, b;

	(void)state;
	gi_buf_init(&a, TEXT_MAX);
	gi_buf_init(&b, TEXT_MAX);
	assert_int_equal(fw_state_apply(s, &op), 0);
	assert_int_equal(fw_render(s, &a, &b), -GI_EPROTO);
	gi_buf_fini(&a);
	gi_buf_fini(&b);
	fw_state_free(s);
}

/* over sets that stand: what stays is not named, what goes is deleted before anything is added */
static void test_fw_render_over_writes_differences_only(void **state)
{
	struct fw_state *want =
		fx_state("group g sg; live 1; live 2; uid 5 1; uid 6 2; sg g 2; base 4 1");
	struct fw_state *have = fx_state(
		"group g sg; live 1; live 3; uid 5 1; uid 6 3; uid 7 3; ga g 10.0.0.1; base 4 1");
	struct gi_buf a, b;
	const char *text;

	(void)state;
	gi_buf_init(&a, TEXT_MAX);
	gi_buf_init(&b, TEXT_MAX);
	assert_int_equal(fw_render_over(want, have, false, 1, &a, &b), 0);
	text = gi_buf_str(&b);
	assert_non_null(strstr(text, "delete element inet idfw live {\n\t0x3\n}\n"));
	assert_non_null(strstr(text, "delete element inet idfw uid_mark {\n\t6, 7\n}\n"));
	assert_non_null(strstr(text, "delete element inet idfw ga4_g {\n\t10.0.0.1\n}\n"));
	assert_non_null(strstr(text, "add element inet idfw live {\n\t0x2\n}\n"));
	assert_non_null(strstr(text, "add element inet idfw uid_mark {\n\t6 : 0x2\n}\n"));
	assert_non_null(strstr(text, "add element inet idfw sg_g {\n\t0x2\n}\n"));
	assert_null(strstr(text, "flush set inet idfw live"));
	assert_null(strstr(text, "element inet idfw base_mark"));
	assert_true(strstr(text, "delete element inet idfw ga4_g") <
		    strstr(text, "add element inet idfw live"));
	gi_buf_reset(&b);
	assert_int_equal(fw_render_over(want, want, false, 1, &a, &b), 0);
	assert_null(strstr(gi_buf_str(&b), "element inet idfw live"));
	assert_null(strstr(gi_buf_str(&b), "element inet idfw uid_mark"));
	gi_buf_fini(&a);
	gi_buf_fini(&b);
	fw_state_free(want);
	fw_state_free(have);
}

/* ports times rules: what would fill the kernel is refused, not rendered */
static void test_fw_render_explosion_elimit(void **state)
{
	struct fw_ruleset *rs = calloc(1, sizeof(*rs));
	struct fw_state *s = NULL;
	struct gi_buf a, b;

	(void)state;
	rs->n_rules = 2000;
	rs->rules = calloc(rs->n_rules, sizeof(*rs->rules));
	rs->groups = calloc(1, sizeof(*rs->groups));
	rs->n_groups = 1;
	strcpy(rs->groups[0].name, "g");
	rs->groups[0].uses = FW_USE_SG;
	for (size_t i = 0; i < rs->n_rules; i++) {
		struct fw_rule *r = &rs->rules[i];

		snprintf(r->name, sizeof(r->name), "r%zu", i);
		r->from = calloc(1, sizeof(*r->from));
		r->n_from = 1;
		r->n_services = i % 2;
		r->services = calloc(1, sizeof(*r->services));
		r->services[0] = (struct fw_service){ 6, (uint16_t)i, (uint16_t)i, 256 };
	}
	assert_int_equal(fw_state_new(&s), 0);
	fw_state_set_ruleset(s, rs);
	gi_buf_init(&a, 256u << 20);
	gi_buf_init(&b, 256u << 20);
	assert_int_equal(fw_render(s, &a, &b), -GI_ELIMIT);
	gi_buf_fini(&a);
	gi_buf_fini(&b);
	fw_state_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fw_render_cases_match_golden),
		cmocka_unit_test(test_fw_render_never_accepts_on_established),
		cmocka_unit_test(test_fw_render_no_ruleset_einval),
		cmocka_unit_test(test_fw_render_small_buffer_elimit),
		cmocka_unit_test(test_fw_render_foreign_element_eproto),
		cmocka_unit_test(test_fw_render_over_writes_differences_only),
		cmocka_unit_test(test_fw_render_explosion_elimit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
