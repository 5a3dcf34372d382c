/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_conf.c - daemon configuration from a table: lib/conf/conf.h
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "lib/conf/conf.h"

struct vm {
	char *label;
	char *socket;
	uint64_t limit;
	struct conf_list tags;
};

struct conf {
	char *name, *listen, *state;
	uint64_t timeout_ms;
	bool enforce;
	struct conf_list allow;
	struct conf_array vms;
};

static const struct conf_item top_items[] = {
	{ "name", CONF_T_STRING, offsetof(struct conf, name), "", 2, 8, "what we call it" },
	{ "listen", CONF_T_ENDPOINT, offsetof(struct conf, listen), NULL, 0, 0, "where to listen" },
	{ "state", CONF_T_PATH, offsetof(struct conf, state), "/var/lib/idfw", 0, 0, "state" },
	{ "timeout", CONF_T_NUMBER, offsetof(struct conf, timeout_ms), "300ms", 10, 60000, "wait" },
	{ "enforce", CONF_T_BOOL, offsetof(struct conf, enforce), "yes", 0, 0, "really" },
	{ "allow", CONF_T_LIST, offsetof(struct conf, allow), "root, wheel", 1, 3, "who" },
};

static const struct conf_item vm_items[] = {
	{ "socket", CONF_T_ENDPOINT, offsetof(struct vm, socket), NULL, 0, 0, "its socket" },
	{ "limit", CONF_T_NUMBER, offsetof(struct vm, limit), "", 0, 0, "bytes" },
	{ "tags", CONF_T_LIST, offsetof(struct vm, tags), "", 0, 0, "tags" },
};

static const struct conf_section sections[] = {
	{ NULL, top_items, GI_ARRAY_SIZE(top_items), 0, 0, 0 },
	{ "vm", vm_items, GI_ARRAY_SIZE(vm_items), sizeof(struct vm), offsetof(struct conf, vms),
		2 },
};

static const struct conf_table table = { .sections = sections,
	.n_sections = GI_ARRAY_SIZE(sections) };

static struct conf good(const char *text)
{
	struct conf c = { 0 };
	struct conf_diags d;
	struct gi_buf out;
	int err;

	conf_diags_init(&d, "f", NULL, 0);
	err = conf_parse(&table, text, strlen(text), &d, &c);
	gi_buf_init(&out, 10000);
	conf_diags_render(&d, &out);
	assert_string_equal(gi_buf_str(&out), "");
	assert_int_equal(err, 0);
	gi_buf_fini(&out);
	conf_diags_fini(&d);
	return c;
}

/* the messages; the struct stays zero */
static void bad(const char *text, const char *want)
{
	static const struct conf zero;
	struct conf c = { 0 };
	struct conf_diags d;
	struct gi_buf out;

	conf_diags_init(&d, "f", NULL, 0);
	assert_int_equal(conf_parse(&table, text, strlen(text), &d, &c), -GI_ESYNTAX);
	gi_buf_init(&out, 10000);
	conf_diags_render(&d, &out);
	assert_string_equal(gi_buf_str(&out), want);
	assert_memory_equal(&c, &zero, sizeof(c));
	gi_buf_fini(&out);
	conf_diags_fini(&d);
}

static void test_parse_defaults(void **state)
{
	struct conf c = good("listen unix:/run/idfw/x;");

	(void)state;
	assert_null(c.name);
	assert_string_equal(c.listen, "unix:/run/idfw/x");
	assert_string_equal(c.state, "/var/lib/idfw");
	assert_int_equal(c.timeout_ms, 300);
	assert_true(c.enforce);
	assert_int_equal(c.allow.n, 2);
	assert_string_equal(c.allow.items[0], "root");
	assert_string_equal(c.allow.items[1], "wheel");
	assert_int_equal(c.vms.n, 0);
	conf_free(&table, &c);
	assert_null(c.listen);
	conf_free(&table, &c);
}

