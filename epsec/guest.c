/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * guest.c - one connection of a VM's agent: handshake, settings, its messages, its end
 *
 * In the library's thread. A guest is hostile until proven otherwise, message by message: what it
 * may not send, a number that is under way already, content nobody asked for, more events than its
 * credits end its connection (a negative return), and nobody else's. A message about a number not
 * above the highest that is settled by now crossed our verdict: it is ignored. The struct lives
 * on, without a link, until the last event is answered. Source: docs/wire.md, docs/scan.md.
 */
#include "epsec/eps_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int bad(const char *text, const char **ret_why)
{
	*ret_why = text;
	return -GI_EPROTO;
}

/* ---- life ---- */

int eps_guest_new(struct eps_link *l, const char *name, struct eps_guest **ret)
{
	struct eps *e = l->eps;
	struct eps_guest *g = calloc(1, sizeof(*g));
	struct eps_vm *vm = NULL;
	int err;

	if (!g)
		return -ENOMEM;
	g->eps = e;
	g->state = WIRE_NEW;
	g->refs = 1;
	(void)snprintf(g->mux, sizeof(g->mux), "%s", l->name);
	eps_table_init(&g->events);
	eps_table_init(&g->pending);
	pthread_mutex_lock(&e->lock);
	err = eps_vm_get(e, name, &vm);
	if (err == 0) {
		g->vm = vm;
		g->link = l;
		vm->guest = g;
	}
	pthread_mutex_unlock(&e->lock);
	if (err < 0) {
		free(g);
		return err;
	}
	g->next = l->guests;
	if (g->next)
		g->next->prev = g;
	l->guests = g;
	l->n_guests++;
	*ret = g;
	return 0;
}

bool eps_guest_unref(struct eps_guest *g)
{
	return --g->refs == 0;
}

void eps_guest_free(struct eps_guest *g)
{
	eps_table_fini(&g->events);
	eps_table_fini(&g->pending);
	free(g);
}

void eps_guest_tell_lost(struct eps *e, struct eps_pending *list)
{
	struct eps_pending *next;

	for (; list; list = next) {
		struct eps_done d = { .tag = list->tag, .result = EPS_RESULT_FAILED, .lost = true };

		next = list->next;
		d.text = "the guest never said what came of it";
		eps_actor_fill(&d.actor, NULL);
		if (e->ops.done)
			e->ops.done(e->arg, list->vm->name, &d);
		free(list);
	}
}

static void unlink_guest(struct eps_guest *g)
{
	struct eps_link *l = g->link;

	if (g->prev)
		g->prev->next = g->next;
	else
		l->guests = g->next;
	if (g->next)
		g->next->prev = g->prev;
	l->n_guests--;
}

void eps_guest_gone(struct eps_guest *g, const char *why)
{
	struct eps *e = g->eps;
	struct eps_vm *vm = g->vm;
	struct eps_pending *lost = NULL, *p;
	struct eps_event *dead = NULL, *ev;
	struct eps_node *n, *next;
	bool up = g->up, last;

	unlink_guest(g);
	pthread_mutex_lock(&e->lock);
	for (n = eps_table_take(&g->events); n; n = next) {
		next = n->next;
		ev = eps_event_lose((struct eps_event *)n, -EPS_EGONE);
		if (ev) {
			ev->next = dead;
			dead = ev;
		}
	}
	for (n = eps_table_take(&g->pending); n; n = next) {
		next = n->next;
		p = (struct eps_pending *)n; /* begins with it */
		p->next = lost;
		lost = p;
	}
	g->link = NULL;
	vm->guest = NULL;
	if (up)
		e->n_guests--;
	last = eps_guest_unref(g);
	pthread_mutex_unlock(&e->lock);
	for (; dead; dead = ev) {
		ev = dead->next;
		eps_event_free(e, dead);
	}
	eps_guest_tell_lost(e, lost);
	if (up && e->ops.guest_down)
		e->ops.guest_down(e->arg, vm->name, why);
	if (last)
		eps_guest_free(g);
}

/* ---- handshake ---- */

void eps_guest_settle(struct eps_guest *g)
{
	Idfw__ScanSettings s = IDFW__SCAN_SETTINGS__INIT;
	Idfw__Envelope env = IDFW__ENVELOPE__INIT;
	struct eps *e = g->eps;
	uint8_t epoch[EPS_EPOCH_MAX];

	pthread_mutex_lock(&e->lock);
	memcpy(epoch, e->epoch, e->epoch_len);
	s.epoch.len = e->epoch_len;
	s.credits = g->vm->credits ? g->vm->credits : e->conf.credits;
	s.max_bytes = g->vm->max_file_bytes ? g->vm->max_file_bytes : e->conf.max_file_bytes;
	pthread_mutex_unlock(&e->lock);
	s.epoch.data = epoch;
	s.ops = e->conf.want;
	s.head_bytes = e->conf.head_bytes;
	if (s.credits != g->credits) {
		g->credits_before = g->credits;
		g->credits_ms = io_clock_mono_ms();
		g->credits = s.credits;
	}
	env.body_case = IDFW__ENVELOPE__BODY_SCAN_SETTINGS;
	env.scan_settings = &s;
	eps_guest_send(g, &env);
}

