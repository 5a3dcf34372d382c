/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_scan_worker.c - any bytes as what the service says to a scan worker
 *
 * The worker's loop with an engine that reads all of each content, in and out of order. Whatever
 * comes: no byte outside the content is seen, and each ScanNeed has its answer before the result.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "svm-scan/worker.h"

#define CAP 4096
#define LARGEST (6u << 20)
#define PATIENCE_MS 30

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t piece[300000];

static void engine_scan(void *self, struct scan_content *c, uint32_t ms, struct scan_finding *ret)
{
	uint64_t at = 0;
	int64_t n;

	(void)self;
	(void)ms;
	if (c->have > CAP || c->have > c->size)
		abort();
	while ((n = scan_content_pread(c, piece, sizeof(piece), at)) > 0)
		at += (uint64_t)n;
	if (n == 0 && at != c->size)
		abort();
	(void)scan_content_pread(c, piece, 10, c->size / 2);
	if (scan_content_pread(c, piece, 10, c->size) > 0)
		abort();
	ret->outcome = SCAN_CLEAN;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct scan_worker w = { .conf = { .max_file_bytes = LARGEST, .max_scan_ms = 1000 },
		.n_engines = 1,
		.tmp_fd = -1 };
	int fds[2];

	if (size > 65536)
		return 0;
	w.engine[0] = (struct scan_engine){ .name = "reader", .scan = engine_scan };
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0)
		abort();
	if ((size && write(fds[1], data, size) != (ssize_t)size) || shutdown(fds[1], SHUT_WR) < 0)
		abort();
	scan_msgs_init(&w.msgs, fds[0], WIRE_SCAN_TO_WORKER);
	w.msgs.deadline_ms = scan_now_ms() + PATIENCE_MS;
	if (scan_content_init(&w.content, CAP, &w.msgs) == 0 && scan_worker_serve(&w) == 0)
		abort(); /* it only ends with a reason */
	scan_content_fini(&w.content);
	scan_msgs_fini(&w.msgs);
	(void)close(fds[0]);
	(void)close(fds[1]);
	return 0;
}
