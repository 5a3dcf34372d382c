/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_spool.c - the event spool on real files: order, acknowledgement, restart, every way to break
 *
 * A disk that is full is made by RLIMIT_FSIZE: write(2) then writes a part and fails, as on a full
 * disk, without needing one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/io/record.h"
#include "lib/io/spool.h"

#define MIB (1u << 20)

struct owner { /* an owner whose state is the list of events that it knows */
	uint64_t known[4096];
	size_t n;
	size_t checkpoints; /* restored */
	size_t padding;	    /* bytes that a checkpoint is longer */
};

static char dir[64];

static void checkpoint(void *arg, struct gi_buf *out)
{
	struct owner *o = arg;
	static const uint8_t zero[4096];

	gi_buf_append(out, &o->n, sizeof(o->n));
	gi_buf_append(out, o->known, o->n * sizeof(o->known[0]));
	for (size_t i = 0; i < o->padding; i += sizeof(zero))
		gi_buf_append(out, zero, sizeof(zero));
}

static void restore(void *arg, enum io_spool_record type, uint64_t seq, const void *buf, size_t len)
{
	struct owner *o = arg;

	if (type == IO_SPOOL_CHECKPOINT) {
		assert_true(len >= sizeof(o->n));
		memcpy(&o->n, buf, sizeof(o->n));
		assert_true(len >= sizeof(o->n) + o->n * sizeof(o->known[0]));
		memcpy(o->known, (const uint8_t *)buf + sizeof(o->n), o->n * sizeof(o->known[0]));
		o->checkpoints++;
		return;
	}
	if (o->n == 0 || o->known[o->n - 1] < seq)
		o->known[o->n++] = seq;
}

static const struct io_spool_ops ops = { .checkpoint = checkpoint, .restore = restore };

static void wipe(void)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	if (!d)
		return;
	while ((e = readdir(d))) {
		if (e->d_name[0] != '.')
			assert_int_equal(unlinkat(dirfd(d), e->d_name, 0), 0);
	}
	closedir(d);
}

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/test_spool.XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	wipe();
	return rmdir(dir);
}

static struct io_spool *spool_open(struct owner *o, uint64_t max)
{
	struct io_spool *sp = NULL;

	memset(o, 0, sizeof(*o));
	assert_int_equal(io_spool_open(dir, max, &ops, o, &sp), 0);
	return sp;
}

static int append(struct io_spool *sp, struct owner *o, size_t len)
{
	uint64_t seq = io_spool_last_seq(sp) + 1;
	char payload[4096];
	int err;

	assert_true(len <= sizeof(payload));
	memset(payload, 'p', len);
	snprintf(payload, sizeof(payload), "event %" PRIu64 " ", seq);
	err = io_spool_append(sp, payload, len);
	if (err == 0)
		o->known[o->n++] = seq;
	return err;
}

static void append_n(struct io_spool *sp, struct owner *o, int n)
{
	for (int i = 0; i < n; i++)
		assert_int_equal(append(sp, o, 100), 0);
}

/* reads all above the cursor; they must be from..to without a gap */
static void expect_events(
	struct io_spool *sp, struct io_spool_cursor *c, uint64_t from, uint64_t to)
{
	struct gi_buf b;
	uint64_t seq = 0;

	gi_buf_init(&b, IO_SPOOL_EVENT_MAX);
	for (uint64_t want = from; want <= to; want++) {
		char text[32];

		assert_int_equal(io_spool_next(sp, c, &seq, &b), 1);
		assert_true(seq == want);
		snprintf(text, sizeof(text), "event %" PRIu64 " ", want);
		assert_memory_equal(b.data, text, strlen(text));
	}
	assert_int_equal(io_spool_next(sp, c, &seq, &b), 0);
	gi_buf_fini(&b);
}

static unsigned int files(void)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	unsigned int n = 0;

	assert_non_null(d);
	while ((e = readdir(d)))
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

/* path of the youngest segment */
static void youngest(char path[128])
{
	char best[64] = "";
	DIR *d = opendir(dir);
	struct dirent *e;

	assert_non_null(d);
	while ((e = readdir(d))) {
		if (strncmp(e->d_name, "seg-", 4) == 0 && strcmp(e->d_name, best) > 0)
			snprintf(best, sizeof(best), "%.63s", e->d_name);
	}
	closedir(d);
	snprintf(path, 128, "%s/%s", dir, best);
}

