/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_dirwork.c - svm-idfw/dirwork.c: lookups that break connections, the server's fault or theirs
 *
 * Its threads and the post are the real ones, the back end and connections are made up here. What
 * is said to the parent is read at the other end of a socket: nothing waits for a time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those first */
#include <cmocka.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/io/loop.h"
#include "svm-idfw/dirwork.h"

#define DEADLINE_MS 60000

enum breaks { NOBODY, POISON, EVERYBODY, POISON_STALLS, EVERYBODY_STALLS, SOMEONE_STALLS };

struct t {
	int fd; /* the parent's end */
	struct dir_post *post;
	struct dir_work *work;
	struct dir_back b;
	Idfw__Envelope *said; /* owned; the last that was read */
	atomic_int breaks, opened;
	atomic_uint_least64_t until_ms; /* what the last lookup was given */
};

static struct t *world;

/* ---- a directory ---- */

void __wrap_dldap_close(struct dldap *d);
void __wrap_dldap_close(struct dldap *d)
{
	free(d);
}

void __wrap_dldap_until(struct dldap *d, uint64_t until_ms);
void __wrap_dldap_until(struct dldap *d, uint64_t until_ms)
{
	(void)d;
	if (until_ms)
		atomic_store(&world->until_ms, until_ms);
}

static struct dldap *connection(void)
{
	void *d = malloc(1);

	atomic_fetch_add(&world->opened, 1);
	if (!d)
		abort();
	return d;
}

static int on_open(void *arg, const struct dir_back *b, char why[DIR_WHY_MAX], struct dldap **ret)
{
	(void)arg;
	(void)b;
	(void)why;
	*ret = connection();
	return 0;
}

static void on_lost(void *arg)
{
	(void)arg;
}

static int lookup(struct dir_back *b, const char *name, const uint8_t *sid, size_t sid_len,
	struct dir_answer *ret, char why[DIR_WHY_MAX])
{
	int breaks = atomic_load(&world->breaks);

	(void)sid;
	(void)sid_len;
	if (!b->look)
		abort();
	if (breaks == EVERYBODY || (breaks == POISON && strcmp(name, "poison") == 0)) {
		dir_why(why, "connection lost");
		return -ECONNRESET;
	}
	if (breaks == EVERYBODY_STALLS ||
		(breaks == POISON_STALLS && strcmp(name, "poison") == 0) ||
		(breaks == SOMEONE_STALLS && strcmp(name, "someone") == 0)) {
		dir_why(why, "nothing comes");
		return -ETIMEDOUT;
	}
	if (strcmp(name, "carol") == 0) {
		ret->status = IDFW__DIR_RESULT__STATUS__OK;
		return 0;
	}
	dir_answer_fail(ret, IDFW__DIR_RESULT__STATUS__NOT_FOUND, "no %s", name);
	return 0;
}

static const struct dir_back_ops ops = { .lookup = lookup };

/* ---- its parent ---- */

static bool on_message(void *arg, Idfw__Envelope *e)
{
	return dir_work_put(((struct t *)arg)->work, e);
}

static void on_ended(void *arg, bool failed)
{
	(void)arg;
	assert_false(failed);
}

static void frame_read(int fd, uint8_t *to, size_t n)
{
	while (n) {
		ssize_t got = read(fd, to, n);

		assert_true(got > 0);
		to += got;
		n -= (size_t)got;
	}
}

/* the next message */
static const Idfw__Envelope *said(struct t *t)
{
	const char *why = "";
	uint8_t head[4], *frame;
	size_t len = 0;

	frame_read(t->fd, head, sizeof(head));
	for (size_t i = 0; i < sizeof(head); i++)
		len = len << 8 | head[i];
	assert_true(len <= WIRE_FRAME_MAX);
	frame = malloc(len);
	assert_non_null(frame);
	frame_read(t->fd, frame, len);
	wire_envelope_free(t->said);
	t->said = NULL;
	assert_int_equal(
		wire_envelope_decode(frame, len, WIRE_DIR_CHILD, WIRE_OPEN, &t->said, &why), 0);
	free(frame);
	return t->said;
}

