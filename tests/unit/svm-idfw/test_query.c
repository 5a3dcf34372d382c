/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_query.c - what svm-idfw answers about isolation and watched files, without sockets
 *
 * A query of each verb against an engine in a fake world and a real database; test_ctl.c has the
 * connections and the other verbs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "svm-idfw/query.h"
#include "tests/unit/svm-idfw/world.h"

#define POLICY                                                                  \
	"default in drop; default out drop; group eng { directory \"eng\"; }\n" \
	"group db { vm db01; }\n"                                               \
	"section application { rule eng-db allow from eng to db; }\n"

struct fix {
	struct world w;
	struct io_loop *loop;
	struct idfw_store *store;
	char dir[64], db[96], why[256];
	struct query_env env;
	char rows[16384];
	uint64_t durable;
	unsigned int rounds;
	uint32_t status;
	char said[256];
};

static void on_durable(void *arg, const char *vm, const uint8_t boot_id[16], uint64_t seq)
{
	(void)vm;
	(void)boot_id;
	((struct fix *)arg)->durable = seq;
}

static void on_state(void *arg, int err, const char *why)
{
	(void)arg;
	(void)err;
	(void)why;
}

static void op_round(void *arg)
{
	((struct fix *)arg)->rounds++;
}

static void op_links(void *arg, void (*cb)(void *cb_arg, const char *json_row), void *cb_arg)
{
	(void)arg;
	cb(cb_arg, "{\"type\":\"scan\",\"name\":\"scan1\"}");
}

static const struct idfw_store_ops store_ops = { .durable = on_durable, .state = on_state };
static const struct idfw_ctl_ops ctl_ops = { .round = op_round, .links = op_links };

static void login(struct fix *f, uint64_t seq, const char *user, uint32_t uid)
{
	Idfw__Session s = IDFW__SESSION__INIT;
	Idfw__SessionOpen open = IDFW__SESSION_OPEN__INIT;
	Idfw__Event ev = IDFW__EVENT__INIT;
	Idfw__Envelope env = IDFW__ENVELOPE__INIT;

	s.id = seq;
	s.user = (char *)(uintptr_t)user;
	s.uid = uid;
	s.service = (char *)(uintptr_t) "sshd";
	open.session = &s;
	ev.seq = seq;
	ev.body_case = IDFW__EVENT__BODY_OPEN;
	ev.open = &open;
	env.body_case = IDFW__ENVELOPE__BODY_EVENT;
	env.event = &ev;
	assert_int_equal(world_say(&f->w, "jump01", &env), 0);
	assert_null(world_settle(&f->w));
}

