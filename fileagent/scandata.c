/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * scandata.c - content of a file under scan: ranges to the service, new content from it
 *
 * Part of the worker's core, see scan.h. Ranges of one file are answered in order, one piece of at
 * most 48 KiB at a time, files in turn, as the link has room. New content (disinfection) goes into
 * an FA_OP_TMP file, in order, one piece at a time, at most 1 MiB waiting. A service that does not
 * keep to the order or the bounds loses the connection.
 */
#include "fileagent/scan_int.h"

#include <stdlib.h>
#include <string.h>

#define NEW_CONTENT_MIN (64u << 20) /* new content may be four times the old, or so large */

/* ---- to the service ---- */

static void data_unlink(struct fa_scan *s, struct scan_file *f)
{
	if (!f->data_pprev)
		return;
	*f->data_pprev = f->data_next;
	if (f->data_next)
		f->data_next->data_pprev = f->data_pprev;
	else
		s->data.last = f->data_pprev;
	f->data_pprev = NULL;
}

static void data_link(struct fa_scan *s, struct scan_file *f)
{
	if (f->data_pprev)
		return;
	f->data_next = NULL;
	f->data_pprev = s->data.last;
	*s->data.last = f;
	s->data.last = &f->data_next;
}

static int send_data(struct fa_scan *s, const struct scan_file *f, uint64_t off, const void *buf,
	size_t len, bool eof, int err)
{
	Idfw__FileData m = IDFW__FILE_DATA__INIT;

	m.id = f->id;
	m.offset = off;
	m.data.data = (uint8_t *)(uintptr_t)buf;
	m.data.len = len;
	m.eof = eof;
	m.error = (uint32_t)err;
	return scan_send(s, IDFW__ENVELOPE__BODY_FILE_DATA, &m);
}

static size_t piece(const struct scan_file *f)
{
	return f->range[0].left < WIRE_DATA_MAX ? f->range[0].left : WIRE_DATA_MAX;
}

/* the next piece of the oldest range is sent; @len short of piece(): the file ends there */
static void range_sent(struct fa_scan *s, struct scan_file *f, int err, const void *buf, size_t len)
{
	struct scan_range *r = &f->range[0];
	bool eof = err == 0 && len < piece(f);
	uint64_t off = r->offset;

	r->offset += len;
	r->left -= (uint32_t)len;
	if (err || eof || r->left == 0) {
		memmove(r, r + 1, (FA_SCAN_RANGES_MAX - 1) * sizeof(*r));
		f->ranges--;
	}
	(void)!send_data(s, f, off, buf, err ? 0 : len, eof, err ? -err : 0);
	data_unlink(s, f);
	if (f->ranges)
		data_link(s, f); /* behind the others */
}

void scan_data_read_done(
	struct fa_scan *s, struct scan_file *f, int err, const void *buf, size_t len)
{
	if (f->ranges == 0)
		return;
	data_link(s, f);
	range_sent(s, f, err, buf, len);
	scan_data_pump(s);
}

void scan_data_pump(struct fa_scan *s)
{
	struct scan_file *f;

	while ((f = s->data.first) && s->ops->has_room(s->arg)) {
		size_t want = piece(f), got = 0;
		int err = s->ops->read_now(
			s->arg, f->own.fd, f->range[0].offset, s->head, want, &got);

		if (err == -EAGAIN) {
			err = s->ops->read_later(
				s->arg, f->id, f->own.fd, f->range[0].offset, want);
			f->reading = err == 0;
		}
		if (f->reading)
			data_unlink(s, f); /* until it is back */
		else
			range_sent(s, f, err, s->head, got);
	}
}

void fa_scan_room(struct fa_scan *s, uint64_t now_ms)
{
	s->now_ms = now_ms;
	scan_data_pump(s);
}

void scan_read(struct fa_scan *s, const Idfw__FileRead *m)
{
	struct scan_file *f = scan_by_id(s, m->id);

	if (!f || f->state != SCAN_ASKED) /* crossed with our cancel, or its own verdict */
		return;
	if (f->ranges == FA_SCAN_RANGES_MAX || m->length == 0) {
		s->ops->fail_link(s->arg, "FileRead: too many ranges of one file, or an empty one");
		return;
	}
	if (!f->range)
		f->range = calloc(FA_SCAN_RANGES_MAX, sizeof(*f->range));
	if (!f->range) {
		scan_fail(s, f, FA_R_SCAN_FAILED);
		return;
	}
	f->range[f->ranges++] = (struct scan_range){ .offset = m->offset, .left = m->length };
	if (!f->reading)
		data_link(s, f);
	scan_data_pump(s);
}

/* ---- from the service ---- */

