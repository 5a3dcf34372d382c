/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_dirfail.c - svm-idfw/dir.c: no lookup is lost when servers fail, stall, or are gone back to
 *
 * This program is the directory child too: what it does is its server's name. Time does not pass,
 * it is put forward (--wrap) when what is to be late has begun; and each look at the clock is a
 * millisecond after the one before, so that two looks in one place are never the same time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those first */
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "svm-idfw/dir_int.h"

#define STARTED "/tmp/idfw-dirfail-%d"
#define GUARD_MS 60000
#define HOUR_MS 3600000u

static uint64_t skew_ms;

uint64_t __real_io_clock_mono_ms(void);
uint64_t __wrap_io_clock_mono_ms(void);
uint64_t __wrap_io_clock_mono_ms(void)
{
	return __real_io_clock_mono_ms() + skew_ms++;
}

/* ---- the child ---- */

struct child {
	struct io_loop *loop;
	struct io_chan *chan;
	const char *does;
};

static void child_send(struct child *c, Idfw__Envelope *e)
{
	struct gi_buf out;

	gi_buf_init(&out, WIRE_FRAME_MAX);
	if (wire_envelope_encode(e, &out) < 0 || io_chan_send(c->chan, out.data, out.len) < 0)
		abort();
	gi_buf_fini(&out);
}

static void child_state(struct child *c, const char *down)
{
	Idfw__DirState st = IDFW__DIR_STATE__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;

	st.up = !down;
	st.text = (char *)(uintptr_t)(down ? down : "");
	st.seen = IDFW__DIR_STATE__SEEN__USN;
	e.body_case = IDFW__ENVELOPE__BODY_DIR_STATE;
	e.dir_state = &st;
	child_send(c, &e);
}

static void child_frame(void *arg, struct io_chan *chan, const uint8_t *buf, size_t len)
{
	Idfw__DirResult r = IDFW__DIR_RESULT__INIT;
	Idfw__Envelope *e = NULL, out = IDFW__ENVELOPE__INIT;
	struct child *c = arg;
	const char *why = "";

	(void)chan;
	if (wire_envelope_decode(buf, len, WIRE_SVM_TO_DIR, WIRE_OPEN, &e, &why) < 0)
		abort();
	if (e->body_case == IDFW__ENVELOPE__BODY_DIR_LOOKUP) {
		if (strstr(c->does, "//dies"))
			_exit(1);
		r.id = e->dir_lookup->id;
		r.status = IDFW__DIR_RESULT__STATUS__OK;
		r.name = e->dir_lookup->name;
		r.dn = (char *)(uintptr_t)c->does;
		r.last = true;
		out.body_case = IDFW__ENVELOPE__BODY_DIR_RESULT;
		out.dir_result = &r;
		if (!strstr(c->does, "//mute"))
			child_send(c, &out);
	}
	wire_envelope_free(e);
}

static void child_closed(void *arg, struct io_chan *chan, int err, const char *why)
{
	(void)chan;
	(void)err;
	(void)why;
	io_loop_stop(((struct child *)arg)->loop);
}

/* of children that do not at their first start */
static bool first_start(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	struct stat st = { .st_size = 0 };

	if (fd < 0 || fstat(fd, &st) < 0 || write(fd, "x", 1) != 1)
		_exit(3);
	close(fd);
	return st.st_size == 0;
}

static int child_main(const char *path, const char *does)
{
	static const struct io_chan_ops ops = { .frame = child_frame, .closed = child_closed };
	static const struct io_chan_conf conf = { .max_frame = WIRE_FRAME_MAX,
		.max_queue = 1u << 20 };
	struct child c = { .does = does };

	if (io_loop_new(&c.loop) < 0 ||
		io_chan_new(c.loop, IO_CHILD_FD, NULL, &conf, &ops, &c, &c.chan) < 0)
		return 1;
	if (strstr(does, "//later") && first_start(path))
		child_state(&c, "it refuses connections");
	else if (!strstr(does, "//stalls"))
		child_state(&c, NULL);
	io_loop_run(c.loop);
	io_chan_free(c.chan);
	io_loop_free(c.loop);
	return 0;
}

/* ---- its parent ---- */

struct t {
	struct io_loop *loop;
	struct idfw_dir *dir;
	struct idfw_dir_conf conf;
	char *uris[2], path[64];
	struct io_timer look, guard;
	void (*each)(struct t *t); /* round */
	size_t answers, wanted;
	bool late, jumped;
	enum idfw_presence presence;
	char from[DIR_URI_MAX + 1];
};

