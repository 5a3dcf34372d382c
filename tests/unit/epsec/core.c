/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * core.c - libepsec's protocol without sockets and threads: frames in, frames out (core.h)
 */
#include "tests/unit/epsec/core.h"

#include <stdlib.h>
#include <string.h>

static int sink(void *arg, const uint8_t *buf, size_t len)
{
	struct core *c = arg;
	Idfw__Routed *r = NULL;
	Idfw__Envelope *env = NULL;
	const char *why = "";
	int err =
		wire_routed_decode(buf, len, false, c->link_known ? WIRE_OPEN : WIRE_NEW, &r, &why);

	c->n_sent++;
	c->link_known = true; /* the first one is HelloAck, or Refused and the last */
	/* HelloAck and Refused may come first, all others later: both states are tried */
	if (err == 0 && r->body_case == IDFW__ROUTED__BODY_ENVELOPE) {
		err = wire_envelope_decode(r->envelope.data, r->envelope.len, WIRE_SCAN_TO_AGENT,
			WIRE_NEW, &env, &why);
		if (err == -GI_EDENIED)
			err = wire_envelope_decode(r->envelope.data, r->envelope.len,
				WIRE_SCAN_TO_AGENT, WIRE_OPEN, &env, &why);
		wire_envelope_free(env);
	}
	wire_routed_free(r);
	if (err < 0 && err != -ENOMEM)
		abort();
	return 0;
}

static void failed(void *arg, const char *why)
{
	struct core *c = arg;

	(void)why;
	c->link_failed = true;
}

static const struct eps_link_ops link_ops = { .send = sink, .fail = failed };

static bool on_look(void *arg, struct eps_event *ev)
{
	struct core *c = arg;

	if (!c->look || ++c->n_looks % 2)
		return false;
	(void)eps_answer(ev, &(struct eps_verdict){ .kind = EPS_DENY, .reason = "look" });
	return true;
}

static void on_done(void *arg, const char *vm, const struct eps_done *d)
{
	struct core *c = arg;

	if (!vm || !d->text || !d->actor.user)
		abort();
	c->n_done++;
	c->n_lost += d->lost;
}

static void on_report(void *arg, const char *vm, const uint8_t boot_id[16], uint64_t seq,
	const uint8_t *buf, size_t len)
{
	struct core *c = arg;

	(void)buf;
	(void)len;
	(void)!eps_report_ack(&c->e, vm, boot_id, seq);
}

static void on_bytes(void *arg, const char *vm, const uint8_t *buf, size_t len)
{
	(void)arg;
	(void)vm;
	if (len > 0 && !buf)
		abort();
}

static void on_reply(void *arg, const char *vm, uint64_t id, const uint8_t *buf, size_t len)
{
	(void)id;
	on_bytes(arg, vm, buf, len);
}

int core_init(struct core *c)
{
	static const struct eps_ops ops = { .size = sizeof(ops),
		.look = on_look,
		.done = on_done,
		.report = on_report,
		.counters = on_bytes,
		.reply = on_reply };
	struct eps_conf conf = { .size = sizeof(conf),
		.api_version = EPS_API_VERSION,
		.name = "core",
		.version = "1",
		.epoch = (const uint8_t *)"e",
		.epoch_len = 1,
		.credits = 8,
		.max_events = 12,
		.max_memory = 200000 };
	char why[256];

	memset(c, 0, sizeof(*c));
	return eps_core_init(&c->e, &conf, &ops, c, why);
}

static void link_end(struct core *c)
{
	if (c->linked)
		eps_link_down(&c->link, "it failed");
	c->linked = c->link_failed = c->link_known = false;
}

void core_fini(struct core *c)
{
	link_end(c);
	eps_core_pump(&c->e); /* lost verdicts */
	if (EPS_GET(c->e.n_events) != 0 || EPS_GET(c->e.memory) != 0 ||
		EPS_GET(c->e.writing) != 0 || c->e.n_waiting != 0 || c->e.n_guests != 0 ||
		c->e.n_links != 0 || c->e.turn || c->e.lost)
		abort();
	eps_core_fini(&c->e);
}

void core_frame(struct core *c, const uint8_t *buf, size_t len)
{
	const char *why = "";

	if (!c->linked)
		eps_link_init(&c->e, &c->link, &link_ops, c, "host1");
	c->linked = true;
	if (eps_link_frame(&c->link, buf, len, &why) < 0) {
		if (!*why)
			abort();
		eps_link_fail(&c->link, why);
	}
	if (c->link_failed)
		link_end(c);
}

static void routed(struct core *c, const Idfw__Routed *r)
{
	struct gi_buf b;

	gi_buf_init(&b, WIRE_ROUTED_MAX);
	if (wire_routed_encode(r, &b) == 0)
		core_frame(c, b.data, b.len);
	gi_buf_fini(&b);
}

void core_envelope(struct core *c, const uint8_t *buf, size_t len)
{
	Idfw__Routed r;

	idfw__routed__init(&r);
	r.vm = (char *)(uintptr_t) "a";
	r.body_case = IDFW__ROUTED__BODY_ENVELOPE;
	r.envelope.data = (uint8_t *)(uintptr_t)buf;
	r.envelope.len = len;
	routed(c, &r);
}

int core_send(struct core *c, const Idfw__Envelope *env)
{
	uint8_t buf[WIRE_FRAME_MAX];
	size_t len = idfw__envelope__get_packed_size(env);

	if (len > sizeof(buf))
		return -GI_ELIMIT;
	(void)idfw__envelope__pack(env, buf);
	core_envelope(c, buf, len);
	return 0;
}

void core_guest_up(struct core *c)
{
	static uint8_t boot_id[WIRE_BOOT_ID_LEN] = "boot";
	Idfw__Hello h = IDFW__HELLO__INIT;
	Idfw__VmUp up = IDFW__VM_UP__INIT;
	Idfw__Envelope env = IDFW__ENVELOPE__INIT;
	Idfw__Routed r;

	h.version_min = h.version_max = 1;
	idfw__routed__init(&r);
	r.body_case = IDFW__ROUTED__BODY_HELLO;
	r.hello = &h;
	if (!c->linked)
		routed(c, &r);
	r.vm = (char *)(uintptr_t) "a";
	r.body_case = IDFW__ROUTED__BODY_UP;
	r.up = &up;
	routed(c, &r);
	h.boot_id.data = boot_id;
	h.boot_id.len = sizeof(boot_id);
	env.body_case = IDFW__ENVELOPE__BODY_HELLO;
	env.hello = &h;
	(void)!core_send(c, &env);
}

void core_guest_down(struct core *c)
{
	Idfw__VmDown down = IDFW__VM_DOWN__INIT;
	Idfw__Routed r;

	idfw__routed__init(&r);
	r.vm = (char *)(uintptr_t) "a";
	r.body_case = IDFW__ROUTED__BODY_DOWN;
	r.down = &down;
	routed(c, &r);
}

void core_pump(struct core *c)
{
	eps_core_pump(&c->e);
	if (c->link_failed)
		link_end(c);
}
