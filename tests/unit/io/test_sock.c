/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_sock.c - endpoints, listening, connecting, back-off: lib/io/sock.h
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "lib/io/sock.h"

static char dir[64], path[96];

static int setup(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/idfw-sock-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	(void)snprintf(path, sizeof(path), "%s/s", dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	(void)unlink(path);
	return rmdir(dir);
}

static struct io_endpoint endpoint(const char *text)
{
	struct io_endpoint e;

	assert_int_equal(io_endpoint_parse(text, &e), 0);
	assert_string_equal(e.text, text);
	return e;
}

static struct io_endpoint endpoint_here(void)
{
	char text[128];

	(void)snprintf(text, sizeof(text), "unix:%s", path);
	return endpoint(text);
}

static void assert_born_right(int fd)
{
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
}

static void wait_for(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	assert_int_equal(poll(&p, 1, 5000), 1);
}

static void test_endpoint_good_text(void **state)
{
	struct io_endpoint e;

	(void)state;
	e = endpoint("unix:/run/idfw/mux.sock_5005");
	assert_int_equal(e.u.sa.sa_family, AF_UNIX);
	assert_int_equal(e.type, SOCK_STREAM);
	assert_string_equal(e.u.un.sun_path, "/run/idfw/mux.sock_5005");
	e = endpoint("vsock:2:5005");
	assert_int_equal(e.u.vm.svm_family, AF_VSOCK);
	assert_int_equal(e.u.vm.svm_cid, 2);
	assert_int_equal(e.u.vm.svm_port, 5005);
	e = endpoint("vsock:any:5005");
	assert_int_equal(e.u.vm.svm_cid, VMADDR_CID_ANY);
	e = endpoint("tcp:10.77.9.2:5443");
	assert_int_equal(e.u.in.sin_family, AF_INET);
	assert_int_equal(e.u.in.sin_port, htons(5443));
	assert_int_equal(e.u.in.sin_addr.s_addr, inet_addr("10.77.9.2"));
	assert_int_equal(e.len, sizeof(struct sockaddr_in));
	e = endpoint("tcp:[fd77::2]:65535");
	assert_int_equal(e.u.in6.sin6_family, AF_INET6);
	assert_int_equal(e.u.in6.sin6_port, htons(65535));
	assert_int_equal(e.len, sizeof(struct sockaddr_in6));
}

static void test_endpoint_bad_text_is_einval(void **state)
{
	static const char *const t[] = { "", "x", "unix:", "unix:relative", "vsock:2", "vsock:2:0",
		"vsock::5", "vsock:-1:5", "vsock:2:5:5", "vsock:4294967295:1", "vsock:2:4294967295",
		"vsock:99999999999999999:5", "tcp:", "tcp:5443", "tcp::5443", "tcp:10.0.0.1",
		"tcp:10.0.0.1:0", "tcp:10.0.0.1:65536", "tcp:10.0.0.1:x", "tcp:localhost:80",
		"tcp:fd77::2:80", "tcp:[fd77::2:80", "tcp:[fd77::2]", "tcp:[]:80", "tcp:[:80",
		"tcp:[10.0.0.1]:80", "udp:10.0.0.1:53", "UNIX:/x",
		"tcp:[1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb]:80" };
	struct io_endpoint e = { .type = 77 };

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(t); i++)
		assert_int_equal(io_endpoint_parse(t[i], &e), -EINVAL);
	assert_int_equal(e.type, 77);
}

static void test_endpoint_too_long_is_elimit(void **state)
{
	char text[300] = "unix:/";
	struct io_endpoint e;

	(void)state;
	memset(text + 6, 'x', 107);
	text[5 + 108] = '\0'; /* a path of 108 bytes: no room for the NUL */
	assert_int_equal(io_endpoint_parse(text, &e), -GI_ELIMIT);
	text[5 + 107] = '\0';
	assert_int_equal(io_endpoint_parse(text, &e), 0);
	memset(text + 6, 'x', 250);
	assert_int_equal(io_endpoint_parse(text, &e), -GI_ELIMIT);
}

