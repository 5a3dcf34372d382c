/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lane.c - one agent's connection: what it may send, what it is sent, how it ends
 *
 *   agent --frame--> rights and limits (lib/wire) --> its queue --> guest.c's pump
 *   mux_lane_envelope() --> its channel's queue --> agent
 *
 * Runs in gi-mux; the same for both lanes but for whose rights are asked. Invariants: what a guest
 * does wrong ends this connection and nothing else; an agent that is too fast is paused, one that
 * does not read is dropped; a VmDown goes up exactly once for each VmUp that went up. A file
 * agent's LogLine ends here, in our log.
 */
#include "mux/guest_int.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>
#include "lib/base/log.h"
#include "lib/io/frame.h"
#include "lib/wire/wire.h"

#define BREATH_MS 10	       /* at least: not a timer for each message */
#define CONTROL_MAX (1u << 20) /* VmUp and VmDown: at most one each waits, they always fit */

static const struct lane_kind {
	enum wire_sender agent, service; /* who speaks: up, down */
	const char *mark, *service_name;
} kinds[MUX_LANES] = {
	[MUX_LANE_IDENTITY] = { WIRE_AGENT, WIRE_SVM_TO_AGENT, "", "service VM" },
	[MUX_LANE_FILE] = { WIRE_FILE_AGENT, WIRE_SCAN_TO_AGENT, " file", "scan service" },
};

static void lane_frame(void *arg, struct io_chan *c, const uint8_t *buf, size_t len);
static void lane_closed(void *arg, struct io_chan *c, int err, const char *why);

static const struct io_chan_ops lane_chan_ops = {
	.frame = lane_frame,
	.closed = lane_closed,
};

const char *mux_lane_mark(enum mux_lane_id id)
{
	return kinds[id].mark;
}

void mux_lane_init(struct mux_lane *l, struct mux_guest *g, enum mux_lane_id id)
{
	l->guest = g;
	l->id = id;
	mux_listener_init(&l->listener, g->set, id, l);
	mux_queue_init(&l->queue, l);
}

static struct mux_trunk *lane_trunk(const struct mux_lane *l)
{
	return &l->guest->set->trunk[l->id];
}

static bool link_is_up(const struct mux_lane *l)
{
	const struct mux_trunk *t = lane_trunk(l);

	return t->up && mux_upstream_is_up(t->up);
}

static int refused_encode(Idfw__Refused__Reason reason, const char *why, struct gi_buf *b)
{
	Idfw__Refused m = IDFW__REFUSED__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;

	m.reason = reason;
	m.text = (char *)(uintptr_t)why; /* encoding does not write */
	e.body_case = IDFW__ENVELOPE__BODY_REFUSED;
	e.refused = &m;
	gi_buf_init(b, WIRE_FRAME_MAX);
	return wire_envelope_encode(&e, b);
}

void mux_refuse_fd(int fd, Idfw__Refused__Reason reason, const char *why)
{
	uint8_t head[IO_FRAME_HEAD];
	struct gi_buf b;

	if (refused_encode(reason, why, &b) == 0) {
		struct iovec iov[2] = { { head, sizeof(head) }, { b.data, b.len } };
		struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };

		io_frame_head(head, b.len);
		(void)!sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	}
	gi_buf_fini(&b);
}

/* VmUp, VmDown: behind what is queued */
static int lane_queue(struct mux_lane *l, enum mux_frame_kind kind, const Idfw__Routed *r)
{
	struct mux_guests *s = l->guest->set;
	size_t max = CONTROL_MAX + l->queue.bytes;
	int err;

	gi_buf_reset(&s->buf);
	err = wire_routed_encode(r, &s->buf);
	if (err)
		return err;
	return mux_queue_push(&lane_trunk(l)->sched, &l->queue, kind, s->buf.data, s->buf.len, max);
}

