/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_read.c - eps_read(), eps_write(): content, read ahead, limits, guests that go in between
 */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "epsec/eps_int.h"
#include "tests/unit/epsec/fix.h"

#define LARGE (3000000u)

static struct tg_file large_file(void)
{
	return (struct tg_file){
		.path = "/srv/large", .data = fix_content(LARGE), .len = LARGE, .deadline_ms = 60000
	};
}

/* reads [at, at + len) and compares; the caller's buffer is of exactly that size */
static void check_range(struct eps_event *ev, const struct tg_file *file, uint64_t at, size_t len)
{
	uint8_t *buf = malloc(len ? len : 1);
	size_t n = 12345, want = at >= file->len ? 0 : (size_t)(file->len - at);

	want = want < len ? want : len;
	assert_non_null(buf);
	assert_int_equal(eps_read(ev, at, buf, len, &n), 0);
	assert_int_equal(n, want);
	if (want)
		assert_memory_equal(buf, file->data + at, want);
	free(buf);
}

static void allow(struct fix *f, struct eps_event *ev, uint64_t id)
{
	struct tg_verdict v;

	assert_int_equal(fix_answer(ev, EPS_ALLOW), 0);
	tg_verdict(f->tg, id, &v);
}

static void test_read_in_order_reads_ahead(void **state)
{
	struct fix *f = *state;
	struct tg_file file = large_file();
	struct eps_event *ev;
	uint64_t id;

	fix_open(f);
	id = fix_event(f, &file);
	ev = fix_next(f);
	for (uint64_t at = 0; at < LARGE + 5000; at += 5000)
		check_range(ev, &file, at, 5000);
	/* far fewer than one for each read: the window grows to a mebibyte */
	assert_in_range(fix_stats(f).read_requests, 3, 20);
	assert_int_equal(fix_stats(f).read_bytes, LARGE - (16u << 10));
	assert_int_equal(fix_stats(f).ahead_bytes_wasted, 0);
	allow(f, ev, id);
	assert_int_equal(fix_stats(f).memory_bytes, 0);
	free((void *)(uintptr_t)file.data);
}

static void test_read_at_once_and_from_the_head(void **state)
{
	struct fix *f = *state;
	struct tg_file file = large_file();
	struct eps_event *ev;
	uint64_t id;

	fix_open(f);
	file.small = true;
	id = fix_event(f, &file);
	ev = fix_next(f);
	check_range(ev, &file, 0, 16u << 10);
	assert_int_equal(tg_reads(f->tg), 0);
	check_range(ev, &file, 16000, 1000); /* across the end of the head */
	check_range(ev, &file, 0, LARGE);
	check_range(ev, &file, LARGE - 1, 2);
	check_range(ev, &file, LARGE, 2);
	check_range(ev, &file, UINT64_MAX, 2);
	check_range(ev, &file, 5, 0);
	allow(f, ev, id);
	assert_int_equal(fix_stats(f).memory_bytes, 0);
	free((void *)(uintptr_t)file.data);
}

static void test_read_anywhere_wastes_little(void **state)
{
	struct fix *f = *state;
	struct tg_file file = large_file();
	struct eps_event *ev;
	uint32_t x = 1;
	uint64_t id;

	fix_open(f);
	id = fix_event(f, &file);
	ev = fix_next(f);
	for (int i = 0; i < 200; i++) {
		x = x * 1103515245 + 12345;
		check_range(ev, &file, (x >> 4) % LARGE, 100 + (x >> 3) % 3000);
	}
	/* no more than one smallest request each */
	assert_in_range(fix_stats(f).read_bytes, 1, 200u * (17u << 10));
	/* a stretch, then back to its beginning, then on */
	check_range(ev, &file, 500000, 300000);
	check_range(ev, &file, 500000, 300000);
	check_range(ev, &file, 800000, 300000);
	check_range(ev, &file, 1900000, 300000);
	allow(f, ev, id);
	assert_int_equal(fix_stats(f).memory_bytes, 0);
	assert_int_equal(fix_stats(f).guests, 1);
	free((void *)(uintptr_t)file.data);
}