static void test_parse_everything(void **state)
{
	struct conf c =
		good("# all\nname \"a b\"; listen \"tcp:[fd77::2]:5443\"; state /srv/x_1/y.z;\n"
		     "timeout 2s; enforce no; allow \"bob, s\", 10.0.0.0/8, wheel;\n"
		     "vm jump01 { socket vsock:7:5005; limit 64KiB; }\n"
		     "vm \"web-01\" { socket tcp:10.0.0.1:5; tags a, 7, fd77::/64; }\n");
	const struct vm *vm = c.vms.elems;

	(void)state;
	assert_string_equal(c.name, "a b");
	assert_string_equal(c.listen, "tcp:[fd77::2]:5443");
	assert_string_equal(c.state, "/srv/x_1/y.z");
	assert_int_equal(c.timeout_ms, 2000);
	assert_false(c.enforce);
	assert_int_equal(c.allow.n, 3);
	assert_string_equal(c.allow.items[0], "bob, s");
	assert_string_equal(c.allow.items[1], "10.0.0.0/8");
	assert_int_equal(c.vms.n, 2);
	assert_string_equal(vm[0].label, "jump01");
	assert_string_equal(vm[0].socket, "vsock:7:5005");
	assert_int_equal(vm[0].limit, 65536);
	assert_int_equal(vm[0].tags.n, 0);
	assert_string_equal(vm[1].label, "web-01");
	assert_string_equal(vm[1].tags.items[1], "7");
	assert_string_equal(vm[1].tags.items[2], "fd77::/64");
	conf_free(&table, &c);
	assert_int_equal(c.vms.n, 0);
}

static void test_parse_units(void **state)
{
	static const struct {
		const char *text;
		uint64_t want;
	} t[] = { { "7", 7 }, { "7ms", 7 }, { "7s", 7000 }, { "7m", 420000 }, { "7h", 25200000 },
		{ "7KiB", 7 << 10 }, { "7MiB", 7 << 20 }, { "7GiB", 7ull << 30 },
		{ "18446744073709551615", UINT64_MAX } };
	char text[128];

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(t); i++) {
		struct conf c;

		(void)snprintf(text, sizeof(text),
			"listen unix:/x; vm a { socket unix:/y; limit %s; }", t[i].text);
		c = good(text);
		assert_true(((struct vm *)c.vms.elems)->limit == t[i].want);
		conf_free(&table, &c);
	}
}

static void test_parse_bad_values(void **state)
{
	static const struct {
		const char *text, *want;
	} t[] = {
		{ "timeout 9;", "timeout must be between 10 and 60000" },
		{ "timeout 61s;", "timeout must be between 10 and 60000" },
		{ "timeout 18446744073709551615h;", "timeout must be between 10 and 60000" },
		{ "timeout 5y;",
			"timeout must be a number, with ms s m h or KiB MiB GiB behind it or "
			"without" },
		{ "timeout soon;",
			"timeout must be a number, with ms s m h or KiB MiB GiB behind it or "
			"without" },
		{ "timeout \"20\";", "timeout is written without quotes" },
		{ "enforce maybe;", "enforce must be yes or no" },
		{ "enforce \"yes\";", "enforce is written without quotes" },
		{ "name a;", "name must have 2 to 8 bytes, has 1" },
		{ "name abcdefghi;", "name must have 2 to 8 bytes, has 9" },
		{ "name \"a\\nb\";", "name has control characters" },
		{ "state var/lib;", "state must be an absolute path" },
		{ "state \"\";", "state must be an absolute path" },
		{ "allow a, b, c, d;", "allow takes at most 3 items" },
		{ "allow \"\";", "allow: an item is empty or has control characters" },
	};
	char text[256], want[256];

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(t); i++) {
		const char *space = strchr(t[i].text, ' ');
		int col = (int)(space - t[i].text) + 2;

		(void)snprintf(text, sizeof(text), "%s\nlisten unix:/x;\n", t[i].text);
		if (strncmp(t[i].text, "allow a, b", 10) == 0)
			col = 16;
		(void)snprintf(want, sizeof(want), "f:1:%d: error: %s\n", col, t[i].want);
		bad(text, want);
	}
	bad("listen udp:1.2.3.4:5;",
		"f:1:8: error: listen must be unix:/PATH, vsock:CID:PORT or tcp:ADDRESS:PORT\n");
}