/* the end of jump01's greeting: what it has, and its kernel's marks */
static void greeted(struct fix *f)
{
	Idfw__Session s[2] = { IDFW__SESSION__INIT, IDFW__SESSION__INIT },
		      *list[2] = { &s[0], &s[1] };
	Idfw__Snapshot snap = IDFW__SNAPSHOT__INIT;
	Idfw__Addresses addrs = IDFW__ADDRESSES__INIT;
	Idfw__Envelope env = IDFW__ENVELOPE__INIT;

	for (size_t i = 0; i < 2; i++) {
		s[i].id = i + 1;
		s[i].user = (char *)(uintptr_t)(i ? "root" : "alice");
		s[i].uid = i ? 0 : 5001;
		s[i].service = (char *)(uintptr_t) "sshd";
	}
	snap.seq = 2;
	snap.first = snap.last = true;
	snap.session = list;
	snap.n_session = 2;
	snap.addresses = &addrs;
	env.body_case = IDFW__ENVELOPE__BODY_SNAPSHOT;
	env.snapshot = &snap;
	assert_int_equal(world_say(&f->w, "jump01", &env), 0);
	assert_int_equal(world_marks(&f->w, "jump01"), 0);
	assert_null(world_settle(&f->w));
}

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	(void)snprintf(f->dir, sizeof(f->dir), "/tmp/idfw-query-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	(void)snprintf(f->db, sizeof(f->db), "%s/db", f->dir);
	assert_int_equal(io_loop_new(&f->loop), 0);
	world_init(&f->w);
	f->w.spared = "dc1";
	assert_int_equal(world_restart(&f->w, false), 0);
	assert_int_equal(world_policy(&f->w, POLICY), 0);
	assert_int_equal(world_up(&f->w, "jump01", NULL, 0, NULL), 0);
	assert_int_equal(world_hello(&f->w, "jump01", 1, 1), 0);
	assert_int_equal(world_up(&f->w, "dc1", NULL, 0, NULL), 0);
	assert_int_equal(idfw_store_open(f->loop, f->db, &store_ops, f, f->why, &f->store), 0);
	f->env = (struct query_env){
		.engine = f->w.e, .store = f->store, .ops = &ctl_ops, .arg = f, .started_ms = 1
	};
	login(f, 1, "alice", 5001);
	login(f, 2, "root", 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	static const char *const ends[] = { "", "-wal", "-shm" };
	struct fix *f = *state;
	char path[128];

	idfw_store_close(f->store);
	world_fini(&f->w);
	io_loop_free(f->loop);
	for (size_t i = 0; i < GI_ARRAY_SIZE(ends); i++) {
		(void)snprintf(path, sizeof(path), "%s%s", f->db, ends[i]);
		(void)unlink(path);
	}
	assert_int_equal(rmdir(f->dir), 0);
	free(f);
	return 0;
}

static bool on_row(void *arg, const char *json)
{
	struct fix *f = arg;
	size_t at = strlen(f->rows);

	assert_true(at + strlen(json) + 2 < sizeof(f->rows));
	(void)snprintf(f->rows + at, sizeof(f->rows) - at, "%s\n", json);
	return true;
}

static bool on_text(void *arg, const void *data, size_t len)
{
	(void)arg;
	(void)data;
	(void)len;
	return true;
}

/* the status; rows and words are in @f */
static uint32_t ask(struct fix *f, const char *verb, const char *a, const char *b)
{
	const struct query_out out = { .row = on_row, .text = on_text, .arg = f };
	char *args[2] = { (char *)(uintptr_t)a, (char *)(uintptr_t)b };
	Idfw__CtlRequest r = IDFW__CTL_REQUEST__INIT;
	struct query *q = NULL;

	r.verb = (char *)(uintptr_t)verb;
	r.arg = args;
	r.n_arg = a ? b ? 2 : 1 : 0;
	f->rows[0] = '\0';
	assert_int_equal(query_new(&f->env, &r, "", 0, "root", &q), 0);
	while (!query_step(q, &out))
		;
	f->status = query_status(q);
	(void)snprintf(f->said, sizeof(f->said), "%s", query_why(q));
	query_free(q);
	assert_null(world_settle(&f->w));
	return f->status;
}

#define HAS(f, words) assert_non_null(strstr((f)->rows, words))
#define HAS_NOT(f, words) assert_null(strstr((f)->rows, words))
#define SAID(f, words) assert_non_null(strstr((f)->said, words))

static void test_isolate_a_session_and_release_it(void **state)
{
	struct fix *f = *state;

	assert_int_equal(ask(f, "isolate", "1", "because \"x\""), 0);
	assert_int_equal(f->rounds, 1);
	HAS(f, "{\"type\":\"isolation\",\"vm\":\"jump01\",\"what\":\"session\",\"user\":\"alice\","
	       "\"uid\":5001,\"session\":1,");
	HAS(f, "\"sessions\":1,\"automatic\":false,\"recorded\":true,\"by\":\"root\","
	       "\"why\":\"because \\\"x\\\"\"}");
	assert_int_equal(ask(f, "who", NULL, NULL), 0);
	HAS(f, "\"user\":\"alice\"");
	HAS(f, "\"isolated\":\"session\"");
	HAS(f, "\"isolated\":null"); /* root */
	(void)ask(f, "status", NULL, NULL);
	HAS(f, "\"isolated_sessions\":1,\"isolated_vms\":0,");
	HAS(f, "{\"type\":\"scan\",\"name\":\"scan1\"}");
	HAS(f, "{\"type\":\"isolation\",\"vm\":\"jump01\",\"what\":\"session\"");
	assert_int_equal(ask(f, "isolate", "1", NULL), 1);
	SAID(f, "session 1 has lost its network already");
	assert_int_equal(ask(f, "release", "1", "clean"), 0);
	HAS(f, "\"why\":\"because \\\"x\\\"\"");
	assert_int_equal(ask(f, "release", "1", NULL), 4);
	SAID(f, "session 1 is not isolated");
}

static void test_isolate_a_vm(void **state)
{
	struct fix *f = *state;

	assert_int_equal(ask(f, "isolate", "vm=jump01", NULL), 0);
	HAS(f, "\"what\":\"vm\",\"user\":\"\",\"uid\":null,\"session\":null,");
	HAS(f, "\"sessions\":2,");
	assert_int_equal(ask(f, "who", "root", NULL), 0);
	HAS(f, "\"isolated\":\"vm\"");
	(void)ask(f, "status", NULL, NULL);
	HAS(f, "\"isolated_sessions\":0,\"isolated_vms\":1,");
	HAS(f, "\"vm\":\"jump01\",\"connected\":true");
	HAS(f, "\"isolated\":true,\"alarms\":[],\"directory\":\"\"}");
	assert_int_equal(ask(f, "release", "vm=jump01", NULL), 0);
	assert_int_equal(ask(f, "release", "vm=jump01", NULL), 4);
	assert_int_equal(ask(f, "release", "vm=nosuch", NULL), 4);
}

static void test_status_names_the_limits_that_count(void **state)
{
	static const struct idfw_limits own[] = { { "jump01", 7, 0, "lab" } };
	struct fix *f = *state;

	idfw_engine_limits(f->w.e, 4096, 500, own, 1);
	(void)ask(f, "status", NULL, NULL);
	HAS(f, "\"limits\":{\"sessions\":7,\"events\":500,\"own_sessions\":true,"
	       "\"own_events\":false},\"isolated\":false");
	HAS(f, "\"alarms\":[],\"directory\":\"lab\"}");
	HAS(f, "\"limits\":{\"sessions\":4096,\"events\":500,\"own_sessions\":false,"
	       "\"own_events\":false}"); /* dc1 */
	idfw_engine_limits(f->w.e, 4096, 500, NULL, 0);
	(void)ask(f, "status", NULL, NULL);
	HAS_NOT(f, "\"own_sessions\":true");
}

#define LEASES                                                                               \
	"default in drop; default out drop; on-loss hold 60s; on-revoke drain 30s;\n"        \
	"group eng { directory \"eng\"; on-loss close; } group ops { directory \"ops\"; }\n" \
	"group bad { directory \"bad\"; } group db { vm db01; }\n"                           \
	"section emergency { rule bad drop from bad to db service tcp 9; }\n"                \
	"section application { rule a allow from eng to db; rule b allow from ops to db; }\n"

static void found_as(
	struct fix *f, const char *const *names, size_t n, const struct idfw_account *account)
{
	static char empty[] = "", alice[] = "alice";
	struct idfw_group groups[4] = { 0 };
	struct idfw_principal p = { .presence = IDFW_P_FOUND,
		.name = alice,
		.upn = empty,
		.sid = empty,
		.dn = empty,
		.account = *account,
		.groups = groups,
		.n_groups = n };

	for (size_t i = 0; i < n; i++)
		groups[i] = (struct idfw_group){
			.name = (char *)(uintptr_t)names[i], .dn = empty, .sid = empty
		};
	idfw_engine_directory_changed(f->w.e, &(struct idfw_changes){ .all = true });
	idfw_engine_principal(f->w.e, "alice", &p);
	assert_null(world_settle(&f->w));
}

static void found(struct fix *f, const char *const *names, size_t n)
{
	const struct idfw_account well = { .state = 0 };

	found_as(f, names, n, &well);
}

static void pass(struct fix *f, uint64_t ms)
{
	f->w.mono_ms += ms;
	f->w.real_ms += ms;
	idfw_engine_clock(f->w.e, f->w.mono_ms, f->w.real_ms);
	assert_null(world_settle(&f->w));
}

static void test_explain_says_what_is_open_until_when(void **state)
{
	static const char *const groups[] = { "eng", "ops", "bad" };
	struct fix *f = *state;
	char text[96];

	assert_int_equal(world_policy(&f->w, LEASES), 0);
	idfw_engine_directory_state(f->w.e, "", true, "");
	assert_int_equal(ask(f, "explain", "1", NULL), 0);
	HAS(f, "\"closed\":\"the directory is being asked\"");
	(void)ask(f, "explain", "2", NULL);
	HAS(f, "\"closed\":\"a system user\"");
	HAS(f, "\"opens\":[],");
	found(f, groups, 3);
	/* not all of its greeting has come: heartbeats have not begun */
	greeted(f);
	(void)ask(f, "explain", "1", NULL);
	HAS(f, "\"closed\":\"\",\"beat_ms\":null");
	HAS(f, "{\"group\":\"eng\",\"lease_s\":10,\"step\":0,\"ends_ms\":null,\"ended\":false,"
	       "\"forbids\":false,\"lost\":false,\"by\":[\"directory eng\"]}");
	HAS(f, "{\"group\":\"ops\",\"lease_s\":60,\"step\":1,\"ends_ms\":null");
	HAS(f, "{\"group\":\"bad\",\"lease_s\":60,\"step\":1,\"ends_ms\":null,\"ended\":false,"
	       "\"forbids\":true");
	HAS(f, "\"drains_ms\":[]");
	/* away: each group ends with its lease */
	idfw_engine_guest_down(f->w.e, idfw_engine_vm(f->w.e, "jump01"), "test");
	assert_null(world_settle(&f->w));
	(void)snprintf(text, sizeof(text), "\"beat_ms\":%llu", (unsigned long long)f->w.real_ms);
	(void)ask(f, "explain", "1", NULL);
	HAS(f, text);
	(void)snprintf(text, sizeof(text), "\"step\":0,\"ends_ms\":%llu,\"ended\":false",
		(unsigned long long)f->w.real_ms + 10000);
	HAS(f, text);
	(void)snprintf(text, sizeof(text), "\"step\":1,\"ends_ms\":%llu,\"ended\":false",
		(unsigned long long)f->w.real_ms + 60000);
	HAS(f, text);
	pass(f, 11000);
	(void)ask(f, "explain", "1", NULL);
	(void)snprintf(text, sizeof(text), "\"step\":0,\"ends_ms\":%llu,\"ended\":true",
		(unsigned long long)f->w.real_ms - 1000);
	HAS(f, text);
	HAS(f, "\"ended\":true,\"forbids\":false,\"lost\":true,");
	HAS(f, "\"ended\":false,\"forbids\":false,\"lost\":false,"); /* ops */
	assert_int_equal(ask(f, "explain", "99", NULL), 4);
	SAID(f, "no live session 99");
	assert_int_equal(ask(f, "explain", "x", NULL), 2);
}

static void test_explain_knows_a_vm_that_does_not_apply(void **state)
{
	static const char *const groups[] = { "eng", "ops" };
	struct fix *f = *state;
	char text[96];

	f->w.push_deadline_ms = 10000;
	assert_int_equal(world_restart(&f->w, false), 0);
	f->env.engine = f->w.e;
	assert_int_equal(world_policy(&f->w, LEASES), 0);
	idfw_engine_directory_state(f->w.e, "", true, "");
	/* its connection is closed once; what follows is the one after that */
	f->w.no_ack = true;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(world_up(&f->w, "jump01", NULL, 0, NULL), 0);
		assert_int_equal(world_hello(&f->w, "jump01", 1, 1), 0);
		greeted(f);
		found(f, groups, 2);
		pass(f, 10000);
	}
	assert_true(idfw_engine_vm(f->w.e, "jump01")->connected);
	(void)snprintf(text, sizeof(text), "\"beat_ms\":%llu", (unsigned long long)f->w.real_ms);
	(void)ask(f, "explain", "1", NULL);
	HAS(f, text);
	(void)snprintf(text, sizeof(text), "\"step\":0,\"ends_ms\":%llu,\"ended\":true",
		(unsigned long long)f->w.real_ms + 10000);
	pass(f, 10000);
	(void)ask(f, "explain", "1", NULL);
	HAS(f, text);
	f->w.no_ack = false;
	pass(f, 1000);
	(void)ask(f, "explain", "1", NULL);
	HAS(f, "\"beat_ms\":null");
	HAS_NOT(f, "\"ended\":true");
}