static void test_open_bad_arguments(void **state)
{
	struct owner o = { .n = 0 };
	struct io_spool *sp = NULL;

	(void)state;
	assert_int_equal(io_spool_open(dir, IO_SPOOL_MIN_BYTES - 1, &ops, &o, &sp), -EINVAL);
	assert_int_equal(io_spool_open("/nonexistent/dir", MIB, &ops, &o, &sp), -ENOENT);
	assert_null(sp);
}

static void test_append_and_read_in_order(void **state)
{
	struct io_spool_cursor c = { .seq = 0 };
	struct owner o;
	struct io_spool *sp = spool_open(&o, MIB);

	(void)state;
	expect_events(sp, &c, 1, 0);
	append_n(sp, &o, 3);
	expect_events(sp, &c, 1, 3);
	append_n(sp, &o, 2);
	expect_events(sp, &c, 4, 5);
	c = (struct io_spool_cursor){ .seq = 2 };
	expect_events(sp, &c, 3, 5);
	io_spool_free(sp);
}

static void test_append_too_large_uses_no_number(void **state)
{
	static char big[IO_SPOOL_EVENT_MAX + 1];
	struct owner o;
	struct io_spool *sp = spool_open(&o, MIB);

	(void)state;
	assert_int_equal(io_spool_append(sp, big, sizeof(big)), -GI_ELIMIT);
	assert_true(io_spool_last_seq(sp) == 0);
	io_spool_free(sp);
}

static void test_reopen_restores_state_and_events(void **state)
{
	struct io_spool_cursor c = { .seq = 0 };
	struct owner o;
	struct io_spool *sp = spool_open(&o, MIB);

	(void)state;
	append_n(sp, &o, 7);
	io_spool_free(sp);
	for (int i = 0; i < 3; i++) { /* restarts without a new event leave nothing behind */
		sp = spool_open(&o, MIB);
		assert_int_equal(o.n, 7);
		assert_int_equal(o.checkpoints, 1);
		assert_true(io_spool_last_seq(sp) == 7);
		io_spool_free(sp);
		assert_true(files() <= 2);
	}
	sp = spool_open(&o, MIB);
	append_n(sp, &o, 1);
	expect_events(sp, &c, 1, 8);
	io_spool_ack(sp, 8);
	assert_int_equal(files(), 1);
	io_spool_free(sp);
	sp = spool_open(&o, MIB);
	assert_int_equal(o.n, 8); /* the state outlives the acknowledged events */
	assert_true(io_spool_last_seq(sp) == 8);
	io_spool_free(sp);
}

static void test_ack_frees_segments_and_is_monotonic(void **state)
{
	struct io_spool_cursor c = { .seq = 0 };
	struct io_spool_stats st;
	struct owner o;
	struct io_spool *sp = spool_open(&o, 256 << 10); /* segments of 32 KiB */

	(void)state;
	append_n(sp, &o, 1000);
	assert_true(files() > 3);
	io_spool_ack(sp, 500);
	io_spool_ack(sp, 100);	/* nothing */
	io_spool_ack(sp, 5000); /* never given out: nothing */
	io_spool_stats(sp, &st);
	assert_true(st.acked_seq == 500);
	c.seq = 500;
	expect_events(sp, &c, 501, 1000);
	io_spool_ack(sp, 1000);
	assert_int_equal(files(), 1);
	append_n(sp, &o, 10);
	expect_events(sp, &c, 1001, 1010);
	io_spool_free(sp);
}

/* a reader that stands in a segment which goes away loses nothing */
static void test_ack_below_a_reader(void **state)
{
	struct io_spool_cursor c = { .seq = 0 };
	struct owner o;
	struct io_spool *sp = spool_open(&o, 256 << 10);
	struct gi_buf b;
	uint64_t seq;

	(void)state;
	gi_buf_init(&b, IO_SPOOL_EVENT_MAX);
	append_n(sp, &o, 1000);
	for (int i = 0; i < 600; i++)
		assert_int_equal(io_spool_next(sp, &c, &seq, &b), 1);
	assert_true(seq == 600);
	io_spool_ack(sp, 600);
	expect_events(sp, &c, 601, 1000);
	gi_buf_fini(&b);
	io_spool_free(sp);
}

