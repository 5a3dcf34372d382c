/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_dirfind.c - svm-idfw/dirfind.c: DNS is asked again when the answer's time to live is over
 *
 * This program is the discovery child too: which time it is asked is the length of a file, and it
 * answers with a server of that number; what it does otherwise its label says. Long timers run a
 * thousand times faster (--wrap), and what they were started with is looked at: no time is
 * measured.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those first */
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/io/child.h"
#include "lib/io/loop.h"
#include "lib/wire/wire.h"
#include "svm-idfw/dirfind.h"

#define LONG_MS 20000 /* longer than the deadline of a child: the next question */
#define ROUNDS 3

struct t {
	struct io_loop *loop;
	struct io_timer late;
	struct dir_find *find;
	char uris[ROUNDS][DIR_URI_MAX + 1];
	size_t n;
	char nobody[DIR_WHY_MAX]; /* why none is known */
};

static uint64_t waits[ROUNDS + 1];
static size_t n_waits;

void __real_io_timer_start(struct io_loop *l, struct io_timer *w, uint64_t after_ms,
	uint64_t repeat_ms, void (*cb)(struct io_timer *w), void *arg);
void __wrap_io_timer_start(struct io_loop *l, struct io_timer *w, uint64_t after_ms,
	uint64_t repeat_ms, void (*cb)(struct io_timer *w), void *arg);
void __wrap_io_timer_start(struct io_loop *l, struct io_timer *w, uint64_t after_ms,
	uint64_t repeat_ms, void (*cb)(struct io_timer *w), void *arg)
{
	if (after_ms > LONG_MS) {
		if (n_waits <= ROUNDS)
			waits[n_waits++] = after_ms;
		after_ms /= 1000;
	}
	__real_io_timer_start(l, w, after_ms, repeat_ms, cb, arg);
}

/* ---- the child ---- */

static const uint32_t ttls[ROUNDS] = { 90, 7, 86400 };

static size_t asked_before(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	struct stat st = { .st_size = 0 };

	if (fd < 0 || fstat(fd, &st) < 0 || write(fd, "x", 1) != 1)
		_exit(3);
	close(fd);
	return (size_t)st.st_size;
}

/* packed, not encoded: whoever is hostile does not ask our encoder what is too much */
static int say(const Idfw__DirServers *s, size_t longer)
{
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	static uint8_t frame[4 + WIRE_FRAME_MAX];
	size_t len;

	e.body_case = IDFW__ENVELOPE__BODY_DIR_SERVERS;
	e.dir_servers = (Idfw__DirServers *)(uintptr_t)s;
	len = idfw__envelope__get_packed_size(&e);
	if (len > WIRE_FRAME_MAX)
		return 2;
	(void)idfw__envelope__pack(&e, frame + 4);
	for (size_t i = 0; i < 4; i++)
		frame[i] = (uint8_t)((len + longer) >> (8 * (3 - i)));
	return write(IO_CHILD_FD, frame, 4 + len) == (ssize_t)(4 + len) ? 0 : 1;
}

/* @label: what it does */
static int child(const char *label, const char *path)
{
	Idfw__DirServers s = IDFW__DIR_SERVERS__INIT;
	Idfw__DirServer server = IDFW__DIR_SERVER__INIT, *list[WIRE_DIR_SERVERS_MAX + 1];
	size_t n = asked_before(path);
	char uri[64], empty[] = "";

	(void)snprintf(uri, sizeof(uri), "ldaps://ldap%zu.%s.example:636", n,
		strcmp(label, "strange") == 0 ? "other" : "corp");
	for (size_t i = 0; i < GI_ARRAY_SIZE(list); i++)
		list[i] = &server;
	server.uri = uri;
	s.server = list;
	s.n_server = strcmp(label, "many") == 0 ? GI_ARRAY_SIZE(list) : 1;
	s.text = empty;
	s.ttl_sec = ttls[n < ROUNDS ? n : ROUNDS - 1];
	return strcmp(label, "silent") == 0 ? 0
					    : say(&s, strcmp(label, "long") ? 0 : WIRE_FRAME_MAX);
}

