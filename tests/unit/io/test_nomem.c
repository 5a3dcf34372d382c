/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_nomem.c - every allocation of lib/io fails once
 *
 * Nothing may leak or crash (the sanitizer build looks), and a lost allocation is always told:
 * by the call, or by closed().
 */
#include "tests/unit/io/pair.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include "lib/io/tls.h"
#include "tests/unit/faults.h"
#include "tests/unit/io/certs.h"

static char dir[64];

static int talk(void *arg)
{
	static uint8_t buf[5000];
	const struct io_chan_conf conf = { 10000, 100000 };
	struct pair p = { 0 };
	int fds[2] = { -1, -1 }, err;

	(void)arg;
	p.a.fd = p.b.fd = -1;
	err = io_loop_new(&p.loop);
	if (err < 0)
		return err;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	err = io_chan_new(p.loop, fds[0], NULL, &conf, &end_ops, &p.a, &p.a.chan);
	if (err < 0) {
		assert_int_equal(fcntl(fds[0], F_GETFD), -1);
		close(fds[1]);
		goto out;
	}
	err = io_chan_new(p.loop, fds[1], NULL, &conf, &end_ops, &p.b, &p.b.chan);
	for (size_t n = 1; err == 0 && n <= sizeof(buf); n *= 10)
		err = io_chan_send(p.a.chan, buf, n);
	if (err < 0)
		goto out;
	for (int i = 0; i < 100 && p.b.frames < 4 && !p.b.closed; i++)
		io_loop_run_once(p.loop, PAIR_WAIT_MS);
	err = p.b.closed ? p.b.err : 0;
	if (err == 0)
		assert_int_equal(p.b.frames, 4);
out:
	pair_fini(&p);
	return err;
}

static void test_channel_without_memory_tells(void **state)
{
	(void)state;
	assert_true(faults_each(talk, NULL, 1) >= 5);
}

static int make_tls(void *arg)
{
	char ca[128], cert[128], key[128], why[256];
	struct io_tls_conf conf = { ca, cert, key, false };
	struct io_tls_ctx *ctx = NULL;
	struct io_tls *t = NULL;
	int err;

	(void)arg;
	(void)snprintf(ca, sizeof(ca), "%s/ca.pem", dir);
	(void)snprintf(cert, sizeof(cert), "%s/host.pem", dir);
	(void)snprintf(key, sizeof(key), "%s/host.key", dir);
	err = io_tls_ctx_new(&conf, why, &ctx);
	if (err == 0)
		err = io_tls_new(ctx, "svm.lab", &t);
	io_tls_free(t);
	io_tls_ctx_free(ctx);
	return err;
}

static void test_tls_without_memory_is_enomem(void **state)
{
	(void)state;
	assert_int_equal(faults_each(make_tls, NULL, 1), 2);
}

/* the channel that could not be made has taken descriptor and TLS, and frees both */
static int new_with_tls(void *arg)
{
	const struct io_chan_conf conf = { 100, 100 };
	char ca[128], cert[128], key[128], why[256];
	struct io_tls_conf tls_conf = { ca, cert, key, true };
	struct io_tls_ctx *ctx = NULL;
	struct io_chan *c = NULL;
	struct io_tls *t = NULL;
	int fds[2], err;

	(void)snprintf(ca, sizeof(ca), "%s/ca.pem", dir);
	(void)snprintf(cert, sizeof(cert), "%s/host.pem", dir);
	(void)snprintf(key, sizeof(key), "%s/host.key", dir);
	err = io_tls_ctx_new(&tls_conf, why, &ctx);
	if (err == 0)
		err = io_tls_new(ctx, NULL, &t);
	io_tls_ctx_free(ctx);
	if (err < 0)
		return err;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	err = io_chan_new(arg, fds[0], t, &conf, &end_ops, NULL, &c);
	io_chan_free(c);
	close(fds[1]);
	return err;
}

static void test_channel_that_was_not_made_frees_its_tls(void **state)
{
	struct io_loop *loop = NULL;

	(void)state;
	assert_int_equal(io_loop_new(&loop), 0);
	assert_int_equal(faults_each(new_with_tls, loop, 1), 3);
	io_loop_free(loop);
	io_loop_free(NULL);
}

static int group_setup(void **state)
{
	struct cert_ca *ca;

	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/idfw-nomem-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	ca = cert_ca_new(dir, "ca");
	cert_issue(ca, dir, "host", "host01", NULL, 1);
	cert_ca_free(ca);
	return 0;
}

static int group_teardown(void **state)
{
	static const char *const names[] = { "ca.pem", "host.pem", "host.key" };
	char path[128];

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(names); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_channel_without_memory_tells),
		cmocka_unit_test(test_tls_without_memory_is_enomem),
		cmocka_unit_test(test_channel_that_was_not_made_frees_its_tls),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
