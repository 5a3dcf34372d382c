/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vm.c - one guest: its connection from VmUp to VmDown, its numbered events
 *
 * Runs in svm-idfw's engine. Order of a connection: Hello -> HelloAck (what is durable), events
 * that were not, Snapshot, Marks, then the whole state goes to it and events go on. Events are
 * taken once, by (VM, boot, number); a hole in a running connection ends it, so that the agent
 * sends what is missing again. A full database takes no events: the guest is held for a moment
 * (logouts still end access), then told to come again; its spool keeps everything.
 */
#include "config.h"

#include "svm-idfw/limits.h"
#include "svm-idfw/recent.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int vm_new(struct idfw_engine *e, const char *name, struct idfw_vm **ret)
{
	struct idfw_vm *vm = calloc(1, sizeof(*vm));
	int r = -ENOMEM;

	if (!vm)
		return -ENOMEM;
	vm->name = strdup(name);
	vm->mux = strdup("");
	vm->transport = strdup("");
	if (!vm->name || !vm->mux || !vm->transport)
		goto out;
	r = fw_state_new(&vm->want);
	if (r < 0)
		goto out;
	r = plan_new(e, vm);
	if (r < 0)
		goto out;
	idfw_limit_init(e, vm);
	HASH_ADD_KEYPTR(hh, e->vms, vm->name, strlen(vm->name), vm);
	r = fan_compile(e, vm);
	if (r < 0)
		goto out;
	*ret = vm;
	return 0;
out:
	idfw_vm_free(e, vm);
	return r;
}

void idfw_vm_free(struct idfw_engine *e, struct idfw_vm *vm)
{
	if (vm->hh.tbl)
		HASH_DEL(e->vms, vm);
	if (vm->plan)
		lease_stop(e, vm);
	plan_free(vm);
	idfw_alarms_drop(vm);
	idfw_isolations_free(vm);
	fw_state_free(vm->want);
	pol_compiled_free(vm->compiled);
	idfw_str_put(&e->strings, vm->directory);
	free(vm->name);
	free(vm->mux);
	free(vm->transport);
	free(vm->allowed);
	free(vm->addrs);
	free(vm);
}

struct idfw_vm *idfw_engine_vm(struct idfw_engine *e, const char *name)
{
	struct idfw_vm *vm;

	HASH_FIND_STR(e->vms, name, vm);
	return vm;
}

int idfw_vm_get(struct idfw_engine *e, const char *name, struct idfw_vm **ret)
{
	struct idfw_vm *vm = idfw_engine_vm(e, name);

	if (vm) {
		*ret = vm;
		return 0;
	}
	if (!gi_text_is_name(name, GI_NAME_MAX))
		return -EINVAL;
	if (HASH_COUNT(e->vms) >= IDFW_VMS_MAX)
		return -GI_ELIMIT;
	return vm_new(e, name, ret);
}

int idfw_engine_restore_vm(
	struct idfw_engine *e, const char *name, const uint8_t boot_id[16], uint64_t seq)
{
	struct idfw_vm *vm;
	int r = idfw_vm_get(e, name, &vm);

	if (r < 0)
		return r;
	memcpy(vm->boot_id, boot_id, sizeof(vm->boot_id));
	vm->seq = vm->acked_seq = seq;
	plan_event_end(e);
	return 0;
}

/* ---- up and down ---- */

static int allowed_copy(const Idfw__VmUp *up, struct gi_prefix **ret)
{
	struct gi_prefix *list = calloc(up->n_allowed + 1, sizeof(*list));

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < up->n_allowed; i++) {
		const Idfw__Prefix *w = up->allowed[i];
		struct gi_prefix *p = &list[i];

		if (gi_addr_from_bytes(w->addr.data, w->addr.len, &p->addr) < 0 ||
			w->len > gi_addr_len(&p->addr) * 8) {
			free(list);
			return -GI_EPROTO;
		}
		p->len = (uint8_t)w->len;
		for (size_t bit = p->len; bit < gi_addr_len(&p->addr) * 8; bit++)
			p->addr.bytes[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
	}
	*ret = list;
	return 0;
}

