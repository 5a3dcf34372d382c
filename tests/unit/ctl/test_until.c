/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_until.c - a control socket's request that says until when somebody waits for what comes of
 * it
 *
 * Requests are written by hand, all the rest is the real one. A service that gets to a request too
 * late (it was stopped, or busy) must not carry it out: whoever asked has been told that it failed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/ctl/ctl.h"
#include "lib/io/frame.h"

struct fix {
	char dir[32], endpoint[64];
	struct io_loop *loop;
	struct gi_ctl *ctl;
	unsigned int begun;
	char said[256];
};

static int op_begin(void *arg, struct gi_ctl_client *cl, const Idfw__CtlRequest *r,
	const char *data, size_t len, const char *by, void **ret_query)
{
	struct fix *f = arg;

	(void)cl;
	(void)data;
	(void)len;
	(void)by;
	assert_string_equal(r->verb, "isolate");
	f->begun++;
	*ret_query = f;
	return 0;
}

static enum gi_ctl_step op_step(void *query, const struct gi_ctl_out *out)
{
	(void)query;
	(void)out;
	return GI_CTL_DONE;
}

static uint32_t op_end(void *query, const char **ret_why)
{
	(void)query;
	*ret_why = "";
	return 0;
}

static void op_free(void *query)
{
	(void)query;
}

static void op_log(void *arg, enum gi_log_level level, const char *text)
{
	struct fix *f = arg;

	(void)level;
	(void)snprintf(f->said, sizeof(f->said), "%s", text);
}

static int setup(void **state)
{
	static const struct gi_ctl_ops ops = { op_begin, op_step, op_end, op_free, op_log };
	struct fix *f = calloc(1, sizeof(*f));
	struct gi_ctl_conf conf = { .endpoint = f->endpoint, .software = "test" };

	(void)snprintf(f->dir, sizeof(f->dir), "/tmp/idfw-ctl-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	(void)snprintf(f->endpoint, sizeof(f->endpoint), "unix:%s/s", f->dir);
	assert_int_equal(io_loop_new(&f->loop), 0);
	assert_int_equal(gi_ctl_new(f->loop, &conf, &ops, f, &f->ctl), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;

	gi_ctl_free(f->ctl);
	io_loop_free(f->loop);
	(void)unlink(f->endpoint + strlen("unix:"));
	(void)rmdir(f->dir);
	free(f);
	return 0;
}

/* sends such a request; bytes of the answer that came before the service closed, or all of it */
static size_t ask(struct fix *f, uint64_t until_ms)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	Idfw__CtlRequest r = IDFW__CTL_REQUEST__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	char verb[] = "isolate";
	uint8_t head[IO_FRAME_HEAD], answer[256];
	struct gi_buf out;
	ssize_t n;

	gi_buf_init(&out, WIRE_FRAME_MAX);
	r.verb = verb;
	r.until_ms = until_ms;
	e.body_case = IDFW__ENVELOPE__BODY_CTL_REQUEST;
	e.ctl_request = &r;
	assert_int_equal(wire_envelope_encode(&e, &out), 0);
	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s", f->endpoint + strlen("unix:"));
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	io_frame_head(head, out.len);
	assert_int_equal(write(fd, head, sizeof(head)), sizeof(head));
	assert_int_equal(write(fd, out.data, out.len), out.len);
	gi_buf_fini(&out);
	while ((n = read(fd, answer, sizeof(answer))) < 0)
		io_loop_run_once(f->loop, 100);
	close(fd);
	return (size_t)n;
}

static void test_until_the_past_nothing_is_done(void **state)
{
	struct fix *f = *state;

	assert_int_equal(ask(f, io_clock_mono_ms()), 0);
	assert_int_equal(f->begun, 0);
	assert_non_null(strstr(f->said, "does not wait any more: it is not done"));
}

static void test_until_the_future_or_none_it_is_done(void **state)
{
	struct fix *f = *state;

	assert_true(ask(f, io_clock_mono_ms() + 3600000) > 0);
	assert_int_equal(f->begun, 1);
	assert_true(ask(f, 0) > 0);
	assert_int_equal(f->begun, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_until_the_past_nothing_is_done, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_until_the_future_or_none_it_is_done, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