static void test_parse_all_mistakes_in_one_run(void **state)
{
	(void)state;
	bad("listn unix:/x;\n"
	    "timeout 1s;\n"
	    "timeout 2s;\n"
	    "enforce yes\n"
	    "allow root;\n"
	    "state ;\n"
	    "vm a { socket unix:/y; sokcet unix:/z; }\n"
	    "vm a { socket unix:/y; }\n"
	    "vm b { socket unix:/y; }\n"
	    "vm { socket unix:/y; }\n"
	    "vm c socket;\n"
	    "wm d { x { } }\n"
	    "}\n"
	    "= 5;\n"
	    "name \"ok\";\n",
		"f:1:1: error: unknown name \"listn\"; did you mean \"listen\"?\n"
		"f:1:1: error: listen must be given\n"
		"f:3:1: error: timeout is repeated\n"
		"f:5:1: error: expected ; behind the value of enforce\n"
		"f:6:7: error: expected a value for state\n"
		"f:7:24: error: unknown name \"sokcet\"; did you mean \"socket\"?\n"
		"f:8:4: error: vm a is repeated\n"
		"f:9:4: error: at most 2 blocks vm\n"
		"f:10:4: error: vm needs a name: letters, digits, _ and -, at most 47\n"
		"f:12:1: error: unknown name \"wm\"; did you mean \"vm\"?\n"
		"f:13:1: error: } without {\n"
		"f:14:1: error: expected a name\n");
}

static void test_parse_limits_of_sections(void **state)
{
	(void)state;
	bad("listen unix:/x; vm a { socket unix:/y; } vm b { socket unix:/y; }\n"
	    "vm c { socket unix:/y; } vm d { socket unix:/y; }",
		"f:2:4: error: at most 2 blocks vm\n");
	bad("listen unix:/x; vm a { limit 1; }", "f:1:24: error: vm: socket must be given\n");
	bad("listen unix:/x; vm a { socket unix:/y; ", "f:1:40: error: } of vm is missing\n");
	bad("listen unix:/x; vm 9a { }",
		"f:1:20: error: vm needs a name: letters, digits, _ and -, at most 47\n");
	bad("listen unix:/x; vm a.b { }",
		"f:1:20: error: vm needs a name: letters, digits, _ and -, at most 47\n");
	bad("listen unix:/x; vm a { socket unix:/y; vm b { socket unix:/z; } }",
		"f:1:40: error: unknown name \"vm\"\n");
}

static void test_parse_lexer_mistakes_are_said_once(void **state)
{
	(void)state;
	bad("listen unix:/x$y;",
		"f:1:15: error: \"$\" is not allowed here; quote it if it belongs to "
		"a value\n");
	bad("listen \"unix:/x;\ntimeout 1s;", "f:1:8: error: string is not closed on its line\n");
	bad("", "f:1:1: error: listen must be given\n");
}

static void test_parse_rare_mistakes(void **state)
{
	static char text[2000];

	(void)state;
	bad("listen unix:/x; vm a socket unix:/y;", "f:1:22: error: expected { behind vm\n");
	(void)snprintf(text, sizeof(text), "listen unix:/x; name %0600d/%0600d;", 1, 1);
	bad(text, "f:1:22: error: value is too long\n");
}

static void test_parse_too_large_is_a_diagnostic(void **state)
{
	size_t len = (4u << 20) + 1;
	char *text = malloc(len);
	struct conf c = { 0 };
	struct conf_diags d;

	(void)state;
	assert_non_null(text);
	memset(text, ' ', len);
	conf_diags_init(&d, "f", NULL, 0);
	assert_int_equal(conf_parse(&table, text, len, &d, &c), -GI_ESYNTAX);
	assert_int_equal(d.n_errors, 1);
	conf_diags_fini(&d);
	free(text);
}

