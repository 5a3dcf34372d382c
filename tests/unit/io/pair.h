/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pair.h - two ends of a channel in one loop, recording what each was told
 *
 * For test_chan.c (plain) and test_tls.c. An end may be a raw descriptor instead, so that a test
 * plays a peer that does not keep to the frames.
 */
#ifndef TEST_IO_PAIR_H
#define TEST_IO_PAIR_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "lib/io/chan.h"

#define PAIR_WAIT_MS 5000
#define PAIR_ROUNDS 20000

struct end {
	struct io_chan *chan; /* NULL after free */
	int fd;		      /* raw end; -1 */
	int ready, closed, drained;
	int err;
	char why[256];
	uint64_t frames, bytes;
	uint32_t sum; /* over all payload bytes, in order */
	uint8_t last[64];
	size_t last_len;
	void (*on_ready)(struct end *);
	void (*on_frame)(struct end *);
	void (*on_closed)(struct end *);
};

struct pair {
	struct io_loop *loop;
	struct end a, b;
};

static inline uint32_t pair_sum(uint32_t sum, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sum = (sum ^ p[i]) * 16777619u;
	return sum;
}

static void end_ready(void *arg, struct io_chan *c)
{
	struct end *e = arg;

	assert_ptr_equal(c, e->chan);
	assert_int_equal(e->closed, 0);
	e->ready++;
	if (e->on_ready)
		e->on_ready(e);
}

static void end_frame(void *arg, struct io_chan *c, const uint8_t *buf, size_t len)
{
	struct end *e = arg;

	assert_ptr_equal(c, e->chan); /* also: nothing after free */
	assert_int_equal(e->closed, 0);
	assert_int_equal(e->ready, 1);
	e->frames++;
	e->bytes += len;
	e->sum = pair_sum(e->sum, buf, len);
	e->last_len = len < sizeof(e->last) ? len : sizeof(e->last);
	memcpy(e->last, buf, e->last_len);
	if (e->on_frame)
		e->on_frame(e);
}

static void end_closed(void *arg, struct io_chan *c, int err, const char *why)
{
	struct end *e = arg;

	assert_ptr_equal(c, e->chan);
	assert_int_equal(e->closed, 0);
	assert_true(err < 0);
	assert_non_null(why);
	assert_true(why[0] != '\0');
	e->closed++;
	e->err = err;
	(void)snprintf(e->why, sizeof(e->why), "%s", why);
	if (e->on_closed)
		e->on_closed(e);
}

static void end_drained(void *arg, struct io_chan *c)
{
	struct end *e = arg;

	assert_ptr_equal(c, e->chan);
	e->drained++;
}

static const struct io_chan_ops end_ops = { end_ready, end_frame, end_closed, end_drained };

static inline void end_free(struct end *e)
{
	struct io_chan *c = e->chan;

	e->chan = NULL;
	io_chan_free(c);
	if (e->fd >= 0)
		close(e->fd);
	e->fd = -1;
}

static inline void end_wrap(struct pair *p, struct end *e, int fd, struct io_tls *tls,
	size_t max_frame, size_t max_queue)
{
	const struct io_chan_conf conf = { max_frame, max_queue };

	assert_int_equal(io_chan_new(p->loop, fd, tls, &conf, &end_ops, e, &e->chan), 0);
}

static inline void pair_init(struct pair *p)
{
	memset(p, 0, sizeof(*p));
	p->a.fd = p->b.fd = -1;
	assert_int_equal(io_loop_new(&p->loop), 0);
}

static inline void pair_fini(struct pair *p)
{
	end_free(&p->a);
	end_free(&p->b);
	io_loop_free(p->loop);
	p->loop = NULL;
}

/* rounds until @cond; fails when it does not come true */
#define pair_until(p, cond)                                        \
	do {                                                       \
		int rounds_ = 0;                                   \
		while (!(cond) && rounds_++ < PAIR_ROUNDS)         \
			io_loop_run_once((p)->loop, PAIR_WAIT_MS); \
		assert_true(cond);                                 \
	} while (0)

#endif