static void on_principal(void *arg, const char *key, const struct idfw_principal *found)
{
	struct t *t = arg;

	(void)key;
	t->presence = found->presence;
	(void)snprintf(t->from, sizeof(t->from), "%s", found->dn);
	if (++t->answers == t->wanted)
		io_loop_stop(t->loop);
}

static void on_changed(void *arg, const struct idfw_changes *c)
{
	(void)arg;
	(void)c;
}

static void on_state(void *arg, bool up, const char *why)
{
	(void)arg;
	(void)up;
	(void)why;
}

static void on_look(struct io_timer *w)
{
	struct t *t = w->arg;

	if (t->each)
		t->each(t);
}

static void on_late(struct io_timer *w)
{
	struct t *t = w->arg;

	t->late = true;
	io_loop_stop(t->loop);
}

static void begin(struct t *t, const char *a, const char *b)
{
	static const struct idfw_dir_ops ops = { on_principal, on_changed, on_state };

	*t = (struct t){ .wanted = 1 };
	(void)snprintf(t->path, sizeof(t->path), STARTED, (int)getpid());
	(void)unlink(t->path);
	t->uris[0] = strdup(a);
	t->uris[1] = strdup(b);
	t->conf = (struct idfw_dir_conf){ .label = (char *)(uintptr_t) "corp",
		.type = (char *)(uintptr_t) "ad",
		.base = (char *)(uintptr_t) "DC=corp,DC=example",
		.on_disabled = (char *)(uintptr_t) "revoke",
		.on_expired = (char *)(uintptr_t) "revoke",
		.on_locked = (char *)(uintptr_t) "keep",
		.on_must_change = (char *)(uintptr_t) "keep",
		.uris = { .items = t->uris, .n = 2 },
		.poll_ms = 500,
		.deadline_ms = 3600000, /* what is late is so by another limit */
		.connections = 2 };
	assert_int_equal(io_loop_new(&t->loop), 0);
	assert_int_equal(idfw_dir_new(t->loop, t->path, &t->conf, &ops, t, &t->dir), 0);
	io_timer_start(t->loop, &t->look, 20, 20, on_look, t);
}

static void run(struct t *t)
{
	io_timer_start(t->loop, &t->guard, GUARD_MS, 0, on_late, t);
	io_loop_run(t->loop);
	io_timer_stop(t->loop, &t->guard);
	assert_false(t->late);
}

static void ask(struct t *t, const char *name)
{
	assert_int_equal(idfw_dir_lookup(t->dir, name, name, "", true), 0);
}

static void end(struct t *t)
{
	io_timer_stop(t->loop, &t->look);
	idfw_dir_free(t->dir);
	io_loop_free(t->loop);
	(void)unlink(t->path);
	free(t->uris[0]);
	free(t->uris[1]);
}

/* it is asked once more, at the next server */
static void test_lookup_of_a_child_that_dies(void **state)
{
	struct t t;

	(void)state;
	begin(&t, "ldaps://dies.example", "ldaps://good.example");
	ask(&t, "alice");
	run(&t);
	assert_int_equal(t.presence, IDFW_P_FOUND);
	assert_string_equal(t.from, "ldaps://good.example");
	end(&t);
}

/* it may be what they die of */
static void test_lookup_that_two_servers_die_of_is_unavailable(void **state)
{
	struct t t;

	(void)state;
	begin(&t, "ldaps://dies.example", "ldaps://dies.other.example");
	ask(&t, "alice");
	run(&t);
	assert_int_equal(t.presence, IDFW_P_UNAVAILABLE);
	end(&t);
}

/* inside the TLS handshake, say: the child is killed, its server left out */
static void first_stalls(struct t *t)
{
	if (t->jumped || !t->dir->main->connecting)
		return;
	t->jumped = true;
	skew_ms += DIR_CONNECT_MS + 1;
}

static void test_start_while_the_first_stalls(void **state)
{
	struct t t;

	(void)state;
	begin(&t, "ldaps://stalls.example", "ldaps://good.example");
	t.each = first_stalls;
	ask(&t, "alice");
	run(&t);
	assert_string_equal(t.from, "ldaps://good.example");
	assert_true(t.dir->servers.list[0].out);
	end(&t);
}

static void ask_when_up(struct t *t)
{
	if (!t->dir->main->ready)
		return;
	t->each = NULL;
	ask(t, "alice");
}

