/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_ctl.c - the control socket with a real engine, a real store, real sockets, in one process
 *
 * World (world.h) is around the engine; the client's channels run in the same loop as the server's.
 * Every verb's answer, what a bad client gets, what a slow one costs.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <jansson.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/ctl/ctl.h"
#include "lib/io/chan.h"
#include "lib/io/sock.h"
#include "svm-idfw/ctl.h"
#include "tests/unit/svm-idfw/world.h"

#define POLICY                                                      \
	"default in drop;\ndefault out drop;\n"                     \
	"group eng { directory \"eng\"; }\ngroup db { vm db01; }\n" \
	"service postgres { tcp 5432; }\n"                          \
	"section application { rule eng-db allow from eng to db service postgres; }\n"

struct fix {
	char dir[64], endpoint[96], db[96];
	struct io_loop *loop;
	struct world w;
	struct idfw_store *store;
	struct idfw_ctl *ctl;
	uint64_t durable;
	int rounds;  /* calls of ops.round */
	char by[64]; /* of the last commit */
	int commit_result;
};

struct client {
	struct io_chan *chan;
	json_t *rows;
	struct gi_buf text;
	bool acked, refused, ended, closed;
	uint32_t status;
	char why[1024];
};

/* ---- the server's surroundings ---- */

static void on_durable(void *arg, const char *vm, const uint8_t boot_id[16], uint64_t seq)
{
	struct fix *f = arg;

	(void)vm;
	(void)boot_id;
	f->durable = seq > f->durable ? seq : f->durable; /* two VMs, told in either order */
}

static void on_store_state(void *arg, int err, const char *why)
{
	(void)arg;
	(void)err;
	(void)why;
}

static void op_round(void *arg)
{
	((struct fix *)arg)->rounds++;
}

static int op_commit(void *arg, const char *text, size_t len, const char *by, struct gi_buf *out,
	uint64_t *ret_generation)
{
	struct fix *f = arg;

	(void)snprintf(f->by, sizeof(f->by), "%s", by);
	gi_buf_printf(out, "%zu bytes: %.10s\n", len, text);
	*ret_generation = 7;
	return f->commit_result;
}

static void op_links(void *arg, void (*cb)(void *cb_arg, const char *json_row), void *cb_arg)
{
	(void)arg;
	cb(cb_arg, "{\"type\":\"mux\",\"name\":\"host1\"}");
}

static const struct idfw_store_ops store_ops = { .durable = on_durable, .state = on_store_state };
static const struct idfw_ctl_ops ctl_ops = { .round = op_round, op_commit, op_links };

static void login(struct fix *f, const char *vm, uint64_t seq, const char *user, uint32_t uid)
{
	static uint8_t peer[4] = { 10, 77, 7, 10 };
	Idfw__Session s = IDFW__SESSION__INIT;
	Idfw__SessionOpen open = IDFW__SESSION_OPEN__INIT;
	Idfw__Event ev = IDFW__EVENT__INIT;
	Idfw__Envelope env = IDFW__ENVELOPE__INIT;
	char sshd[] = "sshd", tty[] = "pts/1";

	s.id = seq;
	s.user = (char *)(uintptr_t)user;
	s.uid = uid;
	s.service = sshd;
	s.tty = tty;
	s.opened_ms = 1234;
	s.peer_addr = (ProtobufCBinaryData){ .len = sizeof(peer), .data = peer };
	open.session = &s;
	ev.seq = seq;
	ev.body_case = IDFW__EVENT__BODY_OPEN;
	ev.open = &open;
	env.body_case = IDFW__ENVELOPE__BODY_EVENT;
	env.event = &ev;
	assert_int_equal(world_say(&f->w, vm, &env), 0);
	assert_null(world_settle(&f->w));
}

