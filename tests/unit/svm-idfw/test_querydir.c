/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_querydir.c - what svm-idfw answers about directories, with children that do as told
 *
 * This program is its own directory child, as svm-idfw is; the server's name says what it does:
 * answers well, much, out of turn. A real directory: tests/ns/dir-openldap.sh, lab-directory.sh.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "lib/io/chan.h"
#include "lib/io/child.h"
#include "svm-idfw/dirquery.h"
#include "svm-idfw/query.h"
#include "tests/unit/svm-idfw/world.h"

#define MANY 20000
#define DIED "/tmp/idfw-querydir-%d"
#define LONG_NAMES 400
#define POLICY                                                                                  \
	"default in drop; default out drop;\n"                                                  \
	"group eng { directory \"Eng\", \"gone\"; } group web { vm web01; }\n"                  \
	"group lab { directory \"LAB\\\\eng\"; } group corp { directory \"corp\\\\eng\"; }\n"   \
	"group sid { directory-sid \"S-1-5-21-1-2-3-512\"; }\n"                                 \
	"section application { rule a allow from eng to web; rule b allow from sid, directory " \
	"\"eng\" to web; }\n"

/* ---- the child ---- */

struct child {
	struct io_loop *loop;
	struct io_chan *chan;
	const char *does;
	uint64_t asked; /* DirQuery parts */
	size_t refs;
};

static void child_send(struct child *c, const Idfw__Envelope *e)
{
	struct gi_buf out;

	gi_buf_init(&out, WIRE_FRAME_MAX);
	if (wire_envelope_encode(e, &out) < 0 || io_chan_send(c->chan, out.data, out.len) < 0)
		abort();
	gi_buf_fini(&out);
}

static void child_state(struct child *c, uint64_t look, uint64_t full, uint32_t done)
{
	Idfw__DirState st = IDFW__DIR_STATE__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;

	st.up = true;
	st.seen = IDFW__DIR_STATE__SEEN__USN;
	st.picture = strcmp(c->does, "ldaps://refuses") == 0 ? IDFW__DIR_STATE__PICTURE__REFUSED
							     : IDFW__DIR_STATE__PICTURE__WHOLE;
	st.groups = 10;
	st.memberships = 70;
	st.compared_ms = 1700000000000;
	st.compare_took_ms = 12;
	st.compare_changed = 2;
	st.comparing = done != 0;
	st.compare_done = done;
	st.compare_total = 10;
	st.synced = look;
	st.synced_full = full;
	e.body_case = IDFW__ENVELOPE__BODY_DIR_STATE;
	e.dir_state = &st;
	child_send(c, &e);
}

static void child_result(struct child *c, size_t groups)
{
	static char name[WIRE_USER_MAX + 1], dn[] = "CN=x", alice[] = "alice";
	Idfw__DirGroup group[50], *list[50];
	Idfw__DirResult r = IDFW__DIR_RESULT__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	uint8_t ids[50][16] = { { 0 } };
	size_t at = 0;

	memset(name, 'n', WIRE_USER_MAX);
	r.id = 1;
	r.name = r.dn = alice;
	r.group = list;
	e.body_case = IDFW__ENVELOPE__BODY_DIR_RESULT;
	e.dir_result = &r;
	do {
		for (r.n_group = 0; at < groups && r.n_group < 50; at++, r.n_group++) {
			idfw__dir_group__init(&group[r.n_group]);
			memcpy(ids[r.n_group], &at, sizeof(at));
			ids[r.n_group][15] = 1;
			group[r.n_group].guid =
				(ProtobufCBinaryData){ .len = 16, .data = ids[r.n_group] };
			group[r.n_group].name = name;
			group[r.n_group].dn = dn;
			list[r.n_group] = &group[r.n_group];
		}
		r.last = at == groups;
		child_send(c, &e);
	} while (at < groups);
}

