/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * world.c - the engine's surroundings for tests (world.h)
 *
 * Invariants that world_settle() checks after every step: what the engine wants is what naive.c
 * computes; what an agent's kernel holds, deltas applied one by one, is what the engine wants as
 * soon as nothing is on its way; versions follow each other.
 */
#include "tests/unit/svm-idfw/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- log ---- */

static void log_line(struct world *w, const char *fmt, ...) GI_PRINTF(2, 3);

static void log_line(struct world *w, const char *fmt, ...)
{
	char *line = NULL;
	va_list ap;

	if (w->quiet)
		return;
	va_start(ap, fmt);
	if (vasprintf(&line, fmt, ap) < 0)
		abort();
	va_end(ap);
	if (w->n_log == w->cap_log) {
		w->cap_log = w->cap_log ? w->cap_log * 2 : 64;
		w->log = realloc(w->log, w->cap_log * sizeof(*w->log));
		if (!w->log)
			abort();
	}
	w->log[w->n_log++] = line;
}

static bool matches(const char *line, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *at = strstr(line, words[i]);

		if (!at)
			return false;
		line = at + strlen(words[i]);
	}
	return true;
}

bool world_log_take(struct world *w, const char *const *words, size_t n)
{
	for (size_t i = 0; i < w->n_log; i++) {
		if (!w->log[i] || !matches(w->log[i], words, n))
			continue;
		free(w->log[i]);
		w->log[i] = NULL;
		return true;
	}
	return false;
}

bool world_log_has(const struct world *w, const char *const *words, size_t n)
{
	for (size_t i = 0; i < w->n_log; i++)
		if (w->log[i] && matches(w->log[i], words, n))
			return true;
	return false;
}

void world_log_clear(struct world *w)
{
	for (size_t i = 0; i < w->n_log; i++)
		free(w->log[i]);
	w->n_log = 0;
}

/* ---- what the engine calls ---- */

static void push_free(struct push *p)
{
	if (!p)
		return;
	fw_state_free(p->state);
	fw_delta_free(p->delta);
	free(p);
}

static void pushes_drop(struct agent *a)
{
	struct push *p;

	while ((p = a->first)) {
		a->first = p->next;
		push_free(p);
	}
	a->last = NULL;
}

static void push_add(struct agent *a, struct fw_state *state, struct fw_delta *delta)
{
	struct push *p = calloc(1, sizeof(*p));

	if (!p)
		abort();
	p->state = state;
	p->delta = delta;
	if (a->last)
		a->last->next = p;
	else
		a->first = p;
	a->last = p;
}

struct wire_in { /* pushes as the agent decodes them */
	struct fw_wire_reader *reader;
	struct fw_state *state;
	struct fw_delta *delta;
};

static int wire_in(void *arg, const uint8_t *buf, size_t len)
{
	struct wire_in *in = arg;
	Idfw__Envelope *env = NULL;
	const char *why = "";
	int r = wire_envelope_decode(buf, len, WIRE_SVM_TO_AGENT, WIRE_OPEN, &env, &why);

	if (r == 0 && env->body_case == IDFW__ENVELOPE__BODY_DELTA)
		r = fw_wire_read_delta(env->delta, &in->delta, &why);
	else if (r == 0)
		r = fw_wire_reader_feed(in->reader, env, &in->state, &why);
	if (r < 0)
		fprintf(stderr, "push: %s\n", why);
	wire_envelope_free(env);
	return r;
}

static int out_state(void *arg, struct idfw_vm *vm, const struct fw_state *s)
{
	struct world *w = arg;
	struct wire_in in = { 0 };

	if (w->push_full)
		return -GI_EFULL;
	if (fw_wire_reader_new(&in.reader) < 0 || fw_wire_write_state(s, wire_in, &in) < 0 ||
		!in.state)
		abort();
	fw_wire_reader_free(in.reader);
	push_add(world_agent(w, vm->name), in.state, NULL);
	log_line(w, "%s state g%llu v%llu %zu elements", vm->name,
		(unsigned long long)fw_state_ruleset(s)->generation,
		(unsigned long long)fw_state_version(s), fw_state_count(s));
	return 0;
}

