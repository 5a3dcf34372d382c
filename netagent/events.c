/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * events.c - sessions and addresses as wire messages, see events.h
 */
#include "netagent/events.h"

#include <stdlib.h>
#include <string.h>

#define PART_SESSIONS 256
#define PART_BYTES (48u << 10) /* of sessions; the rest of a frame is head and addresses */

static ProtobufCBinaryData addr_bytes(const struct gi_addr *a)
{
	/* protobuf-c has no const; packing only reads */
	return (ProtobufCBinaryData){ .len = gi_addr_len(a), .data = (uint8_t *)a->bytes };
}

static void session_to_wire(const struct na_session *s, Idfw__Session *ret)
{
	idfw__session__init(ret);
	ret->id = s->id;
	ret->user = s->user;
	ret->uid = s->uid;
	ret->service = s->service;
	ret->tty = s->tty;
	ret->rhost = s->rhost;
	ret->auth = s->auth;
	ret->leader_pid = s->leader_pid;
	ret->leader_start = s->leader_start;
	ret->opened_ms = s->opened_ms;
	if (s->peer.family)
		ret->peer_addr = addr_bytes(&s->peer);
	ret->kind = s->is_service ? IDFW__SESSION__KIND__SERVICE : IDFW__SESSION__KIND__LOGIN;
	ret->cgroup = s->cgroup;
	ret->parent = s->parent;
	ret->found = s->found;
}

int na_session_encode(const struct na_session *s, struct gi_buf *out)
{
	Idfw__Session w;

	session_to_wire(s, &w);
	return wire_session_encode(&w, out);
}

static int session_from_wire(struct na_sessions *t, const Idfw__Session *w, struct na_session **ret)
{
	struct na_session s = {
		.id = w->id,
		.user = w->user,
		.uid = w->uid,
		.service = w->service,
		.tty = w->tty,
		.rhost = w->rhost,
		.auth = w->auth,
		.leader_pid = w->leader_pid,
		.leader_start = w->leader_start,
		.opened_ms = w->opened_ms,
		.cgroup = w->cgroup,
		.parent = w->parent,
		.found = w->found,
		.is_service = w->kind == IDFW__SESSION__KIND__SERVICE,
	};

	if (w->peer_addr.len &&
		gi_addr_from_bytes(w->peer_addr.data, w->peer_addr.len, &s.peer) < 0)
		return -GI_EPROTO;
	return na_sessions_restore(t, &s, ret);
}

static int event_encode(struct gi_buf *out, Idfw__Event *ev)
{
	Idfw__Envelope env = IDFW__ENVELOPE__INIT;

	env.body_case = IDFW__ENVELOPE__BODY_EVENT;
	env.event = ev;
	return wire_envelope_encode(&env, out);
}

int na_event_open(struct gi_buf *out, uint64_t seq, const struct na_session *s)
{
	Idfw__Event ev = IDFW__EVENT__INIT;
	Idfw__SessionOpen open = IDFW__SESSION_OPEN__INIT;
	Idfw__Session w;

	session_to_wire(s, &w);
	open.session = &w;
	ev.seq = seq;
	ev.body_case = IDFW__EVENT__BODY_OPEN;
	ev.open = &open;
	return event_encode(out, &ev);
}

int na_event_close(
	struct gi_buf *out, uint64_t seq, uint64_t id, Idfw__EndReason reason, uint64_t now_ms)
{
	Idfw__Event ev = IDFW__EVENT__INIT;
	Idfw__SessionClose c = IDFW__SESSION_CLOSE__INIT;

	c.id = id;
	c.reason = reason;
	c.closed_ms = now_ms;
	ev.seq = seq;
	ev.body_case = IDFW__EVENT__BODY_CLOSE;
	ev.close = &c;
	return event_encode(out, &ev);
}

static void addrs_to_wire(
	const struct na_addrs *a, ProtobufCBinaryData list[WIRE_ADDRS_MAX], Idfw__Addresses *ret)
{
	idfw__addresses__init(ret);
	for (size_t i = 0; i < a->n; i++)
		list[i] = addr_bytes(&a->list[i]);
	ret->n_addr = a->n;
	ret->addr = list;
}

int na_event_addresses(struct gi_buf *out, uint64_t seq, const struct na_addrs *a)
{
	Idfw__Event ev = IDFW__EVENT__INIT;
	ProtobufCBinaryData list[WIRE_ADDRS_MAX];
	Idfw__Addresses w;

	addrs_to_wire(a, list, &w);
	ev.seq = seq;
	ev.body_case = IDFW__EVENT__BODY_ADDRESSES;
	ev.addresses = &w;
	return event_encode(out, &ev);
}