static void child_report(struct child *c, size_t nodes, uint32_t ref, bool last)
{
	static char name[16] = "eng", none[1] = "", server[] = "ldaps://dc1";
	Idfw__DirGroup group[100];
	Idfw__DirNode node[100], *list[100];
	Idfw__DirReport r = IDFW__DIR_REPORT__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	char names[100][16];

	r.node = list;
	r.server = server;
	r.last = last;
	r.groups = nodes;
	for (; r.n_node < nodes; r.n_node++) {
		idfw__dir_node__init(&node[r.n_node]);
		idfw__dir_group__init(&group[r.n_node]);
		(void)snprintf(names[r.n_node], sizeof(names[0]), "g%zu", r.n_node);
		group[r.n_node].name = nodes == 1 ? name : names[r.n_node];
		group[r.n_node].dn = none;
		node[r.n_node].group = &group[r.n_node];
		node[r.n_node].ref = &ref;
		node[r.n_node].n_ref = nodes == 1;
		list[r.n_node] = &node[r.n_node];
	}
	e.body_case = IDFW__ENVELOPE__BODY_DIR_REPORT;
	e.dir_report = &r;
	child_send(c, &e);
}

/* of several children of one parent, the first that asks */
static bool child_first(void)
{
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), DIED, (int)getppid());
	fd = open(path, O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd >= 0)
		(void)close(fd);
	return fd >= 0;
}

static void child_sync(struct child *c, const Idfw__DirSync *s)
{
	Idfw__DirChanged ch = IDFW__DIR_CHANGED__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;

	if (strcmp(c->does, "ldaps://slow") == 0) {
		child_state(c, 0, 0, 5);
		return;
	}
	if (strcmp(c->does, "ldaps://dies") == 0 && child_first())
		_exit(1);
	ch.all = s->full;
	e.body_case = IDFW__ENVELOPE__BODY_DIR_CHANGED;
	e.dir_changed = &ch;
	if (s->full)
		child_send(c, &e);
	child_state(c, s->full ? 0 : s->id, s->full ? s->id : 0, 0);
}

static void child_lookup(struct child *c)
{
	if (strcmp(c->does, "ldaps://report") == 0) {
		child_report(c, 1, 0, true); /* nobody asked */
		return;
	}
	if (strcmp(c->does, "ldaps://gone") == 0)
		_exit(1);
	child_result(c, strcmp(c->does, "ldaps://long") == 0 ? LONG_NAMES : 1);
	if (strcmp(c->does, "ldaps://twice") == 0)
		child_result(c, 1);
}

static void child_query(struct child *c, const Idfw__DirQuery *q)
{
	c->refs += q->n_ref;
	if (!q->last)
		return;
	if (q->what == IDFW__DIR_QUERY__WHAT__TRACE || strcmp(c->does, "ldaps://result") == 0) {
		child_result(c, 1); /* was whole already */
		return;
	}
	if (strcmp(c->does, "ldaps://ref") == 0) {
		child_report(c, 1, (uint32_t)c->refs, true); /* there is none of that number */
		return;
	}
	for (size_t i = 0; strcmp(c->does, "ldaps://many") == 0 && i < MANY; i += 100)
		child_report(c, 100, 0, false);
	child_report(c, 1, 0, true); /* references are sorted: the first is "eng" */
}

static void child_frame(void *arg, struct io_chan *chan, const uint8_t *buf, size_t len)
{
	struct child *c = arg;
	Idfw__Envelope *e = NULL;
	const char *why = "";

	(void)chan;
	if (wire_envelope_decode(buf, len, WIRE_SVM_TO_DIR, WIRE_OPEN, &e, &why) < 0)
		abort();
	if (e->body_case == IDFW__ENVELOPE__BODY_DIR_LOOKUP)
		child_lookup(c);
	else if (e->body_case == IDFW__ENVELOPE__BODY_DIR_QUERY)
		child_query(c, e->dir_query);
	else if (e->body_case == IDFW__ENVELOPE__BODY_DIR_SYNC)
		child_sync(c, e->dir_sync);
	wire_envelope_free(e);
}

static void child_closed(void *arg, struct io_chan *chan, int err, const char *why)
{
	(void)chan;
	(void)err;
	(void)why;
	io_loop_stop(((struct child *)arg)->loop);
}

