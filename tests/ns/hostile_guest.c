/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hostile_guest.c - a guest whose root is the attacker: speaks the agent's protocol to gi-mux, and
 * lies
 *
 *   hostile_guest --socket PATH --mode MODE --for-ms T [--user NAME] [--address A]... [--count N]
 *
 *   flood     logins and logouts as fast as they are taken, in order, for ever new users
 *   lies      sessions of --user, of services nobody asked for, with cgroups and parents that are
 * not;
 *             --address of others; ends of sessions that it has not; marks, acknowledgements,
 * alarms snapshot  N sessions of --user at once, and again on each connection replay    numbers
 * from the past and the future, other boot ids, one after the other rubbish   bytes, half frames,
 * wrong lengths, messages that only a service may send connect   N connections, some with a Hello
 *   deaf      asks and never reads
 *
 * Used by tests/ns/lab-hostile.sh and tests/bench/run. Tries until its time is up, comes again
 * whenever it is thrown out, and prints one JSON line of what it got. It asserts nothing: what must
 * not have changed is looked at from outside.
 */
#include "lib/base/addr.h"
#include "lib/wire/wire.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define ADDRESSES_MAX 16
#define OUT_MAX (1u << 20)
#define IN_MAX (WIRE_FRAME_MAX + 4)

struct evil {
	const char *path, *user;
	struct gi_addr address[ADDRESSES_MAX];
	size_t n_addresses;
	uint64_t count, end_ms, seed;
	int fd; /* -1 */
	bool deaf, welcome;
	uint8_t boot[WIRE_BOOT_ID_LEN];
	uint64_t seq, acked, id, last_seq;
	uint8_t in[IN_MAX];
	size_t n_in;
	uint64_t connects, failed, ended, frames, bytes, refusals, enforced, degraded, refused,
		kicks;
};

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static bool time_left(const struct evil *v)
{
	return now_ms() < v->end_ms;
}

static uint64_t rnd(struct evil *v) /* xorshift: the same each run */
{
	v->seed ^= v->seed << 13;
	v->seed ^= v->seed >> 7;
	v->seed ^= v->seed << 17;
	return v->seed;
}

static void drop(struct evil *v)
{
	if (v->fd < 0)
		return;
	close(v->fd);
	v->fd = -1;
	v->ended++;
}

/* ---- what comes back ---- */

static bool put(struct evil *v, const void *bytes, size_t len);
static bool send_envelope(struct evil *v, Idfw__Envelope *e);

static void answer(struct evil *v, uint64_t generation, uint64_t version)
{
	Idfw__Applied a = IDFW__APPLIED__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;

	a.generation = generation;
	a.version = version;
	e.body_case = IDFW__ENVELOPE__BODY_APPLIED;
	e.applied = &a;
	send_envelope(v, &e);
}

static void ready(struct evil *v, Idfw__SessionReady__State state)
{
	if (state == IDFW__SESSION_READY__STATE__ENFORCED)
		v->enforced++;
	else if (state == IDFW__SESSION_READY__STATE__DEGRADED)
		v->degraded++;
	else
		v->refused++;
}

static void take(struct evil *v, const uint8_t *buf, size_t len)
{
	Idfw__Envelope *e = idfw__envelope__unpack(NULL, len, buf);

	if (!e)
		return;
	switch (e->body_case) {
	case IDFW__ENVELOPE__BODY_HELLO_ACK:
		v->welcome = true;
		v->seq = v->acked = e->hello_ack->acked_seq; /* a spool would go on there */
		break;
	case IDFW__ENVELOPE__BODY_EVENT_ACK:
		v->acked = e->event_ack->seq;
		break;
	case IDFW__ENVELOPE__BODY_SESSION_READY:
		ready(v, e->session_ready->state);
		break;
	case IDFW__ENVELOPE__BODY_RULESET_COMMIT:
		answer(v, e->ruleset_commit->generation, e->ruleset_commit->version);
		break;
	case IDFW__ENVELOPE__BODY_DELTA:
		answer(v, e->delta->generation, e->delta->version);
		break;
	case IDFW__ENVELOPE__BODY_KICK:
		v->kicks++;
		break;
	case IDFW__ENVELOPE__BODY_REFUSED:
		v->refusals++;
		break;
	default:
		break;
	}
	idfw__envelope__free_unpacked(e, NULL);
}

