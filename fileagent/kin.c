/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kin.c - from a process to its session, see kin.h
 *
 * An entry of the cache keeps /proc/PID/status open: a read of it is the process's present name
 * and uids, or an error once the process is reaped, whoever has its pid by then. The oldest entry
 * goes first (the hash table keeps the order of use).
 */
#include "fileagent/kin.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <uthash.h>

#include "fileagent/fan.h"
#include "fileagent/kinsess.h"
#include "lib/base/text.h"

#define PROC_TEXT 4096

struct entry {
	uint32_t pid;	    /* key */
	int status_fd;	    /* owned; bound to the process, not to the number */
	uint64_t pidfd_ino; /* 0: not known */
	uint64_t start;
	uint32_t ruid, euid;
	uint64_t version;	   /* of the sessions that session was found with */
	uint64_t session, adopted; /* by a parent; else by uid, never kept beyond version */
	char user[WIRE_USER_MAX + 1], adopted_user[WIRE_USER_MAX + 1];
	char comm[WIRE_COMM_MAX + 1];
	char exe[FA_KIN_EXE_MAX + 1];
	UT_hash_handle hh;
};

struct fa_kin {
	char proc[256];
	struct fa_sessions sessions;
	struct entry *by_pid;	      /* least recently used first */
	const struct fa_forks *forks; /* borrowed; NULL: the kernel tells nothing */
	uint64_t tick_ns;	      /* of /proc's start times */
	uint64_t slack;		      /* in ticks: a fork is written down so much after its start */
	uint64_t walks;
};

int fa_kin_new(const char *proc, const char *sessions_dir, struct fa_kin **ret)
{
	struct fa_kin *k = calloc(1, sizeof(*k));
	int err;

	if (!k)
		return -ENOMEM;
	err = gi_text_copy(k->proc, sizeof(k->proc), proc) < 0
		      ? -ENAMETOOLONG
		      : fa_sessions_init(&k->sessions, sessions_dir);
	if (err < 0) {
		free(k);
		return err;
	}
	k->tick_ns = 1000000000u / (uint64_t)sysconf(_SC_CLK_TCK);
	k->slack = FA_KIN_SLACK_MS * 1000000u / k->tick_ns;
	*ret = k;
	return 0;
}

void fa_kin_forks(struct fa_kin *k, const struct fa_forks *f)
{
	k->forks = f;
}

static void entry_free(struct fa_kin *k, struct entry *e)
{
	HASH_DEL(k->by_pid, e);
	close(e->status_fd);
	free(e);
}

void fa_kin_free(struct fa_kin *k)
{
	struct entry *e, *tmp;

	if (!k)
		return;
	HASH_ITER (hh, k->by_pid, e, tmp)
		entry_free(k, e);
	fa_sessions_fini(&k->sessions);
	free(k);
}

size_t fa_kin_cached(const struct fa_kin *k)
{
	return HASH_COUNT(k->by_pid);
}

uint64_t fa_kin_walks(const struct fa_kin *k)
{
	return k->walks;
}

/* ---- /proc ---- */

static int proc_open(const struct fa_kin *k, uint32_t pid, const char *what)
{
	char path[sizeof(k->proc) + 32];
	int fd;

	snprintf(path, sizeof(path), "%s/%u/%s", k->proc, pid, what);
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* as one read gives it, NUL-terminated; what is cut off we do not need */
static int text_read(int fd, char buf[PROC_TEXT])
{
	ssize_t n = pread(fd, buf, PROC_TEXT - 1, 0);

	if (n <= 0)
		return n < 0 ? -errno : -ESRCH;
	buf[n] = '\0';
	return 0;
}

static int stat_read(const struct fa_kin *k, uint32_t pid, struct fa_stat *ret)
{
	char buf[PROC_TEXT];
	int fd = proc_open(k, pid, "stat"), err;

	if (fd < 0)
		return fd;
	err = text_read(fd, buf);
	close(fd);
	return err < 0 ? err : fa_stat_parse(buf, ret);
}

static int status_read(int fd, struct fa_status *ret)
{
	char buf[PROC_TEXT];
	int err = text_read(fd, buf);

	return err < 0 ? err : fa_status_parse(buf, ret);
}

/* reaped: the number may be another's by now. A process that has only exited is still its own */
static bool is_reaped(int pidfd)
{
	return pidfd >= 0 && syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0) < 0 &&
	       errno == ESRCH;
}

