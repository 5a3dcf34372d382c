/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pusher_flood.c - gi-netagent's pusher under a flood of requests, for tests/ns/pusher-flood.sh
 *
 * Runs the real pusher (na_pusher_run) in a child, plays the keeper and the parsing process: a
 * ruleset with one lease, "pushed" on stdout, and when a line comes on stdin one request behind the
 * other for good, each 32nd a heartbeat. The pusher's socket is never empty then; what it has to do
 * beside requests, it has to do between them. Ends with its stdin.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fw/push.h"
#include "fw/rec.h"
#include "netagent/fdpass.h"
#include "netagent/naconf.h"
#include "netagent/pusher.h"
#include "tests/unit/fw/fixture.h"

#define HEARTBEAT_EVERY 32

static const char script[] = "generation 1; version 1; group eng s;"
			     "rule app/db out accept from eng tcp:5432;"
			     "base 4 1; base 6 2; live 1; live 2; uid 1001 0x11; sg eng 0x11;"
			     "live 0x11 100";

static int emit(void *arg, const struct fw_rec *r)
{
	return send(*(int *)arg, r, sizeof(*r), MSG_NOSIGNAL) == sizeof(*r) ? 0 : -errno;
}

/* 1 a record, 0 none now */
static int take(int fd, struct fw_rec *r, int flags)
{
	ssize_t n = recv(fd, r, sizeof(*r), flags);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return n == sizeof(*r) ? 1 : -EPIPE;
}

static int push(int fd)
{
	struct fw_state *s = fx_state(script);
	struct fw_rec r;
	int rc = s ? fw_rec_write_state(s, emit, &fd) : -EINVAL;

	fw_state_free(s);
	do {
		if (rc == 0)
			rc = take(fd, &r, 0);
		rc = rc < 0 ? rc : 0;
	} while (rc == 0 && r.type != FW_REC_DONE);
	return rc == 0 ? r.err : rc;
}

/* until stdin ends */
static int flood(int fd)
{
	struct fw_rec ask = { .type = FW_REC_MARKS }, beat = { .type = FW_REC_RENEW }, r;
	unsigned long sent = 0;

	for (;;) {
		struct pollfd fds[] = { { .fd = fd, .events = POLLIN | POLLOUT },
			{ .fd = STDIN_FILENO, .events = POLLIN } };
		int rc;

		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return -errno;
		if (fds[1].revents)
			return 0;
		while ((rc = take(fd, &r, MSG_DONTWAIT)) > 0)
			;
		if (rc < 0)
			return rc;
		while (send(fd, sent % HEARTBEAT_EVERY ? &ask : &beat, sizeof(r),
			       MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof(r))
			sent++;
	}
}

static void pusher(int fd)
{
	char owner[] = "off";
	const struct na_conf conf = { .table_owner = owner };

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	_exit(na_pusher_run(&conf, fd));
}

int main(void)
{
	int pair[2], table = -1, rc;
	char line[16];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return 1;
	if (fork() == 0) {
		close(pair[1]);
		pusher(pair[0]);
	}
	close(pair[0]);
	rc = fw_own_open(&table);
	if (rc == 0)
		rc = na_fd_send(pair[1], NA_FD_TABLE, table);
	if (rc == 0)
		rc = push(pair[1]);
	if (rc == 0) {
		printf("pushed\n");
		fflush(stdout);
		if (read(STDIN_FILENO, line, sizeof(line)) > 0)
			rc = flood(pair[1]);
	}
	if (rc < 0)
		fprintf(stderr, "pusher_flood: %d\n", rc);
	return rc < 0;
}
