/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fdpass.c - SCM_RIGHTS, see fdpass.h and unix(7)
 */
#include "netagent/fdpass.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int na_fd_send_rec(int sock, const void *rec, size_t len, int fd)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} ctl = { .buf = { 0 } };
	struct iovec iov = { .iov_base = (void *)rec, .iov_len = len }; /* only read */
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = ctl.buf,
		.msg_controllen = sizeof(ctl.buf) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	return sendmsg(sock, &m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

/* the only descriptor there is room for; -1: none came */
static int descriptor_of(struct msghdr *m)
{
	const struct cmsghdr *c = CMSG_FIRSTHDR(m);
	int fd = -1;

	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
		c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&fd, CMSG_DATA(c), sizeof(int));
	return fd;
}

int na_fd_recv_any(int sock, void *ret_rec, size_t len, int *ret_fd)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} ctl;
	struct iovec iov = { .iov_base = ret_rec, .iov_len = len };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = ctl.buf,
		.msg_controllen = sizeof(ctl.buf) };
	ssize_t n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	int fd;

	if (n < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	if (n == 0)
		return -GI_ECLOSED;
	fd = descriptor_of(&m);
	if ((size_t)n != len || (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
		if (fd >= 0)
			close(fd);
		return -GI_EPROTO;
	}
	*ret_fd = fd;
	return 0;
}

int na_fd_recv_rec(int sock, void *ret_rec, size_t len, int *ret_fd)
{
	int fd, err = na_fd_recv_any(sock, ret_rec, len, &fd);

	if (err == 0 && fd < 0)
		err = -GI_EPROTO;
	if (err == 0)
		*ret_fd = fd;
	return err;
}

int na_fd_send(int sock, char what, int fd)
{
	return na_fd_send_rec(sock, &what, 1, fd);
}

int na_fd_recv(int sock, char *ret_what, int *ret_fd)
{
	char what;
	int err = na_fd_recv_rec(sock, &what, 1, ret_fd);

	if (err == 0)
		*ret_what = what;
	return err;
}