static void test_read_error_of_the_guest(void **state)
{
	struct fix *f = *state;
	struct tg_file file = large_file(), shorter;
	struct eps_event *ev;
	uint8_t buf[100];
	size_t n = 0;
	uint64_t id;

	fix_open(f);
	file.read_err = EIO;
	id = fix_event(f, &file);
	ev = fix_next(f);
	assert_int_equal(eps_read(ev, 20000, buf, 100, &n), -EIO);
	assert_int_equal(eps_read(ev, 20000, buf, 100, &n), -EIO);
	file.read_err = ESTALE;
	assert_int_equal(eps_read(ev, 90000, buf, 100, &n), -EPS_ECHANGED);
	file.read_err = 0;
	check_range(ev, &file, 90000, 100);
	allow(f, ev, id);
	/* it became shorter than its event said */
	shorter = file;
	shorter.size = LARGE + 1000;
	id = fix_event(f, &shorter);
	ev = fix_next(f);
	assert_int_equal(eps_read(ev, LARGE - 50, buf, 100, &n), -EPS_ECHANGED);
	allow(f, ev, id);
	assert_int_equal(fix_stats(f).memory_bytes, 0);
	free((void *)(uintptr_t)file.data);
}

static void test_read_ends_at_the_deadline(void **state)
{
	struct fix *f = *state;
	struct tg_file file = large_file();
	struct eps_event *ev;
	uint8_t buf[100];
	size_t n = 0;
	uint64_t id;
	struct tg_verdict v;

	fix_open(f);
	file.silent = true;
	file.deadline_ms = 50;
	id = fix_event(f, &file);
	ev = fix_next(f);
	/* or the deadline had passed before */
	assert_true(eps_read(ev, 20000, buf, 100, &n) < 0);
	assert_true(eps_event_gone(ev));
	assert_int_equal(eps_read(ev, 20000, buf, 100, &n), -EPS_EGONE);
	assert_int_equal(eps_write(ev, buf, 100, false), -EPS_EGONE);
	/* it is said all the same: the agent has not given it up */
	assert_int_equal(fix_answer(ev, EPS_ALLOW), -EPS_EGONE);
	tg_verdict(f->tg, id, &v);
	free((void *)(uintptr_t)file.data);
}

static void test_silent_guest_is_waited_for_so_long(void **state)
{
	struct fix *f = *state;
	struct tg_file file = large_file();
	struct eps_event *ev;
	uint8_t buf[100];
	size_t n = 0;
	uint64_t id;
	struct tg_verdict v;

	fix_open(f);
	f->eps->silence_ms = 20;
	file.silent = true;
	file.deadline_ms = 0; /* none */
	id = fix_event(f, &file);
	ev = fix_next(f);
	assert_true(eps_event_file(ev)->deadline_ms == UINT64_MAX);
	assert_int_equal(eps_read(ev, 20000, buf, 100, &n), -ETIMEDOUT);
	assert_int_equal(eps_write(ev, buf, 100, true), -ETIMEDOUT);
	assert_false(eps_event_gone(ev));
	allow(f, ev, id);
	tg_verdict(f->tg, id, &v);
	assert_int_equal(fix_stats(f).memory_bytes, 0);
	free((void *)(uintptr_t)file.data);
}

struct reader {
	struct eps_event *ev;
	int err;
};

static void *read_thread(void *arg)
{
	struct reader *r = arg;
	uint8_t buf[100];
	size_t n;

	r->err = eps_read(r->ev, 50000, buf, 100, &n);
	return NULL;
}

static void *write_thread(void *arg)
{
	struct reader *r = arg;
	static uint8_t buf[2u << 20];

	r->err = eps_write(r->ev, buf, sizeof(buf), true);
	return NULL;
}

