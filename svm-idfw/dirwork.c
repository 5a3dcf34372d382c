/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirwork.c - lookups in the directory child, and their answers
 *
 * Runs in the directory child, beside dirchild.c, which owns the connections. One lookup a loop
 * round, so that each answer leaves before the next call.
 * Invariants: every DirLookup gets one answer (the last part has `last`); no answer without a
 * working connection but UNAVAILABLE. Source: docs/directory.md, lib/wire/idfw.proto.
 */
#include "svm-idfw/dirchild.h"

#include <string.h>

#define CHILD_PART_BYTES                                                        \
	(48u << 10) /* groups of one DirResult: below a frame with all the rest \
		     */

static void child_work_cb(struct io_timer *w);
static bool child_lookup(struct child *s, const Idfw__DirLookup *l);
static void child_send_answer(
	struct child *s, uint64_t id, const struct dir_answer *a, uint64_t took_ms);

bool child_work_put(struct child *s, Idfw__Envelope *e)
{
	if (s->n_waiting == CHILD_WAITING_MAX)
		return false;
	s->waiting[(s->first + s->n_waiting++) % CHILD_WAITING_MAX] = e;
	if (s->n_waiting == 1)
		io_timer_start(s->loop, &s->work, 0, 0, child_work_cb, s);
	return true;
}

void child_work_fini(struct child *s)
{
	for (; s->n_waiting; s->n_waiting--)
		wire_envelope_free(s->waiting[s->first++ % CHILD_WAITING_MAX]);
}

static void child_work_cb(struct io_timer *w)
{
	struct child *s = w->arg;
	Idfw__Envelope *e;

	if (s->n_waiting == 0)
		return;
	e = s->waiting[s->first % CHILD_WAITING_MAX];
	if (child_lookup(s, e->dir_lookup)) {
		s->first++;
		s->n_waiting--;
		s->again = false;
		wire_envelope_free(e);
	}
	if (s->n_waiting)
		io_timer_start(s->loop, &s->work, 0, 0, child_work_cb, s);
}

/* false: not answered, the connection went and is made again; once a lookup */
static bool child_lookup(struct child *s, const Idfw__DirLookup *l)
{
	struct dir_answer a = { .status = IDFW__DIR_RESULT__STATUS__UNAVAILABLE };
	uint64_t began = io_clock_mono_ms();
	int err = -ENOTCONN;

	if (!s->up && began >= s->retry_ms) {
		child_connect(s);
		if (!s->up)
			child_send_state(s);
	}
	if (s->up)
		err = s->back.ops->lookup(&s->back, l->name, l->sid.data, l->sid.len, &a, s->why);
	if (err == -ECONNRESET && !s->again) {
		dir_answer_fini(&a);
		s->again = true;
		child_reconnect(s);
		return false;
	}
	if (s->up && (err == -ECONNRESET || err == -ETIMEDOUT)) {
		child_disconnect(s);
		child_send_state(s); /* first: the engine asks again when it is up */
	}
	if (err < 0)
		dir_answer_fail(&a, IDFW__DIR_RESULT__STATUS__UNAVAILABLE, "%s",
			s->why[0] ? s->why : gi_strerror(err));
	child_send_answer(s, l->id, &a, io_clock_mono_ms() - began);
	dir_answer_fini(&a);
	return true;
}

static void child_group_init(Idfw__DirGroup *p, struct dir_group *g)
{
	idfw__dir_group__init(p);
	p->dn = g->dn;
	p->name = g->name;
	p->guid =
		(ProtobufCBinaryData){ .len = g->has_guid ? sizeof(g->guid) : 0, .data = g->guid };
	p->sid = (ProtobufCBinaryData){ .len = g->sid_len, .data = g->sid };
}

static void child_send_answer(
	struct child *s, uint64_t id, const struct dir_answer *a, uint64_t took_ms)
{
	Idfw__DirGroup group[WIRE_DIR_GROUPS_MAX], *list[WIRE_DIR_GROUPS_MAX];
	size_t at = 0;

	do {
		Idfw__DirResult r = IDFW__DIR_RESULT__INIT;
		Idfw__Envelope e = IDFW__ENVELOPE__INIT;
		size_t bytes = 0;
		char empty[] = "";

		r.id = id;
		r.status = a->status;
		r.text = (char *)(uintptr_t)a->text;
		r.dn = a->dn ? a->dn : empty;
		r.name = a->name ? a->name : empty;
		r.upn = a->upn ? a->upn : empty;
		r.guid = (ProtobufCBinaryData){ .len = a->has_guid ? sizeof(a->guid) : 0,
			.data = (uint8_t *)(uintptr_t)a->guid };
		r.sid = (ProtobufCBinaryData){ .len = a->sid_len,
			.data = (uint8_t *)(uintptr_t)a->sid };
		r.group = list;
		r.took_ms = (uint32_t)took_ms;
		r.account_state = a->acct.state;
		r.expires_ms = a->acct.expires_ms;
		while (at < a->n_groups && r.n_group < WIRE_DIR_GROUPS_MAX) {
			struct dir_group *g = &a->groups[at];

			bytes += strlen(g->dn) + strlen(g->name) + sizeof(g->sid) + 64;
			if (r.n_group && bytes > CHILD_PART_BYTES)
				break;
			child_group_init(&group[r.n_group], g);
			list[r.n_group] = &group[r.n_group];
			r.n_group++;
			at++;
		}
		r.last = at == a->n_groups;
		e.body_case = IDFW__ENVELOPE__BODY_DIR_RESULT;
		e.dir_result = &r;
		child_send(s, &e);
	} while (at < a->n_groups);
}
