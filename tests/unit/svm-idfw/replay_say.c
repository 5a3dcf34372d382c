/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * replay_say.c - the scenario runner's steps in which a guest's agent says something
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/unit/svm-idfw/replay.h"

size_t replay_split(char *text, char *out[LIST_MAX])
{
	size_t n = 0;

	for (char *p = text; p && *p && strcmp(text, "-") != 0 && n < LIST_MAX; n++) {
		out[n] = p;
		p = strchr(p, ',');
		if (p)
			*p++ = '\0';
	}
	return n;
}

/* ---- messages ---- */

struct body { /* room for one message */
	Idfw__Envelope env;
	Idfw__Event event;
	Idfw__SessionOpen open;
	Idfw__SessionClose close;
	Idfw__Addresses addrs;
	Idfw__Snapshot snap;
	Idfw__Session sessions[LIST_MAX], *session_ptrs[LIST_MAX];
	struct gi_addr addr[LIST_MAX];
	ProtobufCBinaryData addr_data[LIST_MAX];
	char text[1024];
};

static void body_init(struct body *b)
{
	memset(b, 0, sizeof(*b));
	idfw__envelope__init(&b->env);
	idfw__event__init(&b->event);
	idfw__session_open__init(&b->open);
	idfw__session_close__init(&b->close);
	idfw__addresses__init(&b->addrs);
	idfw__snapshot__init(&b->snap);
}

static void fill_session(Idfw__Session *s, uint64_t id, char *user, uint64_t uid)
{
	static char service[] = "sshd", tty[] = "pts/0", rhost[] = "10.77.7.10";

	idfw__session__init(s);
	s->id = id;
	s->user = user;
	s->uid = (uint32_t)uid;
	s->service = service;
	s->tty = tty;
	s->rhost = rhost;
	s->opened_ms = 1700000000000 + id;
}

static void fill_addresses(struct body *b, const char *text)
{
	char copy[512], *list[LIST_MAX];
	size_t n;

	snprintf(copy, sizeof(copy), "%s", text ? text : "-");
	n = replay_split(copy, list);
	for (size_t i = 0; i < n; i++) {
		if (gi_addr_parse(list[i], &b->addr[i]) < 0) {
			fprintf(stderr, "not an address: %s\n", list[i]);
			exit(2);
		}
		b->addr_data[i].data = b->addr[i].bytes;
		b->addr_data[i].len = gi_addr_len(&b->addr[i]);
	}
	b->addrs.addr = b->addr_data;
	b->addrs.n_addr = n;
}

static void fill_sessions(struct body *b, const char *text)
{
	char *list[LIST_MAX];
	size_t n;

	snprintf(b->text, sizeof(b->text), "%s", text ? text : "-");
	n = replay_split(b->text, list);
	for (size_t i = 0; i < n; i++) {
		char *user = strchr(list[i], ':'), *uid = user ? strchr(user + 1, ':') : NULL;
		char *cgroup, *parent;

		if (!uid) {
			fprintf(stderr, "not ID:USER:UID: %s\n", list[i]);
			exit(2);
		}
		*user++ = '\0';
		*uid++ = '\0';
		cgroup = strchr(uid, ':');
		if (cgroup)
			*cgroup++ = '\0';
		parent = cgroup ? strchr(cgroup, ':') : NULL;
		if (parent)
			*parent++ = '\0';
		fill_session(&b->sessions[i], replay_number(list[i]), user, replay_number(uid));
		b->sessions[i].cgroup = cgroup ? replay_number(cgroup) : 0;
		b->sessions[i].parent = parent ? replay_number(parent) : 0;
		b->session_ptrs[i] = &b->sessions[i];
	}
	b->snap.session = b->session_ptrs;
	b->snap.n_session = n;
}

static void say_snapshot(struct run *r, const char *vm, uint64_t seq)
{
	const char *first = replay_option(r, "first"), *last = replay_option(r, "last");
	static struct body b;

	body_init(&b);
	fill_addresses(&b, replay_option(r, "addr"));
	fill_sessions(&b, replay_option(r, "sessions"));
	b.snap.seq = seq;
	b.snap.first = !(first && !strcmp(first, "no"));
	b.snap.last = !(last && !strcmp(last, "no"));
	if (b.snap.first)
		b.snap.addresses = &b.addrs;
	b.env.body_case = IDFW__ENVELOPE__BODY_SNAPSHOT;
	b.env.snapshot = &b.snap;
	(void)world_say(&r->w, vm, &b.env);
}

static void say_event(struct run *r, struct body *b, const char *vm, uint64_t seq)
{
	b->event.seq = seq;
	b->env.body_case = IDFW__ENVELOPE__BODY_EVENT;
	b->env.event = &b->event;
	(void)world_say(&r->w, vm, &b->env);
}

bool replay_up(struct run *r)
{
	struct gi_prefix list[8];
	char copy[512], *texts[LIST_MAX];
	size_t n = 0;

	if (replay_option(r, "allowed")) {
		snprintf(copy, sizeof(copy), "%s", replay_option(r, "allowed"));
		n = replay_split(copy, texts);
		for (size_t i = 0; i < n && i < 8; i++)
			if (gi_prefix_parse(texts[i], true, &list[i]) < 0)
				return replay_fail(r, "not a prefix");
	}
	if (replay_option(r, "turned-away"))
		r->w.turned_away = replay_number(replay_option(r, "turned-away"));
	return world_up(&r->w, r->words[1], NULL, n, list) == 0 ||
	       replay_fail(r, "guest_up refused");
}

