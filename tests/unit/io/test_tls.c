/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_tls.c - mutual TLS 1.3 over channels: lib/io/tls.h
 *
 * Both ends run in one loop over a socket pair. Peers that break the rules (no certificate, old
 * protocol) are OpenSSL used directly, step by step with the loop.
 */
#include "tests/unit/io/pair.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <openssl/ssl.h>
#include "lib/io/tls.h"
#include "tests/unit/io/certs.h"

#define MAX_FRAME 65536
#define MAX_QUEUE (1u << 20)

static struct {
	char dir[64];
	struct cert_ca *ca, *other;
} certs;

static struct pair pair;

static const char *file(const char *name)
{
	static char path[6][128];
	static int next;
	char *p = path[next = (next + 1) % 6];

	(void)snprintf(p, sizeof(path[0]), "%s/%s", certs.dir, name);
	return p;
}

static int group_setup(void **state)
{
	(void)state;
	(void)snprintf(certs.dir, sizeof(certs.dir), "/tmp/idfw-tls-XXXXXX");
	if (!mkdtemp(certs.dir))
		return -1;
	certs.ca = cert_ca_new(certs.dir, "ca");
	certs.other = cert_ca_new(certs.dir, "other");
	cert_issue(certs.ca, certs.dir, "svm", "svm01", "DNS:svm.lab,IP:10.77.9.2", 1);
	cert_issue(certs.ca, certs.dir, "host", "host01", NULL, 1);
	cert_issue(certs.ca, certs.dir, "expired", "host01", "DNS:svm.lab", -1);
	cert_issue(certs.ca, certs.dir, "nameless", NULL, "DNS:svm.lab", 1);
	cert_issue(certs.ca, certs.dir, "forged", "host01\nevil", NULL, 1);
	cert_issue(certs.other, certs.dir, "stranger", "host01", "DNS:svm.lab", 1);
	return 0;
}

static int group_teardown(void **state)
{
	struct dirent *de;
	DIR *d = opendir(certs.dir);

	(void)state;
	while (d && (de = readdir(d))) {
		if (de->d_name[0] != '.')
			unlinkat(dirfd(d), de->d_name, 0);
	}
	closedir(d);
	cert_ca_free(certs.ca);
	cert_ca_free(certs.other);
	return rmdir(certs.dir);
}

static struct io_tls *tls(bool server, const char *cert, const char *ca, const char *want)
{
	char cert_name[32], key_name[32], ca_name[32], why[256] = "";
	struct io_tls_conf conf = { .server = server };
	struct io_tls_ctx *ctx = NULL;
	struct io_tls *t = NULL;

	(void)snprintf(cert_name, sizeof(cert_name), "%s.pem", cert);
	(void)snprintf(key_name, sizeof(key_name), "%s.key", cert);
	(void)snprintf(ca_name, sizeof(ca_name), "%s.pem", ca);
	conf.cert_file = file(cert_name);
	conf.key_file = file(key_name);
	conf.ca_file = file(ca_name);
	if (io_tls_ctx_new(&conf, why, &ctx) < 0)
		fail_msg("%s", why);
	assert_int_equal(io_tls_new(ctx, want, &t), 0);
	assert_string_equal(io_tls_peer_name(t), "");
	io_tls_ctx_free(ctx); /* connections keep what they need of it */
	return t;
}

/* a is the client, b the server */
static void connect_pair(struct io_tls *client, struct io_tls *server)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	end_wrap(&pair, &pair.a, fds[0], client, MAX_FRAME, MAX_QUEUE);
	end_wrap(&pair, &pair.b, fds[1], server, MAX_FRAME, MAX_QUEUE);
}

static void good_pair(void)
{
	connect_pair(tls(false, "host", "ca", "svm.lab"), tls(true, "svm", "ca", NULL));
	pair_until(&pair, pair.a.ready && pair.b.ready);
}

static int setup(void **state)
{
	(void)state;
	pair_init(&pair);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	pair_fini(&pair);
	return 0;
}

