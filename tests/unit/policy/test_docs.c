/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_docs.c - what the manual shows is what the program does
 *
 * The examples in docs/policy.md, etc/ and lab/ are policies without errors, the tables of
 * predefined services say what service.c says, and the manual page names the same ones.
 */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lib/conf/conf.h"
#include "tests/unit/policy/fixture.h"

static char *read_file(const char *name)
{
	const char *top = getenv("top_srcdir");
	char path[512], *text;
	size_t len;

	snprintf(path, sizeof(path), "%s/%s", top ? top : ".", name);
	if (conf_read_file(path, 1 << 20, &text, &len) != 0)
		fail_msg("cannot read %s", path);
	return text;
}

static void item_text(const struct fw_service *s, struct gi_buf *out)
{
	const char *proto = s->proto == IPPROTO_TCP    ? "tcp"
			    : s->proto == IPPROTO_UDP  ? "udp"
			    : s->proto == IPPROTO_ICMP ? "icmp"
						       : "icmpv6";

	if (s->proto == IPPROTO_ICMP || s->proto == IPPROTO_ICMPV6)
		gi_buf_printf(out, "%s %s", proto,
			s->icmp_type > 255 ? "any" : pol_icmp_name(s->proto, s->icmp_type));
	else if (s->port_lo == s->port_hi)
		gi_buf_printf(out, "%s %u", proto, s->port_lo);
	else
		gi_buf_printf(out, "%s %u-%u", proto, s->port_lo, s->port_hi);
}

/* docs/policy.md says of each predefined service what service.c says, and of no other */
static void test_pol_service_builtins_are_documented(void **state)
{
	struct pol_policy *p = fx_policy("");
	char *doc = read_file("docs/policy.md");
	struct gi_buf want;
	char *table;

	(void)state;
	table = strstr(doc, "| name | is |\n|---|---|\n");
	assert_non_null(table);
	table += strlen("| name | is |\n|---|---|\n");
	gi_buf_init(&want, 1 << 16);
	for (size_t i = 0; i < p->n_services; i++) {
		const struct pol_service *s = &p->services[i];

		assert_true(s->builtin);
		gi_buf_printf(&want, "| `%s` | ", s->name);
		for (size_t k = 0; k < s->n; k++) {
			gi_buf_printf(&want, "%s", k ? "; " : "");
			item_text(&s->items[k], &want);
		}
		gi_buf_printf(&want, " |\n");
	}
	gi_buf_printf(&want, "\n");
	if (strncmp(table, gi_buf_str(&want), want.len) != 0)
		fail_msg("docs/policy.md should say:\n%s", gi_buf_str(&want));
	gi_buf_fini(&want);
	free(doc);
	pol_free(p);
}

/* idfw-policy(5) names them, each once, in order */
static void test_pol_service_builtins_are_in_the_manual_page(void **state)
{
	char *page = read_file("docs/man/idfw-policy.5"), *at;
	struct pol_policy *p = fx_policy("");
	struct gi_buf want;

	(void)state;
	gi_buf_init(&want, 4096);
	for (size_t i = 0; i < p->n_services; i++)
		gi_buf_printf(&want, "%s%s", i ? " , " : "", p->services[i].name);
	at = strstr(page, "Predefined, unless the policy defines them:\n.Cm ");
	assert_non_null(at);
	at = strchr(at, '\n') + strlen("\n.Cm ");
	/* two lines of names, without the macro of the second */
	assert_non_null(strstr(at, " ,\n.Cm "));
	memmove(strstr(at, "\n.Cm ") + 1, strstr(at, "\n.Cm ") + 5,
		strlen(strstr(at, "\n.Cm ") + 5) + 1);
	*strchr(at, '\n') = ' ';
	if (strncmp(at, gi_buf_str(&want), want.len) != 0 || at[want.len] != ' ' ||
		at[want.len + 1] != '.')
		fail_msg("the page should name: %s", gi_buf_str(&want));
	gi_buf_fini(&want);
	free(page);
	pol_free(p);
}

static void test_pol_parse_example_files_are_clean(void **state)
{
	static const char *const files[] = { "etc/policy.idfw", "lab/policy.idfw" };
	struct gi_buf out;

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(files); i++) {
		char *text = read_file(files[i]);

		fx_diags(text, strlen(text), false, &out);
		if (out.len)
			fail_msg("%s: %s", files[i], gi_buf_str(&out));
		gi_buf_fini(&out);
		free(text);
	}
}

/* the first block of the manual, and the example of the page */
static void test_pol_parse_examples_in_the_manual_are_valid(void **state)
{
	static const struct {
		const char *file, *begin, *end;
	} examples[] = {
		{ "docs/policy.md", "```\n", "```\n" },
		{ "docs/man/idfw-policy.5", ".Sh EXAMPLES\n.Bd -literal -offset indent\n",
			".Ed\n" },
	};

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(examples); i++) {
		char *text = read_file(examples[i].file), *begin, *end;

		begin = strstr(text, examples[i].begin);
		assert_non_null(begin);
		begin += strlen(examples[i].begin);
		end = strstr(begin, examples[i].end);
		assert_non_null(end);
		*end = '\0';
		pol_free(fx_policy(begin));
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pol_service_builtins_are_documented),
		cmocka_unit_test(test_pol_service_builtins_are_in_the_manual_page),
		cmocka_unit_test(test_pol_parse_example_files_are_clean),
		cmocka_unit_test(test_pol_parse_examples_in_the_manual_are_valid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