static int child_main(const char *does)
{
	static const struct io_chan_ops ops = { .frame = child_frame, .closed = child_closed };
	static const struct io_chan_conf conf = { .max_frame = WIRE_FRAME_MAX,
		.max_queue = 64u << 20 };
	struct child c = { .does = does };

	if (io_loop_new(&c.loop) < 0 ||
		io_chan_new(c.loop, IO_CHILD_FD, NULL, &conf, &ops, &c, &c.chan) < 0)
		return 1;
	child_state(&c, 0, 0, 0);
	io_loop_run(c.loop);
	io_chan_free(c.chan);
	io_loop_free(c.loop);
	return 0;
}

/* ---- the parent ---- */

struct fix {
	struct world w;
	struct io_loop *loop;
	struct idfw_dir *dir;
	struct idfw_dir_conf conf;
	char *uri;
	struct dir_queries queries;
	struct query_env env;
	struct query *q, *other;
	struct io_timer pump, guard, began;
	bool woken, up, late;
	size_t n_rows, longest;
	char rows[1u << 16]; /* the first of them */
	uint32_t status;
	char said[256];
};

static void op_round(void *arg)
{
	struct fix *f = arg;

	idfw_engine_clock(f->w.e, io_clock_mono_ms(), io_clock_real_ms());
}

static struct idfw_dir *op_directory(void *arg, size_t i)
{
	return i == 0 ? ((struct fix *)arg)->dir : NULL;
}

static bool domain_known(const void *arg, const char *domain)
{
	(void)arg;
	return strcasecmp(domain, "CORP") == 0 || strcasecmp(domain, "LAB") == 0;
}

static bool domain_has(const void *arg, const char *label, const char *dn, const char *domain)
{
	(void)arg;
	(void)dn;
	return strcasecmp(label, domain) == 0;
}

static const struct pol_domains *op_domains(void *arg)
{
	static const struct pol_domains domains = { domain_known, domain_has, NULL };

	(void)arg;
	return &domains;
}

static int op_route(void *arg, const char *name, const char *names_in,
	char ret_name[DIR_NAME_MAX + 1], struct dir_route *ret)
{
	(void)arg;
	(void)names_in;
	(void)snprintf(ret_name, DIR_NAME_MAX + 1, "%s", name);
	*ret = (struct dir_route){ .n = 1 };
	return 0;
}

static void on_principal(void *arg, const char *key, const struct idfw_principal *found)
{
	(void)arg;
	(void)key;
	(void)found;
}

static void on_changed(void *arg, const struct idfw_changes *c)
{
	struct fix *f = arg;

	op_round(f);
	idfw_engine_directory_changed(f->w.e, c);
}

static void on_state(void *arg, bool up, const char *why)
{
	struct fix *f = arg;

	(void)why;
	f->up = up;
	if (up)
		io_loop_stop(f->loop);
}

static void on_late(struct io_timer *w)
{
	struct fix *f = w->arg;

	f->late = true;
	io_loop_stop(f->loop);
}

static const struct idfw_ctl_ops ctl_ops = {
	.round = op_round, .directory = op_directory, .route = op_route, .domains = op_domains
};

/* until something stops the loop; a test that hangs fails */
static void run(struct fix *f)
{
	io_timer_start(f->loop, &f->guard, 60000, 0, on_late, f);
	io_loop_run(f->loop);
	io_timer_stop(f->loop, &f->guard);
	assert_false(f->late);
}

static struct fix *begin(const char *uri)
{
	static const struct idfw_dir_ops ops = { on_principal, on_changed, on_state };
	struct fix *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->uri = strdup(uri);
	f->conf = (struct idfw_dir_conf){ .label = (char *)(uintptr_t) "corp",
		.type = (char *)(uintptr_t) "ad",
		.base = (char *)(uintptr_t) "DC=corp,DC=example",
		.on_disabled = (char *)(uintptr_t) "revoke",
		.on_expired = (char *)(uintptr_t) "revoke",
		.on_locked = (char *)(uintptr_t) "keep",
		.on_must_change = (char *)(uintptr_t) "keep",
		.uris = { .items = &f->uri, .n = 1 },
		.poll_ms = 60000,
		.deadline_ms = 60000,
		.connections = 1 };
	world_init(&f->w);
	assert_int_equal(world_policy(&f->w, POLICY), 0);
	assert_int_equal(io_loop_new(&f->loop), 0);
	dir_queries_init(&f->queries, f->loop);
	f->env = (struct query_env){ .engine = f->w.e,
		.ops = &ctl_ops,
		.arg = f,
		.started_ms = 1,
		.loop = f->loop,
		.dir_queries = &f->queries };
	assert_int_equal(idfw_dir_new(f->loop, "conf", &f->conf, &ops, f, &f->dir), 0);
	run(f);
	assert_true(f->up);
	return f;
}

