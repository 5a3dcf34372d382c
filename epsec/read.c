/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * read.c - eps_read(): head first, then what was read ahead, else a range of the guest's file
 *
 *   caller: FileRead at->asked ...            library's thread: FileData -> inbox, wakes
 *           inbox -> mine -> caller's buffer
 *
 * What is asked for is one stretch, [first byte of mine, asked). A read inside it waits for it or
 * skips forward; any other place begins a new stretch, and what still comes of the old one is
 * counted as wasted. A read that goes on where the last one ended doubles the window ahead.
 * Memory: a range is charged when it is asked for, its rest given back when it ended early, a
 * chunk's when it was used. At max_memory nothing is asked for ahead; who has nothing at all may
 * still ask for one message's worth, so nobody waits for anybody.
 */
#include "epsec/eps_int.h"

#include <stdlib.h>
#include <string.h>

#define READ_WINDOW_FIRST (64u << 10)
#define READ_LEAST (16u << 10) /* asked for, when less is wanted */
#define READ_STEP (256u << 10) /* of one read that is wanted at once */

/* ---- the library's thread, lock held ---- */

static int bad(const char *text, const char **ret_why)
{
	*ret_why = text;
	return -GI_EPROTO;
}

/* ascending; almost always at the end */
static void chunk_insert(struct eps_chunk **list, struct eps_chunk *c)
{
	while (*list && (*list)->at < c->at)
		list = &(*list)->next;
	c->next = *list;
	*list = c;
}

static void range_end(struct eps *e, struct eps_io *io, struct eps_range *r)
{
	EPS_SUB(e->memory, r->len - r->got);
	io->n_ranges--;
	/* in order: the first that fits is the oldest */
	memmove(r, r + 1, (size_t)(io->ranges + io->n_ranges - r) * sizeof(*r));
}

/* of the file, not of the range: what the read has to say when it gets there */
static int data_error(const struct eps_event *ev, const Idfw__FileData *m)
{
	if (m->error)
		return m->error == ESTALE ? -EPS_ECHANGED : -(int)m->error;
	if (m->eof && m->offset + m->data.len < ev->file.size)
		return -EPS_ECHANGED; /* it became shorter */
	return 0;
}

static struct eps_range *range_find(struct eps_io *io, const Idfw__FileData *m)
{
	for (size_t i = 0; io && i < io->n_ranges; i++) {
		struct eps_range *r = &io->ranges[i];

		if (r->at + r->got == m->offset && m->data.len <= r->len - r->got)
			return r;
	}
	return NULL;
}

int eps_read_data(struct eps_event *ev, Idfw__Envelope *env, bool *ret_taken, const char **ret_why)
{
	const Idfw__FileData *m = env->file_data;
	struct eps *e = ev->guest->eps;
	struct eps_io *io = ev->io;
	struct eps_range *r = range_find(io, m);
	struct eps_chunk *c = NULL;

	if (!r)
		return bad("FileData: nobody asked for that", ret_why);
	if (m->data.len == 0 && !m->eof && !m->error)
		return bad("FileData: without data", ret_why);
	/* a piece costs us more than its bytes, which are all that is charged */
	if (m->data.len < EPS_PIECE_LEAST && !m->eof && !m->error && m->data.len < r->len - r->got)
		return bad("FileData: too small a piece", ret_why);
	if (m->data.len > 0 && !r->unwanted) {
		c = malloc(sizeof(*c));
		if (!c) {
			*ret_why = "out of memory";
			return -ENOMEM;
		}
		*c = (struct eps_chunk){
			.env = env, .at = m->offset, .data = m->data.data, .len = m->data.len
		};
		chunk_insert(&io->inbox, c);
		*ret_taken = true;
	} else {
		EPS_SUB(e->memory, m->data.len);
		EPS_ADD(e->s_wasted, m->data.len);
	}
	EPS_ADD(e->s_read_bytes, m->data.len);
	r->got += (uint32_t)m->data.len;
	if (!r->unwanted && io->read_err == 0)
		io->read_err = data_error(ev, m);
	if (m->eof || m->error || r->got == r->len)
		range_end(e, io, r);
	io->heard_ms = io_clock_mono_ms();
	eps_io_wake(io);
	return 0;
}

void eps_io_wake(struct eps_io *io)
{
	if (io->waiting)
		(void)pthread_cond_signal(&io->cond);
}

/* ---- the caller's thread ---- */

int eps_io_get(struct eps_event *ev, struct eps_io **ret)
{
	struct eps *e = ev->guest->eps;
	struct eps_io *io = ev->io;
	int err;

	if (!io) {
		io = calloc(1, sizeof(*io));
		if (!io)
			return -ENOMEM;
		err = eps_cond_init(&io->cond);
		if (err < 0) {
			free(io);
			return err;
		}
		io->next = io->asked = ev->file.head_len;
		io->window = READ_WINDOW_FIRST;
		pthread_mutex_lock(&e->lock);
		ev->io = io;
		pthread_mutex_unlock(&e->lock);
	}
	*ret = io;
	return 0;
}