void mux_lane_close(struct mux_lane *l, const char *why)
{
	struct mux_guest *g = l->guest;
	Idfw__VmDown down = IDFW__VM_DOWN__INIT;
	Idfw__Routed r;
	int err;

	io_chan_free(l->chan);
	l->chan = NULL;
	l->state = WIRE_NEW;
	l->greeted = l->paused = l->throttled = false;
	io_timer_stop(l->guest->set->loop, &l->breath);
	mux_queue_clear(&lane_trunk(l)->sched, &l->queue);
	if (!l->svc_knows)
		return;
	idfw__routed__init(&r);
	down.why = (char *)(uintptr_t)why;
	r.vm = g->vm.name;
	r.body_case = IDFW__ROUTED__BODY_DOWN;
	r.down = &down;
	err = lane_queue(l, MUX_FRAME_DOWN, &r);
	if (err) /* memory: the service would go on believing in a guest that is gone */
		gi_err("vm %s%s: cannot report that it is gone: %s", g->vm.name, kinds[l->id].mark,
			gi_strerror(err));
}

void mux_lane_log(struct mux_lane *l, const char *what, const char *why)
{
	const char *mark = kinds[l->id].mark;
	uint64_t hidden = 0;

	if (!mux_limit_pass(&l->log, io_clock_mono_ms(), MUX_LOG_BURST, MUX_LOG_EVERY_MS, &hidden))
		return;
	if (hidden)
		gi_warn("vm %s%s: %s: %s (%llu lines about it were left out)", l->guest->vm.name,
			mark, what, why, (unsigned long long)hidden);
	else
		gi_warn("vm %s%s: %s: %s", l->guest->vm.name, mark, what, why);
}

static void lane_refuse(struct mux_lane *l, Idfw__Refused__Reason reason, const char *why)
{
	struct gi_buf b;

	l->stats.refused++;
	mux_lane_log(l, "dropped for what it sent", why);
	/* behind what was sent before; closing flushes once, a guest that does not read gets less
	 */
	if (refused_encode(reason, why, &b) == 0)
		(void)!io_chan_send(l->chan, b.data, b.len);
	gi_buf_fini(&b);
	mux_lane_close(l, why);
	mux_guests_pump(l->guest->set, l->id);
}

static void lane_closed(void *arg, struct io_chan *c, int err, const char *why)
{
	struct mux_lane *l = arg;

	if (err == -GI_EPROTO) {
		l->stats.refused++;
		mux_lane_log(l, "dropped for what it sent", why);
		mux_refuse_fd(io_chan_fd(c), IDFW__REFUSED__REASON__PROTOCOL, why);
	} else {
		gi_debug(
			"vm %s%s: connection ended: %s", l->guest->vm.name, kinds[l->id].mark, why);
	}
	mux_lane_close(l, why);
	mux_guests_pump(l->guest->set, l->id);
}

/*
 * debug-dest mux: a line of the agent's log for ours. The level it claims is not worth more than a
 * warning of a guest; and what the operator asked to see is never hidden as a debug line of ours.
 */
static void lane_log_line(struct mux_lane *l, const Idfw__LogLine *m)
{
	const enum gi_log_level level = m->level <= GI_LOG_WARN ? GI_LOG_WARN : GI_LOG_INFO;
	uint64_t left_out = 0;

	if (!mux_lines_pass(
		    &l->lines, &lane_trunk(l)->lines, io_clock_mono_ms(), m->dropped, &left_out)) {
		l->stats.lines_dropped++;
		return;
	}
	l->stats.lines++;
	if (left_out)
		gi_log(level, "vm %s gi-fileagent <%u>: %s (%llu lines before it were left out)",
			l->guest->vm.name, m->level, m->text, (unsigned long long)left_out);
	else
		gi_log(level, "vm %s gi-fileagent <%u>: %s", l->guest->vm.name, m->level, m->text);
}

/*
 * A frame that was found good, in front of which stands whose it is. When nobody waits and the link
 * has room it would come out of the scheduler at once: then it need not go in.
 */
static int lane_pass(struct mux_lane *l, const uint8_t *buf, size_t len)
{
	struct mux_trunk *t = lane_trunk(l);
	uint8_t head[WIRE_ROUTED_HEAD_MAX];
	size_t head_len = 0;
	int err = wire_routed_wrap(l->guest->vm.name, len, head, &head_len);

	if (err)
		return err;
	if (t->up && t->sched.frames == 0 && mux_upstream_room(t->up))
		return mux_upstream_send(t->up, head, head_len, buf, len);
	return mux_queue_push2(&t->sched, &l->queue, MUX_FRAME_ENVELOPE, head, head_len, buf, len,
		l->guest->set->conf.max_queue_up);
}

