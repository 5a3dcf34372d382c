/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * life.c - the life of sessions once they have begun (open.c): recorded, ended, resumed
 *
 * Runs in gi-netagent's parsing process. Each change is an event in the spool before anybody hears
 * of it; the table is what the events say. Failure directions: a session that cannot be recorded is
 * refused (PAM decides what that means); an end that cannot be recorded still ends the session, and
 * the next Snapshot says so.
 */
#include "netagent/agent.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "netagent/leader.h"

#define SPOOL_RETRY_MS 2000

/* ---- spool ---- */

static void retry_cb(struct io_timer *t)
{
	struct na_agent *a = t->arg;

	io_spool_flush(a->spool);
	na_life_spool_check(a);
}

void na_life_spool_check(struct na_agent *a)
{
	struct io_spool_stats st;

	io_spool_stats(a->spool, &st);
	if (st.lost_events > a->lost_told) {
		gi_err("%" PRIu64 " events lost: neither %s nor memory has room", st.lost_events,
			a->conf->spool_dir);
		a->lost_told = st.lost_events;
	}
	if (st.disk_err && !a->spool_bad) {
		gi_err("spool %s takes no more events: %s; they are held in memory, and logins are "
		       "refused when that is full",
			a->conf->spool_dir,
			st.disk_err == -GI_EFULL ? "spool-max is reached"
						 : gi_strerror(st.disk_err));
		io_timer_start(
			a->loop, &a->spool_retry, SPOOL_RETRY_MS, SPOOL_RETRY_MS, retry_cb, a);
	} else if (!st.disk_err && a->spool_bad) {
		gi_notice("spool %s takes events again", a->conf->spool_dir);
		io_timer_stop(a->loop, &a->spool_retry);
	}
	a->spool_bad = st.disk_err != 0;
}

/* 0, or the number is used up and nobody will hear of the event */
static int record(struct na_agent *a, const struct gi_buf *event)
{
	int err = io_spool_append(a->spool, event->data, event->len);

	na_life_spool_check(a);
	if (a->link && err == 0)
		na_link_wake(a->link);
	return err;
}

void na_life_checkpoint(void *arg, struct gi_buf *out)
{
	struct na_agent *a = arg;

	na_checkpoint_write(
		out, a->spool ? io_spool_last_seq(a->spool) : 0, &a->sessions, &a->addrs);
}

void na_life_restore(
	void *arg, enum io_spool_record type, uint64_t seq, const void *buf, size_t len)
{
	struct na_agent *a = arg;
	int err;

	if (type == IO_SPOOL_CHECKPOINT)
		err = na_checkpoint_read(buf, len, &a->sessions, &a->addrs);
	else
		err = na_event_replay(buf, len, &a->sessions, &a->addrs);
	if (err < 0)
		gi_err("spool: record of event %" PRIu64 " cannot be used: %s", seq,
			gi_strerror(err));
}

/* ---- sessions-dir ---- */

/* nothing but words in gi-fileagent's reports hangs on it: said once, then work goes on */
static void files_said(struct na_agent *a, int err)
{
	if (err < 0 && !a->files_bad)
		gi_err("sessions-dir %s: %s; file reports will not name all sessions",
			a->conf->sessions_dir, gi_strerror(err));
	a->files_bad = err < 0;
}

void na_life_files(struct na_agent *a)
{
	int err = na_sessfile_open(&a->files, a->conf->sessions_dir);

	if (err == 0)
		err = na_sessfile_sweep(&a->files, &a->sessions);
	files_said(a, err);
}

/* ---- ends ---- */

static const char *reason_word(Idfw__EndReason r)
{
	switch (r) {
	case IDFW__END_REASON__END_CLOSE:
		return "closed";
	case IDFW__END_REASON__END_LEADER:
		return "its leader ended without closing it";
	case IDFW__END_REASON__END_KICK:
		return "kicked";
	case IDFW__END_REASON__END_CGROUP:
		return "its cgroup is gone";
	default:
		return "over";
	}
}

void na_life_end(struct na_agent *a, struct na_session *s, Idfw__EndReason reason)
{
	struct gi_buf ev;
	uint64_t id = s->id;
	int err;

	gi_info("session %" PRIu64 " of %s (%s): %s", id, s->user, s->service, reason_word(reason));
	gi_buf_init(&ev, IO_SPOOL_EVENT_MAX);
	err = na_event_close(&ev, io_spool_last_seq(a->spool) + 1, id, reason, io_clock_real_ms());
	na_leader_free(s->leader);
	files_said(a, na_sessfile_drop(&a->files, &a->sessions, s));
	na_sessions_remove(&a->sessions, s);
	if (err == 0)
		err = record(a, &ev);
	if (err < 0 && a->link)
		na_link_resync(a->link);
	gi_buf_fini(&ev);
	if (a->pam)
		na_pam_ready(a->pam, id, NA_PAM_TIMEOUT, NULL);
}

static void leader_ended(void *arg, uint64_t id)
{
	struct na_agent *a = arg;
	struct na_session *s = na_sessions_find(&a->sessions, id);

	if (s)
		na_life_end(a, s, IDFW__END_REASON__END_LEADER);
}

void na_life_kick(struct na_agent *a, uint64_t id, const char *reason)
{
	struct na_session *s = na_sessions_find(&a->sessions, id);

	if (!s) {
		gi_info("kick of session %" PRIu64 ": it is over already", id);
		return;
	}
	gi_notice("session %" PRIu64 " of %s is kicked: %s", id, s->user,
		reason[0] ? reason : "no reason given");
	na_life_end(a, s, IDFW__END_REASON__END_KICK);
}

/* ---- the cgroups that logind made ---- */

