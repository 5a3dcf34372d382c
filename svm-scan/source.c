/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * source.c - the content of an event of libepsec, for the pool
 *
 * In a slot's thread; the one place where pool and libepsec meet.
 */
#include "svm-scan/pool.h"

static int source_read(void *arg, uint64_t offset, void *buf, size_t len, size_t *ret_len)
{
	return eps_read(arg, offset, buf, len, ret_len);
}

void scan_source_event(struct scan_source *s, struct eps_event *ev)
{
	const struct eps_file *f = eps_event_file(ev);

	*s = (struct scan_source){ .size = f->size,
		.head = f->head,
		.head_len = f->head_len,
		.read = source_read,
		.error = eps_strerror,
		.arg = ev };
}