static void end(struct fix *f)
{
	query_free(f->q);
	query_free(f->other);
	dir_queries_fini(&f->queries);
	assert_int_equal(f->queries.n, 0);
	idfw_dir_free(f->dir);
	io_loop_free(f->loop);
	world_fini(&f->w);
	free(f->uri);
	free(f);
}

static bool on_row(void *arg, const char *json)
{
	struct fix *f = arg;
	size_t len = strlen(json), at = strlen(f->rows);

	f->n_rows++;
	f->longest = len > f->longest ? len : f->longest;
	if (at + len + 2 < sizeof(f->rows))
		(void)snprintf(f->rows + at, sizeof(f->rows) - at, "%s\n", json);
	return f->n_rows % 64 != 0; /* no room, now and then */
}

static bool on_text(void *arg, const void *data, size_t len)
{
	(void)arg;
	(void)data;
	(void)len;
	return true;
}

static void on_wake(void *arg)
{
	((struct fix *)arg)->woken = true;
}

static void on_pump(struct io_timer *w)
{
	struct fix *f = w->arg;
	const struct query_out out = { .row = on_row, .text = on_text, .arg = f };

	if (query_waits(f->q) && !f->woken)
		return;
	f->woken = false;
	if (query_step(f->q, &out))
		io_loop_stop(f->loop);
}

static int begin_query(struct fix *f, const char *const *words, size_t n, struct query **ret)
{
	Idfw__CtlRequest r = IDFW__CTL_REQUEST__INIT;

	r.verb = (char *)(uintptr_t)words[0];
	r.arg = (char **)(uintptr_t)(words + 1);
	r.n_arg = n - 1;
	return query_new(&f->env, &r, "", 0, "root", ret);
}

/* the whole answer to a request of up to 3 words */
static void answer(struct fix *f, const char *verb, const char *a, const char *b)
{
	const char *const words[] = { verb, a, b };

	f->n_rows = f->longest = 0;
	f->rows[0] = '\0';
	f->woken = false;
	query_free(f->q);
	f->q = NULL;
	assert_int_equal(begin_query(f, words, a ? b ? 3 : 2 : 1, &f->q), 0);
	query_on_wake(f->q, on_wake, f);
	io_timer_start(f->loop, &f->pump, 0, 2, on_pump, f);
	run(f);
	io_timer_stop(f->loop, &f->pump);
	f->status = query_status(f->q);
	(void)snprintf(f->said, sizeof(f->said), "%s", query_why(f->q));
	assert_true(f->longest < WIRE_FRAME_MAX - 64); /* one row is one frame */
}

static void has(const struct fix *f, const char *text)
{
	if (!strstr(f->rows, text))
		fail_msg("no %s in:\n%s(%u %s)", text, f->rows, (unsigned int)f->status, f->said);
}

/* ---- lookups ---- */

static void test_lookup_answers_out_of_turn_end_it(void **state)
{
	static const char *const does[] = { "ldaps://report", "ldaps://twice" };
	struct fix *f;

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(does); i++) {
		f = begin(does[i]);
		answer(f, "dir-lookup", "alice", "trace");
		assert_int_equal(f->status, 1);
		assert_string_equal(
			f->said, "the process that asks the directory answers out of turn");
		end(f);
	}
	f = begin("ldaps://well"); /* a second result instead of the report */
	answer(f, "dir-lookup", "alice", "trace");
	assert_int_equal(f->status, 1);
	assert_string_equal(f->said, "the process that asks the directory answers out of turn");
	end(f);
}

