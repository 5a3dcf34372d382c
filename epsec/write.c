/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * write.c - eps_write(): a file's new content, in order, for EPS_REPLACE
 *
 * FileWrite messages go out as long as less than 1 MiB of this event, and EPS_WRITES_MAX of all,
 * is unacknowledged; who has nothing under way may always send one message, so writers cannot wait
 * for each other. After the last one waits until the guest has taken everything, also a last piece
 * without bytes: an error (no space) is then known before the verdict, and the verdict does not
 * overtake what it is about. After an error nobody knows how much arrived: nothing more is sent.
 */
#include "epsec/eps_int.h"

#include <string.h>

/* the library's thread, lock held */
int eps_write_done(struct eps_event *ev, const Idfw__FileWrote *m, const char **ret_why)
{
	struct eps *e = ev->guest->eps;
	struct eps_io *io = ev->io;

	if (!io || m->offset > io->sent || m->offset < io->wrote) {
		*ret_why = "FileWrote: nobody wrote that";
		return -GI_EPROTO;
	}
	EPS_SUB(e->writing, m->offset - io->wrote);
	io->wrote = m->offset;
	if (io->wrote == io->sent)
		io->last_sent = false;
	io->heard_ms = io_clock_mono_ms();
	if (m->error)
		io->write_err = -(int)m->error;
	eps_io_wake(io);
	return 0;
}

static int refused(int err)
{
	switch (err) {
	case -EROFS:
	case -EPERM:
	case -EACCES:
	case -EOPNOTSUPP:
		return -EPS_EREFUSED;
	case -ESTALE:
		return -EPS_ECHANGED;
	default:
		return err;
	}
}

/* lock held: until @len more bytes may be sent; charges for them */
static int wait_for_room(struct eps_event *ev, struct eps_io *io, size_t len)
{
	struct eps *e = ev->guest->eps;
	int err = 0;

	for (;;) {
		uint64_t under_way = io->sent - io->wrote;

		if (err == 0)
			err = refused(io->write_err);
		if (err < 0)
			return err;
		if (under_way == 0 || (under_way + len <= WIRE_RANGE_MAX &&
					      EPS_GET(e->writing) + len <= EPS_WRITES_MAX))
			break;
		err = eps_io_wait(ev, io);
	}
	if (io->sent == io->wrote)
		io->heard_ms = io_clock_mono_ms();
	io->sent += len;
	EPS_ADD(e->writing, len);
	return 0;
}

static int send_piece(struct eps_event *ev, uint64_t at, const uint8_t *buf, size_t len, bool last)
{
	Idfw__Envelope env = IDFW__ENVELOPE__INIT;
	Idfw__FileWrite m = IDFW__FILE_WRITE__INIT;

	m.id = ev->p.node.key;
	m.offset = at;
	m.data.data = (uint8_t *)(uintptr_t)buf;
	m.data.len = len;
	m.last = last;
	env.body_case = IDFW__ENVELOPE__BODY_FILE_WRITE;
	env.file_write = &m;
	return eps_post(ev->guest, &env);
}

static int wait_for_all(struct eps_event *ev, struct eps_io *io)
{
	struct eps *e = ev->guest->eps;
	int err = 0;

	pthread_mutex_lock(&e->lock);
	while (err == 0 && (io->write_err < 0 || io->wrote < io->sent || io->last_sent)) {
		err = refused(io->write_err);
		if (err == 0)
			err = eps_io_wait(ev, io);
	}
	pthread_mutex_unlock(&e->lock);
	return err;
}

/* all of @buf in messages */
static int write_all(
	struct eps_event *ev, struct eps_io *io, const uint8_t *from, size_t len, bool last)
{
	struct eps *e = ev->guest->eps;
	uint64_t at;
	size_t n;
	int err = 0;

	/* what is acknowledged next is then the piece without bytes, nothing before it */
	if (last && len == 0)
		err = wait_for_all(ev, io);
	while (err == 0 && (len > 0 || last)) {
		n = len < WIRE_DATA_MAX ? len : WIRE_DATA_MAX;
		pthread_mutex_lock(&e->lock);
		at = io->sent;
		err = wait_for_room(ev, io, n);
		io->last_sent = err == 0 && last && n == len;
		pthread_mutex_unlock(&e->lock);
		if (err == 0)
			err = send_piece(ev, at, from, n, last && n == len);
		len -= n;
		if (len == 0)
			break;
		from += n;
	}
	return err == 0 && last ? wait_for_all(ev, io) : err;
}

int eps_write(struct eps_event *ev, const void *buf, size_t len, bool last)
{
	struct eps_io *io;
	int err;

	if (eps_in_loop(ev->guest->eps))
		return -EPS_EINLOOP;
	if (eps_event_gone(ev)) {
		err = atomic_load_explicit(&ev->gone, memory_order_acquire);
		return err ? err : -EPS_EGONE;
	}
	err = eps_io_get(ev, &io);
	if (err < 0)
		return err;
	if (io->closed)
		return -EPS_EDONE;
	if (io->broken == 0)
		io->broken = write_all(ev, io, buf, len, last);
	io->closed = io->broken == 0 && last;
	return io->broken;
}
