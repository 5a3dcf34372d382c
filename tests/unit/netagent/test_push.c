/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_push.c - the parsing process's end of the pusher, against a pusher that the test plays
 *
 * The promise: every request gets exactly one answer, whatever the pusher does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "fw/rec.h"
#include "netagent/push.h"
#include "tests/unit/fw/fixture.h"

struct seen {
	unsigned int done, marks, lost;
	int err;
	uint64_t version;
	size_t n_elems;
	struct na_push *push;
	bool ask_again; /* a request from inside an answer */
};

static void on_done(void *arg, uint64_t generation, uint64_t version, int err, const char *why)
{
	struct seen *s = arg;

	(void)generation;
	assert_non_null(why);
	s->done++;
	s->err = err;
	s->version = version;
	if (s->ask_again && na_push_is_up(s->push)) {
		s->ask_again = false;
		assert_int_equal(na_push_marks(s->push), 0);
	}
}

static void on_marks(
	void *arg, uint64_t generation, uint64_t version, const struct fw_elem *elems, size_t n)
{
	struct seen *s = arg;

	(void)generation;
	(void)elems;
	s->marks++;
	s->version = version;
	s->n_elems = n;
}

static void on_lost(void *arg, const char *why)
{
	struct seen *s = arg;

	assert_non_null(why);
	s->lost++;
}

static const struct na_push_ops ops = { .done = on_done, .marks = on_marks, .lost = on_lost };

struct fixture {
	struct io_loop *loop;
	struct na_push *push;
	struct seen seen;
	int far; /* the pusher's end */
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int fds[2];