static void test_lookup_of_many_long_names_fits_frames(void **state)
{
	struct fix *f = begin("ldaps://long");
	struct idfw_principal had = {
		.presence = IDFW_P_FOUND, .name = (char *)(uintptr_t) "alice", .resolved_ms = 1
	};

	(void)state;
	had.upn = had.dn = had.sid = (char *)(uintptr_t) "";
	had.key = had.name;
	assert_int_equal(idfw_engine_restore_principal(f->w.e, &had), 0);
	answer(f, "dir-lookup", "alice", NULL);
	assert_int_equal(f->status, 0);
	assert_int_equal(f->n_rows, LONG_NAMES + 3);
	has(f, "\"type\":\"account\"");
	answer(f, "dir-lookup", "alice", "bad");
	assert_int_equal(f->status, 2);
	end(f);
}

/* the directory gives no answer: what serves meanwhile, and how old that is */
static void test_lookup_without_an_answer_tells_what_is_known(void **state)
{
	struct fix *f = begin("ldaps://gone");
	struct idfw_principal had = { .presence = IDFW_P_FOUND,
		.name = (char *)(uintptr_t) "alice",
		.resolved_ms = io_clock_real_ms() - 21600000 };

	(void)state;
	answer(f, "dir-lookup", "alice", NULL);
	assert_int_equal(f->status, 1);
	has(f, "{\"type\":\"cached\",\"known\":false}");
	had.upn = had.dn = had.sid = (char *)(uintptr_t) "";
	had.key = had.name;
	assert_int_equal(idfw_engine_restore_principal(f->w.e, &had), 0);
	answer(f, "dir-lookup", "alice", "trace");
	assert_int_equal(f->status, 1);
	has(f, "\"known\":true,\"same\":null,\"found\":true,\"groups\":0,\"since_ms\":");
	has(f, "\"age_ms\":2160"); /* some 6 h */
	end(f);
}

static void test_what_is_said_is_cut_between_characters(void **state)
{
	struct fix *f = begin("ldaps://well");
	char name[256], euro[] = "\xe2\x82\xac";

	(void)state;
	for (size_t i = 0; i < 240; i += 3)
		memcpy(name + i, euro, 4);
	answer(f, "dir-groups", name, NULL);
	assert_int_equal(f->status, 2);
	for (size_t i = 0, n; f->said[i]; i += n) {
		uint32_t cp;

		n = gi_text_utf8(f->said + i, strlen(f->said + i), &cp);
		assert_int_not_equal(n, 0);
	}
	end(f);
}

/* ---- groups ---- */

static void test_groups_shows_names_and_what_is_missing(void **state)
{
	struct fix *f = begin("ldaps://well");

	(void)state;
	answer(f, "dir-groups", NULL, NULL);
	assert_int_equal(f->status, 0);
	has(f, "\"name\":\"eng\"");
	/* not "lab": another directory's */
	has(f, "\"use\":\"named\",\"named\":[\"corp\",\"eng\",\"_1\"]");
	has(f, "\"type\":\"read\",\"directory\":\"corp\",\"server\":\"ldaps://dc1\"");
	assert_null(strstr(f->rows, "missing"));
	answer(f, "dir-groups", "unused", "directory=corp");
	assert_int_equal(f->status, 0);
	has(f, "{\"type\":\"missing\",\"ref\":\"name\",\"name\":\"gone\",\"named\":[\"eng\"]}");
	has(f, "{\"type\":\"missing\",\"ref\":\"sid\",\"name\":\"s-1-5-21-1-2-3-512\","
	       "\"named\":[\"sid\"]}");
	assert_null(strstr(f->rows, "\"name\":\"eng\",\"named\""));
	assert_null(strstr(f->rows, "LAB")); /* nobody asked there */
	answer(f, "dir-groups", "unused", NULL);
	has(f, "{\"type\":\"missing\",\"ref\":\"name\",\"name\":\"LAB\\\\eng\","
	       "\"named\":[\"lab\"]}");
	answer(f, "dir-groups", "many", NULL);
	assert_int_equal(f->status, 2);
	answer(f, "dir-groups", "all", "corp");
	assert_int_equal(f->status, 2);
	answer(f, "dir-groups", "all", "directory=dorp");
	assert_int_equal(f->status, 2);
	end(f);
}

