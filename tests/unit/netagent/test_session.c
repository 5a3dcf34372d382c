/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_session.c - the session table and its way through checkpoint, events and Snapshot
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "netagent/events.h"
#include "netagent/leader.h"
#include "netagent/session.h"

static struct na_pam_event login(const char *user, uint32_t uid)
{
	struct na_pam_event ev = { .uid = uid };

	snprintf(ev.user, sizeof(ev.user), "%s", user);
	snprintf(ev.service, sizeof(ev.service), "sshd");
	return ev;
}

static struct na_session *open_one(struct na_sessions *t, const char *user, uint32_t pid)
{
	struct na_pam_event ev = login(user, 1000);
	struct na_origin from = { .leader_pid = pid, .leader_start = 7, .opened_ms = 123456 };
	struct na_session *s = NULL;

	assert_int_equal(na_sessions_open(t, &ev, &from, &s), 0);
	assert_non_null(s);
	return s;
}

static void test_open_numbers_grow(void **state)
{
	struct na_sessions t;

	(void)state;
	na_sessions_init(&t, 100);
	assert_true(open_one(&t, "alice", 10)->id == 100);
	assert_true(open_one(&t, "bob", 11)->id == 101);
	na_sessions_remove(&t, na_sessions_find(&t, 101));
	assert_null(na_sessions_find(&t, 101));
	assert_true(open_one(&t, "bob", 11)->id == 102); /* never used again */
	assert_int_equal(na_sessions_count(&t), 2);
	na_sessions_fini(&t);
}

static void test_find_leader_gives_the_youngest(void **state)
{
	struct na_sessions t;

	(void)state;
	na_sessions_init(&t, 1);
	open_one(&t, "alice", 10);
	open_one(&t, "root", 10);
	open_one(&t, "bob", 11);
	open_one(&t, "nobody", 0);
	assert_true(na_sessions_find_leader(&t, 10)->id == 2);
	assert_null(na_sessions_find_leader(&t, 12));
	assert_null(na_sessions_find_leader(&t, 0));
	na_sessions_fini(&t);
}

static void test_find_same_tells_logins_apart(void **state)
{
	struct na_pam_event ev = login("alice", 1000), other = login("bob", 1000);
	struct na_sessions t;

	(void)state;
	na_sessions_init(&t, 1);
	open_one(&t, "alice", 10);
	assert_non_null(na_sessions_find_same(&t, &ev, 10, 7));
	assert_null(na_sessions_find_same(&t, &ev, 10, 8)); /* the pid again, another process */
	assert_null(na_sessions_find_same(&t, &ev, 11, 7));
	assert_null(na_sessions_find_same(&t, &ev, 0, 7));
	assert_null(na_sessions_find_same(&t, &other, 10, 7));
	ev.uid = 5;
	assert_null(na_sessions_find_same(&t, &ev, 10, 7));
	na_sessions_fini(&t);
}

static void test_open_over_the_maximum_is_elimit(void **state)
{
	struct na_origin from = { .leader_pid = 1, .leader_start = 1 };
	struct na_pam_event ev = login("u", 1);
	struct na_session *s = NULL;
	struct na_sessions t;

	(void)state;
	na_sessions_init(&t, 1);
	for (int i = 0; i < NA_SESSIONS_MAX; i++)
		assert_int_equal(na_sessions_open(&t, &ev, &from, &s), 0);
	s = NULL;
	assert_int_equal(na_sessions_open(&t, &ev, &from, &s), -GI_ELIMIT);
	assert_null(s);
	na_sessions_fini(&t);
}

static void test_restore_refuses_zero_and_twice(void **state)
{
	char text[] = "a";
	struct na_session in = {
		.user = text, .service = text, .tty = text, .rhost = text, .auth = text
	};
	struct na_session *s;
	struct na_sessions t;

	(void)state;
	na_sessions_init(&t, 1);
	assert_int_equal(na_sessions_restore(&t, &in, &s), -EINVAL);
	in.id = 9;
	assert_int_equal(na_sessions_restore(&t, &in, &s), 0);
	assert_int_equal(na_sessions_restore(&t, &in, &s), -EEXIST);
	assert_true(t.next_id == 10);
	na_sessions_fini(&t);
}

static void fill(struct na_sessions *t, struct na_addrs *a, int n)
{
	char user[NA_USER_MAX + 1];

	na_sessions_init(t, 1);
	memset(user, 'u', sizeof(user));
	user[NA_USER_MAX] = '\0';
	for (int i = 0; i < n; i++) {
		struct na_session *s = open_one(t, user, (uint32_t)i + 1);

		assert_int_equal(gi_addr_parse("fd77::1", &s->peer), 0);
	}
	a->n = 2;
	assert_int_equal(gi_addr_parse("10.0.0.1", &a->list[0]), 0);
	assert_int_equal(gi_addr_parse("fd77::9", &a->list[1]), 0);
}

