/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_baserules.c - the base ruleset from a configuration: mistakes with their place, golden texts
 *
 * With FW_GOLDEN_WRITE=DIR in the environment the texts are written there instead.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "netagent/baserules.h"
#include "netagent/naconf.h"

#define TEXT_MAX (1u << 20)

static int parse(const char *text, struct na_conf *c, struct gi_buf *out)
{
	struct conf_diags d;
	int rc;

	conf_diags_init(&d, "f", NULL, 0);
	rc = conf_parse(&na_conf_table, text, strlen(text), &d, c);
	conf_diags_render(&d, out);
	conf_diags_fini(&d);
	return rc;
}

static struct fw_state *base(const char *text)
{
	struct na_conf c = { 0 };
	struct fw_state *s = NULL;
	struct gi_buf out;
	const char *why = "";

	gi_buf_init(&out, TEXT_MAX);
	if (parse(text, &c, &out) < 0)
		fail_msg("%s", gi_buf_str(&out));
	gi_buf_fini(&out);
	assert_int_equal(na_base_state(&c, &s), 0);
	conf_free(&na_conf_table, &c);
	if (fw_ruleset_check(fw_state_ruleset(s), &why) < 0)
		fail_msg("%s", why);
	return s;
}

static void test_base_state_matches_golden(void **state)
{
	static const struct {
		const char *name, *conf;
	} cases[] = {
		{ "base-closed", "" },
		{ "base-open", "base open; mux tcp:10.0.0.1:5005;" },
		{ "base-none", "base-allow none; mux unix:/run/x;" },
		{ "base-allow", "mux \"tcp:[fd77::1]:5005\"; base-allow \"in tcp:22 from "
				"10.0.0.0/8\", \"out udp:53 to 10.0.0.53\", tcp:80-90, "
				"\"  out   icmp:8\", icmpv6, \"out any to fd00::/8\", sctp:7;" },
	};
	const char *top = getenv("top_srcdir"), *write_dir = getenv("FW_GOLDEN_WRITE");

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		struct fw_state *s = base(cases[i].conf);
		struct gi_buf text, commit;
		char path[512], *golden;
		size_t len;
		FILE *f;

		gi_buf_init(&text, TEXT_MAX);
		gi_buf_init(&commit, TEXT_MAX);
		assert_int_equal(fw_render(s, &text, &commit), 0);
		gi_buf_printf(&text, "# ---- second transaction ----\n");
		gi_buf_append(&text, commit.data, commit.len);
		assert_null(strstr(gi_buf_str(&text), "established"));
		snprintf(path, sizeof(path), "%s%s/%s.nft",
			write_dir ? write_dir
			: top	  ? top
				  : ".",
			write_dir ? "" : "/tests/golden/fw", cases[i].name);
		f = fopen(path, write_dir ? "w" : "r");
		if (!f)
			fail_msg("cannot open %s", path);
		if (write_dir) {
			fwrite(text.data, 1, text.len, f);
		} else {
			golden = calloc(1, TEXT_MAX);
			assert_non_null(golden);
			len = fread(golden, 1, TEXT_MAX - 1, f);
			assert_string_equal(gi_buf_str(&text), golden);
			assert_int_equal(len, text.len);
			free(golden);
		}
		fclose(f);
		gi_buf_fini(&text);
		gi_buf_fini(&commit);
		fw_state_free(s);
	}
}