static size_t frame_len(const uint8_t *p)
{
	return (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
}

static void read_some(struct evil *v)
{
	ssize_t n = recv(v->fd, v->in + v->n_in, sizeof(v->in) - v->n_in, MSG_DONTWAIT);
	size_t at = 0, len;

	if (n == 0 || (n < 0 && errno != EAGAIN)) {
		drop(v);
		return;
	}
	v->n_in += n > 0 ? (size_t)n : 0;
	while (v->fd >= 0 && v->n_in - at >= 4 &&
		(len = frame_len(v->in + at)) <= v->n_in - at - 4) {
		take(v, v->in + at + 4, len);
		at += 4 + len;
	}
	memmove(v->in, v->in + at, v->n_in - at);
	v->n_in -= at;
}

/* reads what is there, waits for at most @ms */
static void listen_for(struct evil *v, int ms)
{
	struct pollfd p = { .fd = v->fd, .events = POLLIN };

	if (v->fd < 0)
		return;
	if (v->deaf)
		poll(NULL, 0, ms);
	else if (poll(&p, 1, ms) > 0)
		read_some(v);
}

/* ---- what goes out ---- */

/* false: the connection is over, or the time is */
static bool put(struct evil *v, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;

	while (len && v->fd >= 0) {
		ssize_t n = send(v->fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		struct pollfd pf = { .fd = v->fd, .events = POLLOUT };

		if (n > 0) {
			p += n;
			len -= (size_t)n;
			v->bytes += (uint64_t)n;
		} else if (errno != EAGAIN) {
			drop(v);
		} else if (!time_left(v)) {
			return false;
		} else {
			poll(&pf, 1, 20);
			if (pf.revents & POLLHUP)
				drop(v);
		}
	}
	return v->fd >= 0;
}

static bool put_frame(struct evil *v, const uint8_t *body, size_t len, size_t say_len)
{
	static uint8_t buf[OUT_MAX];

	buf[0] = (uint8_t)(say_len >> 24);
	buf[1] = (uint8_t)(say_len >> 16);
	buf[2] = (uint8_t)(say_len >> 8);
	buf[3] = (uint8_t)say_len;
	memcpy(buf + 4, body, len);
	v->frames++;
	return put(v, buf, 4 + len);
}

/* without the limits of lib/wire's encoder: those are honest people's */
static bool send_envelope(struct evil *v, Idfw__Envelope *e)
{
	static uint8_t buf[OUT_MAX - 4];
	size_t len = idfw__envelope__get_packed_size(e);

	if (len > sizeof(buf) || v->fd < 0)
		return false;
	idfw__envelope__pack(e, buf);
	return put_frame(v, buf, len, len);
}

static bool hello(struct evil *v)
{
	Idfw__Hello h = IDFW__HELLO__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;

	h.version_min = WIRE_VERSION_MIN;
	h.version_max = WIRE_VERSION_MAX;
	h.software = (char *)(uintptr_t) "gi-netagent 0.1.0";
	h.boot_id = (ProtobufCBinaryData){ sizeof(v->boot), v->boot };
	h.last_seq = v->last_seq;
	e.body_case = IDFW__ENVELOPE__BODY_HELLO;
	e.hello = &h;
	return send_envelope(v, &e);
}

static bool plug(struct evil *v)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	drop(v);
	v->n_in = 0;
	v->welcome = false;
	snprintf(un.sun_path, sizeof(un.sun_path), "%s", v->path);
	v->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (v->fd >= 0 && connect(v->fd, (struct sockaddr *)&un, sizeof(un)) == 0) {
		v->connects++;
		return true;
	}
	v->failed++;
	if (v->fd >= 0)
		close(v->fd);
	v->fd = -1;
	return false;
}

/* connected and greeted; waits out "too many connections" */
static bool enter(struct evil *v)
{
	while (time_left(v)) {
		bool there = plug(v) && hello(v);
		uint64_t until = now_ms() + 1000;

		while (there && v->fd >= 0 && !v->welcome && now_ms() < until && time_left(v))
			listen_for(v, 20);
		if (v->fd >= 0 && v->welcome)
			return true;
		poll(NULL, 0, 100);
	}
	return false;
}

static bool send_event(struct evil *v, Idfw__Event *ev)
{
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;

	e.body_case = IDFW__ENVELOPE__BODY_EVENT;
	e.event = ev;
	return send_envelope(v, &e);
}

static void session_init(struct evil *v, Idfw__Session *s, char *user)
{
	idfw__session__init(s);
	s->id = ++v->id;
	s->user = user;
	s->uid = 2001;
	s->service = (char *)(uintptr_t) "sshd";
	s->leader_pid = (uint32_t)(1000 + v->id % 30000);
	s->leader_start = v->id;
	s->opened_ms = 1700000000000 + v->id;
}

static bool send_open(struct evil *v, Idfw__Session *s)
{
	Idfw__SessionOpen o = IDFW__SESSION_OPEN__INIT;
	Idfw__Event ev = IDFW__EVENT__INIT;

	o.session = s;
	ev.seq = ++v->seq;
	ev.body_case = IDFW__EVENT__BODY_OPEN;
	ev.open = &o;
	return send_event(v, &ev);
}

static bool send_close(struct evil *v, uint64_t id)
{
	Idfw__SessionClose c = IDFW__SESSION_CLOSE__INIT;
	Idfw__Event ev = IDFW__EVENT__INIT;

	c.id = id;
	c.reason = IDFW__END_REASON__END_CLOSE;
	c.closed_ms = 1700000000000;
	ev.seq = ++v->seq;
	ev.body_case = IDFW__EVENT__BODY_CLOSE;
	ev.close = &c;
	return send_event(v, &ev);
}

static void fill_addresses(struct evil *v, Idfw__Addresses *a, ProtobufCBinaryData *list)
{
	idfw__addresses__init(a);
	for (size_t i = 0; i < v->n_addresses; i++)
		list[i] = (ProtobufCBinaryData){ gi_addr_len(&v->address[i]), v->address[i].bytes };
	a->n_addr = v->n_addresses;
	a->addr = list;
}

/* @n sessions of the user, in parts of 300 */
static bool send_snapshot(struct evil *v, uint64_t n)
{
	ProtobufCBinaryData addrs[ADDRESSES_MAX];
	Idfw__Addresses a;
	Idfw__Session s[300], *list[300];
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	uint64_t done = 0;

	fill_addresses(v, &a, addrs);
	do {
		Idfw__Snapshot m = IDFW__SNAPSHOT__INIT;

		m.seq = v->seq;
		m.first = done == 0;
		for (; m.n_session < 300 && done < n; done++, m.n_session++) {
			session_init(v, &s[m.n_session], (char *)(uintptr_t)v->user);
			list[m.n_session] = &s[m.n_session];
		}
		m.last = done == n;
		m.session = list;
		if (m.first)
			m.addresses = &a;
		e.body_case = IDFW__ENVELOPE__BODY_SNAPSHOT;
		e.snapshot = &m;
		if (!send_envelope(v, &e))
			return false;
	} while (done < n);
	return true;
}

static bool send_marks(struct evil *v, const Idfw__Element *list, size_t n)
{
	Idfw__Element *p[64];
	Idfw__Marks m = IDFW__MARKS__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;

	for (size_t i = 0; i < n; i++)
		p[i] = (Idfw__Element *)(uintptr_t)&list[i];
	m.first = m.last = true;
	m.n_elem = n;
	m.elem = p;
	e.body_case = IDFW__ENVELOPE__BODY_MARKS;
	e.marks = &m;
	return send_envelope(v, &e);
}

static bool settle(struct evil *v)
{
	return enter(v) && send_snapshot(v, 0) && send_marks(v, NULL, 0);
}

/* ---- the modes ---- */

static void flood(struct evil *v)
{
	char user[32];
	Idfw__Session s;

	while (time_left(v)) {
		if (v->fd < 0 && !settle(v))
			continue;
		for (int i = 0; i < 64 && v->fd >= 0; i++) {
			(void)snprintf(user, sizeof(user), "evil%06llu",
				(unsigned long long)(v->id % 1000000));
			session_init(v, &s, user);
			if (send_open(v, &s) && v->id > 32)
				send_close(v, v->id - 32);
		}
		listen_for(v, 0);
	}
}

/* one lie after the other; each on a number of its own, so that it is looked at */
static void lie(struct evil *v, unsigned int which)
{
	static const uint64_t strange[] = { 1, UINT64_MAX, 0x8000000000000000u, 4242 };
	Idfw__Session s;

	session_init(v, &s, (char *)(uintptr_t)v->user);
	switch (which % 7) {
	case 0: /* a user who may not be here */
		break;
	case 1: /* a service that nobody asked for */
		s.kind = IDFW__SESSION__KIND__SERVICE;
		s.user = (char *)(uintptr_t) "sshd.service";
		break;
	case 2: /* a cgroup that may be anybody's, the root's, or none */
		s.cgroup = strange[rnd(v) % GI_ARRAY_SIZE(strange)];
		break;
	case 3: /* inside a session that is not */
		s.parent = strange[rnd(v) % GI_ARRAY_SIZE(strange)];
		break;
	case 4: /* root, and nobody */
		s.uid = rnd(v) % 2 ? 0 : UINT32_MAX;
		s.user = (char *)(uintptr_t) "root";
		break;
	case 5: /* an end of what it has not */
		send_close(v, strange[rnd(v) % GI_ARRAY_SIZE(strange)]);
		return;
	default: /* the same number again */
		s.id = v->id > 8 ? v->id - 8 : 1;
		break;
	}
	send_open(v, &s);
}

static void lie_addresses(struct evil *v)
{
	ProtobufCBinaryData list[ADDRESSES_MAX];
	Idfw__Event ev = IDFW__EVENT__INIT;
	Idfw__Addresses a;

	fill_addresses(v, &a, list);
	ev.seq = ++v->seq;
	ev.body_case = IDFW__EVENT__BODY_ADDRESSES;
	ev.addresses = &a;
	send_event(v, &ev);
}

/* what its kernel "holds": marks that may be others' */
static void lie_marks(struct evil *v)
{
	uint8_t key[32][4];
	Idfw__Element el[32];

	for (size_t i = 0; i < GI_ARRAY_SIZE(el); i++) {
		uint32_t uid = 2000 + (uint32_t)i;

		idfw__element__init(&el[i]);
		for (int b = 0; b < 4; b++)
			key[i][b] = (uint8_t)(uid >> (24 - 8 * b));
		el[i].set = 1; /* uid -> mark */
		el[i].key = (ProtobufCBinaryData){ 4, key[i] };
		el[i].mark = 1 + (uint32_t)(rnd(v) % 1000);
	}
	send_marks(v, el, GI_ARRAY_SIZE(el));
}

static void lie_alarm(struct evil *v)
{
	char text[WIRE_TEXT_MAX + 1];
	Idfw__Alarm a = IDFW__ALARM__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	text[200] = '\0';
	a.kind = (Idfw__Alarm__Kind)(1 + rnd(v) % 6);
	a.over = rnd(v) % 2;
	a.text = text;
	e.body_case = IDFW__ENVELOPE__BODY_ALARM;
	e.alarm = &a;
	send_envelope(v, &e);
}

static void lies(struct evil *v)
{
	for (unsigned int i = 0; time_left(v); i++) {
		if (v->fd < 0) {
			if (!enter(v) || !send_snapshot(v, 3))
				continue;
			lie_marks(v);
		}
		lie(v, i);
		if (i % 5 == 0)
			lie_addresses(v);
		if (i % 7 == 0)
			lie_alarm(v);
		if (i % 11 == 0)
			answer(v, rnd(v), rnd(v)); /* of pushes that never were */
		if (i % 13 == 0)
			lie_marks(v);
		listen_for(v, 2);
	}
}

static void snapshot(struct evil *v)
{
	while (time_left(v)) {
		if (!enter(v) || !send_snapshot(v, v->count))
			continue;
		send_marks(v, NULL, 0);
		for (int i = 0; i < 50 && v->fd >= 0; i++)
			listen_for(v, 10);
		send_snapshot(v, v->count); /* again, unasked */
		for (int i = 0; i < 50 && v->fd >= 0; i++)
			listen_for(v, 10);
		drop(v);
	}
}

static void replay(struct evil *v)
{
	Idfw__Session s;

	while (time_left(v)) {
		for (size_t i = 0; i < sizeof(v->boot) && rnd(v) % 2; i++)
			v->boot[i] = (uint8_t)rnd(v);
		v->last_seq = rnd(v) % 3 ? rnd(v) % 100 : UINT64_MAX;
		if (!settle(v))
			continue;
		for (int i = 0; i < 20 && v->fd >= 0; i++) {
			uint64_t jump = rnd(v) % 4;

			session_init(v, &s, (char *)(uintptr_t)v->user);
			v->seq = jump == 0 ? 0 : jump == 1 ? rnd(v) : jump == 2 ? v->acked : v->seq;
			send_open(v, &s);
			listen_for(v, 5);
		}
		drop(v);
	}
}

/* messages that are for the other direction, or for nobody */
static void forbidden(struct evil *v)
{
	Idfw__Kick k = IDFW__KICK__INIT;
	Idfw__RulesetBegin b = IDFW__RULESET_BEGIN__INIT;
	Idfw__SessionReady r = IDFW__SESSION_READY__INIT;
	Idfw__CtlRequest c = IDFW__CTL_REQUEST__INIT;
	Idfw__Event ev = IDFW__EVENT__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	Idfw__Session s;

	session_init(v, &s, (char *)(uintptr_t)v->user);
	switch (rnd(v) % 8) {
	case 0:
		e.body_case = IDFW__ENVELOPE__BODY_KICK;
		e.kick = &k;
		break;
	case 1:
		e.body_case = IDFW__ENVELOPE__BODY_RULESET_BEGIN;
		e.ruleset_begin = &b;
		break;
	case 2:
		e.body_case = IDFW__ENVELOPE__BODY_SESSION_READY;
		e.session_ready = &r;
		break;
	case 3:
		c.verb = (char *)(uintptr_t) "policy-commit";
		e.body_case = IDFW__ENVELOPE__BODY_CTL_REQUEST;
		e.ctl_request = &c;
		break;
	case 4: /* inside itself */
		s.parent = s.id;
		send_open(v, &s);
		return;
	case 5: /* of no kind */
		s.kind = (Idfw__Session__Kind)77;
		send_open(v, &s);
		return;
	case 6:
		ev.seq = ++v->seq;
		send_event(v, &ev);
		return;
	default:
		break; /* an Envelope without a body */
	}
	send_envelope(v, &e);
}

static void rubbish(struct evil *v)
{
	uint8_t bytes[4096];

	while (time_left(v)) {
		bool greeted = rnd(v) % 2;

		if (greeted ? !settle(v) : !plug(v)) {
			poll(NULL, 0, 20);
			continue;
		}
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = (uint8_t)rnd(v);
		switch (rnd(v) % 5) {
		case 0:
			put(v, bytes, sizeof(bytes));
			break;
		case 1: /* half a frame, and then nothing */
			put_frame(v, bytes, 10, 1000);
			break;
		case 2:
			put_frame(v, bytes, 0, 0);
			break;
		case 3: /* 4 GiB */
			put_frame(v, bytes, sizeof(bytes), 0xffffffffu);
			break;
		default:
			forbidden(v);
			break;
		}
		for (int i = 0; i < 10 && v->fd >= 0; i++)
			listen_for(v, 10);
		drop(v);
	}
}

static void connect_often(struct evil *v)
{
	while (time_left(v) && v->connects + v->failed < v->count) {
		if (plug(v) && rnd(v) % 2)
			hello(v);
		listen_for(v, 0);
	}
	drop(v);
}

static void deaf(struct evil *v)
{
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	Idfw__Ping p = IDFW__PING__INIT;

	e.body_case = IDFW__ENVELOPE__BODY_PING;
	e.ping = &p;
	while (time_left(v)) {
		v->deaf = false;
		if (!settle(v))
			continue;
		v->deaf = true;
		while (time_left(v) && v->fd >= 0) {
			p.token++;
			if (!send_envelope(v, &e))
				break;
		}
	}
}

static const struct {
	const char *name;
	void (*run)(struct evil *v);
} modes[] = { { "flood", flood }, { "lies", lies }, { "snapshot", snapshot }, { "replay", replay },
	{ "rubbish", rubbish }, { "connect", connect_often }, { "deaf", deaf } };

static void print_result(const struct evil *v, const char *mode)
{
	printf("{\"hostile\":\"%s\",\"connects\":%llu,\"connect_failed\":%llu,\"ended\":%llu,"
	       "\"frames\":%llu,\"bytes\":%llu,\"refusals\":%llu,\"acked\":%llu,\"enforced\":%llu,"
	       "\"degraded\":%llu,\"refused\":%llu,\"kicks\":%llu}\n",
		mode, (unsigned long long)v->connects, (unsigned long long)v->failed,
		(unsigned long long)v->ended, (unsigned long long)v->frames,
		(unsigned long long)v->bytes, (unsigned long long)v->refusals,
		(unsigned long long)v->acked, (unsigned long long)v->enforced,
		(unsigned long long)v->degraded, (unsigned long long)v->refused,
		(unsigned long long)v->kicks);
}

static int usage(void)
{
	fprintf(stderr,
		"usage: hostile_guest --socket PATH --mode MODE --for-ms T (see its head)\n");
	return 2;
}

static bool parse_args(struct evil *v, int argc, char **argv, const char **ret_mode)
{
	static const struct option opts[] = { { "socket", 1, NULL, 's' }, { "mode", 1, NULL, 'm' },
		{ "for-ms", 1, NULL, 't' }, { "user", 1, NULL, 'u' }, { "address", 1, NULL, 'a' },
		{ "count", 1, NULL, 'c' }, { 0 } };
	int o;

	while ((o = getopt_long(argc, argv, "", opts, NULL)) != -1) {
		if (o == 's')
			v->path = optarg;
		else if (o == 'm')
			*ret_mode = optarg;
		else if (o == 't')
			v->end_ms = now_ms() + strtoull(optarg, NULL, 10);
		else if (o == 'u')
			v->user = optarg;
		else if (o == 'c')
			v->count = strtoull(optarg, NULL, 10);
		else if (o != 'a' || v->n_addresses == ADDRESSES_MAX ||
			 gi_addr_parse(optarg, &v->address[v->n_addresses++]))
			return false;
	}
	return v->path && *ret_mode && v->end_ms;
}

int main(int argc, char **argv)
{
	static struct evil v = {
		.fd = -1, .user = "alice", .count = 1000, .seed = 88172645463325252u
	};
	const char *mode = NULL;

	if (!parse_args(&v, argc, argv, &mode))
		return usage();
	memcpy(v.boot, "hostile boot id", 16);
	v.id = now_ms() * 1000; /* as an honest agent would: behind those of earlier runs */
	for (size_t i = 0; i < GI_ARRAY_SIZE(modes); i++) {
		if (strcmp(modes[i].name, mode) != 0)
			continue;
		modes[i].run(&v);
		drop(&v);
		print_result(&v, mode);
		return 0;
	}
	return usage();
}
