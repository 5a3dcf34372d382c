/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pusher.c - gi-netagent --pusher: applies what the parsing process asks for
 *
 * uid 0 with CAP_NET_ADMIN alone, no_new_privs, a seccomp filter, no text parsed: the records have
 * a fixed shape and fw_rec_reader checks each before it is used. Blocking and sequential: one
 * request, one answer. Leases are renewed in steps, while no request waits; the guard (fw/guard.h)
 * repairs what others did to our table, which is told by records that nobody asked for.
 * libnftables may exit() under us: the keeper starts the next one, the parsing process reports it,
 * and the SVM sends a whole ruleset. The kernel goes on with what it has.
 */
#include "netagent/pusher.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "fw/guard.h"
#include "fw/push.h"
#include "fw/rec.h"
#include "lib/base/log.h"
#include "lib/io/priv.h"
#include "netagent/fdpass.h"

#define WORK_EVERY 64 /* records, while there is more to do than to take them */

struct pusher {
	int fd;
	struct fw_push *push;
	struct fw_guard *guard;
	struct fw_rec_reader *reader;
	bool told_old;	    /* that the kernel knows no owners */
	bool other;	    /* somebody else owns the table */
	bool more;	    /* fw_push_work() has something to do */
	unsigned int since; /* records taken since it was last called */
};