static void logout(struct fix *f, const char *vm, uint64_t seq, uint64_t id)
{
	Idfw__SessionClose c = IDFW__SESSION_CLOSE__INIT;
	Idfw__Event ev = IDFW__EVENT__INIT;
	Idfw__Envelope env = IDFW__ENVELOPE__INIT;

	c.id = id;
	ev.seq = seq;
	ev.body_case = IDFW__EVENT__BODY_CLOSE;
	ev.close = &c;
	env.body_case = IDFW__ENVELOPE__BODY_EVENT;
	env.event = &ev;
	assert_int_equal(world_say(&f->w, vm, &env), 0);
	assert_null(world_settle(&f->w));
}

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof(*f));
	char why[256];

	(void)snprintf(f->dir, sizeof(f->dir), "/tmp/idfw-ctl-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	(void)snprintf(f->endpoint, sizeof(f->endpoint), "unix:%s/s", f->dir);
	(void)snprintf(f->db, sizeof(f->db), "%s/db", f->dir);
	assert_int_equal(io_loop_new(&f->loop), 0);
	world_init(&f->w);
	assert_int_equal(world_policy(&f->w, POLICY), 0);
	assert_int_equal(world_up(&f->w, "jump01", NULL, 0, NULL), 0);
	assert_int_equal(world_hello(&f->w, "jump01", 1, 1), 0);
	assert_int_equal(world_up(&f->w, "db01", NULL, 0, NULL), 0);
	assert_int_equal(world_hello(&f->w, "db01", 2, 1), 0);
	assert_null(world_settle(&f->w));
	assert_int_equal(idfw_store_open(f->loop, f->db, &store_ops, f, why, &f->store), 0);
	assert_int_equal(idfw_store_put_policy(
				 f->store, f->w.generation, "root", 99, POLICY, strlen(POLICY)),
		0);
	assert_int_equal(
		idfw_ctl_new(f->loop, f->endpoint, f->w.e, f->store, &ctl_ops, f, &f->ctl), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	static const char *const files[] = { "db", "db-wal", "db-shm", "s" };
	struct fix *f = *state;
	char path[128];
	size_t i;

	idfw_ctl_free(f->ctl);
	idfw_store_close(f->store);
	world_fini(&f->w);
	io_loop_free(f->loop);
	for (i = 0; i < GI_ARRAY_SIZE(files); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", f->dir, files[i]);
		(void)unlink(path);
	}
	assert_int_equal(rmdir(f->dir), 0);
	free(f);
	return 0;
}

/* ---- the client ---- */

static void client_frame(void *arg, struct io_chan *c, const uint8_t *buf, size_t len)
{
	struct client *cl = arg;
	Idfw__Envelope *e = NULL;
	const char *why = "";

	(void)c;
	assert_int_equal(wire_envelope_decode(buf, len, WIRE_SVM_TO_CTL,
				 cl->acked ? WIRE_OPEN : WIRE_NEW, &e, &why),
		0);
	assert_false(cl->ended);
	switch (e->body_case) {
	case IDFW__ENVELOPE__BODY_HELLO_ACK:
		cl->acked = true;
		break;
	case IDFW__ENVELOPE__BODY_REFUSED:
		cl->refused = true;
		break;
	case IDFW__ENVELOPE__BODY_CTL_ROW: {
		json_t *row = json_loads(e->ctl_row->json, 0, NULL);

		assert_true(json_is_object(row));
		assert_int_equal(json_array_append_new(cl->rows, row), 0);
		break;
	}
	case IDFW__ENVELOPE__BODY_CTL_TEXT:
		gi_buf_append(&cl->text, e->ctl_text->text.data, e->ctl_text->text.len);
		break;
	case IDFW__ENVELOPE__BODY_CTL_END:
		cl->ended = true;
		cl->status = e->ctl_end->status;
		(void)snprintf(cl->why, sizeof(cl->why), "%s", e->ctl_end->text);
		break;
	default:
		fail();
	}
	wire_envelope_free(e);
}

static void client_closed(void *arg, struct io_chan *c, int err, const char *why)
{
	struct client *cl = arg;

	(void)err;
	(void)why;
	cl->closed = true;
	cl->chan = NULL;
	io_chan_free(c);
}

static struct client *client_new(struct fix *f)
{
	static const struct io_chan_ops ops = { .frame = client_frame, .closed = client_closed };
	static const struct io_chan_conf conf = { WIRE_FRAME_MAX, 8u << 20 };
	struct client *cl = calloc(1, sizeof(*cl));
	struct io_endpoint ep;
	int fd;

	cl->rows = json_array();
	gi_buf_init(&cl->text, 16u << 20);
	assert_int_equal(io_endpoint_parse(f->endpoint, &ep), 0);
	assert_int_equal(io_sock_connect(&ep, &fd), 0);
	assert_int_equal(io_chan_new(f->loop, fd, NULL, &conf, &ops, cl, &cl->chan), 0);
	return cl;
}

static void client_free(struct client *cl)
{
	io_chan_free(cl->chan);
	json_decref(cl->rows);
	gi_buf_fini(&cl->text);
	free(cl);
}

static void client_send(struct client *cl, const Idfw__Envelope *e)
{
	struct gi_buf b;

	gi_buf_init(&b, WIRE_FRAME_MAX);
	assert_int_equal(wire_envelope_encode(e, &b), 0);
	assert_int_equal(io_chan_send(cl->chan, b.data, b.len), 0);
	gi_buf_fini(&b);
}

static void client_hello(struct client *cl, uint32_t version)
{
	Idfw__Hello h = IDFW__HELLO__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	char software[] = "idfwctl test";

	h.version_min = h.version_max = version;
	h.software = software;
	e.body_case = IDFW__ENVELOPE__BODY_HELLO;
	e.hello = &h;
	client_send(cl, &e);
}

static void client_request(
	struct client *cl, const char *verb, const char *const *args, size_t data_len)
{
	Idfw__CtlRequest r = IDFW__CTL_REQUEST__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;

	r.verb = (char *)(uintptr_t)verb;
	r.arg = (char **)(uintptr_t)args;
	while (args && args[r.n_arg])
		r.n_arg++;
	r.data_len = (uint32_t)data_len;
	e.body_case = IDFW__ENVELOPE__BODY_CTL_REQUEST;
	e.ctl_request = &r;
	client_send(cl, &e);
}

static void client_data(struct client *cl, const char *data, size_t len)
{
	Idfw__CtlData d = IDFW__CTL_DATA__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;

	d.data = (ProtobufCBinaryData){ .len = len, .data = (uint8_t *)(uintptr_t)data };
	e.body_case = IDFW__ENVELOPE__BODY_CTL_DATA;
	e.ctl_data = &d;
	client_send(cl, &e);
}

static void client_wait(struct fix *f, struct client *cl)
{
	uint64_t until = io_clock_mono_ms() + 120000;

	while (!cl->ended && !cl->closed && !cl->refused && io_clock_mono_ms() < until)
		io_loop_run_once(f->loop, 100);
	assert_true(cl->ended || cl->closed || cl->refused);
}

/* one whole conversation */
static struct client *ask(struct fix *f, const char *verb, const char *arg1, const char *arg2)
{
	const char *args[] = { arg1, arg1 ? arg2 : NULL, NULL };
	struct client *cl = client_new(f);

	client_hello(cl, 1);
	client_request(cl, verb, args, 0);
	client_wait(f, cl);
	assert_true(cl->acked && cl->ended);
	return cl;
}

static struct client *ask_data(struct fix *f, const char *verb, const char *data)
{
	struct client *cl = client_new(f);
	size_t half = strlen(data) / 2;

	client_request(cl, verb, NULL, strlen(data)); /* without Hello */
	client_data(cl, data, half);
	client_data(cl, data + half, strlen(data) - half);
	client_wait(f, cl);
	return cl;
}

static json_t *field(const struct client *cl, size_t row, const char *key)
{
	return json_object_get(json_array_get(cl->rows, row), key);
}

static const char *text(const struct client *cl, size_t row, const char *key)
{
	const char *s = json_string_value(field(cl, row, key));

	return s ? s : "(none)";
}

/* ---- verbs ---- */

static void test_ctl_status(void **state)
{
	struct fix *f = *state;
	struct client *cl = ask(f, "status", NULL, NULL);

	assert_int_equal(cl->status, 1); /* world's directory is not up */
	assert_string_equal(cl->why, "not all is well");
	assert_int_equal(json_array_size(cl->rows), 4);
	assert_string_equal(text(cl, 0, "type"), "svm");
	assert_true(json_is_false(field(cl, 0, "ok")));
	assert_int_equal(json_integer_value(field(cl, 0, "vms_connected")), 2);
	assert_string_equal(text(cl, 0, "store"), "ok");
	assert_string_equal(text(cl, 0, "directory"), "down");
	assert_string_equal(text(cl, 1, "type"), "mux");
	assert_string_equal(text(cl, 2, "vm"), "db01");
	assert_string_equal(text(cl, 3, "vm"), "jump01");
	assert_true(json_is_true(field(cl, 3, "in_sync")));
	assert_true(json_is_true(field(cl, 3, "connected")));
	client_free(cl);

	idfw_engine_directory_state(f->w.e, "", true, "");
	assert_null(world_settle(&f->w));
	cl = ask(f, "status", NULL, NULL);
	assert_int_equal(cl->status, 0);
	assert_string_equal(cl->why, "");
	assert_true(json_is_true(field(cl, 0, "ok")));
	client_free(cl);
}

static void find_alice(struct fix *f)
{
	char eng[] = "eng", none[] = "", alice[] = "alice", sid[] = "S-1-5-21-1";
	char upn[] = "alice@corp.example";
	struct idfw_group groups[] = { { eng, none, none, none, { 0 } } };
	struct idfw_principal p = { .key = alice,
		.name = alice,
		.upn = upn,
		.dn = none,
		.sid = sid,
		.presence = IDFW_P_FOUND,
		.groups = groups,
		.n_groups = 1 };

	idfw_engine_directory_state(f->w.e, "", true, "");
	idfw_engine_principal(f->w.e, "alice", &p);
	assert_null(world_settle(&f->w));
}

static void test_ctl_who(void **state)
{
	struct fix *f = *state;
	struct client *cl;

	login(f, "jump01", 1, "alice", 2001);
	login(f, "jump01", 2, "root", 0);
	login(f, "db01", 1, "bob", 2002);
	find_alice(f);

	cl = ask(f, "who", NULL, NULL);
	assert_int_equal(cl->status, 0);
	assert_int_equal(json_array_size(cl->rows), 3);
	client_free(cl);
	cl = ask(f, "who", "ALICE", NULL);
	assert_int_equal(json_array_size(cl->rows), 1);
	assert_string_equal(text(cl, 0, "user"), "alice");
	assert_string_equal(text(cl, 0, "vm"), "jump01");
	assert_string_equal(text(cl, 0, "peer"), "10.77.7.10");
	assert_string_equal(text(cl, 0, "directory"), "found");
	assert_int_equal(json_integer_value(field(cl, 0, "uid")), 2001);
	assert_string_equal(json_string_value(json_array_get(field(cl, 0, "groups"), 0)), "eng");
	assert_true(json_is_false(field(cl, 0, "kicked")));
	client_free(cl);
	cl = ask(f, "who", "Alice@corp.example", NULL);
	assert_int_equal(json_array_size(cl->rows), 1);
	client_free(cl);
	cl = ask(f, "who", "jump01", NULL);
	assert_int_equal(json_array_size(cl->rows), 2);
	assert_string_equal(text(cl, 0, "directory"), "system"); /* newest first: root */
	client_free(cl);
	cl = ask(f, "who", "10.77.7.10", NULL);
	assert_int_equal(json_array_size(cl->rows), 3);
	client_free(cl);
	cl = ask(f, "who", "nobody", NULL);
	assert_int_equal(cl->status, 1);
	assert_string_equal(cl->why, "no live session of nobody");
	client_free(cl);
	cl = ask(f, "who", "a", "b");
	assert_int_equal(cl->status, 2);
	client_free(cl);
}

static void test_ctl_kick(void **state)
{
	struct fix *f = *state;
	const char *const words[] = { "record", "kick", "jump01", "user=alice", "why not" };
	char by[64];
	const char *by_words[] = { "record", "kick", by };
	struct client *cl;

	login(f, "jump01", 1, "alice", 2001);
	cl = ask(f, "kick", "1", "why not");
	assert_int_equal(cl->status, 0);
	assert_string_equal(text(cl, 0, "user"), "alice");
	assert_string_equal(text(cl, 0, "vm"), "jump01");
	assert_int_equal(json_integer_value(field(cl, 0, "others")), 0);
	client_free(cl);
	assert_int_equal(f->rounds, 1);
	assert_null(world_settle(&f->w));
	assert_true(world_log_has(&f->w, words, GI_ARRAY_SIZE(words)));
	if (getuid() == 0)
		(void)snprintf(by, sizeof(by), "\"by\":\"root\"");
	else
		(void)snprintf(by, sizeof(by), "\"by\":\"uid %u\"", (unsigned int)getuid());
	assert_true(world_log_has(&f->w, by_words, GI_ARRAY_SIZE(by_words)));
	login(f, "jump01", 2, "alice", 2001);
	login(f, "jump01", 3, "alice", 2001);
	login(f, "jump01", 4, "bob", 2002);
	find_alice(f);
	cl = ask(f, "kick", "2", NULL); /* the third goes on; the first is kicked, bob is another */
	assert_int_equal(json_integer_value(field(cl, 0, "others")), 1);
	client_free(cl);
	cl = ask(f, "kick", "99", NULL);
	assert_int_equal(cl->status, 4);
	assert_string_equal(cl->why, "no live session 99");
	client_free(cl);
	cl = ask(f, "kick", "alice", NULL);
	assert_int_equal(cl->status, 2);
	client_free(cl);
	cl = ask(f, "kick", NULL, NULL);
	assert_int_equal(cl->status, 2);
	client_free(cl);
}

static void test_ctl_policy(void **state)
{
	struct fix *f = *state;
	struct client *cl = ask(f, "policy-show", NULL, NULL);

	assert_int_equal(cl->status, 0);
	assert_string_equal(gi_buf_str(&cl->text), POLICY);
	assert_int_equal(json_integer_value(field(cl, 0, "committed_ms")), 99);
	assert_string_equal(text(cl, 0, "by"), "root");
	client_free(cl);
	cl = ask(f, "policy-show", "json", NULL);
	assert_int_equal(cl->status, 0);
	{
		json_t *form = json_loads(gi_buf_str(&cl->text), 0, NULL);

		assert_true(json_is_object(form));
		json_decref(form);
	}
	client_free(cl);
	cl = ask(f, "policy-show", "xml", NULL);
	assert_int_equal(cl->status, 2);
	client_free(cl);

	cl = ask_data(f, "policy-check", POLICY);
	assert_int_equal(cl->status, 0);
	client_free(cl);
	cl = ask_data(f, "policy-check", "group eng { directory \"eng\"; }\nrule;\n");
	assert_int_equal(cl->status, 1);
	assert_non_null(strstr(gi_buf_str(&cl->text), "policy:2:"));
	client_free(cl);

	cl = ask_data(f, "policy-commit", "some text");
	assert_int_equal(cl->status, 0);
	assert_string_equal(gi_buf_str(&cl->text), "9 bytes: some text\n");
	assert_int_equal(json_integer_value(field(cl, 0, "generation")), 7);
	assert_true(strcmp(f->by, "root") == 0 || strncmp(f->by, "uid ", 4) == 0);
	client_free(cl);
	f->commit_result = -GI_ESYNTAX;
	cl = ask_data(f, "policy-commit", "some text");
	assert_int_equal(cl->status, 1);
	assert_int_equal(json_array_size(cl->rows), 0);
	assert_non_null(strstr(cl->why, "the running one stays"));
	assert_non_null(strstr(gi_buf_str(&cl->text), "9 bytes"));
	client_free(cl);
}

static void test_ctl_render(void **state)
{
	struct fix *f = *state;
	struct client *cl = ask(f, "render", "db01", NULL);

	assert_int_equal(cl->status, 0);
	assert_non_null(strstr(gi_buf_str(&cl->text), "table inet idfw"));
	client_free(cl);
	cl = ask(f, "render", "none01", NULL);
	assert_int_equal(cl->status, 4);
	assert_string_equal(cl->why, "no VM \"none01\"");
	client_free(cl);
}

static void put_audit(struct fix *f, uint64_t from, uint64_t to, const char *detail)
{
	static const uint8_t boot[16] = { 1 };
	uint64_t i, until = io_clock_mono_ms() + 120000;

	for (i = from; i <= to; i++) {
		struct idfw_record r = { .kind = IDFW_REC_GUEST_UP,
			.time_ms = i,
			.detail = detail,
			.vm = i % 2 ? "odd01" : "even01",
			.boot_id = boot,
			.seq = i };

		assert_int_equal(idfw_store_put(f->store, &r), 0);
	}
	while (f->durable < to && io_clock_mono_ms() < until)
		io_loop_run_once(f->loop, 100);
	assert_int_equal(f->durable, to);
}

static void test_ctl_audit_filters_and_limits(void **state)
{
	struct fix *f = *state;
	const char *const args[] = { "vm=odd01", "since=100", "until=900", "limit=350", NULL };
	struct client *cl;
	size_t i;

	put_audit(f, 1, 1500, "{}");
	cl = ask(f, "audit", NULL, NULL); /* the default limit */
	assert_int_equal(json_array_size(cl->rows), 1000);
	for (i = 0; i < 1000; i++)
		assert_int_equal(json_integer_value(field(cl, i, "time_ms")), 1500 - i);
	client_free(cl);
	cl = client_new(f);
	client_request(cl, "audit", args, 0);
	client_wait(f, cl);
	assert_int_equal(cl->status, 0);
	assert_int_equal(json_array_size(cl->rows), 350);
	for (i = 0; i < 350; i++)
		assert_int_equal(json_integer_value(field(cl, i, "time_ms")), 899 - 2 * i);
	client_free(cl);
	cl = ask(f, "audit", "user=nobody", NULL);
	assert_int_equal(cl->status, 1);
	client_free(cl);
	cl = ask(f, "last", "limit=1000001", NULL);
	assert_int_equal(cl->status, 2);
	client_free(cl);
	cl = ask(f, "last", "colour=red", NULL);
	assert_int_equal(cl->status, 2);
	client_free(cl);
	cl = ask(f, "last", NULL, NULL);
	assert_int_equal(cl->status, 1);
	client_free(cl);
}

/* ---- bad clients ---- */

static void test_ctl_bad_requests(void **state)
{
	static const char garbage[] = "\xff\xff\xff\xff garbage";
	struct fix *f = *state;
	struct client *cl = ask(f, "dance", NULL, NULL);

	assert_int_equal(cl->status, 2);
	assert_string_equal(cl->why, "unknown request \"dance\"");
	client_free(cl);
	cl = ask_data(f, "render", "data that nobody wants"); /* and no argument */
	assert_int_equal(cl->status, 2);
	assert_int_equal(cl->text.len, 0);
	client_free(cl);

	cl = client_new(f);
	assert_int_equal(io_chan_send(cl->chan, garbage, sizeof(garbage)), 0);
	client_wait(f, cl);
	assert_true(cl->closed);
	client_free(cl);

	cl = client_new(f); /* data first */
	client_hello(cl, 1);
	client_data(cl, "x", 1);
	client_wait(f, cl);
	assert_true(cl->closed && cl->acked);
	client_free(cl);

	cl = client_new(f); /* more data than announced */
	client_request(cl, "policy-check", NULL, 4);
	client_data(cl, "12345", 5);
	client_wait(f, cl);
	assert_true(cl->closed && !cl->ended);
	client_free(cl);

	cl = client_new(f); /* two requests */
	client_request(cl, "policy-check", NULL, 4);
	client_request(cl, "status", NULL, 0);
	client_wait(f, cl);
	assert_true(cl->closed && !cl->ended);
	client_free(cl);

	cl = client_new(f); /* what only an agent says */
	{
		Idfw__Ping p = IDFW__PING__INIT;
		Idfw__Envelope e = IDFW__ENVELOPE__INIT;

		e.body_case = IDFW__ENVELOPE__BODY_PING;
		e.ping = &p;
		client_send(cl, &e);
	}
	client_wait(f, cl);
	assert_true(cl->closed);
	client_free(cl);

	cl = client_new(f); /* a version that we do not speak */
	client_hello(cl, 9);
	client_wait(f, cl);
	assert_true(cl->refused);
	client_free(cl);

	cl = ask(f, "status", NULL, NULL); /* and all the others are served */
	assert_int_equal(json_array_size(cl->rows), 4);
	client_free(cl);
}

static void test_ctl_too_many_clients_refused(void **state)
{
	struct fix *f = *state;
	struct client *cl[GI_CTL_CLIENTS_MAX + 1];
	size_t i;

	for (i = 0; i < GI_ARRAY_SIZE(cl); i++) {
		cl[i] = client_new(f);
		io_loop_run_once(f->loop, 10);
	}
	client_wait(f, cl[GI_CTL_CLIENTS_MAX]);
	assert_true(cl[GI_CTL_CLIENTS_MAX]->closed);
	for (i = 0; i < GI_CTL_CLIENTS_MAX; i++)
		assert_false(cl[i]->closed);
	client_free(cl[0]);
	io_loop_run_once(f->loop, 10);
	cl[0] = ask(f, "status", NULL, NULL);
	for (i = 0; i < GI_ARRAY_SIZE(cl); i++)
		client_free(cl[i]);
}

static void test_ctl_slow_reader_costs_a_bounded_queue(void **state)
{
	struct fix *f = *state;
	const char *const args[] = { "limit=30000", NULL };
	char detail[512];
	struct client *slow, *quick;
	struct mallinfo2 before, after;
	size_t i;

	(void)snprintf(detail, sizeof(detail), "{\"x\":\"%0*d\"}", 400, 0);
	put_audit(f, 1, 30000, detail); /* about 15 MB of rows */
	slow = client_new(f);
	client_hello(slow, 1);
	client_request(slow, "audit", args, 0);
	while (!slow->acked)
		io_loop_run_once(f->loop, 10);
	io_chan_read_pause(slow->chan);
	before = mallinfo2();
	for (i = 0; i < 50; i++)
		io_loop_run_once(f->loop, 1);
	after = mallinfo2();
	assert_true(after.uordblks < before.uordblks + (6u << 20));
	quick = ask(f, "status", NULL, NULL);
	assert_int_equal(json_array_size(quick->rows), 4);
	client_free(quick);
	assert_false(slow->ended || slow->closed);
	io_chan_read_resume(slow->chan);
	client_wait(f, slow);
	assert_int_equal(slow->status, 0);
	assert_int_equal(json_array_size(slow->rows), 30000);
	for (i = 0; i < 30000; i++)
		assert_int_equal(json_integer_value(field(slow, i, "time_ms")), 30000 - i);
	client_free(slow);
}

static void test_ctl_sessions_go_while_they_are_listed(void **state)
{
	struct fix *f = *state;
	struct client *slow;
	json_int_t last = INT64_MAX;
	char user[300];
	uint64_t i;
	size_t k;

	memset(user, 'u', sizeof(user)); /* long names: few rows fill the queue */
	for (i = 1; i <= 4000; i++) {
		(void)snprintf(user + 200, 20, "%llu", (unsigned long long)i);
		login(f, "jump01", i, user, 0);
	}
	slow = client_new(f);
	client_hello(slow, 1);
	client_request(slow, "who", NULL, 0);
	while (!slow->acked)
		io_loop_run_once(f->loop, 10);
	io_chan_read_pause(slow->chan);
	for (i = 0; i < 20; i++)
		io_loop_run_once(f->loop, 1);
	assert_false(slow->ended);
	for (i = 1; i <= 3900; i++)
		logout(f, "jump01", 4000 + i, i);
	login(f, "jump01", 7901, "newcomer", 0);
	io_chan_read_resume(slow->chan);
	client_wait(f, slow);
	assert_int_equal(slow->status, 0);
	assert_in_range(json_array_size(slow->rows), 100, 4000);
	for (k = 0; k < json_array_size(slow->rows); k++) { /* none twice */
		json_int_t id = json_integer_value(field(slow, k, "session"));

		assert_true(id < last);
		last = id;
	}
	client_free(slow);
}

static void test_ctl_socket_is_not_for_everybody(void **state)
{
	struct fix *f = *state;
	struct stat st;

	assert_int_equal(stat(f->endpoint + 5, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_ctl_status),
		T(test_ctl_who),
		T(test_ctl_kick),
		T(test_ctl_policy),
		T(test_ctl_render),
		T(test_ctl_audit_filters_and_limits),
		T(test_ctl_bad_requests),
		T(test_ctl_too_many_clients_refused),
		T(test_ctl_slow_reader_costs_a_bounded_queue),
		T(test_ctl_sessions_go_while_they_are_listed),
		T(test_ctl_socket_is_not_for_everybody),
	};

	gi_log_init("test_ctl", GI_LOG_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
