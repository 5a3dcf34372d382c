/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * routing.c - routed messages of one mux: decoded, given to the engine, and the other way
 *
 * Runs in svm-idfw's main process. A wrong Routed message is the mux's fault and ends its link; a
 * wrong envelope in it is the guest's and ends that guest alone. Messages for a guest that is not
 * up on this link are dropped: they crossed our VmClose. A push is queued whole or not at all.
 * Source: docs/wire.md "Mux and service VM".
 */
#include "config.h"

#include "svm-idfw/routing.h"

#include <stdlib.h>
#include <string.h>
#include "fw/fwwire.h"

/* ---- out ---- */

static int routed_send(struct guest_link *l, const Idfw__Routed *r)
{
	struct gi_buf *b = &l->owner->outer;
	int err;

	gi_buf_reset(b);
	err = wire_routed_encode(r, b);
	if (err == 0)
		err = io_chan_send(l->chan, b->data, b->len);
	return err;
}

/* what may not get lost and cannot be repeated: a mux that does not take it is of no use */
static void routed_must_send(struct guest_link *l, const Idfw__Routed *r)
{
	int err = l->failed ? 0 : routed_send(l, r);

	if (err == 0)
		return;
	gi_warn("mux %s: message not queued: %s", l->name, gi_strerror(err));
	guests_link_fail(l, "it does not read");
}

void guests_refuse(struct guest_link *l, Idfw__Refused__Reason reason, const char *text)
{
	struct wire_routed m;

	routed_must_send(l, wire_routed_refused(&m, reason, text));
}

void guests_ping(struct guest_link *l)
{
	struct wire_routed m;

	routed_must_send(l, wire_routed_ping(&m, 0));
}

static void vm_close(struct guest_link *l, const char *vm, const char *why)
{
	struct wire_routed m;

	routed_must_send(l, wire_routed_close(&m, vm, why));
}

void idfw_guests_send(void *arg, struct idfw_vm *vm, const Idfw__Envelope *e)
{
	struct idfw_guests *g = arg;
	struct guest *gu = guests_find(g, vm);
	struct wire_routed m;
	int err;

	if (!gu || gu->link->failed)
		return;
	gi_buf_reset(&g->inner);
	err = wire_envelope_encode(e, &g->inner);
	if (err < 0) {
		gi_err("%s: %s cannot be encoded: %s", vm->name, wire_body_name((int)e->body_case),
			gi_strerror(err));
		return;
	}
	routed_must_send(gu->link, wire_routed_envelope(&m, vm->name, g->inner.data, g->inner.len));
}

struct batch { /* envelopes as routed frames: length, bytes, one after the other */
	struct idfw_guests *g;
	struct idfw_vm *vm;
	size_t n;
};

static int batch_add(void *arg, const uint8_t *buf, size_t len)
{
	struct batch *b = arg;
	struct gi_buf *outer = &b->g->outer;
	struct wire_routed m;
	uint32_t size;
	int err;

	gi_buf_reset(outer);
	err = wire_routed_encode(wire_routed_envelope(&m, b->vm->name, buf, len), outer);
	if (err < 0)
		return err;
	size = (uint32_t)outer->len;
	gi_buf_append(&b->g->batch, &size, sizeof(size));
	gi_buf_append(&b->g->batch, outer->data, outer->len);
	b->n++;
	return gi_buf_error(&b->g->batch);
}

/* all frames of the batch, or none */
static int batch_send(struct batch *b, struct guest_link *l)
{
	struct gi_buf *all = &b->g->batch;
	uint32_t size;
	int err;

	if (io_chan_queued(l->chan) + all->len > GUESTS_QUEUE_MAX)
		return -GI_EFULL;
	for (size_t at = 0; at < all->len; at += sizeof(size) + size) {
		memcpy(&size, all->data + at, sizeof(size));
		err = io_chan_send(l->chan, all->data + at + sizeof(size), size);
		if (err < 0) {
			/* half a ruleset is on its way: the link cannot be used any more */
			guests_link_fail(l, "a push could not be queued");
			return err;
		}
	}
	return 0;
}

static int push(struct idfw_guests *g, struct idfw_vm *vm, const struct fw_state *s,
	const struct fw_delta *d)
{
	struct batch b = { .g = g, .vm = vm };
	struct guest *gu = guests_find(g, vm);
	int err;

	if (!gu || gu->link->failed)
		return -ENOTCONN;
	gi_buf_reset(&g->batch);
	err = s ? fw_wire_write_state(s, batch_add, &b) : fw_wire_write_delta(d, batch_add, &b);
	if (err == 0)
		err = batch_send(&b, gu->link);
	if (g->batch.cap > (1u << 20)) { /* a large state is rare: its memory goes back */
		gi_buf_fini(&g->batch);
		gi_buf_init(&g->batch, GUESTS_QUEUE_MAX);
	}
	return err;
}

int idfw_guests_send_state(void *arg, struct idfw_vm *vm, const struct fw_state *s)
{
	return push(arg, vm, s, NULL);
}

int idfw_guests_send_delta(void *arg, struct idfw_vm *vm, const struct fw_delta *d)
{
	return push(arg, vm, NULL, d);
}

void idfw_guests_close(void *arg, struct idfw_vm *vm, const char *why)
{
	struct idfw_guests *g = arg;
	struct guest *gu = guests_find(g, vm);

	if (!gu)
		return;
	gi_notice("guest %s is closed: %s", vm->name, why);
	vm_close(gu->link, vm->name, why);
	guests_forget(g, gu);
}