/* it may be slow alone, after a failure, and has longer: but another one is tried beside it */
static void stalls_again(struct t *t)
{
	struct idfw_dir *d = t->dir;

	if (d->main->ready) /* the pause of the other one was over first */
		t->each = ask_when_up;
	if (!d->main->connecting || d->main->server != 0 || d->probe->chan)
		return;
	if (!t->jumped)
		first_stalls(t);
	else if (d->servers.list[0].failures == 1 && d->servers.list[1].failures == 1) {
		d->servers.list[1].retry_ms = 0; /* its pause is over */
		skew_ms += DIR_CONNECT_MS + 1;
		t->each = ask_when_up;
	}
}

static void test_other_one_beside_one_that_stalls(void **state)
{
	struct t t;

	(void)state;
	begin(&t, "ldaps://stalls.example", "ldaps://later.example");
	t.each = stalls_again;
	run(&t);
	assert_string_equal(t.from, "ldaps://later.example");
	end(&t);
}

/* what the one has not answered the preferred one is asked for */
static void second_has_it(struct t *t)
{
	if (t->jumped || !t->dir->main->ready || t->dir->queue.n_running == 0)
		return;
	t->jumped = true;
	skew_ms += 60000; /* when it may be well again */
}

static void test_lookup_under_way_at_the_return(void **state)
{
	struct t t;

	(void)state;
	begin(&t, "ldaps://later.example", "ldaps://mute.example");
	t.each = second_has_it;
	ask(&t, "alice");
	run(&t);
	assert_int_equal(t.presence, IDFW_P_FOUND);
	assert_string_equal(t.from, "ldaps://later.example");
	assert_int_equal(t.dir->servers.current, 0);
	end(&t);
}

/* whoever starts asks for all live accounts, but for few at a time */
static void all_sent(struct t *t)
{
	if (t->dir->main->ready && t->dir->queue.n_running)
		io_loop_stop(t->loop);
}

static void test_few_at_a_time(void **state)
{
	char name[16];
	struct t t;

	(void)state;
	begin(&t, "ldaps://mute.example", "ldaps://good.example");
	for (int i = 0; i < 200; i++) {
		(void)snprintf(name, sizeof(name), "u%d", i);
		ask(&t, name);
	}
	t.each = all_sent;
	run(&t);
	assert_int_equal(t.dir->queue.n_running, 2 * DIR_INFLIGHT_EACH);
	end(&t);
}

/* how long it is so, whatever else is told meanwhile */
static void test_since_when_it_is_down(void **state)
{
	struct idfw_dir_info info;
	struct t t;

	(void)state;
	begin(&t, "ldaps://good.example", "ldaps://good.other.example");
	idfw_dir_info(t.dir, &info);
	assert_false(info.known);
	assert_true(info.since_ms > 0); /* that it starts */
	ask(&t, "alice");
	run(&t);
	skew_ms += HOUR_MS;
	idfw_dir_info(t.dir, &info);
	assert_true(info.up);
	assert_in_range(info.so_for_ms, HOUR_MS, 2 * HOUR_MS - 1);
	dir_set_state(t.dir, DIR_DOWN, "it refuses connections");
	idfw_dir_info(t.dir, &info);
	assert_in_range(info.so_for_ms, 0, HOUR_MS - 1);
	skew_ms += HOUR_MS;
	dir_set_state(t.dir, DIR_DOWN, "its certificate has expired"); /* as down as before */
	idfw_dir_info(t.dir, &info);
	assert_in_range(info.so_for_ms, HOUR_MS, 2 * HOUR_MS - 1);
	assert_in_range(info.since_ms, io_clock_real_ms() - 2 * HOUR_MS, io_clock_real_ms());
	dir_set_state(t.dir, DIR_UP, "");
	idfw_dir_info(t.dir, &info);
	assert_in_range(info.so_for_ms, 0, HOUR_MS - 1);
	end(&t);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lookup_of_a_child_that_dies),
		cmocka_unit_test(test_lookup_that_two_servers_die_of_is_unavailable),
		cmocka_unit_test(test_start_while_the_first_stalls),
		cmocka_unit_test(test_other_one_beside_one_that_stalls),
		cmocka_unit_test(test_lookup_under_way_at_the_return),
		cmocka_unit_test(test_few_at_a_time),
		cmocka_unit_test(test_since_when_it_is_down),
	};

	if (argc > 5 && strcmp(argv[1], "--directory") == 0)
		return child_main(argv[4], argv[5]);
	gi_log_init("test_dirfail", GI_LOG_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
