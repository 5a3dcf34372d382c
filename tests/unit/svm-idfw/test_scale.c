/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_scale.c - a hundred thousand sessions: memory a session, what a login costs
 *
 * The engine alone, with guests that acknowledge at once. The promise is less than 1 KiB a session;
 * times are printed, not judged (machines differ). With a sanitizer malloc_usable sizes mean
 * nothing: then only the work is done.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <malloc.h>
#include <cmocka.h>
#include "svm-idfw/core.h"

#define N_SESSIONS 100000u
#define N_VMS 100u
#define N_BEAT_VMS 1000u /* IDFW_BEAT_VMS=10000: the number of docs/performance.md */
#define BEAT_SECONDS 60u
#define N_GROUPS 20 /* of the directory, each user */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

struct sink {
	struct idfw_engine *e;
	struct {
		struct idfw_vm *vm;
		uint64_t generation, version;
	} acks[4096];
	size_t n_acks;
	uint64_t ready, deltas, ops, leases, lease_bytes;
	bool cgroups; /* each session has one of its own */
	struct gi_buf wire;
};

static void ack_later(struct sink *k, struct idfw_vm *vm, uint64_t generation, uint64_t version)
{
	assert_true(k->n_acks < GI_ARRAY_SIZE(k->acks));
	k->acks[k->n_acks].vm = vm;
	k->acks[k->n_acks].generation = generation;
	k->acks[k->n_acks++].version = version;
}

static int out_state(void *arg, struct idfw_vm *vm, const struct fw_state *s)
{
	ack_later(arg, vm, fw_state_ruleset(s)->generation, fw_state_version(s));
	return 0;
}

static int out_delta(void *arg, struct idfw_vm *vm, const struct fw_delta *d)
{
	struct sink *k = arg;

	k->deltas++;
	k->ops += d->n_ops;
	ack_later(k, vm, d->generation, d->version);
	return 0;
}

static void out_send(void *arg, struct idfw_vm *vm, const Idfw__Envelope *e)
{
	struct sink *k = arg;
	Idfw__Routed r;

	if (e->body_case == IDFW__ENVELOPE__BODY_LEASE) {
		idfw__routed__init(&r);
		gi_buf_reset(&k->wire);
		assert_int_equal(wire_envelope_encode(e, &k->wire), 0);
		r.vm = vm->name;
		r.body_case = IDFW__ROUTED__BODY_ENVELOPE;
		r.envelope.data = k->wire.data;
		r.envelope.len = k->wire.len;
		k->leases++;
		k->lease_bytes += 4 + idfw__routed__get_packed_size(&r);
	}
	k->ready += e->body_case == IDFW__ENVELOPE__BODY_SESSION_READY;
}

static void out_close(void *arg, struct idfw_vm *vm, const char *why)
{
	(void)arg;
	fail_msg("%s was closed: %s", vm->name, why);
}

static int out_lookup(void *arg, struct idfw_principal *p)
{
	(void)arg;
	(void)p;
	return 0;
}

static int out_store(void *arg, const struct idfw_record *r)
{
	(void)arg;
	(void)r;
	return 0;
}

static void say(struct sink *k, struct idfw_vm *vm, const Idfw__Envelope *e)
{
	const char *why = "";

	assert_int_equal(idfw_engine_guest_message(k->e, vm, e, &why), 0);
}

static void settle(struct sink *k)
{
	idfw_engine_flush(k->e);
	while (k->n_acks) {
		Idfw__Applied ap = IDFW__APPLIED__INIT;
		Idfw__Envelope env = IDFW__ENVELOPE__INIT;
		size_t i = --k->n_acks;

		ap.generation = k->acks[i].generation;
		ap.version = k->acks[i].version;
		env.body_case = IDFW__ENVELOPE__BODY_APPLIED;
		env.applied = &ap;
		say(k, k->acks[i].vm, &env);
		if (!k->n_acks)
			idfw_engine_flush(k->e);
	}
}

static const char policy_text[] =
	"default in drop; default out drop;\n"
	"group eng { directory \"group-3\"; on-loss close; } group ops { directory "
	"\"group-5\"; } group db { vm vm0; }\n"
	"section application { rule a allow from eng to db service ssh; "
	"rule b allow from ops to any; }\n";

static void start(struct sink *k)
{
	struct idfw_engine_conf conf = {
		.min_uid = 1000, .ready_timeout_ms = 2000, .seed = { 1, 2 }
	};
	struct idfw_out out = { .arg = k,
		.send = out_send,
		.send_state = out_state,
		.send_delta = out_delta,
		.close_guest = out_close,
		.lookup = out_lookup,
		.store = out_store };
	struct pol_policy *p;
	struct conf_diags diags;

	gi_buf_init(&k->wire, WIRE_FRAME_MAX);
	assert_int_equal(idfw_engine_new(&conf, &out, &k->e), 0);
	idfw_engine_clock(k->e, 1, 1700000000000);
	conf_diags_init(&diags, "policy", policy_text, strlen(policy_text));
	assert_int_equal(pol_parse(policy_text, strlen(policy_text), &diags, &p), 0);
	conf_diags_fini(&diags);
	assert_int_equal(idfw_engine_policy(k->e, p, 1), 0);
}

