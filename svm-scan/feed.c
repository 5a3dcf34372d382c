/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * feed.c - the conversation of a job: ScanJob, then ScanNeed and ScanBytes, then ScanResult
 *
 * In a slot's thread. The worker may have been taken over by the file before: everything it sends
 * went through the rights and limits of lib/wire, and here through the state of this job.
 * Invariants: nothing is sent that was not asked for; what is asked for is bounded by the file's
 * size; the hash is made of the bytes themselves on this side, and of all that went out: what was
 * read twice, or out of order, may have been something else each time, so there is no hash then.
 * Source: lib/wire/idfw.proto.
 */
#include "svm-scan/feed.h"

#include <stdio.h>
#include <string.h>

struct feed {
	struct scan_msgs *msgs;
	const struct scan_source *src;
	struct io_sha256 *sha;
	uint64_t id;
	uint64_t hashed; /* bytes from 0 that went into sha */
	bool known;	 /* the source came with the hash of all that is handed over */
	bool unhashed;	 /* bytes went out that are not in sha: the guest may have changed them */
	uint64_t served, served_max;
	int err;	/* what the source said; 0 */
	bool too_short; /* it ended before its size */
};

static void feed_hash(struct feed *f, uint64_t offset, const uint8_t *data, size_t len)
{
	if (len == 0)
		return;
	if (offset != f->hashed || offset + len > f->src->size) {
		f->unhashed = true;
		return;
	}
	io_sha256_add(f->sha, data, len);
	f->hashed += len;
}

static int feed_job(struct feed *f)
{
	const struct scan_source *src = f->src;
	Idfw__ScanJob job = IDFW__SCAN_JOB__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	uint64_t now = scan_now_ms(), left = f->msgs->deadline_ms - now;
	size_t head = src->head ? src->head_len : 0;

	if (now >= f->msgs->deadline_ms)
		return -ETIMEDOUT;
	head = head < WIRE_DATA_MAX ? head : WIRE_DATA_MAX;
	head = head < src->size ? head : (size_t)src->size;
	f->known = src->sha256 && head == src->size;
	if (f->known) {
		f->hashed = head;
	} else {
		io_sha256_begin(f->sha);
		feed_hash(f, 0, src->head, head);
	}
	job.id = f->id;
	job.size = src->size;
	job.head.data = (uint8_t *)src->head;
	job.head.len = head;
	job.budget_ms = left < UINT32_MAX ? (uint32_t)left : UINT32_MAX;
	e.body_case = IDFW__ENVELOPE__BODY_SCAN_JOB;
	e.scan_job = &job;
	f->served = head;
	return scan_msgs_send(f->msgs, &e);
}

static int feed_bytes(struct feed *f, uint64_t offset, uint8_t *data, size_t len, bool last)
{
	Idfw__ScanBytes b = IDFW__SCAN_BYTES__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;

	b.offset = offset;
	b.data.data = data;
	b.data.len = len;
	b.last = last;
	if (f->err < 0) /* codes of our own mean nothing over there */
		b.error = f->err > -1000 ? (uint32_t)-f->err : EIO;
	e.body_case = IDFW__ENVELOPE__BODY_SCAN_BYTES;
	e.scan_bytes = &b;
	return scan_msgs_send(f->msgs, &e);
}

static int feed_need(struct feed *f, const Idfw__ScanNeed *need, const char **ret_why)
{
	uint8_t buf[WIRE_DATA_MAX];
	uint64_t offset = need->offset, left = need->length;
	bool last = false;
	int err = 0;

	f->served += left;
	if (f->served > f->served_max) {
		*ret_why = "it asks for more than there is";
		return -GI_EDENIED;
	}
	while (err == 0 && !last) {
		size_t n = left < sizeof(buf) ? (size_t)left : sizeof(buf), got = 0;

		if (f->err == 0)
			f->err = f->src->read(f->src->arg, offset, buf, n, &got);
		if (f->err < 0)
			got = 0;
		else if (got == 0 && offset < f->src->size)
			f->too_short = true;
		feed_hash(f, offset, buf, got);
		left -= got;
		last = got == 0 || left == 0;
		err = feed_bytes(f, offset, buf, got, last);
		offset += got;
	}
	return err;
}

static int feed_result(
	struct feed *f, const Idfw__ScanResult *r, struct scan_finding *ret, const char **ret_why)
{
	struct scan_finding found = { .outcome = (enum scan_outcome)r->outcome };

	*ret_why = "its result does not fit the job";
	if (r->id != f->id || (found.outcome == SCAN_FOUND) != (r->signature[0] != '\0') ||
		(found.outcome == SCAN_FAILED && !r->text[0]))
		return -GI_EPROTO;
	(void)snprintf(found.engine, sizeof(found.engine), "%s", r->engine);
	(void)snprintf(found.signature, sizeof(found.signature), "%s", r->signature);
	(void)snprintf(found.text, sizeof(found.text), "%s", r->text);
	if (found.outcome != SCAN_FOUND && (f->err < 0 || f->too_short)) {
		found = (struct scan_finding){ .outcome = SCAN_FAILED };
		(void)snprintf(found.text, sizeof(found.text), "reading: %s",
			f->err < 0 ? f->src->error(f->err) : "it is shorter than announced");
	}
	if (f->hashed == f->src->size && !f->unhashed && f->err == 0) {
		if (f->known)
			memcpy(found.sha256, f->src->sha256, sizeof(found.sha256));
		else
			io_sha256_end(f->sha, found.sha256);
		found.has_sha256 = true;
	}
	*ret = found;
	return 0;
}

int scan_feed(struct scan_msgs *m, uint64_t id, const struct scan_source *src, struct io_sha256 *h,
	struct scan_finding *ret, uint64_t *ret_bytes, const char **ret_why)
{
	struct feed f = { .msgs = m, .src = src, .sha = h, .id = id };
	Idfw__Envelope *e;
	bool done = false;
	int err;

	f.served_max = src->size > UINT64_MAX / 4 ? UINT64_MAX : 2 * src->size + SCAN_FEED_SPARE;
	*ret_why = "";
	err = feed_job(&f);
	while (err == 0 && !done) {
		err = scan_msgs_recv(m, &e, ret_why);
		if (err < 0)
			break;
		done = e->body_case == IDFW__ENVELOPE__BODY_SCAN_RESULT;
		if (done)
			err = feed_result(&f, e->scan_result, ret, ret_why);
		else if (e->body_case == IDFW__ENVELOPE__BODY_SCAN_NEED)
			err = feed_need(&f, e->scan_need, ret_why);
		else
			err = -GI_EDENIED;
		wire_envelope_free(e);
	}
	*ret_bytes = f.served;
	return err;
}
