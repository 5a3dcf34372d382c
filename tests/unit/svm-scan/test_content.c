/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_content.c - how a worker asks for a file: two requests under way, each byte once
 *
 * The reader runs in a thread, as the worker; the test plays the service and sees each request.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "svm-scan/content.h"

#define MIB (1u << 20)
#define PATIENCE_MS 20000

struct fix {
	struct scan_msgs service, worker;
	struct scan_content content;
	int fds[2];
	pthread_t reader;
	int64_t result;		 /* of the reader */
	const uint64_t *offsets; /* that it reads at; NULL: it fills */
	size_t n;
};

static int setup(void **state)
{
	static struct fix f;

	f = (struct fix){ 0 };
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, f.fds), 0);
	scan_msgs_init(&f.service, f.fds[0], WIRE_SCAN_WORKER);
	scan_msgs_init(&f.worker, f.fds[1], WIRE_SCAN_TO_WORKER);
	f.service.state = f.worker.state = WIRE_OPEN;
	f.service.deadline_ms = f.worker.deadline_ms = scan_now_ms() + PATIENCE_MS;
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;

	scan_content_fini(&f->content);
	scan_msgs_fini(&f->service);
	scan_msgs_fini(&f->worker);
	(void)close(f->fds[0]);
	(void)close(f->fds[1]);
	return 0;
}

/* what is at @offset of the file */
static uint8_t byte_at(uint64_t offset)
{
	return (uint8_t)(offset * 7 + offset / 65521);
}

static void *read_all(void *arg)
{
	struct fix *f = arg;
	uint8_t buf[1000];

	if (!f->offsets)
		f->result = scan_content_fill(&f->content);
	for (size_t i = 0; i < f->n && f->result >= 0; i++) {
		f->result = scan_content_pread(&f->content, buf, sizeof(buf), f->offsets[i]);
		for (int64_t k = 0; k < f->result; k++)
			if (buf[k] != byte_at(f->offsets[i] + (uint64_t)k))
				f->result = -EILSEQ;
	}
	return NULL;
}

static void start(struct fix *f, size_t cap, uint64_t size, const uint64_t *offsets, size_t n)
{
	assert_int_equal(scan_content_init(&f->content, cap, &f->worker), 0);
	scan_content_begin(&f->content, size, NULL, 0);
	f->offsets = offsets;
	f->n = n;
	assert_int_equal(pthread_create(&f->reader, NULL, read_all, f), 0);
}

static void expect_need(struct fix *f, uint64_t offset, uint32_t len)
{
	Idfw__Envelope *e;
	const char *why;

	assert_int_equal(scan_msgs_recv(&f->service, &e, &why), 0);
	assert_int_equal(e->body_case, IDFW__ENVELOPE__BODY_SCAN_NEED);
	assert_int_equal(e->scan_need->offset, offset);
	assert_int_equal(e->scan_need->length, len);
	wire_envelope_free(e);
}

static void answer(struct fix *f, uint64_t offset, uint32_t len, uint32_t error)
{
	uint8_t data[WIRE_DATA_MAX];
	uint64_t end = offset + len;

	do {
		Idfw__ScanBytes b = IDFW__SCAN_BYTES__INIT;
		Idfw__Envelope e = IDFW__ENVELOPE__INIT;

		b.offset = offset;
		b.data.len = error ? 0 : end - offset;
		if (b.data.len > sizeof(data))
			b.data.len = sizeof(data);
		for (size_t i = 0; i < b.data.len; i++)
			data[i] = byte_at(offset + i);
		b.data.data = data;
		b.error = error;
		offset += b.data.len;
		b.last = error || offset == end;
		e.body_case = IDFW__ENVELOPE__BODY_SCAN_BYTES;
		e.scan_bytes = &b;
		assert_int_equal(scan_msgs_send(&f->service, &e), 0);
	} while (!error && offset < end);
}

