/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_rec.c - the records between supervisor and worker: shapes, sides, descriptors
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fileagent/rec.h"

#define HEAD offsetof(struct fa_rec, path)

static struct fa_rec r, got;

static void pair(int s[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s), 0);
}

static int open_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void test_check_each_op_side_and_descriptors(void **state)
{
	static const struct {
		uint32_t op;
		enum fa_side from;
		size_t min, max;
	} ops[] = { { FA_OP_START, FA_SUPERVISOR, 4, 4 }, { FA_OP_CONF, FA_SUPERVISOR, 1, 1 },
		{ FA_OP_LISTEN, FA_SUPERVISOR, 1, 2 }, { FA_OP_STOP, FA_SUPERVISOR, 0, 0 },
		{ FA_OP_REPLY, FA_SUPERVISOR, 0, 1 }, { FA_OP_MARK, FA_WORKER, 1, 1 },
		{ FA_OP_UNMARK, FA_WORKER, 1, 1 }, { FA_OP_FLUSH, FA_WORKER, 0, 0 },
		{ FA_OP_DELETE, FA_WORKER, 1, 1 }, { FA_OP_QUARANTINE, FA_WORKER, 1, 1 },
		{ FA_OP_TMP, FA_WORKER, 1, 1 }, { FA_OP_REPLACE, FA_WORKER, 2, 2 },
		{ FA_OP_OPEN, FA_WORKER, 0, 1 }, { FA_OP_WHO, FA_WORKER, 0, 1 },
		{ FA_OP_HANDLE, FA_WORKER, 0, 0 }, { FA_OP_TEST, FA_WORKER, 0, 0 },
		{ FA_OP_VAULT_LIST, FA_WORKER, 0, 0 }, { FA_OP_VAULT_RESTORE, FA_WORKER, 0, 0 },
		{ FA_OP_VAULT_PURGE, FA_WORKER, 0, 0 },
		{ FA_OP_MARKS, FA_WORKER, 1, FA_REC_FDS_MAX }, { FA_OP_TASKS, FA_WORKER, 0, 0 } };

	(void)state;
	assert_int_equal(GI_ARRAY_SIZE(ops), FA_OP_COUNT - 1);
	for (size_t i = 0; i < GI_ARRAY_SIZE(ops); i++) {
		memset(&r, 0, sizeof(r));
		r.op = ops[i].op;
		for (size_t n = 0; n <= FA_REC_FDS_MAX; n++) {
			r.path_len = ops[i].op == FA_OP_MARKS
					     ? (uint32_t)(n * sizeof(struct fa_ident))
					     : 0;
			assert_int_equal(fa_rec_check(&r, HEAD + r.path_len, n, ops[i].from),
				n >= ops[i].min && n <= ops[i].max ? 0 : -GI_EPROTO);
		}
		assert_int_equal(fa_rec_check(&r, HEAD, ops[i].min, !ops[i].from), -GI_EDENIED);
	}
}

static void test_check_marks_have_an_ident_each(void **state)
{
	(void)state;
	memset(&r, 0, sizeof(r));
	r.op = FA_OP_MARKS;
	for (size_t n = 1; n <= 3; n++) {
		r.path_len = (uint32_t)(n * sizeof(struct fa_ident));
		assert_int_equal(fa_rec_check(&r, HEAD + r.path_len, n, FA_WORKER), 0);
		assert_int_equal(fa_rec_check(&r, HEAD + r.path_len, n + 1, FA_WORKER), -GI_EPROTO);
		r.path_len--;
		assert_int_equal(fa_rec_check(&r, HEAD + r.path_len, n, FA_WORKER), -GI_EPROTO);
	}
	r.path_len = sizeof(struct fa_ident);
	memset(r.text, 'x', sizeof(r.text));
	assert_int_equal(fa_rec_check(&r, HEAD + r.path_len, 1, FA_WORKER), -GI_EPROTO);
}

