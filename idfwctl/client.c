/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * client.c - one request to svm-idfw or svm-scan over its control socket, answered row by row
 *
 * Writes and reads at the same time (poll), since svm-idfw may answer, or refuse, before it has
 * read all of a large policy. What it says is checked by lib/wire before anything is shown.
 */
#include "config.h"

#include "idfwctl/client.h"

#include <grp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "lib/base/buf.h"
#include "lib/io/frame.h"
#include "lib/io/loop.h"
#include "lib/io/sock.h"
#include "lib/wire/wire.h"

#define CHUNK (48u << 10) /* bytes of one CtlData */
#define OUT_MAX (WIRE_CTL_DATA_MAX + (1u << 20))
#define IN_MAX (WIRE_FRAME_MAX + IO_FRAME_HEAD + (16u << 10))

struct ctl_client {
	const char *service;
	int fd;
	int wait_ms;
	enum wire_state state;
	struct gi_buf out; /* framed, not yet written */
	size_t out_at;	   /* bytes of it that are written */
	bool broken;	   /* svm-idfw reads no more; it may have said why */
	struct gi_buf in;  /* received, not yet consumed */
};

/* ---- connecting ---- */

static const char *socket_words(const char *service)
{
	return strcmp(service, "svm-scan") == 0 ? "--scan-socket SOCKET or IDFW_SCAN_SOCKET"
						: "-s SOCKET or IDFW_SOCKET";
}

/* "group idfw", so that the user knows what to ask for */
static void why_denied(const char *service, const char *path, char why[CTL_WHY_MAX])
{
	struct group *gr = NULL;
	struct stat st;

	if (stat(path, &st) == 0 && st.st_gid != 0)
		gr = getgrgid(st.st_gid);
	snprintf(why, CTL_WHY_MAX,
		"no permission to talk to %s at %s\n"
		"  Be root%s%s, or name another socket with %s.",
		service, path, gr ? " or a member of group " : "", gr ? gr->gr_name : "",
		socket_words(service));
}

static void why_not_connected(const char *service, const char *path, int err, char why[CTL_WHY_MAX])
{
	if (err == -EACCES || err == -EPERM)
		why_denied(service, path, why);
	else if (err == -ENOENT || err == -ECONNREFUSED)
		snprintf(why, CTL_WHY_MAX,
			"%s is not running at %s: %s\n"
			"  Start it, or name its socket with %s.",
			service, path, gi_strerror(err), socket_words(service));
	else
		snprintf(why, CTL_WHY_MAX,
			"cannot connect to %s: %s\n"
			"  Name %s's control socket with %s.",
			path, gi_strerror(err), service, socket_words(service));
}

static int wait_for(struct ctl_client *c, short events, short *ret)
{
	struct pollfd p = { .fd = c->fd, .events = events };
	int n;

	do {
		n = poll(&p, 1, c->wait_ms);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (n == 0)
		return -ETIMEDOUT;
	*ret = p.revents;
	return 0;
}

static int finish_connect(struct ctl_client *c)
{
	socklen_t len = sizeof(int);
	short got;
	int soerr = 0, err = wait_for(c, POLLOUT, &got);

	if (err)
		return err;
	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &soerr, &len) < 0)
		return -errno;
	return -soerr;
}

int ctl_client_open(const char *service, const char *socket, int wait_ms, struct ctl_client **ret,
	char ret_why[CTL_WHY_MAX])
{
	const char *path = strncmp(socket, "unix:", 5) == 0 ? socket + 5 : socket;
	struct io_endpoint e;
	struct ctl_client *c;
	char text[256];
	int err;

	if ((size_t)snprintf(text, sizeof(text), "unix:%s", path) >= sizeof(text) ||
		io_endpoint_parse(text, &e) != 0) {
		snprintf(ret_why, CTL_WHY_MAX, "\"%s\" cannot be a unix socket's path", socket);
		return -EINVAL;
	}
	c = calloc(1, sizeof(*c));
	if (!c) {
		snprintf(ret_why, CTL_WHY_MAX, "%s", gi_strerror(-ENOMEM));
		return -ENOMEM;
	}
	c->service = service;
	c->fd = -1;
	c->wait_ms = wait_ms;
	gi_buf_init(&c->out, OUT_MAX);
	gi_buf_init(&c->in, IN_MAX);
	err = io_sock_connect(&e, &c->fd);
	if (err == 0)
		err = finish_connect(c);
	if (err) {
		why_not_connected(service, path, err, ret_why);
		ctl_client_close(c);
		return err;
	}
	*ret = c;
	return 0;
}