static void write_free(struct fa_scan *s, struct scan_file *f)
{
	struct scan_write *w = f->write;

	if (!w)
		return;
	while (w->first) {
		struct scan_chunk *c = w->first;

		w->first = c->next;
		free(c);
	}
	if (w->tmp >= 0)
		s->ops->close(s->arg, w->tmp);
	free(w);
	f->write = NULL;
}

void scan_data_drop(struct fa_scan *s, struct scan_file *f)
{
	data_unlink(s, f);
	f->ranges = 0;
	write_free(s, f);
}

static void send_wrote(struct fa_scan *s, const struct scan_file *f)
{
	Idfw__FileWrote m = IDFW__FILE_WROTE__INIT;

	m.id = f->id;
	m.offset = f->write->done;
	m.error = (uint32_t)f->write->err;
	(void)!scan_send(s, IDFW__ENVELOPE__BODY_FILE_WROTE, &m);
}

static void write_failed(struct fa_scan *s, struct scan_file *f, int err)
{
	f->write->err = -err;
	send_wrote(s, f);
}

/* one piece at a time goes to a thread */
static void write_pump(struct fa_scan *s, struct scan_file *f)
{
	struct scan_write *w = f->write;
	int err;

	if (w->tmp < 0 || w->busy || !w->first || w->err)
		return;
	err = s->ops->write_later(
		s->arg, f->id, w->tmp, w->first->offset, w->first->data, w->first->len);
	if (err < 0)
		write_failed(s, f, err);
	else
		w->busy = true;
}

void scan_write_tmp(struct fa_scan *s, struct scan_file *f, int err, int fd)
{
	if (err == 0 && f->write->tmp < 0) {
		f->write->tmp = fd;
		write_pump(s, f);
		return;
	}
	if (fd >= 0)
		s->ops->close(s->arg, fd);
	if (err < 0)
		write_failed(s, f, err);
}

void fa_scan_write_done(struct fa_scan *s, uint64_t now_ms, uint64_t id, int err)
{
	struct scan_file *f = scan_by_id(s, id);
	struct scan_write *w = f ? f->write : NULL;
	struct scan_chunk *c;

	s->now_ms = now_ms;
	if (!w || !w->busy)
		return;
	w->busy = false;
	c = w->first;
	w->first = c->next;
	if (!w->first)
		w->tail = &w->first;
	w->done += err == 0 ? c->len : 0;
	free(c);
	w->complete = err == 0 && w->last && !w->first;
	if (err < 0) {
		write_failed(s, f, err);
		return;
	}
	send_wrote(s, f);
	write_pump(s, f);
}

static struct scan_write *write_begin(struct fa_scan *s, struct scan_file *f)
{
	struct fa_action a = { .op = FA_OP_TMP,
		.id = f->id,
		.fd = f->own.fd,
		.tmp = -1,
		.ident = &f->ident,
		.path = "" };
	struct scan_write *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->tmp = -1;
	w->tail = &w->first;
	f->write = w;
	if (s->ops->action(s->arg, &a) < 0)
		w->err = EBUSY;
	return w;
}

static int chunk_add(struct scan_write *w, const Idfw__FileWrite *m)
{
	struct scan_chunk *c = malloc(sizeof(*c) + m->data.len);

	if (!c)
		return -ENOMEM;
	c->next = NULL;
	c->offset = m->offset;
	c->len = m->data.len;
	if (m->data.len)
		memcpy(c->data, m->data.data, m->data.len);
	*w->tail = c;
	w->tail = &c->next;
	w->end += m->data.len;
	w->last = m->last;
	return 0;
}

void scan_write(struct fa_scan *s, const Idfw__FileWrite *m)
{
	struct scan_file *f = scan_by_id(s, m->id);
	struct scan_write *w;
	uint64_t most;

	if (!f || f->state != SCAN_ASKED)
		return;
	w = f->write ? f->write : write_begin(s, f);
	if (!w) {
		scan_fail(s, f, FA_R_SCAN_FAILED);
		return;
	}
	if (w->err) {
		send_wrote(s, f);
		return;
	}
	if (m->offset != w->end || w->last || w->end + m->data.len - w->done > WIRE_RANGE_MAX) {
		s->ops->fail_link(s->arg, "FileWrite: out of order, or more than 1 MiB under way");
		return;
	}
	most = f->ident.size < NEW_CONTENT_MIN / 4 ? NEW_CONTENT_MIN : f->ident.size * 4;
	if (w->end + m->data.len > most)
		write_failed(s, f, -EFBIG);
	else if (chunk_add(w, m) < 0)
		write_failed(s, f, -ENOMEM);
	else
		write_pump(s, f);
}
