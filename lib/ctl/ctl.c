/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ctl.c - the control socket's listener and clients, see ctl.h
 *
 * Rows are made only while the client's queue has room (CTL_HIGH). A client is dropped from the
 * loop's callbacks only, never from within a call of the owner's: gi_ctl_wake() arms an idle
 * watcher, a row that cannot be queued marks the client.
 */
#include "lib/ctl/ctl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "lib/io/chan.h"
#include "lib/io/sock.h"

#define CTL_QUEUE_MAX (2u << 20)
#define CTL_HIGH \
	(CTL_QUEUE_MAX / 2 + CTL_QUEUE_MAX / 8) /* over half: io_chan's drained() will come */
#define CTL_REQUEST_MS 10000			/* for the whole request */
#define CTL_IDLE_MS 60000			/* for reading what was sent */

struct gi_ctl_client {
	struct gi_ctl *ctl;
	struct io_chan *chan;
	struct io_timer timer;
	struct io_idle wake;
	enum wire_state state;
	char by[64];
	Idfw__Envelope *request; /* owned; NULL before it came */
	struct gi_buf data;
	void *query;   /* the owner's; NULL before the request is whole */
	bool waiting;  /* for gi_ctl_wake() */
	bool answered; /* CtlEnd is queued */
	bool broken;   /* to be dropped, not from within a callback's callee */
	struct gi_ctl_client *prev, *next;
};

struct gi_ctl {
	struct io_loop *loop;
	const struct gi_ctl_ops *ops;
	void *arg;
	const char *software;
	size_t max_data;
	struct io_fd listener;
	int fd;
	struct gi_ctl_client *clients;
	size_t n_clients;
};

static void ctl_log(const struct gi_ctl *c, enum gi_log_level level, const char *fmt, ...)
	GI_PRINTF(3, 4);
static void ctl_accept_cb(struct io_fd *w, unsigned int events);
static void ctl_client_new(struct gi_ctl *c, int fd);
static void ctl_client_drop(struct gi_ctl_client *cl, const char *why);
static void ctl_frame(void *arg, struct io_chan *chan, const uint8_t *buf, size_t len);
static void ctl_closed(void *arg, struct io_chan *chan, int err, const char *why);
static void ctl_drained(void *arg, struct io_chan *chan);
static void ctl_timer_cb(struct io_timer *w);
static int ctl_take(struct gi_ctl_client *cl, Idfw__Envelope *e, const char **ret_why);
static int ctl_begin(struct gi_ctl_client *cl, const char **ret_why);
static void ctl_pump(struct gi_ctl_client *cl);
static bool ctl_send(struct gi_ctl_client *cl, const Idfw__Envelope *e);

static const struct io_chan_ops ctl_chan_ops = {
	.frame = ctl_frame, .closed = ctl_closed, .drained = ctl_drained
};