static void test_read_file_limits_and_errors(void **state)
{
	char path[] = "/tmp/idfw-conf-XXXXXX", *text = NULL;
	int fd = mkstemp(path);
	size_t len = 99;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(conf_read_file(path, 5, &text, &len), 0);
	assert_int_equal(len, 0);
	assert_string_equal(text, "");
	free(text);
	assert_int_equal(write(fd, "12345", 5), 5);
	assert_int_equal(conf_read_file(path, 5, &text, &len), 0);
	assert_int_equal(len, 5);
	assert_string_equal(text, "12345");
	free(text);
	text = NULL;
	assert_int_equal(conf_read_file(path, 4, &text, &len), -GI_ELIMIT);
	assert_null(text);
	close(fd);
	unlink(path);
	assert_int_equal(conf_read_file(path, 5, &text, &len), -ENOENT);
	assert_int_equal(conf_read_file("/tmp", 5, &text, &len), -EISDIR);
}

static void test_help_lists_the_table(void **state)
{
	struct gi_buf out;

	(void)state;
	gi_buf_init(&out, 10000);
	conf_help(&table, &out);
	assert_string_equal(gi_buf_str(&out),
		"name STRING;\n\twhat we call it; 2 to 8 bytes\n"
		"listen ENDPOINT;\n\twhere to listen; must be given\n"
		"state PATH;\n\tstate; default /var/lib/idfw\n"
		"timeout NUMBER;\n\twait; default 300ms; 10 to 60000\n"
		"enforce yes|no;\n\treally; default yes\n"
		"allow LIST;\n\twho; default root, wheel; 1 to 3 items\n"
		"vm NAME { ... }\n\tat most 2\n"
		"\tsocket ENDPOINT;\n\t\tits socket; must be given\n"
		"\tlimit NUMBER;\n\t\tbytes\n"
		"\ttags LIST;\n\t\ttags\n");
	gi_buf_fini(&out);
}

static const struct conf_table *main_table = &table;

/* stdout and stderr go to files while conf_main() runs */
static int run_main(
	int argc, char **argv, struct conf *c, bool *debug, int *code, char *out, size_t size)
{
	char path[] = "/tmp/idfw-conf-XXXXXX";
	int fd = mkstemp(path), save_out = dup(1), save_err = dup(2), rc;
	ssize_t n;

	assert_true(fd >= 0);
	unlink(path);
	fflush(stdout);
	dup2(fd, 1);
	dup2(fd, 2);
	rc = conf_main(argc, argv, "gi-test", "tests itself", main_table, c, debug, code);
	fflush(stdout);
	fflush(stderr);
	dup2(save_out, 1);
	dup2(save_err, 2);
	close(save_out);
	close(save_err);
	n = pread(fd, out, size - 1, 0);
	assert_true(n >= 0);
	out[n] = '\0';
	close(fd);
	return rc;
}

static void test_main_options(void **state)
{
	static const struct {
		const char *args[3];
		int code;
		const char *says;
	} t[] = {
		{ { "-h" }, 0, "usage: gi-test [-c FILE]" },
		{ { "--help" }, 0, "tests itself" },
		{ { "-V" }, 0, "gi-test (idfw) " },
		{ { "--version" }, 0, "gi-test (idfw) " },
		{ { "--help-config" }, 0, "where to listen; must be given" },
		{ { "-x" }, 2, "usage: gi-test" },
		{ { "-c" }, 2, "usage: gi-test" },
		{ { "surplus" }, 2, "unexpected argument \"surplus\"" },
		{ { "-c", "/nonexistent" }, 78, "/nonexistent: No such file or directory" },
		{ { "-t", "-c", "/dev/null" }, 78, "/dev/null:1:1: error: listen must be given" },
	};
	static char out[10000];

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(t); i++) {
		char *argv[5] = { (char *)"gi-test" };
		int argc = 1, code = -1;
		struct conf c = { 0 };
		bool debug = false;

		while (argc < 4 && t[i].args[argc - 1]) {
			argv[argc] = (char *)t[i].args[argc - 1];
			argc++;
		}
		assert_int_equal(run_main(argc, argv, &c, &debug, &code, out, sizeof(out)), 1);
		assert_int_equal(code, t[i].code);
		if (!strstr(out, t[i].says))
			fail_msg("row %zu: %s", i, out);
	}
}