/* what its mux refused: the trail is here */
static void note_turned_away(struct idfw_engine *e, struct idfw_vm *vm, uint64_t n)
{
	char text[24];

	if (!n)
		return;
	snprintf(text, sizeof(text), "%llu", (unsigned long long)n);
	e->stats.refused++;
	idfw_note(e, IDFW_REC_REFUSED, vm, NULL,
		idfw_json_why(e, "connections turned away by its mux: too many", "refused", text));
}

int idfw_engine_guest_up(struct idfw_engine *e, const char *name, const char *mux,
	const Idfw__VmUp *up, struct idfw_vm **ret)
{
	struct gi_prefix *allowed = NULL;
	char *mux_copy = strdup(mux), *transport = strdup(up->transport ? up->transport : "");
	struct idfw_vm *vm;
	int r = mux_copy && transport ? 0 : -ENOMEM;

	if (r == 0)
		r = allowed_copy(up, &allowed);
	idfw_cause(e, "guest %s is up", name);
	if (r == 0)
		r = idfw_vm_get(e, name, &vm);
	if (r < 0) {
		free(mux_copy);
		free(transport);
		free(allowed);
		return r;
	}
	if (vm->connected)
		idfw_engine_guest_down(e, vm, "replaced by a new connection");
	free(vm->mux);
	free(vm->transport);
	free(vm->allowed);
	vm->mux = mux_copy;
	vm->transport = transport;
	vm->allowed = allowed;
	vm->n_allowed = up->n_allowed;
	vm->connected = true;
	vm->connected_ms = e->real_ms;
	vm->plan->phase = PLAN_HELLO;
	gi_notice("guest %s is up: mux %s, %s", vm->name, vm->mux, vm->transport);
	idfw_note(e, IDFW_REC_GUEST_UP, vm, NULL, idfw_json_why(e, "connected", "mux", mux));
	note_turned_away(e, vm, up->turned_away);
	plan_event_end(e);
	*ret = vm;
	return 0;
}

void idfw_engine_guest_down(struct idfw_engine *e, struct idfw_vm *vm, const char *why)
{
	struct idfw_plan *p = vm->plan;

	if (!vm->connected)
		return;
	vm->connected = false;
	if (p->phase == PLAN_RUNNING)
		p->away_ms = e->mono_ms;
	p->phase = PLAN_OFF;
	lease_stop(e, vm);
	lease_away(e, vm);
	p->hold_until_ms = 0;
	p->ack_due = false;
	plan_push_stop(e, vm);
	ready_vm_gone(e, vm);
	idfw_limit_snapshot_end(e, vm); /* its last part may never come */
	idfw_vm_snapshot_drop(vm);
	p->reported.n = 0;
	gi_notice("guest %s is down: %s", vm->name, why);
	idfw_note(e, IDFW_REC_GUEST_DOWN, vm, NULL, idfw_json_why(e, why, NULL, NULL));
	plan_event_end(e);
}

void idfw_vm_drop(struct idfw_engine *e, struct idfw_vm *vm, const char *why)
{
	if (!vm->connected)
		return;
	e->out.close_guest(e->out.arg, vm, why);
	idfw_engine_guest_down(e, vm, why);
}

void idfw_vm_hold(struct idfw_engine *e, struct idfw_vm *vm, const char *why)
{
	struct idfw_plan *p = vm->plan;

	if (p->hold_until_ms)
		return;
	p->hold_until_ms = e->mono_ms + IDFW_HOLD_MS;
	p->hold_why = why;
	idfw_due(e, p->hold_until_ms);
	gi_warn("%s: its events are not taken now and stay in its spool", vm->name);
}

/* ---- the connection ---- */

static void start_check(struct idfw_engine *e, struct idfw_vm *vm)
{
	struct idfw_plan *p = vm->plan;

	if (p->phase != PLAN_STARTING)
		return;
	if (!(p->snap_done && p->marks_done) && e->mono_ms < p->start_deadline_ms) {
		idfw_due(e, p->start_deadline_ms);
		return;
	}
	if (!p->snap_done || !p->marks_done)
		gi_warn("%s: no %s within %d ms; goes on without", vm->name,
			p->snap_done ? "marks" : "snapshot", IDFW_START_MS);
	idfw_cause(e, "guest %s is up", vm->name);
	if (p->fresh)
		plan_adopt(e, vm);
	p->reported.n = 0;
	p->phase = PLAN_RUNNING;
	idfw_alarms_greeted(e, vm);
	lease_back(e, vm);
	plan_touch(e, vm);
	plan_full(e, vm, e->mono_ms);
	idfw_session_kicks_again(e, vm);
}

