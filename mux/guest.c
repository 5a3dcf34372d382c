/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guest.c - the guests of this host: connections, what they may send, where it goes
 *
 *   guest --frame--> rights and limits (lib/wire) --> its queue --> scheduler --> upstream
 *   upstream --Routed--> its channel's queue --> guest
 *
 * Runs in gi-mux. Invariants: who a guest is comes from the listener or the CID alone; what a
 * guest does wrong ends its own connection and nothing else; a guest that is too fast is paused,
 * one that does not read is dropped; a VmDown goes up exactly once for each VmUp that went up.
 * Listeners are in listen.c, counters for humans in report.c.
 */
#include "mux/guest_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>
#include "lib/base/log.h"
#include "lib/io/frame.h"
#include "lib/wire/wire.h"

#define CONTROL_MAX (1u << 20) /* VmUp and VmDown: at most one each waits, they always fit */

static void guest_frame(void *arg, struct io_chan *c, const uint8_t *buf, size_t len);
static void guest_closed(void *arg, struct io_chan *c, int err, const char *why);
static void guest_announce(struct mux_guest *g);
static void guest_forget(struct mux_guest *g);

static const struct io_chan_ops guest_chan_ops = {
	.frame = guest_frame,
	.closed = guest_closed,
};

int mux_guests_new(struct io_loop *l, const struct mux_guests_conf *conf, struct mux_guests **ret)
{
	struct mux_guests *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->loop = l;
	s->conf = *conf;
	s->vsock.fd = -1;
	s->vsock.set = s;
	mux_sched_init(&s->sched);
	gi_buf_init(&s->buf, WIRE_ROUTED_MAX);
	*ret = s;
	return 0;
}

void mux_guests_free(struct mux_guests *s)
{
	struct mux_guest *g, *next;

	if (!s)
		return;
	s->up = NULL;
	mux_listener_close(&s->vsock);
	HASH_ITER (hh, s->guests, g, next) {
		io_chan_free(g->chan);
		guest_forget(g);
	}
	gi_buf_fini(&s->buf);
	free(s);
}

void mux_guests_set_upstream(struct mux_guests *s, struct mux_upstream *u)
{
	s->up = u;
}

static bool link_is_up(const struct mux_guests *s)
{
	return s->up && mux_upstream_is_up(s->up);
}

struct mux_guest *mux_guest_find(const struct mux_guests *s, const char *name)
{
	struct mux_guest *g = NULL;