/* one for each process where the kernel has pidfs (6.9), the same for all before: never a proof */
static uint64_t pidfd_ino(int pidfd)
{
	struct stat st;

	return pidfd >= 0 && fstat(pidfd, &st) == 0 ? st.st_ino : 0;
}

/* ---- sessions ---- */

static struct entry *entry_find(const struct fa_kin *k, uint32_t pid)
{
	struct entry *e;

	HASH_FIND(hh, k->by_pid, &pid, sizeof(pid), e);
	return e;
}

/*
 * A process on the way up. Of one that the kernel's records tell of, the start is only known to lie
 * shortly before its fork was written down.
 */
struct step {
	uint32_t pid, ppid;
	uint64_t from, to; /* its start, in ticks, lies there */
	uint64_t ns;	   /* and not behind this */
};

static uint64_t ticks(const struct fa_kin *k, uint64_t ns)
{
	return ns / k->tick_ns;
}

static bool is_recorded(const struct fa_kin *k, const struct fa_fork *r, uint64_t start)
{
	return ticks(k, r->time_ns) >= start && ticks(k, r->time_ns) - start <= k->slack;
}

/* the process that had @pid at @ns: by its fork, which knows the real parent, else by /proc */
static bool step_at(const struct fa_kin *k, uint32_t pid, uint64_t ns, struct step *ret)
{
	const struct fa_fork *r = k->forks ? fa_forks_find(k->forks, pid, ns) : NULL;
	struct fa_stat st;

	if (r && r->ppid) {
		uint64_t to = ticks(k, r->time_ns);

		*ret = (struct step){ .pid = pid,
			.ppid = r->ppid,
			.from = to > k->slack ? to - k->slack : 0,
			.to = to,
			.ns = r->time_ns };
		return true;
	}
	/* one that is younger is somebody else with that number */
	if (stat_read(k, pid, &st) < 0 || st.start > ticks(k, ns))
		return false;
	*ret = (struct step){ .pid = pid,
		.ppid = st.ppid,
		.from = st.start,
		.to = st.start,
		.ns = (st.start + 1) * k->tick_ns - 1 };
	return true;
}

static void adopt(struct entry *e, uint64_t session, const char *user)
{
	e->adopted = session;
	snprintf(e->adopted_user, sizeof(e->adopted_user), "%s", user);
}

/* true: @e has the session of the process @s */
static bool adopt_from(struct fa_kin *k, struct entry *e, const struct step *s)
{
	const struct fa_session *live = fa_sessions_find(&k->sessions, s->pid, s->from, s->to);
	const struct entry *known = entry_find(k, s->pid);

	if (live)
		adopt(e, live->id, live->user);
	else if (known && known != e && known->start >= s->from && known->start <= s->to &&
		 known->adopted)
		adopt(e, known->adopted, known->adopted_user); /* its own parents may be gone */
	else
		return false;
	return true;
}

static void climb(struct fa_kin *k, struct entry *e, struct step s)
{
	for (int depth = 0; depth <= FA_KIN_DEPTH; depth++) {
		if (adopt_from(k, e, &s) || s.ppid == 0 || !step_at(k, s.ppid, s.ns, &s))
			return;
	}
}

/* the same process as @e? its fork knows who made it, whoever adopted it since */
static const struct fa_fork *fork_of(const struct fa_kin *k, const struct entry *e)
{
	const struct fa_fork *r = k->forks ? fa_forks_only(k->forks, e->pid) : NULL;

	return r && is_recorded(k, r, e->start) ? r : NULL;
}