static int out_delta(void *arg, struct idfw_vm *vm, const struct fw_delta *d)
{
	struct world *w = arg;
	struct wire_in in = { 0 };

	if (w->push_full)
		return -GI_EFULL;
	if (fw_wire_write_delta(d, wire_in, &in) < 0 || !in.delta)
		abort();
	push_add(world_agent(w, vm->name), NULL, in.delta);
	log_line(w, "%s delta g%llu v%llu %zu ops", vm->name, (unsigned long long)d->generation,
		(unsigned long long)d->version, d->n_ops);
	return 0;
}

static void out_send(void *arg, struct idfw_vm *vm, const Idfw__Envelope *e)
{
	static const char *const states[] = { "unknown", "enforced", "degraded", "refused" };
	struct world *w = arg;
	struct gi_buf b;

	gi_buf_init(&b, WIRE_FRAME_MAX);
	if (wire_envelope_encode(e, &b) < 0)
		abort();
	gi_buf_fini(&b);
	switch (e->body_case) {
	case IDFW__ENVELOPE__BODY_SESSION_READY:
		log_line(w, "%s ready %llu %s", vm->name, (unsigned long long)e->session_ready->id,
			states[e->session_ready->state]);
		break;
	case IDFW__ENVELOPE__BODY_EVENT_ACK:
		log_line(w, "%s eventack %llu", vm->name, (unsigned long long)e->event_ack->seq);
		break;
	case IDFW__ENVELOPE__BODY_HELLO_ACK:
		log_line(w, "%s helloack %llu", vm->name,
			(unsigned long long)e->hello_ack->acked_seq);
		break;
	case IDFW__ENVELOPE__BODY_KICK:
		log_line(w, "%s kick %llu %s", vm->name, (unsigned long long)e->kick->id,
			e->kick->reason);
		break;
	case IDFW__ENVELOPE__BODY_REFUSED:
		log_line(w, "%s refused %s", vm->name, e->refused->text);
		break;
	case IDFW__ENVELOPE__BODY_SERVICE_WATCH:
		log_line(w, "%s watch %zu %s %s", vm->name, e->service_watch->n_unit,
			e->service_watch->n_unit ? e->service_watch->unit[0] : "-",
			e->service_watch->n_unit > 1 ? e->service_watch->unit[1] : "-");
		break;
	default:
		log_line(w, "%s %s", vm->name, wire_body_name((int)e->body_case));
	}
}

static void out_close(void *arg, struct idfw_vm *vm, const char *why)
{
	struct world *w = arg;

	log_line(w, "%s closed %s", vm->name, why);
	pushes_drop(world_agent(w, vm->name));
}

static int out_lookup(void *arg, struct idfw_principal *p)
{
	struct world *w = arg;

	if (w->lookup_full)
		return -GI_EFULL;
	log_line(w, "lookup %s%s%s", p->user, *p->names_in ? "|" : "", p->names_in);
	return 0;
}

static int out_store(void *arg, const struct idfw_record *r)
{
	static const char *const kinds[] = { "login", "logout", "decision", "push", "push-failed",
		"enforced", "kick", "policy", "guest-up", "guest-down", "refused", "directory",
		"addresses", "scan", "fim", "passed", "scan-service", "scan-command", "isolated",
		"released", "lost", "found-again", "account", "collision", "alarm" };
	static const char *const ends[] = { "unknown", "close", "leader", "gone", "reboot", "kick",
		"cgroup" };
	struct world *w = arg;

	if (w->store_full)
		return -GI_EFULL;
	if (r->seq && !r->boot_id)
		abort();
	log_line(w, "record %s %s user=%s session=%llu seq=%llu %s%s", kinds[r->kind], r->vm,
		r->session ? r->session->user
		: r->user  ? r->user
			   : "",
		(unsigned long long)(r->session ? r->session->db_id : r->db_id),
		(unsigned long long)(r->outbox ? r->outbox_seq : r->seq),
		r->kind == IDFW_REC_LOGOUT ? ends[r->end_reason] : "", r->detail);
	return 0;
}

