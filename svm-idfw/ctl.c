/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ctl.c - the control socket: idfwctl's requests, answered from the engine and the store
 *
 * Runs in svm-idfw's loop. Who may connect is the socket file's mode and group; who asked
 * (SO_PEERCRED) goes into the audit trail. One connection is one request. Rows are made only while
 * the client's queue has room (CTL_HIGH), so a client that does not read costs one megabyte, and is
 * dropped when it has not moved for CTL_IDLE_MS. Garbage: dropped with a log line. Source:
 * docs/control.md, docs/wire.md.
 */
#include "config.h"
#include "svm-idfw/ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "lib/base/log.h"
#include "lib/io/chan.h"
#include "lib/io/sock.h"
#include "svm-idfw/query.h"

#define CTL_QUEUE_MAX (2u << 20)
#define CTL_HIGH \
	(CTL_QUEUE_MAX / 2 + CTL_QUEUE_MAX / 8) /* over half: io_chan's drained() will come */
#define CTL_REQUEST_MS 10000			/* for the whole request */
#define CTL_IDLE_MS 60000			/* for reading what was sent */

struct ctl_client {
	struct idfw_ctl *ctl;
	struct io_chan *chan;
	struct io_timer timer;
	enum wire_state state;
	char by[64];
	Idfw__Envelope *request; /* owned; NULL before it came */
	struct gi_buf data;
	struct query *query; /* owned; NULL before the request is whole */
	bool answered;	     /* CtlEnd is queued */
	bool broken;	     /* to be dropped, not from within a callback's callee */
	struct ctl_client *prev, *next;
};

struct idfw_ctl {
	struct io_loop *loop;
	struct query_env env;
	struct io_fd listener;
	int fd;
	struct ctl_client *clients;
	size_t n_clients;
};

static void ctl_accept_cb(struct io_fd *w, unsigned int events);
static void ctl_client_new(struct idfw_ctl *c, int fd);
static void ctl_client_drop(struct ctl_client *cl, const char *why);
static void ctl_frame(void *arg, struct io_chan *chan, const uint8_t *buf, size_t len);
static void ctl_closed(void *arg, struct io_chan *chan, int err, const char *why);
static void ctl_drained(void *arg, struct io_chan *chan);
static void ctl_timer_cb(struct io_timer *w);
static int ctl_take(struct ctl_client *cl, Idfw__Envelope *e, const char **ret_why);
static int ctl_begin(struct ctl_client *cl, const char **ret_why);
static void ctl_pump(struct ctl_client *cl);
static bool ctl_send(struct ctl_client *cl, const Idfw__Envelope *e);

static const struct io_chan_ops ctl_chan_ops = {
	.frame = ctl_frame, .closed = ctl_closed, .drained = ctl_drained
};

int idfw_ctl_new(struct io_loop *l, const char *endpoint, struct idfw_engine *e,
	struct idfw_store *s, const struct idfw_ctl_ops *ops, void *arg, struct idfw_ctl **ret)
{
	struct idfw_ctl *c = calloc(1, sizeof(*c));
	struct io_endpoint ep;
	int err;

	if (!c)
		return -ENOMEM;
	c->loop = l;
	c->env = (struct query_env){
		.engine = e, .store = s, .ops = ops, .arg = arg, .started_ms = io_clock_real_ms()
	};
	err = io_endpoint_parse(endpoint, &ep);
	if (err == 0)
		err = io_sock_listen(&ep, 0660, &c->fd);
	if (err < 0) {
		free(c);
		return err;
	}
	io_fd_start(l, &c->listener, c->fd, IO_READ, ctl_accept_cb, c);
	*ret = c;
	return 0;
}

void idfw_ctl_free(struct idfw_ctl *c)
{
	struct ctl_client *cl, *next;

	if (!c)
		return;
	DL_FOREACH_SAFE (c->clients, cl, next)
		ctl_client_drop(cl, NULL);
	io_fd_stop(c->loop, &c->listener);
	(void)close(c->fd);
	free(c);
}

/* ---- clients ---- */

static void ctl_accept_cb(struct io_fd *w, unsigned int events)
{
	struct idfw_ctl *c = w->arg;
	int fd;

	(void)events;
	while (io_sock_accept(c->fd, &fd) == 0)
		ctl_client_new(c, fd);
}