void ctl_client_close(struct ctl_client *c)
{
	if (!c)
		return;
	if (c->fd >= 0)
		(void)close(c->fd);
	gi_buf_fini(&c->out);
	gi_buf_fini(&c->in);
	free(c);
}

/* ---- asking ---- */

static int queue(struct ctl_client *c, const Idfw__Envelope *e)
{
	uint8_t head[IO_FRAME_HEAD];
	struct gi_buf frame;
	int err;

	gi_buf_init(&frame, WIRE_FRAME_MAX);
	err = wire_envelope_encode(e, &frame);
	if (err == 0) {
		io_frame_head(head, frame.len);
		gi_buf_append(&c->out, head, sizeof(head));
		gi_buf_append(&c->out, frame.data, frame.len);
		err = gi_buf_error(&c->out);
	}
	gi_buf_fini(&frame);
	return err;
}

static int queue_hello(struct ctl_client *c)
{
	char software[] = "idfwctl " PACKAGE_VERSION;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	Idfw__Hello hello = IDFW__HELLO__INIT;

	hello.version_min = WIRE_VERSION_MIN;
	hello.version_max = WIRE_VERSION_MAX;
	hello.software = software;
	e.body_case = IDFW__ENVELOPE__BODY_HELLO;
	e.hello = &hello;
	return queue(c, &e);
}

static int queue_request(struct ctl_client *c, const struct ctl_request *rq)
{
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	Idfw__CtlRequest request = IDFW__CTL_REQUEST__INIT;
	Idfw__CtlData data = IDFW__CTL_DATA__INIT;
	int err;

	if (rq->len > WIRE_CTL_DATA_MAX)
		return -GI_ELIMIT;
	/* protobuf-c's structs are not const; encoding changes nothing */
	request.verb = (char *)(uintptr_t)rq->verb;
	request.arg = (char **)(uintptr_t)rq->args;
	request.n_arg = rq->n_args;
	request.data_len = (uint32_t)rq->len;
	request.until_ms = io_clock_mono_ms() + (uint64_t)c->wait_ms;
	e.body_case = IDFW__ENVELOPE__BODY_CTL_REQUEST;
	e.ctl_request = &request;
	err = queue(c, &e);
	for (size_t at = 0; err == 0 && at < rq->len; at += data.data.len) {
		data.data.data = (uint8_t *)(uintptr_t)rq->data + at;
		data.data.len = rq->len - at < CHUNK ? rq->len - at : CHUNK;
		e.body_case = IDFW__ENVELOPE__BODY_CTL_DATA;
		e.ctl_data = &data;
		err = queue(c, &e);
	}
	return err;
}

static int write_some(struct ctl_client *c)
{
	ssize_t n = send(c->fd, c->out.data + c->out_at, c->out.len - c->out_at, MSG_NOSIGNAL);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < 0 && (errno == EPIPE || errno == ECONNRESET)) {
		c->broken = true; /* what it said before is still to be read */
		return 0;
	}
	if (n < 0)
		return -errno;
	c->out_at += (size_t)n;
	return 0;
}

/* ---- the answer ---- */

static int read_some(struct ctl_client *c)
{
	uint8_t part[16u << 10];
	ssize_t n = recv(c->fd, part, sizeof(part), 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < 0)
		return errno == ECONNRESET ? -GI_ECLOSED : -errno;
	if (n == 0)
		return -GI_ECLOSED;
	gi_buf_append(&c->in, part, (size_t)n);
	return gi_buf_error(&c->in);
}

