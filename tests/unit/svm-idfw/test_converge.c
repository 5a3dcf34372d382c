/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_converge.c - random events, and after each the world's checks (world.h): what is wanted is
 * what a naive recomputation says, and deltas applied one by one lead the kernels there
 *
 * The seed is printed; IDFW_SEED repeats a run, IDFW_STEPS makes it longer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>
#include "tests/unit/svm-idfw/world.h"

#define N_VMS 6
#define N_USERS 8
#define N_GROUPS 4

struct dice {
	uint64_t x;
};

static uint32_t roll(struct dice *d, uint32_t n) /* xorshift64* */
{
	d->x ^= d->x >> 12;
	d->x ^= d->x << 25;
	d->x ^= d->x >> 27;
	return (uint32_t)((d->x * 0x2545f4914f6cdd1dULL) >> 33) % n;
}

struct guest_model { /* what a truthful agent knows */
	char name[8];
	uint8_t boot;
	bool up;
	uint64_t seq, next_id;
	struct {
		uint64_t id;
		uint32_t user, cgroup;
		uint64_t parent;
	} sessions[16];
	size_t n_sessions;
	unsigned int addrs; /* bit i: 10.0.VM.i or fd00::VM:i */
	uint64_t acked;
};

struct model {
	struct world w;
	struct dice d;
	struct guest_model g[N_VMS];
};

static const char *const policies[] = {
	"default in drop; default out drop;\n"
	"on-loss hold 60s; group g0 { directory g0; on-loss close; } group g1 { directory g1; }\n"
	"group both { group g0, g1; on-loss hold 30s; }\n"
	"group web { vm vm0, vm1; }\n"
	"logins l1 allow g0 on vm vm0; logins l2 allow g1, user \"user3\" on vm vm1;\n"
	"section application { rule a allow from g0 to web; rule b allow from g1 to any; rule c "
	"allow from web to g0;\n"
	" rule d allow from both to vm vm3; }\n",
	"default in drop; default out drop;\n"
	"group g0 { directory g0; on-loss close; } group g2 { directory g2; on-loss hold 20s; }\n"
	"group bad { directory g3; on-loss hold 15s; }\n"
	"section emergency { rule x drop from bad to any; rule y drop from any to bad; }\n"
	"section application { rule a allow from g0 to g2; rule b allow from g2 to vm vm2, vm vm4; "
	"rule c allow from any to any "
	"service icmp; }\n",
	"default in drop; default out drop;\n"
	"section application { rule c allow from any to any service icmp; }\n",
	"default in drop; default out reject; on-revoke drain 5s;\n"
	"group u { user user1, user2; } group net { address 10.0.0.0/16; }\n"
	"section application { rule a allow from u to net; rule b reject from net to u; rule c "
	"allow from any to any; }\n",
};

static struct gi_addr address(size_t vm, unsigned int i)
{
	struct gi_addr a = { .family = i & 1 ? 6 : 4 };

	if (i & 1) {
		a.bytes[0] = 0xfd;
		a.bytes[14] = (uint8_t)vm;
		a.bytes[15] = (uint8_t)(i + 1);
	} else {
		a.bytes[0] = 10;
		a.bytes[2] = (uint8_t)vm;
		a.bytes[3] = (uint8_t)(i + 1);
	}
	return a;
}

struct addr_body {
	struct gi_addr a[8];
	ProtobufCBinaryData data[8];
	Idfw__Addresses msg;
};

static void addr_fill(struct addr_body *b, size_t vm, unsigned int bits)
{
	idfw__addresses__init(&b->msg);
	b->msg.addr = b->data;
	for (unsigned int i = 0; i < 4; i++) {
		if (!(bits >> i & 1))
			continue;
		/* the last one is everybody's: claims collide */
		b->a[b->msg.n_addr] = address(i == 3 ? 99 : vm, i);
		b->data[b->msg.n_addr].data = b->a[b->msg.n_addr].bytes;
		b->data[b->msg.n_addr].len = gi_addr_len(&b->a[b->msg.n_addr]);
		b->msg.n_addr++;
	}
}