static void refuse_hello(
	struct idfw_engine *e, struct idfw_vm *vm, Idfw__Refused__Reason reason, const char *text)
{
	Idfw__Refused refused = IDFW__REFUSED__INIT;
	Idfw__Envelope env = IDFW__ENVELOPE__INIT;

	refused.reason = reason;
	refused.text = (char *)(uintptr_t)text;
	env.body_case = IDFW__ENVELOPE__BODY_REFUSED;
	env.refused = &refused;
	e->out.send(e->out.arg, vm, &env);
}

static int hello(
	struct idfw_engine *e, struct idfw_vm *vm, const Idfw__Hello *h, const char **ret_why)
{
	Idfw__HelloAck ack = IDFW__HELLO_ACK__INIT;
	Idfw__Envelope env = IDFW__ENVELOPE__INIT;
	static const uint8_t no_boot[16];
	struct idfw_plan *p = vm->plan;
	char why[WIRE_TEXT_MAX];

	if (wire_version_choose(h, &ack.version, why) < 0) {
		gi_warn("guest %s is refused: %s", vm->name, why);
		refuse_hello(e, vm, IDFW__REFUSED__REASON__VERSION, why);
		*ret_why = "no common protocol version";
		return -GI_EVERSION;
	}
	if (h->boot_id.len != sizeof(vm->boot_id)) {
		refuse_hello(e, vm, IDFW__REFUSED__REASON__PROTOCOL, "boot_id must be 16 bytes");
		*ret_why = "boot_id is not 16 bytes";
		return -GI_EPROTO;
	}
	if (memcmp(vm->boot_id, h->boot_id.data, sizeof(vm->boot_id))) {
		if (memcmp(vm->boot_id, no_boot, sizeof(no_boot)))
			gi_notice("guest %s booted again", vm->name);
		idfw_session_end_all(e, vm, IDFW__END_REASON__END_REBOOT);
		idfw_remains_end(e, vm);
		idfw_alarms_drop(vm);
		memcpy(vm->boot_id, h->boot_id.data, sizeof(vm->boot_id));
		vm->seq = vm->acked_seq = 0;
	}
	idfw_alarms_hello(vm);
	p->phase = PLAN_STARTING;
	p->snap_done = p->marks_done = false;
	p->start_deadline_ms = e->mono_ms + IDFW_START_MS;
	idfw_due(e, p->start_deadline_ms);
	/* an agent that lost its spool does not have what is on its way to disk: its numbers go on
	 * behind */
	ack.acked_seq = h->last_seq < vm->seq ? vm->seq : vm->acked_seq;
	ack.software = (char *)(uintptr_t) "svm-idfw " PACKAGE_VERSION;
	env.body_case = IDFW__ENVELOPE__BODY_HELLO_ACK;
	env.hello_ack = &ack;
	e->out.send(e->out.arg, vm, &env);
	service_watch(e, vm, true);
	return 0;
}

static int marks(
	struct idfw_engine *e, struct idfw_vm *vm, const Idfw__Marks *m, const char **ret_why)
{
	struct idfw_plan *p = vm->plan;
	int r;

	if (p->phase != PLAN_STARTING)
		return 0; /* too late to be of use */
	r = plan_marks_add(vm, m);
	if (r < 0) {
		*ret_why = "bad element in Marks";
		return r;
	}
	if (!m->last)
		return 0;
	p->marks_done = true;
	/* versions go on above what its kernel runs, whoever gave that out */
	if (m->version > vm->want_version)
		vm->want_version = m->version;
	start_check(e, vm);
	return 0;
}

/* ---- events ---- */

static int closed(
	struct idfw_engine *e, struct idfw_vm *vm, const Idfw__SessionClose *c, uint64_t seq)
{
	struct idfw_session *s = idfw_session_find(e, vm, c->id, vm->boot_id);

	if (s)
		return idfw_session_end(e, s, c->reason, c->closed_ms, seq);
	return idfw_record(e, IDFW_REC_REFUSED, vm, NULL, seq,
		idfw_json_why(e, "end of an unknown session", NULL, NULL));
}