	if (!f || io_loop_new(&f->loop) < 0 || na_push_new(f->loop, &ops, &f->seen, &f->push) < 0 ||
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return -1;
	f->seen.push = f->push;
	na_push_attach(f->push, fds[0]);
	f->far = fds[1];
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	na_push_free(f->push);
	io_loop_free(f->loop);
	if (f->far >= 0)
		close(f->far);
	free(f);
	return 0;
}

static void turn(struct fixture *f)
{
	io_loop_run_once(f->loop, 1000);
}

static void hang_up(struct fixture *f)
{
	close(f->far);
	f->far = -1;
}

static void reply(int fd, const struct fw_rec *r)
{
	assert_int_equal(send(fd, r, sizeof(*r), MSG_NOSIGNAL), sizeof(*r));
}

static struct fw_delta delta_to(uint64_t version)
{
	return (struct fw_delta){
		.generation = 1, .from_version = version - 1, .version = version
	};
}

static void test_delta_done(void **state)
{
	struct fixture *f = *state;
	struct fw_delta d = delta_to(5);
	struct fw_rec r;

	assert_int_equal(na_push_delta(f->push, &d), 0);
	assert_int_equal(recv(f->far, &r, sizeof(r), 0), sizeof(r));
	assert_int_equal(r.type, FW_REC_DELTA);
	assert_int_equal(recv(f->far, &r, sizeof(r), 0), sizeof(r));
	assert_int_equal(r.type, FW_REC_COMMIT);
	r = (struct fw_rec){ .type = FW_REC_DONE, .generation = 1, .version = 5, .err = -EBUSY };
	memset(r.name, 'w', sizeof(r.name)); /* not ended: the reader must do */
	reply(f->far, &r);
	turn(f);
	assert_int_equal(f->seen.done, 1);
	assert_int_equal(f->seen.err, -EBUSY);
	assert_true(f->seen.version == 5);
}

static void test_renew_is_sent_and_not_waited_for(void **state)
{
	struct fixture *f = *state;
	struct fw_delta d = delta_to(5);
	struct fw_rec r;

	na_push_renew(f->push);
	assert_int_equal(na_push_delta(f->push, &d), 0);
	assert_int_equal(recv(f->far, &r, sizeof(r), 0), sizeof(r));
	assert_int_equal(r.type, FW_REC_RENEW);
	r = (struct fw_rec){ .type = FW_REC_DONE, .generation = 1, .version = 5 };
	reply(f->far, &r);
	turn(f);
	assert_int_equal(f->seen.done, 1);
	hang_up(f);
	turn(f);
	assert_int_equal(f->seen.lost, 1);
	na_push_renew(f->push); /* no pusher: nothing */
	assert_int_equal(f->seen.done, 1);
}

static void test_pusher_ends_everything_is_stale(void **state)
{
	struct fixture *f = *state;
	struct fw_delta a = delta_to(5), b = delta_to(6);

	assert_int_equal(na_push_delta(f->push, &a), 0);
	assert_int_equal(na_push_marks(f->push), 0);
	assert_int_equal(na_push_delta(f->push, &b), 0);
	hang_up(f);
	turn(f);
	assert_int_equal(f->seen.done, 2);
	assert_int_equal(f->seen.err, -GI_ESTATE);
	assert_int_equal(f->seen.marks, 1);
	assert_int_equal(f->seen.n_elems, 0);
	assert_int_equal(f->seen.lost, 1);
	assert_false(na_push_is_up(f->push));
	assert_int_equal(na_push_delta(f->push, &a), -ENOTCONN);
	assert_int_equal(na_push_marks(f->push), -ENOTCONN);
	assert_int_equal(f->seen.done, 2);
}

static void test_marks_come_with_their_elements(void **state)
{
	struct fixture *f = *state;
	struct fw_rec e = { .type = FW_REC_ELEM, .elem = fw_elem_uid(1001, 17) };
	struct fw_rec d = { .type = FW_REC_DONE, .generation = 3, .version = 9 };

	assert_int_equal(na_push_marks(f->push), 0);
	reply(f->far, &e);
	reply(f->far, &e);
	reply(f->far, &d);
	turn(f);
	assert_int_equal(f->seen.marks, 1);
	assert_int_equal(f->seen.n_elems, 2);
	assert_true(f->seen.version == 9);
}

static void test_wrong_records_drop_the_pusher(void **state)
{
	struct fw_rec wrong[] = {
		{ .type = FW_REC_DONE },			    /* nobody asked */
		{ .type = FW_REC_ELEM, .elem = fw_elem_uid(1, 2) }, /* for a delta */
		{ .type = FW_REC_BEGIN },
		{ .type = 9999 },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < GI_ARRAY_SIZE(wrong); i++) {
		struct fw_delta d = delta_to(2);
		int fds[2];

		if (i > 0)
			assert_int_equal(na_push_delta(f->push, &d), 0);
		reply(f->far, &wrong[i]);
		turn(f);
		assert_int_equal(f->seen.lost, i + 1);
		assert_int_equal(f->seen.done, i);
		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
		hang_up(f);
		na_push_attach(f->push, fds[0]);
		f->far = fds[1];
	}
	assert_int_equal(send(f->far, "short", 5, 0), 5);
	turn(f);
	assert_int_equal(f->seen.lost, GI_ARRAY_SIZE(wrong) + 1);
}

static void test_pending_maximum_is_efull(void **state)
{
	struct fixture *f = *state;
	pid_t pid = fork();
	struct fw_rec r;
	int err = 0;

	assert_true(pid >= 0);
	if (pid == 0) { /* a pusher that only reads */
		while (recv(f->far, &r, sizeof(r), 0) > 0)
			;
		_exit(0);
	}
	for (int i = 0; i < NA_PUSH_PENDING_MAX; i++)
		assert_int_equal(na_push_marks(f->push), 0);
	err = na_push_marks(f->push);
	assert_int_equal(err, -GI_EFULL);
	hang_up(f);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	turn(f);
	assert_int_equal(f->seen.marks, NA_PUSH_PENDING_MAX);
}

/* both sides have full sockets: who answers each record before reading the next must not hang us */
static void test_answers_while_sending_are_put_by(void **state)
{
	enum { REQUESTS = 3000 };
	struct fixture *f = *state;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct fw_rec r, done = { .type = FW_REC_DONE };

		while (recv(f->far, &r, sizeof(r), 0) > 0) {
			done.version = r.version;
			if (r.type == FW_REC_COMMIT && send(f->far, &done, sizeof(done), 0) < 0)
				_exit(1);
		}
		_exit(0);
	}
	hang_up(f);
	for (uint64_t v = 1; v <= REQUESTS; v++) {
		struct fw_delta d = delta_to(v);

		assert_int_equal(na_push_delta(f->push, &d), 0);
	}
	while (f->seen.done < REQUESTS)
		turn(f);
	assert_int_equal(f->seen.done, REQUESTS);
	assert_int_equal(f->seen.lost, 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void test_request_from_inside_an_answer(void **state)
{
	struct fixture *f = *state;
	struct fw_delta d = delta_to(2);
	struct fw_rec r = { .type = FW_REC_DONE };

	f->seen.ask_again = true;
	assert_int_equal(na_push_delta(f->push, &d), 0);
	reply(f->far, &r);
	reply(f->far, &r);
	turn(f);
	assert_int_equal(f->seen.done, 1);
	assert_int_equal(f->seen.marks, 1);
}

static void test_state_is_read_whole_by_the_reader(void **state)
{
	struct fixture *f = *state;
	struct fw_state *s = fx_state("generation 4;version 7;default out drop;group eng s;"
				      "rule a out accept from eng tcp:1;uid 1 2;live 2;sg eng 2");
	struct fw_rec_reader *reader;
	struct fw_state *got = NULL;
	struct fw_delta *delta = NULL;
	enum fw_rec_out out = FW_REC_MORE;
	struct fw_rec r;

	assert_non_null(s);
	assert_int_equal(fw_rec_reader_new(&reader), 0);
	assert_int_equal(na_push_state(f->push, s), 0);
	while (out == FW_REC_MORE) {
		assert_int_equal(recv(f->far, &r, sizeof(r), MSG_DONTWAIT), sizeof(r));
		assert_int_equal(fw_rec_reader_feed(reader, &r, sizeof(r), &out, &got, &delta), 0);
	}
	assert_int_equal(out, FW_REC_STATE);
	assert_true(fw_state_version(got) == 7);
	assert_int_equal(fw_state_count(got), fw_state_count(s));
	fw_state_free(got);
	fw_state_free(s);
	fw_rec_reader_free(reader);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_delta_done),
		T(test_renew_is_sent_and_not_waited_for),
		T(test_pusher_ends_everything_is_stale),
		T(test_marks_come_with_their_elements),
		T(test_wrong_records_drop_the_pusher),
		T(test_pending_maximum_is_efull),
		T(test_answers_while_sending_are_put_by),
		T(test_request_from_inside_an_answer),
		T(test_state_is_read_whole_by_the_reader),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
