/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_inflight.c - each slot is answered once, whoever is fast, slow or dead
 *
 * The race: a worker and a supervisor in two processes over one table, an answer counted where the
 * write(2) would be; each claim must end with exactly one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fileagent/inflight.h"

#define ROUNDS 6000

struct race { /* shared, too */
	_Atomic uint32_t answers[ROUNDS];
	_Atomic uint32_t done;
	_Atomic uint64_t now_ms;
};

static struct fa_inflight *make(int *ret_fd)
{
	struct fa_inflight *t = NULL;

	assert_int_equal(fa_inflight_new(ret_fd, &t), 0);
	return t;
}

static void test_map_checks_size_seals_magic(void **state)
{
	int fd, other = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct fa_inflight *t = make(&fd), *again = NULL;

	(void)state;
	assert_int_equal(fa_inflight_map(fd, &again), 0);
	fa_inflight_unmap(again);
	assert_int_equal(fa_inflight_map(other, &again), -EINVAL); /* no seals */
	assert_int_equal(ftruncate(other, sizeof(*t)), 0);
	assert_int_equal(fcntl(other, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
	assert_int_equal(fa_inflight_map(other, &again), -EINVAL); /* no magic */
	t->slots = 7;
	assert_int_equal(fa_inflight_map(fd, &again), -EINVAL);
	assert_int_equal(ftruncate(fd, 1), -1); /* sealed */
	fa_inflight_unmap(t);
	(void)close(fd);
	(void)close(other);
}

static void test_claim_full_then_release(void **state)
{
	uint32_t slot, first = 0;
	int fd;
	struct fa_inflight *t = make(&fd);

	(void)state;
	for (int i = 0; i < FA_HELD_MAX; i++) {
		assert_int_equal(fa_inflight_claim(t, i, 1, 1, false, &slot), 0);
		if (i == 0)
			first = slot;
	}
	assert_int_equal(fa_inflight_claim(t, 5, 1, 1, false, &slot), -GI_EFULL);
	assert_true(fa_inflight_win(t, first));
	assert_false(fa_inflight_win(t, first));
	assert_false(fa_inflight_is_answered(t, first));
	fa_inflight_answered(t, first);
	assert_true(fa_inflight_is_answered(t, first));
	fa_inflight_release(t, first);
	assert_int_equal(fa_inflight_claim(t, 5, 1, 1, false, &slot), 0);
	assert_int_equal(slot, first);
	assert_false(fa_inflight_win(t, FA_HELD_MAX));
	fa_inflight_unmap(t);
	(void)close(fd);
}

static void test_due_wins_in_order_of_deadline_only(void **state)
{
	uint32_t a, b, c, iter = 0, slot;
	uint64_t next = 99;
	bool strict;
	int fd, got;
	struct fa_inflight *t = make(&fd);

	(void)state;
	assert_false(fa_inflight_due(t, 10, &iter, &slot, &got, &strict, &next));
	assert_int_equal(next, 0);
	assert_int_equal(fa_inflight_claim(t, 11, 1, 100, true, &a), 0);
	assert_int_equal(fa_inflight_claim(t, 12, 1, 200, false, &b), 0);
	assert_int_equal(fa_inflight_claim(t, 13, 1, 150, false, &c), 0);
	iter = 0;
	assert_true(fa_inflight_due(t, 100, &iter, &slot, &got, &strict, &next));
	assert_int_equal(slot, a);
	assert_int_equal(got, 11);
	assert_true(strict);
	assert_false(fa_inflight_win(t, a)); /* it is won already */
	assert_false(fa_inflight_due(t, 100, &iter, &slot, &got, &strict, &next));
	assert_int_equal(next, 150);
	fa_inflight_answered(t, a);
	iter = 0;
	assert_true(fa_inflight_due(t, 1000, &iter, &slot, &got, &strict, &next));
	assert_true(fa_inflight_due(t, 1000, &iter, &slot, &got, &strict, &next));
	assert_int_equal(got, 13);
	assert_false(strict);
	assert_false(fa_inflight_due(t, 1000, &iter, &slot, &got, &strict, &next));
	fa_inflight_unmap(t);
	(void)close(fd);
}

static void test_due_skips_numbers_that_cannot_be(void **state)
{
	static const int bad[] = { -1, FA_WORKER_FDS, INT32_MAX };
	uint32_t iter = 0, slot, s[3];
	uint64_t next;
	bool strict;
	int fd, got;
	struct fa_inflight *t = make(&fd);

	(void)state;
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(fa_inflight_claim(t, bad[i], 1, 1, false, &s[i]), 0);
	assert_false(fa_inflight_due(t, 10, &iter, &slot, &got, &strict, &next));
	assert_true(fa_inflight_is_answered(t, s[0])); /* the slot is not lost */
	fa_inflight_unmap(t);
	(void)close(fd);
}

/* a process that ends in each state: what must still be answered is said once */
static void test_orphan_after_death_in_each_state(void **state)
{
	static const struct {
		enum fa_slot_state at;
		bool orphan;
	} cases[] = { { FA_FREE, false }, { FA_HELD, true }, { FA_ANSWERING, true },
		{ FA_ANSWERED, false } };

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		int fd, got = -1, status;
		uint32_t iter = 0, slot;
		struct fa_inflight *t = make(&fd);
		bool strict = false;
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0) {
			if (cases[i].at >= FA_HELD &&
				fa_inflight_claim(t, 42, 1, 1, true, &slot) < 0)
				_exit(1);
			if (cases[i].at >= FA_ANSWERING && !fa_inflight_win(t, slot))
				_exit(1);
			if (cases[i].at >= FA_ANSWERED)
				fa_inflight_answered(t, slot);
			(void)raise(SIGKILL);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(fa_inflight_orphan(t, &iter, &got, &strict), cases[i].orphan);
		if (cases[i].orphan) {
			assert_int_equal(got, 42);
			assert_true(strict);
			assert_false(fa_inflight_orphan(t, &iter, &got, &strict));
		}
		/* and the table is all free for the next worker */
		for (int k = 0; k < FA_HELD_MAX; k++)
			assert_int_equal(fa_inflight_claim(t, k, 1, 1, false, &slot), 0);
		fa_inflight_unmap(t);
		(void)close(fd);
	}
}

static void note(struct fa_inflight *t, uint32_t slot, const char *path, uint32_t pid)
{
	const struct fa_ident id = { .dev = 1, .ino = 2, .btime_ns = 3 };

	fa_inflight_note(t, slot,
		&(struct fa_note){ .id = &id, .path = path, .pid = pid, .op = 3, .now_ms = 77 });
}

/* whom the supervisor answered is told to the next worker once, with what is known; who was not, or
 * whose slot was used again, is not; nothing in the table is believed */
static void test_unseen_is_whom_the_supervisor_answered(void **state)
{
	char longer[FA_ASKED_PATH + 1];
	uint32_t a, b, c, d, e, iter = 0;
	struct fa_unseen u;
	int fd;
	struct fa_inflight *t = make(&fd);

	(void)state;
	memset(longer, 'x', FA_ASKED_PATH);
	longer[FA_ASKED_PATH] = '\0';
	assert_int_equal(fa_inflight_claim(t, 1, 11, 1, false, &a), 0);
	assert_int_equal(fa_inflight_claim(t, 2, 12, 1, false, &b), 0);
	assert_int_equal(fa_inflight_claim(t, 3, 13, 1, false, &c), 0);
	assert_int_equal(fa_inflight_claim(t, 4, 14, 1, false, &d), 0);
	assert_int_equal(fa_inflight_claim(t, 5, 15, 1, false, &e), 0);
	note(t, a, "/a", 11);
	note(t, b, "/b", 12);
	note(t, c, longer, 13);
	note(t, d, "/d", 14);
	fa_inflight_passed(t, a, false);
	fa_inflight_passed(t, c, true);
	fa_inflight_passed(t, d, false);
	fa_inflight_passed(t, e, false);     /* claimed, and not noted yet */
	t->asked[d].len = FA_ASKED_PATH + 1; /* a lie */
	assert_true(fa_inflight_unseen(t, &iter, &u));
	assert_string_equal(u.path, "/a");
	assert_int_equal(u.id.dev, 1);
	assert_int_equal(u.id.ino, 2);
	assert_int_equal(u.id.btime_ns, 3);
	assert_int_equal(u.pid, 11);
	assert_int_equal(u.op, 3);
	assert_int_equal(u.held_ms, 77);
	assert_false(u.denied || u.cut);
	assert_true(fa_inflight_unseen(t, &iter, &u));
	assert_int_equal(u.pid, 13);
	assert_true(u.denied && u.cut);
	assert_int_equal(strlen(u.path), FA_ASKED_PATH - 1);
	assert_true(fa_inflight_unseen(t, &iter, &u));
	assert_int_equal(u.pid, 14);
	assert_string_equal(u.path, "");
	assert_true(fa_inflight_unseen(t, &iter, &u));
	assert_int_equal(u.pid, 15);
	assert_int_equal(u.held_ms, 0);
	assert_string_equal(u.path, "");
	assert_false(fa_inflight_unseen(t, &iter, &u));
	iter = 0;
	assert_false(fa_inflight_unseen(t, &iter, &u));
	fa_inflight_passed(t, b, false);
	fa_inflight_release(t, b);
	for (uint32_t slot = FA_HELD_MAX; slot != b;)
		(void)!fa_inflight_claim(t, 5, 1, 1, false, &slot);
	iter = 0;
	assert_false(fa_inflight_unseen(t, &iter, &u));
	fa_inflight_unmap(t);
	(void)close(fd);
}

static void test_spare_note_overwrites_none_that_waits(void **state)
{
	struct fa_unseen u;
	uint32_t slot = 0, iter = 0, n = 0;
	int fd;
	struct fa_inflight *t = make(&fd);

	(void)state;
	for (uint32_t i = 0; i < FA_HELD_MAX; i++) {
		slot = fa_inflight_spare(t, i * 7);
		note(t, slot, "/x", i + 1);
		fa_inflight_passed(t, slot, false);
	}
	assert_int_equal(fa_inflight_spare(t, FA_HELD_MAX + 5), 5); /* all wait: one is lost */
	while (fa_inflight_unseen(t, &iter, &u))
		n++;
	assert_int_equal(n, FA_HELD_MAX);
	assert_false(fa_inflight_seen(t, slot, &u));
	fa_inflight_unmap(t);
	(void)close(fd);
}

/* plays the supervisor until all rounds are over; the slot's pid is the number of the round */
static void race_supervisor(struct fa_inflight *t, struct race *r)
{
	while (!atomic_load(&r->done)) {
		uint32_t iter = 0, slot;
		uint64_t next;
		bool strict;
		int fd;

		while (fa_inflight_due(
			t, atomic_load(&r->now_ms), &iter, &slot, &fd, &strict, &next)) {
			atomic_fetch_add(&r->answers[t->slot[slot].pid], 1);
			fa_inflight_answered(t, slot);
		}
	}
	_exit(0);
}

static void test_race_two_processes_one_answer_each(void **state)
{
	struct race *r =
		mmap(NULL, sizeof(*r), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint32_t slot, mine = 0, theirs = 0;
	int fd, status;
	struct fa_inflight *t = make(&fd);
	pid_t pid;

	(void)state;
	assert_true(r != MAP_FAILED);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		race_supervisor(t, r);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		atomic_store(&r->now_ms, i);
		/* just due, or never due while it is held */
		assert_int_equal(fa_inflight_claim(t, (int)(i % 4096), i, i % 3 ? i : UINT64_MAX,
					 false, &slot),
			0);
		if (i % 3 == 1) { /* slow: it is the supervisor's */
			while (!fa_inflight_is_answered(t, slot))
				(void)sched_yield();
		} else {
			for (volatile uint32_t spin = 0; spin < i * 7 % 4096; spin++)
				;
		}
		if (fa_inflight_win(t, slot)) {
			atomic_fetch_add(&r->answers[i], 1);
			fa_inflight_answered(t, slot);
			mine++;
		} else {
			theirs++;
		}
		while (!fa_inflight_is_answered(t, slot))
			(void)sched_yield();
		fa_inflight_release(t, slot);
	}
	atomic_store(&r->done, 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	for (uint32_t i = 0; i < ROUNDS; i++)
		if (atomic_load(&r->answers[i]) != 1)
			fail_msg("round %u: %u answers", i, atomic_load(&r->answers[i]));
	assert_true(mine >= ROUNDS / 3); /* what is never due is never the supervisor's */
	assert_true(theirs >= ROUNDS / 3);
	print_message("worker %u, supervisor %u\n", mine, theirs);
	fa_inflight_unmap(t);
	(void)close(fd);
	(void)munmap(r, sizeof(*r));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_map_checks_size_seals_magic),
		cmocka_unit_test(test_claim_full_then_release),
		cmocka_unit_test(test_due_wins_in_order_of_deadline_only),
		cmocka_unit_test(test_due_skips_numbers_that_cannot_be),
		cmocka_unit_test(test_orphan_after_death_in_each_state),
		cmocka_unit_test(test_unseen_is_whom_the_supervisor_answered),
		cmocka_unit_test(test_spare_note_overwrites_none_that_waits),
		cmocka_unit_test(test_race_two_processes_one_answer_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