static void revoke_only(struct idfw_engine *e, struct idfw_vm *vm, const Idfw__Event *ev)
{
	struct idfw_session *s;

	if (ev->body_case != IDFW__EVENT__BODY_CLOSE)
		return;
	s = idfw_session_find(e, vm, ev->close->id, vm->boot_id);
	if (!s || !s->principal)
		return;
	idfw_cause(e, "logout %s@%s", s->user, vm->name);
	s->kicked = true;
	idfw_session_sync(e, s, &s->principal->member_of);
}

static void duplicate(struct idfw_engine *e, struct idfw_vm *vm, const Idfw__Event *ev)
{
	const struct idfw_session *s;

	e->stats.duplicates++;
	if (ev->seq <= vm->acked_seq) {
		vm->plan->ack_due = true;
		plan_dirty(e, vm);
	}
	if (ev->body_case != IDFW__EVENT__BODY_OPEN)
		return;
	s = idfw_session_find(e, vm, ev->open->session->id, vm->boot_id);
	if (s && s->enforced_ms && !s->ready)
		ready_send(e, (struct idfw_session *)(uintptr_t)s,
			IDFW__SESSION_READY__STATE__ENFORCED);
}

static int gap(struct idfw_engine *e, struct idfw_vm *vm, uint64_t seq, const char **ret_why)
{
	char text[96];

	e->stats.gaps++;
	snprintf(text, sizeof(text), "events %llu to %llu are missing",
		(unsigned long long)vm->seq + 1, (unsigned long long)seq - 1);
	gi_warn("%s: %s", vm->name, text);
	if (vm->plan->snap_done) {
		*ret_why = "events are missing; send them again, and a snapshot";
		return -GI_ESTATE;
	}
	idfw_note(e, IDFW_REC_REFUSED, vm, NULL, idfw_json_why(e, text, NULL, NULL));
	return 0; /* its spool has lost them; the snapshot that comes makes up for it */
}

static int event_take(struct idfw_engine *e, struct idfw_vm *vm, const Idfw__Event *ev)
{
	switch (ev->body_case) {
	case IDFW__EVENT__BODY_OPEN:
		return idfw_session_open(e, vm, ev->open->session, ev->seq);
	case IDFW__EVENT__BODY_CLOSE:
		return closed(e, vm, ev->close, ev->seq);
	case IDFW__EVENT__BODY_ADDRESSES:
		return idfw_vm_addresses(e, vm, ev->addresses, ev->seq);
	default:
		return -GI_EPROTO;
	}
}

static bool event_ok(const Idfw__Event *ev)
{
	if (!ev->seq)
		return false;
	switch (ev->body_case) {
	case IDFW__EVENT__BODY_OPEN:
		return ev->open && ev->open->session && ev->open->session->id;
	case IDFW__EVENT__BODY_CLOSE:
		return ev->close && ev->close->id;
	case IDFW__EVENT__BODY_ADDRESSES:
		return ev->addresses;
	default:
		return false;
	}
}

static int event(
	struct idfw_engine *e, struct idfw_vm *vm, const Idfw__Event *ev, const char **ret_why)
{
	struct idfw_plan *p = vm->plan;
	int r;

	if (!event_ok(ev)) {
		*ret_why = "bad Event";
		return -GI_EPROTO;
	}
	if (p->parts_last && ev->seq > p->parts_seq && !p->hold_until_ms) {
		r = idfw_vm_snapshot_late(e, vm, true);
		if (r < 0)
			idfw_vm_hold(e, vm, IDFW_HOLD_STORE);
	}
	if (p->hold_until_ms) {
		revoke_only(e, vm, ev);
		return 0;
	}
	if (ev->seq <= vm->seq) {
		duplicate(e, vm, ev);
		return 0;
	}
	if (ev->seq > vm->seq + 1) {
		r = gap(e, vm, ev->seq, ret_why);
		if (r < 0)
			return r;
	}
	r = event_take(e, vm, ev);
	if (r >= 0) {
		vm->seq = ev->seq;
		plan_event_end(e);
		r = idfw_vm_snapshot_late(e, vm, false);
	}
	if (r < 0)
		idfw_vm_hold(e, vm, IDFW_HOLD_STORE);
	start_check(e, vm);
	return 0;
}