static void while_it_waits(struct fix *f, void *(*thread)(void *), void (*end)(struct fix *))
{
	struct tg_file file = large_file();
	struct reader r = { 0 };
	pthread_t t;

	fix_open(f);
	file.silent = true;
	(void)fix_event(f, &file);
	r.ev = fix_next(f);
	assert_int_equal(pthread_create(&t, NULL, thread, &r), 0);
	if (thread == read_thread)
		while (tg_reads(f->tg) == 0)
			(void)sched_yield();
	end(f);
	assert_int_equal(pthread_join(t, NULL), 0);
	assert_int_equal(r.err, -EPS_EGONE);
	assert_true(eps_event_gone(r.ev));
	assert_int_equal(fix_answer(r.ev, EPS_ALLOW), -EPS_EGONE);
	assert_int_equal(fix_stats(f).memory_bytes, 0);
	tg_free(f->tg); /* it may still look at the file */
	f->tg = NULL;
	free((void *)(uintptr_t)file.data);
}

static void end_guest(struct fix *f)
{
	tg_down(f->tg, "web01");
}

static void end_link(struct fix *f)
{
	tg_free(f->tg);
	f->tg = NULL;
}

static void end_event(struct fix *f)
{
	Idfw__FileCancel m = IDFW__FILE_CANCEL__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;

	m.id = tg_last_id(f->tg);
	m.reason = IDFW__FILE_CANCEL__REASON__DEADLINE;
	e.body_case = IDFW__ENVELOPE__BODY_FILE_CANCEL;
	e.file_cancel = &m;
	tg_send(f->tg, "web01", &e);
}

static void test_read_ends_with_the_guest(void **state)
{
	while_it_waits(*state, read_thread, end_guest);
}

static void test_read_ends_with_the_link(void **state)
{
	while_it_waits(*state, read_thread, end_link);
}

static void test_read_ends_with_the_event(void **state)
{
	while_it_waits(*state, read_thread, end_event);
}

static void test_write_ends_with_the_guest(void **state)
{
	while_it_waits(*state, write_thread, end_guest);
}

static void test_write_ends_with_the_event(void **state)
{
	while_it_waits(*state, write_thread, end_event);
}

static void *scan_thread(void *arg)
{
	struct fix *f = arg;
	struct eps_event *ev;
	const struct eps_file *file;
	uint8_t buf[7000];
	size_t n = 1;
	uint8_t sum;

	while (eps_next(f->eps, -1, &ev) == 0) {
		file = eps_event_file(ev);
		for (uint64_t at = 0; at < file->size; at += n) {
			if (eps_read(ev, at, buf, sizeof(buf), &n) != 0 || n == 0)
				abort();
			for (size_t i = 0; i < n; i++) {
				sum = (uint8_t)((at + i) ^ (at + i) >> 8 ^ (at + i) >> 16);
				if (buf[i] != sum)
					abort();
			}
		}
		if (fix_answer(ev, EPS_ALLOW) != 0)
			abort();
	}
	return NULL;
}

static void many_readers(struct fix *f, size_t max_memory, unsigned int files)
{
	struct tg_file file = large_file();
	struct tg_verdict v;
	pthread_t t[4];
	uint64_t first = 0, id;

	f->conf.max_memory = max_memory;
	fix_open(f);
	for (unsigned int i = 0; i < files; i++) {
		id = fix_event(f, &file);
		first = first ? first : id;
	}
	fix_wait_queued(f, files);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, scan_thread, f), 0);
	for (id = first; id < first + files; id++) {
		tg_verdict(f->tg, id, &v);
		assert_int_equal(v.kind, 1);
	}
	eps_stop(f->eps);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_join(t[i], NULL), 0);
	assert_int_equal(fix_stats(f).memory_bytes, 0);
	assert_int_equal(fix_stats(f).busy, 0);
	free((void *)(uintptr_t)file.data);
}

static void test_many_readers_at_once(void **state)
{
	many_readers(*state, 0, 40);
}

/* the heads of all just fit: nobody gets anything ahead, everybody gets done */
static void test_many_readers_without_memory(void **state)
{
	many_readers(*state, 10 * (16u << 10) + 100, 10);
}