/* ---- its parent ---- */

static void on_servers(void *arg, const struct dir_srv_list *l)
{
	struct t *t = arg;

	if (t->n < ROUNDS)
		(void)snprintf(t->uris[t->n++], sizeof(t->uris[0]), "%s", l->item[0].uri);
}

static void on_nobody(void *arg, const char *why)
{
	struct t *t = arg;

	(void)snprintf(t->nobody, sizeof(t->nobody), "%s", why);
}

static void on_news(void *arg)
{
	struct t *t = arg;

	if (t->n == ROUNDS || t->nobody[0])
		io_loop_stop(t->loop);
}

static void on_late(struct io_timer *w)
{
	io_loop_stop(((struct t *)w->arg)->loop);
}

static void run(struct t *t, const char *label, struct idfw_dir_conf *conf)
{
	static const struct dir_find_ops ops = { on_servers, on_nobody, on_news };
	char path[] = "/tmp/test_dirfind.XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	*conf = (struct idfw_dir_conf){ .label = (char *)(uintptr_t)label,
		.type = (char *)"openldap",
		.discover = (char *)"corp.example",
		.discover_tls = (char *)"ldaps" };
	assert_int_equal(io_loop_new(&t->loop), 0);
	__real_io_timer_start(t->loop, &t->late, 60000, 0, on_late, t);
	assert_int_equal(dir_find_new(t->loop, path, conf, &ops, t, &t->find), 0);
	io_loop_run(t->loop);
	unlink(path);
}

static void stop(struct t *t)
{
	dir_find_free(t->find);
	io_timer_stop(t->loop, &t->late);
	io_loop_free(t->loop);
}

/* what its channel, a message or the configuration does not let through names nobody, and is told
 */
static void test_a_child_that_says_too_much_names_nobody(void **state)
{
	static const struct {
		const char *label, *why;
	} bad[] = {
		{ "many", "the discovery child sent garbage; see the log" },
		{ "long", "the discovery child ended without a word; see the log" },
		{ "silent", "the discovery child ended without a word; see the log" },
		{ "strange", "DNS names no server that may be asked" },
	};

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(bad); i++) {
		struct t t = { .n = 0 };
		struct idfw_dir_conf conf;
		char text[DIR_WHY_MAX], want[DIR_WHY_MAX];

		run(&t, bad[i].label, &conf);
		assert_string_equal(t.nobody, bad[i].why);
		assert_int_equal(t.n, 0);
		assert_int_equal(dir_find_list(t.find)->n, 0);
		dir_find_text(t.find, text);
		(void)snprintf(
			want, sizeof(want), "no server of corp.example is known: %s", bad[i].why);
		assert_string_equal(text, want);
		stop(&t);
	}
}

static void test_asked_again_when_the_time_to_live_is_over(void **state)
{
	struct t t = { .n = 0 };
	struct idfw_dir_conf conf;

	(void)state;
	run(&t, "corp", &conf);
	assert_string_equal(t.nobody, "");
	for (size_t i = 0; i < ROUNDS; i++) {
		char want[64];

		(void)snprintf(want, sizeof(want), "ldaps://ldap%zu.corp.example:636", i);
		assert_string_equal(t.uris[i], want);
	}
	assert_in_range(waits[0], 90000, 99000);     /* a tenth more by chance */
	assert_in_range(waits[1], 60000, 66000);     /* not more often than each minute */
	assert_in_range(waits[2], 3600000, 3960000); /* nor less than each hour: not yet over */
	stop(&t);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_asked_again_when_the_time_to_live_is_over),
		cmocka_unit_test(test_a_child_that_says_too_much_names_nobody),
	};

	gi_log_init("test_dirfind", GI_LOG_ERR);
	/* svm-idfw --directory-discover LABEL -c FILE SEED */
	if (argc > 4 && strcmp(argv[1], "--directory-discover") == 0)
		return child(argv[2], argv[4]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