static int frame_append(struct gi_buf *out, const Idfw__Envelope *env)
{
	struct gi_buf one;
	uint32_t len;
	int err;

	gi_buf_init(&one, WIRE_FRAME_MAX);
	err = wire_envelope_encode(env, &one);
	if (err == 0) {
		len = (uint32_t)one.len;
		gi_buf_append(out, &len, sizeof(len));
		gi_buf_append(out, one.data, one.len);
		err = gi_buf_error(out);
	}
	gi_buf_fini(&one);
	return err;
}

/* fills one part from *next on; *next is then the first session that is left */
static size_t part_fill(struct na_session **next, Idfw__Session *w, Idfw__Session **ptrs)
{
	size_t n = 0, bytes = 0;

	while (*next && n < PART_SESSIONS && bytes < PART_BYTES) {
		session_to_wire(*next, &w[n]);
		ptrs[n] = &w[n];
		bytes += idfw__session__get_packed_size(&w[n]);
		n++;
		*next = (*next)->hh.next;
	}
	return n;
}

int na_snapshot_frames(
	struct gi_buf *out, uint64_t seq, const struct na_sessions *t, const struct na_addrs *a)
{
	Idfw__Session *w = calloc(PART_SESSIONS, sizeof(*w)), *ptrs[PART_SESSIONS];
	ProtobufCBinaryData list[WIRE_ADDRS_MAX];
	struct na_session *next = t->by_id;
	Idfw__Addresses addrs;
	bool first = true;
	int err = 0;

	if (!w)
		return -ENOMEM;
	addrs_to_wire(a, list, &addrs);
	do {
		Idfw__Envelope env = IDFW__ENVELOPE__INIT;
		Idfw__Snapshot snap = IDFW__SNAPSHOT__INIT;

		snap.seq = seq;
		snap.first = first;
		snap.n_session = part_fill(&next, w, ptrs);
		snap.session = ptrs;
		snap.last = next == NULL;
		if (first)
			snap.addresses = &addrs;
		env.body_case = IDFW__ENVELOPE__BODY_SNAPSHOT;
		env.snapshot = &snap;
		err = frame_append(out, &env);
		first = false;
	} while (err == 0 && next);
	free(w);
	return err;
}

bool na_frames_next(
	const struct gi_buf *frames, size_t *at, const void **ret_frame, size_t *ret_len)
{
	uint32_t len;

	if (frames->len - *at < sizeof(len))
		return false;
	memcpy(&len, frames->data + *at, sizeof(len));
	if (frames->len - *at - sizeof(len) < len)
		return false;
	*ret_frame = frames->data + *at + sizeof(len);
	*ret_len = len;
	*at += sizeof(len) + len;
	return true;
}

/* a length that no frame has: an agent before this one stops here, with all sessions read */
#define ENDED_MARK UINT32_MAX

static void ended_write(struct gi_buf *out, const struct na_sessions *t)
{
	uint32_t mark = ENDED_MARK;
	/* the oldest first */
	unsigned int at = t->n_ended < NA_ENDED_MAX ? 0 : t->next_ended;

	gi_buf_append(out, &mark, sizeof(mark));
	for (unsigned int i = 0; i < t->n_ended; i++)
		gi_buf_append(out, &t->ended[(at + i) % NA_ENDED_MAX], sizeof(struct na_ended));
}

/* what is behind the frames: nothing, or such a list */
static int ended_read(const uint8_t *buf, size_t len, struct na_sessions *t)
{
	struct na_ended e;
	uint32_t mark;

	if (len == 0)
		return 0;
	if (len < sizeof(mark) || (len - sizeof(mark)) % sizeof(e) != 0 ||
		len > sizeof(mark) + NA_ENDED_MAX * sizeof(e))
		return -GI_EPROTO;
	memcpy(&mark, buf, sizeof(mark));
	if (mark != ENDED_MARK)
		return -GI_EPROTO;
	for (size_t at = sizeof(mark); at < len; at += sizeof(e)) {
		memcpy(&e, buf + at, sizeof(e));
		na_sessions_ended(t, e.cgroup, e.session);
	}
	return 0;
}