static void walk(struct fa_kin *k, struct entry *e)
{
	const struct fa_fork *r = fork_of(k, e);
	struct step s = { .pid = e->pid,
		.from = e->start,
		.to = e->start,
		.ns = (e->start + 1) * k->tick_ns - 1 };
	struct fa_stat st;

	k->walks++;
	if (r && r->ppid)
		s.ppid = r->ppid;
	else if (stat_read(k, e->pid, &st) == 0 && st.start == e->start)
		s.ppid = st.ppid;
	climb(k, e, s);
}

static void entry_judge(struct fa_kin *k, struct entry *e)
{
	const struct fa_session *only;

	if (e->version != k->sessions.version)
		walk(k, e);
	e->version = k->sessions.version;
	e->session = e->adopted;
	memcpy(e->user, e->adopted_user, sizeof(e->user));
	if (e->session || e->ruid == 0 || e->ruid == FA_UID_UNKNOWN)
		return;
	only = fa_sessions_only_of(&k->sessions, e->ruid);
	if (only) {
		e->session = only->id;
		snprintf(e->user, sizeof(e->user), "%s", only->user);
	}
}

/* ---- the cache ---- */

static void entry_update(struct entry *e, const struct fa_status *st)
{
	if (strcmp(e->comm, st->comm) != 0) { /* another program, as a rule */
		memcpy(e->comm, st->comm, sizeof(e->comm));
		e->exe[0] = '\0';
	}
	e->ruid = st->ruid;
	e->euid = st->euid;
}

static struct entry *entry_new(struct fa_kin *k, uint32_t pid, int pidfd)
{
	int fd = proc_open(k, pid, "status");
	struct fa_status status;
	struct fa_stat stat;
	struct entry *e;

	if (fd < 0)
		return NULL;
	e = calloc(1, sizeof(*e));
	/* the status file holds the process: what stat says in between is its own, or ESRCH */
	if (!e || stat_read(k, pid, &stat) < 0 || status_read(fd, &status) < 0 ||
		is_reaped(pidfd)) {
		close(fd);
		free(e);
		return NULL;
	}
	e->pid = pid;
	e->status_fd = fd;
	e->pidfd_ino = pidfd_ino(pidfd);
	e->start = stat.start;
	entry_update(e, &status);
	if (HASH_COUNT(k->by_pid) >= FA_KIN_CACHE)
		entry_free(k, k->by_pid);
	HASH_ADD(hh, k->by_pid, pid, sizeof(e->pid), e);
	return e;
}

static bool other_process(const struct entry *e, int pidfd)
{
	uint64_t ino = pidfd_ino(pidfd);

	return ino && e->pidfd_ino && ino != e->pidfd_ino;
}

/* the entry of this process; one that has ended is still right for what it did before. NULL */
static struct entry *entry_get(struct fa_kin *k, uint32_t pid, int pidfd)
{
	struct entry *e = entry_find(k, pid), *fresh;
	struct fa_status st;

	if (e && !other_process(e, pidfd) && status_read(e->status_fd, &st) == 0) {
		entry_update(e, &st);
		HASH_DEL(k->by_pid, e); /* to the young end */
		HASH_ADD(hh, k->by_pid, pid, sizeof(e->pid), e);
		return e;
	}
	if (e)
		HASH_DEL(k->by_pid, e);
	fresh = entry_new(k, pid, pidfd);
	if (!e)
		return fresh;
	if (fresh || other_process(e, pidfd)) {
		close(e->status_fd);
		free(e);
		return fresh;
	}
	HASH_ADD(hh, k->by_pid, pid, sizeof(e->pid), e);
	return e;
}

/*
 * One that has ended, by its fork: whose session it was, and its name. Not its uid: nobody tells
 * what it made of its maker's.
 */
