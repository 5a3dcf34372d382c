/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guest.c - the guests of this host: who is there, and whose turn it is on which link
 *
 *   listen.c --fd--> lane.c --frames--> scheduler of the lane --> pump --> upstream of the lane
 *   upstream --Routed--> the VM's lane (lane.c)
 *
 * Runs in gi-mux. Invariants: who a guest is comes from the listener or the CID alone; a change of
 * the inventory touches only the guests, and of them the lanes, that it is about; a guest that was
 * removed stays until its VmDowns have gone up. Counters for humans are in report.c.
 */
#include "mux/guest_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "lib/base/log.h"

int mux_guests_new(struct io_loop *l, const struct mux_guests_conf *conf, struct mux_guests **ret)
{
	struct mux_guests *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->loop = l;
	s->conf = *conf;
	for (enum mux_lane_id k = 0; k < MUX_LANES; k++) {
		mux_sched_init(&s->trunk[k].sched);
		mux_listener_init(&s->trunk[k].vsock, s, k, NULL);
	}
	gi_buf_init(&s->buf, WIRE_ROUTED_MAX);
	*ret = s;
	return 0;
}

void mux_guests_free(struct mux_guests *s)
{
	struct mux_guest *g, *next;

	if (!s)
		return;
	for (size_t k = 0; k < MUX_LANES; k++) {
		s->trunk[k].up = NULL;
		mux_listener_close(&s->trunk[k].vsock);
	}
	HASH_ITER (hh, s->guests, g, next)
		mux_guest_forget(g);
	gi_buf_fini(&s->buf);
	free(s);
}

void mux_guests_set_upstream(struct mux_guests *s, enum mux_lane_id lane, struct mux_upstream *u)
{
	s->trunk[lane].up = u;
}

struct mux_guest *mux_guest_find(const struct mux_guests *s, const char *name)
{
	struct mux_guest *g = NULL;

	HASH_FIND_STR(s->guests, name, g);
	return g;
}

void mux_guests_take_cid(
	struct mux_guests *s, enum mux_lane_id lane, int fd, uint32_t cid, bool reserved)
{
	struct mux_trunk *t = &s->trunk[lane];
	struct mux_guest *g, *next;
	uint64_t hidden = 0;

	HASH_ITER (hh, s->guests, g, next) {
		if (g->gone || cid == 0 || g->vm.cid != cid)
			continue;
		mux_lane_attach_cid(&g->lane[lane], fd, cid, reserved);
		return;
	}
	t->strangers++;
	if (mux_limit_pass(&t->log, io_clock_mono_ms(), MUX_LOG_BURST, MUX_LOG_EVERY_MS, &hidden))
		gi_warn("vsock%s: CID %u is not in the inventory: refused", mux_lane_mark(lane),
			cid);
	mux_refuse_fd(
		fd, IDFW__REFUSED__REASON__IDENTITY, "this CID is not in the host's inventory");
	(void)close(fd);
}

/* ---- the links ---- */

/* once nothing of it has to go up any more */
static void guest_forget_when_said(struct mux_guest *g)
{
	bool waits = false;

	for (size_t k = 0; k < MUX_LANES; k++)
		waits = waits || g->lane[k].queue.head;
	if (g->gone && !waits)
		mux_guest_forget(g);
}

void mux_guests_link_up(struct mux_guests *s, enum mux_lane_id lane)
{
	struct mux_guest *g, *next;

	HASH_ITER (hh, s->guests, g, next)
		if (g->lane[lane].chan)
			mux_lane_announce(&g->lane[lane]);
}

void mux_guests_link_down(struct mux_guests *s, enum mux_lane_id lane)
{
	struct mux_guest *g, *next;

	HASH_ITER (hh, s->guests, g, next) {
		g->lane[lane].svc_knows = false; /* it starts from nothing with the next link */
		mux_lane_close(&g->lane[lane], "");
		guest_forget_when_said(g);
	}
}

/* moves frames while the link has room; the frame decides what the service then knows */
void mux_guests_pump(struct mux_guests *s, enum mux_lane_id lane)
{
	struct mux_trunk *t = &s->trunk[lane];
	struct mux_queue *q = NULL;
	struct mux_frame *f;

	while (t->up && mux_upstream_room(t->up) && (f = mux_sched_pop(&t->sched, &q)) != NULL) {
		struct mux_lane *l = q->arg;
		int err = mux_upstream_send(t->up, NULL, 0, f->data, f->len);

		if (!err && f->kind != MUX_FRAME_ENVELOPE)
			l->svc_knows = f->kind == MUX_FRAME_UP;
		free(f);
		if (err) /* memory; what was in the frame is sent again by the agent */
			mux_lane_close(l, gi_strerror(err));
		if (l->paused && l->queue.bytes <= s->conf.max_queue_up / 4) {
			l->paused = false;
			mux_lane_resume(l);
		}
		guest_forget_when_said(l->guest);
	}
}

