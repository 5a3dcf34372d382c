/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * outbox.c - records for svm-idfw on disk, and whose reports they were made of; see outbox.h
 *
 * An event of the journal is: u8 length of the VM's name (0: no report), the name, 16 bytes of boot
 * id, u64 number of the report (none of these when 0), then the packed Envelope. The checkpoint is
 * u64 what svm-idfw had, and the table of streams: the same fields with two numbers, taken and
 * acknowledged.
 * Invariants: .pending is in order of the journal's numbers; a stream lives while it is in the
 * table or something pending points at it.
 */
#include "svm-scan/outbox_int.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utlist.h>

#include "svm-scan/outid.h"

#define OUTBOX_MARGIN (128u << 10) /* reports leave so much to records that come once only */

static void stream_unref(struct stream *s)
{
	if (s && --s->refs == 0)
		free(s);
}

static void stream_forget(struct scan_outbox *o, struct stream *s)
{
	HASH_DEL(o->streams, s);
	stream_unref(s);
}

struct stream *outbox_stream_find(struct scan_outbox *o, const char *vm, const uint8_t *boot)
{
	struct stream *s;

	HASH_FIND_STR(o->streams, vm, s);
	return s && memcmp(s->boot, boot, sizeof(s->boot)) == 0 ? s : NULL;
}

struct stream *outbox_stream_get(struct scan_outbox *o, const char *vm, const uint8_t *boot)
{
	struct stream *s = outbox_stream_find(o, vm, boot), *old;

	if (s || strlen(vm) > OUTBOX_VM_MAX)
		return s;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	(void)snprintf(s->vm, sizeof(s->vm), "%s", vm);
	memcpy(s->boot, boot, sizeof(s->boot));
	s->refs = 1;
	HASH_FIND_STR(o->streams, vm, old);
	if (!old && HASH_COUNT(o->streams) >= SCAN_STREAMS_MAX)
		old = o->streams;
	if (old && strcmp(old->vm, vm) == 0) {
		s->inherited = old->inherited + old->waiting + old->held;
		s->inherited_seq = o->spool ? io_spool_last_seq(o->spool) : 0;
	}
	if (old)
		stream_forget(o, old);
	HASH_ADD_STR(o->streams, vm, s);
	if (!s->hh.tbl) {
		free(s);
		return NULL;
	}
	return s;
}

static int pending_add(struct scan_outbox *o, struct stream *s, uint64_t seq, uint64_t agent_seq)
{
	struct pending *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->seq = seq;
	p->agent_seq = agent_seq;
	p->stream = s;
	s->refs++;
	s->waiting++;
	DL_APPEND(o->pending, p);
	return 0;
}

static void pending_drop(struct scan_outbox *o, struct pending *p)
{
	DL_DELETE(o->pending, p);
	p->stream->waiting--;
	stream_unref(p->stream);
	free(p);
}

/* ---- bytes of the journal ---- */

static void put_stream(struct gi_buf *out, const char *vm, const uint8_t *boot)
{
	uint8_t len = (uint8_t)strlen(vm);

	gi_buf_append(out, &len, 1);
	gi_buf_append(out, vm, len);
	gi_buf_append(out, boot, WIRE_BOOT_ID_LEN);
}

struct cursor {
	const uint8_t *p;
	size_t left;
	bool bad;
};

static void take(struct cursor *c, void *into, size_t len)
{
	if (c->bad || c->left < len) {
		c->bad = true;
		memset(into, 0, len);
		return;
	}
	memcpy(into, c->p, len);
	c->p += len;
	c->left -= len;
}

/* false: there is none (a record of our own), or it is bad */
static bool take_stream(struct cursor *c, char vm[OUTBOX_VM_MAX + 1], uint8_t *boot)
{
	uint8_t len = 0;

	take(c, &len, 1);
	if (len == 0 || len > OUTBOX_VM_MAX) {
		c->bad = c->bad || len > OUTBOX_VM_MAX;
		return false;
	}
	take(c, vm, len);
	vm[len] = '\0';
	take(c, boot, WIRE_BOOT_ID_LEN);
	return !c->bad;
}

static void outbox_checkpoint(void *arg, struct gi_buf *out)
{
	struct scan_outbox *o = arg;
	struct io_spool_stats st = { .acked_seq = o->restored_ack };
	struct stream *s, *next;

	if (o->spool)
		io_spool_stats(o->spool, &st);
	gi_buf_append(out, &st.acked_seq, sizeof(st.acked_seq));
	HASH_ITER (hh, o->streams, s, next) {
		put_stream(out, s->vm, s->boot);
		gi_buf_append(out, &s->taken, sizeof(s->taken));
		gi_buf_append(out, &s->acked, sizeof(s->acked));
	}
}