static void test_explain_tells_drains(void **state)
{
	static const char *const groups[] = { "eng", "ops" };
	struct fix *f = *state;
	char text[96];

	assert_int_equal(world_policy(&f->w, LEASES), 0);
	idfw_engine_directory_state(f->w.e, "", true, "");
	greeted(f);
	found(f, groups, 2);
	found(f, groups, 1);
	(void)ask(f, "explain", "1", NULL);
	(void)snprintf(text, sizeof(text), "\"drains_ms\":[%llu",
		(unsigned long long)f->w.real_ms + 30000);
	HAS(f, text);
	HAS_NOT(f, "\"group\":\"ops\"");
	pass(f, 30000);
	(void)ask(f, "explain", "1", NULL);
	HAS(f, "\"drains_ms\":[]");
	assert_int_equal(ask(f, "isolate", "1", NULL), 0);
	(void)ask(f, "explain", "1", NULL);
	HAS(f, "\"closed\":\"it is isolated\"");
	HAS(f, "\"opens\":[],");
}

static void test_account_its_state_and_age_are_told(void **state)
{
	static const char *const groups[] = { "eng" };
	struct fix *f = *state;
	struct idfw_account a = { .state = IDFW_ACCT_DISABLED | IDFW_ACCT_MUST_CHANGE,
		.revokes = IDFW_ACCT_DISABLED,
		.expires_ms = UINT64_C(1893456000000) };
	char text[96];

	assert_int_equal(world_policy(&f->w, LEASES), 0);
	idfw_engine_directory_state(f->w.e, "", true, "");
	found_as(f, groups, 1, &a);
	(void)ask(f, "who", "alice", NULL);
	HAS(f, "\"groups\":[]");
	HAS(f, "\"account\":\"disabled,must-change\",\"account_why\":\"account alice is disabled "
	       "in "
	       "the directory, and must change its password\",\"account_revoked\":true,"
	       "\"expires_ms\":1893456000000,\"as_of_ms\":");
	HAS(f, "\"age_s\":0");
	(void)ask(f, "explain", "1", NULL);
	HAS(f, "\"closed\":\"account alice is disabled in the directory, and must");
	(void)ask(f, "status", NULL, NULL);
	HAS(f, "\"accounts_unconfirmed\":0,\"accounts_oldest_ms\":0,\"accounts_old\":0,"
	       "\"accounts_revoked\":1");
	found(f, groups, 1);
	(void)ask(f, "who", "alice", NULL);
	HAS(f, "\"account\":\"\",\"account_why\":\"\",\"account_revoked\":false,\"expires_ms\":"
	       "null");
	/* the directory goes: as of then, however long ago */
	(void)snprintf(text, sizeof(text), "\"as_of_ms\":%llu,\"age_s\":86399",
		(unsigned long long)f->w.real_ms);
	idfw_engine_directory_state(f->w.e, "", false, "gone");
	pass(f, 86399000);
	(void)ask(f, "who", "alice", NULL);
	HAS(f, text);
	(void)ask(f, "explain", "1", NULL);
	HAS(f, text);
	(void)ask(f, "status", NULL, NULL);
	HAS(f, "\"accounts_unconfirmed\":1,\"accounts_oldest_ms\":86399000,\"accounts_old\":0");
	pass(f, 1000);
	(void)ask(f, "status", NULL, NULL);
	HAS(f, "\"accounts_old\":1");
	/* a system user is nobody of the directory */
	(void)ask(f, "who", "root", NULL);
	HAS(f, "\"expires_ms\":null,\"as_of_ms\":null,\"age_s\":0");
}