static void ask(struct t *t, uint64_t id, const char *name)
{
	Idfw__DirLookup l = IDFW__DIR_LOOKUP__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	struct gi_buf out;
	uint8_t head[4];

	l.id = id;
	l.name = (char *)(uintptr_t)name;
	e.body_case = IDFW__ENVELOPE__BODY_DIR_LOOKUP;
	e.dir_lookup = &l;
	gi_buf_init(&out, WIRE_FRAME_MAX);
	assert_int_equal(wire_envelope_encode(&e, &out), 0);
	for (size_t i = 0; i < sizeof(head); i++)
		head[i] = (uint8_t)(out.len >> (8 * (3 - i)));
	assert_int_equal(write(t->fd, head, sizeof(head)), sizeof(head));
	assert_int_equal(write(t->fd, out.data, out.len), out.len);
	gi_buf_fini(&out);
}

static void is_answer(struct t *t, uint64_t id, enum _Idfw__DirResult__Status status)
{
	const Idfw__Envelope *e = said(t);

	assert_int_equal(e->body_case, IDFW__ENVELOPE__BODY_DIR_RESULT);
	assert_int_equal(e->dir_result->id, id);
	assert_int_equal(e->dir_result->status, status);
}

/* an answer is counted after it went */
static void answers_are(struct t *t, uint64_t n)
{
	for (unsigned int i = 0; dir_work_answers(t->work) < n && i < 60000; i++)
		usleep(1000);
	assert_int_equal(dir_work_answers(t->work), n);
}