static void test_checkpoint_round_trip(void **state)
{
	struct na_sessions t, back;
	struct na_addrs a, a_back = { .n = 0 };
	struct gi_buf b;

	(void)state;
	fill(&t, &a, 700);
	t.next_id = 5000;
	gi_buf_init(&b, 16 << 20);
	na_checkpoint_write(&b, 42, &t, &a);
	assert_int_equal(gi_buf_error(&b), 0);
	na_sessions_init(&back, 1);
	assert_int_equal(na_checkpoint_read(b.data, b.len, &back, &a_back), 0);
	assert_int_equal(na_sessions_count(&back), 700);
	assert_true(back.next_id == 5000);
	assert_true(na_addrs_equal(&a, &a_back));
	for (struct na_session *s = t.by_id; s; s = s->hh.next) {
		struct na_session *o = na_sessions_find(&back, s->id);

		assert_non_null(o);
		assert_string_equal(o->user, s->user);
		assert_string_equal(o->service, s->service);
		assert_int_equal(o->leader_pid, s->leader_pid);
		assert_true(o->leader_start == 7 && o->opened_ms == 123456);
		assert_int_equal(gi_addr_cmp(&o->peer, &s->peer), 0);
	}
	na_sessions_fini(&t);
	na_sessions_fini(&back);
	gi_buf_fini(&b);
}

static void test_checkpoint_truncated_is_an_error_or_less(void **state)
{
	struct na_sessions t, back;
	struct na_addrs a, a_back = { .n = 0 };
	struct gi_buf b;

	(void)state;
	fill(&t, &a, 3);
	gi_buf_init(&b, 1 << 20);
	na_checkpoint_write(&b, 42, &t, &a);
	for (size_t n = 0; n < b.len; n++) {
		na_sessions_init(&back, 1);
		/* only the numbering, without any part, is a prefix that reads as empty */
		if (n != sizeof(uint64_t))
			assert_true(na_checkpoint_read(b.data, n, &back, &a_back) < 0);
		na_sessions_fini(&back);
	}
	na_sessions_fini(&t);
	gi_buf_fini(&b);
}

static void test_snapshot_parts_are_legal_and_complete(void **state)
{
	struct na_sessions t;
	struct na_addrs a;
	struct gi_buf b;
	size_t at = 0, len, sessions = 0, parts = 0;
	const void *frame;
	bool last = false;

	(void)state;
	fill(&t, &a, 1000);
	gi_buf_init(&b, 16 << 20);
	assert_int_equal(na_snapshot_frames(&b, 9, &t, &a), 0);
	while (na_frames_next(&b, &at, &frame, &len)) {
		Idfw__Envelope *e;
		const char *why;

		assert_false(last);
		assert_int_equal(
			wire_envelope_decode(frame, len, WIRE_AGENT, WIRE_OPEN, &e, &why), 0);
		assert_int_equal(e->body_case, IDFW__ENVELOPE__BODY_SNAPSHOT);
		assert_true(e->snapshot->seq == 9);
		assert_int_equal(e->snapshot->first, parts == 0);
		assert_int_equal(e->snapshot->addresses != NULL, parts == 0);
		last = e->snapshot->last;
		sessions += e->snapshot->n_session;
		parts++;
		wire_envelope_free(e);
	}
	assert_int_equal(at, b.len);
	assert_true(last);
	assert_true(parts > 1);
	assert_int_equal(sessions, 1000);
	na_sessions_fini(&t);
	gi_buf_fini(&b);
}

static struct na_session *open_in(struct na_sessions *t, const struct na_origin *from)
{
	struct na_pam_event ev = login("alice", 1000);
	struct na_session *s = NULL;

	assert_int_equal(na_sessions_open(t, &ev, from, &s), 0);
	return s;
}