static void *patient_thread(void *arg)
{
	uint8_t *buf = malloc(300000);
	size_t n = 0;
	intptr_t err = buf ? eps_read(arg, 20000, buf, 300000, &n) : -ENOMEM;

	free(buf);
	return (void *)err;
}

/* what is asked for counts: beyond max_memory each reader has one message under way, no more */
static void test_memory_is_bounded_by_what_is_asked_for(void **state)
{
	enum { READERS = 8, MEMORY = 1 << 20 };
	struct fix *f = *state;
	struct tg_file file = large_file();
	struct eps_event *ev[READERS];
	pthread_t t[READERS];
	void *ret;

	f->conf.max_memory = MEMORY;
	fix_open(f);
	f->eps->silence_ms = 50;
	file.silent = true;
	for (int i = 0; i < READERS; i++) {
		(void)fix_event(f, &file);
		ev[i] = fix_next(f);
	}
	for (int i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, patient_thread, ev[i]), 0);
	for (int i = 0; i < READERS; i++) {
		assert_int_equal(pthread_join(t[i], &ret), 0);
		assert_int_equal((intptr_t)ret, -ETIMEDOUT);
	}
	assert_true(fix_stats(f).memory_bytes > MEMORY / 2);
	assert_true(fix_stats(f).memory_bytes <= MEMORY * 3 / 4 + READERS * WIRE_DATA_MAX);
	for (int i = 0; i < READERS; i++)
		assert_int_equal(fix_answer(ev[i], EPS_ALLOW), 0);
	assert_int_equal(fix_stats(f).memory_bytes, 0);
	free((void *)(uintptr_t)file.data);
}

static void test_replace_content_arrives_in_order(void **state)
{
	struct fix *f = *state;
	struct tg_file file = large_file();
	uint8_t *content = fix_content(2500000);
	struct eps_event *ev;
	struct tg_verdict v;
	uint64_t id;

	fix_open(f);
	file.done = EPS_RESULT_DONE;
	id = fix_event(f, &file);
	ev = fix_next(f);
	assert_int_equal(eps_write(ev, content, 1000, false), 0);
	assert_int_equal(eps_write(ev, content + 1000, 2499000, false), 0);
	assert_int_equal(eps_write(ev, NULL, 0, true), 0);
	assert_int_equal(eps_write(ev, content, 1, true), -EPS_EDONE);
	assert_int_equal(fix_answer(ev, EPS_REPLACE), 0);
	tg_verdict(f->tg, id, &v);
	assert_int_equal(v.kind, 5);
	assert_true(v.content_last);
	assert_int_equal(v.content_len, 2500000);
	assert_memory_equal(v.content, content, 2500000);
	fix_wait(f, &f->n_done, 1);
	assert_int_equal(f->done[0].result, EPS_RESULT_DONE);
	/* with nothing: an empty file */
	id = fix_event(f, &file);
	ev = fix_next(f);
	assert_int_equal(eps_write(ev, NULL, 0, true), 0);
	assert_int_equal(fix_answer(ev, EPS_REPLACE), 0);
	tg_verdict(f->tg, id, &v);
	assert_true(v.content_last);
	assert_int_equal(v.content_len, 0);
	free(content);
	free((void *)(uintptr_t)file.data);
}

static void test_write_error_of_the_guest(void **state)
{
	static const struct {
		int said, heard;
	} errors[] = { { ENOSPC, -ENOSPC }, { EROFS, -EPS_EREFUSED }, { EPERM, -EPS_EREFUSED },
		{ ESTALE, -EPS_ECHANGED } };
	struct fix *f = *state;
	struct tg_file file = large_file();
	struct tg_verdict v;
	struct eps_event *ev;
	uint64_t id;

	fix_open(f);
	for (size_t i = 0; i < GI_ARRAY_SIZE(errors); i++) {
		file.write_err = errors[i].said;
		id = fix_event(f, &file);
		ev = fix_next(f);
		assert_int_equal(eps_write(ev, file.data, 100, true), errors[i].heard);
		assert_int_equal(eps_write(ev, file.data, 100, true), errors[i].heard);
		assert_int_equal(fix_answer(ev, EPS_REPLACE), -EINVAL);
		tg_verdict(f->tg, id, &v);
		assert_true(v.failed);
	}
	free((void *)(uintptr_t)file.data);
}