bool replay_hello(struct run *r)
{
	const char *version = replay_option(r, "version"), *last = replay_option(r, "last");

	(void)world_hello_last(&r->w, r->words[1], (uint8_t)replay_number(replay_option(r, "boot")),
		version ? (uint32_t)replay_number(version) : 1,
		last ? replay_number(last) : UINT64_MAX);
	return true;
}

bool replay_connect(struct run *r)
{
	const char *seq = replay_option(r, "seq");

	if (!replay_up(r) || !replay_hello(r))
		return false;
	say_snapshot(r, r->words[1], seq ? replay_number(seq) : 0);
	(void)world_marks(&r->w, r->words[1]);
	return true;
}

bool replay_open(struct run *r)
{
	static struct body b;

	body_init(&b);
	fill_session(&b.sessions[0], replay_number(r->words[3]), r->words[4],
		replay_number(r->words[5]));
	if (replay_option(r, "cg"))
		b.sessions[0].cgroup = replay_number(replay_option(r, "cg"));
	if (replay_option(r, "in"))
		b.sessions[0].parent = replay_number(replay_option(r, "in"));
	if (replay_option(r, "at"))
		b.sessions[0].opened_ms = replay_number(replay_option(r, "at"));
	b.sessions[0].found = replay_option(r, "found") != NULL;
	if (replay_option(r, "service"))
		b.sessions[0].kind = IDFW__SESSION__KIND__SERVICE;
	b.open.session = &b.sessions[0];
	b.event.body_case = IDFW__EVENT__BODY_OPEN;
	b.event.open = &b.open;
	say_event(r, &b, r->words[1], replay_number(r->words[2]));
	return true;
}

bool replay_opens(struct run *r)
{
	uint64_t seq = replay_number(r->words[2]), id = replay_number(r->words[3]),
		 n = replay_number(r->words[4]);
	static struct body b;

	for (uint64_t i = 0; i < n; i++) {
		body_init(&b);
		fill_session(&b.sessions[0], id + i, r->words[5], replay_number(r->words[6]));
		b.open.session = &b.sessions[0];
		b.event.body_case = IDFW__EVENT__BODY_OPEN;
		b.event.open = &b.open;
		say_event(r, &b, r->words[1], seq + i);
	}
	return true;
}

bool replay_short(struct run *r)
{
	uint64_t seq = replay_number(r->words[2]), id = replay_number(r->words[3]),
		 n = replay_number(r->words[4]), cgroup = replay_number(r->words[7]);
	static struct body b;

	for (uint64_t i = 0; i < n; i++) {
		body_init(&b);
		fill_session(&b.sessions[0], id + i, r->words[5], replay_number(r->words[6]));
		b.sessions[0].cgroup = cgroup + i;
		b.open.session = &b.sessions[0];
		b.event.body_case = IDFW__EVENT__BODY_OPEN;
		b.event.open = &b.open;
		say_event(r, &b, r->words[1], seq + 2 * i);
		body_init(&b);
		b.close.id = id + i;
		b.close.reason = IDFW__END_REASON__END_CLOSE;
		b.event.body_case = IDFW__EVENT__BODY_CLOSE;
		b.event.close = &b.close;
		say_event(r, &b, r->words[1], seq + 2 * i + 1);
	}
	return true;
}

bool replay_alarm(struct run *r)
{
	Idfw__Alarm a = IDFW__ALARM__INIT;
	static struct body b;

	body_init(&b);
	a.kind = (Idfw__Alarm__Kind)replay_number(r->words[2]);
	a.text = r->words[3];
	a.over = r->n > 4 && !strcmp(r->words[4], "over");
	b.env.body_case = IDFW__ENVELOPE__BODY_ALARM;
	b.env.alarm = &a;
	(void)world_say(&r->w, r->words[1], &b.env);
	return true;
}

bool replay_close(struct run *r)
{
	static struct body b;

	body_init(&b);
	b.close.id = replay_number(r->words[3]);
	b.close.reason = r->n > 4 ? (Idfw__EndReason)replay_number(r->words[4])
				  : IDFW__END_REASON__END_CLOSE;
	if (replay_option(r, "at"))
		b.close.closed_ms = replay_number(replay_option(r, "at"));
	b.event.body_case = IDFW__EVENT__BODY_CLOSE;
	b.event.close = &b.close;
	say_event(r, &b, r->words[1], replay_number(r->words[2]));
	return true;
}

bool replay_address(struct run *r)
{
	static struct body b;

	body_init(&b);
	fill_addresses(&b, r->words[3]);
	b.event.body_case = IDFW__EVENT__BODY_ADDRESSES;
	b.event.addresses = &b.addrs;
	say_event(r, &b, r->words[1], replay_number(r->words[2]));
	return true;
}

bool replay_snapshot(struct run *r)
{
	say_snapshot(r, r->words[1], replay_number(r->words[2]));
	return true;
}

bool replay_marks(struct run *r)
{
	(void)world_marks(&r->w, r->words[1]);
	return true;
}