static void restore_streams(struct scan_outbox *o, struct cursor *c)
{
	uint8_t boot[WIRE_BOOT_ID_LEN];
	char vm[OUTBOX_VM_MAX + 1];

	take(c, &o->restored_ack, sizeof(o->restored_ack));
	while (c->left && take_stream(c, vm, boot)) {
		struct stream *s;
		uint64_t taken = 0, acked = 0;

		take(c, &taken, sizeof(taken));
		take(c, &acked, sizeof(acked));
		s = c->bad ? NULL : outbox_stream_get(o, vm, boot);
		if (!s)
			return;
		s->taken = taken;
		s->acked = acked;
	}
}

/* the newest checkpoint, then the events behind it; older segments come in restore_pending() */
static void outbox_restore(
	void *arg, enum io_spool_record type, uint64_t seq, const void *buf, size_t len)
{
	struct scan_outbox *o = arg;
	struct cursor c = { .p = buf, .left = len };
	uint8_t boot[WIRE_BOOT_ID_LEN];
	char vm[OUTBOX_VM_MAX + 1];
	uint64_t agent_seq = 0;
	struct stream *s;

	(void)seq;
	if (type == IO_SPOOL_CHECKPOINT) {
		restore_streams(o, &c);
		return;
	}
	if (!take_stream(&c, vm, boot))
		return;
	take(&c, &agent_seq, sizeof(agent_seq));
	s = c.bad ? NULL : outbox_stream_get(o, vm, boot);
	if (s && agent_seq > s->taken)
		s->taken = agent_seq;
}

/* everything that is on disk and may not be acknowledged: which reports it answers */
static int restore_pending(struct scan_outbox *o)
{
	struct io_spool_cursor cursor = { .seq = o->restored_ack };
	struct stream *stream, *next;
	uint64_t seq;
	int n, err = 0;

	while (err == 0 && (n = io_spool_next(o->spool, &cursor, &seq, &o->event)) != 0) {
		struct cursor c = { .p = o->event.data, .left = o->event.len };
		uint8_t boot[WIRE_BOOT_ID_LEN];
		char vm[OUTBOX_VM_MAX + 1];
		uint64_t agent_seq = 0;
		struct stream *s;

		if (n < 0)
			return n;
		if (!take_stream(&c, vm, boot))
			continue;
		take(&c, &agent_seq, sizeof(agent_seq));
		s = c.bad ? NULL : outbox_stream_find(o, vm, boot);
		if (!s || agent_seq <= s->acked)
			continue;
		if (s->refs == 1) /* the first one: what was before it is not here any more */
			s->acked = agent_seq - 1;
		err = pending_add(o, s, seq, agent_seq);
	}
	HASH_ITER (hh, o->streams, stream, next) {
		if (stream->refs == 1)
			stream->acked = stream->taken;
	}
	return err;
}

/* ---- the id ---- */

int scan_outbox_new_id(struct scan_outbox *o)
{
	int err;

	(void)pthread_mutex_lock(&o->lock);
	err = scan_outid_new(o->dir_fd, o->id);
	(void)pthread_mutex_unlock(&o->lock);
	return err;
}

void scan_outbox_id(struct scan_outbox *o, uint8_t ret[WIRE_BOOT_ID_LEN])
{
	(void)pthread_mutex_lock(&o->lock);
	memcpy(ret, o->id, WIRE_BOOT_ID_LEN);
	(void)pthread_mutex_unlock(&o->lock);
}

/* ---- life ---- */

int scan_outbox_open(
	const char *dir, uint64_t max_bytes, char ret_why[256], struct scan_outbox **ret)
{
	static const struct io_spool_ops ops = { .checkpoint = outbox_checkpoint,
		.restore = outbox_restore };
	struct scan_outbox *o = calloc(1, sizeof(*o));
	int err = 0;

	if (!o)
		return -ENOMEM;
	o->dir_fd = -1;
	o->max_bytes = max_bytes;
	gi_buf_init(&o->event, IO_SPOOL_EVENT_MAX);
	if (pthread_mutex_init(&o->lock, NULL) != 0) {
		free(o);
		return -ENOMEM;
	}
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		err = -errno;
	if (err == 0) {
		o->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		err = o->dir_fd < 0 ? -errno : scan_outid_read(o->dir_fd, o->id);
	}
	if (err == 0)
		err = io_spool_open(dir, max_bytes, &ops, o, &o->spool);
	if (err == 0)
		err = restore_pending(o);
	if (err == 0)
		io_spool_ack(o->spool, o->restored_ack);
	if (err < 0) {
		(void)snprintf(ret_why, 256, "%s: %s", dir, gi_strerror(err));
		scan_outbox_free(o);
		return err;
	}
	*ret = o;
	return 0;
}