static void session_fill(
	Idfw__Session *s, char user[16], uint64_t id, uint32_t u, uint32_t cgroup, uint64_t parent)
{
	static char sshd[] = "sshd";

	snprintf(user, 16, "user%u", u);
	idfw__session__init(s);
	s->id = id;
	s->user = user;
	s->uid = u ? 1000 + u : 0;
	s->service = sshd;
	s->cgroup = cgroup;
	s->parent = parent;
}

static void say_event(struct model *m, struct guest_model *g, Idfw__Event *ev)
{
	Idfw__Envelope env = IDFW__ENVELOPE__INIT;

	ev->seq = g->seq;
	env.body_case = IDFW__ENVELOPE__BODY_EVENT;
	env.event = ev;
	assert_int_equal(world_say(&m->w, g->name, &env), 0);
}

static void do_open(struct model *m, struct guest_model *g)
{
	Idfw__Session s;
	Idfw__SessionOpen open = IDFW__SESSION_OPEN__INIT;
	Idfw__Event ev = IDFW__EVENT__INIT;
	char user[16];

	if (!g->up || g->n_sessions == 16)
		return;
	g->seq++;
	g->sessions[g->n_sessions].id = ++g->next_id;
	g->sessions[g->n_sessions].user = roll(&m->d, N_USERS);
	/* half of them without a cgroup of their own; a cgroup of two is not ours to judge */
	g->sessions[g->n_sessions].cgroup = roll(&m->d, 2) ? 100 + roll(&m->d, 20) : 0;
	g->sessions[g->n_sessions].parent =
		g->n_sessions && roll(&m->d, 4) == 0 ? g->sessions[0].id : 0;
	session_fill(&s, user, g->next_id, g->sessions[g->n_sessions].user,
		g->sessions[g->n_sessions].cgroup, g->sessions[g->n_sessions].parent);
	g->n_sessions++;
	open.session = &s;
	ev.body_case = IDFW__EVENT__BODY_OPEN;
	ev.open = &open;
	say_event(m, g, &ev);
}

static void do_close(struct model *m, struct guest_model *g)
{
	Idfw__SessionClose c = IDFW__SESSION_CLOSE__INIT;
	Idfw__Event ev = IDFW__EVENT__INIT;
	size_t i;

	if (!g->up || !g->n_sessions)
		return;
	i = roll(&m->d, (uint32_t)g->n_sessions);
	g->seq++;
	c.id = g->sessions[i].id;
	c.reason = IDFW__END_REASON__END_LEADER;
	g->sessions[i] = g->sessions[--g->n_sessions];
	ev.body_case = IDFW__EVENT__BODY_CLOSE;
	ev.close = &c;
	say_event(m, g, &ev);
}

static void do_address(struct model *m, struct guest_model *g)
{
	struct addr_body b;
	Idfw__Event ev = IDFW__EVENT__INIT;

	if (!g->up)
		return;
	g->seq++;
	g->addrs = roll(&m->d, 16);
	addr_fill(&b, (size_t)(g - m->g), g->addrs);
	ev.body_case = IDFW__EVENT__BODY_ADDRESSES;
	ev.addresses = &b.msg;
	say_event(m, g, &ev);
}