static void refuse(struct eps_guest *g, const char *text)
{
	Idfw__Refused refused = IDFW__REFUSED__INIT;
	Idfw__Envelope env = IDFW__ENVELOPE__INIT;

	refused.reason = IDFW__REFUSED__REASON__VERSION;
	refused.text = (char *)(uintptr_t)text;
	env.body_case = IDFW__ENVELOPE__BODY_REFUSED;
	env.refused = &refused;
	eps_guest_send(g, &env);
}

static int hello(struct eps_guest *g, const Idfw__Hello *h, const char **ret_why)
{
	Idfw__HelloAck ack = IDFW__HELLO_ACK__INIT;
	Idfw__Envelope env = IDFW__ENVELOPE__INIT;
	struct eps *e = g->eps;
	struct eps_vm *vm = g->vm;
	char why[WIRE_TEXT_MAX];

	if (h->boot_id.len != sizeof(g->boot_id))
		return bad("Hello: an agent's boot_id has 16 bytes", ret_why);
	if (wire_version_choose(h, &ack.version, why) < 0) {
		eps_log(e, EPS_LOG_WARN, "guest %s: %s", vm->name, why);
		refuse(g, why);
		*ret_why = "no common protocol version";
		return -GI_EVERSION;
	}
	memcpy(g->boot_id, h->boot_id.data, sizeof(g->boot_id));
	pthread_mutex_lock(&e->lock);
	if (!memcmp(vm->boot_id, g->boot_id, sizeof(g->boot_id)))
		ack.acked_seq = vm->acked;
	vm->unsettled = false;
	e->n_guests++;
	pthread_mutex_unlock(&e->lock);
	ack.software = e->software;
	env.body_case = IDFW__ENVELOPE__BODY_HELLO_ACK;
	env.hello_ack = &ack;
	eps_guest_send(g, &env);
	g->state = WIRE_OPEN;
	g->up = true;
	eps_guest_settle(g);
	if (e->ops.guest_up)
		e->ops.guest_up(e->arg, vm->name, g->mux, g->boot_id);
	return 0;
}

/* ---- messages ---- */

static int pong(struct eps_guest *g, uint64_t token)
{
	Idfw__Envelope env = IDFW__ENVELOPE__INIT;
	Idfw__Pong p = IDFW__PONG__INIT;

	p.token = token;
	env.body_case = IDFW__ENVELOPE__BODY_PONG;
	env.pong = &p;
	eps_guest_send(g, &env);
	return 0;
}

/* of a number that is not known: it crossed our verdict */
static int cancelled(struct eps_guest *g, const Idfw__FileCancel *c)
{
	struct eps *e = g->eps;
	struct eps_event *ev;

	pthread_mutex_lock(&e->lock);
	ev = (struct eps_event *)eps_table_find(&g->events, c->id);
	if (ev) {
		eps_table_remove(&g->events, &ev->p.node);
		ev = eps_event_lose(ev, c->reason == IDFW__FILE_CANCEL__REASON__CHANGED
						? -EPS_ECHANGED
						: -EPS_EGONE);
	}
	pthread_mutex_unlock(&e->lock);
	if (ev)
		eps_event_free(e, ev);
	return 0;
}

void eps_actor_fill(struct eps_actor *ret, const Idfw__FileActor *a)
{
	*ret = (struct eps_actor){ .uid = UINT32_MAX, .user = "", .comm = "" };
	if (!a)
		return;
	ret->pid = a->pid;
	ret->uid = a->uid;
	ret->session = a->session;
	ret->user = a->user;
	ret->comm = a->comm;
	ret->exe = a->exe.data;
	ret->exe_len = a->exe.len;
}

static int done(struct eps_guest *g, const Idfw__FileDone *m, const char **ret_why)
{
	struct eps *e = g->eps;
	struct eps_done d = { .result = (enum eps_result)m->result };
	struct eps_pending *p;

	if (m->id > g->last_id)
		return bad("FileDone: of no event", ret_why);
	pthread_mutex_lock(&e->lock);
	p = (struct eps_pending *)eps_table_find(&g->pending, m->id);
	if (p)
		eps_table_remove(&g->pending, &p->node);
	pthread_mutex_unlock(&e->lock);
	if (!p)
		return 0; /* later than EPS_DONE_MS: done() was called then */
	d.tag = p->tag;
	d.text = m->text;
	d.quarantine_id = m->quarantine_id.len ? m->quarantine_id.data : NULL;
	d.opener_denied = m->opener_denied;
	eps_actor_fill(&d.actor, m->actor);
	if (e->ops.done)
		e->ops.done(e->arg, g->vm->name, &d);
	free(p);
	return 0;
}

