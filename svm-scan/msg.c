/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * msg.c - frames over a socketpair, by blocking calls with a deadline
 *
 * In the service's threads and in the worker: after the sandbox is shut it uses only poll, read
 * and sendto without an address. Invariant: at most one frame and one gulp are buffered; a frame's
 * length is judged before memory is set aside for it. Source: docs/wire.md "Frames".
 */
#include "svm-scan/msg.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "lib/io/frame.h"

#define GULP (64u << 10)

uint64_t scan_now_ms(void)
{
	struct timespec ts = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void scan_msgs_init(struct scan_msgs *m, int fd, enum wire_sender peer)
{
	*m = (struct scan_msgs){
		.fd = fd, .stop_fd = -1, .deadline_ms = UINT64_MAX, .peer = peer, .state = WIRE_NEW
	};
	gi_buf_init(&m->in, IO_FRAME_HEAD + WIRE_FRAME_MAX + GULP);
	gi_buf_init(&m->out, IO_FRAME_HEAD + WIRE_FRAME_MAX);
}

void scan_msgs_fini(struct scan_msgs *m)
{
	gi_buf_fini(&m->in);
	gi_buf_fini(&m->out);
}

/* until @events of the socket, the deadline or the stop */
static int msgs_wait(struct scan_msgs *m, short events)
{
	struct pollfd fds[2] = { { .fd = m->fd, .events = events },
		{ .fd = m->stop_fd, .events = POLLIN } };
	uint64_t now;
	int ms, n;

	for (;;) {
		now = scan_now_ms();
		if (now >= m->deadline_ms)
			return -ETIMEDOUT;
		ms = m->deadline_ms - now > 3600000 ? 3600000 : (int)(m->deadline_ms - now);
		n = poll(fds, 2, ms);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0 && fds[1].revents)
			return -ECANCELED;
		if (n > 0 && fds[0].revents)
			return 0;
	}
}

int scan_msgs_send(struct scan_msgs *m, const Idfw__Envelope *e)
{
	uint8_t head[IO_FRAME_HEAD] = { 0 };
	size_t done = 0;
	ssize_t n;
	int err;

	gi_buf_reset(&m->out);
	gi_buf_append(&m->out, head, sizeof(head));
	err = wire_envelope_encode(e, &m->out);
	if (err < 0)
		return err;
	io_frame_head(m->out.data, m->out.len - IO_FRAME_HEAD);
	while (done < m->out.len) {
		n = send(m->fd, m->out.data + done, m->out.len - done, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n >= 0)
			done += (size_t)n;
		else if (errno == EPIPE || errno == ECONNRESET)
			return -GI_ECLOSED;
		else if (errno != EAGAIN && errno != EINTR)
			return -errno;
		err = done < m->out.len ? msgs_wait(m, POLLOUT) : 0;
		if (err < 0)
			return err;
	}
	return 0;
}

static int msgs_gulp(struct scan_msgs *m)
{
	uint8_t gulp[GULP];
	/* with nothing else to wait for, as in the worker, the read may wait itself */
	bool bounded = m->stop_fd >= 0 || m->deadline_ms != UINT64_MAX || m->would_block;
	int err = bounded ? msgs_wait(m, POLLIN) : 0;
	ssize_t n;

	if (err < 0)
		return err;
	n = read(m->fd, gulp, sizeof(gulp));
	if (n == 0 || (n < 0 && errno == ECONNRESET))
		return -GI_ECLOSED;
	if (n < 0) {
		m->would_block = errno == EAGAIN;
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	}
	gi_buf_append(&m->in, gulp, (size_t)n);
	return gi_buf_error(&m->in);
}

int scan_msgs_recv(struct scan_msgs *m, Idfw__Envelope **ret, const char **ret_why)
{
	size_t len;
	int err;

	*ret_why = "bad frame length";
	while ((err = io_frame_next(m->in.data, m->in.len, WIRE_FRAME_MAX, &len)) == -EAGAIN) {
		err = msgs_gulp(m);
		if (err < 0)
			return err;
	}
	if (err < 0)
		return err;
	err = wire_envelope_decode(
		m->in.data + IO_FRAME_HEAD, len, m->peer, m->state, ret, ret_why);
	gi_buf_consume(&m->in, IO_FRAME_HEAD + len);
	if (err == 0)
		m->state = WIRE_OPEN;
	return err;
}

bool scan_msgs_pending(struct scan_msgs *m)
{
	struct pollfd fd = { .fd = m->fd, .events = POLLIN };

	return m->in.len > 0 || poll(&fd, 1, 0) > 0;
}