static void test_handshake_both_know_each_other(void **state)
{
	(void)state;
	good_pair();
	assert_string_equal(io_tls_peer_name(io_chan_tls(pair.b.chan)), "host01");
	assert_string_equal(io_tls_peer_name(io_chan_tls(pair.a.chan)), "svm01");
	assert_int_equal(io_chan_send(pair.a.chan, "up", 2), 0);
	assert_int_equal(io_chan_send(pair.b.chan, "down", 4), 0);
	pair_until(&pair, pair.a.frames == 1 && pair.b.frames == 1);
	assert_memory_equal(pair.a.last, "down", 4);
}

static void test_handshake_by_address_uses_ip_names(void **state)
{
	(void)state;
	connect_pair(tls(false, "host", "ca", "10.77.9.2"), tls(true, "svm", "ca", NULL));
	pair_until(&pair, pair.a.ready && pair.b.ready);
}

static void test_handshake_server_without_cn_is_fine(void **state)
{
	(void)state;
	connect_pair(tls(false, "host", "ca", "svm.lab"), tls(true, "nameless", "ca", NULL));
	pair_until(&pair, pair.a.ready && pair.b.ready);
	assert_string_equal(io_tls_peer_name(io_chan_tls(pair.a.chan)), "");
}

static void test_send_before_the_handshake_waits_for_it(void **state)
{
	(void)state;
	connect_pair(tls(false, "host", "ca", "svm.lab"), tls(true, "svm", "ca", NULL));
	assert_int_equal(io_chan_send(pair.a.chan, "early", 5), 0);
	pair_until(&pair, pair.b.frames == 1);
	assert_memory_equal(pair.b.last, "early", 5);
}

static void test_send_megabytes_arrive_whole(void **state)
{
	static uint8_t buf[MAX_FRAME];
	uint64_t sent_a = 0, sent_b = 0;
	uint32_t sum_a = 0, sum_b = 0;

	(void)state;
	good_pair();
	for (size_t i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)(i * 13);
	while (pair.a.frames < 300 || pair.b.frames < 300) {
		while (sent_a < 300 && io_chan_send(pair.a.chan, buf, MAX_FRAME - sent_a) == 0) {
			sum_a = pair_sum(sum_a, buf, MAX_FRAME - sent_a);
			sent_a++;
		}
		while (sent_b < 300 && io_chan_send(pair.b.chan, buf + sent_b, 100 + sent_b) == 0) {
			sum_b = pair_sum(sum_b, buf + sent_b, 100 + sent_b);
			sent_b++;
		}
		io_loop_run_once(pair.loop, PAIR_WAIT_MS);
		assert_int_equal(pair.a.closed + pair.b.closed, 0);
	}
	assert_int_equal(pair.b.sum, sum_a);
	assert_int_equal(pair.a.sum, sum_b);
}

static void pause_on_frame(struct end *e)
{
	io_chan_read_pause(e->chan);
}

static void test_pause_keeps_what_tls_already_decrypted(void **state)
{
	(void)state;
	good_pair();
	pair.b.on_frame = pause_on_frame;
	for (int i = 0; i < 50; i++) /* one write, one record */
		assert_int_equal(io_chan_send(pair.a.chan, "0123456789", 10), 0);
	for (uint64_t i = 1; i <= 50; i++) {
		pair_until(&pair, pair.b.frames == i);
		io_loop_run_once(pair.loop, 0);
		assert_int_equal(pair.b.frames, i);
		io_chan_read_resume(pair.b.chan);
	}
}

/* a record each of @n frames of @len bytes, all of them in b's socket before it reads one */
static void send_while_paused(uint64_t n, size_t len)
{
	static uint8_t buf[MAX_FRAME];

	io_chan_read_pause(pair.b.chan);
	for (uint64_t i = 0; i < n; i++) {
		assert_int_equal(io_chan_send(pair.a.chan, buf, len), 0);
		io_loop_run_once(pair.loop, 0);
	}
	assert_int_equal(io_chan_queued(pair.a.chan), 0);
	assert_int_equal(pair.b.frames, 0);
}