void scan_outbox_free(struct scan_outbox *o)
{
	struct stream *s, *next_s;

	if (!o)
		return;
	io_spool_free(o->spool);
	while (o->pending)
		pending_drop(o, o->pending);
	HASH_ITER (hh, o->streams, s, next_s)
		stream_forget(o, s);
	if (o->dir_fd >= 0)
		(void)close(o->dir_fd);
	gi_buf_fini(&o->event);
	(void)pthread_mutex_destroy(&o->lock);
	free(o);
}

/* ---- records ---- */

/* locked; @s: whose report it is, or NULL */
static int outbox_append(
	struct scan_outbox *o, struct stream *s, uint64_t agent_seq, Idfw__ScanRecord *rec)
{
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	static const uint8_t no_stream;
	struct gi_buf packed;
	int err;

	rec->seq = io_spool_last_seq(o->spool) + 1;
	e.body_case = IDFW__ENVELOPE__BODY_SCAN_RECORD;
	e.scan_record = rec;
	gi_buf_init(&packed, WIRE_FRAME_MAX);
	err = wire_envelope_encode(&e, &packed);
	gi_buf_reset(&o->event);
	if (s) {
		put_stream(&o->event, s->vm, s->boot);
		gi_buf_append(&o->event, &agent_seq, sizeof(agent_seq));
	} else {
		gi_buf_append(&o->event, &no_stream, 1);
	}
	gi_buf_append(&o->event, packed.data, packed.len);
	if (err == 0)
		err = gi_buf_error(&o->event);
	if (err == 0 && s)
		err = pending_add(o, s, rec->seq, agent_seq);
	if (err == 0) {
		err = io_spool_append(o->spool, o->event.data, o->event.len);
		if (err < 0 && s)
			pending_drop(o, o->pending->prev); /* of the head: the last */
	}
	gi_buf_fini(&packed);
	return err;
}

int scan_outbox_add(struct scan_outbox *o, Idfw__ScanRecord *rec)
{
	int err;

	(void)pthread_mutex_lock(&o->lock);
	err = outbox_append(o, NULL, 0, rec);
	if (err < 0)
		o->lost++;
	(void)pthread_mutex_unlock(&o->lock);
	return err;
}

static int report_locked(struct scan_outbox *o, const char *vm, const uint8_t *boot,
	uint64_t agent_seq, Idfw__ScanRecord *rec)
{
	struct stream *s = outbox_stream_get(o, vm, boot);
	struct io_spool_stats st;
	int err;

	if (!s)
		return -ENOMEM;
	if (agent_seq <= s->taken)
		return -EALREADY;
	if (s->refused && agent_seq > s->refused)
		return -EAGAIN;
	/* reports are safe where they are: memory is for what cannot come again */
	io_spool_flush(o->spool);
	io_spool_stats(o->spool, &st);
	if (st.mem_events || st.disk_err || st.bytes + OUTBOX_MARGIN > o->max_bytes) {
		s->refused = agent_seq;
		return -GI_EFULL;
	}
	err = outbox_append(o, s, agent_seq, rec);
	if (err == 0 || err == -GI_ELIMIT || err == -GI_EPROTO) {
		s->taken = agent_seq; /* also one that nobody would take: not again */
		s->refused = 0;
	} else {
		s->refused = agent_seq;
	}
	return err;
}

int scan_outbox_report(struct scan_outbox *o, const char *vm, const uint8_t boot[WIRE_BOOT_ID_LEN],
	uint64_t agent_seq, Idfw__ScanRecord *rec)
{
	int err;

	(void)pthread_mutex_lock(&o->lock);
	err = report_locked(o, vm, boot, agent_seq, rec);
	if (err < 0 && err != -EALREADY)
		o->refused++;
	(void)pthread_mutex_unlock(&o->lock);
	return err;
}

uint64_t scan_outbox_reported(
	struct scan_outbox *o, const char *vm, const uint8_t boot[WIRE_BOOT_ID_LEN])
{
	struct stream *s;
	uint64_t acked;

	(void)pthread_mutex_lock(&o->lock);
	s = outbox_stream_find(o, vm, boot);
	acked = s ? s->acked : 0;
	(void)pthread_mutex_unlock(&o->lock);
	return acked;
}

int scan_outbox_next(
	struct scan_outbox *o, struct io_spool_cursor *c, uint64_t *ret_seq, struct gi_buf *out)
{
	uint8_t head = 0;
	int n;