static void test_torn_tail_every_length(void **state)
{
	struct owner o;
	struct io_spool *sp = spool_open(&o, MIB);
	struct io_spool_stats st;
	char path[128];
	struct stat info;
	static uint8_t whole[4096];
	int fd;

	(void)state;
	append_n(sp, &o, 3);
	io_spool_free(sp);
	youngest(path);
	assert_int_equal(stat(path, &info), 0);
	fd = open(path, O_RDONLY);
	assert_true(read(fd, whole, sizeof(whole)) == info.st_size);
	close(fd);
	for (off_t len = info.st_size; len >= 0; len--) {
		wipe();
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		assert_true(write(fd, whole, (size_t)len) == len);
		close(fd);
		sp = spool_open(&o, MIB);
		io_spool_stats(sp, &st);
		/* what is whole is there, what is torn is not, and says so */
		assert_true(o.n <= 3);
		assert_int_equal(o.n == 3, len == info.st_size);
		assert_true(io_spool_last_seq(sp) == o.n);
		append_n(sp, &o, 2);
		assert_true(io_spool_last_seq(sp) == o.n);
		io_spool_free(sp);
		sp = spool_open(&o, MIB);
		assert_true(io_spool_last_seq(sp) == o.n);
		io_spool_free(sp);
	}
}

static void test_flipped_bytes_are_never_believed(void **state)
{
	struct owner o;
	struct io_spool *sp = spool_open(&o, MIB);
	static uint8_t whole[4096];
	char path[128];
	ssize_t size;
	int fd;

	(void)state;
	append_n(sp, &o, 3);
	io_spool_free(sp);
	youngest(path);
	fd = open(path, O_RDONLY);
	size = read(fd, whole, sizeof(whole));
	assert_true(size > 300);
	close(fd);
	for (ssize_t at = 0; at < size; at++) {
		struct gi_buf b;
		struct io_spool_cursor c = { .seq = 0 };
		uint64_t seq;

		wipe();
		whole[at] ^= 0x41;
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		assert_true(write(fd, whole, (size_t)size) == size);
		close(fd);
		whole[at] ^= 0x41;
		sp = spool_open(&o, MIB);
		assert_true(o.n < 3);
		gi_buf_init(&b, IO_SPOOL_EVENT_MAX);
		while (io_spool_next(sp, &c, &seq, &b) == 1) {
			char text[32];

			snprintf(text, sizeof(text), "event %" PRIu64 " ", seq);
			assert_memory_equal(b.data, text, strlen(text));
		}
		gi_buf_fini(&b);
		io_spool_free(sp);
	}
}

static void test_foreign_files_are_left_alone(void **state)
{
	static const char *const names[] = { "README", "seg-", "seg-zzzzzzzzzzzzzzzz",
		"seg-00000000000000001" };
	struct owner o;
	struct io_spool *sp;
	char path[128];

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		close(open(path, O_CREAT | O_WRONLY, 0600));
	}
	sp = spool_open(&o, MIB);
	append_n(sp, &o, 1);
	io_spool_ack(sp, 1);
	io_spool_free(sp);
	assert_int_equal(files(), GI_ARRAY_SIZE(names) + 1);
}

static void test_limit_holds_events_in_memory_then_on_disk(void **state)
{
	struct io_spool_cursor c = { .seq = 0 };
	struct io_spool_stats st;
	struct owner o;
	struct io_spool *sp = spool_open(&o, IO_SPOOL_MIN_BYTES);

	(void)state;
	append_n(sp, &o, 1000); /* 120 KB; the state of the owner is 8 KB then */
	io_spool_stats(sp, &st);
	assert_int_equal(st.disk_err, -GI_EFULL);
	assert_true(st.bytes <= IO_SPOOL_MIN_BYTES);
	assert_true(st.mem_events > 0);
	assert_true(st.lost_events == 0);
	expect_events(sp, &c, 1, 1000);
	io_spool_ack(sp, 1000);
	io_spool_stats(sp, &st);
	assert_true(st.mem_events == 0);
	append_n(sp, &o, 5);
	io_spool_stats(sp, &st);
	assert_int_equal(st.disk_err, 0);
	expect_events(sp, &c, 1001, 1005);
	io_spool_free(sp);
	sp = spool_open(&o, IO_SPOOL_MIN_BYTES);
	assert_true(io_spool_last_seq(sp) == 1005);
	assert_true(o.n == 1005);
	io_spool_free(sp);
}

