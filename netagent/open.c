/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * open.c - how a session begins: PAM's event, its place among the cgroups, the record
 *
 * Runs in gi-netagent's parsing process. A login that has a cgroup of logind's takes that one; one
 * from inside a session's cgroup is nested; for all others the placer makes one, and PAM waits
 * for it (na_pam_hold). Only then the session is recorded and told. Failure directions: without a
 * cgroup the session is known by its uid, as said once by the alarm NO_CGROUPS; a session that
 * cannot be recorded is refused (PAM decides what that means).
 * Source: ADR 0014, docs/sessions.md.
 */
#include "netagent/agent.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "lib/base/log.h"
#include "netagent/alarm.h"
#include "netagent/leader.h"

struct na_opening { /* waits for the placer */
	struct na_opening *prev, *next;
	struct na_pam_event ev;
	struct na_pam_peer peer; /* owns pidfd */
	struct na_origin from;
	char *scope; /* owned */
	bool closed; /* PAM has given it up meanwhile */
};

static void opening_fini(struct na_opening *o)
{
	if (o->peer.pidfd >= 0)
		close(o->peer.pidfd);
	free(o->scope);
}

/* ---- the record ---- */

static void answer(struct na_pam_conn *c, const struct na_pam_event *ev, const struct na_session *s)
{
	if (!c)
		return;
	if (ev->wait)
		na_pam_wait(c, s->id, ev->timeout_ms);
	else
		na_pam_answer(c, NA_PAM_OK, s->id, s->leader ? NULL : "leader cannot be watched");
}

static void refuse(struct na_pam_conn *c, const char *why)
{
	if (c)
		na_pam_answer(c, NA_PAM_REFUSED, 0, why);
}

static void watch_leader(struct na_agent *a, struct na_session *s, struct na_opening *o)
{
	bool watched = na_life_watch(a, s, o->peer.pidfd);

	o->peer.pidfd = -1;
	if (!watched)
		gi_warn("session %" PRIu64
			": leader %u cannot be watched: only close_session ends it",
			s->id, o->peer.pid);
}

static void log_open(const struct na_session *s, uint32_t pid)
{
	gi_info("session %" PRIu64 " of %s (%s, uid %u, leader %u, cgroup %" PRIu64
		", inside %" PRIu64 ")",
		s->id, s->user, s->service, s->uid, pid, s->cgroup, s->parent);
}

/* @c: NULL: PAM does not wait any more */
static void finish(struct na_agent *a, struct na_opening *o, struct na_pam_conn *c)
{
	struct na_session *s;
	int err;

	err = na_sessions_open(&a->sessions, &o->ev, &o->from, &s);
	if (err == 0)
		err = na_life_record_open(a, s);
	if (err < 0) {
		gi_err("login of %s refused: it cannot be recorded: %s", o->ev.user,
			gi_strerror(err));
		refuse(c, "the session cannot be recorded");
		return;
	}
	log_open(s, o->peer.pid);
	s->scope = o->scope;
	o->scope = NULL;
	na_life_scope(a, s);
	if (o->peer.gone) { /* gave up on us and ended: for the audit trail, and for nothing else */
		na_life_end(a, s, IDFW__END_REASON__END_LEADER);
		refuse(c, "the session's process has ended");
		return;
	}
	if (o->closed) {
		na_life_end(a, s, IDFW__END_REASON__END_CLOSE);
		refuse(c, "the session was closed meanwhile");
		return;
	}
	na_life_file(a, s);
	watch_leader(a, s, o);
	answer(c, &o->ev, s);
}

/* ---- the place ---- */

/* by the cgroups' ids, from the deepest up */
uint64_t na_open_session_of(const struct na_agent *a, const char *path)
{
	char part[NA_CGROUP_PATH_MAX];
	uint64_t cgroup, id = 0;
	char *slash;

	memcpy(part, path, strlen(path) + 1);
	for (int depth = 0; depth < NA_CGROUP_DEPTH_MAX && !id; depth++) {
		slash = strrchr(part, '/');
		if (!slash || !part[1])
			break;
		if (na_cgroup_id(&a->cgroups, part, &cgroup) == 0)
			id = na_sessions_of_cgroup(&a->sessions, cgroup);
		slash[slash == part] = '\0';
	}
	/* ours tell it by their names, also when they are long forgotten */
	return id ? id : na_cgroup_session(&a->cgroups, path);
}

/* is it one that logind made for this very login? then that is the session's */
static bool take_logind(const struct na_agent *a, struct na_opening *o, const char *path)
{
	size_t len;
	enum na_logind kind = na_cgroup_logind(path, &len);
	bool its_own;

	if (kind == NA_LOGIND_NONE)
		return false;
	o->scope = strndup(path, len);
	if (!o->scope)
		return false;
	if (kind == NA_LOGIND_SCOPE)
		its_own = na_cgroup_scope_leader(o->scope) == o->peer.pid;
	else
		its_own = strcmp(o->ev.service, "systemd-user") == 0;
	if (its_own && na_cgroup_id(&a->cgroups, o->scope, &o->from.cgroup) == 0)
		return true;
	free(o->scope);
	o->scope = NULL;
	return false;
}