static void test_base_conf_mistakes_are_told_where_they_stand(void **state)
{
	static const struct {
		const char *conf, *says;
	} cases[] = {
		{ "base maybe;", "f:1:6: error: base is closed or open" },
		{ "base-allow tcp:22,\n  foo:1;", "f:2:3: error: base-allow: no service" },
		{ "base-allow tcp:;", "f:1:12: error: base-allow: no service" },
		{ "base-allow tcp:0x16;", "f:1:12: error: base-allow: no service" },
		{ "base-allow tcp:65536;", "f:1:12: error: base-allow: no service" },
		{ "base-allow udp:9-8;", "f:1:12: error: base-allow: no service" },
		{ "base-allow udp:9-;", "f:1:12: error: base-allow: no service" },
		{ "base-allow icmp:256;", "f:1:12: error: base-allow: no service" },
		{ "base-allow icmp:1-2;", "f:1:12: error: base-allow: no service" },
		{ "base-allow any:1;", "f:1:12: error: base-allow: no service" },
		{ "base-allow \"in tcp:1 to ::1\";", "f:1:12: error: base-allow: \"in tcp:1 to" },
		{ "base-allow \"out tcp:1 from ::1\";", "f:1:12: error: base-allow: \"out tcp" },
		{ "base-allow \"tcp:1 from\";", "f:1:12: error: base-allow: \"tcp:1 from\"" },
		{ "base-allow \"in\";", "f:1:12: error: base-allow: no service" },
		{ "base-allow \"  \";", "f:1:12: error: base-allow: \"  \" is not" },
		{ "base-allow \"in tcp:1 from ::1 x\";",
			"is not [in|out] SERVICE [from|to PREFIX]" },
		{ "base-allow \"in tcp:1 from 10.0.0.1/8\";",
			"10.0.0.1/8 is no address or prefix" },
		{ "base-allow \"in tcp:1 from host.example\";", "host.example is no address" },
	};

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		struct na_conf c = { 0 };
		struct gi_buf out;

		gi_buf_init(&out, TEXT_MAX);
		assert_int_equal(parse(cases[i].conf, &c, &out), -GI_ESYNTAX);
		if (!strstr(gi_buf_str(&out), cases[i].says))
			fail_msg("%s: %s", cases[i].conf, gi_buf_str(&out));
		gi_buf_fini(&out);
	}
}

static void test_base_allow_too_long_or_too_many_is_refused(void **state)
{
	char text[NA_BASE_ALLOW_MAX * 8 + 100] = "base-allow tcp:1",
					  longer[400] = "base-allow \"out";
	struct na_conf c = { 0 };
	struct gi_buf out;

	(void)state;
	gi_buf_init(&out, TEXT_MAX);
	for (int i = 1; i < NA_BASE_ALLOW_MAX; i++)
		strncat(text, ", tcp:2", 8);
	strncat(text, ";", 2);
	fw_state_free(base(text));
	text[strlen(text) - 1] = '\0';
	strncat(text, ", tcp:3;", 9);
	assert_int_equal(parse(text, &c, &out), -GI_ESYNTAX);
	assert_non_null(strstr(gi_buf_str(&out), "base-allow takes at most 64 items"));
	for (int i = 0; i < 120; i++)
		strncat(longer, " ", 2);
	strncat(longer, "tcp:1\";", 8);
	assert_int_equal(parse(longer, &c, &out), -GI_ESYNTAX);
	gi_buf_fini(&out);
}

static uint32_t mark(const char *conf)
{
	struct fw_state *s = base(conf);
	struct fw_elem key = fw_elem_base(4, 0);
	uint32_t m = 0;

	assert_true(fw_state_get(s, &key.key, &m));
	key = fw_elem_live(m, 0, false);
	assert_true(fw_state_get(s, &key.key, NULL));
	fw_state_free(s);
	return m;
}

/* what an older base let through does not go on under another */
static void test_base_mark_depends_on_what_is_allowed(void **state)
{
	(void)state;
	assert_int_equal(mark(""), mark("base closed; base-allow tcp:22; spool-max 1MiB;"));
	assert_int_not_equal(mark(""), mark("base open;"));
	assert_int_not_equal(mark(""), mark("base-allow tcp:23;"));
	assert_int_not_equal(mark(""), mark("mux tcp:10.0.0.1:1;"));
	assert_int_not_equal(mark("base-allow tcp:2, tcp:1;"), mark("base-allow tcp:2;"));
}

static void test_base_state_bad_mux_is_einval(void **state)
{
	struct na_conf c = { 0 };
	struct fw_state *s = NULL;
	struct gi_buf out;

	(void)state;
	gi_buf_init(&out, TEXT_MAX);
	assert_int_equal(parse("mux tcp:nowhere;", &c, &out), 0);
	assert_int_equal(na_base_state(&c, &s), -EINVAL);
	assert_null(s);
	conf_free(&na_conf_table, &c);
	gi_buf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_base_state_matches_golden),
		cmocka_unit_test(test_base_conf_mistakes_are_told_where_they_stand),
		cmocka_unit_test(test_base_allow_too_long_or_too_many_is_refused),
		cmocka_unit_test(test_base_mark_depends_on_what_is_allowed),
		cmocka_unit_test(test_base_state_bad_mux_is_einval),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
