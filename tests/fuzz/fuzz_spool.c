/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_spool.c - any bytes as a segment of the spool: opened, restored, read, written behind,
 * opened again. Nothing that was in the file and is no record may come out, and what is written now
 * must.
 */
#include <assert.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/io/record.h"
#include "lib/io/spool.h"
#include "netagent/events.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct owner {
	struct na_sessions sessions;
	struct na_addrs addrs;
};

static void checkpoint(void *arg, struct gi_buf *out)
{
	struct owner *o = arg;

	na_checkpoint_write(out, 0, &o->sessions, &o->addrs);
}

static void restore(void *arg, enum io_spool_record type, uint64_t seq, const void *buf, size_t len)
{
	struct owner *o = arg;
	int err;

	(void)seq;
	if (type == IO_SPOOL_CHECKPOINT)
		err = na_checkpoint_read(buf, len, &o->sessions, &o->addrs);
	else
		err = na_event_replay(buf, len, &o->sessions, &o->addrs);
	(void)err; /* any is right */
}

static const struct io_spool_ops ops = { .checkpoint = checkpoint, .restore = restore };

static uint64_t open_and_append(const char *dir, uint64_t at_least)
{
	struct owner o = { .addrs = { .n = 0 } };
	struct io_spool_cursor c = { .seq = 0 };
	struct io_spool *sp = NULL;
	struct gi_buf b;
	uint64_t seq, last = 0;

	na_sessions_init(&o.sessions, 1);
	gi_buf_init(&b, IO_SPOOL_EVENT_MAX);
	assert(io_spool_open(dir, 1 << 20, &ops, &o, &sp) == 0);
	assert(io_spool_last_seq(sp) >= at_least);
	while (io_spool_next(sp, &c, &seq, &b) == 1) {
		assert(seq > last);
		last = seq;
	}
	assert(last <= io_spool_last_seq(sp));
	if (io_spool_last_seq(sp) < UINT64_MAX - 2) {
		assert(io_spool_append(sp, "x", 1) == 0);
		assert(io_spool_next(sp, &c, &seq, &b) == 1 && b.len == 1 && b.data[0] == 'x');
	}
	last = io_spool_last_seq(sp);
	io_spool_free(sp);
	na_sessions_fini(&o.sessions);
	gi_buf_fini(&b);
	return last;
}

static void make_records(const uint8_t *data, size_t size, struct gi_buf *out)
{
	gi_buf_append(out, IO_SEGMENT_MAGIC, IO_SEGMENT_MAGIC_LEN);
	while (size >= 3) {
		uint32_t len = data[2] < size - 3 ? data[2] : (uint32_t)(size - 3);

		io_record_encode(out, data[0] & 3, data[1], data + 3, len);
		data += 3 + len;
		size -= 3 + len;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gi_buf file;
	char dir[] = "/tmp/fuzz_spool.XXXXXX", path[64];
	uint64_t last;
	int fd;

	if (!mkdtemp(dir))
		return 0;
	snprintf(path, sizeof(path), "%s/seg-%016x", dir, 7);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	gi_buf_init(&file, 4 << 20);
	if (size && data[0] == 'R')
		make_records(data + 1, size - 1, &file);
	else
		gi_buf_append(&file, data, size);
	assert(fd >= 0 && write(fd, gi_buf_str(&file), file.len) == (ssize_t)file.len);
	gi_buf_fini(&file);
	close(fd);
	last = open_and_append(dir, 0);
	open_and_append(dir, last < UINT64_MAX - 2 ? last : 0);
	for (unsigned int no = 7; no < 11; no++) {
		snprintf(path, sizeof(path), "%s/seg-%016x", dir, no);
		unlink(path);
	}
	assert(rmdir(dir) == 0);
	return 0;
}