/* true: it needs a cgroup of ours */
static bool find_place(const struct na_agent *a, struct na_opening *o)
{
	char path[NA_CGROUP_PATH_MAX];
	uint64_t parent;

	if (!a->have_cgroups || o->peer.gone || o->peer.pidfd < 0 || o->peer.pid == 0 ||
		na_cgroup_of(o->peer.pid, path) < 0)
		return false;
	parent = na_open_session_of(a, path);
	/* made by an agent that died before it had recorded this login */
	if (parent && o->ev.retry && !na_sessions_find(&a->sessions, parent))
		parent = 0;
	o->from.parent = parent;
	return !parent && !take_logind(a, o, path);
}

static struct na_opening *opening_find(const struct na_agent *a, uint64_t id)
{
	struct na_opening *o;

	DL_FOREACH (a->openings, o) {
		if (o->from.id == id)
			return o;
	}
	return NULL;
}

void na_open_placed(void *arg, uint64_t session, int err, uint64_t cgroup)
{
	struct na_agent *a = arg;
	struct na_opening *o = opening_find(a, session);

	if (!o)
		return;
	if (err == 0)
		o->from.cgroup = cgroup;
	na_alarm_cgroups(a, err == -ESRCH ? 0 : err);
	DL_DELETE(a->openings, o);
	finish(a, o, a->pam ? na_pam_held(a->pam, session) : NULL);
	opening_fini(o);
	free(o);
}

void na_open_place_ready(void *arg, int err)
{
	struct na_agent *a = arg;

	a->have_cgroups = err == 0 && a->cgroups.mount[0];
	na_alarm_cgroups(a, err);
}

/* true: the placer has it; @o is the list's then */
static bool ask_placer(struct na_agent *a, const struct na_opening *o, struct na_pam_conn *c)
{
	struct na_opening *kept = malloc(sizeof(*kept));
	int err = kept ? 0 : -ENOMEM;

	if (err == 0)
		err = na_place_move(a->place, o->from.id, o->peer.pidfd);
	if (err < 0) {
		free(kept);
		na_alarm_cgroups(a, err);
		return false;
	}
	*kept = *o;
	DL_APPEND(a->openings, kept);
	if (c)
		na_pam_hold(c, o->from.id);
	return true;
}

/* false: it is recorded; true: it will be, when the placer has answered */
static bool begin(struct na_agent *a, struct na_opening *o, struct na_pam_conn *c)
{
	if (find_place(a, o) && ask_placer(a, o, c))
		return true;
	finish(a, o, c);
	opening_fini(o);
	return false;
}

/* the same login, recorded before: by the agent before us, or found in the kernel */
static struct na_session *find_again(const struct na_agent *a, const struct na_pam_event *ev,
	uint32_t leader_pid, uint64_t leader_start)
{
	struct na_session *s = na_sessions_find_leader(&a->sessions, leader_pid);

	if (s && s->found && s->leader_start == leader_start && s->uid == ev->uid)
		return s;
	return ev->retry ? na_sessions_find_same(&a->sessions, ev, leader_pid, leader_start) : NULL;
}

void na_open_pam(struct na_agent *a, struct na_pam_conn *c, const struct na_pam_event *ev,
	struct na_pam_peer *peer)
{
	/* without a start time it would not be known again after a restart */
	uint32_t leader = peer->pidfd >= 0 && peer->start ? peer->pid : 0;
	struct na_session *s = find_again(a, ev, leader, peer->start);
	struct na_opening o = { .ev = *ev,
		.peer = *peer,
		.from = { .leader_pid = leader, .leader_start = peer->start } };

	if (s) {
		answer(c, ev, s);
		return;
	}
	peer->pidfd = -1;
	o.from.id = na_sessions_reserve(&a->sessions);
	o.from.opened_ms = io_clock_real_ms();
	(void)begin(a, &o, c);
}

void na_open_soon(struct na_agent *a, struct na_pam_conn *c)
{
	if (a->have_cgroups && a->place)
		na_place_soon(a->place);
	na_pam_answer(c, NA_PAM_OK, 0, NULL);
}

uint64_t na_open_found(struct na_agent *a, const struct na_pam_event *ev,
	const struct na_pam_peer *leader, uint64_t opened_ms, bool *ret_placed)
{
	struct na_opening o = { .ev = *ev,
		.peer = *leader,
		.from = { .id = na_sessions_reserve(&a->sessions),
			.leader_pid = leader->pid,
			.leader_start = leader->start,
			.opened_ms = opened_ms,
			.found = true } };

	*ret_placed = begin(a, &o, NULL);
	return o.from.id;
}

static struct na_opening *opening_of(const struct na_agent *a, uint32_t leader_pid)
{
	struct na_opening *o;

	DL_FOREACH (a->openings, o) {
		if (leader_pid && o->peer.pid == leader_pid)
			return o;
	}
	return NULL;
}

bool na_open_waits(const struct na_agent *a, uint32_t leader_pid)
{
	return opening_of(a, leader_pid) != NULL;
}

bool na_open_close(struct na_agent *a, uint32_t leader_pid)
{
	struct na_opening *o = opening_of(a, leader_pid);

	if (o)
		o->closed = true;
	return o != NULL;
}

void na_open_stop(struct na_agent *a)
{
	struct na_opening *o, *tmp;

	DL_FOREACH_SAFE (a->openings, o, tmp) {
		DL_DELETE(a->openings, o);
		opening_fini(o);
		free(o);
	}
}