void mux_guests_envelope(
	struct mux_guests *s, enum mux_lane_id lane, const char *vm, const uint8_t *buf, size_t len)
{
	struct mux_guest *g = mux_guest_find(s, vm);

	if (g)
		mux_lane_envelope(&g->lane[lane], buf, len);
}

void mux_guests_close(struct mux_guests *s, enum mux_lane_id lane, const char *vm, const char *why)
{
	struct mux_guest *g = mux_guest_find(s, vm);

	if (!g || !g->lane[lane].chan)
		return;
	mux_lane_log(&g->lane[lane],
		lane == MUX_LANE_FILE ? "closed by the scan service" : "closed by the service VM",
		why);
	mux_lane_close(&g->lane[lane], "closed on request");
	mux_guests_pump(s, lane);
}

/* ---- the inventory ---- */

void mux_guest_forget(struct mux_guest *g)
{
	struct mux_guests *s = g->set;

	for (size_t k = 0; k < MUX_LANES; k++) {
		io_chan_free(g->lane[k].chan);
		io_timer_stop(s->loop, &g->lane[k].breath);
		mux_queue_clear(&s->trunk[k].sched, &g->lane[k].queue);
		mux_listener_close(&g->lane[k].listener);
	}
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
	memcpy(g->vm.name, vm->name, sizeof(g->vm.name));
	for (enum mux_lane_id k = 0; k < MUX_LANES; k++)
		mux_lane_init(&g->lane[k], g, k);
	HASH_ADD_STR(s->guests, vm.name, g);
	if (!g->hh.tbl) {
		free(g);
		return -ENOMEM;
	}
	*ret = g;
	return 0;
}

/* @was: what this lane's listener was opened for, NULL: it is not open */
static void lane_apply(struct mux_lane *l, const char *was)
{
	const char *now = l->guest->vm.listen[l->id];

	if (l->id == MUX_LANE_FILE && !l->guest->set->conf.file_lane)
		return;
	if (was && strcmp(was, now) == 0)
		return;
	mux_listener_close(&l->listener);
	if (now[0])
		mux_listener_open(&l->listener, now);
}

/* a guest that is in the new inventory, whatever it was before */
static int guest_apply(struct mux_guests *s, const struct mux_vm *vm)
{
	struct mux_guest *g = mux_guest_find(s, vm->name);
	bool fresh = !g || g->gone, changed[MUX_LANES], any = fresh;
	char was[MUX_LANES][MUX_LISTEN_MAX];
	int err;

	if (!g) {
		err = guest_add(s, vm, &g);
		if (err)
			return err;
	}
	for (enum mux_lane_id k = 0; k < MUX_LANES; k++) {
		changed[k] = !fresh && !mux_vm_equal(&g->vm, vm, k);
		any = any || changed[k];
	}
	if (!any)
		return 0;
	memcpy(was, g->vm.listen, sizeof(was));
	err = guest_set_vm(g, vm);
	if (err)
		return err;
	g->gone = false;
	for (size_t k = 0; k < MUX_LANES; k++) {
		if (changed[k] && g->lane[k].chan)
			mux_lane_close(&g->lane[k], "its inventory entry changed");
		lane_apply(&g->lane[k], fresh ? NULL : was[k]);
	}
	gi_info("vm %s: %s", vm->name, fresh ? "added" : "changed");
	return 0;
}

static void guest_remove(struct mux_guest *g)
{
	gi_info("vm %s: removed", g->vm.name);
	for (size_t k = 0; k < MUX_LANES; k++) {
		mux_lane_close(&g->lane[k], "not in the inventory any more");
		mux_listener_close(&g->lane[k].listener);
	}
	g->gone = true; /* its VmDowns may still have to go up */
	guest_forget_when_said(g);
}

static void trunk_apply(struct mux_trunk *t, uint32_t port)
{
	char vsock[32];

	if (t->vsock_port == port)
		return;
	mux_listener_close(&t->vsock);
	t->vsock_port = port;
	(void)snprintf(vsock, sizeof(vsock), "vsock:any:%u", port);
	if (port)
		mux_listener_open(&t->vsock, vsock);
}

int mux_guests_apply(struct mux_guests *s, const struct mux_inventory *inv)
{
	struct mux_guest *g, *next;
	int err = 0;

	HASH_ITER (hh, s->guests, g, next)
		if (!g->gone && !mux_inventory_find(inv, g->vm.name))
			guest_remove(g);
	for (size_t i = 0; !err && i < inv->n; i++)
		err = guest_apply(s, &inv->vms[i]);
	for (enum mux_lane_id k = 0; k < MUX_LANES; k++) {
		bool wanted = k != MUX_LANE_FILE || s->conf.file_lane;

		trunk_apply(&s->trunk[k], wanted ? inv->vsock_port[k] : 0);
		mux_guests_pump(s, k);
	}
	return err;
}