	HASH_FIND_STR(s->guests, name, g);
	return g;
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

/* one Refused without a channel, as much of it as the socket takes: the connection ends anyway */
static void refuse_fd(int fd, Idfw__Refused__Reason reason, const char *why)
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

/* ---- one connection ---- */

static int guest_queue(struct mux_guest *g, enum mux_frame_kind kind, const Idfw__Routed *r)
{
	struct mux_guests *s = g->set;
	size_t max =
		kind == MUX_FRAME_ENVELOPE ? s->conf.max_queue_up : CONTROL_MAX + g->queue.bytes;
	int err;

	gi_buf_reset(&s->buf);
	err = wire_routed_encode(r, &s->buf);
	if (err)
		return err;
	return mux_queue_push(&s->sched, &g->queue, kind, s->buf.data, s->buf.len, max);
}

/*
 * Ends the connection, if any. What it still had queued is dropped: nothing of it was
 * acknowledged, the agent sends it again. @why goes to the service VM.
 */
void mux_guest_close(struct mux_guest *g, const char *why)
{
	Idfw__VmDown down = IDFW__VM_DOWN__INIT;
	Idfw__Routed r;
	int err;

	io_chan_free(g->chan);
	g->chan = NULL;
	g->state = WIRE_NEW;
	g->greeted = g->paused = false;
	mux_queue_clear(&g->set->sched, &g->queue);
	if (!g->svm_knows)
		return;
	idfw__routed__init(&r);
	down.why = (char *)(uintptr_t)why;
	r.vm = g->vm.name;
	r.body_case = IDFW__ROUTED__BODY_DOWN;
	r.down = &down;
	err = guest_queue(g, MUX_FRAME_DOWN, &r);
	if (err) /* memory: the service VM would go on believing in a guest that is gone */
		gi_err("vm %s: cannot report that it is gone: %s", g->vm.name, gi_strerror(err));
}

/* for what a guest did: a line that says why, unless it writes too many of them */
static void guest_log(struct mux_guest *g, const char *what, const char *why)
{
	uint64_t hidden = 0;

	if (!mux_limit_pass(&g->log, io_clock_mono_ms(), MUX_LOG_BURST, MUX_LOG_EVERY_MS, &hidden))
		return;
	if (hidden)
		gi_warn("vm %s: %s: %s (%llu lines about it were left out)", g->vm.name, what, why,
			(unsigned long long)hidden);
	else
		gi_warn("vm %s: %s: %s", g->vm.name, what, why);
}

static void guest_refuse(struct mux_guest *g, Idfw__Refused__Reason reason, const char *why)
{
	struct gi_buf b;

	g->stats.refused++;
	guest_log(g, "dropped for what it sent", why);
	/* behind what was sent before; closing flushes once, a guest that does not read gets less
	 */
	if (refused_encode(reason, why, &b) == 0)
		(void)!io_chan_send(g->chan, b.data, b.len);
	gi_buf_fini(&b);
	mux_guest_close(g, why);
	mux_guests_pump(g->set);
}

static void guest_closed(void *arg, struct io_chan *c, int err, const char *why)
{
	struct mux_guest *g = arg;

	if (err == -GI_EPROTO) {
		g->stats.refused++;
		guest_log(g, "dropped for what it sent", why);
		refuse_fd(io_chan_fd(c), IDFW__REFUSED__REASON__PROTOCOL, why);
	} else {
		gi_debug("vm %s: connection ended: %s", g->vm.name, why);
	}
	mux_guest_close(g, why);
	mux_guests_pump(g->set);
}

static void guest_frame(void *arg, struct io_chan *c, const uint8_t *buf, size_t len)
{
	struct mux_guest *g = arg;
	Idfw__Envelope *e = NULL;
	Idfw__Routed r;
	const char *why = "";
	int err;

	(void)c;
	err = wire_envelope_decode(buf, len, WIRE_AGENT, g->state, &e, &why);
	if (err) {
		guest_refuse(g,
			err == -ENOMEM ? IDFW__REFUSED__REASON__BUSY
				       : IDFW__REFUSED__REASON__PROTOCOL,
			why);
		return;
	}
	wire_envelope_free(e); /* it was good: its bytes go on as they are */
	g->state = WIRE_OPEN;
	g->stats.frames_up++;
	g->stats.bytes_up += len;
	idfw__routed__init(&r);
	r.vm = g->vm.name;
	r.body_case = IDFW__ROUTED__BODY_ENVELOPE;
	r.envelope = (ProtobufCBinaryData){ len, (uint8_t *)(uintptr_t)buf };
	err = guest_queue(g, MUX_FRAME_ENVELOPE, &r);
	if (err) {
		guest_refuse(g, IDFW__REFUSED__REASON__BUSY, gi_strerror(err));
		return;
	}
	mux_guests_pump(g->set);
	if (g->chan && !g->paused && g->queue.bytes > g->set->conf.max_queue_up / 2) {
		g->paused = true;
		g->stats.pauses++;
		io_chan_read_pause(g->chan);
	}
}

/* tells the service VM about a held or new connection, then lets it speak */
static void guest_announce(struct mux_guest *g)
{
	Idfw__Prefix nets[WIRE_ADDRS_MAX], *list[WIRE_ADDRS_MAX];
	Idfw__VmUp up = IDFW__VM_UP__INIT;
	Idfw__Routed r;
	int err;

	for (size_t i = 0; i < g->vm.n_allowed && i < WIRE_ADDRS_MAX; i++) {
		struct gi_prefix *p = &g->vm.allowed[i];

		idfw__prefix__init(&nets[i]);
		nets[i].addr = (ProtobufCBinaryData){ gi_addr_len(&p->addr), p->addr.bytes };
		nets[i].len = p->len;
		list[up.n_allowed++] = &nets[i];
	}
	idfw__routed__init(&r);
	up.allowed = list;
	up.transport = g->transport;
	r.vm = g->vm.name;
	r.body_case = IDFW__ROUTED__BODY_UP;
	r.up = &up;
	err = guest_queue(g, MUX_FRAME_UP, &r);
	if (err) {
		gi_err("vm %s: cannot announce it: %s", g->vm.name, gi_strerror(err));
		mux_guest_close(g, "out of memory");
		return;
	}
	mux_guests_pump(g->set);
	if (g->chan)
		io_chan_read_resume(g->chan);
}

/* a new connection of this VM; takes @fd; an older one has to go: the guest knows best */
void mux_guest_attach(struct mux_guest *g, int fd, const char *transport)
{
	const struct io_chan_conf conf = { .max_frame = WIRE_FRAME_MAX,
		.max_queue = g->set->conf.max_queue };
	uint64_t hidden;
	int err;

	if (!mux_limit_pass(&g->connects, io_clock_mono_ms(), MUX_CONNECT_BURST,
		    MUX_CONNECT_EVERY_MS, &hidden)) {
		g->stats.turned_away++;
		guest_log(g, "connection turned away", "it connects too often");
		refuse_fd(fd, IDFW__REFUSED__REASON__BUSY, "too many connections; wait");
		(void)close(fd);
		return;
	}
	if (g->chan) {
		g->stats.replaced++;
		guest_log(g, "connection replaced", "a second one came in");
		mux_guest_close(g, "replaced by a second connection");
	}
	err = io_chan_new(g->set->loop, fd, NULL, &conf, &guest_chan_ops, g, &g->chan);
	if (err) {
		g->chan = NULL;
		guest_log(g, "connection refused", gi_strerror(err));
		mux_guests_pump(g->set);
		return;
	}
	g->stats.connects++;
	(void)snprintf(g->transport, sizeof(g->transport), "%s", transport);
	io_chan_read_pause(g->chan);
	gi_debug("vm %s: connected by %s%s", g->vm.name, transport,
		link_is_up(g->set) ? "" : ", held until the service VM is there");
	if (link_is_up(g->set))
		guest_announce(g);
}

/* before it can take the agent's place or use up its turns */
static bool guest_port_ok(struct mux_guest *g, int fd, bool reserved)
{
	if (reserved || g->set->conf.vsock_any_port)
		return true;
	g->stats.turned_away++;
	guest_log(
		g, "connection turned away", "it comes from a port that is not reserved for root");
	refuse_fd(fd, IDFW__REFUSED__REASON__IDENTITY, "connect from a vsock port below 1024");
	(void)close(fd);
	return false;
}

void mux_guests_take_cid(struct mux_guests *s, int fd, uint32_t cid, bool reserved)
{
	struct mux_guest *g, *next;
	char transport[32];
	uint64_t hidden = 0;

	HASH_ITER (hh, s->guests, g, next) {
		if (g->gone || cid == 0 || g->vm.cid != cid)
			continue;
		if (!guest_port_ok(g, fd, reserved))
			return;
		(void)snprintf(transport, sizeof(transport), "vsock:%u", cid);
		mux_guest_attach(g, fd, transport);
		return;
	}
	s->strangers++;
	if (mux_limit_pass(&s->log, io_clock_mono_ms(), MUX_LOG_BURST, MUX_LOG_EVERY_MS, &hidden))
		gi_warn("vsock: CID %u is not in the inventory: refused", cid);
	refuse_fd(fd, IDFW__REFUSED__REASON__IDENTITY, "this CID is not in the host's inventory");
	(void)close(fd);
}

/* ---- the link ---- */

void mux_guests_link_up(struct mux_guests *s)
{
	struct mux_guest *g, *next;

	HASH_ITER (hh, s->guests, g, next)
		if (g->chan)
			guest_announce(g);
}

void mux_guests_link_down(struct mux_guests *s)
{
	struct mux_guest *g, *next;

	HASH_ITER (hh, s->guests, g, next) {
		g->svm_knows = false; /* it starts from nothing with the next link */
		mux_guest_close(g, "");
		if (g->gone)
			guest_forget(g);
	}
}

/* moves frames while the link has room; the frame decides what the service VM then knows */
void mux_guests_pump(struct mux_guests *s)
{
	struct mux_queue *q = NULL;
	struct mux_frame *f;

	while (s->up && mux_upstream_room(s->up) && (f = mux_sched_pop(&s->sched, &q)) != NULL) {
		struct mux_guest *g = q->arg;
		int err = mux_upstream_send(s->up, f->data, f->len);

		if (!err && f->kind != MUX_FRAME_ENVELOPE)
			g->svm_knows = f->kind == MUX_FRAME_UP;
		free(f);
		if (err) /* memory; what was in the frame is sent again by the agent */
			mux_guest_close(g, gi_strerror(err));
		if (g->paused && g->queue.bytes <= s->conf.max_queue_up / 4) {
			g->paused = false;
			io_chan_read_resume(g->chan);
		}
		if (g->gone && !g->queue.head)
			guest_forget(g);
	}
}

/*
 * Until the service VM answered this connection's Hello, what comes is for the one before it:
 * the first message down is its HelloAck or Refused.
 */
static bool guest_is_stale(struct mux_guest *g, const uint8_t *buf, size_t len)
{
	Idfw__Envelope *e = NULL;
	const char *why;

	if (g->greeted)
		return false;
	if (g->state != WIRE_OPEN ||
		wire_envelope_decode(buf, len, WIRE_SVM_TO_AGENT, WIRE_NEW, &e, &why) < 0)
		return true;
	wire_envelope_free(e);
	g->greeted = true;
	return false;
}

void mux_guests_envelope(struct mux_guests *s, const char *vm, const uint8_t *buf, size_t len)
{
	struct mux_guest *g = mux_guest_find(s, vm);
	int err;

	if (!g || !g->chan || guest_is_stale(g, buf, len)) {
		if (g)
			g->stats.lost++;
		return;
	}
	err = io_chan_send(g->chan, buf, len);
	if (!err) {
		g->stats.frames_down++;
		g->stats.bytes_down += len;
		return;
	}
	if (err == -GI_EFULL)
		g->stats.overflows++;
	guest_log(g, "dropped",
		err == -GI_EFULL ? "it does not read and max-queue is full" : gi_strerror(err));
	mux_guest_close(g, "does not read: its queue is full");
	mux_guests_pump(s);
}

void mux_guests_close(struct mux_guests *s, const char *vm, const char *why)
{
	struct mux_guest *g = mux_guest_find(s, vm);

	if (!g || !g->chan)
		return;
	guest_log(g, "closed by the service VM", why);
	mux_guest_close(g, "closed on request");
	mux_guests_pump(s);
}

/* ---- the inventory ---- */

static void guest_forget(struct mux_guest *g)
{
	struct mux_guests *s = g->set;

	mux_queue_clear(&s->sched, &g->queue);
	mux_listener_close(&g->listener);
	HASH_DEL(s->guests, g);
	free(g->vm.allowed);
	free(g);
}

/* @g->vm becomes a copy of @vm; @g->vm.name stays, it is the hash key */
static int guest_set_vm(struct mux_guest *g, const struct mux_vm *vm)
{
	struct gi_prefix *allowed = NULL;

	if (vm->n_allowed) {
		allowed = calloc(vm->n_allowed, sizeof(*allowed));
		if (!allowed)
			return -ENOMEM;
		memcpy(allowed, vm->allowed, vm->n_allowed * sizeof(*allowed));
	}
	free(g->vm.allowed);
	g->vm.allowed = allowed;
	g->vm.n_allowed = vm->n_allowed;
	g->vm.cid = vm->cid;
	memcpy(g->vm.listen, vm->listen, sizeof(g->vm.listen));
	return 0;
}

static int guest_add(struct mux_guests *s, const struct mux_vm *vm, struct mux_guest **ret)
{
	struct mux_guest *g = calloc(1, sizeof(*g));

	if (!g)
		return -ENOMEM;
	g->set = s;
	g->listener.fd = -1;
	g->listener.set = s;
	g->listener.guest = g;
	memcpy(g->vm.name, vm->name, sizeof(g->vm.name));
	mux_queue_init(&g->queue, g);
	HASH_ADD_STR(s->guests, vm.name, g);
	if (!g->hh.tbl) {
		free(g);
		return -ENOMEM;
	}
	*ret = g;
	return 0;
}

/* a guest that is in the new inventory, whatever it was before */
static int guest_apply(struct mux_guests *s, const struct mux_vm *vm)
{
	struct mux_guest *g = mux_guest_find(s, vm->name);
	bool fresh = !g || g->gone, same_listen;
	int err;

	if (g && !g->gone && mux_vm_equal(&g->vm, vm))
		return 0;
	if (!g) {
		err = guest_add(s, vm, &g);
		if (err)
			return err;
	}
	same_listen = !fresh && strcmp(g->vm.listen, vm->listen) == 0;
	err = guest_set_vm(g, vm);
	if (err)
		return err;
	g->gone = false;
	if (!fresh && g->chan)
		mux_guest_close(g, "its inventory entry changed");
	if (!same_listen) {
		mux_listener_close(&g->listener);
		if (vm->listen[0])
			mux_listener_open(&g->listener, vm->listen);
	}
	gi_info("vm %s: %s", vm->name, fresh ? "added" : "changed");
	return 0;
}

int mux_guests_apply(struct mux_guests *s, const struct mux_inventory *inv)
{
	struct mux_guest *g, *next;
	char vsock[32];
	int err = 0;

	HASH_ITER (hh, s->guests, g, next) {
		if (g->gone || mux_inventory_find(inv, g->vm.name))
			continue;
		gi_info("vm %s: removed", g->vm.name);
		mux_guest_close(g, "not in the inventory any more");
		mux_listener_close(&g->listener);
		g->gone = true; /* its VmDown may still have to go up */
		if (!g->queue.head)
			guest_forget(g);
	}
	for (size_t i = 0; !err && i < inv->n; i++)
		err = guest_apply(s, &inv->vms[i]);
	if (s->vsock_port != inv->vsock_port) {
		mux_listener_close(&s->vsock);
		s->vsock_port = inv->vsock_port;
		(void)snprintf(vsock, sizeof(vsock), "vsock:any:%u", inv->vsock_port);
		if (inv->vsock_port)
			mux_listener_open(&s->vsock, vsock);
	}
	mux_guests_pump(s);
	return err;
}