void mux_lane_resume(struct mux_lane *l)
{
	if (!l->paused && !l->throttled)
		io_chan_read_resume(l->chan);
}

static void lane_breath_cb(struct io_timer *w)
{
	struct mux_lane *l = w->arg;

	l->throttled = false;
	mux_lane_resume(l);
}

/* a new connection does not begin anew: the count is the agent's, not the connection's */
static void lane_throttle(struct mux_lane *l)
{
	struct mux_guests *s = l->guest->set;
	uint64_t wait_us;

	if (l->id != MUX_LANE_IDENTITY)
		return;
	wait_us = mux_flow_take(&l->flow, io_clock_mono_ms() * 1000, s->conf.messages_max);
	if (!wait_us || !l->chan)
		return;
	if (!l->throttled) {
		l->throttled = true;
		l->stats.throttles++;
		mux_lane_log(l, "held back", "it sends more than messages-max");
		io_chan_read_pause(l->chan);
	}
	io_timer_start(s->loop, &l->breath, wait_us / 1000 + BREATH_MS, 0, lane_breath_cb, l);
}

static void lane_forward(struct mux_lane *l, const uint8_t *buf, size_t len)
{
	struct mux_guests *s = l->guest->set;
	int err;

	l->stats.frames_up++;
	l->stats.bytes_up += len;
	err = lane_pass(l, buf, len);
	if (err) {
		lane_refuse(l, IDFW__REFUSED__REASON__BUSY, gi_strerror(err));
		return;
	}
	mux_guests_pump(s, l->id);
	if (l->chan && !l->paused && l->queue.bytes > s->conf.max_queue_up / 2) {
		l->paused = true;
		l->stats.pauses++;
		io_chan_read_pause(l->chan);
	}
}

static void lane_frame(void *arg, struct io_chan *c, const uint8_t *buf, size_t len)
{
	struct mux_lane *l = arg;
	Idfw__Envelope *e = NULL;
	const char *why = "";
	bool ends_here;
	int err;

	(void)c;
	err = wire_envelope_decode(buf, len, kinds[l->id].agent, l->state, &e, &why);
	if (err) {
		lane_refuse(l,
			err == -ENOMEM ? IDFW__REFUSED__REASON__BUSY
				       : IDFW__REFUSED__REASON__PROTOCOL,
			why);
		return;
	}
	l->state = WIRE_OPEN;
	ends_here = e->body_case == IDFW__ENVELOPE__BODY_LOG_LINE;
	if (ends_here)
		lane_log_line(l, e->log_line);
	wire_envelope_free(e);
	if (ends_here)
		return;
	lane_forward(l, buf, len);
	lane_throttle(l);
}

/* addresses are who a guest is on the network: the scan service has no use for them */
static size_t lane_allowed(
	struct mux_lane *l, Idfw__Prefix nets[WIRE_ADDRS_MAX], Idfw__Prefix *list[WIRE_ADDRS_MAX])
{
	struct mux_vm *vm = &l->guest->vm;
	size_t n = 0;

	if (l->id != MUX_LANE_IDENTITY)
		return 0;
	for (; n < vm->n_allowed && n < WIRE_ADDRS_MAX; n++) {
		struct gi_prefix *p = &vm->allowed[n];

		idfw__prefix__init(&nets[n]);
		nets[n].addr = (ProtobufCBinaryData){ gi_addr_len(&p->addr), p->addr.bytes };
		nets[n].len = p->len;
		list[n] = &nets[n];
	}
	return n;
}

/* tells the service about a held or new connection, then lets it speak */
void mux_lane_announce(struct mux_lane *l)
{
	Idfw__Prefix nets[WIRE_ADDRS_MAX], *list[WIRE_ADDRS_MAX];
	struct mux_guest *g = l->guest;
	Idfw__VmUp up = IDFW__VM_UP__INIT;
	Idfw__Routed r;
	int err;

	idfw__routed__init(&r);
	up.n_allowed = lane_allowed(l, nets, list);
	up.allowed = list;
	up.transport = l->transport;
	up.turned_away = l->turned_away;
	r.vm = g->vm.name;
	r.body_case = IDFW__ROUTED__BODY_UP;
	r.up = &up;
	err = lane_queue(l, MUX_FRAME_UP, &r);
	if (err) {
		gi_err("vm %s%s: cannot announce it: %s", g->vm.name, kinds[l->id].mark,
			gi_strerror(err));
		mux_lane_close(l, "out of memory");
		return;
	}
	l->turned_away = 0;
	mux_guests_pump(g->set, l->id);
	if (l->chan)
		mux_lane_resume(l);
}