static void chunk_free(struct eps *e, struct eps_chunk *c)
{
	EPS_SUB(e->memory, c->len);
	if (!c->used)
		EPS_ADD(e->s_wasted, c->len);
	wire_envelope_free(c->env);
	free(c);
}

static void chunks_free(struct eps *e, struct eps_chunk *c)
{
	struct eps_chunk *next;

	for (; c; c = next) {
		next = c->next;
		chunk_free(e, c);
	}
}

void eps_io_free(struct eps *e, struct eps_io *io)
{
	if (!io)
		return;
	chunks_free(e, io->mine);
	chunks_free(e, io->inbox);
	for (size_t i = 0; i < io->n_ranges; i++)
		EPS_SUB(e->memory, io->ranges[i].len - io->ranges[i].got);
	EPS_SUB(e->writing, io->sent - io->wrote);
	(void)pthread_cond_destroy(&io->cond);
	free(io);
}

int eps_io_wait(struct eps_event *ev, struct eps_io *io)
{
	struct eps *e = ev->guest->eps;
	uint64_t until = ev->file.deadline_ms, now;
	int gone = atomic_load_explicit(&ev->gone, memory_order_relaxed);

	if (gone)
		return gone;
	if (until > io->heard_ms + e->silence_ms)
		until = io->heard_ms + e->silence_ms;
	now = io_clock_mono_ms();
	if (now >= until || !e->threaded)
		return -ETIMEDOUT;
	io->waiting = true;
	(void)eps_cond_wait(e, &io->cond, until);
	io->waiting = false;
	return atomic_load_explicit(&ev->gone, memory_order_relaxed);
}

/* a new stretch at @at */
static void stretch_begin(struct eps *e, struct eps_io *io, uint64_t at)
{
	struct eps_chunk *old = io->mine, *came;

	io->mine = NULL;
	pthread_mutex_lock(&e->lock);
	came = io->inbox;
	io->inbox = NULL;
	io->read_err = 0;
	for (size_t i = 0; i < io->n_ranges; i++)
		io->ranges[i].unwanted = true;
	pthread_mutex_unlock(&e->lock);
	io->asked = at;
	chunks_free(e, old);
	chunks_free(e, came);
}

/* charges for @want bytes, or for fewer, or for none */
static uint32_t charge(struct eps *e, const struct eps_io *io, uint64_t want)
{
	size_t have = EPS_GET(e->memory), left, most = e->conf.max_memory;
	bool nothing = !io->mine && !io->inbox && io->n_ranges == 0;

	most -= most / 4; /* the rest is for heads: reading ahead must not make us "busy" */
	left = have < most ? most - have : 0;
	if (want > WIRE_RANGE_MAX)
		want = WIRE_RANGE_MAX;
	if (want > left)
		want = nothing ? (want < WIRE_DATA_MAX ? want : WIRE_DATA_MAX) : 0;
	EPS_ADD(e->memory, want);
	return (uint32_t)want;
}

static int ask(struct eps_event *ev, uint64_t at, uint32_t len)
{
	Idfw__Envelope env = IDFW__ENVELOPE__INIT;
	Idfw__FileRead m = IDFW__FILE_READ__INIT;

	m.id = ev->p.node.key;
	m.offset = at;
	m.length = len;
	env.body_case = IDFW__ENVELOPE__BODY_FILE_READ;
	env.file_read = &m;
	EPS_ADD(ev->guest->eps->s_read_requests, 1);
	return eps_post(ev->guest, &env);
}

/* asks for [asked, target) as far as there is room for it */
static int ask_until(struct eps_event *ev, struct eps_io *io, uint64_t target)
{
	struct eps *e = ev->guest->eps;
	uint32_t len = 1;
	uint64_t at;
	int err = 0;

	while (err == 0 && len > 0 && io->asked < target) {
		at = io->asked;
		pthread_mutex_lock(&e->lock);
		len = io->n_ranges < EPS_RANGES_MAX ? charge(e, io, target - at) : 0;
		if (len > 0) {
			io->ranges[io->n_ranges++] = (struct eps_range){ .at = at, .len = len };
			if (io->n_ranges == 1)
				io->heard_ms = io_clock_mono_ms();
		}
		pthread_mutex_unlock(&e->lock);
		if (len > 0) {
			io->asked += len;
			err = ask(ev, at, len);
		}
	}
	return err;
}

/* where the stretch should end, for @left bytes at @at */
static uint64_t stretch_target(
	const struct eps_event *ev, const struct eps_io *io, uint64_t at, size_t left)
{
	uint64_t need = at + (left < READ_STEP ? left : READ_STEP), target;

	target = need + io->window;
	if (target < at + READ_LEAST)
		target = at + READ_LEAST;
	if (target > ev->file.size)
		target = ev->file.size;
	/* not a small piece for each read: only when half of the window is used up */
	if (io->asked >= need && target - io->asked < io->window / 2 && target != ev->file.size)
		return io->asked;
	return target;
}