static void test_unix_listen_connect_accept_talk(void **state)
{
	struct io_endpoint e = endpoint_here();
	struct ucred cred;
	uint32_t cid;
	struct stat st;
	int l, c, s = -1;
	char b;

	(void)state;
	assert_int_equal(io_sock_listen(&e, 0660, &l), 0);
	assert_born_right(l);
	assert_int_equal(lstat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	assert_int_equal(io_sock_accept(l, &s), -EAGAIN);
	assert_int_equal(s, -1);
	assert_int_equal(io_sock_connect(&e, &c), 0);
	assert_born_right(c);
	assert_int_equal(io_sock_accept(l, &s), 0);
	assert_born_right(s);
	assert_int_equal(write(c, "x", 1), 1);
	assert_int_equal(read(s, &b, 1), 1);
	assert_int_equal(io_sock_peer_ucred(s, &cred), 0);
	assert_int_equal(cred.pid, getpid());
	assert_int_equal(cred.uid, getuid());
	assert_int_equal(io_sock_peer_cid(s, &cid, &(bool){ false }), -ENOTSUP);
	close(s);
	close(c);
	close(l);
}

static void test_unix_mode_does_not_depend_on_umask(void **state)
{
	struct io_endpoint e = endpoint_here();
	mode_t old = umask(077);
	struct stat st;
	int l;

	(void)state;
	assert_int_equal(io_sock_listen(&e, 0666, &l), 0);
	umask(old);
	assert_int_equal(lstat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0666);
	close(l);
}

static void test_unix_listen_seqpacket(void **state)
{
	struct io_endpoint e = endpoint_here();
	int l, c, s;
	char b[8];

	(void)state;
	e.type = SOCK_SEQPACKET;
	assert_int_equal(io_sock_listen(&e, 0600, &l), 0);
	assert_int_equal(io_sock_connect(&e, &c), 0);
	assert_int_equal(io_sock_accept(l, &s), 0);
	assert_int_equal(send(c, "ab", 2, 0), 2);
	assert_int_equal(send(c, "c", 1, 0), 1);
	assert_int_equal(recv(s, b, sizeof(b), 0), 2);
	close(s);
	close(c);
	close(l);
}

static void test_unix_listen_stale_file_is_replaced(void **state)
{
	struct io_endpoint e = endpoint_here();
	int l, again, c;

	(void)state;
	assert_int_equal(io_sock_listen(&e, 0600, &l), 0);
	close(l);
	assert_int_equal(io_sock_connect(&e, &c), -ECONNREFUSED);
	assert_int_equal(io_sock_listen(&e, 0600, &again), 0);
	assert_int_equal(io_sock_connect(&e, &c), 0);
	close(c);
	close(again);
}

static void test_unix_listen_live_server_is_eaddrinuse(void **state)
{
	struct io_endpoint e = endpoint_here();
	int l, again = -1, c;

	(void)state;
	assert_int_equal(io_sock_listen(&e, 0600, &l), 0);
	assert_int_equal(io_sock_listen(&e, 0600, &again), -EADDRINUSE);
	assert_int_equal(again, -1);
	assert_int_equal(io_sock_connect(&e, &c), 0); /* still the first one's */
	close(c);
	close(l);
}

static void test_unix_listen_never_removes_a_file(void **state)
{
	struct io_endpoint e = endpoint_here();
	struct stat st;
	int l, fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(io_sock_listen(&e, 0600, &l), -EADDRINUSE);
	assert_int_equal(lstat(path, &st), 0);
	assert_true(S_ISREG(st.st_mode));
}

static void test_unix_no_directory_is_enoent(void **state)
{
	struct io_endpoint e = endpoint("unix:/nonexistent-idfw/s");
	int fd;

	(void)state;
	assert_int_equal(io_sock_listen(&e, 0600, &fd), -ENOENT);
	assert_int_equal(io_sock_connect(&e, &fd), -ENOENT);
}

/* a free port of the kernel's choice, given back before use */
static struct io_endpoint endpoint_tcp(bool six)
{
	struct sockaddr_in6 in6 = { .sin6_family = six ? AF_INET6 : AF_INET };
	int fd = socket(in6.sin6_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(in6);
	char text[64];

	if (six)
		in6.sin6_addr = in6addr_loopback;
	else
		((struct sockaddr_in *)&in6)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(
		bind(fd, (struct sockaddr *)&in6, six ? sizeof(in6) : sizeof(struct sockaddr_in)),
		0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&in6, &len), 0);
	close(fd);
	(void)snprintf(text, sizeof(text), six ? "tcp:[::1]:%u" : "tcp:127.0.0.1:%u",
		ntohs(in6.sin6_port));
	return endpoint(text);
}

static bool have_ipv6(void)
{
	return access("/proc/sys/net/ipv6/conf/lo/disable_ipv6", F_OK) == 0;
}

static void tcp_talk(bool six)
{
	struct io_endpoint e = endpoint_tcp(six);
	struct ucred cred;
	int l, c, s, again;
	char b;

	assert_int_equal(io_sock_listen(&e, 0, &l), 0);
	assert_born_right(l);
	assert_int_equal(io_sock_listen(&e, 0, &again), -EADDRINUSE);
	assert_int_equal(io_sock_connect(&e, &c), 0);
	wait_for(l, POLLIN);
	assert_int_equal(io_sock_accept(l, &s), 0);
	assert_born_right(s);
	assert_int_equal(write(s, "x", 1), 1);
	wait_for(c, POLLIN);
	assert_int_equal(read(c, &b, 1), 1);
	assert_int_equal(io_sock_peer_ucred(s, &cred), -ENOTSUP);
	close(s);
	close(c);
	close(l);
}

static void test_tcp_listen_connect_accept_talk(void **state)
{
	(void)state;
	tcp_talk(false);
	if (have_ipv6())
		tcp_talk(true);
}

static void test_vsock_reserve_takes_privilege(void **state)
{
	struct sockaddr_vm vm;
	socklen_t len = sizeof(vm);
	int fd[2], err;

	(void)state;
	for (int i = 0; i < 2; i++) {
		fd[i] = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd[i] < 0)
			skip(); /* a kernel without AF_VSOCK */
		err = io_sock_vsock_reserve(fd[i]);
		if (geteuid() != 0) {
			assert_int_equal(err, -EACCES);
			close(fd[i]);
			fd[i] = -1;
			continue;
		}
		assert_int_equal(err, 0);
		assert_int_equal(getsockname(fd[i], (struct sockaddr *)&vm, &len), 0);
		assert_true(vm.svm_port < 1024);
	}
	for (int i = 0; i < 2; i++)
		if (fd[i] >= 0)
			close(fd[i]);
}

