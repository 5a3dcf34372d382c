/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_scan_feed.c - a scan worker that a file has taken over, against the service
 *
 * The bytes are everything that the worker says during one job. Whatever they are: the service
 * hands over nothing that was not asked for, and takes a finding only if it fits the job.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "svm-scan/feed.h"

#define SIZE 64 /* of the content: small, so that nobody has to read what is handed over */
#define JOB 7
#define PATIENCE_MS 30

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int source_read(void *arg, uint64_t offset, void *buf, size_t len, size_t *ret_len)
{
	const uint8_t *content = arg;

	if (len == 0 || len > WIRE_DATA_MAX)
		abort();
	if (offset >= SIZE)
		len = 0;
	else if (len > SIZE - offset)
		len = (size_t)(SIZE - offset);
	memcpy(buf, content + (len ? offset : 0), len);
	*ret_len = len;
	return 0;
}

static void judge(const struct scan_finding *f)
{
	if (f->outcome != SCAN_CLEAN && f->outcome != SCAN_FOUND && f->outcome != SCAN_FAILED)
		abort();
	if ((f->outcome == SCAN_FOUND) != (f->signature[0] != '\0') ||
		(f->outcome == SCAN_FAILED && !f->text[0]))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t content[SIZE];
	struct scan_source src = { .size = SIZE,
		.head = content,
		.head_len = SIZE / 2,
		.read = source_read,
		.error = gi_strerror,
		.arg = content };
	struct scan_finding f = { 0 };
	struct scan_msgs m;
	struct io_sha256 *h;
	const char *why = NULL;
	uint64_t bytes = 0;
	int fds[2];

	memset(content, 'c', sizeof(content));
	if (size > 65536 || io_sha256_new(&h) < 0)
		return 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0)
		abort();
	if ((size && write(fds[1], data, size) != (ssize_t)size) || shutdown(fds[1], SHUT_WR) < 0)
		abort();
	scan_msgs_init(&m, fds[0], WIRE_SCAN_WORKER);
	m.state = WIRE_OPEN; /* it has said ScanReady */
	m.deadline_ms = scan_now_ms() + PATIENCE_MS;
	if (scan_feed(&m, JOB, &src, h, &f, &bytes, &why) == 0)
		judge(&f);
	else if (!why)
		abort();
	if (bytes > 2 * SIZE + SCAN_FEED_SPARE + WIRE_RANGE_MAX)
		abort();
	scan_msgs_fini(&m);
	io_sha256_free(h);
	(void)close(fds[0]);
	(void)close(fds[1]);
	return 0;
}