int gi_ctl_new(struct io_loop *l, const struct gi_ctl_conf *conf, const struct gi_ctl_ops *ops,
	void *arg, struct gi_ctl **ret)
{
	struct gi_ctl *c = calloc(1, sizeof(*c));
	struct io_endpoint ep;
	int err;

	if (!c)
		return -ENOMEM;
	c->loop = l;
	c->ops = ops;
	c->arg = arg;
	c->software = conf->software;
	c->max_data = conf->max_data;
	err = io_endpoint_parse(conf->endpoint, &ep);
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

void gi_ctl_free(struct gi_ctl *c)
{
	struct gi_ctl_client *cl, *next;

	if (!c)
		return;
	DL_FOREACH_SAFE (c->clients, cl, next)
		ctl_client_drop(cl, NULL);
	io_fd_stop(c->loop, &c->listener);
	(void)close(c->fd);
	free(c);
}

static void ctl_log(const struct gi_ctl *c, enum gi_log_level level, const char *fmt, ...)
{
	char text[WIRE_CTL_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	c->ops->log(c->arg, level, text);
}

/* ---- clients ---- */

static void ctl_accept_cb(struct io_fd *w, unsigned int events)
{
	struct gi_ctl *c = w->arg;
	int fd;

	(void)events;
	while (io_sock_accept(c->fd, &fd) == 0)
		ctl_client_new(c, fd);
}

/* takes @fd */
static void ctl_client_new(struct gi_ctl *c, int fd)
{
	static const struct io_chan_conf conf = { .max_frame = WIRE_FRAME_MAX,
		.max_queue = CTL_QUEUE_MAX };
	struct gi_ctl_client *cl = NULL;
	struct ucred peer;
	int err = io_sock_peer_ucred(fd, &peer);

	if (err == 0 && c->n_clients >= GI_CTL_CLIENTS_MAX)
		err = -GI_EFULL;
	if (err == 0) {
		cl = calloc(1, sizeof(*cl));
		err = cl ? io_chan_new(c->loop, fd, NULL, &conf, &ctl_chan_ops, cl, &cl->chan)
			 : -ENOMEM;
		if (cl)
			fd = -1; /* io_chan_new takes it, also on error */
	}
	if (err < 0) {
		ctl_log(c, GI_LOG_WARN, "control: client not accepted: %s", gi_strerror(err));
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
	gi_buf_init(&cl->data, c->max_data);
	DL_APPEND(c->clients, cl);
	c->n_clients++;
	io_timer_start(c->loop, &cl->timer, CTL_REQUEST_MS, 0, ctl_timer_cb, cl);
}

/* @why: for the log; NULL: an ordinary end */
static void ctl_client_drop(struct gi_ctl_client *cl, const char *why)
{
	struct gi_ctl *c = cl->ctl;

	if (why)
		ctl_log(c, GI_LOG_WARN, "control: client of %s dropped: %s", cl->by, why);
	DL_DELETE(c->clients, cl);
	c->n_clients--;
	io_timer_stop(c->loop, &cl->timer);
	io_chan_free(cl->chan);
	wire_envelope_free(cl->request);
	cl->waiting = false; /* what is woken now is woken for nothing */
	if (cl->query)
		c->ops->free(cl->query);
	io_idle_stop(c->loop, &cl->wake);
	gi_buf_fini(&cl->data);
	free(cl);
}

static void ctl_closed(void *arg, struct io_chan *chan, int err, const char *why)
{
	struct gi_ctl_client *cl = arg;

	(void)chan;
	ctl_client_drop(cl, err == -GI_EPROTO ? why : NULL);
}

static void ctl_timer_cb(struct io_timer *w)
{
	struct gi_ctl_client *cl = w->arg;

	if (cl->waiting && io_chan_queued(cl->chan) == 0) { /* we are what it waits for */
		io_timer_start(cl->ctl->loop, &cl->timer, CTL_IDLE_MS, 0, ctl_timer_cb, cl);
		return;
	}
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
	struct gi_ctl_client *cl = arg;
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
static int ctl_take(struct gi_ctl_client *cl, Idfw__Envelope *e, const char **ret_why)
{
	int err = 0;

	switch (e->body_case) {
	case IDFW__ENVELOPE__BODY_HELLO: {
		Idfw__HelloAck ack = IDFW__HELLO_ACK__INIT;
		Idfw__Refused no = IDFW__REFUSED__INIT;
		Idfw__Envelope out = IDFW__ENVELOPE__INIT;
		char text[WIRE_TEXT_MAX] = "";
		uint32_t version = 0;

		if (wire_version_choose(e->hello, &version, text) < 0) {
			no.reason = IDFW__REFUSED__REASON__VERSION;
			no.text = text;
			out.body_case = IDFW__ENVELOPE__BODY_REFUSED;
			out.refused = &no;
			ctl_log(cl->ctl, GI_LOG_WARN, "control: client of %s: %s", cl->by, text);
			cl->answered = true; /* it reads that and goes */
		} else {
			ack.version = version;
			ack.software = (char *)(uintptr_t)cl->ctl->software;
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
		*ret_why = "more data than any request takes";
		if (e->ctl_request->data_len > cl->ctl->max_data) {
			err = -GI_ELIMIT;
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

/* when the request and its data are whole, and somebody waits for what comes of it */
static int ctl_begin(struct gi_ctl_client *cl, const char **ret_why)
{
	const Idfw__CtlRequest *r = cl->request->ctl_request;

	if (cl->data.len < r->data_len)
		return 0;
	*ret_why = "who asked does not wait any more: it is not done";
	if (r->until_ms && io_clock_mono_ms() >= r->until_ms)
		return -ETIMEDOUT;
	*ret_why = "out of memory";
	ctl_log(cl->ctl, GI_LOG_INFO, "control: %s by %s", r->verb, cl->by);
	io_timer_start(cl->ctl->loop, &cl->timer, CTL_IDLE_MS, 0, ctl_timer_cb, cl);
	return cl->ctl->ops->begin(
		cl->ctl->arg, cl, r, gi_buf_str(&cl->data), cl->data.len, cl->by, &cl->query);
}

/* ---- answers ---- */

static bool ctl_out_row(void *arg, const char *json)
{
	struct gi_ctl_client *cl = arg;
	Idfw__CtlRow row = IDFW__CTL_ROW__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;

	row.json = (char *)(uintptr_t)json;
	e.body_case = IDFW__ENVELOPE__BODY_CTL_ROW;
	e.ctl_row = &row;
	return ctl_send(cl, &e);
}

static bool ctl_out_text(void *arg, const void *data, size_t len)
{
	struct gi_ctl_client *cl = arg;
	Idfw__CtlText text = IDFW__CTL_TEXT__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;

	text.text = (ProtobufCBinaryData){ .len = len, .data = (uint8_t *)(uintptr_t)data };
	e.body_case = IDFW__ENVELOPE__BODY_CTL_TEXT;
	e.ctl_text = &text;
	return ctl_send(cl, &e);
}

/* as much as there is room for; the client may be gone afterwards */
static void ctl_pump(struct gi_ctl_client *cl)
{
	const struct gi_ctl_out out = { .row = ctl_out_row, .text = ctl_out_text, .arg = cl };
	const struct gi_ctl_ops *ops = cl->ctl->ops;
	Idfw__CtlEnd end = IDFW__CTL_END__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	enum gi_ctl_step step = GI_CTL_MORE;
	const char *why = "";

	if (!cl->query || cl->answered)
		return;
	io_timer_start(cl->ctl->loop, &cl->timer, CTL_IDLE_MS, 0, ctl_timer_cb, cl);
	while (step == GI_CTL_MORE && !cl->broken && io_chan_queued(cl->chan) < CTL_HIGH)
		step = ops->step(cl->query, &out);
	cl->waiting = step == GI_CTL_WAIT;
	if (step == GI_CTL_DONE) {
		end.status = ops->end(cl->query, &why);
		end.text = (char *)(uintptr_t)why;
		e.body_case = IDFW__ENVELOPE__BODY_CTL_END;
		e.ctl_end = &end;
		(void)ctl_send(cl, &e);
		cl->answered = true;
	}
	if (cl->broken)
		ctl_client_drop(cl, "its answer cannot be queued");
}

static void ctl_wake_cb(struct io_idle *w)
{
	ctl_pump(w->arg);
}

void gi_ctl_wake(struct gi_ctl_client *cl)
{
	if (cl->waiting)
		io_idle_once(cl->ctl->loop, &cl->wake, ctl_wake_cb, cl);
}

/* is there room for more? */
static bool ctl_send(struct gi_ctl_client *cl, const Idfw__Envelope *e)
{
	struct gi_buf out;
	int err;

	gi_buf_init(&out, WIRE_FRAME_MAX);
	err = wire_envelope_encode(e, &out);
	if (err == 0)
		err = io_chan_send(cl->chan, out.data, out.len);
	gi_buf_fini(&out);
	if (err < 0) {
		ctl_log(cl->ctl, GI_LOG_ERR, "control: an answer is incomplete: %s",
			gi_strerror(err));
		cl->broken = true;
	}
	return err == 0 && io_chan_queued(cl->chan) < CTL_HIGH;
}
