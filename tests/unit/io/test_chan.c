/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_chan.c - plain channels over socket pairs: lib/io/chan.h
 */
#include "tests/unit/io/pair.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <netinet/in.h>

#define MAX_FRAME 65536
#define MAX_QUEUE (1u << 20)

static struct pair pair;

/* both ends are channels */
static int setup(void **state)
{
	int fds[2];

	pair_init(&pair);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return -1;
	end_wrap(&pair, &pair.a, fds[0], NULL, MAX_FRAME, MAX_QUEUE);
	end_wrap(&pair, &pair.b, fds[1], NULL, MAX_FRAME, MAX_QUEUE);
	*state = &pair;
	return 0;
}

/* a is a channel, b a raw descriptor */
static int setup_raw(void **state)
{
	int fds[2];

	pair_init(&pair);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return -1;
	end_wrap(&pair, &pair.a, fds[0], NULL, MAX_FRAME, MAX_QUEUE);
	pair.b.fd = fds[1];
	*state = &pair;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	pair_fini(&pair);
	return 0;
}

static void test_send_frames_arrive_whole_and_in_order(void **state)
{
	static uint8_t buf[MAX_FRAME];
	static const size_t sizes[] = { 1, 2, 3, 4, 5, 100, 4096, 16384, 65535, 65536, 1 };
	struct pair *p = *state;
	uint32_t sum = 0;
	size_t total = 0;

	for (size_t i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)(i * 7 + i / 256);
	for (size_t i = 0; i < GI_ARRAY_SIZE(sizes); i++) {
		assert_int_equal(io_chan_send(p->a.chan, buf, sizes[i]), 0);
		sum = pair_sum(sum, buf, sizes[i]);
		total += sizes[i];
	}
	assert_int_equal(io_chan_queued(p->a.chan), total + 4 * GI_ARRAY_SIZE(sizes));
	pair_until(p, p->b.frames == GI_ARRAY_SIZE(sizes));
	assert_int_equal(p->b.sum, sum);
	assert_int_equal(p->a.ready, 1);
	assert_int_equal(io_chan_frames_out(p->a.chan), GI_ARRAY_SIZE(sizes));
	assert_int_equal(io_chan_frames_in(p->b.chan), GI_ARRAY_SIZE(sizes));
	assert_int_equal(io_chan_queued(p->a.chan), 0);
	assert_null(io_chan_tls(p->a.chan));
}

static void test_send_many_frames_both_ways(void **state)
{
	struct pair *p = *state;
	uint32_t sum_a = 0, sum_b = 0, seed = 1;
	uint8_t buf[512];
	uint64_t want = 0;

	for (int round = 0; round < 200; round++) {
		for (int i = 0; i < 20; i++) {
			size_t len = (seed = seed * 1103515245u + 12345u) % sizeof(buf) + 1;

			memset(buf, (int)(seed >> 8), sizeof(buf));
			assert_int_equal(io_chan_send(p->a.chan, buf, len), 0);
			assert_int_equal(io_chan_send(p->b.chan, buf, len), 0);
			sum_a = pair_sum(sum_a, buf, len);
			sum_b = sum_a;
			want++;
		}
		io_loop_run_once(p->loop, PAIR_WAIT_MS);
	}
	pair_until(p, p->a.frames == want && p->b.frames == want);
	assert_int_equal(p->b.sum, sum_a);
	assert_int_equal(p->a.sum, sum_b);
}

static void test_send_gathers_into_one_write(void **state)
{
	struct pair *p = *state;
	uint8_t got[256];

	pair_until(p, p->a.ready);
	for (int i = 0; i < 10; i++)
		assert_int_equal(io_chan_send(p->a.chan, "0123456", 7), 0);
	assert_int_equal(
		recv(p->b.fd, got, sizeof(got), MSG_DONTWAIT), -1); /* not before the end */
	io_loop_run_once(p->loop, 0);
	assert_int_equal(recv(p->b.fd, got, sizeof(got), MSG_DONTWAIT), 110);
}

static void test_send_bad_length_is_elimit(void **state)
{
	static uint8_t buf[MAX_FRAME + 1];
	struct pair *p = *state;

	assert_int_equal(io_chan_send(p->a.chan, buf, MAX_FRAME + 1), -GI_ELIMIT);
	assert_int_equal(io_chan_send(p->a.chan, buf, 0), -GI_ELIMIT);
	assert_int_equal(io_chan_queued(p->a.chan), 0);
}