static void test_peer_of_no_socket_is_an_error(void **state)
{
	struct ucred cred;
	uint32_t cid;
	bool reserved;
	int fd;

	(void)state;
	assert_int_equal(io_sock_peer_ucred(STDIN_FILENO + 1000, &cred), -EBADF);
	assert_int_equal(io_sock_peer_cid(STDIN_FILENO + 1000, &cid, &reserved), -EBADF);
	assert_int_equal(io_sock_accept(STDIN_FILENO + 1000, &fd), -EBADF);
}

static void test_backoff_doubles_with_jitter_up_to_max(void **state)
{
	struct io_backoff b;
	uint32_t base = 100, first, differ = 0;

	(void)state;
	io_backoff_init(&b, 5000);
	for (int i = 0; i < 20; i++) {
		uint32_t ms = io_backoff_next(&b);

		assert_in_range(ms, base / 2, base + base / 2);
		base = base * 2 > 5000 ? 5000 : base * 2;
	}
	first = io_backoff_next(&b);
	for (int i = 0; i < 20; i++)
		differ += io_backoff_next(&b) != first;
	assert_true(differ > 0);
	io_backoff_init(&b, 10);
	assert_in_range(io_backoff_next(&b), 5, 15);
	io_backoff_init(&b, UINT32_MAX);
	for (int i = 0; i < 64; i++)
		assert_true(io_backoff_next(&b) >= 50);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_endpoint_good_text),
		T(test_endpoint_bad_text_is_einval),
		T(test_endpoint_too_long_is_elimit),
		T(test_unix_listen_connect_accept_talk),
		T(test_unix_mode_does_not_depend_on_umask),
		T(test_unix_listen_seqpacket),
		T(test_unix_listen_stale_file_is_replaced),
		T(test_unix_listen_live_server_is_eaddrinuse),
		T(test_unix_listen_never_removes_a_file),
		T(test_unix_no_directory_is_enoent),
		T(test_tcp_listen_connect_accept_talk),
		T(test_vsock_reserve_takes_privilege),
		T(test_peer_of_no_socket_is_an_error),
		T(test_backoff_doubles_with_jitter_up_to_max),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