static void pong(struct idfw_engine *e, struct idfw_vm *vm, const Idfw__Ping *ping)
{
	Idfw__Pong answer = IDFW__PONG__INIT;
	Idfw__Envelope env = IDFW__ENVELOPE__INIT;

	answer.token = ping->token;
	env.body_case = IDFW__ENVELOPE__BODY_PONG;
	env.pong = &answer;
	e->out.send(e->out.arg, vm, &env);
}

/* what a message takes from the guest's share: our own pushes' answers and a greeting nothing */
static size_t cost(const struct idfw_vm *vm, const Idfw__Envelope *m)
{
	switch (m->body_case) {
	case IDFW__ENVELOPE__BODY_APPLIED:
		return 0;
	case IDFW__ENVELOPE__BODY_SNAPSHOT:
		return vm->plan->snap_done ? 1 + m->snapshot->n_session : 0;
	case IDFW__ENVELOPE__BODY_MARKS:
		return vm->plan->marks_done;
	default:
		return 1;
	}
}

static int message(
	struct idfw_engine *e, struct idfw_vm *vm, const Idfw__Envelope *m, const char **ret_why)
{
	int r = 0;

	if (!vm->plan->hold_until_ms)
		(void)idfw_limit_take(e, vm, cost(vm, m)); /* or it is held from here on */
	switch (m->body_case) {
	case IDFW__ENVELOPE__BODY_EVENT:
		return event(e, vm, m->event, ret_why);
	case IDFW__ENVELOPE__BODY_SNAPSHOT:
		if (vm->plan->hold_until_ms ||
			(!vm->plan->snap_done && !idfw_limit_greeting(e, vm)))
			return 0;
		r = idfw_vm_snapshot(e, vm, m->snapshot, ret_why);
		start_check(e, vm);
		return r;
	case IDFW__ENVELOPE__BODY_MARKS:
		return marks(e, vm, m->marks, ret_why);
	case IDFW__ENVELOPE__BODY_APPLIED:
		plan_applied(e, vm, m->applied);
		return 0;
	case IDFW__ENVELOPE__BODY_ALARM:
		if (!vm->plan->hold_until_ms)
			idfw_alarm_heard(e, vm, m->alarm);
		return 0;
	case IDFW__ENVELOPE__BODY_PING:
		if (!vm->plan->hold_until_ms)
			pong(e, vm, m->ping);
		return 0;
	case IDFW__ENVELOPE__BODY_PONG:
		return 0;
	default:
		*ret_why = "message is not an agent's";
		return -GI_EDENIED;
	}
}

int idfw_engine_guest_message(
	struct idfw_engine *e, struct idfw_vm *vm, const Idfw__Envelope *m, const char **ret_why)
{
	bool is_hello = m->body_case == IDFW__ENVELOPE__BODY_HELLO;
	int r;

	*ret_why = "";
	if (!vm->connected || is_hello != (vm->plan->phase == PLAN_HELLO)) {
		*ret_why = is_hello ? "a second Hello" : "a message before Hello";
		return -GI_EDENIED;
	}
	r = is_hello ? hello(e, vm, m->hello, ret_why) : message(e, vm, m, ret_why);
	plan_event_end(e);
	return r;
}

/* ---- time ---- */

void idfw_vm_due(struct idfw_engine *e, struct idfw_vm *vm)
{
	struct idfw_plan *p = vm->plan;

	plan_retired_due(e, vm);
	plan_orphans_due(e, vm);
	plan_drains_due(e, vm);
	plan_rejudge_due(e, vm);
	/* a guest that is held back has not sent its events yet */
	if (p->parts_last && !p->hold_until_ms && e->mono_ms >= p->parts_deadline_ms) {
		if (idfw_vm_snapshot_late(e, vm, true) < 0)
			idfw_vm_hold(e, vm, IDFW_HOLD_STORE);
	} else if (p->parts_last && !p->hold_until_ms) {
		idfw_due(e, p->parts_deadline_ms);
	}
	start_check(e, vm);
	idfw_behind_due(e, vm);
	lease_away(e, vm);
	if (p->need_full && e->mono_ms >= p->full_at_ms)
		plan_dirty(e, vm);
	else if (p->need_full)
		idfw_due(e, p->full_at_ms);
	if (p->hold_until_ms && e->mono_ms >= p->hold_until_ms)
		idfw_vm_drop(e, vm, p->hold_why);
	else if (p->hold_until_ms)
		idfw_due(e, p->hold_until_ms);
}