/* OpenSSL takes them from the socket together; poll tells of none of them any more */
static void test_read_ahead_hands_out_all_records(void **state)
{
	(void)state;
	good_pair();
	send_while_paused(50, 10);
	io_chan_read_resume(pair.b.chan);
	pair_until(&pair, pair.b.frames == 50);
	assert_int_equal(pair.b.bytes, 500);
}

static void test_read_ahead_pause_keeps_records(void **state)
{
	(void)state;
	good_pair();
	send_while_paused(50, 10);
	pair.b.on_frame = pause_on_frame;
	for (uint64_t i = 1; i <= 50; i++) {
		io_chan_read_resume(pair.b.chan);
		pair_until(&pair, pair.b.frames == i);
		io_loop_run_once(pair.loop, 0);
		assert_int_equal(pair.b.frames, i);
	}
}

/* more than one gulp: it stops for others, and goes on without another byte from the peer */
static void test_read_ahead_goes_on_after_a_gulp(void **state)
{
	int room = 1 << 20;

	(void)state;
	good_pair();
	assert_int_equal(
		setsockopt(io_chan_fd(pair.a.chan), SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)), 0);
	send_while_paused(60, 3001);
	io_chan_read_resume(pair.b.chan);
	pair_until(&pair, pair.b.frames == 60);
	assert_int_equal(pair.b.bytes, 60 * 3001);
}

static void test_read_ahead_end_comes_behind_the_records(void **state)
{
	(void)state;
	good_pair();
	send_while_paused(20, 10);
	end_free(&pair.a);
	io_chan_read_resume(pair.b.chan);
	pair_until(&pair, pair.b.closed);
	assert_int_equal(pair.b.frames, 20);
	assert_int_equal(pair.b.err, -GI_ECLOSED);
}

static void test_close_is_eclosed_with_close_notify(void **state)
{
	(void)state;
	good_pair();
	assert_int_equal(io_chan_send(pair.a.chan, "bye", 3), 0);
	end_free(&pair.a);
	pair_until(&pair, pair.b.closed);
	assert_int_equal(pair.b.frames, 1);
	assert_int_equal(pair.b.err, -GI_ECLOSED);
}

static void test_close_without_close_notify_is_etls(void **state)
{
	(void)state;
	good_pair();
	assert_int_equal(shutdown(io_chan_fd(pair.a.chan), SHUT_RDWR), 0);
	pair_until(&pair, pair.b.closed);
	assert_int_equal(pair.b.err, -GI_ETLS);
}

static void test_client_refuses_bad_servers(void **state)
{
	static const struct {
		const char *cert, *want, *why;
	} t[] = {
		{ "stranger", "svm.lab", "unable to get local issuer certificate" },
		{ "expired", "svm.lab", "certificate has expired" },
		{ "svm", "other.lab", "ostname mismatch" },
		{ "svm", "svm01", "ostname mismatch" }, /* the CN is no name */
		{ "svm", "10.77.9.3", "IP address mismatch" },
		{ "host", "svm.lab", "ostname mismatch" },
	};

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(t); i++) {
		if (i > 0) {
			pair_fini(&pair);
			pair_init(&pair);
		}
		connect_pair(tls(false, "host", "ca", t[i].want), tls(true, t[i].cert, "ca", NULL));
		pair_until(&pair, pair.a.closed && pair.b.closed);
		assert_int_equal(pair.a.ready, 0);
		assert_int_equal(pair.b.ready, 0);
		assert_int_equal(pair.a.err, -GI_ETLS);
		assert_int_equal(pair.b.err, -GI_ETLS);
		if (!strstr(pair.a.why, t[i].why))
			fail_msg("row %zu: %s", i, pair.a.why);
	}
}

static void test_server_refuses_bad_clients(void **state)
{
	static const struct {
		const char *cert, *why;
	} t[] = {
		{ "stranger", "unable to get local issuer certificate" },
		{ "expired", "certificate has expired" },
		{ "nameless", "no usable CN" },
		{ "forged", "no usable CN" },
	};

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(t); i++) {
		if (i > 0) {
			pair_fini(&pair);
			pair_init(&pair);
		}
		connect_pair(tls(false, t[i].cert, "ca", "svm.lab"), tls(true, "svm", "ca", NULL));
		assert_int_equal(io_chan_send(pair.a.chan, "let me in", 9), 0);
		pair_until(&pair, pair.b.closed);
		assert_int_equal(pair.b.ready, 0);
		assert_int_equal(pair.b.frames, 0);
		assert_int_equal(pair.b.err, -GI_ETLS);
		if (!strstr(pair.b.why, t[i].why))
			fail_msg("row %zu: %s", i, pair.b.why);
		end_free(&pair.b);
		pair_until(&pair, pair.a.closed); /* and the client hears of it */
	}
}