static void test_send2_is_one_frame_of_both_parts(void **state)
{
	static uint8_t buf[MAX_FRAME];
	struct pair *p = *state;

	assert_int_equal(io_chan_send2(p->a.chan, "head", 4, "and body", 8), 0);
	pair_until(p, p->b.frames == 1);
	assert_int_equal(p->b.last_len, 12);
	assert_memory_equal(p->b.last, "headand body", 12);
	assert_int_equal(io_chan_send2(p->a.chan, "head", 4, buf, MAX_FRAME - 4), 0);
	assert_int_equal(io_chan_send2(p->a.chan, "head", 4, buf, MAX_FRAME - 3), -GI_ELIMIT);
	assert_int_equal(io_chan_send2(p->a.chan, buf, MAX_FRAME, buf, MAX_FRAME), -GI_ELIMIT);
	pair_until(p, p->b.frames == 2);
	assert_int_equal(p->b.bytes, 12 + MAX_FRAME);
}

static size_t take_all(int fd)
{
	static uint8_t buf[256 << 10];
	size_t sum = 0;
	ssize_t n;

	while ((n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0)
		sum += (size_t)n;
	return sum;
}

/* who has much to send does so in pieces, so that others have their rounds */
static void test_send_of_much_takes_several_rounds(void **state)
{
	static uint8_t buf[60000];
	struct pair *p = *state;
	size_t sum = 0, got;

	pair_until(p, p->a.ready);
	for (int i = 0; i < 4; i++)
		assert_int_equal(io_chan_send(p->a.chan, buf, sizeof(buf)), 0);
	for (int round = 0; round < 4; round++) {
		io_loop_run_once(p->loop, PAIR_WAIT_MS);
		got = take_all(p->b.fd);
		assert_in_range(got, 1, 64 << 10);
		sum += got;
	}
	assert_int_equal(sum, 4 * (sizeof(buf) + 4));
	assert_int_equal(io_chan_queued(p->a.chan), 0);
}

static void test_send_full_queue_is_efull_then_drained(void **state)
{
	static uint8_t buf[MAX_FRAME];
	struct pair *p = *state;
	uint64_t sent = 0;
	size_t queued;
	int err;

	io_chan_read_pause(p->b.chan);
	while ((err = io_chan_send(p->a.chan, buf, sizeof(buf))) == 0)
		sent++;
	assert_int_equal(err, -GI_EFULL);
	assert_int_equal(sent, MAX_QUEUE / (MAX_FRAME + 4));
	queued = io_chan_queued(p->a.chan);
	assert_true(queued <= MAX_QUEUE);
	assert_int_equal(io_chan_send(p->a.chan, buf, MAX_QUEUE - queued), -GI_EFULL);
	assert_int_equal(io_chan_queued(p->a.chan), queued);
	assert_int_equal(io_chan_send(p->a.chan, buf, MAX_QUEUE - queued - 4), 0); /* to the byte */
	sent++;
	assert_int_equal(p->a.drained, 0);
	io_chan_read_resume(p->b.chan);
	pair_until(p, p->b.frames == sent);
	assert_int_equal(p->a.drained, 1);
	assert_int_equal(io_chan_send(p->a.chan, "x", 1), 0);
}

static void test_send_after_close_is_enotconn(void **state)
{
	struct pair *p = *state;

	end_free(&p->b);
	pair_until(p, p->a.closed);
	assert_int_equal(io_chan_send(p->a.chan, "x", 1), -ENOTCONN);
}

static void test_close_between_frames_is_eclosed(void **state)
{
	struct pair *p = *state;

	assert_int_equal(write(p->b.fd, "\0\0\0\1x", 5), 5);
	close(p->b.fd);
	p->b.fd = -1;
	pair_until(p, p->a.closed);
	assert_int_equal(p->a.frames, 1);
	assert_int_equal(p->a.err, -GI_ECLOSED);
}

static void test_close_inside_a_frame_is_eproto(void **state)
{
	static const size_t cuts[] = { 1, 3, 4, 5, 7 };

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(cuts); i++) {
		if (i > 0) {
			pair_fini(&pair);
			assert_int_equal(setup_raw(state), 0);
		}
		assert_int_equal(write(pair.b.fd, "\0\0\0\4abcd", cuts[i]), cuts[i]);
		close(pair.b.fd);
		pair.b.fd = -1;
		pair_until(&pair, pair.a.closed);
		assert_int_equal(pair.a.frames, 0);
		assert_int_equal(pair.a.err, -GI_EPROTO);
	}
}

