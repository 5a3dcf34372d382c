/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * session.c - the table of live sessions, see session.h
 */
#include "netagent/session.h"

#include <stdlib.h>
#include <string.h>

void na_sessions_init(struct na_sessions *t, uint64_t first_id)
{
	*t = (struct na_sessions){ .next_id = first_id };
}

static void session_free(struct na_session *s)
{
	if (!s)
		return;
	free(s->user);
	free(s->service);
	free(s->tty);
	free(s->rhost);
	free(s->auth);
	free(s->scope);
	free(s);
}

static struct na_session *find_cgroup(const struct na_sessions *t, uint64_t cgroup)
{
	struct na_session *s = NULL;

	if (cgroup)
		HASH_FIND(hc, t->by_cgroup, &cgroup, sizeof(cgroup), s);
	return s;
}

static void unlink_session(struct na_sessions *t, struct na_session *s)
{
	HASH_DEL(t->by_id, s);
	if (find_cgroup(t, s->cgroup) == s)
		HASH_DELETE(hc, t->by_cgroup, s);
}

void na_sessions_fini(struct na_sessions *t)
{
	struct na_session *s, *tmp;

	HASH_ITER (hh, t->by_id, s, tmp) {
		unlink_session(t, s);
		session_free(s);
	}
}

uint64_t na_sessions_of_cgroup(const struct na_sessions *t, uint64_t cgroup)
{
	const struct na_session *s = find_cgroup(t, cgroup);

	if (s)
		return s->is_service ? 0 : s->id;
	for (unsigned int i = 0; cgroup && i < t->n_ended; i++) {
		if (t->ended[i].cgroup == cgroup)
			return t->ended[i].session;
	}
	return 0;
}

void na_sessions_ended(struct na_sessions *t, uint64_t cgroup, uint64_t session)
{
	if (!cgroup || !session)
		return;
	t->ended[t->next_ended] = (struct na_ended){ cgroup, session };
	t->next_ended = (t->next_ended + 1) % NA_ENDED_MAX;
	if (t->n_ended < NA_ENDED_MAX)
		t->n_ended++;
}

uint64_t na_sessions_reserve(struct na_sessions *t)
{
	return t->next_id++;
}

size_t na_sessions_count(const struct na_sessions *t)
{
	return HASH_COUNT(t->by_id);
}

struct na_session *na_sessions_find(const struct na_sessions *t, uint64_t id)
{
	struct na_session *s;

	HASH_FIND(hh, t->by_id, &id, sizeof(id), s);
	return s;
}

struct na_session *na_sessions_find_leader(const struct na_sessions *t, uint32_t leader_pid)
{
	struct na_session *found = NULL;

	if (leader_pid == 0)
		return NULL;
	for (struct na_session *s = t->by_id; s; s = s->hh.next) {
		if (s->leader_pid == leader_pid && (!found || s->id > found->id))
			found = s;
	}
	return found;
}

struct na_session *na_sessions_find_same(const struct na_sessions *t, const struct na_pam_event *ev,
	uint32_t leader_pid, uint64_t leader_start)
{
	struct na_session *s = na_sessions_find_leader(t, leader_pid);

	if (!s || s->leader_start != leader_start || s->uid != ev->uid ||
		strcmp(s->user, ev->user) != 0 || strcmp(s->service, ev->service) != 0 ||
		strcmp(s->tty, ev->tty) != 0)
		return NULL;
	return s;
}

int na_sessions_restore(
	struct na_sessions *t, const struct na_session *from, struct na_session **ret)
{
	struct na_session *s;

	if (from->id == 0)
		return -EINVAL;
	if (na_sessions_find(t, from->id))
		return -EEXIST;
	if (na_sessions_count(t) >= NA_SESSIONS_MAX)
		return -GI_ELIMIT;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->id = from->id;
	s->uid = from->uid;
	s->leader_pid = from->leader_pid;
	s->leader_start = from->leader_start;
	s->opened_ms = from->opened_ms;
	s->peer = from->peer;
	s->cgroup = from->cgroup;
	s->parent = from->parent;
	s->found = from->found;
	s->is_service = from->is_service;
	s->user = strdup(from->user);
	s->service = strdup(from->service);
	s->tty = strdup(from->tty);
	s->rhost = strdup(from->rhost);
	s->auth = strdup(from->auth);
	if (!s->user || !s->service || !s->tty || !s->rhost || !s->auth) {
		session_free(s);
		return -ENOMEM;
	}
	HASH_ADD(hh, t->by_id, id, sizeof(s->id), s);
	if (s->cgroup && !find_cgroup(t, s->cgroup))
		HASH_ADD(hc, t->by_cgroup, cgroup, sizeof(s->cgroup), s);
	if (t->next_id <= s->id)
		t->next_id = s->id + 1;
	*ret = s;
	return 0;
}

int na_sessions_open(struct na_sessions *t, const struct na_pam_event *ev,
	const struct na_origin *from, struct na_session **ret)
{
	/* restore() makes the copies: the casts only let one struct name both kinds of text */
	struct na_session s = {
		.id = from->id ? from->id : t->next_id,
		.user = (char *)ev->user,
		.service = (char *)ev->service,
		.tty = (char *)ev->tty,
		.rhost = (char *)ev->rhost,
		.auth = (char *)ev->auth,
		.uid = ev->uid,
		.leader_pid = from->leader_pid,
		.leader_start = from->leader_start,
		.opened_ms = from->opened_ms,
		.peer = ev->peer,
		.cgroup = from->cgroup,
		.parent = from->parent,
		.found = from->found,
		.is_service = from->is_service,
	};

	return na_sessions_restore(t, &s, ret);
}

void na_sessions_remove(struct na_sessions *t, struct na_session *s)
{
	if (!s->is_service)
		na_sessions_ended(t, s->cgroup, s->id);
	unlink_session(t, s);
	session_free(s);
}
