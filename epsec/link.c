/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * link.c - routed messages of one mux: who speaks of which VM
 *
 * In the library's thread. A wrong Routed message is the mux's fault and ends its link; a wrong
 * envelope in it is the guest's and ends that guest alone (VmClose). Messages for a guest that is
 * not up on this link are dropped: they crossed our VmClose. A VM is on one link at a time: who
 * holds one host's key does not speak for the VMs of another. Source: docs/wire.md.
 */
#include "epsec/eps_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void eps_link_init(struct eps *e, struct eps_link *l, const struct eps_link_ops *ops, void *arg,
	const char *name)
{
	*l = (struct eps_link){ .eps = e, .ops = ops, .arg = arg };
	(void)snprintf(l->name, sizeof(l->name), "%s", name);
	gi_buf_init(&l->box, EPS_QUEUE_MAX);
	gi_buf_init(&l->drain, EPS_QUEUE_MAX);
	l->next = e->links;
	if (l->next)
		l->next->prev = l;
	e->links = l;
	e->n_links++;
}

void eps_link_fail(struct eps_link *l, const char *why)
{
	if (l->failed)
		return;
	l->failed = true;
	l->ops->fail(l->arg, why);
}

void eps_link_down(struct eps_link *l, const char *why)
{
	struct eps *e = l->eps;

	l->failed = true;
	while (l->guests)
		eps_guest_gone(l->guests, why);
	if (l->prev)
		l->prev->next = l->next;
	else
		e->links = l->next;
	if (l->next)
		l->next->prev = l->prev;
	e->n_links--;
	gi_buf_fini(&l->box);
	gi_buf_fini(&l->drain);
}

void eps_link_refuse(struct eps_link *l, Idfw__Refused__Reason reason, const char *text)
{
	struct wire_routed m;

	eps_link_send(l, wire_routed_refused(&m, reason, text));
}

void eps_link_ping(struct eps_link *l)
{
	struct wire_routed m;

	eps_link_send(l, wire_routed_ping(&m, 0));
}

static void vm_close(struct eps_link *l, const char *vm, const char *why)
{
	struct wire_routed m;

	eps_link_send(l, wire_routed_close(&m, vm, why));
}

void eps_guest_drop(struct eps_guest *g, const char *why)
{
	eps_log(g->eps, EPS_LOG_WARN, "guest %s of mux %s is dropped: %s", g->vm->name, g->mux,
		why);
	vm_close(g->link, g->vm->name, why);
	eps_guest_gone(g, why);
}

static int hello(struct eps_link *l, const Idfw__Hello *h, const char **ret_why)
{
	struct wire_routed m;
	char why[WIRE_TEXT_MAX];
	uint32_t version;

	if (wire_version_choose(h, &version, why) < 0) {
		eps_log(l->eps, EPS_LOG_WARN, "mux %s: %s", l->name, why);
		eps_link_refuse(l, IDFW__REFUSED__REASON__VERSION, why);
		*ret_why = "no common protocol version";
		return -GI_EVERSION;
	}
	l->hello = true;
	eps_link_send(l, wire_routed_hello_ack(&m, version, l->eps->software));
	return 0;
}

/* only this thread makes and ends guests; VMs others add, too */
static struct eps_guest *guest_find(struct eps *e, const char *name)
{
	struct eps_vm *vm;

	pthread_mutex_lock(&e->lock);
	vm = eps_vm_find(e, name);
	pthread_mutex_unlock(&e->lock);
	return vm ? vm->guest : NULL;
}

static void guest_up(struct eps_link *l, const char *name)
{
	struct eps *e = l->eps;
	struct eps_guest *g = guest_find(e, name);
	int err;

	if (g && g->link != l && !g->link->failed) {
		eps_log(e, EPS_LOG_WARN,
			"mux %s says that it has guest %s, which is connected by mux %s: refused",
			l->name, name, g->mux);
		vm_close(l, name, "this VM is connected by another mux");
		return;
	}
	if (g)
		eps_guest_gone(g, "it connected again");
	err = eps_guest_new(l, name, &g);
	if (err < 0) {
		eps_log(e, EPS_LOG_WARN, "guest %s of mux %s is not taken: %s", name, l->name,
			eps_strerror(err));
		vm_close(l, name, eps_strerror(err));
	}
}

static void guest_envelope(struct eps_link *l, const char *vm, const uint8_t *buf, size_t len)
{
	struct eps *e = l->eps;
	struct eps_guest *g = guest_find(e, vm);
	Idfw__Envelope *env = NULL;
	const char *why = "";
	int err;

	if (!g || g->link != l)
		return;
	err = wire_envelope_decode(buf, len, WIRE_FILE_AGENT, g->state, &env, &why);
	if (err == 0)
		err = eps_guest_message(g, env, &why);
	if (err < 0 && g->link) {
		EPS_ADD(e->s_bad_frames, 1);
		eps_guest_drop(g, why);
	}
}

static void guest_down(struct eps_link *l, const char *vm, const char *why)
{
	struct eps_guest *g = guest_find(l->eps, vm);

	if (g && g->link == l)
		eps_guest_gone(g, why && *why ? why : "its connection ended");
}

static int link_message(struct eps_link *l, const Idfw__Routed *r, const char **ret_why)
{
	struct wire_routed answer;

	switch (r->body_case) {
	case IDFW__ROUTED__BODY_HELLO:
		return hello(l, r->hello, ret_why);
	case IDFW__ROUTED__BODY_PING:
		eps_link_send(l, wire_routed_pong(&answer, r->ping->token));
		return 0;
	case IDFW__ROUTED__BODY_PONG:
		return 0;
	case IDFW__ROUTED__BODY_UP:
		guest_up(l, r->vm);
		return 0;
	case IDFW__ROUTED__BODY_DOWN:
		guest_down(l, r->vm, r->down->why);
		return 0;
	case IDFW__ROUTED__BODY_ENVELOPE:
		guest_envelope(l, r->vm, r->envelope.data, r->envelope.len);
		return 0;
	default:
		*ret_why = "a message that no mux sends";
		return -GI_EPROTO;
	}
}

int eps_link_frame(struct eps_link *l, const uint8_t *buf, size_t len, const char **ret_why)
{
	char vm[GI_NAME_MAX + 1];
	const uint8_t *inner;
	Idfw__Routed *r = NULL;
	int err;

	if (l->hello && wire_routed_unwrap(buf, len, vm, &inner, &len)) {
		guest_envelope(l, vm, inner, len);
		return 0;
	}
	err = wire_routed_decode(buf, len, true, l->hello ? WIRE_OPEN : WIRE_NEW, &r, ret_why);
	if (err == 0)
		err = link_message(l, r, ret_why);
	if (err < 0)
		EPS_ADD(l->eps->s_bad_frames, 1);
	wire_routed_free(r);
	return err;
}