/* packed again: what the user gets has passed our checks, and nothing else is in it */
static uint8_t *repack(const ProtobufCMessage *m, size_t *ret_len)
{
	uint8_t *buf = malloc(protobuf_c_message_get_packed_size(m) + 1);

	if (buf)
		*ret_len = protobuf_c_message_pack(m, buf);
	return buf;
}

static int report(struct eps_guest *g, const Idfw__FileReport *m, const char **ret_why)
{
	struct eps *e = g->eps;
	size_t len = 0;
	uint8_t *buf;

	if (m->seq <= g->last_report)
		return bad("FileReport: its number does not increase", ret_why);
	g->last_report = m->seq;
	if (!e->ops.report)
		return 0;
	buf = repack(&m->base, &len);
	if (!buf) {
		*ret_why = "out of memory"; /* it comes back and sends it again */
		return -ENOMEM;
	}
	e->ops.report(e->arg, g->vm->name, g->boot_id, m->seq, buf, len);
	free(buf);
	return 0;
}

static int counters(struct eps_guest *g, const Idfw__FileCounters *m)
{
	struct eps *e = g->eps;
	size_t len = 0;
	uint8_t *buf = e->ops.counters ? repack(&m->base, &len) : NULL;

	if (buf)
		e->ops.counters(e->arg, g->vm->name, buf, len);
	free(buf);
	return 0;
}

static int reply(struct eps_guest *g, const Idfw__FileReply *m, const char **ret_why)
{
	struct eps *e = g->eps;
	size_t i = 0, len = 0;
	uint8_t *buf;
	bool known;

	pthread_mutex_lock(&e->lock);
	while (i < g->n_commands && g->commands[i] != m->id)
		i++;
	known = i < g->n_commands;
	if (known && m->last)
		g->commands[i] = g->commands[--g->n_commands];
	pthread_mutex_unlock(&e->lock);
	if (!known)
		return bad("FileReply: to no command", ret_why);
	buf = e->ops.reply ? repack(&m->base, &len) : NULL;
	if (e->ops.reply && !buf) {
		*ret_why = "out of memory";
		return -ENOMEM;
	}
	if (buf)
		e->ops.reply(e->arg, g->vm->name, m->id, buf, len);
	free(buf);
	return 0;
}

/* read.c or write.c decides, with the lock */
static int content(struct eps_guest *g, uint64_t id, Idfw__Envelope *env, bool *ret_taken,
	const char **ret_why)
{
	struct eps *e = g->eps;
	struct eps_event *ev;
	int err = 0;

	if (id > g->last_id)
		return bad("content of no event", ret_why);
	pthread_mutex_lock(&e->lock);
	ev = (struct eps_event *)eps_table_find(&g->events, id);
	if (ev && env->body_case == IDFW__ENVELOPE__BODY_FILE_DATA)
		err = eps_read_data(ev, env, ret_taken, ret_why);
	else if (ev)
		err = eps_write_done(ev, env->file_wrote, ret_why);
	pthread_mutex_unlock(&e->lock);
	return err;
}

int eps_guest_message(struct eps_guest *g, Idfw__Envelope *env, const char **ret_why)
{
	bool taken = false;
	int err = 0;

	switch (env->body_case) {
	case IDFW__ENVELOPE__BODY_FILE_EVENT:
		return eps_event_arrived(g, env, ret_why);
	case IDFW__ENVELOPE__BODY_FILE_DATA:
		err = content(g, env->file_data->id, env, &taken, ret_why);
		break;
	case IDFW__ENVELOPE__BODY_FILE_WROTE:
		err = content(g, env->file_wrote->id, env, &taken, ret_why);
		break;
	case IDFW__ENVELOPE__BODY_FILE_CANCEL:
		err = cancelled(g, env->file_cancel);
		break;
	case IDFW__ENVELOPE__BODY_FILE_DONE:
		err = done(g, env->file_done, ret_why);
		break;
	case IDFW__ENVELOPE__BODY_FILE_REPORT:
		err = report(g, env->file_report, ret_why);
		break;
	case IDFW__ENVELOPE__BODY_FILE_COUNTERS:
		err = counters(g, env->file_counters);
		break;
	case IDFW__ENVELOPE__BODY_FILE_REPLY:
		err = reply(g, env->file_reply, ret_why);
		break;
	case IDFW__ENVELOPE__BODY_HELLO:
		err = hello(g, env->hello, ret_why);
		break;
	case IDFW__ENVELOPE__BODY_PING:
		err = pong(g, env->ping->token);
		break;
	case IDFW__ENVELOPE__BODY_PONG:
		break;
	default:
		err = bad("a message that no agent of files sends", ret_why);
	}
	if (!taken)
		wire_envelope_free(env);
	return err;
}