static void test_frame_length_zero_is_eproto(void **state)
{
	struct pair *p = *state;

	assert_int_equal(write(p->b.fd, "\0\0\0\1x\0\0\0\0", 9), 9);
	pair_until(p, p->a.closed);
	assert_int_equal(p->a.frames, 1);
	assert_int_equal(p->a.err, -GI_EPROTO);
}

static void test_frame_length_over_max_is_eproto_at_once(void **state)
{
	struct pair *p = *state;

	assert_int_equal(write(p->b.fd, "\0\1\0\1", 4), 4); /* 65537, no payload yet */
	pair_until(p, p->a.closed);
	assert_int_equal(p->a.frames, 0);
	assert_int_equal(p->a.err, -GI_EPROTO);
}

static void test_frame_byte_by_byte_arrives(void **state)
{
	struct pair *p = *state;

	for (const char *s = "\0\0\0\3abc"; p->a.frames == 0; s++) {
		assert_int_equal(write(p->b.fd, s, 1), 1);
		io_loop_run_once(p->loop, 0);
		io_loop_run_once(p->loop, 0);
	}
	assert_int_equal(p->a.last_len, 3);
	assert_memory_equal(p->a.last, "abc", 3);
}

static void pause_on_frame(struct end *e)
{
	io_chan_read_pause(e->chan);
}

static void test_pause_inside_frame_holds_the_rest(void **state)
{
	struct pair *p = *state;

	p->a.on_frame = pause_on_frame;
	assert_int_equal(write(p->b.fd, "\0\0\0\1a\0\0\0\1b\0\0\0\1c", 15), 15);
	pair_until(p, p->a.frames == 1);
	io_loop_run_once(p->loop, 0);
	io_loop_run_once(p->loop, 0);
	assert_int_equal(p->a.frames, 1);
	io_chan_read_resume(p->a.chan);
	assert_int_equal(p->a.frames, 1); /* not from inside the call */
	io_loop_run_once(p->loop, 0);
	assert_int_equal(p->a.frames, 2);
	p->a.on_frame = NULL;
	io_chan_read_resume(p->a.chan);
	pair_until(p, p->a.frames == 3);
}

static void test_pause_pushes_back_to_the_sender(void **state)
{
	static uint8_t buf[MAX_FRAME];
	struct pair *p = *state;
	ssize_t n = 0;

	pair_until(p, p->a.ready);
	io_chan_read_pause(p->a.chan);
	memset(buf, 1, sizeof(buf));
	for (int i = 0; n >= 0 && i < 1000; i++) {
		n = send(p->b.fd, buf, sizeof(buf), MSG_DONTWAIT);
		io_loop_run_once(p->loop, 0);
	}
	assert_int_equal(n, -1); /* the socket is full, nothing was taken out of it */
	assert_int_equal(p->a.frames, 0);
	assert_int_equal(p->a.closed, 0);
}

static void free_end(struct end *e)
{
	end_free(e);
}

static void test_free_inside_ready(void **state)
{
	struct pair *p = *state;

	p->a.on_ready = free_end;
	pair_until(p, p->b.closed);
	assert_int_equal(p->a.ready, 1);
	assert_int_equal(p->a.closed, 0);
}

static void test_free_inside_frame_stops_the_rest(void **state)
{
	struct pair *p = *state;

	p->a.on_frame = free_end;
	assert_int_equal(write(p->b.fd, "\0\0\0\1a\0\0\0\1b\0\0\0\1c", 15), 15);
	pair_until(p, p->a.frames == 1);
	io_loop_run_once(p->loop, 0);
	assert_int_equal(p->a.frames, 1);
	assert_int_equal(p->a.closed, 0);
}

static void test_free_inside_closed(void **state)
{
	struct pair *p = *state;

	p->a.on_closed = free_end;
	close(p->b.fd);
	p->b.fd = -1;
	pair_until(p, p->a.closed);
	io_loop_run_once(p->loop, 0);
	assert_int_equal(p->a.closed, 1);
}

static void test_free_null_and_last_word(void **state)
{
	struct pair *p = *state;
	uint8_t got[16];

	io_chan_free(NULL);
	pair_until(p, p->a.ready);
	assert_int_equal(io_chan_send(p->a.chan, "bye", 3), 0);
	end_free(&p->a);
	assert_int_equal(recv(p->b.fd, got, sizeof(got), 0), 7);
	assert_memory_equal(got, "\0\0\0\3bye", 7);
	assert_int_equal(recv(p->b.fd, got, sizeof(got), 0), 0);
}