static int engine_start(struct world *w)
{
	struct idfw_engine_conf conf = { .min_uid = 1000,
		.ready_timeout_ms = 2000,
		.sessions_max = w->sessions_max,
		.events_max = w->events_max,
		.vm_limits = w->limits,
		.n_vm_limits = w->n_limits,
		.push_deadline_ms = w->push_deadline_ms,
		.isolate_max = w->isolate_max,
		.never_isolate = &w->spared,
		.n_never_isolate = w->spared ? 1 : 0,
		.seed = { w->seed[0], w->seed[1] },
		.domains = world_domains(w) };
	struct idfw_out out = { .arg = w,
		.send = out_send,
		.send_state = out_state,
		.send_delta = out_delta,
		.close_guest = out_close,
		.lookup = out_lookup,
		.store = out_store };
	int r = idfw_engine_new(&conf, &out, &w->e);

	if (r == 0)
		idfw_engine_clock(w->e, w->mono_ms, w->real_ms);
	return r;
}

void world_init(struct world *w)
{
	*w = (struct world){ .mono_ms = 1000, .real_ms = 1700000000000, .isolate_max = 20 };
	if (engine_start(w) < 0)
		abort();
}

void world_fini(struct world *w)
{
	for (size_t i = 0; i < w->n_agents; i++) {
		pushes_drop(&w->agents[i]);
		fw_state_free(w->agents[i].kernel);
	}
	idfw_engine_free(w->e);
	world_log_clear(w);
	world_limits_free(w);
	free(w->log);
	free(w->policy);
}

struct agent *world_agent(struct world *w, const char *vm)
{
	struct agent *a;

	for (size_t i = 0; i < w->n_agents; i++)
		if (!strcmp(w->agents[i].name, vm))
			return &w->agents[i];
	if (w->n_agents == WORLD_VMS)
		abort();
	a = &w->agents[w->n_agents++];
	snprintf(a->name, sizeof(a->name), "%s", vm);
	return a;
}

/* ---- what is done to it ---- */

int world_policy(struct world *w, const char *text)
{
	struct pol_policy *p = NULL;
	struct conf_diags diags;
	struct gi_buf out;
	int r;

	conf_diags_init(&diags, "policy", text, strlen(text));
	r = pol_parse(text, strlen(text), &diags, &p);
	gi_buf_init(&out, 1 << 20);
	conf_diags_render(&diags, &out);
	if (r < 0)
		fprintf(stderr, "%s", gi_buf_str(&out));
	gi_buf_fini(&out);
	conf_diags_fini(&diags);
	if (r == 0)
		r = idfw_engine_policy(w->e, p, w->generation + 1);
	if (r < 0) {
		pol_free(p);
		return r;
	}
	w->generation++;
	if (w->policy != text) {
		free(w->policy);
		w->policy = strdup(text);
	}
	return 0;
}

static Idfw__Session session_wire(const struct idfw_session *s)
{
	Idfw__Session ws = IDFW__SESSION__INIT;

	ws.id = s->id;
	ws.user = (char *)(uintptr_t)s->user;
	ws.uid = s->uid;
	ws.service = (char *)(uintptr_t)s->service;
	ws.tty = (char *)(uintptr_t)s->tty;
	ws.rhost = (char *)(uintptr_t)s->rhost;
	ws.auth = (char *)(uintptr_t)s->auth;
	ws.opened_ms = s->opened_ms;
	ws.cgroup = s->cgroup;
	ws.parent = s->parent;
	ws.kind = s->is_unit ? IDFW__SESSION__KIND__SERVICE : IDFW__SESSION__KIND__LOGIN;
	ws.found = s->found;
	return ws;
}

