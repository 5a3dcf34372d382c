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
	struct entry *by_pid; /* least recently used first */
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
	*ret = k;
	return 0;
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

static void adopt(struct entry *e, uint64_t session, const char *user)
{
	e->adopted = session;
	snprintf(e->adopted_user, sizeof(e->adopted_user), "%s", user);
}

/* true: @e has the session of @pid, which started at @start */
static bool adopt_from(struct fa_kin *k, struct entry *e, uint32_t pid, uint64_t start)
{
	const struct fa_session *s = fa_sessions_find(&k->sessions, pid, start);
	const struct entry *known = entry_find(k, pid);

	if (s)
		adopt(e, s->id, s->user);
	else if (known && known != e && known->start == start && known->adopted)
		adopt(e, known->adopted, known->adopted_user); /* its own parents may be gone */
	else
		return false;
	return true;
}

/*
 * Up the parents. A parent that is younger than its child is somebody else with that number: the
 * real one has ended in between.
 */
static void walk(struct fa_kin *k, struct entry *e)
{
	uint32_t pid = e->pid;
	struct fa_stat st;

	k->walks++;
	if (adopt_from(k, e, pid, e->start) || stat_read(k, pid, &st) < 0 || st.start != e->start)
		return;
	for (int depth = 0; depth < FA_KIN_DEPTH && st.ppid != 0; depth++) {
		uint64_t child_start = st.start;

		pid = st.ppid;
		if (stat_read(k, pid, &st) < 0 || st.start > child_start ||
			adopt_from(k, e, pid, st.start))
			return;
	}
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

void fa_kin_actor(struct fa_kin *k, uint32_t pid, int pidfd, struct fa_actor *ret)
{
	struct entry *e;

	memset(ret, 0, sizeof(*ret));
	ret->pid = pid;
	ret->uid = FA_UID_UNKNOWN;
	if (pid == 0)
		return;
	fa_sessions_refresh(&k->sessions);
	e = entry_get(k, pid, pidfd);
	if (!e)
		return;
	entry_judge(k, e);
	ret->uid = e->euid;
	ret->session = e->session;
	memcpy(ret->user, e->user, sizeof(ret->user));
	memcpy(ret->comm, e->comm, sizeof(ret->comm));
	memcpy(ret->exe, e->exe, sizeof(e->exe));
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