	(void)pthread_mutex_lock(&o->lock);
	n = io_spool_next(o->spool, c, ret_seq, out);
	(void)pthread_mutex_unlock(&o->lock);
	if (n != 1)
		return n;
	/* what is in front of the envelope was for us */
	if (out->len > 0)
		head = out->data[0];
	gi_buf_consume(out, 1);
	if (head && out->len >= (size_t)head + WIRE_BOOT_ID_LEN + sizeof(uint64_t))
		gi_buf_consume(out, (size_t)head + WIRE_BOOT_ID_LEN + sizeof(uint64_t));
	return 1;
}

/* ---- acknowledged ---- */

struct told {
	char vm[OUTBOX_VM_MAX + 1];
	uint8_t boot[WIRE_BOOT_ID_LEN];
	uint64_t agent_seq;
};

static void stream_told(struct told *t, const struct stream *s)
{
	(void)snprintf(t->vm, sizeof(t->vm), "%s", s->vm);
	memcpy(t->boot, s->boot, sizeof(t->boot));
	t->agent_seq = s->acked;
}

/* locked: empties the list of streams that moved */
static size_t ack_streams(struct scan_outbox *o, struct told **ret)
{
	struct told *list = o->n_moved ? calloc(o->n_moved, sizeof(*list)) : NULL;
	struct stream *s;
	size_t n = 0;

	while ((s = o->moved)) {
		o->moved = s->next_moved;
		s->moved = false;
		if (list)
			stream_told(&list[n++], s);
		stream_unref(s);
	}
	o->n_moved = 0;
	*ret = list;
	return n;
}

/* locked */
static void ack_pending(struct scan_outbox *o, uint64_t seq)
{
	struct pending *p;

	while ((p = o->pending) && p->seq <= seq) {
		struct stream *s = p->stream;

		if (p->agent_seq > s->acked)
			s->acked = p->agent_seq;
		if (s->waiting == 1 && s->skipped > s->acked)
			s->acked = s->skipped;
		if (!s->moved) {
			s->moved = true;
			s->refs++;
			s->next_moved = o->moved;
			o->moved = s;
			o->n_moved++;
		}
		pending_drop(o, p);
	}
}

void scan_outbox_ack(struct scan_outbox *o, uint64_t seq,
	void (*reported)(void *arg, const char *vm, const uint8_t boot[WIRE_BOOT_ID_LEN],
		uint64_t agent_seq),
	void *arg)
{
	struct told *list = NULL;
	size_t n;

	(void)pthread_mutex_lock(&o->lock);
	if (seq > io_spool_last_seq(o->spool)) /* nothing we have sent */
		seq = 0;
	ack_pending(o, seq);
	io_spool_ack(o->spool, seq);
	n = ack_streams(o, &list);
	(void)pthread_mutex_unlock(&o->lock);
	for (size_t i = 0; i < n; i++)
		reported(arg, list[i].vm, list[i].boot, list[i].agent_seq);
	free(list);
}

void scan_outbox_again(struct scan_outbox *o,
	void (*reported)(void *arg, const char *vm, const uint8_t boot[WIRE_BOOT_ID_LEN],
		uint64_t agent_seq),
	void *arg)
{
	struct told *list = NULL;
	struct stream *s, *next;
	size_t n = 0, max;

	(void)pthread_mutex_lock(&o->lock);
	max = HASH_COUNT(o->streams);
	HASH_ITER (hh, o->streams, s, next) {
		if (!s->hole || s->asked || outbox_too_many(o, s))
			continue;
		if (!list)
			list = calloc(max, sizeof(*list));
		if (!list)
			break; /* no memory: the next acknowledgement tries again */
		s->asked = true;
		stream_told(&list[n++], s);
	}
	(void)pthread_mutex_unlock(&o->lock);
	for (size_t i = 0; i < n; i++)
		reported(arg, list[i].vm, list[i].boot, list[i].agent_seq);
	free(list);
}

void scan_outbox_flush(struct scan_outbox *o)
{
	(void)pthread_mutex_lock(&o->lock);
	io_spool_flush(o->spool);
	(void)pthread_mutex_unlock(&o->lock);
}

void scan_outbox_stats(struct scan_outbox *o, struct scan_outbox_stats *ret)
{
	struct io_spool_stats st;

	(void)pthread_mutex_lock(&o->lock);
	io_spool_stats(o->spool, &st);
	*ret = (struct scan_outbox_stats){ .last_seq = st.last_seq,
		.acked_seq = st.acked_seq,
		.waiting = st.last_seq - st.acked_seq,
		.bytes = st.bytes,
		.lost = o->lost,
		.refused = o->refused,
		.disk_err = st.disk_err };
	(void)pthread_mutex_unlock(&o->lock);
}