static void connect_vm(struct sink *k, unsigned int i)
{
	uint8_t boot[16] = { 1 }, addr[4] = { 10, (uint8_t)(i >> 8), (uint8_t)i, 1 };
	ProtobufCBinaryData data = { sizeof(addr), addr };
	Idfw__VmUp up = IDFW__VM_UP__INIT;
	Idfw__Hello h = IDFW__HELLO__INIT;
	Idfw__Addresses addrs = IDFW__ADDRESSES__INIT;
	Idfw__Snapshot snap = IDFW__SNAPSHOT__INIT;
	Idfw__Marks marks = IDFW__MARKS__INIT;
	Idfw__Envelope env = IDFW__ENVELOPE__INIT;
	struct idfw_vm *vm;
	char name[16];

	snprintf(name, sizeof(name), "vm%u", i);
	assert_int_equal(idfw_engine_guest_up(k->e, name, "host1", &up, &vm), 0);
	h.version_min = h.version_max = 1;
	h.boot_id.data = boot;
	h.boot_id.len = sizeof(boot);
	env.body_case = IDFW__ENVELOPE__BODY_HELLO;
	env.hello = &h;
	say(k, vm, &env);
	addrs.addr = &data;
	addrs.n_addr = 1;
	snap.first = snap.last = marks.first = marks.last = true;
	snap.addresses = &addrs;
	env.body_case = IDFW__ENVELOPE__BODY_SNAPSHOT;
	env.snapshot = &snap;
	say(k, vm, &env);
	env.body_case = IDFW__ENVELOPE__BODY_MARKS;
	env.marks = &marks;
	say(k, vm, &env);
	settle(k);
}

/* the n-th session of a VM */
static void login_on(
	struct sink *k, unsigned int vm, unsigned int n, unsigned int who, unsigned int users)
{
	static char sshd[] = "sshd";
	char name[16], user[24], tty[16], rhost[24], auth[] = "publickey";
	Idfw__Session s = IDFW__SESSION__INIT;
	Idfw__SessionOpen open = IDFW__SESSION_OPEN__INIT;
	Idfw__Event ev = IDFW__EVENT__INIT;
	Idfw__Envelope env = IDFW__ENVELOPE__INIT;

	snprintf(name, sizeof(name), "vm%u", vm);
	snprintf(user, sizeof(user), "user%05u", who % users);
	snprintf(tty, sizeof(tty), "pts/%u", n);
	snprintf(rhost, sizeof(rhost), "10.9.%u.%u", n % 200, n % 250);
	s.id = n + 1;
	s.user = user;
	s.uid = 10000 + who % users;
	s.cgroup = k->cgroups ? n + 1 : 0;
	s.service = sshd;
	s.tty = tty;
	s.rhost = rhost;
	s.auth = auth;
	open.session = &s;
	ev.seq = n + 1;
	ev.body_case = IDFW__EVENT__BODY_OPEN;
	ev.open = &open;
	env.body_case = IDFW__ENVELOPE__BODY_EVENT;
	env.event = &ev;
	say(k, idfw_engine_vm(k->e, name), &env);
}

static void login(struct sink *k, unsigned int n, unsigned int users)
{
	login_on(k, n % N_VMS, n / N_VMS, n, users);
}

static void answer(struct sink *k, unsigned int u)
{
	char names[N_GROUPS][24], dns[N_GROUPS][64], sids[N_GROUPS][48], key[24], upn[48], dn[64],
		sid[64];
	struct idfw_group groups[N_GROUPS];
	struct idfw_principal p = { .presence = IDFW_P_FOUND,
		.name = key,
		.upn = upn,
		.dn = dn,
		.sid = sid,
		.groups = groups,
		.n_groups = N_GROUPS };

	snprintf(key, sizeof(key), "user%05u", u);
	snprintf(upn, sizeof(upn), "user%05u@corp.example", u);
	snprintf(dn, sizeof(dn), "CN=user%05u,OU=People,DC=corp,DC=example", u);
	snprintf(sid, sizeof(sid), "S-1-5-21-1111111111-2222222222-3333333333-%u", u);
	for (unsigned int i = 0; i < N_GROUPS; i++) {
		unsigned int g = (u * 7 + i * 13) % 500;

		snprintf(names[i], sizeof(names[i]), "group-%u", i ? g : 3);
		snprintf(dns[i], sizeof(dns[i]), "CN=group-%u,OU=Groups,DC=corp,DC=example", g);
		snprintf(sids[i], sizeof(sids[i]), "S-1-5-21-1111111111-2222222222-3333333333-9%u",
			g);
		groups[i] = (struct idfw_group){ names[i], dns[i], sids[i], (char *)"corp",
			{ (uint8_t)(g + 1), (uint8_t)((g + 1) >> 8) } };
	}
	idfw_engine_principal(k->e, key, &p);
}