static void test_check_shapes_refused(void **state)
{
	(void)state;
	memset(&r, 0, sizeof(r));
	assert_int_equal(fa_rec_check(&r, HEAD, 0, FA_WORKER), -GI_EPROTO); /* op 0 */
	r.op = FA_OP_COUNT;
	assert_int_equal(fa_rec_check(&r, HEAD, 0, FA_WORKER), -GI_EPROTO);
	r.op = FA_OP_OPEN;
	for (size_t len = 0; len < HEAD; len += 97)
		assert_int_equal(fa_rec_check(&r, len, 0, FA_WORKER), -GI_EPROTO);
	r.path_len = 5;
	memcpy(r.path, "/a/bc", 5);
	assert_int_equal(fa_rec_check(&r, HEAD + 5, 0, FA_WORKER), 0);
	assert_int_equal(fa_rec_check(&r, HEAD + 4, 0, FA_WORKER), -GI_EPROTO);
	assert_int_equal(fa_rec_check(&r, HEAD + 6, 0, FA_WORKER), -GI_EPROTO);
	r.path[2] = '\0';
	assert_int_equal(fa_rec_check(&r, HEAD + 5, 0, FA_WORKER), -GI_EPROTO);
	r.path_len = FA_REC_PATH_MAX + 1;
	assert_int_equal(fa_rec_check(&r, sizeof(r), 0, FA_WORKER), -GI_EPROTO);
	r.path_len = 1;
	r.op = FA_OP_FLUSH; /* has no path */
	assert_int_equal(fa_rec_check(&r, HEAD + 1, 0, FA_WORKER), -GI_EPROTO);
	memset(&r, 0, sizeof(r));
	r.op = FA_OP_FLUSH;
	memset(r.text, 'x', sizeof(r.text));
	assert_int_equal(fa_rec_check(&r, HEAD, 0, FA_WORKER), -GI_EPROTO);
	memset(r.text, 0, sizeof(r.text));
	memset(r.meta.signature, 'x', sizeof(r.meta.signature));
	assert_int_equal(fa_rec_check(&r, HEAD, 0, FA_WORKER), -GI_EPROTO);
}

static void test_send_recv_with_descriptors(void **state)
{
	int s[2], p[2], fds[FA_REC_FDS_MAX], before = open_fds();
	size_t n = 9;
	char c;

	(void)state;
	pair(s);
	assert_int_equal(pipe(p), 0);
	memset(&r, 0, sizeof(r));
	r.op = FA_OP_REPLACE;
	r.id = 77;
	assert_int_equal(fa_rec_recv(s[1], FA_WORKER, &got, fds, &n), -EAGAIN);
	assert_int_equal(fa_rec_send(s[0], &r, p, 2), 0);
	assert_int_equal(fa_rec_recv(s[1], FA_WORKER, &got, fds, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(got.id, 77);
	assert_true(fcntl(fds[0], F_GETFD) & FD_CLOEXEC);
	assert_int_equal(write(fds[1], "x", 1), 1);
	assert_int_equal(read(p[0], &c, 1), 1);
	for (size_t i = 0; i < 2; i++) {
		(void)close(fds[i]);
		(void)close(p[i]);
	}
	assert_int_equal(fa_rec_send(s[0], &r, p, FA_REC_FDS_MAX + 1), -EINVAL);
	(void)close(s[0]);
	assert_int_equal(fa_rec_recv(s[1], FA_WORKER, &got, fds, &n), -GI_ECLOSED);
	assert_true(fa_rec_send(s[1], &r, NULL, 0) < 0);
	(void)close(s[1]);
	assert_int_equal(open_fds(), before);
}

static void test_recv_refused_closes_descriptors(void **state)
{
	int s[2], fds[FA_REC_FDS_MAX], before;
	size_t n;

	(void)state;
	pair(s);
	before = open_fds();
	memset(&r, 0, sizeof(r));
	r.op = FA_OP_REPLY;
	assert_int_equal(fa_rec_send(s[0], &r, s, 1), 0);
	assert_int_equal(fa_rec_recv(s[1], FA_WORKER, &got, fds, &n), -GI_EDENIED);
	r.op = FA_OP_MARK;
	assert_int_equal(fa_rec_send(s[0], &r, (int[]){ s[0], s[1] }, 2), 0);
	assert_int_equal(fa_rec_recv(s[1], FA_WORKER, &got, fds, &n), -GI_EPROTO);
	assert_int_equal(open_fds(), before);
	(void)close(s[0]);
	(void)close(s[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check_each_op_side_and_descriptors),
		cmocka_unit_test(test_check_marks_have_an_ident_each),
		cmocka_unit_test(test_check_shapes_refused),
		cmocka_unit_test(test_send_recv_with_descriptors),
		cmocka_unit_test(test_recv_refused_closes_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
