/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_engine.c - guests that say anything, in any order, and a world that misbehaves
 *
 * The input is a list of records: operation, argument, length (2 bytes, little-endian), data.
 * Guests' envelopes go through lib/wire's decoder with an agent's rights, as in routing.c. After
 * each record the world is checked as in the scenarios (tests/unit/svm-idfw/world.h): what is
 * wanted equals a recomputation, kernels follow. Seeds: scenarios, written by `replay -w DIR`.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/unit/svm-idfw/fuzzops.h"
#include "tests/unit/svm-idfw/world.h"

#define RECORDS_MAX 400

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const vms[] = { "jump01", "db01", "web01", "web02" };
static const char *const users[] = { "alice", "bob", "carol", "gus" };

static const char *const policies[] = {
	"default in drop; default out drop;\n"
	"group eng { directory \"eng\"; } group ops { directory \"ops\"; } group db { vm db01; } "
	"group web { vm web01, web02; }\n"
	"section application { rule a allow from eng to db; rule b allow from ops to any; rule c "
	"allow from web to eng; }\n",
	"default in drop; default out drop;\n"
	"group eng { directory \"eng\"; } group guests { directory \"guests\"; }\n"
	"section emergency { rule x drop from any to guests; }\n"
	"section application { rule a allow from eng to any; rule c allow from any to any service "
	"icmp; }\n",
	"default in drop; default out drop; section application { rule c allow from any to any "
	"service icmp; }\n",
};

static void say(struct world *w, const char *vm, const uint8_t *data, size_t len)
{
	struct idfw_vm *v = idfw_engine_vm(w->e, vm);
	Idfw__Envelope *env = NULL;
	const char *why = "";
	enum wire_state state;

	if (!v || !v->connected)
		return;
	state = v->plan->phase == PLAN_HELLO ? WIRE_NEW : WIRE_OPEN;
	if (wire_envelope_decode(data, len, WIRE_AGENT, state, &env, &why) < 0) {
		idfw_engine_guest_down(w->e, v, why);
		return;
	}
	(void)world_say(w, vm, env);
	wire_envelope_free(env);
}

static void changed(struct world *w, uint8_t arg)
{
	static const uint8_t ids[4][16] = { { 1 }, { 2 }, { 3 }, { 4 } };
	struct idfw_changes c = { .all = !(arg & 0xfc) };

	c.groups = &ids[arg >> 2 & 3];
	c.accounts = &ids[arg >> 4 & 3];
	c.n_groups = arg >> 6 & 1;
	c.n_accounts = arg >> 7 & 1;
	idfw_engine_directory_changed(w->e, &c);
}

static void answer(struct world *w, uint8_t arg, uint8_t bits)
{
	static char names[][8] = { "eng", "ops", "guests", "users" };
	static char empty[] = "";
	struct idfw_group groups[4];
	struct idfw_principal p = { .name = (char *)(uintptr_t)users[arg & 3],
		.upn = empty,
		.dn = empty,
		.sid = empty,
		.groups = groups,
		.presence = (enum idfw_presence)(1 + (arg >> 2) % 3) };

	for (size_t i = 0; i < 4; i++)
		if (bits >> i & 1)
			groups[p.n_groups++] = (struct idfw_group){ names[i], empty, empty, empty,
				{ (uint8_t)(i + 1) } };
	idfw_engine_principal(w->e, users[arg & 3], &p);
}

static void kick(struct world *w, uint8_t which)
{
	const struct idfw_session *s = w->e->sessions;

	while (s && which--)
		s = s->hh.next;
	if (s && idfw_engine_kick(w->e, s->db_id, "root", "") < 0)
		abort();
}

static void isolate(struct world *w, uint8_t arg)
{
	struct idfw_vm *v = idfw_engine_vm(w->e, vms[arg & 3]);
	const struct idfw_isolation *i = v ? v->isolations : NULL;
	int err = 0;

	if (arg & 8)
		err = i ? idfw_engine_release(w->e, i, "root", "") : 0;
	else if (arg & 4)
		err = idfw_engine_isolate_vm(w->e, vms[arg & 3], "root", "", &i);
	else if (v && v->sessions)
		err = idfw_engine_isolate_session(w->e, v->sessions->db_id, "root", "", &i);
	if (err == -ENOMEM)
		abort();
}

static void durable(struct world *w, const char *vm)
{
	struct idfw_vm *v = idfw_engine_vm(w->e, vm);

	if (v)
		idfw_engine_durable(w->e, v, v->boot_id, v->seq);
}

static void down(struct world *w, const char *vm)
{
	struct idfw_vm *v = idfw_engine_vm(w->e, vm);

	if (v)
		idfw_engine_guest_down(w->e, v, "fuzz");
}

static void one(struct world *w, uint8_t op, uint8_t arg, const uint8_t *data, size_t len)
{
	const char *vm = vms[arg & 3];

	switch (op % FUZZ_OPS) {
	case FUZZ_SAY:
		say(w, vm, data, len);
		break;
	case FUZZ_UP:
		if (world_up(w, vm, NULL, 0, NULL) < 0)
			abort();
		break;
	case FUZZ_DOWN:
		down(w, vm);
		break;
	case FUZZ_ANSWER:
		answer(w, arg, len ? data[0] : 0);
		break;
	case FUZZ_PASS:
		w->mono_ms += arg * 100u;
		w->real_ms += arg * 100u;
		break;
	case FUZZ_ACK:
		(void)world_ack(w, vm, (arg >> 2) % 3);
		break;
	case FUZZ_FLAGS:
		w->no_ack = arg & 1;
		w->store_full = arg & 2;
		w->push_full = arg & 4;
		w->lookup_full = arg & 8;
		break;
	case FUZZ_POLICY:
		if (world_policy(w, policies[arg % GI_ARRAY_SIZE(policies)]) < 0)
			abort();
		break;
	case FUZZ_DIRECTORY:
		if (arg > 1)
			changed(w, arg);
		else
			idfw_engine_directory_state(w->e, "", arg, "fuzz");
		break;
	case FUZZ_RESTART:
		if (world_restart(w, arg & 1) < 0)
			abort();
		break;
	case FUZZ_DURABLE:
		durable(w, vm);
		break;
	case FUZZ_KICK:
		kick(w, arg);
		break;
	case FUZZ_ISOLATE:
		isolate(w, arg);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world w;
	const char *wrong = NULL;

	gi_log_init("fuzz", 0);
	world_init(&w);
	w.quiet = true;
	if (world_policy(&w, policies[0]) < 0)
		abort();
	for (int n = 0; n < RECORDS_MAX && size >= 4 && !wrong; n++) {
		size_t len = (size_t)data[2] | (size_t)data[3] << 8;

		if (len > size - 4)
			len = size - 4;
		idfw_engine_clock(w.e, w.mono_ms, w.real_ms);
		one(&w, data[0], data[1], data + 4, len);
		data += 4 + len;
		size -= 4 + len;
		wrong = world_settle(&w);
	}
	if (wrong) {
		fprintf(stderr, "%s\n", wrong);
		abort();
	}
	world_fini(&w);
	return 0;
}
