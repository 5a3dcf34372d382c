/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_golden.c - whole policies against golden files, byte for byte
 *
 * For each tests/golden/policy/NAME.idfw: its diagnostics are NAME.err; when it has no error, its
 * tree is NAME.json; and for each line "# golden: KIND VM [ADDRESS...]" in it, KIND nft is the
 * rules that the VM would run (NAME.VM.nft), KIND model the compiled rules in words
 * (NAME.VM.model). With POL_GOLDEN_WRITE=DIR in the environment the files are written there
 * instead.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lib/conf/conf.h"
#include "policy/policy.h"

#define TEXT_MAX (16u << 20)
#define CASES_MAX 64
#define WORDS_MAX 16

static char golden_dir[512];
static size_t n_compared;

static void compare(const char *name, const char *suffix, const struct gi_buf *got)
{
	const char *write_dir = getenv("POL_GOLDEN_WRITE");
	char path[1024], *want;
	size_t len;
	FILE *f;

	assert_int_equal(gi_buf_error(got), 0);
	snprintf(path, sizeof(path), "%s/%s%s", write_dir ? write_dir : golden_dir, name, suffix);
	if (write_dir) {
		f = fopen(path, "w");
		assert_non_null(f);
		assert_int_equal(fwrite(gi_buf_str(got), 1, got->len, f), got->len);
		assert_int_equal(fclose(f), 0);
		return;
	}
	if (conf_read_file(path, TEXT_MAX, &want, &len) != 0)
		fail_msg("%s cannot be read; what should be in it:\n%s", path, gi_buf_str(got));
	if (len != got->len || memcmp(want, gi_buf_str(got), len) != 0)
		fail_msg("%s differs; POL_GOLDEN_WRITE=DIR writes what is new. Now:\n%s", path,
			gi_buf_str(got));
	free(want);
	n_compared++;
}

/* ---- the compiled rules in words ---- */

static void dump_group(
	const struct pol_policy *p, const struct pol_compiled *c, size_t i, struct gi_buf *out)
{
	static const char *const fw_words[] = { "sg", "ga", "nets", "ia" };
	static const char *const words[] = { "out-from", "in-from", "to", "vm" };
	const struct fw_group *g = &c->ruleset->groups[i];
	char net[GI_ADDR_STRLEN];

	assert_string_equal(g->name, pol_group_name(p, c->policy_group[i]));
	gi_buf_printf(out, "group %s:", g->name);
	for (size_t b = 0; b < 4; b++)
		gi_buf_printf(out, "%s%s", g->uses >> b & 1 ? " " : "",
			g->uses >> b & 1 ? fw_words[b] : "");
	gi_buf_printf(out, " /");
	for (size_t b = 0; b < 4; b++)
		gi_buf_printf(out, "%s%s", c->use[i] >> b & 1 ? " " : "",
			c->use[i] >> b & 1 ? words[b] : "");
	gi_buf_printf(out, " /");
	for (size_t k = 0; k < g->n_nets; k++)
		gi_buf_printf(out, " %s", gi_prefix_format(&g->nets[k], net));
	gi_buf_printf(out, "\n");
}

static void dump_peers(const struct fw_ruleset *rs, const char *word, const uint16_t *list,
	size_t n, struct gi_buf *out)
{
	gi_buf_printf(out, " %s%s", word, n ? "" : " any");
	for (size_t i = 0; i < n; i++)
		gi_buf_printf(out, " %s", rs->groups[list[i]].name);
}

static void dump_rule(const struct fw_ruleset *rs, const struct fw_rule *r, struct gi_buf *out)
{
	static const char *const actions[] = { "drop", "reject", "accept" };

	gi_buf_printf(out, "%s %s %s%s", r->dir == FW_OUT ? "out" : "in", r->name,
		actions[r->action], r->log ? " log" : "");
	dump_peers(rs, "from", r->from, r->n_from, out);
	dump_peers(rs, "to", r->to, r->n_to, out);
	for (size_t i = 0; i < r->n_services; i++) {
		const struct fw_service *s = &r->services[i];

		if (s->icmp_type < 256)
			gi_buf_printf(out, " %u/type %u", s->proto, s->icmp_type);
		else if (s->port_lo == 0 && s->port_hi == UINT16_MAX)
			gi_buf_printf(out, " %u/any", s->proto);
		else
			gi_buf_printf(out, " %u/%u-%u", s->proto, s->port_lo, s->port_hi);
	}
	gi_buf_printf(out, "\n");
}

static void dump_model(const struct pol_policy *p, const struct pol_compiled *c, struct gi_buf *out)
{
	const struct fw_ruleset *rs = c->ruleset;

	gi_buf_printf(out, "generation %llu, default in %d, out %d\n",
		(unsigned long long)rs->generation, rs->default_in, rs->default_out);
	for (size_t i = 0; i < rs->n_groups; i++)
		dump_group(p, c, i, out);
	for (size_t i = 0; i < rs->n_rules; i++)
		dump_rule(rs, &rs->rules[i], out);
}

