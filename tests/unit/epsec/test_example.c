/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_example.c - the example of a partner's program, built with the shared library, as a process
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "lib/io/loop.h"
#include "lib/io/sock.h"
#include "tests/unit/epsec/fix.h"

extern char **environ;

struct example {
	struct tg_bed bed;
	struct tg *tg;
	pid_t pid;
	char out[96];
};

static pid_t run(struct example *x, char *const argv[])
{
	posix_spawn_file_actions_t fa;
	const char *top = getenv("top_builddir");
	char bin[512];
	pid_t pid = 0;

	(void)snprintf(bin, sizeof(bin), "%s/epsec/example/bytescan", top ? top : ".");
	assert_int_equal(posix_spawn_file_actions_init(&fa), 0);
	assert_int_equal(posix_spawn_file_actions_addopen(
				 &fa, 1, x->out, O_CREAT | O_TRUNC | O_WRONLY, 0600),
		0);
	assert_int_equal(posix_spawn_file_actions_adddup2(&fa, 1, 2), 0);
	if (posix_spawn(&pid, bin, &fa, NULL, argv, environ) != 0)
		fail_msg("cannot run %s", bin);
	(void)posix_spawn_file_actions_destroy(&fa);
	return pid;
}

static int exit_code(pid_t pid)
{
	int status = 0;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool said(const struct example *x, const char *words)
{
	char text[4096] = { 0 };
	FILE *f = fopen(x->out, "r");
	size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;

	text[n] = '\0';
	if (f)
		(void)fclose(f);
	return strstr(text, words) != NULL;
}

static int setup(void **state)
{
	struct example *x = calloc(1, sizeof(*x));

	assert_non_null(x);
	tg_bed_init(&x->bed);
	(void)snprintf(x->out, sizeof(x->out), "%s/out", x->bed.dir);
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	struct example *x = *state;

	tg_free(x->tg);
	if (x->pid > 0) {
		(void)kill(x->pid, SIGKILL);
		(void)waitpid(x->pid, NULL, 0);
	}
	(void)unlink(x->out);
	tg_bed_fini(&x->bed);
	free(x);
	return 0;
}

static void start(struct example *x)
{
	char *argv[] = { (char *)(uintptr_t) "bytescan", (char *)(uintptr_t) "-l", x->bed.listen,
		(char *)(uintptr_t) "-a", x->bed.ca, (char *)(uintptr_t) "-c", x->bed.cert,
		(char *)(uintptr_t) "-k", x->bed.key, (char *)(uintptr_t) "-m",
		(char *)(uintptr_t) "host1", (char *)(uintptr_t) "-v",
		(char *)(uintptr_t) "quarantine", (char *)(uintptr_t) "N33DLE", NULL };
	uint64_t until = io_clock_mono_ms() + TG_WAIT_MS;
	struct io_endpoint ep;
	int fd = -1;

	x->pid = run(x, argv);
	/* its socket may be there before it listens */
	assert_int_equal(io_endpoint_parse(x->bed.listen, &ep), 0);
	while (io_sock_connect(&ep, &fd) != 0 && io_clock_mono_ms() < until) {
		assert_int_equal(waitpid(x->pid, NULL, WNOHANG), 0);
		(void)sched_yield();
	}
	assert_true(fd >= 0);
	(void)close(fd);
	x->tg = tg_new(&x->bed, "host1");
	tg_up(x->tg, "web01");
}

static struct tg_verdict scan(struct example *x, const uint8_t *data, size_t len)
{
	struct tg_file file = { .path = "/home/alice/file",
		.data = data,
		.len = len,
		.deadline_ms = 60000,
		.done = EPS_RESULT_DONE };
	struct tg_verdict v;

	tg_verdict(x->tg, tg_event(x->tg, "web01", EPS_OP_OPEN, &file), &v);
	return v;
}

static void test_finds_the_pattern_wherever_it_is(void **state)
{
	static const size_t places[] = { 0, 100, 16381, 131069, 400000 - 6 };
	struct example *x = *state;
	uint8_t *data = fix_content(400000);
	uint64_t until;

	start(x);
	assert_int_equal(scan(x, data, 400000).kind, EPS_ALLOW);
	assert_true(scan(x, data, 1000).until_change);
	assert_int_equal(scan(x, data, 0).kind, EPS_ALLOW);
	for (size_t i = 0; i < GI_ARRAY_SIZE(places); i++) {
		uint8_t was[6];
		struct tg_verdict v;

		memcpy(was, data + places[i], 6);
		memcpy(data + places[i], "N33DLE", 6);
		v = scan(x, data, 400000);
		assert_int_equal(v.kind, EPS_QUARANTINE);
		assert_string_equal(v.signature, "Pattern");
		memcpy(data + places[i], was, 6);
	}
	until = io_clock_mono_ms() + TG_WAIT_MS;
	while (!said(x, "web01: done (session 5 of user alice): as told") &&
		io_clock_mono_ms() < until)
		(void)sched_yield();
	assert_true(said(x, "web01: done (session 5 of user alice): as told"));
	assert_int_equal(kill(x->pid, SIGTERM), 0);
	assert_int_equal(exit_code(x->pid), 0);
	x->pid = 0;
	tg_wait_cut(x->tg);
	free(data);
}

static void test_says_what_is_wrong(void **state)
{
	struct example *x = *state;
	char *nothing[] = { (char *)(uintptr_t) "bytescan", NULL };
	char *no_ca[] = { (char *)(uintptr_t) "bytescan", (char *)(uintptr_t) "-l", x->bed.listen,
		(char *)(uintptr_t) "-a", (char *)(uintptr_t) "/nowhere", (char *)(uintptr_t) "-c",
		x->bed.cert, (char *)(uintptr_t) "-k", x->bed.key, (char *)(uintptr_t) "X", NULL };

	assert_int_equal(exit_code(run(x, nothing)), 2);
	assert_true(said(x, "usage: bytescan"));
	assert_int_equal(exit_code(run(x, no_ca)), 1);
	assert_true(said(x, "/nowhere: cannot load the CA"));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_finds_the_pattern_wherever_it_is),
		T(test_says_what_is_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
