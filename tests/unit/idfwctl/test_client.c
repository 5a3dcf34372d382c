/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_client.c - a socket that is not there, not ours, or silent; requests that cannot be sent
 *
 * Conversations that get an answer are in cli.sh.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "idfwctl/client.h"
#include "lib/io/frame.h"
#include "lib/io/loop.h"
#include "lib/wire/wire.h"

static char dir[] = "/tmp/idfwctl-test-XXXXXX";

static int set_up(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	return rmdir(dir);
}

static void path_of(const char *name, char path[64])
{
	snprintf(path, 64, "%s/%s", dir, name);
}

/* a listening socket that nobody accepts on: connections wait in its queue */
static int listen_at(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 4), 0);
	return fd;
}

static int no_row(void *arg, const char *json)
{
	(void)arg;
	(void)json;
	return 0;
}

static int no_text(void *arg, const void *data, size_t len)
{
	(void)arg;
	(void)data;
	(void)len;
	return 0;
}

static const struct ctl_sink sink = { no_row, no_text, NULL };

static void test_ctl_client_open_failures_say_what_to_do(void **state)
{
	char path[64], long_path[300], why[CTL_WHY_MAX];
	struct ctl_client *c = NULL;
	int fd;

	(void)state;
	path_of("none", path);
	assert_int_equal(ctl_client_open("svm-idfw", path, 50, &c, why), -ENOENT);
	assert_non_null(strstr(why, "svm-idfw is not running at "));
	assert_non_null(strstr(why, "-s SOCKET or IDFW_SOCKET"));
	/* nobody listens any more */
	fd = listen_at(path);
	close(fd);
	assert_int_equal(ctl_client_open("svm-idfw", path, 50, &c, why), -ECONNREFUSED);
	assert_non_null(strstr(why, "svm-idfw is not running at "));
	unlink(path);
	memset(long_path, 'a', sizeof(long_path));
	long_path[0] = '/';
	long_path[sizeof(long_path) - 1] = '\0';
	assert_int_equal(ctl_client_open("svm-idfw", long_path, 50, &c, why), -EINVAL);
	assert_non_null(strstr(why, "cannot be a unix socket's path"));
	assert_null(c);
}

/* what a client has sent: until when its request (its second message) is to be done */
static uint64_t asked_until(int listener)
{
	uint8_t buf[4096];
	const char *why = "";
	Idfw__Envelope *e;
	int fd = accept(listener, NULL, NULL);
	ssize_t n = read(fd, buf, sizeof(buf));
	size_t hello, len;
	uint64_t until;

	assert_true(n > 0);
	assert_int_equal(io_frame_next(buf, (size_t)n, WIRE_FRAME_MAX, &hello), 0);
	hello += IO_FRAME_HEAD;
	assert_int_equal(io_frame_next(buf + hello, (size_t)n - hello, WIRE_FRAME_MAX, &len), 0);
	assert_int_equal(wire_envelope_decode(
				 buf + hello + IO_FRAME_HEAD, len, WIRE_CTL, WIRE_OPEN, &e, &why),
		0);
	until = e->ctl_request->until_ms;
	wire_envelope_free(e);
	close(fd);
	return until;
}

static void test_ctl_client_call_silent_server_times_out(void **state)
{
	struct ctl_request rq = { .verb = "who" };
	char path[64], endpoint[72], why[CTL_WHY_MAX];
	uint64_t start = io_clock_mono_ms(), until;
	struct ctl_client *c = NULL;
	unsigned int status = 7;
	int fd;

	(void)state;
	path_of("silent", path);
	snprintf(endpoint, sizeof(endpoint), "unix:%s", path);
	fd = listen_at(path);
	assert_int_equal(ctl_client_open("svm-idfw", endpoint, 300, &c, why), 0);
	assert_int_equal(ctl_client_call(c, &rq, &sink, &status, why), -ETIMEDOUT);
	assert_non_null(strstr(why, "does not answer"));
	assert_int_equal(status, 7);
	until = asked_until(fd);
	assert_true(until >= start + 300 && until <= io_clock_mono_ms());
	ctl_client_close(c);
	close(fd);
	unlink(path);
	ctl_client_close(NULL);
}

static void test_ctl_client_call_impossible_requests_are_not_sent(void **state)
{
	static char text[WIRE_CTL_DATA_MAX + 1];
	static const char *const control[] = { "a\033b" };
	char path[64], why[CTL_WHY_MAX];
	struct ctl_request large = { .verb = "policy-check", .data = text, .len = sizeof(text) };
	struct ctl_request unclean = { .verb = "who", .args = control, .n_args = 1 };
	struct ctl_client *c = NULL;
	unsigned int status = 0;
	int fd;

	(void)state;
	path_of("x", path);
	fd = listen_at(path);
	assert_int_equal(ctl_client_open("svm-idfw", path, 20, &c, why), 0);
	assert_int_equal(ctl_client_call(c, &large, &sink, &status, why), -GI_ELIMIT);
	assert_non_null(strstr(why, "at most 4 MiB"));
	ctl_client_close(c);
	assert_int_equal(ctl_client_open("svm-idfw", path, 20, &c, why), 0);
	assert_int_equal(ctl_client_call(c, &unclean, &sink, &status, why), -EINVAL);
	assert_non_null(strstr(why, "control characters"));
	ctl_client_close(c);
	close(fd);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ctl_client_open_failures_say_what_to_do),
		cmocka_unit_test(test_ctl_client_call_silent_server_times_out),
		cmocka_unit_test(test_ctl_client_call_impossible_requests_are_not_sent),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