static void test_no_room_anywhere_is_efull_and_counted(void **state)
{
	struct io_spool_stats st;
	struct owner o;
	struct io_spool *sp = spool_open(&o, IO_SPOOL_MIN_BYTES);
	uint64_t before;
	int err;

	(void)state;
	do {
		o.n = 0; /* its list is short */
		before = io_spool_last_seq(sp);
		err = append(sp, &o, 4000);
	} while (err == 0);
	assert_int_equal(err, -GI_EFULL);
	assert_true(io_spool_last_seq(sp) == before + 1); /* a gap tells the SVM */
	io_spool_stats(sp, &st);
	assert_true(st.lost_events == 1);
	io_spool_ack(sp, before);
	o.n = 0;
	assert_int_equal(append(sp, &o, 100), 0);
	io_spool_free(sp);
}

static void limit_files(rlim_t bytes)
{
	struct rlimit r;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &r), 0);
	r.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &r), 0);
}

static void test_disk_full_leaves_no_half_record(void **state)
{
	struct io_spool_cursor c = { .seq = 0 };
	struct io_spool_stats st;
	struct owner o;
	struct io_spool *sp = spool_open(&o, MIB);

	(void)state;
	append_n(sp, &o, 3);
	limit_files(500);
	append_n(sp, &o, 10);
	io_spool_stats(sp, &st);
	assert_int_equal(st.disk_err, -EFBIG);
	assert_true(st.mem_events > 0);
	expect_events(sp, &c, 1, 13);
	limit_files(RLIM_INFINITY);
	io_spool_flush(sp);
	io_spool_stats(sp, &st);
	assert_int_equal(st.disk_err, 0);
	assert_true(st.mem_events == 0);
	append_n(sp, &o, 1);
	c.seq = 0, c.segment = 0, c.offset = 0;
	expect_events(sp, &c, 1, 14);
	io_spool_free(sp);
	sp = spool_open(&o, MIB);
	io_spool_stats(sp, &st);
	assert_true(st.bad_bytes == 0);
	assert_int_equal(o.n, 14);
	io_spool_free(sp);
}

static void test_disk_full_at_start_is_no_end(void **state)
{
	struct io_spool_cursor c = { .seq = 0 };
	struct io_spool_stats st;
	struct owner o;
	struct io_spool *sp;

	(void)state;
	limit_files(10);
	sp = spool_open(&o, MIB);
	io_spool_stats(sp, &st);
	assert_int_equal(st.disk_err, -EFBIG);
	append_n(sp, &o, 3);
	expect_events(sp, &c, 1, 3);
	limit_files(RLIM_INFINITY);
	io_spool_flush(sp);
	io_spool_stats(sp, &st);
	assert_int_equal(st.disk_err, 0);
	io_spool_free(sp);
	sp = spool_open(&o, MIB);
	assert_int_equal(o.n, 3);
	io_spool_free(sp);
}

static void test_skip_to_goes_on_behind(void **state)
{
	struct io_spool_cursor c = { .seq = 57 };
	struct owner o;
	struct io_spool *sp = spool_open(&o, MIB);

	(void)state;
	append_n(sp, &o, 2);
	io_spool_skip_to(sp, 57);
	io_spool_skip_to(sp, 10); /* nothing */
	assert_true(io_spool_last_seq(sp) == 57);
	append_n(sp, &o, 1);
	expect_events(sp, &c, 58, 58);
	io_spool_free(sp);
}

/* checkpoints that are larger than a segment's share do not make a new segment for each event */
static void test_large_state_does_not_thrash(void **state)
{
	struct owner o;
	struct io_spool *sp = spool_open(&o, 4 * MIB);

	(void)state;
	o.padding = MIB;
	append_n(sp, &o, 2000); /* 240 KB */
	assert_true(files() <= 2);
	io_spool_free(sp);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_open_bad_arguments),
		T(test_append_and_read_in_order),
		T(test_append_too_large_uses_no_number),
		T(test_reopen_restores_state_and_events),
		T(test_ack_frees_segments_and_is_monotonic),
		T(test_ack_below_a_reader),
		T(test_torn_tail_every_length),
		T(test_flipped_bytes_are_never_believed),
		T(test_foreign_files_are_left_alone),
		T(test_limit_holds_events_in_memory_then_on_disk),
		T(test_no_room_anywhere_is_efull_and_counted),
		T(test_disk_full_leaves_no_half_record),
		T(test_disk_full_at_start_is_no_end),
		T(test_skip_to_goes_on_behind),
		T(test_large_state_does_not_thrash),
	};

	(void)signal(SIGXFSZ, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