/* 20,000: rows come as the client takes them; svm-idfw holds a megabyte */
static void test_groups_of_a_large_directory_all_come(void **state)
{
	struct fix *f = begin("ldaps://many");

	(void)state;
	answer(f, "dir-groups", "all", NULL);
	assert_int_equal(f->status, 0);
	assert_int_equal(f->n_rows, MANY + 2);
	end(f);
}

static void test_groups_answers_out_of_turn_end_it(void **state)
{
	static const char *const does[] = { "ldaps://ref", "ldaps://result" };

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(does); i++) {
		struct fix *f = begin(does[i]);

		answer(f, "dir-groups", "unused", NULL);
		assert_int_equal(f->status, 1);
		assert_non_null(strstr(f->said, "answers out of turn"));
		assert_null(strstr(f->rows, "missing")); /* nobody can say */
		end(f);
	}
}

/* ---- how many at a time ---- */

static void test_questions_are_few_and_reaped_by_the_loop(void **state)
{
	static const char *const words[] = { "dir-groups" };
	struct fix *f = begin("ldaps://well");
	struct query *q[DIR_QUERIES_MAX + 1] = { NULL };
	uint64_t before;

	(void)state;
	for (size_t i = 0; i <= DIR_QUERIES_MAX; i++)
		assert_int_equal(begin_query(f, words, 1, &q[i]), 0);
	assert_int_equal(query_status(q[0]), 0);
	assert_int_equal(query_status(q[DIR_QUERIES_MAX]), 1);
	assert_non_null(strstr(query_why(q[DIR_QUERIES_MAX]), "run already"));
	before = f->queries.n;
	for (size_t i = 0; i <= DIR_QUERIES_MAX; i++)
		query_free(q[i]);
	assert_int_equal(before, DIR_QUERIES_MAX);
	assert_int_equal(f->queries.n, DIR_QUERIES_MAX); /* not waited for */
	assert_int_equal(begin_query(f, words, 1, &f->other), 0);
	assert_int_equal(query_status(f->other), 1);
	for (uint64_t till = io_clock_mono_ms() + 60000;
		f->queries.n &&
		io_clock_mono_ms() < till;) { /* each that ends is taken away by the loop */
		io_timer_start(f->loop, &f->began, 5, 0, on_late, f);
		io_loop_run(f->loop);
		f->late = false;
	}
	assert_null(f->queries.dying);
	answer(f, "dir-groups", NULL, NULL);
	assert_int_equal(f->status, 0);
	f->status = 0;
	for (int i = 0; f->status == 0 && i < 20; i++) { /* a second may end in between */
		f->queries.started = DIR_QUERIES_SECOND;
		f->queries.second_ms = io_clock_mono_ms();
		answer(f, "dir-groups", NULL, NULL);
	}
	assert_int_equal(f->status, 1);
	end(f);
}

/* ---- sync, status ---- */

static void test_sync_says_what_it_found(void **state)
{
	struct fix *f = begin("ldaps://well");

	(void)state;
	answer(f, "dir-sync", NULL, NULL);
	assert_int_equal(f->status, 0);
	has(f, "{\"type\":\"synced\",\"directory\":\"corp\",\"full\":false,\"joined\":false,"
	       "\"ok\":true,\"groups\":10,\"groups_changed\":0");
	answer(f, "dir-sync", "full", "directory=corp");
	assert_int_equal(f->status, 0);
	has(f, "\"full\":true,\"joined\":false,\"ok\":true,\"groups\":10,\"groups_changed\":2");
	has(f, "\"changes\":1,");
	assert_true(world_log_has(&f->w,
		(const char *const[]){ "record directory", "\"sync\":\"full\",\"by\":\"root\"" },
		2));
	answer(f, "dir-sync", "ful", NULL);
	assert_int_equal(f->status, 2);
	answer(f, "dir-sync", "directory=corp", "directory=corp");
	assert_int_equal(f->status, 2);
	assert_int_equal(f->queries.syncs, 0);
	f->queries.syncs = DIR_SYNCS_MAX;
	answer(f, "dir-sync", NULL, NULL);
	assert_int_equal(f->status, 1);
	f->queries.syncs = 0;
	answer(f, "dir-status", NULL, NULL);
	has(f, "\"state\":\"up\",\"why\":\"\",\"since_ms\":1"); /* in this century */
	has(f, "\"since_age_ms\":");
	has(f, "\"seen\":\"usn\",\"poll_ms\":60000,\"picture\":\"whole\",\"groups\":10,"
	       "\"memberships\":70,\"compared_ms\":1700000000000,\"compare_took_ms\":12,"
	       "\"compare_changed\":2,\"comparing\":false");
	end(f);
	f = begin("ldaps://refuses");
	answer(f, "dir-sync", "full", NULL);
	assert_int_equal(f->status, 1);
	has(f, "\"ok\":false");
	assert_non_null(strstr(f->said, "does not list all groups"));
	end(f);
}