static void test_of_cgroup_knows_the_ended(void **state)
{
	const struct na_origin a = { .cgroup = 50 }, b = { .cgroup = 51 },
			       service = { .cgroup = 60, .is_service = true };
	struct na_sessions t;

	(void)state;
	na_sessions_init(&t, 1);
	open_in(&t, &a);
	open_in(&t, &b);
	open_in(&t, &service);
	assert_true(na_sessions_of_cgroup(&t, 50) == 1);
	assert_true(na_sessions_of_cgroup(&t, 51) == 2);
	assert_true(na_sessions_of_cgroup(&t, 60) == 0); /* a service is nobody's outer session */
	assert_true(na_sessions_of_cgroup(&t, 0) == 0);
	na_sessions_remove(&t, na_sessions_find(&t, 1));
	na_sessions_remove(&t, na_sessions_find(&t, 3));
	assert_true(na_sessions_of_cgroup(&t, 50) == 1); /* something may be left in it */
	assert_true(na_sessions_of_cgroup(&t, 60) == 0);
	for (unsigned int i = 0; i < NA_ENDED_MAX; i++)
		na_sessions_ended(&t, 1000 + i, 9000 + i);
	assert_true(na_sessions_of_cgroup(&t, 50) == 0); /* the oldest is forgotten */
	assert_true(na_sessions_of_cgroup(&t, 1000) == 9000);
	na_sessions_fini(&t);
}

static void test_reserve_gives_a_number_once(void **state)
{
	struct na_origin from = { 0 };
	struct na_sessions t;

	(void)state;
	na_sessions_init(&t, 7);
	from.id = na_sessions_reserve(&t);
	assert_true(from.id == 7);
	assert_true(open_one(&t, "bob", 3)->id == 8);
	assert_true(open_in(&t, &from)->id == 7);
	assert_true(open_one(&t, "bob", 3)->id == 9);
	na_sessions_fini(&t);
}

/* cgroups, nesting, kind and what is remembered of ended sessions live through a restart */
static void test_checkpoint_keeps_places(void **state)
{
	const struct na_origin login = { .cgroup = 50, .found = true },
			       nested = { .parent = 1, .leader_pid = 4 },
			       service = { .cgroup = 60, .is_service = true };
	struct na_sessions t, back;
	struct na_addrs a = { .n = 0 };
	struct na_session *s;
	struct gi_buf b;

	(void)state;
	na_sessions_init(&t, 1);
	open_in(&t, &login);
	open_in(&t, &nested);
	open_in(&t, &service);
	for (unsigned int i = 0; i < NA_ENDED_MAX + 5; i++)
		na_sessions_ended(&t, 1000 + i, 9000 + i);
	gi_buf_init(&b, 1 << 20);
	na_checkpoint_write(&b, 1, &t, &a);
	na_sessions_init(&back, 1);
	assert_int_equal(na_checkpoint_read(b.data, b.len, &back, &a), 0);
	s = na_sessions_find(&back, 1);
	assert_true(s->cgroup == 50 && s->found && !s->is_service && s->parent == 0);
	s = na_sessions_find(&back, 2);
	assert_true(s->cgroup == 0 && !s->found && s->parent == 1);
	s = na_sessions_find(&back, 3);
	assert_true(s->cgroup == 60 && s->is_service);
	assert_true(na_sessions_of_cgroup(&back, 1004) == 0);
	assert_true(na_sessions_of_cgroup(&back, 1005) == 9005);
	na_sessions_ended(&back, 1, 1); /* and the oldest goes first again */
	assert_true(na_sessions_of_cgroup(&back, 1005) == 0);
	na_sessions_fini(&back);
	/* an agent before this one wrote no such list */
	b.len -= sizeof(uint32_t) + NA_ENDED_MAX * sizeof(struct na_ended);
	na_sessions_init(&back, 1);
	assert_int_equal(na_checkpoint_read(b.data, b.len, &back, &a), 0);
	assert_int_equal(na_sessions_count(&back), 3);
	/* a length that is no list's */
	gi_buf_append(&b, "\xff\xff\xff\xff\x01", 5);
	na_sessions_fini(&back);
	na_sessions_init(&back, 1);
	assert_int_equal(na_checkpoint_read(b.data, b.len, &back, &a), -GI_EPROTO);
	na_sessions_fini(&back);
	na_sessions_fini(&t);
	gi_buf_fini(&b);
}