static void free_end(struct end *e)
{
	end_free(e);
}

static void test_client_that_was_refused_learns_why_though_its_write_fails(void **state)
{
	(void)state;
	connect_pair(tls(false, "stranger", "ca", "svm.lab"), tls(true, "svm", "ca", NULL));
	pair.b.on_closed = free_end;
	pair_until(&pair, pair.a.ready);
	io_chan_read_pause(pair.a.chan);
	pair_until(&pair, pair.b.closed);
	io_chan_read_resume(pair.a.chan);
	assert_int_equal(io_chan_send(pair.a.chan, "hello", 5), 0); /* meets EPIPE first */
	pair_until(&pair, pair.a.closed);
	assert_int_equal(pair.a.err, -GI_ETLS);
	if (!strstr(pair.a.why, "unknown ca"))
		fail_msg("%s", pair.a.why);
}

static void test_server_talked_to_in_plain_is_etls(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	end_wrap(&pair, &pair.b, fds[1], tls(true, "svm", "ca", NULL), MAX_FRAME, MAX_QUEUE);
	pair.a.fd = fds[0];
	assert_int_equal(write(fds[0], "\0\0\0\5helloGET / HTTP/1.0\r\n\r\n", 27), 27);
	pair_until(&pair, pair.b.closed);
	assert_int_equal(pair.b.err, -GI_ETLS);
	assert_int_equal(pair.b.ready, 0);
}

static void test_handshake_cut_off_is_an_error(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	end_wrap(&pair, &pair.b, fds[1], tls(true, "svm", "ca", NULL), MAX_FRAME, MAX_QUEUE);
	assert_int_equal(write(fds[0], "\x16\x03\x01", 3), 3);
	close(fds[0]);
	pair_until(&pair, pair.b.closed);
	assert_int_equal(pair.b.err, -GI_ETLS);
	assert_int_equal(pair.b.ready, 0);
}

/* a client that is OpenSSL itself against our server; until the server made up its mind */
static void rogue_client(SSL_CTX *ctx)
{
	SSL *ssl = SSL_new(ctx);
	int fds[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	end_wrap(&pair, &pair.b, fds[1], tls(true, "svm", "ca", NULL), MAX_FRAME, MAX_QUEUE);
	assert_int_equal(SSL_set_fd(ssl, fds[0]), 1);
	SSL_set_connect_state(ssl);
	for (int i = 0; i < 100 && !pair.b.closed && !pair.b.ready; i++) {
		(void)SSL_do_handshake(ssl);
		io_loop_run_once(pair.loop, 10);
	}
	SSL_free(ssl);
	close(fds[0]);
	SSL_CTX_free(ctx);
}

static void test_server_refuses_client_without_certificate(void **state)
{
	(void)state;
	rogue_client(SSL_CTX_new(TLS_client_method()));
	assert_int_equal(pair.b.ready, 0);
	assert_int_equal(pair.b.closed, 1);
	assert_int_equal(pair.b.err, -GI_ETLS);
	assert_non_null(strstr(pair.b.why, "did not return a certificate"));
}

static void test_server_refuses_tls_1_2(void **state)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	(void)state;
	assert_int_equal(SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION), 1);
	assert_int_equal(SSL_CTX_use_certificate_chain_file(ctx, file("host.pem")), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey_file(ctx, file("host.key"), SSL_FILETYPE_PEM), 1);
	rogue_client(ctx);
	assert_int_equal(pair.b.ready, 0);
	assert_int_equal(pair.b.err, -GI_ETLS);
	assert_non_null(strstr(pair.b.why, "unsupported protocol"));
}