/* takes @fd */
static void ctl_client_new(struct idfw_ctl *c, int fd)
{
	static const struct io_chan_conf conf = { .max_frame = WIRE_FRAME_MAX,
		.max_queue = CTL_QUEUE_MAX };
	struct ctl_client *cl = NULL;
	struct ucred peer;
	int err = io_sock_peer_ucred(fd, &peer);

	if (err == 0 && c->n_clients >= CTL_CLIENTS_MAX)
		err = -GI_EFULL;
	if (err == 0) {
		cl = calloc(1, sizeof(*cl));
		err = cl ? io_chan_new(c->loop, fd, NULL, &conf, &ctl_chan_ops, cl, &cl->chan)
			 : -ENOMEM;
		if (cl)
			fd = -1; /* io_chan_new takes it, also on error */
	}
	if (err < 0) {
		gi_warn("control: client not accepted: %s", gi_strerror(err));
		if (fd >= 0)
			(void)close(fd);
		free(cl);
		return;
	}
	cl->ctl = c;
	cl->state = WIRE_NEW;
	if (peer.uid == 0)
		(void)snprintf(cl->by, sizeof(cl->by), "root");
	else
		(void)snprintf(cl->by, sizeof(cl->by), "uid %u", (unsigned int)peer.uid);
	gi_buf_init(&cl->data, CTL_POLICY_MAX);
	DL_APPEND(c->clients, cl);
	c->n_clients++;
	io_timer_start(c->loop, &cl->timer, CTL_REQUEST_MS, 0, ctl_timer_cb, cl);
}

/* @why: for the log; NULL: an ordinary end */
static void ctl_client_drop(struct ctl_client *cl, const char *why)
{
	struct idfw_ctl *c = cl->ctl;

	if (why)
		gi_warn("control: client of %s dropped: %s", cl->by, why);
	DL_DELETE(c->clients, cl);
	c->n_clients--;
	io_timer_stop(c->loop, &cl->timer);
	io_chan_free(cl->chan);
	wire_envelope_free(cl->request);
	query_free(cl->query);
	gi_buf_fini(&cl->data);
	free(cl);
}

static void ctl_closed(void *arg, struct io_chan *chan, int err, const char *why)
{
	struct ctl_client *cl = arg;

	(void)chan;
	ctl_client_drop(cl, err == -GI_EPROTO ? why : NULL);
}

static void ctl_timer_cb(struct io_timer *w)
{
	struct ctl_client *cl = w->arg;

	ctl_client_drop(
		cl, cl->query ? "does not read its answer" : "its request was not whole in time");
}

static void ctl_drained(void *arg, struct io_chan *chan)
{
	(void)chan;
	ctl_pump(arg);
}

/* ---- requests ---- */

static void ctl_frame(void *arg, struct io_chan *chan, const uint8_t *buf, size_t len)
{
	struct ctl_client *cl = arg;
	Idfw__Envelope *e = NULL;
	const char *why = "";
	int err;

	(void)chan;
	err = wire_envelope_decode(buf, len, WIRE_CTL, cl->state, &e, &why);
	if (err == 0) {
		cl->state = WIRE_OPEN;
		err = ctl_take(cl, e, &why);
	}
	if (err < 0)
		ctl_client_drop(cl, why);
	else if (cl->query)
		ctl_pump(cl);
}