/* as the store does */
static int principal_keep(struct world *w, const struct idfw_principal *p)
{
	struct idfw_principal copy = *p;
	int r = -ENOMEM;

	copy.groups = calloc(p->n_in + 1, sizeof(*copy.groups));
	for (size_t i = 0; copy.groups && i < p->n_in; i++)
		copy.groups[copy.n_groups++] = *p->in[i];
	if (copy.groups)
		r = idfw_engine_restore_principal(w->e, &copy);
	free(copy.groups);
	return r;
}

int world_restart(struct world *w, bool lost)
{
	struct idfw_engine *old = w->e;
	struct idfw_vm *vm, *vm_next;
	struct idfw_principal *p, *p_next;
	const struct idfw_as_of *as_of;
	size_t n_as_of;
	int r;

	for (size_t i = 0; i < w->n_agents; i++)
		pushes_drop(&w->agents[i]);
	w->e = NULL;
	r = engine_start(w);
	as_of = idfw_engine_as_of(old, &n_as_of);
	for (size_t i = 0; r == 0 && !lost && i < n_as_of; i++)
		idfw_engine_restore_as_of(w->e, &as_of[i]);
	HASH_ITER (hh, old->vms, vm, vm_next) {
		if (lost)
			break;
		for (const struct idfw_isolation *i = vm->isolations; r == 0 && i; i = i->next)
			r = idfw_engine_restore_isolation(w->e, vm->name, i);
		if (r == 0)
			r = idfw_engine_restore_vm(w->e, vm->name, vm->boot_id, vm->acked_seq);
		for (struct idfw_session *s = vm->sessions; r == 0 && s; s = s->v_next) {
			Idfw__Session ws = session_wire(s);

			r = idfw_engine_restore_session(
				w->e, vm->name, &ws, s->boot_id, s->db_id, s->seen_ms, s->kicked);
		}
	}
	for (const struct idfw_recent *rec = old->recent_head; r == 0 && rec && !lost;
		rec = rec->next)
		r = world_recent_restore(w, rec);
	for (const struct idfw_outbox *o = old->outboxes; r == 0 && o && !lost; o = o->hh.next)
		r = idfw_engine_restore_outbox(w->e, o->id, o->acked_seq);
	HASH_ITER (hh, old->principals, p, p_next)
		if (r == 0 && !lost &&
			(p->presence == IDFW_P_FOUND || p->presence == IDFW_P_NOT_FOUND))
			r = principal_keep(w, p);
	if (r == 0 && w->policy) {
		w->generation--;
		r = world_policy(w, w->policy);
	}
	idfw_engine_free(old);
	return r;
}

int world_up(struct world *w, const char *vm, const char *allowed, size_t n_allowed,
	const struct gi_prefix *list)
{
	Idfw__VmUp up = IDFW__VM_UP__INIT;
	Idfw__Prefix prefixes[8], *ptrs[8];
	struct idfw_vm *v;

	(void)allowed;
	up.transport = (char *)(uintptr_t) "unix";
	for (size_t i = 0; i < n_allowed && i < 8; i++) {
		idfw__prefix__init(&prefixes[i]);
		prefixes[i].addr.data = (uint8_t *)(uintptr_t)list[i].addr.bytes;
		prefixes[i].addr.len = gi_addr_len(&list[i].addr);
		prefixes[i].len = list[i].len;
		ptrs[i] = &prefixes[i];
	}
	up.allowed = ptrs;
	up.n_allowed = n_allowed;
	up.turned_away = w->turned_away;
	w->turned_away = 0;
	pushes_drop(world_agent(w, vm));
	return idfw_engine_guest_up(w->e, vm, "host1", &up, &v);
}

int world_say(struct world *w, const char *vm, const Idfw__Envelope *env)
{
	struct idfw_vm *v = idfw_engine_vm(w->e, vm);
	const char *why = "";
	int r;

	if (!v || !v->connected)
		return -ENOTCONN;
	if (w->heard)
		w->heard(w, vm, env);
	r = idfw_engine_guest_message(w->e, v, env, &why);
	if (r < 0) {
		log_line(w, "%s dropped %s", vm, why);
		pushes_drop(world_agent(w, vm));
		idfw_engine_guest_down(w->e, v, why);
	}
	return r;
}

