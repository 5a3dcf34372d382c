/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rec.c - the fixed records between supervisor and worker, see rec.h
 *
 * Both processes. Each op has one row: who sends it, with how many descriptors. Invariants: what
 * fa_rec_recv() hands out has NUL-terminated texts and a path without NUL inside; descriptors of
 * a refused record are closed.
 */
#include "fileagent/rec.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define REC_HEAD offsetof(struct fa_rec, path)

static const struct rec_op {
	enum fa_side from;
	uint8_t min_fds, max_fds;
	bool path;
} rec_ops[FA_OP_COUNT] = {
	[FA_OP_START] = { FA_SUPERVISOR, 4, 4, false },
	[FA_OP_CONF] = { FA_SUPERVISOR, 1, 1, false },
	[FA_OP_LISTEN] = { FA_SUPERVISOR, 1, 2, false }, /* 2: in a handover, with a pidfd */
	[FA_OP_STOP] = { FA_SUPERVISOR, 0, 0, false },
	[FA_OP_REPLY] = { FA_SUPERVISOR, 0, 1, true },
	[FA_OP_MARK] = { FA_WORKER, 1, 1, false },
	[FA_OP_UNMARK] = { FA_WORKER, 1, 1, false },
	[FA_OP_FLUSH] = { FA_WORKER, 0, 0, false },
	[FA_OP_DELETE] = { FA_WORKER, 1, 1, true },
	[FA_OP_QUARANTINE] = { FA_WORKER, 1, 1, true },
	[FA_OP_TMP] = { FA_WORKER, 1, 1, true },
	[FA_OP_REPLACE] = { FA_WORKER, 2, 2, true },
	[FA_OP_OPEN] = { FA_WORKER, 0, 1, true },
	[FA_OP_WHO] = { FA_WORKER, 0, 1, false },
	[FA_OP_HANDLE] = { FA_WORKER, 0, 0, true },
	[FA_OP_TEST] = { FA_WORKER, 0, 0, true },
	[FA_OP_VAULT_LIST] = { FA_WORKER, 0, 0, false },
	[FA_OP_VAULT_RESTORE] = { FA_WORKER, 0, 0, false },
	[FA_OP_VAULT_PURGE] = { FA_WORKER, 0, 0, false },
	[FA_OP_TASKS] = { FA_WORKER, 0, 0, false },
	[FA_OP_MARKS] = { FA_WORKER, 1, FA_REC_FDS_MAX, true },
};

static bool rec_text_ends(const char *text, size_t size)
{
	return memchr(text, '\0', size) != NULL;
}

static bool rec_words_end(const struct fa_rec *r)
{
	return rec_text_ends(r->text, sizeof(r->text)) &&
	       rec_text_ends(r->meta.engine, sizeof(r->meta.engine)) &&
	       rec_text_ends(r->meta.signature, sizeof(r->meta.signature)) &&
	       rec_text_ends(r->meta.user, sizeof(r->meta.user)) &&
	       rec_text_ends(r->meta.reason, sizeof(r->meta.reason));
}

int fa_rec_check(const struct fa_rec *r, size_t len, size_t n_fds, enum fa_side from)
{
	const struct rec_op *op;

	if (len < REC_HEAD || r->op == 0 || r->op >= FA_OP_COUNT)
		return -GI_EPROTO;
	op = &rec_ops[r->op];
	if (op->from != from)
		return -GI_EDENIED;
	if (r->path_len > FA_REC_PATH_MAX || len != REC_HEAD + r->path_len ||
		(r->path_len && !op->path))
		return -GI_EPROTO;
	if (n_fds < op->min_fds || n_fds > op->max_fds)
		return -GI_EPROTO;
	if (r->op == FA_OP_MARKS)
		return r->path_len == n_fds * sizeof(struct fa_ident) && rec_words_end(r)
			       ? 0
			       : -GI_EPROTO;
	if (r->path_len && memchr(r->path, '\0', r->path_len))
		return -GI_EPROTO;
	return rec_words_end(r) ? 0 : -GI_EPROTO;
}

union rec_ctl {
	struct cmsghdr align;
	char buf[CMSG_SPACE(FA_REC_FDS_MAX * sizeof(int))];
};

int fa_rec_send(int sock, const struct fa_rec *r, const int *fds, size_t n_fds)
{
	union rec_ctl ctl = { .buf = { 0 } };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)r, .iov_len = REC_HEAD + r->path_len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (n_fds > FA_REC_FDS_MAX || r->path_len > FA_REC_PATH_MAX)
		return -EINVAL;
	if (n_fds) {
		struct cmsghdr *c;

		m.msg_control = ctl.buf;
		m.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
	}
	do {
		n = sendmsg(sock, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

static size_t rec_fds(struct msghdr *m, int fds[FA_REC_FDS_MAX])
{
	size_t n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		size_t k = 0;

		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
			k = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < k; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (n < FA_REC_FDS_MAX)
				fds[n++] = fd;
			else
				(void)close(fd);
		}
	}
	return n;
}

int fa_rec_recv(
	int sock, enum fa_side from, struct fa_rec *ret, int fds[FA_REC_FDS_MAX], size_t *ret_n)
{
	union rec_ctl ctl;
	struct iovec iov = { .iov_base = ret, .iov_len = sizeof(*ret) };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = ctl.buf,
		.msg_controllen = sizeof(ctl.buf) };
	ssize_t len = recvmsg(sock, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	size_t n;
	int err;

	if (len < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	n = rec_fds(&m, fds);
	if (len == 0)
		err = -GI_ECLOSED; /* an empty datagram is none that anybody sends */
	else if (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
		err = -GI_EPROTO;
	else
		err = fa_rec_check(ret, (size_t)len, n, from);
	if (err < 0) {
		for (size_t i = 0; i < n; i++)
			(void)close(fds[i]);
		return err;
	}
	ret->path[ret->path_len] = '\0';
	*ret_n = n;
	return 0;
}