/* takes @e; negative: drop the client */
static int ctl_take(struct ctl_client *cl, Idfw__Envelope *e, const char **ret_why)
{
	int err = 0;

	switch (e->body_case) {
	case IDFW__ENVELOPE__BODY_HELLO: {
		Idfw__HelloAck ack = IDFW__HELLO_ACK__INIT;
		Idfw__Refused no = IDFW__REFUSED__INIT;
		Idfw__Envelope out = IDFW__ENVELOPE__INIT;
		char text[WIRE_TEXT_MAX] = "", software[] = "svm-idfw " PACKAGE_VERSION;
		uint32_t version = 0;

		if (wire_version_choose(e->hello, &version, text) < 0) {
			no.reason = IDFW__REFUSED__REASON__VERSION;
			no.text = text;
			out.body_case = IDFW__ENVELOPE__BODY_REFUSED;
			out.refused = &no;
			gi_warn("control: client of %s: %s", cl->by, text);
			cl->answered = true; /* it reads that and goes */
		} else {
			ack.version = version;
			ack.software = software;
			out.body_case = IDFW__ENVELOPE__BODY_HELLO_ACK;
			out.hello_ack = &ack;
		}
		(void)ctl_send(cl, &out);
		break;
	}
	case IDFW__ENVELOPE__BODY_CTL_REQUEST:
		*ret_why = "a second request on one connection";
		if (cl->request || cl->answered) {
			err = -GI_EPROTO;
			break;
		}
		cl->request = e;
		return ctl_begin(cl, ret_why);
	case IDFW__ENVELOPE__BODY_CTL_DATA:
		*ret_why = "data that no request announced";
		if (!cl->request || cl->query ||
			e->ctl_data->data.len > cl->request->ctl_request->data_len - cl->data.len) {
			err = -GI_EPROTO;
			break;
		}
		gi_buf_append(&cl->data, e->ctl_data->data.data, e->ctl_data->data.len);
		*ret_why = "out of memory";
		err = gi_buf_error(&cl->data);
		if (err == 0)
			err = ctl_begin(cl, ret_why);
		break;
	default:
		*ret_why = "a message that is no request";
		err = -GI_EDENIED;
	}
	wire_envelope_free(e);
	return err;
}

/* when the request and its data are whole */
static int ctl_begin(struct ctl_client *cl, const char **ret_why)
{
	const Idfw__CtlRequest *r = cl->request->ctl_request;

	if (cl->data.len < r->data_len)
		return 0;
	*ret_why = "out of memory";
	gi_info("control: %s by %s", r->verb, cl->by);
	io_timer_start(cl->ctl->loop, &cl->timer, CTL_IDLE_MS, 0, ctl_timer_cb, cl);
	return query_new(&cl->ctl->env, r, gi_buf_str(&cl->data), cl->data.len, cl->by, &cl->query);
}

/* ---- answers ---- */

static bool ctl_out_row(void *arg, const char *json)
{
	struct ctl_client *cl = arg;
	Idfw__CtlRow row = IDFW__CTL_ROW__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;

	row.json = (char *)(uintptr_t)json;
	e.body_case = IDFW__ENVELOPE__BODY_CTL_ROW;
	e.ctl_row = &row;
	return ctl_send(cl, &e);
}

static bool ctl_out_text(void *arg, const void *data, size_t len)
{
	struct ctl_client *cl = arg;
	Idfw__CtlText text = IDFW__CTL_TEXT__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;

	text.text = (ProtobufCBinaryData){ .len = len, .data = (uint8_t *)(uintptr_t)data };
	e.body_case = IDFW__ENVELOPE__BODY_CTL_TEXT;
	e.ctl_text = &text;
	return ctl_send(cl, &e);
}

/* as much as there is room for; the client may be gone afterwards */
static void ctl_pump(struct ctl_client *cl)
{
	const struct query_out out = { .row = ctl_out_row, .text = ctl_out_text, .arg = cl };
	Idfw__CtlEnd end = IDFW__CTL_END__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	bool all = false;

	if (!cl->query || cl->answered)
		return;
	io_timer_start(cl->ctl->loop, &cl->timer, CTL_IDLE_MS, 0, ctl_timer_cb, cl);
	while (!all && !cl->broken && io_chan_queued(cl->chan) < CTL_HIGH)
		all = query_step(cl->query, &out);
	if (all) {
		end.status = query_status(cl->query);
		end.text = (char *)(uintptr_t)query_why(cl->query);
		e.body_case = IDFW__ENVELOPE__BODY_CTL_END;
		e.ctl_end = &end;
		(void)ctl_send(cl, &e);
		cl->answered = true;
	}
	if (cl->broken)
		ctl_client_drop(cl, "its answer cannot be queued");
}

/* is there room for more? */
static bool ctl_send(struct ctl_client *cl, const Idfw__Envelope *e)
{
	struct gi_buf out;
	int err;

	gi_buf_init(&out, WIRE_FRAME_MAX);
	err = wire_envelope_encode(e, &out);
	if (err == 0)
		err = io_chan_send(cl->chan, out.data, out.len);
	gi_buf_fini(&out);
	if (err < 0) {
		gi_err("control: an answer is incomplete: %s", gi_strerror(err));
		cl->broken = true;
	}
	return err == 0 && io_chan_queued(cl->chan) < CTL_HIGH;
}