static int setup(void **state)
{
	static const struct dir_post_ops post_ops = { .message = on_message, .ended = on_ended };
	struct dir_work_conf conf = {
		.connections = 1, .deadline_ms = DEADLINE_MS, .open = on_open, .lost = on_lost
	};
	struct t *t = calloc(1, sizeof(*t));
	int fds[2];

	if (!t || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return -1;
	world = t;
	t->fd = fds[0];
	t->b.ops = &ops;
	(void)snprintf(t->b.sample, sizeof(t->b.sample), "someone");
	if (dir_post_new(fds[1], &post_ops, t, &t->post) < 0)
		return -1;
	conf.post = t->post;
	if (dir_work_new(&conf, &t->work) < 0)
		return -1;
	dir_work_up(t->work, &t->b, connection());
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct t *t = *state;
	bool stopped = dir_work_stop(t->work);

	/* who gave the last answer, or opens another connection, may not be at rest yet */
	for (unsigned int i = 0; !stopped && i < 60000; i++) {
		usleep(1000);
		stopped = dir_work_stop(t->work);
	}
	close(t->fd);
	dir_post_free(t->post);
	dir_work_free(t->work);
	wire_envelope_free(t->said);
	free(t);
	return stopped ? 0 : -1;
}

/* ---- tests ---- */

static void test_one_account_that_breaks_connections_is_no_outage(void **state)
{
	struct t *t = *state;
	char why[DIR_WHY_MAX];

	atomic_store(&t->breaks, POISON);
	for (uint64_t id = 1; id < 10; id += 2) {
		ask(t, id, "poison");
		is_answer(t, id, IDFW__DIR_RESULT__STATUS__UNAVAILABLE);
		ask(t, id + 1, "bob");
		is_answer(t, id + 1, IDFW__DIR_RESULT__STATUS__NOT_FOUND);
	}
	assert_false(dir_work_lost(t->work, why));
	assert_true(dir_work_connected(t->work));
	answers_are(t, 10);				   /* each somebody's in its place */
	assert_int_equal(atomic_load(&t->opened), 1 + 10); /* two for each that was poison */
}

static void test_a_server_that_answers_nobody_is_down(void **state)
{
	struct t *t = *state;
	const Idfw__Envelope *e;
	char why[DIR_WHY_MAX];

	atomic_store(&t->breaks, EVERYBODY);
	ask(t, 1, "bob");
	e = said(t);
	assert_int_equal(e->body_case, IDFW__ENVELOPE__BODY_DIR_STATE);
	assert_false(e->dir_state->up);
	assert_string_equal(e->dir_state->text, "connection lost");
	is_answer(t, 1, IDFW__DIR_RESULT__STATUS__UNAVAILABLE);
	assert_true(dir_work_lost(t->work, why));
	assert_int_equal(dir_work_answers(t->work), 0);
}

/* nobody is known who could be looked up in its place */
static void test_without_a_sample_it_is_the_server(void **state)
{
	struct t *t = *state;

	t->b.sample[0] = '\0';
	dir_work_up(t->work, &t->b, NULL);
	atomic_store(&t->breaks, POISON);
	ask(t, 1, "poison");
	assert_int_equal(said(t)->body_case, IDFW__ENVELOPE__BODY_DIR_STATE);
	is_answer(t, 1, IDFW__DIR_RESULT__STATUS__UNAVAILABLE);
}

/* the server answers where changes are looked for, so it is asked for somebody else */
static void test_one_account_that_stalls_is_no_outage(void **state)
{
	struct t *t = *state;
	uint64_t now = io_clock_mono_ms();
	char why[DIR_WHY_MAX];

	atomic_store(&t->breaks, POISON_STALLS);
	dir_work_heard(t->work, UINT64_MAX);
	for (uint64_t id = 1; id < 10; id += 2) {
		ask(t, id, "poison");
		is_answer(t, id, IDFW__DIR_RESULT__STATUS__UNAVAILABLE);
		assert_string_equal(t->said->dir_result->text, "nothing comes");
		ask(t, id + 1, "bob");
		is_answer(t, id + 1, IDFW__DIR_RESULT__STATUS__NOT_FOUND);
	}
	assert_false(dir_work_lost(t->work, why));
	assert_true(dir_work_connected(t->work));
	answers_are(t, 10);
	assert_int_equal(atomic_load(&t->opened), 1 + 5); /* one for each that stood still */
	/* no lookup may take so long that the parent has to end us */
	assert_in_range(atomic_load(&t->until_ms), now, io_clock_mono_ms() + DEADLINE_MS * 4 / 5);
}

static void is_down(struct t *t, uint64_t id)
{
	const Idfw__Envelope *e = said(t);
	char why[DIR_WHY_MAX];

	assert_int_equal(e->body_case, IDFW__ENVELOPE__BODY_DIR_STATE);
	assert_false(e->dir_state->up);
	is_answer(t, id, IDFW__DIR_RESULT__STATUS__UNAVAILABLE);
	assert_true(dir_work_lost(t->work, why));
	assert_string_equal(why, "nothing comes");
}

static void test_a_server_that_stalls_for_all_is_down(void **state)
{
	struct t *t = *state;

	atomic_store(&t->breaks, EVERYBODY_STALLS);
	dir_work_heard(t->work, UINT64_MAX);
	ask(t, 1, "bob");
	is_down(t, 1);
	assert_int_equal(atomic_load(&t->opened), 1 + 1);
}

/* where changes are looked for it does not answer either: nobody tries to connect */
static void test_a_server_that_stands_still_is_down_at_once(void **state)
{
	struct t *t = *state;

	atomic_store(&t->breaks, POISON_STALLS);
	dir_work_heard(t->work, 1);
	ask(t, 1, "poison");
	is_down(t, 1);
	assert_int_equal(atomic_load(&t->opened), 1);
}

/* the account that would be tried is the one that stalls: then one that was found before */
static void test_the_one_that_stalls_is_not_its_own_sample(void **state)
{
	struct t *t = *state;
	char why[DIR_WHY_MAX];

	ask(t, 1, "carol");
	is_answer(t, 1, IDFW__DIR_RESULT__STATUS__OK);
	atomic_store(&t->breaks, SOMEONE_STALLS);
	dir_work_heard(t->work, UINT64_MAX);
	ask(t, 2, "someone");
	is_answer(t, 2, IDFW__DIR_RESULT__STATUS__UNAVAILABLE);
	assert_false(dir_work_lost(t->work, why));
	answers_are(t, 2);
}

static void test_try(void **state)
{
	struct t *t = *state;
	struct dldap *d = connection();
	char why[DIR_WHY_MAX] = "";

	assert_int_equal(dir_work_try(&t->b, d, why), 0);
	atomic_store(&t->breaks, EVERYBODY);
	assert_int_equal(dir_work_try(&t->b, d, why), -ECONNRESET);
	assert_string_equal(why, "connection lost");
	t->b.sample[0] = '\0';
	assert_int_equal(dir_work_try(&t->b, d, why), 0);
	free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_one_account_that_breaks_connections_is_no_outage, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_server_that_answers_nobody_is_down, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_without_a_sample_it_is_the_server, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_one_account_that_stalls_is_no_outage, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_server_that_stalls_for_all_is_down, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_server_that_stands_still_is_down_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_the_one_that_stalls_is_not_its_own_sample, setup, teardown),
		cmocka_unit_test_setup_teardown(test_try, setup, teardown),
	};

	gi_log_init("test_dirwork", GI_LOG_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
