/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * session.h - the table of this guest's live sessions
 *
 * Runs in gi-netagent's parsing process. Pure: no descriptor, no clock, no I/O. A session is one
 * PAM session: opened by pam_gi, ended by pam_gi, by the end of its leader or cgroup, or by a kick;
 * or a system service whose cgroup is there (docs/sessions.md). Its
 * number is unique in (VM, boot), so the numbering is kept across restarts (agent.c saves it in
 * the spool's checkpoint).
 * Invariants: numbers only grow and are never 0; at most NA_SESSIONS_MAX live sessions.
 */
#ifndef NETAGENT_SESSION_H
#define NETAGENT_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>
#include "lib/base/addr.h"
#include "lib/base/err.h"
#include "netagent/pamblock.h"

#define NA_SESSIONS_MAX 8192

#define NA_ENDED_MAX 1024

struct na_leader;

struct na_session {
	uint64_t id;
	char *user; /* owned, as are the other texts; never NULL */
	char *service;
	char *tty;
	char *rhost;
	char *auth;
	uint32_t uid;
	uint32_t leader_pid;	  /* 0: none that we can see */
	uint64_t leader_start;	  /* clock ticks since boot, proc(5) stat field 22 */
	uint64_t opened_ms;	  /* Unix time */
	struct gi_addr peer;	  /* family 0: none */
	uint64_t cgroup;	  /* 0: none of its own */
	uint64_t parent;	  /* the session that it was opened inside of, live or ended; 0 */
	bool found;		  /* learnt from the kernel, not from PAM */
	bool is_service;	  /* a system service: user is its unit, no leader */
	struct na_leader *leader; /* the owner's watch on leader_pid, or NULL; not freed here */
	char *scope;		  /* the owner's: path of the cgroup that logind made, or NULL */
	UT_hash_handle hh, hc;	  /* private: by id; by cgroup */
};

struct na_ended { /* something may still run in the cgroup of a session that is over */
	uint64_t cgroup, session;
};

struct na_sessions {
	struct na_session *by_id; /* in the order of opening */
	struct na_session *by_cgroup;
	uint64_t next_id;
	struct na_ended ended[NA_ENDED_MAX]; /* a ring; the oldest is forgotten first */
	unsigned int n_ended, next_ended;
};

/* what PAM does not know of a session that begins */
struct na_origin {
	uint64_t id;	     /* of na_sessions_reserve(); 0: the next one */
	uint32_t leader_pid; /* 0: none that we can see */
	uint64_t leader_start;
	uint64_t opened_ms;
	uint64_t cgroup;
	uint64_t parent;
	bool found;
	bool is_service;
};

/* @first_id: > 0; what a table without memory begins with */
void na_sessions_init(struct na_sessions *t, uint64_t first_id);
void na_sessions_fini(struct na_sessions *t); /* leaders must have been stopped by the owner */

/* a number for a session that is not in the table yet; used once or never */
uint64_t na_sessions_reserve(struct na_sessions *t);

/*
 * na_sessions_open - a new session
 * @ev, @from: borrows
 * @ret: borrowed from the table
 * Errors: -GI_ELIMIT (NA_SESSIONS_MAX live already), -ENOMEM
 */
GI_MUST_CHECK int na_sessions_open(struct na_sessions *t, const struct na_pam_event *ev,
	const struct na_origin *from, struct na_session **ret);

/*
 * na_sessions_restore - a session as it was saved; its number stays, next_id goes above it
 * @s: borrows; texts are copied
 * Errors: -EEXIST, -EINVAL (number 0), -GI_ELIMIT, -ENOMEM
 */
GI_MUST_CHECK int na_sessions_restore(
	struct na_sessions *t, const struct na_session *s, struct na_session **ret);

struct na_session *na_sessions_find(const struct na_sessions *t, uint64_t id);
/* the youngest session of this leader: a close that does not know its number. NULL: none */
struct na_session *na_sessions_find_leader(const struct na_sessions *t, uint32_t leader_pid);
/* the same login, recorded before: leader, user, service and tty agree. NULL: none */
struct na_session *na_sessions_find_same(const struct na_sessions *t, const struct na_pam_event *ev,
	uint32_t leader_pid, uint64_t leader_start);
/* the login session that has this cgroup, live, or ended and not forgotten; 0: none */
uint64_t na_sessions_of_cgroup(const struct na_sessions *t, uint64_t cgroup);
/* frees @s; its cgroup is remembered as an ended one's */
void na_sessions_remove(struct na_sessions *t, struct na_session *s);
void na_sessions_ended(struct na_sessions *t, uint64_t cgroup, uint64_t session);
size_t na_sessions_count(const struct na_sessions *t);

#endif