static void answer(struct end *e)
{
	assert_int_equal(io_chan_send(e->chan, e->last, e->last_len), 0);
}

static void test_send_inside_frame_goes_out_in_the_same_round(void **state)
{
	struct pair *p = *state;
	uint8_t got[16];

	p->a.on_frame = answer;
	pair_until(p, p->a.ready);
	assert_int_equal(write(p->b.fd, "\0\0\0\4ping", 8), 8);
	io_loop_run_once(p->loop, PAIR_WAIT_MS);
	assert_int_equal(recv(p->b.fd, got, sizeof(got), MSG_DONTWAIT), 8);
	assert_memory_equal(got, "\0\0\0\4ping", 8);
}

static void test_peer_that_answered_and_left_is_still_heard(void **state)
{
	struct pair *p = *state;

	pair_until(p, p->a.ready);
	assert_int_equal(write(p->b.fd, "\0\0\0\2no", 6), 6);
	close(p->b.fd); /* our send meets EPIPE before our read meets the frame */
	p->b.fd = -1;
	assert_int_equal(io_chan_send(p->a.chan, "x", 1), 0);
	pair_until(p, p->a.closed);
	assert_int_equal(p->a.frames, 1);
	assert_memory_equal(p->a.last, "no", 2);
}

static void test_connect_refused_is_told_by_closed(void **state)
{
	struct sockaddr_storage ss = { .ss_family = AF_INET };
	socklen_t len = sizeof(ss);
	struct pair p;
	int fd, taken;

	(void)state;
	pair_init(&p);
	/* a port that is taken but not listened on */
	taken = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(taken, (struct sockaddr *)&ss, sizeof(struct sockaddr_in)), 0);
	assert_int_equal(getsockname(taken, (struct sockaddr *)&ss, &len), 0);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	(void)!connect(fd, (struct sockaddr *)&ss, len);
	end_wrap(&p, &p.a, fd, NULL, 100, 100);
	pair_until(&p, p.a.closed);
	assert_int_equal(p.a.ready, 0);
	assert_int_equal(p.a.err, -ECONNREFUSED);
	close(taken);
	pair_fini(&p);
}

static void test_new_bad_arguments_close_the_descriptor(void **state)
{
	static const struct io_chan_conf bad[] = { { 0, 100 }, { 100, 0 }, { (size_t)1 << 40, 1 } };
	struct io_chan *c = NULL;
	struct pair p;

	(void)state;
	pair_init(&p);
	for (size_t i = 0; i < GI_ARRAY_SIZE(bad); i++) {
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

		assert_int_equal(
			io_chan_new(p.loop, fd, NULL, &bad[i], &end_ops, &p.a, &c), -EINVAL);
		assert_int_equal(fcntl(fd, F_GETFD), -1);
	}
	assert_int_equal(
		io_chan_new(p.loop, -1, NULL, &(struct io_chan_conf){ 1, 1 }, &end_ops, &p.a, &c),
		-EBADF);
	assert_null(c);
	pair_fini(&p);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define T_RAW(name) cmocka_unit_test_setup_teardown(name, setup_raw, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_send_frames_arrive_whole_and_in_order),
		T(test_send_many_frames_both_ways),
		T_RAW(test_send_gathers_into_one_write),
		T(test_send_bad_length_is_elimit),
		T(test_send2_is_one_frame_of_both_parts),
		T_RAW(test_send_of_much_takes_several_rounds),
		T(test_send_full_queue_is_efull_then_drained),
		T(test_send_after_close_is_enotconn),
		T_RAW(test_close_between_frames_is_eclosed),
		T_RAW(test_close_inside_a_frame_is_eproto),
		T_RAW(test_frame_length_zero_is_eproto),
		T_RAW(test_frame_length_over_max_is_eproto_at_once),
		T_RAW(test_frame_byte_by_byte_arrives),
		T_RAW(test_pause_inside_frame_holds_the_rest),
		T_RAW(test_pause_pushes_back_to_the_sender),
		T(test_free_inside_ready),
		T_RAW(test_free_inside_frame_stops_the_rest),
		T_RAW(test_free_inside_closed),
		T_RAW(test_free_null_and_last_word),
		T_RAW(test_send_inside_frame_goes_out_in_the_same_round),
		T_RAW(test_peer_that_answered_and_left_is_still_heard),
		cmocka_unit_test(test_connect_refused_is_told_by_closed),
		cmocka_unit_test(test_new_bad_arguments_close_the_descriptor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
