/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_faconf.c - gi-fileagent.conf: what is taken, what is refused and in which words
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fileagent/faconf.h"
#include "fileagent/fan.h"

static int parse(const char *text, struct gi_buf *words, struct fa_conf *c)
{
	gi_buf_init(words, 1u << 16);
	return fa_conf_parse("t.conf", text, strlen(text), words, c);
}

static void test_parse_empty_defaults(void **state)
{
	struct gi_buf words;
	struct fa_conf c;

	(void)state;
	assert_int_equal(parse("", &words, &c), 0);
	assert_string_equal(c.mux, "vsock:2:5006");
	assert_string_equal(c.on_block, "EPERM");
	assert_string_equal(c.debug_dest, "stderr");
	assert_int_equal(c.debug_level, 5);
	assert_int_equal(c.deadline_base_ms, 1000);
	assert_int_equal(c.deadline_rate, 20000000);
	assert_int_equal(c.deadline_max_ms, 30000);
	assert_int_equal(c.cache_entries, 65536);
	assert_int_equal(c.quarantine_max_bytes, 1u << 30);
	assert_false(c.allow_root_filesystem);
	assert_int_equal(c.watches.n, 0);
	conf_free(&fa_conf_table, &c);
	gi_buf_fini(&words);
}

static void test_parse_blocks_filled(void **state)
{
	struct gi_buf words;
	struct fa_conf c;
	uint32_t bits = 0;
	const char *bad;

	(void)state;
	assert_int_equal(parse("watch home { path \"/home\"; events open, close;"
			       " on-failure allow, exec=deny; exclude \"/home/ci\"; }\n"
			       "watch srv { path \"/srv\"; submounts yes; on-block EIO; }\n"
			       "fim etc { paths \"/etc/passwd\", \"/etc/ssh\"; }\n",
				 &words, &c),
		0);
	assert_int_equal(c.watches.n, 2);
	assert_string_equal(fa_conf_watch(&c, 0)->label, "home");
	assert_int_equal(fa_conf_events(&fa_conf_watch(&c, 0)->events, &bits), 0);
	assert_int_equal(bits, FAN_EV_OPEN | FAN_EV_CLOSE_WRITE);
	assert_int_equal(fa_conf_strict(&fa_conf_watch(&c, 0)->on_failure, 0, &bits, &bad), 0);
	assert_int_equal(bits, FAN_EV_EXEC);
	assert_true(fa_conf_watch(&c, 1)->submounts);
	assert_string_equal(fa_conf_watch(&c, 1)->on_block, "EIO");
	assert_null(fa_conf_watch(&c, 0)->on_block);
	assert_int_equal(c.fims.n, 1);
	assert_int_equal(fa_conf_fim(&c, 0)->paths.n, 2);
	conf_free(&fa_conf_table, &c);
	gi_buf_fini(&words);
}

static void test_parse_mistakes_refused_in_words(void **state)
{
	static const struct {
		const char *text, *words;
	} cases[] = {
		{ "debug-dest syslogd;", "debug-dest is stderr, syslog or mux" },
		{ "on-block ENOENT;", "none of EPERM" },
		{ "on-failure maybe;", "\"maybe\" is neither allow nor deny" },
		{ "on-failure close=deny;", "\"close=deny\" is neither" },
		{ "on-failure open=no;", "\"open=no\" is neither" },
		{ "deadline-base 10s; deadline-max 1s;", "deadline-max is shorter" },
		{ "exclude-paths tmp;", "exclude-paths: \"tmp\" is not an absolute path" },
		{ "exclude-paths \"/a/../b\";", "is not an absolute path without" },
		{ "exclude-uids alice;", "exclude-uids: \"alice\" is not a user's number" },
		{ "include-uids 4294967295;", "include-uids: \"4294967295\"" },
		{ "exclude-programs \"bin/x\";", "exclude-programs" },
		{ "watch w { events open; }", "path must be given" },
		{ "watch w { path \"/x\"; events read; }", "watch w: events are some of" },
		{ "watch w { path \"/x/./y\"; }", "watch w: path: \"/x/./y\"" },
		{ "watch w { path \"/x\"; on-block NO; }", "watch w: on-block" },
		{ "watch w { path \"/x\"; } watch v { path \"/x\"; }",
			"watch v: path is that of watch w" },
		{ "fim f { paths \"etc\"; }", "fim f: paths" },
		{ "debug-level 8;", "debug-level must be between 0 and 7" },
		{ "watc x { }", "did you mean \"watch\"" },
	};

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		struct gi_buf words;
		struct fa_conf c;

		assert_int_equal(parse(cases[i].text, &words, &c), -GI_ESYNTAX);
		if (!strstr(gi_buf_str(&words), cases[i].words))
			fail_msg("\"%s\" says: %s", cases[i].text, gi_buf_str(&words));
		assert_null(c.mux);
		gi_buf_fini(&words);
	}
}

static void test_read_fd_reads_from_begin(void **state)
{
	static const char text[] = "debug-level 7;\n";
	int fd = memfd_create("conf", MFD_CLOEXEC);
	struct gi_buf words;
	struct fa_conf c;

	(void)state;
	assert_true(fd >= 0);
	gi_buf_init(&words, 1u << 16);
	assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	assert_int_equal(fa_conf_read_fd(fd, &words, &c), 0);
	assert_int_equal(c.debug_level, 7);
	conf_free(&fa_conf_table, &c);
	assert_int_equal(ftruncate(fd, FA_CONF_TEXT_MAX + 1), 0);
	assert_int_equal(fa_conf_read_fd(fd, &words, &c), -GI_ELIMIT);
	(void)close(fd);
	assert_int_equal(fa_conf_read_fd(fd, &words, &c), -EBADF);
	gi_buf_fini(&words);
}

static void test_deadline_grows_with_size_and_is_capped(void **state)
{
	const struct fa_conf c = {
		.deadline_base_ms = 1000, .deadline_rate = 20000000, .deadline_max_ms = 30000
	};

	(void)state;
	assert_int_equal(fa_conf_deadline_ms(&c, 0), 1000);
	assert_int_equal(fa_conf_deadline_ms(&c, 20000000), 2000);
	assert_int_equal(fa_conf_deadline_ms(&c, 10000000), 1500);
	assert_int_equal(fa_conf_deadline_ms(&c, 580000000), 30000);
	assert_int_equal(fa_conf_deadline_ms(&c, UINT64_MAX), 30000);
}

static void test_strict_general_word_first(void **state)
{
	char *words[] = { (char *)"exec=allow", (char *)"deny" };
	const struct conf_list l = { .items = words, .n = 2 };
	uint32_t bits = 0;
	const char *bad;

	(void)state;
	assert_int_equal(fa_conf_strict(&l, 0, &bits, &bad), 0);
	assert_int_equal(bits, FAN_EV_OPEN);
	/* what is not named stays as it was */
	assert_int_equal(fa_conf_strict(&(struct conf_list){ .items = words, .n = 1 },
				 FAN_EV_OPEN | FAN_EV_EXEC, &bits, &bad),
		0);
	assert_int_equal(bits, FAN_EV_OPEN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_empty_defaults),
		cmocka_unit_test(test_parse_blocks_filled),
		cmocka_unit_test(test_parse_mistakes_refused_in_words),
		cmocka_unit_test(test_read_fd_reads_from_begin),
		cmocka_unit_test(test_deadline_grows_with_size_and_is_capped),
		cmocka_unit_test(test_strict_general_word_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