static void test_main_reads_the_file(void **state)
{
	char path[] = "/tmp/idfw-conf-XXXXXX", out[1000];
	char *argv[] = { (char *)"gi-test", (char *)"-d", (char *)"-c", path, (char *)"-t", NULL };
	int fd = mkstemp(path), code = -1;
	struct conf c = { 0 };
	bool debug = false;

	(void)state;
	assert_int_equal(write(fd, "listen unix:/x;", 15), 15);
	close(fd);
	assert_int_equal(run_main(4, argv, &c, &debug, &code, out, sizeof(out)), 0);
	assert_true(debug);
	assert_string_equal(c.listen, "unix:/x");
	assert_string_equal(out, "");
	conf_free(&table, &c);
	assert_int_equal(run_main(5, argv, &c, &debug, &code, out, sizeof(out)), 1);
	assert_int_equal(code, 0);
	assert_null(c.listen);
	unlink(path);
}

static int check_refuses(const void *conf, char ret_why[256])
{
	snprintf(ret_why, 256, "%s is taken", ((const struct conf *)conf)->listen);
	return -EINVAL;
}

static int check_tag(const char *text, char ret_why[CONF_WHY_MAX])
{
	if (text[0] != 'x')
		return 0;
	snprintf(ret_why, CONF_WHY_MAX, "%s begins with x", text);
	return -EINVAL;
}

/* each value of the list, where it stands; not an item of the same name in a block */
static void test_parse_check_of_a_value_is_told_where_it_stands(void **state)
{
	static const struct conf_item tags[] = {
		{ "allow", CONF_T_LIST, offsetof(struct vm, tags), "", 0, 0, "tags" },
	};
	struct conf_section both[] = { sections[0], sections[1] };
	const struct conf_check checks[] = { { "allow", check_tag } };
	struct conf_table checked = {
		.sections = both, .n_sections = 2, .checks = checks, .n_checks = 1
	};
	const char *text = "listen unix:/x; allow a, xb;",
		   *block = "listen unix:/x; vm a { allow xb; }";
	struct conf c = { 0 };
	struct conf_diags d;
	struct gi_buf out;

	(void)state;
	both[1].items = tags;
	both[1].n_items = 1;
	conf_diags_init(&d, "f", NULL, 0);
	gi_buf_init(&out, 10000);
	assert_int_equal(conf_parse(&checked, text, strlen(text), &d, &c), -GI_ESYNTAX);
	conf_diags_render(&d, &out);
	assert_string_equal(gi_buf_str(&out), "f:1:26: error: xb begins with x\n");
	assert_null(c.allow.items);
	conf_diags_fini(&d);
	conf_diags_init(&d, "f", NULL, 0);
	assert_int_equal(conf_parse(&checked, block, strlen(block), &d, &c), 0);
	conf_free(&checked, &c);
	conf_diags_fini(&d);
	checked.checks = NULL;
	checked.n_checks = 0;
	checked.block_checks = checks;
	checked.n_block_checks = 1;
	memset(&c, 0, sizeof(c));
	conf_diags_init(&d, "f", NULL, 0);
	assert_int_equal(conf_parse(&checked, block, strlen(block), &d, &c), -GI_ESYNTAX);
	gi_buf_reset(&out);
	conf_diags_render(&d, &out);
	assert_string_equal(gi_buf_str(&out), "f:1:30: error: xb begins with x\n");
	conf_diags_fini(&d);
	gi_buf_fini(&out);
}