static void test_fill_has_two_requests_under_way(void **state)
{
	struct fix *f = *state;

	start(f, 8 * MIB, 3 * MIB + 5, NULL, 0);
	expect_need(f, 0, MIB);
	expect_need(f, MIB, MIB); /* nothing was answered yet */
	answer(f, 0, MIB, 0);
	expect_need(f, 2 * MIB, MIB);
	answer(f, MIB, MIB, 0);
	expect_need(f, 3 * MIB, 5);
	answer(f, 2 * MIB, MIB, 0);
	answer(f, 3 * MIB, 5, 0);
	assert_int_equal(pthread_join(f->reader, NULL), 0);
	assert_int_equal(f->result, 0);
	assert_int_equal(f->content.have, 3 * MIB + 5);
	for (size_t i = 0; i < 3 * MIB + 5; i++)
		if (f->content.buf[i] != byte_at(i))
			fail_msg("byte %zu", i);
	assert_int_equal(scan_content_end(&f->content), 0);
}

static void test_fill_error_takes_what_is_under_way(void **state)
{
	struct fix *f = *state;

	start(f, 8 * MIB, 4 * MIB, NULL, 0);
	expect_need(f, 0, MIB);
	expect_need(f, MIB, MIB);
	answer(f, 0, 0, ESTALE);
	answer(f, MIB, 0, ESTALE);
	assert_int_equal(pthread_join(f->reader, NULL), 0);
	assert_int_equal(f->result, -ESTALE);
	assert_int_equal(f->content.under_way, 0);
	assert_false(scan_msgs_pending(&f->service)); /* it asked for nothing more */
	assert_int_equal(scan_content_end(&f->content), 0);
}

/* in order: one request ahead; a jump: the answer under way is kept, not asked for again */
static void test_pread_beyond_the_cap_reads_ahead(void **state)
{
	static const uint64_t offsets[] = { 1 * MIB, 2 * MIB + 500, 5 * MIB - 400, 3 * MIB,
		1 * MIB };
	struct fix *f = *state;

	start(f, MIB, 7 * MIB, offsets, sizeof(offsets) / sizeof(offsets[0]));
	expect_need(f, MIB, MIB);
	expect_need(f, 2 * MIB, MIB);
	answer(f, MIB, MIB, 0);
	expect_need(f, 3 * MIB, MIB); /* 2 MiB is being read: on its way */
	answer(f, 2 * MIB, MIB, 0);
	answer(f, 3 * MIB, MIB, 0); /* the jump: taken first */
	expect_need(f, 4 * MIB, MIB);
	expect_need(f, 5 * MIB, MIB);
	answer(f, 4 * MIB, MIB, 0);
	expect_need(f, 6 * MIB, MIB); /* the read went on into it */
	answer(f, 5 * MIB, MIB, 0);
	assert_int_equal(pthread_join(f->reader, NULL), 0); /* the last two: in a window */
	assert_int_equal(f->result, 1000);
	assert_int_equal(f->content.under_way, 1);
	answer(f, 6 * MIB, 1000, 0);
	assert_int_equal(scan_content_end(&f->content), 0); /* short: an error nobody asks for */
	assert_int_equal(f->content.under_way, 0);
}

static void test_take_bytes_that_were_not_asked_for_are_refused(void **state)
{
	struct fix *f = *state;

	start(f, 8 * MIB, 4 * MIB, NULL, 0);
	expect_need(f, 0, MIB);
	answer(f, 1, 10, 0);
	assert_int_equal(pthread_join(f->reader, NULL), 0);
	assert_int_equal(f->result, -GI_EPROTO);
	assert_int_equal(scan_content_end(&f->content), -GI_EPROTO);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_fill_has_two_requests_under_way),
		T(test_fill_error_takes_what_is_under_way),
		T(test_pread_beyond_the_cap_reads_ahead),
		T(test_take_bytes_that_were_not_asked_for_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