static void test_isolate_what_cannot_be(void **state)
{
	struct fix *f = *state;

	assert_int_equal(ask(f, "isolate", "99", NULL), 4);
	SAID(f, "no live session 99");
	assert_int_equal(ask(f, "isolate", "vm=nosuch", NULL), 4);
	SAID(f, "no VM \"nosuch\"");
	assert_int_equal(ask(f, "isolate", "vm=dc1", NULL), 1);
	SAID(f, "VM dc1 is in never-isolate");
	assert_int_equal(ask(f, "isolate", "2", NULL), 1);
	SAID(f, "system user");
	assert_int_equal(ask(f, "isolate", "alice", NULL), 2);
	assert_int_equal(ask(f, "isolate", NULL, NULL), 2);
	assert_int_equal(ask(f, "release", "x", NULL), 2);
	/* a full database: an operator's word counts, and it is said */
	f->w.store_full = true;
	assert_int_equal(ask(f, "isolate", "1", NULL), 0);
	HAS(f, "\"recorded\":false");
	assert_int_equal(ask(f, "release", "1", NULL), 1);
	SAID(f, "takes no records now");
}

static void test_offline_vm_is_not_in_sync(void **state)
{
	struct fix *f = *state;

	(void)ask(f, "status", NULL, NULL);
	HAS(f, "\"in_sync\":true");
	idfw_engine_guest_down(f->w.e, idfw_engine_vm(f->w.e, "jump01"), "test");
	idfw_engine_guest_down(f->w.e, idfw_engine_vm(f->w.e, "dc1"), "test");
	(void)ask(f, "status", NULL, NULL);
	HAS(f, "\"in_sync\":null");
	HAS_NOT(f, "\"in_sync\":true");
}