int world_hello(struct world *w, const char *vm, uint8_t boot, uint32_t version)
{
	return world_hello_last(w, vm, boot, version, UINT64_MAX);
}

int world_hello_last(
	struct world *w, const char *vm, uint8_t boot, uint32_t version, uint64_t last_seq)
{
	struct agent *a = world_agent(w, vm);
	Idfw__Hello h = IDFW__HELLO__INIT;
	Idfw__Envelope env = IDFW__ENVELOPE__INIT;

	if (a->boot[0] != boot) { /* a new kernel knows nothing */
		fw_state_free(a->kernel);
		a->kernel = NULL;
		a->generation = a->version = 0;
		a->n_flows = 0;
	}
	memset(a->boot, boot, sizeof(a->boot));
	h.version_min = h.version_max = version;
	h.last_seq = last_seq;
	h.boot_id.data = a->boot;
	h.boot_id.len = sizeof(a->boot);
	h.software = (char *)(uintptr_t) "test";
	env.body_case = IDFW__ENVELOPE__BODY_HELLO;
	env.hello = &h;
	return world_say(w, vm, &env);
}

struct marks { /* the agent reads its kernel */
	Idfw__Element *elems, **ptrs;
	struct fw_elem *keep;
	size_t n;
};

static int mark_cb(void *arg, const struct fw_elem *e)
{
	struct marks *m = arg;

	if (e->key.set < FW_UID_MARK || (e->key.set > FW_BASE_MARK && e->key.set != FW_CG_MARK))
		return 0;
	m->keep[m->n] = *e;
	idfw__element__init(&m->elems[m->n]);
	m->elems[m->n].set = e->key.set;
	m->elems[m->n].key.data = m->keep[m->n].key.data;
	m->elems[m->n].key.len = e->key.len;
	m->elems[m->n].mark = e->mark;
	m->ptrs[m->n] = &m->elems[m->n];
	m->n++;
	return 0;
}

int world_marks(struct world *w, const char *vm)
{
	struct agent *a = world_agent(w, vm);
	size_t n = a->kernel ? fw_state_count(a->kernel) : 0;
	struct marks m = { calloc(n + 1, sizeof(*m.elems)), calloc(n + 1, sizeof(*m.ptrs)),
		calloc(n + 1, sizeof(*m.keep)), 0 };
	Idfw__Marks marks = IDFW__MARKS__INIT;
	Idfw__Envelope env = IDFW__ENVELOPE__INIT;
	int r;

	if (!m.elems || !m.ptrs || !m.keep ||
		(a->kernel && fw_state_each(a->kernel, true, mark_cb, &m) < 0))
		abort();
	marks.generation = a->generation;
	marks.version = a->version;
	env.body_case = IDFW__ENVELOPE__BODY_MARKS;
	env.marks = &marks;
	/* in two parts, as a large one comes */
	marks.first = true;
	marks.elem = m.ptrs;
	marks.n_elem = m.n / 2;
	r = world_say(w, vm, &env);
	marks.first = false;
	marks.last = true;
	marks.elem += marks.n_elem;
	marks.n_elem = m.n - marks.n_elem;
	if (r == 0)
		r = world_say(w, vm, &env);
	free(m.elems);
	free(m.ptrs);
	free(m.keep);
	return r;
}

static int kernel_apply(struct agent *a, struct push *p)
{
	if (p->state) {
		fw_state_free(a->kernel);
		a->kernel = p->state;
		p->state = NULL;
		a->generation = fw_state_ruleset(a->kernel)->generation;
		a->version = fw_state_version(a->kernel);
		return IDFW__APPLIED__RESULT__OK;
	}
	if (!a->kernel || p->delta->generation != a->generation ||
		p->delta->from_version != a->version)
		return IDFW__APPLIED__RESULT__STALE;
	for (size_t i = 0; i < p->delta->n_ops; i++)
		if (fw_state_apply(a->kernel, &p->delta->ops[i]) < 0)
			abort();
	a->version = p->delta->version;
	return IDFW__APPLIED__RESULT__OK;
}