static void stop_cb(struct io_timer *w)
{
	io_loop_stop(((struct fix *)w->arg)->loop);
}

/* who went away stopped nothing: the next one joins what runs */
static void test_sync_joins_one_that_runs(void **state)
{
	static const char *const words[] = { "dir-sync", "full" };
	struct fix *f = begin("ldaps://slow");
	struct idfw_dir_info info = { .up = false };
	uint64_t id = 0, first, end_ms = io_clock_mono_ms() + 60000;
	bool joined = false;

	(void)state;
	assert_int_equal(begin_query(f, words, 2, &f->other), 0);
	query_free(f->other);
	f->other = NULL;
	assert_int_equal(idfw_dir_sync(f->dir, true, &id, &joined), 0);
	assert_true(joined);
	first = id;
	assert_int_equal(idfw_dir_sync(f->dir, false, &id, &joined), 0);
	assert_false(joined);
	assert_true(id > first);
	while (!info.picture.comparing && io_clock_mono_ms() < end_ms) {
		io_timer_start(f->loop, &f->began, 5, 0, stop_cb, f);
		io_loop_run(f->loop);
		idfw_dir_info(f->dir, &info);
	}
	assert_int_equal(info.picture.done, 5);
	assert_false(idfw_dir_synced(f->dir, true, first));
	assert_false(idfw_dir_synced(f->dir, false, id));
	end(f);
}

/* the child that was asked is lost: the next one is asked again, for both kinds */
static void test_sync_outlives_a_child(void **state)
{
	struct fix *f = begin("ldaps://dies");
	uint64_t look = 0, full = 0, end_ms = io_clock_mono_ms() + 60000;
	bool joined = false, done = false;
	char path[64];

	(void)state;
	(void)snprintf(path, sizeof(path), DIED, (int)getpid());
	(void)unlink(path);
	assert_int_equal(idfw_dir_sync(f->dir, true, &full, &joined), 0);
	assert_int_equal(idfw_dir_sync(f->dir, false, &look, &joined), 0);
	while (!done && io_clock_mono_ms() < end_ms) {
		io_timer_start(f->loop, &f->began, 5, 0, stop_cb, f);
		run(f);
		done = idfw_dir_synced(f->dir, true, full) && idfw_dir_synced(f->dir, false, look);
	}
	assert_int_equal(unlink(path), 0); /* one died */
	assert_true(done);
	end(f);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lookup_answers_out_of_turn_end_it),
		cmocka_unit_test(test_lookup_of_many_long_names_fits_frames),
		cmocka_unit_test(test_lookup_without_an_answer_tells_what_is_known),
		cmocka_unit_test(test_what_is_said_is_cut_between_characters),
		cmocka_unit_test(test_groups_shows_names_and_what_is_missing),
		cmocka_unit_test(test_groups_of_a_large_directory_all_come),
		cmocka_unit_test(test_groups_answers_out_of_turn_end_it),
		cmocka_unit_test(test_questions_are_few_and_reaped_by_the_loop),
		cmocka_unit_test(test_sync_says_what_it_found),
		cmocka_unit_test(test_sync_joins_one_that_runs),
		cmocka_unit_test(test_sync_outlives_a_child),
	};

	if (argc > 5 && strncmp(argv[1], "--directory", 11) == 0)
		return child_main(argv[5]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