/* a last piece without bytes is a piece: the guest's word on it is waited for */
static void test_write_ends_with_the_last_piece(void **state)
{
	struct fix *f = *state;
	struct tg_file file = large_file();
	struct tg_verdict v;
	struct eps_event *ev;
	uint64_t id;

	fix_open(f);
	file.last_err = ENOSPC;
	for (size_t len = 0; len <= 100000; len += 100000) {
		id = fix_event(f, &file);
		ev = fix_next(f);
		assert_int_equal(eps_write(ev, file.data, len, false), 0);
		assert_int_equal(eps_write(ev, NULL, 0, true), -ENOSPC);
		assert_int_equal(fix_answer(ev, EPS_REPLACE), -EINVAL);
		tg_verdict(f->tg, id, &v);
		assert_true(v.failed);
	}
	free((void *)(uintptr_t)file.data);
}

static void wait_until_all_arrived(struct fix *f, const struct eps_event *ev)
{
	uint64_t until = io_clock_mono_ms() + TG_WAIT_MS;
	bool all = false;

	while (!all && io_clock_mono_ms() < until) {
		pthread_mutex_lock(&f->eps->lock);
		all = ev->io->wrote == ev->io->sent;
		pthread_mutex_unlock(&f->eps->lock);
		(void)sched_yield();
	}
	assert_true(all);
}

/* how much of it arrived is not known: it must not be completed as if all had */
static void test_write_that_failed_is_not_completed(void **state)
{
	struct fix *f = *state;
	struct tg_file file = large_file();
	Idfw__FileWrote m = IDFW__FILE_WROTE__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	struct tg_verdict v;
	struct eps_event *ev;

	fix_open(f);
	f->eps->silence_ms = 20;
	file.silent = true;
	file.deadline_ms = 0;
	m.id = fix_event(f, &file);
	ev = fix_next(f);
	assert_int_equal(eps_write(ev, file.data, 2000000, false), -ETIMEDOUT);
	m.offset = ev->io->sent; /* all that was sent arrived, but late */
	e.body_case = IDFW__ENVELOPE__BODY_FILE_WROTE;
	e.file_wrote = &m;
	tg_send(f->tg, "web01", &e);
	wait_until_all_arrived(f, ev);
	assert_int_equal(eps_write(ev, file.data, 100, false), -ETIMEDOUT);
	assert_int_equal(eps_write(ev, NULL, 0, true), -ETIMEDOUT);
	assert_int_equal(fix_answer(ev, EPS_REPLACE), -EINVAL);
	tg_verdict(f->tg, m.id, &v);
	assert_true(v.failed);
	free((void *)(uintptr_t)file.data);
}

#define T(name) cmocka_unit_test_setup_teardown(name, fix_setup, fix_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_read_in_order_reads_ahead),
		T(test_read_at_once_and_from_the_head),
		T(test_read_anywhere_wastes_little),
		T(test_read_error_of_the_guest),
		T(test_read_ends_at_the_deadline),
		T(test_silent_guest_is_waited_for_so_long),
		T(test_read_ends_with_the_guest),
		T(test_read_ends_with_the_link),
		T(test_read_ends_with_the_event),
		T(test_write_ends_with_the_guest),
		T(test_write_ends_with_the_event),
		T(test_many_readers_at_once),
		T(test_many_readers_without_memory),
		T(test_memory_is_bounded_by_what_is_asked_for),
		T(test_replace_content_arrives_in_order),
		T(test_write_error_of_the_guest),
		T(test_write_ends_with_the_last_piece),
		T(test_write_that_failed_is_not_completed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
