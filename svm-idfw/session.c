/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * session.c - sessions begin, change what they give, and end
 *
 * Runs in svm-idfw's engine. A login is taken only with its record: when the database's queue is
 * full nothing happens and the agent sends the event again later (vm.c). A logout takes access
 * away in any case, then waits for its record. Invariant: s->counted sessions, and only they, are
 * in their VM's group counts and in their subject's n_counted.
 */
#include "svm-idfw/limits.h"
#include "svm-idfw/recent.h"

#include <stdlib.h>
#include <string.h>

#define SESSION_KEY_LEN (offsetof(struct idfw_session, boot_id) + 16)

_Static_assert(offsetof(struct idfw_session, boot_id) == sizeof(void *) + sizeof(uint64_t),
	"key has no padding");

#define NEST_MAX 8 /* parents that are followed; agents name the outermost one */

struct session_key {
	struct idfw_vm *vm;
	uint64_t id;
	uint8_t boot_id[16];
};

struct idfw_session *idfw_session_find(
	struct idfw_engine *e, struct idfw_vm *vm, uint64_t id, const uint8_t boot_id[16])
{
	struct session_key key = { .vm = vm, .id = id };
	struct idfw_session *s;
	unsigned int h;

	memcpy(key.boot_id, boot_id, sizeof(key.boot_id));
	h = idfw_hashv(e->conf.seed, &key, SESSION_KEY_LEN);
	HASH_FIND_BYHASHVALUE(hh, e->sessions, &key, SESSION_KEY_LEN, h, s);
	return s;
}

struct idfw_session *idfw_session_outer(struct idfw_engine *e, struct idfw_session *s)
{
	for (int depth = 0; s && s->parent; depth++)
		s = depth < NEST_MAX ? idfw_session_find(e, s->vm, s->parent, s->boot_id) : NULL;
	return s;
}

uint64_t idfw_engine_parent_of(struct idfw_engine *e, const struct idfw_session *s)
{
	const struct idfw_session *live;
	const struct idfw_recent *rec;

	if (!s->parent)
		return 0;
	live = idfw_session_find(e, s->vm, s->parent, s->boot_id);
	if (live)
		return live->db_id;
	rec = idfw_recent_find(e, s->vm, s->parent, s->boot_id);
	return rec ? rec->db_id : 0;
}

static void texts_free(struct idfw_engine *e, struct idfw_session *s)
{
	idfw_str_put(&e->strings, s->user);
	idfw_str_put(&e->strings, s->service);
	idfw_str_put(&e->strings, s->tty);
	idfw_str_put(&e->strings, s->rhost);
	idfw_str_put(&e->strings, s->auth);
}

static struct idfw_session *session_make(struct idfw_engine *e, struct idfw_vm *vm,
	const Idfw__Session *ws, const uint8_t boot_id[16])
{
	struct idfw_session *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->vm = vm;
	s->id = ws->id;
	memcpy(s->boot_id, boot_id, sizeof(s->boot_id));
	s->user = idfw_str_get(&e->strings, ws->user);
	s->service = idfw_str_get(&e->strings, ws->service);
	s->tty = idfw_str_get(&e->strings, ws->tty);
	s->rhost = idfw_str_get(&e->strings, ws->rhost);
	s->auth = idfw_str_get(&e->strings, ws->auth);
	s->uid = ws->uid;
	s->leader_pid = ws->leader_pid;
	s->leader_start = ws->leader_start;
	s->opened_ms = ws->opened_ms;
	s->seen_ms = e->real_ms;
	s->cgroup = ws->cgroup;
	s->parent = ws->parent;
	s->found = ws->found;
	s->is_unit = ws->kind == IDFW__SESSION__KIND__SERVICE;
	if (ws->peer_addr.len &&
		gi_addr_from_bytes(ws->peer_addr.data, ws->peer_addr.len, &s->peer) < 0)
		s->peer = (struct gi_addr){ 0 };
	if (!s->user || !s->service || !s->tty || !s->rhost || !s->auth) {
		texts_free(e, s);
		free(s);
		return NULL;
	}
	return s;
}