void na_life_scope(struct na_agent *a, const struct na_session *s)
{
	char dir[NA_CGROUP_ROOT_MAX + NA_CGROUP_PATH_MAX];

	if (!s->scope)
		return;
	snprintf(dir, sizeof(dir), "%s%s", a->cgroups.mount, s->scope);
	*strrchr(dir, '/') = '\0';
	na_cgwatch_add(a->cgwatch, dir);
}

void na_life_cgroups(struct na_agent *a)
{
	struct na_session *s, *tmp;
	uint64_t now;

	HASH_ITER (hh, a->sessions.by_id, s, tmp) {
		if (s->scope && (na_cgroup_id(&a->cgroups, s->scope, &now) < 0 || now != s->cgroup))
			na_life_end(a, s, IDFW__END_REASON__END_CGROUP);
	}
}

/* after a restart; ours has our name and needs none */
static void find_scope(struct na_agent *a, struct na_session *s)
{
	char path[NA_CGROUP_PATH_MAX];
	uint64_t now;
	size_t len;

	if (!s->cgroup || !a->cgroups.mount[0])
		return;
	na_cgroup_ours(&a->cgroups, s->id, path);
	if (na_cgroup_id(&a->cgroups, path, &now) == 0 && now == s->cgroup)
		return;
	if (na_cgroup_of(s->leader_pid, path) == 0 &&
		na_cgroup_logind(path, &len) != NA_LOGIND_NONE) {
		path[len] = '\0';
		if (na_cgroup_id(&a->cgroups, path, &now) == 0 && now == s->cgroup)
			s->scope = strdup(path);
	}
	if (s->scope)
		na_life_scope(a, s);
	else
		gi_warn("session %" PRIu64 ": its cgroup %" PRIu64 " is not where it was", s->id,
			s->cgroup);
}

/* ---- beginnings: open.c ---- */

bool na_life_watch(struct na_agent *a, struct na_session *s, int pidfd)
{
	return pidfd >= 0 &&
	       na_leader_watch(a->loop, pidfd, s->id, leader_ended, a, &s->leader) == 0;
}

int na_life_record_open(struct na_agent *a, struct na_session *s)
{
	struct gi_buf buf;
	int err;

	gi_buf_init(&buf, IO_SPOOL_EVENT_MAX);
	err = na_event_open(&buf, io_spool_last_seq(a->spool) + 1, s);
	if (err == 0)
		err = record(a, &buf);
	gi_buf_fini(&buf);
	if (err < 0)
		na_sessions_remove(&a->sessions, s);
	return err;
}

void na_life_file(struct na_agent *a, const struct na_session *s)
{
	files_said(a, na_sessfile_put(&a->files, s));
}

static void pam_close(struct na_agent *a, struct na_pam_conn *c, const struct na_pam_event *ev,
	const struct na_pam_peer *peer)
{
	struct na_session *s = ev->session ? na_sessions_find(&a->sessions, ev->session)
					   : na_sessions_find_leader(&a->sessions, peer->pid);
	uint64_t id = s ? s->id : ev->session;

	if (s)
		na_life_end(a, s, IDFW__END_REASON__END_CLOSE);
	else if (ev->session || !na_open_close(a, peer->pid))
		gi_debug("close of a session that is over: %s (%s)", ev->user, ev->service);
	na_pam_answer(c, NA_PAM_OK, id, NULL);
}

void na_life_pam_event(
	void *arg, struct na_pam_conn *c, const struct na_pam_event *ev, struct na_pam_peer *peer)
{
	if (ev->kind == NA_PAM_OPEN)
		na_open_pam(arg, c, ev, peer);
	else if (ev->kind == NA_PAM_SOON)
		na_open_soon(arg, c);
	else
		pam_close(arg, c, ev, peer);
}

void na_life_resume(struct na_agent *a)
{
	struct na_session *s, *tmp;
	size_t kept = 0, ended = 0;

	HASH_ITER (hh, a->sessions.by_id, s, tmp) {
		int pidfd = -1, err;

		if (s->is_service)
			continue;
		if (s->leader_pid == 0) { /* was not to be watched before either */
			kept++;
			continue;
		}
		err = na_leader_reopen(s->leader_pid, s->leader_start, &pidfd);
		if (err == -ESRCH) {
			na_life_end(a, s, IDFW__END_REASON__END_LEADER);
			ended++;
			continue;
		}
		if (err < 0 || !na_life_watch(a, s, pidfd))
			gi_warn("session %" PRIu64 ": leader %u cannot be watched: %s", s->id,
				s->leader_pid, err < 0 ? gi_strerror(err) : "out of memory");
		find_scope(a, s);
		kept++;
	}
	na_units_resume(a);
	if (kept + ended)
		gi_notice("%zu sessions go on, %zu ended while we were away", kept, ended);
}

void na_life_addresses(struct na_agent *a, const struct na_addrs *now)
{
	struct gi_buf ev;
	int err;

	if (na_addrs_equal(&a->addrs, now))
		return;
	a->addrs = *now;
	gi_buf_init(&ev, IO_SPOOL_EVENT_MAX);
	err = na_event_addresses(&ev, io_spool_last_seq(a->spool) + 1, now);
	if (err == 0)
		err = record(a, &ev);
	if (err < 0 && a->link)
		na_link_resync(a->link);
	gi_buf_fini(&ev);
	gi_info("this guest has %zu addresses", now->n);
}

void na_life_stop(struct na_agent *a)
{
	struct na_session *s, *tmp;

	HASH_ITER (hh, a->sessions.by_id, s, tmp) {
		na_leader_free(s->leader);
		s->leader = NULL;
	}
}
