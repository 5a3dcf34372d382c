/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * exchange.c - the bounded exchange with gi-netagent, see exchange.h
 *
 * A unix socket whose backlog is full has no "connecting" state to poll for: connect(2) either
 * fails at once (non-blocking) or sleeps in the kernel for at most SO_SNDTIMEO. The latter wakes
 * up the moment there is room, so the socket stays blocking for connect(2) with the time that is
 * left as its SO_SNDTIMEO, and every later step is poll(2) with the time that is left then.
 */
#include "pam_gi/exchange.h"

#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

long long pam_gi_now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (long long)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static int do_connect(int fd, const struct sockaddr_un *un, long long deadline_us)
{
	for (;;) {
		long long left = deadline_us - pam_gi_now_us();
		/* a zero SO_SNDTIMEO would mean for ever */
		struct timeval tv = { .tv_sec = 0, .tv_usec = 1 };

		if (left > 0)
			tv = (struct timeval){ .tv_sec = left / 1000000,
				.tv_usec = left % 1000000 };
		if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) < 0)
			return -errno;
		if (connect(fd, (const struct sockaddr *)un, sizeof(*un)) == 0)
			return 0;
		if (errno == EAGAIN)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
		if (left <= 0)
			return -ETIMEDOUT;
	}
}

static int do_wait(int fd, short events, long long deadline_us)
{
	struct pollfd p = { .fd = fd, .events = events };

	for (;;) {
		long long left_us = deadline_us - pam_gi_now_us();
		int left_ms = left_us <= 0 ? 0 : (int)((left_us + 999) / 1000);
		int n = poll(&p, 1, left_ms);

		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (left_us <= 0)
			return -ETIMEDOUT;
	}
}

static int do_send(int fd, const void *msg, size_t len, long long deadline_us)
{
	for (;;) {
		int err;

		if (send(fd, msg, len, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		err = do_wait(fd, POLLOUT, deadline_us);
		if (err < 0)
			return err;
	}
}

static int do_recv(int fd, void *buf, size_t size, size_t *ret_len, long long deadline_us)
{
	for (;;) {
		ssize_t n;
		int err = do_wait(fd, POLLIN, deadline_us);

		if (err < 0)
			return err;
		n = recv(fd, buf, size, MSG_DONTWAIT | MSG_TRUNC);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ECONNRESET;
		if ((size_t)n > size)
			return -GI_ELIMIT;
		*ret_len = (size_t)n;
		return 0;
	}
}

/* connected, the message sent; the descriptor is the caller's */
static int open_and_send(
	const char *path, const void *msg, size_t len, long long deadline_us, int *ret_fd)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	size_t path_len = strlen(path);
	int fd, err;

	if (path_len >= sizeof(un.sun_path))
		return -ENAMETOOLONG;
	memcpy(un.sun_path, path, path_len);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	err = do_connect(fd, &un, deadline_us);
	if (err == 0)
		err = do_send(fd, msg, len, deadline_us);
	if (err < 0)
		close(fd);
	else
		*ret_fd = fd;
	return err;
}

int pam_gi_exchange(const char *path, unsigned int timeout_ms, const void *msg, size_t len,
	void *ret_buf, size_t buf_size, size_t *ret_len)
{
	long long deadline_us = pam_gi_now_us() + (long long)timeout_ms * 1000;
	int fd, err = open_and_send(path, msg, len, deadline_us, &fd);

	if (err < 0)
		return err;
	err = do_recv(fd, ret_buf, buf_size, ret_len, deadline_us);
	close(fd);
	return err;
}

int pam_gi_tell(const char *path, unsigned int timeout_ms, const void *msg, size_t len)
{
	long long deadline_us = pam_gi_now_us() + (long long)timeout_ms * 1000;
	int fd, err = open_and_send(path, msg, len, deadline_us, &fd);

	if (err == 0)
		close(fd);
	return err;
}