/* ---- in ---- */

static int hello(struct guest_link *l, const Idfw__Hello *h, const char **ret_why)
{
	struct wire_routed m;
	char why[WIRE_TEXT_MAX];
	uint32_t version;

	if (wire_version_choose(h, &version, why) < 0) {
		gi_warn("mux %s: %s", l->name, why);
		guests_refuse(l, IDFW__REFUSED__REASON__VERSION, why);
		*ret_why = "no common protocol version";
		return -GI_EVERSION;
	}
	l->hello = true;
	routed_must_send(l, wire_routed_hello_ack(&m, version, "svm-idfw " PACKAGE_VERSION));
	return 0;
}

static void guest_up(struct guest_link *l, const Idfw__Routed *r)
{
	struct idfw_guests *g = l->owner;
	struct idfw_vm *vm = idfw_engine_vm(g->engine, r->vm);
	struct guest *gu = vm ? guests_find(g, vm) : NULL;
	int err;

	/*
	 * Who holds one host's key does not speak for the VMs of another. A VM that moved is let go
	 * by its first host, or with that host's link; its agent tries until then. (An older link
	 * of the same host has failed by now: guests.c.)
	 */
	if (gu && gu->link != l && !gu->link->failed) {
		gi_warn("mux %s says that it has guest %s, which is connected by mux %s: refused",
			l->name, vm->name, gu->link->name);
		vm_close(l, vm->name, "this VM is connected by another mux");
		return;
	}
	if (gu)
		guests_forget(g, gu);
	gu = calloc(1, sizeof(*gu));
	err = gu ? idfw_engine_guest_up(g->engine, r->vm, l->name, r->up, &vm) : -ENOMEM;
	if (err < 0) {
		gi_warn("guest %s of mux %s is not taken: %s", r->vm, l->name, gi_strerror(err));
		vm_close(l, r->vm, gi_strerror(err));
		free(gu);
		return;
	}
	gu->vm = vm;
	gu->link = l;
	gu->state = WIRE_NEW;
	l->n_guests++;
	HASH_ADD_PTR(g->guests, vm, gu);
}

static void guest_drop(struct guest *gu, const char *why, int err)
{
	struct guest_link *l = gu->link;
	struct idfw_vm *vm = gu->vm;

	gi_warn("guest %s is dropped: %s (%s)", vm->name, why, gi_strerror(err));
	vm_close(l, vm->name, why);
	guests_forget(l->owner, gu);
	idfw_engine_guest_down(l->owner->engine, vm, why);
}

static void guest_envelope(struct guest *gu, const Idfw__Routed *r)
{
	struct idfw_guests *g = gu->link->owner;
	struct idfw_vm *vm = gu->vm;
	Idfw__Envelope *e = NULL;
	const char *why = "";
	int err = wire_envelope_decode(
		r->envelope.data, r->envelope.len, WIRE_AGENT, gu->state, &e, &why);

	if (err < 0) {
		guest_drop(gu, why, err);
		return;
	}
	err = idfw_engine_guest_message(g->engine, vm, e, &why);
	wire_envelope_free(e);
	gu = guests_find(g, vm); /* the engine may have closed it */
	if (gu && err < 0)
		guest_drop(gu, why, err);
	else if (gu)
		gu->state = WIRE_OPEN;
}

static void guest_message(struct guest_link *l, const Idfw__Routed *r)
{
	struct idfw_guests *g = l->owner;
	struct idfw_vm *vm = idfw_engine_vm(g->engine, r->vm);
	struct guest *gu = vm ? guests_find(g, vm) : NULL;

	if (!gu || gu->link != l)
		return;
	if (r->body_case == IDFW__ROUTED__BODY_ENVELOPE) {
		guest_envelope(gu, r);
		return;
	}
	guests_forget(g, gu);
	idfw_engine_guest_down(g->engine, vm,
		r->down->why && *r->down->why ? r->down->why : "its connection ended");
}

static int link_message(struct guest_link *l, const Idfw__Routed *r, const char **ret_why)
{
	struct wire_routed answer;

	switch (r->body_case) {
	case IDFW__ROUTED__BODY_HELLO:
		return hello(l, r->hello, ret_why);
	case IDFW__ROUTED__BODY_PING:
		routed_must_send(l, wire_routed_pong(&answer, r->ping->token));
		return 0;
	case IDFW__ROUTED__BODY_PONG:
		return 0;
	case IDFW__ROUTED__BODY_REFUSED:
		*ret_why = "the mux refused us";
		return -GI_EDENIED;
	default:
		*ret_why = "message without a VM";
		return -GI_EPROTO;
	}
}

int guests_routed(struct guest_link *l, const uint8_t *buf, size_t len, const char **ret_why)
{
	struct idfw_guests *g = l->owner;
	Idfw__Routed *r = NULL;
	int err = wire_routed_decode(buf, len, true, l->hello ? WIRE_OPEN : WIRE_NEW, &r, ret_why);

	if (err < 0)
		return err;
	g->conf.round(g->conf.arg);
	switch (r->body_case) {
	case IDFW__ROUTED__BODY_UP:
		guest_up(l, r);
		break;
	case IDFW__ROUTED__BODY_DOWN:
	case IDFW__ROUTED__BODY_ENVELOPE:
		guest_message(l, r);
		break;
	default:
		err = link_message(l, r, ret_why);
	}
	wire_routed_free(r);
	return err;
}
