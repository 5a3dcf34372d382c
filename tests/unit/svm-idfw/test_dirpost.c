/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_dirpost.c - svm-idfw/dirpost.c: order, waiting for room, and a parent that takes nothing
 *
 * The parent's end of the socket is the test's. Its thread is the real one; the test waits for what
 * it does, never for a time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those first */
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "svm-idfw/dirpost.h"

#define BOUND (1u << 20)
#define GROUPS 24 /* that fill a frame */
#define DN 2000
#define PARTS 200 /* more than POST_ROOM_BYTES of them */

struct t {
	int fd; /* the parent's end */
	struct dir_post *post;
	pthread_mutex_t lock; /* of the rest */
	pthread_cond_t cond;
	unsigned int ended;
	bool failed;
};

static bool on_message(void *arg, Idfw__Envelope *e)
{
	(void)arg;
	(void)e;
	return false;
}

static void on_ended(void *arg, bool failed)
{
	struct t *t = arg;

	(void)pthread_mutex_lock(&t->lock);
	t->ended++;
	t->failed = failed;
	(void)pthread_cond_signal(&t->cond);
	(void)pthread_mutex_unlock(&t->lock);
}

static bool has_ended(struct t *t)
{
	bool yes;

	(void)pthread_mutex_lock(&t->lock);
	yes = t->ended != 0;
	(void)pthread_mutex_unlock(&t->lock);
	return yes;
}

static void wait_for_the_end(struct t *t)
{
	(void)pthread_mutex_lock(&t->lock);
	while (!t->ended)
		(void)pthread_cond_wait(&t->cond, &t->lock);
	(void)pthread_mutex_unlock(&t->lock);
}

static int post_new(void **state, size_t max)
{
	static struct dir_post_ops ops = { .message = on_message, .ended = on_ended };
	struct t *t = calloc(1, sizeof(*t));
	int fds[2];

	if (!t || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return -1;
	t->fd = fds[0];
	(void)pthread_mutex_init(&t->lock, NULL);
	(void)pthread_cond_init(&t->cond, NULL);
	*state = t;
	ops.max_bytes = max;
	return dir_post_new(fds[1], &ops, t, &t->post);
}

static int setup(void **state)
{
	return post_new(state, 0);
}

static int setup_narrow(void **state)
{
	return post_new(state, BOUND);
}

static int teardown(void **state)
{
	struct t *t = *state;

	if (t->fd >= 0)
		close(t->fd);
	dir_post_free(t->post);
	(void)pthread_cond_destroy(&t->cond);
	(void)pthread_mutex_destroy(&t->lock);
	free(t);
	return 0;
}

/* a large part of an answer, with that number; its length as it is on the wire */
static size_t part(struct t *t, uint64_t id)
{
	Idfw__DirGroup group = IDFW__DIR_GROUP__INIT, *groups[GROUPS];
	Idfw__DirResult r = IDFW__DIR_RESULT__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	char dn[DN + 1];

	memset(dn, 'x', DN);
	dn[DN] = '\0';
	group.dn = dn;
	for (size_t i = 0; i < GROUPS; i++)
		groups[i] = &group;
	r.id = id;
	r.group = groups;
	r.n_group = GROUPS;
	e.body_case = IDFW__ENVELOPE__BODY_DIR_RESULT;
	e.dir_result = &r;
	dir_post_send(t->post, &e);
	return (size_t)GROUPS * DN;
}

static bool frame_read(int fd, uint8_t *to, size_t n)
{
	while (n) {
		ssize_t got = read(fd, to, n);

		if (got <= 0)
			return false;
		to += got;
		n -= (size_t)got;
	}
	return true;
}

/* how many of PARTS came, in order */
static void *reader(void *arg)
{
	uint8_t head[4], *frame = malloc(WIRE_FRAME_MAX);
	Idfw__Envelope *e = NULL;
	const char *why = "";
	uintptr_t n = 0;

	for (bool ok = frame != NULL; ok && n < PARTS;) {
		size_t len = 0;

		ok = frame_read(*(int *)arg, head, sizeof(head));
		for (size_t i = 0; ok && i < sizeof(head); i++)
			len = len << 8 | head[i];
		ok = ok && len <= WIRE_FRAME_MAX && frame_read(*(int *)arg, frame, len) &&
		     wire_envelope_decode(frame, len, WIRE_DIR_CHILD, WIRE_OPEN, &e, &why) == 0;
		ok = ok && e->dir_result->id == n + 1;
		n += ok;
		wire_envelope_free(e);
		e = NULL;
	}
	free(frame);
	return (void *)n;
}

static void test_all_comes_in_order_for_who_waits(void **state)
{
	struct t *t = *state;
	pthread_t thread;
	void *n = NULL;

	assert_int_equal(pthread_create(&thread, NULL, reader, &t->fd), 0);
	for (uint64_t id = 1; id <= PARTS; id++) {
		dir_post_room(t->post);
		(void)part(t, id);
	}
	assert_int_equal(pthread_join(thread, &n), 0);
	assert_int_equal((uintptr_t)n, PARTS);
	assert_false(has_ended(t));
}

/* so many bytes wait and no more: then it is over, and nobody is held up by it */
static void test_a_parent_that_takes_nothing_is_the_end(void **state)
{
	struct t *t = *state;
	size_t sent = 0;

	for (uint64_t id = 1; !has_ended(t) && id < 100000; id++)
		sent += part(t, id);
	wait_for_the_end(t);
	assert_true(t->failed);
	assert_true(sent > BOUND);
	dir_post_room(t->post); /* comes back: there will never be more room */
	(void)part(t, 1);
	assert_int_equal(t->ended, 1);
}

static void test_a_parent_that_is_gone_is_the_end(void **state)
{
	struct t *t = *state;

	close(t->fd);
	t->fd = -1;
	wait_for_the_end(t);
	assert_false(t->failed); /* its end is ours */
	dir_post_room(t->post);
	(void)part(t, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_all_comes_in_order_for_who_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_parent_that_takes_nothing_is_the_end, setup_narrow, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_parent_that_is_gone_is_the_end, setup, teardown),
	};

	gi_log_init("test_dirpost", GI_LOG_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
