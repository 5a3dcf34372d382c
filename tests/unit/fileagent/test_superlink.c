/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_superlink.c - fileagent/superlink.c against a supervisor that the test plays: replies by
 * number, in any order; what has no reply yet is asked again of the next supervisor
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "fileagent/superlink.h"

static struct {
	struct io_loop *loop;
	struct fa_super *s;
	int peer;
	int replies, last_err, gone, orders;
	char text[FA_REC_TEXT_MAX + 1];
	int fd;
} t;

static struct fa_rec rec; /* 5 KiB */

static void order_cb(void *arg, const struct fa_rec *r, const int *fds, size_t n)
{
	(void)arg;
	assert_int_equal(r->op, FA_OP_STOP);
	assert_int_equal(n, 0);
	(void)fds;
	t.orders++;
}

static void gone_cb(void *arg)
{
	(void)arg;
	t.gone++;
}

static const struct fa_super_ops ops = { .order = order_cb, .gone = gone_cb };

static void reply_cb(void *arg, const struct fa_rec *r, int fd)
{
	assert_ptr_equal(arg, &t);
	t.replies++;
	t.last_err = r->err;
	memcpy(t.text, r->text, sizeof(t.text));
	t.fd = fd;
}

static int new_pair(void)
{
	int sv[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv), 0);
	t.peer = sv[0];
	return sv[1];
}

static int setup(void **state)
{
	(void)state;
	memset(&t, 0, sizeof(t));
	assert_int_equal(io_loop_new(&t.loop), 0);
	assert_int_equal(fa_super_new(t.loop, new_pair(), &ops, &t, &t.s), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fa_super_free(t.s);
	io_loop_free(t.loop);
	close(t.peer);
	return 0;
}

static int request(uint32_t op, int fd)
{
	static struct fa_rec r;

	r.op = op;
	return fa_super_request(t.s, &r, &fd, fd >= 0 ? 1 : 0, reply_cb, &t);
}

/* what the supervisor gets; its descriptors are closed */
static uint64_t get(uint32_t op)
{
	int fds[FA_REC_FDS_MAX];
	size_t n;

	assert_int_equal(fa_rec_recv(t.peer, FA_WORKER, &rec, fds, &n), 0);
	assert_int_equal(rec.op, op);
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
	return rec.id;
}

static void reply(uint64_t id, int err, const char *text, int fd)
{
	memset(&rec, 0, sizeof(rec));
	rec.op = FA_OP_REPLY;
	rec.id = id;
	rec.err = err;
	memcpy(rec.text, text, strlen(text) + 1);
	assert_int_equal(fa_rec_send(t.peer, &rec, &fd, fd >= 0 ? 1 : 0), 0);
	io_loop_run_once(t.loop, 1000);
}

static void test_replies_find_their_request_in_any_order(void **state)
{
	uint64_t a, b;

	(void)state;
	assert_int_equal(request(FA_OP_FLUSH, -1), 0);
	assert_int_equal(request(FA_OP_VAULT_LIST, -1), 0);
	a = get(FA_OP_FLUSH);
	b = get(FA_OP_VAULT_LIST);
	assert_int_equal(t.replies, 0);
	reply(b, -ENOENT, "no more", -1);
	assert_int_equal(t.replies, 1);
	assert_int_equal(t.last_err, -ENOENT);
	assert_string_equal(t.text, "no more");
	assert_int_equal(t.fd, -1);
	reply(b, 0, "", -1); /* twice: nobody's */
	assert_int_equal(t.replies, 1);
	reply(a, 0, "", 0);
	assert_int_equal(t.replies, 2);
	assert_true(t.fd >= 0);
	close(t.fd);
}

static void test_next_supervisor_is_asked_again(void **state)
{
	int fd = open("/dev/null", O_RDONLY);
	uint64_t id;

	(void)state;
	assert_int_equal(request(FA_OP_UNMARK, fd), 0);
	close(fd); /* the request has its own */
	id = get(FA_OP_UNMARK);
	close(t.peer);
	io_loop_run_once(t.loop, 1000);
	assert_int_equal(t.gone, 1);
	assert_false(fa_super_is_up(t.s));
	assert_int_equal(request(FA_OP_FLUSH, -1), 0); /* waits, too */
	fa_super_replace(t.s, new_pair());
	assert_int_equal(get(FA_OP_UNMARK), id);
	reply(id, 0, "", -1);
	reply(get(FA_OP_FLUSH), 0, "", -1);
	assert_int_equal(t.replies, 2);
	memset(&rec, 0, sizeof(rec));
	rec.op = FA_OP_STOP;
	assert_int_equal(fa_rec_send(t.peer, &rec, NULL, 0), 0);
	io_loop_run_once(t.loop, 1000);
	assert_int_equal(t.orders, 1);
}

static void test_without_reply_is_not_kept(void **state)
{
	static struct fa_rec r = { .op = FA_OP_FLUSH };

	(void)state;
	assert_int_equal(fa_super_request(t.s, &r, NULL, 0, NULL, NULL), 0);
	assert_int_equal(get(FA_OP_FLUSH), 0);
	close(t.peer);
	io_loop_run_once(t.loop, 1000);
	assert_int_equal(fa_super_request(t.s, &r, NULL, 0, NULL, NULL), -ENOTCONN);
	t.peer = open("/dev/null", O_RDONLY);
}

static void test_bounds(void **state)
{
	static struct fa_rec r = { .op = FA_OP_FLUSH, .path_len = FA_REC_PATH_MAX + 1 };

	(void)state;
	assert_int_equal(fa_super_request(t.s, &r, NULL, 0, reply_cb, &t), -GI_ELIMIT);
	for (int i = 0; i < FA_SUPER_WAITING_MAX; i++)
		assert_int_equal(request(FA_OP_FLUSH, -1), 0);
	assert_int_equal(request(FA_OP_FLUSH, -1), -GI_EFULL);
	fa_super_forget(t.s, &t);
	fa_super_free(t.s); /* those that are forgotten are not told */
	assert_int_equal(t.replies, 0);
	t.s = NULL;
}

static void test_end_tells_who_waits(void **state)
{
	(void)state;
	assert_int_equal(request(FA_OP_FLUSH, -1), 0);
	fa_super_free(t.s);
	t.s = NULL;
	assert_int_equal(t.replies, 1);
	assert_int_equal(t.last_err, -ECANCELED);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(test_replies_find_their_request_in_any_order),
		T(test_next_supervisor_is_asked_again),
		T(test_without_reply_is_not_kept),
		T(test_bounds),
		T(test_end_tells_who_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