/* the chunk that has @at, or NULL; drops what lies before it */
static struct eps_chunk *chunk_at(struct eps *e, struct eps_io *io, uint64_t at)
{
	struct eps_chunk *c;

	while ((c = io->mine) != NULL && c->at + c->len <= at) {
		io->mine = c->next;
		chunk_free(e, c);
	}
	return c && c->at <= at ? c : NULL;
}

/* lock held: moves what came in to the caller's list; true if there was anything */
static bool fetch(struct eps_io *io)
{
	struct eps_chunk *c, *next;

	if (!io->inbox)
		return false;
	for (c = io->inbox; c; c = next) {
		next = c->next;
		chunk_insert(&io->mine, c);
	}
	io->inbox = NULL;
	return true;
}

/* until something came in, or nothing will */
static int wait_for_data(struct eps_event *ev, struct eps_io *io)
{
	struct eps *e = ev->guest->eps;
	int err = 0;

	pthread_mutex_lock(&e->lock);
	while (err == 0 && !fetch(io)) {
		if (io->read_err < 0) {
			err = io->read_err;
			break;
		}
		err = eps_io_wait(ev, io);
		if (err == 0 && !io->inbox && io->n_ranges < EPS_RANGES_MAX && io->read_err == 0)
			break; /* there may be room for another range now */
	}
	pthread_mutex_unlock(&e->lock);
	return err;
}

/* is @at in the stretch? the first byte that is here or will come is @io's, or lies behind it */
static bool in_stretch(struct eps *e, struct eps_io *io, uint64_t at)
{
	uint64_t first = io->asked;

	pthread_mutex_lock(&e->lock);
	for (size_t i = 0; i < io->n_ranges; i++) {
		const struct eps_range *r = &io->ranges[i];

		if (!r->unwanted && r->at + r->got < first)
			first = r->at + r->got;
	}
	if (io->inbox && io->inbox->at < first)
		first = io->inbox->at;
	pthread_mutex_unlock(&e->lock);
	if (io->mine && io->mine->at < first)
		first = io->mine->at;
	return at >= first && at <= io->asked;
}

static int read_some(struct eps_event *ev, struct eps_io *io, uint64_t at, uint8_t *buf, size_t len,
	size_t *ret_len)
{
	struct eps *e = ev->guest->eps;
	struct eps_chunk *c = chunk_at(e, io, at);
	size_t n;
	int err;

	if (!c && !in_stretch(e, io, at))
		stretch_begin(e, io, at);
	err = ask_until(ev, io, stretch_target(ev, io, at, len));
	if (err < 0)
		return err;
	if (!c)
		return wait_for_data(ev, io);
	n = (size_t)(c->at + c->len - at);
	n = n < len ? n : len;
	memcpy(buf, c->data + (at - c->at), n);
	c->used = true;
	*ret_len = n;
	return 0;
}

static int read_rest(struct eps_event *ev, uint64_t at, uint8_t *buf, size_t len)
{
	const struct eps *e = ev->guest->eps;
	struct eps_io *io;
	size_t n;
	int err = eps_io_get(ev, &io);

	if (err < 0)
		return err;
	if (at == io->next)
		io->window =
			io->window * 2 < e->conf.read_ahead ? io->window * 2 : e->conf.read_ahead;
	else
		io->window = 0;
	while (len > 0) {
		n = 0;
		err = read_some(ev, io, at, buf, len, &n);
		if (err < 0) {
			if (err != -ETIMEDOUT) /* the next read begins anew */
				stretch_begin(ev->guest->eps, io, at);
			return err;
		}
		at += n;
		buf += n;
		len -= n;
	}
	io->next = at;
	if (io->window == 0)
		io->window = READ_LEAST;
	return 0;
}

int eps_read(struct eps_event *ev, uint64_t offset, void *buf, size_t len, size_t *ret_len)
{
	const struct eps_file *f = &ev->file;
	size_t n = 0;
	int err = atomic_load_explicit(&ev->gone, memory_order_acquire);

	if (err == 0 && eps_event_gone(ev))
		err = -EPS_EGONE; /* the deadline */
	if (err < 0)
		return err;
	if (offset >= f->size)
		len = 0;
	else if (len > f->size - offset)
		len = (size_t)(f->size - offset);
	if (len > 0 && offset < f->head_len) {
		n = f->head_len - (size_t)offset < len ? f->head_len - (size_t)offset : len;
		memcpy(buf, f->head + offset, n);
	}
	if (n < len) {
		if (eps_in_loop(ev->guest->eps))
			return -EPS_EINLOOP;
		err = read_rest(ev, offset + n, (uint8_t *)buf + n, len - n);
		if (err < 0)
			return err;
	}
	*ret_len = len;
	return 0;
}