static void do_connect(struct model *m, struct guest_model *g, bool reboot)
{
	Idfw__Session s[16], *ptrs[16];
	char users[16][16];
	Idfw__Snapshot snap = IDFW__SNAPSHOT__INIT;
	Idfw__Envelope env = IDFW__ENVELOPE__INIT;
	struct addr_body b;
	struct idfw_vm *vm;

	if (reboot) {
		g->boot++;
		g->seq = 0;
		g->n_sessions = 0;
	}
	/* sessions may come and go unseen while it is not connected */
	if (!g->up && g->n_sessions && roll(&m->d, 2))
		g->n_sessions--;
	assert_int_equal(world_up(&m->w, g->name, NULL, 0, NULL), 0);
	assert_int_equal(world_hello(&m->w, g->name, g->boot, 1), 0);
	vm = idfw_engine_vm(m->w.e, g->name);
	g->up = true;
	if (g->seq < vm->seq)
		g->seq = vm->seq;
	for (size_t i = 0; i < g->n_sessions; i++) {
		if (roll(&m->d, 16) == 0) /* it was moved while nobody saw it */
			g->sessions[i].cgroup = g->sessions[i].cgroup ? 0 : 200;
		session_fill(&s[i], users[i], g->sessions[i].id, g->sessions[i].user,
			g->sessions[i].cgroup, g->sessions[i].parent);
		ptrs[i] = &s[i];
	}
	addr_fill(&b, (size_t)(g - m->g), g->addrs);
	snap.seq = vm->seq; /* what came in between was not recorded: its spool was lost */
	g->seq = vm->seq;
	snap.first = snap.last = true;
	snap.session = ptrs;
	snap.n_session = g->n_sessions;
	snap.addresses = &b.msg;
	env.body_case = IDFW__ENVELOPE__BODY_SNAPSHOT;
	env.snapshot = &snap;
	assert_int_equal(world_say(&m->w, g->name, &env), 0);
	if (roll(&m->d, 8))
		assert_int_equal(world_marks(&m->w, g->name), 0);
}

static void do_down(struct model *m, struct guest_model *g)
{
	if (!g->up)
		return;
	g->up = false;
	idfw_engine_guest_down(m->w.e, idfw_engine_vm(m->w.e, g->name), "test");
}

static void do_answer(struct model *m)
{
	static char names[N_GROUPS][4] = { "g0", "g1", "g2", "g3" };
	static char empty[] = "";
	struct idfw_group groups[N_GROUPS];
	struct idfw_principal p = { .upn = empty, .dn = empty, .sid = empty, .groups = groups };
	uint32_t bits = roll(&m->d, 1 << N_GROUPS), how = roll(&m->d, 10);
	char key[16];

	snprintf(key, sizeof(key), "user%u", 1 + roll(&m->d, N_USERS - 1));
	p.name = key;
	p.presence = how == 0 ? IDFW_P_NOT_FOUND : how == 1 ? IDFW_P_UNAVAILABLE : IDFW_P_FOUND;
	for (size_t i = 0; i < N_GROUPS; i++)
		if (bits >> i & 1)
			groups[p.n_groups++] =
				(struct idfw_group){ .name = names[i], .dn = empty, .sid = empty };
	idfw_engine_principal(m->w.e, key, &p);
}

static void do_kick(struct model *m)
{
	struct idfw_session *s = m->w.e->sessions;

	for (uint32_t i = roll(&m->d, 20); s && i; i--)
		s = s->hh.next;
	if (s)
		assert_int_equal(idfw_engine_kick(m->w.e, s->db_id, "root", ""), 0);
}

/* a uid or a VM loses its network, or has it back; already, or no longer: no matter */
static void do_isolate(struct model *m, const struct guest_model *g)
{
	struct idfw_vm *vm = idfw_engine_vm(m->w.e, g->name);
	const struct idfw_isolation *i = NULL;
	struct idfw_session *s = m->w.e->sessions;
	uint32_t what = roll(&m->d, 5);

	if (!vm)
		return;
	for (uint32_t n = roll(&m->d, 20); s && n; n--)
		s = s->hh.next;
	if (what < 2 && vm->isolations) {
		assert_int_equal(idfw_engine_release(m->w.e, vm->isolations, "root", ""), 0);
	} else if (what == 2) {
		int err = idfw_engine_isolate_vm(m->w.e, g->name, "root", "", &i);

		assert_true(err == 0 || err == -EEXIST);
	} else if (s && s->subject) {
		int err = idfw_engine_isolate_session(m->w.e, s->db_id, "root", "", &i);

		assert_true(err == 0 || err == -EEXIST);
	}
}