/* into the tables and lists; -ENOMEM: it is not */
static int session_link(struct idfw_engine *e, struct idfw_session *s)
{
	struct idfw_vm *vm = s->vm;
	unsigned int h = idfw_hashv(e->conf.seed, s, SESSION_KEY_LEN);
	int r = idfw_identity_link(e, s);

	if (r < 0)
		return r;
	s->v_next = vm->sessions;
	if (s->v_next)
		s->v_next->v_prev = s;
	vm->sessions = s;
	vm->n_sessions++;
	s->snap = vm->plan->snap;
	HASH_ADD_BYHASHVALUE(hh, e->sessions, vm, SESSION_KEY_LEN, h, s);
	uid_update(e, vm, s->uid);
	return 0;
}

void idfw_session_free(struct idfw_engine *e, struct idfw_session *s)
{
	ready_session_gone(e, s);
	idfw_identity_unlink(e, s);
	IDFW_UNLINK(s, s->vm->sessions, v_prev, v_next);
	s->vm->n_sessions--;
	HASH_DEL(e->sessions, s);
	uid_update(e, s->vm, s->uid);
	texts_free(e, s);
	free(s);
}

/* another session of the same account beside it already gives all that this one gives */
static bool redundant(const struct idfw_session *s)
{
	return (s->s_next && s->s_next->counted && s->s_next->principal == s->principal) ||
	       (s->s_prev && s->s_prev->counted && s->s_prev->principal == s->principal);
}

static bool gives(const struct idfw_session *s)
{
	return s->principal && !s->kicked && !s->refused && idfw_principal_grants(s->principal);
}

void idfw_session_recount(struct idfw_session *s)
{
	bool want = gives(s);

	if (!s->principal || s->counted == want)
		return;
	s->counted = want;
	s->subject->n_counted += want ? 1u : UINT32_MAX;
}

void idfw_session_sync(struct idfw_engine *e, struct idfw_session *s, const struct pol_set *had)
{
	const struct pol_set *has = s->principal ? &s->principal->member_of : NULL;
	bool want = gives(s);

	uid_update(e, s->vm, s->uid); /* whether `logins` lets him in may have changed */
	if (!s->principal || (!s->counted && !want))
		return;
	if (s->counted && want) {
		if (had == has)
			return;
		if (!idfw_session_isolation(s))
			fan_session(e, s->vm, had, has);
		plan_user_update(e, s->vm, s->subject);
		return;
	}
	s->counted = want;
	s->subject->n_counted += want ? 1u : UINT32_MAX;
	if (!idfw_session_isolation(s))
		fan_session(e, s->vm, want ? NULL : had, want ? has : NULL);
	if (!redundant(s))
		plan_user_update(e, s->vm, s->subject);
	else if (want && e->ready)
		ready_wait(e, e->ready, s->vm, s->subject->unit);
}

void idfw_session_decision(struct idfw_engine *e, const struct idfw_session *s, const char *reason)
{
	static const char *const words[] = { "pending", "found", "not-found", "unavailable" };
	const struct idfw_principal *p = s->principal;
	struct gi_buf *b = &e->json;
	bool first = true;

	gi_buf_reset(b);
	gi_buf_printf(b, "{\"principal\":");
	idfw_json(b, *p->name ? p->name : p->user);
	gi_buf_printf(b, ",\"directory\":\"%s\",\"dn\":", words[p->presence]);
	idfw_json(b, p->dn);
	if (*p->directory) {
		gi_buf_printf(b, ",\"account_in\":");
		idfw_json(b, p->directory);
	}
	gi_buf_printf(b, ",\"groups\":[");
	for (size_t g = 0; e->policy && g < p->member_of.n; g++) {
		const char *name = pol_group_name(e->policy, g);

		if (!pol_set_has(&p->member_of, g) || *name == '_')
			continue;
		gi_buf_printf(b, "%s", first ? "" : ",");
		idfw_json(b, name);
		first = false;
	}
	gi_buf_printf(b, "],\"directory_groups\":%zu,\"reason\":\"%s\"", p->n_in, reason);
	idfw_account_json(b, p);
	age_json(b, e, p);
	gi_buf_append(b, "}", 1);
	gi_info("decision %s@%s: %s", s->user, s->vm->name, gi_buf_str(b));
	idfw_note(e, IDFW_REC_DECISION, s->vm, s,
		gi_buf_error(b) ? "{\"error\":\"too long\"}" : gi_buf_str(b));
}