static void put(struct fix *f, enum idfw_record_kind kind, uint64_t seq, const char *detail)
{
	static const uint8_t boot[16] = { 1 };
	struct idfw_record r = { .kind = kind,
		.time_ms = seq,
		.vm = "jump01",
		.boot_id = boot,
		.seq = seq,
		.detail = detail };

	assert_int_equal(idfw_store_put(f->store, &r), 0);
}

static void test_fim_and_audit_by_kind(void **state)
{
	struct fix *f = *state;
	uint64_t until = io_clock_mono_ms() + 20000;

	put(f, IDFW_REC_FIM, 1, "{\"rule\":\"etc\",\"path\":\"/etc/passwd\"}");
	put(f, IDFW_REC_FIM, 2, "{\"rule\":\"bin\",\"path\":\"/usr/bin/x\"}");
	put(f, IDFW_REC_SCAN, 3, "{\"path\":\"/etc/eicar\"}");
	while (f->durable != 3 && io_clock_mono_ms() < until)
		io_loop_run_once(f->loop, 100);
	assert_int_equal(ask(f, "fim", NULL, NULL), 0);
	HAS(f, "/etc/passwd");
	HAS(f, "/usr/bin/x");
	HAS_NOT(f, "eicar");
	assert_int_equal(ask(f, "fim", "path=/etc", "rule=etc"), 0);
	HAS(f, "/etc/passwd");
	HAS_NOT(f, "/usr/bin/x");
	assert_int_equal(ask(f, "fim", "rule=none", NULL), 1);
	assert_int_equal(ask(f, "audit", "kind=scan", NULL), 0);
	HAS(f, "eicar");
	HAS_NOT(f, "passwd");
	assert_int_equal(ask(f, "audit", "path=/etc", NULL), 2);
	SAID(f, "kind=K");
	assert_int_equal(ask(f, "fim", "kind=scan", NULL), 2);
	SAID(f, "path=PREFIX, rule=R");
	assert_int_equal(ask(f, "last", "kind=scan", NULL), 2);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_isolate_a_session_and_release_it),
		T(test_isolate_a_vm),
		T(test_status_names_the_limits_that_count),
		T(test_explain_says_what_is_open_until_when),
		T(test_explain_knows_a_vm_that_does_not_apply),
		T(test_explain_tells_drains),
		T(test_account_its_state_and_age_are_told),
		T(test_isolate_what_cannot_be),
		T(test_offline_vm_is_not_in_sync),
		T(test_fim_and_audit_by_kind),
	};

	gi_log_init("test", 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