int world_ack(struct world *w, const char *vm, int result)
{
	struct agent *a = world_agent(w, vm);
	Idfw__Applied ap = IDFW__APPLIED__INIT;
	Idfw__Envelope env = IDFW__ENVELOPE__INIT;
	struct push *p = a->first;

	if (!p)
		return -ENOENT;
	a->first = p->next;
	if (!a->first)
		a->last = NULL;
	ap.generation = p->state ? fw_state_ruleset(p->state)->generation : p->delta->generation;
	ap.version = p->state ? fw_state_version(p->state) : p->delta->version;
	ap.result = result == IDFW__APPLIED__RESULT__OK ? (Idfw__Applied__Result)kernel_apply(a, p)
							: (Idfw__Applied__Result)result;
	ap.text = (char *)(uintptr_t)(ap.result == IDFW__APPLIED__RESULT__FAILED
					      ? "the kernel says no"
					      : "");
	push_free(p);
	env.body_case = IDFW__ENVELOPE__BODY_APPLIED;
	env.applied = &ap;
	return world_say(w, vm, &env);
}

int world_scan(struct world *w, const Idfw__ScanRecord *r)
{
	static const uint8_t outbox[16] = { 0x0b };

	return idfw_engine_scan_record(w->e, outbox, "scan1", r);
}

int world_pusher_restarted(struct world *w, const char *vm)
{
	Idfw__Applied ap = IDFW__APPLIED__INIT;
	Idfw__Envelope env = IDFW__ENVELOPE__INIT;

	ap.result = IDFW__APPLIED__RESULT__STALE;
	ap.text = (char *)(uintptr_t) "the pusher was started again";
	env.body_case = IDFW__ENVELOPE__BODY_APPLIED;
	env.applied = &ap;
	return world_say(w, vm, &env);
}

/* ---- after each step ---- */

static const char *check(struct world *w)
{
	static char text[256];
	struct idfw_vm *vm, *next;

	HASH_ITER (hh, w->e->vms, vm, next) {
		struct agent *a = world_agent(w, vm->name);
		const char *wrong = vm->plan->broken ? NULL : world_naive(w, vm);
		struct fw_delta *d = NULL;

		if (wrong) {
			snprintf(text, sizeof(text), "%s: %s", vm->name, wrong);
			return text;
		}
		if (vm->plan->phase != PLAN_RUNNING || a->first || vm->plan->need_full ||
			vm->plan->n_ops || !vm->compiled || vm->plan->broken)
			continue;
		if (!a->kernel || fw_state_diff(a->kernel, vm->want, &d) < 0 || d->n_ops ||
			a->version != vm->want_version) {
			snprintf(text, sizeof(text),
				"%s: its kernel (version %llu) is %zu operations away from what is "
				"wanted (%llu)",
				vm->name, (unsigned long long)a->version, d ? d->n_ops : 0,
				(unsigned long long)vm->want_version);
			fw_delta_free(d);
			return text;
		}
		fw_delta_free(d);
	}
	return NULL;
}

const char *world_settle(struct world *w)
{
	bool more = true;

	idfw_engine_clock(w->e, w->mono_ms, w->real_ms);
	(void)idfw_engine_tick(w->e);
	idfw_engine_flush(w->e);
	while (more && !w->no_ack) {
		more = false;
		for (size_t i = 0; i < w->n_agents; i++)
			while (w->agents[i].first) {
				(void)world_ack(w, w->agents[i].name, IDFW__APPLIED__RESULT__OK);
				more = true;
			}
		idfw_engine_flush(w->e);
	}
	return check(w);
}
