/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_outbox.c - records on disk: order, restart, agents' reports, every way to be full
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "svm-scan/report.h"

#define MAX_BYTES (1u << 20)

struct fix {
	char base[64], dir[80];
	struct scan_outbox *o;
	uint64_t told[8]; /* as the callback said, by the VM's last digit */
	size_t n_told;
};

static const uint8_t boot1[16] = "boot number one", boot2[16] = "boot number two";

static void box_open(struct fix *f)
{
	char why[256] = "";

	if (scan_outbox_open(f->dir, MAX_BYTES, why, &f->o) < 0)
		fail_msg("%s", why);
}

static void box_again(struct fix *f)
{
	scan_outbox_free(f->o);
	box_open(f);
}

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	(void)snprintf(f->base, sizeof(f->base), "/tmp/idfw-outbox-XXXXXX");
	assert_non_null(mkdtemp(f->base));
	(void)snprintf(f->dir, sizeof(f->dir), "%s/outbox", f->base);
	box_open(f);
	*state = f;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *w)
{
	(void)st;
	(void)flag;
	(void)w;
	return remove(path);
}

static int teardown(void **state)
{
	struct fix *f = *state;

	scan_outbox_free(f->o);
	(void)nftw(f->base, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

static void rec_init(Idfw__ScanRecord *r, const char *vm)
{
	idfw__scan_record__init(r);
	r->kind = IDFW__SCAN_RECORD__KIND__SERVICE;
	r->vm = (char *)(uintptr_t)vm;
	r->text = (char *)(uintptr_t) "words";
}

static int add(struct fix *f, const char *vm)
{
	Idfw__ScanRecord r;

	rec_init(&r, vm);
	return scan_outbox_add(f->o, &r);
}

static int report(struct fix *f, const char *vm, const uint8_t *boot, uint64_t seq)
{
	Idfw__ScanRecord r;

	rec_init(&r, vm);
	return scan_outbox_report(f->o, vm, boot, seq, &r);
}

static void told(void *arg, const char *vm, const uint8_t boot[16], uint64_t seq)
{
	struct fix *f = arg;

	(void)boot;
	f->told[vm[strlen(vm) - 1] - '0'] = seq;
	f->n_told++;
}

/* all that is to be sent behind @above are records with these numbers, in order */
static size_t drain(struct fix *f, uint64_t above)
{
	struct io_spool_cursor c = { .seq = above };
	struct gi_buf b;
	uint64_t seq, last = above;
	size_t n = 0;

	gi_buf_init(&b, IO_SPOOL_EVENT_MAX);
	while (scan_outbox_next(f->o, &c, &seq, &b) == 1) {
		Idfw__Envelope *e = NULL;
		const char *why = "";

		assert_true(seq > last);
		last = seq;
		assert_int_equal(
			wire_envelope_decode(b.data, b.len, WIRE_SCAN, WIRE_OPEN, &e, &why), 0);
		assert_int_equal(e->scan_record->seq, seq);
		assert_string_equal(e->scan_record->text, "words");
		wire_envelope_free(e);
		n++;
	}
	gi_buf_fini(&b);
	return n;
}

static void test_records_are_numbered_over_restarts(void **state)
{
	struct fix *f = *state;
	struct scan_outbox_stats st;
	uint8_t id[16], again[16];

	scan_outbox_id(f->o, id);
	for (int i = 0; i < 10; i++)
		assert_int_equal(add(f, "web1"), 0);
	assert_int_equal(drain(f, 0), 10);
	box_again(f);
	scan_outbox_id(f->o, again);
	assert_memory_equal(id, again, 16);
	assert_int_equal(add(f, ""), 0);
	assert_int_equal(drain(f, 0), 11);
	assert_int_equal(drain(f, 9), 2);
	scan_outbox_ack(f->o, 11, told, f);
	scan_outbox_stats(f->o, &st);
	assert_int_equal(st.waiting, 0);
	assert_int_equal(st.last_seq, 11);
	assert_int_equal(f->n_told, 0);
	box_again(f);
	assert_int_equal(add(f, "web1"), 0);
	scan_outbox_stats(f->o, &st);
	assert_int_equal(st.last_seq, 12);
}

static void test_ack_of_what_is_not_there_is_ignored(void **state)
{
	struct fix *f = *state;
	struct scan_outbox_stats st;

	assert_int_equal(add(f, "web1"), 0);
	scan_outbox_ack(f->o, 2, told, f);
	scan_outbox_stats(f->o, &st);
	assert_int_equal(st.waiting, 1);
	assert_int_equal(drain(f, 0), 1);
}

static void test_record_nobody_would_take_is_lost_and_counted(void **state)
{
	struct fix *f = *state;
	struct scan_outbox_stats st;

	assert_int_equal(add(f, "no name!"), -GI_EPROTO);
	scan_outbox_stats(f->o, &st);
	assert_int_equal(st.lost, 1);
	assert_int_equal(st.last_seq, 0);
}

static void test_report_is_taken_once_and_told_when_acknowledged(void **state)
{
	struct fix *f = *state;

	assert_int_equal(report(f, "web1", boot1, 1), 0);
	assert_int_equal(add(f, "web1"), 0);
	assert_int_equal(report(f, "web1", boot1, 4), 0); /* 2 and 3 were lost by the agent */
	assert_int_equal(report(f, "web2", boot1, 1), 0);
	assert_int_equal(report(f, "web1", boot1, 4), -EALREADY);
	assert_int_equal(report(f, "web1", boot1, 2), -EALREADY);
	assert_int_equal(drain(f, 0), 4);
	assert_int_equal(scan_outbox_reported(f->o, "web1", boot1), 0);
	scan_outbox_ack(f->o, 2, told, f);
	assert_int_equal(f->told[1], 1);
	assert_int_equal(f->told[2], 0);
	scan_outbox_ack(f->o, 4, told, f);
	assert_int_equal(f->told[1], 4);
	assert_int_equal(f->told[2], 1);
	assert_int_equal(f->n_told, 3);
	assert_int_equal(scan_outbox_reported(f->o, "web1", boot1), 4);
	assert_int_equal(scan_outbox_reported(f->o, "web1", boot2), 0);
}

static int skip_one(struct fix *f, const char *vm, const uint8_t *boot, uint64_t seq, bool *done)
{
	*done = false;
	return scan_outbox_skip(f->o, vm, boot, seq, done);
}

/* acknowledged with those before it, never ahead of them, and no record */
static void test_skipped_report_is_told_behind_those_before_it(void **state)
{
	struct fix *f = *state;
	bool done;

	assert_int_equal(skip_one(f, "web1", boot1, 1, &done), 0);
	assert_true(done); /* nothing is before it */
	assert_int_equal(scan_outbox_reported(f->o, "web1", boot1), 1);
	assert_int_equal(skip_one(f, "web1", boot1, 1, &done), -EALREADY);
	assert_int_equal(report(f, "web1", boot1, 2), 0);
	assert_int_equal(report(f, "web1", boot1, 3), 0);
	assert_int_equal(skip_one(f, "web1", boot1, 4, &done), 0);
	assert_false(done);
	assert_int_equal(skip_one(f, "web1", boot1, 5, &done), 0);
	assert_false(done);
	assert_int_equal(drain(f, 0), 2);
	scan_outbox_ack(f->o, 1, told, f);
	assert_int_equal(f->told[1], 2);
	scan_outbox_ack(f->o, 2, told, f);
	assert_int_equal(f->told[1], 5);
	assert_int_equal(scan_outbox_reported(f->o, "web1", boot1), 5);
	assert_int_equal(report(f, "web1", boot1, 5), -EALREADY);
	assert_int_equal(report(f, "web1", boot1, 6), 0);
}

/* what is held elsewhere, or was refused, comes first: a later number would have it forgotten */
static void test_nothing_is_skipped_behind_what_is_not_written(void **state)
{
	struct fix *f = *state;
	bool done;

	assert_int_equal(scan_outbox_admit(f->o, "web1", boot1, 1), 0);
	scan_outbox_hold(f->o, "web1", boot1, 1, SCAN_OUTBOX_HELD);
	assert_int_equal(skip_one(f, "web1", boot1, 1, &done), -EALREADY);
	assert_int_equal(skip_one(f, "web1", boot1, 2, &done), -EAGAIN);
	assert_false(done);
	assert_int_equal(report(f, "web1", boot1, 1), 0);
	scan_outbox_hold(f->o, "web1", boot1, 1, SCAN_OUTBOX_UNHELD);
	assert_int_equal(skip_one(f, "web1", boot1, 2, &done), 0);
	assert_false(done);
	assert_int_equal(scan_outbox_admit(f->o, "web1", boot1, 3), 0);
	scan_outbox_hold(f->o, "web1", boot1, 3, SCAN_OUTBOX_REFUSED);
	assert_int_equal(skip_one(f, "web1", boot1, 4, &done), -EAGAIN);
	/* another boot's are still on their way */
	assert_int_equal(skip_one(f, "web1", boot2, 5, &done), -EAGAIN);
	scan_outbox_ack(f->o, 1, told, f);
	assert_int_equal(skip_one(f, "web1", boot2, 5, &done), 0);
	assert_true(done);
}

static void test_reports_are_known_after_restart(void **state)
{
	struct fix *f = *state;

	for (uint64_t seq = 1; seq <= 5; seq++)
		assert_int_equal(report(f, "web1", boot1, seq), 0);
	scan_outbox_ack(f->o, 3, told, f);
	box_again(f);
	assert_int_equal(report(f, "web1", boot1, 5), -EALREADY);
	assert_int_equal(drain(f, 3), 2);
	f->n_told = 0;
	scan_outbox_ack(f->o, 4, told, f);
	assert_int_equal(f->told[1], 4);
	scan_outbox_ack(f->o, 5, told, f);
	assert_int_equal(f->told[1], 5);
	/* twice more: nothing of it is in the files any more but the checkpoint */
	box_again(f);
	box_again(f);
	assert_int_equal(drain(f, 5), 0);
	assert_int_equal(scan_outbox_reported(f->o, "web1", boot1), 5);
	assert_int_equal(report(f, "web1", boot1, 5), -EALREADY);
	assert_int_equal(report(f, "web1", boot1, 6), 0);
}

static void test_reports_of_another_boot_begin_anew(void **state)
{
	struct fix *f = *state;

	assert_int_equal(report(f, "web1", boot1, 7), 0);
	assert_int_equal(report(f, "web1", boot2, 1), 0);
	assert_int_equal(report(f, "web1", boot2, 2), 0);
	scan_outbox_ack(f->o, 3, told, f);
	assert_int_equal(scan_outbox_reported(f->o, "web1", boot2), 2);
	assert_int_equal(f->n_told, 2); /* the old boot's as well: its agent may still be there */
}

static void test_full_keeps_the_oldest_and_leaves_reports_with_agents(void **state)
{
	struct fix *f = *state;
	struct scan_outbox_stats st;
	uint64_t reports = 0, n;
	int err;

	while ((err = report(f, "web1", boot1, reports + 1)) == 0)
		reports++;
	assert_int_equal(err, -GI_EFULL);
	assert_true(reports > 1000);
	/* order: nothing behind the refused one, until it came */
	assert_int_equal(report(f, "web1", boot1, reports + 2), -EAGAIN);
	/* records of our own find room where reports do not, then memory, then none */
	for (n = 0; add(f, "web2") == 0; n++)
		assert_true(n < 10000000);
	scan_outbox_stats(f->o, &st);
	assert_true(n > 100);
	assert_int_equal(st.lost, 1);
	assert_int_equal(st.refused, 2);
	assert_int_equal(drain(f, 0), reports + n);
	/* room again */
	scan_outbox_ack(f->o, st.last_seq, told, f);
	assert_int_equal(f->told[1], reports);
	assert_int_equal(report(f, "web1", boot1, reports + 2), -EAGAIN);
	assert_int_equal(report(f, "web1", boot1, reports + 1), 0);
	assert_int_equal(report(f, "web1", boot1, reports + 2), 0);
}

static void test_new_id_for_files_that_are_older_than_they_should_be(void **state)
{
	struct fix *f = *state;
	uint8_t id[16], other[16], again[16];

	scan_outbox_id(f->o, id);
	assert_int_equal(add(f, "web1"), 0);
	assert_int_equal(scan_outbox_new_id(f->o), 0);
	scan_outbox_id(f->o, other);
	assert_memory_not_equal(id, other, 16);
	assert_int_equal(drain(f, 0), 1);
	box_again(f);
	scan_outbox_id(f->o, again);
	assert_memory_equal(other, again, 16);
}

static void test_rubbish_in_the_directory_is_passed_over(void **state)
{
	struct fix *f = *state;
	char path[160];
	FILE *file;

	assert_int_equal(report(f, "web1", boot1, 1), 0);
	scan_outbox_free(f->o);
	(void)snprintf(path, sizeof(path), "%s/seg-00000000000000ff", f->dir);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs("IDFWSPL1 and then rubbish of all kinds, longer than a head", file) >= 0);
	assert_int_equal(fclose(file), 0);
	(void)snprintf(path, sizeof(path), "%s/id", f->dir);
	assert_int_equal(truncate(path, 3), 0);
	box_open(f);
	assert_int_equal(drain(f, 0), 1);
	assert_int_equal(report(f, "web1", boot1, 1), -EALREADY);
	assert_int_equal(add(f, "web1"), 0);
	assert_int_equal(drain(f, 0), 2);
}

static int admit(struct fix *f, const char *vm, const uint8_t *boot, uint64_t seq)
{
	int err = scan_outbox_admit(f->o, vm, boot, seq);

	return err < 0 ? err : report(f, vm, boot, seq);
}

/* a guest that floods has its share, not that of the others; another boot is not another share */
static void test_one_vm_cannot_take_all(void **state)
{
	struct fix *f = *state;
	struct scan_outbox_stats st;
	uint64_t n = 0;
	int err;

	while ((err = admit(f, "web1", boot1, n + 1)) == 0)
		n++;
	assert_int_equal(err, -EAGAIN);
	assert_int_equal(n, SCAN_UNDER_WAY_MAX);
	assert_int_equal(admit(f, "web1", boot1, n + 2), -EAGAIN);
	scan_outbox_again(f->o, told, f);
	assert_int_equal(f->n_told, 0); /* there is no room yet */
	assert_int_equal(admit(f, "web2", boot1, 1), 0);
	assert_int_equal(admit(f, "web1", boot2, 1), -EAGAIN);
	scan_outbox_stats(f->o, &st);
	scan_outbox_ack(f->o, st.last_seq, told, f);
	assert_int_equal(admit(f, "web1", boot2, 2), -EAGAIN); /* not before the first */
	f->n_told = 0;
	scan_outbox_again(f->o, told, f); /* which is asked for, once */
	scan_outbox_again(f->o, told, f);
	assert_int_equal(f->n_told, 1);
	assert_int_equal(f->told[1], 0);
	assert_int_equal(admit(f, "web1", boot2, 1), 0);
	assert_int_equal(admit(f, "web1", boot2, 2), 0);
}

static void test_held_report_is_not_held_twice(void **state)
{
	struct fix *f = *state;

	assert_int_equal(scan_outbox_admit(f->o, "web1", boot1, 1), 0);
	scan_outbox_hold(f->o, "web1", boot1, 1, SCAN_OUTBOX_HELD);
	assert_int_equal(scan_outbox_admit(f->o, "web1", boot1, 1), -EALREADY);
	assert_int_equal(scan_outbox_admit(f->o, "web1", boot1, 2), 0);
	scan_outbox_hold(f->o, "web1", boot1, 1, SCAN_OUTBOX_UNHELD); /* and lost */
	assert_int_equal(admit(f, "web1", boot1, 1), 0);
}

static int send_report(struct scan_report *r, const char *vm, uint64_t seq, size_t text_len)
{
	char text[WIRE_PATH_MAX];
	Idfw__ScanRecord rec;
	bool done;

	memset(text, 'x', sizeof(text));
	rec_init(&rec, vm);
	rec.path.data = (uint8_t *)text;
	rec.path.len = text_len;
	return scan_report_agent(r, vm, boot1, seq, &rec, &done);
}

/* memory is full: a small report must not overtake the large one that found no room */
static void test_nothing_overtakes_a_report_without_room(void **state)
{
	const struct scan_report_conf conf = { .endpoint = "tcp:127.0.0.1:9",
		.dir = ((struct fix *)*state)->base,
		.max_bytes = MAX_BYTES,
		.retry_ms = 1000 };
	struct scan_report *r = NULL;
	struct io_loop *loop = NULL;
	char why[256] = "", vm[16];
	int err = 0;

	assert_int_equal(io_loop_new(&loop), 0);
	if (scan_report_new(loop, &conf, why, &r) < 0)
		fail_msg("%s", why);
	for (unsigned int i = 0; err != -GI_EFULL; i++) {
		uint64_t seq = 1;

		(void)snprintf(vm, sizeof(vm), "vm%u", i);
		while ((err = send_report(r, vm, seq, WIRE_PATH_MAX)) == 0)
			seq++;
		if (err == -GI_EFULL) {
			assert_int_equal(send_report(r, vm, seq + 1, 1), -EAGAIN);
			assert_int_equal(send_report(r, vm, seq, 1), 0);
			assert_int_equal(send_report(r, vm, seq + 1, 1), 0);
		} else {
			assert_int_equal(err, -EAGAIN);
			assert_int_equal(seq, SCAN_UNDER_WAY_MAX + 1);
		}
		assert_true(i < 32);
	}
	scan_report_free(r);
	io_loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(test_records_are_numbered_over_restarts),
		T(test_ack_of_what_is_not_there_is_ignored),
		T(test_record_nobody_would_take_is_lost_and_counted),
		T(test_report_is_taken_once_and_told_when_acknowledged),
		T(test_skipped_report_is_told_behind_those_before_it),
		T(test_nothing_is_skipped_behind_what_is_not_written),
		T(test_reports_are_known_after_restart),
		T(test_reports_of_another_boot_begin_anew),
		T(test_full_keeps_the_oldest_and_leaves_reports_with_agents),
		T(test_new_id_for_files_that_are_older_than_they_should_be),
		T(test_rubbish_in_the_directory_is_passed_over),
		T(test_one_vm_cannot_take_all),
		T(test_held_report_is_not_held_twice),
		T(test_nothing_overtakes_a_report_without_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