/* what the directory says about a new session, as far as it is known now */
void idfw_session_resolve(struct idfw_engine *e, struct idfw_session *s, const char *reason)
{
	struct idfw_principal *p = s->principal;

	if (!p) {
		ready_resolved(e, s, false);
		return;
	}
	if (!p->is_unit)
		idfw_principal_login(e, p);
	service_login(e, s);
	if (idfw_principal_grants(p)) {
		idfw_session_decision(e, s, reason);
		e->ready = s->ready;
		idfw_session_sync(e, s, &p->member_of);
		e->ready = NULL;
		ready_resolved(e, s, false);
	} else if (p->presence == IDFW_P_UNAVAILABLE) {
		idfw_session_decision(e, s, reason);
		ready_resolved(e, s, true);
	} /* else the answer comes later: principal.c */
}

/* a login's own words in the audit trail: the trail must speak without the session table */
static const char *login_json(struct idfw_engine *e, const struct idfw_session *s)
{
	const struct {
		const char *name, *value;
	} texts[] = { { "service", s->service }, { "from", s->rhost }, { "tty", s->tty },
		{ "auth", s->auth } };
	uint64_t parent = idfw_engine_parent_of(e, s);
	struct gi_buf *b = &e->json;

	gi_buf_reset(b);
	gi_buf_printf(
		b, "{\"uid\":%u,\"opened_ms\":%llu", s->uid, (unsigned long long)s->opened_ms);
	if (s->cgroup)
		gi_buf_printf(b, ",\"cgroup\":%llu", (unsigned long long)s->cgroup);
	if (parent)
		gi_buf_printf(b, ",\"parent\":%llu", (unsigned long long)parent);
	else if (s->parent)
		gi_buf_printf(b, ",\"parent\":null");
	if (s->is_unit)
		gi_buf_printf(b, ",\"kind\":\"service\"");
	if (s->found)
		gi_buf_printf(b, ",\"found\":true");
	if (s->principal && idfw_dir_of(e, s->principal) == IDFW_DIR_DOWN)
		age_json(b, e, s->principal);
	for (size_t i = 0; i < GI_ARRAY_SIZE(texts); i++) {
		if (!*texts[i].value)
			continue;
		gi_buf_printf(b, ",\"%s\":", texts[i].name);
		idfw_json(b, texts[i].value);
	}
	gi_buf_printf(b, "}");
	return gi_buf_error(b) ? "{\"error\":\"too long\"}" : gi_buf_str(b);
}

static const char *logout_json(struct idfw_engine *e, const char *reason, uint64_t end_ms)
{
	gi_buf_reset(&e->json);
	gi_buf_printf(&e->json, "{\"reason\":\"%s\",\"closed_ms\":%llu}", reason,
		(unsigned long long)end_ms);
	return gi_buf_str(&e->json);
}

int idfw_session_open(
	struct idfw_engine *e, struct idfw_vm *vm, const Idfw__Session *ws, uint64_t seq)
{
	struct idfw_session *s = idfw_session_find(e, vm, ws->id, vm->boot_id);
	char limit[IDFW_LIMIT_WHY];
	const char *why = idfw_limit_session(e, vm, limit);
	int r;

	if (!why)
		why = service_refusal(e, vm, ws);