static void test_main_help_shows_the_programs_own_options(void **state)
{
	struct conf_table more = table;
	char out[10000], *argv[] = { (char *)"gi-test", (char *)"-h", NULL };
	struct conf c = { 0 };
	bool debug = false;
	int code = -1;

	(void)state;
	more.more_options = "  --frobnicate\n";
	main_table = &more;
	assert_int_equal(run_main(2, argv, &c, &debug, &code, out, sizeof(out)), 1);
	main_table = &table;
	assert_int_equal(code, 0);
	assert_non_null(strstr(out, "may say\n  --frobnicate\n"));
}

static void test_main_check_of_the_whole_refuses(void **state)
{
	struct conf_table checked = table;
	char path[] = "/tmp/idfw-conf-XXXXXX", out[1000], want[100];
	char *argv[] = { (char *)"gi-test", (char *)"-c", path, (char *)"-t", NULL };
	int fd = mkstemp(path), code = -1;
	struct conf c = { 0 };
	bool debug = false;

	(void)state;
	checked.check = check_refuses;
	assert_int_equal(write(fd, "listen unix:/x;", 15), 15);
	close(fd);
	main_table = &checked;
	snprintf(want, sizeof(want), "%s: error: unix:/x is taken\n", path);
	for (int argc = 3; argc <= 4; argc++) {
		assert_int_equal(run_main(argc, argv, &c, &debug, &code, out, sizeof(out)), 1);
		assert_int_equal(code, 78);
		assert_string_equal(out, want);
		assert_null(c.listen);
	}
	main_table = &table;
	unlink(path);
}

static void test_item_same_tells_each_type(void **state)
{
	static const char *const texts[] = { "name bb; listen unix:/x; vm a { socket unix:/a; }",
		"listen unix:/y; vm a { socket unix:/a; }",
		"listen unix:/x; state /b; vm a { socket unix:/a; }",
		"listen unix:/x; timeout 301ms; vm a { socket unix:/a; }",
		"listen unix:/x; enforce no; vm a { socket unix:/a; }",
		"listen unix:/x; allow root; vm a { socket unix:/a; }" };
	struct conf one = good("listen unix:/x; vm a { socket unix:/a; }"),
		    same = good("listen unix:/x; vm a { socket unix:/a; }");

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(top_items); i++) {
		struct conf other = good(texts[i]);

		for (size_t k = 0; k < GI_ARRAY_SIZE(top_items); k++) {
			assert_true(conf_item_same(&top_items[k], &one, &same));
			assert_int_equal(conf_item_same(&top_items[k], &one, &other), i != k);
		}
		conf_free(&table, &other);
	}
	conf_free(&table, &one);
	conf_free(&table, &same);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_defaults),
		cmocka_unit_test(test_parse_everything),
		cmocka_unit_test(test_parse_units),
		cmocka_unit_test(test_parse_bad_values),
		cmocka_unit_test(test_parse_all_mistakes_in_one_run),
		cmocka_unit_test(test_parse_limits_of_sections),
		cmocka_unit_test(test_parse_lexer_mistakes_are_said_once),
		cmocka_unit_test(test_parse_rare_mistakes),
		cmocka_unit_test(test_parse_too_large_is_a_diagnostic),
		cmocka_unit_test(test_read_file_limits_and_errors),
		cmocka_unit_test(test_help_lists_the_table),
		cmocka_unit_test(test_item_same_tells_each_type),
		cmocka_unit_test(test_main_options),
		cmocka_unit_test(test_main_reads_the_file),
		cmocka_unit_test(test_main_check_of_the_whole_refuses),
		cmocka_unit_test(test_parse_check_of_a_value_is_told_where_it_stands),
		cmocka_unit_test(test_main_help_shows_the_programs_own_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