/* 1: the answer is complete */
static int take_message(const struct ctl_client *c, const Idfw__Envelope *e,
	const struct ctl_sink *sink, unsigned int *ret_status, char why[CTL_WHY_MAX])
{
	switch (e->body_case) {
	case IDFW__ENVELOPE__BODY_CTL_ROW:
		return sink->row(sink->arg, e->ctl_row->json);
	case IDFW__ENVELOPE__BODY_CTL_TEXT:
		return sink->text(sink->arg, e->ctl_text->text.data, e->ctl_text->text.len);
	case IDFW__ENVELOPE__BODY_CTL_END:
		*ret_status = e->ctl_end->status;
		snprintf(why, CTL_WHY_MAX, "%s", e->ctl_end->text);
		return 1;
	case IDFW__ENVELOPE__BODY_REFUSED:
		snprintf(why, CTL_WHY_MAX, "%s refuses: %s", c->service, e->refused->text);
		return e->refused->reason == IDFW__REFUSED__REASON__VERSION ? -GI_EVERSION
									    : -GI_EDENIED;
	default: /* HelloAck: lib/wire lets nothing else through */
		return 0;
	}
}

/* the whole frames in c->in; 1: the answer is complete */
static int take_frames(struct ctl_client *c, const struct ctl_sink *sink, unsigned int *ret_status,
	char why[CTL_WHY_MAX])
{
	const char *wire_why = "";
	Idfw__Envelope *e;
	size_t len;
	int rc = 0;

	while (rc == 0) {
		rc = io_frame_next(c->in.data, c->in.len, WIRE_FRAME_MAX, &len);
		if (rc == -EAGAIN)
			return 0;
		if (rc == 0)
			rc = wire_envelope_decode(c->in.data + IO_FRAME_HEAD, len, WIRE_SVM_TO_CTL,
				c->state, &e, &wire_why);
		if (rc < 0) {
			snprintf(why, CTL_WHY_MAX, "what answers is not %s: %s%s%s", c->service,
				gi_strerror(rc), wire_why[0] ? ": " : "", wire_why);
			return rc;
		}
		c->state = WIRE_OPEN;
		rc = take_message(c, e, sink, ret_status, why);
		wire_envelope_free(e);
		gi_buf_consume(&c->in, IO_FRAME_HEAD + len);
	}
	return rc;
}

static int converse(struct ctl_client *c, const struct ctl_sink *sink, unsigned int *ret_status,
	char why[CTL_WHY_MAX])
{
	int rc = 0;

	while (rc == 0) {
		bool more = !c->broken && c->out_at < c->out.len;
		short got = 0;

		rc = wait_for(c, (short)(POLLIN | (more ? POLLOUT : 0)), &got);
		if (rc == 0 && more && (got & (POLLOUT | POLLERR)))
			rc = write_some(c);
		if (rc == 0 && (got & (POLLIN | POLLHUP | POLLERR)))
			rc = read_some(c);
		if (rc == 0)
			rc = take_frames(c, sink, ret_status, why);
	}
	return rc;
}

static void say_why(const struct ctl_client *c, int err, char why[CTL_WHY_MAX])
{
	if (err == -ETIMEDOUT)
		snprintf(why, CTL_WHY_MAX,
			"%s does not answer: nothing for %d s\n"
			"  See its log, and whether it is stopped or very busy. What it had not "
			"begun\n"
			"  by now it does not do later.",
			c->service, c->wait_ms / 1000);
	else if (err == -GI_ECLOSED)
		snprintf(why, CTL_WHY_MAX,
			"%s closed the connection before it had answered\n"
			"  See its log.",
			c->service);
	else if (err == -GI_EPROTO)
		snprintf(why, CTL_WHY_MAX, "what answers is not %s: a row is no JSON object",
			c->service);
	else
		snprintf(why, CTL_WHY_MAX, "%s", gi_strerror(err));
}

int ctl_client_call(struct ctl_client *c, const struct ctl_request *rq, const struct ctl_sink *sink,
	unsigned int *ret_status, char ret_why[CTL_WHY_MAX])
{
	int rc = queue_hello(c);

	ret_why[0] = '\0';
	if (rc == 0)
		rc = queue_request(c, rq);
	if (rc == -GI_ELIMIT) {
		snprintf(ret_why, CTL_WHY_MAX,
			"the request is too large: a policy has at most %u MiB",
			WIRE_CTL_DATA_MAX >> 20);
		return rc;
	}
	if (rc == -GI_EPROTO) {
		snprintf(
			ret_why, CTL_WHY_MAX, "an argument is too long, or has control characters");
		return -EINVAL;
	}
	if (rc == 0)
		rc = converse(c, sink, ret_status, ret_why);
	if (rc < 0 && ret_why[0] == '\0')
		say_why(c, rc, ret_why);
	return rc < 0 ? rc : 0;
}