/* a new connection; an older one has to go: the guest knows best */
bool mux_lane_attach(struct mux_lane *l, int fd, const char *transport)
{
	struct mux_guests *s = l->guest->set;
	const struct io_chan_conf conf = { .max_frame = WIRE_FRAME_MAX,
		.max_queue = s->conf.max_queue };
	uint64_t hidden;
	int err;

	if (!mux_limit_pass(&l->connects, io_clock_mono_ms(), s->conf.connects_max,
		    MUX_CONNECT_EVERY_MS, &hidden)) {
		l->stats.turned_away++;
		l->turned_away++;
		mux_lane_log(l, "connection turned away", "it connects too often");
		mux_refuse_fd(fd, IDFW__REFUSED__REASON__BUSY, "too many connections; wait");
		(void)close(fd);
		return false;
	}
	if (l->chan) {
		l->stats.replaced++;
		mux_lane_log(l, "connection replaced", "a second one came in");
		mux_lane_close(l, "replaced by a second connection");
	}
	err = io_chan_new(s->loop, fd, NULL, &conf, &lane_chan_ops, l, &l->chan);
	if (err) {
		l->chan = NULL;
		mux_lane_log(l, "connection refused", gi_strerror(err));
		mux_guests_pump(s, l->id);
		return true;
	}
	l->stats.connects++;
	(void)snprintf(l->transport, sizeof(l->transport), "%s", transport);
	io_chan_read_pause(l->chan);
	gi_debug("vm %s%s: connected by %s%s%s%s", l->guest->vm.name, kinds[l->id].mark, transport,
		link_is_up(l) ? "" : ", held until the ",
		link_is_up(l) ? "" : kinds[l->id].service_name, link_is_up(l) ? "" : " is there");
	if (link_is_up(l))
		mux_lane_announce(l);
	return true;
}

void mux_lane_attach_cid(struct mux_lane *l, int fd, uint32_t cid, bool reserved)
{
	char transport[32];

	/* before it can take the agent's place or use up its turns */
	if (!reserved && !l->guest->set->conf.vsock_any_port) {
		l->stats.turned_away++;
		mux_lane_log(l, "connection turned away",
			"it comes from a port that is not reserved for root");
		mux_refuse_fd(fd, IDFW__REFUSED__REASON__IDENTITY,
			"connect from a vsock port below 1024");
		(void)close(fd);
		return;
	}
	(void)snprintf(transport, sizeof(transport), "vsock:%u", cid);
	(void)mux_lane_attach(l, fd, transport);
}

/*
 * Until the service answered this connection's Hello, what comes is for the one before it: the
 * first message down is its HelloAck or Refused.
 */
static bool lane_is_stale(struct mux_lane *l, const uint8_t *buf, size_t len)
{
	Idfw__Envelope *e = NULL;
	const char *why;

	if (l->greeted)
		return false;
	if (l->state != WIRE_OPEN ||
		wire_envelope_decode(buf, len, kinds[l->id].service, WIRE_NEW, &e, &why) < 0)
		return true;
	wire_envelope_free(e);
	l->greeted = true;
	return false;
}

void mux_lane_envelope(struct mux_lane *l, const uint8_t *buf, size_t len)
{
	int err;

	if (!l->chan || lane_is_stale(l, buf, len)) {
		l->stats.lost++;
		return;
	}
	err = io_chan_send(l->chan, buf, len);
	if (!err) {
		l->stats.frames_down++;
		l->stats.bytes_down += len;
		return;
	}
	if (err == -GI_EFULL)
		l->stats.overflows++;
	mux_lane_log(l, "dropped",
		err == -GI_EFULL ? "it does not read and max-queue is full" : gi_strerror(err));
	mux_lane_close(l, "does not read: its queue is full");
	mux_guests_pump(l->guest->set, l->id);
}