/* the rules that come from the policy, with the chain before them; the rest is fw's, tested there
 */
static void keep_rules(char *text, struct gi_buf *out)
{
	const char *chain = NULL;
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (strncmp(line, "\tchain ", 7) == 0)
			chain = line;
		if (!chain || !strstr(line, " comment \""))
			continue;
		if (*chain)
			gi_buf_printf(out, "%s\n", chain);
		gi_buf_printf(out, "%s\n", line);
		chain = "";
	}
}

static void dump_nft(struct pol_compiled *c, struct gi_buf *out)
{
	struct gi_buf prepare, commit;
	struct fw_state *s;

	assert_int_equal(fw_state_new(&s), 0);
	fw_state_set_ruleset(s, c->ruleset);
	c->ruleset = NULL;
	gi_buf_init(&prepare, TEXT_MAX);
	gi_buf_init(&commit, TEXT_MAX);
	assert_int_equal(fw_render(s, &prepare, &commit), 0);
	keep_rules((char *)commit.data, out);
	assert_true(out->len > 0);
	gi_buf_fini(&prepare);
	gi_buf_fini(&commit);
	fw_state_free(s);
}

/* "model db01 10.0.0.1 fd00::1" */
static void check_vm(const char *name, const struct pol_policy *p, const char *words)
{
	struct gi_addr addrs[WORDS_MAX];
	struct pol_vm vm = { .addrs = addrs };
	char kind[16], vm_name[64], suffix[128], addr[64];
	struct pol_compiled *c;
	const char *why = "";
	struct gi_buf out;
	int used = 0, n;

	assert_int_equal(sscanf(words, "%15s %63s%n", kind, vm_name, &used), 2);
	words += used;
	while (vm.n_addrs < WORDS_MAX && sscanf(words, "%*[ ]%63[0-9a-f.:]%n", addr, &n) == 1) {
		assert_int_equal(gi_addr_parse(addr, &addrs[vm.n_addrs++]), 0);
		words += n;
	}
	vm.name = vm_name;
	assert_int_equal(pol_compile(p, &vm, 7, &c), 0);
	if (fw_ruleset_check(c->ruleset, &why) != 0)
		fail_msg("%s for %s: %s", name, vm_name, why);
	gi_buf_init(&out, TEXT_MAX);
	if (strcmp(kind, "nft") == 0)
		dump_nft(c, &out);
	else
		dump_model(p, c, &out);
	snprintf(suffix, sizeof(suffix), ".%s.%s", vm_name, kind);
	compare(name, suffix, &out);
	gi_buf_fini(&out);
	pol_compiled_free(c);
}

static void check_case(const char *file)
{
	char path[1024], name[256], *text, *line;
	struct conf_diags diags;
	struct pol_policy *p = NULL;
	struct gi_buf out;
	size_t len;
	int err;

	snprintf(name, sizeof(name), "%.*s", (int)(strlen(file) - strlen(".idfw")), file);
	snprintf(path, sizeof(path), "%s/%s", golden_dir, file);
	assert_int_equal(conf_read_file(path, TEXT_MAX, &text, &len), 0);
	conf_diags_init(&diags, file, text, len);
	err = pol_parse(text, len, &diags, &p);
	assert_true(err == 0 || err == -GI_ESYNTAX);
	assert_int_equal(err != 0, diags.n_errors != 0);
	gi_buf_init(&out, TEXT_MAX);
	conf_diags_render(&diags, &out);
	compare(name, ".err", &out);
	if (err == 0) {
		gi_buf_reset(&out);
		assert_int_equal(pol_to_json(p, &out), 0);
		compare(name, ".json", &out);
		for (line = text; (line = strstr(line, "# golden: ")) != NULL;) {
			line += strlen("# golden: ");
			check_vm(name, p, line);
		}
	}
	pol_free(p);
	conf_diags_fini(&diags);
	gi_buf_fini(&out);
	free(text);
}

static int is_policy(const struct dirent *e)
{
	size_t len = strlen(e->d_name);

	return len > 5 && strcmp(e->d_name + len - 5, ".idfw") == 0;
}

static void test_pol_parse_golden_policies_match(void **state)
{
	struct dirent **list = NULL;
	int n = scandir(golden_dir, &list, is_policy, alphasort);

	(void)state;
	assert_true(n > 0);
	for (int i = 0; i < n; i++) {
		check_case(list[i]->d_name);
		free(list[i]);
	}
	free(list);
	if (!getenv("POL_GOLDEN_WRITE"))
		assert_true(n_compared > (size_t)n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pol_parse_golden_policies_match),
	};
	const char *top = getenv("top_srcdir");

	snprintf(golden_dir, sizeof(golden_dir), "%s/tests/golden/policy", top ? top : ".");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