static void do_restart(struct model *m)
{
	struct idfw_vm *vm, *next;

	HASH_ITER (hh, m->w.e->vms, vm, next)
		idfw_engine_durable(m->w.e, vm, vm->boot_id, vm->seq);
	assert_int_equal(world_restart(&m->w, false), 0);
	for (size_t i = 0; i < N_VMS; i++)
		m->g[i].up = false;
}

static void one_step(struct model *m)
{
	struct guest_model *g = &m->g[roll(&m->d, N_VMS)];
	uint32_t what = roll(&m->d, 103);

	idfw_engine_clock(m->w.e, m->w.mono_ms, m->w.real_ms);
	if (what < 30)
		do_open(m, g);
	else if (what < 50)
		do_close(m, g);
	else if (what < 70)
		do_answer(m);
	else if (what < 76)
		do_address(m, g);
	else if (what < 82)
		do_connect(m, g, roll(&m->d, 6) == 0);
	else if (what < 85)
		do_down(m, g);
	else if (what < 88)
		do_kick(m);
	else if (what < 90)
		assert_int_equal(
			world_policy(&m->w, policies[roll(&m->d, GI_ARRAY_SIZE(policies))]), 0);
	else if (what < 92)
		idfw_engine_directory_state(m->w.e, "", roll(&m->d, 3) != 0, "test");
	else if (what < 94)
		idfw_engine_directory_changed(m->w.e, &(struct idfw_changes){ .all = true });
	else if (what < 96)
		m->w.no_ack = !m->w.no_ack;
	else if (what < 97)
		(void)world_ack(&m->w, g->name, (int)roll(&m->d, 3));
	else if (what < 98)
		m->w.push_full = !m->w.push_full;
	else if (what < 99 && roll(&m->d, 4) == 0)
		do_restart(m);
	else if (what >= 100)
		do_isolate(m, g);
	m->w.mono_ms += roll(&m->d, 300);
	m->w.real_ms += 100;
}

static unsigned long from_env(const char *name, unsigned long def)
{
	const char *text = getenv(name);
	uint64_t n;

	return text && gi_text_u64(text, 1, UINT32_MAX, &n) == 0 ? (unsigned long)n : def;
}

static void test_random_events_always_converge(void **state)
{
	unsigned long seed = from_env("IDFW_SEED", (unsigned long)time(NULL) & 0xffffff),
		      steps = from_env("IDFW_STEPS", 6000);
	struct model m = { .d = { seed * 0x9e3779b97f4a7c15ULL + 1 } };
	const char *wrong = NULL;

	(void)state;
	printf("IDFW_SEED=%lu\n", seed);
	world_init(&m.w);
	m.w.quiet = true;
	for (size_t i = 0; i < N_VMS; i++) {
		snprintf(m.g[i].name, sizeof(m.g[i].name), "vm%zu", i);
		m.g[i].boot = (uint8_t)(i + 1);
		m.g[i].addrs = 3;
	}
	assert_int_equal(world_policy(&m.w, policies[0]), 0);
	for (unsigned long i = 0; i < steps && !wrong; i++) {
		one_step(&m);
		wrong = world_settle(&m.w);
		if (wrong)
			fail_msg("step %lu: %s (IDFW_SEED=%lu)", i, wrong, seed);
	}
	/* everything calm and connected: all kernels must be where they should */
	m.w.no_ack = m.w.push_full = false;
	for (size_t i = 0; i < N_VMS; i++) {
		idfw_engine_clock(m.w.e, m.w.mono_ms, m.w.real_ms);
		do_connect(&m, &m.g[i], false);
	}
	for (int i = 0; i < 4; i++) {
		m.w.mono_ms += 40000;
		wrong = world_settle(&m.w);
		assert_null(wrong);
	}
	for (size_t i = 0; i < N_VMS; i++) {
		struct idfw_vm *vm = idfw_engine_vm(m.w.e, m.g[i].name);

		assert_int_equal(vm->have_version, vm->want_version);
		assert_int_equal(vm->have_generation, m.w.generation);
		assert_int_equal(vm->n_sessions, m.g[i].n_sessions);
	}
	world_fini(&m.w);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_random_events_always_converge) };

	gi_log_init("test", 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