static int reply(struct pusher *p, const struct fw_rec *r)
{
	while (send(p->fd, r, sizeof(*r), MSG_NOSIGNAL) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return 0;
}

static int reply_done(
	struct pusher *p, uint64_t generation, uint64_t version, int err, const char *why)
{
	struct fw_rec r = {
		.type = FW_REC_DONE, .err = err, .generation = generation, .version = version
	};

	if (err < 0)
		snprintf(r.name, sizeof(r.name), "%.120s", why[0] ? why : gi_strerror(err));
	return reply(p, &r);
}

static int apply_state(struct pusher *p, struct fw_state *s)
{
	uint64_t generation = fw_state_ruleset(s)->generation, version = fw_state_version(s);
	char why[256] = "";
	int err = fw_push_ruleset(p->push, s, why);

	if (err < 0) {
		gi_err("ruleset %llu.%llu was not taken: %s", (unsigned long long)generation,
			(unsigned long long)version, why);
		fw_state_free(s);
	} else if (!p->told_old && fw_push_owned(p->push) == FW_OWNED_OLD) {
		gi_notice("%s", fw_owned_text(FW_OWNED_OLD));
		p->told_old = true;
	}
	return reply_done(p, generation, version, err, why);
}

static int apply_delta(struct pusher *p, struct fw_delta *d)
{
	char why[256] = "";
	int err = fw_push_delta(p->push, d, why);

	if (err < 0 && err != -GI_ESTATE)
		gi_err("change to version %llu was not taken: %s", (unsigned long long)d->version,
			why);
	err = reply_done(p, d->generation, d->version, err, why);
	fw_delta_free(d);
	return err;
}

static int mark_cb(void *arg, const struct fw_elem *e)
{
	struct fw_rec r = { .type = FW_REC_ELEM, .elem = *e };

	return reply(arg, &r);
}

static int read_marks(struct pusher *p)
{
	uint64_t generation = 0, version = 0;
	char why[256] = "";
	int err = fw_push_running(p->push, &generation, &version);

	if (err == 0 && generation)
		err = fw_push_marks(p->push, mark_cb, p);
	if (err < 0)
		gi_err("the marks in the kernel cannot be read: %s", gi_strerror(err));
	return reply_done(p, generation, version, err, why);
}

static int take(struct pusher *p, const void *buf, size_t len)
{
	struct fw_state *state = NULL;
	struct fw_delta *delta = NULL;
	enum fw_rec_out out;
	int err = fw_rec_reader_feed(p->reader, buf, len, &out, &state, &delta);

	if (err < 0) {
		gi_err("the parsing process sent a wrong record: %s", gi_strerror(err));
		return err;
	}
	switch (out) {
	case FW_REC_STATE:
		p->more = true;
		return apply_state(p, state);
	case FW_REC_DELTA_READY:
		p->more = true;
		return apply_delta(p, delta);
	case FW_REC_WANT_MARKS:
		return read_marks(p);
	case FW_REC_WANT_RENEW:
		fw_push_renew(p->push);
		p->more = true;
		return 0;
	case FW_REC_MORE:
		break;
	}
	return 0;
}

static void work(struct pusher *p)
{
	char why[256] = "";

	p->since = 0;
	if (fw_push_work(p->push, &p->more, why) < 0)
		gi_err("leases could not be renewed: %s", why);
}

static void tell(void *arg, enum fw_alarm kind, bool over, const char *text)
{
	struct fw_rec r = { .type = FW_REC_ALARM, .a = (uint8_t)kind, .b = over };

	snprintf(r.name, sizeof(r.name), "%s", text);
	/* when it cannot be sent, the parsing process is gone and we are about to notice */
	(void)!reply(arg, &r);
}

/* the table was somebody else's and is not any more: a fresh pusher gets a whole ruleset */
static bool is_free(struct pusher *p)
{
	bool other = fw_push_owned(p->push) == FW_OWNED_OTHER, was = p->other;

	p->other = other;
	return was && !other;
}

/* until there is a request; the guard's work meanwhile. 1: enough */
static int idle(struct pusher *p)
{
	struct pollfd fds[] = { { .fd = p->fd, .events = POLLIN },
		{ .fd = fw_guard_fd(p->guard), .events = POLLIN } };
	int ms = fw_guard_work(p->guard), n;

	if (is_free(p)) {
		gi_notice("the table " FW_TABLE " is nobody else's any more");
		return 1;
	}
	n = poll(fds, GI_ARRAY_SIZE(fds), ms);
	return n < 0 && errno != EINTR ? -errno : 0;
}

static int serve(struct pusher *p)
{
	char buf[sizeof(struct fw_rec) + 1];

	for (;;) {
		ssize_t n = recv(p->fd, buf, sizeof(buf), MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN && p->more) {
			work(p);
			continue;
		}
		if (n < 0 && errno == EAGAIN) {
			int rc = idle(p);

			if (rc)
				return rc < 0;
			continue;
		}
		if (p->more && ++p->since == WORK_EVERY)
			work(p); /* or a flood of changes would let leases end */
		if (n <= 0) /* the parsing process is gone: so are we; the kernel keeps its rules */
			return 0;
		if (take(p, buf, (size_t)n) < 0)
			return 1;
	}
}

/* the socket that owns the table; the keeper sends it before anybody else can send anything */
static int take_socket(int fd, int *ret_fd)
{
	struct pollfd pf = { .fd = fd, .events = POLLIN };
	char what = 0;
	int err;

	do {
		if (poll(&pf, 1, -1) < 0 && errno != EINTR)
			return -errno;
		err = na_fd_recv(fd, &what, ret_fd);
	} while (err == -EAGAIN);
	return err == 0 && what != NA_FD_TABLE ? -GI_EPROTO : err;
}

int na_pusher_run(const struct na_conf *conf, int fd)
{
	struct pusher p = { .fd = fd };
	char why[256] = "";
	int rc = 1, table_fd = -1, err = io_priv_drop(NULL, IO_CAP_NET_ADMIN);

	if (err == 0)
		err = io_priv_seccomp_parser();
	if (err < 0) {
		gi_err("pusher: privileges cannot be dropped: %s", gi_strerror(err));
		return 1;
	}
	err = take_socket(fd, &table_fd);
	if (err < 0)
		return err == -GI_ECLOSED ? 0 : 1;
	err = fw_push_new(table_fd, na_conf_owner(conf), &p.push, why);
	if (err < 0)
		gi_err("pusher: no nftables: %s", why[0] ? why : gi_strerror(err));
	else if (fw_guard_new(p.push, tell, &p, &p.guard) < 0)
		gi_err("pusher: the kernel's notifications cannot be had");
	else if (fw_rec_reader_new(&p.reader) < 0)
		gi_err("pusher: out of memory");
	else
		rc = serve(&p);
	fw_rec_reader_free(p.reader);
	fw_guard_free(p.guard);
	fw_push_free(p.push);
	return rc;
}