	if (s) {
		if (s->enforced_ms && !s->ready)
			ready_send(e, s, IDFW__SESSION_READY__STATE__ENFORCED);
		return seq ? idfw_limit_refuse(e, vm, ws, seq, "session is known") : 0;
	}
	if (!seq)
		idfw_limit_claim(e, vm);
	if (why)
		return idfw_limit_refuse(e, vm, ws, seq, why);
	s = session_make(e, vm, ws, vm->boot_id);
	if (!s)
		return -ENOMEM;
	s->db_id = e->next_db_id;
	r = session_link(e, s);
	if (r == 0)
		r = idfw_record(e, IDFW_REC_LOGIN, vm, s, seq, login_json(e, s));
	if (r < 0) {
		if (s->hh.tbl) {
			idfw_session_free(e, s);
		} else {
			texts_free(e, s);
			free(s);
		}
		return r;
	}
	e->next_db_id++;
	e->stats.logins++;
	idfw_cause(e, "login %s@%s", s->user, vm->name);
	gi_info("login %s@%s: session %llu, uid %u, %s, from %s", s->user, vm->name,
		(unsigned long long)s->db_id, s->uid, s->service, *s->rhost ? s->rhost : "-");
	vm->plan->unwatched |= !seq;
	if (seq && ready_new(e, s) < 0)
		gi_warn("%s: nobody hears when session %llu is enforced: out of memory", vm->name,
			(unsigned long long)s->db_id);
	idfw_session_resolve(e, s, "login");
	return 0;
}

/* who was here and is not any more: what ran must not finish by a drain either */
static void hard_end(struct idfw_engine *e, struct idfw_session *s)
{
	s->kicked = true; /* from here on it gives nothing, recorded or not */
	if (!s->principal)
		return;
	idfw_session_sync(e, s, &s->principal->member_of);
	if (!s->subject->n_counted)
		plan_drains_cancel(e, s->vm, &s->subject->key);
}

int idfw_session_move(
	struct idfw_engine *e, struct idfw_session *s, uint64_t cgroup, uint64_t parent)
{
	uint32_t marks[IDFW_MARKS_OF_MAX];
	bool kicked = s->kicked;
	size_t n_marks;
	int r;

	if (s->cgroup == cgroup && s->parent == parent)
		return 0;
	idfw_cause(e, "session %s@%s moved", s->user, s->vm->name);
	gi_info("%s@%s: session %llu is in cgroup %llu now", s->user, s->vm->name,
		(unsigned long long)s->db_id, (unsigned long long)cgroup);
	n_marks = plan_user_marks(s, marks);
	s->kicked = true; /* what it had was another subject's */
	if (s->principal)
		idfw_session_sync(e, s, &s->principal->member_of);
	idfw_identity_unlink(e, s);
	s->kicked = kicked;
	s->cgroup = cgroup;
	s->parent = parent;
	r = idfw_identity_link(e, s);
	uid_update(e, s->vm, s->uid);
	if (r < 0)
		return r; /* it gives nothing */
	if (s->principal && s->principal->presence == IDFW_P_PENDING &&
		!s->principal->lookup_running)
		idfw_principal_lookup(e, s->principal);
	if (s->principal)
		idfw_session_sync(e, s, &s->principal->member_of);
	else
		ready_resolved(e, s, false);
	/* its flows are judged again, not cut: they were its own */
	for (size_t i = 0; s->subject && s->subject->mark && i < n_marks; i++)
		(void)plan_subject_old_add(e, s->vm, s->subject, marks[i]);
	return 0;
}

int idfw_session_end(struct idfw_engine *e, struct idfw_session *s, Idfw__EndReason reason,
	uint64_t end_ms, uint64_t seq)
{
	static const char *const words[] = { "unknown", "close", "leader", "gone", "reboot", "kick",
		"cgroup" };
	const char *word = (size_t)reason < GI_ARRAY_SIZE(words) ? words[reason] : words[0];
	struct idfw_record rec = { .kind = IDFW_REC_LOGOUT,
		.time_ms = e->real_ms,
		.vm = s->vm->name,
		.boot_id = s->boot_id,
		.session = s,
		.end_reason = reason,
		.end_ms = end_ms,
		.seq = seq };
	struct idfw_vm *vm = s->vm;
	int r;

	idfw_cause(e, "logout %s@%s", s->user, vm->name);
	hard_end(e, s);
	rec.detail = logout_json(e, word, end_ms);
	r = e->out.store(e->out.arg, &rec);
	if (r < 0)
		return r;
	e->stats.logouts++;
	gi_info("logout %s@%s: session %llu, %s", s->user, vm->name, (unsigned long long)s->db_id,
		word);
	idfw_session_over(e, s, reason);
	return 0;
}