void na_checkpoint_write(
	struct gi_buf *out, uint64_t seq, const struct na_sessions *t, const struct na_addrs *a)
{
	gi_buf_append(out, &t->next_id, sizeof(t->next_id));
	/* also without a session there is one part, so an error cannot look like an empty table */
	if (na_snapshot_frames(out, seq, t, a) < 0 && gi_buf_error(out) == 0)
		out->err = -ENOMEM;
	if (t->n_ended)
		ended_write(out, t);
}

static int addrs_from_wire(const Idfw__Addresses *w, struct na_addrs *a)
{
	struct na_addrs got = { .n = 0 };

	if (w->n_addr > WIRE_ADDRS_MAX)
		return -GI_ELIMIT;
	for (size_t i = 0; i < w->n_addr; i++) {
		if (gi_addr_from_bytes(w->addr[i].data, w->addr[i].len, &got.list[i]) < 0)
			return -GI_EPROTO;
		got.n++;
	}
	na_addrs_sort(&got);
	*a = got;
	return 0;
}

static int part_read(const Idfw__Snapshot *snap, struct na_sessions *t, struct na_addrs *a)
{
	struct na_session *s;
	int err = 0;

	if (snap->addresses)
		err = addrs_from_wire(snap->addresses, a);
	for (size_t i = 0; err == 0 && i < snap->n_session; i++)
		err = session_from_wire(t, snap->session[i], &s);
	return err;
}

int na_checkpoint_read(const void *buf, size_t len, struct na_sessions *t, struct na_addrs *a)
{
	struct gi_buf frames = { .data = (uint8_t *)buf, .len = len }; /* only read */
	uint64_t next_id;
	size_t at = sizeof(next_id), frame_len;
	const void *frame;
	const char *why;
	int err = 0;

	if (len < sizeof(next_id))
		return -GI_EPROTO;
	memcpy(&next_id, buf, sizeof(next_id));
	while (err == 0 && na_frames_next(&frames, &at, &frame, &frame_len)) {
		Idfw__Envelope *env;

		err = wire_envelope_decode(frame, frame_len, WIRE_AGENT, WIRE_OPEN, &env, &why);
		if (err < 0)
			break;
		err = -GI_EPROTO;
		if (env->body_case == IDFW__ENVELOPE__BODY_SNAPSHOT)
			err = part_read(env->snapshot, t, a);
		wire_envelope_free(env);
	}
	if (err == 0)
		err = ended_read(frames.data + at, len - at, t);
	if (t->next_id < next_id)
		t->next_id = next_id;
	return err;
}

static int event_apply(const Idfw__Event *ev, struct na_sessions *t, struct na_addrs *a)
{
	struct na_session *s;
	int err;

	switch (ev->body_case) {
	case IDFW__EVENT__BODY_OPEN:
		err = session_from_wire(t, ev->open->session, &s);
		return err == -EEXIST ? 0 : err;
	case IDFW__EVENT__BODY_CLOSE:
		s = na_sessions_find(t, ev->close->id);
		if (s)
			na_sessions_remove(t, s);
		return 0;
	case IDFW__EVENT__BODY_ADDRESSES:
		return addrs_from_wire(ev->addresses, a);
	default:
		return -GI_EPROTO;
	}
}

int na_event_replay(const void *buf, size_t len, struct na_sessions *t, struct na_addrs *a)
{
	Idfw__Envelope *env;
	const char *why;
	int err = wire_envelope_decode(buf, len, WIRE_AGENT, WIRE_OPEN, &env, &why);

	if (err < 0)
		return err;
	err = -GI_EPROTO;
	if (env->body_case == IDFW__ENVELOPE__BODY_EVENT)
		err = event_apply(env->event, t, a);
	wire_envelope_free(env);
	return err;
}

static int addr_cmp(const void *a, const void *b)
{
	return gi_addr_cmp(a, b);
}

void na_addrs_sort(struct na_addrs *a)
{
	size_t kept = 0;

	qsort(a->list, a->n, sizeof(a->list[0]), addr_cmp);
	for (size_t i = 0; i < a->n; i++) {
		if (kept == 0 || gi_addr_cmp(&a->list[kept - 1], &a->list[i]) != 0)
			a->list[kept++] = a->list[i];
	}
	a->n = kept;
}

bool na_addrs_equal(const struct na_addrs *a, const struct na_addrs *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		if (gi_addr_cmp(&a->list[i], &b->list[i]) != 0)
			return false;
	}
	return true;
}
