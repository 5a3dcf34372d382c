/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * content.c - asks the service for the file's bytes, in the worker
 *
 * worker.c begins and ends a file, the engines read it. Invariants: at most two ScanNeeds are
 * under way, and all are answered before the next ScanResult goes out; bytes are taken only where
 * they were asked for. Reading errors are sticky: no engine sees a file with a hole.
 * Source: lib/wire/idfw.proto ScanNeed, ScanBytes; docs/scan.md "The scanner's workers".
 */
#include "svm-scan/content.h"

#include <string.h>
#include <sys/mman.h>

#define BUF_KEEP (4u << 20) /* of the buffer that stays resident between files */

static void *content_map(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

int scan_content_init(struct scan_content *c, size_t cap, struct scan_msgs *msgs)
{
	*c = (struct scan_content){ .cap = cap, .msgs = msgs };
	c->buf = content_map(cap);
	return c->buf ? 0 : -ENOMEM;
}

void scan_content_fini(struct scan_content *c)
{
	if (c->buf)
		(void)munmap(c->buf, c->cap);
	if (c->windows)
		(void)munmap(c->windows, SCAN_WINDOWS * (size_t)SCAN_CHUNK);
	c->buf = c->windows = NULL;
}

void scan_content_begin(struct scan_content *c, uint64_t size, const uint8_t *head, size_t head_len)
{
	size_t n = head_len < c->cap ? head_len : c->cap;

	c->size = size;
	c->have = n < size ? n : size;
	c->err = 0;
	c->under_way = 0;
	c->ahead = 0;
	memset(c->window, 0, sizeof(c->window));
	if (c->have)
		memcpy(c->buf, head, (size_t)c->have);
}

/* a broken socket cannot be answered any more; what the source said can */
static bool content_broken(int err)
{
	return err <= -GI_ELIMIT;
}

static int content_ask(struct scan_content *c, uint64_t offset, uint32_t len)
{
	Idfw__ScanNeed need = IDFW__SCAN_NEED__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	int err;

	need.offset = offset;
	need.length = len;
	e.body_case = IDFW__ENVELOPE__BODY_SCAN_NEED;
	e.scan_need = &need;
	err = scan_msgs_send(c->msgs, &e);
	if (err < 0)
		return content_broken(err) ? err : -GI_ECLOSED;
	c->under_way++;
	return 0;
}

/* one whole answer: @len bytes at @offset into @dst; fewer only when reading failed */
static int content_take(struct scan_content *c, uint64_t offset, uint32_t len, uint8_t *dst)
{
	Idfw__Envelope *e;
	const char *why;
	size_t got = 0;
	bool last = false;
	int err, bad = 0;

	while (!last) {
		err = scan_msgs_recv(c->msgs, &e, &why);
		if (err < 0)
			return content_broken(err) ? err : -GI_ECLOSED;
		if (e->body_case != IDFW__ENVELOPE__BODY_SCAN_BYTES ||
			e->scan_bytes->offset != offset + got ||
			e->scan_bytes->data.len > len - got) {
			wire_envelope_free(e);
			return -GI_EPROTO;
		}
		if (e->scan_bytes->data.len)
			memcpy(dst + got, e->scan_bytes->data.data, e->scan_bytes->data.len);
		got += e->scan_bytes->data.len;
		if (e->scan_bytes->error)
			bad = -(int)e->scan_bytes->error;
		last = e->scan_bytes->last;
		wire_envelope_free(e);
	}
	c->under_way--;
	if (bad == 0 && got < len)
		bad = -ENODATA;
	if (bad < 0)
		c->err = bad;
	return bad;
}

int scan_content_fill(struct scan_content *c)
{
	uint64_t target = c->size < c->cap ? c->size : c->cap, asked = c->have;
	uint32_t first = 0, second = 0;
	int err = 0, bad = 0;

	while (c->have < target || c->under_way > 0) {
		while (bad == 0 && c->under_way < 2 && asked < target) {
			second = target - asked < SCAN_CHUNK ? (uint32_t)(target - asked)
							     : SCAN_CHUNK;
			err = content_ask(c, asked, second);
			if (err < 0)
				goto out;
			asked += second;
			if (c->under_way == 1)
				first = second;
		}
		if (c->under_way == 0)
			break;
		err = content_take(c, c->have, first, c->buf + c->have);
		if (content_broken(err))
			goto out;
		if (err < 0)
			bad = bad ? bad : err;
		c->have += first; /* after an error too: where the next answer begins */
		first = second;
	}
	err = bad;
out:
	c->err = err;
	return err;
}

static uint32_t chunk_len(const struct scan_content *c, uint64_t chunk)
{
	uint64_t left = c->size - chunk * SCAN_CHUNK;

	return left < SCAN_CHUNK ? (uint32_t)left : SCAN_CHUNK;
}

static uint8_t *window_of(struct scan_content *c, uint64_t chunk)
{
	for (size_t i = 0; i < SCAN_WINDOWS; i++)
		if (c->window[i] == chunk + 1) {
			c->used[i] = ++c->clock;
			return c->windows + i * SCAN_CHUNK;
		}
	return NULL;
}

/* takes the answer for @chunk into the window that was not used for longest */
static int window_take(struct scan_content *c, uint64_t chunk)
{
	size_t oldest = 0;
	int err;

	for (size_t i = 0; i < SCAN_WINDOWS; i++) {
		if (!c->window[i]) {
			oldest = i;
			break;
		}
		if (c->used[i] < c->used[oldest])
			oldest = i;
	}
	c->window[oldest] = 0;
	err = content_take(
		c, chunk * SCAN_CHUNK, chunk_len(c, chunk), c->windows + oldest * SCAN_CHUNK);
	if (err == 0) {
		c->window[oldest] = chunk + 1;
		c->used[oldest] = ++c->clock;
	}
	return err;
}

static int window_load(struct scan_content *c, uint64_t chunk)
{
	uint64_t ahead = c->ahead, next = chunk + 1;
	bool in_order = ahead == chunk + 1;
	int err = 0;

	if (!c->windows) {
		c->windows = content_map(SCAN_WINDOWS * (size_t)SCAN_CHUNK);
		if (!c->windows)
			return -ENOMEM;
	}
	if (ahead && !in_order) { /* answers come in the order of questions */
		c->ahead = 0;
		err = window_take(c, ahead - 1);
		if (err < 0)
			return err;
		if (window_of(c, chunk))
			return 0;
	}
	if (!in_order)
		err = content_ask(c, chunk * SCAN_CHUNK, chunk_len(c, chunk));
	c->ahead = 0;
	if (err == 0 && next * SCAN_CHUNK < c->size && !window_of(c, next)) {
		err = content_ask(c, next * SCAN_CHUNK, chunk_len(c, next));
		if (err == 0)
			c->ahead = next + 1;
	}
	return err < 0 ? err : window_take(c, chunk);
}

int64_t scan_content_pread(struct scan_content *c, void *buf, size_t len, uint64_t offset)
{
	size_t done = 0;

	if (offset >= c->size)
		return 0;
	if (len > c->size - offset)
		len = (size_t)(c->size - offset);
	while (c->err == 0 && done < len) {
		uint64_t at = offset + done, chunk = at / SCAN_CHUNK;
		const uint8_t *from;
		size_t n;

		if (at < c->have) {
			from = c->buf + at;
			n = (size_t)(c->have - at);
		} else {
			from = window_of(c, chunk);
			if (!from) {
				c->err = window_load(c, chunk);
				continue;
			}
			from += at % SCAN_CHUNK;
			n = (size_t)(chunk_len(c, chunk) - at % SCAN_CHUNK);
		}
		n = n < len - done ? n : len - done;
		memcpy((uint8_t *)buf + done, from, n);
		done += n;
	}
	return c->err < 0 ? c->err : (int64_t)done;
}

int scan_content_end(struct scan_content *c)
{
	int err = content_broken(c->err) ? c->err : 0;

	if (err == 0 && c->under_way > 0) {
		err = c->ahead ? window_take(c, c->ahead - 1) : -GI_EPROTO;
		c->ahead = 0;
		err = content_broken(err) ? err : 0;
	}
	if (c->have > BUF_KEEP)
		(void)madvise(c->buf + BUF_KEEP, c->cap - BUF_KEEP, MADV_DONTNEED);
	if (c->windows)
		(void)madvise(c->windows, SCAN_WINDOWS * (size_t)SCAN_CHUNK, MADV_DONTNEED);
	return err;
}