void idfw_session_end_all(struct idfw_engine *e, struct idfw_vm *vm, Idfw__EndReason reason)
{
	struct idfw_session *s, *next;

	for (s = vm->sessions; s; s = next) {
		next = s->v_next;
		if (idfw_session_end(e, s, reason, e->real_ms, 0) < 0) {
			/* without its record: it must not stay, its boot is over */
			e->stats.unrecorded++;
			idfw_session_over(e, s, reason);
		}
	}
}

int idfw_engine_restore_session(struct idfw_engine *e, const char *vm_name, const Idfw__Session *ws,
	const uint8_t boot_id[16], uint64_t db_id, uint64_t seen_ms, bool kicked)
{
	struct idfw_session *s;
	struct idfw_vm *vm;
	int r = idfw_vm_get(e, vm_name, &vm);

	if (r < 0)
		return r;
	if (vm->n_sessions >= IDFW_SESSIONS_VM_MAX || HASH_COUNT(e->sessions) >= IDFW_SESSIONS_MAX)
		return -GI_ELIMIT;
	if (idfw_session_find(e, vm, ws->id, boot_id))
		return -EEXIST;
	s = session_make(e, vm, ws, boot_id);
	if (!s)
		return -ENOMEM;
	s->db_id = db_id;
	s->seen_ms = seen_ms;
	s->kicked = kicked;
	r = session_link(e, s);
	if (r < 0) {
		texts_free(e, s);
		free(s);
		return r;
	}
	idfw_engine_next_db_id(e, db_id + 1);
	vm->plan->unwatched = true;
	if (s->principal) {
		if (s->principal->presence == IDFW_P_PENDING && !s->principal->lookup_running)
			idfw_principal_lookup(e, s->principal);
		service_login(e, s);
		idfw_session_sync(e, s, &s->principal->member_of);
	}
	plan_event_end(e);
	return 0;
}

static void kick_send(struct idfw_engine *e, const struct idfw_session *s, const char *reason)
{
	Idfw__Kick kick = IDFW__KICK__INIT;
	Idfw__Envelope env = IDFW__ENVELOPE__INIT;

	if (!s->vm->connected || s->vm->plan->phase < PLAN_STARTING)
		return;
	kick.id = s->id;
	/* what the wire does not carry is not worth losing the kick for */
	if (!reason || !*reason || !gi_text_is_clean(reason, WIRE_TEXT_MAX))
		reason = "ended by the administrator";
	kick.reason = (char *)(uintptr_t)reason;
	env.body_case = IDFW__ENVELOPE__BODY_KICK;
	env.kick = &kick;
	e->out.send(e->out.arg, s->vm, &env);
}

void idfw_session_kicks_again(struct idfw_engine *e, struct idfw_vm *vm)
{
	const struct idfw_session *s;

	for (s = vm->sessions; s; s = s->v_next)
		if (s->kicked)
			kick_send(e, s, NULL);
}

int idfw_engine_kick(struct idfw_engine *e, uint64_t db_id, const char *by, const char *reason)
{
	struct idfw_session *s, *next, *found = NULL;
	struct gi_buf *b = &e->json;

	HASH_ITER (hh, e->sessions, s, next)
		if (s->db_id == db_id)
			found = s;
	if (!found)
		return -GI_ENOTFOUND;
	s = found;
	idfw_cause(e, "kick %s@%s", s->user, s->vm->name);
	gi_buf_reset(b);
	gi_buf_printf(b, "{\"by\":");
	idfw_json(b, by);
	gi_buf_printf(b, ",\"reason\":");
	idfw_json(b, reason);
	gi_buf_printf(b, "}");
	gi_notice("kick %s@%s: session %llu, by %s", s->user, s->vm->name,
		(unsigned long long)db_id, by);
	idfw_note(e, IDFW_REC_KICK, s->vm, s, gi_buf_str(b));
	e->stats.kicks++;
	hard_end(e, s);
	kick_send(e, s, reason);
	plan_event_end(e);
	return 0;
}
