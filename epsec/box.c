/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * box.c - what is sent to muxes, by the library's thread at once, by others through a link's box
 *
 * A caller's thread encodes its own messages and appends the frame to the box of the guest's link;
 * the library's thread takes the whole box, once a round. So the wake-up is one for many, and
 * none while the library's thread is running. Order: what a thread posted goes out in its order,
 * and before what the library's thread sends later.
 */
#include "epsec/eps_int.h"

#include <stdlib.h>
#include <string.h>

int eps_box_encode(const struct eps_guest *g, const Idfw__Envelope *env, struct gi_buf *inner,
	struct gi_buf *outer)
{
	uint8_t head[WIRE_ROUTED_HEAD_MAX];
	size_t head_len = 0;
	int err;

	gi_buf_reset(inner);
	gi_buf_reset(outer);
	err = wire_envelope_encode(env, inner);
	if (err == 0)
		err = wire_routed_wrap(g->vm->name, inner->len, head, &head_len);
	if (err < 0)
		return err;
	gi_buf_append(outer, head, head_len);
	gi_buf_append(outer, inner->data, inner->len);
	return gi_buf_error(outer);
}

bool eps_box_post(struct eps_guest *g, const struct gi_buf *routed)
{
	uint32_t size = (uint32_t)routed->len;

	if (!g->link)
		return false;
	gi_buf_append(&g->link->box, &size, sizeof(size));
	gi_buf_append(&g->link->box, routed->data, routed->len);
	return true;
}

/* a mux that does not take what may not get lost is of no use */
static void frame_send(struct eps_link *l, const void *buf, size_t len)
{
	if (!l->failed && l->ops->send(l->arg, buf, len) < 0)
		eps_link_fail(l, "it does not read");
}

void eps_box_drain(struct eps_link *l)
{
	struct gi_buf *d = &l->drain, tmp;
	uint32_t size;

	pthread_mutex_lock(&l->eps->lock);
	tmp = l->box;
	l->box = *d;
	*d = tmp;
	pthread_mutex_unlock(&l->eps->lock);
	if (gi_buf_error(d) < 0)
		eps_link_fail(l, "it does not read");
	for (size_t at = 0; !l->failed && at < d->len; at += sizeof(size) + size) {
		memcpy(&size, d->data + at, sizeof(size));
		frame_send(l, d->data + at + sizeof(size), size);
	}
	gi_buf_reset(d);
	if (d->cap > EPS_BOX_KEEP)
		gi_buf_fini(d);
}

void eps_link_send(struct eps_link *l, const Idfw__Routed *r)
{
	struct gi_buf *b = &l->eps->outer;
	int err;

	if (l->failed)
		return;
	gi_buf_reset(b);
	err = wire_routed_encode(r, b);
	if (err < 0)
		eps_link_fail(l, gi_strerror(err));
	else
		frame_send(l, b->data, b->len);
}

void eps_guest_send(struct eps_guest *g, const Idfw__Envelope *env)
{
	struct eps *e = g->eps;
	int err;

	if (!g->link || g->link->failed)
		return;
	err = eps_box_encode(g, env, &e->inner, &e->outer);
	if (err == 0) {
		frame_send(g->link, e->outer.data, e->outer.len);
		return;
	}
	eps_log(e, EPS_LOG_ERR, "%s: %s cannot be encoded: %s", g->vm->name,
		wire_body_name((int)env->body_case), gi_strerror(err));
	pthread_mutex_lock(&e->lock);
	g->broken = "a message could not be encoded";
	e->broken = true;
	pthread_mutex_unlock(&e->lock);
	eps_wake(e);
}

int eps_post(struct eps_guest *g, const Idfw__Envelope *env)
{
	struct eps *e = g->eps;
	struct gi_buf inner, outer;
	bool there = false;
	int err;

	gi_buf_init(&inner, WIRE_FRAME_MAX);
	gi_buf_init(&outer, WIRE_ROUTED_MAX);
	err = eps_box_encode(g, env, &inner, &outer);
	if (err == 0) {
		pthread_mutex_lock(&e->lock);
		there = eps_box_post(g, &outer);
		pthread_mutex_unlock(&e->lock);
		if (there)
			eps_wake(e);
		else
			err = -EPS_EGONE;
	} else if (err != -ENOMEM) {
		err = -EINVAL;
	}
	gi_buf_fini(&inner);
	gi_buf_fini(&outer);
	return err;
}