static void test_server_takes_a_well_behaved_openssl(void **state)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	/* the control of the two above: only the rule that is broken makes the difference */
	(void)state;
	assert_int_equal(SSL_CTX_use_certificate_chain_file(ctx, file("host.pem")), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey_file(ctx, file("host.key"), SSL_FILETYPE_PEM), 1);
	rogue_client(ctx);
	assert_int_equal(pair.b.ready, 1);
}

static void test_ctx_bad_files_say_why(void **state)
{
	struct {
		const char *ca, *cert, *key;
		int err;
		const char *why;
	} t[] = {
		{ "none.pem", "host.pem", "host.key", -GI_ETLS, "none.pem" },
		{ "ca.pem", "none.pem", "host.key", -GI_ETLS, "none.pem" },
		{ "ca.pem", "host.pem", "none.key", -ENOENT, "none.key" },
		{ "ca.pem", "host.pem", "svm.key", -GI_ETLS, "svm.key" },
		{ "host.key", "host.pem", "host.key", -GI_ETLS, "host.key" },
		{ "ca.pem", "host.key", "host.key", -GI_ETLS, "host.key" },
		{ "ca.pem", "host.pem", "open.key", -EACCES, "chmod" },
	};
	struct io_tls_ctx *ctx = NULL;
	char why[256];
	int fd = open(file("open.key"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	(void)state;
	assert_int_equal(fchmod(fd, 0640), 0);
	close(fd);
	for (size_t i = 0; i < GI_ARRAY_SIZE(t); i++) {
		struct io_tls_conf conf = { file(t[i].ca), file(t[i].cert), file(t[i].key), true };

		assert_int_equal(io_tls_ctx_new(&conf, why, &ctx), t[i].err);
		if (!strstr(why, t[i].why))
			fail_msg("row %zu: %s", i, why);
		assert_null(ctx);
	}
}

static void test_new_name_must_fit_the_role(void **state)
{
	struct io_tls_conf conf = { file("ca.pem"), file("svm.pem"), file("svm.key"), true };
	struct io_tls_ctx *server = NULL, *client = NULL;
	char why[256], name[300];
	struct io_tls *t = NULL;

	(void)state;
	assert_int_equal(io_tls_ctx_new(&conf, why, &server), 0);
	conf.server = false;
	assert_int_equal(io_tls_ctx_new(&conf, why, &client), 0);
	assert_int_equal(io_tls_new(server, "svm.lab", &t), -EINVAL);
	assert_int_equal(io_tls_new(client, NULL, &t), -EINVAL);
	assert_int_equal(io_tls_new(client, "", &t), -EINVAL);
	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(io_tls_new(client, name, &t), -EINVAL);
	assert_null(t);
	io_tls_free(NULL);
	io_tls_ctx_free(NULL);
	io_tls_ctx_free(server);
	io_tls_ctx_free(client);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_handshake_both_know_each_other),
		T(test_handshake_by_address_uses_ip_names),
		T(test_handshake_server_without_cn_is_fine),
		T(test_send_before_the_handshake_waits_for_it),
		T(test_send_megabytes_arrive_whole),
		T(test_pause_keeps_what_tls_already_decrypted),
		T(test_read_ahead_hands_out_all_records),
		T(test_read_ahead_pause_keeps_records),
		T(test_read_ahead_goes_on_after_a_gulp),
		T(test_read_ahead_end_comes_behind_the_records),
		T(test_close_is_eclosed_with_close_notify),
		T(test_close_without_close_notify_is_etls),
		T(test_client_refuses_bad_servers),
		T(test_server_refuses_bad_clients),
		T(test_client_that_was_refused_learns_why_though_its_write_fails),
		T(test_server_talked_to_in_plain_is_etls),
		T(test_handshake_cut_off_is_an_error),
		T(test_server_refuses_client_without_certificate),
		T(test_server_refuses_tls_1_2),
		T(test_server_takes_a_well_behaved_openssl),
		cmocka_unit_test(test_ctx_bad_files_say_why),
		cmocka_unit_test(test_new_name_must_fit_the_role),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