static double now(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static size_t heap(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

static void run(unsigned int users, bool cgroups, size_t limit)
{
	struct sink *k = calloc(1, sizeof(*k));
	struct idfw_stats st;
	size_t before, bytes;
	double t;

	assert_non_null(k);
	k->cgroups = cgroups;
	start(k);
	for (unsigned int i = 0; i < N_VMS; i++)
		connect_vm(k, i);
	before = heap();
	t = now();
	for (unsigned int n = 0; n < N_SESSIONS; n++) {
		login(k, n, users);
		if (n < users)
			answer(k, n);
		if (n % 8 == 7)
			settle(k);
	}
	settle(k);
	t = now() - t;
	bytes = (heap() - before) / N_SESSIONS;
	idfw_engine_stats(k->e, &st);
	assert_int_equal(st.sessions, N_SESSIONS);
	assert_int_equal(st.principals, users);
	assert_int_equal(k->ready, N_SESSIONS);
	printf("{\"bench\":\"engine\",\"sessions\":%u,\"cgroups\":%d,\"users\":%u,\"bytes_a_"
	       "session\":%zu,"
	       "\"logins_a_second\":%.0f,"
	       "\"deltas\":%llu,\"ops\":%llu}\n",
		N_SESSIONS, cgroups, users, bytes, N_SESSIONS / t, (unsigned long long)k->deltas,
		(unsigned long long)k->ops);
	if (!SANITIZED)
		assert_true(bytes < limit);
	t = now();
	idfw_engine_free(k->e);
	gi_buf_fini(&k->wire);
	printf("  freed in %.0f ms\n", (now() - t) * 1000);
	free(k);
}

static void test_sessions_of_ten_thousand_users_cost_less_than_1_kib_each(void **state)
{
	(void)state;
	run(10000, false, 1024);
}

static void test_sessions_with_cgroups_cost_less_than_1_kib_each(void **state)
{
	(void)state;
	run(10000, true, 1024);
}

/* one session in a group with `close` on each VM: 10 s, so a heartbeat each 2 s */
static void test_heartbeats_of_many_vms(void **state)
{
	const char *env = getenv("IDFW_BEAT_VMS");
	unsigned int vms = env ? (unsigned int)strtoul(env, NULL, 10) : N_BEAT_VMS;
	struct sink *k = calloc(1, sizeof(*k));
	clock_t cpu;

	(void)state;
	assert_non_null(k);
	start(k);
	for (unsigned int i = 0; i < vms; i++)
		connect_vm(k, i);
	for (unsigned int i = 0; i < vms; i++) {
		login_on(k, i, 0, 0, 10000);
		if (!i)
			answer(k, 0);
		settle(k);
	}
	assert_int_equal(k->ready, vms);
	k->leases = k->lease_bytes = 0;
	cpu = clock();
	for (uint64_t ms = 1000; ms <= BEAT_SECONDS * 1000; ms += 1000) {
		idfw_engine_clock(k->e, 10000 + ms, 1700000000000 + ms);
		(void)idfw_engine_tick(k->e);
		idfw_engine_flush(k->e);
	}
	cpu = clock() - cpu;
	assert_in_range(k->leases, (BEAT_SECONDS / 2 - 1) * vms, (BEAT_SECONDS / 2 + 1) * vms);
	printf("{\"bench\":\"heartbeats\",\"vms\":%u,\"lease_s\":10,\"a_second\":%.0f,"
	       "\"bytes_a_second\":%.0f,\"engine_cpu_percent\":%.2f}\n",
		vms, (double)k->leases / BEAT_SECONDS, (double)k->lease_bytes / BEAT_SECONDS,
		(double)cpu / CLOCKS_PER_SEC / BEAT_SECONDS * 100);
	idfw_engine_free(k->e);
	gi_buf_fini(&k->wire);
	free(k);
}

static void test_sessions_of_as_many_users_cost_less_than_2_kib_each(void **state)
{
	(void)state;
	run(N_SESSIONS, false, 2048); /* the account and its twenty groups included */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sessions_of_ten_thousand_users_cost_less_than_1_kib_each),
		cmocka_unit_test(test_sessions_with_cgroups_cost_less_than_1_kib_each),
		cmocka_unit_test(test_heartbeats_of_many_vms),
		cmocka_unit_test(test_sessions_of_as_many_users_cost_less_than_2_kib_each),
	};

	gi_log_init("test", 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