static void test_event_replay_is_idempotent(void **state)
{
	struct na_sessions t, back;
	struct na_addrs a, got = { .n = 0 };
	struct gi_buf open, close, addrs;

	(void)state;
	fill(&t, &a, 1);
	gi_buf_init(&open, 1 << 16);
	gi_buf_init(&close, 1 << 16);
	gi_buf_init(&addrs, 1 << 16);
	assert_int_equal(na_event_open(&open, 1, t.by_id), 0);
	assert_int_equal(na_event_close(&close, 2, 1, IDFW__END_REASON__END_LEADER, 5), 0);
	assert_int_equal(na_event_addresses(&addrs, 3, &a), 0);
	na_sessions_init(&back, 1);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(na_event_replay(open.data, open.len, &back, &got), 0);
		assert_int_equal(na_event_replay(open.data, open.len, &back, &got), 0);
		assert_int_equal(na_sessions_count(&back), 1);
		assert_int_equal(na_event_replay(close.data, close.len, &back, &got), 0);
		assert_int_equal(na_event_replay(close.data, close.len, &back, &got), 0);
		assert_int_equal(na_sessions_count(&back), 0);
	}
	assert_int_equal(na_event_replay(addrs.data, addrs.len, &back, &got), 0);
	assert_true(na_addrs_equal(&a, &got));
	assert_true(na_event_replay("x", 1, &back, &got) < 0);
	assert_true(back.next_id == 2);
	na_sessions_fini(&t);
	na_sessions_fini(&back);
	gi_buf_fini(&open);
	gi_buf_fini(&close);
	gi_buf_fini(&addrs);
}

static void test_stat_start_time(void **state)
{
	static const struct {
		const char *line;
		int err;
		uint64_t start;
	} cases[] = {
		{ "1 (a) S 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 4711 23 24\n", 0, 4711 },
		{ "1 (a) b ) (c) S 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23\n", 0,
			22 },
		{ "1 (a) S 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21", -EPROTO, 0 },
		{ "1 (a) S 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 x 23\n", -EPROTO, 0 },
		{ "", -EPROTO, 0 },
	};

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		uint64_t start = 0;

		assert_int_equal(na_stat_start_time(cases[i].line, &start), cases[i].err);
		assert_true(start == cases[i].start);
	}
}

static void test_status_may_lead_is_roots_and_here(void **state)
{
	static const struct {
		const char *text;
		bool may;
	} cases[] = {
		{ "Name:\tsshd\nNSpid:\t71\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\n", true },
		{ "Name:\tsshd\nUid:\t0\t0\t0\t0\nNSpid:\t71\n", true },
		{ "Name:\tsshd\nUid:\t0\t0\t0\t0\nNSpid:\t71", true },
		{ "Name:\tsshd\nUid:\t0\t0\t0\t0\nNSpid:\t71\nNSpgid:\t71\t1\n", true },
		{ "Name:\tan old kernel\nUid:\t0\t0\t0\t0\n", true },
		{ "Name:\tin a container\nUid:\t0\t0\t0\t0\nNSpid:\t71\t1\nNSpgid:\t71\t1\n",
			false },
		{ "Name:\tdeeper\nUid:\t0\t0\t0\t0\nNSpid:\t71\t12\t1\n", false },
		{ "Name:\tdeeper\nUid:\t0\t0\t0\t0\nNSpid:\t71\t12\t1", false },
		{ "Name:\tsudo\nUid:\t1\t0\t0\t0\nNSpid:\t71\n", false },
		{ "Name:\ta user's\nUid:\t7\t7\t7\t7\nNSpid:\t71\n", false },
		{ "Name:\\nUid:\t0\t0\t0\t0\nUid:\t7\t7\t7\t7\n", false },
		{ "", false },
	};

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++)
		assert_int_equal(na_status_may_lead(cases[i].text), cases[i].may);
}

static void test_leader_reopen_tells_pid_reuse(void **state)
{
	uint64_t start = 0;
	int fd = -1;

	(void)state;
	assert_int_equal(na_leader_start_time((uint32_t)getpid(), &start), 0);
	assert_int_equal(na_leader_reopen((uint32_t)getpid(), start, &fd), 0);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(na_leader_reopen((uint32_t)getpid(), start + 1, &fd), -ESRCH);
	assert_int_equal(na_leader_reopen(0x3fffffff, start, &fd), -ESRCH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open_numbers_grow),
		cmocka_unit_test(test_find_leader_gives_the_youngest),
		cmocka_unit_test(test_find_same_tells_logins_apart),
		cmocka_unit_test(test_open_over_the_maximum_is_elimit),
		cmocka_unit_test(test_restore_refuses_zero_and_twice),
		cmocka_unit_test(test_checkpoint_round_trip),
		cmocka_unit_test(test_checkpoint_truncated_is_an_error_or_less),
		cmocka_unit_test(test_of_cgroup_knows_the_ended),
		cmocka_unit_test(test_reserve_gives_a_number_once),
		cmocka_unit_test(test_checkpoint_keeps_places),
		cmocka_unit_test(test_snapshot_parts_are_legal_and_complete),
		cmocka_unit_test(test_event_replay_is_idempotent),
		cmocka_unit_test(test_stat_start_time),
		cmocka_unit_test(test_status_may_lead_is_roots_and_here),
		cmocka_unit_test(test_leader_reopen_tells_pid_reuse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