static bool ended_actor(struct fa_kin *k, uint32_t pid, struct fa_actor *ret)
{
	const struct fa_fork *r = k->forks ? fa_forks_only(k->forks, pid) : NULL;
	struct entry e = { .pid = pid, .status_fd = -1, .ruid = FA_UID_UNKNOWN };
	struct entry *maker;
	struct step s;

	if (!r || !step_at(k, pid, UINT64_MAX, &s) || !r->ppid)
		return false;
	climb(k, &e, s);
	memcpy(e.comm, r->comm, sizeof(r->comm));
	maker = e.comm[0] ? NULL : entry_get(k, r->ppid, -1);
	if (maker && maker->start <= s.to)
		memcpy(e.comm, maker->comm, sizeof(e.comm)); /* no program of its own */
	wire_text_sanitize(e.comm, WIRE_COMM_MAX);
	ret->session = e.adopted;
	memcpy(ret->user, e.adopted_user, sizeof(ret->user));
	memcpy(ret->comm, e.comm, sizeof(ret->comm));
	return true;
}

/* what was known of it while it lived; NULL when that was an earlier one with the number */
static struct entry *entry_of_ended(struct fa_kin *k, uint32_t pid)
{
	struct entry *e = entry_find(k, pid);
	const struct fa_fork *r = k->forks ? fa_forks_find(k->forks, pid, UINT64_MAX) : NULL;
	struct fa_status st;

	if (!e || status_read(e->status_fd, &st) == 0 || (r && r->ppid && !fork_of(k, e)))
		return NULL;
	if (r && r->comm[0]) { /* it may have begun another program since it was looked at */
		memcpy(e->comm, r->comm, sizeof(r->comm));
		wire_text_sanitize(e->comm, WIRE_COMM_MAX);
	}
	return e;
}

void fa_kin_actor(struct fa_kin *k, uint32_t pid, int pidfd, struct fa_actor *ret)
{
	struct entry *e;

	memset(ret, 0, sizeof(*ret));
	ret->pid = pid;
	ret->uid = FA_UID_UNKNOWN;
	if (pid == 0)
		return;
	fa_sessions_refresh(&k->sessions);
	e = pidfd == FAN_GONE ? entry_of_ended(k, pid) : entry_get(k, pid, pidfd);
	if (!e) {
		(void)ended_actor(k, pid, ret);
		return;
	}
	entry_judge(k, e);
	ret->uid = e->euid;
	ret->session = e->session;
	memcpy(ret->user, e->user, sizeof(ret->user));
	memcpy(ret->comm, e->comm, sizeof(ret->comm));
	memcpy(ret->exe, e->exe, sizeof(e->exe));
}

void fa_kin_actor_before(struct fa_kin *k, uint32_t pid, uint64_t boot_ms, struct fa_actor *ret)
{
	uint64_t ns = boot_ms * 1000000u;
	const struct fa_fork *r = k->forks ? fa_forks_find(k->forks, pid, UINT64_MAX) : NULL;
	struct fa_stat st;

	memset(ret, 0, sizeof(*ret));
	ret->pid = pid;
	ret->uid = FA_UID_UNKNOWN;
	if (r && r->time_ns > ns)
		return;
	if (stat_read(k, pid, &st) == 0 && st.start <= ticks(k, ns))
		fa_kin_actor(k, pid, -1, ret);
	else
		fa_kin_actor(k, pid, FAN_GONE, ret);
}

void fa_kin_exe(struct fa_kin *k, uint32_t pid, const char *comm, const char *exe, size_t len)
{
	struct entry *e = entry_find(k, pid);
	struct fa_status st;

	/* it lives, and runs what it ran when it was asked about: so that was looked at */
	if (!e || len > FA_KIN_EXE_MAX || status_read(e->status_fd, &st) < 0 ||
		strcmp(st.comm, comm) != 0)
		return;
	entry_update(e, &st);
	memcpy(e->exe, exe, len);
	e->exe[len] = '\0';
}

void fa_kin_fill_exe(const struct fa_kin *k, struct fa_actor *a)
{
	const struct entry *e = a->pid ? entry_find(k, a->pid) : NULL;

	if (e && !a->exe[0] && e->session == a->session && strcmp(e->comm, a->comm) == 0)
		memcpy(a->exe, e->exe, sizeof(e->exe));
}
